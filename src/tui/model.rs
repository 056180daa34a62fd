//! Everything the screen shows: the snapshot, what is derived from it once, and where the operator is.
//!
//! Only [`update`](super::update) changes a model; views read it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use ratatui::layout::Size;
use tui_logger::{TuiWidgetEvent, TuiWidgetState};

use super::TuiOptions;
use super::action::{Tab, Ticket};
use super::keymap::Scope;
use super::listing::Listing;
use super::modal::{Dialog, Modal};
use super::offer::needs_decision;
use super::pager::{Pager, Place};
use super::runs::{Level, RunsPane};
use super::theme::Theme;
use crate::client::{Moment, SelfTest};
use crate::domain::fleet::{Gate, Unmatched};
use crate::domain::node::Flag;
use crate::domain::siblings::Norms;
use crate::domain::text::Text;
use crate::domain::{Node, NodeId, Phase, ReportId, RunId, Snapshot, WalkView};

/// Columns from which the Log tab lists targets beside the messages.
const WIDE_LOG: u16 = 100;

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
    /// Rows there are, shown or not.
    pub(super) rows: usize,
    /// How many nodes stand in which phase, in the order of life.
    pub(super) counts: Vec<(Phase, usize)>,
    /// Machines that wait for a first decision.
    pub(super) waiting: usize,
    /// Machines on hold that may be installed already.
    pub(super) asking_again: usize,
    /// Rows that wait for the operator's word.
    pub(super) undecided: usize,
    /// Nodes a run may include.
    pub(super) runnable: usize,
    /// Nodes whose report is still to come.
    pub(super) installing: usize,
    /// Columns of the longest host name.
    pub(super) longest_name: usize,
    /// When a machine was last heard.
    pub(super) heard: Option<Timestamp>,
    /// What most machines of each model are like.
    pub(super) norms: Norms,
    /// How long installing takes on each model, in the middle.
    usual: BTreeMap<Option<Text>, SignedDuration>,
    /// How far the gate is.
    pub(super) gate: Gate,
    /// Runs, newest first.
    pub(super) runs: Vec<RunId>,
    /// The walk along the rack that goes on.
    pub(super) walk: Option<WalkView>,
    /// Whether a row of the plan waits for its machine.
    pub(super) plan_waits: bool,
}

impl Overview {
    fn of(snapshot: &Snapshot) -> Self {
        let fleet = &snapshot.fleet;
        let mut all = Self {
            rows: fleet.node_count() + fleet.unmatched().count(),
            counts: Vec::new(),
            waiting: 0,
            asking_again: 0,
            undecided: 0,
            runnable: 0,
            installing: 0,
            longest_name: 0,
            heard: None,
            norms: Norms::of(fleet.nodes().map(AsRef::as_ref)),
            usual: BTreeMap::new(),
            gate: fleet.gate(),
            runs: fleet.runs().rev().map(|run| run.id).collect(),
            walk: fleet.walk_view(),
            plan_waits: fleet.nodes().any(|node| node.is_unclaimed()),
        };
        let mut times: BTreeMap<Option<Text>, Vec<SignedDuration>> = BTreeMap::new();
        for node in fleet.nodes() {
            match all.counts.iter_mut().find(|(phase, _)| phase.word() == node.phase.word()) {
                Some((_, count)) => *count += 1,
                None => all.counts.push((node.phase.clone(), 1)),
            }
            all.undecided += usize::from(needs_decision(node));
            all.runnable += usize::from(node.may_run());
            all.longest_name = all.longest_name.max(node.name.as_str().len());
            let reported = node.report.as_ref().map(|reported| reported.at);
            all.heard = all.heard.max(reported).max(node.request.as_ref().map(|asked| asked.at));
            if let (Some(at), Some(answers)) = (reported, &node.answers) {
                times.entry(node.model().cloned()).or_default().push(at.duration_since(answers.last));
            }
        }
        all.usual = times.into_iter().filter_map(|(model, times)| Some((model, middle(times)?))).collect();
        all.counts.sort_by_key(|(phase, _)| life(phase));
        let number = |wanted: fn(&Phase) -> bool| {
            all.counts.iter().filter(|(phase, _)| wanted(phase)).map(|(_, count)| count).sum()
        };
        (all.waiting, all.installing) =
            (number(|phase| *phase == Phase::Waiting), number(|phase| *phase == Phase::Installing));
        let held = snapshot.holds.keys().filter_map(|id| fleet.node(*id));
        all.asking_again = held.filter(|node| node.flags.contains(&Flag::AsksAgain)).count();
        all
    }

