//! Every key in every scope, and what it does there; help and keys against each other.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crossterm::event::KeyCode;

use super::{Stage, all, modal, question};
use crate::domain::Order;
use crate::tui::action::{Action, Msg, Request};
use crate::tui::fixture::*;
use crate::tui::hints::HINTS;
use crate::tui::keymap::{BINDINGS, Binding, Scope, lookup};
use crate::tui::modal::Modal;
use crate::tui::model::Model;
use crate::tui::update::update;

/// Scenes in which a scope's keys hold. A new scope does not compile until it has some.
fn scenes_of(scope: Scope) -> &'static [&'static str] {
    match scope {
        Scope::Nodes => &["nodes", "detail_report", "nodes_asks_again", "nodes_marked"],
        Scope::Detail => &["detail_ready", "detail_ready_end"],
        Scope::Ansible => &["ansible_many_runs", "ansible_older_run", "ansible_paused", "grid"],
        Scope::Grid => &["grid", "grid_moved"],
        Scope::Result => &["result"],
        Scope::Found => &["ansible_searched"],
        Scope::Log => &["log"],
        Scope::Setup => &["setup"],
        Scope::Tabs => &["nodes", "nodes_hint", "nodes_countdown", "ansible", "ansible_countdown"],
        Scope::Always => &["nodes", "setup", "quit"],
        Scope::Help => &["help"],
        Scope::Palette => &["palette"],
        Scope::Filter => &["filter"],
        Scope::Find => &["ansible_search"],
        Scope::Page => &["turned_away", "answer"],
        Scope::Confirm => &["ask_forget", "quit", "ask_approve_many"],
        Scope::Form => &["ask_host_name_bad", "ask_reject"],
        Scope::Choice => &["ask_gate"],
        Scope::Ticks => &["profile"],
        Scope::Sheet | Scope::Value => &["ask_run"],
        Scope::Answered => &["engine_thinks", "engine_refuses"],
    }
}

fn scene(name: &str) -> Model {
    let (_, build) = all().find(|(other, _)| *other == name).unwrap_or_else(|| panic!("no scene `{name}`"));
    build(&Stage::new(80, 24))
}

/// What there is to say about where the console is.
fn facts(model: &Model) -> Vec<String> {
    let mut facts = vec![
        format!("tab {}", model.tab.name()),
        format!("level {:?}", model.runs.level),
        format!("row {:?}", model.nodes.selected),
        format!("detail {:?}", model.nodes.detail),
        format!("{} marked", model.nodes.marks.len()),
        format!("sort {:?}, reversed {}", model.listing.sort, model.listing.is_reversed),
        format!("{} lines, filter `{}`", model.listing.items().len(), model.listing.filter.text()),
        format!("run {:?}", model.pager.run()),
        format!("output {:?}, cut {}", model.pager.place, model.pager.is_cut),
        format!("search `{}` {:?}", model.pager.searched(), model.pager.finds()),
        format!("task {}, host {}, result line {}", model.runs.column(), model.runs.host, model.runs.top),
        format!("way {}, from line {}", model.topic, model.setup_top),
        format!("hint {:?}", model.hint),
    ];
    facts.extend(model.notice.as_ref().map(|notice| format!("says \"{}\"", notice.text)));
    facts.push(match &model.modal {
        None => "no dialog".to_owned(),
        Some(open @ Modal::Ask(dialog)) => format!("dialog {}: {}", modal(open), question(dialog.about())),
        Some(open @ (Modal::Help { top, .. } | Modal::Problems { top } | Modal::Ghosts { top })) => {
            format!("dialog {} from line {top}", modal(open))
        }
        Some(open @ Modal::Palette { marked, .. }) => format!("dialog {} at {marked}", modal(open)),
        Some(open) => format!("dialog {}", modal(open)),
    });
    facts
}

fn wish(request: &Request) -> String {
    match request {
        Request::Order { order, done, .. } => {
            let order = format!("{order:?}");
            let word = order.split([' ', '{']).next().unwrap_or_default();
            format!("ORDER {word} (\"{done}\")")
        }
        Request::Batch { orders, done, .. } => {
            format!("ORDERS for {}: {done}", orders.iter().filter(|(_, order)| order.is_ok()).count())
        }
        Request::Copy(text) => format!("copies {} bytes", text.len()),
        Request::Write { file, .. } => format!("writes {file}"),
        Request::Title(words) => format!("title {words}"),
        other => format!("{other:?}").split([' ', '{']).next().unwrap_or_default().to_owned(),
    }
}

/// What came of a key.
fn effect(binding: &Binding, name: &str, key: usize) -> String {
    let mut model = scene(name);
    let before: BTreeSet<_> = facts(&model).into_iter().collect();
    let looks = text_of(&model);
    let event = binding.keys[key].event();
    let meant = lookup(event, &model.scopes()).map(|found| (found.scope, found.action));
    if meant != Some((binding.scope, binding.action)) {
        return match meant {
            Some((scope, _)) => format!("(taken by: {})", scope.title()),
            None => "(not here)".to_owned(),
        };
    }
    let requests = update(&mut model, Msg::Key(event));
    let news = facts(&model).into_iter().filter(|fact| !before.contains(fact));
    let all: Vec<_> = requests.iter().map(wish).chain(news).collect();
    match all.is_empty() {
        true if text_of(&model) == looks => "nothing".to_owned(),
        true => "looks different".to_owned(),
        false => all.join("; "),
    }
}

