//! Everything the screen shows: the snapshot, what is derived from it once, and where the operator is.
//!
//! Only [`update`](super::update) changes a model; views read it.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::layout::Size;
use tui_logger::TuiWidgetState;

use super::TuiOptions;
use super::action::{Tab, Ticket};
use super::keymap::Scope;
use super::modal::Modal;
use super::pager::Pager;
use super::theme::Theme;
use crate::domain::fleet::{Gate, Unmatched};
use crate::domain::node::Flag;
use crate::domain::{Node, NodeId, Phase, ReportId, RunId, Snapshot};

/// How long a notice stays unless a key takes it away.
pub(super) const NOTICE_SECONDS: i64 = 10;

/// From this width on the detail stands beside the table.
pub(super) const WIDE: u16 = 120;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// A machine.
    Node(NodeId),
    /// A report nobody could match.
    Report(ReportId),
}

/// What a [`Row`] stands for in the present snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject<'a> {
    /// A machine.
    Node(&'a Arc<Node>),
    /// A report nobody could match.
    Report(&'a Arc<Unmatched>),
}

/// What every tab shows about the fleet, worked out once per snapshot.
#[derive(Debug)]
pub(super) struct Overview {
    /// The table: nodes oldest first, then unmatched reports. The order never changes under the operator's hands.
    pub(super) rows: Vec<Row>,
    /// How many nodes stand in which phase, in the order of life.
    pub(super) counts: Vec<(Phase, usize)>,
    /// Machines that wait for a first decision.
    pub(super) waiting: usize,
    /// Machines on hold that may be installed already.
    pub(super) asking_again: usize,
    /// Nodes whose report is still to come.
    pub(super) installing: usize,
    /// Columns of the longest host name.
    pub(super) longest_name: usize,
    /// How far the gate is.
    pub(super) gate: Gate,
    /// Runs, newest first.
    pub(super) runs: Vec<RunId>,
}

impl Overview {
    fn of(snapshot: &Snapshot) -> Self {
        let fleet = &snapshot.fleet;
        let nodes = fleet.nodes().map(|node| Row::Node(node.id));
        let reports = fleet.unmatched().map(|report| Row::Report(report.id));
        let mut counts: Vec<(Phase, usize)> = Vec::new();
        for node in fleet.nodes() {
            match counts.iter_mut().find(|(phase, _)| phase.word() == node.phase.word()) {
                Some((_, count)) => *count += 1,
                None => counts.push((node.phase.clone(), 1)),
            }
        }
        counts.sort_by_key(|(phase, _)| order(phase));
        let number =
            |wanted: fn(&Phase) -> bool| counts.iter().filter(|(phase, _)| wanted(phase)).map(|(_, count)| count).sum();
        let held = snapshot.holds.keys().filter_map(|id| fleet.node(*id));
        Self {
            rows: nodes.chain(reports).collect(),
            waiting: number(|phase| *phase == Phase::Waiting),
            installing: number(|phase| *phase == Phase::Installing),
            asking_again: held.filter(|node| node.flags.contains(&Flag::AsksAgain)).count(),
            longest_name: fleet.nodes().map(|node| node.name.as_str().len()).max().unwrap_or_default(),
            gate: fleet.gate(),
            runs: fleet.runs().rev().map(|run| run.id).collect(),
            counts,
        }
    }
}

/// Place of a phase in the header: what went wrong first, then the order of life.
fn order(phase: &Phase) -> u8 {
    match phase {
        Phase::Waiting => 0,
        Phase::Failed { .. } => 1,
        Phase::Unreachable { .. } => 2,
        Phase::Stalled { .. } => 3,
        Phase::Approved => 4,
        Phase::Installing => 5,
        Phase::Installed => 6,
        Phase::Booting => 7,
        Phase::Ready => 8,
        Phase::Configuring => 9,
        Phase::Configured => 10,
        Phase::Rejected { .. } => 11,
        Phase::Planned => 12,
    }
}

/// Where the operator is in the Nodes tab.
#[derive(Debug, Default)]
pub(super) struct NodesPane {
    /// The row the keys act on. `None` where the table is empty, and when the row vanished: then no key may act on
    /// whatever moved into its place.
    pub(super) selected: Option<Row>,
    /// Its place in the table.
    pub(super) index: usize,
    /// The first row drawn.
    pub(super) top: usize,
    /// How far the detail is scrolled, where it is in front.
    pub(super) detail: Option<usize>,
}

/// A line of news in the footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    /// The news.
    pub(super) text: String,
    /// Whether something did not work.
    pub(super) is_bad: bool,
    /// When it goes.
    pub(super) until: Timestamp,
}

