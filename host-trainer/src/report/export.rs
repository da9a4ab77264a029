//! The end of a run: quantises the trained network, writes the blob and reports how it compares with the float network.

mod text;

use anyhow::{Context, Result, bail};
use model_compiler::blob::emit::{Description, Emitted, Limits, emit_within};
use model_compiler::blob::with_calibration;
use model_compiler::quantise::calibrate::{calibration_indices, temperature};
use model_compiler::quantise::noise::LayerSqnr;
use model_compiler::quantise::search::{self, Best, Choice};
use model_compiler::quantise::{Ending, Method, QuantModel};
use model_training::config::{Config, Normalization};
use model_training::data::dataset::{Images, Loaded, Reading, Sample};
use model_training::data::record::Record;
use model_training::measure::comparison::{Comparison, Split};
use model_training::measure::confidence::{Confidence, Measures, float_forecasts, int8_forecasts};
use model_training::measure::evaluate::{Said, float_classes, float_logits, int8_classes, int8_outputs};
use model_training::measure::predictions::{PREDICTIONS_FILE, Predictions};
use model_training::run::folder::RunDir;
use model_training::system::{atomic, read};
use no_std_infer::Model;
use no_std_infer::format::{Calibration, ImageInput, InputKind, Provenance};
use serde::{Deserialize, Serialize};

use crate::device::boards::{Place, places};
use crate::device::target::{Target, TargetFit};
use crate::report::boards::Fit;
use crate::report::made::Made;
use crate::report::verdict::verdict;
use crate::report::{gallery, pages, plots};
pub use text::{choice_text, layers_text};

/// What a blob says made it.
pub const PRODUCER: &str = concat!("host-trainer ", env!("CARGO_PKG_VERSION"));
/// Name of the report's file for programs.
const REPORT_JSON: &str = "report.json";
/// Fewest validation images that a temperature is fitted on.
const TEMPERATURE_IMAGES: usize = 200;

/// What the end of a run measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The model's name; empty in reports of earlier versions.
    #[serde(default)]
    pub name: String,
    /// What the figures mean, in sentences.
    #[serde(default)]
    pub verdict: Vec<String>,
    /// How the recipe was chosen, the verdict's last sentences; none where it was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chosen: Vec<String>,
    /// Float and int8 on each split.
    pub comparison: Comparison,
    /// How the int8 model was chosen.
    #[serde(flatten)]
    pub quantisation: Choice,
    /// Number of calibration images.
    pub calibration_images: usize,
    /// SQNR of each layer on the calibration images.
    pub layers: Vec<LayerSqnr>,
    /// Temperature of the probabilities: cross-validation's, or else fitted on the validation images, or 1 where these are
    /// too few.
    pub temperature: f32,
    /// What the probabilities of the last split cost against the truth, at this temperature: float and int8. None in reports of
    /// earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probabilities: Option<[Measures; 2]>,
    /// What cross-validation says about the probabilities, where it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// Length of the blob in bytes.
    pub flash: usize,
    /// Length of the arena in bytes.
    pub arena: usize,
    /// Bytes that the activations alive at one time need in any plan.
    pub arena_lower_bound: usize,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// What quantisation had to change, a sentence each.
    pub notes: Vec<String>,
    /// What the blob takes on common boards, estimated.
    #[serde(default)]
    pub boards: Vec<Fit>,
    /// Whether the blob fits what the model is to run on, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetFit>,
    /// What made this report; none in reports of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
}

/// What an export is asked for.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// How the ranges of activations are chosen; where there is none, those that the network has learnt, or else by the best
    /// of all methods.
    pub method: Option<Method>,
    /// What the blob may take; where there is none, what the target has, or else the least.
    pub limits: Option<Limits>,
    /// What the model is to run on.
    pub target: Option<Target>,
    /// Where temperature and abstention come from; the validation images where there is none.
    pub confidence: Option<Confidence>,
    /// Boards that the report tells about.
    pub boards: Vec<Place>,
    /// The model's name; that of the run folder where there is none.
    pub name: Option<String>,
    /// How the recipe was chosen, in sentences that follow the verdict's; those of the report before where there are none.
    pub chosen: Vec<String>,
}

