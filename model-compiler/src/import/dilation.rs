//! Dilated convolutions that the exporter writes as three operators: SPACE_TO_BATCH_ND, a convolution over every pixel
//! class by itself, and BATCH_TO_SPACE_ND. They compute the same sums as one convolution with distant taps.

use super::Result;
use super::model::{BuiltinOperator, Network, Operator};

/// Joins such operators wherever they stand. What does not fit the pattern stays as it is, to be refused by its name.
pub fn join(network: &mut Network<'_>) {
    for at in 0..network.operators.len() {
        if network.operators[at].code == BuiltinOperator::SpaceToBatchNd {
            // An operator that is damaged is told where it is translated.
            if let Ok(Some(joined)) = joined(network, at) {
                joined.apply(network);
            }
        }
    }
}

/// A convolution as it is after joining.
struct Joined {
    /// The three operators' places.
    places: [usize; 3],
    input: usize,
    output: usize,
    dilation: [i32; 2],
    border: [[i32; 2]; 2],
}

impl Joined {
    fn apply(self, network: &mut Network<'_>) {
        let [space_to_batch, convolution, batch_to_space] = self.places;
        for at in [space_to_batch, batch_to_space] {
            network.operators[at].inputs.clear();
            network.operators[at].outputs.clear();
        }
        let convolution = &mut network.operators[convolution];
        convolution.inputs[0] = Some(self.input);
        convolution.outputs = vec![self.output];
        convolution.options.dilation = self.dilation;
        convolution.options.border = self.border;
    }
}

fn joined(network: &Network<'_>, at: usize) -> Result<Option<Joined>> {
    let space_to_batch = &network.operators[at];
    let Some(convolution) = only_reader(network, space_to_batch) else { return Ok(None) };
    let Some(batch_to_space) = only_reader(network, &network.operators[convolution]) else { return Ok(None) };
    let options = &network.operators[convolution].options;
    let plain = !options.same && options.stride == [1, 1] && options.dilation == [1, 1];
    let codes = [convolution, batch_to_space].map(|at| network.operators[at].code);
    let convolves = matches!(codes[0], BuiltinOperator::Conv2d | BuiltinOperator::DepthwiseConv2d);
    if !(plain && convolves && codes[1] == BuiltinOperator::BatchToSpaceNd) {
        return Ok(None);
    }
    let blocks = [at, batch_to_space].map(|at| integers(network, at, 1));
    let [paddings, crops] = [at, batch_to_space].map(|at| integers(network, at, 2));
    let ([Ok(block), Ok(same_block)], paddings, crops) = (blocks, paddings?, crops?) else { return Ok(None) };
    let ([vertical, horizontal], [top, bottom, left, right]) = (&block[..], &paddings[..]) else { return Ok(None) };
    let [0, crop_bottom, 0, crop_right] = crops[..] else { return Ok(None) };
    let (input, output) = (input(space_to_batch, 0)?, network.operators[batch_to_space].outputs[0]);
    let between = [input, space_to_batch.outputs[0]].map(|tensor| &network.tensors[tensor].quantisation);
    let after = [network.operators[convolution].outputs[0], output].map(|tensor| &network.tensors[tensor].quantisation);
    let unchanged = between[0] == between[1] && after[0] == after[1];
    let in_range = block.iter().chain(&paddings).chain(&crops).all(|value| (0..1 << 16).contains(value));
    Ok((block == same_block && unchanged && in_range).then(|| Joined {
        places: [at, convolution, batch_to_space],
        input,
        output,
        dilation: [*vertical, *horizontal],
        border: [[*top, *left], [bottom - crop_bottom, right - crop_right]],
    }))
}

/// The place of the one operator that reads what `operator` makes, as its first input, where nothing else needs that.
fn only_reader(network: &Network<'_>, operator: &Operator) -> Option<usize> {
    let [made] = operator.outputs[..] else { return None };
    let mut readers = network.operators.iter().filter(|op| op.inputs.contains(&Some(made)));
    let reader = readers.next().filter(|op| op.inputs.first() == Some(&Some(made)) && op.outputs.len() == 1)?;
    (readers.next().is_none() && network.output != made).then_some(reader.index)
}

fn input(operator: &Operator, at: usize) -> Result<usize> {
    operator.inputs.get(at).copied().flatten().ok_or_else(|| refused!(Damaged, "it has no input {at}"))
}

fn integers(network: &Network<'_>, operator: usize, at: usize) -> Result<Vec<i32>> {
    network.tensors[input(&network.operators[operator], at)?].integers()
}
