//! `studio`: a page in the browser to see what boards see, collect and label it, train, and send them models.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use model_training::run::known::Known;
use serde::Serialize;

use super::arguments::CostArgs;
use super::camera::FilmArgs;
use super::refuse_among_pictures;
use crate::device::{Core, Link, Opener};
use crate::studio::{Options, Server, Studio, Teaching};

#[derive(Debug, Args)]
pub(super) struct StudioArgs {
    /// A board: `serial:PORT` or `serial:PORT@BAUD`, as `ports` lists them, or `qemu:FILE`, an emulated board whose flash is a
    /// file, which is made where it is missing, and whose camera plays `--frames`; `qemu` is such a board with the model that is built
    /// in and a flash that is forgotten at the end. Several boards are seen at once.
    #[arg(long, required = true)]
    link: Vec<Link>,
    #[command(flatten)]
    film: FilmArgs,
    /// Folder of pictures that is collected into, with a folder for each class; made where it is missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A model that a board runs or is to run, a blob or the folder that `train` made; several may be named. Frames are computed here
    /// as well where the board's model is one of them.
    #[arg(long, value_name = "RUN|BLOB")]
    model: Vec<PathBuf>,
    /// Folder in which further training makes its runs.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Folder of pictures on which models are compared after training, where neither has learnt from them; without it those of
    /// `--out`.
    #[arg(long, value_name = "DIR")]
    held_out: Option<PathBuf>,
    /// Print the address as a line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cost: CostArgs,
}

#[derive(Serialize)]
struct Line<'a> {
    /// What a browser is given.
    address: &'a str,
}

pub(super) fn run(args: &StudioArgs) -> Result<ExitCode> {
    let flashes = tempfile::tempdir().context("cannot make a temporary folder for flashes")?;
    let boards: Vec<(String, Link)> =
        args.link.iter().enumerate().map(|named| with_flash(named, flashes.path())).collect();
    let emulated = boards.iter().any(|(_, link)| matches!(link, Link::QemuFlash(_)));
    ensure!(
        args.film.is_none() || emulated,
        "only the emulated board of `--link qemu` or `--link qemu:FLASH` plays pictures as its camera"
    );
    let models: Vec<Known> = args.model.iter().map(|path| Known::read(path)).collect::<Result<_>>()?;
    models.iter().try_for_each(|known| args.cost.check(&known.model()?))?;
    let boards = boards.into_iter().map(|(name, link)| Ok((name, args.opener(&link)?))).collect::<Result<_>>()?;
    refuse_among_pictures(&args.out, &args.runs)?;
    let program = std::env::current_exe().context("this program does not find itself")?;
    let teaching = Teaching { program, runs: args.runs.clone(), held_out: args.held_out.clone() };
    let options = Options { boards, folder: args.out.clone(), models, teaching: Some(teaching) };
    let studio = Studio::open(options)?;
    let server = Server::bind()?;
    let address = server.address();
    if args.json {
        println!("{}", serde_json::to_string(&Line { address: &address })?);
    } else {
        println!(
            "open {address}\nin a browser of this machine; whoever knows this address can use the studio, and Ctrl-C ends it"
        );
    }
    std::io::stdout().flush()?;
    server.run(&studio)?;
    Ok(ExitCode::SUCCESS)
}

/// A board by its name and its link. An emulated one without a flash has one in this folder.
fn with_flash((index, link): (usize, &Link), flashes: &Path) -> (String, Link) {
    let board = match link {
        Link::Qemu(core) if *core == Core::default() => Link::QemuFlash(flashes.join(format!("{index}.bin"))),
        other => other.clone(),
    };
    (link.to_string(), board)
}

impl StudioArgs {
    /// The way to a board, which can be opened again and again.
    fn opener(&self, link: &Link) -> Result<Opener> {
        link.create_flash()?;
        let film = if matches!(link, Link::QemuFlash(_)) { self.film.film()? } else { None };
        link.opener(film)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulated_board_has_the_flash_that_it_names_or_one_of_its_own() {
        let flashes = Path::new("flashes");
        let named = |index, link: &str| with_flash((index, &link.parse().unwrap()), flashes);
        for (index, file) in [(0, "flashes/0.bin"), (1, "flashes/1.bin")] {
            assert_eq!(named(index, "qemu"), ("qemu".to_owned(), Link::QemuFlash(file.into())));
        }
        let kept = ("qemu:mine.bin".to_owned(), Link::QemuFlash("mine.bin".into()));
        assert_eq!(named(2, "qemu:mine.bin"), kept);
        // It has no camera, which its opener says.
        assert_eq!(named(3, "qemu-m55").1, Link::Qemu(Core::M55));
        assert!(named(3, "qemu-m55").1.opener(None).is_err());
    }
}
