//! Everything around the face: background, things in the way, light and the camera.

use super::canvas::{Canvas, Colour, Dice, crescent, curve, ellipse, polygon, polyline, smooth};
use super::{BLUR, CAST, CLUTTER, EXPOSURE, NOISE, OCCLUSION, SHADOW};

/// Fills the picture with a gradient and shapes that mean nothing, some of them as thick as brows and mouths.
pub(super) fn draw_background(canvas: &mut Canvas, dice: &mut Dice) {
    let frame = polygon(&[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]);
    let base = Colour::any(dice, [0.1, 0.7], [0.25, 0.95]);
    let other = base.mix(Colour::any(dice, [0.1, 0.8], [0.2, 1.0]), dice.within([0.2, 1.0]));
    let ends = [[dice.within([0.0, 1.0]), 0.0], [dice.within([0.0, 1.0]), 1.0]];
    canvas.fill_linear(&frame, ends, [(base, 1.0), (other, 1.0)]);
    if dice.chance(0.4) {
        let horizon = dice.within([0.45, 0.85]);
        let ground = polygon(&[[0.0, horizon], [1.0, horizon + dice.around_zero(0.1)], [1.0, 1.2], [0.0, 1.2]]);
        canvas.fill(&ground, Colour::any(dice, [0.2, 0.7], [0.25, 0.8]));
    }
    for _ in 0..dice.below(CLUTTER + 1) {
        draw_clutter(canvas, dice);
    }
}

fn draw_clutter(canvas: &mut Canvas, dice: &mut Dice) {
    let colour = if dice.chance(0.4) { Colour::BLACK } else { Colour::any(dice, [0.0, 0.9], [0.1, 1.0]) };
    let centre = [dice.within([0.0, 1.0]), dice.within([0.0, 1.0])];
    let (scale, tilt) = (dice.within([0.05, 0.16]), dice.around_zero(1.0));
    let shape = dice.below(6);
    let bend = dice.around_zero(1.2);
    let width = dice.within([0.15, 0.4]);
    canvas.placed(centre, scale, tilt, |canvas| match shape {
        0 => canvas.fill(&ellipse([0.0, 0.0], [1.0, 0.8]), colour),
        1 => canvas.fill(&polygon(&[[-1.0, 0.8], [0.0, -1.0], [1.0, 0.8]]), colour),
        2 => canvas.fill(&polygon(&[[-1.0, -0.7], [1.0, -0.7], [1.0, 0.7], [-1.0, 0.7]]), colour),
        3 => canvas.line(&ellipse([0.0, 0.0], [1.0, 1.0]), colour, width),
        _ => canvas.line(&curve([-1.0, 0.0], [0.0, bend], [1.0, 0.0]), colour, width),
    });
}

/// Draws, now and then, something in front of the face, in head coordinates. Every cue stays visible on one side.
pub(super) fn draw_occlusion(canvas: &mut Canvas, dice: &mut Dice) {
    if !dice.chance(OCCLUSION) {
        return;
    }
    match dice.below(4) {
        0 => draw_hat(canvas, dice),
        1 => draw_glasses(canvas, dice),
        2 => draw_paw(canvas, dice),
        _ => draw_grass(canvas, dice),
    }
}

fn draw_hat(canvas: &mut Canvas, dice: &mut Dice) {
    let colour = Colour::any(dice, [0.4, 0.9], [0.25, 0.95]);
    let (brim, height) = (dice.within([0.7, 1.1]), dice.within([0.4, 0.8]));
    let crown = 0.65 * brim;
    let top = -0.72 - height;
    canvas.placed([dice.around_zero(0.15), 0.0], 1.0, dice.around_zero(0.08), |canvas| {
        let sides = polygon(&[[-crown, -0.75], [crown, -0.75], [0.85 * crown, top], [-0.85 * crown, top]]);
        canvas.fill(&sides, colour);
        canvas.line(&polyline(&[[-0.95 * crown, -0.86], [0.95 * crown, -0.86]]), colour.mix(Colour::WHITE, 0.6), 0.12);
        canvas.fill(&ellipse([0.0, -0.76], [brim, 0.1]), colour.mix(Colour::BLACK, 0.25));
    });
}

fn draw_glasses(canvas: &mut Canvas, dice: &mut Dice) {
    let colour = dice.pick(&[Colour::BLACK, Colour([0.7, 0.15, 0.15]), Colour([0.85, 0.7, 0.25])]);
    let (radius, width) = (dice.within([0.25, 0.3]), dice.within([0.03, 0.05]));
    for x in [-0.42, 0.42] {
        let rim = ellipse([x, -0.13], [radius, radius]);
        canvas.tint(&rim, Colour([0.75, 0.9, 1.0]), 0.15);
        canvas.line(&rim, colour, width);
    }
    canvas.line(&curve([-0.42 + radius, -0.15], [0.0, -0.22], [0.42 - radius, -0.15]), colour, width);
}

