//! Layers laid over each other: what wins, what goes, where each value came from, and who gets which profile.

use proptest::prelude::*;
use rstest::rstest;
use secrecy::ExposeSecret as _;

use super::{FULL, GENERATIONS, SMALL, inputs};
use crate::answer::installer::Installer;
use crate::answer::{
    BaseAnswer, Explained, Overlay, Profile, ProfileTie, Profiles, Sight, compose, parse_override, render,
};
use crate::domain::facts::{Dmi, Link};
use crate::domain::{Generation, Product, SystemInfo};

pub(super) fn base(text: &str) -> Overlay {
    BaseAnswer::parse(text).unwrap().overlay().clone()
}

pub(super) fn profile(name: &str, text: &str) -> Profile {
    Profile::parse(name, &format!("profiles/{name}.toml"), text).unwrap()
}

pub(super) fn layer(text: &str) -> Overlay {
    parse_override("o.toml", text).unwrap()
}

/// The row of a setting: `value < origin | replaced < origin, …`.
pub(super) fn row(overlay: &Overlay, setting: &str) -> String {
    let found: Option<Explained> = overlay.explain().into_iter().find(|row| row.setting == setting);
    let Some(found) = found else { return "-".to_owned() };
    let value = found.value.map_or_else(|| "gone".to_owned(), |shown| format!("{} < {}", shown.text, shown.origin));
    let replaced: Vec<_> = found.replaced.iter().map(|old| format!(" | {} < {}", old.text, old.origin)).collect();
    format!("{value}{}", replaced.concat())
}

#[rstest]
#[case::a_list_takes_the_filter_away("filter.ID_MODEL = \"A\"\nfilter_match = \"any\"", "disk-list = [\"sdb\"]",
    &[("disk-setup.disk_list", "[\"sdb\"] < o.toml:2"), ("disk-setup.filter.ID_MODEL", "gone | \"A\" < o.toml:2"),
      ("disk-setup.filter_match", "gone | \"any\" < o.toml:3")])]
#[case::a_filter_takes_the_list_away("disk_list = [\"sda\"]", "filter.ID_MODEL = \"A\"",
    &[("disk-setup.disk_list", "gone | [\"sda\"] < o.toml:2"), ("disk-setup.filter.ID_MODEL", "\"A\" < o.toml:2")])]
#[case::an_empty_list_takes_nothing_away("filter.ID_MODEL = \"A\"", "disk-list = []",
    &[("disk-setup.filter.ID_MODEL", "\"A\" < o.toml:2")])]
#[case::tables_merge_by_key("filter.ID_MODEL = \"A\"\nfilter.ID_SERIAL = \"1\"", "filter.ID_SERIAL = \"2\"",
    &[("disk-setup.filter.ID_MODEL", "\"A\" < o.toml:2"),
      ("disk-setup.filter.ID_SERIAL", "\"2\" < o.toml:2 | \"1\" < o.toml:3")])]
#[case::a_file_system_takes_the_options_of_others_away("filesystem = \"zfs\"\nzfs.raid = \"RAID1\"", "filesystem = \"ext4\"\nlvm.swapsize = 4",
    &[("disk-setup.zfs.raid", "gone | \"raid1\" < o.toml:3"), ("disk-setup.lvm.swapsize", "4 < o.toml:3"),
      ("disk-setup.filesystem", "\"ext4\" < o.toml:2 | \"zfs\" < o.toml:2")])]
#[case::the_same_file_system_keeps_them("filesystem = \"zfs\"\nzfs.raid = \"raid1\"", "filesystem = \"zfs\"",
    &[("disk-setup.zfs.raid", "\"raid1\" < o.toml:3")])]
#[case::xfs_and_ext4_share_lvm("filesystem = \"ext4\"\nlvm.hdsize = 9.5", "filesystem = \"xfs\"",
    &[("disk-setup.lvm.hdsize", "9.5 < o.toml:3")])]
fn disks_replace_each_other(#[case] below: &str, #[case] above: &str, #[case] rows: &[(&str, &str)]) {
    let [below, above] = [below, above].map(|text| layer(&format!("[disk-setup]\n{text}\n")));
    let both = compose([below, above]);
    for (setting, expected) in rows {
        assert_eq!(row(&both, setting), *expected, "{setting}");
    }
}

