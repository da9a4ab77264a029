//! From a float network of TensorFlow Lite to the float graph that is calibrated and quantised here.

mod elementwise;
mod layers;
#[cfg(test)]
mod tests;

use no_std_infer::format::Window;

use super::Result;
use super::advice::check_supported;
use super::bounds::check_count;
use super::lower::{live, reshapes};
use super::model::{ActivationFunctionType, BuiltinOperator, Network, Operator, TensorType, type_name};
use crate::graph::{Clamp, FloatOp, Function, Graph, Node, Shape, WeightOrder};
use crate::quantise::Ending;

/// How a pixel becomes the network's input: `(pixel − mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// Subtracted from pixels of 0 to 255.
    pub mean: f64,
    /// What the difference is divided by.
    pub std: f64,
}

/// A float network as a graph, and what makes probabilities of its scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Translated {
    /// Up to the scores.
    pub graph: Graph,
    /// The softmax or the sigmoid that the network ends with, if it does.
    pub ending: Ending,
}

/// Translates a network whose activations are floats. Its last softmax or sigmoid is not part of the graph.
///
/// # Errors
/// Names the first operator that cannot be translated, its place, what it makes, and what to do instead.
pub fn float(network: &Network<'_>, normalisation: Normalisation) -> Result<Translated> {
    let shape = shape(network, network.input)?;
    ensure!(
        network.tensors[network.input].element == TensorType::Float32,
        Unsupported,
        "the input is not of type FLOAT32"
    );
    let operators = live(network);
    let mut translation = Translation {
        network,
        operators: &operators,
        values: vec![None; network.tensors.len()],
        inputs: vec![None; network.tensors.len()],
        graph: Graph { input: shape, zero: 0, nodes: Vec::new() },
        folded: None,
        ending: Ending::Outputs,
    };
    translation.values[network.input] = Some(Value { tensor: 0, functions: Vec::new() });
    translation.inputs[network.input] = Some(normalisation);
    for operator in &operators {
        let added = translation.add(operator).and_then(|()| check_count(translation.graph.nodes.len()));
        added.map_err(|error| error.of_operator(network, operator))?;
    }
    translation.finish()
}

/// What a tensor of the network is in the graph.
#[derive(Clone, Debug, PartialEq)]
struct Value {
    /// The graph's tensor.
    tensor: usize,
    /// Functions of its elements that have no node yet: those that follow may join them.
    functions: Vec<Function>,
}

struct Translation<'n> {
    network: &'n Network<'n>,
    operators: &'n [&'n Operator],
    /// For each of the network's tensors, what it is in the graph.
    values: Vec<Option<Value>>,
    /// For each of the network's tensors that is the picture times and plus a number, how it comes from pixels.
    inputs: Vec<Option<Normalisation>>,
    graph: Graph,
    /// The normalisation that the first layers' constants contain.
    folded: Option<Normalisation>,
    /// What the network ends with, as far as it is known.
    ending: Ending,
}

fn shape(network: &Network<'_>, index: usize) -> Result<Shape> {
    let [height, width, channels] = network.tensors[index].sides()?;
    Ok(Shape { height, width, channels })
}

