//! From the configuration to what each part wants to know.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;

use crate::ansible::SshKeyPair;
use crate::ansible::check::Installs;
use crate::ansible::ssh_key::examine;
use crate::answer::{self, BaseAnswer, Overlay, Profile, Profiles};
use crate::config::{self, Config, LogLevel, NicSource, Source};
use crate::domain::address::{Otherwise, Pool};
use crate::domain::snapshot::Problem;
use crate::domain::{AddressRules, AddressSource, Auto, NicRule, Policy, WebhookAuth};
use crate::plan;
use crate::server::{Access, AnswerKit, Limits, NetworkSettings, NicBy, ServerSettings};
use crate::store::ProjectionSettings;
use crate::tui;
use tracing_subscriber::filter::LevelFilter;

/// Who says that machines keep the address they got by DHCP, where that is not what `default.toml` says.
pub(crate) fn dhcp_by(config: &Config) -> Option<&'static str> {
    (config.network.address == AddressSource::Dhcp).then_some("`address` in config.toml")
}

/// What every answer starts from: `default.toml`, and over it what `config.toml` says for every machine. Whoever judges,
/// explains or makes answers starts from this, so that all of them say the same.
pub(super) fn effective_base(config: &Config, written: BaseAnswer) -> BaseAnswer {
    match dhcp_by(config) {
        Some(why) => written.with_dhcp(why),
        None => written,
    }
}

/// The rules decisions follow; `base` is what answers start from.
pub(super) fn policy(config: &Config, base: &BaseAnswer) -> Policy {
    Policy {
        name_prefix: config.naming.prefix.clone(),
        domain: config.naming.domain.clone(),
        auto: config.approval.auto,
        undo_window: config.approval.undo_window,
        when_unapproved: config.approval.when_unapproved,
        repeat_window: config.approval.repeat_window,
        install_deadline: config.install.deadline,
        boot_deadline: config.install.boot_deadline,
        run_deadline: config.ansible.deadline,
        start: config.ansible.start,
        countdown: config.ansible.countdown,
        expect: config.ansible.expect.map(|count| usize::try_from(count.get()).unwrap_or(usize::MAX)),
        webhook_auth: config.server.webhook_auth,
        addresses: address_rules(config, base),
        waiting_rows: usize::try_from(config.limits.waiting_rows.get()).unwrap_or(usize::MAX),
    }
}

/// How a console treats its terminal.
pub(super) fn extras(config: &Config) -> tui::Extras {
    let config::Console { mouse, bell } = config.console;
    tui::Extras { mouse, bell }
}

/// What tells the NIC; that a vendor is named where only one may tell it is checked with the configuration.
fn nic_by(network: &config::Network) -> NicBy {
    match (network.nic, network.nic_vendor.clone()) {
        (NicSource::Vendor, Some(pattern)) => NicBy::Vendor(pattern),
        (NicSource::Vendor | NicSource::Asking, otherwise) => NicBy::Asking { otherwise },
    }
}

/// Where addresses come from. What the base answer says itself goes before `config.toml`.
fn address_rules(config: &Config, base: &BaseAnswer) -> AddressRules {
    let network = &config.network;
    let nic = nic_by(network).rule();
    // `address = "dhcp"` is the base's business; what is left is for machines whose own layers say otherwise.
    let source = if network.address == AddressSource::Dhcp { AddressSource::Requester } else { network.address };
    AddressRules {
        source: if base.overlay().uses_dhcp() { AddressSource::Dhcp } else { source },
        otherwise: Otherwise { source, nic },
        mask: network.mask,
        gateway: base.overlay().gateway().or(network.gateway),
        dns: base.overlay().dns().or(network.dns),
        pool: Pool::new(&network.pool, &network.pool_exclude),
        own: own_addresses(config),
        nic: if base.overlay().has_nic_filter() { NicRule::Given } else { nic },
    }
}

