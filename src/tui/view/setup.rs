//! How machines find this console: address, fingerprint, the command that prepares a medium, and what happens then.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::domain::{AddressSource, Fleet};
use crate::tui::model::{Check, Model};
use crate::tui::setup::{self, Topic, answer_url};
use crate::tui::{text, theme};

/// The way that is shown.
pub(in crate::tui) fn topic(model: &Model) -> Topic {
    let topics = setup::topics(&model.snapshot.service, &model.snapshot.fleet.policy().domain);
    let [first, ..] = &topics;
    topics.get(model.topic).unwrap_or(first).clone()
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let lines = lines(model, area.width);
    let hidden = lines.len().saturating_sub(usize::from(area.height));
    let top = model.setup_top.min(hidden);
    for (row, line) in area.rows().zip(lines.into_iter().skip(top)) {
        frame.render_widget(line, row);
    }
    super::more_below(frame, area, hidden - top);
}

pub(super) fn overflow(area: Rect, model: &Model) -> usize {
    lines(model, area.width).len().saturating_sub(usize::from(area.height))
}

fn lines(model: &Model, width: u16) -> Vec<Line<'static>> {
    let service = &model.snapshot.service;
    let columns = usize::from(width).saturating_sub(1);
    let mut page = Page { columns, lines: Vec::new() };
    if service.url.is_empty() {
        page.words("Nothing is being served yet.", theme::bad());
        return page.lines;
    }
    page.fact("URL for machines", &answer_url(service));
    match &service.fingerprint {
        Some(fingerprint) => page.fact("Fingerprint", &text::clean(fingerprint)),
        None => page.words("Plain HTTP: anybody on the network can read answers, which hold secrets.", theme::bad()),
    }
    check(&mut page, &model.check);
    page.gap();
    ways(&mut page, model);
    let topic = topic(model);
    page.words(&topic.about, Style::new());
    page.gap();
    for line in topic.snippet.lines() {
        page.command(line);
    }
    page.gap();
    if service.require_token && model.topic == 0 {
        page.words(&setup::about_tokens(service), theme::waiting());
        page.gap();
    }
    if model.topic == 0 {
        for step in STEPS {
            page.words(step, Style::new());
        }
    }
    page.gap();
    let style = if lends(model) { theme::waiting() } else { Style::new() };
    page.words(&addresses(&model.snapshot.fleet), style);
    if service.capacity > 0 {
        page.gap();
        let held = format!("Up to {} machines can wait on an open connection at once.", service.capacity);
        page.words(&held, theme::muted());
    }
    page.lines
}

/// What came of asking ourselves.
fn check(page: &mut Page, check: &Check) {
    match check {
        Check::None => {
            page.words("Self-test (t): not done yet; it asks this address as an installer would.", theme::muted());
        }
        Check::Going => page.words("Self-test: asking ...", theme::busy()),
        Check::Done(outcome) => {
            for step in &outcome.passed {
                page.words(&format!("+ {}", text::clean(step)), theme::good());
            }
            if let Some(why) = &outcome.failed {
                page.words(&format!("! {}", text::clean(why)), theme::bad());
            }
        }
    }
}

/// All ways in a line or more, the shown one marked.
fn ways(page: &mut Page, model: &Model) {
    let topics = setup::topics(&model.snapshot.service, &model.snapshot.fleet.policy().domain);
    let mut line = Line::raw(" ");
    for (index, topic) in topics.iter().enumerate() {
        let name = format!(" {} ", topic.name);
        if line.width() > 1 && line.width() + text::width(&name) > page.columns {
            page.lines.push(std::mem::replace(&mut line, Line::raw(" ")));
        }
        let style = if index == model.topic { theme::selected().patch(theme::strong()) } else { theme::muted() };
        line.push_span(Span::styled(name, style));
    }
    page.lines.push(line);
    page.gap();
}

const STEPS: [&str; 5] = [
    "1. Write the prepared image to USB sticks, or attach it as virtual media, and boot the machines from it.",
    "2. Each machine asks here and appears on tab 1. Its own screen shows the code of its row.",
    "3. Compare the code, then press `a`: its disks are wiped and it is installed. Nothing is written before.",
    "4. It reports, reboots, and is ready when SSH answers with the host key it reported.",
    "5. When all approved machines are ready the playbook runs; tab 2 shows it. `r` starts it by hand.",
];

