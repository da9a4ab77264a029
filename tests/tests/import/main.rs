//! Importing TensorFlow Lite models that are built here: the bytes that LiteRT 2.3.0's reference kernels give, refusals by
//! name, and damaged files.

mod bounds;
mod compile;
mod sigmoid;

use std::error::Error as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use host_trainer::commands::{Cli, run};
use host_trainer::report::export::PRODUCER;
use model_compiler::blob::emit::{self, Description, Memory, emit};
use model_compiler::graph::{Shape, class};
use model_compiler::import::float::float;
use model_compiler::import::tflite::tflite::{BuiltinOperator, BuiltinOptions, Padding, TensorType};
use model_compiler::import::{self, Kind, int8, read};
use model_compiler::{Error, InputChoice, Limits, Normalisation, Tflite};
use no_std_infer::format::{InputKind, Op, Provenance};
use no_std_infer::kernels::Generic;
use no_std_infer::{Model, argmax};
use tests::gated::gated_classifier;
use tests::tflite::{ENDS, FLOAT_ENDS, Maker, classifier, convolution, float_classifier};

fn refusal(bytes: &[u8]) -> String {
    let error = int8(bytes).expect_err("the model must be refused");
    format!("{:#}", anyhow::Error::from(error))
}

fn assert_names(bytes: &[u8], names: &[&str]) {
    let error = refusal(bytes);
    names.iter().for_each(|name| assert!(error.contains(name), "{name} is not in: {error}"));
}

fn picture() -> Vec<i8> {
    (0..192).map(|i| (((i * 73 + 5) % 256) as u8 ^ 0x80) as i8).collect()
}

/// What LiteRT's reference kernels make of [`picture`] in the [`classifier`].
const FEATURES: [i8; 32] = [
    98, 36, 20, -22, 79, -10, 60, 65, 10, -91, 51, 3, 60, 76, 76, 3, 52, 34, 95, 101, 74, 2, 72, 40, 74, 36, 72, 2, 70,
    40, 42, 77,
];
const RECTIFIED: [i8; 32] = [
    16, -67, -88, -128, -9, -128, -35, -28, -101, -128, -47, -111, -35, -13, -13, -111, -45, -69, 12, 20, -16, -112,
    -19, -61, -16, -67, -19, -112, -21, -61, -59, -12,
];
const LOGITS: [i8; 3] = [26, 43, -41];
const SHARES: [i8; 3] = [-88, 88, -128];

#[test]
fn a_classifier_with_float_ends_gives_litert_s_bytes() {
    let lowered = int8(&classifier().finish(ENDS[0], ENDS[1])).expect("it is imported");
    let names: Vec<&str> = lowered.model.names.iter().map(String::as_str).collect();
    assert_eq!(names, ["features", "rectified", "logits", "shares"]);
    assert_eq!(lowered.changes.len(), 3, "QUANTIZE, PAD and DEQUANTIZE: {:?}", lowered.changes);
    let description =
        Description { name: "c", labels: &[], input: InputKind::Tensor, provenance: Provenance::default() };
    let emitted = emit(&lowered.model, &description).expect("it is emitted");
    let model = Model::parse(&emitted.blob).expect("it is valid");
    assert_eq!(tests::outputs::<Generic>(&model, &picture()), [&FEATURES[..], &RECTIFIED, &LOGITS, &SHARES]);
    assert_eq!(model.info().logits.channels, 3);
    assert_eq!((model.info().input.tensor.scale, model.info().input.tensor.zero_point), (1.0 / 255.0, -128));
}

#[test]
fn a_padding_that_no_convolution_reads_stays() {
    let mut maker = classifier();
    let sum = maker.int8("sum", &[1, 9, 9, 3], 0.01, 0);
    maker.op(BuiltinOperator::Add, &[3, 3], sum, None);
    let lowered = int8(&maker.finish(ENDS[0], sum)).expect("it is imported");
    assert!(matches!(lowered.model.ops[..], [Op::Pad(_), Op::Add(_)]), "{:?}", lowered.model.ops);
}

