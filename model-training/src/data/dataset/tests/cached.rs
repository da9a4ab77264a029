//! Images that are kept decoded in files.

use super::*;

/// Pixels and hash of a folder's images at two sizes, by way of decoded images in `cache` or of memory.
fn at_both_sizes(dir: &Path, cache: Option<&Path>) -> Loaded {
    let source = InputConfig { width: 3, height: 3, ..input() };
    let mut dataset = open(dir).unwrap();
    dataset.cache = cache.map(Path::to_owned);
    dataset.load(&Reading { source: Some(source), ..reading() }, &quiet).unwrap()
}

fn in_memory(dir: &Path) -> Loaded {
    at_both_sizes(dir, None)
}

fn cached(dir: &Path, cache: &Path) -> Loaded {
    at_both_sizes(dir, Some(cache))
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
    let whole = in_memory(dir.path());
    let decodings = || counted::below(dir.path()).values().sum::<usize>();
    let before = decodings();
    assert_eq!(cached(dir.path(), cache.path()), whole);
    let made = decodings() - before;
    assert!((24..=26).contains(&made), "{made}");
    assert_eq!(files_of(cache.path()).len(), 2);
    assert_eq!(cached(dir.path(), cache.path()), whole);
    assert_eq!(decodings(), before + made);

    let changed = dir.path().join("b/005.png");
    RgbImage::from_pixel(5, 4, Rgb([9, 8, 7])).save(&changed).unwrap();
    let loaded = cached(dir.path(), cache.path());
    assert_ne!(loaded.hash, whole.hash);
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
    let whole = in_memory(dir.path());
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

#[test]
fn a_file_that_another_machine_made_is_believed_only_of_files_that_are_the_same() {
    let (here, there) = (flat(&[("a", 12), ("b", 12)]), flat(&[("a", 12), ("b", 12)]));
    let cache = tempfile::tempdir().unwrap();
    let loaded = cached(here.path(), cache.path());
    let files = files_of(cache.path());
    // The same folder on another machine has files of other times, and of another content.
    for number in 0..12 {
        let name = format!("b/{number:03}.png");
        let changed = RgbImage::from_pixel(4, 3, Rgb([9, 8, 200 + number]));
        changed.save(there.path().join(&name)).unwrap();
        fs::copy(there.path().join(&name), here.path().join(&name)).unwrap();
    }
    let again = cached(here.path(), cache.path());
    assert_ne!(again.hash, loaded.hash);
    assert_eq!(again, in_memory(here.path()));
    assert_eq!(files_of(cache.path()), files);

    // Under the name that is looked for, but made of another folder.
    let elsewhere = tempfile::tempdir().unwrap();
    cached(there.path(), elsewhere.path());
    for (file, other) in files.iter().zip(files_of(elsewhere.path())) {
        fs::copy(other, file).unwrap();
    }
    assert_eq!(cached(here.path(), cache.path()), in_memory(here.path()));
}

/// The test in the child has this in its environment: a folder of images, and one for decoded images.
#[cfg(unix)]
const CHILD: [&str; 2] = ["DECODED_IMAGES_OF", "DECODED_IMAGES_IN"];

/// The child's: its files may be 1 KiB long, by `ulimit`, so that writing fails in the middle as on a full disk.
#[cfg(unix)]
#[test]
#[ignore = "the test of full disks calls it"]
fn child_on_a_full_disk() {
    let [dir, cache] = CHILD.map(|name| PathBuf::from(std::env::var_os(name).expect("the parent sets it")));
    // The first is too large for one file, the second for its index only.
    for side in [64, 2] {
        let mut dataset = open(&dir).unwrap();
        dataset.cache = Some(cache.clone());
        let large = InputConfig { width: side, height: side, ..input() };
        let error = dataset.load(&Reading::all(&large, View::Rgb888), &quiet).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.starts_with("cannot write decoded images to ") && error.contains("the disk has room"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_told_and_leaves_what_was_there() {
    let dir = flat(&[("a", 12), ("b", 12)]);
    let cache = tempfile::tempdir().unwrap();
    let whole = cached(dir.path(), cache.path());
    let files = files_of(cache.path());
    let contents = || files.iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>();
    let before = contents();
    // One picture more, so that the file of the small size has to be written again.
    images(dir.path(), "b", 12..13);
    let child = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--test-threads=1", "--nocapture"])
        .arg("data::dataset::tests::cached::child_on_a_full_disk")
        .envs([(CHILD[0], dir.path()), (CHILD[1], cache.path())])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let error = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("1 passed"), "{said}{error}");
    assert_eq!(files_of(cache.path()), files);
    assert_eq!(contents(), before);
    fs::remove_file(dir.path().join("b/012.png")).unwrap();
    assert_eq!(cached(dir.path(), cache.path()), whole);
}
