//! Logging: where the program's own words go. Never the text of an answer, never a URI (it may hold a secret).
//!
//! A file under the state folder always (one line of text each, a new file every day, a week kept); beside it the Log
//! tab in the console, standard error elsewhere.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{InitError, RollingFileAppender, Rotation};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// Target of the lines that tell stored events. They are left out on standard error, beside which the events
/// themselves are printed.
pub const EVENTS: &str = "prox_orchestrator::events";

/// Folder of the log files in the state folder.
const FOLDER: &str = "log";

/// Log files kept, one a day.
const KEPT_DAYS: usize = 7;

/// Where log lines go besides the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// The console's Log tab.
    Console,
    /// Standard error.
    Stderr,
    /// Nowhere else.
    File,
}

/// Keeps the log file's writer alive; flushes it when dropped.
#[derive(Debug)]
#[must_use]
pub struct Logging {
    _writer: WorkerGuard,
    /// The folder of the log files, for last words.
    pub folder: PathBuf,
}

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// No folder for log files.
    #[error("cannot make `{folder}`; check the owner of the state folder and the free space")]
    Folder {
        /// Where.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No log file.
    #[error("cannot write log files in `{folder}`; check the folder's owner and the free space")]
    File {
        /// Where.
        folder: PathBuf,
        /// Why.
        source: InitError,
    },
    /// Logging was started already.
    #[error("logging was started twice")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging at `level`.
///
/// # Errors
/// See [`LoggingError`].
pub fn start(state_dir: &Path, level: LevelFilter, sink: Sink) -> Result<Logging, LoggingError> {
    let folder = state_dir.join(FOLDER);
    std::fs::create_dir_all(&folder).map_err(|source| LoggingError::Folder { folder: folder.clone(), source })?;
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("prox-orchestrator")
        .filename_suffix("log")
        .max_log_files(KEPT_DAYS)
        .build(&folder)
        .map_err(|source| LoggingError::File { folder: folder.clone(), source })?;
    let (writer, guard) = tracing_appender::non_blocking(appender);
    let file = fmt::layer().with_writer(writer).with_ansi(false).with_filter(filter(level));
    let console = (sink == Sink::Console).then(|| tui_logger::TuiTracingSubscriberLayer.with_filter(filter(level)));
    // Colours are for people; a journal or a file keeps the words only.
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let stderr = (sink == Sink::Stderr)
        .then(|| fmt::layer().with_writer(std::io::stderr).with_ansi(colours).with_filter(without_events(level)));
    tracing_subscriber::registry().with(file).with(console).with(stderr).try_init()?;
    log_panics();
    Ok(Logging { _writer: guard, folder })
}

/// Keeps the words of a panic: what standard error shows of it is gone with the screen.
fn log_panics() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("{}", panic.to_string().replace('\n', " "));
        previous(panic);
    }));
}

/// Our own words at `level`; those of libraries only where they warn.
fn filter(level: LevelFilter) -> tracing_subscriber::filter::Targets {
    tracing_subscriber::filter::Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_target("prox_orchestrator", level)
}

/// The same without the lines that tell events.
fn without_events(level: LevelFilter) -> tracing_subscriber::filter::Targets {
    filter(level).with_target(EVENTS, LevelFilter::OFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn events_go_to_the_file_and_not_to_standard_error() {
        let (file, stderr) = (filter(LevelFilter::INFO), without_events(LevelFilter::INFO));
        assert!(file.would_enable(EVENTS, &Level::INFO) && !stderr.would_enable(EVENTS, &Level::ERROR));
        for filter in [file, stderr] {
            assert!(filter.would_enable("prox_orchestrator::server::note", &Level::INFO));
            assert!(!filter.would_enable("prox_orchestrator::server::note", &Level::DEBUG));
            assert!(filter.would_enable("russh", &Level::WARN) && !filter.would_enable("russh", &Level::INFO));
        }
        assert!(!filter(LevelFilter::ERROR).would_enable("russh", &Level::WARN), "libraries are never louder than we");
    }
}
