//! How `ansible-playbook` is called: the one place that makes the arguments of a run, for those who start it and for those who
//! show beforehand what will be started.

use serde::{Deserialize, Serialize};

use super::layout::INVENTORY;
use super::options::{RunOptions, shell_word};

/// The file of variables that were chosen for a run, in its folder.
pub const EXTRA_VARS: &str = "extra-vars.json";
/// The file of the names a run is limited to, in its folder.
pub const LIMIT: &str = "limit.txt";
/// Most hosts worked on at once where nobody says otherwise: 10 to 15 MiB each (ANSIBLE.md §6).
const MAX_DEFAULT_FORKS: usize = 25;
/// Most hosts named on the command line itself; more are in a file.
const MAX_NAMED: usize = 5;

/// What is the same for every run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Caller {
    /// The program: its path, where it is known.
    pub program: String,
    /// The playbook, absolute or relative to the project folder.
    pub playbook: String,
    /// Login name where the inventory names none.
    pub user: String,
    /// Private key to log in with.
    pub private_key: Option<String>,
    /// Hosts at once, where configured here.
    pub forks: Option<u16>,
    /// Whether the user's own Ansible configuration says how many hosts at once.
    pub has_own_forks: bool,
}

impl Caller {
    /// The arguments for a run on `hosts` whose folder, relative to the project's, is `folder`.
    #[must_use]
    pub fn arguments(&self, folder: &str, hosts: &[&str], options: &RunOptions) -> Vec<String> {
        let limit = if hosts.len() <= MAX_NAMED { hosts.join(",") } else { format!("@{folder}/{LIMIT}") };
        let mut args: Vec<String> =
            ["-i", INVENTORY, "--limit", &limit, "--user", &self.user].map(str::to_owned).to_vec();
        if let Some(key) = &self.private_key {
            args.extend(["--private-key".to_owned(), key.clone()]);
        }
        if let Some(forks) = self.forks(hosts.len()) {
            args.extend(["-f".to_owned(), forks.to_string()]);
        }
        args.extend(options.arguments());
        if !options.vars.is_empty() {
            args.extend(["-e".to_owned(), format!("@{folder}/{EXTRA_VARS}")]);
        }
        // Last, behind `--`: a playbook whose name starts with a hyphen is not an option.
        args.extend(["--".to_owned(), self.playbook.clone()]);
        args
    }

    fn forks(&self, hosts: usize) -> Option<usize> {
        let configured = self.forks.map(usize::from).filter(|forks| *forks > 0);
        configured.or_else(|| (!self.has_own_forks).then(|| hosts.min(MAX_DEFAULT_FORKS)))
    }

    /// The whole call as a line for a shell in the project folder.
    #[must_use]
    pub fn line(&self, folder: &str, hosts: &[&str], options: &RunOptions) -> String {
        shell_line(&self.program, &self.arguments(folder, hosts, options))
    }
}

/// A call as a line for a shell.
#[must_use]
pub fn shell_line(program: &str, args: &[String]) -> String {
    let words = std::iter::once(program).chain(args.iter().map(String::as_str));
    words.map(shell_word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_hosts_are_named_and_many_are_in_the_file() {
        let caller =
            Caller { program: "/usr/bin/ansible-playbook".into(), playbook: "a b.yml".into(), ..Caller::default() };
        let line = |hosts: &[&str]| caller.line("nodes/runs/r7", hosts, &RunOptions::default());
        let expected =
            "/usr/bin/ansible-playbook -i nodes/dynamic-inventory.json --limit a.lab,b.lab --user '' -f 2 -- 'a b.yml'";
        assert_eq!(line(&["a.lab", "b.lab"]), expected);
        assert!(line(&["a.lab"; 40]).contains("--limit @nodes/runs/r7/limit.txt --user '' -f 25 "));
    }
}
