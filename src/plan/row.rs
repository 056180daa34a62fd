//! One row as it is written, and the entry it makes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::Range;
use std::str::FromStr;

use ipnet::IpNet;
use uuid::Uuid;

use super::Context;
use super::column::{self, Field, Mapping};
use crate::config::problem::quoted;
use crate::config::{Problem, Problems, Source};
use crate::domain::machine::{is_trusted_serial, is_trusted_tag, trusted_uuid};
use crate::domain::text::Text;
use crate::domain::{Fqdn, MacAddr, PlanEntry};

/// A row, and where it stands in its text.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) entry: PlanEntry,
    /// The whole row.
    pub(super) span: Range<usize>,
    /// Its cells, as far as they say anything.
    pub(super) cells: Vec<Cell>,
}

/// One thing a row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) field: Field,
    pub(super) text: String,
    /// Where exactly it stands, if that is known; else it is looked for within the row.
    pub(super) span: Option<Range<usize>>,
}

impl Row {
    /// Where the row says something about `field`, else its beginning.
    pub(super) fn place(&self, source: &Source, field: &Field) -> Range<usize> {
        let cell = self.cells.iter().find(|cell| cell.field == *field);
        cell.map_or_else(|| first_line(source, &self.span), |cell| place(source, &self.span, cell))
    }

    /// Its line, from 1.
    pub(super) fn line(&self, source: &Source) -> usize {
        let before = source.text.get(..self.span.start).unwrap_or_default();
        1 + before.matches('\n').count()
    }
}

fn place(source: &Source, row: &Range<usize>, cell: &Cell) -> Range<usize> {
    if let Some(span) = &cell.span {
        return span.clone();
    }
    let within = source.text.get(row.clone()).unwrap_or_default();
    match within.find(&cell.text).filter(|_| !cell.text.is_empty()) {
        Some(at) => row.start + at..row.start + at + cell.text.len(),
        None => first_line(source, row),
    }
}

/// The first line of a row's place.
pub(super) fn first_line(source: &Source, row: &Range<usize>) -> Range<usize> {
    let within = source.text.get(row.clone()).unwrap_or_default();
    row.start..row.start + within.lines().next().unwrap_or_default().len()
}

/// Which columns of a table mean what, worked out once for all its rows.
#[derive(Debug)]
pub(super) struct Columns {
    /// Place → field and rank; the lowest rank of a field that is filled counts.
    meanings: Vec<(Field, usize)>,
    /// Places of columns that are left out, because their names have no letter or digit.
    nameless: BTreeSet<usize>,
}

/// Why columns mean nothing.
#[derive(Debug)]
pub(super) enum Puzzle {
    /// A mapping names a column that is not there.
    Lost(Mapping),
    /// Two columns would be one of the plan's.
    Same(Field, [String; 2]),
}

impl Columns {
    /// Works out what each name means.
    ///
    /// # Errors
    /// A mapping names a column that is not there, or two columns of the operator's own would be one.
    pub(super) fn new(names: &[String], map: &[Mapping]) -> Result<Self, Puzzle> {
        let same = |mapping: &Mapping, name: &str| {
            mapping.column == name.trim() || column::key(&mapping.column) == column::key(name)
        };
        if let Some(lost) = map.iter().find(|mapping| !names.iter().any(|name| same(mapping, name))) {
            return Err(Puzzle::Lost(lost.clone()));
        }
        let mut nameless = BTreeSet::new();
        let mut free: HashMap<Field, &String> = HashMap::new();
        let mut meanings = Vec::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            let (field, rank) = Self::meaning(name, map, same);
            match &field {
                Field::Column(key) if key.is_empty() => {
                    nameless.insert(place);
                    meanings.push((Field::Ignored, 0));
                    continue;
                }
                Field::Column(_) => {
                    if let Some(other) = free.insert(field.clone(), name) {
                        return Err(Puzzle::Same(field, [other.clone(), name.clone()]));
                    }
                }
                _ => {}
            }
            meanings.push((field, rank));
        }
        Ok(Self { meanings, nameless })
    }

    fn meaning(name: &str, map: &[Mapping], same: impl Fn(&Mapping, &str) -> bool) -> (Field, usize) {
        if let Some(mapping) = map.iter().find(|mapping| same(mapping, name)) {
            return (mapping.field.clone(), 0);
        }
        let (field, rank) = column::guess(name);
        // What a field is was told: other columns do not count for it.
        let is_told = map.iter().any(|mapping| mapping.field == field);
        if is_told { (Field::Column(column::key(name)), 0) } else { (field, rank + 1) }
    }

    /// Whether this column is left out because it has no name.
    pub(super) fn is_nameless(&self, place: usize) -> bool {
        self.nameless.contains(&place)
    }

    /// Whether any column holds host names.
    pub(super) fn has_hostname(&self) -> bool {
        self.meanings.iter().any(|(field, _)| *field == Field::Hostname)
    }

    /// The cells of one row, by the place of their column and in its order; empty ones say nothing.
    pub(super) fn cells<'a>(&self, texts: impl Iterator<Item = (usize, &'a str)>) -> Vec<Cell> {
        let mut cells: Vec<(usize, Cell)> = Vec::new();
        let mut places: HashMap<&Field, usize> = HashMap::new();
        for (place, text) in texts {
            let Some((field, rank)) = self.meanings.get(place) else { continue };
            let text = text.trim();
            if says_nothing(text) || *field == Field::Ignored {
                continue;
            }
            let cell = || (*rank, Cell { field: field.clone(), text: text.to_owned(), span: None });
            match places.get(field).and_then(|at| cells.get_mut(*at)) {
                Some(kept) if *rank < kept.0 => *kept = cell(),
                Some(_) => {}
                None => {
                    places.insert(field, cells.len());
                    cells.push(cell());
                }
            }
        }
        cells.into_iter().map(|(_, cell)| cell).collect()
    }
}

