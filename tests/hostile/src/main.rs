//! Runs each blob in a folder, and damaged copies of it: `hostile FOLDER COPIES`. `hostile overrun` reads a byte behind
//! an arena, which a sanitiser must find.

use std::path::Path;
use std::process::ExitCode;

use fastrand::Rng;
use hostile::{Outcome, check, mutant};
use no_std_infer::Error;
use no_std_infer::format::ALIGN;

/// Where the arena's length stands in the header.
const ARENA_LEN: std::ops::Range<usize> = 16..20;
/// Damaged blobs that take more operations are not run.
const OPERATIONS: u64 = 1_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [command] if command == "overrun" => {
            println!("read {}", overrun());
            ExitCode::SUCCESS
        }
        [folder, copies] => {
            let [ran, refused] = run(Path::new(folder), copies.parse().expect("the number of copies"));
            println!("{}-bit usize: {ran} damaged blobs ran, {refused} were refused", usize::BITS);
            // Damage that never gets far, or never matters, shows nothing.
            if ran.min(refused) * 20 > ran + refused { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        _ => {
            eprintln!("usage: hostile FOLDER COPIES | hostile overrun");
            ExitCode::FAILURE
        }
    }
}

/// How many damaged copies ran, and how many were refused.
fn run(folder: &Path, copies: u64) -> [usize; 2] {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    files.sort();
    let mut counts = [0; 2];
    for (seed, file) in files.iter().enumerate() {
        let blob = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(check(&exact(&blob), u64::MAX), Outcome::Ran, "{}", file.display());
        for copy in 0..copies {
            let mut rng = Rng::with_seed((seed as u64) << 32 | copy);
            let mutant = mutant(&blob, &mut rng);
            let outcome = std::panic::catch_unwind(move || outcome(mutant));
            match outcome.unwrap_or_else(|_| panic!("{}, copy {copy}", file.display())) {
                Outcome::Ran => counts[0] += 1,
                Outcome::Refused(_) => counts[1] += 1,
                Outcome::Parsed => {}
            }
        }
    }
    counts
}

/// Checks a blob, and again with an arena as long as it needs where that is all that is wrong.
fn outcome(mut blob: Vec<u8>) -> Outcome {
    match check(&exact(&blob), OPERATIONS) {
        Outcome::Refused(Error::ArenaMismatch { needed }) => {
            blob[ARENA_LEN].copy_from_slice(&needed.to_le_bytes());
            hostile::repair(&mut blob);
            check(&exact(&blob), OPERATIONS)
        }
        outcome => outcome,
    }
}

/// A copy that ends where its memory does, at a multiple of 16.
fn exact(blob: &[u8]) -> Box<[u8]> {
    let copy: Box<[u8]> = blob.into();
    assert!((copy.as_ptr() as usize).is_multiple_of(ALIGN), "the allocator's memory begins at multiples of 16");
    copy
}

/// The byte behind an arena.
#[allow(unsafe_code)]
fn overrun() -> i8 {
    let arena = std::hint::black_box(vec![0_i8; 64]);
    // SAFETY: none. It is read on purpose, to show that a sanitiser looks.
    unsafe { *arena.as_ptr().add(arena.len()) }
}
