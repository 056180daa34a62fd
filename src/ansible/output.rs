//! What the Ansible pane shows: the last lines of a run's `output.log`, tailed from the file and bounded in memory.
//!
//! [`FeedTask`] reads the files; a [`Feed`] is what everybody else holds. The one lock is inside and never held over an
//! await.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::events::{MAX_LINE, Reader};
use super::lines::Splitter;
use super::record;
use super::run_dir::RunDir;
use crate::client::{OutputChunk, Progress};
use crate::domain::RunId;
use crate::domain::grid::Place;
use crate::domain::play::HostTold;

/// Most lines kept of a run.
const MAX_LINES: usize = 20_000;
/// Most bytes kept of a run's lines.
const MAX_BYTES: usize = 8 << 20;
/// Runs kept at once: the one going on and the one looked at.
const MAX_RUNS: usize = 2;
/// How often the file of the run going on is looked at.
const INTERVAL: Duration = Duration::from_millis(100);
/// Bytes taken from a file before its lines are shown.
const STEP: usize = 1 << 20;

/// Lines of runs, for any number of readers.
#[derive(Clone, Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

#[derive(Debug)]
struct Shared {
    rings: Mutex<BTreeMap<RunId, Ring>>,
    /// The one result that is looked at.
    result: Mutex<Option<(RunId, Place, Arc<HostTold>)>>,
    generation: watch::Sender<u64>,
}

#[derive(Debug)]
enum Request {
    /// Show this run, once.
    Load(RunId),
    /// Show this run as it grows.
    Follow(RunId),
    /// Show the result at this place.
    Result(RunId, Place),
    /// It has ended: take the rest, then tell.
    Finish(RunId, oneshot::Sender<()>),
}

impl Feed {
    /// A feed of the runs in the project `dir`, and the task that fills it.
    #[must_use]
    pub fn new(dir: PathBuf) -> (Self, FeedTask) {
        let shared =
            Arc::new(Shared { rings: Mutex::default(), result: Mutex::default(), generation: watch::Sender::new(0) });
        let (requests, incoming) = mpsc::channel(16);
        let task = FeedTask { dir, shared: Arc::clone(&shared), incoming, tails: BTreeMap::new() };
        (Self { shared, requests }, task)
    }

    /// Changes whenever there is something new to read.
    #[must_use]
    pub fn generation(&self) -> watch::Receiver<u64> {
        self.shared.generation.subscribe()
    }

    /// Lines of `run` from number `cursor` on, at most `max`. A run that is not loaded gives none and is fetched; the
    /// generation changes when it is there.
    #[must_use]
    pub fn read(&self, run: RunId, cursor: u64, max: usize) -> OutputChunk {
        if let Some(ring) = self.shared.rings().get(&run) {
            return ring.read(cursor, max);
        }
        // Where the queue is full, the next read asks again.
        let _ = self.requests.try_send(Request::Load(run));
        OutputChunk { lines: Vec::new(), first: cursor, next: cursor }
    }

    /// How far `run` is. A run that is not loaded gives nothing and is fetched.
    #[must_use]
    pub fn progress(&self, run: RunId) -> Option<Arc<Progress>> {
        let found = self.shared.rings().get(&run).map(|ring| Arc::clone(&ring.progress));
        if found.is_none() {
            let _ = self.requests.try_send(Request::Load(run));
        }
        found
    }

    /// The whole result at `place` of `run`'s events. Nothing the first time: it is fetched, and the generation changes
    /// when it is there.
    #[must_use]
    pub fn result(&self, run: RunId, place: Place) -> Option<Arc<HostTold>> {
        let shown = self.shared.result.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match shown {
            Some((of, at, result)) if (of, at) == (run, place) => Some(result),
            Some(_) | None => {
                let _ = self.requests.try_send(Request::Result(run, place));
                None
            }
        }
    }

    /// Shows `run` as it grows, until [`Feed::finish`].
    pub(super) async fn follow(&self, run: RunId) {
        let _ = self.requests.send(Request::Follow(run)).await;
    }

    /// Takes what is left of `run`'s output.
    pub(super) async fn finish(&self, run: RunId) {
        let (done, waiting) = oneshot::channel();
        if self.requests.send(Request::Finish(run, done)).await.is_ok() {
            let _ = waiting.await;
        }
    }
}

