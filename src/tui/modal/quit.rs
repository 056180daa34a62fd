//! What goes on, and what stops, when the console is left.

use super::Paragraph;
use crate::tui::model::Model;
use crate::tui::text::count;

/// Why leaving should be thought over. Empty: nothing is going on.
pub(in crate::tui) fn reasons(model: &Model) -> Vec<String> {
    let mut reasons = Vec::new();
    let held = model.snapshot.holds.len();
    if held > 0 {
        reasons.push(format!(
            "{} on hold: each reboots without its disks being touched, and asks again when this runs again.",
            count(held, "machine"),
        ));
    }
    let decided = model.snapshot.undecided.len();
    if decided > 0 {
        let them = if decided == 1 { "it" } else { "them" };
        reasons.push(format!(
            "{} that `u` can still take back: leaving lets {them} take effect at once.",
            count(decided, "decision")
        ));
    }
    if model.overview.installing > 0 {
        reasons.push(format!(
            "{} installing: that goes on, but a report that comes while nothing runs here is lost.",
            count(model.overview.installing, "node"),
        ));
    }
    if let Some(run) = model.snapshot.fleet.active_run() {
        reasons.push(format!(
            "Run {} on {}: it goes on and is found again at the next start.",
            run.id,
            count(run.nodes.len(), "node")
        ));
    }
    reasons
}

/// The dialog's words.
pub(in crate::tui) fn body(model: &Model) -> Vec<Paragraph> {
    let mut body: Vec<_> = reasons(model).into_iter().map(Paragraph::plain).collect();
    body.push(Paragraph::strong("Leave?"));
    body
}

/// The words before the program is stopped for a while.
pub(in crate::tui) fn suspend_body() -> Vec<Paragraph> {
    vec![
        Paragraph::plain("Back to the shell until `fg` brings the console back."),
        Paragraph::danger(
            "Until then NOTHING runs here: machines on hold end in a shell on their own screens, and reports are lost.",
        ),
        Paragraph::strong("Suspend all the same?"),
    ]
}
