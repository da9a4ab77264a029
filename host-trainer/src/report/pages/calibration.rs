//! How far probabilities can be believed.

use anyhow::Result;
use maud::{Markup, PreEscaped, html};
use model_training::measure::confidence::{Bin, Calibrated, Confidence, Measures, Point};
use model_training::system::html::table;

use crate::report::plots;

/// The probabilities of a run's own unseen images.
pub(super) struct OfRun<'a> {
    pub temperature: f32,
    /// Float and int8.
    pub measures: Option<[Measures; 2]>,
    /// Float and int8.
    pub reliability: [&'a [Bin]; 2],
    pub curve: &'a [Point],
    /// Share of the answers that is wanted right.
    pub wanted: f64,
    /// The probability in 256ths from which on the model answers.
    pub threshold: Option<u8>,
}

impl OfRun<'_> {
    pub fn to_html(&self) -> Result<Markup> {
        let temperature = format!("{:.3}", self.temperature);
        let row = |(name, m): (&str, &Measures)| measured(name, &temperature, m);
        let rows: Vec<_> = ["float", "int8"].into_iter().zip(self.measures.iter().flatten()).map(row).collect();
        let [float, int8] = self.reliability;
        let drawn = plots::reliability("Reliability", &[("float", float), ("int8", int8)])?;
        let answers = plots::risk_coverage("Answers, int8", self.curve, self.wanted, self.threshold)?;
        Ok(html! {
            (table(&["engine", "temperature", "NLL", "Brier", "ECE"], &rows))
            (EXPLANATION)
            (PreEscaped(drawn)) (PreEscaped(answers))
        })
    }
}

const EXPLANATION: PreEscaped<&str> = PreEscaped(
    "<p class=\"soft\">NLL: mean of minus the logarithm of the true class's probability, in nats. Brier: mean squared \
     distance of the probabilities from the truth, 0 to 2. ECE: by how much, in the mean, the share that is right misses the \
     probability. All are better when smaller. On the diagonal, a probability is as good as its word.</p>",
);

fn measured(name: &str, temperature: &str, measures: &Measures) -> Vec<String> {
    let numbers = [measures.nll, measures.brier, measures.ece].map(|value| format!("{value:.3}"));
    [name.to_owned(), temperature.to_owned()].into_iter().chain(numbers).collect()
}

/// What a cross-validation says about the probabilities.
pub(super) fn of_folds(confidence: &Confidence) -> Result<Markup> {
    let rows = |(name, engine): (&str, &Calibrated)| {
        let [low, high] = engine.perfect_ece;
        let with = |mut row: Vec<String>, band: String| {
            row.push(band);
            row
        };
        [
            with(measured(name, "1", &engine.before), String::new()),
            with(
                measured(name, &format!("{:.3}", engine.temperature), &engine.after),
                format!("{low:.3} to {high:.3}"),
            ),
        ]
    };
    let engines = [("float", &confidence.float), ("int8", &confidence.int8)];
    let rows: Vec<Vec<String>> = engines.into_iter().flat_map(rows).collect();
    let mut plots = Vec::new();
    for (name, engine) in engines {
        let [before, after] = &engine.reliability;
        plots.push(plots::reliability(&format!("Reliability, {name}"), &[("before", before), ("after", after)])?);
    }
    plots.push(plots::risk_coverage("Answers, int8", &confidence.curve, confidence.wanted, confidence.threshold)?);
    Ok(html! {
        (table(&["engine", "temperature", "NLL", "Brier", "ECE", "a perfect model's ECE"], &rows))
        p {
            "Each fold's temperature is fitted on the other folds. Of 100 perfectly calibrated models, 95 have an ECE in the \
             last column, on as many images in the same groups. " (capitalised(&confidence.decision_text())) "."
        }
        (EXPLANATION)
        @for plot in plots { (PreEscaped(plot)) }
    })
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
