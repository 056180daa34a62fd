//! The words after `/`: which rows they mean. A word is looked for in every field of a row, first as it stands, then
//! fuzzily within one field; `phase:waiting` looks in one field only, `!word` means rows without it, `is:odd` those that
//! are not like their siblings.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use nucleo_matcher::pattern::{Atom, AtomKind, CaseMatching, Normalization};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::view::flag_word;
use crate::domain::fleet::Unmatched;
use crate::domain::guard::ClaimCode;
use crate::domain::siblings::Norms;
use crate::domain::text::Text;
use crate::domain::{Fleet, Node, NodeId};

/// Fewest characters that are looked for fuzzily: two letters are in everything.
const FUZZY: usize = 3;

/// Points a fuzzy match needs per character: 16 are given for each, a gap costs 3 and 1 per character skipped.
const POINTS: usize = 14;

/// A field a term can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Name,
    Phase,
    Address,
    Code,
    Model,
    Serial,
    Uuid,
    Mac,
    Product,
    Flag,
    Hardware,
    Reason,
    Note,
    Rack,
    Profile,
    Odd,
}

/// The names of fields, as they are typed, and where each looks.
const FIELDS: &[(&str, &[Field])] = &[
    ("name", &[Field::Name]),
    ("host", &[Field::Name]),
    ("phase", &[Field::Phase]),
    ("state", &[Field::Phase]),
    ("ip", &[Field::Address]),
    ("address", &[Field::Address]),
    ("code", &[Field::Code]),
    ("model", &[Field::Model]),
    ("serial", &[Field::Serial]),
    ("uuid", &[Field::Uuid]),
    ("mac", &[Field::Mac]),
    ("product", &[Field::Product]),
    ("flag", &[Field::Flag]),
    ("hw", &[Field::Hardware]),
    ("reason", &[Field::Reason]),
    ("note", &[Field::Note]),
    ("rack", &[Field::Rack]),
    ("profile", &[Field::Profile]),
    ("odd", &[Field::Odd]),
    ("is", &[Field::Phase, Field::Odd]),
];

/// One word of a filter.
#[derive(Debug)]
struct Term {
    /// The fields it looks in, where not in all.
    fields: Option<&'static [Field]>,
    is_not: bool,
    needle: String,
    fuzzy: Option<Atom>,
}

impl Term {
    fn parse(word: &str) -> Option<Self> {
        let (is_not, word) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
        // A MAC has colons too: only a field's name before one makes it a field.
        let named = word.split_once(':').and_then(|(name, value)| {
            let name = name.to_lowercase();
            FIELDS.iter().find(|(known, _)| *known == name).map(|(_, fields)| (*fields, value))
        });
        let (fields, value) = named.map_or((None, word), |(fields, value)| (Some(fields), value));
        let needle = value.to_lowercase();
        let is_long = needle.chars().count() >= FUZZY && !is_not;
        let atom = || Atom::new(value, CaseMatching::Ignore, Normalization::Smart, AtomKind::Fuzzy, false);
        (!needle.is_empty()).then(|| Self { fields, is_not, fuzzy: is_long.then(atom), needle })
    }

    fn fits(&self, entry: &Entry, matcher: &mut Matcher) -> bool {
        self.is_in(entry, matcher) != self.is_not
    }

    fn is_in(&self, entry: &Entry, matcher: &mut Matcher) -> bool {
        if self.fields.is_none() && entry.text.contains(&self.needle) {
            return true;
        }
        let parts = || {
            let wanted = entry.parts.iter().filter(|(field, _)| self.fields.is_none_or(|only| only.contains(field)));
            wanted.filter_map(|(_, range)| entry.text.get(range.clone()))
        };
        if self.fields.is_some() && parts().any(|part| part.contains(&self.needle)) {
            return true;
        }
        let Some(atom) = &self.fuzzy else { return false };
        let least = self.needle.chars().count() * POINTS;
        let mut characters = Vec::new();
        parts().any(|part| {
            let score = atom.score(Utf32Str::new(part, &mut characters), matcher);
            score.is_some_and(|score| usize::from(score) >= least)
        })
    }
}

/// What a row says, in lower case, field by field.
#[derive(Debug, Default)]
struct Entry {
    text: String,
    parts: Vec<(Field, Range<usize>)>,
}

impl Entry {
    fn add(&mut self, field: Field, value: impl std::fmt::Display) {
        let start = self.text.len();
        let _ = write!(self.text, "{value}");
        let lower = self.text[start..].to_lowercase();
        self.text.truncate(start);
        self.text.push_str(&lower);
        self.parts.push((field, start..self.text.len()));
        // Nothing typed holds a line end, so no needle is found across two fields.
        self.text.push('\n');
    }

