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