/// Everything the screen shows.
pub(super) struct Model {
    /// The state on the screen: what an approval binds to.
    pub(super) snapshot: Arc<Snapshot>,
    /// What is derived from it.
    pub(super) overview: Overview,
    /// The clock.
    pub(super) now: Timestamp,
    /// Zone of the clock in the header.
    pub(super) zone: TimeZone,
    /// Size of the terminal.
    pub(super) size: Size,
    /// How to draw.
    pub(super) theme: Theme,
    /// The tab in front.
    pub(super) tab: Tab,
    /// The Nodes tab.
    pub(super) nodes: NodesPane,
    /// The Ansible tab.
    pub(super) pager: Pager,
    /// The Log tab.
    pub(super) log: TuiWidgetState,
    /// How far the Setup tab is scrolled.
    pub(super) setup_top: usize,
    /// The dialog that is open.
    pub(super) modal: Option<Modal>,
    /// What the last question about a reinstall was asked with: what it would touch comes later.
    pub(super) reinstall: Option<(Ticket, NodeId)>,
    /// News.
    pub(super) notice: Option<Notice>,
    /// The last ticket given out.
    pub(super) last_ticket: Ticket,
}

impl Model {
    /// A console that has just opened.
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        now: Timestamp,
        zone: TimeZone,
        size: Size,
        options: TuiOptions,
    ) -> Self {
        let overview = Overview::of(&snapshot);
        let nodes = NodesPane { selected: overview.rows.first().copied(), ..NodesPane::default() };
        let mut pager = Pager::default();
        pager.show(overview.runs.first().copied());
        Self {
            snapshot,
            overview,
            now,
            zone,
            size,
            theme: Theme::new(options),
            tab: Tab::default(),
            nodes,
            pager,
            log: TuiWidgetState::new(),
            setup_top: 0,
            modal: None,
            reinstall: None,
            notice: None,
            last_ticket: Ticket::default(),
        }
    }

    /// Takes in a newer snapshot; the selection stays on its row.
    pub(super) fn set_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        let newest = self.overview.runs.first().copied();
        let was_empty = self.overview.rows.is_empty();
        self.overview = Overview::of(&snapshot);
        self.snapshot = snapshot;
        let rows = &self.overview.rows;
        match self.nodes.selected {
            Some(row) => match rows.iter().position(|candidate| *candidate == row) {
                Some(index) => self.nodes.index = index,
                None => self.nodes = NodesPane { selected: None, detail: None, ..self.nodes },
            },
            None if was_empty => self.nodes.selected = rows.first().copied(),
            None => {}
        }
        self.nodes.index = self.nodes.index.min(rows.len().saturating_sub(1));
        let latest = self.overview.runs.first().copied();
        if self.pager.run() == newest || self.shown_run().is_none() {
            self.pager.show(latest);
        }
    }

    /// What the selected row stands for.
    pub(super) fn subject(&self) -> Option<Subject<'_>> {
        match self.nodes.selected? {
            Row::Node(id) => self.snapshot.fleet.node(id).map(Subject::Node),
            Row::Report(id) => self.report(id).map(Subject::Report),
        }
    }

    /// The selected node.
    pub(super) fn node(&self) -> Option<&Arc<Node>> {
        match self.subject()? {
            Subject::Node(node) => Some(node),
            Subject::Report(_) => None,
        }
    }

    /// An unmatched report.
    pub(super) fn report(&self, id: ReportId) -> Option<&Arc<Unmatched>> {
        self.snapshot.fleet.unmatched().find(|report| report.id == id)
    }

    /// The run the Ansible tab shows, if it is still remembered.
    pub(super) fn shown_run(&self) -> Option<&Arc<crate::domain::Run>> {
        self.pager.run().and_then(|run| self.snapshot.fleet.run(run))
    }

    /// Whether the detail stands beside the table.
    pub(super) fn is_wide(&self) -> bool {
        self.size.width >= WIDE
    }

    /// Where keys are looked up, nearest first.
    pub(super) fn scopes(&self) -> Vec<Scope> {
        if let Some(modal) = &self.modal {
            return vec![modal.scope(), Scope::Always];
        }
        let mut scopes = match self.tab {
            Tab::Nodes if self.nodes.detail.is_some() => vec![Scope::Detail, Scope::Nodes],
            Tab::Nodes => vec![Scope::Nodes],
            Tab::Ansible => vec![Scope::Ansible],
            Tab::Log => vec![Scope::Log],
            Tab::Setup => vec![Scope::Setup],
        };
        scopes.extend([Scope::Tabs, Scope::Always]);
        scopes
    }

    /// Shows good news.
    pub(super) fn tell(&mut self, text: impl AsRef<str>) {
        self.notify(text.as_ref(), false);
    }

    /// Shows why something did not happen.
    pub(super) fn warn(&mut self, text: impl AsRef<str>) {
        self.notify(text.as_ref(), true);
    }

    fn notify(&mut self, text: &str, is_bad: bool) {
        let until = self.now + jiff::SignedDuration::from_secs(NOTICE_SECONDS);
        self.notice = Some(Notice { text: super::text::clean(text), is_bad, until });
    }

    /// A ticket nobody has.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.last_ticket = Ticket(self.last_ticket.0 + 1);
        self.last_ticket
    }
}
