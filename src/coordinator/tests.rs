//! The coordinator with a real store, without a network.

mod doubt;
mod window;

use super::*;
use crate::domain::command::{Ask, Command, Order, Origin};
use crate::domain::facts::{Dmi, Generation, Link, Product, SystemInfo};
use crate::domain::guard::Verdict;
use crate::domain::snapshot::Service;
use crate::domain::{DocumentHash, NodeId, OwnNetwork, Phase, Policy, Refusal, Stamp};
use crate::store::Document;

pub(super) struct Bench {
    pub(super) started: Started,
    effects: mpsc::Receiver<Effect>,
    folder: tempfile::TempDir,
}

impl Bench {
    pub(super) async fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap()).await
    }

    pub(super) async fn open(folder: tempfile::TempDir) -> Self {
        let mut store = Store::open(folder.path()).unwrap();
        let loaded = store.load(Policy::default()).unwrap();
        let (effects_in, effects) = mpsc::channel(16);
        let started = start(store, loaded, effects_in).unwrap();
        started.handle.set_service(Service { capacity: 3, ..Service::default() }).await;
        Self { started, effects, folder }
    }

    pub(super) async fn stop(self) -> tempfile::TempDir {
        self.started.handle.stop().await;
        self.started.ended.await.unwrap();
        drop(self.effects);
        self.folder
    }

    /// Ends without having been told to, as far as that can be had without a crash.
    pub(super) async fn break_off(self) -> tempfile::TempDir {
        let Started { handle, ended, .. } = self.started;
        drop(handle);
        ended.await.unwrap();
        drop(self.effects);
        self.folder
    }

    async fn ask(&self, machine: u8) -> Result<Asked, SubmitError> {
        let (ask, document) = request(machine);
        self.ask_with(ask, document).await
    }

    pub(super) async fn ask_with(&self, ask: Ask, document: Document) -> Result<Asked, SubmitError> {
        self.ask_for(ask, document, Duration::from_secs(45)).await
    }

    async fn ask_for(&self, ask: Ask, document: Document, hold: Duration) -> Result<Asked, SubmitError> {
        let now = Timestamp::now();
        let patience = Patience::new(now, tokio::time::Instant::now(), hold);
        self.started.handle.ask(ask, document, patience).await
    }

    pub(super) async fn held(&self, machine: u8) -> Held {
        self.held_for(machine, Duration::from_secs(45)).await
    }

    pub(super) async fn held_for(&self, machine: u8, hold: Duration) -> Held {
        let (ask, document) = request(machine);
        is_held(self.ask_for(ask, document, hold).await)
    }

    /// One of many machines.
    pub(super) async fn held_wide(&self, machine: u32) -> Held {
        let (mut ask, document) = request(0);
        let [_, high, mid, low] = machine.to_be_bytes();
        let mac = crate::domain::MacAddr([2, 1, 0, high, mid, low]);
        Arc::make_mut(&mut ask.info).links[0].mac = mac;
        ask.stamp = Stamp { peer: [10, high, mid, low].into(), macs: [mac].into(), ..ask.stamp };
        is_held(self.ask_with(ask, document).await)
    }

    pub(super) fn stamp(&self, node: NodeId) -> Stamp {
        self.started.handle.snapshot().fleet.node(node).unwrap().request.as_ref().unwrap().stamp.clone()
    }

    pub(super) async fn approve(&self, node: NodeId) {
        self.order(Order::Approve { node, seen: self.stamp(node) }).await.unwrap();
    }

    /// Another program at our database.
    pub(super) fn intruder(&self) -> rusqlite::Connection {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let is_database = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "db");
        rusqlite::Connection::open(files.into_iter().find(is_database).unwrap()).unwrap()
    }

    pub(super) async fn order(&self, order: Order) -> Result<crate::domain::Ordered, SubmitError> {
        self.started.handle.order(Origin::Operator("anna".to_owned()), order, true).await
    }

    pub(super) async fn until(&self, condition: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut snapshots = self.started.handle.snapshots();
        let wait = snapshots.wait_for(|snapshot| condition(snapshot));
        tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap().unwrap().clone()
    }
}

fn is_held(asked: Result<Asked, SubmitError>) -> Held {
    match asked.unwrap() {
        Asked::Held(held) => held,
        other => panic!("{other:?}"),
    }
}

