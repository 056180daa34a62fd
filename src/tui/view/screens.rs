//! The pictures in `docs/screens/`: the real views, drawn as SVG. `UPDATE_FIXTURES=1 cargo test --lib tui::view::screens`
//! writes them; without it, a picture that is not what the views show fails.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use crossterm::event::KeyCode;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::client::{OutputChunk, Progress};
use crate::domain::grid::{Course, Grid, Place};
use crate::domain::{Fleet, NodeId, event_samples};
use crate::headless::Narrator;
use crate::tui::action::Msg;
use crate::tui::fixture::*;
use crate::tui::model::{Model, Row};
use crate::tui::update::update;

/// Size of a character.
const WIDE: f32 = 8.4;
const HIGH: f32 = 18.0;

/// Space around the screen.
const EDGE: f32 = 10.0;

const PAPER: &str = "#15181d";
const INK: &str = "#d5d8dc";

/// What a terminal shows for one of the 16 colours.
fn hex(colour: Color, default: &'static str) -> &'static str {
    match colour {
        Color::Black => "#000000",
        Color::Red | Color::LightRed => "#ef6b73",
        Color::Green | Color::LightGreen => "#9ece6a",
        Color::Yellow | Color::LightYellow => "#e0af68",
        Color::Blue | Color::LightBlue => "#7aa2f7",
        Color::Magenta | Color::LightMagenta => "#bb9af7",
        Color::Cyan | Color::LightCyan => "#56c7d6",
        _ => default,
    }
}

/// Ink, paper and weight of a cell.
fn look(cell: &Cell) -> (&'static str, &'static str, bool, bool) {
    let (ink, paper) = (hex(cell.fg, INK), hex(cell.bg, PAPER));
    let (ink, paper) = if cell.modifier.contains(Modifier::REVERSED) { (paper, ink) } else { (ink, paper) };
    (ink, paper, cell.modifier.contains(Modifier::BOLD), cell.modifier.contains(Modifier::DIM))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A screen as SVG: runs of like cells, each at its own place, so that no font can shift a column.
fn svg(buffer: &Buffer, title: &str) -> String {
    let (columns, rows) = (f32::from(buffer.area.width), f32::from(buffer.area.height));
    let (width, height) = (columns * WIDE + 2.0 * EDGE, rows * HIGH + 2.0 * EDGE);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace\" \
         font-size=\"14\">\n<title>{}</title>\n<rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{PAPER}\"/>\n",
        escape(title)
    );
    for (y, row) in buffer.content.chunks(usize::from(buffer.area.width)).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|one, other| look(one) == look(other)) {
            let (ink, paper, is_bold, is_dim) = look(&run[0]);
            let text: String = run.iter().map(Cell::symbol).collect();
            let (left, wide) = (
                EDGE + f32::from(u16::try_from(x).unwrap()) * WIDE,
                f32::from(u16::try_from(run.len()).unwrap()) * WIDE,
            );
            let top = EDGE + f32::from(u16::try_from(y).unwrap()) * HIGH;
            x += run.len();
            if paper != PAPER {
                let _ = writeln!(
                    out,
                    "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{HIGH}\" fill=\"{paper}\"/>"
                );
            }
            if text.trim().is_empty() {
                continue;
            }
            let weight = if is_bold { " font-weight=\"bold\"" } else { "" };
            let dim = if is_dim { " opacity=\"0.6\"" } else { "" };
            let base = top + HIGH * 0.74;
            let _ = writeln!(
                out,
                "<text x=\"{left:.1}\" y=\"{base:.1}\" textLength=\"{wide:.1}\" fill=\"{ink}\"{weight}{dim} \
                 xml:space=\"preserve\">{}</text>",
                escape(&text)
            );
        }
    }
    out.push_str("</svg>\n");
    out
}

fn keep(name: &str, title: &str, model: &Model) {
    keep_buffer(name, title, screen(model).backend().buffer());
}

