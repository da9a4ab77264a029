//! What tells the classes apart: brows, eyelids and mouth, and nothing else.
//!
//! No single cue decides. The mouth tells `happy` from the rest; `angry` and `sad` share most of their mouths and
//! differ in the slant of brows or eyelids; `other` shares its flat and round mouths with both.

use super::canvas::{Canvas, Colour, Dice, crescent, curve, ellipse, polygon, polyline};
use super::head::Coat;
use super::{BROW_SLANT, BROWS_SHOWN, CALM_SLANT, MOUTH_CURVE};

/// A class of the data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Angry,
    Happy,
    Other,
    Sad,
}

impl Mood {
    /// In the order of [`super::CLASSES`].
    pub(super) const ALL: [Self; 4] = [Self::Angry, Self::Happy, Self::Other, Self::Sad];
}

#[derive(Clone, Copy, Debug)]
enum Eyes {
    Open,
    /// Closed, the lashes below: ‿.
    Asleep,
    /// Closed by raised cheeks: ⁀.
    Laughing,
}

#[derive(Clone, Copy, Debug)]
enum Mouth {
    /// A line; 1 is the strongest smile, −1 the strongest frown.
    Line(f32),
    /// An open mouth with the corners up (or, where negative, down); teeth shown or not.
    Open(f32, bool),
    /// Clenched teeth.
    Bared,
    /// A small round hole.
    Round,
    /// A trembling line.
    Wavy,
}

/// Upper lids: the covered share of the eye in its middle, and the slant.
#[derive(Clone, Copy, Debug)]
struct Lids {
    cover: f32,
    slant: f32,
}

/// One expression. A slant is 1 where the inner end lies lowest (anger) and −1 where it lies highest (grief).
pub(super) struct Expression {
    brows: Option<f32>,
    raise: f32,
    lids: Option<Lids>,
    cheeks: f32,
    eyes: Eyes,
    mouth: Mouth,
    tear: bool,
}

impl Expression {
    pub(super) fn sample(mood: Mood, dice: &mut Dice) -> Self {
        match mood {
            Mood::Angry => Self::strained(dice, 1.0),
            Mood::Sad => Self::strained(dice, -1.0),
            Mood::Happy => Self::happy(dice),
            Mood::Other => Self::calm(dice),
        }
    }

    /// Anger (`sign` 1) or grief (`sign` −1).
    fn strained(dice: &mut Dice, sign: f32) -> Self {
        let brows = dice.chance(BROWS_SHOWN).then(|| sign * dice.within([0.65, 1.0]));
        let lids = (brows.is_none() || dice.chance(0.5))
            .then(|| Lids { cover: dice.within([0.22, 0.42]), slant: sign * dice.within([0.7, 1.0]) });
        let eyes = if lids.is_none() && dice.chance(0.2) { Eyes::Asleep } else { Eyes::Open };
        let frown = -dice.within([0.6, 1.0]);
        let (line, flat) = (Mouth::Line(frown), Mouth::Line(dice.around_zero(0.08)));
        let open = Mouth::Open(frown, dice.chance(0.5));
        let angry =
            [(0.45, line), (0.2, flat), (0.1, Mouth::Bared), (0.15, open), (0.05, Mouth::Wavy), (0.05, Mouth::Round)];
        let sad = [(0.5, line), (0.1, flat), (0.15, open), (0.15, Mouth::Wavy), (0.1, Mouth::Round)];
        let mouth = if sign > 0.0 { dice.weighted(&angry) } else { dice.weighted(&sad) };
        let tear = sign < 0.0 && dice.chance(0.15);
        Self { brows, raise: dice.within([-0.02, 0.05]), lids, cheeks: 0.0, eyes, mouth, tear }
    }

    fn happy(dice: &mut Dice) -> Self {
        let smile = dice.within([0.7, 1.0]);
        Self {
            brows: dice.chance(BROWS_SHOWN).then(|| dice.around_zero(CALM_SLANT * 2.0)),
            raise: dice.within([0.0, 0.1]),
            lids: dice.chance(0.2).then(|| Lids { cover: dice.within([0.1, 0.3]), slant: dice.around_zero(0.3) }),
            cheeks: if dice.chance(0.4) { dice.within([0.1, 0.35]) } else { 0.0 },
            eyes: dice.weighted(&[(0.65, Eyes::Open), (0.25, Eyes::Laughing), (0.1, Eyes::Asleep)]),
            mouth: dice.weighted(&[
                (0.5, Mouth::Line(smile)),
                (0.3, Mouth::Open(smile, false)),
                (0.2, Mouth::Open(smile, true)),
            ]),
            tear: false,
        }
    }

