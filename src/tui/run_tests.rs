//! The loop against a fake engine, keys from a channel and a screen in memory.

use std::sync::{Arc, Mutex};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tokio::sync::{Notify, watch};

use super::*;
use crate::client::{Moment, OutputChunk, SelfTest};
use crate::domain::{NodeId, Order, Ordered, RunId, Snapshot};
use crate::tui::fixture::{Rack, busy_rack, key};

#[derive(Clone)]
struct FakeEngine {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    orders: Arc<Mutex<Vec<Order>>>,
    answer: Arc<Notify>,
}

impl Client for FakeEngine {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    async fn order(&self, order: Order) -> Result<Ordered, OrderError> {
        self.orders.lock().unwrap().push(order);
        self.answer.notified().await;
        Ok(Ordered::Done)
    }

    async fn preview(&self, node: NodeId) -> Result<crate::client::Preview, OrderError> {
        Err(crate::domain::Refusal::UnknownNode(node).into())
    }

    async fn new_profile(&self, wish: crate::client::NewProfile) -> Result<String, OrderError> {
        Ok(format!("profiles/{}.toml", wish.name))
    }

    async fn self_test(&self) -> SelfTest {
        SelfTest { passed: vec!["asked in vain".to_owned()], failed: None }
    }

    async fn history(&self, node: NodeId) -> Vec<Moment> {
        vec![Moment { at: Timestamp::UNIX_EPOCH, words: format!("{node} asked") }]
    }

    fn output(&self, _run: RunId, cursor: u64, _max: usize) -> OutputChunk {
        let all = ["first line", "second line"];
        let from = usize::try_from(cursor).unwrap().min(all.len());
        OutputChunk { lines: all[from..].iter().map(ToString::to_string).collect(), first: cursor, next: 2 }
    }

    fn progress(&self, _run: RunId) -> Option<Arc<crate::client::Progress>> {
        None
    }

    fn result(&self, _run: RunId, _place: crate::domain::grid::Place) -> Option<Arc<crate::domain::play::HostTold>> {
        None
    }
}

/// A screen that tells what it shows and counts frames.
struct Paper {
    terminal: Terminal<TestBackend>,
    shown: watch::Sender<(u32, String)>,
    copied: Arc<Mutex<Vec<String>>>,
    fails: bool,
    flow: watch::Sender<Flow>,
    extras: watch::Sender<Option<Extras>>,
    titles: Arc<Mutex<Vec<String>>>,
}

impl Surface for Paper {
    fn size(&self) -> io::Result<Size> {
        Ok(Size { width: 80, height: 24 })
    }

    fn flow(&self) -> watch::Receiver<Flow> {
        self.flow.subscribe()
    }

    fn draw(&mut self, model: &Model) -> io::Result<usize> {
        if self.fails {
            return Err(io::Error::other("the terminal is gone"));
        }
        self.terminal.draw(|frame| view::draw(frame, model)).map_err(io::Error::other)?;
        let text = self.terminal.backend().to_string();
        self.shown.send_modify(|(frames, shown)| {
            *frames += 1;
            *shown = text;
        });
        Ok(0)
    }

    fn redraw(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        self.copied.lock().unwrap().push(text.to_owned());
        Ok(())
    }

