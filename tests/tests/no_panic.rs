//! No panic path from what firmware calls: `tests/no-panic` links only then, as it is released and with overflow checks in our
//! crates. A panic added on purpose must be found, and an overflow.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use host_trainer::device::{cargo, missing_target};
use libtest_mimic::{Arguments, Trial};
use tests::needing::trial;

const TARGETS: [&str; 5] = [
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabi",
    "riscv32imac-unknown-none-elf",
];

/// One for each set of kernels: those that are also compiled with overflow checks.
const WITH_CHECKS: [&str; 4] =
    ["thumbv6m-none-eabi", "thumbv7m-none-eabi", "thumbv7em-none-eabihf", "riscv32imac-unknown-none-elf"];

/// Turns overflow checks on in our crates. Those of others (`cobs`, `crc`, `heapless`, `postcard`, `serde`, `sha2`, `yoke`, and
/// what they use) and the library's `core` are as they are released: what they compute, they show.
const CHECKED: [&str; 6] = [
    "--config",
    "profile.release.overflow-checks=true",
    "--config",
    "profile.release.package.no-std-infer.overflow-checks=true",
    "--config",
    "profile.release.package.no-std-device.overflow-checks=true",
];

/// One of each instruction set: those that are also compiled for speed, where other bounds checks are left. The first is also
/// compiled with a panic and an overflow on purpose, since how one is found does not depend on the core.
const THOROUGH: [&str; 2] = ["thumbv7em-none-eabihf", "riscv32imac-unknown-none-elf"];

fn main() {
    let tests = |target: &'static str| {
        let missing = missing_target(target);
        let name = |test: &str| format!("{test}::{target}");
        let mut trials =
            vec![trial(&name("no_path_to_a_panic"), &missing, move || no_path_to_a_panic(target, "s", &[]))];
        if WITH_CHECKS.contains(&target) {
            let checked = move || no_path_to_a_panic(target, "s", &CHECKED);
            trials.push(trial(&name("no_path_to_a_panic_with_overflow_checks"), &missing, checked));
        }
        if THOROUGH.contains(&target) {
            let fast = move || no_path_to_a_panic(target, "3", &[]);
            trials.push(trial(&name("no_path_to_a_panic_in_fast_code"), &missing, fast));
        }
        if target == THOROUGH[0] {
            let deliberate = move || a_panic_is_found(target, &["--features", "deliberate"]);
            trials.push(trial(&name("a_deliberate_panic_is_found"), &missing, deliberate));
            let overflow = move || a_panic_is_found(target, &[&CHECKED[..], &["--features", "overflow"]].concat());
            trials.push(trial(&name("a_deliberate_overflow_is_found"), &missing, overflow));
        }
        trials
    };
    let trials: Vec<Trial> = TARGETS.into_iter().flat_map(tests).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Whether the check links for `target`, and what the compiler and the linker said.
fn link(target: &str, opt_level: &str, arguments: &[&str]) -> Result<(bool, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("no-panic");
    let mut command = cargo(&folder);
    command.args(["build", "--release", "--target", target]);
    command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", opt_level);
    let output = command.args(arguments).output().context("cargo cannot be run")?;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

fn no_path_to_a_panic(target: &str, opt_level: &str, arguments: &[&str]) -> Result<()> {
    let (linked, text) = link(target, opt_level, arguments)?;
    ensure!(linked, "a path to a panic is left, or the check does not compile:\n{text}");
    Ok(())
}

fn a_panic_is_found(target: &str, arguments: &[&str]) -> Result<()> {
    let (linked, text) = link(target, "s", arguments)?;
    ensure!(!linked, "the check links although there is a panic");
    ensure!(text.contains("a_panic_path_is_left"), "the check fails for another reason than the panic:\n{text}");
    Ok(())
}
