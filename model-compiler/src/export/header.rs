//! A C header that holds a blob.

use std::fmt::Write as _;

use no_std_infer::Model;
use no_std_infer::format::{ALIGN, InputKind};

/// Bytes in a line of the array.
const LINE: usize = 16;

/// A header for C99 and C++ that holds a blob, 16-byte aligned, and what a program needs to know to run it. Its names start with
/// `name`, of which other characters than letters, digits and underscores become underscores.
#[must_use]
pub fn c_header(model: &Model<'_>, blob: &[u8], name: &str) -> String {
    let lower = identifier(name);
    let upper = lower.to_ascii_uppercase();
    let mut text = format!(
        "/* An int8 model for no-std-infer: the blob, and what a program needs to know to run it. */\n\
         #ifndef {upper}_H\n#define {upper}_H\n\n"
    );
    for (what, value, comment) in macros(model, blob) {
        let comment = if comment.is_empty() { String::new() } else { format!("/* {comment} */\n") };
        _ = writeln!(text, "{comment}#define {upper}_{what} {value}");
    }
    _ = write!(
        text,
        "\n#if defined(__cplusplus) && __cplusplus >= 201103L\n\
         #define {upper}_ALIGNED alignas({ALIGN})\n\
         #elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L\n\
         #define {upper}_ALIGNED _Alignas({ALIGN})\n\
         #elif defined(_MSC_VER)\n\
         #define {upper}_ALIGNED __declspec(align({ALIGN}))\n\
         #else\n\
         #define {upper}_ALIGNED __attribute__((aligned({ALIGN})))\n\
         #endif\n\n\
         {upper}_ALIGNED static const unsigned char {lower}[{upper}_LEN] = {{\n"
    );
    for line in blob.chunks(LINE) {
        let bytes: Vec<String> = line.iter().map(|byte| format!("0x{byte:02x}")).collect();
        _ = writeln!(text, "    {},", bytes.join(", "));
    }
    _ = write!(text, "}};\n\n#endif\n");
    text
}

/// The macros: what, value, and a comment where the name does not say it all.
fn macros(model: &Model<'_>, blob: &[u8]) -> Vec<(&'static str, String, &'static str)> {
    let info = model.info();
    let (input, output) = (info.input.tensor, model.output());
    let kind = match info.input.kind {
        InputKind::Image(_) => "Input: rows of pixels, each a byte a channel, as int8: the pixel less 128.",
        InputKind::Tensor => "Input: rows of columns of channels, as int8: real / scale + zero point.",
    };
    let labels: Vec<String> = model.labels().map(literal).collect();
    let mut macros = vec![
        ("NAME", literal(info.name), ""),
        ("LEN", blob.len().to_string(), "Bytes of the blob."),
        ("ALIGN", ALIGN.to_string(), "Where the blob and the arena must begin: at multiples of this."),
        ("ARENA_LEN", model.arena_len().to_string(), "Bytes of memory that a run needs."),
        ("INPUT_HEIGHT", input.height.to_string(), kind),
        ("INPUT_WIDTH", input.width.to_string(), ""),
        ("INPUT_CHANNELS", input.channels.to_string(), ""),
        ("INPUT_SCALE", float(input.scale), ""),
        ("INPUT_ZERO_POINT", format!("({})", input.zero_point), ""),
        ("OUTPUT_LEN", output.len().to_string(), "Output: real = scale * (byte - zero point)."),
        ("OUTPUT_SCALE", float(output.scale), ""),
        ("OUTPUT_ZERO_POINT", format!("({})", output.zero_point), ""),
        ("CLASSES", model.classes().to_string(), ""),
    ];
    if !labels.is_empty() {
        macros.push(("LABELS", format!("{{ {} }}", labels.join(", ")), "Their names, for an array of strings."));
    }
    macros
}

/// A C name: no other characters than ASCII letters, digits and underscores, and no digit first.
fn identifier(name: &str) -> String {
    let allowed = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
    let name: String = name.chars().map(allowed).collect();
    if name.starts_with(|first: char| first.is_ascii_lowercase()) { name } else { format!("model_{name}") }
}

/// A string in C: every byte that is no plain ASCII character is written in octal, which ends after three digits.
fn literal(text: &str) -> String {
    let mut literal = String::from("\"");
    for byte in text.bytes() {
        match byte {
            // A question mark could begin a trigraph.
            b'"' | b'\\' | b'?' => _ = write!(literal, "\\{}", byte as char),
            b' '..=b'~' => literal.push(byte as char),
            _ => _ = write!(literal, "\\{byte:03o}"),
        }
    }
    literal.push('"');
    literal
}

/// A float in C, with as many digits as tell it apart.
fn float(value: f32) -> String {
    format!("{value:e}f")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_strings_are_c() {
        assert_eq!(identifier("Faces-2.blob"), "faces_2_blob");
        assert_eq!(identifier("96x96 é"), "model_96x96__");
        assert_eq!(identifier(""), "model_");
        assert_eq!(literal("a \"b\" \\ ??/ \n7é"), r#""a \"b\" \\ \?\?/ \0127\303\251""#);
        assert_eq!([1.0, 1.0 / 255.0, 1e-10].map(float), ["1e0f", "3.921569e-3f", "1e-10f"]);
    }
}
