//! Cross-validation: folds that keep groups together, and the split that each fold is scored by.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::scan::Classes;
use super::{Dataset, Loaded, Options, Sample, listed, split};

impl Dataset {
    /// Lists all images below `dir` as training images, whatever split they are in, by name.
    ///
    /// # Errors
    /// No such folder, no images, fewer than two classes, a groups file that cannot be used.
    pub fn open_whole(dir: &Path, options: &Options) -> Result<Self> {
        let (splits, mut dataset) = Self::scanned(dir, options.skip_bad)?;
        let mut classes = Classes::new();
        for (name, files) in splits.into_iter().flatten() {
            classes.entry(name).or_default().extend(files);
        }
        dataset.classes = dataset.class_names(&classes)?;
        dataset.train = dataset.samples(classes);
        dataset.assign_groups(dir, options)?;
        Ok(dataset)
    }

    /// The fold, from 0, of each training image: groups stay together, and each class is spread as evenly as they allow,
    /// to the image where there are no groups. Depends on names, groups, labels and the seed only.
    ///
    /// # Errors
    /// When there are fewer than two folds, or a class has fewer groups than there are folds.
    pub fn folds(&self, folds: usize, seed: u64) -> Result<Vec<usize>> {
        ensure!(folds > 1, "cross-validation needs two folds or more: give --folds 5");
        let mut units = vec![BTreeSet::new(); self.classes.len()];
        for sample in &self.train {
            units[sample.label].insert(sample.group.as_ref().ok_or(&sample.name));
        }
        let few: Vec<_> = self.classes.iter().zip(&units).filter(|(_, u)| u.len() < folds).map(|(c, _)| c).collect();
        ensure!(
            few.is_empty(),
            "{} has fewer than {folds} groups of images of the class {}, so not every fold could have one: add images or \
             lower --folds; where the groups are wrong, `--groups none` ignores them",
            self.root.display(),
            listed(&few)
        );
        let sides = split::distribute(self.train.clone(), &quotas(&self.train, self.classes.len(), folds), seed);
        let of: BTreeMap<&str, usize> = sides
            .iter()
            .enumerate()
            .flat_map(|(fold, side)| side.iter().map(move |sample| (sample.name.as_str(), fold)))
            .collect();
        Ok(self.train.iter().map(|sample| of[sample.name.as_str()]).collect())
    }

    /// The split that scores one fold: its images are the test; a share `valid` of the others, by groups, is set aside for
    /// validation. `folds` holds the fold of each training image.
    ///
    /// # Errors
    /// When the images outside the fold cannot be split into training and validation.
    pub fn fold(&self, folds: &[usize], fold: usize, valid: f64, seed: u64) -> Result<Self> {
        let of_fold = |inside: bool| -> Vec<Sample> {
            let pairs = self.train.iter().zip(folds);
            pairs.filter(|&(_, &of)| (of == fold) == inside).map(|(sample, _)| sample.clone()).collect()
        };
        let others = Self { train: of_fold(false), test: of_fold(true), ..self.clone() };
        others.setting_aside(valid, seed)
    }

    /// The same split with a share of its training and of its validation images, by groups, each class as evenly as they allow;
    /// above 0 and at most 1, where all stay.
    ///
    /// # Errors
    /// When a class would have fewer than two training images left, or nothing is left for validation.
    pub fn thinned(&self, share: f64, seed: u64) -> Result<Self> {
        let sizes = split::class_sizes(&self.train, self.classes.len());
        let few = |(_, size): &(&String, &usize)| **size as f64 * share < 2.0;
        let few: Vec<_> = self.classes.iter().zip(&sizes).filter(few).map(|(class, _)| class).collect();
        ensure!(few.is_empty(), "fewer than two training images would be left of the class {}", listed(&few));
        let some = |samples: &[Sample]| -> Vec<Sample> {
            let [some, _, _] = split::split(samples.to_vec(), self.classes.len(), [share, 0.0, 1.0 - share], seed);
            some
        };
        let thinned = Self { train: some(&self.train), valid: some(&self.valid), ..self.clone() };
        thinned.check_complete()?;
        Ok(thinned)
    }

    /// All images as training images, in the order of their names.
    #[must_use]
    pub fn whole(&self) -> Self {
        let mut train = [&self.train[..], &self.valid, &self.test].concat();
        train.sort_by(|a, b| a.name.cmp(&b.name));
        Self { train, valid: Vec::new(), test: Vec::new(), for_training: false, ..self.clone() }
    }

