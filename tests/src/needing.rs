//! Tests that need something besides Rust for the host: an emulator, another target.

use anyhow::Result;
use libtest_mimic::Trial;

/// A test that is shown as ignored, with the reason, where something is missing. With `CI=true` it runs, and fails.
pub fn trial(name: &str, missing: &Option<String>, test: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    let must_run = std::env::var("CI").is_ok_and(|value| value == "true");
    trial_where_possible(name, if must_run { &None } else { missing }, test)
}

/// The same for what cannot be installed, such as rights: where it is missing, the test is shown as ignored with `CI=true` too.
pub fn trial_where_possible(
    name: &str,
    missing: &Option<String>,
    test: impl FnOnce() -> Result<()> + Send + 'static,
) -> Trial {
    let trial = Trial::test(name, || test().map_err(|error| format!("{error:#}").into()));
    match missing {
        Some(remedy) => trial.with_ignored_flag(true).with_kind(remedy.clone()),
        None => trial,
    }
}
