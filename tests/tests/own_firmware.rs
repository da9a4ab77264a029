//! The programs that docs/own-firmware.md shows: built, and run in QEMU.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use host_trainer::device::{QEMU, TARGET, cargo, folder, missing};
use libtest_mimic::{Arguments, Trial};
use tests::needing::trial;

/// Each prints the built-in picture's class once a frame.
const EXPECTED: &str = "happy\nhappy\nhappy\n";

fn main() {
    let missing = missing();
    let runs = |program: &'static str| move || prints_the_class(program);
    let trials: Vec<Trial> = vec![
        trial("bare_metal_prints_the_class", &missing, runs("bare_metal")),
        trial("rtic_prints_the_class", &missing, runs("with_rtic")),
        trial("embassy_prints_the_class", &missing, runs("with_embassy")),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn prints_the_class(program: &str) -> Result<()> {
    let folder = folder()?;
    let target = folder.join("target");
    let build = ["build", "--release", "--package", "own-firmware", "--bin", program, "--target", TARGET];
    let built = cargo(&folder).args(build).arg("--target-dir").arg(&target).env_remove("MODEL_BLOB").output()?;
    ensure!(built.status.success(), "it does not build:\n{}", String::from_utf8_lossy(&built.stderr));
    let run = Command::new(QEMU)
        .args(["-M", "mps2-an386", "-icount", "shift=0", "-display", "none", "-monitor", "none", "-serial", "stdio"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(target.join(TARGET).join("release").join(program))
        .stdin(Stdio::null())
        .output()?;
    let printed = String::from_utf8_lossy(&run.stdout);
    ensure!(run.status.success(), "it fails: {printed}{}", String::from_utf8_lossy(&run.stderr));
    ensure!(printed == EXPECTED, "it prints\n{printed}");
    Ok(())
}
