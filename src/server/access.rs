//! Who may ask, and how much a client may take: the operator's settings, swapped while the server runs.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The header in which a proxy names its client.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Settings about clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Networks that may ask and report; none means all.
    pub allow: Vec<IpNet>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether a machine must show a token.
    pub require_token: bool,
    /// What clients may take.
    pub limits: Limits,
}

/// What clients may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest body of an answer request, in bytes.
    pub answer_body: usize,
    /// Longest body of a report that is kept whole, in bytes.
    pub report_body: usize,
    /// For the TLS handshake, and then for a request's head.
    pub head_time: Duration,
    /// For the whole request, from accept.
    pub body_time: Duration,
    /// Connections open at once; `None` means as many as there are file descriptors for.
    pub connections: Option<usize>,
    /// Connections of one address open at once.
    pub connections_per_address: usize,
    /// Requests of one address in a minute.
    pub requests_per_minute: u32,
}

#[cfg(test)]
impl Default for Access {
    /// Everybody may ask, nobody is believed about somebody else.
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            trusted_proxies: Vec::new(),
            require_token: false,
            limits: Limits {
                answer_body: 1024 * 1024,
                report_body: 8 * 1024 * 1024,
                head_time: Duration::from_secs(10),
                body_time: Duration::from_secs(30),
                connections: None,
                connections_per_address: 512,
                requests_per_minute: 600,
            },
        }
    }
}

/// A trusted proxy that does not say who its client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl Access {
    /// Whether a client of this address may ask and report.
    pub(super) fn allows(&self, client: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|net| net.contains(&client))
    }

    /// Whether `peer` may speak for others.
    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }

    /// Who is behind a request of `peer`. Each proxy adds whom it heard at the end, so the list is read from there as
    /// long as trusted ones speak; what stands before the first other one could be anybody's invention.
    ///
    /// # Errors
    /// What a trusted proxy wrote cannot be read.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Result<IpAddr, Unreadable> {
        let mut client = peer;
        for line in headers.get_all(FORWARDED_FOR).iter().rev() {
            for word in line.to_str().map_err(|_| Unreadable)?.rsplit(',') {
                if !self.trusts(client) {
                    return Ok(client);
                }
                client = address(word.trim()).ok_or(Unreadable)?;
            }
        }
        Ok(client)
    }
}

/// An address, with or without a port: `192.0.2.7`, `192.0.2.7:1234`, `2001:db8::7`, `[2001:db8::7]:1234`.
fn address(word: &str) -> Option<IpAddr> {
    let bare = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(word);
    let with_port = || word.parse().ok().map(|socket: std::net::SocketAddr| socket.ip());
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn access(allow: &[&str], proxies: &[&str]) -> Access {
        let nets = |words: &[&str]| words.iter().map(|word| word.parse().unwrap()).collect();
        Access { allow: nets(allow), trusted_proxies: nets(proxies), ..Access::default() }
    }

    #[rstest]
    #[case(&[], "203.0.113.9", true)]
    #[case(&["192.0.2.0/24"], "192.0.2.255", true)]
    #[case(&["192.0.2.0/24"], "192.0.3.0", false)]
    #[case(&["192.0.2.0/24"], "2001:db8::1", false)]
    #[case(&["192.0.2.0/24", "2001:db8::/64"], "2001:db8::1", true)]
    #[case(&["0.0.0.0/0"], "203.0.113.9", true)]
    fn an_allow_list_is_one_of_networks(#[case] allow: &[&str], #[case] client: &str, #[case] allowed: bool) {
        assert_eq!(access(allow, &[]).allows(client.parse().unwrap()), allowed);
    }

    #[rstest]
    #[case::nobody_asked(&[], "192.0.2.10", Ok("192.0.2.10"))]
    #[case::believed(&["203.0.113.9"], "192.0.2.10", Ok("203.0.113.9"))]
    #[case::not_believed(&["203.0.113.9"], "192.0.2.11", Ok("192.0.2.11"))]
    #[case::invented(&["10.0.0.1, 203.0.113.9"], "192.0.2.10", Ok("203.0.113.9"))]
    #[case::two_proxies(&["203.0.113.9, 192.0.2.12"], "192.0.2.10", Ok("203.0.113.9"))]
    #[case::two_lines(&["10.0.0.1", "203.0.113.9"], "192.0.2.10", Ok("203.0.113.9"))]
    #[case::only_proxies(&["192.0.2.12"], "192.0.2.10", Ok("192.0.2.12"))]
    #[case::port(&["203.0.113.9:4711"], "192.0.2.10", Ok("203.0.113.9"))]
    #[case::ipv6(&["2001:db8::7"], "192.0.2.10", Ok("2001:db8::7"))]
    #[case::ipv6_port(&["[2001:db8::7]:4711"], "192.0.2.10", Ok("2001:db8::7"))]
    #[case::mapped(&["::ffff:203.0.113.9"], "192.0.2.10", Ok("203.0.113.9"))]
    #[case::unknown(&["unknown"], "192.0.2.10", Err(Unreadable))]
    #[case::empty(&[""], "192.0.2.10", Err(Unreadable))]
    #[case::not_ours_to_read(&["unknown"], "192.0.2.11", Ok("192.0.2.11"))]
    fn only_a_trusted_proxy_speaks_for_others(
        #[case] lines: &[&str],
        #[case] peer: &str,
        #[case] expected: Result<&str, Unreadable>,
    ) {
        let access = access(&[], &["192.0.2.10/32", "192.0.2.12/32"]);
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let expected = expected.map(|client| client.parse().unwrap());
        assert_eq!(access.client(peer.parse().unwrap(), &headers), expected);
    }
}
