//! From facts to state. Never fails: an event about a row that is gone changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::event::{Event, Recorded};
use crate::domain::facts::Report;
use crate::domain::fqdn::Fqdn;
use crate::domain::guard::Permission;
use crate::domain::id::{DocumentHash, NodeId, SecretHash};
use crate::domain::machine::MachineId;
use crate::domain::node::{Answers, Delivery, Flag, Node, ProfileChoice, Reported, Stamp};
use crate::domain::phase::Phase;
use crate::domain::text::Text;

use super::edit::is_another_matter;
use super::planned::{is_about_plan, set_address};
use super::runs::leave_behind;
use super::{Fleet, MAX_UNMATCHED, Unmatched};

impl Fleet {
    /// Folds a stored event in.
    pub fn apply(&mut self, recorded: &Recorded) {
        let at = recorded.at;
        self.learn_time(recorded);
        match &recorded.event {
            Event::MachineSeen { .. } | Event::Imported { .. } => self.apply_new_row(&recorded.event, at),
            Event::Planned { .. }
            | Event::PlanChanged { .. }
            | Event::PlanMatched { .. }
            | Event::PlanJoined { .. }
            | Event::Unplanned { .. }
            | Event::AddressAssigned { .. }
            | Event::NicChosen { .. } => self.apply_plan(&recorded.event, at),
            Event::ReportUnmatched { report, peer, document, facts } => {
                let (id, peer, document) = (*report, *peer, *document);
                self.state.last_report = self.state.last_report.max(id.0);
                self.state.unmatched.insert(id, Arc::new(Unmatched { id, at, peer, document, report: facts.clone() }));
                if self.state.unmatched.len() > MAX_UNMATCHED
                    && let Some(gone) = self.unmatched_to_go()
                {
                    self.state.unmatched.remove(&gone);
                }
            }
            Event::ReportSettled { report } => {
                self.state.unmatched.remove(report);
            }
            Event::Forgotten { node } | Event::GaveWay { node, .. } => {
                self.forget_row(*node, at);
            }
            Event::Merged { .. } | Event::Unmerged { .. } | Event::SplitOff { .. } => {
                self.apply_identity(&recorded.event, at);
            }
            Event::TicketIssued { .. }
            | Event::TicketClosed { .. }
            | Event::Banned { .. }
            | Event::BanLifted { .. } => self.apply_rule(&recorded.event, at),
            Event::RunQueued { .. } | Event::RunStarted { .. } | Event::RunStopping { .. } | Event::RunEnded { .. } => {
                self.apply_run(recorded);
            }
            Event::GateCounting { .. }
            | Event::GateStopped
            | Event::GateHeld
            | Event::GateReleased
            | Event::GateWaived { .. } => self.apply_gate(&recorded.event),
            Event::TokenMade { .. } | Event::TokenRevoked { .. } => self.apply_token(&recorded.event, at),
            Event::Walked { step } => self.apply_walk(step, at),
            Event::Swapped { node, other, found, other_found } => {
                self.apply_swap([*node, *other], [found.clone(), other_found.clone()]);
            }
            event => {
                if let Event::Admitted { admission, .. } = event {
                    self.spend(admission.by);
                }
                self.apply_gate(event);
                if let Some(id) = event.node() {
                    self.change(id, |node| apply_to_node(node, event, at));
                }
            }
        }
    }

    /// Changes one node and keeps the index in step.
    pub(super) fn change(&mut self, id: NodeId, change: impl FnOnce(&mut Node)) {
        let Some(shared) = self.state.nodes.get_mut(&id) else { return };
        let before = Arc::clone(shared);
        let node = Arc::make_mut(shared);
        change(node);
        node.revision += u64::from(is_another_matter(&before, node));
        let after = Arc::clone(shared);
        self.index.update(&before, &after);
        self.lower_floor(&before, Some(&after));
    }

    pub(super) fn add_row(&mut self, row: Node) {
        self.state.last_node = self.state.last_node.max(row.id.0);
        self.index.insert(&row);
        self.state.nodes.insert(row.id, Arc::new(row));
    }

    fn apply_new_row(&mut self, event: &Event, at: Timestamp) {
        let mut row = match event {
            Event::MachineSeen { node, name, machine, asked, flags } => Node {
                machine: machine.clone(),
                request: Some(asked.clone()),
                flags: flags.iter().cloned().collect(),
                ..empty_row(*node, name.clone(), at)
            },
            Event::Imported { node, name, .. } => Node { phase: Phase::Planned, ..empty_row(*node, name.clone(), at) },
            _ => return,
        };
        row.since = at;
        self.add_row(row);
    }
}

