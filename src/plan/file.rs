//! `plan.toml` as it is written: one `[[node]]` a node.

use std::ops::Range;

use toml_edit::{Document, Item, Table, TableLike, Value};

use super::column::{self, Field};
use super::row::{self, Cell, Row};
use super::{Context, MAX_ROWS};
use crate::config::problem::quoted;
use crate::config::{ConfigErrors, Problems, Source};
use crate::domain::spelling::nearest;

/// The table of one node.
pub(super) const NODE: &str = "node";
/// The table of a node's free columns.
pub(super) const COLUMNS: &str = "columns";

/// Parses the text.
pub(super) fn document(source: &Source) -> Result<Document<String>, ConfigErrors> {
    Document::parse(source.text.clone()).map_err(|error| {
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        let message: String = message.chars().filter(|c| !c.is_control()).take(200).collect();
        let problem = source.problem(error.span().unwrap_or_default(), format!("not valid TOML: {message}"));
        problem.hint("a node is `[[node]]` and lines of `key = \"text\"` below it; the rest was not looked at").into()
    })
}

/// Reads the rows; what is wrong is added to `problems`.
pub(super) fn rows(
    document: &Document<String>,
    source: &Source,
    context: &Context,
    problems: &mut Problems,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, item) in document.as_table() {
        let span = key_span(document.as_table(), name, item);
        match item {
            Item::ArrayOfTables(tables) if name == NODE => {
                if tables.len() > MAX_ROWS {
                    problems.add(|| {
                        source.problem(span, format!("{} nodes are too many: {MAX_ROWS} at most", tables.len()))
                    });
                    return Vec::new();
                }
                rows.extend(tables.iter().filter_map(|table| row(table, source, context, problems)));
            }
            _ => problems.add(|| {
                let problem = source.problem(span, format!("unknown key or table `{}`", quoted(name)));
                problem.hint("every node is a table `[[node]]`; there is nothing else in this file")
            }),
        }
    }
    rows
}

fn row(table: &Table, source: &Source, context: &Context, problems: &mut Problems) -> Option<Row> {
    let mut cells = Vec::new();
    for (name, item) in table {
        let span = item.span().unwrap_or_else(|| key_span(table, name, item));
        if name == COLUMNS {
            match item.as_table_like() {
                Some(columns) => cells.extend(free(columns, source, problems)),
                None => problems.add(|| {
                    source
                        .problem(span, "`columns` is a table")
                        .hint("write `columns.owner = \"anna\"`, or `[node.columns]`")
                }),
            }
            continue;
        }
        let canonical = if name == "macs" { "mac" } else { name };
        let Some((_, field)) = Field::NAMES.iter().find(|(known, _)| *known == canonical) else {
            problems.add(|| {
                let problem = source.problem(key_span(table, name, item), format!("unknown key `{}`", quoted(name)));
                problem.hint(match nearest(name, Field::NAMES.iter().map(|(known, _)| *known)) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("for something of your own write `columns.{}`", quoted(&column::key(name))),
                })
            });
            continue;
        };
        if name == "macs" && table.contains_key("mac") {
            problems.add(|| {
                let problem = source.problem(key_span(table, name, item), "`mac` and `macs` are one key");
                problem.hint("put all addresses into one array: mac = [\"…\", \"…\"]")
            });
            continue;
        }
        match text_of(item) {
            // Nothing is said, here as in every table.
            Some(text) if row::says_nothing(&text) => {}
            Some(text) => cells.push(Cell { field: field.clone(), text, span: Some(span) }),
            None => problems.add(|| {
                source
                    .problem(span, format!("`{name}` must be a text"))
                    .hint("put it in quotes; several MACs are an array of texts")
            }),
        }
    }
    // The heading has no span of its own where the table is empty.
    let span = table.span().unwrap_or_default();
    row::read(cells, span, source, context, problems)
}

fn free(columns: &dyn TableLike, source: &Source, problems: &mut Problems) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (name, item) in columns.iter() {
        let span = item.span().unwrap_or_else(|| key_span(columns, name, item));
        let key = column::key(name);
        if key != name {
            problems.add(|| {
                let message = format!("`columns.{}` is no name that tables and templates share", quoted(name));
                let hint = match key.as_str() {
                    "" => "a name has a letter or a digit".to_owned(),
                    key => format!("write `columns.{key}`: small letters, digits and `_`"),
                };
                source.problem(key_span(columns, name, item), message).hint(hint)
            });
            continue;
        }
        match text_of(item) {
            Some(text) if row::says_nothing(&text) => {}
            Some(text) => cells.push(Cell { field: Field::Column(name.to_owned()), text, span: Some(span) }),
            None => {
                problems.add(|| source.problem(span, format!("`columns.{}` must be a text or a number", quoted(name))));
            }
        }
    }
    cells
}

/// A value as text; an array of texts between spaces.
fn text_of(item: &Item) -> Option<String> {
    Some(match item.as_value()? {
        Value::String(text) => text.value().trim().to_owned(),
        Value::Integer(number) => number.value().to_string(),
        Value::Float(number) => number.value().to_string(),
        Value::Boolean(flag) => flag.value().to_string(),
        Value::Array(array) => {
            let words: Option<Vec<_>> = array.iter().map(Value::as_str).collect();
            words?.join(" ")
        }
        Value::Datetime(_) | Value::InlineTable(_) => return None,
    })
}

fn key_span(table: &dyn TableLike, name: &str, item: &Item) -> Range<usize> {
    table.key(name).and_then(toml_edit::Key::span).or_else(|| item.span()).unwrap_or_default()
}
