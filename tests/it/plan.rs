//! The plan from a table to installed nodes: what is wrong is told, what is right is in the table at once, and machines
//! take their rows. Addresses of the pool, and the NIC the operator chooses.

use std::net::Ipv4Addr;

use prox_orchestrator::simulate::machine::Machine;

use super::rig::{Project, Settings, until};

/// The nth of the machines that `simulate` makes.
fn machine(number: usize) -> Machine {
    Machine::build(1, number, Ipv4Addr::LOCALHOST)
}

fn by_hand(rest: &str) -> Project {
    Project::new(Settings { ansible: "start = \"by-hand\"", rest, ..Settings::default() })
}

#[test]
fn everything_wrong_with_a_table_is_told_and_nothing_is_written() {
    let project = by_hand("");
    project.write("plan.toml", "# mine\n[[node]]\nhostname = \"pve-01\"\nserial = \"AAAA1\"\n");
    let table = "Name,Serial Number,IP Address,Profile\n\
                 pve-02,AAAA1,127.0.9.2,\n\
                 pve_03,AAAA3,127.0.9.3,\n\
                 pve-04,AAAA4,127.0.9.2,\n\
                 pve-05,AAAA5,10.0.0.5,compute\n\
                 pve-06,AAAA6,127.0.0.254,\n";
    project.write("rack.csv", table);
    let before = project.read("plan.toml");
    let ran = project.run(["plan", "import", "rack.csv"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    for told in [
        "rack.csv:2:8\n",
        "AAAA1 is also that of `pve-01.rack.example` (plan.toml, line 2)",
        "rack.csv:3:1\n",
        "`_` in `pve_03.rack.example` is not allowed",
        "rack.csv:4:14\n",
        "127.0.9.2 is also that of `pve-02.rack.example` (line 2)",
        "rack.csv:5:14\n",
        "it is not in the gateway's network",
        "rack.csv:5:23\n",
        "there is no profile `compute`",
        "rack.csv:6:14\n",
        "it is the gateway's",
    ] {
        assert!(ran.err.contains(told), "`{told}` is not in:\n{}", ran.err);
    }
    assert_eq!(project.read("plan.toml"), before);
}

#[test]
fn an_import_leaves_permissions_and_link_as_they_are() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = by_hand("");
    let real = project.path().join("rack/plan-of-all.toml");
    std::fs::create_dir(project.path().join("rack")).unwrap();
    std::fs::write(&real, "# shared\n").unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(&real, project.path().join("plan.toml")).unwrap();
    project.write("rack.csv", "hostname,serial\npve-01,AAAA1\n");
    project.ok(["plan", "import", "rack.csv"]);
    assert!(std::fs::symlink_metadata(project.path().join("plan.toml")).unwrap().is_symlink());
    assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&real).unwrap();
    assert!(text.starts_with("# shared\n") && text.contains("pve-01"), "{text}");
}

#[test]
fn planned_rows_are_there_before_their_machines_and_give_them_name_and_address() {
    let project = by_hand("");
    let engine = project.serve();
    let [one, two] = [1, 2].map(|number| machine(number).serial().to_owned());
    let table = format!("hostname,serial,address,rack,slot\ndb-1,{one},127.0.9.1,R7,1\ndb-2,{two},127.0.9.2,R7,2\n");
    project.write("rack.csv", &table);

    let dry = project.ok(["plan", "import", "rack.csv", "--dry-run"]);
    assert!(dry.contains("2 added, 0 changed, 0 as they were (nothing written)"), "{dry}");
    assert!(!project.at("plan.toml").exists());
    project.ok(["plan", "import", "rack.csv"]);
    project.until_all(2, "planned");
    assert_eq!(project.node("m1")["name"], "db-1.rack.example");
    assert_eq!(project.node("m1")["place"], "R7/1");

    let _rack = project.simulate(&engine, 3, &["--ssh", "none"]);
    until("three machines wait", || {
        (project.phases().values().filter(|phase| *phase == "waiting").count() == 3).then_some(())
    });
    assert_eq!(project.nodes().len(), 3, "planned rows became machines: {:#?}", project.nodes());
    assert_eq!(project.node("m1")["serial"], one);
    project.ok(["approve", "--all"]);
    project.until_all(3, "booting");
    assert_eq!(project.node("m1")["address"], "127.0.9.1");
    assert_eq!(project.node("m2")["address"], "127.0.9.2");
    assert_eq!(project.node("m3")["address"], Ipv4Addr::from_bits(project.rack.to_bits() + 2).to_string());
    let shown = project.ok(["plan", "show"]);
    assert!(shown.contains("db-1.rack.example  booting  R7/1   127.0.9.1  serial"), "{shown}");

    // A bad edit keeps the old plan, and says so.
    project.write("plan.toml", "[[node]]\nhostname = \"a b\"\n");
    until("the bad plan is told", || project.ok(["status"]).contains("plan.toml:2: `hostname`").then_some(()));
    assert_eq!(project.nodes().len(), 3);
}

