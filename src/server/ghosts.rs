//! The list of almost-arrivals: who could not even ask, was turned away or went over a limit, by address and cause.
//!
//! Bounded (the one not seen for longest gives way), kept in memory, and logged with a limit: a flood makes a count, not
//! a log file.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::domain::ghost::{Cause, Ghost};
use crate::domain::text::Text;

/// Entries kept.
const ENTRIES: usize = 256;
/// An entry that goes on is logged again after this long.
const LOG_AGAIN: Duration = Duration::from_mins(1);
/// Lines logged in one [`LOG_SPAN`] at most, about all entries.
const LOG_LINES: u32 = 20;
const LOG_SPAN: Duration = Duration::from_secs(10);

/// Almost-arrivals, shared by everything that meets clients; cheap to clone.
#[derive(Clone, Debug)]
pub struct Ghosts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    list: Mutex<List>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct List {
    entries: HashMap<(IpAddr, Cause), Entry>,
    log: Option<LogSpan>,
}

#[derive(Debug)]
struct Entry {
    ghost: Ghost,
    /// Its count when it was last logged, and when that was.
    logged: Option<(u64, Instant)>,
}

#[derive(Debug)]
struct LogSpan {
    began: Instant,
    lines: u32,
    left_out: u64,
}

impl Default for Ghosts {
    fn default() -> Self {
        Self(Arc::new(Shared { list: Mutex::default(), changed: watch::Sender::new(0) }))
    }
}

impl Ghosts {
    /// Notes that `peer` did this.
    pub(super) fn tell(&self, peer: IpAddr, cause: Cause, detail: &str) {
        let line = {
            let mut list = self.0.list.lock().unwrap_or_else(PoisonError::into_inner);
            list.tell(peer, cause, Text::new(detail), (Timestamp::now(), Instant::now()))
        };
        self.0.changed.send_modify(|version| *version += 1);
        let Some(line) = line else { return };
        match cause {
            // Port scanners and health checks of other programs make these, too.
            Cause::HandshakeFailed | Cause::Silent => tracing::info!("{line}"),
            Cause::ReportLost => tracing::error!("{line}"),
            _ => tracing::warn!("{line}"),
        }
    }

    /// The list, the latest first.
    #[must_use]
    pub fn shown(&self) -> Vec<Ghost> {
        let list = self.0.list.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown: Vec<_> = list.entries.values().map(|entry| entry.ghost.clone()).collect();
        shown.sort_by_key(|ghost| (std::cmp::Reverse(ghost.last), ghost.peer, ghost.cause));
        shown
    }

    /// Changes when the list does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }
}

impl List {
    /// Takes a note, and returns what to log.
    fn tell(&mut self, peer: IpAddr, cause: Cause, detail: Text, now: (Timestamp, Instant)) -> Option<String> {
        let key = (peer, cause);
        if !self.entries.contains_key(&key) && self.entries.len() >= ENTRIES {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.ghost.last).map(|(key, _)| *key);
            oldest.map(|key| self.entries.remove(&key));
        }
        let entry = self.entries.entry(key).or_insert_with(|| {
            let ghost = Ghost { peer, cause, detail: Text::default(), first: now.0, last: now.0, count: 0 };
            Entry { ghost, logged: None }
        });
        entry.ghost.last = now.0;
        entry.ghost.count = entry.ghost.count.saturating_add(1);
        entry.ghost.detail = detail;
        if entry.logged.is_some_and(|(_, at)| now.1.duration_since(at) < LOG_AGAIN) {
            return None;
        }
        let span = self.log.get_or_insert(LogSpan { began: now.1, lines: 0, left_out: 0 });
        if now.1.duration_since(span.began) >= LOG_SPAN {
            *span = LogSpan { began: now.1, lines: 0, left_out: span.left_out };
        }
        span.lines += 1;
        if span.lines > LOG_LINES {
            span.left_out += 1;
            return None;
        }
        let before = entry.logged.replace((entry.ghost.count, now.1)).map_or(0, |(count, _)| count);
        let times = match entry.ghost.count - before {
            1 => String::new(),
            times => format!(" ({times} times)"),
        };
        let others = match std::mem::take(&mut span.left_out) {
            0 => String::new(),
            count => format!("; {count} such lines about others were left out"),
        };
        Some(format!("{peer} {}{times}; {}{others}", entry.ghost.words(), cause.cure()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(list: &mut List, last: u32, second: u64, start: Instant) -> Option<String> {
        let at = Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
        let peer = IpAddr::from(std::net::Ipv4Addr::from_bits(last));
        list.tell(peer, Cause::Silent, Text::default(), (at, start + Duration::from_secs(second)))
    }

    #[test]
    fn one_address_is_counted_and_logged_once_a_minute() {
        let (mut list, start) = (List::default(), Instant::now());
        let lines: Vec<_> = (0..150).filter_map(|second| note(&mut list, 1, second, start)).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("0.0.0.1 connected and sent no request; "), "{}", lines[0]);
        assert!(lines[1].contains(" (60 times); "), "{}", lines[1]);
        let entry = list.entries.values().next().unwrap();
        assert_eq!((list.entries.len(), entry.ghost.count), (1, 150));
    }

    #[test]
    fn a_flood_of_addresses_is_bounded_in_memory_and_log() {
        let (mut list, start) = (List::default(), Instant::now());
        let lines: Vec<_> = (0..5_000).filter_map(|number| note(&mut list, number, 0, start)).collect();
        assert_eq!((list.entries.len(), lines.len()), (ENTRIES, 20));
        let line = note(&mut list, 9_999, 11, start).unwrap();
        assert!(line.ends_with("; 4980 such lines about others were left out"), "{line}");
    }

    #[test]
    fn the_latest_comes_first_and_who_waits_is_told() {
        let ghosts = Ghosts::default();
        let changes = ghosts.changes();
        for peer in ["192.0.2.1", "192.0.2.2", "192.0.2.1"] {
            ghosts.tell(peer.parse().unwrap(), Cause::PlainHttp, "a\u{1b}[31m\nb");
        }
        assert!(changes.has_changed().unwrap());
        let shown = ghosts.shown();
        assert_eq!(shown.iter().map(|ghost| ghost.count).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(shown[0].words(), "speaks http on the https port: a[31m b");
    }
}
