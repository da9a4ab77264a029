//! The blob against truncation, damage and hostile bytes.

use std::sync::LazyLock;

use model_compiler::aligned::Aligned;
use model_compiler::blob::{Parts, repair_crc, with_calibration, write};
use model_training::config::Preset;
use model_training::measure::evaluate::infer;
use no_std_infer::format::{
    Activation, Calibration, Clamp, HEADER_LEN, Info, Input, InputKind, Layout, Op, RECORD_LEN, Section, Tensor,
    VERSION, arena_len, section, total_len,
};
use no_std_infer::kernels::{Armv7em, Generic, Kernel, KernelSet, Linked};
use no_std_infer::operators::Form;
use no_std_infer::{Arena, Error, Interpreter, Model, OpError};
use proptest::prelude::*;
use tests::networks::{noise, preset};
use tests::operators::{self, ANY_IMAGE, Kind, random, without_names};
use tests::{Reference, outputs, stripes};

/// A small network, some of whose layers go in stripes.
static STRIPES: LazyLock<Aligned<u8>> = LazyLock::new(|| stripes::random(1).stripes);

/// Longest arena that the tests give to a damaged blob; a longer one counts as refused by the caller.
const ARENA_MAX: usize = 1 << 20;

/// A damaged blob gives an error, or runs and gives the oracle's bytes. Says whether it ran.
fn refused_or_defined(blob: &[u8]) -> bool {
    let Ok(model) = Model::parse(blob) else { return false };
    let input = vec![17; model.info().input.tensor.len()];
    let work: u64 = model.ops().map(|op| op.macs() + op.output().len() as u64).sum();
    if model.arena_len() > ARENA_MAX || work > 10_000_000 {
        return false;
    }
    let expected = outputs::<Reference>(&model, &input);
    assert_eq!(outputs::<Generic>(&model, &input), expected);
    assert_eq!(outputs::<Armv7em>(&model, &input), expected);
    model.labels().for_each(drop);
    true
}

#[test]
fn what_is_written_is_read_back() {
    for kind in Kind::ALL {
        let case = random(kind, 5);
        let model = Model::parse(&case.blob).expect("the generator makes valid models");
        assert_eq!(model.labels().collect::<Vec<_>>(), ["no", "yes"]);
        assert_eq!(model.ops().count(), 4);
        assert_eq!(model.info().labels, 2);
        assert_eq!(model.arena_len(), arena_len(&case.blob));
        assert_eq!(total_len(&case.blob), case.blob.len());
    }
}

#[test]
fn inputs_and_logits_may_be_any_tensors_without_names() {
    let blob = without_names(InputKind::Tensor, [6, 5, 7]);
    let model = Model::parse(&blob).expect("a model need not read pictures or name classes");
    assert_eq!((model.info().input.kind, model.labels().count()), (InputKind::Tensor, 0));
    let mut arena = Aligned::new(model.arena_len());
    let mut interpreter = Interpreter::new(model, &mut arena).expect("the arena has the length asked for");
    interpreter.input_mut().copy_from_slice(&noise(3, 210));
    interpreter.input_mut()[123] = 127;
    interpreter.input_mut()[124] = 127;
    let expected: Vec<i8> = interpreter.input_mut().iter().map(|&value| value.max(0)).collect();
    interpreter.run();
    assert_eq!(interpreter.logits(), expected);
    let first = expected.iter().position(|&value| value == 127);
    assert_eq!(Some(interpreter.class()), first, "the class is the first of the largest logits in HWC order");
}

/// As many as the manifest can count; each clamps what the one before it made.
#[test]
fn a_model_may_have_65535_operators() {
    let tensor = |offset| Tensor { offset, height: 1, width: 1, channels: 1, scale: 0.5, zero_point: 0 };
    let places = [0, 16].into_iter().cycle().map(tensor);
    let clamp = |(input, output)| Op::Clamp(Clamp { input, output, activation: Activation { min: 5, max: 90 } });
    let ops: Vec<Op> = places.clone().zip(places.skip(1)).map(clamp).take(u16::MAX.into()).collect();
    let info = operators::info(tensor(0), tensor(16));
    let info = Info { input: Input { tensor: tensor(0), kind: InputKind::Tensor }, ..info };
    let blob = write(&Parts { info, labels: &[], ops: &ops, weights: &[], layers: None });
    let model = Model::parse(&blob).expect("the manifest can count them");
    assert_eq!(model.ops().count(), 65535);
    assert_eq!(outputs::<Generic>(&model, &[100]).last(), Some(&vec![90]));
}

