//! Moving in the node table and choosing what it shows.

use super::moving::moved;
use super::view;
use crate::tui::back::to_all_rows;
use crate::tui::listing::{Item, Sort};
use crate::tui::model::{Model, Row};
use crate::tui::offer::needs_decision;

/// Moves the selection by `by` lines.
pub(super) fn select(model: &mut Model, by: isize) {
    // Without a selection the first press only shows where the keys are going to act.
    let by = if model.nodes.selected.is_some() || by == isize::MAX || by == isize::MIN { by } else { 0 };
    let last = model.listing.items().len().saturating_sub(1);
    let target = moved(model.nodes.index, by, last);
    if let Some(index) = model.listing.nearest_row(target, by >= 0) {
        select_line(model, index);
    }
}

/// Selects the row at a line.
pub(in crate::tui) fn select_line(model: &mut Model, index: usize) {
    model.nodes.index = index;
    model.nodes.selected = model.listing.row(index);
    model.nodes.detail = model.nodes.detail.map(|_| 0);
    keep_in_view(model);
}

/// Whether the selected row is among those drawn.
pub(super) fn is_in_view(model: &Model) -> bool {
    let rows = view::table_rows(model).max(1);
    (model.nodes.top..model.nodes.top + rows).contains(&model.nodes.index)
}

/// Whether the selected row is on the screen: in the table, or as the detail in front of it.
pub(super) fn is_shown(model: &Model) -> bool {
    let is_in_front = model.nodes.detail.is_some() && !model.is_wide();
    model.nodes.selected.is_none() || is_in_front || is_in_view(model)
}

/// Scrolls the table so that the selected row is on the screen, and no more than needed.
pub(super) fn keep_in_view(model: &mut Model) {
    let rows = view::table_rows(model).max(1);
    let items = model.listing.items();
    let nodes = &mut model.nodes;
    let last_top = items.len().saturating_sub(rows);
    // A group's first row brings its heading along.
    let above = nodes.index.checked_sub(1).filter(|above| matches!(items.get(*above), Some(Item::Heading { .. })));
    let first = above.filter(|_| rows > 1).unwrap_or(nodes.index);
    nodes.top = nodes.top.min(first).max((nodes.index + 1).saturating_sub(rows)).min(last_top);
    keep_in_bounds(model);
}

/// Keeps every place of scrolling within what there is to scroll.
pub(super) fn keep_in_bounds(model: &mut Model) {
    let last_top = model.listing.items().len().saturating_sub(view::table_rows(model).max(1));
    model.nodes.top = model.nodes.top.min(last_top);
    if let Some(top) = model.nodes.detail {
        model.nodes.detail = Some(top.min(view::detail_overflow(model)));
    }
    model.setup_top = model.setup_top.min(view::setup_overflow(model));
}

/// Goes to the next machine that waits for a decision.
pub(super) fn next_waiting(model: &mut Model) {
    let lines = model.listing.items().len();
    let fleet = &model.snapshot.fleet;
    let waits = |index: &usize| match model.listing.row(*index % lines) {
        Some(Row::Node(id)) => fleet.node(id).is_some_and(|node| needs_decision(node)),
        Some(Row::Report(_)) | None => false,
    };
    let start = model.nodes.index + usize::from(model.nodes.selected.is_some());
    match (start..start + lines).find(waits).map(|index| index % lines) {
        Some(index) => select_line(model, index),
        None => model.warn(format!("machines wait, but the filter hides them; {}", to_all_rows(model))),
    }
}

/// Marks the selected node, or takes its mark away, and goes on to the next row.
pub(super) fn mark(model: &mut Model) {
    let Some(Row::Node(id)) = model.nodes.selected else { return };
    if !model.nodes.marks.remove(&id) {
        model.nodes.marks.insert(id);
    }
    if model.nodes.detail.is_none() {
        select(model, 1);
    }
}

/// Marks every node shown; where all are, takes all marks away.
pub(super) fn mark_all(model: &mut Model) {
    let all = model.listing.nodes().all(|id| model.nodes.marks.contains(&id));
    if all {
        model.nodes.marks.clear();
    } else {
        model.nodes.marks.extend(model.listing.nodes());
    }
}

/// Shows rows that match `text`.
pub(super) fn filter(model: &mut Model, text: &str) {
    if model.listing.filter.text() == text {
        return;
    }
    model.listing.filter.set(text);
    relist(model);
}

pub(super) fn sort(model: &mut Model) {
    model.listing.next_sort();
    relist(model);
    model.tell(format!("sorted by {}", model.listing.sort.words()));
}

/// Sorts by a column; by the same one again: the other way round.
pub(super) fn sort_by(model: &mut Model, sort: Sort) {
    if model.listing.sort == sort {
        return reverse(model);
    }
    (model.listing.sort, model.listing.is_reversed) = (sort, false);
    relist(model);
}

/// Moves what is shown and leaves the selection where it is; the next key brings it back into view.
pub(super) fn scroll(model: &mut Model, by: isize) {
    let last_top = model.listing.items().len().saturating_sub(view::table_rows(model).max(1));
    model.nodes.top = moved(model.nodes.top, by, last_top);
}

pub(super) fn reverse(model: &mut Model) {
    model.listing.is_reversed = !model.listing.is_reversed;
    relist(model);
}

pub(super) fn group(model: &mut Model) {
    model.listing.next_grouping();
    relist(model);
    match model.listing.grouping {
        Some(grouping) => model.tell(format!("grouped by {}", grouping.words())),
        None => model.tell("not grouped"),
    }
}

/// Works the lines out after the operator chose. A selection that is hidden moves to the first row: the operator has
/// just looked away from it.
fn relist(model: &mut Model) {
    model.list();
    if model.nodes.selected.is_none()
        && let Some(index) = model.listing.nearest_row(0, true)
    {
        model.nodes.index = index;
        model.nodes.selected = model.listing.row(index);
    }
    keep_in_view(model);
}
