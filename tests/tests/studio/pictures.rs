//! The commands that do in a terminal what the page does to labels.

use std::fs;

use anyhow::{Context, Result, ensure};
use host_trainer::collect::counts;
use serde_json::{Value, json};
use tests::processes::{call, program};

use crate::set::{Set, count, sequence};

/// What the program prints.
fn printed(arguments: &[&str]) -> Result<String> {
    let done = program(arguments)?.output()?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}

/// A studio saves three pictures; a terminal lists them meanwhile, and corrects and deletes them once it has ended.
pub fn in_a_terminal() -> Result<()> {
    let set = Set::new(&[20, 90, 160, 230, 60, 200, 130])?;
    set.act(json!({ "do": "pause", "board": 0, "paused": true }))?;
    let mut seen = 0;
    for (class, saved) in [(json!("happy"), 1), (json!("happy"), 2), (Value::Null, 1)] {
        set.act(json!({ "do": "step", "board": 0 }))?;
        seen = sequence(&set.until(|view| sequence(view) > seen)?);
        set.act(json!({ "do": "save", "board": 0, "number": seen, "class": class }))?;
        set.until(|view| count(view, class.as_str().unwrap_or("unlabelled")) == saved)?;
    }
    let folder = set.folder.path().join("pictures");
    let shown = folder.to_str().context("a path of text")?.to_owned();
    let list = |more: &[&str]| -> Result<Value> {
        Ok(serde_json::from_str(&printed(&[&["pictures", "list", &shown, "--json"], more].concat())?)?)
    };
    ensure!(list(&[])? == json!({ "happy": 2, "unlabelled": 1 }), "{}", list(&[])?);
    let table = printed(&["pictures", "list", &shown])?;
    ensure!(table.lines().any(|line| line.split_whitespace().eq(["happy", "2"])), "{table}");
    let files: Vec<String> = serde_json::from_value(list(&["--class", "happy"])?)?;
    let [latest, oldest] = &files[..] else { anyhow::bail!("{files:?}") };
    let unlabelled = printed(&["pictures", "list", &shown, "--class", "unlabelled"])?;
    ensure!(latest > oldest && unlabelled.trim().ends_with(".png"), "{files:?} {unlabelled}");
    let busy = call(&["pictures", "delete", latest]).err().context("the studio collects there")?.to_string();
    ensure!(busy.contains("another process is collecting"), "{busy}");

    let before = set.pictures()?;
    let Set { studio, folder: kept, .. } = set;
    drop(studio);
    let told = printed(&["pictures", "relabel", "--label", "sad", oldest, unlabelled.trim()])?;
    ensure!(told == "2 pictures are now sad\n", "{told}");
    ensure!(counts(&folder)? == [("happy".to_owned(), 1), ("sad".to_owned(), 2)].into(), "{:?}", counts(&folder)?);
    let groups = fs::read_to_string(folder.join("groups.csv"))?;
    for (name, group) in before {
        let (name, group) = (name.split('/').next_back().unwrap_or_default(), group.context("a group")?);
        let kept = groups.lines().filter(|line| line.contains(name) && line.ends_with(&group)).count();
        ensure!(kept == 1, "{name} is not in {group}:\n{groups}");
    }
    call(&["pictures", "relabel", "--unlabelled", latest])?;
    let again = call(&["pictures", "delete", latest]).err().context("it is elsewhere now")?.to_string();
    ensure!(again.contains("there is no picture happy/"), "{again}");
    let sad: Vec<String> = serde_json::from_value(list(&["--class", "sad"])?)?;
    call(&["pictures", "delete", &sad[0], &sad[1]])?;
    ensure!(list(&[])? == json!({ "unlabelled": 1 }), "{}", list(&[])?);

    // No folder becomes a collection by a mistake, and nothing else is touched.
    let other = kept.path().join("mine/cat");
    fs::create_dir_all(&other)?;
    fs::write(other.join("1.png"), "a picture")?;
    let mine = other.join("1.png").display().to_string();
    let stray = call(&["pictures", "delete", &mine]).err().context("nothing was collected there")?.to_string();
    ensure!(stray.contains("has no groups.csv") && other.join("1.png").exists(), "{stray}");
    let left = serde_json::from_value::<Vec<String>>(list(&["--class", "unlabelled"])?)?;
    let two = call(&["pictures", "delete", &left[0], &mine]).err().context("two folders")?.to_string();
    ensure!(two.contains("two collections"), "{two}");
    Ok(())
}
