//! Walking along a rack of simulated machines in a real terminal: who takes which slot, by keys and by scanner.

use std::net::Ipv4Addr;

use super::super::rig::{Project, Rack, until};
use super::super::terminal::Console;
use super::{BY_HAND, plug_in_with};

const PLAN: &str = "[[node]]\nhostname = \"db-3\"\nrack = \"R10\"\nslot = 1\n\n\
                    [[node]]\nhostname = \"db-2\"\nrack = \"R7\"\nslot = 11\n\n\
                    [[node]]\nhostname = \"db-1\"\nrack = \"R7\"\nslot = 9\n";

/// Switches machine `number` on.
fn switch_on(project: &Project, number: usize) -> Rack {
    plug_in_with(project, 1, &["--first", &number.to_string()])
}

/// Host name of the row whose machine asks from the address of machine `number`, once it waits.
fn name_of(project: &Project, number: u32) -> String {
    let address = Ipv4Addr::from_bits(project.rack.to_bits() + number - 1).to_string();
    let waits = |row: &&serde_json::Value| row["address"] == address && row["phase"] == "waiting";
    let name = || project.nodes().iter().find(waits).map(|row| row["name"].as_str().unwrap().to_owned());
    until(&format!("machine {number} waits"), name)
}

#[test]
fn machines_take_the_slots_in_the_order_they_are_switched_on() {
    let project = Project::new(BY_HAND);
    project.write("plan.toml", PLAN);
    let mut console = Console::start(&project, &[]);
    console.until_shows("db-1.rack.example");
    console.press("w");
    console.until_shows("3 slots: db-1 in R7/9, db-2 in R7/11, db-3 in R10/1");
    console.press("y");
    console.until_shows("WALK next: db-1 in R7/9");

    let _first = switch_on(&project, 1);
    assert_eq!(name_of(&project, 1), "db-1.rack.example");
    console.until_shows("WALK next: db-2 in R7/11");
    // Nobody stands at the second slot; then it turns out that somebody does.
    console.press(">");
    console.until_shows("WALK next: db-3 in R10/1");
    console.press("<");
    console.until_shows("WALK next: db-2 in R7/11");
    let _second = switch_on(&project, 2);
    assert_eq!(name_of(&project, 2), "db-2.rack.example");
    console.until_shows("WALK next: db-3 in R10/1");
    assert_eq!(project.phases().values().filter(|phase| *phase == "approved").count(), 0, "nobody is approved by that");

    // A scanner types the label of the first machine and presses Enter; the operator approves what it leads to.
    let nodes = project.nodes();
    let row = nodes.iter().find(|row| row["name"] == "db-1.rack.example").unwrap();
    let (id, serial) = (row["id"].as_str().unwrap(), row["serial"].as_str().unwrap());
    console.press(&format!("'{serial}\r"));
    console.until_shows("db-1 waits: compare code");
    console.press("a");
    project.until_phase(id, "ready");

    console.press("\u{1b}");
    console.until_shows("Stop the walk");
    console.press("y");
    console.until("has no walk any more", |text| !text.contains("WALK"));
    assert!(project.ok(["walk", "show"]).contains("no walk goes on"));
    console.press("q");
    console.until_shows("y yes");
    console.press("y");
    assert_eq!(console.wait(), 0);
    assert!(console.is_restored());
}

#[test]
fn a_walk_goes_on_after_a_crash_and_from_the_shell() {
    let project = Project::new(BY_HAND);
    project.write("plan.toml", PLAN);
    let console = Console::start(&project, &[]);
    console.until_shows("db-1.rack.example");
    project.ok(["walk", "start"]);
    console.until_shows("WALK next: db-1 in R7/9");
    project.ok(["walk", "skip"]);
    console.until_shows("WALK next: db-2 in R7/11");
    console.kill();

    let mut console = Console::start(&project, &[]);
    console.until_shows("WALK next: db-2 in R7/11");
    let shown: serde_json::Value = serde_json::from_str(&project.ok(["walk", "show", "--json"])).unwrap();
    assert_eq!(shown["next"], "db-2.rack.example");
    assert_eq!(
        (shown["place"].as_str(), shown["skipped"].as_u64(), shown["left"].as_u64()),
        (Some("R7/11"), Some(1), Some(2))
    );
    project.ok(["walk", "back"]);
    console.until_shows("WALK next: db-1 in R7/9");
    let refused = project.run(["walk", "back"]);
    assert_eq!(refused.code, Some(7), "{refused:?}");
    project.ok(["walk", "stop"]);
    project.ok(["walk", "start", "--from", "n-01.rack.example"]);
    console.until_shows("WALK next: n-01");
    let _rack = switch_on(&project, 1);
    assert_eq!(name_of(&project, 1), "n-01.rack.example");
    project.ok(["note", "n-01", "PSU", "2", "is", "dark"]);
    let row = project.nodes().into_iter().find(|row| row["name"] == "n-01.rack.example").unwrap();
    assert_eq!((row["note"].as_str(), row["walked"].as_bool()), (Some("PSU 2 is dark"), Some(true)));
    console.press("q");
    console.until_shows("y yes");
    console.press("y");
    assert_eq!(console.wait(), 0);
}
