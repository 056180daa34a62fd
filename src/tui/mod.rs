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
mod filter;
#[cfg(test)]
mod fixture;
mod keymap;
mod listing;
mod modal;
mod model;
mod offer;
mod pager;
mod run;
mod terminal;
mod text;
mod theme;
mod update;
mod view;

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

/// How to draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TuiOptions {
    /// Only ASCII characters: for consoles without UTF-8.
    pub ascii: bool,
    /// Colours.
    pub colours: Colours,
    /// Take mouse clicks and the wheel.
    pub mouse: bool,
    /// Ring the bell and name the window when a machine begins to wait.
    pub bell: bool,
}
