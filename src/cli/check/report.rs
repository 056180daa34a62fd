//! What `check` found, on paper: with carets for people, JSON for scripts (docs/checking.md has its schema).

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use crate::answer::{self, Installer, Touch};
use crate::config::{self, ConfigErrors, Severity, Source};
use crate::runtime;

/// One problem, and who has it.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) problem: config::Problem,
    /// The setting, dotted; empty where it is not known.
    pub(super) path: String,
    /// Those that find it; none where no installer was asked.
    pub(super) installers: Vec<Installer>,
    /// How many problems it stands for: one, but for the last line of very many.
    stands_for: usize,
}

impl Finding {
    /// A problem of an answer file.
    fn new(source: &Source, problem: &answer::Problem) -> Self {
        Self {
            problem: runtime::placed(source, problem),
            path: problem.path.clone(),
            installers: Vec::new(),
            stands_for: 1,
        }
    }
}

/// What several installers find in one file, put together. Only what is shown is looked up in the file: a hostile one
/// has a problem in every line.
#[derive(Debug, Default)]
pub(super) struct Merged {
    found: Vec<(answer::Problem, Vec<Installer>)>,
    known: HashMap<Same, usize>,
}

/// What makes two problems one.
type Same = (Option<(usize, usize)>, String, String);

impl Merged {
    /// Adds what an installer finds; the newest comes first.
    pub(super) fn add(&mut self, problem: answer::Problem, installer: Installer) {
        let span = problem.span.as_ref().map(|span| (span.start, span.end));
        let same = (span, format!("{:?} {}", problem.severity, problem.path), problem.message.clone());
        let at = *self.known.entry(same).or_insert(self.found.len());
        match self.found.get_mut(at) {
            Some((_, installers)) => installers.insert(0, installer),
            None => self.found.push((problem, vec![installer])),
        }
    }

    /// In the order of the file, errors and dangers before warnings where there are too many.
    pub(super) fn findings(self, source: &Source) -> Vec<Finding> {
        findings(source, self.found)
    }
}

/// Problems of an answer file that no installer was asked about.
pub(super) fn placed(source: &Source, problems: Vec<answer::Problem>) -> Vec<Finding> {
    findings(source, problems.into_iter().map(|problem| (problem, Vec::new())).collect())
}

/// Most problems of a file that are shown.
const MOST: usize = 100;

fn findings(source: &Source, mut found: Vec<(answer::Problem, Vec<Installer>)>) -> Vec<Finding> {
    let place =
        |(problem, _): &(answer::Problem, Vec<Installer>)| problem.span.as_ref().map_or(usize::MAX, |span| span.start);
    let more = found.len().saturating_sub(MOST);
    if more > 0 {
        found.sort_by_key(|one| (one.0.severity == Severity::Warning, place(one)));
    }
    let worst = found.iter().skip(MOST).map(|(problem, _)| problem.severity).max_by_key(|severity| match severity {
        Severity::Warning => 0,
        Severity::Danger => 1,
        Severity::Error => 2,
    });
    let everybody: Vec<Installer> =
        found.iter().flat_map(|(_, installers)| installers).copied().collect::<BTreeSet<_>>().into_iter().collect();
    found.truncate(MOST);
    found.sort_by_key(place);
    let mut shown: Vec<_> = found
        .into_iter()
        .map(|(problem, installers)| Finding { installers, ..Finding::new(source, &problem) })
        .collect();
    if let Some(severity) = worst {
        let rest = config::Problem::whole(&source.name, format!("... and {more} more")).weigh(severity);
        shown.push(Finding { installers: everybody, stands_for: more, ..Finding::from(rest) });
    }
    shown
}

impl From<config::Problem> for Finding {
    fn from(problem: config::Problem) -> Self {
        Self { problem, path: String::new(), installers: Vec::new(), stands_for: 1 }
    }
}

/// What one installer does with a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    pub(super) installer: Installer,
    pub(super) accepted: bool,
}

/// Everything about one file.
#[derive(Debug)]
pub(super) struct FileReport {
    file: String,
    /// `config`, `base`, `profile`, `profiles`, `override`, `overrides`, `plan` or `answer`.
    kind: &'static str,
    /// Of the installers that were asked, oldest first.
    pub(super) verdicts: Vec<Verdict>,
    pub(super) findings: Vec<Finding>,
    pub(super) touch: Option<Touch>,
    /// Installers that nobody asked for and that would refuse the file.
    pub(super) also_refused_by: Vec<Installer>,
}

impl FileReport {
    pub(super) fn new(kind: &'static str, file: String, findings: Vec<Finding>) -> Self {
        Self { file, kind, verdicts: Vec::new(), findings, touch: None, also_refused_by: Vec::new() }
    }

    /// A file that is not there.
    pub(super) fn missing(kind: &'static str, path: &Path) -> Self {
        let name = path.display().to_string();
        let problem = config::Problem::whole(&name, "there is no such file");
        Self::new(kind, name, vec![Finding::from(problem)])
    }

    pub(super) fn unreadable(kind: &'static str, path: &Path, errors: &ConfigErrors) -> Self {
        let findings = errors.0.list().iter().cloned().map(Finding::from).collect();
        Self::new(kind, path.display().to_string(), findings)
    }

