//! Every key in every scope, and what comes back.

use crossterm::event::KeyCode;
use rstest::rstest;

use super::*;
use crate::client::OrderError;
use crate::domain::command::{Sighting, Verb};
use crate::domain::facts::{Generation, SystemInfo};
use crate::domain::snapshot::Undecided;
use crate::domain::text::Text;
use crate::domain::{Command, Fqdn, NodeId, Ordered, Origin, Refusal, ReportId, RunId, Wants};
use crate::tui::fixture::*;
use crate::tui::model::Row;
use crate::tui::pager::Place;

const WAITING: NodeId = NodeId(9);
const AGAIN: NodeId = NodeId(6);
const READY: NodeId = NodeId(3);

fn model_at(row: Row) -> Model {
    let mut model = busy_rack().model(80, 24);
    go_to(&mut model, row);
    model
}

fn news(model: &Model) -> &str {
    model.notice.as_ref().map_or("", |notice| notice.text.as_str())
}

fn order_of(requests: &[Request]) -> Order {
    match requests {
        [Request::Order { order, .. }] => order.clone(),
        other => panic!("one order was expected: {other:?}"),
    }
}

fn reply(model: &mut Model, request: &Request, result: Result<Ordered, OrderError>) {
    let Request::Order { ticket, done, .. } = request.clone() else { panic!("an order was expected") };
    assert!(update(model, Msg::Replied { ticket, done, result }).is_empty());
}

fn asking(model: &Model) -> Option<&Question> {
    match &model.modal {
        Some(Modal::Ask(Dialog::Asking(question))) => Some(&**question),
        _ => None,
    }
}

#[test]
fn approve_is_immediate_and_bound_to_what_is_on_the_screen() {
    let rack = busy_rack();
    let mut model = rack.model(80, 24);
    go_to(&mut model, Row::Node(WAITING));
    let requests = press(&mut model, KeyCode::Char('a'));
    assert_eq!(order_of(&requests), Order::Approve { node: WAITING, seen: rack.stamp(WAITING) });
    reply(&mut model, &requests[0], Ok(Ordered::Done));
    assert_eq!(news(&model), "approved `pve-0709.example.com`; its answer is on its way");
}

#[test]
fn a_decision_counts_down_and_is_taken_back_with_one_key() {
    let mut rack = busy_rack();
    let until = rack.now + jiff::SignedDuration::from_secs(4);
    let undecided = Undecided { verb: Verb::Approve, origin: Origin::System, until };
    let mut model = model_at(Row::Node(WAITING));
    let requests = press(&mut model, KeyCode::Char('a'));
    reply(&mut model, &requests[0], Ok(Ordered::Undecided { until }));
    assert_eq!(news(&model), "approved `pve-0709.example.com`; 4 s to take it back with `u`");
    rack.undecided.insert(WAITING, undecided);
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert!(screen(&model).backend().to_string().contains("OK 4s (u)"));
    let undo = press(&mut model, KeyCode::Char('u'));
    let then = Box::new(Order::Undo { node: WAITING });
    assert_eq!(order_of(&undo), Order::IfSeen { node: WAITING, revision: 0, then }, "bound to the row on the screen");
    let name = rack.fleet.node(WAITING).unwrap().name.clone();
    reply(&mut model, &undo[0], Err(Refusal::RowChanged { name, phase: "approved" }.into()));
    assert!(news(&model).contains("look again"), "{}", news(&model));
}

#[test]
fn a_claim_code_or_a_scanned_label_leads_to_its_row() {
    let rack = busy_rack();
    let mut model = model_at(Row::Node(READY));
    press(&mut model, KeyCode::Char('\''));
    type_text(&mut model, "zzzz");
    press(&mut model, KeyCode::Enter);
    assert!(text_of(&model).contains("no machine shows `zzzz`"), "{}", text_of(&model));
    let code = crate::domain::guard::ClaimCode::of(WAITING).to_string();
    type_text(&mut model, &code.to_ascii_lowercase());
    assert!(model.modal.is_some(), "a scanner may have more to type: its rest must not become keys");
    assert!(press(&mut model, KeyCode::Enter).is_empty());
    assert_eq!((model.nodes.selected, model.modal.is_none()), (Some(Row::Node(WAITING)), true));
    // A label that begins like a code, and holds letters that are keys.
    type_text(&mut model, "'");
    type_text(&mut model, &format!("{code}axf"));
    press(&mut model, KeyCode::Enter);
    type_text(&mut model, "S2HRNX0J403401");
    assert!(press(&mut model, KeyCode::Enter).is_empty(), "the next label replaces the one that led nowhere");
    assert_eq!((model.nodes.selected, model.modal.is_none()), (Some(Row::Node(NodeId(1))), true));
    drop(rack);
}

