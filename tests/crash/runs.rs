//! Kills around a run of Ansible: before it is started, while it is prepared, while it plays, when it ends.
//!
//! Ansible is a script here that writes down when it was started and for whom, and ends as Ansible does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use prox_orchestrator::domain::{NodeId, Phase, RunId, RunOutcome, RunState, Snapshot};
use prox_orchestrator::simulate::summary::{RackEvent, Step};
use prox_orchestrator::simulate::{RackOptions, run_rack};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::audit::Audit;
use crate::desk::Desk;
use crate::engine::{Engine, Lab, until};
use crate::machines::{Asker, Book, Round};
use crate::seed;

/// Nodes of each run.
const NODES: usize = 2;

/// Strangers that ask all the time, as load.
const STRANGERS: usize = 6;

/// Kills in each of the moments.
const EACH: usize = 4;

/// Where the engine is hit: as soon as this is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// The run is queued.
    Queued,
    /// What shall be executed is written down.
    Prepared,
    /// Somebody leads the run.
    Claimed,
    /// Ansible works.
    Playing,
}

/// What happens until the engine is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meanwhile {
    /// Nothing: a living run is found again.
    Nothing,
    /// The run comes to its end.
    Ends,
    /// The run's processes are killed, too.
    Dies,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_engines_start_no_run_twice_and_lose_none() {
    let seed = seed();
    println!("PROX_CRASH_SEED={seed}");
    let mut site = Site::new(seed);
    let moments = [Moment::Queued, Moment::Prepared, Moment::Claimed, Moment::Playing];
    let kills = moments.into_iter().cycle().take(moments.len() * EACH);
    for (number, moment) in kills.enumerate() {
        // Four moments and three fates: every pair comes once in twelve kills.
        let meanwhile = [Meanwhile::Nothing, Meanwhile::Ends, Meanwhile::Dies][number % 3];
        println!("run {}: {moment:?}, {meanwhile:?}", number + 1);
        site.round(number, moment, meanwhile).await;
    }
    site.racks.cancel();
}

/// A folder, its racks, and what is known about them.
struct Site {
    lab: Lab,
    seed: u64,
    ssh_port: u16,
    rng: StdRng,
    audit: Audit,
    book: Arc<Mutex<Book>>,
    strangers: BTreeMap<uuid::Uuid, Asker>,
    /// Host names of machines that began to wipe their disks.
    wiped: Arc<Mutex<BTreeSet<String>>>,
    racks: CancellationToken,
    /// Who was in a run that the gate started.
    gated: BTreeSet<NodeId>,
}

impl Site {
    fn new(seed: u64) -> Self {
        // No wildcard socket of this host is asked for here: every node has an address of its own.
        let ssh_port = std::net::TcpListener::bind("127.89.0.1:0").unwrap().local_addr().unwrap().port();
        let lab = Lab::new(false, "");
        let script = lab.dir().join("ansible-playbook");
        fs::write(&script, SCRIPT).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        lab.configure(&format!(
            "[server]\nhold = \"1s\"\n[ansible]\nssh_port = {ssh_port}\ncommand = \"{}\"\n",
            script.display()
        ));
        let strangers = (1..=STRANGERS).map(|number| Asker::new(seed, number, true));
        Self {
            lab,
            seed,
            ssh_port,
            rng: StdRng::seed_from_u64(seed),
            audit: Audit::default(),
            book: Arc::default(),
            strangers: strangers.map(|asker| (asker.uuid(), asker)).collect(),
            wiped: Arc::default(),
            racks: CancellationToken::new(),
            gated: BTreeSet::new(),
        }
    }

    /// Two more machines become ready, a run starts, the engine dies and comes back.
    async fn round(&mut self, number: usize, moment: Moment, meanwhile: Meanwhile) {
        let (engine, _) = self.start().await;
        let load = self.load(&engine);
        self.power_on(number);
        let run = RunId(u64::try_from(number).unwrap() + 1);
        let folder = self.lab.dir().join("nodes/runs").join(run.to_string());
        match moment {
            Moment::Queued => drop(engine.until("a queued run", |snapshot| snapshot.fleet.run(run).is_some()).await),
            Moment::Prepared => until("a prepared run", || folder.join("argv.json").exists()).await,
            Moment::Claimed => until("a led run", || folder.join("process.json").exists()).await,
            Moment::Playing => until("Ansible", || self.starts(run) > 0).await,
        }
        if self.rng.random_bool(0.5) {
            sleep(Duration::from_millis(self.rng.random_range(0..40))).await;
        }
        engine.kill();
        load.end().await;
        let is_dead = self.wait(&folder, meanwhile).await;

        let (engine, snapshot) = self.start().await;
        self.check(&snapshot);
        let is_over = |snapshot: &Snapshot| snapshot.fleet.run(run).is_some_and(|run| !run.is_active());
        let snapshot = engine.until("the end of the run", is_over).await;
        self.check_run(&snapshot, run, is_dead);
        engine.kill();
    }

    async fn start(&mut self) -> (Engine, Snapshot) {
        let (engine, snapshot) = self.lab.start().await;
        self.audit.read_on(&self.lab.state_dir(), snapshot.seq);
        self.audit.check(&snapshot, &self.book.lock().unwrap(), &self.strangers);
        (engine, snapshot)
    }

