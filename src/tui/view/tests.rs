//! What screens say, and properties every screen has; pictures of all are in `scenes`.

use crossterm::event::KeyCode;
use insta::assert_snapshot;
use proptest::prelude::*;
use ratatui::style::Color;

use crate::client::OrderError;
use crate::domain::text::Text;
use crate::domain::{Command, NodeId, Ordered};
use crate::tui::action::{Msg, Request};
use crate::tui::fixture::*;
use crate::tui::model::{Model, Row};
use crate::tui::scenes::stage::*;
use crate::tui::update::update;

#[test]
fn nodes_200_asks_again() {
    let mut model = busy_rack().model(200, 40);
    go_to(&mut model, Row::Node(NodeId(6)));
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn ansibles_colours_are_kept() {
    let mut rack = busy_rack();
    rack.run(vec![NodeId(3)]);
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::Char('2'));
    output(&mut model, OUTPUT);
    let terminal = screen(&model);
    let reds = terminal.backend().buffer().content.iter().filter(|cell| cell.fg == Color::Red).count();
    assert!(reds > 100, "{reds}");
}

#[test]
fn an_answer_that_was_not_confirmed_says_so() {
    let mut rack = Rack::new();
    let node = rack.ask(1);
    rack.release(node);
    let mut model = rack.model(120, 40);
    go_to(&mut model, Row::Node(node));
    let shown = screen(&model).backend().to_string();
    for words in ["sent? ", "sent, not", "its answer was sent, not confirmed"] {
        assert!(shown.contains(words), "`{words}` is missing in\n{shown}");
    }
}

#[test]
fn too_small() {
    assert_snapshot!(screen(&busy_rack().model(40, 10)).backend());
}

#[test]
fn the_log_tab_shows_what_telemetry_collects() {
    use tracing_subscriber::layer::SubscriberExt as _;
    let subscriber = tracing_subscriber::registry().with(tui_logger::TuiTracingSubscriberLayer);
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(target: "prox", "answer served to `m1`");
    });
    tui_logger::move_events();
    let mut model = Rack::new().model(100, 30);
    press(&mut model, KeyCode::Char('3'));
    let shown = text_of(&model);
    assert!(shown.contains("answer served to `m1`") && shown.contains("prox"), "{shown}");
    press(&mut model, KeyCode::Char('h'));
    assert!(!text_of(&model).contains("Targets"));
}

/// Opens a dialog on a row.
fn dialog(rack: &Rack, row: Row, keys: &str) -> Model {
    let mut model = rack.model(80, 24);
    go_to(&mut model, row);
    type_text(&mut model, keys);
    model
}

#[test]
fn an_answer_is_explained_80() {
    let mut model = dialog(&busy_rack(), Row::Node(NodeId(6)), "");
    let requests = press(&mut model, KeyCode::Char('p'));
    assert!(screen(&model).backend().to_string().contains("The engine is asked"));
    say(&mut model, &requests);
    assert_snapshot!(screen(&model).backend());
    press(&mut model, KeyCode::Esc);
    assert!(model.modal.is_none());
}

#[test]
fn a_reinstall_says_what_it_would_touch() {
    let mut model = dialog(&busy_rack(), Row::Node(NodeId(6)), "");
    let requests = press(&mut model, KeyCode::Char('a'));
    say(&mut model, &requests);
    assert_snapshot!(screen(&model).backend());
}

#[test]
fn a_profile_is_ticked_and_written() {
    let mut model = dialog(&busy_rack(), Row::Node(NodeId(9)), "Pdell");
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char(' '));
    assert_snapshot!(screen(&model).backend());
    let requests = press(&mut model, KeyCode::Enter);
    let [Request::NewProfile { ticket, wish }] = &*requests else { panic!("{requests:?}") };
    assert_eq!((wish.node, &*wish.name, wish.pointers.len()), (NodeId(9), "dell", 2));
    let refused = Err(OrderError::Other("`profiles/dell.toml` is there already".to_owned()));
    update(&mut model, Msg::Replied { ticket: *ticket, done: String::new(), result: refused });
    assert!(screen(&model).backend().to_string().contains("is there already"));
    let requests = press(&mut model, KeyCode::Enter);
    let [Request::NewProfile { ticket, .. }] = &*requests else { panic!("{requests:?}") };
    let done = "wrote profiles/dell.toml".to_owned();
    update(&mut model, Msg::Replied { ticket: *ticket, done, result: Ok(Ordered::Done) });
    assert!(model.modal.is_none() && model.notice.is_some());
}

#[test]
fn the_command_can_be_marked_with_the_mouse() {
    for width in [60, 80, 120] {
        let mut model = Rack::new().model(width, 40);
        press(&mut model, KeyCode::Char('4'));
        let shown = text_of(&model).replace("\\\n", "");
        assert!(shown.contains(&crate::tui::setup::prepare_command(&model.snapshot.service)), "{width}: {shown}");
    }
}

#[test]
fn ten_thousand_rows_draw_only_what_is_seen() {
    let mut rack = Rack::new();
    let entries = (0..10_000).map(|n| (format!("n{n}.lab").parse().unwrap(), Text::new("installed"))).collect();
    rack.submit(&Command::Import { entries });
    let mut model = rack.model(80, 24);
    press(&mut model, KeyCode::End);
    let shown = text_of(&model);
    assert!(shown.contains("n9999.lab") && !shown.contains("n9000.lab"));
}

#[test]
fn long_news_is_shown_whole() {
    let mut model = busy_rack().model(80, 24);
    let words =
        "`pve-0709.example.com` changed while you looked: it asked again, and differently; look again, then decide";
    model.warn(words);
    let shown: String = text_of(&model);
    let shown: Vec<_> = shown.split_whitespace().collect();
    assert!(shown.join(" ").contains(words));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever machines, Ansible and the program's surroundings say, every screen of every size is drawn, and no
    /// control character reaches the terminal.
    #[test]
    fn hostile_words_reach_no_terminal(
        words in any::<String>(),
        size in (1_u16..200, 1_u16..60),
        row in 0_usize..4,
        keys in "[1-4?aexrfmtdjkGghl]{0,6}",
    ) {
        let mut rack = Rack::new();
        let mut hostile = info(1);
        hostile.dmi.model = Some(Text::new(&words));
        hostile.dmi.serial = Some(Text::new(&words));
        hostile.links[0].name = Text::new(&words);
        rack.ask_as(1, hostile);
        rack.ready(2);
        rack.run(vec![NodeId(2)]);
        let mut strange = report(3, &words);
        strange.cpu.model = Some(Text::new(&words));
        rack.report_as(3, strange, None);
        rack.problem(&words, &words);
        let mut model = rack.model(size.0, size.1);
        output(&mut model, &[&words, "\u{1b}[31mx"]);
        model.warn(words);
        for _ in 0..row {
            press(&mut model, KeyCode::Down);
        }
        type_text(&mut model, &keys);
        let terminal = screen(&model);
        for cell in &terminal.backend().buffer().content {
            prop_assert!(!cell.symbol().chars().any(char::is_control));
        }
    }
}
