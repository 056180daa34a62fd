//! The two controls of a dialog: a line of text and a list to choose from.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::{Input, InputRequest};

use crate::tui::text;

/// Characters a field takes unless it says otherwise: as many as a host name may have.
const MAX_CHARS: usize = 253;

/// A line of text being typed.
#[derive(Debug)]
pub(in crate::tui) struct Field {
    input: Input,
    label: &'static str,
    /// Whether the next character replaces what was typed.
    is_old: bool,
    /// Characters it takes.
    most: usize,
    /// Why the last of what was typed or pasted was not taken.
    refused: Option<String>,
}

impl Field {
    /// A field that holds `value`.
    pub(in crate::tui) fn new(label: &'static str, value: &str) -> Self {
        Self { input: Input::new(value.to_owned()), label, is_old: false, most: MAX_CHARS, refused: None }
    }

    /// The same, for a text of so many characters.
    pub(super) fn of(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Why the last of what was typed or pasted was not taken.
    pub(in crate::tui) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// Lets the next character that is typed replace what is there.
    pub(super) fn start_over(&mut self) {
        self.is_old = true;
    }

    /// What to type.
    pub(in crate::tui) fn label(&self) -> &'static str {
        self.label
    }

    /// What was typed.
    pub(in crate::tui) fn value(&self) -> &str {
        self.input.value()
    }

    /// The part that fits into `columns` and the cursor's column in it.
    pub(in crate::tui) fn window(&self, columns: usize) -> (String, usize) {
        let columns = columns.max(2);
        let scroll = self.input.visual_scroll(columns - 1);
        let mut skipped = 0;
        let shown: String = self
            .value()
            .chars()
            .skip_while(|c| {
                let skip = skipped < scroll;
                skipped += text::width(c.encode_utf8(&mut [0; 4]));
                skip
            })
            .collect();
        (text::fit(&shown, columns), self.input.visual_cursor().saturating_sub(scroll))
    }

    /// Edits the line as a shell would.
    pub(in crate::tui) fn type_key(&mut self, event: KeyEvent) {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        let request = match event.code {
            KeyCode::Char('a') if ctrl => InputRequest::GoToStart,
            KeyCode::Char('e') if ctrl => InputRequest::GoToEnd,
            KeyCode::Char('u') if ctrl => InputRequest::DeleteFromStart,
            KeyCode::Char('k') if ctrl => InputRequest::DeleteTillEnd,
            KeyCode::Char('w') if ctrl => InputRequest::DeletePrevWord,
            KeyCode::Char('h') if ctrl => InputRequest::DeletePrevChar,
            KeyCode::Char('b') if alt => InputRequest::GoToPrevWord,
            KeyCode::Char('f') if alt => InputRequest::GoToNextWord,
            KeyCode::Char('d') if alt => InputRequest::DeleteNextWord,
            KeyCode::Backspace if alt => InputRequest::DeletePrevWord,
            KeyCode::Char(c) if !ctrl && !alt => return self.insert(c),
            KeyCode::Backspace => InputRequest::DeletePrevChar,
            KeyCode::Delete => InputRequest::DeleteNextChar,
            KeyCode::Left => InputRequest::GoToPrevChar,
            KeyCode::Right => InputRequest::GoToNextChar,
            KeyCode::Home => InputRequest::GoToStart,
            KeyCode::End => InputRequest::GoToEnd,
            _ => return,
        };
        (self.is_old, self.refused) = (false, None);
        self.input.handle(request);
    }

