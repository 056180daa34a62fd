//! The life of a node, leg by leg.

use super::*;
use crate::domain::fleet::Gate;
use crate::domain::guard::{Permission, Withheld};
use crate::domain::node::Flag;
use crate::domain::options::RunOptions;
use crate::domain::policy::WebhookAuth;

const MINUTE: Duration = Duration::from_mins(1);

fn is_withheld(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Hold(Withheld::AsksAgain { .. }))
}

#[test]
fn a_stranger_waits_under_a_derived_name() {
    let mut rack = Rack::new();
    let (node, verdict) = rack.ask(&box_a());
    assert!(matches!(verdict, Verdict::Hold(Withheld::Undecided(_))));
    assert_eq!(rack.phase(node), "waiting");
    assert_eq!(rack.node(node).name.as_str(), "pve-07aa.example.com");
}

#[test]
fn an_approved_machine_is_served_once_committed() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.approve(node).unwrap();
    let (_, verdict) = rack.ask(&box_a());
    let Verdict::Serve(grant) = verdict else { panic!("{verdict:?}") };
    assert_eq!(grant.by, Permission::Approval);
    assert_eq!(rack.release(&box_a(), &grant, Some("192.0.2.10/24")), Reply::Released);
    assert_eq!(rack.phase(node), "installing");
    assert_eq!(rack.node(node).address, Some("192.0.2.10".parse().unwrap()));
}

#[test]
fn approval_binds_to_what_the_operator_saw() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    let seen = rack.stamp(node);
    rack.ask(&Box1 { peer: "192.0.2.66", ..box_a() });
    let refused = rack.order(Order::Approve { node, seen });
    assert!(matches!(refused, Err(Refusal::ChangedWhileYouLooked(_))));

    rack.approve(node).unwrap();
    let (_, verdict) = rack.ask(&box_a());
    assert!(matches!(verdict, Verdict::Hold(Withheld::Changed(_))), "{verdict:?}");
    assert_eq!(rack.phase(node), "waiting");
    assert!(rack.node(node).flags.contains(&Flag::ChangedSinceApproval));
}

#[test]
fn a_failed_install_repeats_twice_within_the_window_and_no_more() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.approve(node).unwrap();
    for expected in [Permission::Approval, Permission::Repeat, Permission::Repeat] {
        let (_, Verdict::Serve(grant)) = rack.ask(&box_a()) else { panic!() };
        assert_eq!(grant.by, expected);
        assert_eq!(rack.release(&box_a(), &grant, None), Reply::Released);
        rack.pass(MINUTE);
    }
    assert!(is_withheld(&rack.ask(&box_a()).1));
    assert!(rack.node(node).flags.contains(&Flag::AsksAgain));
}

#[test]
fn a_repeat_needs_the_window_the_address_and_the_macs() {
    let window = Policy::default().repeat_window;
    let installing = || {
        let mut rack = Rack::new();
        let (node, _) = rack.ask(&box_a());
        rack.approve(node).unwrap();
        let (_, Verdict::Serve(grant)) = rack.ask(&box_a()) else { panic!() };
        rack.release(&box_a(), &grant, None);
        rack
    };
    let mut late = installing();
    late.pass(window + MINUTE);
    assert!(is_withheld(&late.ask(&box_a()).1));
    // The monotonic clock says so, and the wall clock was set back.
    let mut set_back = installing();
    let (node, first) =
        set_back.fleet.nodes().map(|node| (node.id, node.answers.clone().unwrap().first)).next().unwrap();
    for other in [first - MINUTE, first] {
        set_back.submit(&Command::RepeatsOver { node, first: other }).unwrap();
    }
    assert!(is_withheld(&set_back.ask(&box_a()).1));
    assert_eq!(set_back.submit(&Command::RepeatsOver { node, first }).unwrap().events, [], "said once");
    assert!(is_withheld(&installing().ask(&Box1 { peer: "192.0.2.66", ..box_a() }).1));
    assert!(is_withheld(&installing().ask(&Box1 { macs: vec![MAC_A, MAC_B], ..box_a() }).1));
    assert!(matches!(installing().ask(&box_a()).1, Verdict::Serve(_)));
}

