//! The operator's `default.toml`: the answer every machine starts from.

use super::problem::{Problem, Problems};
use super::read;
use super::schema::Setting;
use super::settings::{Settings, Value};
use super::validate;
use crate::domain::MacAddr;

/// A checked base answer. It may lack what the program fills in for each machine: name, address, NIC and webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseAnswer {
    pub(super) settings: Settings,
}

impl BaseAnswer {
    /// Reads `default.toml`, in either key style.
    ///
    /// # Errors
    ///
    /// Every problem at once: syntax, unknown or repeated keys, wrong types, broken rules of the installer, missing
    /// settings, and a `[post-installation-webhook]`, which belongs to the program.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let mut reading = read::read(text).map_err(|syntax| Problems(vec![syntax]))?;
        validate::check(&mut reading);
        let reserved = [Setting::WebhookUrl, Setting::WebhookFingerprint];
        if let Some(span) = reserved.iter().find_map(|setting| reading.spans.get(setting)) {
            let message = "`[post-installation-webhook]` belongs to prox-orchestrator, which machines report to";
            let problem = Problem::new("post-installation-webhook", Some(span.clone()), message);
            reading.problems.push(problem.hint("remove the section"));
        }
        if !reading.problems.is_empty() {
            return Err(Problems::sorted(reading.problems));
        }
        let mut settings = reading.settings;
        normalise(&mut settings);
        Ok(Self { settings })
    }

    /// Whether machines keep the address they got by DHCP; then no address, mask or NIC is needed to render.
    #[must_use]
    pub fn uses_dhcp(&self) -> bool {
        self.settings.text(Setting::Source) != Some("from-answer")
    }

    /// Whether the operator chose the NIC himself by a `network.filter`.
    #[must_use]
    pub fn has_nic_filter(&self) -> bool {
        self.settings.has(Setting::NicFilter)
    }

    /// Whether it names a name server.
    #[must_use]
    pub fn has_dns(&self) -> bool {
        self.settings.has(Setting::Dns)
    }

    /// Whether it names a gateway.
    #[must_use]
    pub fn has_gateway(&self) -> bool {
        self.settings.has(Setting::Gateway)
    }

    /// Whether it holds an SSH key for root; else the program's own is put in.
    #[must_use]
    pub fn has_ssh_keys(&self) -> bool {
        self.settings.texts(Setting::RootSshKeys).is_some_and(|keys| !keys.is_empty())
    }
}

/// Drops empty tables, which count as unset, and writes pinned MAC addresses as every release reads them: lower case.
fn normalise(settings: &mut Settings) {
    for setting in [Setting::NicFilter, Setting::DiskFilter, Setting::PinningMapping] {
        if settings.table(setting).is_some_and(std::collections::BTreeMap::is_empty) {
            settings.remove(setting);
        }
    }
    if let Some(mapping) = settings.table(Setting::PinningMapping) {
        let lower = |(mac, name): (&String, &String)| {
            let mac = mac.parse::<MacAddr>().map_or_else(|_| mac.clone(), |parsed| parsed.to_string());
            (mac, name.clone())
        };
        let mapping = mapping.iter().map(lower).collect();
        settings.set(Setting::PinningMapping, Value::Table(mapping));
    }
}
