//! The memory map is this board's.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    build_support::prepare("memory.x", &["link.x", "defmt.x"])
}
