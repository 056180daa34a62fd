//! Whole racks against a small server that stands in for the engine.

use std::net::SocketAddr;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rstest::rstest;
use serde_json::Value;
use tokio::net::TcpListener;

use super::*;
use crate::simulate::pin::Pin;

/// A request as the stand-in saw it.
#[derive(Clone, Debug)]
struct Seen {
    peer: SocketAddr,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Seen {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

type Reply = Box<dyn Fn(&Seen, usize, SocketAddr) -> (u16, String) + Send + Sync>;

/// What stands in for the engine: `reply` gets the request, its number from 0, and the server's address.
struct Engine {
    at: SocketAddr,
    seen: Mutex<Vec<Seen>>,
    reply: Reply,
}

impl Engine {
    async fn start(reply: impl Fn(&Seen, usize, SocketAddr) -> (u16, String) + Send + Sync + 'static) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let engine = Self::new(&listener, reply);
        let service = router(&engine).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        engine
    }

    /// The same over TLS; the fingerprint comes with it.
    async fn start_tls(
        reply: impl Fn(&Seen, usize, SocketAddr) -> (u16, String) + Send + Sync + 'static,
    ) -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let engine = Self::new(&listener, reply);
        let made = rcgen::generate_simple_self_signed(vec!["engine.test".to_owned()]).unwrap();
        let pin = Pin::of(made.cert.der()).to_string();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let router = router(&engine);
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let (acceptor, router) = (acceptor.clone(), router.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = TowerToHyperService::new(router.layer(axum::Extension(ConnectInfo(peer))));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        (engine, pin)
    }

    fn new(
        listener: &TcpListener,
        reply: impl Fn(&Seen, usize, SocketAddr) -> (u16, String) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let at = listener.local_addr().unwrap();
        Arc::new(Self { at, seen: Mutex::new(Vec::new()), reply: Box::new(reply) })
    }

    fn seen(&self, path: &str) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path.starts_with(path)).cloned().collect()
    }

    fn options(&self, base_address: &str) -> RackOptions {
        let timings = Timings {
            stagger: Duration::ZERO,
            install: Duration::from_millis(20),
            reboot: Duration::from_millis(20),
            hang_up: Duration::from_millis(100),
            slow_body: Duration::from_millis(100),
            limit: Some(Duration::from_secs(20)),
        };
        RackOptions {
            count: 1,
            timings,
            base_address: base_address.parse().unwrap(),
            ssh: SshMode::None,
            stay: false,
            ..RackOptions::new(format!("http://{}/answer/", self.at))
        }
    }
}

fn router(engine: &Arc<Engine>) -> Router {
    let handle = async |State(engine): State<Arc<Engine>>,
                        ConnectInfo(peer): ConnectInfo<SocketAddr>,
                        uri: Uri,
                        headers: HeaderMap,
                        body: Bytes| {
        let seen = Seen { peer, path: uri.to_string(), headers, body };
        let number = engine.seen.lock().unwrap().iter().filter(|other| other.path == seen.path).count();
        engine.seen.lock().unwrap().push(seen.clone());
        let (status, text) = (engine.reply)(&seen, number, engine.at);
        if status == 0 {
            std::future::pending::<()>().await;
        }
        (StatusCode::from_u16(status).unwrap(), [("content-type", "application/toml")], text)
    };
    Router::new().fallback(handle).layer(axum::extract::DefaultBodyLimit::disable()).with_state(Arc::clone(engine))
}

