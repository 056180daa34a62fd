//! Folds what happened into the model and returns what is to be done about it. Pure: no clock, no terminal, no engine.

use crossterm::event::{KeyEvent, KeyEventKind};
use ratatui::layout::Size;

use super::action::{Action, Msg, Request, Tab, Ticket};
use super::keymap::{self, Scope};
use super::modal::{Ask as _, Dialog, Look, Modal, ProfileForm, Question, Sending};
use super::model::{Model, Row, Subject};
use super::offer::{needs_decision, offer};
use super::view;
use crate::client::{OrderError, Preview};
use crate::domain::{Order, Reply};

/// Folds one message in.
pub(super) fn update(model: &mut Model, msg: Msg) -> Vec<Request> {
    match msg {
        Msg::Key(event) if event.kind == KeyEventKind::Release => Vec::new(),
        Msg::Key(event) => on_key(model, event),
        Msg::Paste(text) => {
            match &mut model.modal {
                Some(Modal::Ask(dialog)) => dialog.paste(&text),
                Some(Modal::Profile(form)) => form.field.paste(&text),
                _ => {}
            }
            Vec::new()
        }
        Msg::Resize(width, height) => {
            model.size = Size { width, height };
            keep_in_view(model);
            Vec::new()
        }
        Msg::Snapshot(snapshot) => {
            let had = model.nodes.selected;
            model.set_snapshot(snapshot);
            if had.is_some() && model.nodes.selected.is_none() {
                model.tell("the selected row is gone; choose another one");
            }
            keep_in_view(model);
            Vec::new()
        }
        Msg::Tick(now) => {
            model.now = now;
            if model.notice.as_ref().is_some_and(|notice| notice.until <= now) {
                model.notice = None;
            }
            Vec::new()
        }
        Msg::Output(run, chunk) => {
            model.pager.take(run, chunk);
            Vec::new()
        }
        Msg::Replied { ticket, done, result } => {
            on_reply(model, ticket, done, result);
            Vec::new()
        }
        Msg::Previewed { ticket, result } => {
            on_preview(model, ticket, result);
            Vec::new()
        }
        Msg::EngineGone => {
            model.warn("the engine has stopped: nothing is served any more; q leaves");
            Vec::new()
        }
    }
}

fn on_preview(model: &mut Model, ticket: Ticket, result: Result<Box<Preview>, OrderError>) {
    match &mut model.modal {
        Some(Modal::Preview(look)) if look.ticket == ticket => {
            look.said = Some(result.map_err(|error| error.to_string()));
        }
        Some(Modal::Ask(dialog)) => {
            // The ticket of a question about the node that is asked about; an old one is about another.
            let node = model.reinstall.filter(|(mine, _)| *mine == ticket).map(|(_, node)| node);
            if let Some((question, node)) = dialog.asking().zip(node) {
                question.learn(node, result.as_deref());
            }
        }
        _ => {}
    }
}

fn on_reply(model: &mut Model, ticket: Ticket, done: String, result: Result<Reply, OrderError>) {
    let waits = matches!(&model.modal, Some(Modal::Ask(Dialog::Waiting { ticket: mine, .. })) if *mine == ticket);
    if let Some(Modal::Profile(form)) = &mut model.modal
        && form.ticket == Some(ticket)
    {
        form.ticket = None;
        match result {
            Ok(_) => {
                model.modal = None;
                model.tell(done);
            }
            Err(error) => form.refused = Some(error.to_string()),
        }
        return;
    }
    let dialog = if waits { model.modal.take() } else { None };
    match result {
        Ok(Reply::Queued(run)) => model.tell(format!("run {run} is queued; its output is on tab 2")),
        Ok(Reply::Undecided { until }) => {
            let left = super::text::seconds_left(until, model.now);
            model.tell(format!("{done}; {left} s to take it back with `u`"));
        }
        Ok(Reply::Done | Reply::Released | Reply::Asked { .. } | Reply::Withheld(_) | Reply::Rerender(_)) => {
            model.tell(done);
        }
        Err(error) => match dialog {
            Some(Modal::Ask(waiting)) => model.modal = Some(Modal::Ask(waiting.refuse(error.to_string()))),
            _ => model.warn(error.to_string()),
        },
    }
}

