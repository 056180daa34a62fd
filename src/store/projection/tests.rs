//! The task: what it shows, what it coalesces, and how it gets over a failure.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::domain::{Event, Fleet};
use crate::store::Store;
use crate::store::fixtures::{batch, released, reported, seen, snapshot};

const PATIENCE: Duration = Duration::from_secs(30);

struct Task {
    dir: TempDir,
    store: Store,
    fleet: Fleet,
    snapshots: watch::Sender<Arc<Snapshot>>,
    shown: watch::Receiver<u64>,
    problem: watch::Receiver<Option<Problem>>,
    shutdown: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
}

impl Task {
    fn start(prepare: impl FnOnce(&std::path::Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let store = Store::open(&dir.path().join("state")).unwrap();
        let reader = Reader::open(&dir.path().join("state")).unwrap();
        let fleet = Fleet::default();
        let (snapshots, follow) = watch::channel(Arc::new(snapshot(0, &fleet)));
        let (show, shown) = watch::channel(0);
        let (tell, problem) = watch::channel(None);
        let shutdown = CancellationToken::new();
        let settings = ProjectionSettings { ansible_user: "root".to_owned(), ssh_port: 22, private_key: None };
        let task = run(dir.path().to_owned(), reader, follow, settings, show, tell, shutdown.clone());
        let ended = tokio::spawn(task);
        Self { dir, store, fleet, snapshots, shown, problem, shutdown, ended }
    }

    fn happen(&mut self, event: Event) -> u64 {
        let batch = batch(self.store.seq() + 1, vec![event]);
        self.store.commit(&batch).unwrap();
        self.fleet.apply(&batch.events[0]);
        self.snapshots.send_replace(Arc::new(snapshot(self.store.seq(), &self.fleet)));
        self.store.seq()
    }

    async fn wait_shown(&mut self, seq: u64) {
        let waiting = self.shown.wait_for(|shown| *shown >= seq);
        tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap();
    }

    fn inventory(&self) -> String {
        fs::read_to_string(self.dir.path().join("nodes/dynamic-inventory.json")).unwrap()
    }

    async fn end(self) -> TempDir {
        tokio::time::timeout(PATIENCE, self.ended).await.unwrap().unwrap();
        self.dir
    }
}

#[tokio::test]
async fn the_number_shown_is_the_one_in_the_files() {
    let mut task = Task::start(|_| {});
    task.happen(seen(1, "pve-1.example.com"));
    task.happen(released(1, "text"));
    let seq = task.happen(reported(1, b"{}"));
    task.wait_shown(seq).await;
    assert!(task.inventory().contains("\"sequence\": 3") && task.inventory().contains("pve-1.example.com"));
    assert!(task.problem.borrow().is_none());
    task.shutdown.cancel();
    task.end().await;
}

#[tokio::test]
async fn the_last_state_is_written_on_the_way_out() {
    let mut task = Task::start(|_| {});
    task.wait_shown(0).await;
    let seq = task.happen(seen(1, "pve-1.example.com"));
    task.shutdown.cancel();
    let mut shown = task.shown.clone();
    let dir = task.end().await;
    assert_eq!(*shown.borrow_and_update(), seq);
    assert!(dir.path().join("nodes/pve-1.example.com/node.json").exists());
}

#[tokio::test]
async fn it_ends_with_the_last_sender() {
    let mut task = Task::start(|_| {});
    task.happen(seen(1, "pve-1.example.com"));
    drop(std::mem::replace(&mut task.snapshots, watch::channel(Arc::new(snapshot(0, &Fleet::default()))).0));
    let dir = task.end().await;
    assert!(dir.path().join("nodes/pve-1.example.com/node.json").exists());
}

#[tokio::test]
async fn a_failure_is_shown_and_gone_when_it_is_over() {
    let mut task = Task::start(|dir| fs::write(dir.join("nodes"), "a file").unwrap());
    let seq = task.happen(seen(1, "pve-1.example.com"));
    let told = tokio::time::timeout(PATIENCE, task.problem.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    assert!(told.unwrap().what.contains("nodes"));
    assert_eq!(*task.shown.borrow(), 0);
    fs::remove_file(task.dir.path().join("nodes")).unwrap();
    task.wait_shown(seq).await;
    assert!(task.problem.borrow().is_none());
    task.shutdown.cancel();
    task.end().await;
}

#[tokio::test]
async fn a_burst_is_written_as_one() {
    let mut task = Task::start(|_| {});
    let mut last = 0;
    for id in 1..=50 {
        last = task.happen(seen(id, &format!("pve-{id}.example.com")));
    }
    let mut passes = 0;
    loop {
        tokio::time::timeout(PATIENCE, task.shown.changed()).await.unwrap().unwrap();
        passes += 1;
        if *task.shown.borrow_and_update() == last {
            break;
        }
    }
    assert!(passes <= 2, "{passes} passes for one burst");
    task.shutdown.cancel();
    task.end().await;
}

#[test]
fn waits_grow_and_end() {
    assert_eq!([1, 2, 3, 4, 5, 99, u32::MAX].map(|failures| backoff(failures).as_secs()), [1, 2, 4, 8, 10, 10, 10]);
}
