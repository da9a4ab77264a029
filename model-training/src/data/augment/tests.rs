//! What each change does to small images.

use proptest::prelude::*;

use super::*;

const RGB: Shape = Shape { height: 6, width: 9, channels: 3 };
const GREY: Shape = Shape { channels: 1, ..RGB };

fn key(index: u64) -> Key {
    Key { seed: 3, epoch: 5, index }
}

/// Noise between 60 and 180, so that moderate jitter clips nothing.
fn noise(shape: Shape) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    (0..shape.height * shape.width * shape.channels).map(|_| rng.random_range(60..=180)).collect()
}

fn still() -> Draw {
    drawn(&AugmentConfig::none(), 0)
}

fn drawn(config: &AugmentConfig, index: u64) -> Draw {
    Draw::new(config, &mut key(index).rng(b"augment."))
}

fn warped(draw: Draw, pixels: &[u8], shape: Shape) -> Vec<u8> {
    draw.warp(shape, shape).apply(pixels, shape, shape)
}

fn jittered(draw: Draw, pixels: &[u8], channels: usize) -> Vec<u8> {
    let mut out = pixels.to_vec();
    draw.jitter(&mut out, channels);
    out
}

fn mean(pixels: &[u8]) -> f64 {
    pixels.iter().map(|&value| f64::from(value)).sum::<f64>() / pixels.len() as f64
}

fn reversed(pixels: &[u8], channels: usize) -> Vec<u8> {
    pixels.chunks_exact(channels).rev().flatten().copied().collect()
}

#[test]
fn without_changes_the_image_is_the_same() {
    for shape in [GREY, RGB] {
        let image = noise(shape);
        assert_eq!(augment(&image, shape, shape, &AugmentConfig::none(), key(1)), image);
        assert_eq!(warped(still(), &image, shape), image);
        assert_eq!(jittered(still(), &image, shape.channels), image);
    }
}

#[test]
fn a_flip_mirrors_each_row_and_undoes_itself() {
    let image = noise(RGB);
    let flip = Draw { flip: true, ..still() };
    let once = warped(flip, &image, RGB);
    let mirrored: Vec<u8> = image.chunks_exact(RGB.width * 3).flat_map(|row| reversed(row, 3)).collect();
    assert_eq!(once, mirrored);
    assert_eq!(warped(flip, &once, RGB), image);
}

#[test]
fn half_a_turn_reverses_the_pixels_and_a_quarter_turns_a_square() {
    let image = noise(RGB);
    let half = Draw { rotation: std::f32::consts::PI, ..still() };
    assert_eq!(warped(half, &image, RGB), reversed(&image, 3));

    let side = 7;
    let shape = Shape { height: side, width: side, channels: 1 };
    let square = noise(shape);
    let quarter = Draw { rotation: std::f32::consts::FRAC_PI_2, ..still() };
    let turned = warped(quarter, &square, shape);
    let expected: Vec<u8> = (0..side * side).map(|i| square[(side - 1 - i % side) * side + i / side]).collect();
    assert_eq!(turned, expected);
}

#[test]
fn a_small_turn_and_back_stays_near_a_smooth_image() {
    let (width, height) = (40, 30);
    let smooth: Vec<u8> = (0..width * height).map(|i| (60 + 2 * (i % width) + 2 * (i / width)) as u8).collect();
    let shape = Shape { height, width, channels: 1 };
    let turned = |rotation: f32, image: &[u8]| warped(Draw { rotation, ..still() }, image, shape);
    let back = turned(-0.2, &turned(0.2, &smooth));
    for y in 8..height - 8 {
        for x in 8..width - 8 {
            assert!(back[y * width + x].abs_diff(smooth[y * width + x]) <= 1);
        }
    }
}

#[test]
fn a_crop_enlarges_its_part_of_the_image() {
    let image: Vec<u8> = (0..8 * 8).map(|i| if i % 8 < 4 { 10 } else { 200 }).collect();
    let right = Draw { crop: Rectangle { size: [0.5, 0.5], corner: [0.5, 0.25] }, ..still() };
    let out = warped(right, &image, Shape { height: 8, width: 8, channels: 1 });
    assert!(out.chunks_exact(8).all(|row| row[1..].iter().all(|&value| value == 200)));
}