impl Shared {
    /// A panic elsewhere leaves at worst a line missing, so a poisoned lock is used on.
    fn rings(&self) -> MutexGuard<'_, BTreeMap<RunId, Ring>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.generation.send_modify(|generation| *generation = generation.wrapping_add(1));
    }
}

/// Reads the files of the runs that are shown.
#[derive(Debug)]
pub struct FeedTask {
    dir: PathBuf,
    shared: Arc<Shared>,
    incoming: mpsc::Receiver<Request>,
    tails: BTreeMap<RunId, Tail>,
}

/// A file on its way into a ring.
#[derive(Debug)]
struct Tail {
    file: Option<File>,
    splitter: Splitter,
    events: Option<File>,
    reader: Reader,
    progress: Progress,
    is_live: bool,
}

impl FeedTask {
    /// Works until `shutdown` or until the last [`Feed`] is gone.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_live = self.tails.values().any(|tail| tail.is_live);
            tokio::select! {
                () = shutdown.cancelled() => return,
                request = self.incoming.recv() => match request {
                    Some(request) => self.handle(request).await,
                    None => return,
                },
                _ = tick.tick(), if is_live => {
                    let live = self.tails.iter().filter(|(_, tail)| tail.is_live).map(|(run, _)| *run);
                    for run in live.collect::<Vec<_>>() {
                        self.drain(run).await;
                    }
                }
            }
        }
    }

    async fn handle(&mut self, request: Request) {
        match request {
            Request::Load(run) => self.open(run, false).await,
            Request::Follow(run) => self.open(run, true).await,
            Request::Result(run, place) => self.look_up(run, place).await,
            Request::Finish(run, done) => {
                self.drain(run).await;
                if let Some(mut tail) = self.tails.remove(&run) {
                    self.keep(run, tail.splitter.finish().into_iter().collect());
                }
                let _ = done.send(());
            }
        }
    }

    async fn open(&mut self, run: RunId, is_live: bool) {
        let is_loaded = self.shared.rings().contains_key(&run);
        match self.tails.get_mut(&run) {
            Some(tail) => tail.is_live |= is_live,
            None if is_loaded && !is_live => return,
            None => {
                let dir = self.dir.clone();
                let about = tokio::task::spawn_blocking(move || about(&dir, run)).await.unwrap_or_default();
                let tail = Tail {
                    file: None,
                    splitter: Splitter::default(),
                    events: None,
                    reader: Reader::default(),
                    progress: about,
                    is_live,
                };
                self.tails.insert(run, tail);
                self.shared.rings().insert(run, Ring::default());
            }
        }
        self.make_room(run);
        self.drain(run).await;
        if !self.tails.get(&run).is_some_and(|tail| tail.is_live)
            && let Some(mut tail) = self.tails.remove(&run)
        {
            self.keep(run, tail.splitter.finish().into_iter().collect());
        }
    }

    /// Forgets the oldest run that neither grows nor was just asked for.
    fn make_room(&mut self, asked: RunId) {
        let mut rings = self.shared.rings();
        while rings.len() > MAX_RUNS {
            let is_spare = |run: &&RunId| **run != asked && !self.tails.get(run).is_some_and(|tail| tail.is_live);
            let Some(spare) = rings.keys().find(is_spare).copied() else { return };
            rings.remove(&spare);
        }
    }

    /// Reads to the present end of the file, showing each step.
    async fn drain(&mut self, run: RunId) {
        let folder = RunDir::new(&self.dir, run);
        while let Some(tail) = self.tails.remove(&run) {
            let folder = folder.clone();
            let step = tokio::task::spawn_blocking(move || {
                let (mut tail, lines, is_more) = read_step(tail, &folder.output());
                let has_events = read_events(&mut tail, &folder.events());
                let news = has_events.then(|| Arc::new(tail.progress.clone()));
                (tail, lines, is_more || has_events, news)
            });
            let Ok((tail, lines, is_more, news)) = step.await else { return };
            self.tails.insert(run, tail);
            self.keep(run, lines);
            self.note(run, news);
            if !is_more {
                return;
            }
        }
    }

    /// Shows how far a run is.
    fn note(&self, run: RunId, news: Option<Arc<Progress>>) {
        let Some(news) = news else { return };
        if let Some(ring) = self.shared.rings().get_mut(&run) {
            ring.progress = news;
        }
        self.shared.changed();
    }

    async fn look_up(&self, run: RunId, place: Place) {
        let path = RunDir::new(&self.dir, run).events();
        let found = tokio::task::spawn_blocking(move || result_at(&path, place)).await;
        // What cannot be read is told in its place: without one it would be asked for again and again.
        let result = match found {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => unreadable(&error),
            Err(error) => unreadable(&error),
        };
        *self.shared.result.lock().unwrap_or_else(PoisonError::into_inner) = Some((run, place, Arc::new(result)));
        self.shared.changed();
    }

    /// Puts lines into the ring; without lines there is still something to tell: that the run is loaded.
    fn keep(&self, run: RunId, lines: Vec<String>) {
        let is_news = {
            let mut rings = self.shared.rings();
            let Some(ring) = rings.get_mut(&run) else { return };
            let is_news = !lines.is_empty() || !std::mem::replace(&mut ring.is_told, true);
            for line in lines {
                ring.push(line);
            }
            is_news
        };
        if is_news {
            self.shared.changed();
        }
    }
}

