//! The engine without a terminal: one line per event, for people or as JSON lines.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::domain::event::{Event, Recorded};
use crate::domain::guard::{ClaimCode, Permission};
use crate::domain::plan;
use crate::domain::{Flag, Fleet, Fqdn, NodeId, Origin, ProfileChoice, RunId, RunOutcome, WalkStep};

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A line for people.
    Lines,
    /// The same where machines that wait are told besides, with what to do.
    BesideQuestions,
    /// A line of JSON.
    Json,
}

/// Writes every event until `shutdown`, oldest first. `fleet` is that before the first event.
///
/// # Errors
/// The system's reason where the output is gone.
pub async fn follow(
    mut events: broadcast::Receiver<Arc<Recorded>>,
    fleet: Fleet,
    form: Form,
    out: &mut (impl Write + Send),
    shutdown: CancellationToken,
) -> io::Result<()> {
    let mut narrator = Narrator::new(&fleet);
    drop(fleet);
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
            Ok(recorded) if form == Form::Json => {
                serde_json::to_writer(&mut out, &*recorded)?;
                writeln!(out)?;
            }
            Ok(recorded) => {
                let words = narrator.tell(&recorded);
                if form == Form::Lines || !matches!(recorded.event, Event::MachineSeen { .. }) {
                    let time = recorded.at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S");
                    writeln!(out, "{time}  {words}")?;
                }
            }
            // A script sees the gap in the sequence numbers.
            Err(broadcast::error::RecvError::Lagged(_)) if form == Form::Json => {}
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                writeln!(out, "({missed} events were not shown here; all of them are stored)")?;
            }
            Err(broadcast::error::RecvError::Closed) => return out.flush(),
        }
    }
}

/// Tells events in words. It remembers the names that nodes have, and no more of them: thousands wait at once.
#[derive(Debug)]
pub struct Narrator {
    names: BTreeMap<NodeId, Fqdn>,
    /// How many nodes are in a run that goes on.
    runs: BTreeMap<RunId, usize>,
}

impl Narrator {
    /// A narrator who knows `fleet` from before the first event.
    #[must_use]
    pub fn new(fleet: &Fleet) -> Self {
        let names = fleet.nodes().map(|node| (node.id, node.name.clone())).collect();
        let runs = fleet.active_run().map(|run| (run.id, run.nodes.len())).into_iter().collect();
        Self { names, runs }
    }

    /// The event in one line: `pve-07aa.example.com  approved (by anna)`.
    pub fn tell(&mut self, recorded: &Recorded) -> String {
        let event = &recorded.event;
        let name = |names: &BTreeMap<NodeId, Fqdn>| Some(names.get(&event.node()?)?.to_string());
        let before = name(&self.names);
        self.learn(event);
        // A renamed or forgotten row goes by its name from before; a new one has none yet.
        let subject = before.or_else(|| name(&self.names)).or_else(|| event.node().map(|id| id.to_string()));
        let by = match &recorded.origin {
            Origin::Operator(_) | Origin::Person(_) => format!(" (by {})", recorded.origin),
            Origin::Peer(peer) => format!(" (from {peer})"),
            Origin::System => String::new(),
        };
        let subject = subject.map(|name| format!("{name}  ")).unwrap_or_default();
        format!("{subject}{}{by}", words(event, recorded.at, &self.runs))
    }

    /// The same without the name of the node: for a page about this one.
    #[must_use]
    pub fn tell_of(&self, about: NodeId, recorded: &Recorded) -> String {
        let by = match &recorded.origin {
            Origin::System => String::new(),
            origin @ (Origin::Peer(_) | Origin::Operator(_) | Origin::Person(_)) => format!(" ({origin})"),
        };
        let words = match &recorded.event {
            Event::Swapped { node, other, .. } if *other == about => swapped(*node),
            event => words(event, recorded.at, &self.runs),
        };
        format!("{words}{by}")
    }

