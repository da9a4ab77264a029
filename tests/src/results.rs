//! The measured figures that the documentation shows: `results.json`, and its rendering as Markdown.
//!
//! A table in the documentation stands between `<!-- results:ID -->` and `<!-- /results -->`. [`update`] replaces
//! what is between them by the rendering of the result with that id; a test compares the two.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use model_training::measure::evaluate::read_blob;
use no_std_infer::Model;
use serde::{Deserialize, Serialize};

/// The file `results.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// Where and when the results without provenance of their own were measured.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// The tables.
    pub results: Vec<Measured>,
}

/// Where and when something was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Commit of the code, abbreviated.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub commit: String,
    /// Name of the processor and number of cores.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cpu: String,
    /// Date, ISO 8601.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub date: String,
}

/// One table of measured figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Names the table in the documentation: letters, digits, `-`.
    pub id: String,
    /// What the table shows, in one line.
    pub title: String,
    /// The commands that make it.
    pub command: String,
    /// Overrides the file's where not empty.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// Headings.
    pub columns: Vec<String>,
    /// Cells as they are shown, as many a row as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Results {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// When it cannot be read, is not in this form, or a result lacks its command or provenance, has an id twice, or
    /// rows of another length than its headings.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let results: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is not in the form that tests::results describes", path.display()))?;
        results.check().with_context(|| format!("{} is not complete", path.display()))?;
        Ok(results)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When a result is not complete, or the file cannot be written.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        self.check()?;
        model_training::system::atomic::write(path, (serde_json::to_string_pretty(self)? + "\n").as_bytes())
    }

    /// Puts a result in the place of the one with its id, or at the end.
    pub fn put(&mut self, measured: Measured) {
        match self.results.iter_mut().find(|result| result.id == measured.id) {
            Some(place) => *place = measured,
            None => self.results.push(measured),
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        let mut ids = HashSet::new();
        for result in &self.results {
            let id = &result.id;
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
            ensure!(!id.is_empty() && id.chars().all(plain), "the id `{id}` is not made of letters, digits and `-`");
            ensure!(ids.insert(id), "the id `{id}` stands twice");
            let Provenance { commit, cpu, date } = self.provenance_of(result);
            for (value, name) in [
                (&result.title, "title"),
                (&result.command, "command"),
                (&commit, "commit"),
                (&cpu, "cpu"),
                (&date, "date"),
            ] {
                ensure!(!value.is_empty(), "the result `{id}` has no {name}");
            }
            ensure!(!result.columns.is_empty() && !result.rows.is_empty(), "the result `{id}` is empty");
            for row in &result.rows {
                ensure!(row.len() == result.columns.len(), "a row of the result `{id}` has {} cells", row.len());
            }
        }
        Ok(())
    }

    fn provenance_of(&self, result: &Measured) -> Provenance {
        let pick = |own: &String, common: &String| if own.is_empty() { common.clone() } else { own.clone() };
        Provenance {
            commit: pick(&result.provenance.commit, &self.provenance.commit),
            cpu: pick(&result.provenance.cpu, &self.provenance.cpu),
            date: pick(&result.provenance.date, &self.provenance.date),
        }
    }

    /// Title, table, and how it was made, as Markdown that ends with a line break.
    ///
    /// # Errors
    /// When there is no result with this id.
    pub fn markdown(&self, id: &str) -> anyhow::Result<String> {
        let Some(result) = self.results.iter().find(|result| result.id == id) else {
            bail!("results.json has no result `{id}`");
        };
        let numeric = |column: usize| result.rows.iter().all(|row| row[column].starts_with(is_number_start));
        let rule: Vec<&str> =
            (0..result.columns.len()).map(|column| if numeric(column) { "---:" } else { "---" }).collect();
        let mut text = format!("{}:\n\n{}|{}|\n", result.title, table_row(&result.columns), rule.join("|"));
        for row in &result.rows {
            text += &table_row(row);
        }
        let Provenance { commit, cpu, date } = self.provenance_of(result);
        write!(text, "\n```sh\n{}\n```\n\n<sub>commit {commit}, {cpu}, {date}</sub>\n", result.command.trim())?;
        Ok(text)
    }
}

fn is_number_start(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '-' | '−' | '+')
}

fn table_row(cells: &[String]) -> String {
    let escaped: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
    format!("| {} |\n", escaped.join(" | "))
}

const OPEN: &str = "<!-- results:";
const CLOSE: &str = "<!-- /results -->";

/// `markdown` with everything between its results markers replaced by the rendering from `results`; nothing else
/// changes, and a text that is up to date comes back as it was. A marker stands on a line of its own.
///
/// # Errors
/// When a marker names no result, or has no partner.
pub fn update(markdown: &str, results: &Results) -> anyhow::Result<String> {
    let mut updated = String::new();
    let mut open = None;
    for line in markdown.split_inclusive('\n') {
        let marker = line.trim_end();
        if let Some(rest) = marker.strip_prefix(OPEN) {
            let id = rest.strip_suffix(" -->").with_context(|| format!("`{marker}` does not end in ` -->`"))?;
            ensure!(open.replace(id).is_none(), "there is no `{CLOSE}` before `{marker}`");
            write!(updated, "{line}\n{}\n", results.markdown(id)?)?;
        } else if marker == CLOSE {
            ensure!(open.take().is_some(), "there is no `{OPEN}ID -->` before a `{CLOSE}`");
            updated += line;
        } else if open.is_none() {
            updated += line;
        }
    }
    ensure!(open.is_none(), "the block `{}` has no `{CLOSE}`", open.unwrap_or_default());
    Ok(updated)
}

