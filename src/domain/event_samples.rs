//! At least one sample of every event and of every word within events, in an order that tells a story. The tests that
//! guard stored databases and the words of events share them.

mod later;
mod planning;
mod walking;

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::command::{Origin, Person, Verb};
use super::event::{Event, Recorded};
use super::facts::{Cpu, Disk, Dmi, Generation, HostKey, Link, Nic, Product, Report, SystemInfo};
use super::fqdn::Fqdn;
use super::guard::Permission;
use super::id::{BanId, DocumentHash, NodeId, ReportId, RunId, SecretHash, TicketId};
use super::machine::MachineId;
use super::node::{Asked, Flag, ProfileChoice, Stamp};
use super::options::{RunOptions, RunReason};
use super::run::{HostResult, RunOutcome};
use super::ticket::{Admission, Closing, Rule, Ticket, Wants};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The samples, numbered from 1, ten seconds apart.
pub(crate) fn events() -> Vec<Recorded> {
    let all = [
        asking(),
        deciding(),
        answering(),
        reporting(),
        booting(),
        running(),
        leaving(),
        guarding(),
        choosing(),
        gating(),
        planning::planning(),
        walking::walking(),
        later::samples(),
    ]
    .concat();
    let number = |(seq, (origin, event)): (u64, _)| {
        let second = 1_767_225_600 + 10 * i64::try_from(seq).unwrap();
        Recorded { seq, at: Timestamp::new(second, 123_456_789).unwrap(), origin, event }
    };
    (1..).zip(all).map(number).collect()
}

type Sample = (Origin, Event);

const NODE: NodeId = NodeId(1);

fn operator(event: Event) -> Sample {
    (Origin::Operator("anna".to_owned()), event)
}

fn system(event: Event) -> Sample {
    (Origin::System, event)
}

fn peer(last: u8, event: Event) -> Sample {
    (Origin::Peer([192, 0, 2, last].into()), event)
}

fn name(node: NodeId) -> Fqdn {
    format!("pve-07{:02x}.example.com", node.0).parse().unwrap()
}

fn key() -> HostKey {
    KEY.parse().unwrap()
}

fn info(node: NodeId) -> SystemInfo {
    let dmi = Dmi {
        uuid: Some(format!("f68d13f3-472b-4f1a-95a7-120b398a07{:02x}", node.0).as_str().into()),
        serial: Some(format!("S2HRNX0J4034{:02}", node.0).as_str().into()),
        model: Some("PowerEdge R650".into()),
        sku: Some("SKU=0A6B".into()),
        board_serial: Some("CN701".into()),
        board_name: Some("0PYXKY".into()),
        chassis_serial: Some("C1".into()),
        asset_tag: Some("rack 7".into()),
    };
    let links = vec![Link { name: "eno1".into(), mac: mac(node) }];
    SystemInfo { generation: Generation::V9_2, product: Product::Pve, iso_release: Some("9.2-1".into()), dmi, links }
}

fn mac(node: NodeId) -> super::MacAddr {
    format!("b4:2e:99:ac:ad:{:02x}", node.0).parse().unwrap()
}

fn stamp(node: NodeId) -> Stamp {
    let peer = [192, 0, 2, u8::try_from(node.0).unwrap()].into();
    Stamp { peer, macs: [mac(node)].into(), body: DocumentHash::of(&node.0.to_be_bytes()) }
}

fn asked(node: NodeId, count: u32) -> Asked {
    let at = Timestamp::from_second(1_767_225_600).unwrap();
    let (asking_mac, info) = (Some(mac(node)), info(node).into());
    Asked { at, stamp: stamp(node), asking_mac, info, count, is_told: false, token: None, own: None }
}

fn seen(node: NodeId, flags: Vec<Flag>) -> Event {
    let machine = MachineId::of_system(&info(node));
    Event::MachineSeen { node, name: name(node), machine, asked: asked(node, 1), flags }
}

fn flags() -> Vec<Flag> {
    let other = NodeId(2);
    vec![
        Flag::NoIdentity,
        Flag::UntrustedUuid,
        Flag::DuplicateOf { other },
        Flag::Ambiguous { other },
        Flag::AsksAgain,
        Flag::ChangedSinceApproval,
        Flag::AddressTaken { by: other },
        Flag::VendorUnseen,
        Flag::CannotAnswer { reason: "no resolver".into() },
        Flag::WrongHostKey,
        Flag::Unproven,
        Flag::UnprovenReport,
    ]
}

