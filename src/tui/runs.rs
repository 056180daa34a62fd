//! Where the operator is in the Ansible tab: at the output, at a place in the grid of hosts and tasks, or at one result.

use std::sync::Arc;

use crate::client::Progress;
use crate::domain::RunId;
use crate::domain::grid::{Cell, Column, Grid, Place};
use crate::domain::play::HostTold;

/// What is in front.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Level {
    /// Ansible's own output.
    #[default]
    Output,
    /// Hosts and tasks.
    Grid,
    /// What came of one task on one host.
    Result,
}

/// The Ansible tab beside its output.
#[derive(Debug, Default)]
pub(super) struct RunsPane {
    /// What is in front.
    pub(super) level: Level,
    /// How far the run is that is shown.
    progress: Option<(RunId, Arc<Progress>)>,
    /// The task the keys act on; `None` follows the latest one.
    column: Option<usize>,
    /// The host the keys act on.
    pub(super) host: usize,
    /// How far the result is scrolled.
    pub(super) top: usize,
    /// The result that was fetched, and where it is from.
    result: Option<(Place, Arc<HostTold>)>,
}

impl RunsPane {
    /// Another run is shown: what is known of the one before does not count.
    pub(super) fn show(&mut self, run: Option<RunId>) {
        if self.progress.as_ref().map(|(run, _)| *run) != run {
            *self = Self { level: self.level.min_grid(), ..Self::default() };
        }
    }

    /// Whether this is known already.
    pub(super) fn has(&self, run: RunId, progress: &Arc<Progress>) -> bool {
        self.progress.as_ref().is_some_and(|(of, known)| *of == run && Arc::ptr_eq(known, progress))
    }

    /// Takes in how far `run` is.
    pub(super) fn take(&mut self, run: RunId, progress: Arc<Progress>) {
        self.progress = Some((run, progress));
    }

    /// Takes in a result.
    pub(super) fn take_result(&mut self, place: Place, result: Arc<HostTold>) {
        self.result = Some((place, result));
    }

    /// How far the run is.
    pub(super) fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref().map(|(_, progress)| &**progress)
    }

    /// Hosts and tasks, where Ansible has told of any.
    pub(super) fn grid(&self) -> Option<&Grid> {
        self.progress().map(|progress| &*progress.grid).filter(|grid| !grid.columns.is_empty())
    }

    /// Number of the task the keys act on.
    pub(super) fn column(&self) -> usize {
        let last = self.grid().map_or(0, |grid| grid.columns.len().saturating_sub(1));
        self.column.unwrap_or(last).min(last)
    }

    /// The task the keys act on.
    pub(super) fn task(&self) -> Option<&Column> {
        self.grid()?.columns.get(self.column()).map(AsRef::as_ref)
    }

    /// The task on the host the keys act on.
    pub(super) fn cell(&self) -> Option<&Cell> {
        self.grid()?.cell(self.column(), self.host)
    }

    /// The result at the place the keys act on, if it was fetched.
    pub(super) fn result(&self) -> Option<&HostTold> {
        let place = self.cell()?.place?;
        self.result.as_ref().filter(|(of, _)| *of == place).map(|(_, result)| &**result)
    }

    /// The result to be fetched.
    pub(super) fn wanted(&self) -> Option<Place> {
        let place = self.cell()?.place.filter(|_| self.level == Level::Result)?;
        (self.result.as_ref().map(|(of, _)| *of) != Some(place)).then_some(place)
    }

    /// Moves by hosts.
    pub(super) fn step_host(&mut self, by: isize) {
        let last = self.grid().map_or(0, |grid| grid.hosts.len().saturating_sub(1));
        self.host = self.host.saturating_add_signed(by).min(last);
        self.top = 0;
    }

    /// Moves by tasks; at the last one the latest is followed.
    pub(super) fn step_task(&mut self, by: isize) {
        let last = self.grid().map_or(0, |grid| grid.columns.len().saturating_sub(1));
        let there = self.column().saturating_add_signed(by).min(last);
        self.column = (there < last).then_some(there);
        self.top = 0;
    }

    /// Goes to the next failure, or the one before; around the corner. Says whether there is one.
    pub(super) fn step_failure(&mut self, forward: bool) -> bool {
        let Some(grid) = self.grid() else { return false };
        let failures: Vec<(usize, usize)> = grid.failures().collect();
        // Nothing was looked for in the output yet: it begins at the first one.
        let is_new = self.level == Level::Output && self.column.is_none();
        let here = (self.column(), self.host);
        let next = if is_new {
            if forward { failures.first() } else { failures.last() }
        } else if forward {
            failures.iter().find(|place| **place > here).or(failures.first())
        } else {
            failures.iter().rfind(|place| **place < here).or(failures.last())
        };
        let Some((column, host)) = next.copied() else { return false };
        self.column = Some(column);
        self.host = host;
        self.top = 0;
        true
    }
}

impl Level {
    /// Nobody looks at a result of another run.
    fn min_grid(self) -> Self {
        if self == Self::Result { Self::Grid } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::play::Told;

    fn pane() -> RunsPane {
        let mut grid = Grid::default();
        for (line, at) in [
            (r#"{"ev":"host_ok","host":"a.lab","task_id":"1","task":"one"}"#, 0),
            (r#"{"ev":"host_failed","host":"b.lab","task_id":"1","task":"one","msg":"x"}"#, 10),
            (r#"{"ev":"host_unreachable","host":"a.lab","task_id":"2","task":"two","msg":"y"}"#, 20),
        ] {
            let told: Told = serde_json::from_str(line).unwrap();
            grid.take(&told, Some(Place { offset: at, length: 10 }));
        }
        let mut pane = RunsPane::default();
        let progress = Arc::new(Progress { grid: Arc::new(grid), ..Progress::default() });
        assert!(!pane.has(RunId(1), &progress));
        pane.take(RunId(1), Arc::clone(&progress));
        assert!(pane.has(RunId(1), &progress));
        pane
    }

    #[test]
    fn failures_are_visited_in_order_and_around_the_corner() {
        let mut pane = pane();
        pane.step_task(-5);
        let mut seen = Vec::new();
        for forward in [true, true, true, false] {
            assert!(pane.step_failure(forward));
            seen.push((pane.column(), pane.host));
        }
        assert_eq!(seen, [(0, 1), (1, 0), (0, 1), (1, 0)]);
        for (forward, first) in [(true, (0, 1)), (false, (1, 0))] {
            let mut pane = self::pane();
            assert!(pane.step_failure(forward));
            assert_eq!((pane.column(), pane.host), first, "nothing was looked for yet");
        }
        assert!(!RunsPane::default().step_failure(true));
    }

    #[test]
    fn the_result_asked_for_is_that_of_the_place() {
        let mut pane = pane();
        assert_eq!((pane.column(), pane.host, pane.wanted()), (1, 0, None));
        pane.level = Level::Result;
        let place = pane.wanted().unwrap();
        assert_eq!(place.offset, 20);
        pane.take_result(place, Arc::default());
        assert!(pane.wanted().is_none() && pane.result().is_some());
        pane.step_task(-1);
        assert_eq!((pane.wanted().map(|place| place.offset), pane.result()), (Some(0), None));
        pane.show(Some(RunId(2)));
        assert_eq!((pane.level, pane.cell()), (Level::Grid, None));
    }
}
