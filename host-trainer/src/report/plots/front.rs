//! Accuracy over what networks cost, each of which is a link.

use model_training::data::bootstrap::Estimate;
use plotters::prelude::*;

use super::chart::{Axis, chart};
use super::{BLUE, Series, VERMILION, svg};

/// Width and height of the picture in pixels.
const SIZE: (u32, u32) = (720, 400);
/// Half the side of what may be clicked at around a dot.
const REACH: i32 = 9;

/// A network in the picture.
#[derive(Clone, Debug)]
pub struct Dot {
    /// What it costs, above 0.
    pub cost: f64,
    /// How accurate it is.
    pub accuracy: Estimate,
    /// Whether it is one of those that no other beats.
    pub front: bool,
    /// Where it leads to.
    pub link: String,
    /// What it is called.
    pub name: String,
}

/// What a picture shows.
#[derive(Clone, Copy, Debug)]
pub struct Dots<'a> {
    /// What costs are, with their unit.
    pub cost: &'a str,
    /// What accuracies are.
    pub accuracy: &'a str,
    /// The networks.
    pub dots: &'a [Dot],
}

/// Draws each network's accuracy with its interval over what it costs; the axis of costs is logarithmic. A line joins those of the
/// front.
///
/// # Errors
/// When there is none.
pub fn front(Dots { cost, accuracy, dots }: Dots<'_>) -> anyhow::Result<String> {
    let costs = dots.iter().map(|dot| dot.cost.max(1e-9));
    let ends = [f64::min, f64::max].map(|end| costs.clone().reduce(end));
    let [Some(least), Some(most)] = ends else { anyhow::bail!("there is no network to draw") };
    // Whole decades, so that the axis has labels.
    let range = 10_f64.powf(least.log10().floor()) / 1.1..10_f64.powf(most.log10().ceil()) * 1.1;
    let [low, high] = [dots.iter().map(|dot| dot.accuracy.low).fold(1.0, f64::min), 1.0];
    let mut line: Vec<&Dot> = dots.iter().filter(|dot| dot.front).collect();
    line.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let mut links = String::new();
    let mut picture = svg("the front", SIZE, |canvas| {
        let named = |name: &str, color| Series::new(name, color, Vec::new());
        let key = [named("no other beats it", VERMILION), named("others, with 95 % intervals", BLUE)];
        let short = |cost: &f64| format!("{cost:.3}").trim_end_matches('0').trim_end_matches('.').to_owned();
        let x = Axis { name: cost, range: range.log_scale(), label: &short };
        let y = Axis { name: accuracy, range: (low - 0.03).max(0.0)..high, label: &|share| format!("{share:.2}") };
        chart(canvas, ("", &key), (x, y), |chart| {
            let at = |dot: &Dot| (dot.cost, dot.accuracy.value);
            chart.draw_series(LineSeries::new(line.iter().map(|dot| at(dot)), VERMILION.stroke_width(1)))?;
            for dot in dots {
                let color = if dot.front { VERMILION } else { BLUE };
                let ends = [dot.accuracy.low, dot.accuracy.high].map(|accuracy| (dot.cost, accuracy));
                chart.draw_series([PathElement::new(ends, color.mix(0.5).stroke_width(2))])?;
                chart.draw_series([Circle::new(at(dot), 5, color.filled())])?;
                let (x, y) = chart.plotting_area().map_coordinate(&at(dot));
                links += &link(dot, x - REACH, y - REACH);
            }
            Ok(())
        })
    })?;
    if let Some(end) = picture.rfind("</svg>") {
        picture.insert_str(end, &links);
    }
    Ok(picture)
}

/// A square that leads to the network, and says its name.
fn link(Dot { link, name, .. }: &Dot, x: i32, y: i32) -> String {
    let (link, name) = (escaped(link), escaped(name));
    let side = 2 * REACH;
    format!(
        "<a href=\"{link}\"><title>{name}</title><rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" \
         fill=\"transparent\"/></a>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(cost: f64, value: f64, front: bool) -> Dot {
        let accuracy = Estimate { value, low: value - 0.1, high: value + 0.1 };
        Dot { cost, accuracy, front, link: format!("#trial-{cost}"), name: "a \"<b>\"".to_owned() }
    }

    #[test]
    fn every_network_is_a_dot_and_a_link() {
        let dots = [dot(1.0, 0.5, true), dot(20.0, 0.7, true), dot(30.0, 0.6, false)];
        let svg = front(Dots { cost: "milliseconds", accuracy: "accuracy", dots: &dots }).unwrap();
        assert_eq!(svg.matches("<circle").count(), 3);
        assert_eq!(svg.matches("<a href=\"#trial-").count(), 3);
        assert_eq!(svg.matches("<title>a &quot;&lt;b&gt;&quot;</title>").count(), 3);
        assert!(svg.contains("milliseconds") && svg.trim_end().ends_with("</svg>"));
        assert!(front(Dots { cost: "", accuracy: "", dots: &[] }).is_err());
        front(Dots { cost: "ms", accuracy: "accuracy", dots: &dots[..1] }).unwrap();
    }
}
