//! Rung 3 of the parity ladder: the MLPerf Tiny models, imported, byte for byte against LiteRT's reference kernels, on
//! this machine and on a Cortex-M4 in QEMU, with the least flash and with any, in whole layers and with the least RAM.

use anyhow::{Result, ensure};
use host_trainer::device;
use libtest_mimic::{Arguments, Trial};
use model_compiler::blob::emit::Limits;
use model_compiler::layout::pack::Constants;
use no_std_infer::kernels::{Armv7em, Generic};
use tests::mlperf::{Bytes, Golden, MODELS, missing};
use tests::needing::trial;
use tests::{Reference, Widest};

/// Inputs that go through the device, in the first way and in each other way: the link takes most of the time, and what the ways
/// differ in, all inputs meet.
const DEVICE_INPUTS: [usize; 2] = [8, 2];
/// The least flash and any, and the same with the least RAM.
const LIMITS: [Limits; 4] = [
    Limits { flash: 0, arena: None, constants: Constants::Packed },
    Limits { flash: usize::MAX, arena: None, constants: Constants::Packed },
    Limits { flash: 0, arena: Some(0), constants: Constants::Packed },
    Limits { flash: usize::MAX, arena: Some(0), constants: Constants::Packed },
];

fn main() {
    let models_missing = missing();
    let mut trials: Vec<Trial> = Vec::new();
    for name in MODELS {
        let test = Trial::test(name, move || on_the_host(name).map_err(|error| format!("{error:?}").into()));
        let kind = models_missing.clone().unwrap_or_default();
        trials.push(test.with_ignored_flag(models_missing.is_some()).with_kind(kind));
        let name_on_device = format!("{name}_on_a_cortex_m4");
        trials.push(match &models_missing {
            Some(reason) => Trial::test(name_on_device, || Ok(())).with_ignored_flag(true).with_kind(reason.clone()),
            None => trial(&name_on_device, &device::missing(), move || on_a_cortex_m4(name)),
        });
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn on_the_host(name: &str) -> Result<()> {
    for limits in LIMITS {
        let golden = Golden::open(name, limits)?;
        // The reference transforms weights back slowly.
        let other = if limits.flash == 0 { golden.compare::<Reference>() } else { golden.compare::<Armv7em>() };
        for [outputs, layers] in [golden.compare::<Generic>()?, golden.compare::<Widest>()?, other?] {
            all_equal(outputs)?;
            all_equal(layers)?;
        }
    }
    Ok(())
}

fn on_a_cortex_m4(name: &str) -> Result<()> {
    for (way, limits) in LIMITS.into_iter().enumerate() {
        let inputs = DEVICE_INPUTS[way.min(1)];
        let (bytes, instructions) = Golden::open(name, limits)?.compare_on_device(inputs)?;
        ensure!(instructions > 0, "the device counts no instructions");
        all_equal(bytes)?;
    }
    Ok(())
}

fn all_equal(bytes: Bytes) -> Result<()> {
    ensure!(bytes.all > 0 && bytes.equal == bytes.all, "only {} of {} bytes are LiteRT's", bytes.equal, bytes.all);
    Ok(())
}
