//! What a run's figures mean, in sentences for people who do not read figures.

use model_training::data::bootstrap::Estimate;
use model_training::data::dataset::Sample;
use model_training::data::epochs::Epoch;
use model_training::data::record::Record;
use model_training::measure::advice::{Taken, confused};
use model_training::measure::comparison::{Comparison, Split};
use model_training::measure::metrics::{ClassMetrics, Confusion, Share};
use model_training::measure::scores::Scores;

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
/// Most pairs of classes that are said to be confused.
const PAIRS: usize = 5;

/// Two sentences or more: the result, then what is gravest about it, or where the model is weakest.
#[must_use]
pub fn verdict(record: &Record, comparison: &Comparison, epochs: &[Epoch]) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(split) = comparison.splits.last() {
        said.extend(result(split));
        said.extend(guessing(split, &comparison.labels));
        said.extend(wide(split));
        said.extend(lost(split));
    }
    said.extend(by_heart(epochs, record.valid.len()));
    said.extend(few(&record.train, &record.classes));
    let last = comparison.splits.last().and_then(|split| Some((split, split.engines.last()?)));
    let Some((split, engine)) = last else { return said };
    if said.len() == 1 {
        said.extend(weakest(&engine.per_class, &comparison.labels));
    }
    said.extend(pairs(&engine.confusion, split.groups.unwrap_or(engine.confusion.total()), &comparison.labels));
    said
}

/// The same of joined folds.
#[must_use]
pub fn of_folds(scores: &Scores) -> Vec<String> {
    let Estimate { value, low, high } = scores.int8.accuracy;
    let mut said = vec![format!(
        "The int8 models have {} of {} pictures right, each by a model that has not seen it; of new ones like them \
         probably {} to {}.",
        percent(value),
        scores.images,
        percent(low),
        percent(high)
    )];
    let classes = scores.int8.confusion.per_class();
    let most = classes.iter().zip(&scores.classes).max_by_key(|(class, _)| class.support);
    let guess = most.map(|(class, label)| (class.support as f64 / scores.images.max(1) as f64, label));
    said.extend(guess.filter(|(guess, _)| low <= *guess).map(|(guess, label)| no_better(label, guess)));
    said.extend(weakest(&classes, &scores.classes));
    said.extend(pairs(&scores.int8.confusion, scores.groups, &scores.classes));
    said
}

