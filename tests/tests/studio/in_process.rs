//! What a studio does over devices in this process, asked as a page asks it.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use host_trainer::collect::Picture;
use host_trainer::studio::{Action, Which};
use serde_json::{Value, json};

use crate::set::{Set, count, sequence, without_pictures};

pub fn frames_are_seen_and_saved() -> Result<()> {
    // A prime number of them, so that frames that follow each other differ.
    let levels: Vec<u8> = (0..61).map(|index| 20 + 3 * index).collect();
    let set = Set::new(&levels)?;
    let view = set.until(|view| view["boards"][0]["compared"].as_u64() > Some(8))?;
    let (state, sight) = (&view["boards"][0], &view["sight"]);
    ensure!(
        state["status"] == "watching" && state["differing"] == 0 && state["model"] == 0,
        "{}",
        without_pictures(view)
    );
    ensure!(sight["width"] == 40 && sight["height"] == 30 && sight["format"] == "uyvy422", "{sight}");
    ensure!(sight["sides"] == json!([32, 32]) && sight["agreement"]["compared"] == 8, "{sight}");
    let start = |value: &Value| value.as_str().is_some_and(|uri| uri.starts_with("data:image/png;base64,"));
    ensure!(start(&sight["frame"]) && start(&sight["input"]), "{sight}");
    let shares = sight["answers"].as_array().context("answers")?.iter();
    let sum: f64 = shares.filter_map(|entry| entry[1].as_f64()).sum();
    ensure!((sum - 1.0).abs() < 0.01, "{sight}");
    ensure!(sight["layers"].as_array().is_some_and(|layers| layers.len() > 3), "{sight}");

    // The camera stops; each frame is saved and gives way to the next.
    set.act(json!({ "do": "pause", "board": 0, "paused": true }))?;
    let mut seen = sequence(&set.until(|view| view["boards"][0]["paused"] == true)?);
    std::thread::sleep(Duration::from_millis(100));
    seen = seen.max(sequence(&set.view()?));
    for class in ["happy", "angry", "a class of mine"] {
        ensure!(sequence(&set.view()?) == seen, "the camera does not stop");
        let said = set.act(json!({ "do": "save", "board": 0, "number": seen, "class": class }))?;
        ensure!(said == format!("saved as {class}"), "{said}");
        set.act(json!({ "do": "step", "board": 0 }))?;
        let view = set.until(|view| sequence(view) > seen)?;
        ensure!(sequence(&view) == seen + 1 && count(&view, class) == 1, "{}", without_pictures(view));
        seen += 1;
    }
    let gone = set.refusal(json!({ "do": "save", "board": 0, "number": 0, "class": "happy" }))?;
    ensure!(gone.contains("that frame is gone"), "{gone}");
    for bad in ["../up", ".hidden", "unlabelled", "a/b"] {
        let error = set.refusal(json!({ "do": "save", "board": 0, "number": seen, "class": bad }))?;
        ensure!(error.contains("no name of a class"), "{error}");
    }
    set.act(json!({ "do": "save", "board": 0, "number": seen, "class": null }))?;

    // What was saved is corrected, and deleted.
    let before = set.pictures()?;
    ensure!(before.len() == 3 && before.values().all(Option::is_some), "{before:?}");
    let name = before.keys().find_map(|name| name.strip_prefix("happy/")).context("a picture")?.to_owned();
    let picture = [Picture { class: "happy".to_owned(), name: name.clone() }];
    set.act(json!({ "do": "relabel", "pictures": picture, "class": "angry" }))?;
    let after = set.pictures()?;
    ensure!(after[&format!("angry/{name}")] == before[&format!("happy/{name}")], "{before:?} {after:?}");
    ensure!(count(&set.view()?, "angry") == 2 && count(&set.view()?, "happy") == 0);
    set.studio.act(Action::Delete { pictures: vec![Picture { class: "angry".to_owned(), name }] })?;
    ensure!(set.pictures()?.len() == 2 && count(&set.view()?, "unlabelled") == 1);
    Ok(())
}

