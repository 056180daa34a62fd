//! The plan meets the fleet: which row a machine becomes, and what a new plan changes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::index::{self, Token};
use super::{Decision, Fleet, MAX_NODES};
use crate::domain::command::Reply;
use crate::domain::event::Event;
use crate::domain::facts::Dmi;
use crate::domain::fqdn::Fqdn;
use crate::domain::id::NodeId;
use crate::domain::machine::MachineId;
use crate::domain::node::{Flag, Node};
use crate::domain::phase::Phase;
use crate::domain::plan::{PlanEntry, PlanMatch, Shown};
use crate::domain::text::Text;

/// Where a machine that asks belongs in the plan.
#[derive(Debug, Default)]
pub(super) struct Placed {
    /// The plan's row it becomes, or keeps, and how it fits.
    pub(super) row: Option<(NodeId, PlanMatch)>,
    /// What is odd about that.
    pub(super) flags: Vec<Flag>,
}

impl Fleet {
    /// Finds the plan's row for a machine; `known` is the row it has already.
    pub(super) fn place(&self, machine: &MachineId, dmi: &Dmi, known: Option<&Node>) -> Placed {
        let shown = Shown { machine, asset_tag: MachineId::trusted_tag(dmi) };
        let tokens = index::shown_tokens(shown);
        let ids: BTreeSet<NodeId> = tokens.flat_map(|token| self.index.planned(&token).collect::<Vec<_>>()).collect();
        let rows: Vec<_> = ids.iter().filter_map(|id| self.node(*id)).collect();
        let fits = |node: &Node| node.plan.as_ref().map(|entry| entry.compare(shown)).unwrap_or_default();

        let mut placed = Placed::default();
        if let Some(known) = known.filter(|node| node.plan.is_some()) {
            // Joined by hand, or by what it showed before: it stays where it is.
            let found = fits(known);
            let is_news = !found.by.is_empty() && known.plan_match.as_ref() != Some(&found);
            placed.row = is_news.then_some((known.id, found));
        } else {
            let free = rows.iter().filter(|node| node.is_unclaimed() && Some(node.id) != known.map(|known| known.id));
            let best = free.map(|node| (node.id, fits(node))).filter(|(_, found)| !found.by.is_empty());
            placed.row = best.max_by(|(one, a), (two, b)| a.rank().cmp(&b.rank()).then(two.cmp(one)));
        }
        let own = [placed.row.as_ref().map(|(id, _)| *id), known.map(|node| node.id)];
        let other = rows.iter().find(|node| !own.contains(&Some(node.id)));
        placed.flags.extend(other.map(|node| Flag::PlanConflict { other: node.id }));
        placed
    }

