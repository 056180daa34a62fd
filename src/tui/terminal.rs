//! The terminal, taken over and given back. Whatever way out the program takes (return, error, panic), the shell gets
//! a usable terminal, and no terminal that takes nothing holds the program up.

use std::io::{self, Stdout, Write, stdout};
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::{MoveTo, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::style::{Print, ResetColor};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Size;
use tokio::sync::watch;

use super::model::Model;
use super::outlet::{Depth, Flow, Outlet};
use super::run::Surface;
use super::view;
use super::{Colours, Extras, TuiOptions};

/// Whether the terminal is ours. A panic hook cannot own a [`Screen`], so this is the one global of the console.
static TAKEN: AtomicBool = AtomicBool::new(false);

static HOOK: Once = Once::new();

/// How long the terminal may take to be given back; then the program goes on without.
const PATIENCE: Duration = Duration::from_secs(1);

/// Mouse reports on: presses and the wheel, in the form without limits. Not every motion: on a slow line that is a flood.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";

const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";

/// Keeps the window's title and brings it back: terminals that do not know it pass over it.
const TITLE_SAVE: &str = "\x1b[22;2t";

const TITLE_BACK: &str = "\x1b[23;2t";

/// Whether the mouse is taken over with the screen; see [`TAKEN`].
static MOUSE: AtomicBool = AtomicBool::new(false);

/// Whether the window's title is.
static TITLE: AtomicBool = AtomicBool::new(false);

/// What is to be used from now on. Returns whether mouse and title were used before, and whether they are now.
fn choose(extras: Extras) -> [(bool, bool); 2] {
    let is = [(&MOUSE, extras.mouse), (&TITLE, extras.bell && has_title())];
    is.map(|(what, is)| (what.swap(is, Ordering::SeqCst), is))
}

/// What brings mouse and title, where they are used, into this state.
fn extras(are_on: bool) -> [&'static str; 2] {
    let [mouse, title] = if are_on { [MOUSE_ON, TITLE_SAVE] } else { [MOUSE_OFF, TITLE_BACK] };
    [(&MOUSE, mouse), (&TITLE, title)].map(|(is, sequence)| if is.load(Ordering::SeqCst) { sequence } else { "" })
}

/// Terminals that print what they do not know, or whose window has no title, are not among these.
fn has_title() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    let known = ["xterm", "screen", "tmux", "rxvt", "alacritty", "foot", "konsole", "gnome", "st-", "wezterm"];
    known.iter().any(|name| term.starts_with(name))
}

/// Our hold on the terminal; dropping it gives the terminal back.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Outlet>>,
    flow: watch::Receiver<Flow>,
    written: Arc<AtomicUsize>,
}

impl Screen {
    /// Takes the terminal over.
    pub(super) fn open(options: &TuiOptions) -> io::Result<Self> {
        choose(options.extras);
        HOOK.call_once(|| {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                previous(panic);
            }));
        });
        // From here on every way out restores.
        TAKEN.store(true, Ordering::SeqCst);
        Self::take_first(options).inspect_err(|_| restore())
    }

    fn take_first(options: &TuiOptions) -> io::Result<Self> {
        let depth = if options.colours == Colours::Sixteen { Depth::Sixteen } else { Depth::Eight };
        let outlet = Outlet::new(stdout(), depth, || TAKEN.load(Ordering::SeqCst))?;
        let (flow, written) = (outlet.flow(), outlet.written());
        let terminal = Terminal::new(CrosstermBackend::new(outlet))?;
        let mut screen = Self { terminal, flow, written };
        screen.take()?;
        Ok(screen)
    }

    /// Takes what [`restore`] gave back.
    fn take(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        // Marked pastes arrive as one piece and can be kept away from the keys; without it a pasted word presses them.
        let [mouse, title] = extras(true);
        let out = self.terminal.backend_mut();
        // A terminal without an alternate screen, as the Linux console is, still shows what the shell wrote.
        queue!(out, EnterAlternateScreen, Clear(ClearType::All), EnableBracketedPaste)?;
        queue!(out, Print(title), Print(mouse))?;
        Write::flush(out)
    }
}

/// Gives the terminal back; does nothing where it is not ours. What fails here cannot be helped any more.
fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // A thread writes, for a terminal that takes nothing would hold up whoever waits for it.
    let (done, finished) = sync_channel(1);
    let writer = std::thread::Builder::new().spawn(move || {
        let _ = write_restored(&mut stdout());
        let _ = done.send(());
    });
    if writer.is_ok() {
        let _ = finished.recv_timeout(PATIENCE);
    }
    let _ = disable_raw_mode();
}

fn write_restored(out: &mut Stdout) -> io::Result<()> {
    let [mouse, title] = extras(false);
    queue!(out, Print(mouse), Print(title))?;
    // Where there is no alternate screen, what is said last would stand in the midst of the console.
    queue!(out, DisableBracketedPaste, ResetColor, Clear(ClearType::All), MoveTo(0, 0))?;
    execute!(out, LeaveAlternateScreen, ResetColor, Show)
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

    fn flow(&self) -> watch::Receiver<Flow> {
        self.flow.clone()
    }

    fn draw(&mut self, model: &Model) -> io::Result<usize> {
        self.terminal.draw(|frame| view::draw(frame, model))?;
        Ok(self.written.swap(0, Ordering::Relaxed))
    }

    fn redraw(&mut self) -> io::Result<()> {
        // Not `Terminal::clear`: that asks for the cursor's place, and a bare pty never answers. A resize to the same
        // size clears without asking.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(self.terminal.backend_mut(), CopyToClipboard::to_clipboard_from(text))
    }

    fn ring(&mut self) -> io::Result<()> {
        execute!(self.terminal.backend_mut(), Print('\u{7}'))
    }

    fn set(&mut self, extras: Extras) -> io::Result<()> {
        let [mouse, title] = choose(extras);
        if !TAKEN.load(Ordering::SeqCst) {
            // It is taken with the rest.
            return Ok(());
        }
        let out = self.terminal.backend_mut();
        for (on, off, (was, is)) in [(MOUSE_ON, MOUSE_OFF, mouse), (TITLE_SAVE, TITLE_BACK, title)] {
            if was != is {
                queue!(out, Print(if is { on } else { off }))?;
            }
        }
        Write::flush(out)
    }

    fn entitle(&mut self, words: &str) -> io::Result<()> {
        if TITLE.load(Ordering::SeqCst) { execute!(self.terminal.backend_mut(), SetTitle(words)) } else { Ok(()) }
    }

    fn suspend(&mut self) -> io::Result<()> {
        restore();
        // The whole job, as the terminal's own Ctrl-Z would; where no shell waits for it, the system ignores it.
        kill(Pid::from_raw(0), Signal::SIGTSTP).map_err(io::Error::from)
    }

    fn resume(&mut self) -> io::Result<()> {
        // Where the program was stopped from outside nobody gave the terminal back, and crossterm would believe that it
        // is raw still, whatever a shell has made of it meanwhile.
        disable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        self.take()?;
        self.redraw()
    }

    fn recover(&mut self) -> io::Result<bool> {
        // A panic elsewhere in the program gave the terminal back while the console lives on.
        if TAKEN.load(Ordering::SeqCst) {
            return Ok(false);
        }
        self.resume()?;
        Ok(true)
    }
}
