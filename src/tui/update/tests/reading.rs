//! A run being read while another one starts.

use super::*;
use crate::client::OutputChunk;
use crate::tui::runs::Level;

/// The Ansible tab with the output of a run, and then a second run.
fn shown_with(keys: &str) -> (Model, [RunId; 2]) {
    let mut rack = busy_rack();
    let first = rack.run(vec![READY]);
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('2'));
    let lines: Vec<_> = (0..100).map(|line| format!("line {line}")).collect();
    update(&mut model, Msg::Output(first, OutputChunk { lines, first: 0, next: 100 }));
    for c in keys.chars() {
        press(&mut model, if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) });
    }
    rack.end_run(first, &[]);
    let second = rack.run(vec![READY]);
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    (model, [first, second])
}

#[rstest]
#[case::scrolled("kkk")]
#[case::held(" ")]
#[case::searched("/line 5\n")]
#[case::at_the_beginning("g")]
fn what_is_read_stays_and_the_new_run_is_told(#[case] keys: &str) {
    let (mut model, [first, second]) = shown_with(keys);
    assert_eq!(model.pager.run(), Some(first));
    assert_eq!(news(&model), format!("run {second} has begun; `l` on tab 2 shows it"));
    // What comes of the other run is not put under what is read.
    let lines = vec!["of another run".to_owned()];
    update(&mut model, Msg::Output(second, OutputChunk { lines, first: 0, next: 1 }));
    press(&mut model, KeyCode::Char('G'));
    let shown = text_of(&model);
    assert!(shown.contains("line 99") && !shown.contains("of another run"), "{shown}");
    press(&mut model, KeyCode::Char('l'));
    assert_eq!(model.pager.run(), Some(second));
}

/// Where `l` is something else, the news says how to get to it.
#[test]
fn news_of_another_run_names_keys_that_lead_there() {
    let mut rack = busy_rack();
    let first = rack.run(vec![READY]);
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('2'));
    model.runs.level = Level::Grid;
    rack.end_run(first, &[]);
    let second = rack.run(vec![READY]);
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert_eq!(news(&model), format!("run {second} has begun; Esc on tab 2, then `l` shows it"));
    for key in [' ', 'L'] {
        press(&mut model, KeyCode::Char(key));
        assert!(news(&model).contains("for the output"), "{key}: {}", news(&model));
    }
    assert!(model.pager.place == Place::Follow && !model.pager.is_cut);
    model.runs.level = Level::Result;
    press(&mut model, KeyCode::Left);
    assert_eq!((model.pager.run(), model.runs.level), (Some(first), Level::Result));
    model.runs.level = Level::Grid;
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Char('l'));
    assert_eq!(model.pager.run(), Some(second));
}

#[test]
fn who_only_follows_follows_the_new_run() {
    let (model, [_, second]) = shown_with("");
    assert_eq!((model.pager.run(), model.runs.level), (Some(second), Level::Output));
    assert_eq!(news(&model), "");
}
