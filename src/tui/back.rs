//! What Esc does next where no dialog is open. The one place that knows, so that no word about Esc is untrue.

use super::action::Tab;
use super::modal::Modal;
use super::model::Model;
use super::runs::Level;
use crate::domain::fleet::Gate;

/// A step back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A run that is about to start by itself is held, whatever is in front: the header says so.
    HoldRun,
    /// From a result to hosts and tasks.
    ToGrid,
    /// From there to the output.
    ToOutput,
    /// The output is searched no more.
    EndSearch,
    /// The detail is closed.
    CloseDetail,
    /// The filter is dropped.
    ShowAll,
    /// All marks are taken away.
    Unmark,
    /// The walk is stopped, after asking.
    StopWalk,
}

impl Step {
    /// The next one. `None` where there is nothing to go back from.
    pub(super) fn of(model: &Model) -> Option<Self> {
        if matches!(model.overview.gate, Gate::Counting { .. }) {
            return Some(Self::HoldRun);
        }
        let is_filtered = !model.listing.filter.text().is_empty();
        match (model.tab, model.runs.level) {
            (Tab::Ansible, Level::Result) => Some(Self::ToGrid),
            (Tab::Ansible, Level::Grid) => Some(Self::ToOutput),
            (Tab::Ansible, Level::Output) if model.pager.is_searched() => Some(Self::EndSearch),
            (Tab::Nodes, _) if model.nodes.detail.is_some() => Some(Self::CloseDetail),
            // An empty table says that Esc fills it.
            (Tab::Nodes, _) if is_filtered && model.listing.shown() == 0 => Some(Self::ShowAll),
            (Tab::Nodes, _) if !model.nodes.marks.is_empty() => Some(Self::Unmark),
            (Tab::Nodes, _) if is_filtered => Some(Self::ShowAll),
            // Esc is the log's own key.
            (Tab::Log, _) => None,
            _ => model.overview.walk.is_some().then_some(Self::StopWalk),
        }
    }
}

/// How to see all rows again: `Esc shows all 12 rows`.
pub(super) fn to_all_rows(model: &Model) -> String {
    let is_next = matches!(model.modal, Some(Modal::Filter(_))) || Step::of(model) == Some(Step::ShowAll);
    let keys = if is_next { "Esc" } else { "`/`, then Esc" };
    format!("{keys} shows all {} rows", model.overview.rows)
}
