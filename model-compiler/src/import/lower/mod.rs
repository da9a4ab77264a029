//! From an int8 network of TensorFlow Lite to our operators, one by one, with LiteRT's arithmetic.

mod edges;
mod elementwise;
mod extremes;
mod functions;
mod hard_swish;
mod layers;
mod matmul;
mod moves;
mod pairs;
mod rsqrt;
mod shapes;
mod squares;
mod transpose;
mod views;

use no_std_infer::format::{Activation, Constant, Op, Tensor};

use super::advice::check_supported;
use super::bounds::check_count;
use super::model::{ActivationFunctionType, BuiltinOperator, Network, Operator, TensorType, type_name};
use crate::import::Result;
use crate::layout::schedule::schedule_model;
use crate::quantise::{Builder, QuantModel, Quantisation};

pub(crate) use functions::function_table;
pub use layers::window_axis;

/// An int8 model and what became of the network's operators.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The model.
    pub model: QuantModel,
    /// Operators that were left out, joined or added, a sentence each.
    pub changes: Vec<String>,
}

/// Translates a network whose activations are int8.
///
/// # Errors
/// Names the first operator that cannot be translated, its place, what it makes, and what to do instead.
pub fn lower(network: &Network<'_>) -> Result<Lowered> {
    let operators = live(network);
    let mut lowering = Lowering {
        network,
        operators: &operators,
        values: vec![None; network.tensors.len()],
        builder: Builder::default(),
        changes: network.changes.clone(),
    };
    lowering.add_input()?;
    for operator in &operators {
        let added = lowering.add(operator).and_then(|()| check_count(lowering.builder.ops.len()));
        added.map_err(|error| error.of_operator(network, operator))?;
    }
    lowering.finish()
}

/// The operators that the output depends on, in order. The shape that a reshape is given counts for nothing: its output
/// has one in the file.
#[must_use]
pub fn live<'n>(network: &'n Network<'_>) -> Vec<&'n Operator> {
    let mut needed = vec![false; network.tensors.len()];
    needed[network.output] = true;
    let mut live = Vec::new();
    for operator in network.operators.iter().rev() {
        if operator.outputs.iter().any(|&tensor| needed[tensor]) {
            live.push(operator);
            let inputs = operator.inputs.iter().take(if reshapes(operator.code) { 1 } else { usize::MAX });
            inputs.flatten().for_each(|&tensor| needed[tensor] = true);
        }
    }
    live.reverse();
    live
}

/// Whether an operator only gives elements another shape.
pub(super) fn reshapes(code: BuiltinOperator) -> bool {
    matches!(code, BuiltinOperator::Reshape | BuiltinOperator::Squeeze | BuiltinOperator::ExpandDims)
}

/// The outputs of a function for the inputs −128..=127.
pub(crate) type Table = [i8; 256];

/// The clamp that LiteRT fuses into an operator with this output.
pub(crate) fn fused(function: ActivationFunctionType, output: Quantisation) -> Result<Activation> {
    use ActivationFunctionType as Function;
    let quantise = |real| bound(real, output);
    Ok(match function {
        Function::None => Activation::NONE,
        Function::Relu => Activation { min: quantise(0.0), max: i8::MAX },
        Function::Relu6 => Activation { min: quantise(0.0), max: quantise(6.0) },
        Function::ReluN1To1 => Activation { min: quantise(-1.0), max: quantise(1.0) },
        other => {
            return Err(refused!(
                Unsupported,
                "its fused function {other:?} is not supported: make it an operator of its own"
            ));
        }
    })
}

/// A number as a bound of an output: as LiteRT, a float quotient, rounded half away from zero.
fn bound(real: f32, output: Quantisation) -> i8 {
    let steps = (real / output.scale).round() as i32;
    steps.saturating_add(i32::from(output.zero_point)).clamp(-128, 127) as i8
}

/// What has been translated so far.
struct Lowering<'n> {
    network: &'n Network<'n>,
    /// The operators that the output depends on.
    operators: &'n [&'n Operator],
    /// For each of the network's tensors, ours.
    values: Vec<Option<Tensor>>,
    builder: Builder,
    changes: Vec<String>,
}

