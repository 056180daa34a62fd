//! `ticket` and `bans`: permissions for machines that have not asked yet, and machines that are sent away for good.

use std::io::{self, Write};

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::domain::facts::Product;
use crate::domain::plan::ProfileName;
use crate::domain::text::Text;
use crate::domain::ticket::{Ban, Ticket, Wants};
use crate::domain::{NodeId, Order, Snapshot, TicketId};

/// What can be done with tickets.
#[derive(Debug, Subcommand)]
pub(super) enum TicketCommand {
    /// Approve the next machines that match; those that wait now come first
    New {
        /// How many machines
        #[arg(long, short = 'n', value_name = "N", default_value_t = 1)]
        count: u32,
        /// Only machines of this model; `*` and `?` stand for anything, case does not matter
        #[arg(long, value_name = "PATTERN")]
        model: Option<String>,
        /// Only media of this product: pve, pbs, pmg or pdm
        #[arg(long, value_parser = product)]
        product: Option<Product>,
        /// Install them with this profile
        #[arg(long)]
        profile: Option<ProfileName>,
        /// How long it is good, such as 30m or 2h
        #[arg(long = "for", value_name = "TIME", default_value = "2h")]
        lasts: SignedDuration,
    },
    /// List what is open: tickets, and reinstalls that nobody has used
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a ticket back; what it has approved stays approved
    Cancel {
        /// Its number, such as t1
        ticket: TicketId,
    },
}

fn product(given: &str) -> Result<Product, String> {
    let words = || Product::ALL.map(Product::short).join(", ");
    let found = Product::ALL.into_iter().find(|product| product.short().eq_ignore_ascii_case(given));
    found.ok_or_else(|| format!("the products are {}", words()))
}

impl TicketCommand {
    /// The order, with the words for its success; `None` where there is none.
    pub(super) fn order(&self, now: Timestamp) -> Option<(String, Order)> {
        match self {
            Self::New { count, model, product, profile, lasts } => {
                let wants = Wants { model: model.as_deref().map(Text::new), product: *product };
                let words = format!("good for {count} of {wants}, for {lasts:#}");
                let expires = now.saturating_add(*lasts).unwrap_or(Timestamp::MAX);
                Some((words, Order::IssueTicket { count: *count, wants, profile: profile.clone(), expires }))
            }
            Self::Cancel { ticket } => {
                Some((format!("ticket {ticket} cancelled"), Order::CancelTicket { ticket: *ticket }))
            }
            Self::List { .. } => None,
        }
    }
}

/// Everything `ticket list --json` prints. Fields are added, never changed.
#[derive(Debug, Serialize)]
struct Listing<'a> {
    tickets: Vec<&'a Ticket>,
    reinstalls: Vec<Reinstall<'a>>,
}

/// A permission to install one node once more.
#[derive(Debug, Serialize)]
struct Reinstall<'a> {
    node: NodeId,
    name: &'a str,
}

/// Writes what is open.
pub(super) fn write_tickets(snapshot: &Snapshot, json: bool, out: &mut impl Write) -> io::Result<()> {
    let tickets: Vec<_> = snapshot.fleet.tickets().map(AsRef::as_ref).collect();
    let allowed = snapshot.fleet.nodes().filter(|node| node.reinstall_allowed);
    let reinstalls: Vec<_> = allowed.map(|node| Reinstall { node: node.id, name: node.name.as_str() }).collect();
    if json {
        serde_json::to_writer_pretty(&mut *out, &Listing { tickets, reinstalls })?;
        return writeln!(out);
    }
    if tickets.is_empty() && reinstalls.is_empty() {
        return writeln!(out, "No ticket is open.");
    }
    for ticket in tickets {
        let left = ticket.expires.duration_since(snapshot.at).as_mins().max(0);
        writeln!(out, "{:<5} {left:>5} min left   {ticket}", ticket.id.to_string())?;
    }
    for Reinstall { node, name } in reinstalls {
        writeln!(out, "{:<5} until it is used   reinstall of {name}", node.to_string())?;
    }
    Ok(())
}

/// Writes the banned machines.
pub(super) fn write_bans(snapshot: &Snapshot, json: bool, out: &mut impl Write) -> io::Result<()> {
    let bans: Vec<&Ban> = snapshot.fleet.bans().map(AsRef::as_ref).collect();
    if json {
        serde_json::to_writer_pretty(&mut *out, &bans)?;
        return writeln!(out);
    }
    if bans.is_empty() {
        return writeln!(out, "No machine is banned.");
    }
    for ban in bans {
        let known = ban.machine.macs.first().map(ToString::to_string);
        let known = known.or_else(|| ban.machine.serial.as_ref().map(ToString::to_string)).unwrap_or_default();
        let line = format!("{:<5} {:<34} {known:<20} {}", ban.id.to_string(), ban.name.as_str(), ban.reason);
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
