use rstest::rstest;

use super::*;
use crate::domain::{DocumentHash, Phase};
use crate::store::Reader;

const REPORT: &str =
    r#"{"fqdn":"node-aaaa.example.com","filesystem":"ext4","cpu-info":{"model":"Intel Xeon E5-2670"}}"#;

/// Approves machine 7 and returns its webhook's path.
pub(super) async fn installed(bench: &Bench) -> String {
    let machine = bench.post_answer(7).await;
    bench.approve(only(&*bench.until_held(1).await).id).await;
    let answer = machine.await.unwrap().answer();
    let url = answer["post-installation-webhook"]["url"].as_str().unwrap().to_owned();
    url.strip_prefix(&format!("http://{}", bench.address)).unwrap().to_owned()
}

#[rstest]
#[case::plain("")]
#[case::slash("/")]
#[tokio::test]
async fn a_report_with_the_secret_of_the_answer_is_the_nodes(#[case] end: &str) {
    let bench = Bench::new(Setup::default()).await;
    let path = installed(&bench).await;
    let reply = bench.send(9, &post(&format!("{path}{end}"), REPORT)).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "ok\n"));
    let node = only(&bench.handle.snapshot());
    assert_eq!(node.phase, Phase::Installed);
    let reported = node.report.unwrap();
    assert_eq!(reported.peer, IpAddr::from([127, 0, 0, 9]));
    assert_eq!(reported.document, DocumentHash::of(REPORT.as_bytes()));
    bench.end().await;
}

#[rstest]
#[case("/webhook")]
#[case("/webhook/")]
#[case("/webhook/not-a-secret")]
#[case("/webhook/%ff%fe")]
#[case("/webhook/../answer/x/y")]
#[tokio::test]
async fn a_report_without_the_secret_is_kept_unmatched(#[case] path: &str) {
    let bench = Bench::new(Setup::default()).await;
    assert_eq!(bench.send(2, &post(path, REPORT)).await.status, 200);
    let snapshot = bench.handle.snapshot();
    let unmatched: Vec<_> = snapshot.fleet.unmatched().collect();
    assert_eq!(unmatched.len(), 1);
    assert_eq!(unmatched[0].report.fqdn.as_ref().unwrap().as_str(), "node-aaaa.example.com");
    let kept = Reader::open(bench.state_dir.path()).unwrap().document(unmatched[0].document).unwrap();
    assert_eq!(kept.unwrap(), REPORT.as_bytes());
    bench.end().await;
}

