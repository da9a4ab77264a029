//! Chooses the kernels, and gives the symbols in assembly the crate's version.

use std::env;

#[path = "src/kernels/arch/choice.rs"]
mod choice;

use choice::{Choice, Kernels, VARIABLE, choose};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/kernels/arch/choice.rs");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let [target, flags] = ["TARGET", "CARGO_ENCODED_RUSTFLAGS"].map(|name| env::var(name).unwrap_or_default());
    let wanted = env::var_os(VARIABLE).map(|wanted| wanted.to_string_lossy().into_owned());
    match choose(&target, &flags, wanted.as_deref()) {
        Ok(choice) => announce(choice, &target),
        Err(refused) => println!("cargo::error={refused}"),
    }
    version_symbols();
}

fn announce(choice: Choice, target: &str) {
    let name = choice.kernels.name();
    if choice.guessed {
        println!(
            "cargo::warning=the {name} kernels are linked, which run on every core of {target}, but those for the DSP \
             extension are faster: if the core has it, say which it is by -C target-cpu, or set {VARIABLE}=armv7em; if \
             not, {VARIABLE}={name} says so"
        );
    }
    println!("cargo::rustc-env=NO_STD_INFER_KERNELS_CHOSEN={name}");
    let names = Kernels::ALL.map(|kernels| format!("{:?}", kernels.name())).join(", ");
    println!("cargo::rustc-check-cfg=cfg(nsi_kernels, values({names}))");
    println!("cargo::rustc-cfg=nsi_kernels={name:?}");
    let assembly = |kernels| choice.assembly && choice.kernels == kernels;
    for (name, holds) in [
        ("nsi_armv81m", assembly(Kernels::Armv81m)),
        // The loops for packed weights serve both.
        ("nsi_armv7em", assembly(Kernels::Armv81m) || assembly(Kernels::Armv7em)),
        ("nsi_armv7m", assembly(Kernels::Armv7m)),
        ("nsi_armv6m", assembly(Kernels::Armv6m)),
        ("nsi_armv8m", choice.armv8m),
    ] {
        println!("cargo::rustc-check-cfg=cfg({name})");
        if holds {
            println!("cargo::rustc-cfg={name}");
        }
    }
}

/// The version in symbols' names lets two versions of the crate be linked into one program; the manifest's `links` has it too,
/// so that cargo refuses the same version from two places, before the linker does.
fn version_symbols() {
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let links = format!("no_std_infer_{version}");
    if env::var("CARGO_MANIFEST_LINKS").as_deref() != Ok(&links) {
        println!("cargo::error=the manifest must say links = {links:?}, for the crate's version");
    }
    println!("cargo::rustc-env=NO_STD_INFER_VERSION_SUFFIX=_{version}");
}
