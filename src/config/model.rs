//! The resolved configuration: typed, complete, valid. The defaults live here and nowhere else, but for those of what
//! decisions follow: they are [`Policy::default`]'s.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::url::PublicUrl;
use crate::domain::address::{AddressRange, AddressSource};
use crate::domain::mask::Netmask;
use crate::domain::{Auto, Policy, StartRule, WebhookAuth, WhenUnapproved};

/// Everything `config.toml`, the environment and the command line say about how the console runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// How nodes are named.
    pub naming: Naming,
    /// The machines' network, for answers with `source = "from-answer"`.
    pub network: Network,
    /// `[server]`
    pub server: Server,
    /// `[approval]`
    pub approval: Approval,
    /// `[install]`
    pub install: Install,
    /// `[ansible]`
    pub ansible: Ansible,
    /// `[console]`
    pub console: Console,
    /// `[limits]`
    pub limits: Limits,
    /// `[log]`
    pub log: Log,
}

/// How nodes are named: prefix, last digits of the machine's UUID, domain.
///
/// Checked together: `<prefix>0000.<domain>` is a valid [`Fqdn`](crate::domain::Fqdn).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// `machine_template_name`, in lower case; has no dot.
    pub prefix: String,
    /// `machine_net_dn`, in lower case, without dots at its ends.
    pub domain: String,
}

/// The machines' network. With `from-dhcp` in `default.toml` nothing here is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// `machine_net_mask`
    pub mask: Netmask,
    /// `machine_net_dns`; there is no sensible default.
    pub dns: Option<IpAddr>,
    /// `machine_net_gateway`; there is no sensible default.
    pub gateway: Option<IpAddr>,
    /// `machine_net_int`: a glob over udev's `ID_VENDOR_FROM_DATABASE`, used where the asking NIC's MAC is not known.
    pub nic_vendor: Option<String>,
    /// Where a node's address comes from.
    pub address: AddressSource,
    /// How the NIC to configure is told.
    pub nic: NicSource,
    /// What `address = "pool"` gives out.
    pub pool: Vec<AddressRange>,
    /// What of it is never given out.
    pub pool_exclude: Vec<AddressRange>,
}

/// How the installer is told which NIC to configure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NicSource {
    /// By the NIC the machine asked through; by vendor only where that is not known.
    #[default]
    Asking,
    /// By the vendor in `machine_net_int`, always.
    Vendor,
}

/// `[server]`: the listener that machines talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Address and port; port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// HTTPS with the program's own certificate.
    pub tls: bool,
    /// What machines are told to call; `None` means the address their request came in on.
    pub public_url: Option<PublicUrl>,
    /// How a report proves which machine it is about (ADR 7).
    pub webhook_auth: WebhookAuth,
    /// Most answer requests held open at once.
    pub max_held: NonZeroU32,
    /// How long a request is held for the operator: 1 to 50 s (the installer gives up at 60 s, PROTOCOL.md §a.4).
    pub hold: Duration,
    /// Networks whose machines may ask and report; none means all.
    pub allow: Vec<IpNet>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// `[approval]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Which machines are approved without a person.
    pub auto: Auto,
    /// How long a decision can be taken back before it takes effect: 0 to 30 s.
    pub undo_window: Duration,
    /// What a machine nobody decided about gets when its hold ends.
    pub when_unapproved: WhenUnapproved,
    /// How long after its first answer a machine that asks again is served by itself (ARCHITECTURE.md, "The guard").
    pub repeat_window: Duration,
    /// Whether a machine must show a token to get a row at all.
    pub require_token: bool,
}

/// `[install]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// An installing node without a report for this long is `stalled`.
    pub deadline: Duration,
    /// A booting node that SSH cannot reach for this long is `unreachable`.
    pub boot_deadline: Duration,
}

/// `[ansible]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ansible {
    /// What starts a run.
    pub start: StartRule,
    /// How long a run that starts by itself is announced before it does.
    pub countdown: Duration,
    /// The gate also waits for this many nodes.
    pub expect: Option<NonZeroU32>,
    /// How long a run may take before its nodes say so, while the program does not know what is usual.
    pub deadline: Duration,
    /// The playbook; a relative path starts at the folder of `config.toml`.
    pub playbook: PathBuf,
    /// The user Ansible and the probe log in as: letters, digits, `_`, `-` and `.` only.
    pub user: String,
    /// The port Ansible and the probe use; never 0.
    pub ssh_port: u16,
    /// `--forks`; `None` leaves it to the user's Ansible configuration, and where that says nothing, to the number of
    /// nodes, 25 at most.
    pub forks: Option<NonZeroU32>,
    /// The `ansible-playbook` to run; `None` looks it up in `PATH`.
    pub command: Option<PathBuf>,
    /// SSH private key; `None` means the key pair the program made. Relative as `playbook`.
    pub private_key: Option<PathBuf>,
    /// How many finished runs keep their folder under `nodes/runs/`.
    pub keep_runs: NonZeroU32,
}

