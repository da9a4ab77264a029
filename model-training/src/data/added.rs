//! The images of a run together with those of a folder, each on its side: what another run goes on with.
//!
//! The run's images stay on their sides. An image of the folder that the run knows, by its content, stays on its side too, wherever
//! it lies in the folder now and whatever its label is; one whose group the run knows goes to the side of that group, so that no copy of
//! a training image is tested on. The others are split by their groups.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;

use crate::data::dataset::{Dataset, Options, Sample, digest, divided, listed};
use crate::data::record::Record;
use crate::system::terminal::escaped;

/// All images that are learnt and measured with.
#[derive(Debug)]
pub struct Added {
    /// The images, in a folder that holds both.
    pub dataset: Dataset,
    /// What the names of the folder's images begin with; empty where it is the run's own folder.
    pub prefix: String,
    /// Number of images that the run does not know: for training, validation and test.
    pub new: [usize; 3],
    /// Classes that the run does not know.
    pub new_classes: Vec<String>,
    /// The digest of each image by its name, as far as its file can be read.
    expected: HashMap<String, String>,
}

/// An image of the run.
struct Known {
    side: usize,
    class: String,
    name: String,
    /// Whether it lies in the folder.
    inside: bool,
}

impl Added {
    /// Adds the images of `folder` to those of a run, which lie below `own`. `options` say how the others are split.
    ///
    /// # Errors
    /// When a folder is missing, holds no image, or lies where it is no folder of its own; when there is nothing new; when classes or
    /// labels contradict those of the run.
    pub fn new(record: &Record, own: &Path, folder: &Path, options: &Options) -> Result<Self> {
        ensure!(
            record.sides().any(|(_, sample)| sample.path(own).exists()),
            "the run's own pictures lay in {}, where none is now: say where they are by `--from-data DIR`",
            own.display()
        );
        let (given, is_split) = Dataset::open_added(folder, options)?;
        let places = Places::new(own, &given.root)?;
        places.check_apart(record)?;
        let mut joint = Joint::new(record, &places)?;
        let classes = joint.classes(record, &given.classes)?;
        let new_classes = classes.iter().filter(|class| !record.classes.contains(class)).cloned().collect();
        let label = |class: &str| classes.iter().position(|name| name == class).unwrap_or_default();

        let sides = [&given.train, &given.valid, &given.test];
        let found: Vec<(usize, &Sample)> =
            sides.into_iter().enumerate().flat_map(|(side, samples)| samples.iter().map(move |s| (side, s))).collect();
        let digests: Vec<Option<String>> =
            found.par_iter().map(|(_, sample)| digest(&sample.path(&given.root))).collect();
        let mut unknown = Vec::new();
        for ((side, sample), digest) in found.into_iter().zip(digests) {
            let class = &given.classes[sample.label];
            let sample = Sample {
                name: places.folder.clone() + &sample.name,
                label: label(class),
                group: sample.group.as_deref().map(|group| places.group(group)),
                digest,
            };
            unknown.extend(joint.take(sample, class)?.map(|sample| (side, sample)));
        }
        ensure!(
            !unknown.is_empty() || joint.changed || !joint.inside.is_empty(),
            "{} holds no picture that the run does not know: there is nothing to learn",
            folder.display()
        );
        joint.known_classes(label);
        let known = joint.sides.each_ref().map(Vec::len);
        joint.add(unknown, is_split, |samples| divided(samples, classes.len(), &options.data, options.seed));
        let new = [0, 1, 2].map(|side| joint.sides[side].len() - known[side]);
        for side in &mut joint.sides {
            side.sort_by(|a, b| a.name.cmp(&b.name));
        }
        let expected = joint.sides.iter().flatten().filter_map(|s| Some((s.name.clone(), s.digest.clone()?))).collect();
        let mut dataset = Dataset::to_train(&places.root, classes, joint.sides, options.skip_bad)?;
        dataset.notes.splice(0..0, given.notes);
        Ok(Self { dataset, prefix: places.folder, new, new_classes, expected })
    }

