//! One engine: every part started in order, supervised, and stopped in the order that loses nothing.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::folder::{Folder, Reading};
use super::reload::Reloader;
use super::settings::AnswerFiles;
use super::workers::{BOARD, Workers};
use super::{EngineOptions, LocalClient, STATE_DIR, board, journal, operator, preflight, settings};
use crate::ansible::check::{Report, Subject};
use crate::ansible::{self, Feed, Job, Runner, SshKeyPair};
use crate::config::{self, Config, ConfigErrors};
use crate::coordinator::{self, Handle, Started};
use crate::domain::snapshot::{Problem, Service};
use crate::domain::{Caller, Command, Effect, Fleet, Origin, Recorded, Snapshot};
use crate::error::{Exit, Failure, OrExit as _};
use crate::plan;
use crate::server::{self, AnswerKit, App, Ghosts, Identity, Listener, Previewer};
use crate::store::{self, Reader, StateLock, Store};
use crate::telemetry::{self, Logging, Sink};
use crate::{api, probe, tui};

/// Time between two looks at deadlines and the gate.
const TICK: Duration = Duration::from_secs(1);

/// Time the listener has to send retry answers and close; see ARCHITECTURE.md, "One try".
const CLOSING: Duration = Duration::from_secs(4);

/// A running engine.
pub(super) struct Engine {
    handle: Handle,
    client: LocalClient,
    events: broadcast::Sender<Arc<Recorded>>,
    coordinator: oneshot::Receiver<()>,
    listener: JoinHandle<()>,
    /// Ends the listener and the open requests.
    serving: CancellationToken,
    /// What feeds the coordinator.
    workers: Workers,
    /// What follows it: the files under `nodes/` and the journal.
    followers: Workers,
    /// Who of both has crashed.
    crashed: watch::Receiver<Vec<&'static str>>,
    failure: Option<anyhow::Error>,
    extras: watch::Receiver<tui::Extras>,
    state_dir: PathBuf,
    logging: Logging,
    _lock: StateLock,
}

/// What is read before anything is started.
struct Prepared {
    dir: PathBuf,
    state_dir: PathBuf,
    config: Config,
    files: AnswerFiles,
    folder: Folder,
    reading: Reading,
}

