//! What a float model is quantised on: pictures, or numbers as it reads them.

use no_std_infer::format::{Color, Fit, ImageInput, InputKind};

use super::error::{Cause, Error};
use crate::graph::Shape;
use crate::import::float::Normalisation;
use crate::quantise::{Quantisation, Range};

/// Makes inputs for a network that reads tensors of this shape.
pub(super) type Make<'a, T> = Box<dyn FnOnce(Shape) -> Result<Vec<Vec<T>>, Cause> + 'a>;

/// Where the inputs come from.
pub(super) enum Calibration<'a> {
    /// Pictures, `pixel − 128`, and what the network reads of pixels.
    Pictures(Normalisation, Make<'a, i8>),
    /// The numbers that the network reads.
    Numbers(Make<'a, f32>),
}

/// Inputs of a network.
pub(super) struct Inputs {
    /// An input each.
    pub bytes: Vec<Vec<i8>>,
    /// Which real numbers they are: of the byte `b`, `(b + 128 − mean) / std`.
    pub normalisation: Normalisation,
    /// What the bytes mean.
    pub kind: InputKind,
    /// The real number of one step, where the bytes are no pixels.
    pub scale: Option<f32>,
}

impl Calibration<'_> {
    /// A normalisation by which a network can be looked at before there are inputs.
    pub(super) fn normalisation(&self) -> Result<Normalisation, Error> {
        match self {
            Self::Pictures(normalisation, _) => {
                let std = normalisation.std;
                if std.is_finite() && std > 0.0 { Ok(*normalisation) } else { Err(Error::Deviation(std)) }
            }
            Self::Numbers(_) => Ok(Normalisation { mean: 128.0, std: 1.0 }),
        }
    }

    /// Makes the inputs.
    pub(super) fn inputs(self, shape: Shape) -> Result<Inputs, Error> {
        match self {
            Self::Pictures(normalisation, make) => {
                let color = [Color::Grey, Color::Rgb].into_iter().find(|color| color.channels() == shape.channels);
                let color = color.ok_or(Error::NoPicture(shape))?;
                let bytes = checked(make(shape).map_err(Error::Inputs)?, shape)?;
                let [mean, std] = [normalisation.mean, normalisation.std].map(|value| [(value / 255.0) as f32; 3]);
                let kind = InputKind::Image(ImageInput { color, fit: Fit::Stretch, mean, std });
                Ok(Inputs { bytes, normalisation, kind, scale: None })
            }
            Self::Numbers(make) => {
                let numbers = checked(make(shape).map_err(Error::Inputs)?, shape)?;
                let ranges = numbers.iter().map(|numbers| Range::of(numbers));
                let range = ranges.fold(Range::new(0.0, 0.0), Range::union);
                if !(range.max - range.min).is_finite() {
                    return Err(Error::NotFinite);
                }
                let quantisation = Quantisation::of_range(range);
                let quantise = |numbers: &Vec<f32>| numbers.iter().map(|&real| quantisation.quantise(real)).collect();
                let (scale, zero) = (quantisation.scale, f64::from(quantisation.zero_point));
                let normalisation = Normalisation { mean: 128.0 + zero, std: 1.0 / f64::from(scale) };
                let bytes = numbers.iter().map(quantise).collect();
                Ok(Inputs { bytes, normalisation, kind: InputKind::Tensor, scale: Some(scale) })
            }
        }
    }
}

/// Two inputs or more, each of the network's length.
fn checked<T>(inputs: Vec<Vec<T>>, shape: Shape) -> Result<Vec<Vec<T>>, Error> {
    let expected = shape.len();
    match inputs.iter().find(|input| input.len() != expected) {
        _ if inputs.len() < 2 => Err(Error::FewInputs(inputs.len())),
        Some(wrong) => Err(Error::InputLength { found: wrong.len(), expected }),
        None => Ok(inputs),
    }
}
