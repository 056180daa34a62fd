//! Runs with the real Ansible of every generation there is, against nodes with the simulator's own SSH server: nothing
//! they are told is executed anywhere.

use std::fs;
use std::path::Path;

use super::rig::{Engine, Project, Rack, Settings, ansibles, until};

/// Says hello, and waits in the middle until the test lets it go on. The gate is a file on this host.
const GATED: &str = "- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.raw: hostname
    - name: Wait for the test
      ansible.builtin.wait_for: {path: GATE, timeout: 120, sleep: 1}
      delegate_to: localhost
      connection: local
    - ansible.builtin.raw: uptime
";

/// A project whose runs use this Ansible and this playbook.
pub(crate) fn project(ansible: &Path, playbook: &str, more: &str) -> Project {
    let ansible = format!("command = \"{}\"\nplaybook = \"site.yml\"\ncountdown = \"0s\"\n{more}", ansible.display());
    let project = Project::new(Settings { server: "", ansible: &ansible, rest: "" });
    let gate = project.at("gate").display().to_string();
    project.write("site.yml", &playbook.replace("GATE", &gate));
    project
}

/// The same with the playbook that waits for the file `gate`.
pub(crate) fn gated(ansible: &Path) -> Project {
    project(ansible, GATED, "")
}

/// Starts machines and approves all of them.
pub(crate) fn approved(project: &Project, engine: &Engine, count: usize) -> Rack {
    let rack = project.simulate(engine, count, &[]);
    project.until_all(count, "waiting");
    let ids: Vec<_> = project.phases().into_keys().collect();
    project.ok(["approve"].into_iter().chain(ids.iter().map(String::as_str)));
    rack
}

/// Waits until a run is at the gate.
pub(crate) fn until_at_gate(project: &Project, run: &str) {
    let output = format!("nodes/runs/{run}/output.log");
    until(&format!("{run} waits for the test"), || {
        let text = fs::read_to_string(project.at(&output)).ok()?;
        text.contains("Wait for the test").then_some(())
    });
}

#[test]
fn every_ansible_configures_the_rack_by_itself_and_again_by_hand() {
    for ansible in ansibles() {
        let demo = include_str!("../../assets/demo.yml");
        let project = project(&ansible, demo, "expect = 2");
        let mut engine = project.serve();
        let _rack = approved(&project, &engine, 2);
        project.until_all(2, "configured");
        project.until_inventory(2, "configured");
        engine.until_says("run r1 on 2 nodes: every approved node is ready");
        engine.until_says("run r1 succeeded on 2 nodes");
        let output = project.read("nodes/runs/r1/output.log");
        assert!(output.contains("PLAY RECAP") && output.contains('\u{1b}'), "colours are kept: {output}");
        assert!(!output.contains("[WARNING]"), "{output}");

        let said = project.ok(["run", "m1"]);
        assert!(said.contains("r2"), "{said}");
        engine.until_says("run r2 succeeded on 1 nodes");
        assert_eq!(project.read("nodes/runs/r2/limit.txt").lines().count(), 1);
        assert_eq!((&project.node("m1")["last_run"], &project.node("m2")["last_run"]), (&"r2".into(), &"r1".into()));
        engine.terminate();
    }
}

#[test]
fn a_machine_that_comes_late_gets_a_run_of_its_own() {
    let Some(ansible) = ansibles().pop() else { return };
    let project = project(&ansible, include_str!("../../assets/demo.yml"), "");
    let engine = project.serve();
    let _first = approved(&project, &engine, 1);
    project.until_all(1, "configured");
    let _second = project.simulate(&engine, 1, &["--first", "2"]);
    project.until_phase("m2", "waiting");
    assert!(!engine.process.out.text().contains("run r2"), "a stranger starts nothing");
    project.ok(["approve", "m2"]);
    project.until_phase("m2", "configured");
    engine.until_says("run r2 on 1 nodes: came later");
    assert_eq!(project.node("m1")["last_run"], "r1");
    assert!(project.read("nodes/runs/r2/limit.txt").contains(project.node("m2")["name"].as_str().unwrap()));
}

