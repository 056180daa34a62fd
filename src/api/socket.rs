//! Where the socket is. Its path may be too long for the kernel, so there can be a pointer to it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::store::atomic::{self, Durability};

/// Name of the socket in the state folder.
const NAME: &str = "socket";
/// Name of the file that names the socket where the state folder's path is too long.
const POINTER: &str = "socket.path";
/// How the name of a folder begins that holds nothing but a socket.
const FOLDER: &str = "prox-orchestrator-";
/// Longest path used, in bytes: the kernel allows 107, some tools less.
const MAX_PATH: usize = 100;

/// Why no socket can be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// No engine serves this folder.
    #[error("no engine is running in `{}`; start one with `prox-orchestrator` or `prox-orchestrator serve`", .0.display())]
    NotRunning(PathBuf),
    /// A file could not be read or written.
    #[error("cannot use `{}`; check the folder's owner, its path's length and the free space", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Chooses the path to listen on. Where it is not in `state_dir`, it is in a folder of its own that only we may enter,
/// and a pointer to it is left in `state_dir`; `bases` are the folders it may be made in, the best one first.
pub(super) fn choose(state_dir: &Path, bases: &[PathBuf]) -> Result<PathBuf, SocketError> {
    let own = state_dir.join(NAME);
    if is_short(&own) {
        return Ok(own);
    }
    // An engine that was killed has left its folder.
    if let Some(left) = pointed(state_dir) {
        discard(&left);
    }
    let is_usable = |base: &&PathBuf| is_short(&base.join(FOLDER).join("XXXXXX").join(NAME));
    let fail = |path: &Path| {
        let path = path.to_owned();
        |source| SocketError::Io { path, source }
    };
    let base = bases.iter().find(is_usable).ok_or_else(|| fail(&own)(io::ErrorKind::InvalidFilename.into()))?;
    let private = fs::Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new().prefix(FOLDER).permissions(private).tempdir_in(base).map_err(fail(base))?;
    let path = folder.path().join(NAME);
    let pointer = state_dir.join(POINTER);
    let bytes = path.as_os_str().as_bytes();
    atomic::write(&pointer, bytes, 0o600, Durability::Rebuilt).map_err(fail(&pointer))?;
    let _ = folder.keep();
    Ok(path)
}

/// Folders for the sockets of state folders with long paths.
pub(super) fn bases() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]).collect()
}

/// Removes a socket, and the folder that was made for it.
pub(super) fn discard(path: &Path) {
    let _ = fs::remove_file(path);
    let folder = path
        .parent()
        .filter(|folder| folder.file_name().is_some_and(|name| name.as_bytes().starts_with(FOLDER.as_bytes())));
    if let Some(folder) = folder {
        // Fails where anything else is in it, as it should.
        let _ = fs::remove_dir(folder);
    }
}

/// Finds the socket of the engine that serves `state_dir`.
///
/// # Errors
/// [`SocketError::NotRunning`] where there is none.
pub fn find(state_dir: &Path) -> Result<PathBuf, SocketError> {
    let own = state_dir.join(NAME);
    if own.exists() {
        // The same folder may have a longer path here than where the engine was started.
        return Ok(if is_short(&own) { own } else { own.canonicalize().unwrap_or(own) });
    }
    pointed(state_dir).filter(|path| path.exists()).ok_or_else(|| SocketError::NotRunning(state_dir.to_path_buf()))
}

/// What the pointer says.
fn pointed(state_dir: &Path) -> Option<PathBuf> {
    let bytes = fs::read(state_dir.join(POINTER)).ok()?;
    let path = PathBuf::from(OsString::from_vec(bytes));
    Some(path).filter(|path| path.is_absolute() && path.file_name().is_some_and(|name| name == NAME))
}

fn is_short(path: &Path) -> bool {
    path.as_os_str().len() <= MAX_PATH
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state folder whose path is too long for a socket.
    fn deep(dir: &Path) -> PathBuf {
        let deep = dir.join("x".repeat(MAX_PATH)).join(".prox-orchestrator");
        fs::create_dir_all(&deep).unwrap();
        deep
    }

    fn names(folder: &Path) -> Vec<String> {
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_short_path_is_used_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = choose(dir.path(), &[]).unwrap();
        assert_eq!(path, dir.path().join("socket"));
        assert!(matches!(find(dir.path()), Err(SocketError::NotRunning(folder)) if folder == dir.path()));
        fs::write(&path, "").unwrap();
        assert_eq!(find(dir.path()).unwrap(), path);
        assert_eq!(names(dir.path()), ["socket"], "no pointer");
    }

    #[test]
    fn a_long_path_gets_a_pointer_and_a_private_folder() {
        let (dir, base) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let state = deep(dir.path());
        let bases = [base.path().join("y".repeat(MAX_PATH)), base.path().to_owned()];
        let path = choose(&state, &bases).unwrap();
        assert!(path.starts_with(base.path()) && path.as_os_str().len() <= MAX_PATH, "{path:?}");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(path.parent().unwrap()), mode(&state.join(POINTER))), (0o700, 0o600));
        assert!(matches!(find(&state), Err(SocketError::NotRunning(_))), "nobody listens yet");
        fs::write(&path, "").unwrap();
        assert_eq!(find(&state).unwrap(), path);

        let next = choose(&state, &bases).unwrap();
        assert!(next != path && !path.parent().unwrap().exists(), "what a killed engine left is gone");
        discard(&next);
        assert_eq!(names(base.path()), Vec::<String>::new());
    }

    #[test]
    fn without_a_short_place_the_path_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let state = deep(dir.path());
        let error = choose(&state, &[]).unwrap_err();
        assert!(matches!(error, SocketError::Io { path, .. } if path == state.join("socket")));
    }

    #[test]
    fn a_longer_way_to_the_same_folder_is_shortened() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("x".repeat(MAX_PATH));
        std::os::unix::fs::symlink(dir.path(), &long).unwrap();
        fs::write(dir.path().join(NAME), "").unwrap();
        assert_eq!(find(&long).unwrap(), dir.path().canonicalize().unwrap().join(NAME));
    }

    #[test]
    fn a_strange_pointer_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let state = deep(dir.path());
        let precious = dir.path().join("precious");
        fs::write(&precious, "x").unwrap();
        fs::write(state.join(POINTER), precious.as_os_str().as_bytes()).unwrap();
        assert!(matches!(find(&state), Err(SocketError::NotRunning(_))));
        discard(&choose(&state, &[dir.path().to_owned()]).unwrap());
        assert!(precious.exists());
    }
}
