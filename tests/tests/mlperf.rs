//! Rung 3 of the parity ladder: the MLPerf Tiny models, imported, byte for byte against LiteRT's reference kernels; and
//! some of their layers by themselves.
//!
//! The models are not part of the repository. They are looked for in `$MLPERF_TINY`, then in `../shared/data/mlperf-tiny`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use host_trainer::emit::{Description, emit};
use host_trainer::quantise::{add_multipliers, softmax_parameters};
use libtest_mimic::{Arguments, Trial};
use no_std_infer::Model;
use no_std_infer::format::{Activation, Add, InputKind, Pool2d, Provenance, Softmax, Tensor, Window};
use no_std_infer::kernels::{Kernels, Portable};
use no_std_infer::reference::Reference;
use serde_json::Value;

fn folder() -> PathBuf {
    let shared = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/mlperf-tiny");
    std::env::var_os("MLPERF_TINY").map_or_else(shared, PathBuf::from)
}

fn main() {
    let found = folder().join("resnet8/manifest.json").exists();
    let test = |name: &str, test: fn() -> Result<()>| {
        let trial = Trial::test(name, move || test().map_err(|error| format!("{error:?}").into()));
        let kind = if found { "" } else { "needs the MLPerf Tiny models: set MLPERF_TINY to their folder" };
        trial.with_ignored_flag(!found).with_kind(kind)
    };
    let trials: Vec<Trial> = vec![
        test("resnet8_additions", || additions::<Portable>().and_then(|()| additions::<Reference>())),
        test("average_pools", || average_pools::<Portable>().and_then(|()| average_pools::<Reference>())),
        test("resnet8", || whole_model("resnet8")),
        test("vww", || whole_model("vww")),
        test("kws", || whole_model("kws")),
        test("softmaxes", || softmaxes::<Portable>().and_then(|()| softmaxes::<Reference>())),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Imports a model; compares the outputs of all inputs, and what every layer makes of input 0.
fn whole_model(name: &str) -> Result<()> {
    let folder = folder().join(name);
    let manifest = manifest(name)?;
    let file = manifest["model"].as_str().context("the manifest names the model")?;
    let lowered = host_trainer::import::int8(&std::fs::read(folder.join(file))?)?;
    ensure!(lowered.changes.is_empty(), "operators were changed: {:?}", lowered.changes);
    let description = Description { name, labels: &[], input: InputKind::Tensor, provenance: Provenance::default() };
    let emitted = emit(&lowered.model, &description)?;
    let model = Model::parse(&emitted.blob)?;

    let [inputs, expected] = ["inputs.i8", "outputs.i8"].map(|file| std::fs::read(folder.join(file)));
    let (inputs, expected) = (signed(inputs?), signed(expected?));
    let (len, output_len) = (model.info().input.tensor.len(), model.output().len());
    let count = manifest["count"].as_u64().context("the manifest counts the inputs")? as usize;
    ensure!(count > 0 && inputs.len() == count * len && expected.len() == count * output_len, "lengths do not fit");
    for (index, (input, expected)) in inputs.chunks(len).zip(expected.chunks(output_len)).enumerate() {
        let layers = tests::outputs::<Portable>(&model, input);
        ensure!(layers.last().is_some_and(|output| output == expected), "the output of input {index} differs");
        if index == 0 {
            let count = manifest["layers_of_input_0"].as_array().context("the manifest lists layers")?.len();
            ensure!(layers.len() == count, "there are {} layers instead of {count}", layers.len());
            for (at, made) in layers.iter().enumerate() {
                ensure!(*made == layer(name, at)?.values, "layer {at} differs");
            }
        }
    }
    Ok(())
}

fn signed(bytes: Vec<u8>) -> Vec<i8> {
    bytes.into_iter().map(|byte| byte as i8).collect()
}

fn manifest(model: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(folder().join(model).join("manifest.json"))?)?)
}

/// A layer's output as LiteRT made it for input 0.
struct Layer {
    tensor: Tensor,
    values: Vec<i8>,
}

