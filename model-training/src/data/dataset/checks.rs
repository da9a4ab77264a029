//! What a folder must have to be trained on, and what a person should know about it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use super::scan::Classes;
use super::{COPIES_FILE, Dataset, listed};

impl Dataset {
    /// The training classes' names, when there are at least two and each has an image.
    pub(super) fn class_names(&self, classes: &Classes) -> Result<Vec<String>> {
        let root = self.root.display();
        let names: Vec<_> = classes.keys().cloned().collect();
        ensure!(
            names.len() > 1,
            "{root} has one class only, {}: a classifier needs a folder for each of two or more classes",
            listed(&names)
        );
        let hollow: Vec<_> = classes.iter().filter(|(_, files)| files.is_empty()).map(|(name, _)| name).collect();
        ensure!(
            hollow.is_empty(),
            "{root} has no training image of the class {}: add images or remove the folder",
            listed(&hollow)
        );
        Ok(names)
    }

    /// Refuses classes that cannot be learned because only other splits have them.
    pub(super) fn check_known(&self, others: &[&Classes]) -> Result<()> {
        let unknown: Vec<_> =
            others.iter().flat_map(|c| c.keys()).filter(|c| self.classes.binary_search(c).is_err()).collect();
        ensure!(
            unknown.is_empty(),
            "{} has no training folder for the class {} of its validation or test images; the training classes are {}: \
             add training images or remove the class",
            self.root.display(),
            listed(&unknown),
            listed(&self.classes)
        );
        Ok(())
    }

    /// Refuses a given split that has images of one group on two sides, or only notes it.
    pub(super) fn check_groups_apart(&mut self, allow_leak: bool) -> Result<()> {
        let mut first: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
        let mut shared = Vec::new();
        for (side, samples) in [("train", &self.train), ("valid", &self.valid), ("test", &self.test)] {
            for sample in samples {
                let Some(group) = sample.group.as_deref() else { continue };
                let &mut (first_side, name) = first.entry(group).or_insert((side, &sample.name));
                if first_side != side {
                    shared.push(format!("{name} and {} (group {group})", sample.name));
                }
            }
        }
        if shared.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the given split of {} puts copies of one photograph on two sides, so its accuracy is an illusion: {}",
            self.root.display(),
            listed(&shared)
        );
        ensure!(
            allow_leak,
            "{message}: move each group to one side, or correct the groups file, which `--groups none` ignores; \
             `--allow-leak` trains all the same"
        );
        self.notes.push(message);
        Ok(())
    }

    /// Refuses classes whose training images are all of one group.
    pub(super) fn check_divisible(&self) -> Result<()> {
        let mut units = vec![BTreeSet::new(); self.classes.len()];
        for sample in &self.train {
            units[sample.label].insert(sample.group.as_deref().ok_or(&sample.name));
        }
        let single: Vec<_> = self.classes.iter().zip(&units).filter(|(_, u)| u.len() < 2).map(|(c, _)| c).collect();
        ensure!(
            single.is_empty(),
            "{} cannot be split, since training and validation need an image each and there is only one (or copies of \
             one, by the groups file) of the class {}: add images or remove the folder; where the groups are wrong, which \
             {COPIES_FILE} of `data check` shows, `--groups none` ignores them",
            self.root.display(),
            listed(&single)
        );
        Ok(())
    }

    /// Notes a group that holds more than half of the images: then a split can hardly be fair.
    pub(super) fn note_large_group(&mut self) {
        let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
        let samples = || [&self.train, &self.valid, &self.test].into_iter().flatten();
        samples().filter_map(|sample| sample.group.as_deref()).for_each(|group| *sizes.entry(group).or_default() += 1);
        let all = samples().count();
        let largest = sizes.into_iter().max_by_key(|(_, size)| *size).filter(|(_, size)| 2 * size > all);
        let note = largest.map(|(group, size)| {
            format!(
                "group {group} holds {size} of {all} images: look at {COPIES_FILE}, and if these are no copies of one \
                 photograph, pass `--groups none`"
            )
        });
        self.notes.extend(note);
    }

    /// Notes classes that have no image to validate or to test with.
    pub(super) fn note_unchecked(&mut self) {
        for (side, samples) in [("validation", &self.valid), ("test", &self.test)] {
            let present: BTreeSet<usize> = samples.iter().map(|sample| sample.label).collect();
            let lacking = (0..self.classes.len()).filter(|label| !present.contains(label));
            let lacking: Vec<_> = lacking.map(|label| &self.classes[label]).collect();
            if !samples.is_empty() && !lacking.is_empty() {
                self.notes.push(format!(
                    "there is no {side} image of the class {}: its figures say nothing about that",
                    listed(&lacking)
                ));
            }
        }
    }

    /// Refuses what cannot be trained: a class without a training image, or no image to validate with.
    pub(super) fn check_complete(&self) -> Result<()> {
        let missing: Vec<_> = (0..self.classes.len())
            .filter(|&label| self.train.iter().all(|sample| sample.label != label))
            .map(|label| &self.classes[label])
            .collect();
        ensure!(
            missing.is_empty(),
            "{} leaves no training image of the class {}: add images, or lower `data.valid` and `data.test`",
            self.root.display(),
            listed(&missing)
        );
        ensure!(
            !self.valid.is_empty(),
            "{} leaves no validation image: add images, or raise `data.valid`",
            self.root.display()
        );
        Ok(())
    }
}
