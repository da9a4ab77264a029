//! The page that shows the groups as pictures.

use std::path::PathBuf;

use anyhow::{Context, Result};
use maud::{Markup, html};
use rayon::prelude::*;

use super::{Group, Report};
use crate::data::dataset::picture;
use crate::system::html::{self, figure, jpeg_uri};

/// Width or height, whichever is larger, of a picture on the page, in pixels.
const SIDE: u32 = 160;
/// Most groups in a section, so that a browser can hold the page.
const MOST: usize = 400;

/// A heading, what it means, and which groups it is of.
type Section = (&'static str, &'static str, fn(&Group) -> bool);

const SECTIONS: [Section; 3] = [
    (
        "Photographs on several sides of the split",
        "A network that saw one of these in training is not tested by the others: move each group to one side.",
        Group::is_across_splits,
    ),
    (
        "Photographs under several labels",
        "At least one label is wrong, or the classes cannot be told apart by the picture alone.",
        |group| !group.is_across_splits() && group.is_across_labels(),
    ),
    (
        "Other photographs with copies",
        "These do no harm as long as every split keeps a group on one side, which groups.csv sees to.",
        |group| !group.is_across_splits() && !group.is_across_labels(),
    ),
];

/// The page, one file with everything in it. `files` are those that were searched, in the order of the report's indices.
///
/// # Errors
/// When a picture cannot be read any more.
pub fn page(title: &str, report: &Report, files: &[PathBuf]) -> Result<String> {
    let rows: Vec<_> = report.counts().into_iter().map(|(name, n)| vec![name.to_owned(), n.to_string()]).collect();
    let sections: Vec<Markup> = SECTIONS.iter().map(|section| groups(section, report, files)).collect::<Result<_>>()?;
    let body = html! {
        (html::table(&["", ""], &rows))
        @for finding in &report.findings { p.bad { (finding) } }
        @if let Some(score) = report.against {
            p {
                "Against the groups given: pairwise recall " (format!("{:.4}", score.recall()))
                ", precision " (format!("{:.4}", score.precision())) "."
            }
        }
        @for section in &sections { (section) }
    };
    Ok(html::page(title, &body))
}

fn groups(&(heading, meaning, belongs): &Section, report: &Report, files: &[PathBuf]) -> Result<Markup> {
    let groups: Vec<&Group> = report.copied().filter(|group| belongs(group)).collect();
    let shown: Vec<Markup> = groups.par_iter().take(MOST).map(|group| pictures(group, files)).collect::<Result<_>>()?;
    Ok(html! {
        h2 { (heading) ": " (groups.len()) }
        p { (meaning) }
        @for group in &shown { (group) }
        @if groups.len() > MOST {
            p { (groups.len() - MOST) " more are in " code { "groups.csv" } " only." }
        }
    })
}

fn pictures(group: &Group, files: &[PathBuf]) -> Result<Markup> {
    let (splits, labels) = (group.is_across_splits(), group.is_across_labels());
    let class = |is_bad: bool| if is_bad { "bad" } else { "soft" };
    let figures = group.pictures.iter().map(|entry| {
        let file = &files[entry.index];
        let read = || jpeg_uri(&picture(file)?, SIDE);
        let uri = read().with_context(|| format!("cannot show {}", file.display()))?;
        let caption = html! {
            (entry.path) br;
            span class=(class(labels)) { (entry.label) }
            @if !entry.split.is_empty() { " · " span class=(class(splits)) { (entry.split) } }
        };
        Ok(figure(&uri, &entry.path, &caption))
    });
    let figures: Vec<Markup> = figures.collect::<Result<_>>()?;
    Ok(html! {
        h3 { "Group " (group.group) ": " (group.pictures.len()) " pictures" }
        div { @for figure in &figures { (figure) } }
    })
}
