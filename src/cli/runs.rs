//! `runs`: the records of the runs in a folder, from its files alone.

use std::io::Write;
use std::path::Path;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::ansible::record::{Record, records};
use crate::domain::layout::RUNS;
use crate::domain::options::shell_word;
use crate::domain::run::HostResult;
use crate::domain::{Origin, RunId};
use crate::error::{Exit, Failure, OrExit as _};

/// Slowest tasks named of a run.
const SLOWEST: usize = 5;

/// Which runs to tell of.
#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    #[command(subcommand)]
    command: Option<RunsCommand>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum RunsCommand {
    /// Show one run: what was run, by whom and why, and what came of each node
    Show {
        /// The run, such as r3
        run: RunId,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Tells of the runs in the project `dir`.
pub(super) fn execute(args: &RunsArgs, dir: &Path, out: &mut impl Write) -> Result<Exit, Failure> {
    let records = records(dir)?;
    match &args.command {
        None if args.json => writeln!(out, "{}", serde_json::to_string_pretty(&records)?)?,
        None if records.is_empty() => writeln!(out, "no run is kept in `{}`", dir.join(RUNS).display())?,
        None => list(&records, out)?,
        Some(RunsCommand::Show { run, json }) => {
            let record = records.iter().find(|record| record.run == *run);
            let record = record.ok_or_else(|| anyhow::anyhow!("run `{run}` is not kept; `runs` lists those that are"));
            let record = record.or_exit(Exit::Failure)?;
            if *json || args.json {
                writeln!(out, "{}", serde_json::to_string_pretty(record)?)?;
            } else {
                show(record, dir, out)?;
            }
        }
    }
    Ok(Exit::Success)
}

fn list(records: &[Record], out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{:<6} {:<12} {:<19} {:>8} {:>5}  BY", "RUN", "STATE", "ASKED FOR", "TOOK", "NODES")?;
    for record in records {
        let took = record.end.as_ref().map(|end| seconds(end.course.took)).unwrap_or_default();
        let check = if record.options.check { ", check only" } else { "" };
        writeln!(
            out,
            "{:<6} {:<12} {:<19} {took:>8} {:>5}  {} ({}{check})",
            record.run.to_string(),
            state(record),
            moment(record.queued),
            record.nodes.len(),
            by(record),
            record.why,
        )?;
    }
    Ok(())
}

fn show(record: &Record, dir: &Path, out: &mut impl Write) -> std::io::Result<()> {
    let folder = dir.join(RUNS).join(record.run.to_string());
    let reason = record.end.as_ref().and_then(|end| end.outcome.reason());
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    writeln!(out, "run {} {}{reason}", record.run, state(record))?;
    writeln!(out, "asked for  {} by {} ({})", moment(record.queued), by(record), record.why)?;
    if let Some(end) = &record.end {
        writeln!(out, "ended      {} after {}", moment(end.at), seconds(end.course.took))?;
    }
    let digest = record.playbook_sha256.as_deref().map(|hex| format!(" (sha256 {hex})")).unwrap_or_default();
    writeln!(out, "playbook   {}{digest}", record.playbook.display())?;
    writeln!(out, "command    {}", record.command)?;
    if !record.options.vars.is_empty() {
        let vars = serde_json::to_string(&record.options.vars).unwrap_or_default();
        writeln!(out, "variables  {}", shell_word(&vars))?;
    }
    writeln!(out, "files      {}", folder.display())?;
    let Some(end) = &record.end else { return Ok(()) };
    writeln!(out)?;
    for node in &record.nodes {
        let host = end.hosts.get(node);
        let numbers = host.and_then(|host| host.numbers).map_or_else(String::new, |numbers| {
            format!("  {} ok, {} changed, {} skipped", numbers.ok, numbers.changed, numbers.skipped)
        });
        let result = match host.map(|host| &host.result) {
            Some(HostResult::Configured) => format!("ok{numbers}"),
            Some(HostResult::Failed { reason } | HostResult::Untouched { reason }) => {
                format!("FAILED{numbers}: {reason}")
            }
            None => "no result".to_owned(),
        };
        writeln!(out, "{node}  {result}")?;
    }
    let mut slowest: Vec<_> = end.course.steps.iter().collect();
    slowest.sort_by(|a, b| b.took.total_cmp(&a.took));
    if !slowest.is_empty() {
        writeln!(out, "\nslowest tasks")?;
    }
    for step in slowest.into_iter().take(SLOWEST) {
        writeln!(out, "{:>8}  {}", seconds(step.took), step.task)?;
    }
    Ok(())
}

/// One word. A run without an end may go on, or nobody saw it.
fn state(record: &Record) -> &'static str {
    record.end.as_ref().map_or("not ended", |end| end.outcome.word())
}

fn by(record: &Record) -> String {
    match &record.by {
        Some(Origin::System) => "the gate".to_owned(),
        Some(origin) => origin.to_string(),
        None => "somebody".to_owned(),
    }
}

fn moment(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn seconds(seconds: f64) -> String {
    let whole = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    if whole < 60 { format!("{seconds:.1} s") } else { format!("{} min {:02} s", whole / 60, whole % 60) }
}
