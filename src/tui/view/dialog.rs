//! Draws a dialog over the body.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear};

use crate::tui::modal::{
    Dialog, Field, Input, Modal, Paragraph, Picker, ProfileForm, Question, Sheet, SheetLine, quit,
};
use crate::tui::model::Model;
use crate::tui::{text, theme};

/// Widest frame.
const WIDEST: u16 = 76;

/// Lines of a command line that are shown; all of it can be copied.
const COMMAND_LINES: usize = 5;

/// Lines of a list shown at once.
const CHOICES: usize = 8;

/// Lines of a list that are shown even where little else is.
const FEWEST_CHOICES: usize = 3;

/// The inside of a dialog: what is at stake, and below it what is worked with, with the cursor's place in it.
struct Inside {
    title: String,
    text: Vec<Line<'static>>,
    lines: Vec<Line<'static>>,
    cursor: Option<(usize, usize)>,
}

impl Inside {
    fn new(title: String, text: Vec<Line<'static>>) -> Self {
        Self { title, text, lines: Vec::new(), cursor: None }
    }

    /// As it fits into `room` rows, and where the cursor is then. What is worked with stays; the text gives way to it, and
    /// says so.
    fn fitted(mut self, room: usize, columns: usize) -> (Vec<Line<'static>>, Option<(usize, usize)>) {
        let kept = room.saturating_sub(self.lines.len());
        shortened(&mut self.text, kept, columns);
        let rows = room - self.text.len();
        let above = self.cursor.map_or(0, |(_, y)| (y + 1).saturating_sub(rows));
        let mut below = self.lines.split_off(above);
        shortened(&mut below, rows, columns);
        let cursor = self.cursor.map(|(x, y)| (x, y - above + self.text.len()));
        (self.text.into_iter().chain(below).collect(), cursor)
    }
}

/// At most `most` lines, the last of them saying how many are missing.
fn shortened(lines: &mut Vec<Line<'static>>, most: usize, columns: usize) {
    if lines.len() <= most {
        return;
    }
    let missing = lines.len() - most.saturating_sub(1);
    lines.truncate(most);
    if let Some(last) = lines.last_mut() {
        let words = format!("{} {} more on a larger screen", text::ELLIPSIS, text::count(missing, "line"));
        *last = Line::styled(text::fit(&words, columns), theme::strong());
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, body: Rect, model: &Model, open: &Modal) {
    let width = body.width.saturating_sub(2).min(WIDEST);
    let columns = usize::from(width.saturating_sub(4));
    // Where the body is too low, a dialog covers the header, but for what is served.
    let tall = Rect { y: 1, height: body.bottom().saturating_sub(1), ..body };
    let rows = usize::from(tall.height.saturating_sub(2));
    let inside = match open {
        Modal::Help { .. }
        | Modal::Palette { .. }
        | Modal::Filter(_)
        | Modal::Find(_)
        | Modal::Problems { .. }
        | Modal::Ghosts { .. }
        | Modal::Big { .. }
        | Modal::Preview(_) => {
            return;
        }
        Modal::Profile(form) => ticks(form, columns, rows),
        Modal::Suspend => Inside::new("Suspend the console".to_owned(), paragraphs(&quit::suspend_body(), columns)),
        Modal::Quit => Inside::new("Work is going on".to_owned(), paragraphs(&quit::body(model), columns)),
        Modal::Ask(dialog) => conversation(model, dialog, columns, rows),
    };
    let title = text::fit(&inside.title, columns);
    let (lines, cursor) = inside.fitted(rows, columns);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let within = if height > body.height { tall } else { body };
    let height = height.min(within.height);
    let x = body.x + (body.width - width) / 2;
    let area = Rect { x, y: within.y + (within.height - height) / 2, width, height };
    let block = Block::bordered().title(Span::styled(format!(" {title} "), theme::strong()));
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    for (row, line) in inner.rows().zip(lines) {
        frame.render_widget(line, Rect { x: row.x + 1, width: row.width.saturating_sub(2), ..row });
    }
    if let Some((x, y)) = cursor {
        let x = inner.x + 1 + u16::try_from(x).unwrap_or_default();
        let y = inner.y + u16::try_from(y).unwrap_or_default();
        if y < inner.bottom() && x < inner.right() {
            frame.set_cursor_position(Position { x, y });
        }
    }
}

/// A name, and what a machine shows with a tick where the profile asks for it.
fn ticks(form: &ProfileForm, columns: usize, rows: usize) -> Inside {
    let words = "The file profiles/NAME.toml is for machines that show every ticked line just so.";
    let mut inside = Inside::new(form.title.clone(), text::wrap_styled(words, Style::new(), columns));
    line_of_text(&form.field, columns, &mut inside);
    let why = match (&form.refused, form.ticket, form.wish()) {
        (Some(why), ..) => Some(format!("Refused: {why}")),
        (None, Some(_), _) => Some("Waiting for the engine …".to_owned()),
        (None, None, wish) => wish.err(),
    };
    inside.lines.extend(text::wrap_styled(&text::clean(&why.unwrap_or_default()), theme::waiting(), columns));
    let window = Window::new(form.marked, form.facts.len(), &inside, rows);
    inside.lines.push(window.place(columns));
    for (index, (pointer, value, ticked)) in form.facts.iter().enumerate().skip(window.first).take(window.rows) {
        let (mark, style) = if index == form.marked { ('>', theme::selected()) } else { (' ', Style::new()) };
        let line = format!("{mark} [{}] {pointer} = {value}", if *ticked { 'x' } else { ' ' });
        inside.lines.push(Line::styled(text::pad(&text::fit(&text::clean(&line), columns), columns), style));
    }
    inside
}

fn paragraphs(body: &[Paragraph], columns: usize) -> Vec<Line<'static>> {
    body.iter().flat_map(|paragraph| text::wrap_styled(&paragraph.text, paragraph.style, columns)).collect()
}

