//! Writes small valid blobs, one for each operator and one in stripes of rows, into the folder given: what the fuzzer starts from.

use std::path::PathBuf;

use tests::operators::{Kind, random};
use tests::stripes;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("the folder to write to"));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("Stripes"), &*stripes::random(1).stripes)?;
    for kind in Kind::ALL {
        std::fs::write(folder.join(format!("{kind:?}")), &*random(kind, 1).blob)?;
    }
    Ok(())
}
