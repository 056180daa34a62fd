//! Kills on the way from request to answer, and from there to the files under `nodes/`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prox_orchestrator::domain::Snapshot;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rstest::rstest;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::audit::Audit;
use crate::desk::Desk;
use crate::engine::{Engine, Lab, until};
use crate::machines::{Asker, Book, Round};
use crate::seed;

/// Machines that come new in every round; every fourth is a stranger.
const NEW: usize = 12;

/// Rounds a machine takes part in at most; strangers never get what they want.
const LIFE: u32 = 3;

/// Where the engine is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// While requests are held open.
    Hold,
    /// While approvals and answers are being committed.
    Commit,
    /// When the first byte of a reply has arrived somewhere.
    Reply,
    /// While the files under `nodes/` change.
    Projection,
}

#[rstest]
#[case::hold(Moment::Hold, false, 22)]
#[case::commit(Moment::Commit, false, 20)]
#[case::commit_tls(Moment::Commit, true, 5)]
#[case::reply(Moment::Reply, false, 20)]
#[case::reply_tls(Moment::Reply, true, 3)]
#[case::projection(Moment::Projection, false, 15)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_engines_forget_nothing(#[case] moment: Moment, #[case] tls: bool, #[case] kills: u32) {
    let seed = seed();
    println!("PROX_CRASH_SEED={seed}");
    let mut rack = Rack::new(moment, tls, seed);
    let mut hits = 0;
    for kill in 1..=kills {
        println!("kill {kill} of {kills}");
        hits += u32::from(rack.round().await);
    }
    rack.settle().await;
    let (answers, book) = (rack.audit.answers(), rack.book.lock().unwrap());
    println!(
        "{moment:?}: {hits} of {kills} kills hit, {answers} answers stored, {} received, {} retry answers, {} reports",
        book.answers.len(),
        book.retries,
        book.reported.len()
    );
    assert!(hits >= kills.min(5).min(kills / 2 + 1), "only {hits} of {kills} kills hit the moment");
    assert!(!book.answers.is_empty());
}

/// A folder, the machines around it, and all that is known about them.
struct Rack {
    moment: Moment,
    lab: Lab,
    seed: u64,
    rng: StdRng,
    next: usize,
    askers: BTreeMap<Uuid, Asker>,
    /// Machines still in the game, and for how many rounds.
    waiting: Vec<(Uuid, u32)>,
    book: Arc<Mutex<Book>>,
    audit: Audit,
}

impl Rack {
    fn new(moment: Moment, tls: bool, seed: u64) -> Self {
        Self {
            moment,
            // Short, so that retry answers are a part of the load.
            lab: Lab::new(tls, "[server]\nhold = \"1s\"\n"),
            seed,
            rng: StdRng::seed_from_u64(seed),
            next: 0,
            askers: BTreeMap::new(),
            waiting: Vec::new(),
            book: Arc::default(),
            audit: Audit::default(),
        }
    }

    /// Starts the engine, checks what it knows, lets machines ask, and kills it. Returns whether the moment was hit.
    async fn round(&mut self) -> bool {
        let (engine, snapshot) = self.start().await;
        self.power_on_new_ones();
        let round = Arc::new(Round {
            url: self.lab.url(),
            fingerprint: snapshot.service.fingerprint.clone(),
            book: Arc::clone(&self.book),
            first_byte: Notify::new(),
            is_reporting: self.moment == Moment::Projection,
            over: CancellationToken::new(),
        });
        let mut lives = JoinSet::new();
        for (uuid, rounds) in std::mem::take(&mut self.waiting) {
            let (asker, round) = (self.askers[&uuid].clone(), Arc::clone(&round));
            lives.spawn(async move { asker.live(&round).await.then_some((uuid, rounds + 1)) });
        }
        let is_hit = self.strike(engine, &round).await;
        round.over.cancel();
        let left = lives.join_all().await;
        self.waiting = left.into_iter().flatten().filter(|(_, rounds)| *rounds < LIFE).collect();
        is_hit
    }

    async fn start(&mut self) -> (Engine, Snapshot) {
        let (engine, snapshot) = self.lab.start().await;
        assert!(snapshot.holds.is_empty(), "nobody is held by an engine that was not there");
        self.audit.read_on(&self.lab.state_dir(), snapshot.seq);
        self.audit.check(&snapshot, &self.book.lock().unwrap(), &self.askers);
        (engine, snapshot)
    }

    fn power_on_new_ones(&mut self) {
        for _ in 0..NEW {
            self.next += 1;
            let asker = Asker::new(self.seed, self.next, self.next.is_multiple_of(4));
            self.waiting.push((asker.uuid(), 0));
            self.askers.insert(asker.uuid(), asker);
        }
    }

    /// Lets up to `most` pass; half of the times nothing, since a timer never takes less than a millisecond.
    async fn pause(&mut self, most: Duration) {
        if self.rng.random_bool(0.5) {
            sleep(most.mul_f64(self.rng.random())).await;
        }
    }

