//! The page of a run that is still training, which follows it.

use std::time::SystemTime;

use anyhow::Result;
use humantime::format_rfc3339_seconds;
use maud::{Markup, PreEscaped, html};
use model_training::config::Config;
use model_training::data::dataset::Loaded;
use model_training::data::epochs::Epoch;
use model_training::data::record::Record;
use model_training::measure::metrics::Share;
use model_training::run::folder::RunDir;
use model_training::system::atomic;
use model_training::system::hints::{program, quoted};
use model_training::system::html::{self, section, table};

use super::run::{changes, of_record, shown_copies, title};
use super::{REPORT_FILE, verdict};
use crate::report::made::Made;
use crate::report::plots;
use crate::report::verdict::so_far;

/// Seconds between two looks at the file, at least and at most.
const LOOKS: [f64; 2] = [3.0, 60.0];
/// Seconds beside those of ten epochs after which the run has surely been interrupted: scoring and quantising take as long.
const PATIENCE: f64 = 900.0;

/// A run that is still training.
#[derive(Debug)]
pub struct Unfinished {
    run: RunDir,
    /// Largest number of epochs.
    epochs: usize,
    /// Number of validation images.
    validation: usize,
    /// What does not change while it trains.
    rest: Markup,
}

impl Unfinished {
    /// A run of these images.
    ///
    /// # Errors
    /// When a picture cannot be written.
    pub fn new(run: &RunDir, config: &Config, record: &Record, images: &Loaded) -> Result<Self> {
        let rest = html! {
            (section("Data", &html! { (of_record(record)) (shown_copies(record, &images.train)?) }))
            (section("Augmentation", &changes(record, [&images.train, images.source()], config)?))
            (section("How this was made", &Made::now(config.seed).to_html(Some(&record.hash))))
        };
        Ok(Self { run: run.clone(), epochs: config.epochs(), validation: record.valid.len(), rest })
    }

    /// Writes the page into the run folder.
    ///
    /// # Errors
    /// When no epoch has ended yet or the file cannot be written.
    pub fn write(&self) -> Result<()> {
        let page = self.page(&self.run.epochs()?, SystemTime::now())?;
        atomic::write(&self.run.file(REPORT_FILE), page.as_bytes())
    }

    fn page(&self, epochs: &[Epoch], now: SystemTime) -> Result<String> {
        let resume = format!("{} train --resume {}", program(), quoted(self.run.path()));
        let now = format_rfc3339_seconds(now).to_string();
        let body = html! {
            (verdict(&so_far(epochs, self.epochs, self.validation)))
            p.soft {
                "Written at " (now) "; this page follows the training. Had it been interrupted, " code { (resume) }
                " would go on."
            }
            (section("Result so far, float network", &self.result(epochs)))
            (section("Training", &PreEscaped(plots::curves(epochs)?)))
            (self.rest)
            script { (PreEscaped(follow(&now, epochs.last().map_or(0.0, |epoch| epoch.seconds)))) }
        };
        Ok(html::page(&title(&self.run.name()), &body))
    }

    fn result(&self, epochs: &[Epoch]) -> Markup {
        let best = epochs.iter().reduce(|best, epoch| if epoch.valid_loss < best.valid_loss { epoch } else { best });
        let row = |(name, epoch): (&str, &Epoch)| {
            let right = (epoch.valid_accuracy * self.validation as f64).round() as usize;
            let share = Share::new(right, self.validation);
            vec![
                name.to_owned(),
                epoch.epoch.to_string(),
                format!("{:.3}", epoch.train_accuracy),
                format!("{:.4}", epoch.train_loss),
                format!("{:.3}", epoch.valid_accuracy),
                format!("{:.3} to {:.3}", share.low, share.high),
                format!("{:.4}", epoch.valid_loss),
            ]
        };
        let named = [("now", epochs.last()), ("lowest validation loss", best)];
        let rows = named.into_iter().filter_map(|(name, epoch)| Some(row((name, epoch?))));
        let header = ["", "epoch", "training accuracy", "loss", "validation accuracy", "95 % interval", "loss"];
        table(&header, &rows.collect::<Vec<_>>())
    }
}

/// Loads the page again from time to time, unless it is so old that nothing will follow.
fn follow(written: &str, epoch: f64) -> String {
    let milliseconds = |seconds: f64| (1000.0 * seconds).round();
    let (patience, look) = (milliseconds(PATIENCE + 10.0 * epoch), milliseconds(epoch.clamp(LOOKS[0], LOOKS[1])));
    format!("if(Date.now()-Date.parse(\"{written}\")<{patience})setTimeout(()=>location.reload(),{look})")
}

#[cfg(feature = "train")]
impl model_training::training::Observer for Unfinished {
    fn epoch(&self, _epoch: &Epoch, _epochs: usize) {
        if let Err(error) = self.write() {
            tracing::warn!("the page of this epoch is missing: {error:#}");
        }
    }
}
