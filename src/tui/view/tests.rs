//! Pictures of the main screens, and properties every screen has.

use crossterm::event::KeyCode;
use insta::assert_snapshot;
use proptest::prelude::*;
use ratatui::style::Color;

use crate::client::{self, OrderError, OutputChunk, Preview, Value};
use crate::domain::command::Sighting;
use crate::domain::facts::{Generation, SystemInfo};
use crate::domain::ghost::{Cause, Ghost};
use crate::domain::text::Text;
use crate::domain::{Command, NodeId, Order, Reply, ReportId};
use crate::tui::action::{Msg, Request};
use crate::tui::fixture::*;
use crate::tui::model::{Model, Row};
use crate::tui::update::update;
use crate::tui::{Colours, TuiOptions};

fn output(model: &mut Model, lines: &[&str]) {
    let run = model.pager.run().unwrap();
    let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
    let next = lines.len() as u64;
    update(model, Msg::Output(run, OutputChunk { lines, first: 0, next }));
}

#[test]
fn nodes_80() {
    let mut model = busy_rack().model(80, 24);
    go_to(&mut model, Row::Node(NodeId(9)));
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn nodes_120() {
    let mut model = busy_rack().model(120, 40);
    go_to(&mut model, Row::Node(NodeId(1)));
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn nodes_200_asks_again() {
    let mut model = busy_rack().model(200, 40);
    go_to(&mut model, Row::Node(NodeId(6)));
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn nodes_60_ascii_mono() {
    let mut model =
        busy_rack().model_with(60, 16, &TuiOptions { ascii: true, colours: Colours::Mono, ..TuiOptions::default() });
    go_to(&mut model, Row::Node(NodeId(6)));
    let terminal = screen(&model);
    let buffer = terminal.backend().buffer();
    assert!(buffer.content.iter().all(|cell| cell.symbol().is_ascii()));
    assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    assert_snapshot!(terminal.backend());
}

#[test]
fn nodes_empty_80() {
    let mut rack = Rack::new();
    rack.problem("ansible-playbook is not installed", "apt install ansible-core");
    assert_snapshot!(screen(&rack.model(80, 24)).backend());
}

#[test]
fn turned_away_80() {
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
    let mut model = rack.model(80, 24);
    let shown = screen(&model).backend().to_string();
    assert!(shown.contains("3 turned away (o)"), "{shown}");
    press(&mut model, KeyCode::Char('o'));
    assert_snapshot!(screen(&model).backend());
    press(&mut model, KeyCode::Esc);
    assert!(model.modal.is_none());
}

#[test]
fn setup_80_with_tokens() {
    let mut rack = Rack::new();
    rack.service.require_token = true;
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('4'));
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn detail_80() {
    let mut model = busy_rack().model(80, 24);
    go_to(&mut model, Row::Node(NodeId(3)));
    press(&mut model, KeyCode::Enter);
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn an_answer_that_was_not_confirmed_says_so() {
    let mut rack = Rack::new();
    let node = rack.ask(1);
    rack.release(node);
    let mut model = rack.model(120, 40);
    go_to(&mut model, Row::Node(node));
    let shown = screen(&model).backend().to_string();
    for words in ["sent? ", "sent, not", "its answer was sent, not confirmed"] {
        assert!(shown.contains(words), "`{words}` is missing in\n{shown}");
    }
}

#[test]
fn detail_of_report_120() {
    let mut model = busy_rack().model(120, 40);
    go_to(&mut model, Row::Report(ReportId(1)));
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn ansible_80() {
    let mut rack = busy_rack();
    rack.run(vec![NodeId(3)]);
    rack.pass(75);
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('2'));
    output(
        &mut model,
        &[
            "",
            "PLAY [Configure Proxmox nodes] *************************************************",
            "",
            "TASK [Gathering Facts] *********************************************************",
            "\u{1b}[0;32mok: [pve-0703.example.com]\u{1b}[0m",
            "",
            "TASK [Install the tools] *******************************************************",
            "\u{1b}[0;31mfatal: [pve-0703.example.com]: FAILED! => {\"changed\": false, \"msg\": \"No package matching \
         'qemu-guest-agentt' is available\"}\u{1b}[0m",
        ],
    );
    let terminal = screen(&model);
    let reds = terminal.backend().buffer().content.iter().filter(|cell| cell.fg == Color::Red).count();
    assert!(reds > 100, "Ansible's colours are kept");
    assert_snapshot!(terminal.backend());
}

/// A run on two nodes in the middle of its third task, and one result.
fn grid() -> Model {
    played().1
}

/// The same with its rack.
pub(super) fn played() -> (Rack, Model) {
    let mut rack = busy_rack();
    let [a, b] = [3, 1].map(NodeId);
    let run = rack.run(vec![a, b]);
    let names = [a, b].map(|id| rack.fleet.node(id).unwrap().name.to_string());
    rack.pass(95);
    let start = rack.now.as_second() - 95;
    let mut grid = crate::domain::grid::Grid::default();
    let mut tell = |at: i64, json: String| {
        let told = format!(r#"{{"ts":{},{json}}}"#, start + at);
        let place = crate::domain::grid::Place { offset: 0, length: 9 };
        grid.take(&serde_json::from_str(&told).unwrap(), Some(place));
    };
    tell(
        0,
        format!(r#""ev":"play_start","play":"Prepare every node","hosts":["{}","{}"],"tasks":9"#, names[0], names[1]),
    );
    for (at, task, name, results) in [
        (1, "t1", "Wait until the node takes connections", ["host_ok", "host_ok"]),
        (4, "t2", "proxmox_names : Let the nodes know each other by name", ["host_ok", "host_skipped"]),
        (6, "t3", "proxmox_updates : Bring all packages up to date", ["host_failed", "host_start"]),
    ] {
        tell(
            at,
            format!(
                r#""ev":"task_start","task_id":"{task}","task":"{name}","kind":"task","action":"ansible.builtin.command","path":"roles/x/tasks/main.yml:12""#
            ),
        );
        for (host, result) in names.iter().zip(results) {
            tell(at, format!(r#""ev":"host_start","host":"{host}","task_id":"{task}""#));
            tell(
                at + 2,
                format!(
                    r#""ev":"{result}","host":"{host}","task_id":"{task}","task":"{name}","dur":2.5,"changed":{},"msg":"non-zero return code","stderr":"E: Unable to fetch some archives""#,
                    task == "t2"
                ),
            );
        }
    }
    let before = crate::domain::grid::Course {
        took: 200.0,
        steps: vec![crate::domain::grid::Step {
            task: "proxmox_updates : Bring all packages up to date".to_owned(),
            at: 6.0,
            took: 120.0,
        }],
    };
    let progress = client::Progress {
        grid: std::sync::Arc::new(grid),
        before: Some(std::sync::Arc::new(before)),
        command: Some("ansible-playbook setup-cluster.yml".to_owned()),
    };
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('2'));
    update(&mut model, Msg::Progress(run, std::sync::Arc::new(progress)));
    (rack, model)
}

#[test]
fn hosts_and_tasks_80() {
    let mut model = grid();
    press(&mut model, KeyCode::Enter);
    assert_snapshot!(screen(&model).backend());
    press(&mut model, KeyCode::Left);
    press(&mut model, KeyCode::Down);
    let text = text_of(&model);
    assert!(text.contains("2. proxmox_names") && text.contains("skipped"), "{text}");
    press(&mut model, KeyCode::Esc);
    assert!(text_of(&model).contains("output of"));
}

#[test]
fn a_result_80() {
    let mut model = grid();
    press(&mut model, KeyCode::Enter);
    press(&mut model, KeyCode::Char('n'));
    press(&mut model, KeyCode::Enter);
    let place = model.runs.wanted().unwrap();
    let result = serde_json::from_str(
        r#"{"host":"x","rc":100,"msg":"non-zero return code","stderr":"E: Failed to fetch\nE: Unable to fetch some archives",
            "diff":"--- before\n+++ after\n-old\n+new","args":"{\"argv\": [\"apt-get\"]}"}"#,
    );
    update(&mut model, Msg::Result(place, std::sync::Arc::new(result.unwrap())));
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn ansible_without_runs_80() {
    let mut rack = Rack::new();
    rack.ready(1);
    let installing = rack.ask(2);
    rack.install(installing);
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('2'));
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn setup_80() {
    let mut model = Rack::new().model(80, 24);
    press(&mut model, KeyCode::Char('4'));
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn setup_120() {
    let mut model = Rack::new().model(120, 40);
    press(&mut model, KeyCode::Char('4'));
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn help_80() {
    let mut model = Rack::new().model(80, 24);
    press(&mut model, KeyCode::Char('?'));
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn too_small() {
    assert_snapshot!(screen(&busy_rack().model(40, 10)).backend());
}

#[test]
fn the_log_tab_shows_what_telemetry_collects() {
    use tracing_subscriber::layer::SubscriberExt as _;
    let subscriber = tracing_subscriber::registry().with(tui_logger::TuiTracingSubscriberLayer);
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(target: "prox", "answer served to `m1`");
    });
    tui_logger::move_events();
    let mut model = Rack::new().model(100, 30);
    press(&mut model, KeyCode::Char('3'));
    let shown = text_of(&model);
    assert!(shown.contains("answer served to `m1`") && shown.contains("prox"), "{shown}");
    press(&mut model, KeyCode::Char('h'));
    assert!(!text_of(&model).contains("Targets"));
}

/// Opens a dialog on a row.
fn dialog(rack: &Rack, row: Row, keys: &str) -> Model {
    let mut model = rack.model(80, 24);
    go_to(&mut model, row);
    type_text(&mut model, keys);
    model
}

#[test]
fn dialog_hostname_bad() {
    let model = dialog(&busy_rack(), Row::Node(NodeId(9)), "e_x");
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn dialog_reinstall() {
    let model = dialog(&busy_rack(), Row::Node(NodeId(6)), "apve");
    assert_snapshot!(screen(&model).backend());
}

fn preview() -> Preview {
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
        node: NodeId(6),
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
        text: String::new(),
        problem: None,
        last: None,
        touch: vec![
            "would wipe /dev/sdb (SAMSUNG MZ7LH960, serial S45NNA0N, 960 GB at the last installation)".to_owned(),
            "would set up eno1 (Intel Corporation, b4:2e:99:ac:ad:06)".to_owned(),
        ],
        warnings: vec!["`disk-setup.disk_list`: it is no whole name".to_owned()],
    }
}

/// The engine says what it was asked.
fn say(model: &mut Model, requests: &[Request]) {
    let [Request::Preview { ticket, .. }] = requests else { panic!("{requests:?}") };
    let (ticket, result) = (*ticket, Ok(Box::new(preview())));
    update(model, Msg::Previewed { ticket, result });
}

#[test]
fn an_answer_is_explained_80() {
    let mut model = dialog(&busy_rack(), Row::Node(NodeId(6)), "");
    let requests = press(&mut model, KeyCode::Char('p'));
    assert!(screen(&model).backend().to_string().contains("The engine is asked"));
    say(&mut model, &requests);
    assert_snapshot!(screen(&model).backend());
    press(&mut model, KeyCode::Esc);
    assert!(model.modal.is_none());
}

#[test]
fn a_reinstall_says_what_it_would_touch() {
    let mut model = dialog(&busy_rack(), Row::Node(NodeId(6)), "");
    let requests = press(&mut model, KeyCode::Char('a'));
    say(&mut model, &requests);
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn a_profile_is_ticked_and_written() {
    let mut model = dialog(&busy_rack(), Row::Node(NodeId(9)), "Pdell");
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char(' '));
    assert_snapshot!(screen(&model).backend());
    let requests = press(&mut model, KeyCode::Enter);
    let [Request::NewProfile { ticket, wish }] = &*requests else { panic!("{requests:?}") };
    assert_eq!((wish.node, &*wish.name, wish.pointers.len()), (NodeId(9), "dell", 2));
    let refused = Err(OrderError::Other("`profiles/dell.toml` is there already".to_owned()));
    update(&mut model, Msg::Replied { ticket: *ticket, done: String::new(), result: refused });
    assert!(screen(&model).backend().to_string().contains("is there already"));
    let requests = press(&mut model, KeyCode::Enter);
    let [Request::NewProfile { ticket, .. }] = &*requests else { panic!("{requests:?}") };
    let done = "wrote profiles/dell.toml".to_owned();
    update(&mut model, Msg::Replied { ticket: *ticket, done, result: Ok(Reply::Done) });
    assert!(model.modal.is_none() && model.notice.is_some());
}

#[test]
fn dialog_reject() {
    let model = dialog(&busy_rack(), Row::Node(NodeId(9)), "xold spare");
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn dialog_run() {
    let model = dialog(&busy_rack(), Row::Node(NodeId(3)), "r");
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn dialog_cancel() {
    let mut rack = busy_rack();
    rack.run(vec![NodeId(3)]);
    let model = dialog(&rack, Row::Node(NodeId(3)), "c");
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn dialog_quit() {
    let mut rack = busy_rack();
    rack.run(vec![NodeId(3)]);
    let model = dialog(&rack, Row::Node(NodeId(3)), "q");
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn dialog_adopt() {
    let model = dialog(&busy_rack(), Row::Report(ReportId(1)), "m");
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn dialog_forget() {
    let model = dialog(&busy_rack(), Row::Node(NodeId(1)), "f");
    assert_snapshot!(screen(&model).backend());
}

/// A node of an old installer, marked installed and seen with a key.
fn unproven_rack() -> Rack {
    let mut rack = Rack::new();
    let node = rack.ask_as(1, SystemInfo { generation: Generation::V8_2, ..info(1) });
    rack.install(node);
    rack.order(Order::MarkInstalled { node });
    rack.submit(&Command::Probe { node, sighting: Sighting::OtherKey { seen: host_key(7) } });
    rack
}

#[test]
fn dialog_trust() {
    let model = dialog(&unproven_rack(), Row::Node(NodeId(1)), "t");
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn the_command_can_be_marked_with_the_mouse() {
    for width in [60, 80, 120] {
        let mut model = Rack::new().model(width, 40);
        press(&mut model, KeyCode::Char('4'));
        let shown = text_of(&model).replace("\\\n", "");
        assert!(shown.contains(&crate::tui::setup::prepare_command(&model.snapshot.service)), "{width}: {shown}");
    }
}

#[test]
fn ten_thousand_rows_draw_only_what_is_seen() {
    let mut rack = Rack::new();
    let entries = (0..10_000).map(|n| (format!("n{n}.lab").parse().unwrap(), Text::new("installed"))).collect();
    rack.submit(&Command::Import { entries });
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::End);
    let shown = text_of(&model);
    assert!(shown.contains("n9999.lab") && !shown.contains("n9000.lab"));
}

#[test]
fn long_news_is_shown_whole() {
    let mut model = busy_rack().model(80, 24);
    let words =
        "`pve-0709.example.com` changed while you looked: it asked again, and differently; look again, then decide";
    model.warn(words);
    let shown: String = text_of(&model);
    let shown: Vec<_> = shown.split_whitespace().collect();
    assert!(shown.join(" ").contains(words));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever machines, Ansible and the program's surroundings say, every screen of every size is drawn, and no
    /// control character reaches the terminal.
    #[test]
    fn hostile_words_reach_no_terminal(
        words in any::<String>(),
        size in (1_u16..200, 1_u16..60),
        row in 0_usize..4,
        keys in "[1-4?aexrfmtdjkGghl]{0,6}",
    ) {
        let mut rack = Rack::new();
        let mut hostile = info(1);
        hostile.dmi.model = Some(Text::new(&words));
        hostile.dmi.serial = Some(Text::new(&words));
        hostile.links[0].name = Text::new(&words);
        rack.ask_as(1, hostile);
        rack.ready(2);
        rack.run(vec![NodeId(2)]);
        let mut strange = report(3, &words);
        strange.cpu.model = Some(Text::new(&words));
        rack.report_as(3, strange, None);
        rack.problem(&words, &words);
        let mut model = rack.model(size.0, size.1);
        output(&mut model, &[&words, "\u{1b}[31mx"]);
        model.warn(words);
        for _ in 0..row {
            press(&mut model, KeyCode::Down);
        }
        type_text(&mut model, &keys);
        let terminal = screen(&model);
        for cell in &terminal.backend().buffer().content {
            prop_assert!(!cell.symbol().chars().any(char::is_control));
        }
    }
}
