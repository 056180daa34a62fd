//! The Nodes tab: the table in its states, and the detail of each kind of row.

use crossterm::event::KeyCode;
use jiff::SignedDuration;

use super::Scene;
use super::stage::*;
use crate::client::Moment;
use crate::domain::command::{Sighting, Verb};
use crate::domain::snapshot::Undecided;
use crate::domain::text::Text;
use crate::domain::{Command, NodeId, Order, Origin, ReportId};
use crate::tui::action::Msg;
use crate::tui::fixture::*;
use crate::tui::model::{Model, Row};
use crate::tui::update::update;

pub(super) const SCENES: &[Scene] = &[
    ("nodes", |stage| at(stage, &busy_rack(), WAITING)),
    ("nodes_first_start", |stage| {
        let mut rack = Rack::new();
        rack.problem("ansible-playbook is not installed", "apt install ansible-core");
        stage.open_first(&rack)
    }),
    ("nodes_hint", |stage| stage.open_first(&busy_rack())),
    ("nodes_asks_again", |stage| at(stage, &busy_rack(), AGAIN)),
    ("nodes_grouped", |stage| keys(at(stage, &busy_rack(), WAITING), "g")),
    ("nodes_sorted", |stage| keys(at(stage, &busy_rack(), WAITING), "ssS")),
    ("nodes_filtered", |stage| entered(keys(stage.open(&busy_rack()), "/phase:waiting"))),
    ("nodes_none_matches", |stage| entered(keys(stage.open(&busy_rack()), "/nothing like it"))),
    ("nodes_marked", |stage| keys(keys(at(stage, &busy_rack(), WAITING), " j"), " ")),
    ("nodes_many", |stage| {
        let mut model = stage.open(&waiting_rack(150));
        press(&mut model, KeyCode::End);
        model
    }),
    ("nodes_undecided", |stage| {
        let mut rack = busy_rack();
        let until = rack.now + SignedDuration::from_secs(4);
        rack.undecided.insert(WAITING, Undecided { verb: Verb::Approve, origin: Origin::System, until });
        at(stage, &rack, WAITING)
    }),
    ("nodes_engine_gone", |stage| {
        let mut model = stage.open(&busy_rack());
        update(&mut model, Msg::EngineGone);
        model
    }),
    ("nodes_not_served", |stage| {
        let mut rack = Rack::new();
        rack.service.url.clear();
        stage.open(&rack)
    }),
    ("nodes_problems", |stage| at(stage, &troubled_rack(), WAITING)),
    ("nodes_turned_away", |stage| at(stage, &haunted_rack(), WAITING)),
    ("nodes_news", |stage| {
        let mut model = at(stage, &busy_rack(), WAITING);
        model.tell("approved `pve-0709.example.com`; 5 s to take it back with `u`");
        model
    }),
    ("nodes_bad_news", |stage| {
        let mut model = at(stage, &busy_rack(), WAITING);
        model.warn(
            "`pve-0709.example.com` changed while you looked: it asked again, and differently; look again, then decide",
        );
        model
    }),
    ("nodes_row_gone", |stage| {
        let mut rack = busy_rack();
        let mut model = at(stage, &rack, WAITING);
        rack.order(Order::Forget { node: WAITING });
        update(&mut model, Msg::Snapshot(rack.snapshot()));
        model
    }),
    ("nodes_countdown", |stage| {
        let mut rack = counting_rack();
        rack.pass(3);
        stage.open(&rack)
    }),
    ("nodes_gate_open", |stage| stage.open(&open_rack())),
    ("nodes_gate_held", |stage| stage.open(&held_rack())),
    ("nodes_all_done", |stage| stage.open(&done_rack())),
    ("nodes_unconfirmed", |stage| {
        let mut rack = Rack::new();
        let node = rack.ask(1);
        rack.release(node);
        stage.open(&rack)
    }),
    ("nodes_every_phase", |stage| stage.open(&every_phase())),
    ("detail_ready", |stage| opened(at(stage, &busy_rack(), READY))),
    ("detail_ready_end", |stage| {
        let mut model = opened(at(stage, &busy_rack(), READY));
        press(&mut model, KeyCode::End);
        model
    }),
    ("nodes_odd", |stage| at(stage, &odd_rack(), NodeId(4))),
    ("detail_odd", |stage| opened(at(stage, &odd_rack(), NodeId(4)))),
    ("nodes_missing", |stage| stage.open(&missing_rack())),
    ("detail_waiting", |stage| opened(at(stage, &busy_rack(), WAITING))),
    ("detail_failed", |stage| opened(at(stage, &busy_rack(), NodeId(2)))),
    ("detail_asks_again", |stage| opened(at(stage, &busy_rack(), AGAIN))),
    ("detail_imported", |stage| opened(at(stage, &busy_rack(), NodeId(11)))),
    ("detail_report", |stage| opened(at_row(stage, &busy_rack(), Row::Report(ReportId(1))))),
    ("detail_unproven", |stage| opened(at(stage, &unproven_rack(), NodeId(1)))),
    ("detail_history", |stage| {
        let mut model = opened(at(stage, &busy_rack(), READY));
        let node = model.node().unwrap().clone();
        let moments = ["asked for the first time", "approved by operator pat, from pts/3", "its report was accepted"];
        let since = [900, 600, 60];
        let moments = moments
            .into_iter()
            .zip(since)
            .map(|(words, ago)| Moment { at: model.now - SignedDuration::from_secs(ago), words: words.to_owned() });
        let moments = moments.collect();
        update(&mut model, Msg::History(node, moments));
        press(&mut model, KeyCode::End);
        model
    }),
];

/// Four of one model, and the last has lost a disk.
fn odd_rack() -> Rack {
    let mut rack = Rack::new();
    for n in 1..=4 {
        let node = rack.ask(n);
        rack.install(node);
        rack.report_odd(n, node, |told| told.disks.truncate(if n == 4 { 1 } else { 2 }));
        rack.submit(&Command::Probe { node, sighting: Sighting::Proven });
    }
    rack
}

/// One is ready, and a run waits for two more.
fn missing_rack() -> Rack {
    let mut rack = Rack::new();
    rack.ready(1);
    for n in 2..=3 {
        let node = rack.ask(n);
        rack.install(node);
    }
    rack.pass(1_140);
    rack
}

/// A node in each phase, as far as a rack can be in all of them.
fn every_phase() -> Rack {
    let mut rack = busy_rack();
    let reported = |rack: &mut Rack, n: u8| {
        let node = rack.ask(n);
        rack.install(node);
        rack.report(n, node);
        rack.submit(&Command::Probe { node, sighting: silent() });
        node
    };
    let lost = reported(&mut rack, 20);
    rack.pass(1_300);
    rack.submit(&Command::Probe { node: lost, sighting: silent() });
    reported(&mut rack, 21);
    rack.run(vec![READY]);
    rack.order(Order::Reject { node: WAITING, reason: Text::new("") });
    rack
}

fn silent() -> Sighting {
    Sighting::Silent { what: Text::new("connection refused") }
}

/// With the detail in front, or scrolled where it stands beside the table.
fn opened(mut model: Model) -> Model {
    press(&mut model, KeyCode::Enter);
    model
}
