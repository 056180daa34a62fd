//! Tells a barcode scanner from a hand. A scanner is a keyboard, too: a label that is read while the table is in front
//! must not become the keys that its letters are. So a key that would do more than move waits for a moment; where the next
//! one comes faster than a hand is, and more follow, it was a label.
//!
//! Pure: the time of each key is an argument.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::time::Instant;

use super::action::Reach;
use super::keymap;
use super::model::Model;

/// Keys that are closer to each other were not pressed one by one: scanners leave some milliseconds between two, hands
/// fifty and more.
const GAP: Duration = Duration::from_millis(35);

/// So many of them are a label; two, where Enter follows them.
const LABEL: usize = 4;

/// So many that went into a line, and Enter behind them, no hand has typed.
const TYPED: usize = 2;

/// How the console takes a key that stands for a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taking {
    /// It is typed into a line, or opens one.
    Types,
    /// The same, where Enter carries out what the line says.
    Fills,
    /// It moves what is shown, or does nothing.
    Moves,
    /// It does more than that.
    Acts,
}

impl Taking {
    /// What a key would be now.
    pub(super) fn of(model: &mut Model, event: KeyEvent) -> Self {
        if let Some(open) = &mut model.modal
            && open.typing().is_some()
        {
            return if open.carries_out() { Self::Fills } else { Self::Types };
        }
        let Some(binding) = keymap::lookup(event, &model.scopes()) else { return Self::Moves };
        match binding.action.reach() {
            Reach::Types => Self::Types,
            Reach::Steps | Reach::Shows => Self::Moves,
            Reach::Acts => Self::Acts,
        }
    }
}

/// What a key leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// These keys are pressed now; none, while it is open what they are.
    Keys(Vec<KeyEvent>),
    /// A label is being read, which begins so.
    Label {
        /// Its first characters.
        text: String,
        /// The key that ended it, where that was what gave it away.
        then: Option<KeyEvent>,
    },
    /// Enter right behind a label that was typed into a question: nobody can have read what it would carry out.
    Unread,
}

/// The keys that came one after the other without a pause.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    run: String,
    /// Those of them that wait.
    held: Vec<KeyEvent>,
    last: Option<Instant>,
    is_label: bool,
    /// How many of the keys that came without a pause went into a line.
    typed: usize,
}

impl Scanner {
    /// Takes a key in.
    pub(super) fn hear(&mut self, event: KeyEvent, now: Instant, taking: Taking) -> Heard {
        if self.last.is_none_or(|last| now.saturating_duration_since(last) >= GAP) {
            self.run.clear();
            (self.is_label, self.typed) = (false, 0);
        }
        self.last = Some(now);
        let Some(c) = printable(event) else { return self.end(event, taking) };
        if matches!(taking, Taking::Types | Taking::Fills) {
            self.run.clear();
            self.typed += 1;
            return self.released(event);
        }
        self.run.push(c);
        if self.is_label {
            // Nobody took the beginning, and nobody takes the rest.
            return Heard::Keys(Vec::new());
        }
        if self.run.chars().count() >= LABEL && is_mixed(&self.run) {
            return self.label(None);
        }
        if taking == Taking::Acts || !self.held.is_empty() {
            self.held.push(event);
            return Heard::Keys(Vec::new());
        }
        Heard::Keys(vec![event])
    }

    /// A key that stands for no character ends what came before it.
    fn end(&mut self, event: KeyEvent, taking: Taking) -> Heard {
        let is_enter = event.code == KeyCode::Enter;
        if is_enter && taking == Taking::Fills && self.typed >= TYPED {
            return Heard::Unread;
        }
        if is_enter && self.is_label && taking != Taking::Types {
            return Heard::Keys(Vec::new());
        }
        if is_enter && !self.is_label && is_mixed(&self.run) {
            return self.label(Some(event));
        }
        self.run.clear();
        self.released(event)
    }

    fn released(&mut self, event: KeyEvent) -> Heard {
        let mut keys = std::mem::take(&mut self.held);
        keys.push(event);
        Heard::Keys(keys)
    }

    fn label(&mut self, then: Option<KeyEvent>) -> Heard {
        self.held.clear();
        self.is_label = true;
        Heard::Label { text: self.run.clone(), then }
    }

    /// When the keys that wait have waited long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        self.last.filter(|_| !self.held.is_empty()).map(|last| last + GAP)
    }

    /// The keys that have waited long enough: a hand has pressed them.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<KeyEvent> {
        if self.due().is_some_and(|due| due <= now) { std::mem::take(&mut self.held) } else { Vec::new() }
    }

    /// For so long nobody listened: keys that came meanwhile are no further apart for it.
    pub(super) fn excuse(&mut self, busy: Duration) {
        self.last = self.last.map(|last| last + busy);
    }
}

/// A key that is held down repeats itself as fast as a scanner types.
fn is_mixed(run: &str) -> bool {
    let mut chars = run.chars();
    let first = chars.next();
    chars.any(|c| Some(c) != first)
}

