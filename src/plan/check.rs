//! The plan as a whole: nothing there twice, no address that cannot be, no profile that is not there.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::Context;
use super::column::Field;
use super::row::{self, Row};
use crate::config::{self, Problem, Problems, Source};
use crate::domain::address::{AddressSource, Unfit};
use crate::domain::text::Text;

/// Where DHCP is the rule.
const DHCP_WINS: &str =
    "addresses of the plan have no effect with DHCP, but for nodes whose profile or override says `from-answer`";

/// A row, and the text it stands in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'a> {
    pub(super) source: &'a Source,
    pub(super) row: &'a Row,
}

impl Placed<'_> {
    fn problem(&self, field: &Field, message: String) -> Problem {
        self.source.problem(self.row.place(self.source, field), message)
    }
}

/// Finds everything that is wrong with the rows together.
pub(super) fn check(rows: &[Placed<'_>], context: &Context, problems: &mut Problems, warnings: &mut Problems) {
    unique(rows, &Field::Hostname, problems, |row| [row.entry.hostname.clone()]);
    unique(rows, &Field::Serial, problems, |row| row.entry.serial.as_ref().map(Folded));
    unique(rows, &Field::Uuid, problems, |row| row.entry.uuid);
    unique(rows, &Field::Mac, problems, |row| row.entry.macs.clone());
    unique(rows, &Field::AssetTag, problems, |row| row.entry.asset_tag.as_ref().map(Folded));
    unique(rows, &Field::Address, problems, |row| row.entry.address);
    for placed in rows {
        address(placed, context, problems);
        prefix(placed, context, warnings);
        profile(placed, context, problems);
        if !placed.row.entry.has_identifier() {
            warnings.add(|| {
                let name = &placed.row.entry.hostname;
                let message =
                    format!("`{name}` has no serial, uuid, mac or asset_tag: no machine can be recognised as it");
                placed.problem(&Field::Hostname, message).hint("or give a machine that waits this name").warning()
            });
        }
    }
    let is_dhcp = context.addresses.source == AddressSource::Dhcp;
    if let Some(placed) = rows.iter().find(|placed| is_dhcp && placed.row.entry.address.is_some()) {
        warnings.add(|| {
            let problem = placed.problem(&Field::Address, DHCP_WINS.to_owned());
            problem.hint("see `address` in [network] of config.toml, and `source` in default.toml").warning()
        });
    }
}

/// A text compared without regard to case.
#[derive(Clone, Copy, Debug)]
struct Folded<'a>(&'a Text);

impl PartialEq for Folded<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str().eq_ignore_ascii_case(other.0.as_str())
    }
}

impl Eq for Folded<'_> {}

impl Hash for Folded<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_str().to_ascii_lowercase().hash(state);
    }
}

impl fmt::Display for Folded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)
    }
}

/// No two rows say the same.
fn unique<'a, K: Eq + Hash + fmt::Display, I: IntoIterator<Item = K>>(
    rows: &[Placed<'a>],
    field: &Field,
    problems: &mut Problems,
    said: impl Fn(&'a Row) -> I,
) {
    let mut first: HashMap<K, &Placed<'_>> = HashMap::with_capacity(rows.len());
    for placed in rows {
        for value in said(placed.row) {
            let Some(earlier) = first.get(&value) else {
                first.insert(value, placed);
                continue;
            };
            problems.add(|| {
                let (line, name) = (earlier.row.line(earlier.source), &earlier.row.entry.hostname);
                let elsewhere = if std::ptr::eq(earlier.source, placed.source) {
                    String::new()
                } else {
                    format!("{}, ", earlier.source.name)
                };
                let message = format!("`{field}`: {value} is also that of `{name}` ({elsewhere}line {line})");
                placed.problem(field, message).hint("each must be unique in the plan; correct one of the two")
            });
        }
    }
}

fn address(placed: &Placed<'_>, context: &Context, problems: &mut Problems) {
    let Some(address) = placed.row.entry.address else { return };
    let Err(why) = context.addresses.judge(address) else { return };
    problems.add(|| {
        let message = format!("`address`: {address} cannot be a node's: {why}");
        let problem = placed.problem(&Field::Address, message);
        match (why, context.addresses.network()) {
            (Unfit::Outside, Some(network)) => problem
                .hint(format!("the machines' network is {network}, by `machine_net_gateway` and `machine_net_mask`")),
            _ => problem,
        }
    });
}

/// The width of the machines' network is not the plan's to say.
fn prefix(placed: &Placed<'_>, context: &Context, warnings: &mut Problems) {
    let cell = placed.row.cells.iter().find(|cell| cell.field == Field::Address);
    let Some(given) = cell.and_then(|cell| row::prefix(&cell.text)) else { return };
    let mask = context.addresses.mask;
    if given != mask.prefix() {
        warnings.add(|| {
            let message = format!("`address`: the prefix length {given} is not used; nodes get {mask}");
            placed.problem(&Field::Address, message).hint("that is `machine_net_mask` in config.toml").warning()
        });
    }
}

fn profile(placed: &Placed<'_>, context: &Context, problems: &mut Problems) {
    let Some(profile) = &placed.row.entry.profile else { return };
    if context.profiles.contains(profile) {
        return;
    }
    problems.add(|| {
        let problem = placed.problem(&Field::Profile, format!("`profile`: there is no profile `{profile}`"));
        let known: Vec<_> = context.profiles.iter().map(|profile| format!("`{profile}`")).collect();
        let hint = if known.is_empty() {
            format!("write one as {}, or leave it empty", config::profile_file(profile.as_str()))
        } else {
            format!("there are {}", known.join(", "))
        };
        problem.hint(hint)
    });
}
