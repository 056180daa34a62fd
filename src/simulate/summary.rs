//! What happened in a rack, step by step and in sum.
//!
//! Owns the events people and tests read and the figures at the end. It must not decide anything.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hdrhistogram::Histogram;

/// One step in the life of one machine.
#[derive(Clone, Debug, PartialEq)]
pub struct RackEvent {
    /// Number of the machine, from 1.
    pub machine: usize,
    /// The machine's own address.
    pub address: Ipv4Addr,
    /// Time since the rack was started.
    pub after: Duration,
    /// What it did.
    pub step: Step,
}

/// What a machine did or met.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It was switched on.
    PoweredOn {
        /// Model from DMI.
        model: String,
        /// Serial number from DMI.
        serial: String,
    },
    /// It sends its answer request.
    Asked {
        /// How often it has asked, this time included.
        attempt: u32,
    },
    /// It got a reply its release takes for success.
    Answered {
        /// HTTP status.
        status: u16,
        /// From before connecting to the last byte.
        elapsed: Duration,
    },
    /// It turned the answer down before writing to a disk, and reboots.
    Rejected {
        /// The installer's words on its screen.
        message: String,
    },
    /// It sits in a debug shell.
    DebugShell {
        /// The installer's words on its screen.
        why: String,
    },
    /// It cut its connection while its request was held.
    HungUp,
    /// It is going to ask again, or to start the installed system.
    Rebooting,
    /// It powered itself off.
    PoweredOff,
    /// It writes to its disks.
    Installing {
        /// Host name of the answer.
        fqdn: String,
        /// Disks that are wiped.
        disks: Vec<String>,
    },
    /// It crashed in the middle of the installation.
    Crashed,
    /// Its report was accepted.
    Reported {
        /// HTTP status.
        status: u16,
        /// From before connecting to the last byte.
        elapsed: Duration,
    },
    /// Its report was not accepted.
    ReportFailed {
        /// Why not.
        why: String,
    },
    /// It has no report to send, or keeps it to itself.
    NotReporting,
    /// The installed system answers on SSH.
    SshUp {
        /// Where.
        at: SocketAddr,
        /// Host name of the installed system.
        fqdn: String,
    },
    /// The installed system could not open its SSH port.
    SshFailed {
        /// Why not.
        why: String,
    },
    /// The installed system is up, without SSH.
    Up {
        /// Host name of the installed system.
        fqdn: String,
    },
    /// It was switched off at the end.
    Gone,
}

impl fmt::Display for RackEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8.2}s  #{:<5} {:<15} {}", self.after.as_secs_f64(), self.machine, self.address, self.step)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |elapsed: &Duration| elapsed.as_secs_f64() * 1000.0;
        match self {
            Self::PoweredOn { model, serial } => write!(f, "powered on: {} {}", plain(model), plain(serial)),
            Self::Asked { attempt: 1 } => f.write_str("asks for its answer"),
            Self::Asked { attempt } => write!(f, "asks again, for the {attempt}. time"),
            Self::Answered { status, elapsed } => write!(f, "answered: {status} after {:.1} ms", ms(elapsed)),
            Self::Rejected { message } => write!(f, "screen: {}", plain(message)),
            Self::DebugShell { why } => write!(f, "DEBUG SHELL: {}", plain(why)),
            Self::HungUp => f.write_str("lost power while held"),
            Self::Rebooting => f.write_str("reboots"),
            Self::PoweredOff => f.write_str("powers off"),
            Self::Installing { fqdn, disks } => write!(f, "installs {} on {}", plain(fqdn), disks.join(" ")),
            Self::Crashed => f.write_str("crashed while installing"),
            Self::Reported { status, elapsed } => write!(f, "reported: {status} after {:.1} ms", ms(elapsed)),
            Self::ReportFailed { why } => write!(f, "report failed: {}", plain(why)),
            Self::NotReporting => f.write_str("sends no report"),
            Self::SshUp { at, fqdn } => write!(f, "{} answers SSH on {at}", plain(fqdn)),
            Self::SshFailed { why } => write!(f, "no SSH: {}", plain(why)),
            Self::Up { fqdn } => write!(f, "{} is up", plain(fqdn)),
            Self::Gone => f.write_str("switched off"),
        }
    }
}

/// A server's or machine's words, harmless for a terminal.
fn plain(words: &str) -> crate::domain::text::Text {
    crate::domain::text::Text::new(words)
}

/// Figures of a run.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Machines switched on.
    pub machines: u64,
    /// Answer requests sent.
    pub asked: u64,
    /// Replies taken for success.
    pub answered: u64,
    /// Answers turned down with a reboot, as a retry answer is.
    pub rejected: u64,
    /// Machines that ended in a debug shell.
    pub debug_shells: u64,
    /// Machines that powered themselves off.
    pub powered_off: u64,
    /// Requests cut off by the machine.
    pub hung_up: u64,
    /// Installations started, or that would have been in an answers-only run.
    pub installs: u64,
    /// Installations that crashed.
    pub crashed: u64,
    /// Reports accepted.
    pub reported: u64,
    /// Reports not accepted.
    pub reports_failed: u64,
    /// Systems that came up, with SSH or without.
    pub up: u64,
    /// Systems that could not open their SSH port.
    pub ssh_failed: u64,
    /// From start to end.
    pub wall: Duration,
    /// From the first request to the last answer.
    pub answering: Duration,
    first_ask: Option<Duration>,
    answers: Histogram<u64>,
    reports: Histogram<u64>,
}

