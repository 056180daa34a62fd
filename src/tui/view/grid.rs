//! A run as a grid: a row for each host, a column for each task, and in words what stands under the cursor.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::domain::grid::{Cell, CellState, Column, Grid, Host};
use crate::domain::run::{RunOutcome, RunState};
use crate::tui::model::Model;
use crate::tui::runs::Level;
use crate::tui::{text, theme};

/// What the symbols mean.
const LEGEND: &str = ". ok  C changed  - skipped  i ignored  F failed  U unreachable  > running";

/// Lines above the hosts: play and task, the cell in words, the heading.
const HEAD: u16 = 3;
/// A pane with fewer rows has no room for the legend.
const SMALL: u16 = 10;
/// Columns of the counts of a host.
const COUNTS: usize = 15;
/// Columns of a host's state.
const STATE: usize = 13;
/// Tasks named as the slowest.
const SLOWEST: usize = 3;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let Some(grid) = model.runs.grid() else {
        let words = " Ansible has told of no task of this run; Esc goes back to its output.";
        frame.render_widget(Line::styled(words, theme::muted()), area);
        return;
    };
    let [head, rows, foot] = split(area);
    let columns = usize::from(area.width);
    for (row, line) in
        head.rows().zip([task_line(model, grid, columns), cell_line(model, grid, columns), heading(grid, columns)])
    {
        frame.render_widget(line, row);
    }
    let height = usize::from(rows.height);
    let first = (model.runs.host + 1).saturating_sub(height);
    for (row, (index, host)) in rows.rows().zip(grid.hosts.iter().enumerate().skip(first)) {
        frame.render_widget(host_line(model, grid, index, host, columns), row);
    }
    for (row, line) in foot.rows().rev().zip([slowest(grid, columns), legend(columns)]) {
        frame.render_widget(line, row);
    }
}

/// Rows of hosts.
pub(super) fn rows(area: Rect) -> usize {
    usize::from(split(area)[1].height)
}

fn split(area: Rect) -> [Rect; 3] {
    let foot = if area.height < SMALL { 1 } else { 2 };
    Layout::vertical([Constraint::Length(HEAD), Constraint::Fill(1), Constraint::Length(foot)]).areas(area)
}

/// How far the run is, for its title: `task 23 · 7 of 12 hosts · about 3m12s left`.
pub(super) fn progress(model: &Model) -> Option<String> {
    let grid = model.runs.grid()?;
    let number = grid.columns.len() + grid.dropped;
    if grid.is_complete {
        return Some(format!("{} in {}", text::count(number, "task"), seconds(grid.took())));
    }
    let (_, done, of) = grid.latest()?;
    if !is_going_on(model) {
        let took = seconds(grid.took());
        // Ansible may have gone on and only its events may have ended, as on a full disk.
        return Some(if was_cut(model) {
            format!("stopped at task {number} after {took}")
        } else {
            let key = if model.runs.level == Level::Grid { " (o)" } else { "" };
            format!("events end at task {number} after {took}; the output has the rest{key}")
        });
    }
    let now = now(model);
    let left = model.runs.progress().and_then(|progress| grid.left(progress.before.as_deref()?, now));
    let left = left.map(|left| format!(" · about {} left", seconds(left))).unwrap_or_default();
    Some(format!("task {number} · {done} of {of} hosts{left}"))
}

/// Whether the run that is shown has not ended.
fn is_going_on(model: &Model) -> bool {
    let run = model.pager.run().and_then(|run| model.snapshot.fleet.run(run));
    run.is_some_and(|run| run.is_active())
}

/// Whether the run that is shown ended before its playbook did.
fn was_cut(model: &Model) -> bool {
    let state = model.shown_run().map(|run| &run.state);
    matches!(state, Some(RunState::Ended { outcome: RunOutcome::Cancelled | RunOutcome::Interrupted, .. }))
}

