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
use std::ops::{Deref, DerefMut};

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

    /// What it leads to as it stands.
    ///
    /// # Errors
    /// What is wrong with it, or missing, so far.
    fn leads(&self, model: &Model) -> Result<Leads, String>;

    /// The same, where only that is asked for: in each frame.
    fn wrong(&self, model: &Model) -> Option<String> {
        self.leads(model).err()
    }

    /// What was taken led nowhere.
    fn missed(&mut self) {}

    /// What it is answered with beside yes and no.
    fn input(&self) -> Option<Input<'_>> {
        None
    }

    /// The same, to type in or to choose from.
    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        None
    }

    /// The command line it leads to, if it leads to one.
    fn command(&self, _model: &Model) -> Option<String> {
        None
    }
}

/// What a question leads to.
#[derive(Debug)]
pub(super) enum Leads {
    /// An order.
    Order(Sending),
    /// Orders to many nodes.
    Batch(Batch),
    /// This row, which is selected.
    GoTo(NodeId),
    /// Another question.
    Open(Box<Question>),
}

impl Leads {
    fn order(order: Order, done: impl Into<String>) -> Self {
        Self::Order(Sending { order, done: done.into() })
    }
}

/// What a question is answered with.
#[derive(Debug)]
pub(super) enum Input<'a> {
    /// A line of text.
    Field(&'a Field),
    /// Several lines to fill in.
    Sheet(&'a Sheet),
    /// A list to choose from.
    Picker(&'a Picker),
}

/// The same, to work with.
#[derive(Debug)]
pub(super) enum InputMut<'a> {
    /// A line of text.
    Field(&'a mut Field),
    /// Several lines to fill in.
    Sheet(&'a mut Sheet),
    /// A list to choose from.
    Picker(&'a mut Picker),
}

/// Declares every question once: its variant, and the way from there to what all have in common.
macro_rules! questions {
    ($($(#[$doc:meta])* $variant:ident($kind:ty)),+ $(,)?) => {
        /// Every question there is.
        #[derive(Debug)]
        pub(super) enum Question {
            $($(#[$doc])* $variant($kind)),+
        }

        impl Deref for Question {
            type Target = dyn Ask;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$variant(question) => question),+
                }
            }
        }

        impl DerefMut for Question {
            fn deref_mut(&mut self) -> &mut Self::Target {
                match self {
                    $(Self::$variant(question) => question),+
                }
            }
        }
    };
}

questions! {
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
    Edit(edit::Edit),
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
            Self::Ask(Dialog::Asking(question)) => match question.input() {
                Some(Input::Field(_)) => Scope::Form,
                Some(Input::Sheet(_)) => Scope::Sheet,
                Some(Input::Picker(_)) => Scope::Choice,
                None => Scope::Confirm,
            },
            Self::Quit | Self::Suspend => Scope::Confirm,
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
            Self::Ask(dialog) => match dialog.asking()?.input_mut()? {
                InputMut::Field(field) => Some(field),
                InputMut::Sheet(sheet) => sheet.field_mut(),
                InputMut::Picker(_) => None,
            },
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
        let Self::Ask(Dialog::Asking(question)) = self else { return false };
        matches!(question.input(), Some(Input::Sheet(sheet)) if sheet.has_choice())
    }

    /// The form with several lines, to fill in.
    pub(super) fn sheet_mut(&mut self) -> Option<&mut Sheet> {
        let Self::Ask(dialog) = self else { return None };
        match dialog.asking()?.input_mut()? {
            InputMut::Sheet(sheet) => Some(sheet),
            InputMut::Field(_) | InputMut::Picker(_) => None,
        }
    }
}

/// An order that the engine would take as things stand: its own judgement, while it is typed.
fn judged(model: &Model, order: Order, done: String) -> Result<Leads, String> {
    model.snapshot.fleet.decide(&Command::Order(order.clone()), model.now).map_err(|why| why.to_string())?;
    Ok(Leads::order(order, done))
}

/// Reads a host name as typed.
fn parse_name(text: &str) -> Result<Fqdn, String> {
    text.trim().parse().map_err(|error: FqdnError| error.to_string())
}

/// Reads an address as typed.
fn parse_address(text: &str) -> Result<IpAddr, String> {
    text.trim().parse().map_err(|_| format!("`{}` is not an IP address; write it as 192.0.2.10", text.trim()))
}
