//! Ranges of activations, and the temperature of the scores.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::graph::Graph;
use crate::quantise::error::{Error, Result};
use crate::quantise::{Method, Quantisation, Range};

/// Ranges of a graph's tensors, and how they were chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// How.
    pub method: Method,
    /// One a tensor of [`Graph::run`].
    pub ranges: Vec<Range>,
}

/// Which of `count` training images are calibrated on, at most `most`: every n-th, since images are in the order of their
/// classes, so that all classes take part.
pub fn calibration_indices(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let chosen = most.min(count);
    (0..chosen).map(move |index| index * count / chosen)
}

/// Bins of the histograms that [`Method::Percentile`] and [`Method::Mse`] use.
const BINS: usize = 4096;
/// Share of the values that [`Method::Percentile`] leaves out on each side.
const OUTLIERS: f64 = 0.0005;
/// Candidates for one end of a range that [`Method::Mse`] tries: the whole, then fractions down to 1 / STEPS.
const STEPS: u32 = 100;

/// Runs the graph over calibration inputs (`pixel − 128`, HWC) and chooses a range for every tensor of
/// [`Graph::run`]. The logits always get the smallest and largest value seen, since cutting them would make ties.
///
/// The result does not depend on the number of threads.
///
/// # Errors
/// When there is no input, an input has the wrong length or an activation is not a finite number.
pub fn calibrate<I: AsRef<[i8]> + Sync>(graph: &Graph, inputs: &[I], method: Method) -> Result<Vec<Range>> {
    Ok(calibrate_all(graph, inputs, &[method])?.remove(0))
}

/// [`calibrate`] by several methods, whose ranges come in their order: the graph runs over the inputs twice for all of them.
///
/// # Errors
/// Those of [`calibrate`].
pub fn calibrate_all<I: AsRef<[i8]> + Sync>(
    graph: &Graph,
    inputs: &[I],
    methods: &[Method],
) -> Result<Vec<Vec<Range>>> {
    graph.validate()?;
    ensure!(!inputs.is_empty(), Error::NoInputs);
    let len = graph.input.len();
    ensure!(inputs.iter().all(|input| input.as_ref().len() == len), Error::CalibrationLength(len));
    let full = full_ranges(graph, inputs)?;
    if methods.iter().all(|&method| method == Method::MinMax) {
        return Ok(vec![full; methods.len()]);
    }
    let histograms = histograms(graph, inputs, &full);
    let ranges = |&method: &Method| {
        let mut ranges: Vec<Range> = full
            .par_iter()
            .zip(&histograms)
            .map(|(&range, counts)| match method {
                Method::MinMax => range,
                Method::Percentile => percentile_range(range, counts),
                Method::Mse => least_error_range(range, counts),
            })
            .collect();
        if let (Some(logits), Some(full)) = (ranges.last_mut(), full.last()) {
            *logits = *full;
        }
        ranges
    };
    Ok(methods.iter().map(ranges).collect())
}

fn full_ranges<I: AsRef<[i8]> + Sync>(graph: &Graph, inputs: &[I]) -> Result<Vec<Range>> {
    let ranges = inputs
        .par_iter()
        .map(|input| graph.run(input.as_ref()).iter().map(|values| Range::of(values)).collect::<Vec<_>>())
        .reduce_with(|a, b| a.iter().zip(&b).map(|(a, b)| a.union(*b)).collect())
        .unwrap_or_default();
    for (range, name) in ranges.iter().skip(1).zip(graph.nodes.iter().map(|node| &node.name)) {
        ensure!(range.min.is_finite() && range.max.is_finite(), Error::NotFinite(name.clone()));
    }
    Ok(ranges)
}

/// Counts of each tensor's values in equal bins over its range; exact zeros are not in them but counted apart.
#[derive(Clone)]
struct Histogram {
    bins: Vec<u64>,
    zeros: u64,
}

fn bin_width(range: Range) -> f32 {
    (range.max - range.min) / BINS as f32
}

