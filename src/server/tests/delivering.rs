//! What is told of an answer that did not, or did, reach its machine.

use axum::Extension;
use axum::Router;
use axum::response::Response;
use axum::routing::post as on_post;
use rstest::rstest;
use tokio::io::DuplexStream;
use tokio::sync::{Notify, broadcast};

use super::*;
use crate::domain::{DocumentHash, Event, Recorded, Release, SecretHash};
use crate::server::connection::{self, ConnInfo, Shared};
use crate::server::crowd::{Admission, Crowd, Room};
use crate::server::delivery::Expected;
use crate::server::reply;
use crate::store::RedactedAnswer;

/// Longer than what fits into the tests' pipe.
const TEXT: &str = "0123456789abcdef0123456789abcdef";

/// What was released: its node and text.
fn released() -> Expected {
    let (document, secret) = (DocumentHash::of(TEXT.as_bytes()), SecretHash::of(b"s"));
    Expected::Answer { node: NodeId(1), document, secret }
}

impl Bench {
    /// Has that answer released.
    async fn release(&self) {
        let Expected::Answer { node, document, secret } = released() else { panic!("not an answer") };
        let row = self.handle.snapshot().fleet.node(node).unwrap().clone();
        let release = Release {
            node,
            stamp: row.request.as_ref().unwrap().stamp.clone(),
            name: row.name.clone(),
            address: None,
            granted: (row.fixed(), row.nic),
            document,
            secret,
            vendor_unseen: false,
            profile: None,
            left_out: None,
            own: crate::domain::OwnNetwork::default(),
        };
        let answer = RedactedAnswer { node, hash: document, text: TEXT.to_owned() };
        assert_eq!(self.handle.release(release, answer).await.unwrap(), coordinator::Rendered::Released);
    }
}

/// A bench with one node that was answered, and its events from here on.
async fn with_a_node() -> (Bench, broadcast::Receiver<Arc<Recorded>>) {
    let bench = Bench::new(Setup { hold: Duration::ZERO, ..Setup::default() }).await;
    bench.send(1, &post("/answer", &body_of(1))).await.screen();
    bench.approve(NodeId(1)).await;
    bench.release().await;
    let events = bench.started.events.subscribe();
    (bench, events)
}

/// Serves one connection of `pipe` bytes with `router`.
fn connect(bench: &Bench, router: Router, pipe: usize) -> DuplexStream {
    let (client, server) = tokio::io::duplex(pipe);
    let shared = Shared {
        app: bench.app.clone(),
        router: router.clone(),
        wrong_scheme: Router::new(),
        tls: None,
        grace: CancellationToken::new(),
    };
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let Admission::In(place) = Crowd::default().admit(peer.ip(), Room { total: 1, per_address: None }).0 else {
        panic!("there is room")
    };
    let info = ConnInfo::new(peer, bench.address, (place, false));
    tokio::spawn(async move { connection::exchange(server, info, &router, &shared).await });
    client
}

async fn told(mut events: broadcast::Receiver<Arc<Recorded>>) -> bool {
    loop {
        match &timeout(PATIENCE, events.recv()).await.unwrap().unwrap().event {
            Event::AnswerDelivered { .. } => return true,
            Event::AnswerLost { .. } => return false,
            _ => {}
        }
    }
}

#[rstest]
#[case::all(usize::MAX, true)]
#[case::half(200, false)]
#[tokio::test]
async fn an_answer_is_delivered_when_all_of_it_has_left(#[case] taken: usize, #[case] delivered: bool) {
    async fn answer(Extension(conn): Extension<ConnInfo>) -> Response {
        conn.delivery.expect(Some(released()));
        reply::toml(conn.delivery.body(TEXT.repeat(100)))
    }
    let (bench, events) = with_a_node().await;
    let mut client = connect(&bench, Router::new().route("/answer", on_post(answer)), 64);
    client.write_all(&post("/answer", "{}")).await.unwrap();
    let mut reply = Vec::new();
    (&mut client).take(taken as u64).read_to_end(&mut reply).await.unwrap();
    drop(client);
    assert_eq!(told(events).await, delivered);
    bench.end().await;
}

#[tokio::test]
async fn an_answer_whose_machine_hung_up_before_it_was_written_is_lost() {
    let (bench, events) = with_a_node().await;
    let released_it = Arc::new(Notify::new());
    let notify = Arc::clone(&released_it);
    let never_replies = on_post(move |Extension(conn): Extension<ConnInfo>| async move {
        conn.delivery.expect(Some(released()));
        notify.notify_one();
        std::future::pending::<Response>().await
    });
    let mut client = connect(&bench, Router::new().route("/answer", never_replies), 4096);
    client.write_all(&post("/answer", "{}")).await.unwrap();
    timeout(PATIENCE, released_it.notified()).await.unwrap();
    drop(client);
    assert!(!told(events).await);
    bench.end().await;
}

#[tokio::test]
async fn an_answer_in_whose_place_another_reply_was_sent_is_lost() {
    async fn answer(Extension(conn): Extension<ConnInfo>) -> Response {
        conn.delivery.expect(Some(released()));
        reply::retry("SERVER ERROR - retrying")
    }
    let (bench, events) = with_a_node().await;
    let client = connect(&bench, Router::new().route("/answer", on_post(answer)), 4096);
    exchange(client, &post("/answer", "{}")).await.screen();
    assert!(!told(events).await);
    bench.end().await;
}
