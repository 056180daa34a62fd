//! A run as a grid of hosts and tasks, folded from its events. Pure, bounded, and cheap to clone: a task's column is
//! shared until it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::play::{HostNumbers, HostTold, PlayEvent, TaskTold, Told};
use super::text::Text;

/// Most tasks kept; a run with more loses its oldest ones from the grid, never from its files.
const MAX_COLUMNS: usize = 2_000;
/// Most hosts kept.
const MAX_HOSTS: usize = 10_000;

/// How a task stands on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellState {
    /// It works.
    Running,
    /// Done, nothing changed.
    Ok,
    /// Done, something changed.
    Changed,
    /// Not for this host.
    Skipped,
    /// Failed, which is ignored.
    Ignored,
    /// Failed.
    Failed,
    /// The host was not reached.
    Unreachable,
}

impl CellState {
    /// The state's one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Changed => "changed",
            Self::Skipped => "skipped",
            Self::Ignored => "ignored",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
        }
    }

    /// One ASCII character that says the same.
    #[must_use]
    pub fn symbol(self) -> char {
        match self {
            Self::Running => '>',
            Self::Ok => '.',
            Self::Changed => 'C',
            Self::Skipped => '-',
            Self::Ignored => 'i',
            Self::Failed => 'F',
            Self::Unreachable => 'U',
        }
    }

    /// Whether it is a failure that counts.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Unreachable)
    }
}

/// A task on a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// How it stands.
    pub state: CellState,
    /// When it began, in seconds since the epoch.
    pub begun: f64,
    /// How long it took, in seconds.
    pub took: Option<f64>,
    /// Rounds of its loop so far.
    pub items: u32,
    /// Tries so far.
    pub tries: u32,
    /// The result's words.
    pub message: Option<Text>,
    /// Where the result is in the file of events.
    pub place: Option<Place>,
}

/// A line of the file of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Byte at which it begins.
    pub offset: u64,
    /// Its bytes.
    pub length: u32,
}

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Unique within the run.
    pub id: String,
    /// Number of its play, from 0.
    pub play: usize,
    /// Its name, after that of its role.
    pub name: Text,
    /// `handler` or `cleanup`, where it is no plain task.
    pub kind: Text,
    /// The module.
    pub action: Text,
    /// `file:line`.
    pub path: Option<Text>,
    /// How many tasks of the same name came before.
    pub earlier: u32,
    /// When it began, in seconds since the epoch.
    pub begun: f64,
    /// When the last result came.
    pub ended: f64,
    /// By number of the host.
    pub cells: BTreeMap<u32, Cell>,
}

impl Column {
    /// Seconds from its begin to its last result.
    #[must_use]
    pub fn took(&self) -> f64 {
        (self.ended - self.begun).max(0.0)
    }

    /// How many hosts stand so.
    #[must_use]
    pub fn count(&self, state: CellState) -> usize {
        self.cells.values().filter(|cell| cell.state == state).count()
    }
}

/// A play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// Its name.
    pub name: Text,
    /// Hosts of this batch.
    pub hosts: usize,
    /// Tasks that could be counted beforehand.
    pub tasks: Option<u32>,
}

/// A host.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// Its name in the inventory.
    pub name: Text,
    /// Number of its latest task, from 0.
    pub latest: Option<usize>,
    /// Tasks done, changed, failed.
    pub done: [u32; 3],
    /// Its numbers at the end.
    pub numbers: Option<HostNumbers>,
}

/// A run as its events tell it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid {
    /// Plays in order.
    pub plays: Vec<Play>,
    /// Tasks in order.
    pub columns: Vec<Arc<Column>>,
    /// Hosts in the order of their first mention.
    pub hosts: Vec<Host>,
    /// Whether Ansible began.
    pub is_started: bool,
    /// Whether the statistics came.
    pub is_complete: bool,
    /// Whether it only checks.
    pub is_check: bool,
    /// Time of the first and of the last event, in seconds since the epoch.
    pub span: Option<(f64, f64)>,
    /// Events that are missing, by their numbers.
    pub lost: u64,
    /// Tasks that are no longer in `columns`.
    pub dropped: usize,
    seq: u64,
    by_task: BTreeMap<String, usize>,
    by_host: BTreeMap<String, u32>,
    names: BTreeMap<String, u32>,
}