    fn maybe(&mut self, field: Field, value: Option<&Text>) {
        if let Some(value) = value {
            self.add(field, value);
        }
    }

    fn of_node(node: &Node, norms: &Norms) -> Self {
        let mut entry = Self::default();
        entry.add(Field::Name, &node.name);
        entry.add(Field::Phase, node.phase.word());
        entry.add(Field::Code, ClaimCode::of(node.id));
        entry.add(Field::Name, node.id);
        if let Some(address) = node.shown_address() {
            entry.add(Field::Address, address);
        }
        entry.maybe(Field::Model, node.model());
        entry.maybe(Field::Serial, node.serial());
        entry.add(Field::Product, node.product().short());
        entry.maybe(Field::Reason, node.phase.reason());
        if !node.note.is_empty() {
            entry.add(Field::Note, &node.note);
        }
        if let Some(plan) = &node.plan {
            entry.maybe(Field::Rack, plan.rack.as_ref());
            entry.maybe(Field::Serial, plan.asset_tag.as_ref());
        }
        if let Some(profile) = node.wanted_profile() {
            entry.add(Field::Profile, profile);
        }
        for flag in &node.flags {
            entry.add(Field::Flag, flag_word(flag));
        }
        if let Some(asked) = &node.request {
            let dmi = &asked.info.dmi;
            entry.maybe(Field::Uuid, dmi.uuid.as_ref());
            for serial in [&dmi.board_serial, &dmi.chassis_serial, &dmi.asset_tag] {
                entry.maybe(Field::Serial, serial.as_ref());
            }
            for link in &asked.info.links {
                entry.add(Field::Mac, link.mac);
            }
        }
        if let Some(reported) = &node.report {
            let report = &reported.report;
            entry.maybe(Field::Hardware, report.cpu.model.as_ref());
            entry.maybe(Field::Product, report.product_version.as_ref());
            for disk in &report.disks {
                entry.maybe(Field::Hardware, disk.model.as_ref());
                entry.maybe(Field::Serial, disk.serial.as_ref());
            }
        }
        for odd in norms.odd(node) {
            entry.add(Field::Odd, format_args!("odd {}", odd.own));
        }
        entry
    }

    fn of_report(unmatched: &Unmatched) -> Self {
        let mut entry = Self::default();
        let report = &unmatched.report;
        entry.add(Field::Phase, "report");
        entry.add(Field::Address, unmatched.peer);
        entry.maybe(Field::Name, report.fqdn.as_ref());
        entry.maybe(Field::Model, report.dmi.model.as_ref());
        entry.maybe(Field::Serial, report.dmi.serial.as_ref());
        entry.maybe(Field::Uuid, report.dmi.uuid.as_ref());
        entry
    }
}

/// A filter and what it last said about each node: only nodes that changed are looked at again.
pub(super) struct Filter {
    text: String,
    terms: Vec<Term>,
    verdicts: HashMap<NodeId, (Arc<Node>, bool)>,
    entries: HashMap<NodeId, (Arc<Node>, Entry)>,
    /// What `entries` were compared with: whether a machine is odd changes with the others.
    norms: Norms,
    matcher: Option<Matcher>,
}

impl Filter {
    /// Everything is shown.
    pub(super) fn none() -> Self {
        Self {
            text: String::new(),
            terms: Vec::new(),
            verdicts: HashMap::new(),
            entries: HashMap::new(),
            norms: Norms::default(),
            matcher: None,
        }
    }

    /// What was typed.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it hides anything.
    pub(super) fn is_on(&self) -> bool {
        !self.terms.is_empty()
    }

    /// Means something else from now on.
    pub(super) fn set(&mut self, text: &str) {
        text.clone_into(&mut self.text);
        self.terms = text.split_whitespace().filter_map(Term::parse).collect();
        self.verdicts.clear();
        if self.terms.is_empty() {
            // Nothing is kept for a filter nobody uses.
            *self = Self { text: std::mem::take(&mut self.text), ..Self::none() };
        }
    }

    /// Takes in what is usual by now, which comes before any node is looked at.
    pub(super) fn compare_with(&mut self, norms: &Norms) {
        if self.is_on() && !self.norms.judges_like(norms) {
            self.norms = norms.clone();
            self.entries.clear();
            self.verdicts.clear();
        }
    }

    /// Whether a node is shown.
    pub(super) fn shows(&mut self, node: &Arc<Node>) -> bool {
        if self.terms.is_empty() {
            return true;
        }
        if let Some((seen, verdict)) = self.verdicts.get(&node.id)
            && Arc::ptr_eq(seen, node)
        {
            return *verdict;
        }
        let is_known = self.entries.get(&node.id).is_some_and(|(seen, _)| Arc::ptr_eq(seen, node));
        if !is_known {
            self.entries.insert(node.id, (Arc::clone(node), Entry::of_node(node, &self.norms)));
        }
        let matcher = self.matcher.get_or_insert_with(|| Matcher::new(Config::DEFAULT));
        let verdict = self
            .entries
            .get(&node.id)
            .is_some_and(|(_, entry)| self.terms.iter().all(|term| term.fits(entry, matcher)));
        self.verdicts.insert(node.id, (Arc::clone(node), verdict));
        verdict
    }