/// The present, in seconds since the epoch; of a run that has ended, its last event.
fn now(model: &Model) -> f64 {
    let last = model.runs.grid().and_then(|grid| grid.span).map(|(_, last)| last);
    last.filter(|_| !is_going_on(model)).unwrap_or_else(|| model.now.as_duration().as_secs_f64())
}

/// What a state is called: nothing runs in a run that has ended.
fn word(model: &Model, state: CellState) -> &'static str {
    if state != CellState::Running || is_going_on(model) {
        return state.word();
    }
    if was_cut(model) { "stopped" } else { "not told" }
}

/// `0.4s`, `45s`, `3m12s`.
pub(super) fn seconds(seconds: f64) -> String {
    let whole = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    match whole {
        0..10 => format!("{seconds:.1}s"),
        10..60 => format!("{whole}s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole / 60 % 60),
    }
}

pub(super) fn style(state: CellState) -> Style {
    match state {
        CellState::Running => theme::busy(),
        CellState::Ok => theme::good(),
        CellState::Changed | CellState::Ignored => theme::waiting(),
        CellState::Skipped => theme::muted(),
        CellState::Failed | CellState::Unreachable => theme::bad(),
    }
}

fn task_line(model: &Model, grid: &Grid, columns: usize) -> Line<'static> {
    let Some(task) = model.runs.task() else { return Line::default() };
    let play = grid.plays.get(task.play).map_or("", |play| play.name.as_str());
    let number = model.runs.column() + 1 + grid.dropped;
    let kind = if task.kind.is_empty() { String::new() } else { format!(" ({})", task.kind) };
    let words = format!(" {number}. {}{kind}: {} · {play}", task.name, counts(model, task));
    Line::styled(text::fit(&words, columns), theme::strong())
}

/// `9 ok, 2 changed, 1 failed in 12s`.
fn counts(model: &Model, task: &Column) -> String {
    use CellState::{Changed, Failed, Ignored, Ok, Running, Skipped, Unreachable};
    let all = [Running, Ok, Changed, Skipped, Ignored, Failed, Unreachable];
    let parts = all.into_iter().map(|state| (task.count(state), state)).filter(|(count, _)| *count > 0);
    let parts: Vec<_> = parts.map(|(count, state)| format!("{count} {}", word(model, state))).collect();
    format!("{} in {}", parts.join(", "), seconds(task.took()))
}

fn cell_line(model: &Model, grid: &Grid, columns: usize) -> Line<'static> {
    let Some(host) = grid.hosts.get(model.runs.host) else { return Line::default() };
    let Some(cell) = model.runs.cell() else {
        return Line::styled(text::fit(&format!(" {}: not part of this task", host.name), columns), theme::muted());
    };
    let words = format!(" {}: {}", host.name, cell_words(cell, model));
    Line::styled(text::fit(&words, columns), style(cell.state))
}

fn cell_words(cell: &Cell, model: &Model) -> String {
    let took = cell.took.unwrap_or_else(|| (now(model) - cell.begun).max(0.0));
    let items = if cell.items > 0 { format!(", {}", text::count(cell.items as usize, "item")) } else { String::new() };
    let tries = if cell.tries > 0 { format!(", try {}", cell.tries + 1) } else { String::new() };
    let message = cell.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    format!("{} {}{items}{tries}{message}", word(model, cell.state), seconds(took))
}

fn name_columns(grid: &Grid) -> usize {
    grid.hosts.iter().map(|host| text::width(short(host))).max().unwrap_or_default().clamp(4, 20)
}

fn short(host: &Host) -> &str {
    let name = host.name.as_str();
    name.split('.').next().unwrap_or(name)
}

fn heading(grid: &Grid, columns: usize) -> Line<'static> {
    let name = text::pad("HOST", name_columns(grid));
    let words = format!("  {name} {} {} TASKS", text::pad("NOW", STATE), text::pad("DONE CHG FAIL", COUNTS));
    Line::styled(text::fit(&words, columns), theme::muted())
}