/// The part of a list that is shown.
struct Window {
    first: usize,
    rows: usize,
    all: usize,
}

impl Window {
    /// Around the marked line, as many lines as there is room for besides what is there already.
    fn new(marked: usize, all: usize, inside: &Inside, rows: usize) -> Self {
        let free = rows.saturating_sub(inside.text.len() + inside.lines.len() + 1);
        let rows = free.clamp(FEWEST_CHOICES, CHOICES);
        Self { first: (marked + 1).saturating_sub(rows), rows, all }
    }

    /// The line above it: which part that is, where it is not all.
    fn place(&self, columns: usize) -> Line<'static> {
        if self.all <= self.rows {
            return Line::default();
        }
        let words = format!("{}-{} of {}", self.first + 1, (self.first + self.rows).min(self.all), self.all);
        Line::styled(format!("{words:>columns$}"), theme::muted())
    }
}

fn conversation(model: &Model, dialog: &Dialog<Box<Question>>, columns: usize, rows: usize) -> Inside {
    let question = dialog.about();
    // After a refusal it is the reason that counts.
    let is_refused = matches!(dialog, Dialog::Refused { .. });
    let body = if is_refused { Vec::new() } else { paragraphs(&question.body(model), columns) };
    let mut inside = Inside::new(question.title(), body);
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
    match question.input() {
        Some(Input::Sheet(lines)) => sheet(model, question, lines, columns, inside),
        Some(Input::Field(field)) => {
            line_of_text(field, columns, inside);
            // What is wrong is said while it is typed; an empty field says it by its label.
            match (field.refused(), question.wrong(model)) {
                (Some(why), _) => inside.lines.extend(text::wrap_styled(why, theme::bad(), columns)),
                (None, Some(why)) if !field.value().is_empty() => {
                    inside.lines.extend(text::wrap_styled(&text::clean(&why), theme::bad(), columns));
                }
                (None, _) => inside.lines.push(Line::default()),
            }
        }
        Some(Input::Picker(picker)) => {
            let window = Window::new(picker.marked(), picker.choices().len(), inside, rows);
            inside.lines.push(window.place(columns));
            inside.lines.extend(list(picker, &window, columns));
            refusal(model, question, columns, inside);
        }
        None => refusal(model, question, columns, inside),
    }
}

/// Why nothing would come of the question as it stands, where there is nothing to type that could change it.
fn refusal(model: &Model, question: &Question, columns: usize, inside: &mut Inside) {
    if let Some(why) = question.wrong(model) {
        inside.lines.extend(text::wrap_styled(&text::clean(&why), theme::bad(), columns));
    }
}

/// Columns for the labels of a sheet.
const LABELS: usize = 10;

fn sheet(model: &Model, question: &Question, sheet: &Sheet, columns: usize, inside: &mut Inside) {
    inside.lines.push(Line::default());
    let room = columns.saturating_sub(LABELS + 3);
    for (index, line) in sheet.lines().iter().enumerate() {
        let is_marked = index == sheet.marked();
        let (mark, style) = if is_marked { ('>', theme::selected()) } else { (' ', Style::new()) };
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
    if let Some(why) = sheet.lines().get(sheet.marked()).and_then(SheetLine::refused) {
        inside.lines.extend(text::wrap_styled(why, theme::bad(), columns));
        return;
    }
    match (question.wrong(model), question.command(model)) {
        (Some(why), _) => inside.lines.extend(text::wrap_styled(&text::clean(&why), theme::bad(), columns)),
        (None, Some(command)) => {
            let mut lines = text::wrap_styled(&text::clean(&command), theme::muted(), columns);
            if lines.len() > COMMAND_LINES {
                lines.truncate(COMMAND_LINES - 1);
                lines.push(Line::styled("… and more: Ctrl-Y copies all of it", theme::muted()));
            }
            inside.lines.extend(lines);
        }
        (None, None) => {}
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

fn list(picker: &Picker, window: &Window, columns: usize) -> Vec<Line<'static>> {
    let marked = picker.marked();
    let choices = picker.choices().iter().enumerate().skip(window.first).take(window.rows);
    let line = |(index, choice): (usize, &String)| {
        let (mark, style) = if index == marked { ('>', theme::selected()) } else { (' ', Style::new()) };
        Line::styled(text::pad(&format!("{mark} {choice}"), columns), style)
    };
    choices.map(line).collect()
}
