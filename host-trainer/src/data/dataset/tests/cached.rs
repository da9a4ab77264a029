//! Images that are kept decoded in files.

use super::*;

/// Pixels and hash of a folder's images by way of decoded images in `cache`, also at a second size.
fn cached(dir: &Path, cache: &Path) -> Loaded {
    let source = InputConfig { width: 3, height: 3, ..input() };
    let mut dataset = open(dir).unwrap();
    dataset.cache = Some(cache.to_owned());
    dataset.load(&Reading { source: Some(source), ..reading() }, &quiet).unwrap()
}

fn files_of(cache: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn decoded_images_are_read_again_and_only_what_changed_is_decoded() {
    let dir = flat(&[("a", 12), ("b", 12)]);
    let cache = tempfile::tempdir().unwrap();
    let source = InputConfig { width: 3, height: 3, ..input() };
    let in_memory = open(dir.path()).unwrap().load(&Reading { source: Some(source), ..reading() }, &quiet).unwrap();
    let decodings = || counted::below(dir.path()).values().sum::<usize>();
    let before = decodings();
    assert_eq!(cached(dir.path(), cache.path()), in_memory);
    let made = decodings() - before;
    assert!((24..=26).contains(&made), "{made}");
    assert_eq!(files_of(cache.path()).len(), 2);
    assert_eq!(cached(dir.path(), cache.path()), in_memory);
    assert_eq!(decodings(), before + made);

    let changed = dir.path().join("b/005.png");
    RgbImage::from_pixel(5, 4, Rgb([9, 8, 7])).save(&changed).unwrap();
    let loaded = cached(dir.path(), cache.path());
    assert_ne!(loaded.hash, in_memory.hash);
    let again = counted::below(dir.path());
    assert!(decodings() - before - made <= 3 && again[&changed] > 2, "{again:?}");
    let [train, valid, test] = open(dir.path()).unwrap().clusters().map(|names| names.contains(&"b/005.png"));
    assert_eq!([train, valid, test].iter().filter(|&&side| side).count(), 1);
    let pixels = |images: &Images| (0..images.len()).any(|index| *images.image(index) == [9, 8, 7].repeat(4));
    assert!(pixels(&loaded.train) || pixels(&loaded.valid) || pixels(&loaded.test));
}

#[test]
fn images_of_which_not_all_are_wanted_leave_the_others_in_the_file() {
    let dir = flat(&[("a", 12), ("b", 12)]);
    let cache = tempfile::tempdir().unwrap();
    cached(dir.path(), cache.path());
    RgbImage::from_pixel(5, 4, Rgb([9, 8, 7])).save(dir.path().join("a/000.png")).unwrap();
    let mut few = Dataset::list(dir.path(), None).unwrap();
    few.cache = Some(cache.path().to_owned());
    few.test.truncate(3);
    few.load(&reading(), &quiet).unwrap();
    let before = counted::below(dir.path()).values().sum::<usize>();
    let mut all = Dataset::list(dir.path(), None).unwrap();
    all.cache = few.cache;
    assert_eq!(all.load(&reading(), &quiet).unwrap().test.len(), 24);
    assert_eq!(counted::below(dir.path()).values().sum::<usize>(), before);
}

#[test]
fn damaged_cut_and_foreign_files_of_decoded_images_are_made_anew() {
    let dir = flat(&[("a", 12), ("b", 12)]);
    let cache = tempfile::tempdir().unwrap();
    cached(dir.path(), cache.path());
    let source = InputConfig { width: 3, height: 3, ..input() };
    let whole = open(dir.path()).unwrap().load(&Reading { source: Some(source), ..reading() }, &quiet).unwrap();
    let files = files_of(cache.path());
    let contents = files.iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>();
    for (file, bytes) in files.iter().zip(&contents) {
        let other = &contents[usize::from(*bytes == contents[0])];
        let mut damaged: Vec<Vec<u8>> = (0..bytes.len()).step_by(13).map(|length| bytes[..length].to_vec()).collect();
        damaged.extend((0..bytes.len()).step_by(7).map(|at| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x40;
            bytes
        }));
        damaged.extend([other.clone(), [&bytes[..], b"more"].concat(), b"words".to_vec()]);
        for damaged in damaged {
            fs::write(file, &damaged).unwrap();
            assert_eq!(cached(dir.path(), cache.path()), whole);
            assert!(files_of(cache.path()) == files, "nothing else is left");
            assert_eq!(cached(dir.path(), cache.path()), whole);
        }
    }
}

#[cfg(unix)]
#[test]
fn a_folder_for_decoded_images_that_cannot_be_written_is_named() {
    let dir = flat(&[("a", 12), ("b", 12)]);
    let file = dir.path().join("a/000.png");
    let mut dataset = open(dir.path()).unwrap();
    dataset.cache = Some(file.join("cache"));
    let error = format!("{:#}", dataset.load(&reading(), &quiet).unwrap_err());
    assert!(error.contains("a/000.png/cache") && error.contains("--cache"), "{error}");
}

#[test]
fn a_file_that_cannot_be_decoded_is_no_reason_to_write_all_anew() {
    let dir = flat(&[("a", 12), ("b", 12)]);
    let cache = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a/bad.png"), "words").unwrap();
    let load = || {
        let options = Options { skip_bad: true, ..Options::default() };
        let mut dataset = Dataset::open(dir.path(), &options).unwrap();
        dataset.cache = Some(cache.path().to_owned());
        let loaded = dataset.load(&reading(), &quiet).unwrap();
        assert_eq!(dataset.skipped.len(), 1);
        loaded
    };
    let time = || fs::metadata(&files_of(cache.path())[0]).unwrap().modified().unwrap();
    let first = load();
    let written = time();
    assert_eq!(load(), first);
    assert_eq!(time(), written);
}
