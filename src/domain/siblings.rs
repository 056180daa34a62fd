//! The odd one out: in what a machine differs from most others of its model. A disk that is missing, a card in the wrong
//! slot or a firmware switch shows here before a playbook stumbles over it.

use std::collections::BTreeMap;
use std::fmt;

use super::facts::Cpu;
use super::node::Node;
use super::text::Text;

/// Siblings that must have told a trait before anything is odd.
const ENOUGH: usize = 2;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trait {
    /// Network links its installer listed.
    Links,
    /// Disks of its report.
    Disks,
    /// Their sizes.
    Sizes,
    /// Its processors.
    Cpu,
    /// How it boots.
    Boot,
    /// Secure boot.
    SecureBoot,
}

impl Trait {
    const ALL: [Self; 6] = [Self::Links, Self::Disks, Self::Sizes, Self::Cpu, Self::Boot, Self::SecureBoot];

    /// What a node says of it, where it says anything.
    fn of(self, node: &Node) -> Option<Value> {
        let report = node.report.as_ref().map(|reported| &reported.report);
        match self {
            Self::Links => node.request.as_ref().map(|asked| Value::Count(asked.info.links.len())),
            Self::Disks => {
                report.filter(|report| !report.disks.is_empty()).map(|report| Value::Count(report.disks.len()))
            }
            Self::Sizes => {
                let mut sizes: Vec<_> = report?.disks.iter().filter_map(|disk| disk.size).collect();
                sizes.sort_unstable();
                (!sizes.is_empty()).then_some(Value::Sizes(sizes))
            }
            Self::Cpu => report.and_then(|report| cpu(&report.cpu)),
            Self::Boot => report.and_then(|report| report.boot_mode.clone()).map(Value::Words),
            Self::SecureBoot => report.and_then(|report| report.secure_boot).map(Value::Switch),
        }
    }

    fn words(self, value: &Value) -> String {
        let many = |count: &usize, noun: &str| format!("{count} {noun}{}", if *count == 1 { "" } else { "s" });
        match (self, value) {
            (Self::Links, Value::Count(count)) => many(count, "NIC"),
            (Self::Disks, Value::Count(count)) => many(count, "disk"),
            (Self::SecureBoot, Value::Switch(on)) => format!("secure boot {}", if *on { "on" } else { "off" }),
            (Self::Boot, Value::Words(mode)) => format!("{mode} boot"),
            (Self::Sizes, Value::Sizes(sizes)) => {
                let sizes: Vec<_> = sizes.iter().map(|size| gigabytes(*size)).collect();
                format!("disks of {}", sizes.join(" + "))
            }
            (_, Value::Words(words)) => words.to_string(),
            (_, Value::Count(count)) => count.to_string(),
            (_, Value::Switch(on)) => on.to_string(),
            (_, Value::Sizes(sizes)) => sizes.len().to_string(),
        }
    }
}

/// As disks are sold: `960 GB`.
fn gigabytes(bytes: u64) -> String {
    match bytes / 1_000_000_000 {
        0 => format!("{bytes} bytes"),
        gigabytes => format!("{gigabytes} GB"),
    }
}

fn cpu(cpu: &Cpu) -> Option<Value> {
    let sockets = cpu.sockets.map(|sockets| format!("{sockets} x ")).unwrap_or_default();
    let model = cpu.model.as_ref()?;
    Some(Value::Words(Text::new(&format!("{sockets}{model}"))))
}

/// What was told of a trait.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Count(usize),
    Words(Text),
    Switch(bool),
    Sizes(Vec<u64>),
}

/// What most machines of each model are like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Norms {
    models: BTreeMap<Text, Tally>,
}

/// What the machines of one model have told, and how many of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    machines: usize,
    told: BTreeMap<Trait, BTreeMap<Value, usize>>,
}

impl Tally {
    /// What is usual in something: enough have told of it, and more than half of a machine's siblings agree. With it, how
    /// many do, and how many siblings there are.
    fn usual(&self, what: Trait) -> Option<(&Value, usize, usize)> {
        let told = self.told.get(&what)?;
        let of = told.values().sum::<usize>().saturating_sub(1);
        let (usual, like) = told.iter().max_by_key(|(_, count)| **count)?;
        (of >= ENOUGH && *like * 2 > of).then_some((usual, *like, of))
    }
}

/// In one thing a machine is not like most of its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    /// In what.
    pub what: Trait,
    /// What it has itself.
    pub own: String,
    /// What most siblings have.
    pub usual: String,
    /// How many of them have that.
    pub like: usize,
    /// How many have told.
    pub of: usize,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { own, usual, like, of, .. } = self;
        write!(f, "{like} of {of} siblings have {usual}, this one has {own}")
    }
}

impl Norms {
    /// What these nodes have told.
    pub fn of<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Self {
        let mut norms = Self::default();
        for node in nodes {
            let Some(model) = node.model() else { continue };
            if !norms.models.contains_key(model) {
                norms.models.insert(model.clone(), Tally::default());
            }
            let Some(tally) = norms.models.get_mut(model) else { continue };
            tally.machines += 1;
            for what in Trait::ALL {
                if let Some(value) = what.of(node) {
                    *tally.told.entry(what).or_default().entry(value).or_default() += 1;
                }
            }
        }
        norms
    }

    /// How many others of its model there are.
    #[must_use]
    pub fn siblings(&self, node: &Node) -> usize {
        node.model().and_then(|model| self.models.get(model)).map_or(0, |tally| tally.machines.saturating_sub(1))
    }

