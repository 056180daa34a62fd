//! Templates in free-text values (minijinja), filled in for one machine.
//!
//! Strict: what is not known is an error with its place, never an empty text. A template sees the machine, the node, its
//! row of the plan and counters, and reaches nothing else. Its result is a value like any other: it is checked for its
//! type, holds no control characters, and is put into TOML as data.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use ipnet::IpNet;
use minijinja::value::{Kwargs, Value as Jinja};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

use super::overlay::{Making, Origin, Overlay};
use super::problem::Problem;
use super::read::Reading;
use super::schema::{Setting, Setting as S};
use super::settings::Value;
use crate::domain::guard::ClaimCode;
use crate::domain::pointer;
use crate::domain::text::Text;
use crate::domain::{Fqdn, NamePart, NameWish, NodeId, PlanEntry, SystemInfo};

/// Steps a template may take; one without loops takes some dozens.
const FUEL: u64 = 20_000;

/// Longest result, in bytes; the longest key lines have some thousand.
const LONGEST: usize = 8 * 1024;

/// Most digits a counter is filled up to.
const WIDEST: u8 = 10;

/// What counters are marked with while a name is made: the fleet picks their values. No text of a machine can hold
/// these characters, which [`Text`] takes out.
const MARKS: [char; 2] = ['\u{e000}', '\u{e001}'];

/// Whether `value` of `setting` is a template.
pub(super) fn is_template(setting: Setting, value: &Value) -> bool {
    let may_be = matches!(setting, S::Fqdn | S::Mailto | S::Cidr | S::Dns | S::Gateway | S::RootSshKeys);
    may_be
        && match value {
            Value::Text(text) => has_marks(text),
            Value::Texts(texts) => texts.iter().any(|text| has_marks(text)),
            _ => false,
        }
}

fn has_marks(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// Takes templates out of what the rules look at, after a look at their syntax; whether their results are right is seen
/// when they are filled in.
pub(super) fn check(reading: &mut Reading, text: &str) {
    let templates: Vec<_> = reading.settings.iter().filter(|(setting, value)| is_template(*setting, value)).collect();
    let templates: Vec<(Setting, Value)> =
        templates.into_iter().map(|(setting, value)| (setting, value.clone())).collect();
    for (setting, value) in templates {
        reading.settings.remove(setting);
        let span = reading.given.get(&setting).map(|given| given.value.clone());
        for template in texts(&value) {
            let Err(error) = ENVIRONMENT.template_from_named_str(NAME, template) else { continue };
            let span = span.clone().map(|span| {
                let at =
                    error.range().filter(|_| text.get(span.start + 1..).is_some_and(|rest| rest.starts_with(template)));
                at.map_or(span.clone(), |at| span.start + 1 + at.start..span.start + 1 + at.end)
            });
            let message =
                format!("the template of `{}` is malformed: {}", setting.spec().path, reason(&error, template));
            reading.problems.push(Problem::new(setting.spec().path, span, message).hint("see docs/answers.md"));
        }
    }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Text(text) => vec![text.as_str()],
        Value::Texts(texts) => texts.iter().map(String::as_str).filter(|text| has_marks(text)).collect(),
        _ => Vec::new(),
    }
}

/// What messages of the engine call a template; they are not shown with it.
const NAME: &str = "value";

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(64);
    // Errors say where in the template.
    environment.set_debug(true);
    environment.remove_global("debug");
    environment
});

/// A counter that a template asks for, and that its node has no value of yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CounterWish {
    /// Its name.
    pub name: Text,
    /// Its lowest value.
    pub start: u64,
}

/// Why a value cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The template fails, or its result is no value of this setting.
    #[error("the template of `{setting}` ({place}) cannot be filled in: {reason}")]
    Failed {
        /// The setting, dotted.
        setting: &'static str,
        /// File, line and column.
        place: String,
        /// Why, in words.
        reason: String,
    },
    /// The node must be given values of these counters first.
    #[error("the node has no value of the counter `{}` yet", .0.first().map_or("", |wish| wish.name.as_str()))]
    Wants(Vec<CounterWish>),
}

/// What templates see.
#[derive(Debug)]
pub struct Context {
    machine: Jinja,
    node: Jinja,
    plan: Jinja,
    counters: BTreeMap<Text, u64>,
}

