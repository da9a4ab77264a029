//! Chooses the memory map by the core: of the emulated boards, one has a Cortex-M33, one a Cortex-M55, which also runs what is
//! compiled for Armv8-M without a floating-point unit.

use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rustc-check-cfg=cfg(an505, an547)");
    let cortex_m55 = env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("cortex-m55"));
    let memory = match &*env::var("TARGET")? {
        "thumbv8m.main-none-eabihf" if !cortex_m55 => {
            println!("cargo::rustc-cfg=an505");
            "memory/an505.x"
        }
        target if target.starts_with("thumbv8m") => {
            println!("cargo::rustc-cfg=an547");
            "memory/an547.x"
        }
        _ => "memory/mps2.x",
    };
    build_support::prepare(memory, &["link.x"])
}