/// Reads at most [`STEP`] bytes. An unreadable file is like an empty one: the run's own record says what happened.
fn read_step(mut tail: Tail, path: &Path) -> (Tail, Vec<String>, bool) {
    let mut lines = Vec::new();
    if tail.file.is_none() {
        tail.file = File::open(path).ok();
    }
    let Some(file) = tail.file.as_mut() else { return (tail, lines, false) };
    let mut buffer = vec![0; 64 * 1024];
    let mut taken = 0;
    while taken < STEP {
        let Ok(count @ 1..) = file.read(&mut buffer) else { return (tail, lines, false) };
        taken += count;
        tail.splitter.push(buffer.get(..count).unwrap_or_default(), |line| lines.push(line));
    }
    (tail, lines, true)
}

/// Reads at most [`STEP`] bytes of events. Says whether there were any.
fn read_events(tail: &mut Tail, path: &Path) -> bool {
    if tail.events.is_none() {
        tail.events = File::open(path).ok();
    }
    let Tail { events: Some(file), reader, progress, .. } = tail else { return false };
    let mut bytes = Vec::new();
    let read = file.by_ref().take(STEP as u64).read_to_end(&mut bytes);
    let grid = Arc::make_mut(&mut progress.grid);
    reader.push(&bytes, |told, place| grid.take(told, Some(place)));
    read.is_ok_and(|count| count > 0)
}

/// What is known of a run beside its output and events.
fn about(dir: &Path, run: RunId) -> Progress {
    let record = RunDir::new(dir, run).record().ok();
    // A run that is over has no time left to tell.
    let is_over = record.as_ref().is_some_and(|record| record.end.is_some());
    let before = if is_over { None } else { record::course_before(dir, run).map(Arc::new) };
    Progress { grid: Arc::default(), before, command: record.map(|record| record.command) }
}

/// The result in a line of the file of events.
fn result_at(path: &Path, place: Place) -> io::Result<HostTold> {
    let mut file = File::open(path)?;
    file.seek(io::SeekFrom::Start(place.offset))?;
    let mut line = Vec::new();
    file.take(u64::from(place.length).min(MAX_LINE)).read_to_end(&mut line)?;
    Ok(serde_json::from_slice(&line)?)
}

/// Stands in for a result that cannot be read.
fn unreadable(error: &dyn std::error::Error) -> HostTold {
    let msg = format!("this result cannot be read again: {error}; Ansible's own output tells of it, too");
    HostTold { msg: Some(msg), ..HostTold::default() }
}

/// The last lines of one run.
#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<String>,
    bytes: usize,
    /// Number of the first line kept.
    first: u64,
    is_told: bool,
    progress: Arc<Progress>,
}

