//! Local features: blobs of a scale space, each with a description of its surroundings that does not depend on place,
//! turn, size, brightness and contrast; and what the description becomes in a mirror. After D. Lowe, "Distinctive image
//! features from scale-invariant keypoints" (2004), and R. Arandjelović and A. Zisserman, "Three things everyone should
//! know to improve object retrieval" (2012), for the square root.

use std::f32::consts::TAU;

use image::imageops::{FilterType, blur, grayscale, resize};
use image::{ImageBuffer, Luma, RgbImage};

/// Width or height, whichever is larger, at which pictures are looked at, in pixels.
pub(super) const SIDE: u32 = 256;
/// Scales an octave.
const SCALES: usize = 3;
/// Blur of the first scale in pixels.
const BASE: f32 = 1.6;
/// Blur that a picture is taken to have already.
const CAMERA: f32 = 0.5;
/// Octaves end where the smaller side falls below this.
const SMALLEST: u32 = 16;
/// Least contrast of a blob; black to white is 1.
const CONTRAST: f32 = 0.004;
/// Largest ratio of the two curvatures: edges have one direction only.
const EDGE: f32 = 10.0;
/// Most features of a picture; those of the highest contrast are kept.
const MOST: usize = 200;
/// Bins of the histogram that gives the direction.
const DIRECTIONS: usize = 36;
/// A second direction counts from this share of the first.
const SECOND: f32 = 0.8;
/// Cells across and down of a description.
const CELLS: usize = 4;
/// Directions in each cell.
const BINS: usize = 8;
/// Width of a cell in blurs.
const CELL: f32 = 3.0;
/// Samples across and down of a cell.
const SAMPLES: usize = 4;
/// Numbers of a description.
const LENGTH: usize = CELLS * CELLS * BINS;
/// Length of a description as a vector, before rounding.
pub(super) const NORM: f32 = 512.0;

/// What is seen around a feature: [`CELLS`] by [`CELLS`] cells of [`BINS`] directions.
pub(super) type Description = [u8; LENGTH];

/// A picture in grey, 0 to 1.
pub(super) type Plane = ImageBuffer<Luma<f32>, Vec<f32>>;

/// One feature.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Feature {
    /// Place in the picture of [`SIDE`] pixels.
    pub x: f32,
    /// Place in the picture of [`SIDE`] pixels.
    pub y: f32,
    /// Blur in pixels at which it stands out.
    pub scale: f32,
    /// Its direction in radians, from x to y.
    pub angle: f32,
    /// Its surroundings.
    pub description: Description,
}

/// The picture in grey, 0 to 1, [`SIDE`] pixels across or down.
pub(super) fn grey(picture: &RgbImage) -> Plane {
    let (width, height) = picture.dimensions();
    let larger = width.max(height).max(1);
    let side = |n: u32| ((n * SIDE + larger / 2) / larger).max(1);
    let grey = resize(&grayscale(picture), side(width), side(height), FilterType::Triangle);
    ImageBuffer::from_fn(grey.width(), grey.height(), |x, y| Luma([f32::from(grey.get_pixel(x, y)[0]) / 255.0]))
}

/// The features of a picture, the highest contrast first.
pub(super) fn features(picture: &Plane) -> Vec<Feature> {
    let mut blobs = Vec::new();
    let mut octaves: Vec<Vec<Plane>> = Vec::new();
    let mut base = blur(picture, (BASE * BASE - CAMERA * CAMERA).sqrt());
    while base.width().min(base.height()) >= SMALLEST {
        let scales = blurred(base);
        find_blobs(&scales, octaves.len(), &mut blobs);
        base = halved(&scales[SCALES]);
        octaves.push(scales);
    }
    blobs.sort_by(|a, b| b.contrast.total_cmp(&a.contrast));
    let mut features = Vec::with_capacity(MOST);
    for blob in blobs {
        let plane = &octaves[blob.octave][blob.level];
        for angle in directions(plane, &blob) {
            if features.len() == MOST {
                return features;
            }
            let pixel = (1 << blob.octave) as f32;
            features.push(Feature {
                x: blob.x * pixel,
                y: blob.y * pixel,
                scale: blob.scale * pixel,
                angle,
                description: describe(plane, &blob, angle),
            });
        }
    }
    features
}

/// A place where a scale space is brighter or darker than all around; lengths in pixels of its octave.
struct Blob {
    octave: usize,
    /// The scale whose blur is nearest.
    level: usize,
    x: f32,
    y: f32,
    scale: f32,
    contrast: f32,
}

/// The scales of an octave, from [`BASE`] to beyond twice that.
fn blurred(base: Plane) -> Vec<Plane> {
    let sigma = |level: usize| BASE * 2_f32.powf(level as f32 / SCALES as f32);
    let mut scales = vec![base];
    for level in 1..SCALES + 3 {
        let more = (sigma(level).powi(2) - sigma(level - 1).powi(2)).sqrt();
        scales.push(blur(&scales[level - 1], more));
    }
    scales
}