impl Engine {
    /// Starts every part, or none.
    pub(super) async fn start(options: &EngineOptions, sink: Sink) -> Result<Self, Failure> {
        let prepared = prepare(options)?;
        let Prepared { dir, state_dir, config, .. } = &prepared;
        let lock = StateLock::take(state_dir).or_exit(Exit::State)?;
        let logging = telemetry::start(state_dir, settings::log_level(config), sink).or_exit(Exit::State)?;
        let key = SshKeyPair::load_or_create(state_dir).or_exit(Exit::State)?;
        let identity =
            config.server.tls.then(|| Identity::load_or_create(state_dir)).transpose().or_exit(Exit::State)?;
        let listener = Listener::bind(config.server.listen).or_exit(Exit::Bind)?;
        let socket = api::server::bind(state_dir).or_exit(Exit::State)?;

        let mut store = Store::open(state_dir).or_exit(Exit::State)?;
        let loaded = store.load(settings::policy(config, &prepared.files.base)).or_exit(Exit::State)?;
        let reader = Reader::open(state_dir).or_exit(Exit::State)?;
        let legacy = store::find_legacy(dir).or_exit(Exit::State)?;
        let (effects_in, effects) = mpsc::channel(64);
        let Started { handle, events, ended } = coordinator::start(store, loaded, effects_in)?;
        let (to_log, known) = (events.subscribe(), handle.snapshot().fleet.clone());
        if let Some(entries) = legacy {
            handle.submit(Origin::System, Command::Import { entries }).await.or_exit(Exit::State)?;
        }

        let open_files = server::raise_open_files()?;
        let capacity =
            server::capacity(open_files).min(usize::try_from(config.server.max_held.get()).unwrap_or(usize::MAX));
        let fingerprint = identity.as_ref().map(|identity| identity.fingerprint().to_owned());
        let in_force = (config.clone(), prepared.files.clone(), prepared.reading.clone());
        let login = settings::login_key(dir, config, &key);
        let (mut reloader, files, kit) = Reloader::new(prepared.folder.clone(), handle.clone(), &login, in_force);
        let extras = reloader.extras();
        // Planned rows are there before the first machine asks.
        reloader.plan().await;
        let private_key =
            config.ansible.private_key.as_ref().map_or_else(|| key.private().to_owned(), |key| dir.join(key));
        let service = Service {
            url: settings::shown_url(config, listener.address()),
            fingerprint: fingerprint.clone(),
            caller: caller(config, &private_key),
            tasks: Vec::new(),
            capacity,
            problems: files.borrow().clone(),
            require_token: config.approval.require_token,
            profiles: kit.borrow().profile_names(),
            ghosts: Vec::new(),
        };
        handle.set_service(service.clone()).await;
        // Whoever greets or shows a URL next must see it.
        let _ = handle.snapshots().wait_for(|snapshot| snapshot.service.capacity > 0).await;

        let (told, crashed) = watch::channel(Vec::new());
        let parts = Parts::new(handle.clone(), told);
        let working = parts.workers.shutdown.clone();
        let kept = journal::keep(to_log, known, parts.followers.shutdown.clone());
        parts.followers.start("what writes events into the log", kept);
        let (shown, projection) = parts.project(dir, reader, settings::projection(config, &private_key));
        let feed = parts.lead_runs(&prepared, &private_key, shown, effects)?;
        let preflight = parts.look_for_ansible(subject(&prepared, &private_key), kit.clone());
        let ghosts = Ghosts::default();
        let (pool_in, pool) = watch::channel(None);
        let watched = board::watch_pool(handle.clone(), pool_in, working.clone());
        parts.workers.start("what watches the pool of addresses", watched);
        let sources = board::Sources {
            dir: dir.clone(),
            files,
            projection,
            preflight,
            kit: kit.clone(),
            ghosts: ghosts.clone(),
            pool,
            crashed: crashed.clone(),
        };
        parts.workers.start(BOARD, board::run(handle.clone(), service, sources, working.clone()));
        parts.workers.start("what reads changed files", reloader.run(working.clone()));
        let probing = probe::Settings { port: config.ansible.ssh_port, ..probe::Settings::default() };
        parts.workers.start("what proves nodes", probe::run(handle.clone(), probing, working.clone()));
        parts.workers.start("what watches deadlines and the gate", tick(handle.clone(), working.clone()));
        let previewer = Previewer::new(kit.clone(), state_dir.clone());

        let app = App::new(handle.clone(), settings::server(config, fingerprint), kit, ghosts, parts.serving.clone());
        let tests = app.self_tests();
        let client = LocalClient::new(handle.clone(), feed, operator(), state_dir.clone(), tests, previewer);
        let commands = api::server::serve(socket, handle.clone(), client.clone(), working);
        parts.workers.start("what takes orders from other commands", commands);
        let tls = identity.as_ref().map(Identity::server_config);
        // Room for those that only report or look, beside those that are held.
        let connections = server::capacity(open_files);
        let listener = tokio::spawn(server::serve(listener, app, tls, connections));

        Ok(Self {
            handle,
            client,
            events,
            coordinator: ended,
            listener,
            serving: parts.serving,
            workers: parts.workers,
            followers: parts.followers,
            crashed,
            failure: None,
            extras,
            state_dir: state_dir.clone(),
            logging,
            _lock: lock,
        })
    }

    /// This engine, as a console sees it.
    pub(super) fn client(&self) -> LocalClient {
        self.client.clone()
    }

    /// How a console treats its terminal, now and when that changes.
    pub(super) fn extras(&self) -> watch::Receiver<tui::Extras> {
        self.extras.clone()
    }

    /// The engine's own folder.
    pub(super) fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Where the log files are.
    pub(super) fn log_folder(&self) -> &Path {
        &self.logging.folder
    }

    /// Events from now on.
    pub(super) fn events(&self) -> broadcast::Receiver<Arc<Recorded>> {
        self.events.subscribe()
    }

    /// The fleet now.
    pub(super) fn fleet(&self) -> Fleet {
        self.handle.snapshot().fleet.clone()
    }

    /// The base URL and the certificate's fingerprint.
    pub(super) fn served(&self) -> (String, Option<String>) {
        let service = &self.handle.snapshot().service;
        (service.url.clone(), service.fingerprint.clone())
    }

    /// Says what is being served, in a few lines.
    pub(super) fn greet(&self, out: &mut impl Write) -> io::Result<()> {
        let snapshot = self.handle.snapshot();
        let service = &snapshot.service;
        writeln!(out, "serving {}/answer", service.url)?;
        if let Some(fingerprint) = &service.fingerprint {
            writeln!(out, "certificate fingerprint {fingerprint}")?;
        }
        writeln!(
            out,
            "{} nodes known; up to {} machines can wait at once",
            snapshot.fleet.node_count(),
            service.capacity
        )?;
        for Problem { what, hint } in &service.problems {
            writeln!(out, "problem: {what}; {hint}")?;
        }
        Ok(())
    }

    /// Resolves when a part has ended that the engine cannot be without.
    pub(super) async fn failed(&mut self) {
        let what = tokio::select! {
            _ = &mut self.coordinator => "the coordinator ended unexpectedly; see the log",
            ended = &mut self.listener => match ended {
                Ok(()) => "the listener ended unexpectedly; see the log",
                Err(_) => "the listener crashed; see the log",
            },
            Ok(_) = self.crashed.wait_for(|names| names.contains(&BOARD)) => "an indispensable part crashed; see the log",
        };
        self.failure = Some(anyhow::anyhow!(what));
    }

