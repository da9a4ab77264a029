//! Each operator in the browser, whose vectors this machine cannot run otherwise: every byte is the oracle's.

use anyhow::{Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use no_std_infer::Model;
use serde_json::{Value, json};
use tests::operators::{Case, Kind, random};
use tests::{Reference, outputs};

use super::{FACES, bytes, shown};

/// Models of each operator, one operator each.
const CASES: u64 = 20;
/// What the page does with a list of models: for each the outputs of all operators, or what it was refused for.
const RUN: &str = "async (models) => {
    const all = [];
    for (const { blob, input, ...known } of models) {
        const engine = await Engine.open(decoded(model.wasm), decoded(blob), known);
        engine.input().set(decoded(input));
        const outputs = [];
        engine.run((_, bytes) => outputs.push(Array.from(bytes)));
        all.push(outputs);
    }
    return all;
}";

pub(super) fn each_operator_gives_the_oracles_bytes() -> Result<()> {
    let (mut browser, _folder) = shown(&FACES, &[])?;
    for kind in Kind::ALL {
        let cases: Vec<Case> = (0..CASES).map(|seed| random(kind, seed)).collect();
        let models: Vec<Value> = cases.iter().map(known).collect::<Result<_>>()?;
        let found = browser.evaluate(&format!("({RUN})({})", Value::from(models)))?;
        for (seed, case) in cases.iter().enumerate() {
            let outputs = outputs::<Reference>(&Model::parse(&case.blob)?, &case.input);
            let wanted: Vec<Vec<u8>> = outputs.iter().map(|output| bytes(output)).collect();
            let found: Vec<Vec<u8>> = serde_json::from_value(found[seed].clone())?;
            ensure!(found == wanted, "{kind:?} {seed}: {found:?} in the browser, {wanted:?} by the oracle");
        }
    }
    browser.expect_silence()
}

/// A model as the page takes it.
fn known(case: &Case) -> Result<Value> {
    let model = Model::parse(&case.blob)?;
    let input = &model.info().input.tensor;
    let place = |range: std::ops::Range<usize>| json!({ "offset": range.start, "length": range.len() });
    Ok(json!({
        "blob": BASE64_STANDARD.encode(&*case.blob),
        "input": BASE64_STANDARD.encode(bytes(&case.input)),
        "arena": model.arena_len(),
        "width": input.width,
        "height": input.height,
        "channels": input.channels,
        "operators": model.ops().map(|op| place(op.output().range())).collect::<Vec<_>>(),
    }))
}
