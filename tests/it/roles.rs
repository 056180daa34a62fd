//! The roles of the shipped playbook one by one, without the engine: real Ansible against sandboxed nodes (`tests/nodes`), in
//! the situations that a rack is in only once in a while.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::node_sshd;
use super::outside::ansibles;
use super::process::{Process, Ran};
use super::rig::{Project, free_port, until};

/// A run of one role takes some ten seconds, and more on a busy machine.
const RUN_PATIENCE: Duration = Duration::from_mins(4);
const PLAYBOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/setup-cluster.yml");

/// Some sandboxed nodes, and what Ansible is told of them.
struct Bench {
    project: Project,
    ansible: PathBuf,
    sshd: PathBuf,
    port: u16,
    nodes: Vec<(String, Process)>,
    inventory: Value,
}

/// A node's name in the inventory.
fn fqdn(name: &str) -> String {
    format!("{name}.lab.example")
}

impl Bench {
    /// Nodes of these names and products that have just been installed; `None` where there can be none here.
    fn new(nodes: &[(&str, &str)]) -> Option<Self> {
        let (sshd, ansible) = (node_sshd()?, ansibles().pop()?);
        let project = Project::empty();
        let groups = json!({"pve": {"hosts": {}}, "pbs": {"hosts": {}}, "pmg": {"hosts": {}}, "pdm": {"hosts": {}}});
        let vars = json!({"ansible_python_interpreter": "/usr/bin/python3"});
        let inventory = json!({"all": {"vars": vars, "children": groups}});
        let mut bench = Self { project, ansible, sshd, port: free_port(), nodes: Vec::new(), inventory };
        bench.key("login");
        // The user's own choice; under it nodes would join and reboot all at once.
        bench.project.write("ansible.cfg", "[defaults]\nstrategy = free\n");
        for (name, product) in nodes {
            bench.install(name, product);
        }
        Some(bench)
    }

    /// Makes a key pair and returns its public half.
    fn key(&self, name: &str) -> String {
        let path = self.project.at(name);
        let mut command = Command::new("ssh-keygen");
        assert!(command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status().unwrap().success());
        fs::read_to_string(path.with_extension("pub")).unwrap().trim().to_owned()
    }

    fn install(&mut self, name: &str, product: &str) {
        let folder = self.folder(name);
        fs::create_dir_all(&folder).unwrap();
        let public = self.key(&format!("rack/{name}/host_key"));
        let address = Ipv4Addr::from(u32::from(self.project.rack) + u32::try_from(self.nodes.len()).unwrap());
        let config = format!(
            "ListenAddress {address}:{}\nPidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n\
             PermitRootLogin prohibit-password\nUseDNS no\nAuthorizedKeysFile \"{}\"\nHostKey \"{}\"\n",
            self.port,
            self.project.at("login.pub").display(),
            folder.join("host_key").display()
        );
        fs::write(folder.join("sshd_config"), config).unwrap();
        fs::write(folder.join("hostname"), fqdn(name) + "\n").unwrap();
        self.nodes.push((name.to_owned(), self.project.start_sshd(&self.sshd, &folder)));
        let log = folder.join("sshd.log");
        until("its sshd listens", || fs::read_to_string(&log).ok()?.contains("Server listening").then_some(()));
        self.tell(name, product, &json!({"ansible_host": address, "ssh_host_keys": [public], "status": "ready"}));
    }

    /// Puts a host into the inventory.
    fn tell(&mut self, name: &str, group: &str, vars: &Value) {
        let all = json!({
            "ansible_user": "root",
            "ansible_port": self.port,
            "ansible_ssh_private_key_file": self.project.at("login"),
        });
        let host = &mut self.inventory["all"]["children"][group]["hosts"][fqdn(name)];
        *host = all;
        host.as_object_mut().unwrap().extend(vars.as_object().unwrap().clone());
    }

    /// Changes what the inventory says of a Proxmox VE node.
    fn set(&mut self, name: &str, vars: &Value) {
        let host = self.inventory["all"]["children"]["pve"]["hosts"][fqdn(name)].as_object_mut().unwrap();
        host.extend(vars.as_object().unwrap().clone());
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.project.at("rack").join(name)
    }

