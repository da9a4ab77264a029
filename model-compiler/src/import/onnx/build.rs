//! Operators and tensors of TensorFlow Lite while they are made.

use super::constant::Constant;
use crate::import::Result;
use crate::import::bounds::check_count;
use crate::import::model::{BuiltinOperator, Operator, Options, Quantisation, TensorType};

/// Most bytes of constants that are made.
const CONSTANTS_MAX: usize = 1 << 28;

/// A tensor with channels last.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub name: String,
    pub element: TensorType,
    pub shape: Vec<usize>,
    pub quantisation: Quantisation,
    pub data: Option<Vec<u8>>,
}

/// What has been made.
#[derive(Clone, Debug, Default)]
pub(super) struct Built {
    pub tensors: Vec<Made>,
    pub operators: Vec<Operator>,
    /// What was changed, a sentence each.
    pub changes: Vec<String>,
    /// Bytes of the constants.
    pub bytes: usize,
}

/// How numbers become the bytes of a constant.
#[derive(Clone, Copy)]
pub(super) enum As {
    /// Floats.
    Reals,
    /// Integers of 8 bits; of such without a sign less 128.
    Bytes,
}

impl Built {
    /// Adds an activation.
    pub(super) fn tensor(
        &mut self,
        name: &str,
        [height, width, channels]: [usize; 3],
        quantisation: Option<Quantisation>,
    ) -> usize {
        let element = if quantisation.is_some() { TensorType::Int8 } else { TensorType::Float32 };
        let quantisation = quantisation.unwrap_or_default();
        let shape = vec![1, height, width, channels];
        self.tensors.push(Made { name: name.to_owned(), element, shape, quantisation, data: None });
        self.tensors.len() - 1
    }

    /// Height, width and channels of an activation.
    pub(super) fn sides(&self, tensor: usize) -> [usize; 3] {
        match self.tensors[tensor].shape[..] {
            [_, height, width, channels] => [height, width, channels],
            _ => [1; 3],
        }
    }

    /// How an int8 activation stands for real numbers; none of a float.
    pub(super) fn quantisation(&self, tensor: usize) -> Option<&Quantisation> {
        let made = &self.tensors[tensor];
        (made.element == TensorType::Int8).then_some(&made.quantisation)
    }

    /// Counts bytes of constants that are made.
    fn take(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        ensure!(
            self.bytes <= CONSTANTS_MAX,
            OutOfRange,
            "its constants with channels last take more than {CONSTANTS_MAX} bytes: make the model smaller"
        );
        Ok(())
    }

    fn fill(
        &mut self,
        name: &str,
        shape: &[usize],
        element: TensorType,
        quantisation: Quantisation,
        data: Vec<u8>,
    ) -> Result<usize> {
        self.take(data.len())?;
        let (name, shape, data) = (name.to_owned(), shape.to_vec(), Some(data));
        self.tensors.push(Made { name, element, shape, quantisation, data });
        Ok(self.tensors.len() - 1)
    }

    /// Adds a constant of floats.
    pub(super) fn reals(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Result<usize> {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.fill(name, shape, TensorType::Float32, Quantisation::default(), data)
    }

    /// Adds a constant of integers.
    pub(super) fn integers(&mut self, name: &str, shape: &[usize], values: &[i32]) -> Result<usize> {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.fill(name, shape, TensorType::Int32, Quantisation::default(), data)
    }

    /// Adds numbers of a constant in another order; 0 where there is none.
    pub(super) fn ordered(
        &mut self,
        name: &str,
        constant: &Constant,
        shape: &[usize],
        order: impl Iterator<Item = Option<usize>>,
        how: As,
    ) -> Result<usize> {
        match how {
            As::Reals => {
                let values = constant.reals();
                let values: Vec<f32> = order.map(|at| at.map_or(0.0, |at| values[at])).collect();
                self.reals(name, shape, &values)
            }
            As::Bytes => {
                let (quantisation, offset) = super::quantised::of_constant(constant)?;
                let values = constant.whole()?;
                let zero = quantisation.zero_points.first().copied().unwrap_or(0) as u8;
                let data = order.map(|at| at.map_or(zero, |at| values[at].wrapping_sub(offset) as u8)).collect();
                self.fill(name, shape, TensorType::Int8, quantisation, data)
            }
        }
    }

    /// Adds an operator.
    pub(super) fn operator(
        &mut self,
        (code, kind): (BuiltinOperator, &str),
        inputs: &[Option<usize>],
        output: usize,
        options: Options,
    ) -> Result<()> {
        let (index, kind) = (self.operators.len(), kind.to_owned());
        self.operators.push(Operator { index, code, kind, inputs: inputs.to_vec(), outputs: vec![output], options });
        check_count(self.operators.len())
    }
}