    /// Takes a new plan over: what is new, what changed and what is gone.
    pub(super) fn decide_plan(&self, entries: &[Arc<PlanEntry>]) -> Decision {
        let mut plan = Reconciled::new(entries);
        // Machines that have called come first: who they are matters more than what a row was called.
        for node in self.nodes().filter(|node| !node.machine.is_empty() || node.plan_match.is_some()) {
            plan.claim(node);
        }
        for node in self.nodes().filter(|node| node.plan.is_some()) {
            plan.keep(node);
        }
        let stays = |node: &Node| !node.is_unclaimed() || plan.rows.contains_key(&node.id);
        let moving = self.moving(&plan, stays);
        let mut gone = Vec::new();
        let mut changed = Vec::new();
        for node in self.nodes() {
            match (&node.plan, plan.rows.get(&node.id)) {
                (Some(_), None) => gone.push(Event::Unplanned { node: node.id }),
                (before, Some(at)) => {
                    let entry = &entries[*at];
                    if before.as_ref() != Some(entry) {
                        let found = fit_of(node, entry);
                        let name = moving.get(&node.id).map(|name| (*name).clone());
                        changed.push(Event::PlanChanged { node: node.id, entry: Arc::clone(entry), found, name });
                    }
                }
                (None, None) => {}
            }
        }
        let removed: HashSet<NodeId> = gone.iter().filter_map(Event::node).collect();
        let mut held = Vec::new();
        let mut numbers = self.new_rows();
        let mut room = MAX_NODES.saturating_sub(self.node_count());
        for (_, entry) in entries.iter().enumerate().filter(|(at, _)| !plan.taken.contains(at)) {
            match self.named(&entry.hostname).filter(|node| stays(node) && !moving.contains_key(&node.id)) {
                // A name taken over from an old inventory was kept free for this.
                Some(node) if node.phase == Phase::Planned && node.plan.is_none() => {
                    let (entry, found, name) = (Arc::clone(entry), None, None);
                    changed.push(Event::PlanChanged { node: node.id, entry, found, name });
                }
                Some(node) => held.push(Text::new(&format!(
                    "`{}` is planned, but {} has that name and shows nothing the plan knows it by: forget that row, \
                     or correct plan.toml",
                    entry.hostname, node.id
                ))),
                None if room == 0 => {
                    held.push(Text::new(&format!("`{}` has no room: the table is full", entry.hostname)));
                }
                None => {
                    room -= 1;
                    let planned = |node| Event::Planned { node, entry: Arc::clone(entry) };
                    changed.extend(numbers.next().map(planned));
                }
            }
        }
        held.extend(self.held_addresses(entries, &plan, &removed));
        Decision { events: [gone, changed].concat(), effects: Vec::new(), reply: Reply::Planned(held) }
    }

    /// Rows that take over the name of their new entry, and that name. One that another row has is free where that row
    /// leaves, or moves to a name itself: rows may change places.
    fn moving<'a>(&self, plan: &Reconciled<'a>, stays: impl Fn(&Node) -> bool) -> HashMap<NodeId, &'a Fqdn> {
        let wish = |(id, at): (&NodeId, &usize)| {
            let (node, name) = (self.node(*id)?, &plan.entries[*at].hostname);
            let is_news = node.plan.as_ref().is_none_or(|old| old.hostname != *name);
            (is_news && node.phase.is_before_answer() && node.name != *name).then_some((*id, name))
        };
        let mut moving: HashMap<_, _> = plan.rows.iter().filter_map(wish).collect();
        let wishers: HashMap<_, _> = moving.iter().map(|(id, name)| (*name, *id)).collect();
        let is_held = |(id, name): (&NodeId, &&Fqdn)| {
            let holder = self.named(name).filter(|holder| stays(holder) && !moving.contains_key(&holder.id));
            holder.map(|_| *id)
        };
        // Who cannot move keeps a name that somebody else may wait for.
        let mut stuck: Vec<NodeId> = moving.iter().filter_map(is_held).collect();
        while let Some(id) = stuck.pop() {
            let kept = moving.remove(&id).and_then(|_| self.node(id)).map(|node| &node.name);
            stuck.extend(kept.and_then(|name| wishers.get(name)));
        }
        moving
    }

    /// Addresses of the plan that other nodes have.
    fn held_addresses(
        &self,
        entries: &[Arc<PlanEntry>],
        plan: &Reconciled<'_>,
        removed: &HashSet<NodeId>,
    ) -> Vec<Text> {
        let rows: HashMap<usize, NodeId> = plan.rows.iter().map(|(id, at)| (*at, *id)).collect();
        let mut held = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            let Some(address) = entry.address else { continue };
            let row = rows.get(&at).copied();
            let stays = |node: &&Arc<Node>| {
                let only_by_plan = node.plan.as_ref().is_some_and(|plan| plan.address == Some(address))
                    && node.address != Some(address)
                    && node.assigned.is_none_or(|assigned| assigned.address != address)
                    && node
                        .answers
                        .as_ref()
                        .is_none_or(|answers| answers.address.is_none_or(|net| net.addr() != address));
                Some(node.id) != row && !only_by_plan && !removed.contains(&node.id)
            };
            let owner = self.index.owners(address).filter_map(|id| self.node(id)).find(stays);
            held.extend(owner.map(|owner| {
                let words = format!(
                    "{address}, planned for `{}`, belongs to `{}`: correct plan.toml",
                    entry.hostname, owner.name
                );
                Text::new(&words)
            }));
        }
        held
    }

    /// The row of the plan that waits under `name` for its machine.
    pub(super) fn unclaimed(&self, name: &Fqdn) -> Option<&Arc<Node>> {
        self.named(name).filter(|node| node.is_unclaimed())
    }
}

