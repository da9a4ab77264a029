//! Fits the tables to counts: least squares of relative errors, with factors of 0 and above.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use super::{Costs, FIGURES, Work};
use crate::device::cycles::{Caches, Region};

/// What was counted of an operator: instructions, low, nominal and high cycles, and lines fetched.
pub type Count = [u64; FIGURES + 1];

/// What counts of a region.
#[must_use]
pub fn count(region: &Region) -> Count {
    let lines = region.instruction_misses + region.data_misses;
    [region.instructions, region.cycles.low, region.cycles.nominal, region.cycles.high, lines]
}

/// Rounds over all factors.
const ROUNDS: usize = 20_000;
/// Figures below this count as this large where errors are weighed: a thousand instructions of an operator matter to nobody.
const LEAST: f64 = 300.0;
/// Decimal places of a factor.
const PLACES: f64 = 1e4;
/// Instructions from which an operator's error counts.
const LARGE: u64 = 10_000;

/// An operator that was counted behind each of the caches.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What its kernel does.
    pub work: Work,
    /// What that takes, in the order of the caches.
    pub counts: Vec<Count>,
}

/// The tables that fit samples best.
///
/// # Errors
/// When a sample was not counted behind each of the caches.
pub fn fit(compiler: &str, caches: &[Caches], samples: &[Sample]) -> Result<Costs> {
    ensure!(
        samples.iter().all(|sample| sample.counts.len() == caches.len()),
        "an operator was not counted behind all caches"
    );
    let mut by_kernel: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    samples.iter().for_each(|sample| by_kernel.entry(sample.work.kernel).or_default().push(sample));
    let kernels = by_kernel.iter().map(|(kernel, samples)| ((*kernel).to_owned(), loops(caches, samples)));
    let mut costs =
        Costs { compiler: compiler.to_owned(), error: 0.0, caches: caches.to_vec(), kernels: kernels.collect() };
    costs.error = largest_error(&costs, samples);
    Ok(costs)
}

/// The factors of one kernel's loops.
fn loops(caches: &[Caches], samples: &[&Sample]) -> BTreeMap<String, Vec<f64>> {
    let names: BTreeSet<&str> = samples.iter().flat_map(|sample| &sample.work.counts).map(|&(name, _)| name).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let mut loops: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for figure in 0..FIGURES + caches.len() {
        let behind = figure.checked_sub(FIGURES).map(|index| (index, caches[index]));
        let row = |sample: &&Sample| -> Vec<f64> {
            let count = |name: &&str| {
                sample.work.counts.iter().filter(|(of, _)| of == name).map(|&(_, count)| count).sum::<f64>()
            };
            names.iter().map(count).collect()
        };
        let counted = |sample: &&Sample| {
            let counted = sample.counts[behind.map_or(0, |(index, _)| index)][figure.min(FIGURES)] as f64;
            behind.map_or(counted, |(_, caches)| f64::max(0.0, counted - sample.work.lines_again(caches)))
        };
        let weight = |sample: &&Sample| {
            let instructions = sample.counts[0][0] as f64;
            // Lines cost several cycles each: a hundredth of the instructions is as much as they may be wrong by.
            1.0 / (if behind.is_some() { counted(sample).max(instructions / 50.0) } else { instructions }).max(LEAST)
        };
        let rows: Vec<Vec<f64>> =
            samples.iter().map(|sample| row(sample).iter().map(|count| count * weight(sample)).collect()).collect();
        let wanted: Vec<f64> = samples.iter().map(|sample| counted(sample) * weight(sample)).collect();
        for (name, factor) in names.iter().zip(least_squares(&rows, &wanted)) {
            let figures = loops.entry((*name).to_owned()).or_default();
            figures.push((factor * PLACES).round() / PLACES);
        }
    }
    loops.retain(|_, figures| figures.iter().any(|&figure| figure != 0.0));
    loops
}

/// The factors, 0 and above, whose sums over each row come closest to what is wanted: each in turn gets its best value, given
/// the others.
fn least_squares(rows: &[Vec<f64>], wanted: &[f64]) -> Vec<f64> {
    let count = rows.first().map_or(0, Vec::len);
    let product = |a: usize, b: usize| rows.iter().map(|row| row[a] * row[b]).sum::<f64>();
    let products: Vec<Vec<f64>> = (0..count).map(|a| (0..count).map(|b| product(a, b)).collect()).collect();
    let targets: Vec<f64> =
        (0..count).map(|a| rows.iter().zip(wanted).map(|(row, wanted)| row[a] * wanted).sum()).collect();
    let mut factors = vec![0.0; count];
    for _ in 0..ROUNDS {
        for index in 0..count {
            let own = products[index][index];
            if own > 0.0 {
                let sum: f64 = products[index].iter().zip(&factors).map(|(product, factor)| product * factor).sum();
                factors[index] = f64::max(0.0, factors[index] + (targets[index] - sum) / own);
            }
        }
    }
    factors
}

/// The largest relative error of the instructions of an operator that takes many.
fn largest_error(costs: &Costs, samples: &[Sample]) -> f64 {
    let error = |sample: &Sample| {
        let counted = sample.counts.first().map_or(0, |count| count[0]);
        let loops = &costs.kernels[sample.work.kernel];
        let of = |&(name, count): &(&str, f64)| count * loops.get(name).map_or(0.0, |figures| figures[0]);
        let modelled: f64 = sample.work.counts.iter().map(of).sum();
        if counted < LARGE { 0.0 } else { (modelled / counted as f64 - 1.0).abs() }
    };
    let largest = samples.iter().map(error).fold(0.0, f64::max);
    (largest * PLACES).ceil() / PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_found_and_none_is_negative() {
        let rows: Vec<Vec<f64>> = (1..9).map(|n| vec![1.0, f64::from(n), f64::from(n * n)]).collect();
        let wanted: Vec<f64> = rows.iter().map(|row| 5.0 * row[0] + 2.0 * row[2]).collect();
        let found = least_squares(&rows, &wanted);
        let expected = [5.0, 0.0, 2.0];
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.01), "{found:?}");
        let falling: Vec<f64> = rows.iter().map(|row| 100.0 - row[1]).collect();
        assert!(least_squares(&rows, &falling).iter().all(|&factor| factor >= 0.0));
    }

    #[test]
    fn a_kernel_that_is_linear_is_fitted_without_error() {
        let caches = [Caches::default()];
        let sample = |count: u64| {
            let counts = vec![("operator", 1.0), ("element", count as f64)];
            let counted = [1000 + 3 * count, 4 * count, 5 * count, 6 * count, count / 8];
            Sample { work: Work::new("test", &[]).with(counts), counts: vec![counted] }
        };
        let samples: Vec<Sample> = [800, 4000, 16_000, 80_000].map(sample).to_vec();
        let costs = fit("rustc", &caches, &samples).unwrap();
        let element = &costs.kernels["test"]["element"];
        let expected = [3.0, 4.0, 5.0, 6.0, 0.125];
        assert!(element.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.02), "{costs:?}");
        assert!(costs.error < 0.01, "{}", costs.error);
        assert!(fit("rustc", &[], &samples).is_err());
    }
}
