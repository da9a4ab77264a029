//! Links, and the book that the pages are.

use std::collections::BTreeSet;

use crate::tree::{files, read, relative, root};

/// The text without code blocks and code spans.
fn prose(markdown: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.extend(line.split('`').step_by(2));
            prose.push('\n');
        }
    }
    prose
}

/// Targets of links and pictures.
fn targets(markdown: &str) -> Vec<String> {
    let prose = prose(markdown);
    let mut targets = Vec::new();
    for (open, close) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
        let parts = prose.split(open).skip(1);
        targets.extend(parts.filter_map(|part| part.split_once(close)).map(|(target, _)| target.trim().to_owned()));
    }
    targets
}

/// The names that headings have in links: lower case, spaces as `-`, punctuation dropped.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut anchors = BTreeSet::new();
    for line in markdown.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if let (false, Some(heading)) =
            (fenced, line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')))
        {
            let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            anchors.insert(kept.collect::<String>().to_lowercase().replace(' ', "-"));
        }
    }
    anchors
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for path in files(&root(), "md") {
        let text = read(&path);
        for target in targets(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let linked = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let there = linked.exists()
                && (anchor.is_empty()
                    || linked.extension().is_none_or(|extension| extension != "md")
                    || anchors(&read(&linked)).contains(anchor));
            if !there {
                broken.push(format!("{}: `{target}`", relative(&path)));
            }
        }
    }
    assert!(broken.is_empty(), "links without a file or heading:\n{}", broken.join("\n"));
}

#[test]
fn links_are_found() {
    let text = "# A `b` c, d!\n[x](one.md) `[y](not.md)` ![`p`](two.svg#z)\n```\n[z](not.md)\n# no\n```\n<img src=\"three.png\">";
    assert_eq!(targets(text), ["one.md", "two.svg#z", "three.png"]);
    assert_eq!(anchors(text), BTreeSet::from(["a-b-c-d".to_owned()]));
}

#[test]
fn every_page_is_in_the_book_once() {
    let folder = root().join("docs");
    let listed = targets(&read(&folder.join("SUMMARY.md")));
    let pages = files(&folder, "md").into_iter().map(|path| relative(&path).replacen("docs/", "", 1));
    let pages: BTreeSet<String> = pages.filter(|page| page != "SUMMARY.md").collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), pages, "docs/SUMMARY.md lists the pages of docs");
    assert_eq!(listed.len(), pages.len(), "docs/SUMMARY.md lists a page twice");
}
