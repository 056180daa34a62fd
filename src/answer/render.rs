//! One machine's answer: the operator's layers with the program's own settings over them, fitted to the machine's
//! installer.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};

use super::installer::Installer;
use super::overlay::{LayerName, Overlay, Rank};
use super::problem::Severity;
use super::schema::Setting;
use super::settings::{Settings, Value};
use super::validate::{self, Target};
use super::{dialect, read};
use crate::domain::address::{Unfit, judge_host};
use crate::domain::mask::{Netmask, NetmaskError};
use crate::domain::{DocumentHash, Fqdn, Generation, MacAddr};

/// What is known about the machine and the network when an answer is made.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The name it gets, whatever the base answer says.
    pub fqdn: Fqdn,
    /// Its installer, as far as its request shows it.
    pub generation: Generation,
    /// Its installer as its profile states it; counts only where it is one of `generation`.
    pub installer: Option<Installer>,
    /// Its address, where no layer gives it one; IPv4-mapped IPv6 is unwrapped here.
    pub address: Option<Offer>,
    /// Width of its network.
    pub mask: Netmask,
    /// Name server, where the base answer names none.
    pub dns: Option<IpAddr>,
    /// Gateway, where the base answer names none.
    pub gateway: Option<IpAddr>,
    /// The NIC to configure, where no layer has a filter.
    pub nic: Option<NicChoice>,
    /// Where the machine reports; left out for installers that cannot.
    pub webhook: Option<Webhook>,
    /// A public SSH key line for root, where the base answer has none.
    pub ssh_key: Option<String>,
}

/// The address of a machine that no layer gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// The one its request came from.
    Asked(IpAddr),
    /// One of the pool.
    Pool(IpAddr),
}

impl Offer {
    fn address(self) -> IpAddr {
        let (Self::Asked(address) | Self::Pool(address)) = self;
        address
    }

    /// Where it is from, in words.
    fn from(self) -> &'static str {
        match self {
            Self::Asked(_) => "the address it asked from, and `machine_net_mask`",
            Self::Pool(_) => "`pool` and `machine_net_mask`",
        }
    }
}

/// How the installer finds the NIC to configure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NicChoice {
    /// By the MAC address of the one it asked through: `ID_NET_NAME_MAC = "*<mac>"`.
    Mac(MacAddr),
    /// By a glob over the vendor: `ID_VENDOR_FROM_DATABASE`.
    Vendor(String),
}

/// Where an installer sends its report.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Our address with the install's secret in it.
    pub url: SecretString,
    /// The same secret as installers from 9.2 on echo it in the report's body; left out for older ones.
    pub token: SecretString,
    /// SHA-256 of our certificate in hex, where we serve TLS.
    pub fingerprint: Option<String>,
}

/// An answer, ready to be sent.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The TOML, passwords and all.
    pub text: SecretString,
    /// The same with passwords, hashes and the secret in the webhook's URL replaced by `…`.
    pub redacted: String,
    /// Digest of `text`.
    pub hash: DocumentHash,
    /// Settings of the layers this installer is too old for, dotted.
    pub left_out: Vec<&'static str>,
    /// The address in it; `None` with DHCP.
    pub address: Option<IpNet>,
    /// All layers, the program's included.
    pub overlay: Overlay,
}

