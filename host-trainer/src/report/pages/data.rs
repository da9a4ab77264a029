//! What a page says about the images: how many there are, which are copies, how they are changed while training.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use maud::{Markup, html};
use model_training::config::Config;
use model_training::data::augment::{Key, augment};
use model_training::data::dataset::Images;
use model_training::system::html::table;

use super::picture;

/// Training images whose random changes are shown.
const AUGMENTED: usize = 4;
/// Random changes of each.
const CHANGES: u64 = 5;
/// Groups of copies that are shown.
const GROUPS: usize = 3;
/// Images of each.
const GROUP_IMAGES: usize = 6;
/// Most classes that are not folded away.
const MOST_LINES: usize = 20;

/// One image of a side of a split, as the summary counts it.
pub(super) struct Member<'a> {
    pub label: usize,
    pub group: Option<&'a str>,
}

/// Images by class and side, and how many of them are copies of others.
pub(super) fn data(classes: &[String], sides: &[(String, Vec<Member<'_>>)]) -> Markup {
    let mut header = vec!["class"];
    header.extend(sides.iter().map(|(name, _)| name.as_str()));
    header.push("all");
    let row = |name: &str, counts: &[usize]| -> Vec<String> {
        let all = counts.iter().sum::<usize>();
        std::iter::once(name.to_owned()).chain(counts.iter().chain([&all]).map(ToString::to_string)).collect()
    };
    let mut counts = vec![vec![0; sides.len()]; classes.len()];
    for (side, (_, members)) in sides.iter().enumerate() {
        members.iter().for_each(|member| counts[member.label][side] += 1);
    }
    let rows: Vec<Vec<String>> = classes.iter().zip(&counts).map(|(name, counts)| row(name, counts)).collect();
    let sums: Vec<usize> = sides.iter().map(|(_, members)| members.len()).collect();
    let all = row("all", &sums);
    html! {
        @if classes.len() > MOST_LINES {
            (table(&header, &[all]))
            details {
                summary { (classes.len()) " classes" }
                (table(&header, &rows))
            }
        } @else { (table(&header, &[rows, vec![all]].concat())) }
        p { (copied(sides)) }
    }
}

/// How many images are copies of others, in words.
fn copied(sides: &[(String, Vec<Member<'_>>)]) -> String {
    let members = || sides.iter().flat_map(|(_, side)| side);
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    members().filter_map(|member| member.group).for_each(|group| *sizes.entry(group).or_default() += 1);
    let single = members().filter(|member| member.group.is_none()).count();
    let copies: usize = sizes.values().map(|size| size - 1).sum();
    let largest = sizes.values().copied().max().unwrap_or(1);
    if sizes.is_empty() {
        return "No groups were given: every image counts as a photograph of its own. If some are copies of others, the \
                accuracies flatter."
            .to_owned();
    }
    format!(
        "{} photographs: {copies} of {} images are copies, turned, cut or brightened; the largest group has {largest}. {}",
        sizes.len() + single,
        members().count(),
        leaks(sides)
    )
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
///
/// # Errors
/// When a picture cannot be written.
pub(super) fn copies(images: &Images, groups: &[Group<'_>]) -> Result<Markup> {
    let mut at = 0..;
    let pictures = |group: &Group<'_>| -> Result<Vec<Markup>> {
        at.by_ref()
            .take(group.shown.len())
            .map(|index| picture(&images.image(index), images.shape, group.name, &html! {}))
            .collect()
    };
    let pictures: Vec<Vec<Markup>> = groups.iter().map(pictures).collect::<Result<_>>()?;
    Ok(html! {
        @for (Group { name, size, .. }, pictures) in groups.iter().zip(&pictures) {
            h3 { "Group " (name) ": " (size) " images" }
            @for picture in pictures { (picture) }
        }
    })
}

/// Which of so many training images, spread over all, are shown with random changes.
pub(super) fn augmented(train: usize) -> Vec<usize> {
    let count = train.min(AUGMENTED);
    (0..count).map(|row| row * train / count).collect()
}

/// Some training images by their indices, each as the network gets it, from `images`, and after the random changes of the
/// first epochs to what augmentation samples, from `sources`.
///
/// # Errors
/// When a picture cannot be written.
pub(super) fn augmentation(chosen: &[usize], [images, sources]: [&Images; 2], config: &Config) -> Result<Markup> {
    let shape = images.shape;
    let row = |(row, &index): (usize, &usize)| -> Result<Markup> {
        let changed = |epoch: u64| {
            let key = Key { seed: config.seed, epoch, index: index as u64 };
            let pixels = augment(&sources.image(row), sources.shape, shape, &config.augment, key);
            picture(&pixels, shape, "changed", &html! { "epoch " (epoch) })
        };
        let original = picture(&images.image(row), shape, "original", &html! { "original" })?;
        let changed: Vec<Markup> = (1..=CHANGES).map(changed).collect::<Result<_>>()?;
        Ok(html! { div { (original) @for change in &changed { (change) } } })
    };
    let rows: Vec<Markup> = chosen.iter().enumerate().map(row).collect::<Result<_>>()?;
    Ok(html! {
        p { "As they are, then with the changes of the first epochs." }
        @for row in &rows { (row) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_counted_over_all_sides() {
        let member = |label, group| Member { label, group };
        let train = vec![member(0, Some("a")), member(0, Some("a")), member(1, Some("b")), member(1, None)];
        let sides = [("train".to_owned(), train), ("test".to_owned(), vec![member(1, Some("c"))])];
        let html = data(&["cat".to_owned(), "<dog>".to_owned()], &sides).into_string();
        assert!(html.contains("4 photographs: 1 of 5 images are copies"), "{html}");
        assert!(html.contains("None has copies on two sides"), "{html}");
        assert!(
            html.contains("<td>&lt;dog&gt;</td><td class=\"n\">2</td><td class=\"n\">1</td><td class=\"n\">3</td>")
        );
        let apart = [("a", vec![member(0, Some("g"))]), ("b", vec![member(0, Some("g")), member(0, Some("h"))])];
        let apart = apart.map(|(name, side)| (name.to_owned(), side));
        assert!(data(&["cat".to_owned()], &apart).into_string().contains("1 have copies on two sides"));
        let single = [("train".to_owned(), vec![member(0, None)])];
        assert!(data(&["cat".to_owned()], &single).into_string().contains("No groups"));
    }

    #[test]
    fn large_groups_come_first_and_single_images_do_not_count() {
        let groups = [Some("b"), Some("a"), None, Some("b"), Some("c"), Some("a"), Some("b")];
        let found = largest_groups(&groups);
        let shown: Vec<_> = found.iter().map(|group| (group.name, group.size, group.shown.as_slice())).collect();
        assert_eq!(shown, [("b", 3, &[0, 3, 6][..]), ("a", 2, &[1, 5])]);
    }
}
