//! What still happens when a person or the system ends the program: what is being made is saved, processes that it started end
//! with it, and it says how to go on.

use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::child;

/// How long the end waits for what is to be saved.
const SAVING: Duration = Duration::from_secs(5);
/// How long a process has to end by itself once it is told to, since it may be one that saves before.
const FAREWELL: Duration = Duration::from_secs(8);
/// Between two looks at something that ends soon.
const PAUSE: Duration = Duration::from_millis(10);

static CHILDREN: Mutex<Vec<Weak<Mutex<Child>>>> = Mutex::new(Vec::new());
static LEAVING: AtomicBool = AtomicBool::new(false);
static UNSAVED: AtomicUsize = AtomicUsize::new(0);
static HINT: Mutex<Option<String>> = Mutex::new(None);

/// Whether another thread has panicked meanwhile does not matter for what is kept here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process that ends when it is dropped and when this program ends: when that is told to, and on Linux when it is killed.
#[derive(Debug)]
pub struct Owned(Arc<Mutex<Child>>);

impl Owned {
    /// Starts a process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: Command) -> std::io::Result<Self> {
        let child = Arc::new(Mutex::new(child::spawn(command)?));
        let mut children = lock(&CHILDREN);
        children.retain(|child| child.strong_count() > 0);
        children.push(Arc::downgrade(&child));
        Ok(Self(child))
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

    /// Tells it to end, where signals can, and waits for that; kills it when it takes too long.
    pub fn let_end(&self) {
        let_end(&self.0, FAREWELL);
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        end(&mut self.get());
    }
}

fn has_ended(child: &mut Child) -> bool {
    child.try_wait().is_ok_and(|status| status.is_some())
}

fn let_end(process: &Mutex<Child>, patience: Duration) {
    let start = Instant::now();
    {
        let mut process = lock(process);
        if has_ended(&mut process) {
            return;
        }
        child::ask_to_end(&mut process);
    }
    while !has_ended(&mut lock(process)) {
        if start.elapsed() > patience {
            return end(&mut lock(process));
        }
        std::thread::sleep(PAUSE);
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

/// While it lives, there is something to be saved when [the program is leaving](is_leaving).
#[derive(Debug)]
pub struct Unsaved(());

impl Unsaved {
    /// From now on.
    #[must_use]
    pub fn begin() -> Self {
        UNSAVED.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Unsaved {
    fn drop(&mut self) {
        UNSAVED.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Whether a signal is ending the program, which waits a while for what is saved now.
#[must_use]
pub fn is_leaving() -> bool {
    LEAVING.load(Ordering::SeqCst)
}

/// Waits for what is to be saved, ends all processes that are owned, and gives the hint.
fn leave() -> Option<String> {
    let start = Instant::now();
    while UNSAVED.load(Ordering::SeqCst) > 0 && start.elapsed() < SAVING {
        std::thread::sleep(PAUSE);
    }
    let children: Vec<_> = lock(&CHILDREN).iter().filter_map(Weak::upgrade).collect();
    children.iter().for_each(|child| let_end(child, FAREWELL));
    lock(&HINT).take()
}

/// Where a signal is ending the program, waits for that: what fails because its emulators end is no error.
pub fn wait_when_leaving() {
    while is_leaving() {
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
    use super::*;

    /// What ends all processes would end those of the other test.
    static ALONE: Mutex<()> = Mutex::new(());

    fn started(command: &[&str]) -> Owned {
        let mut started = Command::new(command[0]);
        started.args(&command[1..]);
        Owned::start(started).unwrap()
    }

    #[test]
    fn what_was_started_ends_and_the_hint_is_given_once() {
        let _alone = lock(&ALONE);
        let [child, other] = [(); 2].map(|()| started(&["sleep", "600"]));
        let pid = other.get().id();
        drop(other);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
        assert!(child.try_wait().unwrap().is_none());
        let hint = Hint::new("go on".to_owned());
        assert_eq!(leave().as_deref(), Some("go on"));
        assert!(child.try_wait().unwrap().is_some());
        drop(hint);
        assert_eq!(leave(), None);
        assert!(Owned::start(Command::new("a-program-that-is-not-there")).is_err());
    }

    #[test]
    fn what_is_told_to_end_may_say_how_and_what_does_not_is_killed() {
        use std::os::unix::process::ExitStatusExt;
        let _alone = lock(&ALONE);
        let willing = started(&["sh", "-c", "trap 'exit 7' TERM; while true; do sleep 0.01; done"]);
        let deaf = started(&["sh", "-c", "trap '' TERM; while true; do sleep 0.01; done"]);
        // Until the shells have heard what to do about the signal.
        std::thread::sleep(Duration::from_millis(200));
        let_end(&willing.0, Duration::from_secs(20));
        assert_eq!(willing.try_wait().unwrap().and_then(|status| status.code()), Some(7));
        let_end(&deaf.0, Duration::from_millis(100));
        assert_eq!(deaf.try_wait().unwrap().and_then(|status| status.signal()), Some(9));
    }
}
