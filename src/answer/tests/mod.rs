//! The answer engine as a whole: what is read, what is rendered for each generation, and that no string gets out of its
//! quotes.

mod checking;
mod differential;
mod documentation;
mod given;
mod hostile;
mod layers;
mod reading;
mod rendered;
mod rules;
mod templates;
mod verdicts;

use std::collections::BTreeSet;

use rstest::rstest;
use secrecy::{ExposeSecret as _, SecretString};
use toml_edit::{DocumentMut, TableLike};

use super::*;
use crate::domain::Generation;

const FULL: &str = include_str!("../../../tests/fixtures/answer/full.toml");
const SMALL: &str = include_str!("../../../tests/fixtures/answer/small.toml");
const GENERATIONS: [Generation; 5] =
    [Generation::V8_2, Generation::V8_2_7, Generation::V8_3, Generation::V9_0, Generation::V9_2];

fn inputs(generation: Generation) -> Inputs {
    Inputs {
        fqdn: "pve-07aa.rack.example".parse().unwrap(),
        generation,
        installer: None,
        address: Some(Offer::Asked("10.20.0.31".parse().unwrap())),
        mask: "255.255.255.0".parse().unwrap(),
        dns: "10.20.0.2".parse().ok(),
        gateway: "10.20.0.1".parse().ok(),
        nic: Some(NicChoice::Mac("02:11:22:33:44:55".parse().unwrap())),
        webhook: Some(Webhook {
            url: SecretString::from("https://10.20.0.9:8443/webhook/fixture-secret"),
            token: SecretString::from("fixture-secret"),
            fingerprint: Some("AB:CD".to_owned()),
        }),
        ssh_key: Some("ssh-ed25519 AAAAown console".to_owned()),
    }
}

fn text(base: &str, inputs: &Inputs) -> String {
    render(BaseAnswer::parse(base).unwrap().overlay(), inputs).unwrap().text.expose_secret().to_owned()
}

#[test]
fn a_small_base_becomes_this_answer() {
    let expected = r#"[global]
country = "at"
keyboard = "de"
fqdn = "pve-07aa.rack.example"
mailto = "ops@example.com"
timezone = "UTC"
root_password = "fixture-password"
root_ssh_keys = ["ssh-ed25519 AAAAown console"]
reboot_on_error = true

[network]
source = "from-answer"
cidr = "10.20.0.31/24"
dns = "10.20.0.2"
gateway = "10.20.0.1"
filter.ID_NET_NAME_MAC = "*021122334455"

[disk-setup]
filesystem = "ext4"
disk_list = ["sda"]

[post-installation-webhook]
url = "https://10.20.0.9:8443/webhook/fixture-secret"
cert_fingerprint = "AB:CD"
"#;
    for generation in [Generation::V8_2_7, Generation::V8_3, Generation::V9_0] {
        assert_eq!(text(SMALL, &inputs(generation)), expected);
    }
    let with_token = format!("{expected}auth_token = \"fixture-secret\"\n");
    assert_eq!(text(SMALL, &inputs(Generation::V9_2)), with_token);
    let without_report = expected.split("\n[post").next().unwrap().replace("reboot_on_error = true\n", "");
    assert_eq!(text(SMALL, &inputs(Generation::V8_2)), without_report);
}

