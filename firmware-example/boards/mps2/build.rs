//! Chooses the memory map by the target: of the emulated boards, those with a Cortex-M33 and a Cortex-M55 are the only ones
//! for theirs.

use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rustc-check-cfg=cfg(an505, an547)");
    let memory = match &*env::var("TARGET")? {
        "thumbv8m.main-none-eabihf" => {
            println!("cargo::rustc-cfg=an505");
            "memory/an505.x"
        }
        "thumbv8m.main-none-eabi" => {
            println!("cargo::rustc-cfg=an547");
            "memory/an547.x"
        }
        _ => "memory/mps2.x",
    };
    build_support::prepare(memory, &["link.x"])
}
