//! How a run differs from a plain one: what the operator may choose for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::refusal::Refusal;

/// Most times `-v` is given; Ansible knows no more.
const MAX_VERBOSITY: u8 = 4;
/// Longest tag or task name, in characters.
const MAX_NAME: usize = 256;
/// Most variables, tags and bytes of variables: a run's options are stored with its event.
const MAX_ENTRIES: usize = 64;
/// Most bytes of variables, as JSON.
pub const MAX_VARS_BYTES: usize = 32 << 10;
/// Names of variables that hold a secret have one of these in them. Options are stored and shown, so that no secret may be
/// in them.
const SECRET_PARTS: [&str; 5] = ["password", "passwd", "passphrase", "secret", "token"];
/// The same, as whole words of a name: `ansible_become_pass`, `api_key`.
const SECRET_WORDS: [&str; 8] = ["pass", "pwd", "pw", "key", "apikey", "keyring", "credential", "credentials"];
/// A word that says that a key is none.
const PUBLIC_WORDS: [&str; 2] = ["public", "pub"];

/// What was chosen for a run. The default is a plain run of the whole playbook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunOptions {
    /// Change nothing, only say what would change: `--check --diff`.
    #[serde(skip_serializing_if = "is_false")]
    pub check: bool,
    /// Show what changes in files: `--diff`.
    #[serde(skip_serializing_if = "is_false")]
    pub diff: bool,
    /// Only tasks with one of these tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// No task with one of these tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip_tags: Vec<String>,
    /// Variables that win over all others, as data; never a secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Value>,
    /// How often `-v` is given, 4 at most.
    #[serde(skip_serializing_if = "is_zero")]
    pub verbosity: u8,
    /// Name of the task to start at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_at: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(value: &u8) -> bool {
    *value == 0
}

impl RunOptions {
    /// Whether nothing was chosen.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the run does less than configure a node: its success then says nothing about a node's phase.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.check || !self.tags.is_empty() || !self.skip_tags.is_empty() || self.start_at.is_some()
    }

    /// Whether a run with these goes through the same tasks as one with `other`, so that their times compare.
    #[must_use]
    pub fn does_as_much_as(&self, other: &Self) -> bool {
        (self.check, &self.tags, &self.skip_tags, &self.start_at)
            == (other.check, &other.tags, &other.skip_tags, &other.start_at)
    }

    /// The arguments for `ansible-playbook`, but for the variables: these go through a file.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut args = Vec::new();
        if self.check {
            args.push("--check".to_owned());
        }
        if self.check || self.diff {
            args.push("--diff".to_owned());
        }
        if !self.tags.is_empty() {
            args.push(format!("--tags={}", self.tags.join(",")));
        }
        if !self.skip_tags.is_empty() {
            args.push(format!("--skip-tags={}", self.skip_tags.join(",")));
        }
        if let Some(task) = &self.start_at {
            args.push(format!("--start-at-task={task}"));
        }
        if self.verbosity > 0 {
            args.push(format!("-{}", "v".repeat(self.verbosity.into())));
        }
        args
    }

    /// Whether Ansible can be given these.
    ///
    /// # Errors
    /// [`Refusal::BadOption`] with the first thing that is wrong.
    pub fn judge(&self) -> Result<(), Refusal> {
        let bad = |words: String| Err(Refusal::BadOption(words));
        for tag in self.tags.iter().chain(&self.skip_tags) {
            if !is_name(tag) || tag.contains([',', ' ']) {
                return bad(format!("`{tag}` is no tag; a tag is one word, several are separated by commas"));
            }
        }
        if self.verbosity > MAX_VERBOSITY {
            return bad(format!(
                "verbosity {} is more than Ansible knows; {MAX_VERBOSITY} is the most",
                self.verbosity
            ));
        }
        if let Some(task) = self.start_at.as_ref().filter(|task| !is_name(task)) {
            return bad(format!("`{task}` is no name of a task; take it from the playbook as it stands there"));
        }
        if self.tags.len() + self.skip_tags.len() > MAX_ENTRIES || self.vars.len() > MAX_ENTRIES {
            return bad(format!(
                "more than {MAX_ENTRIES} tags or variables; put variables into nodes/group_vars/all.yml"
            ));
        }
        for (name, value) in &self.vars {
            judge_variable(name)?;
            judge_value(value)?;
        }
        let size = serde_json::to_string(&self.vars).map_or(usize::MAX, |text| text.len());
        if size > MAX_VARS_BYTES {
            return bad(format!("the variables have {size} bytes; put them into nodes/group_vars/all.yml"));
        }
        Ok(())
    }
}

