//! The operator: approves whom the test wants, and remembers what the engine confirmed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use prox_orchestrator::domain::{Fqdn, Node, Order, Phase};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::engine::{LOOK, Operator};
use crate::machines::Book;

/// The operator's side of a round.
#[derive(Clone)]
pub(crate) struct Desk {
    operator: Operator,
    book: Arc<Mutex<Book>>,
    strangers: BTreeSet<Uuid>,
    /// Whether anything was ordered in this round.
    has_ordered: Arc<AtomicBool>,
    /// Approvals ordered in this round and not confirmed yet.
    in_flight: Arc<AtomicUsize>,
    /// Told at each confirmation.
    pub(crate) confirmed: Arc<Notify>,
}

impl Desk {
    pub(crate) fn new(operator: Operator, book: Arc<Mutex<Book>>, strangers: BTreeSet<Uuid>) -> Self {
        Self {
            operator,
            book,
            strangers,
            has_ordered: Arc::default(),
            in_flight: Arc::default(),
            confirmed: Arc::default(),
        }
    }

    /// Approves whoever waits and is no stranger, many at the same time.
    pub(crate) async fn approve_until(self, over: CancellationToken) {
        while !over.is_cancelled() {
            let Some(snapshot) = self.operator.look().await else { return };
            let waiting = snapshot.fleet.nodes().filter(|node| node.phase == Phase::Waiting);
            let wanted = waiting.filter_map(|node| {
                let uuid = node.machine.uuid.filter(|uuid| !self.strangers.contains(uuid))?;
                Some((uuid, Order::Approve { node: node.id, seen: node.request.as_ref()?.stamp.clone() }))
            });
            join_all(wanted.map(|(uuid, order)| self.approve(uuid, order))).await;
            sleep(LOOK).await;
        }
    }

    async fn approve(&self, uuid: Uuid, order: Order) {
        self.book.lock().unwrap().ordered.insert(uuid);
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        self.has_ordered.store(true, Ordering::SeqCst);
        if self.operator.order(order).await {
            self.book.lock().unwrap().confirmed.insert(uuid);
            self.confirmed.notify_one();
        }
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }

    /// Stays so: all orders of a round may be confirmed between two looks.
    pub(crate) fn has_ordered(&self) -> bool {
        self.has_ordered.load(Ordering::SeqCst)
    }

    pub(crate) fn is_any_in_flight(&self) -> bool {
        self.in_flight.load(Ordering::SeqCst) > 0
    }

    /// Gives a stranger another name, so that a folder has to move.
    pub(crate) async fn rename_one(self, seed: u64, number: usize) {
        let Some(snapshot) = self.operator.look().await else { return };
        let strange = |node: &&Arc<Node>| node.machine.uuid.is_some_and(|uuid| self.strangers.contains(&uuid));
        let Some(node) = snapshot.fleet.nodes().find(strange) else { return };
        let name: Fqdn = format!("moved-{}-{number}.example.com", seed % 1_000).parse().unwrap();
        let uuid = node.machine.uuid.unwrap();
        self.book.lock().unwrap().renamed.remove(&uuid);
        if self.operator.order(Order::Rename { node: node.id, name: name.clone() }).await {
            self.book.lock().unwrap().renamed.insert(uuid, name);
        }
    }
}