pub(crate) fn empty_row(id: NodeId, name: Fqdn, at: Timestamp) -> Node {
    Node {
        id,
        name,
        machine: MachineId::default(),
        plan: None,
        plan_match: None,
        phase: Phase::Waiting,
        since: at,
        first_seen: at,
        request: None,
        approved: None,
        admission: None,
        absorbed: Vec::new(),
        answers: None,
        report: None,
        host_keys: Vec::new(),
        unproven: None,
        address: None,
        assigned: None,
        nic: None,
        reinstall_allowed: false,
        gated: false,
        was_configured: false,
        was_ready: false,
        last_run: None,
        profile: None,
        counters: BTreeMap::new(),
        flags: std::collections::BTreeSet::new(),
        note: Text::default(),
        is_walked: false,
        revision: 0,
    }
}

pub(super) fn enter(node: &mut Node, phase: Phase, at: Timestamp) {
    if node.phase != phase {
        node.phase = phase;
        node.since = at;
    }
}

/// What another profile says of its network shows when its answer is made.
fn choose_profile(node: &mut Node, profile: Option<ProfileChoice>) {
    if node.profile != profile {
        node.profile = profile;
        node.unlearn_network();
    }
}

fn apply_to_node(node: &mut Node, event: &Event, at: Timestamp) {
    match event {
        Event::MachineAsked { machine, asked, flags, .. } => {
            node.machine.learn(machine);
            node.request = Some(asked.clone());
            node.flags.retain(|flag| !is_about_asking(flag));
            node.flags.extend(flags.iter().cloned());
        }
        Event::ApprovalVoided { .. }
        | Event::Approved { .. }
        | Event::Admitted { .. }
        | Event::Rejected { .. }
        | Event::Withdrawn { .. }
        | Event::ReinstallAllowed { .. } => apply_decision(node, event, at),
        Event::AnswerReleased { by, stamp, document, secret, address, vendor_unseen, profile, left_out, .. } => {
            let facts = (*document, *secret, *address);
            release(node, *by, stamp, facts, at);
            if let Some(answers) = &mut node.answers {
                answers.profile.clone_from(profile);
            }
            node.flags.extend(left_out.clone().map(|settings| Flag::LeftOut { settings }));
            if *vendor_unseen {
                node.flags.insert(Flag::VendorUnseen);
            }
        }
        Event::AnswerDelivered { document, secret, .. } => settle(node, (*document, *secret), Delivery::Delivered, at),
        Event::AnswerLost { document, secret, .. } => settle(node, (*document, *secret), Delivery::Lost, at),
        Event::RepeatsOver { .. } => node.answers.iter_mut().for_each(|answers| answers.repeats_over = true),
        Event::Flagged { flag, .. } => node.flags.extend([flag.clone()]),
        Event::ReportAccepted { peer, document, report, proven, .. } => {
            let reported = Reported { at, peer: *peer, document: *document, report: report.clone() };
            accept_report(node, reported, *proven, at);
        }
        Event::MarkedInstalled { .. } => {
            node.address = node.address.or_else(|| answered_address(node));
            node.flags.insert(Flag::Unproven);
            enter(node, Phase::Installed, at);
        }
        Event::Renamed { name, .. } => {
            node.name = name.clone();
            node.flags.retain(|flag| !matches!(flag, Flag::NotAsWished { .. } | Flag::NotTheNext { .. }));
        }
        Event::ProfileChosen { profile, .. } => choose_profile(node, profile.clone()),
        Event::CounterTaken { counter, value, .. } => drop(node.counters.insert(counter.clone(), *value)),
        Event::AddressSet { address, .. } => {
            // Whoever answers elsewhere is not meant by it any more.
            node.flags.remove(&Flag::WrongHostKey);
            set_address(node, *address);
        }
        Event::NoteSet { note, .. } => node.note.clone_from(note),
        Event::Stalled { reason, .. } => enter(node, Phase::Stalled { reason: reason.clone() }, at),
        Event::Booting { .. }
        | Event::Unflagged { .. }
        | Event::BecameReady { .. }
        | Event::BecameUnreachable { .. }
        | Event::HostKeySeen { .. }
        | Event::HostKeyTrusted { .. } => apply_sighting(node, event, at),
        Event::LeftBehind { reason, .. } => leave_behind(node, reason, at),
        // A retry answer or a refusal moves nobody.
        Event::RetryServed { .. } | Event::RefusalServed { .. } => {
            node.request.iter_mut().for_each(|asked| asked.is_told = true);
        }
        // Nor does a decision that was taken back; the rest is not about one existing row and is handled by `Fleet::apply`.
        Event::TakenBack { .. }
        | Event::MachineSeen { .. }
        | Event::Imported { .. }
        | Event::Planned { .. }
        | Event::PlanChanged { .. }
        | Event::PlanMatched { .. }
        | Event::PlanJoined { .. }
        | Event::Unplanned { .. }
        | Event::AddressAssigned { .. }
        | Event::Walked { .. }
        | Event::Swapped { .. }
        | Event::NicChosen { .. }
        | Event::Forgotten { .. }
        | Event::GaveWay { .. }
        | Event::TicketIssued { .. }
        | Event::TicketClosed { .. }
        | Event::Banned { .. }
        | Event::BanLifted { .. }
        | Event::Merged { .. }
        | Event::Unmerged { .. }
        | Event::SplitOff { .. }
        | Event::ReportUnmatched { .. }
        | Event::ReportSettled { .. }
        | Event::RunQueued { .. }
        | Event::RunStarted { .. }
        | Event::RunStopping { .. }
        | Event::RunEnded { .. }
        | Event::GateCounting { .. }
        | Event::GateStopped
        | Event::GateHeld
        | Event::GateReleased
        | Event::GateWaived { .. }
        | Event::TokenMade { .. }
        | Event::TokenRevoked { .. } => {}
    }
}

