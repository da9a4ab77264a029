//! A TensorFlow Lite model as plain data: every index is in range, every number is checked where it is read.

use half::f16;
use planus::errors::ErrorKind;

use super::Result;
use super::bounds::{Room, check_constants, check_count};
pub use super::tflite::tflite::{ActivationFunctionType, BuiltinOperator, TensorType};
use super::tflite::tflite::{
    BufferRef, BuiltinOptionsRef, ModelRef, OperatorCodeRef, OperatorRef, Padding, QuantizationParametersRef,
    SubGraphRef, TensorRef,
};

/// Most sides of a tensor.
const RANK_MAX: usize = 8;
/// Most elements of a tensor.
const ELEMENTS_MAX: usize = 1 << 30;

/// One network with one input and one output.
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
    fn size(&self) -> usize {
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
    fn size(&self) -> usize {
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
    /// Side along which is concatenated; negative counts from the last.
    pub axis: i32,
    /// A fully connected layer's weights are in an order for one processor.
    pub shuffled: bool,
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
        }
    }
}

/// The schema's name of an operator: `Conv2d` is `CONV_2D`.
fn schema_name(code: BuiltinOperator) -> String {
    let camel = format!("{code:?}");
    let mut name = String::new();
    for (at, letter) in camel.char_indices() {
        let dimensions = letter.is_ascii_digit() && camel.get(at + 1..).is_some_and(|rest| rest.starts_with('d'));
        if at > 0 && (letter.is_ascii_uppercase() || dimensions) {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name.replace("TO1", "TO_1")
}

/// The schema's name of a type: `INT8`.
#[must_use]
pub fn type_name(element: TensorType) -> String {
    format!("{element:?}").to_ascii_uppercase()
}

fn element_size(element: TensorType) -> Option<usize> {
    Some(match element {
        TensorType::Int8 | TensorType::Uint8 | TensorType::Bool => 1,
        TensorType::Int16 | TensorType::Uint16 | TensorType::Float16 | TensorType::Bfloat16 => 2,
        TensorType::Float32 | TensorType::Int32 | TensorType::Uint32 => 4,
        TensorType::Int64 | TensorType::Uint64 | TensorType::Float64 => 8,
        _ => return None,
    })
}

impl<'a> Network<'a> {
    /// Reads a file's bytes, operator by operator. Time and memory are in proportion to them.
    ///
    /// # Errors
    /// When they are no TensorFlow Lite model, are damaged, or hold a model of another form than one input, one output.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        Self::read_tables(bytes).map_err(|error| {
            let damaged = "the file is damaged or cut off: make it or fetch it again";
            if error.is_table() { error.within(damaged) } else { error }
        })
    }

    fn read_tables(bytes: &'a [u8]) -> Result<Self> {
        ensure!(
            bytes.get(4..8) == Some(b"TFL3"),
            NotTflite,
            "this is no TensorFlow Lite model, which says TFL3 at byte 4: give a .tflite file"
        );
        let model = <ModelRef as planus::ReadAsRoot>::read_as_root(bytes)?;
        ensure!(
            model.version()? == 3,
            NotTflite,
            "this is version {} of the TensorFlow Lite format, not 3",
            model.version()?
        );
        let buffers: Vec<BufferRef> = list(model.buffers()?)?;
        let codes: Vec<OperatorCodeRef> = list(model.operator_codes()?)?;
        let graphs: Vec<SubGraphRef> = list(model.subgraphs()?)?;
        let [graph] = graphs.as_slice() else {
            return Err(refused!(
                Unsupported,
                "the model has {} subgraphs (control flow or several signatures): export one function without branches",
                graphs.len()
            ));
        };
        let mut room = Room::of(bytes);
        let mut tensors = Vec::new();
        for (index, tensor) in list(graph.tensors()?)?.into_iter().enumerate() {
            let tensor = read_tensor(tensor, &buffers).and_then(|tensor| room.take(tensor.size()).map(|()| tensor));
            tensors.push(tensor.map_err(|error| error.within(format!("tensor {index} cannot be read")))?);
        }
        let found: Vec<OperatorRef> = list(graph.operators()?)?;
        check_count(found.len())?;
        let mut operators: Vec<Operator> = Vec::new();
        for (index, operator) in found.into_iter().enumerate() {
            let operator = read_operator(index, operator, &codes, tensors.len())
                .and_then(|operator| room.take(operator.size()).map(|()| operator));
            operators.push(operator.map_err(|error| error.within(format!("operator {index} cannot be read")))?);
        }
        check_constants(&tensors, &operators)?;
        let input = single(graph.inputs()?, tensors.len(), "input")?;
        let output = single(graph.outputs()?, tensors.len(), "output")?;
        Ok(Self { tensors, operators, input, output, changes: Vec::new() })
    }
}

