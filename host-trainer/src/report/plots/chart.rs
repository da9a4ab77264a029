//! A chart of real numbers in its frame: a title, the names of the lines, and two axes.

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Canvas, GRID, INK, LABEL, Series, draw_key, text};

/// One of the two axes.
pub(super) struct Axis<'a, R> {
    pub name: &'a str,
    pub range: R,
    /// What stands beside a line of the grid.
    pub label: &'a dyn Fn(&f64) -> String,
}

/// Draws the frame, and then what `draw` puts into it. Without a title there is no room for one.
pub(super) fn chart<X, Y>(
    canvas: &Canvas<'_>,
    (title, key): (&str, &[Series]),
    (x, y): (Axis<'_, X>, Axis<'_, Y>),
    draw: impl FnOnce(
        &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<X::CoordDescType, Y::CoordDescType>>,
    ) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<(), Box<dyn std::error::Error>>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut rest = canvas.margin(10, 10, 14, 24);
    if !title.is_empty() {
        let (head, below) = rest.split_vertically(32);
        draw_key(&head, title, &[])?;
        rest = below;
    }
    let (names, body) = rest.split_vertically(26);
    draw_key(&names, "", key)?;
    let mut chart =
        ChartBuilder::on(&body).x_label_area_size(44).y_label_area_size(60).build_cartesian_2d(x.range, y.range)?;
    let style = || text(LABEL, INK, (HPos::Left, VPos::Top));
    chart
        .configure_mesh()
        .light_line_style(WHITE.mix(0.0))
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(style())
        .axis_desc_style(style())
        .x_labels(6)
        .y_labels(6)
        .x_desc(x.name)
        .y_desc(y.name)
        .x_label_formatter(x.label)
        .y_label_formatter(y.label)
        .draw()?;
    draw(&mut chart)
}
