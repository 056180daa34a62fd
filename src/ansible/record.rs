//! The record of a run, `record.json` in its folder: what was run, by whom and why, and what came of it. For people, for
//! `prox-orchestrator runs`, and to tell how long a later run of the same playbook will take.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::argv::Invocation;
use super::events::Story;
use super::outcome::Judgement;
use super::run_dir::{Ending, RunDir};
use crate::domain::grid::Course;
use crate::domain::layout::RUNS;
use crate::domain::play::HostNumbers;
use crate::domain::run::HostResult;
use crate::domain::{Fqdn, Origin, Run, RunId, RunOptions, RunOutcome};

/// Most files and bytes of roles that are looked at for a playbook's digest.
const MAX_FILES: usize = 2_000;
const MAX_BYTES: u64 = 32 << 20;

/// What was run, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number.
    pub run: RunId,
    /// When it was asked for.
    pub queued: Timestamp,
    /// Who asked.
    pub by: Option<Origin>,
    /// Why, in words.
    pub why: String,
    /// What was chosen for it.
    #[serde(default)]
    pub options: RunOptions,
    /// The nodes it was limited to.
    pub nodes: Vec<Fqdn>,
    /// The playbook, as it was given to Ansible.
    pub playbook: PathBuf,
    /// SHA-256 of the playbook and of the roles beside it, in hex.
    pub playbook_sha256: Option<String>,
    /// The command line, to be pasted into a shell.
    pub command: String,
    /// What came of it; `None` while it goes on, and for ever where nobody saw its end.
    #[serde(default)]
    pub end: Option<End>,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// How.
    #[serde(flatten)]
    pub outcome: RunOutcome,
    /// How `ansible-playbook` ended: `code`, `signal` or `not_started`.
    pub process: Option<Ending>,
    /// What came of each node.
    pub hosts: BTreeMap<Fqdn, HostEnd>,
    /// What it did when.
    pub course: Course,
}

/// What came of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEnd {
    /// In short.
    #[serde(flatten)]
    pub result: HostResult,
    /// In numbers.
    #[serde(default)]
    pub numbers: Option<HostNumbers>,
}

impl Record {
    /// Of a run that is about to begin.
    pub(super) fn of(run: &Run, invocation: &Invocation, playbook: &Path) -> Self {
        Self {
            run: run.id,
            queued: run.queued,
            by: run.by.clone(),
            why: run.why().to_owned(),
            options: (*run.options).clone(),
            nodes: run.nodes.values().cloned().collect(),
            playbook: playbook.to_owned(),
            playbook_sha256: digest(&invocation.cwd.join(playbook)).ok(),
            command: invocation.shell_line(),
            end: None,
        }
    }

    /// The same with its end.
    pub(super) fn ended(self, judgement: &Judgement, story: &Story, process: Option<&Ending>, at: Timestamp) -> Self {
        let numbers: BTreeMap<&str, HostNumbers> =
            story.grid.hosts.iter().filter_map(|host| Some((host.name.as_str(), host.numbers?))).collect();
        let host = |(name, result): (&Fqdn, &HostResult)| {
            let numbers = numbers.get(name.as_str()).copied();
            (name.clone(), HostEnd { result: result.clone(), numbers })
        };
        let end = End {
            at,
            outcome: judgement.outcome.clone(),
            process: process.cloned(),
            hosts: judgement.hosts.iter().map(host).collect(),
            course: story.grid.course(),
        };
        Self { end: Some(end), ..self }
    }
}

/// The records in the project `dir`, newest first. Folders without one, and records that cannot be read, are left out.
///
/// # Errors
/// Where the folder of runs cannot be read; one that is missing has no runs.
pub fn records(dir: &Path) -> io::Result<Vec<Record>> {
    let entries = match fs::read_dir(dir.join(RUNS)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut records: Vec<Record> = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_named = |record: &Record| path.file_name().is_some_and(|name| *name == *record.run.to_string());
        records.extend(RunDir::at(&path).record().ok().filter(is_named));
    }
    records.sort_by_key(|record| std::cmp::Reverse(record.run));
    Ok(records)
}

/// How the last complete run of the same playbook before `run` went; one of the same bytes goes before others.
pub(super) fn course_before(dir: &Path, run: RunId) -> Option<Course> {
    let own = RunDir::new(dir, run).record().ok()?;
    let is_like = |record: &Record| {
        let is_whole = |end: &End| matches!(end.outcome, RunOutcome::Succeeded | RunOutcome::Failed { .. });
        record.run < run
            && record.playbook == own.playbook
            && record.options.tags == own.options.tags
            && record.options.skip_tags == own.options.skip_tags
            && record.options.check == own.options.check
            && record.end.as_ref().is_some_and(is_whole)
    };
    let like: Vec<Record> = records(dir).ok()?.into_iter().filter(is_like).collect();
    let same = like.iter().find(|record| record.playbook_sha256 == own.playbook_sha256);
    same.or(like.first()).and_then(|record| record.end.as_ref()).map(|end| end.course.clone())
}