    /// Waits for the moment, then kills.
    async fn strike(&mut self, engine: Engine, round: &Arc<Round>) -> bool {
        let strangers =
            self.askers.values().filter(|asker| asker.is_stranger).map(Asker::uuid).collect::<BTreeSet<_>>();
        let desk = Desk::new(engine.operator(), Arc::clone(&self.book), strangers);
        match self.moment {
            Moment::Hold => {
                // Half of the times some are approved while others are held.
                let work = self.rng.random_bool(0.5).then(|| tokio::spawn(desk.approve_until(round.over.clone())));
                engine.until("held requests", |snapshot| snapshot.holds.len() >= 3).await;
                self.pause(Duration::from_millis(5)).await;
                engine.kill();
                finish(work).await;
                true
            }
            Moment::Commit => {
                engine.until("held requests", |snapshot| snapshot.holds.len() >= NEW / 2).await;
                let work = tokio::spawn(desk.clone().approve_until(round.over.clone()));
                if self.rng.random_bool(0.5) {
                    until("an order", || desk.has_ordered() || work.is_finished()).await;
                    self.pause(Duration::from_millis(8)).await;
                } else {
                    // What was confirmed must be there for good, at once.
                    let _ = timeout(Duration::from_secs(20), desk.confirmed.notified()).await;
                }
                let is_hit = desk.is_any_in_flight();
                engine.kill();
                round.over.cancel();
                finish(Some(work)).await;
                is_hit
            }
            Moment::Reply => {
                let work = tokio::spawn(desk.approve_until(round.over.clone()));
                let came = timeout(Duration::from_secs(20), round.first_byte.notified()).await.is_ok();
                self.pause(Duration::from_millis(2)).await;
                engine.kill();
                round.over.cancel();
                finish(Some(work)).await;
                came
            }
            Moment::Projection => {
                let work = tokio::spawn(desk.clone().approve_until(round.over.clone()));
                let before = newest_change(self.lab.dir());
                let renaming = tokio::spawn(desk.rename_one(self.seed, self.next));
                until("a change under nodes/", || newest_change(self.lab.dir()) != before).await;
                let later = newest_change(self.lab.dir());
                sleep(Duration::from_millis(self.rng.random_range(0..300))).await;
                let is_hit = newest_change(self.lab.dir()) != later;
                engine.kill();
                round.over.cancel();
                finish(Some(work)).await;
                let _ = renaming.await;
                self.check_files_are_whole();
                is_hit
            }
        }
    }

    /// Readers never see half a file, whenever the writer died.
    fn check_files_are_whole(&self) {
        for path in files(&self.lab.dir().join("nodes")) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if !name.starts_with('.') && path.extension().is_some_and(|extension| extension == "json") {
                let text = fs::read(&path).unwrap();
                serde_json::from_slice::<serde_json::Value>(&text)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            }
        }
    }

    /// The last engine: everything is as it should be, the files show it, and it ends in order.
    async fn settle(&mut self) {
        let (engine, snapshot) = self.start().await;
        let nodes = self.lab.dir().join("nodes");
        let inventory = nodes.join("dynamic-inventory.json");
        let shown = || {
            let text = fs::read(&inventory).ok()?;
            let inventory: serde_json::Value = serde_json::from_slice(&text).ok()?;
            let sequence = inventory["all"]["vars"]["prox_orchestrator"]["sequence"].as_u64()?;
            (sequence >= snapshot.seq).then_some(inventory)
        };
        until("the inventory", || shown().is_some()).await;
        let inventory = shown().unwrap();
        let hosts: BTreeSet<_> =
            inventory["all"]["children"]["pve"]["hosts"].as_object().unwrap().keys().cloned().collect();
        let installed = snapshot.fleet.nodes().filter(|node| node.phase.is_installed());
        assert_eq!(hosts, installed.map(|node| node.name.to_string()).collect(), "the inventory is that of the table");
        let folders: BTreeSet<_> = fs::read_dir(&nodes)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        let names = snapshot.fleet.nodes().map(|node| node.name.to_string()).collect();
        assert_eq!(folders, names, "each node has its folder, and nobody else");
        let leftovers: Vec<_> = files(&nodes).into_iter().filter(|path| is_hidden(path)).collect();
        assert!(leftovers.is_empty(), "nobody tidied up: {leftovers:?}");
        for node in snapshot.fleet.nodes() {
            let text = fs::read(nodes.join(node.name.as_str()).join("node.json")).unwrap();
            assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok());
        }
        drop(engine);
    }
}

async fn finish(work: Option<tokio::task::JoinHandle<()>>) {
    if let Some(work) = work {
        work.await.unwrap();
    }
}

/// When anything under `nodes/` last changed.
fn newest_change(dir: &Path) -> Option<std::time::SystemTime> {
    let nodes = dir.join("nodes");
    let folders = fs::read_dir(&nodes).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let times = folders.chain([nodes.clone()]).filter_map(|path| path.metadata().ok()?.modified().ok());
    times.max()
}

/// All files below `dir`.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}
