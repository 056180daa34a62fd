//! A machine asks: which row it is, what is odd about it, and what the guard says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::plan::Placed;
use super::walk::Offered;
use super::{Decision, Fleet, MAX_NODES};
use crate::domain::address::{Fixed, FixedBy};
use crate::domain::command::{Ask, Release, Reply};
use crate::domain::event::Event;
use crate::domain::facts::SystemInfo;
use crate::domain::fqdn::Fqdn;
use crate::domain::guard::{self, Verdict, Withheld};
use crate::domain::id::NodeId;
use crate::domain::machine::MachineId;
use crate::domain::naming::NameWish;
use crate::domain::node::{Asked, Flag, Node};
use crate::domain::phase::Phase;
use crate::domain::plan::{PlanEntry, Shown};
use crate::domain::refusal::Refusal;
use crate::domain::text::Text;
use crate::domain::walk::WalkStep;

/// Rows of one kind that a row says it may be confused with: with hundreds of them, each would be kept for good, and
/// would tell nobody more.
const MOST_NAMED: usize = 8;

/// What a set of identifiers points at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The row this machine is.
    pub(super) node: Option<NodeId>,
    /// Other rows its identifiers also belong to; the likeliest few.
    pub(super) others: Vec<NodeId>,
    /// Rows that share its UUID or serial but show other MACs: a maker's duplicate. A few, what may be installed and
    /// the oldest before others.
    pub(super) duplicates: Vec<NodeId>,
}

/// Where the name of a new machine is from.
enum Named<'a> {
    /// Walk mode.
    Walked(Fqdn),
    /// A template, where there is one; else what the machine shows.
    Wished(Option<&'a Result<NameWish, Text>>),
}

impl Fleet {
    /// Finds the row of `machine`. Any trusted identifier will do; where several rows fit, the one that may be
    /// installed is taken, so that no identifier borrowed from a fresh row opens the way to a used one.
    pub(super) fn resolve(&self, machine: &MachineId, body: Option<&Ask>) -> Resolved {
        // Row → how many of its identifiers fit, and whether a MAC is among them.
        let mut fits: BTreeMap<NodeId, (u32, bool)> = BTreeMap::new();
        let by_uuid = machine.uuid.into_iter().flat_map(|uuid| self.index.machines().by_uuid(uuid));
        let by_serial = machine.serial.iter().flat_map(|serial| self.index.machines().by_serial(serial));
        for id in by_uuid.chain(by_serial) {
            fits.entry(id).or_default().0 += 1;
        }
        for id in machine.macs.iter().flat_map(|mac| self.index.machines().by_mac(*mac)) {
            let fit = fits.entry(id).or_default();
            *fit = (fit.0 + 1, true);
        }
        let mut resolved = Resolved::default();
        let (mut same, mut duplicates): (Vec<(&Node, u32)>, Vec<&Node>) = Default::default();
        for (id, (count, by_mac)) in fits {
            let Some(node) = self.node(id) else { continue };
            if !by_mac && count == 1 && node.machine.has_other_macs_than(machine) {
                duplicates.push(node);
            } else {
                same.push((node, count));
            }
        }
        same.sort_by_key(|(node, count)| (!node.may_be_installed(), u32::MAX - count, node.id));
        let mut ids = same.into_iter().map(|(node, _)| node.id);
        resolved.node = ids.next().or_else(|| body.and_then(|ask| self.nameless_twin(machine, ask)));
        resolved.others = ids.take(MOST_NAMED).collect();
        duplicates.sort_by_key(|node| (!node.may_be_installed(), node.id));
        resolved.duplicates = duplicates.into_iter().take(MOST_NAMED).map(|node| node.id).collect();
        resolved
    }

    /// The row that a machine has, or will take, as far as what it shows tells.
    #[must_use]
    pub fn row_of(&self, info: &SystemInfo) -> Option<&std::sync::Arc<Node>> {
        let machine = MachineId::of_system(info);
        let known = self.resolve(&machine, None).node;
        known.or_else(|| self.place(&machine, &info.dmi, None).row.map(|(row, _)| row)).and_then(|row| self.node(row))
    }

    /// The row of a machine that shows nothing: one that showed nothing either, from the same address.
    fn nameless_twin(&self, machine: &MachineId, ask: &Ask) -> Option<NodeId> {
        if !machine.is_empty() {
            return None;
        }
        let is_twin = |node: &&std::sync::Arc<Node>| {
            node.machine.is_empty() && node.request.as_ref().is_some_and(|asked| asked.stamp.peer == ask.stamp.peer)
        };
        self.nodes().find(is_twin).map(|node| node.id)
    }

