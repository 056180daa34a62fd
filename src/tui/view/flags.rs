//! Flags in words: one for the table, a sentence with what to do for the detail.

use crate::domain::Node;
use crate::domain::command::Verb;
use crate::domain::fleet::clock::Leg;
use crate::domain::guard::{self, ClaimCode, Withheld};
use crate::domain::node::Flag;
use crate::tui::model::Model;

/// One or two words for the table.
pub(in crate::tui) fn word(flag: &Flag) -> String {
    match flag {
        Flag::NoIdentity => "no identity".to_owned(),
        Flag::UntrustedUuid => "odd UUID".to_owned(),
        Flag::DuplicateOf { other } => format!("twin of {other}"),
        Flag::Ambiguous { other } => format!("also {other}"),
        Flag::AskedAs { other } => format!("asked as {other}"),
        Flag::AsksAgain => "asks again".to_owned(),
        Flag::ChangedSinceApproval => "changed".to_owned(),
        Flag::TwoAddresses { .. } => "two IPs".to_owned(),
        Flag::InstalledBefore { .. } => "was here".to_owned(),
        Flag::LikeBanned { .. } => "like banned".to_owned(),
        Flag::CameToNothing { verb, .. } => format!("no {}", verb.noun()),
        Flag::TakenBack => "taken back".to_owned(),
        Flag::UuidChanged { .. } => "other UUID".to_owned(),
        Flag::AddressTaken { by } => format!("IP of {by}"),
        Flag::LeaseReused { of } => format!("lease of {of}"),
        Flag::ChooseNic => "which NIC?".to_owned(),
        Flag::PlanConflict { other } => format!("plan: {other}?"),
        Flag::PlanContradicted { .. } => "not as plan".to_owned(),
        Flag::PlanWeak => "plan by tag".to_owned(),
        Flag::NotTheNext { .. } => "not next".to_owned(),
        Flag::PlanName { .. } => "plan name".to_owned(),
        Flag::VendorUnseen => "NIC vendor".to_owned(),
        Flag::LeftOut { .. } => "left out".to_owned(),
        Flag::NotAsWished { .. } => "other name".to_owned(),
        Flag::CannotAnswer { .. } => "no answer".to_owned(),
        Flag::WrongHostKey => "other key".to_owned(),
        Flag::ReportedOtherKey => "key differs".to_owned(),
        Flag::RunsLong { .. } => "long run".to_owned(),
        Flag::Unproven => "unproven".to_owned(),
        Flag::UnprovenReport => "no secret".to_owned(),
    }
}

const WRONG_KEY: &str = "SSH answers with a key it did not report: the old system booted, two machines share the address, or \
                         a cable is swapped.";
const REPORTED_OTHER_KEY: &str = "Its report, which came late, names another host key than the one you trusted, which stays. \
                                  Compare both with its screen; `t` takes the reported one.";

fn asked_as(other: &str) -> String {
    format!(
        "Who asked last as {other} showed a MAC of it, too: was a card moved, or did somebody ask in its name? Compare the \
         serial labels before you approve."
    )
}

