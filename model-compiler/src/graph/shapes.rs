//! Execution of what moves elements, and of what combines tensors of different shapes.

use super::Shape;

/// `combine(a, b)` for every element of the output; a side of 1 counts for all rows, columns or channels.
pub(super) fn broadcast(
    [(a, a_shape), (b, b_shape)]: [(&[f32], Shape); 2],
    output: Shape,
    combine: impl Fn(f32, f32) -> f32,
) -> Vec<f32> {
    let at = |shape: Shape, [y, x, c]: [usize; 3]| {
        let [y, x, c] = [y.min(shape.height - 1), x.min(shape.width - 1), c.min(shape.channels - 1)];
        (y * shape.width + x) * shape.channels + c
    };
    let mut result = Vec::with_capacity(output.len());
    for y in 0..output.height {
        for x in 0..output.width {
            for c in 0..output.channels {
                result.push(combine(a[at(a_shape, [y, x, c])], b[at(b_shape, [y, x, c])]));
            }
        }
    }
    result
}

/// True when each of an operand's sides is the output's or 1, and the output's is that of an operand.
pub(super) fn broadcasts(a: Shape, b: Shape, output: Shape) -> bool {
    let sides = |shape: Shape| [shape.height, shape.width, shape.channels];
    let mut axes = sides(a).into_iter().zip(sides(b)).zip(sides(output));
    axes.all(|((a, b), output)| (a == output && (b == output || b == 1)) || (a == 1 && b == output))
}

/// The corner (row, column and channel) of `b` in `output` when `a` lies at the origin and both together fill it.
pub(super) fn second_corner(a: Shape, b: Shape, output: Shape) -> Option<[usize; 3]> {
    let sides = |shape: Shape| [shape.height, shape.width, shape.channels];
    let (a, b, output) = (sides(a), sides(b), sides(output));
    let joined = |axis: &usize| a[*axis] + b[*axis] == output[*axis];
    let kept = (0..3).filter(|&axis| a[axis] == b[axis] && a[axis] == output[axis]).count();
    let axis = (0..3).find(joined).filter(|_| kept == 2)?;
    let mut corner = [0; 3];
    corner[axis] = a[axis];
    Some(corner)
}

/// Copies `values` into `output` so that its first element lies at `corner`.
pub(super) fn place(values: &[f32], shape: Shape, corner: [usize; 3], output: &mut [f32], output_shape: Shape) {
    let [top, left, front] = corner;
    for (pixel, values) in values.chunks_exact(shape.channels).enumerate() {
        let (y, x) = (top + pixel / shape.width, left + pixel % shape.width);
        let start = (y * output_shape.width + x) * output_shape.channels + front;
        output[start..start + shape.channels].copy_from_slice(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(height: usize, width: usize, channels: usize) -> Shape {
        Shape { height, width, channels }
    }

    #[test]
    fn sides_of_one_count_for_all() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [10.0, 20.0]);
        let rows = broadcast([(&a, shape(2, 1, 2)), (&b, shape(1, 1, 2))], shape(2, 1, 2), |a, b| a * b);
        assert_eq!(rows, [10.0, 40.0, 30.0, 80.0]);
        let outer = broadcast([(&b, shape(1, 2, 1)), (&a[..2], shape(1, 1, 2))], shape(1, 2, 2), |a, b| a - b);
        assert_eq!(outer, [9.0, 8.0, 19.0, 18.0]);
        assert!(broadcasts(shape(1, 2, 1), shape(1, 1, 2), shape(1, 2, 2)));
        assert!(!broadcasts(shape(1, 2, 1), shape(1, 2, 1), shape(1, 2, 2)));
        assert!(!broadcasts(shape(1, 3, 1), shape(1, 2, 1), shape(1, 3, 1)));
    }

    #[test]
    fn the_second_part_lies_behind_the_first() {
        assert_eq!(second_corner(shape(2, 3, 4), shape(2, 3, 1), shape(2, 3, 5)), Some([0, 0, 4]));
        assert_eq!(second_corner(shape(2, 3, 4), shape(5, 3, 4), shape(7, 3, 4)), Some([2, 0, 0]));
        assert_eq!(second_corner(shape(2, 3, 4), shape(2, 2, 1), shape(2, 3, 5)), None);
        assert_eq!(second_corner(shape(2, 3, 4), shape(2, 3, 4), shape(2, 3, 4)), None);
    }

    #[test]
    fn elements_are_placed_row_by_row() {
        let mut output = vec![0.0; 12];
        place(&[1.0, 2.0], shape(2, 1, 1), [0, 1, 1], &mut output, shape(2, 3, 2));
        assert_eq!(output, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0]);
    }
}
