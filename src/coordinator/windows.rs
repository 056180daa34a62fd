//! Decisions inside their undo window: kept here, stored when it ends, gone when the program does.
//!
//! Windows run on the monotonic clock. What a window holds is decided once more when it ends; it promises nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::domain::command::Verb;
use crate::domain::snapshot::Undecided;
use crate::domain::{NodeId, Order, Origin, TicketId};

/// A decision that can still be taken back.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) node: NodeId,
    pub(super) verb: Verb,
    pub(super) order: Order,
    pub(super) origin: Origin,
    ends: Instant,
}

/// The first answer under an approval.
#[derive(Clone, Copy, Debug)]
pub(super) struct FirstAnswer {
    pub(super) node: NodeId,
    /// When it was released.
    pub(super) at: Timestamp,
}

/// All of them, by row and by their end.
#[derive(Debug, Default)]
pub(super) struct Windows {
    open: BTreeMap<NodeId, Window>,
    ends: BTreeSet<(Instant, NodeId)>,
    /// What readers see.
    shown: imbl::OrdMap<NodeId, Undecided>,
    /// When open tickets end on the monotonic clock.
    tickets: BTreeMap<TicketId, Instant>,
    /// First answers and when they were released, on both clocks, the oldest first.
    answered: VecDeque<(Instant, FirstAnswer)>,
}

impl Windows {
    /// What readers see.
    pub(super) fn shown(&self) -> imbl::OrdMap<NodeId, Undecided> {
        self.shown.clone()
    }

    /// When the next one, or the next ticket, or the time for repeats of an answer ends.
    pub(super) fn next_end(&self, repeat_window: Duration) -> Option<Instant> {
        let windows = self.ends.first().map(|(end, _)| *end);
        let repeats = self.answered.front().map(|(released, _)| *released + repeat_window);
        windows.into_iter().chain(self.tickets.values().copied()).chain(repeats).min()
    }

    /// Opens a window and says when it ends. The same order given twice keeps its first one; another decision about the
    /// row takes its place, and so does the same one about another request, or with other words.
    pub(super) fn open(
        &mut self,
        node: NodeId,
        verb: Verb,
        order: Order,
        origin: Origin,
        length: Duration,
    ) -> Timestamp {
        let is_same = self.open.get(&node).is_some_and(|open| open.order == order);
        if let Some(shown) = self.shown.get(&node).filter(|_| is_same) {
            return shown.until;
        }
        self.close(node);
        let until = Timestamp::now().saturating_add(length).unwrap_or(Timestamp::MAX);
        self.shown.insert(node, Undecided { verb, origin: origin.clone(), until });
        self.put(Window { node, verb, order, origin, ends: Instant::now() + length });
        until
    }

    fn put(&mut self, window: Window) {
        self.ends.insert((window.ends, window.node));
        self.open.insert(window.node, window);
    }

    /// Takes the decision about a row away, if one is open.
    pub(super) fn close(&mut self, node: NodeId) -> Option<Window> {
        let window = self.open.remove(&node)?;
        self.ends.remove(&(window.ends, node));
        self.shown.remove(&node);
        Some(window)
    }

    /// Takes those away that have ended, at most `most` of them, the oldest first.
    pub(super) fn ended(&mut self, now: Instant, most: usize) -> Vec<Window> {
        let ended: Vec<_> = self.ends.range(..=(now, NodeId(u64::MAX))).take(most).map(|(_, node)| *node).collect();
        ended.into_iter().filter_map(|node| self.close(node)).collect()
    }

    /// Whether there is one about a row.
    pub(super) fn has(&self, node: NodeId) -> bool {
        self.open.contains_key(&node)
    }

    /// Takes all of them away, the oldest first.
    pub(super) fn all(&mut self) -> Vec<Window> {
        let all: Vec<_> = self.ends.iter().map(|(_, node)| *node).collect();
        all.into_iter().filter_map(|node| self.close(node)).collect()
    }

    /// Sets the clock for a ticket.
    pub(super) fn watch(&mut self, ticket: TicketId, lasts: Duration) {
        self.tickets.insert(ticket, Instant::now() + lasts);
    }

    /// Tickets whose time is over. Each is named once: its wall clock ends it where this could not be stored.
    pub(super) fn tickets_over(&mut self, now: Instant) -> Vec<TicketId> {
        self.tickets.extract_if(.., |_, end| *end <= now).map(|(ticket, _)| ticket).collect()
    }

    /// Sets the clock for the repeats of an answer that was released so long ago.
    pub(super) fn watch_repeats(&mut self, answer: FirstAnswer, ago: Duration) {
        let now = Instant::now();
        let released = now.checked_sub(ago).unwrap_or(now);
        let place = self.answered.partition_point(|(other, _)| *other <= released);
        self.answered.insert(place, (released, answer));
    }

    /// Answers whose repeat window is over, at most `most`. Each is named once, as tickets are.
    pub(super) fn repeats_over(&mut self, now: Instant, repeat_window: Duration, most: usize) -> Vec<FirstAnswer> {
        let over = self.answered.partition_point(|(released, _)| *released + repeat_window <= now);
        self.answered.drain(..over.min(most)).map(|(_, answer)| answer).collect()
    }

    /// Opens a window again whose decision could not be stored, unless there is another about its row by now.
    pub(super) fn reopen(&mut self, window: Window, length: Duration) {
        if self.open.contains_key(&window.node) {
            return;
        }
        let until = Timestamp::now().saturating_add(length).unwrap_or(Timestamp::MAX);
        let shown = Undecided { verb: window.verb, origin: window.origin.clone(), until };
        self.shown.insert(window.node, shown);
        self.put(Window { ends: Instant::now() + length, ..window });
    }
}
