//! Which images of a folder a run has learnt from: known by their content, wherever the folder is and whatever its split.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::data::dataset::{Dataset, Images, Loaded, Sample, listed};
use crate::data::record::Record;
use crate::system::files::RECORD_FILE;

/// A side of a split: an index into train, valid and test.
type Side = usize;
/// Images that a run does not know are as good as its test images.
const UNSEEN: Side = 2;

impl Record {
    /// The record of the run that made a blob, where it lies beside that, as in a run folder. `dataset` is the digest in the
    /// blob.
    ///
    /// # Errors
    /// When the record is damaged.
    pub fn beside(blob: &Path, dataset: &str) -> Result<Option<Self>> {
        let path = blob.with_file_name(RECORD_FILE);
        let record = path.is_file().then(|| Self::load(&path)).transpose()?;
        Ok(record.filter(|record| record.hash == dataset))
    }

    fn by_name(&self) -> HashMap<&str, (Side, &Sample)> {
        self.sides().map(|(side, entry)| (entry.name.as_str(), (side, entry))).collect()
    }

    /// Puts samples whose names the run knows on the run's sides, with its groups: what to expect of files that were not
    /// read yet.
    pub fn expect(&self, dataset: &mut Dataset) {
        let known = self.by_name();
        let listed = [&mut dataset.train, &mut dataset.valid, &mut dataset.test].map(std::mem::take);
        let mut sides: [Vec<Sample>; 3] = Default::default();
        for (own, samples) in listed.into_iter().enumerate() {
            for mut sample in samples {
                let known = known.get(sample.name.as_str());
                let side = known.map_or(own, |&(side, _)| side);
                sample.group = known.map_or(sample.group, |(_, entry)| entry.group.clone());
                sides[side].push(sample);
            }
        }
        [dataset.train, dataset.valid, dataset.test] = sides;
    }

    /// Puts images that were read, with their samples, on the sides on which the run saw the same files; others count as
    /// unseen, for the test.
    ///
    /// # Errors
    /// When the folder is the run's, moved or not, and files in it have changed; names them.
    pub fn sort(&self, dataset: &mut Dataset, loaded: Loaded) -> Result<Loaded> {
        let by_name = self.by_name();
        // Of equal files the one that was learnt counts.
        let mut by_digest: HashMap<&str, (Side, &Sample)> = HashMap::new();
        for (side, entry) in self.sides() {
            if let Some(digest) = &entry.digest {
                by_digest.entry(digest).or_insert((side, entry));
            }
        }
        let listed_sides = [&mut dataset.train, &mut dataset.valid, &mut dataset.test].map(std::mem::take);
        let mut sides: [(Vec<Sample>, Images); 3] = [(); 3].map(|()| (Vec::new(), Images::new(loaded.train.shape)));
        let (mut same, mut changed) = (false, Vec::new());
        for (own, samples) in listed_sides.into_iter().enumerate() {
            let images = [&loaded.train, &loaded.valid, &loaded.test][own];
            for (index, mut sample) in samples.into_iter().enumerate() {
                let known = sample.digest.as_deref().and_then(|digest| by_digest.get(digest));
                let by_content = known.map_or(UNSEEN, |&(side, _)| side);
                let side = match by_name.get(sample.name.as_str()) {
                    Some((side, entry)) if entry.digest.is_none() || entry.digest == sample.digest => {
                        same = true;
                        *side
                    }
                    Some(_) => {
                        sample.group = None;
                        changed.push(sample.name.clone());
                        by_content
                    }
                    None => {
                        let group = known.and_then(|(_, entry)| entry.group.clone());
                        sample.group = sample.group.take().or(group);
                        by_content
                    }
                };
                let (samples, all) = &mut sides[side];
                all.take(images, index);
                samples.push(sample);
            }
        }
        ensure!(
            changed.is_empty() || !same,
            "images in {} have changed since the run began ({}): restore them, or give another folder",
            dataset.root.display(),
            listed(&changed)
        );
        let [(train, of_train), (valid, of_valid), (test, of_test)] = sides;
        (dataset.train, dataset.valid, dataset.test) = (train, valid, test);
        Ok(Loaded { train: of_train, valid: of_valid, test: of_test, source: None, hash: loaded.hash })
    }
}

