//! Zeros around a tensor: a PAD is joined to the convolutions and poolings that read it, where that changes no number.

use super::Result;
use super::model::{ActivationFunctionType, BuiltinOperator, Network, Operator, TensorType};

/// What a padding adds to a tensor's height, width and channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Borders {
    /// Above, to the left, and before the first channel.
    pub before: [usize; 3],
    /// Below, to the right, and after the last channel.
    pub after: [usize; 3],
}

impl Borders {
    /// Those of a PAD or PADV2.
    ///
    /// # Errors
    /// When they are not constant, negative, at the batch, or do not make the output's shape.
    pub fn of(network: &Network<'_>, op: &Operator) -> Result<Self> {
        let (input, output) = ends(op)?;
        let index = op
            .inputs
            .get(1)
            .copied()
            .flatten()
            .ok_or_else(|| refused!(Damaged, "it has no borders: the file is damaged"))?;
        let values = network.tensors[index].integers()?;
        let rank = network.tensors[input].shape.len();
        ensure!(values.len() == 2 * rank, Damaged, "it has {} borders for {rank} sides", values.len());
        let mut borders = Self { before: [0; 3], after: [0; 3] };
        for (at, pair) in values.chunks_exact(2).rev().enumerate() {
            let &[before, after] = pair else { continue };
            let widths = usize::try_from(before).ok().zip(usize::try_from(after).ok());
            let (before, after) = widths.ok_or_else(|| refused!(Damaged, "a border is negative"))?;
            match 2_usize.checked_sub(at) {
                Some(side) => (borders.before[side], borders.after[side]) = (before, after),
                None => ensure!(before == 0 && after == 0, Unsupported, "it pads the batch"),
            }
        }
        let (inner, outer) = (network.tensors[input].sides()?, network.tensors[output].sides()?);
        let fits = (0..3).all(|at| borders.before[at] + inner[at] + borders.after[at] == outer[at]);
        ensure!(fits, Damaged, "{inner:?} and its borders do not make {outer:?}: the file is damaged");
        Ok(borders)
    }
}

/// Joins paddings wherever all that read one can take it in. What cannot be joined stays, to be translated or refused.
pub fn join(network: &mut Network<'_>) {
    for at in 0..network.operators.len() {
        // An operator that is damaged is told where it is translated.
        if matches!(network.operators[at].code, BuiltinOperator::Pad | BuiltinOperator::Padv2)
            && let Ok(Some(joined)) = joined(network, at)
        {
            joined.apply(network, at);
        }
    }
}

/// A padding of height and width that all its readers can take in.
struct Joined {
    input: usize,
    output: usize,
    borders: Borders,
    readers: Vec<usize>,
}

impl Joined {
    fn apply(&self, network: &mut Network<'_>, at: usize) {
        network.operators[at].inputs.clear();
        network.operators[at].outputs.clear();
        for &reader in &self.readers {
            let reader = &mut network.operators[reader];
            reader.inputs[0] = Some(self.input);
            reader.options.border = self.widened(reader.options.border);
        }
        network.changes.push(format!("{}: joined to what reads it", network.tensors[self.output].name));
    }

    /// A border of an operator and the padding's around it.
    fn widened(&self, border: [[i32; 2]; 2]) -> [[i32; 2]; 2] {
        // Borders are not above the window's reach, which window_axis checks to fit 16 bits.
        let add = |own: [i32; 2], added: [usize; 3]| [0, 1].map(|at| own[at].saturating_add(added[at] as i32));
        [add(border[0], self.borders.before), add(border[1], self.borders.after)]
    }

    /// Whether a window can take the zeros in: it never lies in them alone, and they count as they did.
    fn fits(&self, network: &Network<'_>, reader: &Operator) -> bool {
        let first_input_only = reader.inputs.iter().filter(|&&tensor| tensor == Some(self.output)).count() == 1
            && reader.inputs.first() == Some(&Some(self.output));
        let kernel = match reader.code {
            BuiltinOperator::Conv2d | BuiltinOperator::DepthwiseConv2d => {
                let weights =
                    reader.inputs.get(1).copied().flatten().map(|tensor| network.tensors[tensor].shape.as_slice());
                if let Some(&[_, height, width, _]) = weights { [height, width] } else { return false }
            }
            // Zeros never win over what is not negative.
            BuiltinOperator::MaxPool2d if is_rectified(network, self.input) => reader.options.filter.map(number),
            _ => return false,
        };
        let outputs = reader.outputs.first().and_then(|&output| network.tensors[output].sides().ok());
        let (Some(outputs), Ok(inner)) = (outputs, network.tensors[self.input].sides()) else { return false };
        let [before, after] = self.widened(reader.options.border).map(|widths| widths.map(number));
        let axis = |at: usize| {
            let [stride, dilation] = [reader.options.stride[at], reader.options.dilation[at]].map(number);
            let reach = kernel[at].saturating_sub(1).saturating_mul(dilation);
            before[at] <= reach
                && after[at] <= u16::MAX.into()
                && (outputs[at] - 1).saturating_mul(stride) < inner[at] + before[at]
        };
        first_input_only && !reader.options.same && axis(0) && axis(1)
    }
}

/// 0 for negative numbers, which are told of where the operator is translated.
fn number(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}

fn ends(op: &Operator) -> Result<(usize, usize)> {
    let input = op
        .inputs
        .first()
        .copied()
        .flatten()
        .ok_or_else(|| refused!(Damaged, "it has no input: the file is damaged"))?;
    Ok((input, op.outputs.first().copied().ok_or_else(|| refused!(Damaged, "it has no output: the file is damaged"))?))
}

