//! What pictures are like, as far as it says how to learn from them.

use std::collections::BTreeSet;

use image::RgbImage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::data::dataset::{Dataset, Sample, picture};

/// Most pictures that are opened.
const OPENED: usize = 100;
/// Largest difference between two channels of a grey picture: JPEG rounds.
const GREY: u8 = 10;
/// Share of neighbouring pixels that are equal from which on pictures count as drawn.
const FLAT: f64 = 0.3;

/// Pixels of the shorter side up to which pictures lack what a network has learnt of photographs: edges and textures of several
/// pixels.
const TINY: u32 = 32;

/// What the pictures are like that are learnt from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Number of pictures.
    pub images: usize,
    /// Number of photographs: pictures of one group show the same.
    pub photographs: usize,
    /// Number of classes.
    pub classes: usize,
    /// Median of the shorter sides, in pixels.
    pub side: u32,
    /// Whether none of those opened has colours.
    pub grey: bool,
    /// Whether they have even areas, as drawings have.
    pub drawn: bool,
}

impl Look {
    /// Looks at the training and validation images of a split; opens some. Those that cannot be read are passed over.
    #[must_use]
    pub fn new(split: &Dataset) -> Self {
        let samples: Vec<&Sample> = split.train.iter().chain(&split.valid).collect();
        let photographs = samples.iter().map(|sample| sample.cluster()).collect::<BTreeSet<_>>().len();
        let step = samples.len().div_ceil(OPENED).max(1);
        let chosen: Vec<&Sample> = samples.iter().copied().step_by(step).collect();
        let opened =
            chosen.par_iter().filter_map(|sample| picture(&sample.path(&split.root)).ok().map(|open| of(&open)));
        let opened: Vec<Opened> = opened.collect();
        let mut sides: Vec<u32> = opened.iter().map(|one| one.side).collect();
        sides.sort_unstable();
        let flat = opened.iter().map(|one| one.flat).sum::<f64>() / opened.len().max(1) as f64;
        Self {
            images: samples.len(),
            photographs,
            classes: split.classes.len(),
            side: sides.get(sides.len() / 2).copied().unwrap_or_default(),
            grey: !opened.is_empty() && opened.iter().all(|one| one.grey),
            drawn: flat > FLAT,
        }
    }

    /// Whether what a network has seen of the world may tell nothing of these: they are drawn, or have few pixels.
    #[must_use]
    pub fn is_unlike_photographs(&self) -> bool {
        self.drawn || self.side <= TINY
    }

    /// In words: `1074 pictures of 368 photographs, 4 classes, in colour, 224 pixels or so at their shorter side`.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { images, photographs, classes, side, grey, drawn } = self;
        let copies = if photographs < images { format!(" of {photographs} photographs") } else { String::new() };
        let colour = if *grey { "grey" } else { "in colour" };
        let drawn = if *drawn { ", with even areas as drawings have" } else { "" };
        format!(
            "{images} pictures{copies}, {classes} classes, {colour}{drawn}, {side} pixels or so at their shorter side"
        )
    }
}

/// One picture.
struct Opened {
    side: u32,
    grey: bool,
    /// Share of the pixels that equal the one to the left.
    flat: f64,
}

fn of(picture: &RgbImage) -> Opened {
    let grey = picture.pixels().all(|pixel| {
        let [least, most] = [pixel.0.iter().min(), pixel.0.iter().max()];
        most.zip(least).is_some_and(|(most, least)| most - least <= GREY)
    });
    let rows = picture.as_raw().chunks_exact((picture.width() as usize * 3).max(1));
    let pairs = rows.flat_map(|row| row.chunks_exact(3).zip(row[3..].chunks_exact(3)));
    let (equal, all) = pairs.fold((0_usize, 0_usize), |(equal, all), (a, b)| (equal + usize::from(a == b), all + 1));
    Opened { side: picture.width().min(picture.height()), grey, flat: equal as f64 / all.max(1) as f64 }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn grey_and_drawn_pictures_are_told_apart() {
        let drawn = of(&RgbImage::from_pixel(20, 12, Rgb([9, 200, 30])));
        assert_eq!((drawn.side, drawn.grey, drawn.flat), (12, false, 1.0));
        let noise = of(&RgbImage::from_fn(20, 20, |x, y| Rgb([(x * 37 + y * 11) as u8; 3])));
        assert_eq!((noise.side, noise.grey, noise.flat), (20, true, 0.0));
        assert_eq!(of(&RgbImage::new(1, 1)).flat, 0.0);
    }

    #[test]
    fn drawings_and_tiny_pictures_are_unlike_photographs() {
        let look = Look { images: 9, photographs: 9, classes: 2, side: 33, grey: false, drawn: false };
        assert!(!look.is_unlike_photographs());
        assert!(Look { side: 32, ..look.clone() }.is_unlike_photographs());
        assert!(Look { drawn: true, ..look }.is_unlike_photographs());
    }

    #[test]
    fn what_was_seen_is_put_into_words() {
        let look = Look { images: 9, photographs: 4, classes: 2, side: 32, grey: true, drawn: false };
        assert_eq!(look.text(), "9 pictures of 4 photographs, 2 classes, grey, 32 pixels or so at their shorter side");
    }
}
