//! How many answers a second: the engine with its durable store against a bare handler that parses the same body and
//! stores nothing. `cargo bench --bench answer_throughput [-- MACHINES]`.
//!
//! Both are processes of their own, asked by the same client in this one: plain HTTP, a new connection for each request,
//! the same number of them open at once. The ratio of the two is what counts; it hardly depends on the machine.
//! `docs/performance.md` has figures.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use hdrhistogram::Histogram;
use prox_orchestrator::answer::{BaseAnswer, Inputs, NicChoice, Offer, Webhook, render, retry_answer};
use prox_orchestrator::api::OrderResponse;
use prox_orchestrator::api::client::RemoteEngine;
use prox_orchestrator::domain::{Generation, Order, Phase, Product, Snapshot};
use prox_orchestrator::simulate::{Release, body, machine::Machine};
use prox_orchestrator::wire::{RequestSigns, system_info};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Machines, unless an argument says otherwise.
const MACHINES: usize = 10_000;

/// Requests under way at once.
const AT_ONCE: usize = 256;

/// Makes this program the bare handler.
const BARE: &str = "--bare";

/// Longest wait for a program of ours.
const PATIENCE: Duration = Duration::from_mins(1);

const BASE_ANSWER: &str = include_str!("../src/runtime/demo/default.toml");

const CONFIG: &str = r#"
machine_net_mask = "8"
machine_net_dns = "192.0.2.53"
machine_net_gateway = "127.0.0.1"
[server]
tls = false
hold = "1s"
max_held = 50000
[approval]
undo_window = "0s"
[ansible]
# Its preflight would take its share of the processors.
command = "none"
"#;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == BARE) {
        return serve_bare().await;
    }
    prox_orchestrator::server::raise_open_files()?;
    let count = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(MACHINES);
    let mut out = std::io::stdout();
    let report = run(count).await?;
    std::io::Write::write_all(&mut out, report.as_bytes())?;
    Ok(())
}

async fn run(count: usize) -> anyhow::Result<String> {
    let rendering = time_rendering()?;
    let askers: Arc<Vec<Asker>> = Arc::new((1..=count).map(Asker::new).collect::<anyhow::Result<_>>()?);
    let bare = measure_bare(&askers).await?;
    let engine = measure_engine(&askers).await?;
    let ratio = engine.answers.rate() / bare.rate();
    Ok(format!(
        "{count} machines, {AT_ONCE} requests at once, plain HTTP, one request a connection\n\
         bare handler, nothing stored        {bare}\n\
         engine, first requests (held)       {}\n\
         engine, all approved by one order   {:.2} s\n\
         engine, durable answers             {}\n\
         durable answers / bare handler      {ratio:.2}\n\
         render and validate one answer      {:.1} µs (budget 80 µs)\n",
        engine.first,
        engine.approving.as_secs_f64(),
        engine.answers,
        rendering.as_secs_f64() * 1e6
    ))
}

/// A machine with its request written down.
struct Asker {
    address: Ipv4Addr,
    request: Vec<u8>,
}

impl Asker {
    fn new(number: usize) -> anyhow::Result<Self> {
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 90, 0, 1)) + u32::try_from(number)?);
        let machine = Machine::build(1, number, address);
        let (release, body) = (Release::V9_2, body::answer_request(Release::V9_2, Product::Pve, &machine).to_string());
        let request = format!(
            "POST /answer HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {}\r\nAccept: {}\r\nContent-Type: {}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            release.user_agent(),
            release.accept(),
            release.content_type(),
            body.len()
        );
        Ok(Self { address, request: request.into_bytes() })
    }

    /// One exchange; the reply is whole when its connection is at its end or its length is there.
    async fn ask(&self, to: SocketAddr) -> anyhow::Result<Vec<u8>> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.address, 0).into())?;
        let mut stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&self.request).await?;
        let mut reply = Vec::with_capacity(2_048);
        while !is_whole(&reply) && stream.read_buf(&mut reply).await? > 0 {}
        ensure!(reply.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&reply));
        Ok(reply)
    }
}

fn is_whole(reply: &[u8]) -> bool {
    let Some(end) = reply.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&reply[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| reply.len() >= end + 4 + length)
}

/// How a number of exchanges went.
struct Figures {
    wall: Duration,
    micros: Histogram<u64>,
}

impl Figures {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn rate(&self) -> f64 {
        self.micros.len() as f64 / self.wall.as_secs_f64()
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let quantile = |share| Duration::from_micros(self.micros.value_at_quantile(share)).as_secs_f64() * 1e3;
        write!(f, "{:>6.0}/s, p50 {:.1} ms, p99 {:.1} ms", self.rate(), quantile(0.5), quantile(0.99))
    }
}

/// Every machine asks once; `accepts` looks at each reply.
async fn ask_all(
    askers: &Arc<Vec<Asker>>,
    to: SocketAddr,
    at_once: usize,
    accepts: fn(&[u8]) -> bool,
) -> anyhow::Result<Figures> {
    let places = Arc::new(Semaphore::new(at_once));
    let mut exchanges = JoinSet::new();
    let started = Instant::now();
    for index in 0..askers.len() {
        let place = Arc::clone(&places).acquire_owned().await?;
        let askers = Arc::clone(askers);
        exchanges.spawn(async move {
            let begun = Instant::now();
            let reply = askers[index].ask(to).await?;
            drop(place);
            ensure!(accepts(&reply), "unexpected: {}", String::from_utf8_lossy(&reply));
            anyhow::Ok(begun.elapsed())
        });
    }
    let mut micros = Histogram::new(3)?;
    while let Some(elapsed) = exchanges.join_next().await {
        micros.record(u64::try_from(elapsed??.as_micros())?)?;
    }
    Ok(Figures { wall: started.elapsed(), micros })
}