fn asking() -> Vec<Sample> {
    let machine = MachineId::of_system(&info(NODE));
    let again = Event::MachineAsked { node: NODE, machine, asked: asked(NODE, 2), flags: vec![Flag::AsksAgain] };
    let mut bare = info(NodeId(3));
    (bare.generation, bare.product, bare.iso_release, bare.dmi) =
        (Generation::V8_2, Product::Pdm, None, Dmi::default());
    let asked = Asked { info: bare.into(), asking_mac: None, ..asked(NodeId(3), 1) };
    let (node, machine) = (NodeId(3), MachineId::default());
    vec![
        peer(1, seen(NODE, Vec::new())),
        peer(2, seen(NodeId(2), flags())),
        peer(3, Event::MachineSeen { node, name: name(node), machine, asked, flags: Vec::new() }),
        peer(1, again),
        system(Event::RetryServed { node: NODE, why: "waits for approval, code 7QX4".into() }),
        system(Event::Imported { node: NodeId(4), name: name(NodeId(4)), status: "installed".into() }),
    ]
}

fn deciding() -> Vec<Sample> {
    let approved = |node| Event::Approved { node, stamp: stamp(node) };
    let renamed = "db-1.example.com".parse().unwrap();
    vec![
        operator(Event::Rejected { node: NodeId(2), reason: "not ours".into() }),
        operator(Event::Rejected { node: NodeId(3), reason: "".into() }),
        operator(approved(NODE)),
        peer(1, Event::ApprovalVoided { node: NODE }),
        operator(approved(NODE)),
        operator(approved(NodeId(2))),
        operator(approved(NodeId(3))),
        operator(Event::Renamed { node: NodeId(2), name: renamed }),
    ]
}

fn answering() -> Vec<Sample> {
    let released = |node: NodeId, by, address: Option<&str>| Event::AnswerReleased {
        node,
        by,
        stamp: stamp(node),
        document: DocumentHash::of(b"answer"),
        secret: SecretHash::of(b"secret"),
        address: address.map(|net| net.parse().unwrap()),
        vendor_unseen: address.is_none(),
        profile: None,
        left_out: None,
    };
    let document = DocumentHash::of(b"answer");
    vec![
        system(released(NODE, Permission::Approval, Some("192.0.2.1/24"))),
        system(Event::AnswerLost { node: NODE, document, secret: None }),
        system(released(NODE, Permission::Repeat, Some("2001:db8::1/64"))),
        system(Event::AnswerDelivered { node: NODE, document, secret: None }),
        operator(Event::ReinstallAllowed { node: NODE, stamp: stamp(NODE) }),
        system(released(NODE, Permission::Reinstall, None)),
        system(Event::Flagged { node: NODE, flag: Flag::CannotAnswer { reason: "no resolver".into() } }),
        system(released(NodeId(2), Permission::Approval, None)),
        system(Event::Stalled { node: NODE, reason: "no report for 45 min".into() }),
    ]
}

fn report() -> Report {
    let nic = Nic {
        mac: mac(NODE),
        name: Some("eno1".into()),
        address: Some("192.0.2.1/24".parse().unwrap()),
        management: true,
        vendor: Some("Intel Corporation".into()),
        driver: Some("ixgbe".into()),
    };
    let disk = Disk {
        path: Some("/dev/sda".into()),
        model: Some("MZ7LH960".into()),
        serial: Some("D1".into()),
        size: Some(960_197_124_096),
        boot: true,
    };
    Report {
        fqdn: Some(name(NODE).as_str().into()),
        product: Some(Product::Pve),
        product_version: Some("9.2.1".into()),
        debian_version: Some("13.1".into()),
        kernel: Some("6.17.2-1-pve".into()),
        boot_mode: Some("efi".into()),
        secure_boot: Some(false),
        cpu: Cpu { model: Some("Xeon Gold 6338".into()), cores: Some(64), cpus: Some(128), sockets: Some(2) },
        dmi: info(NODE).dmi,
        filesystem: Some("zfs (RAID1)".into()),
        machine_id: Some("b08dfa6083e7567a1921a715000001fb".into()),
        disks: vec![disk, Disk::default()],
        nics: vec![nic],
        host_keys: vec![key()],
    }
}

