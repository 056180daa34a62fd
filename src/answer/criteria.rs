//! Which machines a profile is for: JSON pointers with globs, compiled once and tried on every machine.

use std::borrow::Cow;
use std::collections::BTreeMap;

use glob::Pattern;

use crate::domain::pointer::{LinkPart, Single};
use crate::domain::{Pointer, SystemInfo};

/// What a machine shows, laid out for matching.
#[derive(Debug)]
pub struct Sight<'a> {
    singles: [Option<Cow<'a, str>>; Single::ALL.len()],
    links: Vec<(&'a str, String)>,
}

impl<'a> Sight<'a> {
    /// What `info` says.
    #[must_use]
    pub fn of(info: &'a SystemInfo) -> Self {
        Self {
            singles: Single::ALL.map(|(single, _)| single.of(info)),
            links: info.links.iter().map(|link| (link.name.as_str(), link.mac.to_string())).collect(),
        }
    }

    /// Whether a value that `pointer` leads to is one that `accepts` takes.
    fn any(&self, pointer: Pointer, accepts: impl Fn(&str) -> bool) -> bool {
        let part = |part: LinkPart, (name, mac): &(&str, String)| match part {
            LinkPart::Name => accepts(name),
            LinkPart::Mac => accepts(mac),
        };
        match pointer {
            Pointer::One(single) => self.singles[single as usize].as_deref().is_some_and(accepts),
            Pointer::Link(None, which) => self.links.iter().any(|link| part(which, link)),
            Pointer::Link(Some(number), which) => {
                self.links.get(usize::from(number)).is_some_and(|link| part(which, link))
            }
        }
    }
}

/// A glob; most are texts without special characters, or begin with some.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Glob {
    Exact(String),
    Pattern { begins: String, pattern: Pattern },
}

impl Glob {
    fn new(text: &str) -> Result<Self, &'static str> {
        let pattern = Pattern::new(text).map_err(|error| error.msg)?;
        Ok(match text.find(['*', '?', '[']) {
            None => Self::Exact(text.to_owned()),
            Some(special) => Self::Pattern { begins: text[..special].to_owned(), pattern },
        })
    }

    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(text) => text == value,
            Self::Pattern { begins, pattern } => value.starts_with(begins.as_str()) && pattern.matches(value),
        }
    }

    /// Characters that must be there.
    fn literal(&self) -> usize {
        match self {
            Self::Exact(text) => text.chars().count(),
            Self::Pattern { pattern, .. } => literal(pattern.as_str()),
        }
    }
}

/// Characters that a well-formed pattern wants as they are. A class says of none which it is, but `[[]` and its like,
/// which stand for one that is special.
fn literal(pattern: &str) -> usize {
    let mut count = 0;
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            '*' | '?' => {}
            '[' => {
                // A `]` that comes first, also behind `!`, belongs to the class.
                let skip = usize::from(rest.starts_with('!'));
                let body = rest[skip..].chars().next().map_or(0, char::len_utf8);
                let end = rest[skip + body..].find(']').map_or(rest.len(), |at| skip + body + at);
                let class = &rest[..end];
                count += usize::from(class.chars().count() == 1);
                rest = rest.get(end + 1..).unwrap_or_default();
            }
            _ => count += 1,
        }
    }
    count
}

/// Pointers and globs, all of which must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Rule(BTreeMap<Pointer, Glob>);

impl Rule {
    /// Adds a criterion; one pointer stands in a TOML table once.
    ///
    /// # Errors
    /// Why the glob is malformed.
    pub(super) fn add(&mut self, pointer: Pointer, glob: &str) -> Result<(), &'static str> {
        let folded = if pointer.is_lower_case() { Cow::Owned(glob.to_ascii_lowercase()) } else { Cow::Borrowed(glob) };
        self.0.insert(pointer, Glob::new(&folded)?);
        Ok(())
    }

    /// Whether it fits nobody by itself.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it fits this machine. An empty one fits none.
    pub(super) fn fits(&self, machine: &Sight<'_>) -> bool {
        !self.0.is_empty() && self.0.iter().all(|(pointer, glob)| machine.any(*pointer, |value| glob.matches(value)))
    }

    /// How much it asks for: criteria, then characters that must be there.
    pub(super) fn specificity(&self) -> (usize, usize) {
        (self.0.len(), self.0.values().map(Glob::literal).sum())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::literal;

    #[rstest]
    #[case("R6*", 2)]
    #[case("R[5-7]*", 1)]
    #[case("R[!5-7]?", 1)]
    #[case("a[[]b[]]c[*]", 6)]
    #[case("[]x]y", 1)]
    #[case("[!]]z", 1)]
    #[case("", 0)]
    fn a_class_counts_only_where_it_stands_for_one_character(#[case] pattern: &str, #[case] count: usize) {
        glob::Pattern::new(pattern).unwrap();
        assert_eq!(literal(pattern), count);
    }
}
