//! The install console for Proxmox racks: a pure core, a single writer, thin edges.
//!
//! `docs/ARCHITECTURE.md` has the picture and the walkthroughs; each module's first lines say what it is for, what it
//! owns and what it must not do. Dependencies point one way and `tests/architecture.rs` holds them to it.

pub mod ansible;
pub mod answer;
pub mod api;
pub mod cli;
pub mod client;
pub mod config;
pub mod coordinator;
pub mod domain;
pub mod error;
pub mod headless;
pub mod init;
#[cfg(test)]
mod outside;
pub mod plan;
pub mod probe;
pub mod runtime;
pub mod server;
pub mod simulate;
pub mod store;
pub mod telemetry;
pub mod tui;
pub mod wire;
