//! Tells the crate what the target's processor can do: rustc does not (it knows no DSP extension on Thumb targets).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(dsp, fpu)");
    // Every Armv7E-M core has the DSP extension; of Armv8-M some have.
    let target = std::env::var("TARGET").unwrap_or_default();
    if target.starts_with("thumbv7em") {
        println!("cargo::rustc-cfg=dsp");
    }
    if target.ends_with("eabihf") {
        println!("cargo::rustc-cfg=fpu");
    }
}
