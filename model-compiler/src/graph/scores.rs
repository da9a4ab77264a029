//! What scores say: the class, and probabilities.

/// The class by its scores: the index of the largest, the first of equals; 0 where there are none. It is the rule of
/// [`no_std_infer::argmax`] for scores of any type.
#[must_use]
pub fn class<T: PartialOrd>(scores: &[T]) -> usize {
    (1..scores.len()).fold(0, |best, index| if scores[index] > scores[best] { index } else { best })
}

/// softmax(logits / `temperature`): each above 0, so that it has a logarithm, and their sum 1.
#[must_use]
pub fn softmax(logits: &[f32], temperature: f32) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let power = |logit: &f32| (f64::from(logit - largest) / f64::from(temperature)).exp().max(f64::MIN_POSITIVE);
    let powers: Vec<f64> = logits.iter().map(power).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use no_std_infer::argmax;

    use super::*;

    #[test]
    fn the_first_of_equals_is_the_class_here_and_in_the_engine() {
        let values = [i8::MIN, -1, 0, 1, i8::MAX];
        for a in values {
            for b in values {
                for c in values {
                    assert_eq!(class(&[a, b, c]), argmax(&[a, b, c]), "{a} {b} {c}");
                }
            }
        }
        assert_eq!((class::<f32>(&[]), class(&[-0.0, 0.0]), class(&[0.5, 2.0, 2.0])), (0, 0, 1));
    }

    #[test]
    fn softmax_by_hand() {
        let shares = softmax(&[2.0 * 3.0_f32.ln(), 0.0], 2.0);
        assert!((shares[0] - 0.75).abs() < 1e-6 && (shares[1] - 0.25).abs() < 1e-6);
        assert!(softmax(&[3000.0, 0.0], 1.0)[1] > 0.0);
    }
}
