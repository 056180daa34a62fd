//! How the console runs: `config.toml`, the environment and the command line, resolved into one typed [`Config`].
//!
//! [`load`], [`load_base_answer`], [`load_text`] and those of `folder` are the only functions here that touch a disk, and
//! they only read. Everything that
//! is wrong is reported at once, with line, caret and hint (`problem`). Nothing here acts on a setting, and nothing here
//! knows what `default.toml` means: that is `answer`'s business.

mod file;
mod folder;
mod key;
mod layer;
mod model;
mod playbook;
pub mod problem;
mod url;
mod validate;
mod value;

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

pub use folder::{
    Named, OVERRIDE_FILE, PROFILES_FOLDER, load_layer, load_override, load_overrides, load_profiles, node_folders,
    override_file, profile_file, profile_names,
};
pub use key::Key;
pub use layer::{CliLayer, EnvLayer, Layer, Origins};
pub use model::{
    Ansible, Approval, Config, Console, Install, Limits, Log, LogLevel, Naming, Network, NicSource, Server,
};
pub use playbook::{PLAYBOOK, PLAYBOOK_FILE, ROLES_DIR, roles};
pub use problem::{Place, Problem, Problems, Severity, Source};
pub use url::{PublicUrl, PublicUrlError};

use file::FileLayer;
use layer::Layers;

/// The file that says how the console runs, in its folder.
pub const CONFIG_FILE: &str = "config.toml";
/// The base answer every machine starts from, in the same folder.
pub const BASE_ANSWER_FILE: &str = "default.toml";
/// The base answer used where the folder has none: the `default.toml` the program is shipped with.
pub const BASE_ANSWER: &str = include_str!("../../default.toml");
/// The commented `config.toml` the program is shipped with; its values are the built-in defaults.
pub const CONFIG_TEMPLATE: &str = include_str!("../../config.toml");

/// Largest file that is read, in bytes: a person's file is a thousand times smaller.
const MAX_BYTES: u64 = 1024 * 1024;

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Where each came from.
    pub origins: Origins,
    /// What looks wrong all the same.
    pub warnings: Problems,
}

/// Everything that keeps the configuration from being used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigErrors(pub Problems);

/// One problem as all there is.
impl From<Problem> for ConfigErrors {
    fn from(problem: Problem) -> Self {
        Self([problem].into_iter().collect())
    }
}

impl From<Box<Problem>> for ConfigErrors {
    fn from(problem: Box<Problem>) -> Self {
        Self::from(*problem)
    }
}

/// Reads `config.toml` in `dir` (a missing one counts as empty) and lays the other layers over it.
///
/// # Errors
/// Every problem of every layer, also of values that a higher layer hides.
pub fn load(dir: &Path, cli: &CliLayer, env: &EnvLayer) -> Result<Loaded, ConfigErrors> {
    let mut problems = Problems::default();
    let source = match read(&dir.join(CONFIG_FILE)) {
        Ok(source) => source.unwrap_or_default(),
        Err(problem) => {
            problems.add(|| *problem);
            Source::default()
        }
    };
    resolve(source, cli, env, problems)
}

/// Reads a text as `config.toml`, with nothing laid over it.
///
/// # Errors
/// Every problem.
pub fn parse(source: Source) -> Result<Loaded, ConfigErrors> {
    resolve(source, &CliLayer::default(), &EnvLayer::default(), Problems::default())
}

/// Reads `default.toml` in `dir`; where there is none, the one the program is shipped with.
///
/// # Errors
/// The file is there but cannot be read as text.
pub fn load_base_answer(dir: &Path) -> Result<Source, ConfigErrors> {
    let read = read(&dir.join(BASE_ANSWER_FILE))?;
    let built_in = || Source { name: format!("built-in {BASE_ANSWER_FILE}"), text: BASE_ANSWER.to_owned() };
    Ok(read.unwrap_or_else(built_in))
}

/// Reads one file of the user's by its path.
///
/// # Errors
/// It is not there, or cannot be read as text.
pub fn load_text(path: &Path) -> Result<Source, ConfigErrors> {
    let problem = match read(path) {
        Ok(Some(source)) => return Ok(source),
        Ok(None) => Problem::whole(&path.display().to_string(), "there is no such file"),
        Err(problem) => *problem,
    };
    Err(problem.into())
}

/// Reads a file of the user's that may be longer than those a person writes; `None` where there is none.
///
/// # Errors
/// It is there and cannot be read as text, or is longer than `most` bytes.
pub fn load_long_text(path: &Path, most: u64) -> Result<Option<Source>, ConfigErrors> {
    Ok(read_up_to(path, most)?)
}

/// Lays the layers over each other and judges the outcome; `problems` are those met on the way here.
fn resolve(source: Source, cli: &CliLayer, env: &EnvLayer, mut problems: Problems) -> Result<Loaded, ConfigErrors> {
    let file = FileLayer::parse(source, &mut problems);
    let mut layers = Layers::new(cli, env, &file, problems);
    let config = layers.resolve();
    validate::check(&config, &mut layers);
    let Layers { origins, mut problems, mut warnings, .. } = layers;
    if problems.is_empty() {
        warnings.sort();
        return Ok(Loaded { config, origins, warnings });
    }
    problems.sort();
    Err(ConfigErrors(problems))
}

/// The text of a file of the user's; `None` where there is none.
fn read(path: &Path) -> Result<Option<Source>, Box<Problem>> {
    read_up_to(path, MAX_BYTES)
}

fn read_up_to(path: &Path, most: u64) -> Result<Option<Source>, Box<Problem>> {
    let name = path.display().to_string();
    let problem = |message: &str, hint: &str| Box::new(Problem::whole(&name, message).hint(hint));
    let unreadable = |error: &io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => "the user who runs the console must be allowed to read it",
            _ => "see that the file and its folder are in order",
        };
        problem(&format!("the file cannot be read: {error}"), hint)
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        // A link that leads nowhere was meant to lead somewhere.
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(&error)),
    };
    if metadata.is_dir() {
        return Err(problem(
            "a folder stands in the place of the file",
            "move it away, or name another folder with `-C`",
        ));
    }
    // Opening a named pipe would wait for ever.
    if !metadata.is_file() {
        return Err(problem("not a regular file", "put a text file in its place"));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| unreadable(&error))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > most {
        return Err(problem(
            &format!("the file is larger than {} MiB", most / (1024 * 1024)),
            "this cannot be the right file; start from the shipped one",
        ));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(Source { name, text })),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes());
            let problem = Problem::at(&name, &text, at..at + 1, "the file is not UTF-8 text");
            Err(Box::new(problem.hint("save it as UTF-8; in comments, too, only UTF-8 is allowed")))
        }
    }
}

#[cfg(test)]
mod tests;
