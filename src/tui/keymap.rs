//! The one table of keys. Handling, footer, help, palette and README all read it, so that none of them can lie.
//!
//! A new key is a row in [`BINDINGS`] (`keymap/bindings.rs`).

mod bindings;
#[cfg(test)]
mod readme;

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::action::{Action, Tab};
pub(super) use bindings::BINDINGS;

/// Where a binding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everywhere, dialogs included.
    Always,
    /// On every tab while no dialog is open.
    Tabs,
    /// The node table, also beside an open detail.
    Nodes,
    /// The detail in front.
    Detail,
    /// The Ansible tab.
    Ansible,
    /// The grid of a run.
    Grid,
    /// One result of a run.
    Result,
    /// The output while it is searched.
    Found,
    /// The Log tab.
    Log,
    /// The Setup tab.
    Setup,
    /// The page of keys, where typing searches.
    Help,
    /// The list of actions, where typing searches.
    Palette,
    /// The line that filters the table.
    Filter,
    /// The line that searches the output.
    Find,
    /// A page to read.
    Page,
    /// A dialog that takes yes or no.
    Confirm,
    /// A dialog with a text field.
    Form,
    /// A dialog with a list to choose from.
    Choice,
    /// A dialog with lines to tick and a text field.
    Ticks,
    /// A dialog with several lines to fill in.
    Sheet,
    /// Such a line that has something to choose.
    Value,
    /// A dialog that has sent its order, or shows why it was refused.
    Answered,
}

impl Scope {
    /// The heading over its keys in the help.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Always => "everywhere",
            Self::Tabs => "on every tab",
            Self::Nodes => "Nodes",
            Self::Detail => "Nodes, detail in front",
            Self::Ansible => "Ansible",
            Self::Grid => "Ansible, hosts and tasks",
            Self::Result => "Ansible, one result",
            Self::Found => "Ansible, output that is searched",
            Self::Log => "Log",
            Self::Setup => "Setup",
            Self::Help => "this page; typing searches it",
            Self::Palette => "list of actions; typing searches it",
            Self::Filter => "filter line",
            Self::Find => "search line of the output",
            Self::Page => "pages to read",
            Self::Confirm => "questions",
            Self::Form => "text fields",
            Self::Choice => "lists to choose from",
            Self::Ticks => "lines to tick",
            Self::Sheet => "forms with several lines",
            Self::Value => "lines of a form with something to choose",
            Self::Answered => "after an answer",
        }
    }

    /// The tab whose keys these are, if they are one tab's.
    pub(super) fn tab(self) -> Option<Tab> {
        match self {
            Self::Nodes | Self::Detail => Some(Tab::Nodes),
            Self::Ansible | Self::Grid | Self::Result | Self::Found => Some(Tab::Ansible),
            Self::Log => Some(Tab::Log),
            Self::Setup => Some(Tab::Setup),
            Self::Always
            | Self::Tabs
            | Self::Help
            | Self::Palette
            | Self::Filter
            | Self::Find
            | Self::Page
            | Self::Confirm
            | Self::Form
            | Self::Choice
            | Self::Ticks
            | Self::Sheet
            | Self::Value
            | Self::Answered => None,
        }
    }

    /// All scopes, as the help lists them.
    pub(super) const ALL: [Self; 22] = [
        Self::Nodes,
        Self::Detail,
        Self::Ansible,
        Self::Grid,
        Self::Result,
        Self::Found,
        Self::Log,
        Self::Setup,
        Self::Tabs,
        Self::Always,
        Self::Help,
        Self::Palette,
        Self::Filter,
        Self::Find,
        Self::Page,
        Self::Confirm,
        Self::Form,
        Self::Choice,
        Self::Ticks,
        Self::Sheet,
        Self::Value,
        Self::Answered,
    ];
}

/// A key on the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    code: KeyCode,
    ctrl: bool,
}

const fn key(code: KeyCode) -> Key {
    Key { code, ctrl: false }
}

const fn char(c: char) -> Key {
    key(KeyCode::Char(c))
}

const fn ctrl(c: char) -> Key {
    Key { code: KeyCode::Char(c), ctrl: true }
}

