//! Writes small valid blobs, one for each operator, into the folder given: what the fuzzer starts from.

use std::path::PathBuf;

use tests::operators::{Kind, random};

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("the folder to write to"));
    std::fs::create_dir_all(&folder)?;
    for kind in Kind::ALL {
        std::fs::write(folder.join(format!("{kind:?}")), &*random(kind, 1).blob)?;
    }
    Ok(())
}
