//! The command line: help, exit codes, and what is said about a bad configuration.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::{fs, io};

use nix::sys::signal::Signal;
use rstest::rstest;
use serde_json::Value;

use super::process::Process;
use super::rig::{DEFAULT_TOML, Project, Settings, until};

/// The six keys of the program's first generation.
const SIX_KEYS: &str = r#"machine_template_name = "node-"
machine_net_dn = "example.com"
machine_net_mask = "255.255.255.0"
machine_net_dns = "192.0.2.53"
machine_net_gateway = "192.0.2.1"
machine_net_int = "Intel Corporation"
"#;

#[test]
fn help_tells_commands_and_exit_codes() {
    let project = Project::empty();
    let help = project.ok(["--help"]);
    let commands = [
        "init",
        "serve",
        "demo",
        "simulate",
        "check",
        "status",
        "nodes",
        "show",
        "approve",
        "reject",
        "rename",
        "run",
        "cancel",
        "mark-installed",
        "forget",
        "adopt",
    ];
    for command in commands {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "no {command} in {help}");
        assert!(project.ok([command, "--help"]).contains("Usage:"), "{command}");
    }
    for option in ["--dir <DIR>", "--listen <ADDR:PORT>", "--no-tls"] {
        assert!(help.contains(option), "no {option} in {help}");
    }
    for code in 0..=8 {
        assert!(help.contains(&format!("{code} ")), "no exit code {code} in {help}");
    }
    assert!(!help.contains("supervise-run"), "for the engine only");
    assert!(project.ok(["--version"]).contains(env!("CARGO_PKG_VERSION")));
    assert!(fs::read_dir(project.path()).unwrap().next().is_none(), "help writes nothing");
}

