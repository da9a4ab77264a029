//! What hosts and devices have said, and what has happened to them.

use std::fmt;

use no_std_device::link::{Failure, Message, Response};

use super::host::Wish;
use crate::campaign::Tally;

/// How often.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Requests that were sent.
    pub requests: u64,
    /// Requests that end an update and were granted.
    pub commits: u64,
    /// Confirmations that were granted.
    pub confirmations: u64,
    /// Ways back that were granted.
    pub rollbacks: u64,
    /// Starts of a device.
    pub starts: u64,
    /// Failures of power within an operation of the flash.
    pub failures: u64,
    /// Faults of the flash besides.
    pub faults: u64,
    /// Answers by kind.
    answers: [u64; 9],
}

const ANSWERS: [&str; 9] = [
    "hello",
    "inference",
    "self-test",
    "update",
    "update refused",
    "other failure",
    "frame",
    "no frame",
    "bytes of a frame",
];

impl Counts {
    /// Counts what was granted.
    pub fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::Switch(_) => self.commits += 1,
            Wish::Confirm => self.confirmations += 1,
            Wish::Rollback => self.rollbacks += 1,
        }
    }

    /// Counts an answer.
    pub fn answer(&mut self, answer: &Message<Response<'_>>) {
        let kind = match answer.body {
            Response::Hello(_) => 0,
            Response::Inference(_) | Response::Trace(_) | Response::Excerpt { .. } => 1,
            Response::SelfTest(_) => 2,
            Response::Update { .. } => 3,
            Response::Error(Failure::Update(_)) => 4,
            Response::Error(_) => 5,
            Response::Look { frame: Some(_), .. } => 6,
            Response::Look { frame: None, .. } => 7,
            Response::Read(_) => 8,
        };
        self.answers[kind] += 1;
    }
}

impl Tally for Counts {
    fn merge(&mut self, other: &Self) {
        let Self { requests, commits, confirmations, rollbacks, starts, failures, faults, answers } = self;
        *requests += other.requests;
        *commits += other.commits;
        *confirmations += other.confirmations;
        *rollbacks += other.rollbacks;
        *starts += other.starts;
        *failures += other.failures;
        *faults += other.faults;
        answers.iter_mut().zip(other.answers).for_each(|(sum, count)| *sum += count);
    }

    fn shortcoming(&self, least: u64) -> Option<String> {
        let Self { commits, confirmations, rollbacks, starts, failures, faults, answers, .. } = *self;
        let named = [
            ("commits", commits),
            ("confirmations", confirmations),
            ("rollbacks", rollbacks),
            ("starts", starts),
            ("failures of power", failures),
            ("faults", faults),
        ];
        let counts = named.into_iter().chain(ANSWERS.into_iter().zip(answers));
        counts.filter(|&(_, count)| count < least).map(|(name, count)| format!("{name}: {count}")).next()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, commits, confirmations, rollbacks, starts, failures, faults, answers } = self;
        writeln!(
            f,
            "{requests} requests, {commits} commits, {confirmations} confirmations and {rollbacks} rollbacks granted, {starts} starts, {failures} failures of power, {faults} faults of flash"
        )?;
        write!(f, "answers:")?;
        for (name, count) in ANSWERS.into_iter().zip(answers) {
            write!(f, " {count} {name},")?;
        }
        writeln!(f)
    }
}
