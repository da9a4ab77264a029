//! Decoded images of one size.

use std::borrow::Cow;

use model_compiler::graph::Shape;

use super::pixels::{Pixels, Slot};

/// Images of one size, in the order of their samples. Copies share the pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Of each image; 1 or 3 channels.
    pub shape: Shape,
    /// HWC; none of images that were not [decoded](Reading::train).
    pixels: Vec<Option<Slot>>,
    /// The class of each image.
    pub labels: Vec<usize>,
}

impl Images {
    /// No image yet.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        Self { shape, pixels: Vec::new(), labels: Vec::new() }
    }

    /// Images whose pixels lie one after the other, each HWC.
    ///
    /// # Panics
    /// When there is not one image a label.
    #[must_use]
    pub fn of_pixels(shape: Shape, pixels: &[u8], labels: &[usize]) -> Self {
        assert_eq!(pixels.len(), labels.len() * shape.len(), "an image of {shape:?} a label");
        let pixels = Pixels::of(pixels.to_vec(), shape.len()).slots(labels.len()).map(Some).collect();
        Self { shape, pixels, labels: labels.to_vec() }
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of one image, HWC.
    ///
    /// # Panics
    /// When there is no image of that index, or it was not decoded, or the file of decoded images cannot be read any more.
    #[must_use]
    pub fn image(&self, index: usize) -> Cow<'_, [u8]> {
        let slot = self.pixels[index].as_ref().expect("an image that was decoded");
        slot.read().expect("the decoded images, in the folder of `--cache`, can be read")
    }

    /// One image as the int8 network takes it: `pixel − 128`.
    ///
    /// # Panics
    /// When there is no image of that index, or it was not decoded.
    #[must_use]
    pub fn input(&self, index: usize) -> Vec<i8> {
        self.image(index).iter().map(|&pixel| (pixel ^ 0x80) as i8).collect()
    }

    /// Mean and standard deviation of each channel over all pixels of all images, from exact integer sums, so that the
    /// order of the images has no influence.
    ///
    /// # Panics
    /// When an image was not decoded.
    #[must_use]
    pub fn statistics(&self) -> Vec<ChannelStatistics> {
        let mut sums = vec![(0_u64, 0_u64); self.shape.channels];
        for image in (0..self.len()).map(|index| self.image(index)) {
            for pixel in image.chunks_exact(self.shape.channels) {
                for ((sum, squares), &value) in sums.iter_mut().zip(pixel) {
                    *sum += u64::from(value);
                    *squares += u64::from(value).pow(2);
                }
            }
        }
        let count = (self.len() * self.shape.height * self.shape.width).max(1);
        sums.into_iter()
            .map(|(sum, squares)| {
                let variance = count as u128 * u128::from(squares) - u128::from(sum).pow(2);
                let scale = count as f64 * 255.0;
                ChannelStatistics { mean: sum as f64 / scale, std: ((variance as f64).sqrt() / scale).max(1.0 / 255.0) }
            })
            .collect()
    }

    /// The images with these indices, in their order.
    ///
    /// # Panics
    /// When there is no image of an index.
    #[must_use]
    pub fn only(&self, indices: &[usize]) -> Self {
        let mut images = Self::new(self.shape);
        indices.iter().for_each(|&index| images.take(self, index));
        images
    }

    pub(super) fn add(&mut self, pixels: Option<Slot>, label: usize) {
        self.pixels.push(pixels);
        self.labels.push(label);
    }

    /// Adds one of other images.
    pub fn take(&mut self, from: &Self, index: usize) {
        self.add(from.pixels[index].clone(), from.labels[index]);
    }
}

/// Mean and standard deviation of one channel's pixels, where black is 0 and white is 1.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ChannelStatistics {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, at least 1/255, so that one can divide by it.
    pub std: f64,
}
