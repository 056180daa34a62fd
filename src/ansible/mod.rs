//! Drives `ansible-playbook`: what it is started with, the files of a run, the process that outlives the console, and
//! what came of it.
//!
//! Everything rests on the measurements in `ANSIBLE.md`: a run writes its output and events to append-only files (no
//! pipe can stall or kill it), is led by a hidden subcommand of this program in a session of its own, and is judged by its
//! events rather than by its exit code. The coordinator decides *that* a run happens; nothing here changes the fleet but
//! by submitting [`Command`](crate::domain::Command)s.

pub(crate) mod argv;
mod ask;
pub mod check;
mod events;
mod job;
mod keep;
mod lines;
#[cfg(test)]
mod measure;
mod outcome;
pub mod output;
mod plugin;
pub mod preflight;
mod prepare;
mod process;
pub mod record;
pub(crate) mod run_dir;
pub mod ssh_key;
mod stop;
pub mod supervise;
pub mod supervisor;
mod user_config;

pub(crate) use argv::EVENTS_VARIABLE;
pub use job::Job;
pub use output::{Feed, FeedTask};
pub use ssh_key::SshKeyPair;
pub use stop::StopTimes;
pub use supervise::{SUBCOMMAND, supervise};
pub use supervisor::{Runner, Settings};
