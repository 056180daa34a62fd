//! Versions of the installer package, which decide what an answer may say (PROTOCOL.md §0).

use std::fmt;
use std::str::FromStr;

use crate::domain::Generation;

/// A version of the installer package, such as 8.3.4. Ordered by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Installer {
    major: u8,
    minor: u8,
    patch: u8,
}

/// The first and the last version of every release series there is.
const SERIES: [(Installer, Installer); 6] = [
    (Installer::new(8, 2, 2), Installer::new(8, 2, 8)),
    (Installer::new(8, 3, 0), Installer::new(8, 3, 9)),
    (Installer::new(8, 4, 0), Installer::new(8, 4, 6)),
    (Installer::new(9, 0, 0), Installer::new(9, 0, 9)),
    (Installer::new(9, 1, 0), Installer::new(9, 1, 7)),
    (Installer::new(9, 2, 0), Installer::new(9, 2, 7)),
];

impl Installer {
    /// One version for each release that differs for an answer: the one its media carry, or the last.
    pub const RELEASES: [Self; 5] =
        [Self::new(8, 2, 6), Self::new(8, 3, 4), Self::new(8, 4, 6), Self::new(9, 1, 7), Self::NEWEST];
    /// The newest version there is.
    pub const NEWEST: Self = Self::new(9, 2, 7);

    /// From here on a password may be given as its hash, there is a webhook, and the mail address is checked.
    pub(super) const V8_2_7: Self = Self::new(8, 2, 7);
    /// From here on RAID levels may be written in either case.
    pub(super) const V8_3_3: Self = Self::new(8, 3, 3);
    /// From here on keys may be written with hyphens or underscores, and passwords have eight bytes.
    pub(super) const V8_4: Self = Self::new(8, 4, 0);
    /// From here on `fqdn` may be a table.
    pub(super) const V8_4_3: Self = Self::new(8, 4, 3);
    /// From here on disks are counted, duplicates and swap checked, and an empty filter or domain is none. This version
    /// alone also refuses the address of a network or its broadcast address.
    pub(super) const V9_0_5: Self = Self::new(9, 0, 5);
    /// From here on interfaces may be given names.
    pub(super) const V9_1: Self = Self::new(9, 1, 0);
    /// This version alone takes pinned names in lower case only.
    pub(super) const V9_1_2: Self = Self::new(9, 1, 2);
    /// From here on pinned MAC addresses may be written in upper case.
    pub(super) const V9_1_7: Self = Self::new(9, 1, 7);
    /// From here on `network.source` must be given.
    pub(super) const V9_2: Self = Self::new(9, 2, 0);
    /// From here on a ZFS RAID10 list must be even.
    pub(super) const V9_2_6: Self = Self::new(9, 2, 6);

    /// Version `major.minor.patch`.
    pub(super) const fn new(major: u8, minor: u8, patch: u8) -> Self {
        Self { major, minor, patch }
    }

    /// The release series, `8.3`.
    #[must_use]
    pub fn release(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// Which generation a machine with this installer shows itself as in its request (PROTOCOL.md §0).
    #[must_use]
    pub fn generation(self) -> Generation {
        match self {
            _ if self >= Self::V9_2 => Generation::V9_2,
            _ if self.major >= 9 => Generation::V9_0,
            _ if self > Self::V8_2_7 => Generation::V8_3,
            _ if self == Self::V8_2_7 => Generation::V8_2_7,
            _ => Generation::V8_2,
        }
    }

    /// The oldest and the newest version of a generation. Every rule that changes inside a generation is strictest at
    /// one of the two: keys come, and values are checked more closely. What one version between them alone refuses (9.0.5
    /// the address of a network, 9.1.2 capitals in pinned names) is not rendered for a machine that does not state it.
    /// 8.2.8, which lived for one day and never shipped on a medium, is not counted.
    #[must_use]
    pub fn ends(generation: Generation) -> [Self; 2] {
        match generation {
            Generation::V8_2 => [Self::new(8, 2, 2), Self::new(8, 2, 6)],
            Generation::V8_2_7 => [Self::V8_2_7, Self::V8_2_7],
            Generation::V8_3 => [Self::new(8, 3, 0), Self::new(8, 4, 6)],
            Generation::V9_0 => [Self::new(9, 0, 0), Self::V9_1_7],
            Generation::V9_2 => [Self::V9_2, Self::NEWEST],
        }
    }

    /// Every version there is, oldest first.
    #[cfg(test)]
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let patches = |(first, last): (Self, Self)| {
            (first.patch..=last.patch).map(move |patch| Self::new(first.major, first.minor, patch))
        };
        SERIES.into_iter().flat_map(patches)
    }

    /// The oldest version of a generation, as which all of it is served.
    pub(super) fn oldest(generation: Generation) -> Self {
        Self::ends(generation)[0]
    }
}

impl fmt::Display for Installer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A text that names no installer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no installer with automatic installation; write a release such as `8.4`, or a version such as `8.4.6`"
)]
pub struct InstallerError(String);

impl FromStr for Installer {
    type Err = InstallerError;

    /// Reads `8.4.6`, or `8.4` for the version that the release's media carry (the last one where that is not known).
    fn from_str(text: &str) -> Result<Self, InstallerError> {
        let error = || InstallerError(text.chars().filter(|c| !c.is_control()).take(20).collect());
        // `parse` would take a sign.
        let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let number = |part: &str| part.parse::<u8>().ok().filter(|_| is_number(part)).ok_or_else(error);
        let parts = text.split('.').map(number).collect::<Result<Vec<_>, _>>()?;
        let version = match *parts.as_slice() {
            [major, minor] => {
                let of_series = |version: &&Self| (version.major, version.minor) == (major, minor);
                let last = SERIES.iter().map(|(_, last)| last);
                *Self::RELEASES.iter().chain(last).find(of_series).ok_or_else(error)?
            }
            [major, minor, patch] => Self::new(major, minor, patch),
            _ => return Err(error()),
        };
        let known = SERIES.iter().any(|(first, last)| (*first..=*last).contains(&version));
        if known { Ok(version) } else { Err(error()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("8.2", Some((8, 2, 6)))]
    #[case("8.3", Some((8, 3, 4)))]
    #[case("9.0", Some((9, 0, 9)))]
    #[case("9.2", Some((9, 2, 7)))]
    #[case("8.2.7", Some((8, 2, 7)))]
    #[case("8.2.1", None)]
    #[case("9.3", None)]
    #[case("8.4.7", None)]
    #[case("8", None)]
    #[case("+8.4", None)]
    #[case("8..4", None)]
    #[case("8.4.6.1", None)]
    #[case("", None)]
    fn releases_and_versions_are_read(#[case] text: &str, #[case] version: Option<(u8, u8, u8)>) {
        let version = version.map(|(major, minor, patch)| Installer::new(major, minor, patch));
        assert_eq!(text.parse().ok(), version);
    }

    #[test]
    fn a_generation_holds_its_ends() {
        for generation in [Generation::V8_2, Generation::V8_2_7, Generation::V8_3, Generation::V9_0, Generation::V9_2] {
            assert_eq!(Installer::ends(generation).map(Installer::generation), [generation; 2]);
        }
    }
}
