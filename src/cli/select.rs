//! Which node a person means: a host name, an id, or the beginning of either where only one fits.

use std::sync::Arc;

use crate::domain::id::ReportId;
use crate::domain::{Node, Snapshot};

/// Why a text names no node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SelectError {
    /// None fits.
    #[error("no node is called `{0}`; `prox-orchestrator nodes` lists them")]
    None(String),
    /// Several fit.
    #[error("`{given}` fits {}; type more of the name", names.join(", "))]
    Several {
        /// What was typed.
        given: String,
        /// What it fits; at most five.
        names: Vec<String>,
    },
    /// Not a report.
    #[error("no unmatched report is called `{0}`; `prox-orchestrator nodes` lists them")]
    Report(String),
}

/// The node `given` names.
pub(super) fn node<'a>(snapshot: &'a Snapshot, given: &str) -> Result<&'a Arc<Node>, SelectError> {
    let wanted = given.to_ascii_lowercase();
    let exact =
        |node: &&Arc<Node>| node.name.as_str() == wanted || node.name.host() == wanted || node.id.to_string() == wanted;
    let begins = |node: &&Arc<Node>| {
        !wanted.is_empty() && (node.name.as_str().starts_with(&wanted) || node.id.to_string().starts_with(&wanted))
    };
    for fits in [&exact as &dyn Fn(&&Arc<Node>) -> bool, &begins] {
        let found: Vec<_> = snapshot.fleet.nodes().filter(fits).collect();
        match found.as_slice() {
            [] => {}
            [node] => return Ok(node),
            several => {
                let names = several.iter().take(5).map(|node| format!("`{}` ({})", node.name, node.id)).collect();
                return Err(SelectError::Several { given: given.to_owned(), names });
            }
        }
    }
    Err(SelectError::None(given.to_owned()))
}

/// The unmatched report `given` names.
pub(super) fn report(snapshot: &Snapshot, given: &str) -> Result<ReportId, SelectError> {
    let id = given.parse().ok();
    id.filter(|id| snapshot.fleet.unmatched().any(|report| report.id == *id))
        .ok_or_else(|| SelectError::Report(given.to_owned()))
}
