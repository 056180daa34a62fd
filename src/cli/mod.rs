//! The command line: what can be typed, and where it goes. Reads arguments and environment; decides nothing.

mod ansible;
mod answer;
mod check;
#[cfg(test)]
mod fixture;
mod init;
mod interview;
mod log;
mod options;
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
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::{CliLayer, EnvLayer};
use crate::error::{Exit, Failure, OrExit as _};
use crate::{runtime, simulate};
use options::{EngineArgs, GlobalArgs, LookArgs};

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
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    look: LookArgs,
    /// Print lines and draw nothing: for terminals that can do no more (by itself where TERM is dumb)
    #[arg(long)]
    plain: bool,
    #[command(subcommand)]
    command: Option<Command>,
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
        #[command(flatten)]
        engine: EngineArgs,
    },
    /// See the whole job with a simulated rack, in a temporary folder
    Demo {
        #[command(flatten)]
        args: runtime::demo::DemoArgs,
        #[command(flatten)]
        look: LookArgs,
    },
    /// Be a rack of fake machines that ask any running engine
    Simulate(Box<simulate::cli::SimulateArgs>),
    /// Say what is wrong with the folder's files, or with answer files, and what they would touch
    Check {
        #[command(flatten)]
        args: check::CheckArgs,
        #[command(flatten)]
        engine: EngineArgs,
    },
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
    let cli = Cli::parse();
    if let Some(error) = cli.misplaced() {
        error.exit();
    }
    match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => {
            // Nobody can be told that standard error is gone.
            let _ = writeln!(std::io::stderr(), "{failure}");
            failure.exit.into()
        }
    }
}

impl Cli {
    /// An option before a command that does nothing with it. After it, the command says so itself.
    fn misplaced(&self) -> Option<clap::Error> {
        let (mut engine, mut look) = (self.engine.given(), self.look.given());
        match &self.command {
            None => return None,
            Some(Command::Serve { .. } | Command::Check { .. }) => engine = None,
            Some(Command::Demo { .. }) => look = None,
            Some(_) => {}
        }
        let about = [
            (engine, "the engine, and goes with the console, `serve` and `check`"),
            (look, "the terminal, and goes with the console and `demo`"),
            (self.plain.then_some("--plain"), "the console, and goes without a command, or after `demo`"),
        ];
        let (option, about) = about.into_iter().find_map(|(option, about)| Some((option?, about)))?;
        let message = format!("`{option}` is not for this command; it is about {about}");
        Some(Cli::command().error(clap::error::ErrorKind::ArgumentConflict, message))
    }

    /// What starts the console.
    fn console(&self) -> runtime::EngineOptions {
        engine_options(&self.global, self.engine.layer(), self.look.look(self.plain))
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
        return init::execute(args, &folder_options(&cli.global)).map(Into::into);
    }
    if cli.command.is_none() {
        // Before there are threads: it waits for a person.
        init::offer(&cli.console())?;
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

async fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout();
    let console = cli.console();
    let Cli { global, engine: before, look: look_before, command, .. } = cli;
    match command {
        None => runtime::console(&console).await.map(Into::into),
        Some(Command::Serve { json, engine }) => {
            let options = engine_options(&global, engine.or(&before).layer(), runtime::Look::default());
            runtime::serve(&options, json).await.map(Into::into)
        }
        Some(Command::Demo { args, look }) => {
            runtime::demo::run(args, look.or(look_before).look(false)).await.map(Into::into)
        }
        Some(Command::Simulate(args)) => Ok(simulate::cli::execute(*args, &mut out).await?),
        Some(Command::Check { args, engine }) => {
            check::execute(&args, &global.dir, &engine.or(&before).layer(), &mut out).map(Into::into)
        }
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
            let options = folder_options(&global);
            answer::show(command, &options, &global.state_dir(), &mut out).await.map(Into::into)
        }
        Some(Command::Profile(command)) => {
            answer::profile(command, &global.state_dir(), &mut out).await.map(Into::into)
        }
        Some(Command::Ansible(command)) => {
            ansible::execute(&command, &folder_options(&global), &mut out).await.map(Into::into)
        }
        Some(Command::Runs(args)) => runs::execute(&args, &global.dir, &mut out).map(Into::into),
        Some(Command::Plan(command)) => {
            let options = folder_options(&global);
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
        Some(Command::Init(args)) => init::execute(&args, &folder_options(&global)).map(Into::into),
        Some(Command::SuperviseRun { run_dir }) => supervise(&run_dir),
        Some(Command::ScriptedPlaybook { args }) => scripted(&args),
    }
}

/// What starts an engine in the folder.
fn engine_options(global: &GlobalArgs, cli: CliLayer, look: runtime::Look) -> runtime::EngineOptions {
    runtime::EngineOptions { dir: global.dir.clone(), cli, env: EnvLayer::from_vars(std::env::vars_os()), look }
}

/// What tells about the folder, for commands that start no engine.
fn folder_options(global: &GlobalArgs) -> runtime::EngineOptions {
    engine_options(global, CliLayer::default(), runtime::Look::default())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::config::LogLevel;
    use rstest::rstest;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_reach_the_configuration_before_and_after_the_command() {
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 1)));
        let expected = CliLayer { listen, no_tls: true, log_level: Some(LogLevel::Debug) };
        let options = ["--listen", "127.0.0.1:1", "--no-tls", "--log-level", "debug"];
        for place in 0..=options.len() {
            if options[..place].last().is_some_and(|word| ["--listen", "--log-level"].contains(word)) {
                continue;
            }
            let (before, after) = options.split_at(place);
            let cli = Cli::try_parse_from([&["x"], before, &["serve"], after].concat()).unwrap();
            assert!(cli.misplaced().is_none());
            let Some(Command::Serve { engine, .. }) = cli.command else { panic!("no engine") };
            assert_eq!(engine.or(&cli.engine).layer(), expected, "{place}");
        }
        let console = Cli::try_parse_from([&["x"][..], &options].concat()).unwrap();
        assert_eq!(console.console().cli, expected);
        assert!(Cli::try_parse_from(["x", "--log-level", "loud"]).is_err());
    }

    #[rstest]
    #[case("--listen 127.0.0.1:1 nodes", Some("`--listen` is not for this command"))]
    #[case("--no-tls approve --all", Some("`--no-tls`"))]
    #[case("--log-level debug demo", Some("`--log-level`"))]
    #[case("--ascii serve", Some("`--ascii`"))]
    #[case("--plain status", Some("`--plain`"))]
    #[case("--no-tls check", None)]
    #[case("--ascii demo --slow", None)]
    #[case("--ascii --slow --plain --no-tls", None)]
    fn an_option_that_would_do_nothing_is_refused(#[case] words: &str, #[case] told: Option<&str>) {
        let cli = Cli::try_parse_from(["x"].into_iter().chain(words.split(' '))).unwrap();
        let error = cli.misplaced().map(|error| (error.exit_code(), error.to_string()));
        match (error, told) {
            (Some((code, error)), Some(told)) => assert!(code == 2 && error.contains(told), "{error}"),
            (error, told) => assert_eq!((error, told), (None, None)),
        }
        let [option, command] = ["--listen=127.0.0.1:1", "nodes"];
        assert!(Cli::try_parse_from(["x", command, option]).is_err());
    }

    #[test]
    fn every_command_says_what_it_does() {
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
