//! What the callback plugin wrote, as far as the end of a run is judged by it (ANSIBLE.md §2, event schema v1).

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use serde::Deserialize;

use crate::domain::Fqdn;

/// Longest event read, in bytes; the plugin cuts its texts, so real ones stay far below.
const MAX_LINE: u64 = 1 << 20;

/// What the events say about a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Story {
    /// Whether Ansible began to play.
    pub(crate) is_started: bool,
    /// Whether the statistics came: the normal end.
    pub(crate) is_complete: bool,
    /// Per host, whether it finally failed.
    pub(crate) hosts: BTreeMap<Fqdn, bool>,
    /// The last failure of each host, `task: message`. It may have been rescued later.
    pub(crate) failures: BTreeMap<Fqdn, String>,
}

/// One event; fields of other events are ignored.
#[derive(Debug, Deserialize)]
struct Line {
    ev: String,
    host: Option<String>,
    task: Option<String>,
    #[serde(default)]
    ignored: bool,
    msg: Option<String>,
    stderr: Option<String>,
    #[serde(default)]
    censored: bool,
    /// A list in other events, an object in `stats`.
    hosts: Option<serde_json::Value>,
}

/// A host's numbers in `stats`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Numbers {
    failures: u64,
    unreachable: u64,
}

impl Story {
    /// Reads all events about hosts that `is_known` says are part of the run. Lines that are not events, as after a crash
    /// in the middle of one, are skipped.
    pub(crate) fn read(mut input: impl BufRead, is_known: impl Fn(&Fqdn) -> bool) -> io::Result<Self> {
        let mut story = Self::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            if io::Read::take(&mut input, MAX_LINE).read_until(b'\n', &mut line)? == 0 {
                return Ok(story);
            }
            if let Ok(event) = serde_json::from_slice::<Line>(&line) {
                story.take(event, &is_known);
            }
        }
    }

    fn take(&mut self, event: Line, is_known: &impl Fn(&Fqdn) -> bool) {
        match event.ev.as_str() {
            "playbook_start" => self.is_started = true,
            "host_failed" | "host_unreachable" if !event.ignored => {
                if let Some(host) = event.host.as_ref().and_then(|host| host.parse().ok()).filter(is_known) {
                    self.failures.insert(host, words(&event));
                }
            }
            "stats" => {
                self.is_complete = true;
                let hosts =
                    event.hosts.and_then(|hosts| serde_json::from_value::<BTreeMap<String, Numbers>>(hosts).ok());
                for (name, numbers) in hosts.unwrap_or_default() {
                    if let Some(host) = name.parse().ok().filter(is_known) {
                        self.hosts.insert(host, numbers.failures + numbers.unreachable > 0);
                    }
                }
            }
            _ => {}
        }
    }
}

/// `task: message`, with the last line of standard error where the message says nothing.
fn words(event: &Line) -> String {
    let task = event.task.as_deref().unwrap_or("a task");
    if event.censored {
        return format!("{task}: failed (its result is secret)");
    }
    let message =
        event.msg.as_deref().map(str::trim).filter(|msg| !msg.is_empty()).unwrap_or("failed without a message");
    if message.contains("Host key verification failed") {
        // Behind a banner of @ signs; this is what it means.
        return format!("{task}: SSH answered with another host key than the one the node proved itself with");
    }
    let last_line = event.stderr.as_deref().and_then(|text| text.lines().map(str::trim).rfind(|line| !line.is_empty()));
    match last_line {
        Some(line) if message == "non-zero return code" => format!("{task}: {line}"),
        Some(_) | None => format!("{task}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(text: &str) -> Story {
        Story::read(text.as_bytes(), |name| name.domain() == "lab").unwrap()
    }

    #[test]
    fn statistics_decide_and_failures_explain() {
        let story = story(concat!(
            r#"{"v":1,"ev":"playbook_start","pid":1,"new_field":{}}"#,
            "\n",
            r#"{"ev":"play_start","hosts":["a.lab"]}"#,
            "\n",
            r#"{"ev":"host_failed","host":"a.lab","task":"first","msg":"x","ignored":true}"#,
            "\n",
            r#"{"ev":"host_failed","host":"a.lab","task":"rescued","msg":"y"}"#,
            "\n",
            r#"{"ev":"host_failed","host":"b.lab","task":"packages","msg":"non-zero return code","stderr":"one\nE: no such package\n"}"#,
            "\n",
            r#"{"ev":"host_unreachable","host":"c.lab","task":"wait","msg":"timed out"}"#,
            "\n",
            r#"{"ev":"host_failed","host":"x.elsewhere","task":"t","msg":"m"}"#,
            "\n",
            "not json\n",
            r#"{"ev":"from the future"}"#,
            "\n",
            r#"{"ev":"stats","hosts":{"a.lab":{"ok":3,"failures":0,"rescued":1},"b.lab":{"failures":1},"c.lab":{"unreachable":1},"x.elsewhere":{}}}"#,
            "\n",
            r#"{"ev":"half"#,
        ));
        assert!(story.is_started && story.is_complete);
        let failed: Vec<_> = story.hosts.iter().map(|(host, failed)| (host.as_str(), *failed)).collect();
        assert_eq!(failed, [("a.lab", false), ("b.lab", true), ("c.lab", true)]);
        assert_eq!(story.failures[&"b.lab".parse().unwrap()], "packages: E: no such package");
        assert_eq!(story.failures[&"c.lab".parse().unwrap()], "wait: timed out");
        assert_eq!(story.failures.len(), 3);
    }

    #[test]
    fn hostile_events_are_survived() {
        let long = format!("{{\"ev\":\"{}\n{{\"ev\":\"playbook_start\"}}\n", "x".repeat(3 << 20));
        assert!(story(&long).is_started);
        assert!(!story(r#"{"ev":"stats","hosts":[1,2]}"#).is_started);
        assert_eq!(story(r#"{"ev":"host_failed","host":7}"#), Story::default());
    }

    #[test]
    fn a_wrong_host_key_is_said_plainly() {
        let event = r#"{"ev":"host_unreachable","host":"a.lab","task":"wait","msg":"@@@@ IDENTIFICATION HAS CHANGED\r\nHost key verification failed."}"#;
        assert!(
            story(event).failures[&"a.lab".parse().unwrap()].starts_with("wait: SSH answered with another host key")
        );
    }

    #[test]
    fn secrets_stay_secret() {
        let story = story(r#"{"ev":"host_failed","host":"a.lab","task":"join","censored":true,"msg":"password"}"#);
        assert_eq!(story.failures[&"a.lab".parse().unwrap()], "join: failed (its result is secret)");
    }
}