#[test]
fn functions_that_follow_each_other_become_one_table() {
    let run = |codes: &[BuiltinOperator], inputs: &[i8]| {
        let mut maker = Maker::default();
        let scales = |code| if code == BuiltinOperator::Tanh { (1.0 / 128.0, 0) } else { (0.009, -50) };
        let (scale, zero_point) = if codes[0] == BuiltinOperator::Tanh { (0.03, 7) } else { (1.0 / 128.0, 0) };
        let mut last = maker.int8("in", &[1, 256], scale, zero_point);
        for &code in codes {
            let (scale, zero_point) = scales(code);
            let made = maker.int8("made", &[1, 256], scale, zero_point);
            maker.op(code, &[last], made, None);
            last = made;
        }
        let lowered = int8(&maker.finish(0, last)).expect("it is imported");
        let description =
            Description { name: "t", labels: &[], input: InputKind::Tensor, provenance: Provenance::default() };
        let emitted = emit(&lowered.model, &description).expect("it is emitted");
        let outputs = tests::outputs::<Generic>(&Model::parse(&emitted.blob).expect("it is valid"), inputs);
        assert_eq!(outputs.len(), 1, "{:?}", lowered.model.ops);
        (outputs.concat(), lowered.model.constants.len())
    };
    let all: Vec<i8> = (i8::MIN..=i8::MAX).collect();
    let (tanh, _) = run(&[BuiltinOperator::Tanh], &all);
    let (expected, _) = run(&[BuiltinOperator::Relu], &tanh);
    assert_eq!(run(&[BuiltinOperator::Tanh, BuiltinOperator::Relu], &all), (expected, 256));
}

#[test]
fn what_is_not_supported_is_named() {
    let with = |code| {
        let mut maker = classifier();
        maker.codes[3].deprecated_builtin_code = (code as i32).min(127) as i8;
        maker.codes[3].builtin_code = code;
        maker.finish(ENDS[0], ENDS[1])
    };
    for (code, name) in [
        (BuiltinOperator::Sin, "SIN"),
        (BuiltinOperator::ResizeBilinear, "RESIZE_BILINEAR"),
        (BuiltinOperator::Cumsum, "CUMSUM"),
        (BuiltinOperator::Dilate, "DILATE"),
        (BuiltinOperator::TransposeConv, "TRANSPOSE_CONV"),
    ] {
        assert_names(&with(code), &["operator 3", name, "rectified", "supported neither in int8 nor in float models"]);
    }
    let mut maker = classifier();
    maker.codes[3].deprecated_builtin_code = BuiltinOperator::Custom as i8;
    maker.codes[3].builtin_code = BuiltinOperator::Custom;
    maker.codes[3].custom_code = Some("MyOwn".into());
    assert_names(&maker.finish(ENDS[0], ENDS[1]), &["operator 3", "CUSTOM MyOwn"]);
}

#[test]
fn types_and_shapes_that_are_not_supported_are_named() {
    let with = |change: &dyn Fn(&mut Maker)| {
        let mut maker = classifier();
        change(&mut maker);
        maker.finish(ENDS[0], ENDS[1])
    };
    let retype = |tensor: usize, element| with(&|maker| maker.tensors[tensor].type_ = element);
    assert_names(
        &retype(7, TensorType::Int16),
        &["operator 3", "RELU", "rectified", "INT16", "16x8", "TFLITE_BUILTINS_INT8"],
    );
    assert_names(&retype(8, TensorType::Int4), &["operator 4", "FULLY_CONNECTED", "dense kernel", "INT4"]);
    assert_names(&retype(6, TensorType::Float32), &["CONV_2D", "features", "dynamic-range", "--calibrate"]);
    let signature = |maker: &mut Maker| maker.tensors[6].shape_signature = Some(vec![-1, -1, -1, 2]);
    assert_names(&with(&signature), &["CONV_2D", "features", "fixed input shape"]);
    let batch = |maker: &mut Maker| maker.tensors[6].shape = Some(vec![2, 4, 4, 1]);
    assert_names(&with(&batch), &["CONV_2D", "features", "batch"]);
    let zero_points = |maker: &mut Maker| {
        let quantisation = maker.tensors[4].quantization.as_mut().expect("the kernel has one");
        quantisation.zero_point = Some(vec![3]);
    };
    assert_names(&with(&zero_points), &["CONV_2D", "kernel", "symmetric"]);
    let scale = |maker: &mut Maker| maker.tensors[10].quantization.as_mut().expect("it has one").zero_point = None;
    assert_names(&with(&scale), &["SOFTMAX", "shares", "1/256"]);
}

