//! What scenes are made of: racks in a certain state, a run's grid, what the engine says when asked.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::KeyCode;

use super::Stage;
use crate::client::{self, OutputChunk, Preview, Progress, Value};
use crate::domain::command::Sighting;
use crate::domain::facts::{Generation, SystemInfo};
use crate::domain::ghost::{Cause, Ghost};
use crate::domain::grid::{Course, Grid, Place, Step};
use crate::domain::{Command, NodeId, Order, Policy, RunId};
use crate::tui::action::{Msg, Request};
use crate::tui::fixture::*;
use crate::tui::model::{Model, Row};
use crate::tui::update::update;

/// Nodes of the busy rack.
pub(in crate::tui) const READY: NodeId = NodeId(3);
pub(in crate::tui) const AGAIN: NodeId = NodeId(6);
pub(in crate::tui) const WAITING: NodeId = NodeId(9);

/// The console with this node selected.
pub(super) fn at(stage: &Stage, rack: &Rack, node: NodeId) -> Model {
    at_row(stage, rack, Row::Node(node))
}

pub(super) fn at_row(stage: &Stage, rack: &Rack, row: Row) -> Model {
    let mut model = stage.open(rack);
    go_to(&mut model, row);
    model
}

/// After these keys.
pub(super) fn keys(mut model: Model, keys: &str) -> Model {
    type_text(&mut model, keys);
    model
}

/// After Enter.
pub(super) fn entered(mut model: Model) -> Model {
    press(&mut model, KeyCode::Enter);
    model
}

/// So many machines that wait, at most 150.
pub(super) fn waiting_rack(count: u8) -> Rack {
    let mut rack = Rack::new();
    for n in 1..=count {
        rack.ask(n);
    }
    rack
}

/// Much is wrong.
pub(super) fn troubled_rack() -> Rack {
    let mut rack = busy_rack();
    rack.problem(
        "`config.toml` was changed and is not in force: `approval.hold`: `90s` is out of range",
        "write a time from 5s to 52s; what was in force before stays in force until then",
    );
    rack.problem("the disk of the state folder is full", "make room; nothing is decided until something can be stored");
    rack.problem("ansible-playbook is not installed", "apt install ansible-core");
    rack
}

/// Some could not even ask.
pub(super) fn haunted_rack() -> Rack {
    let mut rack = busy_rack();
    for (last, cause, detail, count) in [
        (77, Cause::CertificateRefused, "", 3),
        (78, Cause::TokenRefused, "the token `rack-a` has expired", 1),
        (79, Cause::AddressRefused, "", 4_711),
    ] {
        let (peer, at) = ([192, 0, 2, last].into(), rack.now);
        rack.service.ghosts.push(Ghost { peer, cause, detail: detail.into(), first: at, last: at, count });
    }
    rack.pass(12);
    rack
}

/// All ready, and the playbook about to start.
pub(super) fn counting_rack() -> Rack {
    let mut rack = Rack::new();
    for n in 1..=3 {
        rack.ready(n);
    }
    rack.submit(&Command::Tick);
    rack
}

/// All ready, and no countdown yet.
pub(super) fn open_rack() -> Rack {
    let mut rack = Rack::new();
    rack.ready(1);
    rack
}

/// All ready, and held.
pub(super) fn held_rack() -> Rack {
    let mut rack = counting_rack();
    rack.order(Order::HoldGate { hold: true });
    rack
}

/// All configured.
pub(super) fn done_rack() -> Rack {
    let mut rack = Rack::new();
    let nodes = vec![rack.ready(1), rack.ready(2)];
    let run = rack.run(nodes);
    rack.pass(200);
    rack.end_run(run, &[]);
    rack
}

/// Runs start by hand.
pub(super) fn by_hand_rack() -> Rack {
    let mut rack = Rack::new();
    let policy = Policy { start: crate::domain::StartRule::ByHand, countdown: Duration::ZERO, ..Policy::default() };
    rack.fleet = crate::domain::Fleet::new(policy);
    rack.ready(1);
    rack
}

