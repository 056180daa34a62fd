//! The operator's `default.toml`: the answer every machine starts from.

use std::collections::BTreeSet;

use super::danger;
use super::overlay::{LayerName, Overlay, Rank};
use super::problem::{self, Problem, Problems, Severity};
use super::read::{self, Reading};
use super::schema::Setting;
use super::settings::Value;
use super::template;
use super::validate::{self, Target};

/// A checked base answer. It may lack what the program fills in for each machine: name, address, NIC and webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseAnswer {
    overlay: Overlay,
    cautions: Vec<Problem>,
}

impl BaseAnswer {
    /// Reads `default.toml`, in either key style.
    ///
    /// # Errors
    ///
    /// See [`BaseAnswer::named`].
    pub fn parse(text: &str) -> Result<Self, Problems> {
        Self::named("default.toml", text)
    }

    /// Reads `default.toml`, in either key style. `name` is what the file is called when a value of it is explained.
    ///
    /// # Errors
    ///
    /// Every problem at once: syntax, unknown or repeated keys, wrong types, broken rules of the installer, malformed
    /// templates, missing settings, and a `[post-installation-webhook]`, which belongs to the program.
    pub fn named(name: &str, text: &str) -> Result<Self, Problems> {
        let mut reading = read::read(text).map_err(|syntax| Problems(vec![syntax]))?;
        let source = LayerName { rank: Rank::Base, name: name.to_owned() };
        let overlay = Overlay::of(&reading, source, text, BTreeSet::new());
        template::check(&mut reading, text);
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
        Ok(Self { overlay, cautions })
    }

    /// What is harmful or unlikely to be meant, in the order of the text; none of it is an error.
    #[must_use]
    pub fn cautions(&self) -> &[Problem] {
        &self.cautions
    }

    /// It as the lowest layer.
    #[must_use]
    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// The same for machines that keep the address they got by DHCP; `why` says in words who wants that.
    #[must_use]
    pub fn with_dhcp(mut self, why: &str) -> Self {
        let source = LayerName { rank: Rank::Base, name: why.to_owned() };
        let dhcp = Overlay::stated(source, [(Setting::Source, Value::Text("from-dhcp".to_owned()))]);
        // What does not count does no harm.
        self.cautions.retain(|caution| !dhcp.hides(&caution.path));
        self.overlay = dhcp.over(self.overlay);
        self
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
        // A template's value is not in the settings, and is used.
        if let Some(given) = reading.given.get(&setting).filter(|_| reading.settings.has(setting)) {
            let problem = Problem::new(setting.spec().path, Some(given.value.clone()), message);
            problems.push(problem.weigh(Severity::Warning).hint(hint));
        }
    };
    replaced(
        Setting::Fqdn,
        "`global.fqdn` is not used: the console names every node",
        "see `machine_template_name` in config.toml, or write a template (docs/answers.md)",
    );
    replaced(Setting::Cidr, "`network.cidr` is not used: every node has its own address", "remove it");
    problems
}
