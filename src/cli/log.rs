//! `log`: who decided what, when and from where. Reads the event table beside a running engine, or without one.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::{Event, Fleet, NodeId, Recorded};
use crate::error::{Exit, Failure, OrExit as _};
use crate::headless::Narrator;
use crate::store::{Page, Reader};

/// Events read at once.
const PAGE: usize = 1_000;

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct LogArgs {
    /// Only what concerns this node: any host name it ever had, or its id
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Only from then on: a time ago such as 2h, or a moment such as 2026-01-31, 2026-01-31T08:00
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// As JSON lines, as stored
    #[arg(long)]
    json: bool,
}

/// The beginning of what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Ago(SignedDuration),
    At(Timestamp),
}

impl Since {
    fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(time) => now.saturating_sub(time).unwrap_or(Timestamp::MIN),
            Self::At(moment) => moment,
        }
    }
}

fn since(given: &str) -> Result<Since, String> {
    let local = |time: DateTime| time.to_zoned(TimeZone::system()).map(|zoned| zoned.timestamp());
    if let Ok(time) = given.parse::<SignedDuration>() {
        return Ok(Since::Ago(time));
    }
    let moment = given.parse::<Timestamp>().ok();
    let moment = moment.or_else(|| given.parse::<DateTime>().ok().and_then(|time| local(time).ok()));
    let moment = moment.or_else(|| given.parse::<Date>().ok().and_then(|day| local(day.at(0, 0, 0, 0)).ok()));
    moment
        .map(Since::At)
        .ok_or_else(|| "write a time ago (2h, 30m) or a moment (2026-01-31, 2026-01-31T08:00)".to_owned())
}

/// Writes the log.
pub(super) fn execute(args: &LogArgs, state_dir: &Path, out: &mut impl Write) -> Result<Exit, Failure> {
    let reader = Reader::open(state_dir).or_exit(Exit::State)?;
    let since = args.since.map_or(Timestamp::MIN, |since| since.moment(Timestamp::now()));
    let mut teller =
        Teller { narrator: Narrator::new(&Fleet::default()), wanted: args.node.as_deref().map(Wanted::new) };
    let mut out = io::BufWriter::new(out);
    let mut seq = 0;
    loop {
        let page = reader.events(Page::After(seq), None, PAGE).or_exit(Exit::State)?;
        let Some(last) = page.last() else { break };
        seq = last.seq;
        for recorded in &page {
            // Told also where it is not shown: the narrator learns the names.
            let Some(line) = teller.tell(recorded) else { continue };
            if recorded.at < since {
                continue;
            }
            if args.json {
                serde_json::to_writer(&mut out, recorded).map_err(io::Error::from)?;
                writeln!(out)?;
            } else {
                let time = recorded.at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S");
                writeln!(out, "{time}  {line}")?;
            }
        }
    }
    out.flush()?;
    if teller.wanted.as_ref().is_some_and(|wanted| wanted.ids.is_empty()) {
        let named = args.node.as_deref().unwrap_or_default();
        return Err(anyhow::anyhow!("no event is about a node `{named}`; write its host name or id"))
            .or_exit(Exit::Refused);
    }
    Ok(Exit::Success)
}

/// Tells events in words, those that are asked for.
struct Teller<'a> {
    narrator: Narrator,
    wanted: Option<Wanted<'a>>,
}

/// A node by any of its names.
struct Wanted<'a> {
    given: &'a str,
    ids: BTreeSet<NodeId>,
}

impl<'a> Wanted<'a> {
    fn new(given: &'a str) -> Self {
        Self { given, ids: given.parse().into_iter().collect() }
    }

    /// Whether an event is about it; a name given to a row makes that row one of those from then on.
    fn is_about(&mut self, event: &Event, subject: &str) -> bool {
        let Some(node) = event.node() else { return false };
        let name = subject.split_whitespace().next().unwrap_or_default();
        let host = name.split('.').next().unwrap_or_default();
        if [name, host].iter().any(|name| name.eq_ignore_ascii_case(self.given)) {
            self.ids.insert(node);
        }
        let other = match event {
            Event::Swapped { other, .. } => Some(*other),
            _ => None,
        };
        self.ids.contains(&node) || other.is_some_and(|other| self.ids.contains(&other))
    }
}

impl Teller<'_> {
    fn tell(&mut self, recorded: &Recorded) -> Option<String> {
        let line = self.narrator.tell(recorded);
        match &mut self.wanted {
            Some(wanted) => wanted.is_about(&recorded.event, &line).then_some(line),
            None => Some(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("2h", Some(Since::Ago(SignedDuration::from_hours(2))))]
    #[case("1h 30m", Some(Since::Ago(SignedDuration::from_mins(90))))]
    #[case("2026-01-31T08:00:00Z", Some(Since::At("2026-01-31T08:00:00Z".parse().unwrap())))]
    #[case("yesterday", None)]
    fn a_time_or_a_moment(#[case] given: &str, #[case] expected: Option<Since>) {
        assert_eq!(since(given).ok(), expected);
    }

    #[test]
    fn a_day_begins_at_midnight_here() {
        assert!(
            matches!(since("2026-01-31"), Ok(Since::At(_))) && matches!(since("2026-01-31T08:00"), Ok(Since::At(_)))
        );
    }
}
