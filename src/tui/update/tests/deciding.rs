//! Walking, swapping, editing, profiles and the view from afar.

use super::*;
use crate::domain::{Changes, ProfileChoice, ProfileWish, WalkWish};

fn fqdn(host: &str) -> Fqdn {
    format!("{host}.example.com").parse().unwrap()
}

fn walk(wish: WalkWish) -> Order {
    Order::Walk { wish }
}

/// The machine that came first in the walk.
const FIRST: NodeId = NodeId(3);
/// The one that came second.
const SECOND: NodeId = NodeId(2);

#[test]
fn a_walk_is_begun_skipped_taken_back_and_stopped() {
    let mut rack = Rack::new();
    rack.plan(&[("R7", "2", "pve-02"), ("R7", "1", "pve-01")]);
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('w'));
    let shown = text_of(&model);
    assert!(shown.contains("2 slots: pve-01 in R7/1, pve-02 in R7/2"), "{shown}");
    let order = order_of(&press(&mut model, KeyCode::Char('y')));
    assert_eq!(order, walk(WalkWish::Start { first: None }));
    rack.order(order);
    let mut model = rack.model(80, 24);
    assert!(text_of(&model).contains("WALK next: pve-01 in R7/1"), "{}", text_of(&model));
    assert!(press(&mut model, KeyCode::Char('<')).is_empty());
    assert_eq!(news(&model), "the walk has not taken a step yet");

    let skip = order_of(&press(&mut model, KeyCode::Char('>')));
    assert_eq!(skip, walk(WalkWish::Skip { slot: fqdn("pve-01") }));
    rack.order(skip);
    let asked = rack.ask(1);
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert!(news(&model).starts_with("a machine took pve-02 in R7/2, code "), "{}", news(&model));
    assert!(text_of(&model).contains("WALK no slot is left"), "{}", text_of(&model));
    assert!(press(&mut model, KeyCode::Char('>')).is_empty());
    let back = order_of(&press(&mut model, KeyCode::Char('<')));
    assert_eq!(back, walk(WalkWish::Back { slot: fqdn("pve-02") }));
    rack.order(back);
    assert_ne!(rack.fleet.node(asked).unwrap().name, fqdn("pve-02"));

    update(&mut model, Msg::Snapshot(rack.snapshot()));
    press(&mut model, KeyCode::Esc);
    assert!(matches!(asking(&model), Some(Question::StopWalk(_))), "Esc asks before it stops a walk");
    assert_eq!(order_of(&press(&mut model, KeyCode::Char('y'))), walk(WalkWish::Stop));
}

#[test]
fn one_key_lists_what_can_be_done_about_a_walk() {
    let mut model = walking_rack().model(80, 24);
    for (downs, expected) in [
        (0, WalkWish::Skip { slot: fqdn("pve-05") }),
        (1, WalkWish::Back { slot: fqdn("pve-03") }),
        (2, WalkWish::Stop),
    ] {
        press(&mut model, KeyCode::Char('w'));
        (0..downs).for_each(|_| drop(press(&mut model, KeyCode::Down)));
        assert_eq!(order_of(&press(&mut model, KeyCode::Enter)), walk(expected));
        press(&mut model, KeyCode::Esc);
    }
}

#[test]
fn without_a_plan_the_first_name_is_asked_for() {
    let mut rack = Rack::new();
    let node = rack.ask(1);
    rack.order(Order::Rename { node, name: fqdn("pve-01") });
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('w'));
    assert!(text_of(&model).contains("pve-02, pve-03, pve-04"), "the next free one: {}", text_of(&model));
    update(&mut model, Msg::Key(ctrl('u')));
    type_text(&mut model, "rack.example.com");
    assert!(press(&mut model, KeyCode::Enter).is_empty());
    assert!(text_of(&model).contains("has no number in its first part"), "{}", text_of(&model));
    update(&mut model, Msg::Key(ctrl('u')));
    type_text(&mut model, "r9-01.example.com");
    let order = order_of(&press(&mut model, KeyCode::Enter));
    assert_eq!(order, walk(WalkWish::Start { first: Some(fqdn("r9-01")) }));
}

#[test]
fn who_has_a_row_of_its_own_is_announced_as_that() {
    let mut rack = Rack::new();
    let uuid = info(1).dmi.uuid.unwrap().as_str().parse().ok();
    let entry = crate::domain::PlanEntry { uuid, ..crate::domain::PlanEntry::new(fqdn("db")) };
    let other = crate::domain::PlanEntry::new(fqdn("aa"));
    rack.submit(&Command::Plan { entries: [entry, other].map(Arc::new).to_vec() });
    rack.order(walk(WalkWish::Start { first: None }));
    let mut model = rack.model(80, 24);
    rack.ask(1);
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert_eq!(news(&model), "a machine has its own row by what it shows, not the next slot: db");
    assert!(text_of(&model).contains("WALK next: aa"));
}

