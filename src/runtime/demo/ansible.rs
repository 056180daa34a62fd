//! An `ansible-playbook` for the demo: the one that is installed, else one in a private virtualenv, else a script.

use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use crate::ansible::preflight;

/// Pinned, so that the demo is the same everywhere; the newest whose Python requirement Debian 12 meets.
const REQUIREMENT: &str = "ansible-core==2.19.14";

/// Finds or makes one, saying what it does. `scripted` asks for the script at once.
pub(super) async fn provide(dir: &Path, scripted: bool, out: &mut impl Write) -> anyhow::Result<PathBuf> {
    if scripted {
        return script(dir, out);
    }
    let problem = match preflight::find(None).await {
        Ok(found) => {
            writeln!(out, "using {} (ansible-core {})", found.path.display(), found.version)?;
            return Ok(found.path);
        }
        Err(problem) => problem,
    };
    writeln!(out, "{}; making a private one for the demo, which takes about 15 s", problem.what)?;
    match virtualenv(dir, out).await {
        Ok(path) => Ok(path),
        Err(error) => {
            writeln!(out, "no private Ansible either: {error:#}")?;
            writeln!(out, "for a real run: apt install --no-install-recommends ansible-core")?;
            script(dir, out)
        }
    }
}

async fn virtualenv(dir: &Path, out: &mut impl Write) -> anyhow::Result<PathBuf> {
    let home = dir.join("ansible");
    writeln!(out, "  python3 -m venv …")?;
    let made = step(Command::new("python3").args(["-m", "venv"]).arg(&home)).await;
    made.context("python3 makes no virtualenv (`apt install python3-venv` would cure that)")?;
    writeln!(out, "  pip install {REQUIREMENT} …")?;
    let pip = home.join("bin/pip");
    let installed =
        step(Command::new(pip).args(["install", "--quiet", "--disable-pip-version-check", REQUIREMENT])).await;
    installed.context("pip could not install it")?;
    Ok(home.join("bin/ansible-playbook"))
}

async fn step(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().await?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    bail!("{}", words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no words"))
}

/// A command that stands in for Ansible and says so in every line.
fn script(dir: &Path, out: &mut impl Write) -> anyhow::Result<PathBuf> {
    writeln!(out, "the run in this demo is SCRIPTED: it only prints what a run looks like")?;
    let program = std::env::current_exe()?;
    let program = program.to_str().context("the program's own path is not UTF-8")?.replace('\'', r"'\''");
    let path = dir.join("ansible-playbook");
    std::fs::write(&path, format!("#!/bin/sh\nexec '{program}' {} \"$@\"\n", super::scripted::SUBCOMMAND))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}
