//! Sums, products, and functions of one element.

use std::cmp::Ordering;

use super::build::As;
use super::constant::{Constant, element};
use super::file::Node;
use super::quantised;
use super::translate::{Activation, Translation, Value};
use super::view::{View, height_width_channels};
use crate::import::Result;
use crate::import::model::{ActivationFunctionType, BuiltinOperator, Options};

/// What a Clip leaves.
fn bounds(translation: &mut Translation<'_>, node: &Node) -> Result<[f32; 2]> {
    let mut bound = |at: usize, otherwise: f32| -> Result<f32> {
        let constant = translation.constant(node, at)?;
        Ok(constant.and_then(|constant| constant.reals().first().copied()).unwrap_or(otherwise))
    };
    Ok([bound(1, f32::NEG_INFINITY)?, bound(2, f32::INFINITY)?])
}

/// The rectifier that a node is, if it is one that layers take in.
pub(super) fn rectifier(translation: &mut Translation<'_>, node: &Node) -> Option<ActivationFunctionType> {
    match node.kind.as_str() {
        "Relu" => Some(ActivationFunctionType::Relu),
        // Bounds that are not known yet are those of an operator of its own.
        "Clip" => match bounds(translation, node) {
            Ok([0.0, 6.0]) => Some(ActivationFunctionType::Relu6),
            Ok([0.0, f32::INFINITY]) => Some(ActivationFunctionType::Relu),
            _ => None,
        },
        _ => None,
    }
}

impl<'f> Translation<'f> {
    /// A sum, difference or product.
    pub(super) fn add_arithmetic(&mut self, node: &'f Node) -> Result<()> {
        let operand = |value: Option<Value>| value.ok_or_else(|| refused!(Damaged, "it has no two inputs"));
        let (a, b) = (operand(self.optional(node, 0)?)?, operand(self.optional(node, 1)?)?);
        match (a, b) {
            (Value::Activation(a), Value::Constant(b)) => self.add_with_constant(node, &a, &b),
            (Value::Constant(a), Value::Activation(b)) if matches!(node.kind.as_str(), "Add" | "Mul") => {
                self.add_with_constant(node, &b, &a)
            }
            (Value::Constant(a), Value::Activation(b)) if node.kind == "Sub" => {
                let negative = self.scaled(node, &b, -1.0)?;
                self.add_with_constant(node, &negative, &a)
            }
            (Value::Activation(a), Value::Activation(b)) => self.add_pair(node, a, b),
            _ => Err(refused!(
                Unsupported,
                "a number is divided by an activation: only sums, differences and products are supported"
            )),
        }
    }

    /// An activation times a number.
    fn scaled(&mut self, node: &Node, activation: &Activation, factor: f32) -> Result<Activation> {
        let tensor = self.with_number(node, activation.tensor, BuiltinOperator::Mul, factor)?;
        Ok(Activation { tensor, view: activation.view.clone() })
    }

    /// A float tensor plus or times a number.
    fn with_number(&mut self, node: &Node, tensor: usize, code: BuiltinOperator, number: f32) -> Result<usize> {
        ensure!(
            self.built.quantisation(tensor).is_none(),
            Unsupported,
            "it is not supported in quantised models: quantise the float model here with --calibrate"
        );
        let name =
            format!("{} ({} {number})", node.output(), if code == BuiltinOperator::Mul { "times" } else { "plus" });
        let constant = self.built.reals(&name, &[], &[number])?;
        let made = self.built.tensor(&name, self.built.sides(tensor), None);
        self.built.operator((code, &node.kind), &[Some(tensor), Some(constant)], made, Options::default())?;
        Ok(made)
    }

    /// A float tensor through an operator without options.
    fn through(&mut self, node: &Node, tensor: usize, code: BuiltinOperator) -> Result<usize> {
        let made = self.built.tensor(&format!("{} ({code:?})", node.output()), self.built.sides(tensor), None);
        self.built.operator((code, &node.kind), &[Some(tensor)], made, Options::default())?;
        Ok(made)
    }

