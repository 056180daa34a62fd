//! The tables of countries and time zones against which the installer checks an answer.
//!
//! Owns the built-in tables (ISO 3166 alpha-2 codes; the zones of tzdata's public-domain `zone.tab`). It must not know
//! anything about answers.

use std::collections::BTreeSet;

/// ISO 3166 alpha-2 codes in lower case, as the medium's locale table has them.
const COUNTRIES: &str = "\
ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn bo bq br bs bt bv bw by bz ca cc \
cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg eh er es et fi fj fk fm fo fr ga gb gd \
ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh \
ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mf mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw \
mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc \
sd se sg sh si sj sk sl sm sn so sr ss st sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug um us uy \
uz va vc ve vg vi vn vu wf ws ye yt za zm zw";

/// Time zones of tzdata's `zone.tab`, one a line.
const ZONES: &str = include_str!("zones.txt");

/// Keyboard layouts of `global.keyboard`, a closed list since 8.2.4 (PROTOCOL.md §b.2).
pub(crate) const KEYBOARDS: [&str; 25] = [
    "de", "de-ch", "dk", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it", "jp", "lt",
    "mk", "nl", "no", "pl", "pt", "pt-br", "se", "si", "tr",
];

/// The countries and time zones a medium knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locale {
    countries: BTreeSet<String>,
    zones: BTreeSet<String>,
}

impl Locale {
    /// A table of its own, for a medium that differs from the built-in one.
    pub fn new<S: Into<String>>(countries: impl IntoIterator<Item = S>, zones: impl IntoIterator<Item = S>) -> Self {
        Self {
            countries: countries.into_iter().map(Into::into).collect(),
            zones: zones.into_iter().map(Into::into).collect(),
        }
    }

    /// Whether `global.country` may hold `code`: lower case, in the table.
    #[must_use]
    pub fn has_country(&self, code: &str) -> bool {
        self.countries.contains(code)
    }

    /// Whether `global.timezone` may hold `zone`: in the table, or exactly `UTC`.
    #[must_use]
    pub fn has_zone(&self, zone: &str) -> bool {
        zone == "UTC" || self.zones.contains(zone)
    }
}

impl Default for Locale {
    /// The built-in tables.
    fn default() -> Self {
        Self::new(COUNTRIES.split_ascii_whitespace(), ZONES.split_ascii_whitespace())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_aliases_are_not_known() {
        let locale = Locale::default();
        assert!(locale.has_country("at") && locale.has_country("us"));
        for bad in ["AT", "", "xx", "CODE K7F3 - approve in console"] {
            assert!(!locale.has_country(bad), "{bad}");
        }
        assert!(locale.has_zone("UTC") && locale.has_zone("Europe/Vienna"));
        for bad in ["Etc/UTC", "utc", "", "Europe/Gotham"] {
            assert!(!locale.has_zone(bad), "{bad}");
        }
    }
}
