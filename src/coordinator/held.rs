//! The open requests of machines that wait for a decision.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::handle::HoldRequest;
use crate::domain::guard::{Verdict, Withheld};
use crate::domain::snapshot::Hold;
use crate::domain::{Fleet, NodeId, RequestId, Source, Stamp};

/// A request whose hold ends sooner than this after an undo gets the retry answer at once: nobody decides that fast.
const TOO_LATE: Duration = Duration::from_secs(2);

/// One open request.
#[derive(Debug)]
struct Parked {
    stamp: Stamp,
    hold: Hold,
    ends: Instant,
    wake: oneshot::Sender<Verdict>,
}

/// All open requests, by row and by address.
#[derive(Debug, Default)]
pub(super) struct HeldRequests {
    /// One map, and not one for each row, whose first entry would take the room of eleven.
    parked: BTreeMap<(NodeId, RequestId), Parked>,
    owners: BTreeMap<RequestId, (NodeId, Source)>,
    by_source: BTreeMap<Source, BTreeSet<RequestId>>,
    /// How many each address holds, to find the one that holds most.
    shares: BTreeSet<(usize, Source)>,
    /// What readers see: one hold a row, the one that ends last.
    shown: imbl::OrdMap<NodeId, Hold>,
    /// Rows that were approved and wait for something else, which any event may bring: an address, for one.
    obstructed: BTreeSet<NodeId>,
}

