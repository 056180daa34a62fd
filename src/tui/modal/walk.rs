//! Walk mode: beginning it, and what can be done while it goes on.

use super::{Ask, Field, Input, InputMut, Leads, Paragraph, Picker, Sending, parse_name};
use crate::domain::{Fqdn, Node, Order, WalkView, WalkWish};
use crate::tui::model::Model;
use crate::tui::text;

/// Slots named before a walk begins.
const NAMED: usize = 3;

/// Asks whether to begin a walk along the plan's rows.
#[derive(Debug)]
pub(in crate::tui) struct WalkPlan {
    /// How many slots there are, and the first of them.
    slots: String,
}

/// Asks for the first name of a walk without a plan.
#[derive(Debug)]
pub(in crate::tui) struct WalkNames {
    field: Field,
}

/// Asks what to do while a walk goes on.
#[derive(Debug)]
pub(in crate::tui) struct WalkMenu {
    orders: Vec<(WalkWish, String)>,
    picker: Picker,
}

/// Asks whether to stop the walk.
#[derive(Debug)]
pub(in crate::tui) struct StopWalk;

fn wish(wish: WalkWish, done: impl Into<String>) -> Sending {
    Sending { order: Order::Walk { wish }, done: done.into() }
}

/// `pve-07 in R7/12`.
pub(in crate::tui) fn slot(name: &Fqdn, place: Option<&str>) -> String {
    place.map_or_else(|| name.host().to_owned(), |place| format!("{} in {place}", name.host()))
}

/// Passing over the slot that is on the screen.
pub(in crate::tui) fn skip(view: &WalkView) -> Option<Sending> {
    let (name, place) = view.next.as_ref()?;
    let done = format!("skipped {}; `<` takes that back", slot(name, place.as_deref()));
    Some(wish(WalkWish::Skip { slot: name.clone() }, done))
}

/// Taking the last step back.
pub(in crate::tui) fn step_back(view: &WalkView) -> Option<Sending> {
    let slot = view.back.clone()?;
    let done = format!("one step back: {} is free again", slot.host());
    Some(wish(WalkWish::Back { slot }, done))
}

impl WalkPlan {
    pub(super) fn new(model: &Model) -> Self {
        let rows = model.snapshot.fleet.walkable();
        let place = |node: &&std::sync::Arc<Node>| {
            slot(&node.name, node.plan.as_ref().and_then(|entry| entry.place()).as_deref())
        };
        let first: Vec<_> = rows.iter().take(NAMED).map(place).collect();
        let more = if rows.len() > NAMED { ", …" } else { "" };
        Self { slots: format!("{}: {}{more}", text::count(rows.len(), "slot"), first.join(", ")) }
    }
}

const ENDED: &str = "the walk is over; new machines get names of their own again";

fn stop() -> Sending {
    wish(WalkWish::Stop, ENDED)
}

const CONFIRMED: &str = "Nothing is approved by that: compare each code with the machine's screen, then `a`. \
                         A machine that the plan knows by its own identifiers keeps its own row.";

impl Ask for WalkPlan {
    fn title(&self) -> String {
        "Walk along the rack".to_owned()
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        vec![
            Paragraph::plain(
                "Switch the machines on one after the other. Each new one takes the next slot of the plan:",
            ),
            Paragraph::strong(self.slots.clone()),
            Paragraph::plain("`>` skips a slot, `<` goes one back, Esc stops."),
            Paragraph::muted(CONFIRMED),
        ]
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        Ok(Leads::Order(wish(WalkWish::Start { first: None }, "walking: each new machine takes the next slot")))
    }
}

impl WalkNames {
    /// Offers the first free name that is made like others.
    pub(super) fn new(model: &Model) -> Self {
        let fleet = &model.snapshot.fleet;
        let policy = fleet.policy();
        let domain = policy.domain.trim_start_matches('.');
        let names = (1..1000).filter_map(|n| format!("{}{n:02}.{domain}", policy.name_prefix).parse().ok());
        let free = names.into_iter().find(|name: &Fqdn| fleet.named(name).is_none());
        Self { field: Field::new("first name", free.as_ref().map_or("", Fqdn::as_str)) }
    }

