//! Bad tokens of late, by address: whoever showed too many is not looked at for a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Bad tokens an address may show in one [`SPAN`].
const ALLOWED: u32 = 10;
/// How long they count.
const SPAN: Duration = Duration::from_mins(1);
/// Addresses remembered.
const ADDRESSES: usize = 4_096;

/// Shared by all requests; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures(Arc<Mutex<HashMap<IpAddr, Recent>>>);

#[derive(Clone, Copy, Debug)]
struct Recent {
    since: Instant,
    count: u32,
}

impl Failures {
    /// Whether this address has shown so many that it is not looked at now.
    pub(super) fn are_too_many(&self, peer: IpAddr, now: Instant) -> bool {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.get(&peer).is_some_and(|recent| recent.count >= ALLOWED && now.duration_since(recent.since) < SPAN)
    }

    /// Counts one more.
    pub(super) fn count(&self, peer: IpAddr, now: Instant) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= ADDRESSES && !table.contains_key(&peer) {
            table.retain(|_, recent| now.duration_since(recent.since) < SPAN);
            // Still full of recent ones: a flood of addresses, against which counting by address is no help.
            if table.len() >= ADDRESSES {
                table.clear();
            }
        }
        let recent = table.entry(peer).or_insert(Recent { since: now, count: 0 });
        if now.duration_since(recent.since) >= SPAN {
            *recent = Recent { since: now, count: 0 };
        }
        recent.count = recent.count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(bits: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(bits).into()
    }

    #[test]
    fn ten_in_a_minute_are_enough_and_forgotten_after_it() {
        let (failures, now) = (Failures::default(), Instant::now());
        for _ in 0..ALLOWED {
            assert!(!failures.are_too_many(peer(1), now));
            failures.count(peer(1), now);
        }
        assert!(failures.are_too_many(peer(1), now) && !failures.are_too_many(peer(2), now));
        let later = now + SPAN;
        assert!(!failures.are_too_many(peer(1), later));
        failures.count(peer(1), later);
        assert!(!failures.are_too_many(peer(1), later), "counted anew");
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let failures = Failures::default();
        (0..100_000).for_each(|bits| failures.count(peer(bits), Instant::now()));
        assert!(failures.0.lock().unwrap().len() <= ADDRESSES);
    }
}
