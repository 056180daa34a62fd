//! One order to all marked nodes. They are frozen by id, and with what was on the screen, when the dialog opens: what
//! arrives later is never included, and a row that changed meanwhile is refused.

use std::sync::Arc;

use super::{Ask, Batch, Field, Input, InputMut, Leads, Paragraph, Picker, if_seen, profiles};
use crate::domain::text::Text;
use crate::domain::{Fqdn, Node, NodeId, Order, Phase, ProfileWish};
use crate::tui::action::Action;
use crate::tui::model::Model;
use crate::tui::{offer, text};

/// Names listed in full.
const NAMED: usize = 8;

/// What is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum Verb {
    /// Let them be installed.
    Approve,
    /// Send them away.
    Reject,
    /// Take the decisions about them back.
    Undo,
    /// Drop their rows.
    Forget,
    /// Choose the profile they are installed with.
    Profile,
}

impl Verb {
    /// The order that a key gives to marked nodes, if it is one.
    pub(in crate::tui) fn of(action: Action) -> Option<Self> {
        match action {
            Action::Approve => Some(Self::Approve),
            Action::Reject => Some(Self::Reject),
            Action::Undo => Some(Self::Undo),
            Action::Forget => Some(Self::Forget),
            Action::ChooseProfile => Some(Self::Profile),
            _ => None,
        }
    }

    /// What was done, in a word.
    pub(in crate::tui) fn done(self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::Reject => "rejected",
            Self::Undo => "taken back",
            Self::Forget => "forgotten",
            Self::Profile => "given their profile",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Approve => "Approve",
            Self::Reject => "Reject",
            Self::Undo => "Take back the decisions about",
            Self::Forget => "Forget",
            Self::Profile => "Profile of",
        }
    }

    /// Whether a node can take the order.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::tui) fn takes(self, model: &Model, node: &Node) -> Result<(), String> {
        let why = |may: bool, why: &str| may.then_some(()).ok_or_else(|| why.to_owned());
        match self {
            Self::Approve if node.may_be_installed() => {
                Err("may be installed: allow its reinstall by itself".to_owned())
            }
            Self::Approve => offer::approve(node).map_err(|_| node.phase.word().to_owned()),
            Self::Reject => why(node.phase.may_be_rejected(), node.phase.word()),
            Self::Undo => offer::undo(model, node).map_err(|_| "nothing to take back".to_owned()),
            Self::Profile if node.phase == Phase::Configuring => Err(node.phase.word().to_owned()),
            Self::Forget | Self::Profile => Ok(()),
        }
    }
}

/// A question about many nodes.
#[derive(Debug)]
pub(in crate::tui) struct Bulk {
    verb: Verb,
    /// As they were when the dialog opened.
    nodes: Vec<Arc<Node>>,
    /// Marked nodes that cannot take the order, with the reason.
    aside: Vec<(Fqdn, String)>,
    /// How many of `nodes` the filter hid.
    hidden: usize,
    field: Option<Field>,
    /// Which profiles there are, in the order of the list; `None` leaves each node its own.
    profiles: Vec<Option<ProfileWish>>,
    picker: Option<Picker>,
}

impl Bulk {
    pub(super) fn new(verb: Verb, model: &Model) -> Self {
        Self::about(verb, model, model.marked())
    }

    /// About all marked nodes, else the selected one.
    pub(super) fn profile(model: &Model) -> Self {
        let selected = model.node().filter(|_| model.nodes.marks.is_empty());
        Self::about(Verb::Profile, model, model.marked().chain(selected))
    }

    fn about<'a>(verb: Verb, model: &Model, chosen: impl Iterator<Item = &'a Arc<Node>>) -> Self {
        let (mut nodes, mut aside) = (Vec::new(), Vec::new());
        for node in chosen {
            match verb.takes(model, node) {
                Ok(()) => nodes.push(Arc::clone(node)),
                Err(why) => aside.push((node.name.clone(), why)),
            }
        }
        let shown: std::collections::BTreeSet<NodeId> = model.listing.nodes().collect();
        let hidden = nodes.iter().filter(|node| !shown.contains(&node.id)).count();
        let loses_guard = nodes.iter().any(|node| node.may_be_installed());
        let field = match verb {
            Verb::Reject => Some(Field::new("reason (may stay empty)", "")),
            Verb::Forget if loses_guard => Some(Field::new("how many nodes are forgotten", "")),
            Verb::Approve | Verb::Undo | Verb::Forget | Verb::Profile => None,
        };
        let (profiles, picker) = if verb == Verb::Profile { choices(model, &nodes) } else { Default::default() };
        Self { verb, nodes, aside, hidden, field, profiles, picker }
    }

    /// The order for one node, unless it is not what it was when the dialog opened.
    fn order_for(&self, node: &Arc<Node>, model: &Model) -> Result<Order, String> {
        let now = model.snapshot.fleet.node(node.id).ok_or_else(|| "is gone; somebody forgot it".to_owned())?;
        if has_changed(node, now) {
            return Err(format!("changed while you looked: it is {} now; look again, then decide", now.phase.word()));
        }
        let id = node.id;
        // The engine compares once more, when it decides.
        let seen = |then| if_seen((id, node.revision), then);
        Ok(match self.verb {
            Verb::Approve => {
                let asked = node.request.as_ref().ok_or_else(|| "has not asked".to_owned())?;
                Order::Approve { node: id, seen: asked.stamp.clone() }
            }
            Verb::Reject => {
                let reason = Text::new(self.field.as_ref().map_or("", Field::value));
                seen(Order::Reject { node: id, reason })
            }
            Verb::Undo => seen(Order::Undo { node: id }),
            Verb::Forget => seen(Order::Forget { node: id }),
            Verb::Profile => {
                let wish = self.picker.as_ref().and_then(|picker| self.profiles.get(picker.marked()));
                let wish = wish.cloned().flatten().ok_or_else(|| "no profile is chosen yet".to_owned())?;
                seen(Order::ChooseProfile { node: id, profile: wish.choice() })
            }
        })
    }

    fn names(nodes: impl ExactSizeIterator<Item = String>) -> String {
        let count = nodes.len();
        let named: Vec<_> = nodes.take(NAMED).collect();
        match count - named.len() {
            0 => named.join(", "),
            more => format!("{} and {more} more", named.join(", ")),
        }
    }

    fn changed<'a>(&'a self, model: &'a Model) -> impl Iterator<Item = &'a Arc<Node>> {
        self.nodes.iter().filter(|node| model.snapshot.fleet.node(node.id).is_none_or(|now| has_changed(node, now)))
    }
}

