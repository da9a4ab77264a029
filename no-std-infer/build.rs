//! Tells the crate what the target's processor can do: rustc does not (it knows no DSP extension on Thumb targets).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").unwrap_or_default();
    let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| target.starts_with(prefix));
    // Every Armv7E-M core has the DSP extension; of Armv8-M some have. The baseline of Armv8-M is Armv6-M with a division.
    let armv6m = is(&["thumbv6m", "thumbv8m.base"]);
    let armv7m = is(&["thumbv7m", "thumbv8m.main"]);
    let names = [
        ("dsp", is(&["thumbv7em"])),
        ("fpu", target.ends_with("eabihf")),
        ("scalar", armv6m || armv7m || is(&["riscv32"])),
        ("armv6m", armv6m),
        ("armv7m", armv7m),
    ];
    for (name, holds) in names {
        println!("cargo::rustc-check-cfg=cfg({name})");
        if holds {
            println!("cargo::rustc-cfg={name}");
        }
    }
}
