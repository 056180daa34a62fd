//! Who may be installed, with the real program: undo windows, tickets, bans, and the record of it all.

use serde_json::Value;

use super::rig::{Project, Settings, until};

/// No run starts by itself; decisions have these settings.
fn project(approval: &str) -> Project {
    let rest = format!("[approval]\n{approval}");
    Project::new(Settings { server: "", ansible: "start = \"by-hand\"", rest: &rest })
}

/// The words of `log --json` for one node, oldest first.
fn logged(project: &Project, args: &[&str]) -> Vec<Value> {
    let text = project.ok(["log", "--json"].iter().chain(args));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_decision_is_taken_back_and_given_again_at_once() {
    let project = project("undo_window = \"30s\"\n");
    let engine = project.serve();
    let rack = project.simulate(&engine, 1, &[]);
    project.until_all(1, "waiting");
    let said = project.ok(["approve", "m1"]);
    assert!(said.ends_with(" approved in 30 s, unless `undo` takes it back\n"), "{said}");
    let said = project.ok(["undo", "m1"]);
    assert!(said.contains("decision taken back"), "{said}");
    assert_eq!(project.run(["undo", "m1"]).code, Some(7), "nothing is left to take back");
    assert_eq!(project.node("m1")["phase"], "waiting");
    project.ok(["approve", "m1", "--now"]);
    project.until_phase("m1", "ready");
    drop(rack);
    drop(engine);

    // The record needs no engine, and says who.
    let said = project.ok(["log", "--node", "m1"]);
    for words in ["waits for approval", "approval taken back (by ", "approved (by ", "ready: answers SSH"] {
        assert!(said.contains(words), "`{words}` in {said}");
    }
    let events = logged(&project, &["--node", "m1"]);
    let who = &events.iter().find(|event| event["event"]["type"] == "approved").unwrap()["origin"]["person"];
    assert_eq!(who["from"], "a script here", "{who}");
    assert!(logged(&project, &["--since", "0s"]).is_empty());
    assert_eq!(project.run(["log", "--node", "nobody"]).code, Some(7));
}

#[test]
fn a_ticket_admits_what_waits_and_what_comes_and_closes() {
    let project = project("");
    let engine = project.serve();
    let _rack = project.simulate(&engine, 2, &[]);
    project.until_all(2, "waiting");
    let wrong = project.ok(["ticket", "new", "-n", "2", "--model", "No Such Box*"]);
    assert!(wrong.starts_with("ticket t1: good for 2 of No Such Box*, for 2h"), "{wrong}");
    project.ok(["ticket", "new", "-n", "3", "--model", "*", "--for", "10m"]);
    project.until_all(2, "ready");
    let listed: Value = serde_json::from_str(&project.ok(["ticket", "list", "--json"])).unwrap();
    let left: Vec<_> = listed["tickets"].as_array().unwrap().iter().map(|ticket| ticket["left"].clone()).collect();
    assert_eq!(left, [2, 1], "{listed}");
    project.ok(["ticket", "cancel", "t1"]);
    project.ok(["ticket", "cancel", "t2"]);
    assert_eq!(project.ok(["ticket", "list"]), "No ticket is open.\n");
    assert_eq!(project.run(["ticket", "cancel", "t2"]).code, Some(7));
    assert!(project.ok(["log", "--node", "m1"]).contains("approved by ticket t2"));
}

#[test]
fn everything_is_approved_where_that_is_written_and_it_is_said_loudly() {
    let project = project("auto = \"all\"\n");
    let engine = project.serve();
    engine.until_says("problem: DANGER: whatever machine asks is installed");
    let _rack = project.simulate(&engine, 2, &[]);
    project.until_all(2, "ready");
    assert!(project.ok(["log", "--node", "m2"]).contains("approved by `auto = \"all\"`"));
}

#[test]
fn a_banned_machine_is_refused_without_a_row_until_the_ban_is_lifted() {
    let project = project("");
    let engine = project.serve();
    let rack = project.simulate(&engine, 1, &[]);
    project.until_all(1, "waiting");
    project.ok(["ban", "m1", "--reason", "not ours"]);
    rack.until_did(1, "BANNED: not ours");
    assert!(project.nodes().is_empty());
    assert!(project.ok(["bans"]).contains("not ours"));
    drop(rack);
    let again = project.simulate(&engine, 1, &[]);
    again.until_did(1, "BANNED: not ours");
    assert!(project.nodes().is_empty());
    project.ok(["unban", "b1"]);
    drop(again);
    let _fresh = project.simulate(&engine, 1, &[]);
    until("it is a stranger", || (project.nodes().len() == 1).then_some(()));
}

#[test]
fn two_rows_become_one_and_two_again() {
    let project = project("");
    let engine = project.serve();
    let _rack = project.simulate(&engine, 2, &[]);
    project.until_all(2, "waiting");
    let said = project.ok(["merge", "m2", "m1"]);
    assert!(said.contains(" is part of "), "{said}");
    until("one is left", || (project.nodes().len() == 1).then_some(()));
    project.ok(["split", "m1"]);
    project.until_all(2, "waiting");
    assert_eq!(project.run(["split", "m1"]).code, Some(7), "it shows nothing else");
}
