//! Decisions smoothed over time, in integers.

use heapless::VecView;
use no_std_infer::Decision;
use no_std_infer::bounded::Bounded;

/// Largest [`Smoother`] shift: beyond it, rounding keeps a score from reaching what it stays at.
pub const SHIFT_MAX: u8 = 7;

/// What a [`Smoother`] keeps of a class: 16-bit averages with 8 bits behind the point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Average {
    /// Of the logit, `q + 128`.
    logit: u16,
    /// Of the probability in 256ths, `q + 128` of the output.
    probability: u16,
}

/// Exponential averages of each class's logit and probability: with every picture, they move by `2^-shift` of the distance,
/// rounded to nearest. The class is that of the largest averaged logit, the first of equals; its averaged probability
/// says how sure that is. Without smoothing this is exactly the rule of [`Decision`].
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Smoother<'m> {
    /// One a class of the model that is smoothed; none before its first picture, which is taken as it is.
    averages: &'m mut VecView<Average>,
    shift: u8,
}

impl<'m> Smoother<'m> {
    /// `averages` has room for one a class; a model with more is not smoothed. A `shift` of 0 smooths nothing, one above
    /// [`SHIFT_MAX`] counts as that.
    pub fn new(averages: &'m mut VecView<Average>, shift: u8) -> Self {
        averages.clear();
        Self { averages, shift: shift.min(SHIFT_MAX) }
    }

    /// Forgets what was averaged: the next picture is taken as it is.
    pub fn restart(&mut self) {
        self.averages.clear();
    }

    /// Takes what the next picture gave: its logits, and the probabilities of as many classes as there are.
    /// The decision is sure when its probability, rounded, is `threshold` or more.
    pub fn push(&mut self, logits: &[i8], output: &[i8], threshold: u8) -> Decision {
        if self.shift == 0 || logits.len() > self.averages.capacity() {
            return Decision::new(logits, output, threshold);
        }
        if self.averages.len() != logits.len() {
            self.averages.clear();
        }
        let first = self.averages.is_empty();
        let mut best: Option<(usize, Average)> = None;
        for (class, &logit) in logits.iter().enumerate() {
            let probability = output.get(class).map_or(0, score);
            let seen = Average { logit: score(&logit), probability };
            if first {
                let _ = self.averages.push(seen);
            }
            let Some(average) = self.averages.get_mut(class) else { break };
            average.logit = step(average.logit, seen.logit, self.shift);
            average.probability = step(average.probability, seen.probability, self.shift);
            if best.is_none_or(|(_, best)| average.logit > best.logit) {
                best = Some((class, *average));
            }
        }
        let (class, average) = best.unwrap_or_default();
        let probability = (average.probability.saturating_add(0x80) >> 8) as u8;
        Decision { class, probability, sure: probability >= threshold }
    }
}

/// `q + 128` with 8 bits behind the point.
fn score(q: &i8) -> u16 {
    u16::from(*q as u8 ^ 0x80) << 8
}

/// `average` moved towards `score`.
fn step(average: u16, score: u16, shift: u8) -> u16 {
    let distance = i32::from(score) - i32::from(average);
    let half = 1_i32.wrapping_shl(shift.into()) >> 1;
    // Between the two, which are 16 bits.
    (i32::from(average) + distance.plus(half).wrapping_shr(shift.into())) as u16
}

#[cfg(test)]
mod tests {
    use std::vec::Vec as StdVec;

    use heapless::Vec;

    use super::*;

    fn q<const N: usize>(scores: [u8; N]) -> [i8; N] {
        scores.map(|score| (score ^ 0x80) as i8)
    }

    /// Logits that are the probabilities.
    fn push<const N: usize>(smoother: &mut Smoother<'_>, scores: [u8; N], threshold: u8) -> Decision {
        smoother.push(&q(scores), &q(scores), threshold)
    }

    #[test]
    fn without_smoothing_each_output_decides() {
        let mut averages = Vec::<_, 3>::new();
        let mut smoother = Smoother::new(&mut averages, 0);
        assert_eq!(push(&mut smoother, [10, 200, 46], 200), Decision { class: 1, probability: 200, sure: true });
        assert_eq!(push(&mut smoother, [199, 56, 1], 200), Decision { class: 0, probability: 199, sure: false });
        assert_eq!(push(&mut smoother, [7, 7, 7], 0), Decision { class: 0, probability: 7, sure: true });
        assert_eq!(push(&mut smoother, [], 1), Decision { class: 0, probability: 0, sure: false });
    }

