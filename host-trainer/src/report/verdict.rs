//! What a run's figures mean, in sentences for people who do not read figures.

use crate::data::dataset::Sample;
use crate::data::record::Record;
use crate::measure::comparison::{Comparison, Split};
use crate::measure::metrics::{Epoch, Share};

/// Widest interval of an accuracy that says something.
const WIDE: f64 = 0.2;
/// Fewest pictures of a class to learn it from.
const FEW: usize = 20;
/// How many times as many pictures of one class as of another are too many.
const UNEVEN: usize = 5;
/// By how much the accuracy on training images exceeds that on validation images where they were learnt by heart.
const BY_HEART: f64 = 0.2;
/// Loss of accuracy by quantisation that is worth a word.
const LOSS: f64 = 0.02;

/// Sentences, the result first.
#[must_use]
pub fn verdict(record: &Record, comparison: &Comparison, epochs: &[Epoch]) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(split) = comparison.splits.last() {
        said.extend(result(split));
        said.extend(guessing(split, &comparison.labels));
        said.extend(lost(split));
    }
    said.extend(few(&record.train, &record.classes));
    said.extend(by_heart(epochs, record.valid.len()));
    said
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// The accuracy of what runs on the device.
fn accuracy(split: &Split) -> Option<&Share> {
    split.engines.last().map(|engine| &engine.accuracy)
}

fn result(split: &Split) -> Vec<String> {
    let Some(accuracy) = accuracy(split) else { return Vec::new() };
    let Share { total, value, low, high, .. } = *accuracy;
    let chose = if split.name == "validation" { ", which chose the epoch too, so that this flatters" } else { "" };
    let mut said = vec![format!(
        "The int8 model has {} of {total} {} pictures right{chose}; of new ones like them probably {} to {}.",
        percent(value),
        split.name,
        percent(low),
        percent(high)
    )];
    if high - low > WIDE {
        said.push(
            "That range is wide, because the pictures are few: add some, or let `cv` use each of them for a test."
                .into(),
        );
    }
    said
}

/// Whether the largest class alone would do as well.
fn guessing(split: &Split, labels: &[String]) -> Option<String> {
    let accuracy = accuracy(split)?;
    let supports = split.engines[0].per_class.iter().map(|class| class.support).zip(labels);
    let (most, label) = supports.max_by_key(|(support, _)| *support)?;
    let guess = most as f64 / accuracy.total.max(1) as f64;
    (accuracy.low <= guess).then(|| {
        format!(
            "It is not shown to be better than always answering {label}, which would have {} right: do not rely on it.",
            percent(guess)
        )
    })
}

fn lost(split: &Split) -> Option<String> {
    let (float, int8) = (split.engines.first()?.accuracy, accuracy(split)?);
    let loss = float.value - int8.value;
    (loss > LOSS).then(|| {
        format!(
            "Quantisation costs {:.1} points of accuracy: epochs with int8's values (`[quantize.aware]`) win some back.",
            100.0 * loss
        )
    })
}

/// Classes with few pictures to learn from, and uneven ones.
fn few(train: &[Sample], classes: &[String]) -> Vec<String> {
    let mut counts = vec![0; classes.len()];
    train.iter().for_each(|entry| counts[entry.label] += 1);
    let sized = || counts.iter().copied().zip(classes);
    let mut said = Vec::new();
    let (Some((least, rare)), Some((most, common))) =
        (sized().min_by_key(|(count, _)| *count), sized().max_by_key(|(count, _)| *count))
    else {
        return said;
    };
    if least < FEW {
        said.push(format!("The class {rare} has only {least} pictures to learn from: {FEW} are few, 200 are usual."));
    }
    if most >= UNEVEN * least.max(1) {
        let times = (most as f64 / least.max(1) as f64).round();
        said.push(format!(
            "The class {common} has {times} times as many training pictures as {rare}: look at the recall of {rare}, and add \
             pictures of it or set `train.class_weights = \"balanced\"`."
        ));
    }
    said
}

fn by_heart(epochs: &[Epoch], validation: usize) -> Option<String> {
    let last = epochs.last()?;
    // The last digit of an accuracy of few images says nothing.
    let margin = BY_HEART.max(1.0 / (validation.max(1) as f64).sqrt());
    (last.train_accuracy - last.valid_accuracy > margin).then(|| {
        format!(
            "In the end {} of the training pictures were right and {} of the validation pictures: the network has learnt \
             pictures by heart, so more of them, stronger `[augment]` or a smaller network would help.",
            percent(last.train_accuracy),
            percent(last.valid_accuracy)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(counts: [usize; 2], valid: usize) -> Record {
        let entry = |label| Sample { name: String::new(), label, group: None, digest: None };
        let entries = |counts: [usize; 2]| {
            counts.into_iter().enumerate().flat_map(|(label, n)| (0..n).map(move |_| entry(label))).collect()
        };
        Record {
            root: "data".into(),
            classes: ["cat", "dog"].map(str::to_owned).to_vec(),
            hash: String::new(),
            statistics: Vec::new(),
            train: entries(counts),
            valid: entries([valid, 0]),
            test: Vec::new(),
        }
    }

    /// So many pictures of each class, of which so many are right.
    fn comparison(each: usize, right: usize) -> Comparison {
        let truth: Vec<usize> = (0..2 * each).map(|image| image % 2).collect();
        let said: Vec<usize> =
            truth.iter().enumerate().map(|(i, &class)| if i < right { class } else { 1 - class }).collect();
        let names: Vec<String> = (0..truth.len()).map(|image| image.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let splits = vec![Split::new("test", 2, &truth, &names, &[("float", &truth), ("int8", &said)])];
        Comparison { labels: ["cat", "dog"].map(str::to_owned).to_vec(), splits }
    }

    fn epoch(train_accuracy: f64, valid_accuracy: f64) -> Epoch {
        Epoch {
            epoch: 1,
            learning_rate: 0.1,
            train_loss: 0.0,
            train_accuracy,
            valid_loss: 0.0,
            valid_accuracy,
            seconds: 1.0,
        }
    }

    #[test]
    fn a_good_run_needs_one_sentence() {
        let said = verdict(&record([200, 220], 100), &comparison(500, 990), &[epoch(0.97, 0.96)]);
        assert_eq!(
            said,
            ["The int8 model has 99 % of 1000 test pictures right; of new ones like them probably 98 % to 99 %."]
        );
    }

    #[test]
    fn each_weakness_is_named_with_a_remedy() {
        let said = verdict(&record([100, 10], 100), &comparison(10, 12), &[epoch(0.99, 0.6)]).join("\n");
        for part in ["wide", "always answering", "40.0 points", "dog has only 10", "10 times as many", "by heart"] {
            assert!(said.contains(part), "{part} is not in: {said}");
        }
    }
}
