//! Opens each question about what is selected.

use super::{
    Question, Verb, address, adopt, ban, bulk, edit, forget, gate, hostname, jump, mark, nic, reinstall, reject, run,
    same, standing, swap, trust, walk,
};
use crate::domain::fleet::{Fleet, Unmatched};
use crate::domain::{Node, Run};
use crate::tui::model::Model;

impl Question {
    /// Asks for another host name.
    pub(in crate::tui) fn rename(node: &Node) -> Self {
        Self::Hostname(hostname::Hostname::new(node))
    }

    /// Asks for a node's address: of its answer, later the one where Ansible reaches it.
    pub(in crate::tui) fn address(node: &Node) -> Self {
        Self::Address(address::Address::new(node))
    }

    /// Asks which NIC is to be configured. `None` where the machine lists none.
    pub(in crate::tui) fn nic(node: &Node) -> Option<Self> {
        nic::ChooseNic::new(node).map(Self::ChooseNic)
    }

    /// Asks whether, and why, to send a machine away.
    pub(in crate::tui) fn reject(node: &Node) -> Self {
        Self::Reject(reject::Reject::new(node))
    }

    /// Asks whether to drop a report.
    pub(in crate::tui) fn dismiss(report: &Unmatched) -> Self {
        Self::Dismiss(reject::Dismiss::new(report))
    }

    /// Asks for the name of a node that is to be wiped. `None` where it never asked.
    pub(in crate::tui) fn reinstall(node: &Node) -> Option<Self> {
        reinstall::Reinstall::new(node).map(Self::Reinstall)
    }

    /// Asks where to run the playbook.
    pub(in crate::tui) fn run(model: &Model) -> Self {
        Self::Run(run::RunNodes::new(model, false))
    }

    /// The same, with those that failed first.
    pub(in crate::tui) fn run_failed(model: &Model) -> Self {
        Self::Run(run::RunNodes::new(model, true))
    }

    /// Asks what is to become of a run that starts by itself.
    pub(in crate::tui) fn gate(model: &Model) -> Self {
        Self::Gate(gate::GateChoice::new(model))
    }

    /// Asks whether to stop a run.
    pub(in crate::tui) fn cancel(run: &Run) -> Self {
        Self::Cancel(run::CancelRun::new(run))
    }

    /// Asks whether a node is installed.
    pub(in crate::tui) fn mark(node: &Node) -> Self {
        Self::Mark(mark::Mark::new(node))
    }

    /// Asks whether the key shown is the node's. `None` where none is shown.
    pub(in crate::tui) fn trust(node: &Node) -> Option<Self> {
        trust::Trust::new(node).map(Self::Trust)
    }

    /// Asks whose a report is. `None` where no node could have sent it.
    pub(in crate::tui) fn adopt(report: &Unmatched, fleet: &Fleet) -> Option<Self> {
        adopt::Adopt::new(report, fleet).map(Self::Adopt)
    }

    /// Asks whether to drop a row.
    pub(in crate::tui) fn forget(node: &Node) -> Self {
        Self::Forget(forget::Forget::new(node))
    }

    /// Asks why to send a machine away for good.
    pub(in crate::tui) fn ban(node: &Node) -> Self {
        Self::Ban(ban::Ban::new(node))
    }

    /// Asks which row is the same machine, or whether the row is two.
    pub(in crate::tui) fn same(node: &Node, fleet: &Fleet) -> Self {
        Self::Same(same::Same::new(node, fleet))
    }

    /// Asks for whatever names a machine: code, label, name.
    pub(in crate::tui) fn jump() -> Self {
        Self::Jump(jump::Jump::new(""))
    }

    /// The same, with the beginning of a label that is being scanned.
    pub(in crate::tui) fn scanned(label: &str) -> Self {
        Self::Jump(jump::Jump::new(label))
    }

    /// Lists tickets and bans.
    pub(in crate::tui) fn standing(model: &Model) -> Self {
        Self::Standing(standing::Standing::new(model))
    }

    /// Asks whether to give an order to all marked nodes.
    pub(in crate::tui) fn bulk(verb: Verb, model: &Model) -> Self {
        Self::Bulk(bulk::Bulk::new(verb, model))
    }

    /// Asks what is to be different about a node.
    pub(in crate::tui) fn edit(node: &Node, model: &Model) -> Self {
        Self::Edit(edit::Edit::new(node, model))
    }

    /// Asks which profile a node, or every marked one, gets.
    pub(in crate::tui) fn profile(model: &Model) -> Self {
        Self::Bulk(bulk::Bulk::profile(model))
    }

    /// Asks how to walk, or what to do while a walk goes on.
    pub(in crate::tui) fn walk(model: &Model) -> Self {
        match &model.overview.walk {
            Some(view) => Self::WalkMenu(walk::WalkMenu::new(view)),
            None if model.overview.plan_waits => Self::WalkPlan(walk::WalkPlan::new(model)),
            None => Self::WalkNames(walk::WalkNames::new(model)),
        }
    }

    /// Asks whether to stop a walk.
    pub(in crate::tui) fn stop_walk() -> Self {
        Self::StopWalk(walk::StopWalk)
    }

    /// Asks which two nodes change places: the two that are marked, else the selected one and another.
    pub(in crate::tui) fn swap(model: &Model) -> Option<Self> {
        let marked: Vec<_> = model.marked().collect();
        Some(Self::Swap(match marked.as_slice() {
            [one, other] => swap::Swap::both(one, other),
            _ => swap::Swap::with_whom(model.node()?, model),
        }))
    }
}
