//! Makes a machine's answer in the request's own task, before the coordinator is asked to release it
//! (ARCHITECTURE.md, "The edges").
//!
//! [`AnswerKit::layers`], [`filled`] and [`rendered`] are the one path from a node and the operator's files to an answer:
//! requests go it, and so do previews.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

use super::base_url::{NoUrl, base_url};
use super::connection::ConnInfo;
use super::layers::{Layers, LayersError};
use super::state::{AnswerKit, App, NicBy};
use crate::answer::{
    self, Context, CounterWish, Given, Inputs, NicChoice, Offer, RenderError, Rendered, TemplateError, Webhook, render,
};
use crate::domain::text::Text;
use crate::domain::{
    Ask, Command, Fixed, FixedBy, Fqdn, Grant, MacAddr, Node, NodeId, Origin, OwnNetwork, Release, SecretHash,
    SystemInfo,
};
use crate::store::RedactedAnswer;

/// How often counters are asked for while one answer is made: which one a template asks for may follow from another one.
pub(super) const COUNTER_ROUNDS: usize = 16;

/// Why no answer can be made; words for the node's row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Impossible {
    /// No URL for the report.
    #[error(transparent)]
    NoUrl(#[from] NoUrl),
    /// The layers do not go together.
    #[error(transparent)]
    Layers(#[from] LayersError),
    /// The renderer's reasons.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The row went while the answer was made.
    #[error("its row was forgotten")]
    Gone,
}

/// An answer that waits for its release.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) release: Release,
    /// As it will be sent.
    pub(super) text: SecretString,
    /// As it will be kept.
    pub(super) answer: RedactedAnswer,
}

/// A machine as its answer request shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) name: &'a Fqdn,
    pub(super) info: &'a SystemInfo,
    /// Where it asks from.
    pub(super) peer: IpAddr,
    /// The address it was given.
    pub(super) fixed: Option<Fixed>,
    /// The NIC the operator chose.
    pub(super) chosen: Option<MacAddr>,
    /// The NIC it asked through, where that is known.
    pub(super) nic: Option<MacAddr>,
}

impl Asking<'_> {
    /// What goes into its layers.
    fn given(&self, kit: &AnswerKit) -> Given {
        Given { fixed: self.fixed, nic: self.chosen, mask: kit.network.mask }
    }

    /// Its address, where no layer gives it one.
    fn offer(&self) -> Offer {
        match self.fixed {
            Some(Fixed { address, by: FixedBy::Pool }) => Offer::Pool(address),
            Some(_) | None => Offer::Asked(self.peer),
        }
    }
}

/// What `node` is given besides the operator's files, as far as it is decided by now.
pub(super) fn given_to(node: &Node, kit: &AnswerKit) -> Given {
    Given { fixed: node.fixed(), nic: node.nic, mask: kit.network.mask }
}

/// Makes the answer that `grant` permits.
pub(super) async fn prepare(
    app: &App,
    conn: &ConnInfo,
    host: Option<&str>,
    ask: &Ask,
    grant: &Grant,
) -> Result<Prepared, Impossible> {
    let kit = app.kit.borrow().clone();
    let (secret, webhook) = webhook(app, conn, host, ask)?;
    let machine = Asking {
        name: &grant.name,
        info: &ask.info,
        peer: ask.stamp.peer,
        fixed: grant.address,
        chosen: grant.nic,
        nic: ask.asking_mac,
    };
    let layers = numbered(app, &kit, grant.node, &machine).await?;
    let vendor_unseen = match nic(&kit, &machine) {
        Some(NicChoice::Vendor(pattern)) if !layers.overlay.uses_dhcp() && !layers.overlay.has_nic_filter() => {
            !has_seen(app, &pattern)
        }
        Some(NicChoice::Mac(_) | NicChoice::Vendor(_)) | None => false,
    };
    let rendered = rendered(&kit, &layers, &machine, webhook)?;
    if let Some(profile) = &layers.profile {
        tracing::debug!("{}: profile `{}`, chosen by {}", grant.node, profile.name(), layers.chosen_by);
    }
    Ok(Prepared {
        release: Release {
            node: grant.node,
            stamp: ask.stamp.clone(),
            name: grant.name.clone(),
            address: rendered.address,
            granted: (grant.address, grant.nic),
            own: OwnNetwork { gateway: rendered.overlay.gateway(), dns: rendered.overlay.dns(), ..layers.network },
            document: rendered.hash,
            secret,
            vendor_unseen,
            profile: layers.profile.as_ref().map(|profile| Text::new(profile.name())),
            left_out: left_out(&rendered),
        },
        text: rendered.text,
        answer: RedactedAnswer { node: grant.node, hash: rendered.hash, text: rendered.redacted },
    })
}

