//! The undo window, with a real store and the real clock.

use tokio::time::{Instant, timeout};

use super::*;
use crate::domain::guard::{Grant, Verdict};
use crate::domain::node::Flag;
use crate::domain::{
    DocumentHash, NodeId, Order, Ordered, Origin, OwnNetwork, Phase, Policy, Refusal, Release, SecretHash,
};

/// Long enough to act in, short enough to wait for.
const WINDOW: Duration = Duration::from_millis(400);
/// What comes so late was woken by something else.
const LATE: Duration = Duration::from_secs(10);
/// Nobody waits so long for the end of a window.
pub(super) const NEVER: Duration = Duration::from_secs(30);

pub(super) async fn bench(undo_window: Duration) -> Bench {
    let bench = Bench::new().await;
    bench.started.handle.set_policy(Policy { undo_window, ..Policy::default() }).await;
    bench
}

impl Bench {
    pub(super) async fn decide(&self, order: Order) -> Result<Ordered, SubmitError> {
        self.started.handle.order(Origin::Operator("anna".to_owned()), order, false).await
    }

    /// Releases an answer to the machine.
    pub(super) async fn release(&self, machine: u8, grant: &Grant) -> Rendered {
        let release = Release {
            node: grant.node,
            stamp: request(machine).0.stamp,
            name: grant.name.clone(),
            address: None,
            document: DocumentHash::of(b"answer"),
            secret: SecretHash::of(b"secret"),
            vendor_unseen: false,
            granted: (grant.address, grant.nic),
            profile: None,
            left_out: None,
            own: OwnNetwork::default(),
        };
        let (node, hash, text) = (grant.node, release.document, "answer".to_owned());
        let answer = crate::store::RedactedAnswer { node, hash, text };
        self.started.handle.release(release, answer).await.unwrap()
    }

    pub(super) fn approval(&self, node: NodeId) -> Order {
        Order::Approve { node, seen: self.stamp(node) }
    }
}

#[tokio::test]
async fn an_approval_takes_effect_at_its_windows_end() {
    let bench = bench(WINDOW).await;
    let mut held = bench.held(1).await;
    let before = Instant::now();
    let reply = bench.decide(bench.approval(held.node)).await.unwrap();
    assert!(matches!(reply, Ordered::Undecided { .. }), "{reply:?}");
    let snapshot = bench.started.handle.snapshot();
    assert!(snapshot.undecided.contains_key(&held.node), "shown before the reply");
    assert_eq!(snapshot.fleet.node(held.node).unwrap().phase, Phase::Waiting, "nothing is stored");
    let verdict = (&mut held.wake).await.unwrap();
    let late = before.elapsed().checked_sub(WINDOW).expect("not before the window's end");
    assert!(matches!(verdict, Verdict::Serve(_)), "{verdict:?}");
    assert!(late < LATE, "{late:?} late");
    let snapshot = bench.until(|snapshot| snapshot.undecided.is_empty()).await;
    assert_eq!(snapshot.fleet.node(held.node).unwrap().phase, Phase::Approved);
}

#[tokio::test]
async fn what_is_taken_back_never_happened() {
    let bench = bench(WINDOW).await;
    let mut held = bench.held(1).await;
    let mut events = bench.started.events.subscribe();
    bench.decide(bench.approval(held.node)).await.unwrap();
    bench.decide(Order::Undo { node: held.node }).await.unwrap();
    assert!(bench.started.handle.snapshot().undecided.is_empty());
    assert!(timeout(2 * WINDOW, &mut held.wake).await.is_err(), "it waits on");
    assert_eq!(bench.started.handle.snapshot().fleet.node(held.node).unwrap().phase, Phase::Waiting);
    let recorded = loop {
        let recorded = events.recv().await.unwrap();
        if matches!(recorded.event, crate::domain::Event::TakenBack { .. }) {
            break recorded;
        }
    };
    assert_eq!(recorded.origin, Origin::Operator("anna".to_owned()));
    let again = bench.decide(Order::Undo { node: held.node }).await;
    assert!(matches!(again, Err(SubmitError::Refused(Refusal::NothingToUndo(_)))), "{again:?}");
}