/// Variables from a text: one JSON object, or `name=value` words, whose values are JSON where they can be.
///
/// # Errors
/// What is no variable.
pub fn parse_assignments(text: &str) -> Result<BTreeMap<String, Value>, String> {
    let text = text.trim();
    if text.starts_with('{') {
        return serde_json::from_str(text).map_err(|error| format!("these variables are no JSON object: {error}"));
    }
    text.split_whitespace().map(parse_assignment).collect()
}

/// One variable from `name=value`; the value is JSON where it can be, else a text.
///
/// # Errors
/// There is no `=`.
pub fn parse_assignment(text: &str) -> Result<(String, Value), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("`{text}` sets no variable; write name=value, or a JSON object"))?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.to_owned(), value))
}

/// A word as a shell reads it, quoted where it must be.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=@:,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn is_name(text: &str) -> bool {
    let is_long = text.chars().count() > MAX_NAME;
    !text.trim().is_empty() && !text.starts_with('-') && !is_long && !text.chars().any(char::is_control)
}

fn judge_variable(name: &str) -> Result<(), Refusal> {
    let is_variable = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.len() <= MAX_NAME
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_variable {
        let words = format!("`{name}` is no name of a variable; letters, digits and underscores make one");
        return Err(Refusal::BadOption(words));
    }
    judge_secrecy(name)
}

