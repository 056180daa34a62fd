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

/// How long what an address has most of stays, before more of the same address takes its place.
const CHANGES: SignedDuration = SignedDuration::from_hours(1);

/// Whether a newcomer would only take the place of what its own address has just filled.
fn is_flood((peer, since): (IpAddr, Timestamp), newcomer: IpAddr, now: Timestamp) -> bool {
    Source::of(peer) == Source::of(newcomer) && (SignedDuration::ZERO..CHANGES).contains(&now.duration_since(since))
}

impl Fleet {
    /// Who must go before another stranger gets a row: where all rows for undecided machines are taken, the oldest one
    /// of the address that has most of them. A row anybody decided on never goes. Where that address is the newcomer's own,
    /// its rows change once in a while only: each is an event for good.
    pub(super) fn make_room(&self, newcomer: IpAddr, now: Timestamp) -> Result<Option<Event>, Refusal> {
        if self.index.waiting_count() < self.policy.waiting_rows.max(1) {
            return Ok(None);
        }
        let Some((node, rows)) = self.index.most_waiting() else { return Ok(None) };
        let first = self.node(node).and_then(|row| Some((row.request.as_ref()?.stamp.peer, row.first_seen)));
        match first {
            Some((peer, since)) if is_flood((peer, since), newcomer, now) => Err(Refusal::Crowded(rows)),
            Some(_) | None => Ok(Some(Event::GaveWay { node, rows })),
        }
    }

    /// Whether another unmatched report of `sender` can be kept.
    pub(super) fn room_for_report(&self, sender: IpAddr, now: Timestamp) -> Result<(), Refusal> {
        if self.state.unmatched.len() < MAX_UNMATCHED {
            return Ok(());
        }
        let oldest = self.unmatched_to_go().and_then(|id| self.state.unmatched.get(&id));
        match oldest {
            Some(oldest) if is_flood((oldest.peer, oldest.at), sender, now) => Err(Refusal::Crowded(MAX_UNMATCHED)),
            Some(_) | None => Ok(()),
        }
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
