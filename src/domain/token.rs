//! Tokens: what a prepared medium may carry to show that it is one of ours (PROTOCOL.md §a.2).
//!
//! Only the SHA-256 of a secret is known here. A fast digest is enough: the secret is 256 random bits made by the
//! program, so there is nothing to guess, unlike a password.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::id::TokenHash;
use super::text::Text;

/// Longest name, in characters.
const MAX_NAME: usize = 32;

/// Tokens there may be at once.
pub const MAX_TOKENS: usize = 1_000;

/// What a token is called: safe in a URL, a header, a file name and on a screen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TokenName(String);

/// A text that is no name of a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no name for a token; use at most 32 lower-case letters, digits, `-`, `_` and `.`, a letter or digit first"
)]
pub struct TokenNameError(Text);

impl TokenName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenName {
    type Err = TokenNameError;

    fn from_str(given: &str) -> Result<Self, TokenNameError> {
        let is_word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let bytes = given.as_bytes();
        let fits = bytes.len() <= MAX_NAME
            && bytes.first().is_some_and(|first| is_word(*first))
            && bytes.iter().all(|c| is_word(*c) || b"-_.".contains(c));
        if fits { Ok(Self(given.to_owned())) } else { Err(TokenNameError(Text::new(given))) }
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for TokenName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A token that is in force, or was until it expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its name.
    pub name: TokenName,
    /// Digest of its secret.
    pub hash: TokenHash,
    /// When it was made.
    pub made: Timestamp,
    /// From when on it is worth nothing; `None` for never.
    pub expires: Option<Timestamp>,
    /// The profile that machines which show it are meant for.
    pub profile: Option<Text>,
}

impl Token {
    /// Whether it is worth nothing any more.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

/// Why a shown token is worth nothing. For the operator's eyes: whoever shows one is told the same in every case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// None of that name, or not even of the form `name:secret`.
    #[error("no such token")]
    Unknown,
    /// The name is right and the secret is not.
    #[error("wrong secret for the token `{0}`")]
    WrongSecret(TokenName),
    /// It was good once.
    #[error("the token `{0}` has expired")]
    Expired(TokenName),
}

/// Judges `shown` (the whole of `name:secret`). `find` looks a token up by its name. The secret's digest is compared in
/// constant time, also where there is no such token.
///
/// # Errors
/// See [`BadToken`].
pub fn verify<'a>(
    shown: &str,
    now: Timestamp,
    find: impl FnOnce(&TokenName) -> Option<&'a Token>,
) -> Result<&'a Token, BadToken> {
    let (name, secret) = shown.split_once(':').unwrap_or((shown, ""));
    let hash = TokenHash::of(secret.as_bytes());
    let name: Option<TokenName> = name.parse().ok();
    let token = name.as_ref().and_then(find);
    let expected = token.map_or([0; 32], |token| token.hash.0);
    let fits = bool::from(hash.0.ct_eq(&expected));
    match token {
        None => Err(BadToken::Unknown),
        Some(token) if !fits => Err(BadToken::WrongSecret(token.name.clone())),
        Some(token) if token.is_expired(now) => Err(BadToken::Expired(token.name.clone())),
        Some(token) => Ok(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("rack-a", true)]
    #[case("7.x_y", true)]
    #[case("", false)]
    #[case("-a", false)]
    #[case("Rack", false)]
    #[case("a b", false)]
    #[case("a:b", false)]
    #[case("a/b", false)]
    #[case("é", false)]
    fn names_are_plain_words(#[case] given: &str, #[case] fits: bool) {
        assert_eq!(given.parse::<TokenName>().is_ok(), fits);
        assert!("x".repeat(33).parse::<TokenName>().is_err() && "x".repeat(32).parse::<TokenName>().is_ok());
    }

    #[rstest]
    #[case("rack-a:right", 10, Ok(()))]
    #[case("rack-a:right", 20, Err("the token `rack-a` has expired"))]
    #[case("rack-a:wrong", 10, Err("wrong secret for the token `rack-a`"))]
    #[case("rack-a:wrong", 20, Err("wrong secret for the token `rack-a`"))]
    #[case("rack-a:", 10, Err("wrong secret for the token `rack-a`"))]
    #[case("rack-a", 10, Err("wrong secret for the token `rack-a`"))]
    #[case("rack-b:right", 10, Err("no such token"))]
    #[case("RACK-A:right", 10, Err("no such token"))]
    #[case(":right", 10, Err("no such token"))]
    #[case("", 10, Err("no such token"))]
    fn a_token_is_judged_by_name_secret_and_time(
        #[case] shown: &str,
        #[case] second: i64,
        #[case] expected: Result<(), &str>,
    ) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let token = Token {
            name: "rack-a".parse().unwrap(),
            hash: TokenHash::of(b"right"),
            made: at(0),
            expires: Some(at(20)),
            profile: None,
        };
        let found = verify(shown, at(second), |name| (*name == token.name).then_some(&token));
        assert_eq!(found.map(|_| ()).map_err(|error| error.to_string()), expected.map_err(str::to_owned));
    }
}