    /// Whether a machine gets a row of its own by this, and with it a name.
    #[must_use]
    pub fn is_stranger(&self, ask: &Ask) -> bool {
        let machine = MachineId::of_system(&ask.info);
        let is_known = self.resolve(&machine, Some(ask)).node.is_some() || self.ban_on(&machine).is_some();
        !is_known && self.place(&machine, &ask.info.dmi, None).row.is_none()
    }

    /// Decides on an answer request: always a fact, then the guard's word.
    pub(super) fn decide_ask(&self, ask: &Ask, now: Timestamp) -> Result<Decision, Refusal> {
        let machine = MachineId::of_system(&ask.info);
        if let Some(ban) = self.ban_on(&machine) {
            // No row and no event: it may ask as often as it likes.
            return Ok(Decision::none(Reply::Barred(Withheld::Banned(ban.reason.as_str().to_owned()))));
        }
        let resolved = self.resolve(&machine, Some(ask));
        let mut flags = Self::identity_flags(&machine, &resolved);
        flags.extend(self.asked_as(&machine, &resolved));
        flags.extend(self.like_banned(&machine));
        let known = resolved.node.and_then(|id| self.node(id));
        let count = known.and_then(|node| node.request.as_ref()).map_or(1, |asked| asked.count.saturating_add(1));
        let asked = Asked {
            at: now,
            stamp: ask.stamp.clone(),
            asking_mac: ask.asking_mac,
            info: ask.info.clone(),
            count,
            token: ask.token.clone(),
            own: Some(ask.own),
            is_told: false,
        };
        let Placed { row, flags: about_plan } = self.place(&machine, &ask.info.dmi, known.map(AsRef::as_ref));
        flags.extend(about_plan);
        let Some(node) = known else {
            flags.extend(self.was_here(&machine));
            let shown = Shown { machine: &machine, asset_tag: MachineId::trusted_tag(&ask.info.dmi) };
            let offered = if row.is_none() { self.offered(shown) } else { None };
            return match (row, offered) {
                (Some((node, found)), _) => {
                    let matched = Event::PlanMatched { node, found };
                    Ok(self.decide_planned(node, matched, machine, asked, flags))
                }
                (None, Some(Offered::Row(node, slot, found))) => {
                    let took = Event::Walked { step: WalkStep::Took { node, slot, found: Some(found) } };
                    Ok(self.decide_planned(node, took, machine, asked, flags))
                }
                (None, Some(Offered::Name(name))) => self.decide_stranger(machine, asked, flags, &Named::Walked(name)),
                (None, Some(Offered::NotThis(slot))) => {
                    flags.push(Flag::NotTheNext { slot });
                    self.decide_stranger(machine, asked, flags, &Named::Wished(ask.wish.as_ref()))
                }
                (None, None) => self.decide_stranger(machine, asked, flags, &Named::Wished(ask.wish.as_ref())),
            }
            .map(|decision| self.admit(decision, &ask.stamp, now))
            .and_then(|decision| self.in_its_place(decision, ask.stamp.peer, now));
        };

        if let (Some(known), Some(shown)) = (node.machine.uuid, machine.uuid)
            && known != shown
        {
            flags.push(Flag::UuidChanged { known, shown });
        }
        if !node.may_be_installed() {
            // A row can outlive the one its machine was installed as.
            flags.extend(self.was_here(&machine));
        }
        let mut events = Vec::new();
        let mut fixed = node.fixed();
        if let Some((id, found)) = row {
            let entry = self.node(id).filter(|row| row.id != node.id).and_then(|row| row.plan.clone());
            events.push(match entry {
                Some(entry) => {
                    fixed = fixed_with(node, &entry);
                    Event::PlanJoined { node: node.id, row: id, entry, found }
                }
                None => Event::PlanMatched { node: node.id, found },
            });
        }
        flags.extend(self.network_flags(node.id, fixed, node.nic, &asked));
        let seen = asked.clone();
        let is_news = !events.is_empty() || !is_noise(node, &asked, &flags);
        if is_news {
            events.push(Event::MachineAsked { node: node.id, machine, asked, flags });
        }
        if node.phase == Phase::Approved && node.approved.as_ref() != Some(&ask.stamp) {
            events.push(Event::ApprovalVoided { node: node.id });
        }
        let mut verdict = self.checked(self.guarded(node, &ask.stamp, now), &seen);
        if let Verdict::Serve(grant) = &verdict
            && let Some((grant, assigned)) = self.completed(grant, &ask.own)
        {
            events.push(assigned);
            verdict = Verdict::Serve(grant);
        }
        // What it was flagged with before is told anew with its request.
        let is_up = !is_news && node.flags.contains(&Flag::AsksAgain);
        if matches!(verdict, Verdict::Hold(Withheld::AsksAgain { .. })) && !is_up {
            events.push(Event::Flagged { node: node.id, flag: Flag::AsksAgain });
        }
        let decision = Decision { events, effects: Vec::new(), reply: Reply::Asked { node: node.id, verdict } };
        Ok(self.admit(decision, &ask.stamp, now))
    }

