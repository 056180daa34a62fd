//! The composition root: builds the engine from its parts, and the programs around it.
//!
//! Owns every task and the order in which they start and stop. It decides nothing about machines, and nothing else in
//! the program knows all the parts.

mod board;
pub mod demo;
mod engine;
mod journal;
mod local;
mod offline;
mod profile;
mod reload;
mod settings;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{CliLayer, EnvLayer};
use crate::domain::Snapshot;
use crate::domain::snapshot::Problem;
use crate::error::{Exit, Failure, OrExit as _};
use crate::server::Previewer;
use crate::telemetry::Sink;
use crate::{headless, tui};

use engine::Engine;
pub use local::LocalClient;
pub use offline::Offline;
pub(crate) use settings::{base_answer, override_problems, placed, profiles};

/// The engine's own folder in the project folder.
pub const STATE_DIR: &str = ".prox-orchestrator";

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Folder with `config.toml`, `default.toml` and `nodes/`.
    pub dir: PathBuf,
    /// Settings from the command line.
    pub cli: CliLayer,
    /// Settings from the environment.
    pub env: EnvLayer,
    /// Whether the console draws with ASCII only.
    pub ascii: bool,
}

/// The name of the person at the keyboard, for the audit log: the login name of this process's user.
#[must_use]
pub fn operator() -> String {
    let id = nix::unistd::getuid();
    nix::unistd::User::from_uid(id).ok().flatten().map_or_else(|| id.to_string(), |user| user.name)
}

/// Reads the folder's files as an engine would and starts nothing. Returns what they leave open.
///
/// # Errors
/// Everything that is wrong with them.
pub fn check(options: &EngineOptions) -> Result<Vec<Problem>, Failure> {
    engine::check(options)
}

/// The stored state of a folder in which no engine runs, and what explains answers from it.
///
/// # Errors
/// Everything that is wrong with the folder's files, or nothing is stored there.
pub fn stored(options: &EngineOptions) -> Result<(Snapshot, Previewer), Failure> {
    engine::stored(options)
}

/// Runs the engine with the console in front of it.
///
/// # Errors
/// What kept the engine from starting or ended it.
pub async fn console(options: &EngineOptions) -> Result<Exit, Failure> {
    require_terminal()?;
    let engine = Engine::start(options, Sink::Console).await?;
    attend(engine, options.ascii).await
}

/// The console needs somebody to look at it.
fn require_terminal() -> Result<(), Failure> {
    if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        return Ok(());
    }
    let words = "the console needs a terminal; use `prox-orchestrator serve` for the engine without one";
    Err(anyhow::anyhow!(words)).or_exit(Exit::Usage)
}

/// Shows the console until the operator quits, a signal comes or the engine fails; then stops the engine.
async fn attend(mut engine: Engine, ascii: bool) -> Result<Exit, Failure> {
    let closing = CancellationToken::new();
    let options = tui::TuiOptions {
        ascii: ascii || !is_utf8(),
        colours: colours(),
        mouse: engine.console().mouse,
        bell: engine.console().bell,
    };
    // On a task of its own: a panic in the console is caught there, and held machines still get their retry answer.
    let mut console = tokio::spawn(tui::run(engine.client(), options, closing.clone()));
    let ended = tokio::select! {
        ended = &mut console => Some(ended),
        () = termination() => None,
        () = engine.failed() => None,
    };
    closing.cancel();
    // The engine first: held machines have seconds, the screen can wait for them.
    let outcome = engine.stop().await;
    let ended = match ended {
        Some(ended) => ended,
        None => console.await,
    };
    outcome?;
    ended??;
    Ok(Exit::Success)
}

/// Runs the engine without a terminal, one line per event on standard output.
///
/// # Errors
/// What kept the engine from starting or ended it.
pub async fn serve(options: &EngineOptions, json: bool) -> Result<Exit, Failure> {
    let mut engine = Engine::start(options, Sink::Stderr).await?;
    if !json {
        let mut out = std::io::stdout();
        engine.greet(&mut out)?;
        out.flush()?;
    }
    let closing = CancellationToken::new();
    let follower = {
        let (events, fleet, closing) = (engine.events(), engine.fleet(), closing.clone());
        tokio::spawn(async move { headless::follow(events, fleet, json, &mut std::io::stdout(), closing).await })
    };
    tokio::select! {
        () = interruption() => {}
        () = engine.failed() => {}
    }
    let outcome = engine.stop().await;
    closing.cancel();
    // A closed standard output ends the lines, never the engine.
    let _ = follower.await;
    outcome?;
    Ok(Exit::Success)
}

/// Resolves when the system wants the program to end.
async fn termination() {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    let (Ok(mut terminate), Ok(mut hangup)) = signals else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// The same, or Ctrl-C, which in the console is a key and no signal.
async fn interruption() {
    let Ok(mut interrupt) = signal(SignalKind::interrupt()) else { return termination().await };
    tokio::select! {
        () = termination() => {}
        _ = interrupt.recv() => {}
    }
}

/// What the environment says of the terminal's colours.
fn colours() -> tui::Colours {
    let term = std::env::var("TERM").unwrap_or_default();
    let is_any = |names: &[&str]| names.iter().any(|name| term.starts_with(name));
    if std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty()) || is_any(&["vt1", "vt2", "vt3", "dumb"]) {
        tui::Colours::Mono
    } else if is_any(&["linux", "ansi", "cons", "xterm-color"]) || term == "screen" {
        tui::Colours::Eight
    } else {
        tui::Colours::Sixteen
    }
}

/// Whether the locale says UTF-8 and the terminal can show it.
fn is_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let says_utf8 = locale.is_some_and(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    });
    let term = std::env::var("TERM").unwrap_or_default();
    says_utf8 && !matches!(term.as_str(), "linux" | "vt100" | "vt220" | "dumb")
}