#[test]
fn tickets_are_issued_and_taken_back_in_one_panel() {
    let mut rack = busy_rack();
    let mut model = model_at(Row::Node(WAITING));
    press(&mut model, KeyCode::Char('T'));
    assert!(press(&mut model, KeyCode::Enter).is_empty(), "a form opens");
    type_text(&mut model, "2 PowerEdge R650* for 30m as compute");
    let order = order_of(&press(&mut model, KeyCode::Enter));
    let Order::IssueTicket { count: 2, profile, expires, .. } = &order else { panic!("{order:?}") };
    assert_eq!((profile.as_ref().unwrap().as_str(), expires.duration_since(rack.now).as_mins()), ("compute", 30));
    rack.order(Order::IssueTicket {
        count: 5,
        wants: Wants { model: Some("X*".into()), product: None },
        profile: None,
        expires: *expires,
    });
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('T'));
    insta::assert_snapshot!(text_of(&model));
    press(&mut model, KeyCode::Down);
    assert!(matches!(order_of(&press(&mut model, KeyCode::Enter)), Order::CancelTicket { .. }));
}

#[test]
fn a_ban_names_what_the_machine_is_known_by() {
    let mut model = model_at(Row::Node(WAITING));
    press(&mut model, KeyCode::Char('b'));
    assert!(text_of(&model).contains("UUID f68d13f3-472b-4f1a-95a7-120b398a0709"), "{}", text_of(&model));
    type_text(&mut model, "not ours");
    let order = order_of(&press(&mut model, KeyCode::Enter));
    assert_eq!(order.bare(), Order::Ban { node: WAITING, reason: Text::new("not ours") });
}

#[test]
fn a_refusal_is_shown_in_the_engines_words() {
    let mut model = model_at(Row::Node(WAITING));
    let requests = press(&mut model, KeyCode::Char('a'));
    let name = model.node().unwrap().name.clone();
    let refusal = Refusal::ChangedWhileYouLooked(name);
    reply(&mut model, &requests[0], Err(refusal.clone().into()));
    assert_eq!(news(&model), refusal.to_string());
    assert!(model.notice.as_ref().unwrap().is_bad);
}

#[test]
fn a_node_that_asks_again_is_reinstalled_only_after_its_name_is_typed() {
    let rack = busy_rack();
    let mut model = rack.model(80, 24);
    go_to(&mut model, Row::Node(AGAIN));
    let [Request::Preview { node: AGAIN, .. }] = &*press(&mut model, KeyCode::Char('a')) else {
        panic!("what it would touch is asked")
    };
    assert!(matches!(asking(&model), Some(Question::Reinstall(_))));
    type_text(&mut model, "pve-0705.example.com");
    assert!(press(&mut model, KeyCode::Enter).is_empty(), "another node's name does nothing");
    update(&mut model, Msg::Key(ctrl('u')));
    update(&mut model, Msg::Paste("PVE-0706.example.com\n".to_owned()));
    let requests = press(&mut model, KeyCode::Enter);
    let confirm = "pve-0706.example.com".parse().unwrap();
    assert_eq!(order_of(&requests), Order::AllowReinstall { node: AGAIN, seen: rack.stamp(AGAIN), confirm });
    assert!(matches!(model.modal, Some(Modal::Ask(Dialog::Waiting { .. }))));
    reply(&mut model, &requests[0], Ok(Ordered::Done));
    assert!(model.modal.is_none());
    assert_eq!(news(&model), "`pve-0706.example.com` may be installed once more");
}

