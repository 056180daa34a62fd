//! No string gets out of its quotes, and no text makes the reader panic.

use std::collections::BTreeMap;

use proptest::prelude::*;
use secrecy::{ExposeSecret as _, SecretString};
use toml_edit::DocumentMut;

use super::{FULL, GENERATIONS, SMALL, inputs};
use crate::answer::read;
use crate::answer::schema::{Kind, Setting};
use crate::answer::settings::{Settings, Value};
use crate::answer::{BaseAnswer, LayerName, Overlay, Rank, Webhook, render};

/// Settings with arbitrary strings wherever a string can stand.
fn any_settings() -> impl Strategy<Value = Settings> {
    let hostile = prop_oneof![any::<String>(), "[\"'\\\\\n\r\t\u{0}\u{1b}\u{7f}#=\\[\\]{}.]{0,12}"];
    let texts = proptest::collection::vec(hostile.clone(), 0..4);
    let table = proptest::collection::btree_map(hostile.clone(), hostile.clone(), 1..4);
    let value = (hostile, texts, table, any::<bool>(), 0..i64::MAX, 0.0..1e9_f64);
    proptest::collection::vec(value, Setting::ALL.len()).prop_map(|values| {
        let mut settings = Settings::default();
        for (&setting, (text, texts, table, flag, whole, number)) in Setting::ALL.iter().zip(values) {
            let value = match setting.spec().kind {
                Kind::Text | Kind::TextOrTable => Value::Text(text),
                Kind::Choice(choices) | Kind::Raid(choices) => Value::Text(choices[0].to_owned()),
                Kind::Texts => Value::Texts(texts),
                Kind::Table => Value::Table(table),
                Kind::Flag => Value::Flag(flag),
                Kind::Whole => Value::Whole(whole),
                Kind::Number => Value::Float(number),
            };
            settings.set(setting, value);
        }
        settings
    })
}

#[test]
fn control_characters_are_escaped_as_toml_1_0_has_it() {
    let mut settings = Settings::default();
    settings.set_text(Setting::RootPassword, "\u{0}\u{1b}[31m\u{7f}");
    // TOML 1.1 has `\e` and `\x1B` for it, which the installers do not read.
    assert_eq!(settings.to_toml(), "[global]\nroot_password = \"\\u0000\\u001B[31m\\u007F\"\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_string_changes_the_shape(settings in any_settings()) {
        let text = settings.to_toml();
        let reading = read::read(&text).unwrap();
        prop_assert!(reading.problems.is_empty(), "{:?} in {text}", reading.problems);
        prop_assert!(reading.settings == settings, "{text}");
        prop_assert_eq!(settings.to_toml(), text);
    }

    #[test]
    fn hostile_values_of_the_operator_stay_values(password in ".{8,40}", key in any::<String>(), serial in any::<String>(), secret in any::<String>()) {
        let pattern = glob::Pattern::escape(&key);
        let base = BaseAnswer::parse(SMALL).unwrap();
        let own = [
            (Setting::RootPassword, Value::Text(password.clone())),
            (Setting::DiskFilter, Value::Table(BTreeMap::from([(serial.clone(), pattern.clone())]))),
        ];
        let source = LayerName { rank: Rank::Operator, name: String::new() };
        let layers = Overlay::stated(source, own).over(base.overlay().clone());
        for generation in GENERATIONS {
            let mut given = inputs(generation);
            given.ssh_key = Some(key.clone());
            given.webhook = Some(Webhook {
                url: SecretString::from(secret.clone()),
                token: SecretString::from(secret.clone()),
                fingerprint: None,
            });
            let rendered = render(&layers, &given).unwrap();
            let document: DocumentMut = rendered.text.expose_secret().parse().unwrap();
            prop_assert_eq!(document["global"]["root_password"].as_str(), Some(password.as_str()));
            prop_assert_eq!(document["disk-setup"]["filter"][serial.as_str()].as_str(), Some(pattern.as_str()));
        }
    }

    #[test]
    fn any_text_is_survived_as_base(text in any::<String>(), position in 0..FULL.len(), insert in "[\"\\[\\]{}=.,#\n a-z]{0,6}") {
        let _ = BaseAnswer::parse(&text);
        let mut broken = FULL.to_owned();
        broken.insert_str(position, &insert);
        if let Err(problems) = BaseAnswer::parse(&broken) {
            prop_assert!(!problems.0.is_empty());
            for problem in &problems.0 {
                prop_assert!(problem.span.is_none() || problem.position(&broken).is_some());
            }
        }
    }
}