/// What it means and what to do.
pub(super) fn sentence(flag: &Flag, node: &Node, model: &Model) -> String {
    let name = |id: &crate::domain::NodeId| {
        let other = model.snapshot.fleet.node(*id);
        other.map_or_else(|| format!("{id} (forgotten)"), |other| format!("{} ({id})", other.name))
    };
    match flag {
        Flag::NoIdentity => {
            "Shows no UUID, serial or MAC: it cannot be told from others like it. Install such machines one at a time."
                .to_owned()
        }
        Flag::UntrustedUuid => {
            "Its UUID is missing or one that makers ship on many boards; it is known by serial and MACs.".to_owned()
        }
        Flag::DuplicateOf { other } => format!(
            "Shares UUID or serial with {}, but no MAC: most likely a maker's duplicate. Compare the serial label.",
            name(other),
        ),
        Flag::Ambiguous { other } => format!(
            "Its identifiers also belong to {}: was a board or card moved? Look before you approve.",
            name(other),
        ),
        Flag::AskedAs { other } => asked_as(&name(other)),
        Flag::AsksAgain if node.reinstall_allowed => {
            "Asked again; a reinstall is allowed once and happens when it asks next.".to_owned()
        }
        Flag::AsksAgain => asks_again(node, model),
        Flag::ChangedSinceApproval => {
            "Asks from another address, with other MACs or another body than was approved. Look again, then approve."
                .to_owned()
        }
        Flag::UuidChanged { known, shown } => format!(
            "Shows the UUID {shown}, not {known} as before, with the same serial or MACs. A replaced board? `a` takes it as \
             the same node; `M` splits the row where it is another machine."
        ),
        Flag::InstalledBefore { name } => format!(
            "Was installed here before as {name}, whose row was dropped. No ticket or rule approves it; look what is on \
             its disks first."
        ),
        Flag::LikeBanned { name } => format!(
            "Shares UUID or serial with {name}, which is banned, but no MAC: a maker's duplicate, or that machine with \
             another card. No ticket or rule approves it; look which one it is."
        ),
        Flag::CameToNothing { verb, why } => {
            format!("The {} came to nothing when it was to take effect: {why}. Decide again.", verb.noun())
        }
        Flag::TakenBack => {
            "Its approval was taken back. No ticket or rule approves it any more: approve it yourself, or reject it."
                .to_owned()
        }
        Flag::TwoAddresses { other } => format!(
            "Asks from {other} as well: two machines with one identity, or one with two cables. An approval is only for \
             the request shown here."
        ),
        Flag::AddressTaken { by } => {
            format!("Its address belongs to {}; give one of them another address (`d`).", name(by))
        }
        Flag::LeaseReused { of } => format!(
            "Asks from the address of {}: DHCP gave its lease out again. Take nodes' addresses out of the DHCP range.",
            name(of),
        ),
        Flag::ChooseNic => "It has several NICs, and which one asked is not known: it is not on this network segment. \
                            `N` chooses the one to configure; until then it gets no answer."
            .to_owned(),
        Flag::PlanConflict { other } => {
            format!("It also fits {} of the plan: check which machine it is, then correct plan.toml.", name(other))
        }
        Flag::PlanContradicted { what } => format!(
            "It fits its row of the plan, but with another {what}: check which machine it is, or correct plan.toml.",
        ),
        Flag::PlanWeak => "It fits its row of the plan by asset tag only: check which machine it is.".to_owned(),
        Flag::NotTheNext { slot } => format!(
            "The walk kept {} for the machine the plan names there. Which one is this? `e` names it, `>` skips the slot.",
            slot.host(),
        ),
        Flag::PlanName { name } => format!("The plan calls it {name}; it keeps the name it was installed with."),
        Flag::VendorUnseen => "`machine_net_int` names a NIC vendor no report has shown yet; if the install fails for \
                               want of a network card, correct it."
            .to_owned(),
        Flag::LeftOut { settings } => {
            format!(
                "Its installer is too old for {settings}: left out of its answer, which it is installed well without."
            )
        }
        Flag::NotAsWished { reason } => format!("Not named as the template wishes: {reason}. Press `e` to name it."),
        Flag::CannotAnswer { reason } => format!("No answer could be made: {reason}. It was told to ask again."),
        Flag::WrongHostKey => WRONG_KEY.to_owned(),
        Flag::ReportedOtherKey => REPORTED_OTHER_KEY.to_owned(),
        Flag::RunsLong { reason } => format!("Takes long: {reason}."),
        Flag::Unproven if node.unproven.is_some() => {
            "It reported no host key. Press `t` to compare and accept the one seen; until then no run includes it."
                .to_owned()
        }
        Flag::Unproven => "It reported no host key and none was seen yet; no run includes it until you accept one. \
                           Without an address (`d`) it cannot be looked for."
            .to_owned(),
        Flag::UnprovenReport => {
            "Its report came without a secret: anyone on the network could have sent it.".to_owned()
        }
    }
}

/// The table's note on a row, with a `#` where the operator keeps one of his own; all of that where there is nothing
/// else to say.
pub(super) fn note(node: &Node, model: &Model) -> String {
    let said = said(node, model);
    match (said.is_empty(), node.note.is_empty()) {
        (_, true) => said,
        (true, false) => format!("# {}", node.note),
        (false, false) if said.ends_with('!') => format!("{}!#", said.trim_end_matches([' ', '!'])),
        (false, false) => format!("{said} #"),
    }
}

/// Code and countdown where it waits, else the flag that matters most.
fn said(node: &Node, model: &Model) -> String {
    if let Some(undecided) = model.snapshot.undecided.get(&node.id) {
        // What is going to happen, and how long the operator has to take it back.
        let left = crate::tui::text::seconds_left(undecided.until, model.now);
        let what = match undecided.verb {
            Verb::Approve => "OK",
            Verb::Reject => "no",
            Verb::Reinstall => "WIPE",
        };
        return format!("{what} {left}s (u)");
    }
    let hold = model.snapshot.holds.get(&node.id).map(|hold| crate::tui::text::seconds_left(hold.until, model.now));
    let gravest = gravest(node);
    if node.phase == crate::domain::Phase::Waiting {
        let code = ClaimCode::of(node.id);
        let left = hold.map(|left| format!(" {left}s")).unwrap_or_default();
        let mark = if gravest.is_some() { " !" } else { "" };
        return format!("{code}{left}{mark}");
    }
    if node.reinstall_allowed {
        return "reinstall".to_owned();
    }
    if let Some(place) = node.plan.as_ref().filter(|_| node.is_unclaimed()).and_then(|entry| entry.place()) {
        return place;
    }
    match (grave(node), hold) {
        (Some(Flag::AsksAgain), Some(left)) => return format!("again {left}s"),
        (Some(flag), _) => return word(flag),
        (None, _) => {}
    }
    let step = match hold {
        Some(left) => format!("asks {left}s"),
        None if node.is_unconfirmed() => "sent?".to_owned(),
        None if node.phase == crate::domain::Phase::Installing => progress(node, model),
        None if model.snapshot.fleet.progress(node, model.now).is_some() => boot_progress(node, model),
        None => String::new(),
    };
    match gravest {
        Some(flag) if step.is_empty() => word(flag),
        Some(_) => format!("{step} !"),
        // Of no decision to make, the one that is not like the others is the next thing to look at.
        None if step.is_empty() => odd(node, model),
        None => step,
    }
}

