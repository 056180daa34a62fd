//! The one table of keys. Handling, footer and help all read it, so that none of them can lie.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_logger::TuiWidgetEvent as Widget;

use super::action::{Action, Tab};

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
    /// The Log tab.
    Log,
    /// The Setup tab.
    Setup,
    /// The page of keys.
    Help,
    /// A dialog that takes yes or no.
    Confirm,
    /// A dialog with a text field.
    Form,
    /// A dialog with a list to choose from.
    Choice,
    /// A page about an answer.
    Preview,
    /// A dialog with lines to tick and a text field.
    Ticks,
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
            Self::Log => "Log",
            Self::Setup => "Setup",
            Self::Help => "this page",
            Self::Confirm => "questions",
            Self::Form => "text fields",
            Self::Choice => "lists to choose from",
            Self::Preview => "the answer of a node",
            Self::Ticks => "lines to tick",
            Self::Answered => "after an answer",
        }
    }

    /// All scopes, as the help lists them.
    pub(super) const ALL: [Self; 14] = [
        Self::Nodes,
        Self::Detail,
        Self::Ansible,
        Self::Log,
        Self::Setup,
        Self::Tabs,
        Self::Always,
        Self::Help,
        Self::Confirm,
        Self::Form,
        Self::Choice,
        Self::Ticks,
        Self::Preview,
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

const fn bind(scope: Scope, keys: &'static [Key], action: Action, label: &'static str, help: &'static str) -> Binding {
    Binding { keys, action, scope, label, help }
}

const UP: &[Key] = &[key(KeyCode::Up), char('k')];
const DOWN: &[Key] = &[key(KeyCode::Down), char('j')];
const PAGE_UP: &[Key] = &[key(KeyCode::PageUp), ctrl('b')];
const PAGE_DOWN: &[Key] = &[key(KeyCode::PageDown), ctrl('f')];
const TOP: &[Key] = &[key(KeyCode::Home), char('g')];
const BOTTOM: &[Key] = &[key(KeyCode::End), char('G')];
const ENTER: &[Key] = &[key(KeyCode::Enter)];
const ESC: &[Key] = &[key(KeyCode::Esc)];

/// Every key, in the order of footer and help.
pub(super) const BINDINGS: &[Binding] = &[
    bind(
        Scope::Nodes,
        &[char('a')],
        Action::Approve,
        "approve",
        "let the machine be installed: its disks are wiped; offers a reinstall where it may be installed already",
    ),
    bind(
        Scope::Nodes,
        &[char('n')],
        Action::NextWaiting,
        "next waiting",
        "go to the next machine that waits for a decision",
    ),
    bind(
        Scope::Nodes,
        &[char('u')],
        Action::Undo,
        "undo",
        "take a decision back: inside its undo window, or while nobody has used it",
    ),
    bind(Scope::Nodes, &[char('x')], Action::Reject, "reject", "send the machine away; on a report: drop it"),
    bind(Scope::Nodes, &[char('e')], Action::Rename, "hostname", "change the host name, until the machine installs"),
    bind(
        Scope::Nodes,
        &[char('t')],
        Action::Trust,
        "trust key",
        "accept the SSH host key of a node that reported none",
    ),
    bind(Scope::Nodes, &[char('m')], Action::Adopt, "whose is it", "say which node an unmatched report belongs to"),
    bind(
        Scope::Nodes,
        &[char('i')],
        Action::MarkInstalled,
        "is installed",
        "say that a node which sends no report is installed",
    ),
    bind(Scope::Nodes, &[char('r')], Action::Run, "run", "run the playbook on this node or on all that are ready"),
    bind(Scope::Nodes, &[char('c')], Action::Cancel, "cancel run", "stop the run; a second time: at once"),
    bind(Scope::Nodes, &[char('d')], Action::Address, "address", "tell where Ansible reaches the node"),
    bind(
        Scope::Nodes,
        &[char('p')],
        Action::Preview,
        "answer",
        "show the answer it would get, and where each value is from",
    ),
    bind(Scope::Nodes, &[char('P')], Action::NewProfile, "profile", "make a profile for machines like this one"),
    bind(Scope::Nodes, &[char('f')], Action::Forget, "forget", "drop the row; a machine that asks again is a stranger"),
    bind(
        Scope::Nodes,
        ENTER,
        Action::Open,
        "detail",
        "open the detail, or scroll in it where it stands beside the table",
    ),
    bind(Scope::Nodes, ESC, Action::Back, "", "close the detail"),
    bind(Scope::Nodes, UP, Action::Up, "", "one row up"),
    bind(Scope::Nodes, DOWN, Action::Down, "", "one row down"),
    bind(Scope::Nodes, PAGE_UP, Action::PageUp, "", "one page up"),
    bind(Scope::Nodes, PAGE_DOWN, Action::PageDown, "", "one page down"),
    bind(Scope::Nodes, TOP, Action::Top, "", "first row"),
    bind(Scope::Nodes, BOTTOM, Action::Bottom, "", "last row"),
    bind(Scope::Detail, ESC, Action::Back, "back", "back to the table"),
    bind(Scope::Detail, &[key(KeyCode::Left), char('h')], Action::Previous, "node before", "the node before"),
    bind(Scope::Detail, &[key(KeyCode::Right), char('l')], Action::Next, "node after", "the node after"),
    bind(Scope::Detail, UP, Action::Up, "", "scroll up"),
    bind(Scope::Detail, DOWN, Action::Down, "", "scroll down"),
    bind(Scope::Detail, PAGE_UP, Action::PageUp, "", "scroll a page up"),
    bind(Scope::Detail, PAGE_DOWN, Action::PageDown, "", "scroll a page down"),
    bind(Scope::Detail, TOP, Action::Top, "", "to the beginning"),
    bind(Scope::Detail, BOTTOM, Action::Bottom, "", "to the end"),
    bind(Scope::Ansible, &[char('r')], Action::Run, "run", "run the playbook"),
    bind(Scope::Ansible, &[char('c')], Action::Cancel, "cancel run", "stop the run; a second time: at once"),
    bind(
        Scope::Ansible,
        &[char(' '), char('p')],
        Action::Follow,
        "follow/pause",
        "hold the output still, or follow it again",
    ),
    bind(Scope::Ansible, &[key(KeyCode::Left), char('h')], Action::Previous, "older run", "show the run before"),
    bind(Scope::Ansible, &[key(KeyCode::Right), char('l')], Action::Next, "newer run", "show the run after"),
    bind(Scope::Ansible, UP, Action::Up, "", "scroll up; holds the output still"),
    bind(Scope::Ansible, DOWN, Action::Down, "", "scroll down"),
    bind(Scope::Ansible, PAGE_UP, Action::PageUp, "scroll", "scroll a page up"),
    bind(Scope::Ansible, PAGE_DOWN, Action::PageDown, "", "scroll a page down"),
    bind(Scope::Ansible, TOP, Action::Top, "", "to the oldest line kept"),
    bind(Scope::Ansible, BOTTOM, Action::Bottom, "", "to the newest line, and follow"),
    bind(Scope::Log, &[key(KeyCode::Up), char('k')], Action::Log(Widget::UpKey), "", "select the target above"),
    bind(Scope::Log, &[key(KeyCode::Down), char('j')], Action::Log(Widget::DownKey), "", "select the target below"),
    bind(
        Scope::Log,
        &[key(KeyCode::Left)],
        Action::Log(Widget::LeftKey),
        "show less",
        "show fewer levels of the target",
    ),
    bind(
        Scope::Log,
        &[key(KeyCode::Right)],
        Action::Log(Widget::RightKey),
        "show more",
        "show more levels of the target",
    ),
    bind(Scope::Log, &[char('-')], Action::Log(Widget::MinusKey), "", "collect fewer levels of the target"),
    bind(Scope::Log, &[char('+')], Action::Log(Widget::PlusKey), "", "collect more levels of the target"),
    bind(Scope::Log, &[char('h')], Action::Log(Widget::HideKey), "targets", "hide or show the list of targets"),
    bind(Scope::Log, &[char('f')], Action::Log(Widget::FocusKey), "only this", "show the selected target only"),
    bind(Scope::Log, &[char(' ')], Action::Log(Widget::SpaceKey), "", "hide or show targets that are off"),
    bind(Scope::Log, &[key(KeyCode::PageUp)], Action::Log(Widget::PrevPageKey), "page back", "older messages"),
    bind(Scope::Log, &[key(KeyCode::PageDown)], Action::Log(Widget::NextPageKey), "", "newer messages"),
    bind(Scope::Log, ESC, Action::Log(Widget::EscapeKey), "newest", "back to the newest messages"),
    bind(
        Scope::Setup,
        &[char('y')],
        Action::Copy,
        "copy command",
        "copy the prepare-iso command to the clipboard (OSC 52)",
    ),
    bind(Scope::Setup, UP, Action::Up, "", "scroll up"),
    bind(Scope::Setup, DOWN, Action::Down, "", "scroll down"),
    bind(Scope::Setup, PAGE_UP, Action::PageUp, "", "scroll a page up"),
    bind(Scope::Setup, PAGE_DOWN, Action::PageDown, "", "scroll a page down"),
    bind(Scope::Setup, TOP, Action::Top, "", "to the beginning"),
    bind(Scope::Setup, BOTTOM, Action::Bottom, "", "to the end"),
    bind(Scope::Help, &[key(KeyCode::Esc), char('?'), char('q')], Action::Back, "close", "close the help"),
    bind(Scope::Help, UP, Action::Up, "", "scroll up"),
    bind(Scope::Help, DOWN, Action::Down, "scroll", "scroll down"),
    bind(Scope::Help, PAGE_UP, Action::PageUp, "", "scroll a page up"),
    bind(Scope::Help, PAGE_DOWN, Action::PageDown, "", "scroll a page down"),
    bind(Scope::Help, TOP, Action::Top, "", "to the beginning"),
    bind(Scope::Help, BOTTOM, Action::Bottom, "", "to the end"),
    bind(Scope::Confirm, &[char('y'), char('Y')], Action::Confirm, "yes", "do it"),
    bind(Scope::Confirm, &[char('n'), char('N'), key(KeyCode::Esc)], Action::Back, "no", "leave everything as it is"),
    bind(Scope::Form, ENTER, Action::Confirm, "do it", "take the text"),
    bind(Scope::Form, ESC, Action::Back, "leave as it is", "leave everything as it is"),
    bind(Scope::Choice, ENTER, Action::Confirm, "do it", "take the marked line"),
    bind(Scope::Choice, ESC, Action::Back, "leave as it is", "leave everything as it is"),
    bind(Scope::Choice, UP, Action::Up, "", "the line above"),
    bind(Scope::Choice, DOWN, Action::Down, "choose", "the line below"),
    bind(Scope::Preview, &[key(KeyCode::Esc), char('p'), char('q')], Action::Back, "close", "close the page"),
    bind(Scope::Preview, UP, Action::Up, "", "scroll up"),
    bind(Scope::Preview, DOWN, Action::Down, "scroll", "scroll down"),
    bind(Scope::Preview, PAGE_UP, Action::PageUp, "", "scroll a page up"),
    bind(Scope::Preview, PAGE_DOWN, Action::PageDown, "", "scroll a page down"),
    bind(Scope::Preview, TOP, Action::Top, "", "to the beginning"),
    bind(Scope::Preview, BOTTOM, Action::Bottom, "", "to the end"),
    bind(Scope::Ticks, ENTER, Action::Confirm, "write it", "write the profile"),
    bind(Scope::Ticks, &[char(' ')], Action::Toggle, "tick", "tick the line, or take the tick away"),
    bind(Scope::Ticks, &[key(KeyCode::Up)], Action::Up, "", "the line above"),
    bind(Scope::Ticks, &[key(KeyCode::Down)], Action::Down, "choose", "the line below"),
    bind(Scope::Ticks, ESC, Action::Back, "leave as it is", "leave everything as it is"),
    bind(Scope::Answered, ENTER, Action::Open, "back to the question", "back to the question after a refusal"),
    bind(Scope::Answered, ESC, Action::Back, "close", "close the dialog"),
    bind(Scope::Tabs, &[char('1')], Action::Show(Tab::Nodes), "", "the node table"),
    bind(Scope::Tabs, &[char('2')], Action::Show(Tab::Ansible), "", "runs and their output"),
    bind(Scope::Tabs, &[char('3')], Action::Show(Tab::Log), "", "what the program logs"),
    bind(Scope::Tabs, &[char('4')], Action::Show(Tab::Setup), "", "how machines find this console"),
    bind(Scope::Tabs, &[key(KeyCode::Tab)], Action::NextTab, "", "the next tab"),
    bind(Scope::Tabs, &[key(KeyCode::BackTab)], Action::PreviousTab, "", "the tab before"),
    bind(Scope::Tabs, &[char('?')], Action::Help, "help", "show all keys"),
    bind(Scope::Tabs, &[char('q')], Action::Quit, "quit", "leave; asks while work is going on"),
    bind(Scope::Always, &[ctrl('l')], Action::Redraw, "", "draw the screen anew"),
    bind(Scope::Always, &[ctrl('c')], Action::Interrupt, "", "leave; a second time without asking"),
];

/// The binding that a key press means in the first of `scopes` that knows it.
pub(super) fn lookup(event: KeyEvent, scopes: &[Scope]) -> Option<&'static Binding> {
    scopes.iter().find_map(|scope| {
        BINDINGS.iter().find(|binding| binding.scope == *scope && binding.keys.iter().any(|key| key.matches(event)))
    })
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
