//! Layers with weights.

use std::rc::Rc;

use super::build::As;
use super::constant::Constant;
use super::file::Node;
use super::pools::Windowed;
use super::translate::{Activation, Translation};
use super::{elementwise, quantised};
use crate::import::Result;
use crate::import::model::{ActivationFunctionType, BuiltinOperator, Options};

/// Most weights that a grouped convolution may grow to.
const SPREAD_MAX: usize = 1 << 24;

/// Where a layer's input comes from.
struct Source {
    tensor: usize,
    sides: [usize; 3],
    /// For each channel of the tensor, which of the layer's inputs it is.
    inputs: Vec<Option<usize>>,
}

impl<'f> Translation<'f> {
    /// The tensor that a convolution reads, which may be some channels of one: the others get weights of 0.
    fn source(&mut self, activation: &Activation) -> Result<Source> {
        let there = self.built.sides(activation.tensor);
        let distinct = |chosen: &Vec<usize>| {
            let mut sorted = chosen.clone();
            sorted.sort_unstable();
            sorted.windows(2).all(|pair| pair[0] < pair[1])
        };
        if !activation.view.is_channels_last()
            && let Some(chosen) = activation.view.channels_of(there).filter(distinct)
        {
            let mut inputs = vec![None; there[2]];
            chosen.iter().enumerate().for_each(|(at, &channel)| inputs[channel] = Some(at));
            return Ok(Source { tensor: activation.tensor, sides: there, inputs });
        }
        self.whole(activation)
    }

    /// The tensor that a layer reads with all of its channels.
    fn whole(&mut self, activation: &Activation) -> Result<Source> {
        let (tensor, sides) = self.picture(activation)?;
        Ok(Source { tensor, sides, inputs: (0..sides[2]).map(Some).collect() })
    }

    /// How weights become bytes for a layer that reads this tensor.
    fn how(&self, tensor: usize, weights: &Constant) -> Result<As> {
        match (self.built.quantisation(tensor), &weights.steps) {
            (Some(_), Some(_)) => Ok(As::Bytes),
            (Some(_), None) => Err(refused!(Unsupported, "its input is quantised, its weights are not: quantise both")),
            (None, _) => Ok(As::Reals),
        }
    }

    pub(super) fn add_convolution(&mut self, node: &'f Node) -> Result<()> {
        let (activation, weights) = (self.activation(node, 0)?, self.needed(node, 1)?);
        let (outputs, depth, kernel) = match weights.dims[..] {
            [outputs, depth, width] => (outputs, depth, [1, width]),
            [outputs, depth, height, width] => (outputs, depth, [height, width]),
            _ => {
                return Err(refused!(
                    Unsupported,
                    "its weights have the sides {:?}: only one or two are supported",
                    weights.dims
                ));
            }
        };
        let rank = activation.view.dims().len();
        ensure!(
            rank == weights.dims.len(),
            Damaged,
            "its weights {:?} do not fit an input with {rank} sides",
            weights.dims
        );
        let groups = usize::try_from(node.integer("group", 1)).ok().filter(|&groups| groups > 0).unwrap_or(1);
        let depthwise = groups > 1 && depth == 1;
        let source = if depthwise { self.whole(&activation)? } else { self.source(&activation)? };
        let channels = source.inputs.iter().flatten().count();
        ensure!(
            channels == depth.saturating_mul(groups) && outputs.is_multiple_of(groups) && outputs > 0,
            Damaged,
            "its weights {:?} in {groups} groups do not fit {channels} channels: the file is damaged",
            weights.dims
        );
        let [height, width, there] = source.sides;
        let how = self.how(source.tensor, &weights)?;
        let taps = kernel[0].saturating_mul(kernel[1]);
        let windowed = Windowed::of(node, kernel, [height, width], rank)?;
        let (tensor, windowed) = self.padded(node, source.tensor, kernel, windowed)?;
        let name = node.output();
        let (code, shape, order): (_, _, Vec<Option<usize>>) = if depthwise {
            let order = (0..taps).flat_map(|tap| (0..outputs).map(move |output| Some(output * taps + tap)));
            (BuiltinOperator::DepthwiseConv2d, [1, kernel[0], kernel[1], outputs], order.collect())
        } else {
            let all = outputs.saturating_mul(taps).saturating_mul(there);
            ensure!(
                all == weights.len() || all <= SPREAD_MAX,
                OutOfRange,
                "its {groups} groups would take {all} weights, filled up with zeros: use fewer groups, or a depthwise convolution"
            );
            if groups > 1 {
                let text = format!("{name}: a convolution of {groups} groups, filled up with zeros");
                self.built.changes.push(text);
            }
            let inputs = &source.inputs;
            let weight = |output: usize, tap: usize, channel: usize| {
                let input = inputs[channel]?;
                let own = input / depth == output / (outputs / groups);
                own.then_some((output * depth + input % depth) * taps + tap)
            };
            let pixel = |at: usize| (0..there).map(move |channel| weight(at / taps, at % taps, channel));
            let order = (0..outputs * taps).flat_map(pixel).collect();
            (BuiltinOperator::Conv2d, [outputs, kernel[0], kernel[1], there], order)
        };
        let kernel = self.built.ordered(&format!("{name} (weights)"), &weights, &shape, order.into_iter(), how)?;
        let bias = self.bias(node, tensor, &weights, outputs, 1.0)?;
        let mut dims = activation.view.dims();
        dims[1] = outputs;
        if rank == 4 {
            dims[2] = windowed.outputs[0];
        }
        dims[rank - 1] = windowed.outputs[1];
        self.finish(node, (code, "Conv"), &[Some(tensor), Some(kernel), bias], &dims, windowed.options)
    }

