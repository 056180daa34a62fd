//! The files of one run under `nodes/runs/<id>/`. They are the record people read later and all that a restarted engine
//! has to find a run again; nothing here is ever read back into the fleet.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::argv::Invocation;
use super::process::Identity;
use crate::domain::{Fqdn, HostKey, RunId};

/// Where the runs are, relative to the project folder.
pub(crate) const RUNS: &str = "nodes/runs";
/// Largest file read back, in bytes; the real ones have a few hundred.
const MAX_RECORD: u64 = 1 << 20;

/// A node as a run needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// Its inventory name.
    pub(crate) name: Fqdn,
    /// Where Ansible reaches it.
    pub(crate) address: IpAddr,
    /// Keys it must answer with.
    pub(crate) keys: Vec<HostKey>,
}

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
pub(crate) enum Ending {
    /// With an exit code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It never was: the program could not be started.
    NotStarted(String),
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

    /// Makes the folder, private to its owner.
    pub(crate) fn create(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path)
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

    /// Writes who takes part: `limit.txt` and `known_hosts`.
    pub(crate) fn write_hosts(&self, hosts: &[Host], port: u16) -> io::Result<()> {
        let limit: String = hosts.iter().flat_map(|host| [host.name.as_str(), "\n"]).collect();
        write_atomic(&self.path.join("limit.txt"), limit.as_bytes(), 0o600)?;
        write_atomic(&self.path.join("known_hosts"), known_hosts(hosts, port).as_bytes(), 0o600)
    }

    /// Keeps the inventory as it is at the start.
    pub(crate) fn keep_inventory(&self, inventory: &Path) -> io::Result<()> {
        write_atomic(&self.path.join("inventory.json"), &fs::read(inventory)?, 0o600)
    }

    /// Writes what is to be executed.
    pub(crate) fn write_invocation(&self, invocation: &Invocation) -> io::Result<()> {
        self.write_json("argv.json", invocation)
    }

    /// What was executed.
    pub(crate) fn invocation(&self) -> io::Result<Invocation> {
        self.read_json("argv.json")
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
        self.read_json("process.json").ok()
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
        write_atomic(&self.path.join(name), &text, 0o600)
    }

    fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> io::Result<T> {
        let file = File::open(self.path.join(name))?;
        Ok(serde_json::from_reader(io::Read::take(file, MAX_RECORD))?)
    }
}

/// One line per key. The plain address serves any port; `[address]:22` would not be found by ssh (ANSIBLE.md §5).
fn known_hosts(hosts: &[Host], port: u16) -> String {
    let mut text = String::new();
    for host in hosts {
        let (name, address) = (&host.name, host.address);
        let names =
            if port == 22 { format!("{name},{address}") } else { format!("{name},{address},[{address}]:{port}") };
        text.extend(host.keys.iter().map(|key| format!("{names} {key}\n")));
    }
    text
}

/// Writes a file so that readers see the old or the new content: a dot-prefixed draft beside it, then a rename.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut draft = tempfile::Builder::new().prefix(".draft").tempfile_in(parent)?;
    draft.write_all(bytes)?;
    draft.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    draft.as_file().sync_all()?;
    draft.persist(path).map_err(|error| error.error)?;
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN2bN3LdoJqKU3nzKZ0BoNDSfUS1eqh0MnJYmSlTRHRq";

    fn host(address: &str) -> Host {
        let address = address.parse().unwrap();
        Host { name: "pve1.lab.example".parse().unwrap(), address, keys: vec![KEY.parse().unwrap()] }
    }

    #[test]
    fn known_hosts_has_a_line_per_key() {
        assert_eq!(known_hosts(&[host("192.0.2.1")], 22), format!("pve1.lab.example,192.0.2.1 {KEY}\n"));
        assert_eq!(
            known_hosts(&[host("2001:db8::1")], 2222),
            format!("pve1.lab.example,2001:db8::1,[2001:db8::1]:2222 {KEY}\n")
        );
    }

    #[test]
    fn a_run_is_claimed_once_and_records_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::new(dir.path(), RunId(3));
        run.create().unwrap();
        assert!(run.path().ends_with("nodes/runs/r3"));
        assert_eq!(run.process(), None);
        let own = Identity::own().unwrap();
        run.claim(&own).unwrap();
        assert_eq!(run.claim(&own).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(run.process(), Some(own));
        let exit = Exit { ended: Timestamp::UNIX_EPOCH, how: Ending::Signal(9) };
        run.write_exit(&exit).unwrap();
        assert_eq!(run.exit(), Some(exit));
        run.write_hosts(&[host("192.0.2.1")], 22).unwrap();
        assert_eq!(fs::read_to_string(run.path().join("limit.txt")).unwrap(), "pve1.lab.example\n");
        let drafts = fs::read_dir(run.path())
            .unwrap()
            .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with('.')));
        assert_eq!(drafts.count(), 0);
    }
}
