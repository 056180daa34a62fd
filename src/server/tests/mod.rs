//! The server over real sockets, with the real coordinator and store behind it.

mod answering;
mod conformance;
mod crowded;
mod deciding;
mod delivering;
mod layered;
mod reporting;
mod transport;
mod trust;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::answer::{BaseAnswer, Profiles};
use crate::coordinator::{self, Handle, Started, SubmitError};
use crate::domain::ghost::{Cause, Ghost};
use crate::domain::mask::Netmask;
use crate::domain::snapshot::Service;
use crate::domain::{AddressRules, Command, Effect, NicRule, Node, NodeId, Order, Ordered, Origin, Policy, Snapshot};
use crate::store::Store;

/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// What differs between the tests' servers.
struct Setup {
    tls: bool,
    hold: Duration,
    capacity: usize,
    nic_vendor: Option<&'static str>,
    gateway: Option<Ipv4Addr>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            tls: false,
            hold: Duration::from_secs(45),
            capacity: 100,
            nic_vendor: Some("Intel*"),
            gateway: Some([127, 0, 0, 254].into()),
        }
    }
}

/// A running server.
struct Bench {
    address: SocketAddr,
    fingerprint: Option<String>,
    handle: Handle,
    app: App,
    started: Started,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
    state_dir: tempfile::TempDir,
    _effects: mpsc::Receiver<Effect>,
    kit: watch::Sender<Arc<AnswerKit>>,
}

const BASE: &str = r#"
[global]
country = "us"
keyboard = "en-us"
timezone = "UTC"
mailto = "root@localhost"
root-password-hashed = "*"
[network]
source = "from-answer"
[disk-setup]
filesystem = "ext4"
disk-list = ["sda"]
"#;

impl Bench {
    async fn new(setup: Setup) -> Self {
        Self::in_folder(setup, tempfile::tempdir().unwrap()).await
    }

    async fn in_folder(setup: Setup, state_dir: tempfile::TempDir) -> Self {
        let mut store = Store::open(state_dir.path()).unwrap();
        let nic = NicRule::Asking { or_vendor: setup.nic_vendor.is_some() };
        let addresses = AddressRules { nic, ..AddressRules::default() };
        let loaded = store.load(Policy { addresses, ..Policy::default() }).unwrap();
        let (effects, kept_effects) = mpsc::channel(16);
        let started = coordinator::start(store, loaded, effects).unwrap();
        let handle = started.handle.clone();
        handle.set_service(Service { capacity: setup.capacity, ..Service::default() }).await;
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.address();
        let identity = setup.tls.then(|| Identity::load_or_create(state_dir.path()).unwrap());
        let fingerprint = identity.as_ref().map(|identity| identity.fingerprint().to_owned());
        let settings = ServerSettings {
            listen: address,
            tls: setup.tls,
            public_url: None,
            hold: setup.hold,
            fingerprint: fingerprint.clone(),
        };
        let network = NetworkSettings {
            mask: Netmask::SLASH_24,
            dns: Some([127, 0, 0, 253].into()),
            gateway: setup.gateway.map(IpAddr::from),
            nic: NicBy::Asking { otherwise: setup.nic_vendor.map(str::to_owned) },
        };
        let kit = AnswerKit {
            dir: state_dir.path().to_owned(),
            base: BaseAnswer::parse(BASE).unwrap(),
            profiles: Profiles::default(),
            network,
            ssh_key: Some("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA console".to_owned()),
            access: Access::default(),
        };
        let (kit, kits) = watch::channel(Arc::new(kit));
        let shutdown = CancellationToken::new();
        let app = App::new(handle.clone(), settings, kits, Ghosts::default(), shutdown.clone());
        let tls = identity.map(|identity| identity.server_config());
        let serving = tokio::spawn(serve(listener, app.clone(), tls, 1_000));
        Self { address, fingerprint, handle, app, started, shutdown, serving, state_dir, _effects: kept_effects, kit }
    }

    /// Ends server and coordinator, in that order.
    async fn end(self) -> tempfile::TempDir {
        self.shutdown.cancel();
        timeout(PATIENCE, self.serving).await.unwrap().unwrap();
        self.handle.stop().await;
        self.started.ended.await.unwrap();
        self.state_dir
    }

