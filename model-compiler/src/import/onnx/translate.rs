//! Goes through the nodes, and knows what each of the model's names is.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::advice;
use super::build::{As, Built};
use super::constant::Constant;
use super::file::{File, Node};
use super::fold::folded;
use super::moves::{moved, moves};
use super::quantised;
use super::view::{View, height_width_channels};
use crate::import::model::{BuiltinOperator, Options};
use crate::import::{Error, Result};

/// Most numbers that views may take together.
const VIEWS_MAX: usize = 1 << 22;

/// What a name of the model is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Constant(Rc<Constant>),
    Activation(Activation),
}

/// A tensor that is made, and where in it the elements of the model's lie.
#[derive(Clone, Debug)]
pub(super) struct Activation {
    pub tensor: usize,
    pub view: View,
}

/// What has been translated so far.
pub(super) struct Translation<'f> {
    pub file: &'f File,
    pub built: Built,
    /// Which operators read a name.
    readers: HashMap<&'f str, Vec<&'f Node>>,
    values: HashMap<String, Value>,
    /// How many numbers views take.
    views: usize,
}

impl<'f> Translation<'f> {
    /// Translates a file; gives the tensors that are its input and its output too.
    ///
    /// # Errors
    /// Names the first operator that cannot be translated.
    pub(super) fn of(file: &'f File) -> Result<(Built, [usize; 2])> {
        let live = live(file);
        let mut readers: HashMap<&str, Vec<&Node>> = HashMap::new();
        for &node in &live {
            node.inputs.iter().for_each(|name| readers.entry(name).or_default().push(node));
        }
        let built = Built { changes: file.notes.clone(), ..Built::default() };
        let mut translation = Self { file, built, readers, values: HashMap::new(), views: 0 };
        translation.add_input()?;
        // What an operator takes in may be told by constants that stand after it.
        let (constants, others): (Vec<_>, Vec<_>) = live.into_iter().partition(|node| node.kind == "Constant");
        for node in constants.into_iter().chain(others) {
            translation.add(node).map_err(|error| Error::Operator {
                index: node.index,
                name: node.kind.clone(),
                output: node.output().to_owned(),
                source: Box::new(error),
            })?;
        }
        let output = translation.output()?;
        Ok((translation.built, [0, output]))
    }

    /// The input lies with channels last, whether the model turns it round itself or reads channels first.
    fn add_input(&mut self) -> Result<()> {
        let (name, dims) = (&self.file.input, &self.file.input_dims);
        let turns = |node: &&Node| node.kind == "Transpose" && node.integers("perm") == Some(&[0, 3, 1, 2]);
        let readers = self.readers.get(name.as_str());
        let last = matches!(dims[..], [1, ..]) && dims.len() == 4 && readers.is_some_and(|all| all.iter().all(turns));
        let (view, sides) = match dims[..] {
            [_, height, width, channels] if last => (View::row_major(dims)?, [height, width, channels]),
            _ => (View::channels_last(dims)?, height_width_channels(dims)?),
        };
        let tensor = self.built.tensor(name, sides, None);
        self.set(name, Value::Activation(Activation { tensor, view }))
    }

    fn output(&mut self) -> Result<usize> {
        let name = &self.file.output;
        match self.values.get(name).cloned() {
            Some(Value::Activation(activation)) => {
                let (tensor, _) =
                    self.picture(&activation).map_err(|error| error.within(format!("the output {name}")))?;
                ensure!(tensor != 0, Unsupported, "the model computes nothing: its output {name} is its input");
                quantised::dequantised(self, tensor)
            }
            Some(Value::Constant(_)) => Err(refused!(Unsupported, "the output {name} is a constant")),
            None => Err(refused!(Damaged, "no operator makes the output {name}: the file is damaged")),
        }
    }

