//! Folders and files that one process at a time writes to.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::{Context, Result};

/// Keeps others from writing to a folder or a file; the system ends it with the process, however that ends.
#[derive(Debug)]
pub struct Claim(#[expect(dead_code, reason = "the lock ends when the file is closed")] File);

/// Claims a folder by locking a file of this name in it, which is made where it is missing, as the folder is; none where another
/// process or thread has claimed it.
///
/// # Errors
/// When the folder or the file cannot be made.
pub fn claim(folder: &Path, name: &str) -> Result<Option<Claim>> {
    let shown = folder.display();
    let why = || format!("cannot make the folder {shown}");
    std::fs::create_dir_all(folder).with_context(why)?;
    let file = File::create(folder.join(name)).with_context(why)?;
    lock(file, folder)
}

/// Claims a file by locking it, which is made, empty, where it is missing; none where another process or thread has claimed it.
///
/// # Errors
/// When it cannot be opened to be written.
pub fn claim_file(path: &Path) -> Result<Option<Claim>> {
    let file = File::options().write(true).create(true).truncate(false).open(path);
    lock(file.with_context(|| format!("cannot write to {}", path.display()))?, path)
}

/// Locks a file, on behalf of what is shown to people.
fn lock(file: File, shown: &Path) -> Result<Option<Claim>> {
    match file.try_lock() {
        Ok(()) => Ok(Some(Claim(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        // Some network file systems have no locks.
        Err(TryLockError::Error(error)) => {
            tracing::warn!("{} cannot be locked ({error}): see that nothing else writes to it", shown.display());
            Ok(Some(Claim(file)))
        }
    }
}
