//! Records of fixed length: a value's fields one after the other, little-endian, so that one is read in hardly more
//! instructions than it has fields.

use super::{
    Activation, Add, Clamp, Concat, Constant, Conv2d, Dense, Layout, Lookup, Mean, Mul, Op, Pad, Pool2d, Reshape,
    Softmax, Tensor, Weights, Window,
};
use crate::fixed::Multiplier;

/// Length of an operator's record in bytes.
pub const RECORD_LEN: usize = 80;

/// Where a record says how a convolution's constants lie in flash.
pub(crate) const LAYOUT_AT: usize = 1 + 2 * TENSOR_LEN + 16;
/// The same for a fully connected layer's.
pub(crate) const DENSE_LAYOUT_AT: usize = 1 + 2 * TENSOR_LEN;
/// Where a record says where a sum's tables are.
pub(crate) const TABLES_AT: usize = 1 + 3 * TENSOR_LEN + 3 * 5 + 2;
/// Bytes of a tensor in a record.
const TENSOR_LEN: usize = 17;

/// Stands for a table that there is not.
const NONE: u32 = u32::MAX;

impl Op {
    /// Reads a record; `None` when its first byte names no operator, or it holds a layout that there is not.
    #[must_use]
    pub fn from_record(record: &[u8; RECORD_LEN]) -> Option<Self> {
        Self::read(&mut Reader { record, at: 0 })
    }

    /// Writes a record; what the operator leaves of it is zeros.
    #[must_use]
    pub fn to_record(&self) -> [u8; RECORD_LEN] {
        let mut writer = Writer { record: [0; RECORD_LEN], at: 0 };
        self.write(&mut writer);
        writer.record
    }
}

/// Reads what stands in a record after the byte that names the operator. Inlined, it reads no more than is used.
#[inline(always)]
pub(crate) fn read<T: Field>(record: &[u8; RECORD_LEN]) -> Option<T> {
    T::read(&mut Reader { record, at: 1 })
}

pub(crate) struct Reader<'a> {
    record: &'a [u8; RECORD_LEN],
    at: usize,
}

impl Reader<'_> {
    #[inline(always)]
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = self.record.get(self.at..)?.first_chunk().copied();
        self.at += N;
        bytes
    }
}

pub(crate) struct Writer {
    record: [u8; RECORD_LEN],
    at: usize,
}

impl Writer {
    fn bytes<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some(slot) = self.record.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut()) {
            *slot = bytes;
        }
        self.at += N;
    }
}

/// A part of a record.
pub(crate) trait Field: Sized {
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
    fn write(&self, writer: &mut Writer);
}

/// Numbers, as their bytes.
macro_rules! numbers {
    ($($number:ident),*) => {$(
        impl Field for $number {
            #[inline(always)]
            fn read(reader: &mut Reader<'_>) -> Option<Self> {
                reader.bytes().map(Self::from_le_bytes)
            }

            fn write(&self, writer: &mut Writer) {
                writer.bytes(self.to_le_bytes());
            }
        }
    )*};
}

numbers!(u8, i8, u16, u32, i32, f32);

/// Structures, as their fields in this order.
macro_rules! structures {
    ($($structure:ident { $($field:ident),* })*) => {$(
        impl Field for $structure {
            #[inline(always)]
            fn read(reader: &mut Reader<'_>) -> Option<Self> {
                Some(Self { $($field: Field::read(reader)?),* })
            }

            fn write(&self, writer: &mut Writer) {
                $(self.$field.write(writer);)*
            }
        }
    )*};
}

structures! {
    Multiplier { mantissa, shift }
    Tensor { offset, height, width, channels, scale, zero_point }
    Window { kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left }
    Activation { min, max }
    Weights { layout, weights, channels }
    Conv2d { input, output, window, weights, activation, scratch }
    Dense { input, output, weights, activation }
    Pool2d { input, output, window, activation }
    Add { a, b, output, a_multiplier, b_multiplier, output_multiplier, activation, tables }
    Clamp { input, output, activation }
    Lookup { input, output, table }
    Softmax { input, output, multiplier, diff_min }
    Reshape { input, output }
    Mul { a, b, output, multiplier, activation }
    Mean { input, output, multiplier }
    Pad { input, output, top, left, front, value }
    Concat { a, b, output }
    Constant { output, values }
}

impl Field for Layout {
    #[inline(always)]
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match u8::read(reader)? {
            0 => Self::Plain,
            1 => Self::Packed,
            2 => Self::Winograd2x2,
            3 => Self::Winograd4x4,
            4 => Self::WinogradStride2,
            _ => return None,
        })
    }

    fn write(&self, writer: &mut Writer) {
        let tag: u8 = match self {
            Self::Plain => 0,
            Self::Packed => 1,
            Self::Winograd2x2 => 2,
            Self::Winograd4x4 => 3,
            Self::WinogradStride2 => 4,
        };
        tag.write(writer);
    }
}

