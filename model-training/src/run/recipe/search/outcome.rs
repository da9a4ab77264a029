//! What the jobs of a search have left, joined.

use anyhow::{Context, Result, ensure};

use super::folder::{FINAL, Plan, SearchDir};
use super::halving::{cheapest_of_the_best, front};
use crate::data::bootstrap::{self, Estimate};
use crate::measure::predictions::Predictions;
use crate::measure::search::{Line, Outcome, RUNGS, Reference};

/// Joins what the jobs of a search have left.
///
/// # Errors
/// When some have not ended; names them.
pub fn outcome(dir: &SearchDir, plan: &Plan) -> Result<Outcome> {
    let stages: Vec<Vec<usize>> = (0..=FINAL).map(|stage| complete(dir, plan, stage)).collect::<Result<_>>()?;
    let (finalists, last) = (&stages[FINAL], &stages[FINAL - 1]);
    let ranked = dir.ranked(plan, last, FINAL - 1)?;
    let places = front(&ranked);
    let front: Vec<usize> = places.iter().map(|&place| last[place]).collect();
    let said: Vec<Predictions> = front.iter().map(|&trial| dir.predictions(trial, FINAL - 1)).collect::<Result<_>>()?;
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
    Ok(Outcome {
        trials: (0..plan.trials.len()).map(line).collect::<Result<_>>()?,
        chosen,
        reference: reference.transpose()?,
        unseen: unseen.images.len(),
        misfits: plan.misfits,
    })
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
    bootstrap::lead(&one.clusters(), &one.right(), &other.right())
}

/// What is lost beside `best`, and its standard error.
fn loss(best: &Predictions, said: &Predictions) -> (f64, f64) {
    let lead = lead(best, said);
    (lead.value, lead.standard_error())
}
