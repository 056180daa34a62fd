//! What an import may not lose: columns, comments, rows.

use rstest::rstest;

use super::*;
use crate::domain::text::Text;

fn replace(table: &str, plan: &str) -> String {
    let (table, plan) = (source("t.csv", table), source(PLAN_FILE, plan));
    let wish = Import { table: &table, format: Format::Csv, map: &[], replace: true };
    import(&wish, Some(&plan), &context()).unwrap().text
}

#[rstest]
#[case("columns.\"Asset Owner\" = \"anna\"", "write `columns.asset_owner`")]
#[case("columns.Owner = \"anna\"", "write `columns.owner`")]
#[case("columns.\"%\" = \"7\"", "a name has a letter or a digit")]
fn a_column_has_one_name_in_plan_tables_and_templates(#[case] line: &str, #[case] hint: &str) {
    let told = bad(&format!("[[node]]\nhostname = \"pve-01\"\n{line}\n"));
    assert!(told.contains("plan.toml:3:9") && told.contains(hint), "{told}");
}

#[test]
fn what_is_empty_is_not_said() {
    let text = "[[node]]\nhostname = \"pve-01\"\nserial = \"\"\nmac = []\nslot = \" \"\ncolumns.owner = \"\"\n";
    let entry = &good(text).entries[0];
    assert_eq!((&entry.serial, &entry.slot, entry.columns.len(), entry.macs.len()), (&None, &None, 0, 0));
    let done = bring("t.csv", "hostname,serial,owner\npve-01,ABC1234,bea\n", text, &[]).unwrap();
    assert_eq!(good(&done.text).entries[0].serial.as_ref().unwrap().as_str(), "ABC1234");
    assert!(bad("[[node]]\nhostname = \"\"\n").contains("the row has no `hostname`"));
}

#[test]
fn a_plan_that_has_a_name_twice_is_corrected_first() {
    let twice = "[[node]]\nhostname = \"pve-01\"\n[[node]]\nhostname = \"pve-01\"\n";
    let told = bring("t.csv", "hostname,serial\npve-01,ABC1234\n", twice, &[]).unwrap_err();
    assert!(told.contains("pve-01") && told.contains("each must be unique in the plan"), "{told}");
}

#[test]
fn two_columns_never_become_one() {
    let told = bring("t.csv", "hostname,Note,note\npve-01,a,b\n", "", &[]).unwrap_err();
    assert!(told.contains("the columns `Note` and `note` would both be `columns.note`"), "{told}");
    let mapped = bring("t.csv", "hostname,Box Note,note\npve-01,a,b\n", "", &["Box Note=columns.note"]).unwrap_err();
    assert!(mapped.contains("would both be `columns.note`"), "{mapped}");
    let told =
        bring("t.json", "[{\"hostname\": \"a\", \"X-1\": \"a\"}, {\"hostname\": \"b\", \"x_1\": \"b\"}]", "", &[]);
    assert!(told.unwrap_err().contains("`columns.x_1`"));
    bring("t.csv", "hostname,Note,note\npve-01,a,b\n", "", &["Note=-"]).unwrap();
}

#[rstest]
#[case("\u{f}", "\u{200b}", None)]
#[case("\u{f} 12.0", "12.0", Some("12"))]
#[case("1.0.0", ".0", Some("1.0.0"))]
fn what_shows_nothing_says_nothing(#[case] slot: &str, #[case] owner: &str, #[case] kept: Option<&str>) {
    let table = format!("hostname,slot,owner\npve-01,{slot},{owner}\n");
    let done = bring("t.csv", &table, "", &[]).unwrap();
    let entry = good(&done.text).entries.remove(0);
    assert_eq!(entry.slot.as_ref().map(Text::as_str), kept);
    assert!(entry.columns.values().all(|text| !text.as_str().is_empty()), "{}", done.text);
    assert_eq!(bring("t.csv", &table, &done.text, &[]).unwrap().changed.len(), 0);
}

#[rstest]
#[case("serial", "\u{1}\u{1}\u{1}\u{1}U", "no serial number")]
#[case("asset_tag", "Default\u{200b} string", "no asset tag")]
fn what_identifies_a_machine_is_judged_as_it_shows(#[case] column: &str, #[case] text: &str, #[case] said: &str) {
    let told = bring("t.csv", &format!("hostname,{column}\npve-01,{text}\n"), "", &[]).unwrap_err();
    assert!(told.contains(said), "{told}");
}

#[rstest]
#[case("t.csv", ",hostname,%\n0,pve-01,7\n", &["column 1 has no name (``)", "column 3 has no name (`%`)"])]
#[case("t.csv", "hostname,serial,\npve-01,A1234,\n", &[])]
#[case("t.json", "[{\"\": 0, \"hostname\": \"pve-01\"}]", &["column 1 has no name"])]
fn a_column_without_a_name_is_left_out_with_a_word(#[case] name: &str, #[case] table: &str, #[case] said: &[&str]) {
    let done = bring(name, table, "", &[]).unwrap();
    assert!(good(&done.text).entries[0].columns.is_empty(), "{}", done.text);
    let told = done.warnings.to_string();
    assert!(said.iter().all(|said| told.contains(said)), "{told}");
    assert_eq!(told.matches("has no name").count(), said.len(), "{told}");
}

