//! Which model runs: of those that the slots hold, and the one that is built in.

use no_std_infer::Model;
use no_std_infer::format::{arena_len, number};
use no_std_infer::kernels::Linked;
use yoke::Yoke;

use crate::board::MappedFlash;
use crate::link::Identity;
use crate::serve::Loaded;
use crate::signature::Trust;
use crate::slots::{Record, SlotPair};
use crate::update::{self, Updater};

/// The slot that is not written, and the model that runs: the one in it, or else the one that is built in; `None` where neither can
/// be run.
pub(super) type Running<'a, F> = Yoke<Option<Loaded<'static>>, &'a mut F>;

/// The models that may run: the one that is built in, and others on these kernels in an arena of so many bytes.
#[derive(Clone, Copy)]
pub(super) struct Models {
    pub(super) factory: Option<&'static [u8]>,
    pub(super) linked: &'static Linked,
    pub(super) arena_len: usize,
}

impl Models {
    /// Gives the slot that is not written, with its record where its blob is to run. Updates go to the other one.
    // Apart from what starts the blob, so that of the two only one takes stack while a blob is parsed.
    #[inline(never)]
    pub(super) fn choose<'a, F: MappedFlash, T: Trust>(
        &self,
        slots: [&'a mut F; 2],
        updater: &mut Updater<'a, F, T>,
        feed: &dyn Fn(),
    ) -> (&'a mut F, Option<Record>) {
        let built_in = self.factory.and_then(number);
        let usable = |blob: &[u8]| {
            feed();
            self.parse(blob).is_some() && updater.admits(blob, built_in, feed)
        };
        let SlotPair { running, record, tentative, mut idle } = SlotPair::open(slots, feed, usable);
        idle.raise_floor(built_in);
        let source = match record {
            None => update::Running::BuiltIn,
            Some(_) if tentative => update::Running::Tentative,
            Some(_) => update::Running::Confirmed,
        };
        updater.open(idle, source);
        (running, record)
    }

    /// Starts with what lies in the slot by this record, or else with what is built in.
    #[inline(never)]
    pub(super) fn start<'a, F: MappedFlash + 'static>(
        &self,
        slot: &'a mut F,
        record: Option<Record>,
        feed: &dyn Fn(),
    ) -> Running<'a, F> {
        feed();
        Yoke::attach_to_cart(slot, |slot| {
            // What lay in the slot had this digest just now.
            if let Some(Record { blob: identity, .. }) = record
                && let Some(loaded) = self.load(record?.bytes(slot), &|| identity)
            {
                return Some(loaded);
            }
            let blob = self.factory?;
            self.load(blob, &|| Identity::of(blob, feed))
        })
    }

    /// `None` when the blob cannot be run.
    fn load<'m>(&self, blob: &'m [u8], identity: &dyn Fn() -> Identity) -> Option<Loaded<'m>> {
        let model = self.parse(blob)?;
        Some(Loaded { blob, model, identity: identity() })
    }

    // One function for all who parse, with one frame.
    #[inline(never)]
    fn parse<'m>(&self, blob: &'m [u8]) -> Option<Model<'m>> {
        if arena_len(blob) > self.arena_len { None } else { Model::parse_with(blob, self.linked).ok() }
    }
}
