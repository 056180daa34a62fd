//! Moving about: in the table, a page, a list or a run.

use super::{runs, table};
use crate::tui::action::Tab;
use crate::tui::keymap::Scope;
use crate::tui::modal::Modal;
use crate::tui::model::Model;
use crate::tui::view;

/// Rows in a page of what is in front.
pub(super) fn page(model: &Model) -> isize {
    isize::try_from(view::page(model)).unwrap_or(1).max(1)
}

/// Moves whatever is in front by `by` rows.
pub(super) fn step(model: &mut Model, by: isize) {
    let overflow = view::page_overflow(model);
    match &mut model.modal {
        Some(Modal::Help { top, .. } | Modal::Problems { top } | Modal::Ghosts { top } | Modal::Big { top }) => {
            *top = moved(*top, by, overflow);
        }
        Some(Modal::Palette { marked, found, .. }) => *marked = moved(*marked, by, found.len().saturating_sub(1)),
        Some(Modal::Preview(look)) => look.top = moved(look.top, by, overflow),
        Some(Modal::Profile(form)) => form.step(by),
        Some(Modal::Ask(dialog)) => dialog.choose(by),
        Some(Modal::Filter(_)) => table::select(model, by),
        Some(Modal::Quit | Modal::Suspend | Modal::Find(_)) => {}
        None => step_in_tab(model, by),
    }
}

fn step_in_tab(model: &mut Model, by: isize) {
    match model.tab {
        Tab::Nodes => match model.nodes.detail {
            Some(top) => model.nodes.detail = Some(moved(top, by, view::detail_overflow(model))),
            None => table::select(model, by),
        },
        Tab::Ansible => runs::step(model, by),
        Tab::Setup => model.setup_top = moved(model.setup_top, by, view::setup_overflow(model)),
        Tab::Log => {}
    }
}

/// `from` moved by `by`, between 0 and `last`.
pub(super) fn moved(from: usize, by: isize, last: usize) -> usize {
    from.saturating_add_signed(by).min(last)
}

/// Goes to what stands beside what is shown: another node, task, way or run.
pub(super) fn neighbour(model: &mut Model, scope: Scope, forward: bool) {
    if scope == Scope::Detail {
        return table::select(model, if forward { 1 } else { -1 });
    }
    if matches!(scope, Scope::Grid | Scope::Result) {
        return model.runs.step_task(if forward { 1 } else { -1 });
    }
    if scope == Scope::Setup {
        let last = crate::tui::setup::COUNT - 1;
        model.topic = moved(model.topic, if forward { 1 } else { -1 }, last);
        model.setup_top = 0;
        return;
    }
    runs::neighbour(model, forward);
}
