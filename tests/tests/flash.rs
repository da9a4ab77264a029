//! Other models for the camera application in QEMU, over its link: they run, survive a restart, and what is refused changes
//! nothing.

use std::path::Path;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use host_trainer::commands::{Cli, run};
use host_trainer::device::keys::{generate, read_key};
use host_trainer::device::signing::sign;
use host_trainer::device::{
    Device, DeviceParity, Emulated, Faulty, Link, Patience, Transport, build_app, check_update, missing,
};
use libtest_mimic::{Arguments, Trial};
use model_compiler::aligned::Aligned;
use model_compiler::blob::{repair_crc, with_sections};
use model_training::measure::evaluate::{infer, read_blob};
use no_std_device::link::{Failure, Identity, Message, Receiver, Request, Update, UpdateError, decode};
use no_std_infer::Model;
use no_std_infer::format::section;
use tests::needing::trial;
use tests::residual;

static BLOBS: LazyLock<[Aligned<u8>; 2]> =
    LazyLock::new(|| [1, 2].map(|seed| residual::blob(seed).expect("a small network can be exported")));

fn main() {
    let missing = missing();
    let test = |name: &str, test: fn() -> Result<()>| trial(name, &missing, test);
    let trials: Vec<Trial> = vec![
        test("a_flashed_model_runs_and_survives_a_restart", a_flashed_model_runs_and_survives_a_restart),
        test(
            "what_is_not_confirmed_falls_back_after_three_starts",
            what_is_not_confirmed_falls_back_after_three_starts,
        ),
        test("what_is_refused_leaves_the_model_that_runs", what_is_refused_leaves_the_model_that_runs),
        test("with_a_key_only_newer_models_of_its_owner_run", with_a_key_only_newer_models_of_its_owner_run),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Switches the application on, with this file as its flash.
fn boot(flash: &Path, key: Option<&Path>) -> Result<Device> {
    open(Emulated::boot_app(&build_app(key)?, flash, None)?)
}

fn open(transport: impl Transport + 'static) -> Result<Device> {
    Device::open(Box::new(transport), Patience::default())
}

/// Checks that the device runs this blob and gives this machine's bytes.
fn runs(device: &mut Device, blob: &[u8]) -> Result<()> {
    let model = Model::parse(blob)?;
    device.expect(blob)?;
    let mut parity = DeviceParity::new(device);
    for seed in 0..3 {
        let input = residual::picture(seed, model.info().input.tensor.len());
        let expected = infer(&model, &mut Aligned::new(model.arena_len()), &input);
        parity.compare(device, &input, &expected)?;
    }
    ensure!(parity.compared_bytes > 0 && parity.differing_bytes == 0, "{parity}");
    Ok(())
}

fn a_flashed_model_runs_and_survives_a_restart() -> Result<()> {
    let [first, second] = &*BLOBS;
    let dir = tempfile::tempdir()?;
    let (flash, path) = (dir.path().join("flash.bin"), dir.path().join("first.blob"));
    std::fs::write(&path, &first[..])?;
    let link = format!("qemu:{}", flash.display());
    let arguments = ["host-trainer", "flash", path.to_str().context("UTF-8")?, "--link", &link];
    ensure!(run(Cli::try_parse_from(arguments)?)? == ExitCode::SUCCESS);
    runs(&mut boot(&flash, None)?, first)?;
    let transport = link.parse::<Link>()?.transport(first)?.context("a link to the flash that was made")?;
    drop(Device::with_model(transport, first)?);

    let (faulty, suffered) = Faulty::new(Emulated::boot_app(&build_app(None)?, &flash, None)?, 5, 0.1);
    let mut device = open(faulty)?;
    device.update(second, |_| ())?;
    runs(&mut device, second)?;
    ensure!(suffered.get() > 0 && device.faults().repeats() > 0, "nothing was injected: {}", device.faults());
    drop(device);
    runs(&mut boot(&flash, None)?, second)
}

/// A device whose power fails when it is about to be told that its new model has proved itself.
struct Unconfirmed(Emulated);

impl Transport for Unconfirmed {
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        // Longer messages are errors, and none of them is the one.
        let mut memory = heapless::Vec::<u8, 64>::new();
        let mut receiver = Receiver::new(&mut memory);
        for &byte in bytes {
            let message = receiver.push(byte).and_then(Result::ok).map(decode);
            let confirms = matches!(message, Some(Ok(Message { body: Request::Update(Update::Confirm), .. })));
            ensure!(!confirms, "the power fails");
        }
        self.0.send(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize> {
        self.0.receive(buffer, patience)
    }
}

fn what_is_not_confirmed_falls_back_after_three_starts() -> Result<()> {
    let [first, second] = &*BLOBS;
    let dir = tempfile::tempdir()?;
    let flash = dir.path().join("flash.bin");
    boot(&flash, None)?.update(first, |_| ())?;
    let mut device = open(Unconfirmed(Emulated::boot_app(&build_app(None)?, &flash, None)?))?;
    let error = device.update(second, |_| ()).err().context("the power was to fail")?;
    ensure!(format!("{error:#}").contains("the power fails"), "{error:#}");
    drop(device);
    // The switch was the first of its starts.
    for start in 2..=3 {
        let mut device = boot(&flash, None)?;
        ensure!(device.is_tentative(), "start {start}");
        runs(&mut device, second)?;
    }
    // As docs/updating.md says: marks for all three attempts, and none of those behind them.
    let (bytes, digest) = (std::fs::read(&flash)?, Identity::of(second, &|| ()).sha256);
    let mut records = bytes.chunks(1 << 20).filter_map(|slot| slot.first_chunk::<256>());
    let record = records.find(|record| record[12..44] == digest).context("it has a record")?;
    ensure!(record[64..160].chunks(32).all(|mark| mark != [0xFF; 32]) && record[160..224] == [0xFF; 64]);
    for start in 4..=5 {
        let mut device = boot(&flash, None)?;
        ensure!(!device.is_tentative(), "start {start}");
        runs(&mut device, first)?;
    }
    let mut device = boot(&flash, None)?;
    device.update(second, |_| ())?;
    drop(device);
    let mut device = boot(&flash, None)?;
    ensure!(!device.is_tentative(), "the host has confirmed it");
    runs(&mut device, second)
}

fn what_is_refused_leaves_the_model_that_runs() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let shipped = read_blob(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/faces.blob"))?;
    let mut device = boot(&dir.path().join("flash.bin"), None)?;
    let blob = &BLOBS[0];
    let weights = Model::parse(blob)?.weights().as_ptr() as usize - blob.as_ptr() as usize;
    let changed = |at: usize| {
        let mut changed = blob.clone();
        changed[at] ^= 2;
        repair_crc(&mut changed);
        changed
    };
    let mut damaged = blob.clone();
    damaged[weights] ^= 2;
    let long = vec![0; 2 << 20];
    let untested = with_sections(blob, &[section::GOLDEN], Vec::new())?;
    let slot = device.description().slots.context("the application has slots")?.len;
    let cases: [(&[u8], UpdateError); 6] = [
        (&damaged, UpdateError::Crc),
        (&changed(4), UpdateError::Version(6)),
        (&changed(20), UpdateError::Parse),
        (&changed(weights), UpdateError::SelfTest),
        (&untested, UpdateError::NoGolden),
        (&long, UpdateError::Length { slot }),
    ];
    for (blob, why) in cases {
        refuses(&mut device, blob, why)?;
        runs(&mut device, &shipped)?;
    }
    Ok(())
}

fn refuses(device: &mut Device, blob: &[u8], why: UpdateError) -> Result<()> {
    let error = device.update(blob, |_| ()).err().with_context(|| format!("{why:?} was expected"))?;
    ensure!(error.downcast_ref() == Some(&Failure::Update(why)), "{error:#} where {why:?} was expected");
    Ok(())
}

fn with_a_key_only_newer_models_of_its_owner_run() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let [owner, stranger] = ["owner.key", "stranger.key"].map(|name| dir.path().join(name));
    let (public, _) = generate(&owner, false)?;
    generate(&stranger, false)?;
    let [owner, stranger] = [read_key(&owner)?, read_key(&stranger)?];
    let [first, second] = &*BLOBS;
    let flash = dir.path().join("flash.bin");
    let mut device = boot(&flash, Some(&public))?;
    let newer = sign(first, &owner, 7)?;
    device.update(&newer, |_| ())?;
    runs(&mut device, &newer)?;

    let number = |found| UpdateError::Number { found, floor: 7 };
    let mut forged = sign(second, &owner, 8)?;
    let name = forged.windows(6).position(|bytes| bytes == b"random").context("the model's name")?;
    forged[name] ^= 1;
    repair_crc(&mut forged);
    let cases: [(&[u8], UpdateError); 5] = [
        (second, UpdateError::Unsigned),
        (&sign(second, &stranger, 8)?, UpdateError::OtherKey),
        (&forged, UpdateError::Signature),
        (&sign(second, &owner, 7)?, number(7)),
        (&sign(second, &owner, 6)?, number(6)),
    ];
    for (blob, why) in cases {
        refuses(&mut device, blob, why)?;
        // The host knows before it sends anything.
        let model = Model::parse(blob);
        let error = model.map_or(Ok(()), |model| check_update(blob, &model, device.description())).err();
        ensure!(error.is_some_and(|error| error.to_string().contains(&why.to_string())), "{why:?} on the host");
    }
    drop(device);
    let mut device = boot(&flash, Some(&public))?;
    runs(&mut device, &newer)?;
    let next = sign(second, &owner, 8)?;
    device.update(&next, |_| ())?;
    runs(&mut device, &next)
}