/// What was seen of a node at its address.
fn apply_sighting(node: &mut Node, event: &Event, at: Timestamp) {
    match event {
        Event::Booting { .. } => {
            node.was_ready |= node.phase == Phase::Ready;
            enter(node, Phase::Booting, at);
        }
        Event::Unflagged { flag, .. } => drop(node.flags.remove(flag)),
        Event::BecameReady { .. } => {
            node.flags.remove(&Flag::WrongHostKey);
            node.was_ready = true;
            enter(node, Phase::Ready, at);
        }
        // Another reason is no other time: it has been unreachable since the first one.
        Event::BecameUnreachable { reason, .. } if matches!(node.phase, Phase::Unreachable { .. }) => {
            node.phase = Phase::Unreachable { reason: reason.clone() };
        }
        Event::BecameUnreachable { reason, .. } => enter(node, Phase::Unreachable { reason: reason.clone() }, at),
        Event::HostKeySeen { key, .. } => {
            node.unproven = Some(key.clone());
            node.flags.insert(Flag::Unproven);
        }
        Event::HostKeyTrusted { key, .. } => {
            node.host_keys = vec![key.clone()];
            node.unproven = None;
            node.flags.remove(&Flag::Unproven);
        }
        _ => {}
    }
}

/// What somebody, or a rule, has decided about a row.
fn apply_decision(node: &mut Node, event: &Event, at: Timestamp) {
    node.flags.retain(|flag| !matches!(flag, Flag::CameToNothing { .. }));
    match event {
        Event::ApprovalVoided { .. } => {
            withdraw_permissions(node);
            node.flags.insert(Flag::ChangedSinceApproval);
            enter(node, Phase::Waiting, at);
        }
        Event::Approved { stamp, .. } => {
            withdraw_permissions(node);
            node.approved = Some(stamp.clone());
            node.flags.retain(|flag| !matches!(flag, Flag::ChangedSinceApproval | Flag::NotTheNext { .. }));
            take_identity(node);
            enter(node, Phase::Approved, at);
        }
        Event::Admitted { stamp, admission, .. } => {
            withdraw_permissions(node);
            node.approved = Some(stamp.clone());
            node.admission = Some(admission.clone());
            // The ticket's word is the operator's, given beforehand; one about this very row counts more.
            let named = admission.profile.clone().map(ProfileChoice::Named);
            let chosen = node.profile.clone().or(named);
            choose_profile(node, chosen);
            enter(node, Phase::Approved, at);
        }
        Event::Rejected { reason, .. } => {
            withdraw_permissions(node);
            enter(node, Phase::Rejected { reason: reason.clone() }, at);
        }
        Event::Withdrawn { .. } => {
            withdraw_permissions(node);
            if matches!(node.phase, Phase::Approved | Phase::Rejected { .. }) {
                enter(node, Phase::Waiting, at);
            }
        }
        Event::ReinstallAllowed { stamp, .. } => {
            node.approved = Some(stamp.clone());
            node.reinstall_allowed = true;
            take_identity(node);
        }
        _ => {}
    }
}

pub(super) fn withdraw_permissions(node: &mut Node) {
    node.approved = None;
    node.admission = None;
    node.reinstall_allowed = false;
}

/// Flags that describe the last request and are told anew by the next one.
fn is_about_asking(flag: &Flag) -> bool {
    matches!(
        flag,
        Flag::NoIdentity
            | Flag::UntrustedUuid
            | Flag::DuplicateOf { .. }
            | Flag::Ambiguous { .. }
            | Flag::LikeBanned { .. }
            | Flag::AsksAgain
            | Flag::TwoAddresses { .. }
            | Flag::UuidChanged { .. }
            | Flag::CannotAnswer { .. }
            | Flag::AddressTaken { .. }
            | Flag::LeaseReused { .. }
            | Flag::ChooseNic
            | Flag::PlanConflict { .. }
    )
}