pub fn rules_and_bursts_save() -> Result<()> {
    let set = Set::new(&[20, 21, 22, 120, 220])?;
    set.until(|view| view["boards"][0]["compared"].as_u64() > Some(0))?;
    set.act(json!({ "do": "burst", "board": 0, "count": 5, "class": "happy" }))?;
    set.until(|view| view["boards"][0]["burst"].is_null() && count(view, "happy") == 5)?;
    let groups = set.pictures()?;
    ensure!(
        groups.len() == 5 && groups.values().all(|group| *group == groups.values().next().cloned().flatten()),
        "{groups:?}"
    );

    // All frames of the film are saved already.
    set.act(json!({ "do": "automatic", "board": 0, "rule": "every", "percent": null, "class": "sad" }))?;
    let seen = sequence(&set.view()?);
    let view = set.until(|view| sequence(view) > seen + 10)?;
    ensure!(view["boards"][0]["automatic"]["saved"] == 0 && count(&view, "sad") == 0, "{}", without_pictures(view));
    set.act(json!({ "do": "automatic", "board": 0, "rule": null, "percent": null, "class": null }))?;
    let refused =
        set.refusal(json!({ "do": "automatic", "board": 0, "rule": "unsure", "percent": null, "class": null }))?;
    ensure!(refused.contains("always sure"), "{refused}");
    let refused =
        set.refusal(json!({ "do": "automatic", "board": 0, "rule": "disagreeing", "percent": null, "class": null }))?;
    ensure!(refused.contains("float network"), "{refused}");
    drop(set);

    let set = Set::new(&[20, 21, 22, 120, 121, 220, 221])?;
    let changed =
        Action::Automatic { board: 0, rule: Some(Which::Changed), percent: None, class: Some("sad".to_owned()) };
    set.studio.act(changed)?;
    let seen = sequence(&set.until(|view| count(view, "sad") == 3)?);
    let view = set.until(|view| sequence(view) > seen + 12)?;
    ensure!(count(&view, "sad") == 3, "three scenes differ: {}", without_pictures(view));
    let groups: std::collections::BTreeSet<_> = set.pictures()?.into_values().collect();
    ensure!(groups.len() == 3, "{groups:?}");

    // What cannot be saved ends the collecting, and is said.
    let pictures = set.folder.path().join("pictures");
    fs::write(pictures.join("surprised"), "a file in the place of the folder")?;
    set.act(json!({ "do": "burst", "board": 0, "count": 5, "class": "surprised" }))?;
    let told = |view: &Value| view["boards"][0]["notes"].to_string().contains("nothing is saved any more");
    let view = set.until(told)?;
    ensure!(
        view["boards"][0]["burst"].is_null() && view["boards"][0]["automatic"].is_null(),
        "{}",
        without_pictures(view)
    );
    Ok(())
}

pub fn models_are_sent_and_rolled_back() -> Result<()> {
    let set = Set::new(&[20, 90, 160, 230])?;
    set.until(|view| view["boards"][0]["compared"].as_u64() > Some(2))?;
    set.act(json!({ "do": "send", "board": 0, "model": 1 }))?;
    let runs = |model: u64| {
        move |view: &Value| {
            let state = &view["boards"][0];
            state["model"] == model && state["doing"].is_null() && state["compared"].as_u64() > Some(2)
        }
    };
    let view = set.until(runs(1))?;
    let state = &view["boards"][0];
    ensure!(state["differing"] == 0 && state["tentative"] == false, "{}", without_pictures(view.clone()));
    ensure!(state["notes"].to_string().contains("second runs on the board"), "{}", state["notes"]);
    ensure!(view["sight"]["threshold"].as_f64() > Some(0.5), "{}", without_pictures(view));

    set.act(json!({ "do": "roll-back", "board": 0 }))?;
    let view = set.until(runs(0))?;
    ensure!(view["boards"][0]["differing"] == 0 && view["sight"]["threshold"] == 0.0, "{}", without_pictures(view));
    // While the camera is stopped as well; what the board refuses is said.
    set.act(json!({ "do": "pause", "board": 0, "paused": true }))?;
    set.act(json!({ "do": "send", "board": 0, "model": 1 }))?;
    set.until(|view| view["boards"][0]["model"] == 1)?;
    ensure!(set.refusal(json!({ "do": "send", "board": 0, "model": 7 }))?.contains("no such model"));
    Ok(())
}

pub fn a_lost_board_is_found_again() -> Result<()> {
    let set = Set::new(&[20, 90, 160, 230])?;
    set.until(|view| view["boards"][0]["compared"].as_u64() > Some(2))?;
    let before = sequence(&set.view()?);
    set.lives.store(3, Ordering::Relaxed);
    let view = set.until(|view| view["boards"][0]["status"] == "lost")?;
    ensure!(view["boards"][0]["why"].to_string().contains("the cable was pulled"), "{}", without_pictures(view));
    // What was seen can still be saved.
    let number = sequence(&view);
    set.act(json!({ "do": "save", "board": 0, "number": number, "class": "happy" }))?;
    let view = set.until(|view| view["boards"][0]["status"] == "watching" && sequence(view) > number)?;
    ensure!(view["boards"][0]["differing"] == 0 && number >= before, "{}", without_pictures(view));
    Ok(())
}
