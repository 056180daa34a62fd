//! The command line: what can be typed, and where it goes. Reads arguments and environment; decides nothing.

mod ansible;
mod answer;
mod check;
#[cfg(test)]
mod fixture;
mod init;
mod interview;
mod log;
mod order;
mod plan;
mod rows;
mod runs;
mod select;
mod status;
mod ticket;
mod token;
mod walk;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{CliLayer, EnvLayer, LogLevel};
use crate::error::{Exit, Failure, OrExit as _};
use crate::simulate;
use crate::{runtime, tui};

/// Exit codes, for `--help`.
const EXIT_CODES: &str = "\
Exit codes: 0 done · 1 failed · 2 wrong command line · 3 wrong configuration · 4 address not free · \
5 state folder locked or damaged · 6 a run or a simulated rack failed · 7 the engine refused the order · \
8 no engine is running here";

/// The install console for Proxmox racks.
///
/// Answers the Proxmox automatic installer, asks you about machines nobody approved, and runs Ansible when the rack is
/// installed. Without a command it opens the console.
#[derive(Debug, Parser)]
#[command(name = "prox-orchestrator", version, after_help = EXIT_CODES, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    /// Print lines and draw nothing: for terminals that can do no more (by itself where TERM is dumb)
    #[arg(long)]
    plain: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Options every command takes.
#[derive(Clone, Debug, Args)]
struct GlobalArgs {
    /// Folder with config.toml, default.toml and nodes/
    #[arg(
        short = 'C',
        long = "dir",
        value_name = "DIR",
        global = true,
        default_value = ".",
        env = "PROX_ORCHESTRATOR_DIR"
    )]
    dir: PathBuf,
    /// Address and port to listen on, instead of the configured one
    #[arg(long, value_name = "ADDR:PORT", global = true)]
    listen: Option<SocketAddr>,
    /// Serve plain HTTP instead of HTTPS
    #[arg(long, global = true)]
    no_tls: bool,
    /// How much is logged, instead of the configured level
    #[arg(long, value_name = "LEVEL", global = true)]
    log_level: Option<LogLevel>,
    /// Draw with ASCII characters only
    #[arg(long, global = true)]
    ascii: bool,
    /// Draw little at a time: for serial lines of 9600 baud
    #[arg(long, global = true)]
    slow: bool,
    /// Fail on purpose at Ctrl-P (used by tests)
    #[arg(long = "panic-in", value_name = "WHAT", global = true, hide = true)]
    fault: Option<tui::Fault>,
}

impl GlobalArgs {
    fn layer(&self) -> CliLayer {
        CliLayer { listen: self.listen, no_tls: self.no_tls, log_level: self.log_level }
    }

    /// What is said about the terminal.
    fn look(&self) -> runtime::Look {
        runtime::Look { ascii: self.ascii, slow: self.slow, plain: false, fault: self.fault }
    }

