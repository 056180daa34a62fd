//! Tokens of prepared media: made and revoked by the operator, judged by the server from a snapshot.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Decision, Fleet};
use crate::domain::event::Event;
use crate::domain::id::TokenHash;
use crate::domain::refusal::Refusal;
use crate::domain::text::Text;
use crate::domain::token::{self, BadToken, MAX_TOKENS, Token, TokenName};

impl Fleet {
    /// All tokens that were not revoked, by name; also expired ones.
    #[must_use]
    pub fn tokens(&self) -> impl DoubleEndedIterator<Item = &Arc<Token>> {
        self.state.tokens.values()
    }

    /// A token.
    #[must_use]
    pub fn token(&self, name: &TokenName) -> Option<&Arc<Token>> {
        self.state.tokens.get(name)
    }

    /// Judges what a machine shows as its token, the whole of `name:secret`.
    ///
    /// # Errors
    /// Why it is worth nothing, for the operator's eyes only.
    pub fn verify_token(&self, shown: &str, now: Timestamp) -> Result<&Token, BadToken> {
        token::verify(shown, now, |name| self.token(name).map(AsRef::as_ref))
    }

    pub(super) fn decide_make_token(
        &self,
        name: &TokenName,
        hash: TokenHash,
        expires: Option<Timestamp>,
        profile: Option<&Text>,
    ) -> Result<Decision, Refusal> {
        if self.token(name).is_some() {
            return Err(Refusal::TokenExists(name.clone()));
        }
        if self.state.tokens.len() >= MAX_TOKENS {
            return Err(Refusal::TooManyTokens(MAX_TOKENS));
        }
        Ok(Decision::one(Event::TokenMade { name: name.clone(), hash, expires, profile: profile.cloned() }))
    }

    pub(super) fn decide_revoke_token(&self, name: &TokenName) -> Result<Decision, Refusal> {
        self.token(name).ok_or_else(|| Refusal::UnknownToken(name.clone()))?;
        Ok(Decision::one(Event::TokenRevoked { name: name.clone() }))
    }

    pub(super) fn keep_token(&mut self, token: Token) {
        self.state.tokens.insert(token.name.clone(), Arc::new(token));
    }
}