/// An answer every release takes, for the machine that asks; a report goes back to the stand-in.
fn good_answer(seen: &Seen, webhook: Option<&str>) -> String {
    let body = seen.json();
    let mac = body["network_interfaces"][0]["mac"].as_str().unwrap().replace(':', "").to_ascii_lowercase();
    let address = seen.peer.ip();
    let mut text = format!(
        "[global]\ncountry = \"at\"\nkeyboard = \"de\"\nfqdn = \"n{}.rack.example\"\nmailto = \"root@rack.example\"\n\
         timezone = \"UTC\"\nroot_password = \"long enough\"\nreboot_on_error = true\n\
         [network]\nsource = \"from-answer\"\ncidr = \"{address}/8\"\ndns = \"127.0.0.1\"\ngateway = \"127.0.0.1\"\n\
         filter.ID_NET_NAME_MAC = \"*{mac}\"\n\
         [disk-setup]\nfilesystem = \"ext4\"\nfilter.DEVNAME = \"/dev/*\"\n",
        &mac[6..],
    );
    if let Some(url) = webhook {
        text = format!("{text}[post-installation-webhook]\nurl = \"{url}\"\n");
    }
    text
}

/// An engine that approves everybody and takes every report.
fn approve(seen: &Seen, _: usize, at: SocketAddr) -> (u16, String) {
    if seen.path.starts_with("/answer") {
        (200, good_answer(seen, Some(&format!("http://{at}/webhook/s3cret"))))
    } else {
        (200, "ok".to_owned())
    }
}

/// Runs a rack to its end and gives back what happened.
async fn run(options: RackOptions) -> (Vec<RackEvent>, Summary) {
    let (sender, mut receiver) = mpsc::channel(1000);
    let rack = tokio::spawn(run_rack(options, sender, CancellationToken::new()));
    let mut events = Vec::new();
    let gather = async {
        while let Some(event) = receiver.recv().await {
            events.push(event);
        }
    };
    tokio::time::timeout(Duration::from_mins(1), gather).await.expect("the rack settles");
    (events, rack.await.unwrap().unwrap())
}

fn steps(events: &[RackEvent], machine: usize) -> Vec<Step> {
    events.iter().filter(|event| event.machine == machine).map(|event| event.step.clone()).collect()
}

/// The words of the debug shell a machine sits in.
fn shell_words(events: &[RackEvent]) -> String {
    let words = events.iter().find_map(|event| match &event.step {
        Step::DebugShell { why } => Some(why.clone()),
        _ => None,
    });
    words.unwrap_or_else(|| panic!("nobody is in a debug shell: {events:?}"))
}

#[rstest]
#[tokio::test]
async fn machines_ask_install_report_and_come_up(
    #[values(Release::V8_3, Release::V8_4, Release::V9_1, Release::V9_2)] release: Release,
) {
    let engine = Engine::start(approve).await;
    let base = format!("127.81.{}.1", release as u8);
    let options = RackOptions { count: 3, release, ssh: SshMode::Builtin, ssh_port: 0, ..engine.options(&base) };
    let (events, summary) = run(options).await;
    let asked = engine.seen("/answer/");
    assert_eq!(asked.len(), 3);
    for seen in &asked {
        assert_eq!(seen.headers["user-agent"], release.user_agent());
        assert_eq!(seen.headers["accept"], release.accept());
        assert_eq!(seen.headers["content-type"], release.content_type());
        assert_eq!(seen.headers["content-length"], seen.body.len().to_string().as_str());
        assert!(seen.headers.get("transfer-encoding").is_none());
        assert_eq!(seen.json()["iso"]["release"], release.label());
    }
    let mut sources: Vec<_> = asked.iter().map(|seen| seen.peer.ip().to_string()).collect();
    sources.sort();
    assert_eq!(sources, [1, 2, 3].map(|n| format!("127.81.{}.{n}", release as u8)));
    let reports = engine.seen("/webhook/s3cret");
    assert_eq!(reports.len(), 3);
    for report in &reports {
        let body = report.json();
        assert_eq!(report.headers["accept"], "*/*");
        assert_eq!(Some(body["$schema"]["version"].as_str().unwrap()), release.report_schema());
        let at = events.iter().find_map(|event| match &event.step {
            Step::SshUp { at, fqdn } if *fqdn == body["fqdn"].as_str().unwrap() => Some(*at),
            _ => None,
        });
        assert_eq!(at.map(|at| at.ip()), Some(report.peer.ip()), "SSH is up where the machine is");
    }
    assert_eq!((summary.asked, summary.answered, summary.installs, summary.reported, summary.up), (3, 3, 3, 3, 3));
    assert!(summary.answer_quantile(1.0) > Duration::ZERO);
}

