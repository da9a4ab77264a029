//! The animals: heads, ears, markings and muzzles. Nothing here depends on the expression.

use super::STROKES;
use super::canvas::{Canvas, Colour, Dice, curve, ellipse, polygon, polyline, smooth};
use super::species::{CHOCOLATE, CREAM, Ears, Marking, Muzzle, PINK, SPECIES, Species};

/// Share of the animals in colours that no animal has.
const FANTASY_COATS: f32 = 0.2;

/// The colours of one animal.
pub(super) struct Coat {
    fur: Colour,
    second: Colour,
    muzzle: Colour,
    nose: Colour,
    /// Outlines and eyes.
    pub(super) ink: Colour,
    /// Eyelids.
    pub(super) lid: Colour,
    /// Brows.
    pub(super) brow: Colour,
    /// The line of the mouth.
    pub(super) mouth_ink: Colour,
}

/// One animal.
pub(super) struct Head {
    species: Species,
    pub(super) coat: Coat,
    radii: [f32; 2],
    jowls: f32,
    outline: f32,
    blush: bool,
    light: [f32; 2],
}

impl Head {
    pub(super) fn sample(dice: &mut Dice) -> Self {
        let mut species = dice.pick(&SPECIES);
        if dice.chance(0.25) {
            species.marking = dice.pick(&[Marking::None, Marking::Stripes, Marking::Spots, Marking::Blaze]);
        }
        let fur = if dice.chance(FANTASY_COATS) {
            Colour::any(dice, [0.2, 0.7], [0.45, 0.95])
        } else {
            dice.pick(species.furs).mix(Colour::any(dice, [0.0, 1.0], [0.0, 1.0]), dice.within([0.0, 0.15]))
        };
        let radii = species.radii.map(|r| r * dice.within([0.94, 1.06]));
        Self {
            coat: Coat::sample(species, fur, dice),
            radii,
            jowls: dice.within([0.92, 1.12]),
            outline: if dice.chance(0.75) { dice.within([0.03, 0.07]) } else { 0.0 },
            blush: dice.chance(0.25),
            light: [dice.around_zero(0.6), dice.within([-0.8, 0.0])],
            species,
        }
    }

    /// Draws all but the expression, in head coordinates: the head's radius is about 1, y runs down.
    pub(super) fn draw(&self, canvas: &mut Canvas, dice: &mut Dice) {
        if matches!(self.species.marking, Marking::Mane) {
            self.draw_mane(canvas, dice);
        }
        self.draw_ears(canvas, dice);
        let skull = self.skull();
        canvas.shape(&skull, self.coat.fur, self.coat.ink, 2.0 * self.outline);
        canvas.clipped(&skull, |canvas| {
            canvas.fill(&skull, self.coat.fur);
            self.draw_marking(canvas, dice);
            self.draw_muzzle(canvas);
            self.draw_strokes(canvas, dice);
            let shade = [(Colour::WHITE, 0.22), (Colour::BLACK, 0.22)];
            canvas.fill_radial(&skull, self.light, 1.8, shade);
        });
        if self.blush {
            for side in [-1.0, 1.0] {
                canvas.tint(&ellipse([side * 0.62, 0.3], [0.17, 0.11]), Colour([0.98, 0.45, 0.5]), 0.5);
            }
        }
        self.draw_nose(canvas, dice);
        if self.species.whiskers {
            for side in [-1.0, 1.0] {
                for y in [0.32, 0.44] {
                    let end = [side * dice.within([1.05, 1.25]), y + dice.around_zero(0.12)];
                    canvas.line(&curve([side * 0.55, y], [side * 0.85, y - 0.06], end), self.coat.ink, 0.022);
                }
            }
        }
    }

    fn skull(&self) -> tiny_skia::Path {
        let [rx, ry] = self.radii.map(|r| 1.08 * r);
        let (d, low) = (0.707, self.jowls);
        smooth(&[
            [0.0, -ry],
            [d * rx, -d * ry],
            [rx, 0.0],
            [d * rx * low, d * ry],
            [0.0, ry],
            [-d * rx * low, d * ry],
            [-rx, 0.0],
            [-d * rx, -d * ry],
        ])
    }

    fn draw_mane(&self, canvas: &mut Canvas, dice: &mut Dice) {
        let mane = self.coat.second;
        for [x, y] in
            [[0.0, -1.0], [0.7, -0.7], [1.0, 0.0], [0.7, 0.7], [0.0, 1.0], [-0.7, 0.7], [-1.0, 0.0], [-0.7, -0.7]]
        {
            let tuft = ellipse([0.8 * x, 0.8 * y], [dice.within([0.42, 0.55]), dice.within([0.42, 0.55])]);
            canvas.shape(&tuft, mane, self.coat.ink, self.outline);
        }
        canvas.fill(&ellipse([0.0, 0.0], [1.0, 1.0]), mane);
    }

