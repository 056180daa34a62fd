//! The whole job with every real part: the console in a terminal, machines over TLS, an sshd for each of them, Ansible;
//! and the whole job once more through kill -9.
//!
//! The nodes' sshd processes let Ansible onto this very host, so the playbook only looks, and writes below the test's
//! own folder.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::outside::ansibles;
use super::rig::{Project, Rack, Settings, sshd, until};
use super::runs::{approved, gated, until_at_gate};
use super::terminal::Console;

/// Runs Python on every node, waits for the test in the middle, and leaves a file per node as proof.
const PLAYBOOK: &str = "- hosts: pve
  gather_facts: false
  tasks:
    - ansible.builtin.ping:
    - ansible.builtin.setup: {gather_subset: [min]}
    - name: Wait for the test
      ansible.builtin.wait_for: {path: FOLDER/gate, timeout: 120, sleep: 1}
    - ansible.builtin.copy:
        content: \"{{ ansible_facts['os_family'] }} {{ status }}\\n\"
        dest: \"FOLDER/proof/{{ inventory_hostname }}\"
        mode: '0600'
";

/// URL and fingerprint from the Setup tab, as a technician would copy them.
fn served(console: &Console) -> (String, String) {
    console.press("4");
    console.until_shows("--cert-fingerprint");
    let text: String = console.text().lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let url = text.split_whitespace().find(|word| word.starts_with("https://") && word.ends_with("/answer"));
    let url = url.unwrap_or_else(|| panic!("no URL in {text}")).to_owned();
    // It is longer than a line: the shell's quotes and line ends stand in between.
    let pairs = text.split("--cert-fingerprint").nth(1).unwrap();
    let hex: String = pairs.chars().filter(|c| c.is_ascii_hexdigit() || *c == ':').take(32 * 3 - 1).collect();
    console.press("1");
    console.until("is back at the table", |text| !text.contains("--cert-fingerprint"));
    (url, hex)
}

/// Machines for a console.
fn plug_in(project: &Project, console: &Console, count: usize, options: &[&str]) -> Rack {
    let (url, fingerprint) = served(console);
    project.simulate_at(&url, Some(&fingerprint), count, options)
}

/// The rows of the node table that are in this phase.
fn rows(text: &str, phase: &str) -> usize {
    text.lines().filter(|line| line.contains("pve-") && line.split_whitespace().any(|word| word == phase)).count()
}

#[test]
fn six_machines_from_the_first_request_to_configured_through_a_power_cut() {
    let (Some(sshd), Some(ansible)) = (sshd(), ansibles().pop()) else { return };
    let command = format!("command = \"{}\"\nplaybook = \"site.yml\"\nexpect = 6", ansible.display());
    let project = Project::new(Settings { server: "hold = \"5s\"", ansible: &command, rest: "" });
    let folder = project.path().to_str().unwrap();
    project.write("site.yml", &PLAYBOOK.replace("FOLDER", folder));
    fs::create_dir(project.at("proof")).unwrap();
    let console = Console::start(&project, &[]);
    console.until_shows("prox-orchestrator");
    assert!(console.is_taken());

    // Six machines ask. Two are approved while they are held; they never ask twice.
    let (sshd, keys) = (sshd.to_str().unwrap(), project.at("sshd"));
    let options = ["--ssh", sshd, "--ssh-dir", keys.to_str().unwrap(), "--reboot-time", "1s", "--install-time", "2s"];
    let rack = plug_in(&project, &console, 6, &options);
    console.until("has six waiting rows", |text| rows(text, "waiting") == 6);
    for approvals in 1..=2 {
        console.press("n");
        console.press("a");
        console.until("has one more row approved", |text| rows(text, "waiting") == 6 - approvals);
    }
    rack.until_did(2, "installs pve-");
    assert!(!rack.text().contains("asks again"), "they were answered while they were held:\n{}", rack.text());

    // The others are sent to ask again, and approved after that.
    rack.until_did(4, "approve in console");
    for approvals in 3..=6 {
        console.press("n");
        console.press("a");
        console.until("has one more row approved", |text| rows(text, "waiting") == 6 - approvals);
    }
    rack.until_did(6, "reported: 200");
    rack.until_did(6, "answers SSH on");

    // In the middle of the run the power goes.
    until_at_gate(&project, "r1");
    console.until("shows six rows being configured", |text| rows(text, "configuring") == 6);
    project.until_inventory(6, "configuring");
    let (before, inventory) = (project.nodes(), project.read("nodes/dynamic-inventory.json"));
    console.kill();
    let mut console = Console::start(&project, &[]);
    console.until("shows six rows being configured", |text| rows(text, "configuring") == 6);
    assert_eq!(project.nodes(), before, "the same table");
    assert_eq!(project.read("nodes/dynamic-inventory.json"), inventory, "the same inventory");

    // The run went on; it is followed to its end.
    project.write("gate", "");
    console.until("shows six configured rows", |text| rows(text, "configured") == 6);
    project.until_inventory(6, "configured");
    assert_eq!(fs::read_dir(project.at("proof")).unwrap().count(), 6, "Ansible was on every node");
    console.press("2");
    console.until("tells of one run", |text| text.contains("succeeded") && !text.contains("r2"));
    console.press("q");
    assert_eq!(console.wait(), 0);
    until("the terminal is given back", || console.is_restored().then_some(()));
    let figures = rack.switch_off();
    let counts = ["installations", "debug shells", "reports accepted"].map(|what| figures.count(what));
    assert_eq!((figures.code, counts), (Some(0), [6, 0, 6]), "{}", figures.text);
}

