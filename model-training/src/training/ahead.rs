//! Prepares the next piece of work while one is being done.

use std::ops::Range;

use anyhow::Result;

/// Calls `work` for each step in order, with what `prepare` gave for it. While a step is at work, another thread prepares the
/// next one, and none beyond, so that two are in memory at most. What `prepare` gives must follow from the step alone; then
/// the result does not depend on the number of threads.
///
/// # Errors
/// The first that `work` gives, which ends it.
pub(super) fn ahead<T: Send>(
    steps: Range<usize>,
    prepare: impl Fn(usize) -> T + Sync,
    mut work: impl FnMut(usize, T) -> Result<()> + Send,
) -> Result<()> {
    let prepare = |step| (step < steps.end).then(|| prepare(step));
    let mut step = steps.start;
    let mut prepared = prepare(step);
    while let Some(now) = prepared {
        let (done, next) = rayon::join(|| work(step, now), || prepare(step + 1));
        done?;
        (step, prepared) = (step + 1, next);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use anyhow::ensure;

    use super::*;

    fn on<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
    }

    #[test]
    fn steps_get_what_was_prepared_for_them_in_order() {
        for (threads, steps) in [(1, 0..5), (2, 3..7), (2, 4..4)] {
            let mut done = Vec::new();
            let work = |step, given| {
                done.push((step, given));
                Ok(())
            };
            on(threads, || ahead(steps.clone(), |step| 10 * step, work)).unwrap();
            assert!(done.into_iter().eq(steps.map(|step| (step, 10 * step))));
        }
    }

    #[test]
    fn the_next_step_is_prepared_while_one_is_at_work_and_none_beyond() {
        let prepared = AtomicUsize::new(0);
        let work = |step: usize, ()| {
            let limit = Instant::now() + Duration::from_secs(60);
            let expected = (step + 2).min(4);
            while prepared.load(Ordering::SeqCst) < expected {
                ensure!(Instant::now() < limit, "nobody prepares step {}", step + 1);
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(5));
            ensure!(prepared.load(Ordering::SeqCst) == expected, "more than one step is prepared");
            Ok(())
        };
        let prepare = |step| assert_eq!(prepared.fetch_add(1, Ordering::SeqCst), step);
        on(2, || ahead(0..4, prepare, work)).unwrap();
    }

    #[test]
    fn an_error_ends_it() {
        let mut last = 0;
        let work = |step, ()| {
            last = step;
            ensure!(step < 2, "step {step}");
            Ok(())
        };
        assert_eq!(on(2, || ahead(0..9, |_| (), work)).unwrap_err().to_string(), "step 2");
        assert_eq!(last, 2);
    }
}
