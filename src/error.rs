//! Exit codes, and how a chain of errors is written.

use std::fmt;
use std::process::ExitCode;

/// What the program's exit code says. Documented in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// Something failed that has no code of its own.
    Failure = 1,
    /// Wrong command line.
    Usage = 2,
    /// `config.toml`, `default.toml` or an environment variable is wrong.
    Config = 3,
    /// The address to listen on cannot be had.
    Bind = 4,
    /// The state folder is locked, unreadable or damaged.
    State = 5,
    /// A run of the playbook failed, or part of a simulated rack did.
    Run = 6,
    /// The engine refused an order.
    Refused = 7,
    /// No engine is running in this folder.
    NoEngine = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error on its way out of the program, with the code it ends with.
#[derive(Debug)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// The error.
    pub error: anyhow::Error,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { exit: Exit::Failure, error: error.into() }
    }
}

/// Gives an error its exit code.
pub trait OrExit<T> {
    /// The value, or a failure that ends the program with `exit`.
    ///
    /// # Errors
    /// The error itself.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure { exit, error: error.into() })
    }
}

impl fmt::Display for Failure {
    /// The whole chain: `error: …` and a `because: …` line for each cause that says something new.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.error)?;
        let mut said = self.error.to_string();
        for cause in self.error.chain().skip(1) {
            let words = cause.to_string();
            if !said.contains(&words) {
                write!(f, "\n  because: {words}")?;
            }
            said = words;
        }
        Ok(())
    }
}
