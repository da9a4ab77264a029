//! Computes again what a certificate says of this machine.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use model_training::config::InputConfig;
use model_training::data::dataset::{Dataset, Images, Reading, Sample, listed};
use model_training::data::progress;
use model_training::measure::trace::{Checksums, traces};
use model_training::system::hexadecimal::hexadecimal;
use no_std_infer::Model;

use super::{Certificate, said};
use crate::device::identity;

/// Refuses a blob that is not the certificate's.
///
/// # Errors
/// When its length or digest differs.
pub fn check_blob(certificate: &Certificate, blob: &[u8]) -> Result<()> {
    let (found, model) = (hexadecimal(&identity(blob).sha256), &certificate.model);
    ensure!(
        found == model.sha256 && blob.len() == model.bytes,
        "the certificate is of a model with the SHA-256 {}, and the blob that was given has {found}",
        model.sha256
    );
    Ok(())
}

/// Runs the certificate's images, which are found in a data set by their digests, through its model; gives the first operator whose
/// bytes are not those that the certificate says this machine makes.
///
/// # Errors
/// When an image cannot be read or is not there.
pub fn check_images(
    certificate: &Certificate,
    model: &Model<'_>,
    input: &InputConfig,
    mut dataset: Dataset,
) -> Result<Option<usize>> {
    let loaded = progress::load(&mut dataset, &Reading::all(input, certificate.view))?;
    let mut images = HashMap::new();
    for ((_, split), samples) in loaded.splits().zip([&dataset.train, &dataset.valid, &dataset.test]) {
        let digests = samples.iter().filter_map(|sample: &Sample| sample.digest.as_deref());
        images.extend(digests.enumerate().map(|(index, digest)| (digest, (split, index))));
    }
    let mut wanted = Images::new(loaded.test.shape);
    let mut missing = Vec::new();
    for image in &certificate.images {
        match images.get(image.sha256.as_str()) {
            Some((split, index)) => wanted.take(split, *index),
            None => missing.push(image.name.as_str()),
        }
    }
    ensure!(
        missing.is_empty(),
        "{} of the certificate's {} images are not below {} ({}): give the folder that it was made with",
        missing.len(),
        certificate.images.len(),
        dataset.root.display(),
        listed(&missing)
    );
    let found: Vec<Checksums> = traces(model, &wanted).into_iter().map(|(checksums, _)| checksums).collect();
    let host = certificate.runs.first().map_or(&[][..], |run| &run.checksums);
    Ok(said(&found).iter().zip(host).position(|(own, host)| own != host))
}