impl Grid {
    /// Folds an event in; `place` is where it stands in the file.
    pub fn take(&mut self, told: &Told, place: Option<Place>) {
        if told.seq > self.seq + 1 {
            self.lost += told.seq - self.seq - 1;
        }
        self.seq = self.seq.max(told.seq);
        if told.ts > 0.0 {
            let first = self.span.map_or(told.ts, |(first, _)| first);
            self.span = Some((first, told.ts));
        }
        match &told.what {
            PlayEvent::PlaybookStart { check, .. } => {
                self.is_started = true;
                self.is_check = *check;
            }
            PlayEvent::PlayStart { play, hosts, tasks } => {
                let hosts = hosts.as_deref().unwrap_or_default();
                for host in hosts {
                    self.host(host);
                }
                self.plays.push(Play { name: Text::new(play), hosts: hosts.len(), tasks: *tasks });
            }
            PlayEvent::TaskStart(task) => {
                self.column(task, told.ts);
            }
            PlayEvent::HostStart { host, task_id } => self.begin(host, task_id, told.ts),
            PlayEvent::HostOk(result) => {
                let state = if result.changed { CellState::Changed } else { CellState::Ok };
                self.finish(result, state, told.ts, place);
            }
            PlayEvent::HostFailed(result) => {
                let state = if result.ignored { CellState::Ignored } else { CellState::Failed };
                self.finish(result, state, told.ts, place);
            }
            PlayEvent::HostUnreachable(result) => {
                let state = if result.ignored { CellState::Ignored } else { CellState::Unreachable };
                self.finish(result, state, told.ts, place);
            }
            PlayEvent::HostSkipped(result) => self.finish(result, CellState::Skipped, told.ts, place),
            PlayEvent::ItemOk(result) | PlayEvent::ItemFailed(result) | PlayEvent::ItemSkipped(result) => {
                self.change(result, told.ts, |cell| cell.items = cell.items.saturating_add(1));
            }
            PlayEvent::Retry(result) | PlayEvent::AsyncPoll(result) => {
                self.change(result, told.ts, |cell| cell.tries = cell.tries.saturating_add(1));
            }
            PlayEvent::Stats { hosts } => {
                self.is_complete = true;
                for (name, numbers) in hosts {
                    if let Some(host) = self.host(name) {
                        self.hosts[host as usize].numbers = Some(*numbers);
                    }
                }
            }
            PlayEvent::NoHostsRemaining {} | PlayEvent::Other => {}
        }
    }

    /// The cell of a task on a host.
    #[must_use]
    pub fn cell(&self, column: usize, host: usize) -> Option<&Cell> {
        self.columns.get(column)?.cells.get(&u32::try_from(host).ok()?)
    }

    /// Where failures are, as numbers of task and host, in the order of tasks.
    pub fn failures(&self) -> impl Iterator<Item = (usize, usize)> {
        self.columns.iter().enumerate().flat_map(|(index, column)| {
            let failed = column.cells.iter().filter(|(_, cell)| cell.state.is_failure());
            failed.map(move |(host, _)| (index, *host as usize))
        })
    }

