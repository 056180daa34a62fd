//! What came of a run. Exit codes 2 and 4 mean two things each and 0 does not mean that anything ran, so the events decide
//! (ANSIBLE.md §4); where they are missing, the recap in the output does. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::events::Story;
use super::lines::without_colours;
use super::run_dir::Ending;
use crate::domain::run::HostResult;
use crate::domain::text::Text;
use crate::domain::{Fqdn, RunOutcome};

/// Exit code of an interrupted `ansible-playbook`.
const INTERRUPTED: i32 = 99;

/// All that is known at the end of a run.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    /// How the process ended; `None` if it vanished without a word.
    pub(crate) ending: Option<&'a Ending>,
    /// What the events say.
    pub(crate) story: &'a Story,
    /// The last lines of the output.
    pub(crate) output: &'a [String],
    /// The run's nodes.
    pub(crate) nodes: &'a BTreeSet<Fqdn>,
    /// Whether a stop was asked for.
    pub(crate) is_stopped: bool,
}

/// The outcome of a run and of each of its hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Of the run.
    pub(crate) outcome: RunOutcome,
    /// Of the run's nodes, where statistics came.
    pub(crate) hosts: BTreeMap<Fqdn, HostResult>,
}

impl Judgement {
    /// Of a run that says nothing about its hosts.
    pub(crate) fn without_hosts(outcome: RunOutcome) -> Self {
        Self { outcome, hosts: BTreeMap::new() }
    }

    /// Nothing was run, for this reason.
    pub(crate) fn not_started(reason: &str) -> Self {
        Self::without_hosts(RunOutcome::NotStarted { reason: Text::new(reason) })
    }
}

/// Judges a run.
pub(crate) fn judge(evidence: &Evidence<'_>) -> Judgement {
    if let Some(Ending::NotStarted(why)) = evidence.ending {
        return Judgement::not_started(why);
    }
    let statistics = statistics(evidence);
    let hosts = statistics.iter().flatten().map(|(host, failed)| (host.clone(), result(evidence, host, *failed)));
    let mut hosts: BTreeMap<Fqdn, HostResult> = hosts.collect();
    if !hosts.is_empty() {
        // A play that leaves a node out ends with code 0 all the same; that node must not count as configured.
        let reason = || Text::new("no play of the playbook matched this node");
        for node in evidence.nodes {
            hosts.entry(node.clone()).or_insert_with(|| HostResult::Failed { reason: reason() });
        }
    }
    let outcome = match (evidence.ending, &statistics) {
        (None, _) if evidence.is_stopped => RunOutcome::Cancelled,
        (None, _) => RunOutcome::Interrupted,
        (Some(_), Some(_)) => complete(evidence, &hosts),
        (Some(_), None) => incomplete(evidence),
    };
    Judgement { outcome, hosts }
}

/// Per host whether it failed, if the run came to its normal end.
fn statistics(evidence: &Evidence<'_>) -> Option<BTreeMap<Fqdn, bool>> {
    if evidence.story.is_complete { Some(evidence.story.hosts.clone()) } else { recap(evidence.output, evidence.nodes) }
}

/// The statistics came: the hosts decide.
fn complete(evidence: &Evidence<'_>, hosts: &BTreeMap<Fqdn, HostResult>) -> RunOutcome {
    if hosts.is_empty() {
        let reason =
            "the playbook matched none of the nodes; check the `hosts:` of its plays against the inventory's groups";
        return RunOutcome::NotStarted { reason: Text::new(reason) };
    }
    let failed: Vec<_> = hosts.iter().filter_map(|(host, result)| Some((host, failure(result)?))).collect();
    match failed.first() {
        Some((host, reason)) => {
            let reason =
                format!("{} of {} nodes failed: {}: {reason}", failed.len(), evidence.nodes.len(), host.host());
            RunOutcome::Failed { reason: Text::new(&reason) }
        }
        None => match evidence.ending {
            Some(Ending::Code(0)) | None => RunOutcome::Succeeded,
            // Every host is fine, and still Ansible complains: its words count.
            Some(ending) => RunOutcome::Failed { reason: Text::new(&complaint(ending, evidence.output)) },
        },
    }
}