#[rstest]
#[case(
    "[global]\nroot-password = \"old-secret\"",
    "[global]\nroot-password-hashed = \"$6$new\"",
    "global.root_password",
    "gone | \"…\" < o.toml:2"
)]
#[case(
    "[global]\nroot-password-hashed = \"$6$old\"",
    "[global]\nroot-password = \"new-secret\"",
    "global.root_password_hashed",
    "gone | \"…\" < o.toml:2"
)]
#[case(
    "[network]\nsource = \"from-answer\"\ndns = \"192.0.2.1\"",
    "[network]\nsource = \"from-dhcp\"",
    "network.dns",
    "gone | \"192.0.2.1\" < o.toml:3"
)]
#[case(
    "[first-boot]\nsource = \"from-url\"\nurl = \"https://x.example/s?pw=1\"",
    "[first-boot]\nsource = \"from-iso\"",
    "first-boot.url",
    "gone | \"https://x.example/…\" < o.toml:3"
)]
#[case(
    "[disk-setup]\nfilter.A = \"1\"\nfilter.B = \"2\"",
    "remove = [\"disk-setup.filter\"]\n[disk-setup]\nfilter.C = \"3\"",
    "disk-setup.filter.A",
    "gone | \"1\" < o.toml:2"
)]
#[case(
    "[disk-setup]\nfilter.A = \"1\"",
    "remove = [\"disk-setup.filter\"]\n[disk-setup]\nfilter.C = \"3\"",
    "disk-setup.filter.C",
    "\"3\" < o.toml:3"
)]
#[case(
    "[global]\nreboot-mode = \"reboot\"",
    "remove = [\"global.reboot-mode\"]",
    "global.reboot_mode",
    "gone | \"reboot\" < o.toml:2"
)]
#[case(
    "[network]\ninterface-name-pinning.mapping.\"02:AA:00:00:00:01\" = \"lan0\"",
    "[network]\ninterface-name-pinning.mapping.\"02:aa:00:00:00:01\" = \"lan9\"",
    "network.interface-name-pinning.mapping.02:aa:00:00:00:01",
    "\"lan9\" < o.toml:2 | \"lan0\" < o.toml:2"
)]
fn what_excludes_each_other_is_replaced(
    #[case] below: &str,
    #[case] above: &str,
    #[case] setting: &str,
    #[case] expected: &str,
) {
    assert_eq!(row(&compose([layer(below), layer(above)]), setting), expected);
}

#[test]
fn a_rendered_answer_knows_where_everything_came_from() {
    let storage = profile("storage", "[global]\ncountry = \"de\"\n[disk-setup]\ndisk-list = [\"sdb\"]\n");
    let own = layer("[network]\ngateway = \"10.20.0.9\"\n");
    let layers = compose([base(SMALL), storage.overlay().clone(), own]);
    let rendered = render(&layers, &inputs(Generation::V9_2)).unwrap();
    let rows = |setting| row(&rendered.overlay, setting);
    assert_eq!(rows("global.country"), "\"de\" < profiles/storage.toml:2 | \"at\" < default.toml:2");
    assert_eq!(rows("disk-setup.disk_list"), "[\"sdb\"] < profiles/storage.toml:4 | [\"sda\"] < default.toml:13");
    assert_eq!(rows("network.gateway"), "\"10.20.0.9\" < o.toml:2");
    assert_eq!(rows("network.dns"), "\"10.20.0.2\" < `machine_net_dns`");
    assert_eq!(rows("global.root_password"), "\"…\" < default.toml:6");
    assert_eq!(rows("post-installation-webhook.url"), "\"https://10.20.0.9:8443/…\" < where it reports to");
    assert_eq!(rows("network.cidr"), "\"10.20.0.31/24\" < the address it asked from, and `machine_net_mask`");
    for secret in ["fixture-password", "fixture-secret"] {
        assert!(
            !format!("{:?}", rendered.overlay.explain()).contains(secret) && !format!("{layers:?}").contains(secret)
        );
    }
}

#[test]
fn an_address_of_an_override_is_the_nodes_and_one_of_the_base_is_not() {
    let own = layer("[network]\ncidr = \"10.20.0.77/22\"\n");
    let rendered = render(&compose([base(SMALL), own]), &inputs(Generation::V9_2)).unwrap();
    assert_eq!(rendered.address.unwrap().to_string(), "10.20.0.77/22");
    assert!(rendered.text.expose_secret().contains("cidr = \"10.20.0.77/22\""));
    let broken = layer("[network]\ncidr = \"10.20.0.77\"\n");
    let error = render(&compose([base(SMALL), broken]), &inputs(Generation::V9_2)).unwrap_err();
    assert!(error.to_string().starts_with("`network.cidr` (o.toml:2) is `10.20.0.77`, which is no"), "{error}");
}

