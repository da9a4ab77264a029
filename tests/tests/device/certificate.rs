//! A certificate of two emulated cores, by the command.

use std::fs;

use anyhow::{Result, ensure};
use host_trainer::report::certificate::{Certificate, Costs, Place};
use image::RgbImage;
use tests::processes::call;
use tests::residual;

use crate::BLOB;

/// Pictures of each of the blob's five classes.
const PICTURES: u64 = 2;

pub fn two_cores_are_certified_by_the_command() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    fs::write(at("model.blob"), &**BLOB)?;
    for class in 0..5 {
        let below = at("pictures").join(format!("class {class}"));
        fs::create_dir_all(&below)?;
        for picture in 0..PICTURES {
            let pixels =
                residual::picture(PICTURES * class + picture, 20 * 24 * 3).iter().map(|&value| value as u8).collect();
            let pixels = RgbImage::from_raw(20, 24, pixels).expect("there are as many bytes");
            pixels.save(below.join(format!("{picture}.png")))?;
        }
    }
    let [blob, pictures, out] = ["model.blob", "pictures", "c.json"].map(|name| at(name).display().to_string());
    let links = ["--link", "qemu", "--link", "qemu-m55"];
    let make = ["certify", &blob, "--data", &pictures, "--specification", "2", "--out", &out];
    call(&[&make[..], &links].concat())?;
    let (certificate, _) = Certificate::from_text(&fs::read_to_string(&out)?)?;
    let places: Vec<Place> = certificate.runs.iter().map(|run| run.place).collect();
    ensure!(places == [Place::Host, Place::Specification, Place::Emulator, Place::Emulator], "{places:?}");
    let [host, _, first, second] = &certificate.runs[..] else { anyhow::bail!("four runs") };
    for run in [first, second] {
        ensure!(run.images == 5 * PICTURES as usize && run.checksums == host.checksums, "{run:?}");
        ensure!(
            run.differing_outputs == 0 && run.first_difference.is_none() && run.firmware_sha256.is_some(),
            "{run:?}"
        );
        let counts = |costs: &Costs| costs.unit == "instructions" && costs.network[0] > 0;
        ensure!(run.costs.as_ref().is_some_and(counts), "{run:?}");
    }
    ensure!((first.link.as_str(), second.link.as_str()) == ("qemu", "qemu-m55"), "{} and {}", first.link, second.link);
    ensure!(
        first.firmware_sha256 != second.firmware_sha256 && first.kernels != second.kernels,
        "{first:?} and {second:?}"
    );
    let engines: Vec<&str> = certificate.accuracy.splits[0].engines.iter().map(|engine| engine.name.as_str()).collect();
    ensure!(engines == ["int8", "qemu", "qemu-m55"], "{engines:?}");
    call(&["certify", "--verify", &out, "--model", &blob, "--data", &pictures])
}
