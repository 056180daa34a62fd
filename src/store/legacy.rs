//! What stands at the inventory's place before our first one: names to import from the prototype's
//! `{"node.example.com": "installed", …}`, or anything else, which is kept aside.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use crate::domain::Fqdn;
use crate::domain::layout::{INVENTORY, INVENTORY_FILE};
use crate::domain::text::Text;

use super::inventory::MARK;
use super::projector::ProjectionError;

/// Longest inventory of the old shape that is read, in bytes; 50,000 names are some 3 MiB.
const MAX_BYTES: u64 = 16 << 20;

/// An inventory that is there and cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{path}`; check that this user may read it, or move it away")]
pub struct LegacyError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// As much of an inventory of ours as tells it from others; everything else is skipped, not kept.
#[derive(Deserialize)]
struct Ours {
    all: OursAll,
}

#[derive(Deserialize)]
struct OursAll {
    vars: OursVars,
}

#[derive(Deserialize)]
struct OursVars {
    prox_orchestrator: OursOrigin,
}

#[derive(Deserialize)]
struct OursOrigin {
    generated_by: String,
}

/// The names and statuses in `<dir>/nodes/dynamic-inventory.json`, where it has the prototype's shape; `None` where
/// there is no such file, or another one. Names that are no host names are left out and logged. Import them before
/// [`super::projection::run`] is started, which puts our inventory there and keeps this one aside.
///
/// # Errors
/// Where the file cannot be read.
pub fn find_legacy(dir: &Path) -> Result<Option<Vec<(Fqdn, Text)>>, LegacyError> {
    let path = dir.join(INVENTORY);
    let fail = |source| LegacyError { path: path.clone(), source };
    let Some(file) = regular(&path).map_err(fail)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
    // A longer one is cut, is no JSON then, and stays what it is.
    let Ok(entries) = serde_json::from_slice::<BTreeMap<String, String>>(&bytes) else { return Ok(None) };
    let mut named = BTreeMap::new();
    for (name, status) in &entries {
        match name.parse::<Fqdn>() {
            Ok(fqdn) => drop(named.insert(fqdn, Text::new(status))),
            Err(error) => tracing::warn!(%error, "a name in `{}` is not imported", path.display()),
        }
    }
    Ok(Some(named.into_iter().collect()).filter(|names: &Vec<_>| !names.is_empty()))
}

/// Keeps an inventory that is not ours, as `dynamic-inventory.json.<time>.orig`, before
/// ours takes its place. Returns where.
pub(super) fn keep_original(nodes: &Path, at: Timestamp) -> Result<Option<PathBuf>, ProjectionError> {
    let path = nodes.join(INVENTORY_FILE);
    if path.symlink_metadata().is_err() || is_ours(&path) {
        return Ok(None);
    }
    let time = at.strftime(".%Y%m%dT%H%M%SZ").to_string();
    let keep = || {
        let kept = free_name(&path, &time)?;
        link_or_copy(&path, &kept).map(|()| kept)
    };
    let kept = keep().map_err(ProjectionError::io(&path))?;
    tracing::info!("kept the inventory found at start as `{}`", kept.display());
    Ok(Some(kept))
}

/// `<path><mark>.orig`, or with a number before the end where that is taken. Ansible passes over `.orig`.
pub(super) fn free_name(path: &Path, mark: &str) -> io::Result<PathBuf> {
    let name = |end: String| {
        let mut name = path.as_os_str().to_owned();
        name.push(mark);
        name.push(end);
        PathBuf::from(name)
    };
    let numbered = (1..100).map(|number| format!("-{number}.orig"));
    std::iter::once(".orig".to_owned())
        .chain(numbered)
        .map(name)
        .find(|kept| kept.symlink_metadata().is_err())
        .ok_or_else(|| io::ErrorKind::AlreadyExists.into())
}

/// A second name for the same file keeps mode and owner, and a symbolic link as it is; not every file system has that.
fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) => {
            fs::copy(from, to)?;
            File::open(to)?.sync_all()
        }
        other => other,
    }
}

fn is_ours(path: &Path) -> bool {
    let Ok(Some(file)) = regular(path) else { return false };
    let read = serde_json::from_reader::<_, Ours>(BufReader::new(file));
    read.is_ok_and(|ours| ours.all.vars.prox_orchestrator.generated_by == MARK)
}

/// The file, where there is one and it is no folder, pipe or device.
fn regular(path: &Path) -> io::Result<Option<File>> {
    match path.metadata() {
        Ok(about) if about.is_file() => File::open(path).map(Some),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
