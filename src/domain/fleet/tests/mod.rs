//! Tables and properties of the fleet. [`Rack`] plays machines and operator against it.

mod addresses;
mod clock;
mod counters;
mod gate;
mod identity;
mod life;
mod model;
mod own_network;
mod planned;
mod room;
mod rules;
mod runs;
mod tokens;
mod used;
mod walk;
mod withheld;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::{Decision, Fleet};
use crate::domain::address::OwnNetwork;
use crate::domain::command::{Ask, Command, Order, Origin, Release, Reply, ReportIn, Sighting};
use crate::domain::event::Recorded;
use crate::domain::facts::{Dmi, Generation, HostKey, Link, Product, Report, SystemInfo};
use crate::domain::guard::{Grant, Verdict};
use crate::domain::id::{DocumentHash, NodeId, SecretHash};
use crate::domain::machine::MachineId;
use crate::domain::node::{Node, Stamp};
use crate::domain::phase::Phase;
use crate::domain::policy::Policy;
use crate::domain::refusal::Refusal;
use crate::domain::run::{HostResult, RunOutcome, RunState};
use crate::domain::text::Text;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICvB+sxcrzwdKNbpjHfi+6C0YpXovAJv62vxV1iUOPRa";

/// A machine of the test rack.
#[derive(Clone, Debug)]
struct Box1 {
    uuid: Option<&'static str>,
    macs: Vec<&'static str>,
    peer: &'static str,
    body: u8,
}

impl Box1 {
    fn ask(&self) -> Ask {
        let links = self.macs.iter().map(|mac| Link { name: Text::new("eno1"), mac: mac.parse().unwrap() });
        let info = SystemInfo {
            generation: Generation::V9_2,
            product: Product::Pve,
            iso_release: None,
            dmi: Dmi { uuid: self.uuid.map(Text::new), ..Dmi::default() },
            links: links.collect(),
        };
        let stamp = Stamp {
            peer: self.peer.parse().unwrap(),
            macs: self.macs.iter().map(|mac| mac.parse().unwrap()).collect(),
            body: DocumentHash::of(&[self.body]),
        };
        let asking_mac = stamp.macs.first().copied();
        Ask { stamp, info: info.into(), asking_mac, token: None, wish: None, own: OwnNetwork::default() }
    }
}

const UUID_A: &str = "f68d13f3-472b-4f1a-95a7-120b398a07aa";
const UUID_B: &str = "f68d13f3-472b-4f1a-95a7-120b398a07bb";
const MAC_A: &str = "b4:2e:99:00:00:0a";
const MAC_B: &str = "b4:2e:99:00:00:0b";

fn box_a() -> Box1 {
    Box1 { uuid: Some(UUID_A), macs: vec![MAC_A], peer: "192.0.2.10", body: 1 }
}

fn box_b() -> Box1 {
    Box1 { uuid: Some(UUID_B), macs: vec![MAC_B], peer: "192.0.2.11", body: 2 }
}

/// A fleet with a clock and a log.
#[derive(Debug)]
struct Rack {
    fleet: Fleet,
    now: Timestamp,
    log: Vec<Recorded>,
}

impl Rack {
    fn new() -> Self {
        Self::under(Policy::default())
    }

    /// Under these rules, but without the countdown.
    fn under(policy: Policy) -> Self {
        Self::counting(Policy { countdown: Duration::ZERO, ..policy })
    }

