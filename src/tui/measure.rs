//! What a key press costs with 10,000 nodes: `cargo test --release --lib tui::measure -- --ignored --nocapture` prints
//! the figures of docs/performance.md. Not run with the tests: it measures, and judges nothing.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crossterm::event::KeyCode;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{TerminalOptions, Viewport};

use super::action::Msg;
use super::fixture::*;
use super::model::Model;
use super::update::update;
use super::view;
use crate::client::OutputChunk;
use crate::domain::text::Text;
use crate::domain::{NodeId, Order};

const NODES: u32 = 10_000;
const ROUNDS: usize = 400;

/// A rack of ten thousand machines, some decided about.
fn rack() -> Rack {
    let mut rack = Rack::new();
    for n in 0..NODES {
        let [high, low] = u16::try_from(n).unwrap().to_be_bytes();
        let mut info = info(low / 2);
        let word = |text: String| Some(Text::new(&text));
        info.dmi.uuid = word(format!("f68d13f3-472b-4f1a-95a7-120b{n:08x}"));
        info.dmi.serial = word(format!("S2HRNX{n:08}"));
        for (port, link) in info.links.iter_mut().enumerate() {
            link.mac = format!("b4:2e:99:{high:02x}:{low:02x}:{port:02x}").parse().unwrap();
        }
        let node = rack.ask_as(low / 2, info);
        match n % 4 {
            0 => drop(rack.order(Order::Reject { node, reason: Text::new("") })),
            1 => rack.approve(node),
            _ => {}
        }
    }
    rack
}

struct Figures {
    times: Vec<Duration>,
    /// CPU time of all rounds.
    cpu: Duration,
    bytes: usize,
}

impl Figures {
    fn tell(mut self, what: &str) {
        self.times.sort_unstable();
        let at = |part: usize| self.times[(self.times.len() - 1) * part / 100].as_secs_f64() * 1_000.0;
        let cpu = self.cpu.as_secs_f64() * 1_000.0 / f64::from(u32::try_from(self.times.len()).unwrap());
        println!("| {what} | {cpu:.2} ms | {:.2} ms | {:.2} ms | {} |", at(50), at(99), self.bytes / self.times.len());
    }
}

/// Does something and draws the frame that follows, again and again.
fn measure(model: &mut Model, rounds: usize, mut act: impl FnMut(&mut Model, usize)) -> Figures {
    let area = Rect::new(0, 0, model.size.width, model.size.height);
    let options = TerminalOptions { viewport: Viewport::Fixed(area) };
    let counter = Counter::default();
    let mut terminal = Terminal::with_options(CrosstermBackend::new(counter.clone()), options).unwrap();
    terminal.draw(|frame| view::draw(frame, model)).unwrap();
    let mut figures = Figures { times: Vec::new(), cpu: Duration::ZERO, bytes: 0 };
    let before = cpu();
    for round in 0..rounds {
        counter.0.set(0);
        let started = Instant::now();
        act(model, round);
        terminal.draw(|frame| view::draw(frame, model)).unwrap();
        figures.times.push(started.elapsed());
        figures.bytes += counter.0.get();
    }
    figures.cpu = cpu().saturating_sub(before);
    figures
}

/// What this thread has had of a CPU.
fn cpu() -> Duration {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(spent.split_whitespace().next().unwrap().parse().unwrap())
}

/// Counts what is written and drops it.
#[derive(Clone, Default)]
struct Counter(Rc<Cell<usize>>);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
#[ignore = "a measurement"]
fn keys_and_snapshots_with_ten_thousand_nodes() {
    let rack = rack();
    println!("| what | CPU, mean | p50 | p99 | bytes |\n|---|---|---|---|---|");
    for (width, height) in [(80, 24), (250, 70)] {
        let size = format!("{width}x{height}");
        let mut model = rack.model(width, height);
        let step = |model: &mut Model, _| drop(press(model, KeyCode::Down));
        measure(&mut model, ROUNDS, step).tell(&format!("{size}: a row down"));
        let page = |model: &mut Model, _| drop(press(model, KeyCode::PageDown));
        measure(&mut model, ROUNDS, page).tell(&format!("{size}: a page down"));
        let snapshot = |model: &mut Model, _| drop(update(model, Msg::Snapshot(rack.snapshot())));
        measure(&mut model, 50, snapshot).tell(&format!("{size}: a new snapshot"));
        let sort = |model: &mut Model, _| drop(press(model, KeyCode::Char('s')));
        measure(&mut model, 49, sort).tell(&format!("{size}: sort by the next column"));
        type_text(&mut model, "/");
        let letters = ['p', 'h', 'a', 's', 'e', ':', 'w', 'a', 'i', 't', ' ', '7', '7'];
        let letter =
            |model: &mut Model, round: usize| drop(press(model, KeyCode::Char(letters[round % letters.len()])));
        measure(&mut model, letters.len(), letter).tell(&format!("{size}: a letter in the filter"));
        press(&mut model, KeyCode::Enter);
        measure(&mut model, 50, snapshot).tell(&format!("{size}: a new snapshot, filtered"));
    }
    let begun = Instant::now();
    let mut model = rack.model(80, 24);
    let started = begun.elapsed();
    let first = measure(&mut model, 1, |_, _| {}).times[0] + started;
    println!("| 80x24: the console opened, and its first frame | | {:.2} ms | | |", first.as_secs_f64() * 1_000.0);
    for (what, mut rack) in [("3 nodes", Rack::new()), ("10,000 nodes", rack)] {
        let nodes: Vec<NodeId> = (101..=103).map(|n| rack.ready(n)).collect();
        let run = rack.run(nodes);
        for (width, height) in [(80, 24), (250, 70)] {
            let mut model = rack.model(width, height);
            press(&mut model, KeyCode::Char('2'));
            // 50,000 lines a second in looks of 100 ms.
            let mut next = 0;
            let output = |model: &mut Model, _| {
                drop(update(model, Msg::Output(run, lines(&mut next))));
                drop(press(model, KeyCode::Char('2')));
            };
            let figures = measure(&mut model, 100, output);
            figures.tell(&format!("{width}x{height}: a key and 5,000 new lines of output, {what}"));
        }
    }
}

fn lines(next: &mut u64) -> OutputChunk {
    let first = *next;
    *next += 5_000;
    let line = |n: u64| format!("\u{1b}[0;32mok: [pve-{n:04x}.example.com] => item number {n}\u{1b}[0m");
    OutputChunk { lines: (first..*next).map(line).collect(), first, next: *next }
}
