//! All connections are taken.

use super::*;

#[tokio::test]
async fn when_all_connections_are_taken_an_idle_one_of_whoever_has_most_gives_way() {
    let bench = Bench::new(Setup::default()).await;
    bench.let_in(|access| access.limits.connections = Some(4));
    let held = bench.post_answer(8).await;
    bench.until_held(1).await;
    let mut flood = Vec::new();
    for _ in 0..3 {
        flood.push(bench.connect(2).await);
    }
    let other = bench.post_answer(9).await;
    bench.until_held(2).await;
    let ghost = bench.ghost(Cause::GaveWay).await;
    assert_eq!((ghost.peer, ghost.count), (IpAddr::from([127, 0, 0, 2]), 1));
    assert_eq!(flood[0].read(&mut [0]).await.unwrap_or_default(), 0, "the one that idles longest was cut");
    let still_open = flood[1].try_read(&mut [0]);
    assert!(still_open.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    bench.shutdown.cancel();
    for machine in [held, other] {
        machine.await.unwrap().screen();
    }
    bench.end().await;
}

#[tokio::test]
async fn when_all_wait_a_further_machine_is_told_to_come_back_and_served_once_there_is_room() {
    let bench = Bench::new(Setup::default()).await;
    bench.let_in(|access| access.limits.connections = Some(2));
    let held = [bench.post_answer(7).await, bench.post_answer(8).await];
    let snapshot = bench.until_held(2).await;
    assert_eq!(bench.send(9, &post("/answer", &body_of(9))).await.screen(), "TOO MANY REQUESTS - retrying");
    assert_eq!(bench.ghost(Cause::NoRoom).await.peer, IpAddr::from([127, 0, 0, 9]));
    assert_eq!(snapshot.fleet.node_count(), 2, "it takes no row either");
    let reported = bench.send(9, &post("/webhook", r#"{"fqdn":"a.b"}"#)).await;
    assert_eq!((reported.status, bench.handle.snapshot().fleet.unmatched().count()), (200, 1), "a report comes once");

    let [first, second] = held;
    let node = snapshot.fleet.nodes().next().unwrap().id;
    bench.approve(node).await;
    let answered = tokio::select! { first = first => first, second = second => second };
    answered.unwrap().answer();
    // Its place is free once the connection is closed on our side, too.
    let mut machine = bench.post_answer(9).await;
    while timeout(Duration::from_secs(1), bench.until_held(2)).await.is_err() {
        machine = bench.post_answer(9).await;
    }
    assert_eq!(bench.handle.snapshot().fleet.node_count(), 3);
    bench.shutdown.cancel();
    machine.await.unwrap().screen();
    bench.end().await;
}
