//! Runs a model everywhere and writes down what came of it.

use std::time::SystemTime;

use anyhow::{Result, ensure};
use host_kernels::Isa;
use humantime::format_rfc3339_seconds;
use model_compiler::graph::Graph;
use model_compiler::layout::stripes::Layers;
use model_training::data::dataset::{Images, Sample, View};
use model_training::data::progress;
use model_training::measure::comparison::{Comparison, Split};
use model_training::measure::evaluate::{Int8Output, class_names, float_classes, float_logits, int8_classes};
use model_training::measure::trace::{Checksums, Engine, specified, traces};
use model_training::system::hexadecimal::hexadecimal;
use model_training::system::hints::command;
use no_std_infer::format::Op;
use no_std_infer::{Model, argmax};

use super::{Certificate, Costs, Difference, Facts, Image, Operator, Place, Run, VERSION, Value, said, words};
use crate::device::signing::Signer;
use crate::device::{Device, DeviceResult, engine_digest, identity};
use crate::report::pages::spread;

/// What is certified.
pub struct Subject<'a> {
    /// The whole blob.
    pub blob: &'a [u8],
    /// What it holds.
    pub model: &'a Model<'a>,
    /// The float network that it was made of, where that is there.
    pub graph: Option<&'a Graph>,
    /// The images, by split.
    pub splits: Vec<Pictures<'a>>,
    /// What is seen of them.
    pub view: View,
    /// Whether it is known which images the model was trained on; these are not among the images then.
    pub unseen: bool,
}

/// The images of a split; there is one at least.
pub struct Pictures<'a> {
    /// Its name.
    pub name: &'a str,
    /// What the network sees.
    pub images: &'a Images,
    /// Where they are from.
    pub samples: &'a [Sample],
}

/// A device that runs the blob.
pub struct Tested {
    /// The link, as it was given.
    pub link: String,
    /// SHA-256 of the firmware that an emulator runs; none of a board.
    pub firmware: Option<String>,
    /// The device.
    pub device: Device,
}

/// Runs a blob on this machine and on devices, and by the specification for at most so many images.
///
/// # Errors
/// When a device does not answer or runs another model, or the blob's layers are damaged.
pub fn certify(subject: &Subject<'_>, specification: usize, devices: &mut [Tested]) -> Result<Certificate> {
    let (model, operators) = (subject.model, operators(subject)?);
    let host: Vec<_> = subject.splits.iter().flat_map(|split| traces(model, split.images)).collect();
    let made = Made { subject, host: &host, operators: &operators };
    let mut runs = vec![made.on_host()];
    runs.extend((specification > 0).then(|| made.specified(specification)));
    let devices: Vec<_> = devices.iter_mut().map(|tested| made.on_device(tested)).collect::<Result<_>>()?;
    let accuracy = made.accuracy(&devices);
    runs.extend(devices.into_iter().map(|(run, _)| run));
    let samples = subject.splits.iter().flat_map(|split| split.samples);
    let image =
        |sample: &Sample| Image { name: sample.name.clone(), sha256: sample.digest.clone().unwrap_or_default() };
    Ok(Certificate {
        version: VERSION,
        date: format_rfc3339_seconds(SystemTime::now()).to_string(),
        command: command(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        engine_sha256: hexadecimal(&engine_digest()),
        model: Facts::of(subject),
        view: subject.view,
        images: samples.map(image).collect(),
        limits: words::limits(&runs, subject),
        operators,
        runs,
        accuracy,
    })
}

impl Facts {
    fn of(subject: &Subject<'_>) -> Self {
        let (blob, model) = (subject.blob, subject.model);
        Self {
            name: model.info().name.to_owned(),
            sha256: hexadecimal(&identity(blob).sha256),
            bytes: blob.len(),
            arena_bytes: model.arena_len(),
            products: model.cost().products,
            signer: Signer::of(blob),
        }
    }
}

/// The operators with the names of their layers: the float network's, or else numbers.
fn operators(subject: &Subject<'_>) -> Result<Vec<Operator>> {
    let layers = Layers::of(subject.blob, subject.model)?;
    let nodes = subject.graph.map_or(&[][..], |graph| &graph.nodes);
    let name = |index: usize| match layers.layer(index) {
        None => "rows that are kept".to_owned(),
        Some(layer) => match nodes.get(layer) {
            Some(node) => node.name.clone(),
            None if !nodes.is_empty() && layer == nodes.len() => "softmax".to_owned(),
            None => format!("layer {layer}"),
        },
    };
    let operator = |(index, op): (usize, Op)| {
        let tensor = op.output();
        let output = [tensor.height.into(), tensor.width.into(), tensor.channels as usize];
        Operator { layer: name(index), kind: op.name().to_owned(), output }
    };
    Ok(subject.model.ops().enumerate().map(operator).collect())
}

/// What this machine has made, with which all else is compared.
struct Made<'a> {
    subject: &'a Subject<'a>,
    host: &'a [(Checksums, Int8Output)],
    operators: &'a [Operator],
}

