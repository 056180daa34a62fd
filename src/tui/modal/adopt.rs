//! Whose report is this? Likely owners come first.

use super::{Ask, Input, InputMut, Leads, Paragraph, Picker, if_seen, seen};
use crate::domain::fleet::{Fleet, Unmatched};
use crate::domain::text::Text;
use crate::domain::{Fqdn, MachineId, Node, NodeId, Order, ReportId};
use crate::tui::model::Model;

/// Asks which node sent a report.
#[derive(Debug)]
pub(in crate::tui) struct Adopt {
    report: ReportId,
    words: String,
    /// Nodes as they were on the screen.
    owners: Vec<((NodeId, u64), Fqdn)>,
    picker: Picker,
}

impl Adopt {
    pub(super) fn new(report: &Unmatched, fleet: &Fleet) -> Option<Self> {
        let machine = MachineId::of_report(&report.report);
        let mut owners: Vec<_> = fleet.nodes().filter(|node| node.phase.may_adopt() && node.report.is_none()).collect();
        owners.sort_by_key(|node| (std::cmp::Reverse(likeness(node, &machine, report)), node.id));
        let words = |node: &Node| match likeness(node, &machine, report) {
            0 => format!("{} ({}; nothing in common)", node.name, node.phase.word()),
            1 => format!("{} ({}; same host name)", node.name, node.phase.word()),
            _ => format!("{} ({}; same machine)", node.name, node.phase.word()),
        };
        let picker = Picker::new(owners.iter().map(|node| words(node)).collect());
        let owners: Vec<_> = owners.into_iter().map(|node| (seen(node), node.name.clone())).collect();
        let name = report.report.fqdn.as_ref().map_or("no host name", Text::as_str);
        let words =
            format!("Report {} came from {} without a valid secret and names `{name}`.", report.id, report.peer);
        (!owners.is_empty()).then_some(Self { report: report.id, words, owners, picker })
    }
}

/// 2: shares a UUID, serial or MAC; 1: carries the host name; 0: neither.
fn likeness(node: &Node, machine: &MachineId, report: &Unmatched) -> u8 {
    let same_uuid = machine.uuid.is_some() && machine.uuid == node.machine.uuid;
    let same_serial = machine.serial.is_some() && machine.serial == node.machine.serial;
    if same_uuid || same_serial || !machine.macs.is_disjoint(&node.machine.macs) {
        return 2;
    }
    u8::from(report.report.fqdn.as_ref().is_some_and(|fqdn| fqdn.as_str().eq_ignore_ascii_case(node.name.as_str())))
}

impl Ask for Adopt {
    fn title(&self) -> String {
        format!("Whose is report {}?", self.report)
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        vec![
            Paragraph::plain(self.words.clone()),
            Paragraph::plain("You vouch for it: its host keys and address become those of the node you choose."),
        ]
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        let (owner, name) = self.owners.get(self.picker.marked()).cloned().ok_or_else(|| "choose a node".to_owned())?;
        let done = format!("report {} belongs to `{name}` now", self.report);
        let order = if_seen(owner, Order::Adopt { report: self.report, node: owner.0 });
        Ok(Leads::order(order, done))
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Picker(&self.picker))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Picker(&mut self.picker))
    }
}