/// Addresses of this host that must not be given away, as far as the configuration shows them.
fn own_addresses(config: &Config) -> BTreeSet<IpAddr> {
    let listen = Some(config.server.listen.ip()).filter(|address| !address.is_unspecified());
    let route = config.network.gateway.map(|gateway| own_address(Some(gateway), gateway));
    let route = route.filter(|address| Some(*address) != config.network.gateway);
    [listen, route].into_iter().flatten().collect()
}

/// What the plan is checked against, as far as the files it follows from can be used; `base` is what answers start from.
pub(crate) fn plan_context(dir: &Path, config: Option<&Config>, base: Option<&BaseAnswer>) -> plan::Context {
    // Without `config.toml` any domain will do: that a name has none is not the plan's fault.
    let domain = config.map_or_else(|| Config::default().naming.domain, |config| config.naming.domain.clone());
    let addresses = config.zip(base).map(|(config, base)| address_rules(config, base)).unwrap_or_default();
    let names = config::profile_names(dir).unwrap_or_default();
    plan::Context { domain, addresses, profiles: names.iter().filter_map(|name| name.parse().ok()).collect() }
}

/// What answers are made from.
pub(super) fn answer_kit(dir: &Path, config: &Config, files: &AnswerFiles, ssh_key: &str) -> AnswerKit {
    let network = NetworkSettings {
        mask: config.network.mask,
        dns: config.network.dns,
        gateway: config.network.gateway,
        nic: nic_by(&config.network),
    };
    let AnswerFiles { base, profiles, .. } = files.clone();
    let (dir, ssh_key) = (dir.to_owned(), Some(ssh_key.to_owned()));
    AnswerKit { dir, base, profiles, network, ssh_key, access: access(config) }
}

/// The public half of the key that Ansible logs in with, which nodes are installed with where the operator names none; `own` is
/// the console's.
pub(super) fn login_key(dir: &Path, config: &Config, own: &SshKeyPair) -> String {
    let Some(key) = &config.ansible.private_key else { return own.public().to_owned() };
    let public = examine(&dir.join(key)).ok().and_then(|examined| examined.public);
    // The check of what a run needs tells why there is none.
    public.unwrap_or_else(|| own.public().to_owned())
}

/// The answer files that give root SSH keys, each of which takes the place of what the ones before it give.
pub(super) fn installs(kit: &AnswerKit) -> Vec<Installs> {
    let of = |file: String, overlay: &Overlay| Installs { file, keys: overlay.ssh_keys() };
    let mut all = vec![of(config::BASE_ANSWER_FILE.to_owned(), kit.base.overlay())];
    all.extend(kit.profiles.iter().map(|profile| of(config::profile_file(profile.name()), profile.overlay())));
    let overrides = config::load_overrides(&kit.dir).unwrap_or_default();
    let understood = |named: &config::Named| answer::parse_override(&named.file, &named.source.text).ok();
    all.extend(overrides.iter().filter_map(|named| Some(of(named.file.clone(), &understood(named)?))));
    all.retain(|installs| !installs.keys.is_empty());
    all
}

/// Who may ask, and how much a client may take.
fn access(config: &Config) -> Access {
    let limits = &config.limits;
    let number = |count: std::num::NonZeroU32| usize::try_from(count.get()).unwrap_or(usize::MAX);
    Access {
        allow: config.server.allow.clone(),
        trusted_proxies: config.server.trusted_proxies.clone(),
        require_token: config.approval.require_token,
        limits: Limits {
            answer_body: limits.answer_body,
            report_body: limits.report_body,
            head_time: limits.head_time,
            body_time: limits.body_time,
            connections: limits.connections.map(number),
            connections_per_address: number(limits.connections_per_address),
            requests_per_minute: limits.requests_per_minute.get(),
        },
    }
}

/// The operator's answer files, understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AnswerFiles {
    /// `default.toml`, as it is written.
    pub(super) written: BaseAnswer,
    /// What answers start from.
    pub(super) base: BaseAnswer,
    /// `profiles/`.
    pub(super) profiles: Profiles,
}