#[test]
fn an_installed_node_is_never_served_by_itself() {
    let mut rack = Rack::new();
    let node = rack.install(&box_a());
    let (again, verdict) = rack.ask(&box_a());
    assert_eq!(again, node);
    assert!(is_withheld(&verdict));
    assert!(matches!(rack.approve(node), Err(Refusal::NeedsReinstall(_))));
    // Shown with a foreign UUID or without any, its MAC gives it away.
    for uuid in [Some(UUID_B), None] {
        let (again, verdict) = rack.ask(&Box1 { uuid, ..box_a() });
        assert_eq!(again, node);
        assert!(is_withheld(&verdict));
    }
}

#[test]
fn a_reinstall_needs_the_name_and_is_spent_once() {
    let mut rack = Rack::new();
    let node = rack.install(&box_a());
    rack.ask(&box_a());
    let seen = rack.stamp(node);
    let wrong = Order::AllowReinstall { node, seen: seen.clone(), confirm: "pve-1.example.com".parse().unwrap() };
    assert!(matches!(rack.order(wrong), Err(Refusal::NameMismatch(_))));
    let confirm = rack.node(node).name.clone();
    rack.order(Order::AllowReinstall { node, seen, confirm }).unwrap();
    let (_, Verdict::Serve(grant)) = rack.ask(&box_a()) else { panic!() };
    assert_eq!(grant.by, Permission::Reinstall);
    rack.release(&box_a(), &grant, None);
    assert_eq!(rack.phase(node), "installing");
    assert!(rack.node(node).host_keys.is_empty());
    rack.pass(Policy::default().repeat_window + MINUTE);
    assert!(is_withheld(&rack.ask(&box_a()).1));
}

#[test]
fn a_lost_first_answer_leaves_the_node_approved() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.approve(node).unwrap();
    let (_, Verdict::Serve(grant)) = rack.ask(&box_a()) else { panic!() };
    rack.release(&box_a(), &grant, None);
    rack.write(node, false);
    assert_eq!(rack.phase(node), "approved");
    rack.pass(Duration::from_hours(1));
    assert!(matches!(rack.ask(&box_a()).1, Verdict::Serve(_)));
}

#[test]
fn duplicate_uuids_are_two_machines_and_both_wait() {
    let mut rack = Rack::new();
    let first = rack.install(&box_a());
    let (second, verdict) = rack.ask(&Box1 { uuid: Some(UUID_A), ..box_b() });
    assert_ne!(first, second);
    assert!(matches!(verdict, Verdict::Hold(Withheld::Undecided(_))));
    assert!(rack.node(second).flags.contains(&Flag::DuplicateOf { other: first }));
    assert_ne!(rack.node(first).name, rack.node(second).name);
}

#[test]
fn machines_without_any_identity_are_told_apart_by_address() {
    let mut rack = Rack::new();
    let bare = |peer| Box1 { uuid: None, macs: vec![], peer, body: 9 };
    let (first, _) = rack.ask(&bare("192.0.2.10"));
    let (second, _) = rack.ask(&bare("192.0.2.11"));
    assert_ne!(first, second);
    assert_eq!(rack.ask(&bare("192.0.2.10")).0, first);
    assert!(rack.node(first).flags.contains(&Flag::NoIdentity));
}

#[test]
fn two_nodes_never_get_one_name_or_address() {
    let mut rack = Rack::new();
    let a = rack.install(&box_a());
    let (b, _) = rack.ask(&box_b());
    let name = rack.node(a).name.clone();
    assert!(matches!(rack.order(Order::Rename { node: b, name }), Err(Refusal::NameTaken { .. })));
    rack.order(Order::Rename { node: b, name: "db1.example.com".parse().unwrap() }).unwrap();
    rack.approve(b).unwrap();
    let (_, Verdict::Serve(grant)) = rack.ask(&box_b()) else { panic!() };
    assert_eq!(grant.name.as_str(), "db1.example.com");
    let reply = rack.release(&box_b(), &grant, Some("192.0.2.10/24"));
    assert!(matches!(reply, Reply::Withheld(Withheld::AddressTaken(_))), "{reply:?}");
    assert_eq!(rack.phase(b), "approved");
    assert!(rack.node(b).flags.contains(&Flag::AddressTaken { by: a }));
    let too_late = Order::Rename { node: a, name: "db2.example.com".parse().unwrap() };
    assert!(matches!(rack.order(too_late), Err(Refusal::TooLateToRename(_))));
}

