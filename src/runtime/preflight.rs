//! What a run needs, looked at while the engine runs: at the start, when one of the files it follows from changes, and again
//! and again while something is wrong, so that a cure shows.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::settings;
use super::stamp::Stamps;
use crate::ansible::Job;
use crate::ansible::check::{Report, Subject, check};
use crate::ansible::preflight::cautions;
use crate::config;
use crate::coordinator::Handle;
use crate::domain::layout::NODES;
use crate::domain::{RunId, RunOutcome, RunState};
use crate::server::AnswerKit;

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(5);
/// Time between two whole checks while something is wrong that no file of ours tells of, such as a missing program.
const AGAIN: Duration = Duration::from_mins(2);
/// Most files looked at.
const MAX_FILES: usize = 2_000;

/// Keeps `told` up to date until `shutdown`.
pub(super) async fn run(
    subject: Subject,
    handle: Handle,
    mut kit: watch::Receiver<Arc<AnswerKit>>,
    told: watch::Sender<Report>,
    shutdown: CancellationToken,
) {
    loop {
        let installs = settings::installs(&kit.borrow_and_update());
        let subject = Subject { installs, ..subject.clone() };
        let (seen, failed_run) = (look(&subject).await, not_started(&handle));
        let report = tokio::select! {
            () = shutdown.cancelled() => return,
            report = check(&subject) => report,
        };
        let is_wrong = report.findings.iter().any(|finding| finding.result.is_err());
        let looked = Instant::now();
        told.send_if_modified(|known| {
            let is_news = *known != report;
            *known = report;
            is_news
        });
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(LOOK) => {}
            }
            let is_due = is_wrong && looked.elapsed() >= AGAIN;
            let has_changed = kit.has_changed().unwrap_or(false) || not_started(&handle) != failed_run;
            if is_due || has_changed || !look(&subject).await.look_like(&seen) {
                break;
            }
        }
    }
}

/// The problems of a report, with what surprises although nothing is wrong.
pub(super) fn problems(report: &Report, dir: &Path) -> Vec<crate::domain::snapshot::Problem> {
    let wrong = report.findings.iter().filter_map(|finding| finding.result.as_ref().err().cloned());
    cautions(dir).into_iter().chain(wrong).collect()
}

/// The last run, where it could not be started: something is wrong that was not seen here.
fn not_started(handle: &Handle) -> Option<RunId> {
    let snapshot = handle.snapshot();
    let last = snapshot.fleet.runs().next_back()?;
    matches!(last.state, RunState::Ended { outcome: RunOutcome::NotStarted { .. }, .. }).then_some(last.id)
}

async fn look(subject: &Subject) -> Stamps {
    let subject = subject.clone();
    // A file system may take its time.
    tokio::task::spawn_blocking(move || look_at(&subject)).await.unwrap_or_default()
}

/// The files that a report follows from.
fn look_at(subject: &Subject) -> Stamps {
    let Job { dir, playbook: configured, private_key, command, .. } = &subject.job;
    let playbook = dir.join(configured);
    let beside = playbook.parent().unwrap_or(dir).join("roles");
    let overrides = config::node_folders(dir);
    // Taken from the end: many overrides leave room for what every run needs.
    let mut left: Vec<_> = overrides.iter().map(|node| dir.join(config::override_file(node))).collect();
    left.extend([
        dir.join("ansible.cfg"),
        dir.join("assets").join(configured),
        dir.join(NODES).join("group_vars"),
        dir.join(NODES).join("host_vars"),
        private_key.clone(),
        playbook,
        beside,
    ]);
    left.extend(command.clone());
    let mut seen = Stamps::default();
    while let Some(path) = left.pop() {
        let Ok(about) = fs::metadata(&path) else { continue };
        if about.is_dir() {
            left.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
        seen.add(path, &about);
        if seen.len() >= MAX_FILES {
            break;
        }
    }
    seen.sorted()
}
