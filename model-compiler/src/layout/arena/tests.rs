use no_std_infer::fixed::Multiplier;
use no_std_infer::format::{
    Activation, Add, Clamp, Concat, Constant, Conv2d, Layout, Mul, Pool2d, Reshape, Weights, Window,
};
use proptest::prelude::*;

use super::*;

pub(crate) fn tensor(index: usize, channels: u32) -> Tensor {
    Tensor { offset: index as u32, height: 1, width: 1, channels, scale: 1.0, zero_point: 0 }
}

/// One operator from random numbers; it reads tensors made before it.
pub(crate) fn op(tensors: &[Tensor], [kind, a, b, channels]: [usize; 4]) -> Op {
    let (input, activation) = (tensors[a % tensors.len()], Activation::NONE);
    let same = tensor(tensors.len(), input.channels);
    let other = tensor(tensors.len(), 1 + channels as u32);
    let twins: Vec<&Tensor> = tensors.iter().filter(|t| t.channels == input.channels).collect();
    let multiplier = Multiplier { mantissa: 0, shift: 0 };
    match kind {
        0 => Op::Clamp(Clamp { input, output: same, activation }),
        1 => Op::Reshape(Reshape { input, output: same }),
        2 => Op::Add(Add {
            a: input,
            b: *twins[b % twins.len()],
            output: same,
            a_multiplier: multiplier,
            b_multiplier: multiplier,
            output_multiplier: multiplier,
            activation,
            tables: [None; 2],
        }),
        3 => {
            // One element for all of the other factor's, or a factor of its shape.
            let b = tensors.iter().find(|t| t.channels == 1 && b % 2 == 0).copied().unwrap_or(input);
            Op::Mul(Mul { a: b, b: input, output: same, multiplier, activation })
        }
        4 => {
            let b = tensors[b % tensors.len()];
            let output = tensor(tensors.len(), input.channels + b.channels);
            Op::Concat(Concat { a: input, b, output })
        }
        5 => Op::Constant(Constant { output: if b % 2 == 0 { other } else { tensor(tensors.len(), 1) }, values: 0 }),
        6 => Op::MaxPool2d(Pool2d { input, output: other, window: Window::square(1, 1), activation }),
        _ => Op::Conv2d(Conv2d {
            input,
            output: other,
            window: Window::square(1 + (b % 2) as u16, 1),
            weights: Weights { layout: Layout::Plain, weights: 0, channels: 0 },
            activation,
            scratch: 0,
        }),
    }
}

pub(crate) fn model(first: usize, numbers: &[[usize; 4]], logits: usize) -> QuantModel {
    let mut tensors = vec![tensor(0, 1 + first as u32)];
    let mut ops = Vec::new();
    for numbers in numbers {
        ops.push(op(&tensors, *numbers));
        tensors.push(*ops[ops.len() - 1].output());
    }
    QuantModel {
        names: vec![String::new(); ops.len()],
        constants: Vec::new(),
        input: tensors[0],
        logits: tensors[1 + logits % ops.len()],
        temperature: 1.0,
        notes: Vec::new(),
        ops,
    }
}

