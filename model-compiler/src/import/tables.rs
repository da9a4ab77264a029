//! From the tables of a file to plain data.

use planus::errors::ErrorKind;

use super::Result;
use super::advice::STATE;
use super::bounds::{Room, check_constants, check_count};
use super::ends::{chosen, several_inputs};
use super::model::{
    ELEMENTS_MAX, Masks, Network, Operator, Options, Quantisation, RANK_MAX, Tensor, element_size, schema_name,
    type_name,
};
use super::tflite::tflite::{
    BufferRef, BuiltinOperator, BuiltinOptionsRef, ModelRef, OperatorCodeRef, OperatorRef, Padding,
    QuantizationParametersRef, SubGraphRef, TensorRef,
};

impl<'a> Network<'a> {
    /// Reads a file's bytes, operator by operator. Time and memory are in proportion to them. Of several outputs the caller names one.
    ///
    /// # Errors
    /// When they are no TensorFlow Lite model, are damaged, or hold a model of several inputs, or of several outputs without a name of
    /// one of them.
    pub fn read(bytes: &'a [u8], output: Option<&str>) -> Result<Self> {
        Self::read_tables(bytes, output).map_err(|error| {
            let damaged = "the file is damaged or cut off: make it or fetch it again";
            if error.is_table() { error.within(damaged) } else { error }
        })
    }

    fn read_tables(bytes: &'a [u8], output: Option<&str>) -> Result<Self> {
        ensure!(
            bytes.get(4..8) == Some(b"TFL3"),
            NotTflite,
            "this is no TensorFlow Lite model, which says TFL3 at byte 4: give a .tflite file, or an .onnx file that is whole"
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
            let calls = |code: &BuiltinOperator| {
                matches!(
                    code,
                    BuiltinOperator::CallOnce | BuiltinOperator::If | BuiltinOperator::While | BuiltinOperator::Call
                )
            };
            let codes = codes.iter().map(|code| builtin(*code)).collect::<Result<Vec<_>>>()?;
            return Err(match codes.into_iter().find(calls) {
                Some(code) => refused!(
                    Unsupported,
                    "the model has {} subgraphs, of which its operator {} runs one: {}",
                    graphs.len(),
                    schema_name(code),
                    if code == BuiltinOperator::CallOnce { STATE } else { "export a model without branches and loops" }
                ),
                None => refused!(
                    Unsupported,
                    "the model has {} subgraphs, of several signatures: export one function",
                    graphs.len()
                ),
            });
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
        let ends = |indices: Option<planus::Vector<'_, i32>>| -> Result<Vec<usize>> {
            indices.into_iter().flatten().map(|index| checked_index(index, tensors.len())).collect()
        };
        let inputs = ends(graph.inputs()?)?;
        let &[input] = inputs.as_slice() else { return Err(several_inputs(inputs.len())) };
        let outputs = ends(graph.outputs()?)?;
        let named: Vec<&str> = outputs.iter().map(|&index| tensors[index].name).collect();
        let output = outputs[chosen(&named, output)?];
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
    let (dynamic, variable) = (signature.skip(1).any(|side| side < 0), tensor.is_variable()?);
    Ok(Tensor { name, element, dynamic, variable, shape, quantisation, data })
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
    let builtin = builtin(*code)?;
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
            // Those of an operator that is not supported, and a type without a table, which has the schema's defaults.
            Err(error)
                if matches!(
                    error.error_kind,
                    ErrorKind::UnknownUnionTag { .. } | ErrorKind::InvalidVtableLength { length: NO_TABLE }
                ) =>
            {
                Options::default()
            }
            options => read_options(options?)?,
        },
    })
}

/// The operator that a code stands for: older files have it in a byte, newer ones in both where it fits.
fn builtin(code: OperatorCodeRef<'_>) -> Result<BuiltinOperator> {
    let (code_in_byte, builtin) = (i32::from(code.deprecated_builtin_code()?), code.builtin_code()?);
    if builtin as i32 >= code_in_byte {
        return Ok(builtin);
    }
    BuiltinOperator::try_from(code_in_byte).map_err(|error| refused!(UnsupportedOperator, "{error}"))
}