/// In what it is the odd one out of its model: `odd 1 disk`.
fn odd(node: &Node, model: &Model) -> String {
    let odd = model.overview.norms.odd(node);
    odd.first().map(|odd| format!("odd {}", odd.own)).unwrap_or_default()
}

/// The guard's diagnosis, the cure first: the footer shows the beginning only.
fn asks_again(node: &Node, model: &Model) -> String {
    let Withheld::AsksAgain { minutes, installed, .. } = guard::asks_again(node, model.now) else {
        return String::new();
    };
    let what = if installed { "installed" } else { "answered" };
    let ago = crate::tui::text::span(u64::try_from(minutes).unwrap_or_default() * 60);
    if minutes < guard::STILL_BOOTING {
        format!(
            "Still boots the medium, {what} {ago} ago: remove it or set the disk first. `a` allows a reinstall, which \
             wipes it."
        )
    } else {
        format!("Asks to be reinstalled, {what} {ago} ago: `a` allows it, which wipes it; else remove the medium.")
    }
}

/// `62% 3m`: how far it is, and what is left of the time its model usually takes.
fn boot_progress(node: &Node, model: &Model) -> String {
    let Some(progress) = model.snapshot.fleet.progress(node, model.now) else { return String::new() };
    match progress.seconds_left {
        0 => "overdue".to_owned(),
        left => format!("{}% {}", progress.percent, crate::tui::text::span(left)),
    }
}

/// How far an installation is, by what others of its model took: a bar and the minutes left. Without others: how long it
/// has taken so far.
fn progress(node: &Node, model: &Model) -> String {
    const CELLS: i64 = 5;
    let learnt =
        model.snapshot.fleet.pace(node, Leg::Install).and_then(|pace| i64::try_from(pace.usual.as_secs()).ok());
    let usual = learnt.or_else(|| model.overview.usual_install(node).map(|usual| usual.as_secs()));
    let Some(usual) = usual.map(|usual| usual.max(1)) else {
        return crate::tui::text::stopwatch(node.since, model.now);
    };
    let gone = model.now.duration_since(node.since).as_secs().max(0);
    let full = usize::try_from((gone * CELLS / usual).min(CELLS)).unwrap_or_default();
    let bar: String = (0..5).map(|cell| if cell < full { '█' } else { '░' }).collect();
    match usual - gone {
        left @ 60.. => format!("{bar} {}m", (left + 59) / 60),
        left @ 1.. => format!("{bar} {left}s"),
        late => format!("{bar} +{}m", late.abs() / 60),
    }
}

/// The flag that matters most on a row.
pub(super) fn gravest(node: &Node) -> Option<&Flag> {
    node.flags.iter().min_by_key(|flag| gravity(flag))
}

/// The same, where it matters more than how far a node is.
pub(super) fn grave(node: &Node) -> Option<&Flag> {
    gravest(node).filter(|flag| gravity(flag) <= GRAVE)
}

/// Up to here a flag comes before what goes on: something is wrong, or not what it seems.
const GRAVE: u8 = 6;

fn gravity(flag: &Flag) -> u8 {
    match flag {
        Flag::AsksAgain => 0,
        Flag::ChangedSinceApproval
        | Flag::InstalledBefore { .. }
        | Flag::LikeBanned { .. }
        | Flag::UuidChanged { .. } => 1,
        Flag::CannotAnswer { .. } | Flag::CameToNothing { .. } | Flag::TakenBack => 2,
        Flag::TwoAddresses { .. } | Flag::AddressTaken { .. } | Flag::LeaseReused { .. } | Flag::ChooseNic => 3,
        Flag::WrongHostKey | Flag::ReportedOtherKey | Flag::RunsLong { .. } => 4,
        Flag::Ambiguous { .. } | Flag::AskedAs { .. } | Flag::PlanConflict { .. } => 5,
        Flag::DuplicateOf { .. } | Flag::PlanContradicted { .. } | Flag::NotTheNext { .. } => 6,
        Flag::NoIdentity => 7,
        Flag::Unproven => 8,
        Flag::UnprovenReport => 9,
        Flag::VendorUnseen | Flag::PlanWeak | Flag::PlanName { .. } => 10,
        Flag::NotAsWished { .. } => 11,
        Flag::LeftOut { .. } => 12,
        Flag::UntrustedUuid => 13,
    }
}