    fn counting(policy: Policy) -> Self {
        Self { fleet: Fleet::new(policy), now: "2026-01-01T08:00:00Z".parse().unwrap(), log: Vec::new() }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn submit(&mut self, command: &Command) -> Result<Decision, Refusal> {
        let decision = self.fleet.decide(command, self.now)?;
        for event in decision.events.clone() {
            let seq = self.log.len() as u64 + 1;
            let origin = match command {
                Command::Report(report) => Origin::Peer(report.peer),
                _ => Origin::System,
            };
            let recorded = Recorded { seq, at: self.now, origin, event };
            self.fleet.apply(&recorded);
            self.log.push(recorded);
        }
        Ok(decision)
    }

    fn order(&mut self, order: Order) -> Result<Decision, Refusal> {
        self.submit(&Command::Order(order))
    }

    fn ask(&mut self, machine: &Box1) -> (NodeId, Verdict) {
        match self.submit(&Command::Ask(machine.ask())).unwrap().reply {
            Reply::Asked { node, verdict } => (node, verdict),
            other => panic!("{other:?}"),
        }
    }

    fn stamp(&self, node: NodeId) -> Stamp {
        self.node(node).request.as_ref().unwrap().stamp.clone()
    }

    fn approve(&mut self, node: NodeId) -> Result<Decision, Refusal> {
        let seen = self.stamp(node);
        self.order(Order::Approve { node, seen })
    }

    fn release(&mut self, machine: &Box1, grant: &Grant, address: Option<&str>) -> Reply {
        let release = self.release_of(machine, grant, address);
        self.submit(&Command::Release(release)).unwrap().reply
    }

    fn release_of(&self, machine: &Box1, grant: &Grant, address: Option<&str>) -> Release {
        let text = format!("{}{}", grant.name, self.log.len());
        Release {
            node: grant.node,
            stamp: machine.ask().stamp,
            name: grant.name.clone(),
            address: address.map(|address| address.parse().unwrap()),
            document: DocumentHash::of(text.as_bytes()),
            secret: secret(grant.node, self.node(grant.node).answers.as_ref().map_or(0, |answers| answers.count)),
            vendor_unseen: false,
            granted: (grant.address, grant.nic),
            profile: None,
            left_out: None,
            own: OwnNetwork::default(),
        }
    }

    /// The last answer of a node was written, or was lost.
    fn write(&mut self, node: NodeId, delivered: bool) {
        let answers = self.node(node).answers.as_ref().unwrap();
        let (document, secret) = (answers.document, *answers.secrets.last().unwrap());
        self.submit(&Command::AnswerWritten { node, document, secret, delivered }).unwrap();
    }

    fn allow_reinstall(&mut self, node: NodeId) -> Result<Decision, Refusal> {
        let (seen, confirm) = (self.stamp(node), self.node(node).name.clone());
        self.order(Order::AllowReinstall { node, seen, confirm })
    }

    /// Asks, and is served.
    fn served(&mut self, machine: &Box1) -> Grant {
        match self.ask(machine).1 {
            Verdict::Serve(grant) => grant,
            other => panic!("not served: {other:?}"),
        }
    }

    fn node(&self, id: NodeId) -> &Node {
        self.fleet.node(id).unwrap()
    }

    fn phase(&self, id: NodeId) -> &'static str {
        self.node(id).phase.word()
    }

    /// Asks, is approved, gets its answer, reports with a host key, and is seen by the probe.
    fn install(&mut self, machine: &Box1) -> NodeId {
        let (node, _) = self.ask(machine);
        self.approve(node).unwrap();
        let (_, Verdict::Serve(grant)) = self.ask(machine) else { panic!("not served") };
        let address = format!("{}/24", machine.peer);
        assert_eq!(self.release(machine, &grant, Some(&address)), Reply::Released);
        self.report(node, 0);
        assert_eq!(self.phase(node), "installed");
        node
    }

    fn make_ready(&mut self, node: NodeId) {
        self.submit(&Command::Probe { node, sighting: Sighting::Proven }).unwrap();
        assert_eq!(self.phase(node), "ready");
    }

    fn report(&mut self, node: NodeId, answer: u32) -> Decision {
        let report = Report { host_keys: vec![KEY.parse().unwrap()], ..Report::default() };
        self.report_with(Some(secret(node, answer)), report, u8::try_from(node.0).unwrap())
    }

    fn report_with(&mut self, secret: Option<SecretHash>, report: Report, body: u8) -> Decision {
        let peer = "192.0.2.99".parse().unwrap();
        let document = DocumentHash::of(&[b'r', body]);
        self.submit(&Command::Report(Box::new(ReportIn { peer, document, report, secret, may_move: true }))).unwrap()
    }

    fn tick(&mut self) -> Decision {
        self.submit(&Command::Tick).unwrap()
    }

    fn end_run(&mut self, outcome: RunOutcome, hosts: &[(NodeId, HostResult)]) {
        let run = self.fleet.active_run().unwrap().id;
        self.submit(&Command::RunStarted { run }).unwrap();
        let hosts: BTreeMap<_, _> =
            hosts.iter().map(|(id, result)| (self.node(*id).name.clone(), result.clone())).collect();
        self.submit(&Command::RunEnded { run, outcome, hosts }).unwrap();
    }
}

/// The webhook secret of a node's nth answer.
fn secret(node: NodeId, answer: u32) -> SecretHash {
    SecretHash::of(format!("{node}/{answer}").as_bytes())
}
