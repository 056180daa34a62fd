//! Walk mode: one key for the next step, and a word when a machine has taken a slot.

use super::send;
use crate::domain::guard::ClaimCode;
use crate::domain::walk::Taken;
use crate::domain::{NodeId, WalkView};
use crate::tui::action::Request;
use crate::tui::modal::walk;
use crate::tui::model::Model;

/// Skips the slot that is on the screen, or takes the last step back.
pub(super) fn step(model: &mut Model, is_skip: bool) -> Vec<Request> {
    let view = model.overview.walk.as_ref();
    let sending = view.and_then(|view| if is_skip { walk::skip(view) } else { walk::step_back(view) });
    sending.map(|sending| send(model, sending).1).into_iter().collect()
}

/// Says who has come since the walk was last looked at.
pub(super) fn announce(model: &mut Model, before: Option<&WalkView>) {
    let (Some(before), Some(now)) = (before, &model.overview.walk) else { return };
    let Some((slot, taken)) = now.last.clone().filter(|last| before.last.as_ref() != Some(last)) else { return };
    let place = |node: NodeId| {
        let entry = model.snapshot.fleet.node(node).and_then(|node| node.plan.as_ref());
        walk::slot(&slot, entry.and_then(|entry| entry.place()).as_deref())
    };
    match taken {
        Taken::By(node) if now.taken > before.taken => {
            let words = format!("a machine took {}, code {}: compare it, then `a`", place(node), ClaimCode::of(node));
            model.tell(words);
        }
        Taken::Own(node) => {
            let words = format!("a machine has its own row by what it shows, not the next slot: {}", place(node));
            model.tell(words);
        }
        Taken::By(_) | Taken::Skipped => {}
    }
}