#[test]
fn every_setting_survives_in_one_style() {
    let rendered = render(BaseAnswer::parse(FULL).unwrap().overlay(), &inputs(Generation::V9_2)).unwrap();
    assert_eq!(
        rendered.redacted,
        r#"[global]
country = "at"
keyboard = "de"
fqdn = "pve-07aa.rack.example"
mailto = "ops@example.com"
timezone = "Europe/Vienna"
root_password = "…"
root_ssh_keys = ["ssh-ed25519 AAAAfixture ops"]
reboot_on_error = true
reboot_mode = "power-off"
subscription_key = "…"

[network]
source = "from-answer"
cidr = "10.20.0.31/24"
dns = "10.20.0.2"
gateway = "10.20.0.1"
filter.ID_NET_NAME_MAC = "*021122334455"
interface-name-pinning.enabled = true
interface-name-pinning.mapping."02:aa:00:00:00:01" = "lan0"
interface-name-pinning.mapping."02:aa:00:00:00:02" = "lan1.5"

[disk-setup]
filesystem = "zfs"
filter.ID_MODEL = "Fast*"
filter.ID_SERIAL = "[0-9]?"
filter_match = "any"
zfs.raid = "raidz-1"
zfs.ashift = 12
zfs.arc_max = 4096
zfs.checksum = "on"
zfs.compress = "zstd"
zfs.copies = 1
zfs.hdsize = 64.5

[post-installation-webhook]
url = "https://10.20.0.9:8443/…"
cert_fingerprint = "AB:CD"
auth_token = "…"

[first-boot]
source = "from-url"
ordering = "network-online"
url = "https://scripts.example/…"
cert-fingerprint = "AABBAABBAABBAABBAABBAABBAABBAABBAABBAABBAABBAABBAABBAABBAABBAABB"
"#
    );
    assert_eq!(rendered.hash, crate::domain::DocumentHash::of(rendered.text.expose_secret().as_bytes()));
    assert!(rendered.left_out.is_empty());
    for secret in ["fixture-password", "fixture-secret", "fixture-pw", "pve1c-0123456789"] {
        assert!(rendered.text.expose_secret().contains(secret));
        assert!(!rendered.redacted.contains(secret), "{secret}");
        assert!(!format!("{rendered:?}").contains(secret), "{secret}");
    }
}