impl Context {
    /// For the machine that sent `info`, as this row of this name where it is one, with the counters it holds.
    #[must_use]
    pub fn new(info: Option<&SystemInfo>, row: Option<(NodeId, &Fqdn)>, counters: BTreeMap<Text, u64>) -> Self {
        let text = |text: &str| Jinja::from(text);
        let mut node = Vec::new();
        if let Some((id, name)) = row {
            node = vec![
                ("id", text(&id.to_string())),
                ("number", Jinja::from(id.0)),
                ("code", text(&ClaimCode::of(id).to_string())),
                ("name", text(name.as_str())),
                ("host", text(name.host())),
                ("domain", text(name.domain())),
            ];
        }
        let empty = || Jinja::from_pairs(Vec::<(&str, Jinja)>::new());
        Self { machine: info.map_or_else(empty, machine), node: Jinja::from_pairs(node), plan: empty(), counters }
    }

    /// With the node's row of the plan. Free columns stand under `plan.columns`, and beside the others where these
    /// leave room.
    #[must_use]
    pub fn with_plan(mut self, entry: &PlanEntry) -> Self {
        let text = |text: &Option<Text>| text.as_ref().map(|text| Jinja::from(text.as_str()));
        let columns: Vec<(&str, Jinja)> =
            entry.columns.iter().map(|(key, value)| (key.as_str(), Jinja::from(value.as_str()))).collect();
        let macs: Vec<Jinja> = entry.macs.iter().map(|mac| Jinja::from(mac.to_string())).collect();
        let own = [
            ("hostname", Some(Jinja::from(entry.hostname.as_str()))),
            ("serial", text(&entry.serial)),
            ("uuid", entry.uuid.map(|uuid| Jinja::from(uuid.to_string()))),
            ("macs", Some(Jinja::from(macs.as_slice()))),
            ("asset_tag", text(&entry.asset_tag)),
            ("address", entry.address.map(|address| Jinja::from(address.to_string()))),
            ("profile", entry.profile.as_ref().map(|name| Jinja::from(name.as_str()))),
            ("role", text(&entry.role)),
            ("rack", text(&entry.rack)),
            ("slot", text(&entry.slot)),
            ("columns", Some(Jinja::from_pairs(columns.clone()))),
        ];
        let mut all: BTreeMap<&str, Jinja> = columns.into_iter().collect();
        all.extend(own.into_iter().filter_map(|(key, value)| Some((key, value?))));
        self.plan = Jinja::from_pairs(all);
        self
    }

    fn with(&self, counter: Jinja) -> Jinja {
        Jinja::from_pairs([
            ("machine", self.machine.clone()),
            ("node", self.node.clone()),
            ("plan", self.plan.clone()),
            ("counter", counter),
        ])
    }
}

/// The machine by the names of its pointers: `machine.dmi.system.serial`, `machine.network_interfaces[0].mac`.
fn machine(info: &SystemInfo) -> Jinja {
    let mut tables: BTreeMap<&str, BTreeMap<&str, Jinja>> = BTreeMap::new();
    for path in ["product", "iso", "dmi/system", "dmi/baseboard", "dmi/chassis"] {
        tables.insert(path, BTreeMap::new());
    }
    for (single, pointer) in pointer::Single::ALL {
        if let Some((table, name)) = pointer.trim_start_matches('/').rsplit_once('/')
            && let Some(value) = single.of(info)
        {
            tables.entry(table).or_default().insert(name, Jinja::from(value.as_ref()));
        }
    }
    let mut dmi = Vec::new();
    let mut whole = Vec::new();
    for (path, table) in tables {
        match path.strip_prefix("dmi/") {
            Some(name) => dmi.push((name, Jinja::from_pairs(table))),
            None => whole.push((path, Jinja::from_pairs(table))),
        }
    }
    whole.push(("dmi", Jinja::from_pairs(dmi)));
    let link = |link: &crate::domain::facts::Link| {
        Jinja::from_pairs([("link", link.name.as_str().to_owned()), ("mac", link.mac.to_string())])
    };
    let links: Vec<Jinja> = info.links.iter().map(link).collect();
    whole.push(("network_interfaces", Jinja::from(links.as_slice())));
    Jinja::from_pairs(whole)
}

