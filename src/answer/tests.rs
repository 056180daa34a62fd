//! The answer engine as a whole: what is read, what is rendered for each generation, and that no string gets out of its
//! quotes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rstest::rstest;
use secrecy::{ExposeSecret as _, SecretString};
use toml_edit::{DocumentMut, TableLike};

use super::read;
use super::schema::{Kind, Setting};
use super::settings::{Settings, Value};
use super::*;
use crate::domain::Generation;
use crate::wire::tests::conformance;

const FULL: &str = include_str!("../../tests/fixtures/answer/full.toml");
const SMALL: &str = include_str!("../../tests/fixtures/answer/small.toml");
const GENERATIONS: [Generation; 5] =
    [Generation::V8_2, Generation::V8_2_7, Generation::V8_3, Generation::V9_0, Generation::V9_2];

fn inputs(generation: Generation) -> Inputs {
    Inputs {
        fqdn: "pve-07aa.rack.example".parse().unwrap(),
        generation,
        address: Some("10.20.0.31".parse().unwrap()),
        mask: "255.255.255.0".parse().unwrap(),
        dns: "10.20.0.2".parse().unwrap(),
        gateway: "10.20.0.1".parse().unwrap(),
        nic: NicChoice::Mac("02:11:22:33:44:55".parse().unwrap()),
        webhook: Some(Webhook {
            url: SecretString::from("https://10.20.0.9:8443/webhook/fixture-secret"),
            fingerprint: Some("AB:CD".to_owned()),
        }),
        ssh_key: Some("ssh-ed25519 AAAAown console".to_owned()),
    }
}

fn text(base: &str, inputs: &Inputs) -> String {
    render(&BaseAnswer::parse(base).unwrap(), inputs).unwrap().text.expose_secret().to_owned()
}

/// Messages of the problems of `base`, each with its place.
fn problems(base: &str) -> Vec<String> {
    let problems = BaseAnswer::parse(base).unwrap_err().0;
    let place =
        |problem: &Problem| problem.position(base).map_or("-".to_owned(), |(line, column)| format!("{line}:{column}"));
    problems.iter().map(|problem| format!("{} {}", place(problem), problem.message)).collect()
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
    for generation in [Generation::V8_2_7, Generation::V8_3, Generation::V9_0, Generation::V9_2] {
        assert_eq!(text(SMALL, &inputs(generation)), expected);
    }
    let without_report = expected.split("\n[post").next().unwrap().replace("reboot_on_error = true\n", "");
    assert_eq!(text(SMALL, &inputs(Generation::V8_2)), without_report);
}

#[test]
fn every_setting_survives_in_one_style() {
    let rendered = render(&BaseAnswer::parse(FULL).unwrap(), &inputs(Generation::V9_2)).unwrap();
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

[first-boot]
source = "from-url"
ordering = "network-online"
url = "https://scripts.example/…"
cert-fingerprint = "AA:BB"
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
    let rendered = render(&BaseAnswer::parse(&base).unwrap(), &inputs(generation)).unwrap();
    assert_eq!(rendered.left_out, left_out);
    let document: DocumentMut = rendered.text.expose_secret().parse().unwrap();
    assert_eq!(document["disk-setup"]["zfs"]["raid"].as_str(), Some(raid));
    let mut keys = BTreeSet::new();
    keys_of(document.as_table(), "", &mut keys);
    let known = known_keys(generation);
    let strangers: Vec<_> = keys.iter().filter(|key| !known.contains(key.as_str())).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    assert!(keys.contains("network.source"), "mandatory in 9.2");
}

