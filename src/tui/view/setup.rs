//! How machines find this console: address, fingerprint, the command that prepares a medium, and what happens then.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use crate::domain::snapshot::Service;
use crate::tui::model::Model;
use crate::tui::{text, theme};

/// The command that bakes URL and fingerprint into an installer image, in one line.
pub(in crate::tui) fn prepare_command(service: &Service) -> String {
    let url = answer_url(service);
    let pin = service.fingerprint.as_ref().map(|fp| format!(" --cert-fingerprint \"{}\"", text::clean(fp)));
    let pin = pin.unwrap_or_default();
    let token = if service.require_token { " --answer-auth-token \"NAME:SECRET\"" } else { "" };
    format!("proxmox-auto-install-assistant prepare-iso proxmox-ve.iso --fetch-from http --url \"{url}\"{pin}{token}")
}

/// How a medium gets its token, where one is required.
fn about_tokens(service: &Service) -> String {
    let url = answer_url(service).replacen("://", "://NAME:SECRET@", 1);
    format!(
        "Only media with a token may ask: `prox-orchestrator token new NAME` makes one and shows both commands with it. \
         Installers before 9.2 take it in the URL, {url}"
    )
}

fn answer_url(service: &Service) -> String {
    format!("{}/answer", text::clean(service.url.trim_end_matches('/')))
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
    for problem in &service.problems {
        page.words(&text::clean(&format!("! {}: {}", problem.what, problem.hint)), theme::bad());
    }
    if !service.problems.is_empty() {
        page.gap();
    }
    if service.url.is_empty() {
        page.words("Nothing is being served yet.", theme::bad());
        return page.lines;
    }
    page.fact("URL for machines", &answer_url(service));
    match &service.fingerprint {
        Some(fingerprint) => page.fact("Fingerprint", &text::clean(fingerprint)),
        None => page.words("Plain HTTP: anybody on the network can read answers, which hold secrets.", theme::bad()),
    }
    page.gap();
    page.words("Prepare the image, on any machine with Proxmox's assistant (y copies this command):", theme::strong());
    page.command(&prepare_command(service));
    if service.require_token {
        page.gap();
        page.words(&about_tokens(service), theme::waiting());
    }
    page.gap();
    for step in STEPS {
        page.words(step, Style::new());
    }
    if service.capacity > 0 {
        page.gap();
        let held = format!("Up to {} machines can wait on an open connection at once.", service.capacity);
        page.words(&held, theme::muted());
    }
    page.lines
}

const STEPS: [&str; 5] = [
    "1. Write the prepared image to USB sticks, or attach it as virtual media, and boot the machines from it.",
    "2. Each machine asks here and appears on tab 1. Its own screen shows the code of its row.",
    "3. Compare the code, then press `a`: its disks are wiped and it is installed. Nothing is written before.",
    "4. It reports, reboots, and is ready when SSH answers with the host key it reported.",
    "5. When all approved machines are ready the playbook runs; tab 2 shows it. `r` starts it by hand.",
];

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
        let folded = text::wrap(value, self.columns.saturating_sub(3));
        self.lines.extend(folded.into_iter().map(|line| Line::from(format!("   {line}"))));
    }

    fn command(&mut self, command: &str) {
        let folded = shell_lines(command, self.columns);
        self.lines.extend(folded.into_iter().map(|line| Line::styled(line, theme::key())));
    }
}

/// Folds a command line with `\` at the line ends and nothing before the next: a shell joins exactly that, also inside
/// double quotes, so it can be marked with the mouse and pasted. Breaks after a space where one is near.
fn shell_lines(command: &str, columns: usize) -> Vec<String> {
    let room = columns.saturating_sub(1).max(1);
    let mut lines = Vec::new();
    let mut rest = command;
    while text::width(rest) > room {
        let full = rest.char_indices().nth(room).map_or(rest.len(), |(index, _)| index);
        let after_space = rest[..full].rfind(' ').map(|index| index + 1).filter(|index| *index > full / 2);
        let (line, left) = rest.split_at(after_space.unwrap_or(full));
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
        let service = Service {
            url: "https://192.0.2.1:8443/".to_owned(),
            fingerprint: Some(vec!["AB"; 32].join(":")),
            ..Service::default()
        };
        let command = prepare_command(&service);
        assert!(command.contains("--url \"https://192.0.2.1:8443/answer\" --cert-fingerprint \"AB:AB"));
        let lines = shell_lines(&command, columns);
        assert!(lines.iter().all(|line| line.len() <= columns), "{lines:?}");
        assert_eq!(lines.join("\n").replace("\\\n", ""), command);
    }

    #[test]
    fn plain_http_has_no_fingerprint() {
        let service = Service { url: "http://192.0.2.1:8080".to_owned(), ..Service::default() };
        assert!(prepare_command(&service).ends_with("--fetch-from http --url \"http://192.0.2.1:8080/answer\""));
    }
}
