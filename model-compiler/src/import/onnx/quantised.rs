//! Models between QuantizeLinear and DequantizeLinear: their scales become those of int8 tensors.

use super::constant::{Constant, Data, Steps, element};
use super::file::Node;
use super::translate::{Activation, Translation, Value};
use crate::import::Result;
use crate::import::model::{BuiltinOperator, Operator, Options, Quantisation};

/// Largest relative difference of a bias's scale from that of its layer's sums.
const BIAS_SCALE_TOLERANCE: f64 = 1e-5;

/// Largest relative difference of a probability's scale from 1/256.
const PROBABILITY_TOLERANCE: f32 = 0.01;

/// Scale and zero point of a QuantizeLinear or DequantizeLinear of an activation, as an int8 tensor has them.
fn steps(translation: &mut Translation<'_>, node: &Node) -> Result<Quantisation> {
    let scale = translation.needed(node, 1)?;
    let zero_point = translation.constant(node, 2)?;
    let scales = scale.reals();
    let [scale] = scales[..] else {
        return Err(refused!(Unsupported, "it has {} scales: an activation has one", scales.len()));
    };
    let kind = zero_point.as_ref().map_or(element::UINT8, |zero_point| zero_point.element);
    let zero_point = match &zero_point {
        Some(constant) => constant.whole()?.first().copied().unwrap_or(0),
        None => 0,
    };
    let zero_point = match kind {
        element::INT8 => zero_point,
        element::UINT8 => zero_point.saturating_sub(128),
        other => {
            return Err(refused!(
                Unsupported,
                "it quantises to ONNX's type {other}: only INT8 and UINT8 activations are supported"
            ));
        }
    };
    Ok(Quantisation { scales: vec![scale], zero_points: vec![zero_point], axis: 0 })
}

/// How a name is quantised where a QuantizeLinear alone reads it.
pub(super) fn asked(translation: &mut Translation<'_>, name: &str) -> Result<Option<Quantisation>> {
    match translation.only_reader(name) {
        Some(node) if node.kind == "QuantizeLinear" => steps(translation, node).map(Some),
        _ => Ok(None),
    }
}

/// Scales and zero points of a constant of 8 bits, and what its integers are taken less.
///
/// # Errors
/// When it has none, or is of another type.
pub(super) fn of_constant(constant: &Constant) -> Result<(Quantisation, i64)> {
    let Some(Steps { scales, zero_points, axis }) = constant.steps.clone() else {
        return Err(refused!(
            Unsupported,
            "a constant of a quantised layer is not quantised: quantise the whole model"
        ));
    };
    let offset = match constant.element {
        element::INT8 => 0,
        element::UINT8 => 128,
        other => return Err(refused!(Unsupported, "a constant is of ONNX's type {other}, not INT8 or UINT8")),
    };
    let zero_points = zero_points.iter().map(|zero_point| zero_point - offset).collect();
    Ok((Quantisation { scales, zero_points, axis }, offset))
}

/// The weight 1.
pub(super) fn one() -> Constant {
    let steps = Some(Steps { scales: vec![1.0], zero_points: vec![0], axis: 0 });
    Constant { steps, element: element::INT8, ..Constant::integers(vec![1], vec![1]) }
}

/// The steps in which LiteRT makes what lies from 0 to 1, or from −1 to 1.
pub(super) fn of_range(both: bool) -> Quantisation {
    let (scale, zero_point) = if both { (1.0 / 128.0, 0) } else { (1.0 / 256.0, -128) };
    Quantisation { scales: vec![scale], zero_points: vec![zero_point], axis: 0 }
}

/// A constant's integers with what they stand for.
pub(super) fn constant(node: &Node, inputs: &[&Constant]) -> Result<Constant> {
    let [values, scale, rest @ ..] = inputs else {
        return Err(refused!(Damaged, "it has no scale: the file is damaged"));
    };
    ensure!(
        node.integer("block_size", 0) == 0,
        Unsupported,
        "its scales are those of blocks: only one a channel is supported"
    );
    let scales = scale.reals();
    let zero_points = match rest.first() {
        Some(zero_points) => zero_points.whole()?.to_vec(),
        None => vec![0; scales.len()],
    };
    let axis = if scales.len() > 1 { super::moves::side(node.integer("axis", 1), values.dims.len())? } else { 0 };
    ensure!(
        matches!(values.data, Data::Integers(_)) && zero_points.len() == scales.len(),
        Damaged,
        "its {} zero points do not fit {} scales",
        zero_points.len(),
        scales.len()
    );
    ensure!(
        scales.len() == 1 || values.dims.get(axis).is_some_and(|&side| side == scales.len() && side > 0),
        Damaged,
        "its {} scales do not fit {:?}",
        scales.len(),
        values.dims
    );
    ensure!(
        zero_points.iter().all(|zero_point| zero_point.unsigned_abs() <= 1 << 31),
        OutOfRange,
        "a zero point does not fit 32 bits"
    );
    Ok(Constant { steps: Some(Steps { scales, zero_points, axis }), ..Constant::clone(values) })
}

