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
    format!("proxmox-auto-install-assistant prepare-iso proxmox-ve.iso --fetch-from http --url \"{url}\"{pin}")
}

fn answer_url(service: &Service) -> String {
    format!("{}/answer", text::clean(service.url.trim_end_matches('/')))
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    for (row, line) in area.rows().zip(lines(model, area.width).into_iter().skip(model.setup_top)) {
        frame.render_widget(line, row);
    }
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

    /// A command line, folded with `\` at the line ends and nothing before the next: a shell joins exactly that, also
    /// inside double quotes, so it can be marked with the mouse and pasted.
    fn command(&mut self, command: &str) {
        let folded = text::fold(&[command.to_owned().into()], self.columns.saturating_sub(1));
        let last = folded.len().saturating_sub(1);
        for (index, line) in folded.into_iter().enumerate() {
            let end = if index < last { "\\" } else { "" };
            self.lines.push(Line::styled(format!("{line}{end}"), theme::key()));
        }
    }
}
