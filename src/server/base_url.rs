//! "Our URL": what a machine is told to call us by (ARCHITECTURE.md, "The edges").

use std::net::{IpAddr, SocketAddr};

/// Longest host and port taken from a request, in bytes: 253 characters of a name, a colon and five digits.
const MAX_HOST: usize = 259;

/// There is no URL every installer could call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("installers cannot call an IPv6 address over https; set `[server] public_url` to a URL with a name")]
pub(super) struct NoUrl;

/// The base URL, without a slash at its end: the configured one, else the address the request came in on. An IPv6
/// address over https is none (PROTOCOL.md §a.3); there the name by which the client called us must do.
pub(super) fn base_url(
    public_url: Option<&str>,
    local: SocketAddr,
    tls: bool,
    host: Option<&str>,
) -> Result<String, NoUrl> {
    if let Some(url) = public_url {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    let scheme = if tls { "https" } else { "http" };
    match local.ip() {
        IpAddr::V6(_) if tls => host.filter(|host| is_name(host)).map(|name| format!("https://{name}")).ok_or(NoUrl),
        // Without a scope id, which has no place in a URL.
        ip => Ok(format!("{scheme}://{}", SocketAddr::new(ip, local.port()))),
    }
}

/// Whether a `Host` header is a DNS name, with or without a port.
fn is_name(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "443"));
    host.len() <= MAX_HOST
        && port.parse::<u16>().is_ok_and(|port| port > 0)
        && name
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
        && !name.split('.').all(|label| label.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Some("https://c.example.com/x/"), "10.0.0.1:8443", true, None, Ok("https://c.example.com/x"))]
    #[case(None, "10.0.0.1:8443", true, Some("evil"), Ok("https://10.0.0.1:8443"))]
    #[case(None, "10.0.0.1:80", false, None, Ok("http://10.0.0.1:80"))]
    #[case(None, "[2001:db8::1]:80", false, None, Ok("http://[2001:db8::1]:80"))]
    #[case(None, "[2001:db8::1]:8443", true, Some("console.example.com:8443"), Ok("https://console.example.com:8443"))]
    #[case(None, "[2001:db8::1]:443", true, Some("console"), Ok("https://console"))]
    #[case(None, "[2001:db8::1]:8443", true, Some("[2001:db8::1]:8443"), Err(NoUrl))]
    #[case(None, "[2001:db8::1]:8443", true, Some("10.0.0.1:8443"), Err(NoUrl))]
    #[case(None, "[2001:db8::1]:8443", true, Some("a/b"), Err(NoUrl))]
    #[case(None, "[2001:db8::1]:8443", true, Some("user@host"), Err(NoUrl))]
    #[case(None, "[2001:db8::1]:8443", true, None, Err(NoUrl))]
    fn the_url_is_one_that_installers_can_call(
        #[case] public: Option<&str>,
        #[case] local: SocketAddr,
        #[case] tls: bool,
        #[case] host: Option<&str>,
        #[case] expected: Result<&str, NoUrl>,
    ) {
        assert_eq!(base_url(public, local, tls, host), expected.map(str::to_owned));
    }
}
