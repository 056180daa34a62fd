//! The body of the hidden subcommand `supervise-run`: leads the session of one run, starts Ansible, waits, and writes how
//! it ended. It outlives the engine, so it must not depend on it, nor on any pipe.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::argv::Invocation;
use super::process::Identity;
use super::run_dir::{Ending, Exit, RunDir};

/// The hidden subcommand; its one argument is the run's folder.
pub const SUBCOMMAND: &str = "supervise-run";

/// Executes the run whose `argv.json` is in `run_dir`, to its end. Must not be called from within an async runtime.
///
/// # Errors
/// Where the run's files cannot be read or written, or another process leads the run already. That Ansible cannot be started
/// is no error: it is written to `exit.json`.
pub fn supervise(run_dir: &Path) -> anyhow::Result<()> {
    let run = RunDir::at(run_dir);
    lead_session()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(execute(&run))
}

/// A session of its own takes the terminal away from every question ssh could ask (ANSIBLE.md §3); as a subreaper the
/// supervisor stays an ancestor of whatever the run leaves behind, so that a stop finds it.
fn lead_session() -> anyhow::Result<()> {
    let own = nix::unistd::getpid();
    if nix::unistd::getsid(None)? != own {
        nix::unistd::setsid().context("cannot start a session of its own")?;
    }
    // Not known to kernels before 3.4; a stop then finds leftovers by their environment only.
    let _ = nix::sys::prctl::set_child_subreaper(true);
    Ok(())
}

async fn execute(run: &RunDir) -> anyhow::Result<()> {
    // Caught, not ignored: a child starts with the default action then, and Ansible 2.14 obeys an interrupt.
    let _caught = catch_signals()?;
    let invocation = run.invocation().with_context(|| format!("cannot read `{}/argv.json`", run.path().display()))?;
    let output = run.open_output().with_context(|| format!("cannot open `{}`", run.output().display()))?;
    run.claim(&Identity::own()?).with_context(|| format!("cannot claim the run in `{}`", run.path().display()))?;
    let how = match start(&invocation, output) {
        Ok(mut child) => ending(child.wait().await?),
        Err(error) => Ending::NotStarted(describe(&invocation, &error)),
    };
    let exit = Exit { ended: Timestamp::now(), how };
    run.write_exit(&exit).with_context(|| format!("cannot write `{}/exit.json`", run.path().display()))
}

fn catch_signals() -> io::Result<Vec<Signal>> {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
    kinds.into_iter().map(signal).collect()
}

fn start(invocation: &Invocation, output: std::fs::File) -> io::Result<tokio::process::Child> {
    let mut command = tokio::process::Command::new(&invocation.program);
    command.args(&invocation.args).envs(&invocation.env).current_dir(&invocation.cwd);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    command.spawn()
}

fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Code(code),
        (None, Some(signal)) => Ending::Signal(signal),
        (None, None) => Ending::Code(-1),
    }
}

fn describe(invocation: &Invocation, error: &io::Error) -> String {
    let program = invocation.program.display();
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "the file, its interpreter or the project folder is gone",
        io::ErrorKind::PermissionDenied => "make it executable",
        _ => "see whether it runs by hand",
    };
    format!("cannot run `{program}`: {error}; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not a test of its own: the supervisor of the tests in `supervisor::tests`, which start this program again with
    /// the run's folder as last argument.
    #[test]
    #[ignore = "started by other tests with a run's folder"]
    fn lead_a_run() {
        let run = std::env::args().next_back().unwrap();
        if Path::new(&run).join("argv.json").exists() {
            supervise(Path::new(&run)).unwrap();
        }
    }
}
