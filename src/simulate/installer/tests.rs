//! The simulated installer against fixtures of its own and, where they are, the verdicts of the real programs.

use std::collections::BTreeMap;

use rstest::rstest;
use serde::Deserialize;

use super::*;
use crate::simulate::hardware::{DiskDevice, NicDevice, Udev};

fn small_machine() -> Hardware {
    let udev = |pairs: &[(&str, &str)]| -> Udev {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let disk = |path: &str, serial: &str| DiskDevice {
        path: path.to_owned(),
        size: 1 << 39,
        udev: udev(&[("DEVNAME", path), ("ID_SERIAL", serial), ("ID_MODEL", "TEST")]),
    };
    Hardware {
        disks: vec![disk("/dev/sda", "T_A1"), disk("/dev/sdb", "T_B2")],
        nics: vec![NicDevice {
            name: "eno1".to_owned(),
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            udev: udev(&[("ID_NET_NAME", "eno1"), ("ID_NET_NAME_MAC", "enx020000000001")]),
        }],
        dhcp_host: Some("leased".to_owned()),
        dhcp_domain: None,
    }
}

fn examine(release: Release, text: &str, hardware: &Hardware) -> Outcome {
    let examination = match Examination::parse(release, text.as_bytes(), false) {
        Ok(examination) => examination,
        Err(stop) => return Outcome::Stop(stop),
    };
    match examination.first_boot() {
        Some(FirstBoot::FromIso) => Outcome::Stop(examination.without_first_boot("no such file".to_owned())),
        _ => examination.finish(hardware, &Locale::default()),
    }
}

/// The "one text for all" answer with `edit` applied to its lines.
fn answer(edit: impl Fn(&str) -> String) -> String {
    let text = r#"[global]
country = "at"
keyboard = "de"
fqdn = "node1.rack.example"
mailto = "root@rack.example"
timezone = "Europe/Vienna"
root_password = "long enough"
reboot_on_error = true
root_ssh_keys = ["ssh-ed25519 AAAA a"]

[network]
source = "from-answer"
cidr = "127.77.0.9/8"
dns = "127.0.0.1"
gateway = "127.0.0.1"
filter.ID_NET_NAME_MAC = "*020000000001"

[disk-setup]
filesystem = "zfs"
zfs.raid = "raid1"
disk_list = ["sda", "sdb"]
"#;
    edit(text)
}

#[test]
fn the_text_for_all_installs_everywhere() {
    for release in Release::ALL {
        let Outcome::Install(plan) = examine(release, &answer(str::to_owned), &small_machine()) else {
            panic!("{release} refused");
        };
        assert_eq!(plan.fqdn, "node1.rack.example");
        assert_eq!(plan.nic, "eno1");
        assert_eq!(plan.address, "127.77.0.9/8".parse().ok());
        assert_eq!(plan.disks, ["/dev/sda", "/dev/sdb"]);
        assert_eq!(plan.filesystem, "zfs (RAID1)");
        assert_eq!(plan.ssh_keys.len(), 1);
        assert_eq!(plan.raid_problem, None);
    }
}

const RETRY: &str = r#"[global]
country = "us"
keyboard = "en-us"
fqdn = "retry.installer.invalid"
mailto = "root@retry.installer.invalid"
timezone = "UTC"
root_password = "not-approved-yet"
reboot_on_error = true

[network]
source = "from-answer"
cidr = "192.0.2.2/24"
dns = "192.0.2.1"
gateway = "192.0.2.1"
filter.ID_NET_NAME = "installation-not-approved-yet"

[disk-setup]
filesystem = "ext4"
filter.ID_SERIAL = "installation-not-approved-yet"
"#;

const SPEAKING_RETRY: &str = r#"[global]
country = "CODE K7F3 - approve in console"
keyboard = "en-us"
fqdn = "retry.installer.invalid"
mailto = "root@retry.installer.invalid"
timezone = "UTC"
root_password = "not-approved-yet"
reboot_on_error = true

[network]
source = "from-dhcp"

[disk-setup]
filesystem = "ext4"
filter.ID_SERIAL = "installation-not-approved-yet"
"#;

#[test]
fn retry_answers_reboot_every_release() {
    for release in Release::ALL {
        for (text, words) in [
            (RETRY.to_owned(), "filter did not match any device"),
            (SPEAKING_RETRY.to_owned(), "country code 'CODE K7F3 - approve in console' is not valid"),
            (SPEAKING_RETRY.replace("CODE K7F3 - approve in console", "us"), "filter did not match any device"),
        ] {
            let Outcome::Stop(stop) = examine(release, &text, &small_machine()) else {
                panic!("{release} would install a retry answer");
            };
            assert_eq!(stop.message, format!("Installation failed: {words}"), "{release}");
            assert_eq!(stop.after, AfterStop::Reboot, "{release}");
        }
    }
}

#[test]
fn a_retry_answer_with_power_off_powers_off() {
    let text = SPEAKING_RETRY.replace("reboot_on_error = true", "reboot_on_error = true\nreboot_mode = \"power-off\"");
    let Outcome::Stop(stop) = examine(Release::V9_2, &text, &small_machine()) else { panic!("installed") };
    assert_eq!(stop.after, AfterStop::PowerOff);
}

#[rstest]
#[case::unknown_country("country = \"at\"", "country = \"AT\"", "country code 'AT' is not valid")]
#[case::unknown_zone("Europe/Vienna", "Etc/UTC", "timezone 'Etc/UTC' is not valid")]
#[case::short_password("long enough", "short", "`global.root-password` must be at least 8 characters long")]
#[case::no_such_nic("*020000000001", "*020000000009", "filter did not match any device")]
#[case::no_such_disk("[\"sda\", \"sdb\"]", "[\"sdx\", \"sdy\"]", "No disks found matching selection.")]
#[case::duplicate("[\"sda\", \"sdb\"]", "[\"sda\", \"sda\"]", "List of disks contains duplicate device sda")]
#[case::too_few("[\"sda\", \"sdb\"]", "[\"sda\"]", "RAID1 needs at least 2 disks, got 1")]
#[case::mail("root@rack.example", "root", "root: Email does not look like a valid address (user@domain.tld)")]
#[case::foreign_options("zfs.raid", "lvm.hdsize = 3\nzfs.raid", "make sure only 'zfs' options are set")]
#[case::two_disks(
    "filesystem = \"zfs\"\nzfs.raid = \"raid1\"",
    "filesystem = \"ext4\"",
    "make sure to define only one disk for ext4 and xfs"
)]
fn checks_of_9_2_reboot(#[case] from: &str, #[case] to: &str, #[case] words: &str) {
    let text = answer(|text| text.replace(from, to));
    let Outcome::Stop(stop) = examine(Release::V9_2, &text, &small_machine()) else { panic!("installed") };
    assert_eq!(stop.message, format!("Installation failed: {words}"));
    assert_eq!(stop.after, AfterStop::Reboot);
    let text = text.replace("reboot_on_error = true\n", "");
    let Outcome::Stop(stop) = examine(Release::V9_2, &text, &small_machine()) else { panic!("installed") };
    assert_eq!(stop.after, AfterStop::DebugShell, "without reboot-on-error");
}