    /// The images of a data set that was [added to](Self::new) have been read: refuses them when they are not those that were looked at.
    ///
    /// # Errors
    /// When contents differ; names the images.
    pub fn check_same(&self, dataset: &Dataset) -> Result<()> {
        let read = [&dataset.train, &dataset.valid, &dataset.test].into_iter().flatten();
        let differs = |sample: &&Sample| {
            self.expected.get(&sample.name).is_some_and(|expected| Some(expected) != sample.digest.as_ref())
        };
        let changed: Vec<&str> = read.filter(differs).map(|sample| sample.name.as_str()).collect();
        ensure!(
            changed.is_empty(),
            "images in {} have changed since the run began ({}): restore them, or train anew",
            dataset.root.display(),
            listed(&changed)
        );
        Ok(())
    }
}

/// Where the images are: `own` and `folder` are below `root`, with a slash at the end where they are not `root` itself.
struct Places {
    root: PathBuf,
    own: String,
    folder: String,
}

impl Places {
    fn new(own: &Path, folder: &Path) -> Result<Self> {
        let real = |path: &Path| path.canonicalize().with_context(|| format!("cannot find {}", path.display()));
        let (own, folder) = (real(own)?, real(folder)?);
        let shared = own.components().zip(folder.components()).take_while(|(a, b)| a == b);
        let root: PathBuf = shared.map(|(part, _)| part).collect();
        ensure!(root.has_root(), "{} and {} are on different drives: put both on one", own.display(), folder.display());
        let below = |path: &Path| -> Result<String> {
            let parts = path.strip_prefix(&root)?.components().map(|part| part.as_os_str().to_str());
            let parts: Option<Vec<&str>> = parts.collect();
            let parts = parts.with_context(|| format!("the name of {} is no UTF-8: rename it", path.display()))?;
            Ok(parts.into_iter().map(|part| format!("{part}/")).collect())
        };
        Ok(Self { own: below(&own)?, folder: below(&folder)?, root })
    }

    /// Refuses a folder that holds the run's own, or that lies where its next training would take it for a class.
    fn check_apart(&self, record: &Record) -> Result<()> {
        let Self { root, own, folder } = self;
        let [own_path, folder_path] = [own, folder].map(|name| root.join(name));
        ensure!(
            own.is_empty() || !folder.is_empty(),
            "{} holds the run's own pictures, which lie in {}: give the folder of the new ones alone",
            folder_path.display(),
            own_path.display()
        );
        let above =
            folder.trim_end_matches('/').rsplit_once('/').map_or(String::new(), |(above, _)| format!("{above}/"));
        let beside = |(_, sample): (usize, &Sample)| {
            let name = format!("{own}{}", sample.name);
            let class = format!("{above}{}/", record.classes[sample.label]);
            name.starts_with(&class) && !name.starts_with(folder.as_str())
        };
        ensure!(
            folder.is_empty() || !record.sides().any(beside),
            "{} lies among the class folders of the run's own pictures, where it would be taken for a class: move it elsewhere",
            folder_path.display()
        );
        Ok(())
    }

    /// The name of a group of the folder, which another folder's groups do not have.
    fn group(&self, group: &str) -> String {
        let Some(name) = self.folder.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty()) else {
            return group.to_owned();
        };
        let start = format!("{name}:");
        if group.starts_with(&start) { group.to_owned() } else { start + group }
    }
}

/// What the run has, and what is added to it.
struct Joint {
    /// Each image with its class's name, by its digest; of several equal ones that which was learnt.
    known: HashMap<String, Known>,
    /// The images that stay, with the labels of the run, until [`Self::known_classes`].
    sides: [Vec<Sample>; 3],
    /// Of how many images the first are the run's, whose labels are still the run's.
    own: [usize; 3],
    own_classes: Vec<String>,
    /// On which side a group of the folder is: of several that which comes first.
    groups: BTreeMap<String, usize>,
    /// Names of the run's images that lay in the folder and were not found there.
    inside: BTreeSet<String>,
    /// Whether one of them has moved or has another label.
    changed: bool,
}

