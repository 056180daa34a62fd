//! The foot of every tab: news, else advice about the selected row; then the keys that make sense now.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

use super::{detail, overlay};
use crate::tui::action::{Action, Tab};
use crate::tui::back::Step;
use crate::tui::hints::HINTS;
use crate::tui::keymap::{BINDINGS, Binding, Scope};
use crate::tui::modal::Modal;
use crate::tui::model::Model;
use crate::tui::offer::{is_advised, offer};
use crate::tui::{text, theme};

/// Rows it takes.
pub(super) const HEIGHT: u16 = 2;

/// Rows that news may take, upwards over the body.
const NEWS: usize = 3;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let columns = usize::from(area.width);
    let [status, keys] = [0, 1].map(|row| Rect { y: area.y + row, height: 1, ..area });
    let is_typed = matches!(model.modal, Some(Modal::Filter(_) | Modal::Find(_)));
    if is_typed {
        typed_line(frame, status, model);
    }
    match news(model) {
        Some((lines, style)) => {
            let rows = u16::try_from(lines.len()).unwrap_or(1);
            let first = status.y.saturating_sub(rows - u16::from(!is_typed));
            for (y, line) in (first..).zip(lines) {
                let row = Rect { y, ..status };
                frame.render_widget(Clear, row);
                frame.render_widget(Line::styled(line, style), row);
            }
        }
        None if is_typed => {}
        None => frame.render_widget(Line::styled(text::fit(&advice(model), columns), theme::strong()), status),
    }
    frame.render_widget(key_line(model, columns), keys);
}

/// What has just happened, in as many lines as it takes.
fn news(model: &Model) -> Option<(Vec<String>, Style)> {
    let notice = model.notice.as_ref()?;
    let (mark, style) = if notice.is_bad { ("!", theme::bad()) } else { ("*", theme::good()) };
    let lines = text::wrap(&format!(" {mark} {}", notice.text), usize::from(model.size.width).saturating_sub(1));
    Some((clipped(lines, NEWS), style))
}

/// Rows for the hint: two where one is shown and the screen is not small.
pub(super) fn hint_height(model: &Model) -> u16 {
    let is_shown = model.hint.is_some() && model.tab == Tab::Nodes && model.size.height >= 24;
    if is_shown { 2 } else { 0 }
}

/// The hint, and the keys that turn the page or end it.
pub(super) fn draw_hint(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let Some(hint) = model.hint.and_then(|hint| HINTS.get(hint).map(|words| (hint + 1, words))) else { return };
    // Half a hint above long news is none.
    if news(model).is_some_and(|(lines, _)| lines.len() > 1) {
        return;
    }
    let words = format!(" hint {}/{}: {} (H next, X no more)", hint.0, HINTS.len(), hint.1);
    let lines = text::wrap(&words, usize::from(area.width).saturating_sub(1));
    for (row, line) in area.rows().zip(lines) {
        frame.render_widget(Line::styled(line, theme::busy()), row);
    }
}

fn clipped(mut lines: Vec<String>, most: usize) -> Vec<String> {
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            last.push(text::ELLIPSIS);
        }
    }
    lines
}

/// The filter or the search while it is typed, and how much it finds.
fn typed_line(frame: &mut Frame<'_>, row: Rect, model: &Model) {
    let (field, count) = match &model.modal {
        Some(Modal::Filter(field)) => (field, format!(" {} of {} rows ", model.listing.shown(), model.overview.rows)),
        Some(Modal::Find(field)) => (field, format!(" {} ", finds(model))),
        _ => return,
    };
    let wide = u16::try_from(text::width(&count)).unwrap_or(u16::MAX).min(row.width);
    overlay::draw_field(frame, Rect { width: row.width - wide, ..row }, field);
    frame.render_widget(Line::styled(count, theme::strong()), Rect { x: row.right() - wide, width: wide, ..row });
}

/// `3 of 17 lines`, `not found`.
pub(super) fn finds(model: &Model) -> String {
    match model.pager.finds() {
        _ if !model.pager.is_searched() => String::new(),
        (_, 0) => "not found".to_owned(),
        (Some(at), all) => format!("{at} of {}", text::count(all, "line")),
        (None, all) => text::count(all, "line"),
    }
}

