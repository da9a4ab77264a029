//! What a search found.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::folder::{Costs, FINAL, Plan, RUNGS, SearchDir};
use super::halving::{cheapest_of_the_best, front};
use super::space::Point;
use crate::measure::bootstrap::{self, Estimate};
use crate::measure::comparison::text_table;
use crate::measure::predictions::Predictions;

/// Name of the chosen network's configuration.
pub const CHOSEN_FILE: &str = "chosen.toml";

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
    /// Joins what the jobs of a search have left.
    ///
    /// # Errors
    /// When some have not ended; names them.
    pub fn new(dir: &SearchDir, plan: &Plan) -> Result<Self> {
        let stages: Vec<Vec<usize>> = (0..=FINAL).map(|stage| complete(dir, plan, stage)).collect::<Result<_>>()?;
        let (finalists, last) = (&stages[FINAL], &stages[FINAL - 1]);
        let ranked = dir.ranked(plan, last, FINAL - 1)?;
        let places = front(&ranked);
        let front: Vec<usize> = places.iter().map(|&place| last[place]).collect();
        let said: Vec<Predictions> =
            front.iter().map(|&trial| dir.predictions(trial, FINAL - 1)).collect::<Result<_>>()?;
        // A front's accuracy rises with its cost.
        let best = said.last().context("a search has a trial")?;
        let losses: Vec<(f64, f64)> = said.iter().map(|said| loss(best, said)).collect();
        let chosen = front[cheapest_of_the_best(&losses).context("a search has a trial")?];
        let line = |trial: usize| {
            let rung = (0..RUNGS.len()).rev().find(|&rung| stages[rung].contains(&trial)).unwrap_or_default();
            let unseen = finalists.contains(&trial).then(|| accuracy(&dir.predictions(trial, FINAL)?));
            anyhow::Ok(Line {
                trial,
                point: plan.trials[trial].point,
                costs: plan.trials[trial].costs,
                rung,
                searched: accuracy(&dir.predictions(trial, rung)?)?,
                unseen: unseen.transpose()?,
                front: front.contains(&trial),
            })
        };
        let unseen = dir.predictions(chosen, FINAL)?;
        let reference = plan.reference().filter(|&trial| trial != chosen);
        let reference = reference.map(|trial| {
            let instructions = |trial: usize| plan.trials[trial].costs.instructions as f64;
            let lead = lead(&unseen, &dir.predictions(trial, FINAL)?);
            anyhow::Ok(Reference { trial, lead, instructions: instructions(chosen) / instructions(trial) })
        });
        Ok(Self {
            trials: (0..plan.trials.len()).map(line).collect::<Result<_>>()?,
            chosen,
            reference: reference.transpose()?,
            unseen: unseen.images.len(),
            misfits: plan.misfits,
        })
    }

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

impl Costs {
    /// The time by which networks are compared, with its unit.
    #[must_use]
    pub fn shown_time(&self) -> String {
        match self.milliseconds {
            Some(time) => format!("{time:.2} ms"),
            None => format!("{:.2} M instr.", self.instructions as f64 / 1e6),
        }
    }
}

/// The trials of a stage that has ended.
fn complete(dir: &SearchDir, plan: &Plan, stage: usize) -> Result<Vec<usize>> {
    let admitted = dir.admitted(plan, stage)?.with_context(|| format!("stage {stage} is not known yet"))?;
    let missing: Vec<String> =
        admitted.iter().filter(|&&trial| !dir.is_scored(trial, stage)).map(ToString::to_string).collect();
    let name = if stage == FINAL { "last stage".to_owned() } else { format!("rung {stage}") };
    ensure!(
        missing.is_empty(),
        "{} lacks trials of the {name}: {}; run each by `search --trial K` with the same folder, or all by `search`",
        dir.path().display(),
        missing.join(", ")
    );
    Ok(admitted)
}

fn accuracy(said: &Predictions) -> Result<Estimate> {
    Ok(bootstrap::mean(&said.clusters(), &said.right()))
}

/// By which share of the images `one` is right more often than `other`, which has said something of the same.
fn lead(one: &Predictions, other: &Predictions) -> Estimate {
    let more: Vec<f64> = one.right().iter().zip(other.right()).map(|(one, other)| one - other).collect();
    bootstrap::mean(&one.clusters(), &more)
}

/// What is lost beside `best`, and its standard error.
fn loss(best: &Predictions, said: &Predictions) -> (f64, f64) {
    let lead = lead(best, said);
    (lead.value, lead.standard_error())
}
