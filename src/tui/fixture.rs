//! A rack for tests: a real [`Fleet`] driven by commands, at a clock that stands still.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use base64::Engine as _;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;

use super::TuiOptions;
use super::action::{Msg, Request};
use super::model::{Model, Row};
use super::update::update;
use super::view;
use crate::domain::address::OwnNetwork;
use crate::domain::command::{ReportIn, Sighting};
use crate::domain::facts::{Cpu, Disk, Dmi, Generation, Link, Nic, Product, Report, SystemInfo};
use crate::domain::run::HostResult;
use crate::domain::snapshot::{Hold, Problem, Service, Undecided};
use crate::domain::text::Text;
use crate::domain::{
    Ask, Caller, Command, DocumentHash, Fleet, HostKey, NodeId, Order, Origin, PlanEntry, Policy, Recorded, Release,
    Reply, RunId, RunOutcome, SecretHash, Snapshot, Stamp, WalkWish,
};

/// 2026-11-22 10:00:00 UTC.
pub(super) const START: i64 = 1_795_341_600;

pub(super) struct Rack {
    pub(super) fleet: Fleet,
    pub(super) now: Timestamp,
    pub(super) holds: imbl::OrdMap<NodeId, Hold>,
    pub(super) undecided: imbl::OrdMap<NodeId, Undecided>,
    pub(super) service: Service,
    seq: u64,
}

impl Rack {
    pub(super) fn new() -> Self {
        let service = Service {
            url: "https://192.0.2.1:8443".to_owned(),
            fingerprint: Some(vec!["AB"; 32].join(":")),
            caller: Caller {
                program: "/usr/bin/ansible-playbook".to_owned(),
                playbook: "setup-cluster.yml".to_owned(),
                user: "root".to_owned(),
                ..Caller::default()
            },
            capacity: 4_000,
            ..Service::default()
        };
        let now = Timestamp::from_second(START).unwrap();
        let (holds, undecided) = (imbl::OrdMap::new(), imbl::OrdMap::new());
        Self { fleet: Fleet::new(Policy::default()), now, holds, undecided, service, seq: 0 }
    }

    pub(super) fn problem(&mut self, what: &str, hint: &str) {
        self.service.problems.push(Problem { what: what.to_owned(), hint: hint.to_owned() });
    }

    pub(super) fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    pub(super) fn submit(&mut self, command: &Command) -> Reply {
        let decision = self.fleet.decide(command, self.now).unwrap();
        for event in decision.events {
            self.seq += 1;
            self.fleet.apply(&Recorded { seq: self.seq, at: self.now, origin: Origin::System, event });
        }
        decision.reply
    }

    pub(super) fn order(&mut self, order: Order) -> Reply {
        self.submit(&Command::Order(order))
    }

    /// Machine `n` asks; held for 45 s.
    pub(super) fn ask(&mut self, n: u8) -> NodeId {
        self.ask_as(n, info(n))
    }

    pub(super) fn ask_as(&mut self, n: u8, info: SystemInfo) -> NodeId {
        let macs = info.links.iter().map(|link| link.mac).collect();
        let body = DocumentHash::of(format!("{info:?}").as_bytes());
        let asking_mac = info.links.first().map(|link| link.mac);
        let ask = Ask {
            stamp: Stamp { peer: address(n), macs, body },
            info: info.into(),
            asking_mac,
            token: None,
            wish: None,
            own: OwnNetwork::default(),
        };
        let Reply::Asked { node, verdict } = self.submit(&Command::Ask(ask)) else { panic!("an ask is answered") };
        if matches!(verdict, crate::domain::Verdict::Hold(_)) {
            let until = self.now + SignedDuration::from_secs(45);
            self.holds.insert(node, Hold { since: self.now, until });
        }
        node
    }

    pub(super) fn stamp(&self, node: NodeId) -> Stamp {
        self.fleet.node(node).unwrap().request.as_ref().unwrap().stamp.clone()
    }

    /// A plan of these rows: rack, slot and host.
    pub(super) fn plan(&mut self, rows: &[(&str, &str, &str)]) {
        let row = |(rack, slot, host): &(&str, &str, &str)| PlanEntry {
            rack: Some(Text::new(rack)),
            slot: Some(Text::new(slot)),
            ..PlanEntry::new(format!("{host}.example.com").parse().unwrap())
        };
        let entries = rows.iter().map(row).map(Arc::new).collect();
        self.submit(&Command::Plan { entries });
    }

    pub(super) fn approve(&mut self, node: NodeId) {
        let seen = self.stamp(node);
        self.order(Order::Approve { node, seen });
    }

    /// Approves, answers and delivers.
    pub(super) fn install(&mut self, node: NodeId) {
        let document = self.release(node);
        let secret = secret(node);
        self.submit(&Command::AnswerWritten { node, document, secret, delivered: true });
    }

