//! From a float network of TensorFlow Lite to the float graph that is calibrated and quantised here.

use anyhow::{Context, Result, bail, ensure};
use no_std_infer::format::{Color, Window};

use super::lower::{live, refusal, sides, window_axis};
use super::model::{ActivationFunctionType, BuiltinOperator, Network, Operator, TensorType, type_name};
use crate::graph::{Clamp, FloatOp, Graph, Node, Shape, WeightOrder};

/// Most weights that a depthwise convolution of several outputs a channel may grow to.
const SPREAD_MAX: usize = 1 << 24;

/// How a pixel becomes the network's input: `(pixel − mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// Subtracted from pixels of 0 to 255.
    pub mean: f64,
    /// What the difference is divided by.
    pub std: f64,
}

/// Translates a classifier of pictures whose activations are floats. Its softmax, if it ends with one, is left to
/// [`quantise`](crate::quantise::quantise).
///
/// # Errors
/// Names the first operator that cannot be translated, its place, what it makes, and what to do instead.
pub fn float(network: &Network<'_>, normalisation: Normalisation) -> Result<Graph> {
    let shape = shape(network, network.input)?;
    let color = [Color::Grey, Color::Rgb].into_iter().any(|color| color.channels() == shape.channels);
    ensure!(color, "the input {shape} is no picture: calibration needs a network that reads one channel or three");
    ensure!(network.tensors[network.input].element == TensorType::Float32, "the input is not of type FLOAT32");
    let operators = live(network);
    let mut translation = Translation {
        network,
        operators: &operators,
        values: vec![None; network.tensors.len()],
        inputs: vec![None; network.tensors.len()],
        graph: Graph { input: shape, zero: 0, nodes: Vec::new() },
        folded: None,
    };
    translation.values[network.input] = Some(0);
    translation.inputs[network.input] = Some(normalisation);
    for operator in &operators {
        translation.add(operator).with_context(|| refusal(network, operator))?;
    }
    let last = translation.graph.nodes.len();
    ensure!(translation.values[network.output] == Some(last), "the model's output is not what its last operator makes");
    translation.graph.validate()?;
    Ok(translation.graph)
}

struct Translation<'n> {
    network: &'n Network<'n>,
    operators: &'n [&'n Operator],
    /// For each of the network's tensors, the graph's.
    values: Vec<Option<usize>>,
    /// For each of the network's tensors that is the picture times and plus a number, how it comes from pixels.
    inputs: Vec<Option<Normalisation>>,
    graph: Graph,
    /// The normalisation that the first layers' constants contain.
    folded: Option<Normalisation>,
}

fn shape(network: &Network<'_>, index: usize) -> Result<Shape> {
    let [height, width, channels] = sides(&network.tensors[index])?;
    Ok(Shape { height, width, channels })
}