/// There is no place, and nobody who holds more than the newcomer would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl HeldRequests {
    /// What readers see.
    pub(super) fn shown(&self) -> imbl::OrdMap<NodeId, Hold> {
        self.shown.clone()
    }

    /// Parks a request among at most `most`. An older one of the same machine from the same address gives way, and
    /// where all places are taken the oldest of the address that holds most: their receivers get an error.
    pub(super) fn park(
        &mut self,
        node: NodeId,
        stamp: Stamp,
        request: &HoldRequest,
        most: usize,
    ) -> Result<oneshot::Receiver<Verdict>, Full> {
        let HoldRequest { id, since, until, ends } = *request;
        let (peer, source) = (stamp.peer, Source::of(stamp.peer));
        let replaced: Vec<_> = self.of(node).filter(|(_, other)| other.stamp.peer == peer).map(|(id, _)| id).collect();
        for old in replaced {
            self.drop_request(old);
        }
        while self.owners.len() >= most.max(1) {
            self.make_room(source)?;
        }
        let (wake, waiting) = oneshot::channel();
        let parked = Parked { stamp, hold: Hold { since, until }, ends, wake };
        self.parked.insert((node, id), parked);
        self.owners.insert(id, (node, source));
        self.count(source, |requests| requests.insert(id));
        self.refresh(node);
        Ok(waiting)
    }

    /// Sends the oldest request of the address that holds most to retry, where that is more than `newcomer` would hold.
    fn make_room(&mut self, newcomer: Source) -> Result<(), Full> {
        let own = self.by_source.get(&newcomer).map_or(0, BTreeSet::len);
        let (most, greedy) = self.shares.last().copied().ok_or(Full)?;
        let gives = if own > 0 && own >= most { newcomer } else { greedy };
        if most <= own.max(1) && gives != newcomer {
            return Err(Full);
        }
        let oldest = self.by_source.get(&gives).and_then(BTreeSet::first).copied().ok_or(Full)?;
        self.drop_request(oldest);
        Ok(())
    }

    fn count(&mut self, source: Source, change: impl FnOnce(&mut BTreeSet<RequestId>) -> bool) {
        let requests = self.by_source.entry(source).or_default();
        self.shares.remove(&(requests.len(), source));
        change(requests);
        if requests.is_empty() {
            self.by_source.remove(&source);
        } else {
            self.shares.insert((requests.len(), source));
        }
    }

    /// Another address that a request of `node` is open from.
    pub(super) fn other_peer(&self, node: NodeId, peer: IpAddr) -> Option<IpAddr> {
        self.of(node).map(|(_, request)| request.stamp.peer).find(|other| *other != peer)
    }

    /// Forgets a request: its task is gone, or gets an error.
    pub(super) fn drop_request(&mut self, id: RequestId) -> bool {
        let Some((node, _)) = self.owners.get(&id).copied() else { return false };
        self.take(node, id);
        self.refresh(node);
        true
    }

    /// Takes a request off every list but the shown one.
    fn take(&mut self, node: NodeId, id: RequestId) -> Option<Parked> {
        if let Some((_, source)) = self.owners.remove(&id) {
            self.count(source, |requests| requests.remove(&id));
        }
        self.parked.remove(&(node, id))
    }

    /// The open requests of a row.
    fn of(&self, node: NodeId) -> impl Iterator<Item = (RequestId, &Parked)> {
        let all = (node, RequestId(0))..=(node, RequestId(u64::MAX));
        self.parked.range(all).map(|((_, id), parked)| (*id, parked))
    }

    /// Forgets every request whose task is gone without a word.
    pub(super) fn sweep(&mut self) -> bool {
        let gone = self.parked.iter().filter(|(_, parked)| parked.wake.is_closed());
        let gone: Vec<_> = gone.map(|((_, id), _)| *id).collect();
        for id in &gone {
            self.drop_request(*id);
        }
        !gone.is_empty()
    }

    /// Asks the guard about the open requests of `node` and wakes those that need not wait any longer.
    pub(super) fn reconsider(&mut self, node: NodeId, fleet: &Fleet, now: Timestamp) {
        let verdict = |request: &Parked| fleet.judge(node, &request.stamp, now);
        let verdicts: Vec<_> = self.of(node).map(|(id, request)| (id, verdict(request))).collect();
        self.obstructed.remove(&node);
        for (id, verdict) in verdicts {
            match verdict {
                Some(Verdict::Hold(why)) => self.note(node, &why),
                Some(verdict @ (Verdict::Serve(_) | Verdict::Refuse(_))) => {
                    if let Some(request) = self.take(node, id) {
                        let _ = request.wake.send(verdict);
                    }
                }
                // A forgotten row: dropping the sender makes its machine ask again, as a stranger.
                None => drop(self.take(node, id)),
            }
        }
        self.refresh(node);
    }

    /// Notes what an open request of `node` waits for.
    pub(super) fn note(&mut self, node: NodeId, why: &Withheld) {
        if why.is_obstacle() {
            self.obstructed.insert(node);
        }
    }

    /// Reconsiders the rows that wait for something that is not about themselves: what freed an address, or enlarged the
    /// pool, does not say for whom. Says whether one needs not wait any longer.
    pub(super) fn reconsider_obstructed(&mut self, fleet: &Fleet, now: Timestamp) -> bool {
        let before = self.owners.len();
        for node in self.obstructed.clone() {
            self.reconsider(node, fleet, now);
        }
        self.owners.len() < before
    }

    /// The machine that asked with `stamp` as `node` is another one: its open request is `row`'s now.
    pub(super) fn part(&mut self, node: NodeId, row: NodeId, stamp: &Stamp) {
        let parted = self.of(node).filter(|(_, request)| request.stamp == *stamp);
        let parted: Vec<_> = parted.map(|(id, _)| id).collect();
        for id in parted {
            if let Some(request) = self.parked.remove(&(node, id)) {
                self.parked.insert((row, id), request);
            }
            if let Some((owner, _)) = self.owners.get_mut(&id) {
                *owner = row;
            }
        }
        self.refresh(node);
        self.refresh(row);
    }

    /// A decision about `node` was taken back: requests whose hold is as good as over get the retry answer now.
    pub(super) fn hurry(&mut self, node: NodeId, now: Instant) {
        let late = self.of(node).filter(|(_, request)| request.ends < now + TOO_LATE);
        let late: Vec<_> = late.map(|(id, _)| id).collect();
        for id in late {
            self.drop_request(id);
        }
    }

    /// Wakes everything with an error: the retry answer is due.
    pub(super) fn release_all(&mut self) {
        *self = Self::default();
    }

    fn refresh(&mut self, node: NodeId) {
        let last = self.of(node).map(|(_, request)| request.hold).max_by_key(|hold| hold.until);
        if let Some(hold) = last {
            self.shown.insert(node, hold);
        } else {
            self.shown.remove(&node);
            self.obstructed.remove(&node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DocumentHash;

    type Waiting = oneshot::Receiver<Verdict>;

    fn park(held: &mut HeldRequests, node: u64, peer: u8, most: usize) -> Result<Waiting, Full> {
        park_at(held, node, [192, 0, 2, peer].into(), most)
    }

    fn park_at(held: &mut HeldRequests, node: u64, peer: IpAddr, most: usize) -> Result<Waiting, Full> {
        let stamp = Stamp { peer, macs: BTreeSet::new(), body: DocumentHash::of(b"x") };
        let (since, ends) = (Timestamp::UNIX_EPOCH, Instant::now());
        let last = match peer {
            IpAddr::V4(v4) => v4.octets()[3],
            IpAddr::V6(v6) => v6.octets()[15],
        };
        let id = RequestId(node * 1_000 + u64::from(last));
        held.park(NodeId(node), stamp, &HoldRequest { id, since, until: since, ends }, most)
    }

    fn is_gone(waiting: &mut Waiting) -> bool {
        waiting.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn the_address_that_holds_most_gives_way() {
        let mut held = HeldRequests::default();
        let mut flood: Vec<_> = (1..=3).map(|node| park(&mut held, node, 9, 4).unwrap()).collect();
        let mut honest = park(&mut held, 4, 1, 4).unwrap();
        let mut second = park(&mut held, 5, 2, 4).unwrap();
        assert!(is_gone(&mut flood[0]), "its oldest");
        assert!(flood[1..].iter_mut().chain([&mut honest, &mut second]).all(|waiting| !is_gone(waiting)));
        let mut more = park(&mut held, 6, 9, 4).unwrap();
        assert!(is_gone(&mut flood[1]) && !is_gone(&mut more), "and it pays for its own next one");
        let mut third = park(&mut held, 7, 3, 4).unwrap();
        assert!(is_gone(&mut flood[2]) && !is_gone(&mut third));
        assert_eq!(park(&mut held, 8, 4, 4).unwrap_err(), Full, "everybody holds one");
        assert_eq!(held.shown().keys().copied().collect::<Vec<_>>(), [4, 5, 6, 7].map(NodeId));
    }

    #[test]
    fn an_ipv6_network_holds_as_one() {
        let mut held = HeldRequests::default();
        let host = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        let mut flood: Vec<_> =
            (1..=3_u16).map(|last| park_at(&mut held, last.into(), host(last), 4).unwrap()).collect();
        let mut honest = park(&mut held, 4, 1, 4).unwrap();
        let mut second = park(&mut held, 5, 2, 4).unwrap();
        assert!(is_gone(&mut flood[0]) && !is_gone(&mut honest) && !is_gone(&mut second));
    }

    #[test]
    fn lists_stay_in_step() {
        let mut held = HeldRequests::default();
        let _first = park(&mut held, 1, 1, 9).unwrap();
        let mut again = park(&mut held, 1, 1, 9).unwrap();
        let _other = park(&mut held, 1, 2, 9).unwrap();
        assert!(!is_gone(&mut again));
        assert_eq!(held.other_peer(NodeId(1), [192, 0, 2, 1].into()), Some([192, 0, 2, 2].into()));
        assert!(held.drop_request(RequestId(1_001)) && held.drop_request(RequestId(1_002)));
        assert!(!held.drop_request(RequestId(1_001)));
        assert!(held.shares.is_empty() && held.by_source.is_empty() && held.shown().is_empty());
    }
}
