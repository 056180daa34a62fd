//! Who has how many connections open, and who gives one up when there are too many.
//!
//! A connection is idle until its request is there in full; only idle ones are ever cut, so neither a machine that waits
//! for approval nor a report on its way loses its place to a flood. Over a limit without anybody to cut, a connection is
//! served all the same as far as the retry answer, up to a reserve.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::domain::Source;

/// How many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Open at once.
    pub(super) total: usize,
    /// Open at once from one address; `None` for a trusted proxy, which speaks for many.
    pub(super) per_address: Option<usize>,
}

/// Whether a connection is taken.
#[derive(Debug)]
pub(super) enum Admission {
    /// It is served.
    In(Seat),
    /// It is over a limit: what it asks for is the retry answer.
    Hurried(Seat),
    /// It is closed at once.
    Out,
}

/// What a new connection did to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pressure {
    /// Its own address has too many.
    Own,
    /// All are taken, and this address had to give one up.
    Of(IpAddr),
    /// All are taken, and nobody could be cut.
    All,
}

/// All open connections; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Crowd(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    sources: HashMap<Source, Slot>,
    /// Sources with idle connections: most of them last, and of equals the one that idles longest.
    idlers: BTreeSet<(usize, Reverse<u64>, Source)>,
    open: usize,
    next: u64,
}

/// The connections of one source.
#[derive(Debug, Default)]
struct Slot {
    idle: BTreeMap<u64, CancellationToken>,
    busy: usize,
}

impl Slot {
    fn rank(&self, source: Source) -> Option<(usize, Reverse<u64>, Source)> {
        let (oldest, _) = self.idle.first_key_value()?;
        Some((self.idle.len(), Reverse(*oldest), source))
    }
}

/// A place among the open connections, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Crowd,
    source: Source,
    id: u64,
    /// Cancelled when it has to go.
    pub(super) cut: CancellationToken,
}

/// Over a limit, so many more per hundred are served as far as the retry answer.
const RESERVE_PERCENT: usize = 10;
/// And so many at least.
const LEAST_RESERVE: usize = 8;

fn with_reserve(limit: usize) -> usize {
    limit.saturating_add((limit / 100 * RESERVE_PERCENT).max(LEAST_RESERVE))
}

/// The limit whose reserve still fits into `places`.
pub(super) fn without_reserve(places: usize) -> usize {
    places.saturating_sub(places.div_ceil(11).max(LEAST_RESERVE)).max(1)
}

impl Crowd {
    /// Takes a connection of `peer` in, if need be at the cost of another one; says what was hit.
    pub(super) fn admit(&self, peer: IpAddr, room: Room) -> (Admission, Option<Pressure>) {
        let source = Source::of(peer);
        let mut table = self.lock();
        let own = table.sources.get(&source).map_or(0, |slot| slot.idle.len() + slot.busy);
        let own_is_full = room.per_address.is_some_and(|limit| own >= limit);
        let all_are_taken = table.open >= room.total;
        if own_is_full && table.cut_idle_of(source) {
            return (Admission::In(self.enter(&mut table, source)), Some(Pressure::Own));
        }
        if own_is_full {
            let within = own < with_reserve(room.per_address.unwrap_or(own)) && table.open < with_reserve(room.total);
            let admission = if within { Admission::Hurried(self.enter(&mut table, source)) } else { Admission::Out };
            return (admission, Some(Pressure::Own));
        }
        if !all_are_taken {
            return (Admission::In(self.enter(&mut table, source)), None);
        }
        if let Some(&(_, _, victim)) = table.idlers.last() {
            table.cut_idle_of(victim);
            return (Admission::In(self.enter(&mut table, source)), Some(Pressure::Of(victim.address())));
        }
        let within = table.open < with_reserve(room.total);
        let admission = if within { Admission::Hurried(self.enter(&mut table, source)) } else { Admission::Out };
        (admission, Some(Pressure::All))
    }

