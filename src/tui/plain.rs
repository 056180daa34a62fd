//! The console for terminals that only print lines (`TERM=dumb`, a teletype, a screen reader): events come as lines, and
//! what waits is approved by typing its code. The same engine, the same orders; nothing is ever redrawn.

use std::collections::BTreeSet;
use std::io::{self, Write};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::offer;
use super::text::{clean, count, seconds_left};
use super::view::flag_word;
use crate::client::Client;
use crate::domain::guard::ClaimCode;
use crate::domain::text::Text;
use crate::domain::{Flag, Node, NodeId, Order, Ordered, Phase, Snapshot};

/// What can be typed.
const HELP: &str = concat!(
    "  CODE            approve the machine with this code: its disks are wiped\n",
    "  a NODE...       approve by code, id or host name; `a all`: all that wait now\n",
    "  x NODE [WORDS]  send a machine away, with a reason\n",
    "  u NODE          take a decision back\n",
    "  l               list the nodes\n",
    "  p               list what is wrong, with the cures\n",
    "  r, c            run the playbook on all nodes that are ready; cancel the run\n",
    "  q               leave",
);

/// What a typed line leads to.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Say(String),
    /// These orders go out; that is said besides.
    Send(Vec<(String, Order)>, Vec<String>),
    Leave,
}

/// Reads lines and says what comes of them until the operator leaves, the lines end or `shutdown` is cancelled.
///
/// # Errors
/// The system's reason where the output is gone.
pub async fn plain<C: Client>(
    client: C,
    mut lines: mpsc::Receiver<String>,
    out: &mut (impl Write + Send),
    shutdown: CancellationToken,
) -> io::Result<()> {
    let mut snapshots = client.snapshots();
    let mut asked = BTreeSet::new();
    let mut wants_to_leave = false;
    writeln!(out, "Plain lines. Type the code of a machine to approve it, `?` for help, `q` to leave.")?;
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        announce(&snapshot, &mut asked, out)?;
        out.flush()?;
        let line = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            changed = snapshots.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return writeln!(out, "the engine has stopped"),
            },
            line = lines.recv() => match line {
                Some(line) => line,
                None => return Ok(()),
            },
        };
        match understand(&clean(line.trim()), &snapshot, wants_to_leave) {
            Ok(Command::Leave) => return Ok(()),
            Ok(Command::Say(words)) => {
                wants_to_leave = matches!(line.trim(), "q" | "quit");
                writeln!(out, "{words}")?;
            }
            Ok(Command::Send(orders, aside)) => {
                wants_to_leave = false;
                for words in aside {
                    writeln!(out, "{words}")?;
                }
                for (done, order) in orders {
                    match client.order(order).await {
                        Ok(Ordered::Queued(run)) => writeln!(out, "run {run} is queued")?,
                        Ok(Ordered::Undecided { until }) => {
                            let left = seconds_left(until, jiff::Timestamp::now());
                            writeln!(out, "{done}; it takes effect in {left} s, `u NODE` takes it back")?;
                        }
                        Ok(_) => writeln!(out, "{done}")?,
                        Err(error) => writeln!(out, "refused: {error}")?,
                    }
                }
            }
            Err(why) => writeln!(out, "{why}")?,
        }
    }
}

/// Says which machines began to wait.
fn announce(snapshot: &Snapshot, asked: &mut BTreeSet<NodeId>, out: &mut impl Write) -> io::Result<()> {
    asked.retain(|id| snapshot.fleet.node(*id).is_some_and(|node| offer::needs_decision(node)));
    for node in snapshot.fleet.nodes().filter(|node| offer::needs_decision(node)) {
        if asked.insert(node.id) {
            writeln!(out, "{}", waiting(node))?;
        }
    }
    Ok(())
}

fn waiting(node: &Node) -> String {
    let code = ClaimCode::of(node.id);
    let facts = [node.model(), node.serial()];
    let facts: Vec<_> = facts.into_iter().flatten().map(ToString::to_string).collect();
    let peer = node.request.as_ref().map(|asked| format!(", from {}", asked.stamp.peer)).unwrap_or_default();
    let (what, how) = if node.phase == Phase::Waiting && node.flags.contains(&Flag::ChooseNic) {
        let nic = format!("`prox-orchestrator nic {} MAC`", node.id);
        ("WAITS", format!("which NIC? {nic} says it, then approve: compare the code with its screen and type {code}"))
    } else if node.phase == Phase::Waiting {
        ("WAITS", format!("approve? compare the code with its screen, then type {code}"))
    } else {
        ("ASKS AGAIN although it may be installed", "`prox-orchestrator reinstall` allows it".to_owned())
    };
    format!("* {} {what}, code {code} ({}{peer}){}: {how}", node.name, facts.join(", "), flags(node))
}

