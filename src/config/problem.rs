//! What is wrong with a file of the user's, shown so that it can be mended without looking anything up: file, line,
//! column, the line itself with carets under the culprit, and a hint.
//!
//! Owns the look of such messages for every file the user writes (`config.toml`, `default.toml`, later profiles and
//! the plan). It must not know what any of these files mean.

use std::fmt;
use std::ops::Range;

use unicode_width::UnicodeWidthChar as _;

pub use crate::domain::Severity;

/// Columns of a source line that are shown; longer lines are cut around the culprit.
const SHOWN_COLUMNS: usize = 96;
/// Columns kept in front of the culprit where a line is cut.
const LEAD_COLUMNS: usize = 32;
/// Longest piece of a user's value repeated in a message, in characters.
const QUOTED_CHARS: usize = 64;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file as the user knows it, or the name of another source such as `the environment`.
    pub file: String,
    /// Where in it; `None` when the whole source is meant (an unreadable file).
    pub place: Option<Place>,
    /// What is wrong: a fragment that names the thing in backticks.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A spot in a source text, with the line it is on ready to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Byte range in the source text.
    pub span: Range<usize>,
    /// Line, counted from 1; 0 for a source without lines (an environment variable).
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The line, without tabs and control characters, cut where it is very long.
    pub excerpt: String,
    /// Columns of `excerpt` to underline; never empty.
    pub caret: Range<usize>,
}

impl Problem {
    /// A problem at a byte range of `text`. A range outside the text, or inside a character, is moved to the nearest
    /// sensible spot.
    #[must_use]
    pub fn at(file: &str, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { place: Some(Place::new(text, span)), ..Self::whole(file, message) }
    }

    /// A problem with a source that has no lines: `text` is shown as it is, such as `NAME=value`.
    #[must_use]
    pub fn in_line(source: &str, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let one_line = text.replace(['\n', '\r'], " ");
        let place = Place { line: 0, ..Place::new(&one_line, span) };
        Self { place: Some(place), ..Self::whole(source, message) }
    }

    /// A problem with a source as a whole.
    #[must_use]
    pub fn whole(file: &str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, file: file.to_owned(), place: None, message: message.into(), hint: None }
    }

    /// The same problem with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem as a warning.
    #[must_use]
    pub fn warning(self) -> Self {
        self.weigh(Severity::Warning)
    }

    /// The same problem with this weight.
    #[must_use]
    pub fn weigh(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }
}

impl fmt::Display for Problem {
    /// Several lines, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity.word(), self.message)?;
        let number = self.place.as_ref().filter(|place| place.line > 0).map(|place| place.line.to_string());
        let gutter = " ".repeat(number.as_ref().map_or(0, String::len));
        let file = printable(&self.file);
        match &self.place {
            Some(place) if place.line > 0 => write!(f, "\n{gutter}--> {file}:{}:{}", place.line, place.column)?,
            _ => write!(f, "\n{gutter}--> {file}")?,
        }
        if let Some(place) = &self.place {
            let indent = " ".repeat(place.caret.start);
            let carets = "^".repeat(place.caret.len());
            write!(f, "\n{gutter} |\n{} | {}", number.unwrap_or_default(), place.excerpt)?;
            write!(f, "\n{gutter} | {indent}{carets}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n{gutter} = hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl Place {
    /// Finds the line of `span` in `text`. A span over several lines is underlined to the end of its first line.
    fn new(text: &str, span: Range<usize>) -> Self {
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let line = 1 + text[..line_start].bytes().filter(|byte| *byte == b'\n').count();
        let column = 1 + text[line_start..start].chars().count();
        let (excerpt, caret) = excerpt(&text[line_start..line_end], start - line_start..end.min(line_end) - line_start);
        Self { span: start..end, line, column, excerpt, caret }
    }
}

/// The printable form of `line`, and the columns that the bytes `span` take in it.
fn excerpt(line: &str, span: Range<usize>) -> (String, Range<usize>) {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let lead = columns(line.get(..span.start.min(line.len())).unwrap_or_default());
    let skip = if columns(line) > SHOWN_COLUMNS { lead.saturating_sub(LEAD_COLUMNS) } else { 0 };
    let mut shown = String::from(if skip > 0 { "..." } else { "" });
    let mut at = 0;
    let mut width = shown.len();
    let mut caret = None;
    let mut caret_end = width;
    for (byte, c) in line.char_indices() {
        let (text, columns) = printed(c);
        at += columns;
        if at <= skip {
            continue;
        }
        if width + columns > SHOWN_COLUMNS {
            shown.push_str("...");
            break;
        }
        if span.contains(&byte) {
            caret.get_or_insert(width);
            caret_end = width + columns;
        }
        text.push_to(&mut shown);
        width += columns;
    }
    let start = caret.unwrap_or(width.min(lead.saturating_sub(skip) + if skip > 0 { 3 } else { 0 }));
    (shown.trim_end().to_owned(), start..caret_end.max(start + 1))
}

/// A text of the user's, and what it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The file's path as the user knows it.
    pub name: String,
    /// Its whole text.
    pub text: String,
}

impl Source {
    /// A problem at a byte range of it.
    #[must_use]
    pub fn problem(&self, span: Range<usize>, message: impl Into<String>) -> Problem {
        Problem::at(&self.name, &self.text, span, message)
    }
}

/// Problems as they are found. Keeps the first hundred and counts the rest, so that a hostile file costs little.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    kept: Vec<Problem>,
    more: usize,
}