    /// The tasks that took longest, as their numbers.
    #[must_use]
    pub fn slowest(&self, count: usize) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.columns.len()).collect();
        numbers.sort_by(|a, b| self.columns[*b].took().total_cmp(&self.columns[*a].took()));
        numbers.truncate(count);
        numbers
    }

    /// Hosts that have done the latest task, and hosts that take part in it.
    #[must_use]
    pub fn latest(&self) -> Option<(&Column, usize, usize)> {
        let column = self.columns.last()?;
        let running = column.count(CellState::Running);
        Some((column, column.cells.len() - running, column.cells.len()))
    }

    /// Seconds from the first event to the last one.
    #[must_use]
    pub fn took(&self) -> f64 {
        self.span.map_or(0.0, |(first, last)| (last - first).max(0.0))
    }

    /// The run as a [`Course`], to compare later ones with.
    #[must_use]
    pub fn course(&self) -> Course {
        let begun = self.span.map_or(0.0, |(first, _)| first);
        let step = |column: &Arc<Column>| Step {
            task: column.name.as_str().to_owned(),
            at: column.begun - begun,
            took: column.took(),
        };
        Course { took: self.took(), steps: self.columns.iter().map(step).collect() }
    }

    /// Seconds left at `now` (seconds since the epoch), if the run goes as `course` went.
    #[must_use]
    pub fn left(&self, course: &Course, now: f64) -> Option<f64> {
        let known = |column: &&Arc<Column>| course.find(&column.name, column.earlier).is_some();
        let column = self.columns.iter().rev().find(known)?;
        let step = course.find(&column.name, column.earlier)?;
        // A task that takes longer than last time does not eat up the time of the others.
        let spent = (now - column.begun).clamp(0.0, step.took.max(0.1));
        Some((course.took - step.at - spent).max(0.0))
    }

    fn host(&mut self, name: &str) -> Option<u32> {
        if let Some(host) = self.by_host.get(name) {
            return Some(*host);
        }
        let number = u32::try_from(self.hosts.len()).ok().filter(|_| self.hosts.len() < MAX_HOSTS)?;
        self.hosts.push(Host { name: Text::new(name), latest: None, done: [0; 3], numbers: None });
        self.by_host.insert(name.to_owned(), number);
        Some(number)
    }

    /// The number of a task's column, made where it is new.
    fn column(&mut self, task: &TaskTold, at: f64) -> usize {
        if let Some(index) = self.by_task.get(&task.task_id) {
            return *index;
        }
        if self.columns.len() >= MAX_COLUMNS {
            self.forget_half();
        }
        let earlier = self.names.entry(task.task.clone()).or_default();
        let column = Column {
            id: task.task_id.clone(),
            play: self.plays.len().saturating_sub(1),
            name: Text::new(&task.task),
            kind: Text::new(if task.kind == "task" { "" } else { &task.kind }),
            action: Text::new(&task.action),
            path: task.path.as_deref().map(Text::new),
            earlier: *earlier,
            begun: at,
            ended: at,
            cells: BTreeMap::new(),
        };
        *earlier += 1;
        let index = self.columns.len();
        self.columns.push(Arc::new(column));
        self.by_task.insert(task.task_id.clone(), index);
        index
    }

    fn forget_half(&mut self) {
        let half = MAX_COLUMNS / 2;
        self.columns.drain(..half);
        self.dropped += half;
        self.by_task = self.columns.iter().enumerate().map(|(index, column)| (column.id.clone(), index)).collect();
        for host in &mut self.hosts {
            host.latest = host.latest.and_then(|latest| latest.checked_sub(half));
        }
    }

    fn begin(&mut self, host: &str, task_id: &str, at: f64) {
        let (Some(host), Some(index)) = (self.host(host), self.by_task.get(task_id).copied()) else { return };
        let cell = new_cell(at);
        Arc::make_mut(&mut self.columns[index]).cells.entry(host).or_insert(cell);
        self.hosts[host as usize].latest = Some(index);
    }

    /// The numbers of host and task of a result; a task that was not announced is made.
    fn find(&mut self, told: &HostTold, at: f64) -> Option<(u32, usize)> {
        let host = self.host(&told.host)?;
        let task = TaskTold {
            task_id: told.task_id.clone(),
            task: told.task.clone(),
            kind: "task".to_owned(),
            action: told.action.clone(),
            path: None,
        };
        Some((host, self.column(&task, at)))
    }

    fn change(&mut self, told: &HostTold, at: f64, change: impl FnOnce(&mut Cell)) {
        let Some((host, index)) = self.find(told, at) else { return };
        change(Arc::make_mut(&mut self.columns[index]).cells.entry(host).or_insert_with(|| new_cell(at)));
    }

    fn finish(&mut self, told: &HostTold, state: CellState, at: f64, place: Option<Place>) {
        let Some((host, index)) = self.find(told, at) else { return };
        let column = Arc::make_mut(&mut self.columns[index]);
        column.ended = column.ended.max(at);
        let cell = column.cells.entry(host).or_insert_with(|| new_cell(at));
        cell.state = state;
        cell.took = told.dur.or(Some((at - cell.begun).max(0.0)));
        cell.place = place;
        let words = match state {
            CellState::Failed | CellState::Unreachable | CellState::Ignored => Some(told.reason()),
            CellState::Skipped => told.skip_reason.clone(),
            CellState::Running | CellState::Ok | CellState::Changed => told.msg.clone(),
        };
        cell.message = words.as_deref().map(Text::new);
        let row = &mut self.hosts[host as usize];
        row.latest = Some(index);
        row.done[0] += 1;
        row.done[1] += u32::from(state == CellState::Changed);
        row.done[2] += u32::from(state.is_failure());
    }
}

