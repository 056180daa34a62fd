//! Every rule of PROTOCOL.md §b with the versions between which an answer is accepted, over every installer there is:
//! what the conformance data, one version for each release, cannot show.

use rstest::rstest;

use crate::answer::{Installer, Question, Severity, check_answer};

/// A whole answer that every installer takes.
const WHOLE: &str = r#"[global]
country = "at"
keyboard = "de"
fqdn = "a.example"
mailto = "ops@example.com"
timezone = "UTC"
root_password = "fixture-password"

[network]
source = "from-answer"
cidr = "192.0.2.9/24"
dns = "192.0.2.1"
gateway = "192.0.2.1"
filter.ID_NET_NAME = "eno1"

[disk-setup]
filesystem = "ext4"
disk_list = ["sda"]
"#;

const ALL: &str = "8.2.2-9.2.7";
const NONE: &str = "";

/// The versions that accept `text`, as ranges: `8.2.2-8.3.9 9.2.0-9.2.7`.
fn accepted_by(text: &str) -> String {
    let mut ranges: Vec<(Installer, Installer)> = Vec::new();
    let mut before = false;
    for installer in Installer::all() {
        let checked = check_answer(text, &Question { installer, hardware: None, first_boot_on_medium: true });
        let accepted = checked.is_accepted();
        match ranges.last_mut() {
            Some((_, last)) if accepted && before => *last = installer,
            _ if accepted => ranges.push((installer, installer)),
            _ => {}
        }
        before = accepted;
    }
    ranges.into_iter().map(|(first, last)| format!("{first}-{last}")).collect::<Vec<_>>().join(" ")
}

/// `WHOLE` with the line of the key `key` replaced; a key that is not there is put at the end of its table.
fn with(key: &str, new: &str) -> String {
    let line = WHOLE.lines().find(|line| line.split([' ', '.', '=']).next() == Some(key) || *line == key);
    WHOLE.replace(line.unwrap_or_else(|| panic!("no `{key}`")), new)
}

#[test]
fn the_whole_answer_is_taken_by_all() {
    assert_eq!(accepted_by(WHOLE), ALL);
    assert_eq!(Installer::all().count(), 50);
}

