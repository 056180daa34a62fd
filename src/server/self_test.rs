//! Requests this program makes of itself, to see whether machines could. Such a request carries a word that is good for
//! one use and known to nobody else; it gets the retry answer and leaves no row.

use std::sync::{Arc, Mutex, PoisonError};

/// The words that are expected; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SelfTests(Arc<Mutex<Option<String>>>);

/// What the retry answer to a self-test shows.
pub const SELF_TEST_OK: &str = "SELF-TEST OK";

impl SelfTests {
    /// A new word to send as the request's token; the one before is good no more.
    #[must_use]
    pub fn expect(&self) -> String {
        let word = uuid::Uuid::new_v4().simple().to_string();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(word.clone());
        word
    }

    /// Whether a token holds the word, which is used up by that.
    pub(super) fn take(&self, token: &[u8]) -> bool {
        let mut expected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = expected.as_ref().is_some_and(|word| token.windows(word.len()).any(|part| part == word.as_bytes()));
        if found {
            *expected = None;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_good_once_and_nothing_is_without_one() {
        let tests = SelfTests::default();
        assert!(!tests.take(b"{}"));
        let word = tests.expect();
        let token = format!("Bearer {word}");
        assert!(!tests.take(b"Bearer guess"));
        assert!(tests.take(token.as_bytes()));
        assert!(!tests.take(token.as_bytes()));
    }
}
