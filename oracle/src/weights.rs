//! Weights and parameters of a layer in the order of its definition, whatever their layout in the blob.

use alloc::vec::Vec;

use no_std_infer::format::{Conv2d, Dense, Layout};
use no_std_infer::operators::{
    ChannelParams, Channels, DENSE_BLOCK, DensePacked, DenseParams, DensePlain, Form, Packed, PackedDepthwise,
    PackedParams, Plain, Winograd, dense_position, plain_depthwise_weights, plain_weights, unpack,
};

/// A layer's constants.
pub struct Layer<P = ChannelParams> {
    /// For each output channel the weights: of each tap, row by row, those of all input channels.
    pub weights: Vec<Vec<i8>>,
    /// One entry an output channel.
    pub channels: Vec<P>,
}

/// The constants of a convolution over `inputs` channels.
pub fn layer(op: &Conv2d, section: &[u8], inputs: usize) -> Layer {
    let (taps, outputs) = (op.window.taps(), op.output.channels as usize);
    let each = |weight: &dyn Fn(usize, usize) -> i8| -> Vec<Vec<i8>> {
        (0..outputs).map(|output| (0..taps * inputs).map(|index| weight(output, index)).collect()).collect()
    };
    match (op.weights.layout, Form::of(op.weights.layout)) {
        (Layout::Plain, _) => {
            let Plain { weights, channels } = plain_weights(op, section).expect(FOUND);
            let weight = |output: usize, index: usize| weights[output * taps * inputs + index] as i8;
            Layer { weights: each(&weight), channels: channels.iter().collect() }
        }
        (_, Some(form)) => {
            let winograd = Winograd::find(section, op, form).expect(FOUND);
            let recovered: Vec<Vec<[[i8; 3]; 3]>> =
                (0..outputs).map(|output| (0..inputs).map(|input| winograd.weights(output, input)).collect()).collect();
            let weight = |output: usize, index: usize| recovered[output][index % inputs].as_flattened()[index / inputs];
            Layer { weights: each(&weight), channels: plain(winograd.channels, outputs) }
        }
        _ => {
            let packed = Packed::find(section, op).expect(FOUND);
            let halfwords = packed.words.as_chunks::<2>().0;
            let weight = |output: usize, index: usize| {
                let at = output / 2 * packed.order.pairs() * 2 + packed.order.position(index);
                half(halfwords[at], output)
            };
            Layer { weights: each(&weight), channels: plain(packed.channels, outputs) }
        }
    }
}

/// The constants of a depthwise convolution, whose output channels have one weight a tap.
pub fn depthwise_layer(op: &Conv2d, section: &[u8]) -> Layer {
    let (taps, outputs) = (op.window.taps(), op.output.channels as usize);
    if op.weights.layout == Layout::Plain {
        let Plain { weights, channels } = plain_depthwise_weights(op, section).expect(FOUND);
        let of = |output: usize| (0..taps).map(|tap| weights[tap * outputs + output] as i8).collect();
        return Layer { weights: (0..outputs).map(of).collect(), channels: channels.iter().collect() };
    }
    let packed = PackedDepthwise::find(section, op.weights, outputs).expect(FOUND);
    let weights = (0..outputs).map(|output| packed.taps(output).to_vec()).collect();
    Layer { weights, channels: plain(packed.channels, outputs) }
}

/// The constants of a fully connected layer.
pub fn dense_layer(op: &Dense, section: &[u8]) -> Layer<DenseParams> {
    let (inputs, outputs) = (op.inputs(), op.output.channels as usize);
    if op.weights.layout == Layout::Plain {
        let DensePlain { weights, channels } = DensePlain::find(op, section).expect(FOUND);
        let of = |output: usize| weights[output * inputs..][..inputs].iter().map(|&weight| weight as i8).collect();
        return Layer { weights: (0..outputs).map(of).collect(), channels: channels.iter().collect() };
    }
    let constants = DensePacked::find(op, section).expect(FOUND);
    let (blocks, channels) = (constants.blocks, constants.channels());
    let weight = |output: usize, input: usize| {
        let block = &blocks[output / DENSE_BLOCK * (inputs / DENSE_BLOCK) + input / DENSE_BLOCK];
        half(block.as_chunks::<2>().0[dense_position(output % DENSE_BLOCK, input % DENSE_BLOCK)], output)
    };
    let of = |output: usize| (0..inputs).map(|input| weight(output, input)).collect();
    Layer { weights: (0..outputs).map(of).collect(), channels: channels.iter().take(outputs).collect() }
}

const FOUND: &str = "parse proved that constants lie in the weights section";

/// The weight of an output channel in the halfword of its pair.
fn half(halfword: [u8; 2], output: usize) -> i8 {
    let (even, odd) = unpack(halfword);
    if output.is_multiple_of(2) { even } else { odd as i8 }
}

fn plain(channels: Channels<'_, PackedParams>, outputs: usize) -> Vec<ChannelParams> {
    channels.iter().take(outputs).map(PackedParams::plain).collect()
}
