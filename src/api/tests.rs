//! Orders and snapshots over a real socket, with a real coordinator behind it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::client::{ApiError, RemoteEngine};
use super::*;
use crate::coordinator::{self, Handle};
use crate::domain::text::Text;
use crate::domain::{Command, Effect, NodeId, Origin, Policy};
use crate::store::{Page, Reader, Store};

/// An engine that is nothing but a coordinator and its socket.
struct Bench {
    folder: tempfile::TempDir,
    handle: Handle,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
    _effects: mpsc::Receiver<Effect>,
}

/// A client that answers questions without an engine.
#[derive(Clone)]
struct Nobody(Handle);

impl crate::client::Client for Nobody {
    fn snapshots(&self) -> tokio::sync::watch::Receiver<std::sync::Arc<crate::domain::Snapshot>> {
        self.0.snapshots()
    }

    async fn order(&self, _: Order) -> Result<Ordered, crate::client::OrderError> {
        Err(crate::client::OrderError::Busy)
    }

    async fn preview(&self, node: NodeId) -> Result<crate::client::Preview, crate::client::OrderError> {
        Err(crate::domain::Refusal::UnknownNode(node).into())
    }

    async fn new_profile(&self, wish: crate::client::NewProfile) -> Result<String, crate::client::OrderError> {
        Ok(format!("profiles/{}.toml", wish.name))
    }

    async fn history(&self, _: NodeId) -> Vec<crate::client::Moment> {
        Vec::new()
    }

    async fn self_test(&self) -> crate::client::SelfTest {
        crate::client::SelfTest::default()
    }

    fn progress(&self, _: RunId) -> Option<std::sync::Arc<crate::client::Progress>> {
        None
    }

    fn result(&self, _: RunId, _: crate::domain::grid::Place) -> Option<std::sync::Arc<crate::domain::play::HostTold>> {
        None
    }

    fn output(&self, _: RunId, _: u64, _: usize) -> crate::client::OutputChunk {
        crate::client::OutputChunk::default()
    }
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        let loaded = store.load(Policy::default()).unwrap();
        let (effects_in, effects) = mpsc::channel(16);
        let handle = coordinator::start(store, loaded, effects_in).unwrap().handle;
        let entries = ["a.lab.example", "b.lab.example"].map(|name| (name.parse().unwrap(), Text::new("installed")));
        handle.submit(Origin::System, Command::Import { entries: entries.into() }).await.unwrap();
        let stop = CancellationToken::new();
        let bound = server::bind(folder.path()).unwrap();
        let serving = tokio::spawn(server::serve(bound, handle.clone(), Nobody(handle.clone()), stop.clone()));
        Self { folder, handle, stop, serving, _effects: effects }
    }

    fn client(&self) -> RemoteEngine {
        RemoteEngine::find(self.folder.path()).unwrap()
    }

    /// Sends bytes as they are and returns the first line of the response.
    async fn raw(&self, head: &str, body: &[u8]) -> String {
        let mut stream = UnixStream::connect(find_socket(self.folder.path()).unwrap()).await.unwrap();
        let head = format!("{head}\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n");
        stream.write_all(format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes()).await.unwrap();
        // The server may have said no before all of it is out.
        let _ = stream.write_all(body).await;
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response).await;
        String::from_utf8_lossy(&response).lines().next().unwrap_or_default().to_owned()
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_socket_is_its_owners_and_goes_with_the_engine() {
    let bench = Bench::new().await;
    let path = find_socket(bench.folder.path()).unwrap();
    assert_eq!((mode(&path), mode(bench.folder.path())), (0o600, 0o700));
    bench.stop.cancel();
    bench.serving.await.unwrap();
    assert!(matches!(RemoteEngine::find(bench.folder.path()), Err(ApiError::Socket(SocketError::NotRunning(_)))));
}

