//! The configuration as people read it: its JSON schema, a file with every entry explained, and a page of the documentation.
//! All of it is made of the types and their comments.

use std::fmt::Write;

use schemars::{Schema, schema_for};
use serde_json::Value;

use super::Config;

/// The JSON schema of a configuration.
#[must_use]
pub fn schema() -> Schema {
    schema_for!(Config)
}

/// A table of the configuration.
struct Table {
    /// As a file has it, such as `[model.head]`; empty for what stands before all tables.
    header: String,
    text: String,
    /// Whether it is there where a file does not name it.
    given: bool,
    entries: Vec<Entry>,
}

struct Entry {
    name: String,
    text: String,
    /// As a file has it; none where the entry is absent by default.
    default: Option<String>,
}

/// A configuration in which every entry has its default and is explained.
#[must_use]
pub fn template() -> String {
    let mut file = String::new();
    for Table { header, text, given, entries } in tables() {
        if !header.is_empty() {
            let mark = if given { "" } else { "# " };
            file += &format!("\n{}{mark}{header}\n", comment(&text));
        }
        for Entry { name, text, default } in entries {
            file += &comment(&text);
            file += &match default {
                Some(default) if given => format!("{name} = {default}\n"),
                Some(default) => format!("# {name} = {default}\n"),
                None => format!("# {name} =\n"),
            };
        }
    }
    file
}

/// The page of the documentation.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Configuration\n\n`train` and `cv` take a TOML file by `--config`. Every entry may be left out, and unknown ones are \
         refused. `cargo run -- config init` prints a file with all of them, `cargo run -- config schema` their JSON schema. This \
         page is made of the code: `UPDATE_DOCS=1 cargo test -p tests --test docs` writes it.\n",
    );
    for Table { header, text, given, entries } in tables() {
        let kind = entries.iter().find(|entry| header.starts_with("[[") && entry.name == "type");
        let kind = kind.and_then(|entry| entry.default.as_ref()).map(|kind| format!(", `type = {kind}`"));
        let title = if header.is_empty() { "Before all tables".to_owned() } else { format!("`{header}`") };
        let title = title + &kind.unwrap_or_default();
        let absent = if given { "" } else { " Absent by default." };
        let _ = write!(page, "\n## {title}\n\n{text}{absent}\n\n| entry | default | meaning |\n|---|---|---|\n");
        for Entry { name, text, default } in entries {
            let default = default.map_or_else(|| "absent".to_owned(), |default| format!("`{default}`"));
            let _ = writeln!(page, "| `{name}` | {default} | {} |", text.replace('|', "\\|"));
        }
    }
    page
}

fn tables() -> Vec<Table> {
    let schema = schema();
    let root = schema.as_value();
    let mut tables = Vec::new();
    add(root, root, "", true, &mut tables);
    tables
}

/// Adds the table that a part of the schema describes, and those below it.
fn add(root: &Value, node: &Value, header: &str, given: bool, tables: &mut Vec<Table>) {
    let name = header.trim_matches(['[', ']']);
    let (mut entries, mut below) = (Vec::new(), Vec::new());
    for (key, property) in node["properties"].as_object().into_iter().flatten() {
        let target = resolved(root, property);
        let text = text(property, target);
        if target.get("properties").is_some() {
            let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
            below.push((target, format!("[{name}]"), given && property.get("anyOf").is_none()));
        } else {
            let default = property.get("default").or(property.get("const"));
            entries.push(Entry { name: key.clone(), text, default: default.and_then(value) });
        }
        let variants = target["items"].get("$ref").map(|_| resolved(root, &target["items"]));
        for variant in variants.and_then(|variants| variants["oneOf"].as_array()).into_iter().flatten() {
            below.push((variant, format!("[[{name}.{key}]]"), false));
        }
    }
    tables.push(Table { header: header.to_owned(), text: text(node, node), given, entries });
    for (node, header, given) in below {
        add(root, node, &header, given, tables);
    }
}

/// What a reference in a schema leads to, be it optional or not.
fn resolved<'a>(root: &'a Value, node: &'a Value) -> &'a Value {
    let optional = node["anyOf"].as_array().and_then(|any| any.first());
    let node = optional.unwrap_or(node);
    match node["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
        Some(pointer) => root.pointer(pointer).unwrap_or(node),
        None => node,
    }
}

/// The comment of an entry, or else of its type, in one line.
fn text(node: &Value, target: &Value) -> String {
    let text = [node, target].into_iter().find_map(|node| node["description"].as_str()).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("[`", "`").replace("`]", "`")
}

/// A default as TOML writes it.
fn value(json: &Value) -> Option<String> {
    match json {
        Value::Null | Value::Object(_) => None,
        // The shortest number that is the same in single precision, where that holds it.
        Value::Number(number) if number.is_f64() => {
            let double = number.as_f64()?;
            let single = double as f32;
            Some(if f64::from(single) == double { format!("{single:?}") } else { format!("{double:?}") })
        }
        Value::Array(values) => Some(format!("[{}]", values.iter().map(value).collect::<Option<Vec<_>>>()?.join(", "))),
        other => Some(other.to_string()),
    }
}

/// A text as comments of lines that are not too long.
fn comment(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), String::from("#"));
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if line.len() + 1 + word.len() > 110 {
            lines += &(line + "\n");
            line = String::from("#");
        }
        line += &format!(" {word}");
    }
    if line == "#" { lines } else { lines + &line + "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_the_default() {
        let file = template();
        assert_eq!(
            toml::from_str::<Config>(&file).unwrap_or_else(|error| panic!("{error}\n{file}")),
            Config::default()
        );
    }

    #[test]
    fn every_entry_of_the_default_stands_in_the_template() {
        let file = template();
        for line in toml::to_string(&Config::default()).unwrap().lines().filter(|line| !line.is_empty()) {
            let start = line.split('=').next().unwrap();
            assert!(file.lines().any(|found| found.starts_with(start)), "{line} is not in\n{file}");
        }
    }

    #[test]
    fn every_entry_is_explained() {
        for table in tables() {
            for entry in &table.entries {
                assert!(
                    !entry.text.is_empty() || entry.name == "type",
                    "{} {} has no comment",
                    table.header,
                    entry.name
                );
            }
        }
    }
}