fn joined(network: &Network<'_>, at: usize) -> Result<Option<Joined>> {
    let op = &network.operators[at];
    let borders = Borders::of(network, op)?;
    let (input, output) = ends(op)?;
    let [source, padded] = [input, output].map(|tensor| &network.tensors[tensor]);
    let alike = source.element == padded.element && source.quantisation == padded.quantisation;
    let known = matches!(source.element, TensorType::Int8 | TensorType::Float32);
    let planar = borders.before[2] == 0 && borders.after[2] == 0;
    if !(alike && known && planar && pads_with_zero(network, op, output) && output != network.output) {
        return Ok(None);
    }
    let reads = |op: &&Operator| op.inputs.contains(&Some(output));
    let readers: Vec<usize> = network.operators.iter().filter(reads).map(|op| op.index).collect();
    let joined = Joined { input, output, borders, readers };
    let fits = joined.readers.iter().all(|&reader| joined.fits(network, &network.operators[reader]));
    Ok((fits && !joined.readers.is_empty()).then_some(joined))
}

fn pads_with_zero(network: &Network<'_>, op: &Operator, output: usize) -> bool {
    if op.code == BuiltinOperator::Pad {
        return true;
    }
    let Some(value) = op.inputs.get(2).copied().flatten().map(|tensor| &network.tensors[tensor]) else { return false };
    let padded = &network.tensors[output];
    match (value.element, value.data) {
        (TensorType::Int8, Some(&[value_byte])) => {
            let zero_point = padded.quantisation.zero_points.first().copied().unwrap_or(0);
            value.quantisation == padded.quantisation && i64::from(value_byte as i8) == zero_point
        }
        (TensorType::Float32, _) => value.reals().is_ok_and(|values| values == [0.0]),
        _ => false,
    }
}

/// True when the operator that makes the tensor leaves no negative number.
fn is_rectified(network: &Network<'_>, tensor: usize) -> bool {
    use ActivationFunctionType as Function;
    let mut makers = network.operators.iter().filter(|op| op.outputs.contains(&tensor));
    let rectifies = |op: &Operator| {
        matches!(op.code, BuiltinOperator::Relu | BuiltinOperator::Relu6)
            || matches!(op.options.activation, Function::Relu | Function::Relu6)
    };
    makers.next().is_some_and(rectifies)
}

#[cfg(test)]
mod tests {
    use super::super::model::{Options, Tensor};
    use super::*;

    /// `first`, a PAD by one row above and one column to the left, and `last` with a window of 2 x 2 and a stride of 2.
    fn network(first: BuiltinOperator, last: BuiltinOperator, borders: &[u8]) -> Network<'_> {
        let tensor = |shape: &[usize], element, data| {
            let (name, quantisation) = ("tensor", Default::default());
            Tensor { name, element, shape: shape.to_vec(), dynamic: false, variable: false, quantisation, data }
        };
        let real = |shape: &[usize]| tensor(shape, TensorType::Float32, None);
        let op = |index, code, inputs: &[usize], output| Operator {
            index,
            code,
            kind: String::new(),
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: vec![output],
            options: Options { stride: [2; 2], filter: [2; 2], ..Options::default() },
        };
        let tensors = vec![
            real(&[1, 3, 3, 1]),
            real(&[1, 3, 3, 1]),
            tensor(&[4, 2], TensorType::Int32, Some(borders)),
            real(&[1, 4, 4, 1]),
            real(&[1, 2, 2, 1]),
            real(&[1, 2, 2, 1]),
        ];
        let inputs: &[usize] = if last == BuiltinOperator::Conv2d { &[3, 5] } else { &[3] };
        let operators = vec![op(0, first, &[0], 1), op(1, BuiltinOperator::Pad, &[1, 2], 3), op(2, last, inputs, 4)];
        Network { tensors, operators, input: 0, output: 4, changes: Vec::new() }
    }

    fn bytes(borders: [i32; 8]) -> Vec<u8> {
        borders.iter().flat_map(|width| width.to_le_bytes()).collect()
    }

    #[test]
    fn zeros_join_where_they_count_as_they_did() {
        use BuiltinOperator as Code;
        let borders = bytes([0, 0, 1, 0, 1, 0, 0, 0]);
        for (first, last, joins) in [
            (Code::Tanh, Code::Conv2d, true),
            (Code::Relu, Code::MaxPool2d, true),
            (Code::Tanh, Code::MaxPool2d, false),
            (Code::Relu, Code::AveragePool2d, false),
        ] {
            let mut network = network(first, last, &borders);
            join(&mut network);
            let reader = &network.operators[2];
            let expected = if joins { (Some(1), [[1, 1], [0, 0]]) } else { (Some(3), [[0; 2]; 2]) };
            assert_eq!((reader.inputs[0], reader.options.border), expected, "{first:?} {last:?}");
            assert_eq!((network.operators[1].outputs.is_empty(), network.changes.len()), (joins, usize::from(joins)));
        }
    }

    #[test]
    fn what_a_window_cannot_take_in_stays() {
        for (borders, shape) in [
            // Two rows above a window of two: it would lie in zeros alone.
            ([0, 0, 2, 0, 1, 0, 0, 0], [1, 5, 4, 1]),
            // Zeros between the channels.
            ([0, 0, 1, 0, 1, 0, 1, 0], [1, 4, 4, 2]),
            // Borders that do not make the output.
            ([0, 0, 1, 0, 1, 0, 0, 0], [1, 4, 5, 1]),
        ] {
            let borders = bytes(borders);
            let mut network = network(BuiltinOperator::Relu, BuiltinOperator::Conv2d, &borders);
            network.tensors[3].shape = shape.to_vec();
            join(&mut network);
            assert!(network.changes.is_empty() && network.operators[2].inputs[0] == Some(3), "{shape:?}");
        }
    }
}
