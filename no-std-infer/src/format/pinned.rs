//! What blobs hold, and kernels where they cross the link, keep their bytes.

use super::*;
use crate::kernels::{Kernel, KernelSet};

/// Compares the encoding of each variant with literal bytes. A variant that is missing here does not compile.
macro_rules! pinned {
    ($name:ident: $($variant:pat = $value:expr => $bytes:expr),* $(,)?) => {{
        let _ = |value: $name| match value { $($variant => ()),* };
        $({
            let (value, bytes): ($name, &[u8]) = ($value, &$bytes);
            assert!(matches!(value, $variant));
            assert_eq!(postcard::to_slice(&value, &mut [0; 64]).unwrap(), bytes, "{value:?}");
            assert_eq!(postcard::from_bytes(bytes), Ok(value));
        })*
    }};
}

#[test]
fn what_the_manifest_names_keeps_its_bytes() {
    pinned! { Color:
        Color::Grey = Color::Grey => [0],
        Color::Rgb = Color::Rgb => [1],
    }
    pinned! { Fit:
        Fit::Stretch = Fit::Stretch => [0],
        Fit::Crop = Fit::Crop => [1],
    }
    let image = ImageInput { color: Color::Rgb, fit: Fit::Stretch, mean: [0.0; 3], std: [0.0; 3] };
    pinned! { InputKind:
        InputKind::Image(_) = InputKind::Image(image) => [&[0, 1, 0][..], &[0; 24]].concat::<u8>(),
        InputKind::Tensor = InputKind::Tensor => [1],
    }
    pinned! { Generator:
        Generator::Xorshift32 = Generator::Xorshift32 => [0],
    }
}

/// The byte that names an operator.
fn tag(op: &Op) -> u8 {
    match op {
        Op::Conv2d(_) => 0,
        Op::DepthwiseConv2d(_) => 1,
        Op::Dense(_) => 2,
        Op::MaxPool2d(_) => 3,
        Op::AveragePool2d(_) => 4,
        Op::Add(_) => 5,
        Op::Clamp(_) => 6,
        Op::Lookup(_) => 7,
        Op::Softmax(_) => 8,
        Op::Reshape(_) => 9,
        Op::Mul(_) => 10,
        Op::Mean(_) => 11,
        Op::Pad(_) => 12,
        Op::Concat(_) => 13,
        Op::Constant(_) => 14,
        Op::ReduceMax(_) => 15,
    }
}

#[test]
fn operators_and_layouts_keep_their_bytes() {
    let mut record = [0; RECORD_LEN];
    for byte in 0..=15 {
        record[0] = byte;
        let op = Op::from_record(&record).expect("zeros are fields of any operator");
        assert_eq!((tag(&op), op.to_record()[0]), (byte, byte), "{op:?}");
    }
    record[0] = 16;
    assert_eq!(Op::from_record(&record), None);

    let Some(Op::Conv2d(plain)) = Op::from_record(&[0; RECORD_LEN]) else { panic!("0 is a convolution") };
    let layouts = [Layout::Plain, Layout::Packed, Layout::Winograd2x2, Layout::Winograd4x4, Layout::WinogradStride2];
    for layout in layouts {
        let byte = match layout {
            Layout::Plain => None,
            Layout::Packed => Some(1),
            Layout::Winograd2x2 => Some(2),
            Layout::Winograd4x4 => Some(3),
            Layout::WinogradStride2 => Some(4),
        };
        let op = Op::Conv2d(Conv2d { weights: Weights { layout, ..plain.weights }, ..plain });
        // All other bytes are 0.
        assert!(op.to_record().into_iter().filter(|&byte| byte != 0).eq(byte), "{layout:?}");
    }
}

#[test]
fn kernels_keep_their_numbers() {
    let number = |kernel| match kernel {
        Kernel::Conv2d => 0,
        Kernel::Conv2dPacked => 1,
        Kernel::Conv2dWinograd2x2 => 2,
        Kernel::Conv2dWinograd4x4 => 3,
        Kernel::Conv2dWinogradStride2 => 4,
        Kernel::DepthwiseConv2d => 5,
        Kernel::DepthwiseConv2dPacked => 6,
        Kernel::Dense => 7,
        Kernel::DensePacked => 8,
        Kernel::MaxPool2d => 9,
        Kernel::AveragePool2d => 10,
        Kernel::Add => 11,
        Kernel::AddTables => 12,
        Kernel::Clamp => 13,
        Kernel::Lookup => 14,
        Kernel::Softmax => 15,
        Kernel::Reshape => 16,
        Kernel::Mul => 17,
        Kernel::Mean => 18,
        Kernel::Pad => 19,
        Kernel::Concat => 20,
        Kernel::Constant => 21,
        Kernel::ReduceMax => 22,
    };
    assert!(Kernel::ALL.into_iter().map(number).eq(0..23));
    for kernel in Kernel::ALL {
        assert_eq!(postcard::to_slice(&kernel, &mut [0; 4]).unwrap(), [number(kernel)]);
        let mut bytes = [0; 8];
        let set = postcard::to_slice(&KernelSet::NONE.with(kernel), &mut bytes).unwrap();
        assert_eq!(postcard::from_bytes(set), Ok(1_u32 << number(kernel)));
    }
}