impl Translation<'_> {
    fn add(&mut self, op: &Operator) -> Result<()> {
        use BuiltinOperator as Code;
        match op.code {
            Code::Conv2d | Code::DepthwiseConv2d => self.add_convolution(op),
            Code::FullyConnected => self.add_dense(op),
            Code::MaxPool2d | Code::AveragePool2d => self.add_pool(op),
            Code::Mean | Code::ReduceMax => self.add_reduction(op),
            Code::Add | Code::Mul | Code::Sub | Code::Div => self.add_arithmetic(op),
            Code::Relu => self.add_clamp(op, Clamp::Relu),
            Code::Relu6 => self.add_clamp(op, Clamp::Relu6),
            Code::Logistic => self.add_function(op, Function::Sigmoid),
            Code::Tanh => self.add_function(op, Function::Tanh),
            Code::HardSwish => self.add_function(op, Function::hard_swish()),
            Code::LeakyRelu => self.add_function(op, Function::LeakyRelu(op.options.alpha)),
            Code::Elu => self.add_function(op, Function::Elu(op.options.elu_factor)),
            Code::Concatenation => self.add_concatenation(op),
            Code::Pad | Code::Padv2 => self.add_pad(op),
            Code::Reshape | Code::Squeeze | Code::ExpandDims => self.pass_on(op),
            Code::Softmax => self.add_softmax(op),
            _ => {
                check_supported(op)?;
                Err(refused!(
                    UnsupportedOperator,
                    "this operator is supported in int8 models only: quantise the model with TensorFlow's converter to a \
                     full-integer int8 model"
                ))
            }
        }
    }

    fn input(&self, op: &Operator, at: usize) -> Result<usize> {
        let tensor = op.inputs.get(at).copied().flatten();
        tensor.ok_or_else(|| refused!(Damaged, "it has no input {at}: the file is damaged"))
    }

    fn output(&self, op: &Operator) -> Result<usize> {
        op.outputs.first().copied().ok_or_else(|| refused!(Damaged, "it has no output: the file is damaged"))
    }

    /// What an input is in the graph, whatever its shape.
    fn value(&self, op: &Operator, at: usize) -> Result<&Value> {
        let index = self.input(op, at)?;
        let name = self.network.tensors[index].name;
        self.values[index].as_ref().ok_or_else(|| refused!(Unsupported, "{name} is a constant or is not made yet"))
    }

    /// The graph's tensor for an input of a layer with weights, which may be the picture itself; of any shape.
    fn source(&mut self, op: &Operator, at: usize) -> Result<usize> {
        self.value(op, at)?;
        self.compute(self.input(op, at)?)
    }

    /// The graph's tensor for one of the network's, whose functions get a node.
    fn compute(&mut self, index: usize) -> Result<usize> {
        let value = self.values[index].clone().ok_or_else(|| refused!(Damaged, "a tensor is not made yet"))?;
        if value.functions.is_empty() {
            return Ok(value.tensor);
        }
        let Value { tensor, functions } = value.clone();
        let (name, output) = (self.network.tensors[index].name.to_owned(), self.graph.shape(tensor));
        let made = self.add_node(Node { name, op: FloatOp::Map { functions }, inputs: vec![tensor], output });
        self.replace(&value, &made);
        Ok(made.tensor)
    }

    /// Gives all tensors of the network that are `old` a new value.
    fn replace(&mut self, old: &Value, new: &Value) {
        self.values.iter_mut().flatten().filter(|value| *value == old).for_each(|value| value.clone_from(new));
    }

    /// The graph's tensor for an input, in the file's shape.
    fn shaped(&mut self, op: &Operator, at: usize) -> Result<usize> {
        let (tensor, index) = (self.source(op, at)?, self.input(op, at)?);
        let (output, found) = (shape(self.network, index)?, self.graph.shape(tensor));
        if output == found {
            return Ok(tensor);
        }
        let name = self.network.tensors[index].name.to_owned();
        ensure!(
            output.len() == found.len(),
            Damaged,
            "{name} was {found} and is taken as {output}: the file is damaged"
        );
        ensure!(
            tensor > 0,
            Unsupported,
            "it reads the picture in another shape, which a convolution or a dense layer must read first"
        );
        Ok(self.add_node(Node { name, op: FloatOp::Reshape, inputs: vec![tensor], output }).tensor)
    }

    /// The graph's tensor for an input of an operator without weights: in place of the picture itself, what it is after
    /// normalisation.
    fn activation(&mut self, op: &Operator, at: usize) -> Result<usize> {
        let index = self.input(op, at)?;
        if let Some(normalisation) = self.inputs[index] {
            let (channels, tensor) = (self.graph.input.channels, self.compute(index)?);
            let name = format!("{} (normalised)", self.network.tensors[index].name);
            let factors = (vec![1.0; channels], vec![0.0; channels]);
            let made = self.add_scaling(name, tensor, Some(normalisation), factors, Clamp::None)?;
            for (value, input) in self.values.iter_mut().zip(&mut self.inputs) {
                if *input == Some(normalisation) {
                    (*value, *input) = (Some(made.clone()), None);
                }
            }
        }
        self.shaped(op, at)
    }

    /// A factor and a summand for each channel, as a depthwise convolution of one tap; `normalisation` is that of the
    /// picture, where it is read.
    fn add_scaling(
        &mut self,
        name: String,
        tensor: usize,
        normalisation: Option<Normalisation>,
        (mut weights, mut bias): (Vec<f32>, Vec<f32>),
        clamp: Clamp,
    ) -> Result<Value> {
        if let Some(normalisation) = normalisation {
            self.fold(normalisation, (&mut weights, &mut bias), WeightOrder::ChannelLast)?;
        }
        let op = FloatOp::DepthwiseConv2d { window: Window::square(1, 1), weights, bias, clamp };
        Ok(self.add_node(Node { name, op, inputs: vec![tensor], output: self.graph.shape(tensor) }))
    }

    fn add_node(&mut self, node: Node) -> Value {
        self.graph.nodes.push(node);
        Value { tensor: self.graph.nodes.len(), functions: Vec::new() }
    }

    fn push(&mut self, op: &Operator, made: FloatOp, inputs: Vec<usize>) -> Result<()> {
        let index = self.output(op)?;
        let tensor = &self.network.tensors[index];
        ensure!(
            tensor.element == TensorType::Float32,
            Unsupported,
            "it makes {}, not FLOAT32",
            type_name(tensor.element)
        );
        let output = shape(self.network, index)?;
        let value = self.add_node(Node { name: tensor.name.to_owned(), op: made, inputs, output });
        self.values[index] = Some(value);
        Ok(())
    }

    fn pass_on(&mut self, op: &Operator) -> Result<()> {
        self.pass_on_input(op, 0)
    }

    /// Makes the output what input `at` is.
    fn pass_on_input(&mut self, op: &Operator, at: usize) -> Result<()> {
        let (input, output) = (self.input(op, at)?, self.output(op)?);
        self.values[output] = self.values[input].clone();
        self.inputs[output] = self.inputs[input];
        Ok(())
    }

    /// A softmax over all scores, after which they only get other shapes, is the network's ending.
    fn add_softmax(&mut self, op: &Operator) -> Result<()> {
        let last = self.operators.iter().rev().find(|op| !reshapes(op.code));
        let shape = shape(self.network, self.input(op, 0)?)?;
        ensure!(
            last.is_some_and(|last| last.index == op.index) && shape.len() == shape.channels && op.options.beta == 1.0,
            Unsupported,
            "a softmax is supported at the end, over all outputs and with beta 1"
        );
        self.ending = Ending::Softmax { temperature: 1.0 };
        self.pass_on(op)
    }

    fn finish(mut self) -> Result<Translated> {
        let output = self.network.output;
        let scores = self.values[output].as_mut().filter(|_| self.ending == Ending::Outputs);
        if scores.and_then(|value| value.functions.pop_if(|last| *last == Function::Sigmoid)).is_some() {
            self.ending = Ending::Sigmoid;
        }
        let made = self.compute(output)?;
        ensure!(made == self.graph.nodes.len(), Damaged, "the model's output is not what its last operator makes");
        self.graph.validate()?;
        Ok(Translated { graph: self.graph, ending: self.ending })
    }
}

fn clamp(function: ActivationFunctionType) -> Result<Clamp> {
    Ok(match function {
        ActivationFunctionType::None => Clamp::None,
        ActivationFunctionType::Relu => Clamp::Relu,
        ActivationFunctionType::Relu6 => Clamp::Relu6,
        other => return Err(refused!(Unsupported, "its fused function {other:?} is not supported: use ReLU or ReLU6")),
    })
}
