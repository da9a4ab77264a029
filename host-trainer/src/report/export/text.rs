//! A run's report as text.

use model_compiler::quantise::Method;
use model_compiler::quantise::noise::LayerSqnr;
use model_compiler::quantise::search::Choice;
use model_training::measure::comparison::{shorten, text_table};
use model_training::system::terminal::escaped;

use super::Report;

/// Longest name of a layer in a table; longer ones are cut.
const LONGEST_NAME: usize = 44;

impl Report {
    /// The report for people: tables of 100 columns.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text: String = self.verdict.iter().map(|sentence| format!("{sentence}\n")).collect();
        text += &format!("\n{}", self.comparison.to_text());
        text += &format!("\nQuantisation: {} calibration images\n", self.calibration_images);
        text += &choice_text(&self.quantisation);
        self.notes.iter().for_each(|note| text += &format!("  note: {note}\n"));
        text += &format!("\n{}\n", layers_text(&self.layers));
        text += &format!(
            "\nflash {} bytes, arena {} bytes (lower bound {}), {:.2} M MACs, temperature {:.3}\n",
            self.flash,
            self.arena,
            self.arena_lower_bound,
            self.macs as f64 / 1e6,
            self.temperature
        );
        if let Some(target) = &self.target {
            text += &format!("{}\n", target.sentence());
        }
        if let Some(confidence) = &self.confidence {
            text += &format!("\n{}", confidence.to_text());
        }
        text
    }
}

/// A line for each method tried, and one for the correction of the biases; or one for ranges that were learnt.
#[must_use]
pub fn choice_text(choice: &Choice) -> String {
    if let (true, [(_, db)]) = (choice.aware, &choice.methods[..]) {
        let method = choice.method.name();
        return format!("  learnt with the ranges of {method}: SQNR of the logits {}\n", decibels(*db));
    }
    let line = |(method, db): &(Method, Option<f64>)| {
        let chosen = if *method == choice.method { " (chosen)" } else { "" };
        format!("  {}: SQNR of the logits {}{chosen}\n", method.name(), decibels(*db))
    };
    let methods: String = choice.methods.iter().map(line).collect();
    let rounds: Vec<String> = choice.correction.iter().map(|&db| decibels(db)).collect();
    let kept = match choice.corrected {
        0 => "not used".to_owned(),
        1 => "the first is used".to_owned(),
        round => format!("number {round} is used"),
    };
    let equalised = choice.equalisation.map_or_else(String::new, |[without, with]| {
        let used = if choice.equalised { "used" } else { "not used" };
        format!("  equalised channels: {}, without {} ({used})\n", decibels(with), decibels(without))
    });
    format!("{methods}  after rounds of bias correction: {} ({kept})\n{equalised}", rounds.join(", "))
}

fn decibels(db: Option<f64>) -> String {
    db.map_or("exact".to_owned(), |db| format!("{db:.1} dB"))
}

/// The table of SQNR by layer.
#[must_use]
pub fn layers_text(layers: &[LayerSqnr]) -> String {
    let mut table = text_table(&["layer", "operator", "output", "SQNR"], 2);
    for layer in layers {
        let shape = format!("{}x{}x{}", layer.shape.height, layer.shape.width, layer.shape.channels);
        table.add_row([last_part(&layer.name), layer.op.clone(), shape, decibels(layer.db)]);
    }
    format!("Signal to quantisation noise by layer\n{}", table.trim_fmt())
}

/// The end of a layer's name, which tells it from others, where it is too long.
fn last_part(name: &str) -> String {
    let backwards: String = escaped(name).chars().rev().collect();
    shorten(&backwards, LONGEST_NAME).chars().rev().collect()
}
