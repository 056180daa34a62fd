//! The demo, hands free.

use std::process::Command;

/// Runs the demo without a console and returns what it said.
fn demo(options: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prox-orchestrator"));
    let output = command.args(["demo", "--plain", "-n", "2", "--speed", "200"]).args(options).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn it_ends_with_every_node_configured_and_leaves_no_folder_behind() {
    if crate::outside::ansibles().is_empty() {
        return;
    }
    let said = demo(&[]);
    assert!(said.ends_with("all 2 nodes are configured\n"), "{said}");
    let folder = said.split_whitespace().nth(2).unwrap();
    assert!(folder.contains("prox-orchestrator-demo-") && !std::path::Path::new(folder).exists(), "{folder}");
}

#[test]
fn scripted_it_says_so() {
    let said = demo(&["--scripted"]);
    assert!(said.contains("SCRIPTED") && said.ends_with("all 2 nodes are configured\n"), "{said}");
}
