//! The files of the project folder beside `config.toml`: read here, understood elsewhere.

use std::fs;
use std::io;
use std::path::Path;

use super::problem::{Problem, Problems, Source};
use super::{ConfigErrors, read};
use crate::domain::Fqdn;
use crate::domain::layout::NODES;

pub use crate::domain::layout::{OVERRIDE_FILE, PROFILES_FOLDER};

/// Profiles that are read at most.
const MOST_PROFILES: usize = 10_000;

/// A file with the name that its content goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The file's name without `.toml`; for an override the node's.
    pub name: String,
    /// What it is called from the project folder: `profiles/storage.toml`.
    pub file: String,
    /// Its text.
    pub source: Source,
}

/// What the file of a profile is called from the project folder.
#[must_use]
pub fn profile_file(name: &str) -> String {
    format!("{PROFILES_FOLDER}/{name}.toml")
}

/// The names of the profiles there are files of, sorted. Hidden files, such as an editor's, are not looked at.
///
/// # Errors
/// The folder cannot be read, or holds too many.
pub fn profile_names(dir: &Path) -> Result<Vec<String>, ConfigErrors> {
    let folder = dir.join(PROFILES_FOLDER);
    let whole = |message: String| ConfigErrors::from(Problem::whole(&folder.display().to_string(), message));
    let mut names = Vec::new();
    match fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries {
                let name = entry.map_err(|error| whole(format!("the folder cannot be read: {error}")))?.file_name();
                let stem =
                    name.to_str().and_then(|name| name.strip_suffix(".toml")).filter(|stem| !stem.starts_with('.'));
                names.extend(stem.map(str::to_owned));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(whole(format!("the folder cannot be read: {error}"))),
    }
    if names.len() > MOST_PROFILES {
        return Err(whole(format!("the folder holds {} profiles, {MOST_PROFILES} at most", names.len())));
    }
    names.sort_unstable();
    Ok(names)
}

/// Reads `profiles/*.toml`, sorted by name.
///
/// # Errors
/// Every file that cannot be read as text, or the folder.
pub fn load_profiles(dir: &Path) -> Result<Vec<Named>, ConfigErrors> {
    let names = profile_names(dir)?;
    collect(names.into_iter().map(|name| {
        let file = profile_file(&name);
        load(&dir.join(&file), name, file)
    }))
}

/// What the override of a node is called from the project folder.
#[must_use]
pub fn override_file(node: &Fqdn) -> String {
    format!("{NODES}/{node}/{OVERRIDE_FILE}")
}

/// Reads the override of one node; `None` where it has none.
///
/// # Errors
/// It is there, and cannot be read as text.
pub fn load_override(dir: &Path, node: &Fqdn) -> Result<Option<Named>, ConfigErrors> {
    let file = override_file(node);
    Ok(load(&dir.join(&file), node.to_string(), file)?)
}

/// The nodes that have a folder, in which there may be an override, sorted.
#[must_use]
pub fn node_folders(dir: &Path) -> Vec<Fqdn> {
    // Folders that cannot be listed have no overrides; who writes them says why they cannot be used.
    let entries = fs::read_dir(dir.join(NODES)).into_iter().flatten().filter_map(Result::ok);
    // The inventory's name is a host name, too.
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut nodes: Vec<Fqdn> = folders.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    nodes.sort_unstable();
    nodes
}

/// Reads the overrides of all nodes, sorted by name.
///
/// # Errors
/// Every file that cannot be read as text.
pub fn load_overrides(dir: &Path) -> Result<Vec<Named>, ConfigErrors> {
    collect(node_folders(dir).into_iter().map(|node| {
        let file = override_file(&node);
        load(&dir.join(&file), node.to_string(), file)
    }))
}

fn load(path: &Path, name: String, file: String) -> Result<Option<Named>, Box<Problem>> {
    let Some(source) = read(path)? else { return Ok(None) };
    not_empty(&source)?;
    Ok(Some(Named { name, file, source }))
}

/// A profile or an override without a word in it is being written, or was lost: it is no wish for `default.toml`.
fn not_empty(source: &Source) -> Result<(), Box<Problem>> {
    if !source.text.trim().is_empty() {
        return Ok(());
    }
    let hint = "write into it what is different, or remove it";
    Err(Box::new(Problem::whole(&source.name, "the file is empty").hint(hint)))
}

/// Reads a profile or an override by its path.
///
/// # Errors
/// It is not there, is empty, or cannot be read as text.
pub fn load_layer(path: &Path) -> Result<Source, ConfigErrors> {
    let source = super::load_text(path)?;
    not_empty(&source)?;
    Ok(source)
}

/// All files that are there, or everything that is wrong.
fn collect(files: impl Iterator<Item = Result<Option<Named>, Box<Problem>>>) -> Result<Vec<Named>, ConfigErrors> {
    let (mut found, mut problems) = (Vec::new(), Problems::default());
    for file in files {
        match file {
            Ok(named) => found.extend(named),
            Err(problem) => problems.add(|| *problem),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(ConfigErrors(problems)) }
}
