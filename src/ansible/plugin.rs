//! The callback plugin, carried in the program and written afresh for each run: never stale, nothing to install.

use std::io;
use std::path::Path;

use crate::store::atomic::{self, Durability};

const FILE_NAME: &str = "prox_events.py";
const SOURCE: &str = include_str!("../../assets/ansible/prox_events.py");

/// Writes the plugin into `dir`, which nobody else may write to.
pub(crate) fn write(dir: &Path) -> io::Result<()> {
    atomic::write(&dir.join(FILE_NAME), SOURCE.as_bytes(), 0o600, Durability::Rebuilt).map(drop)
}
