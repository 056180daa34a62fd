//! The root password as the installer takes it: a SHA-512 crypt hash. The password itself is never kept.

use std::fmt;

use rand::RngExt as _;
use sha_crypt::{Algorithm, CustomizedPasswordHasher as _, Params, ShaCrypt};

/// Least length in bytes: what the installer asks of a plain password (PROTOCOL.md §b.2).
pub const LEAST: usize = 8;
/// Rounds of SHA-512: some 50 ms at a login, and twenty times the work of the default for who steals the hash.
const ROUNDS: u32 = 100_000;
/// Bytes of salt: 16 characters, of which crypt(3) uses no more.
const SALT: usize = 12;

/// A hash in the form of crypt(3): `$6$rounds=…$salt$…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash(String);

/// Why a password cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short.
    #[error("the password is shorter than {LEAST} characters; choose a longer one")]
    Short,
    /// What no keyboard at a login prompt can give.
    #[error("the password holds a control character; leave it out")]
    Control,
    /// The library refused.
    #[error("the password cannot be hashed: {0}")]
    Hashing(String),
}

impl Hash {
    /// Hashes a password with a fresh salt.
    ///
    /// # Errors
    /// See [`PasswordError`]; none repeats the password.
    pub fn of(password: &str) -> Result<Self, PasswordError> {
        if password.len() < LEAST {
            return Err(PasswordError::Short);
        }
        if password.chars().any(char::is_control) {
            return Err(PasswordError::Control);
        }
        let salt: [u8; SALT] = rand::rng().random();
        let hashing = |error: &dyn fmt::Display| PasswordError::Hashing(error.to_string());
        let params = Params::new(ROUNDS).map_err(|error| hashing(&error))?;
        let hasher = ShaCrypt::from(Algorithm::Sha512Crypt);
        let hash = hasher.hash_password_customized(password.as_bytes(), &salt, None, None, params);
        Ok(Self(hash.map_err(|error| hashing(&error))?.as_str().to_owned()))
    }

    /// The hash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A hash can be tried against a list of passwords: it is not shown.
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_another_program() {
        let password = "pässword with spaces";
        let hash = Hash::of(password).unwrap();
        let parts: Vec<_> = hash.as_str().split('$').collect();
        let ["", "6", "rounds=100000", salt, digest] = parts[..] else { panic!("{}", hash.as_str()) };
        assert_eq!((salt.len(), digest.len()), (16, 86));
        assert_ne!(Hash::of(password).unwrap(), hash, "every hash has a salt of its own");
        assert_eq!(format!("{hash:?}"), "Hash(…)");
        let salt = format!("rounds=100000${salt}");
        let theirs = std::process::Command::new("openssl").args(["passwd", "-6", "-salt", &salt, password]).output();
        let Ok(theirs) = theirs else {
            crate::outside::skip("no openssl to compare with");
            return;
        };
        assert_eq!(String::from_utf8(theirs.stdout).unwrap().trim(), hash.as_str());
    }

    #[test]
    fn bad_passwords_are_refused() {
        assert_eq!(Hash::of("1234567"), Err(PasswordError::Short));
        assert_eq!(Hash::of("line\nbreak"), Err(PasswordError::Control));
    }
}
