//! What a run needs, looked at before the first machine is approved and not an hour later: Ansible, the playbook, the
//! inventory, and a key that opens the nodes. Each problem comes with what cures it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use russh::keys::PublicKey;

use super::argv;
use super::ask::ask;
use super::job::Job;
use super::outcome::error_line;
use super::user_config::{self, UserConfig};
use super::{preflight, ssh_key};
use crate::domain::Caller;
use crate::domain::layout::{INVENTORY, NODES};
use crate::domain::snapshot::Problem;
use crate::domain::text::Text;

/// `--syntax-check` of a large playbook takes some seconds.
const PATIENCE: Duration = Duration::from_mins(1);
/// Most tasks offered to begin at.
const MAX_TASKS: usize = 500;
/// A variable that no node may have.
const SSH_ARGS: &str = "ansible_ssh_args";
/// A host in every group, so that the variables of each are read. It is never connected to.
const INVENTED: &str = r#"{"all":{"children":{"pve":{"hosts":{"preflight.invalid":{}}},"pbs":{"hosts":{"preflight.invalid":{}}},"pmg":{"hosts":{"preflight.invalid":{}}},"pdm":{"hosts":{"preflight.invalid":{}}}}}}"#;

/// What is to be looked at.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What is to be run.
    pub job: Job,
    /// The answer files that give root SSH keys. Where a node gets none, the private key's own is put in.
    pub installs: Vec<Installs>,
}

/// Public keys that nodes are installed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installs {
    /// The file, from the project folder.
    pub file: String,
    /// Whole lines.
    pub keys: Vec<String>,
}

/// What was looked at and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub what: &'static str,
    /// How it is, or what is wrong with it.
    pub result: Result<String, Problem>,
}

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was looked at.
    pub findings: Vec<Finding>,
    /// How a run calls the playbook, where it can be called.
    pub caller: Option<Caller>,
    /// The tasks a run may begin at: those that Ansible knows before it plays.
    pub tasks: Vec<Text>,
}

/// Looks at everything. What needs Ansible is left out where there is none.
pub async fn check(Subject { job, installs }: &Subject) -> Report {
    let mut report = Report::default();
    let mut note = |what, result: Result<String, Problem>| report.findings.push(Finding { what, result });
    let (own, installs) = (job.private_key.clone(), installs.clone());
    let examined = tokio::task::spawn_blocking(move || key(&own, &installs)).await;
    let failed =
        |error: tokio::task::JoinError| Err(problem(format!("cannot examine the key: {error}"), "see the log"));
    note("SSH key", examined.unwrap_or_else(failed));
    let found = preflight::find(job.command.as_deref()).await;
    let program = found.as_ref().ok().map(|found| found.path.clone());
    note("Ansible", found.map(|found| format!("{} (ansible-core {})", found.path.display(), found.version)));
    let playbook = preflight::playbook(&job.dir, &job.state_dir, &job.playbook).await;
    let Some(program) = program else {
        note("playbook", playbook.map(|path| path.display().to_string()));
        return report;
    };
    let stand_in = match StandIn::new(&job.dir) {
        Ok(stand_in) => stand_in,
        Err(error) => {
            note("playbook", Err(problem(format!("cannot write a temporary file: {error}"), "free disk space")));
            return report;
        }
    };
    let user_config = user_config::load(&program, &job.dir).await;
    note("inventory", inventory(&program, &job.dir).await);
    note("variables", variables(&program, &job.dir, &stand_in, &user_config).await);
    match playbook {
        Err(problem) => note("playbook", Err(problem)),
        Ok(playbook) => {
            let tasks = tasks(&program, &job.dir, &stand_in, &playbook).await;
            note("playbook", syntax(&program, &job.dir, &stand_in, &playbook).await);
            let relative = playbook.strip_prefix(&job.dir).unwrap_or(&playbook);
            report.caller = Some(argv::caller(&program, relative, job, &user_config));
            report.tasks = tasks;
        }
    }
    report
}

/// An inventory in place of the nodes' one, which may not be written yet, or have no hosts: Ansible reads the variables of
/// hosts only. The user's variables are beside it as they are beside that one.
struct StandIn(tempfile::TempDir);

impl StandIn {
    fn new(dir: &Path) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("inventory.json"), INVENTED)?;
        for name in ["group_vars", "host_vars"] {
            let theirs = dir.join(NODES).join(name);
            if theirs.exists() {
                std::os::unix::fs::symlink(theirs, folder.path().join(name))?;
            }
        }
        Ok(Self(folder))
    }

    fn inventory(&self) -> PathBuf {
        self.0.path().join("inventory.json")
    }
}

