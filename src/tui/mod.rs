//! The console: a client of the engine that draws snapshots and turns key presses into orders.
//!
//! Elm's shape: [`run()`] turns terminal input, snapshots and replies into messages; `update` (pure) folds a message into
//! the `Model` and returns requests; `view` draws `&Model`. One table, `keymap`, drives handling, footer and help. Only
//! `terminal` and `run` do I/O, and nothing here knows whether the engine is this process: all it uses is
//! [`Client`](crate::client::Client).
//!
//! The Log tab shows what `tui_logger::TuiTracingSubscriberLayer` collects; telemetry adds that layer when a console is
//! going to start, and [`run()`] starts the collecting thread.

mod action;
mod back;
mod escape;
mod fault;
mod filter;
#[cfg(test)]
mod fixture;
mod hints;
mod keymap;
mod listing;
#[cfg(test)]
mod measure;
mod modal;
mod model;
mod offer;
mod outlet;
mod pager;
mod plain;
mod run;
mod runs;
mod scanner;
#[cfg(test)]
mod scenes;
mod setup;
mod terminal;
mod text;
mod theme;
mod update;
mod view;

pub use fault::Fault;
pub use plain::plain;
pub use run::{Exit, TuiError, run};

/// What the terminal can do with colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colours {
    /// None (`NO_COLOR`); words and bold, dim and reverse remain.
    Mono,
    /// The eight old ones.
    Eight,
    /// Sixteen.
    #[default]
    Sixteen,
}

/// What is behind the letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Background {
    /// Dark, or not known.
    #[default]
    Dark,
    /// Light: yellow and cyan cannot be read on it.
    Light,
}

/// What else of the terminal than its screen is used. May change while the console is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Take mouse clicks and the wheel.
    pub mouse: bool,
    /// Ring the bell and name the window when a machine begins to wait.
    pub bell: bool,
}

/// How to draw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TuiOptions {
    /// Only ASCII characters: for consoles without UTF-8.
    pub ascii: bool,
    /// Colours.
    pub colours: Colours,
    /// The background.
    pub background: Background,
    /// Bytes a second the terminal takes; `None` for as many as there are.
    pub pace: Option<u32>,
    /// The file that is written when the operator has seen enough hints; `None` where that is so already.
    pub hints: Option<std::path::PathBuf>,
    /// What else than the screen is used, to begin with.
    pub extras: Extras,
    /// Fail on purpose at Ctrl-P; for tests.
    pub fault: Option<Fault>,
}
