//! The whole program from outside: the real binary, real sockets, real files, and where they are there the real Ansible
//! and the real sshd (docs/testing.md).
//!
//! Modules whose names `.config/nextest.toml` knows (`end_to_end`) run one test at a time; the others beside each other.
#![cfg(test)]

mod cli;
mod cluster;
mod deciding;
mod demo;
mod end_to_end;
mod fuzz_corpus;
mod hostile;
mod http;
mod init;
mod inventory;
mod layers;
mod lint;
mod main_job;
#[path = "../../src/outside.rs"]
mod outside;
mod plan;
mod process;
mod pty;
mod reload;
mod rig;
mod roles;
mod runs;
mod terminal;
mod tokens;
