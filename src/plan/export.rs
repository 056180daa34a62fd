//! The plan as a table for other programs. What is exported imports as the same plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::column::{self, Field};
use super::{merge, row};
use crate::domain::PlanEntry;

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Comma-separated, the first line names the columns.
    Csv,
    /// An array of objects.
    Json,
    /// As plan.toml.
    Toml,
}

impl Format {
    /// The format of a file, by the end of its name.
    #[must_use]
    pub fn of_name(name: &std::path::Path) -> Option<Self> {
        match name.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" | "tsv" | "txt" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }
}

/// Why a plan could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// As CSV.
    #[error("cannot write CSV: {0}")]
    Csv(#[from] csv::Error),
    /// As JSON.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Writes the entries as a table.
///
/// # Errors
/// The format's own; none is known for entries that were read.
pub fn export(entries: &[Arc<PlanEntry>], format: Format) -> Result<String, ExportError> {
    match format {
        Format::Csv => csv(entries),
        Format::Json => json(entries),
        Format::Toml => Ok(merge::whole(entries)),
    }
}

/// Every column that some entry fills, fields with a meaning first; all of these are there.
fn columns(entries: &[Arc<PlanEntry>]) -> Vec<Field> {
    let free: BTreeSet<&String> = entries.iter().flat_map(|entry| entry.columns.keys()).collect();
    let named = Field::NAMES.into_iter().map(|(_, field)| field);
    named.chain(free.into_iter().map(|name| Field::Column(name.clone()))).collect()
}

/// A column's heading, such that it is read as the same column.
fn heading(field: &Field) -> String {
    match field {
        Field::Column(name) if column::guess(name).0 != *field => format!("columns.{name}"),
        field => field.to_string(),
    }
}

fn csv(entries: &[Arc<PlanEntry>]) -> Result<String, ExportError> {
    let columns = columns(entries);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns.iter().map(heading))?;
    for entry in entries {
        let said = row::fields(entry);
        let cell = |field: &Field| said.iter().find(|(own, _)| own == field).map_or("", |(_, text)| text.as_str());
        writer.write_record(columns.iter().map(cell))?;
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn json(entries: &[Arc<PlanEntry>]) -> Result<String, ExportError> {
    let object = |entry: &Arc<PlanEntry>| {
        let members = row::fields(entry).into_iter().map(|(field, text)| (heading(&field), text.into()));
        serde_json::Value::Object(members.collect())
    };
    let rows: Vec<_> = entries.iter().map(object).collect();
    Ok(serde_json::to_string_pretty(&rows)? + "\n")
}
