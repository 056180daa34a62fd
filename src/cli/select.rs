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
    #[error("`{given}` fits {}{}; type more of the name", names.join(", "), and_more(*more))]
    Several {
        /// What was typed.
        given: String,
        /// What it fits; at most five.
        names: Vec<String>,
        /// How many more it fits.
        more: usize,
    },
    /// Not a report.
    #[error("no unmatched report is called `{0}`; `prox-orchestrator nodes` lists them")]
    Report(String),
}

fn and_more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" and {count} more") }
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
                let names: Vec<_> =
                    several.iter().take(5).map(|node| format!("`{}` ({})", node.name, node.id)).collect();
                let more = several.len() - names.len();
                return Err(SelectError::Several { given: given.to_owned(), names, more });
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::cli::fixture::{named, told};

    #[rstest]
    #[case::whole_name("pve-1.lab.example", Ok("m1"))]
    #[case::host_before_its_continuations("pve-1", Ok("m1"))]
    #[case::capitals("PVE-1.Lab.Example", Ok("m1"))]
    #[case::id_before_its_continuations("m1", Ok("m1"))]
    #[case::longer_id("m10", Ok("m10"))]
    #[case::beginning_of_one("pve-2", Ok("m3"))]
    #[case::beginning_of_several(
        "pve-",
        Err(
            "`pve-` fits `pve-1.lab.example` (m1), `pve-10.lab.example` (m2), `pve-20.lab.example` (m3), `pve-11.other.example` (m4), `pve-30.lab.example` (m5) and 2 more; type more of the name"
        )
    )]
    #[case::one_host_in_two_domains(
        "pve-30",
        Err("`pve-30` fits `pve-30.lab.example` (m5), `pve-30.other.example` (m6); type more of the name")
    )]
    #[case::a_name_that_looks_like_an_id(
        "m7",
        Err("`m7` fits `pve-x.lab.example` (m7), `m7.lab.example` (m8); type more of the name")
    )]
    #[case::nothing("", Err("no node is called ``; `prox-orchestrator nodes` lists them"))]
    #[case::not_there("pbs", Err("no node is called `pbs`; `prox-orchestrator nodes` lists them"))]
    fn a_person_means_one_node(#[case] given: &str, #[case] expected: Result<&str, &str>) {
        let snapshot = named(&[
            (1, "pve-1.lab.example"),
            (2, "pve-10.lab.example"),
            (3, "pve-20.lab.example"),
            (4, "pve-11.other.example"),
            (5, "pve-30.lab.example"),
            (6, "pve-30.other.example"),
            (7, "pve-x.lab.example"),
            (8, "m7.lab.example"),
            (10, "db.lab.example"),
        ]);
        let found = node(&snapshot, given).map(|node| node.id.to_string()).map_err(|error| error.to_string());
        assert_eq!(found.as_deref().map_err(String::as_str), expected);
    }

    #[rstest]
    #[case("w1", true)]
    #[case("w2", false)]
    #[case("m1", false)]
    #[case("", false)]
    fn reports_are_named_whole(#[case] given: &str, #[case] is_there: bool) {
        let found = report(&told(25), given);
        assert_eq!(found.is_ok(), is_there, "{found:?}");
    }
}
