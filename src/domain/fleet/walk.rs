//! Walk mode: which slot is next, who takes it, and how a step is taken back.

use std::sync::Arc;

use jiff::Timestamp;

use super::evolve::enter;
use super::planned::note_match;
use super::{Decision, Fleet};
use crate::domain::command::Reply;
use crate::domain::event::Event;
use crate::domain::fqdn::Fqdn;
use crate::domain::id::NodeId;
use crate::domain::node::Node;
use crate::domain::phase::Phase;
use crate::domain::plan::{PlanEntry, PlanMatch, Shown};
use crate::domain::refusal::Refusal;
use crate::domain::walk::{TRIES, Taken, Walk, WalkStep, WalkView, WalkWish, count_up, rack_order};

/// What walk mode has for a machine nobody knows.
pub(super) enum Offered {
    /// A row of the plan that waits for its machine.
    Row(NodeId, Fqdn, PlanMatch),
    /// A name.
    Name(Fqdn),
    /// Nothing: the plan expects another machine there.
    NotThis(Fqdn),
}

impl Fleet {
    /// The walk that goes on.
    #[must_use]
    pub fn walk(&self) -> Option<&Walk> {
        self.state.walk.as_deref()
    }

    /// Where the walk stands.
    #[must_use]
    pub fn walk_view(&self) -> Option<WalkView> {
        let walk = self.walk()?;
        let count = |wanted: fn(&Taken) -> bool| walk.steps.iter().filter(|(_, taken)| wanted(taken)).count();
        let next = match &walk.first {
            Some(_) => self.next_name(walk).map(|name| (name, None)),
            None => self.next_row(walk).map(|(row, entry)| (row.name.clone(), entry.place())),
        };
        Some(WalkView {
            next,
            taken: count(|taken| matches!(taken, Taken::By(_))),
            skipped: count(|taken| *taken == Taken::Skipped),
            left: walk.first.is_none().then(|| self.free_rows(walk).count()),
            last: walk.steps.last().cloned(),
            back: walk.last().map(|(slot, _)| slot.clone()),
        })
    }

    /// Rows of the plan in rack order, as a walk would offer them.
    #[must_use]
    pub fn walkable(&self) -> Vec<&Arc<Node>> {
        let mut rows: Vec<_> = self.nodes().filter(|node| node.is_unclaimed()).collect();
        rows.sort_by_cached_key(|node| node.plan.as_ref().map(|entry| rack_order(entry)));
        rows
    }