/// What is odd about a machine, as the table's notes have it: ` ! two IPs, odd UUID`.
fn flags(node: &Node) -> String {
    // That it asks again stands there in full.
    let told = node.flags.iter().filter(|flag| **flag != Flag::AsksAgain);
    let words: Vec<_> = told.map(flag_word).collect();
    if words.is_empty() { String::new() } else { format!(" ! {}", words.join(", ")) }
}

fn understand(line: &str, snapshot: &Snapshot, wants_to_leave: bool) -> Result<Command, String> {
    let (word, rest) = line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest.trim()));
    match word {
        "" => Ok(Command::Say(summary(snapshot))),
        "?" | "h" | "help" => Ok(Command::Say(HELP.to_owned())),
        "q" | "quit" => Ok(leave(snapshot, wants_to_leave)),
        "l" | "list" => Ok(Command::Say(list(snapshot))),
        "p" | "problems" => Ok(Command::Say(problems(snapshot))),
        "a" | "approve" if rest == "all" => {
            let waiting: Vec<_> = snapshot.fleet.nodes().filter(|node| node.phase == Phase::Waiting).collect();
            if waiting.is_empty() {
                return Err("no machine waits".to_owned());
            }
            // One that may be installed must not keep the others from it.
            let (mut orders, mut aside) = (Vec::new(), Vec::new());
            for node in waiting {
                match approval(node) {
                    Ok(order) => orders.push(order),
                    Err(why) => aside.push(format!("left out: {why}")),
                }
            }
            if orders.is_empty() { Err(aside.join("\n")) } else { Ok(Command::Send(orders, aside)) }
        }
        "a" | "approve" if !rest.is_empty() => {
            let orders = rest.split_whitespace().map(|given| approval(find(given, snapshot)?));
            orders.collect::<Result<_, String>>().map(|orders| Command::Send(orders, Vec::new()))
        }
        "x" | "reject" if !rest.is_empty() => {
            let (given, words) = rest.split_once(' ').unwrap_or((rest, ""));
            let node = find(given, snapshot)?;
            let order = Order::Reject { node: node.id, reason: Text::new(words) };
            Ok(Command::Send(vec![(format!("rejected {}", node.name), order)], Vec::new()))
        }
        "u" | "undo" if !rest.is_empty() => {
            let node = find(rest, snapshot)?;
            let done = format!("taken back; {} is as it was before", node.name);
            Ok(Command::Send(vec![(done, Order::Undo { node: node.id })], Vec::new()))
        }
        // Never all that could be run: those that are configured would be worked on again, at one letter.
        "r" | "run" => {
            let ready = snapshot.fleet.nodes().filter(|node| node.phase == Phase::Ready && node.may_run());
            let nodes: Vec<_> = ready.map(|node| node.id).collect();
            if nodes.is_empty() {
                return Err("no node is ready; `prox-orchestrator run` takes others, too".to_owned());
            }
            let done = format!("the run on {} is queued", count(nodes.len(), "node"));
            Ok(Command::Send(vec![(done, Order::Run { nodes, options: Box::default() })], Vec::new()))
        }
        "c" | "cancel" => Ok(Command::Send(vec![("the run is being stopped".to_owned(), Order::Cancel)], Vec::new())),
        // A bare code is the answer to the question that was printed with it.
        code if rest.is_empty() => match by_code(code, snapshot) {
            Some(node) => Ok(Command::Send(vec![approval(node)?], Vec::new())),
            None => Err(format!("`{code}` is no code of a machine and no command; `?` lists them")),
        },
        other => Err(format!("`{other}` is no command; `?` lists them")),
    }
}

fn by_code<'a>(given: &str, snapshot: &'a Snapshot) -> Option<&'a Node> {
    let is_it = |node: &&std::sync::Arc<Node>| ClaimCode::of(node.id).to_string().eq_ignore_ascii_case(given);
    snapshot.fleet.nodes().find(is_it).map(AsRef::as_ref)
}

/// The one node with this code, id or host name, or whose host name begins so.
fn find<'a>(given: &str, snapshot: &'a Snapshot) -> Result<&'a Node, String> {
    if let Some(node) = by_code(given, snapshot) {
        return Ok(node);
    }
    let lower = given.to_lowercase();
    let nodes = || snapshot.fleet.nodes().map(AsRef::as_ref);
    let whole = |node: &&Node| node.name.as_str() == lower || node.name.host() == lower || node.id.to_string() == lower;
    if let Some(node) = nodes().find(whole) {
        return Ok(node);
    }
    let mut begun = nodes().filter(|node: &&Node| node.name.as_str().starts_with(&lower));
    match (begun.next(), begun.next()) {
        (Some(node), None) => Ok(node),
        (Some(_), Some(_)) => Err(format!("several names begin with `{given}`; type more of it, or the code")),
        (None, _) => Err(format!("no node is called `{given}`; `l` lists them")),
    }
}

