//! `[global]` (PROTOCOL.md §b.2).

use super::{Check, Severity};
use crate::answer::installer::Installer;
use crate::answer::locale;
use crate::answer::schema::Setting as S;
use crate::domain::Fqdn;

/// What is the hint where a password is wanted.
pub(in crate::answer) const HASH_HINT: &str = "`mkpasswd --method=yescrypt` makes a hash";

impl Check<'_> {
    pub(super) fn global(&mut self) {
        self.require(S::Country, "add a country code such as `country = \"at\"`");
        self.require(S::Keyboard, "add a layout such as `keyboard = \"en-us\"`");
        self.require(S::Mailto, "add the address that gets the machines' mail");
        self.require(S::Timezone, "add a zone such as `timezone = \"UTC\"`");
        let country = self.settings().text(S::Country);
        if let Some(country) = country.filter(|country| !locale::has_country(country)) {
            let lower = country.to_ascii_lowercase();
            let (what, hint) = if locale::has_country(&lower) {
                ("a country code of two lower-case letters", format!("write `{lower}`"))
            } else {
                ("a country of ISO 3166", "two lower-case letters such as `at`".to_owned())
            };
            self.wrong(S::Country, format!("`{country}` is not {what}"), hint);
        }
        if let Some(mailto) = self.settings().text(S::Mailto)
            && (!is_mail_address(mailto) || mailto == "mail@example.invalid")
            && self.target.knows(Installer::V8_2_7)
        {
            let message = format!("the installer refuses `{mailto}` as a mail address");
            self.wrong(S::Mailto, message, "write an address such as `admin@example.com`");
        }
        if let Some(zone) = self.settings().text(S::Timezone)
            && !locale::has_zone(zone)
        {
            let message = format!("`{zone}` is not a time zone the installer knows");
            let near = locale::zone_like(zone, country).unwrap_or("Europe/Vienna");
            self.wrong(S::Timezone, message, format!("write a zone of `zone.tab` such as `{near}`, or `UTC`"));
        }
        self.password();
        self.subscription();
    }

    fn password(&mut self) {
        match (self.given(S::RootPassword), self.given(S::RootPasswordHashed)) {
            (false, _) if !self.target.knows(Installer::V8_2_7) => {
                self.require(S::RootPassword, "installers up to 8.2.6 know no hashes");
            }
            (false, false) => {
                let message = "`global.root_password_hashed` or `global.root_password` is missing";
                self.wrong(S::RootPasswordHashed, message, HASH_HINT);
            }
            (true, true) => {
                let message = "both `global.root_password` and `global.root_password_hashed` are given";
                self.wrong(S::RootPassword, message, "keep the hash");
            }
            _ => {}
        }
        if self.target.knows(Installer::V8_4)
            && self.settings().text(S::RootPassword).is_some_and(|password| password.len() < 8)
        {
            self.wrong(S::RootPassword, "the root password has fewer than 8 bytes", "choose a longer one");
        }
        if self.settings().text(S::RootPasswordHashed).is_some_and(str::is_empty) {
            self.unwise(S::RootPasswordHashed, "the hash is empty", HASH_HINT);
        }
    }

    /// The installer takes any key; it is refused at the first boot.
    fn subscription(&mut self) {
        if let Some(key) = self.settings().text(S::SubscriptionKey)
            && !is_subscription_key(key)
        {
            let message = "the subscription key will be refused at the first boot";
            self.push(Severity::Warning, S::SubscriptionKey, message, "keys look like `pve2c-0123456789`");
        }
    }

    /// The host name: a text, or from 8.4.3 a table that takes it from the lease.
    pub(super) fn name(&mut self) {
        self.require(S::Fqdn, "add a name such as `fqdn = \"pve1.example.com\"`");
        if let Some(name) = self.settings().text(S::Fqdn)
            && let Err(error) = name.parse::<Fqdn>()
        {
            let hint = "the installer takes a host name with a domain, such as `pve1.example.com`";
            self.wrong(S::Fqdn, error.to_string(), hint);
        }
        let Some(table) = self.settings().table(S::Fqdn) else { return };
        if !self.target.knows(Installer::V8_4_3) {
            let message = format!("a table as `global.fqdn` is too new: it came with installer {}", Installer::V8_4_3);
            self.wrong(S::Fqdn, message, "name the machine, such as `fqdn = \"pve1.example.com\"`");
        }
        if let Some(key) = table.keys().find(|key| !matches!(key.as_str(), "source" | "domain")) {
            self.wrong(S::Fqdn, format!("unknown key `{key}` in `global.fqdn`"), "it takes `source` and `domain`");
        }
        if let Some(source) = table.get("source").filter(|source| *source != "from-dhcp") {
            self.wrong(S::Fqdn, format!("`global.fqdn.source` cannot be `{source}`"), "the only source is `from-dhcp`");
        }
        if let Some(domain) = table.get("domain") {
            self.domain(domain);
        }
    }

    /// A domain for the host name of the lease; an empty one counts as unset from 9.0.5, before it made every name wrong.
    fn domain(&mut self, domain: &str) {
        let hint = "write a domain such as `example.com`, or remove it to take that of the lease";
        if domain.is_empty() {
            if !self.target.knows(Installer::V9_0_5) {
                let message = format!("installers before {} take the empty `domain` for one", Installer::V9_0_5);
                self.wrong(S::Fqdn, message, hint);
            }
        } else if let Err(error) = format!("host.{domain}").parse::<Fqdn>() {
            self.wrong(S::Fqdn, format!("no name from DHCP goes with the domain `{domain}`: {error}"), hint);
        }
    }
}

/// The HTML specification's pattern for an e-mail address, which the installer uses from 8.2.7.
fn is_mail_address(text: &str) -> bool {
    let Some((user, host)) = text.rsplit_once('@') else { return false };
    let user_ok = |b: u8| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b);
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    !user.is_empty() && user.bytes().all(user_ok) && host.split('.').all(label_ok)
}

/// `pve<sockets>`, `pbs` or `pmg`, a level, `-`, and ten hexadecimal digits.
fn is_subscription_key(key: &str) -> bool {
    let Some((product, serial)) = key.split_once('-') else { return false };
    let Some((product, level)) = product.split_at_checked(product.len().saturating_sub(1)) else { return false };
    let is_product = match product.strip_prefix("pve") {
        Some(sockets) => !sockets.is_empty() && sockets.bytes().all(|b| b.is_ascii_digit()),
        None => matches!(product, "pbs" | "pmg"),
    };
    is_product
        && matches!(level, "c" | "b" | "s" | "p")
        && serial.len() == 10
        && serial.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
