//! `answer show`, `profile new` and `profile set`: what a node would be given, and why; and which profile it has.

use std::io::Write;
use std::path::Path;

use clap::Subcommand;
use similar::TextDiff;

use super::{order, select};
use crate::api::Answered;
use crate::client::{NewProfile, Preview, Row};
use crate::domain::pointer;
use crate::domain::{Order, ProfileChoice, ProfileName};
use crate::error::{Exit, Failure, OrExit as _};
use crate::runtime::{self, EngineOptions};

/// What can be asked about answers.
#[derive(Debug, Subcommand)]
pub(super) enum AnswerCommand {
    /// Show the answer a node would be given now; secrets are not shown. Works without an engine, too
    Show {
        /// Host name, id, or the beginning of either
        node: String,
        /// Show where every value is from, and what it replaced
        #[arg(long, conflicts_with_all = ["diff", "json"])]
        explain: bool,
        /// Show what is different from the last answer that was released
        #[arg(long, conflicts_with = "json")]
        diff: bool,
        /// As JSON: the answer, where every value is from, and the last one
        #[arg(long)]
        json: bool,
    },
}

/// What can be done with profiles.
#[derive(Debug, Subcommand)]
pub(super) enum ProfileCommand {
    /// Write a profile whose machines show the same as this one; without --match: the same model
    New {
        /// Host name, id, or the beginning of either
        node: String,
        /// The profile's name: the file is profiles/NAME.toml
        name: String,
        /// What they must show just so, as a JSON pointer such as /dmi/system/name; again for more
        #[arg(long = "match", value_name = "POINTER")]
        pointers: Vec<String>,
    },
    /// Choose the profile of one node, whatever fits it
    Set {
        /// Host name, id, or the beginning of either
        node: String,
        /// The profile
        #[arg(required_unless_present_any = ["none", "auto"])]
        name: Option<ProfileName>,
        /// No profile at all
        #[arg(long, conflicts_with = "name")]
        none: bool,
        /// Again the one that the plan names or that fits
        #[arg(long, conflicts_with_all = ["name", "none"])]
        auto: bool,
    },
}

/// Shows an answer.
pub(super) async fn show(
    command: AnswerCommand,
    options: &EngineOptions,
    state_dir: &Path,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let AnswerCommand::Show { node, explain, diff, json } = command;
    let preview = preview(&node, options, state_dir).await?;
    if json {
        serde_json::to_writer_pretty(&mut *out, &preview).map_err(anyhow::Error::from)?;
        writeln!(out)?;
    } else {
        write_head(&preview, out)?;
        match (explain, diff) {
            (true, _) => {
                for line in preview.rows.iter().flat_map(Row::lines) {
                    writeln!(out, "{line}")?;
                }
            }
            (_, true) => write_diff(&preview, out)?,
            _ => write!(out, "{}", preview.text)?,
        }
    }
    Ok(if preview.problem.is_some() { Exit::Refused } else { Exit::Success })
}

/// Asks the running engine; where none runs here, makes the preview from the stored state.
async fn preview(node: &str, options: &EngineOptions, state_dir: &Path) -> Result<Preview, Failure> {
    let Ok(engine) = order::engine(state_dir) else {
        let (snapshot, previewer) = runtime::stored(options)?;
        let id = select::node(&snapshot, node).or_exit(Exit::Refused)?.id;
        let preview = previewer.preview(&snapshot, id).await;
        return preview.ok_or_else(|| anyhow::anyhow!("the node is gone")).or_exit(Exit::Refused);
    };
    let snapshot = engine.snapshot().await.or_exit(Exit::NoEngine)?;
    let id = select::node(&snapshot, node).or_exit(Exit::Refused)?.id;
    answered(engine.preview(id).await.or_exit(Exit::NoEngine)?)
}

fn answered<T>(answered: Answered<T>) -> Result<T, Failure> {
    match answered {
        Answered::Done { value } => Ok(value),
        Answered::Refused { reason } => Err(anyhow::anyhow!(reason)).or_exit(Exit::Refused),
    }
}

/// Comments above an answer: what it is for, and what to know about it.
fn write_head(preview: &Preview, out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out, "# {} ({})", preview.name, preview.node)?;
    if !preview.installer.is_empty() {
        writeln!(out, "# installer {}", preview.installer)?;
    }
    writeln!(out, "# profile {}", preview.profile.as_deref().unwrap_or("none"))?;
    for setting in &preview.left_out {
        writeln!(out, "# left out, the installer is too old: {setting}")?;
    }
    for line in preview.touch.iter().chain(&preview.warnings) {
        writeln!(out, "# {line}")?;
    }
    if let Some(problem) = &preview.problem {
        writeln!(out, "# NO ANSWER CAN BE MADE: {problem}")?;
    }
    writeln!(out)?;
    Ok(())
}

fn write_diff(preview: &Preview, out: &mut impl Write) -> Result<(), Failure> {
    let Some(last) = &preview.last else {
        writeln!(out, "# no answer was released yet")?;
        return Ok(());
    };
    if last.text == preview.text {
        writeln!(out, "# no difference to the answer of {}; secrets are not compared", last.at)?;
        return Ok(());
    }
    let diff = TextDiff::from_lines(&last.text, &preview.text);
    let released = format!("released {}", last.at);
    write!(out, "{}", diff.unified_diff().context_radius(2).header(&released, "now"))?;
    Ok(())
}

/// Writes or chooses a profile.
pub(super) async fn profile(command: ProfileCommand, state_dir: &Path, out: &mut impl Write) -> Result<Exit, Failure> {
    let engine = order::engine(state_dir)?;
    let snapshot = engine.snapshot().await.or_exit(Exit::NoEngine)?;
    match command {
        ProfileCommand::New { node, name, pointers } => {
            let node = select::node(&snapshot, &node).or_exit(Exit::Refused)?;
            let model = || vec![pointer::Pointer::One(pointer::Single::SystemName).to_string()];
            let pointers = if pointers.is_empty() { model() } else { pointers };
            let wish = NewProfile { node: node.id, name, pointers };
            let file = answered(engine.new_profile(&wish).await.or_exit(Exit::NoEngine)?)?;
            writeln!(out, "wrote {file}; write into it what is different on these machines, then `check`")?;
            Ok(Exit::Success)
        }
        ProfileCommand::Set { node, name, none, .. } => {
            let node = select::node(&snapshot, &node).or_exit(Exit::Refused)?;
            let choice = if none { Some(ProfileChoice::Without) } else { name.map(ProfileChoice::Named) };
            let words = match &choice {
                Some(ProfileChoice::Named(name)) => format!("{} gets the profile {name}", node.name),
                Some(ProfileChoice::Without) => format!("{} gets no profile", node.name),
                None => format!("{} gets the profile that fits it", node.name),
            };
            let order = Order::ChooseProfile { node: node.id, profile: choice };
            let given = engine.order(runtime::operator(), order).await.or_exit(Exit::NoEngine)?;
            Ok(order::tell(&words, given, out)?)
        }
    }
}
