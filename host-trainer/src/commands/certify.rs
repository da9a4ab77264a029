//! `certify`: a document that a model computes the same bytes here, in an emulator and on boards; and checking one.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use ed25519_dalek::VerifyingKey;
use model_training::data::dataset::{Dataset, Images, Loaded, Reading};
use model_training::data::progress;
use model_training::data::record::Record;
use model_training::measure::evaluate::{class_names, input_config, parse, read_blob};
use model_training::run::folder::RunDir;
use model_training::system::hexadecimal::hexadecimal;
use model_training::system::terminal::escaped;
use model_training::system::{atomic, read};
use no_std_infer::Model;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::arguments::{CostArgs, ReadingArgs};
use super::{BOUND_MISSED, refuse_overwriting};
use crate::device::keys::{exposure, read_key, read_public_key};
use crate::device::signing::fingerprint;
use crate::device::{Device, Link};
use crate::report::certificate::{Certificate, Pictures, Subject, Tested, certify, check_blob, check_images};
use crate::report::pages;
use crate::report::parity::thin;

#[derive(Debug, Args)]
pub(super) struct CertifyArgs {
    /// The blob, or the folder that `train` made: then accuracy is compared with the float network's, too.
    #[arg(value_name = "RUN|BLOB", required_unless_present = "verify")]
    model: Option<PathBuf>,
    /// Check this certificate: that nobody has changed it, and with `--model` and `--data` that this machine computes what it says.
    #[arg(long, value_name = "FILE.json", conflicts_with_all = ["model", "link", "key", "limit", "specification", "view"])]
    verify: Option<PathBuf>,
    /// Folder of images in the model's classes. Those that a run was trained on are left out.
    #[arg(long, value_name = "DIR", required_unless_present = "verify")]
    data: Option<PathBuf>,
    /// A device that runs the model: `qemu` (a Cortex-M4 that is emulated), `qemu:FILE` (the same, with the model that `flash` has
    /// put into the file), `serial:PORT` or `serial:PORT@BAUD`. May be given several times; without it there is this machine alone.
    #[arg(long)]
    link: Vec<Link>,
    /// File for the certificate (`.json`), or for a page that shows it (`.html`). May be given twice.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["verify", "json"])]
    out: Vec<PathBuf>,
    /// File with the private key to sign with, made by `keygen`.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Run at most this many images of each split, spread over it.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Run at most so many images by the specification as well, which takes its time: naive loops, the reference of all kernels.
    #[arg(long, value_name = "N", default_value_t = 16)]
    specification: usize,
    /// With `--verify`: the blob that the certificate is to be of.
    #[arg(long = "model", value_name = "BLOB", requires = "verify", id = "blob")]
    blob: Option<PathBuf>,
    /// With `--verify`: file with the public key that must have signed it.
    #[arg(long, value_name = "FILE.pub", requires = "verify")]
    signer: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadingArgs,
    #[command(flatten)]
    cost: CostArgs,
    /// Print the certificate; with `--verify` what was found.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CertifyArgs) -> Result<ExitCode> {
    match (&args.verify, &args.model, &args.data) {
        (Some(path), ..) => verify(args, path),
        (None, Some(model), Some(data)) => make(args, model, data),
        _ => bail!("name a run or a blob, and `--data`"),
    }
}

fn make(args: &CertifyArgs, path: &Path, data: &Path) -> Result<ExitCode> {
    let (run, path) = RunDir::or_blob(path);
    check_outs(args, &path)?;
    let key = args.key.as_deref().map(read_key).transpose()?;
    args.key.as_deref().and_then(exposure).iter().for_each(|note| tracing::warn!("{note}"));
    let blob = read_blob(&path)?;
    let model = parse(&blob, &path)?;
    args.cost.check(&model)?;
    let graph = run.as_ref().map(RunDir::graph).transpose()?;
    let (dataset, loaded, unseen) = load(args, data, &model, &path)?;
    let samples = [&dataset.train, &dataset.valid, &dataset.test];
    let splits = loaded.splits().zip(samples).filter(|((_, images), _)| !images.is_empty());
    let splits: Vec<_> = splits.map(|((name, images), samples)| Pictures { name, images, samples }).collect();
    ensure!(
        !splits.is_empty(),
        "{} has no image but those that the model was trained on, which say little: give others",
        data.display()
    );
    let mut devices = connect(args, &blob)?;
    let subject =
        Subject { blob: &blob, model: &model, graph: graph.as_ref(), splits, view: args.reading.view, unseen };
    let certificate = certify(&subject, args.specification, &mut devices)?;
    let text = certificate.to_text(key.as_ref())?;
    write(args, &certificate, &text, key.map(|key| key.verifying_key()).as_ref())?;
    if args.json {
        print!("{text}");
    } else {
        print(&certificate);
        args.out.iter().for_each(|out| println!("{}", out.display()));
    }
    Ok(code(&certificate))
}

/// Reads the images but those that the model was trained on; whether these are known.
fn load(args: &CertifyArgs, data: &Path, model: &Model<'_>, path: &Path) -> Result<(Dataset, Loaded, bool)> {
    let input = input_config(model, path)?;
    let mut dataset = args.reading.open(data, &class_names(model))?;
    let record = Record::beside(path, model.info().provenance.dataset)?;
    if let Some(record) = &record {
        record.expect(&mut dataset);
        dataset.train.clear();
    } else {
        dataset.take_groups(data)?;
    }
    if let Some(limit) = args.limit {
        [&mut dataset.train, &mut dataset.valid, &mut dataset.test].into_iter().for_each(|split| thin(split, limit));
    }
    let mut loaded = progress::load(&mut dataset, &Reading::all(&input, args.reading.view))?;
    if let Some(record) = &record {
        loaded = record.sort(&mut dataset, loaded)?;
        // Under other names.
        dataset.train.clear();
        loaded.train = Images::new(loaded.test.shape);
    }
    Ok((dataset, loaded, record.is_some()))
}

