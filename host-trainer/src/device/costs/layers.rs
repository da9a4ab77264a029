//! The layers that the tables are fitted to.

use anyhow::Result;
use no_std_infer::fixed::Multiplier;
use no_std_infer::format::{
    Activation, Clamp, Concat, InputKind, Lookup, Mean, Mul, Op, Pad, Provenance, ReduceMax, Reshape, Tensor,
};
use no_std_infer::operators::Form;

use crate::device::bench::flash_for;
use crate::device::bench::synthetic::{Maker, Taps};
use model_compiler::aligned::Aligned;
use model_compiler::blob::emit::{Description, Limits, emit_within};
use model_compiler::quantise::QuantModel;

/// Seed of the weights.
const SEED: u64 = 11;
/// A clamp that no packed layer may have.
const CLAMPED: Activation = Activation { min: i8::MIN, max: 126 };

/// A convolution: height, width and channels of its input, outputs, side of the kernel, stride.
type Convolution = ([u16; 3], u16, u16, u16);

/// Convolutions, packed.
const CONVOLUTIONS: [Convolution; 44] = [
    ([32, 32, 3], 16, 3, 1),
    ([32, 32, 3], 8, 3, 2),
    ([48, 40, 3], 16, 3, 2),
    ([33, 31, 3], 6, 3, 1),
    ([24, 24, 1], 16, 3, 1),
    ([40, 36, 1], 8, 3, 2),
    ([20, 10, 1], 32, 5, 2),
    ([49, 10, 1], 24, 10, 2),
    ([16, 16, 16], 16, 3, 1),
    ([16, 16, 32], 32, 3, 1),
    ([8, 8, 64], 64, 3, 1),
    ([15, 13, 16], 24, 3, 1),
    ([9, 7, 32], 20, 3, 1),
    ([16, 16, 16], 32, 3, 2),
    ([16, 16, 32], 64, 3, 2),
    ([13, 15, 24], 16, 3, 2),
    ([12, 12, 6], 12, 3, 1),
    ([11, 9, 10], 14, 3, 2),
    ([24, 20, 8], 8, 5, 1),
    ([12, 12, 8], 16, 5, 2),
    ([24, 24, 8], 16, 1, 1),
    ([24, 24, 16], 32, 1, 1),
    ([12, 12, 32], 64, 1, 1),
    ([6, 6, 64], 128, 1, 1),
    ([6, 6, 128], 128, 1, 1),
    ([3, 3, 128], 256, 1, 1),
    ([3, 3, 256], 256, 1, 1),
    ([4, 4, 96], 96, 1, 1),
    ([5, 5, 48], 40, 1, 1),
    ([7, 7, 36], 24, 1, 1),
    ([12, 12, 96], 16, 1, 1),
    ([48, 48, 4], 8, 1, 1),
    ([15, 15, 20], 10, 1, 1),
    ([16, 16, 32], 64, 1, 2),
    ([32, 32, 16], 32, 1, 2),
    ([15, 15, 24], 30, 1, 2),
    ([9, 9, 10], 15, 1, 1),
    ([10, 10, 12], 7, 3, 1),
    ([1, 1, 64], 32, 1, 1),
    ([1, 1, 128], 64, 1, 1),
    ([2, 2, 128], 64, 1, 1),
    ([3, 1, 64], 48, 1, 1),
    ([48, 48, 8], 8, 1, 1),
    ([2, 2, 64], 64, 3, 1),
];
/// Convolutions whose weights are transformed.
const TRANSFORMED: [Convolution; 17] = [
    ([32, 32, 3], 16, 3, 1),
    ([16, 16, 8], 8, 3, 1),
    ([16, 16, 16], 16, 3, 1),
    ([16, 16, 32], 32, 3, 1),
    ([8, 8, 64], 64, 3, 1),
    ([12, 12, 32], 24, 3, 1),
    ([15, 13, 16], 24, 3, 1),
    ([9, 7, 32], 20, 3, 1),
    ([6, 6, 48], 32, 3, 1),
    ([20, 21, 4], 12, 3, 1),
    ([32, 32, 3], 16, 3, 2),
    ([32, 32, 8], 8, 3, 2),
    ([32, 32, 16], 32, 3, 2),
    ([16, 16, 32], 64, 3, 2),
    ([18, 14, 12], 10, 3, 2),
    ([23, 25, 16], 12, 3, 2),
    ([12, 12, 28], 20, 3, 2),
];
/// Depthwise convolutions: height, width and channels, side of the kernel, stride.
const DEPTHWISE: [([u16; 3], u16, u16); 16] = [
    ([48, 48, 8], 3, 1),
    ([24, 24, 32], 3, 1),
    ([12, 12, 64], 3, 1),
    ([6, 6, 128], 3, 1),
    ([3, 3, 256], 3, 1),
    ([25, 5, 64], 3, 1),
    ([15, 13, 20], 3, 1),
    ([4, 8, 36], 3, 1),
    ([48, 48, 16], 3, 2),
    ([24, 24, 32], 3, 2),
    ([12, 12, 64], 3, 2),
    ([6, 6, 128], 3, 2),
    ([13, 15, 24], 3, 2),
    ([30, 22, 12], 3, 2),
    ([12, 10, 8], 5, 1),
    ([9, 12, 16], 5, 2),
];
/// Fully connected layers: inputs and outputs.
const DENSE: [[u16; 2]; 12] = [
    [64, 10],
    [64, 2],
    [256, 2],
    [256, 37],
    [128, 5],
    [512, 64],
    [1024, 16],
    [100, 12],
    [16, 100],
    [640, 128],
    [63, 9],
    [250, 6],
];
/// Poolings and means: height, width and channels, side of the window, stride.
const POOLED: [([u16; 3], u16, u16); 14] = [
    ([32, 32, 16], 2, 2),
    ([32, 32, 16], 4, 4),
    ([16, 12, 8], 4, 4),
    ([16, 16, 32], 2, 2),
    ([16, 16, 20], 2, 2),
    ([15, 15, 10], 3, 2),
    ([12, 12, 3], 3, 3),
    ([16, 16, 2], 4, 4),
    ([8, 8, 64], 8, 1),
    ([3, 3, 256], 3, 1),
    ([6, 6, 128], 6, 1),
    ([12, 12, 22], 12, 1),
    ([20, 20, 16], 20, 1),
    ([24, 24, 32], 24, 1),
];
/// What goes element by element.
const ELEMENTS: [[u16; 3]; 5] = [[32, 32, 16], [16, 16, 32], [8, 8, 64], [9, 5, 7], [4, 30, 3]];
/// Of softmax.
const CLASSES: [[u16; 3]; 5] = [[1, 1, 2], [1, 1, 10], [1, 1, 37], [1, 1, 1000], [6, 6, 5]];