#[rstest]
#[case(Generation::V8_2, "first-boot.source", FULL.to_owned())]
#[case(Generation::V8_2_7, "first-boot.source", FULL.to_owned())]
#[case(Generation::V8_2, "global.root_password_hashed", SMALL.replace("root_password", "root-password-hashed"))]
fn what_cannot_be_left_out_is_refused(#[case] generation: Generation, #[case] setting: &str, #[case] base: String) {
    let error = render(&BaseAnswer::parse(&base).unwrap(), &inputs(generation)).unwrap_err();
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
    let vendor = |pattern: &str| Inputs { nic: NicChoice::Vendor(pattern.to_owned()), ..inputs(Generation::V9_2) };
    assert!(text(SMALL, &vendor("Intel*")).contains("filter.ID_VENDOR_FROM_DATABASE = \"Intel*\""));
    let error = render(&BaseAnswer::parse(SMALL).unwrap(), &vendor("a[")).unwrap_err();
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
    Err("the network mask `/24` does not fit the address `2001:db8::31`; set one for its family")
)]
#[case(
    "10.20.0.31",
    "64",
    "10.20.0.1",
    Err("the network mask `/64` does not fit the address `10.20.0.31`; set one for its family")
)]
#[case(
    "fe80::1",
    "64",
    "2001:db8::1",
    Err("the request came from the link-local address `fe80::1`, which cannot be the node's; check its DHCP")
)]
#[case(
    "169.254.3.4",
    "16",
    "10.0.0.1",
    Err("the request came from the link-local address `169.254.3.4`, which cannot be the node's; check its DHCP")
)]
#[case("0.0.0.0", "24", "10.0.0.1", Err("the request came from `0.0.0.0`, which is no machine's address"))]
#[case(
    "255.255.255.255",
    "24",
    "10.0.0.1",
    Err("the request came from `255.255.255.255`, which is no machine's address")
)]
fn addresses_must_fit(
    #[case] address: &str,
    #[case] mask: &str,
    #[case] gateway: &str,
    #[case] cidr: Result<&str, &str>,
) {
    let gateway: std::net::IpAddr = gateway.parse().unwrap();
    let given = Inputs {
        address: Some(address.parse().unwrap()),
        mask: mask.parse().unwrap(),
        gateway,
        dns: if address.starts_with("2001") { "2001:db8::53".parse().unwrap() } else { "10.0.0.53".parse().unwrap() },
        ..inputs(Generation::V9_2)
    };
    let rendered = render(&BaseAnswer::parse(SMALL).unwrap(), &given).map(|rendered| {
        let document: DocumentMut = rendered.text.expose_secret().parse().unwrap();
        assert_eq!(document["network"]["gateway"].as_str(), Some(&*gateway.to_canonical().to_string()));
        document["network"]["cidr"].as_str().unwrap().to_owned()
    });
    assert_eq!(rendered.map_err(|error| error.to_string()), cidr.map(str::to_owned).map_err(str::to_owned));
}

#[test]
fn all_problems_are_named_at_once_with_their_places() {
    let base = r#"[global]
country = "AT"
keyboard = "us"
root-password = "short"
root_password = "longer-than-that"
mailto = 5
rebot-on-error = true

[network]
source = "from-dhcp"
dns = "1.1.1.1"

[disk_setup]

[disk-setup]
filesystem = "zfs"
disk_list = ["sda", "/dev/sda"]
lvm.maxroot = 8
zfs.copies = -1
filter.ID_MODEL = "[x"

[post-installation-webhook]
url = "https://elsewhere.example/"
"#;
    assert_eq!(
        problems(base),
        [
            "2:11 `AT` is not a country code of two lower-case letters",
            "3:12 `global.keyboard` cannot be `us`",
            "4:17 the root password has fewer than 8 bytes",
            "5:1 `global.root_password` is given twice, in both spellings of `global.root_password`",
            "6:10 `global.mailto` must be a string, not a whole number",
            "7:1 unknown key `rebot-on-error` in `[global]`",
            "11:7 `network.dns` is not allowed with `source = \"from-dhcp\"`",
            "13:2 unknown key `disk_setup` in the answer file",
            "17:13 both `disk-setup.disk_list` and `disk-setup.filter` are given",
            "17:13 a disk is named twice",
            "18:15 `disk-setup.lvm.maxroot` does not go with `filesystem = \"zfs\"`",
            "19:14 `disk-setup.zfs.copies` must be a whole number that is not negative",
            "20:1 the pattern of `disk-setup.filter.ID_MODEL` is malformed: invalid range pattern",
            "23:7 `[post-installation-webhook]` is written by prox-orchestrator, which must hear from the machine itself",
            "- `global.timezone` is missing",
            "- `disk-setup.zfs.raid` is missing",
        ]
    );
}

#[test]
fn hints_name_the_nearest_key() {
    let base = SMALL.replace("keyboard", "keybord").replace("[disk-setup]", "[disk_setup]");
    let problems = BaseAnswer::parse(&base).unwrap_err().to_string();
    assert!(problems.contains("did you mean `keyboard`?"), "{problems}");
    assert!(problems.contains("did you mean `disk-setup`?"), "{problems}");
}

#[rstest]
#[case("", &["- `global.country` is missing", "- `global.keyboard` is missing", "- `global.mailto` is missing",
    "- `global.timezone` is missing", "- `global.root_password_hashed` or `global.root_password` is missing",
    "- `disk-setup.filesystem` is missing", "- `disk-setup.disk_list` or `disk-setup.filter` is missing"])]
#[case("[global]\ncountry = \"a", &["2:13 not TOML: invalid basic string, expected `\"`"])]
#[case("global = 3", &["1:1 `global` must be a table, not a whole number", "- `global.country` is missing",
    "- `global.keyboard` is missing", "- `global.mailto` is missing", "- `global.timezone` is missing",
    "- `global.root_password_hashed` or `global.root_password` is missing", "- `disk-setup.filesystem` is missing",
    "- `disk-setup.disk_list` or `disk-setup.filter` is missing"])]
