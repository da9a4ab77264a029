//! The demo prints what its files say.

use anyhow::{Context, Result, ensure};
use host_trainer::device::{Program, build, folder, run_demo};
use model_compiler::aligned::Aligned;
use model_training::measure::evaluate::infer;
use no_std_infer::Model;
use no_std_infer::image::{Frame, PixelFormat};
use tests::app::{SIDE, drawn_frame};

use super::{model_input, shipped_blob};

/// The demo's picture.
const DEMO_SEED: u64 = 1;
const DEMO_CLASS: usize = 1;
/// Share by which another compiler may change the demo's counts.
const COUNT_TOLERANCE: f64 = 0.15;

const REMEDY: &str = "`UPDATE_EXPECTED=1 cargo test -p tests --test device` writes the new one";

/// Compares the demo's picture and output with the files beside its source; `UPDATE_EXPECTED=1` writes them instead.
pub(super) fn the_demo_prints_what_is_expected() -> Result<()> {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let bytes = drawn_frame(DEMO_SEED, DEMO_CLASS);
    let picture = folder()?.join("boards/mps2/src/bin/demo.rgb565");
    if update {
        std::fs::write(&picture, &bytes)?;
    }
    ensure!(std::fs::read(&picture)? == bytes, "{} is not the drawing that it was; {REMEDY}", picture.display());

    let blob = shipped_blob()?;
    let printed = run_demo(&build(Program::Demo, &blob)?)?;
    let model = Model::parse(&blob)?;
    let input = model_input(&model, &Frame::new(PixelFormat::Rgb565Be, SIDE, SIDE, &bytes)?)?;
    let host = infer(&model, &mut Aligned::new(model.arena_len()), &input);
    let label = model.labels().nth(no_std_infer::argmax(&host.logits)).context("a class has a label")?;
    let line = printed.lines().find(|line| line.starts_with('>')).context("the demo names a class")?;
    ensure!(line.ends_with(label), "the host finds {label} and the demo printed\n{printed}");

    let path = folder()?.join("boards/mps2/src/bin/demo.expected");
    if update {
        std::fs::write(&path, &printed)?;
    }
    let expected = std::fs::read_to_string(&path).with_context(|| format!("{}; {REMEDY}", path.display()))?;
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let same = words(&printed).len() == words(&expected).len()
        && words(&printed).iter().zip(&words(&expected)).all(|(a, b)| a == b || same_count(a, b));
    ensure!(same, "the demo printed\n{printed}\nwhere {} has\n{expected}\n{REMEDY}", path.display());
    Ok(())
}

/// True when both are counts of at least three digits and nearly equal.
fn same_count(a: &str, b: &str) -> bool {
    let count = |text: &str| text.parse::<f64>().ok().filter(|&count| count >= 100.0);
    matches!((count(a), count(b)), (Some(a), Some(b)) if (a - b).abs() <= COUNT_TOLERANCE * b)
}
