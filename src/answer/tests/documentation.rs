//! The examples of docs/answers.md are what they claim to be.

use std::collections::BTreeMap;

use super::SMALL;
use crate::answer::{BaseAnswer, Context, Profile, compose, fill, wished_name};
use crate::domain::{NodeId, Pointer};

const PAGE: &str = include_str!("../../../docs/answers.md");

/// The blocks that are marked as `kind`.
fn examples(kind: &str) -> Vec<&'static str> {
    let opening = format!("```toml {kind}\n");
    PAGE.split(opening.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn every_profile_is_one() {
    let base = BaseAnswer::parse(SMALL).unwrap();
    let examples = examples("profile");
    assert!(!examples.is_empty());
    for text in examples {
        let profile = Profile::parse("example", "profiles/example.toml", text).unwrap();
        assert_eq!(profile.check_over(&base), [], "{text}");
    }
}

#[test]
fn every_template_can_be_filled_in() {
    let examples = examples("template");
    assert!(!examples.is_empty());
    for text in examples {
        let profile = Profile::parse("example", "profiles/example.toml", text).unwrap();
        let layers = compose([BaseAnswer::parse(SMALL).unwrap().overlay().clone(), profile.overlay().clone()]);
        let info = super::templates::info();
        let name = "pve07.r7.example".parse().unwrap();
        let counters = BTreeMap::from([("rack7".into(), 7)]);
        let context = Context::new(Some(&info), Some((NodeId(1), &name)), counters);
        assert!(wished_name(&layers, &context).unwrap().is_some());
        let filled = fill(layers, &context).unwrap();
        let cidr = filled.explain().into_iter().find(|row| row.setting == "network.cidr").unwrap().value.unwrap();
        assert_eq!(cidr.text, "\"10.0.7.17/24\"");
    }
}

#[test]
fn every_pointer_is_listed() {
    for pointer in Pointer::vocabulary().filter(|pointer| !pointer.contains('*')) {
        assert!(PAGE.contains(&format!("`{pointer}`")), "{pointer}");
    }
}