fn reporting() -> Vec<Sample> {
    let address = [192, 0, 2, 1].into();
    let document = DocumentHash::of(b"report");
    let accepted = |node, report, proven| Event::ReportAccepted { node, peer: address, document, report, proven };
    let report_id = ReportId(1);
    vec![
        peer(1, accepted(NODE, report(), true)),
        peer(9, Event::ReportUnmatched { report: report_id, peer: address, document, facts: Report::default() }),
        operator(accepted(NodeId(2), Report::default(), false)),
        operator(Event::ReportSettled { report: report_id }),
        operator(Event::MarkedInstalled { node: NodeId(3) }),
    ]
}

fn booting() -> Vec<Sample> {
    let node = NodeId(3);
    vec![
        system(Event::Booting { node: NODE }),
        system(Event::BecameReady { node: NODE }),
        operator(Event::AddressSet { node, address: "2001:db8::3".parse().unwrap() }),
        system(Event::BecameUnreachable { node, reason: "no SSH on 2001:db8::3 for 20 min".into() }),
        system(Event::HostKeySeen { node, key: key() }),
        operator(Event::HostKeyTrusted { node, key: key() }),
        system(Event::BecameReady { node }),
    ]
}

fn running() -> Vec<Sample> {
    let nodes = || [(NODE, name(NODE)), (NodeId(3), name(NodeId(3)))].into();
    let queued = |run, by_gate| {
        let (options, reason) = (Box::default(), RunReason::Plain);
        system(Event::RunQueued { run: RunId(run), nodes: nodes(), by_gate, options, reason })
    };
    let ended = |run, outcome, hosts| system(Event::RunEnded { run: RunId(run), outcome, hosts });
    let failed = HostResult::Failed { reason: "join: no quorum".into() };
    let reason = || "1 of 2 nodes failed: pve-0703: join: no quorum".into();
    let missing = || "ansible-playbook is not installed; install it".into();
    vec![
        queued(1, true),
        system(Event::RunStarted { run: RunId(1) }),
        ended(
            1,
            RunOutcome::Failed { reason: reason() },
            [(name(NODE), HostResult::Configured), (name(NodeId(3)), failed)].into(),
        ),
        queued(2, false),
        operator(Event::RunStopping { run: RunId(2) }),
        ended(2, RunOutcome::Cancelled, [].into()),
        queued(3, false),
        ended(3, RunOutcome::NotStarted { reason: missing() }, [].into()),
        queued(4, false),
        ended(4, RunOutcome::Interrupted, [].into()),
        queued(5, false),
        ended(5, RunOutcome::Succeeded, [].into()),
    ]
}

fn leaving() -> Vec<Sample> {
    let token: super::TokenName = "rack-a".parse().unwrap();
    let made = |name: &super::TokenName, expires, profile| Event::TokenMade {
        name: name.clone(),
        hash: super::TokenHash::of(b"secret"),
        expires,
        profile,
    };
    let (node, machine) = (NODE, MachineId::of_system(&info(NODE)));
    let shown = Asked { token: Some(token.clone()), ..asked(NODE, 3) };
    vec![
        operator(Event::Forgotten { node: NodeId(4) }),
        peer(9, Event::GaveWay { node: NodeId(2), rows: 700 }),
        operator(made(&token, Some(Timestamp::from_second(1_800_000_000).unwrap()), Some("compute".into()))),
        operator(made(&"spare".parse().unwrap(), None, None)),
        peer(1, Event::MachineAsked { node, machine, asked: shown, flags: Vec::new() }),
        operator(Event::TokenRevoked { name: token }),
    ]
}

