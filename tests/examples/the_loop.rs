//! What labelled frames of a camera are worth to a network that learnt without them, over some seeds:
//! `the_loop FOLDER SEEDS [PLAN]`. The plan `scratch` has a network that learnt from random weights, which takes long.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use tests::the_loop::{Plan, measure};

fn main() -> Result<()> {
    model_training::system::log::start(0)?;
    let mut arguments = std::env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().context("the folder to write to")?);
    let seeds: u64 = arguments.next().and_then(|seeds| seeds.to_str()?.parse().ok()).context("the number of seeds")?;
    let plan = match arguments.next().as_ref().and_then(|plan| plan.to_str()) {
        Some("scratch") => Plan::scratch,
        Some(other) => bail!("there is no plan {other}: only `scratch`"),
        None => Plan::new,
    };
    for seed in 1..=seeds {
        let dir = folder.join(format!("seed-{seed}"));
        std::fs::create_dir_all(&dir)?;
        let outcome = measure(&plan(seed), &dir)?;
        for (on, found) in [("frames", &outcome.frames), ("drawings", &outcome.drawings)] {
            let score = &found.int8;
            println!(
                "seed {seed}, {} {on}: before {}, after {}, difference {}",
                found.images, score.first, score.second, score.difference
            );
        }
    }
    Ok(())
}
