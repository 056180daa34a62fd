//! The head of every tab: what is served, who waits, what is wrong, which tabs there are, what runs.

use std::collections::BTreeSet;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::Spot;
use crate::domain::fleet::Gate;
use crate::domain::guard::ClaimCode;
use crate::domain::run::RunState;
use crate::domain::walk::Taken;
use crate::domain::{Phase, WalkView};
use crate::tui::action::Tab;
use crate::tui::back::Step;
use crate::tui::modal::walk as words;
use crate::tui::model::Model;
use crate::tui::{text, theme};

/// From this width on the tabs leave room for a few words.
const ROOMY: u16 = 72;

/// Rows it takes.
pub(super) fn height(model: &Model) -> u16 {
    3 + u16::from(!model.snapshot.service.problems.is_empty()) + u16::from(model.overview.walk.is_some())
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let columns = usize::from(area.width);
    let mut lines = vec![bar(model, columns), counts(model, columns)];
    lines.extend(model.overview.walk.as_ref().map(|view| walk(view, model, columns)));
    lines.extend(problems(model, columns));
    lines.push(tabs(model, columns));
    for (row, line) in area.rows().zip(lines) {
        frame.render_widget(line, row);
    }
}

/// What is served and how well; the clock. What does not fit goes from the end, and before the address the program's name.
fn bar(model: &Model, columns: usize) -> Line<'static> {
    let clock = model.now.to_zoned(model.zone.clone()).strftime("%H:%M:%S ").to_string();
    let room = columns.saturating_sub(text::width(&clock) + 1);
    let parts = health(model);
    let first = parts.first().map_or(0, |part| text::width(part));
    let name = " prox-orchestrator ";
    let mut left = if text::width(name) + first + 2 <= room { name.to_owned() } else { String::new() };
    for (index, part) in parts.into_iter().enumerate() {
        if index == 0 || text::width(&left) + text::width(&part) + 2 <= room {
            left = format!("{left} {part} ");
        }
    }
    let style = if model.engine_is_gone { theme::bad().patch(theme::bar()) } else { theme::bar() };
    Line::styled(format!("{} {clock}", text::pad(&left, room)), style)
}

/// The listener's state in words, most important first.
fn health(model: &Model) -> Vec<String> {
    let service = &model.snapshot.service;
    if model.engine_is_gone {
        return vec!["THE ENGINE HAS STOPPED: nothing is served".to_owned()];
    }
    if service.url.is_empty() {
        return vec!["not serving yet".to_owned()];
    }
    let mut parts = vec![format!("serving {}", text::clean(&service.url))];
    let held = model.snapshot.holds.len();
    if held > 0 {
        // Near the limit, machines are told to ask again instead of being held.
        let of = if service.capacity > 0 && held * 2 >= service.capacity {
            format!(" of {}", service.capacity)
        } else {
            String::new()
        };
        parts.push(format!("{held}{of} held"));
    }
    match model.overview.heard {
        Some(at) => parts.push(format!("heard {} ago", text::age(at, model.now))),
        None => parts.push("nothing heard yet".to_owned()),
    }
    parts
}

/// Who waits comes first and loud, then what failed, then the rest in the order of life.
fn counts(model: &Model, columns: usize) -> Line<'static> {
    let overview = &model.overview;
    let mut parts: Vec<(String, Style)> = Vec::new();
    if overview.waiting > 0 {
        parts.push((format!(" {} WAITING ", overview.waiting), theme::loud()));
    }
    match overview.asking_again {
        0 => {}
        1 => parts.push((" 1 ASKS AGAIN ".to_owned(), theme::loud())),
        several => parts.push((format!(" {several} ASK AGAIN "), theme::loud())),
    }
    let ghosts = model.snapshot.service.ghosts.iter().map(|ghost| ghost.peer).collect::<BTreeSet<_>>().len();
    if ghosts > 0 {
        parts.push((format!("{ghosts} turned away (o)"), theme::waiting()));
    }
    let others = overview.counts.iter().filter(|(phase, _)| *phase != Phase::Waiting);
    parts.extend(others.map(|(phase, count)| (format!("{count} {}", phase.word()), theme::phase(phase))));
    let reports = model.snapshot.fleet.unmatched().count();
    if reports > 0 {
        parts.push((format!("{} without a node", text::count(reports, "report")), theme::waiting()));
    }
    if parts.is_empty() {
        parts.push(("no machine has asked yet".to_owned(), theme::muted()));
    }
    joined(parts, columns)
}

/// Parts side by side as far as they fit; a mark where they do not.
fn joined(parts: Vec<(String, Style)>, columns: usize) -> Line<'static> {
    let mut line = Line::raw(" ");
    let last = parts.len().saturating_sub(1);
    let mut used = 1;
    for (index, (part, style)) in parts.into_iter().enumerate() {
        let gap = if index > 0 { 2 } else { 0 };
        let reserve = if index < last { 3 } else { 0 };
        if used + gap + text::width(&part) + reserve > columns {
            line.push_span(Span::styled("  …", theme::strong()));
            break;
        }
        used += gap + text::width(&part);
        line.push_span(Span::raw(" ".repeat(gap)));
        line.push_span(Span::styled(part, style));
    }
    line
}