#[rstest]
#[case::unknown_key("country", "bogus = 1\ncountry")]
#[case::wrong_type("reboot_on_error = true", "reboot_on_error = \"true\"")]
#[case::both_spellings("root_password", "root-password = \"x\"\nroot_password")]
#[case::bad_keyboard("keyboard = \"de\"", "keyboard = \"us\"")]
#[case::not_toml("[network]", "[network")]
fn parse_failures_strand_9_2_but_not_8_3(#[case] from: &str, #[case] to: &str) {
    let text = answer(|text| text.replace(from, to));
    for (release, after) in [(Release::V9_2, AfterStop::DebugShell), (Release::V8_3, AfterStop::Reboot)] {
        let Outcome::Stop(stop) = examine(release, &text, &small_machine()) else { panic!("installed") };
        assert_eq!(stop.after, after);
    }
}

#[test]
fn names_from_the_lease_need_a_domain() {
    let with = |table: &str| answer(|text| text.replace("\"node1.rack.example\"", table));
    let Outcome::Stop(_) = examine(Release::V9_2, &with("{ source = \"from-dhcp\" }"), &small_machine()) else {
        panic!("installed without a domain");
    };
    let text = with("{ source = \"from-dhcp\", domain = \"rack.example\" }");
    let Outcome::Install(plan) = examine(Release::V9_2, &text, &small_machine()) else { panic!("refused") };
    assert_eq!(plan.fqdn, "leased.rack.example");
}