/// The keys a generation's oldest release knows, from the installers' own messages and PROTOCOL.md §b.2.
fn known_keys(generation: Generation) -> BTreeSet<&'static str> {
    let mut keys = BTreeSet::from([
        "global.country",
        "global.fqdn",
        "global.keyboard",
        "global.mailto",
        "global.timezone",
        "global.root_password",
        "global.reboot_on_error",
        "global.root_ssh_keys",
        "network.source",
        "network.cidr",
        "network.dns",
        "network.gateway",
        "network.filter.*",
        "disk-setup.filesystem",
        "disk-setup.disk_list",
        "disk-setup.filter.*",
        "disk-setup.filter_match",
        "disk-setup.zfs.raid",
        "disk-setup.zfs.ashift",
        "disk-setup.zfs.arc_max",
        "disk-setup.zfs.checksum",
        "disk-setup.zfs.compress",
        "disk-setup.zfs.copies",
        "disk-setup.zfs.hdsize",
        "disk-setup.btrfs.raid",
        "disk-setup.btrfs.hdsize",
        "disk-setup.lvm.hdsize",
        "disk-setup.lvm.swapsize",
        "disk-setup.lvm.maxroot",
        "disk-setup.lvm.maxvz",
        "disk-setup.lvm.minfree",
    ]);
    let later: [(Generation, &[&'static str]); 4] = [
        (
            Generation::V8_2_7,
            &[
                "global.root_password_hashed",
                "post-installation-webhook.url",
                "post-installation-webhook.cert_fingerprint",
                "disk-setup.btrfs.compress",
            ],
        ),
        (
            Generation::V8_3,
            &["first-boot.source", "first-boot.ordering", "first-boot.url", "first-boot.cert-fingerprint"],
        ),
        (Generation::V9_0, &["global.reboot_mode"]),
        (
            Generation::V9_2,
            &[
                "global.subscription_key",
                "post-installation-webhook.auth_token",
                "network.interface-name-pinning.enabled",
                "network.interface-name-pinning.mapping.*",
            ],
        ),
    ];
    for (since, more) in later {
        if since <= generation {
            keys.extend(more);
        }
    }
    keys
}

/// Every key of an answer, dotted; `*` for the free keys of filters and mappings.
fn keys_of(table: &dyn TableLike, prefix: &str, keys: &mut BTreeSet<String>) {
    for (name, item) in table.iter() {
        let free = prefix.ends_with("filter") || prefix.ends_with("mapping");
        let path = match (prefix, free) {
            ("", _) => name.to_owned(),
            (_, true) => format!("{prefix}.*"),
            (_, false) => format!("{prefix}.{name}"),
        };
        match item.as_table_like() {
            Some(inner) => keys_of(inner, &path, keys),
            None => drop(keys.insert(path)),
        }
    }
}

/// Keys of the answer that the generation does not know.
fn strangers(rendered: &Rendered, generation: Generation) -> Vec<String> {
    let document: DocumentMut = rendered.text.expose_secret().parse().unwrap();
    let mut keys = BTreeSet::new();
    keys_of(document.as_table(), "", &mut keys);
    let known = known_keys(generation);
    keys.into_iter().filter(|key| !known.contains(key.as_str())).collect()
}

#[rstest]
#[case(Generation::V8_2, "raidz-1", &["global.reboot_mode", "global.subscription_key", "network.interface-name-pinning.enabled", "network.interface-name-pinning.mapping"])]
#[case(Generation::V8_2_7, "RAIDZ-1", &["global.reboot_mode", "global.subscription_key", "network.interface-name-pinning.enabled", "network.interface-name-pinning.mapping"])]
#[case(Generation::V8_3, "RAIDZ-1", &["global.reboot_mode", "global.subscription_key", "network.interface-name-pinning.enabled", "network.interface-name-pinning.mapping"])]
#[case(Generation::V9_0, "raidz-1", &["global.subscription_key", "network.interface-name-pinning.enabled", "network.interface-name-pinning.mapping"])]
#[case(Generation::V9_2, "raidz-1", &[])]
fn each_generation_gets_only_what_it_knows(
    #[case] generation: Generation,
    #[case] raid: &str,
    #[case] left_out: &[&str],
) {
    let first_boot = FULL.split("[disk-setup]").next().unwrap();
    let base = if generation < Generation::V8_3 { FULL.replace(first_boot, "") } else { FULL.to_owned() };
    let rendered = render(BaseAnswer::parse(&base).unwrap().overlay(), &inputs(generation)).unwrap();
    assert_eq!(rendered.left_out, left_out);
    let document: DocumentMut = rendered.text.expose_secret().parse().unwrap();
    assert_eq!(document["disk-setup"]["zfs"]["raid"].as_str(), Some(raid));
    assert_eq!(strangers(&rendered, generation), [""; 0]);
    assert!(document["network"]["source"].is_str(), "mandatory in 9.2");
}

#[rstest]
#[case(Generation::V8_2, "first-boot.source", FULL.to_owned())]
#[case(Generation::V8_2_7, "first-boot.source", FULL.to_owned())]
#[case(Generation::V8_2, "global.root_password_hashed", SMALL.replace("root_password", "root-password-hashed"))]
fn what_cannot_be_left_out_is_refused(#[case] generation: Generation, #[case] setting: &str, #[case] base: String) {
    let error = render(BaseAnswer::parse(&base).unwrap().overlay(), &inputs(generation)).unwrap_err();
    let label = generation.label();
    let expected =
        format!("`{setting}` is too new for this machine's installer ({label}); remove it, or boot a newer installer");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn dhcp_is_respected() {
    let base = SMALL.replace("from-answer", "from-dhcp");
    let without_section = SMALL.replace("[network]\nsource = \"from-answer\"\n", "");
    for base in [base, without_section] {
        let given = Inputs { address: None, ..inputs(Generation::V9_2) };
        let text = text(&base, &given);
        assert!(text.contains("[network]\nsource = \"from-dhcp\"\n\n"), "{text}");
    }
}

#[test]
fn what_the_operator_sets_in_the_network_wins_but_for_the_address() {
    let own = "source = \"from-answer\"\ndns = \"1.1.1.1\"\ngateway = \"10.20.0.254\"\ncidr = \"9.9.9.9/8\"\nfilter.ID_NET_NAME = \"eno1\"";
    let text = text(&SMALL.replace("source = \"from-answer\"", own), &inputs(Generation::V9_0));
    for line in
        ["cidr = \"10.20.0.31/24\"", "dns = \"1.1.1.1\"", "gateway = \"10.20.0.254\"", "filter.ID_NET_NAME = \"eno1\""]
    {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("ID_NET_NAME_MAC"));
}

#[test]
fn the_vendor_pattern_is_used_where_the_mac_is_not_known() {
    let vendor =
        |pattern: &str| Inputs { nic: Some(NicChoice::Vendor(pattern.to_owned())), ..inputs(Generation::V9_2) };
    assert!(text(SMALL, &vendor("Intel*")).contains("filter.ID_VENDOR_FROM_DATABASE = \"Intel*\""));
    let error = render(BaseAnswer::parse(SMALL).unwrap().overlay(), &vendor("a[")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the NIC pattern `a[` is malformed: invalid range pattern; correct `machine_net_int`"
    );
}

#[rstest]
#[case("::ffff:10.20.0.31", "24", "10.20.0.1", Ok("10.20.0.31/24"))]
#[case("10.20.0.31", "24", "::ffff:10.20.0.1", Ok("10.20.0.31/24"))]
#[case("2001:db8::31", "64", "2001:db8::1", Ok("2001:db8::31/64"))]
#[case(
    "2001:db8::31",
    "64",
    "10.0.0.1",
    Err(
        "the gateway `10.0.0.1` and the machine's address `2001:db8::31` are not of one family; set a gateway that fits"
    )
)]
#[case(
    "2001:db8::31",
    "255.255.255.0",
    "2001:db8::1",
    Err("a prefix length of 24 does not fit the IPv6 address 2001:db8::31; set one such as `64`")
)]
#[case(
    "10.20.0.31",
    "64",
    "10.20.0.1",
    Err("a prefix length of 64 does not fit the IPv4 address 10.20.0.31; at most 32 does")
)]
#[case(
    "fe80::1",
    "64",
    "2001:db8::1",
    Err(
        "`fe80::1` (the address it asked from, and `machine_net_mask`) cannot be the node's address: it is link-local"
    )
)]
#[case(
    "169.254.3.4",
    "16",
    "10.0.0.1",
    Err(
        "`169.254.3.4` (the address it asked from, and `machine_net_mask`) cannot be the node's address: it is link-local"
    )
)]
#[case(
    "0.0.0.0",
    "24",
    "10.0.0.1",
    Err(
        "`0.0.0.0` (the address it asked from, and `machine_net_mask`) cannot be the node's address: it is no machine's address"
    )
)]
#[case(
    "255.255.255.255",
    "24",
    "10.0.0.1",
    Err(
        "`255.255.255.255` (the address it asked from, and `machine_net_mask`) cannot be the node's address: it is no machine's address"
    )
)]
fn addresses_must_fit(
    #[case] address: &str,
    #[case] mask: &str,
    #[case] gateway: &str,
    #[case] cidr: Result<&str, &str>,
) {
    let gateway: Option<std::net::IpAddr> = gateway.parse().ok();
    let given = Inputs {
        address: Some(Offer::Asked(address.parse().unwrap())),
        mask: mask.parse().unwrap(),
        gateway,
        dns: if address.starts_with("2001") { "2001:db8::53".parse().ok() } else { "10.0.0.53".parse().ok() },
        ..inputs(Generation::V9_2)
    };
    let rendered = render(BaseAnswer::parse(SMALL).unwrap().overlay(), &given).map(|rendered| {
        let document: DocumentMut = rendered.text.expose_secret().parse().unwrap();
        assert_eq!(document["network"]["gateway"].as_str(), Some(&*gateway.unwrap().to_canonical().to_string()));
        document["network"]["cidr"].as_str().unwrap().to_owned()
    });
    assert_eq!(rendered.map_err(|error| error.to_string()), cidr.map(str::to_owned).map_err(str::to_owned));
}
