//! Who could not even ask: by address, with cause and cure.

use ratatui::style::Style;
use ratatui::text::Line;

use crate::domain::Phase;
use crate::domain::ghost::Ghost;
use crate::tui::model::Model;
use crate::tui::{text, theme};

/// The lines of the page.
pub(super) fn lines(model: &Model, columns: usize) -> Vec<Line<'static>> {
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
