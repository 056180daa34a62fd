//! Whole configurations: the shipped files, the fixtures under `tests/fixtures/config`, the order of the layers.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::domain::{AddressSource, Auto, StartRule, WebhookAuth, WhenUnapproved};

fn env(variables: &[(&str, &str)]) -> EnvLayer {
    EnvLayer::from_vars(variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
}

fn load_text(text: &str, cli: &CliLayer, env: &EnvLayer) -> Result<Loaded, ConfigErrors> {
    let source = Source { name: CONFIG_FILE.to_owned(), text: text.to_owned() };
    resolve(source, cli, env, Problems::default())
}

fn good(text: &str) -> Loaded {
    load_text(text, &CliLayer::default(), &EnvLayer::default()).unwrap()
}

fn bad(text: &str) -> String {
    load_text(text, &CliLayer::default(), &EnvLayer::default()).unwrap_err().to_string()
}

fn fixtures(kind: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config").join(kind)
}

#[test]
fn the_shipped_config_is_the_built_in_one_and_shows_every_key() {
    let loaded = good(CONFIG_TEMPLATE);
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);

    let mut tables = vec![];
    for key in Key::ALL {
        let shown = CONFIG_TEMPLATE.lines().any(|line| line.trim_start_matches('#').starts_with(&key.example()));
        assert!(shown, "`{key}` is not shown as `{}`", key.example());
        tables.push(key.table());
    }
    tables.dedup();
    assert_eq!(tables[1..], Key::TABLES);

    let keys: Vec<String> = Key::ALL.iter().map(|key| format!("#{} =", key.name())).collect();
    let uncommented: Vec<&str> = CONFIG_TEMPLATE
        .lines()
        .map(|line| if keys.iter().any(|key| line.starts_with(key)) { &line[1..] } else { line })
        .collect();
    let all = good(&uncommented.join("\n"));
    assert!(Key::ALL.iter().all(|key| all.origins.of(*key) == Layer::File), "{:?}", all.origins);
    assert!(all.warnings.is_empty(), "{}", all.warnings);
    assert_eq!(all.config.network.missing(), []);
}

#[test]
fn the_manual_tells_of_every_key_and_variable() {
    let manual = include_str!("../../docs/configuration.md");
    for key in Key::ALL {
        let row = manual.lines().find(|line| line.starts_with(&format!("| `{}` |", key.name())));
        assert!(row.is_some(), "`{key}` has no row");
        assert!(manual.contains(&key.variable()), "`{}` is not named", key.variable());
    }
}

#[test]
fn the_shipped_base_answer_is_used_where_a_folder_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let built_in = load_base_answer(dir.path()).unwrap();
    let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(BASE_ANSWER_FILE);
    assert_eq!(built_in.text, fs::read_to_string(shipped).unwrap());
    fs::write(dir.path().join(BASE_ANSWER_FILE), "x = 1\n").unwrap();
    assert_eq!(load_base_answer(dir.path()).unwrap().text, "x = 1\n");

    let document = toml_edit::Document::parse(BASE_ANSWER).unwrap();
    let global = document["global"].as_table().unwrap();
    assert!(global.get("fqdn").is_none(), "the console sets the name");
    assert!(global.get("root-password").is_none(), "no password may be known to everybody");
    assert_eq!(global["root-password-hashed"].as_str(), Some("*"));
    assert_eq!(document["network"]["source"].as_str(), Some("from-answer"));
    assert_eq!(document["disk-setup"]["disk-list"][0].as_str(), Some("sda"));
}

#[test]
fn the_six_flat_keys_of_the_prototype_are_enough() {
    let text = fs::read_to_string(fixtures("valid/six-flat-keys.toml")).unwrap();
    let loaded = good(&text);
    let expected = Config {
        naming: Naming { prefix: "pve-".to_owned(), domain: "example.com".to_owned() },
        network: Network {
            mask: "24".parse().unwrap(),
            dns: Some([10, 0, 0, 2].into()),
            gateway: Some([10, 0, 0, 1].into()),
            nic_vendor: Some("Intel Corporation".to_owned()),
            ..Network::default()
        },
        ..Config::default()
    };
    assert_eq!(loaded.config, expected);
    assert!(loaded.warnings.is_empty());
}