/// What the installer is too old for, in words.
fn left_out(rendered: &Rendered) -> Option<Text> {
    let names: Vec<_> = rendered.left_out.iter().map(|setting| format!("`{setting}`")).collect();
    (!names.is_empty()).then(|| Text::new(&names.join(", ")))
}

/// The layers of a node with its templates filled in; the counters they ask for are taken for it, once for all.
async fn numbered(app: &App, kit: &AnswerKit, node: NodeId, machine: &Asking<'_>) -> Result<Layers, Impossible> {
    let snapshot = app.handle.snapshot();
    let row = snapshot.fleet.node(node).ok_or(Impossible::Gone)?;
    let layers = kit.layers(&snapshot.fleet, row, machine.name, Some(machine.info), &machine.given(kit)).await?;
    let mut last = Vec::new();
    for _ in 0..COUNTER_ROUNDS {
        let snapshot = app.handle.snapshot();
        let row = snapshot.fleet.node(node).ok_or(Impossible::Gone)?;
        match filled(&layers, row, machine.name, Some(machine.info)) {
            Err(TemplateError::Wants(wishes)) => {
                last.clone_from(&wishes);
                let counters = wishes.into_iter().map(|CounterWish { name, start }| (name, start)).collect();
                let command = Command::TakeCounters { node, counters };
                // What went wrong shows in the next round, which has no counter then.
                let _ = app.handle.submit(Origin::System, command).await;
            }
            other => return Ok(other.map_err(LayersError::from)?),
        }
    }
    Err(LayersError::from(TemplateError::Wants(last)).into())
}

/// The layers of `node` under this name, filled in with the counters it has.
pub(super) fn filled(
    layers: &Layers,
    node: &Node,
    name: &Fqdn,
    info: Option<&SystemInfo>,
) -> Result<Layers, TemplateError> {
    let mut context = Context::new(info, Some((node.id, name)), node.counters.clone());
    if let Some(plan) = &node.plan {
        context = context.with_plan(plan);
    }
    let layers = layers.clone();
    Ok(Layers { overlay: answer::fill(layers.overlay, &context)?, ..layers })
}

/// The answer that these layers make for this machine.
pub(super) fn rendered(
    kit: &AnswerKit,
    layers: &Layers,
    machine: &Asking<'_>,
    webhook: Option<Webhook>,
) -> Result<Rendered, RenderError> {
    let inputs = Inputs {
        fqdn: machine.name.clone(),
        generation: machine.info.generation,
        installer: layers.profile.as_ref().and_then(|profile| profile.installer()),
        address: Some(machine.offer()),
        mask: kit.network.mask,
        dns: kit.network.dns,
        gateway: kit.network.gateway,
        nic: nic(kit, machine),
        webhook,
        ssh_key: kit.ssh_key.clone(),
    };
    render(&layers.overlay, &inputs)
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
    Ok((hash, Some(Webhook { url, token: secret.into(), fingerprint })))
}

/// The NIC of one machine; the operator's choice is a layer.
fn nic(kit: &AnswerKit, machine: &Asking<'_>) -> Option<NicChoice> {
    match &kit.network.nic {
        NicBy::Vendor(pattern) => Some(NicChoice::Vendor(pattern.clone())),
        NicBy::Asking { otherwise } => {
            machine.nic.map(NicChoice::Mac).or_else(|| otherwise.clone().map(NicChoice::Vendor))
        }
    }
}

/// Whether any report has shown a NIC that the vendor filter would take. Matched as the installer does: the whole
/// value, case-sensitive (PROTOCOL.md §b.3).
fn has_seen(app: &App, pattern: &str) -> bool {
    let Ok(pattern) = glob::Pattern::new(pattern) else { return false };
    app.handle.snapshot().fleet.has_seen_vendor(|vendor| pattern.matches(vendor))
}
