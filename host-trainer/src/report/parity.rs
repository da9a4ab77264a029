//! Float, int8 on this machine and int8 on a device, image by image: what each of them says, and where they differ.

use std::fmt::Write;

use anyhow::Result;
use model_compiler::graph::Graph;
use model_compiler::layout::stripes::Layers;
use model_compiler::quantise::noise::LayerSqnr;
use model_training::data::dataset::{Dataset, Images, Loaded};
use model_training::data::progress;
use model_training::measure::comparison::{Comparison, Split};
use model_training::measure::evaluate::{Int8Output, class_names, float_classes, int8_classes, side_by_side};
use model_training::system::log;
use no_std_infer::Model;
use serde::Serialize;

use super::export::layers_text;
use crate::device::{Device, DeviceParity};

/// What the engines say of all images.
#[derive(Debug, Serialize)]
pub struct Parity {
    /// Accuracy of each engine on each split, and how often they agree.
    pub comparison: Comparison,
    /// How far each layer's int8 values are from the float ones.
    pub layers: Vec<LayerSqnr>,
    /// Number of images.
    pub images: usize,
    /// Share of the images for which float and int8 give the same class, 0 to 1.
    pub agreement: f64,
    /// How the device's bytes compare with this machine's, where there is a device.
    pub device: Option<DeviceParity>,
}

/// A device that runs the blob, and what it has said so far.
type OnDevice = (Device, DeviceParity);

impl Parity {
    /// Runs all images of a data set: on this machine once in float and once in int8, and on the device.
    ///
    /// # Errors
    /// When the blob was not made from this float graph, or the device does not answer.
    pub fn of(
        (graph, model, blob): (&Graph, &Model<'_>, &[u8]),
        loaded: &Loaded,
        dataset: &Dataset,
        device: Option<Device>,
    ) -> Result<Self> {
        let mut device: Option<OnDevice> = device.map(|device| {
            let parity = DeviceParity::new(&device);
            (device, parity)
        });
        let splits = loaded.splits().zip(dataset.clusters()).filter(|((_, images), _)| !images.is_empty());
        let splits: Vec<((&str, &Images), Vec<&str>)> = splits.collect();
        let inputs = splits.iter().flat_map(|((_, images), _)| (0..images.len()).map(|index| images.input(index)));
        let inputs: Vec<Vec<i8>> = inputs.collect();
        let layers = Layers::of(blob, model)?;
        let (layers, said) =
            log::stage("both on the host", || side_by_side((graph, model), layers.of_operators(), &inputs))?;
        let (mut float_left, mut int8_left) = (&said.float[..], &said.int8[..]);
        let mut comparison = Comparison { labels: class_names(model), splits: Vec::new() };
        let mut same = 0;
        for ((name, images), groups) in splits {
            let (logits, outputs);
            (logits, float_left) = float_left.split_at(images.len());
            (outputs, int8_left) = int8_left.split_at(images.len());
            let (float, host) = (float_classes(logits), int8_classes(outputs));
            same += float.iter().zip(&host).filter(|(a, b)| a == b).count();
            let mut engines = vec![("float", &float[..]), ("int8", &host[..])];
            let on_device = device.as_mut().map(|on| run_on_device(on, images, outputs)).transpose()?;
            engines.extend(on_device.as_ref().map(|classes| ("device", &classes[..])));
            comparison.splits.push(Split::new(name, comparison.labels.len(), &images.labels, &groups, &engines));
        }
        Ok(Self {
            layers,
            images: inputs.len(),
            agreement: same as f64 / inputs.len() as f64,
            device: device.map(|(_, parity)| parity),
            comparison,
        })
    }

    /// The report for a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n{}\n\n", self.comparison.to_text(), layers_text(&self.layers));
        let agreement = 100.0 * self.agreement;
        let _ = writeln!(text, "{} images: float and int8 give the same class for {agreement:.1} %", self.images);
        if let Some(device) = &self.device {
            let _ = writeln!(text, "{device}");
        }
        text
    }
}

/// Runs the images on the device; gives its classes.
fn run_on_device((device, parity): &mut OnDevice, images: &Images, expected: &[Int8Output]) -> Result<Vec<usize>> {
    progress::tell(images.len(), "answers of the device");
    let bar = progress::bar(images.len(), "images on the device");
    let classes = expected.iter().enumerate().map(|(index, expected)| {
        bar.inc(1);
        parity.compare(device, &images.input(index), expected)
    });
    let classes = log::stage("int8 on the device", || classes.collect());
    bar.finish_and_clear();
    classes
}

/// Keeps at most `limit` elements, spread over all.
pub fn thin<T>(items: &mut Vec<T>, limit: usize) {
    let len = items.len();
    if len > limit {
        let mut index = 0;
        items.retain(|_| {
            let kept = (index + 1) * limit / len > index * limit / len;
            index += 1;
            kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::thin;

    #[test]
    fn thinning_keeps_the_number_asked_for_and_spreads_it() {
        for (len, limit) in [(10, 3), (100, 7), (5, 5), (5, 9), (4, 0)] {
            let mut items: Vec<usize> = (0..len).collect();
            thin(&mut items, limit);
            assert_eq!(items.len(), limit.min(len), "{limit} of {len}");
            assert!(items.windows(2).all(|pair| pair[1] - pair[0] <= len.div_ceil(limit)), "{items:?}");
        }
    }
}
