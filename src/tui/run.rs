//! The console's loop: one `select!` over everything that can happen, at most one frame every 33 ms, and never a wait
//! for the engine: orders are sent by tasks of their own and their replies come back as messages.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyEvent, KeyEventKind};
use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use nix::sys::signal::Signal;
use ratatui::layout::Size;
use tokio::io::AsyncWriteExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::action::{Action, Msg, Request, Tab, Ticket};
use super::escape::Escapes;
use super::keymap;
use super::modal::Modal;
use super::model::Model;
use super::outlet::Flow;
use super::scanner::{Heard, Scanner, Taking};
use super::terminal::Screen;
use super::update::update;
use super::view;
use super::{Extras, Fault, TuiOptions};
use crate::client::{Client, OrderError, SelfTest};
use crate::domain::{Fqdn, Order, Ordered};

/// Shortest time between two frames.
const FRAME: Duration = Duration::from_millis(33);

/// How often new output is looked for while it is shown.
const POLL: Duration = Duration::from_millis(100);

/// Lines of output taken at once: ten times this a second are followed without loss.
const LINES: usize = 10_000;

/// Orders that may be on their way at once.
const ORDERS: usize = 64;

/// Orders of a batch that are with the engine at once: few enough that machines' own requests find room.
const AT_ONCE: usize = 32;

/// A question that has just opened is read first: no key can have been meant for it yet. The key that opened it has waited,
/// too.
const READING: Duration = Duration::from_millis(120);

/// How long the system may take to stop the program that asked for it.
const STOPPING: Duration = Duration::from_millis(500);

/// Why the console ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The operator left.
    Quit,
    /// The program is shutting down.
    Shutdown,
    /// The terminal is gone.
    TerminalGone,
}

/// Why the console cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// The terminal cannot be used.
    #[error("cannot use the terminal; where there is none, use `serve`")]
    Terminal(#[from] io::Error),
}

/// What is drawn on; the terminal, or a test's buffer.
pub(super) trait Surface {
    /// Its size in characters.
    fn size(&self) -> io::Result<Size>;
    /// How what was drawn gets out.
    fn flow(&self) -> watch::Receiver<Flow>;
    /// Draws a frame. Returns how many bytes it takes.
    fn draw(&mut self, model: &Model) -> io::Result<usize>;
    /// Forgets what is on it, so that the next frame is drawn in full.
    fn redraw(&mut self) -> io::Result<()>;
    /// Puts a text on the clipboard.
    fn copy(&mut self, text: &str) -> io::Result<()>;
    /// Rings its bell.
    fn ring(&mut self) -> io::Result<()>;
    /// Takes over, or gives back, what else there is than the screen.
    fn set(&mut self, extras: Extras) -> io::Result<()>;
    /// Names its window.
    fn entitle(&mut self, words: &str) -> io::Result<()>;
    /// Gives it back to the shell and asks the system to stop the program.
    fn suspend(&mut self) -> io::Result<()>;
    /// Takes it again after the program was stopped, whatever state it is in by then.
    fn resume(&mut self) -> io::Result<()>;
    /// Takes it over again after a panic elsewhere gave it back. Says whether that was so.
    fn recover(&mut self) -> io::Result<bool>;
}

/// Shows the console until the operator leaves, `shutdown` is cancelled or the terminal is gone. The terminal is given
/// back on every way out. `extras` are those of `options` at first.
///
/// # Errors
/// The terminal cannot be used.
pub async fn run<C: Client>(
    client: C,
    options: TuiOptions,
    extras: watch::Receiver<Extras>,
    shutdown: CancellationToken,
) -> Result<Exit, TuiError> {
    // Fails only where the thread cannot be made; then the Log tab stays empty, and the log file has everything.
    let _ = tui_logger::init_logger(tui_logger::LevelFilter::Info);
    let mut screen = Screen::open(&options)?;
    let input = EventStream::new();
    Ok(drive(client, options, extras, shutdown, &mut screen, input).await?)
}

