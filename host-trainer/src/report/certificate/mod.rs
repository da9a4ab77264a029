//! A certificate: that a model computes the same bytes here, in an emulator and on boards, layer by layer, as a document that
//! can be signed and checked offline. `docs/certificate.md` explains its entries.

mod make;
mod seal;
mod verify;
mod words;

use anyhow::{Context, Result, ensure};
use ed25519_dalek::{SigningKey, VerifyingKey};
use model_training::data::dataset::View;
use model_training::measure::comparison::Comparison;
use model_training::measure::trace::{Checksums, joined};
use serde::{Deserialize, Serialize};

pub use make::{Pictures, Subject, Tested, certify};
pub use verify::{check_blob, check_images};
pub(super) use words::named;

use crate::device::signing::Signer;

/// Version of the document: a program reads those of its own only.
pub const VERSION: u32 = 1;

/// What was computed, where, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// [`VERSION`].
    pub version: u32,
    /// When it was made, in Greenwich: `2026-02-03T04:05:06Z`.
    pub date: String,
    /// The command that made it, as a person would type it.
    pub command: String,
    /// Version of the program that made it.
    pub program: String,
    /// SHA-256 of the engine's sources that the program was compiled of.
    pub engine_sha256: String,
    /// The model.
    pub model: Facts,
    /// What is seen of each image.
    pub view: View,
    /// The images, in the order in which they were run.
    pub images: Vec<Image>,
    /// The model's operators, in the order in which they run.
    pub operators: Vec<Operator>,
    /// Where the model has run; the first is this machine.
    pub runs: Vec<Run>,
    /// How many images are put into their class by each.
    pub accuracy: Comparison,
    /// What was not measured, and what this does not prove, a sentence each.
    pub limits: Vec<String>,
}

/// What a model is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Its name.
    pub name: String,
    /// SHA-256 of the blob.
    pub sha256: String,
    /// Length of the blob.
    pub bytes: usize,
    /// Length of the memory that it works in.
    pub arena_bytes: usize,
    /// Products of weights and inputs in a run.
    pub products: u64,
    /// Who signed the blob, where somebody has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signer: Option<Signer>,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its path in the folder.
    pub name: String,
    /// SHA-256 of its file.
    pub sha256: String,
}

/// An operator: a layer, or some rows of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Name of the layer.
    pub layer: String,
    /// What it computes: `conv2d`.
    pub kind: String,
    /// Rows, columns and channels of its output.
    pub output: [usize; 3],
}

/// Where a model has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// On this machine, on the kernels of the program.
    Host,
    /// On this machine, by the specification: naive loops over wide integers.
    Specification,
    /// In an emulator.
    Emulator,
    /// On a board.
    Board,
}

/// One of the runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Where it was.
    pub place: Place,
    /// The link to the device, as it was given; `host`.
    pub link: String,
    /// Name of the board, as the device says it.
    pub board: String,
    /// Name of the kernel set.
    pub kernels: String,
    /// SHA-256 of the firmware's ELF file, where this program has built and started it.
    pub firmware_sha256: Option<String>,
    /// Number of images, spread evenly over all: of N images, R run the images i·N/R, rounded down.
    pub images: usize,
    /// For each operator the CRC-32 of the CRC-32s of its outputs for these images, each four bytes, the lowest first.
    pub checksums: Vec<String>,
    /// Outputs of operators that are not this machine's, over all images.
    pub differing_outputs: usize,
    /// Images with such an output.
    pub differing_images: usize,
    /// The first of these.
    pub first_difference: Option<Difference>,
    /// What an inference took, where that was measured.
    pub costs: Option<Costs>,
}

/// Where a run leaves this machine's bytes: at the first operator that does so for any image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Index of the image.
    pub image: usize,
    /// Index of the operator.
    pub operator: usize,
    /// The first value that differs; none where the device gave this machine's bytes when it was asked again.
    pub value: Option<Value>,
}

/// A value of an operator's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// Row, column and channel.
    pub at: [usize; 3],
    /// This machine's.
    pub host: i8,
    /// The run's.
    pub found: i8,
}

/// What inferences took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// What is counted: `instructions`, `cycles`.
    pub unit: String,
    /// Such units in a second; 0 where that is not known, as in an emulator.
    pub hz: u32,
    /// The fewest and the most that an inference took.
    pub network: [u64; 2],
    /// What each operator took for the first image.
    pub operators: Vec<u32>,
    /// Most bytes of stack in use.
    pub stack_bytes: u32,
}

impl Certificate {
    /// Its text, signed where there is a key.
    ///
    /// # Errors
    /// When a number in it is none.
    pub fn to_text(&self, key: Option<&SigningKey>) -> Result<String> {
        Ok(seal::seal(&serde_json::to_string_pretty(self)?, key))
    }

    /// Reads a certificate; gives the public key of whoever signed it, where somebody has.
    ///
    /// # Errors
    /// When it is none, was changed, is of another version, or does not hold together.
    pub fn from_text(text: &str) -> Result<(Self, Option<VerifyingKey>)> {
        let (body, key) = seal::unseal(text)?;
        let versioned: Versioned = serde_json::from_str(body).context("the certificate has no version")?;
        ensure!(
            versioned.version == VERSION,
            "the certificate is of version {}, and this program reads version {VERSION}",
            versioned.version
        );
        let certificate: Self = serde_json::from_str(body).context("the certificate lacks an entry")?;
        certificate.check()?;
        Ok((certificate, key))
    }

    /// Whether every run has given this machine's bytes.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.runs.iter().all(|run| run.differing_outputs == 0)
    }

    /// Refuses what contradicts itself.
    fn check(&self) -> Result<()> {
        let host = self.runs.first().filter(|run| run.place == Place::Host && run.images == self.images.len());
        let host = host.context("the certificate's first run is not this machine's, over all images")?;
        for run in &self.runs {
            let agrees = run.differing_outputs == 0;
            let same = run.images != host.images || (run.checksums == host.checksums) == agrees;
            let places = run
                .first_difference
                .iter()
                .all(|difference| difference.image < self.images.len() && difference.operator < self.operators.len());
            ensure!(
                run.checksums.len() == self.operators.len()
                    && same
                    && places
                    && agrees == run.first_difference.is_none(),
                "what the certificate says of {} contradicts itself",
                run.link
            );
        }
        Ok(())
    }
}

/// What is said of checksums for so many images: [`Run::checksums`].
fn said(found: &[Checksums]) -> Vec<String> {
    joined(found).iter().map(|checksum| format!("{checksum:08x}")).collect()
}

/// What all versions have.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}
