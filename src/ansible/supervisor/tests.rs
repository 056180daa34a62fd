//! Runs from the order to their end: with a real coordinator, real processes, and scripts in Ansible's place.

mod folders;
mod real;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use rstest::rstest;

use super::*;
use crate::ansible::output::FeedTask;
use crate::ansible::process::family;
use crate::coordinator;
use crate::domain::command::{Ask, Order, Sighting};
use crate::domain::facts::{Dmi, Generation, Link, Product, SystemInfo};
use crate::domain::{DocumentHash, HostKey, MacAddr, NodeId, OwnNetwork, Phase, Policy, Stamp, StartRule};
use crate::store::atomic::{self, Durability};
use crate::store::{Document, Store};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const LIMIT: Duration = Duration::from_mins(1);

/// A project folder; whatever a failed test left running goes with it.
struct Project(tempfile::TempDir);

impl Project {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        use nix::sys::signal::{Signal, kill};
        let run = RunDir::new(self.path(), RUN);
        let leader = run.process().filter(Identity::is_alive).map(|leader| leader.pid);
        for pid in family(None, &marker(&run)).into_iter().map(|seen| seen.pid).chain(leader) {
            let _ = kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
        }
        if let Ok(invocation) = run.invocation() {
            let _ = std::fs::remove_dir_all(invocation.control_dir);
        }
    }
}

fn marker(run: &RunDir) -> String {
    format!("PROX_EVENTS={}", run.events().display())
}

/// An engine without network on a project folder; dropping it is like a crash.
struct Engine {
    handle: Handle,
    feed: Feed,
    dir: PathBuf,
    crash: CancellationToken,
    tasks: TaskTracker,
    ended: tokio::sync::oneshot::Receiver<()>,
    shown: watch::Sender<u64>,
}

impl Engine {
    fn start(dir: &Path, command: Option<PathBuf>, patience: StopTimes) -> Self {
        Self::start_within(&[], dir, command, patience)
    }

    /// `wrapper` comes before the supervisor's command.
    fn start_within(wrapper: &[&str], dir: &Path, command: Option<PathBuf>, patience: StopTimes) -> Self {
        let state_dir = dir.join(".prox-orchestrator");
        std::fs::create_dir_all(&state_dir).unwrap();
        let mut store = Store::open(&state_dir).unwrap();
        let loaded = store.load(Policy { start: StartRule::ByHand, ..Policy::default() }).unwrap();
        let (effects_in, effects) = mpsc::channel(16);
        let started = coordinator::start(store, loaded, effects_in).unwrap();
        let (feed, task): (Feed, FeedTask) = Feed::new(dir.to_owned());
        let (shown, shown_out) = watch::channel(u64::MAX);
        let supervisor = [
            std::env::current_exe().unwrap().into_os_string(),
            "--exact".into(),
            "ansible::supervise::tests::lead_a_run".into(),
            "--include-ignored".into(),
        ];
        let settings = Settings {
            job: Job {
                dir: dir.to_owned(),
                state_dir,
                playbook: "play.yml".into(),
                command,
                forks: None,
                user: "root".to_owned(),
                private_key: dir.join("key"),
            },
            ssh_port: 22,
            supervisor: wrapper.iter().map(OsString::from).chain(supervisor).collect(),
            patience,
            keep_runs: 2.try_into().unwrap(),
        };
        let (crash, tasks) = (CancellationToken::new(), TaskTracker::new());
        let runner = Runner::new(started.handle.clone(), settings, feed.clone(), shown_out);
        tasks.spawn(runner.run(effects, crash.clone()));
        tasks.spawn(task.run(crash.clone()));
        Self { handle: started.handle, feed, dir: dir.to_owned(), crash, tasks, ended: started.ended, shown }
    }

    /// Ends like a crash as far as runs can tell: nobody follows them any more.
    async fn crash(self) {
        self.crash.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.handle.stop().await;
        self.ended.await.unwrap();
    }

    async fn submit(&self, command: Command) -> crate::domain::Reply {
        self.handle.submit(Origin::System, command).await.unwrap()
    }

    async fn order(&self, order: Order) -> crate::domain::Ordered {
        self.handle.order(Origin::System, order, true).await.unwrap()
    }

