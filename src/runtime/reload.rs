//! The folder's files while the engine runs: an edit is read and put in force, a bad one is told and changes nothing.
//!
//! Owns the watch on the folder and the answer kit. What the files mean is the business of `config` and `answer`; which
//! settings a running engine can take over is decided here ([`waiting_for_restart`]). It writes no file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::folder::{Folder, InForce, Reading};
use super::settings::{self, AnswerFiles};
use crate::config::{self, BASE_ANSWER_FILE, CONFIG_FILE, Config, ConfigErrors};
use crate::coordinator::Handle;
use crate::domain::snapshot::Problem;
use crate::domain::text::Text;
use crate::domain::{Command, Origin, Reply};
use crate::plan::PLAN_FILE;
use crate::server::AnswerKit;
use crate::tui;

/// Time without a further change after which a file counts as written: editors truncate, write and rename.
const QUIET: Duration = Duration::from_millis(150);
/// Time after which a folder that never comes to rest is read all the same.
const RESTLESS: Duration = Duration::from_secs(2);
/// Time between two looks where nothing tells of changes: file systems over the network, links that lead elsewhere.
const LOOK: Duration = Duration::from_secs(10);

/// What is in force, and who is told of changes.
#[derive(Debug)]
pub(super) struct Reloader {
    folder: Folder,
    handle: Handle,
    /// The public line of the console's own SSH key.
    ssh_key: String,
    /// What the engine was started with: some of it stays in force.
    started: Config,
    in_force: InForce,
    last: Reading,
    /// Profiles in force whose files are gone, and since when.
    gone: BTreeMap<String, Instant>,
    /// What of the plan stands against the fleet, in words.
    held: Vec<Text>,
    kit: watch::Sender<Arc<AnswerKit>>,
    extras: watch::Sender<tui::Extras>,
    problems: watch::Sender<Vec<Problem>>,
}

impl Reloader {
    /// Starts from files that are in force. Returns what is wrong with them and what answers are made from, as both
    /// change.
    pub(super) fn new(
        folder: Folder,
        handle: Handle,
        ssh_key: &str,
        (config, files, last): (Config, AnswerFiles, Reading),
    ) -> (Self, watch::Receiver<Vec<Problem>>, watch::Receiver<Arc<AnswerKit>>) {
        let (kit, answers) = watch::channel(Arc::new(settings::answer_kit(&folder.dir, &config, &files, ssh_key)));
        let found = &last.found;
        let mut cautions: Vec<_> = not_in_force(&found.overrides).into_iter().collect();
        cautions.extend(settings::cautions(&config, &files, found.has_config()));
        let (problems, shown) = watch::channel(cautions);
        let reloader = Self {
            folder,
            handle,
            ssh_key: ssh_key.to_owned(),
            started: config.clone(),
            in_force: InForce { config: config.clone(), files, seen: found.present, believed: BTreeSet::new() },
            last,
            gone: BTreeMap::new(),
            held: Vec::new(),
            kit,
            extras: watch::Sender::new(settings::extras(&config)),
            problems,
        };
        (reloader, shown, answers)
    }

    /// How a console treats its terminal, now and when that changes.
    pub(super) fn extras(&self) -> watch::Receiver<tui::Extras> {
        self.extras.subscribe()
    }

    /// Follows the files until `shutdown`.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let wake = Arc::new(Notify::new());
        let mut watcher = follow(&self.folder.dir, Arc::clone(&wake));
        let profiles = self.folder.dir.join(config::PROFILES_FOLDER);
        let mut watched = false;
        if let Err(error) = &watcher {
            tracing::warn!("changes of the files are looked for every {} s only: {error}", LOOK.as_secs());
        }
        loop {
            // At once the first time: the files may have changed before the watch began.
            self.look().await;
            let is_there = profiles.is_dir();
            if let Ok(watcher) = &mut watcher
                && is_there != watched
            {
                // Where it cannot be watched, it is looked at like the rest.
                watched = is_there && watcher.watch(&profiles, RecursiveMode::NonRecursive).is_ok();
                if watched {
                    continue;
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = wake.notified() => settle(&wake).await,
                () = sleep(LOOK) => {}
            }
        }
    }