/// Operators, as a byte that names the variant, and its structure.
macro_rules! operators {
    ($($variant:ident = $tag:literal),*) => {
        impl Field for Op {
            #[inline(always)]
            fn read(reader: &mut Reader<'_>) -> Option<Self> {
                Some(match u8::read(reader)? {
                    $($tag => Self::$variant(Field::read(reader)?),)*
                    _ => return None,
                })
            }

            fn write(&self, writer: &mut Writer) {
                match self {
                    $(Self::$variant(op) => {
                        u8::write(&$tag, writer);
                        op.write(writer);
                    })*
                }
            }
        }
    };
}

operators! {
    Conv2d = 0, DepthwiseConv2d = 1, Dense = 2, MaxPool2d = 3, AveragePool2d = 4, Add = 5, Clamp = 6, Lookup = 7,
    Softmax = 8, Reshape = 9, Mul = 10, Mean = 11, Pad = 12, Concat = 13, Constant = 14
}

impl Field for [Option<u32>; 2] {
    #[inline(always)]
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let tables = [u32::read(reader)?, u32::read(reader)?];
        Some(tables.map(|table| (table != NONE).then_some(table)))
    }

    fn write(&self, writer: &mut Writer) {
        self.iter().for_each(|table| table.unwrap_or(NONE).write(writer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Kernel;

    /// A record whose every byte differs from its neighbours.
    fn record(tag: u8) -> [u8; RECORD_LEN] {
        let mut record = core::array::from_fn(|at| at as u8);
        record[0] = tag;
        record
    }

    #[test]
    fn every_operator_fits_a_record_and_is_read_back() {
        for tag in 0..=14 {
            let mut record = record(tag);
            // The layout, where there is one.
            for at in 1..RECORD_LEN {
                let value = core::mem::replace(&mut record[at], 2);
                if Op::from_record(&record).is_some() {
                    break;
                }
                record[at] = value;
            }
            let op = Op::from_record(&record).expect("all variants are known");
            let mut writer = Writer { record: [0; RECORD_LEN], at: 0 };
            op.write(&mut writer);
            let (written, rest) = writer.record.split_at(writer.at.min(RECORD_LEN));
            assert!(writer.at <= RECORD_LEN, "{op:?} takes {} bytes", writer.at);
            assert_eq!(written, &record[..written.len()]);
            assert!(rest.iter().all(|&byte| byte == 0));
        }
        assert_eq!(Op::from_record(&record(15)), None);
    }

    #[test]
    fn the_kernel_is_told_by_layout_and_tables() {
        let mut record = [0; RECORD_LEN];
        for (layout, kernel) in [
            (Layout::Plain, Kernel::Conv2d),
            (Layout::Packed, Kernel::Conv2dPacked),
            (Layout::Winograd2x2, Kernel::Conv2dWinograd2x2),
            (Layout::Winograd4x4, Kernel::Conv2dWinograd4x4),
            (Layout::WinogradStride2, Kernel::Conv2dWinogradStride2),
        ] {
            let Some(Op::Conv2d(mut op)) = Op::from_record(&record) else { panic!("all layouts are known") };
            op.weights.layout = layout;
            assert_eq!(Kernel::of(&Op::Conv2d(op).to_record()), Some(kernel));
            let depthwise = match kernel {
                Kernel::Conv2d => Some(Kernel::DepthwiseConv2d),
                Kernel::Conv2dPacked => Some(Kernel::DepthwiseConv2dPacked),
                _ => None,
            };
            assert_eq!(Kernel::of(&Op::DepthwiseConv2d(op).to_record()), depthwise);
        }
        record[0] = 2;
        for (layout, kernel) in [(Layout::Plain, Kernel::Dense), (Layout::Packed, Kernel::DensePacked)] {
            let Some(Op::Dense(mut op)) = Op::from_record(&record) else { panic!("it is a fully connected layer") };
            op.weights.layout = layout;
            assert_eq!(Kernel::of(&Op::Dense(op).to_record()), Some(kernel));
        }
        record[0] = 5;
        for (tables, kernel) in [([None; 2], Kernel::Add), ([None, Some(4)], Kernel::AddTables)] {
            let Some(Op::Add(op)) = Op::from_record(&record) else { panic!("it is a sum") };
            assert_eq!(Kernel::of(&Op::Add(Add { tables, ..op }).to_record()), Some(kernel));
        }
        let tags = (0..=u8::MAX).filter(|&tag| {
            record[0] = tag;
            assert_eq!(Kernel::of(&record).is_some(), Op::from_record(&record).is_some());
            Kernel::of(&record).is_some()
        });
        assert_eq!(tags.count(), 15);
    }
}