    fn free_rows<'a>(&'a self, walk: &'a Walk) -> impl Iterator<Item = (&'a Node, &'a PlanEntry)> {
        let skipped = walk.skipped();
        let rows = self.nodes().filter(|node| node.is_unclaimed());
        rows.filter_map(|node| Some((node.as_ref(), node.plan.as_deref()?)))
            .filter(move |(node, _)| !skipped.contains(&node.name))
    }

    fn next_row<'a>(&'a self, walk: &'a Walk) -> Option<(&'a Node, &'a PlanEntry)> {
        self.free_rows(walk).min_by_key(|(_, entry)| rack_order(entry))
    }

    /// The first name that nobody has and that was not skipped.
    fn next_name(&self, walk: &Walk) -> Option<Fqdn> {
        let first = walk.first.as_ref()?;
        let skipped = walk.skipped();
        let names = (0..TRIES).map_while(|steps| count_up(first, steps));
        names.into_iter().find(|name| self.named(name).is_none() && !skipped.contains(name))
    }

    /// What a machine is offered that has no row and fits none of the plan.
    pub(super) fn offered(&self, shown: Shown<'_>) -> Option<Offered> {
        let walk = self.walk()?;
        if walk.first.is_some() {
            return self.next_name(walk).map(Offered::Name);
        }
        let (row, entry) = self.next_row(walk)?;
        let found = entry.compare(shown);
        let slot = row.name.clone();
        // A row that names another machine is kept for that one.
        Some(if found.against.is_empty() { Offered::Row(row.id, slot, found) } else { Offered::NotThis(slot) })
    }

    pub(super) fn decide_walk(&self, wish: &WalkWish) -> Result<Decision, Refusal> {
        let one = |step| Ok(Decision::one(Event::Walked { step }));
        let going = || self.walk().ok_or(Refusal::NoWalk);
        match wish {
            WalkWish::Start { .. } if self.walk().is_some() => Err(Refusal::WalkGoesOn),
            WalkWish::Start { first: Some(first) } => match count_up(first, 0) {
                Some(_) => one(WalkStep::Begun { first: Some(first.clone()) }),
                None => Err(Refusal::NoNumber(first.clone())),
            },
            WalkWish::Start { first: None } if self.walkable().is_empty() => Err(Refusal::NothingToWalk),
            WalkWish::Start { first: None } => one(WalkStep::Begun { first: None }),
            WalkWish::Skip { slot } => {
                going()?;
                let next = self.walk_view().and_then(|view| view.next).ok_or(Refusal::WalkIsDone)?.0;
                if next != *slot {
                    return Err(Refusal::OtherSlot { slot: slot.clone(), now: next });
                }
                one(WalkStep::Skipped { slot: next })
            }
            WalkWish::Back { slot } => {
                let (last, taken) = going()?.last().ok_or(Refusal::NothingWalked)?;
                if last != slot {
                    return Err(Refusal::OtherSlot { slot: slot.clone(), now: last.clone() });
                }
                match taken {
                    Taken::By(node) => self.decide_return(*node, last),
                    Taken::Own(_) | Taken::Skipped => one(WalkStep::Back { slot: last.clone() }),
                }
            }
            WalkWish::Stop => {
                going()?;
                one(WalkStep::Ended)
            }
        }
    }

    /// The machine gives its slot up, where it still has it and nothing was decided about it.
    fn decide_return(&self, node: NodeId, slot: &Fqdn) -> Result<Decision, Refusal> {
        let is_its =
            |row: &&Arc<Node>| row.name == *slot || row.plan.as_ref().is_some_and(|entry| entry.hostname == *slot);
        let Some(row) = self.node(node).filter(is_its) else {
            // It was forgotten, or renamed: there is nothing to give up.
            return Ok(Decision::one(Event::Walked { step: WalkStep::Back { slot: slot.clone() } }));
        };
        if !matches!(row.phase, Phase::Waiting | Phase::Rejected { .. }) || row.may_be_installed() {
            let hint = "take its approval back with `u` first; a machine that installs keeps its slot";
            return Err(Refusal::WrongPhase { name: row.name.clone(), phase: row.phase.word(), hint });
        }
        let taken = |name: &Fqdn| self.named(name).is_some();
        let derived = || self.policy.derive_name(&row.machine, node.0, taken);
        // A name that somebody gave it stays.
        let name = if row.name == *slot { derived().ok_or(Refusal::NoName)? } else { row.name.clone() };
        let step = WalkStep::Returned { node, slot: slot.clone(), name };
        let events = [Event::Walked { step }].into_iter().chain(self.planned_again(row)).collect();
        Ok(Decision { events, effects: Vec::new(), reply: Reply::Done })
    }

    /// Folds a step of walk mode in.
    pub(super) fn apply_walk(&mut self, step: &WalkStep, at: Timestamp) {
        match step {
            WalkStep::Begun { first } => self.state.walk = Some(Arc::new(Walk::new(first.clone(), at))),
            WalkStep::Took { node, slot, found } => {
                self.change(*node, |node| {
                    node.is_walked = true;
                    if node.phase == Phase::Planned {
                        node.plan_match.clone_from(found);
                        note_match(node);
                        enter(node, Phase::Waiting, at);
                    }
                });
                self.note_step(slot, Taken::By(*node));
            }
            WalkStep::Skipped { slot } => self.note_step(slot, Taken::Skipped),
            WalkStep::Back { slot } => self.drop_step(slot),
            WalkStep::Returned { node, slot, name } => {
                self.change(*node, |node| {
                    node.name = name.clone();
                    (node.plan, node.plan_match) = (None, None);
                    node.is_walked = false;
                    note_match(node);
                });
                self.drop_step(slot);
            }
            WalkStep::Ended => self.state.walk = None,
        }
    }

    /// Remembers that a machine has come by its own identifiers.
    pub(super) fn note_own(&mut self, node: NodeId) {
        if let Some(name) = self.node(node).map(|node| node.name.clone()) {
            self.note_step(&name, Taken::Own(node));
        }
    }

    /// Two rows changed places: what one had taken is the other's now.
    pub(super) fn swap_steps(&mut self, one: NodeId, other: NodeId) {
        let Some(walk) = &mut self.state.walk else { return };
        for (_, taken) in &mut Arc::make_mut(walk).steps {
            let (Taken::By(node) | Taken::Own(node)) = taken else { continue };
            if *node == one {
                *node = other;
            } else if *node == other {
                *node = one;
            }
        }
    }

    fn note_step(&mut self, slot: &Fqdn, taken: Taken) {
        if let Some(walk) = &mut self.state.walk {
            Arc::make_mut(walk).steps.push((slot.clone(), taken));
        }
    }

    fn drop_step(&mut self, slot: &Fqdn) {
        if let Some(walk) = &mut self.state.walk {
            Arc::make_mut(walk).drop_step(slot);
        }
    }
}
