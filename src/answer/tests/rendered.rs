//! Any base answer that we take, rendered for any generation, is taken by every installer of that generation.

use std::net::Ipv4Addr;
use std::ops::Range;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use secrecy::ExposeSecret as _;

use super::{GENERATIONS, inputs};
use crate::answer::schema::{Kind, Setting, Setting as S, TooNew};
use crate::answer::settings::{Settings, Value};
use crate::answer::{BaseAnswer, Installer, Question, RenderError, check_answer, render};
use crate::simulate::installer::Examination;
use crate::simulate::release::Release;

/// One setting or more of an answer; `Value` shows nobody what it holds, and so has no `Debug`.
type Part = BoxedStrategy<Settings>;

fn one(setting: Setting, value: Value) -> Settings {
    let mut settings = Settings::default();
    settings.set(setting, value);
    settings
}

fn joined(parts: impl IntoIterator<Item = Settings>) -> Settings {
    let mut settings = Settings::default();
    for part in parts {
        for (setting, value) in part.iter() {
            settings.set(setting, value.clone());
        }
    }
    settings
}

/// All of these.
fn all<const N: usize>(parts: [Part; N]) -> Part {
    Vec::from(parts).prop_map(joined).boxed()
}

/// Some of these.
fn some<const N: usize>(parts: [Part; N]) -> Part {
    let each: Vec<_> = parts.into_iter().map(option::of).collect();
    each.prop_map(|chosen| joined(chosen.into_iter().flatten())).boxed()
}

fn text(setting: Setting, text: impl Strategy<Value = String> + 'static) -> Part {
    text.prop_map(move |text| one(setting, Value::Text(text))).boxed()
}

fn among(setting: Setting, texts: &'static [&'static str]) -> Part {
    text(setting, select(texts).prop_map(str::to_owned))
}

/// Any value of a setting from a closed list; RAID levels in either case.
fn any_of(setting: Setting) -> Part {
    match setting.spec().kind {
        Kind::Choice(choices) => among(setting, choices),
        Kind::Raid(levels) => {
            let spelt =
                |(level, upper): (&str, bool)| if upper { level.to_ascii_uppercase() } else { level.to_owned() };
            text(setting, (select(levels), any::<bool>()).prop_map(spelt))
        }
        _ => panic!("{setting:?} has no list"),
    }
}

fn flag(setting: Setting) -> Part {
    any::<bool>().prop_map(move |flag| one(setting, Value::Flag(flag))).boxed()
}

fn whole(setting: Setting, range: Range<i64>) -> Part {
    range.prop_map(move |whole| one(setting, Value::Whole(whole))).boxed()
}

fn size(setting: Setting) -> Part {
    let value = prop_oneof![
        (0_i64..4000).prop_map(move |size| one(setting, Value::Whole(size))),
        (0.0..4000_f64).prop_map(move |size| one(setting, Value::Float(size))),
    ];
    value.boxed()
}

fn server(setting: Setting) -> Part {
    text(setting, any::<[u8; 4]>().prop_map(|ip| Ipv4Addr::from(ip).to_string()))
}

/// Any keys, and any texts as globs that match them alone.
fn filter(setting: Setting) -> Part {
    let glob = any::<String>().prop_map(|text| glob::Pattern::escape(&text));
    let table = proptest::collection::btree_map(any::<String>(), glob, 1..3);
    table.prop_map(move |table| one(setting, Value::Table(table))).boxed()
}

fn global() -> Part {
    let password = prop_oneof![
        text(S::RootPassword, "\\PC{8,20}"),
        text(S::RootPassword, any::<String>().prop_map(|text| text + "\u{0}\"'\\\n\t#}[")),
        text(S::RootPasswordHashed, "\\PC{1,20}"),
    ];
    // Without `{`, which begins a template.
    let key = any::<String>().prop_map(|key| key.replace('{', "("));
    let keys = proptest::collection::vec(key, 0..3);
    let mail = "[a-zA-Z0-9.!#$%&'*+/=?^_`|}~-]{1,8}@[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\\.[A-Z]{2,3})?";
    let required = all([
        among(S::Country, &["at", "us", "gb", "hm"]),
        any_of(S::Keyboard),
        text(S::Mailto, mail),
        among(S::Timezone, &["UTC", "Europe/Vienna", "America/Argentina/Ushuaia"]),
        password.boxed(),
    ]);
    let optional = some([
        text(S::Fqdn, "[a-z]{1,9}\\.[a-z]{1,9}"),
        keys.prop_map(|keys| one(S::RootSshKeys, Value::Texts(keys))).boxed(),
        flag(S::RebootOnError),
        any_of(S::RebootMode),
        text(S::SubscriptionKey, any::<String>()),
    ]);
    all([required, optional])
}