fn broken_files_are_explained(#[case] base: &str, #[case] expected: &[&str]) {
    assert_eq!(problems(base), expected);
}

#[rstest]
#[case("disk_list = [\"sda\"]", "disk_list = []", "ext4 goes on exactly one disk, and 0 are named")]
#[case("disk_list = [\"sda\"]", "disk_list = [\"\"]", "an empty disk name selects the first disk")]
#[case(
    "disk_list = [\"sda\"]",
    "disk_list = [1]",
    "`disk-setup.disk_list` must be a list of strings, not a list of other things"
)]
#[case("disk_list = [\"sda\"]", "filter = {}", "`disk-setup.disk_list` or `disk-setup.filter` is missing")]
#[case("\"ext4\"", "\"btrfs\"\nbtrfs.raid = \"raid1\"", "raid1 needs at least 2 disks, and 1 are named")]
#[case(
    "\"ext4\"\ndisk_list = [\"sda\"]",
    "\"zfs\"\nzfs.raid = \"Raid0\"\ndisk_list = [\"a\"]",
    "`disk-setup.zfs.raid` cannot be `Raid0`"
)]
#[case(
    "\"ext4\"\ndisk_list = [\"sda\"]",
    "\"zfs\"\nzfs.raid = \"RAID10\"\ndisk_list = [\"a\",\"b\",\"c\",\"d\",\"e\"]",
    "raid10 needs an even number of disks, and 5 are named"
)]
#[case("\"ext4\"", "\"ext4\"\nlvm.hdsize = 8\nlvm.swapsize = 4.5", "the swap is larger than half of `lvm.hdsize`")]
#[case(
    "\"ext4\"",
    "\"ext4\"\nlvm.hdsize = nan",
    "`disk-setup.lvm.hdsize` must be a number of GiB that is not negative"
)]
#[case("ops@example.com", "mail@example.invalid", "the installer refuses `mail@example.invalid` as a mail address")]
#[case("ops@example.com", "ops@-x", "the installer refuses `ops@-x` as a mail address")]
#[case("\"UTC\"", "\"Etc/UTC\"", "`Etc/UTC` is not a time zone the installer knows")]
#[case("\"from-answer\"", "\"from-answer\"\ndns = \"x\"", "`x` is not an IP address")]
#[case(
    "\"from-answer\"",
    "\"from-answer\"\ninterface-name-pinning.mapping.x = \"lan0\"",
    "`x` is not a MAC address such as `b4:2e:99:ac:ad:b4`"
)]
#[case("[disk-setup]", "[first-boot]\nordering = \"fully-up\"\n[disk-setup]", "`first-boot.source` is missing")]
#[case("[disk-setup]", "[first-boot]\nsource = \"from-url\"\n[disk-setup]", "`first-boot.url` is missing")]
fn the_installers_rules_are_checked(#[case] old: &str, #[case] new: &str, #[case] message: &str) {
    assert!(SMALL.contains(old));
    let found = problems(&SMALL.replace(old, new));
    assert!(found.iter().any(|problem| problem.ends_with(message)), "{found:?}");
}

#[test]
fn line_ends_and_byte_order_mark_do_not_matter() {
    let windows = format!("\u{feff}{}", SMALL.replace('\n', "\r\n"));
    assert_eq!(text(&windows, &inputs(Generation::V9_2)), text(SMALL, &inputs(Generation::V9_2)));
}

/// Files the installer refuses and we do not: the program fills in name, address, NIC filter and `source` itself …
const FILLED_IN: [&str; 7] = [
    "fqdn-numeric-host",
    "fqdn-trailing-dot",
    "fqdn-underscore",
    "from-answer-cidr-33",
    "from-answer-empty-filter",
    "from-answer-without-filter",
    "no-network-section",
];
/// … or the verdict depends on the machine or its medium.
const NEEDS_MACHINE: [&str; 3] = ["disk-unknown", "first-boot-from-iso-absent", "net-filter-case-eno1"];
/// Files the installer takes and we do not: the webhook is ours.
const OURS: [&str; 4] = ["webhook", "webhook-auth-token", "webhook-auth-token-snake", "webhook-cert-fingerprint"];