/// Fills in every template but that of the name, which the node has already.
///
/// # Errors
///
/// [`TemplateError`]: the first that fails, else the counters that are wanted.
pub fn fill(mut overlay: Overlay, context: &Context) -> Result<Overlay, TemplateError> {
    let is_pending =
        overlay.iter().any(|((setting, _), stated)| *setting != S::Fqdn && stated.making == Making::Pending);
    if !is_pending {
        return Ok(overlay);
    }
    let wanted: Arc<Mutex<Vec<CounterWish>>> = Arc::default();
    let root = context.with(held_counter(context.counters.clone(), Arc::clone(&wanted)));
    for ((setting, _), stated) in overlay.iter_mut() {
        if *setting == S::Fqdn || stated.making != Making::Pending {
            continue;
        }
        let fill_one = |template: &str| -> Result<String, TemplateError> {
            if !has_marks(template) {
                return Ok(template.to_owned());
            }
            let made = make(template, &root).map_err(|error| failed(*setting, &stated.origin, template, &error))?;
            judge(*setting, &made).map_err(|reason| refused(*setting, &stated.origin, reason))?;
            Ok(made)
        };
        let (value, template) = match &stated.value {
            Value::Text(template) => (Value::Text(fill_one(template)?), template.clone()),
            Value::Texts(templates) => {
                let made = templates.iter().map(|template| fill_one(template)).collect::<Result<_, _>>()?;
                (Value::Texts(made), templates.join(", "))
            }
            _ => continue,
        };
        stated.value = value;
        stated.making = Making::Made(template);
    }
    let mut wanted = std::mem::take(&mut *wanted.lock().unwrap_or_else(PoisonError::into_inner));
    if wanted.is_empty() {
        return Ok(overlay);
    }
    // One counter is asked for once: from the highest of its lowest values, as in names.
    wanted.sort_by(|one, other| one.name.cmp(&other.name).then(other.start.cmp(&one.start)));
    wanted.dedup_by(|one, other| one.name == other.name);
    Err(TemplateError::Wants(wanted))
}

/// The name that the template in `overlay` wishes a new machine to have; `None` where there is no template.
///
/// # Errors
///
/// [`TemplateError::Failed`].
pub fn wished_name(overlay: &Overlay, context: &Context) -> Result<Option<NameWish>, TemplateError> {
    let Some(stated) = overlay.get(S::Fqdn).filter(|stated| stated.making == Making::Pending) else { return Ok(None) };
    let Value::Text(template) = &stated.value else { return Ok(None) };
    let wishes: Arc<Mutex<Vec<NamePart>>> = Arc::default();
    let root = context.with(marked_counter(Arc::clone(&wishes)));
    let made = make(template, &root).map_err(|error| failed(S::Fqdn, &stated.origin, template, &error))?;
    let wishes = std::mem::take(&mut *wishes.lock().unwrap_or_else(PoisonError::into_inner));
    parts(&made, &wishes)
        .map(|parts| Some(NameWish { parts }))
        .map_err(|reason| refused(S::Fqdn, &stated.origin, reason))
}

/// Takes a name apart at the marks of its counters.
fn parts(made: &str, counters: &[NamePart]) -> Result<Vec<NamePart>, String> {
    let mut parts = Vec::new();
    for (index, piece) in made.split(MARKS[0]).enumerate() {
        let text = if index == 0 {
            piece
        } else {
            let (number, text) = piece.split_once(MARKS[1]).ok_or("a counter in a name cannot be calculated with")?;
            let counter = number.parse::<usize>().ok().and_then(|number| counters.get(number));
            parts.push(counter.ok_or("a counter in a name cannot be calculated with")?.clone());
            text
        };
        if text.chars().any(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))) {
            return Err(format!("`{}` is no part of a host name; letters, digits, `-` and `.` are", shown(text)));
        }
        if !text.is_empty() {
            parts.push(NamePart::Text(text.to_ascii_lowercase()));
        }
    }
    Ok(parts)
}

/// `counter(name, start=1, width=0)` for a node with these values. Those it lacks are told in `wanted`.
fn held_counter(held: BTreeMap<Text, u64>, wanted: Arc<Mutex<Vec<CounterWish>>>) -> Jinja {
    Jinja::from_function(move |name: Option<String>, options: Kwargs| -> Result<Jinja, Error> {
        let Counter { name, start, width } = Counter::read(name, &options)?;
        let value = held.get(&name).copied().unwrap_or_else(|| {
            wanted.lock().unwrap_or_else(PoisonError::into_inner).push(CounterWish { name, start });
            start
        });
        Ok(if width > 0 { Jinja::from(format!("{value:0>0$}", usize::from(width))) } else { Jinja::from(value) })
    })
}