/// Whether nothing is to be seen of a text: control characters alone are none.
pub(super) fn says_nothing(text: &str) -> bool {
    Text::new(text).as_str().is_empty()
}

/// Reads the cells of a row. `None` where it has no usable name; whatever else is wrong is a problem, too.
pub(super) fn read(
    cells: Vec<Cell>,
    span: Range<usize>,
    source: &Source,
    context: &Context,
    problems: &mut Problems,
) -> Option<Row> {
    let mut entry: Option<PlanEntry> = None;
    let name = cells.iter().find(|cell| cell.field == Field::Hostname);
    match name {
        Some(cell) => match hostname(&cell.text, &context.domain) {
            Ok(name) => entry = Some(PlanEntry::new(name)),
            Err(invalid) => problems.add(|| invalid.at(source, place(source, &span, cell), "hostname")),
        },
        None => problems.add(|| {
            let problem = source.problem(first_line(source, &span), "the row has no `hostname`");
            problem.hint("every node of the plan needs one; leave the row out if it is not to be installed")
        }),
    }
    // A row without a name is read all the same, for what else is wrong with it.
    let is_named = entry.is_some();
    let mut entry = entry.or_else(|| "nameless.invalid".parse().ok().map(PlanEntry::new))?;
    for cell in &cells {
        if let Err(invalid) = take(&mut entry, cell) {
            problems.add(|| invalid.at(source, place(source, &span, cell), cell.field.name()));
        }
    }
    is_named.then_some(Row { entry, span, cells })
}

/// Why a cell's text will not do.
struct Invalid {
    reason: String,
    hint: Option<&'static str>,
}

impl Invalid {
    fn new(reason: impl std::fmt::Display) -> Self {
        Self { reason: format!("{reason}"), hint: None }
    }

    fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    fn at(&self, source: &Source, span: Range<usize>, field: &str) -> Problem {
        let problem = source.problem(span, format!("`{field}`: {}", self.reason));
        match self.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

fn take(entry: &mut PlanEntry, cell: &Cell) -> Result<(), Invalid> {
    let text = cell.text.as_str();
    match &cell.field {
        Field::Hostname | Field::Ignored => {}
        Field::Serial => {
            let shown = Text::new(text);
            if !is_trusted_serial(shown.as_str()) {
                let invalid = Invalid::new(format!("`{}` is no serial number, but filler", quoted(text)));
                return Err(invalid.hint("many machines show the same; leave it empty"));
            }
            entry.serial = Some(shown);
        }
        Field::Uuid => {
            let parsed =
                Uuid::try_parse(text).map_err(|_| Invalid::new(format!("`{}` is not a UUID", quoted(text))))?;
            let trusted = trusted_uuid(&parsed.to_string()).ok_or_else(|| {
                let invalid = Invalid::new(format!("`{parsed}` is one that makers ship on many boards"));
                invalid.hint("it identifies no machine; leave it empty")
            })?;
            entry.uuid = Some(trusted);
        }
        Field::Mac => entry.macs = macs(text)?,
        Field::AssetTag => {
            let shown = Text::new(text);
            if !is_trusted_tag(shown.as_str()) {
                let invalid = Invalid::new(format!("`{}` is no asset tag, but filler", quoted(text)));
                return Err(invalid.hint("many machines show the same; leave it empty"));
            }
            entry.asset_tag = Some(shown);
        }
        Field::Address => entry.address = Some(address(text)?),
        Field::Profile => entry.profile = Some(FromStr::from_str(text).map_err(Invalid::new)?),
        Field::Role => entry.role = Some(Text::new(text)),
        Field::Rack => entry.rack = Some(Text::new(text)),
        Field::Slot => {
            // A spreadsheet's number.
            let shown = Text::new(text);
            let whole = shown.as_str().strip_suffix(".0").filter(|whole| whole.parse::<u64>().is_ok());
            entry.slot = Some(whole.map(Text::new).unwrap_or(shown));
        }
        Field::Column(name) => {
            entry.columns.insert(name.clone(), Text::new(text));
        }
    }
    Ok(())
}

/// A host name, completed by the domain where it has none.
fn hostname(text: &str, domain: &str) -> Result<Fqdn, Invalid> {
    if !text.contains('.') && !domain.is_empty() {
        let whole = format!("{text}.{}", domain.trim_start_matches('.'));
        return whole.parse().map_err(Invalid::new);
    }
    text.parse().map_err(Invalid::new)
}

/// Several addresses between spaces, commas, semicolons or bars.
fn macs(text: &str) -> Result<BTreeSet<MacAddr>, Invalid> {
    let words = text.split([' ', ',', ';', '|', '\n']).filter(|word| !word.is_empty());
    let macs: BTreeSet<MacAddr> = words.map(mac).collect::<Result<_, _>>()?;
    match macs.iter().find(|mac| !mac.is_identifying()) {
        Some(mac) => Err(Invalid::new(format!("`{mac}` identifies no machine"))),
        None => Ok(macs),
    }
}

/// A MAC address, also without separators, as `b42e.99ac.adb4` or `b42e99acadb4`.
fn mac(word: &str) -> Result<MacAddr, Invalid> {
    let bare: String = word.chars().filter(|c| *c != '.').collect();
    let digits = bare.len() == 12 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !digits {
        return word.parse().map_err(Invalid::new);
    }
    let pairs: Vec<_> = bare.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok()).collect();
    pairs.join(":").parse().map_err(Invalid::new)
}

/// A MAC address in any of the spellings that are read.
pub(super) fn mac_of(word: &str) -> Option<MacAddr> {
    mac(word.trim()).ok()
}

/// An address; a prefix length, as NetBox writes it, is the network's business.
fn address(text: &str) -> Result<IpAddr, Invalid> {
    let parsed = match text.parse::<IpNet>() {
        Ok(network) => network.addr(),
        Err(_) => text.parse().map_err(|_| Invalid::new(format!("`{}` is not an IP address", quoted(text))))?,
    };
    Ok(parsed.to_canonical())
}

/// The prefix length behind an address, where there is one.
pub(super) fn prefix(text: &str) -> Option<u8> {
    text.parse::<IpNet>().ok().map(|network| network.prefix_len())
}

/// What an entry says, field by field, as plan.toml has it.
pub(super) fn fields(entry: &PlanEntry) -> Vec<(Field, String)> {
    let text = |text: &Option<Text>| text.as_ref().map(ToString::to_string);
    let macs: Vec<_> = entry.macs.iter().map(ToString::to_string).collect();
    let named = [
        (Field::Hostname, Some(entry.hostname.to_string())),
        (Field::Serial, text(&entry.serial)),
        (Field::Uuid, entry.uuid.map(|uuid| uuid.to_string())),
        (Field::Mac, (!macs.is_empty()).then(|| macs.join(" "))),
        (Field::AssetTag, text(&entry.asset_tag)),
        (Field::Address, entry.address.map(|address| address.to_string())),
        (Field::Profile, entry.profile.as_ref().map(ToString::to_string)),
        (Field::Role, text(&entry.role)),
        (Field::Rack, text(&entry.rack)),
        (Field::Slot, text(&entry.slot)),
    ];
    let free = |columns: &BTreeMap<String, Text>| {
        columns.iter().map(|(name, text)| (Field::Column(name.clone()), text.to_string())).collect::<Vec<_>>()
    };
    named.into_iter().filter_map(|(field, text)| Some((field, text?))).chain(free(&entry.columns)).collect()
}