    /// Takes machine 1 all the way to `ready`.
    async fn ready_node(&self) -> Fqdn {
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let document = Document { hash: DocumentHash::of(b"{}"), bytes: b"{}".to_vec() };
        let info = SystemInfo {
            generation: Generation::V9_2,
            product: Product::Pve,
            iso_release: None,
            dmi: Dmi::default(),
            links: vec![Link { name: "eno1".into(), mac }],
        };
        let seen = Stamp { peer: [192, 0, 2, 1].into(), macs: [mac].into(), body: document.hash };
        let ask = Ask {
            stamp: seen.clone(),
            info: info.into(),
            asking_mac: Some(mac),
            token: None,
            wish: None,
            own: OwnNetwork::default(),
        };
        let now = Timestamp::now();
        drop(
            self.handle
                .ask(ask, document, coordinator::Patience::new(now, tokio::time::Instant::now(), LIMIT))
                .await
                .unwrap(),
        );
        let node = NodeId(1);
        self.order(Order::Approve { node, seen }).await;
        self.order(Order::MarkInstalled { node }).await;
        self.order(Order::SetAddress { node, address: [192, 0, 2, 1].into() }).await;
        let key: HostKey = KEY.parse().unwrap();
        self.submit(Command::Probe { node, sighting: Sighting::OtherKey { seen: key.clone() } }).await;
        self.order(Order::TrustHostKey { node, fingerprint: key.fingerprint() }).await;
        self.submit(Command::Probe { node, sighting: Sighting::Proven }).await;
        let name = self.handle.snapshot().fleet.node(node).unwrap().name.clone();
        let inventory = format!("{{\"all\":{{\"children\":{{\"pve\":{{\"hosts\":{{\"{name}\":{{}}}}}}}}}}}}");
        std::fs::create_dir_all(self.dir.join("nodes")).unwrap();
        put(&self.dir.join("nodes/dynamic-inventory.json"), inventory.as_bytes(), 0o644);
        put(&self.dir.join("play.yml"), b"[]\n", 0o644);
        name
    }

    async fn until(&self, what: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut snapshots = self.handle.snapshots();
        let wait = snapshots.wait_for(|snapshot| what(snapshot));
        tokio::time::timeout(LIMIT, wait).await.unwrap().unwrap().clone()
    }

    async fn until_ended(&self) -> RunOutcome {
        let snapshot = self.until(|snapshot| snapshot.fleet.run(RUN).is_some_and(|run| !run.is_active())).await;
        match &snapshot.fleet.run(RUN).unwrap().state {
            RunState::Ended { outcome, .. } => outcome.clone(),
            state => panic!("{state:?}"),
        }
    }

    async fn until_running(&self) {
        let is_running = |run: &Arc<Run>| matches!(run.state, RunState::Running { .. });
        self.until(|snapshot| snapshot.fleet.run(RUN).is_some_and(is_running)).await;
    }

    fn phase(&self) -> Phase {
        self.handle.snapshot().fleet.node(NodeId(1)).unwrap().phase.clone()
    }

    fn run_dir(&self) -> RunDir {
        RunDir::new(&self.dir, RUN)
    }

    /// Processes of the run that are alive.
    fn survivors(&self) -> usize {
        family(None, &marker(&self.run_dir())).len()
    }
}

const RUN: RunId = RunId(1);

fn put(path: &Path, text: &[u8], mode: u32) {
    atomic::write(path, text, mode, Durability::Rebuilt).unwrap();
}

fn quick() -> StopTimes {
    let short = Duration::from_millis(300);
    StopTimes { interrupt: short, terminate: short, kill: Duration::from_secs(5) }
}

/// A script in place of `ansible-playbook`; `$name` is the node, `start` and `good` print events.
fn fake(dir: &Path, body: &str) -> PathBuf {
    let script = format!(
        "#!/bin/bash\n[ \"$1\" = --version ] && {{ echo 'ansible-playbook [core 2.99.0]'; exit; }}\n\
         name=$(head -1 nodes/runs/r1/limit.txt)\n\
         start() {{ echo '{{\"ev\":\"playbook_start\"}}' >> \"$PROX_EVENTS\"; }}\n\
         did() {{ echo '{{\"ev\":\"host_ok\",\"host\":\"'$name'\",\"task_id\":\"1\",\"task\":\"join\"}}' >> \"$PROX_EVENTS\"; }}\n\
         good() {{ echo '{{\"ev\":\"stats\",\"hosts\":{{\"'$name'\":{{\"ok\":1}}}}}}' >> \"$PROX_EVENTS\"; }}\n\
         bad() {{ echo '{{\"ev\":\"host_failed\",\"host\":\"'$name'\",\"task\":\"join\",\"msg\":\"no quorum\"}}' >> \"$PROX_EVENTS\"\n\
         echo '{{\"ev\":\"stats\",\"hosts\":{{\"'$name'\":{{\"failures\":1}}}}}}' >> \"$PROX_EVENTS\"; }}\n{body}\n"
    );
    let path = dir.join("ansible-playbook");
    put(&path, script.as_bytes(), 0o755);
    path
}