impl AnswerFiles {
    /// Files as they count under this `config.toml`.
    pub(super) fn new(config: &Config, written: BaseAnswer, profiles: Profiles) -> Self {
        Self { base: effective_base(config, written.clone()), written, profiles }
    }
}

/// What every answer of this folder starts from; `config` is `None` where it cannot be used.
pub(crate) fn base_of(dir: &Path, config: Option<&Config>) -> Result<BaseAnswer, config::ConfigErrors> {
    let written = base_answer(dir)?;
    Ok(match config {
        Some(config) => effective_base(config, written),
        None => written,
    })
}

/// Reads `default.toml`, as it is written, with all its problems in the user's words.
pub(super) fn base_answer(dir: &Path) -> Result<BaseAnswer, config::ConfigErrors> {
    let source = config::load_base_answer(dir)?;
    BaseAnswer::parse(&source.text).map_err(|problems| {
        let mut kept = config::Problems::default();
        add_placed(&mut kept, &source, &problems.0);
        config::ConfigErrors(kept)
    })
}

/// Adds problems of an answer file, in its order; only those that are kept are looked up in its text.
fn add_placed(kept: &mut config::Problems, source: &Source, problems: &[answer::Problem]) {
    for problem in problems {
        kept.add(|| placed(source, problem));
    }
}

/// Reads `profiles/` with all problems in the user's words; with `base`, which answers start from, also what they make of it.
pub(crate) fn profiles(dir: &Path, base: Option<&BaseAnswer>) -> Result<Profiles, config::ConfigErrors> {
    let mut problems = config::Problems::default();
    let mut profiles = Vec::new();
    for file in config::load_profiles(dir)? {
        let mut add = |found: &[answer::Problem]| add_placed(&mut problems, &file.source, found);
        match Profile::parse(&file.name, &file.file, &file.source.text) {
            Ok(profile) => {
                add(&base.map(|base| profile.check_over(base)).unwrap_or_default());
                profiles.push(profile);
            }
            Err(found) => add(&found.0),
        }
    }
    let profiles = Profiles::new(profiles);
    add_ties(&mut problems, dir, &profiles);
    if problems.is_empty() { Ok(profiles) } else { Err(config::ConfigErrors(problems)) }
}

/// Profiles of which neither wins.
pub(crate) fn ties(dir: &Path, profiles: &Profiles) -> config::Problems {
    let mut problems = config::Problems::default();
    add_ties(&mut problems, dir, profiles);
    problems
}

fn add_ties(problems: &mut config::Problems, dir: &Path, profiles: &Profiles) {
    for tie in profiles.ties() {
        let file = dir.join(config::profile_file(&tie.other));
        problems.add(|| {
            let message = format!("`{}` and `{}` are for the same machines, and neither wins", tie.one, tie.other);
            let hint = "give one of them a higher `priority`, or a criterion more";
            config::Problem::whole(&file.display().to_string(), message).hint(hint)
        });
    }
}

/// What is wrong with the overrides of nodes.
pub(super) fn override_problems(dir: &Path) -> Vec<config::Problem> {
    let overrides = match config::load_overrides(dir) {
        Ok(overrides) => overrides,
        Err(errors) => return errors.0.list().to_vec(),
    };
    let mut kept = config::Problems::default();
    for file in &overrides {
        if let Err(problems) = answer::parse_override(&file.file, &file.source.text) {
            add_placed(&mut kept, &file.source, &problems.0);
        }
    }
    kept.list().to_vec()
}

/// A problem of an answer file with the place in its text.
pub(crate) fn placed(source: &Source, problem: &answer::Problem) -> config::Problem {
    let placed = match &problem.span {
        Some(span) => source.problem(span.clone(), &problem.message),
        None => config::Problem::whole(&source.name, &problem.message),
    };
    let placed = placed.weigh(problem.severity);
    match &problem.hint {
        Some(hint) => placed.hint(hint),
        None => placed,
    }
}

