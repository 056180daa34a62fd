//! Our verdicts against those of the simulated installers, which know nothing of this module: random answers, most of
//! them wrong somewhere.

use proptest::prelude::*;
use proptest::sample::select;
use secrecy::ExposeSecret as _;

use super::{GENERATIONS, inputs};
use crate::answer::{BaseAnswer, Hardware, Inputs, Installer, Offer, Question, RenderError, check_answer, render};
use crate::domain::MacAddr;
use crate::simulate::hardware::{DiskDevice, Hardware as Simulated, NicDevice};
use crate::simulate::installer::{Examination, Outcome};
use crate::simulate::locale::Locale;
use crate::simulate::release::Release;

const MACHINE: &str = r#"{
    "disks": {
        "/dev/nvme0n1": { "DEVNAME": "/dev/nvme0n1", "ID_SERIAL": "N1", "ID_MODEL": "Fast" },
        "/dev/sda": { "DEVNAME": "/dev/sda", "ID_SERIAL": "A1", "ID_MODEL": "Slow", "ID_BUS": "ata" },
        "/dev/sdb": { "DEVNAME": "/dev/sdb", "ID_SERIAL": "B1", "ID_MODEL": "Slow", "ID_BUS": "ata" }
    },
    "nics": {
        "eno1": { "ID_NET_NAME": "eno1", "ID_NET_NAME_MAC": "enx020000000001", "ID_VENDOR_FROM_DATABASE": "Intel" },
        "eno2": { "ID_NET_NAME": "eno2", "ID_NET_NAME_MAC": "enx020000000002", "ID_VENDOR_FROM_DATABASE": "Intel" }
    },
    "dhcp": { "hostname": "leased" }
}"#;

/// The same machine as the simulator has it.
fn simulated() -> Simulated {
    let machine: serde_json::Value = serde_json::from_str(MACHINE).unwrap();
    let udev = |value: &serde_json::Value| serde_json::from_value(value.clone()).unwrap();
    let disks = machine["disks"].as_object().unwrap().iter();
    let nics = machine["nics"].as_object().unwrap().iter();
    Simulated {
        disks: disks.map(|(path, value)| DiskDevice { path: path.clone(), size: 1, udev: udev(value) }).collect(),
        nics: nics
            .map(|(name, value)| NicDevice { name: name.clone(), mac: MacAddr([2, 0, 0, 0, 0, 1]), udev: udev(value) })
            .collect(),
        dhcp_host: Some("leased".to_owned()),
        dhcp_domain: None,
    }
}

/// What the simulated installer takes: NIC and disks, or nothing where it stops.
fn outcome(release: Release, text: &str) -> Option<(String, Vec<String>)> {
    let examination = Examination::parse(release, text.as_bytes(), false).ok()?;
    if text.contains("\"from-iso\"") {
        return None;
    }
    match examination.finish(&simulated(), &Locale::default()) {
        Outcome::Install(plan) => Some((plan.nic, plan.disks)),
        Outcome::Stop(_) => None,
    }
}

/// One of these lines, the first most often: it is right everywhere.
fn line(lines: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => Just(lines[0]), 3 => select(lines)]
}

fn global() -> impl Strategy<Value = String> {
    let lines = (
        line(&["country = \"at\"", "country = \"AT\"", "country = \"xx\"", "country = 1", ""]),
        line(&["keyboard = \"de\"", "keyboard = \"us\"", ""]),
        line(&[
            "fqdn = \"a.b\"",
            "fqdn = \"A1.B\"",
            "fqdn = \"a\"",
            "fqdn = \"1.b\"",
            "fqdn = { source = \"from-dhcp\" }",
            "fqdn.domain = \"x.y\"",
            "fqdn = { domain = \"\" }",
            "fqdn = { domain = \"_\" }",
            "fqdn = { source = \"x\", domain = \"y\" }",
            "fqdn = { other = \"x\" }",
            "fqdn = { source = \"from-dhcp\", domain = 3 }",
            "",
        ]),
        line(&["mailto = \"a@b.c\"", "mailto = \"a\"", "mailto = \"a@-b\"", "mailto = \"mail@example.invalid\""]),
        line(&["timezone = \"UTC\"", "timezone = \"Europe/Vienna\"", "timezone = \"Etc/UTC\"", "timezone = \"EST\""]),
        line(&[
            "root_password = \"12345678\"",
            "root-password = \"12345678\"",
            "root_password = \"1234567\"",
            "root_password = \"äöüß\"",
            "root_password_hashed = \"$y$\"",
            "root-password-hashed = \"\"",
            "root_password = \"12345678\"\nroot_password_hashed = \"x\"",
            "root_password = \"12345678\"\nroot-password = \"12345678\"",
            "",
        ]),
        line(&[
            "",
            "reboot_on_error = true",
            "reboot-on-error = false",
            "reboot_mode = \"reboot\"",
            "reboot-mode = \"halt\"",
            "subscription_key = \"x\"",
            "root_ssh_keys = []",
            "root-ssh-keys = [\"a\"]",
            "root_ssh_keys = [1]",
            "bogus = 1",
            "reboot_on_error = \"true\"",
        ]),
    );
    lines.prop_map(|(a, b, c, d, e, f, g)| format!("[global]\n{}\n", [a, b, c, d, e, f, g].join("\n")))
}