impl Choices {
    /// What a configuration asks for, and all boards.
    ///
    /// # Errors
    /// When there is no such target, or the list of boards cannot be read.
    pub fn of(config: &Config) -> Result<Self> {
        let target = config.target.as_ref().map(Target::new).transpose()?;
        Ok(Self { method: config.quantize.method, boards: places()?, target, ..Self::default() })
    }
}

/// Quantises the run's network as `choices` say and writes `model.blob`, `report.json`, `report.html`, `twin.html`, the pictures
/// and, last of all, the predictions for the test images, or for the validation images where there are no others, into the
/// run folder.
///
/// # Errors
/// When the network cannot be quantised or a file cannot be written.
pub fn export(run: &RunDir, config: &Config, record: &Record, images: &Loaded, choices: &Choices) -> Result<Report> {
    let graph = run.graph()?;
    let chosen = calibration_indices(images.train.len(), config.quantize.images(record.classes.len()));
    let calibration: Vec<Vec<i8>> = chosen.map(|index| images.train.input(index)).collect();
    let unseen = unseen(record, images);
    let float: Vec<Vec<Vec<f32>>> = unseen.iter().map(|split| float_logits(&graph, split.images)).collect();
    let temperature = match &choices.confidence {
        Some(confidence) => confidence.int8.temperature,
        None if images.valid.len() < TEMPERATURE_IMAGES => 1.0,
        None => temperature(&float[0], &images.valid.labels),
    };
    let name = choices.name.clone().unwrap_or_else(|| run.name());
    let source = Source { name: &name, config, record };

    let emit_plain = |model: &QuantModel| source.emit(model, Provenance::default(), Limits::default());
    let ending = Ending::Softmax { temperature };
    let best = match (choices.method, run.ranges()?) {
        (None, Some(learnt)) => search::learnt(&graph, &calibration, &learnt, ending, emit_plain)?,
        (method, _) => {
            let methods = method.map_or(Method::ALL.to_vec(), |method| vec![method]);
            search::best(&graph, &calibration, &methods, ending, emit_plain)?
        }
    };
    let Best { choice, model: quantised, plain, layers } = best;
    tracing::debug!("calibration on {} images chose:\n{}", calibration.len(), choice_text(&choice).trim_end());

    // Budgets change where a model's bytes lie, not what it says: what is said here holds for the blob that ships.
    let model = Model::parse(&plain.blob)?;
    let said = |(split, float): (&Unseen<'_>, _)| Said { float, int8: int8_outputs(&model, split.images) };
    let said: Vec<Said> = unseen.iter().zip(float).map(said).collect();
    let comparison = compare(&record.classes, &unseen, &said);
    let hash = run.config_hash()?;
    let provenance = source.provenance(&comparison, &hash);
    let targets = || choices.target.as_ref().map(|target| target.limits(&model, plain.blob.len()));
    let limits = choices.limits.or_else(targets).unwrap_or_default();
    let mut emitted = source.emit(&quantised, provenance, limits)?;
    if let Some(calibration) = choices.confidence.as_ref().and_then(abstention) {
        emitted.blob = with_calibration(&emitted.blob, &calibration)?;
    }
    let model = Model::parse(&emitted.blob)?;
    let (Some(last), Some(said)) = (unseen.last(), said.last()) else { bail!("there is no image to validate with") };
    let predictions = Predictions::of(&model, last.samples, said);
    let macs = model.ops().map(|op| op.macs()).sum();
    let sizes = [emitted.blob.len(), model.arena_len()];
    let chosen = if choices.chosen.is_empty() { chosen_before(run) } else { choices.chosen.clone() };
    let report = Report {
        name: name.clone(),
        verdict: [verdict(record, &comparison, &run.epochs()?), chosen.clone()].concat(),
        chosen,
        comparison,
        quantisation: choice,
        calibration_images: calibration.len(),
        layers,
        temperature,
        probabilities: Some(measured(&predictions, temperature)?),
        confidence: choices.confidence.clone(),
        flash: sizes[0],
        arena: sizes[1],
        arena_lower_bound: emitted.plan.lower_bound as usize,
        macs,
        notes: quantised.notes,
        target: choices.target.as_ref().map(|target| target.fit(&model, emitted.blob.len())).transpose()?,
        boards: choices.boards.iter().map(|place| Fit::new(place, sizes, macs)).collect(),
        made: Some(Made::now(config.seed)),
    };
    write(run, &emitted, &report)?;
    show(run, &model, (last.images, said), &report)?;
    let twin = pages::twin_of_run(&emitted.blob, &model, last.images, last.samples)?;
    atomic::write(&run.file(pages::TWIN_FILE), twin.as_bytes())?;
    let page = pages::training_run(run, record, images, &report, &predictions, &twin)?;
    atomic::write(&run.file(pages::REPORT_FILE), page.as_bytes())?;
    predictions.save(&run.file(PREDICTIONS_FILE))?;
    Ok(report)
}

/// Says in the report of a run that was [exported](export) how its recipe was chosen, now that this is known.
///
/// # Errors
/// When the report cannot be read, or a file cannot be written.
pub fn tell_choice(run: &RunDir, record: &Record, images: &Loaded, chosen: Vec<String>) -> Result<Report> {
    let mut report = report_of(run)?;
    report.verdict.truncate(report.verdict.len().saturating_sub(report.chosen.len()));
    report.verdict.extend_from_slice(&chosen);
    report.chosen = chosen;
    let predictions = Predictions::load(&run.file(PREDICTIONS_FILE))?;
    atomic::write(&run.file(REPORT_JSON), serde_json::to_string_pretty(&report)?.as_bytes())?;
    let twin = read::text(&run.file(pages::TWIN_FILE), read::DATA)?;
    let page = pages::training_run(run, record, images, &report, &predictions, &twin)?;
    atomic::write(&run.file(pages::REPORT_FILE), page.as_bytes())?;
    Ok(report)
}

/// The report of a run that was [exported](export).
///
/// # Errors
/// When it cannot be read.
pub fn report_of(run: &RunDir) -> Result<Report> {
    let path = run.file(REPORT_JSON);
    let text = read::text(&path, read::DATA)?;
    serde_json::from_str(&text).with_context(|| format!("{} is no report of a run: make it again", path.display()))
}

/// How the recipe was chosen, as the run's report says, where there is one that says it.
fn chosen_before(run: &RunDir) -> Vec<String> {
    report_of(run).map_or_else(|_| Vec::new(), |report| report.chosen)
}

/// What [`export`] needs of a run's images: those that are measured with, and of the training images those that are
/// calibrated on or shown.
#[must_use]
pub fn reading(record: &Record, config: &Config) -> Reading {
    let calibration = calibration_indices(record.train.len(), config.quantize.images(record.classes.len()));
    let train = Some(calibration.chain(pages::shown(record)).collect());
    Reading { train, ..Reading::of_run(config) }
}

/// What the probabilities of float and int8 cost against the truth.
fn measured(predictions: &Predictions, temperature: f32) -> Result<[Measures; 2]> {
    let (truth, temperatures) = (predictions.truth(), vec![temperature; predictions.images.len()]);
    let int8 = int8_forecasts(predictions, &temperatures)?;
    Ok([float_forecasts(predictions, &temperatures), int8].map(|forecasts| Measures::new(&truth, &forecasts)))
}

/// When the model should rather not answer, where a threshold reaches what is wanted.
fn abstention(confidence: &Confidence) -> Option<Calibration> {
    let &Confidence { threshold, images, coverage, accuracy, .. } = confidence;
    let (coverage, accuracy) = (coverage.value as f32, accuracy.value as f32);
    Some(Calibration { threshold: threshold?, images: images as u32, coverage, accuracy })
}

struct Source<'a> {
    name: &'a str,
    config: &'a Config,
    record: &'a Record,
}

