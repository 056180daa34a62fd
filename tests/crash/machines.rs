//! Machines that ask, and remember every byte they were given.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use prox_orchestrator::domain::{DocumentHash, Fqdn, Product};
use prox_orchestrator::simulate::Release;
use prox_orchestrator::simulate::body;
use prox_orchestrator::simulate::client::{Call, Target};
use prox_orchestrator::simulate::installer::{Examination, Outcome};
use prox_orchestrator::simulate::keys::HostKeys;
use prox_orchestrator::simulate::locale::Locale;
use prox_orchestrator::simulate::machine::Machine;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::engine::LOOK;

/// The installer all machines run.
const RELEASE: Release = Release::V9_2;

/// What the world outside the engine knows; the engine's memory must never contradict it.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Machines whose approval was ordered, whatever the engine said.
    pub(crate) ordered: BTreeSet<Uuid>,
    /// Machines whose approval the engine confirmed.
    pub(crate) confirmed: BTreeSet<Uuid>,
    /// Answers that arrived whole: machine, host name and digest of the text.
    pub(crate) answers: Vec<(Uuid, Fqdn, DocumentHash)>,
    /// Machines whose report was taken with 200.
    pub(crate) reported: BTreeSet<Uuid>,
    /// Retry answers that arrived whole.
    pub(crate) retries: u64,
    /// Renamings the engine confirmed: machine and new name.
    pub(crate) renamed: BTreeMap<Uuid, Fqdn>,
}

/// What all machines of a round share.
pub(crate) struct Round {
    pub(crate) url: String,
    pub(crate) fingerprint: Option<String>,
    pub(crate) book: Arc<Mutex<Book>>,
    /// Told at the first byte of any reply.
    pub(crate) first_byte: Notify,
    /// Whether machines that have their answer report.
    pub(crate) is_reporting: bool,
    /// Cancelled when the engine is dead.
    pub(crate) over: CancellationToken,
}

/// A machine in the rack.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    machine: Machine,
    /// Somebody nobody ever approves.
    pub(crate) is_stranger: bool,
}

/// What came back.
enum Got {
    Nothing,
    Part,
    Whole(u16, Vec<u8>),
}