/// Length of the list of an operator's fields that ends with the type of its options: four entries of two bytes behind two
/// numbers of two. That of a damaged list is odd.
const NO_TABLE: u16 = 12;

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
        Some(BuiltinOptionsRef::LeakyReluOptions(o)) => Options { alpha: o.alpha()?, ..plain },
        Some(BuiltinOptionsRef::GeluOptions(o)) => Options { approximate: o.approximate()?, ..plain },
        Some(BuiltinOptionsRef::L2NormOptions(o)) => Options { activation: o.fused_activation_function()?, ..plain },
        Some(BuiltinOptionsRef::StridedSliceOptions(o)) => {
            let others = o.ellipsis_mask()? != 0 || o.new_axis_mask()? != 0 || o.offset()?;
            let masks = Masks { begin: o.begin_mask()?, end: o.end_mask()?, shrink: o.shrink_axis_mask()?, others };
            Options { masks, ..plain }
        }
        Some(BuiltinOptionsRef::PackOptions(o)) => Options { axis: o.axis()?, ..plain },
        Some(BuiltinOptionsRef::UnpackOptions(o)) => Options { axis: o.axis()?, ..plain },
        Some(BuiltinOptionsRef::BatchMatMulOptions(o)) => Options { exchanged: [o.adj_x()?, o.adj_y()?], ..plain },
        Some(BuiltinOptionsRef::AddOptions(o)) => Options { activation: o.fused_activation_function()?, ..plain },
        Some(BuiltinOptionsRef::MulOptions(o)) => Options { activation: o.fused_activation_function()?, ..plain },
        Some(BuiltinOptionsRef::SubOptions(o)) => Options { activation: o.fused_activation_function()?, ..plain },
        Some(BuiltinOptionsRef::DivOptions(o)) => Options { activation: o.fused_activation_function()?, ..plain },
        _ => plain,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tflite::tflite as file;
    use super::*;

    /// A file of one operator, and where its table lies.
    fn of_one_operator(code: BuiltinOperator, options: file::BuiltinOptions) -> (Vec<u8>, usize) {
        let tensor = || file::Tensor { shape: Some(vec![1]), ..Default::default() };
        let operator = file::Operator {
            inputs: Some(vec![0]),
            outputs: Some(vec![1]),
            builtin_options: Some(options),
            ..Default::default()
        };
        let graph = file::SubGraph {
            tensors: Some(vec![tensor(), tensor()]),
            inputs: Some(vec![0]),
            outputs: Some(vec![1]),
            operators: Some(vec![operator]),
        };
        let code = file::OperatorCode {
            deprecated_builtin_code: (code as i32).min(127) as i8,
            builtin_code: code,
            ..Default::default()
        };
        let model = file::Model {
            version: 3,
            operator_codes: Some(vec![code]),
            subgraphs: Some(vec![graph]),
            buffers: Some(vec![file::Buffer::default()]),
            ..Default::default()
        };
        let mut bytes = planus::Builder::new().finish(model, Some(*b"TFL3")).to_vec();
        // The format has the root's offset before the identifier.
        let root = number(&bytes, 4, 4) + 4;
        bytes[..4].copy_from_slice(&(root as u32).to_le_bytes());
        bytes[4..8].copy_from_slice(b"TFL3");
        let operators = field(&bytes, first(&bytes, field(&bytes, root, 2)), 3);
        let operator = first(&bytes, operators);
        (bytes, operator)
    }

    fn number(bytes: &[u8], at: usize, len: usize) -> usize {
        bytes[at..at + len].iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte))
    }

    fn follow(bytes: &[u8], at: usize) -> usize {
        at + number(bytes, at, 4)
    }

    /// The first table of a list that a field names.
    fn first(bytes: &[u8], at: usize) -> usize {
        let list = follow(bytes, at);
        follow(bytes, list + 4)
    }

    /// Where the list of a table's fields lies.
    fn fields(bytes: &[u8], table: usize) -> usize {
        table.checked_add_signed(-(i32::from_le_bytes(*bytes[table..].first_chunk().unwrap()) as isize)).unwrap()
    }

    fn field(bytes: &[u8], table: usize, slot: usize) -> usize {
        table + number(bytes, fields(bytes, table) + 4 + 2 * slot, 2)
    }

    #[test]
    fn a_type_of_options_without_a_table_has_the_schema_s_defaults() {
        use file::BuiltinOptions as All;
        for (code, options) in [
            (BuiltinOperator::Pad, All::PadOptions(Box::default())),
            (BuiltinOperator::Add, All::AddOptions(Box::default())),
            (BuiltinOperator::Mul, All::MulOptions(Box::default())),
            (BuiltinOperator::Sub, All::SubOptions(Box::default())),
            (BuiltinOperator::Div, All::DivOptions(Box::default())),
            (BuiltinOperator::FullyConnected, All::FullyConnectedOptions(Box::default())),
            (BuiltinOperator::Concatenation, All::ConcatenationOptions(Box::default())),
            (BuiltinOperator::Softmax, All::SoftmaxOptions(Box::default())),
            (BuiltinOperator::Reshape, All::ReshapeOptions(Box::default())),
            (BuiltinOperator::Mean, All::ReducerOptions(Box::default())),
            (BuiltinOperator::LeakyRelu, All::LeakyReluOptions(Box::default())),
            (BuiltinOperator::Gelu, All::GeluOptions(Box::default())),
            // Those without a stride are refused where it counts.
            (BuiltinOperator::Conv2d, All::Conv2DOptions(Box::default())),
            (BuiltinOperator::MaxPool2d, All::Pool2DOptions(Box::default())),
        ] {
            let (mut bytes, operator) = of_one_operator(code, options);
            let list = fields(&bytes, operator);
            assert_eq!(number(&bytes, list, 2), 14, "two numbers and five fields");
            assert_eq!(Network::read(&bytes, None).unwrap().operators[0].code, code);
            // An entry that names no table, then a list that ends before it.
            bytes[list + 12..list + 14].fill(0);
            for len in [14, 12] {
                bytes[list] = len;
                let network = Network::read(&bytes, None).unwrap_or_else(|error| panic!("{code:?}: {error}"));
                assert_eq!(network.operators[0].options, Options::default(), "{code:?}");
            }
            bytes[list] = 13;
            assert!(Network::read(&bytes, None).is_err());
        }
    }
}
