//! Dialogs: one is open at a time, and each is about nodes frozen by id when it opened.
//!
//! A [`Question`] knows its words and the order it leads to; [`Dialog`] knows how far the conversation is. Keys come
//! from the keymap by [`Modal::scope`], drawing is done by [`view`](super::view).

mod address;
mod adopt;
mod ban;
mod bulk;
mod dialog;
mod edit;
mod field;
mod forget;
mod gate;
mod hostname;
mod jump;
mod mark;
mod nic;
mod open;
mod preview;
mod profile;
pub(super) mod quit;
mod reinstall;
mod reject;
mod run;
mod same;
mod sheet;
mod standing;
mod swap;
mod trust;
pub(super) mod walk;

use std::net::IpAddr;

use ratatui::style::Style;

use super::keymap::Scope;
use super::model::Model;
use super::theme;
use crate::client::{OrderError, Preview};
use crate::domain::fqdn::FqdnError;
use crate::domain::{Command, Fqdn, Node, NodeId, Order};
pub(super) use bulk::Verb;
pub(super) use dialog::Dialog;
pub(super) use edit::profiles;
pub(super) use field::{Field, Picker};
pub(super) use preview::Look;
pub(super) use profile::ProfileForm;
pub(super) use sheet::{Sheet, SheetLine};

/// The dialog that is open.
#[derive(Debug)]
pub(super) enum Modal {
    /// All keys, or those whose words were typed.
    Help {
        /// How far it is scrolled.
        top: usize,
        /// What is looked for.
        search: Field,
    },
    /// The actions whose words were typed.
    Palette {
        /// Which of those found is marked.
        marked: usize,
        /// What is looked for.
        search: Field,
    },
    /// The line under the table that filters it.
    Filter(Field),
    /// The line under the output that searches it.
    Find(Field),
    /// What is wrong, and the cures.
    Problems {
        /// How far it is scrolled.
        top: usize,
    },
    /// Who was turned away, or never came to ask.
    Ghosts {
        /// How far it is scrolled.
        top: usize,
    },
    /// One large line per node, to be read from afar.
    Big {
        /// How far it is scrolled.
        top: usize,
    },
    /// Whether to leave while work is going on.
    Quit,
    /// Whether to stop the program for a while although work is going on.
    Suspend,
    /// The answer of a node.
    Preview(Look),
    /// A profile made from a machine.
    Profile(Box<ProfileForm>),
    /// A question that leads to an order.
    Ask(Dialog<Box<Question>>),
}

/// An order ready to be sent, and what to say when it was carried out.
#[derive(Debug)]
pub(super) struct Sending {
    /// The order.
    pub(super) order: Order,
    /// Good news.
    pub(super) done: String,
}

/// An order about a row as it was on the screen: refused where the row is another matter by then.
pub(super) fn if_seen((node, revision): (NodeId, u64), then: Order) -> Order {
    Order::IfSeen { node, revision, then: Box::new(then) }
}

/// A row as it is on the screen.
pub(super) fn seen(node: &Node) -> (NodeId, u64) {
    (node.id, node.revision)
}

/// Orders to many nodes, one each.
#[derive(Debug)]
pub(super) struct Batch {
    /// An order per node, or why it gets none.
    pub(super) orders: Vec<(Fqdn, Result<Order, String>)>,
    /// What was done where it was, such as `approved`.
    pub(super) done: &'static str,
}

/// A paragraph of a dialog.
#[derive(Debug)]
pub(super) struct Paragraph {
    /// Its words.
    pub(super) text: String,
    /// Its style.
    pub(super) style: Style,
}

impl Paragraph {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new() }
    }

    fn strong(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: theme::strong() }
    }

    fn danger(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: theme::bad() }
    }

    fn muted(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: theme::muted() }
    }
}

/// What all questions have in common.
pub(super) trait Ask {
    /// The line in the frame.
    fn title(&self) -> String;

    /// What is at stake.
    fn body(&self, model: &Model) -> Vec<Paragraph>;

    /// The order it leads to.
    ///
    /// # Errors
    /// What is wrong with the text so far.
    fn order(&self, model: &Model) -> Result<Sending, String>;

    /// What it leads to where it orders nothing.
    fn local(&self, _model: &Model) -> Option<Local> {
        None
    }

    /// What was taken led nowhere.
    fn missed(&mut self) {}

    /// The orders it leads to, where it is about many nodes; they go out in place of [`Ask::order`]'s, once that finds
    /// nothing wrong.
    fn batch(&self, _model: &Model) -> Option<Batch> {
        None
    }

    /// Its text field, if it has one.
    fn field(&self) -> Option<&Field> {
        None
    }

    /// The field, to type in.
    fn field_mut(&mut self) -> Option<&mut Field> {
        None
    }

