//! Damaged blobs on the emulated cores: the bytes that the host's oracle gives, or the error that the host gives.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use fuzz::engine::{Outcome, Seeds, Walk};
use host_trainer::device::{Core, Loaded, cargo, missing_for, missing_target};
use libtest_mimic::{Arguments, Trial};
use model_compiler::aligned::Aligned;
use no_std_infer::{CRC32, Model};
use tests::needing::trial;
use tests::operators::{Kind, random};
use tests::stripes;

const CORES: [Core; 5] = [Core::M0Plus, Core::M3, Core::M4, Core::M33, Core::M55];
const RISCV: &str = "riscv32imac-unknown-none-elf";
const RISCV_QEMU: &str = "qemu-system-riscv32";
/// Damaged blobs.
const BLOBS: usize = 5_000;
/// How many a line of the firmware speaks of.
const LINE: usize = 250;
/// Longest arena that the firmware has.
const ARENA_MAX: usize = 128 << 10;
/// Cases of each operator that damage begins with, and how many of them.
const CASES: u64 = 60;
const SEEDS_EACH: usize = 10;

fn main() {
    let mut trials: Vec<Trial> = Vec::new();
    for core in CORES {
        trials.push(trial(core.title(), &missing_for(core), move || arm(core)));
    }
    let emulator = Command::new(RISCV_QEMU).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let missing = (!emulator.is_ok_and(|status| status.success())).then(|| format!("install {RISCV_QEMU}"));
    trials.push(trial("RISC-V", &missing.or_else(|| missing_target(RISCV)), riscv));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Damaged blobs as firmware reads them, and what it is to print of them.
struct Mutants {
    memory: Vec<u8>,
    expected: String,
}

fn arm(core: Core) -> Result<()> {
    let firmware = Loaded::build("mutants", core)?;
    let run = |memory: &[u8]| firmware.run(memory, &[]);
    compare(core.kernels(), run)?;
    if core == CORES[0] { differs(run) } else { Ok(()) }
}

fn riscv() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-example");
    let target = folder.join("target/riscv");
    let mut build = cargo(&folder);
    build.args(["build", "--release", "--package", "virt", "--target", RISCV, "--target-dir"]).arg(&target);
    ensure!(build.status().context("cargo cannot be run")?.success(), "the firmware does not compile");
    let program = target.join(RISCV).join("release/virt");
    compare("armv7m", |memory| {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), memory)?;
        let mut emulator = Command::new(RISCV_QEMU);
        emulator
            .args(["-machine", "virt", "-bios", "none", "-display", "none", "-serial", "stdio", "-monitor", "none"]);
        emulator.arg("-kernel").arg(&program).arg("-device");
        emulator.arg(format!("loader,file={},addr=0x81000000,force-raw=on", file.path().display()));
        let output = emulator.stdin(Stdio::null()).output().with_context(|| RISCV_QEMU.to_owned())?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    })
}

fn once() -> &'static Mutants {
    static MUTANTS: OnceLock<Mutants> = OnceLock::new();
    MUTANTS.get_or_init(mutants)
}

/// Compares what firmware prints with what it is to print.
fn compare(kernels: &str, run: impl Fn(&[u8]) -> Result<String>) -> Result<()> {
    let Mutants { memory, expected } = once();
    let expected = format!("{expected}with {kernels}\n");
    let printed = run(memory)?.replace('\r', "");
    let differ = printed.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
    ensure!(printed == expected, "line {differ:?}, of {LINE} blobs each:\n{printed}instead of\n{expected}");
    Ok(())
}

/// What firmware prints of blobs one of which is another differs in its line: the comparison can fail.
fn differs(run: impl Fn(&[u8]) -> Result<String>) -> Result<()> {
    let Mutants { memory, expected } = once();
    let mut other = memory.clone();
    other[16 + 12] ^= 1;
    let printed = run(&other)?.replace('\r', "");
    let differ = printed.lines().zip(expected.lines()).next().is_some_and(|(found, expected)| found != expected);
    ensure!(differ, "a blob with another checksum makes no difference");
    Ok(())
}

fn mutants() -> Mutants {
    let kinds = |seed| Kind::ALL.map(|kind| random(kind, seed).blob).into_iter().chain([stripes::random(seed).stripes]);
    let blobs: Vec<Aligned<u8>> = (1..=CASES).flat_map(kinds).collect();
    let seeds = Seeds::choose(blobs.iter().map(|blob| &**blob), SEEDS_EACH);
    let (mut memory, mut expected) = (Vec::new(), String::new());
    let (mut blobs, mut ran, mut digest) = (0, 0, CRC32.digest());
    for number in 0.. {
        let mut walk = Walk::new(&seeds, number);
        for _ in 0..64 {
            walk.step();
            let outcome = walk.check();
            if outcome == Outcome::Parsed || !fits(walk.blob()) {
                continue;
            }
            blobs += 1;
            memory.extend((walk.blob().len() as u128).to_le_bytes());
            memory.extend(walk.blob());
            memory.resize(memory.len().next_multiple_of(16), 0);
            match outcome {
                Outcome::Refused(error) => digest.update(format!("{error:?}").as_bytes()),
                _ => {
                    ran += 1;
                    digest.update(&outputs(walk.blob(), blobs));
                }
            }
            if blobs % LINE == 0 {
                let line = std::mem::replace(&mut digest, CRC32.digest()).finalize();
                let _ = writeln!(expected, "digest {line:08x}");
            }
            if blobs == BLOBS {
                memory.extend([0; 16]);
                assert!(ran * 5 > blobs && ran < blobs, "{ran} of {blobs} blobs run");
                let _ = writeln!(expected, "digest {:08x}\n{blobs} blobs, {ran} ran", digest.finalize());
                return Mutants { memory, expected };
            }
        }
    }
    unreachable!("there are blobs enough")
}

/// True where the firmware has an arena for it, or it is no model.
fn fits(blob: &[u8]) -> bool {
    Model::parse(&Aligned::copy_of(blob)).map_or(true, |model| model.arena_len() <= ARENA_MAX)
}

/// What the oracle makes of the input that the firmware gives the blob of this number.
fn outputs(blob: &[u8], number: usize) -> Vec<u8> {
    let blob = Aligned::copy_of(blob);
    let model = Model::parse(&blob).expect("it ran");
    let len = model.info().input.tensor.len() as u32;
    let input: Vec<i8> = (number as u32..).take(len as usize).map(|index| index.wrapping_mul(37) as i8).collect();
    oracle::outputs(&model, &input).concat().into_iter().map(|value| value as u8).collect()
}
