//! Whether two pictures show the same where one covers the other.

use super::features::{Plane, SIDE, sample};
use super::geometry::Affine;

/// Width or height, whichever is larger, at which pictures are compared.
pub(super) const SMALL: u32 = 64;
/// Width and height of a block in pixels.
const BLOCK: u32 = 8;
/// Fewest pixels of a block that the other picture must cover.
const COVERED: usize = 32;
/// Least deviation of the brightness in a block, black to white being 1: flat blocks say nothing.
const TEXTURE: f32 = 0.01;
/// Fewest blocks that decide.
const BLOCKS: usize = 4;

/// Median of the correlation of brightness, −1 to 1, over the blocks of the first picture that the second, mapped, covers:
/// a border, a label or a lamp changes some blocks only. 0 where too little overlaps.
pub(super) fn correlation(first: &Plane, second: &Plane, map: &Affine) -> f32 {
    let (width, height) = first.dimensions();
    let corners =
        (0..height).step_by(BLOCK as usize).flat_map(|y| (0..width).step_by(BLOCK as usize).map(move |x| [x, y]));
    let mut blocks: Vec<f32> = corners.filter_map(|corner| of_block(first, second, map, corner)).collect();
    blocks.sort_by(f32::total_cmp);
    if blocks.len() < BLOCKS { 0.0 } else { blocks[blocks.len() / 2] }
}

/// Correlation in one block; `None` where it is not covered or flat.
fn of_block(first: &Plane, second: &Plane, map: &Affine, [left, top]: [u32; 2]) -> Option<f32> {
    let scale = SIDE as f32 / SMALL as f32;
    let (right, bottom) = (second.width() as f32 - 0.5, second.height() as f32 - 0.5);
    let mut pairs = Vec::with_capacity((BLOCK * BLOCK) as usize);
    for y in top..(top + BLOCK).min(first.height()) {
        for x in left..(left + BLOCK).min(first.width()) {
            let [u, v] = map.apply([x, y].map(|at| (at as f32 + 0.5) * scale - 0.5)).map(|at| (at + 0.5) / scale - 0.5);
            if (-0.5..right).contains(&u) && (-0.5..bottom).contains(&v) {
                pairs.push([first.get_pixel(x, y)[0], sample(second, u, v)]);
            }
        }
    }
    let count = pairs.len() as f32;
    let mean = [0, 1].map(|side| pairs.iter().map(|pair| pair[side]).sum::<f32>() / count);
    let moment =
        |a: usize, b: usize| pairs.iter().map(|pair| (pair[a] - mean[a]) * (pair[b] - mean[b])).sum::<f32>() / count;
    let (here, there) = (moment(0, 0).sqrt(), moment(1, 1).sqrt());
    (pairs.len() >= COVERED && here >= TEXTURE).then(|| moment(0, 1) / (here * there.max(TEXTURE)))
}
