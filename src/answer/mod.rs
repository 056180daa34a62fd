//! The answers given to installers: the operator's `default.toml` read as data, and what is made of it for one machine
//! (PROTOCOL.md §b), or the retry answer (PROTOCOL.md §d).
//!
//! Pure: texts and facts in, texts and problems out. Nothing here reads a file, knows a node, or decides whether a
//! machine may have an answer. Values are put into TOML as data by one writer and read back before they are
//! released; no answer is made from a text template.
//!
//! `schema` knows the settings, `read` and `settings` move them between TOML and data, `validate` holds the installer's
//! rules, `dialect` what each generation accepts. `overlay` lays the layers over each other, `template` fills in what
//! differs from machine to machine, `criteria` finds the machines of a profile; `base`, `profile`, `given`, `render`,
//! `explain` and `retry` are for the callers.

mod base;
mod check;
mod criteria;
mod danger;
mod dialect;
mod evaluate;
mod explain;
mod given;
mod hardware;
mod installer;
mod locale;
mod overlay;
mod problem;
mod profile;
mod read;
mod render;
mod retry;
mod schema;
mod settings;
mod spec10;
mod template;
mod validate;

pub use base::BaseAnswer;
pub use check::{Checked, Question, check_answer, check_base};
pub use criteria::Sight;
pub use evaluate::Touch;
pub use explain::{Explained, Shown};
pub use given::{Files, Given};
pub use hardware::{DiskDevice, Hardware, HardwareError, Lease, NicDevice};
pub use installer::{Installer, InstallerError};
pub use overlay::{FilePlace, LayerName, Origin, Overlay, Rank, compose};
pub use problem::{Problem, Problems, Severity};
pub use profile::{Profile, ProfileTie, Profiles, check_layer, check_over, parse_override};
pub use render::{Inputs, NicChoice, Offer, RenderError, Rendered, Webhook, render};
pub use retry::retry_answer;
pub use settings::reported_to;
pub use template::{Context, CounterWish, TemplateError, fill, wished_name};

#[cfg(test)]
mod tests;
