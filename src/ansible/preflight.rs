//! Finds out before the first machine is approved, not an hour later, whether a run could start.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ask::ask;
use crate::config;
use crate::domain::snapshot::Problem;
use crate::store::atomic::{self, Durability};

/// The program looked for in `PATH`.
const PROGRAM: &str = "ansible-playbook";
/// Oldest ansible-core whose behaviour is known, as (major, minor).
const OLDEST: (u32, u32) = (2, 14);
/// `--version` takes about half a second.
const PATIENCE: Duration = Duration::from_secs(20);
/// How Ansible gets onto this machine.
const INSTALL: &str = "install it with `apt install ansible-core`, or with `python3 -m venv ~/ansible && ~/ansible/bin/pip \
                       install ansible-core` and set `command` in [ansible] of config.toml to ~/ansible/bin/ansible-playbook \
                       (written out)";

/// Playbooks carried in the program, by file name.
const EMBEDDED: [(&str, &str); 2] =
    [(config::PLAYBOOK_FILE, config::PLAYBOOK), ("demo.yml", include_str!("../../assets/demo.yml"))];
/// Where a carried playbook is written, in the state folder.
const CARRIED_DIR: &str = "playbook";

/// An `ansible-playbook` that will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Absolute path.
    pub path: PathBuf,
    /// Version of ansible-core, such as `2.19.14`.
    pub version: String,
}

/// Finds `ansible-playbook`, at `command` or else in `PATH`, and asks for its version.
///
/// # Errors
/// What is wrong with it and how to cure that.
pub async fn find(command: Option<&Path>) -> Result<Found, Problem> {
    let path = match command {
        Some(path) => configured(path)?,
        None => in_path(&std::env::var_os("PATH").unwrap_or_default())?,
    };
    let version = version(&path).await?;
    Ok(Found { path, version })
}

fn configured(path: &Path) -> Result<PathBuf, Problem> {
    match fs::metadata(path) {
        Ok(meta) if is_executable(&meta) => std::path::absolute(path)
            .map_err(|error| problem(format!("cannot find `{}`: {error}", path.display()), INSTALL)),
        Ok(_) => Err(problem(
            format!("`{}` is not an executable file", path.display()),
            "set `command` in [ansible] of config.toml to an `ansible-playbook` that runs by hand",
        )),
        Err(error) => Err(problem(format!("cannot find `{}`: {error}", path.display()), INSTALL)),
    }
}

fn in_path(search: &OsStr) -> Result<PathBuf, Problem> {
    let candidates = std::env::split_paths(search).filter(|dir| dir.is_absolute()).map(|dir| dir.join(PROGRAM));
    let mut usable = candidates.filter(|path| fs::metadata(path).is_ok_and(|meta| is_executable(&meta)));
    usable.next().ok_or_else(|| problem(format!("`{PROGRAM}` is not installed"), INSTALL))
}

fn is_executable(meta: &fs::Metadata) -> bool {
    meta.is_file() && meta.permissions().mode() & 0o111 != 0
}

async fn version(path: &Path) -> Result<String, Problem> {
    let shown = path.display();
    let by_hand = format!("run `{shown} --version` by hand to see what it lacks");
    let mut command = tokio::process::Command::new(path);
    command.arg("--version").env("LC_ALL", "C.UTF-8");
    // All of the output is read: closing the pipe early makes Python print a traceback (ANSIBLE.md §7).
    let output = tokio::time::timeout(PATIENCE, ask(&mut command)).await;
    let output = output
        .map_err(|_| problem(format!("`{shown} --version` gave no answer within {} s", PATIENCE.as_secs()), &by_hand))?
        .map_err(|error| problem(format!("cannot run `{shown}`: {error}"), &by_hand))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let Some(version) = parse_version(text.lines().next().unwrap_or_default()) else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let words =
            complaint.lines().chain(text.lines()).rfind(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
        return Err(problem(format!("`{shown} --version` did not tell a version: {}", words.trim()), &by_hand));
    };
    if version.0 < OLDEST {
        let (major, minor) = OLDEST;
        return Err(problem(
            format!("ansible-core {} is too old; {major}.{minor} or newer is needed", version.1),
            INSTALL,
        ));
    }
    Ok(version.1)
}

/// `ansible-playbook [core 2.19.14]`; all releases from 2.11 on print it so.
fn parse_version(line: &str) -> Option<((u32, u32), String)> {
    let version = line.strip_prefix("ansible-playbook [core ")?.split(']').next()?.trim();
    let mut numbers = version.split('.');
    let pair = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    Some((pair, version.to_owned()))
}

/// The playbook to run: `<dir>/<playbook>`, else `<dir>/assets/<playbook>`, else the one carried in the program, which is
/// then written into the state folder with its roles. Files of the user are never written.
///
/// # Errors
/// The playbook is nowhere, or the carried one cannot be written.
pub async fn playbook(dir: &Path, state_dir: &Path, playbook: &Path) -> Result<PathBuf, Problem> {
    let [dir, state_dir, playbook] = [dir, state_dir, playbook].map(Path::to_owned);
    let placed = tokio::task::spawn_blocking(move || placed(&dir, &state_dir, &playbook)).await;
    placed.unwrap_or_else(|error| Err(problem(format!("cannot look for the playbook: {error}"), "see the log")))
}

