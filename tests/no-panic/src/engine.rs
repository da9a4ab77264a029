//! All of `no-std-infer` that firmware calls.

use core::mem::MaybeUninit;
use core::num::NonZeroU16;

use no_std_infer::format::{Color, Fit, Signed, arena_len, number, total_len};
use no_std_infer::golden::self_test;
use no_std_infer::image::{Frame, Geometry, PixelFormat, Resize, RowSums, Rows, preprocess};
use no_std_infer::kernels::{Generic, KernelSet};
use no_std_infer::quantise::Rescale;
use no_std_infer::score::probabilities;
use no_std_infer::{Interpreter, Model};

/// Parses `blob` into `slot`; 0 on success.
#[unsafe(no_mangle)]
extern "C" fn parse(blob: &'static &'static [u8], slot: &mut MaybeUninit<Model<'static>>) -> i32 {
    #[cfg(feature = "deliberate")]
    assert!(blob[7] != 1);
    #[cfg(feature = "overflow")]
    core::hint::black_box(no_std_infer::operators::dense_position(blob.as_ptr() as usize, 0));
    match Model::parse(blob) {
        Ok(model) => {
            slot.write(model);
            0
        }
        Err(_) => 1,
    }
}

/// Runs `model` once on the target's kernels; the class, or -1 when the arena does not fit, -2 when the model rather does
/// not answer.
#[unsafe(no_mangle)]
extern "C" fn run(model: &Model<'static>, arena: &mut &mut [i8], input: &&[i8]) -> i32 {
    Interpreter::new(*model, arena).map_or(-1, |interpreter| answer(interpreter, input))
}

/// The same on the kernels for any target.
#[unsafe(no_mangle)]
extern "C" fn run_generic(model: &Model<'static>, arena: &mut &mut [i8], input: &&[i8]) -> i32 {
    Interpreter::with_kernels::<Generic>(*model, arena).map_or(-1, |interpreter| answer(interpreter, input))
}

fn answer(mut interpreter: Interpreter<'_, '_>, input: &[i8]) -> i32 {
    for (slot, &value) in interpreter.input_mut().iter_mut().zip(input) {
        *slot = value;
    }
    interpreter.run();
    interpreter.decision().map_or(-2, |class| class as i32)
}

/// Runs `model` in steps of some rows; how many there were.
#[unsafe(no_mangle)]
extern "C" fn step(model: &Model<'static>, arena: &mut &mut [i8], rows: NonZeroU16) -> i32 {
    let Ok(mut interpreter) = Interpreter::new(*model, arena) else { return -1 };
    let mut steps = 0_i32;
    while interpreter.step_rows(rows).is_some() {
        steps = steps.wrapping_add(1);
    }
    steps
}

/// Runs the blob's golden vector.
#[unsafe(no_mangle)]
extern "C" fn test(model: &Model<'static>, arena: &mut &mut [i8]) -> bool {
    self_test(model, arena).is_ok()
}

/// What a host or a person asks about a model: its operators, and its classes with their probabilities.
#[unsafe(no_mangle)]
extern "C" fn describe(model: &Model<'static>, logits: &&[i8], scores: &mut &mut [f32]) -> usize {
    probabilities(model.info(), logits, scores);
    let names = model.labels().map(str::len).fold(0, usize::wrapping_add);
    let multiplications = model.ops().fold(0_u64, |sum, op| sum.wrapping_add(op.macs()));
    names.wrapping_add(multiplications as usize).wrapping_add(model.output().len())
}

/// A picture of any pixel format, with or without gaps between its rows.
#[repr(C)]
struct Picture {
    format: u8,
    width: u32,
    height: u32,
    stride: usize,
    bytes: &'static [u8],
}

/// Crops, resizes and converts a picture.
#[unsafe(no_mangle)]
extern "C" fn resize(picture: &Picture, output: &mut &mut [i8], width: u16, height: u16, mode: u8) -> bool {
    use PixelFormat::{Grey8, Rgb565Be, Rgb565Le, Rgb888, Uyvy422, Yuv422};
    let Picture { format, width: across, height: down, stride, bytes } = *picture;
    let format = [Rgb888, Rgb565Be, Rgb565Le, Yuv422, Uyvy422, Grey8].get(usize::from(format)).copied();
    let fit = if mode & 1 == 0 { Fit::Stretch } else { Fit::Crop };
    let color = if mode & 2 == 0 { Color::Rgb } else { Color::Grey };
    let frame = format.and_then(|format| match stride {
        0 => Frame::new(format, across, down, bytes).ok(),
        stride => Frame::with_stride(format, across, down, stride, bytes).ok(),
    });
    frame.is_some_and(|frame| preprocess(&frame, fit, output, width, height, color).is_ok())
}

/// Does the same from one row at a time, of a camera that sends `rows` rows; `sizes` are the frame's and the output's.
#[unsafe(no_mangle)]
extern "C" fn resize_rows(
    row: &&[u8],
    rows: u32,
    sizes: &[u32; 4],
    output: &mut &mut [i8],
    memory: &mut &mut [RowSums],
    mode: u8,
) -> bool {
    use PixelFormat::{Grey8, Rgb565Be, Rgb565Le, Rgb888, Uyvy422, Yuv422};
    let formats = [Rgb888, Rgb565Be, Rgb565Le, Yuv422, Uyvy422, Grey8];
    let fit = if mode & 1 == 0 { Fit::Stretch } else { Fit::Crop };
    let color = if mode & 2 == 0 { Color::Rgb } else { Color::Grey };
    let &[across, down, width, height] = sizes;
    let frame = formats.get(usize::from(mode >> 2)).and_then(|&format| Geometry::new(format, across, down).ok());
    let resize = frame.and_then(|frame| Resize::new(frame, fit, width as u16, height as u16, color).ok());
    let Some(mut frame) = resize.and_then(|resize| Rows::new(resize, output, memory).ok()) else { return false };
    (0..rows).any(|_| frame.push_row(row).unwrap_or(true))
}

/// Quantises features and samples, and gives a real number back.
#[unsafe(no_mangle)]
extern "C" fn quantise(model: &Model<'static>, features: &&[f32], samples: &&[i32], output: &mut &mut [i8]) -> f32 {
    let tensor = model.info().input.tensor;
    for (slot, &feature) in output.iter_mut().zip(*features) {
        *slot = tensor.quantise(feature);
    }
    if let Some(rescale) = features.first().and_then(|&step| Rescale::new(&tensor, step)) {
        for (slot, &sample) in output.iter_mut().zip(*samples) {
            *slot = rescale.apply(sample);
        }
    }
    output.iter().map(|&value| tensor.real(value)).sum()
}

/// What is read from a blob that nobody has parsed.
#[unsafe(no_mangle)]
extern "C" fn peek(
    blob: &'static &'static [u8],
    signed: &mut Option<Signed<'static>>,
    kernels: &mut KernelSet,
) -> usize {
    *signed = Signed::find(blob);
    *kernels = KernelSet::needed_by(blob);
    let linked = kernels.iter().fold(0, |count: usize, _| count.wrapping_add(1));
    [arena_len(blob), total_len(blob), number(blob).unwrap_or(0) as usize].into_iter().fold(linked, usize::wrapping_add)
}