/// The playbook parses, and its modules and collections are there.
async fn syntax(program: &Path, dir: &Path, stand_in: &StandIn, playbook: &Path) -> Result<String, Problem> {
    let mut command = tokio::process::Command::new(program);
    command.arg("--syntax-check").arg("-i").arg(stand_in.inventory()).arg("--").arg(playbook);
    let shown = playbook.display();
    let by_hand = format!("correct it; `{} --syntax-check {shown}` says more", program.display());
    run(command, dir).await.map_err(|words| problem(format!("`{shown}` cannot be run: {words}"), &by_hand))?;
    Ok(format!("{shown} parses"))
}

/// The tasks that a run can be told to begin at. None where the playbook cannot be read, which `syntax` tells.
async fn tasks(program: &Path, dir: &Path, stand_in: &StandIn, playbook: &Path) -> Vec<Text> {
    let mut command = tokio::process::Command::new(program);
    command.arg("--list-tasks").arg("-i").arg(stand_in.inventory()).arg("--").arg(playbook);
    let listed = run(command, dir).await.unwrap_or_default();
    let mut names: Vec<Text> = Vec::new();
    for name in listed.lines().filter_map(task_name) {
        let name = Text::new(name);
        if names.len() < MAX_TASKS && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// `      proxmox_names : Let the nodes know each other by name<TAB>TAGS: [names]`. What is done within Ansible is no task.
fn task_name(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix("      ")?.rsplit_once("\tTAGS: [")?;
    let module = name.rsplit(" : ").next().unwrap_or(name);
    (!matches!(module, "meta" | "ansible.builtin.meta") && !name.trim().is_empty()).then_some(name)
}

/// Ansible takes the inventory, where there is one.
async fn inventory(program: &Path, dir: &Path) -> Result<String, Problem> {
    let path = dir.join(INVENTORY);
    if !path.exists() {
        return Ok(format!("{INVENTORY} is written when the engine runs"));
    }
    let hint = "remove what you added below nodes/, or restart the engine, which writes it anew";
    let listed = run(listing(program, Path::new(INVENTORY)), dir).await;
    listed.map_err(|words| problem(format!("Ansible does not take `{INVENTORY}`: {words}"), hint))?;
    Ok(format!("{INVENTORY} is understood"))
}

/// The variables beside the inventory can be read, also those of groups that have no nodes yet, and those in a vault.
async fn variables(
    program: &Path,
    dir: &Path,
    stand_in: &StandIn,
    user_config: &UserConfig,
) -> Result<String, Problem> {
    let vault =
        "write the password's file into ansible.cfg, as `vault_password_file` in [defaults]: nobody is asked for it";
    let listed = run(listing(program, &stand_in.inventory()), dir).await.map_err(|words| {
        let hint = if words.to_ascii_lowercase().contains("vault") { vault } else { "correct the file it names" };
        problem(format!("Ansible does not take the variables in `nodes/`: {words}"), hint)
    })?;
    // A single value that is encrypted is only decrypted where it is used.
    if listed.contains("\"__ansible_vault\"") && !user_config.has_vault {
        return Err(problem("variables in `nodes/` are in a vault whose password is not known".to_owned(), vault));
    }
    // ANSIBLE.md §5, trap 3: of all ways to give ssh options, only this one takes the place of the run's own.
    if listed.contains(&format!("\"{SSH_ARGS}\"")) {
        let hint = "write it into ansible.cfg, as `ssh_args` in [ssh_connection]: there it adds to what the run needs";
        let what = format!("`{SSH_ARGS}` in `nodes/` takes the place of what makes ssh look at the reported host keys");
        return Err(problem(what, hint));
    }
    Ok("those in nodes/group_vars and nodes/host_vars can be read".to_owned())
}

fn listing(program: &Path, inventory: &Path) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(program.with_file_name("ansible-inventory"));
    command.arg("-i").arg(inventory).arg("--list");
    command.env("ANSIBLE_INVENTORY_ENABLED", "yaml").env("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "True");
    command
}

/// Runs a command to its end: its output, or its last complaint where it failed.
async fn run(mut command: tokio::process::Command, dir: &Path) -> Result<String, String> {
    command.current_dir(dir).env("LC_ALL", "C.UTF-8").env("ANSIBLE_NOCOLOR", "1");
    let output = tokio::time::timeout(PATIENCE, ask(&mut command)).await;
    let output = output.map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))?;
    let output = output.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(said.into_owned());
    }
    let text = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    Err(error_line(&lines).map_or_else(|| output.status.to_string(), |words| words.trim().to_owned()))
}

