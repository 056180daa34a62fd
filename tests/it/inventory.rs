//! The inventory in the hands of the real Ansible: taken without a warning, and without running what machines said.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use super::http::{exchange, receive, send};
use super::outside::ansibles;
use super::rig::{DEFAULT_TOML, Project, Settings, until};

/// Prints every variable a machine has a say in.
const PRINT: &str = "- hosts: all
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {var: hw}
    - ansible.builtin.debug: {msg: \"model {{ hw.model }} serial {{ hw.serial }}\"}
";

/// A program of Ansible in the project's folder.
fn ansible(project: &Project, program: &Path, args: &[&str]) -> Output {
    project.command_of(program).args(args).env("LC_ALL", "C.UTF-8").output().unwrap()
}

/// Makes nodes of requests with this model and serial number, as far as the inventory.
fn installed_with(words: &[String]) -> (Project, super::rig::Engine) {
    let project = Project::new(Settings { ansible: "start = \"by-hand\"", ..Settings::default() });
    // All machines of this test ask from one address, which can be the fixed address of one node only.
    let by_dhcp = DEFAULT_TOML.replace("from-answer\"\nfilter.INTERFACE = \"*\"", "from-dhcp\"");
    assert_ne!(by_dhcp, DEFAULT_TOML);
    project.write("default.toml", &by_dhcp);
    let engine = project.serve_with(&["--no-tls"]);
    for (number, word) in words.iter().enumerate() {
        let uuid = format!("F68D13F3-472B-4F1A-95A7-120B398A0{number:03}");
        let system = json!({ "uuid": uuid, "name": word, "serial": format!("{word}{number}") });
        let nic = json!({ "link": word, "mac": format!("02:00:00:00:00:{number:02x}") });
        let ask = json!({ "dmi": { "system": system }, "network_interfaces": [nic] });
        let held = send(&engine, "POST", "/answer", ask.to_string().as_bytes());
        let id = format!("m{}", number + 1);
        until("it waits", || project.phases().contains_key(&id).then_some(()));
        project.ok(["approve", &id]);
        let answer = receive(held).body;
        let at = answer.find("/webhook/").unwrap_or_else(|| panic!("no webhook in {answer}"));
        let disks = json!([{ "size": 1, "udev-properties": { "DEVNAME": "/dev/sda", "ID_MODEL": word } }]);
        let report = json!({ "fqdn": word, "cpu-info": { "model": word }, "filesystem": word, "disks": disks,
            "network-interfaces": [{ "mac": format!("02:00:00:00:00:{number:02x}"), "name": word }] });
        let path = answer[at..].split('"').next().unwrap();
        assert_eq!(exchange(&engine, "POST", path, report.to_string().as_bytes()).status, 200);
        project.until_phase(&id, "installed");
        project.ok(["address", &id, &format!("192.0.2.{}", number + 1)]);
    }
    project.until_inventory(words.len(), "booting");
    (project, engine)
}

#[test]
fn it_is_taken_without_a_warning() {
    let words = ["PowerEdge R650", "", "x: y # z", "- {{ a }}", "!!python/object:x", "\u{1b}[31mred", "ünïcödé 漢字"];
    let (project, engine) = installed_with(&words.map(str::to_owned));
    for playbook in ansibles() {
        let program = playbook.with_file_name("ansible-inventory");
        let output = ansible(&project, &program, &["-i", "nodes/dynamic-inventory.json", "--list"]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{}", program.display());
        let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(listed["pve"]["hosts"].as_array().map(Vec::len), Some(words.len()), "{listed}");
        let variables = listed["_meta"]["hostvars"].as_object().unwrap();
        assert!(variables.values().all(|vars| vars["ansible_user"] == "root" && vars["status"] == "booting"));
    }
    drop(engine);
}

#[test]
fn what_a_machine_says_is_never_executed() {
    let target = tempfile::tempdir().unwrap();
    let touch = |name: &str| format!("{{{{ lookup('pipe','touch {}') }}}}", target.path().join(name).display());
    let block = format!("{{% if {} %}}x{{% endif %}}", &touch("block")[2..touch("block").len() - 2]);
    let (project, engine) = installed_with(&[touch("model"), block]);
    project.write("print.yml", PRINT);
    // The same words as a plain string: this Ansible would execute them.
    let control = json!({ "all": { "hosts": { "control": { "hw": { "model": touch("control"), "serial": "" } } } } });
    project.write("control.json", &control.to_string());
    for playbook in ansibles() {
        let output = ansible(&project, &playbook, &["-i", "nodes/dynamic-inventory.json", "print.yml"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("lookup('pipe'"), "they are words: {output:?}");
        let made: Vec<_> = std::fs::read_dir(target.path()).unwrap().flatten().map(|entry| entry.path()).collect();
        assert!(made.is_empty(), "{made:?} by {}", playbook.display());

        let output = ansible(&project, &playbook, &["-i", "control.json", "print.yml"]);
        assert!(target.path().join("control").exists(), "this test could not fail: {output:?}");
        std::fs::remove_file(target.path().join("control")).unwrap();
    }
    drop(engine);
}
