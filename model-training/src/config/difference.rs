//! What two configurations differ in, for messages.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

use super::Config;

impl Config {
    /// The entries whose values differ, each with both values: `train.epochs was 2 and is 3`. Empty where all are equal.
    #[must_use]
    pub fn changes(&self, now: &Self) -> Vec<String> {
        let [before, now] = [self, now].map(entries);
        let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let value = |of: &BTreeMap<String, String>, name: &String| of.get(name).map_or("absent".into(), String::clone);
        let changed = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
        changed.map(|name| format!("{name} was {} and is {}", value(&before, name), value(&now, name))).collect()
    }
}

/// Every value by its full name.
fn entries(config: &Config) -> BTreeMap<String, String> {
    let mut entries = BTreeMap::new();
    if let Ok(value) = Value::try_from(config) {
        collect(String::new(), &value, &mut entries);
    }
    entries
}

fn collect(name: String, value: &Value, entries: &mut BTreeMap<String, String>) {
    let Value::Table(table) = value else {
        entries.insert(name, value.to_string());
        return;
    };
    for (key, value) in table {
        let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        collect(name, value, entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_differ_are_named_with_both_values() {
        let before = Config::from_toml("seed = 1\n[train]\nepochs = 2").unwrap();
        assert!(before.changes(&before.clone()).is_empty());
        let now = Config::from_toml("seed = 1\n[train]\nepochs = 3\n[quantize]\nmethod = \"mse\"").unwrap();
        assert_eq!(before.changes(&now), ["quantize.method was absent and is \"mse\"", "train.epochs was 2 and is 3"]);
    }
}
