//! The engine with a person in front of it: on a screen, or on a terminal that only prints lines.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use nix::sys::termios::{BaudRate, ControlFlags, tcgetattr};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use super::{EngineOptions, interruption, termination};
use crate::domain::{Fleet, Recorded};
use crate::error::{Exit, Failure, OrExit as _};
use crate::telemetry::Sink;
use crate::{headless, tui};

/// Bytes a second that `--slow` allows: 9600 baud.
const SLOW: u32 = 960;

/// File in the state folder that says the hints were seen.
const HINTS_SEEN: &str = "hints-seen";

/// What the command line says about the terminal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Draw with ASCII only.
    pub ascii: bool,
    /// Draw little and seldom: for serial lines.
    pub slow: bool,
    /// Print lines and draw nothing.
    pub plain: bool,
    /// Fail on purpose; for tests.
    pub fault: Option<tui::Fault>,
}

impl Look {
    /// Whether only lines can be printed: asked for, or all the terminal can do.
    fn is_plain(self) -> bool {
        self.plain || std::env::var("TERM").is_ok_and(|term| term == "dumb")
    }

    /// Where the engine's log goes beside its file.
    pub(super) fn sink(self) -> Sink {
        if self.is_plain() { Sink::File } else { Sink::Console }
    }
}

/// Runs the engine with the console in front of it.
///
/// # Errors
/// What kept the engine from starting or ended it.
pub async fn console(options: &EngineOptions) -> Result<Exit, Failure> {
    require_terminal(options.look)?;
    let engine = Engine::start(options, options.look.sink()).await?;
    attend(engine, options.look).await
}

/// The console needs somebody to look at it; lines can be read from anywhere.
pub(super) fn require_terminal(look: Look) -> Result<(), Failure> {
    if look.plain || (std::io::stdout().is_terminal() && std::io::stdin().is_terminal()) {
        return Ok(());
    }
    let words = "the console needs a terminal; use `prox-orchestrator serve` for the engine without one";
    Err(anyhow::anyhow!(words)).or_exit(Exit::Usage)
}

/// Shows the console until the operator quits, a signal comes or the engine fails; then stops the engine.
pub(super) async fn attend(mut engine: Engine, look: Look) -> Result<Exit, Failure> {
    let closing = CancellationToken::new();
    let logs = engine.log_folder().to_owned();
    // On a task of its own: a panic in the console is caught there, and held machines still get their retry answer.
    let mut console = if look.is_plain() {
        let (events, fleet) = (engine.events(), engine.fleet());
        tokio::spawn(lines(engine.client(), events, fleet, closing.clone()))
    } else {
        let mut extras = engine.extras();
        let options = options(&engine, *extras.borrow_and_update(), look);
        let shown = tui::run(engine.client(), options, extras, closing.clone());
        tokio::spawn(async { shown.await.map_err(anyhow::Error::from) })
    };
    let ended = tokio::select! {
        ended = &mut console => Some(ended),
        () = termination() => None,
        () = engine.failed() => None,
        // On a screen Ctrl-C is a key.
        () = interruption(), if look.is_plain() => None,
    };
    closing.cancel();
    // The engine first: held machines have seconds, the screen can wait for them.
    let outcome = engine.stop().await;
    let was_asked_to = ended.is_none();
    let ended = match ended {
        Some(ended) => ended,
        None => console.await,
    };
    if was_asked_to || outcome.is_err() || !matches!(ended, Ok(Ok(tui::Exit::Quit))) {
        last_words(&logs);
    }
    outcome?;
    ended??;
    Ok(Exit::Success)
}

/// Where to look for what happened, for whoever finds the terminal. Nobody can be told that it is gone.
fn last_words(logs: &Path) {
    let words = format!("prox-orchestrator has ended; its state is safe. Log files: {}", logs.display());
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// Events and questions as lines, and the operator's answers.
async fn lines(
    client: super::LocalClient,
    events: broadcast::Receiver<Arc<Recorded>>,
    fleet: Fleet,
    closing: CancellationToken,
) -> anyhow::Result<tui::Exit> {
    let told = closing.clone();
    let follower = tokio::spawn(async move {
        headless::follow(events, fleet, headless::Form::BesideQuestions, &mut std::io::stdout(), told).await
    });
    let (typed, answers) = mpsc::channel(16);
    // Reading standard input blocks until a line comes: the thread ends with the program.
    std::thread::Builder::new().name("lines".to_owned()).spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if typed.blocking_send(line).is_err() {
                return;
            }
        }
    })?;
    let result = tui::plain(client, answers, &mut std::io::stdout(), closing.clone()).await;
    closing.cancel();
    let _ = follower.await;
    result?;
    Ok(tui::Exit::Quit)
}

/// How this terminal is drawn on.
fn options(engine: &Engine, extras: tui::Extras, look: Look) -> tui::TuiOptions {
    let line = line_speed();
    let pace = if look.slow { Some(line.unwrap_or(SLOW).min(SLOW)) } else { line };
    let seen = engine.state_dir().join(HINTS_SEEN);
    tui::TuiOptions {
        ascii: look.ascii || !is_utf8(),
        colours: colours(),
        background: background(),
        extras,
        pace,
        hints: (!seen.exists()).then_some(seen),
        fault: look.fault,
    }
}

/// What the environment says of the terminal's colours.
fn colours() -> tui::Colours {
    let term = std::env::var("TERM").unwrap_or_default();
    let is_any = |names: &[&str]| names.iter().any(|name| term.starts_with(name));
    if std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty()) || is_any(&["vt1", "vt2", "vt3", "dumb"]) {
        tui::Colours::Mono
    } else if is_any(&["linux", "ansi", "cons", "xterm-color"]) || term == "screen" {
        tui::Colours::Eight
    } else {
        tui::Colours::Sixteen
    }
}

/// Light where the terminal says so: rxvt, konsole and others give colour numbers, the background's last.
fn background() -> tui::Background {
    let said = std::env::var("COLORFGBG").unwrap_or_default();
    match said.rsplit(';').next() {
        Some("7" | "15") => tui::Background::Light,
        _ => tui::Background::Dark,
    }
}

/// Bytes a second that a slow serial line takes; `None` where it is none. A pseudo-terminal says 38400 whatever is
/// behind it.
fn line_speed() -> Option<u32> {
    let settings = tcgetattr(std::io::stdout()).ok()?;
    // Read from the flags and not by `cfgetospeed`: an old mold links that call to an address of nothing.
    let speed = settings.control_flags & ControlFlags::CBAUD;
    let slow = [
        (BaudRate::B1200, 1_200),
        (BaudRate::B2400, 2_400),
        (BaudRate::B4800, 4_800),
        (BaudRate::B9600, 9_600),
        (BaudRate::B19200, 19_200),
    ];
    let (_, baud) = slow.into_iter().find(|(rate, _)| *rate as u32 == speed.bits())?;
    // A start and a stop bit around each byte.
    Some(baud / 10)
}

/// Whether the locale says UTF-8 and the terminal can show it.
fn is_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let says_utf8 = locale.is_some_and(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    });
    let term = std::env::var("TERM").unwrap_or_default();
    says_utf8 && !matches!(term.as_str(), "linux" | "vt100" | "vt220" | "dumb")
}
