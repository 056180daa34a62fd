//! Folds what happened into the model and returns what is to be done about it. Pure: no clock, no terminal, no engine.

use std::sync::Arc;

use crossterm::event::{KeyEvent, KeyEventKind};
use ratatui::layout::Size;
use tui_logger::TuiWidgetEvent;

use super::action::{Action, Msg, Request, Tab, Ticket};
use super::hints::HINTS;
use super::keymap::{self, Scope};
use super::modal::{Batch, Dialog, Field, Leads, Modal, Question, Sending, Verb, if_seen, quit, seen};
use super::model::{Check, Model, Row, Subject};
use super::offer::offer;
use super::runs::Level;
use super::view;
use crate::domain::fleet::Gate;
use crate::domain::{NodeId, Order, Snapshot};
pub(super) use finding::palette;
use moving::{neighbour, page, step};

mod answers;
mod finding;
mod mouse;
mod moving;
mod replies;
mod runs;
mod table;
mod walking;

/// Folds one message in.
pub(super) fn update(model: &mut Model, msg: Msg) -> Vec<Request> {
    match msg {
        Msg::Key(event) if event.kind == KeyEventKind::Release => Vec::new(),
        Msg::Key(event) => on_key(model, event),
        Msg::Paste(text) => {
            if let Some(field) = model.modal.as_mut().and_then(Modal::typing) {
                field.paste(&text);
                finding::typed(model);
            }
            Vec::new()
        }
        Msg::Label(label) => {
            finding::scanned(model, &label);
            Vec::new()
        }
        Msg::Mouse(event) => mouse::on_mouse(model, event),
        Msg::Resize(width, height) => {
            model.size = Size { width, height };
            table::keep_in_view(model);
            Vec::new()
        }
        Msg::Snapshot(snapshot) => on_snapshot(model, snapshot),
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
        Msg::Progress(run, progress) => {
            if model.pager.run() == Some(run) {
                model.runs.take(run, progress);
            }
            Vec::new()
        }
        Msg::Result(place, result) => {
            model.runs.take_result(place, result);
            Vec::new()
        }
        Msg::History(node, moments) => {
            model.history = Some((node, moments));
            Vec::new()
        }
        Msg::Replied { ticket, done, result } => {
            replies::on_reply(model, ticket, done, result);
            Vec::new()
        }
        Msg::Previewed { ticket, result } => {
            answers::on_preview(model, ticket, result);
            Vec::new()
        }
        Msg::Settled { ticket, done, results } => {
            replies::on_settled(model, ticket, done, results);
            Vec::new()
        }
        Msg::Tested(outcome) => {
            model.check = Check::Done(outcome);
            table::keep_in_bounds(model);
            Vec::new()
        }
        Msg::Extras(extras) => {
            model.rings = extras.bell;
            let title = model.rings.then(|| Request::Title(view::title(model)));
            std::iter::once(Request::Extras(extras)).chain(title).collect()
        }
        Msg::Told(Ok(news)) => {
            model.tell(news);
            Vec::new()
        }
        Msg::Told(Err(news)) => {
            model.warn(news);
            Vec::new()
        }
        Msg::EngineGone => {
            model.engine_is_gone = true;
            model.warn("the engine has stopped: nothing is served any more; q leaves");
            Vec::new()
        }
    }
}

fn on_snapshot(model: &mut Model, snapshot: Arc<Snapshot>) -> Vec<Request> {
    let (had, undecided) = (model.nodes.selected, model.overview.undecided);
    let was_in_view = table::is_in_view(model);
    let walked = model.overview.walk.take();
    model.set_snapshot(snapshot);
    walking::announce(model, walked.as_ref());
    if had.is_some() && model.nodes.selected.is_none() {
        let why = if model.listing.filter.is_on() { "does not match the filter any more" } else { "is gone" };
        model.tell(format!("the selected row {why}; choose another one"));
    }
    // Whoever has scrolled away looks at something else; the next key that moves leads back.
    if was_in_view {
        table::keep_in_view(model);
    } else {
        table::keep_in_bounds(model);
    }
    alert(model, undecided)
}

/// Rings when more machines wait than before, and keeps their number in the terminal's title.
fn alert(model: &Model, before: usize) -> Vec<Request> {
    let now = model.overview.undecided;
    if !model.rings || now == before {
        return Vec::new();
    }
    let title = Request::Title(view::title(model));
    if now > before { vec![title, Request::Ring] } else { vec![title] }
}

