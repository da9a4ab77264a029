//! What a model has wrong: the confusion matrix, whose cells lead to their pictures, the classes, and the surest mistakes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use maud::{Markup, html};
use model_compiler::graph::Shape;
use model_training::data::dataset::Images;
use model_training::measure::cam::ClassMap;
use model_training::measure::comparison::shorten;
use model_training::measure::confidence::Answer;
use model_training::measure::metrics::{ClassMetrics, Confusion};
use model_training::measure::predictions::Predictions;
use model_training::system::html::table;

use super::picture;

/// Most classes whose matrix is shown; of more, the pairs that are confused most.
const MOST_CLASSES: usize = 50;
/// Most pairs of classes whose pictures are shown.
const MOST_PAIRS: usize = 40;
/// Most pictures of a pair.
const OF_A_PAIR: usize = 6;
/// Most pictures of all pairs.
const OF_ALL_PAIRS: usize = 120;
/// Most classes whose figures are not folded away.
const MOST_LINES: usize = 20;
/// Mistakes that are shown as the surest.
const SUREST: usize = 12;
/// Longest class name over a column; longer ones are cut.
const LONGEST_LABEL: usize = 14;

/// The images of one class that were taken for another.
#[derive(Debug, PartialEq, Eq)]
struct Pair {
    truth: usize,
    predicted: usize,
    /// How many there are.
    count: usize,
    /// Indices of some of them, the surest first.
    shown: Vec<usize>,
}

/// Which mistakes of the int8 model a page shows as pictures.
#[derive(Debug)]
pub(super) struct Mistakes {
    pairs: Vec<Pair>,
    surest: Vec<usize>,
}

impl Mistakes {
    /// Chooses them: of each pair of classes, the most confused first, and the surest of all.
    ///
    /// # Panics
    /// When the predictions are not those of the matrix and the answers.
    pub fn new(confusion: &Confusion, predictions: &Predictions, answers: &[Answer<'_>]) -> Self {
        let mut of_pair: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        let said = predictions.truth().into_iter().zip(predictions.int8());
        said.enumerate().for_each(|(index, pair)| of_pair.entry(pair).or_default().push(index));
        let mut left = OF_ALL_PAIRS;
        let pair = |(truth, predicted, count)| {
            let mut shown = of_pair.remove(&(truth, predicted)).unwrap_or_default();
            assert_eq!(shown.len(), count, "the matrix counts the predictions");
            shown.sort_by_key(|&index| Reverse(answers[index].byte));
            shown.truncate(OF_A_PAIR.min(left));
            left -= shown.len();
            Pair { truth, predicted, count, shown }
        };
        let pairs = confusion.mistakes().into_iter().take(MOST_PAIRS).map(pair).collect();
        Self { pairs, surest: surest(answers) }
    }

    /// Indices of the images that are shown, each once.
    pub fn images(&self) -> BTreeSet<usize> {
        self.pairs.iter().flat_map(|pair| &pair.shown).chain(&self.surest).copied().collect()
    }

    /// The section. `images` holds those of `indices`, in their order; what is not among them is left out.
    ///
    /// # Errors
    /// When a picture cannot be written.
    pub fn to_html(&self, said: &Said<'_>, images: &Images, indices: &[usize]) -> Result<Markup> {
        let place: BTreeMap<usize, usize> = indices.iter().enumerate().map(|(at, &index)| (index, at)).collect();
        let pictures = |chosen: &[usize]| -> Result<Vec<Markup>> {
            let there = chosen.iter().filter_map(|index| Some((*index, *place.get(index)?)));
            there.map(|(index, at)| said.picture(images, index, at)).collect()
        };
        let (classes, confusion) = (&said.predictions.classes, said.confusion);
        let linked: BTreeSet<_> = self.pairs.iter().map(|pair| (pair.truth, pair.predicted)).collect();
        let pairs: Vec<_> = self.pairs.iter().map(|pair| Ok((pair, pictures(&pair.shown)?))).collect::<Result<_>>()?;
        let surest = pictures(&self.surest)?;
        let kinds = confusion.mistakes().len();
        Ok(html! {
            @if classes.len() > MOST_CLASSES {
                p { "Of " (classes.len()) " classes no matrix could be read: the pairs that are confused most stand below." }
            } @else {
                p { "The int8 model's answers. A row is a true class, a column what was said; a mistake opens its pictures." }
                (matrix(classes, confusion, &linked))
                details {
                    summary { "The same of the float network" }
                    (matrix(classes, said.float, &BTreeSet::new()))
                }
            }
            (of_classes(classes, &confusion.per_class()))
            h3 { "Mistakes by kind" }
            @if !said.maps.is_empty() {
                p.soft {
                    "On the right of each picture, tinted: where the float network finds what speaks for the wrong class (class \
                     activation maps)."
                }
            }
            @if pairs.is_empty() { p { "There is none." } }
            @for (Pair { truth, predicted, count, .. }, pictures) in &pairs {
                details {
                    summary { (classes[*truth]) " taken for " (classes[*predicted]) ": " (count) }
                    div id={ "m-" (truth) "-" (predicted) } {
                        @for picture in pictures { (picture) }
                        @if pictures.len() < *count { p.soft { (count - pictures.len()) " more are in predictions.csv only." } }
                    }
                }
            }
            @if pairs.len() < kinds { p.soft { (kinds - pairs.len()) " more kinds are rarer." } }
            @if !surest.is_empty() {
                h3 { "The surest mistakes" }
                p { "Wrong answers of the int8 model with the largest probabilities: wrong labels are often among them." }
                @for picture in &surest { (picture) }
            }
        })
    }
}

/// What was said about the images of a page.
pub(super) struct Said<'a> {
    /// The int8 model's matrix.
    pub confusion: &'a Confusion,
    /// The float network's.
    pub float: &'a Confusion,
    pub predictions: &'a Predictions,
    pub answers: &'a [Answer<'a>],
    /// What shows where the networks look, by fold; those that have none are left out.
    pub maps: &'a BTreeMap<Option<usize>, ClassMap>,
}