#[rstest]
// [global]
#[case("country", "country = \"AT\"", NONE)]
#[case("country", "country = \"\"", NONE)]
#[case("country", "country = \"gb\"", ALL)]
#[case("country", "country = \"uk\"", NONE)]
#[case("keyboard", "keyboard = \"pt-br\"", ALL)]
#[case("keyboard", "keyboard = \"pt-BR\"", NONE)]
#[case("timezone", "timezone = \"utc\"", NONE)]
#[case("timezone", "timezone = \"Etc/UTC\"", NONE)]
#[case("timezone", "timezone = \"America/Argentina/Ushuaia\"", ALL)]
#[case("mailto", "mailto = \"\"", "8.2.2-8.2.6")]
#[case("mailto", "mailto = \"root@localhost\"", ALL)]
#[case("mailto", "mailto = \"o'brien+x@a.b-c.d\"", ALL)]
#[case("mailto", "mailto = \"a@b@c.d\"", "8.2.2-8.2.6")]
#[case("mailto", "mailto = \"a b@c.d\"", "8.2.2-8.2.6")]
#[case("mailto", "mailto = \"a@b..c\"", "8.2.2-8.2.6")]
#[case("mailto", "mailto = \"a@b.\"", "8.2.2-8.2.6")]
#[case("mailto", "mailto = \"a@-b.c\"", "8.2.2-8.2.6")]
#[case("mailto", "mailto = \"a@b-.c\"", "8.2.2-8.2.6")]
#[case("mailto", "mailto = \"ä@b.c\"", "8.2.2-8.2.6")]
#[case("mailto", "mailto = \"a@b.c\\n\"", "8.2.2-8.2.6")]
#[case("mailto", "mailto = \"a@b_c.d\"", "8.2.2-8.2.6")]
#[case("mailto", "mailto = \"mail@example.invalid\"", "8.2.2-8.2.6")]
#[case("root_password", "root_password = \"1234567\"", "8.2.2-8.3.9")]
#[case("root_password", "root_password = \"1234567ä\"", ALL)]
#[case("root_password", "root-password = \"12345678\"", "8.4.0-9.2.7")]
#[case("root_password", "root_password_hashed = \"$y$\"", "8.2.7-9.2.7")]
#[case("root_password", "root-password-hashed = \"$y$\"", "8.4.0-9.2.7")]
#[case("root_password", "root_password = \"12345678\"\nroot_password_hashed = \"$y$\"", NONE)]
#[case("root_password", "root_password = \"12345678\"\nroot-password = \"12345678\"", NONE)]
#[case("root_password", "", NONE)]
#[case("root_password", "password = \"12345678\"", NONE)]
#[case("mailto", "mailto = \"a@b\"\nroot_ssh_keys = [\"anything\"]", ALL)]
#[case("mailto", "mailto = \"a@b\"\nroot-ssh-keys = []", "8.4.0-9.2.7")]
#[case("mailto", "mailto = \"a@b\"\nreboot_on_error = true", ALL)]
#[case("mailto", "mailto = \"a@b\"\nreboot-on-error = true", "8.4.0-9.2.7")]
#[case("mailto", "mailto = \"a@b\"\nreboot_mode = \"power-off\"", "8.4.3-9.2.7")]
#[case("mailto", "mailto = \"a@b\"\nreboot-mode = \"poweroff\"", NONE)]
#[case("mailto", "mailto = \"a@b\"\nsubscription_key = \"\"", "9.2.0-9.2.7")]
#[case("mailto", "mailto = \"a@b\"\nsubscription-key = 1", NONE)]
// the host name
#[case("fqdn", "fqdn = \"A.B\"", ALL)]
#[case("fqdn", "fqdn = \"a\"", NONE)]
#[case("fqdn", "fqdn = \"a.b.\"", NONE)]
#[case("fqdn", "fqdn = \"a..b\"", NONE)]
#[case("fqdn", "fqdn = \"-a.b\"", NONE)]
#[case("fqdn", "fqdn = \"a-.b\"", NONE)]
#[case("fqdn", "fqdn = \"a.-b\"", NONE)]
#[case("fqdn", "fqdn = \"a_b.c\"", NONE)]
#[case("fqdn", "fqdn = \"12.b\"", NONE)]
#[case("fqdn", "fqdn = \"1a.2\"", ALL)]
#[case("fqdn", "fqdn = \"a123456789012345678901234567890123456789012345678901234567890abc.b\"", NONE)]
#[case("fqdn", "fqdn = \"a12345678901234567890123456789012345678901234567890123456789ab.b\"", ALL)]
#[case("fqdn", "fqdn = {}", "8.4.3-9.2.7")]
#[case("fqdn", "fqdn = { source = \"from-dhcp\", domain = \"b.c\" }", "8.4.3-9.2.7")]
#[case("fqdn", "fqdn.domain = \"b\"", "8.4.3-9.2.7")]
#[case("fqdn", "fqdn.domain = \"\"", "9.0.5-9.2.7")]
#[case("fqdn", "fqdn.domain = \"b.\"", NONE)]
#[case("fqdn", "fqdn.domain = \".b\"", NONE)]
#[case("fqdn", "fqdn.domain = \"b_c\"", NONE)]
#[case("fqdn", "fqdn = { source = \"from-answer\" }", NONE)]
#[case("fqdn", "fqdn = { hostname = \"a\" }", NONE)]
// [network]
#[case("source", "", NONE)]
#[case("source", "source = \"from_answer\"", NONE)]
#[case("cidr", "", NONE)]
#[case("cidr", "cidr = \"192.0.2.9\"", "9.2.0-9.2.7")]
#[case("cidr", "cidr = \"2001:db8::9\"", "9.2.0-9.2.7")]
#[case("cidr", "cidr = \"192.0.2.9/0\"", ALL)]
#[case("cidr", "cidr = \"192.0.2.9/33\"", NONE)]
#[case("cidr", "cidr = \"192.0.2.9/255.255.255.0\"", NONE)]
#[case("cidr", "cidr = \"192.0.2.9/\"", NONE)]
#[case("cidr", "cidr = \"192.0.2.09/24\"", NONE)]
#[case("cidr", "cidr = \"2001:db8::9/128\"", ALL)]
#[case("cidr", "cidr = \"2001:db8::9/129\"", NONE)]
#[case("cidr", "cidr = \"192.0.2.0/24\"", "8.2.2-9.0.4 9.0.6-9.2.7")]
#[case("cidr", "cidr = \"192.0.2.255/24\"", "8.2.2-9.0.4 9.0.6-9.2.7")]
#[case("cidr", "cidr = \"192.0.2.8/31\"", ALL)]
#[case("cidr", "cidr = \"192.0.2.9/32\"", ALL)]
#[case("dns", "dns = \"\"", NONE)]
#[case("dns", "dns = \"192.0.2.1, 192.0.2.2\"", NONE)]
#[case("dns", "dns = \"::1\"", ALL)]
#[case("dns", "", NONE)]
#[case("gateway", "gateway = \"192.0.2.1/24\"", NONE)]
#[case("gateway", "gateway = \"fe80::1%eno1\"", NONE)]
#[case("gateway", "", NONE)]
#[case("filter", "", NONE)]
#[case("filter", "filter = {}", NONE)]
#[case("filter", "filter.ID_NET_NAME = 1", NONE)]
#[case("filter", "filter.ID_NET_NAME = \"[a\"", NONE)]
#[case("filter", "filter.ID_NET_NAME = \"a**\"", NONE)]
#[case("filter", "filter.ID_NET_NAME = \"[[]*[!a]?\"", ALL)]
#[case("filter", "filter.ANY_KEY = \"\"", ALL)]
// [disk-setup]
#[case("filesystem", "filesystem = \"EXT4\"", NONE)]
#[case("filesystem", "filesystem = \"xfs\"", ALL)]
#[case("filesystem", "filesystem = \"ext4\"\nfilter_match = \"any\"", ALL)]
#[case("filesystem", "filesystem = \"ext4\"\nfilter-match = \"all\"", "8.4.0-9.2.7")]
#[case("filesystem", "filesystem = \"ext4\"\nfilter_match = \"ANY\"", NONE)]
#[case("filesystem", "filesystem = \"ext4\"\nlvm = {}", ALL)]
#[case("filesystem", "filesystem = \"ext4\"\nbtrfs = {}", NONE)]
#[case("filesystem", "filesystem = \"xfs\"\nlvm.hdsize = 8\nlvm.swapsize = 4.0", ALL)]
#[case("filesystem", "filesystem = \"xfs\"\nlvm.hdsize = 8\nlvm.swapsize = 4.1", "8.2.2-9.0.4")]
#[case("filesystem", "filesystem = \"xfs\"\nlvm.swapsize = 4", ALL)]
#[case("filesystem", "filesystem = \"xfs\"\nlvm.minfree = -1", ALL)]
#[case("filesystem", "filesystem = \"xfs\"\nlvm.minfree = \"1\"", NONE)]
#[case("disk_list", "", NONE)]
#[case("disk_list", "disk_list = []", NONE)]
#[case("disk_list", "disk_list = \"sda\"", NONE)]
#[case("disk_list", "disk-list = [\"sda\"]", "8.4.0-9.2.7")]
#[case("disk_list", "disk_list = [\"sda\", \"sdb\"]", NONE)]
#[case("disk_list", "disk_list = [\"/dev/disk/by-id/ata-x\"]", NONE)]
#[case("disk_list", "filter.ID_SERIAL = \"x\"", ALL)]
#[case("disk_list", "filter = {}", "8.2.2-9.0.4")]
#[case("disk_list", "filter = {}\ndisk_list = [\"sda\"]", "9.0.5-9.2.7")]
#[case("disk_list", "filter.X = \"x\"\ndisk_list = [\"sda\"]", NONE)]
#[case("disk_list", "filter.X = \"x\"\ndisk_list = []", ALL)]
#[case("disk_list", "filter.X = \"[\"", NONE)]
fn a_setting_is_accepted_from_version_to_version(#[case] key: &str, #[case] new: &str, #[case] versions: &str) {
    assert_eq!(accepted_by(&with(key, new)), versions, "{new}");
}