#[test]
fn what_is_exported_imports_as_the_same_plan() {
    let project = by_hand("");
    let plan = "# mine\n[[node]]\nhostname = \"pve-01\" # first\nserial = \"AAAA1\"\ncolumns.note = \"a, \\\"b\\\"\"\n";
    project.write("plan.toml", plan);
    for (format, file) in [("csv", "t.csv"), ("json", "t.json"), ("toml", "t.toml")] {
        let table = project.ok(["plan", "export", "--format", format]);
        project.write(file, &table);
        let told = project.ok(["plan", "import", file]);
        assert!(told.contains("0 added, 0 changed, 1 as they were"), "{format}: {told}");
        assert_eq!(project.read("plan.toml"), plan);
    }
}

#[test]
fn an_address_of_the_pool_is_kept_over_a_restart_and_free_once_forgotten() {
    let rest = "[network]\naddress = \"pool\"\npool = [\"127.0.9.10-127.0.9.11\"]\n";
    let project = by_hand(rest);
    let mut engine = project.serve();
    let rack = project.simulate(&engine, 3, &["--ssh", "none"]);
    project.until_all(3, "waiting");
    until("the pool is said to be short", || {
        project.ok(["status"]).contains("the pool has 2 free addresses, and 3 nodes will want one").then_some(())
    });
    project.ok(["approve", "m2"]);
    project.ok(["approve", "m1"]);
    let refused = project.run(["approve", "m3"]);
    assert!(refused.out.contains("no address of the pool is free"), "{refused:?}");
    project.until_phase("m1", "booting");
    project.until_phase("m2", "booting");
    assert_eq!(
        (&project.node("m2")["address"], &project.node("m1")["address"]),
        (&"127.0.9.10".into(), &"127.0.9.11".into())
    );
    drop(rack);
    engine.process.signal(nix::sys::signal::Signal::SIGTERM);
    engine.process.wait();

    let engine = project.serve();
    assert_eq!(project.node("m1")["address"], "127.0.9.11");
    project.ok(["forget", "m1"]);
    let _rack = project.simulate(&engine, 1, &["--ssh", "none", "--first", "9"]);
    until("another machine waits", || project.phases().get("m4").filter(|phase| *phase == "waiting").map(drop));
    project.ok(["approve", "m4"]);
    project.until_phase("m4", "booting");
    assert_eq!(project.node("m4")["address"], "127.0.9.11");
}

#[test]
fn a_machine_whose_nic_is_not_known_waits_for_the_operators_choice() {
    let project = by_hand("");
    // Without a filter in it, the answer needs to name the NIC; loopback has no neighbours.
    let default = super::rig::DEFAULT_TOML.replace("filter.INTERFACE = \"*\"\n", "");
    project.write("default.toml", &default);
    let engine = project.serve();
    let macs: Vec<_> = machine(1).hardware.nics.iter().map(|nic| nic.mac.to_string()).collect();
    assert!(macs.len() > 1, "the first simulated machine has several NICs");
    let rack = project.simulate(&engine, 1, &["--ssh", "none"]);
    project.until_all(1, "waiting");
    assert!(project.node("m1")["flags"].to_string().contains("choose_nic"), "{}", project.node("m1"));
    project.ok(["approve", "m1"]);
    let refused = project.run(["nic", "m1", "02:00:00:00:00:99"]);
    assert!(refused.out.contains("has no NIC `02:00:00:00:00:99`; it has "), "{refused:?}");
    assert_eq!(project.node("m1")["phase"], "approved", "it gets no answer before");
    let told = project.ok(["nic", "m1", &macs[1]]);
    assert!(told.contains(&format!("will use {}", macs[1])), "{told}");
    project.until_phase("m1", "booting");
    let name = project.node("m1")["name"].as_str().unwrap().to_owned();
    let answer = project.read(&format!("nodes/{name}/answer.toml"));
    assert!(answer.contains(&format!("ID_NET_NAME_MAC = \"*{}\"", macs[1].replace(':', ""))), "{answer}");
    drop(rack);
}

#[test]
fn the_operators_address_is_the_one_that_is_installed() {
    let project = by_hand("");
    let engine = project.serve();
    let _rack = project.simulate(&engine, 1, &["--ssh", "none"]);
    project.until_all(1, "waiting");
    let refused = project.run(["address", "m1", "127.0.0.254"]);
    assert!(refused.out.contains("it is the gateway's"), "{refused:?}");
    project.ok(["address", "m1", "127.0.9.77"]);
    project.ok(["approve", "m1"]);
    project.until_phase("m1", "booting");
    let name = project.node("m1")["name"].as_str().unwrap().to_owned();
    assert!(project.read(&format!("nodes/{name}/answer.toml")).contains("127.0.9.77/8"));
}
