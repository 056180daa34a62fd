use rstest::rstest;

use super::*;
use crate::domain::node::{Delivery, Flag};
use crate::domain::{DocumentHash, Phase, SecretHash};
use crate::store::Reader;

#[tokio::test]
async fn an_approval_releases_the_held_request() {
    let bench = Bench::new(Setup::default()).await;
    let machine = bench.post_answer(7).await;
    let node = only(&*bench.until_held(1).await);
    assert_eq!(node.phase, Phase::Waiting);
    bench.approve(node.id).await;
    let reply = machine.await.unwrap();
    let answer = reply.answer();
    assert_eq!(answer["global"]["fqdn"].as_str(), Some(node.name.as_str()));
    assert_eq!(answer["network"]["cidr"].as_str(), Some("127.0.0.7/24"));
    assert_eq!(answer["network"]["filter"]["ID_NET_NAME_MAC"].as_str(), Some("*02005e000007"));
    let url = answer["post-installation-webhook"]["url"].as_str().unwrap().to_owned();
    let secret = url.strip_prefix(&format!("http://{}/webhook/", bench.address)).unwrap();
    assert_eq!(secret.len(), 43, "32 bytes");

    let is_delivered = |node: &Node| node.answers.as_ref().is_some_and(|a| a.delivery == Delivery::Delivered);
    let node = only(&*bench.until(|snapshot| is_delivered(&only(snapshot))).await);
    assert_eq!(node.phase, Phase::Installing);
    let answers = node.answers.unwrap();
    assert_eq!(answers.secrets, [SecretHash::of(secret.as_bytes())]);
    assert_eq!(answers.document, DocumentHash::of(reply.body.as_bytes()));
    assert_eq!(answers.address, Some("127.0.0.7/24".parse().unwrap()));
    let reader = Reader::open(bench.state_dir.path()).unwrap();
    let kept = reader.redacted_answer(answers.document).unwrap().unwrap();
    assert!(kept.contains(node.name.as_str()), "{kept}");
    // Nowhere in the folder: neither in the database nor in its log.
    for file in std::fs::read_dir(bench.state_dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
    assert!(bench.handle.snapshot().holds.is_empty());
    bench.end().await;
}

#[rstest]
#[case::slash("/answer/")]
#[case::query("/answer?rack=7")]
#[tokio::test]
async fn the_minimal_body_waits_and_gets_the_retry_answer_with_its_code(#[case] path: &str) {
    let bench = Bench::new(Setup { hold: Duration::from_millis(50), ..Setup::default() }).await;
    let body = r#"{"dmi":{"system":{"uuid":"F68D13F3-472B-4F1A-95A7-120B398A07AA"}}}"#;
    let reply = bench.send(2, &post(path, body)).await;
    let node = only(&bench.handle.snapshot());
    let code = crate::domain::guard::ClaimCode::of(node.id);
    assert_eq!(reply.screen(), format!("CODE {code} - approve in console"));
    assert!(node.name.as_str().contains("07aa"), "{}", node.name);
    assert!(bench.until_held(0).await.fleet.node(node.id).is_some());
    bench.end().await;
}

#[tokio::test]
async fn an_approval_after_the_retry_answer_counts_when_it_asks_again_with_other_key_order() {
    let bench = Bench::new(Setup { hold: Duration::from_millis(50), ..Setup::default() }).await;
    let one = r#"{"dmi":{"system":{"uuid":"f68d13f3-472b-4f1a-95a7-120b398a07aa","serial":"S"}},"network_interfaces":[{"link":"a","mac":"02:00:5e:00:00:01"}]}"#;
    let two = r#"{"network_interfaces":[{"mac":"02:00:5e:00:00:01","link":"a"}],"dmi":{"system":{"serial":"S","uuid":"f68d13f3-472b-4f1a-95a7-120b398a07aa"}}}"#;
    bench.send(2, &post("/answer", one)).await.screen();
    bench.approve(only(&bench.handle.snapshot()).id).await;
    bench.send(2, &post("/answer", two)).await.answer();
    bench.end().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_frees_its_place() {
    let bench = Bench::new(Setup::default()).await;
    let mut stream = bench.connect(3).await;
    stream.write_all(&post("/answer", &body_of(3))).await.unwrap();
    let node = only(&*bench.until_held(1).await);
    drop(stream);
    // One that hangs up before its handler has heard of the hold is found by the next tick.
    let ticking = async {
        while bench.handle.submit(Origin::System, Command::Tick).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = bench.until_held(0) => {}
        () = ticking => panic!("the engine ended"),
    }
    bench.approve(node.id).await;
    assert_eq!(only(&bench.handle.snapshot()).phase, Phase::Approved, "nobody was there to be answered");
    bench.end().await;
}

#[tokio::test]
async fn a_rejected_machine_is_refused_in_words() {
    let bench = Bench::new(Setup::default()).await;
    let machine = bench.post_answer(4).await;
    let node = only(&*bench.until_held(1).await);
    bench.order(Order::Reject { node: node.id, reason: "wrong rack".into() }).await.unwrap();
    let reply = machine.await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (403, "REJECTED: wrong rack\n"));
    let again = bench.send(4, &post("/answer", &body_of(4))).await;
    assert_eq!(again.status, 403);
    bench.end().await;
}

#[tokio::test]
async fn what_is_no_json_object_is_told_so() {
    let bench = Bench::new(Setup::default()).await;
    for (body, word) in [("", "empty"), ("hello", "not JSON"), ("[1]", "an array"), ("{\"a\":", "not JSON")] {
        let reply = bench.send(2, &post("/answer", body)).await;
        assert_eq!(reply.status, 400);
        assert!(reply.body.contains(word) && reply.body.contains("send one JSON object"), "{}", reply.body);
    }
    assert_eq!(bench.handle.snapshot().fleet.node_count(), 0);
    bench.end().await;
}

#[rstest]
#[case::object("{\"x\":\"", Some("REQUEST TOO LONG - see console"))]
#[case::other("\"", None)]
#[tokio::test]
async fn ten_mebibytes_are_read_to_the_end_and_answered(#[case] start: &str, #[case] screen: Option<&str>) {
    let bench = Bench::new(Setup::default()).await;
    let body = format!("{start}{}", "x".repeat(10 * 1024 * 1024));
    let reply = bench.send(2, &post("/answer", &body)).await;
    match screen {
        Some(screen) => assert_eq!(reply.screen(), screen),
        None => assert_eq!(reply.status, 413),
    }
    bench.ghost(Cause::RequestCut).await;
    bench.end().await;
}

#[tokio::test]
async fn a_body_that_comes_in_pieces_is_read() {
    let bench = Bench::new(Setup { hold: Duration::from_millis(10), ..Setup::default() }).await;
    let mut stream = bench.connect(5).await;
    for byte in post("/answer", &body_of(5)) {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(read_reply(stream).await.screen().starts_with("CODE "));
    bench.end().await;
}

#[tokio::test]
async fn no_room_for_another_hold_means_the_retry_answer() {
    let bench = Bench::new(Setup { capacity: 1, ..Setup::default() }).await;
    let first = bench.post_answer(1).await;
    bench.until_held(1).await;
    assert_eq!(bench.send(2, &post("/answer", &body_of(2))).await.screen(), "SERVER BUSY - retrying");
    assert_eq!(bench.ghost(Cause::AskedInVain).await.peer, IpAddr::from([127, 0, 0, 2]));
    bench.shutdown.cancel();
    first.await.unwrap().screen();
    bench.end().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_made_is_told_to_both_sides() {
    let bench = Bench::new(Setup { gateway: None, ..Setup::default() }).await;
    let machine = bench.post_answer(6).await;
    let node = only(&*bench.until_held(1).await);
    bench.approve(node.id).await;
    assert_eq!(machine.await.unwrap().screen(), "CANNOT ANSWER - see console");
    let node = only(&bench.handle.snapshot());
    assert_eq!(node.phase, Phase::Approved);
    let reason = node.flags.iter().find_map(|flag| match flag {
        Flag::CannotAnswer { reason } => Some(reason.as_str().to_owned()),
        _ => None,
    });
    assert!(reason.unwrap().contains("machine_net_gateway"));
    bench.end().await;
}

#[tokio::test]
async fn an_unseen_vendor_is_flagged() {
    let bench = Bench::new(Setup::default()).await;
    let body = r#"{"dmi":{"system":{"uuid":"F68D13F3-472B-4F1A-95A7-120B398A07AA"}}}"#;
    let stream = bench.connect(8).await;
    let machine = tokio::spawn(async move { exchange(stream, &post("/answer", body)).await });
    bench.approve(only(&*bench.until_held(1).await).id).await;
    let answer = machine.await.unwrap().answer();
    assert_eq!(answer["network"]["filter"]["ID_VENDOR_FROM_DATABASE"].as_str(), Some("Intel*"));
    assert!(only(&bench.handle.snapshot()).flags.contains(&Flag::VendorUnseen));
    bench.end().await;
}

#[tokio::test]
async fn shutdown_answers_every_held_request_first() {
    let bench = Bench::new(Setup::default()).await;
    let mut machines = Vec::new();
    for machine in 1..=20 {
        machines.push(bench.post_answer(machine).await);
    }
    bench.until_held(20).await;
    let address = bench.address;
    bench.end().await;
    for machine in machines {
        assert!(machine.await.unwrap().screen().starts_with("CODE "));
    }
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_stopped_engine_still_sends_the_retry_answer() {
    let bench = Bench::new(Setup::default()).await;
    bench.handle.stop().await;
    let reply = bench.send(2, &post("/answer", &body_of(2))).await;
    assert_eq!(reply.screen(), "SERVER STOPPED - start the console again");
    bench.shutdown.cancel();
    bench.serving.await.unwrap();
}

#[tokio::test]
async fn browsers_and_monitoring_are_told_in_words() {
    let bench = Bench::new(Setup::default()).await;
    let reply = bench.send(2, &get("/answer")).await;
    assert_eq!(reply.status, 200);
    assert!(reply.body.contains(&format!("--url http://{}/answer", bench.address)), "{}", reply.body);
    assert!(reply.body.contains("prepare-iso"));
    assert_eq!(bench.send(2, &get("/webhook/")).await.status, 200);
    assert_eq!(bench.send(2, b"PUT /answer HTTP/1.1\r\nhost: x\r\n\r\n").await.status, 405);
    let lost = bench.send(2, &get("/")).await;
    assert_eq!(lost.status, 404);
    assert!(lost.body.contains("/answer"));
    let machine = bench.post_answer(9).await;
    bench.until_held(1).await;
    assert_eq!(bench.send(2, &get("/healthz")).await.body, r#"{"status":"ok","held":1,"nodes":1}"#);
    assert_eq!(bench.send(2, b"\x00\x01\r\n\r\n").await.status, 400);
    bench.shutdown.cancel();
    machine.await.unwrap();
    bench.end().await;
}
