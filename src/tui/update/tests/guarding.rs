//! What nobody meant: orders, keys and words that are not about what is on the screen.

use super::*;

/// A ticket without a model wipes whatever asks next.
#[rstest]
#[case("47")]
#[case("47 *")]
#[case("47 for 30m")]
fn a_ticket_that_any_machine_fits_asks_once_more(#[case] line: &str) {
    let mut model = model_at(Row::Node(WAITING));
    press(&mut model, KeyCode::Char('T'));
    press(&mut model, KeyCode::Enter);
    type_text(&mut model, line);
    assert!(press(&mut model, KeyCode::Enter).is_empty());
    let shown = text_of(&model);
    assert!(shown.contains("Ticket of any machine") && shown.contains("2 of them wait now"), "{shown}");
    assert!(press(&mut model, KeyCode::Enter).is_empty(), "a scanner's Enter is no yes");
    let order = order_of(&press(&mut model, KeyCode::Char('y')));
    assert!(matches!(order, Order::IssueTicket { count: 47, .. }), "{order:?}");
}

#[test]
fn a_reinstall_is_taken_back_as_it_was_seen() {
    let mut rack = busy_rack();
    let confirm = rack.fleet.node(AGAIN).unwrap().name.clone();
    let seen = rack.stamp(AGAIN);
    rack.order(Order::AllowReinstall { node: AGAIN, seen, confirm });
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('T'));
    press(&mut model, KeyCode::Down);
    let order = order_of(&press(&mut model, KeyCode::Enter));
    assert!(
        matches!(&order, Order::IfSeen { node: AGAIN, then, .. } if **then == Order::Undo { node: AGAIN }),
        "{order:?}"
    );
    rack.order(Order::Undo { node: AGAIN });
    assert!(rack.fleet.decide(&Command::Order(order), rack.now).is_err());
}

#[test]
fn what_became_of_an_own_order_is_not_covered_by_the_row_it_took() {
    let mut rack = busy_rack();
    let mut model = rack.model(80, 24);
    go_to(&mut model, Row::Node(WAITING));
    press(&mut model, KeyCode::Char('f'));
    let requests = press(&mut model, KeyCode::Char('y'));
    rack.order(order_of(&requests).bare());
    reply(&mut model, &requests[0], Ok(Ordered::Done));
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert_eq!((news(&model), model.nodes.selected), ("forgot `pve-0709.example.com`", None));
    // What others do is said.
    go_to(&mut model, Row::Node(READY));
    rack.order(Order::Forget { node: READY });
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert!(news(&model).starts_with("the selected row is gone"), "{}", news(&model));
}

#[test]
fn escape_fills_an_empty_table_and_keeps_the_marks() {
    let mut model = model_at(Row::Node(WAITING));
    type_text(&mut model, "  /nothing like it");
    press(&mut model, KeyCode::Enter);
    assert!(text_of(&model).contains("Esc shows all 12 rows"), "{}", text_of(&model));
    press(&mut model, KeyCode::Char('*'));
    assert!(news(&model).starts_with("no node is shown"), "{}", news(&model));
    press(&mut model, KeyCode::Esc);
    assert_eq!((model.listing.shown(), model.nodes.marks.len()), (12, 2));
    assert!(text_of(&model).contains("2 marked: `a x u r f C z` act on all, other keys on this row; Esc unmarks."));
    press(&mut model, KeyCode::Enter);
    assert!(!text_of(&model).contains("Esc unmarks"), "it closes the detail");
    (0..2).for_each(|_| drop(press(&mut model, KeyCode::Esc)));
    assert!(model.nodes.marks.is_empty());
}

#[test]
fn a_countdown_and_marks_come_before_the_end_of_a_walk() {
    let rack = walking_rack();
    let mut model = rack.model(80, 24);
    assert!(text_of(&model).contains("Esc stop"), "{}", text_of(&model));
    press(&mut model, KeyCode::Char(' '));
    assert!(text_of(&model).contains("w stop") && !text_of(&model).contains("Esc stop"), "{}", text_of(&model));
}

