//! Memory that threads share: who needs much waits for those before.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that may be in use at once.
#[derive(Debug)]
pub struct Room {
    free: Mutex<u64>,
    freed: Condvar,
    most: u64,
}

/// Bytes that are in use until it is dropped.
#[derive(Debug)]
pub struct Taken<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Room {
    /// Room for so many bytes.
    #[must_use]
    pub const fn new(most: u64) -> Self {
        Self { free: Mutex::new(most), freed: Condvar::new(), most }
    }

    /// How many bytes there are in all.
    #[must_use]
    pub const fn most(&self) -> u64 {
        self.most
    }

    /// Waits until so many bytes are free; `None` where there are never so many.
    pub fn take(&self, bytes: u64) -> Option<Taken<'_>> {
        if bytes > self.most {
            return None;
        }
        let free = self.freed.wait_while(self.free(), |free| *free < bytes);
        *free.unwrap_or_else(PoisonError::into_inner) -= bytes;
        Some(Taken { room: self, bytes })
    }

    fn free(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.room.free() += self.bytes;
        self.room.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn no_more_is_in_use_at_once_and_everybody_has_a_turn() {
        let room = Room::new(10);
        assert!(room.take(11).is_none());
        let (in_use, turns) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for bytes in [1, 3, 5, 10, 0, 7, 4] {
                let (room, in_use, turns) = (&room, &in_use, &turns);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let taken = room.take(bytes).unwrap();
                        assert!(in_use.fetch_add(bytes, Ordering::SeqCst) + bytes <= room.most());
                        std::thread::yield_now();
                        in_use.fetch_sub(bytes, Ordering::SeqCst);
                        turns.fetch_add(1, Ordering::SeqCst);
                        drop(taken);
                    }
                });
            }
        });
        assert_eq!(turns.into_inner(), 7 * 200);
        assert_eq!(*room.free(), 10);
    }
}
