//! When to lower the learning rate and when to stop, with the semantics of Keras.

use serde::{Deserialize, Serialize};

use crate::config::{EarlyStoppingConfig, Monitor, PlateauConfig};

impl Monitor {
    /// Whether `current` beats `best` by more than `min_delta`. Not a number never does.
    fn improves(self, current: f64, best: f64, min_delta: f64) -> bool {
        match self {
            Monitor::ValidLoss | Monitor::TrainLoss => current < best - min_delta,
            Monitor::ValidAccuracy => current > best + min_delta,
        }
    }

    /// What any number beats.
    fn worst(self) -> f64 {
        match self {
            Monitor::ValidLoss | Monitor::TrainLoss => f64::INFINITY,
            Monitor::ValidAccuracy => f64::NEG_INFINITY,
        }
    }
}

/// Keras' `ReduceLROnPlateau`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    config: PlateauConfig,
    best: f64,
    wait: usize,
    cooldown: usize,
}

impl Plateau {
    /// Before the first epoch.
    #[must_use]
    pub fn new(config: &PlateauConfig) -> Self {
        Self { best: config.monitor.worst(), wait: 0, cooldown: 0, config: config.clone() }
    }

    /// Takes the monitored value of an epoch and returns the learning rate of the next one, given the epoch's.
    pub fn step(&mut self, current: f64, learning_rate: f64) -> f64 {
        if self.cooldown > 0 {
            self.cooldown -= 1;
            self.wait = 0;
        }
        if self.config.monitor.improves(current, self.best, self.config.min_delta) {
            self.best = current;
            self.wait = 0;
        } else if self.cooldown == 0 {
            self.wait += 1;
            if self.wait >= self.config.patience && learning_rate > self.config.min_lr {
                self.cooldown = self.config.cooldown;
                self.wait = 0;
                return (learning_rate * self.config.factor).max(self.config.min_lr);
            }
        }
        learning_rate
    }
}

/// What early stopping makes of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The best so far: its weights are to be kept.
    Best,
    /// No improvement, but patience is left.
    Continue,
    /// Patience is used up.
    Stop,
}

/// Keras' `EarlyStopping`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    config: EarlyStoppingConfig,
    best: f64,
    wait: usize,
    epochs: usize,
}

impl EarlyStopping {
    /// Before the first epoch.
    #[must_use]
    pub fn new(config: &EarlyStoppingConfig) -> Self {
        Self { best: config.monitor.worst(), wait: 0, epochs: 0, config: config.clone() }
    }

