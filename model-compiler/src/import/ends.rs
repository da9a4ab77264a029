//! What a model begins and ends with: one input, and one of its outputs, before which some operators are left to the caller.

use super::model::{ActivationFunctionType, BuiltinOperator, Network};
use super::{Error, Result};

/// What is said about a model of several inputs, or of none.
pub fn several_inputs(inputs: usize) -> Error {
    refused!(
        Unsupported,
        "the model has {inputs} inputs, and only one is supported: export it with one input, and split that in the model"
    )
}

/// Which of a model's outputs is wanted: the only one, or the one of a name.
///
/// # Errors
/// When no name tells, or none of the outputs has it; says which there are.
pub fn chosen(outputs: &[&str], wanted: Option<&str>) -> Result<usize> {
    let mut fitting = (0..outputs.len()).filter(|&at| wanted.is_none_or(|wanted| outputs[at] == wanted));
    match (fitting.next(), fitting.next(), wanted) {
        (Some(at), None, _) => Ok(at),
        (None, _, None) => Err(refused!(Unsupported, "the model has no output")),
        (Some(_), Some(_), None) => Err(refused!(
            Unsupported,
            "the model has {} outputs, {}: choose one (--output NAME), and what only the others need is left out",
            outputs.len(),
            outputs.join(", ")
        )),
        (Some(_), Some(_), Some(wanted)) => Err(refused!(Unsupported, "the model has several outputs {wanted}")),
        (None, _, Some(wanted)) => {
            Err(refused!(Settings, "the model has no output {wanted}, but {}: choose one of these", outputs.join(", ")))
        }
    }
}

/// What the caller does where a last operator is left out that chooses among the outputs.
pub const LARGEST: &str = "left out; the class is the place of the largest output";

/// Leaves a last operator out whose outputs are no int8 numbers, or that only makes a vector as long as 1: what it reads is the
/// model's output.
pub fn leave_out(network: &mut Network<'_>) {
    let made = |op: &&super::model::Operator| op.outputs == [network.output];
    let Some(last) = network.operators.iter().rev().find(made) else { return };
    let told = match last.code {
        BuiltinOperator::ArgMax => LARGEST,
        BuiltinOperator::L2Normalization if last.options.activation == ActivationFunctionType::None => {
            "left out; the caller divides the output by its length, the root of the sum of its squares"
        }
        _ => return,
    };
    if let Some(&Some(input)) = last.inputs.first() {
        network.changes.push(format!("{}: {told}", network.tensors[network.output].name));
        network.output = input;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_output_is_chosen() {
        let of = |outputs: &[&str], wanted| chosen(outputs, wanted).map_err(|error| error.to_string());
        assert_eq!(of(&["a"], None), Ok(0));
        assert_eq!(of(&["a", "b"], Some("b")), Ok(1));
        assert!(of(&[], None).is_err());
        assert!(of(&["a", "b"], None).is_err_and(|text| text.contains("2 outputs, a, b") && text.contains("--output")));
        assert!(of(&["a", "b"], Some("c")).is_err_and(|text| text.contains("no output c, but a, b")));
        assert!(of(&["a", "a"], Some("a")).is_err());
    }
}