/// No key below a variable may look like a secret either, however deep. The depth is bounded by that of the JSON parser.
fn judge_value(value: &Value) -> Result<(), Refusal> {
    match value {
        Value::Object(entries) => {
            entries.iter().try_for_each(|(name, value)| judge_secrecy(name).and_then(|()| judge_value(value)))
        }
        Value::Array(values) => values.iter().try_for_each(judge_value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn judge_secrecy(name: &str) -> Result<(), Refusal> {
    if is_secret(&name.to_ascii_lowercase()) {
        let words = format!(
            "`{name}` looks like a secret, and options are stored and shown; put it into nodes/group_vars/all.yml with \
             ansible-vault"
        );
        return Err(Refusal::BadOption(words));
    }
    Ok(())
}

fn is_secret(name: &str) -> bool {
    let has = |words: &[&str]| name.split(['_', '-', '.', ' ']).any(|word| words.contains(&word));
    SECRET_PARTS.iter().any(|part| name.contains(part)) || (has(&SECRET_WORDS) && !has(&PUBLIC_WORDS))
}

/// Why there is a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunReason {
    /// The operator asked, or the gate opened, as told by [`super::Run::by_gate`].
    #[default]
    Plain,
    /// Nodes that came after the gate had opened.
    Late,
    /// Each node is run as soon as it is ready.
    Each,
    /// The operator told the gate to go on without those that are missing.
    WithoutMissing,
    /// The operator asked for those that had failed.
    Failed,
}

impl RunReason {
    /// Whether it is the one that older events do not name.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    pub(super) fn is_plain(&self) -> bool {
        *self == Self::Plain
    }

    /// In words; `by_gate` is whether the gate started it.
    #[must_use]
    pub fn words(self, by_gate: bool) -> &'static str {
        match (self, by_gate) {
            (Self::Plain, true) => "every approved node is ready",
            (Self::Plain, false) => "ordered",
            (Self::Late, _) => "came later",
            (Self::Each, _) => "as soon as it was ready",
            (Self::WithoutMissing, _) => "without the missing nodes",
            (Self::Failed, _) => "failed before",
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn with(change: impl FnOnce(&mut RunOptions)) -> RunOptions {
        let mut options = RunOptions::default();
        change(&mut options);
        options
    }

    #[rstest]
    #[case(with(|o| o.tags = vec!["a,b".to_owned()]), "`a,b` is no tag")]
    #[case(with(|o| o.skip_tags = vec!["--forks".to_owned()]), "no tag")]
    #[case(with(|o| o.tags = vec![String::new()]), "no tag")]
    #[case(with(|o| o.verbosity = 5), "verbosity 5")]
    #[case(with(|o| o.start_at = Some("a\nb".to_owned())), "no name of a task")]
    #[case(with(|o| o.vars = [("a-b".to_owned(), json!(1))].into()), "no name of a variable")]
    #[case(with(|o| o.vars = [("root_Password".to_owned(), json!("x"))].into()), "ansible-vault")]
    #[case(with(|o| o.vars = [("x".to_owned(), json!([{"options": {"Passphrase": "x"}}]))].into()), "`Passphrase` looks like a secret")]
    #[case(with(|o| o.vars = [("big".to_owned(), json!("x".repeat(40_000)))].into()), "bytes")]
    fn what_ansible_would_misunderstand_is_refused(#[case] options: RunOptions, #[case] words: &str) {
        let refusal = options.judge().unwrap_err().to_string();
        assert!(refusal.contains(words), "{refusal}");
    }

    #[rstest]
    #[case("", json!({}))]
    #[case(r#"a=1 b=true c=x d=[1,"y"]"#, json!({"a": 1, "b": true, "c": "x", "d": [1, "y"]}))]
    #[case(r#"{"a": "two words"}"#, json!({"a": "two words"}))]
    #[case("url=http://x/?a=b", json!({"url": "http://x/?a=b"}))]
    fn variables_are_data(#[case] text: &str, #[case] expected: Value) {
        assert_eq!(serde_json::to_value(parse_assignments(text).unwrap()).unwrap(), expected);
    }

    #[rstest]
    fn a_secret_is_told_by_its_name(
        #[values(
            "ansible_become_pass",
            "ansible_ssh_pass",
            "api_key",
            "db_pwd",
            "PASSWORD",
            "x_token_y",
            "ceph_keyring"
        )]
        name: &str,
    ) {
        let refusal = with(|o| o.vars = [(name.to_owned(), json!("x"))].into()).judge().unwrap_err().to_string();
        assert!(refusal.contains("looks like a secret"), "{refusal}");
    }

    #[rstest]
    fn what_only_sounds_like_one_is_none(
        #[values("ssh_public_key", "keyboard", "proxmox_ssh_keys", "bypass_checks")] name: &str,
    ) {
        assert_eq!(with(|o| o.vars = [(name.to_owned(), json!("x"))].into()).judge(), Ok(()));
    }

    #[test]
    fn words_for_a_shell_are_quoted_where_they_must_be() {
        assert_eq!(["--tags=a,b", "a b", "it's", ""].map(shell_word), ["--tags=a,b", "'a b'", r"'it'\''s'", "''"]);
        assert!(parse_assignments("novalue").unwrap_err().contains("name=value"));
    }

    #[test]
    fn what_may_be_chosen_is_taken() {
        let options = with(|o| {
            o.check = true;
            o.tags = vec!["cluster".to_owned()];
            o.vars = [("proxmox_cluster_name".to_owned(), json!("{{ x }}")), ("n".to_owned(), json!([1, {"a": null}]))]
                .into();
            o.start_at = Some("proxmox_cluster : Join the cluster".to_owned());
            o.verbosity = 4;
        });
        assert_eq!(options.judge(), Ok(()));
        assert!(options.is_partial() && !options.is_plain());
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<RunOptions>(&text).unwrap(), options);
        assert_eq!(serde_json::to_string(&RunOptions::default()).unwrap(), "{}");
    }
}
