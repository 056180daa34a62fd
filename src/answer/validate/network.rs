//! `[network]` and its interface names (PROTOCOL.md §b.2).

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Check, Severity, Target};
use crate::answer::installer::Installer;
use crate::answer::schema::{Setting, Setting as S};
use crate::domain::MacAddr;

impl Check<'_> {
    pub(super) fn network(&mut self) {
        let mistyped = self.given(S::Source) && !self.settings().has(S::Source);
        let from_answer = self.settings().text(S::Source) == Some("from-answer");
        if !self.is_base() && self.target.knows(Installer::V9_2) && self.has_table("network") {
            self.require(
                S::Source,
                "add `source = \"from-dhcp\"` or `\"from-answer\"`; older installers take the first",
            );
        }
        if from_answer {
            self.addressed();
        } else if !mistyped {
            let by = self.reading.dhcp_by.as_ref().map(|by| format!(", which {by} asks for")).unwrap_or_default();
            for setting in [S::Cidr, S::Dns, S::Gateway, S::NicFilter] {
                if self.given(setting) {
                    let path = setting.spec().path;
                    let message = format!("`{path}` is not allowed with `source = \"from-dhcp\"`{by}");
                    self.wrong(setting, message, "remove it, or set `source = \"from-answer\"`");
                }
            }
        }
        for setting in [S::Dns, S::Gateway] {
            if let Some(text) = self.settings().text(setting)
                && text.parse::<IpAddr>().is_err()
            {
                let message = format!("`{text}` is not an IP address");
                self.wrong(setting, message, "write one address such as `192.0.2.1`");
            }
        }
        self.globs(S::NicFilter);
    }

    /// What goes with `source = "from-answer"`; in a base answer the program puts it in.
    fn addressed(&mut self) {
        let Target::Whole(installer) = self.target else { return };
        self.require(S::Cidr, "add the machine's address with its network, such as `cidr = \"192.0.2.9/24\"`");
        self.require(S::Dns, "add the address of a name server");
        self.require(S::Gateway, "add the address of the gateway");
        self.require(S::NicFilter, "add a filter such as `filter.ID_NET_NAME_MAC = \"*b42e99acadb4\"`");
        if let Some(cidr) = self.settings().text(S::Cidr)
            && !is_cidr(cidr, installer)
        {
            let message = format!("`{cidr}` is not an address with a prefix length");
            self.wrong(S::Cidr, message, "write it such as `192.0.2.9/24`");
        }
        self.reachable(installer);
        if self.settings().table(S::NicFilter).is_some_and(std::collections::BTreeMap::is_empty) {
            let message = "`network.filter` is empty, and `source = \"from-answer\"` needs one";
            self.wrong(S::NicFilter, message, "add a property such as `filter.ID_NET_NAME_MAC = \"*b42e99acadb4\"`");
        }
    }

    /// Whether the machine will be found under its address; the installer looks at none of this, but for 9.0.5.
    fn reachable(&mut self, installer: Installer) {
        let text = self.settings().text(S::Cidr).unwrap_or_default();
        let Ok(network) = text.parse::<IpNet>() else {
            if text.parse::<IpAddr>().is_ok() && installer >= Installer::V9_2 {
                let message = format!("`{text}` has no prefix length: it is taken for a network of one address");
                self.push(Severity::Warning, S::Cidr, message, "write it such as `192.0.2.9/24`");
            }
            return;
        };
        let address = network.addr();
        if !is_host(network) {
            let message = format!("`{network}` is the address of a whole network, which no machine can have");
            let severity = if installer == Installer::V9_0_5 { Severity::Error } else { Severity::Danger };
            self.push(severity, S::Cidr, message, "give the machine an address of its own");
        }
        for (setting, what) in [(S::Dns, "name server"), (S::Gateway, "gateway")] {
            let Some(Ok(server)) = self.settings().text(setting).map(str::parse::<IpAddr>) else { continue };
            if server.is_ipv4() != address.is_ipv4() {
                let message = format!("the {what} `{server}` and the machine's `{address}` are not of one family");
                self.push(Severity::Warning, setting, message, format!("name a {what} that `{address}` can reach"));
            } else if setting == S::Gateway && !network.contains(&server) {
                let message = format!("the gateway `{server}` is outside of the machine's network `{network}`");
                self.push(Severity::Warning, setting, message, "compare the prefix length with that of the network");
            } else if setting == S::Gateway && server == address {
                let message = format!("`{server}` is the machine's own address, and no gateway to anywhere");
                self.push(Severity::Warning, setting, message, "name the router");
            }
        }
    }

    /// Patterns the installer cannot read stop it.
    pub(super) fn globs(&mut self, setting: Setting) {
        for (key, pattern) in self.settings().table(setting).into_iter().flatten() {
            if let Err(error) = glob::Pattern::new(pattern) {
                let message = format!("the pattern of `{}.{key}` is malformed: {}", setting.spec().path, error.msg);
                self.wrong(setting, message, "`*`, `?` and `[a-z]` are special; write `[[]` for a bracket");
            }
        }
    }

    pub(super) fn pinning(&mut self) {
        if !self.given(S::PinningMapping) && !self.has_table("network.interface-name-pinning") {
            return;
        }
        self.require(S::PinningEnabled, "add `enabled = true`");
        // Without pinning, the installer does not look at the names.
        let counts = self.is_base()
            || self.settings().get(S::PinningEnabled) == Some(&crate::answer::settings::Value::Flag(true));
        let mut names = BTreeSet::new();
        let mut macs = BTreeSet::new();
        let hint = "map each MAC address to one name such as `lan0`";
        for (mac, name) in self.settings().table(S::PinningMapping).into_iter().flatten() {
            match mac.parse::<MacAddr>() {
                Ok(parsed) if !macs.insert(parsed) => {
                    self.unwise(S::PinningMapping, format!("`{mac}` is mapped twice"), hint);
                }
                Ok(parsed) if mac.contains(':') => self.mac_case(mac, parsed),
                _ => {
                    let message = format!("`{mac}` is not a MAC address such as `b4:2e:99:ac:ad:b4`");
                    self.unwise(S::PinningMapping, message, hint);
                }
            }
            let severity = if counts { Severity::Error } else { Severity::Warning };
            if !is_nic_name(name) {
                let message = format!("`{name}` is not an interface name of 2 to 15 letters, digits and `_`");
                self.push(severity, S::PinningMapping, message, hint);
            } else if self.target == Target::Whole(Installer::V9_1_2) && name.bytes().any(|b| b.is_ascii_uppercase()) {
                let message = format!("installer {} takes `{name}` in lower case only", Installer::V9_1_2);
                self.push(severity, S::PinningMapping, message, format!("write `{}`", name.to_ascii_lowercase()));
            } else if !names.insert(name.as_str()) {
                self.push(severity, S::PinningMapping, format!("the interface name `{name}` is given twice"), hint);
            }
        }
    }

    /// 9.1.0 to 9.1.6 find an interface by its address in lower case only. The renderer writes it so.
    fn mac_case(&mut self, mac: &str, parsed: MacAddr) {
        let Target::Whole(installer) = self.target else { return };
        // Before 9.1.0 the section as a whole is too new.
        if (Installer::V9_1..Installer::V9_1_7).contains(&installer) && mac != parsed.to_string() {
            let message = format!("installers before 9.1.7 do not find `{mac}`: they compare lower-case letters");
            self.push(Severity::Warning, S::PinningMapping, message, format!("write `{parsed}`"));
        }
    }
}

/// Address and prefix length; from 9.2.0 on an address alone stands for itself.
fn is_cidr(text: &str, installer: Installer) -> bool {
    let Some((address, prefix)) = text.split_once('/') else {
        return installer >= Installer::V9_2 && text.parse::<IpAddr>().is_ok();
    };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    prefix.parse::<u8>().is_ok_and(|prefix| prefix <= most)
}

/// Whether the address is one that a host of its network can have. Point-to-point networks have no others.
fn is_host(network: IpNet) -> bool {
    let is_wide = network.max_prefix_len() - network.prefix_len() > 1;
    let (address, first, last) = (network.addr(), network.network(), network.broadcast());
    // IPv6 has no broadcast address.
    !(is_wide && (address == first || address == last && address.is_ipv4())) && !address.is_multicast()
}

/// A pinned interface name: a letter, then letters, digits and `_`, with an optional `.N` or `:N`.
fn is_nic_name(text: &str) -> bool {
    let (stem, suffix) = text.split_once(['.', ':']).map_or((text, None), |(stem, suffix)| (stem, Some(suffix)));
    (2..=15).contains(&text.len())
        && stem.starts_with(|c: char| c.is_ascii_alphabetic())
        && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && suffix.is_none_or(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}