#[tokio::test]
async fn an_undo_near_the_end_of_the_hold_sends_the_machine_to_retry() {
    let bench = bench(NEVER).await;
    let mut late = bench.held_for(1, Duration::from_millis(1_500)).await;
    let mut early = bench.held_for(2, Duration::from_secs(10)).await;
    for node in [late.node, early.node] {
        bench.decide(bench.approval(node)).await.unwrap();
        bench.decide(Order::Undo { node }).await.unwrap();
    }
    assert!((&mut late.wake).await.is_err(), "the retry answer is due at once");
    assert!(early.wake.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty), "it waits on");
}

#[tokio::test]
async fn the_last_decision_counts_and_the_first_of_two_alike() {
    let bench = bench(WINDOW).await;
    let mut held = bench.held(1).await;
    let first = bench.decide(bench.approval(held.node)).await.unwrap();
    assert_eq!(bench.decide(bench.approval(held.node)).await.unwrap(), first);
    bench.decide(Order::Reject { node: held.node, reason: "not ours".into() }).await.unwrap();
    assert!(matches!((&mut held.wake).await.unwrap(), Verdict::Refuse(_)));
    let snapshot = bench.until(|snapshot| snapshot.undecided.is_empty()).await;
    assert!(matches!(snapshot.fleet.node(held.node).unwrap().phase, Phase::Rejected { .. }));
}

#[tokio::test]
async fn what_would_be_refused_opens_no_window_and_at_once_means_at_once() {
    let bench = bench(NEVER).await;
    let mut held = bench.held(1).await;
    let mut seen = bench.stamp(held.node);
    seen.peer = [192, 0, 2, 99].into();
    let refused = bench.decide(Order::Approve { node: held.node, seen }).await;
    assert!(matches!(refused, Err(SubmitError::Refused(Refusal::ChangedWhileYouLooked(_)))), "{refused:?}");
    assert!(bench.started.handle.snapshot().undecided.is_empty());
    bench.decide(bench.approval(held.node)).await.unwrap();
    bench.approve(held.node).await;
    assert!(matches!((&mut held.wake).await.unwrap(), Verdict::Serve(_)));
    assert!(bench.until(|snapshot| snapshot.undecided.is_empty()).await.holds.is_empty());
}

#[tokio::test]
async fn a_machine_that_asks_differently_inside_the_window_is_not_approved() {
    let bench = bench(WINDOW).await;
    let held = bench.held(1).await;
    bench.decide(bench.approval(held.node)).await.unwrap();
    let (mut ask, document) = request(1);
    ask.stamp.peer = [192, 0, 2, 77].into();
    let other = bench.ask_with(ask, document).await.unwrap();
    let snapshot = bench.until(|snapshot| snapshot.undecided.is_empty()).await;
    let node = snapshot.fleet.node(held.node).unwrap();
    assert_eq!(node.phase, Phase::Waiting);
    let flags = [Flag::ChangedSinceApproval, Flag::TwoAddresses { other: [192, 0, 2, 1].into() }];
    assert!(flags.iter().all(|flag| node.flags.contains(flag)), "{:?}", node.flags);
    drop((held, other));
}

#[tokio::test]
async fn the_last_of_two_approvals_is_for_the_request_it_was_given_for() {
    let bench = bench(WINDOW).await;
    let held = bench.held(1).await;
    bench.decide(bench.approval(held.node)).await.unwrap();
    let (mut ask, document) = request(1);
    ask.stamp.peer = [192, 0, 2, 77].into();
    let Asked::Held(mut other) = bench.ask_with(ask, document).await.unwrap() else { panic!("not held") };
    // The operator has looked again, and approves what is there now.
    bench.decide(bench.approval(held.node)).await.unwrap();
    assert!(matches!((&mut other.wake).await.unwrap(), Verdict::Serve(_)));
    let reason = |words: &str| Order::Reject { node: NodeId(2), reason: words.into() };
    let mut second = bench.held(2).await;
    bench.decide(reason("not ours")).await.unwrap();
    bench.decide(reason("wrong rack")).await.unwrap();
    let Verdict::Refuse(why) = (&mut second.wake).await.unwrap() else { panic!("not refused") };
    assert!(why.to_string().ends_with("wrong rack"), "{why}");
}

