//! Several engines on the same images, side by side, as data and as plain text of at most 100 columns.

use std::collections::BTreeSet;

use comfy_table::{CellAlignment, ContentLineStyle, LineStyle, Table, TableStyle};
use serde::{Deserialize, Serialize};

use crate::measure::metrics::{Agreement, ClassMetrics, Confusion, Share};
use crate::system::terminal::escaped;

/// Width of the text in characters.
const WIDTH: usize = 100;
/// Longest class name in a table; longer ones are cut.
const LONGEST_LABEL: usize = 20;
/// Number of confusions that are listed where the matrix is too wide to print.
const LISTED: usize = 10;

/// The predictions of several engines (float, int8, device) on several splits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Names of the classes.
    pub labels: Vec<String>,
    /// One entry a split, such as validation and test.
    pub splits: Vec<Split>,
}

/// Several engines on the images of one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Its name: `valid`, `test`.
    pub name: String,
    /// The engines; the first is the one that the others are compared with.
    pub engines: Vec<Engine>,
    /// Number of groups of copies that intervals are over, where some group has several images; then an image without copies
    /// counts as a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
}

/// One engine on the images of one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Engine {
    /// Its name: `float`, `int8`, `device`.
    pub name: String,
    /// Share of the images that it has right.
    pub accuracy: Share,
    /// Mean F1 of the classes.
    pub macro_f1: f64,
    /// Precision, recall and F1 of each class.
    pub per_class: Vec<ClassMetrics>,
    /// Images by true and predicted class.
    pub confusion: Confusion,
    /// With the split's first engine; none for that one.
    pub agreement: Option<Agreement>,
}

impl Split {
    /// Counts the predictions of each engine; the first is the reference. `groups` names each image's group of copies, or the
    /// image: copies are not drawn independently, so intervals are over groups.
    ///
    /// # Panics
    /// When lists differ in length or name a class that is not below `classes`.
    #[must_use]
    pub fn new(name: &str, classes: usize, truth: &[usize], groups: &[&str], engines: &[(&str, &[usize])]) -> Self {
        let count = groups.iter().collect::<BTreeSet<_>>().len();
        let equal = |a: &[usize], b: &[usize]| -> Share {
            let equal: Vec<bool> = a.iter().zip(b).map(|(a, b)| a == b).collect();
            Share::over(&equal, groups)
        };
        let compared = |(index, &(name, predicted)): (usize, &(&str, &[usize]))| {
            let confusion = Confusion::from_predictions(classes, truth, predicted);
            let agreement = (index > 0).then(|| {
                let agreement = Agreement::between(truth, engines[0].1, predicted);
                Agreement { same: equal(engines[0].1, predicted), ..agreement }
            });
            Engine {
                name: name.to_owned(),
                accuracy: equal(truth, predicted),
                macro_f1: confusion.macro_f1(),
                per_class: confusion.per_class(),
                confusion,
                agreement,
            }
        };
        Self {
            name: name.to_owned(),
            engines: engines.iter().enumerate().map(compared).collect(),
            groups: (count < groups.len()).then_some(count),
        }
    }
}

impl Split {
    /// What the intervals are over, where that is not images.
    fn groups_text(&self) -> Option<String> {
        self.groups.map(|groups| format!("{}: intervals over {groups} groups of copies", self.name))
    }
}

