//! The files of the project folder beside `config.toml`: read here, understood elsewhere.

use std::fs;
use std::io;
use std::path::Path;

use super::problem::{Problem, Problems, Source};
use super::{ConfigErrors, read};
use crate::domain::Fqdn;

/// The folder with profiles, in the project folder.
pub const PROFILES_FOLDER: &str = "profiles";
/// The override of one node, in its folder under `nodes/`.
pub const OVERRIDE_FILE: &str = "override.toml";

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

/// Reads `profiles/*.toml`, sorted by name. Hidden files, such as an editor's, are not looked at.
///
/// # Errors
/// Every file that cannot be read as text, or the folder.
pub fn load_profiles(dir: &Path) -> Result<Vec<Named>, ConfigErrors> {
    let folder = dir.join(PROFILES_FOLDER);
    let whole =
        |message: String| ConfigErrors([Problem::whole(&folder.display().to_string(), message)].into_iter().collect());
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
    collect(names.into_iter().map(|name| {
        let file = format!("{PROFILES_FOLDER}/{name}.toml");
        load(&folder.join(format!("{name}.toml")), name, file)
    }))
}

/// Reads the override of one node; `None` where it has none.
///
/// # Errors
/// It is there, and cannot be read as text.
pub fn load_override(dir: &Path, node: &Fqdn) -> Result<Option<Named>, ConfigErrors> {
    let file = format!("nodes/{node}/{OVERRIDE_FILE}");
    load(&dir.join(&file), node.to_string(), file).map_err(|problem| ConfigErrors([*problem].into_iter().collect()))
}

/// Reads the overrides of all nodes, sorted by name.
///
/// # Errors
/// Every file that cannot be read as text.
pub fn load_overrides(dir: &Path) -> Result<Vec<Named>, ConfigErrors> {
    // Folders that cannot be listed have no overrides; who writes them says why they cannot be used.
    let entries = fs::read_dir(dir.join("nodes")).into_iter().flatten().filter_map(Result::ok);
    // The inventory's name is a host name, too.
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut nodes: Vec<Fqdn> = folders.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    nodes.sort_unstable();
    collect(nodes.into_iter().map(|node| {
        let file = format!("nodes/{node}/{OVERRIDE_FILE}");
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
    match not_empty(&source) {
        Ok(()) => Ok(source),
        Err(problem) => Err(ConfigErrors([*problem].into_iter().collect())),
    }
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
