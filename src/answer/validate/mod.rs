//! The installer's rules about an answer (PROTOCOL.md §b), for one version of it, or for all of them at once.
//!
//! What an installer refuses is an error. What it takes and should not have been asked is a warning here, and its harm
//! is `danger`'s business. Nothing here looks at a machine; that is `evaluate`.

mod disks;
mod global;
mod network;

pub(super) use disks::least_disks;
pub(super) use global::HASH_HINT;

use super::installer::Installer;
use super::problem::{Problem, Severity};
use super::read::Reading;
use super::schema::Setting;
use super::settings::Settings;

/// What a file is judged as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The base answer of machines of every generation. The strictest installer decides; name, address and NIC may be
    /// missing, since the program fills them in, and spelling and new keys are the dialect's business.
    Base,
    /// A whole answer as this installer gets it.
    Whole(Installer),
}

impl Target {
    /// Whether rules made in version `since` count.
    pub(super) fn knows(self, since: Installer) -> bool {
        match self {
            Self::Base => true,
            Self::Whole(installer) => installer >= since,
        }
    }
}

/// Every rule that `reading` breaks as `target`.
pub(super) fn check(reading: &Reading, target: Target) -> Vec<Problem> {
    let mut check = Check { reading, target, problems: Vec::new() };
    if let Target::Whole(installer) = target {
        check.spelling(installer);
        check.tables();
        check.name();
        check.webhook();
    }
    check.global();
    check.network();
    check.pinning();
    check.disks();
    check.first_boot();
    check.problems
}

struct Check<'a> {
    reading: &'a Reading,
    target: Target,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn settings(&self) -> &'a Settings {
        &self.reading.settings
    }

    fn is_base(&self) -> bool {
        self.target == Target::Base
    }

    fn push(&mut self, severity: Severity, setting: Setting, message: impl Into<String>, hint: impl Into<String>) {
        let span = self.reading.given.get(&setting).map(|given| given.value.clone());
        self.problems.push(Problem::new(setting.spec().path, span, message).weigh(severity).hint(hint));
    }

    /// Reports what the installer refuses, at the place of `setting`.
    fn wrong(&mut self, setting: Setting, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Error, setting, message, hint);
    }

    /// Reports what the installer takes, and nobody can want: nothing to start a rack with.
    fn unwise(&mut self, setting: Setting, message: impl Into<String>, hint: impl Into<String>) {
        let severity = if self.is_base() { Severity::Error } else { Severity::Warning };
        self.push(severity, setting, message, hint);
    }

    /// Reports `setting` as missing, unless it is there with a wrong type.
    fn require(&mut self, setting: Setting, hint: &str) {
        if !self.given(setting) {
            self.wrong(setting, format!("`{}` is missing", setting.spec().path), hint);
        }
    }

    /// Whether the setting is in the file, whatever its type.
    fn given(&self, setting: Setting) -> bool {
        self.reading.given.contains_key(&setting)
    }

    fn has_table(&self, name: &str) -> bool {
        self.reading.tables.contains(name)
    }

    /// Keys this installer does not know, or does not know in this spelling (PROTOCOL.md §b.1).
    fn spelling(&mut self, installer: Installer) {
        for (setting, given) in &self.reading.given {
            let spec = setting.spec();
            let own = spec.path.rsplit('.').next().unwrap_or_default();
            let (message, hint) = if spec.since > installer {
                let message = format!("`{}` is too new: it came with installer {}", spec.path, spec.since);
                (message, "remove it for machines with older installers, or boot a newer one".to_owned())
            } else if given.alias && installer < Installer::V8_4 {
                let other = spec.alias.unwrap_or_default();
                let message = format!("installers before {} know `{other}` only as `{own}`", Installer::V8_4);
                (message, format!("write `{own}`, which every installer knows"))
            } else {
                continue;
            };
            self.problems.push(Problem::new(spec.path, Some(given.key.clone()), message).hint(hint));
        }
    }

    /// The three tables without which there is no answer.
    fn tables(&mut self) {
        for name in ["global", "network", "disk-setup"] {
            let named = self.reading.problems.iter().any(|problem| problem.path == name);
            if !self.has_table(name) && !named {
                let problem = Problem::new(name, None, format!("the section `[{name}]` is missing"));
                self.problems.push(problem.hint("every answer has `[global]`, `[network]` and `[disk-setup]`"));
            }
        }
    }

    fn webhook(&mut self) {
        if self.has_table("post-installation-webhook") {
            self.require(Setting::WebhookUrl, "add the address that gets the report");
            self.address(Setting::WebhookUrl, Setting::WebhookFingerprint);
        }
    }

    /// An address the installer calls, and the certificate it expects there (PROTOCOL.md §a.3). It looks at neither before
    /// it calls, and what fails then leaves the machine in a debug shell.
    fn address(&mut self, url: Setting, fingerprint: Setting) {
        let text = self.settings().text(url).unwrap_or_default();
        let host = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        if self.settings().has(url) && host.is_none_or(|host| host.is_empty() || host.starts_with(['/', ':'])) {
            let message = format!("`{}` is no address that can be called", url.spec().path);
            self.push(Severity::Danger, url, message, "write it in full, such as `https://deploy.example.com/path`");
        }
        let Some(given) = self.settings().text(fingerprint) else { return };
        if !is_sha256(given) {
            let message = format!("`{}` is no SHA-256 of a certificate", fingerprint.spec().path);
            self.push(
                Severity::Danger,
                fingerprint,
                message,
                "64 hexadecimal digits, with or without colons, and nothing before them",
            );
        }
        if text.starts_with("https://[") {
            let message = "some installers take no IPv6 address beside a fingerprint, and call nobody";
            self.push(Severity::Warning, url, message, "write a host name, which need not be in any DNS");
        }
    }
}

/// A SHA-256 in hexadecimal digits of either case, with colons or without.
fn is_sha256(text: &str) -> bool {
    let digits = || text.bytes().filter(|b| *b != b':');
    digits().count() == 64 && digits().all(|b| b.is_ascii_hexdigit())
}
