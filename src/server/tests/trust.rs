//! Who is let in, who is turned away, and that the one turned away is told so and seen.

use base64::Engine as _;
use rstest::rstest;

use super::*;
use crate::domain::{TokenHash, WebhookAuth};
use crate::server::SELF_TEST_OK;

fn nets(words: &[&str]) -> Vec<ipnet::IpNet> {
    words.iter().map(|word| word.parse().unwrap()).collect()
}

fn brief() -> Setup {
    Setup { hold: Duration::from_millis(50), ..Setup::default() }
}

/// The same request with another header line.
fn with_header(request: &[u8], line: &str) -> Vec<u8> {
    let text = String::from_utf8(request.to_vec()).unwrap();
    text.replacen("\r\n", &format!("\r\n{line}\r\n"), 1).into_bytes()
}

async fn make_token(bench: &Bench, name: &str, expires: Option<jiff::Timestamp>) {
    let order =
        Order::MakeToken { name: name.parse().unwrap(), hash: TokenHash::of(b"secret"), expires, profile: None };
    bench.order(order).await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_told_so_and_seen() {
    let bench = Bench::new(brief()).await;
    bench.let_in(|access| access.allow = nets(&["127.0.0.2/32"]));
    let reply = bench.send(3, &post("/answer", &body_of(3))).await;
    assert_eq!(reply.screen(), "ADDRESS NOT ALLOWED - see console");
    assert_eq!(bench.send(3, &post("/answer", "hello")).await.status, 403);
    assert_eq!(bench.send(3, &get("/answer")).await.status, 403);
    let ghost = bench.ghost(Cause::AddressRefused).await;
    assert_eq!((ghost.peer, ghost.count), ([127, 0, 0, 3].into(), 3));
    assert_eq!(bench.handle.snapshot().fleet.node_count(), 0);
    assert!(bench.send(2, &post("/answer", &body_of(2))).await.screen().starts_with("CODE "));
    assert_eq!(bench.send(3, &get("/healthz")).await.status, 200, "monitoring may come from anywhere");
    bench.end().await;
}

#[rstest]
#[case::stranger("/webhook/unknown", 0, WebhookAuth::Secret)]
#[case::of_an_install("", 1, WebhookAuth::Secret)]
#[case::of_an_install_without_proof("", 1, WebhookAuth::None)]
#[tokio::test]
async fn a_report_from_an_address_that_is_not_allowed_moves_nobody(
    #[case] path: &str,
    #[case] kept: usize,
    #[case] webhook_auth: WebhookAuth,
) {
    let bench = Bench::new(Setup::default()).await;
    let own = reporting::installed(&bench).await;
    let name = only(&bench.handle.snapshot()).name;
    bench.handle.set_policy(Policy { webhook_auth, ..Policy::default() }).await;
    bench.let_in(|access| access.allow = nets(&["127.0.0.2/32"]));
    let path = if path.is_empty() { &own } else { path };
    assert_eq!(bench.send(3, &post(path, &format!(r#"{{"fqdn":"{name}"}}"#))).await.status, 200);
    let snapshot = bench.handle.snapshot();
    assert_eq!(only(&snapshot).phase, crate::domain::Phase::Installing);
    assert_eq!(snapshot.fleet.unmatched().count(), kept, "what may be an install's is kept, for the operator to adopt");
    bench.ghost(Cause::ReportRefused).await;
    bench.end().await;
}

#[tokio::test]
async fn a_trusted_proxy_speaks_for_its_clients_and_nobody_else_does() {
    let bench = Bench::new(brief()).await;
    bench.let_in(|access| access.trusted_proxies = nets(&["127.0.0.2/32"]));
    let request = with_header(&post("/answer", &body_of(7)), "x-forwarded-for: 10.9.9.9, 127.0.0.77");
    bench.send(2, &request).await.screen();
    let peer = |bench: &Bench| only(&bench.handle.snapshot()).request.unwrap().stamp.peer;
    assert_eq!(peer(&bench), IpAddr::from([127, 0, 0, 77]));
    bench.send(3, &request).await.screen();
    assert_eq!(peer(&bench), IpAddr::from([127, 0, 0, 3]), "anybody could write that line");
    bench.let_in(|access| access.allow = nets(&["127.0.0.77/32"]));
    bench.send(2, &request).await.screen();
    assert_eq!(peer(&bench), IpAddr::from([127, 0, 0, 77]), "the allow-list is about the client");
    let unreadable = with_header(&post("/answer", &body_of(7)), "x-forwarded-for: unknown");
    assert_eq!(bench.send(2, &unreadable).await.screen(), "ADDRESS NOT ALLOWED - see console");
    assert_eq!(bench.ghost(Cause::BadForward).await.peer, IpAddr::from([127, 0, 0, 2]));
    bench.end().await;
}

#[rstest]
#[case::bearer("authorization: Bearer rack-a:secret".to_owned())]
#[case::url_of_an_older_installer(format!(
    "authorization: Basic {}", base64::engine::general_purpose::STANDARD.encode("rack-a:secret")
))]
#[tokio::test]
async fn a_good_token_is_recorded_with_the_request(#[case] line: String) {
    let bench = Bench::new(brief()).await;
    bench.let_in(|access| access.require_token = true);
    make_token(&bench, "rack-a", None).await;
    let reply = bench.send(7, &with_header(&post("/answer", &body_of(7)), &line)).await;
    assert!(reply.screen().starts_with("CODE "), "a token is no approval");
    let token = only(&bench.handle.snapshot()).request.unwrap().token;
    assert_eq!(token.map(|name| name.to_string()).as_deref(), Some("rack-a"));
    assert_eq!(bench.app.ghosts.shown(), []);
    bench.end().await;
}

#[tokio::test]
async fn every_bad_token_gets_the_same_word_and_the_operator_the_reason() {
    let bench = Bench::new(brief()).await;
    make_token(&bench, "rack-a", None).await;
    make_token(&bench, "old", Some("2020-01-01T00:00:00Z".parse().unwrap())).await;
    let cases = [
        ("Bearer rack-a:wrong", "wrong secret for the token `rack-a`"),
        ("Bearer nobody:secret", "no such token"),
        ("Bearer old:secret", "the token `old` has expired"),
        ("Basic !!", "no such token"),
        ("Digest x", "no such token"),
    ];
    let mut heads = std::collections::BTreeSet::new();
    for (value, reason) in cases {
        let line = format!("authorization: {value}");
        let reply = bench.send(7, &with_header(&post("/answer", &body_of(7)), &line)).await;
        assert_eq!(reply.screen(), "TOKEN NOT ACCEPTED - see console");
        heads.insert((reply.head, reply.body));
        assert_eq!(bench.ghost(Cause::TokenRefused).await.detail.as_str(), reason);
    }
    bench.let_in(|access| access.require_token = true);
    let reply = bench.send(7, &post("/answer", &body_of(7))).await;
    heads.insert((reply.head, reply.body));
    bench.ghost(Cause::TokenMissing).await;
    let heads: std::collections::BTreeSet<_> = heads
        .into_iter()
        .map(|(head, body)| (head.lines().filter(|line| !line.starts_with("date:")).collect::<String>(), body))
        .collect();
    assert_eq!(heads.len(), 1, "{heads:?}");
    assert_eq!(bench.handle.snapshot().fleet.node_count(), 0);
    bench.end().await;
}

#[tokio::test]
async fn who_guesses_tokens_is_not_looked_at_for_a_while() {
    let bench = Bench::new(brief()).await;
    make_token(&bench, "rack-a", None).await;
    let guess = with_header(&post("/answer", &body_of(7)), "authorization: Bearer rack-a:guess");
    for _ in 0..10 {
        bench.send(7, &guess).await.screen();
    }
    let good = with_header(&post("/answer", &body_of(7)), "authorization: Bearer rack-a:secret");
    assert_eq!(bench.send(7, &good).await.screen(), "TOKEN NOT ACCEPTED - see console");
    assert_eq!(bench.ghost(Cause::TokenThrottled).await.count, 1);
    assert!(bench.send(8, &good).await.screen().starts_with("CODE "), "others are not concerned");
    bench.end().await;
}

#[tokio::test]
async fn a_revoked_token_is_worth_nothing_at_once() {
    let bench = Bench::new(brief()).await;
    make_token(&bench, "rack-a", None).await;
    let request = with_header(&post("/answer", &body_of(7)), "authorization: Bearer rack-a:secret");
    assert!(bench.send(7, &request).await.screen().starts_with("CODE "));
    bench.order(Order::RevokeToken { name: "rack-a".parse().unwrap() }).await.unwrap();
    assert_eq!(bench.send(7, &request).await.screen(), "TOKEN NOT ACCEPTED - see console");
    bench.end().await;
}

#[rstest]
#[case::wrong_path(b"POST", "/", Cause::WrongPath)]
#[case::wrong_method(b"PUT", "/answer", Cause::WrongMethod)]
#[case::redirected(b"GET", "/answer", Cause::Redirected)]
#[case::not_an_object(b"POST", "/answer", Cause::UnreadableRequest)]
#[tokio::test]
async fn what_no_machine_should_do_is_seen(#[case] method: &[u8], #[case] path: &str, #[case] cause: Cause) {
    let bench = Bench::new(brief()).await;
    let request = String::from_utf8(post(path, "[]")).unwrap();
    let request = request.replacen("POST", std::str::from_utf8(method).unwrap(), 1);
    let reply = bench.send(7, request.as_bytes()).await;
    assert!(reply.status != 200 || cause == Cause::Redirected, "{reply:?}");
    assert_eq!(bench.ghost(cause).await.peer, IpAddr::from([127, 0, 0, 7]));
    bench.end().await;
}

#[tokio::test]
async fn a_machine_with_a_wrong_url_says_so_on_its_screen() {
    let bench = Bench::new(brief()).await;
    for path in ["/", "/answer.toml", "/install/answer"] {
        let reply = bench.send(7, &post(path, &body_of(7))).await;
        assert_eq!(reply.screen(), "WRONG URL - must end in /answer");
    }
    assert_eq!(bench.ghost(Cause::WrongPath).await.count, 3);
    assert_eq!(bench.handle.snapshot().fleet.node_count(), 0);
    bench.end().await;
}

#[tokio::test]
async fn one_address_gets_its_connections_and_its_idle_ones_go_first() {
    let bench = Bench::new(Setup::default()).await;
    bench.let_in(|access| access.limits.connections_per_address = 2);
    let held = bench.post_answer(7).await;
    bench.until_held(1).await;
    let mut idle = bench.connect(7).await;
    let third = bench.send(7, &get("/healthz")).await;
    assert_eq!(third.status, 200);
    assert_eq!(idle.read(&mut [0]).await.unwrap_or_default(), 0, "the idle one was cut");
    assert_eq!(bench.ghost(Cause::TooManyConnections).await.peer, IpAddr::from([127, 0, 0, 7]));
    assert_eq!(bench.handle.snapshot().holds.len(), 1, "the one that waits was not");
    assert_eq!(bench.send(8, &get("/healthz")).await.status, 200);
    bench.shutdown.cancel();
    held.await.unwrap().screen();
    bench.end().await;
}

#[tokio::test]
async fn over_the_limit_a_machine_still_gets_the_retry_answer() {
    let bench = Bench::new(Setup::default()).await;
    bench.let_in(|access| access.limits.connections_per_address = 1);
    let held = bench.post_answer(7).await;
    bench.until_held(1).await;
    assert_eq!(bench.send(7, &post("/answer", &body_of(8))).await.screen(), "TOO MANY REQUESTS - retrying");
    let reported = bench.send(7, &post("/webhook", r#"{"fqdn":"a.b"}"#)).await;
    assert_eq!((reported.status, bench.handle.snapshot().fleet.unmatched().count()), (200, 1), "a report comes once");
    bench.shutdown.cancel();
    held.await.unwrap().screen();
    bench.end().await;
}

#[tokio::test]
async fn who_asks_too_often_gets_the_retry_answer_and_no_room() {
    let bench = Bench::new(brief()).await;
    bench.let_in(|access| access.limits.requests_per_minute = 2);
    for _ in 0..2 {
        bench.send(7, &post("/answer", &body_of(7))).await.screen();
    }
    assert_eq!(bench.send(7, &post("/answer", &body_of(8))).await.screen(), "TOO MANY REQUESTS - retrying");
    assert_eq!(bench.send(7, &post("/webhook", r#"{"fqdn":"a.b"}"#)).await.status, 200);
    assert_eq!(bench.ghost(Cause::TooManyRequests).await.count, 2);
    let snapshot = bench.handle.snapshot();
    assert_eq!((snapshot.fleet.node_count(), snapshot.fleet.unmatched().count()), (1, 0));
    assert!(
        bench.send(8, &post("/answer", &body_of(8))).await.screen().starts_with("CODE "),
        "others are not concerned"
    );
    bench.end().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_is_given_up_and_seen() {
    let bench = Bench::new(brief()).await;
    bench.let_in(|access| access.limits.head_time = Duration::from_millis(50));
    let mut slow = bench.connect(7).await;
    slow.write_all(b"POST /answer HTTP/1.1\r\nhost:").await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, slow.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(bench.ghost(Cause::Silent).await.peer, IpAddr::from([127, 0, 0, 7]));
    bench.end().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_gets_the_retry_answer() {
    let bench = Bench::new(brief()).await;
    bench.let_in(|access| access.limits.body_time = Duration::from_millis(50));
    let mut slow = bench.connect(7).await;
    slow.write_all(b"POST /answer HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"x\"").await.unwrap();
    assert_eq!(read_reply(slow).await.screen(), "REQUEST TOO SLOW - retrying");
    assert_eq!(bench.ghost(Cause::RequestCut).await.detail.as_str(), "the body came too slowly");
    bench.end().await;
}

#[tokio::test]
async fn a_self_test_is_let_in_once_and_nobody_is_told_of_it() {
    let bench = Bench::new(brief()).await;
    bench.let_in(|access| (access.require_token, access.allow) = (true, nets(&["192.0.2.0/24"])));
    let line = format!("authorization: Bearer {}", bench.app.self_tests().expect());
    let request = with_header(&post("/answer", &body_of(7)), &line);
    assert_eq!(bench.send(7, &request).await.screen(), SELF_TEST_OK);
    assert_eq!(bench.app.ghosts.shown(), []);
    assert_eq!(bench.send(7, &request).await.screen(), "ADDRESS NOT ALLOWED - see console");
    assert_eq!(bench.ghost(Cause::AddressRefused).await.count, 1);
    assert_eq!(bench.handle.snapshot().fleet.node_count(), 0);
    bench.end().await;
}
