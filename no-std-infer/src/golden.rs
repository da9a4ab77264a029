//! The self-test: a model with a golden vector proves on the device that it computes what the host computed.

use core::fmt;

use crate::error::Error;
use crate::format::Generator;
use crate::interpreter::Interpreter;
use crate::model::{Model, tensor_crc};

/// Why a self-test failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SelfTestError {
    /// The blob holds no golden vector.
    NoGolden,
    /// The arena does not fit.
    Arena(Error),
    /// This operator's output differs from the host's, the first to do so.
    Layer(u16),
    /// The layers agree but the logits do not.
    Logits,
}

impl fmt::Display for SelfTestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SelfTestError::NoGolden => f.write_str("the blob holds no golden vector"),
            SelfTestError::Arena(error) => error.fmt(f),
            SelfTestError::Layer(index) => write!(f, "operator {index} gives other bytes than on the host"),
            SelfTestError::Logits => f.write_str("the logits are not those of the host"),
        }
    }
}

impl core::error::Error for SelfTestError {}

/// Fills a test input from a seed.
pub fn generate(generator: Generator, seed: u32, input: &mut [i8]) {
    match generator {
        Generator::Xorshift32 => {
            let mut state = seed;
            for value in input {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                *value = (state >> 24) as u8 as i8;
            }
        }
    }
}

/// Runs the model on the generated input and calls `layer(index, CRC-32 of the operator's output)` after each operator: what a
/// golden vector is made of, and compared with.
pub fn trace(
    interpreter: &mut Interpreter<'_, '_>,
    generator: Generator,
    seed: u32,
    mut layer: impl FnMut(usize, u32),
) {
    generate(generator, seed, interpreter.input_mut());
    while let Some((index, output)) = interpreter.next_output() {
        layer(index, tensor_crc(output));
    }
}

/// Runs the golden vector and compares every layer; overwrites the arena.
///
/// # Errors
/// Names the first operator whose output differs.
pub fn self_test(model: &Model<'_>, arena: &mut [i8]) -> Result<(), SelfTestError> {
    self_test_with(model, arena, &|| ())
}

/// Like [`self_test`], and calls `after` after each operator.
///
/// # Errors
/// Names the first operator whose output differs.
pub fn self_test_with(model: &Model<'_>, arena: &mut [i8], after: &dyn Fn()) -> Result<(), SelfTestError> {
    let golden = *model.golden().ok_or(SelfTestError::NoGolden)?;
    let (expected, _) = golden.layers.as_chunks::<4>();
    let mut differs = None;
    let mut interpreter = Interpreter::new(*model, arena).map_err(SelfTestError::Arena)?;
    trace(&mut interpreter, golden.generator, golden.seed, |index, crc| {
        let expected = expected.get(index).map(|bytes| u32::from_le_bytes(*bytes));
        if differs.is_none() && expected != Some(crc) {
            differs = Some(index as u16);
        }
        after();
    });
    let logits_agree = interpreter.logits().iter().map(|&value| value as u8).eq(golden.logits.iter().copied());
    match differs {
        Some(index) => Err(SelfTestError::Layer(index)),
        None if logits_agree => Ok(()),
        None => Err(SelfTestError::Logits),
    }
}