/// Why no answer can be made for a machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A fixed address is wanted and none is known.
    #[error("the machine's address is not known; give the node one, or set `source = \"from-dhcp\"` in default.toml")]
    NoAddress,
    /// Neither the configuration nor the base answer names one.
    #[error("no {what} is configured; set `machine_net_dns` and `machine_net_gateway` in config.toml")]
    NoServer {
        /// `gateway` or `name server`.
        what: &'static str,
    },
    /// It is not known which of its NICs to configure.
    #[error("its asking NIC is not known and `machine_net_int` is not set; set it in config.toml")]
    NoNic,
    /// The address cannot be a machine's.
    #[error("`{address}` ({from}) cannot be the node's address: {why}")]
    Unfit {
        /// The address.
        address: IpAddr,
        /// Where it is from: file and line, or words.
        from: String,
        /// What is wrong with it.
        why: Unfit,
    },
    /// IPv4 beside IPv6.
    #[error("the {what} `{value}` and the machine's address `{address}` are not of one family; set a {what} that fits")]
    Family {
        /// `gateway` or `name server`.
        what: &'static str,
        /// Its address.
        value: IpAddr,
        /// The machine's address.
        address: IpAddr,
    },
    /// The mask does not fit the address.
    #[error(transparent)]
    Mask(NetmaskError),
    /// A layer names no address.
    #[error("`network.cidr` ({place}) is `{text}`, which is no address with a prefix length")]
    Cidr {
        /// What stands there.
        text: String,
        /// Where.
        place: String,
    },
    /// The vendor pattern is malformed.
    #[error("the NIC pattern `{pattern}` is malformed: {reason}; correct `machine_net_int`")]
    Vendor {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The base answer asks for something this installer cannot do.
    #[error("`{setting}` is too new for this machine's installer ({generation}); remove it, or boot a newer installer")]
    TooNew {
        /// The setting, dotted.
        setting: &'static str,
        /// The installer in words.
        generation: &'static str,
    },
    /// The finished answer would be refused by the machine.
    #[error(
        "installer {installer} would refuse the answer: {problem}; correct it (`answer show` says where it is from), or boot a newer installer"
    )]
    Refused {
        /// The strictest of its kind.
        installer: Installer,
        /// The first of its reasons.
        problem: String,
    },
    /// The machine would take the finished answer, and be lost to it.
    #[error("the answer would strand the machine: {problem}; correct it (`answer show` says where it is from)")]
    Harmful {
        /// The first of its reasons.
        problem: String,
    },
    /// The written text does not read back as what was meant. A defect of this program; nothing is sent.
    #[error("the answer does not read back as it was meant; please report this defect")]
    SelfCheck,
}

/// Makes the answer for one machine from the operator's `layers`, laid over each other. The same inputs give the same
/// bytes.
///
/// # Errors
///
/// [`RenderError`], in words for the node's row: nothing may be sent then but the retry answer.
pub fn render(layers: &Overlay, inputs: &Inputs) -> Result<Rendered, RenderError> {
    let mut answer = Program { overlay: layers.clone() };
    answer.put("the node's name", [(Setting::Fqdn, Value::Text(inputs.fqdn.as_str().to_owned()))]);
    let address = if layers.uses_dhcp() {
        if !layers.has(Setting::Source) {
            answer.put("what installers do without it", [(Setting::Source, Value::Text("from-dhcp".to_owned()))]);
        }
        None
    } else {
        Some(network(&mut answer, inputs)?)
    };
    if !layers.has_ssh_keys()
        && let Some(key) = &inputs.ssh_key
    {
        answer.put("the console's own key", [(Setting::RootSshKeys, Value::Texts(vec![key.clone()]))]);
    }
    let stated = inputs.installer.filter(|installer| installer.generation() == inputs.generation);
    let installers = stated.map_or_else(|| Installer::ends(inputs.generation).to_vec(), |installer| vec![installer]);
    let served_as = installers.first().copied().unwrap_or(Installer::oldest(inputs.generation));
    if let Some(webhook) = inputs.webhook.as_ref().filter(|_| inputs.generation.has_webhook()) {
        report_to(&mut answer, webhook, served_as);
    }
    let mut settings = answer.overlay.settings();
    let left_out = dialect::fit(&mut settings, served_as).map_err(|setting| RenderError::TooNew {
        setting: setting.spec().path,
        generation: inputs.generation.label(),
    })?;
    let text = write(&settings, &installers)?;
    Ok(Rendered {
        hash: DocumentHash::of(text.as_bytes()),
        text: SecretString::from(text),
        redacted: settings.redacted().to_toml(),
        left_out,
        address,
        overlay: answer.overlay,
    })
}

/// The layers with the program's own laid over them.
struct Program {
    overlay: Overlay,
}

impl Program {
    /// Puts values in; `from` says in words where they are from.
    fn put(&mut self, from: &str, values: impl IntoIterator<Item = (Setting, Value)>) {
        let source = LayerName { rank: Rank::Program, name: from.to_owned() };
        self.overlay = Overlay::stated(source, values).over(std::mem::take(&mut self.overlay));
    }
}