/// Firmware that links what a model needs runs it; without one of these kernels it refuses the model when it is parsed.
#[test]
fn a_model_runs_on_the_kernels_that_it_needs_and_a_missing_one_is_named() {
    let linked = |set| &*Box::leak(Box::new(Linked::new(set)));
    let mut needed = KernelSet::NONE;
    for (kind, seed) in Kind::ALL.into_iter().flat_map(|kind| (0..24).map(move |seed| (kind, seed))) {
        let case = random(kind, seed);
        let set = KernelSet::needed_by(&case.blob);
        let model = Model::parse_with(&case.blob, linked(set)).expect("all that it needs is linked");
        assert_eq!(model.linked().set(), set);
        let mut arena = Aligned::new(model.arena_len());
        let mut interpreter = Interpreter::new(model, &mut arena).expect("the arena has the length asked for");
        interpreter.input_mut().copy_from_slice(&case.input);
        interpreter.run();
        assert_eq!(Some(interpreter.output()), outputs::<Reference>(&model, &case.input).last().map(|last| &last[..]));
        let kernels: Vec<Option<Kernel>> = model.ops().map(|op| Kernel::of(&op.to_record())).collect();
        for kernel in set.iter() {
            let others = set.without(KernelSet::NONE.with(kernel));
            let index = kernels.iter().position(|needed| *needed == Some(kernel)).expect("an operator needs it") as u16;
            assert_eq!(Model::parse_with(&case.blob, linked(others)).err(), Some(Error::NotLinked { index, kernel }));
        }
        needed = needed.and(set);
    }
    let names: Vec<&str> = KernelSet::ALL.without(needed).iter().map(Kernel::name).collect();
    assert!(names.is_empty(), "no case needs {names:?}");
}

/// Kernels use tables and packed parameters without looking at what they were made from.
#[test]
fn tables_and_packed_depthwise_constants_are_proved() {
    let mut refused = [0; 2];
    for (seed, kind) in (0..60).flat_map(|seed| [Kind::Add, Kind::DepthwiseConv2d].map(|kind| (seed, kind))) {
        let case = random(kind, seed);
        let model = Model::parse(&case.blob).expect("the generator makes valid models");
        let section = model.weights().as_ptr() as usize - case.blob.as_ptr() as usize;
        let places: Vec<(u32, OpError)> = match model.ops().nth(2) {
            Some(Op::Add(op)) => {
                op.tables.into_iter().flatten().map(|start| (start + 517, OpError::Constants)).collect()
            }
            Some(Op::DepthwiseConv2d(op)) if op.weights.layout == Layout::Packed => {
                let (padding, bias, rounding) = (op.weights.weights + 9, op.weights.channels, op.weights.channels + 8);
                vec![(padding, OpError::Constants), (bias, OpError::Multiplier), (rounding, OpError::Multiplier)]
            }
            _ => continue,
        };
        for (at, why) in places {
            let mut blob = Aligned::copy_of(&case.blob);
            blob[section + at as usize] ^= 1;
            repair_crc(&mut blob);
            assert_eq!(Model::parse(&blob).err(), Some(Error::Op { index: 2, why }), "{kind:?} {seed}");
            refused[usize::from(kind == Kind::Add)] += 1;
        }
    }
    assert!(refused.into_iter().all(|count| count > 5), "{refused:?}");
}

