//! How much a problem of a file weighs.

/// How much a problem weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It works, but probably not as it was meant.
    Warning,
    /// The installer stops, or the console cannot work with it.
    Error,
    /// It works, and does harm.
    Danger,
}

impl Severity {
    /// The word in front of the message.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            // Louder than an error, which only stops.
            Self::Danger => "DANGER",
        }
    }
}