/// The same of a run that is still training, after each epoch; `most` is the largest number of epochs, and `validation` the
/// number of validation images.
#[must_use]
pub fn so_far(epochs: &[Epoch], most: usize, validation: usize) -> Vec<String> {
    let lowest = epochs.iter().reduce(|best, epoch| if epoch.valid_loss < best.valid_loss { epoch } else { best });
    let (Some(now), Some(best)) = (epochs.last(), lowest) else { return Vec::new() };
    let first = format!(
        "After epoch {} of at most {most}, the float network has {} of {validation} validation pictures right.",
        now.epoch,
        percent(now.valid_accuracy)
    );
    let second = if now.epoch == best.epoch {
        "It is still getting better: no epoch had a lower validation loss.".to_owned()
    } else {
        format!("The validation loss was lowest in epoch {} and has not been as low since.", best.epoch)
    };
    [first, second].into_iter().chain(by_heart(epochs, validation)).collect()
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// The accuracy of what runs on the device.
fn accuracy(split: &Split) -> Option<&Share> {
    split.engines.last().map(|engine| &engine.accuracy)
}

fn result(split: &Split) -> Option<String> {
    let Share { total, value, low, high, .. } = *accuracy(split)?;
    let chose = if split.name == "validation" { ", which chose the epoch too, so that this flatters" } else { "" };
    Some(format!(
        "The int8 model has {} of {total} {} pictures right{chose}; of new ones like them probably {} to {}.",
        percent(value),
        split.name,
        percent(low),
        percent(high)
    ))
}

fn wide(split: &Split) -> Option<String> {
    let Share { low, high, .. } = *accuracy(split)?;
    (high - low > WIDE).then(|| {
        format!(
            "The range of {} to {} is wide, because the pictures are few: add some, or let `cv` use each of them for a test.",
            percent(low),
            percent(high)
        )
    })
}

/// Whether the largest class alone would do as well.
fn guessing(split: &Split, labels: &[String]) -> Option<String> {
    let accuracy = accuracy(split)?;
    let supports = split.engines[0].per_class.iter().map(|class| class.support).zip(labels);
    let (most, label) = supports.max_by_key(|(support, _)| *support)?;
    let guess = most as f64 / accuracy.total.max(1) as f64;
    (accuracy.low <= guess).then(|| no_better(label, guess))
}

fn no_better(label: &str, guess: f64) -> String {
    format!(
        "It is not shown to be better than always answering {label}, which would have {} right: do not rely on it.",
        percent(guess)
    )
}

/// The class that is found least.
fn weakest(classes: &[ClassMetrics], labels: &[String]) -> Option<String> {
    let there = classes.iter().zip(labels).filter(|(class, _)| class.support > 0);
    let (class, label) = there.min_by(|(a, _), (b, _)| a.recall.total_cmp(&b.recall))?;
    Some(match class.recall {
        1.0 => "It finds all pictures of every class.".to_owned(),
        recall => format!("It is weakest with {label}, of which it finds {} of {}.", percent(recall), class.support),
    })
}

/// The classes that are taken for each other more than others are, and what helps.
fn pairs(confusion: &Confusion, groups: usize, labels: &[String]) -> Option<String> {
    let confused = confused(confusion, groups);
    let pair = |taken: &Taken| {
        let Taken { truth, said, count, support } = *taken;
        format!("{} is taken for {}: {count} of {support}", labels[truth], labels[said])
    };
    let shown: Vec<String> = confused.iter().take(PAIRS).map(pair).collect();
    (!shown.is_empty()).then(|| {
        format!(
            "More than other classes are confused, {}. See whether those pictures have the right labels, then add pictures \
             of these classes that show what tells them apart.",
            shown.join("; ")
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
    use model_training::measure::predictions::{Prediction, Predictions};

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
    fn a_good_run_needs_two_sentences() {
        let said = verdict(&record([200, 220], 100), &comparison(500, 990), &[epoch(0.97, 0.96)]);
        assert_eq!(
            said,
            [
                "The int8 model has 99 % of 1000 test pictures right; of new ones like them probably 98 % to 99 %.",
                "It is weakest with cat, of which it finds 99 % of 500."
            ]
        );
        let said = verdict(&record([200, 220], 100), &comparison(500, 1000), &[epoch(0.97, 0.96)]);
        assert_eq!(said[1..], ["It finds all pictures of every class."]);
    }

    #[test]
    fn a_run_that_trains_says_how_it_goes() {
        let epochs = [1.0, 0.5, 0.7, 0.6].into_iter().enumerate();
        let epochs: Vec<Epoch> =
            epochs.map(|(index, valid_loss)| Epoch { epoch: index + 1, valid_loss, ..epoch(0.8, 0.75) }).collect();
        let said = so_far(&epochs, 60, 400);
        assert_eq!(
            said,
            [
                "After epoch 4 of at most 60, the float network has 75 % of 400 validation pictures right.",
                "The validation loss was lowest in epoch 2 and has not been as low since."
            ]
        );
        assert!(so_far(&epochs[..2], 60, 400)[1].contains("still getting better"));
        assert!(so_far(&[epoch(1.0, 0.5)], 60, 400)[2].contains("by heart"));
        assert!(so_far(&[], 60, 400).is_empty());
    }

    #[test]
    fn folds_say_what_they_are_together() {
        let prediction = |index: usize, right: bool| Prediction {
            path: index.to_string(),
            label: index % 2,
            group: None,
            fold: Some(index % 5),
            float: vec![0.0; 2],
            int8: if index.is_multiple_of(2) == right { vec![1, 0] } else { vec![0, 1] },
            scale: 1.0,
        };
        let scores = |right: usize| {
            let images = (0..100).map(|index| prediction(index, index < right)).collect();
            Scores::new(&Predictions { classes: ["cat", "dog"].map(str::to_owned).to_vec(), images })
        };
        let said = of_folds(&scores(90));
        assert!(said[0].contains("90 % of 100 pictures") && said[1].contains("weakest with"), "{said:?}");
        assert!(of_folds(&scores(50))[1].contains("always answering"));
    }

    #[test]
    fn confused_classes_are_named_where_it_is_no_chance() {
        let labels = ["angry", "happy", "sad"].map(str::to_owned);
        let matrix = |rows: [[usize; 3]; 3]| Confusion { counts: rows.map(Vec::from).to_vec() };
        let sad = matrix([[27, 2, 1], [2, 26, 2], [12, 1, 17]]);
        let said = pairs(&sad, 90, &labels).unwrap();
        assert!(said.contains("confused, sad is taken for angry: 12 of 30. See"), "{said}");
        assert_eq!(pairs(&sad, 15, &labels), None);
        assert_eq!(pairs(&matrix([[24, 3, 3], [3, 24, 3], [3, 3, 24]]), 90, &labels), None);
    }

    #[test]
    fn each_weakness_is_named_with_a_remedy() {
        let said = verdict(&record([100, 10], 100), &comparison(10, 12), &[epoch(0.99, 0.6)]).join("\n");
        for part in ["wide", "always answering", "40.0 points", "dog has only 10", "10 times as many", "by heart"] {
            assert!(said.contains(part), "{part} is not in: {said}");
        }
    }
}