#[tokio::test]
async fn a_good_run_configures_its_node_and_leaves_its_record() {
    let dir = Project::new();
    let body = "start; echo \"args: $*\"; readlink /proc/self/fd/0; cut -d' ' -f5,6 /proc/$$/stat; echo $PPID; good; echo -n end";
    let engine = Engine::start(dir.path(), Some(fake(dir.path(), body)), quick());
    let name = engine.ready_node().await;
    engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
    assert_eq!(engine.until_ended().await, RunOutcome::Succeeded);
    assert_eq!(engine.phase(), Phase::Configured);

    let lines = engine.feed.read(RUN, 0, 100).lines;
    let [args, stdin, session, parent, end] = lines.as_slice() else { panic!("{lines:?}") };
    let key = engine.dir.join("key");
    let expected = format!("--limit {name} --user root --private-key {} -f 1 -- play.yml", key.display());
    assert!(args.ends_with(&expected), "{args}");
    assert_eq!(stdin, "/dev/null");
    assert_eq!(*session, format!("{parent} {parent}"), "the supervisor leads the group and the session");
    assert_eq!(end, "end", "the last line needs no line feed");

    let run = engine.run_dir();
    let known_hosts = std::fs::read_to_string(run.path().join("known_hosts")).unwrap();
    assert_eq!(known_hosts, format!("{name},192.0.2.1 {KEY}\n"));
    assert_eq!(std::fs::read_to_string(run.path().join("limit.txt")).unwrap(), format!("{name}\n"));
    let invocation = run.invocation().unwrap();
    assert!(!invocation.control_dir.exists());
    assert_eq!(run.exit().unwrap().how, Ending::Code(0));
    assert!(run.path().join("inventory.json").exists());
    let record = run.record().unwrap();
    assert!(record.command.ends_with("-- play.yml") && record.playbook_sha256.is_some(), "{record:?}");
    let ended = record.end.unwrap();
    assert_eq!((ended.outcome, ended.process), (RunOutcome::Succeeded, Some(Ending::Code(0))));
    assert_eq!(ended.hosts[&name].numbers.map(|numbers| numbers.ok), Some(1));
    let progress = engine.feed.progress(RUN).unwrap();
    assert!(progress.grid.is_complete && progress.command.is_some(), "{progress:?}");
    engine.crash().await;
}

#[rstest]
#[case::host_failed("start; bad; exit 2", "failed", "1 of 1 nodes failed: pve-0001: join: no quorum")]
#[case::never_started(
    "echo 'ERROR! the playbook: x could not be found'; exit 1",
    "not started",
    "the playbook: x could not be found (exit code 1)"
)]
#[case::nothing_ran(
    "start; echo '{\"ev\":\"stats\",\"hosts\":{}}' >> $PROX_EVENTS",
    "not started",
    "the playbook matched none of the nodes"
)]
#[case::killed("start; did; kill -9 $$", "failed", "killed from outside by signal 9 (SIGKILL)")]
#[case::killed_early("start; kill -9 $$", "not started", "killed from outside by signal 9 (SIGKILL), before anything")]
#[case::no_events("echo 'PLAY RECAP ***'; echo \"$name : ok=1 unreachable=0 failed=0\"", "succeeded", "")]
#[tokio::test]
async fn endings_become_words(#[case] body: &str, #[case] word: &str, #[case] reason: &str) {
    let dir = Project::new();
    let engine = Engine::start(dir.path(), Some(fake(dir.path(), body)), quick());
    engine.ready_node().await;
    engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
    let outcome = engine.until_ended().await;
    assert_eq!(outcome.word(), word);
    assert!(outcome.reason().map_or("", |text| text.as_str()).starts_with(reason), "{outcome:?}");
    engine.crash().await;
}

#[rstest]
#[case::missing("missing", 0o755, "apt install ansible-core")]
#[case::not_executable("ansible-playbook", 0o644, "not an executable file")]
#[tokio::test]
async fn without_ansible_nothing_starts_and_the_cure_is_named(
    #[case] name: &str,
    #[case] mode: u32,
    #[case] words: &str,
) {
    let dir = Project::new();
    let script = fake(dir.path(), "");
    put(&script, b"#!/bin/sh\n", mode);
    let engine = Engine::start(dir.path(), Some(dir.path().join(name)), quick());
    engine.ready_node().await;
    engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
    let outcome = engine.until_ended().await;
    assert!(matches!(&outcome, RunOutcome::NotStarted { reason } if reason.as_str().contains(words)), "{outcome:?}");
    assert_eq!(engine.phase(), Phase::Ready);
    engine.crash().await;
}

