//! The page of a certificate.

use indicatif::HumanCount;
use maud::{Markup, html};
use model_training::measure::comparison::Engine;
use model_training::system::html::{self, facts, section, table};

use super::verdict;
use crate::report::certificate::{Certificate, Costs, Facts, Place, Run, named};

/// The page of a certificate, and the fingerprint of the key that signed it.
#[must_use]
pub fn certificate(certificate: &Certificate, signer: Option<&str>) -> String {
    let body = html! {
        (verdict(&certificate.verdict()))
        p.soft {
            @match signer {
                Some(key) => { "Signed by the key " code { (key) } ". Compare it with that of whom you trust." }
                None => { "Not signed: whoever has this page may have changed it." }
            }
            " This page shows a certificate; " code { "certify --verify" } " checks the certificate itself, a JSON file."
        }
        (section("Where it ran", &runs(certificate)))
        (section("How many pictures are right", &accuracy(certificate)))
        (section("Layer by layer", &layers(certificate)))
        (section("What this does not say", &html! { ul { @for limit in &certificate.limits { li { (limit) } } } }))
        (section("The model", &model(&certificate.model)))
        (section("The pictures", &html! {
            details {
                summary { (certificate.images.len()) " pictures by the SHA-256 of their files" }
                (table(&["picture", "SHA-256"], &rows(&certificate.images, |image| vec![image.name.clone(), image.sha256.clone()])))
            }
        }))
        (section("How this was made", &facts(&[
            ("date", certificate.date.clone()),
            ("command", certificate.command.clone()),
            ("version", format!("host-trainer {}", certificate.program)),
            ("engine's sources, SHA-256", certificate.engine_sha256.clone()),
        ])))
    };
    html::page(&format!("Certificate of {}", certificate.model.name), &body)
}

/// A number with a comma at each thousand.
fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

fn rows<T>(of: &[T], row: impl Fn(&T) -> Vec<String>) -> Vec<Vec<String>> {
    of.iter().map(row).collect()
}

fn runs(certificate: &Certificate) -> Markup {
    let row = |run: &Run| {
        let time = run.costs.as_ref().map_or(String::new(), |costs| {
            let Costs { unit, network: [_, most], .. } = costs;
            match costs.milliseconds() {
                Some(ms) => format!("{ms:.1} ms ({} {unit})", count(*most)),
                None => format!("{} {unit}", count(*most)),
            }
        });
        let stack = run.costs.as_ref().map_or(String::new(), |costs| count(costs.stack_bytes.into()));
        let differing = if run.place == Place::Host { "-".to_owned() } else { run.differing_outputs.to_string() };
        let (images, kernels) = (run.images.to_string(), run.kernels.clone());
        vec![named(run), kernels, images, differing, time, stack]
    };
    let header = ["where", "kernels", "images", "outputs that differ", "an inference, at most", "stack, bytes"];
    let firmware = certificate.runs.iter().filter_map(|run| {
        let digest = match (&run.firmware_sha256, run.place) {
            (Some(sha256), _) => format!("firmware with the SHA-256 {sha256}"),
            (None, Place::Board) => "which firmware answered is not proved".to_owned(),
            (None, _) => return None,
        };
        Some((named(run), digest))
    });
    html! {
        (table(&header, &rows(&certificate.runs, row)))
        @for (place, digest) in firmware { p.soft { (place) ": " (digest) } }
    }
}

fn accuracy(certificate: &Certificate) -> Markup {
    let splits = certificate.accuracy.splits.iter();
    let row = |(split, engine): (&String, &Engine)| {
        vec![split.clone(), engine.name.clone(), engine.accuracy.to_string(), format!("{:.3}", engine.macro_f1)]
    };
    let engines = splits.flat_map(|split| split.engines.iter().map(|engine| (&split.name, engine)));
    let rows: Vec<Vec<String>> = engines.map(row).collect();
    html! {
        (table(&["split", "engine", "right", "macro F1"], &rows))
        p.soft { "In brackets: 95 % intervals, over groups of copies where there are any." }
    }
}

/// A line for each operator, with each run's checksum; what is not this machine's stands out.
fn layers(certificate: &Certificate) -> Markup {
    let whole: Vec<&Run> = certificate.runs.iter().filter(|run| run.images == certificate.images.len()).collect();
    html! {
        p.soft { "The CRC-32 of each operator's outputs for all pictures. Runs for some pictures only are left out here." }
        div.scroll { table {
            tr {
                th.n { "operator" } th { "layer" } th { "kind" } th { "output" }
                @for run in &whole { th { (named(run)) } }
            }
            @for (index, operator) in certificate.operators.iter().enumerate() {
                tr {
                    td.n { (index) }
                    td { (operator.layer) }
                    td { (operator.kind) }
                    td { (operator.output.map(|side| side.to_string()).join(" x ")) }
                    @for run in &whole {
                        td class=[(run.checksums[index] != whole[0].checksums[index]).then_some("bad")] { code { (run.checksums[index]) } }
                    }
                }
            }
        } }
    }
}

fn model(model: &Facts) -> Markup {
    let signer = match &model.signer {
        None => "nobody".to_owned(),
        Some(signer) if signer.valid => format!("the key {}, as number {}", signer.key, signer.number),
        Some(signer) => format!("not the key {} that it names", signer.key),
    };
    facts(&[
        ("name", model.name.clone()),
        ("SHA-256", model.sha256.clone()),
        ("blob, bytes", count(model.bytes as u64)),
        ("memory for activations, bytes", count(model.arena_bytes as u64)),
        ("products in a run", count(model.products)),
        ("blob signed by", signer),
    ])
}
