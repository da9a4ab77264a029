//! What ships in `data`: the files are those of the manifest, and the blob runs.

use std::path::{Path, PathBuf};

use model_compiler::aligned::Aligned;
use model_training::data::faces::CLASSES;
use model_training::measure::evaluate::read_blob;
use no_std_infer::Model;
use no_std_infer::golden::self_test;
use serde_json::Value;
use sha2::{Digest, Sha256};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data")
}

#[test]
fn files_are_those_of_the_manifest() {
    let manifest = std::fs::read(data().join("manifest.json")).expect("the manifest ships");
    let manifest: Value = serde_json::from_slice(&manifest).expect("the manifest is JSON");
    let files = manifest["files"].as_object().expect("the manifest lists files");
    assert!(files.contains_key("faces.blob"));
    assert!(files.contains_key("pretrained/mobilenet_v1_0.25_imagenet.safetensors"));
    for (name, expected) in files {
        let bytes = std::fs::read(data().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(Some(digest.as_str()), expected.as_str(), "{name} is not the file of the manifest");
    }
}

#[test]
fn the_blob_passes_its_self_test() {
    let blob = read_blob(&data().join("faces.blob")).expect("the blob ships");
    let model = Model::parse(&blob).expect("the blob is valid");
    assert_eq!(model.labels().collect::<Vec<_>>(), CLASSES);
    let mut arena = Aligned::new(model.arena_len());
    self_test(&model, &mut arena).expect("the blob computes what it did when it was made");
}
