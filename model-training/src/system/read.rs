//! Files that others may have made: only regular ones are read, and never more of them than a limit.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Most bytes of what a person writes: a configuration, class names, a key.
pub const SETTINGS: u64 = 16 << 20;
/// Most bytes of a model or of weights: none for a microcontroller comes near.
pub const MODEL: u64 = 256 << 20;
/// Most bytes of what lists or holds many images: records, predictions, groups, raw tensors.
pub const DATA: u64 = 1 << 30;

/// Opens a regular file, or a link to one, without waiting: opening a pipe would wait for who writes to it.
///
/// # Errors
/// When it is something else, or cannot be opened.
pub fn open(path: &Path) -> Result<File> {
    // Opening some devices does something. What is opened is looked at again, since the name may lead elsewhere by then.
    check_regular(&std::fs::metadata(path)?)?;
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    check_regular(&file.metadata()?)?;
    Ok(file)
}

fn check_regular(of: &std::fs::Metadata) -> Result<()> {
    if of.is_file() { Ok(()) } else { Err(Error::new(ErrorKind::InvalidInput, "it is no regular file")) }
}

/// What a file holds, at most `most` bytes, also where it grows meanwhile.
///
/// # Errors
/// When it is no regular file, is longer, or cannot be read.
pub fn bytes(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = open(path)?;
    let len = file.metadata()?.len();
    bounded(file, len, most)
}

/// What a file holds as text, like [`bytes`].
///
/// # Errors
/// Those of [`bytes`], and when it is no UTF-8.
pub fn text(path: &Path, most: u64) -> Result<String> {
    String::from_utf8(bytes(path, most)?).map_err(|_| Error::new(ErrorKind::InvalidData, "it is no UTF-8 text"))
}

/// What is left of something to read, probably `len` bytes, at most `most`.
///
/// # Errors
/// When there are more, or they cannot be read.
pub fn bounded(file: impl Read, len: u64, most: u64) -> Result<Vec<u8>> {
    // Where the length is right, no copy of a secret is left behind as the vector grows.
    let mut bytes = Vec::with_capacity(len.min(most) as usize + 1);
    file.take(most + 1).read_to_end(&mut bytes)?;
    let longer = || Error::new(ErrorKind::FileTooLarge, format!("it has more than {most} bytes"));
    if bytes.len() as u64 <= most { Ok(bytes) } else { Err(longer()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_ends_at_the_limit_whatever_the_length_was_said_to_be() {
        let limit = 1 << 20;
        assert_eq!(bounded(std::io::repeat(1).take(limit), 0, limit).unwrap().len() as u64, limit);
        assert_eq!(
            bounded(std::io::repeat(1), u64::MAX, limit).unwrap_err().to_string(),
            "it has more than 1048576 bytes"
        );
    }

    #[test]
    fn a_file_is_read_through_a_link_and_up_to_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "text").unwrap();
        assert_eq!(text(&path, 4).unwrap(), "text");
        assert_eq!(bytes(&path, 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        #[cfg(unix)]
        {
            let link = dir.path().join("link");
            std::os::unix::fs::symlink(&path, &link).unwrap();
            assert_eq!(bytes(&link, 4).unwrap(), b"text");
        }
        std::fs::write(&path, [0xFF]).unwrap();
        assert_eq!(text(&path, 4).unwrap_err().to_string(), "it is no UTF-8 text");
    }

    #[cfg(unix)]
    #[test]
    fn pipes_devices_and_folders_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [&pipe, &link, dir.path()] {
            assert_eq!(bytes(path, 9).unwrap_err().to_string(), "it is no regular file", "{}", path.display());
        }
    }
}
