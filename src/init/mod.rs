//! The first files of a folder: what the operator chose put into the shipped templates, comments and order kept.
//!
//! [`Choices::scaffold`] is pure and `password` nearly so; `host` only reads (what this host suggests), `write` alone
//! writes, and never over a file. It asks nobody: that is the command line's business.

pub mod host;
pub mod password;
pub mod write;

use std::net::IpAddr;

use toml_edit::{Array, DocumentMut, Item, TableLike, value};

use crate::answer::BaseAnswer;
use crate::config::{self, BASE_ANSWER, BASE_ANSWER_FILE, CONFIG_FILE, CONFIG_TEMPLATE, Key};
use crate::domain::mask::Netmask;

/// What the files are to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// `machine_template_name`
    pub template_name: String,
    /// `machine_net_dn`
    pub domain: String,
    /// How the nodes get their addresses.
    pub addressing: Addressing,
    /// `machine_net_mask`
    pub mask: String,
    /// `machine_net_dns`
    pub dns: Option<IpAddr>,
    /// `machine_net_gateway`
    pub gateway: Option<IpAddr>,
    /// `machine_net_int`
    pub nic_vendor: Option<String>,
    /// `global.country`
    pub country: String,
    /// `global.keyboard`
    pub keyboard: String,
    /// `global.timezone`
    pub timezone: String,
    /// `global.mailto`
    pub mailto: String,
    /// `global.root-password-hashed`; `None` keeps the hash that no password has.
    pub password: Option<password::Hash>,
    /// `global.root-ssh-keys`: whole lines; none leaves it to the console's own key.
    pub ssh_keys: Vec<String>,
    /// `disk-setup`
    pub disks: Disks,
}

/// `network.source`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// The address a machine asked from becomes its fixed one, with mask, resolver and gateway of `config.toml`.
    #[default]
    FromAnswer,
    /// What DHCP gave to the installer becomes fixed.
    FromDhcp,
}

/// The disks that are wiped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disks {
    /// One disk with ext4.
    Single(String),
    /// A ZFS mirror over all of these.
    Mirror(Vec<String>),
}

impl Disks {
    /// Names of kernel devices: one is a single disk, several are a mirror. `None` for none.
    #[must_use]
    pub fn of(names: &[String]) -> Option<Self> {
        match names {
            [] => None,
            [name] => Some(Self::Single(name.clone())),
            names => Some(Self::Mirror(names.to_vec())),
        }
    }
}

impl Default for Choices {
    /// What the shipped templates say.
    fn default() -> Self {
        Self {
            template_name: "pve-".to_owned(),
            domain: "example.com".to_owned(),
            addressing: Addressing::FromAnswer,
            mask: "24".to_owned(),
            dns: None,
            gateway: None,
            nic_vendor: None,
            country: "us".to_owned(),
            keyboard: "en-us".to_owned(),
            timezone: "UTC".to_owned(),
            mailto: "root@localhost".to_owned(),
            password: None,
            ssh_keys: Vec::new(),
            disks: Disks::Single("sda".to_owned()),
        }
    }
}

/// The text of the files.
#[derive(Clone, Debug)]
pub struct Scaffold {
    /// `config.toml`
    pub config: String,
    /// `default.toml`; may hold a password's hash.
    pub base_answer: String,
}

/// A shipped template is not as this module knows it.
#[derive(Debug, thiserror::Error)]
#[error("the built-in `{file}` cannot be filled in: {reason}; this is a defect, copy the file by hand")]
pub struct TemplateError {
    file: &'static str,
    reason: String,
}

impl Choices {
    /// Puts the choices into the shipped templates. They may be wrong: [`Scaffold::problems`] judges.
    ///
    /// # Errors
    /// [`TemplateError`], which the tests of this module keep from happening.
    pub fn scaffold(&self) -> Result<Scaffold, TemplateError> {
        Ok(Scaffold { config: self.config()?, base_answer: self.base_answer()? })
    }

    /// Makes the size of the network one that the gateway's IP version has, where it cannot be as it is.
    pub fn fit_mask(&mut self) {
        let (Some(gateway), Ok(mask)) = (self.gateway, self.mask.parse::<Netmask>()) else { return };
        if mask.network_of(gateway).is_err() {
            if gateway.is_ipv6() { "64" } else { "24" }.clone_into(&mut self.mask);
        }
    }

    fn config(&self) -> Result<String, TemplateError> {
        let texts = [
            (Key::TEMPLATE_NAME, Some(self.template_name.clone())),
            (Key::DOMAIN, Some(self.domain.clone())),
            (Key::MASK, Some(self.mask.clone())),
            (Key::DNS, self.dns.map(|address| address.to_string())),
            (Key::GATEWAY, self.gateway.map(|address| address.to_string())),
            (Key::NIC_VENDOR, self.nic_vendor.clone()),
        ];
        let chosen: Vec<_> = texts.into_iter().filter_map(|(key, text)| Some((key, text?))).collect();
        let mut template = CONFIG_TEMPLATE.to_owned();
        for (key, _) in &chosen {
            let line = key.example();
            template = template.replacen(&format!("\n#{line}\n"), &format!("\n{line}\n"), 1);
        }
        let mut document = parse(CONFIG_FILE, &template)?;
        for (key, text) in chosen {
            replace(CONFIG_FILE, document.as_table_mut(), key.name(), text)?;
        }
        Ok(document.to_string())
    }