/// Runs the plan on a memory that knows for each byte who wrote it last.
pub(crate) fn check(model: &QuantModel, plan: &Plan) -> Result<(), TestCaseError> {
    const SCRATCH: usize = usize::MAX;
    let mut memory = vec![None; plan.arena_len as usize];
    let ranges: Vec<_> = std::iter::once(model.input)
        .chain(model.ops.iter().map(|op| *op.output()))
        .map(|tensor| plan.place(tensor).range())
        .collect();
    memory[ranges[0].clone()].fill(Some(0));
    for (step, op) in model.ops.iter().enumerate() {
        let scratch = plan.scratch[step] as usize..(plan.scratch[step] + op.scratch_len()) as usize;
        let output = &ranges[step + 1];
        prop_assert!(scratch.start.is_multiple_of(ALIGN) && output.start.is_multiple_of(ALIGN));
        memory[scratch.clone()].fill(Some(SCRATCH));
        let before = memory.clone();
        memory[output.clone()].fill(Some(step + 1));
        prop_assert!(memory[scratch].iter().all(|owner| *owner == Some(SCRATCH)));
        for tensor in op.inputs().map(|tensor| tensor.offset as usize) {
            // Where they may overlap, each byte of the input is read before the output replaces it.
            let distance = output.start as i64 - ranges[tensor].start as i64;
            let input = [model.input].into_iter().chain(model.ops.iter().map(|op| *op.output())).nth(tensor).unwrap();
            let overlaps = op.overlap(&input).is_some_and(|overlap| overlap.allows(distance));
            let seen = if overlaps { &before } else { &memory };
            prop_assert!(seen[ranges[tensor].clone()].iter().all(|owner| *owner == Some(tensor)));
        }
    }
    let logits = model.logits.offset as usize;
    prop_assert!(memory[ranges[logits].clone()].iter().all(|owner| *owner == Some(logits)));
    Ok(())
}

proptest! {
    #[test]
    fn every_operator_reads_what_its_producer_wrote(
        first in 0_usize..200,
        numbers in prop::collection::vec([0_usize..10, 0_usize..99, 0_usize..99, 0_usize..200], 1..20),
        logits in 0_usize..20,
    ) {
        let model = model(first, &numbers, logits);
        let plan = Plan::new(&model);
        prop_assert!(plan.lower_bound <= plan.arena_len);
        check(&model, &plan)?;
    }
}

#[test]
fn an_add_writes_over_its_dying_summand_and_a_chain_needs_two_buffers() {
    // A pooling of 160 bytes, then another of its output, then their sum.
    let numbers = [[6, 0, 0, 159], [6, 1, 0, 159], [2, 1, 1, 0], [6, 3, 0, 3]];
    let model = model(0, &numbers, 3);
    let plan = Plan::new(&model);
    assert!(plan.tensors[3] == plan.tensors[1] || plan.tensors[3] == plan.tensors[2]);
    assert_eq!((plan.arena_len, plan.lower_bound), (320, 320));
    assert_eq!(plan.to_string(), "arena 320 bytes (lower bound 320)");
}

#[test]
fn the_shadow_memory_notices_an_overlap() {
    let model = model(0, &[[6, 0, 0, 159], [6, 1, 0, 159]], 1);
    let mut plan = Plan::new(&model);
    plan.tensors[2] = plan.tensors[1];
    assert!(check(&model, &plan).is_err());
}

#[test]
fn the_search_is_close_to_the_lower_bound() {
    let mut random = 7_u32;
    let (mut planned, mut bound) = (0, 0);
    for _ in 0..200 {
        let numbers: Vec<[usize; 4]> = (0..15)
            .map(|_| {
                [10, 99, 99, 200].map(|below| {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (random >> 16) as usize % below
                })
            })
            .collect();
        let plan = Plan::new(&model(100, &numbers, 14));
        planned += plan.arena_len;
        bound += plan.lower_bound;
    }
    assert!(f64::from(planned) < 1.02 * f64::from(bound), "{planned} {bound}");
}

fn image(index: usize, side: u16, channels: u32) -> Tensor {
    Tensor { height: side, width: side, ..tensor(index, channels) }
}