/// The private key can be used without a question, and whatever is installed will know its public half.
fn key(path: &Path, installs: &[Installs]) -> Result<String, Problem> {
    let shown = path.display();
    let of_yours =
        "set `private_key` in [ansible] of config.toml to a key of yours, or remove it: the console makes one";
    let meta =
        fs::metadata(path).map_err(|error| problem(format!("cannot read the SSH key `{shown}`: {error}"), of_yours))?;
    if meta.permissions().mode() & 0o077 != 0 {
        return Err(problem(
            format!("ssh refuses the key `{shown}`: others may read it"),
            &format!("`chmod 600 {shown}`"),
        ));
    }
    let key = ssh_key::examine(path).map_err(|words| problem(format!("`{shown}` is no SSH key: {words}"), of_yours))?;
    if key.is_locked && std::env::var_os("SSH_AUTH_SOCK").is_none() {
        let hint =
            format!("start the engine where an ssh-agent has it, or take it off with `ssh-keygen -p -f {shown}`");
        return Err(problem(format!("the SSH key `{shown}` has a passphrase, and nobody is asked for it"), &hint));
    }
    let Some(public) = key.public else {
        let hint = format!("write its public half into `{shown}.pub`");
        return Err(problem(format!("nobody can tell the public half of the SSH key `{shown}`"), &hint));
    };
    let data = |line: &str| PublicKey::from_openssh(line.trim()).map(|key| key.key_data().clone()).ok();
    let own = data(&public);
    // What a template makes of a line is not known here.
    let is_own = |line: &String| line.contains("{{") || data(line) == own;
    let Some(bad) = installs.iter().find(|installs| !installs.keys.iter().any(is_own)) else {
        return Ok(format!("{shown} opens what is installed"));
    };
    let hint = format!("add this line to `root-ssh-keys` in {}: {public}", bad.file);
    let which = if bad.file == crate::config::BASE_ANSWER_FILE { "no node" } else { "not every node" };
    let what = format!("{which} will know the SSH key `{shown}`: it is not among `root-ssh-keys` in {}", bad.file);
    Err(problem(what, &hint))
}

