//! Rung 4 of the parity ladder: every kernel gives the oracle's bytes.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::ops::Range;

use no_std_infer::Model;
use no_std_infer::format::{
    Clamp, Concat, Constant, Layout, Lookup, Mean, Mul, Op, Pad, Pool2d, Reshape, Softmax, Tensor,
};
use no_std_infer::kernels::{Dsp, Kernels, Portable};
use no_std_infer::ops::{AddLayer, ConvLayer, DenseLayer, Form};
use no_std_infer::reference::Reference;
use proptest::prelude::*;
use tests::operators::{Kind, random};
use tests::outputs;

const CASES: u32 = 2000;
/// Cases of each transform, whose weights the oracle recovers slowly.
const TRANSFORMED_CASES: u32 = 500;

/// Another set's kernels, one output row a call, last row first: rows must not depend on one another.
struct RowByRow<K>(PhantomData<K>);

fn reversed(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    rows.rev().map(|row| row..row + 1)
}

impl<K: Kernels> Kernels for RowByRow<K> {
    fn conv2d(arena: &mut [i8], layer: &ConvLayer<'_>, rows: Range<usize>) {
        // In place, a row's inputs are gone once its neighbour is written.
        if layer.op.input.offset == layer.op.output.offset {
            return K::conv2d(arena, layer, rows);
        }
        reversed(rows).for_each(|row| K::conv2d(arena, layer, row));
    }
    fn depthwise_conv2d(arena: &mut [i8], layer: &ConvLayer<'_>, rows: Range<usize>) {
        if layer.op.input.offset == layer.op.output.offset {
            return K::depthwise_conv2d(arena, layer, rows);
        }
        reversed(rows).for_each(|row| K::depthwise_conv2d(arena, layer, row));
    }
    fn dense(arena: &mut [i8], layer: &DenseLayer<'_>) {
        K::dense(arena, layer);
    }
    fn max_pool2d(arena: &mut [i8], op: &Pool2d, rows: Range<usize>) {
        reversed(rows).for_each(|row| K::max_pool2d(arena, op, row));
    }
    fn average_pool2d(arena: &mut [i8], op: &Pool2d, rows: Range<usize>) {
        reversed(rows).for_each(|row| K::average_pool2d(arena, op, row));
    }
    fn add(arena: &mut [i8], layer: &AddLayer<'_>, rows: Range<usize>) {
        reversed(rows).for_each(|row| K::add(arena, layer, row));
    }
    fn clamp(arena: &mut [i8], op: &Clamp, rows: Range<usize>) {
        reversed(rows).for_each(|row| K::clamp(arena, op, row));
    }
    fn lookup(arena: &mut [i8], op: &Lookup, table: &[u8; 256], rows: Range<usize>) {
        reversed(rows).for_each(|row| K::lookup(arena, op, table, row));
    }
    fn softmax(arena: &mut [i8], op: &Softmax, rows: Range<usize>) {
        reversed(rows).for_each(|row| K::softmax(arena, op, row));
    }
    fn reshape(arena: &mut [i8], op: &Reshape) {
        K::reshape(arena, op);
    }
    fn mul(arena: &mut [i8], op: &Mul, rows: Range<usize>) {
        reversed(rows).for_each(|row| K::mul(arena, op, row));
    }
    fn mean(arena: &mut [i8], op: &Mean, rows: Range<usize>) {
        reversed(rows).for_each(|row| K::mean(arena, op, row));
    }
    fn pad(arena: &mut [i8], op: &Pad, rows: Range<usize>) {
        reversed(rows).for_each(|row| K::pad(arena, op, row));
    }
    fn concat(arena: &mut [i8], op: &Concat, rows: Range<usize>) {
        reversed(rows).for_each(|row| K::concat(arena, op, row));
    }
    fn constant(arena: &mut [i8], op: &Constant, values: &[u8]) {
        K::constant(arena, op, values);
    }
}

fn conforms(kind: Kind, seed: u64) -> Result<(), TestCaseError> {
    let case = random(kind, seed);
    let model = Model::parse(&case.blob).map_err(|error| TestCaseError::fail(format!("{kind:?}: {error}")))?;
    let expected = outputs::<Reference>(&model, &case.input);
    prop_assert_eq!(&outputs::<Portable>(&model, &case.input), &expected);
    prop_assert_eq!(&outputs::<RowByRow<Portable>>(&model, &case.input), &expected);
    prop_assert_eq!(&outputs::<Dsp>(&model, &case.input), &expected);
    prop_assert_eq!(&outputs::<RowByRow<Dsp>>(&model, &case.input), &expected);
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
}

conformance! {
    TRANSFORMED_CASES;
    winograd_2x2: Kind::Winograd(Form::F2x2),
    winograd_4x4: Kind::Winograd(Form::F4x4),
    winograd_stride_2: Kind::Winograd(Form::Stride2),
}

