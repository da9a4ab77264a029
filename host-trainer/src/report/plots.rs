//! Pictures of a run as SVG: the training curves, the confusion matrix, probabilities against the truth.
//!
//! Colours keep their order and their difference for the colour-blind: blue and vermilion of Okabe and Ito, and one
//! hue from light to dark.

mod chart;
mod confidence;
mod front;
mod learning;
mod pairs;

use std::ops::Range;

use anyhow::anyhow;
use model_training::data::epochs::Epoch;
use model_training::measure::comparison::shorten;
use model_training::measure::metrics::Confusion;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub use confidence::{reliability, risk_coverage};
pub use front::{Dot, Dots, front};
pub use learning::learning_curve;

const BLUE: RGBColor = RGBColor(0, 114, 178);
const VERMILION: RGBColor = RGBColor(213, 94, 0);
const INK: RGBColor = RGBColor(34, 34, 34);
const GRID: RGBColor = RGBColor(225, 225, 225);
/// Shades of the least and the largest share in the heat map.
const SHADES: (RGBColor, RGBColor) = (RGBColor(247, 251, 255), RGBColor(8, 48, 107));

const TITLE: u32 = 18;
const LABEL: u32 = 14;
/// Estimate of a character's width in the font size: no font is at hand to measure it.
const CHARACTER: f64 = 0.64;
/// Longest class name in a picture; longer ones are cut.
const LONGEST_LABEL: usize = 24;
/// Most classes whose matrix is drawn.
const MOST_CLASSES: usize = 50;
/// Up to this many epochs each is marked by a dot.
const MOST_DOTS: usize = 40;

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws loss, accuracy and learning rate over the epochs.
///
/// # Errors
/// When there is no epoch.
pub fn curves(epochs: &[Epoch]) -> anyhow::Result<String> {
    anyhow::ensure!(!epochs.is_empty(), "there is no epoch to draw; let training finish its first one");
    svg("the curves", (900, 960), |canvas| {
        let panels = canvas.margin(12, 12, 12, 24).split_evenly((3, 1));
        let series = |value: fn(&Epoch) -> f64| -> Vec<(usize, f64)> {
            epochs.iter().map(|e| (e.epoch, value(e))).filter(|(_, y)| y.is_finite()).collect()
        };

        let losses = [
            Series::new("training", VERMILION, series(|e| e.train_loss)),
            Series::new("validation", BLUE, series(|e| e.valid_loss)).with_best("lowest", f64::min),
        ];
        let range = padded(extent(&losses));
        panel(&panels[0], "Loss (nats)", &losses, epochs, range, &|y| format!("{}", (y * 1e4).round() / 1e4))?;

        let accuracies = [
            Series::new("training", VERMILION, series(|e| e.train_accuracy)),
            Series::new("validation", BLUE, series(|e| e.valid_accuracy)).with_best("highest", f64::max),
        ];
        panel(&panels[1], "Accuracy", &accuracies, epochs, 0.0..1.0, &|y| format!("{y:.1}"))?;

        let mut rates = series(|e| e.learning_rate);
        rates.retain(|&(_, rate)| rate > 0.0);
        let ends = rates.first().copied().zip(rates.last().copied());
        let title = ends.map_or("Learning rate".to_owned(), |((_, first), (_, last))| {
            format!("Learning rate (first {first:.2e}, last {last:.2e})")
        });
        let rates = [Series::new("", BLUE, rates)];
        let Range { start, end } = if ends.is_none() { 1e-4..1e-3 } else { extent(&rates) };
        let range = (10_f64.powf(start.log10().floor()) / 1.3..10_f64.powf(end.log10().ceil()) * 1.3).log_scale();
        panel(&panels[2], &title, &rates, epochs, range, &|y| format!("{y:.0e}"))
    })
}

/// Draws a confusion matrix with its counts; the shade of a cell is its share of the row. Of more than 50 classes, the pairs
/// that are confused most.
///
/// # Errors
/// When there are not as many labels as classes.
pub fn confusion(title: &str, labels: &[String], confusion: &Confusion) -> anyhow::Result<String> {
    anyhow::ensure!(
        labels.len() == confusion.classes(),
        "{} labels for {} classes in {title}; give one label a class",
        labels.len(),
        confusion.classes()
    );
    if labels.len() > MOST_CLASSES {
        return pairs::pairs(title, labels, confusion);
    }
    let matrix = Matrix::new(title, labels, confusion);
    svg(title, matrix.size(), |canvas| matrix.draw(canvas))
}