/// A node of an old installer, marked installed and seen with a key.
pub(in crate::tui) fn unproven_rack() -> Rack {
    let mut rack = Rack::new();
    let node = rack.ask_as(1, SystemInfo { generation: Generation::V8_2, ..info(1) });
    rack.install(node);
    rack.order(Order::MarkInstalled { node });
    rack.submit(&Command::Probe { node, sighting: Sighting::OtherKey { seen: host_key(7) } });
    rack
}

/// Output of the run that is shown.
pub(in crate::tui) fn output(model: &mut Model, lines: &[&str]) {
    let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
    output_from(model, 0, lines);
}

/// The same, from this line on.
pub(super) fn output_from(model: &mut Model, first: u64, lines: Vec<String>) {
    let run = model.pager.run().unwrap();
    let next = first + lines.len() as u64;
    update(model, Msg::Output(run, OutputChunk { lines, first, next }));
}

/// What Ansible prints of a failing play.
pub(in crate::tui) const OUTPUT: &[&str] = &[
    "",
    "PLAY [Configure Proxmox nodes] *************************************************",
    "",
    "TASK [Gathering Facts] *********************************************************",
    "\u{1b}[0;32mok: [pve-0703.example.com]\u{1b}[0m",
    "",
    "TASK [Install the tools] *******************************************************",
    "\u{1b}[0;31mfatal: [pve-0703.example.com]: FAILED! => {\"changed\": false, \"msg\": \"No package matching \
     'qemu-guest-agentt' is available\"}\u{1b}[0m",
];

/// A run on two nodes in the middle of its third task.
pub(in crate::tui) struct GridRun {
    pub(in crate::tui) rack: Rack,
    run: RunId,
    progress: Progress,
}

impl GridRun {
    pub(in crate::tui) fn new() -> Self {
        let mut rack = busy_rack();
        let [a, b] = [READY, NodeId(1)];
        let run = rack.run(vec![a, b]);
        let names = [a, b].map(|id| rack.fleet.node(id).unwrap().name.to_string());
        rack.pass(95);
        let start = rack.now.as_second() - 95;
        let progress = Progress {
            grid: Arc::new(told(&names, start)),
            before: Some(Arc::new(Course {
                took: 200.0,
                steps: vec![Step {
                    task: "proxmox_updates : Bring all packages up to date".to_owned(),
                    at: 6.0,
                    took: 120.0,
                }],
            })),
            command: Some("ansible-playbook -i nodes/dynamic-inventory.json -- setup-cluster.yml".to_owned()),
        };
        Self { rack, run, progress }
    }

    /// The Ansible tab with it.
    pub(in crate::tui) fn open(&self, stage: &Stage) -> Model {
        let mut model = keys(stage.open(&self.rack), "2");
        update(&mut model, Msg::Progress(self.run, Arc::new(self.progress.clone())));
        model
    }
}