/// A blob for each kind of layer and input.
///
/// # Errors
/// When one cannot be built.
pub fn blobs() -> Result<Vec<Aligned<u8>>> {
    let mut blobs = Vec::new();
    for (input, outputs, kernel, stride) in CONVOLUTIONS {
        let mut maker = Maker::new(input, SEED);
        maker.conv(0, outputs, Taps::square(kernel, stride), true)?;
        blobs.push(blob(&maker.finish(), 0)?);
    }
    for (input, outputs, kernel, stride) in TRANSFORMED {
        let mut maker = Maker::new(input, SEED);
        maker.conv(0, outputs, Taps::square(kernel, stride), true)?;
        let model = maker.finish();
        let flashes = Form::ALL.into_iter().filter_map(|form| flash_for(&model, form));
        blobs.extend(flashes.map(|flash| blob(&model, flash)).collect::<Result<Vec<_>>>()?);
    }
    for (input, kernel, stride) in DEPTHWISE {
        let mut maker = Maker::new(input, SEED);
        maker.depthwise(0, Taps::square(kernel, stride))?;
        blobs.push(blob(&maker.finish(), 0)?);
    }
    for [inputs, outputs] in DENSE {
        let mut maker = Maker::new([1, 1, inputs], SEED);
        maker.dense(0, outputs)?;
        blobs.push(blob(&maker.finish(), 0)?);
    }
    for (input, kernel, stride) in POOLED {
        blobs.push(blob(&pooled(input, Taps::square(kernel, stride)), 0)?);
    }
    for input in ELEMENTS {
        blobs.push(blob(&elements(input)?, 0)?);
        blobs.push(blob(&sums(input)?, 0)?);
    }
    for input in CLASSES {
        let mut maker = Maker::new(input, SEED);
        maker.softmax(0)?;
        blobs.push(blob(&maker.finish(), 0)?);
    }
    for (input, outputs, kernel, stride) in [([8, 8, 8], 8, 3, 1), ([12, 9, 3], 6, 3, 2), ([6, 6, 32], 16, 1, 1)] {
        let mut maker = Maker::new(input, SEED);
        maker.conv(0, outputs, Taps::square(kernel, stride), true)?;
        maker.depthwise(0, Taps::square(kernel, stride))?;
        maker.dense(0, outputs)?;
        blobs.push(blob(&unpacked(maker.finish()), 0)?);
    }
    Ok(blobs)
}

