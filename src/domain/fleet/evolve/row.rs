//! What an event changes in one row.

use jiff::Timestamp;

use super::enter;
use crate::domain::command::Verb;
use crate::domain::facts::HostKey;
use crate::domain::fleet::planned::is_about_plan;
use crate::domain::fqdn::Fqdn;
use crate::domain::guard::Permission;
use crate::domain::id::{DocumentHash, SecretHash};
use crate::domain::machine::MachineId;
use crate::domain::node::{Answers, Asked, Delivery, Flag, Node, ProfileChoice, Reported, Stamp};
use crate::domain::phase::Phase;
use crate::domain::text::Text;
use crate::domain::ticket::Admission;

pub(super) fn ask(node: &mut Node, machine: &MachineId, asked: &Asked, flags: &[Flag]) {
    // Anybody can name what a node in use shows, and more besides: nobody has said yet that the rest is its own.
    if !node.may_be_installed() {
        node.machine.learn(machine);
    }
    node.request = Some(asked.clone());
    node.flags.retain(|flag| !is_about_asking(flag));
    node.flags.extend(flags.iter().cloned());
}

/// It was told something else than an answer.
pub(super) fn tell(node: &mut Node) {
    node.request.iter_mut().for_each(|asked| asked.is_told = true);
}

/// What another profile says of its network shows when its answer is made.
pub(super) fn choose_profile(node: &mut Node, profile: Option<ProfileChoice>) {
    if node.profile != profile {
        node.profile = profile;
        node.unlearn_network();
    }
}

/// A new decision: what became of the one before is no longer said.
fn decide(node: &mut Node) {
    node.flags.retain(|flag| !matches!(flag, Flag::CameToNothing { .. } | Flag::TakenBack));
}

pub(super) fn void_approval(node: &mut Node, at: Timestamp) {
    decide(node);
    withdraw_permissions(node);
    node.flags.insert(Flag::ChangedSinceApproval);
    enter(node, Phase::Waiting, at);
}

pub(super) fn approve(node: &mut Node, stamp: &Stamp, at: Timestamp) {
    decide(node);
    withdraw_permissions(node);
    node.approved = Some(stamp.clone());
    node.flags.retain(|flag| !matches!(flag, Flag::ChangedSinceApproval | Flag::NotTheNext { .. }));
    take_identity(node);
    enter(node, Phase::Approved, at);
}

pub(super) fn admit(node: &mut Node, stamp: &Stamp, admission: &Admission, at: Timestamp) {
    decide(node);
    withdraw_permissions(node);
    node.approved = Some(stamp.clone());
    node.admission = Some(admission.clone());
    take_identity(node);
    // The ticket's word is the operator's, given beforehand; one about this very row counts more.
    let named = admission.profile.clone().map(ProfileChoice::Named);
    let chosen = node.profile.clone().or(named);
    choose_profile(node, chosen);
    enter(node, Phase::Approved, at);
}

pub(super) fn reject(node: &mut Node, reason: &Text, at: Timestamp) {
    decide(node);
    withdraw_permissions(node);
    enter(node, Phase::Rejected { reason: reason.clone() }, at);
}

/// An approval was taken back inside its undo window: it moved nobody, and tells that a person had second thoughts.
pub(super) fn take_back(node: &mut Node, verb: Verb) {
    if verb == Verb::Approve && node.phase == Phase::Waiting {
        node.flags.insert(Flag::TakenBack);
    }
}

pub(super) fn withdraw(node: &mut Node, at: Timestamp) {
    decide(node);
    if node.phase == Phase::Approved {
        node.flags.insert(Flag::TakenBack);
    }
    withdraw_permissions(node);
    if matches!(node.phase, Phase::Approved | Phase::Rejected { .. }) {
        enter(node, Phase::Waiting, at);
    }
}

pub(super) fn allow_reinstall(node: &mut Node, stamp: &Stamp) {
    decide(node);
    node.approved = Some(stamp.clone());
    node.reinstall_allowed = true;
    take_identity(node);
}