fn on_key(model: &mut Model, event: KeyEvent) -> Vec<Request> {
    model.notice = None;
    let binding = keymap::lookup(event, &model.scopes());
    if let Some(binding) = binding {
        return act(model, binding.scope, binding.action);
    }
    match &mut model.modal {
        Some(Modal::Ask(dialog)) => dialog.type_key(event),
        Some(Modal::Profile(form)) => {
            form.refused = None;
            form.field.type_key(event);
        }
        _ => {}
    }
    Vec::new()
}

fn act(model: &mut Model, scope: Scope, action: Action) -> Vec<Request> {
    if let Err(why) = offer(model, scope, action) {
        model.warn(why);
        return Vec::new();
    }
    match action {
        Action::Show(tab) => show(model, tab),
        Action::NextTab => show(model, model.tab.step(1)),
        Action::PreviousTab => show(model, model.tab.step(Tab::ALL.len() - 1)),
        Action::Up => step(model, -1),
        Action::Down => step(model, 1),
        Action::PageUp => step(model, -page(model)),
        Action::PageDown => step(model, page(model)),
        Action::Top => step(model, isize::MIN),
        Action::Bottom => step(model, isize::MAX),
        Action::Open => open(model),
        Action::Back => back(model),
        Action::Previous | Action::Next => neighbour(model, scope, action == Action::Next),
        Action::NextWaiting => next_waiting(model),
        Action::Approve => return approve(model),
        Action::Reject => reject(model),
        Action::Undo => return undo(model),
        Action::Rename => ask(model, |model| model.node().map(|node| Question::rename(node))),
        Action::Address => ask(model, |model| model.node().map(|node| Question::address(node))),
        Action::Run => ask(model, |model| Some(Question::run(model))),
        Action::Cancel => ask(model, |model| model.snapshot.fleet.active_run().map(|run| Question::cancel(run))),
        Action::MarkInstalled => ask(model, |model| model.node().map(|node| Question::mark(node))),
        Action::Trust => ask(model, |model| model.node().and_then(|node| Question::trust(node))),
        Action::Adopt => adopt(model),
        Action::Forget => ask(model, |model| model.node().map(|node| Question::forget(node))),
        Action::Preview => return preview(model),
        Action::NewProfile => {
            model.modal =
                model.node().and_then(|node| ProfileForm::new(node)).map(|form| Modal::Profile(Box::new(form)));
        }
        Action::Toggle => {
            if let Some(Modal::Profile(form)) = &mut model.modal {
                form.toggle();
            }
        }
        Action::Follow => {
            let size = view::output_size(model);
            model.pager.toggle(size.0, size.1);
        }
        Action::Copy => return copy(model),
        Action::Log(event) => model.log.transition(event),
        Action::Help => model.modal = Some(Modal::Help { top: 0 }),
        Action::Interrupt if matches!(model.modal, Some(Modal::Quit)) => return vec![Request::Exit],
        Action::Interrupt | Action::Quit => return quit(model),
        Action::Redraw => return vec![Request::Redraw],
        Action::Confirm => return confirm(model),
    }
    Vec::new()
}

fn show(model: &mut Model, tab: Tab) {
    model.tab = tab;
}

/// Rows in a page of what is in front.
fn page(model: &Model) -> isize {
    isize::try_from(view::page(model)).unwrap_or(1).max(1)
}

/// Moves whatever is in front by `by` rows.
fn step(model: &mut Model, by: isize) {
    let overflow = view::help_overflow(model);
    let preview_overflow = view::preview_overflow(model);
    match &mut model.modal {
        Some(Modal::Help { top }) => {
            *top = moved(*top, by, overflow);
            return;
        }
        Some(Modal::Preview(look)) => {
            look.top = moved(look.top, by, preview_overflow);
            return;
        }
        Some(Modal::Profile(form)) => return form.step(by),
        Some(Modal::Ask(dialog)) => return dialog.choose(by),
        Some(Modal::Quit) => return,
        None => {}
    }
    match model.tab {
        Tab::Nodes => match model.nodes.detail {
            Some(top) => model.nodes.detail = Some(moved(top, by, view::detail_overflow(model))),
            None => select(model, by),
        },
        Tab::Ansible => scroll_output(model, by),
        Tab::Setup => model.setup_top = moved(model.setup_top, by, view::setup_overflow(model)),
        Tab::Log => {}
    }
}

