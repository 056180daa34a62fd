//! Every question: as it opens, with something wrong typed, while the engine thinks, and refused.

use crossterm::event::KeyCode;

use super::stage::*;
use super::{Scene, Stage};
use crate::client::OrderError;
use crate::domain::text::Text;
use crate::domain::{NodeId, Order, Ordered, Refusal, ReportId, Wants};
use crate::tui::action::{Msg, Request};
use crate::tui::fixture::*;
use crate::tui::model::{Model, Row};
use crate::tui::update::update;

pub(super) const SCENES: &[Scene] = &[
    ("ask_host_name", |stage| keys(at(stage, &busy_rack(), WAITING), "E")),
    ("ask_host_name_bad", |stage| keys(at(stage, &busy_rack(), WAITING), "E_x")),
    ("ask_address", |stage| keys(at(stage, &busy_rack(), WAITING), "d192.0.2.101")),
    ("ask_nic", |stage| keys(at(stage, &busy_rack(), WAITING), "N")),
    ("ask_reject", |stage| keys(at(stage, &busy_rack(), WAITING), "xold spare")),
    ("ask_dismiss", |stage| keys(at_row(stage, &busy_rack(), Row::Report(ReportId(1))), "x")),
    ("ask_reinstall", |stage| {
        let mut model = at(stage, &busy_rack(), AGAIN);
        let requests = press(&mut model, KeyCode::Char('a'));
        say(&mut model, &requests);
        keys(model, "pve")
    }),
    ("ask_run", |stage| keys(at(stage, &busy_rack(), READY), "r")),
    ("ask_run_bad", |stage| {
        let mut model = keys(at(stage, &busy_rack(), READY), "r");
        for _ in 0..4 {
            press(&mut model, KeyCode::Down);
        }
        keys(model, "not a variable")
    }),
    ("ask_gate", |stage| keys(stage.open(&counting_rack()), "W")),
    ("ask_cancel", |stage| {
        let mut rack = busy_rack();
        rack.run(vec![READY]);
        keys(at(stage, &rack, READY), "c")
    }),
    ("ask_mark_installed", |stage| keys(at(stage, &busy_rack(), NodeId(5)), "i")),
    ("ask_trust", |stage| keys(at(stage, &unproven_rack(), NodeId(1)), "t")),
    ("ask_adopt", |stage| keys(at_row(stage, &busy_rack(), Row::Report(ReportId(1))), "m")),
    ("ask_forget", |stage| keys(at(stage, &busy_rack(), NodeId(1)), "f")),
    ("ask_ban", |stage| keys(at(stage, &busy_rack(), WAITING), "b")),
    ("ask_same", |stage| keys(at(stage, &busy_rack(), WAITING), "M")),
    ("ask_code", |stage| keys(stage.open(&busy_rack()), "'zzzz")),
    ("ask_standing", |stage| keys(stage.open(&standing_rack()), "T")),
    ("ask_any_ticket", |stage| entered(keys(entered(keys(stage.open(&busy_rack()), "T")), "47"))),
    ("ask_new_ticket", |stage| keys(entered(keys(stage.open(&busy_rack()), "T")), "2 x for ever")),
    ("ask_approve_many", |stage| keys(entered(keys(stage.open(&waiting_rack(50)), "/r650")), "*a")),
    ("ask_approve_many_changed", |stage| {
        let mut rack = waiting_rack(50);
        let mut model = keys(stage.open(&rack), "*a");
        rack.order(Order::Reject { node: NodeId(1), reason: Text::new("") });
        update(&mut model, Msg::Snapshot(rack.snapshot()));
        model
    }),
    ("ask_reject_many", |stage| keys(stage.open(&waiting_rack(50)), "*x")),
    ("ask_undo_many", |stage| keys(stage.open(&busy_rack()), "*u")),
    ("ask_run_many", |stage| keys(stage.open(&busy_rack()), "*r")),
    ("ask_forget_many", |stage| keys(stage.open(&busy_rack()), "*f")),
    ("engine_thinks", |stage| sent(stage).0),
    ("engine_refuses", |stage| {
        let (mut model, request) = sent(stage);
        let Request::Order { ticket, done, .. } = request else { panic!("an order was expected") };
        let refusal = Refusal::ChangedWhileYouLooked("pve-0709.example.com".parse().unwrap());
        update(&mut model, Msg::Replied { ticket, done, result: Err(OrderError::from(refusal)) });
        model
    }),
    ("engine_refuses_some", |stage| {
        let mut rack = waiting_rack(50);
        let mut model = keys(stage.open(&rack), "*a");
        for n in 1..=9 {
            rack.order(Order::Reject { node: NodeId(n), reason: Text::new("") });
        }
        update(&mut model, Msg::Snapshot(rack.snapshot()));
        let requests = press(&mut model, KeyCode::Char('y'));
        let [Request::Batch { ticket, done, orders }] = &requests[..] else { panic!("{requests:?}") };
        let results = orders.iter().cloned().map(|(name, order)| (name, order.map(|_| Ordered::Done))).collect();
        update(&mut model, Msg::Settled { ticket: *ticket, done, results });
        model
    }),
];

/// A rename that is on its way.
fn sent(stage: &Stage) -> (Model, Request) {
    let mut model = at(stage, &busy_rack(), WAITING);
    press(&mut model, KeyCode::Char('E'));
    update(&mut model, Msg::Key(ctrl('u')));
    let mut model = keys(model, "rack1.lab");
    let mut requests = press(&mut model, KeyCode::Enter);
    (model, requests.remove(0))
}

/// A ticket, a reinstall that was allowed, and a ban.
fn standing_rack() -> Rack {
    let mut rack = busy_rack();
    let wants = Wants { model: Some("PowerEdge R650*".into()), product: None };
    let expires = rack.now + jiff::SignedDuration::from_mins(100);
    rack.order(Order::IssueTicket { count: 5, wants, profile: None, expires });
    let confirm = rack.fleet.node(AGAIN).unwrap().name.clone();
    let seen = rack.stamp(AGAIN);
    rack.order(Order::AllowReinstall { node: AGAIN, seen, confirm });
    rack.order(Order::Ban { node: WAITING, reason: Text::new("not ours") });
    rack
}
