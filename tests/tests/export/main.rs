//! What `export` writes: TensorFlow Lite files that give the blob's bytes, imported again and in LiteRT, and C headers that
//! compile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Parser, ValueEnum};
use host_trainer::beside::litert;
use host_trainer::commands::{Cli, run};
use libtest_mimic::{Arguments, Failed, Trial};
use model_compiler::aligned::Aligned;
use model_compiler::blob::emit::{Description, Limits, emit_within};
use model_compiler::export::{Exported, c_header, tflite};
use model_training::config::Preset;
use no_std_infer::Model;
use no_std_infer::format::{InputKind, Provenance};
use tests::corpus::{committed, read};
use tests::mlperf::{Golden, MODELS, missing};
use tests::networks::{noise, preset, random};
use tests::{Engine, Widest};

/// Random inputs that a model is run on.
const INPUTS: u64 = 10;
/// Models of the corpus that come back, at least. Of the others an operator became a table that is written as a GATHER, which is not
/// imported: it is one of those below.
const BACK_MIN: usize = 945;
/// Operators that may be a table: of one element, joined with one before it, or with a number or a slope.
const TABLES: [&str; 24] = [
    "ADD",
    "MUL",
    "SUB",
    "MAXIMUM",
    "MINIMUM",
    "SQUARED_DIFFERENCE",
    "LEAKY_RELU",
    "PRELU",
    "ELU",
    "GELU",
    "ABS",
    "NEG",
    "EXP",
    "LOG",
    "SQRT",
    "RSQRT",
    "QUANTIZE",
    "LOGISTIC",
    "TANH",
    "HARD_SWISH",
    "RELU",
    "RELU6",
    "RELU_0_TO_1",
    "RELU_N1_TO_1",
];

