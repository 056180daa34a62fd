//! The demo: the real engine and console with a simulated rack, in a temporary folder, so that anybody sees the whole
//! job without hardware.
//!
//! It touches nothing of the user's: not their playbook, folder, keys, SSH or Ansible settings. The nodes run nothing on
//! this host; their "shell" is a script inside the simulator.

mod ansible;
pub mod scripted;

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use super::{EngineOptions, Look, attend, interruption, require_terminal};
use crate::client::Client as _;
use crate::config::{CliLayer, EnvLayer};
use crate::domain::{Order, Phase, Snapshot};
use crate::error::{Exit, Failure, OrExit as _};
use crate::headless;
use crate::simulate::{RackOptions, Release, SshMode, Timings, run_rack};
use crate::telemetry::Sink;

/// First address of the demo's machines.
const RACK: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);

/// Time a hands-free demo may take before it counts as failed.
const PATIENCE: Duration = Duration::from_mins(10);

/// How the demo is shown.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// How many machines
    #[arg(long, short = 'n', default_value_t = 6, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=250))]
    count: u16,
    /// Installer release they speak as: 8.2, 8.3, 8.4, 9.1 or 9.2
    #[arg(long, default_value = "9.2", value_name = "RELEASE")]
    release: Release,
    /// How much faster than real hardware
    #[arg(long, default_value_t = 15.0, value_name = "FACTOR")]
    speed: f64,
    /// The same seed always makes the same machines
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// Approve every machine by itself and print a line per event instead of opening the console; ends when the rack is
    /// configured
    #[arg(long)]
    plain: bool,
    /// Do not run Ansible: print a made-up run, labelled as such
    #[arg(long)]
    scripted: bool,
}

/// Runs the demo.
///
/// # Errors
/// What kept it from starting, or a rack that was not configured in the end (with `--plain`).
pub async fn run(args: DemoArgs, look: Look) -> Result<Exit, Failure> {
    if !args.plain {
        require_terminal(look)?;
    }
    let mut out = std::io::stdout();
    let folder = tempfile::Builder::new().prefix("prox-orchestrator-demo-").tempdir()?;
    let dir = folder.path();
    writeln!(out, "demo in {} (removed at the end)", dir.display())?;
    let command = ansible::provide(dir, args.scripted, &mut out).await.or_exit(Exit::Failure)?;
    let ssh_port = free_port()?;
    write_project(dir, &command, ssh_port, args.count, args.release)?;

    let options = EngineOptions { dir: dir.to_owned(), cli: CliLayer::default(), env: EnvLayer::default(), look };
    let engine = Engine::start(&options, if args.plain { Sink::File } else { look.sink() }).await?;
    let (url, fingerprint) = engine.served();
    let rack = RackOptions {
        fingerprint,
        count: args.count.into(),
        release: args.release,
        seed: args.seed,
        base_address: RACK,
        timings: Timings::at_speed(args.speed),
        ssh: SshMode::Builtin,
        ssh_port,
        leave_shell_after: Some(Duration::from_secs(5)),
        stay: true,
        ..RackOptions::new(format!("{url}/answer"))
    };
    let unplug = CancellationToken::new();
    let (steps, mut watched) = mpsc::channel(256);
    let machines = tokio::spawn(run_rack(rack, steps, unplug.clone()));
    // The console shows what matters; the machines' own view is not part of the demo.
    let watcher = tokio::spawn(async move { while watched.recv().await.is_some() {} });
    let outcome = if args.plain { watch(engine, args.count).await } else { attend(engine, look).await };
    unplug.cancel();
    let machines = machines.await;
    let _ = watcher.await;
    let exit = outcome?;
    machines??;
    Ok(exit)
}

/// Approves every machine, prints every event, and ends when all nodes are configured.
async fn watch(mut engine: Engine, count: u16) -> Result<Exit, Failure> {
    let closing = CancellationToken::new();
    let follower = {
        let (events, fleet, closing) = (engine.events(), engine.fleet(), closing.clone());
        tokio::spawn(async move {
            headless::follow(events, fleet, headless::Form::Lines, &mut std::io::stdout(), closing).await
        })
    };
    let client = engine.client();
    let approver = tokio::spawn(async move {
        let mut snapshots = client.snapshots();
        loop {
            let snapshot = snapshots.borrow_and_update().clone();
            for order in approvals(&snapshot) {
                // A row that moved meanwhile is approved in the next round.
                let _ = client.order(order).await;
            }
            if snapshots.changed().await.is_err() {
                return;
            }
        }
    });
    let mut snapshots = engine.client().snapshots();
    let all_configured = snapshots.wait_for(|snapshot| is_configured(snapshot, count));
    let exit = tokio::select! {
        done = tokio::time::timeout(PATIENCE, all_configured) => if matches!(done, Ok(Ok(_))) { Exit::Success } else { Exit::Run },
        () = interruption() => Exit::Failure,
        () = engine.failed() => Exit::Failure,
    };
    approver.abort();
    let outcome = engine.stop().await;
    closing.cancel();
    let _ = follower.await;
    outcome?;
    if exit == Exit::Success {
        writeln!(std::io::stdout(), "all {count} nodes are configured")?;
    }
    Ok(exit)
}

fn approvals(snapshot: &Snapshot) -> Vec<Order> {
    let waiting = snapshot.fleet.nodes().filter(|node| node.phase == Phase::Waiting);
    let seen = waiting.filter_map(|node| Some((node.id, node.request.as_ref()?.stamp.clone())));
    seen.map(|(node, seen)| Order::Approve { node, seen }).collect()
}

fn is_configured(snapshot: &Snapshot, count: u16) -> bool {
    let configured = snapshot.fleet.nodes().filter(|node| node.phase == Phase::Configured).count();
    configured >= usize::from(count)
}

/// A port that is free on every loopback address.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?.local_addr()?.port())
}

/// Writes the files a user would write.
fn write_project(dir: &Path, command: &Path, ssh_port: u16, count: u16, release: Release) -> std::io::Result<()> {
    let command = toml_edit::Value::from(command.display().to_string());
    let config = format!(
        r#"# The demo's configuration.
machine_template_name = "demo-"
machine_net_dn = "rack.example"
machine_net_mask = "8"
machine_net_dns = "127.77.255.53"
machine_net_gateway = "127.77.255.1"

[server]
listen = "127.0.0.1:0"

[approval]
undo_window = "3s"

[ansible]
expect = {count}
playbook = "demo.yml"
ssh_port = {ssh_port}
command = {command}
"#
    );
    std::fs::write(dir.join(crate::config::CONFIG_FILE), config)?;
    // The oldest installers know no hashes (PROTOCOL.md §b.2).
    let base = match release {
        Release::V8_2 => BASE_ANSWER.replace(NO_PASSWORD, "root-password = \"demo-password\""),
        _ => BASE_ANSWER.to_owned(),
    };
    std::fs::write(dir.join(crate::config::BASE_ANSWER_FILE), base)?;
    // In the working folder, so that it wins over the user's own; and ssh is told to leave theirs alone, too.
    let ansible = format!(
        "[defaults]\nlocal_tmp = {0}/ansible-tmp\n\n[ssh_connection]\nssh_args = -F /dev/null -C -o ControlMaster=auto -o ControlPersist=60s\n",
        dir.display()
    );
    std::fs::write(dir.join("ansible.cfg"), ansible)
}

/// No password's hash: the line of [`BASE_ANSWER`] about the root password.
const NO_PASSWORD: &str = "root-password-hashed = \"*\"";

/// What the demo's machines are installed with: whatever their NICs and disks are called.
const BASE_ANSWER: &str = include_str!("default.toml");
