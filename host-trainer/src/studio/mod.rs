//! A web program for this machine's browser over boards' cameras: see what they see, collect and label it, train, send models.
//!
//! A thread for each board watches its camera and does what is wished between two frames; pages are told of every change by a long
//! poll, and say what they wish as an [`Action`]. What is saved is saved by [`Collection`], as `collect` does.

mod action;
mod board;
mod gate;
mod http;
mod models;
mod server;
mod teach;
mod view;
mod watch;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use model_training::run::known::Known;

pub use action::{Action, Done, Which};
use board::Board;
use models::Models;
pub use server::Server;
use teach::Teacher;
pub use teach::Teaching;

use crate::collect::{Collection, counts};
use crate::device::Opener;

/// What a studio works with.
pub struct Options {
    /// The boards: of each the name of its link, and the way to it.
    pub boards: Vec<(String, Opener)>,
    /// Where pictures are collected.
    pub folder: PathBuf,
    /// Models that a board may run or be sent.
    pub models: Vec<Known>,
    /// How models are trained further, where that is possible.
    pub teaching: Option<Teaching>,
}

/// Boards that are watched, and a folder that is collected into, until this is dropped.
pub struct Studio {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads of the boards and those of the pages have in common.
struct Shared {
    boards: Vec<Board>,
    shelf: Mutex<Shelf>,
    models: Models,
    teacher: Teacher,
    changes: Changes,
}

/// The pictures, and the classes that a page offers.
struct Shelf {
    collection: Collection,
    /// How many pictures each class has; those that a person has named have none yet.
    classes: Vec<(String, usize)>,
}

/// Counts what changes, for those who wait for it.
#[derive(Clone, Default)]
struct Changes(Arc<(Mutex<u64>, Condvar)>);

impl Changes {
    fn tell(&self) {
        *lock(&self.0.0) += 1;
        self.0.1.notify_all();
    }

    fn count(&self) -> u64 {
        *lock(&self.0.0)
    }

    /// Waits till there are more than this, or for a while in vain.
    fn wait(&self, before: u64, patience: Duration) {
        let few = |count: &mut u64| *count <= before;
        // Whether it was in vain shows in the count.
        drop(self.0.1.wait_timeout_while(lock(&self.0.0), patience, few));
    }
}

/// Whether another thread has panicked meanwhile does not matter for what is kept here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Studio {
    /// Claims the folder and begins to watch.
    ///
    /// # Errors
    /// When there is no board, something else collects into the folder, or a model cannot be used.
    pub fn open(options: Options) -> Result<Self> {
        ensure!(!options.boards.is_empty(), "a studio needs a board: name a link");
        let collection = Collection::open(&options.folder)?;
        let models = Models::new(options.models)?;
        let changes = Changes::default();
        let shelf = Mutex::new(Shelf::new(collection)?);
        let (names, openers): (Vec<String>, Vec<Opener>) = options.boards.into_iter().unzip();
        let boards = names.into_iter().map(|link| Board::new(link, changes.clone())).collect();
        let teacher = Teacher::new(options.teaching, changes.clone());
        let shared = Arc::new(Shared { boards, shelf, models, teacher, changes });
        let mut studio = Self { shared, threads: Vec::new() };
        for (index, opener) in openers.into_iter().enumerate() {
            let shared = Arc::clone(&studio.shared);
            let thread = std::thread::Builder::new().name(format!("board {index}"));
            let thread =
                thread.spawn(move || watch::run(&shared, index, opener)).context("a thread cannot be started")?;
            studio.threads.push(thread);
        }
        Ok(studio)
    }

    /// Does what a page asks for; says what was done.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn act(&self, action: Action) -> Result<Done> {
        self.shared.act(action)
    }

    /// What a page shows: everything of this board, and the picture of its last frame, unless that is the one of the number `shown`;
    /// JSON.
    ///
    /// # Errors
    /// When there is no such board.
    pub fn view(&self, board: usize, shown: u64) -> Result<String> {
        self.shared.view(board, shown)
    }
}

impl Drop for Studio {
    fn drop(&mut self) {
        self.shared.teacher.cancel();
        self.shared.boards.iter().for_each(Board::end);
        for thread in self.threads.drain(..) {
            // A board whose thread has panicked is watched no longer anyway.
            let _ = thread.join();
        }
    }
}

impl Shelf {
    fn new(collection: Collection) -> Result<Self> {
        let mut shelf = Self { collection, classes: Vec::new() };
        shelf.count()?;
        Ok(shelf)
    }

    /// Offers a class.
    fn offer(&mut self, class: &str) {
        if !self.classes.iter().any(|(name, _)| name == class) {
            self.classes.push((class.to_owned(), 0));
        }
    }

    /// Counts the pictures anew.
    fn count(&mut self) -> Result<()> {
        let counts = counts(self.collection.folder())?;
        counts.keys().for_each(|class| self.offer(class));
        for (class, count) in &mut self.classes {
            *count = counts.get(class).copied().unwrap_or_default();
        }
        Ok(())
    }

    /// Notes that a picture was saved.
    fn add(&mut self, class: &str) {
        self.offer(class);
        self.classes.iter_mut().filter(|(name, _)| name == class).for_each(|(_, count)| *count += 1);
    }
}
