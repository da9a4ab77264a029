//! What made a report, so that somebody can make it again.

use std::time::SystemTime;

use humantime::format_rfc3339_seconds;
use maud::Markup;
use model_training::system::hints::command;
use model_training::system::html::facts;
use serde::{Deserialize, Serialize};

/// What made a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// When, in Greenwich: `2026-02-03T04:05:06Z`.
    pub date: String,
    /// The command, as a person would type it.
    pub command: String,
    /// Version of this program.
    pub version: String,
    /// Decides the split, the first weights, the order of the images and their changes.
    pub seed: u64,
}

impl Made {
    /// Here and now, by the command of this process.
    #[must_use]
    pub fn now(seed: u64) -> Self {
        Self {
            date: format_rfc3339_seconds(SystemTime::now()).to_string(),
            command: command(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed,
        }
    }

    /// Lines for a page; `data` identifies the images.
    #[must_use]
    pub fn to_html(&self, data: Option<&str>) -> Markup {
        let mut lines = vec![
            ("date", self.date.clone()),
            ("command", self.command.clone()),
            ("version", format!("host-trainer {}", self.version)),
            ("seed", self.seed.to_string()),
        ];
        lines.extend(data.map(|data| ("images, SHA-256", data.to_owned())));
        facts(&lines)
    }
}
