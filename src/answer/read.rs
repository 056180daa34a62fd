//! Reads an answer file into [`Settings`], with the place of each, and every problem of spelling and type.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml_edit::{Document, Item, TableLike};

use super::overlay::excluded_by;
use super::problem::Problem;
use super::schema::{Kind, Setting, Step};
use super::settings::{Settings, Value};
use crate::domain::spelling::nearest;

/// Where and how a setting stands in the file, whatever its value.
#[derive(Debug)]
pub(super) struct Given {
    /// Bytes of its value.
    pub(super) value: Range<usize>,
    /// Bytes of its key.
    pub(super) key: Range<usize>,
    /// Whether the key is in the spelling that older installers do not know.
    pub(super) alias: bool,
}

/// An answer file, read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) settings: Settings,
    /// The settings that stand in the file.
    pub(super) given: BTreeMap<Setting, Given>,
    /// Bytes of the values in tables, by their key.
    pub(super) entries: BTreeMap<(Setting, String), Range<usize>>,
    /// The tables that stand in the file, dotted; also those that are empty.
    pub(super) tables: BTreeSet<String>,
    /// Who asks for DHCP, where that stands in no file.
    pub(super) dhcp_by: Option<String>,
    pub(super) problems: Vec<Problem>,
}

impl Reading {
    /// The same where somebody asks for DHCP who is no file. Returns the settings that do not count then.
    pub(super) fn leave_to_dhcp(&mut self, by: &str) -> Vec<Setting> {
        let dhcp = Value::Text("from-dhcp".to_owned());
        let gone = excluded_by(Setting::Source, &dhcp);
        for setting in &gone {
            self.given.remove(setting);
            self.settings.remove(*setting);
        }
        self.settings.set(Setting::Source, dhcp);
        self.dhcp_by = Some(by.to_owned());
        gone
    }
}

/// Reads `text` as far as it makes sense, and collects the problems on the way.
///
/// # Errors
///
/// A syntax error, behind which nothing can be read.
pub(super) fn read(text: &str) -> Result<Reading, Problem> {
    read_beside(text, |_, _, _| false)
}

/// The same for a file that holds more than an answer: `own` takes the keys at its top that are no part of one.
///
/// # Errors
///
/// A syntax error, behind which nothing can be read.
pub(super) fn read_beside(
    text: &str,
    mut own: impl FnMut(&str, &Item, Range<usize>) -> bool,
) -> Result<Reading, Problem> {
    let document = Document::parse(text).map_err(|error| {
        let message = format!("not TOML: {}", error.message().trim_end().replace('\n', ", "));
        let hint = if text.trim_start().starts_with('{') {
            "this looks like JSON, which only installers from 9.2 on read; write it as TOML"
        } else {
            "correct this first; the rest is checked after it"
        };
        Problem::new("", error.span(), message).hint(hint)
    })?;
    let mut reading = Reading::default();
    reading.walk("", document.as_table(), &mut own);
    Ok(reading)
}

impl Reading {
    fn walk(&mut self, prefix: &str, table: &dyn TableLike, own: &mut dyn FnMut(&str, &Item, Range<usize>) -> bool) {
        for (name, item) in table.iter() {
            let key_span = table.get_key_value(name).and_then(|(key, _)| key.span());
            if prefix.is_empty() && own(name, item, key_span.clone().unwrap_or_default()) {
                continue;
            }
            let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
            match (Setting::step(prefix, name), item.as_table_like()) {
                (Step::Setting(setting), _) => self.setting(setting, &path, item, key_span),
                (Step::Table, Some(inner)) => {
                    self.walk(&path, inner, own);
                    self.tables.insert(path);
                }
                (Step::Table, None) => self.problems.push(
                    Problem::new(&*path, key_span, format!("`{path}` must be a table, not {}", type_of(item)))
                        .hint(format!("write `[{path}]` on a line of its own")),
                ),
                (Step::Unknown, _) => self.problems.push(unknown(prefix, name, &path, key_span)),
            }
        }
    }

    fn setting(&mut self, setting: Setting, path: &str, item: &Item, key_span: Option<Range<usize>>) {
        let span = item.span().or_else(|| key_span.clone());
        if self.given.contains_key(&setting) {
            let message = format!("`{path}` is given twice, in both spellings of `{}`", setting.spec().path);
            self.problems.push(Problem::new(path, key_span, message).hint("keep one of the two"));
            return;
        }
        let alias = setting.spec().alias.is_some_and(|alias| path.ends_with(alias));
        let value_span = span.clone().unwrap_or_default();
        self.given
            .insert(setting, Given { key: key_span.unwrap_or_else(|| value_span.clone()), value: value_span, alias });
        for (key, entry) in item.as_table_like().into_iter().flat_map(|table| table.iter()) {
            self.entries.extend(entry.span().map(|span| ((setting, key.to_owned()), span)));
        }
        match value(setting.spec().kind, item) {
            Ok(value) => self.settings.set(setting, value),
            Err(fault) => self.problems.push(fault.problem(path, span, item)),
        }
    }
}

