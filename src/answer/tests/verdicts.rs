//! The verdicts of the real installers, as the conformance data has them, against ours.

use std::collections::BTreeMap;
use std::path::Path;

use super::{GENERATIONS, inputs, strangers};
use crate::answer::{BaseAnswer, Hardware, Inputs, Installer, Offer, Question, RenderError, check_answer, render};
use crate::outside::conformance;

/// Recorded answers. More would be welcome: then this number grows.
const CASES: usize = 68;

/// The recorded answers with what each release did with them: `accept` or `reject`.
fn cases(folder: &Path) -> BTreeMap<String, (String, [bool; 5])> {
    let verdicts = std::fs::read(folder.join("answers/verdicts.json")).unwrap();
    let verdicts: serde_json::Value = serde_json::from_slice(&verdicts).unwrap();
    let case = |(name, case): (&String, &serde_json::Value)| {
        let text = std::fs::read_to_string(folder.join(format!("answers/{name}.toml"))).unwrap();
        let accepted = ["8.2", "8.3", "8.4", "9.1", "9.2"].map(|release| case["verdict"][release] == "accept");
        (name.clone(), (text, accepted))
    };
    verdicts.as_object().unwrap().iter().map(case).collect()
}

#[test]
fn every_verdict_is_that_of_the_real_installer() {
    let Some(folder) = conformance() else { return };
    let machine = Hardware::parse(&std::fs::read(folder.join("machine.json")).unwrap()).unwrap();
    let mut table = Installer::RELEASES.map(|installer| (installer, [0, 0], 0));
    let mut different = Vec::new();
    for (name, (text, accepted)) in cases(&folder) {
        for ((installer, by_verdict, equal), expected) in table.iter_mut().zip(accepted) {
            let installer = *installer;
            by_verdict[usize::from(expected)] += 1;
            let question = Question { installer, hardware: Some(&machine), first_boot_on_medium: false };
            let checked = check_answer(&text, &question);
            assert_eq!(checked.touch.is_some(), checked.is_accepted(), "`{name}`: the machine is known");
            if checked.is_accepted() == expected {
                *equal += 1;
            } else {
                different.push(format!("`{name}` by {installer}: {expected}, {:?}", checked.problems));
            }
        }
    }
    println!("installer  rejects  accepts  equal");
    for (installer, [rejects, accepts], equal) in &table {
        println!("{:9}  {rejects:7}  {accepts:7}  {equal:2} of {}", installer.to_string(), rejects + accepts);
    }
    let equal: usize = table.iter().map(|(.., equal)| equal).sum();
    println!("{equal} of {} verdicts are those of the real installers", equal + different.len());
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
    assert_eq!(equal, CASES * table.len(), "the data is not whole");
}

/// Files the installer refuses and we do not: the program fills in name, address, NIC filter and `source` itself …
const FILLED_IN: [&str; 7] = [
    "fqdn-numeric-host",
    "fqdn-trailing-dot",
    "fqdn-underscore",
    "from-answer-cidr-33",
    "from-answer-empty-filter",
    "from-answer-without-filter",
    "no-network-section",
];
/// … or the verdict depends on the machine or its medium.
const NEEDS_MACHINE: [&str; 3] = ["disk-unknown", "first-boot-from-iso-absent", "net-filter-case-eno1"];
/// Files the installer takes and we do not: the webhook is ours.
const OURS: [&str; 4] = ["webhook", "webhook-auth-token", "webhook-auth-token-snake", "webhook-cert-fingerprint"];

#[test]
fn base_answers_are_judged_as_the_newest_installer_does() {
    let Some(folder) = conformance() else { return };
    let mut seen = 0;
    for (name, (text, verdict)) in &cases(&folder) {
        let name = name.as_str();
        let refused_by_all = *verdict == [false; 5];
        // The newest is the strictest; what older ones lack is the dialect's business.
        let newest_accepts = verdict[4];
        let expected = if FILLED_IN.contains(&name) || NEEDS_MACHINE.contains(&name) {
            assert!(refused_by_all, "`{name}` is no exception");
            true
        } else {
            newest_accepts && !OURS.contains(&name)
        };
        let ours = BaseAnswer::parse(text);
        assert_eq!(ours.is_ok(), expected, "`{name}`: {ours:?}");
        for generation in ours.is_ok().then_some(GENERATIONS).into_iter().flatten() {
            let mut given = inputs(generation);
            if name == "from-answer-ipv6" {
                given = Inputs {
                    address: "2001:db8::31".parse().ok().map(Offer::Asked),
                    mask: "64".parse().unwrap(),
                    ..given
                };
            }
            match render(ours.as_ref().unwrap().overlay(), &given) {
                Ok(rendered) => assert_eq!(strangers(&rendered, generation), [""; 0], "`{name}` for {generation:?}"),
                Err(RenderError::TooNew { .. } | RenderError::Harmful { .. }) if name.starts_with("first-boot") => {}
                Err(error) => panic!("`{name}` for {generation:?}: {error}"),
            }
        }
        seen += 1;
    }
    println!("{seen} conformance answers judged as the newest installer judges them, but for the listed exceptions");
    assert_eq!(seen, CASES, "the data is not whole");
}