#[test]
fn check_judges_the_folder_and_answers_with_an_exit_code() {
    let project = Project::empty();
    assert!(project.ok(["check"]).contains("default.toml: ok"));
    project.write("default.toml", "[global]\ncountr = \"de\"\n");
    let ran = project.run(["check"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.out.contains("unknown key `countr`") && ran.out.contains("default.toml:2:1\n"), "{}", ran.out);

    let answer = "[global]\ncountry = \"at\"\nkeyboard = \"de\"\nfqdn = \"a.b\"\nmailto = \"a@b\"\ntimezone = \"UTC\"\n\
        root-password = \"12345678\"\n[network]\nsource = \"from-dhcp\"\n[disk-setup]\nfilesystem = \"ext4\"\n\
        disk-list = [\"a\"]\n";
    project.write("answer.toml", answer);
    project.write("machine.json", r#"{"disks":{"/dev/sda":{"ID_SERIAL":"S1"}},"nics":{}}"#);
    let path = project.path().join("answer.toml").display().to_string();
    let machine = project.path().join("machine.json").display().to_string();
    let out = project.ok(["check", &path, "--machine", &machine]);
    for words in [
        "DANGER: `a` is no whole name",
        "would wipe /dev/sda (serial S1)",
        "but installer 8.2, 8.3 would refuse it; `--release 8.2` says why",
    ] {
        assert!(out.contains(words), "no {words} in {out}");
    }
    let ran = project.run(["check", &path, "--release", "all", "--json"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let verdicts = report["files"][0]["verdicts"].as_array().unwrap();
    let accepted: Vec<_> = verdicts.iter().map(|verdict| verdict["accepted"].as_bool().unwrap()).collect();
    assert_eq!(accepted, [false, false, true, true, true]);
    assert_eq!(report["files"][0]["problems"][0]["line"], 7);
}

#[test]
fn check_judges_profiles_overrides_and_plan_as_they_count() {
    let project = Project::empty();
    for folder in ["profiles", "nodes/pve-1.example.com"] {
        fs::create_dir_all(project.path().join(folder)).unwrap();
    }
    let profile = "[disk-setup]\nfilesystem = \"zfs\"\nzfs.raid = \"raid0\"\n";
    project.write("profiles/storage.toml", profile);
    project.write("nodes/pve-1.example.com/override.toml", "[disk-setup]\nzfs.ashift = 13\n");
    project.write("plan.toml", "[[node]]\nhostname = \"pve-1\"\nserial = \"ABC1234\"\nprofile = \"storage\"\n");
    project.write("machine.json", r#"{"disks":{"/dev/sda":{"ID_SERIAL":"S1"}},"nics":{"eno1":{}}}"#);
    let machine = project.path().join("machine.json").display().to_string();
    let out = project.ok(["check", "--machine", &machine]);
    for words in ["storage.toml: ok", "override.toml: ok", "plan.toml: ok", "would wipe /dev/sda (serial S1)"] {
        assert!(out.contains(words), "no {words} in {out}");
    }
    assert_eq!(out.matches("would wipe").count(), 3, "base, profile and override: {out}");

    project
        .write("profiles/storage.toml", "[global]\nroot-password = \"12345678\"\n[disk-setup]\nfilesystem = \"zfs\"\n");
    project.write("plan.toml", "[[node]]\nhostname = \"pve-1\"\nserial = \"ABC1234\"\nprofile = \"compute\"\n");
    let ran = project.run(["check"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    for words in [
        "`disk-setup.zfs.raid` is missing",
        "storage.toml:2:17",
        "storage.toml: 1 error, 1 DANGER",
        "plan.toml:4:11",
        "there is no profile `compute`",
    ] {
        assert!(ran.out.contains(words), "no {words} in {}", ran.out);
    }
    let plan = project.path().join("plan.toml").display().to_string();
    assert_eq!(project.run(["check", &plan]).code, Some(3));

    // What one release cannot do, a profile cannot ask of it.
    project.write("plan.toml", "");
    project.write("profiles/storage.toml", "[network.interface-name-pinning]\nenabled = true\n");
    let ran = project.run(["check", "--release", "8.3"]);
    assert!(
        ran.out.contains("is left out for installers") && ran.out.contains("storage.toml: 1 warning"),
        "{}",
        ran.out
    );
}

#[test]
fn check_and_start_judge_over_the_dhcp_of_config_toml() {
    let project = Project::empty();
    for folder in ["profiles", "nodes/pve-1.example.com"] {
        fs::create_dir_all(project.path().join(folder)).unwrap();
    }
    let own = "nodes/pve-1.example.com/override.toml";
    let profile = "[global]\ntimezone = \"UTC\"\n[network]\ndns = \"192.0.2.53\"\n";
    project.write("config.toml", "[network]\naddress = \"dhcp\"\n");
    project.write("default.toml", DEFAULT_TOML);
    project.write("profiles/storage.toml", profile);
    project.write(own, "[network]\ngateway = \"192.0.2.254\"\n");
    let told = "`network.dns` is not allowed with `source = \"from-dhcp\"`, which `address` in config.toml asks for";
    let check = project.run(["check"]);
    assert_eq!(check.code, Some(3), "{check:?}");
    for words in [told, "storage.toml:4:7", "`network.gateway` is not allowed", "override.toml:2:11"] {
        assert!(check.out.contains(words), "no {words} in {}", check.out);
    }
    for file in ["profiles/storage.toml", own] {
        let check = project.run(["check", &project.path().join(file).display().to_string()]);
        assert_eq!(check.code, Some(3), "{check:?}");
    }
    let start = project.run(["serve"]);
    assert_eq!((start.code, start.err.contains(told)), (Some(3), true), "{start:?}");

    // Whoever says otherwise than `config.toml` may.
    project.write("profiles/storage.toml", &profile.replace("[network]", "[network]\nsource = \"from-answer\""));
    project.write(own, "[global]\ncountry = \"at\"\n");
    assert!(project.ok(["check"]).contains("storage.toml: ok"));

    // A broken `config.toml` is no problem of the plan.
    project.write("config.toml", "[network]\naddress = 5\n");
    project.write("plan.toml", "[[node]]\nhostname = \"pve-1\"\nserial = \"ABC1234\"\n");
    let check = project.run(["check"]);
    assert_eq!((check.code, check.out.contains("plan.toml: ok")), (Some(3), true), "{check:?}");
}

#[test]
fn a_file_with_a_problem_in_every_line_is_judged_at_once() {
    let project = Project::empty();
    let lines: Vec<_> = (0..30_000).map(|number| format!("strange-{number} = 1\n")).collect();
    project.write("default.toml", &format!("[global]\n{}", lines.concat()));
    let started = std::time::Instant::now();
    let ran = project.run(["check", "--release", "9.2"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.out.contains("unknown key `strange-99`") && !ran.out.contains("strange-101`"), "{}", ran.out);
    assert!(ran.out.contains("default.toml: 300") && ran.out.contains(" more\n"), "{}", ran.out);
    // Two seconds of work; it was many minutes when every problem was looked up in the text.
    assert!(started.elapsed() < std::time::Duration::from_mins(2), "{:?}", started.elapsed());
    assert!(project.run(["serve"]).err.contains("... and "), "the same at the start");
}

#[rstest]
#[case::option(&["serve", "--bogus"], "--bogus")]
#[case::command(&["frobnicate"], "frobnicate")]
#[case::nobody_to_approve(&["approve"], "<NODES>")]
#[case::no_such_name(&["rename", "m1", "under_score.example.com"], "under_score")]
#[case::no_folder(&["serve", "-C", "/nonexistent"], "is not a folder")]
#[case::address(&["serve", "--listen", "8443"], "--listen")]
fn a_wrong_command_line_ends_with_2(#[case] args: &[&str], #[case] words: &str) {
    let ran = Project::empty().run(args);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{}", ran.err);
    assert!(ran.err.contains(words), "{}", ran.err);
}

#[test]
fn every_problem_of_both_files_is_told_at_once_with_its_place() {
    let project = Project::empty();
    project.write("config.toml", "hold = \"45s\"\n\n[server]\nlissten = \"x\"\nhold = \"2m\"\n");
    project.write("default.toml", "[global]\ncountr = \"de\"\n");
    let ran = project.run(["serve"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    let expected = [
        "unknown key `hold`",
        "config.toml:1:1\n",
        "belongs in the table `[server]`",
        "config.toml:4:1\n",
        "4 | lissten = \"x\"\n  | ^^^^^^^\n",
        "did you mean `listen`?",
        "config.toml:5:8\n",
        "default.toml:2:1\n",
        "2 | countr = \"de\"\n  | ^^^^^^\n",
        "did you mean `country`?",
    ];
    for words in expected {
        assert!(ran.err.contains(words), "no `{words}` in\n{}", ran.err);
    }
    assert!(!project.at(".prox-orchestrator").exists(), "nothing is made before the configuration is good");
}

#[rstest]
#[case::not_toml("machine_net_mask = \"24\n", "not valid TOML")]
#[case::wrong_type("[server]\nmax_held = \"many\"\n", "max_held")]
#[case::out_of_range("[server]\nhold = \"2m\"\n", "from 1s to 50s")]
fn a_bad_config_ends_with_3(#[case] text: &str, #[case] words: &str) {
    let project = Project::empty();
    project.write("config.toml", text);
    let ran = project.run(["serve"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains(words) && ran.err.contains('^'), "{}", ran.err);
}

#[rstest]
#[case("config.toml")]
#[case("default.toml")]
fn an_unreadable_file_ends_with_3(#[case] name: &str) {
    let project = Project::empty();
    fs::create_dir(project.at(name)).unwrap();
    let ran = project.run(["serve"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("a folder stands in the place of the file") && ran.err.contains(name), "{}", ran.err);
    fs::remove_dir(project.at(name)).unwrap();
    fs::write(project.at(name), b"\xff\xfe#").unwrap();
    let ran = project.run(["serve"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("not UTF-8"), "{}", ran.err);
    fs::remove_file(project.at(name)).unwrap();
    symlink(name, project.at(name)).unwrap();
    let ran = project.run(["serve"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains(name), "{}", ran.err);
}

#[test]
fn a_bad_variable_ends_with_3() {
    let project = Project::empty();
    let output = project.command(["serve"]).env("PROX_ORCHESTRATOR_SERVER_LISTEN", "foo").output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{words}");
    assert!(words.contains("PROX_ORCHESTRATOR_SERVER_LISTEN=foo"), "{words}");
}

#[test]
fn a_port_in_use_ends_with_4() {
    let project = Project::empty();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let ran = project.run(["serve", "--listen", &address]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains(&format!("`{address}` is in use")), "{}", ran.err);
}

#[test]
fn a_second_engine_and_a_damaged_database_end_with_5() {
    let project = Project::new(Settings::default());
    let mut engine = project.serve();
    let ran = project.run(["serve"]);
    assert_eq!(ran.code, Some(5), "{}", ran.err);
    assert!(ran.err.contains(&format!("(process {}) works in", engine.process.pid())), "{}", ran.err);
    assert!(project.listing().is_some(), "the first one works on");
    engine.terminate();

    // With its log a damaged database would be whole again.
    for rest in ["state.db-wal", "state.db-shm"] {
        let _ = fs::remove_file(project.at(".prox-orchestrator").join(rest));
    }
    project.write(".prox-orchestrator/state.db", "this is no database, however long one looks at it\n");
    let ran = project.run(["serve"]);
    assert_eq!(ran.code, Some(5), "{}", ran.err);
    assert!(ran.err.contains("state.db` is damaged"), "{}", ran.err);
    fs::remove_dir_all(project.at(".prox-orchestrator")).unwrap();

    project.write(".prox-orchestrator", "a file in the way");
    let ran = project.run(["serve"]);
    assert_eq!(ran.code, Some(5), "{}", ran.err);
}

#[test]
fn without_an_engine_orders_end_with_8() {
    let project = Project::new(Settings::default());
    for args in
        [&["nodes"][..], &["status"], &["show", "m1"], &["approve", "m1"], &["run"], &["cancel"], &["forget", "m1"]]
    {
        let ran = project.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(8), ""), "{args:?}: {}", ran.err);
        assert!(ran.err.contains("no engine is running in"), "{}", ran.err);
    }
    // A socket whose engine was killed is no engine either.
    project.serve().kill();
    let ran = project.run(["nodes"]);
    assert_eq!(ran.code, Some(8), "{}", ran.err);
    assert!(project.serve().process.pid().as_raw() > 0, "and it is not in the way of the next one");
}

#[test]
fn the_console_needs_a_terminal() {
    let project = Project::new(Settings::default());
    let ran = project.run([] as [&str; 0]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("prox-orchestrator serve"), "{}", ran.err);
}

#[test]
fn six_flat_keys_are_a_configuration() {
    let project = Project::empty();
    project.write("config.toml", SIX_KEYS);
    let mut engine = project.serve_with(&["--listen", "127.0.0.1:0"]);
    assert!(engine.url.starts_with("https://127.0.0.1:"), "{}", engine.url);
    let fingerprint = engine.fingerprint.clone().unwrap();
    assert_eq!(fingerprint.split(':').filter(|pair| pair.len() == 2).count(), 32, "{fingerprint}");
    assert!(!engine.process.out.text().contains("problem: no machine can be answered"), "nothing is missing");

    assert!(project.ok(["nodes"]).contains("No machine has asked yet"));
    assert_eq!(project.listing().unwrap()["nodes"], Value::Array(Vec::new()));
    for (name, mode) in [("", 0o700), ("state.db", 0o600), ("tls-key.pem", 0o600), ("ssh/id_ed25519", 0o600)] {
        let path = project.at(".prox-orchestrator").join(name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
    let socket = fs::metadata(project.at(".prox-orchestrator/socket")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    engine.terminate();
    let again = project.serve_with(&["--listen", "127.0.0.1:0"]);
    assert_eq!(again.fingerprint, Some(fingerprint), "a renewed certificate would invalidate every prepared medium");
}

#[test]
fn an_order_for_nobody_ends_with_7() {
    let project = Project::new(Settings::default());
    let _engine = project.serve();
    for args in [
        &["approve", "m1"][..],
        &["show", "pve-"],
        &["forget", ""],
        &["cancel"],
        &["run"],
        &["adopt", "w1", "m1"],
        &["dismiss", "nonsense"],
    ] {
        let ran = project.run(args);
        assert_eq!(ran.code, Some(7), "{args:?}: {ran:?}");
        assert!(!format!("{}{}", ran.out, ran.err).trim().is_empty(), "{args:?} says why");
    }
}

#[test]
fn events_are_printed_as_json_lines() -> io::Result<()> {
    let project = Project::new(Settings { ansible: "start = \"by-hand\"", ..Settings::default() });
    let port = super::rig::free_port();
    let address = format!("127.0.0.1:{port}");
    let mut command = project.command(["serve", "--json", "--no-tls", "--listen", &address]);
    let mut engine = Process::start(&mut command);
    until("it serves", || project.listing());
    let rack = project.simulate_at(&format!("http://{address}/answer"), None, 1, &["--ssh", "none"]);
    project.until_all(1, "waiting");
    project.ok(["approve", "m1"]);
    rack.until_did(1, "reported: 200");
    project.until_phase("m1", "booting");
    engine.signal(Signal::SIGTERM);
    assert_eq!(engine.wait().code(), Some(0));
    let text = engine.out.text();
    let events: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let sequence: Vec<_> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert_eq!(sequence, (1..=events.len() as u64).collect::<Vec<_>>(), "{text}");
    for what in ["machine_seen", "approved", "answer_released", "answer_delivered", "report_accepted", "booting"] {
        assert!(text.contains(what), "no {what} in {text}");
    }
    assert!(!text.contains("test-password"), "events hold no secret");
    Ok(())
}
