//! What rules and other orders may do while, and after, a person has second thoughts.

use super::window::{NEVER, bench};
use super::*;
use crate::coordinator::Rendered;
use crate::domain::Wants;
use crate::domain::guard::{Grant, Withheld};
use crate::domain::node::Flag;
use crate::domain::policy::Auto;

fn served(asked: Result<Asked, SubmitError>) -> Grant {
    match asked {
        Ok(Asked::Serve(grant)) => grant,
        other => panic!("not served: {other:?}"),
    }
}

impl Bench {
    fn phase(&self, node: NodeId) -> Phase {
        self.started.handle.snapshot().fleet.node(node).unwrap().phase.clone()
    }

    fn has(&self, node: NodeId, is_it: impl Fn(&Flag) -> bool) -> bool {
        self.started.handle.snapshot().fleet.node(node).unwrap().flags.iter().any(is_it)
    }

    async fn ticket(&self, count: u32) {
        let expires = Timestamp::now() + Duration::from_hours(1);
        let order = Order::IssueTicket { count, wants: Wants::default(), profile: None, expires };
        self.order(order).await.unwrap();
    }
}

fn reject(node: NodeId) -> Order {
    Order::Reject { node, reason: "not ours".into() }
}

#[tokio::test]
async fn a_machine_that_is_being_rejected_gets_nothing_until_that_is_taken_back() {
    let bench = bench(NEVER).await;
    let mut held = bench.held(1).await;
    let node = held.node;
    bench.approve(node).await;
    let Verdict::Serve(grant) = (&mut held.wake).await.unwrap() else { panic!("not served") };
    bench.decide(reject(node)).await.unwrap();
    let released = bench.release(1, &grant).await;
    assert!(matches!(released, Rendered::Withheld(_)), "{released:?}");
    let mut again = is_held(bench.ask(1).await);
    assert!(matches!(again.why, Withheld::Undecided(_)), "{:?}", again.why);
    bench.decide(Order::Undo { node }).await.unwrap();
    assert!(matches!((&mut again.wake).await.unwrap(), Verdict::Serve(_)), "it is approved as before");
}

#[tokio::test]
async fn a_ticket_keeps_off_rows_a_person_is_deciding_on() {
    let bench = bench(NEVER).await;
    let (going, staying) = (bench.held(1).await, bench.held(2).await);
    bench.decide(reject(going.node)).await.unwrap();
    bench.decide(bench.approval(staying.node)).await.unwrap();
    bench.ticket(3).await;
    assert_eq!([going.node, staying.node].map(|node| bench.phase(node)), [Phase::Waiting, Phase::Waiting]);
    assert!(matches!(is_held(bench.ask(1).await).why, Withheld::Undecided(_)));
    served(bench.ask(3).await);
}

#[tokio::test]
async fn no_rule_approves_what_a_person_has_taken_back() {
    let bench = bench(NEVER).await;
    let (stored, open) = (bench.held(1).await.node, bench.held(2).await.node);
    bench.approve(stored).await;
    bench.decide(bench.approval(open)).await.unwrap();
    for node in [stored, open] {
        bench.decide(Order::Undo { node }).await.unwrap();
    }
    bench.started.handle.set_policy(Policy { auto: Auto::All, undo_window: NEVER, ..Policy::default() }).await;
    bench.ticket(3).await;
    for (machine, node) in [(1, stored), (2, open)] {
        let again = is_held(bench.ask(machine).await);
        assert!(matches!(again.why, Withheld::Undecided(_)), "{:?}", again.why);
        assert!(bench.has(node, |flag| *flag == Flag::TakenBack));
        bench.approve(node).await;
        served(bench.ask(machine).await);
        assert!(!bench.has(node, |flag| *flag == Flag::TakenBack), "a person has approved it after all");
    }
    served(bench.ask(3).await);
}

#[tokio::test]
async fn what_a_ticket_has_approved_and_a_person_takes_back_stays_so() {
    let bench = bench(NEVER).await;
    bench.ticket(3).await;
    let grant = served(bench.ask(1).await);
    bench.decide(Order::Undo { node: grant.node }).await.unwrap();
    is_held(bench.ask(1).await);
    assert_eq!(bench.phase(grant.node), Phase::Waiting);
}

#[tokio::test]
async fn a_decision_is_not_for_the_machine_that_a_merge_brings() {
    let bench = bench(NEVER).await;
    let (gone, into) = (bench.held(1).await.node, bench.held(2).await.node);
    for node in [gone, into] {
        bench.decide(bench.approval(node)).await.unwrap();
    }
    bench.order(Order::Merge { node: gone, into }).await.unwrap();
    assert!(bench.started.handle.snapshot().undecided.is_empty());
    assert_eq!(bench.phase(into), Phase::Waiting);
    assert!(bench.has(into, |flag| matches!(flag, Flag::CameToNothing { .. })));
}
