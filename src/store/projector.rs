//! One pass over the files under `nodes/`: makes them show a snapshot. Blocking; owned by [`super::projection::run`].
//!
//! A folder `nodes/<fqdn>/` belongs to the node of that name. Four files in it are ours ([`super::node_files`]),
//! everything else (`override.toml` above all) is the user's: it travels with the folder and is never removed.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::layout::{INVENTORY_FILE, NODES, OVERRIDE_FILE};
use crate::domain::snapshot::Problem;
use crate::domain::{Fleet, Fqdn, Node, NodeId, Snapshot};

use super::atomic::{self, Durability, TEMPORARY};
use super::node_files::{self, Folder};
use super::{ProjectionSettings, Reader, StoreError, inventory, known_hosts, legacy};

/// Why the files do not show the state.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProjectionError {
    /// The file system refused.
    #[error("cannot write `{path}`: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// The database refused.
    #[error("cannot read what belongs into the files under `nodes/`: {0}")]
    Store(#[from] StoreError),
    /// A value has no JSON form.
    #[error("cannot write `{path}` as JSON: {source}")]
    Encode { path: PathBuf, source: serde_json::Error },
}

impl ProjectionError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }

    /// The error in the operator's words.
    pub(super) fn problem(&self) -> Problem {
        let hint = match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space on that disk",
                io::ErrorKind::ReadOnlyFilesystem => "mount that disk for writing",
                io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                    "something else is in its place; move it away"
                }
                _ => "check that this user may write there",
            },
            Self::Store(_) => "check the state folder and its disk",
            Self::Encode { .. } => "use a path of plain characters for the SSH key",
        };
        Problem { what: self.to_string(), hint: format!("{hint}; it is tried again by itself") }
    }
}

type Result<T> = std::result::Result<T, ProjectionError>;

/// What is on disk, and how to bring it up to date.
#[derive(Debug)]
pub(super) struct Projector {
    nodes: PathBuf,
    reader: Reader,
    settings: ProjectionSettings,
    /// The database's name, once what an earlier process left has been tidied up.
    identity: Option<String>,
    /// Nodes as their folders show them.
    written: HashMap<NodeId, Arc<Node>>,
    /// Folders that must follow their nodes, and have not yet.
    moves: BTreeMap<NodeId, PathBuf>,
}

impl Projector {
    pub(super) fn new(dir: &Path, reader: Reader, settings: ProjectionSettings) -> Self {
        let nodes = dir.join(NODES);
        Self { nodes, reader, settings, identity: None, written: HashMap::new(), moves: BTreeMap::new() }
    }