    /// Approves and answers; whether the answer arrives stays open.
    pub(super) fn release(&mut self, node: NodeId) -> DocumentHash {
        self.approve(node);
        self.holds.remove(&node);
        let row = self.fleet.node(node).unwrap().clone();
        let document = DocumentHash::of(node.to_string().as_bytes());
        let stamp = self.stamp(node);
        let address = format!("{}/24", stamp.peer).parse().ok();
        let secret = secret(node);
        let (name, granted) = (row.name.clone(), (row.fixed(), row.nic));
        let release = Release {
            node,
            stamp,
            name,
            address,
            granted,
            document,
            secret,
            vendor_unseen: false,
            profile: None,
            left_out: None,
            own: OwnNetwork::default(),
        };
        assert_eq!(self.submit(&Command::Release(release)), Reply::Released);
        document
    }

    pub(super) fn report(&mut self, n: u8, node: NodeId) {
        let name = self.fleet.node(node).unwrap().name.to_string();
        self.report_as(n, report(n, &name), Some(secret(node)));
    }

    /// The same, of a machine that is different from the others.
    pub(super) fn report_odd(&mut self, n: u8, node: NodeId, change: impl FnOnce(&mut Report)) {
        let mut told = report(n, self.fleet.node(node).unwrap().name.as_str());
        change(&mut told);
        self.report_as(n, told, Some(secret(node)));
    }

    pub(super) fn report_as(&mut self, n: u8, report: Report, secret: Option<SecretHash>) {
        let document = DocumentHash::of(format!("report {n}").as_bytes());
        self.submit(&Command::Report(Box::new(ReportIn {
            peer: address(n),
            document,
            report,
            secret,
            may_move: true,
        })));
    }

    /// All the way to `ready`.
    pub(super) fn ready(&mut self, n: u8) -> NodeId {
        let node = self.ask(n);
        self.install(node);
        self.report(n, node);
        self.submit(&Command::Probe { node, sighting: Sighting::Proven });
        node
    }

    pub(super) fn run(&mut self, nodes: Vec<NodeId>) -> RunId {
        let Reply::Queued(run) = self.order(Order::Run { nodes, options: Box::default() }) else {
            panic!("a run is queued")
        };
        self.submit(&Command::RunStarted { run });
        run
    }

    pub(super) fn end_run(&mut self, run: RunId, failed: &[NodeId]) {
        let mut hosts = BTreeMap::new();
        for (id, name) in &self.fleet.run(run).unwrap().nodes {
            let reason = Text::new("Install the tools: No package matching 'qemu-guest-agentt' is available");
            let result = if failed.contains(id) { HostResult::Failed { reason } } else { HostResult::Configured };
            hosts.insert(name.clone(), result);
        }
        let outcome = match failed.len() {
            0 => RunOutcome::Succeeded,
            count => RunOutcome::Failed { reason: Text::new(&format!("{count} of {} hosts failed", hosts.len())) },
        };
        self.submit(&Command::RunEnded { run, outcome, hosts });
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::new(Snapshot {
            seq: self.seq,
            at: self.now,
            fleet: self.fleet.clone(),
            holds: self.holds.clone(),
            undecided: self.undecided.clone(),
            service: Arc::new(self.service.clone()),
        })
    }

    pub(super) fn model(&self, width: u16, height: u16) -> Model {
        self.model_with(width, height, &TuiOptions::default())
    }

    pub(super) fn model_with(&self, width: u16, height: u16, options: &TuiOptions) -> Model {
        Model::new(self.snapshot(), self.now, TimeZone::UTC, Size { width, height }, options)
    }
}

/// A rack in every phase there is.
pub(super) fn busy_rack() -> Rack {
    let mut rack = Rack::new();
    let done = rack.ready(1);
    let broken = rack.ready(2);
    let run = rack.run(vec![done, broken]);
    rack.pass(250);
    rack.end_run(run, &[broken]);
    rack.ready(3);
    let installed = rack.ask(4);
    rack.install(installed);
    let gone = rack.ask(5);
    rack.install(gone);
    rack.pass(2_800);
    rack.submit(&Command::Tick);
    rack.report(4, installed);
    let again = rack.ask(6);
    rack.install(again);
    rack.pass(1_200);
    rack.ask(6);
    let sent_away = rack.ask(7);
    rack.order(Order::Reject { node: sent_away, reason: Text::new("not ours") });
    rack.holds.remove(&sent_away);
    let approved = rack.ask(8);
    rack.approve(approved);
    rack.holds.remove(&approved);
    rack.ask(9);
    rack.pass(12);
    rack.ask(10);
    rack.pass(5);
    let entry = ("old-1.lab".parse().unwrap(), Text::new("installed"));
    rack.submit(&Command::Import { entries: vec![entry] });
    rack.report_as(11, report(11, "node-aaaa.example.com"), None);
    rack.pass(3);
    rack
}

