//! Episodes, one after the other, for so long or so many: each is determined by its number.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two reports.
const REPORT: Duration = Duration::from_secs(60);
/// Time between two looks at how far threads have come.
const LOOK: Duration = Duration::from_millis(100);

/// Longest time of an episode: none takes a hundredth of it, unless something does not end.
const EPISODE_MAX: Duration = Duration::from_secs(60);

/// What episodes count.
pub trait Tally: Clone + Default + Display + Send {
    /// Adds another's counts.
    fn merge(&mut self, other: &Self);

    /// Why these counts show too little, where each of them should be `least` or more.
    fn shortcoming(&self, least: u64) -> Option<String>;
}

/// How long a fuzzer runs, and what it must have seen.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// Number of the first episode.
    pub first: u64,
    /// Ends after so much time.
    pub time: Duration,
    /// Ends after so many executions.
    pub executions: u64,
    /// How many threads run.
    pub threads: usize,
    /// What must have been seen so often.
    pub least: u64,
}

impl Campaign {
    /// Runs episodes: `episode` is told its number, counts, and gives how many executions it was. Prints what was counted; false
    /// when an episode has panicked or too little was seen.
    pub fn run<T: Tally>(&self, episode: impl Fn(u64, &mut T) -> u64 + Sync) -> bool {
        let start = Instant::now();
        let (next, stop, failed) = (AtomicU64::new(self.first), AtomicBool::new(false), AtomicBool::new(false));
        let total = Mutex::new((0, T::default()));
        let running = Mutex::new(vec![(self.first, start); self.threads]);
        let work = |thread: usize| {
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let mut counts = T::default();
                running.lock().unwrap_or_else(PoisonError::into_inner)[thread] = (number, Instant::now());
                let Ok(executions) = catch_unwind(AssertUnwindSafe(|| episode(number, &mut counts))) else {
                    eprintln!("failed in episode {number}");
                    failed.store(true, Ordering::Relaxed);
                    break;
                };
                let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                total.0 += executions;
                total.1.merge(&counts);
            }
        };
        let report = || {
            let (executions, counts) = total.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let (seconds, episodes) = (start.elapsed().as_secs_f64(), next.load(Ordering::Relaxed) - self.first);
            let rate = executions as f64 / seconds;
            println!(
                "{executions} executions in {episodes} episodes from {} on, {seconds:.0} s, {rate:.0} a second\n{counts}",
                self.first
            );
            (executions, counts)
        };
        std::thread::scope(|scope| {
            let work = &work;
            for thread in 0..self.threads {
                scope.spawn(move || work(thread));
            }
            let mut reported = Instant::now();
            loop {
                std::thread::sleep(LOOK);
                let executions = total.lock().unwrap_or_else(PoisonError::into_inner).0;
                if start.elapsed() >= self.time || executions >= self.executions || failed.load(Ordering::Relaxed) {
                    return stop.store(true, Ordering::Relaxed);
                }
                for &(number, begun) in &*running.lock().unwrap_or_else(PoisonError::into_inner) {
                    if begun.elapsed() > EPISODE_MAX {
                        eprintln!("episode {number} does not end");
                        std::process::exit(1);
                    }
                }
                if reported.elapsed() >= REPORT {
                    report();
                    reported = Instant::now();
                }
            }
        });
        let (_, counts) = report();
        let shortcoming = counts.shortcoming(self.least);
        shortcoming.iter().for_each(|why| println!("too little was seen: {why}"));
        shortcoming.is_none() && !failed.into_inner()
    }
}
