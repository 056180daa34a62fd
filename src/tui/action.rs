//! What a key can mean, what the loop can be told, and what it is asked to do.

use std::sync::Arc;

use crossterm::event::{KeyEvent, MouseEvent};
use jiff::Timestamp;
use tui_logger::TuiWidgetEvent;

use super::Extras;
use crate::client::{Moment, NewProfile, OrderError, OutputChunk, Preview, Progress, SelfTest};
use crate::domain::grid::Place;
use crate::domain::play::HostTold;
use crate::domain::{Fqdn, Node, NodeId, Order, Ordered, RunId, Snapshot};

/// The four screens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tab {
    /// The live table.
    #[default]
    Nodes,
    /// Runs and their output.
    Ansible,
    /// The program's own log.
    Log,
    /// How machines find this console.
    Setup,
}

impl Tab {
    /// All tabs, in order of their keys.
    pub(super) const ALL: [Self; 4] = [Self::Nodes, Self::Ansible, Self::Log, Self::Setup];

    /// The tab's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nodes => "Nodes",
            Self::Ansible => "Ansible",
            Self::Log => "Log",
            Self::Setup => "Setup",
        }
    }

    /// The tab `steps` further, around the corner.
    pub(super) fn step(self, steps: usize) -> Self {
        let here = Self::ALL.iter().position(|tab| *tab == self).unwrap_or_default();
        Self::ALL[(here + steps) % Self::ALL.len()]
    }
}

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Show a tab.
    Show(Tab),
    /// The next tab.
    NextTab,
    /// The tab before.
    PreviousTab,
    /// Move by rows or lines.
    Up,
    /// Move by rows or lines.
    Down,
    /// Move by a page.
    PageUp,
    /// Move by a page.
    PageDown,
    /// To the first row.
    Top,
    /// To the last row.
    Bottom,
    /// Open the detail, or go into it.
    Open,
    /// Close the detail or the dialog.
    Back,
    /// The node before, with the detail open; an older run.
    Previous,
    /// The node after; a newer run.
    Next,
    /// To the next machine that waits for a decision.
    NextWaiting,
    /// Approve, or offer a reinstall.
    Approve,
    /// Send a machine away, or drop a report.
    Reject,
    /// Take a decision back.
    Undo,
    /// Join rows that are one machine, or part a row.
    Merge,
    /// Send a machine away for good.
    Ban,
    /// Show tickets and bans.
    Standing,
    /// Go to the machine of a claim code or a label.
    Jump,
    /// Change a host name.
    Rename,
    /// Change all that can be chosen about a node.
    Edit,
    /// Choose the profile of a node, or of all that are marked.
    ChooseProfile,
    /// Let two nodes change places.
    Swap,
    /// Begin a walk along the rack, or choose what to do while one goes on.
    Walk,
    /// Pass the next slot of the walk over.
    SkipSlot,
    /// Take the last step of the walk back.
    StepBack,
    /// Show one large line per node.
    Big,
    /// Give a node an address.
    Address,
    /// Choose the NIC of a machine.
    Nic,
    /// Start the playbook.
    Run,
    /// Start it on the nodes that failed.
    RunFailed,
    /// Say what is to become of a run that starts by itself.
    Gate,
    /// To the next failure in the grid.
    NextFailure,
    /// To the failure before.
    PreviousFailure,
    /// Show Ansible's output at the place the keys act on.
    RawOutput,
    /// Stop it.
    Cancel,
    /// Say that a node is installed.
    MarkInstalled,
    /// Accept a host key.
    Trust,
    /// Say whose a report is.
    Adopt,
    /// Show the answer a node would be given.
    Preview,
    /// Make a profile from a machine.
    NewProfile,
    /// Tick a line.
    Toggle,
    /// Drop a row.
    Forget,
    /// Mark a row, or take its mark away.
    Mark,
    /// Mark every row shown, or take all marks away.
    MarkAll,
    /// Type a filter.
    Filter,
    /// Sort by the next column.
    Sort,
    /// Sort the other way round.
    Reverse,
    /// Group by the next property.
    Group,
    /// Follow the output, or hold it.
    Follow,
    /// Copy what is shown.
    Copy,
    /// Copy the output or the result that is shown.
    CopyShown,
    /// Search the output.
    Find,
    /// To the next find.
    NextFind,
    /// To the find before.
    PreviousFind,
    /// Fold long lines of the output, or cut them.
    Wrap,
    /// Write what is shown to a file.
    Write,
    /// Ask our own address.
    SelfTest,
    /// Show the next hint.
    NextHint,
    /// Show no more hints, ever.
    NoHints,
    /// Something in the log widget.
    Log(TuiWidgetEvent),
    /// Show who could not even ask.
    Ghosts,
    /// Show all keys.
    Help,
    /// List what is wrong.
    Problems,
    /// Find an action by its words.
    Palette,
    /// Give the terminal back to the shell for a while.
    Suspend,
    /// Leave, after asking where work is going on.
    Quit,
    /// Leave; the second time without asking.
    Interrupt,
    /// Draw everything anew.
    Redraw,
    /// Say yes in a dialog.
    Confirm,
}