/// The profiles to choose from. What they have now is marked, so that Enter alone changes nothing.
fn choices(model: &Model, nodes: &[Arc<Node>]) -> (Vec<Option<ProfileWish>>, Option<Picker>) {
    let mut now = nodes.iter().map(|node| ProfileWish::from(node.profile.clone()));
    let first = now.next();
    let common = first.filter(|first| now.all(|other| other == *first));
    let (wishes, mut words) = profiles(model, common.as_ref());
    let marked = wishes.iter().position(|wish| Some(wish) == common.as_ref());
    let mut wishes: Vec<_> = wishes.into_iter().map(Some).collect();
    if marked.is_none() {
        wishes.insert(0, None);
        words.insert(0, "each the one it has".to_owned());
    }
    (wishes, Some(Picker::new(words).at(marked.unwrap_or_default())))
}

/// Whether a row is about something else than it was: another phase, another request, another name.
fn has_changed(then: &Node, now: &Node) -> bool {
    then.revision != now.revision
}

impl Ask for Bulk {
    fn title(&self) -> String {
        match self.nodes.as_slice() {
            [node] => format!("{} {}", self.verb.title(), node.name),
            nodes => format!("{} {}", self.verb.title(), text::count(nodes.len(), "node")),
        }
    }

    fn body(&self, model: &Model) -> Vec<Paragraph> {
        let mut body = vec![Paragraph::strong(Self::names(self.nodes.iter().map(|node| node.name.host().to_owned())))];
        if self.hidden > 0 {
            body.push(Paragraph::danger(format!("{} of them are hidden by the filter.", self.hidden)));
        }
        body.push(match self.verb {
            Verb::Approve if self.nodes.len() == 1 => {
                Paragraph::danger("The disks of this machine are wiped and it is installed.")
            }
            Verb::Approve => Paragraph::danger("The disks of all these machines are wiped and they are installed."),
            Verb::Reject => Paragraph::plain("They are refused at once, and their disks stay as they are."),
            Verb::Undo => Paragraph::plain("They are as they were before; those whose answer is out already stay as they are."),
            Verb::Forget if self.field.is_some() => Paragraph::danger(
                "Those that may be installed lose their protection against a second install. Type how many nodes these are.",
            ),
            Verb::Forget => Paragraph::plain("Those that ask again come back as new rows."),
            Verb::Profile => Paragraph::plain("The profile to install with, whatever the plan and the rules say:"),
        });
        if !self.aside.is_empty() {
            let names = self.aside.iter().map(|(name, why)| format!("{} ({why})", name.host()));
            body.push(Paragraph::muted(format!("Left out: {}.", Self::names(names))));
        }
        let changed: Vec<_> = self.changed(model).map(|node| node.name.host().to_owned()).collect();
        if !changed.is_empty() {
            let names = Self::names(changed.into_iter());
            body.push(Paragraph::danger(format!("Changed since this opened, and will be refused: {names}.")));
        }
        body
    }

    fn leads(&self, model: &Model) -> Result<Leads, String> {
        if let Some(why) = self.wrong(model) {
            return Err(why);
        }
        let order = |node: &Arc<Node>| (node.name.clone(), self.order_for(node, model));
        Ok(Leads::Batch(Batch { orders: self.nodes.iter().map(order).collect(), done: self.verb.done() }))
    }

    /// Without an order for each of 10,000 nodes.
    fn wrong(&self, model: &Model) -> Option<String> {
        if let (Verb::Forget, Some(field)) = (self.verb, &self.field)
            && field.value().trim() != self.nodes.len().to_string()
        {
            return Some(format!("type {} to forget these nodes", self.nodes.len()));
        }
        let is_open =
            self.picker.as_ref().is_some_and(|picker| matches!(self.profiles.get(picker.marked()), Some(None)));
        if is_open {
            return Some("choose a profile".to_owned());
        }
        let has_any = self.nodes.iter().any(|node| self.order_for(node, model).is_ok());
        (!has_any).then(|| "all of these nodes changed while you looked; close this and look again".to_owned())
    }

    fn input(&self) -> Option<Input<'_>> {
        self.field.as_ref().map(Input::Field).or(self.picker.as_ref().map(Input::Picker))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        self.field.as_mut().map(InputMut::Field).or(self.picker.as_mut().map(InputMut::Picker))
    }
}
