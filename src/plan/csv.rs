//! A table as CSV: with commas, semicolons or tabs, as spreadsheets write it.

use std::collections::BTreeSet;

use csv::{ReaderBuilder, StringRecord};

use super::column::Mapping;
use super::row::{self, Columns, Puzzle, Row};
use super::{Context, MAX_ROWS};
use crate::config::problem::quoted;
use crate::config::{Problem, Problems, Source};

/// Reads the rows; what is wrong is added to `problems`, what is left out to `warnings`.
pub(super) fn rows(
    source: &Source,
    map: &[Mapping],
    context: &Context,
    problems: &mut Problems,
    warnings: &mut Problems,
) -> Vec<Row> {
    let text = source.text.as_str();
    // A byte order mark is no part of the first name.
    let skipped = text.len() - text.trim_start_matches('\u{feff}').len();
    let body = &text[skipped..];
    let mut reader = ReaderBuilder::new().delimiter(delimiter(body)).flexible(true).from_reader(body.as_bytes());
    let names: Vec<String> = match reader.headers() {
        Ok(names) => names.iter().map(str::to_owned).collect(),
        Err(error) => {
            problems.add(|| broken(source, &error));
            return Vec::new();
        }
    };
    let columns = match columns(source, &names, map) {
        Ok(columns) => columns,
        Err(problem) => {
            problems.add(|| *problem);
            return Vec::new();
        }
    };
    let mut rows = Vec::new();
    let mut record = StringRecord::new();
    let mut nameless = BTreeSet::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => {
                left_out(source, &names, &nameless, warnings);
                return rows;
            }
            Err(error) => {
                problems.add(|| broken(source, &error));
                return rows;
            }
        }
        let end = offset(reader.position().byte(), skipped, text);
        let start = record.position().map_or(end, |position| offset(position.byte(), skipped, text));
        // The reader counts a blank line before a row as part of it.
        let blank = text.get(start..end).map_or(0, |row| row.len() - row.trim_start_matches(['\r', '\n']).len());
        let span = start + blank..end.max(start + blank);
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if record.len() > names.len() {
            problems.add(|| {
                let message = format!("the row has {} cells, the heading {}", record.len(), names.len());
                source.problem(row::first_line(source, &span), message).hint("quote a cell that holds the separator")
            });
            continue;
        }
        if rows.len() >= MAX_ROWS {
            problems
                .add(|| source.problem(row::first_line(source, &span), format!("too many rows: {MAX_ROWS} at most")));
            return rows;
        }
        let filled = record.iter().enumerate().filter(|(_, cell)| !cell.trim().is_empty());
        nameless.extend(filled.map(|(place, _)| place).filter(|place| columns.is_nameless(*place)));
        rows.extend(row::read(columns.cells(record.iter().enumerate()), span, source, context, problems));
    }
}

/// What the columns mean, if one of them holds host names.
pub(super) fn columns(source: &Source, names: &[String], map: &[Mapping]) -> Result<Columns, Box<Problem>> {
    let shown = || names.iter().map(|name| format!("`{}`", quoted(name))).collect::<Vec<_>>().join(", ");
    let columns = Columns::new(names, map).map_err(|puzzle| {
        Box::new(match puzzle {
            Puzzle::Lost(lost) => {
                let message = format!("there is no column `{}`", quoted(&lost.column));
                Problem::whole(&source.name, message).hint(format!("there are {}", shown()))
            }
            Puzzle::Same(field, [one, other]) => {
                let [one, other] = [quoted(&one), quoted(&other)];
                let message = format!("the columns `{one}` and `{other}` would both be `columns.{field}`");
                let hint = "rename one of them in the table, or leave them out: `--map COLUMN=-`";
                Problem::whole(&source.name, message).hint(hint)
            }
        })
    })?;
    if columns.has_hostname() {
        return Ok(columns);
    }
    let hint = format!("say which one it is: `--map COLUMN=hostname`; there are {}", shown());
    Err(Box::new(Problem::whole(&source.name, "no column holds the host name").hint(hint)))
}

/// Says which columns with something in them are left out.
pub(super) fn left_out(source: &Source, names: &[String], places: &BTreeSet<usize>, warnings: &mut Problems) {
    for place in places {
        warnings.add(|| {
            let name = names.get(*place).map(|name| quoted(name)).unwrap_or_default();
            let message = format!("column {} has no name (`{name}`) and is left out", place + 1);
            Problem::whole(&source.name, message).hint("a name has a letter or a digit").warning()
        });
    }
}

fn broken(source: &Source, error: &csv::Error) -> Problem {
    let at = error.position().map_or(0, |position| usize::try_from(position.byte()).unwrap_or(0));
    let at = source.text.floor_char_boundary(at.min(source.text.len()));
    source.problem(at..at, format!("cannot be read as CSV: {error}"))
}

fn offset(byte: u64, skipped: usize, text: &str) -> usize {
    let at = usize::try_from(byte).unwrap_or(usize::MAX).saturating_add(skipped).min(text.len());
    text.floor_char_boundary(at)
}

/// The separator the heading uses most.
fn delimiter(text: &str) -> u8 {
    let heading = text.lines().next().unwrap_or_default();
    let count = |candidate: u8| heading.bytes().filter(|byte| *byte == candidate).count();
    // The last of equals wins, and most tables have commas.
    [b'\t', b';', b','].into_iter().max_by_key(|candidate| count(*candidate)).unwrap_or(b',')
}