    /// Stops every part: retry answers first, then the work, then the store, then the files.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        self.serving.cancel();
        if !self.listener.is_finished() {
            let _ = tokio::time::timeout(CLOSING, self.listener).await;
        }
        let _ = tokio::time::timeout(CLOSING, self.workers.end()).await;
        self.handle.stop().await;
        let _ = tokio::time::timeout(CLOSING, self.followers.end()).await;
        self.failure.map_or(Ok(()), |failure| Err(failure.into()))
    }
}

/// The tasks around the coordinator, and what ends them.
struct Parts {
    handle: Handle,
    serving: CancellationToken,
    workers: Workers,
    followers: Workers,
}

impl Parts {
    fn new(handle: Handle, crashed: watch::Sender<Vec<&'static str>>) -> Self {
        let followers = Workers::new(crashed.clone());
        Self { handle, serving: CancellationToken::new(), workers: Workers::new(crashed), followers }
    }

    /// Keeps the files under `nodes/`. Returns the sequence number they show, and what is wrong with them.
    fn project(
        &self,
        dir: &Path,
        reader: Reader,
        settings: store::ProjectionSettings,
    ) -> (watch::Receiver<u64>, watch::Receiver<Option<Problem>>) {
        let (shown_in, shown) = watch::channel(0);
        let (problem_in, problem) = watch::channel(None);
        let task = store::projection::run(
            dir.to_owned(),
            reader,
            self.handle.snapshots(),
            settings,
            shown_in,
            problem_in,
            self.followers.shutdown.clone(),
        );
        self.followers.start("what keeps the files under nodes/", task);
        (shown, problem)
    }

    /// Carries out runs, and feeds the pane with their output.
    fn lead_runs(
        &self,
        prepared: &Prepared,
        private_key: &Path,
        shown: watch::Receiver<u64>,
        effects: mpsc::Receiver<Effect>,
    ) -> io::Result<Feed> {
        let ansible = &prepared.config.ansible;
        let (feed, filler) = Feed::new(prepared.dir.clone());
        let settings = ansible::Settings {
            job: job(prepared, private_key),
            ssh_port: ansible.ssh_port,
            supervisor: vec![std::env::current_exe()?.into(), ansible::SUBCOMMAND.into()],
            patience: ansible::StopTimes::default(),
            keep_runs: ansible.keep_runs,
        };
        let working = &self.workers.shutdown;
        self.workers.start("what reads the output of runs", filler.run(working.clone()));
        let runner = Runner::new(self.handle.clone(), settings, feed.clone(), shown);
        self.workers.start("what carries out runs", runner.run(effects, working.clone()));
        Ok(feed)
    }

    /// Looks at what a run needs beside everything else: it takes some seconds.
    fn look_for_ansible(&self, subject: Subject, kit: watch::Receiver<Arc<AnswerKit>>) -> watch::Receiver<Report> {
        let (found, report) = watch::channel(Report::default());
        let look = preflight::run(subject, self.handle.clone(), kit, found, self.workers.shutdown.clone());
        self.workers.start("what looks whether Ansible could run", look);
        report
    }
}

/// The stored state and what explains answers, where no engine runs in this folder. Nothing is changed.
pub(super) fn stored(options: &EngineOptions) -> Result<(Snapshot, Previewer), Failure> {
    let prepared = prepare(options)?;
    let Prepared { dir, state_dir, config, files, .. } = &prepared;
    let reader = Reader::open(state_dir);
    if let Err(error) = reader {
        let words = format!("nothing is stored here yet ({error}); start the engine in this folder first");
        return Err(anyhow::anyhow!(words)).or_exit(Exit::NoEngine);
    }
    let _lock = StateLock::take(state_dir).or_exit(Exit::State)?;
    let mut store = Store::open(state_dir).or_exit(Exit::State)?;
    let loaded = store.load(settings::policy(config, &files.base)).or_exit(Exit::State)?;
    let key = SshKeyPair::load_or_create(state_dir).or_exit(Exit::State)?;
    let url = config.server.public_url.as_ref().map(|url| url.as_str().to_owned()).unwrap_or_default();
    let identity = config.server.tls.then(|| Identity::load_or_create(state_dir)).transpose().or_exit(Exit::State)?;
    let fingerprint = identity.map(|identity| identity.fingerprint().to_owned());
    let service = Arc::new(Service { url, fingerprint, ..Service::default() });
    let at = jiff::Timestamp::now();
    let (holds, undecided) = (imbl::OrdMap::new(), imbl::OrdMap::new());
    let snapshot = Snapshot { seq: loaded.seq, at, fleet: loaded.fleet, holds, undecided, service };
    let kit = settings::answer_kit(dir, config, files, &settings::login_key(dir, config, &key));
    let (_, kit) = watch::channel(Arc::new(kit));
    Ok((snapshot, Previewer::new(kit, state_dir.clone())))
}

