//! The address machines are told to call, `server.public_url`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::problem::quoted;

/// An `http` or `https` URL that every installer release can call: no user, query or fragment, no white space (a DHCP
/// option cannot carry one, PROTOCOL.md §a.1), no IPv6 literal over https (PROTOCOL.md §a.3), no slash at its end, so
/// that `/answer` and `/webhook` can be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    https: bool,
}

/// Why a text is not such a URL. Each message says what is wrong; [`PublicUrlError::hint`] what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicUrlError {
    /// Neither `http://` nor `https://` in front.
    #[error("`{0}` does not start with `https://` or `http://`")]
    Scheme(String),
    /// `user:password@`.
    #[error("a user name or password in the URL would reach every machine")]
    UserInfo,
    /// A character that has no place in it.
    #[error("`{0}` is not allowed in this URL")]
    Character(String),
    /// `?…` or `#…`.
    #[error("a query or fragment is not allowed in this URL")]
    Query,
    /// Empty or malformed host.
    #[error("`{0}` is not a host name or address")]
    Host(String),
    /// Not a number from 1 to 65535.
    #[error("`{0}` is not a port")]
    Port(String),
    /// `https://[2001:db8::1]`.
    #[error("installers 8.2 and 9.2 cannot call an IPv6 address over https")]
    Ipv6OverTls,
    /// `/answer` or `/webhook` at the end.
    #[error("the URL is that of the whole server; `{0}` is appended to it")]
    Endpoint(&'static str),
}

impl PublicUrlError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Scheme(_) | Self::Host(_) | Self::Port(_) => "write it like `https://console.example.com:8443`",
            Self::UserInfo => "remove everything up to and with the `@`",
            Self::Character(_) => "use letters, digits and `-._~/` only",
            Self::Query => "end it after the host, port and path",
            Self::Ipv6OverTls => "use a host name, an IPv4 address, or `http://` together with `tls = false`",
            Self::Endpoint(_) => "end it after the host and port",
        }
    }
}

impl PublicUrl {
    /// The URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether machines speak TLS to it.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(given: &str) -> Result<Self, PublicUrlError> {
        let (scheme, rest) = given.split_once("://").unwrap_or(("", given));
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(PublicUrlError::Scheme(quoted(given))),
        };
        if let Some(character) = rest.chars().find(|c| c.is_whitespace() || !c.is_ascii_graphic()) {
            return Err(PublicUrlError::Character(quoted(&character.to_string())));
        }
        if rest.contains(['?', '#']) {
            return Err(PublicUrlError::Query);
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        if authority.contains('@') {
            return Err(PublicUrlError::UserInfo);
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || "-._~/".contains(*c);
        if let Some(character) = path.chars().find(|c| !allowed(c)) {
            return Err(PublicUrlError::Character(quoted(&character.to_string())));
        }
        let host = checked_authority(authority)?;
        if https && host == Host::Ipv6 {
            return Err(PublicUrlError::Ipv6OverTls);
        }
        let path = path.trim_end_matches('/');
        if let Some(endpoint) = ["/answer", "/webhook"].into_iter().find(|endpoint| path.ends_with(endpoint)) {
            return Err(PublicUrlError::Endpoint(endpoint));
        }
        let scheme = if https { "https" } else { "http" };
        Ok(Self { text: format!("{scheme}://{}{path}", authority.to_ascii_lowercase()), https })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Host {
    Ipv6,
    Other,
}

/// Checks `host[:port]`.
fn checked_authority(authority: &str) -> Result<Host, PublicUrlError> {
    let (host, port, kind) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or_else(|| PublicUrlError::Host(quoted(authority)))?;
        address.parse::<Ipv6Addr>().map_err(|_| PublicUrlError::Host(quoted(address)))?;
        match rest.strip_prefix(':') {
            None if !rest.is_empty() => return Err(PublicUrlError::Host(quoted(authority))),
            port => (address, port, Host::Ipv6),
        }
    } else {
        let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        (host, port, Host::Other)
    };
    if kind == Host::Other && !is_host(host) {
        return Err(PublicUrlError::Host(quoted(host)));
    }
    match port {
        Some(port) if !port.bytes().all(|b| b.is_ascii_digit()) || !matches!(port.parse::<u16>(), Ok(1..)) => {
            Err(PublicUrlError::Port(quoted(port)))
        }
        _ => Ok(kind),
    }
}

/// Whether `host` is an IPv4 address or a DNS name of one or more labels.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let numeric_end = host.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if numeric_end { host.parse::<Ipv4Addr>().is_ok() } else { host.len() <= 253 && host.split('.').all(label) }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://console.example.com:8443", "https://console.example.com:8443")]
    #[case("HTTPS://Console.Example.com/", "https://console.example.com")]
    #[case("http://192.0.2.1", "http://192.0.2.1")]
    #[case("http://[2001:DB8::1]:8080/rack/", "http://[2001:db8::1]:8080/rack")]
    #[case("https://console", "https://console")]
    fn usable_urls_are_kept_without_their_slash(#[case] given: &str, #[case] kept: &str) {
        let url: PublicUrl = given.parse().unwrap();
        assert_eq!(url.as_str(), kept);
        assert_eq!(url.is_https(), kept.starts_with("https:"));
    }

    #[rstest]
    #[case("console.example.com", PublicUrlError::Scheme("console.example.com".to_owned()))]
    #[case("ftp://x", PublicUrlError::Scheme("ftp://x".to_owned()))]
    #[case("https://root:x@console", PublicUrlError::UserInfo)]
    #[case("https://con sole", PublicUrlError::Character(" ".to_owned()))]
    #[case("https://console/%41", PublicUrlError::Character("%".to_owned()))]
    #[case("https://console/?a", PublicUrlError::Query)]
    #[case("https://", PublicUrlError::Host(String::new()))]
    #[case("https://:8443", PublicUrlError::Host(String::new()))]
    #[case("https://192.0.2.300", PublicUrlError::Host("192.0.2.300".to_owned()))]
    #[case("http://[::1", PublicUrlError::Host("[::1".to_owned()))]
    #[case("http://[::1]x", PublicUrlError::Host("[::1]x".to_owned()))]
    #[case("https://console:0", PublicUrlError::Port("0".to_owned()))]
    #[case("https://console:", PublicUrlError::Port(String::new()))]
    #[case("https://console:+1", PublicUrlError::Port("+1".to_owned()))]
    #[case("https://[2001:db8::1]:8443", PublicUrlError::Ipv6OverTls)]
    #[case("https://console/answer/", PublicUrlError::Endpoint("/answer"))]
    fn others_are_refused_with_their_reason(#[case] given: &str, #[case] reason: PublicUrlError) {
        assert_eq!(given.parse::<PublicUrl>(), Err(reason));
    }

    proptest! {
        #[test]
        fn a_url_reads_as_itself(given in "https?://[a-z0-9.:@/\\[\\]-]{0,30}|\\PC{0,30}") {
            if let Ok(url) = given.parse::<PublicUrl>() {
                prop_assert_eq!(url.as_str().parse(), Ok(url.clone()));
            }
        }
    }
}