fn failure(result: &HostResult) -> Option<&Text> {
    match result {
        HostResult::Failed { reason } => Some(reason),
        HostResult::Configured => None,
    }
}

/// No statistics: it was stopped, never started, or broke off.
fn incomplete(evidence: &Evidence<'_>) -> RunOutcome {
    if evidence.is_stopped {
        return RunOutcome::Cancelled;
    }
    let Some(ending) = evidence.ending else { return RunOutcome::Interrupted };
    let reason = Text::new(&complaint(ending, evidence.output));
    if evidence.story.is_started || matches!(ending, Ending::Signal(_) | Ending::Code(INTERRUPTED)) {
        RunOutcome::Failed { reason }
    } else {
        RunOutcome::NotStarted { reason }
    }
}

fn result(evidence: &Evidence<'_>, host: &Fqdn, failed: bool) -> HostResult {
    if !failed {
        return HostResult::Configured;
    }
    let reason = evidence.story.failures.get(host).map_or("failed; the output says where", String::as_str);
    HostResult::Failed { reason: Text::new(reason) }
}

/// The run's end in words.
fn complaint(ending: &Ending, output: &[String]) -> String {
    match ending {
        Ending::Signal(signal) => {
            let name = nix::sys::signal::Signal::try_from(*signal).map_or("unknown", nix::sys::signal::Signal::as_str);
            format!("killed from outside by signal {signal} ({name})")
        }
        Ending::Code(INTERRUPTED) => "interrupted from outside (exit code 99)".to_owned(),
        Ending::Code(code) => match error_line(output) {
            Some(line) => format!("{line} (exit code {code})"),
            None => format!("ansible-playbook ended with exit code {code} and printed nothing"),
        },
        Ending::NotStarted(why) => why.clone(),
    }
}

/// The first line Ansible marked as an error, else the last line with anything in it.
fn error_line(output: &[String]) -> Option<String> {
    let bare = || output.iter().map(|line| without_colours(line));
    let marked = bare().find_map(|line| {
        let message = line.strip_prefix("ERROR!").or_else(|| line.strip_prefix("[ERROR]:"))?;
        Some(message.trim().to_owned())
    });
    marked.or_else(|| bare().rfind(|line| !line.trim().is_empty()))
}

