//! The kernel's neighbour table: which NIC an IPv4 peer of our own network segment speaks through.
//!
//! A peer behind a router is not in it, and a hint is all it is: callers believe it only where the machine itself lists
//! the address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::domain::MacAddr;

const TABLE: &str = "/proc/net/arp";
/// Largest table that is read, in bytes: the kernel keeps a thousand entries unless told otherwise.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// A whole rack asks at once: the table is read at most this often.
const REFRESH: Duration = Duration::from_millis(250);
/// A known entry is looked up again after this long: the address may have been given to another machine.
const STALE: Duration = Duration::from_secs(2);
/// The entry is complete (`ATF_COM` of the kernel's `if_arp.h`).
const COMPLETE: u32 = 0x2;

/// The table as last read.
#[derive(Debug, Default)]
pub(super) struct Neighbours(Mutex<Option<Seen>>);

#[derive(Debug)]
struct Seen {
    at: Instant,
    entries: HashMap<Ipv4Addr, MacAddr>,
}

impl Neighbours {
    /// The link address of `peer`, where the kernel knows it. Waits a quarter of a second at most.
    pub(super) async fn mac_of(&self, peer: IpAddr) -> Option<MacAddr> {
        let IpAddr::V4(peer) = peer else { return None };
        if peer.is_loopback() {
            return None;
        }
        let mut seen = self.0.lock().await;
        if let Some(known) = seen.as_ref() {
            let hit = known.entries.get(&peer).copied();
            if hit.is_some() && known.at.elapsed() < STALE {
                return hit;
            }
            // The table is read for all who wait on the lock meanwhile.
            tokio::time::sleep_until(known.at + REFRESH).await;
        }
        let fresh = Seen { at: Instant::now(), entries: read().await };
        seen.insert(fresh).entries.get(&peer).copied()
    }
}

async fn read() -> HashMap<Ipv4Addr, MacAddr> {
    let mut text = Vec::new();
    let read = async { tokio::fs::File::open(TABLE).await?.take(MAX_BYTES).read_to_end(&mut text).await };
    if let Err(error) = read.await {
        tracing::debug!("cannot read `{TABLE}`: {error}");
    }
    parse(&String::from_utf8_lossy(&text))
}

/// Lines are `address type flags mac mask device`; the first one is a heading. What does not read as such is left out.
fn parse(table: &str) -> HashMap<Ipv4Addr, MacAddr> {
    table.lines().filter_map(entry).collect()
}

fn entry(line: &str) -> Option<(Ipv4Addr, MacAddr)> {
    let mut words = line.split_ascii_whitespace();
    let address = words.next()?.parse().ok()?;
    let flags = u32::from_str_radix(words.nth(1)?.strip_prefix("0x")?, 16).ok()?;
    let mac: MacAddr = words.next()?.parse().ok()?;
    (flags & COMPLETE != 0 && mac.is_identifying()).then_some((address, mac))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAMPLE: &str = "\
IP address       HW type     Flags       HW address            Mask     Device
192.0.2.7        0x1         0x2         b4:2e:99:ac:ad:b4     *        eth0
192.0.2.8        0x1         0x0         00:00:00:00:00:00     *        eth0
192.0.2.9        0x1         0x6         b4:2e:99:ac:ad:b5     *        eth0
192.0.2.10       0x20        0x2         80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:0a:0b:0c *  ib0
garbage
192.0.2.11
";

    #[test]
    fn complete_entries_are_read() {
        let entries = parse(SAMPLE);
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[&Ipv4Addr::new(192, 0, 2, 7)].to_string(), "b4:2e:99:ac:ad:b4");
        assert_eq!(entries[&Ipv4Addr::new(192, 0, 2, 9)].to_string(), "b4:2e:99:ac:ad:b5");
    }

    #[tokio::test]
    async fn a_stranger_is_not_known() {
        let neighbours = Neighbours::default();
        // A reserved address: no machine that runs this test can have it beside it.
        assert_eq!(neighbours.mac_of("240.0.0.1".parse().unwrap()).await, None);
        assert_eq!(neighbours.mac_of("2001:db8::1".parse().unwrap()).await, None);
    }

    proptest! {
        #[test]
        fn any_table_is_survived(table in ".{0,200}") {
            let _ = parse(&table);
        }
    }
}
