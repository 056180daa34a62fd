//! The console from the end of the aisle: counts in large digits, then one spread line per node, who needs somebody
//! first. It fills the screen; the letters say everything, colour only repeats it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

use crate::domain::guard::ClaimCode;
use crate::domain::{Node, NodeId, Phase};
use crate::tui::modal::walk::slot;
use crate::tui::model::{Model, life};
use crate::tui::{offer, text, theme};

/// Rows and columns of a digit.
const DIGIT: (usize, usize) = (5, 3);

/// Digits of three by five blocks: the small sizes of widget libraries need block elements that ASCII terminals lack.
const DIGITS: [[&str; 5]; 10] = [
    ["███", "█ █", "█ █", "█ █", "███"],
    [" █ ", "██ ", " █ ", " █ ", "███"],
    ["███", "  █", "███", "█  ", "███"],
    ["███", "  █", "███", "  █", "███"],
    ["█ █", "█ █", "███", "  █", "  █"],
    ["███", "█  ", "███", "  █", "███"],
    ["███", "█  ", "███", "█ █", "███"],
    ["███", "  █", "  █", "  █", "  █"],
    ["███", "█ █", "███", "█ █", "███"],
    ["███", "█ █", "███", "  █", "███"],
];

/// Rows for the counts: the digits, their words, and a blank line.
const HEAD: u16 = 7;

/// Rows a node takes.
const EACH: u16 = 2;

/// Columns for the word of a phase, spread: `configuring` is the longest.
const PHASE: usize = 22;

/// Nodes that fit on the screen.
fn fitting(area: Rect, model: &Model) -> usize {
    let walk = if model.overview.walk.is_some() { EACH } else { 0 };
    usize::from(area.height.saturating_sub(HEAD + walk + 1) / EACH)
}

/// How far it can be scrolled.
pub(super) fn overflow(area: Rect, model: &Model) -> usize {
    model.listing.nodes().count().saturating_sub(fitting(area, model))
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, top: usize) {
    let columns = usize::from(area.width);
    frame.render_widget(Clear, area);
    let mut lines = counts(model, columns);
    if let Some(view) = &model.overview.walk {
        let words = match &view.next {
            Some((name, place)) => format!("next {}", slot(name, place.as_deref())),
            None => "no slot is left".to_owned(),
        };
        lines.push(Line::styled(text::fit(&format!(" {}", spread(&words, columns - 1)), columns), theme::loud()));
        lines.push(Line::default());
    }
    let nodes = in_order(model);
    let top = top.min(overflow(area, model));
    let shown = fitting(area, model);
    for node in nodes.iter().skip(top).take(shown).filter_map(|id| model.snapshot.fleet.node(*id)) {
        lines.push(line(node, model, columns));
        lines.push(Line::default());
    }
    for (row, line) in area.rows().zip(lines) {
        frame.render_widget(line, row);
    }
    let below = nodes.len().saturating_sub(top + shown);
    let more = if below > 0 { format!("{below} more below; ") } else { String::new() };
    let foot = format!(" {more}arrows scroll, Esc closes ");
    let last = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
    frame.render_widget(Clear, last);
    frame.render_widget(Line::styled(text::fit(&foot, columns), theme::bar()), last);
}

/// The nodes that the filter shows, who needs somebody first.
fn in_order(model: &Model) -> Vec<NodeId> {
    let fleet = &model.snapshot.fleet;
    let place = |id: NodeId| {
        let node = fleet.node(id)?;
        let first = if offer::needs_decision(node) { 0 } else { life(&node.phase) };
        Some((first, id))
    };
    let mut nodes: Vec<_> = model.listing.nodes().filter_map(place).collect();
    nodes.sort_unstable();
    nodes.into_iter().map(|(_, id)| id).collect()
}

/// `w a i t`: twice as wide, where that fits.
fn spread(words: &str, columns: usize) -> String {
    let wide: Vec<_> = words.chars().map(String::from).collect();
    let wide = wide.join(" ");
    if text::width(&wide) <= columns { wide } else { words.to_owned() }
}

fn line(node: &Node, model: &Model, columns: usize) -> Line<'static> {
    let style = match &node.phase {
        _ if offer::needs_decision(node) => theme::loud(),
        Phase::Failed { .. } | Phase::Stalled { .. } | Phase::Unreachable { .. } => {
            theme::bad().add_modifier(Modifier::REVERSED)
        }
        phase => theme::phase(phase).add_modifier(Modifier::BOLD).remove_modifier(Modifier::DIM),
    };
    let room = columns.saturating_sub(PHASE + 5);
    let code = if offer::needs_decision(node) { format!(" {}", ClaimCode::of(node.id)) } else { String::new() };
    let name = format!("{}{code}", node.name.host());
    let name = text::pad(&spread(&name, room), room);
    let word = if offer::asks_again(node) { "asks again" } else { node.phase.word() };
    let phase = spread(&word.to_uppercase(), PHASE);
    Line::styled(text::pad(&format!(" {} {name} {phase}", model.theme.symbol(&node.phase)), columns), style)
}

/// How many stand where, in digits that can be read from afar; as many as fit, who needs somebody first.
fn counts(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let mut rows: Vec<Vec<(String, Style)>> = vec![Vec::new(); DIGIT.0 + 1];
    let mut used = 1;
    for (phase, count) in &model.overview.counts {
        let digits = count.to_string();
        let word = phase.word();
        let wide = (digits.len() * (DIGIT.1 + 1) - 1).max(text::width(word));
        if used + wide > columns {
            break;
        }
        used += wide + 3;
        let style = theme::phase(phase).remove_modifier(Modifier::DIM);
        for (row, cells) in rows.iter_mut().enumerate() {
            let part = if row < DIGIT.0 { large(&digits, row) } else { word.to_owned() };
            cells.push((format!("{}   ", text::pad(&part, wide)), style));
        }
    }
    let line = |cells: Vec<(String, Style)>| {
        let spans = cells.into_iter().map(|(part, style)| Span::styled(part, style));
        std::iter::once(Span::raw(" ")).chain(spans).collect::<Line<'static>>()
    };
    rows.into_iter().map(line).chain([Line::default()]).collect()
}

/// A row of a number in large digits.
fn large(digits: &str, row: usize) -> String {
    let digits = digits.bytes().filter_map(|digit| DIGITS.get(usize::from(digit.wrapping_sub(b'0'))));
    digits.map(|digit| digit[row]).collect::<Vec<_>>().join(" ")
}
