//! Sums, products, functions of one element, and concatenation in float models.

use super::{Normalisation, Translation, Value, clamp, shape};
use crate::graph::{Clamp, FloatOp, Function, Node, WeightOrder};
use crate::import::Result;
use crate::import::model::{BuiltinOperator, Operator};

impl Translation<'_> {
    /// A sum or product of two activations, or of one and constants.
    pub(super) fn add_arithmetic(&mut self, op: &Operator) -> Result<()> {
        let constant = |at: usize| -> Result<bool> { Ok(self.network.tensors[self.input(op, at)?].data.is_some()) };
        let commutes = matches!(op.code, BuiltinOperator::Add | BuiltinOperator::Mul);
        match (constant(0)?, constant(1)?) {
            (false, true) => return self.add_with_constant(op, 0, 1),
            (true, false) if commutes => return self.add_with_constant(op, 1, 0),
            (false, false) if commutes => {}
            _ => {
                return Err(refused!(
                    Unsupported,
                    "of two activations only sums and products are supported: ADD and MUL"
                ));
            }
        }
        let clamp = clamp(op.options.activation)?;
        if op.code == BuiltinOperator::Mul {
            if let Some(gated) = self.gated(op)? {
                return self.set_functions(op, gated, clamp);
            }
            let inputs = vec![self.activation(op, 0)?, self.activation(op, 1)?];
            return self.push(op, FloatOp::Mul { clamp }, inputs);
        }
        let inputs = vec![self.activation(op, 0)?, self.activation(op, 1)?];
        self.push(op, FloatOp::Add { clamp }, inputs)
    }

    /// The product of a tensor and a function of it, which is a function of it too.
    fn gated(&self, op: &Operator) -> Result<Option<Value>> {
        let (a, b) = (self.value(op, 0)?, self.value(op, 1)?);
        let indices = [self.input(op, 0)?, self.input(op, 1)?];
        let [a_shape, b_shape] = indices.map(|index| shape(self.network, index));
        let picture = indices.iter().any(|&index| self.inputs[index].is_some());
        if a.tensor != b.tensor || a_shape? != b_shape? || picture {
            return Ok(None);
        }
        let (x, gate) = if a.functions.len() <= b.functions.len() { (a, b) } else { (b, a) };
        let Some(rest) = gate.functions.strip_prefix(x.functions.as_slice()) else { return Ok(None) };
        let functions = [x.functions.as_slice(), &[Function::Gate(rest.to_vec())]].concat();
        Ok(Some(Value { tensor: x.tensor, functions }))
    }

    /// `x + c`, `x − c`, `x · c` or `x / c` for one constant, or one a channel.
    fn add_with_constant(&mut self, op: &Operator, at: usize, constant_at: usize) -> Result<()> {
        let (index, output) = (self.input(op, at)?, self.output(op)?);
        let constant = &self.network.tensors[self.input(op, constant_at)?];
        let values = constant.reals()?;
        let numbers: Vec<f32> = match op.code {
            BuiltinOperator::Sub => values.iter().map(|value| -value).collect(),
            BuiltinOperator::Div => values.iter().map(|value| 1.0 / value).collect(),
            _ => values,
        };
        ensure!(
            numbers.iter().all(|number| number.is_finite()),
            Unsupported,
            "a constant of it is not a finite number"
        );
        ensure!(
            shape(self.network, index)? == shape(self.network, output)?,
            Unsupported,
            "a constant that makes its input larger is not supported"
        );
        let sums = matches!(op.code, BuiltinOperator::Add | BuiltinOperator::Sub);
        let clamp = clamp(op.options.activation)?;
        if let [number] = numbers[..] {
            let function = if sums { Function::Plus(number) } else { Function::Times(number) };
            return self.add_with_number(op, at, function, clamp);
        }
        let channels = shape(self.network, index)?.channels;
        let vector = numbers.len() == channels && constant.shape.last() == Some(&channels);
        ensure!(
            vector,
            Unsupported,
            "its constant has the shape {:?}: one number or one a channel is supported",
            constant.shape
        );
        if self.join_scaling(index, sums, &numbers, clamp) {
            return self.pass_on_input(op, at);
        }
        let factors = if sums { (vec![1.0; channels], numbers) } else { (numbers, vec![0.0; channels]) };
        let tensor = self.shaped(op, at)?;
        let name = self.network.tensors[output].name.to_owned();
        self.values[output] = Some(self.add_scaling(name, tensor, self.inputs[index], factors, clamp)?);
        Ok(())
    }

    /// A sum with or a product by one number: a change of the picture's normalisation or of the layer before, or else a
    /// function.
    fn add_with_number(&mut self, op: &Operator, at: usize, function: Function, fused: Clamp) -> Result<()> {
        let (index, output) = (self.input(op, at)?, self.output(op)?);
        let (sums, number) = match function {
            Function::Plus(number) => (true, number),
            Function::Times(number) => (false, number),
            _ => return Err(refused!(Unsupported, "it is neither a sum nor a product")),
        };
        if let Some(Normalisation { mean, std }) = self.inputs[index].filter(|_| fused == Clamp::None) {
            let number = f64::from(number);
            let (mean, std) = if sums { (mean - number * std, std) } else { (mean, std / number) };
            (self.values[output], self.inputs[output]) =
                (self.values[index].clone(), Some(Normalisation { mean, std }));
            return Ok(());
        }
        if self.join_scaling(index, sums, &[number], fused) {
            return self.pass_on_input(op, at);
        }
        self.chain(op, at, function, fused)
    }

    pub(super) fn add_function(&mut self, op: &Operator, function: Function) -> Result<()> {
        self.chain(op, 0, function, Clamp::None)
    }

    /// A function of input `at`, and the clamp fused into it.
    fn chain(&mut self, op: &Operator, at: usize, function: Function, fused: Clamp) -> Result<()> {
        let index = self.input(op, at)?;
        if self.inputs[index].is_some() {
            self.activation(op, at)?;
        }
        let Value { tensor, functions } = self.value(op, at)?.clone();
        let functions = [functions, vec![function]].concat();
        self.set_functions(op, Value { tensor, functions }, fused)
    }

    fn set_functions(&mut self, op: &Operator, mut value: Value, fused: Clamp) -> Result<()> {
        if fused != Clamp::None {
            value.functions.push(Function::Clamp(fused));
        }
        let output = self.output(op)?;
        self.values[output] = Some(value);
        Ok(())
    }

    /// A rectifier joins the layer before it where nothing else reads that.
    pub(super) fn add_clamp(&mut self, op: &Operator, function: Clamp) -> Result<()> {
        let index = self.input(op, 0)?;
        match self.layer_read_once(index) {
            Some(
                FloatOp::Conv2d { clamp, .. }
                | FloatOp::DepthwiseConv2d { clamp, .. }
                | FloatOp::Dense { clamp, .. }
                | FloatOp::Add { clamp }
                | FloatOp::Mul { clamp },
            ) if *clamp == Clamp::None => {
                *clamp = function;
                self.pass_on(op)
            }
            _ => self.chain(op, 0, Function::Clamp(function), Clamp::None),
        }
    }

    /// Adds one number or one a channel to the outputs of the layer before, or multiplies them, and clamps them, where nothing
    /// else reads that layer. False where that cannot be.
    fn join_scaling(&mut self, index: usize, sums: bool, numbers: &[f32], fused: Clamp) -> bool {
        let (order, weights, bias, clamp) = match self.layer_read_once(index) {
            Some(FloatOp::Conv2d { weights, bias, clamp, .. } | FloatOp::Dense { weights, bias, clamp }) => {
                (WeightOrder::OutputFirst, weights, bias, clamp)
            }
            Some(FloatOp::DepthwiseConv2d { weights, bias, clamp, .. }) => {
                (WeightOrder::ChannelLast, weights, bias, clamp)
            }
            _ => return false,
        };
        let (count, outputs) = (weights.len(), bias.len());
        let numbers = if let [number] = numbers { &vec![*number; outputs] } else { numbers };
        if *clamp != Clamp::None || numbers.len() != outputs {
            return false;
        }
        for (bias, number) in bias.iter_mut().zip(numbers) {
            *bias = if sums { *bias + number } else { *bias * number };
        }
        if !sums {
            let channel = |index| order.output(index, count, outputs);
            weights.iter_mut().enumerate().for_each(|(index, weight)| *weight *= numbers[channel(index)]);
        }
        *clamp = fused;
        true
    }

    /// The node that makes a tensor of the network which one operator reads, and no other under another shape.
    fn layer_read_once(&mut self, index: usize) -> Option<&mut FloatOp> {
        let value = self.values[index].clone().filter(|value| value.functions.is_empty())?;
        let same = |tensor: &usize| self.values[*tensor].as_ref() == Some(&value);
        let aliases: Vec<usize> = (0..self.values.len()).filter(same).collect();
        let is_alias = |tensor: &usize| aliases.contains(tensor);
        // An operator that reads an alias and makes another changes nothing.
        let reads = |op: &&&Operator| op.inputs.iter().flatten().any(is_alias);
        let changes = |op: &&&Operator| !op.outputs.iter().any(is_alias);
        let readers = self.operators.iter().filter(reads).filter(changes).count();
        if readers != 1 || is_alias(&self.network.output) {
            return None;
        }
        self.graph.nodes.get_mut(value.tensor.checked_sub(1)?).map(|node| &mut node.op)
    }

    /// A chain of pairs.
    pub(super) fn add_concatenation(&mut self, op: &Operator) -> Result<()> {
        ensure!(
            clamp(op.options.activation)? == Clamp::None,
            Unsupported,
            "a function is fused into it: make it an operator of its own"
        );
        let index = self.output(op)?;
        let rank = self.network.tensors[index].shape.len() as i64;
        let axis = i64::from(op.options.axis) + if op.options.axis < 0 { rank } else { 0 };
        let side = usize::try_from(axis + 3 - rank).ok().filter(|&side| side < 3);
        let side = side.ok_or_else(|| refused!(Unsupported, "its axis {axis} is the batch or does not exist"))?;
        let name = self.network.tensors[index].name;
        let mut whole = self.activation(op, 0)?;
        for at in 1..op.inputs.len() {
            let part = self.activation(op, at)?;
            let (mut output, other) = (self.graph.shape(whole), self.graph.shape(part));
            match side {
                0 => output.height += other.height,
                1 => output.width += other.width,
                _ => output.channels += other.channels,
            }
            let left = op.inputs.len() - 1 - at;
            let name = if left == 0 { name.to_owned() } else { format!("{name} ({left} to follow)") };
            let node = Node { name, op: FloatOp::Concat, inputs: vec![whole, part], output };
            whole = self.add_node(node).tensor;
        }
        ensure!(self.graph.shape(whole) == shape(self.network, index)?, Damaged, "its inputs do not make its output");
        self.values[index] = Some(Value { tensor: whole, functions: Vec::new() });
        Ok(())
    }
}
