//! ONNX models beside ONNX Runtime: float graphs, their int8 models, and models that were quantised elsewhere.
//!
//! `models` holds small models with inputs and what ONNX Runtime makes of them, which `models.py` and `outputs.py` have made. With
//! Python and onnxruntime both are made anew, and `ONNX_MODELS` names a folder of further models.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use host_kernels::Prepared;
use libtest_mimic::{Arguments, Failed, Trial};
use model_compiler::graph::{class, softmax};
use model_compiler::import::float::{Normalisation, float};
use model_compiler::import::lower::lower;
use model_compiler::import::{Arithmetic, arithmetic};
use model_compiler::quantise::Ending;
use model_compiler::{Compiled, Limits, Onnx, Tflite};
use no_std_infer::Model;
use no_std_infer::format::Op;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What the models' inputs are of bytes: a 64th of each, so that zeros around a picture are exact.
const NORMALISATION: Normalisation = Normalisation { mean: 128.0, std: 64.0 };
/// Most by which a float output may differ from ONNX Runtime's, as a share of the largest.
const FLOAT_TOLERANCE: f32 = 1e-4;
/// Least signal-to-noise ratio in dB of the int8 model of a small float model.
const SQNR_MIN: f64 = 20.0;
/// How often each small model is damaged.
const DAMAGES: usize = 300;
/// Most steps by which an output of a quantised model may differ from ONNX Runtime's: LiteRT's sums of a mean are rounded twice.
const STEPS_MAX: i32 = 1;
/// The same after a softmax, which may widen a step of the scores, and has steps of 1/256 in place of 1/255.
const STEPS_MAX_AFTER_SOFTMAX: i32 = 2;
/// Least share of bytes that a small quantised model has in common with ONNX Runtime.
const EQUAL_MIN: f64 = 0.7;

fn main() {
    let python = env::var_os("PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx");
    let mut has = Command::new(&python);
    let has = has.args(["-c", "import numpy, onnx, onnxruntime"]).output().is_ok_and(|output| output.status.success());
    let models = scripts.join("models");
    let damaged_models = models.clone();
    let mut trials = vec![Trial::test("small_models_give_what_onnx_runtime_gave", move || checked(&models, true))];
    trials.push(Trial::test("damaged_models_are_read_or_refused_by_name", move || Ok(damaged(&damaged_models)?)));
    let name = "small_models_give_what_onnx_runtime_gives";
    let anew = scripts.clone();
    let other = python.clone();
    let anew = Trial::test(name, move || {
        let folder = tempfile::tempdir()?;
        script(&other, &anew.join("models.py"), folder.path())?;
        script(&other, &anew.join("outputs.py"), folder.path())?;
        checked(folder.path(), true)
    });
    let remedy = "needs ONNX Runtime: pip install onnx onnxruntime numpy, and PYTHON names that Python";
    trials.push(if has { anew } else { anew.with_ignored_flag(true).with_kind(remedy) });
    if let Some(folder) = env::var_os("ONNX_MODELS").map(PathBuf::from) {
        trials.push(Trial::test("models_of_the_folder_give_what_onnx_runtime_gives", move || {
            script(&python, &scripts.join("outputs.py"), &folder)?;
            checked(&folder, false)
        }));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn script(python: &Path, script: &Path, folder: &Path) -> Result<()> {
    let output = Command::new(python).arg(script).arg(folder).output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}

/// Compares every model of a folder; small ones must be close in int8, too.
fn checked(folder: &Path, small: bool) -> std::result::Result<(), Failed> {
    let mut models: Vec<PathBuf> = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    models.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    models.sort();
    let mut failed = Vec::new();
    for path in &models {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        match compared(path, small) {
            Ok(text) => println!("{name}: {text}"),
            Err(error) => failed.push(format!("{name}: {}", chain(&*error))),
        }
    }
    if failed.is_empty() && !models.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}

fn chain(error: &dyn std::error::Error) -> String {
    let texts = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    texts.collect::<Vec<_>>().join(": ")
}

fn compared(path: &Path, small: bool) -> Result<String> {
    let bytes = fs::read(path)?;
    assert!(Onnx::recognises(&bytes), "its content says what it is");
    let onnx = Onnx::read(&bytes)?;
    let network = onnx.network();
    let len = network.tensors[network.input].len();
    let inputs = fs::read(path.with_extension("inputs"))?;
    let inputs: Vec<Vec<i8>> =
        inputs.chunks_exact(len).map(|input| input.iter().map(|&byte| byte as i8).collect()).collect();
    let outputs = fs::read(path.with_extension("outputs"))?;
    let outputs: Vec<f32> = outputs.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let expected: Vec<&[f32]> = outputs.chunks_exact(outputs.len() / inputs.len()).collect();
    match arithmetic(&network)? {
        Arithmetic::Float => in_float(&onnx, &inputs, &expected, small),
        Arithmetic::Int8 => in_int8(onnx.model()?, &inputs, &expected, small),
    }
}

/// Changes bytes of models, and cuts them off: each is read, or refused with a text.
fn damaged(folder: &Path) -> Result<()> {
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "onnx") {
            continue;
        }
        let whole = fs::read(path)?;
        for _ in 0..DAMAGES {
            let mut bytes = whole.clone();
            match random(4) {
                0 => bytes.truncate(random(whole.len())),
                _ => (0..=random(3)).for_each(|_| bytes[random(whole.len())] = random(256) as u8),
            }
            let read = Onnx::read(&bytes).and_then(|onnx| {
                let network = onnx.network();
                match arithmetic(&network)? {
                    Arithmetic::Float => float(&network, NORMALISATION).map(drop),
                    Arithmetic::Int8 => lower(&network).map(drop),
                }
            });
            if let Err(error) = read {
                assert!(!chain(&error).is_empty());
            }
        }
    }
    Ok(())
}

