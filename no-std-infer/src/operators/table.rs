//! What follows from the table of operators: [`Op`](super::Op) and its record, [`Kernel`](super::Kernel), and the code of a
//! set of kernels.

/// Defines the operators. A line gives an operator's tag in a record, its variant of [`Op`](super::Op) with its parameters, its
/// name, the [`Operator`](super::Operator) that says all else about it, and the function that tells from a record which of its
/// kernels it needs. The lines below are these kernels: what that function gives, from 0 on, the variant of
/// [`Kernel`](super::Kernel), its name, and its [`Code`](super::Code). Kernels are numbered from 0 in their order; the numbers cross the link.
macro_rules! operators {
    ($(
        $(#[$attribute:meta])*
        $tag:literal $variant:ident($params:ty) $name:literal = $operator:ty, by $choose:path {
            $($(#[$kernel_attribute:meta])* $choice:literal => $kernel:ident $kernel_name:literal: $code:ty,)*
        }
    )*) => {
        /// One operator. Tensors are named by value: two operators share one when all its fields are equal.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub enum Op {
            $($(#[$attribute])* $variant($params),)*
        }

        impl Op {
            /// The tensors that the operator reads: none to two.
            pub fn inputs(&self) -> impl Iterator<Item = &Tensor> + Clone {
                let inputs = match self {
                    $(Op::$variant(op) => Tensors::inputs(op),)*
                };
                inputs.into_iter().flatten()
            }

            /// The tensor that the operator makes.
            #[must_use]
            pub fn output(&self) -> &Tensor {
                match self {
                    $(Op::$variant(op) => Tensors::output(op),)*
                }
            }

            /// Calls `change` for each tensor that the operator reads or makes.
            pub fn map_tensors(&mut self, mut change: impl FnMut(&mut Tensor)) {
                match self {
                    $(Op::$variant(op) => Tensors::change(op, &mut change),)*
                }
            }

            /// Bytes of scratch that the operator needs with any kernel set.
            #[must_use]
            pub fn scratch_len(&self) -> u32 {
                match self {
                    $(Op::$variant(op) => u32::try_from(<$operator as Operator>::scratch(op).1).unwrap_or(u32::MAX),)*
                }
            }

            /// First byte of the scratch in the arena.
            #[must_use]
            pub fn scratch_offset(&self) -> u32 {
                match self {
                    $(Op::$variant(op) => <$operator as Operator>::scratch(op).0,)*
                }
            }

            /// Where the output may lie over `input`, one of the operator's inputs; `None` when they must lie apart.
            #[must_use]
            pub fn overlap(&self, input: &Tensor) -> Option<Overlap> {
                match self {
                    $(Op::$variant(op) => <$operator as Operator>::overlap(op, input),)*
                }
            }

            /// Weights, each of which is multiplied once for each pixel of the output; `u32::MAX` where there are more.
            pub(crate) fn weights(&self) -> u32 {
                match self {
                    $(Op::$variant(op) => <$operator as Operator>::weights(op),)*
                }
            }

            /// What each pixel of the output takes besides, counted as products.
            fn others(&self) -> u64 {
                match self {
                    $(Op::$variant(op) => <$operator as Operator>::others(op),)*
                }
            }

            /// How many parts of equal size the operator can be computed in, one after the other: usually its output's rows.
            #[must_use]
            pub fn parts(&self) -> u16 {
                match self {
                    $(Op::$variant(op) => <$operator as Operator>::parts(op),)*
                }
            }

            /// The operator's name.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Op::$variant(_) => $name,)*
                }
            }
        }

        impl Field for Op {
            const LEN: usize = record::RECORD_LEN;

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

        $(impl Variant for $operator {
            fn wrap(params: $params) -> Op {
                Op::$variant(params)
            }

            fn unwrap(op: &Op) -> Option<&$params> {
                if let Op::$variant(params) = op { Some(params) } else { None }
            }
        })*

        /// What code must be linked for an operator: one for each operator, and for each layout of its constants.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub enum Kernel {
            $($($(#[$kernel_attribute])* #[doc = concat!("`", $kernel_name, "`.")] $kernel,)*)*
        }

        impl Kernel {
            /// All of them, in order.
            pub const ALL: [Self; [$($($kernel_name),*),*].len()] = [$($(Self::$kernel),*),*];

            /// Its name, for people.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$kernel => $kernel_name,)*)*
                }
            }

            /// The number of what [`Kernel::of`] gives, without a call, for the one place where its time counts.
            #[inline(always)]
            pub(crate) const fn number_of(record: &Record) -> Option<usize> {
                match record[0] {
                    $($tag => {
                        const KERNELS: &[Kernel] = &[$(Kernel::$kernel),*];
                        const { assert!(count(&[$($choice),*]), "kernels are chosen by numbers from 0 on") };
                        let choice = $choose(record) as usize;
                        if choice < KERNELS.len() { Some(KERNELS[0] as usize + choice) } else { None }
                    })*
                    _ => None,
                }
            }

            /// The kernel of a number.
            const fn numbered(number: usize) -> Option<Self> {
                match number {
                    $($(number if number == Self::$kernel as usize => Some(Self::$kernel),)*)*
                    _ => None,
                }
            }
        }

        impl Entry {
            /// Each names its code when it is compiled, so that the code of no other kernel is linked.
            pub(crate) const fn of<K: Kernels>(kernel: Kernel) -> Self {
                match kernel {
                    $($(Kernel::$kernel => Self::new::<K, $code>(),)*)*
                }
            }
        }
    };
}
pub(crate) use operators;
