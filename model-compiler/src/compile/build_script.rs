//! What a firmware's build script needs around the compiler: files whose changes cargo looks at, and its output.

use std::fs;
use std::path::{Path, PathBuf};

use crate::compile::Compiled;
use crate::compile::error::Error;

/// Reads a file and tells cargo, on standard output, to run the build script again when it changes.
///
/// # Errors
/// When the file cannot be read.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, Error> {
    let path = path.as_ref();
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

impl Compiled {
    /// Writes the blob into the folder for the build script's outputs, where the firmware's
    /// `include_model!(concat!(env!("OUT_DIR"), "/model.blob"))` finds it. A file that has these bytes already is left
    /// untouched, so that nothing is compiled again. Gives its path.
    ///
    /// # Errors
    /// When the blob takes more than its limits, outside a build script, or when the file cannot be written.
    pub fn write_to_out_dir(&self, name: &str) -> Result<PathBuf, Error> {
        self.limits.check(&self.blob)?;
        let folder = std::env::var_os("OUT_DIR").ok_or(Error::NoOutDir)?;
        let path = Path::new(&folder).join(name);
        write_if_changed(&path, &self.blob)?;
        Ok(path)
    }
}

fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).map_err(|source| Error::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_where_its_bytes_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.blob");
        write_if_changed(&path, b"first").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        let old = std::time::SystemTime::UNIX_EPOCH;
        fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        write_if_changed(&path, b"first").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), old, "it is left untouched");
        write_if_changed(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        let missing = folder.path().join("missing").join("model.blob");
        let error = write_if_changed(&missing, b"x").unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }
}
