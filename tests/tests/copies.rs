//! Copies among real photographs, against groups that SIFT and RANSAC found elsewhere.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Arguments;
use model_training::data::copies::{find, groups, samples, score};
use model_training::data::dataset::Dataset;
use tests::needing::trial;

/// Every eighth group, of those that the thresholds were not chosen on.
const PART: [usize; 2] = [8, 1];

fn main() {
    let shared = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/pets");
    let pets = std::env::var_os("PETS").map_or_else(shared, PathBuf::from);
    let missing = (!pets.join("groups.csv").is_file())
        .then(|| "the pets with their groups.csv, in $PETS or ../shared/data/pets".to_owned());
    let trials = vec![trial("pets", &missing, move || copies_of_pets(&pets))];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn copies_of_pets(pets: &Path) -> Result<()> {
    let dataset = Dataset::list(pets, Some(&pets.join("groups.csv")))?;
    let (mut files, mut known) = (Vec::new(), Vec::new());
    for (_, sample) in samples(&dataset) {
        let group: usize = sample.group.as_deref().context("a pet without a group")?.parse()?;
        if group % PART[0] == PART[1] {
            files.push(sample.path(&dataset.root));
            known.push(group);
        }
    }
    ensure!(files.len() > 100, "only {} pets", files.len());
    let found = find(&files, &|_, _| {});
    ensure!(found.bad.is_empty(), "{:?}", found.bad);
    let score = score(&groups(files.len(), found.links.iter().map(|link| link.pictures)), &known);
    ensure!(score.recall() >= 0.95 && score.precision() >= 0.98, "{score:?}");
    Ok(())
}
