//! Weights of half precision, which the converter's float16 quantisation puts before a DEQUANTIZE.

use super::model::{BuiltinOperator, Network, TensorType};

/// Lets operators read FLOAT16 constants themselves, in place of what a DEQUANTIZE makes of them.
pub fn join(network: &mut Network<'_>) {
    for at in 0..network.operators.len() {
        let op = &network.operators[at];
        let ([Some(source)], &[output]) = (&op.inputs[..], &op.outputs[..]) else { continue };
        let (source, tensor) = (*source, &network.tensors[*source]);
        let constant = tensor.element == TensorType::Float16 && tensor.data.is_some();
        if op.code != BuiltinOperator::Dequantize || !constant || output == network.output {
            continue;
        }
        network.operators[at].inputs.clear();
        network.operators[at].outputs.clear();
        let inputs = network.operators.iter_mut().flat_map(|op| &mut op.inputs).flatten();
        inputs.filter(|input| **input == output).for_each(|input| *input = source);
    }
}
