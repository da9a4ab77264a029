//! Constants of an ONNX model.

use std::rc::Rc;

use half::{bf16, f16};
use prost::Message;
use prost::bytes::Bytes;

use super::schema::TensorProto;
use super::view::{View, count};
use crate::import::Result;

/// Numbers of a constant.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    /// Of any floating-point type.
    Reals(Vec<f32>),
    /// Of any integer type; booleans are 0 and 1.
    Integers(Vec<i64>),
}

/// Scales and zero points that integers have got by a DequantizeLinear.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Steps {
    /// One, or one for each index of `axis`.
    pub scales: Vec<f32>,
    /// As many.
    pub zero_points: Vec<i64>,
    /// The side that several belong to.
    pub axis: usize,
}

/// A constant: rows of numbers under sides.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    pub dims: Vec<usize>,
    pub data: Data,
    /// The type in the file, by ONNX's number.
    pub element: i32,
    /// What its integers stand for, if not for themselves.
    pub steps: Option<Steps>,
}

/// ONNX's numbers of types.
pub(super) mod element {
    pub(in super::super) const FLOAT: i32 = 1;
    pub(in super::super) const UINT8: i32 = 2;
    pub(in super::super) const INT8: i32 = 3;
    pub(super) const UINT16: i32 = 4;
    pub(super) const INT16: i32 = 5;
    pub(in super::super) const INT32: i32 = 6;
    pub(in super::super) const INT64: i32 = 7;
    pub(super) const BOOL: i32 = 9;
    pub(in super::super) const FLOAT16: i32 = 10;
    pub(in super::super) const DOUBLE: i32 = 11;
    pub(in super::super) const BFLOAT16: i32 = 16;
}

/// Sides as they are written in a file.
///
/// # Errors
/// When one is negative or there are more than tensors have.
pub(super) fn sides(dims: &[i64]) -> Result<Vec<usize>> {
    ensure!(dims.len() <= 8, Unsupported, "a tensor with {} sides is not supported", dims.len());
    let sides = dims.iter().map(|&side| usize::try_from(side).ok()).collect::<Option<Vec<_>>>();
    sides.ok_or_else(|| refused!(Damaged, "a constant has the sides {dims:?}: the file is damaged"))
}

impl Constant {
    /// Integers.
    pub(super) fn integers(values: Vec<i64>, dims: Vec<usize>) -> Self {
        Self { dims, data: Data::Integers(values), element: element::INT64, steps: None }
    }

    /// Reads one of a file.
    ///
    /// # Errors
    /// When it is damaged, of another type, or in another file.
    pub(super) fn read(bytes: &Bytes) -> Result<Self> {
        let tensor = TensorProto::decode(bytes.clone()).map_err(|error| damaged(&error))?;
        let within = format!("the constant {}", tensor.name);
        Self::of(&tensor).map_err(|error| error.within(within))
    }

    fn of(tensor: &TensorProto) -> Result<Self> {
        if tensor.data_location != 0 {
            let file = tensor.external_data.iter().find(|entry| entry.key == "location");
            return Err(refused!(
                Unsupported,
                "its numbers are in another file, {}: write the model as one file, of PyTorch by torch.onnx.export(..., \
                 external_data=False), else by onnx.save(onnx.load(\"model.onnx\"), \"one.onnx\")",
                file.map_or("which is not named", |entry| &entry.value)
            ));
        }
        let dims = sides(&tensor.dims)?;
        // Constants without elements are lists of no numbers.
        let expected = if dims.contains(&0) { 0 } else { count(&dims)? };
        let data = numbers(tensor)?;
        let constant = Self { dims, data, element: tensor.data_type, steps: None };
        let found = constant.len();
        ensure!(found == expected, Damaged, "it has {found} numbers in place of {expected}: the file is damaged");
        Ok(constant)
    }

    /// How many numbers it has.
    pub(super) fn len(&self) -> usize {
        match &self.data {
            Data::Reals(values) => values.len(),
            Data::Integers(values) => values.len(),
        }
    }

    /// Its numbers times a factor; of integers that stand for real numbers these steps.
    ///
    /// # Errors
    /// When steps would not be positive.
    pub(super) fn times(&self, factor: f32) -> Result<Self> {
        let scaled = |values: Vec<f32>| values.into_iter().map(|value| value * factor).collect::<Vec<f32>>();
        let Some(steps) = &self.steps else {
            return Ok(Self { data: Data::Reals(scaled(self.reals())), ..self.clone() });
        };
        ensure!(
            factor.is_sign_positive() && factor.is_normal(),
            Unsupported,
            "quantised weights are multiplied with {factor}: only positive factors are supported"
        );
        Ok(Self { steps: Some(Steps { scales: scaled(steps.scales.clone()), ..steps.clone() }), ..self.clone() })
    }

