//! Finding by typing: the filter of the table, the search in the help, the list of actions.

use super::{act, show, table};
use crate::tui::action::{Action, Reach, Request, Tab};
use crate::tui::keymap::{BINDINGS, Binding, Scope, mentions};
use crate::tui::modal::{Dialog, Field, Modal, Question};
use crate::tui::model::Model;
use crate::tui::offer::offer;

/// Does what follows from a changed search field.
pub(super) fn typed(model: &mut Model) {
    let field = model.modal.as_mut().and_then(Modal::typing);
    if let Some(why) = field.and_then(|field| field.refused().map(str::to_owned)) {
        model.warn(why);
    }
    match &mut model.modal {
        Some(Modal::Help { top, .. }) => *top = 0,
        Some(Modal::Palette { .. }) => look(model),
        Some(Modal::Filter(field)) => {
            let text = field.value().to_owned();
            table::filter(model, &text);
        }
        Some(Modal::Find(field)) => {
            let text = field.value().to_owned();
            model.pager.search(&text);
        }
        _ => {}
    }
}

/// A label that was scanned without the key for it goes where that key leads; in front of a question, nowhere.
pub(super) fn scanned(model: &mut Model, label: &str) {
    if model.modal.is_some() {
        return model
            .warn("that was typed faster than a hand can, so it was not taken; Esc closes this, then scan again");
    }
    if let Err(why) = offer(model, Scope::Nodes, Action::Jump) {
        return model.warn(why);
    }
    show(model, Tab::Nodes);
    model.modal = Some(Modal::Ask(Dialog::Asking(Box::new(Question::scanned(label)))));
}

/// Opens the list of actions.
pub(super) fn open_palette(model: &mut Model) {
    model.modal = Some(Modal::Palette { found: Vec::new(), marked: 0, search: Field::new("do", "") });
    look(model);
}

/// Lists the actions whose words were typed, what is possible here first. Only then: what happens meanwhile must put no
/// other action under the mark.
fn look(model: &mut Model) {
    let Some(Modal::Palette { search, .. }) = &model.modal else { return };
    let mut list: Vec<_> =
        BINDINGS.iter().filter(|binding| is_listed(binding) && mentions(binding, search.value())).collect();
    list.sort_by_key(|binding| place(model, binding));
    if let Some(Modal::Palette { found, marked, .. }) = &mut model.modal {
        (*found, *marked) = (list, 0);
    }
}

fn is_listed(binding: &Binding) -> bool {
    let has_place = binding.scope.tab().is_some() || matches!(binding.scope, Scope::Tabs | Scope::Always);
    // What everybody's fingers know, and the way here, is no action to look for.
    let is_known = binding.action.reach() == Reach::Steps || matches!(binding.action, Action::Back | Action::Palette);
    has_place && !is_known && binding.scope != Scope::Detail
}

/// What can be done on this tab now, what could be done elsewhere, what cannot be done now.
fn place(model: &Model, binding: &Binding) -> u8 {
    let is_here = binding.scope.tab().is_none_or(|tab| tab == model.tab);
    match (is_here, offer(model, binding.scope, binding.action).is_ok()) {
        (true, true) => 0,
        (false, true) => 1,
        (_, false) => 2,
    }
}

/// Does what is marked in the palette, on the tab it belongs to.
pub(super) fn carry_out(model: &mut Model, binding: &Binding) -> Vec<Request> {
    if let Some(tab) = binding.scope.tab() {
        show(model, tab);
    }
    act(model, binding.scope, binding.action)
}
