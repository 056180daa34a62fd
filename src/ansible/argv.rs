//! The command line and environment of a run: the recipe of ANSIBLE.md §0. Pure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::run_dir::EXTRA_VARS;
use super::user_config::UserConfig;
use crate::domain::RunOptions;
use crate::domain::options::shell_word;

/// The inventory, relative to the project folder.
pub(crate) const INVENTORY: &str = "nodes/dynamic-inventory.json";
/// Tells the callback plugin where to write; its value is also how processes of a run are recognised.
pub(crate) const EVENTS_VARIABLE: &str = "PROX_EVENTS";
/// What Ansible itself takes where the user configures no `ssh_args`.
const DEFAULT_SSH_ARGS: &str = "-C -o ControlMaster=auto -o ControlPersist=60s";
/// Most hosts worked on at once where nobody says otherwise: 10 to 15 MiB each (ANSIBLE.md §6).
const MAX_DEFAULT_FORKS: usize = 25;

/// Everything needed to start `ansible-playbook` again exactly as it was started; kept as `argv.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invocation {
    /// Absolute path of `ansible-playbook`.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Variables set on top of the inherited environment; holds no secret.
    pub(crate) env: BTreeMap<String, String>,
    /// The project folder.
    pub(crate) cwd: PathBuf,
    /// Short folder of this run's SSH control sockets and callback plugin; removed at the end.
    pub(crate) control_dir: PathBuf,
}

impl Invocation {
    /// As a line for a shell in the project folder. What the program sets in the environment is not in it.
    pub(crate) fn shell_line(&self) -> String {
        let program = self.program.to_string_lossy();
        let words = std::iter::once(&*program).chain(self.args.iter().map(String::as_str));
        words.map(shell_word).collect::<Vec<_>>().join(" ")
    }
}

/// What the recipe is made from.
#[derive(Clone, Debug)]
pub(crate) struct Recipe<'a> {
    /// Absolute path of `ansible-playbook`.
    pub(crate) program: &'a Path,
    /// The project folder, absolute.
    pub(crate) dir: &'a Path,
    /// The run's folder relative to the project folder: `nodes/runs/r1`.
    pub(crate) run: &'a Path,
    /// The playbook, absolute or relative to the project folder.
    pub(crate) playbook: &'a Path,
    /// How many hosts the run is limited to.
    pub(crate) hosts: usize,
    /// Hosts at once, where configured.
    pub(crate) forks: Option<u16>,
    /// Login name where the inventory names none.
    pub(crate) user: &'a str,
    /// SSH port where the inventory names none.
    pub(crate) ssh_port: u16,
    /// Private key to log in with.
    pub(crate) private_key: Option<&'a Path>,
    /// What was chosen for the run.
    pub(crate) options: &'a RunOptions,
    /// See [`Invocation::control_dir`].
    pub(crate) control_dir: &'a Path,
    /// What the user's own Ansible configuration says.
    pub(crate) user_config: &'a UserConfig,
}

/// Why there is no recipe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgvError {
    /// An empty selection: Ansible would take `--limit ''` for every host (ANSIBLE.md §1).
    #[error("no node is selected; mark at least one node that is ready")]
    NoHosts,
    /// A path that SSH or Ansible would read as something else.
    #[error(
        "the path `{0}` has a character that ssh or Ansible reads specially; move the project to a folder with a plain name"
    )]
    OddPath(String),
}

/// Makes the recipe.
pub(crate) fn plan(recipe: &Recipe<'_>) -> Result<Invocation, ArgvError> {
    if recipe.hosts == 0 {
        return Err(ArgvError::NoHosts);
    }
    let limit = format!("@{}", plain(&recipe.run.join("limit.txt"))?);
    let mut args = vec!["-i".to_owned(), INVENTORY.to_owned()];
    args.extend(["--limit".to_owned(), limit, "--user".to_owned(), recipe.user.to_owned()]);
    if let Some(key) = recipe.private_key {
        args.extend(["--private-key".to_owned(), plain(key)?]);
    }
    if let Some(forks) = forks(recipe) {
        args.extend(["-f".to_owned(), forks.to_string()]);
    }
    args.extend(recipe.options.arguments());
    if !recipe.options.vars.is_empty() {
        args.extend(["-e".to_owned(), format!("@{}", plain(&recipe.run.join(EXTRA_VARS))?)]);
    }
    // Last, behind `--`: a playbook whose name starts with a hyphen is not an option.
    args.extend(["--".to_owned(), plain(recipe.playbook)?]);
    Ok(Invocation {
        program: recipe.program.to_owned(),
        args,
        env: environment(recipe)?,
        cwd: recipe.dir.to_owned(),
        control_dir: recipe.control_dir.to_owned(),
    })
}

