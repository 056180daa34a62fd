//! What tests need that is not in this repository: recorded installers, and programs of this machine. Also part of the
//! integration tests.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Says that a test cannot be done here, and why. With `CI=true` nothing may be left out.
#[track_caller]
pub(crate) fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}; with CI=true nothing may be skipped");
    // Not by a macro: the test harness would keep it to itself.
    writeln!(io::stderr(), "SKIPPED: {why}").unwrap();
}

/// The folder of conformance data, where there is one.
#[track_caller]
pub(crate) fn conformance() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("PROX_CONFORMANCE").map(PathBuf::from);
    let folder = root.join(named.unwrap_or_else(|| root.join("../shared/conformance")));
    let found = Some(folder).filter(|folder| folder.is_dir());
    if found.is_none() {
        skip("no conformance data; PROX_CONFORMANCE names the folder");
    }
    found
}

/// Every `ansible-playbook` to test with.
#[track_caller]
pub(crate) fn ansibles() -> Vec<PathBuf> {
    let list = std::env::var_os("PROX_ANSIBLE").unwrap_or_default();
    let programs: Vec<_> = std::env::split_paths(&list).filter(|path| path.is_file()).collect();
    if programs.is_empty() {
        skip(
            "tests with real Ansible; PROX_ANSIBLE names ansible-playbook programs, separated by `:`; ./test.sh brings them",
        );
    }
    programs
}