fn keep_buffer(name: &str, title: &str, buffer: &Buffer) {
    let made = svg(buffer, title);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screens").join(format!("{name}.svg"));
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, made).unwrap();
    } else {
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == made, "`{}` is not what the views show; UPDATE_FIXTURES=1 writes it", path.display());
    }
}

#[test]
fn the_table() {
    let mut model = busy_rack().model(120, 30);
    go_to(&mut model, Row::Node(NodeId(9)));
    keep("nodes", "The node table with the detail beside it", &model);
}

#[test]
fn the_table_of_a_crash_cart() {
    let mut model = busy_rack().model(80, 24);
    go_to(&mut model, Row::Node(NodeId(6)));
    keep("nodes-80", "The node table on a terminal of 80x24", &model);
}

#[test]
fn an_order_to_many() {
    let mut rack = Rack::new();
    for n in 1..=24 {
        rack.ask(n);
    }
    let mut model = rack.model(100, 28);
    type_text(&mut model, "/phase:waiting");
    press(&mut model, KeyCode::Enter);
    type_text(&mut model, "*a");
    keep("approve", "Approving all marked machines", &model);
}

#[test]
fn the_playbook() {
    let mut rack = busy_rack();
    rack.run(vec![NodeId(3)]);
    rack.pass(75);
    let mut model = rack.model(100, 24);
    press(&mut model, KeyCode::Char('2'));
    let lines = [
        "PLAY [Configure Proxmox nodes] *********************************************************************",
        "",
        "TASK [Gathering Facts] *****************************************************************************",
        "\u{1b}[0;32mok: [pve-0703.example.com]\u{1b}[0m",
        "",
        "TASK [Install the tools] ***************************************************************************",
        "\u{1b}[0;33mchanged: [pve-0703.example.com]\u{1b}[0m",
    ];
    let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
    let chunk = OutputChunk { first: 0, next: lines.len() as u64, lines };
    let run = model.pager.run().unwrap();
    update(&mut model, Msg::Output(run, chunk));
    keep("ansible", "A run of the playbook", &model);
}