/// How far the action of a key reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It moves in what is shown, as everybody expects of its key.
    Steps,
    /// It shows something else.
    Shows,
    /// It opens a line to type in.
    Types,
    /// It does more than that.
    Acts,
}

impl Action {
    /// How far it reaches: the one place that knows which keys are harmless.
    pub(super) fn reach(self) -> Reach {
        match self {
            Self::Up | Self::Down | Self::PageUp | Self::PageDown | Self::Top | Self::Bottom => Reach::Steps,
            Self::Previous
            | Self::Next
            | Self::NextWaiting
            | Self::NextFind
            | Self::PreviousFind
            | Self::NextFailure
            | Self::PreviousFailure
            | Self::Show(_)
            | Self::Log(_) => Reach::Shows,
            Self::Filter | Self::Find | Self::Help | Self::Palette | Self::Jump => Reach::Types,
            _ => Reach::Acts,
        }
    }
}

/// What happened outside.
#[derive(Debug)]
pub(super) enum Msg {
    /// A key.
    Key(KeyEvent),
    /// A text was pasted. Goes into an open field or nowhere, so that no paste can approve anything.
    Paste(String),
    /// A label is being scanned, which begins so. What follows comes as keys.
    Label(String),
    /// The mouse.
    Mouse(MouseEvent),
    /// The terminal has another size.
    Resize(u16, u16),
    /// A snapshot that is about to be drawn.
    Snapshot(Arc<Snapshot>),
    /// The clock.
    Tick(Timestamp),
    /// Part of a run's output.
    Output(RunId, OutputChunk),
    /// How far a run is.
    Progress(RunId, Arc<Progress>),
    /// A result that was asked for.
    Result(Place, Arc<HostTold>),
    /// What happened to a node.
    History(Arc<Node>, Vec<Moment>),
    /// What became of an order.
    Replied {
        /// The order's ticket.
        ticket: Ticket,
        /// What to say where it was carried out.
        done: String,
        /// What became of it.
        result: Result<Ordered, OrderError>,
    },
    /// What became of the orders of a batch, row by row.
    Settled {
        /// The batch's ticket.
        ticket: Ticket,
        /// What was done where it was, such as `approved`.
        done: &'static str,
        /// What became of each.
        results: Vec<(Fqdn, Result<Ordered, String>)>,
    },
    /// An answer, explained.
    Previewed {
        /// What it was asked with.
        ticket: Ticket,
        /// The answer.
        result: Result<Box<Preview>, OrderError>,
    },
    /// What came of the self-test.
    Tested(SelfTest),
    /// What else than the screen is used from now on.
    Extras(Extras),
    /// News of something the loop did.
    Told(Result<String, String>),
    /// The engine ended.
    EngineGone,
}

/// Ties a reply to the dialog that waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticket(pub(super) u64);

/// What the loop is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Send an order and bring the reply back.
    Order {
        /// Comes back with the reply.
        ticket: Ticket,
        /// The order.
        order: Order,
        /// What to say when it was carried out.
        done: String,
    },
    /// Send many orders, one per row, and bring all replies back at once.
    Batch {
        /// Comes back with the replies.
        ticket: Ticket,
        /// What was done where it was.
        done: &'static str,
        /// An order per row, or why its row gets none.
        orders: Vec<(Fqdn, Result<Order, String>)>,
    },
    /// Have an answer explained.
    Preview {
        /// Comes back with the explanation.
        ticket: Ticket,
        /// The node.
        node: NodeId,
    },
    /// Have a profile written.
    NewProfile {
        /// Comes back with the reply.
        ticket: Ticket,
        /// What is to be written.
        wish: NewProfile,
    },
    /// Put a text on the clipboard of whoever looks at the terminal.
    Copy(String),
    /// Write a text to a new file in the folder the program was started in.
    Write {
        /// The file's name.
        file: &'static str,
        /// What goes in.
        text: String,
    },
    /// Ask our own address and bring the outcome back.
    SelfTest,
    /// Remember that hints were seen.
    NoHints,
    /// Use this of the terminal beside its screen, and no more.
    Extras(Extras),
    /// Ring the terminal's bell.
    Ring,
    /// Name the terminal's window.
    Title(String),
    /// Draw everything anew.
    Redraw,
    /// Give the terminal back to the shell until it continues the program.
    Suspend,
    /// Leave.
    Exit,
}