fn blob(model: &QuantModel, flash: usize) -> Result<Aligned<u8>> {
    let description =
        Description { name: "layer", labels: &[], input: InputKind::Tensor, provenance: Provenance::default() };
    Ok(emit_within(model, &description, Limits { flash, arena: None, ..Limits::default() })?.blob)
}

/// Layers that no kernel packs.
fn unpacked(mut model: QuantModel) -> QuantModel {
    for op in &mut model.ops {
        match op {
            Op::Conv2d(op) | Op::DepthwiseConv2d(op) => op.activation = CLAMPED,
            Op::Dense(op) => op.activation = CLAMPED,
            _ => {}
        }
    }
    model
}

fn pooled(input: [u16; 3], taps: Taps) -> QuantModel {
    let mut maker = Maker::new(input, SEED);
    maker.max_pool(0, taps);
    maker.average_pool(0, taps);
    let multiplier = Multiplier { mantissa: 1 << 30, shift: -4 };
    maker.other(0, [1, 1, input[2]], |input, output| Op::Mean(Mean { input, output, multiplier }));
    maker.finish()
}

/// Operators that go element by element, or move what they read.
fn elements(shape @ [height, width, channels]: [u16; 3]) -> Result<QuantModel> {
    let mut maker = Maker::new(shape, SEED);
    let table = maker.table();
    let activation = CLAMPED;
    maker.other(0, shape, |input, output| Op::Clamp(Clamp { input, output, activation }));
    let looked_up = maker.other(0, shape, |input, output| Op::Lookup(Lookup { input, output, table }));
    let flat = [1, 1, height * width * channels];
    maker.other(looked_up, flat, |input, output| Op::Reshape(Reshape { input, output }));
    let padded = [height + 2, width + 2, channels];
    let pad = |input, output| Op::Pad(Pad { input, output, top: 1, left: 1, front: 0, value: -3 });
    maker.other(0, padded, pad);
    let a = maker.tensor(0);
    maker.other(looked_up, [height, width, 2 * channels], |b, output| Op::Concat(Concat { a, b, output }));
    let multiplier = Multiplier { mantissa: 1 << 30, shift: -6 };
    let mul = |a: Tensor| move |b, output| Op::Mul(Mul { a, b, output, multiplier, activation: Activation::NONE });
    maker.other(looked_up, shape, mul(a));
    let largest = maker.other(0, [1, 1, channels], |input, output| Op::ReduceMax(ReduceMax { input, output }));
    maker.other(largest, shape, mul(a));
    maker.repeated_add(looked_up, largest)?;
    Ok(maker.finish())
}

/// Sums with one table, with two and with none.
fn sums(shape: [u16; 3]) -> Result<QuantModel> {
    let mut maker = Maker::new(shape, SEED);
    let other = maker.depthwise(0, Taps::square(1, 1))?;
    maker.add(0, other)?;
    maker.add(other, other)?;
    let mut model = maker.finish();
    let sum = model.ops.iter().find_map(|op| if let Op::Add(op) = op { Some(*op) } else { None });
    if let (Some(sum), Some(Op::Add(last))) = (sum, model.ops.last_mut()) {
        *last = no_std_infer::format::Add { output: last.output, activation: CLAMPED, ..sum };
    }
    Ok(model)
}