impl Said<'_> {
    /// The image of this index, which is number `at` in `images`.
    fn picture(&self, images: &Images, index: usize, at: usize) -> Result<Markup> {
        let image = &self.predictions.images[index];
        let said = no_std_infer::argmax(&image.int8);
        let percent = 100.0 * f64::from(self.answers[index].byte) / 256.0;
        let caption = html! {
            (self.predictions.classes[image.label]) ", taken for "
            span.bad { (self.predictions.classes[said]) } " (" (format!("{percent:.0} %")) ")"
        };
        let (pixels, shape) = (images.image(at), images.shape);
        // Where each fold chose its own network, their inputs may differ from what the page shows.
        match self.maps.get(&image.fold).filter(|map| map.input() == shape) {
            Some(map) => {
                let (both, shape) = beside(&pixels, shape, &map.tinted(&pixels, said));
                picture(&both, shape, &image.path, &caption)
            }
            None => picture(&pixels, shape, &image.path, &caption),
        }
    }
}

/// A picture, and on its right one of the same size in colours.
fn beside(pixels: &[u8], shape: Shape, other: &[u8]) -> (Vec<u8>, Shape) {
    let colours = |row: &[u8]| -> Vec<u8> {
        if shape.channels == 3 { row.to_vec() } else { row.iter().flat_map(|&value| [value; 3]).collect() }
    };
    let rows = pixels.chunks_exact(shape.width * shape.channels).zip(other.chunks_exact(3 * shape.width));
    let both = rows.flat_map(|(row, other)| [colours(row), other.to_vec()].concat()).collect();
    (both, Shape { width: 2 * shape.width, channels: 3, ..shape })
}

/// A matrix of counts; the shade of a cell is its share of the row, and those in `linked` lead to their pictures.
fn matrix(classes: &[String], confusion: &Confusion, linked: &BTreeSet<(usize, usize)>) -> Markup {
    let cell = |truth: usize, predicted: usize, count: usize, support: usize| {
        let share = count as f64 / support.max(1) as f64;
        let style = (count > 0).then(|| format!("--share:{share:.2}"));
        html! {
            td class=[(share > 0.5).then_some("dark")] style=[style] {
                @if linked.contains(&(truth, predicted)) {
                    a href={ "#m-" (truth) "-" (predicted) } { (count) }
                } @else { (count) }
            }
        }
    };
    html! {
        div.scroll {
            table.matrix {
                tr {
                    th {}
                    @for class in classes { th.n title=(class) { (shorten(class, LONGEST_LABEL)) } }
                }
                @for (truth, row) in confusion.counts.iter().enumerate() {
                    @let support = row.iter().sum();
                    tr {
                        th { (classes[truth]) }
                        @for (predicted, &count) in row.iter().enumerate() { (cell(truth, predicted, count, support)) }
                    }
                }
            }
        }
    }
}

/// Precision and recall of each class.
fn of_classes(classes: &[String], metrics: &[ClassMetrics]) -> Markup {
    let row = |(class, found): (&String, &ClassMetrics)| {
        let [precision, recall, f1] = [found.precision, found.recall, found.f1].map(|value| format!("{value:.3}"));
        vec![class.clone(), found.support.to_string(), precision, recall, f1]
    };
    let rows: Vec<Vec<String>> = classes.iter().zip(metrics).map(row).collect();
    let table = table(&["class", "images", "precision", "recall", "F1"], &rows);
    html! {
        h3 { "Classes" }
        p.soft {
            "Precision: the share of right ones among the answers of this class. Recall: the share of this class's images \
             that is found. F1: their harmonic mean."
        }
        @if classes.len() > MOST_LINES {
            details {
                summary { (classes.len()) " classes" }
                (table)
            }
        } @else { (table) }
    }
}

