//! Writes small TensorFlow Lite models.

use model_compiler::import::tflite::tflite::{
    BuiltinOperator, BuiltinOptions, Conv2DOptions, Padding, SoftmaxOptions, TensorType,
};

/// Writes a model tensor by tensor.
pub use model_compiler::export::writer::Writer as Maker;

/// Options of a convolution with a stride.
#[must_use]
pub fn convolution(padding: Padding, stride: i32) -> Option<BuiltinOptions> {
    let options = Conv2DOptions { padding, stride_h: stride, stride_w: stride, ..Conv2DOptions::default() };
    Some(BuiltinOptions::Conv2DOptions(Box::new(options)))
}

/// A classifier of 8x8 pictures into three classes: QUANTIZE, PAD, CONV_2D, RELU, FULLY_CONNECTED, SOFTMAX, DEQUANTIZE.
#[must_use]
pub fn classifier() -> Maker {
    let mut maker = Maker::default();
    let real = maker.tensor("picture", &[1, 8, 8, 3], TensorType::Float32, None);
    let input = maker.int8("quantised", &[1, 8, 8, 3], 1.0 / 255.0, -128);
    let borders = maker.integers("borders", &[4, 2], &[0, 0, 1, 0, 1, 0, 0, 0]);
    let padded = maker.int8("padded", &[1, 9, 9, 3], 1.0 / 255.0, -128);
    let weights = maker.int8("kernel", &[2, 3, 3, 3], 0.01, 0);
    let weights = maker.fill(weights, (0..54_u8).map(|i| i.wrapping_mul(37)).collect());
    let bias = maker.integers("bias", &[2], &[100, -50]);
    let features = maker.int8("features", &[1, 4, 4, 2], 0.02, -10);
    let rectified = maker.int8("rectified", &[1, 4, 4, 2], 0.015, -128);
    let dense = maker.int8("dense kernel", &[3, 32], 0.02, 0);
    let dense = maker.fill(dense, (0..96_u8).map(|i| i.wrapping_mul(91)).collect());
    let logits = maker.int8("logits", &[1, 3], 0.1, 5);
    let shares = maker.int8("shares", &[1, 3], 1.0 / 256.0, -128);
    let output = maker.tensor("probabilities", &[1, 3], TensorType::Float32, None);

    maker.op(BuiltinOperator::Quantize, &[real], input, None);
    maker.op(BuiltinOperator::Pad, &[input, borders], padded, None);
    maker.op(BuiltinOperator::Conv2d, &[padded, weights, bias], features, convolution(Padding::Valid, 2));
    maker.op(BuiltinOperator::Relu, &[features], rectified, None);
    let options = BuiltinOptions::FullyConnectedOptions(Box::default());
    maker.op(BuiltinOperator::FullyConnected, &[rectified, dense, -1], logits, Some(options));
    let options = BuiltinOptions::SoftmaxOptions(Box::new(SoftmaxOptions { beta: 1.0 }));
    maker.op(BuiltinOperator::Softmax, &[logits], shares, Some(options));
    maker.op(BuiltinOperator::Dequantize, &[shares], output, None);
    maker
}

/// The [`classifier`]'s input and output.
pub const ENDS: [i32; 2] = [0, 11];

/// A float classifier of 8x8 pictures of 0 to 255 into three classes: MUL, CONV_2D, RELU, MEAN, FULLY_CONNECTED, SOFTMAX.
#[must_use]
pub fn float_classifier() -> Maker {
    let mut maker = Maker::default();
    let float = |maker: &mut Maker, name: &str, shape: &[i32]| maker.tensor(name, shape, TensorType::Float32, None);
    let constant = |maker: &mut Maker, name: &str, shape: &[i32], values: Vec<f32>| {
        let tensor = maker.tensor(name, shape, TensorType::Float32, None);
        maker.fill(tensor, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    };
    let wave = |len: i32, step: f32| (0..len).map(|i| (i as f32 * step).sin()).collect();
    let input = float(&mut maker, "picture", &[1, 8, 8, 3]);
    let factor = constant(&mut maker, "factor", &[], vec![1.0 / 255.0]);
    let scaled = float(&mut maker, "scaled", &[1, 8, 8, 3]);
    let kernel = constant(&mut maker, "kernel", &[4, 3, 3, 3], wave(108, 0.9));
    let bias = constant(&mut maker, "bias", &[4], vec![0.5, -0.5, 1.0, 0.0]);
    let features = float(&mut maker, "features", &[1, 4, 4, 4]);
    let rectified = float(&mut maker, "rectified", &[1, 4, 4, 4]);
    let axes = maker.integers("axes", &[2], &[1, 2]);
    let means = float(&mut maker, "means", &[1, 4]);
    let dense = constant(&mut maker, "dense kernel", &[3, 4], wave(12, 2.3));
    let logits = float(&mut maker, "logits", &[1, 3]);
    let shares = float(&mut maker, "shares", &[1, 3]);

    let options = BuiltinOptions::MulOptions(Box::default());
    maker.op(BuiltinOperator::Mul, &[input, factor], scaled, Some(options));
    maker.op(BuiltinOperator::Conv2d, &[scaled, kernel, bias], features, convolution(Padding::Same, 2));
    maker.op(BuiltinOperator::Relu, &[features], rectified, None);
    maker.op(BuiltinOperator::Mean, &[rectified, axes], means, None);
    let options = BuiltinOptions::FullyConnectedOptions(Box::default());
    maker.op(BuiltinOperator::FullyConnected, &[means, dense, -1], logits, Some(options));
    let options = BuiltinOptions::SoftmaxOptions(Box::new(SoftmaxOptions { beta: 1.0 }));
    maker.op(BuiltinOperator::Softmax, &[logits], shares, Some(options));
    maker
}

/// The [`float_classifier`]'s input and output.
pub const FLOAT_ENDS: [i32; 2] = [0, 11];
