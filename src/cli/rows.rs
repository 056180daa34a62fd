//! Nodes on paper: a table for people, JSON for scripts.

use std::io::{self, Write};
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::fleet::clock::LegProgress;
use crate::domain::guard::ClaimCode;
use crate::domain::node::Flag;
use crate::domain::text::Text;
use crate::domain::{Node, NodeId, Phase, Snapshot, TokenName};

/// A node as scripts see it. Fields are added, never changed.
#[derive(Debug, Serialize)]
struct Row<'a> {
    id: String,
    name: &'a str,
    phase: &'static str,
    reason: Option<&'a str>,
    since: Timestamp,
    address: Option<IpAddr>,
    product: &'static str,
    model: Option<&'a str>,
    serial: Option<&'a str>,
    /// The token its last request showed.
    token: Option<&'a str>,
    uuid: Option<String>,
    macs: Vec<String>,
    /// Only while it waits.
    claim_code: Option<String>,
    /// Only while its request is open.
    held_until: Option<Timestamp>,
    /// How far it is with installing or booting, where its model is known.
    progress: Option<LegProgress>,
    /// What became of its last answer.
    answer: Option<&'static str>,
    flags: &'a std::collections::BTreeSet<Flag>,
    last_run: Option<String>,
    /// What the plan says, where it is planned.
    place: Option<String>,
    role: Option<&'a str>,
    profile: Option<&'a str>,
    planned_by: Option<Vec<&'static str>>,
    /// The operator's note.
    note: Option<&'a str>,
    /// Whether walk mode gave it its name.
    walked: bool,
}

/// Everything `nodes --json` prints.
#[derive(Debug, Serialize)]
struct Listing<'a> {
    nodes: Vec<Row<'a>>,
    unmatched_reports: Vec<ReportRow<'a>>,
}

/// An unmatched report as scripts see it.
#[derive(Debug, Serialize)]
struct ReportRow<'a> {
    id: String,
    at: Timestamp,
    peer: IpAddr,
    fqdn: Option<&'a str>,
}

fn row<'a>(snapshot: &Snapshot, node: &'a Node) -> Row<'a> {
    Row {
        id: node.id.to_string(),
        name: node.name.as_str(),
        phase: node.phase.word(),
        reason: node.phase.reason().map(Text::as_str),
        since: node.since,
        address: node.shown_address(),
        product: node.product().short(),
        model: node.model().map(Text::as_str),
        serial: node.serial().map(Text::as_str),
        token: node.request.as_ref().and_then(|asked| asked.token.as_ref()).map(TokenName::as_str),
        uuid: node.machine.uuid.map(|uuid| uuid.to_string()),
        macs: node.machine.macs.iter().map(ToString::to_string).collect(),
        claim_code: (node.phase == Phase::Waiting).then(|| ClaimCode::of(node.id).to_string()),
        held_until: held_until(snapshot, node.id),
        progress: snapshot.fleet.progress(node, snapshot.at.max(Timestamp::now())),
        answer: node.answer_fate(),
        flags: &node.flags,
        last_run: node.last_run.map(|run| run.to_string()),
        place: node.plan.as_ref().and_then(|entry| entry.place()),
        role: node.plan.as_ref().and_then(|entry| entry.role.as_ref()).map(Text::as_str),
        profile: node.plan.as_ref().and_then(|entry| entry.profile.as_ref()).map(crate::domain::ProfileName::as_str),
        planned_by: node.plan_match.as_ref().map(|found| found.by.iter().map(|key| key.word()).collect()),
        note: Some(node.note.as_str()).filter(|note| !note.is_empty()),
        walked: node.is_walked,
    }
}

fn held_until(snapshot: &Snapshot, node: NodeId) -> Option<Timestamp> {
    snapshot.holds.get(&node).map(|hold| hold.until)
}

