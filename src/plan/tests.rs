//! Whole plans: what is read, what is refused, and what an import leaves as it was.

mod import;

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::domain::Fqdn;

pub(super) fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

pub(super) fn context() -> Context {
    Context {
        domain: "example.com".to_owned(),
        addresses: AddressRules { gateway: Some([192, 0, 2, 1].into()), ..AddressRules::default() },
        profiles: ["storage".parse().unwrap()].into(),
    }
}

pub(super) fn good(text: &str) -> Plan {
    parse(&source(PLAN_FILE, text), &context()).unwrap()
}

pub(super) fn bad(text: &str) -> String {
    parse(&source(PLAN_FILE, text), &context()).unwrap_err().to_string()
}

pub(super) fn bring(name: &str, table: &str, plan: &str, map: &[&str]) -> Result<Imported, String> {
    let (table, plan) = (source(name, table), source(PLAN_FILE, plan));
    let map: Vec<_> = map.iter().map(|mapping| mapping.parse().unwrap()).collect();
    let format = Format::of_name(Path::new(name)).unwrap();
    let wish = Import { table: &table, format, map: &map, replace: false };
    import(&wish, Some(&plan), &context()).map_err(|errors| errors.to_string())
}

pub(super) const PLAN: &str = r#"# my rack
[[node]]
hostname = "pve-01"          # top
serial = "ABC1234"
mac = ["b4:2e:99:00:00:01", "b4:2e:99:00:00:02"]
address = "192.0.2.11"
profile = "storage"
rack = "R7"
slot = 12
columns.owner = "anna"

[[node]]
hostname = "pve-02.lab.example.org"
uuid = "f68d13f3-472b-4f1a-95a7-120b398a07aa"
"#;

#[test]
fn a_plan_is_read() {
    let plan = good(PLAN);
    let [one, two] = &*plan.entries else { panic!() };
    assert_eq!(one.hostname.as_str(), "pve-01.example.com");
    assert_eq!(one.macs.len(), 2);
    assert_eq!(one.place().as_deref(), Some("R7/12"));
    assert_eq!(one.columns["owner"].as_str(), "anna");
    assert_eq!(two.hostname.as_str(), "pve-02.lab.example.org");
    assert!(plan.warnings.is_empty());
    assert_eq!(good("").entries, []);
}

#[test]
fn all_problems_are_told_with_their_lines() {
    let text = r#"[[node]]
hostname = "pve-01"
serial = "ABC1234"
address = "192.0.2.1"
profile = "compute"

[[node]]
hostname = "PVE-01.example.com"
serial = "abc1234"
adress = "192.0.2.12"
mac = "ff:ff:ff:ff:ff:ff"

[[node]]
serial = "Default string"

[nodes]
"#;
    insta::assert_snapshot!(bad(text));
}

#[rstest]
#[case::syntax("[[node]\n", "not valid TOML")]
#[case::two_lists(
    "[[node]]\nhostname = \"a\"\nmac = \"b4:2e:99:00:00:01\"\nmacs = [\"b4:2e:99:00:00:02\"]\n",
    "`mac` and `macs` are one key"
)]
#[case::one_table("[node]\nhostname = \"a\"\n", "unknown key or table `node`")]
#[case::no_text("[[node]]\nhostname = 2026-01-01\n", "`hostname` must be a text")]
#[case::dummy_uuid("[[node]]\nhostname = \"a\"\nuuid = \"03000200-0400-0500-0006-000700080009\"\n", "makers ship")]
#[case::outside("[[node]]\nhostname = \"a\"\naddress = \"198.51.100.1\"\n", "not in the gateway's network")]
#[case::family("[[node]]\nhostname = \"a\"\naddress = \"2001:db8::1\"\n", "other IP version")]
fn bad_plans_are_refused(#[case] text: &str, #[case] said: &str) {
    assert!(bad(text).contains(said), "{}", bad(text));
}

#[test]
fn a_row_that_no_machine_can_be_is_a_warning() {
    let plan = good("[[node]]\nhostname = \"pve-01\"\n");
    assert!(plan.warnings.to_string().contains("no machine can be recognised"), "{}", plan.warnings);
}

#[test]
fn a_spreadsheet_is_imported() {
    let table = "\u{feff}Hostname;Serial Number;MAC;IP;Rack;Slot;Owner\r\n\
                 pve-03;XYZ9876;b42e.9900.0003;192.0.2.13;R7;14;\"Bea; Cid\"\r\n\r\n\
                 pve-01;;;192.0.2.21;;;\r\n";
    let done = bring("rack.csv", table, PLAN, &[]).unwrap();
    assert_eq!(done.added, ["pve-03.example.com".parse::<Fqdn>().unwrap()]);
    assert_eq!(done.changed, [("pve-01.example.com".parse().unwrap(), vec!["address".to_owned()])]);
    insta::assert_snapshot!(done.text);
    // Again: nothing to do.
    let again = bring("rack.csv", table, &done.text, &[]).unwrap();
    assert_eq!((again.unchanged, again.added.len(), again.changed.len()), (2, 0, 0));
    assert_eq!(again.text, done.text);
}

