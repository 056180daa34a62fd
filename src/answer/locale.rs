//! The countries and time zones an installer's medium knows (PROTOCOL.md §b.2).
//!
//! The medium's table is made from ISO 3166 and tzdata's `zone.tab`, and so is ours: a zone that only tzdata's
//! `backward` file has (`US/Eastern`, `Etc/UTC`) is not in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// One line for each country: its code, then its zones.
const TABLE: &str = include_str!("zones.tab");

/// Zones by country.
static COUNTRIES: LazyLock<BTreeMap<&str, Vec<&str>>> = LazyLock::new(|| {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(' ').or(Some((line, ""))))
        .map(|(code, zones)| (code, zones.split(' ').filter(|zone| !zone.is_empty()).collect()))
        .collect()
});

/// All zones.
static ZONES: LazyLock<BTreeSet<&str>> = LazyLock::new(|| COUNTRIES.values().flatten().copied().collect());

/// Whether `global.country` may be `code`: two lower-case letters of ISO 3166.
pub(super) fn has_country(code: &str) -> bool {
    COUNTRIES.contains_key(code)
}

/// Whether `global.timezone` may be `zone`: in `zone.tab`, or exactly `UTC`.
pub(super) fn has_zone(zone: &str) -> bool {
    zone == "UTC" || ZONES.contains(zone)
}

/// A zone that may have been meant: the most alike, else one of the country's.
pub(super) fn zone_like(given: &str, country: Option<&str>) -> Option<&'static str> {
    let folded = given.to_ascii_lowercase();
    let alike = |zone: &'static str| (strsim::jaro_winkler(&folded, &zone.to_ascii_lowercase()), zone);
    let best = ZONES.iter().map(|zone| alike(zone)).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score >= 0.93).map(|(_, zone)| zone).or_else(|| COUNTRIES.get(country?)?.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_those_of_iso_and_tzdata() {
        assert_eq!((COUNTRIES.len(), ZONES.len()), (249, 418));
        assert!(COUNTRIES.keys().all(|code| code.len() == 2 && code.bytes().all(|b| b.is_ascii_lowercase())));
        assert!(has_country("at") && has_country("hm"));
        assert!(!has_country("AT") && !has_country("") && !has_country("uk") && !has_country("#"));
        assert!(has_zone("UTC") && has_zone("Europe/Vienna") && has_zone("America/Argentina/Ushuaia"));
        assert!(!has_zone("Etc/UTC") && !has_zone("US/Eastern") && !has_zone("utc") && !has_zone("Europe/Gotham"));
    }

    #[test]
    fn a_zone_is_offered() {
        assert_eq!(zone_like("europe/viena", None), Some("Europe/Vienna"));
        assert_eq!(zone_like("CET", Some("at")), Some("Europe/Vienna"));
        assert_eq!(zone_like("CET", Some("hm")), None);
    }
}