#[tokio::test]
async fn a_script_whose_interpreter_vanishes_is_explained() {
    let dir = Project::new();
    // Good for the preflight, gone when the supervisor starts it.
    let script = fake(dir.path(), "");
    let text = format!(
        "#!/bin/bash\necho 'ansible-playbook [core 2.99.0]'\necho '#!/none' > {0}.new; chmod 755 {0}.new; mv {0}.new {0}\n",
        script.display()
    );
    put(&script, text.as_bytes(), 0o755);
    let engine = Engine::start(dir.path(), Some(script), quick());
    engine.ready_node().await;
    engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
    let outcome = engine.until_ended().await;
    assert!(
        matches!(&outcome, RunOutcome::NotStarted { reason } if reason.as_str().contains("interpreter")),
        "{outcome:?}"
    );
    engine.crash().await;
}

#[tokio::test]
async fn files_that_are_not_up_to_date_stop_a_run() {
    let dir = Project::new();
    let mut engine = Engine::start(dir.path(), Some(fake(dir.path(), "")), quick());
    engine.ready_node().await;
    // The projection has died behind the fleet.
    engine.shown.send_replace(0);
    engine.shown = watch::channel(0).0;
    engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
    let outcome = engine.until_ended().await;
    assert!(
        matches!(&outcome, RunOutcome::NotStarted { reason } if reason.as_str().contains("up to date")),
        "{outcome:?}"
    );
    engine.crash().await;
}

#[rstest]
#[case::listens("trap 'exit 99' INT; start; while :; do read -t 0.1 < <(sleep 0.1); done")]
#[case::ignores_everything(
    "trap '' INT TERM HUP QUIT; start; setsid bash -c 'trap \"\" INT TERM; sleep 1000' & sleep 1000 & while :; do wait; done"
)]
#[case::forgets_its_children("start; setsid sleep 1000 & (setsid sleep 1000 &) ; wait")]
#[tokio::test]
async fn a_cancelled_run_leaves_no_process(#[case] body: &str) {
    let dir = Project::new();
    let engine = Engine::start(dir.path(), Some(fake(dir.path(), body)), quick());
    engine.ready_node().await;
    engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
    engine.until_running().await;
    let events = engine.run_dir().events();
    wait_until(|| events.exists()).await;
    let leader = engine.run_dir().process().unwrap();
    engine.order(Order::Cancel).await;
    assert_eq!(engine.until_ended().await, RunOutcome::Cancelled);
    assert_eq!(engine.phase(), Phase::Ready);
    wait_until(|| engine.survivors() == 0 && !leader.is_alive()).await;
    assert!(engine.run_dir().exit().is_some(), "the supervisor wrote down the end");
    engine.crash().await;
}

#[tokio::test]
async fn an_ignored_interrupt_is_not_inherited() {
    let dir = Project::new();
    // As under nohup, or behind `&` in a script.
    let wrapper = ["bash", "-c", "trap '' INT HUP QUIT TERM; exec \"$@\"", "wrapper"];
    let script = fake(dir.path(), "start; grep SigIgn /proc/self/status; good");
    let engine = Engine::start_within(&wrapper, dir.path(), Some(script), quick());
    engine.ready_node().await;
    engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
    assert_eq!(engine.until_ended().await, RunOutcome::Succeeded);
    let lines = engine.feed.read(RUN, 0, 10).lines;
    let mask = lines.first().and_then(|line| line.split_whitespace().last()).unwrap();
    let ignored = u64::from_str_radix(mask, 16).unwrap();
    for signal in [1_u64, 2, 3, 15] {
        assert_eq!(ignored >> (signal - 1) & 1, 0, "signal {signal} is ignored: {mask}");
    }
    engine.crash().await;
}

