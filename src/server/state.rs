//! What every request handler shares, and what the runtime fills it from.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::ghosts::Ghosts;
use super::limits::Budgets;
use super::neighbours::Neighbours;
use super::rates::Rates;
use super::report_desk::ReportDesk;
use super::self_test::SelfTests;
use crate::answer::{BaseAnswer, Profiles};
use crate::coordinator::Handle;
use crate::domain::NicRule;
use crate::domain::mask::Netmask;

/// Settings that hold as long as the listener does.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Whether machines speak TLS to us.
    pub tls: bool,
    /// What machines are told to call, without a slash at its end; `None` means the address their request came in on.
    pub public_url: Option<String>,
    /// How long a request is held for the operator, from the accept of its connection; 52 s at most whatever is set.
    pub hold: Duration,
    /// SHA-256 of our certificate, where we serve TLS.
    pub fingerprint: Option<String>,
}

/// What answers are made from, and who may ask. Swapped as a whole when the operator's files change.
#[derive(Clone, Debug)]
pub struct AnswerKit {
    /// The project folder, where nodes' overrides are looked for.
    pub dir: PathBuf,
    /// `default.toml`.
    pub base: BaseAnswer,
    /// `profiles/`.
    pub profiles: Profiles,
    /// The machines' network.
    pub network: NetworkSettings,
    /// The public SSH key line that is put in where `default.toml` has none.
    pub ssh_key: Option<String>,
    /// Who may ask, and how much a client may take.
    pub access: Access,
}

/// The machines' network as `config.toml` describes it.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    /// `machine_net_mask`
    pub mask: Netmask,
    /// `machine_net_dns`
    pub dns: Option<IpAddr>,
    /// `machine_net_gateway`
    pub gateway: Option<IpAddr>,
    /// Which NIC an answer configures, where no layer has a filter for it.
    pub nic: NicBy,
}

/// What tells the NIC that an answer configures. A vendor is a glob over its name (`machine_net_int`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NicBy {
    /// It is the one the machine asked through; where that is not known, any of this vendor.
    Asking {
        /// The vendor.
        otherwise: Option<String>,
    },
    /// Any of this vendor, whichever asked.
    Vendor(String),
}

impl NicBy {
    /// The same as a rule for decisions, which need no vendor's name.
    #[must_use]
    pub fn rule(&self) -> NicRule {
        match self {
            Self::Asking { otherwise } => NicRule::Asking { or_vendor: otherwise.is_some() },
            Self::Vendor(_) => NicRule::Vendor,
        }
    }
}

/// The handlers' shared state. One pointer: each of thousands of open connections has some.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>);

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What [`App`] is made of.
#[derive(Debug)]
pub struct Parts {
    pub(super) handle: Handle,
    pub(super) settings: Arc<ServerSettings>,
    pub(super) kit: watch::Receiver<Arc<AnswerKit>>,
    pub(super) neighbours: Arc<Neighbours>,
    pub(super) budgets: Budgets,
    pub(super) reports: ReportDesk,
    pub(super) ghosts: Ghosts,
    /// Bad tokens.
    pub(super) failures: Rates,
    /// Requests and reports that cost room in the store.
    pub(super) requests: Rates,
    pub(super) self_tests: SelfTests,
    pub(super) shutdown: CancellationToken,
}

impl App {
    /// Puts the parts together. Cancelling `shutdown` ends [`serve`](super::serve) and every hold; whoever cannot
    /// even ask is listed in `ghosts`.
    #[must_use]
    pub fn new(
        handle: Handle,
        settings: ServerSettings,
        kit: watch::Receiver<Arc<AnswerKit>>,
        ghosts: Ghosts,
        shutdown: CancellationToken,
    ) -> Self {
        Self(Arc::new(Parts {
            reports: ReportDesk::new(handle.clone(), ghosts.clone(), shutdown.clone()),
            handle,
            settings: Arc::new(settings),
            kit,
            neighbours: Arc::default(),
            budgets: Budgets::default(),
            ghosts,
            failures: Rates::default(),
            requests: Rates::default(),
            self_tests: SelfTests::default(),
            shutdown,
        }))
    }

    /// The words of self-tests that it lets pass.
    #[must_use]
    pub fn self_tests(&self) -> SelfTests {
        self.self_tests.clone()
    }
}