    fn first(&self) -> Result<Fqdn, String> {
        let name = parse_name(self.field.value())?;
        crate::domain::walk::count_up(&name, 0)
            .ok_or_else(|| crate::domain::Refusal::NoNumber(name.clone()).to_string())
    }
}

impl Ask for WalkNames {
    fn title(&self) -> String {
        "Walk along the rack".to_owned()
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        let next: Vec<_> = match self.first() {
            Ok(first) => (0..NAMED).filter_map(|steps| crate::domain::walk::count_up(&first, steps)).collect(),
            Err(_) => Vec::new(),
        };
        let names: Vec<_> = next.iter().map(Fqdn::host).collect();
        let mut body = vec![Paragraph::plain(
            "Switch the machines on one after the other. Each new one takes the next name; no row of a plan waits.",
        )];
        if !names.is_empty() {
            body.push(Paragraph::strong(format!("{}, …", names.join(", "))));
        }
        body.push(Paragraph::plain("`>` skips a name, `<` goes one back, Esc stops."));
        body.push(Paragraph::muted(
            "Nothing is approved by that: compare each code with the machine's screen, then `a`.",
        ));
        body
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        let first = self.first()?;
        let done = format!("walking: new machines are named from {} on", first.host());
        Ok(Leads::Order(wish(WalkWish::Start { first: Some(first) }, done)))
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Field(&self.field))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Field(&mut self.field))
    }
}

impl WalkMenu {
    pub(super) fn new(view: &WalkView) -> Self {
        let mut choices = Vec::new();
        if let (Some(sending), Some((name, place))) = (skip(view), &view.next) {
            choices.push((sending, format!("skip {}: no machine comes for it", slot(name, place.as_deref()))));
        }
        if let (Some(sending), Some(back)) = (step_back(view), &view.back) {
            choices.push((sending, format!("one step back: {} is the next again", back.host())));
        }
        choices.push((stop(), "stop the walk".to_owned()));
        let picker = Picker::new(choices.iter().map(|(_, words)| words.clone()).collect());
        let orders = choices.into_iter().filter_map(|(sending, _)| match sending.order {
            Order::Walk { wish } => Some((wish, sending.done)),
            _ => None,
        });
        Self { orders: orders.collect(), picker }
    }
}

impl Ask for WalkMenu {
    fn title(&self) -> String {
        "The walk along the rack".to_owned()
    }

    fn body(&self, model: &Model) -> Vec<Paragraph> {
        model.overview.walk.iter().map(|view| Paragraph::strong(words(view))).collect()
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        let (chosen, done) = self.orders.get(self.picker.marked()).ok_or_else(|| "nothing is chosen".to_owned())?;
        Ok(Leads::Order(wish(chosen.clone(), done.clone())))
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Picker(&self.picker))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Picker(&mut self.picker))
    }
}

/// How far a walk is, in words.
pub(in crate::tui) fn words(view: &WalkView) -> String {
    format!("{}; {}", next(view), figures(view))
}

/// What is next: `next: pve-07 in R7/12`.
pub(in crate::tui) fn next(view: &WalkView) -> String {
    match &view.next {
        Some((name, place)) => format!("next: {}", slot(name, place.as_deref())),
        None => "no slot is left".to_owned(),
    }
}

/// How many slots: `3 taken, 1 skipped, 8 left`.
pub(in crate::tui) fn figures(view: &WalkView) -> String {
    let skipped = if view.skipped > 0 { format!(", {} skipped", view.skipped) } else { String::new() };
    let left = left(view).map(|left| format!(", {left}")).unwrap_or_default();
    format!("{} taken{skipped}{left}", view.taken)
}

/// How many are left, where that is known.
pub(in crate::tui) fn left(view: &WalkView) -> Option<String> {
    view.left.map(|left| format!("{left} left"))
}

impl Ask for StopWalk {
    fn title(&self) -> String {
        "Stop the walk".to_owned()
    }

    fn body(&self, model: &Model) -> Vec<Paragraph> {
        let mut body: Vec<_> = model.overview.walk.iter().map(|view| Paragraph::strong(words(view))).collect();
        body.push(Paragraph::plain(
            "Machines that took a slot keep it. New ones get names of their own again, and what was skipped is forgotten.",
        ));
        body
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        Ok(Leads::Order(stop()))
    }
}