/// A halfword of 128 · 256 − 128 holds no two int8 weights, and a factor of 0 is none that the format allows.
#[test]
fn packed_dense_constants_are_proved() {
    let mut refused = 0;
    for seed in 0..60 {
        let case = random(Kind::Dense, seed);
        let model = Model::parse(&case.blob).expect("the generator makes valid models");
        let section = model.weights().as_ptr() as usize - case.blob.as_ptr() as usize;
        let Some(Op::Dense(op)) = model.ops().nth(2) else { panic!("operator 2 is the dense layer") };
        if op.weights.layout != Layout::Packed {
            continue;
        }
        let changes: [(u32, &[u8], OpError); 2] = [
            (op.weights.weights, &[0x80, 0x7F], OpError::Constants),
            (op.weights.channels + 4, &[0; 8], OpError::Multiplier),
        ];
        for (at, bytes, why) in changes {
            let mut blob = Aligned::copy_of(&case.blob);
            blob[section + at as usize..][..bytes.len()].copy_from_slice(bytes);
            repair_crc(&mut blob);
            assert_eq!(Model::parse(&blob).err(), Some(Error::Op { index: 2, why }), "{seed}");
            refused += 1;
        }
    }
    assert!(refused > 20, "{refused}");
}

/// An output that begins one byte further up than allowed would overwrite what is still to be read.
#[test]
fn an_output_too_far_up_its_input_is_refused() {
    let mut refused = [0; 4];
    let kinds = [Kind::Conv2d, Kind::DepthwiseConv2d, Kind::Add, Kind::Reshape];
    for (seed, kind) in (0..100).flat_map(|seed| (0..4).map(move |kind| (seed, kind))) {
        let case = random(kinds[kind], seed);
        let model = Model::parse(&case.blob).expect("the generator makes valid models");
        let mut ops: Vec<Op> = model.ops().collect();
        let inputs: Vec<Tensor> = ops[2].inputs().copied().collect();
        let Some((input, overlap)) = inputs.iter().find_map(|input| Some((input, ops[2].overlap(input)?))) else {
            continue;
        };
        let (allowed, last) = (overlap.most.min(input.len() as i64 / 2), input.len() as i64 - 1);
        let too_far = (allowed + 1..=last).find(|&distance| !overlap.allows(distance));
        let Some(offset) = too_far.and_then(|far| u32::try_from(i64::from(input.offset) + far).ok()) else { continue };
        let output = Tensor { offset, ..*ops[2].output() };
        match &mut ops[2] {
            Op::Conv2d(op) | Op::DepthwiseConv2d(op) => op.output = output,
            Op::Add(op) => op.output = output,
            Op::Reshape(op) => op.output = output,
            op => panic!("{op:?} is none of the four kinds"),
        }
        if let Op::Dense(op) = &mut ops[3] {
            op.input = output;
        }
        if !input.overlaps(&output) {
            continue;
        }
        let labels: Vec<String> = model.labels().map(str::to_owned).collect();
        let blob =
            write(&Parts { info: *model.info(), labels: &labels, ops: &ops, weights: model.weights(), layers: None });
        let why = OpError::Overlap;
        assert_eq!(Model::parse(&blob).err(), Some(Error::Op { index: 2, why }), "{:?} {seed}", kinds[kind]);
        refused[kind] += 1;
    }
    assert!(refused.into_iter().all(|count| count > 20), "{refused:?}");
}

#[test]
fn weights_that_are_no_exact_transform_are_named() {
    for form in Form::ALL {
        let transformed = |blob: &[u8]| match Model::parse(blob).expect("the generator makes valid models").ops().nth(2)
        {
            Some(Op::Conv2d(conv)) => (conv.weights.layout == form.layout()).then_some(conv),
            _ => None,
        };
        for (with, inputs) in [("a missing fourth channel", 3), ("all channels", 4)] {
            let cases = (0..).map(|seed| random(Kind::Winograd(form), seed).blob);
            let mut blobs = cases.filter(|blob| transformed(blob).is_some_and(|conv| conv.input.channels == inputs));
            let mut blob = blobs.next().expect("there are as many cases as one likes");
            let conv = transformed(&blob).expect("it was chosen so");
            let section =
                Model::parse(&blob).expect("it is valid").weights().as_ptr() as usize - blob.as_ptr() as usize;
            let words = section + conv.weights.weights as usize;
            for at in words..words + (conv.output.channels / 2) as usize * 16 * form.elements() {
                blob[at] ^= 1;
                repair_crc(&mut blob);
                let refused = Some(Error::Op { index: 2, why: OpError::Transform });
                assert_eq!(Model::parse(&blob).err(), refused, "{form:?} with {with}, byte {at}");
                blob[at] ^= 1;
            }
        }
    }
}

