//! What a classifier's scores say: the one rule by which host and device choose a class and whether to answer.
//!
//! The class is that of the largest logit, the first of equals. A model that ends in the sigmoid of one logit has two classes,
//! the second of which it is where that logit is above 0: see [`Scores`]. It is answered where its probability reaches the threshold of
//! the blob's [`Calibration`](crate::format::Calibration). Probabilities only say how sure the model is: they have
//! fewer steps than the logits, so that several classes may share the largest.

use core::cmp::Ordering;

use heapless::Vec;

use crate::format::{Op, Tensor};
use crate::interpreter::Interpreter;
use crate::model::Model;

/// The scores of a model's classes: logits, and probabilities `(q + 128) / 256` where the model ends in a softmax or a sigmoid.
///
/// Those are what it gives, but for a sigmoid of one logit `x`, which is the softmax of 0 and `x`: the first class has the logit
/// 0 and the probability that is left, 255 / 256 at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Scores<'s> {
    /// One a channel.
    Each {
        /// The scores before softmax or sigmoid.
        logits: &'s [i8],
        /// The last operator's output.
        output: &'s [i8],
    },
    /// Those of two classes, which one logit tells apart.
    Two {
        /// 0 and the logit.
        logits: [i8; 2],
        /// What is left of the probability, and the probability.
        output: [i8; 2],
    },
}

impl Scores<'_> {
    /// Logits, one a class.
    #[must_use]
    pub fn logits(&self) -> &[i8] {
        match self {
            Self::Each { logits, .. } => logits,
            Self::Two { logits, .. } => logits,
        }
    }

    /// What the last operator gives for each class.
    #[must_use]
    pub fn output(&self) -> &[i8] {
        match self {
            Self::Each { output, .. } => output,
            Self::Two { output, .. } => output,
        }
    }
}

/// Whether an operator is a sigmoid over the logits: a table whose outputs are probabilities.
#[must_use]
pub fn is_sigmoid(op: &Op, logits: &Tensor) -> bool {
    let Op::Lookup(op) = op else { return false };
    op.input == *logits && op.output != *logits && (op.output.scale, op.output.zero_point) == (1.0 / 256.0, -128)
}

/// Number of classes of a model: one a channel of the logits, but two where a sigmoid of one logit tells them apart.
#[must_use]
pub fn classes(logits: &Tensor, sigmoid: bool) -> u32 {
    if sigmoid && logits.checked_len() == Some(1) { 2 } else { logits.channels }
}

/// What the scores of one picture say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decision {
    /// The class: index of the largest logit, the first of equals.
    pub class: usize,
    /// Its probability in 256ths, where the model ends in a softmax or a sigmoid over its logits.
    pub probability: u8,
    /// False when the probability is below the threshold: then the class is rather not to be believed.
    pub sure: bool,
}

impl Decision {
    /// Applies the rule to logits and the last operator's output. The probability of a class that the output lacks is 0.
    #[must_use]
    pub fn new(logits: &[i8], output: &[i8], threshold: u8) -> Self {
        let class = argmax(logits);
        let probability = probability(output, class);
        Self { class, probability, sure: probability >= threshold }
    }

    /// The class, or `None` where it is rather not to be believed.
    #[must_use]
    pub fn answer(&self) -> Option<usize> {
        self.sure.then_some(self.class)
    }
}

