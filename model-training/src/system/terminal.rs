//! Text for people: names of others, which may hold anything, command no terminal.
//!
//! All that this crate prints goes through [`lines`], by macros of the standard library's names, and so do the events of
//! `tracing`. JSON stays exact: there what is replaced stands within strings, and means the same.

use std::borrow::Cow;
use std::fmt::Write;

/// A name as a person may see it, on one line: control characters, and those that turn the direction of what follows, in
/// JSON's form `\u001b`.
#[must_use]
pub fn escaped(name: &str) -> Cow<'_, str> {
    escape(name, is_command)
}

/// The same for text whose line breaks and tabs are meant.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| is_command(c) && c != '\n' && c != '\t')
}

/// All are of four hexadecimal digits.
fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn escape(text: &str, replaced: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&replaced) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if replaced(c) {
            write!(shown, "\\u{:04x}", u32::from(c)).expect("a string takes everything");
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands of terminals: colours, a title, the start of a line, an 8-bit command, a deleted character, turned text.
    const NAME: &str = "\u{1b}[31mcat\u{1b}]0;title\u{7}\rdog\u{9b}2J\u{7f}\u{202e}gpj.exe";

    #[test]
    fn names_keep_everything_but_commands() {
        for name in ["cat", "Käse", "猫", "a b", "back\\slash"] {
            assert!(matches!(escaped(name), Cow::Borrowed(same) if same == name));
        }
        let shown = "\\u001b[31mcat\\u001b]0;title\\u0007\\u000ddog\\u009b2J\\u007f\\u202egpj.exe";
        assert_eq!(escaped(NAME), shown);
        assert_eq!(lines(NAME), shown);
        assert_eq!(escaped("two\nlines\t"), "two\\u000alines\\u0009");
        assert_eq!(lines("two\nlines\t"), "two\nlines\t");
        assert!(
            (0..0x3000).filter_map(char::from_u32).all(|c| escaped(&c.to_string()).chars().all(|c| !is_command(c)))
        );
    }

    #[test]
    fn json_stays_exact() {
        let names: String = (0..0x3000).filter_map(char::from_u32).collect();
        let value = serde_json::json!({ "labels": [NAME, "two\nlines\t", names] });
        for text in [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
            assert_ne!(lines(&text), text);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&lines(&text)).unwrap(), value);
        }
    }
}
