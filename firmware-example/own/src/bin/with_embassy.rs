//! The application in a task of embassy's, which lets the executor's other tasks run after each step of the network.
#![no_std]
#![no_main]

use core::num::NonZeroU16;

use embassy_executor::Spawner;
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embedded_io::Write;
use mps2::{LINKED, MODEL, Mps2, exit};
use no_std_device::{Event, Report};
use no_std_infer::Model;
use own_firmware::{Classifier, FRAMES, OwnBoard, board, classifier};

/// Rows of an operator's output between two looks at the other tasks: as few as there can be.
const ROWS: NonZeroU16 = NonZeroU16::new(4).unwrap();
/// From the application to the console.
static REPORTS: Channel<CriticalSectionRawMutex, Report, 1> = Channel::new();

#[embassy_executor::task]
async fn classify(mut application: Classifier, mut board: OwnBoard) {
    loop {
        if let Event::Classified(report) = application.poll_rows(&mut board, ROWS) {
            REPORTS.send(report).await;
        }
        yield_now().await;
    }
}

#[embassy_executor::main]
async fn main(tasks: Spawner) {
    let Mps2 { uarts: (mut console, link, _), clock, .. } = Mps2::start();
    match classify(classifier(), board(link, clock)) {
        Ok(task) => tasks.spawn(task),
        Err(_) => exit(false),
    }
    let Ok(model) = Model::parse_with(MODEL, LINKED) else { exit(false) };
    for _ in 0..FRAMES {
        let report = REPORTS.receive().await;
        let label = model.labels().nth(report.decision.class).unwrap_or("?");
        for text in [label, "\n"] {
            let _ = console.write_all(text.as_bytes());
        }
    }
    exit(true)
}
