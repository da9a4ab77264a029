//! The code of a set of kernels, as a table: what is not in the table is not linked.

use core::ops::Range;

use super::{Kernel, KernelSet, Kernels, Native};
use crate::error::OpError;
use crate::format::{Field, Op, RECORD_LEN, Tensor, read};
use crate::ops::{AddLayer, ConvLayer, DenseLayer, Form, check};

/// The kernels of a firmware. A model keeps those that it was parsed with and runs on them.
///
/// The table is a constant: the linker finds the code of the kernels that stand in it, and no other's. So firmware that runs
/// one model takes what that one needs, and firmware that is to take others too names more.
///
/// ```ignore
/// const LINKED: &Linked = &Linked::new(KernelSet::needed_by(MODEL));
/// let model = Model::parse_with(MODEL, LINKED)?;
/// ```
#[derive(Debug)]
pub struct Linked([Option<Entry>; Kernel::ALL.len()]);

/// An operator's record.
type Record = [u8; RECORD_LEN];

/// The code for one kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Reads the operator's record.
    pub(crate) read: fn(&Record) -> Option<Op>,
    /// Checks all about it that does not depend on other operators, given the weights section.
    pub(crate) check: fn(&Op, &[u8]) -> Result<(), OpError>,
    /// Runs the operator of a record in the arena, given the weights section; gives where its output lies.
    pub(crate) run: fn(&mut [i8], &Record, &[u8]) -> Range<usize>,
}

impl Linked {
    /// All kernels, the fastest for the target.
    pub const ALL: &'static Self = &Self::new(KernelSet::ALL);

    /// The kernels of a set, the fastest for the target.
    #[must_use]
    pub const fn new(set: KernelSet) -> Self {
        Self::of::<Native>(set)
    }

    /// The same with kernels of the caller's choice.
    #[must_use]
    pub const fn of<K: Kernels>(set: KernelSet) -> Self {
        let (mut entries, mut index) = ([None; Kernel::ALL.len()], 0);
        while index < entries.len() {
            if set.has(Kernel::ALL[index]) {
                entries[index] = Some(Entry::of::<K>(Kernel::ALL[index]));
            }
            index += 1;
        }
        Self(entries)
    }

    /// The kernels that are there.
    #[must_use]
    pub fn set(&self) -> KernelSet {
        let there = Kernel::ALL.into_iter().filter(|&kernel| self.get(kernel).is_some());
        there.fold(KernelSet::NONE, KernelSet::with)
    }

    /// A kernel's code, where it is linked.
    pub(crate) fn get(&self, kernel: Kernel) -> Option<&Entry> {
        self.0.get(kernel as usize)?.as_ref()
    }

    /// Reads a record; `None` when it is none or its kernel is not linked.
    pub(crate) fn read(&self, record: &Record) -> Option<Op> {
        (self.get(Kernel::of(record)?)?.read)(record)
    }
}

/// The code for an operator: its variant of [`Op`], its check, and how it is run.
macro_rules! entry {
    ($variant:ident, $check:expr, |$arena:ident, $op:ident, $weights:ident| $run:expr) => {{
        // Functions, not closures: their names say in the firmware what they do.
        fn read_record(record: &Record) -> Option<Op> {
            read(record).map(Op::$variant)
        }
        fn check_operator(op: &Op, section: &[u8]) -> Result<(), OpError> {
            match op {
                Op::$variant(op) => $check(op, section),
                _ => Err(OpError::Undecodable),
            }
        }
        fn run_kernel<K: Kernels>($arena: &mut [i8], record: &Record, $weights: &[u8]) -> Range<usize> {
            let Some(read) = read_as(record, Op::$variant) else { return 0..0 };
            let $op = &read;
            $run;
            read.output.range()
        }
        Entry { read: read_record, check: check_operator, run: run_kernel::<K> }
    }};
}

/// The code for a convolution with one layout of its constants, which `find` finds.
macro_rules! convolution {
    ($variant:ident, $kernel:ident, $check:expr, $find:expr) => {
        entry!($variant, $check, |arena, op, weights| if let Some(layer) = $find(op, weights) {
            K::$kernel(arena, &layer, rows(&op.output));
        })
    };
}

/// The code for a convolution with weights that are transformed so.
macro_rules! winograd {
    ($form:ident, $check:expr) => {
        convolution!(Conv2d, conv2d, $check, |op, weights| ConvLayer::winograd(op, weights, Form::$form))
    };
}

