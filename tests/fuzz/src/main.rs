//! Runs a fuzzer: see [`USAGE`].

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use fastrand::Rng;
use fuzz::campaign::Campaign;
use fuzz::engine::{self, Outcome, Seeds};
use fuzz::{device, frames};

const USAGE: &str = "\
fuzz engine FOLDER    damaged blobs made of those in a folder, on every kernel set
fuzz device           devices in conversation, whose power fails
fuzz frames           frames of the link, whole and damaged
fuzz whole FOLDER     the blobs of the folder as they are
fuzz check FILE       one blob
fuzz overrun          reads a byte behind an arena, which a sanitiser must find

--seconds S, --executions N: ends after so much time or so many (default: 60 s)
--first N: number of the first episode (default: 0); with --executions 1, only that one
--threads N (default: 1)
--least N: what has to be seen so often, or it fails (default: 1)";

/// Seeds for each kernel.
const SEEDS_EACH: usize = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let passed = match &arguments[..] {
        ["engine", folder, options @ ..] => engine(Path::new(folder), &campaign(options)),
        ["device", options @ ..] => campaign(options).run(device::episode),
        ["frames", options @ ..] => campaign(options).run(frames::episode),
        ["whole", folder] => whole(Path::new(folder)),
        ["check", file] => check(Path::new(file)),
        ["overrun"] => {
            println!("read {}", overrun());
            true
        }
        _ => {
            eprintln!("{USAGE}");
            false
        }
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the options ask for.
fn campaign(options: &[&str]) -> Campaign {
    let (mut seconds, mut executions, mut first, mut threads, mut least) = (None, None, 0, 1, 1);
    let (pairs, rest) = options.as_chunks();
    assert!(rest.is_empty(), "{USAGE}");
    for &[name, value] in pairs {
        let value: u64 = value.parse().unwrap_or_else(|error| panic!("{name} {value}: {error}"));
        match name {
            "--seconds" => seconds = Some(value),
            "--executions" => executions = Some(value),
            "--first" => first = value,
            "--threads" => threads = value as usize,
            "--least" => least = value,
            _ => panic!("{USAGE}"),
        }
    }
    let seconds = seconds.unwrap_or(if executions.is_some() { u64::MAX } else { 60 });
    Campaign { first, time: Duration::from_secs(seconds), executions: executions.unwrap_or(u64::MAX), threads, least }
}

fn engine(folder: &Path, campaign: &Campaign) -> bool {
    let blobs = blobs(folder);
    let seeds = Seeds::choose(blobs.iter().map(|blob| &**blob), SEEDS_EACH);
    println!("{} seeds of {} blobs, {}-bit usize", seeds.count(), blobs.len(), usize::BITS);
    campaign.run(|number, counts| engine::episode(&seeds, number, counts))
}

fn whole(folder: &Path) -> bool {
    let blobs = blobs(folder);
    let mut rng = Rng::with_seed(0);
    let ran = blobs.iter().filter(|blob| engine::check(blob, u64::MAX, &mut rng) == Outcome::Ran).count();
    println!("{ran} of {} blobs ran", blobs.len());
    ran == blobs.len() && ran > 0
}

fn check(file: &Path) -> bool {
    println!("{:?}", engine::check(&read(file), u64::MAX, &mut Rng::with_seed(0)));
    true
}

/// The files of a folder, in the order of their names.
fn blobs(folder: &Path) -> Vec<Box<[u8]>> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

fn read(file: &Path) -> Box<[u8]> {
    std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).into()
}

/// The byte behind an arena.
#[allow(unsafe_code)]
fn overrun() -> i8 {
    let arena = std::hint::black_box(vec![0_i8; 64]);
    // SAFETY: none. It is read on purpose, to show that a sanitiser looks.
    unsafe { *arena.as_ptr().add(arena.len()) }
}
