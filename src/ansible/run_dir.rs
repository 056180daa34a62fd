//! The files of one run under `nodes/runs/<id>/`. They are the record people read later and all that a restarted engine
//! has to find a run again; nothing here is ever read back into the fleet.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::argv::Invocation;
use super::process::Identity;
use super::record::Record;
use crate::domain::caller::{EXTRA_VARS, LIMIT};
use crate::domain::layout::RUNS;
use crate::domain::{Node, Run, RunId};
use crate::store::atomic::{self, Durability};
use crate::store::known_hosts;

/// Largest file read back, in bytes; the record of a run on many nodes is the largest.
const MAX_RECORD: u64 = 8 << 20;

/// How the process of a run ended, written by its supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    /// When.
    pub(crate) ended: Timestamp,
    /// How.
    pub(crate) how: Ending,
}

/// The ways a process ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With an exit code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It never was: the program could not be started.
    NotStarted(String),
}

/// Whose folder it is. A database that was deleted gives its numbers out again, but never for the same instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    run: RunId,
    queued: Timestamp,
}

impl Owner {
    fn of(run: &Run) -> Self {
        Self { run: run.id, queued: run.queued }
    }
}

/// The folder of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// The folder of `run` in the project `dir`; it may not exist.
    pub(crate) fn new(dir: &Path, run: RunId) -> Self {
        Self { path: dir.join(RUNS).join(run.to_string()) }
    }

    /// The folder at `path`.
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Makes the folder, private to its owner, for `run`.
    pub(crate) fn create(&self, run: &Run) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        self.write_json("run.json", &Owner::of(run))
    }

    /// Moves whatever is in the folder's place and is not of `run` to `<id>.<time>.old` beside it. Returns its new path.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] where a process of another run still works in it.
    pub(crate) fn make_room(&self, run: &Run, now: Timestamp) -> io::Result<Option<PathBuf>> {
        if fs::symlink_metadata(&self.path).is_err() || self.read_json("run.json").ok() == Some(Owner::of(run)) {
            return Ok(None);
        }
        if self.process().is_some_and(|leader| leader.is_alive()) && self.exit().is_none() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let time = now.strftime("%Y%m%dT%H%M%SZ");
        let candidates = std::iter::once(String::new()).chain((2_u64..).map(|number| format!("-{number}")));
        let mut places = candidates.map(|suffix| self.path.with_file_name(format!("{}.{time}{suffix}.old", run.id)));
        // Only the engine that holds the state lock makes such names, so that none appears meanwhile.
        let Some(place) = places.find(|place| fs::symlink_metadata(place).is_err()) else { return Ok(None) };
        fs::rename(&self.path, &place)?;
        Ok(Some(place))
    }

    /// The folder's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Standard output and error of Ansible.
    pub(crate) fn output(&self) -> PathBuf {
        self.path.join("output.log")
    }

    /// What the callback plugin wrote.
    pub(crate) fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// Opens the output for appending.
    pub(crate) fn open_output(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).mode(0o600).open(self.output())
    }

    /// Writes who takes part: `limit.txt`, and `known_hosts` with the keys of these and of the `others` that the run's
    /// nodes may have to do with.
    pub(crate) fn write_nodes(&self, nodes: &[Arc<Node>], others: &[Arc<Node>], port: u16) -> io::Result<()> {
        let limit: String = nodes.iter().flat_map(|node| [node.name.as_str(), "\n"]).collect();
        self.write(LIMIT, limit.as_bytes())?;
        self.write("known_hosts", known_hosts(nodes.iter().chain(others).map(AsRef::as_ref), port).as_bytes())
    }

    /// Keeps the inventory as it is at the start.
    pub(crate) fn keep_inventory(&self, inventory: &Path) -> io::Result<()> {
        self.write("inventory.json", &fs::read(inventory)?)
    }

    /// Writes what is to be executed.
    pub(crate) fn write_invocation(&self, invocation: &Invocation) -> io::Result<()> {
        self.write_json("argv.json", invocation)
    }

    /// What was executed.
    pub(crate) fn invocation(&self) -> io::Result<Invocation> {
        self.read_json("argv.json")
    }

    /// What was run and what came of it.
    pub(crate) fn record(&self) -> io::Result<Record> {
        self.read_json("record.json")
    }

    /// Writes that down.
    pub(crate) fn write_record(&self, record: &Record) -> io::Result<()> {
        self.write_json("record.json", record)
    }

    /// Writes the variables that were chosen for the run.
    pub(crate) fn write_vars(&self, vars: &BTreeMap<String, serde_json::Value>) -> io::Result<()> {
        self.write_json(EXTRA_VARS, vars)
    }

    /// Claims the run for the process `identity`. Fails with [`io::ErrorKind::AlreadyExists`] if another one leads it, so
    /// that a run is never executed twice, whatever crashed in between.
    pub(crate) fn claim(&self, identity: &Identity) -> io::Result<()> {
        let mut draft = tempfile::Builder::new().prefix(".process").tempfile_in(&self.path)?;
        draft.write_all(&serde_json::to_vec_pretty(identity)?)?;
        draft.as_file().sync_all()?;
        fs::hard_link(draft.path(), self.path.join("process.json"))
    }

    /// The process that leads the run, if there ever was one.
    pub(crate) fn process(&self) -> Option<Identity> {
        self.read_json("process.json").ok().filter(|leader| *leader != Identity::nobody())
    }

    /// Writes how it ended.
    pub(crate) fn write_exit(&self, exit: &Exit) -> io::Result<()> {
        self.write_json("exit.json", exit)
    }

    /// How it ended, if it did.
    pub(crate) fn exit(&self) -> Option<Exit> {
        self.read_json("exit.json").ok()
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        self.write(name, &text)
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        atomic::write(&self.path.join(name), content, 0o600, Durability::Synced).map(drop)
    }

    fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> io::Result<T> {
        let file = File::open(self.path.join(name))?;
        Ok(serde_json::from_reader(io::Read::take(file, MAX_RECORD))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain_run(id: u64, queued: i64) -> Run {
        Run::queued(RunId(id), [].into(), Timestamp::from_second(queued).unwrap())
    }

    #[test]
    fn a_folder_of_another_run_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let (earlier, run) = (domain_run(1, 100), domain_run(1, 200));
        let folder = RunDir::new(dir.path(), run.id);
        assert_eq!(folder.make_room(&run, run.queued).unwrap(), None, "there is nothing");
        let aside = |name: &str| dir.path().join(RUNS).join(name);
        for name in ["r1.19700101T000320Z.old", "r1.19700101T000320Z-2.old", "r1.19700101T000320Z-3.old"] {
            folder.create(&earlier).unwrap();
            folder.claim(&Identity::nobody()).unwrap();
            assert_eq!(folder.make_room(&earlier, run.queued).unwrap(), None, "its own folder stays");
            assert_eq!(folder.make_room(&run, run.queued).unwrap(), Some(aside(name)));
            assert_eq!((folder.process(), aside(name).join("process.json").exists()), (None, true));
        }
        fs::create_dir(folder.path()).unwrap();
        assert!(folder.make_room(&run, run.queued).unwrap().is_some(), "nobody's folder");
        std::os::unix::fs::symlink(dir.path(), folder.path()).unwrap();
        assert!(folder.make_room(&run, run.queued).unwrap().is_some(), "a link is moved, not what it leads to");
        assert!(dir.path().exists());
    }

    #[test]
    fn a_folder_in_use_stays() {
        let dir = tempfile::tempdir().unwrap();
        let run = domain_run(1, 200);
        let folder = RunDir::new(dir.path(), run.id);
        folder.create(&domain_run(1, 100)).unwrap();
        folder.claim(&Identity::own().unwrap()).unwrap();
        assert_eq!(folder.make_room(&run, run.queued).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        folder.write_exit(&Exit { ended: run.queued, how: Ending::Code(0) }).unwrap();
        assert!(folder.make_room(&run, run.queued).unwrap().is_some(), "it has ended");
    }

    #[test]
    fn a_run_is_claimed_once_and_records_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::new(dir.path(), RunId(3));
        run.create(&domain_run(3, 0)).unwrap();
        assert!(run.path().ends_with("nodes/runs/r3"));
        assert_eq!(run.process(), None);
        let own = Identity::own().unwrap();
        run.claim(&own).unwrap();
        assert_eq!(run.claim(&own).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(run.process(), Some(own));
        let exit = Exit { ended: Timestamp::UNIX_EPOCH, how: Ending::Signal(9) };
        run.write_exit(&exit).unwrap();
        assert_eq!(run.exit(), Some(exit));
        let drafts = fs::read_dir(run.path())
            .unwrap()
            .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with('.')));
        assert_eq!(drafts.count(), 0);
    }
}