impl Made<'_> {
    /// An image as the network's input.
    fn input(&self, mut image: usize) -> Vec<i8> {
        for split in &self.subject.splits {
            if image < split.images.len() {
                return split.images.input(image);
            }
            image -= split.images.len();
        }
        Vec::new()
    }

    /// What a run with these checksums for these images is, beside what this machine has made.
    fn compared(&self, place: Place, link: &str, images: &[usize], found: &[Checksums]) -> Run {
        let differing = |(&image, found): (&usize, &Checksums)| {
            let own = self.host[image].0.iter();
            let operators = own.zip(found).enumerate().filter(|(_, (own, found))| own != found).map(|(index, _)| index);
            (image, operators.collect::<Vec<_>>())
        };
        let differing: Vec<(usize, Vec<usize>)> = images.iter().zip(found).map(differing).collect();
        let firsts = differing.iter().filter_map(|(image, operators)| Some((*operators.first()?, *image)));
        let first = firsts.min();
        Run {
            place,
            link: link.to_owned(),
            board: String::new(),
            kernels: String::new(),
            firmware_sha256: None,
            images: images.len(),
            checksums: said(found),
            differing_outputs: differing.iter().map(|(_, operators)| operators.len()).sum(),
            differing_images: differing.iter().filter(|(_, operators)| !operators.is_empty()).count(),
            first_difference: first.map(|(operator, image)| Difference { image, operator, value: None }),
            costs: None,
        }
    }

    /// This machine's run.
    fn on_host(&self) -> Run {
        let own: Vec<Checksums> = self.host.iter().map(|(checksums, _)| checksums.clone()).collect();
        let all: Vec<usize> = (0..own.len()).collect();
        Run { kernels: Isa::best().name().to_owned(), ..self.compared(Place::Host, "host", &all, &own) }
    }

    /// What the specification says of at most so many images.
    fn specified(&self, most: usize) -> Run {
        let images = spread(self.host.len(), most);
        let inputs: Vec<Vec<i8>> = images.iter().map(|&image| self.input(image)).collect();
        let found = specified(self.subject.model, &inputs);
        let mut run = self.compared(Place::Specification, "specification", &images, &found);
        if let Some(difference) = &mut run.first_difference {
            let input = self.input(difference.image);
            let [own, said] = [Engine::Kernels, Engine::Oracle]
                .map(|engine| engine.outputs(self.subject.model, &input).swap_remove(difference.operator));
            let at = own.iter().zip(&said).position(|(own, said)| own != said);
            difference.value = at.map(|at| self.value(difference.operator, at, own[at], said[at]));
        }
        run
    }

    /// What a device makes of all images, and its classes.
    fn on_device(&self, tested: &mut Tested) -> Result<(Run, Vec<usize>)> {
        let Tested { link, firmware, device } = tested;
        device.expect(self.subject.blob)?;
        progress::tell(self.host.len(), "answers of the device");
        let bar = progress::bar(self.host.len(), "images on the device");
        let (mut found, mut classes, mut network, mut stack) = (Vec::new(), Vec::new(), [u64::MAX, 0], 0);
        for (image, own) in self.host.iter().enumerate() {
            let (checksums, result) = device.trace(&self.input(image))?;
            check(own, &checksums, &result)?;
            network = [network[0].min(result.total), network[1].max(result.total)];
            stack = stack.max(result.stack);
            classes.push(argmax(self.subject.model.scores(&result.logits, &result.output).logits()));
            found.push(checksums);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let all: Vec<usize> = (0..found.len()).collect();
        let place = if firmware.is_some() { Place::Emulator } else { Place::Board };
        let mut run = self.compared(place, link, &all, &found);
        if let Some(difference) = &mut run.first_difference {
            let (input, operator) = (self.input(difference.image), difference.operator);
            let own = Engine::Kernels.outputs(self.subject.model, &input).swap_remove(operator);
            let other = device.first_other_value(&input, operator as u16, &own)?;
            difference.value = other.map(|other| self.value(operator, other.index, own[other.index], other.found));
        }
        let operators = device.infer(&self.input(0))?.layers;
        let about = device.description();
        run.costs = Some(Costs { unit: about.unit.to_string(), hz: about.hz, network, operators, stack_bytes: stack });
        (run.board, run.kernels) = (about.board.clone(), about.kernel_set.clone());
        run.firmware_sha256.clone_from(firmware);
        Ok((run, classes))
    }

    fn value(&self, operator: usize, index: usize, host: i8, found: i8) -> Value {
        let [_, width, channels] = self.operators[operator].output;
        Value { at: [index / channels / width, index / channels % width, index % channels], host, found }
    }

    /// How many images of each split everything that has run on all of them puts into their class.
    fn accuracy(&self, devices: &[(Run, Vec<usize>)]) -> Comparison {
        let labels = class_names(self.subject.model);
        let outputs: Vec<Int8Output> = self.host.iter().map(|(_, output)| output.clone()).collect();
        let int8 = int8_classes(&outputs);
        let (mut splits, mut start) = (Vec::new(), 0);
        for Pictures { name, images, samples } in &self.subject.splits {
            let end = start + images.len();
            let float = self.subject.graph.map(|graph| float_classes(&float_logits(graph, images)));
            let mut engines: Vec<(&str, &[usize])> = float.iter().map(|classes| ("float", &classes[..])).collect();
            engines.push(("int8", &int8[start..end]));
            engines.extend(devices.iter().map(|(run, classes)| (run.link.as_str(), &classes[start..end])));
            let groups: Vec<&str> = samples.iter().map(Sample::cluster).collect();
            splits.push(Split::new(name, labels.len(), &images.labels, &groups, &engines));
            start = end;
        }
        Comparison { labels, splits }
    }
}

/// Refuses an answer that is not about this model, or says that all operators agree while the scores do not.
fn check((own, output): &(Checksums, Int8Output), found: &Checksums, result: &DeviceResult) -> Result<()> {
    let lengths = found.len() == own.len() && result.logits.len() == output.logits.len();
    ensure!(lengths, "the device's answer is not one about this model: {} operators", found.len());
    let scores = (&result.logits, &result.output) == (&output.logits, &output.output);
    ensure!(
        found != own || scores,
        "the device says that each operator has made this machine's bytes, and gives other scores: do not rely on it"
    );
    Ok(())
}
