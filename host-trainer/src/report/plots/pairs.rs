//! The mistakes of a model with many classes, whose matrix nobody could read.

use model_training::measure::comparison::shorten;
use model_training::measure::metrics::Confusion;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{BLUE, INK, LABEL, LONGEST_LABEL, TITLE, svg, text};

/// Most pairs of classes that are drawn.
const MOST_PAIRS: usize = 40;

/// Draws the largest mistakes as bars.
pub(super) fn pairs(title: &str, labels: &[String], confusion: &Confusion) -> anyhow::Result<String> {
    const ROW: u32 = 22;
    const BARS: (u32, u32) = (420, 360);
    let wrong = confusion.mistakes();
    let shown = &wrong[..wrong.len().min(MOST_PAIRS)];
    let most = shown.first().map_or(1, |&(_, _, count)| count);
    let size = (BARS.0 + BARS.1 + 80, ROW * (shown.len() as u32 + 4));
    svg(title, size, |canvas| {
        let line = |row: usize| (ROW * (row as u32 + 1)) as i32;
        canvas.draw(&Text::new(title.to_owned(), (12, line(0)), text(TITLE, INK, (HPos::Left, VPos::Center))))?;
        let about =
            format!("The largest {} of {} kinds of mistakes: true class > predicted class", shown.len(), wrong.len());
        canvas.draw(&Text::new(about, (12, line(1)), text(LABEL, INK, (HPos::Left, VPos::Center))))?;
        for (row, &(truth, predicted, count)) in shown.iter().enumerate() {
            let names = [truth, predicted].map(|class| shorten(&labels[class], LONGEST_LABEL)).join(" > ");
            let (middle, left) = (line(row + 2), BARS.0 as i32);
            let right = left + (count * BARS.1 as usize).div_ceil(most) as i32;
            canvas.draw(&Text::new(names, (12, middle), text(LABEL, INK, (HPos::Left, VPos::Center))))?;
            canvas.draw(&Rectangle::new([(left, middle - 7), (right, middle + 7)], BLUE.filled()))?;
            let count = count.to_string();
            canvas.draw(&Text::new(count, (right + 6, middle), text(LABEL, INK, (HPos::Left, VPos::Center))))?;
        }
        Ok(())
    })
}
