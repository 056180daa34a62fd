//! Reads what the callback plugin wrote (ANSIBLE.md §2, event schema v1): line by line, with the place of each.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use crate::domain::Fqdn;
use crate::domain::grid::{Grid, Place};
use crate::domain::play::{PlayEvent, Told};

/// Longest event read, in bytes; the plugin cuts its texts, so real ones stay far below.
pub(super) const MAX_LINE: u64 = 1 << 20;

/// Cuts a growing file into events. Lines that are not events, as after a crash in the middle of one, are skipped.
#[derive(Debug, Default)]
pub(super) struct Reader {
    line: Vec<u8>,
    /// Bytes of the file before `line`.
    offset: u64,
    /// Whether the rest of the line is thrown away.
    is_too_long: bool,
}

impl Reader {
    /// Takes more bytes and hands on each event they complete.
    pub(super) fn push(&mut self, bytes: &[u8], mut take: impl FnMut(&Told, Place)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if !piece.ends_with(b"\n") {
                if self.line.len() as u64 > MAX_LINE {
                    self.offset += self.line.len() as u64;
                    self.line.clear();
                    self.is_too_long = true;
                }
                continue;
            }
            let length = self.line.len();
            if !std::mem::take(&mut self.is_too_long)
                && let (Ok(told), Ok(length)) = (serde_json::from_slice::<Told>(&self.line), u32::try_from(length))
            {
                take(&told, Place { offset: self.offset, length });
            }
            self.offset += length as u64;
            self.line.clear();
        }
    }
}

/// What the events say about a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Story {
    /// Whether Ansible began to play.
    pub(crate) is_started: bool,
    /// Whether the statistics came: the normal end.
    pub(crate) is_complete: bool,
    /// Per host, whether it finally failed.
    pub(crate) hosts: BTreeMap<Fqdn, bool>,
    /// The last failure of each host, `task: message`. It may have been rescued later.
    pub(crate) failures: BTreeMap<Fqdn, String>,
    /// All of it.
    pub(crate) grid: Grid,
}

impl Story {
    /// Reads all events; hosts count only where `is_known` says that they are part of the run.
    pub(crate) fn read(mut input: impl BufRead, is_known: impl Fn(&Fqdn) -> bool) -> io::Result<Self> {
        let (mut story, mut reader) = (Self::default(), Reader::default());
        loop {
            let bytes = input.fill_buf()?;
            if bytes.is_empty() {
                return Ok(story);
            }
            let length = bytes.len();
            reader.push(bytes, |told, place| story.take(told, place, &is_known));
            input.consume(length);
        }
    }

    fn take(&mut self, told: &Told, place: Place, is_known: &impl Fn(&Fqdn) -> bool) {
        self.grid.take(told, Some(place));
        let known = |name: &str| name.parse().ok().filter(|host| is_known(host));
        match &told.what {
            PlayEvent::PlaybookStart { .. } => self.is_started = true,
            PlayEvent::HostFailed(result) | PlayEvent::HostUnreachable(result) if !result.ignored => {
                if let Some(host) = known(&result.host) {
                    let task = if result.task.is_empty() { "a task" } else { &result.task };
                    self.failures.insert(host, format!("{task}: {}", result.reason()));
                }
            }
            PlayEvent::Stats { hosts } => {
                self.is_complete = true;
                for (name, numbers) in hosts {
                    if let Some(host) = known(name) {
                        self.hosts.insert(host, numbers.has_failed());
                    }
                }
            }
            _ => {}
        }
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
        let long = format!("{{\"ev\":\"{}\"}}\n{{\"ev\":\"playbook_start\"}}\n", "x".repeat(3 << 20));
        assert!(story(&long).is_started);
        assert!(!story("{\"ev\":\"stats\",\"hosts\":[1,2]}\n").is_complete);
        assert_eq!(story("{\"ev\":\"host_failed\",\"host\":7}\n"), Story::default());
    }

    #[test]
    fn an_event_is_found_again_at_its_place() {
        let text = format!(
            "{}\n{{\"ev\":\"playbook_start\"}}\nnoise\n{{\"ev\":\"stats\",\"hosts\":{{}}}}\n",
            "y".repeat(usize::try_from(MAX_LINE).unwrap() + 7)
        );
        for size in [1 << 21, 4096, 7] {
            let (mut reader, mut places) = (Reader::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                reader.push(piece, |_, place| places.push(place));
            }
            let found = places.iter().map(|place| {
                let begin = usize::try_from(place.offset).unwrap();
                text[begin..begin + place.length as usize].trim_end()
            });
            assert_eq!(found.collect::<Vec<_>>(), [r#"{"ev":"playbook_start"}"#, r#"{"ev":"stats","hosts":{}}"#]);
        }
    }

    #[test]
    fn a_wrong_host_key_is_said_plainly() {
        let event = "{\"ev\":\"host_unreachable\",\"host\":\"a.lab\",\"task\":\"wait\",\"msg\":\"@@@@ IDENTIFICATION HAS CHANGED\\r\\nHost key verification failed.\"}\n";
        assert!(
            story(event).failures[&"a.lab".parse().unwrap()].starts_with("wait: SSH answered with another host key")
        );
    }

    #[test]
    fn secrets_stay_secret() {
        let event =
            "{\"ev\":\"host_failed\",\"host\":\"a.lab\",\"task\":\"join\",\"censored\":true,\"msg\":\"password\"}\n";
        assert_eq!(story(event).failures[&"a.lab".parse().unwrap()], "join: failed (its result is secret)");
    }
}
