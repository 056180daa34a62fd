//! Answers explained, and profiles made from machines: questions to the engine that are no orders.

use crate::client::{OrderError, Preview};
use crate::domain::{Node, Ordered};
use crate::tui::action::{Request, Ticket};
use crate::tui::modal::{Look, Modal, ProfileForm, Question};
use crate::tui::model::Model;

/// Opens the page about the answer of the selected node.
pub(super) fn preview(model: &mut Model) -> Vec<Request> {
    let Some(node) = model.node().cloned() else { return Vec::new() };
    let ticket = model.ticket();
    model.modal = Some(Modal::Preview(Look::new(&node, ticket)));
    vec![Request::Preview { ticket, node: node.id }]
}

/// Asks what a reinstall would touch, while the operator reads the question.
pub(super) fn reinstall(model: &mut Model, node: &Node) -> Vec<Request> {
    super::ask(model, |_| Question::reinstall(node));
    let ticket = model.ticket();
    model.reinstall = Some((ticket, node.id));
    vec![Request::Preview { ticket, node: node.id }]
}

/// Takes in what the engine said about an answer.
pub(super) fn on_preview(model: &mut Model, ticket: Ticket, result: Result<Box<Preview>, OrderError>) {
    match &mut model.modal {
        Some(Modal::Preview(look)) if look.ticket == ticket => {
            look.said = Some(result.map_err(|error| error.to_string()));
        }
        Some(Modal::Ask(dialog)) => {
            // An old ticket is about another question.
            let node = model.reinstall.filter(|(mine, _)| *mine == ticket).map(|(_, node)| node);
            if let Some((question, node)) = dialog.asking().zip(node) {
                question.learn(node, result.as_deref());
            }
        }
        _ => {}
    }
}

/// Opens the dialog that makes a profile.
pub(super) fn new_profile(model: &mut Model) {
    let form = model.node().and_then(|node| ProfileForm::new(node));
    model.modal = form.map(|form| Modal::Profile(Box::new(form)));
}

/// Ticks the marked line.
pub(super) fn toggle(model: &mut Model) {
    if let Some(Modal::Profile(form)) = &mut model.modal {
        form.toggle();
    }
}

/// Has the profile written, unless something is missing, which the dialog shows, or it is on its way.
pub(super) fn write(model: &mut Model, mut form: Box<ProfileForm>) -> Vec<Request> {
    let wish = form.wish().ok().filter(|_| form.ticket.is_none());
    let request = wish.map(|wish| {
        let ticket = model.ticket();
        form.ticket = Some(ticket);
        form.refused = None;
        Request::NewProfile { ticket, wish }
    });
    model.modal = Some(Modal::Profile(form));
    request.into_iter().collect()
}

/// Takes in what became of a profile. `false` where the reply is another dialog's.
pub(super) fn on_written(model: &mut Model, ticket: Ticket, done: &str, result: &Result<Ordered, OrderError>) -> bool {
    let Some(Modal::Profile(form)) = &mut model.modal else { return false };
    if form.ticket != Some(ticket) {
        return false;
    }
    form.ticket = None;
    match result {
        Ok(_) => {
            model.modal = None;
            model.tell(done);
        }
        Err(error) => form.refused = Some(error.to_string()),
    }
    true
}