/// The code for a fully connected layer with one layout of its constants, which `find` finds.
macro_rules! dense {
    ($check:expr, $find:expr) => {
        entry!(Dense, $check, |arena, op, weights| if let Some(layer) = $find(op, weights) {
            K::dense(arena, &layer);
        })
    };
}

impl Entry {
    /// Each says when it is compiled which constants it finds, so that the kernel for no other layout is linked.
    const fn of<K: Kernels>(kernel: Kernel) -> Self {
        match kernel {
            Kernel::Conv2d => convolution!(Conv2d, conv2d, check::conv2d, ConvLayer::plain),
            Kernel::Conv2dPacked => convolution!(Conv2d, conv2d, check::packed_conv2d, ConvLayer::packed),
            Kernel::Conv2dWinograd2x2 => winograd!(F2x2, check::winograd_2x2),
            Kernel::Conv2dWinograd4x4 => winograd!(F4x4, check::winograd_4x4),
            Kernel::Conv2dWinogradStride2 => winograd!(Stride2, check::winograd_stride_2),
            Kernel::DepthwiseConv2d => {
                convolution!(DepthwiseConv2d, depthwise_conv2d, check::depthwise, ConvLayer::plain_depthwise)
            }
            Kernel::DepthwiseConv2dPacked => {
                convolution!(DepthwiseConv2d, depthwise_conv2d, check::packed_depthwise, ConvLayer::packed_depthwise)
            }
            Kernel::Dense => dense!(check::dense, DenseLayer::plain),
            Kernel::DensePacked => dense!(check::packed_dense, DenseLayer::packed),
            Kernel::MaxPool2d => {
                entry!(MaxPool2d, check::pool, |arena, op, _weights| K::max_pool2d(arena, op, rows(&op.output)))
            }
            Kernel::AveragePool2d => {
                entry!(AveragePool2d, check::pool, |arena, op, _weights| K::average_pool2d(arena, op, rows(&op.output)))
            }
            Kernel::Add => entry!(Add, check::add, |arena, op, _weights| {
                K::add(arena, &AddLayer { op, tables: [None, None] }, rows(&op.output));
            }),
            Kernel::AddTables => entry!(Add, check::add_tables, |arena, op, weights| {
                match AddLayer::new(op, weights) {
                    None | Some(AddLayer { tables: [None, None], .. }) => {}
                    Some(layer) => K::add(arena, &layer, rows(&op.output)),
                }
            }),
            Kernel::Clamp => entry!(Clamp, check::clamp, |arena, op, _weights| K::clamp(arena, op, rows(&op.output))),
            Kernel::Lookup => entry!(Lookup, check::lookup, |arena, op, weights| {
                if let Some(table) = weights.get(op.table as usize..).and_then(|rest| rest.first_chunk()) {
                    K::lookup(arena, op, table, rows(&op.output));
                }
            }),
            Kernel::Softmax => {
                entry!(Softmax, check::softmax, |arena, op, _weights| K::softmax(arena, op, rows(&op.output)))
            }
            Kernel::Reshape => entry!(Reshape, check::reshape, |arena, op, _weights| K::reshape(arena, op)),
            Kernel::Mul => entry!(Mul, check::mul, |arena, op, _weights| K::mul(arena, op, rows(&op.output))),
            Kernel::Mean => entry!(Mean, check::mean, |arena, op, _weights| K::mean(arena, op, rows(&op.output))),
            Kernel::Pad => entry!(Pad, check::pad, |arena, op, _weights| K::pad(arena, op, rows(&op.output))),
            Kernel::Concat => {
                entry!(Concat, check::concat, |arena, op, _weights| K::concat(arena, op, rows(&op.output)))
            }
            Kernel::Constant => entry!(Constant, check::constant, |arena, op, weights| {
                if let Some(values) = weights.get(op.values as usize..).and_then(|rest| rest.get(..op.output.len())) {
                    K::constant(arena, op, values);
                }
            }),
        }
    }
}

/// Reads a record as what a variant of [`Op`] holds.
#[inline(always)]
fn read_as<T: Field>(record: &Record, _variant: fn(T) -> Op) -> Option<T> {
    read(record)
}

/// All rows of a tensor.
fn rows(tensor: &Tensor) -> Range<usize> {
    0..usize::from(tensor.height)
}
