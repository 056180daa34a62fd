//! Options that several commands take, and which take them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::config::{CliLayer, LogLevel};
use crate::{runtime, tui};

/// Options every command takes.
#[derive(Clone, Debug, Args)]
pub(super) struct GlobalArgs {
    /// Folder with config.toml, default.toml and nodes/
    #[arg(
        short = 'C',
        long = "dir",
        value_name = "DIR",
        global = true,
        default_value = ".",
        env = "PROX_ORCHESTRATOR_DIR"
    )]
    pub(super) dir: PathBuf,
}

impl GlobalArgs {
    /// Where the engine of this folder keeps its state.
    pub(super) fn state_dir(&self) -> PathBuf {
        self.dir.join(runtime::STATE_DIR)
    }
}

/// What goes before `config.toml`: for whoever starts an engine, or judges what one would be started with.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct EngineArgs {
    /// Address and port to listen on, instead of the configured one
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Serve plain HTTP instead of HTTPS
    #[arg(long)]
    no_tls: bool,
    /// How much is logged, instead of the configured level
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<LogLevel>,
}

impl EngineArgs {
    /// The same with what was said before the command; what is said after it wins.
    pub(super) fn or(self, before: &Self) -> Self {
        Self {
            listen: self.listen.or(before.listen),
            no_tls: self.no_tls || before.no_tls,
            log_level: self.log_level.or(before.log_level),
        }
    }

    pub(super) fn layer(&self) -> CliLayer {
        CliLayer { listen: self.listen, no_tls: self.no_tls, log_level: self.log_level }
    }

    /// The first of them that is set.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given =
            [(self.listen.is_some(), "--listen"), (self.no_tls, "--no-tls"), (self.log_level.is_some(), "--log-level")];
        given.into_iter().find_map(|(is_given, name)| is_given.then_some(name))
    }
}

/// What is said about the terminal: for whoever draws on it.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct LookArgs {
    /// Draw with ASCII characters only
    #[arg(long)]
    ascii: bool,
    /// Draw little at a time: for serial lines of 9600 baud
    #[arg(long)]
    slow: bool,
    /// Fail on purpose at Ctrl-P (used by tests)
    #[arg(long = "panic-in", value_name = "WHAT", hide = true)]
    fault: Option<tui::Fault>,
}

impl LookArgs {
    /// The same with what was said before the command; what is said after it wins.
    pub(super) fn or(self, before: Self) -> Self {
        Self { ascii: self.ascii || before.ascii, slow: self.slow || before.slow, fault: self.fault.or(before.fault) }
    }

    pub(super) fn look(self, plain: bool) -> runtime::Look {
        runtime::Look { ascii: self.ascii, slow: self.slow, plain, fault: self.fault }
    }

    /// The first of them that is set.
    pub(super) fn given(self) -> Option<&'static str> {
        let given = [(self.ascii, "--ascii"), (self.slow, "--slow"), (self.fault.is_some(), "--panic-in")];
        given.into_iter().find_map(|(is_given, name)| is_given.then_some(name))
    }
}