    fn learn(&mut self, event: &Event) {
        match event {
            Event::MachineSeen { node, name, .. }
            | Event::Imported { node, name, .. }
            | Event::Renamed { node, name }
            | Event::Unmerged { row: node, name, .. }
            | Event::SplitOff { row: node, name, .. }
            | Event::Walked { step: WalkStep::Returned { node, name, .. } } => {
                self.names.insert(*node, name.clone());
            }
            Event::Planned { node, entry } => {
                self.names.insert(*node, entry.hostname.clone());
            }
            Event::Swapped { node, other, .. } => {
                if let (Some(one), Some(two)) = (self.names.remove(node), self.names.remove(other)) {
                    self.names.extend([(*node, two), (*other, one)]);
                }
            }
            Event::Forgotten { node } | Event::GaveWay { node, .. } | Event::Banned { node, .. } => {
                self.names.remove(node);
            }
            Event::RunQueued { run, nodes, .. } => {
                // One runs at a time.
                self.runs = BTreeMap::from([(*run, nodes.len())]);
            }
            _ => {}
        }
    }
}

/// What happened, in words.
fn words(event: &Event, at: Timestamp, runs: &BTreeMap<RunId, usize>) -> String {
    match event {
        Event::MachineSeen { node, .. } => {
            format!("waits for approval, code {}", ClaimCode::of(*node))
        }
        Event::MachineAsked { .. } => "asks again".to_owned(),
        Event::ApprovalVoided { .. } => "asks differently than what was approved: approve it again".to_owned(),
        Event::Approved { .. } => "approved".to_owned(),
        Event::Admitted { admission, .. } => match &admission.profile {
            Some(profile) => format!("approved by {}, profile {profile}", admission.by),
            None => format!("approved by {}", admission.by),
        },
        Event::Merged { gone, .. } => format!("is the same machine as {gone}, which is part of it now"),
        Event::Unmerged { row, name, .. } => format!("is not the same machine as {row}: {name} is a row again"),
        Event::SplitOff { row, name, .. } => format!("asked last as another machine: {row} is {name}"),
        Event::Rejected { reason, .. } if reason.is_empty() => "rejected".to_owned(),
        Event::Rejected { reason, .. } => format!("rejected: {reason}"),
        Event::ReinstallAllowed { .. } => "may be installed once more".to_owned(),
        Event::AnswerReleased { by: Permission::Approval, .. } => "answer released".to_owned(),
        Event::AnswerReleased { by: Permission::Repeat, .. } => {
            "answer released again, soon after the first".to_owned()
        }
        Event::AnswerReleased { by: Permission::Reinstall, .. } => "answer released for a reinstall".to_owned(),
        Event::AnswerDelivered { .. } => "answer delivered, installing".to_owned(),
        Event::AnswerLost { .. } => "answer lost: the connection broke first".to_owned(),
        Event::RepeatsOver { .. } => "the time for repeats of its answer is over".to_owned(),
        Event::RetryServed { why, .. } => format!("sent to reboot and ask again: {why}"),
        Event::RefusalServed { why, .. } => format!("refused, its installer stops: {why}"),
        Event::TakenBack { verb, .. } => format!("{} taken back", verb.noun()),
        Event::Withdrawn { .. } => "decision taken back: it waits again".to_owned(),
        Event::Flagged { flag, .. } => flag.to_string(),
        Event::ReportAccepted { report, .. } => {
            let filesystem = report.filesystem.as_ref().map(|filesystem| format!(" on {filesystem}"));
            format!("reports that it is installed{}", filesystem.unwrap_or_default())
        }
        Event::ReportUnmatched { report, .. } => format!("report {report} belongs to no node: adopt or dismiss it"),
        Event::ReportSettled { report } => format!("report {report} settled"),
        Event::MarkedInstalled { .. } => "marked installed".to_owned(),
        Event::Renamed { name, .. } => format!("is named {name} now"),
        Event::ProfileChosen { profile: Some(ProfileChoice::Named(profile)), .. } => {
            format!("gets the profile {profile}")
        }
        Event::ProfileChosen { profile: Some(ProfileChoice::Without), .. } => "gets no profile".to_owned(),
        Event::ProfileChosen { profile: None, .. } => "gets the profile that fits it".to_owned(),
        Event::CounterTaken { counter, value, .. } => format!("has the number {value} of the counter {counter}"),
        Event::AddressSet { address, .. } => format!("is reached at {address}"),
        Event::Stalled { reason, .. } => format!("stalled: {reason}"),
        Event::Booting { .. } => "is rebooting".to_owned(),
        Event::BecameReady { .. } => "ready: answers SSH with the expected host key".to_owned(),
        Event::BecameUnreachable { reason, .. } => format!("unreachable: {reason}"),
        Event::Unflagged { flag: Flag::WrongHostKey, .. } => "shows no foreign host key any more".to_owned(),
        Event::Unflagged { .. } => "a flag of it is over".to_owned(),
        Event::LeftBehind { reason, .. } => format!("failed: {reason}"),
        Event::HostKeySeen { key, .. } => format!("shows the host key {}: compare and trust it", key.fingerprint()),
        Event::HostKeyTrusted { key, .. } => format!("host key {} trusted", key.fingerprint()),
        Event::GaveWay { rows, .. } => {
            format!("forgotten to make room: {rows} machines from its address wait undecided")
        }
        Event::Forgotten { .. } => "forgotten".to_owned(),
        Event::Imported { status, .. } => format!("name taken over from the old inventory ({status})"),
        Event::Planned { entry, .. } => match entry.place() {
            Some(place) => format!("is planned, in {place}"),
            None => "is planned".to_owned(),
        },
        Event::PlanChanged { entry, .. } => format!("the plan has changed: {}", entry.hostname),
        Event::PlanMatched { found, .. } => format!("fits the plan by {}", plan::words(&found.by)),
        Event::PlanJoined { entry, found, .. } if found.by.is_empty() => {
            format!("is made {} of the plan", entry.hostname)
        }
        Event::PlanJoined { entry, found, .. } => {
            format!("is {} of the plan by {}", entry.hostname, plan::words(&found.by))
        }
        Event::Unplanned { .. } => "is no longer in the plan".to_owned(),
        Event::AddressAssigned { address, .. } => format!("gets {address} from the pool"),
        Event::NicChosen { mac, .. } => format!("will use the NIC {mac}"),
        Event::Walked { step } => walked(step),
        Event::Swapped { other, .. } => swapped(*other),
        Event::NoteSet { note, .. } if note.is_empty() => "has no note any more".to_owned(),
        Event::NoteSet { note, .. } => format!("note: {note}"),
        Event::RunQueued { run, nodes, by_gate, options, reason } => {
            let only = if options.check { " (check only)" } else { "" };
            format!("run {run} on {}{only}: {}", count(nodes.len()), reason.words(*by_gate))
        }
        Event::TicketIssued { ticket } => format!("ticket {} issued for {ticket}", ticket.id),
        Event::TicketClosed { ticket, why } => format!("ticket {ticket} closed: {why}"),
        Event::Banned { ban, reason, .. } if reason.is_empty() => format!("banned ({ban})"),
        Event::Banned { ban, reason, .. } => format!("banned ({ban}): {reason}"),
        Event::BanLifted { ban } => format!("ban {ban} lifted"),
        Event::GateCounting { until, nodes } => counting(nodes.len(), until.duration_since(at)),
        Event::GateStopped => "the run does not start by itself yet".to_owned(),
        Event::GateHeld => "runs that start by themselves are held".to_owned(),
        Event::GateReleased => "runs may start by themselves again".to_owned(),
        Event::GateWaived { nodes, .. } => waived(nodes.len()),
        Event::TokenMade { name, expires: Some(end), .. } => format!("token `{name}` made; it ends {end:.0}"),
        Event::TokenMade { name, expires: None, .. } => format!("token `{name}` made; it ends when it is revoked"),
        Event::TokenRevoked { name } => format!("token `{name}` revoked"),
        Event::RunStarted { run } => format!("run {run}: Ansible started"),
        Event::RunStopping { run } => format!("run {run}: stopping"),
        Event::RunEnded { run, outcome, .. } => ended(*run, outcome, runs.get(run).copied().unwrap_or_default()),
    }
}

