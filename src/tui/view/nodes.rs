//! The live table. Only the rows on the screen are made, so that ten thousand nodes cost as little as ten.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::flags;
use crate::domain::facts::{Cpu, Disk};
use crate::domain::fleet::Unmatched;
use crate::domain::text::Text;
use crate::domain::{Node, Phase};
use crate::tui::back::to_all_rows;
use crate::tui::listing::{Item, Sort};
use crate::tui::model::{Model, Row};
use crate::tui::{offer, text, theme};

/// Rows of nodes that fit under the heading.
pub(super) fn rows_in(area: Rect) -> u16 {
    area.height.saturating_sub(1)
}

/// What a column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    State,
    Host,
    Address,
    Note,
    Since,
    Model,
    Serial,
    Disks,
    Cpu,
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::State => "  STATE",
            Self::Host => "HOSTNAME",
            Self::Address => "IP",
            Self::Note => "CODE/NOTE",
            Self::Since => "SINCE",
            Self::Model => "MODEL",
            Self::Serial => "SERIAL",
            Self::Disks => "DISKS",
            Self::Cpu => "CPU",
        }
    }
}

impl Column {
    /// What its title sorts by.
    fn sort(self) -> Option<Sort> {
        match self {
            Self::State => Some(Sort::State),
            Self::Host => Some(Sort::Name),
            Self::Address => Some(Sort::Address),
            Self::Since => Some(Sort::Since),
            Self::Model => Some(Sort::Model),
            Self::Serial => Some(Sort::Serial),
            Self::Note | Self::Disks | Self::Cpu => None,
        }
    }
}

/// Columns every width shows, with the least they need: 60 in all with the gaps.
const NEEDED: [(Column, usize); 5] =
    [(Column::State, 13), (Column::Host, 13), (Column::Address, 15), (Column::Note, 10), (Column::Since, 5)];

/// Columns that come in as the screen grows, most useful first.
const WELCOME: [(Column, usize); 4] = [(Column::Model, 9), (Column::Serial, 10), (Column::Disks, 9), (Column::Cpu, 14)];

/// What a column may grow to, in the order in which they do.
const GROWTH: [(Column, usize); 6] = [
    (Column::Model, 24),
    (Column::Note, 14),
    (Column::Cpu, 30),
    (Column::Serial, 20),
    (Column::Host, 40),
    (Column::Address, 39),
];

/// Whole host names are worth more than another column, up to this length.
const LONG_HOST: usize = 26;

/// Which columns fit into `width`, and how wide they are, where the longest host name has `name` columns.
fn plan(width: usize, name: usize) -> Vec<(Column, usize)> {
    let mut columns = NEEDED.to_vec();
    let used = |columns: &[(Column, usize)]| columns.iter().map(|(_, wide)| wide + 1).sum::<usize>() - 1;
    let grow = |columns: &mut Vec<(Column, usize)>, which: Column, limit: usize| {
        let free = width.saturating_sub(used(columns));
        if let Some((_, wide)) = columns.iter_mut().find(|(column, _)| *column == which) {
            *wide += free.min(limit.saturating_sub(*wide));
        }
    };
    // The marks take two columns of the smallest screen.
    let missing = used(&columns).saturating_sub(width);
    if let Some((_, wide)) = columns.iter_mut().find(|(column, _)| *column == Column::Host) {
        *wide = wide.saturating_sub(missing);
    }
    grow(&mut columns, Column::Host, name.min(LONG_HOST));
    for (column, least) in WELCOME {
        if used(&columns) + 1 + least <= width {
            columns.push((column, least));
        } else {
            break;
        }
    }
    for (column, limit) in GROWTH {
        grow(&mut columns, column, limit);
    }
    columns
}

/// Columns for the marks, where there are any.
const MARKS: u16 = 2;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    if model.overview.rows == 0 {
        for (row, line) in area.rows().zip(empty(area, model)) {
            frame.render_widget(line, row);
        }
        return;
    }
    let marks = if model.nodes.marks.is_empty() { 0 } else { MARKS };
    let cells = |row: Rect| Rect { x: row.x + marks, width: row.width.saturating_sub(marks), ..row };
    let columns = plan(usize::from(area.width.saturating_sub(marks)), model.overview.longest_name);
    let mut rows = area.rows();
    if let Some(row) = rows.next() {
        frame.render_widget(heading(&columns, &range(area, model), model), cells(row));
    }
    if model.listing.shown() == 0 {
        nothing_fits(frame, area, model);
    }
    for (row, item) in rows.zip(model.listing.items().iter().skip(model.nodes.top)) {
        match item {
            Item::Heading { name, rows } => frame.render_widget(group_line(name, *rows, usize::from(row.width)), row),
            Item::Row(item) => {
                let Some(line) = line(*item, &columns, model) else { continue };
                if is_marked(*item, model) {
                    frame.render_widget(Line::styled("*", theme::strong()), row);
                }
                frame.render_widget(line, cells(row));
                if model.nodes.selected == Some(*item) {
                    let style = if model.nodes.detail.is_some() { theme::strong() } else { theme::selected() };
                    frame.buffer_mut().set_style(row, style);
                }
            }
        }
    }
}