pub(super) fn request(machine: u8) -> (Ask, Document) {
    let bytes = format!("{{\"machine\":{machine}}}").into_bytes();
    let document = Document { hash: DocumentHash::of(&bytes), bytes };
    let mac = crate::domain::MacAddr([2, 0, 0, 0, 0, machine]);
    let info = SystemInfo {
        generation: Generation::V9_2,
        product: Product::Pve,
        iso_release: None,
        dmi: Dmi::default(),
        links: vec![Link { name: "eno1".into(), mac }],
    };
    let stamp = Stamp { peer: [192, 0, 2, machine].into(), macs: [mac].into(), body: document.hash };
    (
        Ask { stamp, info: info.into(), asking_mac: Some(mac), token: None, wish: None, own: OwnNetwork::default() },
        document,
    )
}

#[tokio::test]
async fn a_held_request_wakes_the_moment_it_is_approved() {
    let bench = Bench::new().await;
    let mut held = bench.held(1).await;
    bench.until(|snapshot| snapshot.holds.contains_key(&held.node)).await;
    bench.approve(held.node).await;
    let verdict = (&mut held.wake).await.unwrap();
    assert!(matches!(verdict, Verdict::Serve(_)), "{verdict:?}");
    bench.until(|snapshot| snapshot.holds.is_empty()).await;
}

#[tokio::test]
async fn a_request_that_hangs_up_frees_its_place() {
    let bench = Bench::new().await;
    let held = bench.held(1).await;
    let node = held.node;
    drop(held);
    let snapshot = bench.until(|snapshot| snapshot.holds.is_empty()).await;
    assert_eq!(snapshot.fleet.node(node).unwrap().phase, Phase::Waiting);
}

#[tokio::test]
async fn a_second_request_from_the_same_address_replaces_the_first() {
    let bench = Bench::new().await;
    let mut first = bench.held(1).await;
    let second = bench.held(1).await;
    assert_eq!(first.node, second.node);
    assert!((&mut first.wake).await.is_err(), "the first one is sent to retry");
    bench.until(|snapshot| snapshot.holds.len() == 1).await;
}

#[tokio::test]
async fn no_more_requests_are_held_than_fit() {
    let bench = Bench::new().await;
    let held = [bench.held(1).await, bench.held(2).await, bench.held(3).await];
    assert!(matches!(bench.ask(4).await, Err(SubmitError::Busy)));
    assert_eq!(bench.started.handle.snapshot().fleet.node_count(), 4, "the fourth is a row all the same");
    drop(held);
}

#[tokio::test]
async fn stopping_wakes_every_held_request() {
    let bench = Bench::new().await;
    let mut held = bench.held(1).await;
    bench.started.handle.release_all().await;
    assert!((&mut held.wake).await.is_err());
    bench.stop().await;
    assert!(held.release.is_closed());
}

#[tokio::test]
async fn a_rejection_wakes_a_held_request_and_a_refusal_changes_nothing() {
    let bench = Bench::new().await;
    let mut held = bench.held(1).await;
    let refused = bench.order(Order::Cancel).await;
    assert_eq!(refused, Err(SubmitError::Refused(Refusal::NoRun)));
    bench.order(Order::Reject { node: held.node, reason: "not ours".into() }).await.unwrap();
    assert!(matches!((&mut held.wake).await.unwrap(), Verdict::Refuse(_)));
}

#[tokio::test]
async fn a_restart_resumes_where_it_was() {
    let bench = Bench::new().await;
    let held = bench.held(1).await;
    bench.approve(held.node).await;
    let node = held.node;
    let before = bench.started.handle.snapshot();
    drop(held);
    let bench = Bench::open(bench.stop().await).await;
    let after = bench.started.handle.snapshot();
    assert_eq!(after.seq, before.seq);
    assert_eq!(after.fleet.node(node), before.fleet.node(node));
    assert!(after.holds.is_empty(), "no request survives the process");
}

#[tokio::test]
async fn followers_see_every_stored_event_in_order() {
    let bench = Bench::new().await;
    let mut events = bench.started.events.subscribe();
    let held = bench.held(1).await;
    bench.approve(held.node).await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.push(events.recv().await.unwrap().seq);
    }
    assert_eq!(seen, [1, 2]);
}