/// `from` moved by `by`, between 0 and `last`.
fn moved(from: usize, by: isize, last: usize) -> usize {
    from.saturating_add_signed(by).min(last)
}

fn select(model: &mut Model, by: isize) {
    // Without a selection the first press only shows where the keys are going to act.
    let by = if model.nodes.selected.is_some() || by == isize::MAX || by == isize::MIN { by } else { 0 };
    let last = model.overview.rows.len().saturating_sub(1);
    select_index(model, moved(model.nodes.index, by, last));
}

fn select_index(model: &mut Model, index: usize) {
    model.nodes.index = index;
    model.nodes.selected = model.overview.rows.get(index).copied();
    model.nodes.detail = model.nodes.detail.map(|_| 0);
    keep_in_view(model);
}

fn scroll_output(model: &mut Model, by: isize) {
    let (columns, rows) = view::output_size(model);
    match by {
        isize::MIN => model.pager.go_to_oldest(),
        isize::MAX => model.pager.place = super::pager::Place::Follow,
        by => model.pager.scroll(by, columns, rows),
    }
}

/// Scrolls the table so that the selected row is on the screen, and no more than needed.
fn keep_in_view(model: &mut Model) {
    let rows = view::table_rows(model).max(1);
    let nodes = &mut model.nodes;
    let last_top = model.overview.rows.len().saturating_sub(rows);
    nodes.top = nodes.top.min(nodes.index).max((nodes.index + 1).saturating_sub(rows)).min(last_top);
    if let Some(top) = model.nodes.detail {
        model.nodes.detail = Some(top.min(view::detail_overflow(model)));
    }
    model.setup_top = model.setup_top.min(view::setup_overflow(model));
}

fn open(model: &mut Model) {
    match model.modal.take() {
        Some(Modal::Ask(dialog)) => model.modal = Some(Modal::Ask(dialog.reconsider())),
        Some(other) => model.modal = Some(other),
        None => model.nodes.detail = Some(0),
    }
}

fn back(model: &mut Model) {
    if model.modal.take().is_none() {
        model.nodes.detail = None;
    }
}

fn neighbour(model: &mut Model, scope: Scope, forward: bool) {
    if scope == Scope::Detail {
        let last = model.overview.rows.len().saturating_sub(1);
        let by = if forward { 1 } else { -1 };
        return select_index(model, moved(model.nodes.index, by, last));
    }
    // Runs are listed newest first.
    let runs = &model.overview.runs;
    let here = runs.iter().position(|run| Some(*run) == model.pager.run()).unwrap_or_default();
    let there = moved(here, if forward { -1 } else { 1 }, runs.len().saturating_sub(1));
    let run = runs.get(there).copied();
    model.pager.show(run);
}

fn next_waiting(model: &mut Model) {
    let rows = &model.overview.rows;
    let fleet = &model.snapshot.fleet;
    let waits = |index: &usize| match rows[*index % rows.len()] {
        Row::Node(id) => fleet.node(id).is_some_and(|node| needs_decision(node)),
        Row::Report(_) => false,
    };
    let start = model.nodes.index + usize::from(model.nodes.selected.is_some());
    let next = (start..start + rows.len()).find(waits).map(|index| index % rows.len());
    if let Some(index) = next {
        select_index(model, index);
    }
}

/// Opens a question about what is selected.
fn ask(model: &mut Model, question: impl FnOnce(&Model) -> Option<Question>) {
    if let Some(question) = question(model) {
        model.modal = Some(Modal::Ask(Dialog::Asking(Box::new(question))));
    }
}