/// What the user should know of images that a model was made from; `None` where all are unseen.
#[must_use]
pub fn note(loaded: &Loaded) -> Option<String> {
    let [train, valid, test] = [&loaded.train, &loaded.valid, &loaded.test].map(Images::len);
    (train + valid > 0).then(|| {
        format!(
            "the model was trained on {train} of these images, and its epoch chosen by {valid}: their figures flatter; {}",
            if test == 0 { "none is unseen".to_owned() } else { format!("the test figures are of the other {test}") }
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::RgbImage;
    use no_std_infer::format::{Color, Fit};

    use super::*;
    use crate::config::InputConfig;
    use crate::data::dataset::{Options, Reading, View};

    /// Two classes of eight pictures, and what a run remembers of them.
    fn data() -> (tempfile::TempDir, Record) {
        let dir = tempfile::tempdir().unwrap();
        for class in ["a", "b"] {
            fs::create_dir(dir.path().join(class)).unwrap();
            for number in 0..8 {
                let path = dir.path().join(class).join(format!("{number}.png"));
                RgbImage::from_pixel(3, 3, image::Rgb([number, class.as_bytes()[0], 0])).save(path).unwrap();
            }
        }
        let mut dataset = Dataset::open(dir.path(), &Options::default()).unwrap();
        let loaded = dataset.load(&Reading::all(&input(), View::Rgb888), &|_, _| {}).unwrap();
        let record = Record::new(&dataset, &loaded).unwrap();
        (dir, record)
    }

    fn input() -> InputConfig {
        InputConfig { width: 3, height: 3, color: Color::Rgb, fit: Fit::Stretch }
    }

    /// Numbers of train, valid and test images of a folder for the run.
    fn sorted(record: &Record, folder: &Path) -> Result<[usize; 3]> {
        let mut dataset = Dataset::open_for(folder, &record.classes, false)?;
        record.expect(&mut dataset);
        let loaded = dataset.load(&Reading::all(&input(), View::Rgb888), &|_, _| {})?;
        let loaded = record.sort(&mut dataset, loaded)?;
        for (samples, images) in
            [(&dataset.train, &loaded.train), (&dataset.valid, &loaded.valid), (&dataset.test, &loaded.test)]
        {
            assert_eq!(samples.iter().map(|sample| sample.label).collect::<Vec<_>>(), images.labels);
        }
        Ok([&loaded.train, &loaded.valid, &loaded.test].map(Images::len))
    }

    #[test]
    fn what_was_learnt_is_known_under_any_name_and_in_any_folder() {
        let (dir, record) = data();
        let split = [&record.train, &record.valid, &record.test].map(Vec::len);
        assert_eq!(sorted(&record, dir.path()).unwrap(), split);
        let other = tempfile::tempdir().unwrap();
        for class in ["a", "b"] {
            fs::create_dir_all(other.path().join("test").join(class)).unwrap();
            for number in 0..8 {
                let from = dir.path().join(class).join(format!("{number}.png"));
                fs::copy(from, other.path().join("test").join(class).join(format!("other-{number}.png"))).unwrap();
            }
        }
        assert_eq!(sorted(&record, other.path()).unwrap(), split);
        RgbImage::new(3, 3).save(other.path().join("test/a/new.png")).unwrap();
        assert_eq!(sorted(&record, other.path()).unwrap(), [split[0], split[1], split[2] + 1]);
    }

    #[test]
    fn a_changed_image_of_the_runs_folder_is_named_and_another_folder_may_have_the_same_names() {
        let (dir, record) = data();
        let name = record.train[0].name.clone();
        RgbImage::new(3, 3).save(dir.path().join(&name)).unwrap();
        let error = sorted(&record, dir.path()).unwrap_err().to_string();
        assert!(error.contains(&name) && error.contains("changed"), "{error}");
        for number in 0..8 {
            for class in ["a", "b"] {
                let path = dir.path().join(class).join(format!("{number}.png"));
                RgbImage::from_pixel(3, 3, image::Rgb([number, class.as_bytes()[0], 9])).save(path).unwrap();
            }
        }
        assert_eq!(sorted(&record, dir.path()).unwrap(), [0, 0, 16]);
    }
}
