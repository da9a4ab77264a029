//! Rung 3 of the parity ladder: random models of the operators that are imported, byte for byte against LiteRT.
//!
//! `differential/corpus.gz` holds models, inputs, and what LiteRT's reference kernels made of them; `differential/README.md`
//! says how they were drawn. `DIFFERENTIAL_CORPUS` names another corpus.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use model_compiler::aligned::Aligned;
use model_compiler::blob::emit::{Description, Limits, emit_within};
use no_std_infer::Model;
use no_std_infer::format::{InputKind, Provenance};
use no_std_infer::kernels::{Armv7em, Generic};
use tests::corpus::{Case, committed, read};
use tests::{Engine, Reference, Widest};

/// Names another corpus than the committed one.
const CORPUS: &str = "DIFFERENTIAL_CORPUS";
/// Models that the committed corpus has at least.
const MODELS_MIN: usize = 500;

/// Models and bytes of one list of operators.
#[derive(Default)]
struct Score {
    models: usize,
    bytes: usize,
    equal: usize,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { models, bytes, equal } = self;
        write!(f, "{models:4} models, {equal:6} of {bytes:6} bytes equal:")
    }
}

fn import(bytes: &[u8], flash: usize) -> Result<Aligned<u8>> {
    let model = model_compiler::import::int8(bytes)?.model;
    let provenance = Provenance::default();
    let description = Description { name: "random", labels: &[], input: InputKind::Tensor, provenance };
    Ok(emit_within(&model, &description, Limits { flash, ..Limits::default() })?.blob)
}

/// The model's outputs for all inputs of a case.
fn run<K: Engine>(model: &Model<'_>, case: &Case) -> Result<Vec<i8>> {
    let length = model.info().input.tensor.len();
    ensure!(case.inputs.len() == case.samples * length, "the input has {length} elements, {} here", case.inputs.len());
    let mut outputs = Vec::new();
    for input in case.inputs.chunks(length.max(1)) {
        outputs.extend(tests::outputs::<K>(model, input).pop().context("a model has an operator")?);
    }
    Ok(outputs)
}

/// Number of bytes that are LiteRT's, or where the first other one is.
fn compare(case: &Case) -> (usize, Result<()>) {
    let outputs = || -> Result<Vec<i8>> {
        let smallest = import(&case.model, 0)?;
        let model = Model::parse(&smallest).context("the blob is refused")?;
        let outputs = run::<Reference>(&model, case)?;
        // With as much flash as is asked for, layers have other layouts.
        for blob in [&smallest, &import(&case.model, usize::MAX)?] {
            let model = Model::parse(blob).context("the blob is refused")?;
            ensure!(run::<Generic>(&model, case)? == outputs, "the generic kernels differ from the reference");
            ensure!(
                run::<Widest>(&model, case)? == outputs,
                "the kernels for this machine's vectors differ from the reference"
            );
            ensure!(
                run::<Armv7em>(&model, case)? == outputs,
                "the kernels for the DSP extension differ from the reference"
            );
        }
        ensure!(outputs.len() == case.expected.len(), "{} bytes, LiteRT has {}", outputs.len(), case.expected.len());
        Ok(outputs)
    };
    let outputs = match outputs() {
        Ok(outputs) => outputs,
        Err(error) => return (0, Err(error)),
    };
    let differs = |&at: &usize| outputs[at] != case.expected[at];
    let equal = outputs.len() - (0..outputs.len()).filter(differs).count();
    let first = (0..outputs.len()).find(differs);
    let told = first.map(|at| anyhow!("byte {at} is {}, LiteRT's is {}", outputs[at], case.expected[at]));
    (equal, told.map_or(Ok(()), Err))
}

#[test]
fn every_byte_is_litert_s() {
    let path = std::env::var_os(CORPUS).map_or_else(committed, PathBuf::from);
    let cases = read(&path).expect("the corpus can be read");
    let mut scores: BTreeMap<&str, Score> = BTreeMap::new();
    let mut failures = Vec::new();
    for case in &cases {
        let (equal, result) = compare(case);
        let score = scores.entry(&case.operators).or_default();
        score.models += 1;
        score.bytes += case.expected.len();
        score.equal += equal;
        if let Err(error) = result {
            failures.push(format!("{} ({}): {error:#}\n    {}", case.name, case.operators, case.options));
        }
    }
    print(&scores);
    assert!(failures.is_empty(), "{} of {} models fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
    let run: usize = scores.values().map(|score| score.models).sum();
    assert!(run >= MODELS_MIN || std::env::var_os(CORPUS).is_some(), "only {run} models were run");
}

fn print(scores: &BTreeMap<&str, Score>) {
    let mut all = Score::default();
    for (operators, score) in scores {
        println!("{score} {operators}");
        all.models += score.models;
        all.bytes += score.bytes;
        all.equal += score.equal;
    }
    println!("{all} in all");
}
