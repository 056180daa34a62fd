//! Walk mode from the shell.

use std::io::{self, Write};

use clap::Subcommand;
use serde::Serialize;

use crate::domain::{Fqdn, Order, Refusal, Snapshot, WalkView, WalkWish};

/// What can be done about a walk.
#[derive(Debug, Subcommand)]
pub(super) enum WalkCommand {
    /// Begin: along the rows of the plan, by rack and slot
    Start {
        /// Count names up from this one instead, such as pve-01.lab.example.com
        #[arg(long, value_name = "FQDN")]
        from: Option<Fqdn>,
    },
    /// Pass the next slot over: no machine comes for it
    Skip,
    /// Take the last step back: its machine gives the slot up, or it is not skipped
    Back,
    /// Stop
    Stop,
    /// Show the next slot, and how far it is
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// A walk as scripts see it. Fields are added, never changed.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    next: Option<&'a Fqdn>,
    place: Option<&'a str>,
    taken: usize,
    skipped: usize,
    left: Option<usize>,
}

impl WalkCommand {
    /// The order, with the words for its success; `None` where there is only something to show.
    pub(super) fn order(self, snapshot: &Snapshot) -> Result<Option<(String, Order)>, Refusal> {
        let view = || snapshot.fleet.walk_view().ok_or(Refusal::NoWalk);
        let (words, wish) = match self {
            Self::Start { from: Some(first) } => {
                (format!("walking: new machines are named from {first} on"), WalkWish::Start { first: Some(first) })
            }
            Self::Start { from: None } => {
                let words = "walking: each new machine takes the next slot of the plan".to_owned();
                (words, WalkWish::Start { first: None })
            }
            Self::Skip => {
                let slot = view()?.next.ok_or(Refusal::WalkIsDone)?.0;
                (format!("skipped {slot}"), WalkWish::Skip { slot })
            }
            Self::Back => {
                let slot = view()?.back.ok_or(Refusal::NothingWalked)?;
                (format!("one step back: {slot} is free again"), WalkWish::Back { slot })
            }
            Self::Stop => ("the walk is over".to_owned(), WalkWish::Stop),
            Self::Show { .. } => return Ok(None),
        };
        Ok(Some((words, Order::Walk { wish })))
    }
}

/// Writes where the walk stands.
pub(super) fn write_walk(snapshot: &Snapshot, json: bool, out: &mut impl Write) -> io::Result<()> {
    let view = snapshot.fleet.walk_view();
    if json {
        let shown = view.as_ref().map(|WalkView { next, taken, skipped, left, .. }| Shown {
            next: next.as_ref().map(|(name, _)| name),
            place: next.as_ref().and_then(|(_, place)| place.as_deref()),
            taken: *taken,
            skipped: *skipped,
            left: *left,
        });
        serde_json::to_writer_pretty(&mut *out, &shown)?;
        return writeln!(out);
    }
    let Some(view) = view else { return writeln!(out, "no walk goes on; `walk start` begins one") };
    match &view.next {
        Some((name, Some(place))) => writeln!(out, "next     {name} in {place}")?,
        Some((name, None)) => writeln!(out, "next     {name}")?,
        None => writeln!(out, "next     no slot is left")?,
    }
    writeln!(out, "taken    {}", view.taken)?;
    writeln!(out, "skipped  {}", view.skipped)?;
    if let Some(left) = view.left {
        writeln!(out, "left     {left}")?;
    }
    Ok(())
}