impl Comparison {
    /// All tables: accuracy and agreement, then for each split the classes and the confusion matrices.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut parts = vec![self.accuracy_text()];
        if let Some(text) = self.agreement_text() {
            parts.push(text);
        }
        for split in self.splits.iter().filter(|split| !split.engines.is_empty()) {
            parts.push(self.classes_text(split));
            parts.push(self.confusion_text(split));
        }
        parts.join("\n\n") + "\n"
    }

    /// Accuracy with its 95 % interval and macro F1 of each engine on each split.
    #[must_use]
    pub fn accuracy_text(&self) -> String {
        let mut table = text_table(&["split", "engine", "images", "right", "accuracy", "95 % interval", "macro F1"], 2);
        for (split, engine) in self.engines() {
            let Share { count, total, value, .. } = engine.accuracy;
            table.add_row([
                split.name.clone(),
                engine.name.clone(),
                total.to_string(),
                count.to_string(),
                format!("{value:.3}"),
                interval(&engine.accuracy),
                format!("{:.3}", engine.macro_f1),
            ]);
        }
        let grouped: Vec<String> = self.splits.iter().filter_map(Split::groups_text).collect();
        let method = if grouped.is_empty() { "Wilson intervals".to_owned() } else { grouped.join("; ") };
        format!("Accuracy ({method})\n{}", table.trim_fmt())
    }

    /// Agreement of each further engine with the first; none when there is no further engine.
    #[must_use]
    pub fn agreement_text(&self) -> Option<String> {
        let header = ["split", "engine", "with", "agreement", "95 % interval", "newly wrong", "newly right"];
        let mut table = text_table(&header, 3);
        for (split, engine) in self.engines() {
            let Some(agreement) = &engine.agreement else { continue };
            table.add_row([
                split.name.clone(),
                engine.name.clone(),
                split.engines[0].name.clone(),
                format!("{} of {}", agreement.same.count, agreement.same.total),
                interval(&agreement.same),
                agreement.newly_wrong.to_string(),
                agreement.newly_right.to_string(),
            ]);
        }
        (!table.is_empty()).then(|| format!("Agreement\n{}", table.trim_fmt()))
    }

    fn engines(&self) -> impl Iterator<Item = (&Split, &Engine)> {
        self.splits.iter().flat_map(|split| split.engines.iter().map(move |engine| (split, engine)))
    }

    fn classes_text(&self, split: &Split) -> String {
        let mut header = vec!["class".to_owned(), "images".to_owned()];
        for measure in ["precision", "recall", "F1"] {
            header.extend(split.engines.iter().map(|engine| format!("{measure}\n{}", engine.name)));
        }
        let longest = if split.engines.len() > 2 { LONGEST_LABEL / 2 } else { LONGEST_LABEL };
        let mut table = text_table(&header, 1);
        for (class, label) in self.labels.iter().enumerate() {
            let mut row = vec![shorten(label, longest), split.engines[0].per_class[class].support.to_string()];
            for measure in [|m: &ClassMetrics| m.precision, |m: &ClassMetrics| m.recall, |m: &ClassMetrics| m.f1] {
                row.extend(split.engines.iter().map(|engine| format!("{:.3}", measure(&engine.per_class[class]))));
            }
            table.add_row(row);
        }
        format!("Classes, {}\n{}", split.name, table.trim_fmt())
    }

    fn confusion_text(&self, split: &Split) -> String {
        let blocks: Vec<String> = split
            .engines
            .iter()
            .map(|engine| format!("{}, {}\n{}", split.name, engine.name, self.matrix(&engine.confusion)))
            .collect();
        format!("Confusion (rows: true class, columns: predicted class)\n{}", beside(&blocks))
    }

    /// The matrix headed by names, or by numbers where names are too wide, or else its largest wrong entries.
    fn matrix(&self, confusion: &Confusion) -> String {
        let names: Vec<String> = self.labels.iter().map(|label| shorten(label, LONGEST_LABEL)).collect();
        let numbers: Vec<String> = (1..=names.len()).map(|number| number.to_string()).collect();
        let numbered: Vec<String> =
            numbers.iter().zip(&names).map(|(number, name)| format!("{number} {name}")).collect();
        // A column takes three characters at least.
        if names.len() > WIDTH / 3 {
            return self.largest_confusions(confusion);
        }
        let candidates = [(&names, &names, WIDTH / 2 - 2), (&numbered, &numbers, WIDTH)];
        for (rows, columns, width) in candidates {
            let mut table = text_table(&[&[String::new()], columns.as_slice()].concat(), 1);
            for (name, counts) in rows.iter().zip(&confusion.counts) {
                table.add_row(std::iter::once(name.clone()).chain(counts.iter().map(ToString::to_string)));
            }
            let text = table.trim_fmt();
            if text_width(&text) <= width {
                return text;
            }
        }
        self.largest_confusions(confusion)
    }

    fn largest_confusions(&self, confusion: &Confusion) -> String {
        let wrong = confusion.mistakes();
        let mut table = text_table(&["true class", "predicted as", "images"], 2);
        for &(truth, predicted, count) in wrong.iter().take(LISTED) {
            table.add_row([
                shorten(&self.labels[truth], LONGEST_LABEL),
                shorten(&self.labels[predicted], LONGEST_LABEL),
                count.to_string(),
            ]);
        }
        format!("{} of {} kinds of confusion:\n{}", wrong.len().min(LISTED), wrong.len(), table.trim_fmt())
    }
}

