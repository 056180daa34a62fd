//! Ends a run for good: the stop sequence of ANSIBLE.md §4. An interrupt to the group is nearly always enough; the rest
//! is for a run that does not listen, and for what it leaves behind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::StreamExt as _;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::sync::watch;

use super::argv::EVENTS_VARIABLE;
use super::process::{Identity, Seen, family};
use super::run_dir::RunDir;

/// How often it is looked whether a run has ended.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);
/// Where control folders are: short (a socket path has at most 108 bytes) and there as long as the machine is up.
pub(crate) const CONTROL_BASE: &str = "/tmp";
/// How control folders are named.
pub(crate) const CONTROL_PREFIX: &str = "pxo.";
/// SSH masters asked to end at once.
const MASTERS_AT_ONCE: usize = 16;

/// How long each step may take before the next one.
#[derive(Clone, Copy, Debug)]
pub struct StopTimes {
    /// After the interrupt.
    pub interrupt: Duration,
    /// After the request to terminate.
    pub terminate: Duration,
    /// For the supervisor to write down the end after all else was killed.
    pub kill: Duration,
}

impl Default for StopTimes {
    fn default() -> Self {
        let [interrupt, terminate, kill] = [10, 5, 2].map(Duration::from_secs);
        Self { interrupt, terminate, kill }
    }
}

/// The processes of one run.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    run: RunDir,
    leader: Identity,
    marker: String,
}

impl Target {
    /// The run in `run`, led by `leader`.
    pub(crate) fn new(run: RunDir, leader: Identity) -> Self {
        let marker = format!("{EVENTS_VARIABLE}={}", run.events().display());
        Self { run, leader, marker }
    }

    /// Resolves when the run has ended or vanished.
    pub(crate) async fn ended(&self) {
        let mut tick = tokio::time::interval(INTERVAL);
        while self.run.exit().is_none() && self.leader.is_alive() {
            tick.tick().await;
        }
    }

    /// Every process of the run but the leader. The leader's children count only while it is certainly the leader.
    async fn family(&self) -> BTreeSet<Seen> {
        let root = self.leader.is_alive().then_some(self.leader.pid);
        let marker = self.marker.clone();
        tokio::task::spawn_blocking(move || family(root, &marker)).await.unwrap_or_default()
    }

    fn signal_group(&self, signal: Signal) {
        if self.leader.is_alive() {
            // It may end in this very moment, which is what we want.
            let _ = killpg(self.leader.pid(), signal);
        }
    }

    /// Goes through the sequence until the run has ended. `presses` counts the operator's requests; each one after the
    /// first `answered` goes to the next step at once, also if it came before this began.
    pub(crate) async fn stop(&self, presses: &mut watch::Receiver<u32>, answered: u32, patience: StopTimes) {
        let mut remembered = self.family().await;
        let steps = [(Signal::SIGINT, patience.interrupt), (Signal::SIGTERM, patience.terminate)];
        for ((signal, limit), answered) in steps.into_iter().zip(answered..) {
            tracing::info!(signal = signal.as_str(), "stopping the run in `{}`", self.run.path().display());
            self.signal_group(signal);
            if self.ended_within(limit, presses, answered).await {
                return self.kill_all(remembered).await;
            }
            remembered.extend(self.family().await);
        }
        tracing::warn!("the run in `{}` does not listen: killing it", self.run.path().display());
        self.kill_all(remembered).await;
        // The leader goes last, so that it can write down the end.
        if tokio::time::timeout(patience.kill, self.ended()).await.is_err() {
            self.signal_group(Signal::SIGKILL);
        }
    }

    async fn ended_within(&self, limit: Duration, presses: &mut watch::Receiver<u32>, answered: u32) -> bool {
        tokio::select! {
            () = self.ended() => true,
            () = tokio::time::sleep(limit) => false,
            Ok(_) = presses.wait_for(|count| *count > answered) => false,
        }
    }

    /// Kills what is left, by process and not by group: since 2.19 each worker has a session of its own.
    async fn kill_all(&self, remembered: BTreeSet<Seen>) {
        let all: BTreeSet<Seen> = remembered.into_iter().chain(self.family().await).collect();
        for process in all.into_iter().filter(|process| process.is_alive()) {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
    }

    /// Kills what a vanished leader left behind: nobody watches it any more.
    pub(crate) async fn kill_leftovers(&self) {
        self.kill_all(BTreeSet::new()).await;
    }
}

/// Ends the SSH masters of a run, which would live on for a minute, and removes the run's control folder.
pub(crate) async fn close_masters(control_dir: &Path) {
    if !is_control_dir(control_dir) {
        return;
    }
    let sockets = fs::read_dir(control_dir).into_iter().flatten().filter_map(Result::ok);
    let sockets = sockets.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket()));
    let paths: Vec<PathBuf> = sockets.map(|entry| entry.path()).collect();
    let closing = futures_util::stream::iter(paths.into_iter().map(close_master));
    closing.buffer_unordered(MASTERS_AT_ONCE).collect::<Vec<()>>().await;
    if let Err(error) = tokio::fs::remove_dir_all(control_dir).await {
        tracing::debug!(%error, "cannot remove `{}`", control_dir.display());
    }
}

async fn close_master(socket: PathBuf) {
    let mut command = tokio::process::Command::new("ssh");
    command.arg("-o").arg(format!("ControlPath={}", socket.display())).args(["-O", "exit", "none"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    // A master that is already gone refuses: fine.
    let _ = tokio::time::timeout(Duration::from_secs(3), command.status()).await;
}

/// The path comes from a file in the project folder, so it is believed only where it looks like one we made.
fn is_control_dir(path: &Path) -> bool {
    let is_named = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(CONTROL_PREFIX));
    let is_dir = || fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    is_named && path.parent() == Some(Path::new(CONTROL_BASE)) && is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/")]
    #[case("/tmp")]
    #[case("/tmp/pxo.x/../..")]
    #[case("/home/pxo.x")]
    #[case("/tmp/pxo.does-not-exist")]
    fn only_folders_of_ours_are_removed(#[case] path: &str) {
        assert!(!is_control_dir(Path::new(path)));
    }

    #[tokio::test]
    async fn a_control_folder_goes_with_its_dead_sockets() {
        let made = tempfile::Builder::new().prefix(CONTROL_PREFIX).tempdir_in(CONTROL_BASE).unwrap();
        drop(std::os::unix::net::UnixListener::bind(made.path().join("abc")).unwrap());
        let path = made.keep();
        close_masters(&path).await;
        assert!(!path.exists());
    }
}
