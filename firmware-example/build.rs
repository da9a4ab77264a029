//! Chooses the memory map by the target: of the emulated boards, the one with a Cortex-M55 is the only one for its target.

use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let an547 = env::var("TARGET")?.starts_with("thumbv8m");
    println!("cargo::rustc-check-cfg=cfg(an547)");
    if an547 {
        println!("cargo::rustc-cfg=an547");
    }
    build_support::prepare(if an547 { "memory/an547.x" } else { "memory/mps2.x" }, &["link.x"])
}
