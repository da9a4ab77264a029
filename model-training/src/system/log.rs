//! What the program tells besides results, on the standard error: events of `tracing`, as lines for people.
//!
//! `info` is progress, `warn` a note of what a person should know; both are told unless the program is asked to be quiet.
//! `debug` and `trace` are for finding out why something is slow or wrong. Errors and results do not come this way.

use std::fmt;
use std::time::Instant;

use anyhow::{Context, Result};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

use crate::system::terminal;

/// The targets of our crates' events, and the starts of their modules' targets.
const OURS: [&str; 2] = ["host_trainer", "model_training"];
/// What says more closely than options whose events are told.
const VARIABLE: &str = "RUST_LOG";

/// From now on tells what `verbosity` asks for: 0 is notes and progress, less is neither, 1 more is what a developer wants to
/// know, 2 more is all. `RUST_LOG` says it for single modules (`host_trainer::device=trace`) or other crates, and its level
/// without a module (`debug`) counts where the verbosity is 0.
///
/// # Errors
/// When the variable is none of that.
pub fn start(verbosity: i16) -> Result<()> {
    let variable = std::env::var(VARIABLE).unwrap_or_default();
    tracing_subscriber::registry().with(lines(std::io::stderr).with_filter(filter(verbosity, &variable)?)).init();
    Ok(())
}

fn filter(verbosity: i16, variable: &str) -> Result<Targets> {
    // As text, nothing is the level of errors.
    let asked = if variable.is_empty() { Ok(Targets::new()) } else { variable.parse() };
    let asked = asked.with_context(|| {
        format!("{VARIABLE} is `{variable}`: give a level such as `debug`, or modules with levels such as `host_trainer::device=trace`")
    })?;
    let ours = match verbosity {
        ..0 => LevelFilter::ERROR,
        0 => asked.default_level().unwrap_or(LevelFilter::INFO),
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let others = asked.default_level().unwrap_or(LevelFilter::OFF);
    Ok(Targets::new().with_default(others).with_targets(OURS.map(|target| (target, ours))).with_targets(asked))
}

/// Whether progress is told by bars: not where somebody wants quiet, nor between lines of diagnostics, which would tear them.
#[must_use]
pub fn shows_bars() -> bool {
    tracing::enabled!(Level::INFO) && !tracing::enabled!(Level::DEBUG)
}

/// Does a stage of a command and tells how long it took.
pub fn stage<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    tracing::debug!("{name} took {:.2} s", start.elapsed().as_secs_f64());
    done
}

fn lines<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer).event_format(Lines)
}

/// An event as a line.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        match *metadata.level() {
            Level::INFO => {}
            Level::WARN => writer.write_str("note: ")?,
            level => write!(writer, "{} {}: ", level.as_str().to_lowercase(), metadata.target())?,
        }
        let mut told = String::new();
        context.format_fields(Writer::new(&mut told), event)?;
        writeln!(writer, "{}", terminal::lines(&told))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::sync::Arc;

    use super::*;

    /// Whether progress, diagnostics and all of our crates, and progress of another, are told.
    fn told(verbosity: i16, variable: &str) -> [bool; 4] {
        let filter = filter(verbosity, variable).unwrap();
        let ours = |level| filter.would_enable("host_trainer::device::link", &level);
        [ours(Level::INFO), ours(Level::DEBUG), ours(Level::TRACE), filter.would_enable("wgpu_core", &Level::INFO)]
    }

    /// What stands on the standard error when one event of each level happens.
    fn written(verbosity: i16) -> String {
        let mut file = tempfile::tempfile().unwrap();
        let writer = Arc::new(file.try_clone().unwrap());
        let layer = lines(writer).with_filter(filter(verbosity, "").unwrap());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::warn!("few pictures");
            tracing::info!("reading {} images", 5);
            stage("reading", || ());
            tracing::trace!(bytes = 7, "sending");
        });
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn notes_and_progress_are_plain_lines_and_diagnostics_say_where_they_are_from() {
        let usual = "note: few pictures\nreading 5 images\n";
        assert_eq!(written(-1), "");
        assert_eq!(written(0), usual);
        let stage = format!("{usual}debug model_training::system::log: reading took 0.00 s\n");
        assert_eq!(written(1), stage);
        assert_eq!(written(2), format!("{stage}trace model_training::system::log::tests: sending bytes=7\n"));
    }

    #[test]
    fn names_of_others_command_no_terminal() {
        let mut file = tempfile::tempfile().unwrap();
        let layer = lines(Arc::new(file.try_clone().unwrap()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!("skipped: {}\nand more", "\u{1b}]0;title\u{7}\u{9b}2J");
            tracing::warn!(board = "\u{1b}[31m", "a board");
        });
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("skipped: ") && text.contains("\nand more\n"), "{text:?}");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }

    #[test]
    fn options_say_how_much_is_told_and_the_variable_says_it_more_closely() {
        assert_eq!(told(0, ""), [true, false, false, false]);
        assert_eq!(told(-1, ""), [false; 4]);
        assert_eq!(told(1, ""), [true, true, false, false]);
        assert_eq!(told(2, ""), [true, true, true, false]);
        assert_eq!(told(0, "debug"), [true, true, false, true]);
        assert_eq!(told(-1, "debug"), [false, false, false, true]);
        assert_eq!(told(0, "wgpu_core=info"), [true, false, false, true]);
        assert_eq!(told(-1, "host_trainer::device=trace"), [true, true, true, false]);
        assert_eq!(told(0, "model_training::run=trace"), [true, false, false, false]);
        let error = format!("{:#}", filter(0, "host_trainer=loud").unwrap_err());
        assert!(error.contains("RUST_LOG") && error.contains("loud"), "{error}");
    }
}
