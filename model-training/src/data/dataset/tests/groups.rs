//! Images of one photograph, which stay on one side of every split.

use super::*;

fn groups_file(dir: &Path, lines: &str) -> PathBuf {
    let file = dir.join("groups.csv");
    fs::write(&file, lines).unwrap();
    file
}

#[test]
fn groups_keep_copies_on_one_side() {
    let dir = flat(&[("a", 12), ("b", 12)]);
    let mut lines = "note,Group,path\n".to_owned();
    for number in 0..12 {
        lines += &format!("x,{},a/{number:03}.png\nx,{},./b\\{number:03}.png\n", number / 3, number / 3 + 10);
    }
    let file = groups_file(dir.path(), &lines);
    let dataset = Dataset::open(dir.path(), &Options { groups: Grouping::File(&file), ..Options::default() }).unwrap();
    let of = |split: &[Sample]| split.iter().map(|s| s.group.clone().unwrap()).collect::<BTreeSet<_>>();
    let [train, valid, test] = [&dataset.train, &dataset.valid, &dataset.test].map(|split| of(split));
    assert_eq!(train.len() + valid.len() + test.len(), 8);
    assert!(!valid.is_empty() && dataset.train.len() >= 12);
}

#[test]
fn unusable_groups_files_are_refused() {
    let dir = flat(&[("a", 4), ("b", 4)]);
    let refusal = |lines: &str| {
        let file = groups_file(dir.path(), lines);
        let options = Options { groups: Grouping::File(&file), ..Options::default() };
        let error = Dataset::open(dir.path(), &options).expect_err("this groups file must be refused");
        format!("{error:#}")
    };
    assert!(refusal("file,group\na/000.png,1\n").contains("columns `path` and `group`"));
    assert!(refusal("path,group\nelsewhere/000.png,1\n").contains("names no image"));
    assert!(refusal("path,group\na/000.png,1\na/000.png,2\n").contains("two groups, 1 and 2"));
    assert!(refusal("path,group\na/000.png\n").contains("groups.csv"));
    let copies: String = (0..4).map(|number| format!("b/{number:03}.png,7\n")).collect();
    let message = refusal(&format!("path,group\n{copies}"));
    assert!(message.contains("copies of one, by the groups file) of the class b"), "{message}");
}

/// As a folder has it into which nothing was collected yet.
#[test]
fn an_empty_groups_file_groups_nothing() {
    let dir = flat(&[("a", 12), ("b", 12)]);
    let file = groups_file(dir.path(), "path,split,label,group\n");
    let dataset = Dataset::open(dir.path(), &Options { groups: Grouping::File(&file), ..Options::default() }).unwrap();
    assert!(dataset.train.iter().all(|sample| sample.group.is_none()));
}

#[test]
fn a_given_split_that_shares_a_photograph_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        images(&dir.path().join("train"), class, 0..4);
        images(&dir.path().join("valid"), class, 4..6);
        images(&dir.path().join("test"), class, 6..8);
    }
    groups_file(dir.path(), "path,group\ntrain/a/001.png,77\ntest/a/006.png,77\nvalid/b/004.png,5\n");
    let error = open(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("train/a/001.png and test/a/006.png (group 77)") && error.contains("--allow-leak"),
        "{error}"
    );
    assert!(!error.contains("004"), "{error}");
    let allowed = Dataset::open(dir.path(), &Options { allow_leak: true, ..Options::default() }).unwrap();
    assert!(allowed.notes.iter().any(|note| note.contains("group 77")), "{:?}", allowed.notes);
    let ignored = Dataset::open(dir.path(), &Options { groups: Grouping::Ignored, ..Options::default() }).unwrap();
    assert!(ignored.notes.is_empty() && ignored.train.iter().all(|sample| sample.group.is_none()));
}

#[test]
fn the_groups_file_of_the_folder_is_used_and_its_absence_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        images(&dir.path().join("archive").join(class), "inside", 0..6);
    }
    let dataset = open(dir.path()).unwrap();
    assert!(dataset.notes.iter().any(|note| note.contains("data check")), "{:?}", dataset.notes);
    groups_file(&dir.path().join("archive"), "path,group\na/inside/000.png,one\na/inside/001.png,one\n");
    let dataset = open(dir.path()).unwrap();
    let grouped =
        [&dataset.train, &dataset.valid, &dataset.test].map(|s| s.iter().filter(|s| s.group.is_some()).count());
    assert!(grouped.contains(&2), "{grouped:?}");
    assert!(!dataset.notes.iter().any(|note| note.contains("data check")), "{:?}", dataset.notes);
}

#[test]
fn a_picture_that_was_moved_keeps_its_group_where_its_name_is_the_only_one() {
    let dir = flat(&[("a", 6), ("b", 6)]);
    let at = |name: &str| dir.path().join(name);
    fs::rename(at("a/000.png"), at("b/seen-1.png")).unwrap();
    fs::rename(at("a/001.png"), at("b/seen-2.png")).unwrap();
    let lines = "new/seen-1.png,7\nnew/seen-2.png,7\nnew/003.png,8\na/004.png,9\nnew/004.png,10\n";
    let file = groups_file(dir.path(), &format!("path,group\n{lines}"));
    let dataset = Dataset::open(dir.path(), &Options { groups: Grouping::File(&file), ..Options::default() }).unwrap();
    let of = |name: &str| {
        let mut samples = [&dataset.train, &dataset.valid, &dataset.test].into_iter().flatten();
        samples.find(|sample| sample.name == name).and_then(|sample| sample.group.clone())
    };
    let seven = Some("7".to_owned());
    assert_eq!([of("b/seen-1.png"), of("b/seen-2.png"), of("a/004.png")], [seven.clone(), seven, Some("9".to_owned())]);
    assert_eq!(
        [of("a/003.png"), of("b/003.png"), of("b/004.png")],
        [None, None, None],
        "names that are not the only ones"
    );
}
