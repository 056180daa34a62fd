//! Looks at real sockets: SSH servers with keys of every type, and ports that are none.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use jiff::Timestamp;
use rstest::rstest;
use russh::keys::{Algorithm, EcdsaCurve, PrivateKey};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::coordinator;
use crate::domain::command::{Ask, Order, Sighting};
use crate::domain::facts::{Dmi, Generation, Link, Product, SystemInfo};
use crate::domain::{DocumentHash, HostKey, MacAddr, OwnNetwork, Policy, Stamp};
use crate::store::{Document, Store};

const LIMIT: Duration = Duration::from_secs(20);

fn key(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::random(&mut rand::rng(), algorithm).unwrap()
}

fn public(key: &PrivateKey) -> HostKey {
    key.public_key().to_openssh().unwrap().parse().unwrap()
}

struct Visitor;

impl russh::server::Handler for Visitor {
    type Error = russh::Error;
}

/// An SSH server with these keys, until the returned socket's task is dropped with the runtime.
async fn server(keys: Vec<PrivateKey>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::new(russh::server::Config { keys, ..russh::server::Config::default() });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let config = Arc::clone(&config);
            tokio::spawn(async move {
                if let Ok(session) = russh::server::run_stream(config, stream, Visitor).await {
                    let _ = session.await;
                }
            });
        }
    });
    address
}

async fn see(address: SocketAddr, keys: &[&PrivateKey], limit: Duration) -> Sighting {
    look(&Target { address, keys: keys.iter().map(|key| public(key)).collect() }, limit).await
}

const ECDSA: Algorithm = Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 };

#[rstest]
#[case::ed25519(Algorithm::Ed25519)]
#[case::ecdsa(ECDSA)]
#[case::rsa(Algorithm::Rsa { hash: None })]
#[tokio::test]
async fn a_server_is_proven_by_any_reported_type(#[case] reported: Algorithm) {
    // The server likes others better; the one that was reported must be asked for.
    let known = key(reported.clone());
    let mut keys: Vec<_> =
        [Algorithm::Ed25519, ECDSA].into_iter().filter(|other| *other != reported).map(key).collect();
    keys.push(known.clone());
    let address = server(keys).await;
    assert_eq!(see(address, &[&known], LIMIT).await, Sighting::Proven);
}

#[tokio::test]
async fn another_key_is_shown_whatever_its_type() {
    let (real, reported, other_type) = (key(Algorithm::Ed25519), key(Algorithm::Ed25519), key(ECDSA));
    let address = server(vec![real.clone()]).await;
    let seen = Sighting::OtherKey { seen: public(&real) };
    assert_eq!(see(address, &[&reported], LIMIT).await, seen);
    assert_eq!(see(address, &[&other_type], LIMIT).await, seen);
    assert_eq!(see(address, &[], LIMIT).await, seen, "nothing was reported");
    assert_eq!(see(address, &[&reported, &real], LIMIT).await, Sighting::Proven);
}

#[tokio::test]
async fn silence_is_told_in_words() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let words = |sighting| match sighting {
        Sighting::Silent { what } => what.to_string(),
        other => panic!("{other:?}"),
    };
    let port = closed.port();
    assert_eq!(words(see(closed, &[], LIMIT).await), format!("connection to port {port} refused"));

    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = silent.local_addr().unwrap();
    let port = address.port();
    let short = Duration::from_millis(200);
    assert_eq!(words(see(address, &[], short).await), format!("port {port} is open, but SSH does not answer"));

    for (greeting, said) in [
        (b"".as_slice(), "closed the connection before SSH began"),
        (b"SSH-2.0-x\r\n", "closed the connection before SSH began"),
        (&[b'x'; 8192], "is open, but does not speak SSH"),
    ] {
        let address = speaker(greeting.to_vec()).await;
        assert_eq!(words(see(address, &[], LIMIT).await), format!("port {} {said}", address.port()));
    }
}

/// Says something to each visitor and hangs up.
async fn speaker(greeting: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(&greeting).await;
            let _ = stream.shutdown().await;
            // What the visitor says is read, so that the connection ends in order.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    });
    address
}

