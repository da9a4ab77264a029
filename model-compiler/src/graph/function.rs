//! Functions of one element, which become one table of the int8 model however many follow each other.

use serde::{Deserialize, Serialize};

use super::Clamp;

/// A function of one element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Function {
    /// 1 / (1 + e^−x).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// A rectifier.
    Clamp(Clamp),
    /// x plus a number.
    Plus(f32),
    /// x times a number.
    Times(f32),
    /// x times what some functions make of x, in their order.
    Gate(Vec<Function>),
    /// x, and below 0 this slope times x.
    LeakyRelu(f32),
    /// x, and below 0 this factor times e^x − 1.
    Elu(f32),
}

impl Function {
    /// x · min(max(x + 3, 0), 6) / 6.
    #[must_use]
    pub fn hard_swish() -> Self {
        Function::Gate(vec![Function::Plus(3.0), Function::Clamp(Clamp::Relu6), Function::Times(1.0 / 6.0)])
    }

    fn apply(&self, x: f64) -> f64 {
        match self {
            Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Function::Tanh => x.tanh(),
            Function::Clamp(clamp) => {
                let (min, max) = clamp.range();
                x.clamp(min.into(), max.into())
            }
            Function::Plus(number) => x + f64::from(*number),
            Function::Times(number) => x * f64::from(*number),
            Function::Gate(functions) => x * apply(functions, x),
            Function::LeakyRelu(slope) => {
                if x < 0.0 {
                    x * f64::from(*slope)
                } else {
                    x
                }
            }
            Function::Elu(factor) => {
                if x < 0.0 {
                    f64::from(*factor) * x.exp_m1()
                } else {
                    x
                }
            }
        }
    }
}

/// What functions make of `x` one after the other.
#[must_use]
pub fn apply(functions: &[Function], x: f64) -> f64 {
    functions.iter().fold(x, |x, function| function.apply(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_worked_out_by_hand() {
        assert_eq!(apply(&[], 2.5), 2.5);
        assert_eq!(apply(&[Function::Plus(1.0), Function::Times(2.0)], 2.5), 7.0);
        assert_eq!(apply(&[Function::Clamp(Clamp::Relu6)], 7.0), 6.0);
        assert_eq!(apply(&[Function::Gate(vec![])], -3.0), 9.0);
        for (x, expected) in [(-4.0, 0.0), (-1.5, -0.375), (0.0, 0.0), (1.0, 2.0 / 3.0), (5.0, 5.0)] {
            let made = apply(&[Function::hard_swish()], x);
            assert!((made - expected).abs() < 1e-6, "{x}: {made}");
        }
        assert_eq!([-4.0, 3.0].map(|x| apply(&[Function::LeakyRelu(0.25)], x)), [-1.0, 3.0]);
        for (factor, expected) in [(1.0, -0.632_120_558_8), (0.5, -0.316_060_279_4)] {
            let elu = |x| apply(&[Function::Elu(factor)], x);
            assert!((elu(-1.0) - expected).abs() < 1e-9 && elu(2.0) == 2.0);
        }
        let swish = apply(&[Function::Gate(vec![Function::Sigmoid])], 1.0);
        assert!((swish - 0.731_058_578_6).abs() < 1e-9, "{swish}");
        assert!((apply(&[Function::Tanh], 0.5) - 0.462_117_157_3).abs() < 1e-9);
    }
}