/// How a node's machine fits an entry, where it has called.
pub(super) fn fit_of(node: &Node, entry: &PlanEntry) -> Option<PlanMatch> {
    let called = node.request.is_some() || node.report.is_some();
    called.then(|| entry.compare(shown_by(node)))
}

fn shown_by(node: &Node) -> Shown<'_> {
    let asked = node.request.as_ref().map(|asked| &asked.info.dmi);
    let dmi = asked.or_else(|| node.report.as_ref().map(|reported| &reported.report.dmi));
    Shown { machine: &node.machine, asset_tag: dmi.and_then(MachineId::trusted_tag) }
}

/// Which row gets which entry of a plan, while that is worked out.
#[derive(Debug)]
struct Reconciled<'a> {
    entries: &'a [Arc<PlanEntry>],
    names: HashMap<&'a Fqdn, usize>,
    tokens: HashMap<Token, usize>,
    /// Row → place of its entry.
    rows: HashMap<NodeId, usize>,
    taken: HashSet<usize>,
}

impl<'a> Reconciled<'a> {
    fn new(entries: &'a [Arc<PlanEntry>]) -> Self {
        let names = entries.iter().enumerate().map(|(at, entry)| (&entry.hostname, at)).collect();
        let tokens =
            entries.iter().enumerate().flat_map(|(at, entry)| index::tokens(entry).map(move |token| (token, at)));
        Self { entries, names, tokens: tokens.collect(), rows: HashMap::new(), taken: HashSet::new() }
    }

    fn give(&mut self, node: NodeId, at: usize) {
        if self.taken.insert(at) {
            self.rows.insert(node, at);
        }
    }

    /// The entry of a machine that has called: the one it has, unless that now speaks of another machine.
    fn claim(&mut self, node: &Node) {
        let shown = shown_by(node);
        let same_name = node.plan.as_ref().and_then(|entry| self.names.get(&entry.hostname).copied());
        if let Some(at) = same_name {
            let found = self.entries[at].compare(shown);
            let by_hand = node.plan_match.as_ref().is_some_and(|found| found.by.is_empty());
            if found.against.is_empty() || by_hand {
                return self.give(node.id, at);
            }
        }
        let places: BTreeSet<usize> =
            index::shown_tokens(shown).filter_map(|token| self.tokens.get(&token).copied()).collect();
        let free = places.into_iter().filter(|at| !self.taken.contains(at));
        let best = free.max_by(|one, two| {
            let rank = |at: &usize| self.entries[*at].compare(shown);
            rank(one).rank().cmp(&rank(two).rank()).then(two.cmp(one))
        });
        if let Some(at) = best.or(same_name) {
            self.give(node.id, at);
        }
    }

    /// The entry of a row no machine has taken: the one of its name, else one that recognises the same machine.
    fn keep(&mut self, node: &Node) {
        if self.rows.contains_key(&node.id) {
            return;
        }
        let Some(entry) = &node.plan else { return };
        let same_name = self.names.get(&entry.hostname).copied().filter(|at| !self.taken.contains(at));
        let renamed = || {
            let mut places = index::tokens(entry).filter_map(|token| self.tokens.get(&token).copied());
            places.find(|at| !self.taken.contains(at))
        };
        if let Some(at) = same_name.or_else(renamed) {
            self.give(node.id, at);
        }
    }
}
