//! What is said about harmful answers, and what they would touch; and rules the conformance data has no case for.

use rstest::rstest;

use crate::answer::{
    BaseAnswer, Checked, Hardware, HardwareError, Installer, Question, Severity, check_answer, check_base,
};

/// A whole answer that every installer takes; `DISKS` is replaced by more settings of `[disk-setup]`.
const WHOLE: &str = r#"[global]
country = "at"
keyboard = "de"
fqdn = "a.example"
mailto = "ops@example.com"
timezone = "UTC"
root_password = "fixture-password"
reboot_on_error = true

[network]
source = "from-answer"
cidr = "192.0.2.9/24"
dns = "192.0.2.1"
gateway = "192.0.2.1"
filter.ID_NET_NAME = "eno1"

[disk-setup]
DISKS
"#;

/// As a report has it: one size for all, a pinned name beside the real one.
const REPORT: &str = r#"{
    "disks": [
        { "size": 240057409536, "is-bootdisk": true, "udev-properties":
            { "DEVNAME": "/dev/sda", "ID_MODEL": "FAST\u001b[31m", "ID_SERIAL": "FAST_1", "ID_SERIAL_SHORT": "1" } },
        { "size": 240057409536, "udev-properties": { "DEVNAME": "/dev/sdb", "ID_SERIAL": "FAST_2", "ID_BUS": "ata" } },
        { "size": 1, "udev-properties": {} },
        7
    ],
    "network-interfaces": [
        { "mac": "02:00:00:00:00:01", "name": "nic0", "udev-properties":
            { "INTERFACE": "eno1", "ID_NET_NAME": "eno1", "ID_VENDOR_FROM_DATABASE": "Intel" } },
        { "mac": "02:00:00:00:00:02", "udev-properties":
            { "INTERFACE": "eno2", "ID_NET_NAME": "eno2", "ID_VENDOR_FROM_DATABASE": "Intel" } }
    ]
}"#;

fn check(text: &str, installer: Installer, hardware: Option<&Hardware>) -> Checked {
    check_answer(text, &Question { installer, hardware, first_boot_on_medium: false })
}

fn messages(checked: &Checked, severity: Severity) -> Vec<&str> {
    let problems = checked.problems.iter().filter(|problem| problem.severity == severity);
    problems.map(|problem| problem.message.as_str()).filter(|message| !message.contains("in plain text")).collect()
}

const ZFS: &str = "filesystem = \"zfs\"\nzfs.raid = \"raid0\"\n";

#[rstest]
#[case::empty_name(
    "filesystem = \"ext4\"\ndisk_list = [\"\"]",
    "an empty disk name selects the first disk: it would take /dev/sda"
)]
#[case::suffix(
    "filesystem = \"ext4\"\ndisk_list = [\"b\"]",
    "`b` is no whole name: the first disk whose path ends with it is taken: it would take /dev/sdb"
)]
#[case::ext4_all(
    "filesystem = \"ext4\"\nfilter = { ID_BUS = \"ata\", ID_SERIAL = \"FAST_2\" }\nfilter_match = \"all\"",
    "ext4 and xfs ignore this: the first disk of which any one property matches is wiped"
)]
#[case::ext4_several(
    "filesystem = \"xfs\"\nfilter.ID_SERIAL = \"FAST_*\"",
    "2 disks match; the first is wiped: /dev/sda"
)]
#[case::all_none(
    "{ZFS}filter.ID_SERAL = \"x\"\nfilter_match = \"all\"",
    "no disk has the property `ID_SERAL`, and with `all` it therefore excludes none"
)]
#[case::all_some(
    "{ZFS}filter.ID_BUS = \"ata\"\nfilter_match = \"all\"",
    "1 disks lack the property `ID_BUS`, and with `all` it does not exclude them"
)]
fn harm_is_named_with_what_would_happen(#[case] disks: &str, #[case] message: &str) {
    let machine = Hardware::parse(REPORT.as_bytes()).unwrap();
    let text = WHOLE.replace("DISKS", &disks.replace("{ZFS}", ZFS));
    let checked = check(&text, Installer::NEWEST, Some(&machine));
    assert!(checked.is_accepted(), "{:?}", checked.problems);
    let dangers = messages(&checked, Severity::Danger);
    assert!(matches!(*dangers, [one] if one.starts_with(message)), "{dangers:?}");
}