/// What to do about the selected row, or about all marked ones.
fn advice(model: &Model) -> String {
    match model.tab {
        Tab::Nodes if !model.nodes.marks.is_empty() => marked(model),
        Tab::Nodes => detail::advice(model).map(|words| format!(" {words}")).unwrap_or_default(),
        Tab::Ansible | Tab::Log | Tab::Setup => String::new(),
    }
}

fn marked(model: &Model) -> String {
    let marks = &model.nodes.marks;
    let hidden = if model.listing.filter.is_on() {
        let shown = model.listing.nodes().filter(|id| marks.contains(id)).count();
        marks.len() - shown
    } else {
        0
    };
    let hidden = if hidden > 0 { format!(" ({hidden} hidden)") } else { String::new() };
    let swap = if marks.len() == 2 { " z" } else { "" };
    let back = if Step::of(model) == Some(Step::Unmark) { "; Esc unmarks" } else { "" };
    format!(" {} marked{hidden}: `a x u r f C{swap}` act on all, other keys on this row{back}.", marks.len())
}

/// A key as it is shown: where it begins, and its words.
struct Shown {
    binding: &'static Binding,
    x: usize,
    key: String,
    label: &'static str,
}

impl Shown {
    /// Columns it takes with the gap after it.
    fn wide(&self) -> usize {
        text::width(&self.key) + 1 + text::width(self.label) + 2
    }
}

/// Keys that would do something now, most useful first; help and leaving are always there.
fn shown_keys(model: &Model, columns: usize) -> Vec<Shown> {
    let mut offered = Vec::new();
    let scopes = model.scopes();
    for (index, scope) in scopes.iter().enumerate() {
        // A key of what is in front never does what it does behind it.
        let is_hidden = |binding: &Binding| {
            let mut nearer = BINDINGS.iter().filter(|other| scopes[..index].contains(&other.scope));
            nearer.any(|other| binding.keys.first().is_some_and(|key| other.keys.contains(key)))
        };
        let shown = BINDINGS.iter().filter(|binding| binding.scope == *scope && !binding.label.is_empty());
        let shown = shown.filter(|binding| !is_hidden(binding));
        let shown = shown.filter(|binding| offer(model, *scope, binding.action).is_ok());
        offered.extend(shown.filter(|binding| is_advised(model, binding.action)));
    }
    let show = |binding: &'static Binding| {
        let key = binding.keys.first().map(ToString::to_string).unwrap_or_default();
        let is_single = model.nodes.marks.is_empty() && binding.action == Action::Approve;
        let reinstalls = is_single && model.node().is_some_and(|node| node.may_be_installed());
        Shown { binding, x: 0, key, label: if reinstalls { "reinstall" } else { binding.label } }
    };
    let (fixed, free): (Vec<_>, Vec<_>) =
        offered.into_iter().map(show).partition(|shown| shown.binding.scope == Scope::Tabs);
    let mut left = columns.saturating_sub(1 + fixed.iter().map(Shown::wide).sum::<usize>());
    let mut kept: Vec<Shown> = Vec::new();
    for shown in free {
        if shown.wide() <= left {
            left -= shown.wide();
            kept.push(shown);
        }
    }
    kept.extend(fixed);
    let mut x = 1;
    for shown in &mut kept {
        shown.x = x;
        x += shown.wide();
    }
    kept
}

fn key_line(model: &Model, columns: usize) -> Line<'static> {
    let mut line = Line::raw(" ");
    for shown in shown_keys(model, columns) {
        line.push_span(Span::styled(shown.key, theme::key()));
        line.push_span(Span::styled(format!(" {}  ", shown.label), Style::new()));
    }
    line
}

/// The key whose button is at a place of the footer.
pub(super) fn key_at(area: Rect, model: &Model, x: u16, y: u16) -> Option<&'static Binding> {
    let x = usize::from(x.checked_sub(area.x)?);
    let at = |shown: &Shown| (shown.x..shown.x + shown.wide() - 2).contains(&x);
    let keys = shown_keys(model, usize::from(area.width));
    keys.into_iter().find(at).filter(|_| y + 1 == area.bottom()).map(|shown| shown.binding)
}