/// A vector of tables, empty where it is left out.
fn list<'a, T>(vector: Option<planus::Vector<'a, planus::Result<T>>>) -> Result<Vec<T>>
where
    planus::Result<T>: planus::VectorRead<'a>,
{
    Ok(vector.into_iter().flatten().collect::<planus::Result<Vec<T>>>()?)
}

/// The one tensor that a vector names.
fn single(indices: Option<planus::Vector<'_, i32>>, tensors: usize, what: &str) -> Result<usize> {
    let indices: Vec<i32> = indices.into_iter().flatten().collect();
    let [index] = indices.as_slice() else {
        return Err(refused!(Unsupported, "the model has {} {what}s: export a model with one {what}", indices.len()));
    };
    checked_index(*index, tensors)
}

fn checked_index(index: i32, tensors: usize) -> Result<usize> {
    let valid = usize::try_from(index).ok().filter(|&index| index < tensors);
    valid.ok_or_else(|| refused!(Damaged, "there is no tensor {index}"))
}

fn read_tensor<'a>(tensor: TensorRef<'a>, buffers: &[BufferRef<'a>]) -> Result<Tensor<'a>> {
    let sides: Vec<i32> = tensor.shape()?.into_iter().flatten().take(RANK_MAX + 1).collect();
    ensure!(sides.len() <= RANK_MAX, OutOfRange, "it has more than {RANK_MAX} sides");
    let shape: Option<Vec<usize>> = sides.iter().map(|&side| usize::try_from(side).ok()).collect();
    let shape = shape.ok_or_else(|| refused!(Unsupported, "its shape {sides:?} is not known"))?;
    let elements = shape.iter().try_fold(1_usize, |product, &side| product.checked_mul(side));
    let elements = elements.filter(|&elements| elements <= ELEMENTS_MAX);
    let elements = elements.ok_or_else(|| refused!(OutOfRange, "its shape {sides:?} is too large"))?;
    let signature = tensor.shape_signature()?.into_iter().flatten();
    // The converter joins the names of all operators that it fused; the first is the layer's.
    let name = tensor.name()?.unwrap_or("unnamed").split(';').next().unwrap_or_default();
    let element = tensor.type_()?;
    ensure!(tensor.sparsity()?.is_none(), Unsupported, "{name} is sparse: export the model without sparsity");
    ensure!(!tensor.is_variable()?, Unsupported, "{name} is a variable: models that keep a state are not supported");
    ensure!(tensor.external_buffer()? == 0, Unsupported, "{name} lies outside the file: export the model as one file");
    let buffer = buffers
        .get(tensor.buffer()? as usize)
        .ok_or_else(|| refused!(Damaged, "it names a buffer that does not exist"))?;
    ensure!(buffer.offset()? <= 1, OutOfRange, "{name} lies behind the model's table (a file above 2 GB)");
    let data = buffer.data()?.filter(|data| !data.is_empty());
    if let Some(data) = data {
        let expected = element_size(element).map(|size| size * elements);
        ensure!(
            expected.is_none_or(|expected| expected == data.len()),
            Damaged,
            "{name} has {} bytes for {elements} elements of {}",
            data.len(),
            type_name(element)
        );
    }
    let quantisation = match tensor.quantization()? {
        Some(quantisation) => read_quantisation(quantisation).map_err(|error| error.within(name))?,
        None => Quantisation::default(),
    };
    Ok(Tensor { name, element, dynamic: signature.skip(1).any(|side| side < 0), shape, quantisation, data })
}

fn read_quantisation(quantisation: QuantizationParametersRef<'_>) -> Result<Quantisation> {
    ensure!(quantisation.details_type()? == 0, Unsupported, "its quantisation is of a custom kind");
    let scales: Vec<f32> = quantisation.scale()?.into_iter().flatten().collect();
    let zero_points: Vec<i64> = quantisation.zero_point()?.into_iter().flatten().collect();
    let fits = zero_points.len() == scales.len() || zero_points.len() == 1 || zero_points.is_empty();
    ensure!(fits, Damaged, "there are {} zero points for {} scales", zero_points.len(), scales.len());
    let axis = quantisation.quantized_dimension()?;
    let axis = usize::try_from(axis).map_err(|_| refused!(Damaged, "its quantised dimension is {axis}"))?;
    Ok(Quantisation { scales, zero_points, axis })
}

fn read_operator(
    index: usize,
    operator: OperatorRef<'_>,
    codes: &[OperatorCodeRef<'_>],
    tensors: usize,
) -> Result<Operator> {
    let code = codes
        .get(operator.opcode_index()? as usize)
        .ok_or_else(|| refused!(Damaged, "its operator code does not exist"))?;
    // Older files have the code in a byte, newer ones in both where it fits.
    let code_in_byte = i32::from(code.deprecated_builtin_code()?);
    let builtin = code.builtin_code()?;
    let builtin = if builtin as i32 >= code_in_byte {
        builtin
    } else {
        BuiltinOperator::try_from(code_in_byte).map_err(|error| refused!(UnsupportedOperator, "{error}"))?
    };
    let kind = match code.custom_code()? {
        Some(name) if builtin == BuiltinOperator::Custom => format!("CUSTOM {name}"),
        _ => schema_name(builtin),
    };
    let inputs = operator.inputs()?.into_iter().flatten();
    let inputs = inputs.map(|index| if index < 0 { Ok(None) } else { checked_index(index, tensors).map(Some) });
    let outputs = operator.outputs()?.into_iter().flatten().map(|index| checked_index(index, tensors));
    Ok(Operator {
        index,
        code: builtin,
        kind,
        inputs: inputs.collect::<Result<_>>()?,
        outputs: outputs.collect::<Result<_>>()?,
        options: match operator.builtin_options() {
            // Those of an operator that is not supported.
            Err(error) if matches!(error.error_kind, ErrorKind::UnknownUnionTag { .. }) => Options::default(),
            options => read_options(options?)?,
        },
    })
}

fn read_options(options: Option<BuiltinOptionsRef<'_>>) -> Result<Options> {
    let plain = Options::default();
    Ok(match options {
        Some(BuiltinOptionsRef::Conv2DOptions(o)) => Options {
            same: o.padding()? == Padding::Same,
            stride: [o.stride_h()?, o.stride_w()?],
            dilation: [o.dilation_h_factor()?, o.dilation_w_factor()?],
            activation: o.fused_activation_function()?,
            ..plain
        },
        Some(BuiltinOptionsRef::DepthwiseConv2DOptions(o)) => Options {
            same: o.padding()? == Padding::Same,
            stride: [o.stride_h()?, o.stride_w()?],
            dilation: [o.dilation_h_factor()?, o.dilation_w_factor()?],
            activation: o.fused_activation_function()?,
            ..plain
        },
        Some(BuiltinOptionsRef::Pool2DOptions(o)) => Options {
            same: o.padding()? == Padding::Same,
            stride: [o.stride_h()?, o.stride_w()?],
            filter: [o.filter_height()?, o.filter_width()?],
            activation: o.fused_activation_function()?,
            ..plain
        },
        Some(BuiltinOptionsRef::FullyConnectedOptions(o)) => {
            Options { activation: o.fused_activation_function()?, shuffled: o.weights_format()? != 0, ..plain }
        }
        Some(BuiltinOptionsRef::SoftmaxOptions(o)) => Options { beta: o.beta()?, ..plain },
        Some(BuiltinOptionsRef::ConcatenationOptions(o)) => {
            Options { axis: o.axis()?, activation: o.fused_activation_function()?, ..plain }
        }
        Some(BuiltinOptionsRef::AddOptions(o)) => Options { activation: o.fused_activation_function()?, ..plain },
        Some(BuiltinOptionsRef::MulOptions(o)) => Options { activation: o.fused_activation_function()?, ..plain },
        Some(BuiltinOptionsRef::SubOptions(o)) => Options { activation: o.fused_activation_function()?, ..plain },
        Some(BuiltinOptionsRef::DivOptions(o)) => Options { activation: o.fused_activation_function()?, ..plain },
        _ => plain,
    })
}