    /// Reads what has changed, and puts in force what is new and good.
    async fn look(&mut self) {
        let Some(reading) = self.read().await else {
            // What stood against the plan may be gone by now.
            if !self.held.is_empty() {
                self.plan().await;
            }
            return;
        };
        let (found, last) = (&reading.found, &self.last.found);
        tell(CONFIG_FILE, &found.config, &last.config);
        tell(BASE_ANSWER_FILE, &found.base, &last.base);
        tell(PLAN_FILE, &found.plan, &last.plan);
        tell(config::PROFILES_FOLDER, &found.profiles, &last.profiles);
        for problem in found.overrides.iter().filter(|problem| !last.overrides.contains(problem)) {
            tracing::error!("its node is not answered until this is mended\n{problem}");
        }
        for (seen, present) in self.in_force.seen.iter_mut().zip(found.present) {
            *seen |= present;
        }
        let is_new_plan = found.plan != last.plan;
        self.last = reading;
        self.put_in_force().await;
        if is_new_plan {
            self.plan().await;
        }
        self.problems.send_replace(self.wrong());
    }

    /// Reads what has changed; `None` where that says nothing new.
    async fn read(&mut self) -> Option<Reading> {
        // A file system may take its time.
        let folder = self.folder.clone();
        let look = tokio::task::spawn_blocking(move || folder.look()).await.ok()?;
        if self.last.holds(&look) {
            return None;
        }
        let waited = self.gone.iter().filter(|(_, since)| since.elapsed() >= LOOK);
        self.in_force.believed = waited.map(|(name, _)| name.clone()).collect();
        let (folder, last, in_force) = (self.folder.clone(), self.last.clone(), self.in_force.clone());
        let read = tokio::task::spawn_blocking(move || folder.read_since(look, Some((&last, &in_force))));
        let reading = read.await.ok()?;
        self.gone.retain(|name, _| reading.gone.contains(name));
        for name in &reading.gone {
            self.gone.entry(name.clone()).or_insert_with(Instant::now);
        }
        if reading.found == self.last.found {
            self.last = reading;
            return None;
        }
        Some(reading)
    }

    /// Hands the plan to the fleet, where it can be used.
    pub(super) async fn plan(&mut self) {
        let Ok(plan) = &self.last.found.plan else { return };
        let entries = plan.entries.clone();
        match self.handle.submit(Origin::System, Command::Plan { entries }).await {
            Ok(Reply::Planned(held)) if held != self.held => {
                for words in &held {
                    tracing::warn!("{PLAN_FILE}: {words}");
                }
                self.held = held;
                self.problems.send_replace(self.wrong());
            }
            Ok(_) => {}
            Err(error) => tracing::error!("{PLAN_FILE} is not in force: {error}"),
        }
    }

    async fn put_in_force(&mut self) {
        let InForce { config: old, files: before, .. } = &self.in_force;
        let found = &self.last.found;
        let config = found.config.as_ref().unwrap_or(old).clone();
        // What was checked together comes in force together.
        let files = found.base.as_ref().ok().zip(found.profiles.as_ref().ok());
        let (written, profiles) = files.unwrap_or((&before.written, &before.profiles));
        let files = AnswerFiles::new(&config, written.clone(), profiles.clone());
        if config == *old && files == *before {
            return;
        }
        for name in before.profiles.names().filter(|name| files.profiles.get(name).is_none()) {
            let file = config::profile_file(name);
            tracing::warn!("{file} is gone, and no longer in force: its machines are answered without it");
        }
        self.handle.set_policy(settings::policy(&config, &files.base)).await;
        let extras = settings::extras(&config);
        self.extras.send_if_modified(|now| std::mem::replace(now, extras) != extras);
        let kit = settings::answer_kit(&self.folder.dir, &config, &files, &self.ssh_key);
        (self.in_force.config, self.in_force.files) = (config, files);
        self.kit.send_replace(Arc::new(kit));
    }

