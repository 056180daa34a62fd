//! The installer releases a simulated machine can speak as, and how they differ on the wire.
//!
//! Owns every fact that depends on the release alone: headers, accepted replies, body shapes, time limits. It must not
//! look at an answer's text (`grammar`) or open a socket (`client`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One installer release per range that differs for a server (PROTOCOL.md §0); each stands for the package version
/// whose real programs were run: 8.2.6, 8.3.4, 8.4.6, 9.1.7 and 9.2.7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Release {
    /// Installer 8.2.6: no schema object, no webhook.
    V8_2,
    /// Installer 8.3.4: `snake_case` keys only, webhook schema 1.0.
    V8_3,
    /// Installer 8.4.6: either key style, webhook schema 1.1.
    V8_4,
    /// Installer 9.1.7: interface name pinning, webhook schema 1.2.
    V9_1,
    /// Installer 9.2.7: JSON answers, upper-case MACs, webhook token.
    #[default]
    V9_2,
}

/// What the installer does after the auto-installer stopped (PROTOCOL.md §d.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterStop {
    /// It reboots and asks again.
    Reboot,
    /// It powers off: `reboot-mode = "power-off"` is honoured after a failure as well (PROTOCOL.md §d.3).
    PowerOff,
    /// It sits in a debug shell until somebody walks to its console.
    DebugShell,
}

impl Release {
    /// Every release, oldest first.
    pub const ALL: [Self; 5] = [Self::V8_2, Self::V8_3, Self::V8_4, Self::V9_1, Self::V9_2];

