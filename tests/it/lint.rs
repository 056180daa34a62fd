//! The playbook and the roles that `init` writes, judged by `ansible-lint`.

use std::env;
use std::path::PathBuf;

use super::outside::skip;
use super::process::Process;
use super::rig::Project;

/// The `ansible-lint` to judge with.
fn linter() -> Option<PathBuf> {
    let found = env::var_os("PROX_ANSIBLE_LINT").map(PathBuf::from).filter(|path| path.is_file());
    if found.is_none() {
        skip("no ansible-lint; PROX_ANSIBLE_LINT names one, ./test.sh brings it");
    }
    found
}

#[test]
fn the_playbook_passes_the_production_profile() {
    let Some(linter) = linter() else { return };
    let project = Project::empty();
    project.ok(["init", "rack", "--yes", "--domain=rack.example", "--mask=24", "--gateway=192.0.2.1"]);
    let mut path = vec![linter.parent().unwrap().to_owned()];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));

    let mut command = project.command_of(&linter);
    command.args(["--offline", "--nocolor", "--profile", "production", "--strict", "setup-cluster.yml", "roles"]);
    // It calls the Ansible beside it, and keeps a cache in the home folder.
    command.current_dir(project.at("rack")).env("PATH", env::join_paths(path).unwrap()).env("HOME", project.path());
    let mut lint = Process::start(&mut command);
    let status = lint.wait();
    assert!(status.success(), "{}{}", lint.out.text(), lint.err.text());
    let said = lint.err.text();
    assert!(said.contains("Profile 'production' was required, and it passed"), "{said}");
}
