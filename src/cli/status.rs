//! The engine at a glance: what it serves, what is wrong with it, how many nodes stand where.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::ghost::{Cause, Ghost};
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
    /// Whether a machine must show a token.
    token_required: bool,
    /// Who was turned away or never came to ask, the latest first.
    turned_away: Vec<GhostRow<'a>>,
    /// The run that is going on, else the last.
    run: Option<RunRow>,
}

/// An almost-arrival as scripts see it.
#[derive(Debug, Serialize)]
struct GhostRow<'a> {
    address: IpAddr,
    /// A word for scripts.
    cause: Cause,
    /// What it did, in words.
    what: String,
    /// What to do about it.
    cure: &'a str,
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

impl GhostRow<'_> {
    fn new(ghost: &Ghost) -> Self {
        let Ghost { peer, cause, count, first, last, .. } = *ghost;
        Self { address: peer, cause, what: ghost.words(), cure: cause.cure(), count, first, last }
    }
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

/// Almost-arrivals written for people.
const GHOSTS: usize = 10;

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
        token_required: snapshot.service.require_token,
        turned_away: snapshot.service.ghosts.iter().map(GhostRow::new).collect(),
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
    if status.token_required {
        writeln!(out, "{:<12} required of every machine", "token")?;
    }
    for ghost in status.turned_away.iter().take(GHOSTS) {
        let GhostRow { address, what, cure, count, .. } = ghost;
        writeln!(out, "{:<12} {address} {what} ({count}x, last {:.0}); {cure}", "turned away", ghost.last)?;
    }
    if let Some(more @ 1..) = status.turned_away.len().checked_sub(GHOSTS) {
        writeln!(out, "{:<12} and {more} more; --json lists them", "turned away")?;
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
        let first = Timestamp::UNIX_EPOCH;
        let ghost = |last| Ghost {
            peer: [192, 0, 2, last].into(),
            cause: Cause::TokenRefused,
            detail: "no such token".into(),
            first,
            last: first,
            count: 3,
        };
        let ghosts = (0..12).map(ghost).collect();
        let service = Service { url: "https://192.0.2.1:8443".to_owned(), problems, ghosts, ..Service::default() };
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
        assert_eq!(json["turned_away"].as_array().map(Vec::len), Some(12));
        assert_eq!(json["turned_away"][0]["cause"], "token_refused");
        assert!(
            text.contains(
                "turned away  192.0.2.0 shows a token that is not good: no such token (3x, last 1970-01-01T00:00:00Z); "
            ),
            "{text}"
        );
        assert!(text.contains("turned away  and 2 more; --json lists them\n"), "{text}");
        let total: u64 = json["nodes"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum();
        assert_eq!(total, snapshot().fleet.node_count() as u64);
        for (phase, count) in json["nodes"].as_object().unwrap() {
            assert!(text.contains(&format!("{count} {phase}")), "{text}");
        }
        assert!(text.contains(&format!("run          {}", json["run"]["id"].as_str().unwrap())), "{text}");
    }
}