    fn base_answer(&self) -> Result<String, TemplateError> {
        const SSH_KEYS: &str = "\n#root-ssh-keys = ";
        let mut template = BASE_ANSWER.to_owned();
        if !self.ssh_keys.is_empty() {
            template = template.replacen(SSH_KEYS, &SSH_KEYS.replace('#', ""), 1);
        }
        let mut document = parse(BASE_ANSWER_FILE, &template)?;
        let global = table(&mut document, "global")?;
        for (name, text) in [
            ("country", &self.country),
            ("keyboard", &self.keyboard),
            ("timezone", &self.timezone),
            ("mailto", &self.mailto),
        ] {
            replace(BASE_ANSWER_FILE, global, name, text)?;
        }
        if let Some(hash) = &self.password {
            replace(BASE_ANSWER_FILE, global, "root-password-hashed", hash.as_str())?;
        }
        if !self.ssh_keys.is_empty() {
            replace(BASE_ANSWER_FILE, global, "root-ssh-keys", lines(&self.ssh_keys))?;
        }
        let source = match self.addressing {
            Addressing::FromAnswer => "from-answer",
            Addressing::FromDhcp => "from-dhcp",
        };
        replace(BASE_ANSWER_FILE, table(&mut document, "network")?, "source", source)?;
        let disk_setup = table(&mut document, "disk-setup")?;
        match &self.disks {
            Disks::Single(name) => {
                replace(BASE_ANSWER_FILE, disk_setup, "disk-list", Array::from_iter([name]))?;
            }
            Disks::Mirror(names) => {
                replace(BASE_ANSWER_FILE, disk_setup, "filesystem", "zfs")?;
                replace(BASE_ANSWER_FILE, disk_setup, "disk-list", Array::from_iter(names))?;
                let mut zfs = toml_edit::Table::new();
                zfs.set_dotted(true);
                zfs.insert("raid", value("raid1"));
                disk_setup.insert("zfs", Item::Table(zfs));
                // The commented example of a mirror.
                document.set_trailing("");
            }
        }
        Ok(document.to_string())
    }
}

impl Scaffold {
    /// Everything that is wrong with the two texts, told as the program tells it at its start; `None` where they are
    /// good.
    #[must_use]
    pub fn problems(&self) -> Option<Wrong> {
        let source = |name: &str, text: &str| config::Source { name: name.to_owned(), text: text.to_owned() };
        let config = config::parse(source(CONFIG_FILE, &self.config)).err();
        if let Some(problem) = config.as_ref().and_then(|errors| errors.0.list().first()) {
            return Some(Wrong { message: problem.message.clone(), hint: problem.hint.clone() });
        }
        let base = BaseAnswer::parse(&self.base_answer).err()?;
        let problem = base.0.into_iter().next()?;
        Some(Wrong { message: problem.message, hint: problem.hint })
    }
}

/// The first thing that is wrong with what was chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default())]
pub struct Wrong {
    message: String,
    hint: Option<String>,
}

fn parse(file: &'static str, text: &str) -> Result<DocumentMut, TemplateError> {
    text.parse().map_err(|error: toml_edit::TomlError| TemplateError { file, reason: error.message().to_owned() })
}

fn table<'a>(document: &'a mut DocumentMut, name: &'static str) -> Result<&'a mut dyn TableLike, TemplateError> {
    let found = document.get_mut(name).and_then(Item::as_table_like_mut);
    found.ok_or_else(|| TemplateError { file: BASE_ANSWER_FILE, reason: format!("no table `{name}`") })
}

/// Sets a key that the template has, and keeps the comment behind it.
fn replace(
    file: &'static str,
    table: &mut dyn TableLike,
    name: &str,
    new: impl Into<toml_edit::Value>,
) -> Result<(), TemplateError> {
    let old = table.get_mut(name).and_then(Item::as_value_mut);
    let old = old.ok_or_else(|| TemplateError { file, reason: format!("no key `{name}`") })?;
    let decor = old.decor().clone();
    *old = new.into();
    *old.decor_mut() = decor;
    Ok(())
}