/// Writes all nodes.
pub(super) fn write_nodes(snapshot: &Snapshot, json: bool, out: &mut impl Write) -> io::Result<()> {
    let rows: Vec<_> = snapshot.fleet.nodes().map(|node| row(snapshot, node)).collect();
    if json {
        let unmatched = snapshot.fleet.unmatched().map(|report| ReportRow {
            id: report.id.to_string(),
            at: report.at,
            peer: report.peer,
            fqdn: report.report.fqdn.as_ref().map(Text::as_str),
        });
        let listing = Listing { unmatched_reports: unmatched.collect(), nodes: rows };
        serde_json::to_writer_pretty(&mut *out, &listing)?;
        return writeln!(out);
    }
    if rows.is_empty() && snapshot.fleet.unmatched().next().is_none() {
        return writeln!(out, "No machine has asked yet. Boot one from a prepared ISO; see the console's Setup tab.");
    }
    writeln!(out, "{:<5} {:<12} {:<34} {:<16} {:<22} CODE", "ID", "PHASE", "NAME", "ADDRESS", "MODEL")?;
    for row in rows {
        let address = row.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        let code = row.claim_code.as_deref().unwrap_or("");
        let model = row.model.unwrap_or("-");
        let line = format!("{:<5} {:<12} {:<34} {address:<16} {model:<22} {code}", row.id, row.phase, row.name);
        writeln!(out, "{}", line.trim_end())?;
    }
    for report in snapshot.fleet.unmatched() {
        let fqdn = report.report.fqdn.as_ref().map_or("-", |fqdn| fqdn.as_str());
        writeln!(out, "{:<5} {:<12} {fqdn:<34} {}", report.id.to_string(), "unmatched", report.peer)?;
    }
    Ok(())
}

/// Writes everything known about one node.
pub(super) fn write_node(snapshot: &Snapshot, node: &Node, json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, node)?;
        return writeln!(out);
    }
    let row = row(snapshot, node);
    let mut line = |what: &str, value: &str| writeln!(out, "{what:<12} {value}");
    line("node", &format!("{} ({})", row.name, row.id))?;
    line("phase", row.phase)?;
    if let Some(reason) = row.reason.filter(|reason| !reason.is_empty()) {
        line("reason", reason)?;
    }
    line("since", &format!("{:.0}", row.since))?;
    if let Some(code) = &row.claim_code {
        line("claim code", code)?;
    }
    if let Some(until) = row.held_until {
        line("held until", &format!("{until:.0}"))?;
    }
    line("address", &row.address.map_or_else(|| "-".to_owned(), |address| address.to_string()))?;
    line("product", row.product)?;
    line("model", row.model.unwrap_or("-"))?;
    line("serial", row.serial.unwrap_or("-"))?;
    if let Some(token) = row.token {
        line("token", token)?;
    }
    line("uuid", row.uuid.as_deref().unwrap_or("-"))?;
    line("macs", if row.macs.is_empty() { "-".to_owned() } else { row.macs.join(" ") }.as_str())?;
    if let Some(answer) = row.answer {
        line("answer", answer)?;
    }
    for key in &node.host_keys {
        line("host key", &format!("{} {}", key.algorithm(), key.fingerprint()))?;
    }
    if let Some(key) = &node.unproven {
        line("unproven key", &format!("{} {}", key.algorithm(), key.fingerprint()))?;
    }
    if let Some(note) = row.note {
        line("note", note)?;
    }
    for flag in &node.flags {
        line("flag", &flag.to_string())?;
    }
    if let Some(run) = &row.last_run {
        line("last run", run)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::cli::fixture::{named, told};

    fn listed(snapshot: &Snapshot, json: bool) -> String {
        let mut out = Vec::new();
        write_nodes(snapshot, json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn shown(snapshot: &Snapshot, node: u64, json: bool) -> String {
        let mut out = Vec::new();
        write_node(snapshot, snapshot.fleet.node(NodeId(node)).unwrap(), json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_table_has_a_row_for_every_node_and_report() {
        insta::assert_snapshot!(listed(&told(25), false));
        assert!(listed(&told(3), false).lines().any(|line| line.starts_with("m1 ") && line.ends_with(" 9D3M")));
    }

    #[test]
    fn an_empty_table_says_what_to_do() {
        assert!(listed(&named(&[]), false).starts_with("No machine has asked yet."));
        let empty: serde_json::Value = serde_json::from_str(&listed(&named(&[]), true)).unwrap();
        assert_eq!(empty, serde_json::json!({ "nodes": [], "unmatched_reports": [] }));
    }

    /// Scripts read this: fields are added, never renamed or removed.
    #[test]
    fn the_listing_for_scripts_keeps_its_fields() {
        insta::assert_snapshot!(listed(&told(25), true));
    }

    #[rstest]
    #[case::waiting(1, 1)]
    #[case::reported(2, 26)]
    #[case::unconfirmed(2, 22)]
    #[case::a_key_to_trust(3, 33)]
    fn a_node_in_words(#[case] node: u64, #[case] events: usize) {
        let name = format!("node_{node}_after_{events}");
        insta::assert_snapshot!(name, shown(&told(events.max(2)), node, false));
    }

    #[test]
    fn a_node_for_scripts_is_what_the_engine_knows() {
        let snapshot = told(25);
        let value: Node = serde_json::from_str(&shown(&snapshot, 1, true)).unwrap();
        assert_eq!(value, **snapshot.fleet.node(NodeId(1)).unwrap());
    }
}
