//! All keys, from the keymap.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear};

use crate::tui::keymap::{BINDINGS, Scope};
use crate::tui::{text, theme};

/// Columns for the keys.
const KEYS: usize = 16;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, top: usize) {
    let block = Block::bordered().title(" Keys ");
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    let lines = lines(inner.width);
    let hidden = lines.len().saturating_sub(usize::from(inner.height));
    let top = top.min(hidden);
    for (row, line) in inner.rows().zip(lines.into_iter().skip(top)) {
        frame.render_widget(line, row);
    }
    super::more_below(frame, inner, hidden - top);
}

pub(super) fn overflow(area: Rect) -> usize {
    let inner = Block::bordered().inner(area);
    lines(inner.width).len().saturating_sub(usize::from(inner.height))
}

fn lines(columns: u16) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for scope in Scope::ALL {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(Line::styled(format!(" {}", scope.title()), theme::strong()));
        for binding in BINDINGS.iter().filter(|binding| binding.scope == scope) {
            let keys: Vec<_> = binding.keys.iter().map(ToString::to_string).collect();
            let keys = text::pad(&format!("  {}", keys.join(" ")), KEYS);
            let room = usize::from(columns).saturating_sub(KEYS + 1);
            for (index, help) in text::wrap(binding.help, room).into_iter().enumerate() {
                let left = if index == 0 { keys.clone() } else { " ".repeat(KEYS) };
                lines.push(Line::from(vec![Span::styled(left, theme::key()), Span::raw(format!(" {help}"))]));
            }
        }
    }
    lines
}
