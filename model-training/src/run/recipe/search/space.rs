//! What a search may try.

use no_std_infer::format::Color;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::super::candidates::Common;
use super::super::{L2, Look};
use crate::config::{Config, InputConfig, ModelConfig, Preset};
use crate::measure::search::Point;

/// Widths and heights of the inputs of networks that start from random weights.
const SIDES: [u16; 5] = [16, 24, 32, 48, 64];
/// Those of the pretrained network.
const PRETRAINED_SIDES: [u16; 2] = [64, 96];
/// Width of the pretrained network.
const PRETRAINED_WIDTH: f64 = 0.25;
/// Widths of MobileNetV1.
const MOBILENET: [f64; 4] = [0.1, 0.15, 0.25, 0.5];
/// Widths of the networks that have a depth too.
const WIDTHS: [f64; 4] = [0.125, 0.25, 0.375, 0.5];
/// Their depths.
const DEPTHS: [usize; 3] = [1, 2, 3];

/// How a network is trained: as without a configuration, by this share of the epochs. `epochs` are all of them, in place of those that
/// follow from the number of pictures.
#[must_use]
pub fn config(point: &Point, common: &Common, epochs: Option<usize>, share: f64) -> Config {
    let &Point { preset, width, depth, side, color, pretrained } = point;
    let mut config = if pretrained { common.fine_tuned(side, L2) } else { common.scratch() };
    config.input = InputConfig { width: side, height: side, color, ..config.input };
    let usual = ModelConfig::default();
    let (width, depth) = (width.unwrap_or(usual.width), depth.unwrap_or(usual.depth));
    config.model = ModelConfig { preset, width, depth, ..config.model };
    let epochs = epochs.unwrap_or(config.train.epochs) as f64 * share;
    config.train.epochs = (epochs.round() as usize).max(1);
    config
}

/// All networks that may be tried on such pictures, in the order in which they are: one of each kind in turn, those of a kind in
/// an order drawn by `seed`; the first is a `resnet8`, beside which the others are put.
#[must_use]
pub fn points(look: &Look, seed: u64) -> Vec<Point> {
    let colors = if look.grey { &[Color::Grey][..] } else { &[Color::Rgb, Color::Grey] };
    let usual = Common { base: &Config::default(), look, flips: true }.scratch().input;
    let scaled = |preset, widths: &[f64], depths: &[usize]| -> Vec<_> {
        let depths: Vec<Option<usize>> =
            if depths.is_empty() { vec![None] } else { depths.iter().copied().map(Some).collect() };
        widths.iter().flat_map(|&width| depths.iter().map(move |&depth| (preset, Some(width), depth))).collect()
    };
    let largest = look.side.max(SIDES[0].into());
    let sides: Vec<u16> = SIDES.into_iter().filter(|&side| u32::from(side) <= largest).collect();
    let kinds = [
        (vec![(Preset::Resnet8, None, None)], false),
        (scaled(Preset::Dwresnet, &WIDTHS, &DEPTHS), false),
        (scaled(Preset::Mobilenetv2, &WIDTHS, &DEPTHS), false),
        (scaled(Preset::Mobilenet, &MOBILENET, &[]), false),
        (vec![(Preset::Mobilenet, Some(PRETRAINED_WIDTH), None)], true),
        (vec![(Preset::Shallow, None, None)], false),
    ];
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut kinds = kinds.map(|(networks, pretrained)| {
        let sides = if pretrained { &PRETRAINED_SIDES[..] } else { &sides };
        let of = |&(preset, width, depth)| {
            let inputs = sides.iter().flat_map(|&side| colors.iter().map(move |&color| (side, color)));
            inputs.map(move |(side, color)| Point { preset, width, depth, side, color, pretrained })
        };
        let mut points: Vec<Point> = networks.iter().flat_map(of).collect();
        points.shuffle(&mut random);
        points
    });
    // The usual network, at the size that is nearest to its own.
    let far = |point: &Point| (point.color != usual.color, point.side.abs_diff(usual.width));
    kinds[0].sort_by_key(far);
    let longest = kinds.iter().map(Vec::len).max().unwrap_or_default();
    (0..longest).flat_map(|turn| kinds.iter().filter_map(move |kind| kind.get(turn).copied())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(side: u32, grey: bool) -> Look {
        Look { images: 600, photographs: 600, classes: 3, side, grey, drawn: false }
    }

    #[test]
    fn every_kind_comes_early_and_nothing_twice() {
        let points = points(&look(64, false), 3);
        assert_eq!((points[0].preset, points[0].side, points[0].color), (Preset::Resnet8, 32, Color::Rgb));
        for preset in [Preset::Dwresnet, Preset::Mobilenetv2, Preset::Mobilenet, Preset::Shallow] {
            assert!(points[..6].iter().any(|point| point.preset == preset && !point.pretrained), "{preset:?}");
        }
        assert_eq!(points[..6].iter().filter(|point| point.pretrained).count(), 1);
        for (index, point) in points.iter().enumerate() {
            assert!(!points[..index].contains(point), "{point}");
        }
        assert_eq!(points, super::points(&look(64, false), 3));
        assert_ne!(points, super::points(&look(64, false), 4));
    }

    #[test]
    fn pictures_are_not_enlarged_and_grey_ones_have_no_colour() {
        for point in points(&look(28, true), 1) {
            assert!(point.pretrained || point.side <= 28, "{point}");
            assert_eq!(point.color, Color::Grey);
        }
        assert!(points(&look(5, false), 1).iter().any(|point| point.side == 16));
    }

    #[test]
    fn every_point_is_a_configuration_that_a_file_holds() {
        let (base, look) = (Config { seed: 5, ..Config::default() }, look(64, false));
        let common = Common { base: &base, look: &look, flips: false };
        for point in points(&look, 1) {
            let config = config(&point, &common, Some(8), 0.25);
            assert_eq!(Config::from_toml(&toml::to_string(&config).unwrap()).unwrap(), config);
            assert_eq!((config.train.epochs, config.input.width, config.seed), (2, point.side, 5));
            assert_eq!(config.model.pretrained.is_some(), point.pretrained);
        }
        let one = config(&points(&look, 1)[0], &common, Some(1), 0.25);
        assert_eq!(one.train.epochs, 1);
    }
}
