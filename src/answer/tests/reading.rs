//! What is wrong with a base answer, said as the installers would decide it.

use rstest::rstest;

use super::{SMALL, inputs, text};
use crate::answer::{BaseAnswer, Problem};
use crate::domain::Generation;

/// Messages of the problems of `base`, each with its place.
fn problems(base: &str) -> Vec<String> {
    let problems = BaseAnswer::parse(base).unwrap_err().0;
    let place =
        |problem: &Problem| problem.position(base).map_or("-".to_owned(), |(line, column)| format!("{line}:{column}"));
    problems.iter().map(|problem| format!("{} {}", place(problem), problem.message)).collect()
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
            "23:7 `[post-installation-webhook]` belongs to prox-orchestrator, which machines report to",
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
#[case("disk_list = [\"sda\"]", "disk_list = []", "`disk-setup.disk_list` or `disk-setup.filter` is missing")]
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
