//! The files on disk: written whole or not at all, and never over one of the user's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Scaffold;
use crate::config::{self, BASE_ANSWER_FILE, CONFIG_FILE, PLAYBOOK, PLAYBOOK_FILE, ROLES_DIR};
use crate::store::atomic::{self, Durability};

/// Copies kept of one file.
const MAX_COPIES: usize = 1000;

/// Why the files were not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There are some already.
    #[error(
        "{} in `{}` already; edit what is there, name another folder with `-C DIR`, or write anew with `--force`, \
         which keeps the old as `.orig`",
        exist(names), dir.display()
    )]
    Exists {
        /// The folder.
        dir: PathBuf,
        /// Their names.
        names: Vec<&'static str>,
    },
    /// The system said no.
    #[error("cannot write `{}`", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn exist(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("{} {}", quoted.join(" and "), if names.len() == 1 { "is" } else { "are" })
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was written; where there was one before, that is now called so.
    Written {
        /// The old one's new name.
        kept_as: Option<PathBuf>,
    },
    /// It was there and stays: a playbook is no configuration to start over with.
    Left,
}

/// Refuses where a configuration is there. A playbook alone is in nobody's way.
///
/// # Errors
/// [`WriteError::Exists`].
pub fn must_be_free(dir: &Path) -> Result<(), WriteError> {
    // A link that leads nowhere is there too.
    let is_there = |name: &&str| dir.join(name).symlink_metadata().is_ok();
    let names: Vec<_> = [CONFIG_FILE, BASE_ANSWER_FILE].into_iter().filter(is_there).collect();
    if names.is_empty() { Ok(()) } else { Err(WriteError::Exists { dir: dir.to_owned(), names }) }
}

/// Writes the files into `dir`, which is made where it is missing. With `force` those that are there are renamed first.
/// Returns what became of each.
///
/// # Errors
/// See [`WriteError`]. What is there is then as it was, or has its copy.
pub fn write(dir: &Path, scaffold: &Scaffold, force: bool) -> Result<Vec<(&'static str, Outcome)>, WriteError> {
    if !force {
        must_be_free(dir)?;
    }
    fs::create_dir_all(dir).map_err(|source| WriteError::Io { path: dir.to_owned(), source })?;
    // The hash of a password is for nobody else's eyes.
    let files = [(CONFIG_FILE, &*scaffold.config, 0o644), (BASE_ANSWER_FILE, &*scaffold.base_answer, 0o600)];
    let mut outcomes = Vec::new();
    for (name, text, mode) in files {
        outcomes.push((name, put(&dir.join(name), text, mode)?));
    }
    let playbook = dir.join(PLAYBOOK_FILE);
    let outcome = if playbook.symlink_metadata().is_ok() { Outcome::Left } else { put(&playbook, PLAYBOOK, 0o644)? };
    // A playbook of the user's own brings its roles itself.
    let roles = if outcome == Outcome::Left { Outcome::Left } else { put_roles(dir)? };
    outcomes.extend([(PLAYBOOK_FILE, outcome), (ROLES_DIR, roles)]);
    Ok(outcomes)
}

/// Writes the roles' files that are not there.
fn put_roles(dir: &Path) -> Result<Outcome, WriteError> {
    let mut outcome = Outcome::Left;
    for (path, content) in config::roles() {
        let path = dir.join(path);
        if path.symlink_metadata().is_ok() {
            continue;
        }
        let folder = path.parent().unwrap_or(dir);
        let written =
            fs::create_dir_all(folder).and_then(|()| atomic::write(&path, content, 0o644, Durability::Rebuilt));
        written.map_err(|source| WriteError::Io { path, source })?;
        outcome = Outcome::Written { kept_as: None };
    }
    Ok(outcome)
}

fn put(path: &Path, text: &str, mode: u32) -> Result<Outcome, WriteError> {
    let error = |source| WriteError::Io { path: path.to_owned(), source };
    let kept_as = keep(path).map_err(error)?;
    atomic::write(path, text.as_bytes(), mode, Durability::Synced).map_err(error)?;
    Ok(Outcome::Written { kept_as })
}

/// Gives the file at `path`, if any, a second name that is free.
fn keep(path: &Path) -> io::Result<Option<PathBuf>> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    for number in 0..MAX_COPIES {
        let suffix = if number == 0 { String::new() } else { format!(".{number}") };
        let copy = path.with_file_name(format!("{name}.orig{suffix}"));
        // A second name, not a new one: at no moment is there no file. It fails where the name is taken.
        match fs::hard_link(path, &copy) {
            Ok(()) => return Ok(Some(copy)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) if copy.symlink_metadata().is_err() => {
                fs::rename(path, &copy)?;
                return Ok(Some(copy));
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("there are {MAX_COPIES} copies of it; remove some")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::Choices;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn nothing_is_written_over() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("rack/one");
        let scaffold = Choices::default().scaffold().unwrap();
        let written = Outcome::Written { kept_as: None };
        let expected = [CONFIG_FILE, BASE_ANSWER_FILE, PLAYBOOK_FILE, ROLES_DIR].map(|name| (name, written.clone()));
        assert_eq!(write(&dir, &scaffold, false).unwrap(), expected);
        let mode = fs::metadata(dir.join(BASE_ANSWER_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let role = dir.join("roles/proxmox_cluster/tasks/main.yml");
        assert!(role.is_file());
        let theirs = dir.join("roles/proxmox_names/tasks/main.yml");
        fs::write(&theirs, "# mine").unwrap();
        fs::remove_file(&role).unwrap();
        fs::remove_file(dir.join(PLAYBOOK_FILE)).unwrap();
        assert_eq!(write(&dir, &scaffold, true).unwrap()[3].1, written, "what was missing");
        assert_eq!((role.is_file(), fs::read_to_string(&theirs).unwrap()), (true, "# mine".to_owned()));
        for name in [CONFIG_FILE, BASE_ANSWER_FILE] {
            fs::remove_file(dir.join(format!("{name}.orig"))).unwrap();
        }

        let error = write(&dir, &scaffold, false).unwrap_err().to_string();
        assert!(error.starts_with("`config.toml` and `default.toml` are in `"), "{error}");
        assert!(error.contains("--force") && !error.contains("setup-cluster"), "{error}");
        for name in ["config.toml.orig", "config.toml.orig.1"] {
            let mine = format!("# before {name}\n");
            fs::write(dir.join(CONFIG_FILE), &mine).unwrap();
            let outcomes = write(&dir, &scaffold, true).unwrap();
            assert_eq!(outcomes[0].1, Outcome::Written { kept_as: Some(dir.join(name)) });
            assert_eq!((&outcomes[2].1, &outcomes[3].1), (&Outcome::Left, &Outcome::Left));
            assert_eq!(fs::read_to_string(dir.join(name)).unwrap(), mine);
            assert_eq!(fs::read_to_string(dir.join(CONFIG_FILE)).unwrap(), scaffold.config);
        }
    }

    #[test]
    fn one_file_in_the_way_is_enough() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join(BASE_ANSWER_FILE)).unwrap();
        let scaffold = Choices::default().scaffold().unwrap();
        let error = write(dir.path(), &scaffold, false).unwrap_err().to_string();
        assert!(error.starts_with("`default.toml` is in `"), "{error}");
        assert!(!dir.path().join(CONFIG_FILE).exists(), "all or nothing");
    }
}
