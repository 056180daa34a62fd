//! The foot of every tab: news, else advice about the selected row; then the keys that make sense now.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

use super::detail;
use crate::tui::action::{Action, Tab};
use crate::tui::keymap::BINDINGS;
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
    match &model.notice {
        Some(notice) => {
            let (mark, style) = if notice.is_bad { ("!", theme::bad()) } else { ("*", theme::good()) };
            let lines = text::wrap(&format!(" {mark} {}", notice.text), columns.saturating_sub(1));
            let lines = clipped(lines, NEWS);
            let rows = u16::try_from(lines.len()).unwrap_or(1);
            let first = status.y.saturating_sub(rows - 1);
            for (y, line) in (first..).zip(lines) {
                let row = Rect { y, ..status };
                frame.render_widget(Clear, row);
                frame.render_widget(Line::styled(line, style), row);
            }
        }
        None => frame.render_widget(Line::styled(text::fit(&advice(model), columns), theme::strong()), status),
    }
    frame.render_widget(key_line(model, columns), keys);
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

/// What to do about the selected row.
fn advice(model: &Model) -> String {
    match model.tab {
        Tab::Nodes => detail::advice(model).map(|words| format!(" {words}")).unwrap_or_default(),
        Tab::Ansible | Tab::Log | Tab::Setup => String::new(),
    }
}

/// Keys that would do something now, most useful first; help and leaving are always there.
fn key_line(model: &Model, columns: usize) -> Line<'static> {
    let scopes = model.scopes();
    let mut offered = Vec::new();
    for scope in &scopes {
        let shown = BINDINGS.iter().filter(|binding| binding.scope == *scope && !binding.label.is_empty());
        let shown = shown.filter(|binding| offer(model, *scope, binding.action).is_ok());
        offered.extend(shown.filter(|binding| is_advised(model, binding.action)));
    }
    let is_fixed = |scope: crate::tui::keymap::Scope| scope == crate::tui::keymap::Scope::Tabs;
    let word = |binding: &crate::tui::keymap::Binding| {
        let key = binding.keys.first().map(ToString::to_string).unwrap_or_default();
        let reinstalls = binding.action == Action::Approve && model.node().is_some_and(|node| node.may_be_installed());
        (key, if reinstalls { "reinstall" } else { binding.label })
    };
    let (fixed, free): (Vec<_>, Vec<_>) = offered.into_iter().partition(|binding| is_fixed(binding.scope));
    let cost = |(key, label): &(String, &str)| text::width(key) + 1 + text::width(label) + 2;
    let reserve: usize = fixed.iter().map(|binding| cost(&word(binding))).sum();
    let mut line = Line::raw(" ");
    let mut used = 1 + reserve;
    let mut seen = Vec::new();
    for item in free.into_iter().map(word) {
        // The detail's keys hide the table's of the same name.
        if seen.contains(&item.0) || used + cost(&item) > columns {
            continue;
        }
        used += cost(&item);
        seen.push(item.0.clone());
        push(&mut line, &item);
    }
    for binding in fixed {
        push(&mut line, &word(binding));
    }
    line
}

fn push(line: &mut Line<'static>, (key, label): &(String, &'static str)) {
    line.push_span(Span::styled(key.clone(), theme::key()));
    line.push_span(Span::styled(format!(" {label}  "), Style::new()));
}