    /// Says what a name is.
    pub(super) fn set(&mut self, name: &str, value: Value) -> Result<()> {
        if let Value::Activation(activation) = &value {
            self.views += activation.view.size();
            ensure!(self.views <= VIEWS_MAX, OutOfRange, "its tensors have too many sides and elements");
        }
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    /// What a name is, if it is anything yet.
    pub(super) fn known(&mut self, name: &str) -> Result<Option<Value>> {
        if let Some(value) = self.values.get(name) {
            return Ok(Some(value.clone()));
        }
        let Some(bytes) = self.file.constants.get(name) else { return Ok(None) };
        let value = Value::Constant(Rc::new(Constant::read(bytes)?));
        self.values.insert(name.to_owned(), value.clone());
        Ok(Some(value))
    }

    /// An input of a node; none where it is left out.
    pub(super) fn optional(&mut self, node: &Node, at: usize) -> Result<Option<Value>> {
        let Some(name) = node.inputs.get(at).filter(|name| !name.is_empty()) else { return Ok(None) };
        let value = self.known(name)?;
        value
            .map(Some)
            .ok_or_else(|| refused!(Damaged, "it reads {name}, which nothing makes before: the file is damaged"))
    }

    /// An input that is a constant; none where it is left out.
    pub(super) fn constant(&mut self, node: &Node, at: usize) -> Result<Option<Rc<Constant>>> {
        match self.optional(node, at)? {
            Some(Value::Constant(constant)) => Ok(Some(constant)),
            Some(Value::Activation(_)) => Err(refused!(
                Unsupported,
                "its input {} is computed while the model runs: only a constant is supported",
                node.inputs[at]
            )),
            None => Ok(None),
        }
    }

    /// An input that is a constant and must be there.
    pub(super) fn needed(&mut self, node: &Node, at: usize) -> Result<Rc<Constant>> {
        self.constant(node, at)?.ok_or_else(|| refused!(Damaged, "it has no input {at}: the file is damaged"))
    }

    /// An input that is computed.
    pub(super) fn activation(&mut self, node: &Node, at: usize) -> Result<Activation> {
        match self.optional(node, at)? {
            Some(Value::Activation(activation)) => Ok(activation),
            Some(Value::Constant(_)) => Err(refused!(Unsupported, "its input {at} is a constant")),
            None => Err(refused!(Damaged, "it has no input {at}: the file is damaged")),
        }
    }

    /// The only operator that reads a name, where there is one and the name is not the model's output.
    pub(super) fn only_reader(&self, name: &str) -> Option<&'f Node> {
        match self.readers.get(name).map(Vec::as_slice) {
            Some([one]) if name != self.file.output => Some(one),
            _ => None,
        }
    }

    /// An activation as a whole tensor with channels last, under its own sides, and these.
    pub(super) fn picture(&mut self, activation: &Activation) -> Result<(usize, [usize; 3])> {
        let Activation { tensor, view } = activation;
        let (dims, there) = (view.dims(), self.built.sides(*tensor));
        let sides = height_width_channels(&dims)?;
        let whole = sides.iter().product::<usize>() == there.iter().product();
        if view.is_channels_last() && whole {
            if sides == there {
                return Ok((*tensor, sides));
            }
            let (name, quantisation) =
                (self.built.tensors[*tensor].name.clone(), self.built.quantisation(*tensor).cloned());
            let made = self.built.tensor(&name, sides, quantisation);
            self.built.operator((BuiltinOperator::Reshape, "Reshape"), &[Some(*tensor)], made, Options::default())?;
            return Ok((made, sides));
        }
        match view.channels_of(there) {
            Some(chosen) => Ok((self.chosen(*tensor, &chosen)?, sides)),
            None => Err(refused!(
                Unsupported,
                "it reads {dims:?} whose elements lie in another order than channels last, which would move each of them: only \
                 chosen or shuffled channels are supported"
            )),
        }
    }

    /// Some channels of a tensor: a convolution of one tap whose weights are 0 and 1.
    fn chosen(&mut self, tensor: usize, channels: &[usize]) -> Result<usize> {
        let ([height, width, depth], name) = (self.built.sides(tensor), self.built.tensors[tensor].name.clone());
        let name = format!("{name} (chosen channels)");
        let constant = self.built.quantisation(tensor).map_or_else(
            || Constant { dims: vec![1], data: super::constant::Data::Reals(vec![1.0]), element: 1, steps: None },
            |_| quantised::one(),
        );
        let how = if self.built.quantisation(tensor).is_some() { As::Bytes } else { As::Reals };
        let order = channels.iter().flat_map(|&chosen| (0..depth).map(move |at| (at == chosen).then_some(0)));
        let weights = self.built.ordered(&name, &constant, &[channels.len(), 1, 1, depth], order, how)?;
        let quantisation = self.built.quantisation(tensor).cloned();
        let made = self.built.tensor(&name, [height, width, channels.len()], quantisation);
        let options = Options { stride: [1; 2], ..Options::default() };
        self.built.changes.push(format!("{name}: picked by a convolution of one tap"));
        self.built.operator((BuiltinOperator::Conv2d, "Gather"), &[Some(tensor), Some(weights)], made, options)?;
        Ok(made)
    }

    /// Adds the output of a node with sides in ONNX's order: a tensor that lies with channels last.
    pub(super) fn make(&mut self, name: &str, dims: &[usize], like: Option<usize>) -> Result<usize> {
        let quantisation = match like {
            Some(tensor) => self.built.quantisation(tensor).cloned(),
            None => quantised::asked(self, name)?,
        };
        let view = View::channels_last(dims)?;
        let tensor = self.built.tensor(name, height_width_channels(dims)?, quantisation);
        self.set(name, Value::Activation(Activation { tensor, view }))?;
        Ok(tensor)
    }

