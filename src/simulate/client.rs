//! One HTTP exchange of a machine: its own source address, one attempt, certificate pinned by its SHA-256.
//!
//! Owns sockets and TLS of the answer request, the report and the first-boot download. It judges no reply.
//! Two things differ from the real installer: it follows no redirect, and without a fingerprint it trusts no
//! certificate, since the medium's system roots would not know a private one either.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use http_body_util::{BodyExt as _, Limited, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

use super::pin::{Pin, PinError};
use super::release::Release;

/// Largest reply the installer takes: 10 MiB (PROTOCOL.md §a.6).
const MAX_REPLY: usize = 10 * 1024 * 1024;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    uri: Uri,
    tls: bool,
    host: String,
    port: u16,
    pin: Option<Pin>,
}

/// An exchange that ended without a reply; the words are those a console could show.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// Not an absolute http or https URL.
    #[error("`{0}` is not an http:// or https:// URL")]
    Url(String),
    /// Not a certificate fingerprint.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// A release that cannot combine an IPv6 literal with a fingerprint (PROTOCOL.md §a.3).
    #[error("invalid dns name")]
    V6Literal,
    /// The name has no address.
    #[error("cannot resolve `{host}`: {source}")]
    Resolve {
        /// The host name.
        host: String,
        /// Why not.
        source: std::io::Error,
    },
    /// No connection.
    #[error("cannot connect to {to}: {source}")]
    Connect {
        /// The address tried.
        to: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// No TLS session, most often because the certificate is not the pinned one.
    #[error("TLS with `{host}` failed: {source}")]
    Tls {
        /// The host.
        host: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The connection broke, or the reply is not HTTP.
    #[error("exchange broken off: {0}")]
    Http(#[from] hyper::Error),
    /// The request could not be written down.
    #[error("cannot build the request: {0}")]
    Request(#[from] hyper::http::Error),
    /// More than 10 MiB, or broken off in the middle.
    #[error("reply body unusable: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// The release's time limit passed (PROTOCOL.md §a.4).
    #[error("timed out after {} s", .0.as_secs_f32())]
    Timeout(Duration),
}

impl Target {
    /// Reads a URL and, for https, the SHA-256 fingerprint of the certificate.
    pub fn new(url: &str, fingerprint: Option<&str>) -> Result<Self, ExchangeError> {
        let bad = || ExchangeError::Url(url.chars().take(200).collect());
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad()),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(bad)?.to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let pin = fingerprint.filter(|text| !text.is_empty()).map(str::parse).transpose()?;
        Ok(Self { uri, tls, host, port, pin })
    }

    /// Whether a fingerprint was given.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.pin.is_some()
    }

    /// The host without the brackets of an IPv6 literal.
    fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// `user:password` in front of the host becomes basic authentication (PROTOCOL.md §a.2).
    fn basic_auth(&self) -> Option<String> {
        let (user, _) = self.uri.authority()?.as_str().rsplit_once('@')?;
        Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user)))
    }
}

/// One request to make.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Who speaks.
    pub release: Release,
    /// Where to.
    pub target: &'a Target,
    /// Local address to connect from, used where the target is on this host.
    pub source: Ipv4Addr,
    /// JSON body of a POST; `None` makes it a GET.
    pub body: Option<Bytes>,
    /// `Accept` header.
    pub accept: &'static str,
    /// Bearer token of the medium (9.2).
    pub bearer: Option<&'a str>,
    /// Time over which the body is dripped out, for the fault of that kind.
    pub trickle: Option<Duration>,
    /// Limit that replaces the release's own.
    pub limit: Option<Duration>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Reason phrase that belongs to the status.
    pub reason: &'static str,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// Body, at most 10 MiB.
    pub body: Bytes,
    /// From before the connection was opened to the last byte.
    pub elapsed: Duration,
}