/// Convolutions and additions, each given by the tensor that it reads, the side and channels of its output and its kernel;
/// a kernel of 0 is the addition of the tensor read and the one made before. Depthwise where `depthwise`.
fn network(
    input: Tensor,
    layers: &[(usize, u16, u32, u8)],
    layout: Layout,
    depthwise: impl Fn(usize) -> bool,
) -> QuantModel {
    let (mut tensors, mut ops) = (vec![input], Vec::new());
    let weights = Weights { layout, weights: 0, channels: 0 };
    let (activation, multiplier) = (Activation::NONE, Multiplier { mantissa: 0, shift: 0 });
    for (index, &(from, side, channels, kernel)) in layers.iter().enumerate() {
        let (input, output) = (tensors[from], image(index + 1, side, channels));
        let stride = (input.height / side).max(1);
        let pad = if stride == 1 { u16::from(kernel) / 2 } else { 0 };
        let window = Window { pad_top: pad, pad_left: pad, ..Window::square(kernel.max(1).into(), stride) };
        let scratch = 0;
        let conv = Conv2d { input, output, window, weights, activation, scratch };
        ops.push(match kernel {
            0 => {
                let (b, output_multiplier) = (tensors[index], multiplier);
                let (a_multiplier, b_multiplier) = (multiplier, multiplier);
                Op::Add(Add {
                    a: input,
                    b,
                    output,
                    a_multiplier,
                    b_multiplier,
                    output_multiplier,
                    activation,
                    tables: [None; 2],
                })
            }
            _ if depthwise(index) => Op::DepthwiseConv2d(conv),
            _ => Op::Conv2d(conv),
        });
        tensors.push(output);
    }
    let (names, logits) = (vec![String::new(); ops.len()], tensors[ops.len()]);
    QuantModel { ops, names, constants: Vec::new(), input, logits, temperature: 1.0, notes: Vec::new() }
}

#[test]
fn mlperf_s_image_classifiers_need_no_more_than_their_live_tensors() {
    // ResNet8: a stem and three residual blocks, the later two with a convolution in the shortcut.
    let resnet8 = [
        (0, 32, 16, 3),
        (1, 32, 16, 3),
        (2, 32, 16, 3),
        (1, 32, 16, 0),
        (4, 16, 32, 3),
        (5, 16, 32, 3),
        (4, 16, 32, 1),
        (6, 16, 32, 0),
        (8, 8, 64, 3),
        (9, 8, 64, 3),
        (8, 8, 64, 1),
        (10, 8, 64, 0),
        (12, 1, 64, 8),
        (13, 1, 10, 1),
    ];
    // The input of a block, what its first convolution made and what its second makes; four patches of 3 x 3 x 16, and three rows
    // of 34 columns.
    let plan = Plan::new(&network(image(0, 32, 3), &resnet8, Layout::Plain, |_| false));
    let least = 3 * 16_384 + 4 * 144 + 3 * 34 * 16;
    assert_eq!((plan.arena_len, plan.lower_bound), (least, least));

    // The first pointwise convolution: 48 x 48 x 8 become 48 x 48 x 16; four patches of 8 in a vector of 16 bytes each, and two
    // vectors in which they are put together.
    let plan = Plan::new(&vww(Layout::Plain));
    let least = 18_432 + 36_864 + 4 * 16 + 2 * 16;
    assert_eq!((plan.arena_len, plan.lower_bound), (least, least));
    assert!(plan.arena_len <= 56 * 1024);
}

#[test]
fn outputs_lie_over_their_inputs_where_convolutions_are_packed() {
    // What the first pointwise convolution makes of its input below it, and a channel of it with its border.
    let plan = Plan::new(&vww(Layout::Packed));
    assert_eq!(plan.lower_bound, 36_864 + 2_560);
    assert!(plan.arena_len <= plan.lower_bound + 48, "{plan}");
}

/// MobileNetV1 0.25 for 96 x 96: pairs of a depthwise and a pointwise convolution.
fn vww(layout: Layout) -> QuantModel {
    let mut vww = vec![(0, 48, 8, 3)];
    let blocks = [(48, 16), (24, 32), (24, 32), (12, 64), (12, 64), (6, 128), (6, 128), (6, 128), (6, 128), (6, 128)];
    for (side, channels) in blocks.into_iter().chain([(6, 128), (3, 256), (3, 256)]) {
        vww.push((vww.len(), side, vww[vww.len() - 1].2, 3));
        vww.push((vww.len(), side, channels, 1));
    }
    vww.extend([(vww.len(), 1, 256, 3), (vww.len() + 1, 1, 2, 1)]);
    network(image(0, 96, 3), &vww, layout, |layer| layer % 2 == 1 && layer < 27)
}