    /// Neutral, surprised, bored or asleep.
    fn calm(dice: &mut Dice) -> Self {
        let flat = Mouth::Line(dice.around_zero(0.08));
        Self {
            brows: dice.chance(BROWS_SHOWN).then(|| dice.around_zero(CALM_SLANT)),
            raise: dice.within([0.0, 0.14]),
            lids: dice.chance(0.35).then(|| Lids { cover: dice.within([0.15, 0.5]), slant: dice.around_zero(0.2) }),
            cheeks: 0.0,
            eyes: if dice.chance(0.2) { Eyes::Asleep } else { Eyes::Open },
            mouth: dice.weighted(&[(0.55, flat), (0.35, Mouth::Round), (0.1, Mouth::Wavy)]),
            tear: false,
        }
    }

    /// Draws eyes, brows and mouth in head coordinates (the head's radius is 1, y runs down).
    pub(super) fn draw(&self, canvas: &mut Canvas, coat: &Coat, dice: &mut Dice) {
        let face = Face::sample(dice);
        for side in [-1.0, 1.0] {
            self.draw_eye(canvas, coat, &face, side);
            self.draw_brow(canvas, coat, &face, side);
        }
        self.draw_mouth(canvas, coat, &face, dice);
        if self.tear {
            let [x, y] = [face.eye[0] + face.radius[0] * 0.3, face.eye[1] + face.radius[1] + 0.1];
            let drop = crescent([x, y - 0.12], [x, y + 0.12], [[x + 0.14, y + 0.1], [x - 0.14, y + 0.1]]);
            canvas.shape(&drop, Colour([0.55, 0.8, 0.98]), Colour([0.25, 0.5, 0.8]), 0.02);
        }
    }

    fn draw_eye(&self, canvas: &mut Canvas, coat: &Coat, face: &Face, side: f32) {
        let [x, y] = [side * face.eye[0], face.eye[1]];
        let [rx, ry] = face.radius;
        let bow = match self.eyes {
            Eyes::Open => return self.draw_open_eye(canvas, coat, face, side),
            Eyes::Asleep => 1.3 * ry,
            Eyes::Laughing => -1.5 * ry,
        };
        let arc = curve([x - rx, y - 0.2 * bow], [x, y + 0.8 * bow], [x + rx, y - 0.2 * bow]);
        canvas.line(&arc, coat.ink, face.line * 1.2);
    }

    fn draw_open_eye(&self, canvas: &mut Canvas, coat: &Coat, face: &Face, side: f32) {
        let [x, y] = [side * face.eye[0], face.eye[1]];
        let [rx, ry] = face.radius;
        let ball = ellipse([x, y], [rx, ry]);
        canvas.shape(&ball, face.sclera, coat.ink, face.line * 0.5);
        let [gx, gy] = face.gaze;
        canvas.clipped(&ball, |canvas| {
            let pupil = [x + gx * rx, y + gy * ry];
            if let Some(iris) = face.iris {
                canvas.fill(&ellipse(pupil, [0.75 * rx, 0.75 * ry]), iris);
            }
            canvas.fill(&ellipse(pupil, [face.pupil[0] * rx, face.pupil[1] * ry]), Colour::BLACK);
            canvas.fill(&ellipse([pupil[0] - 0.25 * rx, pupil[1] - 0.3 * ry], [0.2 * rx, 0.2 * ry]), Colour::WHITE);
        });
        let around = ellipse([x, y], [rx + face.line * 0.4, ry + face.line * 0.4]);
        canvas.clipped(&around, |canvas| {
            if let Some(lids) = self.lids {
                let middle = y - ry + 2.0 * ry * lids.cover;
                let reach = 1.3 * rx;
                let drop = ry * lids.slant;
                let [inner, outer] = [[x - side * reach, middle + drop], [x + side * reach, middle - drop]];
                let top = y - 3.0 * ry;
                canvas.fill(&polygon(&[inner, outer, [outer[0], top], [inner[0], top]]), coat.lid);
                canvas.line(&polyline(&[inner, outer]), coat.ink, face.line);
            }
            if self.cheeks > 0.0 {
                let edge = y + ry - 2.0 * ry * self.cheeks;
                let cheek = ellipse([x, edge + 2.0 * ry], [2.2 * rx, 2.0 * ry]);
                canvas.shape(&cheek, coat.lid, coat.ink, face.line * 0.8);
            }
        });
    }

