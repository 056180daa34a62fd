//! Commands that order something of a running engine.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::ticket::TicketCommand;
use super::walk::{self, WalkCommand};
use super::{select, ticket};
use crate::api::client::RemoteEngine;
use crate::api::{Answered, OrderResponse};
use crate::domain::fleet::who_stays;
use crate::domain::options::{parse_assignment, parse_assignments};
use crate::domain::text::Text;
use crate::domain::{BanId, Fqdn, MacAddr, Node, NodeId, Order, Phase, RunOptions, Snapshot, Stamp};
use crate::error::{Exit, Failure, OrExit as _};

/// Names listed in full.
const NAMED: usize = 6;

/// What can be ordered.
#[derive(Debug, Subcommand)]
pub(super) enum OrderCommand {
    /// Let waiting machines be installed
    Approve {
        /// Host names, ids, or the beginning of either
        #[arg(required_unless_present = "all")]
        nodes: Vec<String>,
        /// Every machine that waits at this moment; none that comes later
        #[arg(long, conflicts_with = "nodes")]
        all: bool,
        /// Without the time in which it can be taken back
        #[arg(long)]
        now: bool,
    },
    /// Send a machine away
    Reject {
        /// Host name, id, or the beginning of either
        node: String,
        /// Words for the record and the machine's screen
        #[arg(long, default_value = "")]
        reason: String,
        /// Without the time in which it can be taken back
        #[arg(long)]
        now: bool,
    },
    /// Take a decision back: a new one, an approval or reinstall nobody has used, or a rejection
    Undo {
        /// Host names, ids, or the beginning of either
        #[arg(required = true)]
        nodes: Vec<String>,
    },
    /// Let an installed node be installed once more; this wipes it
    Reinstall {
        /// Host name, id, or the beginning of either
        node: String,
        /// Its whole host name, typed again
        #[arg(long, value_name = "FQDN")]
        confirm: Fqdn,
        /// Without the time in which it can be taken back
        #[arg(long)]
        now: bool,
    },
    /// Say that two rows are the same machine; the one that may be installed stays, else the older
    Merge {
        /// Host name, id, or the beginning of either
        node: String,
        /// The other one
        other: String,
    },
    /// Say that the machine which asked last is another one; undoes a merge
    Split {
        /// Host name, id, or the beginning of either
        node: String,
        /// Its whole host name, typed again, where it may be installed
        #[arg(long, value_name = "FQDN")]
        confirm: Option<Fqdn>,
    },
    /// Approve machines beforehand: so many of this model, for a while
    Ticket {
        #[command(subcommand)]
        command: TicketCommand,
    },
    /// Refuse a machine from now on, without a row
    Ban {
        /// Host name, id, or the beginning of either
        node: String,
        /// Words for the record and the machine's screen
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Lift a ban; the machine is a stranger when it asks again
    Unban {
        /// The ban's number, such as b1
        ban: BanId,
    },
    /// Give a node another host name
    Rename {
        /// Host name, id, or the beginning of either
        node: String,
        /// The new name, with its domain
        #[arg(value_name = "NEW-FQDN")]
        name: Fqdn,
    },
    /// Let two machines change places before they install: name, address, row of the plan, profile; again undoes it
    Swap {
        /// Host name, id, or the beginning of either
        node: String,
        /// The other one
        other: String,
    },
    /// Keep a note about a node; without words it is taken away
    Note {
        /// Host name, id, or the beginning of either
        node: String,
        /// The note
        #[arg(trailing_var_arg = true)]
        words: Vec<String>,
    },
    /// Walk along the rack: each new machine takes the next planned slot or name; approves nobody
    Walk {
        #[command(subcommand)]
        command: WalkCommand,
    },
    /// Give a node an address: before it installs the one of its answer, later the one where Ansible reaches it
    Address {
        /// Host name, id, or the beginning of either
        node: String,
        /// The address
        address: IpAddr,
    },
    /// Say which NIC of a machine is to be configured
    Nic {
        /// Host name, id, or the beginning of either
        node: String,
        /// The MAC of one of its NICs
        mac: MacAddr,
    },
    /// Say that a node is installed which sends no report
    MarkInstalled {
        /// Host name, id, or the beginning of either
        node: String,
    },
    /// Accept the host key seen on a node that reported none
    Trust {
        /// Host name, id, or the beginning of either
        node: String,
        /// The fingerprint on the node's own screen, SHA256:…
        fingerprint: String,
    },
    /// Give an unmatched report to a node
    Adopt {
        /// The report's id, such as w1
        report: String,
        /// Host name, id, or the beginning of either
        node: String,
    },
    /// Drop an unmatched report
    Dismiss {
        /// The report's id, such as w1
        report: String,
    },
    /// Drop a node; its machine is a stranger when it asks again
    Forget {
        /// Host name, id, or the beginning of either
        node: String,
    },
    /// Run the playbook on these nodes, or on every node that is ready
    Run {
        /// Host names, ids, or the beginning of either
        nodes: Vec<String>,
        #[command(flatten)]
        options: Box<RunArgs>,
    },
    /// Stop the run; a second time: at once
    Cancel,
    /// Say what becomes of a run that starts by itself
    Gate {
        /// Keep runs from starting by themselves, let them again, or go on without the missing nodes
        what: GateWord,
    },
}

/// How a run differs from a plain one.
#[derive(Debug, Default, Args)]
pub(super) struct RunArgs {
    /// Run on every node that has failed
    #[arg(long, conflicts_with = "nodes")]
    failed: bool,
    /// Change nothing: say what would change (--check --diff of Ansible)
    #[arg(long)]
    check: bool,
    /// Show what changes in files
    #[arg(long)]
    diff: bool,
    /// Only tasks with these tags
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    tags: Vec<String>,
    /// No task with these tags
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    skip_tags: Vec<String>,
    /// A variable: name=value (JSON where it can be), a JSON object, or @FILE with one; never a secret
    #[arg(short = 'e', long = "extra-vars", value_name = "VARS")]
    vars: Vec<String>,
    /// Name of the task to start at, as `ansible-playbook --list-tasks` shows it
    #[arg(long, value_name = "TASK")]
    start_at: Option<String>,
    /// Let Ansible say more; up to four times
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl RunArgs {
    fn options(self) -> anyhow::Result<Box<RunOptions>> {
        let mut vars = BTreeMap::new();
        for given in self.vars {
            let text = match given.strip_prefix('@') {
                Some(file) => std::fs::read_to_string(file).with_context(|| format!("cannot read `{file}`"))?,
                None => given,
            };
            if text.trim_start().starts_with('{') {
                vars.extend(parse_assignments(&text).map_err(anyhow::Error::msg)?);
            } else {
                vars.extend([parse_assignment(&text).map_err(anyhow::Error::msg)?]);
            }
        }
        Ok(Box::new(RunOptions {
            check: self.check,
            diff: self.diff,
            tags: self.tags,
            skip_tags: self.skip_tags,
            vars,
            verbosity: self.verbose,
            start_at: self.start_at,
        }))
    }
}

/// What becomes of a run that starts by itself.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum GateWord {
    /// No run starts by itself.
    Hold,
    /// Runs start by themselves again.
    Release,
    /// A run starts now, on the nodes that are ready.
    Go,
}

impl OrderCommand {
    /// Whether it takes effect without an undo window.
    fn at_once(&self) -> bool {
        matches!(
            self,
            Self::Approve { now: true, .. } | Self::Reject { now: true, .. } | Self::Reinstall { now: true, .. }
        )
    }
}

/// The engine that serves `state_dir`.
pub(super) fn engine(state_dir: &Path) -> Result<RemoteEngine, Failure> {
    RemoteEngine::find(state_dir).or_exit(Exit::NoEngine)
}

/// Gives the orders of one command and says what came of each.
pub(super) async fn execute(command: OrderCommand, state_dir: &Path, out: &mut impl Write) -> Result<Exit, Failure> {
    let engine = engine(state_dir)?;
    let snapshot = engine.snapshot().await.or_exit(Exit::NoEngine)?;
    if let OrderCommand::Ticket { command: TicketCommand::List { json } } = command {
        ticket::write_tickets(&snapshot, json, out)?;
        return Ok(Exit::Success);
    }
    if let OrderCommand::Walk { command: WalkCommand::Show { json } } = command {
        walk::write_walk(&snapshot, json, out)?;
        return Ok(Exit::Success);
    }
    let at_once = command.at_once();
    if let OrderCommand::Reinstall { node, .. } = &command {
        would_touch(&engine, select::node(&snapshot, node).or_exit(Exit::Refused)?, out).await?;
    }
    let (words, orders): (Vec<_>, Vec<_>) = orders(command, &snapshot).or_exit(Exit::Refused)?.into_iter().unzip();
    if orders.is_empty() {
        writeln!(out, "no machine waits")?;
        return Ok(Exit::Success);
    }
    let responses = engine.orders(crate::runtime::operator(), orders, at_once).await.or_exit(Exit::NoEngine)?;
    let mut exit = Exit::Success;
    for (words, response) in words.iter().zip(responses) {
        exit = match (exit, tell(words, response, out)?) {
            // That the engine is in trouble says more than a refusal.
            (Exit::Failure, _) | (_, Exit::Success) => exit,
            (_, told) => told,
        };
    }
    Ok(exit)
}

/// Says what came of one order; `words` are those for its success. Returns what that means for the exit code.
pub(super) fn tell(words: &str, response: OrderResponse, out: &mut impl Write) -> std::io::Result<Exit> {
    match response {
        OrderResponse::Done { run: Some(run) } => writeln!(out, "{words}: {run}")?,
        OrderResponse::Done { run: None } => writeln!(out, "{words}")?,
        OrderResponse::Issued { ticket } => writeln!(out, "ticket {ticket}: {words}")?,
        OrderResponse::Undecided { until } => {
            let left = until.duration_since(jiff::Timestamp::now()).as_millis().max(0);
            writeln!(out, "{words} in {} s, unless `undo` takes it back", (left + 500) / 1000)?;
        }
        OrderResponse::Refused { reason } => {
            writeln!(out, "refused: {reason}")?;
            return Ok(Exit::Refused);
        }
        OrderResponse::Failed { reason } => {
            writeln!(out, "failed: {reason}")?;
            return Ok(Exit::Failure);
        }
    }
    Ok(Exit::Success)
}

/// Says what a reinstall would wipe, before it is allowed.
async fn would_touch(engine: &RemoteEngine, node: &Node, out: &mut impl Write) -> Result<(), Failure> {
    match engine.preview(node.id).await.or_exit(Exit::NoEngine)? {
        Answered::Done { value } => {
            let problem = value.problem.map(|problem| format!("no answer can be made: {problem}"));
            for line in value.touch.into_iter().chain(value.warnings).chain(problem) {
                writeln!(out, "{line}")?;
            }
        }
        Answered::Refused { reason } => writeln!(out, "what it would touch is not known: {reason}")?,
    }
    Ok(())
}

/// Turns a command into orders, each with the words for its success.
fn orders(command: OrderCommand, snapshot: &Snapshot) -> anyhow::Result<Vec<(String, Order)>> {
    let find = |given: &str| select::node(snapshot, given);
    let one = |words: String, order: Order| Ok(vec![(words, order)]);
    match command {
        OrderCommand::Approve { all: true, .. } => {
            snapshot.fleet.nodes().filter(|node| node.phase == Phase::Waiting).map(|node| approval(node)).collect()
        }
        OrderCommand::Approve { nodes, all: false, .. } => nodes.iter().map(|given| approval(find(given)?)).collect(),
        OrderCommand::Reject { node, reason, .. } => {
            let node = find(&node)?;
            one(format!("{} rejected", node.name), Order::Reject { node: node.id, reason: Text::new(&reason) })
        }
        OrderCommand::Undo { nodes } => {
            let undo = |given: &String| {
                let node = find(given)?;
                Ok((format!("{}: decision taken back", node.name), Order::Undo { node: node.id }))
            };
            nodes.iter().map(undo).collect()
        }
        OrderCommand::Reinstall { node, confirm, .. } => {
            let node = find(&node)?;
            let order = Order::AllowReinstall { node: node.id, seen: stamp(node)?, confirm };
            one(format!("{} may be installed once more", node.name), order)
        }
        OrderCommand::Merge { node, other } => {
            let (stays, goes) = who_stays(find(&node)?, find(&other)?);
            let words = format!("{} is part of {} now; `split {}` undoes it", goes.name, stays.name, stays.name);
            one(words, Order::Merge { node: goes.id, into: stays.id })
        }
        OrderCommand::Split { node, confirm } => {
            let node = find(&node)?;
            one(format!("{} split", node.name), Order::Split { node: node.id, confirm })
        }
        OrderCommand::Ticket { command } => Ok(command.order(jiff::Timestamp::now()).into_iter().collect()),
        OrderCommand::Ban { node, reason } => {
            let node = find(&node)?;
            one(format!("{} banned", node.name), Order::Ban { node: node.id, reason: Text::new(&reason) })
        }
        OrderCommand::Unban { ban } => one(format!("ban {ban} lifted"), Order::LiftBan { ban }),
        OrderCommand::Rename { node, name } => {
            let node = find(&node)?;
            one(format!("{} is named {name} now", node.name), Order::Rename { node: node.id, name })
        }
        OrderCommand::Swap { node, other } => {
            let (node, other) = (find(&node)?, find(&other)?);
            let words = format!("{} and {} have changed places; `swap` again undoes it", node.name, other.name);
            one(words, Order::Swap { node: node.id, other: other.id })
        }
        OrderCommand::Note { node, words } => {
            let (node, note) = (find(&node)?, Text::new(&words.join(" ")));
            let said = if note.is_empty() { "has no note".to_owned() } else { format!("note: {note}") };
            one(format!("{}: {said}", node.name), Order::SetNote { node: node.id, note })
        }
        OrderCommand::Walk { command } => Ok(command.order(snapshot)?.into_iter().collect()),
        OrderCommand::Address { node, address } => {
            let node = find(&node)?;
            let verb = if node.phase.is_before_answer() { "gets" } else { "is reached at" };
            one(format!("{} {verb} {address}", node.name), Order::SetAddress { node: node.id, address })
        }
        OrderCommand::Nic { node, mac } => {
            let node = find(&node)?;
            one(format!("{} will use {mac}", node.name), Order::ChooseNic { node: node.id, mac })
        }
        OrderCommand::MarkInstalled { node } => {
            let node = find(&node)?;
            one(format!("{} marked installed", node.name), Order::MarkInstalled { node: node.id })
        }
        OrderCommand::Trust { node, fingerprint } => {
            let node = find(&node)?;
            one(format!("host key of {} trusted", node.name), Order::TrustHostKey { node: node.id, fingerprint })
        }
        OrderCommand::Adopt { report, node } => {
            let (report, node) = (select::report(snapshot, &report)?, find(&node)?);
            one(format!("{} has the report {report}", node.name), Order::Adopt { report, node: node.id })
        }
        OrderCommand::Dismiss { report } => {
            let report = select::report(snapshot, &report)?;
            one(format!("report {report} dismissed"), Order::DismissReport { report })
        }
        OrderCommand::Forget { node } => {
            let node = find(&node)?;
            one(format!("{} forgotten", node.name), Order::Forget { node: node.id })
        }
        OrderCommand::Run { nodes, options } => {
            let nodes = nodes.iter().map(|given| Ok(find(given)?.id)).collect::<anyhow::Result<_>>()?;
            let (failed, options) = (options.failed, options.options()?);
            let order = if failed { Order::RunFailed { options } } else { Order::Run { nodes, options } };
            one("run queued".to_owned(), order)
        }
        OrderCommand::Gate { what } => match what {
            GateWord::Hold => one("no run starts by itself".to_owned(), Order::HoldGate { hold: true }),
            GateWord::Release => one("runs may start by themselves".to_owned(), Order::HoldGate { hold: false }),
            GateWord::Go => {
                let [ready, missing] = snapshot.fleet.going();
                let words = going(&ready, &missing);
                let [ready, missing] = [ready, missing].map(|nodes| nodes.into_keys().collect());
                one(words, Order::GoAsSeen { ready, missing })
            }
        },
        OrderCommand::Cancel => one("stopping the run".to_owned(), Order::Cancel),
    }
}

/// On how many nodes the run goes, and whom it leaves out.
fn going(ready: &BTreeMap<NodeId, Fqdn>, missing: &BTreeMap<NodeId, Fqdn>) -> String {
    let names: Vec<_> = missing.values().take(NAMED).map(Fqdn::host).collect();
    let without = match missing.len() - names.len() {
        _ if names.is_empty() => String::new(),
        0 => format!(", without {}", names.join(", ")),
        more => format!(", without {} and {more} more", names.join(", ")),
    };
    format!("run on {} node{} queued{without}", ready.len(), if ready.len() == 1 { "" } else { "s" })
}

fn approval(node: &Node) -> anyhow::Result<(String, Order)> {
    Ok((format!("{} approved", node.name), Order::Approve { node: node.id, seen: stamp(node)? }))
}

/// What identifies the request the operator sees in this snapshot.
fn stamp(node: &Node) -> anyhow::Result<Stamp> {
    let asked = node.request.as_ref();
    let asked = asked.ok_or_else(|| crate::domain::Refusal::NeverAsked(node.name.clone()))?;
    Ok(asked.stamp.clone())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::cli::fixture::told;
    use crate::domain::TicketId;

    #[rstest]
    #[case::done(OrderResponse::Done { run: None }, "it is so\n", Exit::Success)]
    #[case::issued(OrderResponse::Issued { ticket: TicketId(3) }, "ticket t3: it is so\n", Exit::Success)]
    #[case::refused(OrderResponse::Refused { reason: "no".into() }, "refused: no\n", Exit::Refused)]
    #[case::failed(OrderResponse::Failed { reason: "full".into() }, "failed: full\n", Exit::Failure)]
    fn every_outcome_has_its_words_and_its_code(
        #[case] response: OrderResponse,
        #[case] words: &str,
        #[case] exit: Exit,
    ) {
        let mut out = Vec::new();
        assert_eq!(tell("it is so", response, &mut out).unwrap(), exit);
        assert_eq!(String::from_utf8(out).unwrap(), words);
    }

    #[test]
    fn the_gate_goes_on_the_nodes_that_were_seen_and_no_others() {
        let snapshot = told(usize::MAX);
        let [ready, missing] = snapshot.fleet.going().map(|nodes| nodes.into_keys().collect());
        let (_, order) = orders(OrderCommand::Gate { what: GateWord::Go }, &snapshot).unwrap().remove(0);
        assert_eq!(order, Order::GoAsSeen { ready, missing });
    }

    #[rstest]
    #[case(1, 0, "run on 1 node queued")]
    #[case(3, 2, "run on 3 nodes queued, without n0, n1")]
    #[case(3, 8, "run on 3 nodes queued, without n0, n1, n2, n3, n4, n5 and 2 more")]
    fn whom_it_leaves_out_is_said(#[case] ready: u64, #[case] missing: u64, #[case] words: &str) {
        let nodes = |count| (0..count).map(|n| (NodeId(n), format!("n{n}.lab").parse().unwrap())).collect();
        assert_eq!(going(&nodes(ready), &nodes(missing)), words);
    }
}
