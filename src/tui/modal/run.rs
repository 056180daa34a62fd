//! Starting the playbook and stopping it.

use std::collections::BTreeSet;

use super::field::Field;
use super::sheet::{Sheet, SheetLine};
use super::{Ask, Paragraph, Sending};
use crate::domain::options::{parse_assignments, shell_word};
use crate::domain::{Fqdn, NodeId, Order, Phase, Run, RunId, RunOptions};
use crate::tui::model::Model;
use crate::tui::text;

// The lines of the sheet.
const NODES: usize = 0;
const MODE: usize = 1;
const TAGS: usize = 2;
const SKIP_TAGS: usize = 3;
const VARS: usize = 4;
const START_AT: usize = 5;
const VERBOSITY: usize = 6;

/// Tasks offered to start at.
const MAX_TASKS: usize = 500;

/// Asks where and how to run the playbook. What becomes ready later is never included.
#[derive(Debug)]
pub(in crate::tui) struct RunNodes {
    targets: Vec<Vec<NodeId>>,
    tasks: Vec<String>,
    sheet: Sheet,
    aside: Option<String>,
}

impl RunNodes {
    /// Offers the selected node, all, and those that failed; the latter first where `failed`.
    pub(super) fn new(model: &Model, failed: bool) -> Self {
        let fleet = &model.snapshot.fleet;
        let able: Vec<_> = fleet.nodes().filter(|node| node.may_run()).collect();
        let is_failed = |node: &&&std::sync::Arc<crate::domain::Node>| matches!(node.phase, Phase::Failed { .. });
        let every: Vec<NodeId> = able.iter().map(|node| node.id).collect();
        let broken: Vec<NodeId> = able.iter().filter(is_failed).map(|node| node.id).collect();
        let mut offers = Vec::new();
        let selected = model.node();
        if let Some(node) = selected.filter(|node| node.may_run()) {
            offers.push((vec![node.id], format!("only {} ({})", node.name, node.phase.word())));
        }
        let all = match able.as_slice() {
            [only] => format!("every node that can be run: {}", only.name),
            several => format!("every node that can be run: {}", text::count(several.len(), "node")),
        };
        offers.push((every, all));
        if !broken.is_empty() {
            let words = format!("those that failed: {}", text::count(broken.len(), "node"));
            offers.insert(if failed { 0 } else { offers.len() }, (broken, words));
        }
        let aside = selected.filter(|node| !node.may_run() && !failed).map(|node| {
            let why = if node.unproven.is_some() { "unproven: accept its host key first" } else { node.phase.word() };
            format!("{} is not offered: it is {why}.", node.name)
        });
        let (targets, nodes) = offers.into_iter().unzip();
        let tasks = tasks(model);
        let sheet = sheet(nodes, &tasks, fleet.runs().next().is_none());
        Self { targets, tasks, sheet, aside }
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.targets.get(self.sheet.chosen(NODES)).cloned().unwrap_or_default()
    }

    fn options(&self) -> Result<RunOptions, String> {
        let words = |text: &str| text.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let start_at = self.sheet.chosen(START_AT).checked_sub(1).and_then(|index| self.tasks.get(index)).cloned();
        let options = RunOptions {
            check: self.is_check(),
            diff: false,
            tags: words(self.sheet.text(TAGS)),
            skip_tags: words(self.sheet.text(SKIP_TAGS)),
            vars: parse_assignments(self.sheet.text(VARS))?,
            verbosity: u8::try_from(self.sheet.chosen(VERBOSITY)).unwrap_or_default(),
            start_at,
        };
        options.judge().map_err(|refusal| refusal.to_string())?;
        Ok(options)
    }

    fn is_check(&self) -> bool {
        let Some(SheetLine::Choice { choices, chosen, .. }) = self.sheet.lines().get(MODE) else { return false };
        choices.get(*chosen).is_some_and(|words| words == CHECK)
    }
}

