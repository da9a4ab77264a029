//! What a certificate says, in sentences.

use model_training::measure::comparison::Split;
use model_training::measure::metrics::Share;

use super::{Certificate, Costs, Difference, Image, Operator, Place, Run, Subject, Value};

/// What was not measured, and what is not proved.
pub(super) fn limits(runs: &[Run], subject: &Subject<'_>) -> Vec<String> {
    let mut said = Vec::new();
    let images = runs.first().map_or(0, |run| run.images);
    let of = |place| runs.iter().filter(move |run| run.place == place);
    match of(Place::Specification).next() {
        None => said
            .push("The specification was not run: that the kernels compute what it says was not measured.".to_owned()),
        Some(run) if run.images < images => {
            said.push(format!("The specification was run for {} of the {images} images.", run.images))
        }
        Some(_) => {}
    }
    if runs.iter().all(|run| run.costs.is_none()) {
        said.push("No device was asked: nothing is said about one.".to_owned());
    }
    for run in of(Place::Emulator) {
        said.push(format!(
            "{} is emulated: its firmware and its instructions are those of a board, its counts are no times.",
            capital(&named(run))
        ));
    }
    for run in of(Place::Board) {
        said.push(format!(
            "{} says itself what it is: nothing proves which firmware answers, nor that the link leads to a board.",
            capital(&named(run))
        ));
    }
    if of(Place::Board).next().is_none() {
        said.push("No board was measured.".to_owned());
    }
    if subject.graph.is_none() {
        said.push("The float network is not known: what quantisation costs was not measured.".to_owned());
    }
    if !subject.unseen {
        said.push("Which images the model was trained on is not known: the accuracy may flatter.".to_owned());
    }
    said
}

/// A run, for people.
pub(in crate::report) fn named(run: &Run) -> String {
    match run.place {
        Place::Host => "this machine".to_owned(),
        Place::Specification => "the specification".to_owned(),
        Place::Emulator => format!("{} in QEMU", run.board),
        Place::Board => format!("{} at {}", run.board, run.link),
    }
}

impl Certificate {
    /// Two sentences or more: whether all bytes agree, or where they do not, and how many images are right.
    #[must_use]
    pub fn verdict(&self) -> Vec<String> {
        let mut said: Vec<String> = self.runs.iter().filter_map(|run| self.difference(run)).collect();
        if said.is_empty() {
            said.push(self.agreement());
        }
        let accuracy = self.accuracy.splits.last().and_then(accuracy);
        said.insert(1, accuracy.unwrap_or_else(|| "There are no images to be right about.".to_owned()));
        said
    }

    /// Where all bytes are the same.
    fn agreement(&self) -> String {
        let images = self.images.len();
        let (specified, others): (Vec<&Run>, Vec<&Run>) =
            self.runs.iter().partition(|run| run.place == Place::Specification);
        let specified = specified.first().map(|run| format!("as the specification says for {} of them", run.images));
        let places: Vec<String> = others.into_iter().map(named).collect();
        match (places.split_last(), specified) {
            (Some((last, others)), specified) if !others.is_empty() => format!(
                "Every byte of every layer's output is the same on {} and {last} for {images} images{}.",
                others.join(", "),
                specified.map_or(String::new(), |specified| format!(", and {specified}"))
            ),
            (_, Some(specified)) => format!(
                "The model was run on this machine alone, for {images} images; every byte of every layer's output is {specified}."
            ),
            _ => format!("The model was run on this machine alone, for {images} images, and compared with nothing."),
        }
    }

    fn difference(&self, run: &Run) -> Option<String> {
        let difference = run.first_difference.as_ref()?;
        let Operator { layer, kind, .. } = self.operators.get(difference.operator)?;
        let Image { name, .. } = self.images.get(difference.image)?;
        let Difference { operator, value, .. } = difference;
        let what = match value {
            Some(Value { at: [y, x, c], host, found }) => {
                format!("row {y}, column {x}, channel {c} of its output is {found} where this machine has {host}")
            }
            None => "asked again, it gave this machine's bytes, so that it is not the same each time".to_owned(),
        };
        Some(format!(
            "{} differs from this machine for {} of {} images, first in {layer} (operator {operator}, {kind}), for {name}: {what}.",
            capital(&named(run)),
            run.differing_images,
            run.images
        ))
    }
}

impl Costs {
    /// Milliseconds of an inference at most, where cycles and clock are known.
    #[must_use]
    pub fn milliseconds(&self) -> Option<f64> {
        (self.hz > 0 && self.unit == "cycles").then(|| self.network[1] as f64 * 1e3 / f64::from(self.hz))
    }
}

fn accuracy(split: &Split) -> Option<String> {
    let engine = split.engines.iter().find(|engine| engine.name == "int8")?;
    let Share { total, value, low, high, .. } = engine.accuracy;
    Some(format!(
        "The int8 model has {:.0} % of {total} {} pictures right; of new ones like them probably {:.0} % to {:.0} %.",
        100.0 * value,
        split.name,
        100.0 * low,
        100.0 * high
    ))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}
