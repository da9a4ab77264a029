//! What quantisation changes in each layer: signal-to-noise ratios, and shifts of the channels' means.

use host_kernels::{Prepared, Runner};
use no_std_infer::format::Tensor;
use no_std_infer::{Interpreter, Model};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::graph::{Graph, Node, Shape, class};
use crate::quantise::error::{Error, Result};
use crate::quantise::{Ending, quantisation};

/// How close one layer's int8 output is to the float graph's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerSqnr {
    /// Name of the graph's node, or of the [`Ending`].
    pub name: String,
    /// Name of the operator.
    pub op: String,
    /// Shape of the output.
    pub shape: Shape,
    /// Energy of the float output over energy of the difference, over all inputs, in dB; `None` when either is 0.
    pub db: Option<f64>,
}

/// Runs the float graph and the int8 model that was made from it side by side on some inputs (`pixel − 128`, HWC); one
/// entry a layer, each of which is one operator. Each layer's difference contains those of the layers before it.
///
/// The result does not depend on the number of threads.
///
/// # Errors
/// When the model was not made from this graph, or an input has the wrong length.
pub fn layer_sqnr<I: AsRef<[i8]> + Sync>(graph: &Graph, model: &Model<'_>, inputs: &[I]) -> Result<Vec<LayerSqnr>> {
    Ok(side_by_side(graph, model, &whole(model), inputs, |_| ())?.0)
}

/// What else came of running both, an entry an input: the float graph's logits, and what the caller has read of the int8 model.
pub type Results<R> = Vec<(Vec<f32>, R)>;

/// The same for a model whose layers may be several operators: `layers` says of which layer each operator makes rows, from
/// the top, and none where it only moves rows. Beside it what both make of each input, of the int8 model by `read`.
///
/// # Errors
/// Those of [`layer_sqnr`].
pub fn side_by_side<I: AsRef<[i8]> + Sync, R: Send>(
    graph: &Graph,
    model: &Model<'_>,
    layers: &[Option<usize>],
    inputs: &[I],
    read: impl Fn(&Interpreter<'_, '_>) -> R + Sync,
) -> Result<(Vec<LayerSqnr>, Results<R>)> {
    check(graph, model, layers, inputs)?;
    let both = |runner: &mut Runner<'_, '_>, input: &[i8]| {
        let (energies, logits, ran) = layer_energies(graph, model, layers, runner, input);
        (energies, (logits, read(&ran)))
    };
    let (energies, results): (Vec<Vec<[f64; 2]>>, Results<R>) = on_each(model, inputs, both).into_iter().unzip();
    let names = graph.nodes.iter().map(|node| node.name.as_str()).chain(Ending::of(model).name());
    let layer = |(index, name): (usize, &str)| {
        let energies = [0, 1].map(|part| energies.iter().map(|layers| layers[index][part]).sum());
        let mut ops = model.ops().zip(layers).filter(|(_, layer)| **layer == Some(index)).map(|(op, _)| op);
        let first = ops.next()?;
        let output = first.output();
        Some(LayerSqnr {
            name: name.to_owned(),
            op: first.name().to_owned(),
            shape: Shape {
                height: ops.fold(output.height.into(), |height, op| height + usize::from(op.output().height)),
                width: output.width.into(),
                channels: output.channels as usize,
            },
            db: decibels(energies),
        })
    };
    Ok((names.enumerate().filter_map(layer).collect(), results))
}

/// The graph's logits of each input (`pixel − 128`, HWC).
///
/// # Panics
/// When an input has not the length of the graph's.
#[must_use]
pub fn float_logits<I: AsRef<[i8]> + Sync>(graph: &Graph, inputs: &[I]) -> Vec<Vec<f32>> {
    inputs.par_iter().map(|input| graph.logits(input.as_ref())).collect()
}

