//! Which rows the table shows, and in which order: filtered, sorted, grouped. Worked out when a snapshot comes or the
//! operator chooses otherwise, never per frame.

use std::sync::Arc;

use super::filter::Filter;
use super::model::{Row, life};
use crate::domain::siblings::Norms;
use crate::domain::walk::natural;
use crate::domain::{Node, ProfileChoice, Snapshot};

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// When the machine was first seen: rows keep their places.
    #[default]
    Arrival,
    /// Who waits, what failed, then the order of life.
    State,
    /// Host name.
    Name,
    /// Address.
    Address,
    /// Longest in its phase first.
    Since,
    /// Model.
    Model,
    /// Serial number.
    Serial,
}

impl Sort {
    const ALL: [Self; 7] =
        [Self::Arrival, Self::State, Self::Name, Self::Address, Self::Since, Self::Model, Self::Serial];

    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Arrival => "arrival",
            Self::State => "state, who waits first",
            Self::Name => "host name",
            Self::Address => "address",
            Self::Since => "time in the phase, longest first",
            Self::Model => "model",
            Self::Serial => "serial number",
        }
    }

    fn apply(self, nodes: &mut [&Arc<Node>]) {
        match self {
            Self::Arrival => {}
            Self::State => nodes.sort_by_key(|node| life(&node.phase)),
            Self::Name => nodes.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str())),
            Self::Address => nodes.sort_by_cached_key(|node| absent_last(node.shown_address())),
            Self::Since => nodes.sort_by_key(|node| node.since),
            Self::Model => nodes.sort_by(|one, other| absent_last(one.model()).cmp(&absent_last(other.model()))),
            Self::Serial => nodes.sort_by(|one, other| absent_last(one.serial()).cmp(&absent_last(other.serial()))),
        }
    }
}

fn absent_last<T>(value: Option<T>) -> (bool, Option<T>) {
    (value.is_none(), value)
}

/// What rows are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grouping {
    /// Phase.
    Phase,
    /// The profile it gets or got.
    Profile,
    /// The rack the plan puts it in.
    Rack,
    /// Model.
    Model,
    /// Product.
    Product,
}

impl Grouping {
    const ALL: [Self; 5] = [Self::Phase, Self::Profile, Self::Rack, Self::Model, Self::Product];

    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Phase => "phase",
            Self::Profile => "profile",
            Self::Rack => "rack",
            Self::Model => "model",
            Self::Product => "product",
        }
    }

    /// The group a node is in: its place among the groups, and its name.
    fn of(self, node: &Node) -> (u8, String) {
        match self {
            Self::Phase => (life(&node.phase), node.phase.word().to_owned()),
            Self::Profile => profile(node),
            Self::Rack => match node.plan.as_ref().and_then(|entry| entry.rack.as_ref()) {
                Some(rack) => (0, format!("rack {rack}")),
                None => (1, "no rack in the plan".to_owned()),
            },
            Self::Model => match node.model() {
                Some(model) => (0, model.to_string()),
                None => (1, "model not known".to_owned()),
            },
            Self::Product => (0, node.product().short().to_owned()),
        }
    }

    /// What groups are ordered by: R2 stands before R10.
    fn order(self, node: &Node) -> impl Ord + use<> {
        let (place, name) = self.of(node);
        (place, natural(&name), name)
    }
}

/// The profile a node gets by the operator's word or the plan's, else the one it got.
fn profile(node: &Node) -> (u8, String) {
    let wanted = node.wanted_profile().map(ToString::to_string);
    let answered = || node.answers.as_ref().and_then(|answers| answers.profile.as_ref()).map(ToString::to_string);
    match &node.profile {
        Some(ProfileChoice::Without) => (1, "no profile".to_owned()),
        Some(ProfileChoice::Named(_)) | None => match wanted.or_else(answered) {
            Some(name) => (0, format!("profile {name}")),
            None => (2, "the profile that fits".to_owned()),
        },
    }
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A row.
    Row(Row),
    /// The heading of a group.
    Heading {
        /// The group.
        name: String,
        /// Rows in it.
        rows: usize,
    },
}

/// The lines of the table.
pub(super) struct Listing {
    items: Vec<Item>,
    shown: usize,
    /// What rows are sorted by.
    pub(super) sort: Sort,
    /// Whether the other way round.
    pub(super) is_reversed: bool,
    /// What rows are grouped by.
    pub(super) grouping: Option<Grouping>,
    /// Which rows are shown.
    pub(super) filter: Filter,
}

impl Listing {
    /// Everything, in order of arrival.
    pub(super) fn of(snapshot: &Snapshot, norms: &Norms) -> Self {
        let mut listing = Self {
            items: Vec::new(),
            shown: 0,
            sort: Sort::default(),
            is_reversed: false,
            grouping: None,
            filter: Filter::none(),
        };
        listing.refresh(snapshot, norms);
        listing
    }