#[test]
fn a_name_that_moved_is_rendered_again() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.approve(node).unwrap();
    let (_, Verdict::Serve(stale)) = rack.ask(&box_a()) else { panic!() };
    rack.order(Order::Rename { node, name: "db1.example.com".parse().unwrap() }).unwrap();
    let Reply::Rerender(fresh) = rack.release(&box_a(), &stale, None) else { panic!() };
    assert_eq!(rack.release(&box_a(), &fresh, None), Reply::Released);
}

#[test]
fn reports_match_by_secret_only_and_once() {
    let mut rack = Rack::new();
    let node = rack.install(&box_a());
    assert!(rack.report(node, 0).events.is_empty(), "the same report again changes nothing");
    let forged = Report { fqdn: Some(Text::new(rack.node(node).name.as_str())), ..Report::default() };
    rack.report_with(None, forged.clone(), 200);
    rack.report_with(Some(secret(NodeId(77), 0)), forged.clone(), 201);
    rack.report_with(Some(secret(node, 0)), forged, 202);
    assert_eq!(rack.fleet.unmatched().count(), 3);
    assert_eq!(rack.node(node).host_keys.len(), 1);
}

#[test]
fn an_unmatched_report_is_adopted_by_the_operator() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.report_with(None, Report::default(), 200);
    let report = rack.fleet.unmatched().next().unwrap().id;
    assert!(matches!(rack.order(Order::Adopt { report, node }), Err(Refusal::WrongPhase { .. })));
    rack.approve(node).unwrap();
    rack.order(Order::Adopt { report, node }).unwrap();
    assert_eq!(rack.phase(node), "installed");
    assert!(rack.node(node).flags.contains(&Flag::Unproven));
    assert_eq!(rack.fleet.unmatched().count(), 0);
}

#[test]
fn without_webhook_auth_reports_match_by_uuid_then_name_but_only_answered_nodes() {
    let policy = Policy { webhook_auth: WebhookAuth::None, ..Policy::default() };
    let mut rack = Rack::under(policy);
    let (node, _) = rack.ask(&box_a());
    let named = Report { fqdn: Some(Text::new("pve-07aa.example.com")), ..Report::default() };
    rack.report_with(None, named.clone(), 1);
    assert_eq!(rack.phase(node), "waiting");
    rack.approve(node).unwrap();
    let (_, Verdict::Serve(grant)) = rack.ask(&box_a()) else { panic!() };
    rack.release(&box_a(), &grant, None);
    rack.report_with(None, named, 2);
    assert_eq!(rack.phase(node), "installed");
    assert!(rack.node(node).flags.contains(&Flag::UnprovenReport));
    assert_eq!(rack.fleet.gate(), Gate::ByHand);
}

#[rstest::rstest]
#[case(WebhookAuth::Secret)]
#[case(WebhookAuth::None)]
fn a_report_that_may_move_nobody_is_kept_unmatched(#[case] webhook_auth: WebhookAuth) {
    let mut rack = Rack::under(Policy { webhook_auth, ..Policy::default() });
    let (node, _) = rack.ask(&box_a());
    rack.approve(node).unwrap();
    let (_, Verdict::Serve(grant)) = rack.ask(&box_a()) else { panic!() };
    rack.release(&box_a(), &grant, None);
    let report = Report { fqdn: Some(Text::new(rack.node(node).name.as_str())), ..Report::default() };
    let (peer, document) = ("198.51.100.9".parse().unwrap(), DocumentHash::of(b"report"));
    let secret = Some(secret(node, 0));
    let incoming = ReportIn { peer, document, report, secret, may_move: false };
    rack.submit(&Command::Report(Box::new(incoming))).unwrap();
    assert_eq!((rack.phase(node), rack.fleet.unmatched().count()), ("installing", 1));
    rack.report(node, 0);
    assert_eq!(rack.phase(node), "installed", "the secret is not spent");
}