#[test]
fn everything_wrong_with_a_table_is_told_at_once() {
    let table = "name,serial,ip,profile\n\
                 pve-03,ABC1234,192.0.2.999,storage\n\
                 pve_04,XYZ1,192.0.2.13,compute\n\
                 ,XYZ2,192.0.2.14,\n\
                 pve-05,XYZ1,192.0.2.11,\n\
                 pve-06,a,b,c,d\n";
    insta::assert_snapshot!(bring("rack.csv", table, PLAN, &[]).unwrap_err());
}

#[test]
fn columns_are_mapped() {
    let table = "Box,Label,Remark\npve-07,INV-7,cold aisle\n";
    assert!(bring("t.csv", table, "", &[]).unwrap_err().contains("`--map COLUMN=hostname`"));
    let done = bring("t.csv", table, "", &["Box=hostname", "label=asset_tag", "Remark=columns.note"]).unwrap();
    let plan = good(&done.text);
    assert_eq!(plan.entries[0].asset_tag.as_ref().unwrap().as_str(), "INV-7");
    assert_eq!(plan.entries[0].columns["note"].as_str(), "cold aisle");
    let left_out = bring("t.csv", table, "", &["Box=hostname", "Label=serial", "Remark=-"]).unwrap();
    assert!(good(&left_out.text).entries[0].columns.is_empty());
    let lost = bring("t.csv", table, "", &["Boxes=hostname"]).unwrap_err();
    assert!(lost.contains("no column `Boxes`") && lost.contains("`Box`, `Label`, `Remark`"), "{lost}");
    for wrong in ["x", "=serial", "x=", "x=serail", "x=columns."] {
        assert!(wrong.parse::<Mapping>().is_err(), "{wrong}");
    }
}

/// As NetBox exports a list of devices, "all data".
const NETBOX_CSV: &str = "\
ID,Name,Status,Tenant,Site,Rack,Position (U),Role,Manufacturer,Type,Serial number,Asset tag,IP Address,IPv4 Address,Comments
17,pve-21,Planned,,Vienna,R9,21.0,Hypervisor,Dell,PowerEdge R650,7XK2LM3,INV-0021,192.0.2.31/24,192.0.2.31/24,
18,pve-22,Planned,,Vienna,R9,22.0,Hypervisor,Dell,PowerEdge R650,7XK2LM4,INV-0022,,192.0.2.32/24,spare
";

/// As its API lists devices.
const NETBOX_JSON: &str = r#"{"count": 1, "next": null, "results": [
  {"id": 17, "name": "pve-21", "serial": "7XK2LM3", "asset_tag": "INV-0021", "status": {"value": "planned", "label": "Planned"},
   "role": {"id": 3, "name": "Hypervisor", "slug": "hypervisor"}, "rack": {"id": 2, "name": "R9"}, "position": 21.0,
   "primary_ip": {"id": 9, "address": "192.0.2.31/24"}, "primary_ip4": {"id": 9, "address": "192.0.2.31/24"},
   "custom_fields": {"smbios_uuid": "f68d13f3-472b-4f1a-95a7-120b398a07aa", "owner": null}, "tags": []}
]}"#;

#[test]
fn what_netbox_exports_needs_no_mapping() {
    let done = bring("devices.csv", NETBOX_CSV, "", &[]).unwrap();
    let plan = good(&done.text);
    let [one, two] = &*plan.entries else { panic!() };
    assert_eq!(one.serial.as_ref().unwrap().as_str(), "7XK2LM3");
    assert_eq!(one.address, Some([192, 0, 2, 31].into()));
    assert_eq!(two.address, Some([192, 0, 2, 32].into()), "the first of its columns that is filled");
    assert_eq!(one.place().as_deref(), Some("R9/21"));
    assert_eq!(one.role.as_ref().unwrap().as_str(), "Hypervisor");
    assert_eq!(one.columns["site"].as_str(), "Vienna");

    let done = bring("devices.json", NETBOX_JSON, "", &[]).unwrap();
    let plan = good(&done.text);
    let json = &plan.entries[0];
    assert_eq!((&json.serial, &json.address, json.place()), (&one.serial, &one.address, one.place()));
    assert!(json.uuid.is_some());
    assert_eq!(json.columns["status"].as_str(), "Planned");
    assert!(!json.columns.contains_key("owner") && !json.columns.contains_key("tags"));
}

#[rstest]
#[case("[{\"hostname\": \"pve-01\"},\n {\"hostname\": \"x y\"}]", "t.json:2:16")]
#[case("[{\"hostname\": \"pve-01\"},\n 7]", "t.json:2:2")]
#[case("[{\"hostname\": \"pve-01\"},\n {\"hostname\" \"pve-02\"}]", "t.json:2:14")]
#[case("{\"hostname\": \"pve-01\"}", "cannot be read as JSON")]
#[case("[]", "there is no row")]
fn json_problems_have_their_lines(#[case] table: &str, #[case] said: &str) {
    let told = bring("t.json", table, "", &[]).unwrap_err();
    assert!(told.contains(said), "{told}");
}