/// SHA-256 of a playbook and of all files of the folder `roles` beside it, in hex.
fn digest(playbook: &Path) -> io::Result<String> {
    let mut files = vec![playbook.to_owned()];
    let mut folders: Vec<PathBuf> = playbook.parent().map(|parent| parent.join("roles")).into_iter().collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() && files.len() < MAX_FILES => files.push(entry.path()),
                Ok(_) | Err(_) => {}
            }
        }
    }
    files[1..].sort();
    let (mut hasher, mut left) = (Sha256::new(), MAX_BYTES);
    for file in files {
        // Looked at before it is read: it may be a disk image.
        let size = fs::metadata(&file)?.len();
        left = left.checked_sub(size).ok_or_else(|| io::Error::other("the roles are too large"))?;
        let text = fs::read(&file)?;
        hasher.update(
            file.strip_prefix(playbook.parent().unwrap_or(playbook)).unwrap_or(&file).as_os_str().as_encoded_bytes(),
        );
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(&text);
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::grid::Step;

    #[test]
    fn the_digest_is_that_of_playbook_and_roles() {
        let dir = tempfile::tempdir().unwrap();
        let playbook = dir.path().join("site.yml");
        fs::write(&playbook, "- hosts: all").unwrap();
        let alone = digest(&playbook).unwrap();
        fs::create_dir_all(dir.path().join("roles/a/tasks")).unwrap();
        fs::write(dir.path().join("roles/a/tasks/main.yml"), "x").unwrap();
        let with_role = digest(&playbook).unwrap();
        fs::rename(dir.path().join("roles/a"), dir.path().join("roles/b")).unwrap();
        let renamed = digest(&playbook).unwrap();
        assert!(alone != with_role && with_role != renamed && renamed.len() == 64);
        assert_eq!(digest(&playbook).unwrap(), renamed);
        assert!(digest(&dir.path().join("none.yml")).is_err());
        // A disk image among the files of a role; it takes no room here.
        let image = fs::File::create(dir.path().join("roles/b/image")).unwrap();
        image.set_len(MAX_BYTES + 1).unwrap();
        assert!(digest(&playbook).unwrap_err().to_string().contains("too large"));
    }

    fn record(dir: &Path, run: u64, sha: &str, took: Option<f64>) {
        let folder = RunDir::new(dir, RunId(run));
        fs::create_dir_all(folder.path()).unwrap();
        let course = |took| Course { took, steps: vec![Step { task: "t".to_owned(), at: 0.0, took }] };
        let end = took.map(|took| End {
            at: Timestamp::UNIX_EPOCH,
            outcome: RunOutcome::Succeeded,
            process: Some(Ending::Code(0)),
            hosts: [("a.lab".parse().unwrap(), HostEnd { result: HostResult::Configured, numbers: None })].into(),
            course: course(took),
        });
        let record = Record {
            run: RunId(run),
            queued: Timestamp::UNIX_EPOCH,
            by: Some(Origin::Operator("op".to_owned())),
            why: "ordered".to_owned(),
            options: RunOptions::default(),
            nodes: vec!["a.lab".parse().unwrap()],
            playbook: "site.yml".into(),
            playbook_sha256: Some(sha.to_owned()),
            command: "ansible-playbook site.yml".to_owned(),
            end,
        };
        folder.write_record(&record).unwrap();
        assert_eq!(folder.record().unwrap(), record);
    }

    #[test]
    fn the_last_run_of_the_same_playbook_tells_how_long_it_takes() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(records(dir.path()).unwrap(), []);
        record(dir.path(), 1, "same", Some(1.0));
        record(dir.path(), 2, "other", Some(2.0));
        record(dir.path(), 3, "same", None);
        record(dir.path(), 4, "same", None);
        fs::create_dir(dir.path().join(RUNS).join("r9.20260101T000000Z.old")).unwrap();
        fs::copy(
            dir.path().join(RUNS).join("r1/record.json"),
            dir.path().join(RUNS).join("r9.20260101T000000Z.old/record.json"),
        )
        .unwrap();
        let numbers: Vec<_> = records(dir.path()).unwrap().iter().map(|record| record.run.0).collect();
        assert_eq!(numbers, [4, 3, 2, 1], "what was put aside is another database's");
        assert_eq!(course_before(dir.path(), RunId(4)).unwrap().took.to_string(), "1");
        record(dir.path(), 5, "third", None);
        assert_eq!(course_before(dir.path(), RunId(5)).unwrap().took.to_string(), "2");
        assert_eq!(course_before(dir.path(), RunId(1)), None);
    }
}