fn guarding() -> Vec<Sample> {
    let node = NodeId(3);
    let verbs = [Verb::Approve, Verb::Reject, Verb::Reinstall];
    let ticket = Ticket {
        id: TicketId(1),
        count: 12,
        left: 12,
        wants: Wants { model: Some("PowerEdge R650*".into()), product: Some(Product::Pve) },
        profile: Some("compute".parse().unwrap()),
        issued: Timestamp::from_second(1_767_225_600).unwrap(),
        expires: Timestamp::from_second(1_767_232_800).unwrap(),
    };
    let (id, closings) = (ticket.id, [Closing::Drained, Closing::Expired, Closing::Cancelled]);
    let admitted = |by| {
        let admission = Admission { by, profile: Some("compute".parse().unwrap()) };
        peer(2, Event::Admitted { node: NodeId(2), stamp: stamp(NodeId(2)), admission })
    };
    let (machine, reason) = (MachineId::of_system(&info(NodeId(5))), "not ours".into());
    let mut samples = vec![
        operator(Event::TicketIssued { ticket }),
        admitted(Rule::Ticket(id)),
        admitted(Rule::Planned),
        admitted(Rule::All),
        operator(Event::Banned { ban: BanId(1), node: NodeId(5), machine, name: name(NodeId(5)), reason }),
        operator(Event::BanLifted { ban: BanId(1) }),
        system(Event::Flagged { node, flag: Flag::InstalledBefore { name: name(NODE) } }),
        system(Event::RefusalServed { node, why: "waits for approval, code 7QX4".into() }),
        system(Event::Flagged { node, flag: Flag::TwoAddresses { other: [192, 0, 2, 9].into() } }),
        operator(Event::Withdrawn { node }),
    ];
    let person = Person { name: "anna".to_owned(), from: "ssh 192.0.2.7".to_owned() };
    samples.push((Origin::Person(person), Event::Withdrawn { node }));
    let (row, fresh) = (NodeId(2), NodeId(6));
    let [known, shown] = [NODE, row].map(|node| MachineId::of_system(&info(node)).uuid.unwrap());
    samples.extend([
        system(Event::Flagged { node: NODE, flag: Flag::UuidChanged { known, shown } }),
        operator(Event::Merged { node: NODE, gone: row }),
        operator(Event::Unmerged { node: NODE, row, name: name(row) }),
        operator(Event::SplitOff {
            node: NODE,
            row: fresh,
            name: name(fresh),
            machine: MachineId::of_system(&info(fresh)),
            asked: asked(fresh, 1),
        }),
    ]);
    samples.extend(closings.map(|why| operator(Event::TicketClosed { ticket: id, why })));
    samples.extend(verbs.map(|verb| operator(Event::TakenBack { node, verb })));
    samples
}

fn gating() -> Vec<Sample> {
    let nodes = || [(NODE, name(NODE)), (NodeId(3), name(NodeId(3)))].into();
    let cancelled = |run| system(Event::RunEnded { run: RunId(run), outcome: RunOutcome::Cancelled, hosts: [].into() });
    let run =
        |run, by_gate, options, reason| Event::RunQueued { run: RunId(run), nodes: nodes(), by_gate, options, reason };
    let until = Timestamp::from_second(1_800_000_000).unwrap();
    let untouched = [(name(NODE), HostResult::Untouched { reason: "wait: no route".into() })].into();
    let options = RunOptions {
        check: true,
        tags: vec!["cluster".to_owned()],
        vars: [("proxmox_cluster_name".to_owned(), "lab".into())].into(),
        verbosity: 1,
        start_at: Some("Join".to_owned()),
        ..RunOptions::default()
    };
    vec![
        system(Event::GateCounting { until, nodes: [NODE].into() }),
        system(Event::GateStopped),
        operator(Event::GateHeld),
        operator(Event::GateReleased),
        operator(Event::GateWaived { nodes: [NodeId(3)].into(), expect: None }),
        operator(run(6, true, Box::default(), RunReason::WithoutMissing)),
        cancelled(6),
        operator(run(7, false, Box::new(options), RunReason::Failed)),
        cancelled(7),
        system(run(8, true, Box::default(), RunReason::Each)),
        system(Event::RunEnded { run: RunId(8), outcome: RunOutcome::Interrupted, hosts: untouched }),
    ]
}

fn choosing() -> Vec<Sample> {
    let chosen = |profile| operator(Event::ProfileChosen { node: NODE, profile });
    let flagged = |flag| system(Event::Flagged { node: NODE, flag });
    let released = Event::AnswerReleased {
        node: NODE,
        by: Permission::Repeat,
        stamp: stamp(NODE),
        document: DocumentHash::of(b"answer"),
        secret: SecretHash::of(b"secret"),
        address: None,
        vendor_unseen: false,
        profile: Some("storage".into()),
        left_out: Some("global.reboot_mode".into()),
    };
    vec![
        chosen(Some(ProfileChoice::Named("storage".parse().unwrap()))),
        chosen(Some(ProfileChoice::Without)),
        chosen(None),
        system(Event::CounterTaken { node: NODE, counter: "rack7".into(), value: 12 }),
        system(released),
        flagged(Flag::LeftOut { settings: "global.reboot_mode".into() }),
        flagged(Flag::NotAsWished { reason: "`db.example.com` is taken".into() }),
    ]
}