impl Problems {
    /// Most problems that are kept.
    const MOST: usize = 100;

    /// Adds what `problem` makes, unless there are too many already.
    pub fn add(&mut self, problem: impl FnOnce() -> Problem) {
        if self.kept.len() < Self::MOST { self.kept.push(problem()) } else { self.more += 1 }
    }

    /// What was kept: first what has a line, in the order of the lines.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.kept
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Brings them into the order of their lines; those without a line come last.
    pub(crate) fn sort(&mut self) {
        self.kept.sort_by_key(|problem| {
            let place = problem.place.as_ref().filter(|place| place.line > 0);
            place.map_or((1, 0), |place| (0, place.span.start))
        });
    }
}

impl FromIterator<Problem> for Problems {
    /// The problems in the order of their lines.
    fn from_iter<I: IntoIterator<Item = Problem>>(found: I) -> Self {
        let mut problems = Self::default();
        found.into_iter().for_each(|problem| problems.add(|| problem));
        problems.sort();
        problems
    }
}

impl fmt::Display for Problems {
    /// All of them, an empty line between two, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.kept.iter().enumerate() {
            write!(f, "{}{problem}", if index > 0 { "\n\n" } else { "" })?;
        }
        if self.more > 0 { write!(f, "\n\n... and {} more", self.more) } else { Ok(()) }
    }
}

/// How a character of a source line is printed.
enum Printed {
    Itself(char),
    Tab,
    Replaced,
}

impl Printed {
    fn push_to(&self, out: &mut String) {
        match self {
            Self::Itself(c) => out.push(*c),
            Self::Tab => out.push_str("    "),
            Self::Replaced => out.push('?'),
        }
    }
}

/// What is printed for `c`, and its columns: control, zero-width and format characters become a question mark, so that
/// what the user sees is what is there.
fn printed(c: char) -> (Printed, usize) {
    match c.width() {
        _ if c == '\t' => (Printed::Tab, 4),
        Some(columns @ 1..) if !matches!(c, '\u{ad}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
            (Printed::Itself(c), columns)
        }
        _ => (Printed::Replaced, 1),
    }
}

fn columns(text: &str) -> usize {
    text.chars().map(|c| printed(c).1).sum()
}

/// `text` as one printable line.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| printed(c).0.push_to(&mut out));
    out
}

/// A user's text for use in a message: one printable line, cut after 64 characters.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut chars = text.chars();
    let kept = printable(&chars.by_ref().take(QUOTED_CHARS).collect::<String>());
    if chars.next().is_some() { format!("{kept}...") } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn carets_stand_under_the_culprit() {
        let text = "a = 1\n\tb = \"日本\" # c\n";
        let start = text.find('"').unwrap();
        let problem = Problem::at("config.toml", text, start..start + 8, "`b` is wrong").hint("remove it");
        insta::assert_snapshot!(problem, @r#"
        error: `b` is wrong
         --> config.toml:2:6
          |
        2 |     b = "日本" # c
          |         ^^^^^^
          = hint: remove it
        "#);
    }

    #[test]
    fn a_very_long_line_is_cut_around_the_culprit() {
        let text = format!("{} = 1", "k".repeat(5_000));
        let problem = Problem::at("config.toml", &text, 5_000..5_003, "here");
        insta::assert_snapshot!(problem, @r"
        error: here
         --> config.toml:1:5001
          |
        1 | ...kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk = 1
          |                                    ^^^
        ");
    }

    #[test]
    fn sources_without_lines_and_whole_files_are_named() {
        let problem = Problem::in_line("the environment", "NAME=x\ny", 5..8, "wrong").warning();
        insta::assert_snapshot!(problem, @r"
        warning: wrong
        --> the environment
         |
         | NAME=x y
         |      ^^^
        ");
        assert_eq!(Problem::whole("a\u{1b}b", "gone").to_string(), "error: gone\n--> a?b");
    }

    #[test]
    fn an_escape_sequence_in_a_file_does_not_reach_the_terminal() {
        let shown = Problem::at("x", "k = \"\u{1b}[2J\u{202e}\"", 4..9, quoted("\u{1b}]0;t\u{7}")).to_string();
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
        assert!(!shown.contains('\u{202e}'));
    }

    proptest! {
        #[test]
        fn any_text_and_span_can_be_shown(text in "(\\PC|\n|\r|\t|\u{1b}|日){0,300}", from in 0_usize..400, to in 0_usize..400) {
            let problem = Problem::at("f", &text, from..to, "m");
            let place = problem.place.clone().unwrap();
            prop_assert!(place.line >= 1 && place.column >= 1 && !place.caret.is_empty());
            prop_assert!(place.caret.end <= SHOWN_COLUMNS + 8, "{:?}", place.caret);
            prop_assert!(!problem.to_string().lines().any(|line| line.chars().any(char::is_control)));
        }
    }
}