/// A list with one entry a line.
fn lines(entries: &[String]) -> Array {
    let mut array = Array::from_iter(entries);
    for entry in array.iter_mut() {
        entry.decor_mut().set_prefix("\n  ");
    }
    array.set_trailing("\n");
    array.set_trailing_comma(true);
    array
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn comments(text: &str) -> Vec<&str> {
        text.lines().filter(|line| line.starts_with("# ")).collect()
    }

    #[test]
    fn the_defaults_are_the_templates() {
        let scaffold = Choices::default().scaffold().unwrap();
        assert_eq!(scaffold.config, CONFIG_TEMPLATE);
        assert_eq!(scaffold.base_answer, BASE_ANSWER);
        assert_eq!(scaffold.problems(), None);
    }

    #[test]
    fn choices_stand_where_the_templates_have_them() {
        let choices = Choices {
            domain: "lab.example".to_owned(),
            dns: Some([192, 0, 2, 53].into()),
            gateway: Some([192, 0, 2, 1].into()),
            nic_vendor: Some("Intel*".to_owned()),
            country: "at".to_owned(),
            timezone: "Europe/Vienna".to_owned(),
            password: Some(password::Hash::of("correct horse").unwrap()),
            ssh_keys: vec!["ssh-ed25519 AAAA a".to_owned(), "ssh-ed25519 BBBB b".to_owned()],
            disks: Disks::Mirror(vec!["sda".to_owned(), "sdb".to_owned()]),
            ..Choices::default()
        };
        let Scaffold { config, base_answer } = choices.scaffold().unwrap();
        for line in [
            "machine_net_dn = \"lab.example\"",
            "machine_net_dns = \"192.0.2.53\"",
            "machine_net_gateway = \"192.0.2.1\"",
            "machine_net_int = \"Intel*\"",
        ] {
            assert!(config.lines().any(|other| other == line), "no {line} in {config}");
        }
        assert_eq!(comments(&config), comments(CONFIG_TEMPLATE));
        let resolver = config.find("machine_net_dns").unwrap();
        assert!(config.find("machine_net_mask = ").unwrap() < resolver && resolver < config.find("[server]").unwrap());
        for line in [
            "country = \"at\"                          # two lower-case letters; sets mirrors and locale",
            "root-ssh-keys = [",
            "  \"ssh-ed25519 BBBB b\",",
            "filesystem = \"zfs\"",
            "zfs.raid = \"raid1\"",
            "disk-list = [\"sda\", \"sdb\"]",
        ] {
            assert!(base_answer.lines().any(|other| other == line), "no {line} in {base_answer}");
        }
        assert!(!base_answer.contains("#root-ssh-keys") && !base_answer.contains("#filesystem"));
        assert!(base_answer.contains("root-password-hashed = \"$6$"));
        assert_eq!(choices.scaffold().unwrap().problems(), None);
    }

    #[test]
    fn what_is_wrong_is_said_as_at_the_start() {
        let wrong = |choices: Choices| choices.scaffold().unwrap().problems().map(|wrong| wrong.to_string()).unwrap();
        let country = wrong(Choices { country: "Austria".to_owned(), ..Choices::default() });
        assert!(country.contains("`Austria`"), "{country}");
        let mask = wrong(Choices { mask: "255.0.255.0".to_owned(), ..Choices::default() });
        assert!(mask.contains("255.0.255.0"), "{mask}");
        let short = wrong(Choices { gateway: "2001:db8::1".parse().ok(), ..Choices::default() });
        assert!(short.contains("a prefix length of 24 does not fit the IPv6 address 2001:db8::1"), "{short}");
        let keyboard = wrong(Choices { keyboard: "us".to_owned(), ..Choices::default() });
        assert!(keyboard.contains("us"), "{keyboard}");
    }

    #[test]
    fn the_mask_follows_the_gateways_ip_version() {
        let fitted = |mask: &str, gateway: &str| {
            let mut choices = Choices { mask: mask.to_owned(), gateway: gateway.parse().ok(), ..Choices::default() };
            choices.fit_mask();
            (choices.mask.clone(), choices.scaffold().unwrap().problems())
        };
        assert_eq!(fitted("24", "2001:db8::1"), ("64".to_owned(), None));
        assert_eq!(fitted("56", "2001:db8::1"), ("56".to_owned(), None));
        assert_eq!(fitted("64", "192.0.2.1"), ("24".to_owned(), None));
        assert_eq!(fitted("23", "192.0.2.1"), ("23".to_owned(), None));
        assert_eq!(fitted("23", ""), ("23".to_owned(), None));
    }

    proptest! {
        /// A hostile word changes a value, never the shape of the file.
        #[test]
        fn words_are_data(word in "\\PC*|[\"'\\\\\n#=\\[\\]]*") {
            let choices = Choices {
                template_name: word.clone(),
                nic_vendor: Some(word.clone()),
                mailto: word.clone(),
                ssh_keys: vec![word.clone()],
                disks: Disks::Mirror(vec![word.clone(), word.clone()]),
                ..Choices::default()
            };
            let scaffold = choices.scaffold().unwrap();
            let config: DocumentMut = scaffold.config.parse().unwrap();
            prop_assert_eq!(config["machine_template_name"].as_str(), Some(word.as_str()));
            prop_assert_eq!(config.iter().count(), CONFIG_TEMPLATE.parse::<DocumentMut>().unwrap().iter().count() + 1);
            let base: DocumentMut = scaffold.base_answer.parse().unwrap();
            prop_assert_eq!(base["global"]["mailto"].as_str(), Some(word.as_str()));
            prop_assert_eq!(base["global"]["root-ssh-keys"][0].as_str(), Some(word.as_str()));
            prop_assert_eq!(base["disk-setup"]["disk-list"].as_array().unwrap().len(), 2);
        }
    }
}