#[test]
fn a_run_that_died_with_its_engine_is_marked_interrupted() {
    let Some(ansible) = ansibles().pop() else { return };
    let project = gated(&ansible);
    let engine = project.serve();
    let rack = approved(&project, &engine, 2);
    until_at_gate(&project, "r1");
    project.until_all(2, "configuring");
    engine.kill();
    until("all of the run is dead", || {
        let left: Vec<_> = project.processes().into_iter().filter(|(pid, _)| *pid != rack.pid().as_raw()).collect();
        for (pid, _) in &left {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        left.is_empty().then_some(())
    });
    let engine = project.serve();
    engine.until_says("run r1 interrupted");
    let phases = project.phases();
    assert!(phases.values().all(|phase| phase != "configuring" && phase != "configured"), "{phases:?}");
    project.write("gate", "");
    project.ok(["run"]);
    project.until_all(2, "configured");
}

#[test]
fn the_terminal_is_given_back_on_every_way_out() {
    let by_hand = Settings { ansible: "start = \"by-hand\"", ..Settings::default() };
    for signal in [None, Some(Signal::SIGTERM), Some(Signal::SIGHUP)] {
        let project = Project::new(by_hand);
        let mut console = Console::start(&project, &[]);
        console.until_shows("Nodes");
        assert!(console.is_taken() && !console.is_restored());
        let rack = plug_in(&project, &console, 2, &["--reboot-time", "10m"]);
        console.until("has two waiting rows", |text| rows(text, "waiting") == 2);
        if let Some(signal) = signal {
            console.signal(signal);
        } else {
            console.press("q");
            console.until_shows("Leave?");
            console.until_shows("2 machines on hold");
            console.press("n");
            console.until("is back at the table", |text| !text.contains("Leave?"));
            console.press("q");
            console.until_shows("Leave?");
            console.press("y");
        }
        assert_eq!(console.wait(), 0, "{signal:?}");
        until("the terminal is given back", || console.is_restored().then_some(()));
        rack.until_did(2, "reboots");
        let figures = rack.switch_off();
        assert_eq!(figures.count("debug shells"), 0, "held machines were answered first: {}", figures.text);
    }
}

#[test]
fn the_table_is_worked_with_keys() {
    let project = Project::new(Settings { ansible: "start = \"by-hand\"", ..Settings::default() });
    let mut console = Console::start(&project, &[]);
    console.until_shows("Nodes");
    let rack = plug_in(&project, &console, 2, &[]);
    console.until("has two waiting rows", |text| rows(text, "waiting") == 2);
    let code = project.node("m1")["claim_code"].as_str().unwrap().to_owned();
    console.until_shows(&code);

    console.press("ne");
    console.until_shows("rack.example");
    console.press("\u{15}");
    console.press("db-1.rack.example");
    console.press("\r");
    console.until("shows the new name in the table", |text| {
        text.lines().any(|line| line.contains("db-1.rack.example") && line.contains("waiting"))
    });
    console.press("x");
    console.until("asks for a reason", |text| text.to_lowercase().contains("reject"));
    console.press("not ours");
    console.press("\r");
    console.until("shows it rejected", |text| {
        text.lines().any(|line| line.contains("db-1.rack.example") && line.contains("rejected"))
    });
    rack.until_did(1, "403");
    console.press("na");
    rack.until_did(1, "reported: 200");
    console.until("shows the other one ready", |text| rows(text, "ready") == 1);
    console.press("?");
    console.until_shows("let the machine be installed: its disks are wiped");
    console.press("\u{1b}");
    console.until_shows("STATE");
    console.press("3");
    console.until("shows the log", |text| !text.contains("STATE"));
    console.press("1");
    console.until_shows("STATE");
    console.press("q");
    assert_eq!(console.wait(), 0);
    until("the terminal is given back", || console.is_restored().then_some(()));
}