/// An empty plain-text table: header, rule, columns apart by spaces; the first `left` columns aligned left, the
/// others right. Finish it with [`Table::trim_fmt`].
#[must_use]
pub fn text_table<T: AsRef<str>>(header: &[T], left: usize) -> Table {
    let mut table = Table::new();
    table
        .load_style(
            TableStyle::new()
                .header_lines(ContentLineStyle::none())
                .header_separator(LineStyle::none().fill('-'))
                .content_lines(ContentLineStyle::none()),
        )
        .set_header(header.iter().map(AsRef::as_ref));
    let last = header.len().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { 2 }));
        column.set_cell_alignment(if index < left { CellAlignment::Left } else { CellAlignment::Right });
    }
    table
}

fn interval(share: &Share) -> String {
    format!("{:.3} to {:.3}", share.low, share.high)
}

/// A class name on one line, cut to `longest` characters.
pub fn shorten(label: &str, longest: usize) -> String {
    let line = escaped(label);
    if line.chars().count() <= longest {
        return line.into_owned();
    }
    line.chars().take(longest - 1).chain(['…']).collect()
}

fn text_width(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

/// Blocks next to each other as far as [`WIDTH`] allows, then below.
fn beside(blocks: &[String]) -> String {
    const GAP: usize = 4;
    let mut bands: Vec<Vec<String>> = Vec::new();
    for block in blocks {
        let lines: Vec<String> = block.lines().map(str::to_owned).collect();
        let width = text_width(block);
        match bands.last_mut() {
            Some(band) if band_width(band) + GAP + width <= WIDTH => {
                let left = band_width(band) + GAP;
                band.resize(band.len().max(lines.len()), String::new());
                for (row, line) in band.iter_mut().zip(lines) {
                    let pad = left - row.chars().count();
                    row.extend(std::iter::repeat_n(' ', pad));
                    row.push_str(&line);
                }
            }
            _ => bands.push(lines),
        }
    }
    bands.iter().map(|band| band.join("\n")).collect::<Vec<_>>().join("\n\n")
}

fn band_width(band: &[String]) -> usize {
    band.iter().map(|line| line.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(classes: usize, label: impl Fn(usize) -> String, engines: &[&str]) -> Comparison {
        let truth: Vec<usize> = (0..40 * classes).map(|image| image % classes).collect();
        let shifted = |every: usize| -> Vec<usize> {
            truth.iter().enumerate().map(|(i, &t)| if i % every == 0 { (t + 1 + i / 7) % classes } else { t }).collect()
        };
        let predictions: Vec<Vec<usize>> = (0..engines.len()).map(|engine| shifted(3 + engine)).collect();
        let runs: Vec<(&str, &[usize])> = engines.iter().zip(&predictions).map(|(&n, p)| (n, p.as_slice())).collect();
        let images: Vec<String> = (0..truth.len()).map(|image| image.to_string()).collect();
        let images: Vec<&str> = images.iter().map(String::as_str).collect();
        let splits = ["valid", "test"].map(|name| Split::new(name, classes, &truth, &images, &runs));
        Comparison { labels: (0..classes).map(label).collect(), splits: splits.to_vec() }
    }

    #[test]
    fn two_engines_stand_side_by_side() {
        let truth = [0, 0, 0, 1, 1];
        let engines: [(&str, &[usize]); 2] = [("float", &[0, 0, 1, 1, 1]), ("int8", &[0, 0, 0, 0, 1])];
        let split = Split::new("test", 2, &truth, &["1", "2", "3", "4", "5"], &engines);
        let text = Comparison { labels: vec!["cat".into(), "dog".into()], splits: vec![split] }.to_text();
        let expected = "\
Accuracy (Wilson intervals)
split  engine  images  right  accuracy   95 % interval  macro F1
----------------------------------------------------------------
test   float        5      4     0.800  0.376 to 0.964     0.800
test   int8         5      4     0.800  0.376 to 0.964     0.762

Agreement
split  engine  with   agreement   95 % interval  newly wrong  newly right
-------------------------------------------------------------------------
test   int8    float     3 of 5  0.231 to 0.882            1            1

Classes, test
class  images  precision  precision  recall  recall     F1     F1
                   float       int8   float    int8  float   int8
-----------------------------------------------------------------
cat         3      1.000      0.750   0.667   1.000  0.800  0.857
dog         2      0.667      1.000   1.000   0.500  0.800  0.667

Confusion (rows: true class, columns: predicted class)
test, float      test, int8
     cat  dog         cat  dog
-------------    -------------
cat    2    1    cat    3    0
dog    0    2    dog    1    1
";
        assert_eq!(text, expected);
    }

    #[test]
    fn copies_widen_the_intervals() {
        // Twenty photographs, each four times: those of the first ten are right.
        let truth = [0; 80];
        let right: Vec<usize> = (0..80).map(|image| usize::from(image >= 40)).collect();
        let names: Vec<String> = (0..80).map(|image| format!("image {image}")).collect();
        let photographs: Vec<String> = (0..80).map(|image| format!("photograph {}", image / 4)).collect();
        let split = |groups: &[String]| {
            let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
            Split::new("test", 2, &truth, &groups, &[("float", &truth), ("int8", &right)])
        };
        let width = |share: &Share| share.high - share.low;
        let [alone, copied] = [split(&names), split(&photographs)];
        assert_eq!((alone.groups, copied.groups), (None, Some(20)));
        let [alone, copied] = [&alone.engines, &copied.engines];
        assert!(width(&copied[1].accuracy) > 1.8 * width(&alone[1].accuracy));
        let same = |engines: &[Engine]| width(&engines[1].agreement.unwrap().same);
        assert!(same(copied) > 1.8 * same(alone));
        // Nothing is wrong, so every drawing is: what remains is how few photographs there are.
        assert_eq!((copied[0].accuracy.low, copied[0].accuracy.high), (Share::new(20, 20).low, 1.0));
        let text = Comparison { labels: vec!["a".into(), "b".into()], splits: vec![split(&photographs)] }.to_text();
        assert!(text.starts_with("Accuracy (test: intervals over 20 groups of copies)"), "{text}");
    }

    #[test]
    fn every_size_fits_the_width() {
        for classes in [2, 3, 4, 7, 10, 20, 40, 200] {
            for length in [1, 8, 60] {
                let label = |class: usize| format!("{class}{}", "é".repeat(length));
                for engines in [&["float"][..], &["float", "int8"], &["float", "int8", "device"]] {
                    let text = comparison(classes, label, engines).to_text();
                    assert!(text_width(&text) <= WIDTH, "{classes} classes, names of {length}:\n{text}");
                }
            }
        }
    }

    #[test]
    fn wide_matrices_become_a_list() {
        let text = comparison(60, |class| format!("species {class}"), &["float", "int8"]).to_text();
        assert!(text.contains("kinds of confusion:\ntrue class"), "{text}");
    }

    #[test]
    fn json_round_trip() {
        let comparison = comparison(3, |class| class.to_string(), &["float", "int8"]);
        let json = serde_json::to_string(&comparison).unwrap();
        assert_eq!(serde_json::from_str::<Comparison>(&json).unwrap(), comparison);
    }
}
