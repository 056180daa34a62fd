//! Files that are edited while the engine runs: a good edit is in force at once, a bad one changes nothing and is told.

use std::fs;

use serde_json::Value;

use super::rig::{DEFAULT_TOML, Project, Settings, until};

/// Everything that is wrong with the running engine, with what to do.
fn problems(project: &Project) -> Vec<String> {
    let status: Value = serde_json::from_str(&project.ok(["status", "--json"])).unwrap();
    status["problems"].as_array().unwrap().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn until_told(project: &Project, words: &str) {
    until(&format!("a problem says `{words}`"), || {
        problems(project).iter().any(|told| told.contains(words)).then_some(())
    });
}

#[track_caller]
fn until_not_told(project: &Project, words: &str) {
    until(&format!("no problem says `{words}`"), || {
        problems(project).iter().all(|told| !told.contains(words)).then_some(())
    });
}

/// As editors save: a new file, put in the place of the old one.
fn replace(project: &Project, name: &str, text: &str) {
    project.write(&format!(".{name}.new"), text);
    fs::rename(project.at(&format!(".{name}.new")), project.at(name)).unwrap();
}

/// Lets one more waiting machine install, and returns the answer it was given.
fn install(project: &Project, id: &str) -> String {
    project.ok(["approve", id]);
    project.until_phase(id, "booting");
    let name = project.node(id)["name"].as_str().unwrap().to_owned();
    until("its answer is shown", || fs::read_to_string(project.at(&format!("nodes/{name}/answer.toml"))).ok())
}

#[test]
fn a_bad_edit_is_told_and_a_good_one_is_in_force() {
    let project = Project::new(Settings { ansible: "start = \"by-hand\"", ..Settings::default() });
    let engine = project.serve();
    until_not_told(&project, "default.toml:");
    let _rack = project.simulate(&engine, 4, &["--ssh", "none"]);
    project.until_all(4, "waiting");
    assert!(install(&project, "m1").contains("timezone = \"UTC\""));

    project.write("default.toml", &format!("{DEFAULT_TOML}\nfilesistem = \"ext4\"\n"));
    until_told(&project, "default.toml:16: unknown key `filesistem`");
    until_told(&project, "did you mean `filesystem`?");
    assert!(engine.process.err.text().contains("what was read before stays in force"), "the log has it");
    assert!(install(&project, "m2").contains("timezone = \"UTC\""), "the old answer");

    replace(&project, "default.toml", &DEFAULT_TOML.replace("\"UTC\"", "\"Europe/Vienna\""));
    until_not_told(&project, "default.toml:");
    assert!(install(&project, "m3").contains("timezone = \"Europe/Vienna\""), "the new answer");

    fs::remove_file(project.at("default.toml")).unwrap();
    until_told(&project, "default.toml: the file is gone or empty");
    assert!(install(&project, "m4").contains("timezone = \"Europe/Vienna\""), "not the built-in one");
}

#[test]
fn a_profile_that_is_removed_counts_until_it_has_been_gone_for_a_while() {
    let project = Project::new(Settings { ansible: "start = \"by-hand\"", ..Settings::default() });
    fs::create_dir(project.at("profiles")).unwrap();
    let profile = "[match]\n\"/product/product\" = \"pve\"\n[global]\ntimezone = \"Europe/Vienna\"\n";
    project.write("profiles/all.toml", profile);
    let engine = project.serve();
    let _rack = project.simulate(&engine, 2, &["--ssh", "none"]);
    project.until_all(2, "waiting");
    fs::remove_file(project.at("profiles/all.toml")).unwrap();
    until_told(&project, "profiles/all.toml: the file is gone");
    assert!(install(&project, "m1").contains("timezone = \"Europe/Vienna\""), "it may come back");
    until_not_told(&project, "profiles/all.toml");
    assert!(engine.process.err.text().contains("profiles/all.toml is gone, and no longer in force"), "the log has it");
    assert!(install(&project, "m2").contains("timezone = \"UTC\""));
}

#[test]
fn settings_are_taken_over_or_said_to_need_a_restart() {
    let project = Project::new(Settings { ansible: "start = \"by-hand\"", ..Settings::default() });
    let mut engine = project.serve();
    let good = project.read("config.toml");
    project.write("config.toml", &good.replace("machine_net_mask = \"8\"", "machine_net_mask = \"8x\""));
    until_told(&project, "config.toml:3: ");

    let new =
        good.replace("rack.example", "new.example").replace("listen = \"127.0.0.1:0\"", "listen = \"127.0.0.1:1\"");
    replace(&project, "config.toml", &new);
    until_not_told(&project, "config.toml:3: ");
    until_told(&project, "takes effect after a restart: `server.listen`");
    let _rack = project.simulate(&engine, 1, &["--ssh", "none"]);
    project.until_all(1, "waiting");
    let answer = install(&project, "m1");
    assert!(answer.contains(".new.example\""), "{answer}");

    replace(&project, "config.toml", &good);
    until_not_told(&project, "restart");
    engine.terminate();
}