/// Approves at once, bound to the request on the screen; what may be installed already needs its name typed instead.
fn approve(model: &mut Model) -> Vec<Request> {
    let Some(node) = model.node().cloned() else { return Vec::new() };
    let Some(asked) = &node.request else { return Vec::new() };
    if node.may_be_installed() {
        ask(model, |_| Question::reinstall(&node));
        let ticket = model.ticket();
        model.reinstall = Some((ticket, node.id));
        return vec![Request::Preview { ticket, node: node.id }];
    }
    let held = model.snapshot.holds.contains_key(&node.id);
    let what_next = if held { "its answer is on its way" } else { "it gets its answer when it asks again" };
    let order = Order::Approve { node: node.id, seen: asked.stamp.clone() };
    let done = format!("approved `{}`; {what_next}", node.name);
    vec![send(model, Sending { order, done }).1]
}

/// Opens the page about the answer of the selected node.
fn preview(model: &mut Model) -> Vec<Request> {
    let Some(node) = model.node().cloned() else { return Vec::new() };
    let ticket = model.ticket();
    model.modal = Some(Modal::Preview(Look::new(&node, ticket)));
    vec![Request::Preview { ticket, node: node.id }]
}

/// Takes the decision about the selected row back, without asking.
fn undo(model: &mut Model) -> Vec<Request> {
    let Some(node) = model.node() else { return Vec::new() };
    let done = format!("taken back; `{}` is as it was before", node.name);
    let order = Order::Undo { node: node.id };
    vec![send(model, Sending { order, done }).1]
}

fn reject(model: &mut Model) {
    ask(model, |model| match model.subject()? {
        Subject::Node(node) => Some(Question::reject(node)),
        Subject::Report(report) => Some(Question::dismiss(report)),
    });
}

fn adopt(model: &mut Model) {
    let question = match model.subject() {
        Some(Subject::Report(report)) => Question::adopt(report, &model.snapshot.fleet),
        Some(Subject::Node(_)) | None => return,
    };
    match question {
        Some(question) => model.modal = Some(Modal::Ask(Dialog::Asking(Box::new(question)))),
        None => model.warn("no node could have sent it: none is approved, installing or stalled without a report"),
    }
}

fn send(model: &mut Model, sending: Sending) -> (Ticket, Request) {
    let ticket = model.ticket();
    (ticket, Request::Order { ticket, order: sending.order, done: sending.done })
}

fn copy(model: &mut Model) -> Vec<Request> {
    let command = view::prepare_command(&model.snapshot.service);
    model.tell("sent to the clipboard; where pasting brings nothing, this terminal has no OSC 52: select it by hand");
    vec![Request::Copy(command)]
}

fn quit(model: &mut Model) -> Vec<Request> {
    if super::modal::quit::reasons(model).is_empty() {
        return vec![Request::Exit];
    }
    model.modal = Some(Modal::Quit);
    Vec::new()
}

fn confirm(model: &mut Model) -> Vec<Request> {
    match model.modal.take() {
        Some(Modal::Quit) => vec![Request::Exit],
        Some(Modal::Profile(mut form)) => {
            let wish = form.wish();
            // One is on its way, or the dialog shows what is missing.
            let wish = wish.ok().filter(|_| form.ticket.is_none());
            let request = wish.map(|wish| {
                let ticket = model.ticket();
                form.ticket = Some(ticket);
                Request::NewProfile { ticket, wish }
            });
            model.modal = Some(Modal::Profile(form));
            request.into_iter().collect()
        }
        Some(Modal::Ask(Dialog::Asking(question))) => {
            // Where there is no order yet, the dialog shows the reason beside the field.
            let Ok(sending) = question.order(model) else {
                model.modal = Some(Modal::Ask(Dialog::Asking(question)));
                return Vec::new();
            };
            let (ticket, request) = send(model, sending);
            model.modal = Some(Modal::Ask(Dialog::Waiting { about: question, ticket }));
            vec![request]
        }
        other => {
            model.modal = other;
            Vec::new()
        }
    }
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