#[tokio::test]
async fn a_decision_at_once_that_is_refused_overtakes_nothing() {
    let bench = bench(WINDOW).await;
    let mut held = bench.held(1).await;
    bench.decide(bench.approval(held.node)).await.unwrap();
    let mut seen = bench.stamp(held.node);
    seen.peer = [192, 0, 2, 99].into();
    let at_once = Order::Approve { node: held.node, seen };
    let refused = bench.started.handle.order(Origin::System, at_once, true).await;
    assert!(matches!(refused, Err(SubmitError::Refused(Refusal::ChangedWhileYouLooked(_)))), "{refused:?}");
    assert!(bench.started.handle.snapshot().undecided.contains_key(&held.node), "what was decided stands");
    assert!(matches!((&mut held.wake).await.unwrap(), Verdict::Serve(_)));
}

#[tokio::test]
async fn a_decision_that_is_refused_at_the_end_of_its_window_says_so() {
    use crate::domain::address::{AddressRules, AddressSource, Pool};
    let bench = Bench::new().await;
    let pool = Pool::new(&["192.0.2.201".parse().unwrap()], &[]);
    let addresses = AddressRules { source: AddressSource::Pool, pool, ..AddressRules::default() };
    let policy = Policy { undo_window: WINDOW, addresses, ..Policy::default() };
    bench.started.handle.set_policy(policy).await;
    let (mut first, second) = (bench.held(1).await, bench.held(2).await);
    for node in [first.node, second.node] {
        bench.decide(bench.approval(node)).await.unwrap();
    }
    assert!(matches!((&mut first.wake).await.unwrap(), Verdict::Serve(_)));
    let snapshot = bench.until(|snapshot| snapshot.undecided.is_empty()).await;
    let flags = &snapshot.fleet.node(second.node).unwrap().flags;
    let told = |flag: &Flag| matches!(flag, Flag::CameToNothing { why, .. } if why.as_str().contains("pool"));
    assert!(flags.iter().any(told), "{flags:?}");
}

#[tokio::test]
async fn what_a_batch_leads_to_is_not_lost_with_the_next_one() {
    let bench = bench(NEVER).await;
    let held = bench.held(1).await;
    let intruder = bench.intruder();
    // The flag that a second address raises is decided in a batch of its own, which cannot be stored.
    let hide = "CREATE TRIGGER no_flags BEFORE INSERT ON events WHEN new.type = 'flagged' \
                BEGIN SELECT RAISE(ABORT, 'disk full'); END";
    intruder.execute_batch(hide).unwrap();
    let (mut ask, document) = request(1);
    ask.stamp.peer = [192, 0, 2, 77].into();
    let other = bench.ask_with(ask, document).await.unwrap();
    bench.until(|snapshot| !snapshot.service.problems.is_empty()).await;
    intruder.execute_batch("DROP TRIGGER no_flags").unwrap();
    let is_told = |flag: &Flag| matches!(flag, Flag::TwoAddresses { .. });
    bench.until(|snapshot| snapshot.fleet.node(NodeId(1)).unwrap().flags.iter().any(is_told)).await;
    drop((held, other));
}

#[tokio::test]
async fn a_crash_inside_the_window_leaves_the_machine_waiting() {
    let bench = bench(NEVER).await;
    let held = bench.held(1).await;
    let node = held.node;
    bench.decide(bench.approval(node)).await.unwrap();
    drop(held);
    let bench = Bench::open(bench.break_off().await).await;
    let snapshot = bench.started.handle.snapshot();
    assert_eq!(snapshot.fleet.node(node).unwrap().phase, Phase::Waiting);
    assert!(snapshot.undecided.is_empty());
}

#[tokio::test]
async fn what_was_decided_stands_where_the_program_ends_in_order() {
    let bench = bench(NEVER).await;
    let (held, other) = (bench.held(1).await, bench.held(2).await);
    let (approved, rejected) = (held.node, other.node);
    bench.decide(bench.approval(approved)).await.unwrap();
    bench.decide(Order::Reject { node: rejected, reason: "not ours".into() }).await.unwrap();
    drop((held, other));
    let bench = Bench::open(bench.stop().await).await;
    let fleet = bench.started.handle.snapshot().fleet.clone();
    assert_eq!(fleet.node(approved).unwrap().phase, Phase::Approved);
    assert!(matches!(fleet.node(rejected).unwrap().phase, Phase::Rejected { .. }));
}

