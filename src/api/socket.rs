//! Where the socket is. Its path may be too long for the kernel, so there can be a pointer to it.

use std::io;
use std::path::{Path, PathBuf};

/// Name of the socket in the state folder.
const NAME: &str = "socket";
/// Name of the file that names the socket where the state folder's path is too long.
const POINTER: &str = "socket.path";
/// Longest path used, in bytes: the kernel allows 107, some tools less.
const MAX_PATH: usize = 100;

/// Why no socket can be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// No engine serves this folder.
    #[error("no engine is running in `{}`; start one with `prox-orchestrator` or `prox-orchestrator serve`", .0.display())]
    NotRunning(PathBuf),
    /// A file could not be read or written.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Chooses the path to listen on and leaves a pointer where it is not in `state_dir`.
pub(super) fn choose(state_dir: &Path) -> Result<PathBuf, SocketError> {
    let own = state_dir.join(NAME);
    if own.as_os_str().len() <= MAX_PATH {
        return Ok(own);
    }
    let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::Builder::new().prefix("prox-orchestrator-").tempdir_in(&base);
    let folder = folder.map_err(|source| SocketError::Io { path: base, source })?.keep();
    let path = folder.join(NAME);
    let pointer = state_dir.join(POINTER);
    std::fs::write(&pointer, path.as_os_str().as_encoded_bytes())
        .map_err(|source| SocketError::Io { path: pointer, source })?;
    Ok(path)
}

/// Finds the socket of the engine that serves `state_dir`.
///
/// # Errors
/// [`SocketError::NotRunning`] where there is none.
pub fn find(state_dir: &Path) -> Result<PathBuf, SocketError> {
    let own = state_dir.join(NAME);
    if own.exists() {
        return Ok(own);
    }
    let pointed = std::fs::read_to_string(state_dir.join(POINTER)).map(PathBuf::from).ok();
    pointed.filter(|path| path.exists()).ok_or_else(|| SocketError::NotRunning(state_dir.to_path_buf()))
}