    fn enter(&self, table: &mut Table, source: Source) -> Seat {
        let (id, cut) = (table.next, CancellationToken::new());
        table.next += 1;
        table.open += 1;
        table.change(source, |slot| {
            slot.idle.insert(id, cut.clone());
        });
        Seat { crowd: self.clone(), source, id, cut }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Changes a source's connections and keeps its rank.
    fn change(&mut self, source: Source, change: impl FnOnce(&mut Slot)) {
        let slot = self.sources.entry(source).or_default();
        let before = slot.rank(source);
        change(slot);
        let after = slot.rank(source);
        if slot.idle.is_empty() && slot.busy == 0 {
            self.sources.remove(&source);
        }
        if before != after {
            before.map(|rank| self.idlers.remove(&rank));
            self.idlers.extend(after);
        }
    }

    /// Cuts the oldest idle connection of a source; its place is free at once.
    fn cut_idle_of(&mut self, source: Source) -> bool {
        let mut cut = None;
        self.change(source, |slot| cut = slot.idle.pop_first());
        let Some((_, token)) = cut else { return false };
        token.cancel();
        self.open -= 1;
        true
    }
}

impl Seat {
    /// The request is there in full: from now on nobody cuts it.
    pub(super) fn asked(&self) {
        let id = self.id;
        self.crowd.lock().change(self.source, |slot| {
            if slot.idle.remove(&id).is_some() {
                slot.busy += 1;
            }
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let id = self.id;
        let mut table = self.crowd.lock();
        // One that was cut, which happens under this lock, has given its place back already.
        if self.cut.is_cancelled() {
            return;
        }
        table.open -= 1;
        table.change(self.source, |slot| {
            if slot.idle.remove(&id).is_none() {
                slot.busy -= 1;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOM: Room = Room { total: 10, per_address: Some(4) };

    fn peer(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn enter(crowd: &Crowd, last: u8) -> Seat {
        match crowd.admit(peer(last), ROOM) {
            (Admission::In(seat), _) => seat,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_address_with_too_many_cuts_its_own_oldest_idle_one() {
        let crowd = Crowd::default();
        let seats: Vec<_> = (0..4).map(|_| enter(&crowd, 1)).collect();
        seats[0].asked();
        let (fifth, pressure) = crowd.admit(peer(1), ROOM);
        assert!(matches!(fifth, Admission::In(_)));
        assert_eq!(pressure, Some(Pressure::Own));
        assert_eq!(seats.iter().map(|seat| seat.cut.is_cancelled()).collect::<Vec<_>>(), [false, true, false, false]);
        assert!(crowd.admit(peer(2), ROOM).1.is_none(), "others are not concerned");
    }

    #[test]
    fn busy_ones_are_never_cut_and_further_ones_are_hurried_then_turned_away() {
        let crowd = Crowd::default();
        let busy: Vec<_> = (0..4).map(|_| enter(&crowd, 1)).collect();
        busy.iter().for_each(Seat::asked);
        let mut hurried = Vec::new();
        loop {
            match crowd.admit(peer(1), ROOM).0 {
                Admission::Hurried(seat) => {
                    seat.asked();
                    hurried.push(seat);
                }
                Admission::Out => break,
                Admission::In(_) => panic!("over the limit"),
            }
        }
        assert_eq!(hurried.len(), LEAST_RESERVE);
        assert!(busy.iter().all(|seat| !seat.cut.is_cancelled()));
        drop(hurried);
        drop(busy);
        assert!(crowd.lock().sources.is_empty() && crowd.lock().open == 0);
    }

    #[test]
    fn when_all_are_taken_the_address_with_most_idle_ones_gives_way() {
        let crowd = Crowd::default();
        let honest = [enter(&crowd, 1), enter(&crowd, 2)];
        let flood: Vec<_> = (0..8).map(|number| enter(&crowd, 3 + number / 4)).collect();
        let (admission, pressure) = crowd.admit(peer(9), ROOM);
        assert!(matches!(admission, Admission::In(_)));
        assert_eq!(pressure, Some(Pressure::Of(peer(3))), "of equals the one that idles longest");
        assert!(flood[0].cut.is_cancelled() && !flood[1].cut.is_cancelled());
        assert!(honest.iter().all(|seat| !seat.cut.is_cancelled()));
    }

    #[test]
    fn a_proxy_may_speak_for_many_and_an_ipv6_network_counts_as_one() {
        let crowd = Crowd::default();
        let room = Room { total: 100, per_address: None };
        let seats: Vec<_> = (0..50).map(|_| crowd.admit(peer(1), room)).collect();
        assert!(seats.iter().all(|(admission, _)| matches!(admission, Admission::In(_))));
        let host = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        let _all: Vec<_> = (0..4).map(|last| crowd.admit(host(last), ROOM)).collect();
        assert_eq!(crowd.admit(host(9), ROOM).1, Some(Pressure::Own));
    }

    proptest! {
        /// Whatever comes and goes: the books are right, and what was asked is never cut.
        #[test]
        fn the_books_are_right(steps in proptest::collection::vec((0..4_u8, 0..6_u8, any::<prop::sample::Index>()), 0..200)) {
            let crowd = Crowd::default();
            let mut seats: Vec<(Seat, bool)> = Vec::new();
            for (step, last, which) in steps {
                match step {
                    0 | 1 => if let (Admission::In(seat) | Admission::Hurried(seat), _) = crowd.admit(peer(last), ROOM) {
                        seats.push((seat, false));
                    },
                    2 if !seats.is_empty() => {
                        let (seat, asked) = which.get(&seats);
                        seat.asked();
                        let index = which.index(seats.len());
                        seats[index].1 = *asked || !seats[index].0.cut.is_cancelled();
                    }
                    3 if !seats.is_empty() => drop(seats.swap_remove(which.index(seats.len()))),
                    _ => {}
                }
                let open = seats.iter().filter(|(seat, _)| !seat.cut.is_cancelled()).count();
                let table = crowd.lock();
                prop_assert_eq!(table.open, open);
                prop_assert_eq!(table.sources.values().map(|slot| slot.idle.len() + slot.busy).sum::<usize>(), open);
                prop_assert_eq!(table.idlers.len(), table.sources.values().filter(|slot| !slot.idle.is_empty()).count());
                prop_assert!(seats.iter().all(|(seat, asked)| !asked || !seat.cut.is_cancelled()));
            }
        }
    }
}
