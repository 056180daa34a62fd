//! What the user's own Ansible configuration says where our environment would hide it (ANSIBLE.md §2 and §5 trap 3).

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::ask::ask;

/// `ansible-config` takes about half a second; a hanging plugin path must not hold up a run.
const PATIENCE: Duration = Duration::from_secs(20);

/// The settings that have to be repeated behind ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserConfig {
    /// Folders of the user's callback plugins, absolute.
    pub(crate) callback_plugins: Vec<String>,
    /// The user's `ssh_args`, where set.
    pub(crate) ssh_args: Option<String>,
    /// Whether the user set `forks`.
    pub(crate) has_forks: bool,
    /// Whether the user says where a vault's password comes from.
    pub(crate) has_vault: bool,
}

/// Asks the `ansible-config` beside `ansible-playbook`. Without an answer Ansible's defaults are assumed: losing the
/// user's callbacks must not cost the run.
pub(crate) async fn load(ansible_playbook: &Path, dir: &Path) -> UserConfig {
    let program = ansible_playbook.with_file_name("ansible-config");
    let mut command = tokio::process::Command::new(&program);
    command.args(["dump", "-t", "all", "--only-changed", "--format", "json"]);
    command.current_dir(dir).env("LC_ALL", "C.UTF-8");
    match tokio::time::timeout(PATIENCE, ask(&mut command)).await {
        Ok(Ok(output)) if output.status.success() => parse(&output.stdout).unwrap_or_default(),
        Ok(Ok(output)) => {
            tracing::warn!(status = %output.status, "`{}` failed: the user's Ansible settings are not known", program.display());
            UserConfig::default()
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "cannot run `{}`: the user's Ansible settings are not known", program.display());
            UserConfig::default()
        }
        Err(_) => {
            tracing::warn!("`{}` gave no answer: the user's Ansible settings are not known", program.display());
            UserConfig::default()
        }
    }
}

/// Reads `ansible-config dump -t all --only-changed --format json`: a list of `{name, value}` objects and, per kind of
/// plugin, objects that hold such lists under the plugin's name.
fn parse(json: &[u8]) -> Option<UserConfig> {
    let Value::Array(entries) = serde_json::from_slice(json).ok()? else { return None };
    let mut config = UserConfig::default();
    for entry in &entries {
        let value = entry.get("value");
        match entry.get("name").and_then(Value::as_str) {
            Some("DEFAULT_CALLBACK_PLUGIN_PATH") => {
                let paths = value.and_then(Value::as_array).into_iter().flatten();
                config.callback_plugins = paths.filter_map(Value::as_str).map(str::to_owned).collect();
            }
            Some("DEFAULT_FORKS") => config.has_forks = true,
            Some("DEFAULT_VAULT_PASSWORD_FILE" | "DEFAULT_VAULT_IDENTITY_LIST") => config.has_vault = true,
            Some(_) => {}
            None => config.ssh_args = config.ssh_args.take().or_else(|| ssh_args(entry)),
        }
    }
    Some(config)
}

/// `ssh_args` of the plugin `ssh` under `CONNECTION_PLUGINS`.
fn ssh_args(entry: &Value) -> Option<String> {
    let plugins = entry.get("CONNECTION_PLUGINS")?.as_array()?;
    let settings = plugins.iter().find_map(|plugin| plugin.get("ssh"))?.as_array()?;
    let setting = settings.iter().find(|setting| setting.get("name").and_then(Value::as_str) == Some("ssh_args"))?;
    setting.get("value")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_found_in_a_dump() {
        let dump = br#"[
            {"name": "CONFIG_FILE", "origin": "", "value": "/srv/ansible.cfg"},
            {"name": "DEFAULT_CALLBACK_PLUGIN_PATH", "origin": "/srv/ansible.cfg", "value": ["/srv/own", "/x"]},
            {"name": "DEFAULT_FORKS", "origin": "/srv/ansible.cfg", "value": 7},
            {"name": "DEFAULT_VAULT_PASSWORD_FILE", "origin": "/srv/ansible.cfg", "value": "/srv/pw"},
            {"GALAXY_SERVERS": {}}, {"BECOME_PLUGINS": []},
            {"CONNECTION_PLUGINS": [
                {"paramiko_ssh": [{"name": "ssh_args", "value": "wrong one"}]},
                {"ssh": [{"name": "pipelining", "value": true}, {"name": "ssh_args", "value": "-C -o Foo=bar"}]}]}
        ]"#;
        let config = parse(dump).unwrap();
        assert_eq!(config.callback_plugins, ["/srv/own", "/x"]);
        assert_eq!(config.ssh_args.as_deref(), Some("-C -o Foo=bar"));
        assert!(config.has_forks && config.has_vault);
    }

    #[test]
    fn anything_else_means_the_defaults() {
        assert_eq!(parse(b"[]"), Some(UserConfig::default()));
        assert_eq!(parse(b"{}"), None);
        assert_eq!(parse(b"Traceback"), None);
        assert_eq!(
            parse(br#"[1, null, {"name": 3, "value": {}}, {"CONNECTION_PLUGINS": 1}]"#),
            Some(UserConfig::default())
        );
    }
}