#[test]
fn brightness_scales_the_mean_and_contrast_keeps_it() {
    for channels in [1, 3] {
        let image = noise(Shape { height: 64, width: 64, channels });
        let bright = jittered(Draw { brightness: 1.25, ..still() }, &image, channels);
        assert!((mean(&bright) - 1.25 * mean(&image)).abs() < 0.2);
        let flat = jittered(Draw { contrast: 0.53, ..still() }, &image, channels);
        assert!((mean(&flat) - mean(&image)).abs() < 0.2);
        let spread = |pixels: &[u8]| f64::from(pixels.iter().max().unwrap() - pixels.iter().min().unwrap());
        assert!((spread(&flat) - 0.53 * spread(&image)).abs() <= 1.0);
    }
}

#[test]
fn no_saturation_is_grey_and_a_third_of_a_turn_swaps_the_channels() {
    let image = noise(RGB);
    let grey = jittered(Draw { saturation: 0.0, ..still() }, &image, 3);
    for (grey, color) in grey.chunks_exact(3).zip(image.chunks_exact(3)) {
        assert!(grey.iter().all(|&value| value == grey[0]));
        assert!((f64::from(grey[0]) - mean(color)).abs() <= 0.5);
    }
    let turned = jittered(Draw { hue: 120_f32.to_radians(), ..still() }, &image, 3);
    let swapped: Vec<u8> = image.chunks_exact(3).flat_map(|pixel| [pixel[2], pixel[0], pixel[1]]).collect();
    assert_eq!(turned, swapped);
}

#[test]
fn grey_images_have_no_saturation_and_no_hue() {
    let image = noise(GREY);
    assert_eq!(jittered(Draw { saturation: 0.2, hue: 2.0, ..still() }, &image, 1), image);
    let colorless: Vec<u8> = image.iter().flat_map(|&value| [value; 3]).collect();
    assert_eq!(jittered(Draw { saturation: 0.2, hue: 2.0, ..still() }, &colorless, 3), colorless);
}

#[test]
fn colours_are_clipped_not_wrapped() {
    let bright = Draw { brightness: 2.0, ..still() };
    assert_eq!(jittered(bright, &[200, 10, 0], 1), [255, 20, 0]);
    let harsh = Draw { contrast: 3.0, ..still() };
    assert_eq!(jittered(harsh, &[0, 100, 200], 1), [0, 100, 255]);
}

#[test]
fn an_epoch_an_index_and_a_seed_each_change_the_result() {
    let image = noise(RGB);
    let config = AugmentConfig::default();
    let run = |key| augment(&image, RGB, RGB, &config, key);
    let first = run(key(1));
    assert_eq!(first, run(key(1)));
    assert_ne!(first, run(key(2)));
    assert_ne!(first, run(Key { epoch: 6, ..key(1) }));
    assert_ne!(first, run(Key { seed: 4, ..key(1) }));
    let elsewhere = std::thread::scope(|scope| scope.spawn(|| run(key(1))).join().unwrap());
    assert_eq!(first, elsewhere);
}

#[test]
fn draws_fill_their_ranges() {
    let config = AugmentConfig { horizontal_flip: 0.25, rotation: 180.0, hue: 20.0, ..AugmentConfig::default() };
    let draws: Vec<_> = (0..4000).map(|index| drawn(&config, index)).collect();
    let range = |of: fn(&Draw) -> f32| {
        draws.iter().map(of).fold((f32::MAX, f32::MIN), |(low, high), value| (low.min(value), high.max(value)))
    };
    let near = |(low, high): (f32, f32), expected: (f32, f32)| {
        let slack = (expected.1 - expected.0) * 0.01;
        assert!(low >= expected.0 - 1e-5 && low < expected.0 + slack, "{low} against {expected:?}");
        assert!(high <= expected.1 + 1e-5 && high > expected.1 - slack, "{high} against {expected:?}");
    };
    near(range(|d| d.brightness), (0.7, 1.3));
    near(range(|d| d.contrast), (0.7, 1.3));
    near(range(|d| d.saturation), (0.7, 1.3));
    near(range(|d| d.hue.to_degrees()), (-20.0, 20.0));
    near(range(|d| d.rotation.to_degrees()), (-180.0, 180.0));
    let flips = draws.iter().filter(|draw| draw.flip).count();
    assert!((900..1100).contains(&flips), "{flips} of 4000 flipped");
    for draw in &draws {
        let Rectangle { size, corner } = draw.crop;
        assert!((0.5..=1.00001).contains(&(size[0] * size[1])), "{draw:?}");
        assert!(size.iter().zip(corner).all(|(side, at)| at >= 0.0 && at + side <= 1.00001), "{draw:?}");
    }
}

