//! Starting the playbook and stopping it.

use super::{Ask, Paragraph, Picker, Sending};
use crate::domain::{Fqdn, NodeId, Order, Run, RunId};
use crate::tui::model::Model;
use crate::tui::text;

/// Asks where to run the playbook. What becomes ready later is never included.
#[derive(Debug)]
pub(in crate::tui) struct RunNodes {
    targets: Vec<Vec<NodeId>>,
    picker: Picker,
    aside: Option<String>,
}

impl RunNodes {
    pub(super) fn new(model: &Model) -> Self {
        let able: Vec<_> = model.snapshot.fleet.nodes().filter(|node| node.may_run()).collect();
        let every: Vec<NodeId> = able.iter().map(|node| node.id).collect();
        let mut targets = Vec::new();
        let mut choices = Vec::new();
        let selected = model.node();
        if let Some(node) = selected.filter(|node| node.may_run()) {
            targets.push(vec![node.id]);
            choices.push(format!("only {} ({})", node.name, node.phase.word()));
        }
        choices.push(match able.as_slice() {
            [only] => format!("every node that can be run: {}", only.name),
            several => format!("every node that can be run: {}", text::count(several.len(), "node")),
        });
        targets.push(every);
        let aside = selected.filter(|node| !node.may_run()).map(|node| {
            let why = if node.unproven.is_some() { "unproven: accept its host key first" } else { node.phase.word() };
            format!("{} is not offered: it is {why}.", node.name)
        });
        Self { targets, picker: Picker::new(choices), aside }
    }
}

impl Ask for RunNodes {
    fn title(&self) -> String {
        "Run the playbook".to_owned()
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        let mut body = vec![Paragraph::plain("Ansible logs in as root and changes these nodes:")];
        body.extend(self.aside.iter().map(Paragraph::muted));
        body
    }

    fn order(&self, _model: &Model) -> Result<Sending, String> {
        let nodes = self.targets.get(self.picker.marked()).cloned().unwrap_or_default();
        if nodes.is_empty() {
            return Err("no node can be run any more".to_owned());
        }
        Ok(Sending { order: Order::Run { nodes, options: Box::default() }, done: "the run is queued".to_owned() })
    }

    fn picker(&self) -> Option<&Picker> {
        Some(&self.picker)
    }

    fn picker_mut(&mut self) -> Option<&mut Picker> {
        Some(&mut self.picker)
    }
}

/// Asks whether to stop a run.
#[derive(Debug)]
pub(in crate::tui) struct CancelRun {
    run: RunId,
}

impl CancelRun {
    pub(super) fn new(run: &Run) -> Self {
        Self { run: run.id }
    }
}

impl Ask for CancelRun {
    fn title(&self) -> String {
        format!("Stop run {}", self.run)
    }

    fn body(&self, model: &Model) -> Vec<Paragraph> {
        let Some(run) = model.snapshot.fleet.run(self.run) else { return Vec::new() };
        let names: Vec<_> = run.nodes.values().take(3).map(Fqdn::host).collect();
        let more = run.nodes.len().saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let mut body = vec![Paragraph::strong(format!("It works on {}{more}.", names.join(", ")))];
        body.push(if run.is_stopping() {
            Paragraph::danger("A stop was asked for already. This ends it AT ONCE, in the middle of a task.")
        } else {
            Paragraph::danger("Nodes may be left half configured, for example with packages half installed.")
        });
        body.push(Paragraph::plain("Running the playbook again should bring them to the same end."));
        body
    }

    fn order(&self, model: &Model) -> Result<Sending, String> {
        if model.snapshot.fleet.active_run().map(|run| run.id) != Some(self.run) {
            return Err(format!("run {} is over; there is nothing to stop", self.run));
        }
        Ok(Sending { order: Order::Cancel, done: format!("run {} is being stopped", self.run) })
    }
}