    fn add(&mut self, node: &'f Node) -> Result<()> {
        if self.values.contains_key(node.output()) {
            return Ok(());
        }
        if node.kind == "Constant" {
            return self.set(node.output(), Value::Constant(Rc::new(node.value()?)));
        }
        let mut inputs = Vec::new();
        for at in 0..node.inputs.len() {
            inputs.push(self.optional(node, at)?);
        }
        let constants: Vec<Option<&Constant>> = inputs
            .iter()
            .map(|value| match value {
                Some(Value::Constant(constant)) => Some(&**constant),
                _ => None,
            })
            .collect();
        if let (Some(Some(Value::Activation(activation))), "Shape") = (inputs.first(), node.kind.as_str()) {
            return self.set(node.output(), Value::Constant(Rc::new(shape(node, &activation.view.dims()))));
        }
        if moves(&node.kind) {
            return self.add_move(node, &inputs, constants.get(1..).unwrap_or_default());
        }
        if let Some(all) = constants.iter().copied().collect::<Option<Vec<&Constant>>>().filter(|all| !all.is_empty()) {
            let made = match node.kind.as_str() {
                "DequantizeLinear" => Some(quantised::constant(node, &all)?),
                "Shape" => Some(shape(node, &all[0].dims)),
                _ => folded(node, &all)?,
            };
            let made = made.ok_or_else(|| {
                refused!(
                    UnsupportedOperator,
                    "it computes with constants only, and is not folded here: {}",
                    advice::FOLD
                )
            })?;
            return self.set(node.output(), Value::Constant(Rc::new(made)));
        }
        self.add_computing(node)
    }

    fn add_move(&mut self, node: &Node, inputs: &[Option<Value>], rest: &[Option<&Constant>]) -> Result<()> {
        match inputs.first() {
            Some(Some(Value::Activation(Activation { tensor, view }))) => {
                for (name, view) in node.outputs.iter().zip(moved(node, view, rest)?) {
                    self.set(name, Value::Activation(Activation { tensor: *tensor, view }))?;
                }
            }
            Some(Some(Value::Constant(constant))) => {
                if matches!(node.kind.as_str(), "Identity" | "Dropout") {
                    return self.set(node.output(), Value::Constant(Rc::clone(constant)));
                }
                if matches!(node.kind.as_str(), "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten") {
                    let view = moved(node, &View::row_major(&constant.dims)?, rest)?;
                    let dims = view.first().map(View::dims).unwrap_or_default();
                    ensure!(
                        constant.steps.is_none(),
                        Unsupported,
                        "quantised constants of other sides are not supported"
                    );
                    return self.set(node.output(), Value::Constant(Rc::new(constant.reshaped(dims))));
                }
                for (name, view) in node.outputs.iter().zip(moved(node, &View::row_major(&constant.dims)?, rest)?) {
                    self.set(name, Value::Constant(Rc::new(constant.viewed(&view)?)))?;
                }
            }
            _ => return Err(refused!(Damaged, "it has no input: the file is damaged")),
        }
        Ok(())
    }

    fn add_computing(&mut self, node: &'f Node) -> Result<()> {
        match node.kind.as_str() {
            "Conv" => self.add_convolution(node),
            "Gemm" | "MatMul" => self.add_dense(node),
            "BatchNormalization" => self.add_batch_norm(node),
            "MaxPool" | "AveragePool" => self.add_pool(node),
            "GlobalAveragePool" | "GlobalMaxPool" | "ReduceMean" | "ReduceMax" => self.add_reduction(node),
            "Pad" => self.add_pad(node),
            "Concat" => self.add_concatenation(node),
            "Add" | "Sub" | "Mul" | "Div" => self.add_arithmetic(node),
            "Relu" | "Sigmoid" | "Tanh" | "HardSwish" | "LeakyRelu" | "Elu" | "Softmax" | "Cast" => {
                self.add_function(node)
            }
            "Clip" => self.add_clip(node),
            "HardSigmoid" => self.add_hard_sigmoid(node),
            "PRelu" => self.add_prelu(node),
            "Neg" => self.add_negation(node),
            "QuantizeLinear" => quantised::quantise(self, node),
            "DequantizeLinear" => quantised::dequantise(self, node),
            other => Err(refused!(UnsupportedOperator, "this operator is not supported: {}", advice::of(other))),
        }
    }
}

/// The operators that the output depends on, in order.
fn live(file: &File) -> Vec<&Node> {
    let mut needed: HashSet<&str> = HashSet::from([file.output.as_str()]);
    let mut live = Vec::new();
    for node in file.nodes.iter().rev() {
        if node.outputs.iter().any(|name| !name.is_empty() && needed.contains(name.as_str())) {
            live.push(node);
            needed.extend(node.inputs.iter().map(String::as_str));
        }
    }
    live.reverse();
    live
}

/// The sides of a tensor, or those between two places.
fn shape(node: &Node, dims: &[usize]) -> Constant {
    let bound = |place: i64| {
        let place = if place < 0 { place + dims.len() as i64 } else { place };
        usize::try_from(place.max(0)).unwrap_or(0).min(dims.len())
    };
    let (start, end) = (bound(node.integer("start", 0)), bound(node.integer("end", dims.len() as i64)));
    let sides: Vec<i64> = dims.get(start..end).unwrap_or_default().iter().map(|&side| side as i64).collect();
    let len = sides.len();
    Constant::integers(sides, vec![len])
}