    /// A file of a node.
    fn file(&self, name: &str, path: &str) -> PathBuf {
        self.folder(name).join("fs").join(path)
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.file(name, "state/log")).unwrap_or_default()
    }

    fn clusters(&self) -> usize {
        fs::read_dir(self.project.at("rack/clusters")).map_or(0, Iterator::count)
    }

    /// Runs the playbook, or the part of it with these tags, on some nodes.
    fn run(&self, limit: &[&str], tags: &str, vars: &Value) -> Ran {
        let inventory = self.project.at("inventory.json");
        fs::write(&inventory, self.inventory.to_string()).unwrap();
        let mut command = self.project.command_of(&self.ansible);
        command
            .arg("-i")
            .arg(&inventory)
            .args(["--limit", &limit.iter().map(|name| fqdn(name)).collect::<Vec<_>>().join(",")]);
        command.args([format!("--tags={tags}"), "-e".to_owned(), vars.to_string(), PLAYBOOK.to_owned()]);
        command.env("LC_ALL", "C.UTF-8").env("ANSIBLE_NOCOLOR", "1").env("ANSIBLE_PIPELINING", "1");
        command.env("ANSIBLE_SSH_CONTROL_PATH_DIR", self.project.at("c"));
        let known = "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o BatchMode=yes -o LogLevel=ERROR";
        command.env("ANSIBLE_SSH_ARGS", format!("{known} -o ControlMaster=auto -o ControlPersist=60s"));
        let mut process = Process::start(&mut command);
        let code = process.wait_within(RUN_PATIENCE).code();
        let (out, err) = (process.out.text(), process.err.text());
        Ran { code, out: out + &err, err: String::new() }
    }

    #[track_caller]
    fn ok(&self, limit: &[&str], tags: &str, vars: &Value) -> Ran {
        let ran = self.run(limit, tags, vars);
        assert_eq!(ran.code, Some(0), "{}", ran.out);
        ran
    }

    /// It fails, and says so in these words.
    #[track_caller]
    fn fails(&self, limit: &[&str], tags: &str, vars: &Value, words: &str) {
        let ran = self.run(limit, tags, vars);
        let said = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(ran.code != Some(0) && said.contains(words), "no `{words}` in {}", ran.out);
    }

    /// Ends a node's sshd with every connection to it.
    fn switch_off(&mut self, name: &str) {
        self.nodes.retain(|(node, _)| node != name);
        self.project.end_sshd(&self.folder(name));
    }
}

