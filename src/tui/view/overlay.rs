//! Pages over the body: all keys, the list of actions, what is wrong.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear};

use super::ghosts;
use super::preview;
use crate::tui::keymap::{BINDINGS, Binding, Scope, mentions};
use crate::tui::modal::{Field, Modal};
use crate::tui::model::Model;
use crate::tui::offer::offer;
use crate::tui::{text, theme};

/// Columns for the keys.
const KEYS: usize = 16;

/// Draws the page that is open, if one is.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, open: &Modal) {
    let columns = usize::from(inside(area).width);
    match open {
        Modal::Help { top, search } => {
            let lines = keys(search.value(), columns);
            page(frame, area, " Keys ", Some(search), &lines, *top);
        }
        Modal::Palette { found, marked, search } => {
            let rows = usize::from(inside(area).height.saturating_sub(1));
            let first = (marked + 1).saturating_sub(rows);
            page(frame, area, " Actions ", Some(search), &actions(model, found, *marked, columns), first);
        }
        Modal::Problems { top } => page(frame, area, " What is wrong ", None, &problems(model, columns), *top),
        Modal::Ghosts { top } => {
            page(frame, area, " Turned away, or never came to ask ", None, &ghosts::lines(model, columns), *top);
        }
        Modal::Preview(look) => {
            let title = text::fit(&format!(" Answer for {} ", look.name), columns);
            page(frame, area, &title, None, &preview::lines(look, columns), look.top);
        }
        Modal::Big { .. }
        | Modal::Filter(_)
        | Modal::Find(_)
        | Modal::Quit
        | Modal::Suspend
        | Modal::Profile(_)
        | Modal::Ask(_) => {}
    }
}

/// How far the open page can be scrolled.
pub(super) fn overflow(area: Rect, model: &Model) -> usize {
    let inner = inside(area);
    let (lines, field) = match &model.modal {
        Some(Modal::Help { search, .. }) => (keys(search.value(), usize::from(inner.width)), 1),
        Some(Modal::Problems { .. }) => (problems(model, usize::from(inner.width)), 0),
        Some(Modal::Ghosts { .. }) => (ghosts::lines(model, usize::from(inner.width)), 0),
        Some(Modal::Preview(look)) => (preview::lines(look, usize::from(inner.width)), 0),
        _ => return 0,
    };
    lines.len().saturating_sub(usize::from(inner.height.saturating_sub(field)))
}

fn inside(area: Rect) -> Rect {
    Block::bordered().inner(area)
}

fn page(frame: &mut Frame<'_>, area: Rect, title: &str, search: Option<&Field>, lines: &[Line<'static>], top: usize) {
    let block = Block::bordered().title(Span::styled(title.to_owned(), theme::strong()));
    let mut inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    if let Some(field) = search {
        let row = Rect { height: 1.min(inner.height), ..inner };
        draw_field(frame, row, field);
        inner = Rect { y: inner.y + row.height, height: inner.height - row.height, ..inner };
    }
    let hidden = lines.len().saturating_sub(usize::from(inner.height));
    let top = top.min(hidden);
    for (row, line) in inner.rows().zip(lines.iter().skip(top)) {
        frame.render_widget(line.clone(), row);
    }
    super::more_below(frame, inner, hidden - top);
}

/// A field in a line of its own, with the cursor in it.
pub(super) fn draw_field(frame: &mut Frame<'_>, row: Rect, field: &Field) {
    let label = format!(" {}: ", field.label());
    let room = usize::from(row.width).saturating_sub(text::width(&label) + 1);
    let (shown, cursor) = field.window(room);
    let x = row.x + u16::try_from(text::width(&label) + cursor).unwrap_or_default();
    let spans = vec![Span::styled(label, theme::strong()), Span::styled(text::pad(&shown, room), theme::selected())];
    frame.render_widget(Line::from(spans), row);
    if row.height > 0 && x < row.right() {
        frame.set_cursor_position(Position { x, y: row.y });
    }
}

fn keys_of(binding: &Binding) -> String {
    let keys: Vec<_> = binding.keys.iter().map(ToString::to_string).collect();
    text::pad(&format!("  {}", keys.join(" ")), KEYS)
}

/// Every key whose words were typed, under the heading of its scope.
fn keys(search: &str, columns: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for scope in Scope::ALL {
        let found: Vec<_> =
            BINDINGS.iter().filter(|binding| binding.scope == scope && mentions(binding, search)).collect();
        if found.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(Line::styled(format!(" {}", scope.title()), theme::strong()));
        for binding in found {
            let keys = keys_of(binding);
            let room = columns.saturating_sub(KEYS + 1);
            for (index, help) in text::wrap(binding.help, room).into_iter().enumerate() {
                let left = if index == 0 { keys.clone() } else { " ".repeat(KEYS) };
                lines.push(Line::from(vec![Span::styled(left, theme::key()), Span::raw(format!(" {help}"))]));
            }
        }
    }
    if lines.is_empty() {
        lines.push(Line::styled(" No key is about that.", theme::muted()));
    }
    lines
}

/// The actions found, one a line, the marked one highlighted; what cannot be done now says why.
fn actions(model: &Model, found: &[&Binding], marked: usize, columns: usize) -> Vec<Line<'static>> {
    let line = |(index, binding): (usize, &&Binding)| {
        let possible = offer(model, binding.scope, binding.action);
        let place = binding.scope.tab().map(|tab| format!("{}: ", tab.name())).unwrap_or_default();
        let (words, style) = match possible {
            Ok(()) => (binding.help.to_owned(), Style::new()),
            Err(why) => (format!("{} ({why})", binding.help), theme::muted()),
        };
        let words = text::pad(&format!(" {place}{words}"), columns.saturating_sub(KEYS));
        let line = Line::from(vec![Span::styled(keys_of(binding), theme::key()), Span::styled(words, style)]);
        if index == marked { line.patch_style(theme::selected()) } else { line }
    };
    if found.is_empty() {
        return vec![Line::styled(" No action is about that.", theme::muted())];
    }
    found.iter().enumerate().map(line).collect()
}

/// Everything that is wrong, whole, each with its cure.
fn problems(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for problem in &model.snapshot.service.problems {
        let room = columns.saturating_sub(4);
        let what = text::wrap(&text::clean(&problem.what), room).into_iter().enumerate();
        lines.extend(what.map(|(index, line)| {
            Line::styled(format!(" {} {line}", if index == 0 { '!' } else { ' ' }), theme::bad())
        }));
        if !problem.hint.is_empty() {
            let cure = text::wrap(&text::clean(&format!("-> {}", problem.hint)), room);
            lines.extend(cure.into_iter().map(|line| Line::raw(format!("   {line}"))));
        }
        lines.push(Line::default());
    }
    if lines.is_empty() {
        lines.push(Line::styled(" Nothing is wrong any more.", theme::good()));
    }
    lines
}
