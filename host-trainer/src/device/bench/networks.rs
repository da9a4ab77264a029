//! The topologies of the MLPerf Tiny models, with seeded weights.

use anyhow::{Result, bail};
use model_compiler::layout::schedule::schedule_model;
use model_compiler::quantise::QuantModel;

use super::synthetic::{Maker, Taps};

/// Seed of the weights.
pub(super) const SEED: u64 = 4;

/// A topology by its name: `resnet8`, `vww` or `kws`.
///
/// # Errors
/// When there is none of that name.
pub fn network(name: &str) -> Result<QuantModel> {
    let model = match name {
        "resnet8" => resnet8()?,
        "vww" => mobilenet()?,
        "kws" => ds_cnn()?,
        _ => bail!("there is no network {name}"),
    };
    Ok(schedule_model(&model))
}

/// Image classification: three stages of two 3x3 convolutions with a shortcut.
fn resnet8() -> Result<QuantModel> {
    let mut maker = Maker::new([32, 32, 3], SEED);
    let mut x = maker.conv(0, 16, Taps::square(3, 1), true)?;
    for (channels, stride) in [(16, 1), (32, 2), (64, 2)] {
        let y = maker.conv(x, channels, Taps::square(3, stride), true)?;
        let y = maker.conv(y, channels, Taps::square(3, 1), false)?;
        let shortcut = if stride == 1 { x } else { maker.conv(x, channels, Taps::square(1, stride), false)? };
        x = maker.add(shortcut, y)?;
    }
    let x = maker.average_pool(x, Taps::square(8, 8));
    classifier(maker, x, 10)
}

/// Visual wake words: MobileNetV1 with a quarter of its channels at 96 by 96.
fn mobilenet() -> Result<QuantModel> {
    let mut maker = Maker::new([96, 96, 3], SEED);
    let mut x = maker.conv(0, 8, Taps::square(3, 2), true)?;
    let same = [(128, 1); 5];
    let stages = [&[(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)][..], &same, &[(256, 2), (256, 1)]].concat();
    for (channels, stride) in stages {
        x = maker.depthwise(x, Taps::square(3, stride))?;
        x = maker.conv(x, channels, Taps::square(1, 1), true)?;
    }
    let x = maker.average_pool(x, Taps::square(3, 3));
    classifier(maker, x, 2)
}

/// Keyword spotting: a 10x4 convolution, then four depthwise and pointwise convolutions of 64 channels.
fn ds_cnn() -> Result<QuantModel> {
    let mut maker = Maker::new([49, 10, 1], SEED);
    let mut x = maker.conv(0, 64, Taps { kernel: [10, 4], stride: 2 }, true)?;
    for _ in 0..4 {
        x = maker.depthwise(x, Taps::square(3, 1))?;
        x = maker.conv(x, 64, Taps::square(1, 1), true)?;
    }
    let x = maker.average_pool(x, Taps { kernel: [25, 5], stride: 1 });
    classifier(maker, x, 12)
}

fn classifier(mut maker: Maker, from: usize, classes: u16) -> Result<QuantModel> {
    let logits = maker.dense(from, classes)?;
    maker.softmax(logits)?;
    Ok(maker.finish())
}

#[cfg(test)]
mod tests {
    use model_compiler::layout::pack::{Price, pack};
    use no_std_infer::format::Op;
    use no_std_infer::operators::Form;

    use super::*;

    #[test]
    fn the_topologies_have_the_models_multiplications() {
        let macs = |name: &str| network(name).unwrap().ops.iter().map(|op| op.macs()).sum::<u64>();
        assert_eq!(["resnet8", "vww", "kws"].map(macs), [12_501_632, 7_489_664, 2_656_768]);
    }

    /// The transforms of a model's layers, and the instructions of its convolutions.
    fn chosen(model: &QuantModel) -> (Vec<Form>, u64) {
        let (mut forms, mut instructions) = (Vec::new(), 0);
        for op in &model.ops {
            let Op::Conv2d(op) = op else { continue };
            forms.extend(Form::of(op.weights.layout));
            instructions += Price::new(op, Form::of(op.weights.layout)).instructions;
        }
        (forms, instructions)
    }

    #[test]
    fn a_budget_is_kept_and_buys_transformed_weights() {
        use Form::{F2x2, F4x4, Stride2};

        let model = network("resnet8").unwrap();
        let [smallest, fastest] = [0, usize::MAX].map(|flash| pack(&model, flash));
        let (forms, least) = chosen(&fastest);
        assert_eq!(forms, [F2x2, F4x4, F4x4, Stride2, F4x4, Stride2, F4x4]);
        let (forms, most) = chosen(&smallest);
        assert!(forms.is_empty() && most > 2 * least);
        let (mut kinds, mut before) = (std::collections::BTreeSet::new(), most);
        for flash in (smallest.constants.len()..fastest.constants.len()).step_by(1000) {
            let packed = pack(&model, flash);
            let (forms, instructions) = chosen(&packed);
            assert!(packed.constants.len() <= flash && (least + 1..=before).contains(&instructions));
            before = instructions;
            kinds.insert([F2x2, F4x4, Stride2].map(|form| forms.iter().filter(|&&chosen| chosen == form).count()));
        }
        assert!(kinds.len() > 8 && kinds.contains(&[1, 0, 0]), "{kinds:?}");
        assert_eq!(pack(&model, fastest.constants.len()), fastest);
    }
}
