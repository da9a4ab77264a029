//! What defmt shows of types that hold more than a person wants to read.

use crate::kernels::Linked;
use crate::{Interpreter, Model};

/// Name, CRC and length of the arena.
impl defmt::Format for Model<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        let (name, crc, arena_len) = (self.info().name, self.crc(), self.arena_len());
        defmt::write!(f, "Model {{ name: {=str}, crc: {=u32:08x}, arena_len: {=usize} }}", name, crc, arena_len);
    }
}

/// The model.
impl defmt::Format for Interpreter<'_, '_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Interpreter {{ model: {} }}", self.model());
    }
}

/// The kernels that are there.
impl defmt::Format for Linked {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Linked {{ kernels: {} }}", self.set());
    }
}
