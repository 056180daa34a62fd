//! A whole rack: makes the machines, starts their lives, gathers what happens.
//!
//! Owns options, events and the end of a run. It must not know what a machine does when (`life`).

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::client::{ExchangeError, Target};
use super::faults::{Afflictions, Fault, FaultRule};
use super::life::Life;
use super::locale::Locale;
use super::machine::{Machine, generator};
use super::release::Release;
use super::ssh::SshMode;
use super::summary::{RackEvent, Step, Summary};
use crate::domain::Product;

/// Descriptors kept for everything that is not a connection of a machine.
const SPARE_DESCRIPTORS: u64 = 64;

/// How long things take in a rack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timings {
    /// Between switching on one machine and the next.
    pub stagger: Duration,
    /// An installation, a fifth shorter or longer at random.
    pub install: Duration,
    /// A reboot, a fifth shorter or longer at random.
    pub reboot: Duration,
    /// How long a machine with the fault `hang-up` waits before it loses power, half shorter or longer.
    pub hang_up: Duration,
    /// Time over which the fault `slow-body` spreads a request.
    pub slow_body: Duration,
    /// Replaces the release's own limit of 60 s for an exchange.
    pub limit: Option<Duration>,
}

impl Timings {
    /// A real rack's times divided by `speed`: 5 min to install, 3 min to reboot. The time limit is not scaled, since
    /// the engine's hold is not either.
    #[must_use]
    pub fn at_speed(speed: f64) -> Self {
        let scaled = |seconds: f64| Duration::try_from_secs_f64(seconds / speed).unwrap_or_default();
        Self {
            stagger: scaled(10.0),
            install: scaled(300.0),
            reboot: scaled(180.0),
            hang_up: Duration::from_secs(5),
            slow_body: Duration::from_secs(5),
            limit: None,
        }
    }
}

impl Default for Timings {
    fn default() -> Self {
        Self::at_speed(30.0)
    }
}

/// What rack to simulate, and against which engine.
#[derive(Clone, Debug)]
pub struct RackOptions {
    /// The answer URL, as prepared into a medium.
    pub url: String,
    /// SHA-256 of the engine's certificate.
    pub fingerprint: Option<String>,
    /// Bearer token of the medium, sent by 9.2.
    pub token: Option<String>,
    /// How many machines.
    pub count: usize,
    /// As which installer they speak.
    pub release: Release,
    /// What they install.
    pub product: Product,
    /// The same seed makes the same machines.
    pub seed: u64,
    /// Number of the first machine; another start makes other machines of the same seed.
    pub first: usize,
    /// Address of machine 1; the others follow upwards.
    pub base_address: Ipv4Addr,
    /// How long things take.
    pub timings: Timings,
    /// What goes wrong.
    pub faults: Vec<FaultRule>,
    /// How installed nodes answer on SSH.
    pub ssh: SshMode,
    /// Their port; 0 takes any free one.
    pub ssh_port: u16,
    /// Only ask once and judge the answer, all machines at the same time: for load.
    pub answers_only: bool,
    /// Most exchanges at the same time; `None` is no limit.
    pub parallelism: Option<usize>,
    /// Somebody walks by after this time and leaves a machine's debug shell, so that it reboots and asks again.
    pub leave_shell_after: Option<Duration>,
    /// Keep installed nodes up until the shutdown; otherwise the run ends when nothing more happens by itself.
    pub stay: bool,
}

impl RackOptions {
    /// Six machines with the newest installer, a reboot in seconds, the built-in SSH server on port 2222.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            fingerprint: None,
            token: None,
            count: 6,
            release: Release::default(),
            product: Product::Pve,
            seed: 1,
            first: 1,
            base_address: Ipv4Addr::new(127, 77, 0, 1),
            timings: Timings::default(),
            faults: Vec::new(),
            ssh: SshMode::default(),
            ssh_port: 2222,
            answers_only: false,
            parallelism: None,
            leave_shell_after: None,
            stay: true,
        }
    }

    /// Address of machine `number`, if it is still a loopback address.
    fn address(&self, number: usize) -> Option<Ipv4Addr> {
        let offset = u32::try_from(number.checked_sub(1)?).ok()?;
        let address = Ipv4Addr::from(u32::from(self.base_address).checked_add(offset)?);
        (address.is_loopback() && address != Ipv4Addr::new(127, 255, 255, 255)).then_some(address)
    }
}

/// Why a rack cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The URL or fingerprint is unusable.
    #[error(transparent)]
    Target(#[from] ExchangeError),
    /// No room for so many machines behind the base address.
    #[error("no 127.x.y.z address left for machine {number} from `{base}` on; choose a lower base address")]
    Address {
        /// The first machine without an address.
        number: usize,
        /// The base address.
        base: Ipv4Addr,
    },
    /// More connections at once than this process may open.
    #[error(
        "{count} machines at once need more file descriptors than the hard limit of {limit}; raise it with \
         `ulimit -Hn` or use fewer machines"
    )]
    Descriptors {
        /// Machines that connect at once.
        count: usize,
        /// The hard limit.
        limit: u64,
    },
    /// The figures cannot be kept.
    #[error("cannot make a histogram: {0}")]
    Histogram(#[from] hdrhistogram::CreationError),
}

