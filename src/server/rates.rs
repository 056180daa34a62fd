//! How often an address did something in the last minute: bad tokens, requests. Whoever did it too often is not looked at
//! for the rest of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::Source;

/// How long things count.
const SPAN: Duration = Duration::from_mins(1);
/// Addresses remembered.
const ADDRESSES: usize = 4_096;

/// Shared by all requests; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates(Arc<Mutex<HashMap<Source, Recent>>>);

#[derive(Clone, Copy, Debug)]
struct Recent {
    since: Instant,
    count: u32,
}

impl Rates {
    /// Whether this address has done it `allowed` times of late.
    pub(super) fn is_reached(&self, peer: IpAddr, allowed: u32, now: Instant) -> bool {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table
            .get(&Source::of(peer))
            .is_some_and(|recent| recent.count >= allowed && now.duration_since(recent.since) < SPAN)
    }

    /// Counts one more.
    pub(super) fn count(&self, peer: IpAddr, now: Instant) {
        let source = Source::of(peer);
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= ADDRESSES && !table.contains_key(&source) {
            table.retain(|_, recent| now.duration_since(recent.since) < SPAN);
            // Still full of recent ones: a flood of addresses, against which counting by address is no help.
            if table.len() >= ADDRESSES {
                table.clear();
            }
        }
        let recent = table.entry(source).or_insert(Recent { since: now, count: 0 });
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
    fn enough_in_a_minute_is_forgotten_after_it() {
        const ALLOWED: u32 = 10;
        let (rates, now) = (Rates::default(), Instant::now());
        for _ in 0..ALLOWED {
            assert!(!rates.is_reached(peer(1), ALLOWED, now));
            rates.count(peer(1), now);
        }
        assert!(rates.is_reached(peer(1), ALLOWED, now) && !rates.is_reached(peer(2), ALLOWED, now));
        let later = now + SPAN;
        assert!(!rates.is_reached(peer(1), ALLOWED, later));
        rates.count(peer(1), later);
        assert!(!rates.is_reached(peer(1), ALLOWED, later), "counted anew");
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        let (rates, now) = (Rates::default(), Instant::now());
        let host = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        (0..10).for_each(|last| rates.count(host(last), now));
        assert!(rates.is_reached(host(77), 10, now) && !rates.is_reached(host(77), 11, now));
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let rates = Rates::default();
        (0..100_000).for_each(|bits| rates.count(peer(bits), Instant::now()));
        assert!(rates.0.lock().unwrap().len() <= ADDRESSES);
    }
}