#[test]
fn every_key_reaches_its_field() {
    let text = fs::read_to_string(fixtures("valid/every-key.toml")).unwrap();
    let loaded = good(&text);
    let expected = Config {
        naming: Naming { prefix: "rack7-".to_owned(), domain: "lab.example.org".to_owned() },
        network: Network {
            mask: "23".parse().unwrap(),
            dns: Some([10, 0, 0, 2].into()),
            gateway: Some([10, 0, 0, 1].into()),
            nic_vendor: Some("Intel*".to_owned()),
            address: AddressSource::Pool,
            nic: NicSource::Vendor,
            pool: ["10.0.0.100-10.0.0.199", "10.0.1.0/25"].map(|range| range.parse().unwrap()).into(),
            pool_exclude: vec!["10.0.0.150".parse().unwrap()],
        },
        server: Server {
            listen: "[::]:9443".parse().unwrap(),
            tls: false,
            public_url: Some("http://console.example.org:9443".parse().unwrap()),
            webhook_auth: WebhookAuth::None,
            max_held: 12.try_into().unwrap(),
            hold: Duration::from_secs(30),
            allow: vec!["10.0.0.0/16".parse().unwrap(), "2001:db8::/64".parse().unwrap()],
            trusted_proxies: vec!["10.0.0.3/32".parse().unwrap()],
        },
        approval: Approval {
            auto: Auto::Planned,
            undo_window: Duration::from_secs(10),
            when_unapproved: WhenUnapproved::Refuse,
            repeat_window: Duration::from_mins(90),
            require_token: true,
        },
        console: Console { mouse: false, bell: false },
        limits: Limits {
            answer_body: 64 * 1024,
            report_body: 2 * 1024 * 1024,
            head_time: Duration::from_secs(5),
            body_time: Duration::from_secs(20),
            connections: Some(900.try_into().unwrap()),
            connections_per_address: 40.try_into().unwrap(),
            requests_per_minute: 50.try_into().unwrap(),
            waiting_rows: 100.try_into().unwrap(),
        },
        install: Install { deadline: Duration::from_hours(2), boot_deadline: Duration::from_mins(5) },
        ansible: Ansible {
            start: StartRule::ByHand,
            countdown: Duration::from_secs(3),
            deadline: Duration::from_mins(90),
            expect: Some(3.try_into().unwrap()),
            playbook: "site/main.yml".into(),
            user: "deploy".to_owned(),
            ssh_port: 2222,
            forks: Some(25.try_into().unwrap()),
            command: Some("/opt/ansible/bin/ansible-playbook".into()),
            private_key: Some("keys/id_ed25519".into()),
            keep_runs: 7.try_into().unwrap(),
        },
        log: Log { level: LogLevel::Debug },
    };
    assert_eq!(loaded.config, expected);
    let unset: Vec<_> = Key::ALL.iter().filter(|key| loaded.origins.of(**key) != Layer::File).collect();
    assert_eq!(unset, Vec::<&Key>::new());
}

#[test]
fn every_valid_fixture_loads() {
    for entry in fs::read_dir(fixtures("valid")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let loaded = load_text(&text, &CliLayer::default(), &EnvLayer::default());
        assert!(loaded.is_ok(), "{}: {}", path.display(), loaded.unwrap_err());
    }
}

/// `NAME.toml` is refused with the text in `NAME.txt`. `UPDATE_FIXTURES=1` writes the texts anew, for review.
#[test]
fn every_invalid_fixture_is_refused_with_its_text() {
    let mut seen = 0;
    for entry in fs::read_dir(fixtures("invalid")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let rendered = format!("{}\n", bad(&text));
        let golden = path.with_extension("txt");
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            fs::write(&golden, &rendered).unwrap();
        }
        assert_eq!(rendered, fs::read_to_string(&golden).unwrap(), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 8, "only {seen} fixtures were found");
}

