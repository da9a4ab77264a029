//! A TensorFlow Lite model as plain data: every index is in range, every number is checked where it is read.

use half::f16;

use super::Result;
pub use super::tflite::tflite::{ActivationFunctionType, BuiltinOperator, TensorType};

/// Most sides of a tensor.
pub(super) const RANK_MAX: usize = 8;
/// Most elements of a tensor.
pub(super) const ELEMENTS_MAX: usize = 1 << 30;

/// One network with one input, and one output that counts.
#[derive(Clone, Debug)]
pub struct Network<'a> {
    /// All tensors.
    pub tensors: Vec<Tensor<'a>>,
    /// In execution order; every tensor they name exists.
    pub operators: Vec<Operator>,
    /// Index of the tensor that the caller fills.
    pub input: usize,
    /// Index of the tensor that the caller reads.
    pub output: usize,
    /// Operators that were joined to others, a sentence each.
    pub changes: Vec<String>,
}

/// A tensor: an activation, or a constant when it has data.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// For people.
    pub name: &'a str,
    /// Type of the elements.
    pub element: TensorType,
    /// Sides, the batch first. Empty for a single value.
    pub shape: Vec<usize>,
    /// True when a side after the first is unknown before the model runs.
    pub dynamic: bool,
    /// True when its elements are kept from one run to the next.
    pub variable: bool,
    /// How its elements stand for real numbers.
    pub quantisation: Quantisation,
    /// Little-endian elements, where the model contains them.
    pub data: Option<&'a [u8]>,
}

/// How a tensor's elements stand for real numbers; nothing in it is checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quantisation {
    /// Real value of one step: none, one, or one for each index of side [`axis`](Self::axis).
    pub scales: Vec<f32>,
    /// Quantised values of 0: none, one, or as many as scales.
    pub zero_points: Vec<i64>,
    /// The side that several scales belong to.
    pub axis: usize,
}

impl Tensor<'_> {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True when there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the file that say what it is.
    pub(super) fn size(&self) -> usize {
        let Quantisation { scales, zero_points, .. } = &self.quantisation;
        self.name.len() + 4 * (self.shape.len() + scales.len()) + 8 * zero_points.len()
    }

    /// Height, width and channels: the last three sides, 1 where there are fewer.
    ///
    /// # Errors
    /// When it is empty, or a batch of several.
    pub fn sides(&self) -> Result<[usize; 3]> {
        let mut sides = [1; 3];
        for (at, &side) in self.shape.iter().rev().enumerate() {
            match sides.iter_mut().rev().nth(at) {
                Some(slot) => *slot = side,
                None => ensure!(
                    side == 1,
                    Unsupported,
                    "{} has the shape {:?}: only a batch of one and at most three more sides are supported",
                    self.name,
                    self.shape
                ),
            }
        }
        ensure!(!self.is_empty(), Damaged, "{} is empty", self.name);
        Ok(sides)
    }

    /// Constant integers: int32 or int64.
    ///
    /// # Errors
    /// When the tensor is no constant of these types, or a value does not fit i32.
    pub fn integers(&self) -> Result<Vec<i32>> {
        let data = self.data.ok_or_else(|| refused!(Unsupported, "{} is not a constant", self.name))?;
        match self.element {
            TensorType::Int32 => Ok(data.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect()),
            TensorType::Int64 => {
                let values = data.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes));
                let values: Result<Vec<i32>, _> = values.map(i32::try_from).collect();
                values.map_err(|_| refused!(OutOfRange, "a value of {} does not fit 32 bits", self.name))
            }
            other => Err(refused!(Unsupported, "{} is of type {}, not INT32", self.name, type_name(other))),
        }
    }

    /// Constant real numbers: of single or half precision.
    ///
    /// # Errors
    /// When the tensor is no FLOAT32 or FLOAT16 constant.
    pub fn reals(&self) -> Result<Vec<f32>> {
        let data = self.data.ok_or_else(|| refused!(Unsupported, "{} is not a constant", self.name))?;
        match self.element {
            TensorType::Float32 => Ok(data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
            TensorType::Float16 => {
                Ok(data.as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect())
            }
            other => Err(refused!(Unsupported, "{} is of type {}, not FLOAT32", self.name, type_name(other))),
        }
    }
}

