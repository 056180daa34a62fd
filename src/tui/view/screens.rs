//! The pictures in `docs/screens/`: the real views, drawn as SVG. `UPDATE_FIXTURES=1 cargo test --lib tui::view::screens`
//! writes them; without it, a picture that is not what the views show fails.

use std::fmt::Write as _;
use std::path::Path;

use crossterm::event::KeyCode;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use crate::client::OutputChunk;
use crate::domain::NodeId;
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
    let made = svg(screen(model).backend().buffer(), title);
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
