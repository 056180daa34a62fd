//! The rooms of the product that read hostile bytes, and nothing else of it: an instrumented build of all of it takes
//! ten times as long. They are the product's own files.
#![allow(dead_code, reason = "other rooms use it")]

#[path = "../src/answer/mod.rs"]
pub mod answer;
#[path = "../src/config/mod.rs"]
pub mod config;
#[path = "../src/domain/mod.rs"]
pub mod domain;
#[path = "../src/plan/mod.rs"]
pub mod plan;
#[path = "../src/wire/mod.rs"]
pub mod wire;
