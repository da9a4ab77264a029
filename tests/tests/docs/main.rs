//! The documentation against the tree: pages that are made of code, links, the code map, and the invariants that text can
//! check.

mod dependencies;
mod figures;
mod generated;
mod links;
mod map;
mod tree;
mod types;
