//! Tickets, `auto`, and bans.

use std::sync::Arc;

use super::*;
use crate::domain::event::Event;
use crate::domain::guard::Withheld;
use crate::domain::id::{BanId, TicketId};
use crate::domain::node::Flag;
use crate::domain::plan::{PlanKey, PlanMatch};
use crate::domain::policy::Auto;
use crate::domain::ticket::{Closing, Wants};

const HOUR: Duration = Duration::from_hours(1);

fn ticket(rack: &mut Rack, count: u32, model: Option<&str>) -> Result<TicketId, Refusal> {
    let wants = Wants { model: model.map(Text::new), product: None };
    let (expires, profile) = (rack.now + HOUR, Some("compute".parse().unwrap()));
    match rack.order(Order::IssueTicket { count, wants, profile, expires })?.reply {
        Reply::Issued(ticket) => Ok(ticket),
        other => panic!("{other:?}"),
    }
}

fn is_served(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Serve(_))
}

fn closed(rack: &Rack, ticket: TicketId) -> Option<Closing> {
    rack.log.iter().find_map(|recorded| match recorded.event {
        Event::TicketClosed { ticket: closed, why } if closed == ticket => Some(why),
        _ => None,
    })
}

#[test]
fn a_ticket_admits_as_many_as_it_says_and_closes() {
    let mut rack = Rack::new();
    let id = ticket(&mut rack, 1, None).unwrap();
    let (node, verdict) = rack.ask(&box_a());
    assert!(is_served(&verdict), "{verdict:?}");
    assert_eq!(rack.node(node).admission.as_ref().unwrap().profile, Some("compute".parse().unwrap()));
    assert_eq!(closed(&rack, id), Some(Closing::Drained));
    let (_, verdict) = rack.ask(&box_b());
    assert!(!is_served(&verdict), "the ticket is spent");
}

#[test]
fn machines_that_wait_come_first_the_oldest_before_others() {
    let mut rack = Rack::new();
    let (first, _) = rack.ask(&box_a());
    let (second, _) = rack.ask(&box_b());
    ticket(&mut rack, 1, None).unwrap();
    assert_eq!((rack.phase(first), rack.phase(second)), ("approved", "waiting"));
}

#[test]
fn a_ticket_is_for_its_model_and_its_time() {
    let mut rack = Rack::new();
    let mut ask = box_a().ask();
    Arc::make_mut(&mut ask.info).dmi.model = Some("PowerEdge R650xs".into());
    ticket(&mut rack, 1, Some("PowerEdge R7*")).unwrap();
    let late = ticket(&mut rack, 1, Some("poweredge r650*")).unwrap();
    rack.pass(HOUR);
    let asked = |rack: &mut Rack| match rack.submit(&Command::Ask(ask.clone())).unwrap().reply {
        Reply::Asked { verdict, .. } => is_served(&verdict),
        other => panic!("{other:?}"),
    };
    assert!(!asked(&mut rack), "too late");
    rack.tick();
    assert_eq!((closed(&rack, late), rack.fleet.tickets().count()), (Some(Closing::Expired), 0));
    let good = ticket(&mut rack, 1, Some("poweredge r650*")).unwrap();
    assert_eq!(closed(&rack, good), Some(Closing::Drained), "it waited");
    assert!(asked(&mut rack));
}

#[rstest::rstest]
#[case(0, None, 1)]
#[case(10_001, None, 1)]
#[case(1, Some("[x"), 1)]
#[case(1, None, 0)]
#[case(1, None, 24 * 8)]
fn a_ticket_that_makes_no_sense_is_refused(#[case] count: u32, #[case] model: Option<&str>, #[case] hours: u64) {
    let mut rack = Rack::new();
    let wants = Wants { model: model.map(Text::new), product: None };
    let expires = rack.now + Duration::from_hours(hours);
    let refused = rack.order(Order::IssueTicket { count, wants, profile: None, expires }).unwrap_err();
    assert!(matches!(refused, Refusal::BadTicket(_)), "{refused:?}");
}

