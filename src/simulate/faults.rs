//! What can go wrong with a simulated machine, and which machines it happens to.
//!
//! Pure: whether a fault hits a machine depends on the seed and the machine's number alone.

use std::fmt;
use std::str::FromStr;

use rand::RngExt as _;

use super::machine::generator;

/// A thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Loses power while its first answer request is held; asks again after a reboot.
    HangUp,
    /// Never sends its report.
    NoReport,
    /// Reports without the secret: path and query of the report URL are cut off.
    LostSecret,
    /// Reports with a wrong secret of the same length.
    ForgedSecret,
    /// Drips its request body out slowly.
    SlowBody,
    /// Has the UUID of machine 1.
    DuplicateUuid,
    /// Has firmware without DMI strings.
    NoDmi,
    /// Presents other SSH host keys than it reported.
    WrongHostKey,
    /// Crashes once in the middle of the installation and asks again.
    Crash,
    /// Sends a request of more than 12 MiB.
    BigBody,
    /// Sends a request that is not JSON.
    GarbageBody,
    /// Has DMI strings made to hurt terminals, templates and file names.
    HostileText,
}

impl Fault {
    /// Every fault with the word that selects it.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::HangUp, "hang-up"),
        (Self::NoReport, "no-report"),
        (Self::LostSecret, "lost-secret"),
        (Self::ForgedSecret, "forged-secret"),
        (Self::SlowBody, "slow-body"),
        (Self::DuplicateUuid, "duplicate-uuid"),
        (Self::NoDmi, "no-dmi"),
        (Self::WrongHostKey, "wrong-host-key"),
        (Self::Crash, "crash"),
        (Self::BigBody, "big-body"),
        (Self::GarbageBody, "garbage-body"),
        (Self::HostileText, "hostile-text"),
    ];
}

/// Machines a fault happens to.
#[derive(Clone, Debug, PartialEq)]
pub enum Victims {
    /// Every machine.
    All,
    /// Each machine with this probability, 0 to 1.
    Chance(f64),
    /// Machines by number, as ranges with both ends.
    Numbers(Vec<(usize, usize)>),
}

/// A fault and its machines, written `crash`, `crash=20%` or `crash=1,4-6`.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultRule {
    /// What goes wrong.
    pub fault: Fault,
    /// Where.
    pub victims: Victims,
}

/// A text that is no fault rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No such fault.
    #[error("`{0}` is not a fault; there are {1}")]
    Unknown(String, String),
    /// The part behind `=` says nothing.
    #[error("`{0}` selects no machines; write `20%` or numbers such as `1,4-6`")]
    Victims(String),
}

impl FromStr for FaultRule {
    type Err = FaultError;

    fn from_str(s: &str) -> Result<Self, FaultError> {
        let (word, victims) = s.split_once('=').map_or((s, None), |(word, victims)| (word, Some(victims)));
        let Some((fault, _)) = Fault::ALL.into_iter().find(|(_, name)| *name == word) else {
            let names: Vec<_> = Fault::ALL.iter().map(|(_, name)| *name).collect();
            return Err(FaultError::Unknown(word.chars().take(40).collect(), names.join(", ")));
        };
        let victims = match victims {
            None => Victims::All,
            Some(text) => parse_victims(text).ok_or_else(|| FaultError::Victims(text.chars().take(40).collect()))?,
        };
        Ok(Self { fault, victims })
    }
}

fn parse_victims(text: &str) -> Option<Victims> {
    if let Some(percent) = text.strip_suffix('%') {
        let percent: f64 = percent.parse().ok()?;
        return (0.0..=100.0).contains(&percent).then_some(Victims::Chance(percent / 100.0));
    }
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first >= 1 && first <= last).then_some((first, last))
    };
    text.split(',').map(range).collect::<Option<_>>().map(Victims::Numbers)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::ALL.iter().find(|(fault, _)| fault == self).map_or("", |(_, word)| *word);
        f.pad(word)
    }
}

/// Faults that hit one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Afflictions(Vec<Fault>);

impl Afflictions {
    /// Draws the faults of machine `number`.
    pub(super) fn draw(rules: &[FaultRule], seed: u64, number: usize) -> Self {
        let hits = |(index, rule): (u64, &FaultRule)| match &rule.victims {
            Victims::All => true,
            Victims::Chance(chance) => generator(seed, number, 0x4641 + index).random_bool(chance.clamp(0.0, 1.0)),
            Victims::Numbers(ranges) => ranges.iter().any(|(first, last)| (*first..=*last).contains(&number)),
        };
        Self((0..).zip(rules).filter(|rule| hits(*rule)).map(|(_, rule)| rule.fault).collect())
    }

    /// Whether the machine has this fault.
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("crash", Victims::All)]
    #[case("crash=20%", Victims::Chance(0.2))]
    #[case("crash=3", Victims::Numbers(vec![(3, 3)]))]
    #[case("crash=1,4-6", Victims::Numbers(vec![(1, 1), (4, 6)]))]
    fn rules_are_read(#[case] text: &str, #[case] victims: Victims) {
        assert_eq!(text.parse(), Ok(FaultRule { fault: Fault::Crash, victims }));
    }

    #[rstest]
    #[case("nonsense")]
    #[case("crash=")]
    #[case("crash=0")]
    #[case("crash=5-2")]
    #[case("crash=120%")]
    #[case("crash=x%")]
    fn other_texts_are_refused(#[case] text: &str) {
        assert!(text.parse::<FaultRule>().is_err());
    }

    #[test]
    fn numbers_are_exact_and_chances_are_stable() {
        let rules = ["no-report=2-3".parse().unwrap(), "crash=50%".parse().unwrap()];
        let hit: Vec<_> = (1..=4).filter(|n| Afflictions::draw(&rules, 1, *n).has(Fault::NoReport)).collect();
        assert_eq!(hit, [2, 3]);
        let crashed = |seed| (1..=200).filter(|n| Afflictions::draw(&rules, seed, *n).has(Fault::Crash)).count();
        assert_eq!(crashed(1), crashed(1));
        assert!((60..140).contains(&crashed(1)), "{}", crashed(1));
    }
}
