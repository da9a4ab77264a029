use image::imageops::{crop_imm, flip_horizontal, interpolate_bilinear, resize};
use image::{ImageFormat, Rgb};

use super::*;
use crate::data::dataset::{Dataset, GROUPS_FILE};
use crate::data::faces::draw;

/// A drawing that is the same for a seed.
fn photograph(seed: u64) -> RgbImage {
    draw(seed, (seed % 4) as usize, 224)
}

fn brightened(picture: &RgbImage, gain: f32, offset: f32) -> RgbImage {
    let mut picture = picture.clone();
    picture.iter_mut().for_each(|value| *value = (f32::from(*value) * gain + offset).clamp(0.0, 255.0) as u8);
    picture
}

fn cropped(picture: &RgbImage, [x, y, width, height]: [u32; 4]) -> RgbImage {
    resize(&crop_imm(picture, x, y, width, height).to_image(), 224, 224, FilterType::Triangle)
}

/// About its middle, black where nothing is.
fn turned(picture: &RgbImage, degrees: f32) -> RgbImage {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (x0, y0) = (picture.width() as f32 / 2.0, picture.height() as f32 / 2.0);
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let (dx, dy) = (x as f32 - x0, y as f32 - y0);
        interpolate_bilinear(picture, x0 + cos * dx + sin * dy, y0 + cos * dy - sin * dx).unwrap_or(Rgb([0; 3]))
    })
}

/// The links among pictures.
fn links(pictures: &[RgbImage]) -> Vec<Link> {
    let mut looks = Looks::default();
    looks.add(pictures.iter().map(Reduced::new).collect(), || {});
    looks.links()
}

/// Ways to make a copy, with the name of each and whether it mirrors.
fn copies(picture: &RgbImage) -> Vec<(&'static str, bool, RgbImage)> {
    let mirrored = flip_horizontal(picture);
    vec![
        ("mirrored", true, mirrored.clone()),
        ("upside down", true, image::imageops::flip_vertical(picture)),
        ("a quarter turn", false, image::imageops::rotate90(picture)),
        ("cropped", false, cropped(picture, [30, 20, 160, 160])),
        ("cropped to another shape", false, cropped(picture, [20, 40, 180, 150])),
        ("half the size", false, resize(picture, 112, 112, FilterType::Triangle)),
        ("twice the size", false, resize(picture, 448, 448, FilterType::Triangle)),
        ("turned", false, turned(picture, 14.0)),
        ("brighter", false, brightened(picture, 1.2, 15.0)),
        ("darker", false, brightened(picture, 0.6, 0.0)),
        ("all together", true, brightened(&turned(&cropped(&mirrored, [10, 20, 190, 190]), -9.0), 0.8, 10.0)),
    ]
}

#[test]
fn copies_are_found_whatever_was_done_to_them() {
    for seed in 0..3 {
        let original = photograph(seed);
        for (name, mirrored, copy) in copies(&original) {
            let links = links(&[original.clone(), copy]);
            let [link] = &links[..] else { panic!("{name}, seed {seed}: {links:?}") };
            assert_eq!((link.pictures, link.mirrored), ([0, 1], mirrored), "{name}, seed {seed}");
        }
    }
}

#[test]
fn different_pictures_are_not_joined() {
    assert_eq!(links(&(100..160).map(photograph).collect::<Vec<_>>()), []);
}

#[test]
fn equal_pictures_without_texture_are_found_and_others_are_not() {
    let plain = |red: u8| RgbImage::from_pixel(40, 30, Rgb([red, 90, 20]));
    let links = links(&[plain(10), plain(200), plain(10), plain(10)]);
    assert_eq!(links.iter().map(|link| link.pictures).collect::<Vec<_>>(), [[0, 2], [0, 3]]);
}

