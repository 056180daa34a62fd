//! Esc and what comes right behind it. Every key but a letter begins with the byte of Esc, and terminals send Alt and a key
//! as Esc and that key: where a slow line delivers a pressed Esc together with the next key, the terminal's library can
//! tell them apart no more. No key here has Alt, so both are what they would be one by one; out of a line that is being
//! typed, where hands know many keys with Alt from a shell, only the Esc is.
//!
//! Pure: the time of each key is an argument.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tokio::time::Instant;

/// What came in one piece is closer together than this; a hand is slower.
const GAP: Duration = Duration::from_millis(30);

/// Takes Esc and the key behind it apart.
#[derive(Debug, Default)]
pub(super) struct Escapes {
    /// What may be the beginning of a key's sequence behind Esc, and when the last of it came.
    begun: Option<(Instant, Vec<char>)>,
}

impl Escapes {
    /// The keys that were pressed, of one that the terminal's library has seen; `is_typing` where it goes into a line.
    pub(super) fn apart(&mut self, event: KeyEvent, now: Instant, is_typing: bool) -> Vec<KeyEvent> {
        let begun = self.begun.take().filter(|(last, _)| now.saturating_duration_since(*last) < GAP);
        let is_plain = (event.modifiers - KeyModifiers::SHIFT).is_empty();
        match (event.code, begun) {
            (KeyCode::Esc, _) if is_plain => {
                self.begun = Some((now, Vec::new()));
                vec![event]
            }
            (KeyCode::Char(c), Some((_, mut so_far))) if is_plain => {
                so_far.push(c);
                match sequence(&so_far) {
                    Sequence::Key(code) => vec![KeyEvent::new(code, KeyModifiers::NONE)],
                    Sequence::Begun => {
                        self.begun = Some((now, so_far));
                        Vec::new()
                    }
                    Sequence::None => vec![event],
                }
            }
            // Shells taught hands to move by words so; that closes no line and opens no question behind it.
            (KeyCode::Char('b' | 'f' | 'd') | KeyCode::Backspace, _)
                if is_typing && event.modifiers == KeyModifiers::ALT =>
            {
                vec![event]
            }
            // What is shown behind a line is not what its keys were meant for: an order needs a key of its own.
            (KeyCode::Char(_) | KeyCode::Enter | KeyCode::Tab | KeyCode::Backspace, _)
                if is_typing && event.modifiers.contains(KeyModifiers::ALT) =>
            {
                vec![KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)]
            }
            // Sequences of keys say themselves that Alt was held; only what comes as Esc and a byte may be two keys.
            (KeyCode::Char(_) | KeyCode::Enter | KeyCode::Tab | KeyCode::Backspace, _)
                if event.modifiers.contains(KeyModifiers::ALT) =>
            {
                let key = KeyEvent { modifiers: event.modifiers - KeyModifiers::ALT, ..event };
                vec![KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE), key]
            }
            _ => vec![event],
        }
    }

    /// For so long nobody listened: keys that came meanwhile are no further apart for it.
    pub(super) fn excuse(&mut self, busy: Duration) {
        self.begun.iter_mut().for_each(|(last, _)| *last += busy);
    }
}

/// What characters behind Esc are.
enum Sequence {
    Key(KeyCode),
    Begun,
    None,
}

