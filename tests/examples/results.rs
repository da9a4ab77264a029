//! Puts the figures of finished runs into `results.json`, and the demo's picture into `docs`.
//!
//! `cargo run -p tests --example results -- RUNS [TABLE...]`, where `RUNS` is the folder `runs` of the commands in
//! `results.json`, and only the tables that are named are made, where some are. A table whose runs are not all there stays as it was. The MLPerf Tiny models are run on this
//! machine and in QEMU, and timed beside LiteRT, where all of that is there; `$PYTHON` names a Python that has LiteRT.
//! `UPDATE_DOCS=1 cargo test -p tests --test docs` then renders the tables.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use host_trainer::report::export::Report;
use model_compiler::blob::emit::Limits;
use model_training::measure::comparison::{Comparison, Split};
use model_training::measure::scores::{FoldScore, Scores};
use model_training::run::cross_validation::CvDir;
use model_training::system::atomic;
use no_std_infer::Model;
use no_std_infer::kernels::Generic;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tests::mlperf::{self, Bytes, Golden, MODELS};
use tests::results::{Measured, Provenance, Results, device_rows, grouped};

/// One row or two of a table: the name shown, the folders below `RUNS` with `SEED` for the seed, the splits.
type Source = (&'static str, &'static str, &'static [&'static str]);

const BOTH: &[&str] = &["validation", "test"];
/// Seeds of the runs: 1 to this.
const SEEDS: u32 = 5;
const DEMO: &[Source] = &[("resnet8", "demo-SEED/resnet8", BOTH), ("shallow, 60 epochs", "shallow-SEED", BOTH)];
/// The published split of the pets.
const PETS: &[Source] = &[("data/pets-transfer.toml", "pets-SEED", BOTH)];
/// What another camera does to the test images of the demo: the names of `dev faces --shift`.
const SHIFTS: [&str; 6] = ["dark", "cast", "blur", "noise", "jpeg", "all"];
/// Cross-validations without a configuration: the name shown, the folder below `RUNS`.
const FOLDS: &[(&str, &str)] = &[
    ("drawn faces", "cv-faces"),
    ("pets", "cv-pets"),
    ("CIFAR-10", "cv-cifar10"),
    ("digits of scikit-learn", "cv-digits"),
    ("MNIST", "cv-mnist"),
];

