//! The mouse: what is under it, and what a click or the wheel does there. Nothing can be done by mouse alone, and no
//! click acts on a machine by itself: buttons are the footer's keys.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::{act, show, step, table};
use crate::tui::action::{Action, Request, Tab};
use crate::tui::keymap::Scope;
use crate::tui::modal::Modal;
use crate::tui::model::Model;
use crate::tui::view::{self, Spot};

/// Lines a turn of the wheel moves.
const WHEEL: isize = 3;

/// Folds a mouse event in.
pub(super) fn on_mouse(model: &mut Model, event: MouseEvent) -> Vec<Request> {
    match event.kind {
        MouseEventKind::ScrollUp => wheel(model, event, -WHEEL),
        MouseEventKind::ScrollDown => wheel(model, event, WHEEL),
        MouseEventKind::Down(MouseButton::Left) => return click(model, view::spot(model, event.column, event.row)),
        MouseEventKind::Down(_)
        | MouseEventKind::Up(_)
        | MouseEventKind::Drag(_)
        | MouseEventKind::Moved
        | MouseEventKind::ScrollLeft
        | MouseEventKind::ScrollRight => {}
    }
    Vec::new()
}

/// Scrolls what is under the mouse; a dialog in front takes it all.
fn wheel(model: &mut Model, event: MouseEvent, by: isize) {
    let over_table = matches!(view::spot(model, event.column, event.row), Spot::Line(_) | Spot::Sort(_));
    if model.modal.is_none() && model.tab == Tab::Nodes && over_table {
        table::scroll(model, by);
    } else {
        step(model, by);
    }
}

fn click(model: &mut Model, spot: Spot) -> Vec<Request> {
    model.notice = None;
    let is_free = matches!(model.modal, None | Some(Modal::Filter(_) | Modal::Find(_)));
    match spot {
        Spot::Key(binding) => return act(model, binding.scope, binding.action),
        Spot::Tab(tab) if is_free => {
            model.modal = None;
            show(model, tab);
        }
        Spot::Line(line) if is_free => {
            let is_again = model.listing.row(line).is_some() && model.listing.row(line) == model.nodes.selected;
            if is_again && model.nodes.detail.is_none() {
                return act(model, Scope::Nodes, Action::Open);
            }
            if model.listing.row(line).is_some() {
                model.nodes.detail = None;
                table::select_line(model, line);
            }
        }
        Spot::Sort(sort) if is_free => table::sort_by(model, sort),
        Spot::Detail if is_free && model.nodes.detail.is_none() => return act(model, Scope::Nodes, Action::Open),
        Spot::Problems if is_free => return act(model, Scope::Tabs, Action::Problems),
        Spot::Tab(_) | Spot::Line(_) | Spot::Sort(_) | Spot::Detail | Spot::Problems | Spot::Nothing => {}
    }
    Vec::new()
}
