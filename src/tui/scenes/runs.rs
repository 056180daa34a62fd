//! The Ansible tab: no run yet and why, output, the grid, a result; and the log.

use crossterm::event::KeyCode;

use super::stage::*;
use super::{Scene, Stage};
use crate::domain::{Command, NodeId, Order, Reply, RunOutcome};
use crate::tui::action::Msg;
use crate::tui::fixture::*;
use crate::tui::model::Model;
use crate::tui::update::update;

pub(super) const SCENES: &[Scene] = &[
    ("ansible_no_run", |stage| keys(stage.open(&Rack::new()), "2")),
    ("ansible_gate_waits", |stage| {
        let mut rack = Rack::new();
        rack.ready(1);
        let installing = rack.ask(2);
        rack.install(installing);
        keys(stage.open(&rack), "2")
    }),
    ("ansible_by_hand", |stage| keys(stage.open(&by_hand_rack()), "2")),
    ("ansible_countdown", |stage| keys(stage.open(&counting_rack()), "2")),
    ("ansible_held", |stage| keys(stage.open(&held_rack()), "2")),
    ("ansible_queued", |stage| {
        let mut rack = busy_rack();
        let Reply::Queued(_) = rack.order(Order::Run { nodes: vec![READY], options: Box::default() }) else {
            panic!("a run is queued")
        };
        keys(stage.open(&rack), "2")
    }),
    ("ansible_silent", |stage| running(stage)),
    ("ansible", |stage| {
        let mut model = running(stage);
        output(&mut model, OUTPUT);
        model
    }),
    ("ansible_paused", |stage| {
        let mut model = running(stage);
        output_from(&mut model, 0, (0..200).map(|n| format!("ok: [pve-0703.example.com] => item {n}")).collect());
        press(&mut model, KeyCode::PageUp);
        model
    }),
    ("ansible_lines_dropped", |stage| {
        let mut model = running(stage);
        output_from(&mut model, 9_000, (0..200).map(|n| format!("ok: [pve-0703.example.com] => item {n}")).collect());
        model
    }),
    ("ansible_many_runs", |stage| keys(stage.open(&run_often()), "2")),
    ("ansible_older_run", |stage| keys(stage.open(&run_often()), "2hhh")),
    ("ansible_search", |stage| keys(searchable(stage), "/item 1")),
    ("ansible_searched", |stage| entered(keys(searchable(stage), "/item 1"))),
    ("ansible_not_found", |stage| keys(searchable(stage), "/no such line")),
    ("ansible_lines_cut", |stage| {
        let mut model = running(stage);
        output(&mut model, OUTPUT);
        keys(model, "L")
    }),
    ("grid", |stage| entered(GridRun::new().open(stage))),
    ("grid_moved", |stage| {
        let mut model = entered(GridRun::new().open(stage));
        press(&mut model, KeyCode::Left);
        press(&mut model, KeyCode::Down);
        model
    }),
    ("result_asked", |stage| entered(keys(entered(GridRun::new().open(stage)), "n"))),
    ("result", |stage| {
        let mut model = entered(keys(entered(GridRun::new().open(stage)), "n"));
        fetch(&mut model);
        model
    }),
    ("log", |stage| keys(stage.open(&busy_rack()), "3")),
];

/// A run on one node, just begun.
fn running(stage: &Stage) -> Model {
    let mut rack = busy_rack();
    rack.run(vec![READY]);
    rack.pass(75);
    keys(stage.open(&rack), "2")
}

/// With output that can be searched.
fn searchable(stage: &Stage) -> Model {
    let mut model = running(stage);
    output_from(&mut model, 0, (0..200).map(|n| format!("ok: [pve-0703.example.com] => item {n}")).collect());
    model
}

/// Runs that ended in every way there is.
fn run_often() -> Rack {
    let mut rack = busy_rack();
    let nodes = || vec![READY, NodeId(1)];
    let reason = "`setup-cluster.yml` is not there; write it, or name another one in `ansible.playbook`".into();
    for outcome in [RunOutcome::Cancelled, RunOutcome::Interrupted, RunOutcome::NotStarted { reason }] {
        let run = rack.run(nodes());
        rack.pass(100);
        rack.submit(&Command::RunEnded { run, outcome, hosts: std::collections::BTreeMap::new() });
    }
    let run = rack.run(nodes());
    rack.pass(100);
    rack.end_run(run, &[READY]);
    let run = rack.run(nodes());
    rack.pass(100);
    rack.end_run(run, &[]);
    rack
}

#[test]
fn a_folded_line_is_whole() {
    let mut model = running(&Stage::new(60, 16));
    output(&mut model, OUTPUT);
    let shown: String = text_of(&model).split_whitespace().collect();
    assert!(shown.contains("Nopackagematching'qemu-guest-agentt'isavailable"), "{shown}");
    update(&mut model, Msg::Resize(200, 40));
    assert!(text_of(&model).contains("No package matching 'qemu-guest-agentt' is available"));
}
