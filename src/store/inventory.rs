//! What Ansible reads, made from the fleet: `nodes/dynamic-inventory.json` and `nodes/known_hosts`. Pure.
//!
//! A plain string in an inventory is a Jinja template that runs on this host (ANSIBLE.md §1, "SECURITY"). So the
//! inventory is built from the types below, with fixed keys, and whatever a machine said goes through [`Unsafe`], one
//! string at a time. `ansible_*` values come from parsed types and the operator's own settings.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;

use serde::Serialize;
use uuid::Uuid;

use crate::domain::facts::{Disk, Nic};
use crate::domain::text::Text;
use crate::domain::{Fleet, HostKey, MacAddr, Node, Phase, Product};

use super::projection::ProjectionSettings;

/// Names the program in `all.vars`; tells an inventory of ours from any other.
pub(super) const MARK: &str = "prox-orchestrator";

/// The port that `known_hosts` and Ansible assume where none is named.
const SSH_PORT: u16 = 22;

/// Disks and NICs listed of one node at most: Ansible pays seconds for large facts (ANSIBLE.md §6).
const MAX_LISTED: usize = 32;

/// A machine's words, which Ansible must take literally.
#[derive(Debug, Serialize)]
struct Unsafe<'a> {
    #[serde(rename = "__ansible_unsafe")]
    text: &'a str,
}

impl<'a> From<&'a Text> for Unsafe<'a> {
    fn from(text: &'a Text) -> Self {
        Self { text: text.as_str() }
    }
}

#[derive(Debug, Serialize)]
struct Inventory<'a> {
    all: All<'a>,
}

#[derive(Debug, Serialize)]
struct All<'a> {
    vars: AllVars,
    children: BTreeMap<&'static str, Group<'a>>,
}

#[derive(Debug, Serialize)]
struct AllVars {
    /// Discovery picks a wrong interpreter on some hosts (ANSIBLE.md §7).
    ansible_python_interpreter: &'static str,
    prox_orchestrator: Origin,
}

/// Where the file comes from. In `vars`, because any other key draws a warning in every run.
#[derive(Debug, Serialize)]
struct Origin {
    generated_by: &'static str,
    version: &'static str,
    sequence: u64,
}

#[derive(Debug, Default, Serialize)]
struct Group<'a> {
    hosts: BTreeMap<&'a str, HostVars<'a>>,
}

#[derive(Debug, Serialize)]
struct HostVars<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ansible_host: Option<IpAddr>,
    ansible_user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ansible_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ansible_ssh_private_key_file: Option<&'a Path>,
    status: &'static str,
    /// Whether a run has worked on it: it may be in a cluster, also where it does not answer.
    was_configured: bool,
    node_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_uuid: Option<Uuid>,
    /// The keys it must answer with, so that nodes can know each other; parsed, so that no template is in them.
    ssh_host_keys: &'a [HostKey],
    hw: Hardware<'a>,
}

/// Under one key, because `serial` on its own is a name that Ansible reserves.
#[derive(Debug, Serialize)]
struct Hardware<'a> {
    model: Option<Unsafe<'a>>,
    serial: Option<Unsafe<'a>>,
    cpu: Option<Unsafe<'a>>,
    cores: Option<u32>,
    disks: Vec<DiskFacts<'a>>,
    nics: Vec<NicFacts<'a>>,
}

#[derive(Debug, Serialize)]
struct DiskFacts<'a> {
    path: Option<Unsafe<'a>>,
    model: Option<Unsafe<'a>>,
    serial: Option<Unsafe<'a>>,
    size_bytes: Option<u64>,
    boot: bool,
}

#[derive(Debug, Serialize)]
struct NicFacts<'a> {
    name: Option<Unsafe<'a>>,
    mac: String,
    address: Option<String>,
    management: bool,
}