impl Joint {
    fn new(record: &Record, places: &Places) -> Result<Self> {
        let mut joint = Self {
            known: HashMap::new(),
            sides: Default::default(),
            own: [0; 3],
            own_classes: record.classes.clone(),
            groups: BTreeMap::new(),
            inside: BTreeSet::new(),
            changed: false,
        };
        for (side, sample) in record.sides() {
            let name = format!("{}{}", places.own, sample.name);
            let inside = name.starts_with(&places.folder);
            let digest = sample.digest.clone().or_else(|| digest(&places.root.join(&name)));
            if inside {
                sample.group.iter().for_each(|group| joint.note(&places.group(group), side));
                joint.inside.insert(name.clone());
            } else {
                joint.sides[side].push(Sample { name: name.clone(), digest: digest.clone(), ..sample.clone() });
            }
            if let Some(digest) = digest {
                let class = record.classes[sample.label].clone();
                joint.known.entry(digest).or_insert(Known { side, class, name, inside });
            }
        }
        joint.own = joint.sides.each_ref().map(Vec::len);
        Ok(joint)
    }

    /// Notes that a group has an image on a side.
    fn note(&mut self, group: &str, side: usize) {
        let known = self.groups.entry(group.to_owned()).or_insert(side);
        *known = side.min(*known);
    }

    /// The classes of both.
    fn classes(&self, record: &Record, added: &[String]) -> Result<Vec<String>> {
        for class in added.iter().filter(|class| !record.classes.contains(class)) {
            let same = |other: &&String| other.trim().to_lowercase() == class.trim().to_lowercase();
            let twin = record.classes.iter().find(same);
            ensure!(
                twin.is_none(),
                "the folder's class {} and the run's class {} differ in their writing alone: rename the folder",
                escaped(class),
                escaped(twin.map_or("", String::as_str))
            );
        }
        let all: BTreeSet<&String> = record.classes.iter().chain(added).collect();
        Ok(all.into_iter().cloned().collect())
    }

    /// Takes an image of the folder that the run knows; gives back another.
    fn take(&mut self, sample: Sample, class: &str) -> Result<Option<Sample>> {
        let Some(known) = sample.digest.as_ref().and_then(|digest| self.known.get(digest)) else {
            return Ok(Some(sample));
        };
        let Known { side, inside, .. } = *known;
        ensure!(
            inside || known.class == class,
            "{} has the label {}, and the same picture has the label {} in the run ({}): correct one of them",
            escaped(&sample.name),
            escaped(class),
            escaped(&known.class),
            escaped(&known.name)
        );
        self.inside.remove(&sample.name);
        self.changed |= inside && (known.name != sample.name || known.class != class);
        if let Some(group) = sample.group.clone() {
            self.note(&group, side);
        }
        if inside {
            self.sides[side].push(sample);
        }
        Ok(None)
    }

    /// Gives the run's own images the labels of all classes.
    fn known_classes(&mut self, label: impl Fn(&str) -> usize) {
        for (side, own) in self.sides.iter_mut().zip(self.own) {
            side.iter_mut().take(own).for_each(|sample| sample.label = label(&self.own_classes[sample.label]));
        }
    }

    /// Adds images that the run does not know: to the side of their group, or to that on which they lie where their folder
    /// `is_split`, or by `divide`.
    fn add(
        &mut self,
        unknown: Vec<(usize, Sample)>,
        is_split: bool,
        divide: impl FnOnce(Vec<Sample>) -> [Vec<Sample>; 3],
    ) {
        let mut open = Vec::new();
        for (own, sample) in unknown {
            let of_group = sample.group.as_ref().and_then(|group| self.groups.get(group)).copied();
            match of_group.or(is_split.then_some(own)) {
                Some(side) => self.sides[side].push(sample),
                None => open.push(sample),
            }
        }
        for (side, samples) in self.sides.iter_mut().zip(divide(open)) {
            side.extend(samples);
        }
    }
}

#[cfg(test)]
mod tests;
