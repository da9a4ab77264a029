//! A disk that is full: a small file system in memory, which is mounted for it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail, ensure};
use host_trainer::collect::{Collection, Filing, Picture, pictures};
use no_std_device::link::Shape;
use serde_json::{Value, json};
use tests::in_process::FRAME;

use crate::set::{Set, count, frames, sequence, shipped, without_pictures};

/// Bytes that are left for pictures.
const ROOM: u64 = 100 << 10;

/// A file system of its own, until this is dropped.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    fn mount(folder: &Path) -> Result<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(folder).stderr(Stdio::null());
        ensure!(mount.status()?.success(), "a file system cannot be mounted");
        Ok(Self { folder: folder.to_owned() })
    }

    /// Fills all of it but for some bytes; the file that does it.
    fn fill(&self, left: u64) -> Result<PathBuf> {
        let path = self.folder.join("filler");
        let mut file = File::create(&path)?;
        while file.write_all(&[0; 4096]).is_ok() {}
        file.set_len(file.metadata()?.len() - left)?;
        Ok(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What is still open there does not keep it.
        let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
    }
}

/// Why there is no such disk.
pub fn missing() -> Option<String> {
    let mounted = || Disk::mount(tempfile::tempdir()?.path()).map(drop);
    mounted().err().map(|_| "a small disk is mounted for it: run as root, on Linux".to_owned())
}

/// Whether the studio tells that the disk is full.
fn is_told(view: &Value) -> bool {
    let notes = view["boards"][0]["notes"].to_string();
    ["nothing is saved any more", "has room", "No space left"].iter().all(|text| notes.contains(text))
}

/// All pictures of a class are whole, each in a group and with the camera's bytes beside it, and nothing else is there; so many.
fn whole(set: &Set, class: &str) -> Result<usize> {
    let folder = set.folder.path().join("pictures").join(class);
    let own: Vec<_> = set.pictures()?.into_iter().filter(|(name, _)| name.contains(&format!("{class}/"))).collect();
    ensure!(own.iter().all(|(_, group)| group.is_some()), "one is without its group: {own:?}");
    let (_, width, height) = FRAME;
    for (name, _) in &own {
        let file = set.folder.path().join("pictures").join(name);
        image::open(&file)?;
        let raw = fs::read(file.with_extension(format!("{width}x{height}.uyvy422")))?;
        ensure!(raw.len() == 2 * usize::from(width) * usize::from(height), "{name}: {} bytes", raw.len());
    }
    let files = fs::read_dir(&folder)?.count();
    ensure!(files == 2 * own.len(), "{files} files are left of {} pictures", own.len());
    Ok(own.len())
}

/// A burst fills the disk: it ends and says why, what was saved is there, and the studio saves on when there is room.
pub fn full() -> Result<()> {
    let place = tempfile::tempdir()?;
    let disk = Disk::mount(place.path())?;
    let levels: Vec<u8> = (0..101).map(|index| 20 + 2 * index).collect();
    let folder = tempfile::tempdir_in(&disk.folder)?;
    let set = Set::within(folder, vec![frames(&levels)], &shipped()?, Vec::new(), |inner| Box::new(inner))?;
    set.until(|view| sequence(view) > 0)?;
    let filler = disk.fill(ROOM)?;
    set.act(json!({ "do": "burst", "board": 0, "count": 1000, "class": "happy" }))?;
    let view = set.until(is_told)?;
    let saved = count(&view, "happy");
    ensure!(view["boards"][0]["burst"].is_null() && saved > 3, "{}", without_pictures(view));
    ensure!(whole(&set, "happy")? as u64 == saved, "{saved} were saved");

    // The camera is seen on; a correction, which needs room as well, is refused, and a picture can be deleted.
    set.until(|later| sequence(later) > sequence(&view))?;
    let collected = set.folder.path().join("pictures");
    let all = pictures(&collected, "happy")?;
    // Of the camera's bytes, which are copied first, some have room.
    disk.fill(8 << 10)?;
    let refused = set.refusal(json!({ "do": "relabel", "pictures": all, "class": "sad" }))?;
    ensure!(refused.contains("has room") && !collected.join("sad").exists(), "{refused}");
    ensure!(whole(&set, "happy")? as u64 == saved, "a correction that was refused has lost some");
    let [one, other, ..]: &[Picture] = &all else { bail!("{} pictures", all.len()) };
    set.act(json!({ "do": "delete", "pictures": [one] }))?;
    ensure!(whole(&set, "happy")? as u64 == saved - 1, "one is deleted");

    fs::remove_file(&filler)?;
    set.act(json!({ "do": "relabel", "pictures": [other], "class": "sad" }))?;
    set.act(json!({ "do": "burst", "board": 0, "count": 30, "class": "angry" }))?;
    let view = set.until(|view| view["boards"][0]["burst"].is_null())?;
    ensure!(count(&view, "angry") > 3 && count(&view, "sad") == 1, "{}", without_pictures(view));
    whole(&set, "angry")?;

    // Who begins on a full disk is told, and loses nothing either.
    let Set { studio, folder, .. } = set;
    drop(studio);
    let filler = disk.fill(0)?;
    let mut collection = Collection::open(&folder.path().join("pictures"))?;
    let (format, width, height) = FRAME;
    let (shape, frame) = (Shape { format, width, height }, &frames(&[7])[0]);
    let save = |collection: &mut Collection| collection.save(&shape, frame, Filing::default());
    let error = format!("{:#}", save(&mut collection).err().unwrap_or_else(|| anyhow::anyhow!("it is saved")));
    ensure!(error.contains("No space left"), "{error}");
    fs::remove_file(filler)?;
    save(&mut collection)?;
    Ok(())
}
