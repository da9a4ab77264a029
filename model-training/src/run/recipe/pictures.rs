//! The pictures of a data set at the sizes that recipes ask for, each read once.

use anyhow::Result;

use crate::config::Config;
use crate::data::dataset::{Dataset, Loaded, Reading};
use crate::data::progress;

/// Most pictures that are kept at several sizes.
const KEPT: usize = 5000;

/// All pictures of a data set.
#[derive(Debug)]
pub struct Pictures {
    whole: Dataset,
    loaded: Vec<(Reading, Loaded)>,
}

impl Pictures {
    /// None is read yet. `whole` has all pictures as training images.
    #[must_use]
    pub fn new(whole: Dataset) -> Self {
        Self { whole, loaded: Vec::new() }
    }

    /// The pictures of a split as a configuration's network sees them. What cannot be read, and may be skipped, leaves the
    /// split.
    ///
    /// # Errors
    /// When pictures cannot be read, or the split has others.
    pub fn of(&mut self, split: &mut Dataset, config: &Config) -> Result<Loaded> {
        let reading = Reading::of_run(config);
        let known = self.loaded.iter().position(|(of, _)| *of == reading);
        let place = match known {
            Some(place) => place,
            None => {
                if self.whole.train.len() > KEPT {
                    self.loaded.clear();
                }
                let loaded = progress::load(&mut self.whole, &reading)?;
                self.whole.notes.clear();
                self.loaded.push((reading, loaded));
                self.loaded.len() - 1
            }
        };
        split.leave_out_skipped(&self.whole)?;
        self.loaded[place].1.divided(&self.whole, split)
    }
}