#[test]
fn verdicts_agree_with_the_real_installers() {
    let Some(folder) = conformance() else { return };
    let verdicts: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("answers/verdicts.json")).unwrap()).unwrap();
    let mut seen = 0;
    for (name, case) in verdicts.as_object().unwrap() {
        let text = std::fs::read_to_string(folder.join(format!("answers/{name}.toml"))).unwrap();
        let strictest = ["8.2", "8.3", "8.4", "9.1", "9.2"].map(|release| case["verdict"][release] == "accept");
        let name = name.as_str();
        let refused_by_all = strictest == [false; 5];
        // Too new for some release is not our reason to refuse a file: each generation gets what it knows.
        let newest_accepts = strictest[4];
        let expected = if FILLED_IN.contains(&name) || NEEDS_MACHINE.contains(&name) {
            assert!(refused_by_all, "`{name}` is no exception");
            true
        } else {
            newest_accepts && !OURS.contains(&name)
        };
        let ours = BaseAnswer::parse(&text);
        assert_eq!(ours.is_ok(), expected, "`{name}`: {ours:?}");
        seen += 1;
    }
    println!("{seen} conformance answers judged as the newest installer judges them, but for the listed exceptions");
    assert!(seen > 0);
}

/// Settings with arbitrary strings wherever a string can stand.
fn any_settings() -> impl Strategy<Value = Settings> {
    let hostile = prop_oneof![any::<String>(), "[\"'\\\\\n\r\t\u{0}\u{1b}\u{7f}#=\\[\\]{}.]{0,12}"];
    let texts = proptest::collection::vec(hostile.clone(), 0..4);
    let table = proptest::collection::btree_map(hostile.clone(), hostile.clone(), 1..4);
    let value = (hostile, texts, table, any::<bool>(), 0..i64::MAX, 0.0..1e9_f64);
    proptest::collection::vec(value, Setting::ALL.len()).prop_map(|values| {
        let mut settings = Settings::default();
        for (&setting, (text, texts, table, flag, whole, number)) in Setting::ALL.iter().zip(values) {
            let value = match setting.spec().kind {
                Kind::Text | Kind::TextOrTable => Value::Text(text),
                Kind::Choice(choices) | Kind::Raid(choices) => Value::Text(choices[0].to_owned()),
                Kind::Texts => Value::Texts(texts),
                Kind::Table => Value::Table(table),
                Kind::Flag => Value::Flag(flag),
                Kind::Whole => Value::Whole(whole),
                Kind::Number => Value::Float(number),
            };
            settings.set(setting, value);
        }
        settings
    })
}

#[test]
fn control_characters_are_escaped_as_toml_1_0_has_it() {
    let mut settings = Settings::default();
    settings.set_text(Setting::RootPassword, "\u{0}\u{1b}[31m\u{7f}");
    // TOML 1.1 has `\e` and `\x1B` for it, which the installers do not read.
    assert_eq!(settings.to_toml(), "[global]\nroot_password = \"\\u0000\\u001B[31m\\u007F\"\n");
}

proptest! {
    #[test]
    fn no_string_changes_the_shape(settings in any_settings()) {
        let text = settings.to_toml();
        let reading = read::read(&text);
        prop_assert!(reading.problems.is_empty(), "{:?} in {text}", reading.problems);
        prop_assert!(reading.settings == settings, "{text}");
        prop_assert_eq!(settings.to_toml(), text);
    }

    #[test]
    fn hostile_values_of_the_operator_stay_values(password in ".{8,40}", key in any::<String>(), serial in any::<String>(), secret in any::<String>()) {
        let mut base = BaseAnswer::parse(SMALL).unwrap();
        base.settings.set_text(Setting::RootPassword, password.as_str());
        base.settings.remove(Setting::DiskList);
        base.settings.set(Setting::DiskFilter, Value::Table(BTreeMap::from([(serial.clone(), key.clone())])));
        for generation in GENERATIONS {
            let mut given = inputs(generation);
            given.ssh_key = Some(key.clone());
            given.webhook = Some(Webhook { url: SecretString::from(secret.clone()), fingerprint: None });
            let rendered = render(&base, &given).unwrap();
            let document: DocumentMut = rendered.text.expose_secret().parse().unwrap();
            prop_assert_eq!(document["global"]["root_password"].as_str(), Some(password.as_str()));
            prop_assert_eq!(document["disk-setup"]["filter"][serial.as_str()].as_str(), Some(key.as_str()));
        }
    }

    #[test]
    fn any_text_is_survived_as_base(text in any::<String>(), position in 0..FULL.len(), insert in "[\"\\[\\]{}=.,#\n a-z]{0,6}") {
        let _ = BaseAnswer::parse(&text);
        let mut broken = FULL.to_owned();
        broken.insert_str(position, &insert);
        if let Err(problems) = BaseAnswer::parse(&broken) {
            prop_assert!(!problems.0.is_empty());
            for problem in &problems.0 {
                prop_assert!(problem.span.is_none() || problem.position(&broken).is_some());
            }
        }
    }
}