/// The next slot of the walk, how far it is, and the keys that matter. Where not all fits, the figures go first.
fn walk(view: &WalkView, model: &Model, columns: usize) -> Line<'static> {
    let next = format!(" WALK {} ", words::next(view));
    let keys = match (model.tab, Step::of(model)) {
        (Tab::Nodes, Some(Step::StopWalk)) => "> skip  < back  Esc stop",
        (Tab::Nodes, _) => "> skip  < back  w stop",
        (_, Some(Step::StopWalk)) => "tab 1: keys  Esc stop",
        _ => "tab 1: keys",
    };
    let room = columns.saturating_sub(text::width(&next) + text::width(keys) + 5);
    let figures =
        [Some(words::figures(view)), words::left(view)].into_iter().flatten().find(|words| text::width(words) <= room);
    let mut parts = vec![(next, theme::loud())];
    parts.extend(figures.map(|words| (words, theme::strong())));
    parts.push((keys.to_owned(), theme::key()));
    let used = 1 + parts.iter().map(|(part, _)| text::width(part) + 2).sum::<usize>();
    let last = last_step(view).filter(|words| used + text::width(words) <= columns);
    parts.extend(last.map(|words| (words, Style::new())));
    joined(parts, columns)
}

/// Who came last, or what was skipped.
fn last_step(view: &WalkView) -> Option<String> {
    let (name, taken) = view.last.as_ref()?;
    Some(match taken {
        Taken::By(node) => format!("last: {}, code {}", name.host(), ClaimCode::of(*node)),
        Taken::Own(node) => format!("last: {} by its own label, code {}", name.host(), ClaimCode::of(*node)),
        Taken::Skipped => format!("last: {} skipped", name.host()),
    })
}

fn problems(model: &Model, columns: usize) -> Option<Line<'static>> {
    let problems = &model.snapshot.service.problems;
    let first = problems.first()?;
    let more =
        if problems.len() > 1 { format!(" (+{} more: press !)", problems.len() - 1) } else { " (press !)".to_owned() };
    let room = columns.saturating_sub(text::width(&more) + 3);
    let words = text::fit(&text::clean(&format!("{}: {}", first.what, first.hint)), room);
    Some(Line::styled(format!(" ! {words}{more}"), theme::bad()))
}

fn label(index: usize, tab: Tab) -> String {
    format!(" {} {} ", index + 1, tab.name())
}

/// What is at a place of the header.
pub(super) fn spot(area: Rect, model: &Model, x: u16, y: u16) -> Spot {
    if y + 1 < area.bottom() {
        let is_problems = y + 2 == area.bottom() && !model.snapshot.service.problems.is_empty();
        return if is_problems { Spot::Problems } else { Spot::Nothing };
    }
    let mut right = usize::from(area.x) + 1;
    for (index, tab) in Tab::ALL.into_iter().enumerate() {
        right += text::width(&label(index, tab));
        if x > area.x && usize::from(x) < right {
            return Spot::Tab(tab);
        }
    }
    Spot::Nothing
}

fn tabs(model: &Model, columns: usize) -> Line<'static> {
    let mut line = Line::raw(" ");
    let mut used = 1;
    for (index, tab) in Tab::ALL.into_iter().enumerate() {
        let label = label(index, tab);
        used += text::width(&label);
        let style = if tab == model.tab { theme::selected().patch(theme::strong()) } else { Style::new() };
        line.push_span(Span::styled(label, style));
    }
    let (words, short, style) = going_on(model);
    let room = columns.saturating_sub(used + 3);
    let words = text::fit(if text::width(&words) <= room { &words } else { &short }, room);
    let gap = columns.saturating_sub(used + text::width(&words) + 1);
    line.push_span(Span::raw(" ".repeat(gap)));
    line.push_span(Span::styled(words, style));
    line
}

/// The run in progress, else how far the gate is; in full, and in short for the smallest screen.
fn going_on(model: &Model) -> (String, String, Style) {
    let Some(run) = model.snapshot.fleet.active_run() else {
        let gate = &model.overview.gate;
        let (words, short) = match gate {
            gate if gate.is_held() => (format!("playbook: {} (W)", gate.words(model.now)), format!("{gate} (W)")),
            Gate::Waits { of: 0, .. } => ("no node approved yet".to_owned(), "no node approved yet".to_owned()),
            Gate::ByHand => ("playbook starts by hand".to_owned(), "starts by hand".to_owned()),
            Gate::Done { ready: 0, .. } => ("every node was run".to_owned(), "every node was run".to_owned()),
            Gate::Done { .. } => (format!("{gate}: press r"), format!("{gate}: press r")),
            Gate::Counting { until } => {
                let short = format!("starts in {} s (Esc)", text::seconds_left(*until, model.now));
                (format!("playbook {}", gate.words(model.now)), short)
            }
            Gate::Held { .. } | Gate::Waits { .. } => {
                (format!("playbook: {}", gate.words(model.now)), gate.short(model.now))
            }
            Gate::Open => {
                let short = format!("playbook: {gate}");
                let short = if model.size.width < ROOMY { gate.to_string() } else { short };
                (format!("playbook: {}", gate.words(model.now)), short)
            }
        };
        let is_loud = gate.is_held() || matches!(gate, Gate::Counting { .. } | Gate::Done { ready: 1.., .. });
        return (words, short, if is_loud { theme::waiting() } else { Style::new() });
    };
    let (word, style) = theme::run(run);
    let since = match run.state {
        RunState::Running { since, .. } => since,
        RunState::Queued { .. } | RunState::Ended { .. } => run.queued,
    };
    let nodes = text::count(run.nodes.len(), "node");
    let short = format!("{} {word} {}", run.id, text::stopwatch(since, model.now));
    let next = if model.overview.gate.is_held() { ", the next is held (W)" } else { "" };
    (format!("run {short} {nodes}{next}"), short, style)
}
