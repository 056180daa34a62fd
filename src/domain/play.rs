//! What Ansible tells while it plays: the events the callback plugin writes, one object each (ANSIBLE.md §2, schema v1).
//! Fields and events of later plugins are ignored, and so is whatever else is no event.

use std::collections::BTreeMap;

use serde::Deserialize;

/// An event and when it happened.
#[derive(Clone, Debug, Deserialize)]
pub struct Told {
    /// 1, 2, 3 …; a gap means that events were lost.
    #[serde(default)]
    pub seq: u64,
    /// Seconds since the epoch.
    #[serde(default)]
    pub ts: f64,
    /// What happened.
    #[serde(flatten)]
    pub what: PlayEvent,
}

/// What happened.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "ev", rename_all = "snake_case")]
pub enum PlayEvent {
    /// Ansible begins.
    PlaybookStart {
        /// The playbook's path as given.
        #[serde(default)]
        playbook: String,
        /// Version of ansible-core.
        #[serde(default)]
        ansible: String,
        /// Whether it only checks.
        #[serde(default)]
        check: bool,
    },
    /// A play, or with `serial` a batch of one, begins.
    PlayStart {
        /// Its name.
        #[serde(default)]
        play: String,
        /// Its hosts; `None` where this Ansible does not tell.
        #[serde(default)]
        hosts: Option<Vec<String>>,
        /// Tasks that could be counted beforehand.
        #[serde(default)]
        tasks: Option<u32>,
    },
    /// A task begins; with the strategy `free` once for each host.
    TaskStart(TaskTold),
    /// A host begins a task.
    HostStart {
        /// The host.
        host: String,
        /// The task.
        task_id: String,
    },
    /// A task is done.
    HostOk(HostTold),
    /// A task failed; it may be rescued later, which only the statistics tell.
    HostFailed(HostTold),
    /// The host was not reached.
    HostUnreachable(HostTold),
    /// A task was not for this host.
    HostSkipped(HostTold),
    /// One round of a loop.
    ItemOk(HostTold),
    /// One round of a loop failed.
    ItemFailed(HostTold),
    /// One round of a loop was skipped.
    ItemSkipped(HostTold),
    /// A task is tried again.
    Retry(HostTold),
    /// A task in the background was looked at.
    AsyncPoll(HostTold),
    /// No host is left to go on with.
    NoHostsRemaining {},
    /// The normal end.
    Stats {
        /// Numbers of every host that took part.
        hosts: BTreeMap<String, HostNumbers>,
    },
    /// An event that changes nothing here, or one from the future.
    #[serde(other)]
    Other,
}

/// A task that begins.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TaskTold {
    /// Unique within the run.
    pub task_id: String,
    /// Its name, after that of its role.
    pub task: String,
    /// `task`, `handler` or `cleanup`.
    pub kind: String,
    /// The module.
    pub action: String,
    /// `file:line`.
    pub path: Option<String>,
}

/// What came of a task on a host.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct HostTold {
    /// The host.
    pub host: String,
    /// The task.
    pub task_id: String,
    /// The task's name.
    pub task: String,
    /// The module.
    pub action: String,
    /// Seconds it took.
    pub dur: Option<f64>,
    /// Whether something was changed.
    pub changed: bool,
    /// Whether the failure is ignored.
    pub ignored: bool,
    /// Whether the result is secret (`no_log`).
    pub censored: bool,
    /// The host that did it for this one.
    pub delegated_to: Option<String>,
    /// The module's words.
    pub msg: Option<String>,
    /// Standard output, its end.
    pub stdout: Option<String>,
    /// Standard error, its end.
    pub stderr: Option<String>,
    /// Exit code.
    pub rc: Option<i64>,
    /// Why it was skipped.
    pub skip_reason: Option<String>,
    /// The round of the loop.
    pub item: Option<String>,
    /// The module's arguments without secrets, as JSON.
    pub args: Option<String>,
    /// What changed, as a unified diff.
    pub diff: Option<String>,
    /// The try it was.
    pub attempts: Option<u32>,
    /// Tries there may be.
    pub retries: Option<u32>,
}

/// A host's numbers at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(default)]
pub struct HostNumbers {
    /// Tasks done.
    pub ok: u64,
    /// Tasks that changed something.
    pub changed: u64,
    /// Tasks that failed for good.
    pub failures: u64,
    /// Tasks for which the host was not reached.
    pub unreachable: u64,
    /// Tasks that were not for this host.
    pub skipped: u64,
    /// Failures that were rescued.
    pub rescued: u64,
    /// Failures that were ignored.
    pub ignored: u64,
}

impl HostNumbers {
    /// Whether the host finally failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failures + self.unreachable > 0
    }
}

impl HostTold {
    /// The reason of a failure in one line: the message, with the last line of standard error where that says more.
    #[must_use]
    pub fn reason(&self) -> String {
        if self.censored {
            return "failed (its result is secret)".to_owned();
        }
        let message = self.msg.as_deref().map(str::trim).filter(|msg| !msg.is_empty());
        let message = message.unwrap_or("failed without a message");
        if message.contains("Host key verification failed") {
            // Behind a banner of @ signs; this is what it means.
            return "SSH answered with another host key than the one the node proved itself with".to_owned();
        }
        let last = |text: &str| text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned);
        match self.stderr.as_deref().and_then(last) {
            Some(line) if message == "non-zero return code" => line,
            Some(_) | None => message.to_owned(),
        }
    }
}