fn main() {
    let python = std::env::var_os("PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let litert = (!litert::is_installed(&python))
        .then(|| "needs LiteRT: pip install ai-edge-litert numpy, and PYTHON names that Python".to_owned());
    let compilers: Vec<_> = ["cc", "gcc", "clang"].into_iter().filter(|compiler| answers(compiler)).collect();
    let compiler = compilers.is_empty().then(|| "needs a C compiler: apt-get install gcc".to_owned());
    let trials = vec![
        test("the_corpus_comes_back", None, corpus),
        test("our_own_networks_come_back", None, networks),
        test("mlperf_comes_back", missing(), mlperf),
        test("litert_gives_the_blob_s_bytes", litert, move || in_litert(&python)),
        test("stripes_are_refused_by_name", None, stripes),
        test("the_header_compiles", compiler, move || compilers.iter().try_for_each(|compiler| header(compiler))),
        test("the_command_writes_both", None, command),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// A test that is shown as ignored, with the reason, where something is missing.
fn test(name: &str, missing: Option<String>, run: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    let trial = Trial::test(name, || run().map_err(|error| Failed::from(format!("{error:#}"))));
    let ignored = missing.is_some();
    trial.with_ignored_flag(ignored).with_kind(missing.unwrap_or_default())
}

fn answers(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn blob_of(tflite: &[u8], limits: Limits) -> Result<Aligned<u8>> {
    let model = model_compiler::import::int8(tflite)?.model;
    let provenance = Provenance::default();
    let description = Description { name: "exported", labels: &[], input: InputKind::Tensor, provenance };
    Ok(emit_within(&model, &description, limits)?.blob)
}

fn output(model: &Model<'_>, input: &[i8]) -> Result<Vec<i8>> {
    Widest::outputs(model, input).pop().context("a model has an operator")
}

fn inputs(model: &Model<'_>) -> Vec<Vec<i8>> {
    (0..INPUTS).map(|seed| noise(seed, model.info().input.tensor.len())).collect()
}

/// Exports a blob and imports that again: the same outputs.
fn comes_back(blob: &[u8], inputs: &[Vec<i8>]) -> Result<Exported> {
    let model = Model::parse(blob)?;
    let exported = tflite(&model)?;
    let again = blob_of(&exported.bytes, Limits::default())?;
    let again = Model::parse(&again)?;
    for (index, input) in inputs.iter().enumerate() {
        ensure!(output(&model, input)? == output(&again, input)?, "input {index}: other bytes");
    }
    Ok(exported)
}

/// All models of the corpus, in the layouts of as much flash as is asked for.
fn corpus() -> Result<()> {
    let mut back = 0;
    for case in read(&committed())? {
        let blob = blob_of(&case.model, Limits { flash: usize::MAX, ..Limits::default() })?;
        let model = Model::parse(&blob)?;
        let exported = tflite(&model).with_context(|| format!("{} ({})", case.name, case.operators))?;
        if exported.notes.iter().any(|note| note.contains("GATHER")) {
            let known = case.operators.split('+').any(|name| TABLES.contains(&name));
            ensure!(known, "{} ({}) became a GATHER", case.name, case.operators);
            continue;
        }
        let inputs: Vec<_> = case.inputs.chunks(model.info().input.tensor.len()).map(<[i8]>::to_vec).collect();
        comes_back(&blob, &inputs).with_context(|| format!("{} ({})", case.name, case.operators))?;
        back += 1;
    }
    ensure!(back >= BACK_MIN, "only {back} models came back");
    Ok(())
}

/// A blob of this project: trained, with a temperature.
fn faces() -> Result<Aligned<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/faces.blob");
    Ok(Aligned::copy_of(&fs::read(path)?))
}

/// Blobs of our own quantisation.
fn own() -> Result<Vec<Aligned<u8>>> {
    let mut blobs: Vec<_> = (0..12).map(|seed| random(seed).blob).collect();
    blobs.extend(Preset::value_variants().iter().map(|&name| preset(name, 24, 28, 3).blob));
    blobs.push(faces()?);
    Ok(blobs)
}

fn networks() -> Result<()> {
    for (index, blob) in own()?.iter().enumerate() {
        comes_back(blob, &inputs(&Model::parse(blob)?)).with_context(|| format!("network {index}"))?;
    }
    Ok(())
}

fn mlperf() -> Result<()> {
    for name in MODELS {
        let golden = Golden::open(name, Limits { flash: usize::MAX, ..Limits::default() })?;
        comes_back(&golden.blob, &golden.inputs).context(name)?;
    }
    Ok(())
}

fn in_litert(python: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    for (index, blob) in own()?.iter().enumerate() {
        let model = Model::parse(blob)?;
        let inputs = inputs(&model);
        let mut expected = Vec::new();
        for input in &inputs {
            expected.extend(output(&model, input)?);
        }
        let bytes = |values: Vec<i8>| values.into_iter().map(|value| value as u8).collect::<Vec<_>>();
        fs::write(file("m.tflite"), tflite(&model)?.bytes)?;
        fs::write(file("in"), bytes(inputs.concat()))?;
        let mut process = Command::new(python);
        process.args(["-c", include_str!("litert.py")]).args(["m.tflite", "in", "out"].map(file));
        let process = process.output()?;
        ensure!(process.status.success(), "network {index}: {}", String::from_utf8_lossy(&process.stderr));
        ensure!(fs::read(file("out"))? == bytes(expected), "network {index}: LiteRT gives other bytes");
    }
    Ok(())
}

fn stripes() -> Result<()> {
    let network = preset(Preset::Mobilenet, 48, 48, 3);
    let labels: Vec<String> = (0..3).map(|class| class.to_string()).collect();
    let description =
        Description { name: "s", labels: &labels, input: InputKind::Tensor, provenance: Provenance::default() };
    let blob = emit_within(&network.model, &description, Limits { arena: Some(0), ..Limits::default() })?.blob;
    let model = Model::parse(&blob)?;
    ensure!(model.ops().count() > network.model.ops.len(), "no layer runs in stripes");
    let error = tflite(&model).err().context("stripes are exported")?;
    let text = format!("{:#}", anyhow!(error));
    ensure!(text.contains("operator") && text.contains("without --ram-budget"), "{text}");
    Ok(())
}

/// A program that looks at all that a header says.
const PROGRAM: &str = "#include \"m.h\"\n\
    static const char *const labels[M_CLASSES] = M_LABELS;\n\
    int main(void) {\n\
        if ((unsigned long long)(__SIZE_TYPE__)m % M_ALIGN != 0 || sizeof m != M_LEN) return 1;\n\
        if (m[0] != 'N' || m[1] != 'S' || m[2] != 'I' || m[3] != 'M') return 2;\n\
        if (M_INPUT_HEIGHT * M_INPUT_WIDTH * M_INPUT_CHANNELS <= 0 || M_INPUT_SCALE <= 0 || M_OUTPUT_SCALE <= 0) return 3;\n\
        if (M_ARENA_LEN <= 0 || M_OUTPUT_LEN < M_CLASSES || M_INPUT_ZERO_POINT < -128 || M_OUTPUT_ZERO_POINT != -128) return 4;\n\
        return M_NAME[0] == 0 || labels[M_CLASSES - 1][0] == 0;\n\
    }\n";

fn header(compiler: &str) -> Result<()> {
    let blob = faces()?;
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    fs::write(file("m.h"), c_header(&Model::parse(&blob)?, &blob, "m"))?;
    fs::write(file("m.c"), PROGRAM)?;
    for (language, standard) in [("c", "c99"), ("c", "c11"), ("c++", "c++98"), ("c++", "c++11")] {
        let mut build = Command::new(compiler);
        build.args(["-x", language, &format!("-std={standard}"), "-Wall", "-Wextra", "-Werror", "-o"]);
        let build = build.args(["program", "m.c"].map(file)).output()?;
        let said = String::from_utf8_lossy(&build.stderr);
        if language == "c++" && said.contains("cc1plus") {
            println!("{compiler} has no C++: only C was compiled");
            continue;
        }
        ensure!(build.status.success(), "{compiler} {standard}: {said}");
        let code = Command::new(file("program")).status()?.code();
        ensure!(code == Some(0), "{compiler} {standard}: {code:?}");
    }
    Ok(())
}

fn command() -> Result<()> {
    let call = |arguments: &[&str]| -> Result<()> {
        run(Cli::try_parse_from(["host-trainer", "export"].iter().chain(arguments))?).map(|_| ())
    };
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (blob, model, header) = (file("model.blob"), file("m.tflite"), file("my-model.h"));
    let faces = faces()?;
    fs::write(&blob, &*faces)?;
    // A folder as a run's, which holds its blob.
    call(&[&folder.path().to_string_lossy(), "--tflite", &model, "--c-header", &header])?;
    ensure!(fs::read(&model)? == tflite(&Model::parse(&faces)?)?.bytes, "the file is another");
    ensure!(fs::read_to_string(&header)?.contains("static const unsigned char my_model[MY_MODEL_LEN]"), "no array");
    let refused = |arguments: &[&str], word: &str| {
        let text = call(arguments).err().map(|error| format!("{error:#}")).unwrap_or_default();
        ensure!(text.contains(word), "{arguments:?}: {text}");
        Ok(())
    };
    refused(&[&blob], "--tflite")?;
    refused(&[&blob, "--c-header", &blob], "another file")
}