/// The SQNR of an int8 model's logits in dB, as [`layer_sqnr`] has it for that layer, from the float graph's `logits` of each
/// input: the graph need not run once more.
///
/// # Errors
/// When the model gives another number of logits, or an input has the wrong length.
pub fn logits_sqnr<I: AsRef<[i8]> + Sync>(logits: &[Vec<f32>], model: &Model<'_>, inputs: &[I]) -> Result<Option<f64>> {
    let tensor = &model.info().logits;
    ensure!(logits.len() == inputs.len() && logits.iter().all(|l| l.len() == tensor.len()), Error::OtherGraph);
    let len = model.info().input.tensor.len();
    ensure!(inputs.iter().all(|input| input.as_ref().len() == len), Error::InputLength);
    let prepared = Prepared::new(model);
    let energies = |runner: &mut Runner<'_, '_>, (input, real): (&I, &Vec<f32>)| {
        energies(tensor, runner.run(input.as_ref()).logits(), real.iter())
    };
    let energies: Vec<[f64; 2]> = inputs.par_iter().zip(logits).map_init(|| prepared.runner(), energies).collect();
    Ok(decibels([0, 1].map(|part| energies.iter().map(|energies| energies[part]).sum())))
}

/// Energies of what a tensor should hold and of what its bytes differ by.
fn energies<'a>(tensor: &Tensor, bytes: &[i8], real: impl Iterator<Item = &'a f32>) -> [f64; 2] {
    let mut energies = [0.0; 2];
    for (&byte, &real) in bytes.iter().zip(real) {
        let difference = f64::from(real) - f64::from(quantisation(tensor).real(byte));
        energies[0] += f64::from(real).powi(2);
        energies[1] += difference * difference;
    }
    energies
}

/// The ratio of signal to noise, none where one of them is 0.
fn decibels([signal, noise]: [f64; 2]) -> Option<f64> {
    (signal > 0.0 && noise > 0.0).then(|| 10.0 * (signal / noise).log10())
}

/// Each operator is a layer.
fn whole(model: &Model<'_>) -> Vec<Option<usize>> {
    (0..model.ops().count()).map(Some).collect()
}

/// What quantisation of each node itself takes from the mean of each channel of its output: for the same int8 inputs, the
/// float node's mean less the int8 operator's. The model was made from `graph` or from one of the same nodes.
///
/// The result does not depend on the number of threads.
///
/// # Errors
/// Those of [`layer_sqnr`].
pub fn mean_shifts<I: AsRef<[i8]> + Sync>(graph: &Graph, model: &Model<'_>, inputs: &[I]) -> Result<Vec<Vec<f64>>> {
    check(graph, model, &whole(model), inputs)?;
    let sums: Vec<Vec<Vec<f64>>> =
        on_each(model, inputs, |runner, input| channel_differences(graph, model, runner, input));
    let mean = |layer: usize, channel: usize| {
        let output = &graph.nodes[layer].output;
        let count = inputs.len() * output.height * output.width;
        sums.iter().map(|layers| layers[layer][channel]).sum::<f64>() / count as f64
    };
    let channels = |layer: usize| (0..graph.nodes[layer].output.channels).map(|channel| mean(layer, channel)).collect();
    Ok((0..graph.nodes.len()).map(channels).collect())
}

/// How many inputs (`pixel − 128`, HWC) the float graph and the int8 model put into the same class; none where the model has
/// no two classes.
///
/// # Panics
/// When an input does not have the length of both models' inputs.
#[must_use]
pub fn agreeing<I: AsRef<[i8]> + Sync>(graph: &Graph, model: &Model<'_>, inputs: &[I]) -> Option<usize> {
    let two = model.ends_in_sigmoid() && graph.classes() == 1;
    let float = |logits: Vec<f32>| if two { class(&[&[0.0], &logits[..]].concat()) } else { class(&logits) };
    let agrees = |runner: &mut Runner<'_, '_>, input: &[i8]| runner.run(input).class() == float(graph.logits(input));
    let agreeing = || on_each(model, inputs, agrees).into_iter().filter(|&agrees| agrees).count();
    (model.classes() > 1).then(agreeing)
}