#[test]
fn a_higher_layer_wins_and_is_named() {
    let file = "[server]\nlisten = \"10.0.0.1:1\"\ntls = true\n[log]\nlevel = \"warn\"\n";
    let variables = env(&[("PROX_ORCHESTRATOR_SERVER_LISTEN", "10.0.0.2:2"), ("PROX_ORCHESTRATOR_LOG_LEVEL", "debug")]);
    let options = CliLayer { listen: Some(([10, 0, 0, 3], 3).into()), no_tls: true, log_level: None };

    let loaded = load_text(file, &options, &variables).unwrap();
    assert_eq!(loaded.config.server.listen, ([10, 0, 0, 3], 3).into());
    assert!(!loaded.config.server.tls);
    assert_eq!(loaded.config.log.level, LogLevel::Debug);
    let origins = [Key::LISTEN, Key::TLS, Key::LOG_LEVEL, Key::HOLD].map(|key| loaded.origins.of(key));
    assert_eq!(origins, [Layer::Cli, Layer::Cli, Layer::Env, Layer::Default]);

    let without_options = load_text(file, &CliLayer::default(), &variables).unwrap();
    assert_eq!(without_options.config.server.listen, ([10, 0, 0, 2], 2).into());
    assert!(without_options.config.server.tls);
    assert_eq!(good(file).config.server.listen, ([10, 0, 0, 1], 1).into());
    assert_eq!(good(file).origins.of(Key::LISTEN), Layer::File);
    assert_eq!(good("").config, Config::default());
}

/// Every key can be set by its variable, without quotes.
#[test]
fn every_key_has_a_variable() {
    let file = good(&fs::read_to_string(fixtures("valid/every-key.toml")).unwrap());
    let text = fs::read_to_string(fixtures("valid/every-key.toml")).unwrap();
    let document = toml_edit::Document::parse(text).unwrap();
    let variables = Key::ALL.iter().map(|key| {
        let table = if key.table().is_empty() { document.as_item() } else { &document[key.table()] };
        let value = table[key.name()].as_value().unwrap();
        let plain = value.as_str().map_or_else(|| value.to_string().trim().to_owned(), str::to_owned);
        (OsString::from(key.variable()), OsString::from(plain))
    });
    let loaded = load_text("", &CliLayer::default(), &EnvLayer::from_vars(variables)).unwrap();
    assert_eq!(loaded.config, file.config);
    assert!(Key::ALL.iter().all(|key| loaded.origins.of(*key) == Layer::Env));
}