/// `[limits]`: what one client, or all of them, may take of the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest body of an answer request that is read as one, in bytes.
    pub answer_body: usize,
    /// Longest body of a report that is kept whole, in bytes.
    pub report_body: usize,
    /// For the TLS handshake, and then for a request's head.
    pub head_time: Duration,
    /// For the whole request, from the accept of its connection.
    pub body_time: Duration,
    /// Connections open at once; `None` means as many as the allowed open files permit.
    pub connections: Option<NonZeroU32>,
    /// Connections of one address open at once.
    pub connections_per_address: NonZeroU32,
    /// Requests of one address in a minute, and reports of it that no secret proves.
    pub requests_per_minute: NonZeroU32,
    /// Rows of machines that wait for a first decision.
    pub waiting_rows: NonZeroU32,
}

/// `[console]`: how the console treats its terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    /// Clicks and the wheel go to the console; without, the terminal's own marking and copying works as ever.
    pub mouse: bool,
    /// A machine that begins to wait rings the bell and is counted in the window's title.
    pub bell: bool,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important messages that are kept.
    pub level: LogLevel,
}

/// Importance of log messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum LogLevel {
    /// Failures only.
    Error,
    /// And what looks wrong.
    Warn,
    /// And what happens.
    Info,
    /// And why.
    Debug,
    /// And every step.
    Trace,
}

/// A word of a setting and what it means.
pub(crate) type Choices<T> = &'static [(&'static str, T)];

/// The words of `server.webhook_auth`.
pub(crate) const WEBHOOK_AUTH: Choices<WebhookAuth> = &[("secret", WebhookAuth::Secret), ("none", WebhookAuth::None)];

/// The words of `network.address`.
pub(crate) const ADDRESS: Choices<AddressSource> = &[
    ("requester", AddressSource::Requester),
    ("dhcp", AddressSource::Dhcp),
    ("pool", AddressSource::Pool),
    ("plan", AddressSource::Plan),
];

/// The words of `network.nic`.
pub(crate) const NIC: Choices<NicSource> = &[("asking", NicSource::Asking), ("vendor", NicSource::Vendor)];
/// The words of `approval.auto`.
pub(crate) const AUTO: Choices<Auto> = &[("never", Auto::Never), ("planned", Auto::Planned), ("all", Auto::All)];

/// The words of `approval.when_unapproved`.
pub(crate) const WHEN_UNAPPROVED: Choices<WhenUnapproved> =
    &[("retry", WhenUnapproved::Retry), ("refuse", WhenUnapproved::Refuse)];

/// The words of `ansible.start`.
pub(crate) const START: Choices<StartRule> =
    &[("when-ready", StartRule::WhenReady), ("each-node", StartRule::EachNode), ("by-hand", StartRule::ByHand)];

/// The words of `log.level`.
pub(crate) const LOG_LEVEL: Choices<LogLevel> = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// Bytes of a mebibyte.
pub(crate) const MIB: usize = 1024 * 1024;

/// A count that is known not to be zero.
const fn count(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// The same of a number that fits.
fn number(number: usize) -> NonZeroU32 {
    u32::try_from(number).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX)
}

impl Default for Naming {
    fn default() -> Self {
        let Policy { name_prefix: prefix, domain, .. } = Policy::default();
        Self { prefix, domain }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            mask: Netmask::SLASH_24,
            dns: None,
            gateway: None,
            nic_vendor: None,
            address: AddressSource::Requester,
            nic: NicSource::Asking,
            pool: Vec::new(),
            pool_exclude: Vec::new(),
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8443),
            tls: true,
            public_url: None,
            webhook_auth: Policy::default().webhook_auth,
            max_held: count(10_000),
            hold: Duration::from_secs(45),
            allow: Vec::new(),
            trusted_proxies: Vec::new(),
        }
    }
}

impl Default for Approval {
    fn default() -> Self {
        let Policy { auto, undo_window, when_unapproved, repeat_window, .. } = Policy::default();
        Self { auto, undo_window, when_unapproved, repeat_window, require_token: false }
    }
}

impl Default for Install {
    fn default() -> Self {
        let Policy { install_deadline: deadline, boot_deadline, .. } = Policy::default();
        Self { deadline, boot_deadline }
    }
}

impl Default for Ansible {
    fn default() -> Self {
        let Policy { start, countdown, run_deadline: deadline, .. } = Policy::default();
        Self {
            start,
            countdown,
            deadline,
            expect: None,
            playbook: PathBuf::from("setup-cluster.yml"),
            user: "root".to_owned(),
            ssh_port: 22,
            forks: None,
            command: None,
            private_key: None,
            keep_runs: count(20),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            answer_body: MIB,
            report_body: 8 * MIB,
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            connections: None,
            connections_per_address: count(512),
            requests_per_minute: count(600),
            waiting_rows: number(Policy::default().waiting_rows),
        }
    }
}

impl Default for Console {
    fn default() -> Self {
        Self { mouse: true, bell: true }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::Info }
    }
}

impl Network {
    /// The keys a `from-answer` network still needs: its dns and gateway have no default (PROTOCOL.md §b.2).
    #[must_use]
    pub fn missing(&self) -> Vec<super::Key> {
        let needed = [(super::Key::DNS, self.dns.is_none()), (super::Key::GATEWAY, self.gateway.is_none())];
        needed.into_iter().filter(|(_, missing)| *missing).map(|(key, _)| key).collect()
    }
}
