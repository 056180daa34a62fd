//! Many rows at once: finding, sorting, marking, and orders to all that are marked.

use super::*;
use crate::tui::listing::Sort;

type Orders = Vec<(String, Result<Order, String>)>;

fn batch_of(requests: &[Request]) -> (Ticket, Orders) {
    match requests {
        [Request::Batch { ticket, orders, .. }] => {
            (*ticket, orders.iter().map(|(name, order)| (name.to_string(), order.clone())).collect())
        }
        other => panic!("one batch was expected: {other:?}"),
    }
}

fn waiting_rack(count: u8) -> Rack {
    let mut rack = Rack::new();
    for n in 1..=count {
        rack.ask(n);
    }
    rack
}

#[test]
fn typing_filters_at_once_and_escape_shows_all_again() {
    let mut model = busy_rack().model(80, 24);
    type_text(&mut model, "/phase:waiting");
    assert_eq!(model.listing.shown(), 2);
    assert_eq!(model.nodes.selected, Some(Row::Node(WAITING)), "what is hidden is not selected");
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Enter);
    assert!(model.modal.is_none() && model.listing.filter.is_on());
    assert_eq!(model.nodes.selected, Some(Row::Node(NodeId(10))));
    press(&mut model, KeyCode::Esc);
    assert_eq!((model.listing.shown(), model.nodes.selected), (12, Some(Row::Node(NodeId(10)))));
    type_text(&mut model, "/nothing like it");
    assert_eq!(model.nodes.selected, None);
    assert!(text_of(&model).contains("No row matches"));
    press(&mut model, KeyCode::Esc);
    assert_eq!(model.listing.shown(), 12);
}

#[test]
fn a_row_that_leaves_the_filter_leaves_no_selection_behind() {
    let mut rack = busy_rack();
    let mut model = rack.model(80, 24);
    type_text(&mut model, "/phase:waiting\n");
    press(&mut model, KeyCode::Enter);
    rack.approve(WAITING);
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert_eq!(model.nodes.selected, None);
    assert!(news(&model).contains("does not match the filter any more"));
}

#[test]
fn sorting_and_grouping_keep_the_selection() {
    let mut model = model_at(Row::Node(READY));
    type_text(&mut model, "sg");
    assert_eq!(model.listing.sort, Sort::State);
    assert_eq!(model.nodes.selected, Some(Row::Node(READY)));
    assert!(text_of(&model).contains("── waiting (2)"));
    press(&mut model, KeyCode::Home);
    assert_eq!(model.nodes.selected, Some(Row::Node(WAITING)), "a heading is passed over");
    assert_eq!(model.nodes.top, 0, "and stays in view");
    type_text(&mut model, "S");
    assert!(model.listing.is_reversed);
}

#[test]
fn all_marked_machines_are_approved_and_what_comes_later_is_not() {
    let mut rack = waiting_rack(50);
    let mut model = rack.model(80, 24);
    type_text(&mut model, "/r650");
    press(&mut model, KeyCode::Enter);
    type_text(&mut model, "*a");
    assert!(matches!(asking(&model), Some(Question::Bulk(_))));
    assert!(text_of(&model).contains("Approve 50 nodes"));
    rack.ask(51);
    rack.order(Order::Reject { node: NodeId(1), reason: Text::new("") });
    rack.submit(&Command::Order(Order::Forget { node: NodeId(2) }));
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert!(text_of(&model).contains("Changed since this opened"));
    let (ticket, orders) = batch_of(&press(&mut model, KeyCode::Char('y')));
    assert_eq!(orders.len(), 50, "the 51st came later");
    let refused: Vec<_> = orders.iter().filter_map(|(_, order)| order.as_ref().err()).collect();
    assert_eq!(refused.len(), 2);
    assert!(refused[0].contains("changed while you looked: it is rejected now") && refused[1].contains("is gone"));
    assert!(matches!(&orders[2].1, Ok(Order::Approve { node: NodeId(3), seen }) if *seen == rack.stamp(NodeId(3))));

    let results =
        orders.into_iter().map(|(name, order)| (name.parse().unwrap(), order.map(|_| Ordered::Done))).collect();
    update(&mut model, Msg::Settled { ticket, done: "approved", results });
    let shown = text_of(&model);
    assert!(shown.contains("48 nodes approved, 2 refused") && shown.contains("changed while you looked"), "{shown}");
    assert_eq!(model.nodes.marks.iter().copied().collect::<Vec<_>>(), [NodeId(1)], "it is still marked");
    press(&mut model, KeyCode::Enter);
    assert!(news(&model).contains("look at the rows"), "{}", news(&model));
    press(&mut model, KeyCode::Esc);
    assert!(model.modal.is_none());
}

