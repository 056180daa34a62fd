//! Templates: what they see, what they may become, and what is said where they fail.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;
use secrecy::ExposeSecret as _;

use super::{SMALL, inputs};
use crate::answer::{
    BaseAnswer, Context, CounterWish, Overlay, TemplateError, compose, fill, parse_override, render, wished_name,
};
use crate::domain::facts::{Dmi, Link};
use crate::domain::text::Text;
use crate::domain::{Generation, NodeId, PlanEntry, Product, SystemInfo};

pub(super) fn info() -> SystemInfo {
    SystemInfo {
        generation: Generation::V9_2,
        product: Product::Pve,
        iso_release: None,
        dmi: Dmi { serial: Some("S2HRN".into()), model: Some("PowerEdge R650".into()), ..Dmi::default() },
        links: vec![Link { name: "eno1".into(), mac: "02:00:00:00:00:01".parse().unwrap() }],
    }
}

fn context(info: &SystemInfo) -> Context {
    let name = "pve-07aa.rack.example".parse().unwrap();
    let counters = BTreeMap::from([(Text::new("rack7"), 12)]);
    let plan = PlanEntry {
        serial: Some("S2HRN".into()),
        rack: Some("R7".into()),
        columns: BTreeMap::from([("mail".to_owned(), "r7@example.com".into())]),
        ..PlanEntry::new("pve-07aa.rack.example".parse().unwrap())
    };
    Context::new(Some(info), Some((NodeId(12), &name)), counters).with_plan(&plan)
}

fn own(setting: &str, template: &str) -> Overlay {
    let (table, key) = setting.split_once('.').unwrap();
    let text = format!("[{table}]\n{key} = {}\n", toml_edit::value(template));
    parse_override("o.toml", &text).unwrap()
}

fn made(setting: &str, template: &str) -> Result<String, String> {
    let info = info();
    let filled = fill(own(setting, template), &context(&info)).map_err(|error| error.to_string())?;
    let row = filled.explain().into_iter().find(|row| row.setting == setting).unwrap().value.unwrap();
    assert_eq!(row.template.as_deref(), Some(template));
    Ok(row.text)
}

#[rstest]
#[case("global.mailto", "{{ node.host }}@{{ node.domain }}", "\"pve-07aa@rack.example\"")]
#[case("global.mailto", "{{ plan.mail }}", "\"r7@example.com\"")]
#[case("global.mailto", "{{ plan.columns.mail | upper }}", "\"R7@EXAMPLE.COM\"")]
#[case("global.mailto", "{{ machine.dmi.system.serial | lower }}@x.example", "\"s2hrn@x.example\"")]
#[case("global.mailto", "{{ machine.dmi.chassis.asset_tag | default('none') }}@x.example", "\"none@x.example\"")]
#[case(
    "global.mailto",
    "{% if machine.dmi.system.name is startingwith 'PowerEdge' %}dell{% else %}other{% endif %}@x.example",
    "\"dell@x.example\""
)]
#[case("network.dns", "192.0.2.{{ counter('rack7') + 100 }}", "\"192.0.2.112\"")]
#[case("network.cidr", "10.0.7.{{ counter('rack7') }}/24", "\"10.0.7.12/24\"")]
#[case("network.gateway", "10.0.{{ plan.rack[1:] }}.1", "\"10.0.7.1\"")]
#[case(
    "global.mailto",
    "{{ machine.network_interfaces[0].mac | replace(':', '') }}.{{ node.id }}.{{ node.number }}@x.example",
    "\"020000000001.m12.12@x.example\""
)]
fn templates_see_the_machine_and_its_place(#[case] setting: &str, #[case] template: &str, #[case] expected: &str) {
    assert_eq!(made(setting, template).as_deref(), Ok(expected));
}

#[rstest]
#[case("global.mailto", "a{{ plan.rak }}@x", "o.toml:2:15", "`plan.rak` is not known")]
#[case("global.mailto", "{{ machine.dmi.system.sku }}@x", "o.toml:2:14", "`machine.dmi.system.sku` is not known")]
#[case("global.mailto", "{{ plan.rack }}", "o.toml:2:10", "the result `R7` is not a mail address")]
#[case("network.dns", "{{ plan.rack }}", "o.toml:2:7", "the result `R7` is not an IP address")]
#[case(
    "network.cidr",
    "10.0.0.{{ counter('rack7') }}",
    "o.toml:2:8",
    "the result `10.0.0.12` is not an address with a prefix length"
)]
#[case("global.mailto", "{{ 'a\\nb' }}@x.example", "o.toml:2:10", "the result holds the control character U+000A")]
#[case(
    "global.mailto",
    "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}@x",
    "o.toml:2:",
    "it takes too many steps"
)]
#[case("global.mailto", "{{ 'x' * 9000 }}@x", "o.toml:2:10", "the result has 9002 bytes, 8192 at most")]
#[case("global.mailto", "{{ counter('rack7', widht=2) }}@x", "o.toml:2:", "unknown keyword argument")]
#[case("global.mailto", "{{ counter('rack7', width=99) }}@x", "o.toml:2:", "a counter has 10 digits at most")]
fn a_template_that_fails_says_where_and_why(
    #[case] setting: &str,
    #[case] template: &str,
    #[case] place: &str,
    #[case] reason: &str,
) {
    let error = made(setting, template).unwrap_err();
    assert!(error.starts_with(&format!("the template of `{setting}` ({place}")), "{error}");
    assert!(error.contains(&format!("cannot be filled in: {reason}")), "{error}");
}