/// A layer's bias in steps of its sums.
///
/// # Errors
/// When it does not fit 32 bits.
pub(super) fn bias(
    input: &Quantisation,
    weights: &Constant,
    bias: &Constant,
    outputs: usize,
    factor: f32,
) -> Result<Vec<i32>> {
    let (weights, _) = of_constant(weights)?;
    let step = |at: usize| {
        let weight = weights.scales.get(at).or(weights.scales.first()).copied().unwrap_or(0.0);
        f64::from(input.scales.first().copied().unwrap_or(0.0)) * f64::from(weight)
    };
    let reals = bias.reals();
    let own = |at: usize| {
        let (Data::Integers(values), Some(steps)) = (&bias.data, &bias.steps) else { return None };
        let scale = f64::from(*steps.scales.get(at).or(steps.scales.first())?);
        let same = (scale - step(at)).abs() <= BIAS_SCALE_TOLERANCE * scale && factor == 1.0;
        let zero = *steps.zero_points.get(at).or(steps.zero_points.first())?;
        values.get(at).filter(|_| same && values.len() == outputs).map(|value| value.saturating_sub(zero))
    };
    let integer = |at: usize| {
        let real = f64::from(factor) * f64::from(reals[if reals.len() == 1 { 0 } else { at }]);
        let steps = own(at).map_or_else(|| (real / step(at)).round(), |steps| steps as f64);
        (steps.abs() < f64::from(i32::MAX)).then_some(steps as i32)
    };
    let integers = (0..outputs).map(integer).collect::<Option<Vec<_>>>();
    integers.ok_or_else(|| refused!(OutOfRange, "its bias does not fit 32 bits in steps of its sums"))
}

/// A tensor in other steps.
pub(super) fn requantised(
    translation: &mut Translation<'_>,
    tensor: usize,
    to: &Quantisation,
    name: &str,
) -> Result<usize> {
    if translation.built.quantisation(tensor) == Some(to) {
        return Ok(tensor);
    }
    let sides = translation.built.sides(tensor);
    let made = translation.built.tensor(name, sides, Some(to.clone()));
    let code = (BuiltinOperator::Quantize, "QuantizeLinear");
    translation.built.operator(code, &[Some(tensor)], made, Options::default())?;
    Ok(made)
}

/// Whether a tensor is a probability in LiteRT's steps of 1/256 which are asked for in nearly these: ONNX Runtime takes 1/255.
fn is_probability(translation: &Translation<'_>, tensor: usize, asked: &Quantisation) -> bool {
    let codes = [BuiltinOperator::Softmax, BuiltinOperator::Logistic];
    let makes = |op: &&Operator| op.outputs.contains(&tensor);
    let near = |scale: &f32| (scale - 1.0 / 256.0).abs() <= PROBABILITY_TOLERANCE / 256.0;
    translation.built.operators.last().filter(makes).is_some_and(|op| codes.contains(&op.code))
        && asked.scales.iter().all(near)
        && translation.built.quantisation(tensor).is_some_and(|own| own.zero_points == asked.zero_points)
}

/// What a QuantizeLinear makes: its input where that has its steps already.
pub(super) fn quantise(translation: &mut Translation<'_>, node: &Node) -> Result<()> {
    let (Activation { tensor, view }, to) = (translation.activation(node, 0)?, steps(translation, node)?);
    if is_probability(translation, tensor, &to) {
        return translation.set(node.output(), Value::Activation(Activation { tensor, view }));
    }
    let tensor = requantised(translation, tensor, &to, node.output())?;
    translation.set(node.output(), Value::Activation(Activation { tensor, view }))
}

/// What a DequantizeLinear makes: in int8 arithmetic its input.
pub(super) fn dequantise(translation: &mut Translation<'_>, node: &Node) -> Result<()> {
    let (Activation { tensor, view }, from) = (translation.activation(node, 0)?, steps(translation, node)?);
    ensure!(
        translation.built.quantisation(tensor) == Some(&from) || is_probability(translation, tensor, &from),
        Unsupported,
        "it takes its input in other steps than it was quantised in"
    );
    translation.set(node.output(), Value::Activation(Activation { tensor, view }))
}

/// The output in floats, as the file has it.
pub(super) fn dequantised(translation: &mut Translation<'_>, tensor: usize) -> Result<usize> {
    if translation.built.quantisation(tensor).is_none() {
        return Ok(tensor);
    }
    let (name, sides) = (translation.file.output.clone(), translation.built.sides(tensor));
    let made = translation.built.tensor(&name, sides, None);
    let code = (BuiltinOperator::Dequantize, "DequantizeLinear");
    translation.built.operator(code, &[Some(tensor)], made, Options::default())?;
    Ok(made)
}
