//! Which process is which: a pid alone is reused, so a process is known by pid, start time and boot
//! (ARCHITECTURE.md, "The edges").

use std::collections::BTreeSet;
use std::{fs, io};

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// Names one process for ever, also across restarts of this program and of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Process id.
    pub(crate) pid: i32,
    /// Field 22 of `/proc/<pid>/stat`: clock ticks from boot to start.
    pub(crate) start_time: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub(crate) boot_id: String,
}

impl Identity {
    /// The identity of this very process.
    pub(crate) fn own() -> io::Result<Self> {
        let pid = Pid::this().as_raw();
        let stat =
            Stat::read(pid).ok_or_else(|| io::Error::other("cannot read `/proc/self/stat`; is /proc mounted?"))?;
        Ok(Self { pid, start_time: stat.start_time, boot_id: boot_id()? })
    }

    /// The identity of no process that ever was.
    pub(crate) fn nobody() -> Self {
        Self { pid: 0, start_time: 0, boot_id: String::new() }
    }

    /// Whether that process still runs; a zombie does not.
    pub(crate) fn is_alive(&self) -> bool {
        boot_id().is_ok_and(|boot| boot == self.boot_id)
            && Stat::read(self.pid).is_some_and(|stat| stat.start_time == self.start_time && !stat.is_dead())
    }

    /// Its id for signals.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.pid)
    }
}

fn boot_id() -> io::Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned())
}

/// A process seen while walking `/proc`, on this boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) pid: i32,
    start_time: u64,
}

impl Seen {
    /// Whether it is still that process and runs.
    pub(crate) fn is_alive(self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.start_time == self.start_time && !stat.is_dead())
    }
}

/// All living descendants of `root`, and all processes whose environment holds `marker` (`NAME=value`), `root` and this
/// process excluded. The marker finds those that left their session or whose parent died.
pub(crate) fn family(root: Option<i32>, marker: &str) -> BTreeSet<Seen> {
    let stats: Vec<Stat> = all_pids().filter_map(Stat::read).filter(|stat| !stat.is_dead()).collect();
    let mut known: BTreeSet<i32> = root.into_iter().collect();
    loop {
        let before = known.len();
        known.extend(stats.iter().filter(|stat| known.contains(&stat.parent)).map(|stat| stat.pid).collect::<Vec<_>>());
        if known.len() == before {
            break;
        }
    }
    let own = Pid::this().as_raw();
    let related = |stat: &&Stat| known.contains(&stat.pid) || has_marker(stat.pid, marker);
    let others = stats.iter().filter(|stat| Some(stat.pid) != root && stat.pid != own).filter(related);
    others.map(|stat| Seen { pid: stat.pid, start_time: stat.start_time }).collect()
}

fn all_pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Only processes of our own user can be read; others are not ours to stop.
fn has_marker(pid: i32, marker: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes())
}

/// The fields used of `/proc/<pid>/stat`.
struct Stat {
    pid: i32,
    state: char,
    parent: i32,
    start_time: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The second field is the command's name in parentheses and may hold spaces and parentheses itself.
    fn parse(line: &str) -> Option<Self> {
        let pid = line.split(' ').next()?.parse().ok()?;
        let mut fields = line.get(line.rfind(')')? + 1..)?.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        // State is field 3 and parent field 4, so the start time (22) is 17 behind.
        let start_time = fields.nth(17)?.parse().ok()?;
        Some(Self { pid, state, parent, start_time })
    }

    fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_command_name_does_not_shift_the_fields() {
        let line = "42 (a) S 1 (b) R 7 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.pid, stat.state, stat.parent, stat.start_time), (42, 'R', 7, 98765));
        assert!(Stat::parse("42 (x").is_none());
        assert!(Stat::parse("").is_none());
    }

    #[test]
    fn this_process_is_alive_and_a_later_start_is_another() {
        let own = Identity::own().unwrap();
        assert!(own.is_alive());
        assert!(!Identity { start_time: own.start_time + 1, ..own.clone() }.is_alive());
        assert!(!Identity { boot_id: "other".to_owned(), ..own }.is_alive());
        assert!(!Identity::nobody().is_alive());
    }

    #[test]
    fn children_and_marked_strangers_are_family() {
        let mut child = std::process::Command::new("sleep").arg("60").env("PROX_TEST_MARK", "yes-1").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let by_parent = family(Some(Pid::this().as_raw()), "PROX_NONE=1");
        assert!(by_parent.iter().any(|seen| seen.pid == pid));
        let by_mark = family(None, "PROX_TEST_MARK=yes-1");
        let found = by_mark.iter().find(|seen| seen.pid == pid).copied().unwrap();
        assert!(found.is_alive());
        child.kill().unwrap();
        assert!(!found.is_alive() || child.wait().is_ok());
        child.wait().unwrap();
        assert!(!found.is_alive());
    }
}