fn histograms<I: AsRef<[i8]> + Sync>(graph: &Graph, inputs: &[I], ranges: &[Range]) -> Vec<Histogram> {
    let empty = || vec![Histogram { bins: vec![0; BINS], zeros: 0 }; ranges.len()];
    let count = |mut histograms: Vec<Histogram>, input: &I| {
        for ((values, range), histogram) in graph.run(input.as_ref()).iter().zip(ranges).zip(&mut histograms) {
            let scale = BINS as f32 / (range.max - range.min);
            for &value in values {
                if value == 0.0 {
                    histogram.zeros += 1;
                } else {
                    let bin = ((value - range.min) * scale) as usize;
                    histogram.bins[bin.min(BINS - 1)] += 1;
                }
            }
        }
        histograms
    };
    let add = |mut a: Vec<Histogram>, b: Vec<Histogram>| {
        for (a, b) in a.iter_mut().zip(b) {
            a.zeros += b.zeros;
            a.bins.iter_mut().zip(b.bins).for_each(|(a, b)| *a += b);
        }
        a
    };
    inputs.par_iter().fold(empty, count).reduce(empty, add)
}

/// The range that leaves out at most [`OUTLIERS`] of the values on each side.
fn percentile_range(range: Range, histogram: &Histogram) -> Range {
    let total = histogram.zeros + histogram.bins.iter().sum::<u64>();
    let spare = (total as f64 * OUTLIERS) as u64;
    let width = bin_width(range);
    let below = left_out(histogram.bins.iter(), spare) as f32 * width;
    let above = left_out(histogram.bins.iter().rev(), spare) as f32 * width;
    Range::new(range.min + below, range.max - above)
}

/// How many of the first bins hold no more than `spare` values together.
fn left_out<'b>(bins: impl Iterator<Item = &'b u64>, spare: u64) -> usize {
    let mut seen = 0;
    let leaves = |count: &&u64| {
        seen += **count;
        seen <= spare
    };
    bins.take_while(leaves).count()
}

/// The range whose quantisation has the least squared error: first the best upper end, then the best lower end, then the
/// upper once more.
fn least_error_range(range: Range, histogram: &Histogram) -> Range {
    let shrink = |best: Range, with: &dyn Fn(Range, f32) -> Range| {
        let candidates = (1..=STEPS).rev().map(|step| with(best, step as f32 / STEPS as f32));
        let errors = candidates.map(|candidate| (squared_error(candidate, range, histogram), candidate));
        errors.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(best, |(_, candidate)| candidate)
    };
    let upper = |best: Range, share: f32| Range::new(best.min, range.max * share);
    let lower = |best: Range, share: f32| Range::new(range.min * share, best.max);
    shrink(shrink(shrink(range, &upper), &lower), &upper)
}

fn squared_error(candidate: Range, full: Range, histogram: &Histogram) -> f64 {
    let quantisation = Quantisation::of_range(candidate);
    let width = bin_width(full);
    let filled = histogram.bins.iter().enumerate().filter(|(_, count)| **count > 0);
    filled
        .map(|(bin, &count)| {
            let value = full.min + (bin as f32 + 0.5) * width;
            let error = f64::from(quantisation.real(quantisation.quantise(value)) - value);
            count as f64 * error * error
        })
        .sum()
}

/// The temperature T that makes softmax(logits / T) likeliest for the labels (Guo et al. 2017), in 0.05..=20; 1 without
/// labels. `labels` are indices into the logits.
///
/// # Panics
/// When a label is not an index into its logits.
#[must_use]
pub fn temperature(logits: &[Vec<f32>], labels: &[usize]) -> f32 {
    if logits.is_empty() || labels.is_empty() {
        return 1.0;
    }
    let loss = |log_temperature: f64| -> f64 {
        let beta = (-log_temperature).exp();
        logits.iter().zip(labels).map(|(logits, &label)| cross_entropy(logits, label, beta)).sum()
    };
    // The loss is convex in 1 / T, so it has one valley in log T: golden-section search.
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.05_f64.ln(), 20.0_f64.ln());
    while high - low > 1e-4 {
        let (a, b) = (high - ratio * (high - low), low + ratio * (high - low));
        if loss(a) <= loss(b) { high = b } else { low = a }
    }
    f64::midpoint(low, high).exp() as f32
}