impl Call<'_> {
    /// Makes the one attempt the installer makes.
    pub async fn send(&self) -> Result<Reply, ExchangeError> {
        let limit = self.limit.or_else(|| self.release.time_limit(self.target.is_pinned()));
        let exchange = Box::pin(self.exchange());
        match limit {
            None => exchange.await,
            Some(limit) => tokio::time::timeout(limit, exchange).await.map_err(|_| ExchangeError::Timeout(limit))?,
        }
    }

    async fn exchange(&self) -> Result<Reply, ExchangeError> {
        let started = Instant::now();
        let stream = self.connect().await?;
        if !self.target.tls {
            return self.speak(stream, started).await;
        }
        let tls_error = |source| ExchangeError::Tls { host: self.target.host.clone(), source };
        let name = ServerName::try_from(self.target.bare_host().to_owned())
            .map_err(|error| tls_error(std::io::Error::other(error)))?;
        let config = super::pin::client_config(self.target.pin);
        let config = config.map_err(|error| tls_error(std::io::Error::other(error)))?;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await.map_err(tls_error)?;
        self.speak(stream, started).await
    }

    /// A connection from the machine's own address, if the target is reachable from there.
    async fn connect(&self) -> Result<TcpStream, ExchangeError> {
        let host = self.target.bare_host();
        let v6_literal = host.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6());
        if v6_literal && self.target.tls && self.target.is_pinned() && self.release.refuses_v6_literal_with_pin() {
            return Err(ExchangeError::V6Literal);
        }
        let to = self.resolve(host).await?;
        let error = |source| ExchangeError::Connect { to, source };
        let stream = if to.ip().is_loopback() && to.is_ipv4() {
            let socket = TcpSocket::new_v4().map_err(error)?;
            socket.bind((self.source, 0).into()).map_err(error)?;
            socket.connect(to).await.map_err(error)?
        } else {
            // A loopback source reaches nothing outside this host; the server then sees one address for all.
            TcpStream::connect(to).await.map_err(error)?
        };
        stream.set_nodelay(true).map_err(error)?;
        Ok(stream)
    }

    async fn resolve(&self, host: &str) -> Result<SocketAddr, ExchangeError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok((address, self.target.port).into());
        }
        let error = |source| ExchangeError::Resolve { host: host.to_owned(), source };
        let found: Vec<_> = tokio::net::lookup_host((host, self.target.port)).await.map_err(error)?.collect();
        let v4 = found.iter().find(|address| address.is_ipv4()).or_else(|| found.first());
        v4.copied().ok_or_else(|| error(std::io::Error::other("no address")))
    }

    async fn speak<S>(&self, stream: S, started: Instant) -> Result<Reply, ExchangeError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.title_case_headers(self.release.title_case_headers());
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        let request = self.request()?;
        let exchange = async {
            let reply = sender.send_request(request).await?;
            let (head, body) = reply.into_parts();
            let body = Limited::new(body, MAX_REPLY).collect().await.map_err(ExchangeError::Body)?.to_bytes();
            let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
            Ok(Reply {
                status: head.status.as_u16(),
                reason: head.status.canonical_reason().unwrap_or_default(),
                content_type,
                body,
                elapsed: started.elapsed(),
            })
        };
        // The connection is driven here and dropped with the exchange: no task outlives it, no socket is reused.
        tokio::pin!(exchange, connection);
        let mut open = true;
        loop {
            tokio::select! {
                reply = &mut exchange => return reply,
                _ = &mut connection, if open => open = false,
            }
        }
    }

    fn request(&self) -> Result<Request<Chunks>, ExchangeError> {
        let uri = &self.target.uri;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let host = match uri.port_u16() {
            Some(port) => format!("{}:{port}", self.target.host),
            None => self.target.host.clone(),
        };
        let mut request = Request::builder()
            .method(if self.body.is_some() { Method::POST } else { Method::GET })
            .uri(path)
            .header(HOST, host)
            .header(USER_AGENT, self.release.user_agent())
            .header(ACCEPT, self.accept)
            .header(ACCEPT_ENCODING, "gzip");
        let bearer = self.bearer.map(|token| format!("Bearer {token}"));
        if let Some(value) = bearer.or_else(|| self.target.basic_auth()) {
            request = request.header(AUTHORIZATION, value);
        }
        let body = self.body.clone().unwrap_or_default();
        if self.body.is_some() {
            request = request.header(CONTENT_TYPE, self.release.content_type()).header(CONTENT_LENGTH, body.len());
        }
        Ok(request.body(chunks(body, self.trickle))?)
    }
}

type Chunks = StreamBody<BoxStream<'static, Result<Frame<Bytes>, std::convert::Infallible>>>;

/// A body in one piece, or in twenty spread over `trickle`.
fn chunks(body: Bytes, trickle: Option<Duration>) -> Chunks {
    const PIECES: u32 = 20;
    let size = match trickle {
        None => body.len().max(1),
        Some(_) => body.len().div_ceil(PIECES as usize).max(1),
    };
    let pause = trickle.map(|total| total / PIECES);
    let rest = stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        let piece = rest.split_to(size.min(rest.len()));
        Some((Ok(Frame::data(piece)), rest))
    });
    StreamBody::new(rest.boxed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("http://10.0.0.1:8080/answer/", false, "10.0.0.1", 8080)]
    #[case("https://host/answer?x=1", true, "host", 443)]
    #[case("http://[::1]/a", false, "::1", 80)]
    fn urls_are_taken_apart(#[case] url: &str, #[case] tls: bool, #[case] host: &str, #[case] port: u16) {
        let target = Target::new(url, None).unwrap();
        assert_eq!((target.tls, target.bare_host(), target.port), (tls, host, port));
    }

    #[rstest]
    #[case("ftp://host/")]
    #[case("/answer")]
    #[case("host")]
    #[case("")]
    #[case("http://")]
    fn other_urls_are_refused(#[case] url: &str) {
        assert!(matches!(Target::new(url, None), Err(ExchangeError::Url(_))));
    }

    #[test]
    fn user_info_becomes_basic_authentication() {
        let target = Target::new("http://me:secret@host/answer", None).unwrap();
        assert_eq!(target.basic_auth().as_deref(), Some("Basic bWU6c2VjcmV0"));
        assert_eq!(target.bare_host(), "host");
    }

    #[tokio::test]
    async fn a_v6_literal_with_a_pin_fails_as_in_9_2() {
        let target = Target::new("https://[::1]:9/answer", Some(&"ab".repeat(32))).unwrap();
        let call = Call {
            release: Release::V9_2,
            target: &target,
            source: Ipv4Addr::LOCALHOST,
            body: None,
            accept: "*/*",
            bearer: None,
            trickle: None,
            limit: None,
        };
        assert!(matches!(call.send().await, Err(ExchangeError::V6Literal)));
    }
}
