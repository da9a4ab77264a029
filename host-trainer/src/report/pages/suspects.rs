//! The page of labels that may be wrong: each photograph with its label and what the models say, and a key for each class.

use std::path::Path;

use anyhow::Result;
use maud::{Markup, PreEscaped, html};
use model_training::data::dataset::picture;
use model_training::measure::labels::{Suspect, Suspects};
use model_training::system::hints::{program, quoted};
use model_training::system::html::{self, figure, jpeg_uri, table};
use model_training::system::spreadsheet::cell;
use rayon::prelude::*;

/// Most photographs on the page, so that a browser can hold it.
const MOST: usize = 150;
/// Most images of a photograph.
const IMAGES: usize = 3;
/// Width or height, whichever is larger, of an image, in pixels.
const SIDE: u32 = 160;
/// Classes that have a key: 1 to 9.
const KEYS: usize = 9;
/// Most pairs of classes in the table.
const PAIRS: usize = 20;
/// Share of the labels that models must say for what they suspect to be about labels and not about them.
const TRUSTED: f64 = 0.8;

/// What a person does on the page.
const SCRIPT: &str = include_str!("suspects.js");
/// Its looks, besides those of all pages.
const STYLE: &str = "\
.bar{position:sticky;top:0;background:Canvas;padding:.5rem 0;border-bottom:1px solid var(--line);z-index:1}\
.case{padding:.5rem;border-left:4px solid transparent}.case.now{border-color:var(--bad)}\
button{font:inherit;margin:0 .3rem .3rem 0}button[aria-pressed=true]{outline:3px solid var(--bad)}";

/// The page, one file with everything in it, of images in `root`.
///
/// # Errors
/// When the paths cannot be written.
pub fn suspected_labels(found: &Suspects, root: &Path) -> Result<String> {
    let shown = &found.suspects[..found.suspects.len().min(MOST)];
    let cases: Vec<Markup> = shown.par_iter().map(|suspect| case(found, suspect, root)).collect::<Result<_>>()?;
    let name = |class: usize| found.classes[class].clone();
    let row = |&(label, said, count): &(usize, usize, usize)| vec![name(label), name(said), count.to_string()];
    let pairs: Vec<Vec<String>> = found.pairs().iter().take(PAIRS).map(row).collect();
    let apply = format!("{} data labels --apply corrections.csv --data {}", program(), quoted(root));
    let body = html! {
        style { (PreEscaped(STYLE)) }
        p.lead { (in_words(found)) }
        @if let Some(caution) = caution(found) { p.bad { (caution) } }
        (table(&["label", "the models say", "photographs"], &pairs))
        p {
            "The most suspicious come first. A number gives a photograph a label, its own one or another; the arrows up and down go \
             on without. What was chosen is downloaded as " code { "corrections.csv" } ", and " code { (apply) }
            " says which files would move; with " code { "--yes" } " it moves them."
        }
        div.bar {
            button id="download" { "Download corrections.csv" }
            " " span id="count" { "none gets another label yet" }
        }
        @for case in &cases { (case) }
        @if found.suspects.len() > shown.len() {
            p { (found.suspects.len() - shown.len()) " more, less suspicious, are in " code { "suspects.csv" } " only." }
        }
        script { (PreEscaped(SCRIPT)) }
    };
    Ok(html::page("Labels that may be wrong", &body))
}

/// How many there are, in words.
#[must_use]
pub fn in_words(found: &Suspects) -> String {
    format!(
        "{} of {} photographs may have a wrong label. The models, which have not seen the photograph in question, say the label of \
         {:.0} %.",
        found.suspects.len(),
        found.photographs,
        100.0 * found.agreement
    )
}

/// A warning where the models know too little to accuse.
#[must_use]
pub fn caution(found: &Suspects) -> Option<String> {
    (found.agreement < TRUSTED).then(|| {
        "The models are often wrong themselves, so that most of these will be photographs that are hard for them, with the right \
         label: the first are worth a look."
            .to_owned()
    })
}

fn case(found: &Suspects, suspect: &Suspect, root: &Path) -> Result<Markup> {
    let Suspect { paths, label, said, of_label, of_said, .. } = suspect;
    let cells: Vec<_> = paths.iter().map(|path| cell(path)).collect();
    let [own, other] = [label, said].map(|&class| &found.classes[class]);
    let (own_cell, percent) = (cell(own), |share: f64| format!("{:.0} %", 100.0 * share));
    Ok(html! {
        div.case data-label=(own_cell) data-paths=(serde_json::to_string(&cells)?) {
            @for path in paths.iter().take(IMAGES) { (image(root, path)) }
            @if paths.len() > IMAGES { p.soft { (paths.len() - IMAGES) " more images of this photograph get the same label." } }
            p {
                "Filed under " b { (own) } " (" (percent(*of_label)) "), the models say "
                b.bad { (other) } " (" (percent(*of_said)) ")."
            }
            @for (key, class) in found.classes.iter().take(KEYS).enumerate() {
                button data-key=(key + 1) data-class=(cell(class)) { (key + 1) " " (class) }
            }
            @if found.classes.len() > KEYS {
                select aria-label="label" {
                    @for class in &found.classes { option value=(cell(class)) selected[class == own] { (class) } }
                }
            }
        }
    })
}

/// An image, or that it is not there any more.
fn image(root: &Path, path: &str) -> Markup {
    let uri = picture(&root.join(path)).and_then(|picture| jpeg_uri(&picture, SIDE));
    match uri {
        Ok(uri) => figure(&uri, path, &html! { (path) }),
        Err(error) => html! { p.soft { (path) " cannot be shown: it " (error) } },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(classes: usize, suspects: usize) -> Suspects {
        let suspect = |index: usize| Suspect {
            paths: vec![format!("a/{index}.png"), format!("=a/\"{index}\".png")],
            label: 0,
            said: 1,
            of_label: 0.1,
            of_said: 0.8,
            margin: 1.0,
        };
        Suspects {
            classes: (0..classes).map(|class| format!("<{class}>")).collect(),
            photographs: 1000,
            agreement: 0.7,
            suspects: (0..suspects).map(suspect).collect(),
        }
    }

    #[test]
    fn every_case_has_its_paths_a_key_for_each_class_and_no_markup_of_names() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        image::RgbImage::new(300, 200).save(folder.path().join("a/0.png")).unwrap();
        let page = suspected_labels(&found(3, 2), folder.path()).unwrap();
        assert_eq!(page.matches("data-label=\"&lt;0&gt;\"").count(), 2);
        assert!(page.contains(r#"data-paths="[&quot;a/1.png&quot;,&quot;'=a/\&quot;1\&quot;.png&quot;]""#), "{page}");
        assert_eq!((page.matches("data-key=\"3\"").count(), page.matches("data-key=\"4\"").count()), (2, 0));
        assert_eq!((page.matches("<img").count(), page.matches("cannot be shown").count()), (1, 3));
        assert!(page.contains("2 of 1000 photographs") && page.contains("often wrong themselves"));
        assert!(!page.contains("<0>") && !page.contains("src=\"http") && !page.contains("<select"));
    }

    #[test]
    fn many_classes_have_a_list_and_many_suspects_leave_the_page_small() {
        let folder = tempfile::tempdir().unwrap();
        let page = suspected_labels(&found(12, 3000), folder.path()).unwrap();
        assert_eq!(page.matches("<select").count(), MOST);
        assert!(page.contains("2850 more, less suspicious") && page.len() < 1_000_000, "{} bytes", page.len());
        assert!(!SCRIPT.contains("</script"));
    }
}
