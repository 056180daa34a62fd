//! What the grid and the gate say once a run is over.

use crossterm::event::KeyCode;

use crate::domain::{Command, RunOutcome};
use crate::tui::action::Msg;
use crate::tui::fixture::*;
use crate::tui::runs::Level;
use crate::tui::scenes::Stage;
use crate::tui::scenes::stage::GridRun;
use crate::tui::update::update;

#[test]
fn nothing_goes_on_in_a_run_that_was_stopped() {
    let run = GridRun::new();
    let mut model = run.open(&Stage::new(80, 24));
    let mut rack = run.rack;
    press(&mut model, KeyCode::Enter);
    let text = text_of(&model);
    assert!(text.contains("running") && text.contains("left"), "{text}");
    let run = rack.fleet.active_run().unwrap().id;
    rack.submit(&Command::RunEnded { run, outcome: RunOutcome::Cancelled, hosts: [].into() });
    rack.pass(3_600);
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    update(&mut model, Msg::Tick(rack.now));
    let text = text_of(&model);
    assert!(text.contains("stopped 2.0s") && text.contains("stopped at task 3 after 8.0s"), "{text}");
    // The legend has the word, too.
    assert!(text.matches("running").count() <= 1 && !text.contains("left"), "{text}");
}

#[test]
fn nodes_that_the_gate_does_not_run_again_are_told() {
    let mut rack = Rack::new();
    rack.ready(1);
    rack.submit(&Command::Tick);
    rack.pass(60);
    rack.submit(&Command::Tick);
    let run = rack.fleet.active_run().unwrap().id;
    let outcome = RunOutcome::NotStarted { reason: "no ansible".into() };
    rack.submit(&Command::RunEnded { run, outcome, hosts: [].into() });
    let text = text_of(&rack.model(80, 24));
    assert!(text.contains("1 ready, not configured: press r") && !text.contains("every node was run"), "{text}");
}

#[test]
fn a_question_that_leads_nowhere_any_more_says_why() {
    let run = GridRun::new();
    let mut model = run.open(&Stage::new(80, 24));
    let mut rack = run.rack;
    press(&mut model, KeyCode::Char('c'));
    let id = rack.fleet.active_run().unwrap().id;
    rack.submit(&Command::RunEnded { run: id, outcome: RunOutcome::Cancelled, hosts: [].into() });
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    let told = |model: &_| text_of(model).contains("is over; there is nothing to stop");
    assert!(told(&model), "{}", text_of(&model));
    press(&mut model, KeyCode::Char('y'));
    assert!(told(&model), "{}", text_of(&model));
}

#[test]
fn a_run_whose_events_end_before_it_says_where_the_rest_is() {
    let run = GridRun::new();
    let mut model = run.open(&Stage::new(120, 40));
    let mut rack = run.rack;
    press(&mut model, KeyCode::Enter);
    let id = rack.fleet.active_run().unwrap().id;
    rack.submit(&Command::RunEnded { run: id, outcome: RunOutcome::Succeeded, hosts: [].into() });
    rack.pass(3_600);
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    update(&mut model, Msg::Tick(rack.now));
    let text = text_of(&model);
    assert!(text.contains("events end at task 3 after 8.0s; the output has the rest (o)"), "{text}");
    // Neither running nor stopped: nobody has told.
    assert!(text.contains("not told 2.0s") && !text.contains("stopped"), "{text}");
    press(&mut model, KeyCode::Char('o'));
    assert_eq!(model.runs.level, Level::Output);
}

#[test]
fn the_slowest_tasks_are_named_in_full_or_not_at_all() {
    let run = GridRun::new();
    for (width, tasks) in [(60, 1), (80, 1), (120, 2), (200, 3)] {
        let mut model = run.open(&Stage::new(width, 40));
        press(&mut model, KeyCode::Enter);
        let text = text_of(&model);
        let line = text.lines().find(|line| line.contains("slowest: ")).unwrap();
        let shown = line.trim_matches(['"', ' ', '\u{2502}']);
        assert!(!shown.contains('\u{2026}') && shown.ends_with('s'), "{width}: {line}");
        assert_eq!(shown.matches(" \u{b7} ").count() + 1, tasks, "{width}: {line}");
    }
}