    fn draw_brow(&self, canvas: &mut Canvas, coat: &Coat, face: &Face, side: f32) {
        let Some(slant) = self.brows else { return };
        let drop = slant * BROW_SLANT;
        let x = side * face.eye[0];
        let y = face.eye[1] - face.radius[1] - face.brow_gap - self.raise - drop.abs() * 0.25;
        let [inner, outer] = [[x - side * face.brow_length, y + drop], [x + side * face.brow_length, y - drop]];
        canvas.line(&curve(inner, [x, y - face.brow_arch], outer), coat.brow, face.brow_width);
    }

    fn draw_mouth(&self, canvas: &mut Canvas, coat: &Coat, face: &Face, dice: &mut Dice) {
        let [x, y] = face.mouth;
        let w = face.mouth_width;
        let inside = Colour([0.45, 0.08, 0.12]);
        match self.mouth {
            Mouth::Line(bend) => {
                let depth = bend * MOUTH_CURVE;
                let tilt = dice.around_zero(0.03);
                let arc = curve([x - w, y - depth + tilt], [x, y + depth], [x + w, y - depth - tilt]);
                canvas.line(&arc, coat.mouth_ink, face.line);
            }
            Mouth::Open(bend, teeth) => {
                let depth = bend * MOUTH_CURVE;
                let [a, b] = [[x - w, y - depth], [x + w, y - depth]];
                let hole = crescent(a, b, [[x, y - depth * 0.4], [x, y + depth * 3.0]]);
                canvas.shape(&hole, inside, coat.mouth_ink, face.line * 0.7);
                canvas.clipped(&hole, |canvas| {
                    if teeth {
                        canvas.fill(&ellipse([x, y - depth], [0.8 * w, 0.3 * w]), Colour::WHITE);
                    } else {
                        canvas.fill(&ellipse([x, y + depth * 1.2], [0.5 * w, 0.25 * w]), Colour([0.9, 0.45, 0.5]));
                    }
                });
            }
            Mouth::Bared => {
                let h = 0.4 * w;
                let teeth = polygon(&[[x - w, y - h], [x + w, y - h], [x + 0.9 * w, y + h], [x - 0.9 * w, y + h]]);
                canvas.shape(&teeth, Colour::WHITE, coat.mouth_ink, face.line * 0.8);
                for gap in [-0.5, 0.0, 0.5] {
                    let gap_line = polyline(&[[x + gap * w, y - h], [x + gap * w, y + h]]);
                    canvas.line(&gap_line, coat.mouth_ink, face.line * 0.35);
                }
            }
            Mouth::Round => {
                let hole = ellipse([x, y + 0.02], [dice.within([0.25, 0.4]) * w, dice.within([0.35, 0.55]) * w]);
                canvas.shape(&hole, inside, coat.mouth_ink, face.line * 0.7);
            }
            Mouth::Wavy => {
                let h = dice.pick(&[-0.06, 0.06]);
                let points = [-1.0, -0.5, 0.0, 0.5, 1.0].map(|t| [x + t * w, y + if t * t == 0.25 { h } else { -h }]);
                canvas.line(&polyline(&points), coat.mouth_ink, face.line);
            }
        }
    }
}

/// Where the features lie and how they are drawn, whatever the expression.
struct Face {
    eye: [f32; 2],
    radius: [f32; 2],
    sclera: Colour,
    iris: Option<Colour>,
    pupil: [f32; 2],
    gaze: [f32; 2],
    brow_gap: f32,
    brow_length: f32,
    brow_arch: f32,
    brow_width: f32,
    mouth: [f32; 2],
    mouth_width: f32,
    line: f32,
}

impl Face {
    fn sample(dice: &mut Dice) -> Self {
        let radius = dice.within([0.13, 0.21]);
        let plain = dice.chance(0.3);
        let sclera =
            if plain { Colour::BLACK } else { Colour::WHITE.mix(Colour([0.95, 0.9, 0.5]), dice.within([0.0, 0.6])) };
        Self {
            eye: [dice.within([0.36, 0.47]), dice.within([-0.2, -0.08])],
            radius: [radius * dice.within([0.85, 1.05]), radius],
            sclera,
            iris: (!plain && dice.chance(0.6)).then(|| Colour::any(dice, [0.4, 0.9], [0.35, 0.8])),
            pupil: dice.pick(&[[0.5, 0.5], [0.6, 0.65], [0.2, 0.75], [0.35, 0.35]]),
            gaze: [dice.around_zero(0.35), dice.around_zero(0.2)],
            brow_gap: dice.within([0.09, 0.15]),
            brow_length: dice.within([0.22, 0.28]),
            brow_arch: dice.within([-0.01, 0.06]),
            brow_width: dice.within([0.09, 0.15]),
            mouth: [dice.around_zero(0.05), dice.within([0.5, 0.58])],
            mouth_width: dice.within([0.28, 0.4]),
            line: dice.within([0.075, 0.11]),
        }
    }
}