#[test]
fn problems_of_every_layer_are_told_at_once_also_hidden_ones() {
    let variables = env(&[("PROX_ORCHESTRATOR_SERVER_TLS", "on"), ("PROX_ORCHESTRATOR_SERVER_HOLD", "2m")]);
    let options = CliLayer { listen: Some(([0; 4], 1).into()), ..CliLayer::default() };
    let errors = load_text("[server]\nlisten = \"8443\"\n", &options, &variables).unwrap_err();
    insta::assert_snapshot!(errors, @r#"
    error: `server.listen`: `8443` is not an address with a port
     --> config.toml:2:10
      |
    2 | listen = "8443"
      |          ^^^^^^
      = hint: for all IPv4 addresses write `"0.0.0.0:8443"`, for IPv6 too `"[::]:8443"`

    error: `server.tls`: expected true or false, found `on`
    --> the environment
     |
     | PROX_ORCHESTRATOR_SERVER_TLS=on
     |                              ^^
     = hint: write it like `PROX_ORCHESTRATOR_SERVER_TLS=true`

    error: `server.hold`: `2m` is out of range
    --> the environment
     |
     | PROX_ORCHESTRATOR_SERVER_HOLD=2m
     |                               ^^
     = hint: write a duration from 1s to 50s
    "#);
}

#[test]
fn a_variable_that_sets_nothing_is_a_warning_and_an_empty_one_is_not_set() {
    let variables = env(&[
        ("PROX_ORCHESTRATOR_LISTEN", "0.0.0.0:1"),
        ("PROX_ORCHESTRATOR_SERVER_HOLDS", "1s"),
        ("PROX_ORCHESTRATOR_SERVER_HOLD", ""),
        ("PROX_ORCHESTRATOR_DIR", "/x"),
        ("PATH", "/bin"),
    ]);
    let loaded = load_text("", &CliLayer::default(), &variables).unwrap();
    assert_eq!(loaded.config, Config::default());
    insta::assert_snapshot!(loaded.warnings, @r"
    warning: the variable `PROX_ORCHESTRATOR_LISTEN` sets nothing
    --> the environment
     = hint: did you mean `PROX_ORCHESTRATOR_SERVER_LISTEN`?

    warning: the variable `PROX_ORCHESTRATOR_SERVER_HOLDS` sets nothing
    --> the environment
     = hint: did you mean `PROX_ORCHESTRATOR_SERVER_HOLD`?
    ");
}

#[test]
fn a_variable_that_is_not_text_is_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let value = OsString::from_vec(b"\xff0.0.0.0:1".to_vec());
    let variables = EnvLayer::from_vars([(OsString::from("PROX_ORCHESTRATOR_SERVER_LISTEN"), value)]);
    let errors = load_text("", &CliLayer::default(), &variables).unwrap_err().to_string();
    assert!(errors.starts_with("error: `server.listen`: the value is not UTF-8\n"), "{errors}");
}

#[rstest]
#[case("machine_net_dn = \".Example.COM\"", "example.com")]
#[case("machine_net_dn = \"lab\"", "lab")]
fn a_domain_may_start_with_a_dot(#[case] text: &str, #[case] domain: &str) {
    assert_eq!(good(text).config.naming.domain, domain);
}

#[rstest]
#[case("\"24\"", 24)]
#[case("24", 24)]
#[case("\"/24\"", 24)]
#[case("\"255.255.252.0\"", 22)]
fn a_mask_may_be_written_in_four_ways(#[case] mask: &str, #[case] prefix: u8) {
    assert_eq!(good(&format!("machine_net_mask = {mask}")).config.network.mask.prefix(), prefix);
}

#[rstest]
#[case("[server]\nhold = \"1 second\"", Duration::from_secs(1))]
#[case("server.hold = \"50s\"", Duration::from_secs(50))]
#[case("server = { hold = \"PT20S\" }", Duration::from_secs(20))]
#[case("\u{feff}[server]\r\nhold = \"45s\"\r\n", Duration::from_secs(45))]
fn durations_tables_and_line_ends_have_several_spellings(#[case] text: &str, #[case] hold: Duration) {
    assert_eq!(good(text).config.server.hold, hold);
}

#[rstest]
#[case("[server]\npublic_url = \"http://console\"\n", "`server.public_url` says `http`, but `server.tls` is on")]
#[case("[server]\nlisten = \"[2001:db8::1]:8443\"\n", "`server.listen`: installers 8.2 and 9.2 cannot call")]
#[case("machine_net_dns = \"::1\"\nmachine_net_gateway = \"10.0.0.1\"\n", "are of different IP versions")]
#[case(
    "[server]\ntrusted_proxies = [\"10.0.0.3\"]\n",
    "`server.trusted_proxies` is set, but `server.public_url` is not"
)]
fn what_is_probably_wrong_is_a_warning(#[case] text: &str, #[case] warning: &str) {
    let warnings = good(text).warnings;
    assert_eq!(warnings.list().len(), 1);
    let [only] = warnings.list() else { panic!("{warnings}") };
    assert_eq!(only.severity, Severity::Warning);
    assert!(only.message.contains(warning), "{only}");
}