#[test]
fn a_node_becomes_ready_only_by_its_own_key() {
    let mut rack = Rack::new();
    let node = rack.install(&box_a());
    let other: HostKey = KEY.replace("ICvB", "ICvC").parse().unwrap();
    let silent = Sighting::Silent { what: Text::new("connection refused") };
    rack.submit(&Command::Probe { node, sighting: silent.clone() }).unwrap();
    assert_eq!(rack.phase(node), "booting");
    rack.submit(&Command::Probe { node, sighting: Sighting::OtherKey { seen: other } }).unwrap();
    assert_eq!(rack.phase(node), "booting");
    assert!(rack.node(node).flags.contains(&Flag::WrongHostKey));
    rack.pass(Policy::default().boot_deadline + MINUTE);
    rack.submit(&Command::Probe { node, sighting: silent }).unwrap();
    assert_eq!(rack.phase(node), "unreachable");
    rack.make_ready(node);
    assert!(!rack.node(node).flags.contains(&Flag::WrongHostKey));
}

#[test]
fn a_marked_node_needs_its_key_accepted_before_any_run() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.approve(node).unwrap();
    let (_, Verdict::Serve(grant)) = rack.ask(&box_a()) else { panic!() };
    rack.release(&box_a(), &grant, Some("192.0.2.10/24"));
    rack.order(Order::MarkInstalled { node }).unwrap();
    rack.submit(&Command::Probe { node, sighting: Sighting::Proven }).unwrap();
    assert_eq!(rack.phase(node), "installed", "no key is expected, so none can be proven");
    let seen: HostKey = KEY.parse().unwrap();
    let fingerprint = seen.fingerprint();
    rack.submit(&Command::Probe { node, sighting: Sighting::OtherKey { seen } }).unwrap();
    assert!(matches!(
        rack.order(Order::Run { nodes: vec![node], options: Box::default() }),
        Err(Refusal::NotReady { .. })
    ));
    let wrong = Order::TrustHostKey { node, fingerprint: "SHA256:x".to_owned() };
    assert!(matches!(rack.order(wrong), Err(Refusal::NoSuchHostKey(_))));
    rack.order(Order::TrustHostKey { node, fingerprint }).unwrap();
    rack.make_ready(node);
    assert!(rack.node(node).may_run());
}

#[test]
fn an_overdue_install_stalls_and_a_late_report_heals_it() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.approve(node).unwrap();
    let (_, Verdict::Serve(grant)) = rack.ask(&box_a()) else { panic!() };
    rack.release(&box_a(), &grant, None);
    rack.pass(Policy::default().install_deadline + MINUTE);
    rack.tick();
    assert_eq!(rack.phase(node), "stalled");
    rack.report(node, 0);
    assert_eq!(rack.phase(node), "installed");
}

#[test]
fn a_run_leaves_each_node_where_its_result_says() {
    let failed = || HostResult::Failed { reason: Text::new("apt: no space") };
    let outcome = || RunOutcome::Failed { reason: Text::new("a host failed") };
    for (outcome, results, expected) in [
        (RunOutcome::Succeeded, vec![], "configured"),
        (outcome(), vec![failed()], "failed"),
        (outcome(), vec![HostResult::Configured], "configured"),
        (outcome(), vec![], "failed"),
        (RunOutcome::Cancelled, vec![], "ready"),
        (RunOutcome::Interrupted, vec![], "ready"),
        (RunOutcome::NotStarted { reason: Text::new("no ansible") }, vec![], "ready"),
    ] {
        let mut rack = Rack::new();
        let a = rack.install(&box_a());
        rack.make_ready(a);
        rack.tick();
        let hosts: Vec<_> = results.into_iter().map(|result| (a, result)).collect();
        rack.end_run(outcome.clone(), &hosts);
        assert_eq!(rack.phase(a), expected, "{outcome:?}");
        assert!(rack.tick().events.is_empty(), "the gate does not fire again by itself");
        assert!(matches!(rack.order(Order::Cancel), Err(Refusal::NoRun)));
    }
}

