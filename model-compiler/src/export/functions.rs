//! Sums and products, functions of one element, and softmax.

use no_std_infer::format::{Add, Clamp, Lookup, Mul, Softmax, Tensor};

use super::{Error, Exporter, Result, Value, four_sides, function, quantisation};
use crate::import::lower::{Table, function_table};
use crate::import::model::Options;
use crate::import::tflite::tflite::{
    AddOptions, BuiltinOperator, BuiltinOptions, MulOptions, SoftmaxOptions, TensorType,
};
use crate::quantise::{Quantisation, add_multipliers, multiplier, product_factor, softmax_parameters_of_step};

/// Operators of TensorFlow Lite that are a function of one element.
const FUNCTIONS: [BuiltinOperator; 7] = [
    BuiltinOperator::Logistic,
    BuiltinOperator::Tanh,
    BuiltinOperator::HardSwish,
    BuiltinOperator::Relu,
    BuiltinOperator::Relu6,
    BuiltinOperator::ReluN1To1,
    BuiltinOperator::Quantize,
];

/// How many scales of a softmax's input are tried on either side of the blob's, as floats follow each other. About one in a hundred
/// gives a multiplier of 31 bits, times a beta of 24.
const SCALES: i32 = 2000;

impl Exporter<'_> {
    pub(super) fn add_sum(&mut self, op: &Add, name: &str) -> Result<()> {
        let ([a, b], shape) = self.operands([&op.a, &op.b], &op.output)?;
        let scales = add_multipliers(a.quantisation.scale, b.quantisation.scale, op.output.scale);
        if scales.ok() != Some([op.a_multiplier, op.b_multiplier, op.output_multiplier]) {
            return Err(Error::Multiplier);
        }
        let fused_activation_function = function(op.activation, &op.output)?;
        let options = BuiltinOptions::AddOptions(Box::new(AddOptions { fused_activation_function }));
        self.push((name, &op.output, shape), BuiltinOperator::Add, &[a.index, b.index], Some(options));
        Ok(())
    }

    pub(super) fn add_product(&mut self, op: &Mul, name: &str) -> Result<()> {
        let ([a, b], shape) = self.operands([&op.a, &op.b], &op.output)?;
        let factor = product_factor(a.quantisation.scale, b.quantisation.scale, op.output.scale);
        if multiplier(factor) != Some(op.multiplier) {
            return Err(Error::Multiplier);
        }
        let fused_activation_function = function(op.activation, &op.output)?;
        let options = BuiltinOptions::MulOptions(Box::new(MulOptions { fused_activation_function }));
        self.push((name, &op.output, shape), BuiltinOperator::Mul, &[a.index, b.index], Some(options));
        Ok(())
    }

    /// Two operands and the sides of what is made of them.
    fn operands(&mut self, [a, b]: [&Tensor; 2], output: &Tensor) -> Result<([Value; 2], Vec<i32>)> {
        let found = [self.find(a)?, self.find(b)?];
        if found[0].shape == found[1].shape {
            let shape = found[0].shape.clone();
            return Ok((found, shape));
        }
        Ok(([self.find_with_four_sides(a)?, self.find_with_four_sides(b)?], four_sides(output)))
    }

    pub(super) fn add_clamp(&mut self, op: &Clamp, name: &str) -> Result<()> {
        let clamped = |index| (index as i32 - 128).clamp(op.activation.min.into(), op.activation.max.into()) as i8;
        self.add_function([&op.input, &op.output], &std::array::from_fn(clamped), name)
    }

    pub(super) fn add_lookup(&mut self, op: &Lookup, name: &str) -> Result<()> {
        let table = &self.section[op.table as usize..][..256];
        let table = std::array::from_fn(|index| table[index] as i8);
        self.add_function([&op.input, &op.output], &table, name)
    }

    /// A function by its outputs for −128..=127: the operator that has these, or else a GATHER from the table.
    fn add_function(&mut self, [input, output]: [&Tensor; 2], table: &Table, name: &str) -> Result<()> {
        let input = self.find(input)?;
        let has = |code: &BuiltinOperator| {
            function_table(*code, &Options::default(), input.quantisation, quantisation(output))
                .is_ok_and(|made| made == *table)
        };
        let output = (name, output, input.shape.clone());
        match FUNCTIONS.into_iter().find(has) {
            Some(code) => self.push(output, code, &[input.index], None),
            None => self.add_gather(output, &input, table),
        }
        Ok(())
    }

    fn add_gather(&mut self, output: (&str, &Tensor, Vec<i32>), input: &Value, table: &Table) {
        let (name, tensor, shape) = &output;
        let places = ["value", "place"]
            .map(|what| self.writer.tensor(&format!("{name}: {what}"), shape, TensorType::Int32, None));
        let first = self.integers(&format!("{name}: 128"), &[128]);
        let values = self.writer.int8(&format!("{name}: table"), &[256], tensor.scale, tensor.zero_point.into());
        self.writer.fill(values, table.iter().map(|&value| value as u8).collect());
        self.notes.push(format!(
            "{name}: no function of TensorFlow Lite has its table, so it is a CAST, an ADD and a GATHER; `import` does not read \
             these back"
        ));
        let options = BuiltinOptions::AddOptions(Box::default());
        self.writer.op(BuiltinOperator::Cast, &[input.index], places[0], None);
        self.writer.op(BuiltinOperator::Add, &[places[0], first], places[1], Some(options));
        self.push(output, BuiltinOperator::Gather, &[values, places[1]], None);
    }

    pub(super) fn add_softmax(&mut self, op: &Softmax, name: &str) -> Result<()> {
        let mut input = self.find(&op.input)?;
        let (scale, beta) = softmax_scales(op, input.quantisation.scale).ok_or(Error::Softmax)?;
        if scale != input.quantisation.scale {
            self.notes.push(format!(
                "{name}: reads its input by a RESHAPE with the scale {scale}, with which the temperature is exact"
            ));
            let shape = input.shape.clone();
            input = self.reshaped(&input, shape, Quantisation { scale, ..input.quantisation });
        }
        let options = BuiltinOptions::SoftmaxOptions(Box::new(SoftmaxOptions { beta }));
        self.push((name, &op.output, input.shape), BuiltinOperator::Softmax, &[input.index], Some(options));
        Ok(())
    }
}

/// The scale of its input that is nearest to `scale`, and beta, from which a softmax's parameters follow.
fn softmax_scales(op: &Softmax, scale: f32) -> Option<(f32, f32)> {
    let wanted = Some((op.multiplier, op.diff_min));
    let gives = |scale: f32, beta: f32| softmax_parameters_of_step(f64::from(beta) * f64::from(scale)) == wanted;
    if gives(scale, 1.0) {
        return Some((scale, 1.0));
    }
    let step = f64::from(op.multiplier.mantissa) * 2.0_f64.powi(i32::from(op.multiplier.shift) - 31 - 26);
    let nearby = (0..=SCALES).flat_map(|steps| [steps, -steps]);
    let scales = nearby.map(|steps| f32::from_bits(scale.to_bits().wrapping_add_signed(steps)));
    let scales = scales.filter(|scale| scale.is_finite() && *scale > 0.0);
    let found = scales.map(|scale| (scale, (step / f64::from(scale)) as f32));
    found.filter(|(_, beta)| beta.is_finite()).find(|&(scale, beta)| gives(scale, beta))
}
