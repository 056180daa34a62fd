//! The layers of the configuration and what wins: command line, then environment, then file, then default.
//!
//! Every layer's value is judged, also one that another layer hides: a broken file stays broken when an option hides
//! it for today. It must not read the process's environment or any file; both are handed in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::file::FileLayer;
use super::key::{ENV_PREFIX, Key};
use super::model::{
    ADDRESS, AUTO, Ansible, Approval, Config, Console, Install, LOG_LEVEL, Limits, Log, LogLevel, MIB, NIC, Naming,
    Network, START, Server, WEBHOOK_AUTH, WHEN_UNAPPROVED,
};
use super::problem::{Problem, Problems, quoted};
use super::value::{self, Invalid, Raw};
use crate::domain::spelling::nearest;

/// What the command line sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CliLayer {
    /// `--listen ADDR:PORT`
    pub listen: Option<SocketAddr>,
    /// `--no-tls`
    pub no_tls: bool,
    /// `--log-level LEVEL`
    pub log_level: Option<LogLevel>,
}

/// The environment variables that are the program's: those that start with `PROX_ORCHESTRATOR_`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvLayer {
    /// Values that were not UTF-8 are marked, not dropped: they are an error.
    variables: BTreeMap<String, Result<String, String>>,
}

/// Variables of that prefix that set no key: `-C/--dir` on the command line reads it.
const OTHER_VARIABLES: [&str; 1] = ["PROX_ORCHESTRATOR_DIR"];

impl EnvLayer {
    /// Picks the program's variables out of an environment such as [`std::env::vars_os`]. One with an empty value
    /// counts as not set.
    pub fn from_vars(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let ours = variables.into_iter().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(ENV_PREFIX))?;
            let value = value.into_string().map_err(|value| value.to_string_lossy().into_owned());
            (value.as_deref() != Ok("")).then_some((name, value))
        });
        Self { variables: ours.collect() }
    }

    /// Warnings about variables that nothing reads.
    fn unknown(&self, warnings: &mut Problems) {
        let known = || Key::ALL.iter().map(|key| key.variable());
        for name in self.variables.keys() {
            if known().any(|variable| variable == *name) || OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let candidates: Vec<String> = known().map(|variable| variable[ENV_PREFIX.len()..].to_owned()).collect();
            let given = name.get(ENV_PREFIX.len()..).unwrap_or_default();
            let by_name = Key::ALL.iter().position(|key| key.name().eq_ignore_ascii_case(given));
            let by_name = by_name.and_then(|index| candidates.get(index));
            let hint = by_name.or_else(|| nearest(given, &candidates)).map_or_else(
                || "variables are named after table and key, such as `PROX_ORCHESTRATOR_SERVER_LISTEN`".to_owned(),
                |meant| format!("did you mean `{ENV_PREFIX}{meant}`?"),
            );
            warnings.add(|| {
                let message = format!("the variable `{}` sets nothing", quoted(name));
                Problem::whole(ENVIRONMENT, message).hint(hint).warning()
            });
        }
    }
}

/// What the environment is called in problems.
const ENVIRONMENT: &str = "the environment";
/// What the command line is called in problems.
const COMMAND_LINE: &str = "the command line";

/// Where a setting's value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The command line.
    Cli,
    /// An environment variable: [`Key::variable`].
    Env,
    /// `config.toml`.
    File,
    /// Built in.
    Default,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cli => "command line",
            Self::Env => "environment",
            Self::File => "config.toml",
            Self::Default => "default",
        })
    }
}

/// Where every setting's value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<Key, Layer>);

impl Origins {
    /// Where the value of `key` came from.
    #[must_use]
    pub fn of(&self, key: Key) -> Layer {
        self.0.get(&key).copied().unwrap_or(Layer::Default)
    }
}

/// The layers while they are laid over each other.
pub(crate) struct Layers<'a> {
    pub(crate) cli: &'a CliLayer,
    pub(crate) env: &'a EnvLayer,
    pub(crate) file: &'a FileLayer,
    pub(crate) origins: Origins,
    pub(crate) problems: Problems,
    pub(crate) warnings: Problems,
}

impl<'a> Layers<'a> {
    /// Nothing read yet; `problems` are those of the file's shape.
    pub(crate) fn new(cli: &'a CliLayer, env: &'a EnvLayer, file: &'a FileLayer, problems: Problems) -> Self {
        Self { cli, env, file, origins: Origins::default(), problems, warnings: Problems::default() }
    }