    /// Adds an operator into which a rectifier that alone reads its output is fused.
    pub(super) fn finish(
        &mut self,
        node: &'f Node,
        code: (BuiltinOperator, &str),
        inputs: &[Option<usize>],
        dims: &[usize],
        options: Options,
    ) -> Result<()> {
        let next = self.only_reader(node.output());
        let rectifier = next.and_then(|next| elementwise::rectifier(self, next));
        let (activation, last) = match (rectifier, next) {
            (Some(rectifier), Some(next)) => (rectifier, next.output()),
            _ => (ActivationFunctionType::None, node.output()),
        };
        let output = self.make(last, dims, None)?;
        if last != node.output()
            && let Some(value) = self.known(last)?
        {
            self.set(node.output(), value)?;
        }
        self.built.operator(code, inputs, output, Options { activation, ..options })
    }

    /// A layer's bias: input 2.
    fn bias(
        &mut self,
        node: &Node,
        tensor: usize,
        weights: &Constant,
        outputs: usize,
        factor: f32,
    ) -> Result<Option<usize>> {
        let Some(bias) = self.constant(node, 2)? else { return Ok(None) };
        ensure!(
            bias.len() == outputs || bias.len() == 1,
            Unsupported,
            "its bias has {} numbers in place of {outputs}",
            bias.len()
        );
        let name = format!("{} (bias)", node.output());
        if let Some(input) = self.built.quantisation(tensor).cloned() {
            let integers = quantised::bias(&input, weights, &bias, outputs, factor)?;
            return self.built.integers(&name, &[outputs], &integers).map(Some);
        }
        let reals = bias.reals();
        let reals: Vec<f32> = (0..outputs).map(|at| factor * reals[if reals.len() == 1 { 0 } else { at }]).collect();
        self.built.reals(&name, &[outputs], &reals).map(Some)
    }

