//! Sums, products, functions of one element, and concatenation in float models.

use anyhow::{Context, Result, bail, ensure};

use super::{Normalisation, Translation, Value, clamp, shape};
use crate::graph::{Clamp, FloatOp, Function, Node};
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
            _ => bail!("of two activations only sums and products are supported: ADD and MUL"),
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
        let pictures = [0, 1].map(|at| self.input(op, at).map(|index| self.inputs[index].is_some()));
        let [a_picture, b_picture] = pictures;
        if a.tensor != b.tensor || a_picture? || b_picture? {
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
        ensure!(numbers.iter().all(|number| number.is_finite()), "a constant of it is not a finite number");
        ensure!(
            shape(self.network, index)? == shape(self.network, output)?,
            "a constant that makes its input larger is not supported"
        );
        let sums = matches!(op.code, BuiltinOperator::Add | BuiltinOperator::Sub);
        let clamp = clamp(op.options.activation)?;
        if let [number] = numbers[..] {
            return self.add_with_number(
                op,
                index,
                if sums { Function::Plus(number) } else { Function::Times(number) },
                clamp,
            );
        }
        let channels = shape(self.network, index)?.channels;
        let vector = numbers.len() == channels && constant.shape.last() == Some(&channels);
        ensure!(vector, "its constant has the shape {:?}: one number or one a channel is supported", constant.shape);
        if sums && self.join_bias(index, &numbers, clamp) {
            self.values[output] = self.values[index].clone();
            return Ok(());
        }
        let factors = if sums { (vec![1.0; channels], numbers) } else { (numbers, vec![0.0; channels]) };
        let shaped = self.shaped(op, at)?;
        ensure!(self.graph.shape(shaped).channels == channels, "its constant does not fit");
        let name = self.network.tensors[output].name.to_owned();
        self.values[output] = Some(self.add_scaling(name, index, factors, clamp)?);
        Ok(())
    }

    fn add_with_number(&mut self, op: &Operator, index: usize, function: Function, fused: Clamp) -> Result<()> {
        let normalisation = self.inputs[index].filter(|_| fused == Clamp::None);
        if let Some(Normalisation { mean, std }) = normalisation {
            let changed = match function {
                Function::Times(number) => Normalisation { mean, std: std / f64::from(number) },
                Function::Plus(number) => Normalisation { mean: mean - f64::from(number) * std, std },
                _ => bail!("it is neither a sum nor a product"),
            };
            let output = self.output(op)?;
            (self.values[output], self.inputs[output]) = (self.values[index].clone(), Some(changed));
            return Ok(());
        }
        let at = op.inputs.iter().position(|&input| input == Some(index)).unwrap_or(0);
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
    pub(super) fn add_clamp(&mut self, op: &Operator, clamp: Clamp) -> Result<()> {
        let index = self.input(op, 0)?;
        if let Some((_, slot)) = self.layer_read_once(index)
            && *slot == Clamp::None
        {
            *slot = clamp;
            return self.pass_on(op);
        }
        self.chain(op, 0, Function::Clamp(clamp), Clamp::None)
    }

    /// Adds constants to the bias of the layer before them where nothing else reads that.
    fn join_bias(&mut self, index: usize, constants: &[f32], fused: Clamp) -> bool {
        match self.layer_read_once(index) {
            Some((Some(bias), clamp)) if *clamp == Clamp::None && bias.len() == constants.len() => {
                bias.iter_mut().zip(constants).for_each(|(bias, constant)| *bias += constant);
                *clamp = fused;
                true
            }
            _ => false,
        }
    }

    /// Bias, if any, and clamp of the node that makes a tensor of the network, which one operator reads and no other
    /// reads under another shape.
    fn layer_read_once(&mut self, index: usize) -> Option<(Option<&mut Vec<f32>>, &mut Clamp)> {
        let value = self.values[index].clone().filter(|value| value.functions.is_empty())?;
        let same = |tensor: &usize| self.values[*tensor].as_ref() == Some(&value);
        let aliases: Vec<usize> = (0..self.values.len()).filter(same).collect();
        let is_alias = |tensor: &usize| aliases.contains(tensor);
        // An operator that reads an alias and makes another changes nothing.
        let reads_of = |op: &&&Operator| op.inputs.iter().flatten().any(is_alias);
        let changes = |op: &&&Operator| !op.outputs.iter().any(is_alias);
        let reads = self.operators.iter().filter(reads_of).filter(changes).count();
        if reads != 1 || is_alias(&self.network.output) {
            return None;
        }
        match &mut self.graph.nodes.get_mut(value.tensor.checked_sub(1)?)?.op {
            FloatOp::Conv2d { bias, clamp, .. }
            | FloatOp::DepthwiseConv2d { bias, clamp, .. }
            | FloatOp::Dense { bias, clamp, .. } => Some((Some(bias), clamp)),
            FloatOp::Add { clamp } | FloatOp::Mul { clamp } => Some((None, clamp)),
            _ => None,
        }
    }

    /// A chain of pairs.
    pub(super) fn add_concatenation(&mut self, op: &Operator) -> Result<()> {
        ensure!(
            clamp(op.options.activation)? == Clamp::None,
            "a function is fused into it: make it an operator of its own"
        );
        let index = self.output(op)?;
        let rank = self.network.tensors[index].shape.len() as i64;
        let axis = i64::from(op.options.axis) + if op.options.axis < 0 { rank } else { 0 };
        let side = usize::try_from(axis + 3 - rank).ok().filter(|&side| side < 3);
        let side = side.with_context(|| format!("its axis {axis} is the batch or does not exist"))?;
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
        ensure!(self.graph.shape(whole) == shape(self.network, index)?, "its inputs do not make its output");
        self.values[index] = Some(Value { tensor: whole, functions: Vec::new() });
        Ok(())
    }
}
