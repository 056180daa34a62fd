//! The shipped playbook makes a cluster: real Ansible, a real sshd for each node in a mount namespace of its own, and stubs
//! of Proxmox' commands that keep honest state (`tests/nodes`): a node joins only over SSH, with the host key it was told.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use rstest::rstest;
use serde_json::Value;

use super::outside::{ansibles, skip};
use super::rig::{Engine, Project, Rack, Settings, sshd, until, until_within};

/// Folder of the nodes.
const RACK: &str = "rack";
/// The playbook has some sixty tasks, each of which is a program on each node.
const RUN_PATIENCE: Duration = Duration::from_mins(8);

/// The program that starts a node's sshd; `None` where this user may not make mount namespaces, which is said loudly.
pub(crate) fn node_sshd() -> Option<PathBuf> {
    sshd()?;
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "mount", "--bind", "/etc", "/mnt"]);
    let is_able = unshare.stdin(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !is_able {
        skip("no nodes for the cluster playbook; they need root and mount namespaces");
    }
    is_able.then(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nodes/sshd"))
}

/// A rack whose nodes are sandboxes, and the engine that installs it.
struct Lab {
    project: Project,
    engine: Engine,
    racks: Vec<Rack>,
    sshd: PathBuf,
}

impl Lab {
    fn new(ansible: &Path, sshd: PathBuf, settings: &str) -> Self {
        let settings = format!("command = \"{}\"\n{settings}", ansible.display());
        let project = Project::new(Settings { server: "", ansible: &settings, rest: "" });
        let engine = project.serve();
        Self { project, engine, racks: Vec::new(), sshd }
    }

    /// Switches on machines `first` and following, and approves them.
    fn plug_in(&mut self, first: usize, count: usize) {
        let (first, folder) = (first.to_string(), self.project.at(RACK));
        let (sshd, dir) = (self.sshd.to_str().unwrap(), folder.to_str().unwrap());
        let options = ["--first", &first, "--ssh", sshd, "--ssh-dir", dir, "--reboot-time", "1s"];
        let known = self.project.phases().len();
        self.racks.push(self.project.simulate(&self.engine, count, &options));
        until("all have asked", || (self.project.phases().len() == known + count).then_some(()));
        let waiting = self.project.phases().into_iter().filter(|(_, phase)| phase == "waiting");
        let ids: Vec<_> = waiting.map(|(id, _)| id).collect();
        self.project.ok(["approve"].into_iter().chain(ids.iter().map(String::as_str)));
    }

    /// Waits for the end of a run and returns the line about it.
    #[track_caller]
    fn ended(&self, run: &str) -> String {
        until_within(RUN_PATIENCE, &format!("{run} has ended"), || {
            let said = self.engine.process.out.text();
            let words = ["succeeded", "failed", "not started", "cancelled"].map(|word| format!("run {run} {word}"));
            said.lines().find(|line| words.iter().any(|words| line.contains(words))).map(str::to_owned)
        })
    }

    /// The node's folder, by host name.
    fn folder(&self, name: &str) -> PathBuf {
        let mut nodes = fs::read_dir(self.project.at(RACK)).unwrap().map(|entry| entry.unwrap().path());
        nodes
            .find(|path| fs::read_to_string(path.join("hostname")).is_ok_and(|host| host.trim() == name))
            .unwrap_or_else(|| panic!("no folder of {name}"))
    }

    /// What was done on a node.
    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder(name).join("fs/state/log")).unwrap_or_default()
    }

    fn names(&self) -> Vec<String> {
        self.project.nodes().iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Tasks that changed something, over all hosts, from the statistics of a run's events.
    fn changed(&self, run: &str) -> u64 {
        let events = self.project.read(&format!("nodes/runs/{run}/events.jsonl"));
        let stats: Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
        assert_eq!(stats["ev"], "stats");
        stats["hosts"].as_object().unwrap().values().map(|host| host["changed"].as_u64().unwrap()).sum()
    }

    /// Nothing of a join is left on any node.
    #[track_caller]
    fn assert_no_traces(&self) {
        for name in self.names() {
            let ssh = self.folder(&name).join("fs/root/.ssh");
            for file in fs::read_dir(&ssh).unwrap().map(|entry| entry.unwrap().path()) {
                let text = fs::read_to_string(&file).unwrap();
                assert!(!text.contains("prox-orchestrator"), "{} is left: {text}", file.display());
            }
            assert!(!ssh.join("prox-orchestrator-join").exists());
        }
    }

    /// Ends the sshd of a node, and every connection to it.
    fn switch_off(&self, name: &str) {
        self.project.end_sshd(&self.folder(name));
    }

    /// The traps of ANSIBLE.md §5 in the user's own configuration, with a connection to a node that is kept open.
    fn hostile_configuration(&self, name: &str) -> super::process::Process {
        let path = self.project.at("m-%C").display().to_string();
        let config = self.project.at("ssh_config").display().to_string();
        self.project.write(
            "ssh_config",
            &format!(
                "ControlMaster auto\nControlPath {path}\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n"
            ),
        );
        let cfg = format!("[defaults]\nhost_key_checking = False\n[ssh_connection]\nssh_args = -F {config}\n");
        self.project.write("ansible.cfg", &cfg);
        fs::create_dir_all(self.project.at("nodes/group_vars")).unwrap();
        let common = "ansible_ssh_common_args: \"-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null\"\n";
        self.project.write("nodes/group_vars/all.yml", common);
        let address = fs::read_to_string(self.folder(name).join("fs/address")).unwrap();
        let door = (address.trim(), self.project.ssh_port);
        until("its sshd listens", || std::net::TcpStream::connect(door).ok().map(drop));
        let mut command = self.project.command_of("ssh");
        let port = self.project.ssh_port.to_string();
        let key = self.project.at(".prox-orchestrator/ssh/id_ed25519");
        command.args(["-M", "-N", "-F", &config, "-l", "root", "-p", &port, "-i"]).arg(key).arg(address.trim());
        let master = super::process::Process::start(&mut command);
        until("the connection is open", || {
            let mut files = fs::read_dir(self.project.path()).unwrap().flatten();
            files.any(|file| file.file_name().to_string_lossy().starts_with("m-")).then_some(())
        });
        master
    }

    /// Starts it again.
    fn switch_on(&self, name: &str) -> super::process::Process {
        self.project.start_sshd(&self.sshd, &self.folder(name))
    }
}