/// Numbers the variants. A new one does not compile until it has a number here, and then a sample.
fn number(event: &Event) -> usize {
    match event {
        Event::MachineSeen { .. } => 0,
        Event::MachineAsked { .. } => 1,
        Event::ApprovalVoided { .. } => 2,
        Event::Approved { .. } => 3,
        Event::Rejected { .. } => 4,
        Event::ReinstallAllowed { .. } => 5,
        Event::AnswerReleased { .. } => 6,
        Event::AnswerDelivered { .. } => 7,
        Event::AnswerLost { .. } => 8,
        Event::RetryServed { .. } => 9,
        Event::Flagged { .. } => 10,
        Event::ReportAccepted { .. } => 11,
        Event::ReportUnmatched { .. } => 12,
        Event::ReportSettled { .. } => 13,
        Event::MarkedInstalled { .. } => 14,
        Event::Renamed { .. } => 15,
        Event::AddressSet { .. } => 16,
        Event::Stalled { .. } => 17,
        Event::Booting { .. } => 18,
        Event::BecameReady { .. } => 19,
        Event::BecameUnreachable { .. } => 20,
        Event::HostKeySeen { .. } => 21,
        Event::HostKeyTrusted { .. } => 22,
        Event::Forgotten { .. } => 23,
        Event::Imported { .. } => 24,
        Event::RunQueued { .. } => 25,
        Event::RunStarted { .. } => 26,
        Event::RunStopping { .. } => 27,
        Event::RunEnded { .. } => 28,
        Event::TokenMade { .. } => 29,
        Event::TokenRevoked { .. } => 30,
        Event::GaveWay { .. } => 31,
        Event::RefusalServed { .. } => 32,
        Event::TakenBack { .. } => 33,
        Event::Withdrawn { .. } => 34,
        Event::ProfileChosen { .. } => 35,
        Event::CounterTaken { .. } => 36,
        Event::TicketIssued { .. } => 37,
        Event::TicketClosed { .. } => 38,
        Event::Admitted { .. } => 39,
        Event::Banned { .. } => 40,
        Event::BanLifted { .. } => 41,
        Event::Merged { .. } => 42,
        Event::Unmerged { .. } => 43,
        Event::SplitOff { .. } => 44,
        Event::GateCounting { .. } => 45,
        Event::GateStopped => 46,
        Event::GateHeld => 47,
        Event::GateReleased => 48,
        Event::GateWaived { .. } => 49,
        Event::Planned { .. } => 50,
        Event::PlanChanged { .. } => 51,
        Event::PlanMatched { .. } => 52,
        Event::PlanJoined { .. } => 53,
        Event::Unplanned { .. } => 54,
        Event::AddressAssigned { .. } => 55,
        Event::NicChosen { .. } => 56,
        Event::Walked { .. } => 57,
        Event::Swapped { .. } => 58,
        Event::NoteSet { .. } => 59,
        Event::LeftBehind { .. } => 60,
        Event::Unflagged { .. } => 61,
        Event::RepeatsOver { .. } => 62,
    }
}

/// How many variants [`number`] numbers.
const VARIANTS: usize = 63;

/// Events as earlier releases have stored them. Lines are added, never changed: databases hold them.
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/events-v1.jsonl");

/// The frozen events, oldest first.
pub(crate) fn frozen() -> Vec<Recorded> {
    let text = std::fs::read_to_string(FIXTURE).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_event_has_a_sample() {
    let numbers: BTreeSet<_> = events().iter().map(|recorded| number(&recorded.event)).collect();
    assert_eq!(numbers, (0..VARIANTS).collect());
}

#[test]
fn every_sample_is_frozen() {
    let text = std::fs::read_to_string(FIXTURE).unwrap_or_default();
    let frozen: BTreeSet<_> = text.lines().collect();
    let lines = events().into_iter().map(|recorded| serde_json::to_string(&recorded).unwrap());
    let new: Vec<_> = lines.filter(|line| !frozen.contains(line.as_str())).collect();
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(FIXTURE, new.iter().fold(text.clone(), |text, line| text + line + "\n")).unwrap();
    } else {
        assert!(new.is_empty(), "not in `{FIXTURE}`; UPDATE_FIXTURES=1 adds it:\n{}", new.join("\n"));
    }
}

#[test]
fn frozen_events_are_read_and_written_alike() {
    let text = std::fs::read_to_string(FIXTURE).unwrap();
    assert!(text.lines().count() >= VARIANTS);
    for line in text.lines() {
        let recorded: Recorded = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&recorded).unwrap(), line);
    }
}
