//! Two models on the same photographs, from which neither has learnt: whatever classes, input and test images they have.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use no_std_infer::Model;
use serde::{Deserialize, Serialize};

use crate::config::InputConfig;
use crate::data::bootstrap::Estimate;
use crate::data::dataset::{Dataset, Images, Reading, Sample, View};
use crate::data::progress;
use crate::data::record::Record;
use crate::measure::evaluate::{class_names, input_config, int8_classes, int8_outputs};
use crate::measure::scores::PairedScore;
use crate::system::terminal::escaped;

/// Fewest groups in which models must differ before one is said to be better: as many pairs that all speak for one side have a
/// probability below 5 % where neither is better (the sign test).
const GROUPS_MIN: usize = 6;

/// A model that is compared.
#[derive(Debug)]
pub struct Contender<'a> {
    /// What it is called.
    pub name: String,
    model: Model<'a>,
    input: InputConfig,
    /// What it has learnt from, where that is known.
    record: Option<Record>,
}

impl<'a> Contender<'a> {
    /// A model, which was read from `path`, with what it has learnt from, where that is known.
    ///
    /// # Errors
    /// When it is no classifier of pictures.
    pub fn new(name: String, model: Model<'a>, path: &Path, record: Option<Record>) -> Result<Self> {
        Ok(Self { name, input: input_config(&model, path)?, model, record })
    }

    /// Whether its epochs learnt an image, or the best of them was chosen by it.
    fn learnt(&self) -> Learnt<'_> {
        let sides = self.record.iter().flat_map(Record::sides).filter(|(side, _)| *side < 2);
        let mut learnt = Learnt::default();
        for (_, sample) in sides {
            match &sample.digest {
                Some(digest) => learnt.digests.insert(digest.as_str()),
                None => learnt.names.insert(sample.name.as_str()),
            };
        }
        learnt
    }

    /// 1 for each image whose class it names, 0 for others; `classes` are the names of the labels.
    fn right(&self, images: &Images, classes: &[String]) -> Vec<f64> {
        let own = class_names(&self.model);
        let said = int8_classes(&int8_outputs(&self.model, images));
        let right = said.iter().zip(&images.labels).map(|(&said, &label)| own.get(said) == classes.get(label));
        right.map(|right| f64::from(u8::from(right))).collect()
    }
}

/// Images that a model has learnt from.
#[derive(Default)]
struct Learnt<'a> {
    digests: HashSet<&'a str>,
    /// Of those whose content is not known.
    names: HashSet<&'a str>,
}

impl Learnt<'_> {
    fn has(&self, sample: &Sample) -> bool {
        let known = sample.digest.as_ref().is_some_and(|digest| self.digests.contains(digest.as_str()));
        known || self.names.contains(sample.name.as_str())
    }
}

/// Which of two models is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// The first.
    First,
    /// The second.
    Second,
    /// Chance may be all there is.
    Unknown,
}

/// What two int8 models say about images from which neither has learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Names of the models.
    pub names: [String; 2],
    /// Number of images.
    pub images: usize,
    /// Number of groups; an image without one counts as a group.
    pub groups: usize,
    /// Images that were left out, since one of the models has learnt from them or from one of their group.
    pub left_out: usize,
    /// The int8 models.
    pub int8: PairedScore,
    /// Of images whose classes each model does not know, and never has right, their number.
    pub of_unknown_classes: [usize; 2],
    /// Which is better, and so is the interval of the difference on its side of 0.
    pub better: Better,
    /// The same in a sentence.
    pub verdict: String,
}

