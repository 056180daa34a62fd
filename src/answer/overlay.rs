//! Settings that know where they came from, and how layers of them are laid over each other.
//!
//! An [`Overlay`] is one layer, or several laid over each other: the operation is associative, so that it does not
//! matter which are put together first. Tables merge by key. Settings that exclude each other replace each other:
//! whoever names disks takes the filter below away. What was replaced is kept, to be shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use super::read::{Given, Reading};
use super::schema::{Kind, Setting, Setting as S};
use super::settings::{Settings, Value};
use super::template;
use crate::domain::MacAddr;

/// The layers, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// `default.toml`.
    Base,
    /// A file of `profiles/`.
    Profile,
    /// A row of the plan.
    Plan,
    /// `nodes/<fqdn>/override.toml`.
    Override,
    /// What the operator ordered for this one node.
    Operator,
    /// What the program puts in.
    Program,
}

impl Rank {
    /// The layer in a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Base => "default",
            Self::Profile => "profile",
            Self::Plan => "plan",
            Self::Override => "override",
            Self::Operator => "operator",
            Self::Program => "program",
        }
    }
}

/// A layer by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerName {
    /// Which layer.
    pub rank: Rank,
    /// The file as the user knows it, or where else its values are from, in words.
    pub name: String,
}

/// A spot in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePlace {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Bytes of the value.
    pub span: Range<usize>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The layer.
    pub source: Arc<LayerName>,
    /// Where in its file, where it is one.
    pub place: Option<FilePlace>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source.name)?;
        self.place.iter().try_for_each(|place| write!(f, ":{}", place.line))
    }
}

/// A setting, or one key of a setting that is a table.
pub(super) type Slot = (Setting, Option<String>);

/// Whether a value was, or is still to be, made from a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Making {
    /// It stands there as it is.
    Plain,
    /// It is a template. Never asked of a result: what a machine sent is no template, whatever it looks like.
    Pending,
    /// It was made from this template.
    Made(String),
}

/// A value with its origin. No `Debug`: it may be a password.
#[derive(Clone, PartialEq)]
pub(super) struct Stated {
    pub(super) value: Value,
    pub(super) origin: Origin,
    pub(super) making: Making,
}

/// One or more layers of settings.
#[derive(Clone, Default, PartialEq)]
pub struct Overlay {
    stated: BTreeMap<Slot, Stated>,
    /// Settings of lower layers that count no more.
    hides: BTreeSet<Setting>,
    /// Values that count no more, the lowest first.
    replaced: BTreeMap<Slot, Vec<Stated>>,
}

/// Lists the settings, never their values.
impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.stated.keys()).finish()
    }
}

/// Lays `layers`, weakest first, over each other.
#[must_use]
pub fn compose(layers: impl IntoIterator<Item = Overlay>) -> Overlay {
    layers.into_iter().fold(Overlay::default(), |lower, upper| upper.over(lower))
}

impl Overlay {
    /// The settings of a file. `removed` are those it takes away from the layers below.
    pub(super) fn of(reading: &Reading, source: LayerName, text: &str, removed: BTreeSet<Setting>) -> Self {
        let source = Arc::new(source);
        let lines = Lines::of(text);
        let mut overlay = Self { hides: removed, ..Self::default() };
        for (setting, value) in reading.settings.iter() {
            overlay.hides.extend(excluded_by(setting, value));
            let whole = reading.given.get(&setting).map(|given| given.value.clone());
            let mut put = |key: Option<String>, value: Value, span: Option<Range<usize>>| {
                let place = span.map(|span| lines.place(text, span));
                let making = if template::is_template(setting, &value) { Making::Pending } else { Making::Plain };
                let origin = Origin { source: Arc::clone(&source), place };
                overlay.stated.insert((setting, key), Stated { value, origin, making });
            };
            match (setting.spec().kind, value) {
                (Kind::Table, Value::Table(entries)) => {
                    for (key, entry) in entries {
                        let span = reading.entries.get(&(setting, key.clone())).cloned().or_else(|| whole.clone());
                        put(Some(normal_key(setting, key)), Value::Text(entry.clone()), span);
                    }
                }
                (Kind::Raid(_), Value::Text(level)) => put(None, Value::Text(level.to_ascii_lowercase()), whole),
                (_, value) => put(None, value.clone(), whole),
            }
        }
        overlay
    }