/// The inventory of all installed nodes, in groups by product that are all there even where empty (a play for a group
/// that is missing draws a warning). The same fleet and sequence number give the same bytes.
///
/// A host name can never be a group's: it has a dot ([`crate::domain::Fqdn`]), and no group has.
///
/// # Errors
/// Where the private key's path is not UTF-8.
pub fn inventory(fleet: &Fleet, sequence: u64, settings: &ProjectionSettings) -> serde_json::Result<Vec<u8>> {
    let mut children: BTreeMap<_, Group<'_>> =
        Product::ALL.iter().map(|product| (product.short(), Group::default())).collect();
    for node in fleet.nodes().filter(|node| node.phase.is_installed()) {
        let group = children.entry(node.product().short()).or_default();
        group.hosts.insert(node.name.as_str(), host(node, settings));
    }
    let origin = Origin { generated_by: MARK, version: env!("CARGO_PKG_VERSION"), sequence };
    let vars = AllVars { ansible_python_interpreter: "/usr/bin/python3", prox_orchestrator: origin };
    let mut bytes = serde_json::to_vec_pretty(&Inventory { all: All { vars, children } })?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn host<'a>(node: &'a Node, settings: &'a ProjectionSettings) -> HostVars<'a> {
    HostVars {
        ansible_host: node.address,
        ansible_user: &settings.ansible_user,
        ansible_port: Some(settings.ssh_port).filter(|port| *port != SSH_PORT),
        ansible_ssh_private_key_file: settings.private_key.as_deref(),
        status: node.phase.word(),
        // Rows of earlier releases do not say.
        was_configured: node.was_configured || matches!(node.phase, Phase::Configured | Phase::Failed { .. }),
        node_id: node.id.to_string(),
        node_uuid: node.machine.uuid,
        ssh_host_keys: &node.host_keys,
        hw: hardware(node),
    }
}

fn hardware(node: &Node) -> Hardware<'_> {
    let report = node.report.as_ref().map(|reported| &reported.report);
    let listed = report.map(|report| (report.disks.as_slice(), report.nics.as_slice()));
    let (disks, nics) = listed.unwrap_or_default();
    Hardware {
        model: node.model().map(Unsafe::from),
        serial: node.serial().map(Unsafe::from),
        cpu: report.and_then(|report| report.cpu.model.as_ref()).map(Unsafe::from),
        cores: report.and_then(|report| report.cpu.cores),
        disks: disks.iter().take(MAX_LISTED).map(disk).collect(),
        nics: nics.iter().take(MAX_LISTED).map(nic).collect(),
    }
}

fn disk(disk: &Disk) -> DiskFacts<'_> {
    DiskFacts {
        path: disk.path.as_ref().map(Unsafe::from),
        model: disk.model.as_ref().map(Unsafe::from),
        serial: disk.serial.as_ref().map(Unsafe::from),
        size_bytes: disk.size,
        boot: disk.boot,
    }
}

fn nic(nic: &Nic) -> NicFacts<'_> {
    NicFacts {
        name: nic.name.as_ref().map(Unsafe::from),
        mac: MacAddr::to_string(&nic.mac),
        address: nic.address.map(|net| net.to_string()),
        management: nic.management,
    }
}

/// Lines of `known_hosts` for these nodes: `<fqdn>,<ip>[,[<ip>]:<port>] <type> <base64>`, one for every key a node must
/// answer with (ANSIBLE.md §5). A key that was seen and not accepted is left out. For a run pass that run's nodes only:
/// a line of a node gone would vouch for whoever has its address now.
pub fn known_hosts<'a>(nodes: impl IntoIterator<Item = &'a Node>, port: u16) -> String {
    let mut lines = String::new();
    for node in nodes {
        for key in &node.host_keys {
            lines.push_str(node.name.as_str());
            // Writing to a string cannot fail.
            let _ = match node.address {
                None => Ok(()),
                Some(address) if port == SSH_PORT => write!(lines, ",{address}"),
                Some(address) => write!(lines, ",{address},[{address}]:{port}"),
            };
            let _ = writeln!(lines, " {key}");
        }
    }
    lines
}

#[cfg(test)]
mod tests;