#[test]
fn a_new_name_is_judged_while_typed_and_a_refusal_leads_back_to_it() {
    let mut model = model_at(Row::Node(WAITING));
    press(&mut model, KeyCode::Char('E'));
    update(&mut model, Msg::Key(ctrl('u')));
    for (typed, problem) in [("rack1", "has no domain"), ("_", "is not allowed")] {
        type_text(&mut model, typed);
        let why = asking(&model).unwrap().wrong(&model).unwrap();
        assert!(why.contains(problem), "{why}");
        assert!(press(&mut model, KeyCode::Enter).is_empty());
    }
    update(&mut model, Msg::Key(ctrl('u')));
    type_text(&mut model, "pve-0701.example.com");
    assert!(asking(&model).unwrap().wrong(&model).unwrap().contains("belongs to `m1`"));
    update(&mut model, Msg::Key(ctrl('u')));
    type_text(&mut model, "Rack1.lab");
    let requests = press(&mut model, KeyCode::Enter);
    let name: Fqdn = "rack1.lab".parse().unwrap();
    assert_eq!(order_of(&requests).bare(), Order::Rename { node: WAITING, name: name.clone() });
    let refusal = Refusal::NameTaken { name, by: NodeId(1) };
    reply(&mut model, &requests[0], Err(refusal.into()));
    assert!(model.modal.as_ref().unwrap().is_refused());
    press(&mut model, KeyCode::Enter);
    assert!(matches!(asking(&model), Some(Question::Hostname(_))), "what was typed is kept");
    press(&mut model, KeyCode::Esc);
    assert!(model.modal.is_none());
}

#[test]
fn a_closed_dialog_gets_its_reply_as_news() {
    let mut model = model_at(Row::Node(WAITING));
    type_text(&mut model, "xno");
    let requests = press(&mut model, KeyCode::Enter);
    let then = Box::new(Order::Reject { node: WAITING, reason: Text::new("no") });
    assert_eq!(order_of(&requests), Order::IfSeen { node: WAITING, revision: 0, then });
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Char('f'));
    reply(&mut model, &requests[0], Err(OrderError::Busy));
    assert!(matches!(asking(&model), Some(Question::Forget(_))), "another dialog is left alone");
    assert!(news(&model).contains("busy"));
}

#[rstest]
#[case(Row::Node(READY), "fy", Order::Forget { node: READY })]
#[case(Row::Node(WAITING), "bno\n", Order::Ban { node: WAITING, reason: Text::new("no") })]
#[case(Row::Node(WAITING), "M\n", Order::Split { node: WAITING, confirm: None })]
#[case(Row::Node(WAITING), "Nj\n", Order::ChooseNic { node: WAITING, mac: "b4:2e:99:ac:09:02".parse().unwrap() })]
#[case(Row::Node(NodeId(5)), "iy", Order::MarkInstalled { node: NodeId(5) })]
#[case(Row::Report(ReportId(1)), "xy", Order::DismissReport { report: ReportId(1) })]
#[case(Row::Report(ReportId(1)), "mj\n", Order::Adopt { report: ReportId(1), node: AGAIN })]
#[case(Row::Node(READY), "r\n", Order::Run { nodes: vec![READY], options: Box::default() })]
#[case(Row::Node(READY), "r \n", Order::Run { nodes: vec![NodeId(1), NodeId(2), READY], options: Box::default() })]
#[case(Row::Node(WAITING), "r\n", Order::Run { nodes: vec![NodeId(1), NodeId(2), READY], options: Box::default() })]
#[case(Row::Node(NodeId(11)), "d198.51.100.7\n", Order::SetAddress { node: NodeId(11), address: [198, 51, 100, 7].into() })]
fn keys_lead_to_orders(#[case] row: Row, #[case] keys: &str, #[case] expected: Order) {
    let mut model = model_at(row);
    let mut requests = Vec::new();
    for c in keys.chars() {
        let code = if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
        requests.extend(press(&mut model, code));
    }
    let order = order_of(&requests);
    // Whatever is about one row is about that row as it was on the screen.
    let is_about_a_row = !matches!(expected, Order::Run { .. } | Order::DismissReport { .. });
    assert_eq!(matches!(order, Order::IfSeen { .. }), is_about_a_row, "{order:?}");
    assert_eq!(order.bare(), expected);
}