/// A 9.2 installer's URL can be rewritten on its way; its body still says which install it is.
#[rstest]
#[case::no_secret_in_the_path("/webhook")]
#[case::another_in_the_path("/webhook/somebody-elses")]
#[tokio::test]
async fn the_auth_token_of_the_answer_proves_the_report_too(#[case] path: &str) {
    let bench = Bench::new(Setup::default()).await;
    let machine = bench.post_answer(7).await;
    bench.approve(only(&*bench.until_held(1).await).id).await;
    let answer = machine.await.unwrap().answer();
    let webhook = &answer["post-installation-webhook"];
    let token = webhook["auth_token"].as_str().unwrap();
    assert!(webhook["url"].as_str().unwrap().ends_with(&format!("/webhook/{token}")));
    let body = format!(r#"{{"filesystem":"ext4","token":"{token}"}}"#);
    assert_eq!(bench.send(7, &post(path, &body)).await.status, 200);
    assert_eq!(only(&bench.handle.snapshot()).phase, Phase::Installed);
    assert_eq!(bench.handle.snapshot().fleet.unmatched().count(), 0);
    bench.end().await;
}

#[tokio::test]
async fn a_secret_is_spent_once_and_a_repeat_changes_nothing() {
    let bench = Bench::new(Setup::default()).await;
    let path = installed(&bench).await;
    for _ in 0..3 {
        assert_eq!(bench.send(7, &post(&path, REPORT)).await.status, 200);
    }
    let snapshot = bench.handle.snapshot();
    let reported = only(&snapshot).report.unwrap();
    assert_eq!(snapshot.fleet.unmatched().count(), 0);
    let forged = REPORT.replace("ext4", "forged");
    for peer in [7, 66, 66] {
        assert_eq!(bench.send(peer, &post(&path, &forged)).await.status, 200);
    }
    let snapshot = bench.handle.snapshot();
    assert_eq!(only(&snapshot).report.unwrap(), reported, "a second, different report moves nobody");
    assert_eq!(snapshot.fleet.unmatched().count(), 1, "it is a row of its own, once");
    bench.end().await;
}

#[tokio::test]
async fn the_token_of_a_body_counts_and_is_not_stored() {
    let bench = Bench::new(Setup::default()).await;
    let path = installed(&bench).await;
    let secret = path.strip_prefix("/webhook/").unwrap();
    let body = format!(r#"{{"filesystem":"ext4","token":"{secret}"}}"#);
    assert_eq!(bench.send(7, &post("/webhook", &body)).await.status, 200);
    let document = only(&bench.handle.snapshot()).report.unwrap().document;
    let kept = Reader::open(bench.state_dir.path()).unwrap().document(document).unwrap().unwrap();
    assert_eq!(kept, br#"{"filesystem":"ext4"}"#);
    bench.end().await;
}

#[rstest]
#[case::not_json("garbage".to_owned())]
#[case::empty(String::new())]
#[case::too_long(format!("{{\"x\":\"{}\"}}", "x".repeat(9 * 1024 * 1024)))]
#[tokio::test]
async fn an_unreadable_report_gets_its_200_and_is_kept(#[case] body: String) {
    let bench = Bench::new(Setup::default()).await;
    let path = installed(&bench).await;
    assert_eq!(bench.send(7, &post(&path, &body)).await.status, 200);
    bench.ghost(Cause::UnreadableReport).await;
    let reported = only(&bench.handle.snapshot()).report.expect("the secret proves it");
    let kept = Reader::open(bench.state_dir.path()).unwrap().document(reported.document).unwrap().unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
    let kept = kept["unreadable"].as_str().unwrap();
    assert!(body.starts_with(kept) && kept.len() <= 1024 * 1024);
    bench.end().await;
}

/// Reports grow with disks and NICs; a stranger's need not grow so far.
#[rstest]
#[case::of_a_node(8 * 1024 * 1024, true, true)]
#[case::of_a_stranger(1024 * 1024, false, true)]
#[case::of_a_stranger_and_longer(1024 * 1024 + 1, false, false)]
#[tokio::test]
async fn a_report_is_read_up_to_its_bound(#[case] length: usize, #[case] has_secret: bool, #[case] is_read: bool) {
    let bench = Bench::new(Setup::default()).await;
    let path = installed(&bench).await;
    let (head, tail) = (r#"{"fqdn":"a.b","x":""#, r#""}"#);
    let body = format!("{head}{}{tail}", "x".repeat(length - head.len() - tail.len()));
    let path = if has_secret { path.as_str() } else { "/webhook/guess" };
    assert_eq!(bench.send(2, &post(path, &body)).await.status, 200);
    let snapshot = bench.handle.snapshot();
    let of_node = only(&snapshot).report.map(|reported| reported.report);
    let of_nobody = || snapshot.fleet.unmatched().next().map(|unmatched| unmatched.report.clone());
    let read = of_node.or_else(of_nobody).unwrap().fqdn;
    assert_eq!(read.as_ref().map(crate::domain::text::Text::as_str), is_read.then_some("a.b"));
    bench.end().await;
}

#[tokio::test]
async fn a_report_whose_store_is_gone_gets_its_200_and_a_note() {
    let bench = Bench::new(Setup::default()).await;
    bench.handle.stop().await;
    assert_eq!(bench.send(2, &post("/webhook", REPORT)).await.status, 200);
    bench.ghost(Cause::ReportLost).await;
    bench.shutdown.cancel();
    bench.serving.await.unwrap();
}

#[tokio::test]
async fn a_spent_secret_is_a_strangers() {
    let bench = Bench::new(Setup::default()).await;
    let path = installed(&bench).await;
    assert_eq!(bench.send(7, &post(&path, REPORT)).await.status, 200);
    // Its bodies are a stranger's in size, memory and number.
    let long = format!(r#"{{"fqdn":"a.b","x":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
    assert_eq!(bench.send(7, &post(&path, &long)).await.status, 200);
    let snapshot = bench.handle.snapshot();
    let unmatched = snapshot.fleet.unmatched().next().unwrap();
    assert_eq!(unmatched.report.fqdn, None, "more than a stranger's was kept");
    bench.let_in(|access| access.limits.requests_per_minute = 1);
    assert_eq!(bench.send(7, &post(&path, r#"{"fqdn":"c.d"}"#)).await.status, 200);
    bench.ghost(Cause::TooManyRequests).await;
    assert_eq!(bench.handle.snapshot().fleet.unmatched().count(), 1);
    bench.end().await;
}

/// All the memory there is for reports, taken by others.
fn all_memory(bench: &Bench) -> limits::BodyShare {
    let mut share = bench.app.budgets.reports.share();
    assert!(share.grow_to(96 * 1024 * 1024));
    share
}

#[tokio::test]
async fn a_report_waits_for_memory() {
    let bench = Bench::new(Setup::default()).await;
    let path = installed(&bench).await;
    let others = all_memory(&bench);
    let stream = bench.connect(7).await;
    let mut report = tokio::spawn(async move { exchange(stream, &post(&path, REPORT)).await });
    assert!(timeout(Duration::from_millis(300), &mut report).await.is_err(), "it waits");
    drop(others);
    assert_eq!(report.await.unwrap().status, 200);
    let reported = only(&bench.handle.snapshot()).report.unwrap();
    assert_eq!(reported.document, DocumentHash::of(REPORT.as_bytes()), "all of it was read");
    bench.end().await;
}

#[tokio::test]
async fn a_report_there_is_no_memory_for_spends_no_secret() {
    let bench = Bench::new(Setup::default()).await;
    let path = installed(&bench).await;
    bench.let_in(|access| access.limits.body_time = Duration::from_millis(100));
    let others = all_memory(&bench);
    assert_eq!(bench.send(7, &post(&path, REPORT)).await.status, 200);
    bench.ghost(Cause::UnreadableReport).await;
    let snapshot = bench.handle.snapshot();
    assert_eq!((only(&snapshot).phase, snapshot.fleet.unmatched().count()), (Phase::Installing, 1));
    drop(others);
    bench.let_in(|access| access.limits.body_time = PATIENCE);
    assert_eq!(bench.send(7, &post(&path, REPORT)).await.status, 200);
    let reported = only(&bench.handle.snapshot()).report.unwrap();
    assert_eq!(reported.document, DocumentHash::of(REPORT.as_bytes()));
    bench.end().await;
}

/// Forty who hold open what fills more memory than there is for all reports, and one that was answered.
#[tokio::test]
async fn strangers_take_no_memory_from_a_machine_that_was_answered() {
    const LENGTH: usize = 8 * 1024 * 1024;
    let bench = Bench::new(Setup::default()).await;
    let path = installed(&bench).await;
    let mut strangers = Vec::new();
    for number in 0..40 {
        let mut stream = bench.connect(20 + number % 4).await;
        let head = format!("POST /webhook/guess HTTP/1.1\r\nhost: x\r\ncontent-length: {LENGTH}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // All but the last byte: the body stays in memory as long as its sender likes.
        stream.write_all(&vec![b'x'; LENGTH - 1]).await.unwrap();
        strangers.push(stream);
    }
    assert_eq!(bench.send(7, &post(&path, REPORT)).await.status, 200);
    let reported = only(&bench.handle.snapshot()).report.unwrap();
    assert_eq!(reported.document, DocumentHash::of(REPORT.as_bytes()), "all of it was read");
    drop(strangers);
    bench.end().await;
}