    /// Works the lines out anew; `norms` are those of this snapshot.
    pub(super) fn refresh(&mut self, snapshot: &Snapshot, norms: &Norms) {
        let fleet = &snapshot.fleet;
        self.filter.compare_with(norms);
        self.filter.forget_gone(fleet);
        let mut nodes: Vec<&Arc<Node>> = fleet.nodes().filter(|node| self.filter.shows(node)).collect();
        self.sort.apply(&mut nodes);
        if self.is_reversed {
            nodes.reverse();
        }
        self.items.clear();
        if let Some(grouping) = self.grouping {
            nodes.sort_by_cached_key(|node| grouping.order(node));
            for group in nodes.chunk_by(|one, other| grouping.of(one) == grouping.of(other)) {
                let name = group.first().map(|node| grouping.of(node).1).unwrap_or_default();
                self.items.push(Item::Heading { name, rows: group.len() });
                self.items.extend(group.iter().map(|node| Item::Row(Row::Node(node.id))));
            }
        } else {
            self.items.extend(nodes.iter().map(|node| Item::Row(Row::Node(node.id))));
        }
        self.shown = nodes.len();
        let reports = fleet.unmatched().filter(|report| self.filter.shows_report(report));
        let reports: Vec<_> = reports.map(|report| Item::Row(Row::Report(report.id))).collect();
        if self.grouping.is_some() && !reports.is_empty() {
            self.items.push(Item::Heading { name: "reports without a node".to_owned(), rows: reports.len() });
        }
        self.shown += reports.len();
        self.items.extend(reports);
    }

    /// The lines.
    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    /// How many rows are shown, headings not counted.
    pub(super) fn shown(&self) -> usize {
        self.shown
    }

    /// The row at a line, if that is one.
    pub(super) fn row(&self, index: usize) -> Option<Row> {
        match self.items.get(index) {
            Some(Item::Row(row)) => Some(*row),
            Some(Item::Heading { .. }) | None => None,
        }
    }

    /// The line of a row.
    pub(super) fn place(&self, row: Row) -> Option<usize> {
        self.items.iter().position(|item| matches!(item, Item::Row(other) if *other == row))
    }

    /// The line nearest to `index` that is a row: further on in the direction of travel, else back.
    pub(super) fn nearest_row(&self, index: usize, is_forward: bool) -> Option<usize> {
        let after = || (index..self.items.len()).find(|index| self.row(*index).is_some());
        let before = || (0..=index).rev().find(|index| self.row(*index).is_some());
        if is_forward { after().or_else(before) } else { before().or_else(after) }
    }

    /// The nodes shown.
    pub(super) fn nodes(&self) -> impl Iterator<Item = crate::domain::NodeId> {
        self.items.iter().filter_map(|item| match item {
            Item::Row(Row::Node(id)) => Some(*id),
            Item::Row(Row::Report(_)) | Item::Heading { .. } => None,
        })
    }

    /// Sorts by the next property.
    pub(super) fn next_sort(&mut self) {
        let here = Sort::ALL.iter().position(|sort| *sort == self.sort).unwrap_or_default();
        self.sort = Sort::ALL[(here + 1) % Sort::ALL.len()];
    }

    /// Groups by the next property, in the end by none.
    pub(super) fn next_grouping(&mut self) {
        let here = self.grouping.and_then(|grouping| Grouping::ALL.iter().position(|other| *other == grouping));
        self.grouping = Grouping::ALL.get(here.map_or(0, |here| here + 1)).copied();
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tui::fixture::busy_rack;

    fn listed(listing: &Listing) -> Vec<String> {
        let word = |item: &Item| match item {
            Item::Row(Row::Node(id)) => id.0.to_string(),
            Item::Row(Row::Report(id)) => id.to_string(),
            Item::Heading { name, rows } => format!("{name} {rows}"),
        };
        listing.items().iter().map(word).collect()
    }

    #[rstest]
    #[case(Sort::Arrival, "1 2 3 4 5 6 7 8 9 10 11 w1")]
    #[case(Sort::State, "9 10 2 5 8 6 4 3 1 7 11 w1")]
    #[case(Sort::Name, "11 1 2 3 4 5 6 7 8 9 10 w1")]
    #[case(Sort::Address, "1 2 3 4 5 6 7 8 9 10 11 w1")]
    #[case(Sort::Serial, "1 2 3 4 5 6 7 8 9 10 11 w1")]
    fn rows_are_sorted_and_reports_come_last(#[case] sort: Sort, #[case] expected: &str) {
        let snapshot = busy_rack().snapshot();
        let mut listing = Listing::of(&snapshot, &Norms::default());
        listing.sort = sort;
        listing.refresh(&snapshot, &Norms::default());
        assert_eq!(listed(&listing).join(" "), expected);
    }

    #[test]
    fn groups_have_headings_and_the_choices_go_around() {
        let snapshot = busy_rack().snapshot();
        let mut listing = Listing::of(&snapshot, &Norms::default());
        listing.next_grouping();
        listing.filter.set("phase:waiting phase:wait");
        listing.refresh(&snapshot, &Norms::default());
        assert_eq!(listed(&listing), ["waiting 2", "9", "10"]);
        assert_eq!(listing.nearest_row(0, false), Some(1), "a heading cannot be selected");
        assert_eq!((listing.shown(), listing.nodes().count()), (2, 2));
        for _ in 0..5 {
            listing.next_grouping();
        }
        assert_eq!(listing.grouping, None);
        for _ in 0..7 {
            listing.next_sort();
        }
        assert_eq!(listing.sort, Sort::Arrival);
    }
}
