//! The terminal, taken over and given back. Whatever way out the program takes (return, error, panic), the shell gets
//! a usable terminal.

use std::io::{self, Stdout, Write as _, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::style::ResetColor;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Size;

use super::model::Model;
use super::run::Surface;
use super::view;

/// Whether the terminal is ours. A panic hook cannot own a [`Screen`], so this is the one global of the console.
static TAKEN: AtomicBool = AtomicBool::new(false);

static HOOK: Once = Once::new();

/// Our hold on the terminal; dropping it gives the terminal back.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal over.
    pub(super) fn open() -> io::Result<Self> {
        HOOK.call_once(|| {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                previous(panic);
            }));
        });
        // From here on every way out restores.
        TAKEN.store(true, Ordering::SeqCst);
        let opened = take().and_then(|()| Terminal::new(CrosstermBackend::new(stdout())));
        opened.map(|terminal| Self { terminal }).inspect_err(|_| restore())
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    // Marked pastes arrive as one piece and can be kept away from the keys; without it a pasted word presses them.
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

/// Gives the terminal back; does nothing where it is not ours. What fails here cannot be helped any more.
fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(stdout(), DisableBracketedPaste, LeaveAlternateScreen, ResetColor, Show);
        let _ = disable_raw_mode();
        let _ = stdout().flush();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

impl Surface for Screen {
    fn size(&self) -> io::Result<Size> {
        self.terminal.size()
    }

    fn draw(&mut self, model: &Model) -> io::Result<()> {
        self.terminal.draw(|frame| view::draw(frame, model)).map(|_| ())
    }

    fn redraw(&mut self) -> io::Result<()> {
        // Not `Terminal::clear`: that asks for the cursor's place, and a bare pty never answers. A resize to the same
        // size clears without asking.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(stdout(), CopyToClipboard::to_clipboard_from(text))
    }

    fn recover(&mut self) -> io::Result<bool> {
        // A panic elsewhere in the program gave the terminal back while the console lives on.
        if TAKEN.swap(true, Ordering::SeqCst) {
            return Ok(false);
        }
        take()?;
        self.redraw()?;
        Ok(true)
    }
}