/// What Ansible told of a play with three tasks.
fn told(names: &[String; 2], start: i64) -> Grid {
    let mut grid = Grid::default();
    let mut tell = |at: i64, json: String| {
        let told = format!(r#"{{"ts":{},{json}}}"#, start + at);
        grid.take(&serde_json::from_str(&told).unwrap(), Some(Place { offset: 0, length: 9 }));
    };
    let [one, two] = names;
    tell(0, format!(r#""ev":"play_start","play":"Prepare every node","hosts":["{one}","{two}"],"tasks":9"#));
    for (at, task, name, results) in [
        (1, "t1", "Wait until the node takes connections", ["host_ok", "host_ok"]),
        (4, "t2", "proxmox_names : Let the nodes know each other by name", ["host_ok", "host_skipped"]),
        (6, "t3", "proxmox_updates : Bring all packages up to date", ["host_failed", "host_start"]),
    ] {
        let action = r#""action":"ansible.builtin.command","path":"roles/x/tasks/main.yml:12""#;
        tell(at, format!(r#""ev":"task_start","task_id":"{task}","task":"{name}","kind":"task",{action}"#));
        for (host, result) in names.iter().zip(results) {
            tell(at, format!(r#""ev":"host_start","host":"{host}","task_id":"{task}""#));
            let said = r#""msg":"non-zero return code","stderr":"E: Unable to fetch some archives""#;
            let of = format!(r#""host":"{host}","task_id":"{task}","task":"{name}","changed":{}"#, task == "t2");
            tell(at + 2, format!(r#""ev":"{result}",{of},"dur":2.5,{said}"#));
        }
    }
    grid
}

/// Has the result under the cursor fetched.
pub(super) fn fetch(model: &mut Model) {
    let place = model.runs.wanted().unwrap();
    let result = serde_json::from_str(
        r#"{"host":"x","rc":100,"msg":"non-zero return code",
            "stderr":"E: Failed to fetch\nE: Unable to fetch some archives",
            "diff":"--- before\n+++ after\n-old\n+new","args":"{\"argv\": [\"apt-get\"]}"}"#,
    );
    update(model, Msg::Result(place, Arc::new(result.unwrap())));
}

/// The engine says what a node would be given.
pub(in crate::tui) fn say(model: &mut Model, requests: &[Request]) {
    let [Request::Preview { ticket, .. }] = requests else { panic!("{requests:?}") };
    let (ticket, result) = (*ticket, Ok(Box::new(preview())));
    update(model, Msg::Previewed { ticket, result });
}

/// An answer, explained.
pub(in crate::tui) fn preview() -> Preview {
    let value = |text: &str, layer: &str, from: &str| Value {
        text: text.to_owned(),
        layer: layer.to_owned(),
        from: from.to_owned(),
        template: None,
    };
    let row = |setting: &str, value, replaced| client::Row { setting: setting.to_owned(), value, replaced };
    let made = Value {
        template: Some("{{ node.host }}@x.example".to_owned()),
        ..value("\"pve@x.example\"", "default", "default.toml:6")
    };
    Preview {
        node: AGAIN,
        name: "pve-0706.example.com".parse().unwrap(),
        installer: "8.2.8 to 8.4 (medium 8.4-1)".to_owned(),
        profile: Some("storage (its own rule)".to_owned()),
        rows: vec![
            row(
                "global.country",
                Some(value("\"de\"", "profile", "profiles/storage.toml:9")),
                vec![value("\"at\"", "default", "default.toml:2")],
            ),
            row("global.mailto", Some(made), vec![]),
            row("global.root_password_hashed", Some(value("\"…\"", "default", "default.toml:8")), vec![]),
            row(
                "network.cidr",
                Some(value("\"192.0.2.6/24\"", "program", "the address it asked from, and `machine_net_mask`")),
                vec![],
            ),
            row(
                "disk-setup.disk_list",
                Some(value("[\"sdb\"]", "override", "nodes/pve-0706.example.com/override.toml:3")),
                vec![],
            ),
            row("disk-setup.filter.ID_MODEL", None, vec![value("\"SAMSUNG*\"", "profile", "profiles/storage.toml:12")]),
        ],
        left_out: vec!["global.reboot_mode".to_owned()],
        text: "[global]\ncountry = \"de\"\nfqdn = \"pve-0706.example.com\"\n\n[disk-setup]\ndisk_list = [\"sdb\"]\n"
            .to_owned(),
        problem: None,
        last: Some(client::LastAnswer {
            at: jiff::Timestamp::UNIX_EPOCH,
            text:
                "[global]\ncountry = \"at\"\nfqdn = \"pve-0706.example.com\"\n\n[disk-setup]\ndisk_list = [\"sda\"]\n"
                    .to_owned(),
        }),
        touch: vec![
            "would wipe /dev/sdb (SAMSUNG MZ7LH960, serial S45NNA0N, 960 GB at the last installation)".to_owned(),
            "would set up eno1 (Intel Corporation, b4:2e:99:ac:ad:06)".to_owned(),
        ],
        warnings: vec!["`disk-setup.disk_list`: it is no whole name".to_owned()],
    }
}