/// Of Esc and an arrow in one piece, the library takes both bytes of Esc for one, and the rest for letters.
fn sequence(so_far: &[char]) -> Sequence {
    Sequence::Key(match so_far {
        ['['] | ['[', '1' | '4' | '5' | '6'] => return Sequence::Begun,
        ['[', 'A'] => KeyCode::Up,
        ['[', 'B'] => KeyCode::Down,
        ['[', 'C'] => KeyCode::Right,
        ['[', 'D'] => KeyCode::Left,
        ['[', 'H'] | ['[', '1', '~'] => KeyCode::Home,
        ['[', 'F'] | ['[', '4', '~'] => KeyCode::End,
        ['[', 'Z'] => KeyCode::BackTab,
        ['[', '5', '~'] => KeyCode::PageUp,
        ['[', '6', '~'] => KeyCode::PageDown,
        _ => return Sequence::None,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NONE: KeyModifiers = KeyModifiers::NONE;

    /// What is pressed where the library has seen these keys, so many milliseconds apart.
    fn pressed(seen: &[(KeyCode, KeyModifiers)], gap: u64) -> Vec<(KeyCode, KeyModifiers)> {
        let (mut escapes, mut now) = (Escapes::default(), Instant::now());
        let mut keys = Vec::new();
        for (code, modifiers) in seen {
            now += Duration::from_millis(gap);
            keys.extend(escapes.apart(KeyEvent::new(*code, *modifiers), now, false));
        }
        keys.iter().map(|key| (key.code, key.modifiers)).collect()
    }

    #[rstest]
    #[case(KeyCode::Char('a'), KeyModifiers::ALT, NONE)]
    #[case(KeyCode::Char('W'), KeyModifiers::ALT | KeyModifiers::SHIFT, KeyModifiers::SHIFT)]
    #[case(KeyCode::Char('c'), KeyModifiers::ALT | KeyModifiers::CONTROL, KeyModifiers::CONTROL)]
    #[case(KeyCode::Enter, KeyModifiers::ALT, NONE)]
    fn esc_and_a_key_in_one_piece_are_both(
        #[case] code: KeyCode,
        #[case] with: KeyModifiers,
        #[case] without: KeyModifiers,
    ) {
        assert_eq!(pressed(&[(code, with)], 1), [(KeyCode::Esc, NONE), (code, without)]);
    }

    #[rstest]
    #[case("[A", KeyCode::Up)]
    #[case("[C", KeyCode::Right)]
    #[case("[5~", KeyCode::PageUp)]
    #[case("[4~", KeyCode::End)]
    fn so_are_esc_and_an_arrow(#[case] rest: &str, #[case] key: KeyCode) {
        let esc = (KeyCode::Esc, NONE);
        let letters =
            rest.chars().map(|c| (KeyCode::Char(c), if c.is_uppercase() { KeyModifiers::SHIFT } else { NONE }));
        let seen: Vec<_> = [esc].into_iter().chain(letters).collect();
        assert_eq!(pressed(&seen, 0), [esc, (key, NONE)]);
        assert_eq!(pressed(&seen, 60), seen, "a hand types them one by one");
    }

    #[test]
    fn everything_else_is_as_it_was() {
        let seen = [
            (KeyCode::Up, KeyModifiers::ALT),
            (KeyCode::Esc, NONE),
            (KeyCode::Char('a'), NONE),
            (KeyCode::Char('['), NONE),
            (KeyCode::Char('A'), KeyModifiers::SHIFT),
        ];
        assert_eq!(pressed(&seen, 1), seen);
    }

    #[rstest]
    #[case(KeyCode::Char('a'))]
    #[case(KeyCode::Char('u'))]
    #[case(KeyCode::Char('>'))]
    #[case(KeyCode::Enter)]
    fn out_of_a_line_alt_gives_no_order(#[case] code: KeyCode) {
        let event = KeyEvent::new(code, KeyModifiers::ALT);
        let keys = Escapes::default().apart(event, Instant::now(), true);
        assert_eq!(keys, [KeyEvent::new(KeyCode::Esc, NONE)]);
    }

    #[test]
    fn in_a_line_words_are_edited_as_in_a_shell() {
        let apart = |c, is_typing| {
            let event = KeyEvent::new(KeyCode::Char(c), KeyModifiers::ALT);
            Escapes::default().apart(event, Instant::now(), is_typing).len()
        };
        assert_eq!((apart('b', true), apart('b', false), apart('a', true)), (1, 2, 1));
    }

    #[test]
    fn a_slow_frame_between_esc_and_an_arrow_makes_no_pause() {
        let (mut escapes, now) = (Escapes::default(), Instant::now());
        escapes.apart(KeyEvent::new(KeyCode::Esc, NONE), now, false);
        escapes.excuse(Duration::from_millis(90));
        let later = now + Duration::from_millis(91);
        assert!(escapes.apart(KeyEvent::new(KeyCode::Char('['), NONE), later, false).is_empty());
    }
}