#[tokio::test]
async fn a_dead_engine_is_told_from_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let error = RemoteEngine::find(folder.path()).unwrap().snapshot().await.unwrap_err();
    assert!(matches!(&error, ApiError::Dead { path: named, .. } if *named == path), "{error}");
    drop(server::bind(folder.path()).unwrap());
    assert!(!path.exists(), "a new engine takes its place");
}

#[tokio::test]
async fn a_snapshot_arrives_as_it_is() {
    let bench = Bench::new().await;
    let (seen, own) = (bench.client().snapshot().await.unwrap(), bench.handle.snapshot());
    assert_eq!((seen.seq, seen.fleet.node_count()), (own.seq, 2));
    assert_eq!(seen.fleet.node(NodeId(1)), own.fleet.node(NodeId(1)));
}

#[tokio::test]
async fn orders_are_carried_out_or_refused_each_for_itself_and_signed() {
    let bench = Bench::new().await;
    let forget = |node| Order::Forget { node: NodeId(node) };
    let responses =
        bench.client().orders("an\u{1b}na".to_owned(), vec![forget(1), forget(7), forget(2)], false).await.unwrap();
    let [OrderResponse::Done { run: None }, OrderResponse::Refused { reason }, OrderResponse::Done { run: None }] =
        responses.as_slice()
    else {
        panic!("{responses:?}")
    };
    assert!(reason.contains("m7"), "{reason}");
    let refused = bench.client().order("anna".to_owned(), Order::Cancel).await.unwrap();
    assert!(matches!(refused, OrderResponse::Refused { .. }), "{refused:?}");
    let last = Reader::open(bench.folder.path()).unwrap().events(Page::Before(u64::MAX), None, 1).unwrap();
    assert_eq!(last[0].origin, Origin::Operator("anna".to_owned()));
}

#[tokio::test]
async fn a_stopped_engine_says_so() {
    let bench = Bench::new().await;
    bench.handle.stop().await;
    let response = bench.client().order("anna".to_owned(), Order::Cancel).await.unwrap();
    assert_eq!(response, OrderResponse::Failed { reason: "the engine has stopped".to_owned() });
}

#[tokio::test]
async fn what_is_no_order_changes_nothing() {
    let bench = Bench::new().await;
    let before = bench.handle.snapshot().seq;
    let order = "POST /v1/orders HTTP/1.1";
    let unknown = br#"{"operator":"anna","orders":[{"order":"forget","node":1,"force":true}]}"#;
    for (head, body, status) in [
        (order, &b"{"[..], "400"),
        (order, br#"{"operator":"anna","orders":[{"order":"format"}]}"#, "422"),
        (order, unknown, "422"),
        ("POST /v1/profile HTTP/1.1", &vec![b' '; (64 << 10) + 1], "413"),
        ("GET /v1/orders HTTP/1.1", b"", "405"),
        ("POST /v2/orders HTTP/1.1", b"", "404"),
    ] {
        let line = bench.raw(head, body).await;
        assert!(line.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {line}");
    }
    assert_eq!(bench.handle.snapshot().seq, before);
    let wish = crate::client::NewProfile { node: NodeId(1), name: "x".repeat(64 << 10), pointers: Vec::new() };
    let error = bench.client().new_profile(&wish).await.unwrap_err();
    assert!(matches!(error, ApiError::TooLong | ApiError::Broken(_)), "{error}");
}

#[tokio::test]
async fn questions_are_answered_or_refused_in_words() {
    let bench = Bench::new().await;
    let refused = Answered::Refused { reason: "there is no node `m9`; it may have been forgotten".to_owned() };
    assert_eq!(bench.client().preview(NodeId(9)).await.unwrap(), refused);
    let wish = crate::client::NewProfile { node: NodeId(1), name: "x".to_owned(), pointers: Vec::new() };
    let written = Answered::Done { value: "profiles/x.toml".to_owned() };
    assert_eq!(bench.client().new_profile(&wish).await.unwrap(), written);
}