    fn ring(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set(&mut self, extras: Extras) -> io::Result<()> {
        self.extras.send_replace(Some(extras));
        Ok(())
    }

    fn entitle(&mut self, words: &str) -> io::Result<()> {
        self.titles.lock().unwrap().push(words.to_owned());
        Ok(())
    }

    fn suspend(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn resume(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn recover(&mut self) -> io::Result<bool> {
        Ok(false)
    }
}

/// A console on a fake engine.
struct Bench {
    keys: mpsc::Sender<Event>,
    snapshots: Option<watch::Sender<Arc<Snapshot>>>,
    shown: watch::Receiver<(u32, String)>,
    orders: Arc<Mutex<Vec<Order>>>,
    answer: Arc<Notify>,
    copied: Arc<Mutex<Vec<String>>>,
    titles: Arc<Mutex<Vec<String>>>,
    /// What the settings say.
    extras: watch::Sender<Extras>,
    /// What the terminal was told of them.
    used: watch::Sender<Option<Extras>>,
    shutdown: CancellationToken,
    console: tokio::task::JoinHandle<io::Result<Exit>>,
}

impl Bench {
    fn start(rack: &Rack, fails: bool) -> Self {
        Self::with(rack, fails, TuiOptions::default())
    }

    fn with(rack: &Rack, fails: bool, options: TuiOptions) -> Self {
        let (snapshot_sender, snapshots) = watch::channel(rack.snapshot());
        let (keys, events) = mpsc::channel(64);
        let (shown_sender, shown) = watch::channel((0, String::new()));
        let orders: Arc<Mutex<Vec<Order>>> = Arc::default();
        let answer = Arc::new(Notify::new());
        let [copied, titles]: [Arc<Mutex<Vec<String>>>; 2] = Default::default();
        let used = watch::Sender::new(None);
        let shutdown = CancellationToken::new();
        let client = FakeEngine { snapshots, orders: orders.clone(), answer: answer.clone() };
        let terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let mut paper = Paper {
            terminal,
            shown: shown_sender,
            copied: copied.clone(),
            fails,
            flow: watch::Sender::new(Flow::default()),
            extras: used.clone(),
            titles: titles.clone(),
        };
        let (extras, wanted) = watch::channel(Extras::default());
        let token = shutdown.clone();
        let input = futures_util::stream::unfold(events, async |mut events| {
            events.recv().await.map(|event| (Ok(event), events))
        });
        let console =
            tokio::spawn(async move { drive(client, options, wanted, token, &mut paper, Box::pin(input)).await });
        let snapshots = Some(snapshot_sender);
        Self { keys, snapshots, shown, orders, answer, copied, titles, extras, used, shutdown, console }
    }

    /// Presses a key as a hand does: some time after the last one.
    async fn press(&self, code: KeyCode) {
        tokio::time::sleep(Duration::from_millis(160)).await;
        self.send(key(code)).await;
    }

    async fn send(&self, event: KeyEvent) {
        self.keys.send(Event::Key(event)).await.unwrap();
    }

    async fn wait_for(&mut self, words: &str) {
        let shows = |shown: &(u32, String)| shown.1.contains(words);
        let waited = tokio::time::timeout(Duration::from_secs(20), self.shown.wait_for(shows)).await.is_ok();
        assert!(waited, "`{words}` never came:\n{}", self.shown.borrow().1);
    }

    async fn end(self) -> io::Result<Exit> {
        self.console.await.unwrap()
    }
}

#[tokio::test]
async fn a_stuck_order_does_not_stop_the_console() {
    let mut bench = Bench::start(&busy_rack(), false);
    bench.wait_for("2 WAITING").await;
    bench.press(KeyCode::Char('n')).await;
    bench.press(KeyCode::Char('n')).await;
    bench.press(KeyCode::Char('a')).await;
    bench.press(KeyCode::Char('4')).await;
    bench.wait_for("prepare-iso").await;
    assert!(matches!(bench.orders.lock().unwrap()[..], [Order::Approve { node: NodeId(9), .. }]));
    bench.answer.notify_one();
    bench.wait_for("approved `pve-0709.example.com`").await;
    bench.press(KeyCode::Char('y')).await;
    bench.wait_for("sent to the clipboard").await;
    assert_eq!(bench.copied.lock().unwrap().len(), 1);
    bench.shutdown.cancel();
    assert_eq!(bench.end().await.unwrap(), Exit::Shutdown);
}

#[tokio::test]
async fn what_is_asked_of_an_engine_that_is_stuck_says_so() {
    let mut bench = Bench::start(&busy_rack(), false);
    bench.wait_for("2 WAITING").await;
    bench.press(KeyCode::Char('n')).await;
    bench.press(KeyCode::Char('n')).await;
    bench.press(KeyCode::Char('a')).await;
    // The key held down: as many orders as may be on their way, and one more.
    for _ in 0..ORDERS {
        bench.send(key(KeyCode::Char('a'))).await;
    }
    bench.wait_for("the engine is busy").await;
    bench.press(KeyCode::Char('p')).await;
    bench.wait_for("the engine is busy").await;
    assert_eq!(bench.orders.lock().unwrap().len(), ORDERS);
    bench.press(KeyCode::Esc).await;
    bench.press(KeyCode::Char('4')).await;
    bench.wait_for("prepare-iso").await;
    for (asks, told) in [('w', "is not written: the engine is busy"), ('t', "the engine is busy")] {
        bench.press(KeyCode::Char(asks)).await;
        bench.wait_for(told).await;
    }
    bench.answer.notify_waiters();
    bench.wait_for("approved `pve-0709.example.com`").await;
    bench.press(KeyCode::Char('t')).await;
    bench.wait_for("asked in vain").await;
    bench.shutdown.cancel();
    assert_eq!(bench.end().await.unwrap(), Exit::Shutdown);
}

#[tokio::test]
async fn snapshots_and_output_reach_the_screen() {
    let mut rack = busy_rack();
    let mut bench = Bench::start(&rack, false);
    bench.wait_for("2 WAITING").await;
    rack.ask(77);
    bench.snapshots.as_ref().unwrap().send_replace(rack.snapshot());
    bench.wait_for("3 WAITING").await;
    bench.press(KeyCode::Char('2')).await;
    bench.wait_for("second line").await;
    bench.snapshots = None;
    bench.wait_for("the engine has stopped").await;
    bench.press(KeyCode::Char('q')).await;
    bench.press(KeyCode::Char('y')).await;
    assert_eq!(bench.end().await.unwrap(), Exit::Quit);
}

#[tokio::test]
async fn a_flood_of_snapshots_costs_few_frames() {
    let rack = busy_rack();
    let mut bench = Bench::start(&rack, false);
    bench.wait_for("2 WAITING").await;
    let before = bench.shown.borrow().0;
    let started = std::time::Instant::now();
    for _ in 0..5_000 {
        bench.snapshots.as_ref().unwrap().send_replace(rack.snapshot());
        tokio::task::yield_now().await;
    }
    bench.press(KeyCode::Char('4')).await;
    bench.wait_for("prepare-iso").await;
    let frames = u128::from(bench.shown.borrow().0 - before);
    assert!(frames <= started.elapsed().as_millis() / FRAME.as_millis() + 3, "{frames} frames");
}

#[tokio::test]
async fn the_detail_shows_what_happened() {
    let mut bench = Bench::start(&busy_rack(), false);
    bench.wait_for("2 WAITING").await;
    bench.press(KeyCode::Enter).await;
    // The page grows when the history has been read.
    while !bench.shown.borrow_and_update().1.contains("m1 asked") {
        bench.press(KeyCode::End).await;
        tokio::time::timeout(Duration::from_secs(20), bench.shown.changed()).await.unwrap().unwrap();
    }
    bench.shutdown.cancel();
    assert_eq!(bench.end().await.unwrap(), Exit::Shutdown);
}

#[tokio::test]
async fn settings_that_change_reach_the_terminal() {
    let mut bench = Bench::start(&busy_rack(), false);
    bench.wait_for("2 WAITING").await;
    let wanted = Extras { mouse: true, bell: false };
    bench.extras.send_replace(wanted);
    let mut used = bench.used.subscribe();
    let told = tokio::time::timeout(Duration::from_secs(20), used.wait_for(Option::is_some)).await;
    assert_eq!(*told.unwrap().unwrap(), Some(wanted));
    bench.shutdown.cancel();
    assert_eq!(bench.end().await.unwrap(), Exit::Shutdown);
}

#[tokio::test]
async fn a_vanished_terminal_ends_the_console() {
    let mut bench = Bench::start(&busy_rack(), false);
    bench.wait_for("2 WAITING").await;
    let Bench { keys, console, .. } = bench;
    drop(keys);
    assert_eq!(console.await.unwrap().unwrap(), Exit::TerminalGone);
    let broken = Bench::start(&busy_rack(), true);
    assert!(broken.end().await.is_err());
}

/// What a scanner types: one key a few milliseconds after the other, and Enter.
async fn scan(bench: &Bench, label: &str) {
    for c in label.chars() {
        bench.send(key(if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) })).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_label_that_is_scanned_gives_no_orders() {
    let mut bench = Bench::start(&busy_rack(), false);
    bench.wait_for("2 WAITING").await;
    bench.press(KeyCode::Char('n')).await;
    // Keys that sort, rename, reset a profile, approve and leave.
    for label in ["USE3120ABC\n", "CZ2214aaq\n", "aqu7MT\n", "xM\n"] {
        scan(&bench, label).await;
        bench.wait_for("no machine shows").await;
        bench.press(KeyCode::Esc).await;
    }
    scan(&bench, "S2HRNX0J403410\n").await;
    bench.wait_for("pve-070a").await;
    bench.press(KeyCode::Char('C')).await;
    bench.wait_for("Profile of").await;
    scan(&bench, "yyCZ2214y\n").await;
    bench.wait_for("faster than a hand").await;
    assert!(bench.orders.lock().unwrap().is_empty(), "{:?}", bench.orders.lock().unwrap());
    bench.shutdown.cancel();
    assert_eq!(bench.end().await.unwrap(), Exit::Shutdown);
}

#[tokio::test]
async fn a_question_that_has_just_opened_takes_no_yes() {
    let mut bench = Bench::start(&busy_rack(), false);
    bench.wait_for("2 WAITING").await;
    bench.press(KeyCode::Char('n')).await;
    bench.press(KeyCode::Char('C')).await;
    tokio::time::sleep(Duration::from_millis(40)).await;
    bench.send(key(KeyCode::Enter)).await;
    bench.wait_for("as the question opened").await;
    assert!(bench.orders.lock().unwrap().is_empty());
    bench.press(KeyCode::Enter).await;
    bench.wait_for("Waiting for the engine").await;
    assert_eq!(bench.orders.lock().unwrap().len(), 1);
    bench.shutdown.cancel();
    assert_eq!(bench.end().await.unwrap(), Exit::Shutdown);
}

#[tokio::test]
async fn a_label_scanned_into_a_question_does_not_carry_it_out() {
    let mut bench = Bench::start(&busy_rack(), false);
    bench.wait_for("2 WAITING").await;
    bench.press(KeyCode::Char('n')).await;
    bench.press(KeyCode::Char('n')).await;
    for (keys, title) in [("b", "Ban "), ("x", "Reject "), ("E", "Host name of"), ("e", "Edit "), ("T\n", "New ticket")]
    {
        for key in keys.chars() {
            // What has just opened takes no yes.
            tokio::time::sleep(Duration::from_millis(160)).await;
            bench.press(if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) }).await;
        }
        bench.wait_for(title).await;
        tokio::time::sleep(Duration::from_millis(160)).await;
        scan(&bench, "0047\n").await;
        bench.wait_for("read it, then press Enter").await;
        bench.press(KeyCode::Esc).await;
    }
    assert!(bench.orders.lock().unwrap().is_empty(), "{:?}", bench.orders.lock().unwrap());
    // A hand that has read it.
    bench.press(KeyCode::Char('x')).await;
    tokio::time::sleep(Duration::from_millis(160)).await;
    scan(&bench, "0047\n").await;
    bench.wait_for("read it, then press Enter").await;
    bench.press(KeyCode::Enter).await;
    bench.wait_for("Waiting for the engine").await;
    assert!(
        matches!(&bench.orders.lock().unwrap()[..], [order] if matches!(order.clone().bare(), Order::Reject { .. }))
    );
    bench.shutdown.cancel();
    assert_eq!(bench.end().await.unwrap(), Exit::Shutdown);
}

#[tokio::test]
async fn alt_out_of_a_line_gives_no_order() {
    let mut bench = Bench::start(&busy_rack(), false);
    bench.wait_for("2 WAITING").await;
    bench.press(KeyCode::Char('n')).await;
    bench.press(KeyCode::Char('n')).await;
    bench.press(KeyCode::Char('/')).await;
    bench.press(KeyCode::Char('p')).await;
    bench.wait_for("12 of 12 rows").await;
    bench.send(KeyEvent::new(KeyCode::Char('a'), KeyModifiers::ALT)).await;
    bench.press(KeyCode::Char('4')).await;
    bench.wait_for("prepare-iso").await;
    assert!(bench.orders.lock().unwrap().is_empty(), "{:?}", bench.orders.lock().unwrap());
    bench.shutdown.cancel();
    assert_eq!(bench.end().await.unwrap(), Exit::Shutdown);
}

/// Whoever opens the console on machines that wait sees them in the window's title.
#[tokio::test]
async fn the_window_has_its_title_from_the_start() {
    let options = TuiOptions { extras: Extras { bell: true, mouse: false }, ..TuiOptions::default() };
    let mut bench = Bench::with(&busy_rack(), false, options);
    bench.wait_for("2 WAITING").await;
    assert!(matches!(&bench.titles.lock().unwrap()[..], [title] if title.contains('3')), "{:?}", bench.titles.lock());
    bench.shutdown.cancel();
    assert_eq!(bench.end().await.unwrap(), Exit::Shutdown);
}