/// What is chosen for a run that changes nothing.
const CHECK: &str = "check only: say what would change (--check --diff)";

fn sheet(nodes: Vec<String>, tasks: &[String], is_first: bool) -> Sheet {
    let choice = |label, choices| SheetLine::Choice { label, choices, chosen: 0 };
    let mut modes = vec!["run, and change the nodes".to_owned(), CHECK.to_owned()];
    if is_first {
        // The first press looks before it leaps.
        modes.reverse();
    }
    let starts = std::iter::once("the beginning".to_owned()).chain(tasks.iter().cloned()).collect();
    let verbosity = ["as usual", "-v", "-vv", "-vvv", "-vvvv"].map(str::to_owned).to_vec();
    Sheet::new(vec![
        choice("Nodes", nodes),
        choice("Mode", modes),
        SheetLine::Text(Field::new("Tags", "")),
        SheetLine::Text(Field::new("Skip tags", "")),
        SheetLine::Text(Field::new("Variables", "")),
        choice("Start at", starts),
        choice("Verbosity", verbosity),
    ])
}

/// The tasks of the run that is shown, each once: Ansible is given a name.
fn tasks(model: &Model) -> Vec<String> {
    let columns = model.runs.grid().map(|grid| grid.columns.as_slice()).unwrap_or_default();
    let mut seen = BTreeSet::new();
    let plain = columns.iter().filter(|column| column.kind.is_empty()).map(|column| column.name.as_str());
    plain.filter(|name| seen.insert(*name)).take(MAX_TASKS).map(str::to_owned).collect()
}

impl Ask for RunNodes {
    fn title(&self) -> String {
        "Run the playbook".to_owned()
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        let words = if self.is_check() {
            "Ansible logs in as root, looks, and changes nothing:"
        } else {
            "Ansible logs in as root and changes these nodes:"
        };
        let mut body = vec![Paragraph::plain(words)];
        body.extend(self.aside.iter().map(Paragraph::muted));
        body
    }

    fn order(&self, _model: &Model) -> Result<Sending, String> {
        let nodes = self.nodes();
        if nodes.is_empty() {
            return Err("no node can be run any more".to_owned());
        }
        let options = Box::new(self.options()?);
        Ok(Sending { order: Order::Run { nodes, options }, done: "the run is queued".to_owned() })
    }

    fn command(&self, model: &Model) -> Option<String> {
        let options = self.options().ok()?;
        let service = &model.snapshot.service;
        let names: Vec<&str> = self
            .nodes()
            .iter()
            .filter_map(|id| model.snapshot.fleet.node(*id))
            .map(|node| node.name.as_str())
            .collect();
        let mut words: Vec<String> =
            ["ansible-playbook", "-i", "nodes/dynamic-inventory.json", "--limit"].map(str::to_owned).to_vec();
        words.push(names.join(","));
        words.extend(options.arguments());
        if !options.vars.is_empty() {
            words.extend(["-e".to_owned(), serde_json::to_string(&options.vars).unwrap_or_default()]);
        }
        words.extend(["--".to_owned(), service.playbook.clone()]);
        Some(words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" "))
    }

    fn sheet(&self) -> Option<&Sheet> {
        Some(&self.sheet)
    }

    fn sheet_mut(&mut self) -> Option<&mut Sheet> {
        Some(&mut self.sheet)
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
        let pipelining =
            "Where your ansible.cfg says `pipelining = True`, what runs on a node at this moment goes on there.";
        body.push(Paragraph::muted(pipelining));
        body
    }

    fn order(&self, model: &Model) -> Result<Sending, String> {
        if model.snapshot.fleet.active_run().map(|run| run.id) != Some(self.run) {
            return Err(format!("run {} is over; there is nothing to stop", self.run));
        }
        Ok(Sending { order: Order::Cancel, done: format!("run {} is being stopped", self.run) })
    }
}
