//! Draws a dialog over the body.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear};

use crate::tui::modal::{Ask, Dialog, Field, Modal, Paragraph, Picker, ProfileForm, Question, Sheet, SheetLine, quit};
use crate::tui::model::Model;
use crate::tui::{text, theme};

/// Widest frame.
const WIDEST: u16 = 76;

/// Lines of a command line that are shown; all of it can be copied.
const COMMAND_LINES: usize = 5;

/// Lines of a list shown at once.
const CHOICES: usize = 8;

/// The inside of a dialog and where its cursor stands.
struct Inside {
    title: String,
    lines: Vec<Line<'static>>,
    cursor: Option<(usize, usize)>,
    /// How many of the lines only say what is at stake: on a small screen they make room for what is filled in.
    spare: usize,
}

impl Inside {
    /// Takes lines away that do not fit into `rows`, and marks where.
    fn squeeze(&mut self, rows: usize, columns: usize) {
        let over = self.lines.len().saturating_sub(rows);
        let gone = over.min(self.spare.saturating_sub(1));
        if gone == 0 {
            return;
        }
        let last = self.spare - gone;
        self.lines.drain(last..self.spare);
        if let Some(line) = self.lines.get_mut(last - 1) {
            let style = line.spans.first().map(|span| span.style).unwrap_or_default().patch(line.style);
            let words = text::fit(&line.to_string(), columns.saturating_sub(2));
            *line = Line::styled(format!("{} {}", words.trim_end_matches(text::ELLIPSIS), text::ELLIPSIS), style);
        }
        self.cursor = self.cursor.map(|(x, y)| (x, y.saturating_sub(gone)));
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, body: Rect, model: &Model, open: &Modal) {
    let width = body.width.saturating_sub(2).min(WIDEST);
    let columns = usize::from(width.saturating_sub(4));
    let rows = usize::from(body.height.saturating_sub(2));
    let mut inside = match open {
        Modal::Help { .. }
        | Modal::Palette { .. }
        | Modal::Filter(_)
        | Modal::Problems { .. }
        | Modal::Ghosts { .. }
        | Modal::Big { .. }
        | Modal::Preview(_) => {
            return;
        }
        Modal::Profile(form) => ticks(form, columns),
        Modal::Suspend => Inside {
            title: "Suspend the console".to_owned(),
            lines: paragraphs(&quit::suspend_body(), columns),
            cursor: None,
            spare: 0,
        },
        Modal::Quit => Inside {
            title: "Work is going on".to_owned(),
            lines: paragraphs(&quit::body(model), columns),
            cursor: None,
            spare: 0,
        },
        Modal::Ask(dialog) => conversation(model, dialog, columns, rows),
    };
    inside.squeeze(rows, columns);
    let height = u16::try_from(inside.lines.len() + 2).unwrap_or(u16::MAX).min(body.height);
    let area = Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 2, width, height };
    let title = text::fit(&inside.title, columns);
    let block = Block::bordered().title(Span::styled(format!(" {title} "), theme::strong()));
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    for (row, line) in inner.rows().zip(inside.lines) {
        frame.render_widget(line, Rect { x: row.x + 1, width: row.width.saturating_sub(2), ..row });
    }
    if let Some((x, y)) = inside.cursor {
        let x = inner.x + 1 + u16::try_from(x).unwrap_or_default();
        let y = inner.y + u16::try_from(y).unwrap_or_default();
        if y < inner.bottom() && x < inner.right() {
            frame.set_cursor_position(Position { x, y });
        }
    }
}

/// A name, and what a machine shows with a tick where the profile asks for it.
fn ticks(form: &ProfileForm, columns: usize) -> Inside {
    let mut inside = Inside { title: form.title.clone(), lines: Vec::new(), cursor: None, spare: 0 };
    let words = "The file profiles/NAME.toml is for machines that show every ticked line just so.";
    inside.lines.extend(text::wrap_styled(words, ratatui::style::Style::new(), columns));
    line_of_text(&form.field, columns, &mut inside);
    let why = match (&form.refused, form.ticket, form.wish()) {
        (Some(why), ..) => Some(format!("Refused: {why}")),
        (None, Some(_), _) => Some("Waiting for the engine …".to_owned()),
        (None, None, wish) => wish.err(),
    };
    inside.lines.extend(text::wrap_styled(&text::clean(&why.unwrap_or_default()), theme::waiting(), columns));
    inside.lines.push(Line::default());
    let first = form.marked.saturating_sub(CHOICES - 1);
    for (index, (pointer, value, ticked)) in form.facts.iter().enumerate().skip(first).take(CHOICES) {
        let style = if index == form.marked { theme::selected() } else { ratatui::style::Style::new() };
        let line = format!("[{}] {pointer} = {value}", if *ticked { 'x' } else { ' ' });
        inside.lines.push(Line::styled(text::pad(&text::fit(&text::clean(&line), columns), columns), style));
    }
    inside
}

fn paragraphs(body: &[Paragraph], columns: usize) -> Vec<Line<'static>> {
    body.iter().flat_map(|paragraph| text::wrap_styled(&paragraph.text, paragraph.style, columns)).collect()
}

