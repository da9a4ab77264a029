//! What a vector extension must be able to do.
//!
//! Vectors have lanes of 32 bits. Of values that are multiplied a lane holds a group: four of 8 bits, or two of 16.

/// Most lanes.
pub(crate) const LANES_MAX: usize = 16;
/// Most bits that lanes are shifted right by.
pub(crate) const SHIFT_MAX: u32 = 30;

/// A vector extension. A value of it is proof that the processor has it.
///
/// Its methods are meant to be called within [`vectorize`](Self::vectorize): elsewhere they are calls of functions.
pub(crate) trait Instructions: Copy + Send + Sync + 'static {
    /// A vector.
    type Vector: Copy + Send + Sync;
    /// Lanes of a vector, at most [`LANES_MAX`].
    const LANES: usize;
    /// Bytes of a value that is multiplied: 1 or 2.
    const ELEMENT: usize;
    /// Values in a lane.
    const GROUP: usize = 4 / Self::ELEMENT;
    /// What is added to an int8 value before it is multiplied: values of 8 bits have no sign then.
    const OFFSET: i32 = if Self::ELEMENT == 1 { 128 } else { 0 };
    /// Sums that registers hold beside what is multiplied.
    const SUMS: usize;

    /// Runs a task compiled for these instructions.
    fn vectorize(self, task: impl Task);
    /// The first lanes of `words`.
    fn words(self, words: &[i32]) -> Self::Vector;
    /// The lanes one by one.
    fn to_words(self, vector: Self::Vector) -> [i32; LANES_MAX];
    /// The same word in every lane.
    fn broadcast(self, word: i32) -> Self::Vector;
    /// As many bytes as a vector has.
    fn load(self, bytes: &[u8]) -> Self::Vector;
    /// Stores as many bytes as a vector has.
    fn store(self, vector: Self::Vector, bytes: &mut [u8]);
    /// An int8 value for each lane.
    fn widen(self, values: &[i8]) -> Self::Vector;
    /// A group of values for each lane, of which row `i` gives the `i`th; with two values in a group only two rows count.
    fn interleave(self, rows: [&[u8]; 4]) -> Self::Vector;
    /// To each lane of `sums` the products of the values in `x` with the weights in `w`; wraps.
    fn dot(self, sums: Self::Vector, x: Self::Vector, w: Self::Vector) -> Self::Vector;
    /// The sum; wraps.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Shifts each lane left.
    fn shift_left(self, vector: Self::Vector, bits: u32) -> Self::Vector;
    /// `(a · b + 2^31) / 2^32`, rounded down.
    fn high(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// −1 where a lane is negative, otherwise 0.
    fn sign(self, vector: Self::Vector) -> Self::Vector;
    /// Numbers of bits, each at most [`SHIFT_MAX`], as [`shift_right`](Self::shift_right) takes them.
    fn shifts(self, bits: Self::Vector) -> Self::Vector {
        bits
    }
    /// Shifts each lane right by its own number of bits, keeping the sign.
    fn shift_right(self, vector: Self::Vector, shifts: Self::Vector) -> Self::Vector;
    /// Clamps each lane; one byte a lane, and any others after them.
    fn narrow(self, vector: Self::Vector, clamp: [i8; 2]) -> [i8; LANES_MAX];
}

/// What is compiled for some instructions: `run` is inlined, and so must be all that it calls.
pub(crate) trait Task {
    /// Does it.
    fn run(self);
}

/// An operator prepared for some instructions.
pub(crate) trait Vectors: Send + Sync {
    /// Runs the operator in the model's arena; `scratch` holds what [`scratch`](Self::scratch) asks for.
    fn run(&self, arena: &mut [i8], scratch: &mut [u8]);

    /// Bytes of scratch.
    fn scratch(&self) -> usize {
        0
    }
}

/// Writes weights of a group into a lane.
pub(crate) fn write_lane<I: Instructions>(weights: &[i8], lane: &mut [u8]) {
    for (slot, &weight) in lane.chunks_exact_mut(I::ELEMENT).zip(weights) {
        slot.copy_from_slice(&i16::from(weight).to_le_bytes()[..I::ELEMENT]);
    }
}