/// From the commit of an answer on, the machine may be installing: also if the program dies before the write.
fn release(
    node: &mut Node,
    by: Permission,
    stamp: &Stamp,
    (document, secret, address): (DocumentHash, SecretHash, Option<ipnet::IpNet>),
    at: Timestamp,
) {
    let is_reinstall = by == Permission::Reinstall;
    let earlier = if is_reinstall { None } else { node.answers.take() };
    let mut secrets = earlier.as_ref().map(|answers| answers.secrets.clone()).unwrap_or_default();
    secrets.push(secret);
    node.answers = Some(Answers {
        first: earlier.as_ref().map_or(at, |answers| answers.first),
        last: at,
        count: earlier.as_ref().map_or(1, |answers| answers.count.saturating_add(1)),
        over_installed: is_reinstall || earlier.as_ref().is_some_and(|answers| answers.over_installed),
        repeats_over: earlier.is_some_and(|answers| answers.repeats_over),
        stamp: stamp.clone(),
        document,
        secrets,
        address,
        delivery: Delivery::Released,
        profile: None,
    });
    // A new installation: what the old one reported is history.
    node.reinstall_allowed &= !is_reinstall;
    node.report = None;
    node.host_keys.clear();
    node.unproven = None;
    node.address = address.map(|net| net.addr());
    node.gated = false;
    (node.was_configured, node.was_ready) = (false, false);
    // Until it has reported it may still carry what was installed before.
    node.flags.retain(|flag| {
        let is_over = matches!(flag, Flag::AsksAgain | Flag::CannotAnswer { .. } | Flag::ChooseNic);
        let stays = is_about_plan(flag) || matches!(flag, Flag::InstalledBefore { .. });
        (is_about_asking(flag) && !is_over) || stays
    });
    node.phase = Phase::Installing;
    node.since = at;
}

/// What became of an answer, where it is the last one: an earlier one says nothing any more. Events of earlier releases
/// know its text only, which is the same for each where it holds no secret.
fn settle(node: &mut Node, answer: (DocumentHash, Option<SecretHash>), delivery: Delivery, at: Timestamp) {
    let (document, secret) = answer;
    let is_it = |answers: &&mut Answers| {
        answers.document == document && secret.is_none_or(|secret| answers.secrets.last() == Some(&secret))
    };
    let Some(answers) = node.answers.as_mut().filter(is_it) else { return };
    answers.delivery = delivery;
    let is_awaiting_report = matches!(node.phase, Phase::Installing | Phase::Stalled { .. });
    // Only a first answer that was lost leaves the disks surely untouched.
    if answers.may_have_arrived() || !is_awaiting_report {
        return;
    }
    if answers.over_installed {
        // What was there before is there still, so nothing but a reinstall ever serves it; this one was not used.
        node.reinstall_allowed = node.approved.as_ref() == Some(&answers.stamp);
        let reason = "its answer was lost on the way: what it had on its disks is still there";
        enter(node, Phase::Stalled { reason: Text::new(reason) }, at);
    } else {
        enter(node, Phase::Approved, at);
    }
}

fn accept_report(node: &mut Node, reported: Reported, proven: bool, at: Timestamp) {
    let Report { host_keys, .. } = &reported.report;
    node.host_keys.clone_from(host_keys);
    node.machine.learn(&MachineId::of_report(&reported.report));
    node.address = node.address.or_else(|| answered_address(node)).or_else(|| reported.report.management_address());
    if node.host_keys.is_empty() {
        node.flags.insert(Flag::Unproven);
    }
    if !proven {
        node.flags.insert(Flag::UnprovenReport);
    }
    node.report = Some(reported);
    node.flags.retain(|flag| !matches!(flag, Flag::InstalledBefore { .. }));
    enter(node, Phase::Installed, at);
}

/// The operator took the machine for this node: what it shows now is what it is known by.
fn take_identity(node: &mut Node) {
    let shown = node.request.as_ref().map(|asked| MachineId::of_system(&asked.info));
    if let Some(uuid) = shown.and_then(|machine| machine.uuid) {
        node.machine.uuid = Some(uuid);
        node.flags.retain(|flag| !matches!(flag, Flag::UuidChanged { .. }));
    }
}

fn answered_address(node: &Node) -> Option<std::net::IpAddr> {
    node.answers.as_ref().and_then(|answers| answers.address).map(|net| net.addr())
}
