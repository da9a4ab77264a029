//! Manifests of models that are of one operator.

use model_compiler::aligned::Aligned;
use model_compiler::blob::{Parts, write};
use no_std_infer::format::{Activation, Clamp, Color, Fit, ImageInput, Info, Input, InputKind, Op, Provenance, Tensor};

/// How a colour picture of any size becomes the input.
pub const ANY_IMAGE: ImageInput = ImageInput { color: Color::Rgb, fit: Fit::Stretch, mean: [0.5; 3], std: [0.25; 3] };

/// A model without labels that clamps its input to 0 and more, in the input's shape: height, width, channels.
#[must_use]
pub fn without_names(kind: InputKind, [height, width, channels]: [u16; 3]) -> Aligned<u8> {
    let input = Tensor { offset: 0, height, width, channels: channels.into(), scale: 0.5, zero_point: 0 };
    let output = Tensor { offset: input.len() as u32, ..input };
    let ops = [Op::Clamp(Clamp { input, output, activation: Activation { min: 0, max: i8::MAX } })];
    let info = Info { input: Input { tensor: input, kind }, ..info(input, output) };
    write(&Parts { info, labels: &[], ops: &ops, weights: &[], layers: None })
}

/// A manifest for a colour image.
#[must_use]
pub fn info(image: Tensor, logits: Tensor) -> Info<'static> {
    Info {
        name: "test",
        input: Input { tensor: image, kind: InputKind::Image(ANY_IMAGE) },
        logits,
        labels: 0,
        ops: 0,
        temperature: 1.0,
        provenance: Provenance::default(),
    }
}
