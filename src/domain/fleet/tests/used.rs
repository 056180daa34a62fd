//! What was installed once: nothing but a person's word about that very node wipes it, whatever becomes of answers and
//! rows.

use rstest::rstest;

use super::*;
use crate::domain::event::Event;
use crate::domain::guard::{Permission, Withheld};
use crate::domain::id::BanId;
use crate::domain::node::Flag;
use crate::domain::policy::Auto;

const OTHER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICvC+sxcrzwdKNbpjHfi+6C0YpXovAJv62vxV1iUOPRa";
const MINUTE: Duration = Duration::from_mins(1);

fn is_withheld(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Hold(Withheld::AsksAgain { .. }))
}

fn was_here(rack: &Rack, node: NodeId) -> bool {
    rack.node(node).flags.iter().any(|flag| matches!(flag, Flag::InstalledBefore { .. }))
}

/// Installed, allowed once more, answered, and the answer lost on its way.
fn lost_reinstall() -> (Rack, NodeId) {
    let mut rack = Rack::new();
    let node = rack.install(&box_a());
    rack.ask(&box_a());
    rack.allow_reinstall(node).unwrap();
    let grant = rack.served(&box_a());
    assert_eq!((grant.by, rack.release(&box_a(), &grant, None)), (Permission::Reinstall, Reply::Released));
    rack.write(node, false);
    (rack, node)
}

#[test]
fn a_lost_reinstall_leaves_a_node_that_only_a_reinstall_serves() {
    let (mut rack, node) = lost_reinstall();
    assert_eq!(rack.phase(node), "stalled");
    assert!(rack.node(node).may_be_installed(), "nothing has touched its disks");
    assert_eq!(rack.served(&box_a()).by, Permission::Reinstall, "what was allowed was not used");

    // Taken back, it is what it was: nobody wipes it without its name typed.
    rack.order(Order::Undo { node }).unwrap();
    assert!(is_withheld(&rack.ask(&box_a()).1), "no repeat of an answer that never came");
    assert!(matches!(rack.approve(node), Err(Refusal::NeedsReinstall(_))));
    let split = Order::Split { node, confirm: None };
    assert!(matches!(rack.order(split), Err(Refusal::NameMismatch(_))));
    rack.allow_reinstall(node).unwrap();
    let grant = rack.served(&box_a());
    assert_eq!(rack.release(&box_a(), &grant, None), Reply::Released);
    rack.write(node, true);
    rack.pass(MINUTE);
    assert_eq!(rack.served(&box_a()).by, Permission::Repeat, "this one may have wiped it");
}

#[test]
fn a_lost_reinstall_of_another_request_is_not_allowed_again() {
    let (mut rack, node) = lost_reinstall();
    let elsewhere = Box1 { peer: "192.0.2.66", ..box_a() };
    assert!(is_withheld(&rack.ask(&elsewhere).1));
    rack.allow_reinstall(node).unwrap();
    assert_eq!(rack.served(&elsewhere).by, Permission::Reinstall);
    assert!(is_withheld(&rack.ask(&box_a()).1));
}

#[test]
fn a_node_whose_reinstall_was_lost_is_no_new_machine_once_it_is_forgotten() {
    let (mut rack, node) = lost_reinstall();
    rack.fleet.set_policy(Policy { auto: Auto::All, ..Policy::default() });
    rack.order(Order::Forget { node }).unwrap();
    let (again, verdict) = rack.ask(&box_a());
    assert!(was_here(&rack, again) && matches!(verdict, Verdict::Hold(Withheld::Undecided(_))), "{verdict:?}");
}

/// How a row goes that says "was installed here before".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Forgotten,
    PushedOut,
    Banned,
}

