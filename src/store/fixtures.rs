//! Events and nodes for the tests of this folder.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Batch, Document, RedactedAnswer};
use crate::domain::facts::{Cpu, Disk, Dmi, Nic};
use crate::domain::guard::Permission;
use crate::domain::node::Asked;
use crate::domain::snapshot::Service;
use crate::domain::{
    DocumentHash, Event, Fleet, Fqdn, Generation, HostKey, MachineId, NodeId, Origin, Policy, Product, Recorded,
    Report, SecretHash, Snapshot, Stamp, SystemInfo,
};

/// A public key of no machine.
pub(super) const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What a playbook must never run.
pub(super) const HOSTILE: &str = "{{ lookup('pipe','id') }}";

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(super) fn fqdn(name: &str) -> Fqdn {
    name.parse().unwrap()
}

pub(super) fn key() -> HostKey {
    KEY.parse().unwrap()
}

pub(super) fn dmi(id: u64) -> Dmi {
    Dmi {
        uuid: Some(format!("f68d13f3-472b-4f1a-95a7-{id:012x}").as_str().into()),
        serial: Some(format!("SERIAL{id}").as_str().into()),
        model: Some(HOSTILE.into()),
        ..Dmi::default()
    }
}

pub(super) fn stamp(body: &[u8]) -> Stamp {
    Stamp { peer: "192.0.2.7".parse().unwrap(), macs: BTreeSet::new(), body: DocumentHash::of(body) }
}

pub(super) fn seen(id: u64, name: &str) -> Event {
    let info = SystemInfo {
        generation: Generation::V9_2,
        product: Product::Pve,
        iso_release: None,
        dmi: dmi(id),
        links: Vec::new(),
    };
    let machine = MachineId::of_system(&info);
    let asked = Asked {
        at: at(0),
        stamp: stamp(b"{}"),
        asking_mac: None,
        info: info.into(),
        count: 1,
        is_told: false,
        token: None,
        own: None,
    };
    Event::MachineSeen { node: NodeId(id), name: fqdn(name), machine, asked, flags: Vec::new() }
}

pub(super) fn released(id: u64, text: &str) -> Event {
    Event::AnswerReleased {
        node: NodeId(id),
        by: Permission::Approval,
        stamp: stamp(b"{}"),
        document: DocumentHash::of(text.as_bytes()),
        secret: SecretHash::of(b"secret"),
        address: Some(format!("192.0.2.{id}/24").parse().unwrap()),
        vendor_unseen: false,
        profile: None,
        left_out: None,
    }
}

pub(super) fn answer(id: u64, text: &str) -> RedactedAnswer {
    let hash = DocumentHash::of(text.as_bytes());
    RedactedAnswer { node: NodeId(id), hash, text: "password = \"…\"\n".to_owned() }
}

pub(super) fn report(id: u64) -> Report {
    Report {
        product: Some(Product::Pve),
        cpu: Cpu { model: Some("Intel Xeon E5-2670".into()), cores: Some(8), ..Cpu::default() },
        dmi: dmi(id),
        disks: vec![Disk {
            path: Some("/dev/sda".into()),
            model: Some(HOSTILE.into()),
            serial: Some("D1".into()),
            size: Some(1 << 40),
            boot: true,
        }],
        nics: vec![Nic {
            mac: "b4:2e:99:ac:ad:b4".parse().unwrap(),
            name: Some("eno1".into()),
            address: Some("192.0.2.99/24".parse().unwrap()),
            management: true,
            vendor: Some("Intel Corporation".into()),
            driver: None,
        }],
        host_keys: vec![key()],
        ..Report::default()
    }
}

pub(super) fn reported(id: u64, body: &[u8]) -> Event {
    Event::ReportAccepted {
        node: NodeId(id),
        peer: "192.0.2.200".parse().unwrap(),
        document: DocumentHash::of(body),
        report: report(id),
        proven: true,
    }
}

pub(super) fn document(bytes: &[u8]) -> Document {
    Document { hash: DocumentHash::of(bytes), bytes: bytes.to_vec() }
}

/// Events numbered from `first` on.
pub(super) fn batch(first: u64, events: Vec<Event>) -> Batch {
    let number = |(seq, event)| Recorded { seq, at: at(0), origin: Origin::Operator("eve".to_owned()), event };
    Batch { events: (first..).zip(events).map(number).collect(), ..Batch::default() }
}

pub(super) fn fleet(events: Vec<Event>) -> Fleet {
    let mut fleet = Fleet::new(Policy::default());
    batch(1, events).events.iter().for_each(|recorded| fleet.apply(recorded));
    fleet
}

pub(super) fn snapshot(seq: u64, fleet: &Fleet) -> Snapshot {
    let (holds, service) = (imbl::OrdMap::new(), Arc::new(Service::default()));
    Snapshot { seq, at: at(0), fleet: fleet.clone(), holds, undecided: imbl::OrdMap::new(), service }
}

/// What is equal where two fleets are.
pub(super) fn shown(fleet: &Fleet) -> serde_json::Value {
    serde_json::to_value(fleet).unwrap()
}