fn halved(plane: &Plane) -> Plane {
    ImageBuffer::from_fn(plane.width() / 2, plane.height() / 2, |x, y| *plane.get_pixel(2 * x, 2 * y))
}

fn find_blobs(scales: &[Plane], octave: usize, blobs: &mut Vec<Blob>) {
    let differences: Vec<Plane> = scales
        .windows(2)
        .map(|pair| {
            let values = pair[1].iter().zip(pair[0].iter()).map(|(a, b)| a - b).collect();
            ImageBuffer::from_raw(pair[0].width(), pair[0].height(), values).expect("one value a pixel")
        })
        .collect();
    let (width, height) = differences[0].dimensions();
    for level in 1..=SCALES {
        let around: [&Plane; 3] = [&differences[level - 1], &differences[level], &differences[level + 1]];
        for y in 1..height - 1 {
            for x in 1..width - 1 {
                let value = around[1].get_pixel(x, y)[0];
                if value.abs() >= CONTRAST && is_extreme(around, x, y) && !is_edge(around[1], x, y) {
                    blobs.push(refined(around, [x, y], octave, level));
                }
            }
        }
    }
}

fn is_extreme(around: [&Plane; 3], x: u32, y: u32) -> bool {
    let value = around[1].get_pixel(x, y)[0];
    let sign = value.signum();
    (0..27).filter(|&n| n != 13).all(|n| {
        let other = around[n / 9].get_pixel(x + n as u32 % 3 - 1, y + n as u32 / 3 % 3 - 1)[0];
        sign * value > sign * other
    })
}

/// Whether one curvature is more than [`EDGE`] times the other.
fn is_edge(plane: &Plane, x: u32, y: u32) -> bool {
    let at = |dx: u32, dy: u32| plane.get_pixel(x + dx - 1, y + dy - 1)[0];
    let xx = at(2, 1) + at(0, 1) - 2.0 * at(1, 1);
    let yy = at(1, 2) + at(1, 0) - 2.0 * at(1, 1);
    let xy = (at(2, 2) + at(0, 0) - at(2, 0) - at(0, 2)) / 4.0;
    let (trace, determinant) = (xx + yy, xx * yy - xy * xy);
    determinant <= 0.0 || trace * trace * EDGE >= (EDGE + 1.0).powi(2) * determinant
}

/// The place between the pixels and scales, by a parabola along each axis.
fn refined(around: [&Plane; 3], [x, y]: [u32; 2], octave: usize, level: usize) -> Blob {
    let value = around[1].get_pixel(x, y)[0];
    let top = |before: f32, after: f32| {
        let bend = before + after - 2.0 * value;
        if bend == 0.0 { 0.0 } else { ((before - after) / (2.0 * bend)).clamp(-0.5, 0.5) }
    };
    let dx = top(around[1].get_pixel(x - 1, y)[0], around[1].get_pixel(x + 1, y)[0]);
    let dy = top(around[1].get_pixel(x, y - 1)[0], around[1].get_pixel(x, y + 1)[0]);
    let ds = top(around[0].get_pixel(x, y)[0], around[2].get_pixel(x, y)[0]);
    Blob {
        octave,
        level,
        x: x as f32 + dx,
        y: y as f32 + dy,
        scale: BASE * 2_f32.powf((level as f32 + ds) / SCALES as f32),
        contrast: value.abs(),
    }
}

/// The value between four pixels; the border goes on outside.
pub(super) fn sample(plane: &Plane, x: f32, y: f32) -> f32 {
    let (width, height) = (plane.width() as usize, plane.height() as usize);
    let x = x.clamp(0.0, (width - 1) as f32);
    let y = y.clamp(0.0, (height - 1) as f32);
    let (left, top) = (x as usize, y as usize);
    let (right, bottom) = ((left + 1).min(width - 1), (top + 1).min(height - 1));
    let (fx, fy) = (x - left as f32, y - top as f32);
    let data = plane.as_raw();
    let row = |y: usize| data[y * width + left] * (1.0 - fx) + data[y * width + right] * fx;
    row(top) * (1.0 - fy) + row(bottom) * fy
}