#[test]
fn a_run_that_did_nothing_leaves_its_nodes_where_they_stood() {
    let reason = || Text::new("x");
    let untold = [RunOutcome::Cancelled, RunOutcome::Interrupted, RunOutcome::NotStarted { reason: reason() }];
    for outcome in untold {
        for (first, expected) in [
            (HostResult::Configured, ("configured", true)),
            (HostResult::Failed { reason: reason() }, ("failed", true)),
            (HostResult::Untouched { reason: reason() }, ("failed", false)),
        ] {
            let mut rack = Rack::new();
            let a = rack.install(&box_a());
            rack.make_ready(a);
            rack.tick();
            rack.end_run(RunOutcome::Succeeded, &[(a, first)]);
            let stands = |rack: &Rack| (rack.phase(a), rack.node(a).was_configured);
            assert_eq!(stands(&rack), expected);
            rack.order(Order::Run { nodes: vec![a], options: Box::default() }).unwrap();
            rack.end_run(outcome.clone(), &[]);
            assert_eq!(stands(&rack), expected, "{outcome:?}");
        }
    }
}

#[test]
fn a_node_that_a_run_told_nothing_of_stays_where_it_stood() {
    for (outcome, word) in
        [(RunOutcome::Failed { reason: Text::new("x") }, "failed"), (RunOutcome::Cancelled, "failed")]
    {
        let mut rack = Rack::new();
        let [a, b] = [box_a(), box_b()].map(|machine| rack.install(&machine));
        rack.make_ready(a);
        rack.make_ready(b);
        rack.tick();
        rack.end_run(RunOutcome::Succeeded, &[]);
        let options = Box::new(RunOptions { tags: vec!["pve".to_owned()], ..RunOptions::default() });
        rack.order(Order::Run { nodes: vec![a, b], options }).unwrap();
        rack.end_run(outcome, &[(a, HostResult::Failed { reason: Text::new("x") })]);
        assert_eq!((rack.phase(a), rack.phase(b)), (word, "configured"));
    }
}

#[test]
fn a_run_that_begins_at_a_later_task_makes_no_node_configured() {
    let mut rack = Rack::new();
    let a = rack.install(&box_a());
    rack.make_ready(a);
    rack.tick();
    rack.end_run(RunOutcome::Cancelled, &[]);
    let options = Box::new(RunOptions { start_at: Some("last".to_owned()), ..RunOptions::default() });
    rack.order(Order::Run { nodes: vec![a], options }).unwrap();
    rack.end_run(RunOutcome::Succeeded, &[(a, HostResult::Configured)]);
    assert_eq!((rack.phase(a), rack.node(a).was_configured), ("ready", true));
}

#[test]
fn a_second_cancel_is_more_insistent() {
    use crate::domain::effect::Effect;
    let mut rack = Rack::new();
    let a = rack.install(&box_a());
    rack.make_ready(a);
    rack.tick();
    let run = rack.fleet.active_run().unwrap().id;
    rack.submit(&Command::RunStarted { run }).unwrap();
    assert!(matches!(rack.order(Order::Forget { node: a }), Err(Refusal::RunActive(_))));
    assert_eq!(rack.order(Order::Cancel).unwrap().effects, [Effect::StopRun(run)]);
    assert_eq!(rack.order(Order::Cancel).unwrap().effects, [Effect::StopRun(run)]);
    assert_eq!(rack.fleet.resume(), [Effect::FollowRun(run)]);
}

#[test]
fn a_cancel_before_the_start_is_remembered() {
    use crate::domain::effect::Effect;
    let mut rack = Rack::new();
    let a = rack.install(&box_a());
    rack.make_ready(a);
    rack.tick();
    let run = rack.fleet.active_run().unwrap().id;
    assert_eq!(rack.order(Order::Cancel).unwrap().effects, [Effect::StopRun(run)]);
    assert_eq!(rack.order(Order::Cancel).unwrap().effects, [Effect::StopRun(run)]);
    let stored = serde_json::to_string(&rack.fleet).unwrap();
    let found: Fleet = serde_json::from_str(&stored).unwrap();
    assert_eq!(found.resume(), [Effect::StartRun(run)]);
    assert_eq!(found.run(run).unwrap().state, RunState::Queued { stopping: true });
    rack.submit(&Command::RunStarted { run }).unwrap();
    assert!(rack.fleet.run(run).unwrap().is_stopping(), "a process that had begun already is stopped");
    assert_eq!(rack.phase(a), "configuring");
    rack.end_run(RunOutcome::Cancelled, &[]);
    assert_eq!(rack.phase(a), "ready");
}