fn on_key(model: &mut Model, event: KeyEvent) -> Vec<Request> {
    model.notice = None;
    let binding = keymap::lookup(event, &model.scopes());
    if let Some(binding) = binding {
        return act(model, binding.scope, binding.action);
    }
    if let Some(field) = model.modal.as_mut().and_then(Modal::typing) {
        field.type_key(event);
        finding::typed(model);
    }
    Vec::new()
}

/// Goes where a question leads.
fn take(model: &mut Model, mut question: Box<Question>) -> Vec<Request> {
    let (ticket, request) = match question.leads(model) {
        Ok(Leads::Order(sending)) => send(model, sending),
        Ok(Leads::Batch(Batch { orders, done })) => {
            let ticket = model.ticket();
            (ticket, Request::Batch { ticket, done, orders })
        }
        Ok(Leads::GoTo(node)) => {
            show_row(model, node);
            return Vec::new();
        }
        Ok(Leads::Open(next)) => {
            model.modal = Some(Modal::Ask(Dialog::Asking(next)));
            return Vec::new();
        }
        Err(_) => {
            // The dialog shows why.
            question.missed();
            model.modal = Some(Modal::Ask(Dialog::Asking(question)));
            return Vec::new();
        }
    };
    model.modal = Some(Modal::Ask(Dialog::Waiting { about: question, ticket }));
    vec![request]
}

/// Selects the row of a node and shows it.
fn show_row(model: &mut Model, node: NodeId) {
    model.modal = None;
    let shown =
        |model: &Model| (0..model.listing.items().len()).find(|line| model.listing.row(*line) == Some(Row::Node(node)));
    if shown(model).is_none() {
        // It is hidden by the filter, and whoever types its code wants to see it.
        table::filter(model, "");
    }
    if let Some(line) = shown(model) {
        table::select_line(model, line);
    }
}

