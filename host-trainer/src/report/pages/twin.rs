//! The browser twin: a page that runs the very blob with the device's engine, of pictures and a camera that its reader gives it.

use std::io::Write;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::RgbImage;
use maud::{Markup, PreEscaped, html};
use model_compiler::aligned::Aligned;
use model_compiler::layout::stripes::Layers;
use model_training::data::dataset::{Images, Sample as Entry};
use model_training::measure::evaluate::{class_names, shape};
use model_training::system::html::{self, png_uri, table};
use no_std_infer::Model;
use no_std_infer::format::{Op, Tensor};
use serde::Serialize;

use crate::device::boards::{self, Board, Estimate};
use crate::device::costs::{self, Costs};

/// The engine for browsers, as `twin/` is compiled.
pub const WASM: &[u8] = include_bytes!("twin/twin.wasm");
/// The same deflated, in base64: two fifths of it.
static DEFLATED: LazyLock<String> = LazyLock::new(|| {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let deflated = encoder.write_all(WASM).and_then(|()| encoder.finish());
    BASE64_STANDARD.encode(deflated.expect("memory takes what is written to it"))
});
/// What calls the engine, then what a person sees and does.
const SCRIPT: &str = concat!(include_str!("twin/engine.js"), include_str!("twin/page.js"));
/// The page's looks, besides those of all pages.
const STYLE: &str = include_str!("twin/style.css");
/// Nothing is loaded, asked for or sent: what the page needs it holds itself.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; \
                      img-src data: blob:; media-src blob: mediastream:";

/// Most pictures that a page offers.
pub const SAMPLES: usize = 12;

/// Indices of up to `most` of `count` pictures, spread over all of them.
#[must_use]
pub fn spread(count: usize, most: usize) -> Vec<usize> {
    let shown = count.min(most);
    (0..shown).map(|index| index * count / shown).collect()
}

/// A picture that the page offers.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What it is, for people.
    pub name: String,
    /// Its pixels, which the page gets without loss.
    pub pixels: RgbImage,
}

/// The page of a run: its samples are `images`, those of `entries`, as the network sees them.
///
/// # Errors
/// Those of [`twin`].
pub(in crate::report) fn of_run(
    blob: &Aligned<u8>,
    model: &Model<'_>,
    images: &Images,
    entries: &[Entry],
) -> Result<String> {
    let (width, height) = (images.shape.width as u32, images.shape.height as u32);
    let sample = |index: usize| {
        let pixels = images.image(index);
        let pixels =
            if images.shape.channels == 1 { pixels.iter().flat_map(|&v| [v; 3]).collect() } else { pixels.to_vec() };
        let pixels = RgbImage::from_raw(width, height, pixels).context("an image has another size than the others")?;
        Ok(Sample { name: entries[index].name.clone(), pixels })
    };
    let samples: Vec<Sample> = spread(images.len(), SAMPLES).into_iter().map(sample).collect::<Result<_>>()?;
    twin(blob, model, &samples)
}

/// What the page's script knows of the model. Bytes are base64.
#[derive(Serialize)]
struct Known {
    labels: Vec<String>,
    width: u16,
    height: u16,
    channels: u32,
    /// Bytes of arena.
    arena: usize,
    logits: Place,
    output: Place,
    /// Whether the last operator's output is one probability a class, or that of the second of two.
    probabilities: bool,
    /// What a step of the logits is to softmax.
    step: f32,
    /// Least probability of a class that is answered, 0 where all are.
    threshold: f32,
    /// Whether the blob holds a golden vector.
    golden: bool,
    operators: Vec<Operator>,
    layers: Vec<Layer>,
    /// Deflated.
    wasm: &'static str,
    blob: String,
}

/// Bytes of the arena.
#[derive(Serialize)]
struct Place {
    offset: u32,
    length: usize,
}

impl Place {
    fn of(tensor: &Tensor) -> Self {
        Self { offset: tensor.offset, length: tensor.len() }
    }
}

/// An operator's output, and the layer that it makes rows of.
#[derive(Serialize)]
struct Operator {
    layer: Option<usize>,
    #[serde(flatten)]
    place: Place,
}

/// A layer's output, which several operators may make.
#[derive(Serialize)]
struct Layer {
    width: u16,
    height: u16,
    channels: u32,
}

