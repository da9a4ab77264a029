//! The groups file of a collection, to which lines are added one by one.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use model_training::data::dataset::{GROUPS_FILE, groups_renamed};
use model_training::system::spreadsheet::cell;
use model_training::system::{atomic, read};

/// The columns, in the order in which `data check` writes them.
const COLUMNS: [&str; 4] = ["path", "split", "label", "group"];

/// The file, open for more.
#[derive(Debug)]
pub(super) struct GroupsFile {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    len: u64,
    /// File names of all pictures that it knows, without their endings.
    names: BTreeSet<String>,
}

impl GroupsFile {
    /// Opens the file of a folder, which is made where it is missing. A last line that is not whole, as a failure of power leaves
    /// it, is cut off.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(GROUPS_FILE);
        let shown = path.display();
        let unusable = || format!("cannot add to the groups file {shown}");
        atomic::create(&path, &row(&COLUMNS)?)?;
        let bytes = read::bytes(&path, read::DATA).with_context(unusable)?;
        let len = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(&bytes[..len]);
        let header = reader.headers().with_context(unusable)?;
        ensure!(
            header.iter().eq(COLUMNS),
            "{shown} has other columns than {}, so that nothing can be added to it: collect into another folder",
            COLUMNS.join(", ")
        );
        let mut names = BTreeSet::new();
        for record in reader.records() {
            let record = record.with_context(unusable)?;
            names.extend(stem(&record[0]));
        }
        let file = OpenOptions::new().append(true).open(&path).with_context(unusable)?;
        file.set_len(len as u64).with_context(unusable)?;
        Ok(Self { path, file, len: len as u64, names })
    }

    /// Whether it knows a picture of this name, without its ending.
    pub(super) fn names(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Gives pictures other paths and labels, of each the path, the new one and the label, all at once; their groups stay.
    pub(super) fn rename(&mut self, moves: &[[&str; 3]]) -> Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("")).to_owned();
        if let Some(bytes) = groups_renamed(&self.path, &folder, &folder, moves)? {
            atomic::write(&self.path, &bytes)?;
            *self = Self::open(&folder)?;
        }
        Ok(())
    }

    /// Adds a picture. Where that fails, the file is as it was before.
    pub(super) fn add(&mut self, picture: &str, label: &str, group: &str) -> Result<()> {
        let line = row(&[picture, "", label, group])?;
        if let Err(error) = self.file.write_all(&line).and_then(|()| self.file.sync_data()) {
            // What cannot be cut off now is when the folder is opened again.
            let _ = self.file.set_len(self.len);
            return Err(error)
                .with_context(|| format!("cannot write {}; check that the disk has room", self.path.display()));
        }
        self.len += line.len() as u64;
        self.names.extend(stem(picture));
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
impl GroupsFile {
    /// From now on nothing can be added.
    pub(super) fn fill_disk(&mut self) {
        self.file = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    }
}

/// The name of a picture's file without its ending.
fn stem(picture: &str) -> Option<String> {
    Path::new(picture).file_stem().map(|stem| stem.to_string_lossy().into_owned())
}

/// A line of the file.
fn row(cells: &[&str; 4]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells.map(|text| cell(text).into_owned()))?;
    Ok(writer.into_inner()?)
}
