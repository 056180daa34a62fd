//! A fake rack: machines that speak the real protocol over real sockets, for the demo, the tests and load figures.

pub mod body;
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
