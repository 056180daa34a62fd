//! `init`: a folder that an engine starts with, made by options and by a person's answers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::rig::{Project, until};
use super::terminal::Console;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFakeFakeFakeFakeFakeFake anna@desk";

/// What is wrong with the running engine.
fn problems(project: &Project) -> Vec<String> {
    let status: Value = serde_json::from_str(&project.ok(["status", "--json"])).unwrap();
    let problems = status["problems"].as_array().unwrap().iter();
    problems.map(|problem| problem["what"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_folder_made_by_options_starts_an_engine_and_is_never_written_over() {
    let project = Project::empty();
    project.write("secret", "correct horse\n");
    project.write("anna.pub", &format!("{KEY}\n"));
    let all = [
        "init",
        "rack",
        "--yes",
        "--domain=rack.example",
        "--mask=24",
        "--gateway=192.0.2.1",
        "--dns=192.0.2.53",
        "--country=at",
        "--keyboard=de",
        "--timezone=Europe/Vienna",
        "--mailto=ops@rack.example",
        "--root-password-file=secret",
        "--ssh-key=anna.pub",
        "--disk=sda,sdb",
    ];
    let said = project.ok(all);
    for words in
        ["config.toml        written", "checked: the engine takes these files", "`sda`, `sdb` of every machine"]
    {
        assert!(said.contains(words), "no {words} in {said}");
    }
    assert!(!said.contains("open: "), "{said}");
    let (config, base) = (project.read("rack/config.toml"), project.read("rack/default.toml"));
    assert!(config.contains("machine_net_gateway = \"192.0.2.1\"\n") && config.contains("# Order of precedence"));
    assert!(base.contains(KEY) && base.contains("root-password-hashed = \"$6$"), "{base}");
    assert!(!base.contains("correct horse"), "only the hash is kept");
    let own = project.read("rack/.prox-orchestrator/ssh/id_ed25519.pub");
    assert!(base.contains(own.trim()), "Ansible could not log in without it: {base}");
    let mode = |name: &str| fs::metadata(project.at(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("rack/default.toml"), mode("rack/.prox-orchestrator")), (0o600, 0o700));
    assert!(project.read("rack/setup-cluster.yml").starts_with("---\n"));

    let mut engine = project.serve_with(&["-C", "rack", "--listen", "127.0.0.1:0"]);
    let status: Value = serde_json::from_str(&project.ok(["-C", "rack", "status", "--json"])).unwrap();
    assert_eq!(status["url"].as_str().unwrap(), engine.url.trim_end_matches("/answer"));
    assert_eq!(status["fingerprint"].as_str(), engine.fingerprint.as_deref());
    engine.terminate();

    let again = project.run(all);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(
        again.err.contains("`config.toml` and `default.toml` are in") && again.err.contains("--force"),
        "{again:?}"
    );
    assert_eq!(project.read("rack/default.toml"), base, "left alone");
    let said = project.ok(all.iter().chain(&["--force"]));
    assert!(said.contains("the old one is `default.toml.orig` now"), "{said}");
    assert_eq!(project.read("rack/default.toml.orig"), base);
}

#[test]
fn without_a_terminal_it_says_what_to_give() {
    let project = Project::empty();
    let ran = project.run(["init"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("needs a terminal") && ran.err.contains("`--yes`"), "{}", ran.err);
    for (option, words) in [
        ("--country=Austria", "`Austria`"),
        ("--root-password-file=none", "cannot read the password from `none`"),
        ("--ssh-key=none", "cannot read `none`"),
        ("--mask=255.0.255.0", "255.0.255.0"),
    ] {
        let ran = project.run(["init", "--yes", option]);
        assert_eq!(ran.code, Some(2), "{option}: {ran:?}");
        assert!(ran.err.contains(words), "{option}: {}", ran.err);
    }
    assert_eq!(fs::read_dir(project.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn an_engine_in_an_empty_folder_offers_it_and_takes_its_files() {
    let project = Project::empty();
    let engine = project.serve_with(&["--listen", "127.0.0.1:0"]);
    let offer = engine.until_says("no config.toml in this folder");
    assert!(offer.contains("`prox-orchestrator init`"), "{offer}");
    project.ok(["init", "--yes", "--gateway=192.0.2.1", "--dns=192.0.2.53", "--mask=24"]);
    until("the files are in force", || {
        let problems = problems(&project);
        (!problems.iter().any(|what| what.contains("config.toml") || what.contains("no machine can"))).then_some(())
    });
}

#[test]
fn an_ipv6_gateway_brings_its_mask_and_what_looks_wrong_is_said() {
    let project = Project::empty();
    let said = project.ok(["init", "--yes", "--gateway=2001:db8::1", "--dns=192.0.2.53"]);
    let config = project.read("config.toml");
    assert!(config.contains("machine_net_mask = \"64\"") || config.contains("machine_net_mask = 64"), "{config}");
    assert!(
        said.contains("warning: `machine_net_dns` and `machine_net_gateway` are of different IP versions"),
        "{said}"
    );
    assert!(project.ok(["check"]).contains("config.toml: 1 warning"));
}

#[test]
fn a_person_is_asked() {
    let project = Project::empty();
    let mut console =
        Console::start(&project, &["init", "--country=at", "--keyboard=de", "--timezone=UTC", "--mailto=a@b.example"]);
    let answer = |question: &str, answer: &str| {
        console.until_shows(question);
        console.press(&format!("{answer}\r"));
    };
    answer("Host names begin with [pve-]:", "node-");
    answer("Domain of the nodes [", "under_score");
    console.until_shows("is not allowed");
    console.press("lab.example\r");
    answer("fixed, or dhcp [fixed]:", "dhcp");
    answer("Disk to WIPE", "nvme0n1");
    answer("Root password", "correct horse");
    answer("The same again", "correct hors");
    console.until_shows("the two differ");
    console.press("correct horse\r");
    console.until("asks twice again", |text| text.matches("The same again").count() == 2);
    console.press("correct horse\r");
    answer("SSH keys that may log in", "none");
    console.until_shows("checked: the engine takes these files");
    assert_eq!(console.wait(), 0);
    assert!(!console.text().contains("correct"), "the password is not shown");
    let (config, base) = (project.read("config.toml"), project.read("default.toml"));
    assert!(config.contains("machine_template_name = \"node-\"\n") && config.contains("\"lab.example\""), "{config}");
    assert!(base.contains("disk-list = [\"nvme0n1\"]") && base.contains("source = \"from-dhcp\""), "{base}");
    assert!(base.contains("root-password-hashed = \"$6$"), "{base}");
}
