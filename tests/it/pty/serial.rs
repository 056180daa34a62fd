//! The console on a serial line of 9600 baud: 960 bytes a second, whatever happens in the rack.

use std::time::{Duration, Instant};

use super::super::rig::{Project, let_pass, until};
use super::super::terminal::{Console, Terminal};
use super::{BY_HAND, plug_in};

/// Bytes a second.
const PACE: u32 = 960;

/// Bytes that may come between a key and its answer: the frame that was on its way, and the one with the answer. Both
/// whole screens is the worst there is.
const ANSWER: usize = 2 * 3_000;

#[test]
fn keys_are_answered_within_two_frames_while_a_rack_comes_up() {
    let project = Project::new(BY_HAND);
    let line = Terminal { term: "vt100", pace: Some(PACE), ..Terminal::default() };
    let mut console = Console::start_in(&project, &["--slow"], line);
    console.until_shows("No machine has asked yet");
    let _rack = plug_in(&project, 30);
    console.until_shows("30 WAITING");
    for (key, words) in
        [("4", "prepare-iso"), ("1", "CODE/NOTE"), ("?", "let the machine be installed"), ("\u{1b}", "CODE/NOTE")]
    {
        let before = console.bytes();
        console.press(key);
        console.until_shows(words);
        let bytes = console.bytes() - before;
        assert!(bytes < ANSWER, "{bytes} bytes until `{key:?}` was answered");
    }
    console.leave();
    assert_eq!(console.wait(), 0);
    until("the line has brought the end", || console.is_restored().then_some(()));
}

#[test]
fn thirty_countdowns_leave_the_line_room() {
    let project = Project::new(BY_HAND);
    // Without a slow line behind it, so that all it wants to write is seen.
    let mut console = Console::start_in(&project, &["--slow"], Terminal { term: "vt100", ..Terminal::default() });
    console.until_shows("No machine has asked yet");
    let _rack = plug_in(&project, 30);
    console.until_shows("30 WAITING");
    let (before, begun) = (console.bytes(), Instant::now());
    let_pass(Duration::from_secs(5));
    let bytes = u32::try_from(console.bytes() - before).unwrap();
    let a_second = f64::from(bytes) / begun.elapsed().as_secs_f64();
    assert!(a_second < f64::from(PACE), "{a_second:.0} bytes a second");
    console.leave();
    assert_eq!(console.wait(), 0);
}
