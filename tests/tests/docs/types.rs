//! The public types of the crates for devices.

use std::collections::BTreeSet;
use std::path::Path;

use crate::tree::{read, root};

/// A crate's public structs and enums by the text: each with the attributes and comments right above it.
#[derive(Default)]
struct PublicTypes {
    /// Of modules that are public.
    here: Vec<(String, String)>,
    /// Of modules that are not.
    elsewhere: Vec<(String, String)>,
    /// What public modules export from others.
    exports: String,
    /// All of the text.
    text: String,
}

impl PublicTypes {
    /// Adds a module's file and those of its modules.
    fn add(&mut self, path: &Path, public: bool) {
        let text = read(path);
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let folder = match path.file_stem().and_then(|stem| stem.to_str()) {
            Some("lib" | "mod") => path.parent().unwrap().to_owned(),
            _ => path.with_extension(""),
        };
        let (mut above, mut in_macro) = (String::new(), false);
        for untrimmed in text.lines() {
            let line = untrimmed.trim_start();
            let name = |start: &str| {
                line.strip_prefix(start)?.split(|c: char| !c.is_alphanumeric() && !"_$".contains(c)).next()
            };
            // What a macro makes of what it is given is judged by the attributes in its definition.
            in_macro = if line == "record! {" { true } else { in_macro && untrimmed != "}" };
            let judged = !line.contains(":ident") && !above.contains("cfg(doctest)");
            let declared = name("pub struct ").or(name("pub enum ")).filter(|_| judged);
            if let Some(name) = declared {
                let types = if public { &mut self.here } else { &mut self.elsewhere };
                types.push((name.to_owned(), if in_macro { "record!".to_owned() } else { above.clone() }));
            }
            let module = name("mod ").or(name("pub mod ")).or(name("pub(crate) mod ")).filter(|_| line.ends_with(';'));
            let files = module.map(|name| [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")]);
            for file in files.into_iter().flatten().filter(|file| file.exists() && !above.contains("cfg(test)")) {
                self.add(&file, public && line.starts_with("pub mod ") && !above.contains("doc(hidden)"));
            }
            if line.starts_with("#[") || line.starts_with("//") {
                above.push_str(line);
            } else {
                above.clear();
            }
        }
        if public {
            let exports = text.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
            self.exports.extend(exports.flat_map(|list| [" ", list]));
        }
        self.text.push_str(text);
    }

    fn all(&self) -> impl Iterator<Item = &(String, String)> {
        let exported: BTreeSet<_> = self.exports.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        self.here.iter().chain(self.elsewhere.iter().filter(move |(name, _)| exported.contains(name.as_str())))
    }
}

#[test]
fn defmt_formats_every_public_type_of_the_device_crates() {
    for (name, known) in [("no-std-infer", "OpError"), ("no-std-device", "Failure")] {
        let mut types = PublicTypes::default();
        types.add(&root().join(name).join("src/lib.rs"), true);
        assert!(types.all().any(|(name, _)| name == known), "{name}: {known} was not found");
        let by_hand = |name: &str| {
            let start = format!("defmt::Format for {name}");
            types.text.contains(&format!("{start} {{")) || types.text.contains(&format!("{start}<"))
        };
        let attribute = "cfg_attr(feature = \"defmt\", derive(defmt::Format))";
        let derived = |above: &str| above == "record!" || above.contains(attribute);
        let formatted: BTreeSet<_> = types.all().filter(|(_, above)| derived(above)).map(|(name, _)| name).collect();
        let names = types.all().map(|(name, _)| name);
        let missing: Vec<_> = names.filter(|name| !formatted.contains(name) && !by_hand(name)).collect();
        assert!(missing.is_empty(), "{name}: no `Format` with the feature `defmt` for {missing:?}");
    }
}
