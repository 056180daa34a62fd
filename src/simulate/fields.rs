//! Reading one table of an answer as a given release does: which keys exist, in which spelling, of which type.
//!
//! Owns the spelling rules of PROTOCOL.md §b.1. It must not know which tables there are (`grammar`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::hardware::Filter;
use super::release::Release;

/// How a key with a hyphen may be spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Only as it stands: one word, or never had another spelling.
    Fixed,
    /// Up to 8.3.9 with underscores only, from 8.4.0 either way.
    Snake,
    /// With hyphens always, with underscores too from 8.4.0: the keys of `[first-boot]`.
    Kebab,
}

/// A key that some release knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    name: &'static str,
    since: Release,
    spelling: Spelling,
}

/// A key known since 8.2 in one spelling.
pub(super) const fn key(name: &'static str) -> Key {
    Key { name, since: Release::V8_2, spelling: Spelling::Fixed }
}

impl Key {
    /// The same key with this spelling rule.
    pub(super) const fn spelled(self, spelling: Spelling) -> Self {
        Self { spelling, ..self }
    }

    /// The same key, unknown to releases before `since`.
    pub(super) const fn since(self, since: Release) -> Self {
        Self { since, ..self }
    }

    /// The spellings `release` accepts, preferred one first.
    fn spellings(self, release: Release) -> Vec<String> {
        let (kebab, snake) = (self.name.to_owned(), self.name.replace('-', "_"));
        match self.spelling {
            _ if release < self.since => Vec::new(),
            Spelling::Fixed => vec![kebab],
            Spelling::Snake if release < Release::V8_4 => vec![snake],
            Spelling::Kebab if release < Release::V8_4 => vec![kebab],
            Spelling::Snake | Spelling::Kebab => vec![kebab, snake],
        }
    }
}

/// Why an answer does not parse, in words close to the installer's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct ParseError(pub(super) String);

/// Shorthand for an error in words.
pub(super) fn bad<T>(words: impl Into<String>) -> Result<T, ParseError> {
    Err(ParseError(words.into()))
}

/// A table with every key known and given once.
pub(super) struct Fields<'v> {
    values: BTreeMap<&'static str, &'v Value>,
}

impl<'v> Fields<'v> {
    /// Reads a table, refusing unknown keys and keys given in both spellings.
    pub(super) fn open(table: &'v Map<String, Value>, keys: &[Key], release: Release) -> Result<Self, ParseError> {
        let known: Vec<(&'static str, Vec<String>)> =
            keys.iter().map(|key| (key.name, key.spellings(release))).collect();
        let mut values = BTreeMap::new();
        for (given, value) in table {
            let Some((name, _)) = known.iter().find(|(_, spellings)| spellings.contains(given)) else {
                let expected: Vec<_> = known.iter().flat_map(|(_, all)| all).map(|name| format!("`{name}`")).collect();
                return bad(format!("unknown field `{given}`, expected one of {}", expected.join(", ")));
            };
            if values.insert(*name, value).is_some() {
                return bad(format!("duplicate field `{name}`"));
            }
        }
        Ok(Self { values })
    }

    /// The raw value of a key.
    pub(super) fn get(&self, name: &str) -> Option<&'v Value> {
        self.values.get(name).copied()
    }

    /// Whether any of `names` is given.
    pub(super) fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.values.contains_key(name))
    }

    /// A value of the type `read` accepts, or an error that says what was expected.
    fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Result<Option<T>, ParseError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match read(value) {
            Some(value) => Ok(Some(value)),
            None => bad(format!("invalid type: {}, expected {expected} for `{name}`", describe(value))),
        }
    }

    /// An optional text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, ParseError> {
        self.typed(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    /// A text that must be there.
    pub(super) fn required_text(&self, name: &str) -> Result<String, ParseError> {
        self.text(name)?.ok_or_else(|| ParseError(format!("missing field `{name}`")))
    }

    /// An optional switch, off when absent.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, ParseError> {
        self.typed(name, "a boolean", Value::as_bool)
    }

    /// An optional whole number from 0.
    pub(super) fn whole(&self, name: &str) -> Result<Option<u64>, ParseError> {
        self.typed(name, "usize", Value::as_u64)
    }

    /// An optional number.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, ParseError> {
        self.typed(name, "f64", Value::as_f64)
    }

    /// An optional list of texts, empty when absent.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, ParseError> {
        let read = |value: &Value| {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        };
        Ok(self.typed(name, "a sequence of strings", read)?.unwrap_or_default())
    }

    /// An optional table of free keys with text values.
    pub(super) fn filter(&self, name: &str) -> Result<Option<Filter>, ParseError> {
        let read = |value: &Value| {
            let pairs = value.as_object()?.iter();
            pairs.map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect::<Option<Filter>>()
        };
        self.typed(name, "a map of strings", read)
    }

    /// An optional table.
    pub(super) fn table(&self, name: &str) -> Result<Option<&'v Map<String, Value>>, ParseError> {
        self.typed(name, "a table", Value::as_object)
    }

    /// A text out of a closed list.
    pub(super) fn one_of(&self, name: &str, allowed: &[&str]) -> Result<Option<String>, ParseError> {
        match self.text(name)? {
            Some(given) if !allowed.contains(&given.as_str()) => {
                let expected: Vec<_> = allowed.iter().map(|word| format!("`{word}`")).collect();
                bad(format!("unknown variant `{given}`, expected one of {}", expected.join(", ")))
            }
            given => Ok(given),
        }
    }
}

/// What a value is, as serde words it.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => format!("boolean `{flag}`"),
        Value::Number(number) => format!("number `{number}`"),
        Value::String(text) => format!("string \"{}\"", text.chars().take(60).collect::<String>()),
        Value::Array(_) => "sequence".to_owned(),
        Value::Object(_) => "map".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    const KEYS: [Key; 3] =
        [key("url"), key("disk-list").spelled(Spelling::Snake), key("cert-fingerprint").spelled(Spelling::Kebab)];

    fn opens(table: &Value, release: Release) -> Result<(), String> {
        let table = table.as_object().expect("a table");
        Fields::open(table, &KEYS, release).map(|_| ()).map_err(|error| error.to_string())
    }

    #[rstest]
    #[case(Release::V8_3, "disk_list", true)]
    #[case(Release::V8_3, "disk-list", false)]
    #[case(Release::V8_4, "disk-list", true)]
    #[case(Release::V9_2, "disk_list", true)]
    #[case(Release::V8_3, "cert-fingerprint", true)]
    #[case(Release::V8_3, "cert_fingerprint", false)]
    #[case(Release::V8_4, "cert_fingerprint", true)]
    #[case(Release::V9_2, "bogus", false)]
    fn spelling_depends_on_the_release(#[case] release: Release, #[case] spelling: &str, #[case] accepted: bool) {
        assert_eq!(opens(&json!({ spelling: "x" }), release).is_ok(), accepted);
    }

    #[test]
    fn both_spellings_at_once_are_a_duplicate() {
        let table = json!({"disk-list": [], "disk_list": []});
        assert_eq!(opens(&table, Release::V9_2), Err("duplicate field `disk-list`".to_owned()));
    }

    #[test]
    fn values_are_typed_strictly() {
        let table = json!({"url": 5, "disk-list": ["a", 1]});
        let fields = Fields::open(table.as_object().expect("a table"), &KEYS, Release::V9_2).expect("known keys");
        assert!(fields.text("url").is_err());
        assert!(fields.texts("disk-list").is_err());
        assert_eq!(fields.text("cert-fingerprint"), Ok(None));
    }
}
