//! Bringing a table into `plan.toml`: rows are matched by host name, what the table says replaces what stood there, and
//! everything else, comments and order included, stays.

use std::collections::{HashMap, HashSet};

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use super::check::{self, Placed};
use super::column::{Field, Mapping};
use super::export::Format;
use super::row::{self, Row};
use super::{Context, MAX_ROWS, csv, file, json};
use crate::config::{ConfigErrors, Problem, Problems, Source};
use crate::domain::{Fqdn, PlanEntry};

/// The first lines of a plan the program writes.
pub(super) const HEADING: &str = "\
# The nodes that are expected: how each machine is recognised, and what it becomes (docs/plan.md).
# One [[node]] a node: hostname; serial, uuid, mac or asset_tag; address, profile, role, rack, slot; columns.NAME.
# An edit takes effect while the console runs; `prox-orchestrator plan import` merges tables into this file.
";

/// What is brought in.
#[derive(Clone, Debug)]
pub struct Import<'a> {
    /// The table.
    pub table: &'a Source,
    /// How it is written.
    pub format: Format,
    /// What its columns mean, where their names do not say it.
    pub map: &'a [Mapping],
    /// Whether nodes that are not in the table leave the plan.
    pub replace: bool,
}

/// What an import makes of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The new text of `plan.toml`.
    pub text: String,
    /// Nodes that are new.
    pub added: Vec<Fqdn>,
    /// Nodes of which something changes, with what.
    pub changed: Vec<(Fqdn, Vec<String>)>,
    /// Nodes that leave the plan.
    pub removed: Vec<Fqdn>,
    /// Nodes that were there as they are.
    pub unchanged: usize,
    /// What looks wrong all the same.
    pub warnings: Problems,
}

/// Merges a table into the plan that is there.
///
/// # Errors
/// Everything that is wrong with the table, or would be with the plan: nothing is to be written then.
pub fn import(import: &Import<'_>, plan: Option<&Source>, context: &Context) -> Result<Imported, ConfigErrors> {
    let empty = Source::default();
    let plan = plan.unwrap_or(&empty);
    let document = file::document(plan)?;
    let (mut problems, mut warnings) = (Problems::default(), Problems::default());
    let old = file::rows(&document, plan, context, &mut problems);
    let new = match import.format {
        Format::Csv => csv::rows(import.table, import.map, context, &mut problems, &mut warnings),
        Format::Json => json::rows(import.table, import.map, context, &mut problems, &mut warnings),
        Format::Toml => {
            let table = file::document(import.table)?;
            file::rows(&table, import.table, context, &mut problems)
        }
    };
    if new.is_empty() && problems.is_empty() {
        problems.add(|| {
            Problem::whole(&import.table.name, "there is no row in it").hint("the first line names the columns")
        });
    }
    let by_name: HashMap<&Fqdn, &Row> = old.iter().map(|row| (&row.entry.hostname, row)).collect();
    let names: HashSet<&Fqdn> = new.iter().map(|row| &row.entry.hostname).collect();
    let merged: Vec<Row> = new.iter().map(|row| over(row, by_name.get(&row.entry.hostname).copied())).collect();
    // Of two rows of one name only the last one is merged: the other one stays, and is told.
    let is_merged = |row: &Row| by_name.get(&row.entry.hostname).is_some_and(|last| std::ptr::eq(*last, row));
    let is_kept = |row: &Row| if names.contains(&row.entry.hostname) { !is_merged(row) } else { !import.replace };
    let kept = old.iter().filter(|row| is_kept(row));
    let mut placed: Vec<_> = kept.map(|row| Placed { source: plan, row }).collect();
    placed.extend(merged.iter().map(|row| Placed { source: import.table, row }));
    if placed.len() > MAX_ROWS {
        problems.add(|| too_many(placed.len(), &import.table.name));
    }
    check::check(&placed, context, &mut problems, &mut warnings);
    if !problems.is_empty() {
        problems.sort();
        return Err(ConfigErrors(problems));
    }
    warnings.sort();

    let mut written = document.into_mut();
    // What is no array of tables was a problem before.
    let trailing = written.trailing().as_str().unwrap_or_default().to_owned();
    let Some(tables) = tables(&mut written) else { return Err(ConfigErrors(problems)) };
    let (mut done, trailing) = write(tables, &old, &merged, import.replace, trailing);
    written.set_trailing(trailing);
    let heading = if plan.text.trim().is_empty() { HEADING } else { "" };
    done.text = format!("{heading}{written}");
    done.warnings = warnings;
    Ok(done)
}