fn network() -> Part {
    let fixed = some([server(S::Dns), server(S::Gateway), filter(S::NicFilter)]);
    let address =
        prop_oneof![all([among(S::Source, &["from-answer"]), fixed]), some([among(S::Source, &["from-dhcp"])])];
    let names = subsequence(vec!["lan0", "LAN1", "a_b.5", "x:1", "abcdefghijklm.9"], 0..=5);
    let pinning = (any::<bool>(), names).prop_map(|(enabled, names)| {
        let mac = |(at, name): (usize, &str)| (format!("02:AA:bb:00:00:0{at}"), name.to_owned());
        let mapping = Value::Table(names.into_iter().enumerate().map(mac).collect());
        joined([one(S::PinningEnabled, Value::Flag(enabled)), one(S::PinningMapping, mapping)])
    });
    all([address.boxed(), some([pinning.boxed()])])
}

fn disks() -> Part {
    let named = |disks: &[&str]| {
        let list = Value::Texts(disks.iter().map(|&disk| disk.to_owned()).collect());
        prop_oneof![Just(one(S::DiskList, list)), filter(S::DiskFilter)].boxed()
    };
    // Enough for every level, and an even number.
    let several = named(&["sda", "sdb", "sdc", "sdd", "sde", "sdf"]);
    let sizes = some([size(S::LvmMaxroot), size(S::LvmMaxvz), size(S::LvmMinfree), size(S::LvmSwapsize)]);
    let lvm = all([among(S::Filesystem, &["ext4", "xfs"]), named(&["nvme0n1"]), sizes]);
    let more = some([
        whole(S::ZfsAshift, 9..17),
        whole(S::ZfsArcMax, 64..1 << 40),
        any_of(S::ZfsChecksum),
        any_of(S::ZfsCompress),
        whole(S::ZfsCopies, 1..4),
        size(S::ZfsHdsize),
    ]);
    let zfs = all([among(S::Filesystem, &["zfs"]), several.clone(), any_of(S::ZfsRaid), more]);
    let more = some([size(S::BtrfsHdsize), any_of(S::BtrfsCompress)]);
    let btrfs = all([among(S::Filesystem, &["btrfs"]), several, any_of(S::BtrfsRaid), more]);
    all([prop_oneof![lvm, zfs, btrfs].boxed(), some([any_of(S::FilterMatch)])])
}

fn first_boot() -> Part {
    let from_url = all([among(S::FirstBootSource, &["from-url"]), text(S::FirstBootUrl, "https://[a-z]\\PC{0,12}")]);
    let source = prop_oneof![from_url, among(S::FirstBootSource, &["from-iso"])];
    let more = some([any_of(S::FirstBootOrdering), text(S::FirstBootFingerprint, "[0-9a-fA-F]{64}")]);
    prop_oneof![3 => Just(Settings::default()), 1 => all([source.boxed(), more])].boxed()
}

/// Every setting a base answer may have, with any value it may have.
fn any_base() -> Part {
    all([global(), network(), disks(), first_boot()])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_installer_of_a_generation_takes_what_is_rendered_for_it(settings in any_base()) {
        let text = settings.to_toml();
        let base = BaseAnswer::parse(&text);
        prop_assert!(base.is_ok(), "{:?}\n{text}", base);
        let base = base.unwrap();
        for generation in GENERATIONS {
            let given = inputs(generation);
            let [oldest, newest] = Installer::ends(generation);
            let too_new = settings.iter().find(|(setting, _)| {
                setting.spec().since > oldest && setting.spec().too_new == TooNew::Refuse
            });
            let rendered = match render(base.overlay(), &given) {
                Ok(rendered) => rendered,
                Err(RenderError::TooNew { .. }) if too_new.is_some() => continue,
                Err(error) => return Err(TestCaseError::fail(format!("{error}\n{text}"))),
            };
            prop_assert!(too_new.is_none(), "{too_new:?} is refused", too_new = too_new.map(|(setting, _)| setting));
            let answer = rendered.text.expose_secret();
            let again = render(base.overlay(), &given).unwrap();
            prop_assert_eq!(again.text.expose_secret(), answer, "two renderings differ");
            for installer in Installer::all().filter(|installer| (oldest..=newest).contains(installer)) {
                let question = Question { installer, hardware: None, first_boot_on_medium: true };
                let checked = check_answer(answer, &question);
                prop_assert!(checked.is_accepted(), "{}: {:?}\n{}", installer, checked.problems, answer);
            }
            for release in Release::ALL {
                if Installer::RELEASES[release as usize].generation() == generation {
                    let read = Examination::parse(release, answer.as_bytes(), false);
                    prop_assert!(read.is_ok(), "{release}: {:?}\n{answer}", read.err());
                }
            }
        }
    }
}
