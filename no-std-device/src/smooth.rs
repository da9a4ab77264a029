//! Scores smoothed over time, in integers.

/// Largest [`Smoother`] shift: beyond it, rounding keeps a score from reaching what it stays at.
pub const SHIFT_MAX: u8 = 7;

/// What a smoothed output says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decision {
    /// Index of the largest score, the first of equals.
    pub class: usize,
    /// That score, a probability in 256ths when the model ends in a softmax.
    pub probability: u8,
    /// False when the score is below the threshold: then the class is rather not to be believed.
    pub sure: bool,
}

/// An exponential average of each score: with every output, it moves by `2^-shift` of the distance.
///
/// Scores are outputs in 256ths, `q + 128`; averages are 16 bits with 8 behind the point, and a step is rounded to
/// nearest.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Smoother<'m> {
    averages: &'m mut [u16],
    shift: u8,
    /// True when there has been an output: the first is taken as it is.
    begun: bool,
}

impl<'m> Smoother<'m> {
    /// `averages` holds one a score; an output that is longer is not smoothed. A `shift` of 0 smooths nothing, one above
    /// [`SHIFT_MAX`] counts as that.
    pub fn new(averages: &'m mut [u16], shift: u8) -> Self {
        Self { averages, shift: shift.min(SHIFT_MAX), begun: false }
    }

    /// Takes the next output. The decision is sure when its score, rounded, is `threshold` or more.
    pub fn push(&mut self, output: &[i8], threshold: u8) -> Decision {
        let shift = if self.begun && output.len() <= self.averages.len() { self.shift } else { 0 };
        let mut best: Option<(usize, u16)> = None;
        let mut averages = self.averages.iter_mut();
        for (index, &q) in output.iter().enumerate() {
            let score = u16::from(q as u8 ^ 0x80) << 8;
            let average = match averages.next() {
                Some(average) => {
                    *average = step(*average, score, shift);
                    *average
                }
                None => score,
            };
            if best.is_none_or(|(_, largest)| average > largest) {
                best = Some((index, average));
            }
        }
        self.begun = true;
        let (class, average) = best.unwrap_or_default();
        let probability = (average.saturating_add(0x80) >> 8) as u8;
        Decision { class, probability, sure: probability >= threshold }
    }
}

/// `average` moved towards `score`.
fn step(average: u16, score: u16, shift: u8) -> u16 {
    let distance = i32::from(score) - i32::from(average);
    let half = (1 << shift) >> 1;
    // Between the two, which are 16 bits.
    (i32::from(average) + ((distance + half) >> shift)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q(scores: [u8; 3]) -> [i8; 3] {
        scores.map(|score| (score ^ 0x80) as i8)
    }

    #[test]
    fn without_smoothing_each_output_decides() {
        let mut averages = [0; 3];
        let mut smoother = Smoother::new(&mut averages, 0);
        assert_eq!(smoother.push(&q([10, 200, 46]), 200), Decision { class: 1, probability: 200, sure: true });
        assert_eq!(smoother.push(&q([199, 56, 1]), 200), Decision { class: 0, probability: 199, sure: false });
        assert_eq!(smoother.push(&q([7, 7, 7]), 0), Decision { class: 0, probability: 7, sure: true });
        assert_eq!(smoother.push(&[], 1), Decision { class: 0, probability: 0, sure: false });
    }

    #[test]
    fn a_single_odd_frame_changes_nothing_and_several_do() {
        let mut averages = [0; 3];
        let mut smoother = Smoother::new(&mut averages, 2);
        assert_eq!(smoother.push(&q([240, 8, 8]), 128).probability, 240, "the first is taken as it is");
        assert_eq!(smoother.push(&q([8, 240, 8]), 128), Decision { class: 0, probability: 182, sure: true });
        assert_eq!(smoother.push(&q([8, 240, 8]), 128).class, 0);
        assert_eq!(smoother.push(&q([8, 240, 8]), 128), Decision { class: 1, probability: 142, sure: true });
    }

    #[test]
    fn what_stays_is_reached_from_both_sides() {
        for shift in 0..=SHIFT_MAX + 3 {
            for target in [0, 1, 100, 127, 128, 254, 255] {
                for from in [0, 255] {
                    let mut averages = [0];
                    let mut smoother = Smoother::new(&mut averages, shift);
                    let mut decision = smoother.push(&[(from ^ 0x80_u8) as i8], target);
                    for _ in 0..5000 {
                        decision = smoother.push(&[(target ^ 0x80) as i8], target);
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
    fn more_scores_than_memory_are_not_smoothed() {
        let mut averages = [0; 2];
        let mut smoother = Smoother::new(&mut averages, 4);
        smoother.push(&q([240, 8, 8]), 0);
        assert_eq!(smoother.push(&q([8, 8, 240]), 0), Decision { class: 2, probability: 240, sure: true });
    }
}