#[test]
fn a_cancelled_run_leaves_no_process_and_can_be_repeated() {
    for ansible in ansibles() {
        let project = gated(&ansible);
        let engine = project.serve();
        let rack = approved(&project, &engine, 2);
        until_at_gate(&project, "r1");
        project.until_all(2, "configuring");
        assert_eq!(project.run(["run"]).code, Some(7), "one run at a time");
        assert_eq!(project.run(["forget", "m1"]).code, Some(7), "it is in use");
        let own = [engine.process.pid().as_raw(), rack.pid().as_raw()];
        let others = || project.processes().into_iter().filter(|(pid, _)| !own.contains(pid)).collect::<Vec<_>>();
        assert!(others().iter().any(|(_, line)| line.contains("ansible-playbook")), "{:?}", others());
        project.ok(["cancel"]);
        engine.until_says("run r1 cancelled");
        until("nothing of it is left", || others().is_empty().then_some(()));
        assert_eq!(project.run(["cancel"]).code, Some(7));
        let phases = project.phases();
        assert!(phases.values().all(|phase| phase == "ready" || phase == "failed"), "{phases:?}");
        assert!(!engine.process.out.text().contains("run r2"), "the gate does not open twice for one set");

        project.write("gate", "");
        project.ok(["run"]);
        engine.until_says("run r2 succeeded");
        project.until_all(2, "configured");
    }
}

#[test]
fn a_task_that_fails_is_named_in_the_row() {
    let Some(ansible) = ansibles().pop() else { return };
    let playbook = "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: Break on purpose\n      ansible.builtin.fail: \
                    {msg: the test wants it}\n      when: inventory_hostname == groups['all'] | sort | first\n";
    let project = project(&ansible, playbook, "expect = 2");
    let engine = project.serve();
    let _rack = approved(&project, &engine, 2);
    let line = engine.until_says("run r1 failed");
    assert!(line.contains("1 of 2"), "{line}");
    let failed: Vec<_> = project.nodes().into_iter().filter(|node| node["phase"] == "failed").collect();
    assert_eq!((failed.len(), project.phases().values().filter(|phase| *phase == "configured").count()), (1, 1));
    let reason = failed[0]["reason"].as_str().unwrap();
    assert!(reason.contains("Break on purpose") && reason.contains("the test wants it"), "{reason}");
}

#[test]
fn a_missing_ansible_or_playbook_is_explained() {
    let project = project(Path::new("/nonexistent/ansible-playbook"), "", "");
    let mut engine = project.serve();
    let _rack = approved(&project, &engine, 1);
    let line = engine.until_says("run r1 not started");
    assert!(line.contains("/nonexistent/ansible-playbook"), "{line}");
    project.until_phase("m1", "ready");
    engine.terminate();

    let Some(ansible) = ansibles().pop() else { return };
    let config = project.read("config.toml").replace("/nonexistent/ansible-playbook", ansible.to_str().unwrap());
    project.write("config.toml", &config);
    fs::remove_file(project.at("site.yml")).unwrap();
    let engine = project.serve();
    project.ok(["run"]);
    let line = engine.until_says("run r2 not started");
    assert!(line.contains("site.yml"), "{line}");
}

#[test]
fn a_run_outlives_its_engine_and_is_followed_to_its_end() {
    let Some(ansible) = ansibles().pop() else { return };
    let project = gated(&ansible);
    let mut engine = project.serve();
    let _rack = approved(&project, &engine, 1);
    until_at_gate(&project, "r1");
    engine.terminate();
    // It ends while no engine is there.
    project.write("gate", "");
    until("it has ended", || project.at("nodes/runs/r1/exit.json").exists().then_some(()));
    let engine = project.serve();
    engine.until_says("run r1 succeeded");
    project.until_phase("m1", "configured");
}