#[rstest]
#[case(None, &["global.reboot_mode"])]
#[case(Some("8.4"), &[])]
#[case(Some("8.4.2"), &["global.reboot_mode"])]
// Not an installer of this generation: the request is believed.
#[case(Some("9.2"), &["global.reboot_mode"])]
fn a_stated_installer_is_served_as_itself(#[case] stated: Option<&str>, #[case] left_out: &[&str]) {
    let own = layer("[global]\nreboot-mode = \"power-off\"\n");
    let mut given = inputs(Generation::V8_3);
    given.installer = stated.map(|text| text.parse::<Installer>().unwrap());
    assert_eq!(render(&compose([base(SMALL), own]), &given).unwrap().left_out, left_out);
}

fn machine(model: &str, serial: &str, mac: &str) -> SystemInfo {
    SystemInfo {
        generation: Generation::V9_2,
        product: Product::Pve,
        iso_release: Some("9.2".into()),
        dmi: Dmi { model: Some(model.into()), serial: Some(serial.into()), ..Dmi::default() },
        links: vec![
            Link { name: "eno1".into(), mac: "02:00:00:00:00:01".parse().unwrap() },
            Link { name: "eno2".into(), mac: mac.parse().unwrap() },
        ],
    }
}

#[rstest]
#[case::none_fits(&[("a", "\"/dmi/system/name\" = \"HP*\"")], Ok(None))]
#[case::one_fits(&[("a", "\"/dmi/system/name\" = \"PowerEdge*\"")], Ok(Some("a")))]
#[case::all_must(&[("a", "\"/dmi/system/name\" = \"PowerEdge*\"\n\"/dmi/system/serial\" = \"X\"")], Ok(None))]
#[case::more_criteria_win(&[("a", "\"/dmi/system/name\" = \"PowerEdge R650\""), ("b", "\"/dmi/system/name\" = \"*\"\n\"/product/product\" = \"pve\"")], Ok(Some("b")))]
#[case::then_more_characters(&[("a", "\"/dmi/system/name\" = \"PowerEdge*\""), ("b", "\"/dmi/system/name\" = \"PowerEdge R*\"")], Ok(Some("b")))]
#[case::a_class_is_no_letter(&[("a", "\"/dmi/system/name\" = \"PowerEdge R[5-7]*\""), ("b", "\"/dmi/system/name\" = \"PowerEdge R6*\"")], Ok(Some("b")))]
#[case::an_escaped_letter_is_one(&[("a", "\"/dmi/system/name\" = \"PowerEdge[ ]R*\""), ("b", "\"/dmi/system/name\" = \"PowerEdge*\"")], Ok(Some("a")))]
#[case::priority_before_all(&[("a", "\"/dmi/system/name\" = \"*\"\n[x]\npriority = 1"), ("b", "\"/dmi/system/name\" = \"PowerEdge R650\"")], Ok(Some("a")))]
#[case::a_tie_names_both(&[("a", "\"/dmi/system/name\" = \"Power*\""), ("b", "\"/dmi/system/name\" = \"*R650*\""), ("c", "\"/dmi/system/name\" = \"*erEdge\"")], Ok(Some("a")))]
#[case::any_link(&[("a", "\"/network_interfaces/*/mac\" = \"B4:2E:99:*\"")], Ok(Some("a")))]
#[case::that_link(&[("a", "\"/network_interfaces/0/mac\" = \"b4:2e:99:*\"")], Ok(None))]
#[case::no_such_link(&[("a", "\"/network_interfaces/7/link\" = \"*\"")], Ok(None))]
#[case::a_missing_value_never_fits(&[("a", "\"/dmi/chassis/serial\" = \"*\"")], Ok(None))]
#[case::case_counts(&[("a", "\"/dmi/system/name\" = \"poweredge*\"")], Ok(None))]
#[case::equal(&[("a", "\"/dmi/system/name\" = \"Power*\""), ("b", "\"/dmi/system/serial\" = \"S2HRN\"")], Err(("a", "b")))]
#[case::higher_than_a_tie(&[("a", "\"/dmi/system/name\" = \"Power*\""), ("b", "\"/dmi/system/serial\" = \"S2HRN\""), ("c", "\"/dmi/system/name\" = \"PowerEdge*\"")], Ok(Some("c")))]
#[case::without_rule(&[("a", "")], Ok(None))]
fn the_right_profile_is_chosen(#[case] rules: &[(&str, &str)], #[case] expected: Result<Option<&str>, (&str, &str)>) {
    let read = |(name, rule): &(&str, &str)| {
        // `[x]` marks what goes above the rule.
        let (rule, above) = rule.split_once("[x]\n").unwrap_or((rule, ""));
        profile(name, &format!("{above}\n[match]\n{rule}\n"))
    };
    let profiles = Profiles::new(rules.iter().map(read));
    let info = machine("PowerEdge R650", "S2HRN", "b4:2e:99:ac:ad:b4");
    let chosen = profiles.choose(&Sight::of(&info)).map(|found| found.map(|profile| profile.name()));
    let expected = expected.map_err(|(one, other)| ProfileTie { one: one.to_owned(), other: other.to_owned() });
    assert_eq!(chosen, expected);
}

