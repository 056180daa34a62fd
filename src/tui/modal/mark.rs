//! The operator's word in place of a report.

use super::{Ask, Leads, Paragraph, if_seen};
use crate::domain::{Fqdn, Node, NodeId, Order};
use crate::tui::model::Model;

/// Asks whether a node is installed.
#[derive(Debug)]
pub(in crate::tui) struct Mark {
    node: NodeId,
    name: Fqdn,
    /// The row as it was on the screen.
    revision: u64,
}

impl Mark {
    pub(super) fn new(node: &Node) -> Self {
        Self { node: node.id, name: node.name.clone(), revision: node.revision }
    }
}

impl Ask for Mark {
    fn title(&self) -> String {
        format!("Is {} installed?", self.name)
    }

    fn body(&self, model: &Model) -> Vec<Paragraph> {
        let node = model.snapshot.fleet.node(self.node);
        let reports =
            node.and_then(|node| node.request.as_ref()).is_none_or(|asked| asked.info.generation.has_webhook());
        let why = if reports {
            "Its installer sends a report by itself; say yes only if you see that it finished and the report was lost."
        } else {
            "Its installer is too old to send a report. Say yes when its screen shows a finished install."
        };
        vec![
            Paragraph::plain(why),
            Paragraph::plain("It enters the inventory as unproven: no run includes it until you accept its host key."),
        ]
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        let done = format!("`{}` is marked installed; it is being looked for", self.name);
        let order = if_seen((self.node, self.revision), Order::MarkInstalled { node: self.node });
        Ok(Leads::order(order, done))
    }
}
