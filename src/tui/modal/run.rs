//! Starting the playbook and stopping it.

use super::field::Field;
use super::sheet::{Sheet, SheetLine};
use super::{Ask, Input, InputMut, Leads, Paragraph};
use crate::domain::layout::RUNS;
use crate::domain::options::{MAX_VARS_BYTES, parse_assignments};
use crate::domain::{Fqdn, Node, NodeId, Order, Phase, Run, RunId, RunOptions};
use crate::tui::action::Tab;
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

/// Characters of a line of tags.
const MAX_TAGS: usize = 4 << 10;

/// Nodes named that cannot be run.
const NAMED: usize = 5;

/// Asks where and how to run the playbook. What becomes ready later is never included.
#[derive(Debug)]
pub(in crate::tui) struct RunNodes {
    targets: Vec<Vec<NodeId>>,
    tasks: Vec<String>,
    sheet: Sheet,
    aside: Option<String>,
}

impl RunNodes {
    /// Offers the marked nodes, as they are marked now, or else the selected one; all; and those that failed, first where `failed`.
    pub(super) fn new(model: &Model, failed: bool) -> Self {
        let fleet = &model.snapshot.fleet;
        let able: Vec<_> = fleet.nodes().filter(|node| node.may_run()).collect();
        let is_failed = |node: &&&std::sync::Arc<Node>| matches!(node.phase, Phase::Failed { .. });
        let every: Vec<NodeId> = able.iter().map(|node| node.id).collect();
        let broken: Vec<NodeId> = able.iter().filter(is_failed).map(|node| node.id).collect();
        let mut offers = Vec::new();
        let marked: Vec<_> = model.marked().collect();
        let is_marked = !marked.is_empty() && model.tab == Tab::Nodes && !failed;
        let (chosen, left_out): (Vec<_>, Vec<_>) = match model.node() {
            _ if is_marked => marked.into_iter().partition(|node| node.may_run()),
            selected => selected.into_iter().partition(|node| node.may_run()),
        };
        if let Some(first) = chosen.first() {
            let words = match chosen.len() {
                1 => format!("only {} ({})", first.name, first.phase.word()),
                several => format!("the {several} that are marked"),
            };
            offers.push((chosen.iter().map(|node| node.id).collect(), words));
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
        let why = |node: &Node| {
            if node.unproven.is_some() && node.host_keys.is_empty() {
                "unproven: accept its host key first"
            } else {
                node.phase.word()
            }
        };
        let aside = match left_out.as_slice() {
            [] => None,
            _ if failed => None,
            [node] => Some(format!("{} is not offered: it is {}.", node.name, why(node))),
            [first, rest @ ..] => {
                let hosts: Vec<_> =
                    std::iter::once(first).chain(rest).take(NAMED).map(|node| node.name.host()).collect();
                let more = left_out.len() - hosts.len();
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                Some(format!("Left out, because they cannot be run now: {}{more}.", hosts.join(", ")))
            }
        };
        let (targets, nodes) = offers.into_iter().unzip();
        let tasks: Vec<String> = model.snapshot.service.tasks.iter().map(|task| task.as_str().to_owned()).collect();
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
        SheetLine::Text(Field::new("Tags", "").of(MAX_TAGS)),
        SheetLine::Text(Field::new("Skip tags", "").of(MAX_TAGS)),
        SheetLine::Text(Field::new("Variables", "").of(MAX_VARS_BYTES)),
        choice("Start at", starts),
        choice("Verbosity", verbosity),
    ])
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

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        let nodes = self.nodes();
        if nodes.is_empty() {
            return Err("no node can be run any more".to_owned());
        }
        let options = Box::new(self.options()?);
        Ok(Leads::order(Order::Run { nodes, options }, "the run is queued".to_owned()))
    }

    fn command(&self, model: &Model) -> Option<String> {
        let options = self.options().ok()?;
        let fleet = &model.snapshot.fleet;
        let nodes = self.nodes();
        let names: Vec<&str> = nodes.iter().filter_map(|id| fleet.node(*id)).map(|node| node.name.as_str()).collect();
        let folder = format!("{RUNS}/{}", fleet.next_run());
        Some(model.snapshot.service.caller.line(&folder, &names, &options))
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Sheet(&self.sheet))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Sheet(&mut self.sheet))
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

    fn leads(&self, model: &Model) -> Result<Leads, String> {
        if model.snapshot.fleet.active_run().map(|run| run.id) != Some(self.run) {
            return Err(format!("run {} is over; there is nothing to stop", self.run));
        }
        Ok(Leads::order(Order::Cancel, format!("run {} is being stopped", self.run)))
    }
}