    /// Values that stand in no file, from `source`; a table is given whole, in place of any below.
    pub(super) fn stated(source: LayerName, values: impl IntoIterator<Item = (Setting, Value)>) -> Self {
        let origin = Origin { source: Arc::new(source), place: None };
        let mut overlay = Self::default();
        for (setting, value) in values {
            overlay.hides.extend(excluded_by(setting, &value));
            let mut put = |key, value| {
                let stated = Stated { value, origin: origin.clone(), making: Making::Plain };
                overlay.stated.insert((setting, key), stated);
            };
            match (setting.spec().kind, value) {
                (Kind::Table, Value::Table(entries)) => {
                    for (key, entry) in entries {
                        put(Some(key), Value::Text(entry));
                    }
                    overlay.hides.insert(setting);
                }
                (_, value) => put(None, value),
            }
        }
        overlay
    }

    /// Lays this over `lower`.
    #[must_use]
    pub fn over(self, mut lower: Self) -> Self {
        let hidden = lower.stated.extract_if(.., |(setting, _), _| self.hides.contains(setting)).collect::<Vec<_>>();
        for (slot, stated) in hidden {
            lower.replaced.entry(slot).or_default().push(stated);
        }
        for (slot, stated) in self.stated {
            if let Some(old) = lower.stated.insert(slot.clone(), stated) {
                lower.replaced.entry(slot).or_default().push(old);
            }
        }
        for (slot, old) in self.replaced {
            lower.replaced.entry(slot).or_default().extend(old);
        }
        lower.hides.extend(self.hides);
        lower
    }

    /// Whether machines keep the address they got by DHCP; then no address, mask or NIC is needed to render.
    #[must_use]
    pub fn uses_dhcp(&self) -> bool {
        self.text(S::Source) != Some("from-answer")
    }

    /// Whether the operator chose the NIC himself by a `network.filter`.
    #[must_use]
    pub fn has_nic_filter(&self) -> bool {
        self.has(S::NicFilter)
    }

    /// The gateway it names.
    #[must_use]
    pub fn gateway(&self) -> Option<IpAddr> {
        self.text(S::Gateway).and_then(|text| text.parse().ok())
    }

    /// The name server it names.
    #[must_use]
    pub fn dns(&self) -> Option<IpAddr> {
        self.text(S::Dns).and_then(|text| text.parse().ok())
    }

    /// Whether it names a name server.
    #[must_use]
    pub fn has_dns(&self) -> bool {
        self.has(S::Dns)
    }

    /// Whether it names a gateway.
    #[must_use]
    pub fn has_gateway(&self) -> bool {
        self.has(S::Gateway)
    }

    /// The SSH keys it holds for root, whole lines.
    #[must_use]
    pub fn ssh_keys(&self) -> Vec<String> {
        match self.get(S::RootSshKeys).map(|stated| &stated.value) {
            Some(Value::Texts(keys)) => keys.clone(),
            _ => Vec::new(),
        }
    }

    /// Whether it holds an SSH key for root; else the program's own is put in.
    #[must_use]
    pub fn has_ssh_keys(&self) -> bool {
        matches!(self.get(S::RootSshKeys).map(|stated| &stated.value), Some(Value::Texts(keys)) if !keys.is_empty())
    }

    /// Whether it names machines by a template.
    #[must_use]
    pub fn names_by_template(&self) -> bool {
        self.get(S::Fqdn).is_some_and(|stated| stated.making == Making::Pending)
    }

    /// Whether it takes this setting away from the layers below; `path` is dotted.
    pub(super) fn hides(&self, path: &str) -> bool {
        self.hides.iter().any(|setting| setting.spec().path == path)
    }

    pub(super) fn has(&self, setting: Setting) -> bool {
        self.slots(setting).next().is_some()
    }

    /// A setting that is no table.
    pub(super) fn get(&self, setting: Setting) -> Option<&Stated> {
        self.stated.get(&(setting, None))
    }

