//! What a person sees of types that hold memory: their names, not its bytes.

use core::fmt;

use crate::link::Receiver;
use crate::{Application, Memory, Server};

impl<F, T> fmt::Debug for Application<'_, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application").finish_non_exhaustive()
    }
}

impl fmt::Debug for Memory<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl fmt::Debug for Receiver<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl fmt::Debug for Server<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<F, T> defmt::Format for Application<'_, F, T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Application");
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Memory<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Memory");
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Receiver<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Receiver");
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Server<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Server");
    }
}