#[test]
fn marks_decide_what_the_keys_act_on() {
    let mut model = busy_rack().model(80, 24);
    go_to(&mut model, Row::Node(READY));
    type_text(&mut model, " ");
    go_to(&mut model, Row::Node(WAITING));
    type_text(&mut model, " x");
    let (_, orders) = batch_of(&press(&mut model, KeyCode::Enter));
    let bound = |order: &Order| matches!(order, Order::IfSeen { node: WAITING, then, .. } if matches!(**then, Order::Reject { node: WAITING, .. }));
    assert!(matches!(&orders[..], [(_, Ok(order))] if bound(order)), "bound to what was seen: {orders:?}");
    press(&mut model, KeyCode::Esc);
    // With what else is asked about a run, and with those left out that cannot be run.
    type_text(&mut model, "r");
    let text = text_of(&model);
    assert!(text.contains("only pve-") && text.contains("is not offered: it is waiting"), "{text}");
    assert!(text.contains("/usr/bin/ansible-playbook -i nodes/dynamic-inventory.json"), "{text}");
    let requests = press(&mut model, KeyCode::Enter);
    assert_eq!(order_of(&requests), Order::Run { nodes: vec![READY], options: Box::default() });
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Esc);
    assert!(model.nodes.marks.is_empty());
    assert!(text_of(&model).contains("approve"));
}

#[test]
fn a_run_may_begin_at_any_task_of_the_playbook() {
    let mut rack = busy_rack();
    rack.service.tasks = ["One", "names : Two"].map(Text::new).to_vec();
    let mut model = rack.model(80, 24);
    go_to(&mut model, Row::Node(READY));
    type_text(&mut model, "r");
    for code in [KeyCode::Down; 5] {
        press(&mut model, code);
    }
    press(&mut model, KeyCode::Right);
    press(&mut model, KeyCode::Right);
    assert!(text_of(&model).contains("'--start-at-task=names : Two'"), "{}", text_of(&model));
    let Order::Run { options, .. } = order_of(&press(&mut model, KeyCode::Enter)) else { panic!("no run") };
    assert_eq!(options.start_at.as_deref(), Some("names : Two"));
}

#[test]
fn forgetting_installed_nodes_needs_their_number_typed() {
    let mut model = busy_rack().model(80, 24);
    type_text(&mut model, "*f");
    assert!(press(&mut model, KeyCode::Enter).is_empty());
    type_text(&mut model, "11");
    let (_, orders) = batch_of(&press(&mut model, KeyCode::Enter));
    assert_eq!(orders.len(), 11);
    press(&mut model, KeyCode::Esc);
    type_text(&mut model, "*");
    assert!(model.nodes.marks.is_empty(), "all marks go where all shown are marked");
}

#[test]
fn an_order_none_of_the_marked_can_take_says_so() {
    let mut model = model_at(Row::Node(READY));
    type_text(&mut model, " a");
    assert_eq!(news(&model), "none of the 1 marked nodes can be approved");
}

#[test]
fn the_palette_finds_an_action_and_does_it_on_its_tab() {
    let mut model = model_at(Row::Node(WAITING));
    type_text(&mut model, ":prepare-iso");
    let requests = press(&mut model, KeyCode::Enter);
    assert!(matches!(&requests[..], [Request::Copy(_)]), "{requests:?}");
    assert_eq!(model.tab, Tab::Setup);
    type_text(&mut model, ":change the host");
    press(&mut model, KeyCode::Enter);
    assert!(matches!(asking(&model), Some(Question::Hostname(_))));
    press(&mut model, KeyCode::Esc);
    type_text(&mut model, ":no such thing");
    assert!(press(&mut model, KeyCode::Enter).is_empty());
    assert!(text_of(&model).contains("No action is about that"));
    press(&mut model, KeyCode::Esc);
    assert!(model.modal.is_none());
}

#[test]
fn problems_are_listed_with_their_cures() {
    let mut rack = busy_rack();
    rack.problem("ansible-playbook is not installed", "apt install ansible-core");
    rack.problem("the disk is full", "make room");
    let mut model = rack.model(80, 24);
    assert!(text_of(&model).contains("(+1 more: press !)"));
    type_text(&mut model, "!");
    let shown = text_of(&model);
    assert!(shown.contains("-> make room") && shown.contains("! ansible-playbook"), "{shown}");
    press(&mut model, KeyCode::Esc);
    assert!(model.modal.is_none());
    let mut model = busy_rack().model(80, 24);
    type_text(&mut model, "!");
    assert_eq!(news(&model), "nothing is wrong");
}

#[test]
fn suspending_asks_only_while_machines_would_be_left_alone() {
    let mut idle = Rack::new().model(80, 24);
    assert_eq!(update(&mut idle, Msg::Key(ctrl('z'))), [Request::Suspend]);
    let mut model = busy_rack().model(80, 24);
    assert!(update(&mut model, Msg::Key(ctrl('z'))).is_empty());
    assert!(text_of(&model).contains("Suspend all the same?"));
    assert_eq!(press(&mut model, KeyCode::Char('y')), [Request::Suspend]);
}

#[test]
fn decisions_about_many_say_how_long_they_can_be_taken_back() {
    let rack = busy_rack();
    let mut model = rack.model(80, 24);
    let until = |seconds| rack.now + jiff::SignedDuration::from_secs(seconds);
    let result = |host: &str, seconds| {
        (format!("{host}.example.com").parse().unwrap(), Ok(Ordered::Undecided { until: until(seconds) }))
    };
    let results = vec![result("pve-0709", 4), result("pve-070a", 5)];
    update(&mut model, Msg::Settled { ticket: Ticket(7), done: "approved", results });
    assert_eq!(news(&model), "2 nodes approved; 5 s to take one back with `u`");
}
