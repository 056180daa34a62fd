//! The command line and environment of a run: the recipe of ANSIBLE.md §0. Pure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::job::Job;
use super::user_config::UserConfig;
use crate::domain::caller::{self, Caller};
use crate::domain::{Fqdn, RunOptions};

/// Tells the callback plugin where to write; its value is also how processes of a run are recognised.
pub(crate) const EVENTS_VARIABLE: &str = "PROX_EVENTS";
/// What Ansible itself takes where the user configures no `ssh_args`.
const DEFAULT_SSH_ARGS: &str = "-C -o ControlMaster=auto -o ControlPersist=60s";

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
        caller::shell_line(&self.program.to_string_lossy(), &self.args)
    }
}

/// What the recipe is made from.
#[derive(Clone, Debug)]
pub(crate) struct Recipe<'a> {
    /// How Ansible is called.
    pub(crate) caller: &'a Caller,
    /// The project folder, absolute.
    pub(crate) dir: &'a Path,
    /// The run's folder relative to the project folder: `nodes/runs/r1`.
    pub(crate) run: &'a Path,
    /// The hosts the run is limited to.
    pub(crate) hosts: &'a [&'a Fqdn],
    /// SSH port where the inventory names none.
    pub(crate) ssh_port: u16,
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

/// How `program` is called here, for every run. Pure.
pub(crate) fn caller(program: &Path, playbook: &Path, job: &Job, user_config: &UserConfig) -> Caller {
    let shown = |path: &Path| path.display().to_string();
    Caller {
        program: shown(program),
        playbook: shown(playbook),
        user: job.user.clone(),
        private_key: Some(shown(&job.private_key)),
        forks: job.forks,
        has_own_forks: user_config.has_forks,
    }
}

/// Makes the recipe.
pub(crate) fn plan(recipe: &Recipe<'_>) -> Result<Invocation, ArgvError> {
    if recipe.hosts.is_empty() {
        return Err(ArgvError::NoHosts);
    }
    let caller = recipe.caller;
    let paths = [Some(&caller.program), Some(&caller.playbook), caller.private_key.as_ref()];
    paths.into_iter().flatten().try_for_each(|path| plain(Path::new(path)).map(drop))?;
    let hosts: Vec<&str> = recipe.hosts.iter().map(|host| host.as_str()).collect();
    Ok(Invocation {
        program: PathBuf::from(&caller.program),
        args: caller.arguments(&plain(recipe.run)?, &hosts, recipe.options),
        env: environment(recipe)?,
        cwd: recipe.dir.to_owned(),
        control_dir: recipe.control_dir.to_owned(),
    })
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
    if recipe.caller.private_key.is_some() {
        // An agent full of other keys would use up the server's attempts before ours is tried.
        args.push_str(" -o IdentitiesOnly=yes");
    }
    // A control socket outside this run's folder would skip the host key check (trap 1): also one that the user's own
    // ~/.ssh/config names, where nothing in `ssh_args` makes Ansible name another.
    args.push_str(" -o ControlPath=");
    args.push_str(&plain(recipe.control_dir)?);
    args.push_str("/%C");
    let theirs = recipe.user_config.ssh_args.as_deref().unwrap_or(DEFAULT_SSH_ARGS);
    Ok(format!("{args} {theirs}"))
}

/// A path as text, if neither ssh (`%h`, `${X}`, quotes), Ansible (`{{`) nor the path lists (`:`) see more in it.
fn plain(path: &Path) -> Result<String, ArgvError> {
    let text = path.to_str().ok_or_else(|| odd(path))?;
    if text.chars().any(|c| c.is_control() || "\"'\\%${}:\u{fffd}".contains(c)) {
        Err(odd(path))
    } else {
        Ok(text.to_owned())
    }
}

