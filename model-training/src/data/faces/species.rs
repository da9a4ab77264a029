//! The species: which ears, muzzle, markings and furs go together.

use super::canvas::Colour;

#[derive(Clone, Copy, Debug)]
pub(super) enum Ears {
    /// Upright triangles; the height.
    Pointed(f32),
    /// Discs; the radius.
    Round(f32),
    /// As long as the head.
    Long,
    /// Hanging beside the head.
    Floppy,
    /// Level, leaf-shaped, with horns above.
    Level,
    /// Small triangles whose tips fold down.
    Folded,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Muzzle {
    /// Only a nose.
    None,
    /// Two puffs below a small nose.
    Puffs,
    /// A pale oval below a large nose.
    Oval,
    /// Pale cheeks that meet at the nose.
    Mask,
    /// A disc with nostrils.
    Snout,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Marking {
    None,
    Stripes,
    Spots,
    EyePatches,
    Blaze,
    Mane,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Species {
    pub(super) ears: Ears,
    pub(super) muzzle: Muzzle,
    pub(super) marking: Marking,
    pub(super) whiskers: bool,
    pub(super) radii: [f32; 2],
    pub(super) furs: &'static [Colour],
}

const GREY: Colour = Colour([0.6, 0.6, 0.62]);
const SLATE: Colour = Colour([0.33, 0.34, 0.4]);
pub(super) const CREAM: Colour = Colour([0.95, 0.87, 0.72]);
const SNOW: Colour = Colour([0.95, 0.94, 0.92]);
const GINGER: Colour = Colour([0.93, 0.58, 0.22]);
const RUST: Colour = Colour([0.8, 0.38, 0.16]);
const BROWN: Colour = Colour([0.5, 0.32, 0.18]);
pub(super) const CHOCOLATE: Colour = Colour([0.32, 0.21, 0.15]);
pub(super) const PINK: Colour = Colour([0.97, 0.72, 0.74]);
const TAN: Colour = Colour([0.82, 0.65, 0.43]);

/// Cat, tiger, dog, bear, panda, rabbit, fox, mouse, koala, pig, cow and lion.
pub(super) const SPECIES: [Species; 12] = [
    Species {
        ears: Ears::Pointed(0.65),
        muzzle: Muzzle::Puffs,
        marking: Marking::None,
        whiskers: true,
        radii: [1.0, 0.86],
        furs: &[GREY, SLATE, CREAM, SNOW, GINGER, BROWN],
    },
    Species {
        ears: Ears::Round(0.3),
        muzzle: Muzzle::Puffs,
        marking: Marking::Stripes,
        whiskers: true,
        radii: [1.0, 0.9],
        furs: &[GINGER, CREAM, GREY, TAN],
    },
    Species {
        ears: Ears::Floppy,
        muzzle: Muzzle::Oval,
        marking: Marking::Blaze,
        whiskers: false,
        radii: [0.9, 0.95],
        furs: &[TAN, BROWN, CHOCOLATE, CREAM, SLATE, SNOW],
    },
    Species {
        ears: Ears::Round(0.32),
        muzzle: Muzzle::Oval,
        marking: Marking::None,
        whiskers: false,
        radii: [1.0, 0.92],
        furs: &[BROWN, CHOCOLATE, TAN, SNOW, SLATE],
    },
    Species {
        ears: Ears::Round(0.34),
        muzzle: Muzzle::None,
        marking: Marking::EyePatches,
        whiskers: false,
        radii: [1.0, 0.9],
        furs: &[SNOW, CREAM, TAN],
    },
    Species {
        ears: Ears::Long,
        muzzle: Muzzle::Puffs,
        marking: Marking::None,
        whiskers: true,
        radii: [0.9, 0.88],
        furs: &[SNOW, GREY, TAN, CREAM, BROWN, PINK],
    },
    Species {
        ears: Ears::Pointed(0.85),
        muzzle: Muzzle::Mask,
        marking: Marking::None,
        whiskers: false,
        radii: [1.0, 0.84],
        furs: &[RUST, GINGER, GREY, SLATE],
    },
    Species {
        ears: Ears::Round(0.52),
        muzzle: Muzzle::None,
        marking: Marking::None,
        whiskers: true,
        radii: [0.86, 0.84],
        furs: &[GREY, SNOW, TAN, SLATE],
    },
    Species {
        ears: Ears::Round(0.48),
        muzzle: Muzzle::None,
        marking: Marking::None,
        whiskers: false,
        radii: [1.0, 0.88],
        furs: &[GREY, SLATE, TAN],
    },
    Species {
        ears: Ears::Folded,
        muzzle: Muzzle::Snout,
        marking: Marking::None,
        whiskers: false,
        radii: [0.98, 0.92],
        furs: &[PINK, CREAM, TAN, SLATE],
    },
    Species {
        ears: Ears::Level,
        muzzle: Muzzle::Snout,
        marking: Marking::Spots,
        whiskers: false,
        radii: [0.86, 0.96],
        furs: &[SNOW, CREAM, BROWN, TAN],
    },
    Species {
        ears: Ears::Round(0.28),
        muzzle: Muzzle::Puffs,
        marking: Marking::Mane,
        whiskers: true,
        radii: [0.9, 0.9],
        furs: &[TAN, CREAM, GINGER],
    },
];
