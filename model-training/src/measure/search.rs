//! What a search for networks found: each with what it takes, and how accurate it is.

use std::fmt;

use no_std_infer::format::Color;
use serde::{Deserialize, Serialize};

use crate::config::Preset;
use crate::data::bootstrap::Estimate;
use crate::measure::comparison::text_table;

/// Photographs are divided into so many parts, the first of which the search does not see.
pub const PARTS: usize = 5;
/// Folds of the others.
pub const FOLDS: usize = 3;
/// Share of the epochs, and number of folds that are scored, of each rung.
pub const RUNGS: [(f64, usize); 3] = [(0.25, 1), (0.5, 2), (1.0, FOLDS)];
/// Name of the chosen network's configuration.
pub const CHOSEN_FILE: &str = "chosen.toml";

/// A network that may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The network by its name.
    pub preset: Preset,
    /// Factor of its channels, where it has one.
    pub width: Option<f64>,
    /// Its depth, where it has one.
    pub depth: Option<usize>,
    /// Width and height of its input in pixels.
    pub side: u16,
    /// What it sees of them.
    pub color: Color,
    /// Whether it starts from ImageNet's weights.
    pub pretrained: bool,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self { preset, width, depth, side, color, pretrained } = self;
        write!(f, "{}", preset.name())?;
        width.map_or(Ok(()), |width| write!(f, ", width {width}"))?;
        depth.map_or(Ok(()), |depth| write!(f, ", depth {depth}"))?;
        let color = if color == Color::Grey { "grey" } else { "colour" };
        let from = if pretrained { ", from ImageNet's weights" } else { "" };
        write!(f, ", {side} x {side} {color}{from}")
    }
}

/// What a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Instructions of a Cortex-M4 for an inference, modelled.
    pub instructions: u64,
    /// Milliseconds of an inference on the board, where one is given.
    pub milliseconds: Option<f64>,
    /// Bytes of the blob.
    pub flash: u64,
    /// Bytes of the arena.
    pub ram: u64,
}

impl Costs {
    /// What networks are compared by: nanoseconds on the board, or instructions where there is none.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.milliseconds.map_or(self.instructions, |milliseconds| (milliseconds * 1e6) as u64)
    }

    /// In words.
    #[must_use]
    pub fn text(&self) -> String {
        let time = self.milliseconds.map_or_else(String::new, |time| format!("{time:.2} ms, "));
        let kib = |bytes: u64| bytes as f64 / 1024.0;
        format!(
            "{time}{:.2} million instructions, {:.1} KiB of flash, {:.1} KiB of RAM",
            self.instructions as f64 / 1e6,
            kib(self.flash),
            kib(self.ram)
        )
    }

    /// The time by which networks are compared, with its unit.
    #[must_use]
    pub fn shown_time(&self) -> String {
        match self.milliseconds {
            Some(time) => format!("{time:.2} ms"),
            None => format!("{:.2} M instr.", self.instructions as f64 / 1e6),
        }
    }
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Every trial, in their order.
    pub trials: Vec<Line>,
    /// The chosen one: of those that may be the most accurate the cheapest, by the folds that the search saw.
    pub chosen: usize,
    /// Beside the usual network, where that fits and is another.
    pub reference: Option<Reference>,
    /// Photographs' images that the search never saw.
    pub unseen: usize,
    /// Networks that were looked at and do not fit the target.
    pub misfits: usize,
}

/// A trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Counted from 0.
    pub trial: usize,
    /// What it is.
    pub point: Point,
    /// What it takes.
    pub costs: Costs,
    /// The last rung that it took part in, from 0.
    pub rung: usize,
    /// Accuracy of the int8 model there, which rungs of fewer epochs make lower.
    pub searched: Estimate,
    /// Accuracy of the int8 model on images that the search never saw, where it came so far.
    pub unseen: Option<Estimate>,
    /// Whether no other of the last rung beats it in accuracy and time.
    pub front: bool,
}

/// The chosen network beside the usual one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// The usual network's trial.
    pub trial: usize,
    /// By which share of the images that the search never saw the chosen one is right more often.
    pub lead: Estimate,
    /// The chosen one's instructions as a share of the usual one's.
    pub instructions: f64,
}

impl Outcome {
    /// What was found, in sentences.
    #[must_use]
    pub fn verdict(&self) -> Vec<String> {
        let chosen = &self.trials[self.chosen];
        let right = chosen.unseen.map_or_else(String::new, |share| {
            let [value, low, high] = [share.value, share.low, share.high].map(|share| 100.0 * share);
            let images = self.unseen;
            format!(
                " It has {value:.1} % right ({low:.1} to {high:.1} %) of {images} images that the search never saw."
            )
        });
        let mut said = vec![format!("Chosen: {}, in {}.{right}", chosen.point, chosen.costs.text())];
        if let Some(Reference { trial, lead, instructions }) = self.reference {
            let [value, low, high] = [lead.value, lead.low, lead.high].map(|share| 100.0 * share);
            said.push(format!(
                "Beside {} it gains {value:+.1} points on these ({low:+.1} to {high:+.1}), in {instructions:.2} times the instructions.",
                self.trials[trial].point
            ));
        }
        let finalists = self.trials.iter().filter(|line| line.unseen.is_some()).count();
        let misfits = match self.misfits {
            0 => String::new(),
            misfits => format!("; {misfits} more were looked at and do not fit"),
        };
        said.push(format!("{} networks were tried, of which {finalists} came to the end{misfits}.", self.trials.len()));
        said
    }

    /// Those that came to the end, for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut table = text_table(&["trial", "network", "time", "flash, KiB", "RAM, KiB", "unseen", "searched"], 2);
        let mut lines: Vec<&Line> = self.trials.iter().filter(|line| line.unseen.is_some()).collect();
        lines.sort_by_key(|line| line.costs.time());
        for Line { trial, point, costs, searched, unseen, .. } in lines {
            let mark = if *trial == self.chosen { " (chosen)" } else { "" };
            let kib = |bytes: u64| format!("{:.1}", bytes as f64 / 1024.0);
            let unseen = unseen.map_or_else(String::new, |share| share.to_string());
            let row =
                [trial.to_string(), format!("{point}{mark}"), costs.shown_time(), kib(costs.flash), kib(costs.ram)];
            table.add_row(row.into_iter().chain([unseen, searched.to_string()]));
        }
        format!("{}\nunseen: accuracy on images that the search never saw; searched: on its folds\n", table.trim_fmt())
    }
}
