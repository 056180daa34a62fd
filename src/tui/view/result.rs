//! What came of one task on one host: everything Ansible told, whole.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::grid::{seconds, style};
use crate::domain::play::HostTold;
use crate::tui::model::Model;
use crate::tui::{text, theme};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let lines = lines(model, usize::from(area.width));
    let hidden = lines.len().saturating_sub(usize::from(area.height));
    let top = model.runs.top.min(hidden);
    for (row, line) in area.rows().zip(lines.into_iter().skip(top)) {
        frame.render_widget(line, row);
    }
    super::more_below(frame, area, hidden - top);
}

/// How far it can be scrolled.
pub(super) fn overflow(area: Rect, model: &Model) -> usize {
    lines(model, usize::from(area.width)).len().saturating_sub(usize::from(area.height))
}

/// All of it, without folds.
pub(super) fn text(model: &Model) -> String {
    lines(model, usize::from(u16::MAX)).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn lines(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let (Some(task), Some(grid), Some(cell)) = (model.runs.task(), model.runs.grid(), model.runs.cell()) else {
        return vec![Line::styled(" There is no result at this place.", theme::muted())];
    };
    let host = grid.hosts.get(model.runs.host).map_or("", |host| host.name.as_str());
    let mut page = Vec::new();
    let took = cell.took.map(|took| format!(" in {}", seconds(took))).unwrap_or_default();
    words(&mut page, &format!("{host}: {}{took}", cell.state.word()), style(cell.state), columns);
    words(&mut page, task.name.as_str(), theme::strong(), columns);
    let play = grid.plays.get(task.play).map_or("", |play| play.name.as_str());
    let place = task.path.as_ref().map(|path| format!(" · {path}")).unwrap_or_default();
    words(&mut page, &format!("{} · {play}{place}", task.action), theme::muted(), columns);
    match model.runs.result() {
        Some(result) => about(&mut page, result, columns),
        None if cell.place.is_none() => words(&mut page, "There is no result yet.", theme::muted(), columns),
        None => words(&mut page, "It is being fetched …", theme::busy(), columns),
    }
    page
}

fn about(page: &mut Vec<Line<'static>>, result: &HostTold, columns: usize) {
    if result.censored {
        return words(page, "Its result is secret (no_log).", theme::waiting(), columns);
    }
    let facts = [
        ("by", result.delegated_to.clone()),
        ("exit code", result.rc.map(|code| code.to_string())),
        ("skipped", result.skip_reason.clone()),
    ];
    for (label, value) in facts {
        if let Some(value) = value {
            words(page, &format!("{label}: {value}"), Style::new(), columns);
        }
    }
    let parts = [
        ("Message", &result.msg),
        ("Standard error", &result.stderr),
        ("Changes", &result.diff),
        ("Standard output", &result.stdout),
        ("Arguments", &result.args),
    ];
    for (title, part) in parts {
        let Some(part) = part.as_deref().filter(|part| !part.trim().is_empty()) else { continue };
        page.push(Line::default());
        page.push(Line::styled(format!(" {title}"), theme::strong().patch(theme::muted())));
        for line in part.lines() {
            let style = match line.bytes().next() {
                Some(b'+') if title == "Changes" => theme::good(),
                Some(b'-') if title == "Changes" => theme::bad(),
                _ => Style::new(),
            };
            let folded = text::fold(&[Span::styled(text::clean(line), style)], columns.saturating_sub(1));
            page.extend(folded.into_iter().map(|mut line| {
                line.spans.insert(0, Span::raw(" "));
                line
            }));
        }
    }
}

fn words(page: &mut Vec<Line<'static>>, words: &str, style: Style, columns: usize) {
    let wrapped = text::wrap(&text::clean(words), columns.saturating_sub(2));
    page.extend(wrapped.into_iter().map(|line| Line::styled(format!(" {line}"), style)));
}
