//! Makes a machine's answer in the request's own task, before the coordinator is asked to release it (DESIGN.md §4).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

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
    let own = grant.address.unwrap_or(peer);
    let nic = nic(&kit, ask, grant);
    let vendor_unseen = match &nic {
        Some(NicChoice::Vendor(pattern)) if is_static && !kit.base.has_nic_filter() => !has_seen(app, pattern),
        Some(NicChoice::Mac(_) | NicChoice::Vendor(_)) | None => false,
    };
    let inputs = Inputs {
        fqdn: grant.name.clone(),
        generation: ask.info.generation,
        address: Some(own),
        mask: kit.network.mask,
        dns: kit.network.dns,
        gateway: kit.network.gateway,
        nic,
        webhook,
        ssh_key: kit.ssh_key.clone(),
    };
    let rendered = render(&kit.base, &inputs)?;
    if !rendered.left_out.is_empty() {
        tracing::info!("{}: left out for its old installer: {}", grant.node, rendered.left_out.join(", "));
    }
    // The renderer has checked that the mask fits.
    let address = inputs.mask.network_of(own).ok().filter(|_| is_static);
    Ok(Prepared {
        release: Release {
            node: grant.node,
            stamp: ask.stamp.clone(),
            name: grant.name.clone(),
            address,
            granted: (grant.address, grant.nic),
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

/// The NIC the operator chose, else the asking one, where it is known, else any of the configured vendor.
fn nic(kit: &AnswerKit, ask: &Ask, grant: &Grant) -> Option<NicChoice> {
    let by_vendor = || kit.network.nic_vendor.clone().map(NicChoice::Vendor);
    let asking = ask.asking_mac.filter(|_| !kit.network.by_vendor);
    grant.nic.or(asking).map(NicChoice::Mac).or_else(by_vendor)
}

/// Whether any report has shown a NIC that the vendor filter would take. Matched as the installer does: the whole
/// value, case-sensitive (PROTOCOL.md §b.3).
fn has_seen(app: &App, pattern: &str) -> bool {
    let Ok(pattern) = glob::Pattern::new(pattern) else { return false };
    app.handle.snapshot().fleet.has_seen_vendor(|vendor| pattern.matches(vendor))
}