/// Index of the largest value, the first of equals; 0 when there is none.
#[must_use]
pub fn argmax(values: &[i8]) -> usize {
    let mut best = (0, i8::MIN);
    for (index, &value) in values.iter().enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

/// Which of two classes comes first: that of the larger logit, of equals that of the lower index.
#[must_use]
pub fn rank(logits: &[i8], one: usize, other: usize) -> Ordering {
    logits.get(other).cmp(&logits.get(one)).then(one.cmp(&other))
}

/// A class's probability in 256ths.
fn probability(output: &[i8], class: usize) -> u8 {
    output.get(class).map_or(0, |&q| q as u8 ^ 0x80)
}

/// The first `K` classes in the order of [`rank`], with their probabilities.
fn top<const K: usize>(logits: &[i8], output: &[i8]) -> Vec<(usize, u8), K> {
    let mut best: Vec<_, K> = Vec::new();
    for class in 0..logits.len() {
        let place = best.iter().take_while(|&&(before, _)| rank(logits, before, class).is_lt()).count();
        let mut moved = (class, probability(output, class));
        for slot in best.iter_mut().skip(place) {
            core::mem::swap(slot, &mut moved);
        }
        // The last of more than `K` falls out.
        let _ = best.push(moved);
    }
    best
}

impl Model<'_> {
    /// Least probability in 256ths of a class that is answered; 0 where the blob has no calibration.
    #[must_use]
    pub fn threshold(&self) -> u8 {
        self.calibration().map_or(0, |calibration| calibration.threshold)
    }

    /// The scores of the [classes](Self::classes), of what the model has given: logits and the last operator's output.
    #[must_use]
    pub fn scores<'s>(&self, logits: &'s [i8], output: &'s [i8]) -> Scores<'s> {
        match (logits, output) {
            (&[logit], &[second]) if self.ends_in_sigmoid() => Scores::Two {
                logits: [self.info().logits.zero_point, logit],
                output: [second.saturating_neg(), second],
            },
            _ => Scores::Each { logits, output },
        }
    }
}

impl Interpreter<'_, '_> {
    /// The scores of the model's classes.
    #[must_use]
    pub fn scores(&self) -> Scores<'_> {
        self.model().scores(self.logits(), self.output())
    }

    /// Index of the largest logit, the first of equals: a classifier's class. Logits of several rows and columns count
    /// in HWC order; a sigmoid of one logit tells class 0 from class 1.
    #[must_use]
    pub fn class(&self) -> usize {
        argmax(self.scores().logits())
    }

    /// The class, or `None` where its probability is below the threshold of the blob's
    /// [`Calibration`](crate::format::Calibration): the model rather does not answer. Without one it always answers.
    #[must_use]
    pub fn decision(&self) -> Option<usize> {
        let scores = self.scores();
        Decision::new(scores.logits(), scores.output(), self.model().threshold()).answer()
    }

    /// The `K` likeliest classes, fewer where there are not so many, with their probabilities in 256ths: by descending
    /// logit, and ascending index among equals. So the first is [`class`](Self::class).
    #[must_use]
    pub fn top<const K: usize>(&self) -> Vec<(usize, u8), K> {
        let scores = self.scores();
        top(scores.logits(), scores.output())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_logit_decides_and_its_probability_whether_to_answer() {
        let (logits, output) = ([3, 9, 9, -4], [-128, -28, 100, -128]);
        let decision = |threshold| Decision::new(&logits, &output, threshold);
        assert_eq!(decision(100), Decision { class: 1, probability: 100, sure: true });
        assert_eq!(decision(101), Decision { class: 1, probability: 100, sure: false });
        assert_eq!((decision(100).answer(), decision(101).answer()), (Some(1), None));
        assert_eq!(Decision::new(&logits, &[5], 1), Decision { class: 1, probability: 0, sure: false });
        assert_eq!(Decision::new(&[], &[], 0), Decision { class: 0, probability: 0, sure: true });
        assert_eq!(argmax(&[i8::MIN; 3]), 0);
    }

    #[test]
    fn the_first_classes_are_those_of_a_stable_sort() {
        let mut state = 1_u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        for count in 0..400 {
            let spread = 1 + random(20);
            let logits: std::vec::Vec<i8> = (0..count % 40).map(|_| random(spread) as i8 - 10).collect();
            let output: std::vec::Vec<i8> = logits.iter().map(|&logit| logit / 4).collect();
            let mut order: std::vec::Vec<usize> = (0..logits.len()).collect();
            order.sort_by_key(|&class| core::cmp::Reverse(logits[class]));
            let all = order.iter().map(|&class| (class, (i16::from(output[class]) + 128) as u8));
            assert!(top::<5>(&logits, &output).into_iter().eq(all.clone().take(5)));
            assert!(top::<64>(&logits, &output).into_iter().eq(all));
            order.sort_unstable_by(|&one, &other| rank(&logits, one, other));
            assert_eq!(order.first().copied().unwrap_or(0), argmax(&logits));
            assert!(top::<0>(&logits, &output).is_empty());
        }
    }
}