/// `[disk-setup]` of a RAID: file system, level, how many disks.
#[rstest]
#[case("zfs", "raid0", 1, ALL)]
#[case("zfs", "RAID0", 1, "8.3.3-9.2.7")]
#[case("zfs", "Raid0", 1, NONE)]
#[case("zfs", "raid1", 1, "8.2.2-9.0.4")]
#[case("zfs", "raid1", 2, ALL)]
#[case("zfs", "RAID1", 2, "8.3.3-9.2.7")]
#[case("zfs", "raid10", 3, "8.2.2-9.0.4")]
#[case("zfs", "raid10", 4, ALL)]
#[case("zfs", "raid10", 5, "8.2.2-9.2.5")]
#[case("zfs", "raid10", 6, ALL)]
#[case("zfs", "raidz-1", 3, "8.2.2-8.2.6 8.3.3-9.2.7")]
#[case("zfs", "RAIDZ-1", 3, "8.2.7-9.2.7")]
#[case("zfs", "RAIDz-1", 3, NONE)]
#[case("zfs", "raidz1", 3, NONE)]
#[case("zfs", "RAIDZ-1", 2, "8.2.7-9.0.4")]
#[case("zfs", "RAIDZ-2", 3, "8.2.7-9.0.4")]
#[case("zfs", "RAIDZ-2", 4, "8.2.7-9.2.7")]
#[case("zfs", "RAIDZ-3", 4, "8.2.7-9.0.4")]
#[case("zfs", "RAIDZ-3", 5, "8.2.7-9.2.7")]
#[case("btrfs", "raid0", 1, ALL)]
#[case("btrfs", "RAID0", 1, "8.3.3-9.2.7")]
#[case("btrfs", "raid1", 1, "8.2.2-9.0.4")]
#[case("btrfs", "raid1", 2, ALL)]
#[case("btrfs", "raid10", 3, "8.2.2-9.0.4")]
#[case("btrfs", "raid10", 4, ALL)]
#[case("btrfs", "raidz-1", 3, NONE)]
#[case("ext4", "raid0", 1, NONE)]
fn raid_levels_are_spelt_and_counted(
    #[case] filesystem: &str,
    #[case] level: &str,
    #[case] disks: usize,
    #[case] versions: &str,
) {
    let table = if filesystem == "ext4" { "zfs" } else { filesystem };
    let list = ["\"sda\"", "\"sdb\"", "\"sdc\"", "\"sdd\"", "\"sde\"", "\"sdf\""][..disks].join(", ");
    let text = with("filesystem", &format!("filesystem = \"{filesystem}\"\n{table}.raid = \"{level}\""));
    assert_eq!(accepted_by(&text.replace("[\"sda\"]", &format!("[{list}]"))), versions);
}

