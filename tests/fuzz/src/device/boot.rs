//! Starts a device: firmware that is an application, or firmware of which only parts are ours.

use no_std_device::{
    Application, Asked, Board, Buffers, Device, Event, Loaded, MappedFlash, NoIndicator, Parts, Running, Server,
    SlotPair, Trust, Updater, confirm, reject,
};
use no_std_infer::Arena;
use no_std_infer::format::{arena_len, number};
use no_std_infer::kernels::Linked;

use super::host::REQUEST_LEN;
use super::models::FACTORY;
use super::wire::{Eye, Steps, Wire};

const ARENA_LEN: usize = arena_len(include_bytes!("../../../../no-std-infer/data/tiny.blob"));
/// More polls than any burst of requests takes.
const POLLS_MAX: usize = 20_000;

/// A device that runs.
pub trait Turns {
    /// Works until there is nothing to do, or the firmware is to start anew: then it gives false.
    fn turn(&mut self) -> bool;

    /// The blob that runs, by its checksum.
    fn runs(&self) -> Option<u32>;

    /// Its link.
    fn link(&mut self) -> &mut Wire;
}

/// How a device is built.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// The whole application; otherwise a server and an updater, whose firmware starts anew when a model was brought.
    pub application: bool,
    /// Whether a model is built in.
    pub factory: bool,
}

/// Starts a device with what its slots hold, and calls `then` with it.
pub fn boot<F: MappedFlash + 'static>(
    build: Build,
    trust: impl Trust,
    slots: &mut [F; 2],
    link: &mut Wire,
    then: &mut dyn FnMut(&mut dyn Turns),
) {
    let mut arena = Arena::<ARENA_LEN>::new();
    let mut buffers = Buffers::<REQUEST_LEN, 256, 512>::new();
    let factory = build.factory.then_some(FACTORY);
    if build.application {
        let mut averages = heapless::Vec::<_, 4>::new();
        let application = Application::new(Parts {
            factory,
            slots: slots.each_mut(),
            trust,
            linked: Linked::ALL,
            arena: &mut arena,
            averages: &mut averages,
            smoothing: 2,
            memory: buffers.memory(),
        });
        let (camera, indicator, clock) = (Eye::new(link.rng.fork()), NoIndicator, Steps::default());
        let board = Board { name: "application", camera, link, indicator, clock };
        return then(&mut Whole { application, board });
    }
    let usable = |blob: &[u8]| Loaded::parse(blob, Linked::ALL).is_ok();
    let SlotPair { running, record, tentative, mut idle } = SlotPair::open(slots.each_mut(), &|| (), usable);
    let blobs = [record.map(|record| record.bytes(running)), factory];
    let loaded = blobs.into_iter().flatten().find_map(|blob| Loaded::parse(blob, Linked::ALL).ok());
    let source = match record {
        None => Running::BuiltIn,
        Some(_) if tentative => Running::Tentative,
        Some(_) => Running::Confirmed,
    };
    let mut updater = Updater::new(trust, Linked::ALL);
    idle.raise_floor(factory.and_then(number));
    updater.open(idle, source);
    let server = Server::new(buffers.memory());
    let mut single = Single { server, updater, loaded, arena: &mut arena, link, clock: Steps::default() };
    then(&mut single);
    // What cannot be written is as if nobody had asked.
    let _ = match single.updater.asked() {
        None | Some(Asked::Switch) => true,
        Some(Asked::Confirm) => confirm(running),
        Some(Asked::Rollback) => reject(running),
    };
}

/// The application on its board.
struct Whole<'a, F: 'static, T> {
    application: Application<'a, F, T>,
    board: Board<Eye, &'a mut Wire, NoIndicator, Steps>,
}

impl<F: MappedFlash + 'static, T: Trust> Turns for Whole<'_, F, T> {
    fn turn(&mut self) -> bool {
        for _ in 0..POLLS_MAX {
            if self.application.poll(&mut self.board) == Event::Idle && self.board.link.to_device.is_empty() {
                return true;
            }
        }
        panic!("the application does not come to rest");
    }

    fn runs(&self) -> Option<u32> {
        self.application.model().map(no_std_infer::Model::crc)
    }

    fn link(&mut self) -> &mut Wire {
        self.board.link
    }
}

/// A server in firmware of another's.
struct Single<'a, F, T> {
    server: Server<'a>,
    updater: Updater<'a, F, T>,
    loaded: Option<Loaded<'a>>,
    arena: &'a mut [i8],
    link: &'a mut Wire,
    clock: Steps,
}

impl<F: MappedFlash, T: Trust> Turns for Single<'_, F, T> {
    fn turn(&mut self) -> bool {
        let Self { server, updater, loaded, arena, link, clock } = self;
        let mut device = Device { name: "server", clock, loaded: loaded.as_ref(), arena, updater };
        for _ in 0..POLLS_MAX {
            // Firmware looks whether it is to start anew when there is nothing else to do.
            if !server.poll(link, &mut device) && link.to_device.is_empty() {
                return updater.asked().is_none();
            }
        }
        panic!("the server does not come to rest");
    }

    fn runs(&self) -> Option<u32> {
        self.loaded.map(|loaded| loaded.model.crc())
    }

    fn link(&mut self) -> &mut Wire {
        self.link
    }
}