#[tokio::test]
async fn a_second_press_does_not_wait() {
    let dir = Project::new();
    let body = "trap '' INT; trap 'echo asked >> heard' TERM; start; while :; do sleep 0.1; done";
    let hour = Duration::from_hours(1);
    let patience = StopTimes { interrupt: hour, terminate: hour, kill: Duration::from_secs(5) };
    let engine = Engine::start(dir.path(), Some(fake(dir.path(), body)), patience);
    engine.ready_node().await;
    engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
    engine.until_running().await;
    let events = engine.run_dir().events();
    wait_until(|| events.exists()).await;
    engine.order(Order::Cancel).await;
    let is_stopping = |run: &Arc<Run>| matches!(run.state, RunState::Running { stopping: true, .. });
    engine.until(|snapshot| snapshot.fleet.run(RUN).is_some_and(is_stopping)).await;
    engine.order(Order::Cancel).await;
    wait_until(|| dir.path().join("heard").exists()).await;
    engine.order(Order::Cancel).await;
    assert_eq!(engine.until_ended().await, RunOutcome::Cancelled);
    wait_until(|| engine.survivors() == 0).await;
    engine.crash().await;
}

#[rstest]
#[case::goes_on(false)]
#[case::ends_meanwhile(true)]
#[tokio::test]
async fn a_run_outlives_the_engine_and_is_found_again(#[case] ends_meanwhile: bool) {
    let dir = Project::new();
    let body = "start; echo before; while [ ! -e go ]; do sleep 0.05; done; echo after; good";
    let script = fake(dir.path(), body);
    let engine = Engine::start(dir.path(), Some(script.clone()), quick());
    engine.ready_node().await;
    engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
    engine.until_running().await;
    let (run, leader) = (engine.run_dir(), engine.run_dir().process().unwrap());
    engine.crash().await;
    assert!(leader.is_alive());
    if ends_meanwhile {
        put(&dir.path().join("go"), b"", 0o644);
        wait_until(|| run.exit().is_some()).await;
    }
    let engine = Engine::start(dir.path(), Some(script), quick());
    put(&dir.path().join("go"), b"", 0o644);
    assert_eq!(engine.until_ended().await, RunOutcome::Succeeded);
    assert_eq!(engine.phase(), Phase::Configured);
    assert_eq!(engine.feed.read(RUN, 0, 10).lines, ["before", "after"], "and it was started once");
    engine.crash().await;
}

#[tokio::test]
async fn a_run_whose_supervisor_was_killed_is_interrupted() {
    let dir = Project::new();
    let engine = Engine::start(dir.path(), Some(fake(dir.path(), "start; setsid sleep 1000 & sleep 1000")), quick());
    engine.ready_node().await;
    engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
    engine.until_running().await;
    wait_until(|| engine.survivors() >= 3).await;
    let leader = engine.run_dir().process().unwrap();
    nix::sys::signal::kill(leader.pid(), nix::sys::signal::Signal::SIGKILL).unwrap();
    assert_eq!(engine.until_ended().await, RunOutcome::Interrupted);
    wait_until(|| engine.survivors() == 0).await;
    engine.crash().await;
}

#[tokio::test]
async fn a_child_that_was_left_behind_does_not_hold_up_the_end() {
    let dir = Project::new();
    let body = "start; echo mine; good; setsid bash -c 'while [ ! -e go ]; do sleep 0.05; done; echo late; touch told' & exit 0";
    let engine = Engine::start(dir.path(), Some(fake(dir.path(), body)), quick());
    engine.ready_node().await;
    engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
    assert_eq!(engine.until_ended().await, RunOutcome::Succeeded);
    assert_eq!(engine.feed.read(RUN, 0, 10).lines, ["mine"]);
    // What it still writes goes into the file, and hurts nobody.
    put(&dir.path().join("go"), b"", 0o644);
    wait_until(|| dir.path().join("told").exists()).await;
    assert_eq!(std::fs::read_to_string(engine.run_dir().output()).unwrap(), "mine\nlate\n");
    engine.crash().await;
}

#[tokio::test]
async fn wild_output_is_shown_tamed() {
    let dir = Project::new();
    let body = "start; head -c 1048576 /dev/zero | tr '\\0' x; echo; printf '1%%\\r2%%\\r\\n\\xff\\x1b[2Jbad\\n'; \
                seq 1 50000; good; printf last";
    let engine = Engine::start(dir.path(), Some(fake(dir.path(), body)), quick());
    engine.ready_node().await;
    engine.order(Order::Run { nodes: vec![], options: Box::default() }).await;
    assert_eq!(engine.until_ended().await, RunOutcome::Succeeded);
    let chunk = engine.feed.read(RUN, 0, usize::MAX);
    assert_eq!(chunk.next, 50_004);
    assert_eq!(chunk.lines.last().map(String::as_str), Some("last"));
    assert!(chunk.first > 0 && chunk.lines.len() <= 20_000);
    engine.crash().await;
}

async fn wait_until(condition: impl Fn() -> bool) {
    let wait = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while !condition() {
            tick.tick().await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.unwrap();
}
