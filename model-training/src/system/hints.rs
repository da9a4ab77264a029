//! Commands that a person is told to type.

use std::path::{Path, PathBuf};

/// How this program was called: `cargo run --`, or its name.
#[must_use]
pub fn program() -> String {
    // Cargo sets the variable for what it runs.
    if std::env::var_os("CARGO").is_some() {
        return "cargo run --".to_owned();
    }
    let called = std::env::args_os().next().map(PathBuf::from);
    called
        .as_deref()
        .and_then(Path::file_name)
        .map_or_else(|| "host-trainer".to_owned(), |name| quoted(Path::new(name)))
}

/// The command that this process does, as a person would type it.
#[must_use]
pub fn command() -> String {
    let arguments = std::env::args_os().skip(1).map(|argument| quoted(Path::new(&argument)));
    std::iter::once(program()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// A path as a shell takes it.
#[must_use]
pub fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    // A path with a zero byte names no file.
    shlex::try_quote(&path).map_or_else(|_| path.clone(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_would_split_or_expand_them() {
        let texts = ["runs/a-1", "My Pictures/run", "it's", "$HOME; rm", "päris/1"].map(|path| quoted(Path::new(path)));
        for (text, path) in texts.iter().zip(["runs/a-1", "My Pictures/run", "it's", "$HOME; rm", "päris/1"]) {
            assert_eq!(shlex::split(text), Some(vec![path.to_owned()]), "{text}");
        }
        assert_eq!(texts[0], "runs/a-1");
    }
}