/// A plan that could not be read again.
fn too_many(count: usize, table: &str) -> Problem {
    let message = format!("the plan would have {count} nodes: {MAX_ROWS} at most");
    Problem::whole(table, message)
        .hint("take nodes out of it first; `--replace` takes out those that are not in the table")
}

/// Brings the merged rows into the tables of the old ones. `trailing` is what stands behind them all; what stands there
/// now comes back with what was done.
fn write(
    tables: &mut ArrayOfTables,
    old: &[Row],
    merged: &[Row],
    replace: bool,
    mut trailing: String,
) -> (Imported, String) {
    let mut done = Imported::default();
    let places: HashMap<&Fqdn, usize> = old.iter().enumerate().map(|(at, row)| (&row.entry.hostname, at)).collect();
    let mut additions = Vec::new();
    for Row { entry, .. } in merged {
        let Some(at) = places.get(&entry.hostname) else {
            additions.push(table_of(entry));
            done.added.push(entry.hostname.clone());
            continue;
        };
        let changes = changes(&old[*at].entry, entry);
        if changes.is_empty() {
            done.unchanged += 1;
            continue;
        }
        if let Some(table) = tables.get_mut(*at) {
            for (field, text) in &changes {
                set(table, field, text);
            }
        }
        let fields = changes.iter().map(|(field, _)| shown(field)).collect();
        done.changed.push((entry.hostname.clone(), fields));
    }
    if replace {
        let names: HashSet<&Fqdn> = merged.iter().map(|row| &row.entry.hostname).collect();
        let is_gone: Vec<bool> = old.iter().map(|row| !names.contains(&row.entry.hostname)).collect();
        let gone = old.iter().zip(&is_gone).filter(|(_, gone)| **gone);
        done.removed = gone.map(|(row, _)| row.entry.hostname.clone()).collect();
        trailing.insert_str(0, &retain(tables, &is_gone));
    }
    for mut table in additions {
        // What stood last stays above what is new.
        let before = std::mem::take(&mut trailing);
        if !before.trim().is_empty() {
            table.decor_mut().set_prefix(format!("{}\n\n", before.trim_end()));
        }
        tables.push(table);
    }
    (done, trailing)
}

/// Takes the tables out that are gone. The comments above one stay, above the next; above none, they come back.
fn retain(tables: &mut ArrayOfTables, is_gone: &[bool]) -> String {
    let mut left = String::new();
    for (table, gone) in tables.iter_mut().zip(is_gone) {
        let above = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
        let all = format!("{left}{above}");
        if *gone {
            left = if all.trim().is_empty() { String::new() } else { all };
        } else if !std::mem::take(&mut left).is_empty() {
            table.decor_mut().set_prefix(all);
        }
    }
    let mut gone = is_gone.iter();
    tables.retain(|_| !gone.next().copied().unwrap_or_default());
    left
}

/// The text of a plan with exactly these entries.
pub(super) fn whole(entries: &[std::sync::Arc<PlanEntry>]) -> String {
    let mut document = DocumentMut::new();
    if let Some(tables) = tables(&mut document) {
        for entry in entries {
            tables.push(table_of(entry));
        }
    }
    format!("{HEADING}{document}")
}

fn tables(document: &mut DocumentMut) -> Option<&mut ArrayOfTables> {
    let item = document.entry(file::NODE).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    item.as_array_of_tables_mut()
}