    /// Whether the same machines are odd by both, as far as the machines themselves have not changed.
    #[must_use]
    pub fn judges_like(&self, other: &Self) -> bool {
        let usual = |norms: &Self| -> Vec<(Text, Trait, Value)> {
            let all = norms.models.iter().flat_map(|(model, tally)| Trait::ALL.map(|what| (model, what, tally)));
            let usual = all.filter_map(|(model, what, tally)| Some((model, what, tally.usual(what)?.0)));
            usual.map(|(model, what, value)| (model.clone(), what, value.clone())).collect()
        };
        self == other || usual(self) == usual(other)
    }

    /// In what a node, one of those counted, is the odd one out: more than half of its siblings agree on something else.
    #[must_use]
    pub fn odd(&self, node: &Node) -> Vec<Odd> {
        let Some(tally) = node.model().and_then(|model| self.models.get(model)) else { return Vec::new() };
        let one = |what: Trait| {
            let own = what.of(node)?;
            let (usual, like, of) = tally.usual(what)?;
            (*usual != own).then(|| Odd { what, own: what.words(&own), usual: what.words(usual), like, of })
        };
        let mut odd: Vec<_> = Trait::ALL.into_iter().filter_map(one).collect();
        // Another number of disks makes other sizes.
        if odd.iter().any(|odd| odd.what == Trait::Disks) {
            odd.retain(|odd| odd.what != Trait::Sizes);
        }
        odd
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::facts::{Disk, Report};
    use crate::domain::fleet::blank_row;
    use crate::domain::node::Reported;
    use crate::domain::{DocumentHash, NodeId};

    fn node(id: u64, model: &str, change: impl FnOnce(&mut Report)) -> Arc<Node> {
        let disk = |size| Disk { size: Some(size), ..Disk::default() };
        let mut report = Report {
            disks: vec![disk(960_197_124_096), disk(960_197_124_096)],
            boot_mode: Some(Text::new("efi")),
            secure_boot: Some(false),
            cpu: Cpu { model: Some(Text::new("Xeon")), sockets: Some(2), ..Cpu::default() },
            ..Report::default()
        };
        report.dmi.model = Some(Text::new(model));
        change(&mut report);
        let at = jiff::Timestamp::UNIX_EPOCH;
        let reported = Reported { at, peer: [192, 0, 2, 1].into(), document: DocumentHash::of(b""), report };
        let name = format!("pve-{id}.lab").parse().unwrap();
        Arc::new(Node { report: Some(reported), ..blank_row(NodeId(id), name, at) })
    }

    fn odd(nodes: &[Arc<Node>], index: usize) -> Vec<String> {
        Norms::of(nodes.iter().map(AsRef::as_ref)).odd(&nodes[index]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_odd_one_of_a_model_is_told_and_the_others_are_not() {
        let mut nodes: Vec<_> = (1..=4).map(|id| node(id, "R650", |_| {})).collect();
        nodes.push(node(5, "R650", |report| drop(report.disks.pop())));
        nodes.push(node(6, "R750", |report| report.disks.clear()));
        assert_eq!(odd(&nodes, 4), ["4 of 4 siblings have 2 disks, this one has 1 disk"]);
        assert!((0..4).chain([5]).all(|index| odd(&nodes, index).is_empty()));
        let norms = Norms::of(nodes.iter().map(AsRef::as_ref));
        assert_eq!((norms.siblings(&nodes[0]), norms.siblings(&nodes[5])), (4, 0));
    }

    #[test]
    fn everything_that_is_told_is_compared() {
        let mut nodes: Vec<_> = (1..=3).map(|id| node(id, "R650", |_| {})).collect();
        nodes.push(node(4, "R650", |report| {
            report.disks[0].size = Some(480_103_981_056);
            report.boot_mode = Some(Text::new("bios"));
            report.secure_boot = Some(true);
            report.cpu.sockets = Some(1);
        }));
        assert_eq!(
            odd(&nodes, 3),
            [
                "3 of 3 siblings have disks of 960 GB + 960 GB, this one has disks of 480 GB + 960 GB",
                "3 of 3 siblings have 2 x Xeon, this one has 1 x Xeon",
                "3 of 3 siblings have efi boot, this one has bios boot",
                "3 of 3 siblings have secure boot off, this one has secure boot on",
            ]
        );
    }

    #[test]
    fn nobody_is_odd_among_two_or_without_a_majority() {
        let with = |id, disks: usize| node(id, "R650", |report| report.disks.truncate(disks));
        assert!(odd(&[with(1, 2), with(2, 1)], 1).is_empty(), "which of the two?");
        let nodes = [with(1, 2), with(2, 2), with(3, 1), with(4, 1), with(5, 1)];
        assert!(odd(&nodes, 0).iter().all(|words| words.starts_with("3 of 4")), "{:?}", odd(&nodes, 0));
        assert!(odd(&nodes, 2).is_empty(), "half of them is no majority");
        let silent = [with(1, 2), with(2, 2), with(3, 0)];
        assert!(odd(&silent, 2).is_empty(), "who tells of no disk has not said that it has none");
    }

    #[test]
    fn one_more_of_the_same_changes_no_judgement() {
        let norms = |nodes: &[Arc<Node>]| Norms::of(nodes.iter().map(AsRef::as_ref));
        let mut nodes: Vec<_> = (1..=3).map(|id| node(id, "R650", |_| {})).collect();
        let three = norms(&nodes);
        nodes.push(node(4, "R650", |_| {}));
        assert!(three.judges_like(&norms(&nodes)));
        assert!(!three.judges_like(&norms(&nodes[..2])), "of two nobody is odd");
        let other: Vec<_> = (1..=3).map(|id| node(id, "R650", |report| drop(report.disks.pop()))).collect();
        assert!(!three.judges_like(&norms(&other)));
    }
}