    /// Makes the files show `snapshot`. One that cannot be written does not keep the others from being written; the
    /// first failure is returned, and what is missing is made up for by the next pass.
    pub(super) fn pass(&mut self, snapshot: &Snapshot) -> Result<()> {
        let fleet = &snapshot.fleet;
        fs::create_dir_all(&self.nodes).map_err(ProjectionError::io(&self.nodes))?;
        let identity = match self.identity.take() {
            Some(identity) => identity,
            None => self.begin(snapshot)?,
        };
        self.identity = Some(identity.clone());
        let mut outcome = self.forget(fleet);
        self.find_renamed(fleet);
        outcome = outcome.and(self.follow(fleet));
        for node in fleet.nodes() {
            let before = self.written.get(&node.id);
            // A folder that could not be moved is not made anew under the other name: it would be lost.
            if before.is_some_and(|before| Arc::ptr_eq(before, node)) || self.moves.contains_key(&node.id) {
                continue;
            }
            let folder = Folder { path: self.folder(&node.name), identity: &identity, reader: &self.reader };
            match folder.write(node, before.map(AsRef::as_ref)) {
                Ok(()) => drop(self.written.insert(node.id, Arc::clone(node))),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome.and(self.write_shared(snapshot))
    }

    fn folder(&self, name: &Fqdn) -> PathBuf {
        self.nodes.join(name.as_str())
    }

    fn write_shared(&self, snapshot: &Snapshot) -> Result<()> {
        let path = self.nodes.join(INVENTORY_FILE);
        let inventory = inventory(&snapshot.fleet, snapshot.seq, &self.settings)
            .map_err(|source| ProjectionError::Encode { path: path.clone(), source })?;
        atomic::write(&path, &inventory, 0o644, Durability::Synced).map_err(ProjectionError::io(&path))?;
        let path = self.nodes.join("known_hosts");
        let installed = snapshot.fleet.nodes().map(AsRef::as_ref).filter(|node| node.phase.is_installed());
        let known_hosts = known_hosts(installed, self.settings.ssh_port);
        atomic::write(&path, known_hosts.as_bytes(), 0o644, Durability::Synced).map_err(ProjectionError::io(&path))?;
        Ok(())
    }

    /// Takes our files out of the folders of nodes that are gone. A folder that another node has taken over by its
    /// name is that node's, which will write or remove each of the files.
    fn forget(&mut self, fleet: &Fleet) -> Result<()> {
        let gone = self.written.values().filter(|node| fleet.node(node.id).is_none()).cloned().collect::<Vec<_>>();
        let mut outcome = Ok(());
        for node in gone {
            let is_taken = fleet.named(&node.name).is_some();
            match if is_taken { Ok(()) } else { node_files::remove(&self.folder(&node.name)) } {
                Ok(()) => drop(self.written.remove(&node.id)),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        let unmoved = self.moves.extract_if(.., |id, _| fleet.node(*id).is_none()).collect::<Vec<_>>();
        unmoved.iter().fold(outcome, |outcome, (id, _)| outcome.and(node_files::remove(&self.aside(*id))))
    }

    fn find_renamed(&mut self, fleet: &Fleet) {
        for node in fleet.nodes() {
            if let Some(before) = self.written.get(&node.id).filter(|before| before.name != node.name) {
                self.moves.entry(node.id).or_insert_with(|| self.nodes.join(before.name.as_str()));
            }
        }
    }

    /// Where a folder is between its old name and the new one.
    fn aside(&self, node: NodeId) -> PathBuf {
        self.nodes.join(format!("{TEMPORARY}{node}"))
    }

    /// Moves folders, all of them aside first, so that names can be swapped. A crash leaves them aside, where
    /// [`Projector::begin`] finds them.
    fn follow(&mut self, fleet: &Fleet) -> Result<()> {
        let mut outcome = Ok(());
        let mut moving = Vec::new();
        for (id, from) in &self.moves {
            let aside = self.aside(*id);
            let moved = if aside.is_dir() { Ok(()) } else { or_missing(fs::rename(from, &aside)) };
            match moved.map_err(ProjectionError::io(from)) {
                Ok(()) => moving.extend(fleet.node(*id).map(|node| (*id, self.folder(&node.name)))),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        for (id, to) in moving {
            let aside = self.aside(id);
            let moved = match (aside.is_dir(), to.symlink_metadata()) {
                (false, _) => Ok(()),
                (true, Err(_)) => fs::rename(&aside, &to).map_err(ProjectionError::io(&to)),
                (true, Ok(_)) => merge(&aside, &to),
            };
            match moved {
                Ok(()) => {
                    self.moves.remove(&id);
                    // All of it is written anew, under the new name.
                    self.written.remove(&id);
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    /// Tidies up after an earlier process: keeps a foreign inventory, sweeps unfinished files, finishes what a crash
    /// cut short between a rename or a removal in the database and that of the folder. A folder tells by its
    /// `node.json` whose it was; one that this database did not make is left alone.
    fn begin(&mut self, snapshot: &Snapshot) -> Result<String> {
        let identity = self.reader.identity()?;
        legacy::keep_original(&self.nodes, snapshot.at)?;
        for entry in fs::read_dir(&self.nodes).map_err(ProjectionError::io(&self.nodes))? {
            let entry = entry.map_err(ProjectionError::io(&self.nodes))?;
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str() else { continue };
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_folder {
                sweep(&path, name)?;
            } else if name.starts_with(TEMPORARY) || name.parse::<Fqdn>().is_ok() {
                sweep_all(&path)?;
                if let Some(node) = node_files::owner(&path, &identity) {
                    self.left_over(&snapshot.fleet, &identity, node, &path)?;
                }
            }
        }
        Ok(identity)
    }

    /// Decides on a folder that was `node`'s when it was last written.
    fn left_over(&mut self, fleet: &Fleet, identity: &str, node: NodeId, path: &Path) -> Result<()> {
        let Some(owner) = fleet.node(node) else {
            let is_taken = fleet.nodes().any(|node| self.folder(&node.name) == path);
            return if is_taken { Ok(()) } else { node_files::remove(path) };
        };
        let to = self.folder(&owner.name);
        // With a folder of the right name there already, one that is not aside is somebody's copy.
        if to != path && (self.aside(node) == path || node_files::owner(&to, identity) != Some(node)) {
            self.moves.insert(node, path.to_owned());
        }
        Ok(())
    }
}

/// Lets the user's override find its way into a folder that is there already. What else the user kept in the old
/// folder stays in `<fqdn>.orig`.
fn merge(aside: &Path, to: &Path) -> Result<()> {
    let (old, new) = (aside.join(OVERRIDE_FILE), to.join(OVERRIDE_FILE));
    if new.symlink_metadata().is_err() {
        or_missing(fs::rename(&old, &new)).map_err(ProjectionError::io(&new))?;
    }
    node_files::remove(aside)?;
    if aside.is_dir() {
        let kept = legacy::free_name(to, "").map_err(ProjectionError::io(to))?;
        fs::rename(aside, &kept).map_err(ProjectionError::io(&kept))?;
        tracing::warn!("`{}` was there already; what else belonged to it is in `{}`", to.display(), kept.display());
    }
    Ok(())
}

/// What is not there needs no removing or moving.
pub(super) fn or_missing(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes a folder, or makes sure that it is one and no link to somewhere else.
pub(super) fn ensure_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.symlink_metadata()?.is_dir() => Ok(()),
        other => other,
    }
}

fn sweep_all(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(ProjectionError::io(folder))? {
        let entry = entry.map_err(ProjectionError::io(folder))?;
        if let Some(name) = entry.file_name().to_str() {
            sweep(&entry.path(), name)?;
        }
    }
    Ok(())
}

/// Removes a file that a crash left unfinished.
fn sweep(path: &Path, name: &str) -> Result<()> {
    let is_unfinished = name.starts_with(TEMPORARY) && path.extension().is_some_and(|extension| extension == "tmp");
    if is_unfinished { or_missing(fs::remove_file(path)).map_err(ProjectionError::io(path)) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
