//! What the README promises must be there: commands, options, exit codes, files; and so must whatever is cited anywhere
//! (`citations`).

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::path::Path;
use std::process::Command;

use prox_orchestrator::config::{CliLayer, EnvLayer};

#[path = "readme/citations.rs"]
mod citations;

const README: &str = include_str!("../README.md");

fn help_of(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_prox-orchestrator")).args(arguments).arg("--help").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Lines of the shell blocks that call the program, however it is started.
fn commands() -> Vec<Vec<&'static str>> {
    let mut is_shell = false;
    let mut found = Vec::new();
    for line in README.lines().map(str::trim) {
        if line.starts_with("```") {
            is_shell = line == "```sh";
        } else if is_shell {
            let call = line.strip_prefix("prox-orchestrator").or_else(|| line.strip_prefix("cargo run --release --"));
            found.extend(call.map(|call| call.split_whitespace().collect()));
        }
    }
    found
}

#[test]
fn every_command_and_option_exists() {
    let commands = commands();
    assert!(commands.len() >= 10, "the README lost its examples: {commands:?}");
    for words in commands {
        let mut subcommand: Vec<_> = words.first().into_iter().copied().filter(|word| !word.starts_with('-')).collect();
        let mut help = help_of(&subcommand);
        if help.contains("Commands:") && !subcommand.is_empty() {
            subcommand.extend(words.get(1));
            help = help_of(&subcommand);
        }
        for option in words.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(option), "`{}` has no {option}", subcommand.join(" "));
        }
    }
}

#[test]
fn every_subcommand_is_named() {
    let help = help_of(&[]);
    let listed = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    for line in listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let name = line.split_whitespace().next().unwrap();
        assert!(name == "help" || README.contains(name), "the README does not name `{name}`");
    }
}

#[test]
fn exit_codes_are_those_of_the_help() {
    let help = help_of(&[]).split_whitespace().collect::<Vec<_>>().join(" ");
    let codes = help.split("Exit codes: ").nth(1).unwrap();
    let rows = README.lines().skip_while(|line| !line.starts_with("| exit code")).skip(2);
    let rows: Vec<_> = rows.take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), codes.split('·').count());
    for row in rows {
        let code = row.split('|').nth(1).unwrap().trim();
        assert!(codes.contains(&format!("{code} ")), "the help does not name exit code {code}");
    }
}

#[test]
fn every_linked_file_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let links = README.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local: Vec<_> = links.filter(|link| !link.starts_with("http")).collect();
    assert!(!local.is_empty());
    for link in local {
        assert!(root.join(link).exists(), "`{link}` does not exist");
    }
}

#[test]
fn the_six_keys_are_a_configuration() {
    let block = README.split("```toml").nth(1).unwrap().split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<_> = block.lines().map(str::trim).collect();
    std::fs::write(dir.path().join("config.toml"), lines.join("\n")).unwrap();
    let loaded = prox_orchestrator::config::load(dir.path(), &CliLayer::default(), &EnvLayer::default()).unwrap();
    assert_eq!(loaded.config.naming.domain, "lab.example");
    assert_eq!(loaded.config.network.missing(), []);
}
