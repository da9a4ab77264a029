//! What a run has measured in its epochs: the rows of `metrics.csv`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::system::read;

/// One row of `metrics.csv`: what training measured in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Learning rate of the epoch's steps.
    pub learning_rate: f64,
    /// Mean loss of the (augmented) training images, nats.
    pub train_loss: f64,
    /// Accuracy on the (augmented) training images, 0 to 1.
    pub train_accuracy: f64,
    /// Mean loss of the validation images, nats.
    pub valid_loss: f64,
    /// Accuracy on the validation images, 0 to 1.
    pub valid_accuracy: f64,
    /// Wall time of the epoch.
    pub seconds: f64,
}

/// Reads `metrics.csv`.
///
/// # Errors
/// When the file cannot be read, is not in the form of [`Epoch`], or has no row.
pub fn read_csv(path: &Path) -> Result<Vec<Epoch>> {
    let bad =
        || format!("{} is not the metrics.csv of a training run; train again, or restore the file", path.display());
    let text = read::text(path, read::SETTINGS).with_context(|| format!("cannot read {}", path.display()))?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.deserialize().collect::<Result<Vec<Epoch>, _>>().with_context(bad)?;
    ensure!(!rows.is_empty(), "{} has no epoch yet; let training finish its first one", path.display());
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_rows_are_read_and_others_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.csv");
        let header = "epoch,learning_rate,train_loss,train_accuracy,valid_loss,valid_accuracy,seconds\n";
        std::fs::write(&path, format!("{header}1,0.001,1.5,0.25,1.4,0.5,2.5\n2,0.0005,NaN,0.5,1.2,0.75,2.4\n"))
            .unwrap();
        let rows = read_csv(&path).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(
            rows[0],
            Epoch {
                epoch: 1,
                learning_rate: 0.001,
                train_loss: 1.5,
                train_accuracy: 0.25,
                valid_loss: 1.4,
                valid_accuracy: 0.5,
                seconds: 2.5
            }
        );
        assert!(rows[1].train_loss.is_nan());
        for text in [header.to_owned(), format!("{header}1,2\n"), "a,b\n1,2\n".to_owned()] {
            std::fs::write(&path, text).unwrap();
            assert!(format!("{:#}", read_csv(&path).unwrap_err()).contains("metrics.csv"));
        }
    }
}
