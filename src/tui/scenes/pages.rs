//! Pages over the body, the filter line, leaving, and making a profile.

use crossterm::event::KeyCode;

use super::Scene;
use super::stage::*;
use crate::client::OrderError;
use crate::tui::action::{Msg, Request};
use crate::tui::fixture::*;
use crate::tui::update::update;

pub(super) const SCENES: &[Scene] = &[
    ("help", |stage| keys(stage.open(&Rack::new()), "?")),
    ("help_end", |stage| {
        let mut model = keys(stage.open(&Rack::new()), "?");
        press(&mut model, KeyCode::End);
        model
    }),
    ("help_search", |stage| keys(stage.open(&Rack::new()), "?clipboard")),
    ("help_nothing_found", |stage| keys(stage.open(&Rack::new()), "?xyzzy")),
    ("palette", |stage| keys(at(stage, &busy_rack(), WAITING), ":")),
    ("palette_search", |stage| keys(at(stage, &busy_rack(), READY), ":mark")),
    ("palette_nothing_found", |stage| keys(stage.open(&busy_rack()), ":no such thing")),
    ("filter", |stage| keys(stage.open(&busy_rack()), "/phase:waiting")),
    ("problems", |stage| keys(stage.open(&troubled_rack()), "!")),
    ("turned_away", |stage| keys(stage.open(&haunted_rack()), "o")),
    ("quit", |stage| {
        let mut rack = busy_rack();
        rack.run(vec![READY]);
        keys(at(stage, &rack, READY), "q")
    }),
    ("suspend", |stage| {
        let mut model = stage.open(&busy_rack());
        update(&mut model, Msg::Key(ctrl('z')));
        model
    }),
    ("answer_asked", |stage| keys(at(stage, &busy_rack(), AGAIN), "p")),
    ("answer", |stage| {
        let mut model = at(stage, &busy_rack(), AGAIN);
        let requests = press(&mut model, KeyCode::Char('p'));
        say(&mut model, &requests);
        model
    }),
    ("answer_refused", |stage| {
        let mut model = at(stage, &busy_rack(), AGAIN);
        let requests = press(&mut model, KeyCode::Char('p'));
        let [Request::Preview { ticket, .. }] = &requests[..] else { panic!("{requests:?}") };
        update(&mut model, Msg::Previewed { ticket: *ticket, result: Err(OrderError::Busy) });
        model
    }),
    ("profile", |stage| keys(at(stage, &busy_rack(), WAITING), "Pdell")),
    ("profile_refused", |stage| {
        let mut model = keys(at(stage, &busy_rack(), WAITING), "Pdell");
        let requests = press(&mut model, KeyCode::Enter);
        let [Request::NewProfile { ticket, .. }] = &requests[..] else { panic!("{requests:?}") };
        let refused = Err(OrderError::Other("`profiles/dell.toml` is there already".to_owned()));
        update(&mut model, Msg::Replied { ticket: *ticket, done: String::new(), result: refused });
        model
    }),
];
