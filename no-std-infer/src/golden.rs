//! The self-test: a model with a golden vector proves on the device that it computes what the host computed.

use core::fmt;

use crate::CRC32;
use crate::error::Error;
use crate::format::Generator;
use crate::interpreter::{Interpreter, Step};
use crate::model::Model;

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

/// CRC-32 of an operator's output, as it stands when the operator is complete: what a golden vector and a trace hold.
#[must_use]
pub fn checksum(output: &[i8]) -> u32 {
    let mut digest = CRC32.digest();
    for &value in output {
        digest.update(&[value as u8]);
    }
    digest.finalize()
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
    while let Some(Step { operator, .. }) = interpreter.step() {
        layer(operator, checksum(interpreter.output_of(operator)));
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
    let mut interpreter = Interpreter::new(*model, arena).map_err(SelfTestError::Arena)?;
    let mut test = SelfTest::begin(&mut interpreter)?;
    while let Some(step) = interpreter.step() {
        test.check(&interpreter, step);
        after();
    }
    test.outcome(&interpreter)
}

/// A self-test whose steps the caller takes, of whatever length, so that something else runs in between.
///
/// ```
/// use no_std_infer::golden::SelfTest;
/// use no_std_infer::{Arena, Interpreter, Model, format::arena_len, include_model};
///
/// const MODEL: &[u8] = include_model!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/tiny.blob"));
/// let mut arena = Arena::<{ arena_len(MODEL) }>::new();
/// let mut interpreter = Interpreter::new(Model::parse(MODEL)?, &mut arena)?;
/// let mut test = SelfTest::begin(&mut interpreter)?;
/// while let Some(step) = interpreter.step() {
///     test.check(&interpreter, step);
/// }
/// test.outcome(&interpreter)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SelfTest {
    // The manifest counts operators in 16 bits.
    differs: Option<u16>,
}

impl SelfTest {
    /// Makes the golden vector's input the network's.
    ///
    /// # Errors
    /// [`SelfTestError::NoGolden`].
    pub fn begin(interpreter: &mut Interpreter<'_, '_>) -> Result<Self, SelfTestError> {
        let golden = *interpreter.model().golden().ok_or(SelfTestError::NoGolden)?;
        generate(golden.generator, golden.seed, interpreter.input_mut());
        Ok(Self { differs: None })
    }

    /// Compares what the operator has made, when it is complete. To be called after each step, before the next.
    pub fn check(&mut self, interpreter: &Interpreter<'_, '_>, step: Step) {
        if step.complete && self.differs.is_none() {
            let layers = interpreter.model().golden().map_or(&[][..], |golden| golden.layers);
            let expected = layers.as_chunks().0.get(step.operator).map(|bytes| u32::from_le_bytes(*bytes));
            let made = checksum(interpreter.output_of(step.operator));
            self.differs = (expected != Some(made)).then_some(step.operator as u16);
        }
    }

    /// What the test has shown when all operators have run.
    ///
    /// # Errors
    /// Names the first operator whose output differs.
    pub fn outcome(&self, interpreter: &Interpreter<'_, '_>) -> Result<(), SelfTestError> {
        let expected = interpreter.model().golden().map_or(&[][..], |golden| golden.logits);
        let logits_agree = interpreter.logits().iter().map(|&value| value as u8).eq(expected.iter().copied());
        match self.differs {
            Some(index) => Err(SelfTestError::Layer(index)),
            None if logits_agree => Ok(()),
            None => Err(SelfTestError::Logits),
        }
    }
}
