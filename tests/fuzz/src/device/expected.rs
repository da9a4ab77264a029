//! What may run, by what a device has granted and what has happened to it.

use no_std_device::ATTEMPTS;

use super::host::Wish;
use super::models::{FACTORY, all, crc};

/// A model by its checksum, or none.
pub type Model = Option<u32>;

/// What is known of a device over its starts.
#[derive(Debug)]
pub struct Expected {
    /// What runs.
    runs: Model,
    /// What ran before, while the model that runs has not proved itself.
    before: Option<Model>,
    /// Starts with it since.
    starts: u32,
    /// What else may run at the next look.
    others: Vec<Model>,
    /// Any model that the device may take, from now on: it was asked for an older one, of which it is not known whether it has
    /// proved itself.
    any: bool,
    /// The same for ever, for its flash has failed otherwise than by a failure of power.
    faulty: bool,
    /// The largest number of a model that proved itself.
    number: u32,
}

impl Expected {
    /// Of a device that runs this model, with nothing in its slots.
    #[must_use]
    pub fn new(runs: Model) -> Self {
        Self { runs, before: None, starts: 0, others: Vec::new(), any: false, faulty: false, number: 0 }
    }

    /// The device starts anew.
    pub fn start(&mut self) {
        self.starts += 1;
        if let Some(before) = self.before
            && self.starts >= ATTEMPTS
        {
            self.others.push(before);
        }
    }

    fn grant(&mut self, wish: Wish) {
        match wish {
            // It ran already.
            Wish::Switch(new) if self.runs == Some(new) && !self.any => {}
            Wish::Switch(new) => {
                (self.before, self.runs, self.starts) = (Some(self.runs), Some(new), 0);
                self.others.clear();
            }
            // Of which model is not known.
            Wish::Confirm if self.any => {}
            Wish::Confirm => {
                self.before = None;
                self.number = self.number.max(number(self.runs));
            }
            Wish::Rollback => self.any = true,
        }
    }

    /// The device has granted some of a host's wishes, in this order. Where power `failed` after that, answers to the others may
    /// be lost, and what was to be done after an answer may not have been done.
    pub fn learn(&mut self, granted: &[Wish], wishes: &[Wish], failed: bool) {
        let (mut before, number) = (None, self.number);
        for &wish in granted {
            // What has proved itself last may not be noted yet.
            before = if wish == Wish::Confirm { self.before.or(before) } else { None };
            self.grant(wish);
        }
        for &wish in wishes.iter().filter(|_| failed) {
            match wish {
                // Also where it was granted: a start that cannot be noted lets the model before run meanwhile.
                Wish::Switch(new) => self.others.push(Some(new)),
                Wish::Confirm => (self.before, self.number) = (self.before.or(before), number),
                Wish::Rollback => self.any = true,
            }
        }
    }

    /// The flash has failed otherwise than by a failure of power: nothing that was written can be relied on from now on.
    pub fn fault(&mut self) {
        self.faulty = true;
    }

    /// Compares what runs with what may run.
    ///
    /// # Panics
    /// When something else runs.
    pub fn check(&mut self, runs: Model, built_in: bool, signed_only: bool) {
        assert!(runs.is_some() || !built_in, "no model runs, though one is built in");
        let expected = self.any || self.faulty || runs == self.runs || self.others.contains(&runs);
        assert!(expected, "{runs:08x?} runs, and not as {self:08x?}");
        if runs != self.runs {
            let fell_back = self.before == Some(runs) || self.any;
            self.before = (!fell_back).then_some(self.runs);
            (self.runs, self.starts) = (runs, 1);
        }
        self.others.clear();
        let Some(runs) = runs.filter(|&runs| runs != crc(FACTORY)) else { return };
        let brought = all().iter().find(|brought| brought.crc() == runs).expect("somebody brought it");
        assert!(brought.may_run(signed_only), "a model runs that should not");
        let number = number(self.runs);
        assert!(
            !signed_only || self.faulty || number >= self.number,
            "model {number} runs after model {}",
            self.number
        );
    }
}

/// A model's number, or 0.
fn number(model: Model) -> u32 {
    all().iter().find(|brought| Some(brought.crc()) == model).and_then(|brought| brought.number).unwrap_or(0)
}
