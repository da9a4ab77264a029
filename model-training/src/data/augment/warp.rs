//! Sampling an image through an affine map.

use model_compiler::graph::Shape;

/// `source = matrix · result + origin`, x before y.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Affine {
    pub matrix: [[f32; 2]; 2],
    pub origin: [f32; 2],
}

impl Affine {
    pub const IDENTITY: Self = Self { matrix: [[1.0, 0.0], [0.0, 1.0]], origin: [0.0, 0.0] };

    /// The result, of `shape`, for an image of shape `from`, HWC.
    pub fn apply(&self, source: &[u8], from: Shape, shape: Shape) -> Vec<u8> {
        let mut out = Vec::with_capacity(shape.len());
        for row in 0..shape.height {
            for column in 0..shape.width {
                let at = |axis: usize| {
                    let [across, down] = self.matrix[axis];
                    across * column as f32 + down * row as f32 + self.origin[axis]
                };
                let (left, right, x) = neighbours(at(0), from.width);
                let (upper, lower, y) = neighbours(at(1), from.height);
                let pixel = |row, column| &source[(row * from.width + column) * from.channels..][..from.channels];
                let corners = [pixel(upper, left), pixel(upper, right), pixel(lower, left), pixel(lower, right)];
                for channel in 0..shape.channels {
                    let [a, b, c, d] = corners.map(|corner| f32::from(corner[channel]));
                    let (top, bottom) = (a + (b - a) * x, c + (d - c) * x);
                    out.push((top + (bottom - top) * y + 0.5) as u8);
                }
            }
        }
        out
    }
}

/// The two pixels between which `at` lies on an axis of `length` pixels, and the weight of the second. The picture goes
/// on beyond its edges mirrored, edge pixels twice.
fn neighbours(at: f32, length: usize) -> (usize, usize, f32) {
    let length = length as f32;
    let folded = (at + 0.5).rem_euclid(2.0 * length);
    let inside = folded.min(2.0 * length - folded) - 0.5;
    let first = inside.floor();
    (first.max(0.0) as usize, (first + 1.0).min(length - 1.0) as usize, inside - first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_the_image_is_its_reflection() {
        let expected = [(-1.0, 0), (-2.0, 1), (-3.0, 2), (3.0, 2), (4.0, 1), (5.0, 0), (6.0, 0), (-7.0, 0)];
        for (at, index) in expected {
            let (first, _, weight) = neighbours(at, 3);
            assert_eq!((first, weight), (index, 0.0), "at {at}");
        }
        assert_eq!(neighbours(0.75, 3), (0, 1, 0.75));
        assert_eq!(neighbours(2.25, 3), (2, 2, 0.25));
        assert_eq!(neighbours(-0.25, 3), (0, 0, 0.75));
    }
}
