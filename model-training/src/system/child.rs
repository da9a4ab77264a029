//! Processes that the system ends when this program does, however that ends.
#![cfg_attr(unix, expect(unsafe_code, reason = "signals are the C library's"))]

use std::io;
use std::process::{Child, Command};

/// Starts a process. Where the system is Linux it is killed when this program ends, also when that is killed itself.
///
/// # Errors
/// When it cannot be started.
#[cfg(target_os = "linux")]
pub(super) fn spawn(mut command: Command) -> io::Result<Child> {
    use std::os::unix::process::{CommandExt, parent_id};
    use std::sync::mpsc::{Sender, channel};
    use std::sync::{Mutex, PoisonError};

    type Order = (Command, Sender<io::Result<Child>>);
    /// The system ends a process with the thread that has started it, so that one thread, which never ends, starts all.
    static STARTER: Mutex<Option<Sender<Order>>> = Mutex::new(None);

    let program = std::process::id();
    let end_with_parent = move || {
        // SAFETY: `prctl` with this option takes the number of a signal, and touches no memory of this program.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // The program may have ended before the signal was asked for.
        if parent_id() == program { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: between `fork` and `exec` the closure makes two calls of the system, and allocates and locks nothing.
    unsafe { command.pre_exec(end_with_parent) };

    let mut starter = STARTER.lock().unwrap_or_else(PoisonError::into_inner);
    let orders = match &*starter {
        Some(orders) => orders,
        None => {
            let (sender, orders) = channel::<Order>();
            std::thread::Builder::new().name("starter".to_owned()).spawn(move || {
                for (mut command, answer) in orders {
                    // Who has asked waits for it.
                    let _ = answer.send(command.spawn());
                }
            })?;
            starter.insert(sender)
        }
    };
    let (answer, child) = channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    orders.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// Starts a process.
///
/// # Errors
/// When it cannot be started.
#[cfg(not(target_os = "linux"))]
pub(super) fn spawn(mut command: Command) -> io::Result<Child> {
    command.spawn()
}

/// Tells a process, which nobody has waited for yet, to end.
#[cfg(unix)]
pub(super) fn ask_to_end(child: &mut Child) {
    let Ok(id) = child.id().try_into() else { return };
    // SAFETY: `kill` takes any numbers; the process was not waited for, so that the number is still its own.
    unsafe { libc::kill(id, libc::SIGTERM) };
}

/// Ends a process: here none can be asked to.
#[cfg(not(unix))]
pub(super) fn ask_to_end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
}
