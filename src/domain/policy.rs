//! The rules the operator configured, as far as decisions need them. Filled from `config`; told with each
//! snapshot, never stored.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::address::AddressRules;
use super::fqdn::Fqdn;
use super::machine::MachineId;

/// When a run starts by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartRule {
    /// When every planned and approved node is ready and `expect` is reached.
    #[default]
    WhenReady,
    /// For each node as soon as it is ready.
    EachNode,
    /// Only when the operator says so.
    ByHand,
}

/// What proves that a report comes from the machine we answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookAuth {
    /// The per-install secret in the URL of the answer.
    #[default]
    Secret,
    /// Nothing: matched by UUID, then host name. The gate then opens by hand only (ADR 7).
    None,
}

/// Which machines are approved without a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// None.
    #[default]
    Never,
    /// Those the plan knows by two identifiers or a token.
    Planned,
    /// Every machine that asks and shows nothing odd.
    All,
}

/// What a machine gets when its hold ends and nobody has decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenUnapproved {
    /// The retry answer: it reboots and asks again.
    #[default]
    Retry,
    /// A refusal with the same words: it stops in a shell.
    Refuse,
}

/// The rules in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// First part of derived host names.
    pub name_prefix: String,
    /// Domain of derived host names.
    pub domain: String,
    /// Which machines are approved without a person.
    pub auto: Auto,
    /// How long a decision can be taken back before it takes effect. The coordinator's business: no event knows it.
    pub undo_window: Duration,
    /// What a machine gets when its hold ends and nobody has decided.
    pub when_unapproved: WhenUnapproved,
    /// How long after its first answer a node may repeat it by itself.
    pub repeat_window: Duration,
    /// How long an install may take before the node is stalled.
    pub install_deadline: Duration,
    /// How long a reboot may take before the node is unreachable.
    pub boot_deadline: Duration,
    /// How long a run may take before its nodes say so, while no such runs are known.
    pub run_deadline: Duration,
    /// When a run starts by itself.
    pub start: StartRule,
    /// How long a run that starts by itself is announced before it does.
    pub countdown: Duration,
    /// Nodes the gate waits for at least.
    pub expect: Option<usize>,
    /// What proves a report.
    pub webhook_auth: WebhookAuth,
    /// Where addresses come from, and how the NIC is chosen.
    pub addresses: AddressRules,
    /// Rows of machines nobody has decided on, at most.
    pub waiting_rows: usize,
}

/// Repeats of one approval's answer inside the repeat window (ARCHITECTURE.md, "The guard").
pub const MAX_REPEATS: u32 = 2;

impl Default for Policy {
    fn default() -> Self {
        Self {
            name_prefix: "pve-".to_owned(),
            domain: "example.com".to_owned(),
            auto: Auto::Never,
            undo_window: Duration::from_secs(5),
            when_unapproved: WhenUnapproved::Retry,
            repeat_window: Duration::from_mins(15),
            install_deadline: Duration::from_mins(45),
            boot_deadline: Duration::from_mins(20),
            run_deadline: Duration::from_hours(1),
            start: StartRule::WhenReady,
            countdown: Duration::from_secs(10),
            expect: None,
            webhook_auth: WebhookAuth::Secret,
            addresses: AddressRules::default(),
            waiting_rows: 20_000,
        }
    }
}

impl Policy {
    /// The host name for a new machine: prefix + last four digits of its UUID (else lowest MAC) + domain, the suffix
    /// growing until `taken` says no. `fallback` numbers machines that show no digits, or whose digits are used up.
    /// `None` where prefix and domain make no host name at all.
    #[must_use]
    pub fn derive_name(&self, machine: &MachineId, fallback: u64, taken: impl Fn(&Fqdn) -> bool) -> Option<Fqdn> {
        let digits = machine.name_digits().unwrap_or_default();
        let domain = self.domain.trim_start_matches('.');
        let suffixes = (4..=digits.len()).map(|length| digits[digits.len() - length..].to_owned());
        let numbered = (0..1000).map(|step| format!("m{}", fallback + step));
        suffixes
            .chain(numbered)
            .filter_map(|suffix| format!("{}{suffix}.{domain}", self.name_prefix).parse().ok())
            .find(|name| !taken(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(uuid: &str) -> MachineId {
        MachineId { uuid: Some(uuid.parse().unwrap()), ..MachineId::default() }
    }

    #[test]
    fn names_end_in_the_uuid_and_grow_on_a_clash() {
        let policy = Policy::default();
        let uuid = machine("F68D13F3-472B-4F1A-95A7-120B398A07AA");
        let name = policy.derive_name(&uuid, 1, |_| false).unwrap();
        assert_eq!(name.as_str(), "pve-07aa.example.com");
        let next = policy.derive_name(&uuid, 1, |n| *n == name).unwrap();
        assert_eq!(next.as_str(), "pve-a07aa.example.com");
        let last = policy.derive_name(&uuid, 7, |n| n.host().len() < 40 && !n.host().contains('m')).unwrap();
        assert_eq!(last.as_str(), "pve-m7.example.com");
    }

    #[test]
    fn a_machine_without_uuid_is_named_by_its_lowest_mac_or_number() {
        let policy = Policy::default();
        let macs = ["b4:2e:99:ac:ad:b5", "b4:2e:99:ac:ad:b4"].map(|mac| mac.parse().unwrap());
        let by_mac = MachineId { macs: macs.into_iter().collect(), ..MachineId::default() };
        assert_eq!(policy.derive_name(&by_mac, 1, |_| false).unwrap().as_str(), "pve-adb4.example.com");
        assert_eq!(policy.derive_name(&MachineId::default(), 3, |_| false).unwrap().as_str(), "pve-m3.example.com");
        let broken = Policy { domain: String::new(), ..Policy::default() };
        assert_eq!(broken.derive_name(&by_mac, 1, |_| false), None);
    }
}
