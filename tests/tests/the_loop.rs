//! docs/the-loop.md, followed word for word: a shell runs what the page shows, in an empty folder, with the emulated board. Only the
//! numbers that the page gives names are smaller.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use host_trainer::device::{self, build_app};
use libtest_mimic::Arguments;
use tests::needing::trial;
use tests::processes::{IS_PROGRAM, as_program, signal};

/// The numbers of the page, and smaller ones.
const NUMBERS: [(&str, &str); 3] = [("TRAIN=250", "TRAIN=20"), ("TEST=50", "TEST=5"), ("FRAMES=25", "FRAMES=3")];
/// The section that takes hours.
const LONG: &str = "\n## As one number";
/// How long the studio has to end.
const END: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    if let Some(code) = as_program() {
        return code;
    }
    let trials = vec![trial("the_page_is_followed_word_for_word", &device::missing(), followed)];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// What the page has in blocks of shell commands, before the section that takes hours.
fn blocks(page: &str) -> Result<Vec<String>> {
    let (page, _) = page.split_once(LONG).context("the page's last section")?;
    let blocks =
        page.split("\n```sh\n").skip(1).map(|block| block.split_once("```").map(|(block, _)| block.to_owned()));
    let mut blocks: Vec<String> = blocks.collect::<Option<_>>().context("a block that does not end")?;
    for (number, smaller) in NUMBERS {
        let place = blocks.iter_mut().find(|block| block.contains(number)).with_context(|| format!("no {number}"))?;
        *place = place.replacen(number, smaller, 1);
    }
    Ok(blocks)
}

/// A shell in the folder, for which `cargo run -- …` is this test as the program.
fn shell(folder: &Path, script: &str) -> Result<Command> {
    let own = std::env::current_exe()?;
    let (bin, path) = (folder.join("bin"), std::env::var("PATH").unwrap_or_default());
    fs::create_dir_all(&bin)?;
    let stub = format!(
        "#!/bin/sh\n[ \"$1 $2\" = 'run --' ] || exec env PATH='{path}' cargo \"$@\"\nshift 2\nexec '{}' \"$@\"\n",
        own.display()
    );
    fs::write(bin.join("cargo"), stub)?;
    fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755))?;
    let mut command = Command::new("sh");
    command.env(IS_PROGRAM, "1").env("PATH", format!("{}:{path}", bin.display())).current_dir(folder);
    command.args(["-e", "-u", "-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(command)
}

fn followed() -> Result<()> {
    build_app(None)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/the-loop.md"))?;
    let folder = tempfile::tempdir()?;
    symlink(root.canonicalize()?.join("data"), folder.path().join("data"))?;
    let blocks = blocks(&page)?;
    let (studio, others): (Vec<&String>, Vec<&String>) = blocks.iter().partition(|block| block.contains("-- studio "));
    let script = others.into_iter().map(String::as_str).collect::<String>();
    let done = shell(folder.path(), &script)?.output()?;
    let told = String::from_utf8_lossy(&done.stdout);
    ensure!(done.status.success(), "{}\nafter\n{told}", String::from_utf8_lossy(&done.stderr));
    ensure!(told.matches("board = host").count() == 8, "`watch` shows four frames twice:\n{told}");
    ensure!(told.matches("images in").count() >= 2 && told.contains("ran before and is rolled back"), "{told}");
    for class in ["angry", "happy", "other", "sad"] {
        let saved = fs::read_dir(folder.path().join("loop/collected").join(class))?.count();
        ensure!(saved == 3, "{saved} frames of {class}");
    }

    let [block] = &studio[..] else { anyhow::bail!("the page starts the studio once") };
    let mut process = shell(folder.path(), &format!("exec {}", block.trim()))?.spawn()?;
    let mut line = String::new();
    // Open till the end, so that what the studio says then has a reader.
    let mut output = BufReader::new(process.stdout.take().context("an output")?);
    output.read_line(&mut line)?;
    let start = Instant::now();
    let ended = signal(process.id(), "TERM");
    while ended.is_ok() && process.try_wait()?.is_none() && start.elapsed() < END {
        std::thread::sleep(Duration::from_millis(10));
    }
    // It may have ended.
    let _ = process.kill();
    process.wait()?;
    ensure!(line.starts_with("open http://127.0.0.1:") && start.elapsed() < END, "the studio says {line}");
    ended
}
