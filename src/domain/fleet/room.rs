//! Room for machines nobody has decided on: a flood takes it from itself, not from others.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::{Fleet, MAX_UNMATCHED};
use crate::domain::event::Event;
use crate::domain::id::ReportId;
use crate::domain::refusal::Refusal;
use crate::domain::source::Source;

/// How long a place is safe from those who have as many places themselves.
const CHANGES: SignedDuration = SignedDuration::from_hours(1);

/// What would go to make room: one of the `rows` of an address, there since `since`.
struct Candidate {
    rows: usize,
    since: Timestamp,
}

impl Candidate {
    /// Whether it goes for another one of an address that has `own` already. One that has more and keeps more loses it
    /// at once, which evens things out and so comes to an end; all else is a change for change's sake, and every change
    /// is an event for good.
    fn goes(&self, own: usize, now: Timestamp) -> bool {
        let is_fresh = (SignedDuration::ZERO..CHANGES).contains(&now.duration_since(self.since));
        self.rows > own + 1 || !is_fresh
    }
}

impl Fleet {
    /// Who must go before another stranger that nobody has decided on gets a row: where all such rows are taken, the
    /// oldest one of the address that has most of them. A row that anybody decided on, or is deciding on, never goes.
    ///
    /// # Errors
    /// Where the newcomer's address has its share, and what would go has not stood for an hour.
    pub(super) fn make_room(&self, newcomer: IpAddr, now: Timestamp) -> Result<Option<Event>, Refusal> {
        let taken = self.index.waiting_count();
        if taken < self.policy.waiting_rows.max(1) {
            return Ok(None);
        }
        let Some((node, rows)) = self.index.most_waiting() else { return Ok(None) };
        let since = self.node(node).map_or(Timestamp::MIN, |row| row.first_seen);
        let own = self.index.waiting_of(Source::of(newcomer));
        if (Candidate { rows, since }).goes(own, now) && !self.undecided.contains_key(&node) {
            Ok(Some(Event::GaveWay { node, rows }))
        } else {
            Err(Refusal::Crowded(taken))
        }
    }

    /// Whether another unmatched report of `sender` can be kept.
    ///
    /// # Errors
    /// As [`Fleet::make_room`].
    pub(super) fn room_for_report(&self, sender: IpAddr, now: Timestamp) -> Result<(), Refusal> {
        if self.state.unmatched.len() < MAX_UNMATCHED {
            return Ok(());
        }
        let Some((oldest, rows)) = self.most_unmatched() else { return Ok(()) };
        let since = self.state.unmatched.get(&oldest).map_or(Timestamp::MIN, |report| report.at);
        let own = self.unmatched().filter(|report| Source::of(report.peer) == Source::of(sender)).count();
        if (Candidate { rows, since }).goes(own, now) { Ok(()) } else { Err(Refusal::Crowded(MAX_UNMATCHED)) }
    }

    /// Which unmatched report goes where there are too many.
    pub(super) fn unmatched_to_go(&self) -> Option<ReportId> {
        self.most_unmatched().map(|(oldest, _)| oldest)
    }

    /// The oldest report of the address that sent most of the unmatched ones, and how many these are.
    fn most_unmatched(&self) -> Option<(ReportId, usize)> {
        let mut senders: BTreeMap<Source, (usize, Reverse<ReportId>)> = BTreeMap::new();
        // Oldest first, so the first of each sender is its oldest.
        for report in self.unmatched() {
            senders.entry(Source::of(report.peer)).or_insert((0, Reverse(report.id))).0 += 1;
        }
        senders.into_values().max().map(|(count, Reverse(oldest))| (oldest, count))
    }
}
