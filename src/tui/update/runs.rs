//! The pane of the runs: its output, its grid of hosts and tasks, and a result.

use super::moving::moved;
use crate::tui::modal::{Field, Modal};
use crate::tui::model::Model;
use crate::tui::pager::Place;
use crate::tui::runs::Level;
use crate::tui::view;

/// Moves what is in front by `by` lines, hosts or, to an end, tasks.
pub(super) fn step(model: &mut Model, by: isize) {
    match model.runs.level {
        Level::Output => scroll(model, by),
        Level::Grid => match by {
            isize::MIN | isize::MAX => model.runs.step_task(by),
            by => model.runs.step_host(by),
        },
        Level::Result => model.runs.top = moved(model.runs.top, by, view::result_overflow(model)),
    }
}

fn scroll(model: &mut Model, by: isize) {
    if model.pager.is_empty() {
        // Held before the first line, it would hold still when lines come.
        return;
    }
    let (columns, rows) = view::output_size(model);
    match by {
        isize::MIN => model.pager.go_to_oldest(),
        isize::MAX => model.pager.place = Place::Follow,
        by => model.pager.scroll(by, columns, rows),
    }
}

/// One level deeper: from the output to the grid, from there to a result.
pub(super) fn open(model: &mut Model) {
    model.runs.top = 0;
    model.runs.level = match model.runs.level {
        Level::Output => Level::Grid,
        Level::Grid | Level::Result => Level::Result,
    };
}

/// The run after or before the one shown.
pub(super) fn neighbour(model: &mut Model, forward: bool) {
    // Runs are listed newest first.
    let runs = &model.overview.runs;
    let here = runs.iter().position(|run| Some(*run) == model.pager.run()).unwrap_or_default();
    let there = moved(here, if forward { -1 } else { 1 }, runs.len().saturating_sub(1));
    let run = runs.get(there).copied();
    model.show_run(run);
}

/// Goes to the next failed task, or the one before.
pub(super) fn next_failure(model: &mut Model, forward: bool) {
    if !model.runs.step_failure(forward) {
        model.tell("no task has failed in this run");
    } else if model.runs.level == Level::Output {
        raw_output(model);
    }
}

/// Shows Ansible's output where it tells of the task on the host.
pub(super) fn raw_output(model: &mut Model) {
    let Some(task) = model.runs.task() else { return };
    let host = model.runs.grid().and_then(|grid| grid.hosts.get(model.runs.host)).map(|host| host.name.clone());
    let name = task.name.clone();
    let columns = model.runs.grid().map(|grid| grid.columns.as_slice()).unwrap_or_default();
    let later = columns.iter().filter(|column| column.name == name && column.earlier > task.earlier).count();
    let place = (task.earlier, u32::try_from(later).unwrap_or(u32::MAX));
    model.runs.level = Level::Output;
    if !model.pager.go_to(name.as_str(), place, host.as_ref().map_or("", |host| host.as_str())) {
        model.warn("the output of that task is not kept here; it is in the run's folder, output.log");
    }
}

/// Opens the line that searches the output, with what was searched for last.
pub(super) fn find(model: &mut Model) {
    model.runs.level = Level::Output;
    let field = Field::new("search", model.pager.searched());
    model.modal = Some(Modal::Find(field));
}

/// To the next line that was searched for, or the one before.
pub(super) fn next_find(model: &mut Model, forward: bool) {
    if !model.pager.step_find(forward) {
        model.warn(format!("`{}` is not in the output", model.pager.searched()));
    }
}

/// The output on the screen, or the whole result, as plain text.
pub(super) fn shown(model: &Model) -> String {
    let (columns, rows) = view::output_size(model);
    match model.runs.level {
        Level::Output => model.pager.shown(columns, rows),
        Level::Grid | Level::Result => view::result_text(model),
    }
}
