//! Rules between settings: what is wrong though every single value is right. One function per rule.

use std::net::IpAddr;

use super::key::Key;
use super::layer::{Layer, Layers};
use super::model::{Config, NicSource};
use super::problem::quoted;
use crate::domain::Fqdn;
use crate::domain::address::{AddressRange, AddressRules, AddressSource, Pool};

/// Checks every rule, adding to the layers' problems and warnings.
pub(crate) fn check(config: &Config, layers: &mut Layers<'_>) {
    node_names(config, layers);
    mask_fits_gateway(config, layers);
    one_family(config, layers);
    pool_is_usable(config, layers);
    vendor_is_named(config, layers);
    scheme_fits_listener(config, layers);
    listener_can_be_called(config, layers);
    proxies_are_called(config, layers);
}

/// Prefix, four digits and domain make a host name the installer takes.
fn node_names(config: &Config, layers: &mut Layers<'_>) {
    let naming = &config.naming;
    let name = format!("{}0000.{}", naming.prefix, naming.domain);
    let Err(error) = name.parse::<Fqdn>() else { return };
    // The domain is to blame unless the prefix makes no name with a good domain either.
    let prefix_is_wrong = format!("{}0000.example.com", naming.prefix).parse::<Fqdn>().is_err();
    let key = if prefix_is_wrong { Key::TEMPLATE_NAME } else { Key::DOMAIN };
    let message = format!("`{key}`: nodes would be named `{}`: {error}", quoted(&name));
    let problem = layers.problem(key, layers.origins.of(key), &message);
    let hint = "a node is named by `machine_template_name`, four digits of its UUID, a dot and `machine_net_dn`";
    layers.problems.add(|| problem.hint(hint));
}

/// An IPv4 network has at most 32 bits, and no IPv6 network has so few.
fn mask_fits_gateway(config: &Config, layers: &mut Layers<'_>) {
    let Some(gateway) = config.network.gateway else { return };
    let Err(error) = config.network.mask.network_of(gateway) else { return };
    let message = format!("`{}`: {error}", Key::MASK);
    let problem = layers.problem(Key::MASK, layers.origins.of(Key::MASK), &message);
    let hint = match gateway {
        IpAddr::V4(_) => "`24` is the usual size of an IPv4 network",
        IpAddr::V6(_) => "`machine_net_mask = 64` is the usual size of an IPv6 network",
    };
    layers.problems.add(|| problem.hint(hint));
}

/// A resolver of another address family is probably a slip: the nodes get one address.
fn one_family(config: &Config, layers: &mut Layers<'_>) {
    let (Some(dns), Some(gateway)) = (config.network.dns, config.network.gateway) else { return };
    if dns.is_ipv4() == gateway.is_ipv4() {
        return;
    }
    let message = format!("`{}` and `{}` are of different IP versions", Key::DNS, Key::GATEWAY);
    let problem = layers.problem(Key::DNS, layers.origins.of(Key::DNS), &message);
    layers.warnings.add(|| {
        problem.hint("a node gets one address only; with the other version it cannot reach its resolver").warning()
    });
}

/// A pool gives addresses of the machines' own network, and is there where it is asked for.
fn pool_is_usable(config: &Config, layers: &mut Layers<'_>) {
    let network = &config.network;
    if network.address == AddressSource::Pool && network.pool.is_empty() {
        let message = format!("`{}` is \"pool\", but `{}` has no addresses", Key::ADDRESS, Key::POOL);
        let problem = layers.problem(Key::ADDRESS, layers.origins.of(Key::ADDRESS), &message);
        layers.problems.add(|| problem.hint(format!("add `{}` to `[network]`", Key::POOL.example())));
    }
    let rules = AddressRules { mask: network.mask, gateway: network.gateway, ..AddressRules::default() };
    let Some(whole) = rules.network() else { return };
    let outside = |range: &&AddressRange| !(whole.contains(&range.first()) && whole.contains(&range.last()));
    if let Some(range) = network.pool.iter().find(outside) {
        let message = format!("`{}`: {range} is not in the machines' network {whole}", Key::POOL);
        let problem = layers.problem(Key::POOL, layers.origins.of(Key::POOL), &message);
        let hint = format!("that network follows from `{}` and `{}`", Key::GATEWAY, Key::MASK);
        layers.problems.add(|| problem.hint(hint));
    }
    let pool = Pool::new(&network.pool, &network.pool_exclude);
    if !network.pool.is_empty() && pool.size() == 0 {
        let message = format!("`{}` leaves nothing of `{}`", Key::POOL_EXCLUDE, Key::POOL);
        let problem = layers.problem(Key::POOL_EXCLUDE, layers.origins.of(Key::POOL_EXCLUDE), &message);
        layers.problems.add(|| problem.hint("exclude less, or enlarge the pool"));
    }
}

/// NICs cannot be found by a vendor nobody named.
fn vendor_is_named(config: &Config, layers: &mut Layers<'_>) {
    let network = &config.network;
    if network.nic == NicSource::Vendor && network.nic_vendor.is_none() {
        let message = format!("`{}` is \"vendor\", but `{}` is not set", Key::NIC, Key::NIC_VENDOR);
        let problem = layers.problem(Key::NIC, layers.origins.of(Key::NIC), &message);
        layers
            .problems
            .add(|| problem.hint(format!("write it like `{}`, at the top of the file", Key::NIC_VENDOR.example())));
    }
}

/// Machines that speak plain HTTP to the TLS port get no answer.
fn scheme_fits_listener(config: &Config, layers: &mut Layers<'_>) {
    let Some(url) = &config.server.public_url else { return };
    if url.is_https() || !config.server.tls {
        return;
    }
    let message = format!("`{}` says `http`, but `{}` is on", Key::PUBLIC_URL, Key::TLS);
    let problem = layers.problem(Key::PUBLIC_URL, layers.origins.of(Key::PUBLIC_URL), &message);
    let hint = "write `https://`, or set `tls = false` (a proxy in front of it may also make this right)";
    layers.warnings.add(|| problem.hint(hint).warning());
}

/// Machines that come through a proxy must report through it, too.
fn proxies_are_called(config: &Config, layers: &mut Layers<'_>) {
    if config.server.trusted_proxies.is_empty() || config.server.public_url.is_some() {
        return;
    }
    let message = format!("`{}` is set, but `{}` is not", Key::TRUSTED_PROXIES, Key::PUBLIC_URL);
    let problem = layers.problem(Key::TRUSTED_PROXIES, layers.origins.of(Key::TRUSTED_PROXIES), &message);
    let hint = "machines are told to report to the address the proxy called; set `public_url` to the proxy's own URL";
    layers.warnings.add(|| problem.hint(hint).warning());
}

/// Without a public URL machines are told the address they came to; over https that cannot be an IPv6 address.
fn listener_can_be_called(config: &Config, layers: &mut Layers<'_>) {
    let server = &config.server;
    let address = server.listen.ip();
    if !server.tls || server.public_url.is_some() || !address.is_ipv6() || address.is_unspecified() {
        return;
    }
    let message = format!("`{}`: installers 8.2 and 9.2 cannot call an IPv6 address over https", Key::LISTEN);
    let origin = layers.origins.of(Key::LISTEN);
    let problem = if origin == Layer::Default { return } else { layers.problem(Key::LISTEN, origin, &message) };
    layers.warnings.add(|| problem.hint("set `public_url` to a URL with a host name, or `tls = false`").warning());
}