impl<'a> Source<'a> {
    fn emit(&self, model: &QuantModel, provenance: Provenance<'_>, limits: Limits) -> Result<Emitted> {
        let Normalization { mean, std } = self.record.normalization(self.config);
        let image = ImageInput { color: self.config.input.color, fit: self.config.input.fit, mean, std };
        let description =
            Description { name: self.name, labels: &self.record.classes, input: InputKind::Image(image), provenance };
        Ok(emit_within(model, &description, limits)?)
    }

    /// The accuracy is that on the test images, or on the validation images where there are no others.
    fn provenance(&self, comparison: &Comparison, config: &'a str) -> Provenance<'a> {
        let shares = |split: &Split| split.engines.iter().map(|engine| engine.accuracy).collect::<Vec<_>>();
        let shares = comparison.splits.last().map(shares).unwrap_or_default();
        let value = |engine: usize| shares.get(engine).map_or(0.0, |share| share.value as f32);
        Provenance {
            config,
            dataset: &self.record.hash,
            producer: PRODUCER,
            images: shares.first().map_or(0, |share| share.total as u32),
            float_accuracy: value(0),
            int8_accuracy: value(1),
        }
    }
}

/// The images of a split that were not learnt.
struct Unseen<'a> {
    name: &'static str,
    samples: &'a [Sample],
    images: &'a Images,
}

