//! What stands without a person: open tickets, reinstalls nobody has used, bans. And a new ticket, in one line.

use jiff::SignedDuration;

use super::{Ask, Field, Input, InputMut, Leads, Paragraph, Picker, Question};
use crate::domain::plan::ProfileName;
use crate::domain::text::Text;
use crate::domain::{Order, Wants};
use crate::tui::model::Model;
use crate::tui::text;

/// A ticket without `for` lasts so long.
const USUAL: SignedDuration = SignedDuration::from_hours(2);

/// Lists what stands; the chosen line is taken back.
#[derive(Debug)]
pub(in crate::tui) struct Standing {
    orders: Vec<(Order, String)>,
    picker: Picker,
}

impl Standing {
    pub(super) fn new(model: &Model) -> Self {
        let fleet = &model.snapshot.fleet;
        let mut lines = vec!["new ticket: approve machines beforehand".to_owned()];
        let mut orders = Vec::new();
        for ticket in fleet.tickets() {
            let minutes = ticket.expires.duration_since(model.now).as_mins().max(0);
            lines.push(text::clean(&format!("{}  {minutes} min  {ticket}", ticket.id)));
            let done = format!("ticket {} cancelled; what it approved stays approved", ticket.id);
            orders.push((Order::CancelTicket { ticket: ticket.id }, done));
        }
        for node in fleet.nodes().filter(|node| node.reinstall_allowed) {
            lines.push(format!("reinstall of {}", node.name));
            orders.push((Order::Undo { node: node.id }, format!("`{}` is not reinstalled", node.name)));
        }
        for ban in fleet.bans() {
            lines.push(text::clean(&format!("{}  banned {}  {}", ban.id, ban.name, ban.reason)));
            let done = format!("ban {} lifted; the machine is a stranger when it asks again", ban.id);
            orders.push((Order::LiftBan { ban: ban.id }, done));
        }
        Self { orders, picker: Picker::new(lines) }
    }
}

impl Ask for Standing {
    fn title(&self) -> String {
        "Tickets and bans".to_owned()
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        let words = match self.orders.as_slice() {
            [] => "No ticket is open, no reinstall is allowed, nobody is banned.",
            _ => "Enter on a line takes it back.",
        };
        vec![Paragraph::plain(words)]
    }

    fn leads(&self, _model: &Model) -> Result<Leads, String> {
        let Some(index) = self.picker.marked().checked_sub(1) else {
            return Ok(Leads::Open(Box::new(Question::NewTicket(NewTicket::new()))));
        };
        let (order, done) = self.orders.get(index).cloned().ok_or_else(String::new)?;
        Ok(Leads::order(order, done))
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Picker(&self.picker))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Picker(&mut self.picker))
    }
}

/// Asks for a ticket in one line.
#[derive(Debug)]
pub(in crate::tui) struct NewTicket {
    field: Field,
}

impl NewTicket {
    fn new() -> Self {
        Self { field: Field::new("ticket", "") }
    }
}

/// A ticket as typed.
#[derive(Debug, PartialEq, Eq)]
struct Typed {
    count: u32,
    wants: Wants,
    profile: Option<ProfileName>,
    lasts: SignedDuration,
}

/// Reads `12 PowerEdge R650* for 2h as compute`; only the number must be there.
fn parse(line: &str) -> Result<Typed, String> {
    let (line, profile) = match line.rsplit_once(" as ") {
        Some((line, profile)) => {
            (line, Some(profile.trim().parse::<ProfileName>().map_err(|error| error.to_string())?))
        }
        None => (line, None),
    };
    let (line, lasts) = match line.rsplit_once(" for ") {
        Some((line, lasts)) => {
            let lasts = lasts.trim();
            (line, lasts.parse().map_err(|_| format!("`{lasts}` is no time; write 30m or 2h"))?)
        }
        None => (line, USUAL),
    };
    let (count, model) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let count = count.parse().map_err(|_| format!("`{count}` is no number; begin with how many machines"))?;
    let model = Some(Text::new(model)).filter(|model| !model.is_empty());
    let wants = Wants { model, product: None };
    wants.check()?;
    Ok(Typed { count, wants, profile, lasts })
}

impl Ask for NewTicket {
    fn title(&self) -> String {
        "New ticket".to_owned()
    }

    fn body(&self, _model: &Model) -> Vec<Paragraph> {
        vec![
            Paragraph::plain("How many machines, of which model, for how long, with which profile:"),
            Paragraph::strong("12 PowerEdge R650* for 2h as compute"),
            Paragraph::plain("Model, time (2h) and profile may be left out. Machines that wait now come first."),
            Paragraph::danger("The disks of those machines are wiped without another question."),
        ]
    }

    fn leads(&self, model: &Model) -> Result<Leads, String> {
        let Typed { count, wants, profile, lasts } = parse(self.field.value())?;
        let done = format!("ticket for {count} of {wants}, for {lasts:#}; `T` takes it back");
        let expires = model.now.saturating_add(lasts).map_err(|error| error.to_string())?;
        Ok(Leads::order(Order::IssueTicket { count, wants, profile, expires }, done))
    }

    fn input(&self) -> Option<Input<'_>> {
        Some(Input::Field(&self.field))
    }

    fn input_mut(&mut self) -> Option<InputMut<'_>> {
        Some(InputMut::Field(&mut self.field))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("12 PowerEdge R650* for 2h as compute", 12, Some("PowerEdge R650*"), Some("compute"), 120)]
    #[case("3", 3, None, None, 120)]
    #[case(" 1 for 30m ", 1, None, None, 30)]
    #[case("2 Box for Two for 1h 30m", 2, Some("Box for Two"), None, 90)]
    fn a_ticket_is_one_line(
        #[case] line: &str,
        #[case] count: u32,
        #[case] model: Option<&str>,
        #[case] profile: Option<&str>,
        #[case] minutes: i64,
    ) {
        let wants = Wants { model: model.map(Text::new), product: None };
        let lasts = SignedDuration::from_mins(minutes);
        assert_eq!(parse(line), Ok(Typed { count, wants, profile: profile.map(|name| name.parse().unwrap()), lasts }));
    }

    #[rstest]
    #[case("", "is no number")]
    #[case("PowerEdge", "is no number")]
    #[case("2 x for ever", "is no time")]
    #[case("2 [x", "`[x`")]
    fn what_is_wrong_with_it_is_said(#[case] line: &str, #[case] words: &str) {
        let said = parse(line).unwrap_err();
        assert!(said.contains(words), "{said}");
    }
}
