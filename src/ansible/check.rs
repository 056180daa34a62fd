//! What a run needs, looked at before the first machine is approved and not an hour later: Ansible, the playbook, the
//! inventory, and a key that opens the nodes. Each problem comes with what cures it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};

use super::argv::INVENTORY;
use super::lines::without_colours;
use super::preflight;
use crate::domain::snapshot::Problem;

/// `--syntax-check` of a large playbook takes some seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is to be looked at.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The project folder, absolute.
    pub dir: PathBuf,
    /// The state folder, absolute.
    pub state_dir: PathBuf,
    /// The `ansible-playbook` to run; `None` looks in `PATH`.
    pub command: Option<PathBuf>,
    /// The playbook as configured.
    pub playbook: PathBuf,
    /// The private key Ansible logs in with, absolute.
    pub private_key: PathBuf,
    /// Public keys that nodes are installed with, whole lines. Empty: the private key's own is put in.
    pub authorized: Vec<String>,
}

/// What was looked at and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub what: &'static str,
    /// How it is, or what is wrong with it.
    pub result: Result<String, Problem>,
}

/// Looks at everything. What needs Ansible is left out where there is none.
pub async fn check(subject: &Subject) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut note = |what, result: Result<String, Problem>| findings.push(Finding { what, result });
    note("SSH key", key(&subject.private_key, &subject.authorized));
    let found = preflight::find(subject.command.as_deref()).await;
    let program = found.as_ref().ok().map(|found| found.path.clone());
    note("Ansible", found.map(|found| format!("{} (ansible-core {})", found.path.display(), found.version)));
    let playbook = preflight::playbook(&subject.dir, &subject.state_dir, &subject.playbook);
    let Some(program) = program else {
        note("playbook", playbook.map(|path| path.display().to_string()));
        return findings;
    };
    match playbook {
        Ok(playbook) => note("playbook", syntax(&program, &subject.dir, &playbook).await),
        Err(problem) => note("playbook", Err(problem)),
    }
    note("inventory", inventory(&program, &subject.dir).await);
    findings
}

/// The playbook parses, and its modules and collections are there.
async fn syntax(program: &Path, dir: &Path, playbook: &Path) -> Result<String, Problem> {
    // Not the one of the nodes: that may not be written yet. Every group is there, so that nothing warns.
    let groups =
        r#"{"all":{"children":{"pve":{"hosts":{}},"pbs":{"hosts":{}},"pmg":{"hosts":{}},"pdm":{"hosts":{}}}}}"#;
    let file = tempfile::Builder::new().suffix(".json").tempfile().and_then(|file| {
        fs::write(file.path(), groups)?;
        Ok(file)
    });
    let file = file.map_err(|error| problem(format!("cannot write a temporary file: {error}"), "free disk space"))?;
    let mut command = tokio::process::Command::new(program);
    command.arg("--syntax-check").arg("-i").arg(file.path()).arg("--").arg(playbook);
    let shown = playbook.display();
    let by_hand = format!("correct it; `{} --syntax-check {shown}` says more", program.display());
    run(command, dir).await.map_err(|words| problem(format!("`{shown}` cannot be run: {words}"), &by_hand))?;
    Ok(format!("{shown} parses"))
}

/// Ansible takes the inventory, where there is one.
async fn inventory(program: &Path, dir: &Path) -> Result<String, Problem> {
    let path = dir.join(INVENTORY);
    if !path.exists() {
        return Ok(format!("{INVENTORY} is written when the engine runs"));
    }
    let mut command = tokio::process::Command::new(program.with_file_name("ansible-inventory"));
    command.args(["-i", INVENTORY, "--list"]);
    command.env("ANSIBLE_INVENTORY_ENABLED", "yaml").env("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "True");
    let hint = "remove what you added below nodes/, or restart the engine, which writes it anew";
    run(command, dir).await.map_err(|words| problem(format!("Ansible does not take `{INVENTORY}`: {words}"), hint))?;
    Ok(format!("{INVENTORY} is understood"))
}

/// Runs a command to its end; its last complaint where it failed.
async fn run(mut command: tokio::process::Command, dir: &Path) -> Result<(), String> {
    command.current_dir(dir).env("LC_ALL", "C.UTF-8").env("ANSIBLE_NOCOLOR", "1");
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))?;
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<String> = text.lines().map(without_colours).collect();
    let marked = lines.iter().find_map(|line| line.strip_prefix("ERROR!").or_else(|| line.strip_prefix("[ERROR]:")));
    let words = marked.or_else(|| lines.iter().rfind(|line| !line.trim().is_empty()).map(String::as_str));
    Err(words.map_or_else(|| output.status.to_string(), |words| words.trim().to_owned()))
}