/// The page of a model that reads pictures and gives one score a class: one file with everything in it.
///
/// # Errors
/// When the blob's layers, the list of boards or the cost tables cannot be read.
pub fn twin(blob: &Aligned<u8>, model: &Model<'_>, samples: &[Sample]) -> Result<String> {
    let layers = Layers::of(blob, model)?;
    let whole = layers.whole(model);
    let data = serde_json::to_string(&known(blob, model, &layers, &whole))?;
    let body = html! {
        style { (PreEscaped(STYLE)) }
        div.head {
            p { "The device's own engine and file, in this browser. Pictures stay on this computer." }
            p id="proof" role="status" {}
        }
        main {
            (chooser(samples)?)
            section id="seen" {
                h2 { "As the device sees it" }
                canvas.pixels id="input" role="img" aria-label="the network's input" width="1" height="1" {}
                p.soft { (shape(&model.info().input.tensor)) " bytes, cropped and resized as on the device" }
            }
            (answer(model))
        }
        (activations(&whole))
        (on_boards(blob, model)?)
        (about(blob, model))
        // JSON in which no text can end the element.
        script type="application/json" id="model" { (PreEscaped(data.replace('<', "\\u003c"))) }
        script { (PreEscaped(SCRIPT)) }
    };
    let head = html! { meta http-equiv="Content-Security-Policy" content=(POLICY); };
    let name = model.info().name;
    let title = if name.is_empty() { "A model in this browser".to_owned() } else { format!("{name} in this browser") };
    Ok(html::page_with(&title, &head, &body))
}

fn known(blob: &Aligned<u8>, model: &Model<'_>, layers: &Layers, whole: &[Op]) -> Known {
    let info = model.info();
    let Tensor { width, height, channels, .. } = info.input.tensor;
    let operator = |(index, op): (usize, Op)| Operator { layer: layers.layer(index), place: Place::of(op.output()) };
    let layer = |op: &Op| {
        let &Tensor { width, height, channels, .. } = op.output();
        Layer { width, height, channels }
    };
    let softmax = model.ops().last().is_some_and(|op| matches!(op, Op::Softmax(_)));
    Known {
        labels: class_names(model),
        width,
        height,
        channels,
        arena: model.arena_len(),
        logits: Place::of(&info.logits),
        output: Place::of(&model.output()),
        probabilities: (softmax || model.ends_in_sigmoid()) && model.output().len() == info.logits.len(),
        step: info.logits.scale / info.temperature,
        threshold: f32::from(model.threshold()) / 256.0,
        golden: model.golden().is_some(),
        operators: model.ops().enumerate().map(operator).collect(),
        layers: whole.iter().map(layer).collect(),
        wasm: &DEFLATED,
        blob: BASE64_STANDARD.encode(&**blob),
    }
}

/// Where a picture comes from.
fn chooser(samples: &[Sample]) -> Result<Markup> {
    let uris: Vec<(&str, String)> = samples
        .iter()
        .map(|Sample { name, pixels }| {
            let (width, height) = pixels.dimensions();
            Ok((name.as_str(), png_uri(pixels.as_raw(), width as usize, height as usize)?))
        })
        .collect::<Result<_>>()
        .context("a sample cannot be written")?;
    Ok(html! {
        section {
            h2 { "Picture" }
            button type="button" id="drop" aria-label="Choose a picture, or drop or paste one" {
                span id="hint" { "Drop or paste a picture" br; "or click to choose one" }
                canvas id="shown" hidden {}
            }
            input type="file" id="file" accept="image/*" hidden;
            div.row-of {
                button type="button" id="camera" aria-pressed="false" { "Camera" }
                button type="button" id="save" disabled { "Save frame" }
                span.soft id="note" role="status" {}
            }
            div.row-of id="samples" role="group" aria-label="Samples" {
                @for (name, uri) in &uris {
                    button type="button" aria-pressed="false" title=(name) { img src=(uri) alt=(name); }
                }
            }
        }
    })
}

/// What the model says.
fn answer(model: &Model<'_>) -> Markup {
    let mark = format!("left:{:.2}%", f32::from(model.threshold()) / 2.56);
    html! {
        section id="says" {
            h2 { "What it says" }
            div id="answer" role="status" { "\u{a0}" }
            p.soft id="why" { "\u{a0}" }
            div id="bars" {
                @for label in class_names(model) {
                    div.bar {
                        span title=(label) { (label) }
                        div {
                            i {}
                            @if model.threshold() > 0 { b style=(mark) {} }
                        }
                        span {}
                    }
                }
            }
            p.time { "In this browser: " span id="time" { "not yet measured" } "." }
        }
    }
}