    /// A dense layer, whose weights take the order in which its inputs lie.
    pub(super) fn add_dense(&mut self, node: &'f Node) -> Result<()> {
        let (activation, mut weights) = (self.activation(node, 0)?, self.needed(node, 1)?);
        let &[rows, columns] = &weights.dims[..] else {
            return Err(refused!(Unsupported, "its weights have the sides {:?}: only two are supported", weights.dims));
        };
        let gemm = node.kind == "Gemm";
        let turned = gemm && node.integer("transB", 0) != 0;
        let (depth, outputs) = if turned { (columns, rows) } else { (rows, columns) };
        let mut dims = activation.view.dims();
        let vectors = activation.view.places()?;
        ensure!(
            dims.last() == Some(&depth) && vectors.len() == depth && !(gemm && node.integer("transA", 0) != 0),
            Unsupported,
            "it multiplies {dims:?} by {:?}: only one vector through a dense layer is supported",
            weights.dims
        );
        let there = self.built.sides(activation.tensor).iter().product::<usize>();
        let mut inputs = vec![None; there];
        for (at, &place) in vectors.iter().enumerate() {
            let slot = inputs.get_mut(place).filter(|slot| slot.is_none());
            *slot.ok_or_else(|| refused!(Unsupported, "it reads an element twice"))? = Some(at);
        }
        ensure!(
            outputs.saturating_mul(there) <= SPREAD_MAX.max(weights.len()),
            OutOfRange,
            "it reads few of many elements"
        );
        let how = self.how(activation.tensor, &weights)?;
        let (alpha, beta) = if gemm { (node.real("alpha", 1.0), node.real("beta", 1.0)) } else { (1.0, 1.0) };
        if alpha != 1.0 {
            weights = Rc::new(weights.times(alpha)?);
        }
        let name = node.output();
        let place =
            |output: usize, input: usize| if turned { output * depth + input } else { input * outputs + output };
        let order =
            (0..outputs).flat_map(|output| inputs.iter().map(move |input| input.map(|input| place(output, input))));
        let order: Vec<Option<usize>> = order.collect();
        let kernel = format!("{name} (weights)");
        let kernel = self.built.ordered(&kernel, &weights, &[outputs, there], order.into_iter(), how)?;
        let bias = if gemm { self.bias(node, activation.tensor, &weights, outputs, beta)? } else { None };
        if let Some(last) = dims.last_mut() {
            *last = outputs;
        }
        // Sides before the last are 1.
        let shape = if dims.len() > 2 { vec![1, outputs] } else { dims.clone() };
        let inputs = [Some(activation.tensor), Some(kernel), bias];
        self.finish(node, (BuiltinOperator::FullyConnected, &node.kind), &inputs, &shape, Options::default())?;
        self.reshape_outputs(node, &dims)
    }

    /// Gives the output of a node, and of a rectifier fused into it, other sides.
    fn reshape_outputs(&mut self, node: &'f Node, dims: &[usize]) -> Result<()> {
        let next = self.only_reader(node.output()).map(|next| next.output().to_owned());
        for name in [Some(node.output().to_owned()), next].into_iter().flatten() {
            if let Some(super::translate::Value::Activation(Activation { tensor, view })) = self.known(&name)?
                && let Some(view) = view.reshaped(dims)?
            {
                self.set(&name, super::translate::Value::Activation(Activation { tensor, view }))?;
            }
        }
        Ok(())
    }

    /// A factor and a summand for each channel, which the layer before takes in.
    pub(super) fn add_batch_norm(&mut self, node: &'f Node) -> Result<()> {
        ensure!(node.integer("training_mode", 0) == 0, Unsupported, "it learns: export the model after model.eval()");
        let activation = self.activation(node, 0)?;
        let (tensor, sides) = self.picture(&activation)?;
        ensure!(
            self.built.quantisation(tensor).is_none(),
            Unsupported,
            "it is not folded into the quantised layer before it: run onnxruntime's quantization.preprocess first"
        );
        let mut of = |at: usize| -> Result<Vec<f32>> {
            let values = self.needed(node, at)?.reals();
            ensure!(values.len() == sides[2], Damaged, "its {} numbers do not fit {} channels", values.len(), sides[2]);
            Ok(values)
        };
        let (gamma, beta, mean, variance) = (of(1)?, of(2)?, of(3)?, of(4)?);
        let epsilon = f64::from(node.real("epsilon", 1e-5));
        let factors: Vec<f64> = gamma
            .iter()
            .zip(&variance)
            .map(|(&gamma, &variance)| f64::from(gamma) / (f64::from(variance) + epsilon).sqrt())
            .collect();
        let moved = |at: usize| (f64::from(beta[at]) - f64::from(mean[at]) * factors[at]) as f32;
        let summands: Vec<f32> = (0..sides[2]).map(moved).collect();
        let factors: Vec<f32> = factors.iter().map(|&factor| factor as f32).collect();
        let name = node.output();
        let factors = self.built.reals(&format!("{name} (factors)"), &[1, 1, 1, sides[2]], &factors)?;
        let summands = self.built.reals(&format!("{name} (summands)"), &[1, 1, 1, sides[2]], &summands)?;
        let product = self.built.tensor(&format!("{name} (scaled)"), sides, None);
        let kind = "BatchNormalization";
        self.built.operator(
            (BuiltinOperator::Mul, kind),
            &[Some(tensor), Some(factors)],
            product,
            Options::default(),
        )?;
        let inputs = [Some(product), Some(summands)];
        self.finish(node, (BuiltinOperator::Add, kind), &inputs, &activation.view.dims(), Options::default())
    }
}