/// Six slots in two racks; a walk that has passed one over and given two away.
pub(super) fn walking_rack() -> Rack {
    let mut rack = Rack::new();
    rack.service.profiles = ["compute", "storage"].map(|name| name.parse().unwrap()).to_vec();
    rack.plan(&[
        ("R7", "2", "pve-02"),
        ("R7", "11", "pve-03"),
        ("R7", "1", "pve-01"),
        ("R12", "1", "pve-06"),
        ("R12", "7", "pve-07"),
        ("R7", "20", "pve-05"),
    ]);
    rack.order(Order::Walk { wish: WalkWish::Start { first: None } });
    rack.ask(1);
    rack.pass(9);
    let slot = "pve-02.example.com".parse().unwrap();
    rack.order(Order::Walk { wish: WalkWish::Skip { slot } });
    rack.ask(2);
    rack.pass(3);
    rack
}

fn secret(node: NodeId) -> SecretHash {
    SecretHash::of(node.to_string().as_bytes())
}

pub(super) fn address(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100 + n))
}

fn dmi(n: u8) -> Dmi {
    Dmi {
        uuid: Some(Text::new(&format!("f68d13f3-472b-4f1a-95a7-120b398a07{n:02x}"))),
        serial: Some(Text::new(&format!("S2HRNX0J4034{n:02}"))),
        model: Some(Text::new("PowerEdge R650")),
        ..Dmi::default()
    }
}

pub(super) fn info(n: u8) -> SystemInfo {
    let link = |port: u8| Link {
        name: Text::new(&format!("enp{port}s0")),
        mac: format!("b4:2e:99:ac:{n:02x}:{port:02x}").parse().unwrap(),
    };
    SystemInfo {
        generation: Generation::V9_2,
        product: Product::Pve,
        iso_release: Some(Text::new("9.2-1")),
        dmi: dmi(n),
        links: vec![link(1), link(2)],
    }
}

pub(super) fn report(n: u8, fqdn: &str) -> Report {
    let disk = |path: &str, boot| Disk {
        path: Some(Text::new(path)),
        model: Some(Text::new("Micron 7450")),
        serial: Some(Text::new(&format!("2233{n:02}"))),
        size: Some(960_197_124_096),
        boot,
    };
    Report {
        fqdn: Some(Text::new(fqdn)),
        product: Some(Product::Pve),
        product_version: Some(Text::new("9.2.1")),
        kernel: Some(Text::new("6.17.2-1-pve")),
        boot_mode: Some(Text::new("efi")),
        secure_boot: Some(false),
        filesystem: Some(Text::new("zfs (RAID1)")),
        cpu: Cpu {
            model: Some(Text::new("Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz")),
            cores: Some(64),
            cpus: Some(128),
            sockets: Some(2),
        },
        dmi: dmi(n),
        disks: vec![disk("/dev/nvme0n1", true), disk("/dev/nvme1n1", false)],
        nics: vec![Nic {
            mac: format!("b4:2e:99:ac:{n:02x}:01").parse().unwrap(),
            name: Some(Text::new("nic0")),
            address: format!("{}/24", address(n)).parse().ok(),
            management: true,
            vendor: Some(Text::new("Intel Corporation")),
            driver: Some(Text::new("ice")),
        }],
        host_keys: vec![host_key(n)],
        ..Report::default()
    }
}

/// An ed25519 key line with these bytes for a key.
pub(super) fn host_key(n: u8) -> HostKey {
    let mut blob = Vec::new();
    for part in [&b"ssh-ed25519"[..], &[n; 32]] {
        blob.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        blob.extend(part);
    }
    format!("ssh-ed25519 {}", base64::engine::general_purpose::STANDARD.encode(blob)).parse().unwrap()
}

pub(super) fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

pub(super) fn ctrl(c: char) -> KeyEvent {
    KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)
}

/// Presses a key.
pub(super) fn press(model: &mut Model, code: KeyCode) -> Vec<Request> {
    update(model, Msg::Key(key(code)))
}

/// Types a text, one key after the other.
pub(super) fn type_text(model: &mut Model, text: &str) -> Vec<Request> {
    text.chars().flat_map(|c| press(model, KeyCode::Char(c))).collect()
}

/// Puts the selection on a row as the operator would.
pub(super) fn go_to(model: &mut Model, row: Row) {
    press(model, KeyCode::Home);
    while model.nodes.selected != Some(row) {
        let before = model.nodes.index;
        press(model, KeyCode::Down);
        assert_ne!(model.nodes.index, before, "{row:?} is not in the table");
    }
}

/// What the terminal would show.
pub(super) fn screen(model: &Model) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(model.size.width, model.size.height)).unwrap();
    terminal.draw(|frame| view::draw(frame, model)).unwrap();
    terminal
}

/// The same as text, without blanks at the ends of lines.
pub(super) fn text_of(model: &Model) -> String {
    let terminal = screen(model);
    let buffer = terminal.backend().buffer();
    let rows = buffer.content.chunks(usize::from(buffer.area.width));
    let lines = rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}
