//! Work in a real terminal: names, runs, sizes.

use super::super::outside::ansibles;
use super::super::rig::{Project, until};
use super::super::runs::{gated, until_at_gate};
use super::super::terminal::Console;
use super::{BY_HAND, plug_in};

#[test]
fn a_bad_name_is_told_at_once_and_a_good_one_is_taken() {
    let project = Project::new(BY_HAND);
    let mut console = Console::start(&project, &[]);
    console.until_shows("No machine has asked yet");
    let _rack = plug_in(&project, 1);
    console.until_shows("1 WAITING");
    console.press("E\u{15}");
    for (typed, words) in [("db_1.rack.example", "is not allowed"), ("db-1", "has no domain")] {
        console.press(typed);
        console.until_shows(words);
        console.press("\r");
        console.until_shows(words);
        console.press("\u{15}");
    }
    console.press("db-1.rack.example");
    console.press("\r");
    console.until("has the new name in its row", |text| {
        text.lines().any(|line| line.contains("db-1.rack.example") && line.contains("waiting"))
    });
    assert_eq!(project.node("m1")["name"], "db-1.rack.example");
    console.leave();
    assert_eq!(console.wait(), 0);
}

#[test]
fn a_run_is_watched_stopped_and_started_anew() {
    let Some(ansible) = ansibles().pop() else { return };
    let project = gated(&ansible);
    let mut console = Console::start(&project, &[]);
    console.until_shows("No machine has asked yet");
    let _rack = plug_in(&project, 1);
    console.until_shows("1 WAITING");
    console.press("na");
    until_at_gate(&project, "r1");
    console.press("2");
    console.until_shows("Wait for the test");
    console.press("\r");
    console.until_shows("hosts and tasks of r1");
    console.press("\u{1b}");
    console.until_shows("output of r1");
    console.press("c");
    console.until_shows("half configured");
    console.press("y");
    console.until("shows it cancelled", |text| text.contains("cancelled") && !text.contains("half configured"));
    project.write("gate", "");
    console.press("r");
    console.until_shows("Run the playbook");
    console.press("\r");
    console.until("shows the second run's end", |text| text.contains("r2") && text.contains("succeeded"));
    console.until_shows("PLAY RECAP");
    console.press("q");
    assert_eq!(console.wait(), 0);
    assert!(console.is_restored());
}

#[test]
fn a_storm_of_sizes_leaves_the_selection_on_its_machine() {
    let project = Project::new(BY_HAND);
    let mut console = Console::start(&project, &[]);
    console.until_shows("No machine has asked yet");
    let _rack = plug_in(&project, 12);
    console.until_shows("12 WAITING");
    let name = project.node("m9")["name"].as_str().unwrap().to_owned();
    let host = name.split('.').next().unwrap();
    for _ in 0..8 {
        console.press("j");
    }
    console.until_shows(&format!("{host} waits"));
    for step in 0..60_u16 {
        console.resize(40 + step * 7 % 200, 10 + step * 3 % 60);
    }
    for (columns, rows) in [(60, 16), (250, 70), (120, 40), (80, 24)] {
        console.resize(columns, rows);
        console.until_shows(&format!("{host} waits"));
        until("the whole screen is drawn", || {
            let text = console.text();
            (text.lines().count() == usize::from(rows) && text.lines().last()?.contains("q quit")).then_some(())
        });
    }
    console.press("a");
    until("that machine is installed", || (project.node("m9")["phase"] == "ready").then_some(()));
    console.leave();
    assert_eq!(console.wait(), 0);
}