    /// A machine nobody has seen is a row of the plan, as `how` says.
    fn decide_planned(
        &self,
        node: NodeId,
        how: Event,
        machine: MachineId,
        asked: Asked,
        mut flags: Vec<Flag>,
    ) -> Decision {
        let fixed = self.node(node).and_then(|row| row.fixed());
        flags.extend(self.network_flags(node, fixed, None, &asked));
        let verdict = Verdict::Hold(Withheld::Undecided(guard::ClaimCode::of(node)));
        let events = vec![how, Event::MachineAsked { node, machine, asked, flags }];
        Decision { events, effects: Vec::new(), reply: Reply::Asked { node, verdict } }
    }

    fn decide_stranger(
        &self,
        machine: MachineId,
        asked: Asked,
        mut flags: Vec<Flag>,
        named: &Named<'_>,
    ) -> Result<Decision, Refusal> {
        if self.node_count() >= MAX_NODES {
            return Err(Refusal::Full(MAX_NODES));
        }
        let node = self.new_row();
        let (name, counters) = match named {
            Named::Walked(name) => (name.clone(), BTreeMap::new()),
            Named::Wished(wish) => match wish.map(|wish| self.grant_name(wish.as_ref().map_err(Text::clone)?)) {
                Some(Ok(granted)) => granted,
                other => {
                    flags.extend(other.and_then(Result::err).map(|reason| Flag::NotAsWished { reason }));
                    let taken = |name: &_| self.named(name).is_some();
                    (self.policy.derive_name(&machine, node.0, taken).ok_or(Refusal::NoName)?, BTreeMap::new())
                }
            },
        };
        let took = match named {
            Named::Walked(slot) => Some(WalkStep::Took { node, slot: slot.clone(), found: None }),
            Named::Wished(_) => None,
        };
        let took = took.map(|step| Event::Walked { step });
        flags.extend(self.network_flags(node, None, None, &asked));
        let verdict = Verdict::Hold(Withheld::Undecided(guard::ClaimCode::of(node)));
        let seen = Event::MachineSeen { node, name, machine, asked, flags };
        let taken = counters.into_iter().map(|(counter, value)| Event::CounterTaken { node, counter, value });
        let events = std::iter::once(seen).chain(taken).chain(took).collect();
        Ok(Decision { events, effects: Vec::new(), reply: Reply::Asked { node, verdict } })
    }

    /// A new row that no rule has approved takes one of the places for undecided ones.
    fn in_its_place(&self, mut decision: Decision, peer: IpAddr, now: Timestamp) -> Result<Decision, Refusal> {
        let is_undecided = !decision.events.iter().any(|event| matches!(event, Event::Admitted { .. }));
        if is_undecided && decision.events.iter().any(|event| matches!(event, Event::MachineSeen { .. })) {
            decision.events.splice(..0, self.make_room(peer, now)?);
        }
        Ok(decision)
    }

    /// A node learns nothing from who asks in its name; but what was shown with it may be its own, and then no rule may
    /// take the machine that shows it for a new one.
    fn asked_as(&self, machine: &MachineId, resolved: &Resolved) -> Vec<Flag> {
        if resolved.node.and_then(|id| self.node(id)).is_some_and(|node| node.may_be_installed()) {
            return Vec::new();
        }
        let others: BTreeSet<_> = machine.macs.iter().flat_map(|mac| self.index.claiming(*mac)).collect();
        others.into_iter().take(MOST_NAMED).map(|other| Flag::AskedAs { other }).collect()
    }

