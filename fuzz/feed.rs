//! Feeds bytes to everything that reads what others wrote, and checks what must hold whatever the bytes.
//!
//! Two builds share this file: the fuzz targets, and `tests/it/fuzz_corpus.rs`, which gives it the kept corpus in every
//! test run (docs/testing.md).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use prox_orchestrator::answer::{
    self, BaseAnswer, Context, Hardware, Inputs, Installer, NicChoice, Offer, Overlay, Problem, Profile, Profiles,
    Question, RenderError, Sight, TemplateError, Webhook,
};
use prox_orchestrator::config::Source;
use prox_orchestrator::domain::command::ReportIn;
use prox_orchestrator::domain::{
    Ask, Command, DocumentHash, Fleet, Fqdn, Generation, MacAddr, NodeId, Origin, OwnNetwork, Policy, Recorded, Stamp,
    SystemInfo,
};
use prox_orchestrator::plan::{self, Format};
use prox_orchestrator::wire::{self, RequestSigns, system_info};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use serde_json::value::RawValue;

/// Who sends.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

const GENERATIONS: [Generation; 5] =
    [Generation::V8_2, Generation::V8_2_7, Generation::V8_3, Generation::V9_0, Generation::V9_2];

/// A machine with two disks and two NICs, whose disks have different properties.
const MACHINE: &str = r#"{
    "disks": {
        "/dev/sda": { "DEVNAME": "/dev/sda", "ID_SERIAL": "S1", "ID_MODEL": "Fast", "ID_BUS": "ata" },
        "/dev/nvme0n1": { "DEVNAME": "/dev/nvme0n1", "ID_SERIAL": "S2", "ID_WWN": "eui.1" }
    },
    "nics": {
        "eno1": { "ID_NET_NAME": "eno1", "ID_NET_NAME_MAC": "enx020000000001", "ID_VENDOR_FROM_DATABASE": "Intel" },
        "eno2": { "ID_NET_NAME": "eno2", "ID_NET_NAME_MAC": "enx020000000002", "ID_VENDOR_FROM_DATABASE": "Intel" }
    },
    "dhcp": { "hostname": "leased" }
}"#;

/// What a machine says of itself.
const REQUEST: &str = r#"{
    "product": { "product": "pbs" }, "iso": { "release": "9.2" },
    "dmi": { "system": { "uuid": "5c1f8f3a-9d10-4c5e-8a77-0e6b1a2f07aa", "serial": "S1", "name": "Model 100" } },
    "network_interfaces": [{ "link": "eno1", "mac": "02:00:00:00:00:01" }, { "link": "eno2", "mac": "02:00:00:00:00:02" }]
}"#;

/// A base answer.
const BASE: &str = include_str!("../tests/fixtures/answer/small.toml");

/// Headers of the oldest installers, of none, and of the newest.
const SIGNS: [RequestSigns<'static>; 3] = [
    RequestSigns {
        accept: Some("*/*"),
        user_agent: Some("ureq/2.9.1"),
        content_type: Some("application/json; charset=utf-"),
    },
    RequestSigns { accept: None, user_agent: None, content_type: None },
    RequestSigns {
        accept: Some("application/json, application/toml;q=0.5"),
        user_agent: Some("ureq/3.0.12"),
        content_type: Some("application/json; charset=utf-8"),
    },
];

/// The body of an answer request, from three generations; the machine asks a fleet twice and is one node.
pub(super) fn request(body: &[u8]) {
    for signs in &SIGNS {
        let Ok(info) = system_info::parse(body, signs) else { continue };
        let mut fleet = Fleet::new(Policy::default());
        let first = ask(&mut fleet, &info, body);
        let second = ask(&mut fleet, &info, body);
        assert!(first == second && fleet.node_count() <= 1, "one machine became two");
    }
}

/// The body of a report. What is stored of it holds no token and says the same, and its hardware can be judged.
pub(super) fn report(body: &[u8]) {
    let Ok(parsed) = wire::report::parse(body) else { return };
    assert!(serde_json::from_slice::<&RawValue>(&parsed.redacted).is_ok(), "stored as no JSON");
    let stored = wire::report::parse(&parsed.redacted);
    assert!(
        stored.is_ok_and(|stored| stored.token.is_none() && stored.redacted == parsed.redacted),
        "the token is still there"
    );
    if let Ok(hardware) = Hardware::parse(&parsed.redacted) {
        judge(BASE, Some(&hardware));
    }
    let mut fleet = Fleet::new(Policy::default());
    let document = DocumentHash::of(body);
    let report = ReportIn { peer: PEER, document, report: parsed.report, secret: None, may_move: true };
    submit(&mut fleet, &Command::Report(Box::new(report)));
}

/// An answer file and, behind a NUL, the description of a machine: judged by every release, and where it can be the base
/// answer, rendered for every generation.
pub(super) fn answer(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let Some(Ok(text)) = parts.next().map(std::str::from_utf8) else { return };
    let described = parts.next().and_then(|machine| Hardware::parse(machine).ok());
    let hardware = described.or_else(|| Hardware::parse(MACHINE.as_bytes()).ok());
    judge(text, hardware.as_ref());
    match BaseAnswer::parse(text) {
        Ok(base) => {
            steady(base.cautions(), text);
            serve(base.overlay());
        }
        Err(problems) => assert!(!problems.0.is_empty(), "refused without a reason"),
    }
}