    /// 2,000 random outputs of 2 to 1,000 classes, many of which share the largest logit or probability.
    #[test]
    fn without_smoothing_and_at_the_first_picture_the_class_is_the_hosts() {
        let mut state = 9_u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        let (mut averages, mut ambiguous) = (Vec::<_, 1000>::new(), 0);
        for index in 0..2000_u32 {
            let (classes, spread, steps) = (2 + random(999) as usize, 1 + random(255), 1 + random(64) as u8);
            let logits: StdVec<i8> = (0..classes).map(|_| (random(spread) as u8 ^ 0x80) as i8).collect();
            // Grows with the logit, in fewer steps.
            let output: StdVec<i8> =
                logits.iter().map(|&logit| (((logit as u8 ^ 0x80) / steps) ^ 0x80) as i8).collect();
            let largest = logits.iter().max().unwrap();
            let class = logits.iter().position(|logit| logit == largest).unwrap();
            ambiguous += u32::from(output.iter().position(|q| q == output.iter().max().unwrap()) != Some(class));
            let threshold = random(256) as u8;
            let probability = output[class] as u8 ^ 0x80;
            let expected = Decision { class, probability, sure: probability >= threshold };
            let mut smoother = Smoother::new(&mut averages, (index % 2) as u8 * 3);
            assert_eq!(smoother.push(&logits, &output, threshold), expected, "of {classes} classes");
        }
        assert!(ambiguous > 200, "{ambiguous} outputs alone would name another class");
    }

    #[test]
    fn a_single_odd_frame_changes_nothing_and_several_do() {
        let mut averages = Vec::<_, 3>::new();
        let mut smoother = Smoother::new(&mut averages, 2);
        assert_eq!(push(&mut smoother, [240, 8, 8], 128).probability, 240, "the first is taken as it is");
        assert_eq!(push(&mut smoother, [8, 240, 8], 128), Decision { class: 0, probability: 182, sure: true });
        assert_eq!(push(&mut smoother, [8, 240, 8], 128).class, 0);
        assert_eq!(push(&mut smoother, [8, 240, 8], 128), Decision { class: 1, probability: 142, sure: true });
        smoother.restart();
        assert_eq!(push(&mut smoother, [8, 8, 240], 128), Decision { class: 2, probability: 240, sure: true });
    }

    #[test]
    fn averaged_logits_decide_and_averaged_probabilities_are_shown() {
        let mut averages = Vec::<_, 2>::new();
        let mut smoother = Smoother::new(&mut averages, 1);
        smoother.push(&q([100, 90]), &q([128, 128]), 0);
        // 102 and 101: the larger probability, 156, is that of the other class.
        let decision = smoother.push(&q([104, 112]), &q([72, 184]), 100);
        assert_eq!(decision, Decision { class: 0, probability: 100, sure: true });
    }

    #[test]
    fn what_stays_is_reached_from_both_sides() {
        for shift in 0..=SHIFT_MAX + 3 {
            for target in [0, 1, 100, 127, 128, 254, 255] {
                for from in [0, 255] {
                    let mut averages = Vec::<_, 1>::new();
                    let mut smoother = Smoother::new(&mut averages, shift);
                    let mut decision = push(&mut smoother, [from], target);
                    for _ in 0..5000 {
                        decision = push(&mut smoother, [target], target);
                    }
                    assert_eq!(decision, Decision { class: 0, probability: target, sure: true }, "shift {shift}");
                }
            }
        }
    }

    #[test]
    fn averages_stay_between_the_extremes() {
        for shift in 0..=SHIFT_MAX {
            for average in (0..=u16::MAX).step_by(251) {
                for score in (0..=0xFF00).step_by(256) {
                    let moved = step(average, score, shift);
                    assert!(moved >= average.min(score) && moved <= average.max(score));
                }
            }
        }
    }

    #[test]
    fn more_classes_than_memory_are_not_smoothed() {
        let mut averages = Vec::<_, 2>::new();
        let mut smoother = Smoother::new(&mut averages, 4);
        push(&mut smoother, [240, 8, 8], 0);
        assert_eq!(push(&mut smoother, [8, 8, 240], 0), Decision { class: 2, probability: 240, sure: true });
    }
}