impl Ring {
    fn push(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(dropped) = self.lines.pop_front() else { return };
            self.bytes -= dropped.len();
            self.first += 1;
        }
    }

    fn read(&self, cursor: u64, max: usize) -> OutputChunk {
        let end = self.first + self.lines.len() as u64;
        let first = cursor.clamp(self.first, end);
        let skip = usize::try_from(first - self.first).unwrap_or(usize::MAX);
        let lines: Vec<String> = self.lines.iter().skip(skip).take(max).cloned().collect();
        let next = first + lines.len() as u64;
        OutputChunk { lines, first, next }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_ring_keeps_the_last_lines_and_their_numbers(count in 0_u64..50_000, cursor in 0_u64..60_000, max in 0_usize..100) {
            let mut ring = Ring::default();
            (0..count).for_each(|number| ring.push(number.to_string()));
            prop_assert!(ring.lines.len() <= MAX_LINES);
            let chunk = ring.read(cursor, max);
            prop_assert!(chunk.lines.len() <= max);
            prop_assert_eq!(chunk.next, chunk.first + chunk.lines.len() as u64);
            for (line, number) in chunk.lines.iter().zip(chunk.first..) {
                prop_assert_eq!(line, &number.to_string());
            }
            prop_assert!(chunk.first >= cursor.min(count));
        }
    }

    #[test]
    fn the_ring_is_bounded_in_bytes() {
        let mut ring = Ring::default();
        (0..10_000).for_each(|_| ring.push("x".repeat(4096)));
        assert!(ring.bytes <= MAX_BYTES);
        assert_eq!(ring.first + ring.lines.len() as u64, 10_000);
    }

    struct Bench {
        dir: tempfile::TempDir,
        feed: Feed,
        stop: tokio_util::sync::DropGuard,
    }

    fn bench() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let (feed, task) = Feed::new(dir.path().to_owned());
        let stop = CancellationToken::new();
        tokio::spawn(task.run(stop.clone()));
        Bench { dir, feed, stop: stop.drop_guard() }
    }

    impl Bench {
        fn file(&self, run: RunId) -> File {
            let run = RunDir::new(self.dir.path(), run);
            std::fs::create_dir_all(run.path()).unwrap();
            run.open_output().unwrap()
        }

        async fn until(&self, run: RunId, lines: usize) -> OutputChunk {
            let mut generation = self.feed.generation();
            let seen = async {
                loop {
                    let chunk = self.feed.read(run, 0, usize::MAX);
                    if chunk.lines.len() >= lines {
                        return chunk;
                    }
                    generation.changed().await.unwrap();
                }
            };
            tokio::time::timeout(Duration::from_secs(10), seen).await.unwrap()
        }
    }

    #[tokio::test]
    async fn a_growing_file_is_followed_and_its_last_line_kept() {
        let bench = bench();
        let run = RunId(1);
        let mut file = bench.file(run);
        bench.feed.follow(run).await;
        writeln!(file, "one").unwrap();
        bench.until(run, 1).await;
        write!(file, "two\nthree").unwrap();
        assert_eq!(bench.until(run, 2).await.lines, ["one", "two"]);
        bench.feed.finish(run).await;
        assert_eq!(bench.feed.read(run, 1, 9).lines, ["two", "three"]);
        drop(bench.stop);
    }

    #[tokio::test]
    async fn a_result_that_cannot_be_read_is_told_once() {
        let bench = bench();
        let (run, place) = (RunId(1), Place { offset: 7, length: 3 });
        let mut generation = bench.feed.generation();
        assert!(bench.feed.result(run, place).is_none());
        tokio::time::timeout(Duration::from_secs(10), generation.changed()).await.unwrap().unwrap();
        let told = bench.feed.result(run, place).unwrap();
        assert!(told.msg.as_ref().unwrap().contains("cannot be read again"), "{told:?}");
        drop(bench.stop);
    }

    #[tokio::test]
    async fn older_runs_are_loaded_on_demand_and_few_are_kept() {
        let bench = bench();
        for number in 1..=4 {
            writeln!(bench.file(RunId(number)), "run {number}").unwrap();
        }
        for number in [4, 1, 2, 3, 1] {
            assert_eq!(bench.until(RunId(number), 1).await.lines, [format!("run {number}")]);
            assert!(bench.feed.shared.rings().len() <= MAX_RUNS);
        }
        assert_eq!(bench.feed.read(RunId(99), 5, 1), OutputChunk { lines: Vec::new(), first: 5, next: 5 });
    }
}