/// Calls `each` for every input, on all threads, with memory to run the model in; gives the results in order.
fn on_each<I: AsRef<[i8]> + Sync, R: Send>(
    model: &Model<'_>,
    inputs: &[I],
    each: impl Fn(&mut Runner<'_, '_>, &[i8]) -> R + Sync,
) -> Vec<R> {
    let prepared = Prepared::new(model);
    inputs.par_iter().map_init(|| prepared.runner(), |runner, input| each(runner, input.as_ref())).collect()
}

fn check<I: AsRef<[i8]>>(graph: &Graph, model: &Model<'_>, layers: &[Option<usize>], inputs: &[I]) -> Result<()> {
    let ending = Ending::of(model).name().map(|_| graph.classes());
    let expected: Vec<usize> = graph.nodes.iter().map(|node| node.output.len()).chain(ending).collect();
    let mut lengths = vec![0; expected.len()];
    let mut known = layers.len() == model.ops().count();
    for (op, layer) in model.ops().zip(layers) {
        match layer.map(|layer| lengths.get_mut(layer)) {
            Some(Some(length)) => *length += op.output().len(),
            Some(None) => known = false,
            None => {}
        }
    }
    ensure!(known && lengths == expected && model.info().input.tensor.len() == graph.input.len(), Error::OtherGraph);
    ensure!(inputs.iter().all(|i| i.as_ref().len() == graph.input.len()), Error::InputLength);
    Ok(())
}

/// Energy of signal and noise in each layer's output for one input, the float graph's logits, and the int8 model after it ran.
fn layer_energies<'m, 'r>(
    graph: &Graph,
    model: &Model<'_>,
    layers: &[Option<usize>],
    runner: &'r mut Runner<'_, 'm>,
    input: &[i8],
) -> (Vec<[f64; 2]>, Vec<f32>, Interpreter<'m, 'r>) {
    let mut float = graph.run(input);
    let logits = float.last().cloned().unwrap_or_default();
    float.extend(Ending::of(model).probabilities(&logits));
    // What of each layer has not been made yet, and its energies so far.
    let mut open: Vec<_> = float[1..].iter().map(|real| (real.iter(), [0.0; 2])).collect();
    let mut layers = layers.iter();
    let ran = each_operator(model, runner, input, |tensor, bytes| {
        let layer = layers.next().copied().flatten().and_then(|layer| open.get_mut(layer));
        let Some((left, sums)) = layer else { return };
        let rows = energies(tensor, bytes, left);
        sums.iter_mut().zip(rows).for_each(|(sum, energy)| *sum += energy);
    });
    (open.into_iter().map(|(_, energies)| energies).collect(), logits, ran)
}

/// Sum over all pixels of each channel's difference between what a float node and its int8 operator make of the same.
fn channel_differences(graph: &Graph, model: &Model<'_>, runner: &mut Runner<'_, '_>, input: &[i8]) -> Vec<Vec<f64>> {
    let mut tensors = vec![graph.input_tensor(input)];
    each_operator(model, runner, input, |tensor, bytes| {
        tensors.push(bytes.iter().map(|&byte| quantisation(tensor).real(byte)).collect());
    });
    let differences = |(node, int8): (&Node, &Vec<f32>)| {
        let mut sums = vec![0.0; node.output.channels];
        for (index, (real, int8)) in graph.output(node, &tensors).into_iter().zip(int8).enumerate() {
            sums[index % node.output.channels] += f64::from(real) - f64::from(*int8);
        }
        sums
    };
    graph.nodes.iter().zip(&tensors[1..]).map(differences).collect()
}

/// Runs a model and shows what each operator makes.
fn each_operator<'m, 'r>(
    model: &Model<'_>,
    runner: &'r mut Runner<'_, 'm>,
    input: &[i8],
    mut show: impl FnMut(&Tensor, &[i8]),
) -> Interpreter<'m, 'r> {
    let mut ops = model.ops();
    runner.run_profiled(input, |_, bytes| {
        if let Some(op) = ops.next() {
            show(op.output(), bytes);
        }
    })
}