fn draw_paw(canvas: &mut Canvas, dice: &mut Dice) {
    let fur = Colour::any(dice, [0.1, 0.6], [0.35, 0.95]);
    let ink = fur.mix(Colour::BLACK, 0.7);
    let side = dice.pick(&[-1.0, 1.0]);
    let [x, y] = [side * dice.within([0.75, 1.0]), dice.within([-0.3, 0.75])];
    let arm =
        [[x - 0.25, y - 0.1], [x + 0.25, y - 0.1], [x + side * 0.5 + 0.3, y + 1.6], [x + side * 0.5 - 0.3, y + 1.6]];
    canvas.shape(&smooth(&arm), fur, ink, 0.04);
    for toe in [-0.2, 0.0, 0.2] {
        canvas.shape(&ellipse([x + toe, y - 0.12], [0.12, 0.16]), fur, ink, 0.03);
    }
}

fn draw_grass(canvas: &mut Canvas, dice: &mut Dice) {
    let green = Colour::hsv(dice.within([0.2, 0.42]), dice.within([0.4, 0.8]), dice.within([0.25, 0.75]));
    for i in 0..14 {
        let x = -1.4 + 0.2 * i as f32 + dice.around_zero(0.1);
        let reach = if x.abs() < 0.5 { 0.78 } else { 0.35 };
        let tip = [x + dice.around_zero(0.25), dice.within([reach, 0.95])];
        let blade = crescent([x - 0.08, 1.8], tip, [[x - 0.05, 1.2], [x + 0.13, 1.2]]);
        canvas.fill(&blade, green.mix(Colour::BLACK, dice.within([0.0, 0.4])));
    }
}

/// A shadow or a glow across the picture.
pub(super) fn draw_light(canvas: &mut Canvas, dice: &mut Dice) {
    let frame = polygon(&[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]);
    let colour = if dice.chance(0.6) { Colour::BLACK } else { Colour([1.0, 0.95, 0.8]) };
    let ends = [[dice.within([0.0, 1.0]), dice.within([0.0, 1.0])], [dice.within([0.0, 1.0]), dice.within([0.0, 1.0])]];
    canvas.fill_linear(&frame, ends, [(colour, dice.within([0.0, SHADOW])), (colour, 0.0)]);
}

/// Blur, exposure, colour cast and noise; `pixels` are rows of a square picture of `size` pixels.
pub(super) fn expose(pixels: Vec<[f32; 3]>, size: usize, dice: &mut Dice) -> Vec<u8> {
    let blur = dice.within([-BLUR, BLUR]).max(0.0) * size as f32;
    let contrast = 1.0 + dice.around_zero(EXPOSURE);
    let brightness = dice.around_zero(EXPOSURE) * 128.0;
    let cast: [f32; 3] = std::array::from_fn(|_| 1.0 + dice.around_zero(CAST));
    let noise = dice.within([0.0, NOISE]) * 255.0;
    let blurred = box_blur(&pixels, size, blur);
    let mut bytes = Vec::with_capacity(3 * size * size);
    for pixel in blurred {
        let luminance = dice.around_zero(noise);
        for (value, gain) in pixel.into_iter().zip(cast) {
            let grain = luminance + dice.around_zero(0.5 * noise);
            let exposed = ((value - 128.0) * contrast + 128.0 + brightness) * gain + grain;
            bytes.push(exposed.round().clamp(0.0, 255.0) as u8);
        }
    }
    bytes
}

/// Mean over the pixels up to `radius` away across and down; the outermost ones weigh the fraction that is left.
fn box_blur(pixels: &[[f32; 3]], size: usize, radius: f32) -> Vec<[f32; 3]> {
    let reach = radius.ceil() as isize;
    let weight = |offset: isize| (radius + 1.0 - offset.unsigned_abs() as f32).clamp(0.0, 1.0);
    let total: f32 = (-reach..=reach).map(weight).sum();
    let last = size as isize - 1;
    let pass = |source: &[[f32; 3]], step: [isize; 2]| -> Vec<[f32; 3]> {
        let blurred = |index: usize| {
            let (x, y) = ((index % size) as isize, (index / size) as isize);
            let mut sum = [0.0; 3];
            for offset in -reach..=reach {
                let (px, py) = ((x + step[0] * offset).clamp(0, last), (y + step[1] * offset).clamp(0, last));
                let pixel = source[py as usize * size + px as usize];
                for (s, p) in sum.iter_mut().zip(pixel) {
                    *s += p * weight(offset) / total;
                }
            }
            sum
        };
        (0..size * size).map(blurred).collect()
    };
    pass(&pass(pixels, [1, 0]), [0, 1])
}