/// What was coded again or scaled is nearly the same, and so needs no features; another drawing is not, nor one that a hash
/// cannot tell from another.
#[test]
fn copies_that_are_nearly_the_same_are_found_by_a_hash() {
    let original = photograph(5);
    let mut coded = std::io::Cursor::new(Vec::new());
    original.write_with_encoder(image::codecs::jpeg::JpegEncoder::new_with_quality(&mut coded, 60)).unwrap();
    let coded = image::load_from_memory(coded.get_ref()).unwrap().into_rgb8();
    let scaled = resize(&original, 180, 180, FilterType::Triangle);
    let mut looks = Looks::default();
    let pictures = [&original, &photograph(6), &coded, &scaled, &flip_horizontal(&original)];
    looks.add(pictures.map(Reduced::new).into(), || {});
    assert_eq!(
        looks.links.iter().map(|link| (link.pictures, link.places)).collect::<Vec<_>>(),
        [([0, 2], 0), ([0, 3], 0)]
    );
    assert!(looks.looks.iter().map(|look| look.index).eq([0, 1, 4]), "these alone are described");
    assert_eq!(looks.links().iter().map(|link| link.pictures).collect::<Vec<_>>(), [[0, 2], [0, 3], [0, 4]]);

    // Stripes below the resolution of the hash: the hashes are equal, the pictures are not.
    let stripes =
        |width: u32| RgbImage::from_fn(256, 256, |x, y| Rgb([((x / width + y / 32) % 2 * 60 + x / 2) as u8; 3]));
    let mut looks = Looks::default();
    looks.add([stripes(8), stripes(16)].iter().map(Reduced::new).collect(), || {});
    assert_eq!(looks.links, []);
}

/// Many pictures of one scene are connected without each pair of them.
#[test]
fn more_copies_than_look_alike_at_once_are_one_group() {
    let original = photograph(3);
    let turned: Vec<RgbImage> = (0..30).map(|n| turned(&original, 5.0 * n as f32)).collect();
    let links = links(&turned);
    assert!(groups(30, links.iter().map(|link| link.pictures)).iter().all(|&group| group == 0), "{links:?}");
    assert!(links.len() < 30 * 29 / 2);
}

#[test]
fn any_size_can_be_searched() {
    let sizes = [(1, 1), (1, 300), (300, 1), (16, 16), (700, 20)];
    let plain = |(red, &(width, height))| RgbImage::from_pixel(width, height, Rgb([red, 0, 0]));
    let pictures: Vec<RgbImage> = (0..5).map(|index| 50 * index).zip(&sizes).map(plain).collect();
    assert_eq!(links(&pictures), []);
    assert_eq!(links(&[]), []);
}

#[test]
fn the_number_of_threads_does_not_matter_and_bad_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = vec![dir.path().join("bad.png")];
    std::fs::write(&files[0], "words").unwrap();
    for seed in 0..4 {
        for (name, picture) in [("a", photograph(seed)), ("b", flip_horizontal(&photograph(seed)))] {
            let file = dir.path().join(format!("{seed}{name}.png"));
            picture.save_with_format(&file, ImageFormat::Png).unwrap();
            files.push(file);
        }
    }
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| find(&files, &|_, _| {}))
    };
    let found = with(1);
    assert_eq!(found, with(3));
    assert_eq!(found.links.iter().map(|link| link.pictures).collect::<Vec<_>>(), [[0, 1], [2, 3], [4, 5], [6, 7]]);
    assert_eq!(found.bad.len(), 1);
    assert!(found.bad[0].1.contains("is not an image"), "{:?}", found.bad);
}

#[test]
fn paths_in_the_groups_file_are_no_formulas_and_are_found_again() {
    let dir = tempfile::tempdir().unwrap();
    for class in ["=1+1", "-a", "@b", "'=c", "d"] {
        std::fs::create_dir(dir.path().join(class)).unwrap();
        for number in 0..4 {
            photograph(number).save(dir.path().join(class).join(format!("{number}.png"))).unwrap();
        }
    }
    let report = Report::new(&Dataset::list(dir.path(), None).unwrap(), &[]);
    let file = dir.path().join(GROUPS_FILE);
    std::fs::write(&file, report.to_csv().unwrap()).unwrap();
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.contains(",'=1+1,") && !written.split([',', '\n']).any(|cell| cell.starts_with(['=', '-', '@'])));
    let read = Dataset::list(dir.path(), Some(&file)).unwrap();
    assert!(read.test.len() == 20 && read.test.iter().all(|sample| sample.group.is_some()));
}
