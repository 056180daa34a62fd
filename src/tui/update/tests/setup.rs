//! The Setup tab, the hints, the mouse and the bell.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::*;
use crate::client::SelfTest;
use crate::tui::listing::Sort;
use crate::tui::model::Check;
use crate::tui::{Extras, TuiOptions};

fn on_setup(rack: &Rack) -> Model {
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('4'));
    model
}

#[test]
fn every_way_is_shown_copied_and_written() {
    let rack = Rack::new();
    let mut model = on_setup(&rack);
    let mut files = Vec::new();
    for _ in 0..20 {
        let [Request::Copy(copied)] = &press(&mut model, KeyCode::Char('y'))[..] else { panic!("nothing is copied") };
        let requests = press(&mut model, KeyCode::Char('w'));
        let [Request::Write { file, text }] = &requests[..] else { panic!("nothing is written: {requests:?}") };
        assert_eq!(text.trim_end(), copied);
        files.push(*file);
        press(&mut model, KeyCode::Right);
    }
    files.dedup();
    assert_eq!(files.len(), crate::tui::setup::COUNT, "{files:?}");
    press(&mut model, KeyCode::Left);
    assert_eq!(model.topic, crate::tui::setup::COUNT - 2);
    update(&mut model, Msg::Told(Err("`bind.zone` is there already".to_owned())));
    assert!(news(&model).contains("there already"));
}

#[test]
fn the_self_test_is_asked_for_once_and_its_outcome_shown() {
    let mut model = on_setup(&Rack::new());
    assert_eq!(press(&mut model, KeyCode::Char('t')), [Request::SelfTest]);
    assert!(press(&mut model, KeyCode::Char('t')).is_empty());
    assert!(text_of(&model).contains("Self-test: asking"));
    let outcome = SelfTest { passed: vec!["connected".to_owned()], failed: Some("nothing answers".to_owned()) };
    update(&mut model, Msg::Tested(outcome.clone()));
    assert_eq!(model.check, Check::Done(outcome));
    let shown = text_of(&model);
    assert!(shown.contains("+ connected") && shown.contains("! nothing answers"), "{shown}");
    let mut silent = Rack::new();
    silent.service.url.clear();
    let mut model = on_setup(&silent);
    assert!(press(&mut model, KeyCode::Char('t')).is_empty());
    assert_eq!(news(&model), "nothing is being served yet");
}

fn with_hints() -> Model {
    let options = TuiOptions { hints: Some("seen".into()), ..TuiOptions::default() };
    busy_rack().model_with(80, 24, &options)
}

#[test]
fn hints_come_one_by_one_and_go_for_good() {
    let mut model = with_hints();
    for number in 1..=6 {
        assert!(text_of(&model).contains(&format!("hint {number}/6")), "{number}");
        let last = if number == 6 { vec![Request::NoHints] } else { Vec::new() };
        assert_eq!(press(&mut model, KeyCode::Char('H')), last);
    }
    assert!(!text_of(&model).contains("hint "));
    assert!(press(&mut model, KeyCode::Char('H')).is_empty());
    let mut model = with_hints();
    assert_eq!(press(&mut model, KeyCode::Char('X')), [Request::NoHints]);
    assert_eq!(model.hint, None);
}

fn click(model: &mut Model, x: u16, y: u16) -> Vec<Request> {
    mouse(model, MouseEventKind::Down(MouseButton::Left), x, y)
}