fn network() -> impl Strategy<Value = String> {
    let fixed = (
        line(&[
            "cidr = \"10.0.0.9/24\"",
            "cidr = \"10.0.0.9\"",
            "cidr = \"10.0.0.9/33\"",
            "cidr = \"fd00::1/64\"",
            "cidr = \"10.0.0.9/+8\"",
            "",
        ]),
        line(&["dns = \"10.0.0.1\"", "dns = \"x\"", "dns = \"::1\"", ""]),
        line(&["gateway = \"10.0.0.1\"", "gateway = \"10.0.0.1/24\"", ""]),
        line(&[
            "filter.ID_NET_NAME = \"eno1\"",
            "filter.ID_NET_NAME_MAC = \"*020000000002\"",
            "filter.ID_VENDOR_FROM_DATABASE = \"Int*\"",
            "filter = { X = \"y\", ID_NET_NAME = \"eno2\" }",
            "filter.ID_NET_NAME = \"[\"",
            "filter.ID_NET_NAME = \"ENO1\"",
            "filter = {}",
            "filter = 1",
            "",
        ]),
    );
    let fixed = fixed.prop_map(|(a, b, c, d)| format!("source = \"from-answer\"\n{a}\n{b}\n{c}\n{d}"));
    let leased =
        select(&["source = \"from-dhcp\"", "", "source = \"x\"", "source = \"from-dhcp\"\ndns = \"10.0.0.1\""][..]);
    let pinning = line(&[
        "",
        "interface-name-pinning.enabled = true",
        "interface-name-pinning.mapping = {}",
        "interface-name-pinning = {}",
        "interface_name_pinning.enabled = true",
        "interface-name-pinning = { enabled = true, mapping = { \"02:00:00:00:00:01\" = \"lan0\" } }",
        "interface-name-pinning = { enabled = true, mapping = { \"02:00:00:00:00:01\" = \"0\" } }",
        "interface-name-pinning = { enabled = false, mapping = { \"02:00:00:00:00:01\" = \"0\" } }",
        "interface-name-pinning = { enabled = true, mapping = { a = \"lan0\", b = \"lan0\" } }",
    ]);
    (prop_oneof![3 => fixed, 1 => leased.prop_map(str::to_owned)], pinning)
        .prop_map(|(source, pinning)| format!("[network]\n{source}\n{pinning}\n"))
}

fn disks() -> impl Strategy<Value = String> {
    let filesystem = line(&[
        "filesystem = \"ext4\"",
        "filesystem = \"xfs\"\nlvm.swapsize = 4\nlvm.hdsize = 8",
        "filesystem = \"ext4\"\nlvm.swapsize = 5\nlvm.hdsize = 8.5",
        "filesystem = \"ext4\"\nlvm.maxroot = -1\nlvm.minfree = 0.5",
        "filesystem = \"ext4\"\nzfs = {}",
        "filesystem = \"zfs\"\nzfs.raid = \"raid0\"",
        "filesystem = \"zfs\"\nzfs.raid = \"raid1\"",
        "filesystem = \"zfs\"\nzfs.raid = \"raid10\"",
        "filesystem = \"zfs\"\nzfs.raid = \"raidz-3\"\nzfs.arc-max = 4",
        "filesystem = \"zfs\"\nzfs.raid = \"Raid1\"",
        "filesystem = \"zfs\"\nzfs.ashift = 99\nzfs.raid = \"raid0\"\nzfs.copies = -1",
        "filesystem = \"zfs\"",
        "filesystem = \"zfs\"\nzfs.raid = \"raid0\"\nlvm.hdsize = 3",
        "filesystem = \"btrfs\"\nbtrfs.raid = \"raid1\"",
        "filesystem = \"btrfs\"\nbtrfs.raid = \"raid0\"\nbtrfs.compress = \"zlib\"",
        "filesystem = \"btrfs\"\nbtrfs.raid = \"raid10\"",
        "filesystem = \"ext3\"",
        "",
    ]);
    let selection = line(&[
        "disk_list = [\"sda\"]",
        "disk-list = [\"sda\"]",
        "disk_list = [\"\"]",
        "disk_list = [\"a\"]",
        "disk_list = []",
        "disk_list = [\"sdx\"]",
        "disk_list = [\"sda\", \"sdb\"]",
        "disk_list = [\"sda\", \"sda\"]",
        "disk_list = [\"sda\", \"/dev/sda\"]",
        "disk_list = [\"sda\", \"sdx\", \"sdy\"]",
        "disk_list = [\"a\", \"b\", \"c\", \"d\", \"e\"]",
        "filter.ID_MODEL = \"Slow\"",
        "filter = { ID_MODEL = \"Slow\", ID_SERIAL = \"B?\" }",
        "filter = { ID_BUS = \"usb\" }",
        "filter = { NOPE = \"x\" }\nfilter_match = \"all\"",
        "filter = { ID_MODEL = \"Slow\", ID_SERIAL = \"B?\" }\nfilter-match = \"all\"",
        "filter = { ID_MODEL = \"Slow\" }\nfilter_match = \"ALL\"",
        "filter = {}",
        "filter = {}\nfilter_match = \"all\"",
        "filter = {}\ndisk_list = [\"sda\"]",
        "filter.ID_MODEL = \"[\"",
        "disk_list = [\"sda\"]\nfilter.ID_MODEL = \"Slow\"",
        "",
    ]);
    (filesystem, selection).prop_map(|(a, b)| format!("[disk-setup]\n{a}\n{b}\n"))
}