fn conversation(model: &Model, dialog: &Dialog<Box<Question>>, columns: usize, rows: usize) -> Inside {
    let question = dialog.about();
    let lines = paragraphs(&question.body(model), columns);
    let mut inside = Inside { title: question.title(), spare: lines.len(), lines, cursor: None };
    match dialog {
        Dialog::Asking(_) => controls(model, question, columns, rows, &mut inside),
        Dialog::Waiting { .. } => inside.lines.push(Line::styled("Waiting for the engine …", theme::busy())),
        Dialog::Refused { why, .. } => {
            for (index, words) in why.lines().enumerate() {
                let words = format!("{}{}", if index == 0 { "Refused: " } else { "  " }, text::clean(words));
                inside.lines.extend(text::wrap_styled(&words, theme::bad(), columns));
            }
        }
    }
    inside
}

fn controls(model: &Model, question: &Question, columns: usize, rows: usize, inside: &mut Inside) {
    if let Some(lines) = question.sheet() {
        sheet(model, question, lines, columns, inside);
    } else if let Some(field) = question.field() {
        line_of_text(field, columns, inside);
        // What is wrong is said while it is typed; an empty field says it by its label.
        match question.order(model) {
            Err(why) if !field.value().is_empty() => {
                inside.lines.extend(text::wrap_styled(&text::clean(&why), theme::bad(), columns));
            }
            Err(_) | Ok(_) => inside.lines.push(Line::default()),
        }
    } else if let Some(picker) = question.picker() {
        inside.lines.push(Line::default());
        // What is at stake keeps a line, and a blank one stands between.
        inside.lines.extend(list(picker, columns, rows.saturating_sub(2).clamp(1, CHOICES)));
    }
}

/// Columns for the labels of a sheet.
const LABELS: usize = 10;

fn sheet(model: &Model, question: &Question, sheet: &Sheet, columns: usize, inside: &mut Inside) {
    inside.lines.push(Line::default());
    let room = columns.saturating_sub(LABELS + 3);
    for (index, line) in sheet.lines().iter().enumerate() {
        let is_marked = index == sheet.marked();
        let (mark, style) = if is_marked { ('>', theme::selected()) } else { (' ', ratatui::style::Style::new()) };
        let value = match line {
            SheetLine::Choice { choices, chosen, .. } => {
                let words = choices.get(*chosen).map(String::as_str).unwrap_or_default();
                let [left, right] =
                    [*chosen > 0, *chosen + 1 < choices.len()].map(|more| if more { "<>" } else { "  " });
                let (left, right) = (&left[..1], &right[1..]);
                let words = text::clean(words);
                if choices.len() > 1 {
                    format!("{left} {} {right}", text::fit(&words, room.saturating_sub(4)))
                } else {
                    format!("  {words}")
                }
            }
            SheetLine::Text(field) => {
                let (shown, cursor) = field.window(room.saturating_sub(2));
                if is_marked {
                    inside.cursor = Some((LABELS + 3 + 2 + cursor, inside.lines.len()));
                }
                format!("  {shown}")
            }
        };
        let label = text::pad(line.label(), LABELS);
        inside.lines.push(Line::from(vec![
            Span::styled(format!("{mark} {label} "), theme::strong()),
            Span::styled(text::pad(&value, room), style),
        ]));
    }
    inside.lines.push(Line::default());
    match (question.order(model), question.command(model)) {
        (Err(why), _) => inside.lines.extend(text::wrap_styled(&text::clean(&why), theme::bad(), columns)),
        (Ok(_), Some(command)) => {
            let mut lines = text::wrap_styled(&text::clean(&command), theme::muted(), columns);
            if lines.len() > COMMAND_LINES {
                lines.truncate(COMMAND_LINES - 1);
                lines.push(Line::styled("… and more: Ctrl-Y copies all of it", theme::muted()));
            }
            inside.lines.extend(lines);
        }
        (Ok(_), None) => {}
    }
}

fn line_of_text(field: &Field, columns: usize, inside: &mut Inside) {
    let label = format!("{}: ", field.label());
    let room = columns.saturating_sub(text::width(&label));
    let (shown, cursor) = field.window(room);
    inside.lines.push(Line::default());
    inside.cursor = Some((text::width(&label) + cursor, inside.lines.len()));
    inside.lines.push(Line::from(vec![
        Span::styled(label.clone(), theme::strong()),
        Span::styled(text::pad(&shown, room), theme::selected()),
    ]));
}

fn list(picker: &Picker, columns: usize, rows: usize) -> Vec<Line<'static>> {
    let marked = picker.marked();
    let first = marked.saturating_sub(rows - 1);
    let choices = picker.choices().iter().enumerate().skip(first).take(rows);
    let line = |(index, choice): (usize, &String)| {
        let (mark, style) =
            if index == marked { ('>', theme::selected()) } else { (' ', ratatui::style::Style::new()) };
        Line::styled(text::pad(&format!("{mark} {choice}"), columns), style)
    };
    choices.map(line).collect()
}
