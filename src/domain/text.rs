//! Taking the teeth out of text that a machine sent, before it is stored or shown anywhere.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest text kept of one machine-supplied field, in characters.
const MAX_CHARS: usize = 256;

/// A machine's words made harmless for a terminal and a log line: no control characters, bidi overrides or zero-width
/// characters, white space folded, cut with `…` at 256 characters. Jinja, TOML and path syntax is *not* removed; that
/// is the business of the writers of those formats (ARCHITECTURE.md, "What machines say").
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// Cleans `raw`.
    #[must_use]
    pub fn new(raw: &str) -> Self {
        let mut kept = String::with_capacity(raw.len().min(MAX_CHARS));
        let mut count = 0;
        let mut gap = false;
        for c in raw.chars() {
            if c.is_whitespace() {
                gap = !kept.is_empty();
                continue;
            }
            if c.is_control() || is_invisible(c) {
                continue;
            }
            if count + 2 > MAX_CHARS {
                kept.push('…');
                break;
            }
            if std::mem::take(&mut gap) {
                kept.push(' ');
                count += 1;
            }
            kept.push(c);
            count += 1;
        }
        Self(kept)
    }

    /// The cleaned text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing was left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Format characters that change how other text is shown, or hide in it: bidi controls, zero-width characters, the
/// byte order mark, variation selectors, tags and private use.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for Text {
    fn from(raw: &str) -> Self {
        Self::new(raw)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(deserializer)?))
    }
}

/// So many of something: `1 node`, `2 nodes`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_characters_go_and_words_stay() {
        assert_eq!(Text::new(" PowerEdge\t R650\n").as_str(), "PowerEdge R650");
        assert_eq!(Text::new("\u{1b}[31mred\u{202e}x\u{200b}").as_str(), "[31mredx");
        assert_eq!(Text::new(&"a".repeat(10_000)).as_str().chars().count(), MAX_CHARS);
        assert_eq!(Text::new("{{ lookup('pipe','id') }}").as_str(), "{{ lookup('pipe','id') }}");
    }

    proptest! {
        #[test]
        fn cleaning_is_idempotent_and_single_line(raw in any::<String>()) {
            let once = Text::new(&raw);
            prop_assert_eq!(Text::new(once.as_str()), once.clone());
            prop_assert!(!once.as_str().chars().any(char::is_control));
            prop_assert!(once.as_str().chars().count() <= MAX_CHARS);
        }
    }
}