#[rstest]
#[case(Row::Node(READY), 'x', "only a machine without an answer can be rejected")]
#[case(Row::Node(READY), 'E', "can be renamed until it installs")]
#[case(Row::Node(READY), 'z', "only machines that wait or are approved swap")]
#[case(Row::Node(READY), '>', "no walk goes on; `w` begins one")]
#[case(Row::Node(READY), '<', "no walk goes on; `w` begins one")]
#[case(Row::Report(ReportId(1)), 'e', "this row is a report without a node")]
#[case(Row::Report(ReportId(1)), 'C', "this row is a report without a node")]
#[case(Row::Node(READY), 'i', "only an approved node without a report")]
#[case(Row::Node(READY), 't', "no host key that waits")]
#[case(Row::Node(READY), 'm', "for reports without a node")]
#[case(Row::Node(READY), 'c', "no run is going on")]
#[case(Row::Node(NodeId(8)), 'a', "is approved already")]
#[case(Row::Node(NodeId(11)), 'a', "has not asked for an answer yet")]
#[case(Row::Report(ReportId(1)), 'a', "this row is a report without a node")]
fn a_key_that_makes_no_sense_says_why(#[case] row: Row, #[case] key: char, #[case] words: &str) {
    let mut model = model_at(row);
    assert!(press(&mut model, KeyCode::Char(key)).is_empty());
    assert!(model.modal.is_none());
    assert!(news(&model).contains(words), "{}", news(&model));
    press(&mut model, KeyCode::Down);
    assert_eq!(news(&model), "", "the next key takes it away");
}

#[test]
fn keys_on_an_empty_table_are_harmless() {
    let mut model = Rack::new().model(80, 24);
    for c in "axertmicdfnjkGgsS*/ ".chars() {
        assert!(press(&mut model, KeyCode::Char(c)).is_empty());
        assert!(model.modal.is_none());
    }
    press(&mut model, KeyCode::Char('a'));
    assert_eq!(news(&model), "there is no machine yet");
}

#[test]
fn a_host_key_is_trusted_by_the_fingerprint_shown() {
    let mut rack = Rack::new();
    let node = rack.ask_as(1, SystemInfo { generation: Generation::V8_2, ..info(1) });
    rack.install(node);
    rack.order(Order::MarkInstalled { node });
    rack.submit(&Command::Probe { node, sighting: Sighting::OtherKey { seen: host_key(7) } });
    let mut model = rack.model(80, 24);
    let requests = type_text(&mut model, "ty");
    assert_eq!(order_of(&requests), Order::TrustHostKey { node, fingerprint: host_key(7).fingerprint() });
}

#[test]
fn cancel_asks_names_the_danger_and_refuses_when_the_run_is_over() {
    let mut rack = busy_rack();
    let run = rack.run(vec![READY]);
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('c'));
    rack.end_run(run, &[]);
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert!(press(&mut model, KeyCode::Char('y')).is_empty());
    assert!(asking(&model).is_some());
    press(&mut model, KeyCode::Char('n'));
    rack.run(vec![READY]);
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert_eq!(order_of(&type_text(&mut model, "cy")), Order::Cancel);
}

#[test]
fn a_vanished_row_leaves_no_selection_behind() {
    let mut rack = busy_rack();
    let mut model = rack.model(80, 24);
    go_to(&mut model, Row::Node(WAITING));
    rack.order(Order::Forget { node: WAITING });
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert_eq!(model.nodes.selected, None);
    assert!(press(&mut model, KeyCode::Char('a')).is_empty(), "no key acts on the row that moved up");
    press(&mut model, KeyCode::Down);
    assert_eq!(model.nodes.selected, Some(Row::Node(NodeId(10))));
}

#[test]
fn the_selection_stays_on_its_row_when_others_come_and_go() {
    let mut rack = busy_rack();
    let mut model = rack.model(80, 24);
    go_to(&mut model, Row::Node(WAITING));
    rack.order(Order::Forget { node: NodeId(1) });
    rack.ask(40);
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert_eq!(model.nodes.selected, Some(Row::Node(WAITING)));
    assert_eq!(model.nodes.index, 7);
}