    /// The command line it leads to, if it leads to one.
    fn command(&self, _model: &Model) -> Option<String> {
        None
    }

    /// Its lines to fill in, if it has several.
    fn sheet(&self) -> Option<&Sheet> {
        None
    }

    /// The lines, to fill in.
    fn sheet_mut(&mut self) -> Option<&mut Sheet> {
        None
    }

    /// Its list, if it has one.
    fn picker(&self) -> Option<&Picker> {
        None
    }

    /// The list, to choose from.
    fn picker_mut(&mut self) -> Option<&mut Picker> {
        None
    }
}

/// Every question there is.
#[derive(Debug)]
pub(super) enum Question {
    /// Another host name.
    Hostname(hostname::Hostname),
    /// Another address.
    Address(address::Address),
    /// Another NIC.
    ChooseNic(nic::ChooseNic),
    /// Send a machine away.
    Reject(reject::Reject),
    /// Drop a report.
    Dismiss(reject::Dismiss),
    /// Install once more.
    Reinstall(reinstall::Reinstall),
    /// Start the playbook.
    Run(run::RunNodes),
    /// What the gate shall do.
    Gate(gate::GateChoice),
    /// Stop it.
    Cancel(run::CancelRun),
    /// Mark installed.
    Mark(mark::Mark),
    /// Accept a host key.
    Trust(trust::Trust),
    /// Give a report to a node.
    Adopt(adopt::Adopt),
    /// Drop a row.
    Forget(forget::Forget),
    /// Something about all marked nodes.
    Bulk(bulk::Bulk),
    /// Send a machine away for good.
    Ban(ban::Ban),
    /// Which row is the same machine.
    Same(same::Same),
    /// Go to a claim code.
    Jump(jump::Jump),
    /// Tickets and bans.
    Standing(standing::Standing),
    /// A new ticket.
    NewTicket(standing::NewTicket),
    /// Begin a walk along the plan.
    WalkPlan(walk::WalkPlan),
    /// Begin a walk with names that count up.
    WalkNames(walk::WalkNames),
    /// What to do while a walk goes on.
    WalkMenu(walk::WalkMenu),
    /// Stop it.
    StopWalk(walk::StopWalk),
    /// Two nodes change places.
    Swap(swap::Swap),
    /// All that can be chosen about a node.
    Edit(Box<edit::Edit>),
}

/// What a question leads to where it orders nothing.
#[derive(Debug)]
pub(super) enum Local {
    /// Select this row.
    GoTo(NodeId),
    /// Ask something else.
    Open(Box<Question>),
}

impl Question {
    /// Takes in what a reinstall would touch, where that is the question.
    pub(super) fn learn(&mut self, node: NodeId, touch: Result<&Preview, &OrderError>) {
        if let Self::Reinstall(question) = self {
            question.learn(node, touch);
        }
    }

    /// Whether it is about many nodes, whose orders are refused one by one.
    pub(super) fn is_bulk(&self) -> bool {
        matches!(self, Self::Bulk(_))
    }

    /// Whether it only leads to a row.
    pub(super) fn is_lookup(&self) -> bool {
        matches!(self, Self::Jump(_))
    }

    fn ask(&self) -> &dyn Ask {
        match self {
            Self::Hostname(question) => question,
            Self::Address(question) => question,
            Self::ChooseNic(question) => question,
            Self::Reject(question) => question,
            Self::Dismiss(question) => question,
            Self::Reinstall(question) => question,
            Self::Run(question) => question,
            Self::Gate(question) => question,
            Self::Cancel(question) => question,
            Self::Mark(question) => question,
            Self::Trust(question) => question,
            Self::Adopt(question) => question,
            Self::Forget(question) => question,
            Self::Ban(question) => question,
            Self::Same(question) => question,
            Self::Jump(question) => question,
            Self::Standing(question) => question,
            Self::NewTicket(question) => question,
            Self::Bulk(question) => question,
            Self::WalkPlan(question) => question,
            Self::WalkNames(question) => question,
            Self::WalkMenu(question) => question,
            Self::StopWalk(question) => question,
            Self::Swap(question) => question,
            Self::Edit(question) => question.as_ref(),
        }
    }

    fn ask_mut(&mut self) -> &mut dyn Ask {
        match self {
            Self::Hostname(question) => question,
            Self::Address(question) => question,
            Self::ChooseNic(question) => question,
            Self::Reject(question) => question,
            Self::Dismiss(question) => question,
            Self::Reinstall(question) => question,
            Self::Run(question) => question,
            Self::Gate(question) => question,
            Self::Cancel(question) => question,
            Self::Mark(question) => question,
            Self::Trust(question) => question,
            Self::Adopt(question) => question,
            Self::Forget(question) => question,
            Self::Ban(question) => question,
            Self::Same(question) => question,
            Self::Jump(question) => question,
            Self::Standing(question) => question,
            Self::NewTicket(question) => question,
            Self::Bulk(question) => question,
            Self::WalkPlan(question) => question,
            Self::WalkNames(question) => question,
            Self::WalkMenu(question) => question,
            Self::StopWalk(question) => question,
            Self::Swap(question) => question,
            Self::Edit(question) => question.as_mut(),
        }
    }
}