impl Summary {
    /// Nothing has happened yet.
    pub(super) fn new() -> Result<Self, hdrhistogram::CreationError> {
        // Microseconds up to an hour, three significant digits.
        let histogram = Histogram::new_with_bounds(1, 3_600_000_000, 3)?;
        Ok(Self {
            machines: 0,
            asked: 0,
            answered: 0,
            rejected: 0,
            debug_shells: 0,
            powered_off: 0,
            hung_up: 0,
            installs: 0,
            crashed: 0,
            reported: 0,
            reports_failed: 0,
            up: 0,
            ssh_failed: 0,
            wall: Duration::ZERO,
            answering: Duration::ZERO,
            first_ask: None,
            answers: histogram.clone(),
            reports: histogram,
        })
    }

    /// Counts a step that happened `after` the start.
    pub(super) fn record(&mut self, after: Duration, step: &Step) {
        let micros = |elapsed: &Duration| u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        match step {
            Step::PoweredOn { .. } => self.machines += 1,
            Step::Asked { .. } => {
                self.asked += 1;
                self.first_ask.get_or_insert(after);
            }
            Step::Answered { elapsed, .. } => {
                self.answered += 1;
                self.answers.saturating_record(micros(elapsed));
                self.answering = after.saturating_sub(self.first_ask.unwrap_or_default());
            }
            Step::Rejected { .. } => self.rejected += 1,
            Step::DebugShell { .. } => self.debug_shells += 1,
            Step::HungUp => self.hung_up += 1,
            Step::PoweredOff => self.powered_off += 1,
            Step::Installing { .. } => self.installs += 1,
            Step::Crashed => self.crashed += 1,
            Step::Reported { elapsed, .. } => {
                self.reported += 1;
                self.reports.saturating_record(micros(elapsed));
            }
            Step::ReportFailed { .. } => self.reports_failed += 1,
            Step::SshUp { .. } | Step::Up { .. } => self.up += 1,
            Step::SshFailed { .. } => self.ssh_failed += 1,
            Step::Rebooting | Step::NotReporting | Step::Gone => {}
        }
    }

    /// Time within which this share (0 to 1) of the answers came.
    #[must_use]
    pub fn answer_quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.answers.value_at_quantile(share))
    }

    /// Answers per second between the first request and the last answer.
    #[must_use]
    pub fn answers_per_second(&self) -> f64 {
        let seconds = self.answering.as_secs_f64();
        let answered = u32::try_from(self.answered).map_or(f64::INFINITY, f64::from);
        if seconds > 0.0 { answered / seconds } else { 0.0 }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<22}{:>10}", "machines", self.machines)?;
        for (what, count) in [
            ("requests", self.asked),
            ("answers", self.answered),
            ("turned down, rebooted", self.rejected),
            ("debug shells", self.debug_shells),
            ("powered off", self.powered_off),
            ("hung up while held", self.hung_up),
            ("installations", self.installs),
            ("crashed", self.crashed),
            ("reports accepted", self.reported),
            ("reports refused", self.reports_failed),
            ("systems up", self.up),
            ("SSH failed", self.ssh_failed),
        ] {
            if count > 0 {
                writeln!(f, "{what:<22}{count:>10}")?;
            }
        }
        writeln!(f, "{:<22}{:>9.2}s", "wall time", self.wall.as_secs_f64())?;
        if self.answered > 0 {
            writeln!(f, "{:<22}{:>10.1}", "answers per second", self.answers_per_second())?;
        }
        for (what, times) in [("answer", &self.answers), ("report", &self.reports)] {
            if times.is_empty() {
                continue;
            }
            write!(f, "{what:<8}")?;
            for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
                let time = Duration::from_micros(times.value_at_quantile(share));
                write!(f, "  {name} {:>9.1} ms", time.as_secs_f64() * 1000.0)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_add_up() {
        let mut summary = Summary::new().unwrap();
        let second = Duration::from_secs(1);
        summary.record(second, &Step::Asked { attempt: 1 });
        for n in 1..=100 {
            let elapsed = Duration::from_millis(n);
            summary.record(second * 3, &Step::Answered { status: 200, elapsed });
        }
        assert!((summary.answers_per_second() - 50.0).abs() < 1e-9);
        assert_eq!(summary.answer_quantile(0.5).as_millis(), 50);
        let text = summary.to_string();
        assert!(text.contains("p99      99.0 ms"), "{text}");
        assert!(!text.contains("crashed"), "{text}");
    }

    #[test]
    fn a_servers_words_cannot_hurt_the_terminal() {
        let event = RackEvent {
            machine: 3,
            address: Ipv4Addr::LOCALHOST,
            after: Duration::from_millis(1500),
            step: Step::DebugShell { why: "\u{1b}[31mred\nline".to_owned() },
        };
        assert_eq!(event.to_string(), "    1.50s  #3     127.0.0.1       DEBUG SHELL: [31mred line");
    }
}