#[test]
fn what_is_not_in_the_table_leaves_only_on_wish() {
    let (table, plan) = (source("t.csv", "hostname,serial\npve-02.lab.example.org,S2-1\n"), source(PLAN_FILE, PLAN));
    let mut wish = Import { table: &table, format: Format::Csv, map: &[], replace: false };
    let kept = import(&wish, Some(&plan), &context()).unwrap();
    assert_eq!((kept.removed.len(), good(&kept.text).entries.len()), (0, 2));
    wish.replace = true;
    let done = import(&wish, Some(&plan), &context()).unwrap();
    assert_eq!(done.removed, ["pve-01.example.com".parse::<Fqdn>().unwrap()]);
    assert_eq!(good(&done.text).entries.len(), 1);
}

#[test]
fn a_plan_that_is_damaged_is_not_written_over() {
    let told = bring("t.csv", "hostname\npve-09\n", "[[node]]\nhostname = \"a b\"\n", &[]).unwrap_err();
    assert!(told.contains("plan.toml:2:12"), "{told}");
}

fn entry() -> impl Strategy<Value = PlanEntry> {
    let text = || proptest::option::of("[ -~é]{0,12}[a-zA-Z0-9]");
    // Any name there is, as it is called in the plan: of a field, of another table's field, in any letters.
    let any_name = prop_oneof![
        "\\PC{1,20}",
        "(columns\\.|cf_|custom_fields\\.)?[A-Za-z %_.-]{1,12}",
        proptest::sample::select(Field::NAMES.map(|(name, _)| name.to_owned()).to_vec()),
        proptest::sample::select(vec!["macs", "name", "Serial number", "IP Address", "columns", "u"])
            .prop_map(str::to_owned),
    ];
    let name = any_name.prop_map(|name| column::key(&name)).prop_filter("a name", |name| !name.is_empty());
    let columns = proptest::collection::btree_map(name, "[ -~é]{0,8}[a-z,\"'é]", 0..4);
    (text(), text(), text(), any::<u128>(), proptest::option::of(2_u8..250), columns).prop_map(
        |(role, rack, slot, number, address, columns)| PlanEntry {
            serial: Some(format!("S{number}").as_str().into()),
            uuid: Some(uuid::Builder::from_random_bytes(number.to_be_bytes()).into_uuid()),
            address: address.map(|last| [192, 0, 2, last].into()),
            role: role.map(|text| text.trim().into()),
            rack: rack.map(|text| text.trim().into()),
            slot: slot.map(|text| format!("{}x", text.trim()).as_str().into()),
            columns: columns.into_iter().map(|(name, text)| (name, text.trim().into())).collect(),
            ..PlanEntry::new(format!("pve-{number:x}.example.com").parse().unwrap())
        },
    )
}

proptest! {
    #[test]
    fn an_export_imports_as_the_same_plan(entries in proptest::collection::vec(entry(), 1..6)) {
        let mut seen = std::collections::HashSet::new();
        let entries: Vec<_> = entries.into_iter().filter(|entry| entry.address.is_none_or(|address| seen.insert(address))).map(Arc::new).collect();
        prop_assume!(!entries.is_empty());
        for (format, name) in [(Format::Csv, "t.csv"), (Format::Json, "t.json"), (Format::Toml, "t.toml")] {
            let table = export(&entries, format).unwrap();
            let done = bring(name, &table, "", &[]).map_err(|told| TestCaseError::fail(format!("{told}\n{table}")))?;
            prop_assert_eq!(&good(&done.text).entries, &entries, "by {}:\n{}", name, table);
        }
    }

    #[test]
    fn no_table_panics(table in "(\\PC|\n|\"|,|;){0,120}", plan in "(\\PC|\n){0,60}") {
        for name in ["t.csv", "t.json", "t.toml"] {
            let _ = bring(name, &table, "", &[]);
            let _ = bring(name, &table, &plan, &[]);
        }
    }
}

#[test]
fn the_manuals_examples_are_right() {
    let manual = include_str!("../../docs/plan.md");
    let block = |kind: &str| {
        let start = manual.find(&format!("```{kind}\n")).unwrap() + kind.len() + 4;
        &manual[start..start + manual[start..].find("```").unwrap()]
    };
    let plan = block("toml");
    let [one, two] = &*good(plan).entries else { panic!() };
    assert_eq!((one.macs.len(), two.asset_tag.as_ref().map(crate::domain::text::Text::as_str)), (2, Some("INV-0022")));
    let done = bring("t.csv", block("csv"), plan, &[]).unwrap();
    assert_eq!((done.added.len(), done.changed.len()), (2, 0));
    assert!(done.text.starts_with(plan), "what was there stays as it is");
    for (name, _) in Field::NAMES {
        assert!(manual.contains(&format!("`{name}`")), "`{name}` is not told of");
    }
}
