//! Layers of an answer, with the program and simulated machines: profiles, overrides, names by template.

use std::fs;

use serde_json::Value;

use super::rig::{DEFAULT_TOML, Project, Settings, until};

fn project() -> Project {
    Project::new(Settings { ansible: "start = \"by-hand\"", ..Settings::default() })
}

fn write(project: &Project, name: &str, text: &str) {
    fs::create_dir_all(project.at(name).parent().unwrap()).unwrap();
    project.write(name, text);
}

fn name(project: &Project, id: &str) -> String {
    project.node(id)["name"].as_str().unwrap().to_owned()
}

/// Lets a waiting machine install, and returns the answer it was given.
fn install(project: &Project, id: &str) -> String {
    project.ok(["approve", id]);
    project.until_phase(id, "booting");
    let name = name(project, id);
    until("its answer is shown", || fs::read_to_string(project.at(&format!("nodes/{name}/answer.toml"))).ok())
}

/// A folder whose machines are `pve`, with a profile for them and one for nobody here.
const PROFILE: &str = "[match]\n\"/product/product\" = \"p?e\"\n[global]\ntimezone = \"Europe/Vienna\"\n";

#[test]
fn a_profile_and_an_override_change_the_answer_of_their_machines() {
    let project = project();
    write(&project, "profiles/all.toml", PROFILE);
    write(&project, "profiles/backup.toml", &PROFILE.replace("p?e", "pbs").replace("Vienna", "Berlin"));
    let engine = project.serve();
    let _rack = project.simulate(&engine, 3, &["--ssh", "none"]);
    project.until_all(3, "waiting");

    let own = format!("nodes/{}/override.toml", name(&project, "m2"));
    write(&project, &own, "[global]\ncountry = \"at\"\n[disk-setup]\nfilesystem = \"xfs\"\n");
    assert!(install(&project, "m1").contains("timezone = \"Europe/Vienna\""));
    let answer = install(&project, "m2");
    for line in ["country = \"at\"", "timezone = \"Europe/Vienna\"", "filesystem = \"xfs\""] {
        assert!(answer.contains(line), "{line} in {answer}");
    }

    // What was meant to spare a disk is never passed over: no answer, and the row says why.
    let own = format!("nodes/{}/override.toml", name(&project, "m3"));
    write(&project, &own, "[disk-setup]\nfilesistem = \"xfs\"\n");
    project.ok(["approve", "m3"]);
    let flags = until("the row says why", || {
        let flags = project.node("m3")["flags"].to_string();
        flags.contains("cannot_answer").then_some(flags)
    });
    assert!(flags.contains("override.toml:2: unknown key `filesistem`"), "{flags}");
    let check = project.run(["check"]);
    assert_eq!(check.code, Some(3), "{check:?}");
    assert!(check.out.contains("override.toml:2:1"), "{}", check.out);
    write(&project, &own, "[disk-setup]\nfilesystem = \"xfs\"\n");
    project.until_phase("m3", "booting");
}

#[test]
fn a_bad_profile_is_told_and_changes_nothing() {
    let project = project();
    let engine = project.serve();
    let _rack = project.simulate(&engine, 2, &["--ssh", "none"]);
    project.until_all(2, "waiting");
    write(&project, "profiles/all.toml", PROFILE);
    assert!(project.ok(["check"]).contains("all.toml: ok"));
    until("the new profile is in force", || {
        engine.process.err.text().contains("profiles was read again").then_some(())
    });
    let bad = "[match]\n\"/dmi/system/nam\" = \"*\"\n";
    project.write("profiles/bad.toml", bad);
    let problems = until("the problem is shown", || {
        let status: Value = serde_json::from_str(&project.ok(["status", "--json"])).unwrap();
        let problems = status["problems"].to_string();
        problems.contains("profiles/bad.toml:2: ").then_some(problems)
    });
    assert!(problems.contains("did you mean `/dmi/system/name`?"), "{problems}");
    assert!(install(&project, "m1").contains("Europe/Vienna"), "the profiles from before");
    let check = project.run(["check", "profiles/bad.toml"]);
    assert_eq!((check.code, check.out.contains("bad.toml:2:1")), (Some(3), true), "{check:?}");
    drop(engine);
    let start = project.run(["serve"]);
    assert_eq!(start.code, Some(3), "{start:?}");
    assert!(start.err.contains("`/dmi/system/nam` is nothing that a machine sends"), "{}", start.err);
}

