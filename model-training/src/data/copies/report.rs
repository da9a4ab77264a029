//! What is known of a folder once its copies are found: as data, as text and as the groups file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;

use super::{Link, Score, groups, score};
use crate::data::dataset::{COPIES_FILE, Dataset, Sample, listed};
use crate::system::spreadsheet::cell;

/// One picture of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// Path in the folder, with `/` between the parts.
    pub path: String,
    /// `train`, `valid` or `test`; empty where the folder is not split.
    pub split: &'static str,
    /// Name of its class.
    pub label: String,
    /// Its index among all pictures.
    #[serde(skip)]
    pub index: usize,
}

/// Pictures that were made from one photograph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name in the groups file.
    pub group: usize,
    /// Its pictures, one or more, in the order of their paths.
    pub pictures: Vec<Picture>,
}

impl Group {
    /// Whether its pictures lie on more than one side of the split.
    #[must_use]
    pub fn is_across_splits(&self) -> bool {
        self.distinct(|picture| picture.split) > 1
    }

    /// Whether its pictures have more than one label.
    #[must_use]
    pub fn is_across_labels(&self) -> bool {
        self.distinct(|picture| &picture.label) > 1
    }

    fn distinct<'a, T: Ord>(&'a self, of: impl Fn(&'a Picture) -> T) -> usize {
        self.pictures.iter().map(of).collect::<BTreeSet<T>>().len()
    }
}

/// The groups of a folder.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// All groups, those of one picture included, in the order of their first pictures.
    pub groups: Vec<Group>,
    /// How well they agree with the groups that were known: [`Score`] of the pictures that have a known group.
    pub against: Option<Score>,
    /// What is probably wrong with the groups, and what to do about it, a sentence each.
    pub findings: Vec<String>,
}

/// What to say of a group that holds half of all pictures or more, or of a class with several: then hardly anything can be
/// split.
fn most(group: &Group, dataset: &Dataset) -> Option<String> {
    let samples = samples(dataset);
    let of_class = |class: &str| samples.iter().filter(|(_, sample)| dataset.classes[sample.label] == class).count();
    let mut inside: BTreeMap<&str, usize> = BTreeMap::new();
    group.pictures.iter().for_each(|picture| *inside.entry(&picture.label).or_default() += 1);
    let (all, size) = (samples.len(), group.pictures.len());
    let classes = inside.into_iter().map(|(class, count)| (class, count, of_class(class)));
    let classes: Vec<_> = classes.filter(|&(_, count, all)| count > 2 && 2 * count >= all).collect();
    if size < 3 || (2 * size < all && classes.is_empty()) {
        return None;
    }
    let classes: Vec<String> =
        classes.into_iter().map(|(class, count, all)| format!("{count} of the {all} of the class {class}")).collect();
    let classes = if classes.is_empty() { String::new() } else { format!(", {}", listed(&classes)) };
    Some(format!(
        "Group {} holds {size} of {all} pictures{classes}: pictures of a camera that never moves and drawings of simple \
         shapes are taken for copies of one another. Look at {COPIES_FILE}; where they are none, train with `--groups none`.",
        group.group
    ))
}

/// The pictures of a folder with their splits, in order.
#[must_use]
pub fn samples(dataset: &Dataset) -> Vec<(&'static str, &Sample)> {
    let is_split = !dataset.train.is_empty() || !dataset.valid.is_empty();
    let sides = [("train", &dataset.train), ("valid", &dataset.valid), ("test", &dataset.test)];
    sides
        .into_iter()
        .flat_map(|(side, samples)| samples.iter().map(move |sample| (if is_split { side } else { "" }, sample)))
        .collect()
}

impl Report {
    /// Groups what the links connect. The data set's own groups, if it has any, are those to compare with.
    ///
    /// # Panics
    /// When a link names a picture that the data set lacks.
    #[must_use]
    pub fn new(dataset: &Dataset, links: &[Link]) -> Self {
        let samples = samples(dataset);
        let numbers = groups(samples.len(), links.iter().map(|link| link.pictures));
        let mut by_number: BTreeMap<usize, Vec<Picture>> = BTreeMap::new();
        for (index, &(split, sample)) in samples.iter().enumerate() {
            by_number.entry(numbers[index]).or_default().push(Picture {
                path: sample.name.clone(),
                split,
                label: dataset.classes[sample.label].clone(),
                index,
            });
        }
        let known: Vec<(usize, &str)> = samples
            .iter()
            .zip(&numbers)
            .filter_map(|((_, sample), &number)| Some((number, sample.group.as_deref()?)))
            .collect();
        let (found, known): (Vec<usize>, Vec<&str>) = known.into_iter().unzip();
        let groups: Vec<Group> = by_number.into_iter().map(|(group, pictures)| Group { group, pictures }).collect();
        let findings =
            groups.iter().max_by_key(|group| group.pictures.len()).and_then(|largest| most(largest, dataset));
        Self {
            groups,
            findings: findings.into_iter().collect(),
            against: (!known.is_empty()).then(|| score(&found, &known)),
        }
    }

    /// Groups of two pictures or more.
    pub fn copied(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(|group| group.pictures.len() > 1)
    }

    /// What was counted, with its name.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        let count = |is: fn(&Group) -> bool| self.copied().filter(|group| is(group)).count();
        vec![
            ("pictures", self.groups.iter().map(|group| group.pictures.len()).sum()),
            ("photographs", self.groups.len()),
            ("photographs with copies", count(|_| true)),
            ("photographs on several sides of the split", count(Group::is_across_splits)),
            ("photographs under several labels", count(Group::is_across_labels)),
        ]
    }

    /// A few lines for a person.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, count) in self.counts() {
            writeln!(text, "{count:>7} {name}").expect("a string takes everything");
        }
        self.findings.iter().for_each(|finding| writeln!(text, "{finding}").expect("a string takes everything"));
        if let Some(score) = self.against {
            writeln!(
                text,
                "against the groups given: pairwise recall {:.4} ({} of {} pairs), precision {:.4} ({} of {})",
                score.recall(),
                score.both,
                score.both + score.known_only,
                score.precision(),
                score.both,
                score.both + score.found_only
            )
            .expect("a string takes everything");
        }
        text
    }

    /// The groups file: path, split, label and group of each picture, in the order of the pictures.
    ///
    /// # Errors
    /// None in memory.
    pub fn to_csv(&self) -> Result<Vec<u8>> {
        let mut rows: Vec<(&Picture, usize)> =
            self.groups.iter().flat_map(|group| group.pictures.iter().map(|picture| (picture, group.group))).collect();
        rows.sort_by_key(|(picture, _)| picture.index);
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["path", "split", "label", "group"])?;
        for (picture, group) in rows {
            writer.write_record([&*cell(&picture.path), picture.split, &cell(&picture.label), &group.to_string()])?;
        }
        Ok(writer.into_inner()?)
    }
}