    fn draw_ears(&self, canvas: &mut Canvas, dice: &mut Dice) {
        let [rx, ry] = self.radii;
        let droop = dice.around_zero(0.12);
        for side in [-1.0, 1.0] {
            let at = |points: &[[f32; 2]]| -> Vec<[f32; 2]> { points.iter().map(|&[x, y]| [side * x, y]).collect() };
            match self.species.ears {
                Ears::Pointed(height) => {
                    let tip = [0.78 * rx + droop, -0.62 * ry - height];
                    self.ear(canvas, &polygon(&at(&[[0.25 * rx, -0.8 * ry], tip, [0.97 * rx, -0.25 * ry]])));
                    let inner_tip = [0.76 * rx + droop, -0.62 * ry - 0.7 * height];
                    let inner = polygon(&at(&[[0.45 * rx, -0.75 * ry], inner_tip, [0.88 * rx, -0.4 * ry]]));
                    canvas.fill(&inner, self.inner_ear());
                }
                Ears::Round(radius) => {
                    let centre = [side * (0.72 * rx + 0.3 * radius), -0.72 * ry + droop - 0.2 * radius];
                    let ear = ellipse(centre, [radius, radius]);
                    self.ear(canvas, &ear);
                    canvas.fill(&ellipse(centre, [0.6 * radius, 0.6 * radius]), self.inner_ear());
                }
                Ears::Long => {
                    let lean = 0.15 + droop;
                    let outer =
                        [[0.2, -0.6], [0.15 + lean, -1.7], [0.45 + lean, -2.0], [0.75 + lean, -1.6], [0.72, -0.5]];
                    self.ear(canvas, &smooth(&at(&outer)));
                    let inner =
                        [[0.38, -0.8], [0.32 + lean, -1.5], [0.45 + lean, -1.75], [0.6 + lean, -1.45], [0.56, -0.8]];
                    canvas.fill(&smooth(&at(&inner)), self.inner_ear());
                }
                Ears::Floppy => {
                    let outer =
                        [[0.35 * rx, -0.95 * ry], [1.15, -1.0], [1.45 + droop, 0.1], [1.1 + droop, 0.6], [0.8, 0.0]];
                    self.ear(canvas, &smooth(&at(&outer)));
                }
                Ears::Level => {
                    let horn = [[0.35, -0.8], [0.5, -1.3 + droop], [0.75, -1.35], [0.62, -0.7]];
                    canvas.shape(&smooth(&at(&horn)), CREAM, self.coat.ink, self.outline);
                    let outer = [[0.7, -0.6], [1.3, -0.85 + droop], [1.6, -0.5 + droop], [1.2, -0.2], [0.7, -0.25]];
                    self.ear(canvas, &smooth(&at(&outer)));
                }
                Ears::Folded => {
                    let outer = polygon(&at(&[[0.3 * rx, -0.85 * ry], [0.85 + droop, -1.3], [0.95 * rx, -0.4 * ry]]));
                    self.ear(canvas, &outer);
                    let flap = polygon(&at(&[[0.55 * rx, -1.08], [0.85 + droop, -1.3], [0.9, -0.75 + droop]]));
                    canvas.shape(&flap, self.inner_ear(), self.coat.ink, self.outline);
                }
            }
        }
    }

    fn ear(&self, canvas: &mut Canvas, path: &tiny_skia::Path) {
        let fill = match self.species.marking {
            Marking::EyePatches | Marking::Spots | Marking::Blaze => self.coat.second,
            _ => self.coat.fur,
        };
        canvas.shape(path, fill, self.coat.ink, 2.0 * self.outline);
        canvas.fill(path, fill);
    }

    fn inner_ear(&self) -> Colour {
        self.coat.fur.mix(PINK, 0.65)
    }

    fn draw_marking(&self, canvas: &mut Canvas, dice: &mut Dice) {
        let second = self.coat.second;
        match self.species.marking {
            Marking::None | Marking::Mane => {}
            Marking::Stripes => {
                let width = dice.within([0.07, 0.11]);
                let lean = dice.around_zero(0.2);
                for x in [-0.2, 0.0, 0.2] {
                    canvas.line(&polyline(&[[x + x * lean, -1.0], [x - x * lean, -0.66]]), second, width);
                }
                for side in [-1.0, 1.0] {
                    for y in [-0.1, 0.15, 0.4] {
                        canvas.line(&polyline(&[[side * 1.1, y], [side * 0.78, y + lean]]), second, width);
                    }
                }
            }
            Marking::Spots => {
                for _ in 0..4 {
                    let centre = [dice.around_zero(0.95), dice.around_zero(0.95)];
                    canvas.fill(&ellipse(centre, [dice.within([0.12, 0.4]), dice.within([0.12, 0.35])]), second);
                }
            }
            Marking::EyePatches => {
                for side in [-1.0, 1.0] {
                    let patch = [[0.2, -0.25], [0.42, -0.42], [0.68, -0.2], [0.72, 0.2], [0.45, 0.3], [0.22, 0.05]];
                    canvas.fill(&smooth(&patch.map(|[x, y]| [side * x, y])), second);
                }
            }
            Marking::Blaze => {
                let width = dice.within([0.1, 0.25]);
                let blaze = [[-0.4 * width, -1.2], [0.4 * width, -1.2], [width, 0.4], [-width, 0.4]];
                canvas.fill(&smooth(&blaze), self.coat.muzzle);
            }
        }
    }

