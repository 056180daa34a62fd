//! Records `docs/screens/demo.cast`: the demo in a terminal, driven as a person would.
//! `cargo test --test it pty::cast -- --ignored`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::rig::{Project, ansibles, until, until_within};
use super::super::terminal::{Console, Terminal};

/// Columns and rows.
const SIZE: (u16, u16) = (100, 28);

/// Nobody watches a still picture for longer.
const STILL: Duration = Duration::from_millis(1_500);

/// Lets whoever watches read.
fn read_on(seconds: u64) {
    let begun = Instant::now();
    until("it was read", || (begun.elapsed() >= Duration::from_secs(seconds)).then_some(()));
}

#[test]
#[ignore = "writes docs/screens/demo.cast"]
fn record() {
    assert!(!ansibles().is_empty(), "the recording shows a real run");
    let project = Project::empty();
    let terminal = Terminal { size: SIZE, ..Terminal::default() };
    let mut console = Console::start_in(&project, &["demo", "-n", "4", "--speed", "30"], terminal);
    until_within(Duration::from_mins(5), "four machines wait", || console.text().contains("4 WAITING").then_some(()));
    read_on(2);
    console.press("\r");
    read_on(3);
    console.press("\u{1b}a");
    console.until_shows("(u)");
    read_on(2);
    console.press("/waiting\r");
    console.until_shows("of 4");
    read_on(1);
    console.press("*");
    read_on(1);
    console.press("a");
    console.until_shows("Approve 3 nodes");
    read_on(3);
    console.press("y");
    read_on(1);
    console.press("\u{1b}\u{1b}4");
    console.until_shows("prepare-iso");
    read_on(3);
    console.press("1");
    console.until_shows("installing");
    console.until_shows("ready");
    console.until_shows("configuring");
    console.press("2");
    console.until_shows("TASK");
    read_on(3);
    console.press("\r");
    console.until_shows("hosts and tasks of");
    read_on(3);
    console.until_shows("succeeded");
    read_on(2);
    console.press("1");
    console.until_shows("4 configured");
    read_on(3);
    console.press("q");
    assert_eq!(console.wait(), 0);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screens/demo.cast");
    std::fs::write(path, cast(&console.pieces())).unwrap();
}

/// The pieces as asciicast v2: a header, then a line per piece with its time.
fn cast(pieces: &[(Duration, Vec<u8>)]) -> String {
    let title = "prox-orchestrator: four machines from the first request to configured nodes";
    let header = serde_json::json!({ "version": 2, "width": SIZE.0, "height": SIZE.1, "title": title });
    let mut cast = format!("{header}\n");
    let (mut now, mut last) = (Duration::ZERO, Duration::ZERO);
    let mut rest = Vec::new();
    for (at, bytes) in pieces {
        now += at.saturating_sub(last).min(STILL);
        last = *at;
        rest.extend_from_slice(bytes);
        // A letter may come in two pieces.
        let whole = std::str::from_utf8(&rest).map_or_else(|error| error.valid_up_to(), str::len);
        let text = String::from_utf8(rest.drain(..whole).collect()).unwrap();
        if !text.is_empty() {
            let seconds = f64::from(u32::try_from(now.as_millis()).unwrap()) / 1_000.0;
            let _ = writeln!(cast, "{}", serde_json::json!([seconds, "o", text]));
        }
    }
    cast
}