    /// Takes in a pasted text without its control characters; all of it or, where there is no room, nothing.
    pub(in crate::tui) fn paste(&mut self, pasted: &str) {
        let pasted = text::clean(pasted.trim());
        if std::mem::take(&mut self.is_old) {
            self.input.reset();
        }
        let (has, more) = (self.value().chars().count(), pasted.chars().count());
        if has + more > self.most {
            let most = self.most;
            self.refused = Some(format!("not pasted: {} characters are more than the {most} it takes", has + more));
            return;
        }
        // One character after the other would copy the whole text each time.
        let at = self.input.cursor();
        let value: String =
            self.value().chars().take(at).chain(pasted.chars()).chain(self.value().chars().skip(at)).collect();
        self.input = Input::new(value).with_cursor(at + more);
        self.refused = None;
    }

    fn insert(&mut self, c: char) {
        if std::mem::take(&mut self.is_old) {
            self.input.reset();
        }
        self.refused = None;
        if c.is_control() {
            return;
        }
        if self.value().chars().count() >= self.most {
            self.refused = Some(format!("full: it takes {} characters", self.most));
            return;
        }
        self.input.handle(InputRequest::InsertChar(c));
    }
}

/// A list to choose from.
#[derive(Debug)]
pub(in crate::tui) struct Picker {
    choices: Vec<String>,
    marked: usize,
}

impl Picker {
    /// A list whose first line is marked.
    pub(super) fn new(choices: Vec<String>) -> Self {
        Self { choices, marked: 0 }
    }

    /// The same with another line marked.
    pub(super) fn at(mut self, marked: usize) -> Self {
        self.marked = marked.min(self.choices.len().saturating_sub(1));
        self
    }

    /// The lines.
    pub(in crate::tui) fn choices(&self) -> &[String] {
        &self.choices
    }

    /// The marked one.
    pub(in crate::tui) fn marked(&self) -> usize {
        self.marked
    }

    pub(super) fn step(&mut self, by: isize) {
        self.marked = self.marked.saturating_add_signed(by).min(self.choices.len().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(field: &mut Field, code: KeyCode, modifiers: KeyModifiers) {
        field.type_key(KeyEvent::new(code, modifiers));
    }

    #[test]
    fn it_edits_like_a_shell_and_is_bounded() {
        let mut field = Field::new("name", "pve-1.lab");
        press(&mut field, KeyCode::Backspace, KeyModifiers::NONE);
        press(&mut field, KeyCode::Char('X'), KeyModifiers::SHIFT);
        assert_eq!(field.value(), "pve-1.laX");
        press(&mut field, KeyCode::Char('b'), KeyModifiers::ALT);
        press(&mut field, KeyCode::Char('d'), KeyModifiers::ALT);
        assert_eq!(field.value(), "pve-1.");
        press(&mut field, KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert_eq!(field.value(), "");
        field.paste(&format!(" {}\n", "a\u{1b}".repeat(200)));
        assert_eq!((field.value(), field.refused()), ("a".repeat(200).as_str(), None));
        field.paste(&"b".repeat(54));
        assert_eq!(field.value(), "a".repeat(200), "half a text is another one");
        assert!(field.refused().is_some_and(|why| why.contains("254 characters")), "{:?}", field.refused());
        press(&mut field, KeyCode::Home, KeyModifiers::NONE);
        field.paste(&"b".repeat(53));
        assert_eq!((field.value(), field.refused()), (format!("{}{}", "b".repeat(53), "a".repeat(200)).as_str(), None));
        press(&mut field, KeyCode::Char('c'), KeyModifiers::NONE);
        assert!(!field.value().contains('c') && field.refused().is_some_and(|why| why.starts_with("full")));
        press(&mut field, KeyCode::Backspace, KeyModifiers::NONE);
        assert_eq!(field.refused(), None);
        let (shown, cursor) = field.window(10);
        assert!(text::width(&shown) <= 10 && cursor < 10);
    }

    #[test]
    fn the_mark_stays_in_the_list() {
        let mut picker = Picker::new(vec!["a".to_owned(), "b".to_owned()]);
        picker.step(5);
        assert_eq!(picker.marked(), 1);
        picker.step(isize::MIN);
        assert_eq!(picker.marked(), 0);
    }
}
