//! Sections that pages of runs and of cross-validations share.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use anyhow::Result;
use model_compiler::quantise::noise::LayerSqnr;

use crate::config::Config;
use crate::data::augment::{Key, augment};
use crate::data::dataset::Images;
use crate::measure::confidence::{Answer, Confidence};
use crate::measure::metrics::Confusion;
use crate::measure::predictions::Predictions;
use crate::report::plots;
use crate::system::html::{escape, figure, png_uri, table};

/// Training images whose random changes are shown.
const AUGMENTED: usize = 4;
/// Random changes of each.
const CHANGES: usize = 5;
/// Groups of copies that are shown.
const GROUPS: usize = 3;
/// Images of each.
const GROUP_IMAGES: usize = 6;
/// Worst mistakes that are shown.
const MISTAKES: usize = 12;

/// One image of a side of a split, as the summary counts it.
pub(super) struct Member<'a> {
    pub label: usize,
    pub group: Option<&'a str>,
}

pub(super) fn section(title: &str, body: &str) -> String {
    format!("<h2>{}</h2>\n{body}", escape(title))
}

/// Lines of a name and a value.
pub(super) fn facts(facts: &[(&str, &dyn Display)]) -> String {
    let row = |(name, value): &(&str, &dyn Display)| {
        format!("<tr><td>{}</td><td>{}</td></tr>\n", escape(name), escape(&value.to_string()))
    };
    format!("<table>\n{}</table>\n", facts.iter().map(row).collect::<String>())
}

/// Images by class and side, and how many of them are copies of others.
pub(super) fn data(classes: &[String], sides: &[(String, Vec<Member<'_>>)]) -> String {
    let mut header = vec!["class"];
    header.extend(sides.iter().map(|(name, _)| name.as_str()));
    header.push("all");
    let row = |name: &str, of: &dyn Fn(&Member<'_>) -> bool| {
        let counts: Vec<usize> = sides.iter().map(|(_, side)| side.iter().filter(|m| of(m)).count()).collect();
        let all = counts.iter().sum::<usize>();
        std::iter::once(name.to_owned()).chain(counts.into_iter().chain([all]).map(|n| n.to_string())).collect()
    };
    let mut rows: Vec<Vec<String>> =
        classes.iter().enumerate().map(|(class, name)| row(name, &|member| member.label == class)).collect();
    rows.push(row("all", &|_| true));

    let members = || sides.iter().flat_map(|(_, side)| side);
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    members().filter_map(|member| member.group).for_each(|group| *sizes.entry(group).or_default() += 1);
    let single = members().filter(|member| member.group.is_none()).count();
    let copies: usize = sizes.values().map(|size| size - 1).sum();
    let largest = sizes.values().copied().max().unwrap_or(1);
    let about = if sizes.is_empty() {
        "No groups were given: every image counts as a photograph of its own. If some are copies of others, the accuracies \
         flatter."
            .to_owned()
    } else {
        format!(
            "{} photographs: {copies} of {} images are copies, turned, cut or brightened; the largest group has {largest}. {}",
            sizes.len() + single,
            members().count(),
            leaks(sides)
        )
    };
    table(&header, &rows) + &format!("<p>{about}</p>\n")
}

/// Whether copies are on several sides.
fn leaks(sides: &[(String, Vec<Member<'_>>)]) -> String {
    let mut on: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, side) in sides {
        side.iter().filter_map(|member| member.group).for_each(|group| {
            on.entry(group).or_default().insert(name);
        });
    }
    match on.values().filter(|sides| sides.len() > 1).count() {
        0 => "None has copies on two sides.".to_owned(),
        several => format!("{several} have copies on two sides or more, so the accuracies flatter."),
    }
}

/// One of the largest groups.
pub(super) struct Group<'a> {
    name: &'a str,
    size: usize,
    /// Indices of some of its images.
    pub shown: Vec<usize>,
}

/// The largest groups of several images, the largest first; `groups` has an entry an image.
pub(super) fn largest_groups<'a>(groups: &[Option<&'a str>]) -> Vec<Group<'a>> {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, group) in groups.iter().enumerate() {
        group.iter().for_each(|group| members.entry(group).or_default().push(index));
    }
    let mut largest: Vec<(&str, Vec<usize>)> = members.into_iter().filter(|(_, members)| members.len() > 1).collect();
    largest.sort_by_key(|(name, members)| (Reverse(members.len()), *name));
    largest.truncate(GROUPS);
    let group = |(name, mut shown): (&'a str, Vec<usize>)| {
        let size = shown.len();
        shown.truncate(GROUP_IMAGES);
        Group { name, size, shown }
    };
    largest.into_iter().map(group).collect()
}

