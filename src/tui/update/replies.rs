//! What the engine said to orders: news, or the dialog that asked shows why not.

use crate::client::OrderError;
use crate::domain::{Fqdn, Ordered};
use crate::tui::action::Ticket;
use crate::tui::modal::{Dialog, Modal};
use crate::tui::model::Model;
use crate::tui::text;

/// Refusals of a batch that are listed by name.
const REFUSALS: usize = 6;

/// Closes and returns the dialog that waits for this ticket's reply.
fn awaiting(model: &mut Model, ticket: Ticket) -> Option<Modal> {
    let waits = matches!(&model.modal, Some(Modal::Ask(Dialog::Waiting { ticket: mine, .. })) if *mine == ticket);
    if waits { model.modal.take() } else { None }
}

pub(super) fn on_reply(model: &mut Model, ticket: Ticket, done: String, result: Result<Ordered, OrderError>) {
    if super::answers::on_written(model, ticket, &done, &result) {
        return;
    }
    let dialog = awaiting(model, ticket);
    match result {
        Ok(Ordered::Queued(run)) => {
            // Whoever orders a run wants to see it.
            model.show_run(Some(run));
            model.tell(format!("run {run} is queued; its output is on tab 2"));
        }
        Ok(Ordered::Undecided { until }) => {
            // What comes of it comes later.
            let what = done.split_once(';').map_or(done.as_str(), |(what, _)| what);
            let left = text::seconds_left(until, model.now);
            model.tell(format!("{what}; {left} s to take it back with `u`"));
            // Nobody reads it when that is over.
            model.notice.iter_mut().for_each(|notice| notice.until = notice.until.min(until));
        }
        Ok(Ordered::Issued(ticket)) => model.tell(format!("{ticket}: {done}")),
        Ok(Ordered::Done) => model.tell(done),
        Err(error) => match dialog {
            Some(Modal::Ask(waiting)) => model.modal = Some(Modal::Ask(waiting.refuse(error.to_string()))),
            _ => model.warn(error.to_string()),
        },
    }
}

/// Says what became of a batch. Marks stay on what was refused.
pub(super) fn on_settled(model: &mut Model, ticket: Ticket, done: &str, results: Vec<(Fqdn, Result<Ordered, String>)>) {
    let dialog = awaiting(model, ticket);
    let all = results.len();
    let (mut refused, mut window) = (Vec::new(), None);
    for (name, result) in results {
        match result {
            Ok(reply) => {
                if let Ordered::Undecided { until } = reply {
                    window = window.max(Some(until));
                }
                if let Some(node) = model.snapshot.fleet.named(&name) {
                    model.nodes.marks.remove(&node.id);
                }
            }
            Err(why) => refused.push(format!("{}: {why}", name.host())),
        }
    }
    let good = format!("{} {done}", text::count(all - refused.len(), "node"));
    if refused.is_empty() {
        let left =
            window.map(|until| format!("; {} s to take one back with `u`", text::seconds_left(until, model.now)));
        return model.tell(good + &left.unwrap_or_default());
    }
    let more = refused.len().saturating_sub(REFUSALS);
    let listed = refused[..refused.len() - more].join("\n");
    let rest = if more > 0 { format!("\nand {more} more; they are still marked") } else { String::new() };
    let words = format!("{good}, {} refused:\n{listed}{rest}", refused.len());
    match dialog {
        Some(Modal::Ask(waiting)) => model.modal = Some(Modal::Ask(waiting.refuse(words))),
        _ => model.warn(words),
    }
}
