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
            Self::Pattern { pattern, .. } => {
                pattern.as_str().chars().filter(|c| !matches!(c, '*' | '?' | '[' | ']')).count()
            }
        }
    }
}

/// Pointers and globs, all of which must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Rule(BTreeMap<Pointer, Glob>);

impl Rule {
    /// Adds a criterion. `false` where the pointer was there.
    ///
    /// # Errors
    /// Why the glob is malformed.
    pub(super) fn add(&mut self, pointer: Pointer, glob: &str) -> Result<bool, &'static str> {
        let folded = if pointer.is_lower_case() { Cow::Owned(glob.to_ascii_lowercase()) } else { Cow::Borrowed(glob) };
        Ok(self.0.insert(pointer, Glob::new(&folded)?).is_none())
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
