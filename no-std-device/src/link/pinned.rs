//! What crosses the link keeps its bytes, and `docs/link.md` says the same.

use std::format;
use std::string::String;
use std::vec::Vec;

use no_std_infer::image::PixelFormat;
use no_std_infer::kernels::{Kernel, KernelSet};

use super::*;

const PAGE: &str = include_str!("../../../docs/link.md");

/// Compares the encoding of each variant with literal bytes, and its number and name with the page. A variant that is
/// missing here does not compile.
macro_rules! pinned {
    ($name:ident: $($variant:pat = $value:expr => $bytes:expr),* $(,)?) => {{
        let _ = |value: $name| match value { $($variant => ()),* };
        let mut names = Vec::<String>::new();
        $({
            let (value, bytes): ($name, &[u8]) = ($value, &$bytes);
            assert!(matches!(value, $variant));
            assert_eq!(postcard::to_slice(&value, &mut [0; 128]).unwrap(), bytes, "{value:?}");
            assert_eq!(postcard::from_bytes(bytes), Ok(value));
            let shown = format!("{value:?}");
            names.push(format!("{} {}", bytes[0], shown.split([' ', '(']).next().unwrap()));
        })*
        let row = format!("\n| {} | {} |\n", stringify!($name), names.join(", "));
        assert!(PAGE.contains(&row), "docs/link.md lacks{row}");
    }};
}

#[test]
fn the_page_is_of_this_version() {
    assert!(PAGE.contains(&format!("this is version\n{PROTOCOL} of the protocol.")));
}

#[test]
fn requests_keep_their_bytes() {
    pinned! { Request:
        Request::Hello = Request::Hello => [0],
        Request::Infer(_) = Request::Infer(Picture::Input(&[7])) => [1, 0, 1, 7],
        Request::SelfTest = Request::SelfTest => [2],
        Request::Update(_) = Request::Update(Update::Write { offset: 5, bytes: &[] }) => [3, 1, 5, 0],
        Request::Look { .. } = Request::Look { after: 300 } => [4, 0xAC, 2],
        Request::Read { .. } =
            Request::Read { sequence: 300, what: Shown::Input, offset: 5, len: 6 } => [5, 0xAC, 2, 1, 5, 6],
        Request::Trace(_) = Request::Trace(Picture::Input(&[7])) => [6, 0, 1, 7],
        Request::Excerpt { .. } =
            Request::Excerpt { of: Excerpt { operator: 1, offset: 300, len: 2 }, picture: Picture::Input(&[7]) } =>
            [7, 1, 0xAC, 2, 2, 0, 1, 7],
    }
    pinned! { Shown:
        Shown::Frame = Shown::Frame => [0],
        Shown::Input = Shown::Input => [1],
    }
    pinned! { Picture:
        Picture::Input(_) = Picture::Input(&[8, 9]) => [0, 2, 8, 9],
        Picture::Frame { .. } =
            Picture::Frame { format: PixelFormat::Grey8, width: 1, height: 2, bytes: &[8, 9] } => [1, 4, 1, 2, 2, 8, 9],
    }
    pinned! { PixelFormat:
        PixelFormat::Rgb888 = PixelFormat::Rgb888 => [0],
        PixelFormat::Rgb565Be = PixelFormat::Rgb565Be => [1],
        PixelFormat::Rgb565Le = PixelFormat::Rgb565Le => [2],
        PixelFormat::Yuv422 = PixelFormat::Yuv422 => [3],
        PixelFormat::Grey8 = PixelFormat::Grey8 => [4],
        PixelFormat::Uyvy422 = PixelFormat::Uyvy422 => [5],
    }
    let blob = Identity { len: 300, sha256: [6; 32] };
    let begin = [&[0, 0xAC, 2, 32][..], &[6; 32], &[0]].concat();
    let commit = [&[2, 0xAC, 2, 32][..], &[6; 32]].concat();
    pinned! { Update:
        Update::Begin { .. } = Update::Begin { blob, credentials: None } => begin,
        Update::Write { .. } = Update::Write { offset: 0, bytes: &[6] } => [1, 0, 1, 6],
        Update::Commit { .. } = Update::Commit { blob } => commit,
        Update::Confirm = Update::Confirm => [3],
        Update::Rollback = Update::Rollback => [4],
    }
    let credentials = Credentials { key: &[1; 32], signature: &[2; 64], number: 300, content: [4; 32] };
    let bytes = [&[32][..], &[1; 32], &[64], &[2; 64], &[0xAC, 2, 32], &[4; 32]].concat();
    assert_eq!(postcard::to_slice(&credentials, &mut [0; 256]).unwrap(), bytes);
    assert_eq!(postcard::from_bytes(&bytes), Ok(credentials));
}

