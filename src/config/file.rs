//! `config.toml` as it is written: which keys are there, with which raw values, at which bytes.
//!
//! Finds what is wrong with the file's shape (syntax, unknown keys, tables in the wrong place). It must not judge
//! values; that is `value`'s business.

use std::collections::BTreeMap;
use std::ops::Range;

use toml_edit::{Document, Item, Key as TomlKey, TableLike, Value};

use super::key::Key;
use super::problem::{Problem, Problems, Source, quoted};
use crate::domain::spelling::nearest;

/// A value as TOML has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    String(String),
    Integer(i64),
    Boolean(bool),
    /// An array of strings, and of nothing else.
    Strings(Vec<String>),
    /// A type no setting has, in words.
    Other(&'static str),
}

/// A value and the bytes it stands at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) value: Scalar,
    pub(crate) span: Range<usize>,
}

/// The known keys that a `config.toml` sets. Empty for a missing file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileLayer {
    source: Source,
    values: BTreeMap<Key, Written>,
}

impl FileLayer {
    /// Reads a text, adding what is wrong with its shape to `problems`.
    pub(crate) fn parse(source: Source, problems: &mut Problems) -> Self {
        let mut layer = Self { source, values: BTreeMap::new() };
        match Document::parse(layer.source.text.clone()) {
            Ok(document) => layer.read_top(document.as_table(), problems),
            Err(error) => problems.add(|| layer.syntax_problem(&error)),
        }
        layer
    }

    /// What the file says about `key`.
    pub(crate) fn get(&self, key: Key) -> Option<&Written> {
        self.values.get(&key)
    }

    /// The file.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    fn syntax_problem(&self, error: &toml_edit::TomlError) -> Problem {
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        let message = format!("not valid TOML: {}", quoted_long(&message));
        let span = error.span().unwrap_or_default();
        let hint = if message.contains("duplicate key") {
            "it is there twice; remove one of them"
        } else if message.contains("quoted") {
            "text needs quotes: `key = \"text\"`"
        } else {
            "a line is `key = value` or `[table]`, with text in quotes; the rest was not looked at"
        };
        self.source.problem(span, message).hint(hint)
    }

    fn read_top(&mut self, top: &dyn TableLike, problems: &mut Problems) {
        for (name, item) in top.iter() {
            let span = key_span(top, name, item);
            if let Some(table) = Key::TABLES.into_iter().find(|table| *table == name) {
                match item.as_table_like() {
                    Some(inner) => self.read_table(table, inner, problems),
                    None => problems.add(|| {
                        let found = kind(item);
                        let problem = self.source.problem(span, format!("`{table}` is a table, not {found}"));
                        problem.hint(format!("write `[{table}]` on a line of its own, and its keys below it"))
                    }),
                }
            } else if let Some(key) = Key::of_table("").find(|key| key.name() == name) {
                self.keep(key, item, span);
            } else {
                problems.add(|| self.unknown("", name, item, span));
            }
        }
    }

    fn read_table(&mut self, table: &'static str, inner: &dyn TableLike, problems: &mut Problems) {
        for (name, item) in inner.iter() {
            let span = key_span(inner, name, item);
            match Key::of_table(table).find(|key| key.name() == name) {
                Some(key) => self.keep(key, item, span),
                None => problems.add(|| self.unknown(table, name, item, span)),
            }
        }
    }

    fn keep(&mut self, key: Key, item: &Item, key_span: Range<usize>) {
        let value = match item {
            Item::Value(Value::String(text)) => Scalar::String(text.value().clone()),
            Item::Value(Value::Integer(number)) => Scalar::Integer(*number.value()),
            Item::Value(Value::Boolean(flag)) => Scalar::Boolean(*flag.value()),
            Item::Value(Value::Array(array)) if array.iter().all(Value::is_str) => {
                Scalar::Strings(array.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            other => Scalar::Other(kind(other)),
        };
        let span = item.as_value().and_then(Value::span).unwrap_or(key_span);
        self.values.insert(key, Written { value, span });
    }

    /// A key or table that does not exist: names what was probably meant, else what there is.
    fn unknown(&self, table: &str, name: &str, item: &Item, span: Range<usize>) -> Problem {
        let what = if item.is_table_like() || item.is_array_of_tables() { "table" } else { "key" };
        let place = if table.is_empty() { String::new() } else { format!(" in `[{table}]`") };
        let problem = self.source.problem(span, format!("unknown {what} `{}`{place}", quoted(name)));
        problem.hint(suggestion(table, name, what == "table"))
    }
}

/// Advice for an unknown name in `table`.
fn suggestion(table: &str, name: &str, is_table: bool) -> String {
    if is_table {
        if let Some(meant) = nearest(name, Key::TABLES) {
            return format!("did you mean `[{meant}]`?");
        }
    } else {
        if let Some(key) = Key::ALL.iter().find(|key| key.name() == name) {
            return belongs(*key);
        }
        if let Some(key) = nearest(name, Key::of_table(table)) {
            return format!("did you mean `{}`?", key.name());
        }
        if let Some(key) = nearest(name, Key::ALL.iter().copied()) {
            return format!("did you mean `{}`? {}", key.name(), belongs(key));
        }
    }
    if table.is_empty() {
        let tables = Key::TABLES.map(|known| format!("`[{known}]`")).join(", ");
        return format!("the tables are {tables}; above them stand only the `machine_...` keys");
    }
    let keys = Key::of_table(table).map(|key| format!("`{}`", key.name())).collect::<Vec<_>>().join(", ");
    format!("`[{table}]` has {keys}")
}

/// Where a key has to stand.
fn belongs(key: Key) -> String {
    if key.table().is_empty() {
        format!("`{}` belongs above the first table, at the top of the file", key.name())
    } else {
        format!("`{}` belongs in the table `[{}]`", key.name(), key.table())
    }
}

/// The bytes of a key, else of its value.
fn key_span(table: &dyn TableLike, name: &str, item: &Item) -> Range<usize> {
    table.key(name).and_then(TomlKey::span).or_else(|| item.span()).unwrap_or_default()
}

/// The type of a TOML item in words, with its article.
fn kind(item: &Item) -> &'static str {
    match item {
        Item::Value(Value::String(_)) => "a string",
        Item::Value(Value::Integer(_)) => "an integer",
        Item::Value(Value::Boolean(_)) => "true or false",
        Item::Value(Value::Float(_)) => "a number with a fraction",
        Item::Value(Value::Datetime(_)) => "a date or time",
        Item::Value(Value::Array(_)) => "an array",
        Item::Value(Value::InlineTable(_)) | Item::Table(_) => "a table",
        Item::ArrayOfTables(_) => "an array of tables",
        Item::None => "nothing",
    }
}

/// The parser's words, printable and bounded: they may repeat a long key.
fn quoted_long(message: &str) -> String {
    message.chars().filter(|c| !c.is_control()).take(200).collect()
}