/// A plan and, behind a NUL, a table in each of its formats: what is imported is read again as it is, a second time nothing
/// changes, and every export is the same plan.
pub(super) fn plan(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let text =
        |part: Option<&[u8]>| part.and_then(|part| std::str::from_utf8(part).ok()).unwrap_or_default().to_owned();
    let [before, table] = [text(parts.next()), text(parts.next())];
    let context = plan::Context {
        domain: "rack.example".to_owned(),
        profiles: "storage".parse().into_iter().collect(),
        ..plan::Context::default()
    };
    let file = |text: &str| Source { name: plan::PLAN_FILE.to_owned(), text: text.to_owned() };
    let read = |text: &str| plan::parse(&file(text), &context).map(|plan| plan.entries);
    let bring = |table: &str, format, before: &str, replace| {
        let table = Source { name: "table".to_owned(), text: table.to_owned() };
        plan::import(&plan::Import { table: &table, format, map: &[], replace }, Some(&file(before)), &context)
    };
    for format in [Format::Csv, Format::Json, Format::Toml] {
        for replace in [false, true] {
            let Ok(done) = bring(&table, format, &before, replace) else { continue };
            let entries = read(&done.text).unwrap_or_else(|errors| panic!("not read again: {errors}\n{}", done.text));
            assert!(!entries.is_empty(), "an import of nothing");
            let Ok(again) = bring(&table, format, &done.text, replace) else { panic!("not twice:\n{}", done.text) };
            assert_eq!((again.added.len(), again.changed.len(), again.removed.len()), (0, 0, 0), "{}", done.text);
            assert_eq!(again.text, done.text, "it changes by itself");
            for format in [Format::Csv, Format::Json, Format::Toml] {
                let Ok(exported) = plan::export(&entries, format) else { panic!("not exported:\n{}", done.text) };
                let Ok(same) = bring(&exported, format, "", false) else { panic!("not taken back:\n{exported}") };
                assert_eq!(read(&same.text).ok().as_ref(), Some(&entries), "another plan:\n{exported}");
            }
        }
    }
}

/// A profile, or the override of a node: read, chosen, laid over the base answer, and rendered.
pub(super) fn profile(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(base) = BaseAnswer::parse(BASE) else { return };
    match Profile::parse("fuzz", "profiles/fuzz.toml", text) {
        Err(problems) => steady(&problems.0, text),
        Ok(profile) => {
            if let Some(info) = info() {
                let all = Profiles::new([profile.clone()]);
                let chosen = all.choose(&Sight::of(&info));
                assert!(chosen.is_ok() && all.ties().is_empty(), "one profile ties with itself");
            }
            over(profile.overlay(), &base, text);
        }
    }
    match answer::parse_override("nodes/a/override.toml", text) {
        Err(problems) => steady(&problems.0, text),
        Ok(overlay) => over(&overlay, &base, text),
    }
}

/// A `config.toml`, and what is said about it.
pub(super) fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let source = Source { name: "config.toml".to_owned(), text: text.to_owned() };
    let problems = match prox_orchestrator::config::parse(source) {
        Ok(loaded) => loaded.warnings,
        Err(errors) => {
            assert!(!errors.0.is_empty(), "refused without a reason");
            errors.0
        }
    };
    for problem in problems.list() {
        for line in problem.to_string().lines() {
            assert!(!line.contains(char::is_control), "a message steers the terminal: {line:?}");
        }
        let carets = problem.place.iter().all(|place| !place.caret.is_empty() && place.caret.end <= 200);
        assert!(carets, "no caret, or one off the screen: {problem:?}");
    }
}

/// The judgement of every release, with the machine and without.
fn judge(text: &str, hardware: Option<&Hardware>) {
    for installer in Installer::RELEASES {
        for hardware in [None, hardware] {
            let question = Question { installer, hardware, first_boot_on_medium: hardware.is_some() };
            for checked in [
                answer::check_answer(text, &question),
                answer::check_base(text, None, &question),
                answer::check_base(text, Some("config.toml"), &question),
            ] {
                steady(&checked.problems, text);
                for line in checked.touch.iter().flat_map(answer::Touch::lines) {
                    assert!(!line.contains(char::is_control), "a device steers the terminal: {line:?}");
                }
                assert!(checked.touch.is_none() || checked.is_accepted(), "a refused answer touches nothing");
            }
        }
    }
}

/// Messages that do not steer a terminal, each with its place in the text.
fn steady(problems: &[Problem], text: &str) {
    for problem in problems {
        let shown = problem.to_string();
        assert!(!shown.contains(char::is_control), "a message steers the terminal: {shown:?}");
        assert!(problem.span.is_none() || problem.position(text).is_some(), "no place: {problem:?}");
    }
}