#[test]
fn a_malformed_template_is_told_where_it_is_written() {
    let text = SMALL.replace("mailto = \"ops@example.com\"", "mailto = \"ops@{{ node. }}\"");
    let problems = BaseAnswer::parse(&text).unwrap_err().0;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].message.starts_with("the template of `global.mailto` is malformed: "), "{}", problems[0]);
    assert_eq!(problems[0].position(&text).unwrap().0, 4);
}

#[test]
fn only_free_text_is_a_template() {
    let text = SMALL.replace("fixture-password", "{{ node.name }}{%");
    let base = BaseAnswer::parse(&text).unwrap();
    let info = info();
    let rendered = render(&fill(base.overlay().clone(), &context(&info)).unwrap(), &inputs(Generation::V9_2)).unwrap();
    assert!(rendered.text.expose_secret().contains("root_password = \"{{ node.name }}{%\""));
}

#[test]
fn ssh_keys_are_filled_in_one_by_one() {
    let layer = parse_override(
        "o.toml",
        "[global]\nroot-ssh-keys = [\"ssh-ed25519 AAAA plain\", \"ssh-ed25519 AAAA {{ node.host }}\"]\n",
    );
    let info = info();
    let filled = fill(layer.unwrap(), &context(&info)).unwrap();
    let row = filled.explain().remove(0).value.unwrap();
    assert_eq!(row.text, "[\"ssh-ed25519 AAAA plain\", \"ssh-ed25519 AAAA pve-07aa\"]");
}

#[test]
fn counters_that_a_node_lacks_are_asked_for_once() {
    let both = compose([
        own("network.cidr", "10.0.0.{{ counter('other', start=10) }}/24"),
        own("network.dns", "10.0.{{ counter('other') }}.{{ counter('third') }}"),
    ]);
    let info = info();
    let wants = |name: &str, start| CounterWish { name: name.into(), start };
    let error = fill(both, &context(&info)).unwrap_err();
    assert_eq!(error, TemplateError::Wants(vec![wants("other", 10), wants("third", 1)]));
}

#[rstest]
#[case("pve{{ counter('rack7', width=2) }}.r7.example", "pve07.r7.example")]
#[case("{{ plan.rack | default('X') }}-{{ counter() }}", "r7-7.example.com")]
#[case("{{ machine.dmi.system.serial }}.lab.example", "s2hrn.lab.example")]
fn a_name_leaves_its_counters_to_the_fleet(#[case] template: &str, #[case] name: &str) {
    let base = SMALL.replace("[global]", &format!("[global]\nfqdn = {}", toml_edit::value(template)));
    let info = info();
    let base = BaseAnswer::parse(&base).unwrap();
    assert!(base.cautions().iter().all(|caution| caution.path != "global.fqdn"), "a template is used");
    let wish = wished_name(base.overlay(), &context(&info)).unwrap().unwrap();
    let values = BTreeMap::from([(Text::new("rack7"), 7), (Text::new("node"), 7)]);
    assert_eq!(wish.name(&values, "example.com").unwrap().as_str(), name);
}

#[rstest]
#[case("{{ counter('a') + 1 }}.x.example", "")]
#[case("{{ plan.mail }}.x.example", "`r7@example.com.x.example` is no part of a host name")]
fn a_name_that_cannot_be_one_is_refused(#[case] template: &str, #[case] reason: &str) {
    let base = SMALL.replace("[global]", &format!("[global]\nfqdn = {}", toml_edit::value(template)));
    let info = info();
    let error = wished_name(BaseAnswer::parse(&base).unwrap().overlay(), &context(&info)).unwrap_err();
    assert!(error.to_string().starts_with("the template of `global.fqdn` (default.toml:2"), "{error}");
    assert!(error.to_string().contains(reason), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_a_machine_says_never_changes_the_shape(serial in "(\\PC|[\"'{}%#\\\\]){0,60}") {
        let mut info = info();
        info.dmi.serial = Some(Text::new(&serial));
        let template = "ssh-ed25519 AAAA {{ machine.dmi.system.serial | default('none') }}";
        let layer = parse_override("o.toml", &format!("[global]\nroot-ssh-keys = [\"{template}\"]\n")).unwrap();
        let base = BaseAnswer::parse(SMALL).unwrap().overlay().clone();
        let filled = fill(compose([base, layer]), &context(&info)).unwrap();
        let rendered = render(&filled, &inputs(Generation::V9_2)).unwrap();
        let document: toml_edit::DocumentMut = rendered.text.expose_secret().parse().unwrap();
        let said = Text::new(&serial);
        let said = if said.is_empty() { "none" } else { said.as_str() };
        let expected = format!("ssh-ed25519 AAAA {said}");
        prop_assert_eq!(document["global"]["root_ssh_keys"][0].as_str(), Some(expected.as_str()));
    }

    #[test]
    fn any_template_is_survived(template in "(\\PC|\\{\\{|\\}\\}|\\{%|%\\}|[a-z.| ]){0,40}") {
        let info = info();
        let text = format!("[global]\nmailto = {}\n", toml_edit::value(&template));
        if let Ok(layer) = parse_override("o.toml", &text) {
            let _ = fill(layer, &context(&info));
        }
    }
}