/// The rows of the table `device`: what the demo's firmware prints, of which a test of devices checks that it is so, of the model
/// that it is built with.
///
/// # Errors
/// When a file below the repository's root cannot be read, or lacks a figure.
pub fn device_rows(root: &Path) -> anyhow::Result<Vec<Vec<String>>> {
    let expected = std::fs::read_to_string(root.join("firmware-example/boards/mps2/src/bin/demo.expected"))?;
    let words: Vec<&str> =
        expected.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()).collect();
    let number_after = |name: &str| {
        let at = words.iter().position(|word| *word == name);
        at.and_then(|at| words.get(at + 1)?.parse().ok()).with_context(|| format!("demo.expected has no `{name} N`"))
    };
    let number_before = |phrase: &[&str]| {
        let at = words.windows(phrase.len()).position(|window| window == phrase);
        at.and_then(|at| words.get(at.checked_sub(1)?)?.parse().ok())
            .with_context(|| format!("demo.expected has no `N {}`", phrase.join(" ")))
    };
    let blob = read_blob(&root.join("data/faces.blob"))?;
    let macs = Model::parse(&blob)?.ops().map(|op| op.macs()).sum();
    let row = |name: &str, figure: u64, unit: &str| vec![name.to_owned(), grouped(figure) + unit];
    Ok(vec![
        row("blob in flash", number_after("flash")?, " bytes"),
        row("arena", number_after("arena")?, " bytes"),
        row("stack, high-water mark", number_after("stack")?, " bytes"),
        row("multiply-accumulates", macs, ""),
        row("instructions an inference", number_before(&["instructions", "in", "all"])?, ""),
        row(
            "instructions to resize a 96x96 RGB565 frame",
            number_before(&["instructions", "for", "preprocessing"])?,
            "",
        ),
    ])
}

/// A number with a comma before every three digits.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        let text = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        Results {
            provenance: Provenance {
                commit: "abc1234".into(),
                cpu: "CPU X, 2 cores".into(),
                date: "2026-01-31".into(),
            },
            results: vec![Measured {
                id: "faces".into(),
                title: "Accuracy on the faces".into(),
                command: "cargo run -- demo".into(),
                columns: text(&["preset", "float", "int8"]),
                rows: vec![text(&["deep", "0.95", "0.94"]), text(&["a|b", "0.70", "−"])],
                ..Measured::default()
            }],
        }
    }

    #[test]
    fn rendering_is_complete() {
        let expected = "\
Accuracy on the faces:

| preset | float | int8 |
|---|---:|---:|
| deep | 0.95 | 0.94 |
| a\\|b | 0.70 | − |

```sh
cargo run -- demo
```

<sub>commit abc1234, CPU X, 2 cores, 2026-01-31</sub>
";
        assert_eq!(results().markdown("faces").unwrap(), expected);
        assert!(results().markdown("cats").unwrap_err().to_string().contains("cats"));
    }

    #[test]
    fn update_touches_the_blocks_only_and_settles() {
        let before = "# A\n<!-- results:faces -->\nold | table\n<!-- /results -->\ntail\n";
        let after = update(before, &results()).unwrap();
        assert!(after.starts_with("# A\n<!-- results:faces -->\n\nAccuracy"), "{after}");
        assert!(after.ends_with("</sub>\n\n<!-- /results -->\ntail\n"), "{after}");
        assert!(!after.contains("old"));
        assert_eq!(update(&after, &results()).unwrap(), after);
        for prose in ["no block", "a marker, `<!-- results:ID -->`, in a line\n"] {
            assert_eq!(update(prose, &results()).unwrap(), prose);
        }
    }

    #[test]
    fn wrong_markers_are_named() {
        for (text, word) in [
            ("<!-- results:cats -->\n<!-- /results -->", "cats"),
            ("<!-- results:faces -->\n", "faces"),
            ("<!-- results:faces -->\n<!-- results:faces -->\n<!-- /results -->", "faces"),
            ("<!-- results:faces", "does not end"),
            ("<!-- /results -->", "before"),
        ] {
            let error = update(text, &results()).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn the_file_round_trips_and_incomplete_ones_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.json");
        let mut own = results();
        own.put(Measured {
            provenance: Provenance { commit: "fff".into(), ..Provenance::default() },
            ..own.results[0].clone()
        });
        assert_eq!(own.results.len(), 1);
        assert!(own.markdown("faces").unwrap().contains("commit fff, CPU X"));
        own.save(&path).unwrap();
        assert_eq!(Results::load(&path).unwrap(), own);

        type Spoil = fn(&mut Results);
        let spoils: [(&str, Spoil); 7] = [
            ("commit", |r| r.provenance.commit.clear()),
            ("cpu", |r| r.provenance.cpu.clear()),
            ("command", |r| r.results[0].command.clear()),
            ("cells", |r| r.results[0].rows[0].clear()),
            ("empty", |r| r.results[0].rows.clear()),
            ("twice", |r| r.results.push(r.results[0].clone())),
            ("letters", |r| r.results[0].id = "a b".into()),
        ];
        for (word, spoil) in spoils {
            let mut spoilt = results();
            spoil(&mut spoilt);
            let error = spoilt.save(&path).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
            std::fs::write(dir.path().join("spoilt.json"), serde_json::to_string(&spoilt).unwrap()).unwrap();
            assert!(Results::load(&dir.path().join("spoilt.json")).is_err(), "{word}");
        }
    }
}