    /// The text of a setting that is one.
    pub(super) fn text(&self, setting: Setting) -> Option<&str> {
        match &self.get(setting)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn slots(&self, setting: Setting) -> impl Iterator<Item = (&Slot, &Stated)> {
        self.stated.range((setting, None)..).take_while(move |((other, _), _)| *other == setting)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Slot, &mut Stated)> {
        self.stated.iter_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Slot, &Stated)> {
        self.stated.iter()
    }

    /// Values that count no more.
    pub(super) fn replaced(&self) -> &BTreeMap<Slot, Vec<Stated>> {
        &self.replaced
    }

    /// Writes a value anew where it stands, such as in its canonical form.
    pub(super) fn amend(&mut self, setting: Setting, value: Value) {
        if let Some(stated) = self.stated.get_mut(&(setting, None)) {
            stated.value = value;
        }
    }

    /// Where `setting`, or its first key, came from.
    pub(super) fn origin(&self, setting: Setting) -> Option<&Origin> {
        self.slots(setting).next().map(|(_, stated)| &stated.origin)
    }

    /// The settings without their origins.
    pub(super) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        for ((setting, key), stated) in &self.stated {
            match (key, &stated.value) {
                (Some(key), Value::Text(text)) => settings.set_entry(*setting, key, text),
                (_, value) => settings.set(*setting, value.clone()),
            }
        }
        settings
    }

    /// The settings as if they stood in one file, for the rules. Templates count as given, without a value.
    pub(super) fn reading(&self) -> Reading {
        let mut reading = Reading::default();
        let stated_dhcp = self.origin(S::Source).filter(|origin| origin.place.is_none() && self.uses_dhcp());
        reading.dhcp_by = stated_dhcp.map(ToString::to_string);
        for ((setting, key), stated) in &self.stated {
            let mut table = setting.spec().path;
            while let Some((outer, _)) = table.rsplit_once('.') {
                reading.tables.insert(outer.to_owned());
                table = outer;
            }
            let span = stated.origin.place.as_ref().map(|place| place.span.clone()).unwrap_or_default();
            reading.given.entry(*setting).or_insert_with(|| Given { value: span.clone(), key: span, alias: false });
            match (key, &stated.value) {
                _ if stated.making == Making::Pending => {}
                (Some(key), Value::Text(text)) => reading.settings.set_entry(*setting, key, text),
                (_, value) => reading.settings.set(*setting, value.clone()),
            }
        }
        reading
    }
}

/// The key as it is compared and written: MAC addresses in lower case, as every release reads them.
fn normal_key(setting: Setting, key: &str) -> String {
    match setting {
        S::PinningMapping => key.parse::<MacAddr>().map_or_else(|_| key.to_owned(), |mac| mac.to_string()),
        _ => key.to_owned(),
    }
}

/// Settings that cannot stand beside `setting` with this value: whoever sets it takes them away from the layers below.
pub(super) fn excluded_by(setting: Setting, value: &Value) -> Vec<Setting> {
    let text = if let Value::Text(text) = value { text.as_str() } else { "" };
    let is_empty = match value {
        Value::Texts(texts) => texts.is_empty(),
        Value::Table(table) => table.is_empty(),
        _ => false,
    };
    match setting {
        // An empty list or filter is none.
        _ if is_empty => Vec::new(),
        S::DiskList => vec![S::DiskFilter, S::FilterMatch],
        S::DiskFilter => vec![S::DiskList],
        S::RootPassword => vec![S::RootPasswordHashed],
        S::RootPasswordHashed => vec![S::RootPassword],
        S::Source if text == "from-dhcp" => vec![S::Cidr, S::Dns, S::Gateway, S::NicFilter],
        S::FirstBootSource if text == "from-iso" => vec![S::FirstBootUrl, S::FirstBootFingerprint],
        S::Filesystem => {
            let own = match text {
                "zfs" | "btrfs" => text,
                _ => "lvm",
            };
            let other = |setting: &Setting| {
                let option = setting.spec().path.strip_prefix("disk-setup.").and_then(|path| path.split_once('.'));
                option.is_some_and(|(table, _)| matches!(table, "zfs" | "btrfs" | "lvm") && table != own)
            };
            Setting::ALL.iter().copied().filter(other).collect()
        }
        _ => Vec::new(),
    }
}

/// Where the lines of a text begin, so that places are found fast.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(index, _)| index + 1)).collect())
    }

    fn place(&self, text: &str, span: Range<usize>) -> FilePlace {
        let line = self.0.partition_point(|start| *start <= span.start).max(1);
        let start = self.0.get(line - 1).copied().unwrap_or_default();
        let column = text.get(start..span.start).map_or(1, |before| before.chars().count() + 1);
        FilePlace { line, column, span }
    }
}
