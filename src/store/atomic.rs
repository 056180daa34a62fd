//! Replacing a file whole: its readers see the old content or the new one, never a part, whatever happens meanwhile.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// How the name of a file in the making begins. Ansible reads every file of an inventory folder but those whose name
/// begins with a dot (ANSIBLE.md §1).
pub(super) const TEMPORARY: &str = ".prox-orchestrator-";

/// What must hold after a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The new content is on the disk before [`write()`] returns: for files that nothing else can bring back.
    Synced,
    /// Whatever the system has written: for files made anew at every start. Spares some 8 ms a file.
    Rebuilt,
}

/// What [`write()`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The file was replaced or made.
    Changed,
    /// It had this content and mode already, and was left alone.
    Same,
}

/// Makes `path` a regular file of `content` and permission bits `mode`. Its folder must exist. A symbolic link at
/// `path` is replaced, never followed.
///
/// # Errors
/// Where the folder cannot be written or `path` is a folder; the old file is then untouched.
pub fn write(path: &Path, content: &[u8], mode: u32, durability: Durability) -> io::Result<Written> {
    if has(path, content, mode) {
        return Ok(Written::Same);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).suffix(".tmp").tempfile_in(folder)?;
    file.write_all(content)?;
    // Set on purpose: a temporary file has 0600, and the umask must not matter.
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    if durability == Durability::Synced {
        file.as_file().sync_all()?;
    }
    file.persist(path).map_err(|error| error.error)?;
    if durability == Durability::Synced {
        File::open(folder)?.sync_all()?;
    }
    Ok(Written::Changed)
}

/// Whether `path` is a regular file of exactly this content and mode. Any doubt means no: then it is written.
fn has(path: &Path, content: &[u8], mode: u32) -> bool {
    let read = || -> io::Result<bool> {
        // Neither a link nor a pipe put there meanwhile may be followed or waited for.
        let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
        let about = file.metadata()?;
        let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
        if !about.is_file() || about.len() != length || about.mode() & 0o7777 != mode {
            return Ok(false);
        }
        let mut present = Vec::with_capacity(content.len());
        file.take(length.saturating_add(1)).read_to_end(&mut present)?;
        Ok(present == content)
    };
    read().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn names(dir: &Path) -> Vec<String> {
        dir.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[rstest]
    #[case(Durability::Synced)]
    #[case(Durability::Rebuilt)]
    fn a_file_is_made_kept_and_replaced(#[case] durability: Durability) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        let identity = || path.metadata().map(|about| (about.ino(), about.mode() & 0o7777)).unwrap();
        assert_eq!(write(&path, b"one", 0o644, durability).unwrap(), Written::Changed);
        let (first, mode) = identity();
        assert_eq!(mode, 0o644);
        assert_eq!(write(&path, b"one", 0o644, durability).unwrap(), Written::Same);
        assert_eq!(identity().0, first);
        assert_eq!(write(&path, b"one", 0o600, durability).unwrap(), Written::Changed);
        assert_eq!(identity().1, 0o600);
        assert_eq!(write(&path, b"two", 0o600, durability).unwrap(), Written::Changed);
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(names(dir.path()), ["x.json"]);
    }

    #[test]
    fn a_link_is_replaced_and_what_it_points_at_is_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, path) = (dir.path().join("outside"), dir.path().join("x"));
        std::fs::write(&outside, "same").unwrap();
        std::fs::set_permissions(&outside, Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        assert_eq!(write(&path, b"same", 0o644, Durability::Rebuilt).unwrap(), Written::Changed);
        assert!(path.symlink_metadata().unwrap().is_file());
        write(&path, b"new", 0o644, Durability::Rebuilt).unwrap();
        assert_eq!(std::fs::read(&outside).unwrap(), b"same");
    }

    #[test]
    fn a_pipe_does_not_stall_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(write(&path, b"x", 0o644, Durability::Rebuilt).unwrap(), Written::Changed);
        assert!(path.symlink_metadata().unwrap().is_file());
    }

    #[test]
    fn a_failure_leaves_the_old_state_and_no_rubbish() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        std::fs::create_dir(&folder).unwrap();
        assert!(write(&folder, b"x", 0o644, Durability::Synced).is_err());
        assert_eq!(names(dir.path()), ["folder"]);
        assert!(write(&dir.path().join("missing/x"), b"x", 0o644, Durability::Synced).is_err());
    }
}
