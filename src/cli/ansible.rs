//! `ansible check`: whether a run could start, in words.

use std::io::Write;

use clap::Subcommand;

use crate::ansible::check::check;
use crate::error::{Exit, Failure};
use crate::runtime::{self, EngineOptions};

/// What can be asked about Ansible.
#[derive(Debug, Subcommand)]
pub(super) enum AnsibleCommand {
    /// Say whether a run could start: Ansible, the playbook, the inventory, the SSH key
    Check,
}

/// Looks and tells.
pub(super) async fn execute(
    command: &AnsibleCommand,
    options: &EngineOptions,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let AnsibleCommand::Check = command;
    let mut exit = Exit::Success;
    for finding in check(&runtime::ansible_subject(options)?).await.findings {
        match finding.result {
            Ok(words) => writeln!(out, "ok       {}: {words}", finding.what)?,
            Err(problem) => {
                writeln!(out, "PROBLEM  {}: {}; {}", finding.what, problem.what, problem.hint)?;
                exit = Exit::Failure;
            }
        }
    }
    Ok(exit)
}
