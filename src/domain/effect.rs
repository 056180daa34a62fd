//! What the program must do because of an event. Effects announce; they hold no fact that is not in an event.

use super::id::RunId;

/// Something to do, derived from a decision or, after a restart, from the state (`Fleet::resume`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write this run's files and start Ansible.
    StartRun(RunId),
    /// Find the process of this run again, or learn how it ended.
    FollowRun(RunId),
    /// Stop this run: the first begins the stop sequence, each further one goes to its next step (ANSIBLE.md §4).
    StopRun(RunId),
}
