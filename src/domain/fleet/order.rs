//! The operator's orders.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;

use super::plan::fit_of;
use super::{Decision, Fleet};
use crate::domain::address::judge_host;
use crate::domain::command::{Order, Reply};
use crate::domain::effect::Effect;
use crate::domain::event::Event;
use crate::domain::fqdn::Fqdn;
use crate::domain::id::{NodeId, ReportId};
use crate::domain::mac::MacAddr;
use crate::domain::node::{Node, Stamp};
use crate::domain::options::{RunOptions, RunReason};
use crate::domain::phase::Phase;
use crate::domain::plan::PlanMatch;
use crate::domain::refusal::Refusal;
use crate::domain::ticket::Closing;

impl Fleet {
    pub(super) fn decide_order(&self, order: &Order, now: Timestamp) -> Result<Decision, Refusal> {
        match order {
            Order::Approve { node, seen } => self.decide_approve(self.existing(*node)?, seen),
            Order::Reject { node, reason } => {
                Self::decide_reject(self.existing(*node)?)?;
                Ok(Decision::one(Event::Rejected { node: *node, reason: reason.clone() }))
            }
            Order::AllowReinstall { node, seen, confirm } => {
                self.decide_reinstall(self.existing(*node)?, seen, confirm)
            }
            Order::Undo { node } => self.decide_undo(self.existing(*node)?),
            Order::Merge { node, into } => self.decide_merge(self.existing(*node)?, self.existing(*into)?),
            Order::Split { node, confirm } => self.decide_split(self.existing(*node)?, confirm.as_ref()),
            Order::IssueTicket { count, wants, profile, expires } => {
                self.decide_ticket((*count, wants, profile.as_ref()), *expires, now)
            }
            Order::CancelTicket { ticket } => self.decide_close(*ticket, Closing::Cancelled),
            Order::Ban { node, reason } => self.decide_ban(self.existing(*node)?, reason),
            Order::LiftBan { ban } => self.decide_unban(*ban),
            Order::Rename { node, name } => self.decide_rename(self.existing(*node)?, name),
            Order::ChooseProfile { node, profile } => {
                let node = self.existing(*node)?;
                Ok(if node.profile == *profile {
                    Decision::none(Reply::Done)
                } else {
                    Decision::one(Event::ProfileChosen { node: node.id, profile: profile.clone() })
                })
            }
            Order::SetAddress { node, address } => self.decide_address(self.existing(*node)?, *address),
            Order::ChooseNic { node, mac } => Self::decide_nic(self.existing(*node)?, *mac),
            Order::Adopt { report, node } => self.decide_adopt(*report, self.existing(*node)?),
            Order::MarkInstalled { node } => Self::decide_mark(self.existing(*node)?),
            Order::TrustHostKey { node, fingerprint } => Self::decide_trust(self.existing(*node)?, fingerprint),
            Order::Forget { node } => self.decide_forget(self.existing(*node)?),
            Order::DismissReport { report } => {
                self.state.unmatched.get(report).ok_or(Refusal::UnknownReport(*report))?;
                Ok(Decision::one(Event::ReportSettled { report: *report }))
            }
            Order::Run { nodes, options } => self.decide_run(nodes, options),
            Order::RunFailed { options } => self.decide_run_failed(options),
            Order::HoldGate { hold } => self.decide_hold(*hold),
            Order::GoWithout => self.decide_go(),
            Order::Cancel => self.decide_cancel(),
            Order::MakeToken { name, hash, expires, profile } => {
                self.decide_make_token(name, *hash, *expires, profile.as_ref())
            }
            Order::RevokeToken { name } => self.decide_revoke_token(name),
            Order::Walk { wish } => self.decide_walk(wish),
            Order::Swap { node, other } => Self::decide_swap(self.existing(*node)?, self.existing(*other)?),
            Order::Edit { node, changes } => self.decide_edit(self.existing(*node)?, changes, now),
            Order::SetNote { node, note } => Ok(Self::decide_note(self.existing(*node)?, note)),
            Order::IfSeen { .. } => self.decide_if_seen(order, now),
            Order::GoAsSeen { ready, missing } => self.decide_go_as_seen(ready, missing),
        }
    }

    fn decide_approve(&self, node: &Node, seen: &Stamp) -> Result<Decision, Refusal> {
        let name = || node.name.clone();
        let asked = node.request.as_ref().ok_or_else(|| Refusal::NeverAsked(name()))?;
        match node.phase {
            Phase::Waiting | Phase::Rejected { .. } => {}
            Phase::Approved => return Err(Refusal::AlreadyApproved(name())),
            Phase::Planned => return Err(Refusal::NeverAsked(name())),
            Phase::Installing
            | Phase::Stalled { .. }
            | Phase::Installed
            | Phase::Booting
            | Phase::Ready
            | Phase::Unreachable { .. }
            | Phase::Configuring
            | Phase::Configured
            | Phase::Failed { .. } => return Err(Refusal::NeedsReinstall(name())),
        }
        if node.may_be_installed() {
            return Err(Refusal::NeedsReinstall(name()));
        }
        if asked.stamp != *seen {
            return Err(Refusal::ChangedWhileYouLooked(name()));
        }
        let approved = Event::Approved { node: node.id, stamp: seen.clone() };
        self.with_address(node, approved)
    }