#[tokio::test]
async fn installed_nodes_present_the_reported_key_until_the_shutdown() {
    let engine = Engine::start(approve).await;
    let options = RackOptions { ssh: SshMode::Builtin, ssh_port: 0, stay: true, ..engine.options("127.82.0.1") };
    let (sender, mut events) = mpsc::channel(100);
    let shutdown = CancellationToken::new();
    let rack = tokio::spawn(run_rack(options, sender, shutdown.clone()));
    let at = loop {
        let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await.expect("in time");
        if let Step::SshUp { at, .. } = event.expect("an event").step {
            break at;
        }
    };
    let mut banner = [0; 8];
    let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut banner).await.unwrap();
    assert_eq!(&banner, b"SSH-2.0-");
    shutdown.cancel();
    let summary = rack.await.unwrap().unwrap();
    assert_eq!(summary.up, 1);
    assert!(tokio::net::TcpStream::connect(at).await.is_err(), "switched off");
    let mut last = None;
    while let Some(event) = events.recv().await {
        last = Some(event.step);
    }
    assert_eq!(last, Some(Step::Gone));
}

#[tokio::test]
async fn a_retry_answer_is_shown_on_the_screen_and_the_machine_asks_again() {
    let retry = |seen: &Seen, number: usize, at: SocketAddr| {
        let (status, text) = approve(seen, number, at);
        let retry = number == 0 && seen.path.starts_with("/answer");
        (status, if retry { text.replace("\"at\"", "\"CODE K7F3 - approve in console\"") } else { text })
    };
    let engine = Engine::start(retry).await;
    let (events, summary) = run(engine.options("127.83.0.1")).await;
    let message = "Installation failed: country code 'CODE K7F3 - approve in console' is not valid".to_owned();
    let steps = steps(&events, 1);
    let rejected =
        steps.iter().position(|step| *step == Step::Rejected { message: message.clone() }).expect("rejected");
    assert_eq!(steps[rejected + 1], Step::Rebooting);
    assert_eq!(steps[rejected + 2], Step::Asked { attempt: 2 });
    assert_eq!((summary.rejected, summary.installs, summary.reported), (1, 1, 1));
    let asked = engine.seen("/answer");
    assert_eq!(asked[0].json(), asked[1].json(), "the same machine repeats an identical body");
}

#[tokio::test]
async fn tls_is_pinned_to_the_certificate() {
    let (engine, pin) = Engine::start_tls(approve).await;
    let url = format!("https://{}/answer/", engine.at);
    let with = |fingerprint: Option<String>, base: &str| RackOptions {
        url: url.clone(),
        fingerprint,
        answers_only: true,
        ..engine.options(base)
    };
    let (_, summary) = run(with(Some(pin.to_ascii_uppercase()), "127.84.0.1")).await;
    assert_eq!((summary.answered, summary.installs), (1, 1));
    for wrong in [Some("ab".repeat(32)), None] {
        let (events, summary) = run(with(wrong, "127.84.0.1")).await;
        assert_eq!(summary.answered, 0);
        assert!(shell_words(&events).contains("certificate"), "{}", shell_words(&events));
    }
    assert_eq!(engine.seen("/").len(), 1);
}

#[rstest]
#[case(Release::V9_2, 404, "go away", "http error: 404 Not Found: go away")]
#[case(Release::V9_1, 404, "go away", "http status: 404")]
#[case(Release::V8_4, 404, "go away", "status code 404")]
#[case(Release::V9_2, 204, "", "http error: 204 No Content: ")]
#[case(Release::V8_4, 204, "", "missing field `global`")]
#[case(Release::V9_2, 200, "not toml", "key with no value")]
#[tokio::test]
async fn refusals_end_in_the_debug_shell(
    #[case] release: Release,
    #[case] status: u16,
    #[case] text: &'static str,
    #[case] words: &str,
) {
    let engine = Engine::start(move |_, _, _| (status, text.to_owned())).await;
    let (events, summary) = run(RackOptions { release, ..engine.options("127.85.0.1") }).await;
    assert!(shell_words(&events).contains(words), "{}", shell_words(&events));
    assert_eq!((summary.debug_shells, summary.asked), (1, 1));
}

