//! One engine per state folder: a lock that the system gives back whenever its holder ends, however that happens.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The lock's name in the state folder. The file stays; only the lock on it counts.
const FILE: &str = "lock";

/// Longest process id read from the file, in bytes.
const PID_BYTES: u64 = 20;

/// The right to write into a state folder, held until it is dropped.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

/// Why the folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another engine works in this folder.
    #[error(
        "another prox-orchestrator{} works in `{dir}`; use its console or `prox-orchestrator nodes`, or quit it first",
        pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Held {
        /// The state folder.
        dir: PathBuf,
        /// The other's process id, where its file tells.
        pid: Option<u32>,
    },
    /// The lock file could not be made or locked.
    #[error("cannot lock `{path}`; check that this user may write there and that its disk is not full or read-only")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StateLock {
    /// Takes the lock of `state_dir` without waiting, making the folder (0700) where it is missing.
    ///
    /// # Errors
    /// Where another process has it, or the file cannot be made.
    pub fn take(state_dir: &Path) -> Result<Self, LockError> {
        let path = state_dir.join(FILE);
        let fail = |source| LockError::Io { path: path.clone(), source };
        super::sqlite::prepare_folder(state_dir).map_err(fail)?;
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { dir: state_dir.to_owned(), pid: holder(&file) });
            }
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        }
        // Only words for the next one to come: on a full disk the lock holds without them.
        if let Err(error) = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())) {
            tracing::warn!(%error, "cannot write the process id into `{}`", path.display());
        }
        Ok(Self { _file: file })
    }
}

fn holder(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_BYTES).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let lock = StateLock::take(&state).unwrap();
        let error = StateLock::take(&state).unwrap_err();
        assert!(matches!(error, LockError::Held { pid: Some(pid), .. } if pid == std::process::id()));
        assert!(error.to_string().contains(&format!("(process {})", std::process::id())));
        drop(lock);
        StateLock::take(&state).unwrap();
    }

    #[test]
    fn what_a_dead_or_odd_holder_left_does_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "4294967295 and some rubbish that is longer").unwrap();
        let lock = StateLock::take(dir.path()).unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join(FILE)).unwrap(), format!("{}\n", std::process::id()));
        std::fs::write(dir.path().join(FILE), [0xff, 0xfe]).unwrap();
        let error = StateLock::take(dir.path()).unwrap_err();
        assert!(matches!(error, LockError::Held { pid: None, .. }));
        drop(lock);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let error = StateLock::take(&dir.path().join("file/state")).unwrap_err();
        assert!(matches!(error, LockError::Io { .. }) && error.to_string().contains("file/state/lock"));
    }
}
