//! `plan`: the nodes that are expected, from tables and back (docs/plan.md).

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::api::client::RemoteEngine;
use crate::config::{self, Source};
use crate::domain::{Fqdn, Node, PlanEntry, Snapshot};
use crate::error::{Exit, Failure, OrExit as _};
use crate::plan::{self, Context, Format, Import, Imported, Mapping, PLAN_FILE, Plan};
use crate::runtime::{self, EngineOptions};
use crate::store::atomic::{self, Durability};

/// What can be done with the plan.
#[derive(Debug, Subcommand)]
pub(super) enum PlanCommand {
    /// Merge a table into plan.toml: rows by host name; what the table does not speak of stays
    Import {
        /// CSV with a heading, a plan.toml, or a JSON array of objects; NetBox's device exports work as they are
        file: PathBuf,
        /// What a column is, where its name does not say it: `--map 'Service Tag=serial'`; `-` leaves it out
        #[arg(long, value_name = "COLUMN=FIELD")]
        map: Vec<Mapping>,
        /// How the file is written, where its name does not say it
        #[arg(long)]
        format: Option<Format>,
        /// Take nodes out of the plan that are not in the table
        #[arg(long)]
        replace: bool,
        /// Say what would change, and write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Write the plan as a table
    Export {
        /// How
        #[arg(long, default_value = "csv")]
        format: Format,
    },
    /// Show the plan, and where its nodes stand if the engine runs
    Show,
}

/// Does what the command says.
pub(super) async fn execute(
    command: PlanCommand,
    options: &EngineOptions,
    state_dir: &Path,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let dir = &options.dir;
    let context = runtime::plan_context(options).or_exit(Exit::Config)?;
    match command {
        PlanCommand::Import { file, map, format, replace, dry_run } => {
            let table = load(&file).or_exit(Exit::Config)?;
            let format = format.or_else(|| Format::of_name(&file)).ok_or_else(|| {
                anyhow::anyhow!(
                    "`{}` does not say how it is written; add `--format csv`, `json` or `toml`",
                    file.display()
                )
            });
            let wish = Import { table: &table, format: format.or_exit(Exit::Usage)?, map: &map, replace };
            let before = plan::source(dir).or_exit(Exit::Config)?;
            let done = plan::import(&wish, before.as_ref(), &context).map_err(|errors| {
                anyhow::anyhow!("`{}` is not imported; {PLAN_FILE} is as it was\n\n{errors}", file.display())
            });
            let done = done.or_exit(Exit::Config)?;
            if !dry_run {
                replace_plan(&dir.join(PLAN_FILE), &done.text)?;
            }
            tell(&done, dry_run, out)?;
            Ok(Exit::Success)
        }
        PlanCommand::Export { format } => {
            let plan = good(dir, &context)?;
            let text = plan::export(&plan.entries, format).map_err(anyhow::Error::from)?;
            write!(out, "{text}")?;
            Ok(Exit::Success)
        }
        PlanCommand::Show => {
            let plan = good(dir, &context)?;
            let snapshot = match RemoteEngine::find(state_dir) {
                Ok(engine) => engine.snapshot().await.ok(),
                Err(_) => None,
            };
            show(plan.entries.iter().map(AsRef::as_ref), snapshot.as_ref(), out)?;
            if !plan.warnings.is_empty() {
                writeln!(out, "\n{}", plan.warnings)?;
            }
            Ok(Exit::Success)
        }
    }
}

/// Writes the plan where it is, also behind a link, with the permissions it has.
fn replace_plan(path: &Path, text: &str) -> std::io::Result<()> {
    let file = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode = std::fs::metadata(&file).map_or(0o644, |about| about.permissions().mode() & 0o7777);
    atomic::write(&file, text.as_bytes(), mode, Durability::Synced).map(drop)
}

/// The plan of the folder.
fn good(dir: &Path, context: &Context) -> Result<Plan, Failure> {
    let plan = plan::load(dir, context);
    plan.map_err(|errors| anyhow::anyhow!("{PLAN_FILE} cannot be used\n\n{errors}")).or_exit(Exit::Config)
}

fn load(file: &Path) -> anyhow::Result<Source> {
    let read = config::load_long_text(file, plan::MAX_BYTES)?;
    read.ok_or_else(|| anyhow::anyhow!("there is no file `{}`", file.display()))
}

/// Says what changed, the names while they are few.
fn tell(done: &Imported, dry_run: bool, out: &mut impl Write) -> std::io::Result<()> {
    const SHOWN: usize = 20;
    let mut lines: Vec<String> = done.added.iter().map(|name| format!("+ {name}")).collect();
    lines.extend(done.changed.iter().map(|(name, fields)| format!("~ {name}: {}", fields.join(", "))));
    lines.extend(done.removed.iter().map(|name| format!("- {name}")));
    for line in lines.iter().take(SHOWN) {
        writeln!(out, "{line}")?;
    }
    if lines.len() > SHOWN {
        writeln!(out, "... and {} more", lines.len() - SHOWN)?;
    }
    if !done.warnings.is_empty() {
        writeln!(out, "{}\n", done.warnings)?;
    }
    let (added, changed, removed) = (done.added.len(), done.changed.len(), done.removed.len());
    let removed = if removed > 0 { format!(", {removed} removed") } else { String::new() };
    let what = if dry_run { " (nothing written)" } else { "" };
    writeln!(out, "{PLAN_FILE}: {added} added, {changed} changed{removed}, {} as they were{what}", done.unchanged)
}

/// The plan as a table.
fn show<'a>(
    entries: impl Iterator<Item = &'a PlanEntry>,
    snapshot: Option<&Snapshot>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let heading = ["HOSTNAME", "STATE", "PLACE", "ADDRESS", "KNOWN BY", "PROFILE", "ROLE"].map(str::to_owned);
    let by_plan = snapshot.map(|snapshot| {
        let planned = snapshot.fleet.nodes().map(AsRef::as_ref);
        planned.filter_map(|node: &Node| Some((&node.plan.as_ref()?.hostname, node))).collect::<HashMap<_, _>>()
    });
    let rows = entries.map(|entry| {
        let text = |text: Option<String>| text.unwrap_or_default();
        [
            entry.hostname.to_string(),
            state(entry, by_plan.as_ref()),
            text(entry.place()),
            text(entry.address.map(|address| address.to_string())),
            known_by(entry),
            text(entry.profile.as_ref().map(ToString::to_string)),
            text(entry.role.as_ref().map(ToString::to_string)),
        ]
    });
    let table: Vec<[String; 7]> = std::iter::once(heading).chain(rows).collect();
    if table.len() == 1 {
        return writeln!(out, "nothing is planned; `prox-orchestrator plan import FILE` brings a table in");
    }
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..7).map(width).collect();
    for row in &table {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Where its node stands; nothing where no engine says it.
fn state(entry: &PlanEntry, rows: Option<&HashMap<&Fqdn, &Node>>) -> String {
    let Some(rows) = rows else { return String::new() };
    match rows.get(&entry.hostname) {
        Some(node) if node.name != entry.hostname => format!("{} ({})", node.phase.word(), node.name.host()),
        Some(node) => node.phase.word().to_owned(),
        None => "no row".to_owned(),
    }
}

/// The strongest identifiers, short.
fn known_by(entry: &PlanEntry) -> String {
    let serial = entry.serial.as_ref().map(|serial| format!("serial {serial}"));
    let uuid = entry.uuid.map(|uuid| format!("UUID {uuid}"));
    let mac = entry.macs.first().map(|mac| format!("MAC {mac}"));
    let tag = entry.asset_tag.as_ref().map(|tag| format!("tag {tag}"));
    let all: Vec<_> = [serial, uuid, mac, tag].into_iter().flatten().collect();
    match all.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} +{}", rest.len()),
    }
}
