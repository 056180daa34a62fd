//! The engine as a process of its own: started, asked over its socket, killed.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use prox_orchestrator::api::OrderResponse;
use prox_orchestrator::api::client::RemoteEngine;
use prox_orchestrator::domain::{Order, Snapshot};
use tokio::time::{Instant, sleep};

/// For everything that is waited for here; a machine under load is slow, a defect is slower.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// Installs on any disk, from the NIC that machine asks through or, where it has several, on any.
const BASE_ANSWER: &str = include_str!("../../src/runtime/demo/default.toml");

/// A project folder that outlives its engines.
pub(crate) struct Lab {
    dir: tempfile::TempDir,
    port: u16,
    tls: bool,
}

impl Lab {
    /// A folder with `settings` added to a configuration that gives every machine the address it asks from.
    pub(crate) fn new(tls: bool, settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("default.toml"), BASE_ANSWER).unwrap();
        // One port for all engines of this folder: machines know it from their medium.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let lab = Self { dir, port, tls };
        lab.configure(settings);
        lab
    }

    /// Writes `config.toml` with these settings for the next engine.
    pub(crate) fn configure(&self, settings: &str) {
        let network =
            "machine_net_dns = \"192.0.2.53\"\nmachine_net_gateway = \"127.0.0.1\"\nmachine_net_mask = \"8\"\n";
        let approval = "[approval]\nundo_window = \"0s\"\n";
        fs::write(self.dir().join("config.toml"), format!("{network}{settings}\n{approval}")).unwrap();
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir().join(".prox-orchestrator")
    }

    /// The URL a medium would hold.
    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/answer", if self.tls { "https" } else { "http" }, self.port)
    }

    /// Starts an engine and waits until it can be asked. Returns its first snapshot, too.
    pub(crate) async fn start(&self) -> (Engine, Snapshot) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_prox-orchestrator"));
        command.arg("-C").arg(self.dir()).args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        if !self.tls {
            command.arg("--no-tls");
        }
        let log = self.log();
        command.arg("serve").stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut process = command.spawn().unwrap();
        let state_dir = self.state_dir();
        let deadline = Instant::now() + PATIENCE;
        loop {
            // The socket of the engine before is there until this one replaces it; nobody answers on it.
            if let Ok(remote) = RemoteEngine::find(&state_dir)
                && let Ok(snapshot) = remote.snapshot().await
                && !snapshot.service.url.is_empty()
            {
                return (Engine { process, remote }, snapshot);
            }
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "no engine ({ended:?}):\n{}", self.last_words());
            sleep(LOOK).await;
        }
    }

    fn log(&self) -> File {
        OpenOptions::new().create(true).append(true).open(self.dir().join("engine.log")).unwrap()
    }

    /// The end of what the engines said.
    pub(crate) fn last_words(&self) -> String {
        let said = fs::read(self.dir().join("engine.log")).unwrap_or_default();
        String::from_utf8_lossy(&said[said.len().saturating_sub(4_000)..]).into_owned()
    }
}

/// A running engine; killed when dropped.
pub(crate) struct Engine {
    process: Child,
    remote: RemoteEngine,
}

impl Engine {
    /// `kill -9`, now.
    pub(crate) fn kill(mut self) {
        let ended = self.process.try_wait().unwrap();
        assert!(ended.is_none(), "the engine ended by itself: {ended:?}");
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn operator(&self) -> Operator {
        Operator { remote: self.remote.clone() }
    }

    /// Waits until the engine's state is as `is_there` says.
    pub(crate) async fn until(&self, what: &str, is_there: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let snapshot = self.remote.snapshot().await.unwrap();
            if is_there(&snapshot) {
                return snapshot;
            }
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            sleep(LOOK).await;
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Somebody who orders. Everything fails once the engine is dead, and that is no error here.
#[derive(Clone)]
pub(crate) struct Operator {
    remote: RemoteEngine,
}

impl Operator {
    pub(crate) async fn look(&self) -> Option<Arc<Snapshot>> {
        self.remote.snapshot().await.ok().map(Arc::new)
    }

    /// Whether the engine said that it is done.
    pub(crate) async fn order(&self, order: Order) -> bool {
        let outcome = self.remote.order("crash-test".to_owned(), order).await;
        matches!(outcome, Ok(OrderResponse::Done { .. }))
    }
}

/// Waits until `is_there`.
pub(crate) async fn until(what: &str, mut is_there: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_there() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        sleep(LOOK).await;
    }
}
