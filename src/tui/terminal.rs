//! The terminal, taken over and given back. Whatever way out the program takes (return, error, panic), the shell gets
//! a usable terminal.

use std::io::{self, Stdout, Write as _, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::style::{Print, ResetColor};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Size;

use super::TuiOptions;
use super::model::Model;
use super::run::Surface;
use super::view;

/// Whether the terminal is ours. A panic hook cannot own a [`Screen`], so this is the one global of the console.
static TAKEN: AtomicBool = AtomicBool::new(false);

static HOOK: Once = Once::new();

/// Mouse reports on: presses and the wheel, in the form without limits. Not every motion: on a slow line that is a flood.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";

const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";

/// Keeps the window's title and brings it back: terminals that do not know it pass over it.
const TITLE_SAVE: &str = "\x1b[22;2t";

const TITLE_BACK: &str = "\x1b[23;2t";

/// What else than the screen is taken over. Set once, before anything is taken.
static EXTRAS: OnceLock<Extras> = OnceLock::new();

#[derive(Clone, Copy, Debug)]
struct Extras {
    mouse: bool,
    title: bool,
}

/// Terminals that print what they do not know, or whose window has no title.
fn has_title() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    ["xterm", "screen", "tmux", "rxvt", "alacritty", "foot", "konsole", "gnome", "st-"]
        .iter()
        .any(|name| term.starts_with(name))
}

/// Our hold on the terminal; dropping it gives the terminal back.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal over.
    pub(super) fn open(options: TuiOptions) -> io::Result<Self> {
        EXTRAS.get_or_init(|| Extras { mouse: options.mouse, title: options.bell && has_title() });
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
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
    if let Some(extras) = EXTRAS.get() {
        let title = if extras.title { TITLE_SAVE } else { "" };
        let mouse = if extras.mouse { MOUSE_ON } else { "" };
        execute!(stdout(), Print(title), Print(mouse))?;
    }
    Ok(())
}

/// Gives the terminal back; does nothing where it is not ours. What fails here cannot be helped any more.
fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        if let Some(extras) = EXTRAS.get() {
            let mouse = if extras.mouse { MOUSE_OFF } else { "" };
            let title = if extras.title { TITLE_BACK } else { "" };
            let _ = execute!(stdout(), Print(mouse), Print(title));
        }
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

    fn ring(&mut self) -> io::Result<()> {
        execute!(stdout(), Print('\u{7}'))
    }

    fn entitle(&mut self, words: &str) -> io::Result<()> {
        match EXTRAS.get() {
            Some(extras) if extras.title => execute!(stdout(), SetTitle(words)),
            Some(_) | None => Ok(()),
        }
    }

    fn suspend(&mut self) -> io::Result<()> {
        restore();
        // The whole job, as the terminal's own Ctrl-Z would; where no shell waits for it, the system ignores it.
        kill(Pid::from_raw(0), Signal::SIGTSTP).map_err(io::Error::from)
    }

    fn resume(&mut self) -> io::Result<()> {
        TAKEN.store(true, Ordering::SeqCst);
        take()?;
        self.redraw()
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