fn host_line(model: &Model, grid: &Grid, index: usize, host: &Host, columns: usize) -> Line<'static> {
    let is_marked = index == model.runs.host;
    let (word, word_style) = state(model, grid, index, host);
    let mark = if is_marked { '>' } else { ' ' };
    let name = text::pad(&text::fit(short(host), 20), name_columns(grid));
    let [done, changed, failed] = host.done;
    let head = format!("{mark} {name} ");
    let numbers = text::pad(&format!("{done:>4} {changed:>3} {failed:>4}"), COUNTS);
    let room = columns.saturating_sub(text::width(&head) + STATE + COUNTS + 2).max(1);
    let mut line = Line::from(vec![
        Span::styled(head, if is_marked { theme::strong() } else { Style::new() }),
        Span::styled(format!("{} ", text::pad(&word, STATE)), word_style),
        Span::styled(format!("{numbers} "), if failed > 0 { theme::bad() } else { Style::new() }),
    ]);
    let cursor = model.runs.column();
    let first = (cursor + 1).saturating_sub(room).max(grid.columns.len().saturating_sub(room).min(cursor));
    for column in (first..grid.columns.len()).take(room) {
        let cell = grid.cell(column, index);
        let (symbol, mut style) = cell.map_or((' ', Style::new()), |cell| (cell.state.symbol(), style(cell.state)));
        if column == cursor && is_marked {
            style = style.patch(theme::selected());
        }
        line.push_span(Span::styled(symbol.to_string(), style));
    }
    line
}

/// What the host does now, or what came of it.
fn state(model: &Model, grid: &Grid, index: usize, host: &Host) -> (String, Style) {
    if let Some(numbers) = host.numbers {
        return match (numbers.has_failed(), numbers.rescued > 0) {
            (true, _) => ("FAILED".to_owned(), theme::bad()),
            (false, true) => ("ok, rescued".to_owned(), theme::waiting()),
            (false, false) => ("done".to_owned(), theme::good()),
        };
    }
    let Some(cell) = host.latest.and_then(|column| grid.cell(column, index)) else {
        return ("waits".to_owned(), theme::muted());
    };
    match cell.state {
        CellState::Running => {
            let took = seconds((now(model) - cell.begun).max(0.0));
            let style = if is_going_on(model) { theme::busy() } else { theme::waiting() };
            (format!("{} {took}", word(model, cell.state)), style)
        }
        state => (state.word().to_owned(), style(state)),
    }
}

/// As many of the slowest tasks as can be named in full; where one alone is too long, its name is cut and not its time.
fn slowest(grid: &Grid, columns: usize) -> Line<'static> {
    let lost = if grid.lost > 0 { format!(" {} events lost ·", grid.lost) } else { String::new() };
    let tasks = grid.slowest(SLOWEST).into_iter().filter_map(|index| grid.columns.get(index));
    let mut tasks: Vec<_> = tasks.map(|task| (task.name.to_string(), seconds(task.took()))).collect();
    let words = |tasks: &[(String, String)]| {
        let tasks: Vec<_> = tasks.iter().map(|(name, took)| format!("{name} {took}")).collect();
        format!("{lost} slowest: {}", tasks.join(" · "))
    };
    while tasks.len() > 1 && text::width(&words(&tasks)) > columns {
        tasks.pop();
    }
    let over = text::width(&words(&tasks)).saturating_sub(columns);
    if let ([(name, _)], 1..) = (tasks.as_mut_slice(), over) {
        *name = text::fit(name, text::width(name).saturating_sub(over));
    }
    Line::styled(text::fit(&words(&tasks), columns), theme::muted())
}

fn legend(columns: usize) -> Line<'static> {
    Line::styled(text::fit(&format!(" {LEGEND}"), columns), theme::muted())
}
