//! The map from the network's names to those of a file.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

/// What stands for a number.
const NUMBER: &str = "{}";

/// Pairs of the network's names and a file's, in which `{}` stands for any number; no pair at all leaves names as they
/// are.
#[derive(Debug)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    pub fn new(names: &BTreeMap<String, String>) -> Result<Self> {
        for (ours, theirs) in names {
            let [ours_count, theirs_count] = [ours, theirs].map(|name| name.matches(NUMBER).count());
            ensure!(
                ours_count < 2 && ours_count == theirs_count,
                "model.pretrained.names has \"{ours}\" = \"{theirs}\": give both sides one `{NUMBER}`, or neither"
            );
            let known = ours.starts_with("features.") || ours.starts_with("head.");
            ensure!(known, "model.pretrained.names has \"{ours}\": layers are features.N.NAME and head.N");
        }
        Ok(Self(names.clone()))
    }

    /// True unless names are left as they are.
    pub fn is_map(&self) -> bool {
        !self.0.is_empty()
    }

    /// The file's name of a layer; an exact entry goes before one with `{}`.
    pub fn get(&self, layer: &str) -> Option<String> {
        if !self.is_map() {
            return Some(layer.to_owned());
        }
        let with_number = |(ours, theirs): (&String, &String)| {
            let (before, after) = ours.split_once(NUMBER)?;
            let number = layer.strip_prefix(before)?.strip_suffix(after)?;
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| theirs.replace(NUMBER, number))
        };
        self.0.get(layer).cloned().or_else(|| self.0.iter().find_map(with_number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pairs: &[(&str, &str)]) -> Result<Names> {
        Names::new(&pairs.iter().map(|&(ours, theirs)| (ours.to_owned(), theirs.to_owned())).collect())
    }

    #[test]
    fn numbers_carry_over_and_exact_names_go_first() {
        let names = names(&[
            ("features.0.conv", "stem"),
            ("features.{}.pointwise", "pw_{}"),
            ("features.{}.pointwise.norm", "pw_{}_bn"),
            ("features.7.pointwise", "seventh"),
        ]);
        let names = names.unwrap();
        let get = |layer| names.get(layer);
        assert_eq!(get("features.0.conv").as_deref(), Some("stem"));
        assert_eq!(get("features.12.pointwise").as_deref(), Some("pw_12"));
        assert_eq!(get("features.12.pointwise.norm").as_deref(), Some("pw_12_bn"));
        assert_eq!(get("features.7.pointwise").as_deref(), Some("seventh"));
        for unnamed in ["features.0.conv.norm", "features.1.depthwise", "features.x.pointwise", "head.0"] {
            assert_eq!(get(unnamed), None);
        }
    }

    #[test]
    fn without_a_map_names_stay() {
        assert_eq!(names(&[]).unwrap().get("features.0.conv").as_deref(), Some("features.0.conv"));
    }

    #[test]
    fn impossible_pairs_are_refused() {
        for pair in [("features.{}.conv", "conv"), ("features.{}.{}", "{}.{}"), ("feature.0.conv", "conv")] {
            assert!(names(&[pair]).unwrap_err().to_string().contains(pair.0), "{pair:?}");
        }
    }
}