impl Ask for Question {
    fn title(&self) -> String {
        self.ask().title()
    }

    fn body(&self, model: &Model) -> Vec<Paragraph> {
        self.ask().body(model)
    }

    fn order(&self, model: &Model) -> Result<Sending, String> {
        self.ask().order(model)
    }

    fn local(&self, model: &Model) -> Option<Local> {
        self.ask().local(model)
    }

    fn missed(&mut self) {
        self.ask_mut().missed();
    }

    fn batch(&self, model: &Model) -> Option<Batch> {
        self.ask().batch(model)
    }

    fn field(&self) -> Option<&Field> {
        self.ask().field()
    }

    fn field_mut(&mut self) -> Option<&mut Field> {
        self.ask_mut().field_mut()
    }

    fn command(&self, model: &Model) -> Option<String> {
        self.ask().command(model)
    }

    fn sheet(&self) -> Option<&Sheet> {
        self.ask().sheet()
    }

    fn sheet_mut(&mut self) -> Option<&mut Sheet> {
        self.ask_mut().sheet_mut()
    }

    fn picker(&self) -> Option<&Picker> {
        self.ask().picker()
    }

    fn picker_mut(&mut self) -> Option<&mut Picker> {
        self.ask_mut().picker_mut()
    }
}

impl Modal {
    /// Which keys hold in it.
    pub(super) fn scope(&self) -> Scope {
        match self {
            Self::Help { .. } => Scope::Help,
            Self::Palette { .. } => Scope::Palette,
            Self::Filter(_) => Scope::Filter,
            Self::Find(_) => Scope::Find,
            Self::Problems { .. } | Self::Ghosts { .. } | Self::Preview(_) | Self::Big { .. } => Scope::Page,
            Self::Profile(_) => Scope::Ticks,
            Self::Ask(Dialog::Asking(question)) if question.field().is_some() => Scope::Form,
            Self::Ask(Dialog::Asking(question)) if question.sheet().is_some() => Scope::Sheet,
            Self::Ask(Dialog::Asking(question)) if question.picker().is_some() => Scope::Choice,
            Self::Quit | Self::Suspend | Self::Ask(Dialog::Asking(_)) => Scope::Confirm,
            Self::Ask(Dialog::Waiting { .. } | Dialog::Refused { .. }) => Scope::Answered,
        }
    }

    /// Whether it shows a refusal that can be reconsidered; the nodes of many that were refused are looked at anew.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Self::Ask(Dialog::Refused { about, .. }) if !about.is_bulk())
    }

    /// The field that typing goes to.
    pub(super) fn typing(&mut self) -> Option<&mut Field> {
        match self {
            Self::Help { search, .. } | Self::Palette { search, .. } | Self::Filter(search) | Self::Find(search) => {
                Some(search)
            }
            Self::Ask(dialog) => dialog.asking().and_then(|question| match question.sheet() {
                Some(_) => question.sheet_mut().and_then(Sheet::field_mut),
                None => question.field_mut(),
            }),
            Self::Profile(form) => Some(&mut form.field),
            Self::Quit
            | Self::Suspend
            | Self::Problems { .. }
            | Self::Ghosts { .. }
            | Self::Big { .. }
            | Self::Preview(_) => None,
        }
    }
}

impl Modal {
    /// Whether the marked line of a form has something to choose.
    pub(super) fn has_choice(&self) -> bool {
        matches!(self, Self::Ask(Dialog::Asking(question)) if question.sheet().is_some_and(Sheet::has_choice))
    }

    /// The form with several lines, to fill in.
    pub(super) fn sheet_mut(&mut self) -> Option<&mut Sheet> {
        let Self::Ask(dialog) = self else { return None };
        dialog.asking().and_then(Question::sheet_mut)
    }
}

/// An order that the engine would take as things stand: its own judgement, while it is typed.
fn judged(model: &Model, order: Order, done: String) -> Result<Sending, String> {
    model.snapshot.fleet.decide(&Command::Order(order.clone()), model.now).map_err(|why| why.to_string())?;
    Ok(Sending { order, done })
}

/// Reads a host name as typed.
fn parse_name(text: &str) -> Result<Fqdn, String> {
    text.trim().parse().map_err(|error: FqdnError| error.to_string())
}

/// Reads an address as typed.
fn parse_address(text: &str) -> Result<IpAddr, String> {
    text.trim().parse().map_err(|_| format!("`{}` is not an IP address; write it as 192.0.2.10", text.trim()))
}
