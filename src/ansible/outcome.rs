//! What came of a run. Exit codes 2 and 4 mean two things each and 0 does not mean that anything ran, so the events decide
//! (ANSIBLE.md §4); where they are missing, the recap in the output does. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::events::Story;
use super::lines::without_colours;
use super::run_dir::Ending;
use crate::domain::grid::{CellState, Host};
use crate::domain::run::HostResult;
use crate::domain::text::Text;
use crate::domain::{Fqdn, RunOptions, RunOutcome};

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
    /// What was chosen for the run.
    pub(crate) options: &'a RunOptions,
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
    // Where only some tasks were wanted, a node that has none of them is no failure.
    if !hosts.is_empty() && !evidence.options.is_partial() {
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
    // Also where Ansible was killed: what it had not come to is as it was.
    let is_known = match &outcome {
        RunOutcome::Cancelled | RunOutcome::Interrupted => true,
        RunOutcome::Failed { .. } => evidence.story.is_started,
        RunOutcome::Succeeded | RunOutcome::NotStarted { .. } => false,
    };
    if statistics.is_none() && is_known && !evidence.options.check {
        hosts = cut_short(evidence, &outcome);
    }
    match outcome {
        // Without a word about any node, all would be taken for failed.
        RunOutcome::Failed { reason } if is_known && hosts.is_empty() && !evidence.options.check => {
            Judgement::not_started(&format!("{reason}, before anything was done on a node"))
        }
        outcome => Judgement { outcome, hosts },
    }
}

/// The hosts that a run has left half done. One on which no task had succeeded is as it was.
fn cut_short(evidence: &Evidence<'_>, outcome: &RunOutcome) -> BTreeMap<Fqdn, HostResult> {
    let word = if *outcome == RunOutcome::Cancelled { "stopped" } else { "broken off" };
    let grid = &evidence.story.grid;
    let begun = grid.hosts.iter().enumerate().filter(|(_, host)| host.done[0] > host.done[2]);
    let result = |(index, host): (usize, &Host)| {
        let name: Fqdn = host.name.as_str().parse().ok().filter(|name| evidence.nodes.contains(name))?;
        let (column, cell) = host.latest.and_then(|at| Some((grid.columns.get(at)?, grid.cell(at, index)?)))?;
        let place = if cell.state == CellState::Running { "at" } else { "after" };
        let reason = Text::new(&format!("the run was {word} {place} `{}`", column.name));
        Some((name, HostResult::Failed { reason }))
    };
    begun.filter_map(result).collect()
}

/// Per host whether it failed, if the run came to its normal end.
fn statistics(evidence: &Evidence<'_>) -> Option<BTreeMap<Fqdn, bool>> {
    if evidence.story.is_complete { Some(evidence.story.hosts.clone()) } else { recap(evidence.output, evidence.nodes) }
}