#[test]
fn profiles_with_one_rule_are_told_before_a_machine_meets_them() {
    let rule = "[match]\n\"/dmi/system/name\" = \"X*\"\n";
    let above = format!("priority = 2\n{rule}");
    let profiles = Profiles::new([profile("a", rule), profile("b", rule), profile("c", &above)]);
    assert_eq!(profiles.ties(), [ProfileTie { one: "a".to_owned(), other: "b".to_owned() }]);
}

#[rstest]
#[case("[match]\n\"/dmi/system/nam\" = \"x\"", (2, 1), "`/dmi/system/nam` is nothing that a machine sends (hint: did you mean `/dmi/system/name`?)")]
#[case("[match]\n\"/dmi/system/name\" = 7", (2, 22), "what `/dmi/system/name` must match is a string, not a whole number (hint: such as `\"PowerEdge*\"`)")]
#[case("[match]\n\"/dmi/system/name\" = \"a[\"", (2, 22), "the pattern of `/dmi/system/name` is malformed: invalid range pattern")]
#[case("priority = \"high\"", (1, 12), "`priority` must be a whole number, not a string")]
#[case("installer = \"7.4\"", (1, 13), "`7.4` is no installer")]
#[case("remove = [\"disk.filter\"]", (1, 11), "`disk.filter` is no setting that can be removed")]
#[case("match = \"x\"", (1, 9), "`match` must be a table, not a string")]
#[case("[disk-setup]\nfilesistem = \"zfs\"", (2, 1), "unknown key `filesistem` in `[disk-setup]` (hint: did you mean `filesystem`?)")]
#[case("[post-installation-webhook]\nurl = \"https://x\"", (2, 7), "`[post-installation-webhook]` belongs to prox-orchestrator")]
#[case("[network]\ncidr = \"192.0.2.9/24\"", (2, 8), "`network.cidr` of a profile would be that of every machine it is for")]
#[case("[global]\nfqdn = \"pve.example.com\"", (2, 8), "`global.fqdn` of a profile would be that of every machine it is for")]
#[case("x = [", (1, 6), "not TOML: ")]
fn what_is_wrong_with_a_profile_is_said_with_its_place(
    #[case] text: &str,
    #[case] place: (usize, usize),
    #[case] message: &str,
) {
    let problems = Profile::parse("p", "profiles/p.toml", text).unwrap_err().0;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].to_string().starts_with(message), "{}", problems[0]);
    assert_eq!(problems[0].position(text), Some(place));
}

#[test]
fn a_profile_is_checked_with_what_it_lies_over() {
    let base = BaseAnswer::parse(SMALL).unwrap();
    let wrong = |text: &str| {
        let problems = profile("p", text).check_over(&base);
        problems.iter().map(|problem| (problem.to_string(), problem.position(text))).collect::<Vec<_>>()
    };
    assert_eq!(wrong("[disk-setup]\nfilesystem = \"xfs\"\n"), []);
    let raid = wrong("[disk-setup]\nfilesystem = \"zfs\"\n");
    assert_eq!(
        raid,
        [("`disk-setup.zfs.raid` is missing (hint: add `zfs.raid = \"raid1\"` or another level)".to_owned(), None)]
    );
    let country = wrong("[global]\ncountry = \"xx\"\n");
    assert!(country[0].0.starts_with("`xx` is not a country") && country[0].1 == Some((2, 11)), "{country:?}");
    let disks = wrong("[disk-setup]\nfilesystem = \"zfs\"\nzfs.raid = \"raid1\"\n");
    assert!(disks[0].0.starts_with("with default.toml:13: raid1 needs at least 2 disks"), "{disks:?}");
}

