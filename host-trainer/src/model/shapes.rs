//! Shapes of what blocks make, and what does not fit.

use anyhow::{Result, ensure};

use crate::config::{Block, Padding};
use crate::graph::Shape;

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
    let strided = |channels: usize, kernel: usize, stride: usize| {
        ensure!(channels > 0, "a block of the model has 0 channels: give it 1 or more");
        ensure!((1..256).contains(&kernel), "a convolution's kernel is {kernel}: choose 1 to 255");
        ensure!((1..256).contains(&stride), "a block's stride is {stride}: choose 1 to 255");
        Ok(Shape { height: shape.height.div_ceil(stride), width: shape.width.div_ceil(stride), channels })
    };
    match *block {
        Block::Conv { channels, kernel, stride, padding, .. } => {
            let same = strided(channels, kernel, stride)?;
            let Padding::Valid = padding else { return Ok(same) };
            check_fits("a convolution without padding", kernel, shape)?;
            let valid = |size: usize| (size - kernel) / stride + 1;
            Ok(Shape { height: valid(shape.height), width: valid(shape.width), channels })
        }
        Block::Separable { channels, stride, .. } | Block::Residual { channels, stride } => {
            strided(channels, 3, stride)
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
