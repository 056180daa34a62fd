//! Pictures of walking, swapping, editing and of the view from afar, at every size a console has.

use crossterm::event::KeyCode;
use insta::assert_snapshot;
use ratatui::style::Color;
use rstest::rstest;

use crate::domain::NodeId;
use crate::tui::fixture::*;
use crate::tui::model::{Model, Row};
use crate::tui::{Colours, TuiOptions};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (60, 16)];

/// Takes a picture at each size.
fn pictures(name: &str, rack: &Rack, prepare: impl Fn(&mut Model)) {
    for (width, height) in SIZES {
        let mut model = rack.model(width, height);
        prepare(&mut model);
        assert_snapshot!(format!("{name}_{width}"), screen(&model).backend());
    }
}

fn at_first(model: &mut Model) {
    go_to(model, Row::Node(NodeId(3)));
}

#[rstest]
#[case::walking("walking", "")]
#[case::walk_menu("walk_menu", "w")]
#[case::swap("swap", "z")]
#[case::edit("edit", "e")]
#[case::profile("choose_profile", "C")]
#[case::jump("jump", "'S2HRNX0J403402")]
#[case::by_rack("by_rack", "ggg")]
#[case::big("big", "B")]
fn during_a_walk(#[case] name: &str, #[case] keys: &str) {
    pictures(name, &walking_rack(), |model| {
        at_first(model);
        type_text(model, keys);
    });
}

#[test]
fn before_a_walk() {
    let mut rack = Rack::new();
    rack.plan(&[("R7", "2", "pve-02"), ("R7", "11", "pve-03"), ("R7", "1", "pve-01"), ("R12", "1", "pve-06")]);
    pictures("walk_plan", &rack, |model| drop(type_text(model, "w")));
    pictures("walk_names", &Rack::new(), |model| drop(type_text(model, "w")));
}

#[test]
fn the_view_from_afar_of_a_busy_rack() {
    pictures("big_busy", &busy_rack(), |model| drop(press(model, KeyCode::Char('B'))));
}

#[test]
fn the_view_from_afar_on_the_poorest_terminal() {
    let options = TuiOptions { ascii: true, colours: Colours::Mono, ..TuiOptions::default() };
    let mut model = busy_rack().model_with(80, 24, &options);
    press(&mut model, KeyCode::Char('B'));
    let terminal = screen(&model);
    let buffer = terminal.backend().buffer();
    assert!(buffer.content.iter().all(|cell| cell.symbol().is_ascii()));
    assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    assert_snapshot!(terminal.backend());
}