fn approval(node: &Node) -> Result<(String, Order), String> {
    offer::approve(node)?;
    if node.may_be_installed() {
        return Err(format!("`{}` may be installed; `prox-orchestrator reinstall` allows it", node.name));
    }
    let asked = node.request.as_ref().ok_or_else(|| format!("`{}` has not asked", node.name))?;
    let order = Order::Approve { node: node.id, seen: asked.stamp.clone() };
    Ok((format!("approved {}", node.name), order))
}

fn leave(snapshot: &Snapshot, wants_to_leave: bool) -> Command {
    let (held, run, decided) = (snapshot.holds.len(), snapshot.fleet.active_run(), snapshot.undecided.len());
    if wants_to_leave || (held == 0 && run.is_none() && decided == 0) {
        return Command::Leave;
    }
    let held = match held {
        0 => None,
        1 => Some("1 machine on hold is sent round to ask again".to_owned()),
        some => Some(format!("{some} machines on hold are sent round to ask again")),
    };
    let run = run.map(|run| format!("run {} goes on by itself", run.id));
    let decided = match decided {
        0 => None,
        1 => Some("1 decision takes effect at once".to_owned()),
        some => Some(format!("{some} decisions take effect at once")),
    };
    let going: Vec<_> = [held, run, decided].into_iter().flatten().collect();
    Command::Say(format!("{}; `q` once more leaves", going.join(", ")))
}

fn summary(snapshot: &Snapshot) -> String {
    let waiting = snapshot.fleet.nodes().filter(|node| node.phase == Phase::Waiting).count();
    format!(
        "serving {}; {}, {waiting} waiting",
        clean(&snapshot.service.url),
        count(snapshot.fleet.node_count(), "node")
    )
}

fn list(snapshot: &Snapshot) -> String {
    let line = |node: &std::sync::Arc<Node>| {
        let address = node.shown_address().map(|address| address.to_string()).unwrap_or_default();
        let model = node.model().map(ToString::to_string).unwrap_or_default();
        format!(
            "{:<4} {:<12} {:<30} {address:<15} {model}{}",
            ClaimCode::of(node.id).to_string(),
            node.phase.word(),
            node.name,
            flags(node),
        )
    };
    let lines: Vec<_> = snapshot.fleet.nodes().map(line).collect();
    if lines.is_empty() { "no machine has asked yet".to_owned() } else { lines.join("\n") }
}

