//! Rung 4 of the parity ladder: every kernel gives the oracle's bytes.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use host_kernels::{Isa, Prepared};
use model_compiler::aligned::Aligned;
use no_std_infer::Model;
use no_std_infer::format::{Layout, Op, Tensor};
use no_std_infer::kernels::{Armv6m, Armv7em, Armv7m, Armv81m, Generic, Kernels};
use no_std_infer::operators::Form;
use proptest::prelude::*;
use tests::operators::{Case, Kind, random};
use tests::{Reference, outputs, prepared, stepped, vector_outputs};

const CASES: u32 = 2000;
/// Cases of each transform, which take longer.
const TRANSFORMED_CASES: u32 = 500;

fn conforms(kind: Kind, seed: u64) -> Result<(), TestCaseError> {
    let case = random(kind, seed);
    let model = Model::parse(&case.blob).map_err(|error| TestCaseError::fail(format!("{kind:?}: {error}")))?;
    let expected = outputs::<Reference>(&model, &case.input);
    gives::<Generic>(&model, &case, &expected)?;
    gives::<Armv81m>(&model, &case, &expected)?;
    gives::<Armv7em>(&model, &case, &expected)?;
    gives::<Armv7m>(&model, &case, &expected)?;
    gives::<Armv6m>(&model, &case, &expected)?;
    for isa in Isa::available() {
        prop_assert_eq!(vector_outputs(&model, isa, &case.input), &expected[..], "{}", isa.name());
    }
    Ok(())
}