/// A row over the one of its name: what it does not speak of stays.
fn over(row: &Row, before: Option<&Row>) -> Row {
    let Some(before) = before else { return row.clone() };
    let (new, old) = (&row.entry, &before.entry);
    let mut columns = old.columns.clone();
    columns.extend(new.columns.clone());
    let entry = PlanEntry {
        hostname: new.hostname.clone(),
        serial: new.serial.clone().or_else(|| old.serial.clone()),
        uuid: new.uuid.or(old.uuid),
        macs: if new.macs.is_empty() { old.macs.clone() } else { new.macs.clone() },
        asset_tag: new.asset_tag.clone().or_else(|| old.asset_tag.clone()),
        address: new.address.or(old.address),
        profile: new.profile.clone().or_else(|| old.profile.clone()),
        role: new.role.clone().or_else(|| old.role.clone()),
        rack: new.rack.clone().or_else(|| old.rack.clone()),
        slot: new.slot.clone().or_else(|| old.slot.clone()),
        columns,
    };
    Row { entry, ..row.clone() }
}

/// What `new` says differently from `old`. Nothing of `old` is missing in it.
fn changes(old: &PlanEntry, new: &PlanEntry) -> Vec<(Field, String)> {
    let before = row::fields(old);
    row::fields(new).into_iter().filter(|said| !before.contains(said)).collect()
}

fn shown(field: &Field) -> String {
    match field {
        Field::Column(name) => format!("{}.{name}", file::COLUMNS),
        named => named.to_string(),
    }
}

fn table_of(entry: &PlanEntry) -> Table {
    let mut table = Table::new();
    table.decor_mut().set_prefix("\n");
    for (field, text) in row::fields(entry) {
        set(&mut table, &field, &text);
    }
    table
}

/// Sets one key; the comment behind it stays.
fn set(table: &mut Table, field: &Field, text: &str) {
    let new = match field {
        Field::Mac if text.contains(' ') => value(text.split(' ').collect::<Array>()),
        _ => value(text),
    };
    let (table, key): (&mut dyn toml_edit::TableLike, &str) = match field {
        Field::Column(name) => {
            let inner = table.entry(file::COLUMNS).or_insert_with(|| {
                let mut columns = Table::new();
                columns.set_dotted(true);
                Item::Table(columns)
            });
            match inner.as_table_like_mut() {
                Some(inner) => (inner, name.as_str()),
                None => return,
            }
        }
        Field::Mac if table.contains_key("macs") => (table, "macs"),
        named => (table, named.name()),
    };
    match table.get_mut(key) {
        Some(item) => {
            if *field == Field::Mac && set_entries(item, text) {
                return;
            }
            let decor = item.as_value().map(|value| value.decor().clone());
            *item = new;
            if let (Some(value), Some(decor)) = (item.as_value_mut(), decor) {
                *value.decor_mut() = decor;
            }
        }
        None => {
            table.insert(key, new);
        }
    }
}

/// Makes an array hold these MAC addresses entry by entry, so that comments between them stay; `false` where it is none.
fn set_entries(item: &mut Item, text: &str) -> bool {
    let Some(array) = item.as_array_mut() else { return false };
    let mut missing: Vec<&str> = text.split(' ').collect();
    // A comment behind an entry stands above the next one, which may go.
    let mut left = String::new();
    let mut at = 0;
    while let Some(entry) = array.get_mut(at) {
        let above = entry.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
        let all = format!("{left}{above}");
        let mac = entry.as_str().and_then(row::mac_of).map(|mac| mac.to_string());
        let Some(found) = missing.iter().position(|wanted| Some(*wanted) == mac.as_deref()) else {
            left = if all.contains('#') { all } else { String::new() };
            array.remove(at);
            continue;
        };
        missing.remove(found);
        if !std::mem::take(&mut left).is_empty() {
            entry.decor_mut().set_prefix(all);
        }
        at += 1;
    }
    for mac in missing {
        let above = std::mem::take(&mut left);
        if above.is_empty() {
            array.push(mac);
        } else {
            array.push_formatted(toml_edit::Value::from(mac).decorated(above, ""));
        }
    }
    if !left.is_empty() {
        let behind = array.trailing().as_str().unwrap_or_default().to_owned();
        // It ends with its line.
        array.set_trailing(format!("{}{}", left.trim_end_matches(' '), behind.trim_start_matches(' ')));
    }
    true
}
