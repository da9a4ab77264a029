//! Anti-aliased drawing on one square picture, and the random choices behind it.
//!
//! Only `+ − × ÷` and square roots are used, never the platform's trigonometry, so that a seed gives the same bytes
//! wherever it is drawn.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Mask, Paint, Path, PathBuilder, Pixmap, Point,
    RadialGradient, Rect, Shader, SpreadMode, Stroke, Transform,
};

/// Seeded random choices.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// One stream of a seed.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `[low, high)`.
    pub(super) fn within(&mut self, [low, high]: [f32; 2]) -> f32 {
        low + (high - low) * ((self.0.next_u32() >> 8) as f32 / (1 << 24) as f32)
    }

    /// A number in `[−reach, reach)`.
    pub(super) fn around_zero(&mut self, reach: f32) -> f32 {
        self.within([-reach, reach])
    }

    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.within([0.0, 1.0]) < probability
    }

    /// A whole number below `count`.
    pub(super) fn below(&mut self, count: usize) -> usize {
        ((u64::from(self.0.next_u32()) * count as u64) >> 32) as usize
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// One of the values, each as likely as its weight is large.
    pub(super) fn weighted<T: Copy>(&mut self, from: &[(f32, T)]) -> T {
        let total: f32 = from.iter().map(|(weight, _)| weight).sum();
        let mut left = self.within([0.0, total]);
        for &(weight, value) in from {
            left -= weight;
            if left < 0.0 {
                return value;
            }
        }
        from[from.len() - 1].1
    }
}

/// Red, green and blue, each 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Colour(pub(super) [f32; 3]);

impl Colour {
    pub(super) const BLACK: Self = Self([0.05, 0.04, 0.05]);
    pub(super) const WHITE: Self = Self([0.98, 0.97, 0.95]);

    /// Hue in turns, saturation and value 0 to 1.
    pub(super) fn hsv(hue: f32, saturation: f32, value: f32) -> Self {
        Self([0.0, 4.0, 2.0].map(|shift| {
            let position = (hue * 6.0 + shift).rem_euclid(6.0);
            let ramp = ((position - 3.0).abs() - 1.0).clamp(0.0, 1.0);
            value * (1.0 - saturation * (1.0 - ramp))
        }))
    }

    /// Any colour of the given ranges of saturation and value.
    pub(super) fn any(dice: &mut Dice, saturation: [f32; 2], value: [f32; 2]) -> Self {
        Self::hsv(dice.within([0.0, 1.0]), dice.within(saturation), dice.within(value))
    }

    pub(super) fn mix(self, other: Self, share: f32) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + (other.0[i] - self.0[i]) * share))
    }

    pub(super) fn luminance(self) -> f32 {
        0.299 * self.0[0] + 0.587 * self.0[1] + 0.114 * self.0[2]
    }

    fn with_alpha(self, alpha: f32) -> Color {
        let [r, g, b] = self.0.map(|c| c.clamp(0.0, 1.0));
        Color::from_rgba(r, g, b, alpha.clamp(0.0, 1.0)).unwrap_or(Color::BLACK)
    }
}

/// A square picture and the coordinates that the next shape is drawn in.
pub(super) struct Canvas {
    pixmap: Pixmap,
    transform: Transform,
    clip: Option<Mask>,
}

impl Canvas {
    /// A black picture whose coordinates run from 0 to 1 across and down. `size` must not be 0.
    pub(super) fn new(size: u32) -> Self {
        let pixmap = Pixmap::new(size, size).expect("a picture of 1 pixel or more");
        Self { pixmap, transform: Transform::from_scale(size as f32, size as f32), clip: None }
    }

    /// Runs `draw` in coordinates whose origin lies at `centre` and whose unit is `scale`, turned by the angle whose
    /// half has the tangent `tilt`.
    pub(super) fn placed(&mut self, centre: [f32; 2], scale: f32, tilt: f32, draw: impl FnOnce(&mut Self)) {
        let before = self.transform;
        let norm = scale / (1.0 + tilt * tilt);
        let (cos, sin) = ((1.0 - tilt * tilt) * norm, 2.0 * tilt * norm);
        self.transform = before.pre_concat(Transform::from_row(cos, sin, -sin, cos, centre[0], centre[1]));
        draw(self);
        self.transform = before;
    }

    /// Runs `draw`, keeping only what falls inside `path`.
    pub(super) fn clipped(&mut self, path: &Path, draw: impl FnOnce(&mut Self)) {
        let mut mask = Mask::new(self.pixmap.width(), self.pixmap.height()).expect("a mask of the picture's size");
        mask.fill_path(path, FillRule::Winding, true, self.transform);
        let before = self.clip.replace(mask);
        draw(self);
        self.clip = before;
    }

    pub(super) fn fill(&mut self, path: &Path, colour: Colour) {
        self.tint(path, colour, 1.0);
    }

    /// Fills with a colour that lets what lies below shine through.
    pub(super) fn tint(&mut self, path: &Path, colour: Colour, alpha: f32) {
        self.fill_shader(path, Shader::SolidColor(colour.with_alpha(alpha)));
    }

