//! Where the taps of a convolution meet a plane, and sums over them.

use pulp::Arch;

/// A square kernel over one plane. Taps outside the plane count as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub kernel: usize,
    pub stride: usize,
    /// Rows of padding above, columns left.
    pub padding: [usize; 2],
    /// Height and width.
    pub input: [usize; 2],
    pub output: [usize; 2],
}

/// A tap's inputs and outputs in one row, as far as they lie inside.
struct Run {
    /// Row of the kernel times its width plus column.
    tap: usize,
    /// Index of the first input; the others follow `stride` apart.
    input: usize,
    /// Index of the first output.
    output: usize,
    len: usize,
}

impl Window {
    /// Elements of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Elements of the output.
    pub fn outputs(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Elements of the input.
    pub fn inputs(&self) -> usize {
        self.input[0] * self.input[1]
    }

    #[inline(always)]
    fn for_each_run(&self, mut f: impl FnMut(Run)) {
        let ([top, left], [height, width], stride) = (self.padding, self.input, self.stride);
        for out_y in 0..self.output[0] {
            for row in 0..self.kernel {
                let Some(y) = (out_y * stride + row).checked_sub(top).filter(|&y| y < height) else { continue };
                for column in 0..self.kernel {
                    let first = left.saturating_sub(column).div_ceil(stride);
                    let end = (width + left).saturating_sub(column).div_ceil(stride).min(self.output[1]);
                    if first < end {
                        f(Run {
                            tap: row * self.kernel + column,
                            input: y * width + first * stride + column - left,
                            output: out_y * self.output[1] + first,
                            len: end - first,
                        });
                    }
                }
            }
        }
    }

    /// Adds the gradient of a depthwise convolution's input: `grad` is that of its output, `x` that of its input.
    pub fn add_input_grad(&self, weights: &[f32], grad: &[f32], x: &mut [f32]) {
        Arch::new().dispatch(|| {
            self.for_each_run(|run| {
                let weight = weights[run.tap];
                let grad = &grad[run.output..][..run.len];
                if self.stride == 1 {
                    x[run.input..][..run.len].iter_mut().zip(grad).for_each(|(x, grad)| *x += weight * grad);
                } else {
                    let x = x[run.input..].iter_mut().step_by(self.stride);
                    x.zip(grad).for_each(|(x, grad)| *x += weight * grad);
                }
            });
        });
    }

    /// Adds the gradient of a depthwise convolution's weights.
    pub fn add_weight_grad(&self, x: &[f32], grad: &[f32], weights: &mut [f64]) {
        Arch::new().dispatch(|| {
            self.for_each_run(|run| {
                let grad = &grad[run.output..][..run.len];
                let product = if self.stride == 1 {
                    dot(&x[run.input..][..run.len], grad)
                } else {
                    x[run.input..].iter().step_by(self.stride).zip(grad).map(|(x, grad)| x * grad).sum()
                };
                weights[run.tap] += f64::from(product);
            });
        });
    }

    /// Copies the inputs of each tap: row `channel · taps + tap` of `columns` has one input for each output.
    pub fn gather(&self, image: &[f32], columns: &mut [f32]) {
        let rows = columns.chunks_exact_mut(self.taps() * self.outputs());
        for (plane, rows) in image.chunks_exact(self.inputs()).zip(rows) {
            self.for_each_run(|run| {
                let row = &mut rows[run.tap * self.outputs() + run.output..][..run.len];
                if self.stride == 1 {
                    row.copy_from_slice(&plane[run.input..][..run.len]);
                } else {
                    row.iter_mut()
                        .zip(plane[run.input..].iter().step_by(self.stride))
                        .for_each(|(to, from)| *to = *from);
                }
            });
        }
    }

    /// The transpose of [`Window::gather`]: adds each element of `columns` to the input that it stands for.
    pub fn scatter(&self, columns: &[f32], image: &mut [f32]) {
        let rows = columns.chunks_exact(self.taps() * self.outputs());
        for (plane, rows) in image.chunks_exact_mut(self.inputs()).zip(rows) {
            Arch::new().dispatch(|| {
                self.for_each_run(|run| {
                    let row = &rows[run.tap * self.outputs() + run.output..][..run.len];
                    if self.stride == 1 {
                        plane[run.input..][..run.len].iter_mut().zip(row).for_each(|(to, from)| *to += from);
                    } else {
                        plane[run.input..].iter_mut().step_by(self.stride).zip(row).for_each(|(to, from)| *to += from);
                    }
                });
            });
        }
    }
}

/// Sum of products, in an order that does not depend on the processor.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut lanes = [0.0f32; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}
