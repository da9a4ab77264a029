//! `pictures`: what a person does with pictures that were collected, in a terminal.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{ArgGroup, Args, Subcommand};
use model_training::data::dataset::UNLABELLED;
use model_training::measure::comparison::text_table;
use model_training::system::hints::quoted;
use model_training::system::terminal::escaped;

use crate::collect::{Collection, Picture, counts, pictures, sentence};

#[derive(Debug, Args)]
pub(super) struct PicturesArgs {
    #[command(subcommand)]
    command: PicturesCommand,
}

#[derive(Debug, Subcommand)]
enum PicturesCommand {
    /// Lists the classes and how many pictures each has, or the pictures of one.
    List(ListArgs),
    /// Moves pictures into the folder of another class, or of none. They keep their groups, and the camera's bytes beside them.
    Relabel(RelabelArgs),
    /// Deletes pictures for good.
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Folder that was collected into.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// List the pictures of this class, the latest first; `unlabelled` are those without one.
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("into").args(["label", "unlabelled"]).required(true))]
struct RelabelArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Their class.
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// They have no class: training leaves them out.
    #[arg(long)]
    unlabelled: bool,
}

#[derive(Debug, Args)]
struct DeleteArgs {
    #[command(flatten)]
    which: WhichArgs,
}

/// Pictures of one collection.
#[derive(Debug, Args)]
struct WhichArgs {
    /// The pictures' files, as `collect` and `pictures list` print them, all of one folder that was collected into.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &PicturesArgs) -> Result<ExitCode> {
    match &args.command {
        PicturesCommand::List(args) => args.list()?,
        PicturesCommand::Relabel(args) => {
            let (label, now) = (args.label.as_deref(), args.label.as_deref().unwrap_or(UNLABELLED));
            args.which
                .change(&format!("now {}", escaped(now)), |collection, which| collection.relabel(which, label))?;
        }
        PicturesCommand::Delete(args) => args.which.change("deleted", |collection, which| collection.remove(which))?,
    }
    Ok(ExitCode::SUCCESS)
}

impl ListArgs {
    fn list(&self) -> Result<()> {
        let Self { folder, class, json } = self;
        match class {
            Some(class) => {
                let files = pictures(folder, class)?.into_iter().map(|picture| folder.join(class).join(picture.name));
                let files: Vec<PathBuf> = files.collect();
                if *json {
                    println!("{}", serde_json::to_string_pretty(&files)?);
                } else {
                    files.iter().for_each(|file| println!("{}", quoted(file)));
                }
            }
            None if *json => println!("{}", serde_json::to_string_pretty(&counts(folder)?)?),
            None => {
                let mut table = text_table(&["class", "pictures"], 1);
                for (class, count) in counts(folder)? {
                    table.add_row([escaped(&class).into_owned(), count.to_string()]);
                }
                println!("{}", table.trim_fmt());
            }
        }
        Ok(())
    }
}

impl WhichArgs {
    /// Changes the pictures; says what they are then.
    fn change(&self, now: &str, change: impl FnOnce(&mut Collection, &[Picture]) -> Result<()>) -> Result<()> {
        let found: Vec<(PathBuf, Picture)> = self.files.iter().map(|file| Picture::at(file)).collect::<Result<_>>()?;
        let (folders, pictures): (Vec<PathBuf>, Vec<Picture>) = found.into_iter().unzip();
        let folder = folders.first().context("no picture is named")?;
        if let Some(other) = folders.iter().find(|other| *other != folder) {
            let (one, other) = (folder.display(), other.display());
            bail!("the pictures lie in two collections, {one} and {other}: name those of one at a time");
        }
        change(&mut Collection::open_existing(folder)?, &pictures)?;
        println!("{}", sentence(pictures.len(), now));
        Ok(())
    }
}
