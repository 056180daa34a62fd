//! Carries out what the fleet decided about runs: starts them, follows them over restarts, stops them, and reports how
//! they ended. It owns no state that is not on disk; when the engine ends, runs go on without it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _};
use std::num::NonZeroU32;
use std::time::Duration;

#[cfg(test)]
mod tests;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::events::Story;
use super::job::Job;
use super::keep;
use super::lines::Splitter;
use super::outcome::{Evidence, Judgement, judge};
use super::output::Feed;
use super::prepare;
use super::process::Identity;
use super::run_dir::{Ending, RunDir};
use super::stop::{StopTimes, Target, close_masters};
use crate::coordinator::{Handle, SubmitError};
use crate::domain::{Command, Effect, Fqdn, Origin, Run, RunId, RunOutcome, RunState, Snapshot};

/// How long a run waits for the files under `nodes/` to show the state it was decided in.
const PROJECTION_PATIENCE: Duration = Duration::from_secs(10);
/// Pause before the end of a run is told again to an engine that could not take it.
const RETRY: Duration = Duration::from_secs(1);
/// The end of the output that is searched for an error or a recap, in bytes.
const OUTPUT_TAIL: u64 = 256 * 1024;

/// How runs are started.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is run, and how it logs in.
    pub job: Job,
    /// SSH port where the inventory names none.
    pub ssh_port: u16,
    /// Command that leads a run; the run's folder is added as last argument. Usually this program's own path and
    /// [`SUBCOMMAND`](super::supervise::SUBCOMMAND).
    pub supervisor: Vec<OsString>,
    /// How long each step of a stop may take.
    pub patience: StopTimes,
    /// Ended runs that keep their folder.
    pub keep_runs: NonZeroU32,
}

/// The task that carries out effects.
#[derive(Debug)]
pub struct Runner {
    tools: Tools,
    presses: BTreeMap<RunId, watch::Sender<u32>>,
}

/// What the task of one run needs.
#[derive(Clone, Debug)]
struct Tools {
    handle: Handle,
    settings: Settings,
    feed: Feed,
    /// Sequence number the files under `nodes/` show.
    shown: watch::Receiver<u64>,
}

impl Runner {
    /// A runner that reports to `handle` and shows output through `feed`; `shown` is the sequence number the files under
    /// `nodes/` have reached.
    #[must_use]
    pub fn new(handle: Handle, settings: Settings, feed: Feed, shown: watch::Receiver<u64>) -> Self {
        Self { tools: Tools { handle, settings, feed, shown }, presses: BTreeMap::new() }
    }

    /// Works until `shutdown` or until nobody can send effects any more. Runs go on; who follows them ends.
    pub async fn run(mut self, mut effects: mpsc::Receiver<Effect>, shutdown: CancellationToken) {
        let tasks = TaskTracker::new();
        loop {
            let effect = tokio::select! {
                () = shutdown.cancelled() => break,
                effect = effects.recv() => effect,
            };
            let Some(effect) = effect else { break };
            self.presses.retain(|_, presses| !presses.is_closed());
            match effect {
                Effect::StartRun(run) | Effect::FollowRun(run) => self.lead(run, &tasks, &shutdown),
                Effect::StopRun(run) => {
                    if let Some(presses) = self.presses.get(&run) {
                        presses.send_modify(|count| *count += 1);
                    }
                }
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    fn lead(&mut self, run: RunId, tasks: &TaskTracker, shutdown: &CancellationToken) {
        if self.presses.contains_key(&run) {
            return;
        }
        let (sender, presses) = watch::channel(0);
        self.presses.insert(run, sender);
        let (tools, shutdown) = (self.tools.clone(), shutdown.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tools.lead(run, presses) => {}
            }
        });
    }
}

impl Tools {
    /// Takes a run from where it stands to its end.
    async fn lead(mut self, id: RunId, presses: watch::Receiver<u32>) {
        let snapshot = self.handle.snapshot();
        let Some(run) = snapshot.fleet.run(id).filter(|run| run.is_active()).cloned() else { return };
        let dir = RunDir::new(&self.settings.job.dir, id);
        let judgement = match self.start(&snapshot, &run, &dir, &presses).await {
            Ok(leader) => {
                self.feed.follow(id).await;
                self.submit(Command::RunStarted { run: id }).await;
                self.follow(&run, &dir, leader, presses).await
            }
            Err(judgement) => judgement,
        };
        self.feed.follow(id).await;
        self.feed.finish(id).await;
        tracing::info!(run.id = %id, "run `{id}` {}", judgement.outcome.word());
        self.submit(Command::RunEnded { run: id, outcome: judgement.outcome, hosts: judgement.hosts }).await;
        self.prune().await;
    }

    /// Removes the folders of old runs. One that stays costs disk space only.
    async fn prune(&self) {
        let (dir, keep, snapshot) = (self.settings.job.dir.clone(), self.settings.keep_runs, self.handle.snapshot());
        let pruning = tokio::task::spawn_blocking(move || keep::prune(&dir, &snapshot.fleet, keep));
        if let Ok(Err(error)) = pruning.await {
            tracing::warn!(%error, "old folders under `nodes/runs/` are still there");
        }
    }

