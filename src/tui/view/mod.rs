//! Draws the model. Views read; they change nothing and ask nothing of the engine.
//!
//! ```text
//! header    what is served, what waits, what is wrong, tabs
//! body      the tab in front
//! footer    one line of news or advice, one line of keys
//! ```
//! [`areas`] is the one place that divides the screen, so that `update` knows how far things scroll.

mod big;
mod detail;
mod dialog;
mod flags;
mod footer;
mod ghosts;
mod grid;
#[cfg(test)]
mod grid_tests;
mod header;
mod logs;
mod nodes;
mod output;
mod overlay;
mod preview;
mod result;
#[cfg(test)]
mod screens;
mod setup;
#[cfg(test)]
mod tests;
mod too_small;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect, Size};
use ratatui::text::Line;
use ratatui::widgets::Clear;

use super::action::Tab;
use super::keymap::Binding;
use super::listing::Sort;
use super::modal::Modal;
use super::model::Model;
use super::runs::Level;
use super::{text, theme};
pub(super) use flags::word as flag_word;
pub(super) use setup::topic;

/// The smallest screen that shows a row without hiding what matters.
pub(super) const SMALLEST: Size = Size { width: 60, height: 16 };

/// The parts of the screen.
#[derive(Clone, Copy, Debug)]
struct Areas {
    header: Rect,
    body: Rect,
    hint: Rect,
    footer: Rect,
}

fn areas(model: &Model) -> Areas {
    let Size { width, height } = model.size;
    let header = header::height(model);
    let hint = footer::hint_height(model);
    let rows =
        [Constraint::Length(header), Constraint::Fill(1), Constraint::Length(hint), Constraint::Length(footer::HEIGHT)];
    let [header, body, hint, footer] = Layout::vertical(rows).areas(Rect { x: 0, y: 0, width, height });
    Areas { header, body, hint, footer }
}

/// Table and detail of the Nodes tab; either may be absent.
fn panes(model: &Model, body: Rect) -> (Option<Rect>, Option<Rect>) {
    if model.is_wide() {
        let detail = (body.width / 3).max(40);
        let [table, detail] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(detail)]).areas(body);
        (Some(table), Some(detail))
    } else if model.nodes.detail.is_some() {
        (None, Some(body))
    } else {
        (Some(body), None)
    }
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    if area.width < SMALLEST.width || area.height < SMALLEST.height {
        too_small::draw(frame, area);
    } else if let Some(Modal::Big { top }) = &model.modal {
        big::draw(frame, area, model, *top);
    } else {
        let areas = areas(model);
        header::draw(frame, areas.header, model);
        match model.tab {
            Tab::Nodes => {
                let (table, detail) = panes(model, areas.body);
                if let Some(table) = table {
                    nodes::draw(frame, table, model);
                }
                if let Some(detail) = detail {
                    detail::draw(frame, detail, model);
                }
            }
            Tab::Ansible => output::draw(frame, areas.body, model),
            Tab::Log => logs::draw(frame, areas.body, model),
            Tab::Setup => setup::draw(frame, areas.body, model),
        }
        footer::draw_hint(frame, areas.hint, model);
        footer::draw(frame, areas.footer, model);
        if let Some(open) = &model.modal {
            overlay::draw(frame, areas.body, model, open);
            dialog::draw(frame, areas.body, model, open);
        }
    }
    model.theme.finish(frame.buffer_mut());
}

/// Where `hidden` lines do not fit, gives the last row to saying so.
fn more_below(frame: &mut Frame<'_>, area: Rect, hidden: usize) {
    if hidden > 0 && area.height > 0 {
        let row = Rect { y: area.bottom() - 1, height: 1, ..area };
        let words = format!(" {} {} more ", text::ELLIPSIS, text::count(hidden + 1, "line"));
        frame.render_widget(Clear, row);
        frame.render_widget(Line::styled(words, theme::strong()).right_aligned(), row);
    }
}

/// What is at a place of the screen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spot {
    /// A tab's name.
    Tab(Tab),
    /// A line of the table.
    Line(usize),
    /// The title of a column.
    Sort(Sort),
    /// A key in the footer.
    Key(&'static Binding),
    /// The detail beside the table.
    Detail,
    /// The line that says what is wrong.
    Problems,
    /// Nothing that can be clicked.
    Nothing,
}

/// What is at column `x` of row `y`.
pub(super) fn spot(model: &Model, x: u16, y: u16) -> Spot {
    let areas = areas(model);
    let at = Position { x, y };
    if areas.header.contains(at) {
        return header::spot(areas.header, model, x, y);
    }
    if areas.footer.contains(at) {
        return footer::key_at(areas.footer, model, x, y).map_or(Spot::Nothing, Spot::Key);
    }
    if model.tab != Tab::Nodes {
        return Spot::Nothing;
    }
    match panes(model, areas.body) {
        (_, Some(detail)) if detail.contains(at) => Spot::Detail,
        (Some(table), _) if table.contains(at) && y == table.y => {
            nodes::sort_at(table, x, model).map_or(Spot::Nothing, Spot::Sort)
        }
        (Some(table), _) if table.contains(at) => nodes::line_at(table, y, model).map_or(Spot::Nothing, Spot::Line),
        _ => Spot::Nothing,
    }
}

/// The window's title: who waits comes first.
pub(super) fn title(model: &Model) -> String {
    match model.overview.undecided {
        0 => "prox-orchestrator".to_owned(),
        count => format!("({count} waiting) prox-orchestrator"),
    }
}

/// Rows of nodes the table shows.
pub(super) fn table_rows(model: &Model) -> usize {
    let (table, _) = panes(model, areas(model).body);
    table.map_or(1, |table| usize::from(nodes::rows_in(table)))
}

/// Columns and rows of the output pane.
pub(super) fn output_size(model: &Model) -> (usize, usize) {
    let pane = output::pane(areas(model).body, model);
    (usize::from(pane.width), usize::from(pane.height))
}

/// How far a result can be scrolled.
pub(super) fn result_overflow(model: &Model) -> usize {
    result::overflow(output::pane(areas(model).body, model), model)
}

/// A result as plain text.
pub(super) fn result_text(model: &Model) -> String {
    result::text(model)
}

/// How far a page key moves in what is in front.
pub(super) fn page(model: &Model) -> usize {
    let body = usize::from(areas(model).body.height);
    match model.tab {
        _ if model.modal.as_ref().is_some_and(|open| !matches!(open, Modal::Filter(_) | Modal::Find(_))) => {
            body.saturating_sub(3)
        }
        Tab::Nodes if model.nodes.detail.is_none() => table_rows(model).saturating_sub(1),
        Tab::Ansible if model.runs.level == Level::Grid => grid::rows(output::pane(areas(model).body, model)),
        Tab::Ansible => output_size(model).1.saturating_sub(1),
        Tab::Nodes | Tab::Log | Tab::Setup => body.saturating_sub(3),
    }
    .max(1)
}

/// How far the detail can be scrolled.
pub(super) fn detail_overflow(model: &Model) -> usize {
    let (_, detail) = panes(model, areas(model).body);
    detail.map_or(0, |area| detail::overflow(area, model))
}

/// How far the Setup tab can be scrolled.
pub(super) fn setup_overflow(model: &Model) -> usize {
    setup::overflow(areas(model).body, model)
}

/// How far the open page can be scrolled.
pub(super) fn page_overflow(model: &Model) -> usize {
    if matches!(model.modal, Some(Modal::Big { .. })) {
        let Size { width, height } = model.size;
        return big::overflow(Rect { x: 0, y: 0, width, height }, model);
    }
    overlay::overflow(areas(model).body, model)
}
