//! Which of a machine's NICs is to be configured.

use super::{Ask, Input, InputMut, Leads, Paragraph, Picker, if_seen};
use crate::domain::{Fqdn, MacAddr, Node, NodeId, Order};
use crate::tui::model::Model;

/// Asks which NIC it is.
#[derive(Debug)]
pub(in crate::tui) struct ChooseNic {
    node: NodeId,
    name: Fqdn,
    /// The row as it was on the screen.
    revision: u64,
    macs: Vec<MacAddr>,
    picker: Picker,
}

impl ChooseNic {
    pub(super) fn new(node: &Node) -> Option<Self> {
        let asked = node.request.as_ref()?;
        let links = &asked.info.links;
        let note = |mac: MacAddr| match () {
            () if node.nic == Some(mac) => "  (chosen)",
            () if asked.asking_mac == Some(mac) => "  (it asked through this one)",
            () if node.plan.as_ref().is_some_and(|entry| entry.macs.contains(&mac)) => "  (named by the plan)",
            () => "",
        };
        let lines = links.iter().map(|link| format!("{}  {}{}", link.mac, link.name, note(link.mac)));
        let picker = Picker::new(lines.collect());
        let macs: Vec<_> = links.iter().map(|link| link.mac).collect();
        (!macs.is_empty()).then_some(Self {
            node: node.id,
            name: node.name.clone(),
            revision: node.revision,
            macs,
            picker,
        })
    }
}

impl Ask for ChooseNic {
    fn title(&self) -> String {
        format!("NIC of {}", self.name)
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        vec![
            Paragraph::plain("The installer sets up one NIC. Choose the one whose cable leads to the nodes' network:"),
            Paragraph::muted("Its MAC is printed on the card, and in the firmware's setup."),
        ]
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        let mac = self.macs.get(self.picker.marked()).copied().ok_or_else(|| "choose a NIC".to_owned())?;
        let done = format!("`{}` will use {mac}", self.name);
        let order = if_seen((self.node, self.revision), Order::ChooseNic { node: self.node, mac });
        Ok(Leads::order(order, done))
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Picker(&self.picker))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Picker(&mut self.picker))
    }
}
