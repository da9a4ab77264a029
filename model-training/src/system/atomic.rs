//! Files that are there whole or not at all.

use std::io::Write;
use std::path::Path;

use anyhow::Context;

/// Writes `bytes` to a temporary file beside `path`, then puts it in the place of `path`.
///
/// # Errors
/// When the folder is missing or not writable or the disk is full; `path` is then as it was before.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    put(&shared(), path, bytes, true)
}

/// Makes temporary files that others may read as any new file: else they are private. The user's mask still applies.
pub fn shared() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

/// The same where nothing is there; what is there stays, and that is no error.
///
/// # Errors
/// Those of [`write()`].
pub fn create(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    put(&shared(), path, bytes, false).or_else(|error| if path.exists() { Ok(()) } else { Err(error) })
}

/// The same as [`write()`] for what only its owner may read. A file that is there already stays unless `replace` is true.
///
/// # Errors
/// Those of [`write()`], and when `path` exists and must stay.
pub fn write_private(path: &Path, bytes: &[u8], replace: bool) -> anyhow::Result<()> {
    put(&tempfile::Builder::new(), path, bytes, replace)
}

fn put(builder: &tempfile::Builder<'_, '_>, path: &Path, bytes: &[u8], replace: bool) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let put = || {
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        if replace { file.persist(path) } else { file.persist_noclobber(path) }?;
        std::io::Result::Ok(())
    };
    put().with_context(|| {
        format!(
            "cannot write {}; check that its folder exists and is writable and that the disk has room",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write(&path, b"long before").unwrap();
        write(&path, b"after").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"after");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        create(&path, b"first").unwrap();
        create(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(create(&dir.path().join("missing").join("a.txt"), b"x").is_err());
    }

    #[test]
    fn failure_names_the_file_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("taken");
        std::fs::create_dir_all(folder.join("inside")).unwrap();
        for path in [folder.clone(), dir.path().join("missing").join("a.txt")] {
            let error = format!("{:#}", write(&path, b"x").unwrap_err());
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
        assert!(folder.join("inside").is_dir());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_it_as_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mode = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        std::fs::write(dir.path().join("plain"), "x").unwrap();
        write(&dir.path().join("atomic"), b"x").unwrap();
        assert_eq!(mode("atomic"), mode("plain"));
    }
}