impl Lowering<'_> {
    fn add(&mut self, op: &Operator) -> Result<()> {
        use BuiltinOperator as Code;
        match op.code {
            Code::Conv2d => self.add_conv2d(op),
            Code::DepthwiseConv2d => self.add_depthwise(op),
            Code::FullyConnected => self.add_fully_connected(op),
            Code::MaxPool2d | Code::AveragePool2d => self.add_pool(op),
            Code::Add | Code::Mul => self.add_sum_or_product(op),
            Code::Relu | Code::Relu6 | Code::ReluN1To1 | Code::Relu0To1 | Code::LeakyRelu => self.add_function(op),
            Code::Logistic | Code::Tanh | Code::HardSwish | Code::Elu | Code::Gelu => self.add_function(op),
            Code::Abs | Code::Neg | Code::Exp | Code::Log | Code::Sqrt | Code::Rsqrt => self.add_function(op),
            Code::Prelu => self.add_prelu(op),
            Code::Sub => self.add_difference(op),
            Code::Maximum | Code::Minimum => self.add_extreme(op),
            Code::SquaredDifference => self.add_squared_difference(op),
            Code::BatchMatmul => self.add_batch_matmul(op),
            Code::Slice => self.add_slice(op),
            Code::StridedSlice => self.add_strided_slice(op),
            Code::Split | Code::SplitV => self.add_split(op),
            Code::Pack => self.add_pack(op),
            Code::Unpack => self.add_unpack(op),
            Code::Tile | Code::BroadcastTo => self.add_repetition(op),
            Code::Transpose => self.add_transpose(op),
            Code::Quantize => self.add_quantize(op),
            Code::Dequantize => self.add_dequantize(op),
            Code::Softmax => self.add_softmax(op),
            Code::Mean => self.add_mean(op),
            Code::ReduceMax => self.add_reduce_max(op),
            Code::Pad | Code::Padv2 => self.add_pad(op),
            Code::Concatenation => self.add_concatenation(op),
            Code::Reshape | Code::Squeeze | Code::ExpandDims => self.add_reshape(op),
            _ => {
                check_supported(op)?;
                Err(refused!(
                    UnsupportedOperator,
                    "this operator is supported in float models only: convert the model without optimisations and quantise it \
                     here with --calibrate, or write it by ADD and MUL"
                ))
            }
        }
    }

    /// The network's tensor in a role of an operator: `inputs[at]`.
    fn input(&self, op: &Operator, at: usize) -> Result<usize> {
        let tensor = op.inputs.get(at).copied().flatten();
        tensor.ok_or_else(|| refused!(Damaged, "it has no input {at}: the file is damaged"))
    }

    /// The network's tensor that an operator makes.
    fn output(&self, op: &Operator) -> Result<usize> {
        let [output] = op.outputs.as_slice() else {
            return Err(refused!(Damaged, "it has {} outputs instead of one", op.outputs.len()));
        };
        Ok(*output)
    }

    /// Our tensor for an int8 activation that an operator reads; constants are put into the arena first.
    fn activation(&mut self, op: &Operator, at: usize) -> Result<Tensor> {
        let index = self.input(op, at)?;
        self.check_int8(index)?;
        if let Some(value) = self.values[index] {
            return Ok(value);
        }
        let tensor = &self.network.tensors[index];
        let data = tensor.data.ok_or_else(|| refused!(Damaged, "{} is read before it is made", tensor.name))?;
        let output = self.declare(index)?;
        let values = self.builder.add_constant(data);
        self.push(index, Op::Constant(Constant { output, values }), tensor.name);
        Ok(output)
    }

    fn check_int8(&self, index: usize) -> Result<()> {
        let tensor = &self.network.tensors[index];
        ensure!(
            tensor.element == TensorType::Int8,
            Unsupported,
            "{} is of type {}, not INT8: quantise the whole model to int8, activations too",
            tensor.name,
            type_name(tensor.element)
        );
        ensure!(
            !tensor.dynamic,
            Unsupported,
            "the shape of {} is not known before the model runs: export it with a fixed input shape, a batch of 1 included",
            tensor.name
        );
        Ok(())
    }

    /// Scale and zero point of an int8 tensor, or of an uint8 tensor whose elements are taken less 128.
    fn quantisation(&self, index: usize) -> Result<Quantisation> {
        let tensor = &self.network.tensors[index];
        let [scale] = tensor.quantisation.scales[..] else {
            return Err(refused!(
                Unsupported,
                "{} has {} scales instead of one",
                tensor.name,
                tensor.quantisation.scales.len()
            ));
        };
        let offset = if tensor.element == TensorType::Uint8 { 128 } else { 0 };
        let zero_point = tensor.quantisation.zero_points.first().copied().unwrap_or(0).saturating_sub(offset);
        let zero_point = i8::try_from(zero_point).ok();
        let zero_point =
            zero_point.ok_or_else(|| refused!(OutOfRange, "the zero point of {} is out of range", tensor.name))?;
        ensure!(
            scale.is_finite() && scale > 0.0,
            Damaged,
            "the scale {scale} of {} is not a positive number",
            tensor.name
        );
        Ok(Quantisation { scale, zero_point })
    }

    /// Our tensor for one that the next operator makes, by the file's shape and quantisation.
    fn declare(&self, index: usize) -> Result<Tensor> {
        let [height, width, channels] = self.sides(index)?;
        self.place(index, [height, width, channels], self.quantisation(index)?)
    }

    fn place(&self, index: usize, sides: [usize; 3], quantisation: Quantisation) -> Result<Tensor> {
        let too_large = || refused!(OutOfRange, "{} of {sides:?} is too large", self.network.tensors[index].name);
        let [height, width, channels] = sides;
        Ok(Tensor {
            offset: self.builder.tensors.len() as u32,
            height: u16::try_from(height).ok().ok_or_else(too_large)?,
            width: u16::try_from(width).ok().ok_or_else(too_large)?,
            channels: u32::try_from(channels).ok().ok_or_else(too_large)?,
            scale: quantisation.scale,
            zero_point: quantisation.zero_point,
        })
    }

    fn sides(&self, index: usize) -> Result<[usize; 3]> {
        self.network.tensors[index].sides()
    }

    /// Adds an operator that makes the network's tensor `index`.
    fn push(&mut self, index: usize, op: Op, name: &str) {
        self.values[index] = Some(*op.output());
        self.builder.push(op, name.to_owned());
    }

    fn finish(mut self) -> Result<Lowered> {
        let output = &self.network.tensors[self.network.output];
        let last = self.builder.ops.last();
        let last = last.ok_or_else(|| refused!(Damaged, "the model has no layers that compute anything"))?;
        let made = self.values[self.network.output] == Some(*last.output());
        ensure!(made, Damaged, "the model's output {} is not what its last operator makes", output.name);
        let scores_before = matches!(last, Op::Softmax(_)) || self.ends_with_logistic();
        let scores = last.inputs().next().filter(|_| scores_before).unwrap_or(last.output());
        let logits = *scores;
        let input = self.builder.tensors[0];
        let Builder { ops, names, constants, notes, .. } = std::mem::take(&mut self.builder);
        let model = QuantModel { ops, names, constants, input, logits, temperature: 1.0, notes };
        // The arena is planned in 32 bits.
        let fits = model.cost().is_some_and(|cost| cost.bytes <= u32::MAX.into());
        ensure!(fits, OutOfRange, "its products leave 64 bits, or the bytes of its tensors 32 bits");
        Ok(Lowered { model: schedule_model(&model), changes: self.changes })
    }

    fn ends_with_logistic(&self) -> bool {
        let computing = self.operators.iter().rev();
        let mut computing =
            computing.filter(|op| !matches!(op.code, BuiltinOperator::Quantize | BuiltinOperator::Dequantize));
        computing.next().is_some_and(|op| op.code == BuiltinOperator::Logistic)
            && matches!(self.builder.ops.last(), Some(Op::Lookup(_)))
    }
}