    /// Where the engine of this folder keeps its state.
    fn state_dir(&self) -> PathBuf {
        self.dir.join(runtime::STATE_DIR)
    }
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Command {
    /// Write the first config.toml, default.toml and playbook of a folder
    Init(Box<init::InitArgs>),
    /// Run the engine without a terminal: one line per event
    Serve {
        /// Print events as JSON lines
        #[arg(long)]
        json: bool,
    },
    /// See the whole job with a simulated rack, in a temporary folder
    Demo(runtime::demo::DemoArgs),
    /// Be a rack of fake machines that ask any running engine
    Simulate(Box<simulate::cli::SimulateArgs>),
    /// Say what is wrong with the folder's files, or with answer files, and what they would touch
    Check(check::CheckArgs),
    /// Show what the engine serves, what is wrong, and how many nodes stand where
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List the nodes
    Nodes {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show everything known about one node
    Show {
        /// Host name, id, or the beginning of either
        node: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a node would be given, and where every value is from
    #[command(subcommand)]
    Answer(answer::AnswerCommand),
    /// Make a profile from a machine, or choose a node's
    #[command(subcommand)]
    Profile(answer::ProfileCommand),
    /// Look at Ansible before it is needed
    #[command(subcommand)]
    Ansible(ansible::AnsibleCommand),
    /// List the runs of the playbook, or show one; needs no engine
    Runs(runs::RunsArgs),
    /// The nodes that are expected: import tables into plan.toml, export it, show it
    #[command(subcommand)]
    Plan(plan::PlanCommand),
    /// Show who decided what, when and from where; needs no running engine
    Log(log::LogArgs),
    /// List the machines that are banned
    Bans {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Order(order::OrderCommand),
    /// Make, list and revoke the tokens of prepared media
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Lead the session of one Ansible run (used by the engine)
    #[command(hide = true)]
    SuperviseRun {
        /// Folder of the run
        run_dir: PathBuf,
    },
    /// Stand in for Ansible in the demo (used by the demo)
    #[command(hide = true, name = runtime::demo::scripted::SUBCOMMAND, disable_version_flag = true, disable_help_flag = true)]
    ScriptedPlaybook {
        /// What Ansible would be given
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

/// Parses the command line, does what it says, and says how it went.
#[must_use]
pub fn main() -> ExitCode {
    match dispatch(Cli::parse()) {
        Ok(code) => code,
        Err(failure) => {
            // Nobody can be told that standard error is gone.
            let _ = writeln!(std::io::stderr(), "{failure}");
            failure.exit.into()
        }
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    if let Some(Command::SuperviseRun { run_dir }) = &cli.command {
        return supervise(run_dir);
    }
    if let Some(Command::ScriptedPlaybook { args }) = &cli.command {
        return scripted(args);
    }
    if let Some(Command::Init(args)) = &cli.command {
        return init::execute(args, &engine_options(&cli.global)).map(Into::into);
    }
    if cli.command.is_none() {
        // Before there are threads: it waits for a person.
        init::offer(&engine_options(&cli.global))?;
    }
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = threads.block_on(run(cli));
    // A blocked read of standard input or a name look-up must not keep the program alive.
    threads.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

fn supervise(run_dir: &Path) -> Result<ExitCode, Failure> {
    crate::ansible::supervise(run_dir)?;
    Ok(Exit::Success.into())
}

fn scripted(args: &[String]) -> Result<ExitCode, Failure> {
    let events = std::env::var_os(crate::ansible::EVENTS_VARIABLE).map(PathBuf::from);
    runtime::demo::scripted::play(args, events.as_deref(), &mut std::io::stdout())?;
    Ok(Exit::Success.into())
}

async fn run(Cli { global, plain, command }: Cli) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout();
    match command {
        None => {
            let mut options = engine_options(&global);
            options.look.plain = plain;
            runtime::console(&options).await.map(Into::into)
        }
        Some(Command::Serve { json }) => runtime::serve(&engine_options(&global), json).await.map(Into::into),
        Some(Command::Demo(args)) => runtime::demo::run(args, global.look()).await.map(Into::into),
        Some(Command::Simulate(args)) => Ok(simulate::cli::execute(*args, &mut out).await?),
        Some(Command::Check(args)) => check::execute(&args, &global.dir, &global.layer(), &mut out).map(Into::into),
        Some(Command::Status { json }) => {
            let snapshot = order::engine(&global.state_dir())?.snapshot().await.or_exit(Exit::NoEngine)?;
            status::write(&snapshot, json, &mut out)?;
            Ok(Exit::Success.into())
        }
        Some(Command::Nodes { json }) => {
            let snapshot = order::engine(&global.state_dir())?.snapshot().await.or_exit(Exit::NoEngine)?;
            rows::write_nodes(&snapshot, json, &mut out)?;
            Ok(Exit::Success.into())
        }
        Some(Command::Show { node, json }) => {
            let snapshot = order::engine(&global.state_dir())?.snapshot().await.or_exit(Exit::NoEngine)?;
            let node = select::node(&snapshot, &node).or_exit(Exit::Refused)?;
            rows::write_node(&snapshot, node, json, &mut out)?;
            Ok(Exit::Success.into())
        }
        Some(Command::Answer(command)) => {
            let options = engine_options(&global);
            answer::show(command, &options, &global.state_dir(), &mut out).await.map(Into::into)
        }
        Some(Command::Profile(command)) => {
            answer::profile(command, &global.state_dir(), &mut out).await.map(Into::into)
        }
        Some(Command::Ansible(command)) => {
            ansible::execute(&command, &engine_options(&global), &mut out).await.map(Into::into)
        }
        Some(Command::Runs(args)) => runs::execute(&args, &global.dir, &mut out).map(Into::into),
        Some(Command::Plan(command)) => {
            let options = engine_options(&global);
            plan::execute(command, &options, &global.state_dir(), &mut out).await.map(Into::into)
        }
        Some(Command::Log(args)) => log::execute(&args, &global.state_dir(), &mut out).map(Into::into),
        Some(Command::Bans { json }) => {
            let snapshot = order::engine(&global.state_dir())?.snapshot().await.or_exit(Exit::NoEngine)?;
            ticket::write_bans(&snapshot, json, &mut out)?;
            Ok(Exit::Success.into())
        }
        Some(Command::Order(command)) => order::execute(command, &global.state_dir(), &mut out).await.map(Into::into),
        Some(Command::Token(command)) => token::execute(command, &global.state_dir(), &mut out).await.map(Into::into),
        // Handled before the runtime was made: they wait for a person, lead a session, or need no threads.
        Some(Command::Init(args)) => init::execute(&args, &engine_options(&global)).map(Into::into),
        Some(Command::SuperviseRun { run_dir }) => supervise(&run_dir),
        Some(Command::ScriptedPlaybook { args }) => scripted(&args),
    }
}

fn engine_options(global: &GlobalArgs) -> runtime::EngineOptions {
    runtime::EngineOptions {
        dir: global.dir.clone(),
        cli: global.layer(),
        env: EnvLayer::from_vars(std::env::vars_os()),
        look: global.look(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_reach_the_configuration() {
        let words = ["x", "serve", "--listen", "127.0.0.1:1", "--no-tls", "--log-level", "debug"];
        let layer = Cli::try_parse_from(words).unwrap().global.layer();
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 1)));
        assert_eq!(layer, CliLayer { listen, no_tls: true, log_level: Some(LogLevel::Debug) });
        assert!(Cli::try_parse_from(["x", "--log-level", "loud"]).is_err());
    }

    #[test]
    fn every_command_says_what_it_does() {
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
