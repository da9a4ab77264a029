//! What makes probabilities of a network's scores, at its end.

use no_std_infer::Model;
use no_std_infer::format::{Lookup, Op, Softmax, Tensor};

use super::error::{Error, Result};
use super::{QuantModel, Quantisation, append, lookup_table, softmax_parameters};
use crate::graph::{Function, apply, softmax};

/// What follows the last node of a float graph in the int8 model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ending {
    /// Nothing: what the graph makes is what the model gives.
    Outputs,
    /// A sigmoid of each score.
    Sigmoid,
    /// The softmax of the scores, which are divided by a temperature before.
    Softmax {
        /// Finite and above 0.
        temperature: f32,
    },
}

impl Ending {
    /// That of a model: of which kind its last operator is, where that reads the scores.
    #[must_use]
    pub fn of(model: &Model<'_>) -> Self {
        match model.ops().last() {
            Some(Op::Softmax(_)) => Self::Softmax { temperature: model.info().temperature },
            _ if model.ends_in_sigmoid() => Self::Sigmoid,
            _ => Self::Outputs,
        }
    }

    /// The name of its operator, for people; none where it has none.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Outputs => None,
            Self::Sigmoid => Some("sigmoid"),
            Self::Softmax { .. } => Some("softmax"),
        }
    }

    /// By what scores are divided before.
    #[must_use]
    pub const fn temperature(self) -> f32 {
        match self {
            Self::Outputs | Self::Sigmoid => 1.0,
            Self::Softmax { temperature } => temperature,
        }
    }

    /// What it makes of scores; none where nothing follows them.
    #[must_use]
    pub fn probabilities(self, scores: &[f32]) -> Option<Vec<f32>> {
        match self {
            Self::Outputs => None,
            Self::Sigmoid => Some(scores.iter().map(|&score| sigmoid(score.into()) as f32).collect()),
            Self::Softmax { temperature } => {
                Some(softmax(scores, temperature).into_iter().map(|share| share as f32).collect())
            }
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    apply(&[Function::Sigmoid], x)
}

impl QuantModel {
    /// The model with an ending after its logits, which its last operator makes.
    ///
    /// # Errors
    /// When the temperature is not above 0, or the scale of the logits is too small for a softmax.
    pub fn ended(mut self, ending: Ending) -> Result<Self> {
        let temperature = ending.temperature();
        ensure!(temperature.is_finite() && temperature > 0.0, Error::Temperature(temperature));
        let Some(name) = ending.name() else { return Ok(self) };
        let Quantisation { scale, zero_point } = Quantisation::PROBABILITY;
        let output = Tensor { offset: self.ops.len() as u32 + 1, scale, zero_point, ..self.logits };
        let input = self.logits;
        let op = if ending == Ending::Sigmoid {
            let table = append(&mut self.constants, &lookup_table(&input, &output, sigmoid));
            Op::Lookup(Lookup { input, output, table })
        } else {
            let parameters = softmax_parameters(input.scale, temperature);
            let (multiplier, diff_min) = parameters.ok_or(Error::Logits(input.scale))?;
            Op::Softmax(Softmax { input, output, multiplier, diff_min })
        };
        self.ops.push(op);
        self.names.push(name.to_owned());
        self.temperature = temperature;
        Ok(self)
    }
}