    /// Fills from one colour at `from` to another at `to`; each with its opacity.
    pub(super) fn fill_linear(&mut self, path: &Path, ends: [[f32; 2]; 2], colours: [(Colour, f32); 2]) {
        let [from, to] = ends.map(|[x, y]| Point::from_xy(x, y));
        let shader = LinearGradient::new(from, to, stops(colours), SpreadMode::Pad, Transform::identity());
        self.fill_shader(path, shader.unwrap_or(Shader::SolidColor(colours[0].0.with_alpha(colours[0].1))));
    }

    /// Fills from one colour at `centre` to another at `radius` from it; each with its opacity.
    pub(super) fn fill_radial(&mut self, path: &Path, centre: [f32; 2], radius: f32, colours: [(Colour, f32); 2]) {
        let centre = Point::from_xy(centre[0], centre[1]);
        let shader =
            RadialGradient::new(centre, 0.0, centre, radius, stops(colours), SpreadMode::Pad, Transform::identity());
        self.fill_shader(path, shader.unwrap_or(Shader::SolidColor(colours[0].0.with_alpha(colours[0].1))));
    }

    fn fill_shader(&mut self, path: &Path, shader: Shader<'_>) {
        let paint = Paint { shader, ..Paint::default() };
        self.pixmap.fill_path(path, &paint, FillRule::Winding, self.transform, self.clip.as_ref());
    }

    /// Strokes with round ends.
    pub(super) fn line(&mut self, path: &Path, colour: Colour, width: f32) {
        let paint = Paint { shader: Shader::SolidColor(colour.with_alpha(1.0)), ..Paint::default() };
        let stroke = Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
        self.pixmap.stroke_path(path, &paint, &stroke, self.transform, self.clip.as_ref());
    }

    /// Fills and outlines.
    pub(super) fn shape(&mut self, path: &Path, inside: Colour, outline: Colour, width: f32) {
        self.fill(path, inside);
        if width > 0.0 {
            self.line(path, outline, width);
        }
    }

    /// The picture as rows of RGB, each 0 to 255.
    pub(super) fn into_rgb(self) -> Vec<[f32; 3]> {
        self.pixmap.pixels().iter().map(|p| [p.red(), p.green(), p.blue()].map(f32::from)).collect()
    }
}

fn stops(colours: [(Colour, f32); 2]) -> Vec<GradientStop> {
    let [start, end] = colours.map(|(colour, alpha)| colour.with_alpha(alpha));
    vec![GradientStop::new(0.0, start), GradientStop::new(1.0, end)]
}

fn finish(builder: PathBuilder) -> Path {
    builder.finish().expect("a path with at least one segment and finite coordinates")
}

/// An upright ellipse.
pub(super) fn ellipse(centre: [f32; 2], radii: [f32; 2]) -> Path {
    let rect = Rect::from_xywh(centre[0] - radii[0], centre[1] - radii[1], 2.0 * radii[0], 2.0 * radii[1]);
    PathBuilder::from_oval(rect.expect("radii above 0")).expect("an ellipse of some extent")
}

/// A closed figure with straight sides.
pub(super) fn polygon(points: &[[f32; 2]]) -> Path {
    let mut builder = PathBuilder::new();
    builder.move_to(points[0][0], points[0][1]);
    for &[x, y] in &points[1..] {
        builder.line_to(x, y);
    }
    builder.close();
    finish(builder)
}

/// A closed figure without corners: the quadratic B-spline of its control points.
pub(super) fn smooth(points: &[[f32; 2]]) -> Path {
    let middle = |a: [f32; 2], b: [f32; 2]| [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
    let mut builder = PathBuilder::new();
    let start = middle(points[points.len() - 1], points[0]);
    builder.move_to(start[0], start[1]);
    for (i, &[x, y]) in points.iter().enumerate() {
        let end = middle([x, y], points[(i + 1) % points.len()]);
        builder.quad_to(x, y, end[0], end[1]);
    }
    builder.close();
    finish(builder)
}

/// An open line through the points.
pub(super) fn polyline(points: &[[f32; 2]]) -> Path {
    let mut builder = PathBuilder::new();
    builder.move_to(points[0][0], points[0][1]);
    for &[x, y] in &points[1..] {
        builder.line_to(x, y);
    }
    finish(builder)
}

/// An open parabola from `a` to `b`, drawn towards `control`.
pub(super) fn curve(a: [f32; 2], control: [f32; 2], b: [f32; 2]) -> Path {
    let mut builder = PathBuilder::new();
    builder.move_to(a[0], a[1]);
    builder.quad_to(control[0], control[1], b[0], b[1]);
    finish(builder)
}

/// A closed figure between two parabolas from `a` to `b`.
pub(super) fn crescent(a: [f32; 2], b: [f32; 2], controls: [[f32; 2]; 2]) -> Path {
    let mut builder = PathBuilder::new();
    builder.move_to(a[0], a[1]);
    builder.quad_to(controls[0][0], controls[0][1], b[0], b[1]);
    builder.quad_to(controls[1][0], controls[1][1], a[0], a[1]);
    builder.close();
    finish(builder)
}
