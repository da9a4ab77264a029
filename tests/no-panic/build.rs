//! Keeps the two functions of the binary, and nothing that they do not reach.
fn main() {
    for argument in ["--entry=parse", "--undefined=run", "--gc-sections"] {
        println!("cargo::rustc-link-arg={argument}");
    }
}