#[tokio::test]
async fn taking_back_can_be_bound_to_what_was_seen() {
    let bench = bench(NEVER).await;
    let held = bench.held(1).await;
    bench.decide(bench.approval(held.node)).await.unwrap();
    let undo = |revision| Order::IfSeen { node: held.node, revision, then: Box::new(Order::Undo { node: held.node }) };
    let revision = bench.started.handle.snapshot().fleet.node(held.node).unwrap().revision;
    let refused = bench.decide(undo(revision + 1)).await;
    assert!(matches!(refused, Err(SubmitError::Refused(Refusal::RowChanged { .. }))), "{refused:?}");
    assert!(bench.started.handle.snapshot().undecided.contains_key(&held.node), "it stands");
    bench.decide(undo(revision)).await.unwrap();
    assert!(bench.started.handle.snapshot().undecided.is_empty());
}

#[tokio::test]
async fn a_decision_that_cannot_be_stored_is_tried_again() {
    let bench = bench(WINDOW).await;
    let mut held = bench.held(1).await;
    bench.decide(bench.approval(held.node)).await.unwrap();
    let intruder = bench.intruder();
    intruder.execute_batch("ALTER TABLE events RENAME TO hidden").unwrap();
    bench.until(|snapshot| !snapshot.service.problems.is_empty()).await;
    intruder.execute_batch("ALTER TABLE hidden RENAME TO events").unwrap();
    assert!(matches!((&mut held.wake).await.unwrap(), Verdict::Serve(_)));
}

#[tokio::test]
async fn ten_thousand_approvals_are_one_moment() {
    const MACHINES: u32 = 10_000;
    let bench = bench(WINDOW).await;
    bench.started.handle.set_service(Service { capacity: 20_000, ..Default::default() }).await;
    let mut held = Vec::new();
    for batch in (0..MACHINES).collect::<Vec<_>>().chunks(500) {
        let asks = batch.iter().map(|machine| bench.held_wide(*machine));
        held.extend(futures_util::future::join_all(asks).await);
    }
    let orders = held.iter().map(|held| bench.decide(bench.approval(held.node)));
    let decided = futures_util::future::join_all(orders).await;
    assert!(decided.iter().all(Result::is_ok));
    let windows_end = Instant::now() + WINDOW;
    for held in &mut held {
        assert!(matches!((&mut held.wake).await.unwrap(), Verdict::Serve(_)));
    }
    let late = windows_end.elapsed();
    assert!(late < LATE, "{late:?}");
}

/// The wall clock is that of the host; only the monotonic one makes time pass here.
#[tokio::test]
async fn the_time_for_repeats_ends_on_the_monotonic_clock() {
    let bench = bench(Duration::ZERO).await;
    let mut held = bench.held(1).await;
    bench.approve(held.node).await;
    let Ok(Verdict::Serve(grant)) = (&mut held.wake).await else { panic!("not served") };
    assert_eq!(bench.release(1, &grant).await, Rendered::Released);
    let answers = |snapshot: &Snapshot| snapshot.fleet.node(held.node).unwrap().answers.clone().unwrap();
    assert!(!answers(&bench.started.handle.snapshot()).repeats_over);
    let policy = Policy { repeat_window: WINDOW, ..Policy::default() };
    bench.started.handle.set_policy(policy).await;
    bench.until(|snapshot| answers(snapshot).repeats_over).await;

    // From here on no clock that is set back lets it through, nor a window that is made longer.
    bench.started.handle.set_policy(Policy::default()).await;
    let again = bench.held(1).await;
    assert!(matches!(again.why, crate::domain::guard::Withheld::AsksAgain { .. }), "{:?}", again.why);
}

#[tokio::test]
async fn the_time_for_repeats_goes_on_over_a_restart() {
    let bench = bench(Duration::ZERO).await;
    let mut held = bench.held(1).await;
    let node = held.node;
    bench.approve(node).await;
    let Ok(Verdict::Serve(grant)) = (&mut held.wake).await else { panic!("not served") };
    bench.release(1, &grant).await;
    drop(held);
    let bench = Bench::open(bench.stop().await).await;
    bench.started.handle.set_policy(Policy { repeat_window: WINDOW, ..Policy::default() }).await;
    bench.until(|snapshot| snapshot.fleet.node(node).unwrap().answers.as_ref().unwrap().repeats_over).await;
}
