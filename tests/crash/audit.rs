//! What the database says, read past the engine, and what must hold between it, the engine and the world.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use prox_orchestrator::domain::guard::Permission;
use prox_orchestrator::domain::{DocumentHash, Event, Fleet, NodeId, Recorded, SecretHash, Snapshot, Stamp};
use prox_orchestrator::store::{Page, Reader};
use uuid::Uuid;

use crate::machines::{Asker, Book};

/// Answers one approval is good for: the first, and two repeats.
const ANSWERS: usize = 3;

/// The event log, read on after every restart.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    seq: u64,
    /// Every event folded again, from the first.
    replayed: Fleet,
    approvals: BTreeMap<NodeId, Vec<Stamp>>,
    released: BTreeMap<NodeId, Vec<DocumentHash>>,
    secrets: BTreeSet<SecretHash>,
    unmatched: u64,
}

impl Audit {
    /// Reads what is new, up to event `to`.
    pub(crate) fn read_on(&mut self, state_dir: &Path, to: u64) {
        let reader = Reader::open(state_dir).unwrap();
        while self.seq < to {
            let limit = usize::try_from(to - self.seq).unwrap();
            let events = reader.events(Page::After(self.seq), None, limit).unwrap();
            assert!(!events.is_empty(), "event {} is missing", self.seq + 1);
            for recorded in &events {
                self.take(recorded);
            }
        }
    }

    fn take(&mut self, recorded: &Recorded) {
        assert_eq!(recorded.seq, self.seq + 1, "events follow each other without a gap");
        self.seq = recorded.seq;
        match &recorded.event {
            Event::Approved { node, stamp } => self.approvals.entry(*node).or_default().push(stamp.clone()),
            Event::AnswerReleased { node, by, stamp, document, secret, .. } => {
                let approvals = self.approvals.get(node).map(Vec::as_slice).unwrap_or_default();
                assert!(approvals.contains(stamp), "{node} was released an answer to a request nobody approved");
                assert_ne!(*by, Permission::Reinstall, "nobody allowed that");
                assert!(self.secrets.insert(*secret), "{node} was given a secret that was used before");
                let released = self.released.entry(*node).or_default();
                released.push(*document);
                assert!(released.len() <= ANSWERS * approvals.len(), "{node} was answered too often");
            }
            Event::ReportUnmatched { .. } => self.unmatched += 1,
            _ => {}
        }
        self.replayed.apply(recorded);
    }

    /// Holds engine, database and world against each other after a restart.
    pub(crate) fn check(&self, snapshot: &Snapshot, book: &Book, askers: &BTreeMap<Uuid, Asker>) {
        assert_eq!(snapshot.seq, self.seq);
        assert_eq!(as_json(&snapshot.fleet), as_json(&self.replayed), "the table is that of the events");
        let names: BTreeSet<_> = snapshot.fleet.nodes().map(|node| &node.name).collect();
        assert_eq!(names.len(), snapshot.fleet.node_count(), "host names are unique");
        let rows: BTreeMap<Uuid, _> =
            snapshot.fleet.nodes().map(|node| (node.machine.uuid.expect("all have one"), node)).collect();
        assert_eq!(rows.len(), snapshot.fleet.node_count(), "a machine has one row");

        for (uuid, fqdn, document) in &book.answers {
            let node = rows.get(uuid).unwrap_or_else(|| panic!("{fqdn} got an answer and is not known"));
            assert_eq!(node.name, *fqdn, "the name it was given is the name it has");
            let released = self.released.get(&node.id).map(Vec::as_slice).unwrap_or_default();
            assert!(released.contains(document), "{fqdn} got an answer that was never stored");
            assert!(node.may_be_installed(), "{fqdn} got an answer and counts as {}", node.phase.word());
            assert!(node.phase.is_approved() && node.answers.is_some());
        }
        for uuid in &book.confirmed {
            let node = rows.get(uuid).expect("whom the operator approved is known");
            assert!(self.approvals.contains_key(&node.id), "{}: a confirmed approval is lost", node.name);
        }
        for uuid in &book.reported {
            let node = rows[uuid];
            assert!(node.report.is_some(), "{}: a report that was taken is lost", node.name);
            assert!(node.phase.is_installed(), "{} reported and counts as {}", node.name, node.phase.word());
        }
        for (uuid, name) in &book.renamed {
            assert_eq!(rows[uuid].name, *name, "a confirmed renaming is lost");
        }
        for node in rows
            .iter()
            .filter(|(uuid, _)| askers.get(uuid).is_some_and(|asker| asker.is_stranger))
            .map(|(_, node)| node)
        {
            assert!(!self.released.contains_key(&node.id), "{} was never approved", node.name);
            assert_eq!(node.phase.word(), "waiting");
        }
        assert_eq!(self.unmatched, 0, "every report came with its node's secret");
    }

    /// Answers stored so far.
    pub(crate) fn answers(&self) -> usize {
        self.released.values().map(Vec::len).sum()
    }
}

fn as_json(fleet: &Fleet) -> serde_json::Value {
    serde_json::to_value(fleet).unwrap()
}
