//! Makes a machine's answer in the request's own task, before the coordinator is asked to release it (DESIGN.md §4).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ipnet::IpNet;
use secrecy::SecretString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::base_url::{NoUrl, base_url};
use super::connection::ConnInfo;
use super::state::{AnswerKit, App};
use crate::answer::{Inputs, NicChoice, RenderError, Webhook, render};
use crate::domain::{Ask, Grant, Release, SecretHash};
use crate::store::AnswerText;

/// Why no answer can be made; words for the node's row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Impossible {
    /// No URL for the report.
    #[error(transparent)]
    NoUrl(#[from] NoUrl),
    /// A setting that is needed with `from-answer`.
    #[error("`{0}` is not set; set it in config.toml, or set `source = \"from-dhcp\"` in default.toml")]
    NotSet(&'static str),
    /// Neither the asking NIC nor a vendor is known.
    #[error("which of its NICs asks is not known; set `machine_net_int` in config.toml to the vendor of its NICs")]
    NoNic,
    /// The renderer's reasons.
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// An answer that waits for its release.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) release: Release,
    pub(super) answer: AnswerText,
}

/// Makes the answer that `grant` permits.
pub(super) fn prepare(
    app: &App,
    conn: &ConnInfo,
    host: Option<&str>,
    ask: &Ask,
    grant: &Grant,
) -> Result<Prepared, Impossible> {
    let kit = app.kit.borrow().clone();
    let peer = ask.stamp.peer;
    let (secret, webhook) = webhook(app, conn, host, ask)?;
    let is_static = !kit.base.uses_dhcp();
    let nic = nic(&kit, ask)?;
    let vendor_unseen = match &nic {
        NicChoice::Vendor(pattern) if is_static && !kit.base.has_nic_filter() => !has_seen(app, pattern),
        NicChoice::Mac(_) | NicChoice::Vendor(_) => false,
    };
    let inputs = Inputs {
        fqdn: grant.name.clone(),
        generation: ask.info.generation,
        address: Some(peer),
        mask: kit.network.mask,
        dns: server(kit.network.dns, "machine_net_dns", !is_static || kit.base.has_dns(), peer)?,
        gateway: server(kit.network.gateway, "machine_net_gateway", !is_static || kit.base.has_gateway(), peer)?,
        nic,
        webhook,
        ssh_key: kit.ssh_key.clone(),
    };
    let rendered = render(&kit.base, &inputs)?;
    if !rendered.left_out.is_empty() {
        tracing::info!("{}: left out for its old installer: {}", grant.node, rendered.left_out.join(", "));
    }
    // The renderer has checked that the prefix fits.
    let prefix = inputs.mask.prefix_for(peer).ok();
    let address = prefix.filter(|_| is_static).and_then(|prefix| IpNet::new(peer, prefix).ok());
    Ok(Prepared {
        release: Release {
            node: grant.node,
            stamp: ask.stamp.clone(),
            name: grant.name.clone(),
            address,
            document: rendered.hash,
            secret,
            vendor_unseen,
        },
        answer: AnswerText { node: grant.node, hash: rendered.hash, text: rendered.text, redacted: rendered.redacted },
    })
}

/// A fresh secret, and the webhook that carries it; none for installers that send no report.
fn webhook(
    app: &App,
    conn: &ConnInfo,
    host: Option<&str>,
    ask: &Ask,
) -> Result<(SecretHash, Option<Webhook>), Impossible> {
    let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let hash = SecretHash::of(secret.as_bytes());
    if !ask.info.generation.has_webhook() {
        return Ok((hash, None));
    }
    let base = base_url(app.settings.public_url.as_deref(), conn.local, conn.tls, host)?;
    let fingerprint = app.settings.fingerprint.clone().filter(|_| base.starts_with("https://"));
    let url = SecretString::from(format!("{base}/webhook/{secret}"));
    Ok((hash, Some(Webhook { url, fingerprint })))
}

fn nic(kit: &AnswerKit, ask: &Ask) -> Result<NicChoice, Impossible> {
    let is_needed = !kit.base.uses_dhcp() && !kit.base.has_nic_filter();
    match (ask.asking_mac, &kit.network.nic_vendor) {
        (Some(mac), _) => Ok(NicChoice::Mac(mac)),
        (None, Some(vendor)) => Ok(NicChoice::Vendor(vendor.clone())),
        // Not looked at.
        (None, None) if !is_needed => Ok(NicChoice::Vendor(String::new())),
        (None, None) => Err(Impossible::NoNic),
    }
}

/// The configured server, where one is needed.
fn server(
    configured: Option<IpAddr>,
    setting: &'static str,
    has_own: bool,
    peer: IpAddr,
) -> Result<IpAddr, Impossible> {
    match configured {
        Some(address) => Ok(address),
        // Not looked at where the base answer has its own.
        None if has_own && peer.is_ipv4() => Ok(Ipv4Addr::UNSPECIFIED.into()),
        None if has_own => Ok(Ipv6Addr::UNSPECIFIED.into()),
        None => Err(Impossible::NotSet(setting)),
    }
}

/// Whether any report has shown a NIC that the vendor filter would take. Matched as the installer does: the whole
/// value, case-sensitive (PROTOCOL.md §b.3).
fn has_seen(app: &App, pattern: &str) -> bool {
    let Ok(pattern) = glob::Pattern::new(pattern) else { return false };
    app.handle.snapshot().fleet.has_seen_vendor(|vendor| pattern.matches(vendor))
}