/// The loop's own state beside the model.
struct Console<'a, C, S> {
    client: C,
    surface: &'a mut S,
    model: Model,
    replies: mpsc::Sender<Msg>,
    dirty: bool,
    /// Where to remember that hints were seen.
    hints: Option<PathBuf>,
    /// What fails when it is told to.
    fault: Option<Fault>,
    /// Whether a history is being read.
    is_reading: bool,
    /// Until when the shell may take to stop the program that asked for it.
    suspended: Option<Instant>,
    /// Takes Esc and the key behind it apart.
    escapes: Escapes,
    /// Tells a barcode scanner from a hand.
    scanner: Scanner,
    /// When a key opened the question that is open.
    asked: Option<Instant>,
}

async fn drive<C: Client, S: Surface>(
    client: C,
    options: TuiOptions,
    mut extras: watch::Receiver<Extras>,
    shutdown: CancellationToken,
    surface: &mut S,
    mut input: impl Stream<Item = io::Result<Event>> + Unpin,
) -> io::Result<Exit> {
    let mut snapshots = client.snapshots();
    let first = snapshots.borrow_and_update().clone();
    let model = Model::new(first, Timestamp::now(), TimeZone::system(), surface.size()?, &options);
    let (replies, mut incoming) = mpsc::channel(ORDERS);
    let (mut flow, mut other_flow) = (surface.flow(), surface.flow());
    let TuiOptions { hints, fault, pace, .. } = options;
    let (dirty, is_reading, suspended) = (true, false, None);
    let (escapes, scanner, asked) = (Escapes::default(), Scanner::default(), None);
    let mut console = Console {
        client,
        surface,
        model,
        replies,
        dirty,
        hints,
        fault,
        is_reading,
        suspended,
        escapes,
        scanner,
        asked,
    };
    console.entitle()?;
    let mut engine_lives = true;
    let mut news = false;
    let mut next_frame = Instant::now();
    let mut continued = signal(SignalKind::from_raw(Signal::SIGCONT as i32))?;
    let [mut clock, mut poll] = [Duration::from_secs(1), POLL].map(ticker);
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(Exit::Shutdown),
            () = gone(&mut other_flow) => return Ok(Exit::TerminalGone),
            _ = continued.recv() => console.take_back()?,
            () = sleep_until(console.suspended.unwrap_or(next_frame)), if console.suspended.is_some() => {
                // Nobody stopped it: there is no shell that could continue it.
                console.take_back()?;
            }
            () = due(next_frame, &mut flow), if console.dirty && console.suspended.is_none() => {
                // The model changes to a newer snapshot only here: keys always act on what is on the screen.
                if std::mem::take(&mut news) {
                    let snapshot = snapshots.borrow_and_update().clone();
                    console.tell(Msg::Snapshot(snapshot))?;
                }
                let begun = Instant::now();
                let bytes = console.surface.draw(&console.model)?;
                console.scanner.excuse(begun.elapsed());
                console.escapes.excuse(begun.elapsed());
                console.dirty = false;
                next_frame = Instant::now() + pause(bytes, pace);
            }
            event = input.next() => match event {
                Some(event) => if let Some(exit) = console.on_input(event?)? { return Ok(exit) },
                None => return Ok(Exit::TerminalGone),
            },
            () = sleep_until(console.scanner.due().unwrap_or(next_frame)), if console.scanner.due().is_some() => {
                let keys = console.scanner.overdue(Instant::now());
                if let Some(exit) = console.press_all(keys)? { return Ok(exit) }
            }
            Some(reply) = incoming.recv() => { console.tell(reply)?; }
            changed = snapshots.changed(), if engine_lives && !news => {
                if changed.is_ok() {
                    news = true;
                    console.dirty = true;
                } else {
                    engine_lives = false;
                    console.tell(Msg::EngineGone)?;
                }
            }
            Ok(()) = extras.changed(), if console.suspended.is_none() => {
                let now = *extras.borrow_and_update();
                console.tell(Msg::Extras(now))?;
            }
            _ = poll.tick(), if matches!(console.model.tab, Tab::Ansible | Tab::Log) => console.read_on()?,
            _ = clock.tick() => {
                if console.suspended.is_none() && console.surface.recover()? {
                    console.model.warn("a part of the program failed and was caught; tab 3 and the log file say more");
                    console.measure()?;
                    console.entitle()?;
                }
                console.tell(Msg::Tick(Timestamp::now()))?;
            }
        }
    }
}

