//! Accuracy over the number of photographs to learn from.

use model_training::measure::learning::{LearningCurve, Point};
use plotters::prelude::*;

use super::chart::{Axis, chart};
use super::{BLUE, Series, VERMILION, svg};

/// Width and height of the picture in pixels.
const SIZE: (u32, u32) = (720, 480);
/// Points of the law's line.
const STEPS: usize = 60;

/// Draws each point's accuracy with its interval and its folds, and the power law up to twice as many photographs; the axis of
/// photographs is logarithmic.
///
/// # Errors
/// When there are not two points.
pub fn learning_curve(title: &str, curve: &LearningCurve) -> anyhow::Result<String> {
    let [first, .., last] = &curve.points[..] else { anyhow::bail!("a learning curve needs two points or more") };
    let (least, most) = (first.photographs.max(1.0), 2.0 * last.photographs);
    let law = |step: usize| {
        let count = least * (most / least).powf(step as f64 / STEPS as f64);
        (count, 1.0 - curve.law.error(count))
    };
    let law: Vec<(f64, f64)> = (0..=STEPS).map(law).collect();
    let measured = |point: &Point| (point.photographs, point.accuracy.value);
    let lowest = curve.points.iter().flat_map(|point| &point.folds).copied().fold(1.0, f64::min);
    let lowest = curve.points.iter().map(|point| point.accuracy.low).fold(lowest, f64::min);
    svg(title, SIZE, |canvas| {
        let named = |name: &str, color| Series::new(name, color, Vec::new());
        let key = [named("measured, with 95 % interval and folds", BLUE), named("power law", VERMILION)];
        let x = Axis {
            name: "photographs to learn from",
            range: (least / 1.3..most * 1.1).log_scale(),
            label: &|count| format!("{count:.0}"),
        };
        let range = (lowest - 0.05).max(0.0)..1.0;
        let y = Axis { name: "accuracy, int8", range, label: &|share| format!("{share:.2}") };
        chart(canvas, (title, &key), (x, y), |chart| {
            chart.draw_series(LineSeries::new(law.iter().copied(), VERMILION.stroke_width(2)))?;
            for point in &curve.points {
                let ends = [point.accuracy.low, point.accuracy.high].map(|accuracy| (point.photographs, accuracy));
                chart.draw_series([PathElement::new(ends, BLUE.stroke_width(2))])?;
                let folds =
                    point.folds.iter().map(|&fold| Circle::new((point.photographs, fold), 2, BLUE.stroke_width(1)));
                chart.draw_series(folds)?;
            }
            chart.draw_series(curve.points.iter().map(|point| Circle::new(measured(point), 5, BLUE.filled())))?;
            Ok(())
        })
    })
}

#[cfg(test)]
mod tests {
    use model_training::data::bootstrap::Estimate;
    use model_training::measure::learning::PowerLaw;

    use super::*;

    fn curve(points: usize) -> LearningCurve {
        let point = |at: usize| Point {
            share: 1.0,
            photographs: 100.0 * f64::from(1 << at),
            accuracy: Estimate { value: 0.7, low: 0.6, high: 0.8 },
            folds: vec![0.65, 0.75],
        };
        LearningCurve {
            points: (0..points).map(point).collect(),
            law: PowerLaw { scale: 1.0, exponent: 0.2, floor: 0.0 },
            gain: Estimate { value: 0.02, low: 0.0, high: 0.04 },
        }
    }

    #[test]
    fn every_point_has_its_dots_and_its_interval() {
        let svg = learning_curve("faces", &curve(3)).unwrap();
        assert_eq!(svg.matches("<circle").count(), 3 * (1 + 2));
        assert!(svg.contains("power law") && svg.contains("photographs to learn from"));
        assert!(learning_curve("faces", &curve(1)).is_err());
    }
}
