//! A fake rack: machines that speak the real protocol over real sockets, for the demo, the tests and load figures.
//!
//! Each machine has a loopback address and hardware of its own and behaves as one installer release does, down to the
//! debug shell it sits in after a bad answer. Nothing here writes to a disk or runs a command on this host, except a
//! real `sshd` where the caller asks for one. It must not use the engine's modules beyond `domain`'s types: it is the
//! other side of the wire, written from PROTOCOL.md alone.
//!
//! `rack` starts and gathers `life`s; a life asks with `client`, has `installer` judge (`grammar` parses, `hardware`
//! matches), reports a `body` and opens `ssh`.

pub mod body;
pub mod cli;
pub mod client;
pub mod faults;
pub mod hardware;
pub mod installer;
pub mod keys;
pub mod locale;
pub mod machine;
pub mod pin;
pub mod rack;
pub mod release;
pub mod ssh;
pub mod summary;

mod fields;
mod grammar;
mod life;
mod shell;

pub use rack::{RackOptions, SimulateError, Timings, run_rack};
pub use release::Release;
pub use ssh::SshMode;
pub use summary::{RackEvent, Step, Summary};