#[test]
fn names_and_colours_must_fit() {
    let blob = without_names(InputKind::Image(ANY_IMAGE), [6, 5, 4]);
    assert_eq!(Model::parse(&blob).err(), Some(Error::BadInfo), "a picture has not 4 channels");
    let blob = without_names(InputKind::Tensor, [6, 5, 4]);
    let model = Model::parse(&blob).expect("a good model");
    let ops: Vec<_> = model.ops().collect();
    for (count, outcome) in [(0, None), (3, Some(Error::BadInfo)), (4, None), (120, Some(Error::BadInfo))] {
        let labels = vec![String::from("name"); count];
        let blob = write(&Parts { info: *model.info(), labels: &labels, ops: &ops, weights: &[], layers: None });
        assert_eq!(Model::parse(&blob).err(), outcome, "{count} names for 4 channels");
    }
}

const CALIBRATION: Calibration = Calibration { threshold: 100, images: 40, coverage: 0.5, accuracy: 1.0 };

#[test]
fn a_calibrated_model_answers_from_its_threshold_on() {
    let network = preset(Preset::Shallow, 16, 20, 3);
    let plain = Model::parse(&network.blob).expect("a good model");
    let decided = |model: &Model<'_>| -> Vec<(usize, u8, Option<usize>)> {
        let mut arena = Aligned::new(model.arena_len());
        let outputs = network.inputs.iter().map(|input| infer(model, &mut arena, input));
        let class = |logits: &[i8]| no_std_infer::argmax(logits);
        outputs.map(|o| (class(&o.logits), o.output[class(&o.logits)] as u8 ^ 0x80, o.decision)).collect()
    };
    let always = decided(&plain);
    assert!(always.iter().all(|&(class, _, decision)| decision == Some(class)), "without a calibration it answers");
    let (_, middle, _) = always[0];
    for threshold in [0, middle, middle + 1, 255] {
        let blob = with_calibration(&network.blob, &Calibration { threshold, ..CALIBRATION }).expect("it fits");
        let model = Model::parse(&blob).expect("it was checked");
        assert_eq!(model.calibration().map(|calibration| calibration.threshold), Some(threshold));
        for (&(class, byte, _), (_, _, decision)) in always.iter().zip(decided(&model)) {
            assert_eq!(decision, (byte >= threshold).then_some(class), "{byte} of {threshold}");
        }
        assert!(model.golden() == plain.golden() && model.weights() == plain.weights());
    }
    let twice = with_calibration(&with_calibration(&network.blob, &CALIBRATION).expect("once"), &CALIBRATION);
    assert_eq!(*twice.expect("twice"), *with_calibration(&network.blob, &CALIBRATION).expect("once"));
}

#[test]
fn a_calibration_must_fit_the_model() {
    let blob = preset(Preset::Shallow, 16, 20, 3).blob;
    for (coverage, accuracy) in [(-0.1, 0.5), (0.5, 1.5), (f32::NAN, 0.5), (0.5, f32::INFINITY)] {
        let calibration = Calibration { coverage, accuracy, ..CALIBRATION };
        assert_eq!(with_calibration(&blob, &calibration).err(), Some(Error::BadCalibration), "{calibration:?}");
    }
    for shape in [[1, 1, 3], [6, 5, 3]] {
        let blob = without_names(InputKind::Tensor, shape);
        assert_eq!(with_calibration(&blob, &CALIBRATION).err(), Some(Error::BadCalibration), "no softmax ends it");
    }
}

