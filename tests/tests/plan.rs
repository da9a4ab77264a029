//! The memory plan by shadow memory: every byte that an operator reads is the one that its producer wrote last.

use no_std_infer::Model;
use no_std_infer::format::Tensor;
use no_std_infer::golden::self_test;
use no_std_infer::kernels::{Armv7em, Generic};
use tests::networks::{Network, preset, random};
use tests::{Reference, outputs};

use model_compiler::aligned::Aligned;
use model_training::config::Preset;

/// Who wrote a byte of the arena last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    Nobody,
    Input,
    Op(usize),
    Scratch(usize),
}

/// Replays the plan and compares writers with the float graph's edges, which know nothing of offsets. What an operator
/// does to its own input is the kernels' business. Gives the number of outputs that lie over an input, but not in its place.
fn check(network: &Network) -> usize {
    let model = Model::parse(&network.blob).expect("emit checks the blob");
    let mut shadow = vec![Writer::Nobody; model.arena_len()];
    shadow[model.info().input.tensor.range()].fill(Writer::Input);
    let producer = |tensor: usize| if tensor == 0 { Writer::Input } else { Writer::Op(tensor - 1) };
    let mut over = 0;
    for (index, op) in model.ops().enumerate() {
        let last = [index];
        let sources = network.graph.nodes.get(index).map_or(&last[..], |node| &node.inputs[..]);
        let inputs = op.inputs();
        let start = op.scratch_offset() as usize;
        shadow[start..start + op.scratch_len() as usize].fill(Writer::Scratch(index));
        assert_eq!(inputs.clone().count(), sources.len(), "operator {index}");
        for (tensor, &source) in inputs.zip(sources) {
            let writers = &shadow[tensor.range()];
            assert!(writers.iter().all(|&writer| writer == producer(source)), "operator {index} reads {writers:?}");
        }
        let moved = |input: &Tensor| input.overlaps(op.output()) && input.offset != op.output().offset;
        over += usize::from(op.inputs().any(moved));
        shadow[op.output().range()].fill(Writer::Op(index));
    }
    let logits = &shadow[model.info().logits.range()];
    assert!(logits.iter().all(|&writer| writer == Writer::Op(network.graph.nodes.len() - 1)), "{logits:?}");
    over
}

fn runs_alike(network: &Network) {
    let model = Model::parse(&network.blob).expect("emit checks the blob");
    let mut arena = Aligned::new(model.arena_len());
    self_test(&model, &mut arena).expect("the golden vector was made by this engine");
    for input in &network.inputs {
        let expected = outputs::<Reference>(&model, input);
        assert_eq!(outputs::<Generic>(&model, input), expected);
        assert_eq!(outputs::<Armv7em>(&model, input), expected);
    }
}

#[test]
fn presets() {
    for name in [Preset::Shallow, Preset::Resnet8, Preset::Mobilenet, Preset::Mobilenetv2, Preset::Dwresnet] {
        let network = preset(name, 20, 28, 5);
        check(&network);
        runs_alike(&network);
    }
}

#[test]
fn random_networks() {
    let mut over = 0;
    for seed in 0..60 {
        let network = random(seed);
        over += check(&network);
        runs_alike(&network);
    }
    assert!(over > 20, "{over} outputs lie over an input");
}
