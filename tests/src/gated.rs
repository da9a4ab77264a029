//! A float model with the operators of today's mobile networks.

use model_compiler::import::tflite::tflite::{
    ActivationFunctionType, AddOptions, BuiltinOperator, BuiltinOptions, ConcatenationOptions, Padding, Pool2DOptions,
    SoftmaxOptions, TensorType,
};

use crate::tflite::{Maker, convolution};

/// A float model while it is made: every operator makes a new tensor.
pub struct FloatMaker {
    /// The model.
    pub maker: Maker,
}

impl FloatMaker {
    /// Starts a model with an input.
    #[must_use]
    pub fn new(input: &[i32]) -> (Self, i32) {
        let mut maker = Maker::default();
        let input = maker.tensor("picture", input, TensorType::Float32, None);
        (Self { maker }, input)
    }

    /// Adds an operator that makes `name`.
    pub fn op(
        &mut self,
        name: &str,
        shape: &[i32],
        code: BuiltinOperator,
        inputs: &[i32],
        options: Option<BuiltinOptions>,
    ) -> i32 {
        let output = self.maker.tensor(name, shape, TensorType::Float32, None);
        self.maker.op(code, inputs, output, options);
        output
    }

    /// Adds a constant.
    pub fn constant(&mut self, shape: &[i32], values: &[f32]) -> i32 {
        let tensor = self.maker.tensor("constant", shape, TensorType::Float32, None);
        self.maker.fill(tensor, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Adds a constant of sines.
    pub fn wave(&mut self, shape: &[i32], step: f32) -> i32 {
        let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i as f32 * step).sin()).collect();
        self.constant(shape, &values)
    }

    /// Adds a constant of half precision, given by its bits, and a DEQUANTIZE.
    pub fn half(&mut self, shape: &[i32], bits: &[u16]) -> i32 {
        let tensor = self.maker.tensor("half", shape, TensorType::Float16, None);
        let half = self.maker.fill(tensor, bits.iter().flat_map(|bits| bits.to_le_bytes()).collect());
        self.op("whole", shape, BuiltinOperator::Dequantize, &[half], None)
    }

    /// Adds a sum.
    pub fn add(&mut self, name: &str, shape: &[i32], inputs: [i32; 2], function: ActivationFunctionType) -> i32 {
        let options = AddOptions { fused_activation_function: function };
        self.op(name, shape, BuiltinOperator::Add, &inputs, Some(BuiltinOptions::AddOptions(Box::new(options))))
    }

    /// Adds the mean over height and width.
    pub fn mean(&mut self, name: &str, shape: &[i32], input: i32) -> i32 {
        let axes = self.maker.integers("axes", &[2], &[1, 2]);
        self.op(name, shape, BuiltinOperator::Mean, &[input, axes], None)
    }
}

/// A classifier of 8x8 pictures of 0 to 255 into three classes with a factor for each colour (in half precision),
/// a squeeze-and-excite gate, HARD_SWISH, swish, TANH, PAD before an average pooling, CONCATENATION of three tensors,
/// constants for each channel, and a sum with a vector. Gives its input and its output too.
#[must_use]
pub fn gated_classifier() -> (Maker, [i32; 2]) {
    use ActivationFunctionType::{None as Plain, Relu};
    use BuiltinOperator as Code;
    let (mut m, picture) = FloatMaker::new(&[1, 8, 8, 3]);
    // 1/128, 1/64 and 1/128.
    let factors = m.half(&[1, 1, 1, 3], &[0x2000, 0x2400, 0x2000]);
    let scaled = m.op("scaled", &[1, 8, 8, 3], Code::Mul, &[picture, factors], None);
    let (kernel, bias) = (m.wave(&[4, 3, 3, 3], 0.9), m.wave(&[4], 2.0));
    let same = convolution(Padding::Same, 2);
    let features = m.op("features", &[1, 4, 4, 4], Code::Conv2d, &[scaled, kernel, bias], same);
    let hard = m.op("hard", &[1, 4, 4, 4], Code::HardSwish, &[features], None);

    let squeezed = m.mean("squeezed", &[1, 1, 1, 4], hard);
    let (kernel, bias) = (m.wave(&[4, 1, 1, 4], 1.7), m.wave(&[4], 0.4));
    let valid = || convolution(Padding::Valid, 1);
    let excited = m.op("excited", &[1, 1, 1, 4], Code::Conv2d, &[squeezed, kernel, bias], valid());
    let gate = m.op("gate", &[1, 1, 1, 4], Code::Logistic, &[excited], None);
    let gated = m.op("gated", &[1, 4, 4, 4], Code::Mul, &[hard, gate], None);

    let (kernel, bias) = (m.wave(&[4, 1, 1, 4], 0.6), m.wave(&[4], 1.1));
    let mixed = m.op("mixed", &[1, 4, 4, 4], Code::Conv2d, &[gated, kernel, bias], valid());
    let sigmoid = m.op("sigmoid", &[1, 4, 4, 4], Code::Logistic, &[mixed], None);
    let swish = m.op("swish", &[1, 4, 4, 4], Code::Mul, &[sigmoid, mixed], None);
    let borders = m.maker.integers("borders", &[4, 2], &[0, 0, 0, 1, 1, 0, 0, 0]);
    let padded = m.op("padded", &[1, 5, 5, 4], Code::Pad, &[swish, borders], None);
    let pooling = Pool2DOptions { stride_w: 1, stride_h: 1, filter_width: 2, filter_height: 2, ..Default::default() };
    let pooling = Pool2DOptions { padding: Padding::Valid, ..pooling };
    let options = Some(BuiltinOptions::Pool2DOptions(Box::new(pooling)));
    let pooled = m.op("pooled", &[1, 4, 4, 4], Code::AveragePool2d, &[padded], options);
    let tanh = m.op("tanh", &[1, 4, 4, 4], Code::Tanh, &[mixed], None);

    let options = ConcatenationOptions { axis: -1, ..ConcatenationOptions::default() };
    let options = Some(BuiltinOptions::ConcatenationOptions(Box::new(options)));
    let joined = m.op("joined", &[1, 4, 4, 12], Code::Concatenation, &[gated, pooled, tanh], options);
    let (factors, summands) = (m.wave(&[12], 0.8), m.wave(&[1, 1, 1, 12], 1.3));
    let normed = m.op("normed", &[1, 4, 4, 12], Code::Mul, &[factors, joined], None);
    let normed = m.add("normed", &[1, 4, 4, 12], [normed, summands], Relu);
    let mean = m.mean("mean", &[1, 1, 1, 12], normed);
    let sum = m.add("sum", &[1, 4, 4, 12], [mean, normed], Plain);
    let half = m.constant(&[], &[0.5]);
    let halved = m.op("halved", &[1, 4, 4, 12], Code::Div, &[sum, half], None);

    let means = m.mean("means", &[1, 12], halved);
    let kernel = m.wave(&[3, 12], 2.3);
    let options = BuiltinOptions::FullyConnectedOptions(Box::default());
    let logits = m.op("logits", &[1, 3], Code::FullyConnected, &[means, kernel, -1], Some(options));
    let options = BuiltinOptions::SoftmaxOptions(Box::new(SoftmaxOptions { beta: 1.0 }));
    let shares = m.op("shares", &[1, 3], Code::Softmax, &[logits], Some(options));
    (m.maker, [picture, shares])
}
