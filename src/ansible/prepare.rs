//! From a queued run to a running one: checks, files, then the supervisor's process.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::argv::{Invocation, Recipe, caller, plan};
use super::process::Identity;
use super::record::Record;
use super::run_dir::RunDir;
use super::stop::{CONTROL_BASE, CONTROL_PREFIX, close_masters};
use super::supervisor::Settings;
use super::{plugin, preflight, user_config};
use crate::domain::layout::INVENTORY;
use crate::domain::snapshot::Problem;
use crate::domain::{Fleet, Fqdn, Node, NodeId, Phase, Run};

/// How long the supervisor may take to show up; on a loaded machine exec alone can take a second.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it is looked for.
const INTERVAL: Duration = Duration::from_millis(20);

/// Why a run did not start, in words with what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    /// A node of the run cannot be reached as itself.
    #[error("`{0}` has no address or no host key; look at its row")]
    Unreachable(Fqdn),
    /// The inventory lacks a node of the run.
    #[error("`{0}` is not in `{INVENTORY}`; see the log for why that file is not up to date")]
    NotInInventory(Fqdn),
    /// Ansible or the playbook is missing.
    #[error("{}; {}", .0.what, .0.hint)]
    Problem(Problem),
    /// No recipe.
    #[error(transparent)]
    Argv(#[from] super::argv::ArgvError),
    /// A file could not be read or written.
    #[error("cannot prepare `{path}`: {source}; free disk space or make the folder writable")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A run of a database that is gone still works in the run's folder.
    #[error("a run of an earlier database still works in `{0}`; wait for its end or end it, then run again")]
    Occupied(PathBuf),
    /// The supervisor did not come up.
    #[error("the run's supervisor did not start: {0}; its last words are in the run's output")]
    NoSupervisor(String),
}

/// The run's nodes, each of which can be reached as itself.
pub(crate) fn nodes(fleet: &Fleet, run: &Run) -> Result<Vec<Arc<Node>>, PrepareError> {
    let node = |(id, name): (&NodeId, &Fqdn)| {
        let is_reachable =
            |node: &&Arc<Node>| node.name == *name && node.address.is_some() && !node.host_keys.is_empty();
        let found = fleet.node(*id).filter(is_reachable);
        found.cloned().ok_or_else(|| PrepareError::Unreachable(name.clone()))
    };
    run.nodes.iter().map(node).collect()
}

/// The nodes that have proven themselves and are not in `run`: a node of the run may join the cluster of one of them.
pub(crate) fn others(fleet: &Fleet, run: &Run) -> Vec<Arc<Node>> {
    let is_proven = |node: &&Arc<Node>| {
        matches!(node.phase, Phase::Ready | Phase::Configured | Phase::Failed { .. }) && node.address.is_some()
    };
    fleet.nodes().filter(is_proven).filter(|node| !run.nodes.contains_key(&node.id)).cloned().collect()
}

/// Takes a folder out of the way that another database's run has left in the place of `run`'s.
pub(crate) fn make_room(folder: &RunDir, run: &Run) -> Result<(), PrepareError> {
    match folder.make_room(run, Timestamp::now()) {
        Ok(None) => Ok(()),
        Ok(Some(aside)) => {
            tracing::warn!("a run of an earlier database left its folder: it is `{}` now", aside.display());
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            Err(PrepareError::Occupied(folder.path().to_owned()))
        }
        Err(source) => Err(PrepareError::Io { path: folder.path().to_owned(), source }),
    }
}

/// Writes the files of a run and starts its supervisor. Its folder must be free ([`make_room`]) or its own.
pub(crate) async fn start(
    settings: &Settings,
    run: &Run,
    folder: &RunDir,
    nodes: &[Arc<Node>],
    others: &[Arc<Node>],
) -> Result<Identity, PrepareError> {
    let job = &settings.job;
    let found = preflight::find(job.command.as_deref()).await.map_err(PrepareError::Problem)?;
    let playbook = preflight::playbook(&job.dir, &job.state_dir, &job.playbook).await;
    let playbook = playbook.map_err(PrepareError::Problem)?;
    let user_config = user_config::load(&found.path, &job.dir).await;
    if let Ok(earlier) = folder.invocation() {
        close_masters(&earlier.control_dir).await;
    }
    let control_dir = make_control_dir()?;
    let playbook = playbook.strip_prefix(&job.dir).unwrap_or(&playbook);
    let names: Vec<&Fqdn> = nodes.iter().map(|node| &node.name).collect();
    let recipe = Recipe {
        caller: &caller(&found.path, playbook, job, &user_config),
        dir: &job.dir,
        run: folder.path().strip_prefix(&job.dir).unwrap_or(folder.path()),
        hosts: &names,
        ssh_port: settings.ssh_port,
        options: &run.options,
        control_dir: &control_dir,
        user_config: &user_config,
    };
    let started = match plan(&recipe) {
        Ok(invocation) => {
            let (run, folder) = (run.clone(), folder.clone());
            let files = Files { run, folder, nodes: nodes.to_vec(), others: others.to_vec(), invocation };
            launch(settings, files, playbook.to_owned()).await
        }
        Err(error) => Err(error.into()),
    };
    if started.is_err() {
        close_masters(&control_dir).await;
    }
    started
}

/// What the folder of a run is filled from.
struct Files {
    run: Run,
    folder: RunDir,
    nodes: Vec<Arc<Node>>,
    others: Vec<Arc<Node>>,
    invocation: Invocation,
}

