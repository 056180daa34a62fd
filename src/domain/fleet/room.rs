//! Room for machines nobody has decided on: a flood takes it from itself, not from others.

use super::Fleet;
use crate::domain::event::Event;

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
}