    /// Whether nothing keeps it from being used. Dangers and warnings do not.
    pub(super) fn is_ok(&self) -> bool {
        self.findings.iter().all(|finding| finding.problem.severity != Severity::Error)
    }

    fn count(&self, severity: Severity) -> usize {
        let these = self.findings.iter().filter(|finding| finding.problem.severity == severity);
        these.map(|finding| finding.stands_for).sum()
    }

    /// `2 errors, 1 danger`, or `ok`.
    fn summary(&self) -> String {
        let named = |severity, one: &str, many: &str| match self.count(severity) {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        };
        let counts = [
            named(Severity::Error, "error", "errors"),
            named(Severity::Danger, "DANGER", "DANGERS"),
            named(Severity::Warning, "warning", "warnings"),
        ];
        let counts: Vec<_> = counts.into_iter().flatten().collect();
        if counts.is_empty() { "ok".to_owned() } else { counts.join(", ") }
    }
}

fn releases(installers: impl IntoIterator<Item = Installer>) -> String {
    installers.into_iter().map(Installer::release).collect::<Vec<_>>().join(", ")
}

/// Writes problems with their lines, then a line or more for each file.
pub(super) fn write_text(reports: &[FileReport], out: &mut impl Write) -> io::Result<()> {
    for report in reports {
        for finding in &report.findings {
            let mut problem = finding.problem.clone();
            if finding.installers.len() < report.verdicts.len() {
                problem.message = format!("{} [{}]", problem.message, releases(finding.installers.iter().copied()));
            }
            writeln!(out, "{problem}\n")?;
        }
    }
    for report in reports {
        writeln!(out, "{}: {}", report.file, report.summary())?;
        for line in verdicts(report).into_iter().chain(report.touch.iter().flat_map(Touch::lines)) {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}

/// Who takes the file, in sentences: those that were asked, then those that nobody asked about and that would not.
fn verdicts(report: &FileReport) -> Vec<String> {
    let named = |accepted: bool| {
        let these = report.verdicts.iter().filter(|verdict| verdict.accepted == accepted);
        Some(releases(these.map(|verdict| verdict.installer))).filter(|list| !list.is_empty())
    };
    let [accepts, refuses, others] = match report.kind {
        "base" | "profile" | "override" => {
            ["can serve machines with installer", "cannot serve machines with installer", "machines with installer"]
        }
        _ => ["accepted by installer", "refused by installer", "installer"],
    };
    let others = |oldest: &Installer| {
        let list = releases(report.also_refused_by.iter().copied());
        let what = if report.kind == "answer" { "would refuse it" } else { "could not be served" };
        format!("but {others} {list} {what}; `--release {}` says why", oldest.release())
    };
    let accepts = named(true).map(|list| format!("{accepts} {list}"));
    let refuses = named(false).map(|list| format!("{refuses} {list}"));
    accepts.into_iter().chain(refuses).chain(report.also_refused_by.first().map(others)).collect()
}

#[derive(Serialize)]
struct JsonProblem<'a> {
    severity: &'static str,
    path: &'a str,
    message: &'a str,
    hint: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    span: Option<[usize; 2]>,
    releases: Vec<String>,
}

/// Writes everything as one JSON object.
pub(super) fn write_json(reports: &[FileReport], out: &mut impl Write) -> io::Result<()> {
    let files: Vec<_> = reports.iter().map(json_file).collect();
    let whole = json!({ "ok": reports.iter().all(FileReport::is_ok), "files": files });
    serde_json::to_writer_pretty(&mut *out, &whole)?;
    writeln!(out)
}

fn json_file(report: &FileReport) -> Value {
    let verdict = |verdict: &Verdict| {
        let installer = verdict.installer;
        json!({ "release": installer.release(), "installer": installer.to_string(), "accepted": verdict.accepted })
    };
    json!({
        "file": report.file,
        "kind": report.kind,
        "ok": report.is_ok(),
        "verdicts": report.verdicts.iter().map(verdict).collect::<Vec<_>>(),
        "also_refused_by": report.also_refused_by.iter().map(|installer| installer.release()).collect::<Vec<_>>(),
        "problems": report.findings.iter().map(json_problem).collect::<Vec<_>>(),
        "touches": report.touch.as_ref().map(json_touch),
    })
}

fn json_problem(finding: &Finding) -> JsonProblem<'_> {
    let Finding { problem, path, installers, .. } = finding;
    let place = problem.place.as_ref();
    JsonProblem {
        severity: match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Danger => "danger",
        },
        path,
        message: &problem.message,
        hint: problem.hint.as_deref(),
        line: place.map(|place| place.line),
        column: place.map(|place| place.column),
        span: place.map(|place| [place.span.start, place.span.end]),
        releases: installers.iter().map(|installer| installer.release()).collect(),
    }
}

fn json_touch(touch: &Touch) -> Value {
    let disk = |disk: &answer::DiskDevice| json!({ "path": disk.path, "model": disk.model(), "serial": disk.serial(), "used_bytes": disk.used });
    json!({
        "nic": touch.nic.as_ref().map(|nic| json!({ "name": nic.name, "mac": nic.mac })),
        "disks": touch.disks.iter().map(disk).collect::<Vec<_>>(),
        "filesystem": touch.filesystem,
        "refused": touch.refused,
        "words": touch.lines(),
    })
}