/// What all machines of a running rack share.
pub(super) struct Rack {
    pub(super) options: RackOptions,
    pub(super) target: Target,
    pub(super) locale: Locale,
    started: Instant,
    slots: Option<Semaphore>,
    summary: Mutex<Summary>,
    events: mpsc::Sender<RackEvent>,
}

impl Rack {
    /// Waits for a free exchange where their number is limited.
    pub(super) async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        match &self.slots {
            // The semaphore is never closed.
            Some(slots) => slots.acquire().await.ok(),
            None => None,
        }
    }

    /// Counts a step and shows it to whoever listens; a full queue slows the machine down.
    pub(super) async fn tell(&self, machine: &Machine, step: Step) {
        let after = self.started.elapsed();
        self.summary.lock().unwrap_or_else(PoisonError::into_inner).record(after, &step);
        let event = RackEvent { machine: machine.number, address: machine.address, after, step };
        // Nobody has to listen.
        let _ = self.events.send(event).await;
    }

    fn into_summary(self: Arc<Self>) -> Summary {
        let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner).clone();
        summary.wall = self.started.elapsed();
        summary
    }
}

/// Runs a rack until `shutdown`, or until nothing more happens by itself (`stay` off, or answers only).
///
/// `events` must be drained or closed by its receiver: a full queue stops the machines, as a slow terminal would.
pub async fn run_rack(
    options: RackOptions,
    events: mpsc::Sender<RackEvent>,
    shutdown: CancellationToken,
) -> Result<Summary, SimulateError> {
    let target = Target::new(&options.url, options.fingerprint.as_deref())?;
    let machines = machines(&options)?;
    raise_descriptor_limit(options.parallelism.unwrap_or(options.count).min(options.count))?;
    let rack = Arc::new(Rack {
        target,
        locale: Locale::default(),
        started: Instant::now(),
        slots: options.parallelism.map(|most| Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))),
        summary: Mutex::new(Summary::new()?),
        events,
        options,
    });
    let mut lives = JoinSet::new();
    for (machine, afflictions) in machines.clone() {
        let rng = generator(rack.options.seed, machine.number, 2);
        let place = machine.number - rack.options.first + 1;
        lives.spawn(Life::new(Arc::clone(&rack), machine, afflictions, rng).live(place));
    }
    let mut up = Vec::new();
    let settled = async {
        while let Some(life) = lives.join_next().await {
            up.extend(life.ok().flatten());
        }
        if rack.options.stay && !rack.options.answers_only {
            std::future::pending::<()>().await;
        }
    };
    let stopped = shutdown.run_until_cancelled(settled).await.is_none();
    lives.shutdown().await;
    drop(up);
    if stopped {
        for (machine, _) in &machines {
            // Not more than the listener takes at once: at the end nobody may be listening any more.
            let event = RackEvent {
                machine: machine.number,
                address: machine.address,
                after: rack.started.elapsed(),
                step: Step::Gone,
            };
            if rack.events.try_send(event).is_err() {
                break;
            }
        }
    }
    Ok(rack.into_summary())
}

/// The machines with their faults, made before any of them is switched on.
fn machines(options: &RackOptions) -> Result<Vec<(Machine, Afflictions)>, SimulateError> {
    let build = |number: usize| {
        let error = SimulateError::Address { number, base: options.base_address };
        let address = options.address(number).ok_or(error)?;
        let mut machine = Machine::build(options.seed, number, address);
        let afflictions = Afflictions::draw(&options.faults, options.seed, number);
        if let Some(dmi) = &mut machine.dmi {
            if afflictions.has(Fault::DuplicateUuid) {
                let twin = Machine::build(options.seed, 1, address).dmi;
                dmi.uuid = twin.map(|twin| twin.uuid).unwrap_or_default();
            }
            if afflictions.has(Fault::HostileText) {
                "{{ lookup('pipe','touch /tmp/x') }}\u{1b}[31m\u{202e}".clone_into(&mut dmi.model);
                "../../etc/$(id)\"\n'''".clone_into(&mut dmi.asset_tag);
            }
        }
        if afflictions.has(Fault::NoDmi) {
            machine.dmi = None;
        }
        Ok((machine, afflictions))
    };
    let first = options.first.max(1);
    (first..first.saturating_add(options.count)).map(build).collect()
}

/// Lets this process open as many connections as it is allowed to.
fn raise_descriptor_limit(connections: usize) -> Result<(), SimulateError> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(SPARE_DESCRIPTORS);
    // Where the limit cannot be read, the first refused socket tells.
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    if needed > hard {
        return Err(SimulateError::Descriptors { count: connections, limit: hard });
    }
    if needed > soft {
        // Refused only if somebody lowered the hard limit meanwhile; the first refused socket tells.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