/// Options of a file system beside `raid0` on one disk.
#[rstest]
#[case("zfs", "zfs.ashift = 12\nzfs.copies = 1\nzfs.hdsize = 32", ALL)]
#[case("zfs", "zfs.arc_max = 0", ALL)]
#[case("zfs", "zfs.arc-max = 4096", "8.4.0-9.2.7")]
#[case("zfs", "zfs.ashift = 12.0", NONE)]
#[case("zfs", "zfs.copies = -1", NONE)]
#[case("zfs", "zfs.hdsize = -1.5", ALL)]
#[case("zfs", "zfs.checksum = \"sha512\"", NONE)]
#[case("zfs", "zfs.checksum = \"fletcher4\"", ALL)]
#[case("zfs", "zfs.compress = \"zle\"", ALL)]
#[case("zfs", "zfs.compress = \"lzo\"", NONE)]
#[case("zfs", "lvm.hdsize = 3", NONE)]
#[case("zfs", "disk_list = [\"sda\"]", NONE)]
#[case("btrfs", "btrfs.hdsize = 32", ALL)]
#[case("btrfs", "btrfs.compress = \"zlib\"", "8.2.7-9.2.7")]
#[case("btrfs", "btrfs.compress = \"gzip\"", NONE)]
#[case("btrfs", "btrfs.ashift = 12", NONE)]
fn options_of_a_file_system(#[case] filesystem: &str, #[case] option: &str, #[case] versions: &str) {
    let text = with("filesystem", &format!("filesystem = \"{filesystem}\"\n{filesystem}.raid = \"raid0\"\n{option}"));
    assert_eq!(accepted_by(&text), versions);
}

