//! What every run of a project has in common.

use std::path::PathBuf;

/// What is run in a project, and how it logs in: looked at beforehand, and then started.
#[derive(Clone, Debug)]
pub struct Job {
    /// The project folder, absolute: holds `nodes/`, and `ansible.cfg` if any.
    pub dir: PathBuf,
    /// The state folder, absolute.
    pub state_dir: PathBuf,
    /// The playbook as configured.
    pub playbook: PathBuf,
    /// The `ansible-playbook` to run; `None` looks in `PATH`.
    pub command: Option<PathBuf>,
    /// Hosts at once; `None` leaves it to the user's Ansible configuration, and where that says nothing, to the number
    /// of hosts, 25 at most.
    pub forks: Option<u16>,
    /// Login name where the inventory names none.
    pub user: String,
    /// Private key to log in with, absolute.
    pub private_key: PathBuf,
}