    fn decide_reject(node: &Node) -> Result<(), Refusal> {
        if node.phase.may_be_rejected() {
            return Ok(());
        }
        Err(Refusal::WrongPhase {
            name: node.name.clone(),
            phase: node.phase.word(),
            hint: "only a machine that asked and has no answer yet can be rejected",
        })
    }

    fn decide_reinstall(&self, node: &Node, seen: &Stamp, confirm: &Fqdn) -> Result<Decision, Refusal> {
        if *confirm != node.name {
            return Err(Refusal::NameMismatch(node.name.clone()));
        }
        if !node.may_be_installed() {
            return Err(Refusal::NothingToReinstall(node.name.clone()));
        }
        if node.phase == Phase::Configuring {
            return Err(Refusal::WrongPhase {
                name: node.name.clone(),
                phase: node.phase.word(),
                hint: "cancel the run first",
            });
        }
        let asked = node.request.as_ref().ok_or_else(|| Refusal::NeverAsked(node.name.clone()))?;
        if asked.stamp != *seen {
            return Err(Refusal::ChangedWhileYouLooked(node.name.clone()));
        }
        let allowed = Event::ReinstallAllowed { node: node.id, stamp: seen.clone() };
        self.with_address(node, allowed)
    }

    /// A decision to install a node, with the address it takes from the pool by that.
    fn with_address(&self, node: &Node, decided: Event) -> Result<Decision, Refusal> {
        let events = [decided].into_iter().chain(self.address_on_approval(node)?).collect();
        Ok(Decision { events, effects: Vec::new(), reply: Reply::Done })
    }

    /// What nobody has used can be taken back, and a merge; the coordinator takes back what is inside its undo window.
    fn decide_undo(&self, node: &Node) -> Result<Decision, Refusal> {
        let unused = node.phase == Phase::Approved && !node.may_be_installed();
        if unused || node.reinstall_allowed || matches!(node.phase, Phase::Rejected { .. }) {
            return Ok(Decision::one(Event::Withdrawn { node: node.id }));
        }
        if !node.absorbed.is_empty() {
            return self.decide_split(node, None);
        }
        Err(Refusal::NothingToUndo(node.name.clone()))
    }

    fn decide_rename(&self, node: &Node, name: &Fqdn) -> Result<Decision, Refusal> {
        if *name == node.name {
            return Ok(Decision::none(Reply::Done));
        }
        if !node.phase.is_before_answer() {
            return Err(Refusal::TooLateToRename(node.name.clone()));
        }
        if let Some(row) = self.unclaimed(name).filter(|_| node.plan.is_none() && node.request.is_some()) {
            return Ok(Self::join(node, row));
        }
        if let Some(by) = self.named(name) {
            return Err(Refusal::NameTaken { name: name.clone(), by: by.id });
        }
        Ok(Decision::one(Event::Renamed { node: node.id, name: name.clone() }))
    }

    /// The operator says which row of the plan a machine is, by giving it that row's name.
    fn join(node: &Node, row: &Node) -> Decision {
        let Some(entry) = row.plan.clone() else { return Decision::none(Reply::Done) };
        let against = fit_of(node, &entry).map(|found| found.against).unwrap_or_default();
        let found = PlanMatch { by: BTreeSet::new(), against };
        Decision::one(Event::PlanJoined { node: node.id, row: row.id, entry, found })
    }

    fn decide_nic(node: &Node, mac: MacAddr) -> Result<Decision, Refusal> {
        let asked = node.request.as_ref().ok_or_else(|| Refusal::NeverAsked(node.name.clone()))?;
        if !asked.info.links.iter().any(|link| link.mac == mac) {
            let has = asked.info.links.iter().map(|link| link.mac.to_string()).collect::<Vec<_>>().join(", ");
            let has = if has.is_empty() { "none".to_owned() } else { has };
            return Err(Refusal::NoSuchNic { name: node.name.clone(), mac, has });
        }
        Ok(Decision::one(Event::NicChosen { node: node.id, mac }))
    }

    fn decide_address(&self, node: &Node, address: IpAddr) -> Result<Decision, Refusal> {
        let address = address.to_canonical();
        let rules = &self.policy.addresses;
        let judged = if node.is_to_be_installed() {
            rules.judge_for(&node.own_network(), address, rules.mask)
        } else {
            judge_host(address)
        };
        judged.map_err(|why| Refusal::BadAddress { address, why })?;
        if let Some(owner) = self.owner_of(address, node.id) {
            return Err(Refusal::AddressTaken(owner.name.clone()));
        }
        Ok(Decision::one(Event::AddressSet { node: node.id, address }))
    }