/// One operator.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Place in the file.
    pub index: usize,
    /// What it computes.
    pub code: BuiltinOperator,
    /// Its name in the schema: `CONV_2D`; of a custom operator `CUSTOM name`.
    pub kind: String,
    /// Tensors that it reads; `None` where an optional one is left out.
    pub inputs: Vec<Option<usize>>,
    /// Tensors that it makes.
    pub outputs: Vec<usize>,
    /// Its options; those that its kind does not have are at their defaults.
    pub options: Options,
}

impl Operator {
    /// Bytes of the file that say what it is.
    pub(super) fn size(&self) -> usize {
        self.kind.len() + 4 * (self.inputs.len() + self.outputs.len())
    }
}

/// Options of all operators that are understood; each reads its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Padding so that the output is the input divided by the stride, in place of none.
    pub same: bool,
    /// Vertical and horizontal stride.
    pub stride: [i32; 2],
    /// Vertical and horizontal distance of taps.
    pub dilation: [i32; 2],
    /// Zeros that a convolution or a pooling takes in: rows above and columns to the left, then below and to the right.
    pub border: [[i32; 2]; 2],
    /// Height and width of a pooling window.
    pub filter: [i32; 2],
    /// Fused function.
    pub activation: ActivationFunctionType,
    /// Factor of a softmax's inputs.
    pub beta: f32,
    /// Side along which is concatenated, packed or unpacked; negative counts from the last.
    pub axis: i32,
    /// A fully connected layer's weights are in an order for one processor.
    pub shuffled: bool,
    /// Slope of a leaky rectifier below 0.
    pub alpha: f32,
    /// What ELU's exponential below 0 is multiplied with: 1 in TensorFlow Lite.
    pub elu_factor: f32,
    /// GELU is its approximation by TANH.
    pub approximate: bool,
    /// How a strided slice reads its bounds.
    pub masks: Masks,
    /// The factors of a matrix product whose last two sides are exchanged first.
    pub exchanged: [bool; 2],
}

/// Sides of a strided slice whose bounds count for nothing: a bit each, the lowest for the first side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Masks {
    /// It begins at the first element.
    pub begin: i32,
    /// It ends behind the last element.
    pub end: i32,
    /// One element is taken, and the side left out.
    pub shrink: i32,
    /// There is another kind: an ellipsis, a new side, or an end that counts from the beginning.
    pub others: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            same: false,
            stride: [0; 2],
            dilation: [1; 2],
            border: [[0; 2]; 2],
            filter: [0; 2],
            activation: ActivationFunctionType::None,
            beta: 0.0,
            axis: 0,
            shuffled: false,
            alpha: 0.0,
            elu_factor: 1.0,
            approximate: false,
            masks: Masks::default(),
            exchanged: [false; 2],
        }
    }
}

/// The schema's name of an operator: `Conv2d` is `CONV_2D`.
pub(super) fn schema_name(code: BuiltinOperator) -> String {
    let camel = format!("{code:?}");
    let mut name = String::new();
    for (at, letter) in camel.char_indices() {
        let dimensions = letter.is_ascii_digit() && camel.get(at + 1..).is_some_and(|rest| rest.starts_with('d'));
        if at > 0 && (letter.is_ascii_uppercase() || dimensions) {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name.replace("TO1", "TO_1").replace("RELU0", "RELU_0")
}

/// The schema's name of a type: `INT8`.
#[must_use]
pub fn type_name(element: TensorType) -> String {
    format!("{element:?}").to_ascii_uppercase()
}

pub(super) fn element_size(element: TensorType) -> Option<usize> {
    Some(match element {
        TensorType::Int8 | TensorType::Uint8 | TensorType::Bool => 1,
        TensorType::Int16 | TensorType::Uint16 | TensorType::Float16 | TensorType::Bfloat16 => 2,
        TensorType::Float32 | TensorType::Int32 | TensorType::Uint32 => 4,
        TensorType::Int64 | TensorType::Uint64 | TensorType::Float64 => 8,
        _ => return None,
    })
}