/// The hosts of `PLAY RECAP`, for runs whose plugin could not work. `None` where there is no recap.
fn recap(output: &[String], nodes: &BTreeSet<Fqdn>) -> Option<BTreeMap<Fqdn, bool>> {
    let start = output.iter().rposition(|line| without_colours(line).starts_with("PLAY RECAP *"))?;
    let lines = output.iter().skip(start + 1).map(|line| without_colours(line));
    let hosts = lines.map_while(|line| {
        let (name, numbers) =
            line.split_once(':').map(|(name, numbers)| (name.trim().to_owned(), numbers.to_owned()))?;
        let number = |key: &str| {
            numbers.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse::<u64>().ok())
        };
        Some((name, number("failed")? + number("unreachable")? > 0))
    });
    Some(
        hosts
            .filter_map(|(name, failed)| Some((name.parse().ok()?, failed)))
            .filter(|(name, _)| nodes.contains(name))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn nodes() -> BTreeSet<Fqdn> {
        ["a.lab", "b.lab"].map(|name| name.parse().unwrap()).into()
    }

    fn story(events: &str) -> Story {
        Story::read(events.as_bytes(), |name| nodes().contains(name)).unwrap()
    }

    const START: &str = "{\"ev\":\"playbook_start\"}\n";
    const GOOD: &str = "{\"ev\":\"stats\",\"hosts\":{\"a.lab\":{\"ok\":1},\"b.lab\":{\"ok\":1}}}\n";
    const BAD: &str = "{\"ev\":\"host_failed\",\"host\":\"b.lab\",\"task\":\"t\",\"msg\":\"m\"}\n\
                       {\"ev\":\"stats\",\"hosts\":{\"a.lab\":{\"ok\":1},\"b.lab\":{\"failures\":1}}}\n";
    const NONE: &str = "{\"ev\":\"stats\",\"hosts\":{}}\n";

    #[rstest]
    #[case::all_good(Some(Ending::Code(0)), &[START, GOOD], "", false, "succeeded", "")]
    #[case::stopped_too_late(Some(Ending::Code(0)), &[START, GOOD], "", true, "succeeded", "")]
    #[case::a_host_failed(Some(Ending::Code(2)), &[START, BAD], "", false, "failed", "1 of 2 nodes failed: b: t: m")]
    #[case::matched_nothing(Some(Ending::Code(0)), &[START, NONE], "", false, "not started", "the playbook matched none of the nodes; check the `hosts:` of its plays against the inventory's groups")]
    #[case::old_error(Some(Ending::Code(1)), &[], "\u{1b}[0;31mERROR! the playbook: x.yml could not be found\u{1b}[0m", false, "not started", "the playbook: x.yml could not be found (exit code 1)")]
    #[case::new_error(Some(Ending::Code(4)), &[], "[WARNING]: x\n[ERROR]: YAML parsing failed: y\nOrigin: /p:1", false, "not started", "YAML parsing failed: y (exit code 4)")]
    #[case::broke_off(Some(Ending::Code(1)), &[START], "ERROR! the role 'x' was not found", false, "failed", "the role 'x' was not found (exit code 1)")]
    #[case::silent(Some(Ending::Code(7)), &[], "", false, "not started", "ansible-playbook ended with exit code 7 and printed nothing")]
    #[case::cancelled(Some(Ending::Code(99)), &[START], "", true, "cancelled", "")]
    #[case::cancelled_early(Some(Ending::Signal(2)), &[], "Traceback", true, "cancelled", "")]
    #[case::killed(Some(Ending::Signal(9)), &[START], "", false, "failed", "killed from outside by signal 9 (SIGKILL)")]
    #[case::interrupted_by_hand(Some(Ending::Code(99)), &[START], "", false, "failed", "interrupted from outside (exit code 99)")]
    #[case::vanished(None, &[START], "", false, "interrupted", "")]
    #[case::vanished_while_stopping(None, &[START], "", true, "cancelled", "")]
    #[case::no_program(Some(Ending::NotStarted("cannot run `x`".into())), &[], "", false, "not started", "cannot run `x`")]
    #[case::recap_good(Some(Ending::Code(0)), &[], "PLAY RECAP ****\n\u{1b}[0;32ma.lab\u{1b}[0m : \u{1b}[0;32mok=1\u{1b}[0m changed=0 unreachable=0 failed=0 skipped=0\n\nbye", false, "failed", "1 of 2 nodes failed: b: no play of the playbook matched this node")]
    #[case::recap_bad(Some(Ending::Code(4)), &[START], "PLAY RECAP ****\na.lab : ok=1 unreachable=0 failed=0\nb.lab : ok=1 unreachable=1 failed=0", false, "failed", "1 of 2 nodes failed: b: failed; the output says where")]
    fn outcomes(
        #[case] ending: Option<Ending>,
        #[case] events: &[&str],
        #[case] output: &str,
        #[case] is_stopped: bool,
        #[case] word: &str,
        #[case] reason: &str,
    ) {
        let (story, nodes) = (story(&events.concat()), nodes());
        let output: Vec<String> = output.lines().map(str::to_owned).collect();
        let evidence = Evidence { ending: ending.as_ref(), story: &story, output: &output, nodes: &nodes, is_stopped };
        let judgement = judge(&evidence);
        assert_eq!(judgement.outcome.word(), word);
        assert_eq!(judgement.outcome.reason().map_or("", |text| text.as_str()), reason);
    }

    #[test]
    fn every_host_of_the_statistics_has_its_result() {
        let (story, nodes) = (story(&[START, BAD].concat()), nodes());
        let ending = Ending::Code(2);
        let evidence = Evidence { ending: Some(&ending), story: &story, output: &[], nodes: &nodes, is_stopped: false };
        let hosts = judge(&evidence).hosts;
        assert_eq!(hosts[&"a.lab".parse().unwrap()], HostResult::Configured);
        assert_eq!(hosts[&"b.lab".parse().unwrap()], HostResult::Failed { reason: Text::new("t: m") });
    }
}