#[rstest]
#[case::first(0)]
#[case::second(1)]
fn fresh_machines_become_a_cluster_and_a_late_one_joins_it(#[case] which: usize) {
    let (Some(sshd), Some(ansible)) = (node_sshd(), ansibles().into_iter().nth(which)) else { return };
    let mut lab = Lab::new(&ansible, sshd, "expect = 3");
    lab.plug_in(1, 3);
    let line = lab.ended("r1");
    assert!(line.contains("succeeded on 3 nodes"), "{line}\n{}", lab.project.read("nodes/runs/r1/output.log"));
    let names = lab.names();
    let logs: Vec<_> = names.iter().map(|name| lab.log(name)).collect();
    assert_eq!(logs.iter().filter(|log| log.contains("created rack")).count(), 1, "{logs:?}");
    assert_eq!(logs.iter().filter(|log| log.contains("joined at")).count(), 2, "{logs:?}");
    assert!(logs.iter().all(|log| log.contains("upgraded\nrebooted\n")), "{logs:?}");
    lab.assert_no_traces();

    lab.project.ok(["run"]);
    let line = lab.ended("r2");
    assert!(line.contains("succeeded on 3 nodes"), "{line}");
    assert_eq!(lab.changed("r2"), 0, "{}", lab.project.read("nodes/runs/r2/output.log"));

    lab.plug_in(4, 1);
    let line = lab.ended("r3");
    assert!(line.contains("succeeded on 1 node"), "{line}\n{}", lab.project.read("nodes/runs/r3/output.log"));
    let late = lab.names().into_iter().find(|name| !names.contains(name)).unwrap();
    assert_eq!(lab.project.read("nodes/runs/r3/limit.txt").trim(), late);
    assert!(lab.log(&late).contains("joined at"), "{}", lab.log(&late));
    assert!(names.iter().all(|name| lab.log(name).matches("rebooted").count() == 1));
    lab.assert_no_traces();
    let clusters: Vec<_> = fs::read_dir(lab.project.at("rack/clusters")).unwrap().collect();
    assert_eq!(clusters.len(), 1, "one cluster, whoever made it");
}

/// Ends an sshd and lets the connections to it live on.
fn hang_up(sshd: &super::process::Process) {
    sshd.signal(Signal::SIGKILL);
    let line = format!("/proc/{}/cmdline", sshd.pid());
    until("it is gone", || fs::read(&line).map_or(true, |line| line.is_empty()).then_some(()));
}