/// Whether nodes keep addresses that DHCP may give out again.
fn lends(model: &Model) -> bool {
    model.snapshot.fleet.policy().addresses.source == AddressSource::Requester
}

/// Where nodes get their addresses from, and what to mind.
fn addresses(fleet: &Fleet) -> String {
    match fleet.policy().addresses.source {
        AddressSource::Requester => {
            "Each node keeps the address it asks from, for good. DHCP does not know that: take nodes' \
                                     addresses out of its range, or a lease is given out twice."
                .to_owned()
        }
        AddressSource::Dhcp => "Nodes keep the address DHCP gives them.".to_owned(),
        AddressSource::Plan => "Nodes get the address that plan.toml gives them.".to_owned(),
        AddressSource::Pool => match fleet.next_free(None) {
            Some(address) => {
                format!("Nodes get an address of the pool when they are approved; the next free one is {address}.")
            }
            None => "No address of the pool is free.".to_owned(),
        },
    }
}

/// Lines under construction.
struct Page {
    columns: usize,
    lines: Vec<Line<'static>>,
}

impl Page {
    fn gap(&mut self) {
        self.lines.push(Line::default());
    }

    fn words(&mut self, words: &str, style: Style) {
        let wrapped = text::wrap(words, self.columns.saturating_sub(1));
        self.lines.extend(wrapped.into_iter().map(|line| Line::styled(format!(" {line}"), style)));
    }

    /// A value that must be read in full: never cut, folded where the line ends.
    fn fact(&mut self, label: &str, value: &str) {
        if text::width(label) + 3 + text::width(value) <= self.columns {
            self.lines.push(Line::from(format!(" {label}: {value}")));
            return;
        }
        self.lines.push(Line::from(format!(" {label}:")));
        let folded = text::wrap(value, whole_bytes(value, self.columns.saturating_sub(3)));
        self.lines.extend(folded.into_iter().map(|line| Line::from(format!("   {line}"))));
    }

    fn command(&mut self, command: &str) {
        let folded = shell_lines(command, self.columns);
        self.lines.extend(folded.into_iter().map(|line| Line::styled(line, theme::key())));
    }
}

/// The columns, less what would tear a byte of a fingerprint apart.
fn whole_bytes(value: &str, columns: usize) -> usize {
    let is_bytes = value.split(':').all(|byte| byte.len() == 2);
    if is_bytes { (columns / 3 * 3).max(3) } else { columns }
}

/// Folds a command line with `\` at the line ends and nothing before the next: a shell joins exactly that, also inside
/// double quotes, so it can be marked with the mouse and pasted. Breaks after a space where one is near.
fn shell_lines(command: &str, columns: usize) -> Vec<String> {
    let room = columns.saturating_sub(1).max(1);
    let mut lines = Vec::new();
    let mut rest = command;
    while text::width(rest) > room {
        let full = rest.char_indices().nth(room).map_or(rest.len(), |(index, _)| index);
        let after = |mark| rest[..full].rfind(mark).map(|index| index + 1);
        // Else between two bytes of a fingerprint.
        let (space, colon) =
            (after(' ').filter(|index| *index > full / 2), after(':').filter(|index| index + 3 > full));
        let (line, left) = rest.split_at(space.or(colon).unwrap_or(full));
        lines.push(format!("{line}\\"));
        rest = left;
    }
    lines.push(rest.to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(58)]
    #[case(79)]
    #[case(119)]
    fn a_shell_joins_the_folded_command(#[case] columns: usize) {
        let service = crate::domain::snapshot::Service {
            url: "https://192.0.2.1:8443/".to_owned(),
            fingerprint: Some(vec!["AB"; 32].join(":")),
            ..crate::domain::snapshot::Service::default()
        };
        let command = setup::prepare_command(&service);
        assert!(command.contains("--url \"https://192.0.2.1:8443/answer\" --cert-fingerprint \"AB:AB"));
        let lines = shell_lines(&command, columns);
        assert!(lines.iter().all(|line| line.len() <= columns), "{lines:?}");
        assert_eq!(lines.join("\n").replace("\\\n", ""), command);
    }
}
