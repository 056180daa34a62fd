//! The Ansible tab: runs, newest first, and the output of the one that is shown.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::domain::fleet::Gate;
use crate::domain::run::RunState;
use crate::domain::{Origin, Run, RunId, StartRule, WebhookAuth};
use crate::tui::model::Model;
use crate::tui::pager::Place;
use crate::tui::runs::Level;
use crate::tui::{text, theme};

/// Rows of the body for each run that is listed at once.
const ROWS_A_RUN: u16 = 5;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    if model.overview.runs.is_empty() {
        for (row, line) in area.rows().zip(no_run(model, usize::from(area.width))) {
            frame.render_widget(line, row);
        }
        return;
    }
    let [list, title, pane] = split(area, model);
    for (row, line) in list.rows().zip(run_list(model, usize::from(list.width), usize::from(list.height))) {
        frame.render_widget(line, row);
    }
    frame.render_widget(title_line(model, pane), title);
    match model.runs.level {
        Level::Output => {}
        Level::Grid => return super::grid::draw(frame, pane, model),
        Level::Result => return super::result::draw(frame, pane, model),
    }
    let lines = if model.pager.is_empty() {
        silence(model, usize::from(pane.width))
    } else {
        let mut lines = model.pager.visible(usize::from(pane.width), usize::from(pane.height));
        lines.truncate(usize::from(pane.height));
        lines
    };
    for (row, line) in pane.rows().zip(lines) {
        frame.render_widget(line, row);
    }
}

/// The part that shows output.
pub(super) fn pane(area: Rect, model: &Model) -> Rect {
    split(area, model)[2]
}

fn split(area: Rect, model: &Model) -> [Rect; 3] {
    // The grid needs the room: it shows one run.
    let most = if model.runs.level == Level::Output { (area.height / ROWS_A_RUN).max(2) } else { 1 };
    let runs = u16::try_from(model.overview.runs.len()).unwrap_or(u16::MAX).min(most);
    Layout::vertical([Constraint::Length(runs), Constraint::Length(1), Constraint::Fill(1)]).areas(area)
}

/// As many runs as fit around the one that is shown.
fn run_list(model: &Model, columns: usize, rows: usize) -> Vec<Line<'static>> {
    let runs = &model.overview.runs;
    let shown = runs.iter().position(|run| Some(*run) == model.pager.run()).unwrap_or_default();
    let first = (shown + 1).saturating_sub(rows);
    runs.iter().skip(first).take(rows).filter_map(|run| run_line(model, *run, columns)).collect()
}

fn run_line(model: &Model, id: RunId, columns: usize) -> Option<Line<'static>> {
    let run = model.snapshot.fleet.run(id)?;
    let is_shown = model.pager.run() == Some(id);
    let (word, style) = theme::run(run);
    let mark = if is_shown { '>' } else { ' ' };
    let who = match (&run.by, run.by_gate) {
        (_, true) => "by itself".to_owned(),
        (Some(Origin::Operator(name)), false) => format!("by {}", text::clean(name)),
        (_, false) => "by hand".to_owned(),
    };
    let who = if run.options.check { format!("{who}, check only") } else { who };
    let nodes = text::count(run.nodes.len(), "node");
    let head = format!("{mark} {:<5} {} ", id.to_string(), text::pad(word, 11));
    let tail = format!("{:>8}  {nodes}, {who}{}", took(run, model), reason(run));
    let room = columns.saturating_sub(text::width(&head));
    let line = Line::from(vec![Span::styled(head, style), Span::raw(text::pad(&tail, room))]);
    Some(if is_shown { line.patch_style(theme::selected()) } else { line })
}

fn took(run: &Run, model: &Model) -> String {
    match run.state {
        RunState::Queued { .. } => text::stopwatch(run.queued, model.now),
        RunState::Running { since, .. } => text::stopwatch(since, model.now),
        RunState::Ended { at, .. } => format!("{} ago", text::age(at, model.now)),
    }
}

fn reason(run: &Run) -> String {
    match &run.state {
        RunState::Ended { outcome, .. } => outcome.reason().map(|why| format!(": {why}")).unwrap_or_default(),
        RunState::Queued { .. } | RunState::Running { .. } => String::new(),
    }
}