/// A process of ours; killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn measure_bare(askers: &Arc<Vec<Asker>>) -> anyhow::Result<Figures> {
    let mut child = tokio::process::Command::new(std::env::current_exe()?)
        .arg(BARE)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line).await?;
    let to = line.trim().parse()?;
    // Once to warm up.
    ask_all(askers, to, AT_ONCE, |_| true).await?;
    let figures = ask_all(askers, to, AT_ONCE, |_| true).await?;
    child.kill().await?;
    Ok(figures)
}

/// Parses as the engine does, answers with as much text, stores nothing.
async fn serve_bare() -> anyhow::Result<()> {
    // As deep a queue as the engine's: a machine whose connection is dropped comes again after a second.
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener = socket.listen(4_096)?;
    std::io::Write::write_all(&mut std::io::stdout(), format!("{}\n", listener.local_addr()?).as_bytes())?;
    let text: Arc<str> = retry_answer("CODE K7F3 - approve in console").into();
    let handler = async move |body: Bytes| -> Response {
        match system_info::parse(&body, &RequestSigns::default()) {
            Ok(_) => ([(header::CONTENT_TYPE, "application/toml")], text.to_string()).into_response(),
            Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        }
    };
    axum::serve(listener, axum::Router::new().route("/answer", post(handler))).await?;
    Ok(())
}

/// What was measured of the engine.
struct EngineFigures {
    first: Figures,
    approving: Duration,
    answers: Figures,
}

async fn measure_engine(askers: &Arc<Vec<Asker>>) -> anyhow::Result<EngineFigures> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("config.toml"), CONFIG)?;
    std::fs::write(dir.path().join("default.toml"), BASE_ANSWER)?;
    let child = Command::new(env!("CARGO_BIN_EXE_prox-orchestrator"))
        .arg("-C")
        .arg(dir.path())
        .args(["--listen", "127.0.0.1:0", "serve"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let _process = Process(child);
    let (remote, snapshot) = connect(&dir.path().join(".prox-orchestrator")).await?;
    let to = snapshot.service.url.strip_prefix("http://").context("no http")?.parse()?;
    // Nobody is known: each is held for a second, so all are open at once.
    let first = ask_all(askers, to, askers.len(), |reply| has(reply, "retry.installer.invalid")).await?;
    let approving = approve_all(&remote, askers.len()).await?;
    let answers = ask_all(askers, to, AT_ONCE, |reply| has(reply, "/webhook/")).await?;
    Ok(EngineFigures { first, approving, answers })
}

fn has(reply: &[u8], word: &str) -> bool {
    reply.windows(word.len()).any(|bytes| bytes == word.as_bytes())
}

async fn connect(state_dir: &Path) -> anyhow::Result<(RemoteEngine, Snapshot)> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Ok(remote) = RemoteEngine::find(state_dir)
            && let Ok(snapshot) = remote.snapshot().await
            && !snapshot.service.url.is_empty()
        {
            return Ok((remote, snapshot));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("the engine did not start")
}

async fn approve_all(remote: &RemoteEngine, count: usize) -> anyhow::Result<Duration> {
    let snapshot = remote.snapshot().await?;
    let waiting = snapshot.fleet.nodes().filter(|node| node.phase == Phase::Waiting);
    let approval = |node: &Arc<prox_orchestrator::domain::Node>| {
        Some(Order::Approve { node: node.id, seen: node.request.as_ref()?.stamp.clone() })
    };
    let orders: Vec<_> = waiting.filter_map(approval).collect();
    ensure!(orders.len() == count, "{} of {count} machines wait", orders.len());
    let started = Instant::now();
    let responses = remote.orders("bench".to_owned(), orders, true).await?;
    let took = started.elapsed();
    let mut outcomes = BTreeMap::new();
    for response in responses {
        *outcomes.entry(response == OrderResponse::Done { run: None }).or_insert(0) += 1;
    }
    ensure!(outcomes == BTreeMap::from([(true, count)]), "not all approved: {outcomes:?}");
    Ok(took)
}

/// Time for one answer: rendered, then read back and validated, which [`render`] does by itself.
fn time_rendering() -> anyhow::Result<Duration> {
    const ROUNDS: u32 = 20_000;
    let base = BaseAnswer::parse(BASE_ANSWER).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let inputs = Inputs {
        fqdn: "pve-07aa.example.com".parse()?,
        generation: Generation::V9_2,
        installer: None,
        address: Some(Offer::Asked([192, 0, 2, 7].into())),
        mask: "24".parse()?,
        dns: Some([192, 0, 2, 53].into()),
        gateway: Some([192, 0, 2, 1].into()),
        nic: Some(NicChoice::Mac("02:00:00:00:00:01".parse()?)),
        webhook: Some(Webhook {
            url: "https://192.0.2.1:8443/webhook/0123456789012345678901234567890123456789abc".into(),
            token: "0123456789012345678901234567890123456789abc".into(),
            fingerprint: Some("AB:".repeat(31) + "AB"),
        }),
        ssh_key: Some(
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN2bN3LdoJqKU3nzKZ0BoNDSfUS1eqh0MnJYmSlTRHRq a@b".to_owned(),
        ),
    };
    let started = Instant::now();
    for _ in 0..ROUNDS {
        std::hint::black_box(render(base.overlay(), std::hint::black_box(&inputs))?);
    }
    Ok(started.elapsed() / ROUNDS)
}