    /// Strangers ask, and the operator approves everybody else.
    fn load(&self, engine: &Engine) -> Load {
        let round = Arc::new(Round {
            url: self.lab.url(),
            fingerprint: None,
            book: Arc::clone(&self.book),
            first_byte: Notify::new(),
            is_reporting: false,
            over: CancellationToken::new(),
        });
        let mut tasks = JoinSet::new();
        for asker in self.strangers.values() {
            let (asker, round) = (asker.clone(), Arc::clone(&round));
            tasks.spawn(async move {
                asker.live(&round).await;
            });
        }
        let strangers = self.strangers.keys().copied().collect();
        let desk = Desk::new(engine.operator(), Arc::clone(&self.book), strangers);
        tasks.spawn(desk.approve_until(round.over.clone()));
        Load { round, tasks }
    }

    /// Machines that install in no time, and stay up for the rest of the test.
    fn power_on(&self, number: usize) {
        let mut options = RackOptions::new(self.lab.url());
        options.count = NODES;
        options.first = 1 + number * NODES;
        // Other machines than the strangers.
        options.seed = self.seed ^ 1;
        options.base_address = Ipv4Addr::new(127, 89, 0, 1);
        options.ssh_port = self.ssh_port;
        options.leave_shell_after = Some(Duration::from_millis(50));
        [options.timings.stagger, options.timings.install, options.timings.reboot] = [Duration::ZERO; 3];
        let (events, mut told) = mpsc::channel(64);
        tokio::spawn(run_rack(options, events, self.racks.clone()));
        let wiped = Arc::clone(&self.wiped);
        tokio::spawn(async move {
            while let Some(RackEvent { step, .. }) = told.recv().await {
                if let Step::Installing { fqdn, .. } = step {
                    wiped.lock().unwrap().insert(fqdn);
                }
            }
        });
    }

    /// What happens without an engine. Returns whether the run cannot have come to its end.
    async fn wait(&self, folder: &Path, meanwhile: Meanwhile) -> bool {
        let is_led = folder.join("process.json").exists();
        match meanwhile {
            Meanwhile::Ends if is_led => {
                until("the end of Ansible", || folder.join("exit.json").exists()).await;
                false
            }
            Meanwhile::Dies if is_led => {
                let text = fs::read(folder.join("process.json")).unwrap();
                let leader: serde_json::Value = serde_json::from_slice(&text).unwrap();
                let leader = Pid::from_raw(leader["pid"].as_i64().unwrap().try_into().unwrap());
                // It leads a session of its own: whoever started it is not hit.
                let _ = killpg(leader, Signal::SIGKILL);
                !folder.join("exit.json").exists()
            }
            Meanwhile::Nothing | Meanwhile::Ends | Meanwhile::Dies => false,
        }
    }

    fn check(&mut self, snapshot: &Snapshot) {
        for fqdn in self.wiped.lock().unwrap().iter() {
            let node = snapshot.fleet.named(&fqdn.parse().unwrap());
            let node = node.unwrap_or_else(|| panic!("{fqdn} got an answer and is not known"));
            assert!(node.may_be_installed() && node.phase.is_approved(), "{fqdn} counts as {}", node.phase.word());
        }
    }

    fn check_run(&mut self, snapshot: &Snapshot, id: RunId, is_dead: bool) {
        let run = snapshot.fleet.run(id).unwrap();
        assert!(run.by_gate);
        assert_eq!(run.nodes.len(), NODES, "one run for all that were approved");
        for node in run.nodes.keys() {
            assert!(self.gated.insert(*node), "{node} was in two runs that started by themselves");
        }
        let RunState::Ended { outcome, .. } = &run.state else { panic!("{id} goes on") };
        let (expected, phase) =
            if is_dead { (RunOutcome::Interrupted, Phase::Ready) } else { (RunOutcome::Succeeded, Phase::Configured) };
        assert_eq!(*outcome, expected, "{}", self.lab.last_words());
        for node in run.nodes.keys() {
            assert_eq!(snapshot.fleet.node(*node).unwrap().phase, phase);
        }
        let starts = self.starts(id);
        assert!(starts == 1 || (is_dead && starts == 0), "Ansible was started {starts} times for {id}");
        let next = RunId(id.0 + 1);
        assert!(snapshot.fleet.run(next).is_none(), "nobody asked for another run");
    }

    /// How often Ansible was started for a run.
    fn starts(&self, run: RunId) -> usize {
        let log = fs::read_to_string(self.lab.dir().join("starts.log")).unwrap_or_default();
        log.lines().filter(|line| *line == run.to_string()).count()
    }
}

/// Machines and the operator at work.
struct Load {
    round: Arc<Round>,
    tasks: JoinSet<()>,
}

impl Load {
    async fn end(self) {
        self.round.over.cancel();
        self.tasks.join_all().await;
    }
}

/// Plays for a moment, and says that all went well.
const SCRIPT: &str = r#"#!/bin/sh
if [ "$1" = --version ]; then echo "ansible-playbook [core 2.19.0]"; exit; fi
run=$(dirname "$PROX_EVENTS")
basename "$run" >>starts.log
echo '{"ev":"playbook_start"}' >>"$PROX_EVENTS"
sleep 0.3
hosts=$(sed 's/.*/"&":{"ok":1}/' "$run/limit.txt" | paste -sd ,)
echo "{\"ev\":\"stats\",\"hosts\":{$hosts}}" >>"$PROX_EVENTS"
"#;