/// The end of a run on so many nodes, in words.
fn ended(run: RunId, outcome: &RunOutcome, nodes: usize) -> String {
    match outcome {
        RunOutcome::Succeeded => format!("run {run} succeeded on {}", count(nodes)),
        other => {
            let reason = other.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("run {run} {}{reason}", other.word())
        }
    }
}

/// A change of places, in words.
fn swapped(with: NodeId) -> String {
    format!("changes places with {with}: name, address, plan and profile")
}

fn counting(nodes: usize, left: SignedDuration) -> String {
    format!("a run on {} starts in {} s", count(nodes), left.as_secs().max(0))
}

fn waived(missing: usize) -> String {
    let are = if missing == 1 { "is" } else { "are" };
    format!("the next run does not wait for {} that {are} missing", count(missing))
}

fn count(nodes: usize) -> String {
    format!("{nodes} node{}", if nodes == 1 { "" } else { "s" })
}

/// A step of walk mode, in words.
fn walked(step: &WalkStep) -> String {
    match step {
        WalkStep::Begun { first: Some(first) } => format!("a walk begins: new machines are named from {first} on"),
        WalkStep::Begun { first: None } => "a walk begins: new machines take the plan's rows in rack order".to_owned(),
        WalkStep::Took { slot, .. } => format!("takes {slot}, the next slot of the walk"),
        WalkStep::Skipped { slot } => format!("the walk skips {slot}"),
        WalkStep::Back { slot } => format!("the walk is back at {slot}"),
        WalkStep::Returned { slot, name, .. } => format!("gives {slot} back to the walk and is {name} now"),
        WalkStep::Ended => "the walk ends".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event_samples::events;

    #[test]
    fn every_event_has_its_words() {
        let mut narrator = Narrator::new(&Fleet::default());
        let told: Vec<_> = events().iter().map(|recorded| narrator.tell(recorded)).collect();
        assert!(told.iter().all(|line| !line.contains('\n')), "one line each");
        insta::assert_snapshot!(told.join("\n"));
    }

    async fn followed(form: Form) -> String {
        let (sender, events_out) = broadcast::channel(2);
        // Two more than the channel holds.
        for recorded in events().into_iter().take(4) {
            sender.send(Arc::new(recorded)).unwrap();
        }
        drop(sender);
        let mut out = Vec::new();
        follow(events_out, Fleet::default(), form, &mut out, CancellationToken::new()).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn lines_have_a_time_and_what_was_missed_is_said() {
        let text = followed(Form::Lines).await;
        let [missed, first, second] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert_eq!(missed, "(2 events were not shown here; all of them are stored)");
        assert!(first.contains(":00:30  pve-0703.example.com  waits for approval, code "), "{first}");
        assert!(second.ends_with("  asks again (from 192.0.2.1)"), "{second}");
    }

    #[tokio::test]
    async fn who_begins_to_wait_is_told_once_where_questions_tell_it() {
        let (sender, events_out) = broadcast::channel(64);
        let seen = |recorded: &Recorded| matches!(recorded.event, Event::MachineSeen { .. });
        let told: Vec<_> = events().into_iter().take(20).collect();
        let count = told.iter().filter(|recorded| !seen(recorded)).count();
        assert!(count < told.len(), "the story has a machine that begins to wait");
        for recorded in told {
            sender.send(Arc::new(recorded)).unwrap();
        }
        drop(sender);
        let mut out = Vec::new();
        let shutdown = CancellationToken::new();
        follow(events_out, Fleet::default(), Form::BesideQuestions, &mut out, shutdown).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), count, "{text}");
        assert!(text.contains("pve-0701.example.com  asks again"), "its name is known all the same: {text}");
    }

    #[tokio::test]
    async fn json_lines_hold_the_events_and_nothing_else() {
        let text = followed(Form::Json).await;
        let found: Vec<Recorded> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(found, events()[2..4]);
    }

    #[tokio::test]
    async fn it_ends_when_it_is_told() {
        let (_sender, events) = broadcast::channel(1);
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        follow(events, Fleet::default(), Form::Lines, &mut Vec::new(), shutdown).await.unwrap();
    }
}
