//! The open requests of machines that wait for a decision.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::domain::guard::Verdict;
use crate::domain::snapshot::Hold;
use crate::domain::{Fleet, NodeId, RequestId, Stamp};

/// One open request.
#[derive(Debug)]
struct Parked {
    stamp: Stamp,
    hold: Hold,
    wake: oneshot::Sender<Verdict>,
}

/// All open requests, by row.
#[derive(Debug, Default)]
pub(super) struct HeldRequests {
    by_node: BTreeMap<NodeId, BTreeMap<RequestId, Parked>>,
    owners: BTreeMap<RequestId, NodeId>,
    /// What readers see: one hold a row, the one that ends last.
    shown: imbl::OrdMap<NodeId, Hold>,
}

impl HeldRequests {
    /// How many requests are open.
    pub(super) fn len(&self) -> usize {
        self.owners.len()
    }

    /// What readers see.
    pub(super) fn shown(&self) -> imbl::OrdMap<NodeId, Hold> {
        self.shown.clone()
    }

    /// Parks a request. An older one of the same machine from the same address gives way: its receiver gets an error.
    pub(super) fn park(&mut self, node: NodeId, id: RequestId, stamp: Stamp, hold: Hold) -> oneshot::Receiver<Verdict> {
        let (wake, waiting) = oneshot::channel();
        let parked = self.by_node.entry(node).or_default();
        let replaced: Vec<_> =
            parked.iter().filter(|(_, other)| other.stamp.peer == stamp.peer).map(|(id, _)| *id).collect();
        for old in replaced {
            parked.remove(&old);
            self.owners.remove(&old);
        }
        parked.insert(id, Parked { stamp, hold, wake });
        self.owners.insert(id, node);
        self.refresh(node);
        waiting
    }

    /// Forgets a request whose task is gone.
    pub(super) fn drop_request(&mut self, id: RequestId) -> bool {
        let Some(node) = self.owners.remove(&id) else { return false };
        if let Some(parked) = self.by_node.get_mut(&node) {
            parked.remove(&id);
        }
        self.refresh(node);
        true
    }

    /// Forgets every request whose task is gone without a word.
    pub(super) fn sweep(&mut self) -> bool {
        let gone = self.by_node.values().flatten().filter(|(_, parked)| parked.wake.is_closed());
        let gone: Vec<_> = gone.map(|(id, _)| *id).collect();
        for id in &gone {
            self.drop_request(*id);
        }
        !gone.is_empty()
    }

    /// Asks the guard about the open requests of `node` and wakes those that need not wait any longer.
    pub(super) fn reconsider(&mut self, node: NodeId, fleet: &Fleet, now: Timestamp) {
        let Some(parked) = self.by_node.get_mut(&node) else { return };
        for (id, request) in std::mem::take(parked) {
            match fleet.judge(node, &request.stamp, now) {
                Some(Verdict::Hold(_)) => {
                    parked.insert(id, request);
                }
                Some(verdict @ (Verdict::Serve(_) | Verdict::Refuse(_))) => {
                    self.owners.remove(&id);
                    let _ = request.wake.send(verdict);
                }
                // A forgotten row: dropping the sender makes its machine ask again, as a stranger.
                None => {
                    self.owners.remove(&id);
                }
            }
        }
        self.refresh(node);
    }

    /// Wakes everything with an error: the retry answer is due.
    pub(super) fn release_all(&mut self) {
        *self = Self::default();
    }

    fn refresh(&mut self, node: NodeId) {
        let parked = self.by_node.get(&node);
        let last = parked.and_then(|parked| parked.values().map(|request| request.hold).max_by_key(|hold| hold.until));
        if let Some(hold) = last {
            self.shown.insert(node, hold);
        } else {
            self.shown.remove(&node);
            self.by_node.remove(&node);
        }
    }
}