fn title_line(model: &Model, pane: Rect) -> Line<'static> {
    let pager = &model.pager;
    let (first, last) = pager.position(usize::from(pane.width), usize::from(pane.height));
    let run = pager.run().map(|run| run.to_string()).unwrap_or_default();
    let what = match model.runs.level {
        Level::Output => "output",
        Level::Grid => "hosts and tasks",
        Level::Result => "result",
    };
    let progress = super::grid::progress(model).map(|words| format!("· {words} ")).unwrap_or_default();
    let title = format!("── {what} of {run} ");
    let mut words = String::new();
    let mut style = theme::muted();
    if !pager.is_empty() && model.runs.level == Level::Output {
        let place = match pager.place {
            Place::Follow => format!("· following, {last} lines "),
            Place::At { .. } => {
                style = theme::waiting();
                format!("· PAUSED at line {first} of {last}; Space follows ")
            }
        };
        if pager.is_searched() {
            let found = format!("· `{}`: {} ", text::clean(pager.searched()), super::footer::finds(model));
            words.push_str(&found);
        }
        words.push_str(&place);
        if pager.dropped() > 0 {
            let note = format!("· lines before {} are in nodes/runs/{run}/ only ", pager.dropped() + 1);
            words.push_str(&note);
        }
    }
    let columns = usize::from(pane.width);
    // Where somebody reads, the place is what counts.
    let has_room = text::width(&title) + text::width(&progress) + text::width(&words) <= columns;
    let progress = if has_room || words.is_empty() { progress } else { String::new() };
    let mut words = format!("{title}{progress}{words}");
    let fill = columns.saturating_sub(text::width(&words));
    words.push_str(&"─".repeat(fill));
    Line::styled(text::fit(&words, columns), style)
}

/// Why a run shows no output.
fn silence(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let Some(run) = model.shown_run() else { return Vec::new() };
    let words = match &run.state {
        RunState::Queued { stopping: true } => "It was stopped before Ansible began.".to_owned(),
        RunState::Queued { stopping: false } => "Its files are being written; Ansible starts in a moment.".to_owned(),
        RunState::Running { .. } => "Ansible has written nothing yet.".to_owned(),
        RunState::Ended { outcome, .. } => match outcome.reason() {
            Some(why) => format!("It was {}: {why}", outcome.word()),
            None => format!("It {} without any output.", outcome.word()),
        },
    };
    text::wrap_styled(&words, Style::new(), columns)
}

/// Why there is no run, and what to do.
fn no_run(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let fleet = &model.snapshot.fleet;
    let why = match &model.overview.gate {
        Gate::ByHand if fleet.policy().webhook_auth == WebhookAuth::None => {
            "Reports are accepted without a secret (`webhook_auth = \"none\"`), so runs start by hand only: press `r` \
             when the nodes are ready."
                .to_owned()
        }
        Gate::ByHand if fleet.policy().start == StartRule::ByHand => {
            "Runs start by hand (the configuration says so): press `r` when the nodes are ready.".to_owned()
        }
        Gate::ByHand => "Runs start by hand: press `r` when the nodes are ready.".to_owned(),
        Gate::Waits { of: 0, .. } => {
            "No machine is approved yet. The playbook starts by itself when every approved machine is ready: approve \
             machines on tab 1."
                .to_owned()
        }
        Gate::Waits { .. } => format!(
            "{}. The playbook starts by itself when all are; machines that wait for \
             approval do not count. `W` goes on without the missing ones.",
            model.overview.gate.words(model.now)
        ),
        Gate::Held { .. } => "Runs that start by themselves are held: `W` lets them go on.".to_owned(),
        Gate::Counting { .. } => format!("All nodes are ready: the playbook {}.", model.overview.gate.words(model.now)),
        Gate::Open => "All nodes are ready: the playbook starts in a moment.".to_owned(),
        gate @ Gate::Done { ready: 1.. } => format!("{gate}, and no run starts by itself any more: press `r`."),
        Gate::Done { .. } => {
            "Every node was run; the runs themselves are no longer remembered. `r` starts another.".to_owned()
        }
    };
    let mut lines = vec![Line::default(), Line::styled(" No run yet", theme::strong())];
    let wrapped = text::wrap(&why, columns.saturating_sub(2));
    lines.extend(wrapped.into_iter().map(|line| Line::from(format!(" {line}"))));
    lines
}
