//! The engine without a terminal: one line per event, for people or as JSON lines.

use std::io::{self, Write};
use std::sync::Arc;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::domain::event::{Event, Recorded};
use crate::domain::{Fleet, NodeId, RunOutcome};

/// Writes every event until `shutdown`, oldest first. `names` knows the fleet before the first event.
///
/// # Errors
/// The system's reason where the output is gone.
pub async fn follow(
    mut events: broadcast::Receiver<Arc<Recorded>>,
    mut names: Fleet,
    json: bool,
    out: &mut (impl Write + Send),
    shutdown: CancellationToken,
) -> io::Result<()> {
    // A rack that powers on at once makes thousands of lines; they are written together.
    let mut out = io::BufWriter::new(out);
    loop {
        if events.is_empty() {
            out.flush()?;
        }
        let received = tokio::select! {
            () = shutdown.cancelled() => return out.flush(),
            received = events.recv() => received,
        };
        match received {
            Ok(recorded) => {
                names.apply(&recorded);
                if json {
                    serde_json::to_writer(&mut out, &*recorded)?;
                    writeln!(out)?;
                } else {
                    writeln!(out, "{}", line(&recorded, &names))?;
                }
            }
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                writeln!(out, "({missed} events were not shown here; all of them are stored)")?;
            }
            Err(broadcast::error::RecvError::Closed) => return out.flush(),
        }
    }
}

/// `08:15:42  pve-07aa.example.com  approved by anna`.
#[must_use]
pub fn line(recorded: &Recorded, fleet: &Fleet) -> String {
    let time = recorded.at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S");
    let subject = recorded.event.node().map(|id| name(fleet, id)).unwrap_or_default();
    let words = words(&recorded.event, fleet);
    let by = match &recorded.origin {
        crate::domain::Origin::Operator(operator) => format!(" (by {operator})"),
        crate::domain::Origin::Peer(peer) => format!(" (from {peer})"),
        crate::domain::Origin::System => String::new(),
    };
    if subject.is_empty() { format!("{time}  {words}{by}") } else { format!("{time}  {subject}  {words}{by}") }
}

fn name(fleet: &Fleet, id: NodeId) -> String {
    fleet.node(id).map_or_else(|| id.to_string(), |node| node.name.to_string())
}

/// What happened, in words.
#[must_use]
pub fn words(event: &Event, fleet: &Fleet) -> String {
    match event {
        Event::MachineSeen { node, .. } => {
            format!("waits for approval, code {}", crate::domain::guard::ClaimCode::of(*node))
        }
        Event::MachineAsked { .. } => "asks again".to_owned(),
        Event::ApprovalVoided { .. } => "asks differently than what was approved: approve it again".to_owned(),
        Event::Approved { .. } => "approved".to_owned(),
        Event::Rejected { reason, .. } => format!("rejected: {reason}"),
        Event::ReinstallAllowed { .. } => "may be installed once more".to_owned(),
        Event::AnswerReleased { .. } => "answer released".to_owned(),
        Event::AnswerDelivered { .. } => "answer delivered, installing".to_owned(),
        Event::AnswerLost { .. } => "answer lost: the connection broke first".to_owned(),
        Event::RetryServed { why, .. } => format!("sent to reboot and ask again: {why}"),
        Event::Flagged { flag, .. } => flag.to_string(),
        Event::ReportAccepted { report, .. } => {
            let filesystem = report.filesystem.as_ref().map_or("?", crate::domain::text::Text::as_str);
            format!("reports that it is installed ({filesystem})")
        }
        Event::ReportUnmatched { report, .. } => format!("report {report} belongs to no node: adopt or dismiss it"),
        Event::ReportSettled { report } => format!("report {report} settled"),
        Event::MarkedInstalled { .. } => "marked installed".to_owned(),
        Event::Renamed { name, .. } => format!("is named {name} now"),
        Event::AddressSet { address, .. } => format!("is reached at {address}"),
        Event::Stalled { reason, .. } => format!("stalled: {reason}"),
        Event::Booting { .. } => "is rebooting".to_owned(),
        Event::BecameReady { .. } => "ready: answers SSH with the expected host key".to_owned(),
        Event::BecameUnreachable { reason, .. } => format!("unreachable: {reason}"),
        Event::HostKeySeen { key, .. } => format!("shows the host key {}: compare and trust it", key.fingerprint()),
        Event::HostKeyTrusted { key, .. } => format!("host key {} trusted", key.fingerprint()),
        Event::Forgotten { node } => format!("{node} forgotten"),
        Event::Imported { status, .. } => format!("name taken over from the old inventory ({status})"),
        Event::RunQueued { run, nodes, by_gate } => {
            let why = if *by_gate { "every approved node is ready" } else { "ordered" };
            format!("run {run} on {} nodes: {why}", nodes.len())
        }
        Event::RunStarted { run } => format!("run {run}: Ansible started"),
        Event::RunStopping { run } => format!("run {run}: stopping"),
        Event::RunEnded { run, outcome, .. } => {
            let nodes = fleet.run(*run).map_or(0, |run| run.nodes.len());
            match outcome {
                RunOutcome::Succeeded => format!("run {run} succeeded on {nodes} nodes"),
                other => {
                    let reason = other.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
                    format!("run {run} {}{reason}", other.word())
                }
            }
        }
    }
}
