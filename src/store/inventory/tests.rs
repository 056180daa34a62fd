//! The inventory's exact shape, and what machines may do to it.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::node::Reported;
use crate::domain::{Event, Fleet, NodeId, Phase};
use crate::store::fixtures::{HOSTILE, KEY, at, fleet, fqdn, released, reported, seen};

fn settings() -> ProjectionSettings {
    ProjectionSettings { ansible_user: "root".to_owned(), ssh_port: 22, private_key: None }
}

fn parsed(fleet: &Fleet, settings: &ProjectionSettings) -> Value {
    serde_json::from_slice(&inventory(fleet, 9, settings).unwrap()).unwrap()
}

/// One reported node, and one that only waits.
fn two() -> Fleet {
    let (one, two) = ("pve-1.example.com", "pve-2.example.com");
    fleet(vec![seen(1, one), seen(2, two), released(1, "text"), reported(1, b"{}")])
}

#[test]
fn the_shape_is_the_one_ansible_takes() {
    let literal = |text: &str| json!({ "__ansible_unsafe": text });
    let host = json!({
        "ansible_host": "192.0.2.1",
        "ansible_user": "root",
        "status": "installed",
        "was_configured": false,
        "node_id": "m1",
        "node_uuid": "f68d13f3-472b-4f1a-95a7-000000000001",
        "ssh_host_keys": [KEY],
        "hw": {
            "model": literal(HOSTILE),
            "serial": literal("SERIAL1"),
            "cpu": literal("Intel Xeon E5-2670"),
            "cores": 8,
            "disks": [{
                "path": literal("/dev/sda"), "model": literal(HOSTILE), "serial": literal("D1"),
                "size_bytes": 1_099_511_627_776_u64, "boot": true,
            }],
            "nics": [{
                "name": literal("eno1"), "mac": "b4:2e:99:ac:ad:b4", "address": "192.0.2.99/24", "management": true,
            }],
        },
    });
    let origin = json!({ "generated_by": MARK, "version": env!("CARGO_PKG_VERSION"), "sequence": 9 });
    let expected = json!({ "all": {
        "vars": { "ansible_python_interpreter": "/usr/bin/python3", "prox_orchestrator": origin },
        "children": {
            "pve": { "hosts": { "pve-1.example.com": host } },
            "pbs": { "hosts": {} }, "pmg": { "hosts": {} }, "pdm": { "hosts": {} },
        },
    }});
    assert_eq!(parsed(&two(), &settings()), expected);
}

#[test]
fn an_empty_fleet_still_has_every_group() {
    let groups = parsed(&Fleet::default(), &settings())["all"]["children"].clone();
    assert_eq!(
        groups,
        json!({ "pve": {"hosts": {}}, "pbs": {"hosts": {}}, "pmg": {"hosts": {}}, "pdm": {"hosts": {}} })
    );
}

#[test]
fn port_and_key_are_named_where_they_differ() {
    let key = PathBuf::from("/srv/rack/.prox-orchestrator/id_ed25519");
    let settings = ProjectionSettings { ssh_port: 2222, private_key: Some(key.clone()), ..settings() };
    let host = parsed(&two(), &settings)["all"]["children"]["pve"]["hosts"]["pve-1.example.com"].clone();
    assert_eq!((&host["ansible_port"], &host["ansible_ssh_private_key_file"]), (&json!(2222), &json!(key)));
}

#[test]
fn a_node_without_report_or_address_has_no_empty_address() {
    let marked = Event::MarkedInstalled { node: NodeId(1) };
    let fleet = fleet(vec![seen(1, "pve-1.example.com"), marked]);
    let host = parsed(&fleet, &settings())["all"]["children"]["pve"]["hosts"]["pve-1.example.com"].clone();
    assert_eq!((host.get("ansible_host"), &host["hw"]["disks"]), (None, &json!([])));
}

#[test]
fn known_hosts_names_every_way_to_the_node() {
    let fleet = two();
    let nodes = || fleet.nodes().map(AsRef::as_ref);
    assert_eq!(known_hosts(nodes(), 22), format!("pve-1.example.com,192.0.2.1 {KEY}\n"));
    assert_eq!(known_hosts(nodes(), 2222), format!("pve-1.example.com,192.0.2.1,[192.0.2.1]:2222 {KEY}\n"));
    let mut node = Node::clone(fleet.nodes().next().unwrap());
    node.address = Some("2001:db8::1".parse().unwrap());
    assert_eq!(known_hosts([&node], 22), format!("pve-1.example.com,2001:db8::1 {KEY}\n"));
    node.address = None;
    node.unproven = node.host_keys.first().cloned();
    assert_eq!(known_hosts([&node], 2222), format!("pve-1.example.com {KEY}\n"));
    node.host_keys.clear();
    assert_eq!(known_hosts([&node], 22), "");
}