    /// What the operator should know about the files, the worst first.
    fn wrong(&self) -> Vec<Problem> {
        let (last, InForce { config, files, .. }) = (&self.last.found, &self.in_force);
        let answer_files = [last.config.as_ref().err(), last.base.as_ref().err(), last.profiles.as_ref().err()];
        let bad = answer_files.into_iter().chain([last.plan.as_ref().err()]);
        let mut problems: Vec<_> = bad.flatten().filter_map(not_taken_over).collect();
        problems.extend(not_in_force(&last.overrides));
        problems.extend(against_the_plan(&self.held));
        problems.extend(waiting_for_restart(&self.started, config));
        problems.extend(settings::cautions(config, files, last.has_config()));
        problems
    }
}

/// Wakes at every change in the folder, and where changes were missed.
fn follow(dir: &Path, wake: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own reading is an event too.
        let is_reading = |kind: &EventKind| kind.is_access() && *kind != CLOSED;
        if !event.is_ok_and(|event| is_reading(&event.kind) && !event.need_rescan()) {
            wake.notify_one();
        }
    })?;
    watcher.watch(dir, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// A file that was open for writing was closed.
const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

/// Waits until the folder has come to rest.
async fn settle(wake: &Notify) {
    let started = Instant::now();
    while started.elapsed() < RESTLESS && timeout(QUIET, wake.notified()).await.is_ok() {}
}

/// Logs what became of a file, where that is news.
fn tell<T: PartialEq>(name: &str, now: &Result<T, ConfigErrors>, before: &Result<T, ConfigErrors>) {
    match now {
        _ if now == before => {}
        Ok(_) => tracing::info!("{name} was read again and is in force"),
        Err(errors) => tracing::error!("{name} cannot be used; what was read before stays in force\n{errors}"),
    }
}

/// The first thing that is wrong with a file, in one line.
pub(super) fn not_taken_over(errors: &ConfigErrors) -> Option<Problem> {
    first_of(errors.0.list(), "correct it; what was read before stays in force")
}

/// The first thing that is wrong with overrides.
fn not_in_force(problems: &[config::Problem]) -> Option<Problem> {
    first_of(problems, "correct it; its node is not answered until then")
}

fn first_of(problems: &[config::Problem], otherwise: &str) -> Option<Problem> {
    let first = problems.first()?;
    let file = Path::new(&first.file).file_name().map_or_else(|| first.file.clone(), |name| name.display().to_string());
    // Names that are told apart by their folder only.
    let folder = Path::new(&first.file).parent().and_then(Path::file_name).map(|name| name.display().to_string());
    let file = match folder {
        Some(folder) if ![CONFIG_FILE, BASE_ANSWER_FILE].contains(&&*file) => format!("{folder}/{file}"),
        _ => file,
    };
    let line = first.place.as_ref().filter(|place| place.line > 0).map(|place| format!(":{}", place.line));
    let more = match problems.len() {
        0 | 1 => String::new(),
        count => format!(" (+{} more, see the log)", count - 1),
    };
    Some(Problem {
        what: format!("{file}{}: {}{more}", line.unwrap_or_default(), first.message),
        hint: first.hint.clone().unwrap_or_else(|| otherwise.to_owned()),
    })
}

/// What of the plan stands against the fleet, in one line.
fn against_the_plan(held: &[Text]) -> Option<Problem> {
    let first = held.first()?;
    let more = match held.len() {
        1 => String::new(),
        count => format!(" (+{} more, see the log)", count - 1),
    };
    let hint = "the rest of the plan is in force".to_owned();
    Some(Problem { what: format!("{PLAN_FILE}: {first}{more}"), hint })
}

/// Settings that were changed and that a running engine cannot take over.
fn waiting_for_restart(started: &Config, now: &Config) -> Option<Problem> {
    let (server, ansible) = (&started.server, &started.ansible);
    let changed = [
        ("server.listen", server.listen != now.server.listen),
        ("server.tls", server.tls != now.server.tls),
        ("server.public_url", server.public_url != now.server.public_url),
        ("server.max_held", server.max_held != now.server.max_held),
        ("server.hold", server.hold != now.server.hold),
        ("ansible.playbook", ansible.playbook != now.ansible.playbook),
        ("ansible.user", ansible.user != now.ansible.user),
        ("ansible.ssh_port", ansible.ssh_port != now.ansible.ssh_port),
        ("ansible.forks", ansible.forks != now.ansible.forks),
        ("ansible.command", ansible.command != now.ansible.command),
        ("ansible.private_key", ansible.private_key != now.ansible.private_key),
        ("ansible.keep_runs", ansible.keep_runs != now.ansible.keep_runs),
        ("log.level", started.log != now.log),
    ];
    let names: Vec<_> = changed.iter().filter(|(_, is)| *is).map(|(name, _)| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| Problem {
        what: format!("takes effect after a restart: {}", names.join(", ")),
        hint: "restart the engine when it suits you; everything else is in force".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CliLayer, EnvLayer};
    use rstest::rstest;

    fn folder(dir: &Path) -> Folder {
        Folder { dir: dir.to_owned(), cli: CliLayer::default(), env: EnvLayer::default() }
    }

    fn config_of(text: &str) -> Config {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(CONFIG_FILE), text).unwrap();
        folder(dir.path()).read().found.config.unwrap()
    }

    #[rstest]
    #[case::nothing("", None)]
    #[case::in_force(
        "machine_net_dn = \"a.example\"\n[ansible]\nexpect = 3\n[approval]\nrepeat_window = \"1m\"\n",
        None
    )]
    #[case::listener("[server]\nlisten = \"127.0.0.1:1\"\ntls = false\n", Some("`server.listen`, `server.tls`"))]
    #[case::ansible("[ansible]\nssh_port = 23\nstart = \"by-hand\"\n", Some("`ansible.ssh_port`"))]
    #[case::console("[console]\nmouse = false\nbell = false\n", None)]
    #[case::log("[log]\nlevel = \"debug\"\n", Some("`log.level`"))]
    fn what_needs_a_restart_is_named(#[case] text: &str, #[case] names: Option<&str>) {
        let told = waiting_for_restart(&Config::default(), &config_of(text)).map(|problem| problem.what);
        assert_eq!(told, names.map(|names| format!("takes effect after a restart: {names}")));
    }

    #[test]
    fn a_bad_file_is_told_in_one_line_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(CONFIG_FILE), "\n[server]\nlissten = \"x\"\nhold = \"2m\"\n").unwrap();
        let found = folder(dir.path()).read().found;
        let problem = not_taken_over(&found.config.unwrap_err()).unwrap();
        assert!(problem.what.starts_with("config.toml:3: unknown key `"), "{}", problem.what);
        assert!(problem.what.ends_with("(+1 more, see the log)"), "{}", problem.what);
        assert_eq!(problem.hint, "did you mean `listen`?");
        assert!(!problem.what.contains('\n'));
    }

    #[test]
    fn an_emptied_override_keeps_its_node_from_being_answered() {
        let dir = tempfile::tempdir().unwrap();
        let node = dir.path().join("nodes/pve-1.example.com");
        std::fs::create_dir_all(&node).unwrap();
        std::fs::write(node.join("override.toml"), "").unwrap();
        let problem = not_in_force(&folder(dir.path()).read().found.overrides).unwrap();
        assert_eq!(problem.what, "pve-1.example.com/override.toml: the file is empty");
    }
}
