//! The kernel's neighbour table: which NIC a peer of our own network segment speaks through, by IPv4 or IPv6.
//!
//! A peer behind a router is not in it, and a hint is all it is: callers believe it only where the machine itself lists
//! the address.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::domain::MacAddr;

/// Most datagrams that are read of one answer: the kernel keeps a thousand entries a family unless told otherwise, and
/// sends some hundred in each.
const MAX_DATAGRAMS: usize = 4096;
/// Longest datagram; the kernel sends 32 KiB at most.
const DATAGRAM: usize = 64 * 1024;
/// A whole rack asks at once: the table is read at most this often.
const REFRESH: Duration = Duration::from_millis(250);
/// A known entry is looked up again after this long: the address may have been given to another machine.
const STALE: Duration = Duration::from_secs(2);

type Table = HashMap<IpAddr, MacAddr>;

/// The table as last read. Whoever waits for it to be read waits for all.
#[derive(Debug, Default)]
pub(super) struct Neighbours(Mutex<Option<Seen>>);

#[derive(Debug)]
struct Seen {
    /// When its reading began: what the kernel knew by then is in it.
    at: Instant,
    entries: Table,
}

impl Neighbours {
    /// The link address of `peer`, where the kernel knows it. Waits half a second at most, however many others ask.
    pub(super) async fn mac_of(&self, peer: IpAddr) -> Option<MacAddr> {
        let peer = peer.to_canonical();
        if peer.is_loopback() {
            return None;
        }
        let asked = Instant::now();
        let mut seen = self.0.lock().await;
        if let Some(known) = seen.as_ref() {
            let hit = known.entries.get(&peer).copied();
            // Read since for another one who waited: what is not in it now, behind a router say, will not be.
            if known.at >= asked || (hit.is_some() && known.at.elapsed() < STALE) {
                return hit;
            }
            tokio::time::sleep_until(known.at + REFRESH).await;
        }
        let at = Instant::now();
        let read = tokio::task::spawn_blocking(read).await;
        let entries = match read.map_err(io::Error::other).flatten() {
            Ok(entries) => entries,
            Err(error) => {
                tracing::debug!("cannot read the neighbour table: {error}");
                Table::new()
            }
        };
        seen.insert(Seen { at, entries }).entries.get(&peer).copied()
    }
}

/// Asks the kernel for all neighbours of both families.
fn read() -> io::Result<Table> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&request(), 0)?;
    let mut table = Table::new();
    let mut datagram = Vec::with_capacity(DATAGRAM);
    for _ in 0..MAX_DATAGRAMS {
        datagram.clear();
        socket.recv(&mut datagram, 0)?;
        if take(&datagram, &mut table)? {
            break;
        }
    }
    Ok(table)
}

fn request() -> Vec<u8> {
    let inner = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
    let mut request = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(inner));
    request.header.flags = NLM_F_DUMP | NLM_F_REQUEST;
    request.header.sequence_number = 1;
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    bytes
}

/// Takes the entries out of one datagram; whether it was the last one. What does not read as an entry is left out.
fn take(mut datagram: &[u8], table: &mut Table) -> io::Result<bool> {
    while !datagram.is_empty() {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(datagram).map_err(io::Error::other)?;
        let length = usize::try_from(message.header.length).unwrap_or(usize::MAX);
        match message.payload {
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(neighbour)) => {
                table.extend(entry(&neighbour));
            }
            _ => {}
        }
        // Messages are padded to four bytes.
        let next = length.max(1).next_multiple_of(4);
        datagram = datagram.get(next..).unwrap_or_default();
    }
    Ok(false)
}

fn entry(neighbour: &NeighbourMessage) -> Option<(IpAddr, MacAddr)> {
    let is_known = matches!(
        neighbour.header.state,
        NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent
    );
    let mut address = None;
    let mut mac = None;
    for attribute in &neighbour.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => address = Some(IpAddr::V4(*v4)),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => address = Some(IpAddr::V6(*v6)),
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes.as_slice().try_into().ok().map(MacAddr),
            _ => {}
        }
    }
    let mac = mac.filter(|mac| mac.is_identifying());
    address.filter(|_| is_known).zip(mac)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::outside::skip;
    use proptest::prelude::*;

    /// Set where the test runs in a network of its own.
    const INSIDE: &str = "PROX_TEST_NETWORK";

    /// Neighbours of both families as the kernel has them, in a network namespace that needs no rights of root.
    #[test]
    fn the_kernels_own_table_is_read() {
        if std::env::var_os(INSIDE).is_some() {
            let table = read().unwrap();
            let mac = |address: &str| table.get(&address.parse::<IpAddr>().unwrap()).map(ToString::to_string);
            assert_eq!(mac("192.0.2.7").as_deref(), Some("b4:2e:99:ac:ad:b4"));
            assert_eq!(mac("2001:db8::7").as_deref(), Some("b4:2e:99:ac:ad:b5"));
            assert_eq!(mac("192.0.2.8"), None, "one that never answered");
            return;
        }
        let script = "ip link add v0 type veth peer name v1 && ip link set v1 up && ip link set v0 up \
             && ip addr add 192.0.2.1/24 dev v0 && ip -6 addr add 2001:db8::1/64 dev v0 nodad \
             && ip neigh add 192.0.2.7 lladdr b4:2e:99:ac:ad:b4 dev v0 nud reachable \
             && ip neigh add 192.0.2.8 dev v0 nud failed \
             && ip -6 neigh add 2001:db8::7 lladdr b4:2e:99:ac:ad:b5 dev v0 nud stale || exit 77; exec \"$0\" \"$@\"";
        let name = "server::neighbours::tests::the_kernels_own_table_is_read";
        let mut command = Command::new("unshare");
        command.args(["-rn", "sh", "-c", script]).arg(std::env::current_exe().unwrap());
        let ran = command.args([name, "--exact", "--nocapture"]).env(INSIDE, "1").output();
        match ran {
            Ok(ran) if ran.status.success() => {
                assert!(String::from_utf8_lossy(&ran.stdout).contains("1 passed"), "{ran:?}");
            }
            Ok(ran) if ran.status.code() == Some(101) => panic!("{}", String::from_utf8_lossy(&ran.stderr)),
            other => skip(&format!("no network of its own can be made here (unshare, ip): {other:?}")),
        }
    }

    #[tokio::test]
    async fn a_stranger_is_not_known() {
        let neighbours = Neighbours::default();
        // Reserved addresses: no machine that runs this test can have them beside it.
        assert_eq!(neighbours.mac_of("240.0.0.1".parse().unwrap()).await, None);
        assert_eq!(neighbours.mac_of("2001:db8::1".parse().unwrap()).await, None);
    }

    #[tokio::test]
    async fn a_rack_behind_a_router_waits_as_long_as_one_machine() {
        let neighbours = Neighbours::default();
        let peers = (1..=50_u8).map(|last| IpAddr::from([240, 0, 0, last]));
        let before = Instant::now();
        let found = futures_util::future::join_all(peers.map(|peer| neighbours.mac_of(peer))).await;
        assert!(found.iter().all(Option::is_none));
        // One after the other it would be more than twelve seconds; a busy machine gets a generous bound.
        assert!(before.elapsed() < 24 * REFRESH, "{:?}", before.elapsed());
    }

    proptest! {
        #[test]
        fn any_datagram_is_survived(datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = take(&datagram, &mut Table::new());
        }
    }
}
