//! What this fleet has taught about time: how long installing and booting take, for each hardware model.
//!
//! Learnt from events alone, so a replay knows the same. Deadlines and estimates come from here; the configured
//! deadlines hold until a model has been seen often enough.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Fleet;
use crate::domain::command::Origin;
use crate::domain::event::{Event, Recorded};
use crate::domain::node::Node;
use crate::domain::phase::Phase;
use crate::domain::text::Text;

/// Times kept of one leg of one model, the newest.
pub(super) const SAMPLES: usize = 16;

/// Times it takes to know a model.
const ENOUGH: usize = 3;

/// Models known at once; more are not learnt.
const MODELS: usize = 1_000;

/// Slack on every learnt deadline: machines wait for DHCP, people for coffee.
const SLACK: Duration = Duration::from_mins(1);

/// A part of the way from the answer to a node that can be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// From the answer to the report.
    Install,
    /// From the report to SSH with the right key.
    Boot,
}

/// The times of one model, in seconds, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Times {
    #[serde(default)]
    install: Vec<u32>,
    #[serde(default)]
    boot: Vec<u32>,
}

/// How long a leg usually takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The median.
    pub usual: Duration,
    /// The median distance from it.
    pub spread: Duration,
}

/// How far a node is on its present leg, as far as its model's past can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LegProgress {
    /// How much of the usual time has passed, 0 to 99.
    pub percent: u8,
    /// What is left of the usual time, in seconds; 0 where it takes longer than usual.
    pub seconds_left: u64,
}

impl Times {
    fn of(&self, leg: Leg) -> &[u32] {
        match leg {
            Leg::Install => &self.install,
            Leg::Boot => &self.boot,
        }
    }

    fn add(&mut self, leg: Leg, seconds: u32) {
        let times = match leg {
            Leg::Install => &mut self.install,
            Leg::Boot => &mut self.boot,
        };
        times.push(seconds);
        if times.len() > SAMPLES {
            times.remove(0);
        }
    }
}

impl Pace {
    pub(super) fn of(times: &[u32]) -> Option<Self> {
        if times.len() < ENOUGH {
            return None;
        }
        let usual = median(times.to_vec());
        let spread = median(times.iter().map(|time| time.abs_diff(usual)).collect());
        Some(Self { usual: Duration::from_secs(usual.into()), spread: Duration::from_secs(spread.into()) })
    }

    /// When something is wrong: well beyond what this model has shown.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.usual + (4 * self.spread).max(self.usual / 2) + SLACK
    }

    /// `6` where it takes six minutes, `less than one` where it takes less.
    #[must_use]
    pub fn words(&self) -> String {
        match (self.usual.as_secs() + 30) / 60 {
            0 => "less than one".to_owned(),
            minutes => minutes.to_string(),
        }
    }
}

fn median(mut values: Vec<u32>) -> u32 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl Fleet {
    /// How long this leg usually takes machines of `node`'s model, where enough is known.
    #[must_use]
    pub fn pace(&self, node: &Node, leg: Leg) -> Option<Pace> {
        Pace::of(self.state.times.get(&model(node))?.of(leg))
    }

    /// How long a leg may take before something is wrong.
    pub(super) fn deadline(&self, node: &Node, leg: Leg) -> Duration {
        let configured = match leg {
            Leg::Install => self.policy.install_deadline,
            Leg::Boot => self.policy.boot_deadline,
        };
        self.pace(node, leg).map_or(configured, |pace| pace.deadline())
    }

    /// How far a node is; `None` where it is on no leg or its model is not known yet.
    #[must_use]
    pub fn progress(&self, node: &Node, now: Timestamp) -> Option<LegProgress> {
        let (leg, since) = match node.phase {
            Phase::Installing => (Leg::Install, node.answers.as_ref()?.last),
            Phase::Installed | Phase::Booting => (Leg::Boot, node.report.as_ref()?.at),
            Phase::Planned
            | Phase::Waiting
            | Phase::Rejected { .. }
            | Phase::Approved
            | Phase::Stalled { .. }
            | Phase::Ready
            | Phase::Unreachable { .. }
            | Phase::Configuring
            | Phase::Configured
            | Phase::Failed { .. } => return None,
        };
        let usual = self.pace(node, leg)?.usual.as_secs().max(1);
        let elapsed = u64::try_from(now.duration_since(since).as_secs()).unwrap_or_default();
        let percent = u8::try_from(elapsed.saturating_mul(100) / usual).unwrap_or(u8::MAX).min(99);
        Some(LegProgress { percent, seconds_left: usual.saturating_sub(elapsed) })
    }

    /// Takes in how long a leg took. Called before the event is applied.
    pub(super) fn learn_time(&mut self, recorded: &Recorded) {
        let (id, leg) = match (&recorded.event, &recorded.origin) {
            // One that the operator adopted may be hours old.
            (Event::ReportAccepted { node, proven: true, .. }, Origin::Peer(_)) => (*node, Leg::Install),
            (Event::BecameReady { node }, _) => (*node, Leg::Boot),
            _ => return,
        };
        let Some(node) = self.node(id) else { return };
        let since = match leg {
            Leg::Install => node.answers.as_ref().filter(|_| node.report.is_none()).map(|answers| answers.last),
            Leg::Boot => node.report.as_ref().filter(|_| !node.was_ready).map(|reported| reported.at),
        };
        let took = since.and_then(|since| u32::try_from(recorded.at.duration_since(since).as_secs()).ok());
        let (Some(took), model) = (took, model(node)) else { return };
        if self.state.times.len() < MODELS || self.state.times.contains_key(&model) {
            Arc::make_mut(self.state.times.entry(model).or_default()).add(leg, took);
        }
    }
}

fn model(node: &Node) -> Text {
    node.model().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_a_median_with_its_spread() {
        assert_eq!(Pace::of(&[300, 400]), None, "too few");
        let pace = Pace::of(&[360, 300, 420, 5_000, 350]).unwrap();
        assert_eq!((pace.usual.as_secs(), pace.spread.as_secs()), (360, 60), "one outlier moves nothing");
        assert_eq!(pace.deadline(), Duration::from_mins(6 + 4 + 1));
        assert_eq!(pace.words(), "6");
        assert_eq!(Pace::of(&[0, 0, 0]).unwrap().deadline(), SLACK);
    }

    #[test]
    fn only_the_newest_times_count() {
        let mut times = Times::default();
        (0..40).for_each(|second| times.add(Leg::Boot, second));
        assert_eq!(times.of(Leg::Boot), (24..40).collect::<Vec<_>>());
        assert!(times.of(Leg::Install).is_empty());
    }
}
