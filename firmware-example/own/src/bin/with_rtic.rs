//! The application in RTIC's idle task, which has the lowest priority: other tasks pre-empt the network.
#![no_std]
#![no_main]

/// Of a board with a crate for its registers, that crate; the application below uses none of its interrupts.
mod device {
    pub const NVIC_PRIO_BITS: u8 = 3;
}

#[rtic::app(device = crate::device, peripherals = false)]
mod app {
    use cortex_m::peripheral::SCB;
    use embedded_io::Write;
    use mps2::{LINKED, MODEL, Mps2, Uart, exit};
    use no_std_device::{Event, Report};
    use no_std_infer::Model;
    use own_firmware::{Classifier, FRAMES, OwnBoard, board, classifier};

    #[shared]
    struct Shared {
        report: Option<Report>,
    }

    #[local]
    struct Local {
        application: Classifier,
        board: OwnBoard,
        console: Uart<0>,
        left: u32,
    }

    #[init]
    fn init(context: init::Context) -> (Shared, Local) {
        let Mps2 { uarts: (console, link, _), clock, .. } = Mps2::start_with(context.core.SYST);
        let shared = Shared { report: None };
        (shared, Local { application: classifier(), board: board(link, clock), console, left: FRAMES })
    }

    #[idle(local = [application, board], shared = [report])]
    fn idle(mut context: idle::Context) -> ! {
        loop {
            if let Event::Classified(found) = context.local.application.poll(context.local.board) {
                context.shared.report.lock(|report| *report = Some(found));
                SCB::set_pendsv();
            }
        }
    }

    /// Shows what was found.
    #[task(binds = PendSV, priority = 1, local = [console, left], shared = [report])]
    fn show(mut context: show::Context) {
        let Some(report) = context.shared.report.lock(Option::take) else { return };
        let Ok(model) = Model::parse_with(MODEL, LINKED) else { exit(false) };
        let label = model.labels().nth(report.decision.class).unwrap_or("?");
        for text in [label, "\n"] {
            let _ = context.local.console.write_all(text.as_bytes());
        }
        *context.local.left -= 1;
        if *context.local.left == 0 {
            exit(true);
        }
    }
}