#[test]
fn an_empty_filter_selects_every_disk_of_old_installers() {
    let machine = Hardware::parse(REPORT.as_bytes()).unwrap();
    let text = WHOLE.replace("DISKS", &format!("{ZFS}filter = {{}}\nfilter_match = \"all\""));
    let old = check(&text, "8.4".parse().unwrap(), Some(&machine));
    assert_eq!(messages(&old, Severity::Danger), ["an empty filter with `filter_match = \"all\"` selects every disk"]);
    assert_eq!(old.touch.unwrap().disks.len(), 2);
    assert!(!check(&text, "9.0.5".parse().unwrap(), Some(&machine)).is_accepted());
}

#[test]
fn a_nic_filter_that_several_match_and_a_stranding_webhook_are_dangers() {
    let machine = Hardware::parse(REPORT.as_bytes()).unwrap();
    let text = WHOLE
        .replace("DISKS", "filesystem = \"ext4\"\ndisk_list = [\"sda\"]")
        .replace("ID_NET_NAME = \"eno1\"", "ID_NET_NAME = \"eno*\"");
    let text =
        format!("{text}[post-installation-webhook]\nurl = \"https://x\"\n").replace("reboot_on_error = true", "");
    let checked = check(&text, Installer::NEWEST, Some(&machine));
    assert_eq!(
        messages(&checked, Severity::Danger),
        [
            "it matches 2 interfaces, eno1, eno2: the first by name, `eno1`, would get the address",
            "if the report fails, the installed machine stays in a debug shell until somebody walks to it",
        ]
    );
}

#[test]
fn what_dhcp_takes_from_a_base_answer_does_no_harm() {
    let machine = Hardware::parse(REPORT.as_bytes()).unwrap();
    let question = Question { installer: Installer::NEWEST, hardware: Some(&machine), first_boot_on_medium: false };
    let text = WHOLE.replace("DISKS", "filesystem = \"ext4\"\ndisk_list = [\"sda\"]");
    let text = text.replace("ID_NET_NAME = \"eno1\"", "ID_NET_NAME = \"nothing\"");
    let told = |text: &str, dhcp_by: Option<&str>| {
        let checked = check_base(text, dhcp_by, &question);
        let touch = checked.touch.as_ref().map(|touch| touch.lines().last().cloned().unwrap());
        (messages(&checked, Severity::Error).len(), touch)
    };
    assert_eq!(told(&text, None), (1, None), "no interface matches");
    let lease = "would set up the interface that has the DHCP lease".to_owned();
    assert_eq!(told(&text, Some("somebody")), (0, Some(lease)));
    let broken = text.replacen("dns = \"", "dns = \"x", 1);
    assert_ne!(broken, text);
    assert_eq!(told(&broken, Some("somebody")), (1, None), "a file that cannot stand alone is not read");
}

#[test]
fn plain_passwords_are_dangers_where_hashes_are_known() {
    let text = WHOLE.replace("DISKS", "filesystem = \"ext4\"\ndisk_list = [\"sda\"]");
    for (installer, count) in [("8.2", 0), ("8.2.7", 1), ("9.2", 1)] {
        let checked = check(&text, installer.parse().unwrap(), None);
        assert!(checked.is_accepted());
        assert_eq!(checked.problems.len(), count, "{installer}");
    }
    let base = BaseAnswer::parse(&text).unwrap();
    let severities: Vec<_> = base.cautions().iter().map(|caution| (caution.severity, &*caution.path)).collect();
    let expected = [
        (Severity::Warning, "global.fqdn"),
        (Severity::Danger, "global.root_password"),
        (Severity::Warning, "network.cidr"),
    ];
    assert_eq!(severities, expected);
}

#[test]
fn what_would_be_touched_is_named_and_harmless_to_show() {
    let machine = Hardware::parse(REPORT.as_bytes()).unwrap();
    let text = WHOLE.replace("DISKS", "filesystem = \"zfs\"\nzfs.raid = \"RAID1\"\nfilter.ID_SERIAL = \"FAST_1\"");
    let checked = check(&text, Installer::NEWEST, Some(&machine));
    let touch = checked.touch.as_ref().unwrap();
    assert_eq!(
        touch.lines(),
        [
            "would choose /dev/sda (FAST[31m, serial 1, 240 GB at the last installation)",
            "would stop before it writes: raid1 needs at least 2 disks, and 1 are chosen",
            "would set up eno1 (Intel, 02:00:00:00:00:01)",
        ]
    );
    assert_eq!(touch.filesystem, "zfs (RAID1)");
    assert_eq!(messages(&checked, Severity::Warning).len(), 1);
    let text = WHOLE.replace("DISKS", "filesystem = \"ext4\"\ndisk_list = [\"/dev/sdb\"]");
    let touch = check(&text, Installer::NEWEST, Some(&machine)).touch.unwrap();
    assert_eq!(touch.lines()[0], "would wipe /dev/sdb (serial FAST_2, 240 GB at the last installation)");
}