#[test]
fn an_operator_that_keeps_a_state_is_named_and_so_is_an_edge_tpu() {
    let mut maker = classifier();
    maker.tensors[7].is_variable = true;
    assert_names(&maker.finish(ENDS[0], ENDS[1]), &["operator 3 (RELU", "rectified is a variable", "keeps a state"]);
    let mut maker = classifier();
    maker.codes[3].deprecated_builtin_code = BuiltinOperator::Custom as i8;
    maker.codes[3].builtin_code = BuiltinOperator::Custom;
    maker.codes[3].custom_code = Some("edgetpu-custom-op".into());
    maker.tensors[7].type_ = TensorType::Uint8;
    assert_names(&maker.finish(ENDS[0], ENDS[1]), &["operator 3", "edgetpu-custom-op", "before edgetpu_compiler"]);
}

#[test]
fn scales_of_another_side_run_as_in_tensorflow_lite_micro_with_a_note() {
    let with = |scales: &[f32], axis: i32| {
        let mut maker = classifier();
        let quantisation = maker.tensors[4].quantization.as_mut().expect("the kernel has one");
        (quantisation.scale, quantisation.quantized_dimension) = (Some(scales.to_vec()), axis);
        quantisation.zero_point = Some(vec![0; scales.len()]);
        int8(&maker.finish(ENDS[0], ENDS[1]))
    };
    let right = with(&[0.01, 0.02], 0).expect("it is imported");
    // A side that is none of four, and one of three elements for two scales.
    for axis in [1, 7] {
        let wrong = with(&[0.01, 0.02], axis).expect("it is imported");
        assert_eq!(wrong.model, right.model);
        assert_eq!(wrong.changes.len(), right.changes.len() + 1);
        assert!(wrong.changes.iter().any(|change| change.contains("kernel") && change.contains("quantized_dimension")));
    }
    let one = with(&[0.01], 3).expect("it is imported");
    assert_eq!(one.changes.len(), right.changes.len(), "one scale belongs to all sides");
    assert!(with(&[0.01, 0.02, 0.03], 1).is_err(), "three scales for two outputs");
}

#[test]
fn a_float_model_is_told_of_calibration() {
    assert_names(&float_classifier().finish(FLOAT_ENDS[0], FLOAT_ENDS[1]), &["float", "--calibrate"]);
}

#[test]
fn the_float_graph_computes_what_litert_computes() {
    let bytes = float_classifier().finish(FLOAT_ENDS[0], FLOAT_ENDS[1]);
    let network = read(&bytes).expect("it is a model");
    let graph = float(&network, Normalisation { mean: 0.0, std: 1.0 }).expect("it is translated").graph;
    assert_eq!((graph.nodes.len(), graph.zero), (3, -128), "MUL, RELU and SOFTMAX are joined to others");
    let logits = graph.logits(&picture());
    for (made, expected) in logits.iter().zip([-0.873_041_15, 1.068_562_6, -1.210_322_7_f32]) {
        assert!((made - expected).abs() < 1e-5, "{logits:?}");
    }
    let wrong = float(&network, Normalisation { mean: -5.0, std: 1.0 }).expect_err("no pixel gives 0");
    let wrong = format!("{:#}", anyhow::Error::from(wrong));
    assert!(wrong.contains("CONV_2D") && wrong.contains("--mean"), "{wrong}");
}