#[tokio::test]
async fn somebody_may_leave_the_debug_shell() {
    let engine = Engine::start(|seen, number, at| {
        if seen.path.starts_with("/answer") && number == 0 { (503, String::new()) } else { approve(seen, number, at) }
    })
    .await;
    let leave_shell_after = Some(Duration::from_millis(10));
    let (_, summary) = run(RackOptions { leave_shell_after, ..engine.options("127.86.0.1") }).await;
    assert_eq!((summary.debug_shells, summary.asked, summary.up), (1, 2, 1));
}

#[tokio::test]
async fn a_silent_engine_times_out() {
    let engine = Engine::start(|_, _, _| (0, String::new())).await;
    let mut options = engine.options("127.87.0.1");
    options.timings.limit = Some(Duration::from_millis(200));
    let (events, _) = run(options).await;
    assert!(shell_words(&events).contains("timed out after 0.2 s"));
}

fn with_faults(engine: &Engine, base: &str, faults: &[&str]) -> RackOptions {
    let faults = faults.iter().map(|rule| rule.parse().unwrap()).collect();
    RackOptions { count: 4, faults, ..engine.options(base) }
}

#[tokio::test]
async fn faults_hit_the_machines_they_name() {
    let engine = Engine::start(approve).await;
    let faults = ["no-report=1", "lost-secret=2", "forged-secret=3", "crash=4", "slow-body=4"];
    let (events, summary) = run(with_faults(&engine, "127.88.0.1", &faults)).await;
    assert!(steps(&events, 1).contains(&Step::NotReporting));
    assert!(steps(&events, 4).contains(&Step::Crashed));
    assert!(steps(&events, 4).contains(&Step::Asked { attempt: 2 }));
    assert_eq!((summary.reported, summary.crashed, summary.up), (3, 1, 4));
    let paths: Vec<_> =
        engine.seen("/webhook").into_iter().map(|seen| (seen.peer.ip().to_string(), seen.path)).collect();
    for (address, path) in
        [("127.88.0.2", "/webhook/"), ("127.88.0.3", "/webhook/ffffff"), ("127.88.0.4", "/webhook/s3cret")]
    {
        assert!(paths.contains(&(address.to_owned(), path.to_owned())), "{paths:?}");
    }
}

#[tokio::test]
async fn requests_can_be_spoilt() {
    let engine = Engine::start(|_, _, _| (400, "no".to_owned())).await;
    let faults = ["no-dmi=1", "duplicate-uuid=2", "hostile-text=2", "big-body=3", "garbage-body=4"];
    let (events, summary) = run(with_faults(&engine, "127.89.0.1", &faults)).await;
    assert_eq!(summary.debug_shells, 4);
    assert!(events.iter().all(|event| !event.to_string().contains(char::is_control)), "lines are harmless");
    for seen in engine.seen("/answer") {
        match seen.peer.ip().to_string().as_str() {
            "127.89.0.1" => assert_eq!(seen.json()["dmi"]["system"], serde_json::json!({})),
            "127.89.0.2" => {
                let twin = Machine::build(1, 1, Ipv4Addr::LOCALHOST).dmi.unwrap();
                assert_eq!(seen.json()["dmi"]["system"]["uuid"], twin.uuid.as_str());
                assert!(seen.json()["dmi"]["system"]["name"].as_str().unwrap().contains("{{ lookup('pipe'"));
            }
            "127.89.0.3" => assert!(seen.body.len() > 12 << 20),
            _ => assert!(serde_json::from_slice::<Value>(&seen.body).is_err()),
        }
    }
}

