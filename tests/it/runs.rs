//! Runs with the real Ansible of every generation there is, against nodes with the simulator's own SSH server: nothing
//! they are told is executed anywhere.

use std::fs;
use std::path::Path;

use super::outside::ansibles;
use super::rig::{Engine, Project, Rack, Settings, until};

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
        engine.until_says("run r2 succeeded on 1 node");
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
    engine.until_says("run r2 on 1 node: came later");
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

/// A callback of the user's own, which writes down what it is told of.
const OWN_CALLBACK: &str = "
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'notification'
    CALLBACK_NAME = 'own'
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_stats(self, stats):
        with open('own-callback', 'w') as file:
            file.write(' '.join(sorted(stats.processed)))
";

/// Keeps a secret, in a loop and in a failure too, and starts an Ansible of its own.
const SECRETIVE: &str = "- hosts: all
  gather_facts: false
  vars: {ansible_connection: local, ansible_python_interpreter: /usr/bin/python3}
  tasks:
    - ansible.builtin.command: echo hush-plain
      no_log: true
    - ansible.builtin.command: echo {{ item }}
      loop: [hush-item]
      no_log: true
    - ansible.builtin.command: cat /hush-missing
      no_log: true
      ignore_errors: true
    - ansible.builtin.command:
        argv: [ANSIBLE, -i, inner.json, --connection, local, inner.yml]
        chdir: FOLDER
";

#[test]
fn secrets_stay_secret_and_the_users_own_callbacks_work() {
    for ansible in ansibles() {
        let project = project(&ansible, "", "");
        let playbook = SECRETIVE.replace("ANSIBLE", ansible.to_str().unwrap());
        project.write("site.yml", &playbook.replace("FOLDER", project.path().to_str().unwrap()));
        project.write("inner.json", r#"{"all": {"hosts": {"inner.lab": {}}}}"#);
        project.write("ansible.cfg", "[defaults]\ncallback_plugins = ./own\ncallbacks_enabled = own\n");
        fs::create_dir(project.at("own")).unwrap();
        project.write("own/own.py", OWN_CALLBACK);
        project.write("inner.yml", "- {hosts: all, gather_facts: false, tasks: [{debug: {msg: inner}}]}\n");
        let engine = project.serve();
        let _rack = approved(&project, &engine, 1);
        let line = engine.until_says("run r1 ");
        let line = if line.contains("on 1 node:") { engine.until_says("run r1 s") } else { line };
        assert!(line.contains("succeeded"), "{line}\n{}", project.read("nodes/runs/r1/output.log"));
        let own = fs::read_to_string(project.at("own-callback"));
        assert_eq!(own.unwrap(), project.node("m1")["name"].as_str().unwrap());
        let events = project.read("nodes/runs/r1/events.jsonl");
        assert!(events.contains("\"censored\": true") && events.contains("\"host_failed\""), "{events}");
        assert_eq!(events.matches("\"ev\": \"playbook_start\"").count(), 1, "the inner one is none of ours: {events}");
        let shown = project.ok(["runs", "show", "r1", "--json"]);
        for text in [events, shown, project.read("nodes/runs/r1/record.json"), engine.process.err.text()] {
            assert!(!text.contains("hush-"), "{text}");
        }
    }
}

#[test]
fn a_run_without_the_plugin_is_judged_by_its_output() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(ansible) = ansibles().pop() else { return };
    let project = project(&ansible, include_str!("../../assets/demo.yml"), "");
    let script = format!("#!/bin/sh\nunset PROX_EVENTS\nexec \"{}\" \"$@\"\n", ansible.display());
    project.write("wrapper", &script);
    fs::set_permissions(project.at("wrapper"), fs::Permissions::from_mode(0o755)).unwrap();
    let config =
        project.read("config.toml").replace(ansible.to_str().unwrap(), project.at("wrapper").to_str().unwrap());
    project.write("config.toml", &config);
    let engine = project.serve();
    let _rack = approved(&project, &engine, 1);
    engine.until_says("run r1 succeeded");
    project.until_all(1, "configured");
    assert!(!project.at("nodes/runs/r1/events.jsonl").exists());
    let record: serde_json::Value = serde_json::from_str(&project.read("nodes/runs/r1/record.json")).unwrap();
    assert_eq!(record["end"]["outcome"], "succeeded");
}

#[test]
fn a_task_that_cannot_be_begun_at_is_named_and_the_node_stays_where_it_was() {
    let Some(ansible) = ansibles().pop() else { return };
    let project = project(&ansible, include_str!("../../assets/demo.yml"), "");
    let engine = project.serve();
    let _rack = approved(&project, &engine, 1);
    engine.until_says("run r1 succeeded");
    project.until_all(1, "configured");
    project.ok(["run", "--start-at", "nowhere"]);
    let line = engine.until_says("run r2 not started");
    assert!(line.contains("No matching task \"nowhere\"") && line.contains("--list-tasks"), "{line}");
    project.ok(["run", "--tags", "nosuch"]);
    let line = engine.until_says("run r3 not started");
    assert!(line.contains("none is left with these tags (nosuch)"), "{line}");
    project.until_all(1, "configured");
}

#[test]
fn nodes_are_installed_with_the_key_that_ansible_logs_in_with() {
    let Some(ansible) = ansibles().pop() else { return };
    let project = project(&ansible, include_str!("../../assets/demo.yml"), "private_key = \"mine\"");
    let mut keygen = std::process::Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "anna@desk", "-f"]).arg(project.at("mine"));
    assert!(keygen.status().unwrap().success());
    let engine = project.serve();
    let _rack = approved(&project, &engine, 1);
    engine.until_says("run r1 succeeded");
    let name = project.node("m1")["name"].as_str().unwrap().to_owned();
    let (answer, public) = (project.read(&format!("nodes/{name}/answer.toml")), project.read("mine.pub"));
    assert!(answer.contains(public.split(' ').nth(1).unwrap()), "{answer}");
    assert!(project.read("nodes/runs/r1/argv.json").contains("mine\""));
    // A profile that gives other keys would lock Ansible out.
    fs::create_dir(project.at("profiles")).unwrap();
    project.write("profiles/other.toml", "[global]\nroot-ssh-keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA x\"]\n");
    let ran = project.run(["ansible", "check"]);
    assert!(ran.code != Some(0) && ran.out.contains("`root-ssh-keys` in profiles/other.toml"), "{ran:?}");
}

#[test]
fn what_a_run_lacked_is_seen_when_it_is_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = project(Path::new("/nonexistent/ansible-playbook"), "- hosts: all\n", "");
    let place = project.at("bin/ansible-playbook");
    let config = project.read("config.toml").replace("/nonexistent/ansible-playbook", place.to_str().unwrap());
    project.write("config.toml", &config);
    let _engine = project.serve();
    let told = || project.ok(["status", "--json"]);
    until("its absence is told", || told().contains("cannot find `").then_some(()));
    fs::create_dir(project.at("bin")).unwrap();
    for name in ["ansible-playbook", "ansible-inventory", "ansible-config"] {
        project.write(&format!("bin/{name}"), "#!/bin/sh\necho 'ansible-playbook [core 2.19.0]'\n");
        fs::set_permissions(project.at(&format!("bin/{name}")), fs::Permissions::from_mode(0o755)).unwrap();
    }
    until("its presence is seen", || (!told().contains("cannot find `")).then_some(()));
}
