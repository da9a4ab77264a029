//! The page of a search.

use anyhow::Result;
use maud::{Markup, PreEscaped, html};
use model_training::measure::search::{CHOSEN_FILE, Line, Outcome, PARTS, RUNGS};
use model_training::system::html::{self, section};

use super::{REPORT_FILE, verdict};
use crate::report::made::Made;
use crate::report::plots;
use crate::report::plots::{Dot, Dots};

/// The page of what a search with this seed found.
///
/// # Errors
/// When a picture cannot be drawn.
pub fn search(outcome: &Outcome, seed: u64) -> Result<String> {
    let (ended, left): (Vec<&Line>, Vec<&Line>) = outcome.trials.iter().partition(|line| line.unseen.is_some());
    let body = html! {
        (verdict(&outcome.verdict()))
        (section("Accuracy on images that the search never saw", &html! {
            p.soft { "A click opens the network's own report. The line joins those that no other beats, by the folds that the \
                      search saw. In brackets: 95 % intervals, by drawing groups." }
            (pictures(&ended)?)
        }))
        (section("Networks that came to the end", &lines(&ended, outcome)))
        @if !left.is_empty() {
            (section("Networks that were left before", &html! {
                p.soft { "Their accuracies are of fewer epochs and fewer folds, so they are lower than they could be." }
                (lines(&left, outcome))
            }))
        }
        (section("How it was searched", &html! {
            p {
                "The photographs were divided into " (PARTS) " parts, copies kept together, one of which no choice was made by. On \
                 the others networks learnt in " (RUNGS.len()) " rungs: by "
                (RUNGS.map(|(share, folds)| format!("{share} of the epochs, scored on {folds} of {} folds", RUNGS[RUNGS.len() - 1].1)).join("; ")) ". \
                 After each, half went on: first those that no other beats in accuracy and time. What is chosen is the cheapest of \
                 those within a standard error of the most accurate. Its configuration is in " a href=(CHOSEN_FILE) { (CHOSEN_FILE) } "."
            }
            p { "Costs were known before training: the planner's flash and RAM, and instructions by tables." }
        }))
        (section("How this was made", &Made::now(seed).to_html(None)))
    };
    Ok(html::page("Search for a network", &body))
}

/// What networks cost, with its unit.
type Cost = (&'static str, fn(&Line) -> f64);

/// Accuracy over time, RAM and flash; each network leads to its report.
fn pictures(lines: &[&Line]) -> Result<Markup> {
    let on_board = lines.iter().all(|line| line.costs.milliseconds.is_some());
    let time = if on_board { "milliseconds" } else { "million instructions" };
    let costs: [Cost; 3] = [
        (time, |line| line.costs.milliseconds.unwrap_or(line.costs.instructions as f64 / 1e6)),
        ("RAM, KiB", |line| line.costs.ram as f64 / 1024.0),
        ("flash, KiB", |line| line.costs.flash as f64 / 1024.0),
    ];
    let picture = |(cost, of): &Cost| {
        let dot = |line: &&Line| {
            let accuracy = line.unseen.unwrap_or(line.searched);
            Dot {
                cost: of(line),
                accuracy,
                front: line.front,
                link: format!("trial-{}/final/{REPORT_FILE}", line.trial),
                name: format!("{}: {:.3}", line.point, accuracy.value),
            }
        };
        let dots: Vec<Dot> = lines.iter().map(dot).collect();
        plots::front(Dots { cost, accuracy: "accuracy, int8", dots: &dots })
    };
    let pictures: Vec<String> = costs.iter().map(picture).collect::<Result<_>>()?;
    Ok(html! { @for picture in pictures { (PreEscaped(picture)) } })
}

/// A line for each network, the fastest first.
fn lines(lines: &[&Line], outcome: &Outcome) -> Markup {
    let mut lines = lines.to_vec();
    lines.sort_by_key(|line| line.costs.time());
    let kib = |bytes: u64| format!("{:.1}", bytes as f64 / 1024.0);
    html! {
        div.scroll { table {
            tr {
                th { "network" } th.n { "ms" } th.n { "M instructions" } th.n { "flash, KiB" } th.n { "RAM, KiB" }
                th.n { "unseen images" } th.n { "searched" } th.n { "rung" } th { }
            }
            @for line in lines {
                tr id={ "trial-" (line.trial) } {
                    td {
                        (line.point)
                        @if line.trial == outcome.chosen { " " b { "(chosen)" } } @else if line.front { " (front)" }
                    }
                    td.n { @if let Some(time) = line.costs.milliseconds { (format!("{time:.2}")) } }
                    td.n { (format!("{:.2}", line.costs.instructions as f64 / 1e6)) }
                    td.n { (kib(line.costs.flash)) }
                    td.n { (kib(line.costs.ram)) }
                    td.n { @if let Some(unseen) = line.unseen { (unseen) } }
                    td.n { (line.searched) }
                    td.n { (line.rung) }
                    td {
                        @if line.unseen.is_some() {
                            a href={ "trial-" (line.trial) "/final/" (REPORT_FILE) } { "report" }
                        } @else {
                            a href={ "trial-" (line.trial) "/rung-" (line.rung) "/fold-0/" (REPORT_FILE) } { "report of a fold" }
                        }
                    }
                }
            }
        } }
    }
}
