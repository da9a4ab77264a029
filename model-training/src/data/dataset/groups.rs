//! The groups file: which images are copies of one photograph.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{Sample, scan};
use crate::system::read;
use crate::system::spreadsheet::{cell, text};

/// Name of the groups file in a data set's folder.
pub const GROUPS_FILE: &str = "groups.csv";
/// Name of the page that shows groups of copies.
pub const COPIES_FILE: &str = "copies.html";

/// Groups by image path, `/` between the parts.
pub(super) struct Groups {
    file: PathBuf,
    of: BTreeMap<String, String>,
}

impl Groups {
    /// Reads a CSV file with a header line and the columns `path` and `group`; other columns are ignored.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let shown = file.display();
        let unreadable = || format!("cannot read the groups file {shown}");
        let bytes = read::bytes(file, read::DATA).with_context(unreadable)?;
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(&bytes[..]);
        let header = reader.headers().with_context(unreadable)?;
        let column = |name: &str| header.iter().position(|title| title.eq_ignore_ascii_case(name));
        let (path, group) = column("path").zip(column("group")).with_context(|| {
            format!("the groups file {shown} has no columns `path` and `group`: name them in its first line")
        })?;
        let mut of = BTreeMap::new();
        for record in reader.records() {
            let record = record.with_context(unreadable)?;
            if record[group].is_empty() {
                continue;
            }
            let name = normal(text(&record[path]));
            let group = text(&record[group]);
            if let Some(first) = of.insert(name.clone(), group.to_owned()) {
                ensure!(
                    first == group,
                    "the groups file {shown} puts {name} into two groups, {first} and {group}: keep one"
                );
            }
        }
        Ok(Self { file: file.to_owned(), of })
    }

    /// Gives each image its group. The file's paths may be relative to the data set's `root`, to `dir`, to the folder of
    /// the groups file, or absolute. An image that was moved since, as into the folder of its class, is known by its name. Returns a
    /// note about images that the file does not list.
    pub(super) fn assign<'a>(
        &self,
        samples: impl Iterator<Item = &'a mut Sample>,
        root: &Path,
        dir: &Path,
    ) -> Result<Option<String>> {
        let beside = self.file.parent().unwrap_or(Path::new(""));
        let (mut found, mut others) = (0, Vec::new());
        for sample in samples {
            let path = sample.path(root);
            let names = [
                sample.name.clone(),
                scan::name_of(&path, dir),
                scan::name_of(&path, beside),
                normal(&path.to_string_lossy()),
            ];
            sample.group = names.iter().find_map(|name| self.of.get(name)).cloned();
            if sample.group.is_some() {
                found += 1;
            } else {
                others.push(sample);
            }
        }
        let moved = self.assign_moved(&mut others, [root, dir, beside]);
        let (found, unlisted) = (found + moved, others.len() - moved);
        let shown = self.file.display();
        ensure!(
            found > 0 || self.of.is_empty(),
            "the groups file {shown} names no image of {}: its paths must be relative to that folder, as in `{}`",
            dir.display(),
            self.of.keys().next().map_or("train/cat/1.jpg", String::as_str)
        );
        Ok((unlisted > 0).then(|| format!("{unlisted} images are not in {shown}: each is a group of its own")))
    }

    /// Gives images their groups whose file's name has a line of its own that leads nowhere, and no other image has; says how many.
    fn assign_moved(&self, samples: &mut [&mut Sample], bases: [&Path; 3]) -> usize {
        let last = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        let mut lines: BTreeMap<String, Vec<(&String, &String)>> = BTreeMap::new();
        self.of.iter().for_each(|line| lines.entry(last(line.0)).or_default().push(line));
        let mut images: BTreeMap<String, usize> = BTreeMap::new();
        samples.iter().for_each(|sample| *images.entry(last(&sample.name)).or_default() += 1);
        let leads_nowhere = |path: &str| !bases.iter().any(|base| base.join(path).exists());
        for sample in &mut *samples {
            let name = last(&sample.name);
            if let (Some(1), Some([(path, group)])) = (images.get(&name), lines.get(&name).map(Vec::as_slice))
                && leads_nowhere(path)
            {
                sample.group = Some((*group).clone());
            }
        }
        samples.iter().filter(|sample| sample.group.is_some()).count()
    }
}

/// A groups file whose images in `root` have other names and another class: of each the name, the new one and the class; none where
/// it names none of them. Its paths may be relative to `root`, to `dir`, to its own folder, or absolute.
///
/// # Errors
/// When the file cannot be read.
pub fn renamed(file: &Path, root: &Path, dir: &Path, moves: &[[&str; 3]]) -> Result<Option<Vec<u8>>> {
    let unreadable = || format!("cannot read the groups file {}", file.display());
    let bytes = read::bytes(file, read::DATA).with_context(unreadable)?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&bytes[..]);
    let mut records: Vec<Vec<String>> = Vec::new();
    for record in reader.records() {
        records.push(record.with_context(unreadable)?.iter().map(str::to_owned).collect());
    }
    let column = |name: &str| records.first()?.iter().position(|title| title.trim().eq_ignore_ascii_case(name));
    let (Some(path), label) = (column("path"), column("label")) else { return Ok(None) };
    let new = new_names(file.parent().unwrap_or(Path::new("")), root, dir, moves);
    let mut found = false;
    for record in &mut records {
        if let Some((into, class)) = new.get(&normal(text(record[path].trim()))) {
            record[path] = cell(into).into_owned();
            label.into_iter().for_each(|label| record[label] = cell(class).into_owned());
            found = true;
        }
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    records.iter().try_for_each(|record| writer.write_record(record))?;
    Ok(found.then_some(writer.into_inner()?))
}

/// The new name and class by each name that a groups file in the folder `beside` may have for an image.
fn new_names<'a>(
    beside: &Path,
    root: &Path,
    dir: &Path,
    moves: &[[&'a str; 3]],
) -> BTreeMap<String, (String, &'a str)> {
    let mut new = BTreeMap::new();
    for [from, into, class] in moves {
        let [from, into] = [from, into].map(|name| root.join(name));
        for base in [root, dir, beside] {
            new.insert(scan::name_of(&from, base), (scan::name_of(&into, base), *class));
        }
        new.insert(normal(&from.to_string_lossy()), (normal(&into.to_string_lossy()), *class));
    }
    new
}

fn normal(path: &str) -> String {
    let path = path.replace('\\', "/");
    path.strip_prefix("./").unwrap_or(&path).to_owned()
}
