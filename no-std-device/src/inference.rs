//! One picture through the network, with the cost of each step.

use crate::link::{Failure, Picture};
use no_std_infer::image::{Frame, preprocess};
use no_std_infer::{Interpreter, Model};

use crate::board::Clock;

/// What one inference cost in [`Clock::UNIT`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Costs {
    /// From the camera's frame to the input; 0 when the input came as it is.
    pub preprocessing: u64,
    /// The network.
    pub network: u64,
}

/// Runs the model on a picture, feeds the watchdog and calls `layer(index, cost)` after each operator.
///
/// # Errors
/// [`Failure::InputLength`], [`Failure::Picture`], [`Failure::NoPictures`]; [`Failure::Model`] when the arena does not fit.
pub fn infer<'m, 'a>(
    clock: &impl Clock,
    model: &'m Model<'m>,
    arena: &'a mut [i8],
    picture: Picture<'_>,
    mut layer: impl FnMut(usize, u32),
) -> Result<(Interpreter<'m, 'a>, Costs), Failure> {
    let mut interpreter = Interpreter::new(*model, arena).map_err(|_| Failure::Model)?;
    let start = clock.now();
    load(model, picture, interpreter.input_mut())?;
    let loaded = clock.now();
    let mut before = loaded;
    while let Some(step) = interpreter.step() {
        layer(step.operator, clock.now().saturating_sub(before) as u32);
        clock.feed();
        before = clock.now();
    }
    let preprocessing = if let Picture::Input(_) = picture { 0 } else { loaded - start };
    Ok((interpreter, Costs { preprocessing, network: before - loaded }))
}

/// Turns a picture into the network's input.
fn load(model: &Model<'_>, picture: Picture<'_>, input: &mut [i8]) -> Result<(), Failure> {
    match picture {
        Picture::Input(bytes) => {
            if bytes.len() != input.len() {
                return Err(Failure::InputLength { expected: input.len() as u32, found: bytes.len() as u32 });
            }
            for (slot, &byte) in input.iter_mut().zip(bytes) {
                *slot = byte as i8;
            }
            Ok(())
        }
        Picture::Frame { format, width, height, bytes } => {
            let frame = Frame::new(format, width.into(), height.into(), bytes).map_err(|_| Failure::Picture)?;
            load_frame(model, &frame, input)
        }
    }
}

/// Crops and resizes a camera's frame into the network's input.
///
/// # Errors
/// [`Failure::Picture`], [`Failure::NoPictures`].
pub fn load_frame(model: &Model<'_>, frame: &Frame<'_>, input: &mut [i8]) -> Result<(), Failure> {
    let want = &model.info().input;
    let (tensor, image) = (&want.tensor, want.kind.image().ok_or(Failure::NoPictures)?);
    preprocess(frame, image.fit, input, tensor.width, tensor.height, image.color).map_err(|_| Failure::Picture)
}