/// The private key can be used without a question, and what is installed will know its public half.
fn key(path: &Path, authorized: &[String]) -> Result<String, Problem> {
    let shown = path.display();
    let pem = fs::read(path).map_err(|error| {
        let hint =
            "set `private_key` in [ansible] of config.toml to a key of yours, or remove it: the console makes one";
        problem(format!("cannot read the SSH key `{shown}`: {error}"), hint)
    })?;
    let mode = fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
    if mode & 0o077 != 0 {
        return Err(problem(
            format!("ssh refuses the key `{shown}`: others may read it"),
            &format!("`chmod 600 {shown}`"),
        ));
    }
    // Keys of older formats are ssh's business; nothing can be said about them here.
    let Ok(key) = PrivateKey::from_openssh(&pem) else { return Ok(format!("{shown}, of a format not looked into")) };
    if key.is_encrypted() && std::env::var_os("SSH_AUTH_SOCK").is_none() {
        let hint =
            format!("start the engine where an ssh-agent has it, or take it off with `ssh-keygen -p -f {shown}`");
        return Err(problem(format!("the SSH key `{shown}` has a passphrase, and nobody is asked for it"), &hint));
    }
    let is_own = |line: &&String| {
        PublicKey::from_openssh(line.trim()).is_ok_and(|known| known.key_data() == key.public_key().key_data())
    };
    if authorized.is_empty() || authorized.iter().any(|line| is_own(&line)) {
        return Ok(format!("{shown} opens what is installed"));
    }
    let public = key.public_key().to_openssh().unwrap_or_default();
    let hint = format!("add this line to `root-ssh-keys` in default.toml: {public}");
    Err(problem(format!("no node will know the SSH key `{shown}`: it is not among `root-ssh-keys`"), &hint))
}

fn problem(what: String, hint: &str) -> Problem {
    Problem { what, hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansible::SshKeyPair;

    #[test]
    fn a_key_that_opens_nothing_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let own = SshKeyPair::load_or_create(dir.path()).unwrap();
        let other = SshKeyPair::load_or_create(&dir.path().join("other")).unwrap();
        let line = |pair: &SshKeyPair| pair.public().to_owned();
        assert!(key(own.private(), &[]).is_ok());
        assert!(key(own.private(), &[line(&other), line(&own)]).is_ok());
        let unknown = key(own.private(), &[line(&other), "no key".to_owned()]).unwrap_err();
        assert!(unknown.what.contains("root-ssh-keys") && unknown.hint.contains(own.public().trim()), "{unknown:?}");
        fs::set_permissions(own.private(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(key(own.private(), &[]).unwrap_err().hint.contains("chmod 600"));
        assert!(key(&dir.path().join("none"), &[]).unwrap_err().hint.contains("private_key"));
        let old = dir.path().join("old");
        fs::write(&old, "-----BEGIN RSA PRIVATE KEY-----").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(key(&old, &[line(&other)]).is_ok(), "ssh may know better");
    }

    fn programs() -> Vec<PathBuf> {
        let list = std::env::var_os("PROX_ANSIBLE").unwrap_or_default();
        std::env::split_paths(&list).filter(|path| path.is_file()).collect()
    }

    async fn judged(program: &Path, playbook: Option<&str>) -> Vec<Finding> {
        let dir = tempfile::tempdir().unwrap();
        let state_dir = dir.path().join("state");
        let key = SshKeyPair::load_or_create(&state_dir).unwrap();
        if let Some(text) = playbook {
            fs::write(dir.path().join("setup-cluster.yml"), text).unwrap();
        }
        let subject = Subject {
            dir: dir.path().to_owned(),
            state_dir,
            command: Some(program.to_owned()),
            playbook: "setup-cluster.yml".into(),
            private_key: key.private().to_owned(),
            authorized: Vec::new(),
        };
        check(&subject).await
    }

    #[tokio::test]
    async fn real_ansible_judges_the_playbook() {
        for program in programs() {
            let shipped = judged(&program, None).await;
            assert!(shipped.iter().all(|finding| finding.result.is_ok()), "{shipped:?}");
            for (text, words) in [
                ("- hosts: pve\n  tasks:\n  - no.such.module:\n", "no.such.module"),
                ("- hosts: [pve\n", "cannot be run"),
                ("- hosts: pve\n  roles: [nowhere]\n", "nowhere"),
            ] {
                let findings = judged(&program, Some(text)).await;
                let playbook = findings.iter().find(|finding| finding.what == "playbook").unwrap();
                let problem = playbook.result.as_ref().unwrap_err();
                assert!(problem.what.contains(words) && problem.hint.contains("--syntax-check"), "{problem:?}");
            }
        }
    }

    #[tokio::test]
    async fn without_ansible_the_rest_is_judged() {
        let findings = judged(Path::new("/nonexistent/ansible-playbook"), Some("- hosts: all")).await;
        let bad: Vec<_> =
            findings.iter().filter(|finding| finding.result.is_err()).map(|finding| finding.what).collect();
        assert_eq!((findings.len(), bad), (3, vec!["Ansible"]));
    }
}
