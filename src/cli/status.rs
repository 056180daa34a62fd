//! The engine at a glance: what it serves, what is wrong with it, how many nodes stand where.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::run::RunState;
use crate::domain::snapshot::Problem;
use crate::domain::{Run, Snapshot};

/// The engine as scripts see it. Fields are added, never changed.
#[derive(Debug, Serialize)]
struct Status<'a> {
    url: &'a str,
    fingerprint: Option<&'a str>,
    at: Timestamp,
    /// How many nodes are in each phase that any is in.
    nodes: BTreeMap<&'static str, usize>,
    unmatched_reports: usize,
    /// Machines whose request is open.
    held: usize,
    problems: &'a [Problem],
    /// The run that is going on, else the last.
    run: Option<RunRow>,
}

#[derive(Debug, Serialize)]
struct RunRow {
    id: String,
    /// `queued`, `running`, or how it ended.
    state: &'static str,
    nodes: usize,
}

impl RunRow {
    fn new(run: &Run) -> Self {
        let state = match &run.state {
            RunState::Queued { .. } => "queued",
            RunState::Running { .. } => "running",
            RunState::Ended { outcome, .. } => outcome.word(),
        };
        Self { id: run.id.to_string(), state, nodes: run.nodes.len() }
    }
}

/// Writes it for people, or as JSON.
pub(super) fn write(snapshot: &Snapshot, json: bool, out: &mut impl Write) -> io::Result<()> {
    let mut nodes = BTreeMap::new();
    for node in snapshot.fleet.nodes() {
        *nodes.entry(node.phase.word()).or_default() += 1;
    }
    let run = snapshot.fleet.active_run().or_else(|| snapshot.fleet.runs().next_back());
    let status = Status {
        url: &snapshot.service.url,
        fingerprint: snapshot.service.fingerprint.as_deref(),
        at: snapshot.at,
        nodes,
        unmatched_reports: snapshot.fleet.unmatched().count(),
        held: snapshot.holds.len(),
        problems: &snapshot.service.problems,
        run: run.map(|run| RunRow::new(run)),
    };
    if json {
        serde_json::to_writer_pretty(&mut *out, &status)?;
        return writeln!(out);
    }
    writeln!(out, "{:<12} {}/answer", "serving", status.url)?;
    if let Some(fingerprint) = status.fingerprint {
        writeln!(out, "{:<12} {fingerprint}", "certificate")?;
    }
    let counts: Vec<_> = status.nodes.iter().map(|(phase, count)| format!("{count} {phase}")).collect();
    writeln!(out, "{:<12} {}", "nodes", if counts.is_empty() { "none".to_owned() } else { counts.join(", ") })?;
    if status.unmatched_reports > 0 {
        writeln!(out, "{:<12} {}", "unmatched", status.unmatched_reports)?;
    }
    if let Some(run) = &status.run {
        writeln!(out, "{:<12} {} {}, {} nodes", "run", run.id, run.state, run.nodes)?;
    }
    for Problem { what, hint } in status.problems {
        writeln!(out, "{:<12} {what}{}{hint}", "problem", if hint.is_empty() { "" } else { "; " })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Fleet;
    use crate::domain::event_samples::events;
    use crate::domain::snapshot::Service;
    use std::sync::Arc;

    fn snapshot() -> Snapshot {
        let mut fleet = Fleet::default();
        for recorded in events() {
            fleet.apply(&recorded);
        }
        let problems = vec![Problem { what: "config.toml:3: bad".to_owned(), hint: "mend it".to_owned() }];
        let service = Service { url: "https://192.0.2.1:8443".to_owned(), problems, ..Service::default() };
        Snapshot {
            seq: 1,
            at: Timestamp::UNIX_EPOCH,
            fleet,
            holds: imbl::OrdMap::new(),
            undecided: imbl::OrdMap::new(),
            service: Arc::new(service),
        }
    }

    fn written(json: bool) -> String {
        let mut out = Vec::new();
        write(&snapshot(), json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn people_and_scripts_are_told_the_same() {
        let text = written(false);
        assert!(text.starts_with("serving      https://192.0.2.1:8443/answer\nnodes "), "{text}");
        assert!(text.ends_with("problem      config.toml:3: bad; mend it\n"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&written(true)).unwrap();
        assert_eq!(json["problems"][0]["what"], "config.toml:3: bad");
        assert_eq!(json["fingerprint"], serde_json::Value::Null);
        let total: u64 = json["nodes"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum();
        assert_eq!(total, snapshot().fleet.node_count() as u64);
        for (phase, count) in json["nodes"].as_object().unwrap() {
            assert!(text.contains(&format!("{count} {phase}")), "{text}");
        }
        assert!(text.contains(&format!("run          {}", json["run"]["id"].as_str().unwrap())), "{text}");
    }
}