fn problems(snapshot: &Snapshot) -> String {
    let line = |problem: &crate::domain::snapshot::Problem| {
        format!("! {}\n  -> {}", clean(&problem.what), clean(&problem.hint))
    };
    let lines: Vec<_> = snapshot.service.problems.iter().map(line).collect();
    if lines.is_empty() { "nothing is wrong".to_owned() } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tui::fixture::{Rack, busy_rack};

    fn code(node: u64) -> String {
        ClaimCode::of(NodeId(node)).to_string().to_lowercase()
    }

    #[test]
    fn a_typed_code_approves_what_it_was_printed_for() {
        let rack = busy_rack();
        let snapshot = rack.snapshot();
        for line in [code(9), format!("a {}", code(9)), "approve pve-0709".to_owned(), "a m9".to_owned()] {
            let Ok(Command::Send(orders, _)) = understand(&line, &snapshot, false) else { panic!("{line}") };
            assert_eq!(orders[0].1, Order::Approve { node: NodeId(9), seen: rack.stamp(NodeId(9)) }, "{line}");
        }
        let Ok(Command::Send(orders, _)) = understand("a all", &snapshot, false) else { panic!("all") };
        assert_eq!(orders.len(), 2);
    }

    #[rstest]
    #[case("zzzz", "no code of a machine and no command")]
    #[case("a pve-07", "several names begin with")]
    #[case("a nobody", "no node is called")]
    #[case("a m6", "may be installed")]
    #[case("a old-1", "has not asked")]
    #[case("fly away", "is no command")]
    fn what_makes_no_sense_says_why(#[case] line: &str, #[case] words: &str) {
        let why = understand(line, &busy_rack().snapshot(), false).unwrap_err();
        assert!(why.contains(words), "{why}");
    }

    #[test]
    fn leaving_while_machines_wait_takes_two() {
        let snapshot = busy_rack().snapshot();
        assert!(matches!(understand("q", &snapshot, false), Ok(Command::Say(words)) if words.contains("once more")));
        assert_eq!(understand("q", &snapshot, true), Ok(Command::Leave));
        assert_eq!(understand("quit", &snapshot, true), Ok(Command::Leave));
        assert_eq!(understand("q", &Rack::new().snapshot(), false), Ok(Command::Leave));
    }

    #[test]
    fn leaving_says_what_there_is_in_right_numbers() {
        let mut rack = Rack::new();
        rack.ask(1);
        let say = |rack: &Rack| match understand("q", &rack.snapshot(), false) {
            Ok(Command::Say(words)) => words,
            other => panic!("{other:?}"),
        };
        assert_eq!(say(&rack), "1 machine on hold is sent round to ask again; `q` once more leaves");
        rack.holds.clear();
        let ready = rack.ready(2);
        rack.run(vec![ready]);
        assert_eq!(say(&rack), "run r1 goes on by itself; `q` once more leaves");
    }

    #[test]
    fn a_run_is_on_what_is_ready_only() {
        let mut rack = Rack::new();
        assert!(understand("r", &rack.snapshot(), false).unwrap_err().contains("no node is ready"));
        let (done, ready) = (rack.ready(1), rack.ready(2));
        let run = rack.run(vec![done]);
        rack.end_run(run, &[]);
        let Ok(Command::Send(orders, _)) = understand("r", &rack.snapshot(), false) else { panic!("run") };
        assert!(matches!(&orders[0].1, Order::Run { nodes, .. } if *nodes == [ready]), "{orders:?}");
    }

    #[test]
    fn all_are_those_that_wait() {
        let mut rack = Rack::new();
        let again = rack.ask(1);
        rack.install(again);
        let away = rack.ask(2);
        rack.order(Order::Reject { node: away, reason: Text::new("") });
        let waits = rack.ask(3);
        let Ok(Command::Send(orders, aside)) = understand("a all", &rack.snapshot(), false) else { panic!("all") };
        assert_eq!(orders.len(), 1);
        assert!(matches!(&orders[0].1, Order::Approve { node, .. } if *node == waits));
        assert!(aside.is_empty());
        let undo = understand(&format!("u {waits}"), &rack.snapshot(), false);
        assert!(matches!(undo, Ok(Command::Send(orders, _)) if orders[0].1 == Order::Undo { node: waits }));
    }

    #[test]
    fn who_waits_is_announced_once() {
        let (snapshot, mut asked, mut out) = (busy_rack().snapshot(), BTreeSet::new(), Vec::new());
        announce(&snapshot, &mut asked, &mut out).unwrap();
        announce(&snapshot, &mut asked, &mut out).unwrap();
        let said = String::from_utf8(out).unwrap();
        assert_eq!(said.lines().count(), 3, "{said}");
        assert!(said.contains(&format!("then type {}", ClaimCode::of(NodeId(9)))), "{said}");
        assert!(said.is_ascii());
    }

    #[test]
    fn what_is_odd_about_a_machine_stands_beside_it() {
        let mut rack = Rack::new();
        let mut info = crate::tui::fixture::info(1);
        info.dmi.uuid = Some(Text::new("00000000-0000-0000-0000-000000000000"));
        let node = rack.ask_as(1, info);
        let snapshot = rack.snapshot();
        let row = waiting(snapshot.fleet.node(node).unwrap());
        assert!(row.contains(" ! odd UUID: approve?"), "{row}");
        assert!(list(&snapshot).ends_with(" ! odd UUID"), "{}", list(&snapshot));
    }

    #[test]
    fn one_that_cannot_be_approved_does_not_keep_the_others_from_it() {
        let mut rack = Rack::new();
        let (first, second) = (rack.ask(1), rack.ask(2));
        let with = |allowed: &[NodeId]| {
            let mut snapshot = (*rack.snapshot()).clone();
            let mut stored = serde_json::to_value(&snapshot.fleet).unwrap();
            for node in allowed {
                stored["nodes"][node.0.to_string()]["reinstall_allowed"] = true.into();
            }
            snapshot.fleet = serde_json::from_value(stored).unwrap();
            snapshot
        };
        let Ok(Command::Send(orders, aside)) = understand("a all", &with(&[first]), false) else { panic!("all") };
        assert!(matches!(&orders[..], [(_, Order::Approve { node, .. })] if *node == second), "{orders:?}");
        assert!(matches!(&aside[..], [why] if why.starts_with("left out: ")), "{aside:?}");
        let why = understand("a all", &with(&[first, second]), false).unwrap_err();
        assert_eq!(why.matches("left out: ").count(), 2, "{why}");
    }
}