/// A float model: its graph beside ONNX Runtime, and its int8 model beside the graph.
fn in_float(onnx: &Onnx, inputs: &[Vec<i8>], expected: &[&[f32]], small: bool) -> Result<String> {
    let translated = float(&onnx.network(), NORMALISATION)?;
    let (mut most, mut largest, mut same) = (0.0_f32, 0.0_f32, 0);
    for (input, expected) in inputs.iter().zip(expected) {
        let scores = translated.graph.logits(input);
        same += usize::from(class(&scores) == class(expected));
        let made = match translated.ending {
            Ending::Softmax { .. } => softmax(&scores, 1.0).iter().map(|&share| share as f32).collect(),
            Ending::Sigmoid => scores.iter().map(|score| 1.0 / (1.0 + (-score).exp())).collect(),
            Ending::Outputs => scores,
        };
        for (made, expected) in made.iter().zip(*expected) {
            most = most.max((made - expected).abs());
            largest = largest.max(expected.abs());
        }
    }
    if most > FLOAT_TOLERANCE * largest {
        return Err(format!("a float output differs from ONNX Runtime's by {most}, of {largest} at most").into());
    }
    let all = inputs.to_vec();
    let model = onnx.model()?.limits(Limits::default()).calibrate(NORMALISATION, |_| Ok(all));
    let Compiled { quantisation, blob, .. } = model.compile()?;
    let quantised = quantisation.ok_or("a float model is quantised")?;
    let db = quantised.db.unwrap_or(f64::INFINITY);
    if small && db < SQNR_MIN {
        return Err(format!("its int8 model has {db:.1} dB").into());
    }
    let agreeing = quantised.agreeing.map_or("-".to_owned(), |agreeing| format!("{agreeing} of {}", quantised.checked));
    Ok(format!(
        "{} layers, float differs by {most:.1e} of {largest:.3}, same class {same} of {}; int8 {db:.1} dB, same class {agreeing}, {} bytes",
        translated.graph.nodes.len(),
        inputs.len(),
        blob.len()
    ))
}

/// A quantised model: within one step of what ONNX Runtime makes.
fn in_int8(model: Tflite<'_>, inputs: &[Vec<i8>], expected: &[&[f32]], small: bool) -> Result<String> {
    let compiled = model.compile()?;
    let model = Model::parse(&compiled.blob).map_err(|error| format!("{error:?}"))?;
    let (input, last) = (model.info().input.tensor, model.ops().last().ok_or("it has operators")?);
    let (output, prepared) = (*last.output(), Prepared::new(&model));
    let steps = if matches!(last, Op::Softmax(_)) { STEPS_MAX_AFTER_SOFTMAX } else { STEPS_MAX };
    let (mut equal, mut all, mut most, mut same) = (0_usize, 0_usize, 0, 0);
    for (bytes, expected) in inputs.iter().zip(expected) {
        // QuantizeLinear divides floats of single precision.
        let real = |byte: &i8| ((f64::from(*byte) + 128.0 - NORMALISATION.mean) / NORMALISATION.std) as f32;
        let step = |byte: &i8| (real(byte) / input.scale).round_ties_even() + f32::from(input.zero_point);
        let bytes: Vec<i8> = bytes.iter().map(|byte| step(byte).clamp(-128.0, 127.0) as i8).collect();
        let mut made = Vec::new();
        prepared.runner().run_profiled(&bytes, |_, output| made = output.to_vec());
        let expected: Vec<i32> =
            expected.iter().map(|real| (real / output.scale).round() as i32 + i32::from(output.zero_point)).collect();
        for (made, expected) in made.iter().zip(&expected) {
            let off = (i32::from(*made) - expected).abs();
            (equal, all, most) = (equal + usize::from(off == 0), all + 1, most.max(off));
        }
        let best = |values: &[i32]| {
            values.iter().enumerate().max_by_key(|(at, value)| (**value, std::cmp::Reverse(*at))).map(|(at, _)| at)
        };
        let made: Vec<i32> = made.iter().map(|&byte| byte.into()).collect();
        same += usize::from(best(&made) == best(&expected));
    }
    let text = format!(
        "{equal} of {all} bytes are equal, others differ by {most} at most; same class {same} of {}",
        inputs.len()
    );
    // Steps of a deep model's layers add up.
    let close = most <= steps && equal as f64 >= EQUAL_MIN * all as f64;
    if small && !close { Err(text.into()) } else { Ok(text) }
}