    /// Its real numbers.
    pub(super) fn reals(&self) -> Vec<f32> {
        match (&self.data, &self.steps) {
            (Data::Reals(values), _) => values.clone(),
            (Data::Integers(values), None) => values.iter().map(|&value| value as f32).collect(),
            (Data::Integers(values), Some(steps)) => {
                let inner: usize = self.dims.iter().skip(steps.axis + 1).product();
                let channels = steps.scales.len();
                let real = |(index, &value): (usize, &i64)| {
                    let channel = if channels == 1 { 0 } else { index / inner.max(1) % channels };
                    value.saturating_sub(steps.zero_points[channel]) as f32 * steps.scales[channel]
                };
                values.iter().enumerate().map(real).collect()
            }
        }
    }

    /// Its integers, as shapes, axes and indices are given.
    ///
    /// # Errors
    /// When they are no integers.
    pub(super) fn whole(&self) -> Result<&[i64]> {
        match &self.data {
            Data::Integers(values) => Ok(values),
            Data::Reals(_) => Err(refused!(Damaged, "numbers that must be integers are not: the file is damaged")),
        }
    }

    /// Those of its numbers that a view of it has.
    ///
    /// # Errors
    /// When these are too many.
    pub(super) fn viewed(&self, view: &View) -> Result<Self> {
        ensure!(self.steps.is_none(), Unsupported, "quantised constants in another order are not supported");
        let places = view.places()?;
        let data = match &self.data {
            Data::Reals(values) => Data::Reals(places.iter().filter_map(|&at| values.get(at).copied()).collect()),
            Data::Integers(values) => Data::Integers(places.iter().filter_map(|&at| values.get(at).copied()).collect()),
        };
        Ok(Self { dims: view.dims(), data, element: self.element, steps: None })
    }

    /// The same numbers under other sides.
    pub(super) fn reshaped(self: &Rc<Self>, dims: Vec<usize>) -> Self {
        Self { dims, ..Self::clone(self) }
    }
}

/// What a protobuf reader says of bytes that it cannot read.
pub(super) fn damaged(error: &prost::DecodeError) -> crate::import::Error {
    refused!(Damaged, "the file is damaged or cut off, make it or fetch it again: {error}")
}

fn numbers(tensor: &TensorProto) -> Result<Data> {
    let raw = &tensor.raw_data[..];
    let reals = |values: Vec<f32>| Ok(Data::Reals(values));
    let integers = |values: Vec<i64>| Ok(Data::Integers(values));
    let small = || tensor.int32_data.iter().map(|&value| i64::from(value)).collect::<Vec<_>>();
    macro_rules! chunks {
        ($type:ty, $size:literal, $to:expr) => {
            raw.as_chunks::<$size>().0.iter().map(|bytes| $to(<$type>::from_le_bytes(*bytes))).collect()
        };
    }
    let plain = raw.is_empty();
    match tensor.data_type {
        element::FLOAT if plain => reals(tensor.float_data.clone()),
        element::FLOAT => reals(chunks!(f32, 4, |value| value)),
        element::DOUBLE => reals(chunks!(f64, 8, |value| value as f32)),
        element::FLOAT16 if plain => {
            reals(tensor.int32_data.iter().map(|&bits| f16::from_bits(bits as u16).to_f32()).collect())
        }
        element::FLOAT16 => reals(chunks!(f16, 2, |value: f16| value.to_f32())),
        element::BFLOAT16 => reals(chunks!(bf16, 2, |value: bf16| value.to_f32())),
        element::INT64 if plain => integers(tensor.int64_data.clone()),
        element::INT64 => integers(chunks!(i64, 8, |value| value)),
        element::INT32 | element::INT16 | element::UINT16 | element::INT8 | element::UINT8 | element::BOOL if plain => {
            integers(small())
        }
        element::INT32 => integers(chunks!(i32, 4, i64::from)),
        element::INT16 => integers(chunks!(i16, 2, i64::from)),
        element::UINT16 => integers(chunks!(u16, 2, i64::from)),
        element::INT8 => integers(chunks!(i8, 1, i64::from)),
        element::UINT8 | element::BOOL => integers(chunks!(u8, 1, i64::from)),
        other => Err(refused!(Unsupported, "its type, number {other} of ONNX, is not supported")),
    }
}
