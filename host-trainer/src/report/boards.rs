//! On which boards a model fits, and about how long it takes there, by what is known without a compiler for them.

use maud::{Markup, html};
use model_training::system::html::table;
use serde::{Deserialize, Serialize};

use crate::device::boards::Place;

/// Bytes of code: the engine with the kernels of MLPerf Tiny's models on a Cortex-M4, and a small program around it.
const CODE: u64 = 40 << 10;
/// Bytes of stack that an inference of these takes there.
const STACK: u64 = 2 << 10;

/// What a model takes on a board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// The board.
    #[serde(flatten)]
    pub place: Place,
    /// Bytes of flash that blob and engine leave; negative where they do not fit.
    pub flash_left: i64,
    /// Bytes of RAM that arena and stack leave; negative where they do not fit.
    pub ram_left: i64,
    /// Milliseconds of an inference, from and to, by its multiply-accumulates.
    pub milliseconds: [f64; 2],
}

impl Fit {
    /// Of a model with so many bytes of blob and of arena and so many multiply-accumulates.
    #[must_use]
    pub fn new(place: &Place, [blob, arena]: [usize; 2], macs: u64) -> Self {
        let per_millisecond = (place.clock_mhz * 1000) as f64;
        Self {
            flash_left: place.flash as i64 - (blob as u64 + CODE) as i64,
            ram_left: place.ram as i64 - (arena as u64 + STACK) as i64,
            milliseconds: place.cycles_per_mac.map(|cycles| cycles * macs as f64 / per_millisecond),
            place: place.clone(),
        }
    }

    /// Whether both fit.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.flash_left >= 0 && self.ram_left >= 0
    }
}

/// A table of the boards, and what its figures are; `blob` is where the blob lies, as a shell takes it.
pub(super) fn to_html(boards: &[Fit], program: &str, blob: &str) -> Markup {
    let kib = |bytes: i64| format!("{:.1}", bytes as f64 / 1024.0);
    let row = |fit: &Fit| {
        let [low, high] = fit.milliseconds;
        vec![
            fit.place.title.clone(),
            fit.place.core.clone(),
            fit.place.clock_mhz.to_string(),
            if fit.fits() { "yes" } else { "no" }.to_owned(),
            format!("{low:.1} to {high:.1}"),
            kib(fit.flash_left),
            kib(fit.ram_left),
        ]
    };
    let rows: Vec<Vec<String>> = boards.iter().map(row).collect();
    let header = ["board", "core", "MHz", "fits", "milliseconds, about", "flash left, KiB", "RAM left, KiB"];
    html! {
        (table(&header, &rows))
        p.soft {
            "Estimates, not measured. Milliseconds: by the multiply-accumulates, from the cycles that those of MLPerf Tiny's models \
             take there at least to those that they take at most, which are modelled. What is left of flash and RAM is the \
             application's: blob and arena are taken away, and " (CODE >> 10) " KiB of code and " (STACK >> 10)
            " KiB of stack. With QEMU and a compiler for microcontrollers, " code { (program) " estimate " (blob) }
            " counts this model's own instructions."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        let [title, name, core] = ["Board", "board", "Cortex-M4"].map(str::to_owned);
        Place { title, name, core, clock_mhz: 100, flash: 100 << 10, ram: 10 << 10, cycles_per_mac: [1.5, 2.0] }
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let fit = |blob, arena| Fit::new(&place(), [blob, arena], 1_000_000);
        let fits = fit(60 << 10, 8 << 10);
        assert_eq!((fits.flash_left, fits.ram_left, fits.fits()), (0, 0, true));
        assert_eq!(fits.milliseconds, [15.0, 20.0]);
        assert!(!fit((60 << 10) + 1, 0).fits() && !fit(0, (8 << 10) + 1).fits());
        let page = to_html(&[fit((61 << 10) + 512, 0)], "p", "b").into_string();
        assert!(page.contains(">no<") && page.contains(">-1.5<") && page.contains("p estimate b"), "{page}");
    }
}