    /// A connection from `127.0.0.<machine>`.
    async fn connect(&self, machine: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, machine], 0))).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// One exchange over plain HTTP.
    async fn send(&self, machine: u8, request: &[u8]) -> Answered {
        exchange(self.connect(machine).await, request).await
    }

    /// Posts a machine's request in a task of its own.
    async fn post_answer(&self, machine: u8) -> JoinHandle<Answered> {
        let stream = self.connect(machine).await;
        tokio::spawn(async move { exchange(stream, &post("/answer", &body_of(machine))).await })
    }

    async fn until(&self, condition: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut snapshots = self.handle.snapshots();
        let wait = snapshots.wait_for(|snapshot| condition(snapshot));
        timeout(PATIENCE, wait).await.unwrap().unwrap().clone()
    }

    async fn until_held(&self, count: usize) -> Arc<Snapshot> {
        self.until(|snapshot| snapshot.holds.len() == count).await
    }

    async fn order(&self, order: Order) -> Result<Ordered, SubmitError> {
        self.handle.order(Origin::Operator("anna".to_owned()), order, true).await
    }

    async fn approve(&self, node: NodeId) {
        let snapshot = self.handle.snapshot();
        let seen = snapshot.fleet.node(node).unwrap().request.as_ref().unwrap().stamp.clone();
        self.order(Order::Approve { node, seen }).await.unwrap();
    }

    /// Changes who may ask.
    fn let_in(&self, change: impl FnOnce(&mut Access)) {
        self.kit.send_modify(|kit| change(&mut Arc::make_mut(kit).access));
    }

    /// Waits for an almost-arrival of this cause.
    async fn ghost(&self, cause: Cause) -> Ghost {
        let mut changes = self.app.ghosts.changes();
        let find = async {
            loop {
                let found = self.app.ghosts.shown().into_iter().find(|ghost| ghost.cause == cause);
                match found {
                    Some(ghost) => break ghost,
                    None => changes.changed().await.unwrap(),
                }
            }
        };
        timeout(PATIENCE, find).await.unwrap_or_else(|_| panic!("no {cause:?} in {:?}", self.app.ghosts.shown()))
    }
}

/// The only node of a snapshot.
fn only(snapshot: &Snapshot) -> Node {
    let nodes: Vec<_> = snapshot.fleet.nodes().collect();
    assert_eq!(nodes.len(), 1);
    Node::clone(nodes[0])
}

/// What a full request of a machine with one NIC looks like.
fn body_of(machine: u8) -> String {
    format!(
        r#"{{"$schema":{{"version":"1.0"}},"dmi":{{"system":{{"uuid":"5c1f8f3a-9d10-4c5e-8a77-0e6b1a2f{machine:04x}","serial":"SN{machine}"}}}},
        "network_interfaces":[{{"link":"eno1","mac":"02:00:5E:00:00:{machine:02X}"}}]}}"#
    )
}

fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nuser-agent: ureq/3.0.12\r\ncontent-type: application/json; charset=utf-8\r\n\
         accept: application/json, application/toml;q=0.5\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes()
}

/// A reply, taken apart.
#[derive(Debug)]
struct Answered {
    status: u16,
    head: String,
    body: String,
}

impl Answered {
    /// The line a retry answer puts on the machine's screen.
    fn screen(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        assert!(self.head.contains("content-type: application/toml\r\n"), "{}", self.head);
        let answer: toml_edit::DocumentMut = self.body.parse().unwrap();
        assert_eq!(answer["global"]["fqdn"].as_str(), Some("retry.installer.invalid"), "{}", self.body);
        answer["global"]["country"].as_str().unwrap().to_owned()
    }

    /// A real answer.
    fn answer(&self) -> toml_edit::DocumentMut {
        assert_eq!(self.status, 200, "{self:?}");
        assert!(self.head.contains("content-type: application/toml\r\n"), "{}", self.head);
        let answer: toml_edit::DocumentMut = self.body.parse().unwrap();
        assert_ne!(answer["global"]["fqdn"].as_str(), Some("retry.installer.invalid"), "{}", self.body);
        answer
    }
}

/// Sends a request and reads until the server closes.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, request: &[u8]) -> Answered {
    stream.write_all(request).await.unwrap();
    read_reply(stream).await
}

async fn read_reply<S: AsyncRead + Unpin>(mut stream: S) -> Answered {
    let mut reply = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut reply)).await.unwrap().unwrap();
    let reply = String::from_utf8(reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no reply: {reply:?}"));
    let head = format!("{head}\r\n").to_ascii_lowercase();
    assert!(head.contains("connection: close\r\n"), "{head}");
    Answered { status: head[9..12].parse().unwrap(), head, body: body.to_owned() }
}

/// Trusts one fingerprint and looks at nothing else, as the installer does (PROTOCOL.md §a.3).
#[derive(Debug)]
struct Pinned(String);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use sha2::Digest as _;
        let hex: Vec<_> = sha2::Sha256::digest(leaf).iter().map(|byte| format!("{byte:02X}")).collect();
        if hex.join(":") == self.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A TLS connector that trusts `fingerprint` only.
fn connector(fingerprint: &str, version: &'static rustls::SupportedProtocolVersion) -> tokio_rustls::TlsConnector {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(fingerprint.to_owned())))
        .with_no_client_auth();
    tokio_rustls::TlsConnector::from(Arc::new(config))
}