#[test]
fn the_table_scrolls_with_the_selection_and_survives_a_resize() {
    let mut rack = Rack::new();
    for n in 0..100 {
        rack.ask(n);
    }
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('G'));
    assert_eq!((model.nodes.index, model.nodes.top), (99, 82));
    press(&mut model, KeyCode::PageUp);
    assert_eq!((model.nodes.index, model.nodes.top), (82, 82));
    press(&mut model, KeyCode::Char('k'));
    assert_eq!((model.nodes.index, model.nodes.top), (81, 81));
    for (width, height) in [(60, 16), (250, 70), (10, 3), (80, 24)] {
        update(&mut model, Msg::Resize(width, height));
        let rows = view::table_rows(&model).max(1);
        assert!((model.nodes.top..model.nodes.top + rows).contains(&model.nodes.index));
    }
    assert_eq!(model.nodes.index, 81);
    press(&mut model, KeyCode::Home);
    assert_eq!((model.nodes.index, model.nodes.top), (0, 0));
    press(&mut model, KeyCode::PageDown);
    assert_eq!(model.nodes.index, 17);
}

#[test]
fn next_waiting_goes_round() {
    let mut model = model_at(Row::Node(NodeId(1)));
    let mut seen = Vec::new();
    for _ in 0..4 {
        press(&mut model, KeyCode::Char('n'));
        seen.push(model.nodes.selected);
    }
    let expected = [AGAIN, WAITING, NodeId(10), AGAIN].map(|id| Some(Row::Node(id)));
    assert_eq!(seen, expected);
}

#[test]
fn the_detail_opens_scrolls_walks_and_closes() {
    let mut model = model_at(Row::Node(READY));
    press(&mut model, KeyCode::Enter);
    press(&mut model, KeyCode::Char('j'));
    assert_eq!(model.nodes.detail, Some(1));
    press(&mut model, KeyCode::End);
    let end = model.nodes.detail.unwrap();
    press(&mut model, KeyCode::PageDown);
    assert_eq!(model.nodes.detail, Some(end));
    press(&mut model, KeyCode::Right);
    assert_eq!((model.nodes.selected, model.nodes.detail), (Some(Row::Node(NodeId(4))), Some(0)));
    press(&mut model, KeyCode::Left);
    assert_eq!(model.nodes.selected, Some(Row::Node(READY)));
    press(&mut model, KeyCode::Esc);
    assert_eq!(model.nodes.detail, None);
}

#[rstest]
#[case(KeyCode::Char('2'), Tab::Ansible)]
#[case(KeyCode::Char('3'), Tab::Log)]
#[case(KeyCode::Char('4'), Tab::Setup)]
#[case(KeyCode::Char('1'), Tab::Nodes)]
#[case(KeyCode::Tab, Tab::Ansible)]
#[case(KeyCode::BackTab, Tab::Setup)]
fn tabs_have_keys(#[case] code: KeyCode, #[case] tab: Tab) {
    let mut model = busy_rack().model(80, 24);
    press(&mut model, code);
    assert_eq!(model.tab, tab);
}

#[test]
fn the_output_is_followed_paused_and_chosen() {
    let mut rack = busy_rack();
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('2'));
    assert_eq!(model.pager.run(), Some(RunId(1)));
    rack.run(vec![READY]);
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert_eq!(model.pager.run(), Some(RunId(2)), "a new run is shown by itself");
    let lines: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    let chunk = crate::client::OutputChunk { lines, first: 0, next: 100 };
    update(&mut model, Msg::Output(RunId(2), chunk));
    press(&mut model, KeyCode::PageUp);
    assert!(matches!(model.pager.place, Place::At { .. }));
    press(&mut model, KeyCode::Char(' '));
    assert_eq!(model.pager.place, Place::Follow);
    press(&mut model, KeyCode::Char('g'));
    assert_eq!(model.pager.place, Place::At { line: 0, row: 0 });
    press(&mut model, KeyCode::Char('G'));
    assert_eq!(model.pager.place, Place::Follow);
    press(&mut model, KeyCode::Left);
    assert_eq!(model.pager.run(), Some(RunId(1)));
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert_eq!(model.pager.run(), Some(RunId(1)), "an older run stays where it was chosen");
    press(&mut model, KeyCode::Right);
    assert_eq!(model.pager.run(), Some(RunId(2)));
}