#[tokio::test]
async fn a_machine_that_loses_power_asks_again() {
    let engine = Engine::start(|seen, number, at| {
        if seen.path.starts_with("/answer") && number == 0 { (0, String::new()) } else { approve(seen, number, at) }
    })
    .await;
    let (events, summary) = run(RackOptions { count: 1, ..with_faults(&engine, "127.90.0.1", &["hang-up"]) }).await;
    assert_eq!((summary.hung_up, summary.asked, summary.up), (1, 2, 1), "{events:?}");
}

/// Remembers the host key a server presents.
struct Visitor(std::sync::mpsc::Sender<String>);

impl russh::client::Handler for Visitor {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &russh::keys::PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        if let russh::keys::PublicKeyOrCertificate::PublicKey { key, .. } = key {
            let _ = self.0.send(key.to_openssh().unwrap_or_default());
        }
        Ok(true)
    }
}

#[rstest]
#[case(&[], true, "127.91.0.1")]
#[case(&["wrong-host-key"], false, "127.91.1.1")]
#[tokio::test]
async fn nodes_present_the_reported_key_unless_told_otherwise(
    #[case] faults: &[&str],
    #[case] same: bool,
    #[case] base: &str,
) {
    let engine = Engine::start(approve).await;
    let options = with_faults(&engine, base, faults);
    let options = RackOptions { count: 1, ssh: SshMode::Builtin, ssh_port: 0, stay: true, ..options };
    let (sender, mut events) = mpsc::channel(100);
    let shutdown = CancellationToken::new();
    let rack = tokio::spawn(run_rack(options, sender, shutdown.clone()));
    let at = loop {
        let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await.expect("in time");
        if let Step::SshUp { at, .. } = event.expect("an event").step {
            break at;
        }
    };
    let (seen, keys) = std::sync::mpsc::channel();
    let visit = russh::client::connect(Arc::default(), at, Visitor(seen)).await.unwrap();
    let presented = keys.recv().unwrap();
    let presented = presented.split(' ').nth(1).unwrap();
    let report = engine.seen("/webhook")[0].json();
    let reported = report["ssh-public-host-keys"].as_object().unwrap();
    let known = reported.values().any(|line| line.as_str().unwrap().contains(presented));
    assert_eq!(known, same);
    drop(visit);
    shutdown.cancel();
    assert_eq!(rack.await.unwrap().unwrap().up, 1);
}

#[tokio::test]
async fn a_burst_asks_all_at_once_and_ends_by_itself() {
    let engine = Engine::start(approve).await;
    let options = RackOptions { count: 300, answers_only: true, stay: true, ..engine.options("127.92.0.1") };
    let (_, summary) = run(options).await;
    assert_eq!((summary.machines, summary.asked, summary.answered, summary.installs), (300, 300, 300, 300));
    assert_eq!(engine.seen("/webhook").len(), 0);
    assert!(summary.answers_per_second() > 0.0);
}

#[tokio::test]
async fn bad_options_are_refused_before_anything_starts() {
    let fails = |options: RackOptions| run_rack(options, mpsc::channel(1).0, CancellationToken::new());
    let base = RackOptions::new("http://127.0.0.1:1/");
    let far = RackOptions { base_address: "127.255.255.250".parse().unwrap(), ..base.clone() };
    assert!(matches!(fails(far).await, Err(SimulateError::Address { number: 6, .. })));
    let outside = RackOptions { base_address: "10.0.0.1".parse().unwrap(), ..base.clone() };
    assert!(matches!(fails(outside).await, Err(SimulateError::Address { number: 1, .. })));
    let nowhere = RackOptions { url: "engine:8443".to_owned(), ..base.clone() };
    assert!(matches!(fails(nowhere).await, Err(SimulateError::Target(_))));
    let pinned = RackOptions { fingerprint: Some("sha256:ab".to_owned()), ..base };
    assert!(matches!(fails(pinned).await, Err(SimulateError::Target(ExchangeError::Pin(_)))));
}