#[tokio::test]
async fn a_store_that_cannot_commit_changes_nothing_and_says_so() {
    let bench = Bench::new().await;
    let held = bench.held(1).await;
    let before = bench.started.handle.snapshot().seq;
    // Another program takes the database away: its table of events is gone.
    let intruder = bench.intruder();
    intruder.execute_batch("ALTER TABLE events RENAME TO hidden").unwrap();
    assert!(matches!(bench.ask(2).await, Err(SubmitError::NotStored(_))));
    let snapshot = bench.until(|snapshot| !snapshot.service.problems.is_empty()).await;
    assert_eq!((snapshot.seq, snapshot.fleet.node_count()), (before, 1));
    // Once it is mended, work goes on and the problem is gone.
    intruder.execute_batch("ALTER TABLE hidden RENAME TO events").unwrap();
    let second = bench.held(2).await;
    let snapshot = bench.until(|snapshot| snapshot.service.problems.is_empty()).await;
    assert_eq!(snapshot.seq, before + 1);
    drop((held, second));
}

#[tokio::test]
async fn new_rules_hold_for_whoever_asks_next() {
    let bench = Bench::new().await;
    let _first = bench.held(1).await;
    let policy = Policy { domain: "new.example".to_owned(), ..Policy::default() };
    bench.started.handle.set_policy(policy.clone()).await;
    let snapshot = bench.started.handle.snapshot();
    assert_eq!(snapshot.fleet.policy(), &policy, "acknowledged once they are in force");
    let second = bench.held(2).await.node;
    let name = |fleet: &crate::domain::Fleet, node| fleet.node(node).unwrap().name.to_string();
    let snapshot = bench.until(|snapshot| snapshot.fleet.node(second).is_some()).await;
    assert!(name(&snapshot.fleet, second).ends_with(".new.example"));
    assert!(name(&snapshot.fleet, NodeId(1)).ends_with(".example.com"), "who is here keeps the name");
    bench.stop().await;
}

#[tokio::test]
async fn requests_that_are_no_event_are_counted_with_the_next_one() {
    let bench = Bench::new().await;
    let node = bench.held(1).await.node;
    for _ in 1..12 {
        bench.held(1).await;
    }
    let asked = |snapshot: &Snapshot| snapshot.fleet.node(node).unwrap().request.clone().unwrap().count;
    let snapshot = bench.started.handle.snapshot();
    assert_eq!((asked(&snapshot), snapshot.seq), (8, 8));
    bench.approve(node).await;
    // This one voids the approval.
    let (mut ask, document) = request(1);
    ask.stamp.peer = [192, 0, 2, 77].into();
    let _held = is_held(bench.ask_with(ask, document).await);
    assert_eq!(asked(&bench.started.handle.snapshot()), 13);
    bench.stop().await;
}

#[tokio::test]
async fn bodies_of_rows_that_are_gone_go_with_the_next_state() {
    let bench = Bench::new().await;
    let (stays, goes) = (bench.held(1).await, bench.held(2).await);
    bench.order(Order::Forget { node: goes.node }).await.unwrap();
    drop((stays, goes));
    let folder = bench.stop().await;
    let reader = crate::store::Reader::open(folder.path()).unwrap();
    let kept = [1, 2].map(|machine| reader.document(request(machine).1.hash).unwrap().is_some());
    assert_eq!(kept, [true, false]);
}

#[tokio::test]
async fn the_state_is_stored_once_things_calm_down() {
    let bench = Bench::new().await;
    let _held = bench.held(1).await;
    let saved = || bench.intruder().query_row("SELECT count(*) FROM state", [], |row| row.get::<_, i64>(0)).unwrap();
    for number in 0..3_000_u32 {
        let note = if number % 2 == 0 { "one" } else { "other" };
        bench.order(Order::SetNote { node: NodeId(1), note: note.into() }).await.unwrap();
        if number % 200 == 0 {
            bench.started.handle.submit(Origin::System, Command::Tick).await.unwrap();
        }
    }
    assert_eq!(saved(), 0, "not while things happen, however often time is told meanwhile");
    // One to notice that it is quiet, five quiet ones; who is answered to the next one knows that it is done.
    for _ in 0..7 {
        bench.started.handle.submit(Origin::System, Command::Tick).await.unwrap();
    }
    assert_eq!(saved(), 1);
    bench.stop().await;
}