#[test]
fn two_marked_machines_swap_or_the_other_is_chosen() {
    let rack = walking_rack();
    let mut model = rack.model(80, 24);
    for node in [FIRST, SECOND] {
        go_to(&mut model, Row::Node(node));
        press(&mut model, KeyCode::Char(' '));
    }
    press(&mut model, KeyCode::Char('z'));
    let shown = text_of(&model);
    assert!(shown.contains("becomes pve-01") && shown.contains("becomes pve-03"), "{shown}");
    let order = order_of(&press(&mut model, KeyCode::Char('y')));
    let both = |order: &Order| matches!(order, Order::IfSeen { then, .. } if matches!(**then, Order::IfSeen { .. }));
    assert!(both(&order), "bound to both rows: {order:?}");
    assert_eq!(order.bare(), Order::Swap { node: SECOND, other: FIRST });

    let mut model = rack.model(80, 24);
    go_to(&mut model, Row::Node(FIRST));
    press(&mut model, KeyCode::Char('z'));
    assert_eq!(order_of(&press(&mut model, KeyCode::Enter)).bare(), Order::Swap { node: FIRST, other: SECOND });
    // With three marked nobody knows which two are meant.
    let mut rack = walking_rack();
    rack.ask(4);
    let mut model = rack.model(80, 24);
    type_text(&mut model, "/phase:waiting");
    press(&mut model, KeyCode::Enter);
    type_text(&mut model, "*z");
    assert!(news(&model).contains("mark the two that change places; 3 are marked"), "{}", news(&model));
}

#[test]
fn an_edit_is_judged_line_by_line_and_sent_as_one() {
    let mut rack = walking_rack();
    let mut model = rack.model(80, 24);
    go_to(&mut model, Row::Node(FIRST));
    press(&mut model, KeyCode::Char('e'));
    let why = |model: &Model| asking(model).unwrap().wrong(model).unwrap();
    assert_eq!(why(&model), "nothing is different yet");
    assert!(press(&mut model, KeyCode::Enter).is_empty());
    for (typed, problem) in [("pve-03.example.com", "belongs to `m2`"), ("x", "has no domain")] {
        update(&mut model, Msg::Key(ctrl('u')));
        type_text(&mut model, typed);
        assert!(why(&model).contains(problem), "{}", why(&model));
    }
    update(&mut model, Msg::Key(ctrl('u')));
    type_text(&mut model, "db-1.example.com");
    press(&mut model, KeyCode::Tab);
    type_text(&mut model, "0.0.0.0");
    assert!(why(&model).contains("cannot be a node's address"), "{}", why(&model));
    update(&mut model, Msg::Key(ctrl('u')));
    type_text(&mut model, "192.0.2.77");
    press(&mut model, KeyCode::Tab);
    press(&mut model, KeyCode::Right);
    press(&mut model, KeyCode::Right);
    press(&mut model, KeyCode::Tab);
    press(&mut model, KeyCode::Right);
    press(&mut model, KeyCode::Tab);
    type_text(&mut model, "PSU 2 is dark");
    let order = order_of(&press(&mut model, KeyCode::Enter));
    let Order::IfSeen { node: FIRST, then, .. } = &order else { panic!("{order:?}") };
    let Order::Edit { changes, .. } = &**then else { panic!("{then:?}") };
    let nic = info(1).links[0].mac;
    let expected = Changes {
        name: Some(fqdn("db-1")),
        address: Some([192, 0, 2, 77].into()),
        profile: Some(ProfileWish::Named("compute".parse().unwrap())),
        nic: Some(nic),
        note: Some(Text::new("PSU 2 is dark")),
    };
    assert_eq!(**changes, expected);
    rack.order(order);

    let mut model = rack.model(80, 24);
    go_to(&mut model, Row::Node(FIRST));
    assert!(text_of(&model).contains(" #"), "the table tells of a note");
    press(&mut model, KeyCode::Enter);
    assert!(text_of(&model).contains("PSU 2 is dark"));
    type_text(&mut model, "/note:psu");
    assert_eq!(model.listing.shown(), 1);
}

#[test]
fn a_row_that_changed_under_a_form_is_not_edited() {
    let mut rack = walking_rack();
    let mut model = rack.model(80, 24);
    go_to(&mut model, Row::Node(FIRST));
    type_text(&mut model, "e");
    (0..4).for_each(|_| drop(press(&mut model, KeyCode::Tab)));
    type_text(&mut model, "x");
    rack.order(Order::Swap { node: FIRST, other: SECOND });
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert!(press(&mut model, KeyCode::Enter).is_empty());
    assert!(text_of(&model).contains("changed while you looked"), "{}", text_of(&model));
}