#[test]
fn no_rule_touches_what_may_be_installed_even_after_its_row_was_dropped() {
    let mut rack = Rack::under(Policy { auto: Auto::All, ..Policy::default() });
    let (node, verdict) = rack.ask(&box_a());
    let Verdict::Serve(grant) = verdict else { panic!("{verdict:?}") };
    assert_eq!(rack.release(&box_a(), &grant, None), Reply::Released);
    rack.report(node, 0);
    rack.pass(HOUR);
    assert!(!is_served(&rack.ask(&box_a()).1));
    rack.order(Order::Forget { node }).unwrap();
    ticket(&mut rack, 5, None).unwrap();
    let (again, verdict) = rack.ask(&box_a());
    assert!(!is_served(&verdict));
    assert!(rack.node(again).flags.iter().any(|flag| matches!(flag, Flag::InstalledBefore { .. })));
    rack.approve(again).unwrap();
    assert!(is_served(&rack.ask(&box_a()).1), "a person may");
}

#[test]
fn auto_planned_wants_two_identifiers_or_a_token() {
    let mut rack = Rack::under(Policy { auto: Auto::Planned, ..Policy::default() });
    let (node, verdict) = rack.ask(&box_a());
    assert!(!is_served(&verdict));
    let vouched = |by: &[PlanKey], against: &[PlanKey]| {
        let plan_match = PlanMatch { by: by.iter().copied().collect(), against: against.iter().copied().collect() };
        Node { plan_match: Some(plan_match), ..rack.node(node).clone() }.is_vouched_for()
    };
    assert!(!vouched(&[PlanKey::Serial], &[]));
    assert!(vouched(&[PlanKey::Serial, PlanKey::Mac], &[]));
    assert!(!vouched(&[PlanKey::Serial, PlanKey::Mac], &[PlanKey::Uuid]));
    let mut ask = box_b().ask();
    ask.token = Some("rack-a".parse().unwrap());
    let reply = rack.submit(&Command::Ask(ask)).unwrap().reply;
    assert!(matches!(reply, Reply::Asked { verdict: Verdict::Serve(_), .. }), "{reply:?}");
}

#[test]
fn a_banned_machine_is_refused_without_a_row_or_an_event() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.order(Order::Ban { node, reason: "not ours".into() }).unwrap();
    assert!(rack.fleet.node(node).is_none());
    let held = rack.fleet.judge(node, &box_a().ask().stamp, rack.now);
    assert!(matches!(held, Some(Verdict::Refuse(_))), "who is held is refused at once");
    let before = rack.log.len();
    for shown in [box_a(), Box1 { uuid: None, ..box_a() }, Box1 { macs: vec![MAC_B], ..box_a() }] {
        let reply = rack.submit(&Command::Ask(shown.ask())).unwrap().reply;
        assert_eq!(reply, Reply::Barred(Withheld::Banned("not ours".to_owned())));
    }
    assert_eq!((rack.log.len(), rack.fleet.node_count()), (before, 0));
    rack.order(Order::LiftBan { ban: BanId(1) }).unwrap();
    let (fresh, verdict) = rack.ask(&box_a());
    assert!(fresh != node && matches!(verdict, Verdict::Hold(Withheld::Undecided(_))));
    let refused = rack.order(Order::LiftBan { ban: BanId(1) }).unwrap_err();
    assert_eq!(refused, Refusal::UnknownBan(BanId(1)));
}

#[test]
fn what_may_be_installed_or_shows_nothing_is_not_banned() {
    let mut rack = Rack::new();
    let used = rack.install(&box_a());
    let (blank, _) = rack.ask(&Box1 { uuid: None, macs: Vec::new(), ..box_b() });
    for node in [used, blank] {
        let refused = rack.order(Order::Ban { node, reason: Text::default() }).unwrap_err();
        assert!(matches!(refused, Refusal::WrongPhase { .. }), "{refused:?}");
    }
}

#[test]
fn a_decision_nobody_has_used_is_taken_back() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    assert_eq!(rack.order(Order::Undo { node }), Err(Refusal::NothingToUndo(rack.node(node).name.clone())));
    rack.approve(node).unwrap();
    rack.order(Order::Undo { node }).unwrap();
    assert_eq!((rack.phase(node), is_served(&rack.ask(&box_a()).1)), ("waiting", false));
    rack.order(Order::Reject { node, reason: Text::default() }).unwrap();
    rack.order(Order::Undo { node }).unwrap();
    assert_eq!(rack.phase(node), "waiting");
    let used = rack.install(&box_b());
    let (seen, confirm) = (rack.stamp(used), rack.node(used).name.clone());
    rack.order(Order::AllowReinstall { node: used, seen, confirm }).unwrap();
    rack.order(Order::Undo { node: used }).unwrap();
    assert_eq!((rack.phase(used), is_served(&rack.ask(&box_b()).1)), ("installed", false));
}