#[test]
fn zeros_around_a_float_picture_are_taken_into_the_convolution() {
    let mut maker = Maker::default();
    let mut tensor = |name: &str, shape: &[i32]| maker.tensor(name, shape, TensorType::Float32, None);
    let (input, padded) = (tensor("picture", &[1, 4, 4, 1]), tensor("padded", &[1, 5, 5, 1]));
    let (kernel, sums) = (tensor("kernel", &[1, 2, 2, 1]), tensor("sums", &[1, 2, 2, 1]));
    let (identity, output) = (tensor("identity", &[4, 4]), tensor("output", &[1, 4]));
    let borders = maker.integers("borders", &[4, 2], &[0, 0, 1, 0, 1, 0, 0, 0]);
    let bytes = |values: [f32; 16], len: usize| values[..len].iter().flat_map(|value| value.to_le_bytes()).collect();
    maker.fill(kernel, bytes([1.0; 16], 4));
    maker.fill(identity, bytes(std::array::from_fn(|at| if at % 5 == 0 { 1.0 } else { 0.0 }), 16));
    maker.op(BuiltinOperator::Pad, &[input, borders], padded, None);
    maker.op(BuiltinOperator::Conv2d, &[padded, kernel], sums, convolution(Padding::Valid, 2));
    maker.op(BuiltinOperator::FullyConnected, &[sums, identity], output, None);
    let bytes = maker.finish(input, output);
    let network = read(&bytes).expect("it is a model");
    let graph = float(&network, Normalisation { mean: 0.0, std: 1.0 }).expect("it is translated").graph;
    let pixels: Vec<i8> = (0..16_u8).map(|pixel| (pixel ^ 0x80) as i8).collect();
    // Windows begin at rows and columns −1 and 1: pixels 0; 1 and 2; 4 and 8; 5, 6, 9 and 10.
    assert_eq!(graph.logits(&pixels), [0.0, 3.0, 12.0, 30.0]);
}

#[test]
fn a_float_model_is_quantised_on_a_folder_of_pictures() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str| folder.path().join(name);
    fs::write(file("f.tflite"), float_classifier().finish(FLOAT_ENDS[0], FLOAT_ENDS[1])).expect("written");
    fs::create_dir(file("pictures")).expect("a folder");
    for seed in 0..12_u32 {
        let pixel = |x: u32, y: u32| image::Rgb([x * 9 + seed * 17, y * 11 + seed * 5, x * y + seed].map(|v| v as u8));
        image::RgbImage::from_fn(16, 12, pixel).save(file("pictures").join(format!("{seed}.png"))).expect("written");
    }
    let (model, blob, pictures) = (file("f.tflite"), file("f.blob"), file("pictures"));
    let import = ["import", text(&model), "--out", text(&blob), "--calibrate", text(&pictures)];
    let scaling = ["--mean", "0", "--std", "1"];
    call(&[&import[..], &scaling, &["--json"]].concat()).expect("it is quantised");
    call(&["inspect", text(&blob)]).expect("it is a blob");
    let bytes = fs::read(&blob).expect("the blob was written");
    let aligned = model_compiler::aligned::Aligned::copy_of(&bytes);
    let parsed = Model::parse(&aligned).expect("it is valid");
    let outputs = tests::outputs::<Generic>(&parsed, &picture());
    let shares = outputs.last().expect("it has layers");
    for (made, expected) in shares.iter().zip([0.115_159_24, 0.802_650_75, 0.082_190_05_f32]) {
        assert!(((f32::from(*made) + 128.0) / 256.0 - expected).abs() < 0.03, "{shares:?}");
    }
    let empty = file("empty");
    fs::create_dir(&empty).expect("a folder");
    let none = ["import", text(&model), "--out", text(&blob), "--calibrate", text(&empty)];
    assert!(format!("{:#}", call(&none).unwrap_err()).contains("no image"));
}

/// A model whose only layer has sums that overflow.
fn heavy() -> Vec<u8> {
    let mut maker = Maker::default();
    let input = maker.int8("in", &[1, 1, 1, 1 << 17], 0.1, 0);
    let weights = maker.int8("kernel", &[1, 1, 1, 1 << 17], 0.1, 0);
    let weights = maker.fill(weights, vec![0x80; 1 << 17]);
    let output = maker.int8("heavy", &[1, 1, 1, 1], 1e6, 0);
    maker.op(BuiltinOperator::Conv2d, &[input, weights], output, convolution(Padding::Valid, 1));
    maker.finish(input, output)
}

#[test]
fn a_layer_whose_sums_overflow_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("heavy.tflite");
    fs::write(&path, heavy()).expect("written");
    let error = call(&["import", text(&path), "--out", text(&folder.path().join("heavy.blob"))]).unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("heavy") && error.contains("overflow"), "{error}");
    assert!(!folder.path().join("heavy.blob").exists());
}

