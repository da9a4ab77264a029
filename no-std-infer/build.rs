//! Tells the crate what the target's processor can do: rustc does not (it knows no DSP extension on Thumb targets).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(dsp)");
    // Every Armv7E-M core has the DSP extension; of Armv8-M some have.
    if std::env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv7em")) {
        println!("cargo::rustc-cfg=dsp");
    }
}
