//! The real Ansible that tests use.

use std::io::{self, Write as _};
use std::path::PathBuf;

/// Every `ansible-playbook` that `PROX_ANSIBLE` lists, separated by `:`; says so where there is none.
pub(super) fn programs() -> Vec<PathBuf> {
    let list = std::env::var_os("PROX_ANSIBLE").unwrap_or_default();
    let programs: Vec<_> = std::env::split_paths(&list).filter(|path| path.is_file()).collect();
    if programs.is_empty() {
        // Not by a macro: the test harness would keep it to itself.
        let words = "SKIPPED: tests with real Ansible; set PROX_ANSIBLE to paths of ansible-playbook, separated by `:`";
        let _ = writeln!(io::stderr(), "{words}");
    }
    programs
}