#[test]
fn json_is_read_by_9_2_and_null_is_absent() {
    let value: serde_json::Value = toml_edit::de::from_str(&answer(str::to_owned)).unwrap();
    let mut value = value;
    value["global"]["subscription-key"] = serde_json::Value::Null;
    let body = serde_json::to_vec(&value).unwrap();
    let examination = Examination::parse(Release::V9_2, &body, true).unwrap();
    assert!(matches!(examination.finish(&small_machine(), &Locale::default()), Outcome::Install(_)));
    assert!(Examination::parse(Release::V9_2, answer(str::to_owned).as_bytes(), true).is_err());
}

proptest::proptest! {
    #[test]
    fn no_answer_makes_it_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        for release in Release::ALL {
            if let Ok(examination) = Examination::parse(release, &body, false) {
                let _ = examination.finish(&small_machine(), &Locale::default());
            }
        }
    }
}

#[derive(Deserialize)]
struct Case {
    verdict: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RealMachine {
    disks: BTreeMap<String, Udev>,
    nics: BTreeMap<String, Udev>,
    dhcp: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct LocaleInfo {
    country: BTreeMap<String, serde_json::Value>,
    zones: BTreeMap<String, serde_json::Value>,
}

fn real_machine(text: &str) -> Hardware {
    let machine: RealMachine = serde_json::from_str(text).unwrap();
    let disks = machine.disks.into_iter().map(|(path, udev)| DiskDevice { path, size: 1 << 39, udev }).collect();
    let nics = machine.nics.into_iter();
    let nics = nics.map(|(name, udev)| NicDevice { name, mac: MacAddr([2, 0, 0, 0, 0, 1]), udev }).collect();
    let dhcp = |key: &str| machine.dhcp.get(key).cloned();
    Hardware { disks, nics, dhcp_host: dhcp("hostname"), dhcp_domain: dhcp("domain") }
}

/// Every recorded answer gets from the simulator, as each release, the verdict the real installer gave.
#[test]
fn verdicts_equal_those_of_the_real_installers() {
    let Some(root) = crate::outside::conformance() else { return };
    let verdicts = std::fs::read_to_string(root.join("answers/verdicts.json")).unwrap();
    let verdicts: BTreeMap<String, Case> = serde_json::from_str(&verdicts).unwrap();
    let hardware = real_machine(&std::fs::read_to_string(root.join("machine.json")).unwrap());
    let table: LocaleInfo =
        serde_json::from_str(&std::fs::read_to_string(root.join("machine/locale-info.json")).unwrap()).unwrap();
    let locale = Locale::new(table.country.into_keys(), table.zones.into_keys());
    assert_eq!(locale, Locale::default(), "the built-in tables are those of the medium");
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (name, case) in &verdicts {
        let text = std::fs::read_to_string(root.join(format!("answers/{name}.toml"))).unwrap();
        for release in Release::ALL {
            let outcome = examine(release, &text, &hardware);
            let ours = if matches!(outcome, Outcome::Install(_)) { "accept" } else { "reject" };
            checked += 1;
            if case.verdict[release.label()] != ours {
                wrong.push(format!("{name} as {release}: {ours}, {outcome:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {checked} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checked >= 5, "no case was found");
}
