//! Tells the crate what the target's processor can do: rustc does not (it knows no DSP extension on Thumb targets).

use std::env;

/// Armv8-M cores that have the DSP extension, or may have it and do in the parts that are sold.
const ARMV8M_WITH_DSP: [&str; 4] = ["cortex-m33", "cortex-m35p", "cortex-m55", "cortex-m85"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = env::var("TARGET").unwrap_or_default();
    let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| target.starts_with(prefix));
    // Every Armv7E-M core has the DSP extension; of Armv8-M those that are named: the target stands for any. The baseline of
    // Armv8-M is Armv6-M with a division.
    let dsp = is(&["thumbv7em"]) || (is(&["thumbv8m.main"]) && ARMV8M_WITH_DSP.contains(&&*cpu()));
    let armv6m = is(&["thumbv6m", "thumbv8m.base"]);
    let armv7m = !dsp && is(&["thumbv7m", "thumbv8m.main"]);
    let names = [
        ("dsp", dsp),
        ("fpu", target.ends_with("eabihf")),
        ("scalar", armv6m || armv7m || is(&["riscv32"])),
        ("armv6m", armv6m),
        ("armv7m", armv7m),
        ("armv8m", is(&["thumbv8m.main"])),
    ];
    for (name, holds) in names {
        println!("cargo::rustc-check-cfg=cfg({name})");
        if holds {
            println!("cargo::rustc-cfg={name}");
        }
    }
}

/// The core that the compiler is told to compile for, by `-C target-cpu`; empty when it is not told.
fn cpu() -> String {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let cpu = |flag: &str| flag.strip_prefix("-C").unwrap_or(flag).strip_prefix("target-cpu=").map(str::to_owned);
    // The last one counts.
    flags.rsplit('\x1f').find_map(cpu).unwrap_or_default()
}