/// Puts in address, gateway, name server and NIC. What the layers name themselves stays, but for an address in
/// `default.toml`, which would be that of every machine.
fn network(answer: &mut Program, inputs: &Inputs) -> Result<IpNet, RenderError> {
    let network = if let Some(own) = own_address(&answer.overlay)? {
        own
    } else {
        let offer = inputs.address.ok_or(RenderError::NoAddress)?;
        let address = host_address(offer.address(), || offer.from().to_owned())?;
        let network = inputs.mask.network_of(address).map_err(RenderError::Mask)?;
        answer.put(offer.from(), [(Setting::Cidr, Value::Text(network.to_string()))]);
        network
    };
    let address = network.addr();
    let servers = [
        (Setting::Dns, "name server", inputs.dns, "`machine_net_dns`"),
        (Setting::Gateway, "gateway", inputs.gateway, "`machine_net_gateway`"),
    ];
    for (setting, what, configured, from) in servers {
        let own = answer.overlay.text(setting).and_then(|text| text.parse::<IpAddr>().ok());
        let value = own.or(configured).ok_or(RenderError::NoServer { what })?.to_canonical();
        if value.is_ipv4() != address.is_ipv4() {
            return Err(RenderError::Family { what, value, address });
        }
        let text = Value::Text(value.to_string());
        if own.is_some() {
            answer.overlay.amend(setting, text);
        } else {
            answer.put(from, [(setting, text)]);
        }
    }
    if !answer.overlay.has_nic_filter() {
        let nic = inputs.nic.as_ref().ok_or(RenderError::NoNic)?;
        let from = match nic {
            NicChoice::Mac(_) => "the interface it asked through",
            NicChoice::Vendor(_) => "`machine_net_int`",
        };
        answer.put(from, [(Setting::NicFilter, Value::Table(nic_filter(nic)?))]);
    }
    Ok(network)
}

/// The address that a layer above `default.toml`, or a template, gives this node.
fn own_address(overlay: &Overlay) -> Result<Option<IpNet>, RenderError> {
    let Some(stated) = overlay.own_address() else { return Ok(None) };
    let text = overlay.text(Setting::Cidr).unwrap_or_default();
    let place = || stated.origin.to_string();
    let network: IpNet = text.parse().map_err(|_| RenderError::Cidr { text: text.to_owned(), place: place() })?;
    host_address(network.addr(), place)?;
    Ok(Some(network))
}

/// The address as a machine's own.
fn host_address(address: IpAddr, from: impl FnOnce() -> String) -> Result<IpAddr, RenderError> {
    let address = address.to_canonical();
    judge_host(address).map_err(|why| RenderError::Unfit { address, from: from(), why })?;
    Ok(address)
}

pub(super) fn nic_filter(nic: &NicChoice) -> Result<BTreeMap<String, String>, RenderError> {
    let (key, pattern) = match nic {
        NicChoice::Mac(mac) => ("ID_NET_NAME_MAC", format!("*{}", mac.bare())),
        NicChoice::Vendor(pattern) => {
            glob::Pattern::new(pattern)
                .map_err(|error| RenderError::Vendor { pattern: pattern.clone(), reason: error.msg })?;
            ("ID_VENDOR_FROM_DATABASE", pattern.clone())
        }
    };
    Ok(BTreeMap::from([(key.to_owned(), pattern)]))
}

/// Puts in the webhook and, with it, the reboot without which a failed report strands an installed node in a debug shell
/// (PROTOCOL.md §c.1).
fn report_to(answer: &mut Program, webhook: &Webhook, installer: Installer) {
    let mut values = vec![(Setting::WebhookUrl, Value::Text(webhook.url.expose_secret().to_owned()))];
    values.extend(webhook.fingerprint.clone().map(|hex| (Setting::WebhookFingerprint, Value::Text(hex))));
    if dialect::knows(installer, Setting::WebhookToken) {
        values.push((Setting::WebhookToken, Value::Text(webhook.token.expose_secret().to_owned())));
    }
    answer.put("where it reports to", values);
    answer.put("a failed report must not strand it", [(Setting::RebootOnError, Value::Flag(true))]);
}

/// Writes the text and reads it back: what does not come back as it was meant, or what one of these installers would
/// refuse, is not sent, nor what it would take to its harm: an address that is a whole network's, one that cannot be called.
fn write(settings: &Settings, installers: &[Installer]) -> Result<String, RenderError> {
    let text = settings.to_toml();
    let reading = read::read(&text).map_err(|_| RenderError::SelfCheck)?;
    if !reading.problems.is_empty() || reading.settings != *settings {
        return Err(RenderError::SelfCheck);
    }
    for &installer in installers {
        let problems = validate::check(&reading, Target::Whole(installer));
        if let Some(problem) = problems.iter().find(|problem| problem.severity == Severity::Error) {
            return Err(RenderError::Refused { installer, problem: problem.message.clone() });
        }
        // Our own address and fingerprint are no business of the operator's files.
        let is_theirs = |path: &str| !path.starts_with("post-installation-webhook");
        let harm =
            problems.into_iter().find(|problem| problem.severity == Severity::Danger && is_theirs(&problem.path));
        if let Some(problem) = harm {
            return Err(RenderError::Harmful { problem: problem.message });
        }
    }
    Ok(text)
}