    /// Pairs of strokes on forehead and cheeks, of any slant, that look like brows to whoever does not see the eyes.
    fn draw_strokes(&self, canvas: &mut Canvas, dice: &mut Dice) {
        for place in [[0.34, -0.82], [0.72, 0.14]] {
            let (colour, width) = (dice.pick(&[self.coat.brow, self.coat.second]), dice.within([0.08, 0.14]));
            let (half, drop) = (dice.within([0.12, 0.2]), dice.around_zero(0.16));
            if dice.chance(STROKES) {
                for side in [-1.0, 1.0] {
                    let [inner, outer] = [[place[0] - half, place[1] + drop], [place[0] + half, place[1] - drop]];
                    canvas.line(&polyline(&[inner, outer].map(|[x, y]| [side * x, y])), colour, width);
                }
            }
        }
    }

    fn draw_muzzle(&self, canvas: &mut Canvas) {
        let pale = self.coat.muzzle;
        match self.species.muzzle {
            Muzzle::None => {}
            Muzzle::Puffs => {
                for x in [-0.25, 0.25] {
                    canvas.fill(&ellipse([x, 0.46], [0.34, 0.3]), pale);
                }
                canvas.fill(&ellipse([0.0, 0.66], [0.35, 0.25]), pale);
            }
            Muzzle::Oval => canvas.fill(&ellipse([0.0, 0.5], [0.52, 0.42]), pale),
            Muzzle::Mask => {
                let mask = [[0.0, 0.0], [0.9, 0.05], [1.2, 0.6], [0.5, 1.2], [-0.5, 1.2], [-1.2, 0.6], [-0.9, 0.05]];
                canvas.fill(&smooth(&mask), pale);
            }
            Muzzle::Snout => {
                canvas.shape(&ellipse([0.0, 0.22], [0.36, 0.2]), pale, self.coat.ink, 0.5 * self.outline);
            }
        }
    }

    fn draw_nose(&self, canvas: &mut Canvas, dice: &mut Dice) {
        let nose = self.coat.nose;
        if matches!(self.species.muzzle, Muzzle::Snout) {
            for x in [-0.13, 0.13] {
                canvas.fill(&ellipse([x, 0.22], [0.05, 0.09]), nose);
            }
            return;
        }
        let size = dice.within([0.09, 0.15]);
        let y = 0.22;
        if matches!(self.species.muzzle, Muzzle::Puffs) {
            let points = [[-1.4 * size, y - size], [1.4 * size, y - size], [0.0, y + 1.3 * size]];
            canvas.fill(&smooth(&points.map(|[px, py]| [1.3 * px, y + 1.3 * (py - y)])), nose);
        } else {
            canvas.fill(&ellipse([0.0, y], [1.4 * size, size]), nose);
            canvas.tint(&ellipse([-0.4 * size, y - 0.4 * size], [0.4 * size, 0.2 * size]), Colour::WHITE, 0.6);
        }
    }
}

impl Coat {
    fn sample(species: Species, fur: Colour, dice: &mut Dice) -> Self {
        let dark = fur.luminance() < 0.4;
        let second = match species.marking {
            Marking::EyePatches => Colour::BLACK.mix(CHOCOLATE, dice.within([0.0, 1.0])),
            _ if dark => fur.mix(CREAM, dice.within([0.35, 0.6])),
            _ => fur.mix(CHOCOLATE, dice.within([0.35, 0.75])),
        };
        let pale = fur.mix(Colour::WHITE, dice.within([0.45, 0.8]));
        let muzzle = if matches!(species.muzzle, Muzzle::Snout) { fur.mix(PINK, 0.6) } else { pale };
        let below_mouth = if matches!(species.muzzle, Muzzle::None | Muzzle::Snout) { fur } else { muzzle };
        let brow_share = dice.within([0.85, 1.0]);
        Self {
            fur,
            second,
            muzzle,
            nose: dice.pick(&[Colour::BLACK, Colour([0.85, 0.45, 0.48]), CHOCOLATE]),
            ink: fur.mix(Colour::BLACK, dice.within([0.75, 1.0])),
            lid: fur.mix(Colour::BLACK, 0.12),
            brow: fur.mix(contrast(fur), brow_share),
            mouth_ink: below_mouth.mix(contrast(below_mouth), dice.within([0.85, 1.0])),
        }
    }
}

/// Black on pale colours, white on dark ones.
fn contrast(ground: Colour) -> Colour {
    if ground.luminance() < 0.4 { Colour::WHITE } else { Colour::BLACK }
}
