//! The composition root: builds the engine from its parts, and the programs around it.
//!
//! Owns every task and the order in which they start and stop. It decides nothing about machines, and nothing else in
//! the program knows all the parts.

mod board;
mod console;
pub mod demo;
mod engine;
mod folder;
mod journal;
mod local;
mod offline;
mod preflight;
mod profile;
mod reload;
mod self_test;
mod settings;
mod stamp;
mod workers;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{CliLayer, EnvLayer};
use crate::domain::snapshot::Problem;
use crate::domain::{Person, Snapshot};
use crate::error::{Exit, Failure};
use crate::headless;
use crate::server::Previewer;
use crate::telemetry::Sink;

pub use console::{Look, console};
use console::{attend, require_terminal};
use engine::Engine;
pub use local::LocalClient;
pub use offline::Offline;
pub(crate) use settings::{base_of, dhcp_by, placed, plan_context as context_of, profiles, ties};

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
    /// What the command line says about the terminal.
    pub look: Look,
}

/// The name of the person at the keyboard, for the audit log: the login name of this process's user.
#[must_use]
pub fn operator() -> Person {
    let id = nix::unistd::getuid();
    let name = nix::unistd::User::from_uid(id).ok().flatten().map_or_else(|| id.to_string(), |user| user.name);
    // Behind sudo the person is somebody else.
    let name = match std::env::var("SUDO_USER") {
        Ok(person) if id.is_root() && !person.is_empty() => format!("{person} as {name}"),
        Ok(_) | Err(_) => name,
    };
    Person { name, from: seat() }
}

/// Where the person sits: the other end of an SSH connection, else the terminal.
fn seat() -> String {
    if let Some(peer) = std::env::var("SSH_CONNECTION").ok().as_deref().and_then(|line| line.split(' ').next()) {
        return format!("ssh {peer}");
    }
    let terminal = std::fs::read_link("/proc/self/fd/0").ok();
    let terminal = terminal.as_deref().and_then(|path| path.strip_prefix("/dev").ok()).and_then(Path::to_str);
    terminal.filter(|name| name.starts_with("tty") || name.starts_with("pts")).unwrap_or("a script here").to_owned()
}

/// Reads the folder's files as an engine would and starts nothing. Returns what they leave open.
///
/// # Errors
/// Everything that is wrong with them.
pub fn check(options: &EngineOptions) -> Result<Vec<Problem>, Failure> {
    engine::check(options)
}

/// What the plan of a folder is checked against.
///
/// # Errors
/// Everything that is wrong with `config.toml` and `default.toml`.
pub fn plan_context(options: &EngineOptions) -> Result<crate::plan::Context, crate::config::ConfigErrors> {
    engine::plan_context(options)
}

/// The stored state of a folder in which no engine runs, and what explains answers from it.
///
/// # Errors
/// Everything that is wrong with the folder's files, or nothing is stored there.
pub fn stored(options: &EngineOptions) -> Result<(Snapshot, Previewer), Failure> {
    engine::stored(options)
}

/// What a run of this folder would need.
///
/// # Errors
/// Everything that is wrong with its files.
pub fn ansible_subject(options: &EngineOptions) -> Result<crate::ansible::check::Subject, Failure> {
    engine::ansible_subject(options)
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
    let form = if json { headless::Form::Json } else { headless::Form::Lines };
    let follower = {
        let (events, fleet, closing) = (engine.events(), engine.fleet(), closing.clone());
        tokio::spawn(async move { headless::follow(events, fleet, form, &mut std::io::stdout(), closing).await })
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