/// The splits of a run that have images to measure with, validation before test.
fn unseen<'a>(record: &'a Record, images: &'a Loaded) -> Vec<Unseen<'a>> {
    let splits = [("validation", &record.valid, &images.valid), ("test", &record.test, &images.test)];
    let unseen = splits.map(|(name, samples, images)| Unseen { name, samples, images });
    unseen.into_iter().filter(|split| !split.images.is_empty()).collect()
}

/// Float and int8 on each split.
fn compare(classes: &[String], unseen: &[Unseen<'_>], said: &[Said]) -> Comparison {
    let split = |(Unseen { name, samples, images }, said): (&Unseen<'_>, &Said)| {
        let (float, int8) = (float_classes(&said.float), int8_classes(&said.int8));
        let groups: Vec<&str> = samples.iter().map(Sample::cluster).collect();
        let engines: [(&str, &[usize]); 2] = [("float", &float), ("int8", &int8)];
        Split::new(name, classes.len(), &images.labels, &groups, &engines)
    };
    Comparison { labels: classes.to_vec(), splits: unseen.iter().zip(said).map(split).collect() }
}

fn write(run: &RunDir, emitted: &Emitted, report: &Report) -> Result<()> {
    atomic::write(&run.blob(), &emitted.blob)?;
    atomic::write(&run.file("curves.svg"), plots::curves(&run.epochs()?)?.as_bytes())?;
    for split in &report.comparison.splits {
        for engine in &split.engines {
            let (split, engine_name) = (&split.name, &engine.name);
            let path = run.file(&format!("confusion-{split}-{engine_name}.svg"));
            let title = format!("{split}, {engine_name}");
            let svg = plots::confusion(&title, &report.comparison.labels, &engine.confusion)?;
            atomic::write(&path, svg.as_bytes())?;
        }
    }
    atomic::write(&run.file(REPORT_JSON), serde_json::to_string_pretty(report)?.as_bytes())
}

/// Draws the answers to test images, or to validation images where there are no others.
fn show(run: &RunDir, model: &Model<'_>, (images, said): (&Images, &Said), report: &Report) -> Result<()> {
    let Some(split) = report.comparison.splits.last() else { return Ok(()) };
    let accuracy = split.engines.last().map_or_else(String::new, |engine| format!("{}", engine.accuracy));
    let title = format!("Answers of the int8 model, {} images: accuracy {accuracy}", split.name);
    gallery::predictions(&run.file("predictions.svg"), &title, model, (images, &said.int8))
}