fn mouse(model: &mut Model, kind: MouseEventKind, column: u16, row: u16) -> Vec<Request> {
    update(model, Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
}

/// Where words stand on the screen.
fn place(model: &Model, words: &str) -> (u16, u16) {
    let shown = text_of(model);
    let found = shown.lines().enumerate().find_map(|(y, line)| {
        let x = line.find(words)?;
        Some((u16::try_from(line[..x].chars().count()).unwrap(), u16::try_from(y).unwrap()))
    });
    found.unwrap_or_else(|| panic!("`{words}` is not on the screen:\n{shown}"))
}

#[test]
fn clicks_select_open_sort_and_press_the_footers_keys() {
    let mut model = busy_rack().model(80, 24);
    let (x, y) = place(&model, "pve-0703");
    click(&mut model, x, y);
    assert_eq!(model.nodes.selected, Some(Row::Node(READY)));
    click(&mut model, x, y);
    assert_eq!(model.nodes.detail, Some(0), "a second click opens it");
    let (x, y) = place(&model, "back");
    click(&mut model, x, y);
    assert_eq!(model.nodes.detail, None);
    let (x, y) = place(&model, "STATE");
    click(&mut model, x, y);
    assert_eq!(model.listing.sort, Sort::State);
    click(&mut model, x, y);
    assert!(model.listing.is_reversed);
    let (x, y) = place(&model, "4 Setup");
    click(&mut model, x, y);
    assert_eq!(model.tab, Tab::Setup);
    for (x, y) in [(0, 0), (79, 23), (500, 500)] {
        click(&mut model, x, y);
    }
}

#[test]
fn no_click_reaches_below_a_dialog_but_its_buttons_work() {
    let mut model = model_at(Row::Node(WAITING));
    press(&mut model, KeyCode::Char('f'));
    let before = model.nodes.selected;
    for y in 0..22 {
        click(&mut model, 30, y);
    }
    assert_eq!(model.nodes.selected, before);
    let (x, y) = place(&model, "n no");
    click(&mut model, x + 2, y);
    assert!(model.modal.is_none());
}

#[test]
fn the_wheel_moves_the_table_and_not_the_selection() {
    let mut rack = Rack::new();
    for n in 0..100 {
        rack.ask(n);
    }
    let mut model = rack.model(80, 24);
    mouse(&mut model, MouseEventKind::ScrollDown, 10, 10);
    assert_eq!((model.nodes.top, model.nodes.index), (3, 0));
    press(&mut model, KeyCode::Down);
    assert_eq!((model.nodes.top, model.nodes.index), (1, 1), "a key brings the selection back into view");
    press(&mut model, KeyCode::Char('?'));
    mouse(&mut model, MouseEventKind::ScrollDown, 10, 10);
    assert!(matches!(model.modal, Some(Modal::Help { top: 3, .. })));
}

const BELL: Extras = Extras { mouse: false, bell: true };

#[test]
fn mouse_and_bell_are_taken_over_while_the_console_is_open() {
    let mut rack = busy_rack();
    let mut model = rack.model(80, 24);
    let title = |waiting: u8| Request::Title(format!("({waiting} waiting) prox-orchestrator"));
    assert_eq!(update(&mut model, Msg::Extras(BELL)), [Request::Extras(BELL), title(3)]);
    rack.ask(40);
    assert_eq!(update(&mut model, Msg::Snapshot(rack.snapshot())), [title(4), Request::Ring]);
    let silent = Extras { mouse: true, bell: false };
    assert_eq!(update(&mut model, Msg::Extras(silent)), [Request::Extras(silent)]);
    rack.ask(41);
    assert!(update(&mut model, Msg::Snapshot(rack.snapshot())).is_empty());
}

#[test]
fn a_machine_that_begins_to_wait_rings_once() {
    let mut rack = busy_rack();
    let mut model = rack.model_with(80, 24, &TuiOptions { extras: BELL, ..TuiOptions::default() });
    assert!(update(&mut model, Msg::Snapshot(rack.snapshot())).is_empty());
    rack.ask(40);
    let requests = update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert_eq!(requests, [Request::Title("(4 waiting) prox-orchestrator".to_owned()), Request::Ring]);
    assert!(update(&mut model, Msg::Snapshot(rack.snapshot())).is_empty());
    rack.approve(WAITING);
    let requests = update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert_eq!(requests, [Request::Title("(3 waiting) prox-orchestrator".to_owned())], "fewer is no reason to ring");
    let mut silent = rack.model(80, 24);
    rack.ask(41);
    assert!(update(&mut silent, Msg::Snapshot(rack.snapshot())).is_empty());
}

#[test]
fn a_row_that_was_scrolled_away_takes_no_order_unseen() {
    let mut rack = Rack::new();
    for n in 0..100 {
        rack.ask(n);
    }
    for key in "axbMeECdf".chars() {
        let mut model = rack.model(80, 24);
        for _ in 0..10 {
            mouse(&mut model, MouseEventKind::ScrollDown, 10, 10);
        }
        assert_eq!((model.nodes.top, model.nodes.index), (30, 0));
        assert!(press(&mut model, KeyCode::Char(key)).is_empty(), "{key}");
        assert!(model.modal.is_none() && model.nodes.top == 0, "{key}: it is brought into view");
        assert!(news(&model).contains("look, then press again"), "{key}: {}", news(&model));
        if key == 'a' {
            let again = press(&mut model, KeyCode::Char(key));
            assert!(matches!(order_of(&again), Order::Approve { node: NodeId(1), .. }));
        }
    }
}

#[test]
fn a_snapshot_leaves_the_table_where_it_was_scrolled_to() {
    let mut rack = Rack::new();
    for n in 0..100 {
        rack.ask(n);
    }
    let mut model = rack.model(80, 24);
    for _ in 0..10 {
        mouse(&mut model, MouseEventKind::ScrollDown, 10, 10);
    }
    rack.ask(101);
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert_eq!((model.nodes.top, model.nodes.index), (30, 0));
    press(&mut model, KeyCode::Down);
    rack.ask(102);
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert!(model.nodes.top <= 1, "a selection that was in view stays in view");
}

#[test]
fn a_scanned_label_opens_the_line_it_belongs_into() {
    let mut model = busy_rack().model(80, 24);
    press(&mut model, KeyCode::Char('4'));
    assert!(update(&mut model, Msg::Label("s2hr".to_owned())).is_empty());
    type_text(&mut model, "NX0J403403");
    assert!(press(&mut model, KeyCode::Enter).is_empty());
    assert_eq!((model.tab, model.nodes.selected), (Tab::Nodes, Some(Row::Node(READY))));
    press(&mut model, KeyCode::Char('q'));
    update(&mut model, Msg::Label("USE3".to_owned()));
    assert!(matches!(model.modal, Some(Modal::Quit)) && news(&model).contains("was not taken"), "{}", news(&model));
    let mut empty = Rack::new().model(80, 24);
    update(&mut empty, Msg::Label("USE3".to_owned()));
    assert!(empty.modal.is_none() && news(&empty).contains("no machine yet"));
}