/// A play on six nodes in the middle of its sixth task.
fn play(names: &[String], start: i64) -> Grid {
    let mut grid = Grid::default();
    let mut tell = |at: i64, json: String| {
        let told = format!(r#"{{"ts":{},{json}}}"#, start + at);
        grid.take(&serde_json::from_str(&told).unwrap(), Some(Place { offset: 0, length: 9 }));
    };
    let hosts = names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(",");
    tell(0, format!(r#""ev":"play_start","play":"Prepare every node","hosts":[{hosts}],"tasks":14"#));
    for (number, (task, results)) in [
        ("Wait until the node takes connections", "......"),
        ("Gather facts", "......"),
        ("proxmox_names : Let the nodes know each other by name", "CCCCCC"),
        ("proxmox_updates : Choose the package repositories", "CC.CCC"),
        ("proxmox_updates : Bring all packages up to date", "CCCFCC"),
        ("proxmox_updates : Reboot where the kernel is new", "C>- >>"),
    ]
    .into_iter()
    .enumerate()
    {
        let at = i64::try_from(number).unwrap() * 9;
        tell(at, format!(r#""ev":"task_start","task_id":"t{number}","task":"{task}","kind":"task""#));
        for (host, result) in names.iter().zip(results.chars()) {
            let what = match result {
                '.' | 'C' => "host_ok",
                'F' => "host_failed",
                '-' => "host_skipped",
                '>' => "host_start",
                _ => continue,
            };
            let of = format!(r#""host":"{host}","task_id":"t{number}","task":"{task}""#);
            let said = format!(r#""changed":{},"dur":6.5,"msg":"E: Unable to fetch some archives""#, result == 'C');
            tell(at + 7, format!(r#""ev":"{what}",{of},{said}"#));
        }
    }
    grid
}

#[test]
fn hosts_and_tasks() {
    let mut rack = Rack::new();
    let nodes: Vec<_> = (1..=6).map(|n| rack.ready(n)).collect();
    let names: Vec<_> = nodes.iter().map(|id| rack.fleet.node(*id).unwrap().name.to_string()).collect();
    let run = rack.run(nodes);
    rack.pass(61);
    let mut model = rack.model(100, 24);
    press(&mut model, KeyCode::Char('2'));
    let course = Course { took: 200.0, steps: Vec::new() };
    let grid = Arc::new(play(&names, rack.now.as_second() - 61));
    let progress = Progress { grid, before: Some(Arc::new(course)), command: None };
    update(&mut model, Msg::Progress(run, Arc::new(progress)));
    press(&mut model, KeyCode::Enter);
    type_text(&mut model, "n");
    keep("grid", "The grid of hosts and tasks of a run", &model);
}

#[test]
fn the_detail() {
    let mut model = busy_rack().model(80, 40);
    go_to(&mut model, Row::Node(NodeId(3)));
    press(&mut model, KeyCode::Enter);
    keep("detail", "All that is known of a node", &model);
}

#[test]
fn the_walk() {
    let mut model = walking_rack().model(100, 24);
    go_to(&mut model, Row::Node(NodeId(3)));
    keep("walk", "Walking along the rack: each new machine takes the next slot", &model);
}

#[test]
fn the_view_from_afar() {
    let mut model = busy_rack().model(100, 28);
    press(&mut model, KeyCode::Char('B'));
    keep("big", "The view from the end of the aisle", &model);
}

/// Gives every line of the log the same time, and takes away how many came in a second.
fn stop_clocks(buffer: &mut Buffer) {
    const TIME: &str = "11:11:10";
    let is_time = |cells: &[Cell]| {
        cells.iter().zip(TIME.chars()).all(|(cell, like)| match like {
            ':' => cell.symbol() == ":",
            _ => cell.symbol().chars().all(|c| c.is_ascii_digit()),
        })
    };
    let width = usize::from(buffer.area.width);
    for row in buffer.content.chunks_mut(width) {
        if let Some(x) = row.windows(2).position(|two| [two[0].symbol(), two[1].symbol()] == ["[", "l"]) {
            for cell in row[x..].iter_mut().take_while(|cell| cell.symbol() != "─") {
                cell.set_symbol("─");
            }
        }
        let Some(x) = row.windows(TIME.len()).position(is_time) else { continue };
        for (cell, like) in row[x..].iter_mut().zip(TIME.chars()) {
            cell.set_char(like);
        }
    }
}

#[test]
fn the_log() {
    let subscriber = tracing_subscriber::registry().with(tui_logger::TuiTracingSubscriberLayer);
    tracing::subscriber::with_default(subscriber, || {
        for event in event_samples::events().into_iter().skip(20).take(14) {
            tracing::info!(target: "prox_orchestrator::events", "{}", Narrator::new(&Fleet::default()).tell(&event));
        }
        tracing::warn!(target: "prox_orchestrator::server", "192.0.2.77 did not accept the certificate");
    });
    tui_logger::move_events();
    let mut model = busy_rack().model(100, 24);
    // Only these: other tests of this process may log, too.
    let (off, info) = (tui_logger::LevelFilter::Off, tui_logger::LevelFilter::Info);
    let shown = ["events", "server"].map(|target| format!("prox_orchestrator::{target}"));
    let log = tui_logger::TuiWidgetState::new().set_default_display_level(off);
    model.log = shown.iter().fold(log, |log, target| log.set_level_for_target(target, info));
    type_text(&mut model, "3 ");
    let mut buffer = screen(&model).backend().buffer().clone();
    stop_clocks(&mut buffer);
    keep_buffer("log", "What the program logs", &buffer);
}

#[test]
fn the_setup() {
    let mut model = Rack::new().model(100, 30);
    press(&mut model, KeyCode::Char('4'));
    keep("setup", "How machines find this console", &model);
}

#[test]
fn the_palette() {
    let mut model = busy_rack().model(100, 24);
    type_text(&mut model, ":mark");
    keep("palette", "Finding an action by its words", &model);
}
