//! Certificates: what they say of devices that compute what they should, and of one that does not; checking them.

use std::fs;
use std::path::PathBuf;

use host_trainer::device::{Device, OtherValue, Patience};
use host_trainer::report::certificate::{Certificate, Pictures, Place, Subject, Tested, Value, certify};
use model_compiler::graph::FloatOp;
use model_training::config::Preset;
use model_training::data::dataset::{Images, Sample, View};
use model_training::measure::metrics::Share;
use no_std_infer::Model;
use no_std_infer::fixed::clamp_i8;
use no_std_infer::format::Pool2d;
use no_std_infer::kernels::{Apart, KernelSet, Kernels, Linked};
use tempfile::{TempDir, tempdir};
use tests::in_process::InProcess;
use tests::networks::{Network, preset};

use crate::common::{call, picture, refusal, text};

/// Pictures of a certificate.
const PICTURES: usize = 6;

/// Kernels whose average pooling rounds towards zero, and not to the nearest.
struct Truncating;

impl Kernels for Truncating {
    fn average_pool2d(op: &Pool2d, views: Apart<'_>) {
        let [width, channels] = [op.input.width.into(), op.input.channels as usize];
        let window = [op.window.kernel_h, op.window.kernel_w, op.window.stride_h, op.window.stride_w].map(usize::from);
        let [kernel_h, kernel_w, stride_h, stride_w] = window;
        let mut outputs = views.output.iter_mut();
        for (y, x) in views.rows.flat_map(|y| (0..usize::from(op.output.width)).map(move |x| (y, x))) {
            for channel in 0..channels {
                let taps =
                    (0..kernel_h * kernel_w).map(|tap| (y * stride_h + tap / kernel_w, x * stride_w + tap % kernel_w));
                let sum: i32 = taps
                    .map(|(y, x): (usize, usize)| i32::from(views.input[(y * width + x) * channels + channel]))
                    .sum();
                let mean = sum / (kernel_h * kernel_w) as i32;
                *outputs.next().expect("a value a channel") = clamp_i8(mean, op.activation.min, op.activation.max);
            }
        }
    }
}

/// What is certified of a network in these tests, and what a device with these kernels makes of it.
fn certified(network: &Network, linked: &'static Linked) -> Certificate {
    let model = Model::parse(&network.blob).expect("a valid blob");
    let pixels: Vec<u8> = network.inputs[..PICTURES].iter().flatten().map(|&value| value as u8 ^ 0x80).collect();
    let labels: Vec<usize> = (0..PICTURES).map(|index| index % 3).collect();
    let images = Images::of_pixels(network.graph.input, &pixels, &labels);
    let sample = |index: usize| Sample {
        name: format!("{index}.png"),
        label: labels[index],
        group: None,
        digest: Some(format!("{index:064x}")),
    };
    let samples: Vec<Sample> = (0..PICTURES).map(sample).collect();
    let subject = Subject {
        blob: &network.blob,
        model: &model,
        graph: Some(&network.graph),
        splits: vec![Pictures { name: "test", images: &images, samples: &samples }],
        view: View::Rgb888,
        unseen: true,
    };
    let device = InProcess::start_on(&network.blob, linked);
    let device = Device::open(Box::new(device), Patience::default()).expect("it answers");
    let mut devices = [Tested { link: "serial:here".to_owned(), firmware: None, device }];
    certify(&subject, 2, &mut devices).expect("a certificate")
}