    /// Every setting from the highest layer that has a good value for it; what is wrong is in `problems`.
    pub(crate) fn resolve(&mut self) -> Config {
        self.env.unknown(&mut self.warnings);
        let Config { naming, network, server, approval, install, ansible, console, limits, log } = Config::default();
        let cli = self.cli;
        Config {
            naming: Naming {
                prefix: self.get(Key::TEMPLATE_NAME, None, value::prefix).unwrap_or(naming.prefix),
                domain: self.get(Key::DOMAIN, None, value::domain).unwrap_or(naming.domain),
            },
            network: self.network(&network),
            server: self.server(&server),
            approval: self.approval(&approval),
            install: self.install(&install),
            ansible: self.ansible(ansible),
            limits: self.limits(&limits),
            console: Console {
                mouse: self.get(Key::MOUSE, None, value::boolean).unwrap_or(console.mouse),
                bell: self.get(Key::BELL, None, value::boolean).unwrap_or(console.bell),
            },
            log: Log { level: self.get(Key::LOG_LEVEL, cli.log_level, value::choice(LOG_LEVEL)).unwrap_or(log.level) },
        }
    }

    fn network(&mut self, default: &Network) -> Network {
        Network {
            mask: self.get(Key::MASK, None, value::mask).unwrap_or(default.mask),
            dns: self.get(Key::DNS, None, value::host_address),
            gateway: self.get(Key::GATEWAY, None, value::host_address),
            nic_vendor: self.get(Key::NIC_VENDOR, None, value::vendor),
            address: self.get(Key::ADDRESS, None, value::choice(ADDRESS)).unwrap_or(default.address),
            nic: self.get(Key::NIC, None, value::choice(NIC)).unwrap_or(default.nic),
            pool: self.get(Key::POOL, None, value::ranges).unwrap_or_default(),
            pool_exclude: self.get(Key::POOL_EXCLUDE, None, value::ranges).unwrap_or_default(),
        }
    }

    fn server(&mut self, default: &Server) -> Server {
        let cli = self.cli;
        // The installer gives up 60 s after it started to ask (PROTOCOL.md §a.4), connecting included.
        let hold = value::duration(SECOND..=Duration::from_secs(50));
        let auth = value::choice(WEBHOOK_AUTH);
        Server {
            listen: self.get(Key::LISTEN, cli.listen, value::listen).unwrap_or(default.listen),
            tls: self.get(Key::TLS, cli.no_tls.then_some(false), value::boolean).unwrap_or(default.tls),
            public_url: self.get(Key::PUBLIC_URL, None, value::public_url),
            webhook_auth: self.get(Key::WEBHOOK_AUTH, None, auth).unwrap_or(default.webhook_auth),
            max_held: self.get(Key::MAX_HELD, None, value::count(1_000_000)).unwrap_or(default.max_held),
            hold: self.get(Key::HOLD, None, hold).unwrap_or(default.hold),
            allow: self.get(Key::ALLOW, None, value::networks).unwrap_or_default(),
            trusted_proxies: self.get(Key::TRUSTED_PROXIES, None, value::networks).unwrap_or_default(),
        }
    }

    fn limits(&mut self, default: &Limits) -> Limits {
        let time = |most| value::duration(SECOND..=Duration::from_secs(most));
        let per_address = self.get(Key::CONNECTIONS_PER_ADDRESS, None, value::count(1_000_000));
        Limits {
            // A real request has less than 10 KiB, a report some hundred (PROTOCOL.md §a.2, §c).
            answer_body: self
                .get(Key::ANSWER_BODY, None, value::size(16 * 1024..=16 * MIB))
                .unwrap_or(default.answer_body),
            report_body: self.get(Key::REPORT_BODY, None, value::size(MIB..=64 * MIB)).unwrap_or(default.report_body),
            head_time: self.get(Key::HEAD_TIME, None, time(45)).unwrap_or(default.head_time),
            body_time: self.get(Key::BODY_TIME, None, time(50)).unwrap_or(default.body_time),
            connections: self.get(Key::CONNECTIONS, None, value::count(1_000_000)),
            connections_per_address: per_address.unwrap_or(default.connections_per_address),
            requests_per_minute: self
                .get(Key::REQUESTS_PER_MINUTE, None, value::count(1_000_000))
                .unwrap_or(default.requests_per_minute),
            waiting_rows: self.get(Key::WAITING_ROWS, None, value::count(40_000)).unwrap_or(default.waiting_rows),
        }
    }

