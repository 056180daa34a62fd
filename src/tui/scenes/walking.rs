//! Walking along the rack, swapping, editing, and the view from afar.

use crossterm::event::KeyCode;

use super::stage::*;
use super::{Scene, Stage};
use crate::domain::NodeId;
use crate::tui::fixture::*;
use crate::tui::model::Model;

pub(super) const SCENES: &[Scene] = &[
    ("walk", |stage| walking(stage, "")),
    ("walk_menu", |stage| walking(stage, "w")),
    ("walk_stop", |stage| {
        let mut model = walking(stage, "");
        press(&mut model, KeyCode::Esc);
        model
    }),
    ("walk_by_plan", |stage| {
        let mut rack = Rack::new();
        rack.plan(&[("R7", "2", "pve-02"), ("R7", "11", "pve-03"), ("R7", "1", "pve-01"), ("R12", "1", "pve-06")]);
        keys(stage.open(&rack), "w")
    }),
    ("walk_by_names", |stage| keys(stage.open(&Rack::new()), "w")),
    ("swap", |stage| walking(stage, "z")),
    ("edit", |stage| walking(stage, "e")),
    ("choose_profile", |stage| walking(stage, "C")),
    ("jump_by_label", |stage| walking(stage, "'S2HRNX0J403402")),
    ("by_rack", |stage| walking(stage, "ggg")),
    ("big_walking", |stage| walking(stage, "B")),
    ("big", |stage| keys(stage.open(&busy_rack()), "B")),
];

/// In the middle of a walk, after these keys.
fn walking(stage: &Stage, pressed: &str) -> Model {
    keys(at(stage, &walking_rack(), NodeId(3)), pressed)
}
