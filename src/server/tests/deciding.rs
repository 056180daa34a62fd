//! Undo windows, what a hold ends in, and two machines with one identity, over real sockets.

use tokio::time::Instant;

use super::*;
use crate::domain::node::Flag;
use crate::domain::policy::WhenUnapproved;
use crate::domain::{Event, Phase};

const WINDOW: Duration = Duration::from_millis(300);

async fn bench(hold: Duration, policy: Policy) -> Bench {
    let bench = Bench::new(Setup { hold, ..Setup::default() }).await;
    bench.handle.set_policy(policy).await;
    bench
}

fn windowed() -> Policy {
    Policy { undo_window: WINDOW, ..Policy::default() }
}

impl Bench {
    /// Decides as a console does: with an undo window.
    async fn decide(&self, order: Order) -> Ordered {
        self.handle.order(Origin::Operator("anna".to_owned()), order, false).await.unwrap()
    }

    async fn approve_undoably(&self, node: NodeId) -> Ordered {
        let seen = self.handle.snapshot().fleet.node(node).unwrap().request.as_ref().unwrap().stamp.clone();
        self.decide(Order::Approve { node, seen }).await
    }
}

#[tokio::test]
async fn the_answer_leaves_at_the_windows_end() {
    let bench = bench(Duration::from_secs(45), windowed()).await;
    let machine = bench.post_answer(7).await;
    let node = only(&*bench.until_held(1).await);
    let decided = Instant::now();
    bench.approve_undoably(node.id).await;
    machine.await.unwrap().answer();
    let late = decided.elapsed().checked_sub(WINDOW).expect("no answer inside the window");
    assert!(late < Duration::from_secs(10), "{late:?} after the window's end: something else woke it");
    bench.end().await;
}

#[tokio::test]
async fn a_late_decision_keeps_the_request_open_beyond_its_hold() {
    let hold = Duration::from_millis(400);
    let bench = bench(hold, Policy { undo_window: 2 * hold, ..Policy::default() }).await;
    let asked = Instant::now();
    let machine = bench.post_answer(7).await;
    let node = only(&*bench.until_held(1).await);
    bench.approve_undoably(node.id).await;
    machine.await.unwrap().answer();
    assert!(asked.elapsed() > 2 * hold);
    bench.end().await;
}

#[tokio::test]
async fn a_decision_taken_back_after_the_hold_sends_the_retry_answer_at_once() {
    let hold = Duration::from_millis(200);
    let bench = bench(hold, Policy { undo_window: Duration::from_secs(30), ..Policy::default() }).await;
    let machine = bench.post_answer(7).await;
    let node = only(&*bench.until_held(1).await);
    bench.approve_undoably(node.id).await;
    tokio::time::sleep(2 * hold).await;
    assert!(!machine.is_finished(), "it stays open while the decision can be taken back");
    bench.decide(Order::Undo { node: node.id }).await;
    assert!(machine.await.unwrap().screen().starts_with("CODE "));
    assert_eq!(only(&bench.handle.snapshot()).phase, Phase::Waiting);
    bench.end().await;
}

#[test]
fn no_decision_keeps_a_request_open_beyond_52_seconds() {
    let accepted = Instant::now();
    let [hold, window] = [50, 30].map(Duration::from_secs);
    let end = answer::extended(accepted + hold, accepted, window);
    assert_eq!(end - accepted, Duration::from_secs(52));
}

#[tokio::test]
async fn unapproved_machines_can_be_refused_with_the_same_words() {
    let policy = Policy { when_unapproved: WhenUnapproved::Refuse, ..Policy::default() };
    let bench = bench(Duration::from_millis(50), policy).await;
    let mut events = bench.started.events.subscribe();
    let reply = bench.send(2, &post("/answer", &body_of(2))).await;
    let code = crate::domain::guard::ClaimCode::of(only(&bench.handle.snapshot()).id);
    assert_eq!((reply.status, reply.body), (403, format!("CODE {code} - approve in console\n")));
    let told = async { while !matches!(events.recv().await.unwrap().event, Event::RefusalServed { .. }) {} };
    timeout(PATIENCE, told).await.unwrap();
    bench.end().await;
}

