//! The plan as a file: `plan.toml`, and what is imported into it from CSV, TOML and JSON.
//!
//! Reads texts into [`PlanEntry`]s, checks them as a whole with the place of every problem, and writes `plan.toml` with
//! comments and order kept. Which machine becomes which row is the fleet's business; nothing here knows of machines.

mod check;
mod column;
mod csv;
mod export;
mod file;
mod json;
mod merge;
mod row;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

pub use column::{Field, MapError, Mapping};
pub use export::{Format, export};
pub use merge::{Import, Imported, import};

use crate::config::{self, ConfigErrors, Problems, Source};
use crate::domain::{AddressRules, PlanEntry, ProfileName};

/// The plan's file, in the folder of `config.toml`.
pub const PLAN_FILE: &str = "plan.toml";

/// Rows of a plan at most: as many as the node table holds.
pub const MAX_ROWS: usize = crate::domain::fleet::MAX_NODES;

/// Longest file that is read, in bytes: fifty thousand rows with all their columns.
pub const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What a plan is checked against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Completes host names without a domain.
    pub domain: String,
    /// Where addresses may lie.
    pub addresses: AddressRules,
    /// The profiles there are.
    pub profiles: BTreeSet<ProfileName>,
}

/// A plan that can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Its entries, in the order of the file.
    pub entries: Vec<Arc<PlanEntry>>,
    /// What looks wrong all the same.
    pub warnings: Problems,
}

/// Reads `plan.toml` in `dir`; a missing one is an empty plan.
///
/// # Errors
/// Every problem, with its line.
pub fn load(dir: &Path, context: &Context) -> Result<Plan, ConfigErrors> {
    match source(dir)? {
        Some(source) => parse(&source, context),
        None => Ok(Plan::default()),
    }
}

/// The text of `plan.toml` in `dir`; `None` where there is none.
///
/// # Errors
/// It is there and cannot be read.
pub fn source(dir: &Path) -> Result<Option<Source>, ConfigErrors> {
    let read = config::load_long_text(&dir.join(PLAN_FILE), MAX_BYTES)?;
    let plain = |name: String| name.strip_prefix("./").map(str::to_owned).unwrap_or(name);
    Ok(read.map(|source| Source { name: plain(source.name), text: source.text }))
}

/// Reads a text as `plan.toml`.
///
/// # Errors
/// Every problem, with its line.
pub fn parse(source: &Source, context: &Context) -> Result<Plan, ConfigErrors> {
    let (document, mut problems) = (file::document(source)?, Problems::default());
    let rows = file::rows(&document, source, context, &mut problems);
    let placed: Vec<_> = rows.iter().map(|row| check::Placed { source, row }).collect();
    let mut warnings = Problems::default();
    check::check(&placed, context, &mut problems, &mut warnings);
    if !problems.is_empty() {
        problems.sort();
        return Err(ConfigErrors(problems));
    }
    warnings.sort();
    let entries = rows.into_iter().map(|row| Arc::new(row.entry)).collect();
    Ok(Plan { entries, warnings })
}
