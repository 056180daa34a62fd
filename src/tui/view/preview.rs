//! The answer a node would be given: what it would touch, then every setting with where it is from.

use ratatui::style::Style;
use ratatui::text::Line;
use similar::{ChangeTag, TextDiff};

use crate::client::Preview;
use crate::tui::modal::Look;
use crate::tui::{text, theme};

/// The page.
pub(super) fn lines(look: &Look, columns: usize) -> Vec<Line<'static>> {
    let mut page = Page { columns, lines: Vec::new() };
    match &look.said {
        None => page.words("The engine is asked …", theme::busy()),
        Some(Err(why)) => page.words(why, theme::bad()),
        Some(Ok(preview)) => explain(&mut page, preview),
    }
    page.lines
}

fn explain(page: &mut Page, preview: &Preview) {
    if !preview.installer.is_empty() {
        page.words(&format!("Installer: {}", preview.installer), Style::new());
    }
    page.words(&format!("Profile: {}", preview.profile.as_deref().unwrap_or("none")), Style::new());
    if let Some(problem) = &preview.problem {
        page.words(&format!("No answer can be made: {problem}"), theme::bad());
    }
    for line in &preview.touch {
        page.words(line, theme::waiting());
    }
    for line in &preview.warnings {
        page.words(line, theme::bad());
    }
    for setting in &preview.left_out {
        page.words(&format!("left out, the installer is too old: {setting}"), theme::waiting());
    }
    differences(page, preview);
    for row in &preview.rows {
        let mut lines = row.lines().into_iter();
        let is_own = row.value.as_ref().is_some_and(|value| value.layer == "program");
        let style = match row.value {
            None => theme::muted(),
            Some(_) if is_own => Style::new(),
            Some(_) => theme::strong(),
        };
        lines.by_ref().take(1).for_each(|line| page.words(&line, style));
        lines.for_each(|line| page.words(&line, theme::muted()));
    }
}

/// What is different from the answer it was given last.
fn differences(page: &mut Page, preview: &Preview) {
    let Some(last) = preview.last.as_ref().filter(|_| !preview.text.is_empty()) else { return };
    let at = last.at.strftime("%Y-%m-%d %H:%M:%S UTC");
    if last.text == preview.text {
        return page.words(&format!("No difference to its answer of {at}; secrets are not compared."), theme::muted());
    }
    page.words(&format!("Its answer of {at} (-) and this one (+); secrets are not compared:"), theme::strong());
    let diff = TextDiff::from_lines(&last.text, &preview.text);
    let mut table = String::new();
    for change in diff.iter_all_changes() {
        let line = change.value().trim_end();
        let style = match change.tag() {
            ChangeTag::Delete => theme::bad(),
            ChangeTag::Insert => theme::good(),
            ChangeTag::Equal => {
                // A setting says little without the table it is in.
                if line.starts_with('[') {
                    line.clone_into(&mut table);
                }
                continue;
            }
        };
        if !table.is_empty() && !line.starts_with('[') {
            page.words(&format!("  {}", std::mem::take(&mut table)), theme::muted());
        }
        page.words(&format!("  {}{line}", change.tag()), style);
    }
}

/// Lines under construction.
struct Page {
    columns: usize,
    lines: Vec<Line<'static>>,
}

impl Page {
    fn words(&mut self, words: &str, style: Style) {
        let indent = words.len() - words.trim_start().len();
        let wrapped = text::wrap(&text::clean(words), self.columns.saturating_sub(3 + indent));
        for (index, line) in wrapped.into_iter().enumerate() {
            let space = indent + if index == 0 { 1 } else { 3 };
            self.lines.push(Line::styled(format!("{}{}", " ".repeat(space), line.trim_start()), style));
        }
    }
}
