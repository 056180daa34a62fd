//! The operator's `default.toml`: the answer every machine starts from.

use std::net::IpAddr;

use super::danger;
use super::problem::{self, Problem, Problems, Severity};
use super::read::{self, Reading};
use super::schema::Setting;
use super::settings::{Settings, Value};
use super::validate::{self, Target};
use crate::domain::MacAddr;

/// A checked base answer. It may lack what the program fills in for each machine: name, address, NIC and webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseAnswer {
    pub(super) settings: Settings,
    cautions: Vec<Problem>,
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
        reading.problems.extend(validate::check(&reading, Target::Base));
        reading.problems.extend(reserved(&reading));
        let is_error = |problem: &mut Problem| problem.severity == Severity::Error;
        let errors: Vec<_> = reading.problems.extract_if(.., is_error).collect();
        if !errors.is_empty() {
            return Err(Problems::sorted(errors));
        }
        let mut cautions = std::mem::take(&mut reading.problems);
        cautions.extend(danger::check(&reading, Target::Base, None));
        cautions.extend(self::cautions(&reading));
        problem::sort(&mut cautions);
        let mut settings = reading.settings;
        normalise(&mut settings);
        Ok(Self { settings, cautions })
    }

    /// What is harmful or unlikely to be meant, in the order of the text; none of it is an error.
    #[must_use]
    pub fn cautions(&self) -> &[Problem] {
        &self.cautions
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

    /// The gateway it names.
    #[must_use]
    pub fn gateway(&self) -> Option<IpAddr> {
        self.settings.text(Setting::Gateway).and_then(|text| text.parse().ok())
    }

    /// The name server it names.
    #[must_use]
    pub fn dns(&self) -> Option<IpAddr> {
        self.settings.text(Setting::Dns).and_then(|text| text.parse().ok())
    }

    /// The same for machines that keep the address they got by DHCP.
    #[must_use]
    pub fn with_dhcp(mut self) -> Self {
        self.settings.set_text(Setting::Source, "from-dhcp");
        for setting in [Setting::Cidr, Setting::Dns, Setting::Gateway, Setting::NicFilter] {
            self.settings.remove(setting);
        }
        self
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

/// A webhook of the operator's own.
pub(super) fn reserved(reading: &Reading) -> Option<Problem> {
    let all = [Setting::WebhookUrl, Setting::WebhookFingerprint, Setting::WebhookToken];
    let given = all.iter().find_map(|setting| reading.given.get(setting))?;
    let message = "`[post-installation-webhook]` belongs to prox-orchestrator, which machines report to";
    Some(Problem::new("post-installation-webhook", Some(given.value.clone()), message).hint("remove the section"))
}

/// Settings that are replaced for every machine.
pub(super) fn cautions(reading: &Reading) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut replaced = |setting: Setting, message: &str, hint: &str| {
        if let Some(given) = reading.given.get(&setting) {
            let problem = Problem::new(setting.spec().path, Some(given.value.clone()), message);
            problems.push(problem.weigh(Severity::Warning).hint(hint));
        }
    };
    replaced(Setting::Fqdn, "`global.fqdn` is not used: the console names every node", "see `[naming]` in config.toml");
    replaced(Setting::Cidr, "`network.cidr` is not used: every node has its own address", "remove it");
    problems
}

/// Drops empty tables, which count as unset, writes RAID levels in lower case, and writes pinned MAC addresses as every release reads them: lower case.
fn normalise(settings: &mut Settings) {
    for setting in [Setting::NicFilter, Setting::DiskFilter, Setting::PinningMapping] {
        if settings.table(setting).is_some_and(std::collections::BTreeMap::is_empty) {
            settings.remove(setting);
        }
    }
    for setting in [Setting::ZfsRaid, Setting::BtrfsRaid] {
        if let Some(level) = settings.text(setting).map(str::to_ascii_lowercase) {
            settings.set_text(setting, level);
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
