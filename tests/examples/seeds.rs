//! Writes small valid blobs into the folder given: some of each operator, as many of networks in stripes of rows. The fuzzer
//! starts from them: `seeds FOLDER CASES`.

use std::path::PathBuf;

use tests::operators::{Kind, random};
use tests::stripes;

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().expect("the folder to write to"));
    let cases = arguments.next().and_then(|cases| cases.to_str()?.parse().ok()).expect("the number of cases");
    std::fs::create_dir_all(&folder)?;
    for seed in 1..=cases {
        std::fs::write(folder.join(format!("Stripes-{seed}")), &*stripes::random(seed).stripes)?;
        for kind in Kind::ALL {
            std::fs::write(folder.join(format!("{kind:?}-{seed}")), &*random(kind, seed).blob)?;
        }
    }
    Ok(())
}
