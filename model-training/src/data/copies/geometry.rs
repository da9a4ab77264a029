//! Whether matches between two pictures agree on one way in which one was made from the other.

use std::collections::BTreeSet;
use std::f32::consts::PI;

use super::features::Feature;

/// How far a feature may lie from where the first guess puts it, in pixels.
const NEAR_GUESS: f32 = 12.0;
/// How far a feature may lie from where the fitted map puts it, in pixels.
const NEAR: f32 = 4.0;
/// Largest difference of directions that agree, in radians.
const TURN: f32 = 0.5;
/// Largest ratio of sizes that agree.
const GROWTH: f32 = 1.6;
/// Times that the map is fitted anew to the matches that agree with it.
const ROUNDS: usize = 3;

/// A map from the first picture to the second: `x' = a x + b y + c`, `y' = d x + e y + f`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Affine(pub [[f32; 3]; 2]);

impl Affine {
    pub(super) fn apply(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        self.0.map(|[a, b, c]| a * x + b * y + c)
    }
}

/// A pair of features that look alike, one in each picture.
#[derive(Clone, Copy)]
struct Pair {
    from: [f32; 2],
    to: [f32; 2],
    turn: f32,
    growth: f32,
}

/// The map that most of the matches agree on, and how many do; features at one place count once.
pub(super) fn agreement(pictures: [&[Feature]; 2], mirrored: bool, matches: &[[u32; 2]]) -> (usize, Affine) {
    let [first, second] = pictures;
    let pair = |&[a, b]: &[u32; 2]| {
        let (a, b) = (&first[a as usize], &second[b as usize]);
        let (x, angle) = if mirrored { (-a.x, PI - a.angle) } else { (a.x, a.angle) };
        Pair { from: [x, a.y], to: [b.x, b.y], turn: b.angle - angle, growth: b.scale / a.scale }
    };
    let pairs: Vec<Pair> = matches.iter().map(pair).collect();
    let guesses = pairs.iter().map(|pair| {
        let turn = pair.turn.sin_cos();
        pairs.iter().filter(|other| agrees(pair, turn, other)).copied().collect()
    });
    let guess: Vec<Pair> = guesses.max_by_key(|agreeing: &Vec<Pair>| places(agreeing)).unwrap_or_default();
    let mut best = (0, Affine([[0.0; 3]; 2]));
    let mut agreeing = guess.clone();
    for _ in 0..ROUNDS {
        let Some(map) = fit(&agreeing) else { break };
        agreeing = guess.iter().filter(|pair| distance(map.apply(pair.from), pair.to) < NEAR).copied().collect();
        let count = places(&agreeing);
        if count > best.0 {
            best = (count, map);
        }
    }
    let sign = if mirrored { -1.0 } else { 1.0 };
    (best.0, Affine(best.1.0.map(|[a, b, c]| [sign * a, b, c])))
}

/// Whether `other` lies where it would if the picture were moved, turned and scaled as `pair` was, whose turn is given by
/// sine and cosine.
fn agrees(pair: &Pair, (sin, cos): (f32, f32), other: &Pair) -> bool {
    let (sin, cos) = (sin * pair.growth, cos * pair.growth);
    let [x, y] = [other.from[0] - pair.from[0], other.from[1] - pair.from[1]];
    let expected = [pair.to[0] + x * cos - y * sin, pair.to[1] + x * sin + y * cos];
    if distance(expected, other.to) >= NEAR_GUESS {
        return false;
    }
    let turn = (other.turn - pair.turn).rem_euclid(2.0 * PI);
    let growth = other.growth / pair.growth;
    turn.min(2.0 * PI - turn) < TURN && (1.0 / GROWTH..GROWTH).contains(&growth)
}

fn distance([ax, ay]: [f32; 2], [bx, by]: [f32; 2]) -> f32 {
    ((ax - bx).powi(2) + (ay - by).powi(2)).sqrt()
}

/// Places in that picture which has fewer.
fn places(pairs: &[Pair]) -> usize {
    let count = |place: fn(&Pair) -> [f32; 2]| {
        pairs.iter().map(|pair| place(pair).map(f32::to_bits)).collect::<BTreeSet<_>>().len()
    };
    count(|pair| pair.from).min(count(|pair| pair.to))
}

/// The map with the least squared distance; `None` when the places lie on a line.
fn fit(pairs: &[Pair]) -> Option<Affine> {
    let mean = |place: fn(&Pair) -> [f32; 2]| {
        [0, 1].map(|axis| pairs.iter().map(|pair| place(pair)[axis]).sum::<f32>() / pairs.len() as f32)
    };
    let (from, to) = (mean(|pair| pair.from), mean(|pair| pair.to));
    let [mut xx, mut xy, mut yy] = [0.0; 3];
    let mut products = [[0.0; 2]; 2];
    for pair in pairs {
        let [x, y] = [pair.from[0] - from[0], pair.from[1] - from[1]];
        xx += x * x;
        xy += x * y;
        yy += y * y;
        for axis in 0..2 {
            let target = pair.to[axis] - to[axis];
            products[axis][0] += x * target;
            products[axis][1] += y * target;
        }
    }
    let determinant = xx * yy - xy * xy;
    (determinant > 1e-3 * (xx + yy).powi(2)).then(|| {
        Affine([0, 1].map(|axis| {
            let [px, py] = products[axis];
            let (a, b) = ((yy * px - xy * py) / determinant, (xx * py - xy * px) / determinant);
            [a, b, to[axis] - a * from[0] - b * from[1]]
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(x: f32, y: f32, scale: f32, angle: f32) -> Feature {
        Feature { x, y, scale, angle, description: [0; _] }
    }

    /// A picture mirrored, turned, enlarged and moved, with matches that agree and others that do not.
    #[test]
    fn the_map_is_found_among_wrong_matches() {
        let (turn, growth) = (0.4_f32, 1.5);
        let (sin, cos) = (turn.sin() * growth, turn.cos() * growth);
        let expected = Affine([[-cos, -sin, 200.0], [-sin, cos, -10.0]]);
        let spread = |n: usize| [(n * 37 % 101) as f32, (n * 53 % 97) as f32];
        let first: Vec<Feature> = (0..30).map(|n| feature(spread(n)[0], spread(n)[1], 2.0, n as f32)).collect();
        let moved = |(n, from): (usize, &Feature)| {
            let [x, y] = if n % 3 == 0 { spread(n + 50) } else { expected.apply([from.x, from.y]) };
            feature(x, y, 3.0, PI - from.angle + turn)
        };
        let second: Vec<Feature> = first.iter().enumerate().map(moved).collect();
        let matches: Vec<[u32; 2]> = (0..30).chain(0..30).map(|n| [n, n]).collect();
        let (places, map) = agreement([&first, &second], true, &matches);
        assert_eq!(places, 20);
        for (found, expected) in map.0.as_flattened().iter().zip(expected.0.as_flattened()) {
            assert!((found - expected).abs() < 0.01, "{map:?}");
        }
        assert_eq!(agreement([&first, &second], true, &[]).0, 0);
        assert_eq!(agreement([&first, &second], true, &[[1, 1], [1, 1], [2, 2]]).0, 0);
    }
}