/// A picture on white; `what` names it in an error.
fn svg(
    what: &str,
    size: (u32, u32),
    draw: impl FnOnce(&Canvas<'_>) -> Result<(), Box<dyn std::error::Error>>,
) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let canvas = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        canvas
            .fill(&WHITE)
            .map_err(Into::into)
            .and_then(|()| draw(&canvas))
            .and_then(|()| canvas.present().map_err(Into::into))
            .map_err(|error| anyhow!("cannot draw {what}: {error}"))?;
    }
    Ok(svg)
}

/// A text style of so many pixels.
fn text(pixels: u32, color: RGBColor, anchor: (HPos, VPos)) -> TextStyle<'static> {
    // The SVG back end divides sizes by 1.24.
    ("sans-serif", f64::from(pixels) * 1.24).into_font().color(&color).pos(Pos::new(anchor.0, anchor.1))
}

fn text_width(text: &str, pixels: u32) -> u32 {
    (text.chars().count() as f64 * f64::from(pixels) * CHARACTER).ceil() as u32
}

/// One line of a panel.
#[derive(Clone)]
struct Series {
    name: String,
    color: RGBColor,
    points: Vec<(usize, f64)>,
}

impl Series {
    fn new(name: &str, color: RGBColor, points: Vec<(usize, f64)>) -> Self {
        Self { name: name.to_owned(), color, points }
    }

    /// Adds the best value and its first epoch to the name.
    fn with_best(mut self, word: &str, better: fn(f64, f64) -> f64) -> Self {
        let Some(best) = self.points.iter().map(|&(_, y)| y).reduce(better) else {
            self.name += " (not finite)";
            return self;
        };
        if let Some((epoch, y)) = self.points.iter().find(|&&(_, y)| y == best) {
            self.name += &format!(" ({word} {y:.3}, epoch {epoch})");
        }
        self
    }
}

/// Smallest and largest value of all series; 0 to 1 when there is none.
fn extent(series: &[Series]) -> Range<f64> {
    let values = || series.iter().flat_map(|s| s.points.iter().map(|&(_, y)| y));
    match (values().reduce(f64::min), values().reduce(f64::max)) {
        (Some(low), Some(high)) => low..high,
        _ => 0.0..1.0,
    }
}

fn padded(range: Range<f64>) -> Range<f64> {
    let margin = ((range.end - range.start) * 0.05).max(range.end.abs() * 0.05).max(1e-6);
    (range.start - margin).max(0.0)..range.end + margin
}

fn panel<Y>(
    area: &Canvas<'_>,
    title: &str,
    series: &[Series],
    epochs: &[Epoch],
    range: Y,
    format: &dyn Fn(&f64) -> String,
) -> Result<(), Box<dyn std::error::Error>>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let (head, body) = area.split_vertically(34);
    draw_key(&head, title, series)?;
    let first = epochs.iter().map(|e| e.epoch).min().unwrap_or(1);
    let last = epochs.iter().map(|e| e.epoch).max().unwrap_or(1);
    let mut chart = ChartBuilder::on(&body)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d(first.saturating_sub(1)..last + 1, range)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE.mix(0.0))
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(text(LABEL, INK, (HPos::Left, VPos::Top)))
        .axis_desc_style(text(LABEL, INK, (HPos::Left, VPos::Top)))
        .x_labels(12)
        .y_labels(6)
        .x_desc("epoch")
        .x_label_formatter(&|epoch| if (first..=last).contains(epoch) { epoch.to_string() } else { String::new() })
        .y_label_formatter(format)
        .draw()?;
    for Series { color, points, .. } in series {
        chart.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?;
        if epochs.len() <= MOST_DOTS {
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, color.filled())))?;
        }
    }
    Ok(())
}