fn problem(what: String, hint: &str) -> Problem {
    Problem { what, hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansible::SshKeyPair;
    use crate::outside::ansibles;

    fn installs(file: &str, keys: &[&str]) -> Installs {
        Installs { file: file.to_owned(), keys: keys.iter().map(|key| (*key).to_owned()).collect() }
    }

    #[test]
    fn a_key_that_opens_nothing_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let own = SshKeyPair::load_or_create(dir.path()).unwrap();
        let other = SshKeyPair::load_or_create(&dir.path().join("other")).unwrap();
        let base = |keys: &[&str]| installs("default.toml", keys);
        assert!(key(own.private(), &[]).is_ok());
        assert!(key(own.private(), &[base(&[other.public(), own.public()])]).is_ok());
        assert!(key(own.private(), &[base(&["{{ node.key }}"])]).is_ok(), "nobody knows what comes of it");
        let unknown = key(own.private(), &[base(&[other.public(), "no key"])]).unwrap_err();
        assert!(unknown.what.starts_with("no node") && unknown.hint.contains(own.public().trim()), "{unknown:?}");
        // A profile that gives keys of its own takes the place of what default.toml gives.
        let layers = [base(&[own.public()]), installs("profiles/storage.toml", &[other.public()])];
        let replaced = key(own.private(), &layers).unwrap_err();
        assert!(
            replaced.what.starts_with("not every node") && replaced.hint.contains("profiles/storage.toml"),
            "{replaced:?}"
        );
        fs::set_permissions(own.private(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(key(own.private(), &[]).unwrap_err().hint.contains("chmod 600"));
        assert!(key(&dir.path().join("none"), &[]).unwrap_err().hint.contains("private_key"));
        let nonsense = dir.path().join("old");
        fs::write(&nonsense, "-----BEGIN RSA PRIVATE KEY-----").unwrap();
        fs::set_permissions(&nonsense, fs::Permissions::from_mode(0o600)).unwrap();
        let told = key(&nonsense, &[]).unwrap_err();
        assert!(told.what.contains("is no SSH key"), "{told:?}");
    }

    #[test]
    fn tasks_are_read_from_ansibles_list() {
        let list = "\nplaybook: site.yml\n\n  play #1 (all): One\tTAGS: []\n    tasks:\n      First: [x] TAGS: []\tTAGS: [a, b]\n      \
                    r : Second\tTAGS: []\n      ansible.builtin.meta\tTAGS: []\n      r : meta\tTAGS: []\n";
        assert_eq!(list.lines().filter_map(task_name).collect::<Vec<_>>(), ["First: [x] TAGS: []", "r : Second"]);
    }

    async fn judged(program: &Path, playbook: Option<&str>) -> Vec<Finding> {
        report(program, playbook, &[]).await.findings
    }

    async fn report(program: &Path, playbook: Option<&str>, files: &[(&str, &str)]) -> Report {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let state_dir = dir.path().join("state");
        let key = SshKeyPair::load_or_create(&state_dir).unwrap();
        if let Some(text) = playbook {
            fs::write(dir.path().join("setup-cluster.yml"), text).unwrap();
        }
        let job = Job {
            dir: dir.path().to_owned(),
            state_dir,
            command: Some(program.to_owned()),
            playbook: "setup-cluster.yml".into(),
            user: "root".to_owned(),
            forks: None,
            private_key: key.private().to_owned(),
        };
        check(&Subject { job, installs: Vec::new() }).await
    }

    #[tokio::test]
    async fn real_ansible_judges_the_playbook() {
        for program in ansibles() {
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

    /// `secret: x`, encrypted whole and as a single value; nobody knows the password.
    const WHOLE: &str = "$ANSIBLE_VAULT;1.1;AES256\n32646531613831613439653964613535653939363836646362623832346634636664383762616438\n6665653735666565323030646335653262663862353664320a373032303262396632363464313031\n66386166306337343936373737643961383639616630346234653366316665396539663762363034\n6563333933366637350a313065393765626334353334643035313233366263363136373863313861\n6135\n";
    const SINGLE: &str = "secret: !vault |\n          $ANSIBLE_VAULT;1.1;AES256\n          64393332633630323361336532616639666261303263653730633630346435393862353666656163\n          3731313937376461613837383163303030333635333361630a666665353666383634326431646237\n          30376462366430626463363636643466663663376231636431643531383538666137303032623865\n          3061613262386431360a643038343363636239313762343961393062353937343135663236316334\n          6661\n";

    #[tokio::test]
    async fn real_ansible_judges_the_variables_before_there_is_a_node() {
        for program in ansibles() {
            for (text, cfg, words) in [
                ("x: 1\n", "", None),
                ("x: [1\n", "", Some("correct the file")),
                (WHOLE, "", Some("vault_password_file")),
                (SINGLE, "", Some("vault_password_file")),
                (SINGLE, "[defaults]\nvault_password_file = pw\n", None),
                ("ansible_ssh_args: -o ProxyJump=gate\n", "", Some("[ssh_connection]")),
            ] {
                let files = [("nodes/group_vars/pbs.yml", text), ("ansible.cfg", cfg), ("pw", "x\n")];
                let report = report(&program, Some("- hosts: all\n"), &files).await;
                let variables = report.findings.iter().find(|finding| finding.what == "variables").unwrap();
                let hint = variables.result.as_ref().err().map(|problem| problem.hint.as_str());
                assert!(
                    hint.is_some() == words.is_some() && hint.is_none_or(|hint| hint.contains(words.unwrap())),
                    "{text}: {variables:?}"
                );
            }
        }
    }

    #[tokio::test]
    async fn real_ansible_lists_the_tasks_a_run_can_begin_at() {
        const PLAYBOOK: &str =
            "- hosts: pve\n  tasks:\n  - name: One\n    ping:\n  - include_tasks: more.yml\n  - name: One\n    ping:\n";
        for program in ansibles() {
            let report = report(&program, Some(PLAYBOOK), &[("more.yml", "- name: Within\n  ping:\n")]).await;
            assert_eq!(report.tasks.iter().map(Text::as_str).collect::<Vec<_>>(), ["One", "include_tasks"]);
            let line = report.caller.unwrap().line("nodes/runs/r1", &["a.lab"], &crate::domain::RunOptions::default());
            assert!(
                line.starts_with(program.to_str().unwrap()) && line.ends_with("-f 1 -- setup-cluster.yml"),
                "{line}"
            );
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