/// Why a value does not fit its setting.
enum Fault {
    Type(&'static str),
    Choice(&'static [&'static str], String),
    Number(&'static str),
}

impl Fault {
    fn problem(self, path: &str, span: Option<Range<usize>>, item: &Item) -> Problem {
        match self {
            Self::Type(wanted) => Problem::new(path, span, format!("`{path}` must be {wanted}, not {}", type_of(item))),
            Self::Number(wanted) => Problem::new(path, span, format!("`{path}` must be {wanted}")),
            Self::Choice(choices, given) => {
                let hint = nearest(&given, choices.iter().copied())
                    .map_or_else(|| format!("one of {}", choices.join(", ")), |near| format!("did you mean `{near}`?"));
                Problem::new(path, span, format!("`{path}` cannot be `{given}`")).hint(hint)
            }
        }
    }
}

fn value(kind: Kind, item: &Item) -> Result<Value, Fault> {
    let text = |wanted| item.as_str().map(str::to_owned).ok_or(Fault::Type(wanted));
    match kind {
        Kind::Text => text("a string").map(Value::Text),
        Kind::Choice(choices) => choice(choices, text("a string")?).map(Value::Text),
        Kind::Raid(choices) => {
            let given = text("a string")?;
            // Upper case as a whole is an accepted spelling, mixed case is not (PROTOCOL.md §b.2).
            let upper = given.bytes().all(|b| !b.is_ascii_lowercase());
            let level = if upper { given.to_ascii_lowercase() } else { given.clone() };
            choice(choices, level).map(|_| Value::Text(given))
        }
        Kind::TextOrTable => match item.as_str() {
            Some(text) => Ok(Value::Text(text.to_owned())),
            None => table(item).ok_or(Fault::Type("a string, or a table of strings")),
        },
        Kind::Texts => texts(item).ok_or(Fault::Type("a list of strings")),
        Kind::Table => table(item).ok_or(Fault::Type("a table of strings")),
        Kind::Flag => item.as_bool().map(Value::Flag).ok_or(Fault::Type("`true` or `false`")),
        Kind::Whole => match item.as_integer() {
            Some(whole) if whole >= 0 => Ok(Value::Whole(whole)),
            Some(_) => Err(Fault::Number("a whole number that is not negative")),
            None => Err(Fault::Type("a whole number")),
        },
        Kind::Number => match (item.as_integer(), item.as_float()) {
            (Some(whole), _) => Ok(Value::Whole(whole)),
            (_, Some(number)) => Ok(Value::Float(number)),
            (None, None) => Err(Fault::Type("a number")),
        },
    }
}

fn choice(choices: &'static [&'static str], given: String) -> Result<String, Fault> {
    if choices.contains(&&*given) { Ok(given) } else { Err(Fault::Choice(choices, given)) }
}

fn texts(item: &Item) -> Option<Value> {
    let texts = item.as_array()?.iter().map(|entry| entry.as_str().map(str::to_owned));
    texts.collect::<Option<_>>().map(Value::Texts)
}

fn table(item: &Item) -> Option<Value> {
    let entries = item.as_table_like()?.iter().map(|(key, entry)| Some((key.to_owned(), entry.as_str()?.to_owned())));
    entries.collect::<Option<_>>().map(Value::Table)
}

pub(super) fn type_of(item: &Item) -> String {
    if let Some(array) = item.as_array() {
        return if array.iter().all(toml_edit::Value::is_str) { "a list" } else { "a list of other things" }.to_owned();
    }
    match item.type_name() {
        "boolean" => "a boolean".to_owned(),
        "integer" => "a whole number".to_owned(),
        "float" => "a number".to_owned(),
        "string" => "a string".to_owned(),
        "table" | "inline table" => "a table of other things".to_owned(),
        other => format!("a value of type {other}"),
    }
}

fn unknown(prefix: &str, name: &str, path: &str, span: Option<Range<usize>>) -> Problem {
    let place = if prefix.is_empty() { "the answer file".to_owned() } else { format!("`[{prefix}]`") };
    let problem = Problem::new(path, span, format!("unknown key `{name}` in {place}"));
    match nearest(name, Setting::keys_in(prefix)) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint("remove it; the installer refuses unknown keys"),
    }
}
