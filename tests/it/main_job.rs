//! The main job without a terminal: machines ask, are approved by command line, install, report and become ready; and
//! what else the operator may want of them. Nothing here needs Ansible.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::Signal;
use rstest::rstest;
use serde_json::Value;

use super::http::{self, exchange, receive, send};
use super::rig::{Engine, Project, Settings, captures, until};

/// No run starts by itself.
const BY_HAND: Settings<'static> = Settings { server: "", ansible: "start = \"by-hand\"", rest: "" };

/// The smallest requests machines were ever seen to send.
const SMALL_ASK: &str = r#"{"dmi":{"system":{"uuid":"F68D13F3-472B-4F1A-95A7-120B398A07AA"}}}"#;
const SMALL_REPORT: &str =
    r#"{"fqdn":"node-aaaa.example.com","filesystem":"ext4","cpu-info":{"model":"Intel Xeon E5-2670"}}"#;

#[rstest]
#[case::tls("9.2", &[])]
#[case::plain_http("9.2", &["--no-tls"])]
#[case::old_spelling("8.4", &[])]
#[case::between("9.1", &[])]
fn two_machines_become_ready(#[case] release: &str, #[case] options: &[&str]) {
    let project = Project::new(BY_HAND);
    let engine = project.serve_with(options);
    assert_eq!(engine.url.starts_with("https://"), options.is_empty(), "{}", engine.url);
    let rack = project.simulate(&engine, 2, &["--release", release]);
    project.until_all(2, "waiting");
    let row = project.node("m1");
    assert!(row["held_until"].is_string() && row["claim_code"].as_str().is_some_and(|code| code.len() == 4), "{row}");
    assert!(project.inventory().is_empty(), "only installed nodes are in it");

    let said = project.ok(["approve", "m1", "m2"]);
    assert_eq!(said.matches(" approved\n").count(), 2, "{said}");
    project.until_all(2, "ready");
    project.until_inventory(2, "ready");
    for machine in [0, 1] {
        // Which of them asked first, and so is `m1`, is up to the two.
        let address = Ipv4Addr::from(u32::from(project.rack) + machine).to_string();
        let row = project.nodes().into_iter().find(|row| row["address"] == address.as_str()).unwrap();
        let name = row["name"].as_str().unwrap();
        let uuid = row["uuid"].as_str().unwrap();
        assert_eq!(name, format!("pve-{}.rack.example", &uuid[uuid.len() - 4..]), "{row}");
        let vars = &project.inventory()[name];
        assert_eq!((&vars["ansible_host"], &vars["ansible_user"]), (&address.into(), &"root".into()));
        assert_eq!(vars["hw"]["model"]["__ansible_unsafe"], row["model"]);
        for file in ["answer.toml", "system-info.json", "report.json", "node.json"] {
            let path = project.at("nodes").join(name).join(file);
            until(&format!("{name}/{file} is there"), || path.is_file().then_some(()));
        }
        let answer = project.read(&format!("nodes/{name}/answer.toml"));
        assert!(answer.contains(name) && !answer.contains("test-password"), "secrets are left out: {answer}");
        until("its key is known", || project.read("nodes/known_hosts").contains(name).then_some(()));
    }
    let key = fs::metadata(project.at(".prox-orchestrator/ssh/id_ed25519")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    let figures = rack.switch_off();
    assert_eq!((figures.code, figures.count("debug shells"), figures.count("installations")), (Some(0), 0, 2));
}

#[test]
fn a_machine_nobody_approved_gets_only_retry_answers() {
    let project = Project::new(Settings { server: "hold = \"1s\"", ..BY_HAND });
    let engine = project.serve();
    let rack = project.simulate(&engine, 1, &[]);
    rack.until_did(2, "CODE");
    let row = project.node("m1");
    assert_eq!(row["phase"], "waiting");
    assert!(rack.text().contains(row["claim_code"].as_str().unwrap()), "its screen shows the code of its row");
    assert!(!rack.text().contains("installs"), "{}", rack.text());
    assert_eq!(project.nodes().len(), 1, "it is one row, however often it asks");
    project.ok(["approve", "m1"]);
    project.until_phase("m1", "ready");
    let figures = rack.switch_off();
    assert_eq!((figures.code, figures.count("debug shells")), (Some(0), 0), "{}", figures.text);
}

#[test]
fn a_name_can_be_changed_until_the_machine_installs() {
    let project = Project::new(BY_HAND);
    let engine = project.serve();
    let rack = project.simulate(&engine, 2, &[]);
    project.until_all(2, "waiting");
    let old = project.node("m1")["name"].as_str().unwrap().to_owned();
    project.ok(["rename", "m1", "db-1.rack.example"]);
    let taken = project.run(["rename", "m2", "DB-1.rack.example"]);
    assert_eq!(taken.code, Some(7), "{taken:?}");
    assert!(taken.out.contains("belongs to"), "{taken:?}");
    assert_eq!(project.run(["approve", &old]).code, Some(7), "the old name is free");

    project.ok(["approve", "db-1"]);
    rack.until_did(1, "installs db-1.rack.example on");
    let late = project.run(["rename", "db-1", "db-2.rack.example"]);
    assert_eq!(late.code, Some(7), "{late:?}");
    project.until_phase("m1", "ready");
    project.until_inventory(1, "ready");
    assert!(project.inventory().contains_key("db-1.rack.example"));
    assert!(project.at("nodes/db-1.rack.example/report.json").is_file());
    assert!(!project.at("nodes").join(old).exists(), "the folder followed the name");
    assert!(project.ok(["show", "db-1"]).contains("phase        ready"));
    let shown: Value = serde_json::from_str(&project.ok(["show", "db-1", "--json"])).unwrap();
    assert_eq!(shown["name"], "db-1.rack.example");
}

#[test]
fn a_machine_sent_away_is_refused_and_told_why() {
    let project = Project::new(BY_HAND);
    let engine = project.serve();
    let rack = project.simulate(&engine, 1, &[]);
    project.until_all(1, "waiting");
    project.ok(["reject", "m1", "--reason", "not ours"]);
    project.until_phase("m1", "rejected");
    rack.until_did(1, "DEBUG SHELL");
    assert!(rack.text().contains("403"), "{}", rack.text());
    assert_eq!(project.node("m1")["reason"], "not ours");
    let figures = rack.switch_off();
    assert_eq!((figures.code, figures.count("installations")), (Some(1), 0), "it was stranded on purpose");

    project.ok(["forget", "m1"]);
    assert!(project.nodes().is_empty());
    let _rack = project.simulate(&engine, 1, &[]);
    project.until_phase("m2", "waiting");
}

#[rstest]
#[case::report_lost("--fault=no-report")]
#[case::installer_sends_none("--release=8.2")]
fn a_node_that_never_reports_is_marked_and_its_key_trusted(#[case] option: &str) {
    let project = Project::new(BY_HAND);
    let engine = project.serve();
    let rack = project.simulate(&engine, 1, &[option]);
    project.until_all(1, "waiting");
    assert_eq!(project.run(["mark-installed", "m1"]).code, Some(7), "nobody approved it");
    project.ok(["approve", "m1"]);
    rack.until_did(1, "answers SSH on");
    project.until_phase("m1", "installing");
    project.ok(["mark-installed", "m1"]);
    let key = until("its key is seen", || {
        let shown: Value = serde_json::from_str(&project.ok(["show", "m1", "--json"])).unwrap();
        (!shown["unproven"].is_null()).then(|| project.ok(["show", "m1"]))
    });
    let key = key.lines().find_map(|line| line.strip_prefix("unproven key")).unwrap().to_owned();
    let run = project.run(["run"]);
    assert_eq!(run.code, Some(7), "no run includes a node that proved nothing: {run:?}");
    assert_eq!(project.run(["trust", "m1", "SHA256:nonsense"]).code, Some(7));
    project.ok(["trust", "m1", key.split_whitespace().last().unwrap()]);
    project.until_phase("m1", "ready");
}

#[test]
fn a_report_without_its_secret_waits_until_it_is_adopted() {
    let project = Project::new(BY_HAND);
    let engine = project.serve();
    let rack = project.simulate(&engine, 2, &["--fault", "lost-secret=1", "--fault", "forged-secret=2"]);
    project.until_all(2, "waiting");
    project.ok(["approve", "m1", "m2"]);
    rack.until_did(2, "reported: 200");
    let reports = until("both reports are rows", || {
        let reports = project.listing()?["unmatched_reports"].as_array().cloned()?;
        (reports.len() == 2).then_some(reports)
    });
    assert_eq!(project.phases().values().filter(|phase| *phase == "installing").count(), 2, "they moved no node");
    assert!(project.inventory().is_empty());
    let report_of = |id: &str| {
        let name = project.node(id)["name"].clone();
        let report = reports.iter().find(|report| report["fqdn"] == name);
        report.unwrap_or_else(|| panic!("no report of {id} in {reports:?}"))["id"].as_str().unwrap().to_owned()
    };
    project.ok(["adopt", &report_of("m1"), "m1"]);
    project.until_phase("m1", "ready");
    project.ok(["dismiss", &report_of("m2")]);
    assert_eq!(project.listing().unwrap()["unmatched_reports"], Value::Array(Vec::new()));
    assert_eq!(project.node("m2")["phase"], "installing");
}

#[test]
fn without_webhook_secrets_reports_match_by_uuid_and_runs_start_by_hand() {
    let project = Project::new(Settings { server: "webhook_auth = \"none\"", ansible: "", rest: "" });
    let engine = project.serve();
    assert!(engine.process.out.text().contains("reports need no secret"), "it is said at the start");
    let rack = project.simulate(&engine, 1, &["--fault", "lost-secret"]);
    project.until_all(1, "waiting");
    project.ok(["approve", "m1"]);
    rack.until_did(1, "reported: 200");
    project.until_phase("m1", "ready");
    let flags = project.node("m1")["flags"].to_string();
    assert!(flags.contains("unproven_report"), "{flags}");
    assert!(!engine.process.out.text().contains("run r1"), "no run starts by itself");
}

#[test]
fn an_inventory_of_the_old_shape_is_imported_once() {
    let project = Project::new(BY_HAND);
    fs::create_dir(project.at("nodes")).unwrap();
    let old = r#"{"pve-old1.rack.example": "installed", "pve-old2.rack.example": "configured", "not a name": "x"}"#;
    project.write("nodes/dynamic-inventory.json", old);
    let mut engine = project.serve();
    project.until_all(2, "planned");
    until("our inventory is there", || project.read("nodes/dynamic-inventory.json").contains("sequence").then_some(()));
    assert!(project.inventory().is_empty(), "they only reserve their names");
    let kept = fs::read_dir(project.at("nodes")).unwrap().flatten();
    let kept = kept.filter(|entry| entry.path().is_file()).map(|entry| fs::read_to_string(entry.path()).unwrap());
    assert_eq!(kept.filter(|text| text == old).count(), 1, "the old file is kept aside");
    let _rack = project.simulate(&engine, 1, &[]);
    project.until_phase("m3", "waiting");
    assert_eq!(project.run(["rename", "m3", "pve-old1.rack.example"]).code, Some(7));
    engine.terminate();
    let _engine = project.serve();
    assert_eq!(project.nodes().len(), 3, "it is not imported again");
}

#[test]
fn a_restart_resumes_where_it_was() {
    let project = Project::new(Settings { server: "hold = \"2s\"", ..BY_HAND });
    let engine = project.serve();
    let (url, fingerprint) = (engine.url.clone(), engine.fingerprint.clone());
    let rack = project.simulate(&engine, 3, &["--install-time", "3s", "--leave-shell-after", "2s"]);
    project.until_all(3, "waiting");
    project.ok(["approve", "m1"]);
    project.until_phase("m1", "installing");
    project.ok(["approve", "m2"]);
    let before = (project.nodes().len(), project.node("m1")["name"].clone());
    engine.kill();
    let address = url.trim_start_matches("https://").trim_end_matches("/answer").to_owned();
    let engine = project.serve_with(&["--listen", &address]);
    assert_eq!((engine.url.as_str(), &engine.fingerprint), (url.as_str(), &fingerprint));
    assert_eq!((project.nodes().len(), project.node("m1")["name"].clone()), before);
    project.until_phase("m1", "ready");
    project.until_phase("m2", "ready");
    // The third one was held when the power went: it asks again, and nobody has approved it.
    until("it is held again", || project.node("m3")["held_until"].is_string().then_some(()));
    assert_eq!(rack.switch_off().count("installations"), 2);
}

#[rstest]
#[case::sigterm(Signal::SIGTERM)]
#[case::sighup(Signal::SIGHUP)]
#[case::sigint(Signal::SIGINT)]
fn ending_gives_held_machines_their_retry_answer(#[case] signal: Signal) {
    let project = Project::new(BY_HAND);
    let mut engine = project.serve();
    let rack = project.simulate(&engine, 3, &["--reboot-time", "10m"]);
    project.until_all(3, "waiting");
    engine.process.signal(signal);
    assert_eq!(engine.process.wait().code(), Some(0), "{}", engine.process.err.text());
    rack.until_did(3, "reboots");
    let figures = rack.switch_off();
    assert_eq!((figures.count("turned down, rebooted"), figures.count("debug shells")), (3, 0), "{}", figures.text);
    assert_eq!((figures.code, figures.count("installations")), (Some(0), 0));
}

#[test]
fn a_machine_that_hangs_up_is_still_there_when_it_comes_back() {
    let project = Project::new(BY_HAND);
    let engine = project.serve();
    let rack = project.simulate(&engine, 1, &["--fault", "hang-up", "--reboot-time", "1s"]);
    rack.until_did(1, "lost power while held");
    until("nobody is held", || project.node("m1")["held_until"].is_null().then_some(()));
    project.ok(["approve", "m1"]);
    project.until_phase("m1", "ready");
    assert_eq!(project.nodes().len(), 1);
    let figures = rack.switch_off();
    assert_eq!((figures.count("hung up while held"), figures.count("debug shells")), (1, 0), "{}", figures.text);
}

#[test]
fn a_crash_in_the_middle_of_an_installation_starts_over_by_itself() {
    let project = Project::new(BY_HAND);
    let engine = project.serve();
    let rack = project.simulate(&engine, 1, &["--fault", "crash"]);
    project.until_all(1, "waiting");
    project.ok(["approve", "m1"]);
    project.until_phase("m1", "ready");
    let figures = rack.switch_off();
    assert_eq!((figures.code, figures.count("installations")), (Some(0), 2), "{}", figures.text);
}

#[test]
fn an_installed_machine_is_never_wiped_without_being_asked_for() {
    let project = Project::new(Settings { server: "hold = \"1s\"", ..BY_HAND });
    let engine = project.serve();
    let rack = project.simulate(&engine, 1, &[]);
    project.until_all(1, "waiting");
    project.ok(["approve", "m1"]);
    project.until_phase("m1", "ready");
    rack.switch_off();
    // The medium was left in the drive.
    let rack = project.simulate(&engine, 1, &[]);
    rack.until_did(2, "reboots");
    assert!(!rack.text().contains("installs"), "{}", rack.text());
    assert!(project.node("m1")["flags"].to_string().contains("asks_again"));
    assert_eq!(project.run(["approve", "m1"]).code, Some(7));
    let name = project.node("m1")["name"].as_str().unwrap().to_owned();
    assert_eq!(project.run(["reinstall", "m1", "--confirm", "other.rack.example"]).code, Some(7));
    project.ok(["reinstall", "m1", "--confirm", &name]);
    rack.until_did(1, "answers SSH on");
    project.until_phase("m1", "ready");
    assert_eq!(rack.switch_off().count("installations"), 1);
}

#[test]
fn hostile_requests_get_a_clear_reply_and_hurt_nobody() {
    let project = Project::new(Settings { server: "hold = \"1s\"", ..BY_HAND });
    let engine = project.serve_with(&["--no-tls"]);
    let post = |path: &str, body: &[u8]| exchange(&engine, "POST", path, body);
    for body in [&b"this is not JSON"[..], b"", b"[1,2]", b"\"x\"", b"\xff\xfe\x00", b"{\"dmi\":"] {
        let reply = post("/answer", body);
        assert!(reply.status == 400 && reply.body.contains("JSON object"), "{body:?}: {reply:?}");
    }
    // Every JSON object gets at least the retry answer, else its machine ends in a debug shell.
    for body in [
        "{}",
        r#"{"dmi":null}"#,
        r#"{"dmi":{"system":{"uuid":7}}}"#,
        r#"{"dmi":{"system":{"uuid":"nonsense"}},"network_interfaces":"none"}"#,
    ] {
        let reply = post("/answer/", body.as_bytes());
        assert!(reply.is_retry(), "{body}: {reply:?}");
    }
    let big = format!(r#"{{"dmi":{{"system":{{"uuid":"{}"}}}}}}"#, "x".repeat(10 << 20));
    assert!(post("/answer", big.as_bytes()).is_retry());
    assert_eq!(post("/answer", &vec![b'x'; 10 << 20]).status, 413);
    for body in [&b"not JSON"[..], b"", b"[]", b"{}", SMALL_REPORT.as_bytes(), &vec![b' '; 10 << 20]] {
        assert_eq!(post("/webhook/", body).status, 200, "anything else strands a finished node");
    }
    let held = http::connect(&engine);
    drop(held);
    assert!(project.listing().is_some());
    assert_eq!(exchange(&engine, "GET", "/healthz", b"").status, 200);
    let log = engine.process.err.text();
    assert!(log.contains("WARN") && !log.contains("ERROR"), "it is told, but it is no error of the program: {log}");
    assert!(!log.contains('\u{1b}'), "no colours where nobody looks: {log}");
}

#[test]
fn odd_machines_are_served_like_any_other() {
    let project = Project::new(Settings { server: "hold = \"2s\"", ..BY_HAND });
    let engine = project.serve();
    let faults = ["slow-body=1", "no-dmi=2", "hostile-text=3", "duplicate-uuid=4", "big-body=5", "garbage-body=6"];
    let rack = project.simulate(&engine, 6, &faults.map(|fault| ["--fault", fault]).concat());
    let ids = until("all that can be told apart are rows", || {
        let ids: Vec<_> = project.phases().into_keys().collect();
        (ids.len() == 4).then_some(ids)
    });
    rack.until_did(1, "DEBUG SHELL");
    project.ok(["approve"].into_iter().chain(ids.iter().map(String::as_str)));
    project.until_all(4, "ready");
    let figures = rack.switch_off();
    assert_eq!((figures.count("installations"), figures.count("debug shells")), (4, 1), "{}", figures.text);
    let names: Vec<_> = project.inventory().into_keys().collect();
    assert_eq!(names.len(), 4, "each has a name of its own: {names:?}");
}

#[test]
fn on_a_full_disk_nothing_stored_is_lost_and_no_machine_is_stranded() {
    let project = Project::new(BY_HAND);
    let mut engine = project.serve_on_a_small_disk(150);
    let rack = project.simulate(&engine, 50, &["--stagger", "10ms", "--reboot-time", "10m"]);
    rack.until_did(1, "CANNOT STORE");
    rack.until_did(50, "asks for its answer");
    // What is small may still find room.
    let mut names = 0;
    let refused = until("an order is refused", || {
        names += 1;
        let ran = project.run(["rename", "m1", &format!("db-{names}.rack.example")]);
        (ran.code != Some(0)).then_some(ran)
    });
    assert_eq!(refused.code, Some(1), "not refused, but failed: {refused:?}");
    assert!(refused.out.contains("free disk space"), "{refused:?}");
    let uuids = || project.nodes().iter().map(|node| node["uuid"].to_string()).collect::<BTreeSet<_>>();
    let (known, name) = (uuids(), project.node("m1")["name"].clone());
    assert!((1..50).contains(&known.len()), "{known:?}");
    engine.terminate();
    rack.until_did(50, "reboots");
    let figures = rack.switch_off();
    assert_eq!((figures.count("debug shells"), figures.count("installations")), (0, 0), "{}", figures.text);

    let _engine = project.serve();
    assert!(uuids().is_superset(&known), "{known:?}");
    assert_eq!(project.node("m1")["name"], name, "the refused name was not stored either");
    assert!(project.phases().values().all(|phase| phase == "waiting"), "{:?}", project.phases());
}

#[test]
fn people_who_look_with_a_browser_are_told_what_this_is() {
    let project = Project::new(BY_HAND);
    let engine = project.serve_with(&["--no-tls"]);
    for path in ["/answer", "/answer/", "/webhook", "/webhook/"] {
        let reply = exchange(&engine, "GET", path, b"");
        assert!(reply.status == 200 && reply.body.contains("prox-orchestrator"), "{path}: {reply:?}");
    }
    assert!(exchange(&engine, "GET", "/answer", b"").body.contains("prepare-iso"));
    assert_eq!(exchange(&engine, "PUT", "/answer", b"{}").status, 405);
    assert_eq!(exchange(&engine, "POST", "/nowhere", b"hello").status, 404);
}

#[test]
fn plain_http_on_the_tls_port_is_explained_on_the_machines_screen() {
    let project = Project::new(BY_HAND);
    let engine = project.serve();
    let reply = exchange(&engine, "POST", "/answer", SMALL_ASK.as_bytes());
    assert!(reply.is_retry() && reply.body.contains("https://"), "{reply:?}");
    assert_eq!(exchange(&engine, "GET", "/answer", b"").status, 400);
    assert!(project.nodes().is_empty(), "it is no row: nobody knows which machine it was");
    until("the log tells it", || engine.process.err.text().contains("speaks http on the https port").then_some(()));
}

#[test]
fn the_smallest_requests_do_the_whole_job() {
    let project = Project::new(BY_HAND);
    let engine = project.serve_with(&["--no-tls"]);
    let held = send(&engine, "POST", "/answer/", SMALL_ASK.as_bytes());
    project.until_all(1, "waiting");
    assert_eq!(project.node("m1")["name"], "pve-07aa.rack.example");
    project.ok(["approve", "pve-07aa"]);
    let answer = receive(held);
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: application/toml"), "{}", answer.head);
    assert!(answer.body.contains("\"pve-07aa.rack.example\""), "{}", answer.body);
    assert_eq!(report(&engine, &answer.body, SMALL_REPORT.as_bytes()), 200);
    project.until_phase("m1", "booting");
    let reply = exchange(&engine, "POST", "/webhook", SMALL_REPORT.as_bytes());
    assert_eq!(reply.status, 200);
    until("one without a secret is a row of its own", || {
        (project.listing()?["unmatched_reports"].as_array()?.len() == 1).then_some(())
    });
}

/// Sends a report to the URL that is in the answer; returns the status.
fn report(engine: &Engine, answer: &str, body: &[u8]) -> u16 {
    let at = answer.find("/webhook/").unwrap_or_else(|| panic!("no webhook in {answer}"));
    let path = answer[at..].split('"').next().unwrap();
    assert!(path.len() > 30, "with a secret");
    exchange(engine, "POST", path, body).status
}

#[test]
fn what_real_installers_sent_is_understood() {
    let Some(folder) = captures() else { return };
    let project = Project::new(Settings { server: "hold = \"1s\"", ..BY_HAND });
    let engine = project.serve_with(&["--no-tls"]);
    let (mut asked, mut reported) = (0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let capture: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let body = capture["body_raw"].as_str().map_or_else(|| capture["body"].to_string(), str::to_owned);
        if name.contains("answer") {
            let reply = exchange(&engine, "POST", "/answer", body.as_bytes());
            assert!(reply.is_retry(), "{name}: {reply:?}");
            let (model, rows) = (&capture["body"]["dmi"]["system"]["name"], project.nodes());
            assert!(rows.iter().any(|row| row["model"] == *model), "{name}: no {model} in {rows:?}");
            asked += 1;
        } else {
            assert_eq!(exchange(&engine, "POST", "/webhook", body.as_bytes()).status, 200, "{name}");
            reported += 1;
        }
    }
    assert!(asked > 0 && reported > 0, "{asked} and {reported}");
    let listing = project.listing().unwrap();
    assert_eq!(listing["unmatched_reports"].as_array().unwrap().len(), reported, "none came with a secret of ours");
}