#[test]
fn marked_nodes_get_a_profile_together() {
    let mut model = walking_rack().model(80, 24);
    type_text(&mut model, "/phase:waiting");
    press(&mut model, KeyCode::Enter);
    type_text(&mut model, "*C");
    let shown = text_of(&model);
    for words in ["Profile of 2 nodes", "the one that fits it", "none", "compute", "storage"] {
        assert!(shown.contains(words), "`{words}` is missing in\n{shown}");
    }
    (0..3).for_each(|_| drop(press(&mut model, KeyCode::Down)));
    let requests = press(&mut model, KeyCode::Enter);
    let [Request::Batch { orders, done: "given their profile", .. }] = &requests[..] else { panic!("{requests:?}") };
    let storage = Some(ProfileChoice::Named("storage".parse().unwrap()));
    for (_, order) in orders {
        let order = order.clone().unwrap();
        assert!(matches!(&order, Order::IfSeen { .. }));
        assert!(matches!(order.bare(), Order::ChooseProfile { profile, .. } if profile == storage));
    }
    // Without marks it is about the selected row.
    let mut model = walking_rack().model(80, 24);
    go_to(&mut model, Row::Node(SECOND));
    type_text(&mut model, "C");
    let title = format!("Profile of {}", model.node().unwrap().name);
    assert!(text_of(&model).contains(&title));
}

#[test]
fn rows_are_grouped_by_profile_and_rack() {
    let mut rack = walking_rack();
    let profile = Some(ProfileChoice::Named("storage".parse().unwrap()));
    rack.order(Order::ChooseProfile { node: FIRST, profile });
    rack.order(walk(WalkWish::Stop));
    rack.ask(4);
    let mut model = rack.model(80, 24);
    type_text(&mut model, "gg");
    let shown = text_of(&model);
    assert!(shown.contains("── profile storage (1)") && shown.contains("── the profile that fits (6)"), "{shown}");
    type_text(&mut model, "g");
    let shown = text_of(&model);
    let places = ["rack R7 (4)", "rack R12 (2)", "no rack in the plan (1)"].map(|words| shown.find(words).unwrap());
    assert!(places.is_sorted(), "racks are in the order of their numbers: {shown}");
}

#[test]
fn the_view_from_afar_is_left_again_and_takes_no_decision() {
    let mut model = walking_rack().model(80, 24);
    press(&mut model, KeyCode::Char('B'));
    assert!(matches!(model.modal, Some(Modal::Big { .. })));
    for key in ['a', 'x', 'r', '>', 'w'] {
        assert!(press(&mut model, KeyCode::Char(key)).is_empty());
    }
    press(&mut model, KeyCode::Down);
    assert!(text_of(&model).contains("more below") || text_of(&model).contains("Esc closes"));
    press(&mut model, KeyCode::Char('B'));
    assert!(model.modal.is_none());
}

#[test]
fn a_forgotten_row_is_bound_to_what_was_seen() {
    let mut rack = walking_rack();
    let mut model = rack.model(80, 24);
    go_to(&mut model, Row::Node(FIRST));
    press(&mut model, KeyCode::Char('f'));
    let order = order_of(&press(&mut model, KeyCode::Char('y')));
    rack.approve(FIRST);
    let refusal = rack.fleet.decide(&Command::Order(order), rack.now).unwrap_err();
    assert!(refusal.to_string().contains("changed while you looked: it is approved now"), "{refusal}");
}

#[test]
fn a_choice_of_profile_begins_at_what_it_is_now() {
    let mut rack = walking_rack();
    let storage = Some(ProfileChoice::Named("storage".parse().unwrap()));
    rack.order(Order::ChooseProfile { node: FIRST, profile: storage.clone() });
    let mut model = rack.model(80, 24);
    go_to(&mut model, Row::Node(FIRST));
    press(&mut model, KeyCode::Char('C'));
    let requests = press(&mut model, KeyCode::Enter);
    let [Request::Batch { orders, .. }] = &requests[..] else { panic!("{requests:?}") };
    assert!(matches!(orders[0].1.clone().unwrap().bare(), Order::ChooseProfile { profile, .. } if profile == storage));
    // Several that differ keep theirs, until somebody chooses.
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('*'));
    press(&mut model, KeyCode::Char('C'));
    assert!(press(&mut model, KeyCode::Enter).is_empty());
    assert!(text_of(&model).contains("> each the one it has"), "{}", text_of(&model));
    press(&mut model, KeyCode::Down);
    assert_eq!(press(&mut model, KeyCode::Enter).len(), 1);
}