    /// Takes the monitored value of an epoch. The first epoch is always [`Verdict::Best`].
    pub fn step(&mut self, current: f64) -> Verdict {
        self.epochs += 1;
        self.wait += 1;
        if self.config.monitor.improves(current, self.best, self.config.min_delta) {
            self.best = current;
            self.wait = 0;
            Verdict::Best
        } else if self.epochs == 1 {
            Verdict::Best
        } else if self.wait >= self.config.patience {
            Verdict::Stop
        } else {
            Verdict::Continue
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Learning rates after each of `values`, from 1.
    fn rates(config: &PlateauConfig, values: &[f64]) -> Vec<f64> {
        let mut plateau = Plateau::new(config);
        let mut rate = 1.0;
        values
            .iter()
            .map(|&value| {
                rate = plateau.step(value, rate);
                rate
            })
            .collect()
    }

    fn config() -> PlateauConfig {
        PlateauConfig {
            monitor: Monitor::ValidLoss,
            factor: 0.5,
            patience: 2,
            min_delta: 0.0,
            cooldown: 0,
            min_lr: 0.0,
        }
    }

    #[test]
    fn rate_falls_after_patience_epochs_without_improvement() {
        assert_eq!(rates(&config(), &[1.0, 1.0, 1.0, 1.0, 1.0]), [1.0, 1.0, 0.5, 0.5, 0.25]);
        assert_eq!(rates(&config(), &[1.0, 1.1, 0.9, 1.0, 0.9]), [1.0, 1.0, 1.0, 1.0, 0.5]);
    }

    #[test]
    fn patience_0_and_1_are_the_same() {
        for patience in [0, 1] {
            let config = PlateauConfig { patience, ..config() };
            assert_eq!(rates(&config, &[1.0, 1.0, 0.5, 0.5]), [1.0, 0.5, 0.5, 0.25]);
        }
    }

    #[test]
    fn changes_up_to_min_delta_do_not_count() {
        let config = PlateauConfig { min_delta: 0.25, ..config() };
        assert_eq!(rates(&config, &[1.0, 0.75, 0.75, 0.5, 0.25]), [1.0, 1.0, 0.5, 0.5, 0.5]);
    }

    #[test]
    fn cooldown_epochs_do_not_count() {
        let config = PlateauConfig { patience: 1, cooldown: 2, ..config() };
        // Reduced at epoch 2. Epoch 3 leaves a cooldown of 1 and does not count; epoch 4 ends the cooldown and counts.
        assert_eq!(rates(&config, &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]), [1.0, 0.5, 0.5, 0.25, 0.25, 0.125]);
        let config = PlateauConfig { patience: 2, cooldown: 2, ..config };
        assert_eq!(rates(&config, &[1.0; 8]), [1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]);
    }

    #[test]
    fn improvement_in_cooldown_moves_the_best() {
        let config = PlateauConfig { patience: 1, cooldown: 3, ..config() };
        assert_eq!(rates(&config, &[1.0, 1.0, 0.5, 0.7, 0.7]), [1.0, 0.5, 0.5, 0.5, 0.25]);
    }

    #[test]
    fn rate_stops_at_min_lr() {
        let config = PlateauConfig { patience: 1, min_lr: 0.3, ..config() };
        assert_eq!(rates(&config, &[1.0; 5]), [1.0, 0.5, 0.3, 0.3, 0.3]);
        // At min_lr nothing is reduced, so no cooldown starts and the wait goes on.
        let mut plateau = Plateau::new(&PlateauConfig { cooldown: 4, ..config });
        for wait in [0, 1, 2, 3] {
            assert_eq!(plateau.step(1.0, 0.3), 0.3);
            assert_eq!((plateau.wait, plateau.cooldown), (wait, 0));
        }
    }

    #[test]
    fn accuracy_is_better_when_larger() {
        let config = PlateauConfig { monitor: Monitor::ValidAccuracy, patience: 1, ..config() };
        assert_eq!(rates(&config, &[0.5, 0.6, 0.6, 0.7]), [1.0, 1.0, 0.5, 0.5]);
    }

    #[test]
    fn not_a_number_is_no_improvement() {
        let config = PlateauConfig { patience: 2, ..config() };
        assert_eq!(rates(&config, &[f64::NAN, f64::NAN, 1.0, f64::NAN]), [1.0, 0.5, 0.5, 0.5]);
    }

    #[test]
    fn stopping_waits_for_patience_epochs() {
        use Verdict::{Best, Continue, Stop};
        let config =
            EarlyStoppingConfig { monitor: Monitor::ValidLoss, patience: 2, min_delta: 0.1, restore_best: true };
        let verdicts = |values: &[f64]| -> Vec<Verdict> {
            let mut stopping = EarlyStopping::new(&config);
            values.iter().map(|&value| stopping.step(value)).collect()
        };
        assert_eq!(verdicts(&[1.0, 0.95, 0.8, 0.9, 0.75]), [Best, Continue, Best, Continue, Stop]);
        assert_eq!(verdicts(&[f64::NAN, f64::NAN]), [Best, Stop]);
        assert_eq!(verdicts(&[f64::NAN, 1.0]), [Best, Best]);
    }

    #[test]
    fn patience_0_stops_at_the_second_epoch_without_improvement() {
        let monitor = Monitor::ValidAccuracy;
        let config = EarlyStoppingConfig { monitor, patience: 0, min_delta: 0.0, restore_best: true };
        let mut stopping = EarlyStopping::new(&config);
        assert_eq!([0.5, 0.6, 0.6].map(|value| stopping.step(value)), [Verdict::Best, Verdict::Best, Verdict::Stop]);
    }
}