fn info() -> Option<SystemInfo> {
    system_info::parse(REQUEST.as_bytes(), &SIGNS[2]).ok()
}

/// Lays a layer over the base, and serves what is well with it.
fn over(upper: &Overlay, base: &BaseAnswer, text: &str) {
    let problems = answer::check_over(upper, base.overlay());
    steady(&problems, text);
    if problems.is_empty() {
        serve(&answer::compose([base.overlay().clone(), upper.clone()]));
    }
}

/// Fills in the templates of `layers`, with the counters they ask for, and renders.
fn serve(layers: &Overlay) {
    let (info, name): (_, Fqdn) = (info(), "pve-07aa.rack.example".parse().unwrap());
    let mut counters = BTreeMap::new();
    for _ in 0..2 {
        let context = Context::new(info.as_ref(), Some((NodeId(7), &name)), counters.clone());
        let wished = answer::wished_name(layers, &context);
        assert!(!matches!(wished, Err(TemplateError::Wants(_))), "a name waits for counters that only it gives");
        match answer::fill(layers.clone(), &context) {
            Ok(filled) => return render(&filled),
            Err(TemplateError::Wants(wishes)) => {
                assert!(!wishes.is_empty(), "it waits for nothing");
                counters.extend(wishes.into_iter().map(|wish| (wish.name, wish.start)));
            }
            Err(error) => {
                let shown = error.to_string();
                assert!(!shown.contains(char::is_control), "a message steers the terminal: {shown:?}");
                return;
            }
        }
    }
}

/// What is rendered is the same each time, shows no secret, and both ends of its generation take it.
fn render(layers: &Overlay) {
    for generation in GENERATIONS {
        let inputs = inputs(generation);
        let rendered = match answer::render(layers, &inputs) {
            Ok(rendered) => rendered,
            Err(error) => {
                assert!(error != RenderError::SelfCheck, "written and read differ");
                continue;
            }
        };
        let text = rendered.text.expose_secret();
        let again = answer::render(layers, &inputs);
        assert!(again.is_ok_and(|again| again.text.expose_secret() == text), "two renderings differ");
        let explained = rendered.overlay.explain();
        let shown = explained.iter().filter_map(|explained| explained.value.as_ref());
        let is_secret = |text: &str| text.contains("fuzz-secret");
        assert!(!is_secret(&rendered.redacted) && !shown.into_iter().any(|s| is_secret(&s.text)), "a secret is shown");
        for installer in Installer::ends(generation) {
            let question = Question { installer, hardware: None, first_boot_on_medium: true };
            let checked = answer::check_answer(text, &question);
            assert!(checked.is_accepted(), "{installer} refuses it: {:?}\n{text}", checked.problems);
        }
    }
}

fn inputs(generation: Generation) -> Inputs {
    Inputs {
        fqdn: "pve-07aa.rack.example".parse().unwrap(),
        generation,
        installer: None,
        address: Some(Offer::Asked(PEER)),
        mask: "24".parse().unwrap(),
        dns: Some(PEER),
        gateway: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
        nic: Some(NicChoice::Mac(MacAddr([2, 0, 0, 0, 0, 1]))),
        webhook: Some(Webhook {
            url: SecretString::from("https://192.0.2.1/webhook/fuzz-secret"),
            token: SecretString::from("fuzz-secret"),
            fingerprint: Some("AB:CD".to_owned()),
        }),
        ssh_key: Some("ssh-ed25519 AAAA console".to_owned()),
    }
}

/// The machine asks; which row it is.
fn ask(fleet: &mut Fleet, info: &SystemInfo, body: &[u8]) -> Option<u64> {
    let macs = info.links.iter().map(|link| link.mac).collect();
    let stamp = Stamp { peer: PEER, macs, body: DocumentHash::of(body) };
    submit(
        fleet,
        &Command::Ask(Ask {
            stamp,
            info: info.clone().into(),
            asking_mac: None,
            wish: None,
            token: None,
            own: OwnNetwork::default(),
        }),
    );
    fleet.nodes().next().map(|node| node.id.0)
}

/// Decides, stores as the database does, reads that again and applies it.
fn submit(fleet: &mut Fleet, command: &Command) {
    let at = Timestamp::UNIX_EPOCH;
    let Ok(decision) = fleet.decide(command, at) else { return };
    for (seq, event) in (1..).zip(decision.events) {
        let recorded = Recorded { seq, at, origin: Origin::Peer(PEER), event };
        let json = serde_json::to_value(&recorded).unwrap();
        harmless(&json);
        let read: Recorded = serde_json::from_value(json).unwrap();
        assert!(read == recorded, "stored and read differ: {recorded:?}");
        fleet.apply(&read);
    }
}

/// No string in it steers a terminal.
fn harmless(value: &Value) {
    match value {
        Value::String(text) => assert!(!text.contains(char::is_control), "a control character: {text:?}"),
        Value::Array(items) => items.iter().for_each(harmless),
        Value::Object(members) => members.values().for_each(harmless),
        _ => {}
    }
}