#[test]
fn every_truncation_is_an_error() {
    let blob = random(Kind::Add, 1).blob;
    for len in 0..blob.len() {
        assert_eq!(Model::parse(&blob[..len]).err(), Some(Error::Truncated), "{len} bytes");
    }
    let longer = Aligned::copy_of(&[&blob[..], &[0]].concat());
    assert_eq!(Model::parse(&longer).err(), Some(Error::TrailingBytes));
}

#[test]
fn every_truncation_with_repaired_length_and_checksum_is_refused_or_defined() {
    let blob = random(Kind::Conv2d, 1).blob;
    for len in HEADER_LEN..blob.len() {
        let mut shorter = Aligned::copy_of(&blob[..len]);
        shorter[8..12].copy_from_slice(&(len as u32).to_le_bytes());
        repair_crc(&mut shorter);
        refused_or_defined(&shorter);
    }
}

#[test]
fn every_flipped_bit_is_an_error() {
    let mut blob = random(Kind::Add, 1).blob;
    for bit in 0..blob.len() * 8 {
        blob[bit / 8] ^= 1 << (bit % 8);
        assert!(Model::parse(&blob).is_err(), "bit {bit}");
        blob[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn every_changed_byte_with_repaired_checksum_is_refused_or_defined() {
    let (mut ran, mut refused) = (0, 0);
    for kind in Kind::ALL {
        let mut blob = random(kind, 3).blob;
        for at in 0..blob.len().min(600) {
            let good = blob[at];
            for change in [0x01, 0x80, 0xff, 0x7f] {
                blob[at] = good ^ change;
                repair_crc(&mut blob);
                *if refused_or_defined(&blob) { &mut ran } else { &mut refused } += 1;
            }
            blob[at] = good;
        }
    }
    assert!(ran > 1000 && refused > 1000, "the test reaches both outcomes: {ran} ran, {refused} refused");
}

#[test]
fn a_misaligned_blob_is_refused() {
    let blob = random(Kind::Add, 1).blob;
    let mut shifted = Aligned::new(blob.len() + 1);
    shifted[1..].copy_from_slice(&blob);
    assert_eq!(Model::parse(&shifted[1..]).err(), Some(Error::Misaligned));
}

#[test]
fn another_version_is_named() {
    let mut blob = random(Kind::Add, 1).blob;
    blob[4] = VERSION as u8 + 1;
    repair_crc(&mut blob);
    assert_eq!(Model::parse(&blob).err(), Some(Error::Version(VERSION + 1)));
}

#[test]
fn a_short_or_misaligned_arena_is_refused() {
    let blob = random(Kind::Add, 1).blob;
    let model = Model::parse(&blob).expect("the generator makes valid models");
    let needed = model.arena_len() as u32;
    let mut short = Aligned::new(model.arena_len() - 1);
    assert_eq!(Interpreter::new(model, &mut short).err(), Some(Error::ArenaTooSmall { needed }));
    let mut long = Aligned::new(model.arena_len() + 1);
    assert_eq!(Interpreter::new(model, &mut long[1..]).err(), Some(Error::ArenaMisaligned));
    let mut fixed = Arena::<{ 1 << 16 }>::new();
    assert!(Interpreter::new(model, &mut fixed).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// A byte of an operator in stripes changed, checksum repaired.
    #[test]
    fn damaged_stripes_are_refused_or_defined(at: prop::sample::Index, value: u8) {
        let mut blob = STRIPES.clone();
        let model = Model::parse(&blob).expect("the blob is good");
        let operators = Section::table(&blob).into_iter().flatten().find(|entry| entry.id == section::OPERATORS);
        let at = operators.expect("the blob has operators").offset as usize + at.index(model.ops().count() * RECORD_LEN);
        blob[at] = value;
        repair_crc(&mut blob);
        refused_or_defined(&blob);
    }

    /// Several bytes changed at once, checksum repaired.
    #[test]
    fn damage_is_refused_or_defined(
        seed in 0_u64..50,
        kind in 0_usize..Kind::ALL.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut blob = random(Kind::ALL[kind], seed).blob;
        for (at, value) in changes {
            let at = at.index(blob.len());
            blob[at] = value;
        }
        repair_crc(&mut blob);
        refused_or_defined(&blob);
    }
}
