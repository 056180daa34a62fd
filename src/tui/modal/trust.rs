//! A host key on the operator's word.

use super::{Ask, Leads, Paragraph};
use crate::domain::{Fqdn, Node, NodeId, Order};
use crate::tui::model::Model;

/// Asks whether the key shown is the node's.
#[derive(Debug)]
pub(in crate::tui) struct Trust {
    node: NodeId,
    name: Fqdn,
    algorithm: String,
    fingerprint: String,
}

impl Trust {
    pub(super) fn new(node: &Node) -> Option<Self> {
        let key = node.unproven.as_ref()?;
        let (algorithm, fingerprint) = (key.algorithm().to_owned(), key.fingerprint());
        Some(Self { node: node.id, name: node.name.clone(), algorithm, fingerprint })
    }
}

impl Ask for Trust {
    fn title(&self) -> String {
        format!("Host key of {}", self.name)
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        let file = self.algorithm.strip_prefix("ssh-").unwrap_or(&self.algorithm);
        vec![
            Paragraph::plain("It reported no host key. SSH at its address shows this one:"),
            Paragraph::strong(format!("{} {}", self.algorithm, self.fingerprint)),
            Paragraph::plain("Compare it on the machine's own screen, logged in as root:"),
            Paragraph::muted(format!("ssh-keygen -lf /etc/ssh/ssh_host_{file}_key.pub")),
            Paragraph::danger("If it differs, another system answers there: say no."),
        ]
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        let order = Order::TrustHostKey { node: self.node, fingerprint: self.fingerprint.clone() };
        Ok(Leads::order(order, format!("the host key of `{}` is accepted", self.name)))
    }
}
