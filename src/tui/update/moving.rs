//! Moving about: in the table, a page, a list or a run.

use super::{palette, table};
use crate::tui::action::Tab;
use crate::tui::keymap::Scope;
use crate::tui::modal::Modal;
use crate::tui::model::Model;
use crate::tui::runs::Level;
use crate::tui::view;

/// Rows in a page of what is in front.
pub(super) fn page(model: &Model) -> isize {
    isize::try_from(view::page(model)).unwrap_or(1).max(1)
}

/// Moves whatever is in front by `by` rows.
pub(super) fn step(model: &mut Model, by: isize) {
    let overflow = view::page_overflow(model);
    let found = palette(model).len();
    match &mut model.modal {
        Some(Modal::Help { top, .. } | Modal::Problems { top } | Modal::Ghosts { top }) => {
            *top = moved(*top, by, overflow);
        }
        Some(Modal::Palette { marked, .. }) => *marked = moved(*marked, by, found.saturating_sub(1)),
        Some(Modal::Ask(dialog)) => dialog.choose(by),
        Some(Modal::Filter(_)) => table::select(model, by),
        Some(Modal::Quit | Modal::Suspend) => {}
        None => step_in_tab(model, by),
    }
}

fn step_in_tab(model: &mut Model, by: isize) {
    match model.tab {
        Tab::Nodes => match model.nodes.detail {
            Some(top) => model.nodes.detail = Some(moved(top, by, view::detail_overflow(model))),
            None => table::select(model, by),
        },
        Tab::Ansible => match model.runs.level {
            Level::Output => scroll_output(model, by),
            Level::Grid => match by {
                isize::MIN | isize::MAX => model.runs.step_task(by),
                by => model.runs.step_host(by),
            },
            Level::Result => model.runs.top = moved(model.runs.top, by, view::result_overflow(model)),
        },
        Tab::Setup => model.setup_top = moved(model.setup_top, by, view::setup_overflow(model)),
        Tab::Log => {}
    }
}

/// `from` moved by `by`, between 0 and `last`.
pub(super) fn moved(from: usize, by: isize, last: usize) -> usize {
    from.saturating_add_signed(by).min(last)
}

fn scroll_output(model: &mut Model, by: isize) {
    let (columns, rows) = view::output_size(model);
    match by {
        isize::MIN => model.pager.go_to_oldest(),
        isize::MAX => model.pager.place = crate::tui::pager::Place::Follow,
        by => model.pager.scroll(by, columns, rows),
    }
}

/// Goes to what stands beside what is shown: another node, task, way or run.
pub(super) fn neighbour(model: &mut Model, scope: Scope, forward: bool) {
    if scope == Scope::Detail {
        return table::select(model, if forward { 1 } else { -1 });
    }
    if scope == Scope::Grid {
        return model.runs.step_task(if forward { 1 } else { -1 });
    }
    if scope == Scope::Setup {
        let last = crate::tui::setup::COUNT - 1;
        model.topic = moved(model.topic, if forward { 1 } else { -1 }, last);
        model.setup_top = 0;
        return;
    }
    // Runs are listed newest first.
    let runs = &model.overview.runs;
    let here = runs.iter().position(|run| Some(*run) == model.pager.run()).unwrap_or_default();
    let there = moved(here, if forward { -1 } else { 1 }, runs.len().saturating_sub(1));
    let run = runs.get(there).copied();
    model.show_run(run);
}
