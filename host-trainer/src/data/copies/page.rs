//! The page that shows the groups as pictures.

use std::path::PathBuf;

use anyhow::{Context, Result};
use image::RgbImage;
use image::imageops::thumbnail;
use rayon::prelude::*;

use super::{Group, Report};
use crate::data::dataset::picture;
use crate::system::html::{self, escape, figure, jpeg_uri};

/// Width or height, whichever is larger, of a picture on the page, in pixels.
const SIDE: u32 = 160;
/// Most groups in a section, so that a browser can hold the page.
const MOST: usize = 400;

/// A heading, what it means, and which groups it is of.
type Section = (&'static str, &'static str, fn(&Group) -> bool);

/// The page, one file with everything in it. `files` are those that were searched, in the order of the report's indices.
///
/// # Errors
/// When a picture cannot be read any more.
pub fn page(title: &str, report: &Report, files: &[PathBuf]) -> Result<String> {
    let rows: Vec<_> = report.counts().into_iter().map(|(name, n)| vec![name.to_owned(), n.to_string()]).collect();
    let mut body = html::table(&["", ""], &rows);
    report.findings.iter().for_each(|finding| body += &format!("<p class=\"bad\">{}</p>\n", escape(finding)));
    if let Some(score) = report.against {
        body += &format!(
            "<p>Against the groups given: pairwise recall {:.4}, precision {:.4}.</p>\n",
            score.recall(),
            score.precision()
        );
    }
    let copied: Vec<&Group> = report.copied().collect();
    let sections: [Section; 3] = [
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
            "These do no harm as long as every split keeps a group on one side, which <code>groups.csv</code> sees to.",
            |group| !group.is_across_splits() && !group.is_across_labels(),
        ),
    ];
    for (heading, meaning, belongs) in sections {
        let groups: Vec<&Group> = copied.iter().copied().filter(|group| belongs(group)).collect();
        body += &format!("<h2>{heading}: {}</h2>\n<p>{meaning}</p>\n", groups.len());
        let shown: Vec<String> =
            groups.par_iter().take(MOST).map(|group| section(group, files)).collect::<Result<_>>()?;
        body.extend(shown);
        if groups.len() > MOST {
            body += &format!("<p>{} more are in <code>groups.csv</code> only.</p>\n", groups.len() - MOST);
        }
    }
    Ok(html::page(title, &body))
}

fn section(group: &Group, files: &[PathBuf]) -> Result<String> {
    let mut html = format!("<h3>Group {}: {} pictures</h3>\n<div>\n", group.group, group.pictures.len());
    let (splits, labels) = (group.is_across_splits(), group.is_across_labels());
    for entry in &group.pictures {
        let marked = |text: &str, is_bad: bool| {
            let class = if is_bad { "bad" } else { "soft" };
            format!("<span class=\"{class}\">{}</span>", escape(text))
        };
        let mut caption = format!("{}<br>{}", escape(&entry.path), marked(&entry.label, labels));
        if !entry.split.is_empty() {
            caption += &format!(" · {}", marked(entry.split, splits));
        }
        let file = &files[entry.index];
        let read = || jpeg_uri(&small(&picture(file)?));
        let uri = read().with_context(|| format!("cannot show {}", file.display()))?;
        html += &figure(&uri, &entry.path, &caption);
    }
    Ok(html + "</div>\n")
}

/// The picture, reduced where it is larger than [`SIDE`].
fn small(picture: &RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let larger = width.max(height);
    if larger <= SIDE {
        return picture.clone();
    }
    let side = |n: u32| (n * SIDE / larger).max(1);
    thumbnail(picture, side(width), side(height))
}
