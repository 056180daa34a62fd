//! The recorded session in `docs/screens/demo.cast` shows the console as it is today: its tabs, its columns, its keys.
//! `cargo test --test it pty::cast -- --ignored` records it anew.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::path::Path;

use super::Stage;
use super::stage::*;
use crate::tui::fixture::*;
use crate::tui::model::Model;

/// Columns and rows of the console that was recorded.
const SIZE: (u16, u16) = (80, 24);

/// What the recording showed, frame by frame.
fn frames() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screens/demo.cast");
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let header: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!([&header["version"], &header["width"], &header["height"]], [2, SIZE.0, SIZE.1], "asciicast v2");
    let [rows, columns] = [SIZE.1, SIZE.0].map(|side| NonZeroU16::new(side).unwrap());
    let mut screen = vt100::Parser::new(rows, columns, 0);
    let (mut last, mut frames) = (0.0, Vec::new());
    for line in lines {
        let (at, kind, text): (f64, String, String) = serde_json::from_str(line).unwrap();
        assert!(kind == "o" && at >= last && at - last < 5.0, "something happens all the time: {line}");
        last = at;
        screen.process(text.as_bytes());
        frames.push(screen.screen().contents());
    }
    assert!((30.0..70.0).contains(&last), "it lasts {last} s");
    frames
}

/// A line without the widths of its columns, which follow the names that are shown.
fn bare(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The last line with these words.
fn line_of<'a>(shown: &'a str, words: &str) -> &'a str {
    shown.lines().rfind(|line| line.contains(words)).unwrap_or_else(|| panic!("no `{words}` in {shown}"))
}

#[test]
fn the_recording_shows_todays_console() {
    let frames = frames();
    let shown: BTreeSet<String> = frames.iter().flat_map(|frame| frame.lines()).map(bare).collect();
    let stage = Stage::new(SIZE.0, SIZE.1);
    let opened = |pressed: &str| keys(stage.open(&waiting_rack(4)), pressed);
    let mut grid = entered(GridRun::new().open(&stage));
    grid.runs.host = 0;
    let lines = |model: &Model, words: &[&str]| -> Vec<String> {
        let text = text_of(model);
        words.iter().map(|words| bare(line_of(&text, words))).collect()
    };
    let expected = [
        lines(&opened(""), &["STATE ", "q quit"]),
        lines(&entered(opened("")), &["q quit"]),
        lines(&opened("*a"), &["The disks of all", "y yes"]),
        lines(&opened("4"), &["Image (USB", "DHCP: Kea", "--fetch-from", "q quit"]),
        lines(&grid, &["HOST ", ". ok  C changed"]),
    ];
    for line in expected.iter().flatten() {
        assert!(shown.contains(line), "the console shows `{line}` by now; record it anew");
    }
    let tabs = line_of(&text_of(&opened("")), "1 Nodes")[..45].trim_end().to_owned();
    for words in [&*tabs, "WAITING", "installing", "ready", "configuring", "TASK", "succeeded", "4 configured"] {
        assert!(frames.iter().any(|frame| frame.contains(words)), "`{words}` is not in the recording");
    }
}