#[test]
fn machines_are_named_by_a_template_and_keep_their_number() {
    let project = project();
    let fqdn = "[global]\nfqdn = \"{{ machine.product.product }}{{ counter('rack', start=7, width=2) }}.r7.example\"";
    let base = DEFAULT_TOML.replacen("[global]", fqdn, 1);
    project.write("default.toml", &base.replace("root@localhost", "{{ node.host }}@{{ node.domain }}"));
    let mut engine = project.serve();
    let rack = project.simulate(&engine, 3, &["--ssh", "none"]);
    project.until_all(3, "waiting");
    let names = || {
        let mut names: Vec<_> = project.nodes().iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let expected = ["pve07.r7.example", "pve08.r7.example", "pve09.r7.example"];
    assert_eq!(names(), expected);
    let id = |wanted: &str| {
        let nodes = project.nodes();
        nodes.iter().find(|node| node["name"] == wanted).unwrap()["id"].as_str().unwrap().to_owned()
    };
    assert!(install(&project, &id("pve08.r7.example")).contains("mailto = \"pve08@r7.example\""));
    drop(rack);
    engine.terminate();

    // After a restart the numbers are still theirs, and a forgotten one is given again.
    let engine = project.serve();
    project.ok(["forget", "pve07"]);
    let _rack = project.simulate(&engine, 4, &["--ssh", "none"]);
    until("all four have names", || (names().len() == 4).then_some(()));
    assert_eq!(names(), ["pve07.r7.example", "pve08.r7.example", "pve09.r7.example", "pve10.r7.example"]);
}

#[test]
fn an_answer_is_explained_before_and_after_it_was_given() {
    let project = project();
    write(&project, "profiles/all.toml", PROFILE);
    let mut engine = project.serve();
    let rack = project.simulate(&engine, 2, &["--ssh", "none"]);
    project.until_all(2, "waiting");
    let explained = project.ok(["answer", "show", "m1", "--explain"]);
    for line in [
        "# profile all (its own rule)",
        "global.timezone = \"Europe/Vienna\"   (profile: profiles/all.toml:4)",
        "    instead of \"UTC\"   (default: ",
        "global.root_password = \"…\"   (default: ",
        "network.gateway = \"127.0.0.254\"   (program: `machine_net_gateway`)",
    ] {
        assert!(explained.contains(line), "{line} in {explained}");
    }
    assert!(!explained.contains("test-password"), "{explained}");
    assert!(project.ok(["answer", "show", "m1", "--diff"]).contains("no answer was released yet"));
    let waiting = project.ok(["answer", "show", "m1"]);
    let given = install(&project, "m1");
    // But for the comments on top, it is the answer that was given.
    assert!(waiting.ends_with(&given), "{waiting}\n---\n{given}");
    assert!(project.ok(["answer", "show", "m1", "--diff"]).contains("no difference"));

    let chosen = project.ok(["profile", "set", "m1", "--none"]);
    assert!(chosen.contains("gets no profile"), "{chosen}");
    let diff = project.ok(["answer", "show", "m1", "--diff"]);
    assert!(diff.contains("-timezone = \"Europe/Vienna\"\n+timezone = \"UTC\"\n"), "{diff}");
    assert!(diff.contains("# would wipe /dev/"), "the report says what is in it: {diff}");
    project.ok(["profile", "set", "m1", "nothing"]);
    let missing = project.run(["answer", "show", "m1"]);
    assert_eq!(missing.code, Some(7));
    assert!(missing.out.contains("there is no profile `nothing`, which the operator names"), "{missing:?}");
    project.ok(["profile", "set", "m1", "--auto"]);

    let name = name(&project, "m1");
    let reinstall = project.ok(["reinstall", "m1", "--confirm", &name]);
    assert!(reinstall.contains("would wipe /dev/"), "{reinstall}");
    drop(rack);
    engine.terminate();
    let offline = project.ok(["answer", "show", "m1", "--explain"]);
    assert!(offline.contains("(profile: profiles/all.toml:4)"), "{offline}");

    // The certificate is known without an engine; where the machine would ask is not, and is said so.
    let diff = project.ok(["answer", "show", "m1", "--diff"]);
    assert!(diff.contains("# no difference to the answer of "), "{diff}");
    assert!(diff.contains("# where it reports to is not compared: "), "{diff}");
    project.write("profiles/all.toml", &PROFILE.replace("Vienna", "Berlin"));
    let diff = project.ok(["answer", "show", "m1", "--diff"]);
    let changed: Vec<_> = diff.lines().filter(|line| line.starts_with(['+', '-'])).skip(2).collect();
    assert_eq!(changed, ["-timezone = \"Europe/Vienna\"", "+timezone = \"Europe/Berlin\""], "{diff}");
}

#[test]
fn a_profile_is_made_from_a_machine() {
    let project = project();
    let engine = project.serve();
    let _rack = project.simulate(&engine, 1, &["--ssh", "none"]);
    project.until_all(1, "waiting");
    let written = project.ok(["profile", "new", "m1", "mine", "--match", "/dmi/system/serial"]);
    assert!(written.starts_with("wrote profiles/mine.toml"), "{written}");
    assert!(project.ok(["check"]).contains("mine.toml: ok"));
    until("it is its machine's", || project.ok(["answer", "show", "m1"]).contains("# profile mine").then_some(()));
    let again = project.run(["profile", "new", "m1", "mine"]);
    assert_eq!((again.code, again.err.contains("is there already")), (Some(7), true), "{again:?}");
}