impl Files {
    /// Writes all of them; each is on the disk then.
    fn write(&self, settings: &Settings, playbook: &Path) -> Result<(), PrepareError> {
        let Self { run, folder, nodes, others, invocation } = self;
        let inventory = settings.job.dir.join(INVENTORY);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| PrepareError::Io { path, source }
        };
        folder.create(run).map_err(failed(folder.path()))?;
        folder.write_nodes(nodes, others, settings.ssh_port).map_err(failed(folder.path()))?;
        folder.keep_inventory(&inventory).map_err(failed(&inventory))?;
        check_inventory(&inventory, nodes.iter().map(|node| &node.name))?;
        plugin::write(&invocation.control_dir).map_err(failed(&invocation.control_dir))?;
        folder.write_invocation(invocation).map_err(failed(folder.path()))?;
        folder.write_vars(&run.options.vars).map_err(failed(folder.path()))?;
        folder.write_record(&Record::of(run, invocation, playbook)).map_err(failed(folder.path()))
    }
}

/// Writes the files where they may take their time, then starts the supervisor.
async fn launch(settings: &Settings, files: Files, playbook: PathBuf) -> Result<Identity, PrepareError> {
    let (folder, own) = (files.folder.clone(), settings.clone());
    let written = tokio::task::spawn_blocking(move || files.write(&own, &playbook)).await;
    written.map_err(|error| PrepareError::Io { path: folder.path().to_owned(), source: error.into() })??;
    spawn(settings, &folder).await
}

/// A folder that only we may enter, with a path short enough for sockets.
fn make_control_dir() -> Result<PathBuf, PrepareError> {
    let private = fs::Permissions::from_mode(0o700);
    let made = tempfile::Builder::new().prefix(CONTROL_PREFIX).permissions(private).tempdir_in(CONTROL_BASE);
    made.map(tempfile::TempDir::keep).map_err(|source| PrepareError::Io { path: CONTROL_BASE.into(), source })
}

/// Ansible only warns about a name in the limit that the inventory lacks, and runs without it.
fn check_inventory<'a>(path: &Path, mut hosts: impl Iterator<Item = &'a Fqdn>) -> Result<(), PrepareError> {
    let failed = |source| PrepareError::Io { path: path.to_owned(), source };
    let text = fs::read(path).map_err(failed)?;
    let inventory: Value = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
    let mut names = BTreeSet::new();
    collect_hosts(inventory.get("all").unwrap_or(&Value::Null), &mut names);
    let missing = hosts.find(|name| !names.contains(name.as_str()));
    missing.map_or(Ok(()), |name| Err(PrepareError::NotInInventory(name.clone())))
}

/// Names under `hosts` of a group and of its children. The depth is bounded by that of the JSON parser.
fn collect_hosts<'a>(group: &'a Value, names: &mut BTreeSet<&'a str>) {
    let hosts = group.get("hosts").and_then(Value::as_object);
    names.extend(hosts.into_iter().flat_map(|hosts| hosts.keys().map(String::as_str)));
    let children = group.get("children").and_then(Value::as_object);
    children.into_iter().flat_map(|children| children.values()).for_each(|child| collect_hosts(child, names));
}

/// Starts the supervisor and waits until it has claimed the run. Not killed on drop: it outlives this engine.
async fn spawn(settings: &Settings, run: &RunDir) -> Result<Identity, PrepareError> {
    let no_supervisor = |error: io::Error| PrepareError::NoSupervisor(error.to_string());
    let [program, args @ ..] = settings.supervisor.as_slice() else {
        return Err(PrepareError::NoSupervisor("no command for it is known".to_owned()));
    };
    let output = run.open_output().map_err(no_supervisor)?;
    let mut command = tokio::process::Command::new(program);
    command.args(args).arg(run.path()).current_dir(&settings.job.dir);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
    let mut child = command.spawn().map_err(no_supervisor)?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    // Somebody has to take its exit code, else it stays a zombie for as long as the engine runs.
    let mut waiting = tokio::spawn(async move { child.wait().await });
    let claimed = async {
        let mut tick = tokio::time::interval(INTERVAL);
        loop {
            tick.tick().await;
            if let Some(leader) = run.process() {
                return leader;
            }
        }
    };
    tokio::select! {
        leader = claimed => Ok(leader),
        status = &mut waiting => match (run.process(), status) {
            // It was quick, or another one leads the run.
            (Some(leader), _) => Ok(leader),
            (None, Ok(Ok(status))) => Err(PrepareError::NoSupervisor(status.to_string())),
            (None, Ok(Err(error))) => Err(no_supervisor(error)),
            (None, Err(error)) => Err(PrepareError::NoSupervisor(error.to_string())),
        },
        () = tokio::time::sleep(PATIENCE) => {
            // It must not begin later, when nobody expects it. If it claims the run right now, the run is found dead.
            if let Some(pid) = pid {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            let silence = || PrepareError::NoSupervisor(format!("nothing was seen of it for {} s", PATIENCE.as_secs()));
            run.process().ok_or_else(silence)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inventory_must_hold_every_host() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inventory.json");
        let check = |names: &[&str]| {
            let names: Vec<Fqdn> = names.iter().map(|name| name.parse().unwrap()).collect();
            check_inventory(&path, names.iter())
        };
        let inventory =
            r#"{"all":{"hosts":{"c.lab":null},"children":{"pve":{"hosts":{"a.lab":{}}},"pbs":{"hosts":{}},"x":null}}}"#;
        fs::write(&path, inventory).unwrap();
        assert!(check(&["a.lab", "c.lab"]).is_ok());
        let missing = check(&["b.lab"]).unwrap_err();
        assert!(matches!(missing, PrepareError::NotInInventory(name) if name.as_str() == "b.lab"));
        fs::write(&path, "{").unwrap();
        assert!(matches!(check(&[]), Err(PrepareError::Io { .. })));
    }
}