    /// The same test images; of the others another share, by groups, is set aside for validation.
    ///
    /// # Errors
    /// When they cannot be split so.
    pub fn with_validation(&self, share: f64, seed: u64) -> Result<Self> {
        Self { train: [&self.train[..], &self.valid].concat(), ..self.clone() }.setting_aside(share, seed)
    }

    /// A share of the training images becomes the validation images, by groups.
    fn setting_aside(mut self, share: f64, seed: u64) -> Result<Self> {
        self.check_divisible()?;
        let [train, valid, _] = self.divide([share, 0.0], seed);
        let dataset = Self { train, valid, set_aside: true, for_training: true, ..self };
        dataset.check_complete()?;
        Ok(dataset)
    }

    /// Leaves out what is not among the training images of `whole`, since it could not be read there.
    ///
    /// # Errors
    /// When a class has too few images then.
    pub fn leave_out_skipped(&mut self, whole: &Self) -> Result<()> {
        if whole.skipped.is_empty() {
            return Ok(());
        }
        let known: BTreeSet<&str> = whole.train.iter().map(|sample| sample.name.as_str()).collect();
        for side in [&mut self.train, &mut self.valid, &mut self.test] {
            side.retain(|sample| known.contains(sample.name.as_str()));
        }
        self.check_complete()
    }
}

impl Loaded {
    /// The images of another split of the same images, all of which `whole` has as training images; its samples get their
    /// digests. A split that was thinned may lack some.
    ///
    /// # Errors
    /// When the split has images that `whole` has not, or one on two sides.
    pub fn divided(&self, whole: &Dataset, split: &mut Dataset) -> Result<Self> {
        let all = whole.train.iter().enumerate();
        let known: HashMap<&str, usize> = all.map(|(index, sample)| (sample.name.as_str(), index)).collect();
        let mut places: [Vec<usize>; 3] = Default::default();
        for (samples, places) in [&mut split.train, &mut split.valid, &mut split.test].into_iter().zip(&mut places) {
            for sample in samples {
                let known = known.get(sample.name.as_str());
                let index = *known.with_context(|| format!("{} has no {}", whole.root.display(), sample.name))?;
                sample.digest.clone_from(&whole.train[index].digest);
                places.push(index);
            }
        }
        let [train, valid, test] = &places;
        let once: BTreeSet<usize> = places.iter().flatten().copied().collect();
        let same = train.len() + valid.len() + test.len() == once.len();
        ensure!(same, "{} has other images than are divided", whole.root.display());
        Ok(Self {
            train: self.train.only(train),
            valid: self.train.only(valid),
            test: self.train.only(test),
            source: self.source.as_ref().map(|source| source.only(train)),
            hash: self.hash.clone(),
        })
    }
}

