//! Probabilities against the truth: the reliability diagram and the risk-coverage curve.

use model_training::measure::confidence::{Bin, Point, expected_calibration_error};
use plotters::prelude::*;

use super::chart::{Axis, chart};
use super::{BLUE, Canvas, INK, Series, VERMILION, svg};

/// Width and height of a picture in pixels.
const SIZE: (u32, u32) = (560, 480);
/// Radius of the dot of a bin that holds all images.
const LARGEST_DOT: f64 = 22.0;

/// Points of a line over the unit square: x, y, radius of the dot in pixels (0 for none).
type Dots = Vec<(f64, f64, u32)>;

/// Draws accuracy over mean confidence of the bins, before and after a temperature or of one state only; the area of a
/// dot is the share of the images. On the diagonal, confidence is as good as its word.
///
/// # Errors
/// When it cannot be drawn.
pub fn reliability(title: &str, states: &[(&str, &[Bin])]) -> anyhow::Result<String> {
    let colors = if states.len() > 1 { [VERMILION, BLUE] } else { [BLUE, BLUE] };
    let lines: Vec<(Series, Dots)> = states
        .iter()
        .zip(colors)
        .map(|(&(name, bins), color)| {
            let all = bins.iter().map(|bin| bin.images).sum::<usize>().max(1) as f64;
            let dot = |bin: &Bin| {
                let images = bin.images as f64;
                let radius = (LARGEST_DOT * (images / all).sqrt()).ceil() as u32;
                (bin.confidence / images, bin.right as f64 / images, radius)
            };
            let name = format!("{name} (ECE {:.3})", expected_calibration_error(bins));
            let dots = bins.iter().filter(|bin| bin.images > 0).map(dot).collect();
            (Series::new(&name, color, Vec::new()), dots)
        })
        .collect();
    svg(title, SIZE, |canvas| {
        unit_square(canvas, title, ["confidence", "share that is right"], &lines, &[[(0.0, 0.0), (1.0, 1.0)]])
    })
}

/// Draws the share of right answers over the share of the images that is answered; marks what is wanted and the threshold
/// that reaches it.
///
/// # Errors
/// When it cannot be drawn.
pub fn risk_coverage(title: &str, curve: &[Point], wanted: f64, threshold: Option<u8>) -> anyhow::Result<String> {
    let images = curve.first().map_or(1, |all| all.answered).max(1) as f64;
    let at = |point: &Point| (point.answered as f64 / images, point.accuracy());
    let chosen = curve.iter().find(|point| Some(point.threshold) == threshold);
    let line = curve.iter().map(|point| (at(point).0, at(point).1, 0)).collect();
    let name = chosen.map_or_else(String::new, |point| {
        format!(
            "from {}/256 on ({:.0} % answered, {:.0} % right)",
            point.threshold,
            100.0 * at(point).0,
            100.0 * at(point).1
        )
    });
    let mark = chosen.map(|point| (at(point).0, at(point).1, 7)).into_iter().collect();
    let lines = [(Series::new("", BLUE, Vec::new()), line), (Series::new(&name, VERMILION, Vec::new()), mark)];
    svg(title, SIZE, |canvas| {
        let axes = ["share of the images answered", "share of the answers right"];
        unit_square(canvas, title, axes, &lines, &[[(0.0, wanted), (1.0, wanted)]])
    })
}

/// Lines over the unit square, and grey guides under them.
fn unit_square(
    canvas: &Canvas<'_>,
    title: &str,
    [x, y]: [&str; 2],
    lines: &[(Series, Dots)],
    guides: &[[(f64, f64); 2]],
) -> Result<(), Box<dyn std::error::Error>> {
    let key: Vec<Series> = lines.iter().map(|(series, _)| series.clone()).collect();
    let share = |share: &f64| format!("{share:.1}");
    let [x, y] = [x, y].map(|name| Axis { name, range: 0.0..1.0, label: &share });
    chart(canvas, (title, &key), (x, y), |chart| {
        for &guide in guides {
            chart.draw_series(DashedLineSeries::new(guide, 6, 5, INK.mix(0.6).stroke_width(1)))?;
        }
        for (Series { color, .. }, dots) in lines {
            chart.draw_series(LineSeries::new(dots.iter().map(|&(x, y, _)| (x, y)), color.stroke_width(2)))?;
            let drawn = dots.iter().filter(|&&(_, _, radius)| radius > 0);
            chart.draw_series(drawn.map(|&(x, y, radius)| Circle::new((x, y), radius, color.mix(0.5).filled())))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bin_with_images_is_a_dot_where_it_belongs() {
        let bin = |images, confidence, right| Bin { images, confidence, right };
        let before = [bin(0, 0.0, 0), bin(4, 1.0, 3)];
        let after = [bin(2, 0.5, 1), bin(2, 1.0, 1)];
        let drawn = reliability("Reliability", &[("before", &before), ("after", &after)]).unwrap();
        assert_eq!(drawn.matches("<circle").count(), 3);
        assert!(drawn.contains("before (ECE 0.500)") && drawn.contains("after (ECE 0.125)"), "{drawn}");
        assert!(!drawn.contains("NaN"));
    }

    #[test]
    fn the_threshold_is_marked_where_there_is_one() {
        let point = |threshold, answered, right| Point { threshold, answered, right, groups: answered };
        let curve = [point(50, 40, 20), point(90, 10, 9)];
        let marked = risk_coverage("Answers", &curve, 0.9, Some(90)).unwrap();
        assert!(marked.contains("from 90/256 on (25 % answered, 90 % right)"), "{marked}");
        assert_eq!(marked.matches("<circle").count(), 1);
        let never = risk_coverage("Answers", &curve, 0.95, None).unwrap();
        assert_eq!(never.matches("<circle").count(), 0);
        assert!(!risk_coverage("Answers", &[], 0.9, None).unwrap().contains("NaN"));
    }
}