    fn code(node: &Node) -> BuiltinOperator {
        match node.kind.as_str() {
            "Mul" => BuiltinOperator::Mul,
            "Sub" => BuiltinOperator::Sub,
            "Div" => BuiltinOperator::Div,
            _ => BuiltinOperator::Add,
        }
    }

    fn add_with_constant(&mut self, node: &'f Node, activation: &Activation, constant: &Constant) -> Result<()> {
        let code = match node.kind.as_str() {
            "Sub" if matches!(self.optional(node, 0)?, Some(Value::Constant(_))) => BuiltinOperator::Add,
            _ => Self::code(node),
        };
        let name = format!("{} (constant)", node.output());
        let own = activation.view.dims();
        let rank = own.len().max(constant.dims.len());
        let int8 = self.built.quantisation(activation.tensor).is_some();
        let how = if int8 { As::Bytes } else { As::Reals };
        if constant.len() == 1 && rank == own.len() {
            let number = self.built.ordered(&name, constant, &[], std::iter::once(Some(0)), how)?;
            return self.same_view(
                node,
                code,
                &[Some(activation.tensor), Some(number)],
                activation,
                Options::default(),
            );
        }
        let dims = aligned(&constant.dims, rank);
        let view = activation.view.reshaped(&aligned(&own, rank))?;
        let view = view.ok_or_else(|| refused!(Unsupported, "its input cannot get {rank} sides"))?;
        let (tensor, _) = self.picture(&Activation { tensor: activation.tensor, view })?;
        let sides = height_width_channels(&dims)?;
        let mut order = vec![None; constant.len()];
        View::channels_last(&dims)?.places()?.iter().enumerate().for_each(|(at, &place)| order[place] = Some(at));
        let shape = [&[1][..], &sides].concat();
        let other = self.built.ordered(&name, constant, &shape, order.into_iter(), how)?;
        let made = broadcast(&aligned(&own, rank), &dims)?;
        self.finish(node, (code, &node.kind), &[Some(tensor), Some(other)], &made, Options::default())
    }

    fn add_pair(&mut self, node: &'f Node, a: Activation, b: Activation) -> Result<()> {
        let rank = a.view.dims().len().max(b.view.dims().len());
        let mut code = Self::code(node);
        ensure!(
            code != BuiltinOperator::Div,
            Unsupported,
            "one activation is divided by another: only sums, differences and products are supported"
        );
        let (mut tensors, mut dims) = (Vec::new(), Vec::new());
        for activation in [a, b] {
            let own = aligned(&activation.view.dims(), rank);
            let view = activation.view.reshaped(&own)?;
            let view = view.ok_or_else(|| refused!(Unsupported, "an input of it cannot get {rank} sides"))?;
            tensors.push(Activation { view, ..activation });
            dims.push(own);
        }
        // The same channels of one tensor, whichever: the operator may work where they lie.
        if code == BuiltinOperator::Mul
            && tensors[0].view == tensors[1].view
            && self.built.sides(tensors[0].tensor) == self.built.sides(tensors[1].tensor)
        {
            let inputs = [Some(tensors[0].tensor), Some(tensors[1].tensor)];
            return self.same_view(node, code, &inputs, &tensors[0], Options::default());
        }
        let mut inputs = Vec::new();
        for activation in &tensors {
            inputs.push(self.picture(activation)?.0);
        }
        if code == BuiltinOperator::Sub && self.built.quantisation(inputs[1]).is_none() {
            inputs[1] = self.with_number(node, inputs[1], BuiltinOperator::Mul, -1.0)?;
            code = BuiltinOperator::Add;
        }
        let made = broadcast(&dims[0], &dims[1])?;
        let inputs: Vec<Option<usize>> = inputs.into_iter().map(Some).collect();
        self.finish(node, (code, &node.kind), &inputs, &made, Options::default())
    }

