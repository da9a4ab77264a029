//! Models that would take more time or memory than a file of their size may.

use std::fs;

use model_compiler::blob::emit;
use model_compiler::import::Kind;
use model_compiler::import::tflite::tflite::{BuiltinOperator, BuiltinOptions, Padding, Pool2DOptions, TensorType};
use model_compiler::{ARENA_MAX, Error, Normalisation, RUN_AT_MOST, Tflite};
use no_std_infer::{Cost, Model};
use tests::tflite::{ENDS, Maker, classifier};

use super::{call, text};

/// One MAX_POOL_2D over 12,000 rows and columns, 2,800 at a time: 10^15 comparisons of 434 bytes.
fn endless() -> Vec<u8> {
    let mut maker = Maker::default();
    let [from, to] = ["a", "b"].map(|name| maker.int8(name, &[1, 12_000, 12_000, 1], 1.0, 0));
    let window = Pool2DOptions { padding: Padding::Same, stride_w: 1, stride_h: 1, ..Pool2DOptions::default() };
    let window = Pool2DOptions { filter_width: 2800, filter_height: 2800, ..window };
    maker.op(BuiltinOperator::MaxPool2d, &[from], to, Some(BuiltinOptions::Pool2DOptions(Box::new(window))));
    maker.finish(from, to)
}

#[test]
fn a_model_that_runs_for_ever_is_refused_before_it_runs() {
    let bytes = endless();
    assert!(bytes.len() < 600, "{}", bytes.len());
    let needed = Cost { products: 12_000 * 12_000 * 2800 * 2800, bytes: 2 * 12_000 * 12_000 };
    let compile = |bytes: &[u8], most: Option<Cost>| {
        let model = Tflite::read(bytes)?;
        most.into_iter().fold(model, Tflite::run_at_most).compile()
    };
    let Err(Error::Cost { needed: found, most }) = compile(&bytes, None) else { panic!("it must be refused") };
    assert_eq!((found, most), (needed, RUN_AT_MOST));

    // Whoever allows more, or less, is asked.
    let small = classifier().finish(ENDS[0], ENDS[1]);
    let cost = Model::parse(&compile(&small, None).expect("it is small").blob).expect("it is valid").cost();
    assert!(compile(&small, Some(cost)).is_ok());
    for less in [Cost { products: cost.products - 1, ..cost }, Cost { bytes: 1, ..cost }] {
        assert!(matches!(compile(&small, Some(less)), Err(Error::Cost { most, .. }) if most == less));
    }

    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, blob) = (folder.path().join("endless.tflite"), folder.path().join("model.blob"));
    fs::write(&model, &bytes).expect("written");
    let error = call(&["import", text(&model), "--out", text(&blob)]).expect_err("it must be refused");
    let error = format!("{error:#}");
    for named in ["1128960000000000 products", "10000000000 products", "--max-products 1128960000000000"] {
        assert!(error.contains(named), "{named} is not in: {error}");
    }
    assert!(!blob.exists());
}

/// The mean of a MAX_POOL_2D of one number at a time over `side` rows and columns: little to compute, but large tensors.
fn large(side: i32, element: TensorType) -> Vec<u8> {
    let mut maker = Maker::default();
    let picture = [1, side, side, 1];
    let [from, to, mean] = [("a", &picture[..]), ("b", &picture), ("c", &[1, 1])].map(|(name, shape)| match element {
        TensorType::Int8 => maker.int8(name, shape, 1.0, 0),
        _ => maker.tensor(name, shape, element, None),
    });
    let axes = maker.integers("axes", &[2], &[1, 2]);
    let window = Pool2DOptions { padding: Padding::Same, stride_w: 1, stride_h: 1, ..Pool2DOptions::default() };
    let window = Pool2DOptions { filter_width: 1, filter_height: 1, ..window };
    maker.op(BuiltinOperator::MaxPool2d, &[from], to, Some(BuiltinOptions::Pool2DOptions(Box::new(window))));
    maker.op(BuiltinOperator::Mean, &[to, axes], mean, None);
    maker.finish(from, mean)
}

#[test]
fn a_model_that_needs_more_memory_than_any_board_has_is_refused_before_it_is_held() {
    let normalisation = Normalisation { mean: 0.0, std: 1.0 };
    let (small, side) = (large(64, TensorType::Int8), 6000);
    assert!(Tflite::read(&small).and_then(Tflite::compile).is_ok());

    let int8 = large(side, TensorType::Int8);
    let float = large(side, TensorType::Float32);
    let calibrated = Tflite::read(&float).expect("it is a model").calibrate(normalisation, |shape| {
        panic!("no picture of {shape:?} is to be made");
    });
    for refused in [Tflite::read(&int8).and_then(Tflite::compile), calibrated.compile()] {
        let Err(Error::Blob(emit::Error::Arena { needed })) = refused else { panic!("{refused:?}") };
        assert!(needed >= 6000 * 6000 && needed > ARENA_MAX as usize, "{needed}");
    }
}

#[test]
fn a_file_that_names_its_parts_again_and_again_is_refused() {
    // More operators than are looked at pair by pair.
    let mut chain = Maker::default();
    let tensors: Vec<i32> = (0..2050).map(|_| chain.int8("t", &[1, 1, 1, 1], 1.0, 0)).collect();
    tensors.windows(2).for_each(|pair| chain.op(BuiltinOperator::Relu, &pair[..1], pair[1], None));
    let error = Tflite::read(&chain.finish(tensors[0], tensors[2049])).err().expect("it must be refused");
    assert!(matches!(&error, Error::Model(error) if error.kind() == Kind::OutOfRange), "{error}");
    assert!(error.to_string().contains("2049 operators, more than 2048"), "{error}");

    // The same constants, read by many operators: 2,000 times 256 KB of 300 KB.
    let mut shared = Maker::default();
    let input = shared.int8("input", &[1, 512], 1.0, 0);
    let weights = shared.int8("weights", &[512, 512], 1.0, 0);
    shared.fill(weights, vec![0; 512 * 512]);
    let outputs: Vec<i32> = (0..2000).map(|_| shared.int8("t", &[1, 512], 1.0, 0)).collect();
    for (from, to) in [input].iter().chain(&outputs).zip(&outputs) {
        let options = BuiltinOptions::FullyConnectedOptions(Box::default());
        shared.op(BuiltinOperator::FullyConnected, &[*from, weights, -1], *to, Some(options));
    }
    let error = Tflite::read(&shared.finish(input, outputs[1999])).err().expect("it must be refused");
    assert!(error.to_string().contains("524288000 bytes of constants, more than 268435456"), "{error}");
}
