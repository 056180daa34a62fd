//! The answers given to installers: the operator's `default.toml` read as data, and what is made of it for one machine
//! (PROTOCOL.md §b), or the retry answer (PROTOCOL.md §d).
//!
//! Pure: texts and facts in, texts and problems out. Nothing here reads a file, knows a node, or decides whether a
//! machine may have an answer. Values are put into TOML as data by one writer and read back before they are
//! released; no answer is made from a text template.
//!
//! `schema` knows the settings, `read` and `settings` move them between TOML and data, `validate` holds the installer's
//! rules, `dialect` what each generation accepts; `base`, `render` and `retry` are for the callers.

mod base;
mod check;
mod danger;
mod dialect;
mod evaluate;
mod hardware;
mod installer;
mod locale;
mod problem;
mod read;
mod render;
mod retry;
mod schema;
mod settings;
mod spec10;
mod validate;

pub use base::BaseAnswer;
pub use check::{Checked, Question, check_answer, check_base};
pub use evaluate::Touch;
pub use hardware::{DiskDevice, Hardware, HardwareError, Lease, NicDevice};
pub use installer::{Installer, InstallerError};
pub use problem::{Problem, Problems, Severity};
pub use render::{Inputs, NicChoice, RenderError, Rendered, Webhook, render};
pub use retry::retry_answer;

#[cfg(test)]
mod tests;