/// How many images of each class each fold wants: as many as any other, give or take one, and so for all classes together.
fn quotas(samples: &[Sample], classes: usize, folds: usize) -> Vec<Vec<usize>> {
    let mut first = 0;
    let class = |size: usize| {
        let (each, over) = (size / folds, size % folds);
        let sides = (0..folds).map(|fold| each + usize::from((fold + folds - first) % folds < over)).collect();
        first = (first + over) % folds;
        sides
    };
    split::class_sizes(samples, classes).into_iter().map(class).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dataset(drawn: &[(usize, Option<usize>)]) -> Dataset {
        let sample = |(number, &(label, group)): (usize, &(usize, Option<usize>))| {
            let name = format!("{label}/{number:04}.png");
            Sample { name, label, group: group.map(|group| group.to_string()), digest: None }
        };
        let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
        let samples = drawn.iter().enumerate().map(sample).collect();
        Dataset::from_samples(Path::new("data"), classes, [samples, Vec::new(), Vec::new()])
    }

    fn names(samples: &[Sample]) -> BTreeSet<&str> {
        samples.iter().map(|sample| sample.name.as_str()).collect()
    }

    #[test]
    fn a_class_with_too_few_groups_is_refused() {
        let drawn: Vec<_> = (0..30).map(|number| (number % 3, (number % 3 == 1).then_some(number % 4))).collect();
        let error = dataset(&drawn).folds(5, 1).unwrap_err().to_string();
        assert!(error.contains("class b,") && error.contains("--folds") && error.contains("--groups none"), "{error}");
        assert!(dataset(&drawn).folds(1, 1).is_err());
    }

    #[test]
    fn a_thinned_split_has_its_share_of_whole_groups_of_each_class_and_the_same_test() {
        let drawn: Vec<_> = (0..720).map(|i| (i % 3, Some(i % 3 + 3 * (i / 6)))).collect();
        let whole = dataset(&drawn);
        let split = whole.fold(&whole.folds(3, 1).unwrap(), 0, 0.2, 1).unwrap();
        let thinned = split.thinned(0.25, 7).unwrap();
        assert_eq!(names(&thinned.test), names(&split.test));
        for (some, all) in [(&thinned.train, &split.train), (&thinned.valid, &split.valid)] {
            assert!(names(some).is_subset(&names(all)));
            for class in 0..3 {
                let count = |samples: &[Sample]| samples.iter().filter(|sample| sample.label == class).count() as f64;
                assert!((count(some) - count(all) / 4.0).abs() <= 2.0, "class {class}");
            }
            let members = |samples: &[Sample], group| samples.iter().filter(|s| s.group == group).count();
            assert!(some.iter().all(|s| members(some, s.group.clone()) == members(all, s.group.clone())));
        }
        assert_eq!(names(&split.thinned(1.0, 7).unwrap().train), names(&split.train));
        assert_ne!(names(&split.thinned(0.25, 8).unwrap().train), names(&thinned.train));
        assert!(split.thinned(0.001, 7).is_err());
    }

    proptest! {
        #[test]
        fn groups_are_whole_and_the_folds_do_not_depend_on_the_order(
            drawn in prop::collection::vec((0_usize..3, prop::option::of(0_usize..40)), 60..200),
            seed: u64,
            turn in 0_usize..60,
        ) {
            let whole = dataset(&drawn);
            let Ok(folds) = whole.folds(3, seed) else { return Ok(()) };
            let fold_of: BTreeMap<&str, usize> =
                whole.train.iter().zip(&folds).map(|(sample, &fold)| (sample.name.as_str(), fold)).collect();
            let mut fold_of_group = BTreeMap::new();
            for (sample, &fold) in whole.train.iter().zip(&folds) {
                if let Some(group) = &sample.group {
                    prop_assert_eq!(*fold_of_group.entry(group).or_insert(fold), fold, "group {}", group);
                }
            }
            let mut turned = whole.clone();
            turned.train.rotate_left(turn);
            for (sample, fold) in turned.train.iter().zip(turned.folds(3, seed).unwrap()) {
                prop_assert_eq!(fold_of[sample.name.as_str()], fold);
            }
        }

        #[test]
        fn without_groups_every_class_and_the_whole_are_even_to_the_image(
            sizes in prop::collection::vec(5_usize..60, 3),
            seed: u64,
        ) {
            let drawn: Vec<_> = sizes.iter().enumerate().flat_map(|(c, &n)| vec![(c, None); n]).collect();
            let whole = dataset(&drawn);
            let folds = whole.folds(5, seed).unwrap();
            let even = |keep: &dyn Fn(usize) -> bool| {
                let sizes = (0..5).map(|fold| {
                    whole.train.iter().zip(&folds).filter(|&(s, &f)| f == fold && keep(s.label)).count()
                });
                let sizes: Vec<usize> = sizes.collect();
                sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1
            };
            prop_assert!(even(&|_| true));
            for class in 0..3 {
                prop_assert!(even(&|label| label == class));
            }
        }

        #[test]
        fn validation_comes_from_the_other_folds_by_groups(seed: u64, size in 1_usize..5, fold in 0_usize..4) {
            let drawn: Vec<_> = (0..240).map(|i| (i % 3, Some(i % 3 + 3 * (i / 3 / size)))).collect();
            let whole = dataset(&drawn);
            let folds = whole.folds(4, seed).unwrap();
            let split = whole.fold(&folds, fold, 0.2, seed).unwrap();
            let scored: BTreeSet<&str> =
                whole.train.iter().zip(&folds).filter(|&(_, &f)| f == fold).map(|(s, _)| s.name.as_str()).collect();
            prop_assert_eq!(names(&split.test), scored);
            prop_assert_eq!(split.train.len() + split.valid.len() + split.test.len(), 240);
            let groups = [&split.train, &split.valid, &split.test]
                .map(|side| side.iter().filter_map(|s| s.group.clone()).collect::<BTreeSet<_>>());
            for (a, b) in [(0, 1), (0, 2), (1, 2)] {
                prop_assert!(groups[a].is_disjoint(&groups[b]));
            }
            for label in 0..3 {
                let of = |side: &[Sample]| side.iter().filter(|s| s.label == label).count();
                prop_assert!(of(&split.test).abs_diff(20) <= size && of(&split.valid).abs_diff(12) <= size);
            }
        }
    }
}
