//! Stands in for `ansible-playbook` in the demo where there is none: every line of it says that it is made up.

use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

/// The hidden subcommand's name.
pub const SUBCOMMAND: &str = "scripted-playbook";

/// Label in front of every line.
const LABEL: &str = "[scripted]";

/// Prints a run over the hosts that `args` limit it to and writes the events the engine judges it by to `events`.
///
/// # Errors
/// The system's reason where a file cannot be read or written.
pub fn play(args: &[String], events: Option<&Path>, out: &mut impl Write) -> io::Result<()> {
    if args.iter().any(|arg| arg == "--version") {
        return writeln!(out, "ansible-playbook [core 2.19.14]\n  {LABEL} no Ansible is installed here");
    }
    let hosts = limit(args)?;
    let mut tape = events.map(|path| std::fs::OpenOptions::new().create(true).append(true).open(path)).transpose()?;
    let mut record = |event: serde_json::Value| match &mut tape {
        Some(tape) => writeln!(tape, "{event}"),
        None => Ok(()),
    };
    record(json!({ "v": 1, "seq": 1, "ev": "playbook_start" }))?;
    writeln!(out, "{LABEL} nothing of this happened: no Ansible is installed here\n")?;
    writeln!(out, "PLAY [Say hello to every node] {LABEL}\n")?;
    for task in ["Ask for the host name", "Greet"] {
        writeln!(out, "TASK [{task}] {LABEL}")?;
        for host in &hosts {
            writeln!(out, "\u{1b}[0;32mok: [{host}] {LABEL}\u{1b}[0m")?;
        }
        writeln!(out)?;
    }
    writeln!(out, "PLAY RECAP {LABEL}")?;
    let mut stats = serde_json::Map::new();
    for host in &hosts {
        writeln!(out, "\u{1b}[0;32m{host}\u{1b}[0m : ok=2 changed=0 unreachable=0 failed=0 {LABEL}")?;
        stats.insert(host.clone(), json!({ "ok": 2, "failures": 0, "unreachable": 0 }));
    }
    record(json!({ "v": 1, "seq": 2, "ev": "stats", "hosts": stats }))?;
    out.flush()
}

/// The hosts behind `--limit`: by name, or one a line in the file behind an `@`.
fn limit(args: &[String]) -> io::Result<Vec<String>> {
    let mut following = args.iter().skip_while(|arg| *arg != "--limit").skip(1);
    let Some(limit) = following.next() else { return Ok(Vec::new()) };
    let (names, between) = match limit.strip_prefix('@') {
        Some(file) => (std::fs::read_to_string(file)?, '\n'),
        None => (limit.clone(), ','),
    };
    Ok(names.split(between).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::by_name("a.example,b.example", "")]
    #[case::in_a_file("@", "a.example\nb.example\n")]
    fn every_line_says_that_it_is_scripted_and_the_events_name_the_hosts(#[case] limit: &str, #[case] listed: &str) {
        let dir = tempfile::tempdir().unwrap();
        let (file, events) = (dir.path().join("limit.txt"), dir.path().join("events.jsonl"));
        std::fs::write(&file, listed).unwrap();
        let limit = if limit == "@" { format!("@{}", file.display()) } else { limit.to_owned() };
        let mut out = Vec::new();
        let args = ["-i", "x.json", "--limit", &limit, "--", "demo.yml"].map(str::to_owned);
        play(&args, Some(&events), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().filter(|line| !line.is_empty()).all(|line| line.contains(LABEL)), "{text}");
        let events = std::fs::read_to_string(&events).unwrap();
        assert!(events.contains("\"a.example\"") && events.contains("\"b.example\""), "{events}");
    }
}
