//! The vector extensions, and which of them this machine has.

use alloc::boxed::Box;
use alloc::vec::Vec;

use no_std_infer::format::Op;
use no_std_infer::kernels::NATIVE_NAME;

use crate::add::Sum;
use crate::conv::Conv;
use crate::depthwise::Depthwise;
use crate::instructions::{Instructions, Vectors};
#[cfg(target_feature = "simd128")]
use crate::wasm::Simd128;
#[cfg(target_arch = "x86_64")]
use crate::x86::{Avx2, AvxVnni, Vnni256, Vnni512};

/// Vector instructions that kernels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// None: the engine's kernels for any processor.
    Portable,
    /// AVX2: products of 16 bits.
    Avx2,
    /// AVX-VNNI: products of 8 bits, eight lanes.
    AvxVnni,
    /// AVX-512 VNNI: products of 8 bits, sixteen lanes.
    Avx512Vnni,
    /// SIMD128 of WebAssembly: products of 16 bits, four lanes.
    Simd128,
}

impl Isa {
    /// Those of this machine, the widest last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let all = [Self::Portable, Self::Avx2, Self::AvxVnni, Self::Avx512Vnni, Self::Simd128];
        all.into_iter().filter(|isa| isa.is_there()).collect()
    }

    /// The widest of this machine.
    #[must_use]
    pub fn best() -> Self {
        Self::available().pop().unwrap_or(Self::Portable)
    }

    fn is_there(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => AvxVnni::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => Vnni512::detect().is_some() && Vnni256::detect().is_some(),
            Self::Simd128 => cfg!(target_feature = "simd128"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// An operator prepared for these instructions; `None` where it has no kernel.
    pub(crate) fn prepare(self, op: &Op, section: &[u8]) -> Option<Box<dyn Vectors>> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => prepare(Avx2::detect()?, op, section),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => prepare(AvxVnni::detect()?, op, section),
            // Of few channels half of a vector would be empty.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni if op.output().channels <= 8 => prepare(Vnni256::detect()?, op, section),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => prepare(Vnni512::detect()?, op, section),
            #[cfg(target_feature = "simd128")]
            Self::Simd128 => prepare(Simd128, op, section),
            _ => None,
        }
    }
}

impl Isa {
    /// Their name; that of the engine's kernels where there are none.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => NATIVE_NAME,
            Self::Avx2 => "AVX2",
            Self::AvxVnni => "AVX-VNNI",
            Self::Avx512Vnni => "AVX-512 VNNI",
            Self::Simd128 => "SIMD128",
        }
    }
}

/// An operator prepared for some vectors.
fn prepare<I: Instructions>(isa: I, op: &Op, section: &[u8]) -> Option<Box<dyn Vectors>> {
    Some(match op {
        Op::Conv2d(op) => Box::new(Conv::new(isa, op, section)?),
        Op::DepthwiseConv2d(op) => Box::new(Depthwise::new(isa, op, section)?),
        Op::Dense(op) => Box::new(Conv::dense(isa, op, section)?),
        // Four lanes are no faster than what the compiler makes of the engine's loop.
        Op::Add(op) if I::LANES > 4 => Box::new(Sum::new(isa, op)?),
        _ => return None,
    })
}
