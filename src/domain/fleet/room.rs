//! Room for machines nobody has decided on: a flood takes it from itself, not from others.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Fleet;
use crate::domain::event::Event;
use crate::domain::id::ReportId;
use crate::domain::source::Source;

impl Fleet {
    /// Who must go before another stranger gets a row: where all rows for undecided machines are taken, the oldest one
    /// of the address that has most of them. A row anybody decided on never goes.
    pub(super) fn make_room(&self) -> Option<Event> {
        if self.index.waiting_count() < self.policy.waiting_rows.max(1) {
            return None;
        }
        let (node, rows) = self.index.most_waiting()?;
        Some(Event::GaveWay { node, rows })
    }

    /// Which unmatched report goes where there are too many: the oldest one of the address that sent most of them.
    pub(super) fn unmatched_to_go(&self) -> Option<ReportId> {
        let mut senders: BTreeMap<Source, (usize, Reverse<ReportId>)> = BTreeMap::new();
        // Oldest first, so the first of each sender is its oldest.
        for report in self.unmatched() {
            senders.entry(Source::of(report.peer)).or_insert((0, Reverse(report.id))).0 += 1;
        }
        senders.into_values().max().map(|(_, Reverse(oldest))| oldest)
    }
}
