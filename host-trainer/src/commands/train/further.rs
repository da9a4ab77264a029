//! `train --from`: goes on from a run, on its own images and on others.

use std::path::{Path, absolute};

use anyhow::{Context, Result, ensure};
use model_training::data::added::Added;
use model_training::data::dataset::{Options, Reading};
use model_training::data::progress;
use model_training::measure::predictions::PREDICTIONS_FILE;
use model_training::run::folder::RunDir;
use model_training::run::recipe::{Start, further};
use model_training::system::hints::{program, quoted};
use model_training::system::terminal::escaped;
use model_training::training;

use super::{TrainArgs, refuse_among_pictures};
use crate::report::export::Report;
use crate::report::plan::check_target;
use crate::report::train::train_on;

pub(super) fn start(args: &TrainArgs, from: &Path, compute: training::Options) -> Result<(RunDir, Report)> {
    let data = args.data.as_deref().context("`--data DIR` is missing")?;
    let run = RunDir::new(args.out.as_deref().context("`--out RUN_DIR` is missing")?);
    let before = finished(from)?;
    let (config, record) = (before.config()?, before.record()?);
    let own = args.from_data.as_deref().map_or_else(|| Ok(record.root.clone()), |dir| record.root_in(dir))?;
    for folder in [data, &own] {
        refuse_among_pictures(folder, run.path())?;
    }
    training::check_new(run.path())?;
    let options = Options {
        data: config.data.clone(),
        seed: config.seed,
        groups: args.groups.grouping(),
        skip_bad: args.skip_bad,
        ..Options::default()
    };
    let added = Added::new(&record, &own, data, &options)
        .with_context(|| format!("cannot go on from {} with {}", from.display(), data.display()))?;
    tell(&added, record.sides().count());
    let prefixed = added.dataset.train.iter().filter(|sample| sample.name.starts_with(&added.prefix)).count();
    let mut config = further(
        &config,
        Start {
            run: absolute(from).with_context(|| format!("cannot find {}", from.display()))?,
            normalization: record.normalization(&config),
            classes: record.classes.clone(),
            all_classes: added.dataset.classes.clone(),
            added: (added.prefix.clone(), [prefixed, added.dataset.train.len()]),
        },
    );
    args.configuration.adjust(&mut config)?;
    config.validate()?;
    check_target(&config, &added.dataset.classes)?;
    let mut dataset = added.dataset.clone();
    dataset.cache.clone_from(&args.cache.cache);
    let images = progress::load(&mut dataset, &Reading::of_run(&config))?;
    added.check_same(&dataset)?;
    Ok((run.clone(), train_on(&run, &config, (&dataset, &images), compute)?))
}

/// A run that has ended.
fn finished(from: &Path) -> Result<RunDir> {
    ensure!(
        !from.is_file(),
        "--from {} is a file: give the folder that `{program} train --out` made; a blob alone, imported or not, has no float \
         network that could go on learning",
        from.display(),
        program = program()
    );
    let run = RunDir::new(from);
    run.graph()?;
    ensure!(
        training::is_begun(from) && run.file(PREDICTIONS_FILE).exists(),
        "the run in {} has not ended: finish it by `{program} train --resume {}`",
        from.display(),
        quoted(from),
        program = program()
    );
    Ok(run)
}

fn tell(added: &Added, known: usize) {
    let [train, valid, test] = added.new;
    tracing::info!(
        "to the {known} images of the run come {}: {train} to learn from, {valid} for validation, {test} for the test",
        train + valid + test
    );
    if !added.new_classes.is_empty() {
        let classes: Vec<String> = added.new_classes.iter().map(|class| escaped(class).to_string()).collect();
        tracing::info!("new classes: {}; the output layer gets a row for each", classes.join(", "));
    }
}
