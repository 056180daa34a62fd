//! Picking a few known members out of a hostile JSON body.
//!
//! Nothing here builds a tree of the body: unknown members are skipped in place, whatever their number and however deep
//! they are nested (`serde_json` skips without recursion), so memory stays bounded by the body itself. A member that
//! cannot be read counts as missing.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::WireError;
use crate::domain::text::Text;

/// The text of one JSON value inside the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a>(&'a str);

/// The body as text: bytes that are not UTF-8 become replacement characters, so that one broken DMI string does not cost
/// the machine its answer.
pub(super) fn decode(body: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(body)
}

/// Checks that `text` is one JSON object.
pub(super) fn object(text: &str) -> Result<Raw<'_>, WireError> {
    if text.trim_ascii().is_empty() {
        return Err(WireError::Empty);
    }
    let raw = serde_json::from_str::<&RawValue>(text).map_err(|error| not_json(&error))?.get();
    let found = match raw.as_bytes().first() {
        Some(b'{') => return Ok(Raw(raw)),
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    };
    Err(WireError::NotAnObject { found })
}

/// Names the place of a syntax error once, as fields, not also inside the reason.
fn not_json(error: &serde_json::Error) -> WireError {
    let (line, column) = (error.line(), error.column());
    let reason = error.to_string();
    let reason = reason.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&reason).to_owned();
    WireError::NotJson { reason, line, column }
}

impl<'a> Raw<'a> {
    /// The members named by `keys`, the last one where a key is repeated; all missing where this is not an object.
    pub(super) fn pick<const N: usize>(self, keys: [&str; N]) -> [Option<Raw<'a>>; N] {
        let mut found = [None; N];
        // An unreadable key (a lone surrogate) ends the walk; what was found up to there is kept.
        let _ = serde_json::Deserializer::from_str(self.0).deserialize_map(Pick { keys: &keys, found: &mut found });
        found
    }

    /// One member of an object.
    pub(super) fn get(self, key: &str) -> Option<Raw<'a>> {
        let [found] = self.pick([key]);
        found
    }

    /// The first `max` items of an array; none where this is not an array.
    pub(super) fn items(self, max: usize) -> Vec<Raw<'a>> {
        let mut items = Vec::new();
        let _ = serde_json::Deserializer::from_str(self.0).deserialize_seq(Items { max, items: &mut items });
        items
    }

    /// The string in full.
    pub(super) fn string(self) -> Option<String> {
        serde_json::from_str(self.0).ok()
    }

    /// The string, cleaned; `None` where nothing is left of it.
    pub(super) fn text(self) -> Option<Text> {
        self.string().map(|raw| Text::new(&raw)).filter(|text| !text.is_empty())
    }

    /// The string parsed into a type of its own.
    pub(super) fn parsed<T: std::str::FromStr>(self) -> Option<T> {
        self.string()?.parse().ok()
    }

    /// The boolean.
    pub(super) fn flag(self) -> Option<bool> {
        serde_json::from_str(self.0).ok()
    }

    /// The number, where it is whole, not negative and fits.
    pub(super) fn number<T: TryFrom<u64>>(self) -> Option<T> {
        serde_json::from_str::<u64>(self.0).ok().and_then(|number| T::try_from(number).ok())
    }

    /// The same object as JSON text without the members called `key`; the other values are kept byte for byte, up to a
    /// key that cannot be read (a lone surrogate), behind which nothing can be told from a secret.
    pub(super) fn without(self, key: &str) -> Vec<u8> {
        let mut kept = Vec::with_capacity(self.0.len());
        kept.push(b'{');
        let _ = serde_json::Deserializer::from_str(self.0).deserialize_map(Without { key, kept: &mut kept });
        kept.push(b'}');
        kept
    }
}

/// Text of one member, for chains over optional members.
pub(super) fn text(raw: Option<Raw<'_>>) -> Option<Text> {
    raw.and_then(Raw::text)
}

struct Pick<'k, 'f, 'a> {
    keys: &'k [&'k str],
    found: &'f mut [Option<Raw<'a>>],
}

impl<'de> Visitor<'de> for Pick<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(wanted) = map.next_key_seed(KeyAmong(self.keys))? {
            match wanted.and_then(|index| self.found.get_mut(index)) {
                Some(slot) => *slot = Some(Raw(map.next_value::<&RawValue>()?.get())),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Reads a key as its place among the wanted ones, without keeping its text.
struct KeyAmong<'k>(&'k [&'k str]);

impl<'de> DeserializeSeed<'de> for KeyAmong<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyAmong<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|wanted| *wanted == key))
    }
}

struct Items<'v, 'a> {
    max: usize,
    items: &'v mut Vec<Raw<'a>>,
}

impl<'de> Visitor<'de> for Items<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while self.items.len() < self.max {
            let Some(item) = seq.next_element::<&RawValue>()? else { return Ok(()) };
            self.items.push(Raw(item.get()));
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

struct Without<'k, 'v> {
    key: &'k str,
    kept: &'v mut Vec<u8>,
}

impl<'de> Visitor<'de> for Without<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let value = map.next_value::<&RawValue>()?;
            if key == self.key {
                continue;
            }
            if self.kept.len() > 1 {
                self.kept.push(b',');
            }
            serde_json::to_writer(&mut *self.kept, &key).map_err(A::Error::custom)?;
            self.kept.push(b':');
            self.kept.extend_from_slice(value.get().as_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_repeated_key_counts_and_strangers_are_skipped() {
        let body = object(r#" {"a":1,"x":{"b":[[[]]]},"a":2,"b":"t"} "#).unwrap();
        let [a, b, c] = body.pick(["a", "b", "c"]);
        assert_eq!(a.and_then(Raw::number::<u8>), Some(2));
        assert_eq!(b.and_then(Raw::string).as_deref(), Some("t"));
        assert!(c.is_none());
    }

    #[test]
    fn items_are_capped() {
        assert_eq!(Raw("[1,2,3,4]").items(3).len(), 3);
        assert!(Raw("{}").items(3).is_empty());
        assert!(Raw("7").pick(["a"])[0].is_none());
    }

    #[test]
    fn a_member_is_removed_however_it_is_spelt() {
        let body = object(r#"{"token":1,"a" : [ 1.50 ],"\u0074oken":2,"b":"é"}"#).unwrap();
        assert_eq!(String::from_utf8(body.without("token")).unwrap(), r#"{"a":[ 1.50 ],"b":"é"}"#);
        assert_eq!(object(r#"{"token":1}"#).unwrap().without("token"), b"{}");
    }
}