    /// Adds an operator on each element of a tensor, whose elements stay where they lie.
    fn same_view(
        &mut self,
        node: &'f Node,
        code: BuiltinOperator,
        inputs: &[Option<usize>],
        activation: &Activation,
        options: Options,
    ) -> Result<()> {
        let quantisation = quantised::asked(self, node.output())?;
        let made = self.built.tensor(node.output(), self.built.sides(activation.tensor), quantisation);
        self.built.operator((code, &node.kind), inputs, made, options)?;
        self.set(node.output(), Value::Activation(Activation { tensor: made, view: activation.view.clone() }))
    }

    pub(super) fn add_function(&mut self, node: &'f Node) -> Result<()> {
        use BuiltinOperator as Code;
        let activation = self.activation(node, 0)?;
        let (code, options) = match node.kind.as_str() {
            "Relu" => (Code::Relu, Options::default()),
            "Sigmoid" => (Code::Logistic, Options::default()),
            "Tanh" => (Code::Tanh, Options::default()),
            "HardSwish" => (Code::HardSwish, Options::default()),
            "LeakyRelu" => (Code::LeakyRelu, Options { alpha: node.real("alpha", 0.01), ..Options::default() }),
            "Elu" => (Code::Elu, Options { elu_factor: node.real("alpha", 1.0), ..Options::default() }),
            "Softmax" => {
                let rank = activation.view.dims().len();
                let axis = super::moves::side(node.integer("axis", -1), rank)?;
                let along = activation.view.dims()[axis] == activation.view.dims().iter().product::<usize>();
                ensure!(along, Unsupported, "a softmax is supported at the end, over all outputs");
                (Code::Softmax, Options { beta: 1.0, ..Options::default() })
            }
            // Between floats of several precisions.
            _ => {
                let floats = [element::FLOAT, element::FLOAT16, element::DOUBLE, element::BFLOAT16];
                let to = node.integer("to", 0);
                ensure!(
                    floats.iter().any(|&float| i64::from(float) == to),
                    Unsupported,
                    "it makes ONNX's type {to} of an activation: only floats are supported"
                );
                return self.set(node.output(), Value::Activation(activation));
            }
        };
        let tensor = if code == Code::Softmax { self.picture(&activation)?.0 } else { activation.tensor };
        let activation = Activation { tensor, ..activation };
        if self.built.quantisation(tensor).is_some() && matches!(code, Code::Logistic | Code::Softmax | Code::Tanh) {
            // LiteRT's kernels make these in steps of their own.
            let quantisation = quantised::of_range(code == Code::Tanh);
            let made = self.built.tensor(node.output(), self.built.sides(tensor), Some(quantisation));
            self.built.operator((code, &node.kind), &[Some(tensor)], made, options)?;
            return self.set(node.output(), Value::Activation(Activation { tensor: made, view: activation.view }));
        }
        self.same_view(node, code, &[Some(tensor)], &activation, options)
    }

    /// A clip to any two numbers, by what there is: rectifiers, sums and products, which become one table.
    pub(super) fn add_clip(&mut self, node: &'f Node) -> Result<()> {
        use BuiltinOperator as Code;
        let (activation, [min, max]) = (self.activation(node, 0)?, bounds(self, node)?);
        ensure!(
            min.partial_cmp(&max).is_some_and(Ordering::is_lt),
            Unsupported,
            "it leaves nothing between {min} and {max}"
        );
        if let Some(function) = rectifier(self, node) {
            let code = if function == ActivationFunctionType::Relu { Code::Relu } else { Code::Relu6 };
            return self.same_view(node, code, &[Some(activation.tensor)], &activation, Options::default());
        }
        let mut tensor = activation.tensor;
        let steps: &[(Code, f32)] = &match (min.is_finite(), max.is_finite()) {
            (true, true) => {
                let range = (max - min) / 6.0;
                vec![
                    (Code::Add, -min),
                    (Code::Mul, 1.0 / range),
                    (Code::Relu6, 0.0),
                    (Code::Mul, range),
                    (Code::Add, min),
                ]
            }
            (true, false) => vec![(Code::Add, -min), (Code::Relu, 0.0), (Code::Add, min)],
            (false, true) => {
                vec![(Code::Mul, -1.0), (Code::Add, max), (Code::Relu, 0.0), (Code::Mul, -1.0), (Code::Add, max)]
            }
            (false, false) => vec![],
        };
        for &(code, number) in steps {
            let nothing = matches!((code, number), (Code::Add, 0.0) | (Code::Mul, 1.0));
            tensor = match code {
                _ if nothing => tensor,
                Code::Add | Code::Mul => self.with_number(node, tensor, code, number)?,
                _ => self.through(node, tensor, code)?,
            };
        }
        self.set(node.output(), Value::Activation(Activation { tensor, view: activation.view }))
    }