    /// How long a node like this one takes from its answer to its report, as far as this fleet has shown.
    pub(super) fn usual_install(&self, node: &Node) -> Option<SignedDuration> {
        self.usual.get(&node.model().cloned()).copied()
    }
}

/// The one in the middle.
fn middle(mut times: Vec<SignedDuration>) -> Option<SignedDuration> {
    let half = times.len() / 2;
    (!times.is_empty()).then(|| *times.select_nth_unstable(half).1)
}

/// Place of a phase in header and table: who waits and what went wrong first, then the order of life.
pub(super) fn life(phase: &Phase) -> u8 {
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
    /// Its line in the listing.
    pub(super) index: usize,
    /// The first line drawn.
    pub(super) top: usize,
    /// How far the detail is scrolled, where it is in front.
    pub(super) detail: Option<usize>,
    /// Nodes marked for an order to all of them.
    pub(super) marks: BTreeSet<NodeId>,
}

/// How far the self-test is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Check {
    /// Nobody asked for it.
    #[default]
    None,
    /// It goes on.
    Going,
    /// Its last word, with each step.
    Done(SelfTest),
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
    /// The table's lines.
    pub(super) listing: Listing,
    /// Whether the engine has ended.
    pub(super) engine_is_gone: bool,
    /// The clock.
    pub(super) now: Timestamp,
    /// Zone of the clock in the header.
    pub(super) zone: TimeZone,
    /// Size of the terminal.
    pub(super) size: Size,
    /// How to draw.
    pub(super) theme: Theme,
    /// Whether a machine that begins to wait rings the bell and is named in the window's title.
    pub(super) rings: bool,
    /// The tab in front.
    pub(super) tab: Tab,
    /// The Nodes tab.
    pub(super) nodes: NodesPane,
    /// What happened to a node, as it stood when this was read.
    pub(super) history: Option<(Arc<Node>, Vec<Moment>)>,
    /// The output in the Ansible tab.
    pub(super) pager: Pager,
    /// The rest of it.
    pub(super) runs: RunsPane,
    /// The Log tab.
    pub(super) log: TuiWidgetState,
    /// How far the Setup tab is scrolled.
    pub(super) setup_top: usize,
    /// The hint that is shown, if any still is.
    pub(super) hint: Option<usize>,
    /// The self-test of the Setup tab.
    pub(super) check: Check,
    /// Which way of the Setup tab is shown.
    pub(super) topic: usize,
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
        options: &TuiOptions,
    ) -> Self {
        let overview = Overview::of(&snapshot);
        let listing = Listing::of(&snapshot, &overview.norms);
        let nodes = NodesPane { selected: listing.row(0), ..NodesPane::default() };
        let mut pager = Pager::default();
        pager.show(overview.runs.first().copied());
        let log = TuiWidgetState::new();
        // The messages need the room more than the list of targets does.
        if size.width < WIDE_LOG {
            log.transition(TuiWidgetEvent::HideKey);
        }
        Self {
            snapshot,
            overview,
            listing,
            engine_is_gone: false,
            now,
            zone,
            size,
            theme: Theme::new(options),
            rings: options.extras.bell,
            tab: Tab::default(),
            nodes,
            history: None,
            pager,
            runs: RunsPane::default(),
            log,
            setup_top: 0,
            hint: options.hints.as_ref().map(|_| 0),
            check: Check::default(),
            topic: 0,
            modal: None,
            reinstall: None,
            notice: None,
            last_ticket: Ticket::default(),
        }
    }

    /// Takes in a newer snapshot; the selection stays on its row.
    pub(super) fn set_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        let newest = self.overview.runs.first().copied();
        let was_empty = self.overview.rows == 0;
        self.overview = Overview::of(&snapshot);
        self.snapshot = snapshot;
        self.nodes.marks.retain(|id| self.snapshot.fleet.node(*id).is_some());
        self.list();
        if was_empty && self.nodes.selected.is_none() {
            self.nodes.index = self.listing.nearest_row(0, true).unwrap_or_default();
            self.nodes.selected = self.listing.row(self.nodes.index);
        }
        let latest = self.overview.runs.first().copied();
        if self.shown_run().is_none() {
            self.show_run(latest);
        } else if self.pager.run() == newest && latest != newest {
            if self.is_reading() {
                let run = latest.map(|run| run.to_string()).unwrap_or_default();
                self.tell(format!("run {run} has begun; `l` on tab 2 shows it"));
            } else {
                self.show_run(latest);
            }
        }
    }

    /// Whether somebody may be reading in the run that is shown: then another one must not take its place.
    fn is_reading(&self) -> bool {
        self.runs.level != Level::Output || self.pager.place != Place::Follow || self.pager.is_searched()
    }

    /// Shows a run in the Ansible tab.
    pub(super) fn show_run(&mut self, run: Option<RunId>) {
        self.pager.show(run);
        self.runs.show(run);
    }

    /// Works the table's lines out anew. A selected row that is not among them any more is not selected any more.
    pub(super) fn list(&mut self) {
        self.listing.refresh(&self.snapshot, &self.overview.norms);
        if let Some(row) = self.nodes.selected {
            if let Some(index) = self.listing.place(row) {
                self.nodes.index = index;
            } else {
                (self.nodes.selected, self.nodes.detail) = (None, None);
            }
        }
        self.nodes.index = self.nodes.index.min(self.listing.items().len().saturating_sub(1));
    }

    /// The marked nodes as they are now.
    pub(super) fn marked(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.marks.iter().filter_map(|id| self.snapshot.fleet.node(*id))
    }

    /// What the selected row stands for.
    pub(super) fn subject(&self) -> Option<Subject<'_>> {
        match self.nodes.selected? {
            Row::Node(id) => self.snapshot.fleet.node(id).map(Subject::Node),
            Row::Report(id) => self.report(id).map(Subject::Report),
        }
    }

    /// The node whose history is on the screen, or should be, and is not the one that was read.
    pub(super) fn wants_history(&self) -> Option<Arc<Node>> {
        let node = self.node().filter(|_| self.is_wide() || self.nodes.detail.is_some())?;
        let is_read = self.history.as_ref().is_some_and(|(read, _)| Arc::ptr_eq(read, node));
        (!is_read).then(|| Arc::clone(node))
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

    /// The question that a key could say yes to, by its title; a line to look something up is none.
    pub(super) fn question(&self) -> Option<String> {
        match self.modal.as_ref()? {
            Modal::Quit => Some("leave".to_owned()),
            Modal::Suspend => Some("suspend".to_owned()),
            Modal::Profile(form) => Some(form.title.clone()),
            Modal::Ask(Dialog::Asking(question)) if !question.is_lookup() => Some(question.title()),
            _ => None,
        }
    }

    /// Whether the detail stands beside the table.
    pub(super) fn is_wide(&self) -> bool {
        self.size.width >= WIDE
    }

    /// Where keys are looked up, nearest first.
    pub(super) fn scopes(&self) -> Vec<Scope> {
        if let Some(modal) = &self.modal {
            let value = modal.has_choice().then_some(Scope::Value);
            return [modal.scope()].into_iter().chain(value).chain([Scope::Always]).collect();
        }
        let mut scopes = match self.tab {
            Tab::Nodes if self.nodes.detail.is_some() => vec![Scope::Detail, Scope::Nodes],
            Tab::Nodes => vec![Scope::Nodes],
            Tab::Ansible => match self.runs.level {
                Level::Output if self.pager.is_searched() => vec![Scope::Found, Scope::Ansible],
                Level::Output => vec![Scope::Ansible],
                Level::Grid => vec![Scope::Grid, Scope::Ansible],
                Level::Result => vec![Scope::Result, Scope::Ansible],
            },
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
        let until = self.now + SignedDuration::from_secs(NOTICE_SECONDS);
        self.notice = Some(Notice { text: super::text::clean(text), is_bad, until });
    }

    /// A ticket nobody has.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.last_ticket = Ticket(self.last_ticket.0 + 1);
        self.last_ticket
    }
}
