//! Sending a machine away, and dropping a report nobody sent.

use super::{Ask, Field, Input, InputMut, Leads, Paragraph, if_seen};
use crate::domain::fleet::Unmatched;
use crate::domain::guard::ClaimCode;
use crate::domain::text::Text;
use crate::domain::{Fqdn, Node, NodeId, Order, ReportId};
use crate::tui::model::Model;

/// Asks why to send a machine away.
#[derive(Debug)]
pub(in crate::tui) struct Reject {
    node: NodeId,
    name: Fqdn,
    /// The row as it was on the screen.
    revision: u64,
    field: Field,
}

impl Reject {
    pub(super) fn new(node: &Node) -> Self {
        let field = Field::new("reason (may stay empty)", "");
        Self { node: node.id, name: node.name.clone(), revision: node.revision, field }
    }
}

impl Ask for Reject {
    fn title(&self) -> String {
        format!("Reject {}", self.name)
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        let code = ClaimCode::of(self.node);
        vec![
            Paragraph::plain(format!("Code {code}. The machine is refused at once and its disks stay as they are.")),
            Paragraph::plain("Its installer stops in a shell and shows the reason. Approving it later is possible."),
        ]
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        let reason = Text::new(self.field.value());
        let done = format!("rejected `{}`", self.name);
        let order = if_seen((self.node, self.revision), Order::Reject { node: self.node, reason });
        Ok(Leads::order(order, done))
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Field(&self.field))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Field(&mut self.field))
    }
}

/// Asks whether to drop a report.
#[derive(Debug)]
pub(in crate::tui) struct Dismiss {
    report: ReportId,
    words: String,
}

impl Dismiss {
    pub(super) fn new(report: &Unmatched) -> Self {
        let name = report.report.fqdn.as_ref().map_or("no host name", Text::as_str);
        Self { report: report.id, words: format!("Report {} from {}, which names `{name}`.", report.id, report.peer) }
    }
}

impl Ask for Dismiss {
    fn title(&self) -> String {
        format!("Drop report {}", self.report)
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        vec![
            Paragraph::plain(self.words.clone()),
            Paragraph::danger("It cannot be adopted afterwards, and no installer sends its report twice."),
        ]
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        let done = format!("dropped report {}", self.report);
        Ok(Leads::order(Order::DismissReport { report: self.report }, done))
    }
}