fn main() -> Result<()> {
    let runs = PathBuf::from(std::env::args().nth(1).context("give the folder that holds the runs")?);
    let named: Vec<String> = std::env::args().skip(2).collect();
    let wanted = |id: &str| named.is_empty() || named.iter().any(|named| named == id);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let file = root.join("results.json");
    let mut results = Results::load(&file)?;
    let provenance = provenance()?;
    type Rows<'a> = &'a dyn Fn() -> Result<Vec<Vec<String>>>;
    let tables: [(&str, Rows<'_>); 7] = [
        ("demo", &|| rows(&runs, DEMO)),
        ("pets-split", &|| rows(&runs, PETS)),
        ("camera", &|| camera_rows(&runs)),
        ("folds", &|| fold_rows(&runs)),
        ("device", &|| device_rows(&root)),
        ("mlperf", &mlperf_rows),
        ("bench", &bench_rows),
    ];
    for (id, rows) in tables.into_iter().filter(|(id, _)| wanted(id)) {
        match rows() {
            Ok(rows) => replace(&mut results, id, rows, &provenance)?,
            Err(error) => println!("{id}: left as it is: {error:#}"),
        }
    }
    results.save(&file)?;
    let picture = runs.join("demo-1/resnet8/predictions.svg");
    if let Some(svg) = std::fs::read(&picture).ok().filter(|_| wanted("demo")) {
        atomic::write(&root.join("docs/demo.svg"), &svg)?;
        println!("docs/demo.svg is {}", picture.display());
    }
    Ok(())
}

fn provenance() -> Result<Provenance> {
    let output = |program: &str, arguments: &[&str]| -> Result<String> {
        let output = Command::new(program).args(arguments).output().with_context(|| format!("cannot run {program}"))?;
        ensure!(output.status.success(), "{program} fails: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism()?;
    Ok(Provenance {
        commit: output("git", &["rev-parse", "--short", "HEAD"])?,
        cpu: format!("{}, {cores} cores", name.map_or(std::env::consts::ARCH, |(_, name)| name)),
        date: output("date", &["-u", "+%F"])?,
    })
}

fn replace(results: &mut Results, id: &str, rows: Vec<Vec<String>>, provenance: &Provenance) -> Result<()> {
    let old = results.results.iter().find(|result| result.id == id);
    let old = old.with_context(|| format!("results.json has no table `{id}`"))?;
    results.put(Measured { rows, provenance: provenance.clone(), ..old.clone() });
    println!("{id}: measured anew");
    Ok(())
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not what it is called", path.display()))
}

fn rows(runs: &Path, sources: &[Source]) -> Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    for (name, run, splits) in sources {
        let report = |seed: u32| read::<Report>(&runs.join(run.replace("SEED", &seed.to_string())).join("report.json"));
        let reports = (1..=SEEDS).map(report).collect::<Result<Vec<_>>>()?;
        for wanted in *splits {
            let split = |report: &Report| report.comparison.splits.iter().find(|split| split.name == *wanted).cloned();
            let splits: Option<Vec<Split>> = reports.iter().map(split).collect();
            rows.push(accuracy_row(name, &splits.with_context(|| format!("{run} has no {wanted} images"))?)?);
        }
    }
    Ok(rows)
}

/// The mean over the runs, and their lowest and highest.
fn over_seeds(splits: &[Split], decimals: usize, value: impl Fn(&Split) -> Option<f64>) -> Result<String> {
    let values: Option<Vec<f64>> = splits.iter().map(value).collect();
    let values = values.context("a run does not compare two engines")?;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Ok(format!("{mean:.decimals$} ({low:.decimals$} to {high:.decimals$})"))
}

fn float(split: &Split) -> Option<f64> {
    Some(split.engines.first()?.accuracy.value)
}

fn int8(split: &Split) -> Option<f64> {
    Some(split.engines.get(1)?.accuracy.value)
}

fn agreement(split: &Split) -> Option<f64> {
    Some(split.engines.get(1)?.agreement.as_ref()?.same.value)
}

fn images(splits: &[Split]) -> Result<usize> {
    Ok(splits.first().and_then(|split| split.engines.first()).context("no engine")?.accuracy.total)
}

fn accuracy_row(name: &str, splits: &[Split]) -> Result<Vec<String>> {
    Ok(vec![
        name.to_owned(),
        format!("{} {}", images(splits)?, splits.first().context("no run")?.name),
        over_seeds(splits, 3, float)?,
        over_seeds(splits, 3, int8)?,
        over_seeds(splits, 3, agreement)?,
    ])
}

/// What the int8 models of the demo, and those that learnt with `[augment.camera]` besides, have right of the test images as they are, and as
/// other cameras see them.
fn camera_rows(runs: &Path) -> Result<Vec<Vec<String>>> {
    let of = |sources: &[Source]| -> Result<String> {
        let rows = rows(runs, sources)?;
        Ok(rows.first().context("no test images")?[3].clone())
    };
    let [without, with] = ["demo-SEED/resnet8", "camera-SEED"].map(|run| of(&[("", run, &["test"])]));
    let mut table = vec![vec!["none".to_owned(), without?, with?]];
    for shift in SHIFTS {
        let mut row = vec![shift.to_owned()];
        for trained in ["", "camera-"] {
            let split = |seed: u32| {
                let evaluation: Comparison = read(&runs.join(format!("shift/{shift}-{trained}{seed}.json")))?;
                evaluation.splits.into_iter().next().context("nothing was evaluated")
            };
            let splits = (1..=SEEDS).map(split).collect::<Result<Vec<_>>>()?;
            // `eval` runs one engine: int8.
            row.push(over_seeds(&splits, 3, |split| Some(split.engines.first()?.accuracy.value))?);
        }
        table.push(row);
    }
    Ok(table)
}

/// A row for each cross-validation that is there, which is joined anew.
fn fold_rows(runs: &Path) -> Result<Vec<Vec<String>>> {
    let row = |(name, folder): (&str, PathBuf)| {
        let (_, predictions) = CvDir::new(&folder).join()?;
        let scores = Scores::new(&predictions);
        let share = |fold: &FoldScore| fold.int8 as f64 / fold.images as f64;
        let lowest = scores.folds.iter().map(share).fold(f64::INFINITY, f64::min);
        let highest = scores.folds.iter().map(share).fold(f64::NEG_INFINITY, f64::max);
        Ok(vec![
            name.to_owned(),
            format!("{} of {}", grouped(scores.images as u64), grouped(scores.groups as u64)),
            scores.float.accuracy.to_string(),
            scores.int8.accuracy.to_string(),
            format!("{lowest:.3} to {highest:.3}"),
            scores.difference.to_string(),
            scores.agreement.to_string(),
        ])
    };
    let there: Vec<_> =
        FOLDS.iter().map(|(name, folder)| (*name, runs.join(folder))).filter(|(_, it)| it.exists()).collect();
    ensure!(!there.is_empty(), "{} holds no cross-validation", runs.display());
    there.into_iter().map(row).collect()
}

/// Models whose arena stripes of rows make shorter, and the most bytes that it may then take.
const MODELS_IN_STRIPES: [&str; 2] = ["resnet8", "vww"];
const IN_STRIPES: u32 = 29 * 1024;

fn mlperf_rows() -> Result<Vec<Vec<String>>> {
    if let Some(reason) = mlperf::missing() {
        bail!("{reason}");
    }
    let share = |bytes: Bytes| format!("{} of {}", grouped(bytes.equal as u64), grouped(bytes.all as u64));
    let row = |(name, arena): (&str, Option<u32>)| {
        let golden = Golden::open(name, Limits { flash: 0, arena, ..Limits::default() })?;
        let [outputs, layers] = golden.compare::<Generic>()?;
        let (device, instructions) = golden.compare_on_device(golden.inputs.len())?;
        let model = Model::parse(&golden.blob)?;
        Ok(vec![
            if arena.is_some() { format!("{name}, in stripes") } else { name.to_owned() },
            share(outputs),
            share(layers),
            share(device),
            grouped(model.arena_len() as u64),
            grouped(golden.blob.len() as u64),
            grouped(instructions),
        ])
    };
    let in_stripes = MODELS_IN_STRIPES.map(|name| (name, Some(IN_STRIPES)));
    MODELS.map(|name| (name, None)).into_iter().chain(in_stripes).map(row).collect()
}

/// What `host-trainer bench` measures on the MLPerf Tiny models.
fn bench_rows() -> Result<Vec<Vec<String>>> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--package", "host-trainer", "--", "bench", "--json"]);
    // Of many short rounds the shortest: others use the machine too.
    command.args(["--rounds", "100", "--seconds", "0.01", "--python"]);
    command.arg(std::env::var_os("PYTHON").unwrap_or("python3".into()));
    for name in MODELS {
        command.arg(mlperf::file(name)?);
    }
    let output = command.output().context("cannot run cargo")?;
    ensure!(output.status.success(), "bench fails: {}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let row = |(name, row): (&&str, &Value)| {
        let seconds = |engine: &Value| engine["shortest"].as_f64().context("bench lacks an engine");
        let vectors = row["vectors"].as_array().context("bench names the vectors")?;
        let widest = vectors.last().unwrap_or(&row["ours"]);
        let of = |isa: &str| vectors.iter().find(|vectors| vectors["isa"] == isa);
        let mut cells = vec![(*name).to_owned(), format!("{:.2}", seconds(&row["ours"])? * 1e3)];
        for isa in ["AVX2", "AVX-VNNI", "AVX-512 VNNI"] {
            let time = of(isa).map(|vectors| seconds(vectors).map(|seconds| format!("{:.3}", seconds * 1e3)));
            cells.push(time.transpose()?.unwrap_or_else(|| "-".to_owned()));
        }
        for engine in ["litert_reference", "litert_xnnpack"] {
            let other = seconds(&row[engine])?;
            cells.push(format!("{:.3} (ours takes {:.2} times as long)", other * 1e3, seconds(widest)? / other));
        }
        Ok(cells)
    };
    MODELS.iter().zip(&rows).map(row).collect()
}