#[test]
fn an_override_does_not_name_the_node() {
    let problems = parse_override("o.toml", "[global]\nfqdn = \"x.example\"\n").unwrap_err();
    assert!(problems.to_string().starts_with("an override may not set `global.fqdn`"), "{problems}");
    assert!(parse_override("o.toml", "priority = 1\n").unwrap_err().to_string().starts_with("unknown key `priority`"));
}

/// Some settings that exclude each other, merge, or stand alone.
fn any_layer() -> impl Strategy<Value = Overlay> {
    let lines = [
        ("", "remove = [\"disk-setup.filter\", \"global.mailto\"]"),
        ("global", "country = \"at\""),
        ("global", "country = \"de\""),
        ("global", "mailto = \"a@example.com\""),
        ("global", "root-password = \"one-secret\""),
        ("global", "root-password-hashed = \"$6$two\""),
        ("network", "source = \"from-dhcp\""),
        ("network", "source = \"from-answer\""),
        ("network", "dns = \"192.0.2.1\""),
        ("network", "filter.INTERFACE = \"e*\""),
        ("network", "filter.ID_NET_NAME = \"eno1\""),
        ("disk-setup", "filesystem = \"zfs\""),
        ("disk-setup", "filesystem = \"ext4\""),
        ("disk-setup", "zfs.raid = \"raid0\""),
        ("disk-setup", "lvm.swapsize = 4"),
        ("disk-setup", "disk-list = [\"sda\"]"),
        ("disk-setup", "filter.ID_MODEL = \"A\""),
        ("disk-setup", "filter.ID_SERIAL = \"1\""),
        ("disk-setup", "filter-match = \"any\""),
    ];
    proptest::sample::subsequence(lines.to_vec(), 0..8).prop_map(|lines| {
        let mut text = String::new();
        let mut seen = std::collections::BTreeSet::new();
        let mut section = "";
        for (table, line) in lines {
            if !seen.insert((table, line.split(' ').next().unwrap())) {
                continue;
            }
            if table != section {
                text.extend(["[", table, "]\n"]);
                section = table;
            }
            text.extend([line, "\n"]);
        }
        layer(&text)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn layering_is_associative(a in any_layer(), b in any_layer(), c in any_layer()) {
        let left = c.clone().over(b.clone().over(a.clone()));
        let right = c.over(b).over(a);
        prop_assert!(left == right, "{:?} {:?}", left.explain(), right.explain());
    }

    #[test]
    fn nothing_over_a_layer_changes_it(a in any_layer()) {
        prop_assert!(a.clone().over(Overlay::default()) == a);
        prop_assert!(Overlay::default().over(a.clone()) == a);
    }

    #[test]
    fn whatever_is_rendered_for_a_generation_is_valid_for_it(layers in proptest::collection::vec(any_layer(), 0..4), full in any::<bool>(), repeats in 2..4) {
        let start = base(if full { FULL } else { SMALL });
        let all = compose(std::iter::once(start).chain(layers));
        for generation in GENERATIONS {
            let Ok(rendered) = render(&all, &inputs(generation)) else { continue };
            for _ in 1..repeats {
                prop_assert_eq!(render(&all, &inputs(generation)).unwrap().hash, rendered.hash);
            }
            let text = rendered.text.expose_secret();
            for installer in Installer::ends(generation) {
                let question = crate::answer::Question { installer, hardware: None, first_boot_on_medium: true };
                let checked = crate::answer::check_answer(text, &question);
                prop_assert!(checked.is_accepted(), "{installer}: {:?}\n{text}", checked.problems);
            }
        }
    }

    #[test]
    fn any_text_is_survived_as_profile(text in any::<String>(), insert in "[\"\\[\\]{}=.,#\n a-z/*]{0,12}", at in 0..60_usize) {
        let _ = Profile::parse("p", "p", &text);
        let mut broken = "priority = 1\n[match]\n\"/dmi/system/name\" = \"X*\"\n[global]\ncountry = \"at\"\n".to_owned();
        broken.insert_str(at, &insert);
        let _ = Profile::parse("p", "p", &broken);
        let _ = parse_override("o", &broken);
    }
}
