//! The notice board: what is being served and what is wrong with the program, gathered for all readers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::workers;
use crate::ansible::check::Report;
use crate::coordinator::Handle;
use crate::domain::ghost::Ghost;
use crate::domain::snapshot::{Problem, Service};
use crate::server::{AnswerKit, Ghosts};

/// Pause between two looks at the almost-arrivals: a flood of them must not make a flood of snapshots.
const CALM: Duration = Duration::from_millis(500);
/// Time between two looks at how far the pool reaches.
const LOOK: Duration = Duration::from_secs(1);

/// What comes and goes on the board.
pub(super) struct Sources {
    /// The project folder.
    pub(super) dir: PathBuf,
    /// The folder's files: what is wrong with them, and what they leave open.
    pub(super) files: watch::Receiver<Vec<Problem>>,
    /// The files under `nodes/`.
    pub(super) projection: watch::Receiver<Option<Problem>>,
    /// Ansible on this host.
    pub(super) preflight: watch::Receiver<Report>,
    /// What answers are made from, and who may ask.
    pub(super) kit: watch::Receiver<Arc<AnswerKit>>,
    /// Who could not even ask.
    pub(super) ghosts: Ghosts,
    /// The pool of addresses.
    pub(super) pool: watch::Receiver<Option<Problem>>,
    /// Parts of the program that are no more.
    pub(super) crashed: watch::Receiver<Vec<&'static str>>,
}

/// Gathers until `shutdown`. `fixed` holds what stays as it is; its problems are those of `sources`.
pub(super) async fn run(handle: Handle, fixed: Service, sources: Sources, shutdown: CancellationToken) {
    let Sources { dir, mut files, mut projection, mut preflight, mut kit, ghosts, mut pool, mut crashed } = sources;
    let mut changes = ghosts.changes();
    loop {
        let mut service = fixed.clone();
        service.problems = crashed.borrow_and_update().iter().map(|name| workers::problem(name)).collect();
        service.problems.extend(files.borrow_and_update().clone());
        service.problems.extend(projection.borrow_and_update().clone());
        let report = preflight.borrow_and_update().clone();
        service.problems.extend(super::preflight::problems(&report, &dir));
        service.tasks = report.tasks;
        service.caller = report.caller.unwrap_or(service.caller);
        service.problems.extend(pool.borrow_and_update().clone());
        let kit_now = Arc::clone(&kit.borrow_and_update());
        service.require_token = kit_now.access.require_token;
        service.profiles = kit_now.profile_names();
        service.ghosts = ghosts.shown();
        service.problems.extend(service.ghosts.iter().filter(|ghost| ghost.cause.is_loss()).map(problem));
        handle.set_service(service).await;
        tokio::select! {
            () = shutdown.cancelled() => return,
            Ok(()) = files.changed() => {}
            Ok(()) = projection.changed() => {}
            Ok(()) = preflight.changed() => {}
            Ok(()) = kit.changed() => {}
            Ok(()) = pool.changed() => {}
            Ok(()) = crashed.changed() => {}
            () = calmly(&mut changes) => {}
        }
    }
}

/// Watches how far the pool reaches, until `shutdown`.
pub(super) async fn watch_pool(handle: Handle, told: watch::Sender<Option<Problem>>, shutdown: CancellationToken) {
    loop {
        told.send_if_modified(|problem| {
            let now = pool_problem(&handle);
            let is_news = now != *problem;
            *problem = now;
            is_news
        });
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(LOOK) => {}
        }
    }
}

/// Says early that the pool will not do for all.
fn pool_problem(handle: &Handle) -> Option<Problem> {
    let outlook = handle.snapshot().fleet.pool_outlook()?;
    let is_short = outlook.free < u128::try_from(outlook.wanted).unwrap_or(u128::MAX);
    (is_short || outlook.free == 0).then(|| Problem {
        what: format!("the pool has {} free addresses, and {} nodes will want one", outlook.free, outlook.wanted),
        hint: "enlarge `pool` in [network] of config.toml, or forget nodes that are gone".to_owned(),
    })
}

/// Resolves some time after the almost-arrivals have changed.
async fn calmly(changes: &mut watch::Receiver<u64>) {
    if changes.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    sleep(CALM).await;
}

fn problem(ghost: &Ghost) -> Problem {
    let time = ghost.last.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S");
    Problem { what: format!("{} at {time} {}", ghost.peer, ghost.words()), hint: ghost.cause.cure().to_owned() }
}
