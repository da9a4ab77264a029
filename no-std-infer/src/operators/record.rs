//! Records of fixed length: a value's fields one after the other, little-endian, so that one is read in hardly more
//! instructions than it has fields.

use super::Op;
use crate::fixed::Multiplier;
use crate::format::Tensor;

/// Length of an operator's record in bytes.
pub const RECORD_LEN: usize = 80;

/// An operator's record: a byte that names the operator, then its parameters, then zeros.
pub(crate) type Record = [u8; RECORD_LEN];

/// Stands for a table that there is not.
const NONE: u32 = u32::MAX;

impl Op {
    /// Reads a record; `None` when its first byte names no operator, or it holds a layout that there is not.
    #[must_use]
    pub fn from_record(record: &Record) -> Option<Self> {
        Self::read(&mut Reader { record, at: 0 })
    }

    /// Writes a record; what the operator leaves of it is zeros.
    #[must_use]
    pub fn to_record(&self) -> Record {
        let mut writer = Writer { record: [0; RECORD_LEN], at: 0 };
        self.write(&mut writer);
        writer.record
    }
}

/// Reads what stands in a record after the byte that names the operator. Inlined, it reads no more than is used.
#[inline(always)]
pub(crate) fn read<T: Field>(record: &Record) -> Option<T> {
    const { assert!(T::LEN < RECORD_LEN) };
    T::read(&mut Reader { record, at: 1 })
}

pub(crate) struct Reader<'a> {
    record: &'a Record,
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
    record: Record,
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
    /// Its bytes.
    const LEN: usize;
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
    fn write(&self, writer: &mut Writer);
}

/// Numbers, as their bytes.
macro_rules! numbers {
    ($($number:ident),*) => {$(
        impl Field for $number {
            const LEN: usize = size_of::<Self>();

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

/// A structure that is in a record as its fields, in the order of their definition. That of an operator says which fields are
/// the tensors that it reads, and which is the one that it makes.
macro_rules! record {
    (
        $(#[$attribute:meta])*
        pub struct $structure:ident $(: [$($input:ident),*] => $output:ident)? {
            $($(#[$field_attribute:meta])* pub $field:ident: $kind:ty,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $structure {
            $($(#[$field_attribute])* pub $field: $kind,)*
        }

        $crate::operators::record::fields!($structure { $($field: $kind),* });

        $(impl $crate::operators::Tensors for $structure {
            fn inputs(&self) -> [Option<&Tensor>; 2] {
                let [first, second, ..] = [$(Some(&self.$input),)* None, None];
                [first, second]
            }

            fn output(&self) -> &Tensor {
                &self.$output
            }

            fn change(&mut self, change: &mut dyn FnMut(&mut Tensor)) {
                $(change(&mut self.$input);)*
                change(&mut self.$output);
            }
        })?
    };
}
pub(crate) use record;

/// The same for a structure that is defined elsewhere.
macro_rules! fields {
    ($structure:ident { $($field:ident: $kind:ty),* }) => {
        impl $crate::operators::record::Field for $structure {
            const LEN: usize = 0 $(+ <$kind as $crate::operators::record::Field>::LEN)*;

            #[inline(always)]
            fn read(reader: &mut $crate::operators::record::Reader<'_>) -> Option<Self> {
                Some(Self { $($field: $crate::operators::record::Field::read(reader)?),* })
            }

            fn write(&self, writer: &mut $crate::operators::record::Writer) {
                $($crate::operators::record::Field::write(&self.$field, writer);)*
            }
        }
    };
}
pub(crate) use fields;

fields!(Multiplier { mantissa: i32, shift: i8 });
fields!(Tensor { offset: u32, height: u16, width: u16, channels: u32, scale: f32, zero_point: i8 });

impl Field for [Option<u32>; 2] {
    const LEN: usize = 2 * u32::LEN;

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
    use crate::operators::{Add, Kernel, Layout};

    /// How many operators there are.
    const TAGS: u8 = 16;

    /// A record whose every byte differs from its neighbours.
    fn record(tag: u8) -> [u8; RECORD_LEN] {
        let mut record = core::array::from_fn(|at| at as u8);
        record[0] = tag;
        record
    }

    #[test]
    fn every_operator_fits_a_record_and_is_read_back() {
        for tag in 0..TAGS {
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
        assert_eq!(Op::from_record(&record(TAGS)), None);
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
        assert_eq!(tags.count(), usize::from(TAGS));
    }
}