fn act(model: &mut Model, scope: Scope, action: Action) -> Vec<Request> {
    if let Err(why) = offer(model, scope, action) {
        if !why.is_empty() {
            model.warn(why);
        }
        return Vec::new();
    }
    if scope == Scope::Nodes && is_about_the_row(model, action) && !table::is_shown(model) {
        table::keep_in_view(model);
        model.warn("the selected row was not on the screen; here it is: look, then press again");
        return Vec::new();
    }
    if let Some(verb) = Verb::of(action).filter(|_| scope == Scope::Nodes && !model.nodes.marks.is_empty()) {
        ask(model, |model| Some(Question::bulk(verb, model)));
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
        Action::Back => return back(model),
        Action::Previous | Action::Next | Action::Toggle if scope == Scope::Value => choose(model, action),
        Action::Previous | Action::Next => neighbour(model, scope, action == Action::Next),
        Action::NextWaiting => table::next_waiting(model),
        Action::Mark => table::mark(model),
        Action::MarkAll => table::mark_all(model),
        Action::Filter => model.modal = Some(Modal::Filter(Field::new("filter", model.listing.filter.text()))),
        Action::Sort => table::sort(model),
        Action::Reverse => table::reverse(model),
        Action::Group => table::group(model),
        Action::Approve => return approve(model),
        Action::Reject => reject(model),
        Action::Undo => return undo(model),
        Action::Merge => ask(model, |model| Some(Question::same(model.node()?, &model.snapshot.fleet))),
        Action::Ban => ask(model, |model| model.node().map(|node| Question::ban(node))),
        Action::Standing => ask(model, |model| Some(Question::standing(model))),
        Action::Jump => ask(model, |_| Some(Question::jump())),
        Action::Edit => ask(model, |model| model.node().map(|node| Question::edit(node, model))),
        Action::ChooseProfile => ask(model, |model| Some(Question::profile(model))),
        Action::Swap => ask(model, Question::swap),
        Action::Walk => ask(model, |model| Some(Question::walk(model))),
        Action::SkipSlot | Action::StepBack => return walking::step(model, action == Action::SkipSlot),
        Action::Big => model.modal = Some(Modal::Big { top: 0 }),
        Action::Rename => ask(model, |model| model.node().map(|node| Question::rename(node))),
        Action::Nic => ask(model, |model| model.node().and_then(|node| Question::nic(node))),
        Action::Address => ask(model, |model| model.node().map(|node| Question::address(node))),
        Action::Run => ask(model, |model| Some(Question::run(model))),
        Action::RunFailed => ask(model, |model| Some(Question::run_failed(model))),
        Action::Gate => ask(model, |model| Some(Question::gate(model))),
        Action::NextFailure | Action::PreviousFailure => runs::next_failure(model, action == Action::NextFailure),
        Action::RawOutput => runs::raw_output(model),
        Action::Cancel => ask(model, |model| model.snapshot.fleet.active_run().map(|run| Question::cancel(run))),
        Action::MarkInstalled => ask(model, |model| model.node().map(|node| Question::mark(node))),
        Action::Trust => ask(model, |model| model.node().and_then(|node| Question::trust(node))),
        Action::Adopt => adopt(model),
        Action::Forget => ask(model, |model| model.node().map(|node| Question::forget(node))),
        Action::Preview => return answers::preview(model),
        Action::NewProfile => answers::new_profile(model),
        Action::Toggle => answers::toggle(model),
        Action::Follow => {
            let size = view::output_size(model);
            model.pager.toggle(size.0, size.1);
        }
        Action::Find => runs::find(model),
        Action::NextFind | Action::PreviousFind => runs::next_find(model, action == Action::NextFind),
        Action::Wrap => model.pager.is_cut = !model.pager.is_cut,
        Action::Copy => return copy(model),
        Action::CopyShown => return to_clipboard(model, runs::shown(model)),
        Action::Write => {
            let topic = view::topic(model);
            return vec![Request::Write { file: topic.file, text: format!("{}\n", topic.snippet) }];
        }
        Action::SelfTest => {
            model.check = Check::Going;
            return vec![Request::SelfTest];
        }
        Action::NextHint | Action::NoHints => return hints(model, action),
        Action::Log(TuiWidgetEvent::EscapeKey) if matches!(model.overview.gate, Gate::Counting { .. }) => {
            return hold(model);
        }
        Action::Log(event) => model.log.transition(event),
        Action::Help => model.modal = Some(Modal::Help { top: 0, search: Field::new("search", "") }),
        Action::Palette => model.modal = Some(Modal::Palette { marked: 0, search: Field::new("do", "") }),
        Action::Ghosts => model.modal = Some(Modal::Ghosts { top: 0 }),
        Action::Problems => model.modal = Some(Modal::Problems { top: 0 }),
        Action::Suspend if quit::reasons(model).is_empty() => return vec![Request::Suspend],
        Action::Suspend => model.modal = Some(Modal::Suspend),
        Action::Interrupt if matches!(model.modal, Some(Modal::Quit)) => return vec![Request::Exit],
        Action::Interrupt | Action::Quit => return quit(model),
        Action::Redraw => return vec![Request::Redraw],
        Action::Confirm => return confirm(model),
    }
    Vec::new()
}

/// Whether it acts on the selected row, so that whoever presses its key must see that one.
fn is_about_the_row(model: &Model, action: Action) -> bool {
    match action {
        Action::Approve | Action::Reject | Action::Undo | Action::Forget | Action::ChooseProfile | Action::Swap => {
            model.nodes.marks.is_empty()
        }
        Action::Merge
        | Action::Ban
        | Action::Edit
        | Action::Rename
        | Action::Nic
        | Action::Address
        | Action::MarkInstalled
        | Action::Trust
        | Action::Adopt
        | Action::NewProfile
        | Action::Mark => true,
        _ => false,
    }
}

/// Another value in the marked line of a form.
fn choose(model: &mut Model, action: Action) {
    let Some(sheet) = model.modal.as_mut().and_then(Modal::sheet_mut) else { return };
    match action {
        Action::Previous => sheet.choose(-1),
        Action::Toggle if sheet.is_last() => sheet.choose(isize::MIN),
        _ => sheet.choose(1),
    }
}

fn show(model: &mut Model, tab: Tab) {
    model.tab = tab;
}

fn open(model: &mut Model) {
    match model.modal.take() {
        Some(Modal::Ask(dialog)) => model.modal = Some(Modal::Ask(dialog.reconsider())),
        Some(other) => model.modal = Some(other),
        None if model.tab == Tab::Ansible => runs::open(model),
        None => model.nodes.detail = Some(0),
    }
}

