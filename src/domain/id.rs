//! Names of things: numbers the fleet hands out, and SHA-256 digests that stand for bytes kept elsewhere.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Defines a sequential id shown with a one-letter prefix (`m12`), so that a person can tell a machine from a run.
macro_rules! sequential_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(NumberVisitor).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(s: &str) -> Result<Self, IdError> {
                s.strip_prefix($prefix)
                    .and_then(|digits| digits.parse().ok())
                    .map(Self)
                    .ok_or_else(|| IdError { given: s.to_owned(), example: concat!($prefix, "12") })
            }
        }
    };
}

sequential_id!(
    /// A row of the node table: a machine from the moment it is first seen. Never reused.
    NodeId, "m"
);
sequential_id!(
    /// One execution of the playbook.
    RunId, "r"
);
sequential_id!(
    /// A report nobody could match to a node.
    ReportId, "w"
);

sequential_id!(
    /// A permission for machines that have not asked yet.
    TicketId, "t"
);
sequential_id!(
    /// A machine that is sent away for good.
    BanId, "b"
);

/// Reads a number that may be the key of a JSON object, hence text: serde does not turn it back by itself inside a
/// tagged enum such as [`super::event::Event`].
struct NumberVisitor;

impl serde::de::Visitor<'_> for NumberVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_str<E: serde::de::Error>(self, digits: &str) -> Result<u64, E> {
        digits.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(digits), &self))
    }
}

/// One `POST /answer` in this process. Not stored: a restart ends every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// A text that is not an id of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not an id; an id looks like `{example}`")]
pub struct IdError {
    given: String,
    example: &'static str,
}

/// Defines a SHA-256 digest newtype, written as 64 lower-case hex digits.
macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The digest of `bytes`.
            #[must_use]
            pub fn of(bytes: &[u8]) -> Self {
                Self(Sha256::digest(bytes).into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(s: &str) -> Result<Self, DigestError> {
                let mut bytes = [0_u8; 32];
                if s.len() != 64 || !s.is_ascii() {
                    return Err(DigestError);
                }
                for (byte, pair) in bytes.iter_mut().zip(s.as_bytes().chunks_exact(2)) {
                    let pair = std::str::from_utf8(pair).map_err(|_| DigestError)?;
                    *byte = u8::from_str_radix(pair, 16).map_err(|_| DigestError)?;
                }
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest_id!(
    /// Digest of a stored body (answer request, report) or of a rendered answer.
    DocumentHash
);
digest_id!(
    /// Digest of a per-install webhook secret; the secret itself is only in the answer (ADR 7).
    SecretHash
);

digest_id!(
    /// Digest of a token's secret; the secret itself is on the prepared medium only.
    TokenHash
);

/// A text that is not 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest of 64 hex digits")]
pub struct DigestError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_through_text() {
        assert_eq!("m12".parse(), Ok(NodeId(12)));
        assert_eq!(NodeId(12).to_string(), "m12");
        assert!("r12".parse::<NodeId>().is_err());
        assert!("m".parse::<NodeId>().is_err());
        let hash = DocumentHash::of(b"x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!("zz".parse::<SecretHash>().is_err());
        assert!("é".repeat(32).parse::<SecretHash>().is_err());
    }
    #[test]
    fn an_id_is_read_back_as_a_key_inside_a_tagged_enum() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "type")]
        enum Tagged {
            Map { nodes: std::collections::BTreeMap<NodeId, RunId> },
        }
        let given = Tagged::Map { nodes: [(NodeId(3), RunId(1))].into() };
        let text = serde_json::to_string(&given).unwrap();
        assert_eq!(serde_json::from_str::<Tagged>(&text).unwrap(), given);
        assert!(serde_json::from_str::<NodeId>("-1").is_err());
        assert!(serde_json::from_str::<NodeId>("\"m3\"").is_err());
    }
}