fn with_two_nics(machine: u8) -> String {
    body_of(machine).replace("}]", r#"},{"link":"eno2","mac":"02:00:5E:00:00:99"}]"#)
}

/// What ends a hold without anybody having waited in vain.
#[derive(Clone, Copy, Debug)]
enum End {
    /// A second request of the same machine.
    Replaced,
    /// Others take all places.
    PushedOut,
    Forgotten,
    Merged,
    /// The last moment of an approval's window.
    TakenBack,
    /// The time is over, and an approval is about to take effect.
    Undecided,
    /// The time is over, it is approved, and something else is missing.
    Obstructed,
}

#[rstest::rstest]
#[case(End::Replaced)]
#[case(End::PushedOut)]
#[case(End::Forgotten)]
#[case(End::Merged)]
#[case(End::TakenBack)]
#[case(End::Undecided)]
#[case(End::Obstructed)]
#[tokio::test]
async fn only_who_has_waited_in_vain_is_refused(#[case] end: End) {
    let is_brief = matches!(end, End::TakenBack | End::Undecided | End::Obstructed);
    let hold = if is_brief { Duration::from_millis(700) } else { Duration::from_secs(45) };
    let undo_window = Duration::from_secs(30);
    let policy = Policy { when_unapproved: WhenUnapproved::Refuse, undo_window, ..Policy::default() };
    let bench = Bench::new(Setup { hold, capacity: 2, ..Setup::default() }).await;
    bench.handle.set_policy(policy.clone()).await;
    let stream = bench.connect(7).await;
    let machine = tokio::spawn(async move { exchange(stream, &post("/answer", &with_two_nics(7))).await });
    let node = only(&*bench.until_held(1).await).id;
    let mut others = Vec::new();
    match end {
        End::Replaced => others.push(bench.post_answer(7).await),
        End::PushedOut => {
            // Its address holds most, and so pays for the newcomer.
            let stream = bench.connect(7).await;
            others.push(tokio::spawn(async move { exchange(stream, &post("/answer", &body_of(8))).await }));
            bench.until_held(2).await;
            others.push(bench.post_answer(9).await);
        }
        End::Forgotten => drop(bench.order(Order::Forget { node }).await.unwrap()),
        End::Merged => {
            others.push(bench.post_answer(8).await);
            bench.until_held(2).await;
            bench.order(Order::Merge { node, into: NodeId(2) }).await.unwrap();
        }
        End::TakenBack => {
            bench.approve_undoably(node).await;
            bench.decide(Order::Undo { node }).await;
        }
        End::Undecided => {
            bench.approve_undoably(node).await;
            // The request is not kept open for as long as this approval has.
            bench.handle.set_policy(Policy { undo_window: Duration::from_millis(1), ..policy }).await;
        }
        // Nobody knows which of its NICs to configure.
        End::Obstructed => bench.approve(node).await,
    }
    let screen = machine.await.unwrap().screen();
    assert!(screen.starts_with("CODE "), "{screen}");
    assert_eq!(screen.contains("choose NIC"), matches!(end, End::Obstructed), "{screen}");
    bench.shutdown.cancel();
    for other in others {
        other.await.unwrap().screen();
    }
    bench.end().await;
}

#[tokio::test]
async fn a_machine_that_was_parted_shows_the_code_of_its_own_row() {
    let bench = bench(Duration::from_secs(45), Policy::default()).await;
    let stream = bench.connect(8).await;
    let first = tokio::spawn(async move { exchange(stream, &post("/answer", &with_two_nics(7))).await });
    let node = only(&*bench.until_held(1).await).id;
    let mut events = bench.started.events.subscribe();
    let second = bench.post_answer(7).await;
    let peer = IpAddr::from([127, 0, 0, 7]);
    bench.until(|snapshot| only(snapshot).request.is_some_and(|asked| asked.stamp.peer == peer)).await;
    bench.order(Order::Split { node, confirm: None }).await.unwrap();
    let row = NodeId(2);
    bench.until(|snapshot| snapshot.holds.contains_key(&row) && snapshot.holds.contains_key(&node)).await;
    bench.shutdown.cancel();
    let code = |row| format!("CODE {} - approve in console", crate::domain::guard::ClaimCode::of(row));
    assert_eq!((first.await.unwrap().screen(), second.await.unwrap().screen()), (code(node), code(row)));
    let told = async {
        while !matches!(events.recv().await.unwrap().event, Event::RetryServed { node, .. } if node == row) {}
    };
    timeout(PATIENCE, told).await.unwrap();
    bench.end().await;
}

#[tokio::test]
async fn two_machines_with_one_identity_both_wait_and_are_flagged() {
    let bench = bench(Duration::from_secs(45), Policy::default()).await;
    let first = bench.post_answer(2).await;
    let node = only(&*bench.until_held(1).await);
    let stream = bench.connect(3).await;
    let second = tokio::spawn(async move { exchange(stream, &post("/answer", &body_of(2))).await });
    let flag = Flag::TwoAddresses { other: [127, 0, 0, 2].into() };
    bench.until(|snapshot| only(snapshot).flags.contains(&flag)).await;
    bench.approve(node.id).await;
    second.await.unwrap().answer();
    assert!(!first.is_finished(), "the approval was for the request on the screen");
    bench.shutdown.cancel();
    assert!(first.await.unwrap().status == 200);
    bench.end().await;
}