impl Key {
    /// The press of it, as a terminal tells it.
    #[cfg(test)]
    pub(super) fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, if self.ctrl { KeyModifiers::CONTROL } else { KeyModifiers::NONE })
    }

    fn matches(self, event: KeyEvent) -> bool {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        self.code == event.code && self.ctrl == ctrl && !alt
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.code {
            KeyCode::Char(' ') => "Space",
            KeyCode::Char(c) if self.ctrl => return write!(f, "Ctrl-{}", c.to_ascii_uppercase()),
            KeyCode::Char(c) => return write!(f, "{c}"),
            KeyCode::Up => "Up",
            KeyCode::Down => "Down",
            KeyCode::Left => "Left",
            KeyCode::Right => "Right",
            KeyCode::PageUp => "PgUp",
            KeyCode::PageDown => "PgDn",
            KeyCode::Home => "Home",
            KeyCode::End => "End",
            KeyCode::Enter => "Enter",
            KeyCode::Esc => "Esc",
            KeyCode::Tab => "Tab",
            KeyCode::BackTab => "Shift-Tab",
            other => return write!(f, "{other}"),
        };
        f.write_str(name)
    }
}

/// Keys and what they do.
#[derive(Debug)]
pub(super) struct Binding {
    /// Keys that do the same; the footer shows the first.
    pub(super) keys: &'static [Key],
    /// What they do.
    pub(super) action: Action,
    /// Where.
    pub(super) scope: Scope,
    /// A word or two for the footer; empty where it is not shown there.
    pub(super) label: &'static str,
    /// A sentence for the help.
    pub(super) help: &'static str,
}

/// The binding that a key press means in the first of `scopes` that knows it.
pub(super) fn lookup(event: KeyEvent, scopes: &[Scope]) -> Option<&'static Binding> {
    scopes.iter().find_map(|scope| {
        BINDINGS.iter().find(|binding| binding.scope == *scope && binding.keys.iter().any(|key| key.matches(event)))
    })
}

/// Whether all words of `search` occur in what a binding says about itself.
pub(super) fn mentions(binding: &Binding, search: &str) -> bool {
    let keys: Vec<_> = binding.keys.iter().map(ToString::to_string).collect();
    let said = format!("{} {} {} {}", keys.join(" "), binding.label, binding.help, binding.scope.title());
    let said = said.to_lowercase();
    // A single character is the key itself, not a letter of some word.
    let found = |word: &str| match word.chars().count() {
        1 => keys.iter().any(|key| key == word),
        _ => said.contains(&word.to_lowercase()),
    };
    search.split_whitespace().all(found)
}

/// The key of `action` in `scope` as a word, for sentences that mention it.
#[cfg(test)]
pub(super) fn word(action: Action, scope: Scope) -> Option<String> {
    let binding = BINDINGS.iter().find(|binding| binding.action == action && binding.scope == scope)?;
    binding.keys.first().map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_binding_has_help_and_every_scope_bindings() {
        for binding in BINDINGS {
            assert!(!binding.keys.is_empty() && !binding.help.is_empty(), "{:?}", binding.action);
            assert!(binding.label.chars().count() <= 20, "{}", binding.label);
            assert!(Scope::ALL.contains(&binding.scope));
        }
        for scope in Scope::ALL {
            assert!(BINDINGS.iter().any(|binding| binding.scope == scope), "{scope:?}");
        }
    }

    #[test]
    fn what_the_commands_are_called_finds_the_keys() {
        let words = "approve reject undo reinstall merge split ticket ban rename swap note walk address nic installed trust \
                     adopt dismiss forget run cancel gate profile filter suspend quit";
        for word in words.split_whitespace() {
            assert!(BINDINGS.iter().any(|binding| mentions(binding, word)), "`:{word}` finds nothing");
        }
    }

    #[test]
    fn no_key_means_two_things_in_one_scope() {
        for (index, one) in BINDINGS.iter().enumerate() {
            for other in &BINDINGS[index + 1..] {
                let shared = one.keys.iter().any(|key| other.keys.contains(key));
                assert!(!(shared && one.scope == other.scope), "{:?} and {:?}", one.action, other.action);
            }
        }
    }

    #[test]
    fn shift_makes_a_capital_and_alt_means_nothing() {
        let capital = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert_eq!(lookup(capital, &[Scope::Nodes]).map(|found| found.action), Some(Action::Bottom));
        let with_alt = KeyEvent::new(KeyCode::Char('a'), KeyModifiers::ALT);
        assert!(lookup(with_alt, &[Scope::Nodes]).is_none());
        let with_ctrl = KeyEvent::new(KeyCode::Char('a'), KeyModifiers::CONTROL);
        assert!(lookup(with_ctrl, &[Scope::Nodes]).is_none());
        assert_eq!(word(Action::Approve, Scope::Nodes).as_deref(), Some("a"));
    }
}