#[test]
fn a_missing_file_counts_as_empty() {
    let dir = tempfile::tempdir().unwrap();
    let loaded = load(dir.path(), &CliLayer::default(), &EnvLayer::default()).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.config.network.missing(), [Key::DNS, Key::GATEWAY]);
}

/// What stands in the place of `config.toml`, and how the message about it begins.
#[rstest]
#[case(|path: &Path| fs::create_dir(path).unwrap(), "a folder stands in the place of the file")]
#[case(|path: &Path| std::os::unix::fs::symlink("nowhere", path).unwrap(), "the file cannot be read: No such file")]
#[case(|path: &Path| fs::write(path, vec![b'#'; 1024 * 1024 + 1]).unwrap(), "the file is larger than 1 MiB")]
#[case(|path: &Path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(), "not a regular file")]
#[case(|path: &Path| fs::write(path, b"# \xe9t\xe9\n").unwrap(), "the file is not UTF-8 text")]
fn what_cannot_be_read_says_so(#[case] make: fn(&Path), #[case] message: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(CONFIG_FILE);
    make(&path);
    let variables = env(&[("PROX_ORCHESTRATOR_SERVER_HOLD", "1h")]);
    let ConfigErrors(problems) = load(dir.path(), &CliLayer::default(), &variables).unwrap_err();
    assert_eq!(problems.list().len(), 2, "the other layers are judged all the same: {problems}");
    let problem = problems.list().iter().find(|problem| problem.file == path.display().to_string()).unwrap();
    assert!(problem.message.starts_with(message), "{problem}");
    assert!(problem.hint.is_some());
}

#[test]
fn a_forbidden_file_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(CONFIG_FILE);
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        eprintln!("skipped: this user may read everything");
        return;
    }
    let errors = load(dir.path(), &CliLayer::default(), &EnvLayer::default()).unwrap_err().to_string();
    assert!(errors.starts_with("error: the file cannot be read: Permission denied"), "{errors}");
}

#[test]
fn a_hostile_file_costs_little() {
    let keys: Vec<String> = (0..60_000).map(|n| format!("key{n} = 1\n")).collect();
    let report = bad(&keys.concat());
    assert!(report.ends_with("... and 59900 more"), "{}", &report[report.len() - 80..]);
    let deep = format!("x = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(bad(&deep).starts_with("error: not valid TOML: "));
    assert!(bad(&format!("{} = 1", "k".repeat(500_000))).len() < 2_000);
}

/// A line that may occur in a file: known keys with odd values.
fn line() -> impl Strategy<Value = String> {
    let key = proptest::sample::select(Key::ALL);
    let value = prop_oneof![
        "\"\\PC{0,12}\"",
        any::<i64>().prop_map(|n| n.to_string()),
        Just("true".to_owned()),
        Just("[1]".to_owned()),
        Just("{ a = 1 }".to_owned()),
        Just("1979-05-27".to_owned()),
        Just("-nan".to_owned()),
        "\"[0-9]{1,25}(s|m|h|d|y)?\"",
        "\"https?://[\\[\\]:@/a-z0-9]{0,12}\"",
    ];
    (key, value).prop_map(|(key, value)| format!("{key} = {value}\n"))
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        if let Err(errors) = load_text(&text, &CliLayer::default(), &EnvLayer::default()) {
            prop_assert!(!errors.to_string().is_empty());
        }
    }

    #[test]
    fn no_values_panic_and_what_loads_is_in_range(lines in proptest::collection::vec(line(), 0..6)) {
        match load_text(&lines.concat(), &CliLayer::default(), &EnvLayer::default()) {
            Ok(loaded) => {
                prop_assert!((1..=50).contains(&loaded.config.server.hold.as_secs()));
                prop_assert!(loaded.config.ansible.ssh_port > 0);
            }
            Err(ConfigErrors(problems)) => {
                for problem in problems.list() {
                    prop_assert!(problem.hint.is_some(), "{}", problem);
                    prop_assert!(problem.to_string().lines().all(|line| !line.chars().any(char::is_control)));
                }
            }
        }
    }
}
