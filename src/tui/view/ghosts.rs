//! Who could not even ask: by address, with cause and cure.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear};

use crate::domain::Phase;
use crate::domain::ghost::Ghost;
use crate::tui::model::Model;
use crate::tui::{text, theme};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, top: usize) {
    let block = Block::bordered().title(" Turned away, or never came to ask ");
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    let lines = lines(model, inner.width);
    let hidden = lines.len().saturating_sub(usize::from(inner.height));
    let top = top.min(hidden);
    for (row, line) in inner.rows().zip(lines.into_iter().skip(top)) {
        frame.render_widget(line, row);
    }
    super::more_below(frame, inner, hidden - top);
}

pub(super) fn overflow(area: Rect, model: &Model) -> usize {
    let inner = Block::bordered().inner(area);
    lines(model, inner.width).len().saturating_sub(usize::from(inner.height))
}

fn lines(model: &Model, columns: u16) -> Vec<Line<'static>> {
    let columns = usize::from(columns);
    let mut lines = Vec::new();
    let mut say = |words: &str, indent: usize, style: Style| {
        let wrapped = text::wrap(&text::clean(words), columns.saturating_sub(indent + 1));
        lines.extend(wrapped.into_iter().map(|line| Line::styled(format!("{}{line}", " ".repeat(indent)), style)));
    };
    for ghost in &model.snapshot.service.ghosts {
        say(&heading(ghost, model), 1, theme::strong());
        say(&ghost.words(), 3, Style::new());
        say(ghost.cause.cure(), 3, theme::muted());
    }
    let silent = model.snapshot.fleet.nodes().filter(|node| matches!(node.phase, Phase::Stalled { .. })).count();
    if silent > 0 {
        let words =
            format!("{} took an answer and stayed silent: see the rows that are stalled", text::count(silent, "node"));
        say(&words, 1, theme::waiting());
    }
    if lines.is_empty() {
        lines.push(Line::styled(" Nobody: whoever called could ask.", theme::muted()));
    }
    lines
}

fn heading(ghost: &Ghost, model: &Model) -> String {
    let times = if ghost.count == 1 { "once".to_owned() } else { format!("{} times", ghost.count) };
    format!("{}  {times}, last {} ago", ghost.peer, text::age(ghost.last, model.now).trim())
}