#[test]
fn switching_one_change_off_leaves_the_others() {
    let with = drawn(&AugmentConfig { erase: 1.0, ..AugmentConfig::default() }, 9);
    let without = drawn(&AugmentConfig { rotation: 0.0, hue: 0.0, ..AugmentConfig::default() }, 9);
    assert_eq!(without, Draw { rotation: 0.0, hue: 0.0, hole: None, ..with });
}

#[test]
fn a_hole_is_noise_of_its_area_and_nothing_else_changes() {
    let shape = Shape { height: 40, width: 50, channels: 3 };
    let image = vec![7; 40 * 50 * 3];
    let config = AugmentConfig { erase: 0.5, erase_area: [0.1, 0.2], ..AugmentConfig::none() };
    let mut holes = 0;
    for index in 0..400 {
        let out = augment(&image, shape, shape, &config, key(index));
        assert_eq!(out, augment(&image, shape, shape, &config, key(index)));
        let changed = out.chunks_exact(3).filter(|pixel| **pixel != [7; 3]).count();
        assert!(changed == 0 || (150..450).contains(&changed), "{changed} of 2000 pixels, 200 to 400 are asked for");
        holes += usize::from(changed > 0);
    }
    assert!((160..240).contains(&holes), "{holes} of 400 have a hole");
}

#[test]
fn a_hole_is_where_it_was_drawn() {
    let mut pixels = vec![0; 4 * 6];
    let hole = Rectangle { size: [0.5, 0.5], corner: [0.5, 0.25] };
    hole.fill(&mut pixels, Shape { height: 4, width: 6, channels: 1 }, &mut key(0).rng(b"augment."));
    let noisy: Vec<usize> = (0..24).filter(|&index| pixels[index] != 0).collect();
    assert_eq!(noisy, [9, 10, 11, 15, 16, 17]);
}

proptest! {
    #[test]
    fn any_permitted_configuration_gives_an_image_within_the_sources_values(
        width in 1_usize..12,
        height in 1_usize..12,
        channels in prop::sample::select(vec![1_usize, 3]),
        rotation in 0.0_f32..=180.0,
        area in 0.01_f32..=1.0,
        aspect in 0.1_f32..=10.0,
        index: u64,
    ) {
        let config = AugmentConfig {
            horizontal_flip: 0.5,
            rotation,
            crop_area: [area, 1.0],
            crop_aspect: [aspect.min(1.0), aspect.max(1.0)],
            ..AugmentConfig::none()
        };
        config.validate().unwrap();
        let shape = Shape { height, width, channels };
        let image = noise(shape);
        let out = augment(&image, shape, shape, &config, key(index));
        prop_assert_eq!(out.len(), image.len());
        let bounds = image.iter().min().unwrap()..=image.iter().max().unwrap();
        prop_assert!(out.iter().all(|value| bounds.contains(&value)));
    }
}

#[test]
fn a_larger_source_is_reduced_or_keeps_the_detail_of_a_crop() {
    let (from, shape) = (Shape { height: 12, width: 18, channels: 1 }, Shape { height: 6, width: 9, channels: 1 });
    let ramp: Vec<u8> = (0..from.len()).map(|i| (5 * (i % 18) + 10 * (i / 18)) as u8).collect();
    let whole = augment(&ramp, from, shape, &AugmentConfig::none(), key(1));
    let middles: Vec<u8> = (0..shape.len()).map(|i| (10 * (i % 9) + 20 * (i / 9) + 8) as u8).collect();
    assert_eq!(whole, middles);

    let quarter = Draw { crop: Rectangle { size: [0.5, 0.5], corner: [0.5, 0.0] }, ..still() };
    let out = quarter.warp(from, shape).apply(&ramp, from, shape);
    let part: Vec<u8> = ramp.chunks_exact(18).take(6).flat_map(|row| row[9..].to_vec()).collect();
    assert_eq!(out, part);
}