#[rstest]
#[case(Way::Forgotten)]
#[case(Way::PushedOut)]
#[case(Way::Banned)]
fn that_it_was_here_outlives_every_row(#[case] way: Way) {
    let waiting_rows = if way == Way::PushedOut { 1 } else { 100 };
    let mut rack = Rack::under(Policy { waiting_rows, ..Policy::default() });
    // A used node, taken for another machine, and parted from it: all that is known of the part is a flag.
    let used = rack.install(&box_a());
    let (part, _) = rack.ask(&box_b());
    rack.order(Order::Merge { node: part, into: used }).unwrap();
    let confirm = Some(rack.node(used).name.clone());
    rack.order(Order::Split { node: used, confirm }).unwrap();
    assert!(was_here(&rack, part) && !rack.node(part).may_be_installed());

    rack.fleet.set_policy(Policy { auto: Auto::All, ..rack.fleet.policy().clone() });
    match way {
        Way::Forgotten => drop(rack.order(Order::Forget { node: part }).unwrap()),
        Way::PushedOut => {
            rack.fleet.set_policy(Policy { auto: Auto::Never, ..rack.fleet.policy().clone() });
            rack.pass(Duration::from_hours(1));
            rack.ask(&Box1 { uuid: None, macs: vec!["02:00:00:00:00:07"], peer: "192.0.2.7", body: 7 });
            rack.fleet.set_policy(Policy { auto: Auto::All, waiting_rows: 100, ..rack.fleet.policy().clone() });
        }
        Way::Banned => {
            rack.order(Order::Ban { node: part, reason: Text::default() }).unwrap();
            rack.order(Order::LiftBan { ban: BanId(1) }).unwrap();
        }
    }
    assert!(rack.fleet.node(part).is_none(), "its row is gone");
    let (again, verdict) = rack.ask(&box_b());
    assert!(was_here(&rack, again), "{:?}", rack.node(again).flags);
    assert!(matches!(verdict, Verdict::Hold(Withheld::Undecided(_))), "{verdict:?}");
}

#[test]
fn a_machine_that_was_here_says_so_on_its_row_of_the_plan_too() {
    use crate::domain::plan::PlanEntry;
    let mut rack = Rack::new();
    let node = rack.install(&box_a());
    rack.order(Order::Forget { node }).unwrap();
    let mut entry = PlanEntry::new("db-1.example.com".parse().unwrap());
    entry.macs = [MAC_A.parse().unwrap()].into();
    rack.submit(&Command::Plan { entries: vec![entry.into()] }).unwrap();
    let (row, _) = rack.ask(&box_a());
    assert!(rack.node(row).plan.is_some() && was_here(&rack, row));
}

#[test]
fn what_was_here_is_found_by_each_identifier_and_by_its_latest_name() {
    let mut rack = Rack::new();
    let install = |rack: &mut Rack, name: &str| {
        let (node, _) = rack.ask(&box_a());
        rack.order(Order::Rename { node, name: name.parse().unwrap() }).unwrap();
        rack.approve(node).unwrap();
        let grant = rack.served(&box_a());
        assert_eq!(rack.release(&box_a(), &grant, None), Reply::Released);
        rack.order(Order::Forget { node }).unwrap();
    };
    install(&mut rack, "one.example.com");
    install(&mut rack, "two.example.com");
    let stored: Fleet = serde_json::from_str(&serde_json::to_string(&rack.fleet).unwrap()).unwrap();
    assert_eq!(stored.index, rack.fleet.index);
    for shown in [Box1 { uuid: None, ..box_a() }, Box1 { macs: vec![MAC_B], ..box_a() }] {
        let (node, _) = rack.ask(&shown);
        let name = "two.example.com".parse().unwrap();
        assert!(rack.node(node).flags.contains(&Flag::InstalledBefore { name }), "{shown:?}");
        rack.order(Order::Forget { node }).unwrap();
    }
    assert_eq!(rack.fleet.state.former.len(), 3, "what one knows is not kept twice");
}

#[rstest]
#[case::marked(true)]
#[case::reported(false)]
fn what_is_installed_by_word_has_no_reinstall_left(#[case] by_mark: bool) {
    let (mut rack, node) = lost_reinstall();
    assert!(rack.node(node).reinstall_allowed);
    if by_mark {
        rack.order(Order::MarkInstalled { node }).unwrap();
    } else {
        let answers = rack.node(node).answers.as_ref().unwrap();
        let secret = *answers.secrets.last().unwrap();
        rack.report_with(Some(secret), Report::default(), 9);
    }
    assert_eq!((rack.phase(node), rack.node(node).reinstall_allowed), ("installed", false));
    assert!(is_withheld(&rack.ask(&box_a()).1), "nobody asked for that any more");
    assert!(rack.order(Order::Undo { node }).is_err(), "nothing is left to be taken back");
}

/// Marked as installed, its key compared and trusted, and seen by it.
fn marked_and_ready() -> (Rack, NodeId) {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.approve(node).unwrap();
    let grant = rack.served(&box_a());
    assert_eq!(rack.release(&box_a(), &grant, Some("192.0.2.10/24")), Reply::Released);
    rack.order(Order::MarkInstalled { node }).unwrap();
    let seen: HostKey = KEY.parse().unwrap();
    let fingerprint = seen.fingerprint();
    rack.submit(&Command::Probe { node, sighting: Sighting::OtherKey { seen } }).unwrap();
    rack.order(Order::TrustHostKey { node, fingerprint }).unwrap();
    rack.make_ready(node);
    (rack, node)
}

