//! The values of an answer as data, and the one writer that turns them into TOML.

use std::collections::BTreeMap;
use std::fmt;

use toml_edit::{Array, DocumentMut, Item, Table, TableLike};

use super::read;
use super::schema::{Setting, Show};

/// What stands in a redacted answer instead of a secret.
const HIDDEN: &str = "…";

/// The value of one setting. Has no `Debug`: it may be a password.
#[derive(Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Texts(Vec<String>),
    Table(BTreeMap<String, String>),
    Flag(bool),
    Whole(i64),
    Float(f64),
}

/// The settings of one answer; the order is the schema's.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Settings(BTreeMap<Setting, Value>);

impl Settings {
    pub(super) fn get(&self, setting: Setting) -> Option<&Value> {
        self.0.get(&setting)
    }

    pub(super) fn has(&self, setting: Setting) -> bool {
        self.0.contains_key(&setting)
    }

    pub(super) fn set(&mut self, setting: Setting, value: Value) {
        self.0.insert(setting, value);
    }

    pub(super) fn set_text(&mut self, setting: Setting, text: impl Into<String>) {
        self.set(setting, Value::Text(text.into()));
    }

    /// Sets one key of a table.
    pub(super) fn set_entry(&mut self, setting: Setting, key: &str, text: &str) {
        if let Value::Table(table) = self.0.entry(setting).or_insert_with(|| Value::Table(BTreeMap::new())) {
            table.insert(key.to_owned(), text.to_owned());
        }
    }

    pub(super) fn remove(&mut self, setting: Setting) {
        self.0.remove(&setting);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Setting, &Value)> {
        self.0.iter().map(|(setting, value)| (*setting, value))
    }

    pub(super) fn text(&self, setting: Setting) -> Option<&str> {
        match self.get(setting)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn texts(&self, setting: Setting) -> Option<&[String]> {
        match self.get(setting)? {
            Value::Texts(texts) => Some(texts),
            _ => None,
        }
    }

    pub(super) fn table(&self, setting: Setting) -> Option<&BTreeMap<String, String>> {
        match self.get(setting)? {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(super) fn number(&self, setting: Setting) -> Option<f64> {
        match self.get(setting)? {
            // Sizes in GiB; what is beyond 2^31 of them is as good as endless.
            Value::Whole(whole) => Some(match i32::try_from(*whole) {
                Ok(whole) => f64::from(whole),
                Err(_) if *whole < 0 => f64::MIN,
                Err(_) => f64::MAX,
            }),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The same settings with every secret replaced by `…`.
    pub(super) fn redacted(&self) -> Self {
        Self(self.iter().map(|(setting, value)| (setting, shown(setting, value))).collect())
    }

    /// Writes the answer. The order of the keys is fixed, and the values are encoded by the TOML writer.
    pub(super) fn to_toml(&self) -> String {
        let mut document = DocumentMut::new();
        for (setting, value) in self.iter() {
            let mut table: &mut dyn TableLike = document.as_table_mut();
            let mut parts = setting.spec().path.split('.').enumerate().peekable();
            while let Some((depth, part)) = parts.next() {
                if parts.peek().is_none() {
                    table.insert(part, item(value));
                    break;
                }
                let next = table.entry(part).or_insert_with(|| sub_table(depth > 0));
                let Some(inner) = next.as_table_like_mut() else { break };
                table = inner;
            }
        }
        document.to_string()
    }
}

/// The value as it may be shown.
fn shown(setting: Setting, value: &Value) -> Value {
    match (setting.spec().show, value) {
        (Show::Open, value) => value.clone(),
        (Show::Host, Value::Text(url)) => Value::Text(host_only(url)),
        (Show::Host | Show::Secret, _) => Value::Text(HIDDEN.to_owned()),
    }
}

/// The value as it may be shown, written as in the answer.
pub(super) fn in_words(setting: Setting, value: &Value) -> String {
    match shown(setting, value) {
        Value::Table(table) => {
            let entries: Vec<_> =
                table.iter().map(|(key, text)| format!("{key} = {}", toml_edit::value(text))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        value => item(&value).to_string().trim().to_owned(),
    }
}

/// Lists the settings, never their values.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A `[section]`, or inside one a run of dotted keys.
fn sub_table(dotted: bool) -> Item {
    let mut table = Table::new();
    table.set_dotted(dotted);
    Item::Table(table)
}

fn item(value: &Value) -> Item {
    match value {
        Value::Text(text) => toml_edit::value(text),
        Value::Texts(texts) => toml_edit::value(texts.iter().collect::<Array>()),
        Value::Flag(flag) => toml_edit::value(*flag),
        Value::Whole(whole) => toml_edit::value(*whole),
        Value::Float(number) => toml_edit::value(*number),
        Value::Table(entries) => {
            let mut table = Table::new();
            table.set_dotted(true);
            for (key, text) in entries {
                table.insert(key, toml_edit::value(text));
            }
            Item::Table(table)
        }
    }
}

/// Where a redacted answer makes its machine report to, as `https://host:port`; `None` where it says nothing of it.
#[must_use]
pub fn reported_to(redacted: &str) -> Option<String> {
    let reading = read::read(redacted).ok()?;
    let url = reading.settings.text(Setting::WebhookUrl)?;
    url.rsplit_once('/').map(|(base, _)| base.to_owned()).filter(|base| !base.ends_with('/'))
}

/// `https://host:port/…`: without path, query and user information, any of which may be a secret.
fn host_only(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return HIDDEN.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}/{HIDDEN}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://10.0.0.1:8443/webhook/abc", "https://10.0.0.1:8443/…")]
    #[case("http://user:pw@h?token=x", "http://h/…")]
    #[case("http://h#x@y", "http://h/…")]
    #[case("secret", "…")]
    fn only_the_host_of_a_url_is_shown(#[case] url: &str, #[case] shown: &str) {
        assert_eq!(host_only(url), shown);
    }

    #[test]
    fn where_an_answer_reports_to_is_found_in_either_spelling() {
        let of = |url: &str| reported_to(&format!("[post-installation-webhook]\nurl = \"{url}\"\n"));
        assert_eq!(of("https://10.0.0.1:8443/…").as_deref(), Some("https://10.0.0.1:8443"));
        assert_eq!(of(&host_only("http://c.example/webhook/secret")).as_deref(), Some("http://c.example"));
        assert_eq!((of("https://x"), of("…"), reported_to("[global]\n"), reported_to("[")), (None, None, None, None));
    }

    #[test]
    fn debug_output_holds_no_value() {
        let mut settings = Settings::default();
        settings.set_text(Setting::RootPassword, "hunter22");
        assert_eq!(format!("{settings:?}"), "{RootPassword}");
    }
}