/// Title on the left, names of the lines on the right.
fn draw_key(area: &Canvas<'_>, title: &str, series: &[Series]) -> Result<(), Box<dyn std::error::Error>> {
    let (width, height) = area.dim_in_pixel();
    let middle = height as i32 / 2;
    area.draw(&Text::new(title.to_owned(), (0, middle), text(TITLE, INK, (HPos::Left, VPos::Center))))?;
    let mut right = width as i32;
    for Series { name, color, .. } in series.iter().rev().filter(|s| !s.name.is_empty()) {
        let left = right - text_width(name, LABEL) as i32;
        area.draw(&Text::new(name.clone(), (left, middle), text(LABEL, INK, (HPos::Left, VPos::Center))))?;
        area.draw(&PathElement::new([(left - 34, middle), (left - 8, middle)], color.stroke_width(3)))?;
        right = left - 58;
    }
    Ok(())
}

/// A confusion matrix and where its parts lie, in pixels.
struct Matrix<'a> {
    title: &'a str,
    labels: Vec<String>,
    confusion: &'a Confusion,
    /// Side of a cell.
    cell: u32,
    /// Upper left corner of the first cell.
    origin: (u32, u32),
    /// Whether the names under the columns are turned.
    turned: bool,
    /// Height of the names under the columns.
    foot: u32,
}

impl<'a> Matrix<'a> {
    fn new(title: &'a str, labels: &[String], confusion: &'a Confusion) -> Self {
        let labels: Vec<String> = labels.iter().map(|label| shorten(label, LONGEST_LABEL)).collect();
        let largest = confusion.counts.iter().flatten().max().copied().unwrap_or(0);
        let narrowest = text_width(&largest.to_string(), LABEL) + 10;
        let cell = (600 / labels.len().max(1) as u32).clamp(narrowest.max(28), narrowest.max(100));
        let widest = labels.iter().map(|label| text_width(label, LABEL)).max().unwrap_or(0);
        let turned = widest + 8 > cell;
        let foot = if turned { widest } else { LABEL };
        Self { title, labels, confusion, cell, origin: (widest + 56, 56), turned, foot }
    }

    fn side(&self) -> u32 {
        self.cell * self.labels.len() as u32
    }

    fn size(&self) -> (u32, u32) {
        let caption = text_width(CAPTION, LABEL).max(text_width(self.title, TITLE));
        let width = (self.origin.0 + self.side() + 16).max(caption + 32);
        (width, self.origin.1 + self.side() + self.foot + 84)
    }

    fn draw(&self, canvas: &Canvas<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let (left, top) = (self.origin.0 as i32, self.origin.1 as i32);
        let (cell, side, foot) = (self.cell as i32, self.side() as i32, self.foot as i32);
        let write = |words: &str, at: (i32, i32), style: TextStyle<'static>| {
            canvas.draw(&Text::new(words.to_owned(), at, style))
        };
        let centred = (HPos::Center, VPos::Center);
        write(self.title, (16, 28), text(TITLE, INK, (HPos::Left, VPos::Center)))?;
        write("true class", (18, top + side / 2), turn(text(LABEL, INK, centred)))?;
        write("predicted class", (left + side / 2, top + side + foot + 32), text(LABEL, INK, centred))?;
        write(CAPTION, (16, top + side + foot + 64), text(LABEL, INK, (HPos::Left, VPos::Center)))?;
        for (index, label) in self.labels.iter().enumerate() {
            let middle = index as i32 * cell + cell / 2;
            write(label, (left - 10, top + middle), text(LABEL, INK, (HPos::Right, VPos::Center)))?;
            let below = (left + middle, top + side + 10);
            if self.turned {
                write(label, below, turn(text(LABEL, INK, (HPos::Right, VPos::Center))))?;
            } else {
                write(label, below, text(LABEL, INK, (HPos::Center, VPos::Top)))?;
            }
        }
        for (truth, row) in self.confusion.counts.iter().enumerate() {
            let support = row.iter().sum::<usize>().max(1);
            for (predicted, &count) in row.iter().enumerate() {
                let share = count as f64 / support as f64;
                let (x, y) = (left + predicted as i32 * cell, top + truth as i32 * cell);
                canvas.draw(&Rectangle::new([(x, y), (x + cell, y + cell)], shade(share).filled()))?;
                canvas.draw(&Rectangle::new([(x, y), (x + cell, y + cell)], GRID.stroke_width(1)))?;
                let color = if share > 0.5 { WHITE } else { INK };
                let size = if cell >= 60 { TITLE } else { LABEL };
                write(&count.to_string(), (x + cell / 2, y + cell / 2), text(size, color, centred))?;
            }
        }
        Ok(())
    }
}

