//! The code of a set of kernels, as a table: what is not in the table is not linked.

use core::ops::Range;

use super::{Kernel, KernelSet, Kernels, Memory, Native, Part, Run};
use crate::cost::Cost;
use crate::error::OpError;
use crate::operators::{Code, Op, Operator, Params, Record, Tensors, Variant, read};

/// The kernels of a firmware, and how long it lets a model run. A model keeps those that it was parsed with and runs on them.
///
/// The table is a constant: the linker finds the code of the kernels that stand in it, and no other's. So firmware that runs
/// one model takes what that one needs, and firmware that is to take others too names more.
///
/// ```
/// use no_std_infer::kernels::{KernelSet, Linked};
/// use no_std_infer::{Model, include_model};
///
/// const MODEL: &[u8] = include_model!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/tiny.blob"));
/// const LINKED: &Linked = &Linked::new(KernelSet::needed_by(MODEL));
/// let model = Model::parse_with(MODEL, LINKED)?;
/// # Ok::<(), no_std_infer::Error>(())
/// ```
// The entries first, since their address is what each run computes with.
#[derive(Debug)]
#[repr(C)]
pub struct Linked {
    entries: [Option<Entry>; Kernel::ALL.len()],
    most: Cost,
}

/// The code for one kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Runs a part of the operator of a record in the arena; gives where its output lies.
    pub(crate) run: fn(&mut [i8], &Record, &Run<'_>) -> Range<usize>,
    /// Reads the operator's record.
    pub(crate) read: fn(&Record) -> Option<Op>,
    /// Checks all about it that does not depend on other operators, given the weights section.
    pub(crate) check: fn(&Op, &[u8]) -> Result<(), OpError>,
}

impl Linked {
    /// All kernels, the fastest for the target, for models that run for a [`Cost::MINUTE`] at most.
    pub const ALL: &'static Self = &Self::new(KernelSet::ALL);

    /// The same for models that run for any time.
    pub(crate) const ANY: &'static Self = &Self::new(KernelSet::ALL).at_most(Cost::ANY);

    /// The kernels of a set, the fastest for the target, for models that run for a [`Cost::MINUTE`] at most.
    #[must_use]
    pub const fn new(set: KernelSet) -> Self {
        Self::of::<Native>(set)
    }

    /// The same for models whose run takes no more than this.
    ///
    /// ```
    /// use no_std_infer::Cost;
    /// use no_std_infer::kernels::{KernelSet, Linked};
    ///
    /// const LINKED: &Linked = &Linked::new(KernelSet::ALL).at_most(Cost { products: 1 << 30, bytes: 1 << 26 });
    /// assert_eq!(LINKED.most().products, 1 << 30);
    /// ```
    #[must_use]
    pub const fn at_most(self, most: Cost) -> Self {
        Self { most, ..self }
    }

    /// The most that a model's run may take.
    #[must_use]
    pub const fn most(&self) -> Cost {
        self.most
    }

    /// The same with kernels of the caller's choice.
    #[doc(hidden)]
    #[must_use]
    pub const fn of<K: Kernels>(set: KernelSet) -> Self {
        let (mut entries, mut index) = ([None; Kernel::ALL.len()], 0);
        while index < entries.len() {
            if set.has(Kernel::ALL[index]) {
                entries[index] = Some(Entry::of::<K>(Kernel::ALL[index]));
            }
            index += 1;
        }
        Self { entries, most: Cost::MINUTE }
    }

    /// The kernels that are there.
    #[must_use]
    pub fn set(&self) -> KernelSet {
        let there = Kernel::ALL.into_iter().filter(|&kernel| self.get(kernel).is_some());
        there.fold(KernelSet::NONE, KernelSet::with)
    }

    /// Runs an operator in an arena, given the weights section; does nothing where its kernel is not linked.
    #[doc(hidden)]
    pub fn run(&self, op: &Op, arena: &mut [i8], section: &[u8]) {
        let record = op.to_record();
        if let Some(entry) = Kernel::of(&record).and_then(|kernel| self.get(kernel)) {
            (entry.run)(arena, &record, &Run { section, part: Part::ALL });
        }
    }

    /// A kernel's code, where it is linked.
    pub(crate) fn get(&self, kernel: Kernel) -> Option<&Entry> {
        self.entries.get(kernel as usize)?.as_ref()
    }

    /// The code for an operator's record, where it is linked; without a call.
    #[inline(always)]
    pub(crate) fn entry(&self, record: &Record) -> Option<&Entry> {
        self.entries.get(Kernel::number_of(record)?)?.as_ref()
    }

    /// Reads a record; `None` when it is none or its kernel is not linked.
    pub(crate) fn read(&self, record: &Record) -> Option<Op> {
        (self.get(Kernel::of(record)?)?.read)(record)
    }
}

impl Entry {
    /// That of an operator with one layout of its constants.
    pub(crate) const fn new<K: Kernels, C: Code>() -> Self {
        Self { run: run_kernel::<K, C>, read: read_record::<C::Operator>, check: check_operator::<C> }
    }
}

// Functions, not closures: their names say in the firmware what they do.

#[inline(never)]
fn read_record<O: Variant>(record: &Record) -> Option<Op> {
    read(record).map(O::wrap)
}

fn check_operator<C: Code>(op: &Op, section: &[u8]) -> Result<(), OpError> {
    C::Operator::unwrap(op).map_or(Err(OpError::Undecodable), |op| C::check(op, section))
}

fn run_kernel<K: Kernels, C: Code>(arena: &mut [i8], record: &Record, run: &Run<'_>) -> Range<usize> {
    let memory = Memory::new(arena, run);
    if C::Operator::READ_BY_CALL {
        let op = read_record::<C::Operator>(record);
        let Some(op) = op.as_ref().and_then(C::Operator::unwrap) else { return 0..0 };
        run_operator::<K, C>(op, memory)
    } else {
        let Some(op) = read(record) else { return 0..0 };
        run_operator::<K, C>(&op, memory)
    }
}

/// Runs a part of an operator; gives where its output lies.
#[inline(always)]
fn run_operator<K: Kernels, C: Code>(op: &Params<C>, memory: Memory<'_>) -> Range<usize> {
    let done = C::run::<K>(op, memory);
    debug_assert!(done.is_some(), "what was parsed can be run");
    op.output().range()
}
