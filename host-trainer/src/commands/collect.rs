//! `collect`: frames of the board's camera in a folder to train on.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{ArgGroup, Args};
use model_training::system::hints::quoted;
use model_training::system::terminal::escaped;
use serde::Serialize;

use super::camera::CameraArgs;
use crate::collect::rules::{CHANGED, Rule};
use crate::collect::{Collection, Filing, Saved};

/// After so many frames in a row that were saved before, no new ones will come.
const AGAIN_MAX: u32 = 200;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("rule").args(["unsure", "changed", "disagreeing"]))]
pub(super) struct CollectArgs {
    #[command(flatten)]
    camera: CameraArgs,
    /// Folder of pictures, with a folder for each class; made where it is missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Class of all frames; without it they go into the folder `unlabelled`, which training leaves out.
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Save only frames of which the board is not sure: below its model's threshold, or below this probability.
    #[arg(long, value_name = "PERCENT", num_args = 0..=1, default_missing_value = "0")]
    unsure: Option<f64>,
    /// Save only frames that differ from those that were saved last.
    #[arg(long)]
    changed: bool,
    /// Save only frames for which the float network names another class; `--model` must be a run.
    #[arg(long, requires = "model")]
    disagreeing: bool,
    /// Stop when so many frames were saved.
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u64,
    /// Save so many frames in a row each time; they are one group, which splits keep on one side.
    #[arg(long, value_name = "N", default_value_t = 1)]
    burst: u64,
    /// Stop after so many frames, saved or not.
    #[arg(long, value_name = "N")]
    frames_at_most: Option<u64>,
    /// Print each saved frame, and the outcome, as a line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Outcome {
    /// Frames that were seen.
    seen: u64,
    /// Frames that were saved.
    saved: u64,
    /// Frames whose bytes were saved before.
    again: u64,
}

pub(super) fn run(args: &CollectArgs) -> Result<ExitCode> {
    ensure!(args.burst > 0 && args.count > 0, "nothing would be saved");
    let given = args.camera.given()?;
    let rule = args.rule()?;
    // The float network takes long, and no other rule asks for it.
    let graph = given.as_ref().and_then(|given| given.graph()).filter(|_| args.disagreeing);
    ensure!(!args.disagreeing || graph.is_some(), "--disagreeing needs the float network: give a run as --model");
    let mut collection = Collection::open(&args.out)?;
    let mut watched = args.camera.open(given.as_ref())?;
    if rule == Rule::Unsure(None) && watched.camera.model().is_some_and(|model| model.threshold() == 0) {
        tracing::warn!("the model has no threshold and is always sure: give a probability, as in `--unsure 80`");
    }
    let mut outcome = Outcome { seen: 0, saved: 0, again: 0 };
    let (mut left_of_burst, mut again) = (0, 0);
    while outcome.saved < args.count && args.frames_at_most.is_none_or(|most| outcome.seen < most) {
        let shot = watched.next()?;
        outcome.seen += 1;
        let within = left_of_burst > 0;
        if !within && !rule.takes(&watched.camera.candidate(&shot, collection.distance(&shot.thumbnail()?), graph)?) {
            continue;
        }
        left_of_burst = if within { left_of_burst } else { args.burst } - 1;
        let filing = Filing { label: args.label.as_deref(), near: within, ..Filing::default() };
        match collection.save(&shot.shape()?, &shot.bytes, filing)? {
            Saved::Again => {
                (outcome.again, again) = (outcome.again + 1, again + 1);
                if again == AGAIN_MAX {
                    tracing::warn!(
                        "the last {again} frames were saved before: the camera gives the same ones again and again"
                    );
                    break;
                }
            }
            saved @ Saved::New { .. } => {
                (outcome.saved, again) = (outcome.saved + 1, 0);
                args.tell(&saved, &watched.camera.name(shot.seen.class))?;
            }
        }
    }
    if args.json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        let Outcome { seen, saved, again } = outcome;
        println!("{saved} of {seen} frames saved in {}, {again} were there already", quoted(&args.out));
    }
    Ok(ExitCode::SUCCESS)
}

impl CollectArgs {
    fn rule(&self) -> Result<Rule> {
        Ok(match (self.unsure, self.changed, self.disagreeing) {
            (Some(0.0), ..) => Rule::Unsure(None),
            (Some(percent), ..) => {
                ensure!((0.0..=100.0).contains(&percent), "--unsure takes 0 to 100 percent");
                Rule::Unsure(Some((percent * 2.56).round().min(255.0) as u8))
            }
            (_, true, _) => Rule::Changed(CHANGED),
            (_, _, true) => Rule::Disagreeing,
            _ => Rule::Every,
        })
    }

    fn tell(&self, saved: &Saved, class: &str) -> Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(saved)?);
        } else if let Saved::New { path, group } = saved {
            println!("{}: the board says {}, group {group}", quoted(path), escaped(class));
        }
        Ok(())
    }
}