    /// min(max(alpha · x + beta, 0), 1).
    pub(super) fn add_hard_sigmoid(&mut self, node: &'f Node) -> Result<()> {
        let activation = self.activation(node, 0)?;
        let (alpha, beta) = (6.0 * node.real("alpha", 0.2), 6.0 * node.real("beta", 0.5));
        let mut tensor = activation.tensor;
        if (alpha - 1.0).abs() > 1e-6 {
            tensor = self.with_number(node, tensor, BuiltinOperator::Mul, alpha)?;
        }
        tensor = self.with_number(node, tensor, BuiltinOperator::Add, beta)?;
        tensor = self.through(node, tensor, BuiltinOperator::Relu6)?;
        tensor = self.with_number(node, tensor, BuiltinOperator::Mul, 1.0 / 6.0)?;
        self.set(node.output(), Value::Activation(Activation { tensor, view: activation.view }))
    }

    /// max(x, 0) − slope · max(−x, 0), or one leaky rectifier where all slopes are the same.
    pub(super) fn add_prelu(&mut self, node: &'f Node) -> Result<()> {
        let (activation, slopes) = (self.activation(node, 0)?, self.needed(node, 1)?);
        let values = slopes.reals();
        let first = values.first().copied().unwrap_or(0.0);
        if values.iter().all(|&slope| slope == first) {
            let options = Options { alpha: first, ..Options::default() };
            return self.same_view(node, BuiltinOperator::LeakyRelu, &[Some(activation.tensor)], &activation, options);
        }
        let (tensor, sides) = self.picture(&activation)?;
        ensure!(
            values.len() == sides[2],
            Unsupported,
            "it has {} slopes for {} channels: one for all or one a channel is supported",
            values.len(),
            sides[2]
        );
        let negative = self.with_number(node, tensor, BuiltinOperator::Mul, -1.0)?;
        let (below, above) =
            (self.through(node, negative, BuiltinOperator::Relu)?, self.through(node, tensor, BuiltinOperator::Relu)?);
        let values: Vec<f32> = values.iter().map(|slope| -slope).collect();
        let slopes = self.built.reals(&format!("{} (slopes)", node.output()), &[1, 1, 1, sides[2]], &values)?;
        let sloped = self.built.tensor(&format!("{} (below 0)", node.output()), sides, None);
        self.built.operator(
            (BuiltinOperator::Mul, "PRelu"),
            &[Some(below), Some(slopes)],
            sloped,
            Options::default(),
        )?;
        let inputs = [Some(above), Some(sloped)];
        self.finish(node, (BuiltinOperator::Add, "PRelu"), &inputs, &activation.view.dims(), Options::default())
    }

    pub(super) fn add_negation(&mut self, node: &'f Node) -> Result<()> {
        let activation = self.activation(node, 0)?;
        let made = self.scaled(node, &activation, -1.0)?;
        self.set(node.output(), Value::Activation(made))
    }
}

/// Sides with ones before them, as ONNX lines them up.
fn aligned(dims: &[usize], rank: usize) -> Vec<usize> {
    [vec![1; rank - dims.len()], dims.to_vec()].concat()
}

/// The sides of what two tensors of one rank make.
fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let side = |(&a, &b): (&usize, &usize)| if a == b || b == 1 { Some(a) } else { (a == 1).then_some(b) };
    let sides = a.iter().zip(b).map(side).collect::<Option<Vec<_>>>();
    sides.ok_or_else(|| refused!(Damaged, "{a:?} and {b:?} do not fit together"))
}