#[test]
fn every_key_in_every_scope() {
    let mut table = String::new();
    for scope in Scope::ALL {
        for name in scenes_of(scope) {
            let _ = writeln!(table, "== {}, in the scene {name}", scope.title());
            for binding in BINDINGS.iter().filter(|binding| binding.scope == scope) {
                let effects: Vec<_> = (0..binding.keys.len()).map(|key| effect(binding, name, key)).collect();
                let keys: Vec<_> = binding.keys.iter().map(ToString::to_string).collect();
                assert!(effects.iter().all(|other| *other == effects[0]), "{name}: {keys:?} differ: {effects:?}");
                let _ = writeln!(table, "{:<24} {}", keys.join(" "), effects[0]);
            }
        }
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("keys", table);
    });
}

/// A binding that does nothing anywhere is no binding; what scrolls up does so from further down.
#[test]
fn every_key_does_something_somewhere() {
    let before = [None, Some(KeyCode::Down), Some(KeyCode::End), Some(KeyCode::Right)];
    // The log's widget keeps what its keys do to itself.
    for binding in BINDINGS.iter().filter(|binding| binding.scope != Scope::Log) {
        let does = |name: &&str| {
            before.iter().any(|first| {
                let mut model = scene(name);
                if let Some(code) = first {
                    press(&mut model, *code);
                }
                let (was, looks) = (facts(&model), text_of(&model));
                let event = binding.keys[0].event();
                let is_meant = lookup(event, &model.scopes()).is_some_and(|found| found.help == binding.help);
                let requests = if is_meant { update(&mut model, Msg::Key(event)) } else { Vec::new() };
                !requests.is_empty() || facts(&model) != was || text_of(&model) != looks
            })
        };
        assert!(scenes_of(binding.scope).iter().any(does), "{:?} {:?}", binding.scope, binding.action);
    }
}

#[test]
fn escape_holds_a_run_that_is_about_to_start_on_every_tab_that_says_so() {
    // The tab, and what stands in front of its table: the detail, marks, a filter, a search.
    for tab in ["1", "2", "3", "4", "\n", "*", "1/node\n", "2/x\n"] {
        let mut model = scene("nodes_countdown");
        for c in tab.chars() {
            press(&mut model, if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) });
        }
        assert!(text_of(&model).contains("Esc holds"), "{tab}");
        let requests = press(&mut model, KeyCode::Esc);
        assert!(
            matches!(&requests[..], [Request::Order { order: Order::HoldGate { hold: true }, .. }]),
            "{tab}: {requests:?}"
        );
        assert!(model.modal.is_none(), "{tab}");
    }
}

#[test]
fn keys_nobody_bound_do_nothing() {
    let printable = (' '..='~').map(|c| key(KeyCode::Char(c)));
    for event in printable.chain(('a'..='z').map(ctrl)) {
        for scene_name in
            ["nodes", "detail_ready", "ansible", "grid", "result", "setup", "quit", "ask_gate", "turned_away"]
        {
            let mut model = scene(scene_name);
            if lookup(event, &model.scopes()).is_some() {
                continue;
            }
            let before = facts(&model);
            assert!(update(&mut model, Msg::Key(event)).is_empty(), "{scene_name}: {event:?}");
            assert_eq!(facts(&model), before, "{scene_name}: {event:?}");
        }
    }
}

#[test]
fn every_binding_has_a_line_of_help_and_every_line_a_binding() {
    let mut model = Rack::new().model(200, 300);
    type_text(&mut model, "?");
    let shown = text_of(&model);
    let inside: Vec<_> = shown.lines().filter_map(|line| line.strip_prefix('│')).collect();
    let lines: Vec<_> = inside.iter().filter(|line| line.starts_with("  ") && line.trim() != "│").collect();
    assert_eq!(lines.len(), BINDINGS.len(), "{shown}");
    let in_order =
        Scope::ALL.into_iter().flat_map(|scope| BINDINGS.iter().filter(move |binding| binding.scope == scope));
    for (binding, line) in in_order.zip(&lines) {
        let keys: Vec<_> = binding.keys.iter().map(ToString::to_string).collect();
        assert!(
            line.contains(binding.help) && keys.iter().all(|key| line.contains(&**key)),
            "{line}: {}",
            binding.help
        );
    }
    for scope in Scope::ALL {
        assert!(
            inside.iter().any(|line| line.trim_end_matches(['│', ' ']).trim() == scope.title()),
            "{}",
            scope.title()
        );
    }
}

#[test]
fn hints_name_keys_that_there_are() {
    for hint in HINTS {
        for key in hint.split('`').skip(1).step_by(2) {
            let is_bound = |binding: &Binding| {
                matches!(binding.scope, Scope::Nodes | Scope::Tabs | Scope::Ansible)
                    && binding.keys.iter().any(|bound| bound.to_string() == key)
            };
            assert!(BINDINGS.iter().any(is_bound), "`{key}` in: {hint}");
        }
    }
    let bound: BTreeSet<_> = BINDINGS.iter().map(|binding| format!("{:?}", binding.action)).collect();
    assert!([Action::NextHint, Action::NoHints].iter().all(|action| bound.contains(&format!("{action:?}"))));
}