/// The statistics came: the hosts decide.
fn complete(evidence: &Evidence<'_>, hosts: &BTreeMap<Fqdn, HostResult>) -> RunOutcome {
    if hosts.is_empty() {
        return RunOutcome::NotStarted { reason: Text::new(&nothing_done(evidence)) };
    }
    let failed: Vec<_> = hosts.iter().filter_map(|(host, result)| Some((host, result.failure()?))).collect();
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

/// Why no task was run on any node: Ansible's own words where it has some, for it ends with code 0 all the same.
fn nothing_done(evidence: &Evidence<'_>) -> String {
    let RunOptions { tags, skip_tags, start_at, .. } = evidence.options;
    let said = marked_error(evidence.output).map(|line| format!("{line}; ")).unwrap_or_default();
    if let Some(task) = start_at {
        return format!(
            "{said}no task was run: `{task}` must be the name of a task as `ansible-playbook --list-tasks` shows it"
        );
    }
    if !tags.is_empty() || !skip_tags.is_empty() {
        let chosen: Vec<_> = tags.iter().cloned().chain(skip_tags.iter().map(|tag| format!("not {tag}"))).collect();
        return format!("{said}no task was run: none is left with these tags ({})", chosen.join(", "));
    }
    format!(
        "{said}the playbook matched none of the nodes; check the `hosts:` of its plays against the inventory's groups"
    )
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
    let reason = Text::new(reason);
    let numbers = evidence.story.grid.hosts.iter().find(|known| known.name.as_str() == host.as_str());
    let is_untouched = numbers.and_then(|known| known.numbers).is_some_and(|numbers| numbers.ok == 0);
    if is_untouched { HostResult::Untouched { reason } } else { HostResult::Failed { reason } }
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
pub(super) fn error_line(output: &[String]) -> Option<String> {
    let last = || output.iter().map(|line| without_colours(line)).rfind(|line| !line.trim().is_empty());
    marked_error(output).or_else(last)
}

/// The first line Ansible marked as an error.
fn marked_error(output: &[String]) -> Option<String> {
    output.iter().map(|line| without_colours(line)).find_map(|line| {
        // 2.14 puts a blank before it where it does not end the run.
        let line = line.trim_start();
        let message = line.strip_prefix("ERROR!").or_else(|| line.strip_prefix("[ERROR]:"))?;
        Some(message.trim().to_owned())
    })
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
    /// Node a is in the middle of the second task, and nothing was done on b.
    const CUT: &str = "{\"ev\":\"host_ok\",\"host\":\"a.lab\",\"task_id\":\"1\",\"task\":\"wait\"}\n\
                       {\"ev\":\"host_start\",\"host\":\"b.lab\",\"task_id\":\"1\"}\n\
                       {\"ev\":\"task_start\",\"task_id\":\"2\",\"task\":\"join\"}\n\
                       {\"ev\":\"host_start\",\"host\":\"a.lab\",\"task_id\":\"2\"}\n";
    const NONE: &str = "{\"ev\":\"stats\",\"hosts\":{}}\n";

    #[rstest]
    #[case::all_good(Some(Ending::Code(0)), &[START, GOOD], "", false, "succeeded", "")]
    #[case::stopped_too_late(Some(Ending::Code(0)), &[START, GOOD], "", true, "succeeded", "")]
    #[case::a_host_failed(Some(Ending::Code(2)), &[START, BAD], "", false, "failed", "1 of 2 nodes failed: b: t: m")]
    #[case::matched_nothing(Some(Ending::Code(0)), &[START, NONE], "", false, "not started", "the playbook matched none of the nodes; check the `hosts:` of its plays against the inventory's groups")]
    #[case::old_error(Some(Ending::Code(1)), &[], "\u{1b}[0;31mERROR! the playbook: x.yml could not be found\u{1b}[0m", false, "not started", "the playbook: x.yml could not be found (exit code 1)")]
    #[case::new_error(Some(Ending::Code(4)), &[], "[WARNING]: x\n[ERROR]: YAML parsing failed: y\nOrigin: /p:1", false, "not started", "YAML parsing failed: y (exit code 4)")]
    #[case::broke_off(Some(Ending::Code(1)), &[START], "ERROR! the role 'x' was not found", false, "not started", "the role 'x' was not found (exit code 1), before anything was done on a node")]
    #[case::silent(Some(Ending::Code(7)), &[], "", false, "not started", "ansible-playbook ended with exit code 7 and printed nothing")]
    #[case::cancelled(Some(Ending::Code(99)), &[START], "", true, "cancelled", "")]
    #[case::cancelled_early(Some(Ending::Signal(2)), &[], "Traceback", true, "cancelled", "")]
    #[case::killed(Some(Ending::Signal(9)), &[START, CUT], "", false, "failed", "killed from outside by signal 9 (SIGKILL)")]
    #[case::killed_early(Some(Ending::Signal(9)), &[START], "", false, "not started", "killed from outside by signal 9 (SIGKILL), before anything was done on a node")]
    #[case::killed_without_events(Some(Ending::Signal(9)), &[], "", false, "failed", "killed from outside by signal 9 (SIGKILL)")]
    #[case::interrupted_by_hand(Some(Ending::Code(99)), &[START, CUT], "", false, "failed", "interrupted from outside (exit code 99)")]
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
        let options = RunOptions::default();
        let evidence = Evidence {
            ending: ending.as_ref(),
            story: &story,
            output: &output,
            nodes: &nodes,
            is_stopped,
            options: &options,
        };
        let judgement = judge(&evidence);
        assert_eq!(judgement.outcome.word(), word);
        assert_eq!(judgement.outcome.reason().map_or("", |text| text.as_str()), reason);
    }

    #[test]
    fn every_host_of_the_statistics_has_its_result() {
        let (story, nodes) = (story(&[START, BAD].concat()), nodes());
        let ending = Ending::Code(2);
        let options = RunOptions::default();
        let evidence = Evidence {
            ending: Some(&ending),
            story: &story,
            output: &[],
            nodes: &nodes,
            is_stopped: false,
            options: &options,
        };
        let hosts = judge(&evidence).hosts;
        assert_eq!(hosts[&"a.lab".parse().unwrap()], HostResult::Configured);
        assert_eq!(hosts[&"b.lab".parse().unwrap()], HostResult::Untouched { reason: Text::new("t: m") });
    }

    /// The judgement of a run that ended with code 0 under these options.
    fn judged(events: &[&str], output: &str, options: &RunOptions) -> Judgement {
        let (story, nodes) = (story(&events.concat()), nodes());
        let output: Vec<String> = output.lines().map(str::to_owned).collect();
        let ending = Some(&Ending::Code(0));
        judge(&Evidence { ending, story: &story, output: &output, nodes: &nodes, is_stopped: false, options })
    }

    #[test]
    fn a_run_of_some_tasks_says_nothing_of_nodes_that_have_none_of_them() {
        const ONE: &str = "{\"ev\":\"stats\",\"hosts\":{\"a.lab\":{\"ok\":1}}}\n";
        let whole = judged(&[START, ONE], "", &RunOptions::default());
        assert_eq!((whole.outcome.word(), whole.hosts.len()), ("failed", 2));
        let some = judged(&[START, ONE], "", &RunOptions { tags: vec!["pve".to_owned()], ..RunOptions::default() });
        assert_eq!((some.outcome.word(), some.hosts.len()), ("succeeded", 1));
    }

    #[rstest]
    #[case::start(RunOptions { start_at: Some("x".to_owned()), ..RunOptions::default() }, " [ERROR]: No matching task \"x\" found.", "No matching task \"x\" found.; no task was run: `x` must be")]
    #[case::tags(RunOptions { tags: vec!["nosuch".to_owned()], ..RunOptions::default() }, "", "no task was run: none is left with these tags (nosuch)")]
    #[case::skipped(RunOptions { skip_tags: vec!["all".to_owned()], ..RunOptions::default() }, "", "(not all)")]
    fn a_run_that_did_nothing_says_what_was_asked_for(
        #[case] options: RunOptions,
        #[case] output: &str,
        #[case] words: &str,
    ) {
        let outcome = judged(&[START, NONE], output, &options).outcome;
        assert!(outcome.word() == "not started" && outcome.reason().unwrap().as_str().contains(words), "{outcome:?}");
    }

    #[test]
    fn a_run_that_was_cut_short_tells_which_nodes_it_left_half_done() {
        let (story, nodes) = (story(&[START, CUT].concat()), nodes());
        let killed = Ending::Signal(9);
        for (ending, is_stopped, check, words) in [
            (None, true, false, Some("the run was stopped at `join`")),
            (None, false, false, Some("the run was broken off at `join`")),
            (Some(&killed), false, false, Some("the run was broken off at `join`")),
            (None, true, true, None),
        ] {
            let options = RunOptions { check, ..RunOptions::default() };
            let evidence =
                Evidence { ending, story: &story, output: &[], nodes: &nodes, is_stopped, options: &options };
            let hosts = judge(&evidence).hosts;
            let told: Vec<_> = hosts.iter().map(|(name, result)| (name.as_str(), result.clone())).collect();
            let failed = |words| ("a.lab", HostResult::Failed { reason: Text::new(words) });
            assert_eq!(told, words.map(failed).into_iter().collect::<Vec<_>>());
        }
    }
}