/// Refuses names of files that say nothing, or are those of the model or the certificate that is read.
fn check_outs(args: &CertifyArgs, read: &Path) -> Result<()> {
    for out in &args.out {
        let known = ["json", "html"].map(OsStr::new).into_iter().any(|known| out.extension() == Some(known));
        ensure!(known, "--out {} is neither a certificate, `.json`, nor a page of one, `.html`", out.display());
        refuse_overwriting(read, out, "--out")?;
    }
    Ok(())
}

fn connect(args: &CertifyArgs, blob: &[u8]) -> Result<Vec<Tested>> {
    let mut devices = Vec::new();
    for link in &args.link {
        let Some(opened) = link.open(blob)? else { continue };
        let firmware = opened.firmware.map(|elf| {
            let bytes = read::bytes(&elf, read::MODEL).with_context(|| format!("cannot read {}", elf.display()))?;
            Ok::<_, anyhow::Error>(hexadecimal(&Sha256::digest(bytes)))
        });
        let device = Device::with_model(opened.transport, blob)?;
        devices.push(Tested { link: link.to_string(), firmware: firmware.transpose()?, device });
    }
    Ok(devices)
}

/// Writes the certificate, and pages of it.
fn write(args: &CertifyArgs, certificate: &Certificate, text: &str, signer: Option<&VerifyingKey>) -> Result<()> {
    for out in &args.out {
        if out.extension() == Some(OsStr::new("html")) {
            let signer = signer.map(|key| fingerprint(key.as_bytes()));
            atomic::write(out, pages::certificate(certificate, signer.as_deref()).as_bytes())?;
        } else {
            atomic::write(out, text.as_bytes())?;
        }
    }
    Ok(())
}

fn print(certificate: &Certificate) {
    certificate.verdict().iter().for_each(|sentence| println!("{}", escaped(sentence)));
    println!("\n{}\n", certificate.accuracy.accuracy_text());
    certificate.limits.iter().for_each(|limit| println!("{}", escaped(limit)));
}

/// Whether a byte differs is the bound of this command.
fn code(certificate: &Certificate) -> ExitCode {
    if certificate.agrees() {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: not every byte is this machine's");
    BOUND_MISSED.into()
}

/// What checking a certificate has found.
#[derive(Serialize)]
struct Checked {
    /// Fingerprint of the key that signed it.
    signer: Option<String>,
    /// Whether it says that every byte agrees.
    agrees: bool,
    /// Whether the blob is the certificate's, where one was given; another is an error.
    blob: Option<bool>,
    /// Whether this machine makes the bytes that the certificate says it makes, where it was tried.
    recomputed: Option<bool>,
    verdict: Vec<String>,
}

fn verify(args: &CertifyArgs, path: &Path) -> Result<ExitCode> {
    check_outs(args, path)?;
    let shown = path.display();
    let text = read::text(path, read::DATA).with_context(|| format!("cannot read the certificate {shown}"))?;
    let (certificate, key) = Certificate::from_text(&text).with_context(|| format!("{shown} is not valid"))?;
    let signer = key.map(|key| fingerprint(key.as_bytes()));
    if let Some(expected) = &args.signer {
        let expected = read_public_key(expected)?;
        ensure!(
            key == Some(expected),
            "{shown} is signed by {}, and not by the key {}",
            signer.as_deref().unwrap_or("nobody"),
            fingerprint(expected.as_bytes())
        );
    }
    let other = recompute(args, &certificate)?;
    write(args, &certificate, &text, key.as_ref())?;
    let layer =
        other.flatten().map(|operator| format!("{} (operator {operator})", certificate.operators[operator].layer));
    let checked = Checked {
        signer,
        agrees: certificate.agrees(),
        blob: args.blob.as_ref().map(|_| true),
        recomputed: other.map(|other| other.is_none()),
        verdict: certificate.verdict(),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&checked)?);
    } else {
        checked.print(&certificate);
    }
    if let Some(layer) = layer {
        eprintln!("error: this machine makes other bytes than the certificate says, first in {}", escaped(&layer));
        return Ok(BOUND_MISSED.into());
    }
    Ok(code(&certificate))
}

/// Computes this machine's bytes again where blob and images were given; the first operator that makes others.
fn recompute(args: &CertifyArgs, certificate: &Certificate) -> Result<Option<Option<usize>>> {
    let Some(path) = &args.blob else {
        ensure!(args.data.is_none(), "--data needs --model: the blob that the images are to go through");
        return Ok(None);
    };
    let blob = read_blob(path)?;
    check_blob(certificate, &blob)?;
    let model = parse(&blob, path)?;
    args.cost.check(&model)?;
    let ops = usize::from(model.info().ops);
    ensure!(certificate.operators.len() == ops, "the certificate's layers are not those of {}", path.display());
    let Some(data) = &args.data else { return Ok(None) };
    let dataset = args.reading.open(data, &class_names(&model))?;
    Ok(Some(check_images(certificate, &model, &input_config(&model, path)?, dataset)?))
}

impl Checked {
    fn print(&self, certificate: &Certificate) {
        match &self.signer {
            Some(key) => println!("signed by the key {key}, and not changed since"),
            None => println!("not signed: it is not damaged, and anybody may have written it"),
        }
        if self.blob.is_some() {
            println!("the blob is the certificate's: SHA-256 {}", escaped(&certificate.model.sha256));
        }
        if self.recomputed == Some(true) {
            println!("this machine makes the same bytes for all {} images", certificate.images.len());
        }
        println!();
        print(certificate);
    }
}