/// Makes a host key for a node's sshd in place of its own, and returns what brings that back.
fn other_key(folder: &Path) -> String {
    let config = folder.join("fs/sshd_config");
    let own = fs::read_to_string(&config).unwrap();
    let key = folder.join("wrong_key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    let others = own.lines().filter(|line| !line.starts_with("HostKey")).map(|line| format!("{line}\n"));
    fs::write(&config, others.collect::<String>() + &format!("HostKey \"{}\"\n", key.display())).unwrap();
    own
}

#[test]
fn what_goes_wrong_on_one_node_is_told_and_only_that_node_is_run_again() {
    let (Some(sshd), Some(ansible)) = (node_sshd(), ansibles().pop()) else { return };
    let mut lab = Lab::new(&ansible, sshd, "start = \"by-hand\"");
    lab.plug_in(1, 3);
    lab.project.until_all(3, "ready");
    let names = lab.names();
    let (victim, id) = (&names[1], "m2");

    // A run that only looks.
    lab.project.ok(["run", "--check", "--tags", "names"]);
    assert!(lab.ended("r1").contains("succeeded"), "{}", lab.project.read("nodes/runs/r1/output.log"));
    lab.project.until_all(3, "ready");
    assert!(names.iter().all(|name| lab.log(name).is_empty()));

    // One is switched off: the others become a cluster without it.
    lab.switch_off(victim);
    lab.project.ok(["run"]);
    let line = lab.ended("r2");
    assert!(line.contains("1 of 3 nodes failed"), "{line}\n{}", lab.project.read("nodes/runs/r2/output.log"));
    lab.project.until_phase(id, "failed");
    assert!(
        lab.project.node(id)["reason"].as_str().unwrap().contains("Wait until the node"),
        "{}",
        lab.project.node(id)
    );
    assert_eq!(lab.project.phases().values().filter(|phase| *phase == "configured").count(), 2);

    // Another system answers in its place, and the user's own Ansible configuration would let it: no check of host keys, and
    // a connection that is open still to what was there before.
    let itself = lab.switch_on(victim);
    let mut master = lab.hostile_configuration(victim);
    hang_up(&itself);
    let folder = lab.folder(victim);
    let own = other_key(&folder);
    let stranger = lab.switch_on(victim);
    assert!(master.is_alive(), "the trap is set: {}", master.err.text());
    lab.project.ok(["run", "--failed"]);
    let line = lab.ended("r3");
    assert!(line.contains("another host key"), "{line}");
    assert!(master.is_alive(), "{}", master.err.text());
    drop((master, itself));
    fs::remove_file(lab.project.at("ansible.cfg")).unwrap();
    fs::remove_file(lab.project.at("nodes/group_vars/all.yml")).unwrap();
    assert_eq!(lab.project.read("nodes/runs/r3/limit.txt").trim(), victim);
    assert_eq!(lab.log(victim), "");

    // It is itself again, and has guests.
    lab.switch_off(victim);
    drop(stranger);
    fs::write(folder.join("fs/sshd_config"), own).unwrap();
    fs::write(folder.join("fs/state/guests.json"), r#"[{"type":"qemu","vmid":100,"status":"stopped"}]"#).unwrap();
    let _itself = lab.switch_on(victim);
    lab.project.ok(["run", "--failed", "-e", "proxmox_updates_apply=false"]);
    let line = lab.ended("r4");
    assert!(line.contains("has guests"), "{line}");
    fs::remove_file(folder.join("fs/state/guests.json")).unwrap();
    lab.project.ok(["run", "--failed", "-e", "proxmox_updates_apply=false"]);
    let line = lab.ended("r5");
    assert!(line.contains("succeeded on 1 node"), "{line}\n{}", lab.project.read("nodes/runs/r5/output.log"));
    assert!(lab.log(victim).contains("joined at"));
    lab.assert_no_traces();

    // The records tell all of that without the engine's help.
    let said = lab.project.ok(["runs"]);
    assert!(said.contains("r5") && said.contains("failed before"), "{said}");
    let shown = lab.project.ok(["runs", "show", "r3"]);
    assert!(shown.contains("another host key") && shown.contains("sha256") && shown.contains("--limit"), "{shown}");
    let json: Value = serde_json::from_str(&lab.project.ok(["runs", "show", "r2", "--json"])).unwrap();
    assert_eq!((&json["end"]["outcome"], json["end"]["hosts"].as_object().unwrap().len()), (&"failed".into(), 3));

    // A stop in the middle leaves nothing of the run.
    lab.project.ok(["run"]);
    let events = lab.project.at("nodes/runs/r6/events.jsonl");
    until("it works on the nodes", || {
        fs::read_to_string(&events).ok().filter(|text| text.contains("host_ok")).map(drop)
    });
    lab.project.ok(["cancel"]);
    let line = lab.ended("r6");
    assert!(line.contains("cancelled"), "{line}");
    until("nothing of it is left", || {
        // The masters of ssh call themselves so, and have the run's environment.
        let of_run = ["ansible", "supervise-run", "[mux]"];
        let is_of_run = |(_, line): &(i32, String)| of_run.iter().any(|word| line.contains(word));
        (!lab.project.processes().iter().any(is_of_run)).then_some(())
    });
}