/// The same, whose values are picked later.
fn marked_counter(wishes: Arc<Mutex<Vec<NamePart>>>) -> Jinja {
    Jinja::from_function(move |name: Option<String>, options: Kwargs| -> Result<Jinja, Error> {
        let Counter { name, start, width } = Counter::read(name, &options)?;
        let mut wishes = wishes.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.push(NamePart::Counter { name, start, width });
        Ok(Jinja::from(format!("{}{}{}", MARKS[0], wishes.len() - 1, MARKS[1])))
    })
}

/// A call of `counter`.
struct Counter {
    name: Text,
    start: u64,
    width: u8,
}

impl Counter {
    fn read(name: Option<String>, options: &Kwargs) -> Result<Self, Error> {
        let refuse = |why: &'static str| Error::new(ErrorKind::InvalidOperation, why);
        let start: Option<u64> = options.get("start")?;
        let width: Option<u8> = options.get("width")?;
        options.assert_all_used()?;
        let name = Text::new(&name.unwrap_or_else(|| "node".to_owned()));
        if name.is_empty() || name.as_str().len() > 64 {
            return Err(refuse("the name of a counter has 1 to 64 characters"));
        }
        let width = width.unwrap_or_default();
        if width > WIDEST {
            return Err(refuse("a counter has 10 digits at most"));
        }
        let start = start.unwrap_or(1);
        if start > u64::from(u32::MAX) {
            return Err(refuse("a counter starts below 4294967296"));
        }
        Ok(Self { name, start, width })
    }
}

fn make(template: &str, root: &Jinja) -> Result<String, Error> {
    ENVIRONMENT.render_named_str(NAME, template, root.clone())
}

/// Whether a result is a value of `setting`. Whether the installer takes it is asked of the whole answer.
fn judge(setting: Setting, made: &str) -> Result<(), String> {
    if made.len() > LONGEST {
        return Err(format!("the result has {} bytes, {LONGEST} at most", made.len()));
    }
    let is_harmful = |c: char| c.is_control() || (!c.is_ascii() && Text::new(&c.to_string()).is_empty() && c != ' ');
    if let Some(harmful) = made.chars().find(|c| is_harmful(*c)) {
        return Err(format!("the result holds the control character U+{:04X}", u32::from(harmful)));
    }
    let wanted = match setting {
        S::Dns | S::Gateway if made.parse::<IpAddr>().is_err() => "an IP address",
        S::Cidr if made.parse::<IpNet>().is_err() => "an address with a prefix length",
        S::Mailto if !made.contains('@') => "a mail address",
        S::RootSshKeys if made.trim().is_empty() => "an SSH key",
        _ => return Ok(()),
    };
    Err(format!("the result `{}` is not {wanted}", shown(made)))
}

fn shown(text: &str) -> Text {
    Text::new(&text.chars().take(60).collect::<String>())
}

fn refused(setting: Setting, origin: &Origin, reason: String) -> TemplateError {
    TemplateError::Failed { setting: setting.spec().path, place: at(origin, None), reason }
}

fn failed(setting: Setting, origin: &Origin, template: &str, error: &Error) -> TemplateError {
    // Inside the quotes, where nothing in the text is written differently than it reads.
    let is_verbatim = origin.place.as_ref().is_some_and(|place| place.span.len() == template.len() + 2);
    let inside = error.range().filter(|_| is_verbatim).and_then(|range| template.get(..range.start));
    let place = at(origin, inside.map(|before| before.chars().count() + 1));
    TemplateError::Failed { setting: setting.spec().path, place, reason: reason(error, template) }
}

fn at(origin: &Origin, inside: Option<usize>) -> String {
    match &origin.place {
        Some(place) => format!("{origin}:{}", place.column + inside.unwrap_or_default()),
        None => origin.to_string(),
    }
}

/// What went wrong, in words.
fn reason(error: &Error, template: &str) -> String {
    let piece = error.range().and_then(|range| template.get(range)).map(|piece| shown(piece.trim()));
    let words = match (error.kind(), piece, error.detail()) {
        (ErrorKind::UndefinedError, Some(piece), _) => format!("`{piece}` is not known"),
        (ErrorKind::OutOfFuel, ..) => "it takes too many steps".to_owned(),
        (_, _, Some(detail)) => detail.to_owned(),
        (kind, ..) => kind.to_string(),
    };
    Text::new(&words).to_string()
}