    /// Whether a report without a node is shown.
    pub(super) fn shows_report(&mut self, unmatched: &Unmatched) -> bool {
        if self.terms.is_empty() {
            return true;
        }
        let entry = Entry::of_report(unmatched);
        let matcher = self.matcher.get_or_insert_with(|| Matcher::new(Config::DEFAULT));
        self.terms.iter().all(|term| term.fits(&entry, matcher))
    }

    /// Forgets nodes that are gone.
    pub(super) fn forget_gone(&mut self, fleet: &Fleet) {
        if self.entries.len() > fleet.node_count() {
            self.entries.retain(|id, _| fleet.node(*id).is_some());
            self.verdicts.retain(|id, _| fleet.node(*id).is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tui::fixture::{Rack, busy_rack};

    fn shown(text: &str) -> Vec<u64> {
        let rack = busy_rack();
        let mut filter = Filter::none();
        filter.set(text);
        rack.fleet.nodes().filter(|node| filter.shows(node)).map(|node| node.id.0).collect()
    }

    #[rstest]
    #[case("", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])]
    #[case("waiting", &[9, 10])]
    #[case("phase:wait", &[9, 10])]
    #[case("phase:waiting 0709", &[9])]
    #[case("PHASE:Waiting !0709", &[10])]
    #[case("pv0709", &[9])]
    #[case("model:r650 phase:failed", &[2])]
    #[case("b4:2e:99:ac:03:01", &[3])]
    #[case("mac:ac:03", &[3])]
    #[case("ip:192.0.2.103", &[3])]
    #[case("serial:waiting", &[])]
    #[case("xeon", &[1, 2, 3, 4])]
    #[case("model:", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])]
    #[case("old-", &[11])]
    #[case("not ours", &[7])]
    #[case("is:waiting", &[9, 10])]
    #[case("is:odd", &[])]
    fn words_mean_rows(#[case] text: &str, #[case] expected: &[u64]) {
        assert_eq!(shown(text), expected, "{text}");
    }

    #[test]
    fn the_odd_ones_are_found_while_they_are_odd() {
        let mut rack = Rack::new();
        let with_fewer_disks = |rack: &mut Rack, n| {
            let node = rack.ask(n);
            rack.install(node);
            rack.report_odd(n, node, |report| drop(report.disks.pop()));
            node
        };
        let usual = [1, 2].map(|n| rack.ready(n));
        let odd = with_fewer_disks(&mut rack, 3);
        let shown = |filter: &mut Filter, rack: &Rack| -> Vec<NodeId> {
            filter.compare_with(&Norms::of(rack.fleet.nodes().map(AsRef::as_ref)));
            rack.fleet.nodes().filter(|node| filter.shows(node)).map(|node| node.id).collect()
        };
        for text in ["is:odd", "odd:disk", "odd", "is:odd !phase:ready"] {
            let mut filter = Filter::none();
            filter.set(text);
            assert_eq!(shown(&mut filter, &rack), [odd], "{text}");
        }
        let mut filter = Filter::none();
        filter.set("is:odd");
        assert_eq!(shown(&mut filter, &rack), [odd]);
        // With more like it the others are the odd ones, though none of them has changed.
        for n in 4..=6 {
            with_fewer_disks(&mut rack, n);
        }
        assert_eq!(shown(&mut filter, &rack), usual);
        filter.set("!is:odd");
        assert_eq!(shown(&mut filter, &rack).len(), 4);
    }

    #[test]
    fn every_field_is_in_the_list_of_keys() {
        let listed = include_str!("../../docs/keys.md");
        for (name, _) in FIELDS {
            assert!(listed.contains(&format!("`{name}:`")), "`{name}:` is not in docs/keys.md");
        }
    }

    #[test]
    fn a_node_that_changed_is_looked_at_again() {
        let mut rack = busy_rack();
        let mut filter = Filter::none();
        filter.set("phase:waiting");
        let count = |rack: &Rack, filter: &mut Filter| rack.fleet.nodes().filter(|node| filter.shows(node)).count();
        assert_eq!(count(&rack, &mut filter), 2);
        rack.approve(NodeId(9));
        assert_eq!(count(&rack, &mut filter), 1);
        filter.set("");
        assert!(!filter.is_on() && filter.entries.is_empty());
    }
}