impl Asker {
    pub(crate) fn new(seed: u64, number: usize, is_stranger: bool) -> Self {
        let offset = u32::try_from(number).unwrap();
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 88, 0, 1)) + offset);
        Self { machine: Machine::build(seed, number, address), is_stranger }
    }

    pub(crate) fn uuid(&self) -> Uuid {
        self.machine.dmi.as_ref().unwrap().uuid.parse().unwrap()
    }

    /// Asks until it has its answer or the round is over; then installs in no time and reports. Returns whether it still
    /// wants something.
    pub(crate) async fn live(&self, round: &Round) -> bool {
        let request = body::answer_request(RELEASE, Product::Pve, &self.machine).to_string();
        while !round.over.is_cancelled() {
            match self.post(round, &round.url, None, &request).await {
                Got::Whole(200, text) => {
                    let Some(plan) = self.judge(round, &text) else { continue };
                    if round.is_reporting {
                        self.report(round, &plan).await;
                    }
                    return false;
                }
                Got::Whole(status, text) => {
                    panic!("{}: status {status}: {}", self.machine.address, String::from_utf8_lossy(&text))
                }
                // Cut off: a technician would switch it on again.
                Got::Nothing | Got::Part => sleep(LOOK).await,
            }
        }
        true
    }

    /// Notes what came; nothing where it is the retry answer.
    fn judge(&self, round: &Round, text: &[u8]) -> Option<prox_orchestrator::simulate::installer::InstallPlan> {
        let examination = Examination::parse(RELEASE, text, false);
        let examination = examination.unwrap_or_else(|stop| panic!("not even the retry answer: {}", stop.message));
        let mut book = round.book.lock().unwrap();
        match examination.finish(&self.machine.hardware, &Locale::default()) {
            Outcome::Stop(_) => {
                let text = String::from_utf8_lossy(text);
                assert!(text.contains("retry.installer.invalid"), "neither an answer nor the retry answer:\n{text}");
                book.retries += 1;
                None
            }
            Outcome::Install(plan) => {
                let uuid = self.uuid();
                assert!(
                    !self.is_stranger,
                    "a machine nobody approved was given an answer that wipes its disks: {uuid}"
                );
                assert!(book.ordered.contains(&uuid), "answered before anybody approved it: {uuid}");
                book.answers.push((uuid, plan.fqdn.parse().unwrap(), DocumentHash::of(text)));
                Some(*plan)
            }
        }
    }

    async fn report(&self, round: &Round, plan: &prox_orchestrator::simulate::installer::InstallPlan) {
        let keys = HostKeys::generate(1, self.machine.number, 1, "node").unwrap();
        let report = body::report(RELEASE, Product::Pve, &self.machine, plan, &keys).unwrap().to_string();
        let webhook = plan.webhook.as_ref().unwrap();
        let got = self.post(round, &webhook.url, webhook.fingerprint.as_deref(), &report).await;
        if let Got::Whole(status, _) = got {
            assert_eq!(status, 200, "a report is always taken");
            round.book.lock().unwrap().reported.insert(self.uuid());
        }
    }

    async fn post(&self, round: &Round, url: &str, pin: Option<&str>, body: &str) -> Got {
        if url.starts_with("https") {
            let pin = pin.or(round.fingerprint.as_deref());
            return self.post_tls(round, url, pin, body).await;
        }
        let mut received = Vec::new();
        // An error is the end: what came before it counts.
        let _ = self.post_plain(round, url, body, &mut received).await;
        split(&received)
    }

    async fn post_tls(&self, round: &Round, url: &str, pin: Option<&str>, body: &str) -> Got {
        let target = Target::new(url, pin).unwrap();
        let call = Call {
            release: RELEASE,
            target: &target,
            source: self.machine.address,
            body: Some(body.to_owned().into()),
            accept: RELEASE.accept(),
            bearer: None,
            trickle: None,
            limit: None,
        };
        match call.send().await {
            Ok(reply) => {
                round.first_byte.notify_one();
                Got::Whole(reply.status, reply.body.to_vec())
            }
            Err(_) => Got::Nothing,
        }
    }

    /// By hand, because a library would hide the first byte and the last one before a reset.
    async fn post_plain(&self, round: &Round, url: &str, body: &str, received: &mut Vec<u8>) -> std::io::Result<()> {
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.machine.address, 0).into())?;
        let mut stream = socket.connect(host.parse().unwrap()).await?;
        let head = format!(
            "POST /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {}\r\nAccept: {}\r\nContent-Type: {}\r\n\
             Content-Length: {}\r\n\r\n",
            RELEASE.user_agent(),
            RELEASE.accept(),
            RELEASE.content_type(),
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        while !is_whole(received) && stream.read_buf(received).await? > 0 {
            round.first_byte.notify_one();
        }
        Ok(())
    }
}

/// Head and body of a reply.
fn parts(received: &[u8]) -> Option<(&str, &[u8])> {
    let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    Some((std::str::from_utf8(&received[..end]).ok()?, &received[end + 4..]))
}

fn length(head: &str) -> usize {
    let field =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned));
    field.expect("a reply tells its length").trim().parse().unwrap()
}

fn is_whole(received: &[u8]) -> bool {
    parts(received).is_some_and(|(head, body)| body.len() >= length(head))
}

fn split(received: &[u8]) -> Got {
    match parts(received) {
        _ if received.is_empty() => Got::Nothing,
        Some((head, body)) if body.len() >= length(head) => {
            Got::Whole(head.split(' ').nth(1).unwrap().parse().unwrap(), body[..length(head)].to_vec())
        }
        Some(_) | None => Got::Part,
    }
}
