use rstest::rstest;

use super::*;

fn over_tls() -> Setup {
    Setup { tls: true, hold: Duration::from_millis(50), ..Setup::default() }
}

#[rstest]
#[case::ipv4("127.0.0.1", &rustls::version::TLS13)]
#[case::name("localhost", &rustls::version::TLS13)]
#[case::older("127.0.0.1", &rustls::version::TLS12)]
#[tokio::test]
async fn a_client_with_the_fingerprint_is_served(
    #[case] name: &'static str,
    #[case] version: &'static rustls::SupportedProtocolVersion,
) {
    let bench = Bench::new(Setup { hold: Duration::from_secs(45), ..over_tls() }).await;
    let fingerprint = bench.fingerprint.clone().unwrap();
    let connector = connector(&fingerprint, version);
    let name = ServerName::try_from(name).unwrap();
    let stream = connector.connect(name, bench.connect(7).await).await.unwrap();
    let machine = tokio::spawn(async move { exchange(stream, &post("/answer", &body_of(7))).await });
    bench.approve(only(&*bench.until_held(1).await).id).await;
    let answer = machine.await.unwrap().answer();
    let webhook = &answer["post-installation-webhook"];
    assert!(webhook["url"].as_str().unwrap().starts_with(&format!("https://{}/webhook/", bench.address)));
    assert_eq!(webhook["cert_fingerprint"].as_str(), Some(fingerprint.as_str()));
    bench.end().await;
}

#[tokio::test]
async fn the_certificate_is_kept_across_restarts() {
    let bench = Bench::new(over_tls()).await;
    let fingerprint = bench.fingerprint.clone();
    let folder = bench.end().await;
    let bench = Bench::in_folder(over_tls(), folder).await;
    assert_eq!(bench.fingerprint, fingerprint);
    // A medium that was prepared before is still served, whatever it calls us.
    let connector = connector(&fingerprint.unwrap(), &rustls::version::TLS13);
    for name in ["127.0.0.1", "localhost", "another.name.example"] {
        let name = ServerName::try_from(name).unwrap();
        let stream = connector.connect(name, bench.connect(7).await).await.unwrap();
        assert!(exchange(stream, &post("/answer", &body_of(7))).await.screen().starts_with("CODE "));
    }
    bench.end().await;
}

#[tokio::test]
async fn a_refused_certificate_is_noted() {
    let bench = Bench::new(over_tls()).await;
    let connector = connector("00:11", &rustls::version::TLS13);
    let name = ServerName::try_from("localhost").unwrap();
    connector.connect(name, bench.connect(7).await).await.unwrap_err();
    bench.ghost(Cause::CertificateRefused).await;
    bench.end().await;
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_told_so() {
    let bench = Bench::new(over_tls()).await;
    let reply = bench.send(7, &get("/answer")).await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("use https://"), "{}", reply.body);
    bench.ghost(Cause::PlainHttp).await;
    let reply = bench.send(7, &post("/answer", &body_of(7))).await;
    assert!(reply.screen().starts_with("USE https:// IN THE URL"));
    assert_eq!(bench.send(7, &post("/webhook/secret", "{}")).await.status, 400);
    assert_eq!(bench.handle.snapshot().fleet.node_count(), 0);
    bench.end().await;
}

#[tokio::test]
async fn garbage_and_silence_disturb_nobody() {
    let bench = Bench::new(over_tls()).await;
    let silent = bench.connect(8).await;
    let mut garbage = bench.connect(9).await;
    garbage.write_all(&[0x16, 0xff, 0xff, 0, 0, 0, 0, 0]).await.unwrap();
    bench.ghost(Cause::HandshakeFailed).await;
    let fingerprint = bench.fingerprint.clone().unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = connector(&fingerprint, &rustls::version::TLS13);
    let stream = connector.connect(name, bench.connect(7).await).await.unwrap();
    assert_eq!(exchange(stream, &get("/healthz")).await.status, 200);
    // The silent one is dropped with the server.
    bench.end().await;
    drop(silent);
}

#[tokio::test]
async fn a_client_that_never_closes_does_not_hold_up_the_end() {
    let bench = Bench::new(Setup::default()).await;
    let mut half = bench.connect(8).await;
    half.write_all(b"POST /answer HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{").await.unwrap();
    let began = std::time::Instant::now();
    bench.end().await;
    assert!(began.elapsed() < Duration::from_secs(10));
    let mut rest = Vec::new();
    let _ = half.read_to_end(&mut rest).await;
}