#[tokio::test]
async fn looks_are_scheduled_with_growing_pauses() {
    let now = Instant::now();
    let settings = Settings::default();
    let target = Target { address: ([192, 0, 2, 1], 22).into(), keys: Vec::new() };
    let plan = || Plan {
        target: target.clone(),
        pause: settings.first_pause,
        is_ready: false,
        is_missed: false,
        due: Some(now),
    };
    let is_counting = false;
    let mut schedule =
        Schedule { settings, is_counting, plans: BTreeMap::from([(NodeId(1), plan()), (NodeId(2), plan())]) };
    assert_eq!(schedule.next_due(now).unwrap().0, NodeId(1));
    assert_eq!(schedule.next_due(now).unwrap().0, NodeId(2));
    assert!(schedule.next_due(now).is_none() && schedule.earliest().is_none(), "both are being looked at");
    let mut pauses = Vec::new();
    let mut at = now;
    for _ in 0..6 {
        schedule.looked(NodeId(1), false, at);
        let due = schedule.earliest().unwrap();
        pauses.push((due - at).as_secs());
        at = due;
        assert!(schedule.next_due(at).is_some());
    }
    assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
    // One that is ready is looked at now and then, and soon again where it was missed.
    let mut schedule =
        Schedule { settings, is_counting, plans: BTreeMap::from([(NodeId(1), Plan { is_ready: true, ..plan() })]) };
    for (is_seen, pause) in [(true, 60), (false, 2), (true, 60)] {
        assert!(schedule.next_due(at).is_some());
        schedule.looked(NodeId(1), is_seen, at);
        assert_eq!((schedule.earliest().unwrap() - at).as_secs(), pause);
        assert_eq!(schedule.is_sure(NodeId(1)), !is_seen, "missing it twice settles it");
        at = schedule.earliest().unwrap();
    }
}

#[tokio::test]
async fn an_installed_node_becomes_ready_when_its_key_shows() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let loaded = store.load(Policy::default()).unwrap();
    let (effects, _kept) = mpsc::channel(16);
    let handle = coordinator::start(store, loaded, effects).unwrap().handle;
    let real = key(Algorithm::Ed25519);
    let port = server(vec![real.clone()]).await.port();
    let pause = Duration::from_millis(20);
    let settings = Settings { port, first_pause: pause, longest_pause: pause, ..Settings::default() };
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(run(handle.clone(), settings, shutdown.clone()));

    let mac = MacAddr([2, 0, 0, 0, 0, 1]);
    let document = Document { hash: DocumentHash::of(b"{}"), bytes: b"{}".to_vec() };
    let links = vec![Link { name: "eno1".into(), mac }];
    let (generation, product, dmi) = (Generation::V9_2, Product::Pve, Dmi::default());
    let info = SystemInfo { generation, product, iso_release: None, dmi, links };
    let seen = Stamp { peer: [192, 0, 2, 1].into(), macs: [mac].into(), body: document.hash };
    let now = Timestamp::now();
    let ask = Ask {
        stamp: seen.clone(),
        info: info.into(),
        asking_mac: None,
        token: None,
        wish: None,
        own: OwnNetwork::default(),
    };
    drop(handle.ask(ask, document, coordinator::Patience::new(now, Instant::now(), LIMIT)).await.unwrap());
    let node = NodeId(1);
    let fingerprint = public(&real).fingerprint();
    for order in [
        Order::Approve { node, seen },
        Order::MarkInstalled { node },
        Order::SetAddress { node, address: Ipv4Addr::LOCALHOST.into() },
    ] {
        handle.submit(Origin::System, Command::Order(order)).await.unwrap();
    }
    // Nothing was reported, so the key seen is shown and waits for the operator.
    let mut snapshots = handle.snapshots();
    let is_seen = |snapshot: &Arc<Snapshot>| snapshot.fleet.node(node).is_some_and(|row| row.unproven.is_some());
    tokio::time::timeout(LIMIT, snapshots.wait_for(is_seen)).await.unwrap().unwrap();
    handle.submit(Origin::System, Command::Order(Order::TrustHostKey { node, fingerprint })).await.unwrap();
    let is_ready = |snapshot: &Arc<Snapshot>| snapshot.fleet.node(node).is_some_and(|row| row.phase == Phase::Ready);
    tokio::time::timeout(LIMIT, snapshots.wait_for(is_ready)).await.unwrap().unwrap();
    shutdown.cancel();
    task.await.unwrap();
}