    fn approval(&mut self, default: &Approval) -> Approval {
        let repeat = value::duration(Duration::ZERO..=DAY);
        let undo = value::duration(Duration::ZERO..=HALF_MINUTE);
        let unapproved = value::choice(WHEN_UNAPPROVED);
        Approval {
            auto: self.get(Key::AUTO, None, value::choice(AUTO)).unwrap_or(default.auto),
            undo_window: self.get(Key::UNDO_WINDOW, None, undo).unwrap_or(default.undo_window),
            when_unapproved: self.get(Key::WHEN_UNAPPROVED, None, unapproved).unwrap_or(default.when_unapproved),
            repeat_window: self.get(Key::REPEAT_WINDOW, None, repeat).unwrap_or(default.repeat_window),
            require_token: self.get(Key::REQUIRE_TOKEN, None, value::boolean).unwrap_or(default.require_token),
        }
    }

    fn install(&mut self, default: &Install) -> Install {
        let deadline = value::duration(SECOND..=DAY);
        Install {
            deadline: self.get(Key::INSTALL_DEADLINE, None, &deadline).unwrap_or(default.deadline),
            boot_deadline: self.get(Key::BOOT_DEADLINE, None, &deadline).unwrap_or(default.boot_deadline),
        }
    }

    fn ansible(&mut self, default: Ansible) -> Ansible {
        Ansible {
            start: self.get(Key::START, None, value::choice(START)).unwrap_or(default.start),
            countdown: self
                .get(Key::COUNTDOWN, None, value::duration(Duration::ZERO..=DAY))
                .unwrap_or(default.countdown),
            expect: self.get(Key::EXPECT, None, value::count(100_000)),
            deadline: self.get(Key::RUN_DEADLINE, None, value::duration(SECOND..=DAY)).unwrap_or(default.deadline),
            playbook: self.get(Key::PLAYBOOK, None, value::path).unwrap_or(default.playbook),
            user: self.get(Key::USER, None, value::user).unwrap_or(default.user),
            ssh_port: self.get(Key::SSH_PORT, None, value::port).unwrap_or(default.ssh_port),
            forks: self.get(Key::FORKS, None, value::count(1_000)),
            command: self.get(Key::COMMAND, None, value::path),
            private_key: self.get(Key::PRIVATE_KEY, None, value::path),
            keep_runs: self.get(Key::KEEP_RUNS, None, value::count(100_000)).unwrap_or(default.keep_runs),
        }
    }

    /// The value of the highest layer that sets `key`, every layer's value judged by `parse`.
    fn get<T>(&mut self, key: Key, cli: Option<T>, parse: impl Fn(Raw<'_>) -> Result<T, Invalid>) -> Option<T> {
        let file = self.file.get(key).map(|written| parse(Raw::Typed(&written.value)));
        let file = self.judged(key, Layer::File, file);
        let env = self.env.variables.get(&key.variable()).map(|value| match value {
            Ok(text) => parse(Raw::Text(text)),
            Err(_) => Err(Invalid { reason: "the value is not UTF-8".to_owned(), hint: None }),
        });
        let env = self.judged(key, Layer::Env, env);
        let layers = [(Layer::Cli, cli), (Layer::Env, env), (Layer::File, file)];
        let (origin, value) = layers.into_iter().find_map(|(origin, value)| Some((origin, value?)))?;
        self.origins.0.insert(key, origin);
        Some(value)
    }

    fn judged<T>(&mut self, key: Key, origin: Layer, parsed: Option<Result<T, Invalid>>) -> Option<T> {
        match parsed? {
            Ok(value) => Some(value),
            Err(invalid) => {
                let problem = self.problem(key, origin, &format!("`{key}`: {}", invalid.reason));
                let hint = invalid.hint.unwrap_or_else(|| match origin {
                    Layer::Env => format!("write it like `{}={}`", key.variable(), key.bare_example()),
                    Layer::Cli | Layer::File | Layer::Default => format!("write it like `{}`", key.example()),
                });
                self.problems.add(|| problem.hint(hint));
                None
            }
        }
    }

    /// A problem with the value of `key` that came from `origin`, placed where that value stands.
    pub(crate) fn problem(&self, key: Key, origin: Layer, message: &str) -> Problem {
        match origin {
            Layer::File => {
                let span = self.file.get(key).map(|written| written.span.clone()).unwrap_or_default();
                self.file.source().problem(span, message)
            }
            Layer::Env => {
                let name = key.variable();
                let value = self.env.variables.get(&name).map(|value| match value {
                    Ok(text) | Err(text) => text.as_str(),
                });
                let line = format!("{name}={}", value.unwrap_or_default());
                Problem::in_line(ENVIRONMENT, &line, name.len() + 1..line.len(), message)
            }
            Layer::Cli => Problem::whole(COMMAND_LINE, message),
            Layer::Default => Problem::whole("the defaults", message),
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
const HALF_MINUTE: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_hours(24);