#[test]
fn damaged_files_are_errors_or_models_but_never_a_panic() {
    let try_it = |bytes: &[u8]| {
        if let Ok(network) = read(bytes) {
            let _ = float(&network, Normalisation { mean: 0.0, std: 1.0 });
        }
        if let Ok(lowered) = int8(bytes) {
            let description =
                Description { name: "c", labels: &[], input: InputKind::Tensor, provenance: Provenance::default() };
            let _ = emit(&lowered.model, &description);
        }
    };
    let (gated, [input, output]) = gated_classifier();
    let models = [
        classifier().finish(ENDS[0], ENDS[1]),
        float_classifier().finish(FLOAT_ENDS[0], FLOAT_ENDS[1]),
        gated.finish(input, output),
    ];
    for good in models {
        for len in 0..good.len() {
            try_it(&good[..len]);
        }
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, good[at] ^ 0x10] {
                let mut bytes = good.clone();
                bytes[at] = value;
                try_it(&bytes);
            }
        }
    }
    assert!(refusal(b"nothing of this kind").contains("TFL3"));
}

/// Inputs for a network that reads tensors of this shape.
fn call(arguments: &[&str]) -> anyhow::Result<ExitCode> {
    run(Cli::try_parse_from(["host-trainer"].iter().chain(arguments))?)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

#[test]
fn the_commands_import_inspect_and_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str| folder.path().join(name);
    fs::write(file("c.tflite"), classifier().finish(ENDS[0], ENDS[1])).expect("written");
    fs::write(file("labels.txt"), "cat\ndog\nowl\n").expect("written");
    let (model, blob) = (file("c.tflite"), file("c.blob"));
    let import = ["import", text(&model), "--out", text(&blob)];
    let labels = file("labels.txt");
    call(&[&import[..], &["--labels", text(&labels), "--json"]].concat()).expect("it is imported");
    call(&["inspect", text(&blob)]).expect("it is a blob");
    let bytes = fs::read(&blob).expect("the blob was written");
    let aligned = model_compiler::aligned::Aligned::copy_of(&bytes);
    let parsed = Model::parse(&aligned).expect("it is valid");
    assert_eq!(parsed.labels().collect::<Vec<_>>(), ["cat", "dog", "owl"]);
    assert!(parsed.info().input.kind.image().is_some(), "8x8x3 from 0 to 1 is a picture");

    let twice: Vec<u8> = picture().iter().chain(&picture()).map(|&value| value as u8).collect();
    fs::write(file("in.i8"), &twice).expect("written");
    let (input, output, layers) = (file("in.i8"), file("out.i8"), file("layers"));
    let run = ["run", text(&blob), "--input", text(&input), "--output", text(&output)];
    call(&[&run[..], &["--layers", text(&layers)]].concat()).expect("it runs");
    let unsigned = |values: &[i8]| values.iter().map(|&value| value as u8).collect::<Vec<u8>>();
    assert_eq!(fs::read(&output).expect("written"), unsigned(&[SHARES, SHARES].concat()));
    assert_eq!(fs::read(layers.join("02_dense.i8")).expect("written"), unsigned(&LOGITS));
    assert_eq!(fs::read_dir(&layers).expect("a folder").count(), 4);

    fs::write(&input, &twice[1..]).expect("written");
    let error = format!("{:#}", call(&run).unwrap_err());
    assert!(error.contains("383 bytes") && error.contains("192"), "{error}");
    fs::write(file("labels.txt"), "cat\ndog\n").expect("written");
    let error = format!("{:#}", call(&[&import[..], &["--labels", text(&labels)]].concat()).unwrap_err());
    assert!(error.contains("labels.txt has 2 names, the model 3 classes"), "{error}");
    for (names, word) in [("cat\ndog\ncat\n", "line 3"), ("cat\n\ndog\n", "line 2"), ("", "no names")] {
        fs::write(file("labels.txt"), names).expect("written");
        let error = format!("{:#}", call(&[&import[..], &["--labels", text(&labels)]].concat()).unwrap_err());
        assert!(error.contains(word), "{error}");
    }
    let error = format!("{:#}", call(&["import", text(&model), "--out", text(&model)]).unwrap_err());
    assert!(error.contains("--out") && error.contains("another file"), "{error}");
    assert!(call(&[&import[..], &["--input", "tensor"]].concat()).is_ok());
}