/// A machine with vectors must use them: for every layer with weights, whatever its layout, and for nearly all even sums.
#[test]
fn layers_with_weights_run_on_this_machine_s_vectors() {
    let (mut sums, mut on_vectors) = (0, 0);
    for (seed, kind) in (0..100).flat_map(|seed| Kind::ALL.map(|kind| (seed, kind))) {
        let case = random(kind, seed);
        let model = Model::parse(&case.blob).expect("the generator makes valid models");
        for isa in Isa::available().into_iter().filter(|&isa| isa != Isa::Portable) {
            for (op, vectors) in model.ops().zip(Prepared::with(&model, isa).vectorized()) {
                match op {
                    Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::Dense(_) => assert!(vectors, "{kind:?} {seed} {op:?}"),
                    Op::Add(op) if op.a.len() == op.b.len() => {
                        (sums, on_vectors) = (sums + 1, on_vectors + u32::from(vectors))
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(2 * on_vectors >= sums, "{on_vectors} of {sums} sums");
}

fn gives<K: Kernels>(model: &Model<'_>, case: &Case, expected: &[Vec<i8>]) -> Result<(), TestCaseError> {
    prop_assert_eq!(outputs::<K>(model, &case.input), expected);
    // As few rows a step as there can be.
    prop_assert_eq!(stepped::<K>(model, &case.input, NonZeroU16::MIN), expected);
    Ok(())
}

macro_rules! conformance {
    ($cases:expr; $($test:ident: $kind:expr,)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases($cases))]
            $(#[test] fn $test(seed: u64) { conforms($kind, seed)?; })*
        }
    };
}

conformance! {
    CASES;
    conv2d: Kind::Conv2d,
    depthwise_conv2d: Kind::DepthwiseConv2d,
    dense: Kind::Dense,
    max_pool2d: Kind::MaxPool2d,
    average_pool2d: Kind::AveragePool2d,
    add: Kind::Add,
    clamp: Kind::Clamp,
    lookup: Kind::Lookup,
    softmax: Kind::Softmax,
    reshape: Kind::Reshape,
    mul: Kind::Mul,
    mean: Kind::Mean,
    pad: Kind::Pad,
    concat: Kind::Concat,
    constant: Kind::Constant,
    reduce_max: Kind::ReduceMax,
}

conformance! {
    TRANSFORMED_CASES;
    winograd_2x2: Kind::Winograd(Form::F2x2),
    winograd_4x4: Kind::Winograd(Form::F4x4),
    winograd_stride_2: Kind::Winograd(Form::Stride2),
}

/// Two networks step by step, each in an arena of its own: in every order that there is, as long as these are few thousand.
fn interleave<K: Kernels>(cases: &[Case; 2], rows: NonZeroU16) -> usize {
    let models = cases.each_ref().map(|case| Model::parse(&case.blob).expect("the generator makes valid models"));
    let expected =
        [0, 1].map(|at| outputs::<Reference>(&models[at], &cases[at].input).pop().expect("it has operators"));
    let mut arenas = models.map(|model| Aligned::new(model.arena_len()));
    let mut steps = [0; 2];
    for at in 0..2 {
        let mut alone = prepared::<K>(&models[at], &mut arenas[at], &cases[at].input);
        steps[at] = std::iter::from_fn(|| alone.step_rows(rows)).count();
    }
    let all: usize = steps.iter().sum();
    if all > 14 {
        return 0;
    }
    // A bit for each step: which network's it is.
    let orders = (0_u32..1 << all).filter(|order| order.count_ones() as usize == steps[1]);
    let count = orders.clone().count();
    for order in orders {
        let [one, other] = &mut arenas;
        let mut networks =
            [(one, 0), (other, 1)].map(|(arena, at)| prepared::<K>(&models[at], arena, &cases[at].input));
        for step in 0..all {
            let stepped = networks[(order >> step & 1) as usize].step_rows(rows);
            assert!(stepped.is_some(), "order {order:b} ends at step {step}");
        }
        for (network, expected) in networks.iter_mut().zip(&expected) {
            assert_eq!(network.step_rows(rows), None);
            assert_eq!(network.output(), expected, "order {order:b}");
        }
    }
    count
}

#[test]
fn steps_of_two_networks_may_be_interleaved_in_every_order() {
    let mut orders = 0;
    for (seed, &kind) in (0..).zip(Kind::ALL.iter().cycle()).take(4 * Kind::ALL.len()) {
        let cases = [random(kind, seed), random(Kind::ALL[seed as usize * 7 % Kind::ALL.len()], seed + 1000)];
        orders += interleave::<Generic>(&cases, NonZeroU16::MAX);
        orders += interleave::<Generic>(&cases, NonZeroU16::MIN);
        orders += interleave::<Armv7em>(&cases, NonZeroU16::MIN);
    }
    assert!(orders > 40_000, "only {orders} orders were tried");
}

/// What the random cases of the operators with two inputs, and of reductions, must reach.
#[test]
fn random_cases_broadcast_and_join_along_every_axis() {
    let sides = |tensor: &Tensor| [u32::from(tensor.height), u32::from(tensor.width), tensor.channels];
    let mut seen = BTreeSet::new();
    for (seed, kind) in (0..300)
        .flat_map(|seed| [Kind::Add, Kind::Mul, Kind::Concat, Kind::Mean, Kind::ReduceMax].map(|kind| (seed, kind)))
    {
        let case = random(kind, seed);
        let model = Model::parse(&case.blob).expect("the generator makes valid models");
        let op = model.ops().nth(2).expect("operator 2 is the one asked for");
        for (input, tensor) in op.inputs().enumerate() {
            let over = tensor.overlaps(op.output());
            for axis in (0..3).filter(|&axis| sides(tensor)[axis] != sides(op.output())[axis]) {
                seen.insert((op.name(), input, Some(axis)));
            }
            if over {
                seen.insert((op.name(), input, None));
            }
        }
    }
    let pairs = ["add", "mul"].into_iter().flat_map(|op| [0, 1].map(|input| (op, input)));
    let mut expected: BTreeSet<_> =
        pairs.flat_map(|(op, input)| [None, Some(0), Some(1), Some(2)].map(|axis| (op, input, axis))).collect();
    expected.extend([0, 1].into_iter().flat_map(|input| [0, 1, 2].map(|axis| ("concat", input, Some(axis)))));
    expected.extend([0, 1].map(|axis| ("mean", 0, Some(axis))));
    expected.extend([0, 1, 2].map(|axis| ("reduce_max", 0, Some(axis))));
    assert_eq!(seen, expected);
}

/// Nearly all cases of transformed weights must have them, with whole groups of tiles and parts of one, many over their
/// input.
#[test]
fn random_cases_have_transformed_weights() {
    for form in Form::ALL {
        let (mut transformed, mut over, mut values, mut shapes) = (0, 0, BTreeSet::new(), BTreeSet::new());
        for seed in 0..600 {
            let case = random(Kind::Winograd(form), seed);
            let model = Model::parse(&case.blob).expect("the generator makes valid models");
            let Some(Op::Conv2d(conv)) = model.ops().nth(2) else { panic!("operator 2 is the convolution") };
            transformed += u32::from(conv.weights.layout == form.layout());
            over += u32::from(conv.input.overlaps(&conv.output));
            let (height, width) = (usize::from(conv.output.height), conv.output.width);
            shapes.insert((height.is_multiple_of(form.tile()), width > 8, width % 8 == 0));
            values.extend(outputs::<Generic>(&model, &case.input)[2].iter().copied());
        }
        assert!(transformed > 450 && values.len() == 256, "{form:?}: {transformed} {values:?}");
        assert!(shapes.len() >= if form == Form::Stride2 { 6 } else { 8 }, "{form:?}: {shapes:?}");
        assert!(over > 50, "{form:?}: {over}");
    }
}

/// The generator must not make trivial cases: outputs spread over i8, and padding, stride and dilation all occur.
#[test]
fn random_cases_are_not_trivial() {
    let mut values = [0_u32; 256];
    let (mut padded, mut strided, mut dilated, mut packed) = (0, 0, 0, 0);
    for seed in 0..300 {
        let case = random(Kind::Conv2d, seed);
        let model = Model::parse(&case.blob).expect("the generator makes valid models");
        let Some(Op::Conv2d(conv)) = model.ops().nth(2) else { panic!("operator 2 is the convolution") };
        padded += u32::from(conv.window.pad_top > 0);
        strided += u32::from(conv.window.stride_h > 1);
        dilated += u32::from(conv.window.dilation_h > 1);
        packed += u32::from(conv.weights.layout == Layout::Packed);
        for &value in &outputs::<Generic>(&model, &case.input)[2] {
            values[(i32::from(value) + 128) as usize] += 1;
        }
    }
    assert!(values.iter().filter(|&&count| count > 0).count() == 256, "{values:?}");
    assert!(padded > 50 && strided > 50 && dilated > 50, "{padded} {strided} {dilated}");
    assert!(packed > 50, "{packed}");
}

/// Many cases must run the kernels that need packed weights or tables, and of depthwise convolutions over their input;
/// packed dense layers must have vectors longer than a kernel's segment of 256, and rests of a group of outputs.
#[test]
fn random_cases_reach_packed_layers_and_sums_with_tables() {
    let (mut over, mut apart, mut strided, mut tables, mut dense) = (0, 0, 0, [0; 3], [0; 3]);
    let kinds = [Kind::DepthwiseConv2d, Kind::Add, Kind::Dense];
    for (seed, kind) in (0..300).flat_map(|seed| kinds.map(|kind| (seed, kind))) {
        let case = random(kind, seed);
        let model = Model::parse(&case.blob).expect("the generator makes valid models");
        match model.ops().nth(2) {
            Some(Op::DepthwiseConv2d(op)) if op.weights.layout == Layout::Packed => {
                let overlaps = op.input.overlaps(&op.output);
                over += u32::from(overlaps);
                apart += u32::from(!overlaps);
                strided += u32::from(op.window.stride_w == 2);
            }
            Some(Op::Add(op)) => tables[op.tables.iter().flatten().count()] += 1,
            Some(Op::Dense(op)) if op.weights.layout == Layout::Packed => {
                dense[0] += 1;
                dense[1] += u32::from(op.inputs() > 256);
                dense[2] += u32::from(!op.output.channels.is_multiple_of(4));
            }
            _ => {}
        }
    }
    assert!(dense.into_iter().all(|count| count > 30), "{dense:?}");
    assert!(over > 50 && apart > 50 && strided > 50, "{over} {apart} {strided}");
    assert!(tables.into_iter().all(|count| count > 15), "{tables:?}");
}

/// Convolutions must lie over their input with more and with fewer channels, of 1x1 and larger, with stride and without, as
/// far up as is allowed and lower.
#[test]
fn random_cases_lie_over_their_input_in_every_way() {
    let mut seen = BTreeSet::new();
    for seed in 0..1000 {
        let case = random(Kind::Conv2d, seed);
        let model = Model::parse(&case.blob).expect("the generator makes valid models");
        let Some(op @ Op::Conv2d(conv)) = model.ops().nth(2) else { panic!("operator 2 is the convolution") };
        if conv.input.overlaps(&conv.output) {
            let most = op.overlap(&conv.input).expect("parse allows it").most;
            let distance = i64::from(conv.output.offset) - i64::from(conv.input.offset);
            let strided = conv.window.stride_h > 1;
            seen.insert((conv.window.taps() > 1, strided, conv.output.len() > conv.input.len(), distance == most));
        }
    }
    assert_eq!(seen.len(), 16, "{seen:?}");
}