    fn identity_flags(machine: &MachineId, resolved: &Resolved) -> Vec<Flag> {
        let mut flags = Vec::new();
        if machine.is_empty() {
            flags.push(Flag::NoIdentity);
        } else if machine.uuid.is_none() {
            flags.push(Flag::UntrustedUuid);
        }
        flags.extend(resolved.duplicates.iter().map(|other| Flag::DuplicateOf { other: *other }));
        flags.extend(resolved.others.iter().map(|other| Flag::Ambiguous { other: *other }));
        flags
    }

    /// Asks the guard again, and whether name and address still hold, before an answer leaves.
    pub(super) fn decide_release(&self, release: &Release, now: Timestamp) -> Result<Decision, Refusal> {
        let node = self.node(release.node).ok_or(Refusal::UnknownNode(release.node))?;
        let judged = self.guarded(node, &release.stamp, now);
        let withheld = |why: Withheld| {
            let flag = self.flag_of(&why).filter(|flag| !node.flags.contains(flag));
            let events = flag.map(|flag| Event::Flagged { node: node.id, flag }).into_iter().collect();
            Ok(Decision { events, effects: Vec::new(), reply: Reply::Withheld(why) })
        };
        let grant = match judged {
            Verdict::Serve(grant) => grant,
            Verdict::Hold(why) => return withheld(why),
            Verdict::Refuse(why) => return Ok(Decision::none(Reply::Barred(why))),
        };
        let asked = node.request.as_ref();
        if let Some(why) = asked.and_then(|asked| self.obstacle(node.id, node.fixed(), node.nic, asked, &release.own)) {
            return withheld(why);
        }
        if let Some((grant, assigned)) = self.completed(&grant, &release.own).filter(|_| release.address.is_some()) {
            return Ok(Decision { events: vec![assigned], effects: Vec::new(), reply: Reply::Rerender(grant) });
        }
        if grant.name != release.name || (grant.address, grant.nic) != release.granted {
            return Ok(Decision::none(Reply::Rerender(grant)));
        }
        if let Some(why) = self.flaw(node, release) {
            return withheld(why);
        }
        let events = vec![Event::AnswerReleased {
            node: node.id,
            by: grant.by,
            stamp: release.stamp.clone(),
            document: release.document,
            secret: release.secret,
            address: release.address,
            vendor_unseen: release.vendor_unseen,
            profile: release.profile.clone(),
            left_out: release.left_out.clone(),
        }];
        Ok(Decision { events, effects: Vec::new(), reply: Reply::Released })
    }

    /// The guard's present word on an open request, for the coordinator's list of held ones.
    #[must_use]
    pub fn judge(&self, node: NodeId, stamp: &crate::domain::node::Stamp, now: Timestamp) -> Option<Verdict> {
        if let Some(node) = self.node(node) {
            return Some(self.checked_as_asked(node, self.guarded(node, stamp, now)));
        }
        let ban = self.bans().find(|ban| !ban.machine.macs.is_disjoint(&stamp.macs))?;
        Some(Verdict::Refuse(Withheld::Banned(ban.reason.as_str().to_owned())))
    }

    fn checked_as_asked(&self, node: &Node, verdict: Verdict) -> Verdict {
        match &node.request {
            Some(asked) => self.checked(verdict, asked),
            None => verdict,
        }
    }
}

/// The address of a node once it takes over an entry of the plan.
fn fixed_with(node: &Node, entry: &PlanEntry) -> Option<Fixed> {
    let planned = entry.address.map(|address| Fixed { address, by: FixedBy::Plan });
    node.fixed().filter(|fixed| fixed.by == FixedBy::Operator).or(planned).or(node.fixed())
}

/// Requests of a row that are an event each, however fast they come.
const HEARD: u32 = 8;
/// After that one in this time, where it is the same request …
const SAME: SignedDuration = SignedDuration::from_mins(1);
/// … and where it is another one: who asks in another's name must not fill the log either.
const ANOTHER: SignedDuration = SignedDuration::from_secs(10);

/// Whether a request says nothing that the row does not show already, and comes so soon that it is counted only.
fn is_noise(node: &Node, asked: &Asked, flags: &[Flag]) -> bool {
    let Some(last) = node.request.as_ref().filter(|last| last.count >= HEARD) else { return false };
    let is_same = (&last.stamp, &last.token, &last.own) == (&asked.stamp, &asked.token, &asked.own)
        && flags.iter().all(|flag| node.flags.contains(flag));
    // One that voids an approval is a decision.
    let is_harmless = is_same || node.phase != Phase::Approved;
    let quiet = if is_same { SAME } else { ANOTHER };
    is_harmless && (SignedDuration::ZERO..quiet).contains(&asked.at.duration_since(last.at))
}