/// Resolves when a frame may be drawn: its time has come and the one before is out.
async fn due(at: Instant, flow: &mut watch::Receiver<Flow>) {
    sleep_until(at).await;
    if flow.wait_for(|flow| flow.is_idle()).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Resolves when the terminal takes nothing any more.
async fn gone(flow: &mut watch::Receiver<Flow>) {
    if flow.wait_for(|flow| flow.is_gone).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Time between a frame of so many bytes and the next one, on a line of so many bytes a second.
fn pause(bytes: usize, pace: Option<u32>) -> Duration {
    let sending =
        pace.map(|pace| Duration::from_secs(1).saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX)) / pace.max(1));
    sending.unwrap_or_default().max(FRAME)
}

fn ticker(period: Duration) -> tokio::time::Interval {
    let mut ticker = interval(period);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker
}

/// Writes a new file, never over another.
async fn write_new(file: &'static str, text: String) -> Msg {
    let write = || async {
        let mut to = tokio::fs::File::options().write(true).create_new(true).open(file).await?;
        to.write_all(text.as_bytes()).await?;
        to.flush().await
    };
    Msg::Told(match write().await {
        Ok(()) => Ok(format!("written to `{file}` in the folder the console was started in")),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(format!("`{file}` is there already and was left as it is; move it away first"))
        }
        Err(error) => Err(format!("cannot write `{file}`: {error}")),
    })
}

async fn remember(path: PathBuf) -> Msg {
    Msg::Told(match tokio::fs::write(&path, "").await {
        Ok(()) => Ok("no more hints; `?` lists all keys".to_owned()),
        Err(error) => Err(format!("no more hints now, but they come back: cannot write `{}`: {error}", path.display())),
    })
}

