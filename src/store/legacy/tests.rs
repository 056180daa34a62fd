//! Inventories of other makes.

use std::os::unix::fs::symlink;

use rstest::rstest;
use tempfile::TempDir;

use super::*;
use crate::store::fixtures::{at, fqdn};
use crate::store::{ProjectionSettings, inventory};

fn folder(inventory: Option<&str>) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let nodes = dir.path().join("nodes");
    fs::create_dir(&nodes).unwrap();
    if let Some(inventory) = inventory {
        fs::write(nodes.join(INVENTORY_FILE), inventory).unwrap();
    }
    (dir, nodes)
}

fn ours() -> String {
    let settings = ProjectionSettings { ansible_user: "root".to_owned(), ssh_port: 22, private_key: None };
    String::from_utf8(inventory(&crate::domain::Fleet::default(), 3, &settings).unwrap()).unwrap()
}

#[test]
fn the_old_shape_is_read() {
    let (dir, _) =
        folder(Some(r#"{"Node-B.example.com":"installed","a.b":"asked \u001b[31m","no name":"x","short":"x"}"#));
    let found = find_legacy(dir.path()).unwrap().unwrap();
    assert_eq!(found, [(fqdn("a.b"), "asked [31m".into()), (fqdn("node-b.example.com"), "installed".into())]);
}

#[rstest]
#[case(None)]
#[case(Some(""))]
#[case(Some("{}"))]
#[case(Some("{\"a.b\":"))]
#[case(Some("[\"a.b\"]"))]
#[case(Some("{\"_meta\":{},\"pve\":{\"hosts\":[\"a.b\"]}}"))]
#[case(Some("{\"not a name\":\"installed\"}"))]
fn anything_else_is_not_imported(#[case] inventory: Option<&str>) {
    let (dir, _) = folder(inventory);
    assert_eq!(find_legacy(dir.path()).unwrap(), None);
}

#[test]
fn ours_is_neither_imported_nor_kept() {
    let (dir, nodes) = folder(Some(&ours()));
    assert_eq!(find_legacy(dir.path()).unwrap(), None);
    assert_eq!(keep_original(&nodes, at(0)).unwrap(), None);
    fs::remove_file(nodes.join(INVENTORY_FILE)).unwrap();
    assert_eq!(keep_original(&nodes, at(0)).unwrap(), None);
}

#[rstest]
#[case("{\"a.b\":\"installed\"}")]
#[case("[web]\na.b ansible_user=admin\n")]
#[case("")]
#[case("{\"all\":{\"vars\":{\"prox_orchestrator\":{\"generated_by\":\"somebody\"}}}}")]
fn whatever_is_not_ours_is_kept_under_a_name_of_its_own(#[case] inventory: &str) {
    let (_dir, nodes) = folder(Some(inventory));
    let first = keep_original(&nodes, at(0)).unwrap().unwrap();
    let second = keep_original(&nodes, at(0)).unwrap().unwrap();
    assert_eq!(first.file_name().unwrap(), "dynamic-inventory.json.20231114T221320Z.orig");
    assert_eq!(second.file_name().unwrap(), "dynamic-inventory.json.20231114T221320Z-1.orig");
    assert_eq!(fs::read_to_string(&first).unwrap(), inventory);
    assert_eq!(fs::read_to_string(&second).unwrap(), inventory);
}

#[test]
fn a_link_is_kept_as_a_link_and_a_folder_is_an_error() {
    let (dir, nodes) = folder(None);
    fs::write(dir.path().join("mine"), "a.b").unwrap();
    symlink("../mine", nodes.join(INVENTORY_FILE)).unwrap();
    let kept = keep_original(&nodes, at(0)).unwrap().unwrap();
    assert_eq!(kept.read_link().unwrap(), Path::new("../mine"));
    fs::remove_file(nodes.join(INVENTORY_FILE)).unwrap();
    fs::create_dir(nodes.join(INVENTORY_FILE)).unwrap();
    assert!(keep_original(&nodes, at(0)).is_err());
    assert_eq!(find_legacy(dir.path()).unwrap(), None);
}

#[test]
fn a_pipe_does_not_stall_it() {
    let (dir, nodes) = folder(None);
    nix::unistd::mkfifo(&nodes.join(INVENTORY_FILE), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(find_legacy(dir.path()).unwrap(), None);
    assert!(keep_original(&nodes, at(0)).unwrap().is_some());
}
