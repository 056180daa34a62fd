//! Tokens from their making to their end, with real media: machines of the newest release and of an older one.

use serde_json::Value;

use super::rig::{Project, Settings, until};

const REQUIRED: Settings<'static> =
    Settings { server: "hold = \"2s\"", ansible: "start = \"by-hand\"", rest: "[approval]\nrequire_token = true" };

/// Makes a token and returns it whole.
fn new_token(project: &Project, name: &str) -> String {
    let made: Value = serde_json::from_str(&project.ok(["token", "new", name, "--json"])).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

#[test]
fn media_with_a_token_ask_and_others_are_told_so() {
    let project = Project::new(REQUIRED);
    // One is made before the engine runs, the other while it does.
    let newest = new_token(&project, "newest");
    let engine = project.serve();
    let older = new_token(&project, "older");

    let without = project.simulate(&engine, 1, &["--release", "9.2"]);
    without.until_did(1, "TOKEN NOT ACCEPTED");
    assert!(project.nodes().is_empty());
    drop(without);

    let token = format!("--token={newest}");
    let first = project.simulate(&engine, 1, &["--release", "9.2", &token]);
    project.until_phase("m1", "waiting");
    let url = engine.url.replacen("://", &format!("://{older}@"), 1);
    let options = ["--release", "8.4", "--seed", "9"];
    let second = project.simulate_at(&url, engine.fingerprint.as_deref(), 1, &options);
    project.until_phase("m2", "waiting");
    let tokens = ["m1", "m2"].map(|id| project.node(id)["token"].as_str().unwrap_or_default().to_owned());
    assert_eq!(tokens, ["newest", "older"]);
    assert!(project.ok(["show", "m2"]).contains("token        older"));
    let listed = project.ok(["token", "list"]);
    assert_eq!(listed.lines().filter(|line| line.ends_with(" 1")).count(), 2, "{listed}");

    project.ok(["approve", "m1"]);
    project.until_phase("m1", "ready");
    project.ok(["token", "revoke", "older"]);
    second.until_did(1, "TOKEN NOT ACCEPTED");
    until("it is seen", || project.ok(["status"]).contains("no such token").then_some(()));
    assert_eq!(project.node("m2")["phase"], "waiting", "it has its row, and gets no answer");
    drop((first, second));
}

#[test]
fn what_is_no_token_is_told_in_words() {
    let project = Project::new(REQUIRED);
    for (args, code, words) in [
        (&["token", "new", "Rack A"][..], 2, "lower-case letters"),
        (&["token", "new", "a", "--expires", "soon"], 2, "`12h` or `30d`"),
        (&["token", "revoke", "nobody"], 7, "`prox-orchestrator token list` lists them"),
    ] {
        let ran = project.run(args);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.err.contains(words), "{ran:?}");
    }
    assert!(project.ok(["token", "list"]).starts_with("There is no token; "));
    new_token(&project, "a");
    let ran = project.run(["token", "new", "a"]);
    assert!(ran.code == Some(7) && ran.err.contains("revoke it first"), "{ran:?}");
}