fn forks(recipe: &Recipe<'_>) -> Option<usize> {
    let configured = recipe.forks.map(usize::from).filter(|forks| *forks > 0);
    let default = || (!recipe.user_config.has_forks).then(|| recipe.hosts.min(MAX_DEFAULT_FORKS));
    configured.or_else(default)
}

fn environment(recipe: &Recipe<'_>) -> Result<BTreeMap<String, String>, ArgvError> {
    let control_dir = plain(recipe.control_dir)?;
    let plugins = std::iter::once(control_dir.clone()).chain(recipe.user_config.callback_plugins.iter().cloned());
    let events = recipe.dir.join(recipe.run).join("events.jsonl");
    let variables = [
        ("LC_ALL", "C.UTF-8".to_owned()),
        ("PYTHONUNBUFFERED", "1".to_owned()),
        ("ANSIBLE_FORCE_COLOR", "1".to_owned()),
        ("ANSIBLE_INVENTORY_ENABLED", "yaml".to_owned()),
        ("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "True".to_owned()),
        ("ANSIBLE_HOST_KEY_CHECKING", "True".to_owned()),
        ("ANSIBLE_RETRY_FILES_ENABLED", "False".to_owned()),
        ("ANSIBLE_REMOTE_PORT", recipe.ssh_port.to_string()),
        ("ANSIBLE_CALLBACK_PLUGINS", plugins.collect::<Vec<_>>().join(":")),
        ("ANSIBLE_SSH_CONTROL_PATH_DIR", control_dir),
        // Empty means "a hash in the folder above", also where the user's ansible.cfg names another path.
        ("ANSIBLE_SSH_CONTROL_PATH", String::new()),
        ("ANSIBLE_SSH_ARGS", ssh_args(recipe)?),
        (EVENTS_VARIABLE, events.to_str().ok_or_else(|| odd(&events))?.to_owned()),
    ];
    Ok(variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Ours first, because ssh takes the first value of an option (ANSIBLE.md §5, traps 2 to 4).
fn ssh_args(recipe: &Recipe<'_>) -> Result<String, ArgvError> {
    let known_hosts = plain(&recipe.dir.join(recipe.run).join("known_hosts"))?;
    let mut args = format!(
        "-o 'UserKnownHostsFile=\"{known_hosts}\"' -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes \
         -o BatchMode=yes"
    );
    if recipe.private_key.is_some() {
        // An agent full of other keys would use up the server's attempts before ours is tried.
        args.push_str(" -o IdentitiesOnly=yes");
    }
    let theirs = recipe.user_config.ssh_args.as_deref().unwrap_or(DEFAULT_SSH_ARGS);
    if theirs.to_ascii_lowercase().contains("controlpath") {
        // A control socket outside this run's folder would skip the host key check (trap 1).
        args.push_str(" -o ControlPath=");
        args.push_str(&plain(recipe.control_dir)?);
        args.push_str("/%C");
    }
    Ok(format!("{args} {theirs}"))
}

/// A path as text, if neither ssh (`%h`, `${X}`, quotes), Ansible (`{{`) nor the path lists (`:`) see more in it.
fn plain(path: &Path) -> Result<String, ArgvError> {
    let text = path.to_str().ok_or_else(|| odd(path))?;
    if text.chars().any(|c| c.is_control() || "\"'\\%${}:".contains(c)) { Err(odd(path)) } else { Ok(text.to_owned()) }
}

fn odd(path: &Path) -> ArgvError {
    ArgvError::OddPath(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    static PLAIN: std::sync::LazyLock<RunOptions> = std::sync::LazyLock::new(RunOptions::default);

    fn recipe(config: &UserConfig) -> Recipe<'_> {
        Recipe {
            program: Path::new("/usr/bin/ansible-playbook"),
            dir: Path::new("/srv/my rack"),
            run: Path::new("nodes/runs/r7"),
            playbook: Path::new("setup-cluster.yml"),
            hosts: 3,
            forks: None,
            user: "root",
            ssh_port: 22,
            private_key: None,
            options: &PLAIN,
            control_dir: Path::new("/tmp/pxo.abc"),
            user_config: config,
        }
    }

    #[test]
    fn the_recipe_is_that_of_the_measurements() {
        let config = UserConfig::default();
        let plan = plan(&recipe(&config)).unwrap();
        let expected =
            "-i nodes/dynamic-inventory.json --limit @nodes/runs/r7/limit.txt --user root -f 3 -- setup-cluster.yml";
        assert_eq!(plan.args.join(" "), expected);
        assert_eq!(plan.cwd, Path::new("/srv/my rack"));
        assert_eq!(plan.env["PROX_EVENTS"], "/srv/my rack/nodes/runs/r7/events.jsonl");
        assert_eq!(plan.env["ANSIBLE_CALLBACK_PLUGINS"], "/tmp/pxo.abc");
        assert_eq!(plan.env["ANSIBLE_INVENTORY_ENABLED"], "yaml");
        assert_eq!(
            plan.env["ANSIBLE_SSH_ARGS"],
            "-o 'UserKnownHostsFile=\"/srv/my rack/nodes/runs/r7/known_hosts\"' -o GlobalKnownHostsFile=/dev/null \
             -o StrictHostKeyChecking=yes -o BatchMode=yes -C -o ControlMaster=auto -o ControlPersist=60s"
        );
    }

    #[test]
    fn the_users_own_settings_are_kept_behind_ours() {
        let config = UserConfig {
            callback_plugins: vec!["/home/op/cb".to_owned()],
            ssh_args: Some("-o ControlPath=/tmp/mine -o ProxyJump=gate".to_owned()),
            has_forks: true,
        };
        let mut recipe = recipe(&config);
        recipe.private_key = Some(Path::new("/srv/key"));
        let plan = plan(&recipe).unwrap();
        assert!(!plan.args.contains(&"-f".to_owned()));
        assert_eq!(plan.env["ANSIBLE_CALLBACK_PLUGINS"], "/tmp/pxo.abc:/home/op/cb");
        let ssh = &plan.env["ANSIBLE_SSH_ARGS"];
        let ours = ssh.find("ControlPath=/tmp/pxo.abc/%C").unwrap();
        assert!(ours < ssh.find("ControlPath=/tmp/mine").unwrap(), "ssh takes the first");
        assert!(ssh.contains("IdentitiesOnly=yes") && ssh.ends_with("-o ProxyJump=gate"));
    }

    #[rstest]
    #[case(3, None, false, Some("3"))]
    #[case(500, None, false, Some("25"))]
    #[case(500, Some(50), false, Some("50"))]
    #[case(500, Some(50), true, Some("50"))]
    #[case(500, None, true, None)]
    #[case(2, Some(0), false, Some("2"))]
    fn forks_follow_the_configuration(
        #[case] hosts: usize,
        #[case] forks: Option<u16>,
        #[case] has_forks: bool,
        #[case] expected: Option<&str>,
    ) {
        let config = UserConfig { has_forks, ..UserConfig::default() };
        let plan = plan(&Recipe { hosts, forks, ..recipe(&config) }).unwrap();
        let given = plan.args.iter().position(|arg| arg == "-f").map(|at| plan.args[at + 1].as_str());
        assert_eq!(given, expected);
    }

    #[test]
    fn what_was_chosen_stands_before_the_playbook() {
        let config = UserConfig::default();
        let options = RunOptions {
            check: true,
            tags: vec!["cluster".to_owned(), "hosts".to_owned()],
            skip_tags: vec!["updates".to_owned()],
            vars: [("n".to_owned(), serde_json::json!("it's; rm -rf /"))].into(),
            verbosity: 2,
            start_at: Some("Join the others".to_owned()),
            ..RunOptions::default()
        };
        let plan = plan(&Recipe { options: &options, ..recipe(&config) }).unwrap();
        let line = plan.shell_line();
        let expected = "--check --diff --tags=cluster,hosts --skip-tags=updates '--start-at-task=Join the others' -vv -e \
                        @nodes/runs/r7/extra-vars.json -- setup-cluster.yml";
        assert!(line.ends_with(expected), "{line}");
        assert!(!line.contains("rm -rf"), "variables are data in a file");
    }

    #[test]
    fn an_empty_selection_is_refused() {
        let config = UserConfig::default();
        assert_eq!(plan(&Recipe { hosts: 0, ..recipe(&config) }), Err(ArgvError::NoHosts));
    }

    #[rstest]
    #[case("/srv/{{ x }}")]
    #[case("/srv/100%h")]
    #[case("/srv/$HOME")]
    #[case("/srv/a\"b")]
    #[case("/srv/a:b")]
    #[case("/srv/a\nb")]
    fn paths_with_a_second_meaning_are_refused(#[case] dir: &str) {
        let config = UserConfig::default();
        let result = plan(&Recipe { dir: Path::new(dir), ..recipe(&config) });
        assert_eq!(result, Err(ArgvError::OddPath(format!("{dir}/nodes/runs/r7/known_hosts"))));
    }
}