impl Translation<'_> {
    fn add(&mut self, op: &Operator) -> Result<()> {
        use BuiltinOperator as Code;
        match op.code {
            Code::Conv2d | Code::DepthwiseConv2d => self.add_convolution(op),
            Code::FullyConnected => self.add_dense(op),
            Code::MaxPool2d | Code::AveragePool2d => self.add_pool(op),
            Code::Mean => self.add_mean(op),
            Code::Add | Code::Mul | Code::Sub => self.add_arithmetic(op),
            Code::Relu | Code::Relu6 => self.join_clamp(op),
            Code::Reshape | Code::Squeeze | Code::ExpandDims => self.pass_on(op),
            Code::Softmax => {
                let output = op.outputs.first() == Some(&self.network.output);
                ensure!(output && op.options.beta == 1.0, "a softmax is supported at the end, with beta 1");
                self.pass_on(op)
            }
            _ => bail!(
                "this operator is not supported in float models: quantise the model with TensorFlow's converter to a \
                 full-integer int8 model, or replace the operator (convolutions, dense layers, poolings, ADD, MEAN, \
                 PAD before a convolution, RELU, RELU6, RESHAPE and a final SOFTMAX are supported)"
            ),
        }
    }

    fn input(&self, op: &Operator, at: usize) -> Result<usize> {
        op.inputs.get(at).copied().flatten().with_context(|| format!("it has no input {at}: the file is damaged"))
    }

    fn output(&self, op: &Operator) -> Result<usize> {
        op.outputs.first().copied().context("it has no output: the file is damaged")
    }

    /// The graph's tensor for an input, which has the file's shape.
    fn value(&self, op: &Operator, at: usize) -> Result<usize> {
        let index = self.input(op, at)?;
        let name = self.network.tensors[index].name;
        let value = self.values[index].with_context(|| format!("{name} is a constant or is not made yet"))?;
        let (expected, found) = (shape(self.network, index)?, self.graph.shape(value));
        ensure!(expected == found, "{name} was {found} and is taken as {expected}, which only a dense layer may do");
        Ok(value)
    }

    fn push(&mut self, op: &Operator, made: FloatOp, inputs: Vec<usize>) -> Result<()> {
        let index = self.output(op)?;
        let tensor = &self.network.tensors[index];
        ensure!(tensor.element == TensorType::Float32, "it makes {}, not FLOAT32", type_name(tensor.element));
        let node = Node { name: tensor.name.to_owned(), op: made, inputs, output: shape(self.network, index)? };
        self.graph.nodes.push(node);
        self.values[index] = Some(self.graph.nodes.len());
        Ok(())
    }

    fn pass_on(&mut self, op: &Operator) -> Result<()> {
        let (input, output) = (self.input(op, 0)?, self.output(op)?);
        self.values[output] = self.values[input];
        self.inputs[output] = self.inputs[input];
        Ok(())
    }

    /// Weights and bias; those of a layer that reads the picture with its normalisation.
    fn constants(&mut self, op: &Operator, order: WeightOrder, outputs: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        let mut weights = self.network.tensors[self.input(op, 1)?].reals()?;
        let bias = op.inputs.get(2).copied().flatten();
        let mut bias = bias.map_or(Ok(vec![0.0; outputs]), |bias| self.network.tensors[bias].reals())?;
        ensure!(
            bias.len() == outputs && !weights.is_empty() && weights.len().is_multiple_of(outputs),
            "its weights and its bias do not fit"
        );
        if let Some(normalisation) = self.inputs[self.input(op, 0)?] {
            self.fold(normalisation, (&mut weights, &mut bias), order)?;
        }
        Ok((weights, bias))
    }

    /// Changes a layer's constants so that it reads `pixel − 128 − zero`.
    fn fold(
        &mut self,
        normalisation: Normalisation,
        (weights, bias): (&mut [f32], &mut [f32]),
        order: WeightOrder,
    ) -> Result<()> {
        let Normalisation { mean, std } = normalisation;
        ensure!(
            (0.0..=255.0).contains(&mean) && std.is_finite() && std > 0.0,
            "its input is (pixel - {mean}) / {std}, and no pixel gives 0: correct --mean and --std"
        );
        ensure!(
            self.folded.is_none_or(|folded| folded == normalisation),
            "two layers want the picture normalised in different ways"
        );
        self.folded = Some(normalisation);
        let zero = (mean - 128.0).round();
        self.graph.zero = zero as i8;
        let rest = zero + 128.0 - mean;
        let (count, outputs) = (weights.len(), bias.len());
        for (index, weight) in weights.iter_mut().enumerate() {
            let scaled = f64::from(*weight) / std;
            let bias = &mut bias[order.output(index, count, outputs)];
            *bias = (f64::from(*bias) + scaled * rest) as f32;
            *weight = scaled as f32;
        }
        Ok(())
    }

    fn add_convolution(&mut self, op: &Operator) -> Result<()> {
        let index = self.input(op, 1)?;
        let &[first, kernel_h, kernel_w, last] = self.network.tensors[index].shape.as_slice() else {
            bail!("its weights do not have four sides");
        };
        let value = self.value(op, 0)?;
        let (input, output) = (self.graph.shape(value), shape(self.network, self.output(op)?)?);
        let axis = |at: usize, kernel: usize, inputs: usize, outputs: usize| {
            window_axis(&op.options, at, kernel, inputs, outputs)
        };
        let [kernel_h, stride_h, dilation_h, pad_top] = axis(0, kernel_h, input.height, output.height)?;
        let [kernel_w, stride_w, dilation_w, pad_left] = axis(1, kernel_w, input.width, output.width)?;
        let window = Window { kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left };
        let clamp = clamp(op.options.activation)?;
        let made = if op.code == BuiltinOperator::Conv2d {
            ensure!(last == input.channels && first == output.channels, "grouped convolutions are not supported");
            let (weights, bias) = self.constants(op, WeightOrder::OutputFirst, first)?;
            FloatOp::Conv2d { window, weights, bias, clamp }
        } else {
            ensure!(first == 1 && last == output.channels, "its weights do not fit");
            let (weights, bias) = self.constants(op, WeightOrder::ChannelLast, last)?;
            if last == input.channels {
                FloatOp::DepthwiseConv2d { window, weights, bias, clamp }
            } else {
                ensure!(last.is_multiple_of(input.channels), "its weights do not fit {} channels", input.channels);
                ensure!(weights.len() * input.channels <= SPREAD_MAX, "its weights are too many");
                FloatOp::Conv2d { window, weights: spread_depthwise(&weights, last, input.channels), bias, clamp }
            }
        };
        self.push(op, made, vec![value])
    }

    fn add_dense(&mut self, op: &Operator) -> Result<()> {
        let index = self.input(op, 0)?;
        let value = self.values[index].context("its input is a constant or is not made yet")?;
        let output = shape(self.network, self.output(op)?)?;
        let depth = self.graph.shape(value).len();
        ensure!(output.len() == output.channels, "several vectors through one dense layer are not supported");
        let (weights, bias) = self.constants(op, WeightOrder::OutputFirst, output.channels)?;
        ensure!(weights.len() == depth * output.channels, "its weights do not fit {depth} inputs");
        let clamp = clamp(op.options.activation)?;
        self.push(op, FloatOp::Dense { weights, bias, clamp }, vec![value])
    }

    fn add_pool(&mut self, op: &Operator) -> Result<()> {
        ensure!(
            op.options.activation == ActivationFunctionType::None,
            "a function is fused into it: make it an operator of its own"
        );
        let value = self.pooled(op)?;
        let (input, output) = (self.graph.shape(value), shape(self.network, self.output(op)?)?);
        let filter = op.options.filter.map(|side| usize::try_from(side).unwrap_or(0));
        let [kernel_h, stride_h, _, pad_top] = window_axis(&op.options, 0, filter[0], input.height, output.height)?;
        let [kernel_w, stride_w, _, pad_left] = window_axis(&op.options, 1, filter[1], input.width, output.width)?;
        let window = Window { kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, ..Window::square(1, 1) };
        let made = if op.code == BuiltinOperator::MaxPool2d {
            FloatOp::MaxPool2d { window }
        } else {
            FloatOp::AveragePool2d { window }
        };
        self.push(op, made, vec![value])
    }

    /// The input of an operator without weights of its own, which the picture itself cannot be.
    fn pooled(&self, op: &Operator) -> Result<usize> {
        let value = self.value(op, 0)?;
        ensure!(value > 0, "it reads the picture, which a convolution or a dense layer must read first");
        Ok(value)
    }

    /// A mean over height and width is an average pooling.
    fn add_mean(&mut self, op: &Operator) -> Result<()> {
        let value = self.pooled(op)?;
        let rank = self.network.tensors[self.input(op, 0)?].shape.len() as i32;
        let mut axes = self.network.tensors[self.input(op, 1)?].integers()?;
        axes.iter_mut().for_each(|axis| *axis += if *axis < 0 { rank } else { 0 });
        axes.sort_unstable();
        ensure!(rank == 4 && axes == [1, 2], "only the mean over height and width is supported");
        let input = self.graph.shape(value);
        let side = |side: usize| u16::try_from(side).context("it takes the mean over more than 65,535 rows or columns");
        let window = Window { kernel_h: side(input.height)?, kernel_w: side(input.width)?, ..Window::square(1, 1) };
        self.push(op, FloatOp::AveragePool2d { window }, vec![value])
    }

    /// A sum of two activations; or the picture times, plus or minus a number.
    fn add_arithmetic(&mut self, op: &Operator) -> Result<()> {
        let (a, b) = (self.input(op, 0)?, self.input(op, 1)?);
        if let (Some(normalisation), Some(number)) = (self.inputs[a], self.scalar(b)) {
            let Normalisation { mean, std } = normalisation;
            ensure!(clamp(op.options.activation)? == Clamp::None, "a function of the picture is fused into it");
            let changed = match op.code {
                BuiltinOperator::Mul => Normalisation { mean, std: std / number },
                BuiltinOperator::Sub => Normalisation { mean: mean + number * std, std },
                _ => Normalisation { mean: mean - number * std, std },
            };
            let output = self.output(op)?;
            (self.values[output], self.inputs[output]) = (self.values[a], Some(changed));
            return Ok(());
        }
        ensure!(op.code == BuiltinOperator::Add, "only the picture may be multiplied by or lessened by a number");
        let inputs = vec![self.value(op, 0)?, self.value(op, 1)?];
        ensure!(!inputs.contains(&0), "it reads the picture, which a convolution or a dense layer must read first");
        self.push(op, FloatOp::Add { clamp: clamp(op.options.activation)? }, inputs)
    }

    fn scalar(&self, index: usize) -> Option<f64> {
        let values = self.network.tensors[index].reals().ok()?;
        if let [value] = values[..] { Some(value.into()) } else { None }
    }

    /// A rectifier joins the layer before it.
    fn join_clamp(&mut self, op: &Operator) -> Result<()> {
        let index = self.input(op, 0)?;
        let value = self.value(op, 0)?;
        let readers = self.operators.iter().filter(|reader| reader.inputs.contains(&Some(index))).count();
        let node = value.checked_sub(1).and_then(|node| self.graph.nodes.get_mut(node));
        let slot = node.and_then(|node| match &mut node.op {
            FloatOp::Conv2d { clamp, .. }
            | FloatOp::DepthwiseConv2d { clamp, .. }
            | FloatOp::Dense { clamp, .. }
            | FloatOp::Add { clamp } => Some(clamp),
            _ => None,
        });
        let slot = slot.filter(|slot| **slot == Clamp::None && readers == 1);
        let slot = slot.context("only the output of a layer with weights or of a sum, read once, can be rectified")?;
        *slot = if op.code == BuiltinOperator::Relu { Clamp::Relu } else { Clamp::Relu6 };
        self.pass_on(op)
    }
}

fn clamp(function: ActivationFunctionType) -> Result<Clamp> {
    Ok(match function {
        ActivationFunctionType::None => Clamp::None,
        ActivationFunctionType::Relu => Clamp::Relu,
        ActivationFunctionType::Relu6 => Clamp::Relu6,
        other => bail!("its fused function {other:?} is not supported: use ReLU or ReLU6"),
    })
}

/// Depthwise weights `[taps][outputs]` of several outputs a channel as those of a convolution, `[outputs][taps][channels]`.
fn spread_depthwise(weights: &[f32], outputs: usize, channels: usize) -> Vec<f32> {
    let taps = weights.len() / outputs;
    let mut spread = vec![0.0; outputs * taps * channels];
    for (index, &weight) in weights.iter().enumerate() {
        let (tap, output) = (index / outputs, index % outputs);
        spread[(output * taps + tap) * channels + output / (outputs / channels)] = weight;
    }
    spread
}