/// What the random cases of the operators with two inputs, and of the mean, must reach.
#[test]
fn random_cases_broadcast_and_join_along_every_axis() {
    let sides = |tensor: &Tensor| [u32::from(tensor.height), u32::from(tensor.width), tensor.channels];
    let mut seen = BTreeSet::new();
    for (seed, kind) in
        (0..300).flat_map(|seed| [Kind::Add, Kind::Mul, Kind::Concat, Kind::Mean].map(|kind| (seed, kind)))
    {
        let case = random(kind, seed);
        let model = Model::parse(&case.blob).expect("the generator makes valid models");
        let op = model.ops().nth(2).expect("operator 2 is the one asked for");
        for (input, tensor) in op.inputs().enumerate() {
            let in_place = tensor.offset == op.output().offset;
            for axis in (0..3).filter(|&axis| sides(tensor)[axis] != sides(op.output())[axis]) {
                seen.insert((op.name(), input, Some(axis)));
            }
            if in_place {
                seen.insert((op.name(), input, None));
            }
        }
    }
    let pairs = ["add", "mul"].into_iter().flat_map(|op| [0, 1].map(|input| (op, input)));
    let mut expected: BTreeSet<_> =
        pairs.flat_map(|(op, input)| [None, Some(0), Some(1), Some(2)].map(|axis| (op, input, axis))).collect();
    expected.extend([0, 1].into_iter().flat_map(|input| [0, 1, 2].map(|axis| ("concat", input, Some(axis)))));
    expected.extend([0, 1].map(|axis| ("mean", 0, Some(axis))));
    assert_eq!(seen, expected);
}

/// Nearly all cases of transformed weights must have them, with whole groups of tiles and parts of one, many in place.
#[test]
fn random_cases_have_transformed_weights() {
    for form in Form::ALL {
        let (mut transformed, mut in_place, mut values, mut shapes) = (0, 0, BTreeSet::new(), BTreeSet::new());
        for seed in 0..600 {
            let case = random(Kind::Winograd(form), seed);
            let model = Model::parse(&case.blob).expect("the generator makes valid models");
            let Some(Op::Conv2d(conv)) = model.ops().nth(2) else { panic!("operator 2 is the convolution") };
            transformed += u32::from(conv.weights.layout == form.layout());
            in_place += u32::from(conv.output.offset == conv.input.offset);
            let (height, width) = (usize::from(conv.output.height), conv.output.width);
            shapes.insert((height.is_multiple_of(form.tile()), width > 8, width % 8 == 0));
            values.extend(outputs::<Portable>(&model, &case.input)[2].iter().copied());
        }
        assert!(transformed > 450 && values.len() == 256, "{form:?}: {transformed} {values:?}");
        assert!(shapes.len() >= if form == Form::Stride2 { 6 } else { 8 }, "{form:?}: {shapes:?}");
        assert!(in_place > 10 || form == Form::Stride2, "{form:?}: {in_place}");
    }
}

/// The generator must not make trivial cases: outputs spread over i8, and padding, stride and dilation all occur.
#[test]
fn random_cases_are_not_trivial() {
    let mut values = [0_u32; 256];
    let (mut padded, mut strided, mut dilated, mut packed, mut in_place) = (0, 0, 0, 0, 0);
    for seed in 0..200 {
        let case = random(Kind::Conv2d, seed);
        let model = Model::parse(&case.blob).expect("the generator makes valid models");
        let Some(Op::Conv2d(conv)) = model.ops().nth(2) else { panic!("operator 2 is the convolution") };
        padded += u32::from(conv.window.pad_top > 0);
        strided += u32::from(conv.window.stride_h > 1);
        dilated += u32::from(conv.window.dilation_h > 1);
        packed += u32::from(conv.weights.layout == Layout::Packed);
        in_place += u32::from(conv.output.offset == conv.input.offset);
        for &value in &outputs::<Portable>(&model, &case.input)[2] {
            values[(i32::from(value) + 128) as usize] += 1;
        }
    }
    assert!(values.iter().filter(|&&count| count > 0).count() == 256, "{values:?}");
    assert!(padded > 50 && strided > 50 && dilated > 50, "{padded} {strided} {dilated}");
    assert!(packed > 50 && in_place > 10, "{packed} {in_place}");
}

/// Many cases must run the kernels that need packed weights or tables, in place and apart.
#[test]
fn random_cases_reach_packed_depthwise_convolutions_and_sums_with_tables() {
    let (mut in_place, mut apart, mut strided, mut tables) = (0, 0, 0, [0; 3]);
    for (seed, kind) in (0..300).flat_map(|seed| [Kind::DepthwiseConv2d, Kind::Add].map(|kind| (seed, kind))) {
        let case = random(kind, seed);
        let model = Model::parse(&case.blob).expect("the generator makes valid models");
        match model.ops().nth(2) {
            Some(Op::DepthwiseConv2d(op)) if op.weights.layout == Layout::Packed => {
                let same = op.input.offset == op.output.offset;
                in_place += u32::from(same);
                apart += u32::from(!same);
                strided += u32::from(op.window.stride_w == 2);
            }
            Some(Op::Add(op)) => tables[op.tables.iter().flatten().count()] += 1,
            _ => {}
        }
    }
    assert!(in_place > 10 && apart > 50 && strided > 50, "{in_place} {apart} {strided}");
    assert!(tables.into_iter().all(|count| count > 15), "{tables:?}");
}