/// How the listener serves.
pub(super) fn server(config: &Config, fingerprint: Option<String>) -> ServerSettings {
    ServerSettings {
        listen: config.server.listen,
        tls: config.server.tls,
        public_url: config.server.public_url.as_ref().map(|url| url.as_str().to_owned()),
        hold: config.server.hold,
        fingerprint,
    }
}

/// What the inventory says besides the nodes.
pub(super) fn projection(config: &Config, private_key: &Path) -> ProjectionSettings {
    ProjectionSettings {
        ansible_user: config.ansible.user.clone(),
        ssh_port: config.ansible.ssh_port,
        private_key: Some(private_key.to_owned()),
    }
}

/// How much is logged.
pub(super) fn log_level(config: &Config) -> LevelFilter {
    match config.log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// The base URL to show the operator: the public one, else the address machines on our network reach.
pub(super) fn shown_url(config: &Config, bound: SocketAddr) -> String {
    if let Some(url) = &config.server.public_url {
        return url.as_str().to_owned();
    }
    let scheme = if config.server.tls { "https" } else { "http" };
    let host = if bound.ip().is_unspecified() { own_address(config.network.gateway, bound.ip()) } else { bound.ip() };
    format!("{scheme}://{}", SocketAddr::new(host, bound.port()))
}

/// The address this host uses towards the machines' gateway. Connecting a datagram socket chooses a route and sends
/// nothing.
fn own_address(gateway: Option<IpAddr>, unspecified: IpAddr) -> IpAddr {
    // Without a gateway, any address beyond the local network will do (RFC 5737).
    let towards = gateway.unwrap_or_else(|| IpAddr::from([192, 0, 2, 1]));
    let any: IpAddr = if towards.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
    let route = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((towards, 9))?;
        socket.local_addr()
    });
    route.map_or(unspecified, |address| address.ip())
}

