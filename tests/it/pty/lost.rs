//! What is left when the console ends badly: a panic, a terminal that vanishes, a stop by the shell.

use std::fs;

use nix::sys::signal::Signal;

use super::super::rig::{Project, Rack, until};
use super::super::terminal::Console;
use super::{BY_HAND, plug_in_with};

/// A console with two machines on hold that stay away once they were told to reboot.
fn with_two_machines(project: &Project, options: &[&str]) -> (Console, Rack) {
    let console = Console::start(project, options);
    console.until_shows("No machine has asked yet");
    let rack = plug_in_with(project, 2, &["--reboot-time", "10m"]);
    console.until_shows("2 WAITING");
    (console, rack)
}

/// All that is in the log files.
fn logged(project: &Project) -> String {
    let files = fs::read_dir(project.at(".prox-orchestrator/log")).unwrap();
    files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

/// The machines were answered before the end, and the next engine knows all that was known.
#[track_caller]
fn nothing_is_lost(project: &Project, rack: Rack, before: &[serde_json::Value]) {
    rack.until_did(2, "reboots");
    let figures = rack.switch_off();
    assert_eq!(figures.count("debug shells"), 0, "held machines were answered first: {}", figures.text);
    let engine = project.serve();
    let known = |nodes: &[serde_json::Value]| {
        nodes
            .iter()
            .map(|node| [&node["id"], &node["name"], &node["phase"]].map(ToString::to_string))
            .collect::<Vec<_>>()
    };
    assert_eq!(known(&project.nodes()), known(before));
    drop(engine);
}

#[test]
fn a_panic_of_the_console_loses_neither_terminal_nor_state_nor_machines() {
    let project = Project::new(BY_HAND);
    let (mut console, rack) = with_two_machines(&project, &["--panic-in", "console"]);
    let before = project.nodes();
    console.press("\u{10}");
    assert_eq!(console.wait(), 1);
    assert!(console.is_restored());
    console.until_shows("the console was told to fail");
    console.until_shows("its state is safe");
    console.until_shows(".prox-orchestrator/log");
    nothing_is_lost(&project, rack, &before);
}

#[test]
fn a_panic_beside_the_console_is_told_and_the_console_goes_on() {
    let project = Project::new(BY_HAND);
    let (mut console, _rack) = with_two_machines(&project, &["--panic-in", "task"]);
    console.press("\u{10}");
    console.until_shows("a part of the program failed and was caught");
    until("the log says more", || logged(&project).contains("a task was told to fail").then_some(()));
    until("the terminal is taken again", || console.is_taken().then_some(()));
    console.until_shows("2 WAITING");
    console.press("na");
    until("a machine is answered", || project.nodes().iter().any(|row| row["phase"] != "waiting").then_some(()));
    console.leave();
    assert_eq!(console.wait(), 0);
    assert!(console.is_restored());
}

#[test]
fn a_vanished_terminal_ends_it_and_strands_no_machine() {
    let project = Project::new(BY_HAND);
    let (mut console, rack) = with_two_machines(&project, &[]);
    let before = project.nodes();
    console.hang_up();
    console.wait();
    nothing_is_lost(&project, rack, &before);
}

#[test]
fn signals_strand_no_machine() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let project = Project::new(BY_HAND);
        let (mut console, rack) = with_two_machines(&project, &[]);
        let before = project.nodes();
        console.signal(signal);
        assert_eq!(console.wait(), 0, "{signal}");
        assert!(console.is_restored());
        nothing_is_lost(&project, rack, &before);
    }
}

#[test]
fn a_shell_stops_it_and_brings_it_back() {
    let project = Project::new(BY_HAND);
    let mut console = Console::shell(&project);
    console.until_shows("shell>");
    console.press(&format!("{}\n", env!("CARGO_BIN_EXE_prox-orchestrator")));
    console.until_shows("No machine has asked yet");
    console.press("4");
    console.until_shows("prepare-iso");
    for _ in 0..3 {
        console.press("\u{1a}");
        console.until_shows("Stopped");
        until("the shell has its terminal", || console.is_restored().then_some(()));
        console.press("fg\n");
        until("the console has it again", || console.is_taken().then_some(()));
        console.until_shows("prepare-iso");
    }
    console.press("q");
    until("the shell has its terminal", || console.is_restored().then_some(()));
    console.press("exit\n");
    assert_eq!(console.wait(), 0);
}

#[test]
fn a_size_that_changes_while_the_shell_has_the_terminal_is_taken_over() {
    let project = Project::new(BY_HAND);
    let mut console = Console::shell(&project);
    console.until_shows("shell>");
    console.press(&format!("{}\n", env!("CARGO_BIN_EXE_prox-orchestrator")));
    console.until_shows("No machine has asked yet");
    for (columns, rows) in [(132_u16, 43_u16), (70, 20)] {
        console.press("\u{1a}");
        until("the shell has its terminal", || console.is_restored().then_some(()));
        console.resize(columns, rows);
        console.press("fg\n");
        until("the console has it again", || console.is_taken().then_some(()));
        // The clock stands at the right, the keys in the last row.
        console.until("has the new size", |text| {
            let lines: Vec<_> = text.lines().map(str::trim_end).collect();
            let fits = |first: &str, last: &str| first.len() + 1 == usize::from(columns) && last.ends_with("q quit");
            lines.len() == usize::from(rows) && fits(lines[0], lines[lines.len() - 1])
        });
    }
    console.press("q");
    until("the shell has its terminal", || console.is_restored().then_some(()));
    console.press("exit\n");
    assert_eq!(console.wait(), 0);
}