#[test]
fn one_wrong_rounding_in_one_layer_is_found_and_named() {
    let network = preset(Preset::Resnet8, 16, 20, 3);
    let good = certified(&network, Linked::ALL);
    assert!(
        good.agrees() && good.verdict()[0].starts_with("Every byte of every layer's output is the same"),
        "{good:?}"
    );
    assert_eq!(
        good.runs.iter().map(|run| run.place).collect::<Vec<_>>(),
        [Place::Host, Place::Specification, Place::Board]
    );
    assert_eq!((good.runs[1].images, good.runs[2].images), (2, PICTURES));
    let engines = &good.accuracy.splits[0].engines;
    assert_eq!(engines.iter().map(|engine| engine.name.as_str()).collect::<Vec<_>>(), ["float", "int8", "serial:here"]);
    for Share { count, total, value, low, high } in engines.iter().map(|engine| engine.accuracy) {
        assert!(count <= total && total == PICTURES && low <= value && value <= high, "{engines:?}");
        // So few pictures leave much open.
        assert!(0.0 <= low && high <= 1.0 && high - low > 0.1, "{engines:?}");
    }
    let costs = good.runs[2].costs.as_ref().expect("the device counts");
    assert_eq!((costs.unit.as_str(), costs.hz, costs.operators.len()), ("cycles", 1_000_000, good.operators.len()));
    assert!(good.runs[..2].iter().all(|run| run.costs.is_none()), "{good:?}");

    let broken = certified(&network, const { &Linked::of::<Truncating>(KernelSet::ALL) });
    let run = &broken.runs[2];
    let pool = network.graph.nodes.iter().position(|node| matches!(node.op, FloatOp::AveragePool2d { .. }));
    let pool = pool.expect("it ends with a mean");
    let difference = run.first_difference.as_ref().expect("the rounding shows");
    assert_eq!(difference.operator, pool);
    let name = &network.graph.nodes[pool].name;
    assert_eq!(broken.operators[pool].layer, *name);
    assert_eq!(run.checksums[..pool], good.runs[2].checksums[..pool]);
    assert_ne!(run.checksums[pool], good.runs[2].checksums[pool]);

    // The value is the first that rounding towards zero changes.
    let model = Model::parse(&network.blob).expect("a valid blob");
    let input = &network.inputs[difference.image];
    let right = tests::outputs::<tests::Reference>(&model, input).swap_remove(pool);
    let wrong = tests::outputs::<Truncating>(&model, input).swap_remove(pool);
    let channel = right.iter().zip(&wrong).position(|(right, wrong)| right != wrong).expect("it differs");
    assert_eq!(difference.value, Some(Value { at: [0, 0, channel], host: right[channel], found: wrong[channel] }));
    let sentence = &broken.verdict()[0];
    let value =
        format!("channel {channel} of its output is {} where this machine has {}", wrong[channel], right[channel]);
    assert!(sentence.contains(&format!("first in {name} (operator {pool}, average_pool2d)")), "{sentence}");
    assert!(sentence.contains(&value), "{sentence}");
    assert!(!broken.agrees());
    let text = broken.to_text(None).expect("text");
    let read = Certificate::from_text(&text).expect("it is read back").0;
    assert_eq!((read.runs, read.operators, read.images), (broken.runs, broken.operators, broken.images));
}

#[test]
fn the_first_other_value_is_found_in_an_output_that_no_answer_holds() {
    let network = preset(Preset::Resnet8, 16, 20, 3);
    let model = Model::parse(&network.blob).expect("a valid blob");
    let input = &network.inputs[0];
    let outputs = tests::outputs::<tests::Reference>(&model, input);
    assert!(outputs[0].len() > 4096, "more than the device has memory for");
    let mut device = Device::open(Box::new(InProcess::start(&network.blob)), Patience::default()).expect("it answers");
    assert_eq!(device.first_other_value(input, 0, &outputs[0]).expect("it answers"), None);
    for index in [0, 1, 1023, 1024, 2500, outputs[0].len() - 1] {
        let mut expected = outputs[0].clone();
        expected[index..].iter_mut().for_each(|value| *value ^= 1);
        let found = device.first_other_value(input, 0, &expected).expect("it answers");
        assert_eq!(found, Some(OtherValue { index, found: outputs[0][index] }));
    }
    let longer = [&outputs[0][..], &[0]].concat();
    let error = device.first_other_value(input, 0, &longer).expect_err("it has not as many").to_string();
    assert!(error.contains("does not have the values"), "{error}");
}

/// A blob, pictures of its classes, and a key.
fn folder() -> (TempDir, [PathBuf; 3]) {
    let dir = tempdir().expect("a temporary folder");
    let [blob, data, key] = ["model.blob", "pictures", "key"].map(|name| dir.path().join(name));
    fs::write(&blob, &*preset(Preset::Shallow, 16, 20, 2).blob).expect("written");
    for class in 0..2_u8 {
        let class_folder = data.join(format!("class {class}"));
        fs::create_dir_all(&class_folder).expect("a folder");
        for index in 0..5 {
            picture(90 * class + index, 20, 16).save(class_folder.join(format!("{index}.png"))).expect("a picture");
        }
    }
    call(&["keygen", text(&key)]).expect("a key");
    (dir, [blob, data, key])
}