/// The classes that one of two models knows.
#[must_use]
pub fn known_classes(contenders: [&Contender<'_>; 2]) -> Vec<String> {
    let own = contenders.map(|contender| class_names(&contender.model));
    own.into_iter().flatten().collect::<BTreeSet<String>>().into_iter().collect()
}

/// Compares two models on those of a folder's images from which neither has learnt, image by image; the images are in
/// [`known_classes`].
///
/// # Errors
/// When an image cannot be read, or there is none that both have not learnt from.
pub fn held_out(contenders: [&Contender<'_>; 2], dataset: &Dataset, view: View) -> Result<HeldOut> {
    let classes = known_classes(contenders);
    let mut dataset = dataset.whole();
    let own_classes = contenders.map(|contender| class_names(&contender.model));
    let [first, second] = contenders;
    let loaded = progress::load(&mut dataset, &Reading::all(&first.input, view))?.train;
    let unseen = unseen(&dataset.train, contenders);
    ensure!(
        !unseen.is_empty(),
        "of the {} pictures in {} one of the models has learnt from each, or from one of its group: give others",
        dataset.train.len(),
        dataset.root.display()
    );
    let images = loaded.only(&unseen);
    let right = [first.right(&images, &classes), {
        let other = (second.input != first.input)
            .then(|| progress::load(&mut dataset.clone(), &Reading::all(&second.input, view)));
        let other = other.transpose()?.map(|loaded| loaded.train.only(&unseen));
        second.right(other.as_ref().unwrap_or(&images), &classes)
    }];
    let groups: Vec<&str> = unseen.iter().map(|&index| dataset.train[index].cluster()).collect();
    let knows = |own: &Vec<String>, label: usize| own.contains(&classes[label]);
    let of_unknown_classes =
        own_classes.each_ref().map(|own| images.labels.iter().filter(|&&l| !knows(own, l)).count());
    HeldOut::new(contenders.map(|contender| contender.name.clone()), &groups, &right)
        .map(|found| HeldOut { left_out: dataset.train.len() - unseen.len(), of_unknown_classes, ..found })
        .context("the models cannot be compared")
}

/// Indices of the images from which no model has learnt, nor from one of their group.
fn unseen(samples: &[Sample], contenders: [&Contender<'_>; 2]) -> Vec<usize> {
    let learnt = contenders.map(Contender::learnt);
    let has = |sample: &Sample| learnt.iter().any(|learnt| learnt.has(sample));
    let known: HashSet<&str> = samples.iter().filter(|sample| has(sample)).map(Sample::cluster).collect();
    (0..samples.len()).filter(|&index| !known.contains(samples[index].cluster())).collect()
}

impl HeldOut {
    /// Of two models that are right, 1, or wrong, 0, an entry an image.
    fn new(names: [String; 2], groups: &[&str], [first, second]: &[Vec<f64>; 2]) -> Result<Self> {
        ensure!(groups.len() == first.len() && groups.len() == second.len(), "there is not one answer an image");
        let int8 = PairedScore::new(groups, first, second);
        let differing = groups.iter().zip(first.iter().zip(second)).filter(|(_, (first, second))| first != second);
        let differing = differing.map(|(group, _)| group).collect::<BTreeSet<_>>().len();
        let Estimate { low, high, .. } = int8.difference;
        let better = match differing >= GROUPS_MIN {
            true if low > 0.0 => Better::Second,
            true if high < 0.0 => Better::First,
            _ => Better::Unknown,
        };
        let distinct = groups.iter().collect::<BTreeSet<_>>().len();
        let images = groups.len();
        let verdict = sentence(&names, better, &int8, images);
        Ok(Self { names, images, groups: distinct, left_out: 0, int8, of_unknown_classes: [0; 2], better, verdict })
    }

    /// For people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { images, groups, left_out, int8, names, of_unknown_classes, verdict, .. } = self;
        let mut text = format!("{verdict}\n\n{images} images in {groups} groups that neither model has learnt from");
        if *left_out > 0 {
            text += &format!("; {left_out} were left out");
        }
        text += "; 95 % intervals by drawing groups\n";
        let lines = [(int8.first, int8.only_first), (int8.second, int8.only_second)];
        for ((name, (accuracy, alone)), unknown) in names.iter().zip(lines).zip(of_unknown_classes) {
            text += &format!("{}: accuracy {accuracy}, alone right {alone}", escaped(name));
            if *unknown > 0 {
                text += &format!(", does not know the classes of {unknown}");
            }
            text += "\n";
        }
        text + &format!("second - first  {}\n", int8.difference)
    }
}

fn sentence([first, second]: &[String; 2], better: Better, score: &PairedScore, images: usize) -> String {
    let percent = |estimate: &Estimate| format!("{:.1} %", 100.0 * estimate.value);
    let points = |sign: f64| {
        let Estimate { value, low, high } = score.difference;
        let [value, low, high] = [value, low, high].map(|share| 100.0 * share * sign);
        format!("{value:.1} points ({:.1} to {:.1})", low.min(high), low.max(high))
    };
    let (first, second) = (escaped(first), escaped(second));
    match better {
        Better::Second => format!(
            "{second} is better: it has {} of {images} pictures right and {first} {}, which is {} more.",
            percent(&score.second),
            percent(&score.first),
            points(1.0)
        ),
        Better::First => format!(
            "{first} is better: it has {} of {images} pictures right and {second} {}, which is {} more.",
            percent(&score.first),
            percent(&score.second),
            points(-1.0)
        ),
        Better::Unknown => format!(
            "Which is better is not known: {second} has {} of {images} pictures right and {first} {}, a difference of {} that \
             may be chance.",
            percent(&score.second),
            percent(&score.first),
            points(1.0)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(right: [&[u8]; 2], groups: &[&str]) -> HeldOut {
        let right = right.map(|right| right.iter().map(|&right| f64::from(right)).collect());
        HeldOut::new(["before".to_owned(), "after".to_owned()], groups, &right).unwrap()
    }

    #[test]
    fn a_lead_is_told_and_chance_is_not() {
        let names: Vec<String> = (0..12).map(|index| index.to_string()).collect();
        let groups: Vec<&str> = names.iter().map(String::as_str).collect();
        let all = compared([&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1], &[1; 12]], &groups);
        assert_eq!((all.better, all.int8.only_second), (Better::Second, 10));
        assert!(all.verdict.starts_with("after is better: it has 100.0 % of 12 pictures right"), "{}", all.verdict);
        let turned = compared([&[1; 12], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]], &groups);
        assert_eq!(turned.better, Better::First);
        assert!(turned.verdict.starts_with("before is better") && turned.verdict.contains("83.3 points"));
        let even = compared([&[0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1], &[1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1]], &groups);
        assert_eq!(even.better, Better::Unknown);
        // All of five speak for one side, which chance does in one of sixteen cases.
        let few = compared([&[0; 5], &[1; 5]], &groups[..5]);
        assert_eq!((few.better, few.int8.difference.low), (Better::Unknown, 1.0));
        // Twelve pictures of one group are one piece of evidence.
        let copies = compared([&[0; 12], &[1; 12]], &["one"; 12]);
        assert_eq!((copies.better, copies.groups), (Better::Unknown, 1));
    }
}