#[test]
fn responses_keep_their_bytes() {
    let blob = Identity { len: 2, sha256: [1; 32] };
    let model = ModelInfo { blob, tentative: true, arena_len: 3, input_len: 4, classes: 5, ops: 6, number: Some(7) };
    let kernels = KernelSet::NONE.with(Kernel::Conv2d).with(Kernel::Constant);
    let slots = Slots { len: 8, arena_len: 9, key: None, kernels, floor: Some(10), rewrites: 11 };
    let (board, unit) = ("b", Unit::Cycles);
    let shape = Shape { format: PixelFormat::Uyvy422, width: 300, height: 12 };
    let hello = Hello {
        protocol: 9,
        board,
        kernel_set: "k",
        max_message: 2,
        unit,
        hz: 3,
        model: Some(model),
        slots: Some(slots),
        camera: Some(shape),
        reset: Reset::Watchdog,
    };
    let inference = Inference {
        model: [1; 16],
        class: 2,
        logits: &[3],
        output: &[4],
        layers: &[5, 6, 7, 8],
        preprocessing: 9,
        total: 10,
        stack: 11,
    };
    let decision = Decided { class: 7, probability: 200, sure: true };
    let faults = CameraFaults { silent: 7, short: 300, damaged: 8 };
    let look = Look { sequence: 300, shape: Some(shape), decision, inference };
    pinned! { Response:
        Response::Hello(_) = Response::Hello(hello) => [
            0, 9, 1, b'b', 1, b'k', 2, 1, 3, 1, 2, 32, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
            1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 4, 5, 6, 1, 7, 1, 8, 9, 0, 0x81, 0x80, 0x80, 1, 1, 10, 11,
            1, 5, 0xAC, 2, 12, 2,
        ],
        Response::Inference(_) = Response::Inference(inference) => [
            1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 3, 1, 4, 4, 5, 6, 7, 8, 9, 10, 11,
        ],
        Response::SelfTest(_) = Response::SelfTest(SelfTest::NoGolden) => [2, 3],
        Response::Update { .. } = Response::Update { received: 3 } => [3, 3],
        Response::Error(_) = Response::Error(Failure::Model) => [4, 1],
        Response::Look { .. } = Response::Look { frame: Some(look), faults } => [
            5, 1, 0xAC, 2, 1, 5, 0xAC, 2, 12, 7, 200, 1,
            1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 3, 1, 4, 4, 5, 6, 7, 8, 9, 10, 11, 7, 0xAC, 2, 8,
        ],
        Response::Read(_) = Response::Read(&[7, 8]) => [6, 2, 7, 8],
        Response::Trace(_) = Response::Trace(inference) => [
            7, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 3, 1, 4, 4, 5, 6, 7, 8, 9, 10, 11,
        ],
        Response::Excerpt { .. } = Response::Excerpt { model: [1; 16], checksum: 300, values: &[3, 4] } => [
            8, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0xAC, 2, 2, 3, 4,
        ],
    }
    pinned! { Reset:
        Reset::Unknown = Reset::Unknown => [0],
        Reset::Other = Reset::Other => [1],
        Reset::Watchdog = Reset::Watchdog => [2],
    }
    pinned! { Unit:
        Unit::Instructions = Unit::Instructions => [0],
        Unit::Cycles = Unit::Cycles => [1],
    }
    pinned! { SelfTest:
        SelfTest::Passed = SelfTest::Passed => [0],
        SelfTest::Layer(_) = SelfTest::Layer(4) => [1, 4],
        SelfTest::Logits = SelfTest::Logits => [2],
        SelfTest::NoGolden = SelfTest::NoGolden => [3],
    }
}

#[test]
fn errors_keep_their_bytes() {
    pinned! { Failure:
        Failure::Frame(_) = Failure::Frame(FrameError::BadCrc) => [0, 2],
        Failure::Model = Failure::Model => [1],
        Failure::InputLength { .. } = Failure::InputLength { expected: 3, found: 4 } => [2, 3, 4],
        Failure::Picture = Failure::Picture => [3],
        Failure::AnswerTooLong = Failure::AnswerTooLong => [4],
        Failure::NoPictures = Failure::NoPictures => [5],
        Failure::Update(_) = Failure::Update(UpdateError::Flash) => [6, 4],
        Failure::NoCamera = Failure::NoCamera => [7],
        Failure::Gone = Failure::Gone => [8],
        Failure::Excerpt = Failure::Excerpt => [9],
    }
    pinned! { FrameError:
        FrameError::TooLong = FrameError::TooLong => [0],
        FrameError::Truncated = FrameError::Truncated => [1],
        FrameError::BadCrc = FrameError::BadCrc => [2],
        FrameError::BadMessage = FrameError::BadMessage => [3],
    }
    pinned! { UpdateError:
        UpdateError::Unsupported = UpdateError::Unsupported => [0],
        UpdateError::NotBegun = UpdateError::NotBegun => [1],
        UpdateError::Length { .. } = UpdateError::Length { slot: 3 } => [2, 3],
        UpdateError::Incomplete { .. } = UpdateError::Incomplete { received: 3 } => [3, 3],
        UpdateError::Flash = UpdateError::Flash => [4],
        UpdateError::Crc = UpdateError::Crc => [5],
        UpdateError::Version(_) = UpdateError::Version(3) => [6, 3],
        UpdateError::Parse = UpdateError::Parse => [7],
        UpdateError::Arena { .. } = UpdateError::Arena { needed: 3, available: 4 } => [8, 3, 4],
        UpdateError::SelfTest = UpdateError::SelfTest => [9],
        UpdateError::NoGolden = UpdateError::NoGolden => [10],
        UpdateError::Unsigned = UpdateError::Unsigned => [11],
        UpdateError::OtherKey = UpdateError::OtherKey => [12],
        UpdateError::Signature = UpdateError::Signature => [13],
        UpdateError::Number { .. } = UpdateError::Number { found: 3, floor: 4 } => [14, 3, 4],
        UpdateError::NotLinked { .. } = UpdateError::NotLinked { kernel: Kernel::Constant } => [15, 21],
        UpdateError::Switched = UpdateError::Switched => [16],
        UpdateError::Digest = UpdateError::Digest => [17],
        UpdateError::Wear { .. } = UpdateError::Wear { seconds: 3 } => [18, 3],
        UpdateError::Cost { .. } = UpdateError::Cost { mebi: 3 } => [19, 3],
        UpdateError::Tentative = UpdateError::Tentative => [20],
        UpdateError::BuiltIn = UpdateError::BuiltIn => [21],
        UpdateError::Confirmed = UpdateError::Confirmed => [22],
    }
}