fn odd(path: &Path) -> ArgvError {
    ArgvError::OddPath(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    static PLAIN: std::sync::LazyLock<RunOptions> = std::sync::LazyLock::new(RunOptions::default);
    static HOST: std::sync::LazyLock<Fqdn> = std::sync::LazyLock::new(|| "a.lab".parse().unwrap());

    fn called(private_key: Option<&Path>, user_config: &UserConfig) -> Caller {
        let program = Path::new("/usr/bin/ansible-playbook");
        let job = Job {
            dir: "/srv/my rack".into(),
            state_dir: "/srv/my rack/.prox-orchestrator".into(),
            playbook: "setup-cluster.yml".into(),
            command: None,
            forks: None,
            user: "root".to_owned(),
            private_key: private_key.unwrap_or(Path::new("")).to_owned(),
        };
        let private_key = private_key.map(|path| path.display().to_string());
        Caller { private_key, ..caller(program, Path::new("setup-cluster.yml"), &job, user_config) }
    }

    fn recipe<'a>(caller: &'a Caller, user_config: &'a UserConfig, hosts: &'a [&'a Fqdn]) -> Recipe<'a> {
        Recipe {
            caller,
            dir: Path::new("/srv/my rack"),
            run: Path::new("nodes/runs/r7"),
            hosts,
            ssh_port: 22,
            options: &PLAIN,
            control_dir: Path::new("/tmp/pxo.abc"),
            user_config,
        }
    }

    #[test]
    fn the_recipe_is_that_of_the_measurements() {
        let config = UserConfig::default();
        let caller = called(None, &config);
        let plan = plan(&recipe(&caller, &config, &[&*HOST; 6])).unwrap();
        let expected =
            "-i nodes/dynamic-inventory.json --limit @nodes/runs/r7/limit.txt --user root -f 6 -- setup-cluster.yml";
        assert_eq!(plan.args.join(" "), expected);
        assert_eq!(plan.cwd, Path::new("/srv/my rack"));
        assert_eq!(plan.env["PROX_EVENTS"], "/srv/my rack/nodes/runs/r7/events.jsonl");
        assert_eq!(plan.env["ANSIBLE_CALLBACK_PLUGINS"], "/tmp/pxo.abc");
        assert_eq!(plan.env["ANSIBLE_INVENTORY_ENABLED"], "yaml");
        assert_eq!(
            plan.env["ANSIBLE_SSH_ARGS"],
            "-o 'UserKnownHostsFile=\"/srv/my rack/nodes/runs/r7/known_hosts\"' -o GlobalKnownHostsFile=/dev/null \
             -o StrictHostKeyChecking=yes -o BatchMode=yes -o ControlPath=/tmp/pxo.abc/%C -C -o ControlMaster=auto \
             -o ControlPersist=60s"
        );
    }

    #[rstest]
    #[case("-o ControlPath=/tmp/mine -o ProxyJump=gate")]
    #[case::in_ssh_config("-o ProxyJump=gate")]
    fn the_users_own_settings_are_kept_behind_ours(#[case] theirs: &str) {
        let config = UserConfig {
            callback_plugins: vec!["/home/op/cb".to_owned()],
            ssh_args: Some(theirs.to_owned()),
            has_forks: true,
            has_vault: false,
        };
        let caller = called(Some(Path::new("/srv/key")), &config);
        let plan = plan(&recipe(&caller, &config, &[&*HOST])).unwrap();
        assert!(!plan.args.contains(&"-f".to_owned()));
        assert_eq!(plan.env["ANSIBLE_CALLBACK_PLUGINS"], "/tmp/pxo.abc:/home/op/cb");
        let ssh = &plan.env["ANSIBLE_SSH_ARGS"];
        let ours = ssh.find("ControlPath=/tmp/pxo.abc/%C").unwrap();
        assert!(ssh.find("ControlPath=/tmp/mine").is_none_or(|theirs| ours < theirs), "ssh takes the first");
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
        let caller = Caller { forks, ..called(None, &config) };
        let plan = plan(&recipe(&caller, &config, &vec![&*HOST; hosts])).unwrap();
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
        let caller = called(None, &config);
        let plan = plan(&Recipe { options: &options, ..recipe(&caller, &config, &[&*HOST]) }).unwrap();
        let line = plan.shell_line();
        assert_eq!(line, caller.line("nodes/runs/r7", &["a.lab"], &options), "what was shown before is what is run");
        let expected = "--check --diff --tags=cluster,hosts --skip-tags=updates '--start-at-task=Join the others' -vv -e \
                        @nodes/runs/r7/extra-vars.json -- setup-cluster.yml";
        assert!(line.ends_with(expected), "{line}");
        assert!(!line.contains("rm -rf"), "variables are data in a file");
    }

    #[test]
    fn an_empty_selection_is_refused() {
        let config = UserConfig::default();
        assert_eq!(plan(&recipe(&called(None, &config), &config, &[])), Err(ArgvError::NoHosts));
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
        let caller = called(None, &config);
        let result = plan(&Recipe { dir: Path::new(dir), ..recipe(&caller, &config, &[&*HOST]) });
        assert_eq!(result, Err(ArgvError::OddPath(format!("{dir}/nodes/runs/r7/known_hosts"))));
    }
}
