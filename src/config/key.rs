//! The keys of `config.toml`, once: where each one stands, what it looks like, which variable sets it.
//!
//! Reading the file, reading the environment, suggestions for misspelt keys and the tests of the shipped file all go by
//! this table. It must not hold values or rules.

use std::fmt;

/// A key of `config.toml`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    table: &'static str,
    name: &'static str,
    example: &'static str,
}

/// Prefix of every environment variable of the program.
pub(crate) const ENV_PREFIX: &str = "PROX_ORCHESTRATOR_";

/// Defines the constants of [`Key`] and [`Key::ALL`]; an empty table name stands for the top of the file.
macro_rules! keys {
    ($($constant:ident = $table:literal $name:literal $example:literal;)*) => {
        impl Key {
            $(pub(crate) const $constant: Self = Self { table: $table, name: $name, example: $example };)*

            /// Every key, in the order of the shipped `config.toml`.
            pub const ALL: &'static [Self] = &[$(Self::$constant),*];
        }
    };
}

keys! {
    TEMPLATE_NAME = "" "machine_template_name" r#""pve-""#;
    DOMAIN = "" "machine_net_dn" r#""example.com""#;
    MASK = "" "machine_net_mask" r#""24""#;
    DNS = "" "machine_net_dns" r#""192.0.2.53""#;
    GATEWAY = "" "machine_net_gateway" r#""192.0.2.1""#;
    NIC_VENDOR = "" "machine_net_int" r#""Intel Corporation""#;
    ADDRESS = "network" "address" r#""requester""#;
    NIC = "network" "nic" r#""asking""#;
    POOL = "network" "pool" r#"["192.0.2.100-192.0.2.199"]"#;
    POOL_EXCLUDE = "network" "pool_exclude" r#"["192.0.2.150"]"#;
    LISTEN = "server" "listen" r#""0.0.0.0:8443""#;
    TLS = "server" "tls" "true";
    PUBLIC_URL = "server" "public_url" r#""https://console.example.com:8443""#;
    WEBHOOK_AUTH = "server" "webhook_auth" r#""secret""#;
    MAX_HELD = "server" "max_held" "10000";
    HOLD = "server" "hold" r#""45s""#;
    ALLOW = "server" "allow" r#"["192.0.2.0/24"]"#;
    TRUSTED_PROXIES = "server" "trusted_proxies" r#"["192.0.2.10"]"#;
    AUTO = "approval" "auto" r#""never""#;
    UNDO_WINDOW = "approval" "undo_window" r#""5s""#;
    WHEN_UNAPPROVED = "approval" "when_unapproved" r#""retry""#;
    REPEAT_WINDOW = "approval" "repeat_window" r#""15m""#;
    REQUIRE_TOKEN = "approval" "require_token" "false";
    INSTALL_DEADLINE = "install" "deadline" r#""45m""#;
    BOOT_DEADLINE = "install" "boot_deadline" r#""20m""#;
    START = "ansible" "start" r#""when-ready""#;
    COUNTDOWN = "ansible" "countdown" r#""10s""#;
    EXPECT = "ansible" "expect" "6";
    RUN_DEADLINE = "ansible" "deadline" r#""1h""#;
    PLAYBOOK = "ansible" "playbook" r#""setup-cluster.yml""#;
    USER = "ansible" "user" r#""root""#;
    SSH_PORT = "ansible" "ssh_port" "22";
    FORKS = "ansible" "forks" "10";
    COMMAND = "ansible" "command" r#""/usr/bin/ansible-playbook""#;
    PRIVATE_KEY = "ansible" "private_key" r#""/root/.ssh/id_ed25519""#;
    KEEP_RUNS = "ansible" "keep_runs" "20";
    MOUSE = "console" "mouse" "true";
    BELL = "console" "bell" "true";
    ANSWER_BODY = "limits" "answer_body" r#""1MiB""#;
    REPORT_BODY = "limits" "report_body" r#""8MiB""#;
    HEAD_TIME = "limits" "head_time" r#""10s""#;
    BODY_TIME = "limits" "body_time" r#""30s""#;
    CONNECTIONS = "limits" "connections" "4000";
    CONNECTIONS_PER_ADDRESS = "limits" "connections_per_address" "512";
    REQUESTS_PER_MINUTE = "limits" "requests_per_minute" "600";
    WAITING_ROWS = "limits" "waiting_rows" "20000";
    LOG_LEVEL = "log" "level" r#""info""#;
}

impl Key {
    /// The tables of the file, in its order.
    pub const TABLES: [&'static str; 8] =
        ["network", "server", "approval", "install", "ansible", "console", "limits", "log"];

    /// The table it stands in; empty for a key above the first table.
    #[must_use]
    pub fn table(self) -> &'static str {
        self.table
    }

    /// Its name within the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The line `name = value` of the shipped file: the default, or an example where there is none.
    #[must_use]
    pub fn example(self) -> String {
        format!("{} = {}", self.name, self.example)
    }

    /// The same value as the environment has it: without quotes.
    pub(crate) fn bare_example(self) -> &'static str {
        self.example.trim_matches('"')
    }

    /// The environment variable that sets it: the prefix, the table and the name in capitals.
    #[must_use]
    pub fn variable(self) -> String {
        let gap = if self.table.is_empty() { "" } else { "_" };
        format!("{ENV_PREFIX}{}{gap}{}", self.table, self.name).to_ascii_uppercase()
    }

    /// The keys of one table (or of the top, for an empty name).
    pub(crate) fn of_table(table: &str) -> impl Iterator<Item = Self> + use<'_> {
        Self::ALL.iter().copied().filter(move |key| key.table == table)
    }
}

impl fmt::Display for Key {
    /// `server.listen`, or the bare name at the top.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.table.is_empty() { f.write_str(self.name) } else { write!(f, "{}.{}", self.table, self.name) }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl AsRef<str> for Key {
    /// Its name, without the table's.
    fn as_ref(&self) -> &str {
        self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_follow_from_table_and_name() {
        assert_eq!(Key::LISTEN.variable(), "PROX_ORCHESTRATOR_SERVER_LISTEN");
        assert_eq!(Key::DOMAIN.variable(), "PROX_ORCHESTRATOR_MACHINE_NET_DN");
        assert_eq!(Key::LISTEN.to_string(), "server.listen");
        assert!(Key::ALL.iter().all(|key| key.table.is_empty() || Key::TABLES.contains(&key.table)));
    }
}