    /// The product release its medium carries, as sent in `iso.release`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::V8_2 => "8.2",
            Self::V8_3 => "8.3",
            Self::V8_4 => "8.4",
            Self::V9_1 => "9.1",
            Self::V9_2 => "9.2",
        }
    }

    /// `User-Agent` of its HTTP library (PROTOCOL.md §a.2).
    #[must_use]
    pub fn user_agent(self) -> &'static str {
        match self {
            Self::V8_2 => "ureq/2.6.2",
            Self::V8_3 | Self::V8_4 => "ureq/2.9.1",
            Self::V9_1 | Self::V9_2 => "ureq/3.0.12",
        }
    }

    /// `Accept` of the answer request; a report always has `*/*` (PROTOCOL.md §a.2, §c).
    #[must_use]
    pub fn accept(self) -> &'static str {
        if self >= Self::V9_2 { "application/json, application/toml;q=0.5" } else { "*/*" }
    }

    /// `Content-Type` of its requests; releases up to 8.2.6 cut the charset off (PROTOCOL.md §a.2).
    #[must_use]
    pub fn content_type(self) -> &'static str {
        if self == Self::V8_2 { "application/json; charset=utf-" } else { "application/json; charset=utf-8" }
    }

    /// Whether header names are sent in title case (ureq 2) instead of lower case (ureq 3).
    #[must_use]
    pub fn title_case_headers(self) -> bool {
        self < Self::V9_1
    }

    /// Whether MAC addresses are upper-case in the answer request; a report always has them lower-case.
    #[must_use]
    pub fn upper_case_macs(self) -> bool {
        self >= Self::V9_2
    }

    /// `$schema.version` of the answer request, where there is one.
    #[must_use]
    pub fn request_schema(self) -> Option<&'static str> {
        (self > Self::V8_2).then_some("1.0")
    }

    /// `$schema.version` of the report; `None` where there is no webhook (PROTOCOL.md §c.2).
    #[must_use]
    pub fn report_schema(self) -> Option<&'static str> {
        match self {
            Self::V8_2 => None,
            Self::V8_3 => Some("1.0"),
            Self::V8_4 => Some("1.1"),
            Self::V9_1 | Self::V9_2 => Some("1.2"),
        }
    }

    /// How long the installer waits for one exchange, connecting included; `None` is for ever (PROTOCOL.md §a.4).
    #[must_use]
    pub fn time_limit(self, pinned: bool) -> Option<Duration> {
        (self > Self::V8_2 || !pinned).then_some(Duration::from_mins(1))
    }

    /// Whether a reply with this status counts as success (PROTOCOL.md §a.6).
    #[must_use]
    pub fn accepts_status(self, status: u16) -> bool {
        match self {
            Self::V8_2 | Self::V8_3 | Self::V8_4 => status < 400,
            Self::V9_1 => status < 400 && !matches!(status, 307 | 308),
            Self::V9_2 => matches!(status, 200 | 201),
        }
    }

    /// Whether a reply of this content type is read as JSON (PROTOCOL.md §a.6).
    #[must_use]
    pub fn reads_json(self, content_type: Option<&str>) -> bool {
        self >= Self::V9_2 && content_type.is_some_and(|value| value.starts_with("application/json"))
    }

    /// Whether `https://[v6 literal]` with a fingerprint fails before connecting (PROTOCOL.md §a.3).
    #[must_use]
    pub fn refuses_v6_literal_with_pin(self) -> bool {
        matches!(self, Self::V8_2 | Self::V9_2)
    }

    /// The line on the console when the fetch got this reply (PROTOCOL.md §a.7): only 9.2 shows the body.
    #[must_use]
    pub fn status_words(self, status: u16, reason: &str, body: &str) -> String {
        match self {
            Self::V8_2 | Self::V8_3 | Self::V8_4 => format!("status code {status}"),
            Self::V9_1 => format!("http status: {status}"),
            Self::V9_2 => format!("http error: {status} {reason}: {body}"),
        }
    }

    /// What follows a failure before the reboot-on-error flag was written: parsing, first-boot download.
    /// 8.2.7 to 8.3.9 reboot after any failure (bug 5984, PROTOCOL.md §d.2).
    #[must_use]
    pub fn after_parse_failure(self) -> AfterStop {
        if self == Self::V8_3 { AfterStop::Reboot } else { AfterStop::DebugShell }
    }

    /// What follows a failed check or a failed installation.
    #[must_use]
    pub fn after_check_failure(self, reboot_on_error: bool, power_off: bool) -> AfterStop {
        match self {
            Self::V8_3 => AfterStop::Reboot,
            _ if !reboot_on_error => AfterStop::DebugShell,
            _ if power_off => AfterStop::PowerOff,
            _ => AfterStop::Reboot,
        }
    }

    /// What follows a report that was not accepted (PROTOCOL.md §c.1); the 30 s pause before a reboot is not counted.
    #[must_use]
    pub fn after_report_failure(self, reboot_on_error: bool, power_off: bool) -> AfterStop {
        self.after_check_failure(reboot_on_error, power_off)
    }

    /// Versions an installed system of this release reports: Debian, product package, kernel.
    #[must_use]
    pub(crate) fn installed_versions(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::V8_2 => ("12.5", "8.2.2", "6.8.4-2-pve"),
            Self::V8_3 => ("12.8", "8.3.0", "6.8.12-4-pve"),
            Self::V8_4 => ("12.10", "8.4.0", "6.8.12-9-pve"),
            Self::V9_1 => ("13.2", "9.1.1", "6.17.2-1-pve"),
            Self::V9_2 => ("13.5", "9.2.2", "7.0.2-5-pve"),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

/// A text that names no release the simulator knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an installer release; use 8.2, 8.3, 8.4, 9.1 or 9.2")]
pub struct ReleaseError(String);

impl FromStr for Release {
    type Err = ReleaseError;

    /// Reads `9.2` or `9.2.7`; 9.0 speaks as 9.1 does.
    fn from_str(s: &str) -> Result<Self, ReleaseError> {
        let error = || ReleaseError(s.chars().take(20).collect());
        let mut parts = s.split('.');
        let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if parts.any(|part| part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit())) {
            return Err(error());
        }
        match (major, minor) {
            ("8", "2") => Ok(Self::V8_2),
            ("8", "3") => Ok(Self::V8_3),
            ("8", "4") => Ok(Self::V8_4),
            ("9", "0" | "1") => Ok(Self::V9_1),
            ("9", "2") => Ok(Self::V9_2),
            _ => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("8.2", Release::V8_2)]
    #[case("8.2.6", Release::V8_2)]
    #[case("8.3.4", Release::V8_3)]
    #[case("9.0", Release::V9_1)]
    #[case("9.2", Release::V9_2)]
    fn releases_are_read_with_or_without_patch(#[case] text: &str, #[case] release: Release) {
        assert_eq!(text.parse(), Ok(release));
    }

    #[rstest]
    #[case("")]
    #[case("9")]
    #[case("7.4")]
    #[case("9.2.x")]
    #[case("9.2.")]
    fn other_texts_are_refused(#[case] text: &str) {
        assert!(text.parse::<Release>().is_err());
    }

    #[test]
    fn only_9_2_insists_on_200_or_201() {
        for release in Release::ALL {
            assert!(release.accepts_status(200) && release.accepts_status(201));
            assert!(!release.accepts_status(404));
            assert_eq!(release.accepts_status(204), release < Release::V9_2);
            assert_eq!(release.accepts_status(307), release < Release::V9_1);
        }
    }

    #[test]
    fn a_parse_failure_strands_all_but_8_3() {
        for release in Release::ALL {
            let reboots = release.after_parse_failure() == AfterStop::Reboot;
            assert_eq!(reboots, release == Release::V8_3);
            assert_eq!(release.after_check_failure(true, false), AfterStop::Reboot);
        }
        assert_eq!(Release::V9_2.after_check_failure(true, true), AfterStop::PowerOff);
    }
}
