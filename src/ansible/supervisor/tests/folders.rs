//! Runs and what is in the place of their folders: nothing may be believed that is not of this very run.

use super::*;
use crate::ansible::run_dir::Exit;

#[tokio::test]
async fn a_folder_left_by_another_database_says_nothing_about_a_run() {
    let dir = Project::new();
    let folder = RunDir::new(dir.path(), RUN);
    std::fs::create_dir_all(folder.path()).unwrap();
    folder.claim(&Identity { pid: 1, ..Identity::nobody() }).unwrap();
    folder.write_exit(&Exit { ended: Timestamp::now(), how: Ending::Code(0) }).unwrap();
    put(&folder.output(), b"of old\n", 0o600);
    let engine = Engine::start(dir.path(), Some(fake(dir.path(), "start; echo new; bad; exit 2")), quick());
    engine.ready_node().await;
    engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
    assert_eq!(engine.until_ended().await.word(), "failed");
    assert_eq!(engine.feed.read(RUN, 0, 10).lines, ["new"]);
    let aside = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().ends_with(".old");
    let aside = folder.path().parent().unwrap().read_dir().unwrap().map(Result::unwrap).find(aside).unwrap();
    assert_eq!(std::fs::read_to_string(aside.path().join("output.log")).unwrap(), "of old\n");
    engine.crash().await;
}

#[tokio::test]
async fn a_run_cancelled_before_its_start_never_starts_not_even_after_a_crash() {
    let dir = Project::new();
    let script = fake(dir.path(), "touch ran; start; good");
    let engine = Engine::start(dir.path(), Some(script.clone()), quick());
    engine.ready_node().await;
    // The run waits for files that do not come.
    engine.shown.send_replace(0);
    engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
    engine.order(Order::Cancel).await;
    engine.until(|snapshot| snapshot.fleet.run(RUN).is_some_and(|run| run.is_stopping())).await;
    engine.crash().await;
    let engine = Engine::start(dir.path(), Some(script), quick());
    assert_eq!(engine.until_ended().await, RunOutcome::Cancelled);
    assert_eq!(engine.phase(), Phase::Ready);
    assert!(!dir.path().join("ran").exists());
    engine.crash().await;
}

#[test]
fn a_withdrawn_run_cannot_be_led_and_a_led_one_not_withdrawn() {
    let dir = tempfile::tempdir().unwrap();
    let own = Identity::own().unwrap();
    let folder = |name: &str| {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        RunDir::at(&dir.path().join(name))
    };
    let withdrawn = folder("r1");
    assert_eq!(withdraw(&withdrawn).unwrap_err().outcome, RunOutcome::Cancelled);
    assert_eq!(withdrawn.claim(&own).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(withdraw(&withdrawn).unwrap_err().outcome, RunOutcome::Cancelled, "also after a crash in between");
    let led = folder("r2");
    led.claim(&own).unwrap();
    assert_eq!(withdraw(&led), Ok(own));
    assert_eq!(withdraw(&RunDir::at(&dir.path().join("r3"))).unwrap_err().outcome, RunOutcome::Cancelled);
}

#[tokio::test]
async fn old_folders_go_when_a_run_ends() {
    let dir = Project::new();
    let engine = Engine::start(dir.path(), Some(fake(dir.path(), "start; good")), quick());
    engine.ready_node().await;
    for run in (1..=3).map(RunId) {
        engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
        engine.until(|snapshot| snapshot.fleet.run(run).is_some_and(|run| !run.is_active())).await;
    }
    let folder = |run| RunDir::new(dir.path(), RunId(run)).path().to_owned();
    wait_until(|| !folder(1).exists()).await;
    assert!(folder(2).exists() && folder(3).exists());
    engine.crash().await;
}