/// What a run needs, but for what the answer files install: that changes with them.
fn subject(prepared: &Prepared, private_key: &Path) -> Subject {
    Subject { job: job(prepared, private_key), installs: Vec::new() }
}

/// What is run.
fn job(prepared: &Prepared, private_key: &Path) -> Job {
    let ansible = &prepared.config.ansible;
    Job {
        dir: prepared.dir.clone(),
        state_dir: prepared.state_dir.clone(),
        command: ansible.command.clone(),
        playbook: ansible.playbook.clone(),
        user: ansible.user.clone(),
        forks: forks(ansible),
        private_key: private_key.to_owned(),
    }
}

/// How the playbook is called, as far as that is known before Ansible was asked.
fn caller(config: &Config, private_key: &Path) -> Caller {
    let ansible = &config.ansible;
    Caller {
        program: ansible
            .command
            .as_ref()
            .map_or_else(|| "ansible-playbook".to_owned(), |path| path.display().to_string()),
        playbook: ansible.playbook.display().to_string(),
        user: ansible.user.clone(),
        private_key: Some(private_key.display().to_string()),
        forks: forks(ansible),
        has_own_forks: false,
    }
}

fn forks(ansible: &config::Ansible) -> Option<u16> {
    ansible.forks.map(|forks| u16::try_from(forks.get()).unwrap_or(u16::MAX))
}

/// What a run of this folder would need; makes the console's key where none is configured.
pub(super) fn ansible_subject(options: &EngineOptions) -> Result<Subject, Failure> {
    let prepared = prepare(options)?;
    let private_key = match &prepared.config.ansible.private_key {
        Some(key) => prepared.dir.join(key),
        None => SshKeyPair::load_or_create(&prepared.state_dir).or_exit(Exit::State)?.private().to_owned(),
    };
    let kit = settings::answer_kit(&prepared.dir, &prepared.config, &prepared.files, "");
    Ok(Subject { installs: settings::installs(&kit), ..subject(&prepared, &private_key) })
}

/// Reads the configuration and says what it leaves open.
pub(super) fn check(options: &EngineOptions) -> Result<Vec<Problem>, Failure> {
    let Prepared { config, files, reading, .. } = prepare(options)?;
    Ok(settings::cautions(&config, &files, reading.found.has_config()))
}

/// Reads the configuration, all problems at once.
fn prepare(options: &EngineOptions) -> Result<Prepared, Failure> {
    let dir = std::path::absolute(&options.dir)?;
    if !dir.is_dir() {
        let words = format!("`{}` is not a folder; name one with `-C DIR`", dir.display());
        return Err(anyhow::anyhow!(words)).or_exit(Exit::Usage);
    }
    let folder = Folder { dir: dir.clone(), cli: options.cli.clone(), env: options.env.clone() };
    let reading = folder.read();
    let found = &reading.found;
    match (found.config.clone(), found.base.clone(), found.profiles.clone(), found.plan.as_ref()) {
        (Ok(config), Ok(base), Ok(profiles), Ok(_)) => {
            let state_dir = dir.join(STATE_DIR);
            let files = AnswerFiles::new(&config, base, profiles);
            Ok(Prepared { dir, state_dir, config, files, folder, reading })
        }
        (config, base, profiles, plan) => {
            let problems = [config.err(), base.err(), profiles.err(), plan.err().cloned()].into_iter().flatten();
            let text: Vec<_> = problems.map(|errors| errors.to_string()).collect();
            Err(anyhow::anyhow!("the configuration cannot be used\n\n{}", text.join("\n"))).or_exit(Exit::Config)
        }
    }
}

/// What the plan of a folder is checked against. Problems of `config.toml` and `default.toml` are errors here.
pub(super) fn plan_context(options: &EngineOptions) -> Result<plan::Context, ConfigErrors> {
    let folder = Folder { dir: options.dir.clone(), cli: options.cli.clone(), env: options.env.clone() };
    let found = folder.read().found;
    let config = found.config?;
    let base = settings::effective_base(&config, found.base?);
    Ok(settings::plan_context(&folder.dir, Some(&config), Some(&base)))
}

/// Makes time pass for the fleet.
async fn tick(handle: Handle, shutdown: CancellationToken) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = interval.tick() => {}
        }
        // Where the engine is busy or cannot store, the next tick will do.
        let _ = handle.submit(Origin::System, Command::Tick).await;
    }
}
