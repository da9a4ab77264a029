//! Shapes of what blocks make, and what does not fit.

use anyhow::{Result, ensure};
use model_compiler::graph::{Shape, same_window, valid_window};
use no_std_infer::format::Window;

use crate::config::{Block, Padding};

/// The window of a convolution, with sizes that [`output_shape`] accepts, and the shape of its output with the input's channels.
pub(super) fn window(input: Shape, kernel: usize, stride: usize, padding: Padding) -> (Window, Shape) {
    let window = match padding {
        Padding::Same => same_window,
        Padding::Valid => valid_window,
    };
    window(input, side(kernel), side(stride))
}

/// Sizes are checked when the network is built.
pub(super) fn side(size: usize) -> u16 {
    u16::try_from(size).expect("sizes of windows are below 65,536")
}

/// Refuses a window that is larger than what it reads.
fn check_fits(what: &str, size: usize, shape: Shape) -> Result<()> {
    ensure!(
        size <= shape.height && size <= shape.width,
        "{what} of size {size} meets a feature map of only {} x {}: make the input larger or the poolings and strides \
         before it smaller",
        shape.width,
        shape.height
    );
    Ok(())
}

/// Shape of what a block makes of an input.
///
/// # Errors
/// When a size is out of range, or the block does not fit its input.
pub(super) fn output_shape(block: &Block, shape: Shape) -> Result<Shape> {
    let convolved = |channels: usize, kernel: usize, stride: usize, padding: Padding| {
        ensure!(channels > 0, "a block of the model has 0 channels: give it 1 or more");
        ensure!((1..256).contains(&kernel), "a convolution's kernel is {kernel}: choose 1 to 255");
        ensure!((1..256).contains(&stride), "a block's stride is {stride}: choose 1 to 255");
        if padding == Padding::Valid {
            check_fits("a convolution without padding", kernel, shape)?;
        }
        let (_, output) = window(shape, kernel, stride, padding);
        Ok(Shape { channels, ..output })
    };
    match *block {
        Block::Conv { channels, kernel, stride, padding, .. } => convolved(channels, kernel, stride, padding),
        Block::Separable { channels, stride, .. }
        | Block::Residual { channels, stride }
        | Block::SeparableResidual { channels, stride } => convolved(channels, 3, stride, Padding::Same),
        Block::InvertedResidual { channels, expansion, stride, .. } => {
            ensure!((1..=64).contains(&expansion), "a block's expansion is {expansion}: choose 1 to 64");
            convolved(channels, 3, stride, Padding::Same)
        }
        Block::MaxPool { size } | Block::AveragePool { size } => {
            ensure!((1..256).contains(&size), "a pooling's size is {size}: choose 1 to 255");
            check_fits("a pooling", size, shape)?;
            Ok(Shape { height: shape.height / size, width: shape.width / size, ..shape })
        }
        Block::GlobalAveragePool => {
            ensure!(
                shape.height < 256 && shape.width < 256,
                "global average pooling meets a feature map of {} x {}, at most 255 x 255 is possible: reduce it with \
                 a stride or a pooling first",
                shape.width,
                shape.height
            );
            Ok(Shape { height: 1, width: 1, ..shape })
        }
    }
}

/// Number of weights of a block that reads so many channels, without biases and batch-norm.
pub(super) fn weights(block: &Block, channels: usize) -> u64 {
    let read = channels as u64;
    match *block {
        Block::Conv { channels, kernel, .. } => (kernel as u64).pow(2) * read * channels as u64,
        Block::Separable { channels, .. } => (9 + channels as u64) * read,
        Block::Residual { channels, .. } => (10 * read + 9 * channels as u64) * channels as u64,
        Block::SeparableResidual { channels, .. } => 9 * read + (2 * read + 9 + channels as u64) * channels as u64,
        Block::InvertedResidual { channels, expansion, .. } => expansion as u64 * read * (read + 9 + channels as u64),
        Block::MaxPool { .. } | Block::AveragePool { .. } | Block::GlobalAveragePool => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_larger_than_the_map_are_refused() {
        let shape = Shape { height: 3, width: 9, channels: 2 };
        let conv = r#"{ "type": "conv", "channels": 1, "kernel": 4, "padding": "valid" }"#;
        for block in [Block::MaxPool { size: 4 }, serde_json::from_str(conv).unwrap()] {
            let error = output_shape(&block, shape).unwrap_err().to_string();
            assert!(error.contains("9 x 3"), "{error}");
        }
        let output = output_shape(&Block::MaxPool { size: 2 }, shape).unwrap();
        assert_eq!(output, Shape { height: 1, width: 4, channels: 2 });
    }
}
