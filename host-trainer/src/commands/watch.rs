//! `watch`: what the board's camera sees, and what the board makes of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use model_training::system::atomic;
use model_training::system::terminal::escaped;
use no_std_device::link::{CameraFaults, Shape};
use no_std_infer::image::PixelFormat;
use serde::Serialize;

use super::BOUND_MISSED;
use super::camera::CameraArgs;
use crate::collect::png;
use crate::device::{Agreement, Camera, Shot};

#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    #[command(flatten)]
    camera: CameraArgs,
    /// Stop after so many frames.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Read only the network's input of each frame, which is small: for slow links. The network is compared, and not how its input
    /// was made.
    #[arg(long)]
    input: bool,
    /// Write each frame, or with `--input` what the network sees of it, into this file, in the place of the one before.
    #[arg(long, value_name = "FILE.png")]
    preview: Option<PathBuf>,
    /// Print each frame as a line of JSON.
    #[arg(long)]
    json: bool,
}

/// A frame, as a line of JSON.
#[derive(Serialize)]
struct Line {
    sequence: u32,
    format: Option<PixelFormat>,
    width: Option<u16>,
    height: Option<u16>,
    /// Name of the class that the board shows.
    class: String,
    /// Its probability.
    probability: f64,
    sure: bool,
    /// Frames a second since the first.
    fps: f64,
    /// Time until the frame was here.
    ms: f64,
    /// What the board needed for the input and for the network, and what it counts.
    preprocessing: u64,
    network: u64,
    unit: String,
    parity: Option<Agreement>,
    /// Frames that the camera has lost since the board started.
    lost: CameraFaults,
}

pub(super) fn run(args: &WatchArgs) -> Result<ExitCode> {
    let given = args.camera.given()?;
    let blind = args.input && args.preview.is_some() && given.is_none();
    ensure!(!blind, "a preview of the network's input needs --model, which says how large it is");
    let mut watched = args.camera.open(given.as_ref())?;
    let about = watched.camera.device().description();
    tracing::info!("{}, kernels {}", escaped(&about.board), escaped(&about.kernel_set));
    let (start, mut compared, mut differing) = (Instant::now(), 0_u64, 0_u64);
    for number in 1..=args.count.unwrap_or(u64::MAX) {
        let shot = if args.input { watched.next_input()? } else { watched.next()? };
        if let Some(file) = &args.preview {
            atomic::write(file, &args.picture(&mut watched.camera, &shot)?)?;
        }
        if let Some(agreement) = shot.agreement {
            compared += 1;
            differing += u64::from(agreement.differing > 0);
        }
        let line = line(&watched.camera, &shot, number as f64 / start.elapsed().as_secs_f64());
        if args.json {
            println!("{}", serde_json::to_string(&line)?);
        } else {
            println!("{}", line.to_text(if args.input { "network" } else { "board" }));
        }
    }
    if compared > 0 {
        tracing::info!("board and host made the same of {} of {compared} frames", compared - differing);
    }
    if differing > 0 {
        eprintln!("error: the board's bytes differ from this machine's on {differing} of {compared} frames");
        return Ok(BOUND_MISSED.into());
    }
    Ok(ExitCode::SUCCESS)
}

impl WatchArgs {
    /// The PNG of what was read.
    fn picture(&self, camera: &mut Camera<'_>, shot: &Shot) -> Result<Vec<u8>> {
        if self.input {
            let twin = camera.twin().context("the model is not given")?;
            let (shape, pixels) = twin.pixels(&shot.bytes)?;
            return png(&shape, &pixels);
        }
        png(&shot.seen.shape.context("the board's camera keeps no frames")?, &shot.bytes)
    }
}

fn line(camera: &Camera<'_>, shot: &Shot, fps: f64) -> Line {
    let Shot { seen, agreement, took, .. } = shot;
    let shape: Option<Shape> = seen.shape;
    Line {
        sequence: seen.sequence,
        format: shape.map(|shape| shape.format),
        width: shape.map(|shape| shape.width),
        height: shape.map(|shape| shape.height),
        class: camera.name(seen.class),
        probability: f64::from(seen.probability) / 256.0,
        sure: seen.sure,
        fps,
        ms: took.as_secs_f64() * 1e3,
        preprocessing: seen.result.preprocessing,
        network: seen.result.total,
        unit: camera.device().description().unit.to_string(),
        parity: *agreement,
        lost: camera.device().camera_faults(),
    }
}

impl Line {
    /// The line for a person; `compared` is what was computed here as well.
    fn to_text(&self, compared: &str) -> String {
        let Self { sequence, class, probability, sure, fps, preprocessing, network, unit, parity, lost, .. } = self;
        let doubt = if *sure { "" } else { " (not sure)" };
        let cost = preprocessing + network;
        let parity = match parity {
            None => String::new(),
            Some(Agreement { differing: 0, .. }) => format!(", {compared} = host"),
            Some(_) => format!(", {} AND HOST DIFFER", compared.to_uppercase()),
        };
        let lost = match lost.total() {
            0 => String::new(),
            lost => format!(", {lost} lost"),
        };
        format!(
            "frame {sequence}: {} {:.0} %{doubt}, {fps:.1} frames/s, {cost} {unit}{parity}{lost}",
            escaped(class),
            100.0 * probability
        )
    }
}