fn layer(model: &str, index: usize) -> Result<Layer> {
    let folder = folder().join(model);
    let entry = &manifest(model)?["layers_of_input_0"][index];
    let file = entry["file"].as_str().context("a layer names its file")?;
    let values = signed(std::fs::read(folder.join(file))?);
    let shape = entry["shape"].as_array().context("a layer has a shape")?;
    let side = |at: usize| shape[at].as_u64().unwrap_or(1);
    let (height, width) = if shape.len() == 4 { (side(1), side(2)) } else { (1, 1) };
    let tensor = Tensor {
        offset: 0,
        height: height as u16,
        width: width as u16,
        channels: side(shape.len() - 1) as u32,
        scale: entry["scale"].as_f64().context("a layer has a scale")? as f32,
        zero_point: entry["zero_point"].as_i64().context("a layer has a zero point")? as i8,
    };
    Ok(Layer { tensor, values })
}

/// Puts the inputs one after the other into an arena, runs, and compares what follows them with the expected values.
fn compare(inputs: &[&Layer], expected: &Layer, run: impl FnOnce(&mut [i8], &[Tensor], Tensor)) -> Result<()> {
    let mut arena = Vec::new();
    let mut tensors = Vec::new();
    for input in inputs {
        tensors.push(Tensor { offset: arena.len() as u32, ..input.tensor });
        arena.extend(&input.values);
    }
    let output = Tensor { offset: arena.len() as u32, ..expected.tensor };
    arena.resize(arena.len() + output.len(), 0);
    run(&mut arena, &tensors, output);
    ensure!(arena[output.range()] == expected.values, "bytes differ");
    Ok(())
}

fn relu(zero_point: i8) -> Activation {
    Activation { min: zero_point, max: i8::MAX }
}

fn additions<K: Kernels>() -> Result<()> {
    // The additions of ResNet8 with the layers that they add, and a ReLU fused to each.
    for [a, b, sum] in [[0, 2, 3], [6, 5, 7], [10, 9, 11]] {
        let [a, b, sum] = [layer("resnet8", a)?, layer("resnet8", b)?, layer("resnet8", sum)?];
        let multipliers = add_multipliers(a.tensor.scale, b.tensor.scale, sum.tensor.scale)?;
        let [a_multiplier, b_multiplier, output_multiplier] = multipliers;
        compare(&[&a, &b], &sum, |arena, inputs, output| {
            let activation = relu(output.zero_point);
            let (a, b) = (inputs[0], inputs[1]);
            let op = Add { a, b, output, a_multiplier, b_multiplier, output_multiplier, activation };
            K::add(arena, &op, 0..usize::from(output.height));
        })
        .with_context(|| format!("{multipliers:?}"))?;
    }
    Ok(())
}

fn average_pools<K: Kernels>() -> Result<()> {
    for (model, pool) in [("resnet8", 12), ("vww", 27), ("kws", 9)] {
        let [input, output] = [layer(model, pool - 1)?, layer(model, pool)?];
        compare(&[&input], &output, |arena, inputs, output| {
            let (kernel_h, kernel_w) = (inputs[0].height as u8, inputs[0].width as u8);
            let window = Window { kernel_h, kernel_w, ..Window::square(1, 1) };
            let op = Pool2d { input: inputs[0], output, window, activation: Activation::NONE };
            K::average_pool2d(arena, &op, 0..1);
        })
        .with_context(|| model.to_owned())?;
    }
    Ok(())
}

fn softmaxes<K: Kernels>() -> Result<()> {
    for (model, softmax) in [("resnet8", 15), ("vww", 30), ("kws", 12)] {
        let [input, output] = [layer(model, softmax - 1)?, layer(model, softmax)?];
        let (multiplier, diff_min) = softmax_parameters(input.tensor.scale, 1.0).context("the scale is in range")?;
        compare(&[&input], &output, |arena, inputs, output| {
            K::softmax(arena, &Softmax { input: inputs[0], output, multiplier, diff_min }, 0..1);
        })
        .with_context(|| model.to_owned())?;
    }
    Ok(())
}
