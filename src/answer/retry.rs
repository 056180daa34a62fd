//! The retry answer: it makes any installer from 8.2.2 to 9.2 say one line on the machine's own screen, stop before it
//! touches a disk, reboot and ask again (PROTOCOL.md §d, observed with real installers).

use super::schema::Setting as S;
use super::settings::{Settings, Value};

/// Longest text on the machine's screen, in characters: a line and a half of 80 columns with the installer's own words.
const MAX_LINE: usize = 120;

/// Shown where the caller has nothing printable to say.
const FALLBACK: &str = "waiting for approval in the console";

/// Matches no disk: the second lock, behind the country that no installer knows.
const NO_DISK: &str = "installation-not-approved-yet";

/// The retry answer with `screen_line` where the installer prints it back: `country code '…' is not valid`.
///
/// Both locks stay whatever the line holds: the country is never a code of two letters, and the disk filter matches
/// nothing. The line is reduced to printable ASCII without quotes and backslashes and to 120 characters. The answer
/// holds no secret.
#[must_use]
pub fn retry_answer(screen_line: &str) -> String {
    let mut settings = Settings::default();
    settings.set_text(S::Country, printable(screen_line));
    settings.set_text(S::Keyboard, "en-us");
    settings.set_text(S::Fqdn, "retry.installer.invalid");
    settings.set_text(S::Mailto, "root@retry.installer.invalid");
    settings.set_text(S::Timezone, "UTC");
    settings.set_text(S::RootPassword, "not-approved-yet");
    settings.set(S::RebootOnError, Value::Flag(true));
    settings.set_text(S::Source, "from-dhcp");
    settings.set_text(S::Filesystem, "ext4");
    settings.set(S::DiskFilter, Value::Table([("ID_SERIAL".to_owned(), NO_DISK.to_owned())].into()));
    settings.to_toml()
}

/// What the installer's screen can show of `line`; always longer than a country code.
fn printable(line: &str) -> String {
    let mut kept = String::with_capacity(line.len().min(MAX_LINE));
    for word in line.split(|c: char| c.is_whitespace() || c.is_control()) {
        let mut gap = !kept.is_empty();
        for c in word.chars().filter(|c| !matches!(c, '"' | '\'' | '`' | '\\')) {
            let space = usize::from(gap);
            if kept.len() + space >= MAX_LINE {
                return kept;
            }
            if std::mem::take(&mut gap) {
                kept.push(' ');
            }
            kept.push(if c.is_ascii_graphic() { c } else { '?' });
        }
    }
    match kept.len() {
        0 => FALLBACK.to_owned(),
        1..=2 => format!("{kept} - {FALLBACK}"),
        _ => kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    /// The text run through real installers of five releases (PROTOCOL.md §d.5), byte for byte.
    const VERIFIED: &str = r#"[global]
country = "CODE K7F3 - approve in console"
keyboard = "en-us"
fqdn = "retry.installer.invalid"
mailto = "root@retry.installer.invalid"
timezone = "UTC"
root_password = "not-approved-yet"
reboot_on_error = true

[network]
source = "from-dhcp"

[disk-setup]
filesystem = "ext4"
filter.ID_SERIAL = "installation-not-approved-yet"
"#;

    #[test]
    fn it_is_the_text_that_real_installers_were_given() {
        assert_eq!(retry_answer("CODE K7F3 - approve in console"), VERIFIED);
    }

    #[rstest]
    #[case("", FALLBACK)]
    #[case(" \u{1b}\"'\\` ", FALLBACK)]
    #[case("at", "at - waiting for approval in the console")]
    #[case("a\nb\t c", "a b c")]
    #[case("it's \"ok\" – now", "its ok ? now")]
    fn the_line_is_made_printable(#[case] given: &str, #[case] shown: &str) {
        assert_eq!(printable(given), shown);
    }

    proptest! {
        #[test]
        fn no_line_opens_a_lock_or_changes_the_shape(line in any::<String>()) {
            let answer = retry_answer(&line);
            let mut document: toml_edit::DocumentMut = answer.parse().unwrap();
            let country = document["global"]["country"].as_str().unwrap().to_owned();
            prop_assert!((3..=MAX_LINE).contains(&country.len()), "{country}");
            prop_assert!(country.bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
            document["global"]["country"] = toml_edit::value("CODE K7F3 - approve in console");
            prop_assert_eq!(document.to_string(), VERIFIED);
        }
    }
}