/// One step back: the dialog, then a run that is about to start by itself, then a result, the grid, a search, the detail, the
/// marks, the filter.
fn back(model: &mut Model) -> Vec<Request> {
    match model.modal.take() {
        Some(Modal::Filter(_)) => table::filter(model, ""),
        Some(Modal::Find(_)) => model.pager.search(""),
        Some(_) => {}
        None if matches!(model.overview.gate, Gate::Counting { .. }) => return hold(model),
        None => match (model.tab, model.runs.level) {
            (Tab::Ansible, Level::Result) => model.runs.level = Level::Grid,
            (Tab::Ansible, Level::Grid) => model.runs.level = Level::Output,
            (Tab::Ansible, Level::Output) if model.pager.is_searched() => model.pager.search(""),
            (Tab::Nodes, _) if model.nodes.detail.is_some() => model.nodes.detail = None,
            (Tab::Nodes, _) if !model.nodes.marks.is_empty() => model.nodes.marks.clear(),
            (Tab::Nodes, _) if !model.listing.filter.text().is_empty() => table::filter(model, ""),
            _ if model.overview.walk.is_some() => ask(model, |_| Some(Question::stop_walk())),
            _ => {}
        },
    }
    Vec::new()
}

/// Holds a run that is about to start by itself: the header says that Esc does, whatever is in front.
fn hold(model: &mut Model) -> Vec<Request> {
    let order = Order::HoldGate { hold: true };
    let done = "held: no run starts by itself until you say so (key W)".to_owned();
    vec![send(model, Sending { order, done }).1]
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
        return answers::reinstall(model, &node);
    }
    let held = model.snapshot.holds.contains_key(&node.id);
    let what_next = if held { "its answer is on its way" } else { "it gets its answer when it asks again" };
    let order = Order::Approve { node: node.id, seen: asked.stamp.clone() };
    let done = format!("approved `{}`; {what_next}", node.name);
    vec![send(model, Sending { order, done }).1]
}

/// Takes the decision about the selected row back, without asking: the one on the screen, and no other.
fn undo(model: &mut Model) -> Vec<Request> {
    let Some(node) = model.node() else { return Vec::new() };
    let done = format!("taken back; `{}` is as it was before", node.name);
    let order = if_seen(seen(node), Order::Undo { node: node.id });
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
    let command = match &model.modal {
        Some(Modal::Ask(dialog)) => dialog.about().command(model).unwrap_or_default(),
        _ if model.tab == Tab::Ansible => {
            model.runs.progress().and_then(|progress| progress.command.clone()).unwrap_or_default()
        }
        _ => view::topic(model).snippet,
    };
    to_clipboard(model, command)
}

fn to_clipboard(model: &mut Model, text: String) -> Vec<Request> {
    model.tell("sent to the clipboard; where pasting brings nothing, this terminal has no OSC 52: select it by hand");
    vec![Request::Copy(text)]
}

/// The next hint, or none for good.
fn hints(model: &mut Model, action: Action) -> Vec<Request> {
    model.hint = model.hint.map(|hint| hint + 1).filter(|hint| action == Action::NextHint && *hint < HINTS.len());
    table::keep_in_view(model);
    if model.hint.is_some() { Vec::new() } else { vec![Request::NoHints] }
}

fn quit(model: &mut Model) -> Vec<Request> {
    if quit::reasons(model).is_empty() {
        return vec![Request::Exit];
    }
    model.modal = Some(Modal::Quit);
    Vec::new()
}

fn confirm(model: &mut Model) -> Vec<Request> {
    match model.modal.take() {
        Some(Modal::Quit) => vec![Request::Exit],
        Some(Modal::Suspend) => vec![Request::Suspend],
        Some(Modal::Profile(form)) => answers::write(model, form),
        Some(Modal::Palette { marked, search }) => {
            model.modal = Some(Modal::Palette { marked, search });
            finding::carry_out(model)
        }
        // The filter and the search stay; only the line closes.
        Some(Modal::Filter(_) | Modal::Find(_)) => Vec::new(),
        Some(Modal::Ask(Dialog::Asking(question))) => take(model, question),
        other => {
            model.modal = other;
            Vec::new()
        }
    }
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