    /// An adopted report counts as proven: the operator vouches for it.
    fn decide_adopt(&self, report: ReportId, node: &Node) -> Result<Decision, Refusal> {
        let unmatched = self.state.unmatched.get(&report).ok_or(Refusal::UnknownReport(report))?;
        if !node.phase.may_adopt() {
            return Err(Refusal::WrongPhase {
                name: node.name.clone(),
                phase: node.phase.word(),
                hint: "a report can be adopted by a node that is approved or installing",
            });
        }
        let accepted = Event::ReportAccepted {
            node: node.id,
            peer: unmatched.peer,
            document: unmatched.document,
            report: unmatched.report.clone(),
            proven: true,
        };
        let events = vec![accepted, Event::ReportSettled { report }];
        Ok(Decision { events, effects: Vec::new(), reply: Reply::Done })
    }

    fn decide_mark(node: &Node) -> Result<Decision, Refusal> {
        if node.phase.may_be_marked() {
            return Ok(Decision::one(Event::MarkedInstalled { node: node.id }));
        }
        Err(Refusal::WrongPhase {
            name: node.name.clone(),
            phase: node.phase.word(),
            hint: "only a node that was approved and has not reported can be marked installed",
        })
    }

    fn decide_trust(node: &Node, fingerprint: &str) -> Result<Decision, Refusal> {
        let key = node.unproven.as_ref().filter(|key| key.fingerprint() == fingerprint);
        let key = key.ok_or_else(|| Refusal::NoSuchHostKey(node.name.clone()))?;
        Ok(Decision::one(Event::HostKeyTrusted { node: node.id, key: key.clone() }))
    }

    fn decide_forget(&self, node: &Node) -> Result<Decision, Refusal> {
        match self.active_run() {
            Some(run) if run.nodes.contains_key(&node.id) => Err(Refusal::RunActive(run.id)),
            Some(_) | None if node.is_unclaimed() => Err(Refusal::InThePlan(node.name.clone())),
            // The plan goes on expecting the node.
            Some(_) | None => {
                let again = self.planned_again(node);
                let events = [Event::Forgotten { node: node.id }].into_iter().chain(again).collect();
                Ok(Decision { events, effects: Vec::new(), reply: Reply::Done })
            }
        }
    }

    /// The row in which the plan goes on expecting what `node` was, unless its name is another node's by now.
    pub(super) fn planned_again(&self, node: &Node) -> Option<Event> {
        let entry = node.plan.clone()?;
        let is_free = self.named(&entry.hostname).is_none_or(|owner| owner.id == node.id);
        is_free.then(|| Event::Planned { node: self.new_row(), entry })
    }

    fn decide_run(&self, selected: &[NodeId], options: &RunOptions) -> Result<Decision, Refusal> {
        options.judge()?;
        if let Some(run) = self.active_run() {
            return Err(Refusal::RunActive(run.id));
        }
        let mut nodes = BTreeMap::new();
        for id in selected {
            let node = self.existing(*id)?;
            if !node.may_run() {
                return Err(Refusal::NotReady { name: node.name.clone(), phase: node.phase.word() });
            }
            nodes.insert(node.id, node.name.clone());
        }
        if selected.is_empty() {
            let able = self.nodes().filter(|node| node.may_run());
            nodes.extend(able.map(|node| (node.id, node.name.clone())));
        }
        if nodes.is_empty() {
            return Err(Refusal::NothingReady);
        }
        Ok(self.queue_run(nodes, false, options.clone(), RunReason::Plain))
    }

    fn decide_run_failed(&self, options: &RunOptions) -> Result<Decision, Refusal> {
        options.judge()?;
        if let Some(run) = self.active_run() {
            return Err(Refusal::RunActive(run.id));
        }
        let is_failed = |node: &&std::sync::Arc<Node>| matches!(node.phase, Phase::Failed { .. }) && node.may_run();
        let nodes: BTreeMap<_, _> = self.nodes().filter(is_failed).map(|node| (node.id, node.name.clone())).collect();
        if nodes.is_empty() {
            return Err(Refusal::NothingFailed);
        }
        Ok(self.queue_run(nodes, false, options.clone(), RunReason::Failed))
    }

    fn decide_cancel(&self) -> Result<Decision, Refusal> {
        let run = self.active_run().ok_or(Refusal::NoRun)?;
        let events = if run.is_stopping() { Vec::new() } else { vec![Event::RunStopping { run: run.id }] };
        let effects = vec![Effect::StopRun(run.id)];
        Ok(Decision { events, effects, reply: Reply::Done })
    }
}