#[test]
fn leaving_asks_only_while_work_is_going_on() {
    let mut idle = Rack::new().model(80, 24);
    assert_eq!(press(&mut idle, KeyCode::Char('q')), [Request::Exit]);
    assert_eq!(update(&mut idle, Msg::Key(ctrl('c'))), [Request::Exit]);
    let mut model = busy_rack().model(80, 24);
    assert!(press(&mut model, KeyCode::Char('q')).is_empty());
    press(&mut model, KeyCode::Char('n'));
    assert!(model.modal.is_none());
    assert_eq!(type_text(&mut model, "qy"), [Request::Exit]);
}

#[test]
fn ctrl_c_leaves_from_anywhere_at_the_second_press() {
    let mut model = model_at(Row::Node(WAITING));
    press(&mut model, KeyCode::Char('e'));
    assert!(update(&mut model, Msg::Key(ctrl('c'))).is_empty());
    assert!(matches!(model.modal, Some(Modal::Quit)));
    assert_eq!(update(&mut model, Msg::Key(ctrl('c'))), [Request::Exit]);
}

#[test]
fn a_paste_approves_nothing() {
    let mut model = model_at(Row::Node(WAITING));
    assert!(update(&mut model, Msg::Paste("aaaa\n".to_owned())).is_empty());
    assert!(model.modal.is_none());
}

#[test]
fn the_command_is_copied_and_the_screen_redrawn() {
    let mut model = Rack::new().model(80, 24);
    press(&mut model, KeyCode::Char('4'));
    let requests = press(&mut model, KeyCode::Char('y'));
    assert!(matches!(&requests[..], [Request::Copy(text)] if text.starts_with("proxmox-auto-install-assistant ")));
    assert_eq!(update(&mut model, Msg::Key(ctrl('l'))), [Request::Redraw]);
}

#[test]
fn news_goes_by_itself_after_a_while() {
    let mut model = Rack::new().model(80, 24);
    model.tell("news");
    let now = model.now;
    update(&mut model, Msg::Tick(now + jiff::SignedDuration::from_secs(9)));
    assert_eq!(news(&model), "news");
    update(&mut model, Msg::Tick(now + jiff::SignedDuration::from_secs(10)));
    assert_eq!(news(&model), "");
}

#[test]
fn help_scrolls_and_closes_and_keys_below_it_do_nothing() {
    let mut model = model_at(Row::Node(WAITING));
    press(&mut model, KeyCode::Char('?'));
    press(&mut model, KeyCode::End);
    assert!(matches!(model.modal, Some(Modal::Help { top, .. }) if top > 50));
    assert!(press(&mut model, KeyCode::Char('a')).is_empty(), "typing searches and orders nothing");
    assert!(text_of(&model).contains("let the machine be installed"));
    type_text(&mut model, "bcdefg");
    assert!(text_of(&model).contains("No key is about that."));
    press(&mut model, KeyCode::Esc);
    assert!(model.modal.is_none());
}

#[test]
fn a_release_event_is_no_key_press() {
    let mut model = model_at(Row::Node(WAITING));
    let mut event = key(KeyCode::Char('a'));
    event.kind = KeyEventKind::Release;
    assert!(update(&mut model, Msg::Key(event)).is_empty());
}

/// Every binding can be pressed in its scope without harm, whatever is selected.
#[test]
fn every_binding_can_be_pressed_on_every_row() {
    let rack = busy_rack();
    let rows: Vec<_> = {
        let model = rack.model(80, 24);
        (0..model.listing.items().len()).filter_map(|line| model.listing.row(line)).collect()
    };
    for row in rows {
        for binding in keymap::BINDINGS {
            let mut model = rack.model(80, 24);
            go_to(&mut model, row);
            act(&mut model, binding.scope, binding.action);
            text_of(&model);
        }
    }
}

#[path = "update/tests/deciding.rs"]
mod deciding;
#[path = "update/tests/many.rs"]
mod many;
#[path = "update/tests/reading.rs"]
mod reading;
#[path = "update/tests/setup.rs"]
mod setup;
