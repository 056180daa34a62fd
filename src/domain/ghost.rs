//! Almost-arrivals: clients that could not even ask, were turned away, or went over a limit. They have no row; the
//! console lists them by address with cause and cure.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::text::Text;

/// What one address did, as often as it did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ghost {
    /// Who.
    pub peer: IpAddr,
    /// What went wrong.
    pub cause: Cause,
    /// More about the last time, where there is more.
    pub detail: Text,
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
    /// How many times.
    pub count: u64,
}

/// Defines [`Cause`] with the words of each.
macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident: $what:literal, $cure:literal;)*) => {
        /// What went wrong with a client.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Cause { $($(#[$doc])* $name),* }

        impl Cause {
            /// Every cause.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What the client did, after its address.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self { $(Self::$name => $what),* }
            }

            /// What to do about it.
            #[must_use]
            pub fn cure(self) -> &'static str {
                match self { $(Self::$name => $cure),* }
            }
        }
    };
}

causes! {
    /// A TLS alert about our certificate.
    CertificateRefused: "refused our certificate",
        "its medium carries another fingerprint: prepare it again with the one on tab 4";
    /// An `http://` URL on the TLS port.
    PlainHttp: "speaks http on the https port",
        "prepare its medium again with the https:// URL";
    /// Any other failure of the handshake.
    HandshakeFailed: "made no TLS connection",
        "a port scan or a health check, unless a machine hangs: then look at its screen";
    /// Connected, and no request came in time.
    Silent: "connected and sent no request",
        "a port scan or a health check, unless a machine hangs: then look at its network";
    /// `GET /answer` by an installer.
    Redirected: "asks by GET: a redirect on its way has thrown its data away",
        "prepare its medium with the final URL";
    /// A path that is not served.
    WrongPath: "asks on a path that is not served",
        "prepare its medium again: its URL must end in /answer";
    /// A method that is not served.
    WrongMethod: "uses a method that is not served",
        "no Proxmox installer does this: find out what it is";
    /// The body is no JSON object.
    UnreadableRequest: "sent a request that is no JSON object",
        "no Proxmox installer does this: is its medium damaged, or is something in between?";
    /// The body was cut.
    RequestCut: "sent a request that was not read to its end",
        "look at its network; where this is a limit, it is in [limits] of config.toml";
    /// Its address is not in `server.allow`.
    AddressRefused: "asks from an address that is not allowed",
        "add its network to `allow` in [server] of config.toml, if it is one of yours";
    /// No token, and one is required.
    TokenMissing: "shows no token, and one is required",
        "prepare its medium with a token (`prox-orchestrator token new`), or set `require_token = false`";
    /// A token that is worth nothing.
    TokenRefused: "shows a token that is not good",
        "prepare its medium again with a good token; `prox-orchestrator token list` lists them";
    /// Too many bad tokens in a short time.
    TokenThrottled: "showed too many bad tokens: its tokens are not looked at for a minute",
        "find out what it is";
    /// More connections than one address may have.
    TooManyConnections: "has more connections open than one address may",
        "find out what it is; where many machines share the address, raise `connections_per_address` in [limits]";
    /// More requests in a minute than one address may make.
    TooManyRequests: "makes more requests than one address may",
        "find out what it is; where many machines share the address, raise `requests_per_minute` in [limits]";
    /// More unmatched reports than one address may have kept.
    TooManyReports: "sends more reports that nobody knows than are kept",
        "find out what it is; adopt or dismiss those that are kept";
    /// All connections are taken, and this address had most idle ones.
    GaveWay: "lost an idle connection: all connections are taken",
        "find out what it is; raise `connections` in [limits] or the limit of open files";
    /// All connections are taken, and nobody could give one up.
    NoRoom: "came when all connections were taken by machines that wait",
        "approve or reject machines; raise `connections` in [limits] or the limit of open files";
    /// The engine could not take the request in: no place for another open request, a full table, a store that fails.
    AskedInVain: "asked and was told to come again",
        "it asks again by itself; where this goes on, look at the problems and at `max_held`";
    /// `X-Forwarded-For` of a trusted proxy cannot be read.
    BadForward: "is a trusted proxy whose X-Forwarded-For cannot be read",
        "let it write the address of its client there, and nothing else";
    /// A report that is no JSON object, or was cut; it was stored as it came.
    UnreadableReport: "sent a report that cannot be read",
        "it is kept as it came; adopt it if you know whose it is";
    /// A report from an address that is not allowed.
    ReportRefused: "reports from an address that is not allowed",
        "add its network to `allow` in [server] of config.toml, if it is one of yours; then mark its node installed";
    /// A report could not be stored and is being kept in memory.
    ReportWaits: "sent a report that cannot be stored yet",
        "free disk space: it is tried again while the console runs";
    /// A report could not be stored and is lost.
    ReportLost: "sent a report that could not be stored",
        "mark its node as installed by hand";
}

impl Cause {
    /// Whether it is us, not the client, who must be helped at once.
    #[must_use]
    pub fn is_loss(self) -> bool {
        matches!(self, Self::ReportWaits | Self::ReportLost)
    }
}

impl Ghost {
    /// What happened, in one line: `shows a token that is not good: the token `rack-a` has expired`.
    #[must_use]
    pub fn words(&self) -> String {
        let what = self.cause.what();
        if self.detail.is_empty() { what.to_owned() } else { format!("{what}: {}", self.detail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_words_and_a_name_of_its_own() {
        let mut names: Vec<_> = Cause::ALL.iter().map(|cause| serde_json::to_string(cause).unwrap()).collect();
        for cause in Cause::ALL {
            assert!(!cause.what().is_empty() && !cause.cure().is_empty());
            assert!(!cause.what().ends_with('.') && !cause.cure().ends_with('.'), "{cause:?}");
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Cause::ALL.len());
    }
}