#[test]
fn ten_thousand_nodes_are_one_inventory() {
    let name = |id: u64| format!("pve-{id}.example.com");
    let template = two().nodes().next().unwrap().report.clone();
    let nodes = (1..=10_000).map(|id| {
        let node = two().node(NodeId(2)).map(|node| Node::clone(node)).unwrap();
        let name = fqdn(&name(id));
        Arc::new(Node { id: NodeId(id), name, phase: Phase::Ready, report: template.clone(), ..node })
    });
    let nodes: serde_json::Map<_, _> =
        nodes.map(|node| (node.id.0.to_string(), serde_json::to_value(node).unwrap())).collect();
    let state =
        json!({ "nodes": nodes, "unmatched": {}, "runs": {}, "last_node": 10_000, "last_report": 0, "last_run": 0 });
    let fleet: Fleet = serde_json::from_value(state).unwrap();
    let begun = std::time::Instant::now();
    let bytes = inventory(&fleet, 1, &settings()).unwrap();
    println!("10,000 nodes: {} KiB in {:?}", bytes.len() / 1024, begun.elapsed());
    let hosts = serde_json::from_slice::<Value>(&bytes).unwrap()["all"]["children"]["pve"]["hosts"].clone();
    assert_eq!(hosts.as_object().unwrap().len(), 10_000);
}

#[test]
fn lists_are_bounded() {
    let mut fleet_events = vec![seen(1, "pve-1.example.com"), released(1, "text")];
    let Event::ReportAccepted { node, peer, document, mut report, proven } = reported(1, b"{}") else { unreachable!() };
    report.disks = vec![report.disks[0].clone(); 5000];
    report.nics = vec![report.nics[0].clone(); 5000];
    fleet_events.push(Event::ReportAccepted { node, peer, document, report, proven });
    let hw =
        parsed(&fleet(fleet_events), &settings())["all"]["children"]["pve"]["hosts"]["pve-1.example.com"]["hw"].clone();
    assert_eq!(hw["disks"].as_array().unwrap().len(), MAX_LISTED);
    assert_eq!(hw["nics"].as_array().unwrap().len(), MAX_LISTED);
}

/// Every string below that is not one of ours and not wrapped.
fn bare_strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| bare_strings(value, found)),
        Value::Object(map) => {
            if let Some(wrapped) = map.get("__ansible_unsafe") {
                assert!(map.len() == 1 && wrapped.is_string(), "a wrapper holds one string: {map:?}");
                return;
            }
            map.values().for_each(|value| bare_strings(value, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

proptest! {
    #[test]
    fn whatever_a_machine_says_is_wrapped(texts in proptest::array::uniform8(any::<String>()), wild in any::<bool>()) {
        // `#` is in nothing that we write ourselves.
        let said = texts.map(|text| Text::new(&format!("#{{{{ {text} }}}}")));
        let mut fleet_node = Node::clone(two().nodes().next().unwrap());
        let [model, serial, cpu, path, disk, disk_serial, nic, other] = said;
        let mut facts = crate::store::fixtures::report(1);
        facts.cpu.model = Some(cpu);
        (facts.disks[0].path, facts.disks[0].model, facts.disks[0].serial) = (Some(path), Some(disk), Some(disk_serial));
        facts.nics[0].name = Some(nic);
        (facts.kernel, facts.filesystem, facts.fqdn) = (Some(other.clone()), Some(other.clone()), Some(other.clone()));
        let dmi = &mut Arc::make_mut(&mut fleet_node.request.as_mut().unwrap().info).dmi;
        dmi.serial = Some(serial);
        if wild { dmi.board_name = Some(model); dmi.model = None } else { dmi.model = Some(model) }
        let (peer, document) = ("192.0.2.1".parse().unwrap(), crate::domain::DocumentHash::of(b""));
        fleet_node.report = Some(Reported { at: at(0), peer, document, report: facts });
        fleet_node.phase = Phase::Failed { reason: other };

        let host = serde_json::to_value(host(&fleet_node, &settings())).unwrap();
        let mut bare = Vec::new();
        bare_strings(&host, &mut bare);
        prop_assert!(bare.iter().all(|text| !text.contains('#') && !text.contains('{')), "{:?}", bare);
    }
}