fn code(arguments: &[&str]) -> String {
    format!("{:?}", call(arguments).expect("it works"))
}

#[test]
fn a_certificate_of_a_blob_without_a_run_is_made_and_checked_offline() {
    let (dir, [blob, data, key]) = folder();
    let [json, page, again, public, other] =
        ["c.json", "c.html", "again.html", "key.pub", "other"].map(|name| dir.path().join(name));
    let ok = format!("{:?}", std::process::ExitCode::SUCCESS);
    let make = ["certify", text(&blob), "--data", text(&data), "--limit", "8", "--specification", "3"];
    let signed = [&make[..], &["--key", text(&key), "--out", text(&json), "--out", text(&page)]].concat();
    assert_eq!(code(&signed), ok);
    let written = fs::read_to_string(&json).expect("the certificate");
    let (certificate, signer) = Certificate::from_text(&written).expect("it is valid");
    assert!(signer.is_some() && certificate.agrees());
    assert_eq!((certificate.images.len(), certificate.runs[1].images), (8, 3));
    assert!(certificate.limits.iter().any(|limit| limit.contains("float network is not known")), "{certificate:?}");
    let shown = fs::read_to_string(&page).expect("the page");
    assert!(shown.contains(&certificate.model.sha256) && shown.contains("Signed by the key"), "{shown}");

    // Images are known by their bytes, wherever they lie.
    fs::rename(data.join("class 0/1.png"), data.join("class 0/renamed.png")).expect("renamed");
    let check = ["certify", "--verify", text(&json)];
    let whole = [&check[..], &["--model", text(&blob), "--data", text(&data), "--signer", text(&public)]].concat();
    assert_eq!(code(&whole), ok);
    assert_eq!(code(&[&whole[..], &["--json", "--out", text(&again)]].concat()), ok);
    assert_eq!(fs::read(&again).expect("the page"), fs::read(&page).expect("the page"));

    call(&["keygen", text(&other)]).expect("a key");
    let error = refusal(&[&check[..], &["--signer", text(&other.with_extension("pub"))]].concat());
    assert!(error.contains("and not by the key"), "{error}");
    fs::write(&other, &*preset(Preset::Shallow, 16, 20, 3).blob).expect("written");
    let error = refusal(&[&check[..], &["--model", text(&other)]].concat());
    assert!(error.contains("is of a model with the SHA-256"), "{error}");
    fs::remove_file(data.join("class 0/renamed.png")).expect("removed");
    let error = refusal(&whole);
    assert!(error.contains("1 of the certificate's 8 images are not below"), "{error}");

    let changed = written.replacen("\"differing_outputs\": 0", "\"differing_outputs\": 1", 1);
    assert_ne!(changed, written);
    fs::write(&json, changed).expect("written");
    let error = refusal(&check);
    assert!(error.contains("c.json is not valid: the certificate was changed"), "{error}");
}

#[test]
fn a_certificate_whose_bytes_this_machine_does_not_make_misses_the_bound() {
    let (dir, [blob, data, _]) = folder();
    let json = dir.path().join("c.json");
    call(&["certify", text(&blob), "--data", text(&data), "--out", text(&json)]).expect("a certificate");
    let (mut certificate, _) = Certificate::from_text(&fs::read_to_string(&json).expect("written")).expect("valid");
    // As another engine would have written it.
    certificate.runs.iter_mut().for_each(|run| run.checksums[1] = "00000000".to_owned());
    fs::write(&json, certificate.to_text(None).expect("text")).expect("written");
    let check = ["certify", "--verify", text(&json), "--model", text(&blob)];
    assert_eq!(code(&check), format!("{:?}", std::process::ExitCode::SUCCESS));
    let missed = format!("{:?}", std::process::ExitCode::from(2));
    assert_eq!(code(&[&check[..], &["--data", text(&data)]].concat()), missed);
}

#[test]
fn what_cannot_be_certified_is_refused() {
    let (dir, [blob, data, _]) = folder();
    let out = dir.path().join("c.txt");
    let error = refusal(&["certify", text(&blob), "--data", text(&data), "--out", text(&out)]);
    assert!(error.contains("neither a certificate"), "{error}");
    let error = refusal(&["certify", "--verify", text(&blob)]);
    assert!(error.contains("model.blob"), "{error}");
}