fn is_marked(row: Row, model: &Model) -> bool {
    matches!(row, Row::Node(id) if model.nodes.marks.contains(&id))
}

/// The line of the table at `y`, if one is drawn there.
pub(super) fn line_at(area: Rect, y: u16, model: &Model) -> Option<usize> {
    let below = usize::from(y.checked_sub(area.y + 1)?);
    let index = model.nodes.top + below;
    (y < area.bottom() && index < model.listing.items().len()).then_some(index)
}

/// What the column whose title is at `x` can be sorted by.
pub(super) fn sort_at(area: Rect, x: u16, model: &Model) -> Option<Sort> {
    let marks = if model.nodes.marks.is_empty() { 0 } else { MARKS };
    let mut left = area.x + marks;
    for (column, wide) in plan(usize::from(area.width.saturating_sub(marks)), model.overview.longest_name) {
        left += u16::try_from(wide + 1).unwrap_or(u16::MAX);
        if x < left {
            return column.sort();
        }
    }
    None
}

fn nothing_fits(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let words = format!("No row matches `{}`. {}.", model.listing.filter.text(), to_all_rows(model));
    let lines = text::wrap_styled(&words, theme::waiting(), usize::from(area.width).saturating_sub(2));
    for (row, line) in area.rows().skip(2).zip(lines) {
        frame.render_widget(line, Rect { x: row.x + 1, width: row.width.saturating_sub(1), ..row });
    }
}

fn group_line(name: &str, rows: usize, columns: usize) -> Line<'static> {
    let words = format!("── {} ({}) ", text::clean(name), rows);
    let fill = columns.saturating_sub(text::width(&words));
    Line::styled(text::fit(&format!("{words}{}", "─".repeat(fill)), columns), theme::strong().patch(theme::muted()))
}

/// Which rows are shown, where they are not all.
fn range(area: Rect, model: &Model) -> String {
    let (first, all) = (model.nodes.top, model.listing.items().len());
    let lines = usize::from(rows_in(area)).min(all - first.min(all));
    let filtered = if model.listing.filter.is_on() {
        format!(" {} of {}", model.listing.shown(), model.overview.rows)
    } else {
        String::new()
    };
    if lines == all {
        filtered
    } else {
        format!(" {}-{}/{all}{}", first + 1, first + lines, if filtered.is_empty() { "" } else { "*" })
    }
}

fn heading(columns: &[(Column, usize)], range: &str, model: &Model) -> Line<'static> {
    let sort = model.listing.sort;
    let arrow = if model.listing.is_reversed { '▲' } else { '▼' };
    let title = |column: Column| {
        let title = match column {
            Column::Host if !range.is_empty() => format!("NAME{range}"),
            _ => column.title().to_owned(),
        };
        if column.sort() == Some(sort) && sort != Sort::Arrival { format!("{title}{arrow}") } else { title }
    };
    let cells: Vec<_> = columns.iter().map(|(column, wide)| text::pad(&title(*column), *wide)).collect();
    Line::styled(cells.join(" "), theme::strong().patch(theme::muted()))
}

fn line(row: Row, columns: &[(Column, usize)], model: &Model) -> Option<Line<'static>> {
    let mut line = Line::default();
    for (index, (column, wide)) in columns.iter().enumerate() {
        if index > 0 {
            line.push_span(" ");
        }
        let (words, style) = match row {
            Row::Node(id) => cell(*column, model.snapshot.fleet.node(id)?, model),
            Row::Report(id) => report_cell(*column, model.report(id)?, model),
        };
        // What tells addresses and serial numbers apart is at their ends.
        let is_end = matches!(column, Column::Address | Column::Serial);
        let words = if is_end { text::fit_end(&words, *wide) } else { words };
        line.push_span(Span::styled(text::pad(&words, *wide), style));
    }
    Some(line)
}

fn cell(column: Column, node: &Node, model: &Model) -> (String, Style) {
    let style = if node.phase == Phase::Planned { theme::muted() } else { Style::new() };
    let plain = |words: String| (words, style);
    match column {
        Column::State => {
            let words = format!("{} {}", model.theme.symbol(&node.phase), node.phase.word());
            (words, theme::phase(&node.phase))
        }
        Column::Host => plain(node.name.to_string()),
        Column::Address => plain(node.shown_address().map(|address| address.to_string()).unwrap_or_default()),
        Column::Note => {
            let undecided = model.snapshot.undecided.contains_key(&node.id);
            let style = if undecided || offer::needs_decision(node) { theme::waiting() } else { theme::muted() };
            (flags::note(node, model), style)
        }
        Column::Since => plain(format!("{:>5}", text::age(node.since, model.now))),
        Column::Model => plain(words(node.model())),
        Column::Serial => plain(words(node.serial())),
        Column::Disks => plain(node.report.as_ref().map(|report| disks(&report.report.disks)).unwrap_or_default()),
        Column::Cpu => plain(node.report.as_ref().map(|report| cpu(&report.report.cpu)).unwrap_or_default()),
    }
}