const CAPTION: &str = "Number of images; shade: share of the row.";

fn turn(style: TextStyle<'static>) -> TextStyle<'static> {
    style.transform(FontTransform::Rotate270)
}

fn shade(share: f64) -> RGBColor {
    let (light, dark) = SHADES;
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
    RGBColor(mix(light.0, dark.0), mix(light.1, dark.1), mix(light.2, dark.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(epochs: usize) -> Vec<Epoch> {
        (1..=epochs)
            .map(|epoch| {
                let t = epoch as f64;
                let wave = (t * 1.7).sin() * 0.05;
                Epoch {
                    epoch,
                    learning_rate: 1e-3 * 0.5_f64.powi(epoch as i32 / 20),
                    train_loss: 1.4 * (-t / 40.0).exp() + 0.05,
                    train_accuracy: 1.0 - 0.75 * (-t / 30.0).exp(),
                    valid_loss: 1.3 * (-t / 50.0).exp() + 0.25 + wave,
                    valid_accuracy: 0.85 - 0.6 * (-t / 40.0).exp() + wave,
                    seconds: 1.0,
                }
            })
            .collect()
    }

    /// A picture, which is put into the folder `$PLOTS`, where there is one, to look at it.
    fn drawn(name: &str, svg: anyhow::Result<String>) -> String {
        let svg = svg.unwrap();
        if let Some(folder) = std::env::var_os("PLOTS") {
            std::fs::write(std::path::Path::new(&folder).join(name), &svg).unwrap();
        }
        svg
    }

    #[test]
    fn curves_of_short_long_and_diverged_runs() {
        for epochs in [1, 2, 3, 30, 200] {
            let svg = drawn(&format!("curves-{epochs}.svg"), curves(&run(epochs)));
            assert!(svg.contains("validation (lowest"), "{epochs} epochs");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{epochs} epochs");
        }
        let mut diverged = run(5);
        for epoch in &mut diverged {
            (epoch.train_loss, epoch.valid_loss, epoch.learning_rate) = (f64::NAN, f64::INFINITY, 0.0);
        }
        let svg = drawn("curves-diverged.svg", curves(&diverged));
        assert!(svg.contains("validation (not finite)"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert!(curves(&[]).is_err());
    }

    #[test]
    fn best_epoch_is_the_first_of_equals() {
        let series = Series::new("validation", BLUE, vec![(1, 0.5), (2, 0.25), (3, 0.25)]);
        assert_eq!(series.with_best("lowest", f64::min).name, "validation (lowest 0.250, epoch 2)");
    }

    #[test]
    fn matrices_of_any_size_show_every_count() {
        for (classes, length) in [(2, 4), (4, 6), (10, 9), (20, 40)] {
            let mut matrix = Confusion::new(classes);
            for (truth, row) in matrix.counts.iter_mut().enumerate() {
                for (predicted, count) in row.iter_mut().enumerate() {
                    *count = if truth == predicted { 1000 + truth } else { (truth * 7 + predicted * 3) % 40 };
                }
            }
            let labels: Vec<String> = (0..classes).map(|class| format!("<{class}>{}", "a".repeat(length))).collect();
            let name = format!("confusion-{classes}.svg");
            let svg = drawn(&name, confusion("Confusion, test, int8", &labels, &matrix));
            for count in matrix.counts.iter().flatten() {
                assert!(svg.contains(&format!("\n{count}\n")), "{count} of {classes} classes");
            }
            assert!(svg.contains("&lt;0&gt;"));
        }
        assert!(confusion("", &[], &Confusion::new(2)).is_err());
    }

    #[test]
    fn shades_run_from_light_to_dark() {
        let luminance = |share: f64| {
            let RGBColor(r, g, b) = shade(share);
            0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b)
        };
        let values: Vec<f64> = (0..=10).map(|tenth| luminance(f64::from(tenth) / 10.0)).collect();
        assert!(values.is_sorted_by(|a, b| a > b));
    }
}
