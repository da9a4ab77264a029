//! The recipe of a run that goes on from another, on that one's pictures and on others.

use std::path::PathBuf;

use crate::config::{ClassWeights, Config, Normalization, PretrainedConfig, Schedule};

/// Fewest and most epochs.
const EPOCHS: [usize; 2] = [3, 6];
/// As many epochs of the run before are one now.
const EPOCHS_BEFORE: usize = 4;
/// Share of the run's learning rate from which it goes on.
const GENTLE: f64 = 0.3;
/// So many of the pictures that an epoch shows are as many as the new ones, or else these are shown several times.
const SHARE: usize = 3;
/// How often at most.
const MOST_TIMES: usize = 8;
/// The penalty of an output layer that is fitted to features that were learnt for it.
const L2: f64 = 0.02;

/// What a run goes on from.
#[derive(Clone, Debug)]
pub struct Start {
    /// The folder of the run before.
    pub run: PathBuf,
    /// How its pixels were normalised.
    pub normalization: Normalization,
    /// Its classes.
    pub classes: Vec<String>,
    /// All classes now.
    pub all_classes: Vec<String>,
    /// What the names of added training images begin with, how many these are, and how many training images there are.
    pub added: (String, [usize; 2]),
}

/// The configuration of the run before, changed so that its network goes on gently. A network whose layers all were frozen stays as
/// it is, and its output layer is fitted to all pictures. Otherwise a few epochs with a lower learning rate show old and new
/// pictures mixed, after the output layer was fitted anew where there are other classes.
#[must_use]
pub fn further(before: &Config, start: Start) -> Config {
    let Start { run, normalization, classes, all_classes, added: (prefix, [added, all]) } = start;
    let mut config = Config { normalization: Some(normalization), ..before.clone() };
    config.model.pretrained = Some(PretrainedConfig { file: Some(run), ..PretrainedConfig::default() });
    config.model.kmeans = None;
    let others = all.saturating_sub(added);
    let times = (others / ((SHARE - 1) * added.max(1))).clamp(1, MOST_TIMES);
    config.train.repeat.clear();
    if times > 1 && !prefix.is_empty() {
        config.train.repeat.insert(prefix, times);
    }
    if let ClassWeights::Each(weights) = &mut config.train.class_weights {
        let of = |class: &String| classes.iter().position(|name| name == class).and_then(|at| weights.get(at).copied());
        *weights = all_classes.iter().map(|class| of(class).unwrap_or(1.0)).collect();
    }
    if is_frozen(before) {
        config.train.head_first = Some(before.train.head_first.unwrap_or(L2));
        return config;
    }
    let fits = classes != all_classes && before.model.mlp().hidden.is_empty();
    config.train.head_first = fits.then(|| before.train.head_first.unwrap_or(L2));
    config.train.epochs = before.train.epochs.div_ceil(EPOCHS_BEFORE).clamp(EPOCHS[0], EPOCHS[1]);
    config.train.schedule = Schedule::Cosine;
    config.train.learning_rate = before.train.learning_rate * GENTLE;
    config
}

/// Whether nothing of a network learns but its output layer, once.
fn is_frozen(config: &Config) -> bool {
    ["features", "head"].iter().all(|part| config.train.frozen.iter().any(|name| name == part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NamedWeights;

    fn start(added: [usize; 2], all_classes: &[&str]) -> Start {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Start {
            run: PathBuf::from("/runs/before"),
            normalization: Normalization { mean: [0.5; 3], std: [0.25; 3] },
            classes: names(&["cat", "dog"]),
            all_classes: names(all_classes),
            added: ("camera/".to_owned(), added),
        }
    }

    #[test]
    fn a_network_that_learnt_goes_on_gently() {
        let before = Config::default();
        let config = further(&before, start([100, 500], &["cat", "dog"]));
        config.validate().unwrap();
        assert_eq!((config.train.epochs, config.train.head_first), (EPOCHS[1], None));
        assert!(config.train.learning_rate < before.train.learning_rate);
        assert_eq!(config.train.times("camera/cat/1.png"), 2);
        assert_eq!(config.normalization.unwrap().std, [0.25; 3]);
        assert_eq!(Config::from_toml(&toml::to_string(&config).unwrap()).unwrap(), config);
        let few = further(&before, start([3, 1000], &["cat", "dog"]));
        assert_eq!(few.train.times("camera/cat/1.png"), MOST_TIMES);
        let again = further(&few, start([600, 1000], &["cat", "dog"]));
        assert_eq!(again.train.times("camera/cat/1.png"), 1);
    }

    #[test]
    fn other_classes_fit_the_output_layer_anew() {
        let config = further(&Config::default(), start([100, 500], &["cat", "dog", "fox"]));
        assert_eq!(config.train.head_first, Some(L2));
        let mut hidden = Config::default();
        hidden.model.head = Some(crate::config::Head { hidden: vec![8], ..Default::default() });
        assert_eq!(further(&hidden, start([100, 500], &["cat", "dog", "fox"])).train.head_first, None);
        let mut weighted = Config::default();
        weighted.train.class_weights = ClassWeights::Each(vec![2.0, 3.0]);
        let config = further(&weighted, start([100, 500], &["bear", "cat", "dog"]));
        assert_eq!(config.train.class_weights, ClassWeights::Each(vec![1.0, 2.0, 3.0]));
        weighted.train.class_weights = ClassWeights::Named(NamedWeights::Balanced);
        assert_eq!(further(&weighted, start([1, 2], &["a", "b"])).train.class_weights, weighted.train.class_weights);
    }

    #[test]
    fn a_frozen_network_stays_as_it_is() {
        let mut before = Config::default();
        before.train.frozen = vec!["features".to_owned(), "head".to_owned()];
        (before.train.epochs, before.train.head_first) = (1, Some(6.0));
        let config = further(&before, start([100, 300], &["cat", "dog", "fox"]));
        assert_eq!(config.train, crate::config::TrainConfig { repeat: config.train.repeat.clone(), ..before.train });
    }
}