fn more() -> impl Strategy<Value = &'static str> {
    line(&[
        "",
        "[post-installation-webhook]\nurl = \"http://x\"\n",
        "[post-installation-webhook]\n",
        "[post-installation-webhook]\nurl = \"http://x\"\ncert_fingerprint = \"a\"\n",
        "[post-installation-webhook]\nurl = \"http://x\"\ncert-fingerprint = \"a\"\n",
        "[post-installation-webhook]\nurl = \"http://x\"\nauth-token = \"a\"\n",
        "[first-boot]\nsource = \"from-url\"\nurl = \"http://x\"\n",
        "[first-boot]\nsource = \"from-url\"\n",
        "[first-boot]\nsource = \"from-iso\"\n",
        "[first-boot]\nordering = \"x\"\nsource = \"from-url\"\nurl = \"http://x\"\ncert_fingerprint = \"a\"\n",
        "[first-boot]\nsource = \"from-url\"\nurl = \"http://x\"\ncert_fingerprint = \"a\"\n",
        "[first-boot]\n",
        "[bogus]\n",
    ])
}

fn any_answer() -> impl Strategy<Value = String> {
    (global(), network(), disks(), more()).prop_map(|(a, b, c, d)| format!("{a}\n{b}\n{c}\n{d}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn verdicts_and_devices_are_those_of_the_simulated_installers(text in any_answer()) {
        let machine = Hardware::parse(MACHINE.as_bytes()).unwrap();
        for (installer, release) in Installer::RELEASES.into_iter().zip(Release::ALL) {
            let question = Question { installer, hardware: Some(&machine), first_boot_on_medium: false };
            let checked = check_answer(&text, &question);
            let expected = outcome(release, &text);
            prop_assert_eq!(checked.is_accepted(), expected.is_some(), "{}: {:?}\n{}", installer, checked.problems, text);
            let Some((touch, (nic, disks))) = checked.touch.zip(expected) else { continue };
            prop_assert_eq!(touch.disks.into_iter().map(|disk| disk.path).collect::<Vec<_>>(), disks, "{}", text);
            prop_assert_eq!(touch.nic.map_or("eno1".to_owned(), |nic| nic.name), nic, "{}", text);
        }
    }

    #[test]
    fn what_is_rendered_for_a_generation_is_accepted_by_all_of_it(text in any_answer()) {
        let text = text.split("[post").next().unwrap();
        let Ok(base) = BaseAnswer::parse(text) else { return Ok(()) };
        for generation in GENERATIONS {
            let ipv6 = text.contains("fd00::") || text.contains("::1");
            let given = if ipv6 { Inputs { address: "2001:db8::31".parse().ok().map(Offer::Asked), mask: "64".parse().unwrap(), ..inputs(generation) } } else { inputs(generation) };
            let rendered = match render(base.overlay(), &given) {
                Ok(rendered) => rendered,
                Err(RenderError::TooNew { .. } | RenderError::Family { .. } | RenderError::Harmful { .. }) => continue,
                Err(error) => return Err(TestCaseError::fail(format!("{error}\n{text}"))),
            };
            let answer = rendered.text.expose_secret();
            for installer in Installer::ends(generation) {
                let question = Question { installer, hardware: None, first_boot_on_medium: true };
                let checked = check_answer(answer, &question);
                prop_assert!(checked.is_accepted(), "{}: {:?}\n{}", installer, checked.problems, answer);
            }
            for release in Release::ALL {
                if Installer::RELEASES[release as usize].generation() == generation {
                    prop_assert!(Examination::parse(release, answer.as_bytes(), false).is_ok(), "{release}\n{answer}");
                }
            }
        }
    }
}