#[test]
fn a_queued_run_stored_by_an_earlier_release_is_read() {
    let stored = r#"{"state":"queued"}"#;
    assert_eq!(serde_json::from_str::<RunState>(stored).unwrap(), RunState::Queued { stopping: false });
}

#[test]
fn a_rejected_machine_is_refused_until_it_is_approved() {
    let mut rack = Rack::new();
    let (node, _) = rack.ask(&box_a());
    rack.order(Order::Reject { node, reason: Text::new("not ours") }).unwrap();
    assert!(matches!(rack.ask(&box_a()).1, Verdict::Refuse(_)));
    rack.approve(node).unwrap();
    assert!(matches!(rack.ask(&box_a()).1, Verdict::Serve(_)));
}

#[test]
fn imported_names_are_reserved_and_block_nothing() {
    let mut rack = Rack::new();
    let entries = vec![("pve-07aa.example.com".parse().unwrap(), Text::new("installed"))];
    rack.submit(&Command::Import { entries: entries.clone() }).unwrap();
    assert!(rack.submit(&Command::Import { entries }).unwrap().events.is_empty());
    let node = rack.install(&box_a());
    assert_eq!(rack.node(node).name.as_str(), "pve-a07aa.example.com");
    rack.make_ready(node);
    assert!(matches!(rack.tick().reply, Reply::Queued(_)));
}

#[test]
fn a_ready_node_that_is_missed_counts_no_more_and_teaches_no_boot_time() {
    let mut rack = Rack::new();
    let node = rack.install(&box_a());
    rack.make_ready(node);
    let probe = |sighting| Command::Probe { node, sighting };
    assert!(rack.submit(&probe(Sighting::Proven)).unwrap().events.is_empty());
    rack.pass(Duration::from_hours(60));
    rack.submit(&probe(Sighting::Silent { what: "refused".into() })).unwrap();
    assert_eq!(rack.phase(node), "booting");
    let times = rack.fleet.pace(rack.node(node), crate::domain::fleet::clock::Leg::Boot);
    rack.make_ready(node);
    assert_eq!(rack.fleet.pace(rack.node(node), crate::domain::fleet::clock::Leg::Boot), times);
    // Another system on the same machine is no ready node either.
    let seen = KEY.replace("ICvB", "ICvC").parse().unwrap();
    rack.submit(&probe(Sighting::OtherKey { seen })).unwrap();
    assert_eq!(rack.phase(node), "booting");
    assert!(rack.node(node).flags.contains(&Flag::WrongHostKey));
}

#[test]
fn what_is_said_of_an_unreachable_node_is_what_was_seen_last() {
    let mut rack = Rack::new();
    let node = rack.install(&box_a());
    let probe = |sighting| Command::Probe { node, sighting };
    let silent = |what: &str| probe(Sighting::Silent { what: what.into() });
    rack.submit(&silent("refused")).unwrap();
    rack.pass(Duration::from_hours(1));
    rack.submit(&silent("refused")).unwrap();
    let since = rack.node(node).since;
    let reason = |rack: &Rack| rack.node(node).phase.reason().unwrap().to_string();
    assert!(reason(&rack).ends_with(": refused"), "{}", reason(&rack));
    rack.pass(Duration::from_hours(1));
    assert!(rack.submit(&silent("refused")).unwrap().events.is_empty(), "nothing new");
    let seen = KEY.replace("ICvB", "ICvC").parse().unwrap();
    rack.submit(&probe(Sighting::OtherKey { seen })).unwrap();
    assert!(reason(&rack).contains("not the reported one") && rack.node(node).flags.contains(&Flag::WrongHostKey));
    rack.submit(&silent("no route")).unwrap();
    assert_eq!(reason(&rack), "no route");
    assert!(!rack.node(node).flags.contains(&Flag::WrongHostKey), "whoever had the other key is gone");
    assert_eq!(rack.node(node).since, since, "it has been unreachable all the time");
    let seen = KEY.replace("ICvB", "ICvC").parse().unwrap();
    rack.submit(&probe(Sighting::OtherKey { seen })).unwrap();
    rack.order(Order::SetAddress { node, address: [192, 0, 2, 99].into() }).unwrap();
    assert!(!rack.node(node).flags.contains(&Flag::WrongHostKey), "that was seen at another address");
}