fn report_cell(column: Column, unmatched: &Unmatched, model: &Model) -> (String, Style) {
    let plain = |words: String| (words, Style::new());
    let report = &unmatched.report;
    match column {
        Column::State => ("& report".to_owned(), theme::waiting()),
        Column::Host => plain(words(report.fqdn.as_ref())),
        Column::Address => plain(unmatched.peer.to_string()),
        Column::Note => ("whose? (m)".to_owned(), theme::waiting()),
        Column::Since => plain(format!("{:>5}", text::age(unmatched.at, model.now))),
        Column::Model => plain(words(report.dmi.model.as_ref().or(report.dmi.board_name.as_ref()))),
        Column::Serial => plain(words(report.dmi.serial.as_ref())),
        Column::Disks => plain(disks(&report.disks)),
        Column::Cpu => plain(cpu(&report.cpu)),
    }
}

fn words(text: Option<&Text>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

/// `2x 960G`, with `+` where sizes differ.
fn disks(disks: &[Disk]) -> String {
    let first = disks.iter().find_map(|disk| disk.size);
    match (disks.len(), first) {
        (0, _) => String::new(),
        (count, None) => format!("{count}x"),
        (count, Some(size)) => {
            let mixed = disks.iter().any(|disk| disk.size != Some(size));
            format!("{count}x {}{}", text::bytes(size), if mixed { "+" } else { "" })
        }
    }
}

/// `2x Xeon Gold 6338`: what makers repeat on every processor is left out.
pub(super) fn cpu(cpu: &Cpu) -> String {
    let Some(model) = &cpu.model else { return String::new() };
    let noise = ["(R)", "(TM)", "(r)", "(tm)", "CPU", "Processor", "Intel", "AMD"];
    let model = noise.iter().fold(model.to_string(), |model, word| model.replace(word, ""));
    let model: Vec<_> = model.split_whitespace().take_while(|word| *word != "@").collect();
    let sockets = cpu.sockets.filter(|sockets| *sockets > 1).map(|sockets| format!("{sockets}x "));
    format!("{}{}", sockets.unwrap_or_default(), model.join(" "))
}

/// What to do when no machine has asked yet.
fn empty(area: Rect, model: &Model) -> Vec<Line<'static>> {
    let (columns, rows) = (usize::from(area.width), usize::from(area.height));
    let mut lines = vec![Line::default(), Line::styled(" No machine has asked yet.", theme::strong()), Line::default()];
    let steps = [
        "1. Press 4: the Setup tab has the command that prepares the installer image for this console.",
        "2. Boot a machine from the prepared image. It asks this console and appears here, waiting.",
        "3. Compare the code of its row with the code on its own screen, then press `a` to approve it.",
    ];
    // A sentence that does not fit as a whole is left out.
    let mut say = |words: &str, style: Style| {
        let wrapped = text::wrap(words, columns.saturating_sub(2));
        if lines.len() + wrapped.len() <= rows {
            lines.extend(wrapped.into_iter().map(|line| Line::styled(format!(" {line}"), style)));
        }
    };
    for step in steps {
        say(step, Style::new());
    }
    say("No disk is written before you approve. `?` shows all keys.", theme::muted());
    say("", Style::new());
    say("To see it with a simulated rack, type `prox-orchestrator demo` in another terminal.", theme::muted());
    if !model.snapshot.service.url.is_empty() {
        let test = format!(
            "Does the network reach this console? Open {}/answer in a browser: it explains itself.",
            text::clean(&model.snapshot.service.url),
        );
        say(&test, theme::muted());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(60, 5)]
    #[case(80, 6)]
    #[case(120, 9)]
    #[case(250, 9)]
    fn columns_fit_and_come_with_the_width(#[case] width: usize, #[case] count: usize) {
        let columns = plan(width, 22);
        let used: usize = columns.iter().map(|(_, wide)| wide + 1).sum::<usize>() - 1;
        assert!(used <= width);
        assert_eq!(columns.len(), count);
    }

    #[test]
    fn processors_and_disks_are_short() {
        let xeon = Cpu {
            model: Some(Text::new("Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz")),
            sockets: Some(2),
            ..Cpu::default()
        };
        assert_eq!(cpu(&xeon), "2x Xeon Gold 6338");
        let disk = |size| Disk { size: Some(size), ..Disk::default() };
        assert_eq!(disks(&[disk(960_197_124_096), disk(960_197_124_096)]), "2x 960G");
        assert_eq!(disks(&[disk(960_197_124_096), disk(1)]), "2x 960G+");
        assert_eq!(disks(&[]), "");
    }
}
