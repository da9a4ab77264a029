//! What still happens when a person or the system ends the program: emulators that it started end with it, and it says how
//! to go on.

use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

static CHILDREN: Mutex<Vec<Weak<Mutex<Child>>>> = Mutex::new(Vec::new());
static LEAVING: AtomicBool = AtomicBool::new(false);
static HINT: Mutex<Option<String>> = Mutex::new(None);

/// Whether another thread has panicked meanwhile does not matter for what is kept here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process that ends when it is dropped and when this program is told to end.
#[derive(Debug)]
pub struct Owned(Arc<Mutex<Child>>);

impl Owned {
    /// Takes a process.
    #[must_use]
    pub fn new(child: Child) -> Self {
        let child = Arc::new(Mutex::new(child));
        let mut children = lock(&CHILDREN);
        children.retain(|child| child.strong_count() > 0);
        children.push(Arc::downgrade(&child));
        Self(child)
    }

    /// The process.
    pub fn get(&self) -> MutexGuard<'_, Child> {
        lock(&self.0)
    }

    /// How it ended, where it has.
    ///
    /// # Errors
    /// Those of [`Child::try_wait`].
    pub fn try_wait(&self) -> std::io::Result<Option<ExitStatus>> {
        self.get().try_wait()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        end(&mut self.get());
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// What is printed when the program is told to end, as long as it lives.
#[derive(Debug)]
pub struct Hint(());

impl Hint {
    /// Replaces the hint before it.
    #[must_use]
    pub fn new(text: String) -> Self {
        *lock(&HINT) = Some(text);
        Self(())
    }
}

impl Drop for Hint {
    fn drop(&mut self) {
        *lock(&HINT) = None;
    }
}

/// Ends all processes that are owned, and gives the hint.
fn leave() -> Option<String> {
    let children: Vec<_> = lock(&CHILDREN).iter().filter_map(Weak::upgrade).collect();
    children.iter().for_each(|child| end(&mut lock(child)));
    lock(&HINT).take()
}

/// Where a signal is ending the program, waits for that: what fails because its emulators end is no error.
pub fn wait_when_leaving() {
    while LEAVING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// From now on, does all that before a signal ends the program.
///
/// # Errors
/// When the system does not let it.
#[cfg(unix)]
pub fn watch() -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            LEAVING.store(true, Ordering::SeqCst);
            if let Some(hint) = leave() {
                eprintln!("\n{hint}");
            }
            // Ends the program as the signal would have.
            let _ = emulate_default_handler(signal);
        }
    });
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_was_started_ends_and_the_hint_is_given_once() {
        let child = Owned::new(Command::new("sleep").arg("600").spawn().unwrap());
        let other = Owned::new(Command::new("sleep").arg("600").spawn().unwrap());
        let pid = other.get().id();
        drop(other);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
        assert!(child.try_wait().unwrap().is_none());
        let hint = Hint::new("go on".to_owned());
        assert_eq!(leave().as_deref(), Some("go on"));
        assert!(child.try_wait().unwrap().is_some());
        drop(hint);
        assert_eq!(leave(), None);
    }
}