#[rstest]
#[case::the_same(&[KEY], false)]
#[case::others(&[OTHER_KEY], true)]
#[case::the_same_among_others(&[OTHER_KEY, KEY], false)]
#[case::none(&[], false)]
fn a_late_report_moves_nobody_back_and_replaces_no_trusted_key(#[case] keys: &[&str], #[case] differs: bool) {
    let trusted = vec![KEY.parse::<HostKey>().unwrap()];
    for phase in ["ready", "configuring", "configured"] {
        let (mut rack, node) = marked_and_ready();
        if phase != "ready" {
            rack.order(Order::Run { nodes: vec![node], options: Box::default() }).unwrap();
            let run = rack.fleet.active_run().unwrap().id;
            rack.submit(&Command::RunStarted { run }).unwrap();
        }
        if phase == "configured" {
            rack.end_run(RunOutcome::Succeeded, &[]);
        }
        let since = rack.node(node).since;
        rack.pass(MINUTE);
        let host_keys = keys.iter().map(|key| key.parse().unwrap()).collect();
        rack.report_with(Some(secret(node, 0)), Report { host_keys, ..Report::default() }, 9);
        let row = rack.node(node);
        assert!(row.report.is_some());
        assert_eq!((row.phase.word(), row.since, &row.host_keys), (phase, since, &trusted));
        assert_eq!(row.flags.contains(&Flag::ReportedOtherKey), differs);
        if phase == "configuring" {
            rack.end_run(RunOutcome::Succeeded, &[]);
            assert_eq!(rack.phase(node), "configured", "its result is taken");
        }
    }
    if differs {
        let (mut rack, node) = marked_and_ready();
        let key: HostKey = keys[0].parse().unwrap();
        let fingerprint = key.fingerprint();
        rack.report_with(Some(secret(node, 0)), Report { host_keys: vec![key.clone()], ..Report::default() }, 9);
        rack.order(Order::TrustHostKey { node, fingerprint }).unwrap();
        assert_eq!(rack.node(node).host_keys, [key], "who trusted the wrong one can take that back");
        assert!(!rack.node(node).flags.contains(&Flag::ReportedOtherKey));
    }
}

#[test]
fn a_late_report_proves_what_nobody_trusted_yet() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.approve(node).unwrap();
    let grant = rack.served(&box_a());
    rack.release(&box_a(), &grant, Some("192.0.2.10/24"));
    rack.order(Order::MarkInstalled { node }).unwrap();
    rack.report(node, 0);
    let row = rack.node(node);
    assert_eq!((row.phase.word(), row.host_keys.len(), row.flags.contains(&Flag::Unproven)), ("installed", 1, false));
    rack.make_ready(node);
}

#[test]
fn the_fate_of_an_answer_that_was_withheld_says_nothing_about_another() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.approve(node).unwrap();
    let grant = rack.served(&box_a());
    // An installer that sends no report: each of its answers reads the same.
    assert_eq!(rack.release(&box_a(), &grant, None), Reply::Released);
    let (document, log) = (rack.node(node).answers.as_ref().unwrap().document, rack.log.len());
    let secret = SecretHash::of(b"of one that was withheld while its handler was gone");
    rack.submit(&Command::AnswerWritten { node, document, secret, delivered: false }).unwrap();
    assert_eq!((rack.phase(node), rack.log.len()), ("installing", log), "nor is it a fact");
    rack.write(node, false);
    assert_eq!(rack.phase(node), "approved");
}

#[test]
fn an_answers_fate_as_an_earlier_release_told_it_is_understood() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.approve(node).unwrap();
    let grant = rack.served(&box_a());
    rack.release(&box_a(), &grant, None);
    let document = rack.node(node).answers.as_ref().unwrap().document;
    let event = Event::AnswerLost { node, document, secret: None };
    rack.fleet.apply(&Recorded { seq: 99, at: rack.now, origin: Origin::System, event });
    assert_eq!(rack.phase(node), "approved");
}

#[rstest]
#[case::none(&[])]
#[case::none_that_identifies(&["00:00:00:00:00:00"])]
fn a_machine_without_a_mac_has_no_early_repeat(#[case] macs: &[&'static str]) {
    let mut rack = Rack::new();
    let nameless = Box1 { uuid: None, macs: macs.to_vec(), ..box_a() };
    let (node, _) = rack.ask(&nameless);
    rack.approve(node).unwrap();
    let grant = rack.served(&nameless);
    assert_eq!(rack.release(&nameless, &grant, None), Reply::Released);
    rack.pass(MINUTE);
    let (again, verdict) = rack.ask(&nameless);
    assert_eq!(again, node, "for all it shows");
    assert!(is_withheld(&verdict), "it could be any other: {verdict:?}");
}