/// The shown images of groups, one after the other in `images`.
pub(super) fn copies(images: &Images, groups: &[Group<'_>]) -> Result<String> {
    let (mut html, mut at) = (String::new(), 0);
    for Group { name, size, shown } in groups {
        html += &format!("<h3>Group {}: {size} images</h3>\n", escape(name));
        for index in at..at + shown.len() {
            html += &picture(images, index, name, "")?;
        }
        at += shown.len();
    }
    Ok(html)
}

/// Which of so many training images, spread over all, are shown with random changes.
pub(super) fn augmented(train: usize) -> Vec<usize> {
    let count = train.min(AUGMENTED);
    (0..count).map(|row| row * train / count).collect()
}

/// Some training images by their indices, each as the network gets it, from `images`, and after the random changes of the
/// first epochs to what augmentation samples, from `sources`.
pub(super) fn augmentation(chosen: &[usize], [images, sources]: [&Images; 2], config: &Config) -> Result<String> {
    let mut html = String::from("<p>As they are, then with the changes of the first epochs.</p>\n");
    for (row, &index) in chosen.iter().enumerate() {
        html += "<div>\n";
        html += &picture(images, row, "original", "original")?;
        for epoch in 1..=CHANGES as u64 {
            let key = Key { seed: config.seed, epoch, index: index as u64 };
            let pixels = augment(sources.image(row), sources.shape, images.shape, &config.augment, key);
            let uri = png_uri(&pixels, images.shape.width, images.shape.height)?;
            html += &figure(&uri, "changed", &format!("epoch {epoch}"));
        }
        html += "</div>\n";
    }
    Ok(html)
}

fn picture(images: &Images, index: usize, alt: &str, caption: &str) -> Result<String> {
    Ok(figure(&png_uri(images.image(index), images.shape.width, images.shape.height)?, alt, caption))
}

/// The matrices of several engines.
pub(super) fn confusions(classes: &[String], engines: &[(&str, &Confusion)]) -> Result<String> {
    engines.iter().map(|(title, confusion)| plots::confusion(title, classes, confusion)).collect()
}

/// What a cross-validation says about the probabilities.
pub(super) fn confidence(confidence: &Confidence) -> Result<String> {
    let row = |name: &str, engine: &crate::measure::confidence::Calibrated, after: bool| {
        let m = if after { engine.after } else { engine.before };
        let temperature = if after { format!("{:.3}", engine.temperature) } else { "1".to_owned() };
        let [low, high] = engine.perfect_ece;
        let band = if after { format!("{low:.3} to {high:.3}") } else { String::new() };
        let [nll, brier, ece] = [m.nll, m.brier, m.ece].map(|value| format!("{value:.3}"));
        vec![name.to_owned(), temperature, nll, brier, ece, band]
    };
    let rows: Vec<Vec<String>> = [("float", &confidence.float), ("int8", &confidence.int8)]
        .into_iter()
        .flat_map(|(name, engine)| [false, true].map(|after| row(name, engine, after)))
        .collect();
    let mut html = table(&["engine", "temperature", "NLL", "Brier", "ECE", "a perfect model's ECE"], &rows);
    html += &format!(
        "<p>Each fold's temperature is fitted on the other folds. Of 100 perfectly calibrated models, 95 have an ECE in the \
         last column, on as many images in the same groups. {}.</p>\n",
        escape(&capitalised(&confidence.decision_text()))
    );
    for (name, engine) in [("float", &confidence.float), ("int8", &confidence.int8)] {
        let [before, after] = &engine.reliability;
        html += &plots::reliability(&format!("Reliability, {name}"), &[("before", before), ("after", after)])?;
    }
    html += &plots::risk_coverage("Answers, int8", &confidence.curve, confidence.wanted, confidence.threshold)?;
    Ok(html)
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// SQNR by layer, in dB.
pub(super) fn sqnr(layers: &[LayerSqnr]) -> String {
    let row = |layer: &LayerSqnr| {
        let shape = format!("{} x {} x {}", layer.shape.height, layer.shape.width, layer.shape.channels);
        vec![layer.name.clone(), layer.op.clone(), shape, layer.db.map_or("exact".to_owned(), |db| format!("{db:.1}"))]
    };
    let rows: Vec<Vec<String>> = layers.iter().map(row).collect();
    table(&["layer", "operator", "output", "SQNR, dB"], &rows)
}

/// Indices of the images that the int8 model has wrong with the largest probability, the worst first, one of each group.
pub(super) fn worst(answers: &[Answer<'_>]) -> Vec<usize> {
    let mut wrong: Vec<usize> = (0..answers.len()).filter(|&index| !answers[index].right).collect();
    wrong.sort_by_key(|&index| Reverse(answers[index].byte));
    let mut seen = BTreeSet::new();
    wrong.retain(|&index| seen.insert(answers[index].group));
    wrong.truncate(MISTAKES);
    wrong
}

/// Mistakes as pictures: `images` holds those of `indices`, in their order.
pub(super) fn mistakes(
    images: &Images,
    indices: &[usize],
    predictions: &Predictions,
    answers: &[Answer<'_>],
) -> Result<String> {
    let classes = predictions.int8();
    let mut html = String::from("<p>Wrong answers of the int8 model, the surest first.</p>\n");
    for (at, &index) in indices.iter().enumerate() {
        let image = &predictions.images[index];
        let name = |class: usize| escape(&predictions.classes[class]);
        let probability = 100.0 * f64::from(answers[index].byte) / 256.0;
        let caption = format!(
            "{}, taken for <span class=\"bad\">{}</span> ({probability:.0} %)",
            name(image.label),
            name(classes[index])
        );
        html += &picture(images, at, &image.path, &caption)?;
    }
    Ok(html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_counted_over_all_sides() {
        let member = |label, group| Member { label, group };
        let train = vec![member(0, Some("a")), member(0, Some("a")), member(1, Some("b")), member(1, None)];
        let sides = [("train".to_owned(), train), ("test".to_owned(), vec![member(1, Some("c"))])];
        let html = data(&["cat".to_owned(), "<dog>".to_owned()], &sides);
        assert!(html.contains("4 photographs: 1 of 5 images are copies"), "{html}");
        assert!(html.contains("None has copies on two sides"), "{html}");
        assert!(
            html.contains("<td>&lt;dog&gt;</td><td class=\"n\">2</td><td class=\"n\">1</td><td class=\"n\">3</td>")
        );
        let apart = [("a", vec![member(0, Some("g"))]), ("b", vec![member(0, Some("g")), member(0, Some("h"))])];
        let apart = apart.map(|(name, side)| (name.to_owned(), side));
        assert!(data(&["cat".to_owned()], &apart).contains("1 have copies on two sides"));
        let single = [("train".to_owned(), vec![member(0, None)])];
        assert!(data(&["cat".to_owned()], &single).contains("No groups"));
    }

    #[test]
    fn large_groups_come_first_and_single_images_do_not_count() {
        let groups = [Some("b"), Some("a"), None, Some("b"), Some("c"), Some("a"), Some("b")];
        let found = largest_groups(&groups);
        let shown: Vec<_> = found.iter().map(|group| (group.name, group.size, group.shown.as_slice())).collect();
        assert_eq!(shown, [("b", 3, &[0, 3, 6][..]), ("a", 2, &[1, 5])]);
    }

    #[test]
    fn the_worst_are_wrong_and_sure() {
        let answer = |byte, right, group| Answer { byte, right, group };
        let answers = [(90, false, "a"), (200, true, "b"), (150, false, "c"), (90, false, "d"), (140, false, "c")]
            .map(|(byte, right, group)| answer(byte, right, group));
        assert_eq!(worst(&answers), [2, 0, 3]);
        let groups: Vec<String> = (0..40).map(|group| group.to_string()).collect();
        let many: Vec<_> = groups.iter().map(|group| answer(1, false, group)).collect();
        assert_eq!(worst(&many).len(), MISTAKES);
    }
}