/// Short waits: what is missing in these tests never comes.
fn vars(more: &Value) -> Value {
    let mut all = json!({"proxmox_cluster_patience": 3, "proxmox_updates_patience": 12});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

#[test]
fn a_cluster_that_is_there_is_never_overlooked() {
    let Some(mut bench) = Bench::new(&[("a", "pve"), ("b", "pve"), ("c", "pve"), ("d", "pve")]) else { return };
    bench.ok(&["a"], "cluster", &vars(&json!({})));
    assert_eq!((bench.log("a").as_str(), bench.clusters()), ("created lab\n", 1));

    // What a run that was stopped left `ready` is asked, too.
    bench.set("a", &json!({"was_configured": true}));
    bench.ok(&["b"], "cluster", &vars(&json!({})));
    assert!(bench.log("b").contains("joined at"));

    // Its members fail before it comes to the cluster.
    for name in ["a", "b"] {
        bench.set(
            name,
            &json!({"status": "configured", "was_configured": true, "proxmox_repositories_channel": "bogus"}),
        );
    }
    bench.fails(&["a", "b", "c"], "repositories,cluster", &vars(&json!({})), "failed in this run: repair that first");
    // It has another name than the one asked for.
    let named = vars(&json!({"proxmox_cluster_name": "else"}));
    bench.fails(&["c"], "cluster", &named, "is in the cluster `lab`, and proxmox_cluster_name asks for `else`");
    assert_eq!((bench.log("c").as_str(), bench.clusters()), ("", 1));

    // Whoever answers is asked last of many.
    for name in ["a", "b"] {
        bench.set(name, &json!({"status": "ready"}));
    }
    for name in ["dead1", "dead2", "dead3", "dead4", "dead5", "dead6"] {
        bench.tell(
            name,
            "pve",
            &json!({"ansible_host": "127.255.255.1", "status": "configured", "was_configured": true}),
        );
    }
    bench.ok(&["c"], "cluster", &vars(&json!({"proxmox_cluster_expected": 3})));
    assert!(bench.log("c").contains("joined at"));

    // Nobody answers who may be in one.
    let hosts = bench.inventory["all"]["children"]["pve"]["hosts"].as_object_mut().unwrap();
    hosts.retain(|name, _| [fqdn("d"), fqdn("dead1")].contains(name));
    bench.fails(&["d"], "cluster", &vars(&json!({})), "may be in a cluster and did not answer, so none is made");
    // One that no run has worked on is in none.
    bench.set("dead1", &json!({"status": "failed", "was_configured": false}));
    bench.ok(&["d"], "cluster", &vars(&json!({})));
    assert_eq!((bench.log("d").as_str(), bench.clusters()), ("created lab\n", 2));
}

#[test]
fn a_node_that_must_not_or_cannot_join_is_left_as_it_was() {
    let Some(mut bench) = Bench::new(&[("a", "pve"), ("b", "pve"), ("c", "pve")]) else { return };
    let everyone = bench.inventory.clone();
    bench.inventory["all"]["children"]["pve"]["hosts"].as_object_mut().unwrap().retain(|name, _| *name == fqdn("b"));
    let ran = bench.ok(&["b"], "cluster", &vars(&json!({})));
    assert!(ran.out.contains("No cluster is made of 1 Proxmox VE node"), "{}", ran.out);
    bench.ok(&["b"], "cluster", &vars(&json!({"proxmox_cluster_name": "other", "proxmox_cluster_minimum": 1})));
    bench.inventory = everyone;
    bench.set("b", &json!({"status": "unreachable"}));
    bench.ok(&["a"], "cluster", &vars(&json!({})));
    bench.fails(
        &["a", "b"],
        "cluster",
        &vars(&json!({})),
        "is in the cluster `other` and not in `lab`: nothing was changed",
    );

    // The member goes away in the middle of a join.
    bench.set("a", &json!({"status": "configured", "was_configured": true}));
    fs::write(bench.file("c", "state/sever"), "a").unwrap();
    bench.fails(&["c"], "cluster", &vars(&json!({})), "is not reached any more");
    let left: Vec<_> = fs::read_dir(bench.file("c", "root/.ssh")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let of_join = |path: &&PathBuf| {
        fs::read_to_string(path).unwrap().contains("prox-orchestrator") || name_of(path).contains("join")
    };
    assert_eq!(left.iter().filter(of_join).collect::<Vec<_>>(), Vec::<&PathBuf>::new());
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn members_are_rebooted_one_after_the_other() {
    let Some(mut bench) = Bench::new(&[("a", "pve"), ("b", "pve"), ("c", "pve")]) else { return };
    let all = ["a", "b", "c"];
    bench.ok(&all, "cluster", &vars(&json!({})));
    let newer_kernel = |bench: &Bench, name: &str, version: &str| {
        let booted = fs::read_to_string(bench.file(name, "stat")).unwrap();
        let booted: i64 = booted.split_whitespace().last().unwrap().parse().unwrap();
        let path = bench.file(name, &format!("boot/vmlinuz-{version}"));
        until("it is younger than the boot", || {
            fs::write(&path, "").unwrap();
            let about = fs::metadata(&path).unwrap();
            (std::os::unix::fs::MetadataExt::ctime(&about) > booted).then_some(())
        });
    };
    for name in all {
        newer_kernel(&bench, name, "6.99.0-1-pve");
    }
    let updates = || vars(&json!({"proxmox_updates_apply": false}));
    bench.ok(&all, "updates", &updates());
    for name in all {
        assert!(bench.log(name).ends_with("\nrebooted\n"), "{name}: {}", bench.log(name));
    }

    // Without the others it would have no quorum.
    newer_kernel(&bench, "a", "6.99.0-2-pve");
    bench.switch_off("b");
    bench.fails(&["a"], "updates", &updates(), "has a newer kernel and is not rebooted");
    assert_eq!(bench.log("a").matches("rebooted").count(), 1);
}

#[test]
fn every_role_does_what_it_says_and_only_once() {
    let nodes = [("a", "pve"), ("s", "pbs"), ("m", "pmg"), ("d", "pdm")];
    let Some(bench) = Bench::new(&nodes) else { return };
    for (name, package) in
        [("s", "proxmox-backup-server"), ("m", "proxmox-mailgateway"), ("d", "proxmox-datacenter-manager")]
    {
        fs::write(bench.file(name, "state/product"), package).unwrap();
    }
    let chosen = vars(&json!({
        "proxmox_network_vlan_aware": true,
        "proxmox_storage_entries": [
            {"id": "backup", "type": "pbs", "options": {"server": "192.0.2.40", "encryption-key": "not-to-be-seen"}}
        ],
        "proxmox_time_zone": "Europe/Vienna",
        "proxmox_time_servers": ["ntp.lab.example"],
        "proxmox_packages_install": ["vim", "tcpdump"],
        "proxmox_ssh_keys": ["ssh-ed25519 AAAAfurther anna@desk"],
        "proxmox_backup_datastores": [{"name": "main", "path": "/mnt/datastore/main"}],
    }));
    let names = nodes.map(|(name, _)| name);
    let tags = "names,repositories,packages,time,ssh,network,cluster,storage,pbs,pmg,pdm";
    let first = bench.ok(&names, tags, &chosen);
    assert!(!first.out.contains("not-to-be-seen"), "{}", first.out);
    let read = |name: &str, path: &str| fs::read_to_string(bench.file(name, path)).unwrap();
    let interfaces = read("a", "etc/network/interfaces");
    assert_eq!(interfaces.matches("bridge-vlan-aware yes").count(), 2, "vmbr1 had it: {interfaces}");
    assert!(
        interfaces.contains("iface vmbr0 inet static\n\tbridge-vlan-aware yes\n\tbridge-vids 2-4094\n"),
        "{interfaces}"
    );
    assert!(bench.log("a").contains("ifreload") && bench.log("a").contains("storage backup"), "{}", bench.log("a"));
    assert!(bench.log("s").contains("datastore main"), "{}", bench.log("s"));
    for name in names {
        assert_eq!(read(name, "state/zone"), "Europe/Vienna");
        assert_eq!(read(name, "etc/chrony/sources.d/prox-orchestrator.sources"), "server ntp.lab.example iburst\n");
        assert!(read(name, "root/.ssh/authorized_keys").contains("anna@desk"));
        assert_eq!(read(name, "state/packages.json"), r#"["vim", "tcpdump"]"#);
        assert!(read(name, "etc/hosts").matches(".lab.example").count() == 3, "{}", read(name, "etc/hosts"));
    }
    let products = names.map(|name| read(name, "etc/apt/sources.list.d/prox-orchestrator.sources"));
    for (text, product) in products.iter().zip(["pve", "pbs", "pmg", "pdm"]) {
        assert!(text.contains(&format!("Components: {product}-no-subscription")), "{text}");
    }

    let second = bench.ok(&names, tags, &chosen);
    let recap = second.out.rsplit("PLAY RECAP").next().unwrap();
    assert_eq!(recap.matches("changed=0 ").count(), 4, "{}", second.out);

    fs::write(bench.file("m", "state/down.json"), r#"["pmgproxy.service"]"#).unwrap();
    bench.fails(&["m"], "pmg", &chosen, "Make sure its service runs");
}

#[test]
fn a_bridge_without_ipv4_carries_vlans_too() {
    let Some(bench) = Bench::new(&[("a", "pve")]) else { return };
    let interfaces = bench.file("a", "etc/network/interfaces");
    fs::write(&interfaces, "auto vmbr0\niface vmbr0 inet6 static\n\taddress 2001:db8::2/64\n").unwrap();
    bench.ok(&["a"], "network", &vars(&json!({"proxmox_network_vlan_aware": true})));
    let text = fs::read_to_string(&interfaces).unwrap();
    assert!(text.contains("inet6 static\n\tbridge-vlan-aware yes\n\tbridge-vids 2-4094\n\taddress"), "{text}");
}

#[test]
fn a_storage_is_added_to_each_node_that_stands_alone_and_once_to_a_cluster() {
    let Some(bench) = Bench::new(&[("a", "pve"), ("b", "pve")]) else { return };
    let entries = |id: &str| json!([{"id": id, "type": "nfs", "options": {"server": "192.0.2.40", "export": "/srv"}}]);
    let adds = |id: &str| ["a", "b"].map(|name| bench.log(name).matches(&format!("storage {id}\n")).count());

    let alone = vars(&json!({"proxmox_storage_entries": entries("alone")}));
    bench.ok(&["a", "b"], "storage", &alone);
    assert_eq!(adds("alone"), [1, 1]);

    let shared = vars(&json!({"proxmox_storage_entries": entries("shared")}));
    bench.ok(&["a", "b"], "cluster,storage", &shared);
    assert_eq!(bench.clusters(), 1);
    assert_eq!(adds("shared").iter().sum::<usize>(), 1, "{:?}", adds("shared"));
    let again = bench.ok(&["a", "b"], "storage", &shared);
    assert_eq!(again.out.rsplit("PLAY RECAP").next().unwrap().matches("changed=0 ").count(), 2, "{}", again.out);
}
