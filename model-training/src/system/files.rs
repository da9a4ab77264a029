//! Names of the files in a run folder.

/// The configuration's copy.
pub const CONFIG_FILE: &str = "config.toml";
/// The metrics: one row an epoch.
pub const METRICS_FILE: &str = "metrics.csv";
/// The trained float graph, in postcard.
pub const GRAPH_FILE: &str = "graph.postcard";
/// The ranges that the network has learnt to be quantised with.
pub const RANGES_FILE: &str = "ranges.json";
/// What the run remembers about its images.
pub const RECORD_FILE: &str = "dataset.json";