    /// The process that leads the run: found again, or started.
    async fn start(
        &mut self,
        snapshot: &Snapshot,
        run: &Run,
        dir: &RunDir,
        presses: &watch::Receiver<u32>,
    ) -> Result<Identity, Judgement> {
        if !matches!(run.state, RunState::Queued { .. }) {
            return dir.process().ok_or_else(|| Judgement::without_hosts(RunOutcome::Interrupted));
        }
        let not_started = |error: prepare::PrepareError| Judgement::not_started(&error.to_string());
        prepare::make_room(dir, run).map_err(not_started)?;
        if let Some(leader) = dir.process() {
            // The engine died right after starting it: it is not started again.
            return Ok(leader);
        }
        if run.is_stopping() {
            return withdraw(dir);
        }
        let nodes = prepare::nodes(&snapshot.fleet, run).map_err(not_started)?;
        let others = prepare::others(&snapshot.fleet, run);
        let is_shown = async { self.shown.wait_for(|shown| *shown >= snapshot.seq).await.is_ok() };
        if !tokio::time::timeout(PROJECTION_PATIENCE, is_shown).await.unwrap_or(false) {
            let reason =
                "the files under `nodes/` are not up to date; see the log, free disk space or make the folder writable";
            return Err(Judgement::not_started(reason));
        }
        if *presses.borrow() > 0 {
            return withdraw(dir);
        }
        prepare::start(&self.settings, run, dir, &nodes, &others).await.map_err(not_started)
    }

    /// Waits for the end, or brings it about, and judges it.
    async fn follow(&self, run: &Run, dir: &RunDir, leader: Identity, mut presses: watch::Receiver<u32>) -> Judgement {
        let was_stopping = run.is_stopping();
        let target = Target::new(dir.clone(), leader);
        if was_stopping {
            // The engine died in the middle of the sequence: begin again.
            target.stop(&mut presses, 0, self.settings.patience).await;
        } else {
            tokio::select! {
                () = target.ended() => {}
                Ok(_) = presses.wait_for(|count| *count > 0) => {}
            }
            if *presses.borrow() > 0 {
                target.stop(&mut presses, 1, self.settings.patience).await;
            }
        }
        let is_stopped = was_stopping || *presses.borrow() > 0;
        let exit = dir.exit();
        if exit.is_none() {
            target.kill_leftovers().await;
        }
        if let Ok(invocation) = dir.invocation() {
            close_masters(&invocation.control_dir).await;
        }
        let (run, dir) = (run.clone(), dir.clone());
        let judging = tokio::task::spawn_blocking(move || {
            judge_files(&run, &dir, exit.map(|exit| exit.how).as_ref(), is_stopped)
        });
        judging.await.unwrap_or_else(|_| Judgement::without_hosts(RunOutcome::Interrupted))
    }

    /// Submits until it is stored; a run's end must not be lost while the engine runs. A refusal is an answer.
    async fn submit(&self, command: Command) {
        loop {
            match self.handle.submit(Origin::System, command.clone()).await {
                Err(error) if error.may_pass() => {
                    tracing::warn!(%error, "telling the news of a run again");
                    tokio::time::sleep(RETRY).await;
                }
                Err(SubmitError::Refused(refusal)) => {
                    tracing::warn!(%refusal, "the fleet did not take the news of a run");
                    return;
                }
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// Ends a run that was stopped before it began. A supervisor that is on its way all the same finds the run claimed;
/// one that was quicker leads it.
fn withdraw(dir: &RunDir) -> Result<Identity, Judgement> {
    let claimed = dir.claim(&Identity::nobody());
    let leader = claimed.is_err().then(|| dir.process()).flatten();
    leader.ok_or_else(|| Judgement::without_hosts(RunOutcome::Cancelled))
}

/// Judges a run by its files, and completes its record. Missing ones are like empty ones: they say nothing.
fn judge_files(run: &Run, dir: &RunDir, ending: Option<&Ending>, is_stopped: bool) -> Judgement {
    let nodes: BTreeSet<Fqdn> = run.nodes.values().cloned().collect();
    let story =
        File::open(dir.events()).and_then(|file| Story::read(BufReader::new(file), |name| nodes.contains(name)));
    let output = output_tail(dir).unwrap_or_default();
    let story = story.unwrap_or_default();
    let options = &run.options;
    let judgement = judge(&Evidence { ending, story: &story, output: &output, nodes: &nodes, is_stopped, options });
    let at = dir.exit().map_or_else(jiff::Timestamp::now, |exit| exit.ended);
    let completed = dir.record().and_then(|record| dir.write_record(&record.ended(&judgement, &story, ending, at)));
    if let Err(error) = completed {
        tracing::warn!(%error, "the record of run `{}` stays without its end", run.id);
    }
    judgement
}

/// The last lines of the output.
fn output_tail(dir: &RunDir) -> io::Result<Vec<String>> {
    let mut file = File::open(dir.output())?;
    let start = file.metadata()?.len().saturating_sub(OUTPUT_TAIL);
    file.seek(io::SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(OUTPUT_TAIL).read_to_end(&mut bytes)?;
    let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
    splitter.push(&bytes, |line| lines.push(line));
    lines.extend(splitter.finish());
    Ok(lines)
}