/// Disks that are named twice; a filter is not counted by anybody before the disks are known.
#[rstest]
#[case("disk_list = [\"sda\", \"sda\"]", "8.2.2-9.0.4")]
#[case("disk_list = [\"sda\", \"/dev/sda\"]", ALL)]
#[case("filter.ID_SERIAL = \"x\"", ALL)]
fn mirrors_of_one_disk(#[case] disks: &str, #[case] versions: &str) {
    let text = with("filesystem", "filesystem = \"zfs\"\nzfs.raid = \"raid1\"");
    assert_eq!(accepted_by(&text.replace("disk_list = [\"sda\"]", disks)), versions);
}

/// `[network]` with the lease's address.
#[rstest]
#[case("source = \"from-dhcp\"", ALL)]
#[case("", "8.2.2-9.1.7")]
#[case("source = \"from-dhcp\"\ncidr = \"192.0.2.9/24\"", NONE)]
#[case("source = \"from-dhcp\"\ndns = \"192.0.2.1\"", NONE)]
#[case("source = \"from-dhcp\"\ngateway = \"192.0.2.1\"", NONE)]
#[case("source = \"from-dhcp\"\nfilter.X = \"x\"", NONE)]
#[case("dns = \"192.0.2.1\"", NONE)]
// Names of interfaces.
#[case("source = \"from-dhcp\"\ninterface-name-pinning.enabled = true", "9.1.0-9.2.7")]
#[case("source = \"from-dhcp\"\ninterface-name-pinning.enabled = \"yes\"", NONE)]
#[case("source = \"from-dhcp\"\ninterface-name-pinning.mapping = {}", NONE)]
#[case("source = \"from-dhcp\"\ninterface-name-pinning = {}", NONE)]
#[case("source = \"from-dhcp\"\ninterface_name_pinning.enabled = true", NONE)]
#[case("source = \"from-dhcp\"\ninterface-name-pinning = { enabled = true, names = {} }", NONE)]
fn the_address_of_the_lease(#[case] network: &str, #[case] versions: &str) {
    let start = WHOLE.find("source").unwrap();
    let end = WHOLE.find("[disk-setup]").unwrap();
    let text = format!("{}{network}\n{}", &WHOLE[..start], &WHOLE[end..]);
    assert_eq!(accepted_by(&text), versions);
}

