//! Whether files have changed, told without reading them. No file is opened here.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file that changed less than this ago may change once more without a trace: file systems keep times as coarse as two
/// seconds.
const COARSE: Duration = Duration::from_secs(2);

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    modified: (i64, i64),
    /// Also where somebody set the other time back: a copy that keeps it, a restored backup.
    changed: (i64, i64),
}

impl Stamp {
    fn of(about: &Metadata) -> Self {
        Self {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            mode: about.mode(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }

    /// Whether its next change will show. A clock that is ahead, such as that of a file server, leaves a file fresh: it is
    /// read more often than it need be.
    fn is_settled(&self) -> bool {
        let (seconds, _) = self.modified.max(self.changed);
        let last = UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        let age = last.and_then(|last| SystemTime::now().duration_since(last).ok());
        age.is_some_and(|age| age > COARSE)
    }
}

/// Files as they are at one moment; those that are not there are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamps {
    files: Vec<(PathBuf, Stamp)>,
    /// Whether one of them may change again without a trace.
    is_fresh: bool,
}

impl Stamps {
    /// Looks at files, following links; one that leads nowhere is looked at itself.
    pub(super) fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut stamps = Self::default();
        for path in paths {
            if let Ok(about) = fs::metadata(&path).or_else(|_| fs::symlink_metadata(&path)) {
                stamps.add(path, &about);
            }
        }
        stamps
    }

    /// Adds a file that was looked at.
    pub(super) fn add(&mut self, path: PathBuf, about: &Metadata) {
        let stamp = Stamp::of(about);
        self.is_fresh |= !stamp.is_settled();
        self.files.push((path, stamp));
    }

    /// How many files there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is such a file or folder.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.files.iter().any(|(known, _)| known == path)
    }

    /// Whether there is such a file, with something in it.
    pub(super) fn has_content(&self, path: &Path) -> bool {
        self.files.iter().any(|(known, stamp)| known == path && stamp.size > 0)
    }

    /// Whether the files are the same ones and look the same.
    pub(super) fn look_like(&self, later: &Self) -> bool {
        self.files == later.files
    }

    /// Whether what was read after this look is still what is there at the `later` one.
    pub(super) fn hold(&self, later: &Self) -> bool {
        !self.is_fresh && self.look_like(later)
    }

    /// As if they had been left alone for long.
    #[cfg(test)]
    pub(super) fn aged(self) -> Self {
        Self { is_fresh: false, ..self }
    }

    /// In an order of their own, where they were found in none.
    pub(super) fn sorted(mut self) -> Self {
        self.files.sort_unstable();
        self
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};

    use super::*;

    fn dated(path: &Path, text: &str, age: Duration) {
        fs::write(path, text).unwrap();
        let times = FileTimes::new().set_modified(SystemTime::now() - age);
        File::options().write(true).open(path).unwrap().set_times(times).unwrap();
    }

    #[test]
    fn a_change_that_keeps_size_and_time_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        let look = || Stamps::of([path.clone()]);
        let old = Duration::from_hours(1);
        let then = SystemTime::now() - old;
        let set = || File::options().write(true).open(&path).unwrap().set_times(FileTimes::new().set_modified(then));
        dated(&path, "a = 1\n", old);
        set().unwrap();
        let first = look();
        assert!(first.look_like(&look()) && first.has_content(&path));
        // The clock of the file system may stand still for some milliseconds; the time of the change cannot be set back.
        let begun = std::time::Instant::now();
        while first.look_like(&look()) {
            assert!(begun.elapsed() < Duration::from_secs(20), "the change is not seen");
            fs::write(&path, "a = 2\n").unwrap();
            set().unwrap();
        }
        fs::remove_file(&path).unwrap();
        assert!(!first.look_like(&look()) && look().len() == 0);
    }

    #[test]
    fn what_is_fresh_is_not_held_for_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        fs::write(&path, "a = 1\n").unwrap();
        let first = Stamps::of([path.clone()]);
        assert!(first.look_like(&Stamps::of([path.clone()])) && !first.hold(&Stamps::of([path])));
        assert!(Stamps::default().hold(&Stamps::default()), "no file is no file");
    }
}