#[rstest]
#[case("filesystem = \"ext4\"\ndisk_list = [\"sda\"]\nlvm = { maxroot = 8,\n}", "9.2", 2)]
#[case("filesystem = \"ext4\"\ndisk_list = [\"sda\"]\nzfs = {}", "8.2", 1)]
#[case("filesystem = \"zfs\"\nzfs.raid = \"RAIDZ-1\"\ndisk_list = [\"sda\",\"sdb\",\"sdc\"]", "8.3.2", 0)]
#[case("filesystem = \"zfs\"\nzfs.raid = \"raidz-1\"\ndisk_list = [\"sda\",\"sdb\",\"sdc\"]", "8.3.2", 1)]
#[case("filesystem = \"zfs\"\nzfs.raid = \"raid1\"\ndisk_list = [\"sda\"]", "9.0.4", 0)]
#[case("filesystem = \"zfs\"\nzfs.raid = \"raid1\"\ndisk_list = [\"sda\"]", "9.0.5", 1)]
#[case("filesystem = \"btrfs\"\nbtrfs.raid = \"raid0\"\ndisk_list = [\"a\"]\nbtrfs.compress = \"lzo\"", "8.2.6", 1)]
fn rules_count_from_their_version_on(#[case] disks: &str, #[case] installer: &str, #[case] errors: usize) {
    let checked = check(&WHOLE.replace("DISKS", disks), installer.parse().unwrap(), None);
    assert_eq!(messages(&checked, Severity::Error).len(), errors, "{:?}", checked.problems);
}

#[test]
fn a_base_answer_is_judged_by_the_generation_it_serves() {
    let text = WHOLE.replace("DISKS", "filesystem = \"ext4\"\ndisk_list = [\"sda\"]");
    let text = text
        .replace("reboot_on_error = true", "reboot-mode = \"reboot\"")
        .replace("root_password", "root-password-hashed");
    let judged = |installer: &str| {
        let question = Question { installer: installer.parse().unwrap(), hardware: None, first_boot_on_medium: false };
        let checked = check_base(&text, None, &question);
        let left_out = messages(&checked, Severity::Warning).iter().any(|message| message.contains("is left out"));
        (checked.is_accepted(), left_out)
    };
    assert_eq!(judged("8.2"), (false, true));
    assert_eq!(judged("8.4"), (true, true), "8.4 cannot be told from 8.3, which has no reboot mode");
    assert_eq!(judged("9.2"), (true, false));
}

#[test]
fn what_describes_no_machine_is_refused() {
    assert!(matches!(Hardware::parse(b"{"), Err(HardwareError::Json(_))));
    assert!(matches!(Hardware::parse(b"{\"disks\":3}"), Err(HardwareError::NoDisks)));
    assert!(matches!(Hardware::parse(b"[]"), Err(HardwareError::NoDisks)));
    let report = |disks: &str, nics: &str| {
        Hardware::parse(format!(r#"{{"disks":[{disks}],"network-interfaces":[{nics}]}}"#).as_bytes())
    };
    let (disk, nic) = (r#"{"udev-properties":{"DEVNAME":"/dev/sda"}}"#, r#"{"name":"eno1"}"#);
    assert!(report(disk, nic).is_ok());
    for (disks, nics) in [("", nic), (disk, ""), ("", "")] {
        assert!(matches!(report(disks, nics), Err(HardwareError::NoDisks)), "gathering failed: nothing is known");
    }
}

#[test]
fn messages_do_not_steer_a_terminal() {
    let text = WHOLE
        .replace("DISKS", "filesystem = \"\\u001b[2J\\u202e\"")
        .replace("\"at\"", &format!("\"{}\"", "x".repeat(5000)));
    for problem in check(&text, Installer::NEWEST, None).problems {
        assert!(
            !problem.message.contains(['\u{1b}', '\u{202e}']) && problem.message.len() < 500,
            "{}",
            problem.message
        );
    }
}