/// A pinned name, where names count and where they do not.
#[rstest]
#[case("lan0", "9.1.0-9.2.7")]
#[case("l0", "9.1.0-9.2.7")]
#[case("l", NONE)]
#[case("0lan", NONE)]
#[case("_lan", NONE)]
#[case("lan_0", "9.1.0-9.2.7")]
#[case("lan-0", NONE)]
#[case("LAN0", "9.1.0-9.1.1 9.1.3-9.2.7")]
#[case("lan.5", "9.1.0-9.2.7")]
#[case("lan:5", "9.1.0-9.2.7")]
#[case("lan.", NONE)]
#[case("lan.x", NONE)]
#[case("lan.1.2", NONE)]
#[case("lan0123456789ab", "9.1.0-9.2.7")]
#[case("lan0123456789abc", NONE)]
#[case("länd", NONE)]
#[case("dup", NONE)]
fn pinned_names(#[case] name: &str, #[case] versions: &str) {
    let pinned = |enabled: bool| {
        let mapping = format!("{{ \"02:00:00:00:00:01\" = \"{name}\", \"02:00:00:00:00:02\" = \"dup\" }}");
        let pinning = format!("interface-name-pinning = {{ enabled = {enabled}, mapping = {mapping} }}");
        accepted_by(&with("source", &format!("source = \"from-answer\"\n{pinning}")))
    };
    assert_eq!(pinned(true), versions);
    assert_eq!(pinned(false), "9.1.0-9.2.7", "names do not count where nothing is pinned");
}

/// Sections behind `[disk-setup]`.
#[rstest]
#[case("[post-installation-webhook]\nurl = \"https://x\"", "8.2.7-9.2.7")]
#[case("[post-installation-webhook]", NONE)]
#[case("[post_installation_webhook]\nurl = \"https://x\"", NONE)]
#[case("[post-installation-webhook]\nurl = \"https://x\"\ncert_fingerprint = \"\"", "8.2.7-9.2.7")]
#[case("[post-installation-webhook]\nurl = \"https://x\"\ncert-fingerprint = \"\"", "8.4.0-9.2.7")]
#[case("[post-installation-webhook]\nurl = \"https://x\"\nauth_token = \"\"", "9.2.0-9.2.7")]
#[case("[post-installation-webhook]\nurl = \"https://x\"\nauth-token = \"\"", "9.2.0-9.2.7")]
#[case("[first-boot]\nsource = \"from-iso\"", "8.3.0-9.2.7")]
#[case("[first-boot]\nsource = \"from-url\"", NONE)]
#[case("[first-boot]\nurl = \"https://x\"", NONE)]
#[case("[first_boot]\nsource = \"from-iso\"", NONE)]
#[case("[first-boot]\nsource = \"from-url\"\nurl = \"https://x\"", "8.3.0-9.2.7")]
#[case("[first-boot]\nsource = \"from-iso\"\nordering = \"before-network\"", "8.3.0-9.2.7")]
#[case("[first-boot]\nsource = \"from-iso\"\nordering = \"network-online\"", "8.3.0-9.2.7")]
#[case("[first-boot]\nsource = \"from-iso\"\nordering = \"fully-up\"", "8.3.0-9.2.7")]
#[case("[first-boot]\nsource = \"from-iso\"\nordering = \"fully_up\"", NONE)]
#[case("[first-boot]\nsource = \"from-iso\"\ncert-fingerprint = \"\"", "8.3.0-9.2.7")]
#[case("[first-boot]\nsource = \"from-iso\"\ncert_fingerprint = \"\"", "8.4.0-9.2.7")]
#[case("[other]", NONE)]
#[case("[[first-boot]]\nsource = \"from-iso\"", NONE)]
fn sections_came_with_versions(#[case] section: &str, #[case] versions: &str) {
    assert_eq!(accepted_by(&format!("{WHOLE}\n{section}\n")), versions);
}