#[test]
fn comments_survive_the_node_below_them() {
    let plan = "# my rack\n[[node]]\nhostname = \"pve-01\"\n\n# second row\n[[node]]\nhostname = \"pve-02\"\n\n\
                # third\n[[node]]\nhostname = \"pve-03\"\n# the end\n";
    let text = replace("hostname,serial\npve-02,S2-12\n", plan);
    assert_eq!(
        text,
        "# my rack\n\n# second row\n[[node]]\nhostname = \"pve-02\"\nserial = \"S2-12\"\n\n# third\n# the end\n"
    );
    // What is new comes behind what stood last.
    let text = replace("hostname,serial\npve-01,S1-12\npve-09,S9-12\n", plan);
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}"));
    assert!(at("# my rack") < at("pve-01") && at("pve-01") < at("# second row"));
    assert!(at("# second row") < at("# third") && at("# third") < at("# the end") && at("# the end") < at("pve-09"));
    assert_eq!(text.matches('#').count(), 4);
    assert_eq!(good(&text).entries.len(), 2);
    let all_new = replace("hostname,serial\npve-09,S9-12\n", plan);
    assert_eq!(all_new.matches('#').count(), 4, "{all_new}");
}

#[test]
fn comments_between_mac_addresses_survive() {
    let plan = "[[node]]\nhostname = \"pve-01\"\nmac = [\n    \"b42e.9900.0001\", # left\n    \"b4:2e:99:00:00:02\", # right\n]\n";
    let done = bring("t.csv", "hostname,mac\npve-01,b4:2e:99:00:00:01 b4:2e:99:00:00:03\n", plan, &[]).unwrap();
    assert!(done.text.contains("\"b42e.9900.0001\", # left"), "{}", done.text);
    assert!(!done.text.contains("00:02"), "{}", done.text);
    assert!(done.text.contains("# right"), "{}", done.text);
    assert_eq!(good(&done.text).entries[0].macs.len(), 2);
    let fewer = bring("t.csv", "hostname,mac\npve-01,b4:2e:99:00:00:01\n", plan, &[]).unwrap();
    assert_eq!(fewer.text.matches('#').count(), 2, "{}", fewer.text);
    assert_eq!(good(&fewer.text).entries[0].macs.len(), 1);
}

#[test]
fn a_plan_that_is_too_long_to_be_read_again_is_not_written() {
    let rows = |from: usize, to: usize| {
        let lines: Vec<_> = (from..to).map(|number| format!("pve-{number},SER{number}\n")).collect();
        format!("hostname,serial\n{}", lines.concat())
    };
    let half = MAX_ROWS / 2 + 1;
    let plan = bring("t.csv", &rows(0, half), "", &[]).unwrap().text;
    let told = bring("t.csv", &rows(half, 2 * half), &plan, &[]).unwrap_err();
    assert!(told.contains(&format!("the plan would have {} nodes: {MAX_ROWS} at most", 2 * half)), "{told}");
}

#[rstest]
#[case("192.0.2.9/99", Err("`192.0.2.9/99` is not an IP address"))]
#[case("192.0.2.9/x", Err("is not an IP address"))]
#[case("192.0.2.9/24", Ok(""))]
#[case("192.0.2.9", Ok(""))]
#[case("192.0.2.9/26", Ok("the prefix length 26 is not used; nodes get /24"))]
fn a_prefix_length_is_looked_at(#[case] address: &str, #[case] said: Result<&str, &str>) {
    let table = format!("hostname,serial,ip\npve-01,ABC1234,{address}\n");
    match (bring("t.csv", &table, PLAN.split("[[node]]").next().unwrap(), &[]), said) {
        (Ok(done), Ok(said)) => {
            let told = done.warnings.to_string();
            assert!(told.contains(said) && told.is_empty() == said.is_empty(), "{told}");
        }
        (Err(told), Err(said)) => assert!(told.contains(said), "{told}"),
        (other, _) => panic!("{other:?}"),
    }
}

#[test]
fn rows_without_a_column_in_common_take_no_time_squared() {
    let row = |number: usize| {
        let cells: Vec<_> = (0..20).map(|cell| format!(", \"c{number}x{cell}\": 1")).collect();
        format!("{{\"hostname\": \"pve-{number}\", \"serial\": \"SER{number}\"{}}}", cells.concat())
    };
    let table = format!("[{}]", (0..4_000).map(row).collect::<Vec<_>>().join(","));
    let started = std::time::Instant::now();
    let done = bring("t.json", &table, "", &[]).unwrap();
    assert_eq!(done.added.len(), 4_000);
    // 320 million cells were looked at before; now 88,000 are.
    assert!(started.elapsed() < std::time::Duration::from_secs(30), "{:?}", started.elapsed());
}