/// Indices of the images that the int8 model has wrong with the largest probability, the worst first, one of each group.
fn surest(answers: &[Answer<'_>]) -> Vec<usize> {
    let mut wrong: Vec<usize> = (0..answers.len()).filter(|&index| !answers[index].right).collect();
    wrong.sort_by_key(|&index| Reverse(answers[index].byte));
    let mut seen = BTreeSet::new();
    wrong.retain(|&index| seen.insert(answers[index].group));
    wrong.truncate(SUREST);
    wrong
}

#[cfg(test)]
mod tests {
    use model_training::measure::predictions::Prediction;

    use super::*;

    #[test]
    fn the_surest_are_wrong_and_one_of_a_photograph() {
        let answer = |byte, right, group| Answer { byte, right, group };
        let answers = [(90, false, "a"), (200, true, "b"), (150, false, "c"), (90, false, "d"), (140, false, "c")]
            .map(|(byte, right, group)| answer(byte, right, group));
        assert_eq!(surest(&answers), [2, 0, 3]);
        let groups: Vec<String> = (0..40).map(|group| group.to_string()).collect();
        let many: Vec<_> = groups.iter().map(|group| answer(1, false, group)).collect();
        assert_eq!(surest(&many).len(), SUREST);
    }

    /// So many classes with some images each, of which every third is taken for the next class.
    fn page(classes: usize, of_each: usize, side: usize) -> String {
        let images = classes * of_each;
        let said = |index: usize| (index + usize::from(index.is_multiple_of(3))) % classes;
        let prediction = |index: usize| Prediction {
            path: format!("{index}.png"),
            label: index % classes,
            group: None,
            fold: None,
            float: Vec::new(),
            int8: (0..classes).map(|class| i8::from(class == said(index))).collect(),
            scale: 1.0,
        };
        let predictions = Predictions {
            classes: (0..classes).map(|class| format!("<class> {class}")).collect(),
            images: (0..images).map(prediction).collect(),
        };
        let confusion = Confusion::from_predictions(classes, &predictions.truth(), &predictions.int8());
        let answers: Vec<Answer<'_>> = predictions
            .images
            .iter()
            .enumerate()
            .map(|(index, image)| Answer { byte: 128, right: !index.is_multiple_of(3), group: &image.path })
            .collect();
        let maps = BTreeMap::new();
        let said = Said {
            confusion: &confusion,
            float: &confusion,
            predictions: &predictions,
            answers: &answers,
            maps: &maps,
        };
        let mistakes = Mistakes::new(&confusion, &predictions, &answers);
        let indices: Vec<usize> = mistakes.images().into_iter().collect();
        let shape = Shape { height: side, width: side, channels: 3 };
        let noise = |at: usize| (at.wrapping_mul(2_654_435_761) >> 7) as u8;
        let pixels: Vec<u8> = (0..indices.len() * shape.len()).map(noise).collect();
        let images = Images::of_pixels(shape, &pixels, &vec![0; indices.len()]);
        mistakes.to_html(&said, &images, &indices).unwrap().into_string()
    }

    #[test]
    fn cells_open_their_pictures() {
        let page = page(4, 30, 8);
        let links: BTreeSet<&str> = page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(links, BTreeSet::from(["m-0-1", "m-1-2", "m-2-3", "m-3-0"]));
        for link in links {
            let shown = page.split(&format!("id=\"{link}\"")).nth(1).and_then(|rest| rest.split("</details>").next());
            assert_eq!(shown.unwrap().matches("<img").count(), OF_A_PAIR, "{link}");
        }
        assert!(page.contains("&lt;class&gt; 0 taken for &lt;class&gt; 1: 10<") && page.contains("4 more are in"));
        assert!(!page.contains("<class>"));
    }

    #[test]
    fn a_map_stands_on_the_right_of_its_picture() {
        let shape = Shape { height: 2, width: 2, channels: 1 };
        let (both, wide) = beside(&[1, 2, 3, 4], shape, &[9; 12]);
        assert_eq!(both, [1, 1, 1, 2, 2, 2, 9, 9, 9, 9, 9, 9, 3, 3, 3, 4, 4, 4, 9, 9, 9, 9, 9, 9]);
        assert_eq!(wide, Shape { height: 2, width: 4, channels: 3 });
    }

    #[test]
    fn pages_of_many_classes_and_large_pictures_stay_small() {
        for (classes, side) in [(MOST_CLASSES, 96), (500, 96), (500, 32)] {
            let page = page(classes, 10, side);
            assert!(page.len() < 3_000_000, "{classes} classes, {side} pixels: {} bytes", page.len());
            let shown = page.matches("<img").count();
            assert!(shown > OF_ALL_PAIRS && shown <= OF_ALL_PAIRS + SUREST, "{shown} pictures");
        }
    }
}