pub(in crate::domain::fleet) fn withdraw_permissions(node: &mut Node) {
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
            | Flag::AskedAs { .. }
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
pub(super) fn release(
    node: &mut Node,
    by: Permission,
    stamp: &Stamp,
    (document, secret, address): (DocumentHash, SecretHash, Option<ipnet::IpNet>),
    profile: Option<&Text>,
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
        profile: profile.cloned(),
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

/// What an answer's own making says: a NIC vendor no report has shown, and settings its installer is too old for.
pub(super) fn note_answer(node: &mut Node, (vendor_unseen, left_out): (bool, Option<&Text>)) {
    node.flags.extend(left_out.cloned().map(|settings| Flag::LeftOut { settings }));
    node.flags.extend(vendor_unseen.then_some(Flag::VendorUnseen));
}

pub(super) fn end_repeats(node: &mut Node) {
    node.answers.iter_mut().for_each(|answers| answers.repeats_over = true);
}

/// What became of an answer, where it is the last one: an earlier one says nothing any more. Events of earlier releases
/// know its text only, which is the same for each where it holds no secret.
pub(super) fn settle(node: &mut Node, answer: (DocumentHash, Option<SecretHash>), delivery: Delivery, at: Timestamp) {
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

pub(super) fn accept_report(node: &mut Node, reported: Reported, proven: bool, at: Timestamp) {
    take_keys(node, &reported.report.host_keys);
    node.machine.learn(&MachineId::of_report(&reported.report));
    node.address = node.address.or_else(|| answered_address(node)).or_else(|| reported.report.management_address());
    if !proven {
        node.flags.insert(Flag::UnprovenReport);
    }
    node.report = Some(reported);
    node.flags.retain(|flag| !matches!(flag, Flag::InstalledBefore { .. }));
    be_installed(node, at);
}

/// The keys a report names, unless a person trusted one before it came: that one was compared with the screen.
fn take_keys(node: &mut Node, reported: &[HostKey]) {
    let earlier = node.report.as_ref().map(|reported| &reported.report.host_keys);
    let is_trusted = !node.host_keys.is_empty() && earlier != Some(&node.host_keys);
    match reported.first() {
        Some(first) if is_trusted => {
            if !node.host_keys.iter().any(|key| reported.contains(key)) {
                // Whoever finds that it was the wrong one can trust this.
                node.unproven = Some(first.clone());
                node.flags.insert(Flag::ReportedOtherKey);
            }
        }
        Some(_) => {
            node.host_keys = reported.to_vec();
            node.unproven = None;
            node.flags.remove(&Flag::Unproven);
        }
        None if is_trusted => {}
        None => {
            node.host_keys.clear();
            node.flags.insert(Flag::Unproven);
        }
    }
}

pub(super) fn mark_installed(node: &mut Node, at: Timestamp) {
    node.address = node.address.or_else(|| answered_address(node));
    node.flags.insert(Flag::Unproven);
    be_installed(node, at);
}

/// It is installed, by its own word or the operator's: what was allowed before is over. One that was marked and is
/// further along stays there when its report comes late.
fn be_installed(node: &mut Node, at: Timestamp) {
    node.approved = None;
    node.reinstall_allowed = false;
    match node.phase {
        Phase::Ready | Phase::Configuring | Phase::Configured | Phase::Failed { .. } => {}
        Phase::Planned
        | Phase::Waiting
        | Phase::Rejected { .. }
        | Phase::Approved
        | Phase::Installing
        | Phase::Stalled { .. }
        | Phase::Installed
        | Phase::Booting
        | Phase::Unreachable { .. } => enter(node, Phase::Installed, at),
    }
}

pub(super) fn rename(node: &mut Node, name: &Fqdn) {
    node.name = name.clone();
    node.flags.retain(|flag| !matches!(flag, Flag::NotAsWished { .. } | Flag::NotTheNext { .. }));
}

pub(super) fn unflag(node: &mut Node, flag: &Flag) {
    node.flags.remove(flag);
}

pub(super) fn take_counter(node: &mut Node, counter: &Text, value: u64) {
    node.counters.insert(counter.clone(), value);
}

pub(super) fn boot(node: &mut Node, at: Timestamp) {
    node.was_ready |= node.phase == Phase::Ready;
    enter(node, Phase::Booting, at);
}

pub(super) fn become_ready(node: &mut Node, at: Timestamp) {
    node.flags.remove(&Flag::WrongHostKey);
    node.was_ready = true;
    enter(node, Phase::Ready, at);
}

pub(super) fn become_unreachable(node: &mut Node, reason: &Text, at: Timestamp) {
    let phase = Phase::Unreachable { reason: reason.clone() };
    if matches!(node.phase, Phase::Unreachable { .. }) {
        // Another reason is no other time: it has been unreachable since the first one.
        node.phase = phase;
    } else {
        enter(node, phase, at);
    }
}

pub(super) fn see_key(node: &mut Node, key: &HostKey) {
    node.unproven = Some(key.clone());
    node.flags.insert(Flag::Unproven);
}

pub(super) fn trust_key(node: &mut Node, key: &HostKey) {
    node.host_keys = vec![key.clone()];
    node.unproven = None;
    node.flags.retain(|flag| !matches!(flag, Flag::Unproven | Flag::ReportedOtherKey));
}

/// The machine was taken for this node: what it shows now is what it is known by.
fn take_identity(node: &mut Node) {
    let Some(shown) = node.request.as_ref().map(|asked| MachineId::of_system(&asked.info)) else { return };
    let (is_new, is_one) = (!node.may_be_installed(), node.absorbed.is_empty());
    if is_new && is_one && !shown.macs.is_empty() {
        // Others may have asked in its name while it waited: what only they showed is not its own.
        node.machine.macs.clear();
    }
    if shown.uuid.is_some() {
        node.flags.retain(|flag| !matches!(flag, Flag::UuidChanged { .. }));
    }
    node.machine.take(&shown);
}

fn answered_address(node: &Node) -> Option<std::net::IpAddr> {
    node.answers.as_ref().and_then(|answers| answers.address).map(|net| net.addr())
}