fn new_cell(begun: f64) -> Cell {
    Cell { state: CellState::Running, begun, took: None, items: 0, tries: 0, message: None, place: None }
}

/// How a run went, to compare later ones of the same playbook with.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Course {
    /// Seconds in all.
    pub took: f64,
    /// Its tasks in order.
    pub steps: Vec<Step>,
}

/// A task of a [`Course`].
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Step {
    /// Its name.
    pub task: String,
    /// Seconds from the run's begin to its own.
    pub at: f64,
    /// Seconds it took on all hosts together.
    pub took: f64,
}

impl Course {
    fn find(&self, name: &Text, earlier: u32) -> Option<&Step> {
        self.steps.iter().filter(|step| step.task == name.as_str()).nth(usize::try_from(earlier).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fold(lines: &[&str]) -> Grid {
        let mut grid = Grid::default();
        for line in lines {
            if let Ok(told) = serde_json::from_str::<Told>(line) {
                grid.take(&told, None);
            }
        }
        grid
    }

    const RUN: &[&str] = &[
        r#"{"seq":1,"ts":100.0,"ev":"playbook_start","playbook":"site.yml","new":{}}"#,
        r#"{"seq":2,"ts":100.0,"ev":"play_start","play":"first","hosts":["a.lab","b.lab","c.lab"],"tasks":2}"#,
        r#"{"seq":3,"ts":100.0,"ev":"task_start","task_id":"t1","task":"wait","kind":"task","action":"wait_for"}"#,
        r#"{"seq":4,"ts":100.0,"ev":"host_start","host":"a.lab","task_id":"t1"}"#,
        r#"{"seq":5,"ts":100.0,"ev":"host_start","host":"b.lab","task_id":"t1"}"#,
        r#"{"seq":6,"ts":102.0,"ev":"host_ok","host":"a.lab","task_id":"t1","task":"wait","dur":2.0}"#,
        r#"{"seq":7,"ts":103.0,"ev":"host_unreachable","host":"b.lab","task_id":"t1","task":"wait","msg":"Host key verification failed."}"#,
        r#"{"seq":9,"ts":103.0,"ev":"task_start","task_id":"t2","task":"join","kind":"handler","action":"command"}"#,
        r#"{"seq":10,"ts":103.0,"ev":"host_start","host":"a.lab","task_id":"t2"}"#,
        r#"{"seq":11,"ts":104.0,"ev":"item_ok","host":"a.lab","task_id":"t2","item":"x"}"#,
        r#"{"seq":12,"ts":104.5,"ev":"retry","host":"a.lab","task_id":"t2","attempts":1}"#,
        r#"{"ev":"from the future","seq":13}"#,
    ];

    #[test]
    fn events_become_cells() {
        let grid = fold(RUN);
        assert_eq!((grid.hosts.len(), grid.columns.len(), grid.lost), (3, 2, 1));
        assert!(grid.is_started && !grid.is_complete);
        assert_eq!(grid.cell(0, 0).map(|cell| (cell.state, cell.took)), Some((CellState::Ok, Some(2.0))));
        let wrong = grid.cell(0, 1).unwrap();
        assert!(wrong.message.as_ref().unwrap().as_str().contains("another host key"), "{wrong:?}");
        let running = grid.cell(1, 0).unwrap();
        assert_eq!((running.state, running.items, running.tries), (CellState::Running, 1, 1));
        assert_eq!(grid.columns[1].kind.as_str(), "handler");
        assert_eq!(grid.failures().collect::<Vec<_>>(), [(0, 1)]);
        assert_eq!(
            grid.latest().map(|(column, done, of)| (column.name.as_str().to_owned(), done, of)),
            Some(("join".to_owned(), 0, 1))
        );
        assert_eq!(grid.slowest(1), [0]);
    }

    #[test]
    fn the_time_left_is_that_of_the_last_run() {
        let mut lines = RUN.to_vec();
        lines.push(r#"{"seq":14,"ts":113.0,"ev":"host_ok","host":"a.lab","task_id":"t2","changed":true}"#);
        lines.push(r#"{"seq":15,"ts":120.0,"ev":"stats","hosts":{"a.lab":{"ok":2},"b.lab":{"unreachable":1}}}"#);
        let last = fold(&lines);
        assert!(last.is_complete && last.hosts[1].numbers.unwrap().has_failed());
        assert_eq!(last.hosts[0].done, [2, 1, 0]);
        let course = last.course();
        assert_eq!((course.took, course.steps[1].at, course.steps[1].took), (20.0, 3.0, 10.0));
        // The same begin, now: three seconds into the second task.
        assert_eq!(fold(RUN).left(&course, 106.0), Some(14.0));
        assert_eq!(fold(RUN).left(&course, 999.0), Some(7.0), "it takes longer than last time");
        assert_eq!(fold(&RUN[..1]).left(&course, 100.0), None);
        assert_eq!(fold(RUN).left(&Course::default(), 100.0), None);
    }

    #[test]
    fn it_is_bounded() {
        let mut grid = Grid::default();
        for number in 0..MAX_COLUMNS + 10 {
            let line = format!(r#"{{"ev":"host_ok","host":"h{number}","task_id":"t{number}","task":"x"}}"#);
            grid.take(&serde_json::from_str(&line).unwrap(), None);
        }
        assert!(grid.columns.len() <= MAX_COLUMNS && grid.dropped == MAX_COLUMNS / 2);
        let last = grid.columns.len() - 1;
        assert_eq!(grid.hosts.last().unwrap().latest, Some(last));
        assert_eq!(grid.columns[last].earlier as usize, MAX_COLUMNS + 9);
    }

    proptest! {
        #[test]
        fn no_order_of_events_makes_it_panic(picks in proptest::collection::vec((0_usize..12, 0_u64..30), 0..60)) {
            let mut grid = Grid::default();
            for (pick, seq) in picks {
                let mut told: Told = serde_json::from_str(RUN[pick]).unwrap();
                told.seq = seq;
                grid.take(&told, None);
                for (column, host) in grid.failures() {
                    prop_assert!(grid.cell(column, host).is_some());
                }
            }
            prop_assert!(grid.left(&grid.course(), 50.0).is_none_or(|left| left >= 0.0));
        }
    }
}