/// What installers take and nobody can mean is said with its weight.
#[rstest]
#[case("cidr", "cidr = \"192.0.2.0/24\"", Severity::Danger, "which no machine can have")]
#[case("cidr", "cidr = \"192.0.2.9\"", Severity::Warning, "a network of one address")]
#[case("gateway", "gateway = \"192.0.3.1\"", Severity::Warning, "outside of the machine's network `192.0.2.9/24`")]
#[case("gateway", "gateway = \"192.0.2.9\"", Severity::Warning, "the machine's own address")]
#[case("gateway", "gateway = \"2001:db8::1\"", Severity::Warning, "not of one family")]
#[case("dns", "dns = \"2001:db8::1\"", Severity::Warning, "not of one family")]
#[case("filesystem", "filesystem = \"ext4\"\nlvm.hdsize = 1", Severity::Warning, "too small for an installation")]
#[case("mailto", "mailto = \"a@b\"\nroot_ssh_keys = [\"id.pub\"]", Severity::Warning, "no public SSH key")]
#[case(
    "mailto",
    "mailto = \"a@b\"\nroot_ssh_keys = [\"-----BEGIN OPENSSH PRIVATE KEY-----\"]",
    Severity::Danger,
    "a private key stands here"
)]
#[case(
    "[disk-setup]",
    "[first-boot]\nsource = \"from-url\"\nurl = \"x.example\"\n[disk-setup]",
    Severity::Danger,
    "no address that can be called"
)]
#[case(
    "[disk-setup]",
    "[post-installation-webhook]\nurl = \"http:///x\"\n[disk-setup]",
    Severity::Danger,
    "no address that can be called"
)]
#[case(
    "[disk-setup]",
    "[post-installation-webhook]\nurl = \"https://x\"\ncert_fingerprint = \"sha256:AB\"\n[disk-setup]",
    Severity::Danger,
    "no SHA-256 of a certificate"
)]
#[case(
    "[disk-setup]",
    "[post-installation-webhook]\nurl = \"https://[2001:db8::1]/\"\ncert_fingerprint = \"\"\n[disk-setup]",
    Severity::Warning,
    "no IPv6 address beside a fingerprint"
)]
fn what_nobody_can_mean_is_said(
    #[case] key: &str,
    #[case] new: &str,
    #[case] severity: Severity,
    #[case] message: &str,
) {
    let question = Question { installer: Installer::NEWEST, hardware: None, first_boot_on_medium: true };
    assert!(check_answer(WHOLE, &question).problems.iter().all(|problem| problem.path == "global.root_password"));
    let checked = check_answer(&with(key, new), &question);
    assert!(checked.is_accepted());
    let found = checked.problems.iter().any(|p| p.severity == severity && p.message.contains(message));
    assert!(found, "{:?}", checked.problems);
}

#[test]
fn a_key_line_may_have_options_before_it() {
    let question = Question { installer: Installer::NEWEST, hardware: None, first_boot_on_medium: true };
    for key in [
        "ssh-ed25519 AAAAC3 a",
        "from=\\\"10.0.0.0/8\\\" ecdsa-sha2-nistp256 AAAAE2",
        "sk-ssh-ed25519@openssh.com AAAA",
    ] {
        let text = with("mailto", &format!("mailto = \"a@b\"\nroot_ssh_keys = [\"{key}\"]"));
        assert!(check_answer(&text, &question).problems.iter().all(|problem| problem.path == "global.root_password"));
    }
}

#[test]
fn json_is_named_as_what_it_is() {
    let question = Question { installer: Installer::NEWEST, hardware: None, first_boot_on_medium: true };
    let checked = check_answer("{ \"global\": {} }", &question);
    assert!(checked.problems[0].hint.as_ref().unwrap().contains("JSON"), "{:?}", checked.problems);
}

/// 9.1.0 to 9.1.6 compare the letters of a pinned address as they are, and find nothing; that is no error to them.
#[rstest]
#[case("8.4", false)]
#[case("9.1.0", true)]
#[case("9.1.6", true)]
#[case("9.1.7", false)]
#[case("9.2", false)]
fn upper_case_addresses_are_not_found_by_some(#[case] installer: &str, #[case] warned: bool) {
    let pinning = "interface-name-pinning = { enabled = true, mapping = { \"02:AA:00:00:00:01\" = \"lan0\" } }";
    let text = with("source", &format!("source = \"from-answer\"\n{pinning}"));
    let installer = installer.parse().unwrap();
    let checked = check_answer(&text, &Question { installer, hardware: None, first_boot_on_medium: true });
    let found = checked.problems.iter().any(|problem| problem.message.contains("they compare lower-case letters"));
    assert_eq!(found, warned, "{:?}", checked.problems);
}
