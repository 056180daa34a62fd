//! Which folders under `nodes/runs/` stay: those of the last runs. What was put aside for another database's runs
//! ([`RunDir::make_room`](super::run_dir::RunDir::make_room)) is the user's to remove.

use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::Path;

use crate::domain::layout::RUNS;
use crate::domain::{Fleet, RunId};

/// Removes the folders of ended runs in the project `dir` but those of the newest `keep`. The active run's folder, names
/// that are no run's, runs the fleet never had, and symbolic links are left alone.
///
/// # Errors
/// Where the folder cannot be read, or a run's not removed; the others are removed all the same.
pub(crate) fn prune(dir: &Path, fleet: &Fleet, keep: NonZeroU32) -> io::Result<()> {
    let Some(newest) = fleet.runs().next_back().map(|run| run.id) else { return Ok(()) };
    let active = fleet.active_run().map(|run| run.id);
    let folder = dir.join(RUNS);
    let mut ended = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        let run = entry.file_name().to_str().and_then(run_named);
        // The type of the entry itself: a link is no folder.
        if let Some(run) = run.filter(|run| *run <= newest && Some(*run) != active)
            && entry.file_type()?.is_dir()
        {
            ended.push(run);
        }
    }
    ended.sort_unstable();
    let spare = ended.len().saturating_sub(usize::try_from(keep.get()).unwrap_or(usize::MAX));
    let remove = |run: &RunId| fs::remove_dir_all(folder.join(run.to_string()));
    ended.iter().take(spare).map(remove).fold(Ok(()), Result::and)
}

/// The run whose folder is called so; `r07` is nobody's.
fn run_named(name: &str) -> Option<RunId> {
    name.parse().ok().filter(|run: &RunId| run.to_string() == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;
    use rstest::rstest;

    use super::*;
    use crate::domain::{Event, Origin, Recorded, RunOutcome, RunReason};

    /// A fleet that has had `count` runs, the last of which goes on where `is_active`.
    fn fleet(count: u64, is_active: bool) -> Fleet {
        let mut fleet = Fleet::default();
        for run in (1..=count).map(RunId) {
            let queued = Event::RunQueued {
                run,
                nodes: [].into(),
                by_gate: false,
                options: Box::default(),
                reason: RunReason::Plain,
            };
            let ended = Event::RunEnded { run, outcome: RunOutcome::Succeeded, hosts: [].into() };
            let ended = (run.0 < count || !is_active).then_some(ended);
            for event in [Some(queued), ended].into_iter().flatten() {
                fleet.apply(&Recorded { seq: 1, at: Timestamp::UNIX_EPOCH, origin: Origin::System, event });
            }
        }
        fleet
    }

    #[rstest]
    #[case::all_ended(12, false, 2, &["r11", "r12"])]
    #[case::the_active_one_does_not_count(12, true, 2, &["r10", "r11", "r12"])]
    #[case::more_than_there_are(12, false, 50, &["r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12"])]
    #[case::never_the_active_one(1, true, 1, &["r1"])]
    fn the_newest_stay(#[case] count: u64, #[case] is_active: bool, #[case] keep: u32, #[case] left: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        let runs = dir.path().join(RUNS);
        for run in 1..=count {
            let folder = runs.join(format!("r{run}/deep"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("output.log"), "x").unwrap();
        }
        prune(dir.path(), &fleet(count, is_active), keep.try_into().unwrap()).unwrap();
        assert_eq!(names(&runs), left.iter().map(|name| (*name).to_owned()).collect());
    }

    #[test]
    fn what_is_no_folder_of_a_run_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (runs, outside) = (dir.path().join(RUNS), dir.path().join("outside"));
        let folders = ["r1", "r2", "r02", "r1.20260726T081542Z.old", "rx", "notes", "r99"];
        for name in folders {
            fs::create_dir_all(runs.join(name)).unwrap();
        }
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("precious"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, runs.join("r3")).unwrap();
        std::os::unix::fs::symlink(&outside, runs.join("r1/link")).unwrap();
        fs::write(runs.join("r4"), "a file").unwrap();
        prune(dir.path(), &fleet(5, false), 1.try_into().unwrap()).unwrap();
        let left = ["r2", "r02", "r1.20260726T081542Z.old", "rx", "notes", "r99", "r3", "r4"];
        assert_eq!(names(&runs), left.map(str::to_owned).into());
        assert!(outside.join("precious").exists());
    }

    #[test]
    fn without_runs_nothing_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        prune(dir.path(), &Fleet::default(), 1.try_into().unwrap()).unwrap();
        assert!(prune(dir.path(), &fleet(1, false), 1.try_into().unwrap()).is_err(), "the folder is missing");
    }

    fn names(folder: &Path) -> BTreeSet<String> {
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}