/// A place for the output of each layer.
fn activations(layers: &[Op]) -> Markup {
    let all = layers.iter().map(Op::macs).sum::<u64>().max(1);
    html! {
        details id="layers" {
            summary { "What each layer makes of it" }
            p.soft {
                "One picture a channel, side by side; from the layer's smallest value, dark, to its largest, yellow. Percentages \
                 are shares of all multiplications."
            }
            div {
                @for (index, layer) in layers.iter().enumerate() {
                    figure {
                        canvas.pixels role="img" aria-label={ "output of layer " (index) } width="1" height="1" {}
                        figcaption {
                            b { (index) " " (layer.name()) } br;
                            (shape(layer.output()))
                            @if layer.macs() > 0 { ", " (format!("{:.1} %", 100.0 * layer.macs() as f64 / all as f64)) }
                        }
                    }
                }
            }
        }
    }
}

/// Estimates of what an inference takes.
fn on_boards(blob: &Aligned<u8>, model: &Model<'_>) -> Result<Markup> {
    let tables = Costs::built_in()?;
    let row = |board: Board| -> Result<Vec<String>> {
        let Estimate { board, milliseconds: [low, nominal, high], fits, .. } =
            Estimate::modelled(&tables, model, blob, board)?;
        let fits = if fits { "yes" } else { "no" }.to_owned();
        let range = format!("{low:.1} to {high:.1}");
        Ok(vec![board.title, board.core, board.clock_mhz.to_string(), format!("{nominal:.1}"), range, fits])
    };
    let rows: Vec<Vec<String>> = boards::all()?.into_iter().map(row).collect::<Result<_>>()?;
    Ok(html! {
        details open {
            summary { "About how long it takes on boards" }
            (table(&["board", "core", "MHz", "milliseconds, about", "low to high", "fits"], &rows))
            p.soft {
                "Estimates: " (costs::DISCLAIMER) "; other cores are counted as if they were that one. Without resizing."
            }
        }
    })
}

/// What is the same as on a device, and what is not.
fn about(blob: &Aligned<u8>, model: &Model<'_>) -> Markup {
    let provenance = &model.info().provenance;
    html! {
        details {
            summary { "What is the same as on a device" }
            p {
                "From a picture's pixels on, all of it is: cropping and resizing, every layer, the scores, the threshold, and with the \
                 camera the averages over frames are the code that firmware runs, or loops for this browser that give the same bytes. The self-test \
                 compares each layer's with those that the blob's maker computed. What comes before pixels is the browser's: how it decodes a \
                 JPEG, manages colours and turns a picture may differ from other programs by a little. Your computer's camera is not \
                 the board's either."
            }
            p.soft {
                "Blob " (format!("{:08x}", model.crc())) ", " (format!("{:.1}", blob.len() as f64 / 1024.0)) " KiB of flash, "
                (format!("{:.1}", model.arena_len() as f64 / 1024.0)) " KiB of RAM"
                @if !provenance.producer.is_empty() { ", made by " (provenance.producer) }
                "."
                @if provenance.images > 0 {
                    " On " (provenance.images) " pictures: float " (format!("{:.1} %", 100.0 * provenance.float_accuracy))
                    ", int8 " (format!("{:.1} %", 100.0 * provenance.int8_accuracy)) " right."
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_spread_over_all_pictures() {
        assert!(spread(0, 4).is_empty());
        assert_eq!(spread(3, 4), [0, 1, 2]);
        assert_eq!(spread(22, 4), [0, 5, 11, 16]);
    }

    #[test]
    fn no_text_ends_a_script() {
        assert!(!SCRIPT.contains("</script") && !STYLE.contains("</style"));
        let labels: Vec<String> = (0..5).map(|class| format!("</script><u>{class}")).collect();
        let blob = crate::samples::blob(&labels, 1.0);
        let page = twin(&blob, &Model::parse(&blob).unwrap(), &[]).unwrap();
        assert!(!page.contains("<u>") && page.matches("</script").count() == 2, "{page}");
        assert!(!page.contains("http:") && !page.contains("https:"), "the page names an address");
    }
}