/// One or two directions in which the picture changes most around a blob.
fn directions(plane: &Plane, blob: &Blob) -> Vec<f32> {
    let sigma = 1.5 * blob.scale;
    let reach = (3.0 * sigma).round() as i32;
    let mut histogram = [0.0_f32; DIRECTIONS];
    for dy in -reach..=reach {
        for dx in -reach..=reach {
            let squared = (dx * dx + dy * dy) as f32;
            let (x, y) = (blob.x.round() as i32 + dx, blob.y.round() as i32 + dy);
            if squared > (reach * reach) as f32
                || !(1..plane.width() as i32 - 1).contains(&x)
                || !(1..plane.height() as i32 - 1).contains(&y)
            {
                continue;
            }
            let (x, y) = (x as u32, y as u32);
            let gx = plane.get_pixel(x + 1, y)[0] - plane.get_pixel(x - 1, y)[0];
            let gy = plane.get_pixel(x, y + 1)[0] - plane.get_pixel(x, y - 1)[0];
            let weight = (-squared / (2.0 * sigma * sigma)).exp() * (gx * gx + gy * gy).sqrt();
            let bin = gy.atan2(gx).rem_euclid(TAU) / TAU * DIRECTIONS as f32;
            histogram[bin.round() as usize % DIRECTIONS] += weight;
        }
    }
    for _ in 0..2 {
        let before = histogram;
        for (bin, value) in histogram.iter_mut().enumerate() {
            let [left, right] = [DIRECTIONS - 1, 1].map(|step| before[(bin + step) % DIRECTIONS]);
            *value = (left + 2.0 * before[bin] + right) / 4.0;
        }
    }
    let mut peaks: Vec<(f32, f32)> = (0..DIRECTIONS)
        .filter_map(|bin| {
            let [left, right] = [DIRECTIONS - 1, 1].map(|step| histogram[(bin + step) % DIRECTIONS]);
            let value = histogram[bin];
            let is_peak = value > left && value >= right;
            let shift = (left - right) / (2.0 * (left + right - 2.0 * value));
            is_peak.then(|| (value, (bin as f32 + shift) / DIRECTIONS as f32 * TAU))
        })
        .collect();
    peaks.sort_by(|a, b| b.0.total_cmp(&a.0));
    let least = peaks.first().map_or(0.0, |best| SECOND * best.0);
    peaks.into_iter().take(2).filter(|peak| peak.0 >= least).map(|peak| peak.1).collect()
}

/// What is seen around a blob, in a frame turned by `angle`.
fn describe(plane: &Plane, blob: &Blob, angle: f32) -> Description {
    const ACROSS: usize = CELLS * SAMPLES;
    let step = CELL * blob.scale / SAMPLES as f32;
    let (sin, cos) = (angle.sin() * step, angle.cos() * step);
    let middle = (ACROSS - 1) as f32 / 2.0;
    let mut patch = [[0.0_f32; ACROSS + 2]; ACROSS + 2];
    for (row, values) in patch.iter_mut().enumerate() {
        for (column, value) in values.iter_mut().enumerate() {
            let (u, v) = (column as f32 - 1.0 - middle, row as f32 - 1.0 - middle);
            *value = sample(plane, blob.x + u * cos - v * sin, blob.y + u * sin + v * cos);
        }
    }
    let mut sums = [0.0_f32; LENGTH];
    for row in 0..ACROSS {
        for column in 0..ACROSS {
            let gx = patch[row + 1][column + 2] - patch[row + 1][column];
            let gy = patch[row + 2][column + 1] - patch[row][column + 1];
            let (u, v) = (column as f32 - middle, row as f32 - middle);
            let window = 2.0 * (ACROSS as f32 / 2.0).powi(2);
            let weight = (-(u * u + v * v) / window).exp() * (gx * gx + gy * gy).sqrt();
            let bin = gy.atan2(gx).rem_euclid(TAU) / TAU * BINS as f32;
            let cell = |at: f32| (at + middle + 0.5) / SAMPLES as f32 - 0.5;
            spread(&mut sums, [cell(v), cell(u)], bin, weight);
        }
    }
    rounded(&sums)
}

/// Adds a weight to the two nearest cells along each axis and the two nearest directions.
fn spread(sums: &mut [f32; LENGTH], [row, column]: [f32; 2], bin: f32, weight: f32) {
    let (top, left, first) = (row.floor(), column.floor(), bin.floor());
    for (r, row_share) in [(top, 1.0 - (row - top)), (top + 1.0, row - top)] {
        for (c, column_share) in [(left, 1.0 - (column - left)), (left + 1.0, column - left)] {
            let inside = 0.0..CELLS as f32;
            if !inside.contains(&r) || !inside.contains(&c) {
                continue;
            }
            let cell = (r as usize * CELLS + c as usize) * BINS;
            let share = weight * row_share * column_share;
            let first_bin = first as usize % BINS;
            sums[cell + first_bin] += share * (1.0 - (bin - first));
            sums[cell + (first_bin + 1) % BINS] += share * (bin - first);
        }
    }
}

/// Square roots of the shares, so that the length is [`NORM`].
fn rounded(sums: &[f32; LENGTH]) -> Description {
    let total: f32 = sums.iter().sum::<f32>().max(f32::MIN_POSITIVE);
    sums.map(|sum| ((sum / total).sqrt() * NORM).round().min(255.0) as u8)
}

/// What a description becomes when the picture is mirrored across the feature's direction.
pub(super) fn mirrored(description: &Description) -> Description {
    std::array::from_fn(|index| {
        let (row, column, bin) = (index / BINS / CELLS, index / BINS % CELLS, index % BINS);
        description[((CELLS - 1 - row) * CELLS + column) * BINS + (BINS - bin) % BINS]
    })
}