fn cross_entropy(logits: &[f32], label: usize, beta: f64) -> f64 {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|&logit| (beta * (f64::from(logit) - largest)).exp()).sum();
    sum.ln() - beta * (f64::from(logits[label]) - largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Clamp, FloatOp, Node, Shape};

    /// Two classes: the pixel as it is, and a hundredth of it. The first layer passes the pixel on.
    fn graph() -> Graph {
        let vector = |channels| Shape { height: 1, width: 1, channels };
        let dense = |weights: Vec<f32>| FloatOp::Dense { bias: vec![0.0; weights.len()], weights, clamp: Clamp::None };
        let node = |op, input, output| Node { name: "n".into(), op, inputs: vec![input], output };
        Graph {
            input: vector(1),
            zero: 0,
            nodes: vec![node(dense(vec![1.0]), 0, vector(1)), node(dense(vec![1.0, 0.01]), 1, vector(2))],
        }
    }

    /// 10,000 values of −10..=10, then outliers of 100.
    fn inputs_with(outliers: usize) -> Vec<Vec<i8>> {
        let common = (0..10_000).map(|i| vec![(i % 21 - 10) as i8]);
        common.chain(std::iter::repeat_n(vec![100], outliers)).collect()
    }

    fn inputs() -> Vec<Vec<i8>> {
        inputs_with(5)
    }

    #[test]
    fn all_methods_at_once_choose_what_each_chooses_alone() {
        let alone = Method::ALL.map(|method| calibrate(&graph(), &inputs(), method).unwrap());
        assert_eq!(calibrate_all(&graph(), &inputs(), &Method::ALL).unwrap(), alone);
        assert!(alone[0] != alone[1] && alone[1] != alone[2]);
    }

    #[test]
    fn min_max_keeps_outliers_and_percentile_leaves_them_out() {
        let ranges = calibrate(&graph(), &inputs(), Method::MinMax).unwrap();
        assert_eq!(ranges[1], Range::new(-10.0, 100.0));
        let ranges = calibrate(&graph(), &inputs(), Method::Percentile).unwrap();
        assert!(ranges[1].min == -10.0 && (10.0..10.1).contains(&ranges[1].max), "{:?}", ranges[1]);
        assert_eq!(ranges[2], Range::new(-10.0, 100.0), "the logits keep their whole range");
        let ranges = calibrate(&graph(), &inputs_with(6), Method::Percentile).unwrap();
        assert_eq!(ranges[1], Range::new(-10.0, 100.0), "6 of 10,006 are more than 0.05 %");
    }

    #[test]
    fn the_least_error_is_not_above_min_max() {
        let full = calibrate(&graph(), &inputs(), Method::MinMax).unwrap();
        let best = calibrate(&graph(), &inputs(), Method::Mse).unwrap();
        let histogram = &histograms(&graph(), &inputs(), &full)[1];
        assert!(squared_error(best[1], full[1], histogram) <= squared_error(full[1], full[1], histogram));
        // One outlier in a million is worth cutting: its error is less than the finer steps' gain.
        let mut bins = vec![0; BINS];
        bins[..BINS / 50].fill(1_000_000);
        bins[BINS - 1] = 1;
        let range = least_error_range(Range::new(0.0, 1.0), &Histogram { bins, zeros: 0 });
        assert!(range.max < 0.1, "{range:?}");
    }

    #[test]
    fn the_ranges_do_not_depend_on_the_threads() {
        let ranges = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            [Method::MinMax, Method::Percentile, Method::Mse]
                .map(|method| pool.install(|| calibrate(&graph(), &inputs(), method).unwrap()))
        };
        assert_eq!(ranges(1), ranges(3));
    }

    #[test]
    fn nothing_to_calibrate_on_is_an_error() {
        assert!(calibrate::<Vec<i8>>(&graph(), &[], Method::MinMax).is_err());
        assert!(calibrate(&graph(), &[vec![0, 0]], Method::MinMax).is_err());
    }

    #[test]
    fn temperature_undoes_a_scaling() {
        // Of four equal logits (ln 3, 0) three are right: softmax gives 3/4 at T = 1.
        let labels = [0, 0, 0, 1];
        for scale in [0.25, 1.0, 8.0] {
            let logits = vec![vec![3.0_f32.ln() * scale, 0.0]; 4];
            let fitted = temperature(&logits, &labels);
            assert!((fitted / scale - 1.0).abs() < 1e-3, "{scale}: {fitted}");
        }
        assert_eq!(temperature(&[], &[]), 1.0);
    }
}
