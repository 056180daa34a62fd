//! A table as JSON: an array of objects, also as NetBox's API gives it (`{"results": [...]}`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use serde_json::value::RawValue;

use super::column::Mapping;
use super::csv::{columns, left_out};
use super::row::{self, Row};
use super::{Context, MAX_ROWS};
use crate::config::{Problem, Problems, Source};

/// What NetBox calls a related object's own name, the best first.
const NAMES: [&str; 6] = ["address", "name", "label", "value", "display", "slug"];

/// Reads the rows; what is wrong is added to `problems`, what is left out to `warnings`.
pub(super) fn rows(
    source: &Source,
    map: &[Mapping],
    context: &Context,
    problems: &mut Problems,
    warnings: &mut Problems,
) -> Vec<Row> {
    let objects = match objects(&source.text) {
        Ok(objects) => objects,
        Err(error) => {
            problems.add(|| broken(source, 0, &error));
            return Vec::new();
        }
    };
    if objects.len() > MAX_ROWS {
        problems.add(|| Problem::whole(&source.name, format!("too many rows: {MAX_ROWS} at most")));
        return Vec::new();
    }
    let mut read = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for object in objects {
        // Slices of one text: the distance is the place.
        let start = object.get().as_ptr() as usize - source.text.as_ptr() as usize;
        let span = start..start + object.get().len();
        match serde_json::from_str::<Value>(object.get()) {
            Ok(Value::Object(members)) => {
                // A row knows its own columns only: rows of a hostile table have no two in common.
                let mut cells: BTreeMap<usize, String> = BTreeMap::new();
                for (name, text) in flat(members) {
                    let place = *known.entry(name).or_insert_with_key(|name| {
                        names.push(name.clone());
                        names.len() - 1
                    });
                    cells.insert(place, text);
                }
                read.push((cells, span));
            }
            Ok(_) => {
                problems.add(|| source.problem(span, "a row is not an object").hint("write `[{\"hostname\": …}, …]`"));
            }
            Err(error) => problems.add(|| broken(source, start, &error)),
        }
    }
    let columns = match columns(source, &names, map) {
        Ok(columns) => columns,
        Err(_) if read.is_empty() => return Vec::new(),
        Err(problem) => {
            problems.add(|| *problem);
            return Vec::new();
        }
    };
    let mut nameless = BTreeSet::new();
    let mut rows = Vec::with_capacity(read.len());
    for (cells, span) in read {
        let filled = cells.iter().filter(|(_, text)| !text.trim().is_empty()).map(|(place, _)| *place);
        nameless.extend(filled.filter(|place| columns.is_nameless(*place)));
        let texts = cells.iter().map(|(place, text)| (*place, text.as_str()));
        rows.extend(row::read(columns.cells(texts), span, source, context, problems));
    }
    left_out(source, &names, &nameless, warnings);
    rows
}

fn objects(text: &str) -> Result<Vec<&RawValue>, serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        results: Vec<&'a RawValue>,
    }
    if text.trim_start().starts_with('{') {
        return serde_json::from_str::<Page<'_>>(text).map(|page| page.results);
    }
    serde_json::from_str(text)
}

/// The members with their values as text; related objects by their name, custom fields as columns of their own.
fn flat(members: serde_json::Map<String, Value>) -> impl Iterator<Item = (String, String)> {
    members.into_iter().flat_map(|(name, value)| match value {
        Value::Object(inner) if name == "custom_fields" || name == "columns" => {
            inner.into_iter().map(|(own, value)| (format!("{name}.{own}"), text_of(&value))).collect::<Vec<_>>()
        }
        value => vec![(name, text_of(&value))],
    })
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(values) => values.iter().map(text_of).collect::<Vec<_>>().join(" "),
        Value::Object(members) => NAMES
            .iter()
            .find_map(|name| members.get(*name))
            .filter(|value| !value.is_object())
            .map(text_of)
            .unwrap_or_default(),
    }
}

fn broken(source: &Source, start: usize, error: &serde_json::Error) -> Problem {
    // The error counts lines and columns from where its text begins.
    let text = source.text.get(start..).unwrap_or_default();
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at = start + line_start + error.column().saturating_sub(1);
    let words = error.to_string();
    let words = words.split(" at line ").next().unwrap_or_default().to_owned();
    source.problem(at..at + 1, format!("cannot be read as JSON: {words}")).hint("write an array of objects, one a node")
}