fn printable(event: KeyEvent) -> Option<char> {
    let is_chord = event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    match event.code {
        KeyCode::Char(c) if !is_chord && event.kind == KeyEventKind::Press => Some(c),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Types a text, so many milliseconds between two characters; `A` for a key that acts, `m` for one that moves.
    fn heard(text: &str, gap: u64, taking: impl Fn(char) -> Taking) -> (String, Option<String>) {
        let (mut scanner, start) = (Scanner::default(), Instant::now());
        let (mut pressed, mut label, mut now) = (String::new(), None, start);
        let name = |keys: Vec<KeyEvent>| {
            let name = |key: &KeyEvent| match key.code {
                KeyCode::Char(c) => c,
                KeyCode::Tab => '\t',
                _ => '⏎',
            };
            keys.iter().map(name).collect::<String>()
        };
        for c in text.chars() {
            now += Duration::from_millis(gap);
            pressed += &name(scanner.overdue(now));
            let code = match c {
                '⏎' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                c => KeyCode::Char(c),
            };
            let taking = if label.is_some() { Taking::Acts } else { taking(c) };
            match scanner.hear(KeyEvent::new(code, KeyModifiers::NONE), now, taking) {
                Heard::Keys(keys) => pressed += &name(keys),
                Heard::Label { text, .. } => label = Some(text),
                Heard::Unread => pressed.push('!'),
            }
        }
        pressed += &name(scanner.overdue(now + GAP));
        (pressed, label)
    }

    fn by_case(c: char) -> Taking {
        match c {
            'a'..='z' => Taking::Moves,
            '/' | '\'' => Taking::Types,
            _ => Taking::Acts,
        }
    }

    #[rstest]
    #[case::a_scanner("USE3120ABC⏎", 2, "", Some("USE3"))]
    #[case::it_begins_with_what_moves("cz3120⏎", 4, "cz", Some("cz31"))]
    #[case::a_short_one("C7⏎", 2, "", Some("C7"))]
    #[case::a_hand("USE3⏎", 60, "USE3⏎", None)]
    #[case::a_quick_hand("AB", 20, "AB", None)]
    #[case::one_key("A", 2, "A", None)]
    #[case::a_key_and_enter("A⏎", 2, "A⏎", None)]
    #[case::a_key_held_down("jjjjjjjj", 20, "jjjjjjjj", None)]
    #[case::one_that_acts_held_down("AAAAAA⏎", 20, "AAAAAA⏎", None)]
    fn scanners_are_told_from_hands(
        #[case] text: &str,
        #[case] gap: u64,
        #[case] pressed: &str,
        #[case] label: Option<&str>,
    ) {
        assert_eq!(heard(text, gap, by_case), (pressed.to_owned(), label.map(str::to_owned)));
    }

    #[test]
    fn what_is_typed_into_a_line_is_left_alone() {
        let (pressed, label) = heard("phase:waiting⏎", 1, |_| Taking::Types);
        assert_eq!((pressed.as_str(), label), ("phase:waiting⏎", None));
    }

    #[rstest]
    #[case::a_scanner("0047⏎", 2, "0047!")]
    #[case::one_that_ends_with_two("0047⏎⏎", 2, "0047!!")]
    #[case::one_that_ends_with_the_next_field("0047\t⏎", 2, "0047\t!")]
    #[case::the_same_digit("77⏎", 2, "77!")]
    #[case::a_hand("0047⏎", 60, "0047⏎")]
    #[case::one_key("y⏎", 2, "y⏎")]
    fn a_label_typed_into_a_question_does_not_carry_it_out(
        #[case] text: &str,
        #[case] gap: u64,
        #[case] pressed: &str,
    ) {
        assert_eq!(heard(text, gap, |_| Taking::Fills), (pressed.to_owned(), None));
    }

    #[test]
    fn only_what_carries_out_must_have_been_read() {
        let mut model = crate::tui::fixture::busy_rack().model(80, 24);
        let mut opened = |c| {
            model.modal = None;
            crate::tui::fixture::press(&mut model, KeyCode::Char(c));
            Taking::of(&mut model, KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE))
        };
        for (key, taking) in [('/', Taking::Types), ('\'', Taking::Types), (':', Taking::Fills), ('e', Taking::Fills)] {
            assert_eq!(opened(key), taking, "{key}");
        }
    }

    #[test]
    fn a_slow_frame_makes_no_pause() {
        let (mut scanner, start) = (Scanner::default(), Instant::now());
        let mut hear = |at: u64, c| {
            let event = KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
            let heard = scanner.hear(event, start + Duration::from_millis(at), Taking::Acts);
            scanner.excuse(Duration::from_millis(90));
            heard
        };
        let all = [(0, 'U'), (95, 'S'), (190, 'E'), (285, '3')].map(|(at, c)| hear(at, c));
        assert_eq!(all[3], Heard::Label { text: "USE3".to_owned(), then: None });
        assert!(all[..3].iter().all(|heard| *heard == Heard::Keys(Vec::new())));
    }

    #[test]
    fn every_key_is_known_for_what_it_does() {
        let mut model = crate::tui::fixture::busy_rack().model(80, 24);
        let mut of = |c| Taking::of(&mut model, KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        assert!("axubMTeECzwrWcdNpPft>< *sSgBoqXH!i".chars().all(|c| of(c) == Taking::Acts));
        assert!("jkGn1234".chars().all(|c| of(c) == Taking::Moves));
        assert!("/':?".chars().all(|c| of(c) == Taking::Types));
    }
}