impl<C: Client, S: Surface> Console<'_, C, S> {
    fn on_input(&mut self, event: Event) -> io::Result<Option<Exit>> {
        match event {
            Event::Key(key) => {
                if let Some(fault) = self.fault {
                    fault.on(key);
                }
                if key.kind == KeyEventKind::Release {
                    return Ok(None);
                }
                let is_typing = self.model.modal.as_mut().and_then(Modal::typing).is_some();
                for key in self.escapes.apart(key, Instant::now(), is_typing) {
                    if let Some(exit) = self.hear(key)? {
                        return Ok(Some(exit));
                    }
                }
                Ok(None)
            }
            Event::Paste(text) => self.tell(Msg::Paste(text)),
            Event::Resize(width, height) => self.tell(Msg::Resize(width, height)),
            Event::Mouse(event) => self.tell(Msg::Mouse(event)),
            Event::FocusGained | Event::FocusLost => Ok(None),
        }
    }

    /// A key, or part of a label that a scanner reads.
    fn hear(&mut self, key: KeyEvent) -> io::Result<Option<Exit>> {
        let taking = Taking::of(&mut self.model, key);
        match self.scanner.hear(key, Instant::now(), taking) {
            Heard::Keys(keys) => self.press_all(keys),
            Heard::Unread => {
                self.model.warn("that was typed faster than a hand can; read it, then press Enter");
                self.dirty = true;
                Ok(None)
            }
            Heard::Label { text, then } => {
                self.tell(Msg::Label(text))?;
                let is_taken = self.model.modal.as_mut().and_then(Modal::typing).is_some();
                self.press_all(then.filter(|_| is_taken))
            }
        }
    }

    fn press_all(&mut self, keys: impl IntoIterator<Item = KeyEvent>) -> io::Result<Option<Exit>> {
        for key in keys {
            if let Some(exit) = self.press(key)? {
                return Ok(Some(exit));
            }
        }
        Ok(None)
    }

    /// A key that a hand has pressed. One that would say yes to a question nobody can have read yet says nothing.
    fn press(&mut self, key: KeyEvent) -> io::Result<Option<Exit>> {
        let before = self.model.question();
        let is_new = before.is_some() && self.asked.is_some_and(|asked| asked.elapsed() < READING);
        let says_yes = || {
            let binding = keymap::lookup(key, &self.model.scopes());
            binding.is_some_and(|binding| binding.action == Action::Confirm)
        };
        if is_new && says_yes() {
            self.model.warn("that key came as the question opened; read it, then press again");
            self.dirty = true;
            return Ok(None);
        }
        let exit = self.tell(Msg::Key(key))?;
        // Whoever has pressed another key in it has seen it.
        self.asked = (self.model.question() != before).then(Instant::now);
        Ok(exit)
    }

    /// Takes the terminal back after the program was stopped, by Ctrl-Z or by somebody else.
    fn take_back(&mut self) -> io::Result<()> {
        self.suspended = None;
        self.surface.resume()?;
        self.measure()?;
        self.entitle()?;
        self.tell(Msg::Tick(Timestamp::now())).map(|_| ())
    }

    /// Names the window, which has another program's name wherever it was just taken.
    fn entitle(&mut self) -> io::Result<()> {
        if self.model.rings { self.surface.entitle(&view::title(&self.model)) } else { Ok(()) }
    }

    /// Asks the terminal how large it is: of a change while another program had it, nobody was told.
    fn measure(&mut self) -> io::Result<()> {
        let Size { width, height } = self.surface.size()?;
        if self.model.size != (Size { width, height }) {
            self.tell(Msg::Resize(width, height))?;
        }
        Ok(())
    }

    /// Folds a message in and does what follows from it.
    fn tell(&mut self, msg: Msg) -> io::Result<Option<Exit>> {
        self.dirty = true;
        self.is_reading &= !matches!(msg, Msg::History(..));
        for request in update(&mut self.model, msg) {
            match request {
                Request::Exit => return Ok(Some(Exit::Quit)),
                Request::Write { file, text } => {
                    self.answer(
                        |busy| Msg::Told(Err(format!("`{file}` is not written: {busy}"))),
                        write_new(file, text),
                    );
                }
                Request::SelfTest => {
                    let refused = |busy| Msg::Tested(SelfTest { passed: Vec::new(), failed: Some(busy) });
                    let client = self.client.clone();
                    self.answer(refused, async move { Msg::Tested(client.self_test().await) });
                }
                Request::NoHints => {
                    if let Some(path) = self.hints.take() {
                        let refused = |busy| Msg::Told(Err(format!("no more hints now, but they come back: {busy}")));
                        self.answer(refused, remember(path));
                    }
                }
                Request::Redraw => {
                    self.surface.redraw()?;
                    self.measure()?;
                }
                Request::Extras(extras) => self.surface.set(extras)?,
                Request::Ring => self.surface.ring()?,
                Request::Title(words) => self.surface.entitle(&words)?,
                Request::Copy(text) => self.surface.copy(&text)?,
                Request::Order { ticket, order, done } => self.send(ticket, order, done),
                Request::Preview { ticket, node } => {
                    let refused = |_| Msg::Previewed { ticket, result: Err(OrderError::Busy) };
                    let client = self.client.clone();
                    self.answer(refused, async move {
                        let result = client.preview(node).await.map(Box::new);
                        Msg::Previewed { ticket, result }
                    });
                }
                Request::NewProfile { ticket, wish } => {
                    let refused = |_| Msg::Replied { ticket, done: String::new(), result: Err(OrderError::Busy) };
                    let client = self.client.clone();
                    self.answer(refused, async move {
                        let written = client.new_profile(wish).await;
                        let done =
                            written.as_ref().map(|file| format!("wrote {file}; edit it now, it is read at once"));
                        Msg::Replied { ticket, done: done.unwrap_or_default(), result: written.map(|_| Ordered::Done) }
                    });
                }
                Request::Batch { ticket, done, orders } => self.send_all(ticket, done, orders),
                Request::Suspend => {
                    self.surface.suspend()?;
                    self.suspended = Some(Instant::now() + STOPPING);
                }
            }
        }
        self.look_up();
        Ok(None)
    }

    /// Has something done beside the loop; its message comes back as replies do. The place for it is taken first, so that
    /// what is stuck cannot pile up; where there is none it is not done, which `refused` says.
    fn answer(&mut self, refused: impl FnOnce(String) -> Msg, work: impl Future<Output = Msg> + Send + 'static) {
        let Ok(place) = self.replies.clone().try_reserve_owned() else {
            // What is told back asks for nothing more.
            update(&mut self.model, refused(OrderError::Busy.to_string()));
            return;
        };
        tokio::spawn(async move {
            place.send(work.await);
        });
    }

    fn send(&mut self, ticket: Ticket, order: Order, done: String) {
        let (client, words) = (self.client.clone(), done.clone());
        let refused = |_| Msg::Replied { ticket, done: words, result: Err(OrderError::Busy) };
        self.answer(refused, async move {
            let result = client.order(order).await;
            Msg::Replied { ticket, done, result }
        });
    }

    /// Has the history of the selected node read, where it is shown and has grown. One reading at a time.
    fn look_up(&mut self) {
        let Some(node) = self.model.wants_history().filter(|_| !self.is_reading) else { return };
        let Ok(place) = self.replies.clone().try_reserve_owned() else { return };
        self.is_reading = true;
        let client = self.client.clone();
        tokio::spawn(async move {
            let moments = client.history(node.id).await;
            place.send(Msg::History(node, moments));
        });
    }

    fn send_all(&mut self, ticket: Ticket, done: &'static str, orders: Vec<(Fqdn, Result<Order, String>)>) {
        let Ok(place) = self.replies.clone().try_reserve_owned() else {
            let busy = |(name, _)| (name, Err(OrderError::Busy.to_string()));
            let results = orders.into_iter().map(busy).collect();
            update(&mut self.model, Msg::Settled { ticket, done, results });
            return;
        };
        let client = self.client.clone();
        tokio::spawn(async move {
            let one = |(name, order): (Fqdn, Result<Order, String>)| {
                let client = client.clone();
                async move {
                    let result = match order {
                        Ok(order) => client.order(order).await.map_err(|error| error.to_string()),
                        Err(why) => Err(why),
                    };
                    (name, result)
                }
            };
            let results = futures_util::stream::iter(orders).map(one).buffered(AT_ONCE).collect().await;
            place.send(Msg::Settled { ticket, done, results });
        });
    }

    /// Looks for news that no message announces: output of the run that is shown, lines of the log.
    fn read_on(&mut self) -> io::Result<()> {
        if self.model.tab == Tab::Log {
            self.dirty = true;
            return Ok(());
        }
        let Some(run) = self.model.pager.run() else { return Ok(()) };
        if let Some(progress) = self.client.progress(run)
            && !self.model.runs.has(run, &progress)
        {
            self.tell(Msg::Progress(run, progress))?;
        }
        if let Some(place) = self.model.runs.wanted()
            && let Some(result) = self.client.result(run, place)
        {
            self.tell(Msg::Result(place, result))?;
        }
        let chunk = self.client.output(run, self.model.pager.cursor(), LINES);
        if chunk.next > self.model.pager.cursor() {
            self.tell(Msg::Output(run, chunk))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
