//! Failures on purpose, so that tests see what is left of a console that failed (docs/testing.md). Nothing here happens
//! without the hidden option `--panic-in`.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What fails at Ctrl-P.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// The console itself.
    Console,
    /// A task beside it.
    Task,
}

impl Fault {
    /// Fails where this key asks for it.
    #[expect(clippy::panic, reason = "that is what it is for")]
    pub(super) fn on(self, key: KeyEvent) {
        if key.code != KeyCode::Char('p') || !key.modifiers.contains(KeyModifiers::CONTROL) {
            return;
        }
        match self {
            Self::Console => panic!("the console was told to fail"),
            Self::Task => drop(tokio::spawn(async { panic!("a task was told to fail") })),
        }
    }
}