fn placed(dir: &Path, state_dir: &Path, playbook: &Path) -> Result<PathBuf, Problem> {
    let places = [dir.join(playbook), dir.join("assets").join(playbook)];
    if let Some(path) = places.iter().find(|path| path.is_file()) {
        return Ok(path.clone());
    }
    let carried = EMBEDDED.iter().find(|(name, _)| playbook == Path::new(name));
    let Some((name, text)) = carried else {
        return Err(problem(
            format!("the playbook `{}` does not exist", places[0].display()),
            "put it there, or set `playbook` in [ansible] of config.toml",
        ));
    };
    let folder = state_dir.join(CARRIED_DIR);
    let path = folder.join(name);
    let own = (path.clone(), text.as_bytes());
    let roles = config::roles().map(|(path, content)| (folder.join(path), content));
    for (path, content) in std::iter::once(own).chain(roles) {
        let made = fs::create_dir_all(path.parent().unwrap_or(&folder));
        let written = made.and_then(|()| atomic::write(&path, content, 0o600, Durability::Rebuilt));
        written.map_err(|error| {
            problem(format!("cannot write `{}`: {error}", path.display()), "make the state folder writable")
        })?;
    }
    Ok(path)
}

/// Things that will not stop a run but surprise the user.
#[must_use]
pub fn cautions(dir: &Path) -> Vec<Problem> {
    let is_open = fs::metadata(dir).is_ok_and(|meta| meta.permissions().mode() & 0o002 != 0);
    if is_open && dir.join("ansible.cfg").exists() {
        let what = format!("Ansible ignores `{}/ansible.cfg`: everybody may write to the folder", dir.display());
        return vec![problem(what, "take that right away with `chmod o-w`")];
    }
    Vec::new()
}

fn problem(what: String, hint: &str) -> Problem {
    Problem { what, hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("ansible-playbook [core 2.14.18]", Some(((2, 14), "2.14.18")))]
    #[case("ansible-playbook [core 2.21.0rc1] ", Some(((2, 21), "2.21.0rc1")))]
    #[case("ansible-playbook 2.9.6", None)]
    #[case("ansible-playbook [core x]", None)]
    #[case("", None)]
    fn versions(#[case] line: &str, #[case] expected: Option<((u32, u32), &str)>) {
        assert_eq!(parse_version(line), expected.map(|(pair, text)| (pair, text.to_owned())));
    }

    fn script(dir: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = dir.join(name);
        atomic::write(&path, text.as_bytes(), mode, Durability::Rebuilt).unwrap();
        path
    }

    #[rstest]
    #[case::good("#!/bin/sh\necho 'ansible-playbook [core 2.17.1]'\necho more\n", 0o755, Ok("2.17.1"))]
    #[case::old("#!/bin/sh\necho 'ansible-playbook [core 2.13.9]'\n", 0o755, Err("too old"))]
    #[case::broken("#!/bin/sh\necho 'no module named ansible' >&2; exit 1\n", 0o755, Err("no module named ansible"))]
    #[case::no_interpreter("#!/nonexistent/python\n", 0o755, Err("cannot run"))]
    #[case::not_executable("#!/bin/sh\n", 0o644, Err("not an executable file"))]
    #[tokio::test]
    async fn a_configured_command_is_examined(
        #[case] text: &str,
        #[case] mode: u32,
        #[case] expected: Result<&str, &str>,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = script(dir.path(), "ansible-playbook", text, mode);
        match (find(Some(&path)).await, expected) {
            (Ok(found), Ok(version)) => assert_eq!(found, Found { path, version: version.to_owned() }),
            (Err(problem), Err(words)) => {
                assert!(problem.what.contains(words) && !problem.hint.is_empty(), "{problem:?}");
            }
            (got, expected) => panic!("{got:?} is not {expected:?}"),
        }
    }

    #[test]
    fn the_path_is_searched_in_order_and_absence_explained() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        script(first.path(), PROGRAM, "", 0o644);
        let path = std::env::join_paths([Path::new("."), first.path(), second.path()]).unwrap();
        let missing = in_path(&path).unwrap_err();
        assert!(missing.hint.contains("apt install ansible-core") && missing.hint.contains("pip"), "{missing:?}");
        let good = script(second.path(), PROGRAM, "", 0o755);
        assert_eq!(in_path(&path), Ok(good));
    }

    #[test]
    fn the_users_playbook_goes_before_ours() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join(".prox-orchestrator");
        fs::create_dir(&state).unwrap();
        let name = Path::new("setup-cluster.yml");
        let carried = placed(dir.path(), &state, name).unwrap();
        assert_eq!(carried, state.join("playbook").join(name));
        assert!(state.join("playbook/roles/proxmox_cluster/tasks/main.yml").is_file());
        assert_eq!(fs::read_to_string(&carried).unwrap(), EMBEDDED[0].1);
        let assets = dir.path().join("assets");
        fs::create_dir(&assets).unwrap();
        let theirs = script(&assets, "setup-cluster.yml", "mine", 0o644);
        assert_eq!(placed(dir.path(), &state, name), Ok(theirs));
        let nearer = script(dir.path(), "setup-cluster.yml", "mine too", 0o644);
        assert_eq!(placed(dir.path(), &state, name), Ok(nearer.clone()));
        assert_eq!(fs::read_to_string(nearer).unwrap(), "mine too");
        assert!(placed(dir.path(), &state, Path::new("other.yml")).unwrap_err().what.contains("other.yml"));
    }

    #[test]
    fn an_open_project_folder_is_worth_a_word() {
        let dir = tempfile::tempdir().unwrap();
        script(dir.path(), "ansible.cfg", "", 0o644);
        assert_eq!(cautions(dir.path()), []);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(cautions(dir.path()).len(), 1);
    }
}