/// Settings that let the program run but will keep machines from being answered, or do them harm. `has_config` is whether there is a
/// `config.toml`.
pub(super) fn cautions(config: &Config, files: &AnswerFiles, has_config: bool) -> Vec<Problem> {
    let base = &files.base;
    let mut problems = Vec::new();
    if !has_config {
        problems.push(Problem {
            what: format!("no {} in this folder", config::CONFIG_FILE),
            hint: "run `prox-orchestrator init` here, in another shell if you like: it is read at once".to_owned(),
        });
    }
    if base.overlay().uses_dhcp() && matches!(config.network.address, AddressSource::Pool | AddressSource::Plan) {
        problems.push(Problem {
            what: "`address` in [network] has no effect: default.toml has `source = \"from-dhcp\"`".to_owned(),
            hint: "write `source = \"from-answer\"` in default.toml, or `address = \"dhcp\"` in config.toml".to_owned(),
        });
    }
    if !base.overlay().uses_dhcp() {
        let missing = config.network.missing().into_iter().filter(|key| match *key {
            config::Key::DNS => !base.overlay().has_dns(),
            config::Key::GATEWAY => !base.overlay().has_gateway(),
            _ => true,
        });
        let missing: Vec<_> = missing.map(|key| format!("`{}`", key.name())).collect();
        if !missing.is_empty() {
            problems.push(Problem {
                what: format!("no machine can be answered: {} not set", missing.join(" and ")),
                hint: "set it in config.toml, or `source = \"from-dhcp\"` in default.toml".to_owned(),
            });
        }
    }
    if config.approval.auto == Auto::All {
        problems.push(Problem {
            what: "DANGER: whatever machine asks is installed and its disks are wiped (`auto = \"all\"`)".to_owned(),
            hint: "set `auto = \"never\"` in [approval] unless nothing on this network may survive".to_owned(),
        });
    }
    if config.server.webhook_auth == WebhookAuth::None {
        problems.push(Problem {
            what: "reports need no secret: anybody on the network can claim that a node is installed".to_owned(),
            hint: "set `webhook_auth = \"secret\"` in [server]; until then runs start by hand only".to_owned(),
        });
    }
    let told = |file: &str, danger: &answer::Problem| Problem {
        what: format!("DANGER in {file}, `{}`: {}", danger.path, danger.message),
        hint: danger.hint.clone().unwrap_or_default(),
    };
    let is_danger = |caution: &&answer::Problem| caution.severity == answer::Severity::Danger;
    problems.extend(base.cautions().iter().filter(is_danger).map(|danger| told("default.toml", danger)));
    for profile in files.profiles.iter() {
        let file = config::profile_file(profile.name());
        problems.extend(profile.cautions_over(base).iter().filter(is_danger).map(|danger| told(&file, danger)));
    }
    problems
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::domain::StartRule;

    const FROM_ANSWER: &str = r#"
[global]
country = "us"
keyboard = "en-us"
timezone = "UTC"
mailto = "root@localhost"
root-password-hashed = "*"
[network]
source = "from-answer"
filter.INTERFACE = "*"
[disk-setup]
filesystem = "ext4"
disk-list = ["sda"]
"#;

    fn base(text: &str) -> BaseAnswer {
        BaseAnswer::parse(text).unwrap()
    }

    fn files<const N: usize>(base: BaseAnswer, profiles: [&str; N]) -> AnswerFiles {
        let profile = |text| Profile::parse("p", "profiles/p.toml", text).unwrap();
        AnswerFiles::new(&Config::default(), base, Profiles::new(profiles.map(profile)))
    }

    #[test]
    fn the_dangers_of_a_profile_are_its_own() {
        let plain = config::BASE_ANSWER.replace("root-password-hashed = \"*\"", "root-password = \"fixture-password\"");
        let said = |text: &str| -> Vec<_> {
            let all = cautions(&Config::default(), &files(base(&plain), [text]), true).into_iter();
            all.map(|problem| problem.what).filter(|what| what.contains("profiles/p.toml")).collect()
        };
        assert_eq!(said("[global]\ncountry = \"at\"\n"), [""; 0], "what default.toml does is told there");
        let all = said(
            "[disk-setup]\nfilesystem = \"zfs\"\nzfs.raid = \"raid0\"\nfilter-match = \"all\"\nfilter.ID_MODEL = \"X*\"\n",
        );
        assert!(matches!(&*all, [one] if one.starts_with("DANGER in profiles/p.toml, `disk-setup.")), "{all:?}");
    }

    #[test]
    fn the_rules_are_the_configured_ones() {
        let mut config = Config::default();
        (config.ansible.start, config.ansible.expect) = (StartRule::ByHand, Some(6.try_into().unwrap()));
        config.server.webhook_auth = WebhookAuth::None;
        let rules = policy(&config, &base(FROM_ANSWER));
        assert_eq!((rules.start, rules.expect, rules.webhook_auth), (StartRule::ByHand, Some(6), WebhookAuth::None));
        let shipped = base(config::BASE_ANSWER);
        assert_eq!(policy(&Config::default(), &shipped), Policy::default(), "both sides have the same defaults");
    }

    #[rstest]
    #[case(true, "192.0.2.1:8443", "https://192.0.2.1:8443")]
    #[case(false, "192.0.2.1:80", "http://192.0.2.1:80")]
    #[case(true, "[2001:db8::1]:8443", "https://[2001:db8::1]:8443")]
    fn the_shown_address_is_the_bound_one(#[case] tls: bool, #[case] bound: &str, #[case] shown: &str) {
        let mut config = Config::default();
        config.server.tls = tls;
        assert_eq!(shown_url(&config, bound.parse().unwrap()), shown);
        config.server.public_url = Some("https://install.example:9443".parse().unwrap());
        assert_eq!(shown_url(&config, bound.parse().unwrap()), "https://install.example:9443");
    }

    #[test]
    fn of_all_addresses_the_one_towards_the_machines_is_shown() {
        let mut config = Config::default();
        config.network.gateway = Some([127, 0, 0, 254].into());
        assert_eq!(shown_url(&config, "0.0.0.0:8443".parse().unwrap()), "https://127.0.0.1:8443");
        assert_eq!(shown_url(&config, "[::]:8443".parse().unwrap()), "https://127.0.0.1:8443");
    }

    #[test]
    fn what_keeps_machines_from_an_answer_is_said_at_the_start() {
        let mut config = Config::default();
        let said = |config: &Config, text: &str| -> Vec<_> {
            cautions(config, &files(base(text), []), true).into_iter().map(|problem| problem.what).collect()
        };
        let dns_and_gateway = "no machine can be answered: `machine_net_dns` and `machine_net_gateway` not set";
        assert_eq!(said(&config, FROM_ANSWER), [dns_and_gateway]);
        let from_dhcp = FROM_ANSWER.replace("from-answer", "from-dhcp").replace("filter.INTERFACE = \"*\"\n", "");
        assert_eq!(said(&config, &from_dhcp), [""; 0]);
        config.network.dns = Some([192, 0, 2, 53].into());
        assert_eq!(said(&config, FROM_ANSWER), ["no machine can be answered: `machine_net_gateway` not set"]);
        config.network.gateway = Some([192, 0, 2, 254].into());
        assert_eq!(said(&config, FROM_ANSWER), [""; 0]);
        config.server.webhook_auth = WebhookAuth::None;
        assert!(said(&config, FROM_ANSWER)[0].starts_with("reports need no secret"));
    }

    #[test]
    fn dhcp_in_config_toml_is_what_everything_is_judged_over() {
        let mut config = Config::default();
        config.network.address = AddressSource::Dhcp;
        let written = FROM_ANSWER.replace("[disk-setup]", "gateway = \"192.0.2.254\"\n[disk-setup]");
        let profile = Profile::parse("p", "p.toml", "[network]\ndns = \"192.0.2.53\"\n").unwrap();
        let files = AnswerFiles::new(&config, base(&written), Profiles::new([profile.clone()]));
        assert_eq!(cautions(&config, &files, true), [], "no address is needed, nor a gateway");
        let found: Vec<_> = profile.check_over(&files.base).into_iter().map(|problem| problem.message).collect();
        let expected =
            "`network.dns` is not allowed with `source = \"from-dhcp\"`, which `address` in config.toml asks for";
        assert_eq!(found, [expected]);
        let rules = policy(&config, &files.base).addresses;
        assert_eq!((rules.source, rules.gateway), (AddressSource::Dhcp, None));
        assert_ne!(rules.nic, NicRule::Given, "the filter of default.toml goes with its address");
        let as_written = AnswerFiles::new(&Config::default(), files.written, files.profiles);
        assert_eq!(profile.check_over(&as_written.base), []);
    }

    #[test]
    fn what_is_harmful_in_the_base_answer_is_shown_from_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::default();
        let shipped = base_answer(dir.path()).unwrap();
        let plain = config::BASE_ANSWER.replace("root-password-hashed = \"*\"", "root-password = \"fixture-password\"");
        std::fs::write(dir.path().join(config::BASE_ANSWER_FILE), plain).unwrap();
        let dangers = |base: &BaseAnswer| {
            cautions(&config, &files(base.clone(), []), true)
                .into_iter()
                .filter(|problem| problem.what.contains("DANGER"))
                .collect::<Vec<_>>()
        };
        assert_eq!(dangers(&shipped), []);
        let shown = dangers(&base_answer(dir.path()).unwrap());
        assert!(matches!(&*shown, [one] if one.what.contains("`global.root_password`")), "{shown:?}");
        assert!(!shown[0].what.contains("fixture-password"));
    }
}