#[test]
fn news_is_read_above_a_line_that_is_typed() {
    let mut model = model_at(Row::Node(WAITING));
    let requests = press(&mut model, KeyCode::Char('a'));
    press(&mut model, KeyCode::Char('/'));
    reply(&mut model, &requests[0], Err(OrderError::Busy));
    for typed in ["p", "v"] {
        type_text(&mut model, typed);
        assert!(text_of(&model).contains("busy") && text_of(&model).contains("filter: "), "{}", text_of(&model));
    }
    update(&mut model, Msg::Paste("x".repeat(300)));
    assert!(text_of(&model).contains("not pasted"), "{}", text_of(&model));
    press(&mut model, KeyCode::Esc);
    assert_eq!(news(&model), "");
}

#[test]
fn the_marked_action_stays_under_the_mark() {
    let mut rack = Rack::new();
    let away = rack.ask(1);
    rack.order(Order::Reject { node: away, reason: Text::new("") });
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char(':'));
    let marked = |model: &Model| match &model.modal {
        Some(Modal::Palette { found, marked, .. }) => found[*marked].help,
        other => panic!("{other:?}"),
    };
    (0..3).for_each(|_| drop(press(&mut model, KeyCode::Down)));
    let before = marked(&model);
    rack.order(Order::Undo { node: away });
    rack.ask(2);
    rack.ready(3);
    update(&mut model, Msg::Snapshot(rack.snapshot()));
    assert_eq!(marked(&model), before);
    let mut model = busy_rack().model(80, 24);
    for (typed, why) in
        [("the next line that", "nothing is searched for"), ("the whole result of the", "hosts and tasks")]
    {
        press(&mut model, KeyCode::Char(':'));
        type_text(&mut model, typed);
        assert!(press(&mut model, KeyCode::Enter).is_empty());
        assert!(model.modal.is_none() && news(&model).contains(why), "{typed}: {}", news(&model));
        assert_eq!(model.runs.level, Level::Output);
    }
}

#[test]
fn a_new_size_does_not_lead_back_to_the_selection() {
    let mut rack = Rack::new();
    for n in 0..100 {
        rack.ask(n);
    }
    let mut model = rack.model(80, 24);
    model.nodes.top = 60;
    update(&mut model, Msg::Resize(100, 30));
    assert_eq!((model.nodes.index, model.nodes.top), (0, 60));
}

/// Boards without a UUID of their own: the flag stays for all their life.
#[test]
fn a_slight_flag_hides_nothing_that_matters() {
    let mut rack = Rack::new();
    let odd = |n: u8| {
        let mut info = info(n);
        info.dmi.uuid = Some(Text::new("00000000-0000-0000-0000-000000000000"));
        info
    };
    let [waits, installs, fails] = [1, 2, 3].map(|n| rack.ask_as(n, odd(n)));
    rack.install(fails);
    rack.pass(90_000);
    rack.submit(&Command::Tick);
    rack.install(installs);
    let shown = |rack: &Rack, node| {
        let mut model = rack.model(80, 24);
        go_to(&mut model, Row::Node(node));
        text_of(&model)
    };
    let first = shown(&rack, waits);
    assert!(first.contains("compare code") || first.contains("approves it beforehand"), "{first}");
    let second = shown(&rack, installs);
    let row = second.lines().find(|line| line.contains("installing ")).unwrap();
    assert!(row.contains("00:00 !"), "{second}");
    let last = shown(&rack, fails);
    assert!(rack.fleet.node(fails).unwrap().phase.word() == "stalled" && last.contains("no report"), "{last}");
    let undecided =
        Undecided { verb: Verb::Approve, origin: Origin::System, until: rack.now + jiff::SignedDuration::from_secs(4) };
    rack.undecided.insert(waits, undecided);
    assert!(shown(&rack, waits).contains("in 4 s; `u` takes it back"), "{}", shown(&rack, waits));
}
